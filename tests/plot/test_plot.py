"""Figures: they show what they are given, and leave nothing behind."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib._pylab_helpers import Gcf
from matplotlib.figure import Figure

from isthmus import plot
from isthmus.plot import style

RANDOM = np.random.default_rng(0)
HISTORY: list[dict[str, Any]] = [
    {"epoch": i, "train": 1 / i, "validation": 1.1 / i, "validation_error": 0.4 / i}
    for i in range(1, 11)
]
IMAGES = RANDOM.integers(0, 255, (5, 6, 8), dtype=np.uint8)
DRAWINGS: dict[str, Callable[[], Figure]] = {
    "curves": lambda: plot.curves(HISTORY, 0.5),
    "loss": lambda: plot.curves(HISTORY, measure="loss"),
    "reconstructions": lambda: plot.reconstructions(IMAGES, IMAGES, IMAGES),
    "map": lambda: plot.map(RANDOM.normal(size=(50, 3)), RANDOM.integers(0, 4, 50)),
    "alarms": lambda: plot.alarms(RANDOM.exponential(size=50), 2.0),
    "promise": lambda: plot.promise(RANDOM.random(50), 0.01, 100),
    "columns": lambda: plot.columns(["a", "b"], [0.1, 0.2], [0.3, 0.4]),
}
over_drawings = pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS)


def drawn(figure: Figure) -> str:
    """The figure as SVG whose words are words."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg")
    return buffer.getvalue()


@over_drawings
def test_drawing_leaves_no_global_state(draw: Callable[[], Figure]) -> None:
    before, figures = dict(mpl.rcParams), len(Gcf.figs)
    drawn(draw())
    assert dict(mpl.rcParams) == before
    assert len(Gcf.figs) == figures


@over_drawings
def test_drawing_is_the_same_every_time(draw: Callable[[], Figure]) -> None:
    RANDOM.bit_generator.state = np.random.default_rng(1).bit_generator.state
    first = np.asarray(rendered(draw()))
    RANDOM.bit_generator.state = np.random.default_rng(1).bit_generator.state
    np.testing.assert_array_equal(first, rendered(draw()))


def rendered(figure: Figure) -> np.ndarray:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="rgba", dpi=60)
    return np.frombuffer(buffer.getvalue(), dtype=np.uint8)


def test_no_window_system_is_touched() -> None:
    asked = "import sys, isthmus.plot; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0


def test_validation_starts_at_the_level_of_pca() -> None:
    (ax,) = plot.curves(HISTORY, 0.5).axes
    line = next(line for line in ax.lines if len(line.get_xdata()) > 2)  # type: ignore[arg-type]
    np.testing.assert_allclose(line.get_ydata(), [0.5, *(0.4 / i for i in range(1, 11))])  # type: ignore[arg-type]
    assert {text.get_text() for text in ax.texts} == {"PCA", "validation"}


@pytest.mark.parametrize("history", [[], HISTORY[:1], [{"epoch": 1, "train": float("nan")}]])
@pytest.mark.parametrize("measure", ["error", "loss"])
@pytest.mark.parametrize("plain", [None, 0.5])
def test_curves_of_hardly_any_training_can_be_drawn(
    history: list[dict[str, Any]], measure: str, plain: float | None
) -> None:
    drawn(plot.curves(history, plain, measure))


def test_a_wild_epoch_does_not_flatten_the_rest() -> None:
    wild = [{**HISTORY[0], "validation_error": 1e6}, *HISTORY * 10]
    (ax,) = plot.curves(wild, 0.5).axes
    assert ax.get_ylim()[1] < 10


def test_originals_are_drawn_as_they_are_and_differences_where_they_are() -> None:
    wrong = IMAGES.copy()
    wrong[2, 3, 4] ^= 255
    axes = plot.reconstructions(IMAGES, wrong, IMAGES).axes
    strips = [np.asarray(ax.images[0].get_array()) for ax in axes]
    low, high = IMAGES.min(), IMAGES.max()
    np.testing.assert_allclose(strips[0][:6, :8, 0], (IMAGES[0] - low) / (high - low))
    assert strips[3][..., 3].sum() == 1
    assert strips[3][3, 2 * 9 + 4, 3] == 1
    assert strips[4][..., 3].sum() == 0


def test_colour_and_grey_images_may_have_any_shape() -> None:
    for shape in ((3, 5, 7), (20, 4, 4, 1), (2, 9, 3, 3), (1, 4, 4, 4)):
        images = RANDOM.random(shape)
        drawn(plot.reconstructions(images, images, images))


def test_names_are_drawn_as_they_are_written() -> None:
    names = ["$x_1$", "_hidden", "a & <b>", "$\\broken{$"]
    svg = drawn(plot.columns(names, [0.1] * 4, [0.2] * 4))
    labelled = drawn(plot.map(RANDOM.normal(size=(4, 2)), names))
    for picture in (svg, labelled):
        for written in ("$x_1$", "_hidden", "a &amp; &lt;b&gt;", "$\\broken{$"):
            assert written in picture


