"""``isthmus detect``: which rows do not belong, how sure that is, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from isthmus.apps.cli import options
from isthmus.apps.cli.partial import drop, say_interrupted
from isthmus.apps.cli.speech import give
from isthmus.apps.cli.verbs import INTERRUPTED
from isthmus.core.wording import counted

if TYPE_CHECKING:
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
    labels: options.Labels = None,
    as_json: options.Json = False,
) -> None:
    """Write for each row of DATA a score, a p-value, whether it is an alarm, and why.

    The p-value is the share of ordinary rows that are as strange. MODEL is one that was fitted
    with --for detect.
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
    rows = read_rows(data, labels, of=detector.model_)
    scores = detector.score_samples(rows.X)
    pvalues = in_shares(detector.tail_(-scores))
    alarms = alarms_of(detector, scores, pvalues, rate, discovered)
    why = np.full(len(scores), "", dtype=object)
    if reasons and alarms.any():
        which = np.flatnonzero(alarms)
        found = detector.reasons(taken(rows.X, which), reasons)
        why[which] = ["; ".join(str(reason) for reason in row) for row in found]
    write(out, {"score": scores, "p_value": pvalues, "alarm": alarms, "reasons": why.astype(str)})
    words = f"{out}: {counted(int(alarms.sum()), 'alarm')} in {counted(len(scores), 'row')}"
    give({"out": str(out), "rows": len(scores), "alarms": int(alarms.sum())}, words, as_json)


def check_no_more(ctx: typer.Context) -> None:
    """Refuse the options of ``fit`` that a detector decides by itself."""
    for parameter in ctx.command.params:
        name = str(parameter.name)
        source = ctx.get_parameter_source(name)
        if name not in TAKEN and source is not None and source.name == "COMMANDLINE":
            raise typer.BadParameter(
                "with --for detect it is decided by the data. Leave it out.",
                param_hint=parameter.opts[0],
            )


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
    from isthmus.core.errors import AbilityError
    from isthmus.tasks.detect import AnomalyDetector

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
    try:
        rows = read_rows(data, labels)
        if not quiet:
            say_read(data, rows)
        if not resume:
            drop(partial)
        detector.fit(rows.X)
        identity = detector.save(out)
    except KeyboardInterrupt:
        say_interrupted(partial, words)
        raise typer.Exit(INTERRUPTED) from None
    except AbilityError:
        drop(partial)  # to go on would lead no further
        raise
    drop(partial)
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
