"""What a dense model answers in use: always as it is now, whatever was done to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from isthmus import Autoencoder, load, spec

X = load_digits().data[:300]
SMALL = spec("mlp", widths=(16,))


@pytest.mark.parametrize("change", ["data", "numpy", "layer", "option", "hook"])
def test_a_model_that_was_changed_answers_as_it_is_now(change: str) -> None:
    ae = Autoencoder(3, epochs=2, network=SMALL).fit(X)
    before = ae.transform(X)
    first = ae.model_.network.encoder
    assert isinstance(first, nn.Sequential)
    if change == "data":
        next(first.parameters()).data.mul_(2)
    elif change == "numpy":
        next(first.parameters()).detach().numpy()[...] *= 2
    elif change == "layer":
        first[1] = nn.Tanh()
    elif change == "option":
        first[1] = nn.LeakyReLU(0.5)
    else:
        first[0].register_forward_hook(lambda module, given, out: 2 * out)
    x = ae.kind_.batch(X).x
    assert not np.array_equal(ae.transform(X), before)
    np.testing.assert_allclose(ae.transform(X), ae.encoder_(x).detach(), atol=1e-4)


def test_a_model_made_for_inference_only_answers(tmp_path: Path) -> None:
    ae = Autoencoder(3, epochs=1, network=SMALL).fit(X)
    ae.save(tmp_path / "model")
    with torch.inference_mode():
        loaded = load(tmp_path / "model")
        assert np.array_equal(loaded.transform(X), ae.transform(X))
    assert np.array_equal(loaded.score_samples(X), ae.score_samples(X))


def test_a_model_whose_parameters_are_frozen_answers_as_before() -> None:
    by_column = spec("gaussian", scale="column")
    ae = Autoencoder(3, epochs=2, network=SMALL, likelihood=by_column).fit(X)
    before = ae.score_samples(X)
    ae.model_.requires_grad_(False)
    next(ae.model_.parameters()).data.add_(0)
    assert np.array_equal(ae.score_samples(X), before)
    ae.model_.network.encoder[0].weight.data.mul_(1.5)  # type: ignore[index,union-attr]
    expected = ae.model_.score(ae.kind_.batch(X))  # type: ignore[operator]
    np.testing.assert_allclose(ae.score_samples(X), expected, rtol=1e-4)


def test_something_more_to_keep_in_a_model_changes_no_answer() -> None:
    ae = Autoencoder(3, epochs=1, network=SMALL).fit(X)
    before = ae.transform(X)
    ae.model_.register_buffer("note", torch.zeros(3))
    assert np.array_equal(ae.transform(X), before)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_rows_that_several_threads_share_get_the_answers_they_get_alone(threads: int) -> None:
    many = np.tile(X, (20, 1)) + np.random.default_rng(0).normal(size=(6000, 64))
    ae = Autoencoder(3, epochs=1, network=SMALL).fit(X)
    some = np.random.default_rng(1).permutation(6000)[:50]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert np.array_equal(ae.score_samples(many)[some], ae.score_samples(many[some]))
        assert np.array_equal(ae.reconstruct(many)[some], ae.reconstruct(many[some]))
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
