"""How strange a row is: how far it lies from all others, in several ways of looking."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from isthmus.baselines.neighbours import CLOSE, Neighbours, steady
from isthmus.baselines.scales import learn
from isthmus.tasks.calibration import Tail
from isthmus.training.views import cut

Array = NDArray[np.float64]
SHARPNESS = 60.0
"""By how much a scale counts more for telling crossed rows from rows a little better."""
SHARE_OF_MEMBERS = 0.2
"""Of the distance between rows as the members see them."""
TRIALS, HELD, FEWEST_HELD = 5, 0.25, 10
CROSSED = (0.5, 0.2)
"""Shares of the values that a crossed row has from another row."""
LEAST_WEIGHT = 0.01
"""Of a scale that is looked at."""
TENTHS = 10
FEWEST = 2
"""References that a member has seen, where it is asked only about those that it has not."""
TINY = 1e-9
ANY = -1
"""In place of the number of a member."""
STRANGER = -1
"""In place of the number of a reference, for rows that are none."""


class Strangeness:
    """Scores rows by the distance to their neighbours among references, as the share of references
    that lie as far from the others: -log, summed over ways of looking.

    The ways are four scales of the columns, and what members (autoencoders that take noise away)
    make of the rows, each of which has not seen a part of the references: of these, as of any
    row that is not a reference, its word is one on rows unseen. How much a scale counts is found
    without labels: by how well distances tell rows from crossed rows, which have some values of
    another row.

    Parameters
    ----------
    rows : array of shape (r, d)
        The references, as the network sees them, without gaps.
    places : array of bool of shape (d,)
        Which columns are places of categories.
    rebuilt : array of shape (k, r, d), optional
        The references as each of k members gives them back.
    folds : array of int of shape (r,), optional
        Which member has not seen a reference.
    seed : int
    groups : array of int of shape (r,), optional
        Numbers from 0 on; rows of a group are alike, and say nothing of rows of others.
    close : tuple of int
        Of how many neighbours the mean distance is taken.
    weights : dict of str to float, optional
        How much each scale counts, where that is known; then ``of_references`` is to be given.
    of_references : array of shape (r,), optional
        What a strangeness of the same references said of them.
    """

    def __init__(
        self,
        rows: Array,
        places: NDArray[np.bool_],
        rebuilt: Array | None = None,
        folds: NDArray[np.int64] | None = None,
        seed: int = 0,
        *,
        groups: NDArray[np.int64] | None = None,
        close: tuple[int, ...] = CLOSE,
        weights: dict[str, float] | None = None,
        of_references: Array | None = None,
    ) -> None:
        self.close = close
        self.used = used_columns(rows)
        known, kept = rows[:, self.used], places[self.used]
        self.scales = learn(known, kept)
        self.weights = weigh(known, kept, seed) if weights is None else weights
        self.near = {
            name: Neighbours(scale(known), close)
            for name, scale in self.scales.items()
            if self.weights[name] > LEAST_WEIGHT
        }
        own = np.ones(len(rows), bool)
        self.tails = {
            name: tails(near.distances(near.rows, own)) for name, near in self.near.items()
        }
        self.folds = np.zeros(len(rows), np.int64) if folds is None else folds
        self.members: list[tuple[Neighbours, list[Tail]]] = []
        for k, part in enumerate(() if rebuilt is None else rebuilt):
            self.members.append(self._member(part, self.folds == k))
        if weights is None:
            of_references = self._cross_fitted(rows, places, rebuilt, seed, groups)
        if of_references is not None:
            self.of_references = of_references
            """(r,) of each reference, by what is learned of the others."""

    def _cross_fitted(
        self,
        rows: Array,
        places: NDArray[np.bool_],
        rebuilt: Array | None,
        seed: int,
        groups: NDArray[np.int64] | None,
    ) -> Array:
        """Scales and distances learned from nine tenths of the references, and the others scored
        as any other rows would be: by themselves references look too ordinary.
        """
        scores = np.zeros(len(rows))
        for part in tenths(len(rows), seed, groups):
            if not len(part):
                continue
            rest = np.setdiff1d(np.arange(len(rows)), part)
            those = None if rebuilt is None else rebuilt[:, rest]
            other = Strangeness(
                rows[rest], places, those, self.folds[rest], close=self.close, weights=self.weights
            )
            these = None if rebuilt is None else rebuilt[:, part]
            scores[part] = other.score(rows[part], these, self.folds[part])
        return scores

    def _member(self, rebuilt: Array, unseen: NDArray[np.bool_]) -> tuple[Neighbours, list[Tail]]:
        seen = self._of_member(rebuilt)
        if not unseen.any() or (~unseen).sum() < FEWEST:
            near = Neighbours(seen)
            return near, tails(near.distances(seen, np.ones(len(seen), bool)))
        near = Neighbours(seen[~unseen])
        return near, tails(near.distances(seen[unseen]))

    def _of_member(self, rebuilt: Array) -> Array:
        """(n, d) what a member gave back, in the scale of standard deviations."""
        return self.scales["standard"](rebuilt[:, self.used])

    def score(
        self, x: Array, rebuilt: Array | None, folds: NDArray[np.int64] | None = None
    ) -> Array:
        """(n,) nats; higher is stranger.

        Parameters
        ----------
        x : array of shape (n, d)
            None of them a reference.
        rebuilt : array of shape (k, n, d), optional
        folds : array of int of shape (n,), optional
            Which member alone is asked; by default all are.
        """
        x, total = x[:, self.used], np.zeros(len(x))
        for name, near in self.near.items():
            apart = near.distances(self.scales[name](x))
            total += self.weights[name] * in_nats(self.tails[name], apart)
        if self.members and rebuilt is not None:
            folds = np.full(len(x), ANY) if folds is None else folds
            total += SHARE_OF_MEMBERS * self._by_members(rebuilt, folds)
        return total

    def _by_members(self, rebuilt: Array, folds: NDArray[np.int64]) -> Array:
        """(n,) the mean over the members that have not seen a row."""
        total, count = np.zeros(len(folds)), np.zeros(len(folds))
        for k, (near, known) in enumerate(self.members):
            asked = np.flatnonzero((folds == ANY) | (folds == k))
            if len(asked):
                apart = near.distances(self._of_member(rebuilt[k][asked]))
                total[asked] += in_nats(known, apart)
                count[asked] += 1
        return total / count

    def without(self, x: Array, own: int, columns: list[NDArray[np.int64]]) -> Array:
        """(p,) by how much less strange one row, (d,), is without each group of columns; in the
        scales alone.
        """
        blame = np.zeros(len(columns))
        place = np.cumsum(self.used) - 1
        groups = [place[group[self.used[group]]] for group in columns]
        for name, near in self.near.items():
            squares = (near.rows - self.scales[name](x[None, self.used])) ** 2
            if own != STRANGER:
                squares = np.delete(squares, own, axis=0)
            whole = squares.sum(1)
            told = in_nats(self.tails[name], nearest(whole[None], self.close))[0]
            for j, group in enumerate(groups):
                if len(group):
                    left = np.maximum(whole - squares[:, group].sum(1), 0)
                    less = in_nats(self.tails[name], nearest(left[None], self.close))[0]
                    blame[j] += self.weights[name] * (told - less)
        return blame


def tenths(n: int, seed: int, groups: NDArray[np.int64] | None) -> list[NDArray[np.int64]]:
    """Numbers of the rows in each of ten parts, drawn; of a group all in one."""
    draws = np.random.default_rng(seed)
    if groups is None:
        return np.array_split(draws.permutation(n), TENTHS)
    folds = cut(n, TENTHS, n, draws, groups)
    return [np.flatnonzero(folds == k) for k in range(TENTHS)]


def used_columns(rows: Array) -> NDArray[np.bool_]:
    """(d,) the columns that are not constant; all, where all are."""
    used = np.ptp(rows, axis=0) > TINY * (1 + np.abs(rows).max(0))
    found: NDArray[np.bool_] = used if used.any() else np.ones(rows.shape[1], bool)
    return found


def tails(distances: Array) -> list[Tail]:
    """Of the logarithms of each column of distances."""
    return [Tail(np.log(column + TINY)) for column in distances.T]


def in_nats(known: list[Tail], distances: Array) -> Array:
    """(n,) the mean over the columns of distances."""
    parts = [tail(np.log(d + TINY)) for tail, d in zip(known, distances.T, strict=True)]
    found: Array = np.mean(parts, axis=0)
    return found


def nearest(squares: Array, close: tuple[int, ...]) -> Array:
    """(1, len(close)) as ``Neighbours.distances``, of (1, r) squared distances to all."""
    most = min(close[-1], squares.shape[1])
    few = steady(np.sqrt(np.sort(np.partition(squares, most - 1, axis=1)[:, :most], axis=1)))
    return np.stack([few[:, :k].mean(1) for k in close], 1)


def weigh(rows: Array, places: NDArray[np.bool_], seed: int) -> dict[str, float]:
    """How much each scale counts, by the rows alone; the sum is 1."""
    draws = np.random.default_rng(seed)
    rates = [crossed_told(rows, places, draws) for _ in range(TRIALS)]
    found = {name: float(np.mean([rate[name] for rate in rates])) for name in rates[0]}
    best = max(found.values())
    weights = {name: float(np.exp(SHARPNESS * (rate - best))) for name, rate in found.items()}
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


def crossed_told(
    rows: Array, places: NDArray[np.bool_], draws: np.random.Generator
) -> dict[str, float]:
    """How well the nearest neighbour in each scale tells a part of the rows from crossed ones."""
    order = draws.permutation(len(rows))
    held = max(min(FEWEST_HELD, len(rows) // 2), round(HELD * len(rows)))
    normal, known = rows[order[:held]], rows[order[held:]]
    varied = used_columns(known)
    normal, known = normal[:, varied], known[:, varied]
    crossed = [cross(normal, known, share, draws) for share in CROSSED]
    found = {}
    for name, scale in learn(known, places[varied]).items():
        near = Neighbours(scale(known), (1,))
        apart = [near.distances(scale(x))[:, 0] for x in (normal, *crossed)]
        found[name] = float(np.mean([told_apart(apart[0], other) for other in apart[1:]]))
    return found


def cross(rows: Array, others: Array, share: float, draws: np.random.Generator) -> Array:
    """Rows with about a share of their values, at least one, from another row each."""
    n, d = rows.shape
    swapped = draws.random((n, d)) < share
    swapped[np.arange(n), draws.integers(d, size=n)] = True
    found: Array = np.where(swapped, others[draws.integers(len(others), size=n)], rows)
    return found


def told_apart(low: Array, high: Array) -> float:
    """The share of pairs in which ``high`` is higher (ROC AUC); ties count half."""
    ordered = np.sort(low)
    below = np.searchsorted(ordered, high, "left") + np.searchsorted(ordered, high, "right")
    return float(below.mean() / 2 / len(low))