def test_the_columns_that_pca_finds_hardest_come_first_and_no_more_than_fit() -> None:
    plain = RANDOM.permutation(100) / 100
    (ax,) = plot.columns([f"c{i}" for i in range(100)], plain / 2, plain).axes
    words = [label.get_text() for label in ax.get_yticklabels()]
    hardest = np.argsort(-plain)[: plot.MOST_COLUMNS]
    assert words[::-1] == [f"c{i}" for i in hardest]


def test_rare_labels_share_a_colour() -> None:
    labels = np.array([f"kind {i}" for i in range(30) for _ in range(31 - i)])
    (ax,) = plot.map(RANDOM.normal(size=(len(labels), 2)), labels).axes
    legend = ax.get_legend()
    assert legend is not None
    words = [text.get_text() for text in legend.get_texts()]
    assert len(words) == len(style.CATEGORIES)
    assert (words[0], words[-1]) == ("kind 0", "others")
    assert len(np.concatenate([points.get_offsets() for points in ax.collections])) == len(labels)


def test_numbered_labels_come_in_the_order_of_numbers() -> None:
    (ax,) = plot.map(RANDOM.normal(size=(9, 2)), np.array([10, 9, 2] * 3)).axes
    legend = ax.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["2", "9", "10"]


def test_many_numbers_become_a_scale_and_one_dimension_a_histogram() -> None:
    points = RANDOM.normal(size=(100, 2))
    assert len(plot.map(points, np.linspace(0, 1, 100)).axes) == 2
    (ax,) = plot.map(points[:, :1]).axes
    assert sum(bar.get_height() for bar in ax.patches) == 100  # type: ignore[attr-defined]


def test_of_very_many_rows_some_are_drawn() -> None:
    (ax,) = plot.map(RANDOM.normal(size=(50_000, 2))).axes
    assert len(ax.collections[0].get_offsets()) == 4000  # type: ignore[arg-type]


# ------------------------------------------------------------------ alarms


def points(figure: Figure) -> list[np.ndarray]:
    """Of rows that are no alarms and of alarms: points, and triangles at the upper edge."""
    return [np.asarray(drawn.get_offsets()) for drawn in figure.axes[0].collections]


def test_every_row_is_drawn_in_its_place_and_alarms_apart() -> None:
    scores = np.array([1.0, 9.0, 0.5, 5.1, 5.0])
    calm, _, loud, beyond = points(plot.alarms(scores, 5.0))
    np.testing.assert_array_equal(calm, [[0, 1], [2, 0.5], [4, 5]])
    np.testing.assert_array_equal(loud, [[1, 9], [3, 5.1]])
    assert len(beyond) == 0


def test_what_is_far_above_the_threshold_does_not_flatten_the_rest() -> None:
    figure = plot.alarms([1.0, 6.0, 1e6], 5.0)
    _, _, loud, beyond = points(figure)
    bottom, top = figure.axes[0].get_ylim()
    assert top < 30
    assert loud.tolist() == [[1, 6]]
    assert beyond[0, 0] == 2
    assert bottom < beyond[0, 1] < top


def test_of_many_rows_a_bounded_number_is_drawn_the_strangest_among_them() -> None:
    scores = RANDOM.exponential(size=100_000)
    scores[777] = 14.0
    drawn = points(plot.alarms(scores, 1.0))
    assert [len(part) for part in drawn] == [plot.MOST_POINTS, 0, plot.MOST_POINTS, 0]
    assert [777, 14] in drawn[2].tolist()


def line_of(figure: Figure) -> tuple[np.ndarray, np.ndarray]:
    """Rates of false alarms, and the shares of rows that are alarms."""
    line = max(figure.axes[0].lines, key=lambda line: len(np.asarray(line.get_xdata())))
    return np.asarray(line.get_xdata()), np.asarray(line.get_ydata())


def test_a_promise_that_is_kept_is_the_diagonal_and_one_that_is_not_lies_above() -> None:
    kept = (np.arange(10_000) + 0.5) / 10_000
    rates, shares = line_of(plot.promise(kept, 0.01, 10_000))
    np.testing.assert_allclose(shares, rates, atol=2e-4)
    anomalous = np.concatenate([kept, np.full(1000, 1e-6)])
    rates, shares = line_of(plot.promise(anomalous, 0.01, 10_000))
    assert (shares[rates < 0.1] > 0.09).all()
    words = [text.get_text() for text in plot.promise(anomalous, 0.01, 10_000).axes[0].texts]
    assert words == ["10 % at 1 %"]


@pytest.mark.parametrize("n", [1, 2, 30])
@pytest.mark.parametrize("p", [1e-300, 0.5, 1.0])
@pytest.mark.parametrize("rate", [1e-6, 0.01, 0.5])
def test_alarms_of_hardly_any_rows_can_be_drawn(n: int, p: float, rate: float) -> None:
    drawn(plot.promise([p] * n, rate, 4))
    drawn(plot.alarms([-np.log(p)] * n, -np.log(rate)))
