"""Parts named on the command line, and results as JSON."""

from __future__ import annotations

import json

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from isthmus import spec
from isthmus.apps.cli.parts import part
from isthmus.apps.cli.speech import give
from isthmus.apps.cli.verbs import Verbs
from isthmus.core.errors import SpecError

VALUES = st.one_of(
    st.integers(-1000, 1000),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.lists(st.integers(0, 512), min_size=1, max_size=4).map(tuple),
    st.sampled_from(["relu", "batch", "shared"]),
)
NAMES = st.sampled_from(["scale", "share", "widths", "activation", "tied"])


@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_a_part_is_read_as_it_is_written(options: dict[str, object]) -> None:
    def written(value: object) -> str:
        if isinstance(value, tuple):
            return str(list(value)).replace(" ", "")
        return str(value).lower() if isinstance(value, bool) else str(value)

    pairs = ",".join(f"{name}={written(value)}" for name, value in options.items())
    assert part(f"mlp:{pairs}" if pairs else "mlp") == spec("mlp", **options)


@pytest.mark.parametrize("words", ["", ":", "noise:", "noise:scale", "noise:=1", "noise:a=1,"])
def test_what_is_no_part_is_refused(words: str) -> None:
    with pytest.raises(SpecError, match="option=value"):
        part(words)


@given(st.dictionaries(st.text(), st.floats() | st.text() | st.lists(st.floats(), max_size=3)))
def test_results_are_strict_json_on_one_line(result: dict[str, object]) -> None:
    def refuse(word: str) -> None:
        raise AssertionError(word)

    printed = typer.Typer(cls=Verbs)
    printed.command()(lambda: give(result, "", as_json=True))
    line = CliRunner().invoke(printed, []).stdout
    assert line.count("\n") == 1
    assert set(json.loads(line, parse_constant=refuse)) == set(result)
