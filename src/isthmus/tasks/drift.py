"""Whether rows, in the order in which they came, are still like those that were fitted on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
AT_ONCE = 1024
"""Rows whose ranks among each other are counted together."""
TURN = 0.01
"""Of what is staked on one side, that goes to the other at each row."""
ODDS = 10.0
"""How much more often than they should alarms come in a crowd."""
FEW, SAME = 20, 0.01
"""Rows, and the probability of ranks as far apart by chance, from which it is over."""
LASTING = 100
"""Rows from which alarms that crowd until the end are no burst."""


class Drift(NamedTuple):
    """What the order of rows tells; ``str`` of it is a sentence."""

    evidence: Array
    """(n_samples,) the odds against rows like those fitted on, up to each row, as a logarithm to
    base 10, from the rows that are no alarms."""
    since: int | None
    """The row, counted from 0, from which on they have drifted; None where they have not."""
    bursts: list[tuple[int, int]]
    """First row, and the one after the last, of times in which rows were unlike those before and
    after; most often alarms crowd there."""
    judged: bool = True
    """False where rows come in groups: those of one are alike, and follow each other."""

    @property
    def told(self) -> bool:
        """Whether there is a drift or a burst to tell of."""
        return self.since is not None or bool(self.bursts)

    def __str__(self) -> str:
        if not self.judged:
            return "drift is not judged, for rows come in groups"
        told = [f"a burst in rows {first} to {end - 1}" for first, end in self.bursts]
        if self.since is not None:
            told.append(f"from about row {self.since} on rows are unlike those fitted on")
        return "; ".join(told) or "no drift, and no burst"


def drift(
    scores: Array, known: Array, false_alarms: float, error: float = 0.01, seed: int = 0
) -> Drift:
    """Tell drift, which moves rows for good, from a burst, a crowd of alarms that ends.

    By conformal test martingales (Vovk et al. 2021, https://doi.org/10.1214/21-STS817). The rank
    of each row among the scores known and those of all rows before it is a p-value; while rows
    are as they were, p-values are uniform and independent, and a bet against that multiplies its
    stake by ``1 / error`` with probability ``error`` at most. One bet is on rows that are no
    alarms, which a burst leaves as they are; the other on how often alarms come.

    Parameters
    ----------
    scores : array of shape (n,)
        In the order of time; higher is stranger.
    known : array of shape (r,)
        Scores of rows as they should be.
    false_alarms : float
        The share of ordinary rows that are alarms, 0 to 0.5.
    error : float
        The probability with which each of two bets is won by chance, 0 to 1.
    seed : int
        Equal scores are ranked by lot.
    """
    pvalues = in_order(scores, known, np.random.default_rng(seed))
    alarms = pvalues <= false_alarms
    quiet = np.where(alarms, 0.5, (pvalues - false_alarms) / (1 - false_alarms))
    evidence = staked(quiet, alarms)
    since, peak = begun(quiet, evidence, -np.log10(error))
    crowded = crowds(alarms, false_alarms, np.log(len(scores) / error))
    if since is not None and over(scores, known, peak):
        crowded, since = sorted([*crowded, (since, peak)]), None
    bursts: list[tuple[int, int]] = []
    for first, end in crowded:
        if (since is not None and end >= since) or lasts(first, end, len(scores)):
            since = first if since is None else min(since, first)
        elif bursts and first <= bursts[-1][1]:
            bursts[-1] = bursts[-1][0], max(end, bursts[-1][1])
        else:
            bursts.append((first, end))
    return Drift(evidence, since, bursts)


def over(scores: Array, known: Array, end: int) -> bool:
    """Whether rows are from there on as they were at first."""
    after = scores[end:]
    return len(after) >= FEW and mannwhitneyu(after, known).pvalue > SAME


def in_order(scores: Array, known: Array, draws: np.random.Generator) -> Array:
    """(n,) the share of the scores known, of those before a row and of its own that are as high."""
    before, found = np.sort(known), np.empty(len(scores))
    for first in range(0, len(scores), AT_ONCE):
        part = scores[first : first + AT_ONCE]
        earlier = np.tri(len(part), k=-1, dtype=bool)
        at_least = len(before) - np.searchsorted(before, part, "left")
        higher = len(before) - np.searchsorted(before, part, "right")
        at_least += ((part >= part[:, None]) & earlier).sum(1)
        higher += ((part > part[:, None]) & earlier).sum(1)
        lots = draws.random(len(part)) * (at_least - higher + 1)
        found[first : first + len(part)] = (higher + lots) / (
            len(before) + 1 + np.arange(len(part))
        )
        before = np.sort(np.concatenate([before, part]), kind="stable")
    return found


def staked(pvalues: Array, passed: Flags) -> Array:
    """(n,) what a stake of 1 has become, as a logarithm to base 10.

    A part of it is put at each row on low p-values from there on, or on high ones, so that it is
    not lost before they change. Rows that are ``passed`` over are not bet on.
    """
    low = high = 0.0
    shift, found = 0.0, np.empty(len(pvalues))
    for i, (p, pass_over) in enumerate(zip(pvalues.tolist(), passed.tolist(), strict=True)):
        new = np.exp(-shift) / ((i + 1) * (i + 2))
        low, high = low + new / 2, high + new / 2
        if not pass_over:
            turned = TURN * (high - low)
            low, high = (low + turned) * (1.5 - p), (high - turned) * (0.5 + p)
        kept = np.exp(-shift) / (i + 2)
        total = low + high + kept
        found[i] = (shift + np.log(total)) / np.log(10)
        if low + high > 1e100:
            low, high, shift = low / 1e100, high / 1e100, shift + np.log(1e100)
    return found


def begun(pvalues: Array, evidence: Array, enough: float) -> tuple[int | None, int]:
    """The row at which the evidence began to gather that is enough at some time, and the one after
    which it no longer does.
    """
    if not (evidence > enough).any():
        return None, 0
    until = int(np.argmax(evidence > enough)) + 1
    # Whichever way the p-values went: lower, for stranger rows, or higher.
    bets = [np.log(1 + way * (0.5 - pvalues)) for way in (1, -1)]
    apart = [np.append(0.0, np.cumsum(bet)) for bet in bets]
    won = max(apart, key=lambda path: path[until] - path[: until + 1].min())
    before = won[: until + 1]
    return int(np.flatnonzero(before == before.min())[-1]), until + int(won[until:].argmax())


def crowds(alarms: Flags, false_alarms: float, enough: float) -> list[tuple[int, int]]:
    """First row and the one after the last of each time in which alarms come too often."""
    odds = min(ODDS, 0.5 / false_alarms)
    won, lost = np.log(odds), np.log((1 - odds * false_alarms) / (1 - false_alarms))
    found: list[tuple[int, int]] = []
    height = peak = 0.0
    first = end = 0
    for i in np.flatnonzero(alarms).tolist():
        fallen = height + lost * (i - end)
        if fallen <= 0 or (peak > enough and fallen < peak - enough):
            if peak > enough:
                found.append((first, end))
            fallen, peak, first = 0.0, 0.0, i
        height, end = fallen + won, i + 1
        peak = max(peak, height)
    return [*found, (first, end)] if peak > enough else found


def lasts(first: int, end: int, n: int) -> bool:
    """Whether a crowd is long and goes on until the last row."""
    return end - first >= LASTING and n - end < (end - first) / ODDS
