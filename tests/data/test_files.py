from __future__ import annotations

import csv
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from isthmus.core.errors import ColumnsError, DataError, EmptyError
from isthmus.data import check_output, modality, read, write

NAMED = ["weight", "height, cm", "größe"]
ROWS = np.random.default_rng(0).normal(size=(40, 3))
SHARED_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def values(X: Any) -> np.ndarray[Any, Any]:
    return X if isinstance(X, np.ndarray) else np.column_stack([c.to_numpy() for c in X.columns])


def text(folder: Path, content: str | bytes, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# ---------------------------------------------------------------------- tables, there and back


@SHARED_FOLDER
@given(
    arrays(
        np.float64,
        array_shapes(min_dims=2, max_dims=2, max_side=6),
        elements=st.floats(allow_nan=False, allow_infinity=False),
    ),
    st.sampled_from([".csv", ".tsv", ".parquet", ".npy", ".npz"]),
)
def test_a_table_that_is_written_is_read_back_to_the_bit(tmp_path, X, ending):
    path = tmp_path / f"t{ending}"
    write(path, X)
    back = read(path)
    assert np.array_equal(values(back.X), X)
    assert back.kind == "table"
    assert back.names == (None if ending == ".npy" else [f"x{j}" for j in range(X.shape[1])])


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet", ".npz"])
def test_column_names_are_kept_whatever_they_hold(tmp_path, ending):
    write(tmp_path / f"t{ending}", ROWS, names=NAMED)
    back = read(tmp_path / f"t{ending}")
    assert back.names == NAMED
    kind = modality(back.X)
    kind.fit(back.X)
    assert kind.names == NAMED


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_columns_of_several_types_are_written_by_name(tmp_path, ending):
    named = {
        "n": np.arange(3),
        "who": np.array(["a", "b,c", 'd"e']),
        "z": np.array([0.5, 1e-300, -0.0]),
    }
    write(tmp_path / f"t{ending}", named)
    assert read(tmp_path / f"t{ending}").X.to_pydict() == {k: v.tolist() for k, v in named.items()}


def test_images_and_arrays_of_any_dimension_survive_numpy_files(tmp_path):
    X = np.random.default_rng(0).integers(0, 256, (5, 4, 3, 3), dtype=np.uint8)
    for name in ("a.npy", "a.npz"):
        write(tmp_path / name, X)
        back = read(tmp_path / name)
        assert back.kind == "images"
        assert back.X.dtype == np.uint8
        assert np.array_equal(back.X, X)


# ---------------------------------------------------------------------- csv as people write it


@pytest.mark.parametrize(
    ("content", "names", "rows"),
    [
        ("a,b\n1,2\n3,4\n", ["a", "b"], [[1, 2], [3, 4]]),
        ("a;b\n1;2\n3;4", ["a", "b"], [[1, 2], [3, 4]]),
        ("a\tb\n1\t2\n3\t4\n", ["a", "b"], [[1, 2], [3, 4]]),
        ("a;b\n1,5;2\n3;4,25\n", ["a", "b"], [[1.5, 2], [3, 4.25]]),
        ("1,5;2\n3;4,25\n", None, [[1.5, 2], [3, 4.25]]),
        ("1,2\n3,4\n", None, [[1, 2], [3, 4]]),
        ("0,1\n0.5,0.25\n", ["0", "1"], [[0.5, 0.25]]),
        ("id,2019,2020\n7,1.5,2\n", ["id", "2019", "2020"], [[7, 1.5, 2]]),
        (",a,b\n0,1,2\n1,3,4\n", ["a", "b"], [[1, 2], [3, 4]]),
        ("\ufeffa,b\n1,2\n", ["a", "b"], [[1, 2]]),
        ("a,b\r\n1,2\r\n", ["a", "b"], [[1, 2]]),
        ("\n\na,b\n1,2\n\n3,4\n\n", ["a", "b"], [[1, 2], [3, 4]]),
        ("a, b\n 1, 2\n", ["a", "b"], [[1, 2]]),
        ('"a\nlong one",b\n1,"2"\n', ["a\nlong one", "b"], [[1, 2]]),
        ("x\n1\n2\n", ["x"], [[1], [2]]),
        ("a,b\n" + "1,2\n" * 1000 + "1.5,2\n", ["a", "b"], [[1, 2]] * 1000 + [[1.5, 2]]),
    ],
)
def test_delimiter_header_and_decimal_mark_are_found(tmp_path, content, names, rows):
    back = read(text(tmp_path, content))
    assert back.names == names
    assert values(back.X).tolist() == rows


def test_a_late_fraction_does_not_break_a_large_column_of_integers(tmp_path):
    n = 600_000
    back = read(text(tmp_path, "a,b\n" + "1,2\n" * n + "0.5,2\n"))
    assert values(back.X)[-1, 0] == 0.5
    assert len(back.X) == n + 1


@pytest.mark.parametrize("mark", ["?", "", "NA", "NaN", "null"])
def test_the_usual_marks_for_a_gap_are_gaps_and_no_text(tmp_path, mark):
    X = read(text(tmp_path, f"a,b\n1,2\n{mark},4\n")).X
    kind: Any = modality(X)
    kind.fit(X)
    assert kind.columns_described() == [("a", "number"), ("b", "number")]
    assert kind.batch(X).weight.tolist() == [[1, 1], [0, 1]]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ['19" screen', 'the "Big" one', '5" x 3"', 'it is 5"', "'"])
