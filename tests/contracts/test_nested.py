"""The nested code: its prefixes are codes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from isthmus import Autoencoder
from isthmus.baselines import PCA
from isthmus.core.specs import spec
from isthmus.core.types import Batch
from isthmus.model import Model
from isthmus.parts import CODES
from isthmus.parts.codes.nested import Nested
from isthmus.recipes import RECIPES
from isthmus.training.surroundings import own_randomness

GRIDS = st.sampled_from([(), (2,), (3, 2)])
DIM = 4


def nested(dim: int = DIM, **options: Any) -> Nested:
    made = CODES.build(spec("nested", **options), dim=dim, shape=(6,))
    assert isinstance(made, Nested)
    return made


def rows(n: int = 400) -> NDArray[Any]:
    """A bent sheet in six columns, the first the widest."""
    random = np.random.default_rng(0)
    a, b = random.uniform(-2, 2, (2, n, 1))
    sheet = np.concatenate([a, b, np.sin(2 * a), a * b, np.cos(b), b**2], 1)
    return np.asarray(sheet @ random.normal(size=(6, 6)) + 0.1 * random.normal(size=(n, 6)))


@pytest.fixture(scope="module")
def fitted() -> Autoencoder:
    made = Autoencoder(DIM, recipe="nested", epochs=8, batch_size=32, validation=0)
    return made.fit(rows())


@given(n=st.integers(1, 40), grid=GRIDS, inner=st.sampled_from(["point", "gaussian"]))
def test_in_training_every_row_keeps_a_prefix_and_nothing_else(
    n: int, grid: tuple[int, ...], inner: str
) -> None:
    made = nested(code=spec(inner)).train()
    h = torch.randn(n, made.n_params, DIM, *grid)
    kept = made(h).z.flatten(2).ne(0).any(2) if grid else made(h).z != 0
    assert kept[:, 0].all()
    assert (kept[:, 1:] <= kept[:, :-1]).all()


@given(n=st.integers(1, 40), grid=GRIDS, inner=st.sampled_from(["point", "gaussian"]))
def test_in_use_it_is_the_code_that_it_wraps(n: int, grid: tuple[int, ...], inner: str) -> None:
    made = nested(code=spec(inner)).eval()
    h = torch.randn(n, made.n_params, DIM, *grid)
    for ours, its in zip(made(h), made.inner(h), strict=True):
        assert torch.equal(ours, its)


@given(k=st.integers(1, DIM), inner=st.sampled_from(["point", "gaussian"]))
def test_a_prefix_never_reads_what_lies_behind_it(k: int, inner: str) -> None:
    made = nested(code=spec(inner)).train()
    h = torch.randn(32, made.n_params, DIM)
    other = h.clone()
    other[:, :, k:] = torch.randn(32, made.n_params, DIM - k)
    with own_randomness(1):
        one = made(h)
    with own_randomness(1):
        two = made(other)
    short = two.z[:, k:].eq(0).all(1)
    assert torch.equal(one.z[short], two.z[short])
    assert torch.equal(one.rate[short], two.rate[short])


def test_what_was_dropped_has_no_price_that_training_could_lower() -> None:
    made = nested(code=spec("gaussian")).train()
    made.start(torch.tensor([50.0, 20.0, 5.0, 1.0]))
    h = torch.randn(64, 2, DIM).requires_grad_()
    coded = made(h)
    coded.rate.sum().backward()
    assert h.grad is not None
    dropped = coded.z == 0
    assert dropped.any()
    assert (h.grad.transpose(1, 2)[dropped] == 0).all()
    assert (h.grad.transpose(1, 2)[~dropped] != 0).all()


@settings(max_examples=20)
@given(
    curvature=st.lists(st.floats(0, 1e3), min_size=DIM, max_size=DIM),
    balance=st.sampled_from([0.0, 0.5, 1.0]),
    n=st.integers(200, 1000),
)
def test_prefixes_come_as_often_as_promised_in_every_batch(
    curvature: list[float], balance: float, n: int
) -> None:
    made = nested(balance=balance).train()
    made.start(torch.tensor(curvature))
    behind = [sum(curvature[k:]) for k in range(1, DIM + 1)]
    share = np.array([(1 + cost / 6) ** -balance for cost in behind])
    length = (made(torch.ones(n, 1, DIM)).z != 0).sum(1)
    found = np.bincount(length.numpy(), minlength=DIM + 1)[1:] / n
    # Spread evenly: far nearer than independent draws would be.
    np.testing.assert_allclose(found, share / share.sum(), atol=8 / n)


def test_each_row_of_a_batch_meets_every_prefix() -> None:
    made = nested().train()
    length = torch.stack([(made(torch.ones(8, 1, DIM)).z != 0).sum(1) for _ in range(400)])
    for k in range(1, DIM + 1):
        often = (length == k).float().mean(0)
        assert ((often - 1 / DIM).abs() < 0.12).all()


@pytest.mark.parametrize("grid", [(), (2, 2)])
def test_it_draws_from_torch_s_own_generator(grid: tuple[int, ...]) -> None:
    made = nested().train()
    h = torch.ones(16, 1, DIM, *grid)

    def drawn(seed: int) -> Tensor:
        with own_randomness(seed):
            return torch.stack([made(h).z for _ in range(3)])

    assert torch.equal(drawn(3), drawn(3))
    assert not torch.equal(drawn(3), drawn(4))


@pytest.mark.parametrize("balance", [-1.0, float("nan")])
def test_a_balance_that_is_no_weight_is_refused(balance: float) -> None:
    with pytest.raises(ValueError, match="balance"):
        nested(balance=balance)


@given(k=st.integers(1, DIM))
def test_the_first_numbers_lead_back_as_the_rest_at_zero_would(fitted: Autoencoder, k: int) -> None:
    X = rows()[:20]
    whole = fitted.transform(X)
    first = fitted.transform(X, dims=k)
    np.testing.assert_array_equal(first, whole[:, :k])
    whole[:, k:] = 0
    np.testing.assert_array_equal(fitted.inverse_transform(first), fitted.inverse_transform(whole))


@pytest.mark.parametrize(
    ("network", "shape"), [("mlp", (6,)), ("linear", (6,)), ("conv", (1, 2, 3))]
)
def test_before_training_every_prefix_is_pca_of_its_length(
    network: str, shape: tuple[int, ...]
) -> None:
    x = torch.from_numpy(rows()).float().view(-1, *shape)
    recipe = RECIPES["nested"].with_parts(network=spec(network), likelihood=spec("gaussian"))
    model = Model(recipe, shape, DIM)
    model.start(Batch(x))
    for k in range(1, DIM + 1):
        rebuilt = model.decode(model.encode(x, dims=k))
        torch.testing.assert_close(rebuilt, PCA.fit(x, k).reconstruct(x), rtol=0, atol=1e-3)


def test_the_shares_go_by_what_pca_of_each_length_leaves() -> None:
    x = torch.from_numpy(rows()).float()
    recipe = RECIPES["nested"].with_parts(
        network=spec("mlp"), likelihood=spec("gaussian"), code=spec("nested", balance=1.0)
    )
    model = Model(recipe, (6,), DIM)
    model.start(Batch(x))
    assert isinstance(model.code, Nested)
    left = [float((PCA.fit(x, k).reconstruct(x) - x).square().mean()) for k in range(1, DIM + 1)]
    expected = left[-1] / torch.tensor(left)
    torch.testing.assert_close(model.code.shares(), expected, rtol=0.1, atol=0)


def test_trained_prefixes_beat_pca_of_their_length() -> None:
    X = rows(2400)
    X = X / X.std(0)
    trained = Autoencoder(3, recipe="nested", epochs=40).fit(X[:2000])
    plain = Autoencoder(3, recipe="linear").fit(X[:2000])

    def error(model: Autoencoder, k: int) -> float:
        rebuilt = model.inverse_transform(model.transform(X[2000:], dims=k))
        return float(np.square(rebuilt - X[2000:]).mean())

    for k in (1, 2, 3):
        assert error(trained, k) < 0.98 * error(plain, k)
