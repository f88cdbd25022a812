"""Images as patches and back."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from isthmus.baselines import PCA
from isthmus.core import patches
from isthmus.core.linear import principal_components

SIZES = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 9), st.integers(1, 9))


def images(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@given(SIZES, st.integers(1, 10))
def test_patches_give_the_image_back(shape: tuple[int, ...], side: int) -> None:
    x = images(*shape)
    assert torch.equal(patches.from_patches(patches.patches(x, side), shape[2:], side), x)


@given(SIZES, st.integers(1, 10))
def test_patches_are_the_columns_of_an_unfolded_image(shape: tuple[int, ...], side: int) -> None:
    x = images(*shape)
    unfolded = F.unfold(patches.whole(x, side), side, stride=side).transpose(1, 2)
    assert torch.equal(patches.patches(x, side), unfolded)
    every = patches.sample(x, side)
    assert torch.equal(patches.taken(x, side, every), unfolded.flatten(0, 1))


def test_of_many_patches_a_sample_is_taken_and_torchs_random_numbers_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x = images(5, 2, 9, 8)
    monkeypatch.setattr(patches, "SAMPLED_VALUES", 20 * 2 * 4 * 4)
    before = torch.get_rng_state()
    which = patches.sample(x, 4)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(patches.sample(x, 4), which)
    assert which.shape == (20,)
    assert int(which.max()) < 5 * 6
    assert len(patches.images_of(x, 4, which).unique()) > 2
    whole = patches.patches(x, 4).flatten(0, 1)
    assert torch.equal(patches.taken(x, 4, which), whole[which])
    assert PCA.fit(x, 3, patch=4).axes.shape == (3, 32)


def test_what_is_missing_is_filled_and_counts_for_nothing() -> None:
    x = images(6, 2, 9, 8)
    weight = torch.ones(6, 1, 9, 8)
    weight[0, :, 4:], weight[1, :, :, 5:], weight[2] = 0, 0, 0
    junk = torch.where(weight > 0, x, 1e4)
    for patch in (0, 4):
        found, same = (PCA.fit(rows, 3, weight, patch) for rows in (x, junk))
        assert torch.equal(found.axes, same.axes)
        assert torch.equal(found.mean, same.mean)
    which = patches.sample(x, 4)
    counts = patches.known_weight(x, weight, 4, which)
    assert counts is not None
    assert counts.view(6, 6)[0].tolist() == [1, 1, 0, 0, 0, 0]
    assert counts.view(6, 6)[1].tolist() == [1, 0.25] * 3
    assert not counts.view(6, 6)[2].any()


def test_weights_of_rows_are_those_of_their_patches() -> None:
    x, weight = images(6, 2, 8, 8), torch.arange(6) % 3
    found = PCA.fit(x, 4, weight.float(), patch=4)
    repeated = PCA.fit(x.repeat_interleave(weight, 0), 4, patch=4)
    torch.testing.assert_close(found.axes, repeated.axes, rtol=1e-3, atol=1e-4)


def test_patches_are_rebuilt_from_their_components() -> None:
    x = images(8, 1, 9, 6)
    plain = PCA.fit(x, 3, patch=4)
    rows = patches.patches(x, 4)
    found = principal_components(rows.flatten(0, 1), 3)
    rebuilt = (rows - found.mean) @ found.axes.T @ found.axes + found.mean
    torch.testing.assert_close(plain.reconstruct(x), patches.from_patches(rebuilt, (9, 6), 4))
