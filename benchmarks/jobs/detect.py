"""How well a method tells anomalies from other rows, and how far our figures can be trusted."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from benchmarks import data
from benchmarks.data import Array
from benchmarks.jobs.detectors import METHODS

CONTAMINATION = 0.1
"""Share of the rows to train on that are anomalies."""
HIDDEN = 0.3
"""Share of the cells that are gaps."""
RATES = (0.01, 0.05, 0.1)
FDR = 0.1
SURE = 0.95
CORRUPTED, MOVED, FIRST = 100, 5.0, 3
"""Rows of which one feature is moved, by how many standard deviations, and the places counted."""


class Rows(NamedTuple):
    """Rows to train on, rows to score, and which of these are anomalies."""

    train: Array
    test: Array
    anomalous: Array
    contamination: float
    """Share of the rows to train on that are anomalies."""

    def filled(self) -> Rows:
        """With the means of the training columns in place of gaps."""
        mean = np.nanmean(self.train, axis=0)
        train, test = (np.where(np.isnan(x), mean, x) for x in (self.train, self.test))
        return self._replace(train=train, test=test)


def one_class(x: Array, y: Array, seed: int, most: int, share: float = 0.0) -> Rows:
    """A random half of the normal rows to train on, all others to score.

    With ``share``, anomalies join the rows to train on, at most half of those there are.
    """
    random = np.random.default_rng(seed)
    normal, odd = (random.permutation(np.flatnonzero(y == kind)) for kind in (False, True))
    half, rest = np.split(normal, [len(normal) // 2])
    joined = min(round(min(len(half) / (1 - share), most) * share), len(odd) // 2)
    train = random.permutation(np.concatenate([half[: most - joined], odd[:joined]]))
    test = np.concatenate([rest, odd[joined:]])
    return Rows(x[train], x[test], y[test], float(y[train].mean()))


def contaminated(x: Array, y: Array, seed: int, most: int) -> Rows:
    """One-class, with anomalies among the rows to train on and no longer among the others."""
    return one_class(x, y, seed, most, CONTAMINATION)


def missing(x: Array, y: Array, seed: int, most: int) -> Rows:
    """One-class with gaps at random; every row keeps a value."""
    rows = one_class(x, y, seed, most)
    random = np.random.default_rng(seed)

    def with_gaps(x: Array) -> Array:
        gone = random.random(x.shape) < HIDDEN
        kept = random.integers(x.shape[1], size=len(x))
        gone[np.arange(len(x)), kept] &= ~gone.all(1)
        return np.where(gone, np.nan, x)

    return rows._replace(train=with_gaps(rows.train), test=with_gaps(rows.test))


def unsupervised(x: Array, y: Array, seed: int, most: int) -> Rows:
    """All rows, to train on and to score."""
    return Rows(x, x, y, float(y.mean()))


PROTOCOLS: dict[str, Callable[[Array, Array, int, int], Rows]] = {
    "one-class": one_class,
    "unsupervised": unsupervised,
    "contaminated": contaminated,
    "missing": missing,
}
AMONG = ("unsupervised", "contaminated")
"""Protocols with anomalies among the rows to train on."""


@cache
def warm(method: str) -> None:
    """Let what is imported with the first fit be there."""
    x = np.random.default_rng(0).normal(size=(64, 4))
    METHODS[method](x, 0).score(x)


def false_alarms(p: Array, n_train: int) -> dict[str, Any]:
    """By nominal rate, the share of normal rows with such p-values, and whether it is within what
    chance allows: of the rows that were scored, and of those that calibrated as well.
    """
    from scipy.stats import betabinom, binom

    found = {}
    for rate in RATES:
        alarms = int((p <= rate).sum())
        scored = binom.interval(SURE, len(p), rate)
        known = rate * (n_train + 1), (1 - rate) * (n_train + 1)
        both = betabinom.interval(SURE, len(p), *known)
        found[str(rate)] = {
            "share": alarms / len(p),
            "scored": bool(scored[0] <= alarms <= scored[1]),
            "both": bool(both[0] <= alarms <= both[1]),
        }
    return found


def calibration(model: Any, rows: Rows) -> dict[str, Any]:
    """False alarms among normal rows, and what is selected at a false discovery rate."""
    p = np.asarray(model.pvalues(rows.test[~rows.anomalous]), np.float64)
    selected = np.asarray(model.select(rows.test, fdr=FDR), bool)
    wrong = int((selected & ~rows.anomalous).sum())
    return {
        "alarms": false_alarms(p, len(rows.train)),
        "selected": int(selected.sum()),
        "fdp": wrong / max(1, int(selected.sum())),
        "power": float(selected[rows.anomalous].mean()),
    }


def area(anomalous: Array, scores: Array) -> float:
    """Under the ROC curve."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(anomalous, scores))


