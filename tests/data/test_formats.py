"""Tables of every type and sparse matrices, through files and back."""

from __future__ import annotations

import datetime as dt
import decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isthmus.core.errors import ColumnsError, DataError, IsthmusError
from isthmus.data import modality, read, write

NOON = dt.datetime(2020, 1, 1, 12)
MIXED: dict[str, Any] = {
    "n": [1, None, 3],
    "x": [0.5, 1e-300, None],
    "yes": [True, None, False],
    "who": ["a,b", None, 'c "d"'],
    "day": [NOON.date(), None, NOON.date()],
    "at": [NOON, None, NOON + dt.timedelta(1)],
}
ONLY_TYPED: dict[str, Any] = {
    "time": [dt.time(1, 2), None, dt.time(3)],
    "long": [dt.timedelta(1), None, dt.timedelta(seconds=3)],
    "dec": [decimal.Decimal("1.25"), None, decimal.Decimal("-3.50")],
    "cat": pa.array(["u", None, "v"]).dictionary_encode(),
}
SHARED_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
SPARSE = sp.random(20, 8, 0.3, format="csr", rng=np.random.default_rng(0))


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet", ".arrow", ".feather"])
@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame, pa.table])
def test_a_frame_of_any_library_is_written_and_read_back_with_its_types(tmp_path, ending, library):
    X = library(MIXED)
    write(tmp_path / f"t{ending}", X)
    back = read(tmp_path / f"t{ending}").X
    assert back.to_pydict() == MIXED
    kind: Any = modality(back)
    kind.fit(back)
    described = dict(kind.columns_described())
    assert [described[name] for name in ("yes", "who", "day", "at")] == [
        "category",
        "category",
        "date",
        "date",
    ]


@pytest.mark.parametrize("ending", [".parquet", ".arrow", ".feather"])
def test_a_typed_file_keeps_every_type(tmp_path, ending):
    X = pa.table({**MIXED, **ONLY_TYPED})
    write(tmp_path / f"t{ending}", X)
    assert read(tmp_path / f"t{ending}").X.equals(X)


def test_a_text_file_says_lengths_of_time_in_seconds_which_a_model_of_them_accepts(tmp_path):
    X = pa.table(ONLY_TYPED)
    write(tmp_path / "t.csv", X)
    back = read(tmp_path / "t.csv").X
    assert back.to_pydict()["long"] == [86_400, None, 3]
    assert back.to_pydict()["cat"] == ["u", None, "v"]
    kind = modality(X)
    kind.fit(X)
    one, other = kind.batch(X), kind.batch(back)
    assert one.x.tolist() == other.x.tolist()
    assert one.weight.tolist() == other.weight.tolist()  # type: ignore[union-attr]


def test_what_a_model_restores_can_be_written(tmp_path):
    X = pd.DataFrame(MIXED)
    kind = modality(X)
    kind.fit(X)
    back = kind.restore(kind.batch(X).x, X)
    for ending in (".csv", ".parquet", ".arrow"):
        write(tmp_path / f"t{ending}", back)
        assert read(tmp_path / f"t{ending}").X.to_pydict()["who"][0] == "a,b"
    objects = np.array([["a", 1], ["b", 2]], dtype=object)
    write(tmp_path / "o.csv", objects)
    assert read(tmp_path / "o.csv").X.to_pydict() == {"x0": ["a", "b"], "x1": [1, 2]}


def test_numpy_files_take_frames_of_numbers_and_name_what_is_none(tmp_path):
    X = pd.DataFrame({"a": [1, 2], "b": [0.5, None]})
    write(tmp_path / "t.npz", X)
    back = read(tmp_path / "t.npz")
    assert back.names == ["a", "b"]
    write(tmp_path / "t.npy", X)
    assert np.array_equal(read(tmp_path / "t.npy").X, [[1, 0.5], [2, np.nan]], equal_nan=True)
    with pytest.raises(DataError, match=r"hold numbers, not 'who', 'day', 'at'\. Write a \.csv"):
        write(tmp_path / "t.npz", pd.DataFrame({k: MIXED[k] for k in ("n", "who", "day", "at")}))