def test_a_quotation_mark_within_a_cell_is_part_of_it(tmp_path, delimiter, mark):
    X = read(text(tmp_path, f"size{delimiter}n\n{mark}{delimiter}1\nflat{delimiter}2\n")).X
    assert X.to_pydict() == {"size": [mark, "flat"], "n": [1, 2]}


@given(st.lists(st.tuples(st.text(',;\t"\nab \u00e9', min_size=1), st.integers()), min_size=2))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_pandas_quotes_is_read_back_and_cut_within_quotes_refused(tmp_path, rows):
    frame = pd.DataFrame(rows, columns=["words", "n"]).astype({"n": str}) + "z"
    path = tmp_path / "a.csv"
    frame.to_csv(path, index=False, quoting=csv.QUOTE_ALL, encoding="utf-8-sig")
    assert read(path).X.to_pydict() == frame.to_dict("list")
    path.write_bytes(path.read_bytes().rstrip()[:-1])
    with pytest.raises(DataError, match="ends within quotation marks"):
        read(path)


def test_a_file_cut_within_quotes_is_refused_whatever_marks_stand_in_its_cells(tmp_path):
    with pytest.raises(DataError, match="ends within quotation marks"):
        read(text(tmp_path, 'size,n\n19" screen,1\nflat,"2\n'))


@pytest.mark.parametrize("before", [(1 << 22) - 3, (1 << 22) - 2, (1 << 22) - 1, 1 << 22])
def test_quotation_marks_are_understood_wherever_a_large_file_is_cut(tmp_path, before):
    filler = "word,1\n" * 600_000
    first = f"a,b\n{filler}"[: before - 2].rpartition("\n")[0]
    padded = first + "x" * (before - 1 - len(first)) if first[-1] != "\n" else first
    X = read(text(tmp_path, f'{padded}\n"a ""b"", c\nd",2\n19",3\n')).X
    assert X["a"].to_pylist()[-2:] == ['a "b", c\nd', '19"']


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        ("", EmptyError, "is empty"),
        ("\n \n", EmptyError, "is empty"),
        ("a,b\n", EmptyError, "a header and no rows"),
        ("a,b", EmptyError, "a header and no rows"),
        ("a,a\n1,2\n", DataError, "more than one column called 'a'"),
        ("a,b\n1,2\n3\n", DataError, "Expected 2 columns, got 1"),
        ("a,b\n1,2,3\n4,5,6\n", DataError, "Expected 2 columns, got 3"),
        ('a,b\n1,"2\n', DataError, "ends within quotation marks"),
        (b"a,b\n1,\xe9\n", DataError, "not in UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), DataError, "UTF-8"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", DataError, "not a text file"),
    ],
)
def test_a_text_file_that_is_no_table_is_refused_by_name(tmp_path, content, error, words):
    with pytest.raises(error, match=words) as caught:
        read(text(tmp_path, content))
    assert "a.csv" in str(caught.value)


