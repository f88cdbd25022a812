"""What the sections on alarms draw from: one detector and the rows it is asked about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import _safe_indexing

from isthmus.baselines.comparison import Comparison
from isthmus.core.wording import counted
from isthmus.tasks.autoencoder import Autoencoder
from isthmus.tasks.calibration import in_shares
from isthmus.tasks.detect import AnomalyDetector
from isthmus.tasks.drift import Drift
from isthmus.tasks.judge_alarms import flags, judge_alarms

Array = NDArray[Any]
Flags = NDArray[np.bool_]
MOST_ALARMS = 50
"""That are shown, and of which reasons are asked."""


@dataclass(frozen=True)
class AlarmContext:
    """One chapter's subject: which of some rows are alarms, and why.

    Parameters
    ----------
    name : str
        What the detector is called.
    detector : AnomalyDetector
        Fitted.
    X : as in its ``fit``
        Rows that were not in the fit.
    labels : sequence, optional
        Which rows are anomalies: booleans, 1 and 0, or words as "anomaly" and "normal".
    identity : str
        The identity of the saved detector.
    source : str
        What the rows are called.
    files : sequence of str, optional
        What each row is called, where that is not its number.
    """

    name: str
    detector: AnomalyDetector
    X: Any
    labels: Sequence[Any] | Array | None = None
    identity: str = ""
    source: str = ""
    files: Sequence[str] | None = None

    @property
    def model(self) -> Autoencoder:
        """The members of the detector."""
        return self.detector.model_

    @cached_property
    def scores(self) -> Array:
        """(n,) how strange each row is, in nats."""
        found: Array = -self.detector.score_samples(self.X)
        return found

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def threshold(self) -> float:
        """The score above which a row is an alarm."""
        return -self.detector.offset_

    @cached_property
    def alarms(self) -> Array:
        """Numbers of the rows that are alarms, the strangest first."""
        found = np.flatnonzero(self.scores > self.threshold)
        return found[np.argsort(-self.scores[found], kind="stable")]

    @cached_property
    def pvalues(self) -> Array:
        """(n,) the share of ordinary rows that are as strange."""
        return in_shares(self.detector.tail_(self.scores))

    @property
    def usual(self) -> str:
        """What rates and p-values are shares of: not all rows fitted on need be ordinary."""
        return "ordinary rows" if self.detector.contamination is None else "the rows fitted on"

    @property
    def rate(self) -> float:
        """The share of the usual rows that are alarms."""
        given = self.detector.contamination
        return self.detector.false_alarms if given is None or isinstance(given, str) else given

    @property
    def headline(self) -> str:
        """How many alarms there are, and how many would be if all were well."""
        n = len(self.alarms)
        found = f"{counted(n, 'alarm') if n else 'No alarms'} in {counted(len(self), 'row')}"
        expected = round(self.rate * len(self))
        about = f"about {expected:,} {'is' if expected == 1 else 'are'}" if expected else "none is"
        if self.detector.contamination is not None:
            like = "if they are like the rows fitted on, of which"
            return f"{found}; {about} to be expected {like} {percent(self.rate)} are alarms."
        rate = f"at {percent(self.rate)} of false alarms"
        return f"{found}; {rate} {about} to be expected if all is well."

    @cached_property
    def labelled(self) -> Flags | None:
        """(n,) which rows are anomalies by their labels."""
        return None if self.labels is None else flags(self.labels)

    @property
    def has_both(self) -> bool:
        """Whether the labels name some rows anomalies and some not."""
        known = self.labelled
        return known is not None and bool(known.any()) and not known.all()

    @cached_property
    def moved(self) -> Drift:
        """Whether the rows, in their order, have drifted."""
        return self.detector.drift_of(self.scores)

    @cached_property
    def comparison(self) -> Comparison:
        """The detector beside plain methods where labels tell, else by its alarms."""
        return judge_alarms(self.detector, self.X, self.labelled if self.has_both else None)

    def outcome(self) -> dict[str, Any]:
        """What the page says in short, as plain data."""
        return {
            "verdict": f"{self.headline} {self.comparison.verdict}",
            "plain_wins": self.comparison.plain_wins,
            "rows": len(self),
            "alarms": len(self.alarms),
        }

    @property
    def shown(self) -> Array:
        """Numbers of the alarms that the page tells of."""
        found: Array = self.alarms[:MOST_ALARMS]
        return found

    @property
    def of_images(self) -> bool:
        """Whether the rows are images: they have places to blame, in place of columns."""
        return self.detector.images_ is not None

    @cached_property
    def unlike(self) -> Array:
        """Of each alarm shown, how unlike others each place of the image is."""
        return self.detector.explain_scores(self.rows_shown)

    @cached_property
    def rows_shown(self) -> Any:
        """The alarms that the page tells of, as they came."""
        # Sparse matrices are indexed by rows in one format only.
        X = self.X.tocsr() if hasattr(self.X, "tocsr") else self.X
        return _safe_indexing(X, self.shown)

    @cached_property
    def reasons(self) -> list[list[str]]:
        """Of each alarm shown, why it is one."""
        return [[str(one) for one in row] for row in self.detector.reasons(self.rows_shown)]

    @cached_property
    def blame(self) -> list[tuple[str, float]]:
        """The columns and their mean blame over the alarms shown, in nats; the worst first."""
        described = self.model.kind_.columns_described() or []
        mean = self.detector.explain_scores(self.rows_shown).mean(0)
        order = np.argsort(-mean, kind="stable")
        return [(described[j][0], float(mean[j])) for j in order if mean[j] > 0]


def percent(share: float) -> str:
    """A share in words."""
    return f"{100 * share:.3g} %"
