"""The report: one page that needs nothing else, true to the model, safe with any words."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits, load_wine

from isthmus import Autoencoder, compare
from isthmus.apps.report.context import Context
from isthmus.apps.report.page import page, write_page
from isthmus.apps.report.pieces import ROLES
from isthmus.apps.report.sections import SECTIONS
from tests.apps.pages import SCRIPT, read

DIGITS, KINDS = (part[:200] for part in load_digits(return_X_y=True))
IMAGES = DIGITS.reshape(-1, 8, 8)


@pytest.fixture(scope="module")
def digits() -> Context:
    model = Autoencoder(3, epochs=3).fit(IMAGES)
    return Context("Digits", model, IMAGES[:50], KINDS[:50], "abc" * 20, "the first fifty")


@pytest.fixture(scope="module")
def wine() -> Context:
    frame = load_wine(as_frame=True).data.rename(columns={"alcohol": SCRIPT, "ash": "a_$b$ & 'c'"})
    return Context(SCRIPT, Autoencoder(2, epochs=3, recipe="vae").fit(frame), frame, source=SCRIPT)


@pytest.fixture(scope="module")
def both(digits: Context, wine: Context) -> str:
    return page("Two models", [digits, wine], "An opening.")


def test_a_page_needs_nothing_from_outside(both: str) -> None:
    reader = read(both)
    assert not {"script", "link", "iframe", "object", "base"} & set(reader.tags)
    for name, value in reader.attributes:
        assert not name.startswith("on")
        if name in ("src", "href", "xlink:href", "srcset", "action"):
            assert str(value).startswith(("data:image/png;base64,", "#"))
    assert not re.search(r"https?:|@import|url\((?!#)", both)


def test_names_of_the_users_are_shown_and_never_run(both: str) -> None:
    assert "<script" not in both
    assert SCRIPT in read(both).words
    assert "a_$b$ & 'c'" in read(both).words


def test_a_page_names_no_thing_twice_and_refers_to_none_that_is_missing(both: str) -> None:
    names = re.findall(r'\sid="([^"]*)"', both)
    assert len(set(names)) == len(names)
    referred = re.findall(r'(?:href="#|url\(#)([^")]*)', both)
    assert referred
    assert set(referred) <= set(names)


def test_pictures_follow_the_light_or_dark_of_the_page(both: str) -> None:
    assert "prefers-color-scheme: dark" in both
    pictures = re.findall(r"<svg.*?</svg>", both, re.DOTALL)
    assert len(pictures) == 8
    for picture in pictures:
        assert "var(--muted)" in picture
        assert not [colour for colour in ROLES if colour in picture]


def test_the_verdict_is_that_of_the_comparison(digits: Context) -> None:
    html = page("Digits", [digits])
    found = compare(digits.model, digits.X)
    assert found.verdict in read(html).words
    for row in found.rows[:2]:
        assert f"{row.value:.2f}"[:4] in html


def test_every_section_is_there_in_order(both: str) -> None:
    titles = ["The model", "Training", "Reconstructions", "A map of the code", "In numbers"]
    places = [both.index(title) for title in titles]
    assert places == sorted(places)
    assert "Column by column" in both
    assert both.count("<section>") == 2 * len(SECTIONS)


def test_a_model_without_training_has_no_curves() -> None:
    context = Context("PCA", Autoencoder(2, recipe="linear").fit(DIGITS), DIGITS)
    words = read(page("PCA", [context])).words
    assert "none: it is the plain method" in words
    assert "loss" not in words


def test_a_model_that_was_not_better_says_so() -> None:
    # Noise has nothing to learn, so PCA is kept.
    noise = np.random.default_rng(0).normal(size=(200, 6))
    model = Autoencoder(2, epochs=2).fit(noise)
    assert model.kept_ == "start"
    words = read(page("Noise", [Context("Noise", model, noise)])).words
    assert "No better than PCA" in words
    assert "PCA was kept" in words


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("n", [1, 5])
def test_a_few_rows_and_a_single_dimension_are_enough(dims: int, n: int) -> None:
    for X in (IMAGES, DIGITS):
        model = Autoencoder(dims, epochs=1).fit(X)
        read(page("Small", [Context("Small", model, X[:n])]))


def test_colour_images_and_codes_on_a_grid_are_drawn() -> None:
    images = np.random.default_rng(0).integers(0, 255, (40, 16, 16, 3), dtype=np.uint8)
    model = Autoencoder(2, epochs=1, network="conv").fit(images)
    words = read(page("Colour", [Context("Colour", model, images)])).words
    assert "images of 16 × 16 pixels, 3 channels" in words


def test_labels_may_be_words_numbers_or_missing() -> None:
    model = Autoencoder(2, epochs=1).fit(DIGITS)
    words = np.array(["a", None, "_b", "$c$"] * 50, dtype=object)
    for labels in (words, KINDS, np.linspace(0, 1, 200), pd.Series(KINDS), list(KINDS)):
        read(page("Labels", [Context("Labels", model, DIGITS, labels)]))
    assert "unlabelled" in page("Labels", [Context("Labels", model, DIGITS, words)])


def test_the_same_models_give_the_same_page(digits: Context) -> None:
    again = Context("Digits", digits.model, digits.X, digits.labels, digits.identity, digits.source)
    assert page("Digits", [digits]) == page("Digits", [again])


def test_a_page_is_written_whole(tmp_path: Path, both: str) -> None:
    write_page(tmp_path / "page.html", both)
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == both
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
