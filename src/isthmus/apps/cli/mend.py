"""Verbs that make damaged images whole: ``denoise`` and ``restore``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from isthmus.apps.cli import options
from isthmus.apps.cli.partial import drop, kept_in
from isthmus.apps.cli.parts import part
from isthmus.apps.cli.speech import give, say
from isthmus.core.wording import counted

if TYPE_CHECKING:
    from isthmus.tasks.mending import Mender

JOBS = {"denoise": "Denoiser", "restore": "Restorer"}
TAKEN = {
    "data", "out", "job", "clean", "damage", "epochs", "max_time", "learning_rate", "validation",
    "seed", "device", "precision", "resume", "quiet", "as_json",
}  # fmt: skip
"""The options of ``fit`` that a model to mend images takes."""
Clean = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="The clean images of those in DATA: of the same names, or in the same order.",
        show_default=False,
    ),
]
Images = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="A folder of images, an image, or an array (npy, npz).",
        show_default=False,
    ),
]
Place = Annotated[
    Path,
    typer.Option(
        "-o",
        "--out",
        metavar="OUT",
        help="Where to write: a new folder, for PNG files; of an array, npy or npz.",
        show_default=False,
    ),
]


def denoise(model: options.Model, data: Images, out: Place, as_json: options.Json = False) -> None:
    """Write the images of DATA without their noise.

    Of any size; large ones are worked on tile by tile. MODEL is one that was fitted with --for
    denoise.
    """
    _mend(mender_at(model, "denoise"), data, None, out, as_json)


def restore(
    model: options.Model,
    data: options.Data,
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            metavar="OUT",
            help=(
                "Where to write: of images a new folder, for PNG files, or npy or npz; of a table "
                "csv, tsv, parquet, arrow, feather, npy or npz."
            ),
            show_default=False,
        ),
    ],
    mask: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where the images have holes: images of the same names, white where one is.",
            show_default=False,
        ),
    ] = None,
    draws: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Of a table: write so many draws of what is missing, numbered in a first column.",
            show_default=False,
        ),
    ] = None,
    intervals: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE",
            help=(
                "Of a table: add bounds within which so many of the missing cells lie, as 90%, and "
                "the likely levels of categories."
            ),
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Of --draws; by default the model's own: the same each time.",
            show_default=False,
        ),
    ] = None,
    labels: options.Labels = None,
    as_json: options.Json = False,
) -> None:
    """Write the images of DATA with their holes filled, larger or sharper; or a table with its
    missing cells filled.

    MODEL is one that was fitted with --for restore; of images, what it restores was said with
    --damage.
    """
    from isthmus.apps.cli.impute import imputer_at, restore_table

    imputer = imputer_at(model)
    if imputer is None:
        for_tables = {"draws": draws, "intervals": intervals, "seed": seed, "labels": labels}
        for name, value in for_tables.items():
            if value is not None:
                raise typer.BadParameter("it is for tables.", param_hint=f"--{name}")
        _mend(mender_at(model, "restore"), data, mask, out, as_json)
        return
    if mask is not None:
        raise typer.BadParameter("it is for images.", param_hint="--mask")
    restore_table(
        imputer, model, data, out, labels=labels, draws=draws, intervals=intervals, seed=seed,
        as_json=as_json,
    )  # fmt: skip


def _mend(model: Mender, data: Path, mask: Path | None, out: Path, as_json: bool) -> None:
    from isthmus.apps.cli.rows import check_out, read_rows
    from isthmus.data import write

    if mask is None and model.hides and (data.is_dir() or data.suffix.lower() not in ARRAYS):
        raise typer.BadParameter(
            "say where the holes are: a folder of masks, white where one is.", param_hint="--mask"
        )
    if mask is not None and not model.hides:
        raise typer.BadParameter(
            f"this model fills no holes, it undoes '{undone(model)}'. Leave it out.",
            param_hint="--mask",
        )
    check_out(out, "images")
    rows = read_rows(data, None, "images")
    masks = None if mask is None else beside(read_rows(mask, None, "images"), rows, "--mask")
    found = model.transform(rows.X, mask=masks)
    write(out, found, rows.files)
    give({"out": str(out), "images": len(found)}, f"{out}: {counted(len(found), 'image')}", as_json)


ARRAYS = (".npy", ".npz")


def beside(others: Any, rows: Any, option: str) -> list[Any]:
    """The images of a second folder, each that of the same name or place in the first."""
    if rows.files is None or others.files is None:
        return list(others.X)
    named = {Path(name).stem: image for name, image in zip(others.files, others.X, strict=True)}
    stems = [Path(name).stem for name in rows.files]
    missing = [name for name, stem in zip(rows.files, stems, strict=True) if stem not in named]
    if not missing:
        return [named[stem] for stem in stems]
    if len(missing) == len(stems) == len(others.files):
        return list(others.X)
    raise typer.BadParameter(
        f"there is none for '{missing[0]}'. Each image needs one of the same name.",
        param_hint=option,
    )


def undone(model: Mender) -> str:
    """What a model undoes, in a word."""
    return "noise" if model.damage_ is None else model.damage_.kind


def fit_mender(
    data: Path,
    out: Path,
    job: str,
    *,
    clean: Path | None,
    damage: str | None,
    epochs: int | None,
    max_time: str | None,
    learning_rate: float | None,
    validation: float,
    seed: int,
    device: str,
    precision: str,
    quiet: bool,
    as_json: bool,
    partial: Path,
    resume: bool | None,
    words: list[str],
) -> None:
    """What ``fit --for denoise`` and ``--for restore`` do."""
    import isthmus
    from isthmus.apps.cli.rows import read_rows, say_read

    settings: dict[str, Any] = {
        "epochs": epochs,
        "max_time": max_time,
        "learning_rate": learning_rate,
        "validation": validation,
        "random_state": seed,
        "device": device,
        "precision": precision,
        "resume": partial,
        "verbose": not quiet,
    }
    if job == "restore" and damage is None and clean is None:
        raise typer.BadParameter(
            "say what shall be restored: holes, scale2, scale4 or blur; or pass --clean.",
            param_hint="--damage",
        )
    undo = damage if damage is None or damage.startswith("scale") else part(damage)
    model: Mender = getattr(isthmus, JOBS[job])(undo, **settings)
    with kept_in(partial, words):
        rows = read_rows(data, None, "images")
        if not quiet:
            say_read(data, rows)
        wholes = None
        if clean is not None:
            wholes = beside(read_rows(clean, None, "images"), rows, "--clean")
        if not resume:
            drop(partial)
        model.fit(rows.X, clean=wholes)
        noise = getattr(model, "noise_", None)
        if noise is not None and not quiet:
            say(f"noise of {noise.scale:.1%} of the range of values, by estimate")
        identity = model.save(out)
    result = {
        "model": str(out),
        "identity": identity,
        "images": model.n_images_,
        "undoes": undone(model),
        "kept": model.kept_,
        "validation": model.validation_,
        "noise": None if noise is None else noise.scale,
    }
    give(result, f"{out}: undoes {undone(model)}. {_came(model)}", as_json)


def _came(model: Mender) -> str:
    held = model.validation_
    if not held:
        return "No images were held out: see what it is worth with isthmus evaluate."
    about = " by estimate" * (getattr(model, "noise_", None) is not None)
    if model.kept_ == "start":
        return (
            f"Training was no better than the linear filter that it began as, {held['before']:.2f} "
            f"dB{about}: that is what was kept."
        )
    return (
        f"{held['after']:.2f} dB{about} on images held out, {held['before']:.2f} as the linear "
        "filter that it began as. Compare it with plain methods: isthmus evaluate."
    )


def mender_at(path: Path, job: str) -> Mender:
    """The model in a folder, or an error that says how to fit one."""
    from isthmus.core.errors import AbilityError
    from isthmus.loading import load
    from isthmus.tasks.mending import Mender

    found = load(path)
    if isinstance(found, Mender) and type(found).__name__ == JOBS[job]:
        return found
    what = "takes out no noise" if job == "denoise" else "restores nothing"
    raise AbilityError(f"'{path}' {what}. Fit a model that does with: isthmus fit DATA --for {job}")


def judge_mender(model: Mender, path: Path, data: Path, clean: Path | None, as_json: bool) -> None:
    """What ``evaluate`` does with a model that mends images."""
    from isthmus.apps.cli.rows import read_rows

    rows = read_rows(data, None, "images")
    wholes = None
    if clean is not None:
        wholes = beside(read_rows(clean, None, "images"), rows, "--clean")
    found = model.compare(rows.X, wholes)
    result = {"model": str(path), "data": str(data), "images_compared": len(rows)}
    give({**result, **found.to_json()}, str(found), as_json)


def describe_mender(path: Path, config: dict[str, Any], as_json: bool) -> None:
    """What ``info`` says of a model that mends images."""
    from isthmus.loading import load

    model, told = load(path), config["mender"]
    numbers = sum(p.numel() for p in model.model_.parameters())
    result = {
        "model": str(path),
        "identity": config["identity"],
        "library": config["library"],
        "kind": told["class"],
        "parameters": numbers,
        "parameters_of_fit": told["parameters"],
        "damage": told["damage"],
        **told["fitted"],
    }
    words = (
        f"{path}: {told['class']}, undoes {undone(model)}, {numbers:,} parameters, fitted on "
        f"{counted(model.n_images_, 'image')}. {_came(model)}\nidentity {config['identity']}"
    )
    give(result, words, as_json)
