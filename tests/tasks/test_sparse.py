"""Sparse matrices, through an estimator, without becoming dense."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from isthmus import Autoencoder, compare, load, spec
from isthmus.core.errors import DataError

SMALL = spec("mlp", widths=(16,))


def words(n: int, columns: int = 60, seed: int = 0) -> sp.csr_array:
    """Counts of words, of which each row has some of one of five topics."""
    random = np.random.default_rng(seed)
    topic = random.integers(5, size=n)
    often = np.where(np.arange(columns) % 5 == topic[:, None], 0.6, 0.02)
    return sp.csr_array(random.poisson(often).astype(np.float32))


@pytest.fixture(scope="module")
def fitted() -> Autoencoder:
    return Autoencoder(4, network=SMALL, epochs=5).fit(words(400))


@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
def test_every_form_gives_the_same_answer(fitted: Autoencoder, form: str) -> None:
    rows = words(50, seed=1)
    np.testing.assert_array_equal(fitted.transform(rows.asformat(form)), fitted.transform(rows))
    codes = fitted.transform(rows)
    np.testing.assert_array_equal(fitted.transform(rows[:3]), codes[:3])


def test_dense_rows_give_the_same_answer(fitted: Autoencoder) -> None:
    rows = words(50, seed=1)
    np.testing.assert_array_equal(fitted.transform(rows.toarray()), fitted.transform(rows))
    np.testing.assert_array_equal(fitted.score_samples(rows.toarray()), fitted.score_samples(rows))


def test_it_is_compared_with_pca(fitted: Autoencoder) -> None:
    rows = words(300, seed=2)
    sparse, dense = compare(fitted, rows), compare(fitted, rows.toarray())
    assert sparse.rows[0].value == pytest.approx(dense.rows[0].value)


def test_a_saved_model_answers_to_the_bit(fitted: Autoencoder, tmp_path: Path) -> None:
    fitted.save(tmp_path / "m.model")
    rows, again = words(40, seed=3), load(tmp_path / "m.model")
    np.testing.assert_array_equal(again.transform(rows), fitted.transform(rows))


@pytest.mark.parametrize("recipe", ["vae", "negative-binomial", "masked", "linear", "laplace"])
def test_recipes_take_sparse_rows(recipe: str) -> None:
    network = None if recipe == "linear" else SMALL
    ae = Autoencoder(3, recipe=recipe, network=network, epochs=2).fit(words(150))
    assert np.isfinite(ae.score_samples(words(150))).all()


def test_a_fit_never_holds_the_dense_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the matrix was made dense")

    n, columns = 2_000, 3_000
    wide = sp.random_array((n, columns), density=0.003, rng=np.random.default_rng(0), format="csr")
    for kind in (sp.csr_array, sp.csr_matrix, sp.csc_array, sp.coo_array):
        monkeypatch.setattr(kind, "toarray", refuse)
        monkeypatch.setattr(kind, "todense", refuse)
    ae = Autoencoder(2, network=SMALL, epochs=1).fit(wide)
    assert ae.transform(wide).shape == (n, 2)


def test_nan_in_a_sparse_matrix_is_refused_in_words() -> None:
    rows = words(30)
    rows.data[3] = np.nan
    with pytest.raises(DataError, match=r"NaN|missing"):
        Autoencoder(2, epochs=1).fit(rows)
