"""Two processes, each with half of every batch, train one model."""

from __future__ import annotations

import datetime
import multiprocessing
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from isthmus.core.recipe import Phase, Recipe
from isthmus.core.specs import spec
from isthmus.core.types import Batch
from isthmus.model import Model
from isthmus.objective import Objective

PROCESSES, STEPS, SECONDS = 2, 4, 60
CASES = {
    "mlp": (spec("mlp", widths=(8,)), "point"),
    "linear": (spec("linear"), "point"),
    "tied": (spec("mlp", widths=(8,), tied=True), "point"),
    "conv": (spec("conv", widths=(4,)), "point"),
    "vae": (spec("mlp", widths=(8,)), "gaussian"),
}
SHAPE = (1, 4, 4)


def objective(case: str) -> Objective:
    network, code = CASES[case]
    torch.manual_seed(0)
    model = Model(Recipe(network, spec(code), spec("gaussian")), SHAPE, 2)
    model.start(rows())
    return Objective(model, Phase(beta=float(code == "gaussian")))


def rows() -> Batch:
    random = torch.Generator().manual_seed(1)
    x = torch.randn(16, *SHAPE, generator=random)
    return Batch(x, weight=torch.rand(16, generator=random) * 2)


def trained(module: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """The weights after some steps; ``module`` answers as an objective."""
    # Not Adam: at a scale that starts at its optimum, it makes a step of a gradient of rounding.
    optimiser = torch.optim.SGD(module.parameters(), 0.1, momentum=0.9)
    for _ in range(STEPS):
        optimiser.zero_grad()
        module(batch).total.backward()
        optimiser.step()
    return {name.removeprefix("module."): t for name, t in module.state_dict().items()}


def work(rank: int, folder: Path) -> None:
    """One process: its share of every batch."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo",
        init_method=(folder / "store").as_uri(),
        rank=rank,
        world_size=PROCESSES,
        timeout=datetime.timedelta(seconds=SECONDS),
    )
    try:
        found: dict[str, Any] = {}
        for case in CASES:
            replica = DistributedDataParallel(objective(case))
            torch.manual_seed(rank)
            found[case] = trained(replica, rows().rows(torch.arange(rank, 16, PROCESSES)))
        torch.save(found, folder / f"{rank}.pt")
    finally:
        distributed.destroy_process_group()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict[str, Tensor]]]:
    """What each process ended with, by case."""
    folder = tmp_path_factory.mktemp("processes")
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=work, args=(r, folder)) for r in range(PROCESSES)]
    try:
        for process in processes:
            process.start()
        for process in processes:
            process.join(SECONDS)
        assert [process.exitcode for process in processes] == [0] * PROCESSES
    finally:
        for process in processes:
            process.kill()
            process.join()
    return [torch.load(folder / f"{rank}.pt") for rank in range(PROCESSES)]


@pytest.mark.parametrize("case", list(CASES))
def test_both_end_with_the_same_weights(
    weights: list[dict[str, dict[str, Tensor]]], case: str
) -> None:
    one, other = (found[case] for found in weights)
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


@pytest.mark.parametrize("case", [case for case, (_, code) in CASES.items() if code == "point"])
def test_they_train_as_one_process_on_all_rows(
    weights: list[dict[str, dict[str, Tensor]]], case: str
) -> None:
    alone = trained(objective(case), rows())
    for name, value in alone.items():
        torch.testing.assert_close(weights[0][case][name], value, rtol=1e-4, atol=1e-5)
