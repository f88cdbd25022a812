"""Equal rows count once, however many values there are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from isthmus.core.types import Batch
from isthmus.tasks import validation


@pytest.fixture(params=["bytes", "hashes", "hashes that fail"])
def ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Small and large data, and large data of which two rows have one hash by chance."""
    if request.param != "bytes":
        monkeypatch.setattr(validation, "MANY_VALUES", 0)
    if request.param == "hashes that fail":
        monkeypatch.setattr(np.random, "default_rng", lambda seed: Always(seed))
    return str(request.param)


class Always:
    def __init__(self, seed: int) -> None: ...

    def integers(self, high: int, size: int, dtype: Any) -> NDArray[Any]:
        return np.zeros(size, dtype)


@pytest.mark.usefixtures("ways")
def test_every_different_row_is_there_once_weighed_by_how_often_it_counts() -> None:
    x = torch.tensor([[1.0, 2.0], [2.0, 1.0], [1.0, 2.0], [0.0, 0.0], [-0.0, 0.0], [1.0, 2.0]])
    found = validation.distinct(Batch(x), None)
    assert found.weight is not None
    rows = {tuple(row): w for row, w in zip(found.x.tolist(), found.weight.tolist(), strict=True)}
    assert rows == pytest.approx({(1.0, 2.0): 1.5, (2.0, 1.0): 0.5, (0.0, 0.0): 1.0})


@pytest.mark.usefixtures("ways")
def test_the_order_of_the_rows_does_not_matter() -> None:
    x = torch.randint(3, (200, 4), generator=torch.Generator().manual_seed(0)).float()
    found = validation.distinct(Batch(x), None)
    turned = validation.distinct(Batch(x.flip(0)), None)
    assert torch.equal(found.x, turned.x)
    assert found.weight is not None
    assert turned.weight is not None
    assert torch.equal(found.weight, turned.weight)


@pytest.mark.usefixtures("ways")
def test_rows_with_other_gaps_are_different() -> None:
    x = torch.zeros(3, 2)
    weight = torch.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, 0.0]])
    assert len(validation.distinct(Batch(x, weight), None).x) == 2
