"""What ``fit`` and ``info`` say of a training: a sentence that is true."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isthmus.apps.cli.outcome import outcome
from tests.apps.conftest import Run

HELD = {"measure": "squared error", "corrupted": False, "trained": 0.5, "start": 1.0}
NATS = HELD | {"measure": "nats"}


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"by_recipe": False, "epochs": 0}, "PCA by its recipe, so nothing was trained."),
        (
            {"kept": "start", "epochs": 0, "events": ["epoch 1: training diverged (loss nan)"]},
            "Training diverged, which a lower --learning-rate may prevent: PCA is what was kept.",
        ),
        ({"kept": "start", "epochs": 0}, "Training ended before its first epoch did: PCA is what"),
        ({}, "No rows were held out: see how it compares with isthmus evaluate."),
        ({"kept": "start"}, "No rows were held out; on those trained on it is no better than PCA"),
        ({"validation": HELD, "kept": "start"}, "No better than PCA on the rows held out: PCA is"),
        ({"validation": HELD}, "50% less squared error than PCA on the rows held out, which also"),
        ({"validation": HELD | {"trained": 0.998}}, "About the same squared error as PCA on the"),
        ({"validation": HELD | {"trained": 1.08}}, "8% more squared error than PCA on the rows"),
        (
            {"validation": HELD | {"corrupted": True}},
            "than PCA on the rows held out, with noise or gaps added. They also chose the weights",
        ),
        ({"validation": HELD, "plain": False}, "50% less squared error than its start on the rows"),
        ({"validation": HELD | {"start": 0.0}}, "On the rows held out a squared error of 0.5 per"),
        ({"validation": NATS}, "On the rows held out 0.5 nats per value, at the start 1."),
    ],
)
def test_the_sentence_on_a_training_is_true(facts: dict[str, Any], words: str) -> None:
    usual = {"kept": "trained", "epochs": 3, "validation": {}, "events": []}
    assert words in outcome(**{**usual, "by_recipe": True, "plain": True, **facts})


def test_info_says_of_a_training_what_fit_said(run: Run, tmp_path: Path) -> None:
    model, few = tmp_path / "few.model", tmp_path / "few.npy"
    np.save(few, np.random.default_rng(0).normal(size=(3, 4)))
    for words in (["--epochs", 2], ["--recipe", "linear"], ["--recipe", "fsq", "--epochs", 2]):
        told = run("fit", few, "-o", model, "--latent-dim", 2, *words)
        assert told.exit_code == 0, told.stderr
        _, _, said = told.stdout.strip().partition(". ")
        assert f"outcome     {said}\n" in run("info", model).stdout


def test_several_models_are_told_of(run: Run, flowers: Path, tmp_path: Path) -> None:
    place = str(tmp_path / "several")
    said = run("fit", str(flowers), "-o", place, "--n-members", "3", "--epochs", "2").stdout
    assert "3 models that answer together" in said
    assert "3, which answer with their mean" in run("info", place).stdout
