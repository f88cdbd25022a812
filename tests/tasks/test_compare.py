"""``compare``: the model beside PCA, and a sentence that is true."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from torch import nn

from isthmus import Autoencoder, compare, load, spec
from isthmus.core.errors import ColumnsError, DataError, NotFittedError, ShapeError

X = load_digits().data
TRAIN, NEW = X[:1200], X[1200:]
SMALL = spec("mlp", widths=(64,))


@pytest.fixture(scope="module")
def trained() -> Autoencoder:
    return Autoencoder(4, epochs=20, network=SMALL).fit(TRAIN)


def found(comparison: Any) -> dict[tuple[str, str], tuple[float, float]]:
    return {(row.method, row.measure): (row.value, row.error) for row in comparison.rows}


def test_a_model_that_learned_more_than_pca_is_said_to_be_better(trained: Autoencoder) -> None:
    comparison = compare(trained, NEW)
    errors = found(comparison)
    ours, plain = errors["this model", "squared error"], errors["PCA (4)", "squared error"]
    assert ours[0] < plain[0]
    assert not comparison.plain_wins
    less = f"{1 - ours[0] / plain[0]:.0%}"
    assert comparison.verdict == f"Better than PCA (4): {less} less squared error on 597 rows."


def test_the_figures_are_those_of_scikit_learn(trained: Autoencoder) -> None:
    errors = found(compare(trained, NEW))
    unit = trained.kind_.scale
    pca = PCA(4).fit(TRAIN / unit)

    def per_row(rebuilt: Any) -> Any:
        return (((NEW - rebuilt) / unit) ** 2).mean(1)

    rebuilt = {
        "this model": trained.reconstruct(NEW),
        "PCA (4)": pca.inverse_transform(pca.transform(NEW / unit)) * unit,
        "the mean": TRAIN.mean(0),
    }
    for method, rows in rebuilt.items():
        value, error = errors[method, "squared error"]
        assert value == pytest.approx(per_row(rows).mean(), rel=1e-3)
        assert error == pytest.approx(per_row(rows).std(ddof=1) / len(NEW) ** 0.5, rel=1e-2)
    for method in ("this model", "PCA (4)"):
        share = 1 - errors[method, "squared error"][0] / errors["the mean", "squared error"][0]
        assert errors[method, "variance explained"][0] == pytest.approx(share)


def test_pca_is_said_to_be_pca() -> None:
    comparison = compare(Autoencoder(4, recipe="linear").fit(TRAIN), NEW)
    assert comparison.plain_wins
    assert comparison.verdict == (
        "No better than PCA (4): this model is the plain method, since it was not trained."
    )


def test_a_model_that_kept_its_start_says_why() -> None:
    ae = Autoencoder(4, epochs=1, learning_rate=1e-9, network=SMALL).fit(TRAIN)
    assert ae.kept_ == "start"
    comparison = compare(ae, NEW)
    assert comparison.plain_wins
    assert "this model is the plain method, since training did not beat it" in comparison.verdict


def test_a_model_worse_than_pca_is_said_to_be_worse() -> None:
    modules: dict[str, Any] = {"encoder": nn.Linear(64, 4), "decoder": nn.Linear(4, 64)}
    comparison = compare(Autoencoder(epochs=1, learning_rate=1e-9, **modules).fit(TRAIN), NEW)
    assert comparison.plain_wins
    errors = found(comparison)
    times = errors["this model", "squared error"][0] / errors["PCA (4)", "squared error"][0]
    assert comparison.verdict == (
        f"PCA (4) wins: this model has {times:.2f} times its squared error on 597 rows. Use PCA."
    )


def test_a_difference_within_chance_is_called_no_difference(trained: Autoencoder) -> None:
    """A row on which the model is better, and one on which PCA is."""
    x = trained.kind_.batch(NEW).x
    gain = ((trained.plain_.reconstruct(x) - x) ** 2).mean(1)
    gain = gain - ((trained.kind_.batch(trained.reconstruct(NEW)).x - x) ** 2).mean(1)
    assert gain.min() < 0 < gain.max(), "there are no such rows"
    comparison = compare(trained, NEW[[int(gain.argmin()), int(gain.argmax())]])
    assert comparison.plain_wins
    assert comparison.verdict == (
        "No clear difference from PCA (4) on 2 rows. PCA is simpler: use it."
    )


def test_one_row_proves_nothing(trained: Autoencoder) -> None:
    for row in range(5):
        assert "No clear difference" in compare(trained, NEW[row : row + 1]).verdict


@pytest.mark.parametrize("recipe", ["vae", "denoising"])
def test_every_recipe_can_be_compared(recipe: str) -> None:
    comparison = compare(Autoencoder(4, recipe=recipe, epochs=2, network=SMALL).fit(TRAIN), NEW)
    assert {row.method for row in comparison.rows} == {"this model", "PCA (4)", "the mean"}
    assert all(np.isfinite([row.value, row.error]).all() for row in comparison.rows)


def test_images_under_a_grid_are_compared_with_pca_of_patches() -> None:
    network = spec("conv", widths=(4,), grid_code=True)
    images = TRAIN[:200].reshape(-1, 8, 8)
    comparison = compare(Autoencoder(2, epochs=1, network=network).fit(images), images)
    assert "PCA of patches (2)" in {row.method for row in comparison.rows}
    assert all(np.isfinite(row.value) for row in comparison.rows)


def test_constant_data_are_compared_without_a_fuss() -> None:
    same = np.full((40, 3), 5.0)
    comparison = compare(Autoencoder(2, epochs=1).fit(same), same)
    assert comparison.plain_wins
    assert all(np.isfinite([row.value, row.error]).all() for row in comparison.rows)


def test_it_can_be_printed_and_written_as_json(trained: Autoencoder) -> None:
    comparison = compare(trained, NEW)
    lines = str(comparison).splitlines()
    assert lines[0].split() == ["method", "measure", "value", "standard", "error"]
    assert lines[-1] == comparison.verdict
    assert sum("PCA (4)" in line for line in lines[:-1]) == 2
    plain = json.loads(json.dumps(comparison.to_json()))
    assert plain["verdict"] == comparison.verdict
    assert plain["plain_wins"] is False
    assert plain["rows"][0].keys() == {"method", "measure", "value", "error", "column"}


def test_a_loaded_model_compares_as_the_saved_one(trained: Autoencoder, tmp_path: Any) -> None:
    trained.save(tmp_path / "model")
    assert compare(load(tmp_path / "model"), NEW) == compare(trained, NEW)


@pytest.mark.filterwarnings("ignore:X has feature names")
def test_what_cannot_be_compared_is_refused_in_words(trained: Autoencoder) -> None:
    with pytest.raises(NotFittedError, match="not fitted yet"):
        compare(Autoencoder(), NEW)
    with pytest.raises(ColumnsError, match="X has 3 features, but Autoencoder is expecting 64"):
        compare(trained, NEW[:, :3])
    with pytest.raises(DataError, match="infinity"):
        compare(trained, np.where(NEW > 15, np.inf, NEW))
    with pytest.raises(DataError, match="0 sample"):
        compare(trained, NEW[:0])
    words = pd.DataFrame({f"x{j}": NEW[:, j] for j in range(64)}).assign(x3="word")
    with pytest.raises(
        DataError, match="fitted on an array of numbers, and there are none in colu"
    ):
        compare(trained, words)
    with pytest.raises(ColumnsError, match="X has 3 features"):
        compare(trained, words[["x0", "x1", "x2"]])
    images = Autoencoder(2, epochs=1, network=SMALL).fit(TRAIN.reshape(-1, 8, 8))
    with pytest.raises(ShapeError, match="fitted on 8 x 8 grey images"):
        compare(images, np.zeros((2, 9, 8)))


@pytest.fixture(scope="module")
def flat() -> Any:
    """Rows of rank three, which any four dimensions rebuild exactly."""
    generator = np.random.default_rng(0)
    return generator.random((400, 3)) @ generator.random((3, 8)) / 3


def test_rounding_noise_is_no_victory(flat: Any) -> None:
    model = Autoencoder(4, recipe="linear").fit(flat)
    assert "No better than PCA (4)" in compare(model, flat).verdict
    model.kept_ = "trained"
    comparison = compare(model, flat)
    assert comparison.plain_wins
    assert comparison.verdict == (
        "PCA (4) does as well: both rebuild the rows exactly, but for rounding. Use PCA."
    )


def test_a_small_range_that_is_rebuilt_badly_is_not_taken_for_rounding() -> None:
    """Within 0 to 1, where data are left in their own units."""
    narrow = 0.5 + 1e-3 * np.random.default_rng(0).normal(size=(400, 8))
    modules: dict[str, Any] = {"encoder": nn.Linear(8, 2), "decoder": nn.Linear(2, 8)}
    bad = Autoencoder(epochs=1, likelihood="bernoulli", **modules).fit(narrow)
    assert "wins" in compare(bad, narrow).verdict


def test_a_loss_to_an_exact_pca_is_told_without_a_ratio_of_rounding(flat: Any) -> None:
    comparison = compare(Autoencoder(4, recipe="masked", epochs=1, network=SMALL).fit(flat), flat)
    ours = found(comparison)["this model", "squared error"][0]
    assert comparison.verdict == (
        f"PCA (4) wins: this model has squared error {ours:.2g} to none on 400 rows. Use PCA."
    )
