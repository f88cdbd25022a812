"""Verbs that say what a model is worth: ``evaluate``, ``report``, ``info``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from isthmus.apps.cli import options
from isthmus.apps.cli.mend import Clean, describe_mender, judge_mender
from isthmus.apps.cli.outcome import left_out, outcome
from isthmus.apps.cli.speech import give
from isthmus.core.wording import NO_PLACE, counted, listed

PAGE_ENDINGS = (".html", ".htm")


def evaluate(
    model: options.Model,
    data: options.Data,
    labels: options.Labels = None,
    clean: Clean = None,
    as_json: options.Json = False,
) -> None:
    """Compare MODEL with the plain method on DATA: with PCA, a detector with neighbours,
    components and a forest, a codec with PNG and WebP (with loss: JPEG, WebP and AVIF), what mends
    images with filters, what fills gaps with neighbours and regressions.

    DATA should be rows that were not in the fit. What mends images takes damaged ones with
    --clean, or clean ones, which are damaged as at the fit.

    With --labels also: how often the ten nearest neighbours in the code agree with the label; of
    a detector, how well it tells the rows that are labelled 1 or true from the others.
    """
    from isthmus.apps.cli.codec import judge_codec
    from isthmus.apps.cli.rows import read_rows
    from isthmus.baselines.comparison import Comparison
    from isthmus.loading import load
    from isthmus.tasks.compare import compare
    from isthmus.tasks.mending import Mender
    from isthmus.tasks.neighbours import agreement

    estimator = load(model)
    if hasattr(estimator, "coder_"):
        judge_codec(estimator, model, data, labels, as_json)
        return
    if isinstance(estimator, Mender):
        judge_mender(estimator, model, data, clean, as_json)
        return
    if clean is not None:
        raise typer.BadParameter("it goes with what mends images.", param_hint="--clean")
    if hasattr(estimator, "strangeness_"):
        from isthmus.tasks.judge_alarms import judge_alarms

        rows = read_rows(data, labels, of=estimator)
        found = judge_alarms(estimator, rows.X, rows.labels)
    else:
        rows = read_rows(data, labels, of=estimator)
        found = compare(estimator, rows.X)
        if rows.labels is not None and not hasattr(estimator, "stack_"):
            added = agreement(estimator, rows.X, rows.labels)
            found = Comparison([*found.rows, *added], found.verdict, found.plain_wins)
    result = {"model": str(model), "data": str(data), "rows_compared": len(rows)}
    give({**result, **found.to_json()}, str(found), as_json)


def report(
    model: options.Model,
    data: options.Data,
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            metavar="PAGE",
            help="Where to write the page, ending in .html.",
            show_default=False,
        ),
    ],
    labels: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help=(
                "A column that the model does not see; it colours the map. Of a detector, which "
                "rows are anomalies: 1 or true."
            ),
            show_default=False,
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Write a page on how MODEL does on DATA; of a detector, on its alarms and their reasons.

    It is one HTML file that needs nothing else and can be sent as it is.
    """
    if out.suffix.lower() not in PAGE_ENDINGS:
        raise typer.BadParameter(f"'{out}' does not end in .html.", param_hint="-o")
    if out.is_dir():
        raise typer.BadParameter(f"'{out}' is a folder. Give another name.", param_hint="-o")
    from isthmus.apps.cli.rows import read_rows
    from isthmus.apps.report.alarm_context import AlarmContext
    from isthmus.apps.report.context import Context
    from isthmus.apps.report.page import Subject, page, write_page
    from isthmus.core.errors import AbilityError, DataError
    from isthmus.tasks.detect import AnomalyDetector
    from isthmus.tasks.saving import load

    found = load(model)
    if hasattr(found, "stack_"):
        raise AbilityError(
            f"there is no page on a model that fills gaps. Judge it with: isthmus evaluate {model} "
            f"{data}"
        )
    detects = isinstance(found, AnomalyDetector)
    rows = read_rows(data, labels, of=found)
    shared = (model.name, found, rows.X, rows.labels, str(_config(model)["identity"]), data.name)
    context: Subject = AlarmContext(*shared, rows.files) if detects else Context(*shared)
    html = page(model.name, [context])
    try:
        write_page(out, html)
    except OSError as error:
        raise DataError(f"cannot write {out}: {error.strerror or error}.") from error
    told = context.outcome()
    give({"out": str(out), **told}, f"{told['verdict']}\n{out}", as_json)


