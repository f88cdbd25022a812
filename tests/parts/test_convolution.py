"""Convolutions on large images and on images with gaps."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from isthmus.baselines import PCA
from isthmus.core import patches
from isthmus.core.types import Batch
from isthmus.parts.networks import Convolution

SHAPE = (2, 12, 10)
over_codes = pytest.mark.parametrize("grid_code", [True, False], ids=["grid", "vector"])


def network(shape: tuple[int, ...] = SHAPE, gaps: int = 1, **options: object) -> Convolution:
    small = {"widths": (6, 8)} | options
    return Convolution(shape, shape, 3, gaps=gaps, **small).eval()  # type: ignore[arg-type]


def images(n: int, shape: tuple[int, ...] = SHAPE) -> Tensor:
    size = torch.Size(shape).numel()
    return (torch.randn(n, 5) @ torch.randn(5, size) + torch.randn(size)).view(n, *shape)


def some_missing(n: int) -> Tensor:
    weight = torch.ones(n, 1, *SHAPE[1:])
    weight[: n // 2, :, 9:] = 0
    weight[n // 3 :, :, :, 6:] = 0
    return weight


def learned(net: Convolution) -> Convolution:
    """As after some training: no layer is silent."""
    torch.manual_seed(1)
    for parameter in net.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return net


@over_codes
def test_a_network_told_of_gaps_starts_as_the_one_that_is_not(grid_code: bool) -> None:
    x, results = images(20), []
    for gaps in (0, 1):
        torch.manual_seed(0)
        net = network(gaps=gaps, grid_code=grid_code)
        net.start(Batch(x), x)
        results.append(net.decode(net.encode(x)[:, 0]))
    torch.testing.assert_close(*results)


@over_codes
def test_the_encoder_knows_what_is_missing(grid_code: bool) -> None:
    net, x = learned(network(grid_code=grid_code)), images(6)
    hidden = torch.ones(6, *SHAPE)
    hidden[:, :, 3, 4] = 0
    x = x * hidden
    nothing = net.encode(x)
    assert torch.equal(net.encode(x, torch.ones(6)), nothing)
    assert torch.equal(net.encode(x, torch.ones_like(x)), nothing)
    assert not torch.equal(net.encode(x, hidden), nothing)
    torch.testing.assert_close(net.encode(x, hidden), net.encode(x, hidden[:, :1]))


@over_codes
def test_what_is_missing_counts_as_the_mean_to_the_linear_path(grid_code: bool) -> None:
    shape = (2, 12, 8)  # which the stride divides, so that no edge is repeated
    net, x = network(shape, gaps=0, grid_code=grid_code), images(30, shape)
    net.start(Batch(x), x)
    weight = some_missing(30)[..., :8]
    rows = patches.patches(x, net.stride) if grid_code else x.flatten(1)
    filled = torch.where(weight > 0, x, net._image(rows * 0 + rows.flatten(0, -2).mean(0), x))
    torch.testing.assert_close(net.encode(x * weight, weight), net.encode(filled))


@over_codes
def test_the_start_with_gaps_is_that_of_the_plain_method_with_gaps(grid_code: bool) -> None:
    net, x = network(grid_code=grid_code), images(40)
    weight = some_missing(40)
    x = x * weight
    net.start(Batch(x, weight), x)
    plain = PCA.fit(x, 3, weight, net.stride if grid_code else 0)
    ours = net.decode(net.encode(x)[:, 0])
    torch.testing.assert_close(ours, plain.reconstruct(x), rtol=1e-3, atol=1e-3)


@over_codes
def test_what_stands_outside_an_image_changes_nothing_at_the_start(grid_code: bool) -> None:
    x, weight = images(40), some_missing(40)
    results = []
    for junk in (0.0, 1e3):
        torch.manual_seed(0)
        net = network(grid_code=grid_code)
        shown = torch.where(weight > 0, x, junk)
        net.start(Batch(shown, weight), shown)
        results.append(net.decode(net.encode(x * weight, weight)[:, 0]))
    assert torch.equal(*results)


@given(st.integers(3, 20), st.integers(3, 20), st.integers(1, 3))
def test_images_of_any_size_come_back_in_their_size(height: int, width: int, depth: int) -> None:
    shape = (depth, height, width)
    for grid_code in (True, False):
        net = network(shape, grid_code=grid_code)
        h = net.encode(images(2, shape))
        assert h.shape == (2, 1, 3, *net.grid(shape))
        assert net.decode(h[:, 0]).shape == (2, *shape)


@pytest.mark.parametrize("shape", [(1, 512, 512), (3, 300, 200)])
def test_large_images_have_a_code_for_every_patch_of_eight(shape: tuple[int, ...]) -> None:
    net = Convolution(shape, shape, 4).eval()
    assert net.stride == 8
    assert net.grid(shape) == tuple(-(-side // 8) for side in shape[1:])
    x = torch.randn(1, *shape)
    net.start(Batch(x), x)
    with torch.inference_mode():
        rebuilt = net.decode(net.encode(x)[:, 0]).detach()
    plain = PCA.fit(x, 4, patch=8).reconstruct(x)
    torch.testing.assert_close(rebuilt, plain, rtol=1e-3, atol=1e-3)


def test_the_start_on_many_patches_looks_at_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    x = images(50)
    whole = PCA.fit(x, 3, patch=4).reconstruct(x)
    monkeypatch.setattr(patches, "SAMPLED_VALUES", 200 * 2 * 4 * 4)
    net = network(grid_code=True)
    net.start(Batch(x, given=None), x)
    rebuilt = net.decode(net.encode(x)[:, 0]).detach()
    torch.testing.assert_close(rebuilt, PCA.fit(x, 3, patch=4).reconstruct(x), rtol=1e-3, atol=1e-3)
    errors = [float((found - x).square().mean()) for found in (rebuilt, whole)]
    assert errors[0] < 1.2 * errors[1]


def test_widths_go_by_the_size_unless_they_are_given() -> None:
    assert Convolution((1, 128, 128), (1, 128, 128), 2).stride == 4
    assert Convolution((1, 128, 129), (1, 128, 129), 2).stride == 8
    assert network((1, 128, 129), widths=(4,)).stride == 2


@pytest.mark.parametrize("depth", [1, 2])
@over_codes
def test_a_signal_comes_through_all_layers_from_the_first_step(grid_code: bool, depth: int) -> None:
    """Else there is nothing of the image in what the last layers learn from, nor of the code."""
    shape = (1, 24, 24)
    options = {"grid_code": grid_code, "depth": depth, "linear_path": False}
    net = network(shape, gaps=0, widths=(16, 32), **options)
    with torch.no_grad():
        h = net.encode(torch.randn(50, *shape))
        rebuilt = net.decode(torch.randn(50, 3, *net.grid(shape)))
    for signal in (h, rebuilt):
        assert 0.2 < float(signal.std(0).mean()) < 10
