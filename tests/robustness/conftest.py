"""What the tests of robustness share: the command line, a table, and a model of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from isthmus import Autoencoder, spec
from isthmus.apps.cli.main import app
from isthmus.data import read

Run = Callable[..., Result]
HEADER = "height,width,kind"
SMALL = spec("mlp", widths=(4,))


@pytest.fixture
def run() -> Run:
    """The command line in this process."""
    runner = CliRunner()
    return lambda *words: runner.invoke(app, [str(word) for word in words])


def table_of(rows: int) -> str:
    """A table of three columns as text."""
    draw = np.random.default_rng(0)
    cells = draw.normal(size=(rows, 2))
    return f"{HEADER}\n" + "".join(f"{a:.4f},{b:.4f},{'xy'[a > 0]}\n" for a, b in cells)


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV file of 60 rows."""
    path = tmp_path_factory.mktemp("table") / "table.csv"
    path.write_text(table_of(60))
    return path


@pytest.fixture(scope="session")
def model(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model of that table."""
    path = tmp_path_factory.mktemp("model") / "table.model"
    Autoencoder(2, epochs=1, network=SMALL).fit(read(table).X).save(path)
    return path


@pytest.fixture(scope="session")
def picture_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model of grey images of 8 x 8."""
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8), dtype=np.uint8)
    path = tmp_path_factory.mktemp("model") / "pictures.model"
    Autoencoder(2, epochs=1, network=SMALL).fit(images).save(path)
    return path
