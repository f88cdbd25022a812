"""How likely a score is where all is well: p-values, and what may be selected by them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
TAIL = 0.1
"""Share of the scores from which the tail is smooth."""
SMALLEST = 1e-300
"""P-value; below it there are no ordinary numbers."""
PRIOR_SCORES, PRIOR_EXCESS = 2, 1.0
"""What is believed of the tail of scores in nats, as so many scores, before any is seen."""


class Tail:
    """Minus the log of the share of known scores that are at least as high.

    Ranks decide, as in conformal prediction (Vovk et al. 2005,
    https://doi.org/10.1007/b106715); the highest tenth is taken as exponential, so that the share
    goes on to fall beyond the highest of few scores.

    Parameters
    ----------
    known : array of shape (n,)
        Scores of rows that are as they should be.
    in_nats : bool
        Whether scores are already about what is asked for.
    """

    def __init__(self, known: Array, in_nats: bool = False) -> None:
        self.ordered = np.sort(known)
        self.begin = float(np.quantile(self.ordered, 1 - TAIL))
        excess = self.ordered[self.ordered > self.begin] - self.begin
        n, total = len(excess), float(excess.sum())
        if in_nats:
            n, total = n + PRIOR_SCORES, total + PRIOR_SCORES * PRIOR_EXCESS
        self.mean_excess = max(total / max(n, 1), 1e-3)

    def __call__(self, scores: Array) -> Array:
        """(n,) nats, from about 0 on."""
        n = len(self.ordered)
        at_least = n - np.searchsorted(self.ordered, scores, "left")
        by_rank = -np.log((at_least + 1) / (n + 1))
        beyond = np.maximum(scores - self.begin, 0) / self.mean_excess
        found: Array = np.where(scores > self.begin, -np.log(TAIL) + beyond, by_rank)
        return found

    def reached(self, share: float) -> float:
        """The score above which such a share, 0 to 1, lies at most."""
        if share < TAIL:
            return self.begin + self.mean_excess * float(np.log(TAIL / share))
        n = len(self.ordered)
        above = int(share * (n + 1)) - 1
        if above < 0:
            return self.begin
        return min(self.begin, float(self.ordered[max(n - 1 - above, 0)]))


def in_shares(nats: Array) -> Array:
    """(n,) p-values of what ``Tail`` says, above 0."""
    found: Array = np.maximum(np.exp(-nats), SMALLEST)
    return found


def selected(pvalues: Any, fdr: float) -> NDArray[np.bool_]:
    """Which rows to select so that about a share ``fdr`` of them at most is selected wrongly.

    Benjamini & Hochberg 1995, https://doi.org/10.1111/j.2517-6161.1995.tb02031.x; of conformal
    p-values: Bates et al. 2023, https://doi.org/10.1214/22-AOS2244.

    Parameters
    ----------
    pvalues : array of shape (n,)
    fdr : float
        0 to 1.

    Returns
    -------
    array of bool of shape (n,)
    """
    pvalues = np.asarray(pvalues, dtype=np.float64)
    n = len(pvalues)
    ordered = np.sort(pvalues)
    passed = np.flatnonzero(ordered <= fdr * np.arange(1, n + 1) / n)
    if not len(passed):
        return np.zeros(n, bool)
    found: NDArray[np.bool_] = pvalues <= ordered[passed[-1]]
    return found
