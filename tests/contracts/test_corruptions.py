"""Every corruption: the encoder sees less, the target stays."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from isthmus.core.errors import SpecError
from isthmus.core.specs import Spec, spec
from isthmus.core.types import Batch
from isthmus.parts import CORRUPTIONS, LIKELIHOODS

SHAPES = [(1,), (6,), (2, 5, 3)]
OF_IMAGES = {"augment"}
"""Those that rows of a table are refused by; while training they change the target too."""
over_corruptions = pytest.mark.parametrize("kind", list(CORRUPTIONS))


def full_batch(rows: int, shape: tuple[int, ...]) -> Batch:
    return Batch(
        x=torch.randn(rows, *shape),
        weight=torch.rand(rows),
        y=torch.zeros(rows, dtype=torch.long),
        given=torch.randn(rows, 2),
        index=torch.arange(rows),
    )


@over_corruptions
@given(rows=st.integers(1, 5), shape=st.sampled_from(SHAPES))
def test_the_target_stays_and_what_is_seen_has_its_shape(
    kind: str, rows: int, shape: tuple[int, ...]
) -> None:
    batch = full_batch(rows, SHAPES[-1] if kind in OF_IMAGES else shape)
    x = batch.x.clone()
    seen, target = CORRUPTIONS.build(spec(kind)).eval()(batch)
    assert torch.equal(target.x, x)
    assert torch.equal(batch.x, x)
    assert seen.x.shape == x.shape
    assert seen.x.isfinite().all()
    assert seen.x.dtype == x.dtype


@over_corruptions
def test_labels_conditions_and_row_numbers_go_along(kind: str) -> None:
    batch = full_batch(4, SHAPES[-1])
    for side in CORRUPTIONS.build(spec(kind))(batch):
        for name in ("y", "given", "index"):
            assert torch.equal(getattr(side, name), getattr(batch, name))


@over_corruptions
def test_the_same_seed_damages_the_same_way(kind: str) -> None:
    made, batch = CORRUPTIONS.build(spec(kind)), full_batch(8, SHAPES[-1])
    results = []
    for _ in range(2):
        torch.manual_seed(3)
        results.append(made(batch)[0].x)
    assert torch.equal(*results)


@given(scale=st.floats(0, 10))
def test_noise_has_the_scale_asked_for(scale: float) -> None:
    batch = Batch(torch.randn(500, 10))
    seen, _ = CORRUPTIONS.build(spec("noise", scale=scale))(batch)
    assert float((seen.x - batch.x).std()) == pytest.approx(scale, rel=0.08, abs=1e-5)


@given(share=st.floats(0, 0.99))
def test_a_mask_hides_the_share_asked_for_and_leaves_the_rest(share: float) -> None:
    batch = Batch(torch.randn(500, 10))
    seen, _ = CORRUPTIONS.build(spec("mask", share=share))(batch)
    hidden = seen.x == 0
    assert float(hidden.float().mean()) == pytest.approx(share, abs=0.04)
    assert torch.equal(seen.x[~hidden], batch.x[~hidden])


@pytest.mark.parametrize("shape", [(6,), (2, 5, 3)])
@pytest.mark.parametrize("weighed", ["nothing", "rows", "values"])
def test_a_mask_says_what_it_hides(shape: tuple[int, ...], weighed: str) -> None:
    """Zero is a value like any other to a network that reads categories."""
    x = torch.rand(8, *shape) + 1
    weight = {"nothing": None, "rows": torch.rand(8) + 1, "values": torch.rand(8, *shape) + 1}
    batch = Batch(x, weight[weighed])
    seen, target = CORRUPTIONS.build(spec("mask", share=0.5))(batch)
    assert seen.weight is not None
    assert torch.equal(seen.weight == 0, seen.x == 0)
    assert target is batch


@given(
    patch=st.integers(2, 5),
    share=st.floats(0.1, 0.9),
    sides=st.tuples(st.integers(1, 11), st.integers(1, 11)),
)
def test_a_mask_of_squares_hides_whole_squares_in_all_channels(
    patch: int, share: float, sides: tuple[int, int]
) -> None:
    batch = Batch(torch.rand(6, 3, *sides) + 1)
    seen, _ = CORRUPTIONS.build(spec("mask", share=share, patch=patch))(batch)
    assert seen.weight is not None
    assert torch.equal(seen.weight == 0, seen.x == 0)
    for top in range(0, sides[0], patch):
        for left in range(0, sides[1], patch):
            square = seen.weight[:, :, top : top + patch, left : left + patch].flatten(1)
            assert torch.equal(square.amin(1), square.amax(1))


def test_a_mask_of_squares_hides_the_share_asked_for() -> None:
    seen, _ = CORRUPTIONS.build(spec("mask", share=0.3, patch=4))(Batch(torch.rand(400, 1, 16, 16)))
    assert float((seen.x == 0).float().mean()) == pytest.approx(0.3, abs=0.03)


def test_squares_are_not_looked_for_in_a_table() -> None:
    with pytest.raises(SpecError, match="patch=4 hides squares of images"):
        CORRUPTIONS.build(spec("mask", patch=4))(Batch(torch.rand(5, 3)))


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("noise", {"scale": -1}),
        ("mask", {"share": 1}),
        ("mask", {"part": 0.5}),
        ("mask", {"patch": 0}),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(kind: str, options: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match=next(iter(options))):
        CORRUPTIONS.build(Spec(kind, options))


def test_noise_suits_what_it_is_added_to() -> None:
    levels, counts = torch.randint(0, 3, (200, 2)).float(), torch.poisson(torch.full((200, 1), 0.3))
    x = torch.cat([torch.randn(200, 1), counts, levels], 1)
    likelihood = LIKELIHOODS.build(
        spec("mixed", counts="negative-binomial"),
        shape=(4,),
        columns=("number", "count", "category", "category"),
        levels=(0, 0, 3, 3),
    )
    noise = CORRUPTIONS.build(spec("noise", scale=2.0))
    noise.suit(likelihood)
    seen = noise(Batch(x))[0].x
    assert torch.equal(seen[:, 2:], levels)
    assert (seen[:, 1] >= 0).all()
    assert float((seen[:, 0] - x[:, 0]).std()) == pytest.approx(2, rel=0.2)
    assert likelihood.embed(seen).isfinite().all()