def info(
    model: Annotated[
        Path | None,
        typer.Argument(metavar="MODEL", help="A saved model.", show_default=False),
    ] = None,
    recipes: Annotated[
        bool, typer.Option("--recipes", help="In place of MODEL: the recipes, and their papers.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Say what MODEL is, once it is found whole.

    Its content is checked against its identity.
    """
    if recipes == (model is not None):
        wrong = "there is none to --recipes." if recipes else "name a saved model, or --recipes."
        raise typer.BadParameter(wrong, param_hint="MODEL")
    if model is None:
        _give_recipes(as_json)
        return
    from isthmus.training.directory import load_directory, understood

    config, tensors = load_directory(model)
    if "codec" in config:
        from isthmus.apps.cli.codec import describe_codec

        describe_codec(model, config, as_json)
        return
    if "imputer" in config:
        from isthmus.apps.cli.impute import describe_imputer

        describe_imputer(model, config, as_json)
        return
    if "mender" in config:
        describe_mender(model, config, as_json)
        return
    with understood(model):
        history = config["fitted"]["history"]
        result = _facts(model, config, tensors)
        words = _described(result, history, _started_plain(model, config))
    give(result, words, as_json)


def _facts(model: Path, config: dict[str, Any], tensors: dict[str, Any]) -> dict[str, Any]:
    fitted = config["fitted"]
    return {
        "model": str(model),
        "identity": config["identity"],
        "library": config["library"],
        **config["model"],
        **_looked_at(config),
        "columns": fitted["feature_names_in"],
        "left_out": left_out(_columns(config["data"]["state"])),
        "recipe": config["recipe"],
        "parameters_of_fit": config["estimator"]["parameters"],
        "epochs": len(fitted["history"]),
        "kept": fitted["kept"],
        "validation": fitted["validation"],
        "events": fitted["events"],
        "detector": _alarms(config, tensors),
    }


def _looked_at(config: dict[str, Any]) -> dict[str, Any]:
    """What kind of data it takes; a detector of images has a model of what they look like."""
    images = config.get("detector", {}).get("images")
    if images is None:
        return {"kind": config["data"]["kind"]}
    return {"kind": "images", "shape": images["kind"]["shape"]}


def _alarms(config: dict[str, Any], tensors: dict[str, Any]) -> dict[str, Any] | None:
    """What is to be known of the alarms, where it is a detector."""
    from isthmus.tasks.card import alarms_told
    from isthmus.training.directory import under

    told = config.get("detector")
    return None if told is None else alarms_told(told, under(tensors, "detector."))


def _columns(state: dict[str, Any]) -> list[tuple[str, str]]:
    """Name and kind of every column of a table whose columns differ."""
    kinds = [column["kind"] for column in state.get("schema") or ()]
    names = state.get("names") or [f"column {j}" for j in range(len(kinds))]
    return list(zip(names, kinds, strict=False))


def _started_plain(model: Path, config: dict[str, Any]) -> bool:
    """Whether it was PCA before it was trained."""
    from isthmus.tasks.saving import load_autoencoder as load

    if config.get("detector", {}).get("images") is not None:
        return True  # its members are our own
    # Modules of the user's own start as they please, and are not here to be asked.
    return not config["fitted"]["own_modules"] and load(model).model_.starts_plain


def _give_recipes(as_json: bool) -> None:
    from isthmus.core.papers import PAPERS
    from isthmus.recipes import RECIPES

    result = {name: recipe.to_json() for name, recipe in RECIPES.items()}
    rows = [
        (name, PAPERS[recipe.paper].short if recipe.paper in PAPERS else "", recipe.paper)
        for name, recipe in RECIPES.items()
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(2)]
    lines = [f"{name:<{widths[0]}}  {short:<{widths[1]}}  {link}" for name, short, link in rows]
    give({"recipes": result}, "\n".join(lines), as_json)


def _config(model: Path) -> dict[str, Any]:
    from isthmus.training.directory import load_directory

    return load_directory(model)[0]


def _described(facts: dict[str, Any], history: list[dict[str, Any]], plain: bool) -> str:
    recipe, shape = facts["recipe"], " x ".join(str(side) for side in facts["shape"])
    trained = "none"
    if history:
        trained = f"{counted(len(history), 'epoch')}, {float(history[-1]['seconds']):.1f} s"
    came = outcome(
        facts["kept"],
        len(history),
        facts["validation"] or {},
        facts["events"],
        by_recipe=bool(recipe["phases"]),
        plain=plain,
    )
    apart = facts["left_out"]
    columns = [name for name in facts["columns"] or () if name not in apart]
    pairs = {
        "data": f"{facts['kind']}, {shape} values a row",
        "code": f"{recipe['code']['kind']}, {counted(facts['latent_dim'], 'dimension')}",
        "network": recipe["network"]["kind"],
        "likelihood": recipe["likelihood"]["kind"],
        "members": _together(facts.get("members", 1)),
        "parameters": f"{facts['parameters']:,}",
        "training": trained,
        **_held_out(facts["validation"]),
        "outcome": came,
        **_of_detector(facts["detector"]),
        "columns": listed(columns, most=12),
        "left out": f"{listed(apart)} ({NO_PLACE})" if apart else "",
        "saved by": ", ".join(f"{name} {version}" for name, version in facts["library"].items()),
        "identity": facts["identity"],
    }
    return "\n".join(f"{name:<11} {value}" for name, value in pairs.items() if value)


def _of_detector(alarms: dict[str, Any] | None) -> dict[str, str]:
    from isthmus.tasks.card import compared_with, scales, threshold

    if alarms is None:
        return {}
    return {
        "detector": f"compares rows with {compared_with(alarms)}",
        "scales": scales(alarms),
        "alarms": threshold(alarms),
    }


def _together(members: int) -> str:
    return f"{members}, which answer with their mean" if members > 1 else ""


def _held_out(validation: dict[str, Any] | None) -> dict[str, str]:
    if not validation:
        return {}
    trained, start = (f"{validation[name]:.5g}" for name in ("trained", "start"))
    return {"held out": f"{validation['measure']} {trained}, at the start {start}"}
