"""Every network, with every option: shapes, gradients, and a start as the plain method."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.core.errors import SpecError
from isthmus.core.linear import principal_components
from isthmus.core.recipe import Phase, Recipe
from isthmus.core.specs import Spec, spec
from isthmus.core.types import Batch
from isthmus.model import Model
from isthmus.objective import Objective
from isthmus.parts import NETWORKS, Network
from isthmus.parts.networks import Pair
from isthmus.parts.networks.layers import ACTIVATIONS

GIVEN = frozenset({"shape", "params", "dim", "n_params", "n_given", "gaps"})
SHAPES = {"row": (7,), "image": (1, 8, 8), "odd": (3, 9, 7), "flat": (2, 3, 17)}
SMALL: dict[str, Any] = {"widths": (8, 6)}
VALUES: dict[str, list[Any]] = {
    "widths": ["auto", (6,), (4, 6, 5)],
    "depth": [2],
    "grid_code": [True, False],
    "activation": list(ACTIVATIONS),
    "normalization": ["none", "batch", "layer"],
    "dropout": [0.3],
    "tied": [True],
    "linear_path": [False],
}
"""What each option is tried with, beside small widths."""


class Case(NamedTuple):
    """A network with its options, rows of a shape, and a code of so many params."""

    network: Spec
    shape: tuple[int, ...]
    n_params: int

    def build(self, dim: int = 3, n_given: int = 0) -> Network:
        return NETWORKS.build(
            self.network,
            shape=self.shape,
            params=self.shape,
            dim=dim,
            n_params=self.n_params,
            n_given=n_given,
            gaps=0,
        )

    def model(self, dim: int = 3) -> Model:
        code = spec("point" if self.n_params == 1 else "gaussian")
        return Model(Recipe(self.network, code, spec("gaussian")), self.shape, dim)

    @property
    def name(self) -> str:
        options = [f"{name}={value}" for name, value in self.network.options.items()]
        return "-".join([self.network.kind, *options, str(self.shape), str(self.n_params)])


def variants(kind: str) -> Iterator[Spec]:
    """The network in small, and with every option in turn."""
    options = NETWORKS.options(kind, GIVEN)
    small = {name: value for name, value in SMALL.items() if name in options}
    yield Spec(kind, small)
    for name in options:
        for value in VALUES.get(name, []):
            yield Spec(kind, {**small, name: value})


def accepted(case: Case) -> bool:
    """Whether the network can be built; what one refuses, it refuses as a ``SpecError``."""
    try:
        case.build()
    except SpecError:
        return False
    return True


def cases() -> Iterator[Case]:
    """Every network on every shape, and every option on two of them."""
    for kind in NETWORKS:
        for network in variants(kind):
            structural = set(network.options) <= set(SMALL) or "grid_code" in network.options
            for name, shape in SHAPES.items():
                if structural or name in ("row", "odd"):
                    yield Case(network, shape, 1)
                if structural and name in ("row", "odd"):
                    yield Case(network, shape, 2)


CASES = [case for case in cases() if accepted(case)]
ROW_KINDS = sorted({case.network.kind for case in CASES if case.shape == SHAPES["row"]})
over_cases = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
over_starts = pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.network.options.get("linear_path", True)],
    ids=lambda case: case.name,
)


def rows(n: int, shape: tuple[int, ...]) -> Tensor:
    """Rows whose values depend on each other, with means and scales of their own."""
    size = torch.Size(shape).numel()
    mixed = torch.randn(n, size) @ torch.randn(size, size) / size**0.5
    return (mixed * (0.5 + torch.rand(size)) + torch.randn(size)).view(n, *shape)


def plain(x: Tensor, dim: int, network: Network) -> Tensor:
    """What principal components rebuild: of whole rows, or of patches where the code is a grid."""
    patch = network.stride if network.grid(tuple(x.shape[1:])) else 0
    if patch:
        missing = [-side % patch for side in x.shape[2:]]
        whole = F.pad(x, (0, missing[1], 0, missing[0]), mode="replicate")
        flat = F.unfold(whole, patch, stride=patch).transpose(1, 2).flatten(0, 1)
    else:
        whole, flat = x, x.flatten(1)
    found = principal_components(flat, dim)
    rebuilt = (flat - found.mean) @ found.axes.T @ found.axes + found.mean
    if not patch:
        return rebuilt.view_as(x)
    columns = rebuilt.view(len(x), -1, flat.shape[1]).transpose(1, 2)
    folded = F.fold(columns, whole.shape[2:], patch, stride=patch)
    return folded[..., : x.shape[2], : x.shape[3]]


def test_every_option_is_tried_and_every_network_takes_some_shape() -> None:
    for kind in NETWORKS:
        assert set(NETWORKS.options(kind, GIVEN)) <= set(VALUES)
        networks = [case.network for case in CASES if case.network.kind == kind]
        for name in NETWORKS.options(kind, GIVEN):
            assert any(name in network.options for network in networks), (kind, name)
        assert networks, kind
    tried = [item for case in CASES for item in case.network.options.items()]
    for name, values in VALUES.items():
        assert all((name, value) in tried for value in values), name


@over_cases
def test_shapes_are_as_promised(case: Case) -> None:
    network, x = case.build(n_given=0), rows(4, case.shape)
    grid = network.grid(case.shape)
    h = network.encode(x)
    assert h.shape == (4, case.n_params, 3, *grid)
    assert network.decode(h[:, 0]).shape == x.shape
    network.eval()
    assert network.encode(x[:1]).shape == (1, case.n_params, 3, *grid)
    assert network.encode(x, torch.ones(4)).shape == h.shape
    assert network.encode(x, torch.ones_like(x)).shape == h.shape


@over_cases
def test_a_grid_is_the_image_divided_by_the_stride(case: Case) -> None:
    network = case.build()
    grid = network.grid(case.shape)
    assert grid in ((), tuple(-(-side // network.stride) for side in case.shape[1:]))


@over_cases
def test_conditions_are_read_beside_the_code(case: Case) -> None:
    try:
        network = case.build(n_given=2)
    except SpecError:
        assert case.network.options.get("tied")
        return
    grid = network.grid(case.shape)
    network.decode(torch.randn(4, 5, *grid)).square().sum().backward()
    x, conditions = rows(30, case.shape), torch.randn(30, 2)
    network.eval().start(Batch(x, given=conditions), x)
    assert network.decode(torch.randn(4, 5, *grid)).isfinite().all()


@over_cases
def test_step_by_step_is_the_same_as_reading_the_result(case: Case) -> None:
    network = case.build().eval()
    z = torch.randn(4, 3, *network.grid(case.shape))
    x = network.unroll(z, torch.tanh)
    assert x.shape == (4, *case.shape)
    torch.testing.assert_close(x, network.decode(z, x).tanh())


@over_cases
def test_a_row_stands_alone(case: Case) -> None:
    network, x = case.model().network.eval(), rows(5, case.shape)
    h = network.encode(x)
    torch.testing.assert_close(network.encode(x[:1]), h[:1])
    torch.testing.assert_close(network.decode(h[:1, 0]), network.decode(h[:, 0])[:1])


def check_rows_are_their_own(model: Model, x: Tensor) -> None:
    """Codes, rows rebuilt and scores are the same to the bit, wherever a row stands."""
    some = torch.randperm(len(x))[: len(x) // 2]
    whole, part = (
        (z := model.encode(rows), model.decode(z), model.score(Batch(rows)))
        for rows in (x, x[some])
    )
    for of_whole, of_part in zip(whole, part, strict=True):
        assert torch.equal(of_whole[some], of_part)


@over_cases
def test_the_answer_for_a_row_is_its_own_to_the_bit(case: Case) -> None:
    model, x = case.model(), rows(40, case.shape)
    model.start(Batch(x))
    check_rows_are_their_own(model, x)


@pytest.mark.parametrize("kind", ROW_KINDS)
@given(columns=st.integers(1, 70), dim=st.integers(1, 12), width=st.integers(1, 20))
def test_the_answer_for_a_row_is_its_own_whatever_the_sizes(
    kind: str, columns: int, dim: int, width: int
) -> None:
    options = {"widths": (width,)} if "widths" in NETWORKS.options(kind, GIVEN) else {}
    model, x = Case(Spec(kind, options), (columns,), 2).model(dim), rows(40, (columns,))
    model.start(Batch(x))
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    check_rows_are_their_own(model, x)


@given(columns=st.integers(1, 70), dim=st.integers(1, 12))
def test_the_answer_for_a_row_is_its_own_through_modules_of_the_user(
    columns: int, dim: int
) -> None:
    pair = Pair(nn.Linear(columns, dim), nn.Linear(dim, columns), (columns,), (columns,))
    recipe = Recipe(spec("mlp"), spec("point"), spec("gaussian"))
    model, x = Model(recipe, (columns,), dim, network=pair), rows(40, (columns,))
    check_rows_are_their_own(model, x)


@over_cases
def test_gradients_reach_every_parameter(case: Case) -> None:
    model, batch = case.model(), Batch(rows(16, case.shape))
    model.start(batch)
    objective = Objective(model, Phase(beta=case.n_params - 1.0))
    optimiser = torch.optim.Adam(objective.parameters(), 1e-2)
    for _ in range(3):  # last layers begin at zero, so those before them wait a step
        optimiser.zero_grad()
        objective(batch).total.backward()
        optimiser.step()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        # What normalisation over the batch subtracts again has a gradient of zero: biases.
        assert parameter.grad.any() or parameter.ndim < 2, name


@over_starts
def test_the_start_is_the_plain_method(case: Case) -> None:
    model, x = case.model(), rows(60, case.shape)
    model.start(Batch(x))
    rebuilt = model.decode(model.encode(x))
    torch.testing.assert_close(rebuilt, plain(x, 3, model.network), rtol=1e-4, atol=1e-4)


@over_starts
def test_the_start_whitens_the_code(case: Case) -> None:
    model, x = case.model(), rows(60, case.shape)
    model.start(Batch(x))
    z = model.encode(x).transpose(0, 1).flatten(1)
    covariance = z @ z.T / z.shape[1]
    torch.testing.assert_close(covariance, torch.eye(3), rtol=0.0, atol=1e-3)


@pytest.mark.parametrize("kind", ROW_KINDS)
@given(
    n=st.integers(2, 12),
    dim=st.integers(1, 9),
    kept=st.integers(0, 7),
    scale=st.floats(1e-2, 1e2),
    shift=st.floats(-10, 10),
)
def test_the_start_is_the_plain_method_for_any_table(
    kind: str, n: int, dim: int, kept: int, scale: float, shift: float
) -> None:
    """Few rows, more dimensions than there can be components, constant columns."""
    x = rows(n, SHAPES["row"])
    x[:, kept:] = 0.0
    x = x * scale + shift
    model = Case(next(variants(kind)), SHAPES["row"], 1).model(dim)
    model.start(Batch(x))
    rebuilt = model.decode(model.encode(x))
    precision = 1e-4 * (1 + scale + abs(shift))
    torch.testing.assert_close(rebuilt, plain(x, dim, model.network), rtol=0.0, atol=precision)


@over_starts
def test_a_row_of_weight_two_starts_as_if_it_were_there_twice(case: Case) -> None:
    x, weight = rows(30, case.shape), torch.arange(30) % 3
    weighed, repeated = case.model(), case.model()
    weighed.start(Batch(x, weight.float()))
    repeated.start(Batch(x.repeat_interleave(weight, 0)))
    results = [model.decode(model.encode(x)) for model in (weighed, repeated)]
    torch.testing.assert_close(*results, rtol=1e-3, atol=1e-3)


@over_starts
def test_the_start_draws_nothing(case: Case) -> None:
    model, x = case.model(), rows(30, case.shape)
    state = torch.get_rng_state()
    model.start(Batch(x))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("kind", list(NETWORKS))
def test_an_unknown_option_is_answered_with_the_nearest(kind: str) -> None:
    with pytest.raises(SpecError, match=f"network '{kind}' has no option 'widht'"):
        NETWORKS.build(spec(kind, widht=3), shape=(7,), params=(7,), dim=2)
