"""DataFrames: columns by name, and the words when they are not those of the fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import load_wine

from isthmus import Autoencoder, spec
from isthmus.core.errors import ColumnsError, DataError, EmptyError

BUNCH = load_wine()
NAMES = [name.replace("/", " ") for name in BUNCH.feature_names]
LIBRARIES: dict[str, Any] = {
    "pandas": lambda columns: pd.DataFrame(columns),
    "polars": lambda columns: pl.DataFrame(columns),
}
pytestmark = pytest.mark.parametrize("library", list(LIBRARIES))


def frame(library: str, names: list[str] = NAMES, **more: Any) -> Any:
    columns = {name: BUNCH.data[:, NAMES.index(name)] for name in names}
    return LIBRARIES[library]({**columns, **more})


@pytest.fixture
def fitted(library: str) -> Autoencoder:
    return Autoencoder(3, epochs=2, network=spec("mlp", widths=(8,))).fit(frame(library))


def test_a_frame_and_its_array_are_the_same_to_the_model(library: str, fitted: Autoencoder) -> None:
    same = Autoencoder(3, epochs=2, network=spec("mlp", widths=(8,))).fit(BUNCH.data)
    assert_array_equal(fitted.transform(frame(library)), same.transform(BUNCH.data))
    assert list(fitted.feature_names_in_) == NAMES
    assert fitted.n_features_in_ == 13
    assert not hasattr(same, "feature_names_in_")


def test_any_library_will_do_whichever_it_was_fitted_with(
    library: str, fitted: Autoencoder
) -> None:
    codes = fitted.transform(frame(library))
    for other in LIBRARIES:
        assert_array_equal(fitted.transform(frame(other)), codes)


def test_columns_in_another_order_are_found_by_name(library: str, fitted: Autoencoder) -> None:
    turned = frame(library, NAMES[::-1])
    for answer in (fitted.transform, fitted.reconstruct, fitted.score_samples):
        assert_array_equal(answer(turned), answer(frame(library)))


def test_a_missing_column_is_named(library: str, fitted: Autoencoder) -> None:
    with pytest.raises(ColumnsError) as caught:
        fitted.transform(frame(library, NAMES[1:]))
    assert str(caught.value) == (
        "the model was fitted on 13 columns, got 12 (missing: 'alcohol'). "
        "Pass a table with the same columns, or fit a new model."
    )


def test_a_column_too_many_is_named(library: str, fitted: Autoencoder) -> None:
    with pytest.raises(ColumnsError, match=r"fitted on 13 columns, got 14 \(not known: 'price'\)"):
        fitted.transform(frame(library, price=np.ones(178)))


def test_a_column_of_another_name_is_named_with_the_one_it_stands_for(
    library: str, fitted: Autoencoder
) -> None:
    renamed = frame(library, NAMES[1:], Alcohol=BUNCH.data[:, 0])
    with pytest.raises(ColumnsError, match="missing: 'alcohol'; not known: 'Alcohol'"):
        fitted.score(renamed)


def test_an_array_of_another_width_is_refused(library: str, fitted: Autoencoder) -> None:
    with (
        pytest.warns(UserWarning, match="feature names"),
        pytest.raises(ColumnsError, match="X has 12 features, but Autoencoder is expecting 13"),
    ):
        fitted.transform(BUNCH.data[:, 1:])


def test_an_array_in_place_of_the_frame_is_taken_with_a_warning(
    library: str, fitted: Autoencoder
) -> None:
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        codes = fitted.transform(BUNCH.data)
    assert_array_equal(codes, fitted.transform(frame(library)))


def test_text_where_numbers_were_is_refused_with_its_column(
    library: str, fitted: Autoencoder
) -> None:
    words = frame(library, NAMES[1:], alcohol=["strong"] * 178)
    with pytest.raises(DataError, match=r"column 'alcohol' held numbers.*text.*'strong'"):
        fitted.transform(words)


def test_a_gap_is_filled(library: str, fitted: Autoencoder) -> None:
    gappy = frame(library, NAMES[1:], alcohol=[None, *BUNCH.data[1:, 0]])
    filled = fitted.reconstruct(gappy)
    assert type(filled) is type(gappy)
    assert list(filled.columns) == NAMES
    assert 11 < filled["alcohol"][0] < 15


def test_no_rows_or_no_columns_are_refused(library: str, fitted: Autoencoder) -> None:
    for use in (Autoencoder(3).fit, fitted.transform):
        with pytest.raises(EmptyError, match="the table has no rows"):
            use(frame(library)[:0])
    with pytest.raises(EmptyError, match=r"no rows|no columns"):
        Autoencoder(3).fit(frame(library, []))


def test_whole_numbers_and_booleans_are_numbers(library: str) -> None:
    columns = {"whole": np.arange(60), "yes": np.arange(60) % 2 == 0, "real": np.ones(60) / 3}
    ae = Autoencoder(2, epochs=1).fit(LIBRARIES[library](columns))
    assert ae.transform(LIBRARIES[library](columns)).shape == (60, 2)


def test_rows_and_weights_of_a_frame_go_together(library: str) -> None:
    weight = np.ones(178)
    weight[100:] = 0
    small = Autoencoder(3, epochs=2, network=spec("mlp", widths=(8,)))
    weighed = small.fit(frame(library), sample_weight=weight).transform(frame(library))
    cut = small.fit(frame(library)[:100]).transform(frame(library))
    np.testing.assert_allclose(weighed, cut, atol=1e-4)
