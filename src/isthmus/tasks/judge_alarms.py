"""A detector on new rows: beside the plain methods where labels are known, else by its alarms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from isthmus.baselines.comparison import Comparison, Row
from isthmus.baselines.outliers import plain_scorers
from isthmus.core.errors import DataError

if TYPE_CHECKING:
    from isthmus.tasks.detect import AnomalyDetector

OURS = "this detector"
DRAWS = 200
"""With replacement, for standard errors (Efron 1979, https://doi.org/10.1214/aos/1176344552)."""
RATES = (0.01, 0.05, 0.1)
YES = {"1", "1.0", "true", "yes", "y", "anomaly", "abnormal", "outlier", "attack", "fault"}
NO = {"0", "0.0", "-1", "false", "no", "n", "normal", "ordinary", "inlier", "ok"}
Measured = NDArray[np.float64]


def judge_alarms(detector: AnomalyDetector, X: Any, labels: Any = None) -> Comparison:
    """How well a detector tells anomalies apart; or, without labels, how many alarms it gives.

    Parameters
    ----------
    detector : AnomalyDetector
        Fitted.
    X : as in its ``fit``
        Rows that were not used in the fit.
    labels : array of shape (n_samples,), optional
        Which rows are anomalies: booleans, 1 and 0, or words as "anomaly" and "normal".

    Returns
    -------
    Comparison
        The areas under the curves of true and false alarms (AUROC) and of precision and recall
        (AUPRC), with plain methods fitted to the same rows; or the share of alarms at each rate.

    Raises
    ------
    DataError
        If labels are not of two kinds.
    """
    if labels is None:
        return _by_rates(detector.pvalues(X), len(detector.known_))
    anomalous = flags(labels)
    if anomalous.all() or not anomalous.any():
        raise DataError("the labels must name some rows anomalies and some not; all are alike.")
    scores = _scores(detector, X)
    found = {name: _measured(anomalous, values) for name, values in scores.items()}
    rows = []
    for name, (value, drawn) in found.items():
        for j, measure in enumerate(("AUROC", "AUPRC")):
            rows.append(Row(name, measure, float(value[j]), float(drawn[:, j].std())))
    return Comparison(rows, *_verdict(found, len(anomalous)))


def flags(labels: Any) -> NDArray[np.bool_]:
    """(n,) which rows are anomalies by their labels."""
    words = [str(label).strip().lower() for label in np.asarray(labels).tolist()]
    unknown = sorted(set(words) - YES - NO)
    if unknown:
        raise DataError(
            f"the labels hold '{unknown[0]}'. Give 1 for an anomaly and 0 for all else, or true "
            "and false."
        )
    return np.array([word in YES for word in words])


def _scores(detector: AnomalyDetector, X: Any) -> dict[str, Measured]:
    """(n,) of each method, the plain ones fitted to the same references."""
    strangeness = detector.strangeness_
    scale, used = strangeness.scales["standard"], strangeness.used
    known = detector.references_.looked.rows[detector.kept_]
    rows = scale(known[:, used].astype(np.float64))
    new = [looked.rows[:, used] for _, looked in detector.references_.look(detector._batch(X))]
    x = scale(np.concatenate(new).astype(np.float64))
    plain = {name: score(x) for name, score in plain_scorers(rows, 0).items()}
    return {OURS: -detector.score_samples(X), **plain}


def _measured(anomalous: NDArray[np.bool_], scores: Measured) -> tuple[Measured, Measured]:
    """AUROC and AUPRC, and (draws, 2) the same of rows drawn anew, equal draws for each method."""

    def both(index: NDArray[np.int64]) -> tuple[float, float]:
        chosen = anomalous[index], scores[index]
        return float(roc_auc_score(*chosen)), float(average_precision_score(*chosen))

    draws = np.random.default_rng(0)
    kinds = np.flatnonzero(anomalous), np.flatnonzero(~anomalous)
    drawn = [
        both(np.concatenate([draws.choice(kind, len(kind)) for kind in kinds]))
        for _ in range(DRAWS)
    ]
    return np.array(both(np.arange(len(scores)))), np.array(drawn)


def _verdict(found: dict[str, tuple[Measured, Measured]], n: int) -> tuple[str, bool]:
    """What it says in a sentence, and whether a plain method is as good."""
    value, drawn = found[OURS]
    best = max((name for name in found if name != OURS), key=lambda name: found[name][0][0])
    gain = float(value[0] - found[best][0][0])
    error = float((drawn[:, 0] - found[best][1][:, 0]).std())
    told = f"AUROC {value[0]:.3f} against {found[best][0][0]:.3f} on {n:,} rows"
    if gain > 2 * error and gain > 0:
        return f"Better than the best plain method, {best}: {told}.", False
    if gain < -2 * error:
        return f"A plain method wins, {best}: {told}. Use it.", True
    return f"No clear difference from the best plain method, {best}: {told}.", True


def _by_rates(pvalues: Measured, known: int) -> Comparison:
    n = len(pvalues)
    rows, far = [], []
    for rate in RATES:
        share = float((pvalues <= rate).mean())
        error = (rate * (1 - rate) * (1 / n + 1 / known)) ** 0.5
        rows.append(Row(OURS, f"alarms at {rate:.0%}", share, error))
        far.append((share - rate) / error)
    if max(far) > 3:
        rate = RATES[int(np.argmax(far))]
        verdict = f"More alarms at {rate:.0%} than ordinary rows give: there are anomalies, or the "
        verdict += "data have moved"
    elif min(far) < -3:
        rate = RATES[int(np.argmin(far))]
        verdict = f"Fewer alarms at {rate:.0%} than ordinary rows give: these rows are more alike "
        verdict += "than those fitted on"
    else:
        verdict = "As many alarms as ordinary rows give"
    return Comparison(rows, f"{verdict}. How well they are told apart takes --labels.", False)