def test_words_in_a_file_without_a_header_are_categories(tmp_path):
    path = text(tmp_path, "1,2,x\n3,4,y\n")
    X = read(path).X
    assert X.tolist() == [[1, 2, "x"], [3, 4, "y"]]
    kind: Any = modality(X)
    kind.fit(X)
    assert [found for _, found in kind.columns_described()] == ["number", "number", "category"]
    back = read(path, labels="2")
    assert back.X.tolist() == [[1, 2], [3, 4]]
    assert back.labels is not None
    assert back.labels.tolist() == ["x", "y"]


# ---------------------------------------------------------------------- labels and archives


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".npz"])
def test_a_column_of_labels_is_set_apart(tmp_path, ending):
    write(tmp_path / f"t{ending}", ROWS, names=NAMED)
    back = read(tmp_path / f"t{ending}", labels="weight")
    assert back.names == NAMED[1:]
    assert np.array_equal(values(back.X), ROWS[:, 1:])
    assert back.labels is not None
    assert np.array_equal(back.labels, ROWS[:, 0])
    with pytest.raises(ColumnsError, match=r"no column 'wieght'. Did you mean 'weight'"):
        read(tmp_path / f"t{ending}", labels="wieght")


def test_labels_of_an_array_are_given_by_position(tmp_path):
    np.save(tmp_path / "a.npy", ROWS)
    back = read(tmp_path / "a.npy", labels="2")
    assert np.array_equal(back.X, ROWS[:, :2])
    with pytest.raises(ColumnsError, match="0 to 2"):
        read(tmp_path / "a.npy", labels="class")
    write(tmp_path / "images.npy", np.zeros((3, 2, 2)))
    with pytest.raises(DataError, match="images have no columns"):
        read(tmp_path / "images.npy", labels="0")


def test_the_array_called_x_is_read_from_an_archive_and_another_as_labels(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x=ROWS, y=np.arange(40), extra=ROWS)
    assert np.array_equal(read(path).X, ROWS)
    assert np.array_equal(read(path, labels="y").labels, np.arange(40))  # type: ignore[arg-type]
    np.savez(path, data=ROWS, y=np.arange(40))
    assert np.array_equal(read(path, labels="y").X, ROWS)
    with pytest.raises(DataError, match=r"holds data, y. Call the one to be read X"):
        read(path)
    np.savez(path, X=ROWS, y=np.arange(39))
    with pytest.raises(DataError, match="'y' has 39 values for 40 rows"):
        read(path, labels="y")
    np.savez(path)
    with pytest.raises(EmptyError, match="holds no array"):
        read(path)


def test_an_index_that_pandas_stored_is_no_column(tmp_path):
    pd.DataFrame({"a": [1, 2]}, index=[5, 7]).to_parquet(tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet").names == ["a"]


def test_python_objects_in_a_numpy_file_are_never_run(tmp_path):
    class Trap:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "sprung"),)

    trap = np.array([Trap()], dtype=object)
    np.save(tmp_path / "a.npy", trap)
    np.savez(tmp_path / "a.npz", X=trap)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(DataError, match="Python objects"):
            read(tmp_path / name)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros(3), "Rows come first"),
        (np.array(["a", "b"]), "not numbers"),
        (np.zeros((2, 2), dtype=complex), "not numbers"),
        (np.zeros((0, 4)), "no rows"),
    ],
)
def test_an_array_that_holds_no_rows_of_numbers_is_refused(tmp_path, array, words):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(DataError, match=words):
        read(tmp_path / "a.npy")


