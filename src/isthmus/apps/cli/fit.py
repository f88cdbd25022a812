"""``isthmus fit``: from data to a saved model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from isthmus.apps.cli import codec as codecs
from isthmus.apps.cli import detect as detectors
from isthmus.apps.cli import impute as imputers
from isthmus.apps.cli import mend as menders
from isthmus.apps.cli import options
from isthmus.apps.cli.outcome import left_out, outcome
from isthmus.apps.cli.partial import check_partial, drop, kept_in
from isthmus.apps.cli.parts import number_or, part
from isthmus.apps.cli.speech import give
from isthmus.core.wording import counted

if TYPE_CHECKING:
    from isthmus.tasks.autoencoder import Autoencoder

MOST_QUALITY = 8
JOBS = ("reduce", "detect", "compress", "denoise", "restore")
LATER = ("generate", "cluster", "classify", "map")
PART = "PART"


def fit(
    ctx: typer.Context,
    data: options.Data,
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            metavar="MODEL",
            help="Where to save the model, a folder.",
            show_default=False,
        ),
    ],
    job: Annotated[
        str,
        typer.Option(
            "--for",
            metavar="JOB",
            help="What the model is for: reduce, detect, compress, denoise or restore.",
        ),
    ] = "reduce",
    latent_dim: Annotated[
        str,
        typer.Option(metavar="N", help="Dimensions of the code, or auto."),
    ] = "auto",
    recipe: Annotated[
        str,
        typer.Option(metavar="NAME", help="autoencoder, vae ...; see isthmus info --recipes."),
    ] = "autoencoder",
    epochs: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Passes over the data.", show_default=False),
    ] = None,
    max_time: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Train for so long: 90s, 2min, 1h.", show_default=False),
    ] = None,
    batch_size: Annotated[
        str | None,
        typer.Option(metavar="N", help="Rows in a step, or full.", show_default=False),
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(metavar="RATE", help="The rate at its peak.", show_default=False)
    ] = None,
    optimizer: Annotated[
        str, typer.Option(metavar="NAME", help="adamw, adam, sgd, rmsprop, lion or muon.")
    ] = "adamw",
    weight_decay: Annotated[
        float | None,
        typer.Option(metavar="RATE", help="How fast weights shrink.", show_default=False),
    ] = None,
    gradient_clip: Annotated[
        float | None,
        typer.Option(metavar="NORM", help="The largest norm of a gradient.", show_default=False),
    ] = None,
    validation: Annotated[
        float,
        typer.Option(
            metavar="SHARE", help="Share of the rows held out to choose the best weights."
        ),
    ] = 0.05,
    patience: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Epochs without improvement after which training stops.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="The same seed gives the same model.")] = 0,
    device: Annotated[str, typer.Option(metavar="NAME", help="auto, cpu, cuda, cuda:1.")] = "auto",
    precision: Annotated[
        str, typer.Option(metavar="NAME", help="auto, float32 or bfloat16.")
    ] = "auto",
    n_members: Annotated[
        int,
        typer.Option(min=1, metavar="N", help="Models that are trained to answer together."),
    ] = 1,
    false_alarms: Annotated[
        str | None,
        typer.Option(
            metavar="RATE",
            help="With --for detect, the share of ordinary rows that may be alarms. [default: 1%]",
            show_default=False,
        ),
    ] = None,
    contamination: Annotated[
        str | None,
        typer.Option(
            metavar="RATE",
            help="With --for detect, the share of anomalies in DATA, or auto. [default: none]",
            show_default=False,
        ),
    ] = None,
    groups: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help=(
                "With --for detect, a column set apart that says what rows belong to, where "
                "several are of one machine or object and new ones are of others."
            ),
            show_default=False,
        ),
    ] = None,
    lossless: Annotated[
        bool | None,
        typer.Option(
            "--lossless",
            help="With --for compress: every pixel shall come back as it was.",
            show_default=False,
        ),
    ] = None,
    quality: Annotated[
        str | None,
        typer.Option(
            metavar="RANGE",
            help=(
                "With --for compress: with loss, one model for these qualities of 1 (fewest bytes) "
                "to 8, like 1..8."
            ),
            show_default=False,
        ),
    ] = None,
    speed: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=(
                "With --for compress: best, or fast for several times the speed and a few per cent "
                "more bytes. [default: best]"
            ),
            show_default=False,
        ),
    ] = None,
    clean: menders.Clean = None,
    damage: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=(
                "With --for denoise or restore: DATA are clean images, and what is done to them "
                "shall be undone. noise:scale=0.1, poisson, salt-and-pepper, jpeg, blur, holes, "
                "scale2, scale4."
            ),
            show_default=False,
        ),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="table or images; guessed from the data.", show_default=False
        ),
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(
            metavar=PART,
            help="In place of the recipe's: mlp:widths=[128,64], conv.",
            show_default=False,
        ),
    ] = None,
    code: Annotated[
        str | None,
        typer.Option(
            metavar=PART, help="In place of the recipe's: point, gaussian.", show_default=False
        ),
    ] = None,
    prior: Annotated[
        str | None,
        typer.Option(metavar=PART, help="In place of the recipe's: normal.", show_default=False),
    ] = None,
    likelihood: Annotated[
        str | None,
        typer.Option(
            metavar=PART, help="In place of the recipe's: gaussian, bernoulli.", show_default=False
        ),
    ] = None,
    corruption: Annotated[
        str | None,
        typer.Option(
            metavar=PART,
            help="In place of the recipe's: noise:scale=0.2, mask, none.",
            show_default=False,
        ),
    ] = None,
    penalties: Annotated[
        list[str] | None,
        typer.Option(
            metavar=PART, help="In place of the recipe's; may be repeated.", show_default=False
        ),
    ] = None,
    labels: options.Labels = None,
    resume: Annotated[
        bool | None,
        typer.Option(
            "--resume/--no-resume",
            help="Go on with a training that was interrupted, or drop it and start anew.",
            show_default=False,
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No words about the work.")] = False,
    as_json: options.Json = False,
) -> None:
    """Train a model on DATA and save it as MODEL.

    It starts as PCA, and keeps what training adds only if that is better on rows held out. With
    --for detect it learns what ordinary rows are like, and isthmus detect finds the others; with
    --for restore how columns go together, and isthmus restore fills the missing cells of a table.

    A training that is interrupted keeps its state beside the model, in MODEL.partial; the same
    command with --resume goes on with it.
    """
    _check_job(job)
    _check_model_place(out)
    partial, words = out.with_name(f"{out.name}.partial"), ctx.obj or []
    if job == "detect":
        rates = detectors.share(false_alarms, "--false-alarms"), detectors.anomalies(contamination)
        options.check_no_more(ctx, job, detectors.TAKEN)
        check_partial(partial, resume)
        detectors.fit_detector(
            data, out, *rates, epochs, max_time, seed, device, labels, groups, kind, quiet, as_json,
            partial=partial, resume=resume, words=words,
        )  # fmt: skip
        return
    if job == "compress":
        qualities = _qualities(lossless, quality)
        options.check_no_more(ctx, job, codecs.TAKEN)
        check_partial(partial, resume)
        codecs.fit_codec(
            data, out, lossless=qualities is None, qualities=qualities, speed=speed or "best",
            epochs=epochs, max_time=max_time,
            learning_rate=learning_rate, validation=validation, seed=seed, quiet=quiet,
            as_json=as_json, partial=partial, resume=resume, words=words,
        )  # fmt: skip
        return
    if job == "restore" and imputers.is_table(data, kind, damage, clean):
        options.check_no_more(ctx, job, imputers.TAKEN)
        check_partial(partial, resume)
        imputers.fit_restorer(
            data, out, epochs=epochs, max_time=max_time, seed=seed, device=device, labels=labels,
            kind=kind, quiet=quiet, as_json=as_json, partial=partial, resume=resume, words=words,
        )  # fmt: skip
        return
    if job in menders.JOBS:
        options.check_no_more(ctx, job, menders.TAKEN)
        check_partial(partial, resume)
        menders.fit_mender(
            data, out, job, clean=clean, damage=damage, epochs=epochs, max_time=max_time,
            learning_rate=learning_rate, validation=validation, seed=seed, device=device,
            precision=precision, quiet=quiet, as_json=as_json, partial=partial, resume=resume,
            words=words,
        )  # fmt: skip
        return
    _only_for("denoise", clean=clean, damage=damage)
    _only_for("detect", false_alarms=false_alarms, contamination=contamination, groups=groups)
    _only_for("compress", lossless=lossless, quality=quality, speed=speed)
    check_partial(partial, resume)
    with kept_in(partial, words):
        from isthmus.apps.cli.rows import read_rows, say_read
        from isthmus.tasks.autoencoder import Autoencoder
        from isthmus.tasks.parameters import recipe_of, settings_of

        model = Autoencoder(
            latent_dim=number_or(latent_dim, "auto", "--latent-dim"),
            recipe=recipe,
            network=part(network),
            code=part(code),
            prior=part(prior),
            likelihood=part(likelihood),
            corruption=part(corruption),
            penalties=[found for word in penalties if (found := part(word))] if penalties else None,
            epochs=epochs,
            max_time=max_time,
            batch_size=None
            if batch_size is None
            else number_or(batch_size, "full", "--batch-size"),
            learning_rate=learning_rate,
            optimizer=optimizer,
            weight_decay=weight_decay,
            gradient_clip=gradient_clip,
            validation=validation,
            patience=patience,
            random_state=seed,
            device=device,
            precision=precision,
            n_members=n_members,
            kind=kind,
            resume=partial,
            verbose=not quiet,
        )
        settings_of(model), recipe_of(model)
        rows = read_rows(data, labels, kind)
        if not quiet:
            say_read(data, rows)
        if not resume:
            drop(partial)
        model.fit(rows.X)
        identity = model.save(out)
    give(fitted(model, out, identity, len(rows)), f"{out}: {_said(model)}", as_json)


def _only_for(job: str, **values: str | bool | Path | None) -> None:
    for name, value in values.items():
        if value is not None:
            option = f"--{name.replace('_', '-')}"
            raise typer.BadParameter(f"it goes with --for {job}.", param_hint=option)


def _qualities(lossless: bool | None, quality: str | None) -> tuple[int, int] | None:
    """The lowest and highest quality that were asked for; None without loss."""
    if bool(lossless) == (quality is not None):
        raise typer.BadParameter(
            "say how images are compressed: --lossless, or --quality 1..8 with loss.",
            param_hint="--for compress",
        )
    if quality is None:
        return None
    low, _, high = quality.partition("..")
    try:
        found = int(low), int(high or low)
    except ValueError:
        found = 0, 0
    if not 1 <= found[0] <= found[1] <= MOST_QUALITY:
        raise typer.BadParameter(
            f"it is a range of whole numbers from 1 to {MOST_QUALITY}, like 1..8; got '{quality}'.",
            param_hint="--quality",
        )
    return found


def _check_job(job: str) -> None:
    if job in JOBS:
        return
    what = (
        f"a model for '{job}' cannot be fitted yet" if job in LATER else f"there is no job '{job}'"
    )
    raise typer.BadParameter(f"{what}. There is: {', '.join(JOBS)}.", param_hint="--for")


def _check_model_place(out: Path) -> None:
    """Refuse before the work what could not be saved after it."""
    if out.exists() and not (out / "config.json").is_file():
        raise typer.BadParameter(
            f"'{out}' exists and is not a saved model. Choose another name, or remove it.",
            param_hint="-o",
        )


def fitted(model: Autoencoder, out: Path, identity: str, n: int) -> dict[str, Any]:
    """What came of a fit, as plain data."""
    from isthmus.ensemble import describe

    return {
        "model": str(out),
        "identity": identity,
        "rows": n,
        "kind": model.kind_.kind,
        "left_out": left_out(model.kind_.columns_described()),
        **describe(model.model_),
        "epochs": len(model.history_),
        "kept": model.kept_,
        "validation": model.validation_,
        "events": model.events_,
    }


def _said(model: Autoencoder) -> str:
    """What came of a fit, in a sentence or two."""
    n = len(model.history_)
    came = outcome(
        model.kept_,
        n,
        model.validation_,
        model.events_,
        by_recipe=bool(model.recipe_.phases),
        plain=model.model_.starts_plain,
    )
    trained = f", {counted(n, 'epoch')}. {came}" if n else f". {came}"
    several = len(model.found_)
    who = f"{counted(several, 'model')} that answer together, " if several > 1 else ""
    stay = sum(found.kept == "start" for found in model.found_)
    if 0 < stay < several:
        came += f" {stay} of {several} stay as they began: training made them no better."
    return f"{who}codes of {counted(model.latent_dim_, 'dimension')}{trained}"
