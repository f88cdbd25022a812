"""What all tests share: one thread, random numbers of their own, the development data."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]

torch.set_num_threads(1)
torch.set_warn_always(True)  # not only the first time, or the order of tests decides which fails


class TorchRandom:
    """Torch's random numbers, so that Hypothesis draws every example anew from the same seed."""

    @staticmethod
    def seed(seed: int) -> None:
        torch.manual_seed(seed)

    @staticmethod
    def getstate() -> torch.Tensor:
        return torch.get_rng_state()

    @staticmethod
    def setstate(state: torch.Tensor) -> None:
        torch.set_rng_state(state)


TORCH_RANDOM = TorchRandom()  # Hypothesis holds it by a weak reference
hypothesis.register_random(TORCH_RANDOM)
hypothesis.settings.register_profile("quick", max_examples=20, deadline=None, derandomize=True)
hypothesis.settings.load_profile("quick")


@pytest.fixture(autouse=True)
def own_random_numbers() -> Iterator[None]:
    """Every test begins from the same seed and leaves no trace in the next."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of development data, which is no part of the project."""
    folder = Path(os.environ.get("ISTHMUS_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no development data in {folder}; set ISTHMUS_DATA to their folder")
    return folder