def among_fewer(rows: Rows, scores: Array, fewer: int) -> float:
    """The area under the ROC curve without the first so many anomalies.

    These are the ones that join the rows to train on when they are contaminated, so that this is
    what contamination is compared with.
    """
    first = np.flatnonzero(rows.anomalous)[:fewer]
    return area(np.delete(rows.anomalous, first), np.delete(scores, first))


def ranked(protocol: str, name: str, seed: int, method: str, most: int) -> dict[str, Any]:
    """The areas under the curves, and the seconds; of ours in one-class, its calibration too."""
    from sklearn.metrics import average_precision_score

    x, y = data.labelled(name)
    rows = PROTOCOLS[protocol](x, y, seed, most)
    if method != "ours":
        rows = rows.filled()
    warm(method)
    start = time.perf_counter()
    told = {"contamination": "auto"} if method == "ours" and protocol in AMONG else {}
    fitted = METHODS[method](rows.train, seed, **told)
    middle = time.perf_counter()
    scores = fitted.seen() if protocol == "unsupervised" else fitted.score(rows.test)
    end = time.perf_counter()
    if not np.isfinite(scores).all():
        return {"error": "scores that are not finite"}
    found = {
        "auroc": area(rows.anomalous, scores),
        "auprc": float(average_precision_score(rows.anomalous, scores)),
        "fit_s": middle - start,
        "score_s": end - middle,
        "n_train": len(rows.train),
        "n_test": len(rows.test),
        "contamination": rows.contamination,
    }
    if protocol == "one-class":
        fewer = len(rows.test) - len(contaminated(x, y, seed, most).test)
        found["auroc_fewer"] = among_fewer(rows, scores, fewer)
    if method == "ours" and protocol == "one-class":
        found |= calibration(fitted.model, rows)
    return found


def places(blame: Array, feature: Array) -> Array:
    """(n,) the place of each row's feature, 1 for the most to blame; ties count against it."""
    own = np.take_along_axis(blame, feature[:, None], 1)
    return np.asarray((~(blame < own)).sum(1))


def shares(blame: Array, feature: Array, what: str) -> dict[str, float]:
    """How often the moved feature is the first, and among the first."""
    place = places(blame, feature)
    return {
        f"{what}_first": float((place == 1).mean()),
        f"{what}_among": float((place <= FIRST).mean()),
    }


def explained(name: str, seed: int, most: int) -> dict[str, Any]:
    """Whether the feature that was moved is the one to blame, beside the plain distance of each
    value from its mean.
    """
    rows = one_class(*data.labelled(name), seed, most)
    random = np.random.default_rng(seed)
    x = rows.test[~rows.anomalous][:CORRUPTED].copy()
    mean, spread = rows.train.mean(0), rows.train.std(0)
    varied = (rows.train != rows.train[0]).any(0)
    feature = random.choice(np.flatnonzero(varied), len(x))
    x[np.arange(len(x)), feature] += MOVED * spread[feature] * random.choice([-1, 1], len(x))
    warm("ours")
    model = METHODS["ours"](rows.train, seed).model
    start = time.perf_counter()
    blame = np.asarray(model.explain_scores(x), np.float64)
    seconds = time.perf_counter() - start
    away = np.abs(x - mean) / np.where(varied, spread, np.inf)
    return {
        **shares(blame, feature, "ours"),
        **shares(away, feature, "plain"),
        "explain_s": seconds,
        "rows": len(x),
        "columns": int(varied.sum()),
    }


def answer(protocol: str, name: str, seed: int, method: str, most: int) -> dict[str, Any]:
    if protocol == "corrupted":
        return explained(name, seed, most)
    return ranked(protocol, name, seed, method, most)
