"""Tables as people have them: numbers, categories, dates and gaps, through an estimator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from isthmus import Autoencoder, compare, load, spec
from isthmus.core.errors import ColumnsError

SMALL = spec("mlp", widths=(32, 16))


def table(n: int, seed: int = 0, gaps: float = 0.0) -> pd.DataFrame:
    """Machines: what kind they are decides how warm and loud they are."""
    random = np.random.default_rng(seed)
    kind = random.integers(3, size=n)
    hidden = random.normal(size=n)
    found = pd.DataFrame(
        {
            "kind": pd.Categorical(np.array(["pump", "fan", "press"])[kind]),
            "heat": 40.0 + 10 * kind + 5 * hidden,
            "noise": 60.0 - 8 * kind + 3 * hidden + 0.3 * random.normal(size=n),
            "runs": (100 * np.exp(0.5 * hidden) * (kind + 1)).astype(np.int64),
            "old": hidden > 0.3,
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta((30 * hidden).round(), unit="D"),
            "site": np.where(hidden > 0, "north", "south"),
        }
    )
    if gaps:
        for name in ("heat", "site", "since"):
            found.loc[random.random(n) < gaps, name] = None
    return found


@pytest.fixture(scope="module")
def fitted() -> Autoencoder:
    return Autoencoder(3, network=SMALL, epochs=40).fit(table(600, gaps=0.1))


def test_what_comes_back_has_the_columns_and_types_that_went_in(fitted: Autoencoder) -> None:
    for like in (table(50, seed=1), table(50, seed=1, gaps=0.2)):
        back = fitted.reconstruct(like)
        assert list(back.columns) == list(like.columns)
        assert back.dtypes.to_dict() == table(50).dtypes.to_dict()
        assert not back.isna().any().any(), "gaps are filled"


def test_samples_and_decoded_codes_are_tables_too(fitted: Autoencoder) -> None:
    rows = table(20, seed=1)
    decoded = fitted.inverse_transform(fitted.transform(rows))
    pd.testing.assert_frame_equal(decoded, fitted.reconstruct(rows))
    drawn = fitted.sample(30)
    assert drawn.dtypes.to_dict() == rows.dtypes.to_dict()
    assert set(drawn["kind"]) <= {"pump", "fan", "press"}


def test_a_gap_is_filled_from_the_other_columns() -> None:
    ae = Autoencoder(3, network=SMALL, epochs=60, recipe="masked").fit(table(1500))
    whole = table(300, seed=2)
    hidden = whole.copy()
    hidden["kind"] = pd.Categorical([None] * 300, categories=whole["kind"].cat.categories)
    hidden["heat"] = np.nan
    filled = ae.reconstruct(hidden)
    commonest = (whole["kind"] == whole["kind"].mode()[0]).mean()
    assert (filled["kind"] == whole["kind"]).mean() > commonest + 0.25
    assert ((filled["heat"] - whole["heat"]) ** 2).mean() < 0.5 * whole["heat"].var()


def test_what_stands_in_a_gap_is_not_looked_at(fitted: Autoencoder) -> None:
    rows = table(40, seed=3, gaps=0.3)
    other = rows.copy()
    other["site"] = other["site"].where(other["site"].notna(), np.nan)
    np.testing.assert_array_equal(fitted.transform(other), fitted.transform(rows))


def test_levels_that_were_not_there_are_taken_as_missing(fitted: Autoencoder) -> None:
    rows = table(30, seed=4)
    unseen, missing = rows.copy(), rows.copy()
    unseen["site"] = "east"
    missing["site"] = None
    np.testing.assert_array_equal(fitted.transform(unseen), fitted.transform(missing))
    assert set(fitted.reconstruct(unseen)["site"]) <= {"north", "south"}


def test_the_order_of_the_columns_does_not_matter(fitted: Autoencoder) -> None:
    rows = table(30, seed=5)
    turned = rows[rows.columns[::-1]]
    np.testing.assert_array_equal(fitted.transform(turned), fitted.transform(rows))


def test_a_missing_column_is_named(fitted: Autoencoder) -> None:
    with pytest.raises(ColumnsError, match=r"fitted on 7 columns, got 6 .*missing: 'site'"):
        fitted.transform(table(10).drop(columns="site"))


def test_a_saved_model_answers_to_the_bit(fitted: Autoencoder, tmp_path: Path) -> None:
    fitted.save(tmp_path / "m.model")
    again = load(tmp_path / "m.model")
    rows = table(50, seed=6, gaps=0.2)
    np.testing.assert_array_equal(again.transform(rows), fitted.transform(rows))
    np.testing.assert_array_equal(again.score_samples(rows), fitted.score_samples(rows))
    pd.testing.assert_frame_equal(again.reconstruct(rows), fitted.reconstruct(rows))
    assert compare(again, rows) == compare(fitted, rows)


def test_every_column_is_compared_in_its_own_terms(fitted: Autoencoder) -> None:
    rows = table(300, seed=7, gaps=0.1)
    found = compare(fitted, rows)
    measures = {row.column: row.measure for row in found.rows if row.column}
    assert list(measures) == list(rows.columns)
    assert {name for name, m in measures.items() if m == "accuracy"} == {"kind", "old", "site"}
    right = (fitted.reconstruct(rows)["kind"] == rows["kind"]).mean()
    ours = next(r for r in found.rows if r.column == "kind" and r.method == "this model")
    assert ours.value == pytest.approx(right)
    mode = next(r for r in found.rows if r.column == "kind" and "or mode" in r.method)
    commonest = table(600, gaps=0.1)["kind"].mode()[0]
    assert mode.value == pytest.approx((rows["kind"] == commonest).mean())
    assert any("PCA of one-hot (3)" in row.method for row in found.rows)
    assert str(found).splitlines()[-1] == found.verdict


def test_training_beats_pca_on_one_hot_columns(fitted: Autoencoder) -> None:
    found = compare(fitted, table(600, seed=8))
    assert not found.plain_wins, found.verdict


def test_untrained_it_is_pca_on_one_hot_columns() -> None:
    ae = Autoencoder(3, recipe="linear").fit(table(300))
    assert "this model is the plain method" in compare(ae, table(300, seed=9)).verdict


@pytest.mark.parametrize("recipe", ["vae", "iwae", "robust", "vq-vae", "denoising", "wae"])
def test_every_kind_of_recipe_takes_a_mixed_table(recipe: str) -> None:
    rows = table(200, gaps=0.1)
    ae = Autoencoder(2, recipe=recipe, network=SMALL, epochs=3).fit(rows)
    assert np.isfinite(ae.score_samples(rows)).all()
    assert ae.reconstruct(rows).dtypes.to_dict() == table(5).dtypes.to_dict()


def test_rows_weighed_are_rows_repeated() -> None:
    rows = table(80, gaps=0.2)
    twice = pd.concat([rows, rows.iloc[:30]], ignore_index=True)
    weight = np.ones(80)
    weight[:30] = 2
    settings: dict[str, Any] = {"network": SMALL, "epochs": 3, "batch_size": "full"}
    weighed = Autoencoder(2, **settings).fit(rows, sample_weight=weight)
    repeated = Autoencoder(2, **settings).fit(twice)
    np.testing.assert_allclose(weighed.transform(rows), repeated.transform(rows), atol=1e-4)


def test_an_array_of_words_and_numbers_is_a_table_too() -> None:
    rows = np.array([["a", 1.0], ["b", 2.0], ["a", None]] * 20, dtype=object)
    ae = Autoencoder(1, network=SMALL, epochs=3).fit(rows)
    back = ae.reconstruct(rows)
    assert back.shape == rows.shape
    assert set(back[:, 0]) <= {"a", "b"}
