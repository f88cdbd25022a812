"""What the tests of the applications share: small files, and a model of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris
from typer.testing import CliRunner, Result

from isthmus import Autoencoder
from isthmus.apps.cli.main import app
from isthmus.data import read

Run = Callable[..., Result]


@pytest.fixture
def run() -> Run:
    """The command line in this process: ``run("embed", model, data, "-o", out)``."""
    runner = CliRunner()

    def invoke(*words: object) -> Result:
        return runner.invoke(app, [str(word) for word in words])

    return invoke


@pytest.fixture(scope="session")
def flowers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV file of four measures and a column of words, ``species``."""
    found = load_iris(as_frame=True)
    frame = found.data.assign(species=found.target_names[found.target])
    path = tmp_path_factory.mktemp("data") / "flowers.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An NPZ file of 60 images of bytes, and their labels."""
    found = load_digits()
    path = tmp_path_factory.mktemp("data") / "pictures.npz"
    np.savez(path, X=(found.images[:60] * 15).astype(np.uint8), y=found.target[:60])
    return path


@pytest.fixture(scope="session")
def flower_model(flowers: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model of the flowers."""
    path = tmp_path_factory.mktemp("models") / "flowers.model"
    Autoencoder(2, epochs=2).fit(read(flowers, labels="species").X).save(path)
    return path


@pytest.fixture(scope="session")
def picture_model(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model of the pictures."""
    path = tmp_path_factory.mktemp("models") / "pictures.model"
    Autoencoder(3, epochs=2).fit(read(pictures, labels="y").X).save(path)
    return path
