"""``isthmus fit --for restore`` and ``isthmus restore`` of tables: their missing cells."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from isthmus.apps.cli.partial import drop, kept_in
from isthmus.apps.cli.speech import give
from isthmus.core.wording import counted

if TYPE_CHECKING:
    from isthmus.tasks.impute import Imputer

TAKEN = (
    "ctx",
    "data",
    "out",
    "job",
    "epochs",
    "max_time",
    "seed",
    "device",
    "labels",
    "kind",
    "resume",
    "quiet",
    "as_json",
)
"""What ``fit --for restore`` takes of a table, of what ``fit`` takes."""
DRAW = "draw"
"""The column that numbers draws."""


def is_table(data: Path, kind: str | None, damage: str | None, clean: Path | None) -> bool:
    """Whether it is the gaps of a table that are to be restored."""
    from isthmus import data as files
    from isthmus.data.files import ARRAY_ENDINGS, TABLE_ENDINGS

    if kind is not None or damage is not None or clean is not None:
        return kind == "table"
    ending = data.suffix.lower()
    return ending in TABLE_ENDINGS or (ending in ARRAY_ENDINGS and files.read(data).kind == "table")


def imputer_at(model: Path) -> Imputer | None:
    """The model in a folder, where it is one that fills gaps."""
    from isthmus.loading import load
    from isthmus.training.directory import read_config

    return load(model) if "imputer" in read_config(model) else None


def fit_restorer(
    data: Path,
    out: Path,
    *,
    epochs: int | None,
    max_time: str | None,
    seed: int,
    device: str,
    labels: list[str] | None,
    kind: str | None,
    quiet: bool,
    as_json: bool,
    partial: Path,
    resume: bool | None,
    words: list[str],
) -> None:
    """Fit an imputer to a table, and save it."""
    from isthmus.apps.cli.rows import read_rows, say_read
    from isthmus.tasks.impute import Imputer

    rows = read_rows(data, labels, kind)
    if not quiet:
        say_read(data, rows)

    imputer = Imputer(
        epochs=epochs,
        max_time=max_time,
        random_state=seed,
        device=device,
        resume=partial,
        verbose=not quiet,
    )
    imputer._checked()
    if not resume:
        drop(partial)
    with kept_in(partial, words):
        imputer.fit(rows.X)
        identity = imputer.save(out)
    counts = ways(imputer)
    result = {
        "model": str(out),
        "identity": identity,
        "rows": len(rows),
        "kind": imputer.kind_.kind,
        "members": len(imputer.found_),
        "ways": counts,
        "events": imputer.events_,
    }
    give(
        result,
        f"{out}: fills the gaps of {counted(len(counts), 'column')}. {_said(counts)}",
        as_json,
    )


def ways(imputer: Imputer) -> dict[str, dict[str, float]]:
    """By column, how much each way to fill a gap counts."""
    return {
        name: {way: round(share, 3) for way, share in shares.items()}
        for name, shares in imputer.weights_.items()
    }


def _said(counts: dict[str, dict[str, float]]) -> str:
    """How much each way counts on the average of columns."""
    names = next(iter(counts.values()))
    shares = {way: sum(c[way] for c in counts.values()) / len(counts) for way in names}
    told = ", ".join(f"{way} {share:.0%}" for way, share in shares.items())
    return f"What is said counts by: {told}. Judge it on new rows with isthmus evaluate."


def restore_table(
    imputer: Imputer,
    model: Path,
    data: Path,
    out: Path,
    *,
    labels: list[str] | None,
    draws: int | None,
    intervals: str | None,
    seed: int | None,
    as_json: bool,
) -> None:
    """Write a table with its missing cells filled in."""
    import numpy as np

    from isthmus.apps.cli.detect import share
    from isthmus.apps.cli.rows import check_out, read_rows
    from isthmus.data import write

    if draws is not None and intervals is not None:
        raise typer.BadParameter("give --draws or --intervals, not both.", param_hint="--draws")
    coverage = share(intervals, "--intervals")
    check_out(out, "table" if coverage is None and draws is None else "words")
    rows = read_rows(data, labels, of=imputer)
    asked = imputer._asked(rows.X, None)
    if draws is not None:
        drawn = imputer.sample(rows.X, draws, random_state=seed)
        write(out, stacked(drawn))
    elif coverage is not None:
        filled, found = imputer.transform(rows.X), imputer.intervals(rows.X, coverage)
        write(out, beside(imputer, filled, found, asked.gaps))
    else:
        write(out, imputer.transform(rows.X))
    gaps = int(np.sum(asked.gaps))
    left = int((~asked.there).sum()) - gaps
    result = {"out": str(out), "rows": len(rows), "filled": gaps, "left": left, "model": str(model)}
    more = f"; {counted(left, 'cell')} of levels that are not known" if left else ""
    give(
        result, f"{out}: {counted(len(rows), 'row')}, {counted(gaps, 'cell')} filled{more}", as_json
    )


def columns_of(table: Any) -> dict[str, Any]:
    """By name, the columns of a table as it is written: an array of numbers has numbered ones."""
    import pyarrow as pa

    if isinstance(table, pa.Table):
        return dict(zip(table.column_names, table.columns, strict=True))
    return {f"column{j}": values for j, values in enumerate(table.T)}


def stacked(drawn: list[Any]) -> Any:
    """All draws below each other, under a first column that numbers them."""
    import numpy as np
    import pyarrow as pa

    tables = [pa.table(columns_of(table)) for table in drawn]
    number = np.repeat(np.arange(1, len(tables) + 1), len(tables[0]))
    whole = pa.concat_tables([table.unify_dictionaries() for table in tables])
    name = DRAW
    while name in whole.column_names:
        name = f"{name}_"
    return whole.add_column(0, name, pa.array(number))


def beside(imputer: Imputer, filled: Any, found: Any, gaps: Any) -> Any:
    """The filled table, and beside each column with gaps its bounds, or its likely levels."""
    import pyarrow as pa

    low, high = columns_of(found.low), columns_of(found.high)
    names = dict(zip(imputer._names(), range(gaps.shape[1]), strict=True))
    columns: dict[str, Any] = {}
    for j, (name, values) in enumerate(columns_of(filled).items()):
        columns[name] = values
        known = name if name in names else f"column {j}"
        where = names.get(known)
        if where is None or not gaps[:, where].any():
            continue
        if known in found.levels:
            told = [None if one is None else "|".join(map(str, one)) for one in found.levels[known]]
            columns[f"{name} likely"] = pa.array(told, pa.string())
        else:
            columns[f"{name} low"], columns[f"{name} high"] = low[name], high[name]
    return pa.table(columns)


def describe_imputer(model: Path, config: dict[str, Any], as_json: bool) -> None:
    """What ``info`` says of a model that fills gaps."""
    from isthmus.apps.cli.outcome import left_out
    from isthmus.core.wording import NO_PLACE, listed
    from isthmus.loading import load
    from isthmus.model import n_parameters

    imputer = load(model)
    apart = left_out(imputer.kind_.columns_described())
    parameters = sum(n_parameters(member.model) for member in imputer.stack_.members)
    result = {
        "model": str(model),
        "identity": config["identity"],
        "library": config["library"],
        "kind": imputer.kind_.kind,
        "columns": imputer._names(),
        "left_out": apart,
        "members": len(imputer.found_),
        "parameters": parameters,
        "known_rows": len(imputer.stack_.known.rows),
        "ways": ways(imputer),
        "parameters_of_fit": config["imputer"]["parameters"],
        "kept": imputer.kept_,
        "events": imputer.events_,
    }
    kept = sum(found.kept == "start" for found in imputer.found_)
    lines = {
        "data": f"table, {counted(imputer.n_features_in_, 'column')}",
        "fills gaps": _said(result["ways"]).partition(" Judge")[0],
        "members": f"{len(imputer.found_)}, of which {kept} stay the Gaussian that they began as",
        "parameters": f"{parameters:,}",
        "known rows": f"{result['known_rows']:,}",
        "columns": listed(result["columns"], most=12),
        "left out": f"{listed(apart)} ({NO_PLACE})" if apart else "",
        "saved by": ", ".join(f"{name} {v}" for name, v in config["library"].items()),
        "identity": config["identity"],
    }
    give(
        result, "\n".join(f"{name:<11} {value}" for name, value in lines.items() if value), as_json
    )