# ---------------------------------------------------------------------- paths


def test_a_missing_file_is_said_with_names_near_it(tmp_path):
    write(tmp_path / "table.csv", ROWS)
    with pytest.raises(DataError, match=r"no file .*tabel.csv. Did you mean table.csv"):
        read(tmp_path / "tabel.csv")
    with pytest.raises(DataError, match="there is no folder"):
        read(tmp_path / "nowhere" / "table.csv")


def test_an_ending_that_cannot_be_read_is_answered_with_those_that_can(tmp_path):
    with pytest.raises(DataError, match=r"'\.xlsx' files. Give \.csv, .*folder of images"):
        read(text(tmp_path, "x", "a.xlsx"))


def test_an_ending_is_read_in_capitals_too(tmp_path):
    write(tmp_path / "A.CSV", ROWS, names=NAMED)
    assert read(tmp_path / "A.CSV").names == NAMED


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("a.txt", "table", r"a table to '\.txt' files. Known endings: \.csv"),
        ("a", "table", "has no ending"),
        ("a.csv", "images", r"images to '\.csv' files.*or a folder"),
        ("nowhere/a.csv", "table", "Make it first"),
        ("taken.csv", "table", "is a folder"),
        ("full", "images", "holds files already"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_before_any_work(tmp_path, name, kind, words):
    (tmp_path / "taken.csv").mkdir()
    (tmp_path / "full").mkdir()
    text(tmp_path / "full", "x", "x.png")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=words):
        check_output(tmp_path / name, kind)
    with pytest.raises(DataError, match=words):
        write(tmp_path / name, ROWS if kind == "table" else np.zeros((2, 4, 4)))
    assert sorted(tmp_path.rglob("*")) == before


def test_what_fits_no_file_is_refused_and_what_was_there_is_kept(tmp_path):
    path = tmp_path / "a.npy"
    write(path, ROWS)
    with pytest.raises(DataError, match="numbers, not 'who'"):
        write(path, {"who": np.array(["a", "b"])})
    with pytest.raises(DataError, match="as many different names"):
        write(path, ROWS, names=["a", "a", "b"])
    with pytest.raises(DataError, match="one dimension"):
        write(tmp_path / "a.csv", ROWS[:, 0])
    assert np.array_equal(read(path).X, ROWS)
    assert [found.name for found in tmp_path.iterdir()] == ["a.npy"]


def test_a_written_file_has_the_rights_of_any_new_file(tmp_path):
    write(tmp_path / "a.csv", ROWS)
    (tmp_path / "other").touch()
    mine, other = ((tmp_path / name).stat().st_mode for name in ("a.csv", "other"))
    assert stat.S_IMODE(mine) == stat.S_IMODE(other)


def test_types_of_arrow_that_are_no_numbers_are_named(tmp_path):
    table = pa.table({"a": [1, 2], "list": [[1], [2, 3]]})
    pq.write_table(table, tmp_path / "a.parquet")
    X = read(tmp_path / "a.parquet").X
    with pytest.raises(DataError, match="column 'list' holds lists"):
        modality(X).fit(X)


def test_the_development_data_is_read(data_folder):
    fashion = read(data_folder / "images_small" / "fashion_mnist_train.npz", labels="y")
    assert fashion.X.shape == (60_000, 28, 28)
    assert fashion.labels is not None
    assert fashion.labels.shape == (60_000,)
    wine = read(data_folder / "adbench" / "45_wine.npz", labels="y")
    kind = modality(wine.X)
    kind.fit(wine.X)
    assert np.allclose(kind.restore(kind.batch(wine.X).x), wine.X, atol=1e-4)
