"""Several objectives of one shape in one pass: each is what it would be alone."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from isthmus.core.recipe import Phase, Recipe
from isthmus.core.specs import Spec, spec
from isthmus.core.types import Batch
from isthmus.model import Model
from isthmus.objective import Objective
from isthmus.parts import CODES, CORRUPTIONS, LIKELIHOODS, NETWORKS, PENALTIES
from tests.contracts import examples

MEMBERS, SHAPE = 3, (1, 5, 4)
GIVEN = frozenset({"shape", "params", "dim", "n_params", "n_given", "gaps"})


def phase(corruption: str = "none") -> Phase:
    stacked = [kind for kind in PENALTIES if not PENALTIES[kind].pulls]  # type: ignore[attr-defined]
    return Phase(corruption=spec(corruption), penalties=tuple(map(spec, stacked)))


def members(network: Spec, code: str, likelihood: Spec, phase: Phase, x: Tensor) -> list[nn.Module]:
    """Objectives that differ in their random numbers and in the rows that they started with."""
    made: list[nn.Module] = []
    for member in range(MEMBERS):
        model = Model(Recipe(network, spec(code), likelihood), tuple(x.shape[1:]), 3).double()
        model.start(Batch(x[member::MEMBERS]))
        objective = Objective(model, phase)
        objective.start(model.encode(x))
        for parameter in objective.parameters():
            if parameter.requires_grad:
                parameter.data += 0.05 * torch.randn_like(parameter)
        made.append(objective)
    return made


def together(
    objectives: list[nn.Module], x: Tensor, own_rows: bool
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The loss and its parts, (members,) each, and the gradients of their sum."""
    parameters, buffers = stack_module_state(objectives)
    base = copy.deepcopy(objectives[0]).to("meta")

    def one(parameters: Any, buffers: Any, x: Tensor) -> dict[str, Tensor]:
        loss = functional_call(base, (parameters, buffers), (Batch(x),))
        return {"total": loss.total, **loss.parts}

    torch.manual_seed(3)
    run = vmap(one, in_dims=(0, 0, 0 if own_rows else None), randomness="same")
    losses = run(parameters, buffers, x)
    losses["total"].sum().backward()
    return losses, {name: p.grad for name, p in parameters.items() if p.grad is not None}


def check(network: Spec, code: str, likelihood: Spec, phase: Phase, own_rows: bool = False) -> None:
    shape = (6,) if examples.for_tables_only(likelihood.kind) else SHAPE
    x = examples.rows(likelihood, 12 * (MEMBERS if own_rows else 1), shape)
    objectives = members(network, code, likelihood, phase, x)
    x = x.unflatten(0, (MEMBERS, 12)) if own_rows else x
    losses, gradients = together(objectives, x, own_rows)
    for member, objective in enumerate(objectives):
        torch.manual_seed(3)
        loss = objective(Batch(x[member] if own_rows else x))
        loss.total.backward()
        torch.testing.assert_close(losses["total"][member], loss.total)
        for name, part in loss.parts.items():
            torch.testing.assert_close(losses[name][member], part)
        for name, parameter in objective.named_parameters():
            if parameter.grad is not None:
                torch.testing.assert_close(gradients[name][member], parameter.grad)


def networks() -> list[Spec]:
    """Every network in small, and what changes how its layers work."""
    found = []
    for kind in NETWORKS:
        options = NETWORKS.options(kind, GIVEN)
        small = {"widths": (6, 4)} if "widths" in options else {}
        found.append(Spec(kind, small))
        for name, value in (("normalization", "layer"), ("grid_code", True), ("tied", True)):
            if name in options:
                found.append(Spec(kind, {**small, name: value}))
    return found


@pytest.mark.parametrize(
    "network", networks(), ids=lambda n: "-".join([n.kind, *map(str, n.options)])
)
@pytest.mark.parametrize("own_rows", [False, True])
def test_every_network_can_be_stacked(network: Spec, own_rows: bool) -> None:
    check(network, "point", spec("gaussian"), Phase(beta=0.0), own_rows)


@pytest.mark.parametrize("code", list(CODES))
@pytest.mark.parametrize("likelihood", list(LIKELIHOODS))
@pytest.mark.parametrize("corruption", list(CORRUPTIONS))
def test_every_code_likelihood_corruption_and_penalty_can_be_stacked(
    code: str, likelihood: str, corruption: str
) -> None:
    if examples.for_tables_only(likelihood) and (corruption == "augment" or code == "vector"):
        return  # rows of categories are often equal, and ties of entries may go either way
    network = spec("mlp", widths=(6,))
    check(network, code, examples.suited(likelihood, 6), phase(corruption))
