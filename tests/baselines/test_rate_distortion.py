"""Curves of rate and distortion: known distances come out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.baselines.image_files import lossy_formats, opened
from isthmus.baselines.rate_distortion import bjontegaard, psnr_of

CURVE = [(0.2, 28.0), (0.4, 31.0), (0.8, 34.5), (1.6, 39.0)]


def test_psnr_has_its_known_values() -> None:
    assert psnr_of(255.0**2) == 0
    assert psnr_of(65.025) == pytest.approx(30)
    assert psnr_of(0.0) == math.inf
    assert psnr_of(0.01, peak=1.0) == pytest.approx(20)


@given(st.floats(0.1, 5))
def test_a_curve_at_a_share_of_the_bytes_is_that_share_away(share: float) -> None:
    moved = [(rate * share, psnr) for rate, psnr in CURVE]
    assert bjontegaard(CURVE, moved) == pytest.approx(share - 1, abs=1e-9)
    assert bjontegaard(moved, CURVE) == pytest.approx(1 / share - 1, abs=1e-9)


def test_only_what_both_curves_reach_counts() -> None:
    half = [(rate / 2, psnr) for rate, psnr in CURVE]
    worse_above = [*half, (100.0, 60.0)]
    assert bjontegaard(CURVE, worse_above) == pytest.approx(-0.5, abs=0.05)


def test_straight_lines_of_different_slope_are_as_far_apart_as_in_closed_form() -> None:
    psnr = np.linspace(30, 40, 5)
    one = [(math.exp(0.1 * p), p) for p in psnr]
    other = [(math.exp(0.12 * p - 1), p) for p in psnr]
    assert bjontegaard(one, other) == pytest.approx(math.exp(0.02 * 35 - 1) - 1, rel=1e-6)


def test_points_out_of_order_or_beaten_by_another_change_nothing() -> None:
    mixed = [CURVE[2], (0.9, 30.0), CURVE[0], CURVE[3], CURVE[1], (2.0, math.inf)]
    half = [(rate / 2, psnr) for rate, psnr in CURVE]
    assert bjontegaard(mixed, half) == pytest.approx(-0.5, abs=1e-9)


def test_curves_that_share_no_psnr_are_not_compared() -> None:
    assert math.isnan(bjontegaard(CURVE, [(r, p + 50) for r, p in CURVE]))
    assert math.isnan(bjontegaard(CURVE, [CURVE[0]]))
    assert math.isnan(bjontegaard([], CURVE))


@pytest.mark.parametrize("name", lossy_formats())
def test_plain_formats_cost_more_bytes_at_a_higher_quality(name: str) -> None:
    rows, columns = np.mgrid[:48, :56]
    image = (100 + 80 * np.sin(rows / 5) + 60 * np.cos(columns / 3)).clip(0, 255).astype(np.uint8)
    colour = np.stack([image, image[::-1], 255 - image], axis=-1)
    write, qualities = lossy_formats()[name]
    for picture in (image, colour):
        sizes, errors = [], []
        for quality in (qualities[0], qualities[-1]):
            data = write(picture, quality)
            assert data is not None
            again = opened(data).astype(float)
            again = again if again.ndim == picture.ndim else again.mean(axis=2)
            sizes.append(len(data))
            errors.append(np.square(again - picture).mean())
        assert sizes[0] < sizes[1]
        assert errors[0] > errors[1]
