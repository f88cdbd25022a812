"""``isthmus detect``: which rows do not belong, how sure that is, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from isthmus.apps.cli import options
from isthmus.apps.cli.partial import drop, kept_in
from isthmus.apps.cli.speech import give
from isthmus.core.wording import counted

if TYPE_CHECKING:
    from isthmus.apps.cli.rows import Rows
    from isthmus.tasks.detect import AnomalyDetector

RATE = "RATE"
TAKEN = (
    "ctx",
    "data",
    "out",
    "job",
    "epochs",
    "max_time",
    "seed",
    "device",
    "false_alarms",
    "contamination",
    "labels",
    "groups",
    "kind",
    "resume",
    "quiet",
    "as_json",
)
"""What ``fit --for detect`` takes of what ``fit`` takes."""


def share(text: str | None, option: str) -> float | None:
    """A share, as 0.01 or 1%."""
    if text is None:
        return None
    number, percent = text.strip().removesuffix("%"), text.strip().endswith("%")
    try:
        found = float(number) / (100 if percent else 1)
    except ValueError:
        found = -1.0
    if not 0 < found < 1:
        raise typer.BadParameter(
            f"it is a share, as 1% or 0.01, above 0 and below 1; got '{text}'.", param_hint=option
        )
    return found


def anomalies(text: str | None) -> float | str | None:
    """A share of anomalies, or auto."""
    return text if text == "auto" else share(text, "--contamination")


def detect(
    model: options.Model,
    data: options.Data,
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            metavar="OUT",
            help=(
                "Where to write; the ending chooses the format (csv, tsv, parquet, arrow, feather)."
            ),
            show_default=False,
        ),
    ],
    false_alarms: Annotated[
        str | None,
        typer.Option(
            metavar=RATE,
            help="The share of ordinary rows that may be alarms, as 1%. By default the model's.",
            show_default=False,
        ),
    ] = None,
    fdr: Annotated[
        str | None,
        typer.Option(
            metavar=RATE,
            help="The share of the alarms that may be ordinary rows, in place of --false-alarms.",
            show_default=False,
        ),
    ] = None,
    reasons: Annotated[
        int, typer.Option(min=0, metavar="N", help="Columns named as reasons of an alarm.")
    ] = 3,
    maps: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Of images: where to write each alarm with a tint where it is unlike others.",
            show_default=False,
        ),
    ] = None,
    labels: options.Labels = None,
    as_json: options.Json = False,
) -> None:
    """Write for each row of DATA a score, a p-value, whether it is an alarm, and why.

    The p-value is the share of ordinary rows that are as strange. MODEL is one that was fitted
    with --for detect. Should the rows, in their order, have drifted from those fitted on, it is
    said.
    """
    import numpy as np

    from isthmus.apps.cli.rows import check_out, read_rows
    from isthmus.data import write
    from isthmus.tasks.calibration import in_shares

    rate, discovered = share(false_alarms, "--false-alarms"), share(fdr, "--fdr")
    if rate is not None and discovered is not None:
        raise typer.BadParameter("give --false-alarms or --fdr, not both.", param_hint="--fdr")
    check_out(out, "words")
    detector = detector_at(model)
    if maps is not None:
        check_maps(maps, detector)
    rows = read_rows(data, labels, of=detector)
    scores = detector.score_samples(rows.X)
    pvalues = in_shares(detector.tail_(-scores))
    alarms = alarms_of(detector, scores, pvalues, rate, discovered)
    why = np.full(len(scores), "", dtype=object)
    which = np.flatnonzero(alarms)
    if reasons and len(which):
        found = detector.reasons(taken(rows.X, which), reasons)
        why[which] = ["; ".join(str(reason) for reason in row) for row in found]
    told = {"score": scores, "p_value": pvalues, "alarm": alarms, "reasons": why.astype(str)}
    which_row = {"row": np.arange(len(scores))}
    names = which_row if rows.files is None else {"file": np.array(rows.files)}
    write(out, names | told)
    if maps is not None and len(which):
        write_maps(maps, detector, rows, which)
    moved = detector.drift_of(-scores)
    words = f"{out}: {counted(len(which), 'alarm')} in {counted(len(scores), 'row')}"
    words += f"; {moved}" * moved.told
    result = {"out": str(out), "rows": len(scores), "alarms": len(which)}
    drift = {"drift_judged": moved.judged, "drift_since": moved.since, "bursts": moved.bursts}
    give({**result, **drift}, words, as_json)


def check_maps(folder: Path, detector: AnomalyDetector) -> None:
    """Refuse before the work what could not be written after it."""
    from isthmus.apps.cli.rows import check_out

    if detector.images_ is None:
        raise typer.BadParameter("there are maps of images only.", param_hint="--maps")
    check_out(folder, "images", "--maps")


def write_maps(folder: Path, detector: AnomalyDetector, rows: Rows, which: Any) -> None:
    """Write images, each with a tint where it is unlike others."""
    from isthmus import data, plot
    from isthmus.data.gathering import as_images

    images = taken(rows.X, which)
    drawn = [plot.heat(*pair) for pair in zip(images, detector.explain_scores(images), strict=True)]
    called = [str(i) if rows.files is None else f"{i}-{Path(rows.files[i]).stem}" for i in which]
    data.write(folder, as_images(drawn), [f"{name}.png" for name in called])


def fit_detector(
    data: Path,
    out: Path,
    false_alarms: float | None,
    contamination: float | str | None,
    epochs: int | None,
    max_time: str | None,
    seed: int,
    device: str,
    labels: list[str] | None,
    groups: str | None,
    kind: str | None,
    quiet: bool,
    as_json: bool,
    *,
    partial: Path,
    resume: bool | None,
    words: list[str],
) -> None:
    """What ``fit --for detect`` does, at the ``words`` of the user; ``partial`` is where its
    training is kept.
    """
    from isthmus.apps.cli.rows import read_rows, say_read
    from isthmus.tasks.detect import AnomalyDetector

    if groups and labels:
        raise typer.BadParameter(
            "one column can be set apart: leave --labels out.", param_hint="--groups"
        )
    detector = AnomalyDetector(
        contamination=contamination,
        epochs=epochs,
        max_time=max_time,
        random_state=seed,
        device=device,
        resume=partial,
        verbose=not quiet,
    )
    if false_alarms is not None:
        detector.set_params(false_alarms=false_alarms)
    with kept_in(partial, words):
        rows = read_rows(data, [groups] if groups else labels, kind)
        if not quiet:
            say_read(data, rows)
        if not resume:
            drop(partial)
        detector.fit(rows.X, groups=rows.labels if groups else None)
        detector.set_apart_ = groups
        identity = detector.save(out)
    known, n = int(detector.kept_.sum()), len(rows)
    by = ", ".join(f"{name} {weight:.0%}" for name, weight in detector.weights_.items())
    told = (
        f"{out}: a detector by {counted(known, 'row')} of {n:,}, with "
        f"{detector.false_alarms:.3g} of ordinary rows as false alarms. Scales by weight: {by}"
    )
    result = {
        "model": str(out),
        "identity": identity,
        "rows": n,
        "references": known,
        "false_alarms": detector.false_alarms,
        "contamination": detector.contamination,
        "weights": detector.weights_,
    }
    give(result, told, as_json)


def detector_at(path: Path) -> AnomalyDetector:
    """The detector in a folder, or an error that says how to fit one."""
    from isthmus.core.errors import AbilityError
    from isthmus.tasks.detect import AnomalyDetector
    from isthmus.tasks.saving import load

    found = load(path)
    if not isinstance(found, AnomalyDetector):
        raise AbilityError(
            f"'{path}' does not know which rows are ordinary, so it cannot detect others. Fit a "
            "model that does with: isthmus fit DATA --for detect"
        )
    return found


def alarms_of(
    detector: AnomalyDetector, scores: Any, pvalues: Any, rate: float | None, fdr: float | None
) -> Any:
    """(n,) which rows are alarms: by a rate of either kind, or as the model was told."""
    from isthmus.tasks.calibration import selected

    if fdr is not None:
        return selected(pvalues, fdr)
    return pvalues <= rate if rate is not None else scores < detector.offset_


def taken(X: Any, which: Any) -> Any:
    """Some rows of what was read."""
    return X.take(which) if hasattr(X, "column_names") else X[which]