def test_a_column_that_a_text_file_cannot_hold_is_said(tmp_path):
    with pytest.raises(DataError, match=r"cannot write .*t\.csv in that form"):
        write(tmp_path / "t.csv", pa.table({"l": [[1], [2]]}))
    assert list(tmp_path.iterdir()) == []


def test_a_stream_of_arrow_and_an_index_of_pandas_are_read(tmp_path):
    table = pa.Table.from_pandas(pd.DataFrame({"a": [1, 2]}, index=[5, 7]))
    with (
        pa.OSFile(str(tmp_path / "s.arrow"), "wb") as file,
        pa.ipc.new_stream(file, table.schema) as stream,
    ):
        stream.write_table(table)
    assert read(tmp_path / "s.arrow").names == ["a"]
    labelled = read(tmp_path / "s.arrow", labels="a")
    assert labelled.labels is not None
    assert labelled.labels.tolist() == [1, 2]


def test_columns_of_one_name_are_refused(tmp_path):
    table = pa.table([[1], [2]], names=["a", "a"])
    with (
        pa.OSFile(str(tmp_path / "s.arrow"), "wb") as file,
        pa.ipc.new_stream(file, table.schema) as stream,
    ):
        stream.write_table(table)
    with pytest.raises(DataError, match=r"s\.arrow has more than one column called 'a'"):
        read(tmp_path / "s.arrow", labels="a")


# ---------------------------------------------------------------------- sparse matrices


@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
def test_a_sparse_matrix_that_scipy_saved_is_read_sparse(tmp_path, form):
    sp.save_npz(tmp_path / "t.npz", SPARSE.asformat(form))
    loaded = read(tmp_path / "t.npz")
    assert loaded.kind == "table"
    assert sp.issparse(loaded.X)
    assert (loaded.X != SPARSE).nnz == 0
    assert modality(loaded.X).kind == "table"
    apart = read(tmp_path / "t.npz", labels="2")
    assert apart.X.shape == (20, 7)
    assert apart.labels is not None
    assert np.array_equal(apart.labels, SPARSE.toarray()[:, 2])
    with pytest.raises(ColumnsError, match="0 to 7"):
        read(tmp_path / "t.npz", labels="8")


@pytest.mark.parametrize(
    "changed",
    [
        {"indices": np.full(SPARSE.nnz, 99)},
        {"indices": np.full(SPARSE.nnz, -1)},
        {"indptr": np.zeros(3, dtype=int)},
        {"indptr": np.full(21, 10**6)},
        {"format": np.array(b"dia")},
        {"format": np.array(7)},
        {"shape": np.array([20, 10**15])},
        {"shape": np.array([20])},
        {"data": np.array(["x"] * SPARSE.nnz)},
    ],
)
def test_a_sparse_file_that_points_outside_its_matrix_is_refused(tmp_path, changed):
    parts: dict[str, Any] = {
        "indices": SPARSE.indices,
        "indptr": SPARSE.indptr,
        "format": np.array(b"csr"),
        "shape": np.array(SPARSE.shape),
        "data": SPARSE.data,
    }
    np.savez(tmp_path / "t.npz", **{**parts, **changed})
    with pytest.raises(DataError):
        read(tmp_path / "t.npz")


# ---------------------------------------------------------------------- damage


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    for ending in (".arrow", ".parquet", ".csv"):
        write(folder / f"t{ending}", pa.table(MIXED))
    table = pa.table({**MIXED, **ONLY_TYPED})
    with (
        pa.OSFile(str(folder / "t.feather"), "wb") as file,
        pa.ipc.new_file(file, table.schema) as plain,
    ):
        plain.write_table(table)
    sp.save_npz(folder / "t.npz", SPARSE, compressed=False)
    return {path.suffix: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("ending", [".arrow", ".feather", ".parquet", ".csv", ".npz"])
@SHARED_FOLDER
@given(st.data())
def test_a_damaged_table_is_read_or_refused_by_an_error_of_ours(tmp_path, whole, ending, data):
    damaged = bytearray(whole[ending])
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        damaged = damaged[: data.draw(st.integers(1, len(damaged)))]
    path: Path = tmp_path / f"t{ending}"
    path.write_bytes(damaged)
    try:
        X = read(path).X
        kind = modality(X)
        kind.fit(X)
        kind.restore(kind.batch(X).x, X)
    except IsthmusError:
        return
    assert X.shape[0] > 0
