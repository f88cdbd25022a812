"""``isthmus``: every verb, and what a user is told when it cannot be done."""

from __future__ import annotations

import inspect
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer.main
from PIL import Image
from typer.testing import CliRunner, Result

from isthmus import Autoencoder, load, spec
from isthmus.apps.cli.main import app
from isthmus.apps.cli.verbs import Verbs
from isthmus.data import read
from tests.apps.interruptions import interrupt_when_training

Run = Callable[..., Result]
COMMAND = [sys.executable, "-m", "isthmus"]


def command(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, check=False)


# ------------------------------------------------------------------ the whole way


def test_data_become_a_model_and_the_model_is_used_saved_and_compared(
    run: Run, flowers: Path, tmp_path: Path
) -> None:
    model, codes, rebuilt = (tmp_path / n for n in ("m.model", "codes.parquet", "rebuilt.csv"))
    apart = ("--labels", "species")
    fitted = run("fit", flowers, "-o", model, "--latent-dim", 2, "--epochs", 2, *apart)
    assert (fitted.exit_code, fitted.stderr) == (0, f"{flowers}: 150 rows of 4 columns\n")
    assert run("embed", model, flowers, "-o", codes, *apart).exit_code == 0
    assert run("reconstruct", model, flowers, "-o", rebuilt, *apart).exit_code == 0
    judged = run("evaluate", model, flowers, *apart)
    assert judged.exit_code == 0
    assert "PCA (2)" in judged.stdout
    assert "neighbours agree" in judged.stdout
    assert pd.read_parquet(codes).shape == (150, 2)
    assert list(pd.read_csv(rebuilt)) == list(pd.read_csv(flowers))[:4]


def test_the_real_command_fits_and_says_what_came_of_it(flowers: Path, tmp_path: Path) -> None:
    model = tmp_path / "m.model"
    words = ("--labels", "species", "--epochs", 2, "--network", "mlp:widths=[8]", "--quiet")
    done = command("fit", flowers, "-o", model, *words)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{model}: codes of ")
    assert load(model).recipe_.network == spec("mlp", widths=(8,))
    assert [path.name for path in tmp_path.iterdir()] == ["m.model"]


def test_codes_in_a_file_are_those_of_the_library(
    run: Run, pictures: Path, picture_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "codes.npy"
    told = run("embed", picture_model, pictures, "-o", out, "--labels", "y", "--dims", 2, "--json")
    assert json.loads(told.stdout) == {"out": str(out), "rows": 60, "dimensions": 2}
    codes = load(picture_model).transform(read(pictures, labels="y").X, dims=2)
    np.testing.assert_array_equal(np.load(out), codes)


def test_a_folder_of_images_comes_back_as_images_of_the_same_names(
    run: Run, pictures: Path, tmp_path: Path
) -> None:
    before, model, after = (tmp_path / name for name in ("before", "m.model", "after"))
    before.mkdir()
    images = read(pictures, labels="y").X
    for name, image in zip("abcdefghij", images[:10], strict=True):
        Image.fromarray(image).save(before / f"{name}.png")
    assert run("fit", before, "-o", model, "--latent-dim", 8, "--recipe", "linear").exit_code == 0
    assert run("reconstruct", model, before, "-o", after).exit_code == 0
    assert sorted(path.name for path in after.iterdir()) == [f"{n}.png" for n in "abcdefghij"]
    back = read(after).X
    assert back.dtype == np.uint8
    assert np.abs(back.astype(int) - images[:10]).mean() < np.abs(images[:10] - 127.0).mean() / 5


def test_samples_are_written_and_follow_the_seed(
    run: Run, flower_model: Path, tmp_path: Path
) -> None:
    first, same, other = (tmp_path / f"{name}.csv" for name in "abc")
    for out, seed in ((first, 1), (same, 1), (other, 2)):
        assert run("sample", flower_model, "-n", 5, "-o", out, "--seed", seed).exit_code == 0
    assert len(pd.read_csv(first)) == 5
    assert first.read_bytes() == same.read_bytes() != other.read_bytes()


def test_info_tells_what_a_model_is(run: Run, flower_model: Path) -> None:
    facts = json.loads(run("info", flower_model, "--json").stdout)
    assert (facts["latent_dim"], facts["epochs"], facts["kind"]) == (2, 2, "table")
    assert "sepal width (cm)" in facts["columns"]
    words = run("info", flower_model).stdout
    assert facts["identity"] in words
    assert "2 dimensions" in words


def test_a_report_is_a_page(run: Run, flowers: Path, flower_model: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    told = run("report", flower_model, flowers, "-o", page, "--labels", "species", "--json")
    assert json.loads(told.stdout)["verdict"] in page.read_text(encoding="utf-8")


def test_every_parameter_of_the_estimator_is_an_option_of_fit() -> None:
    fit = typer.main.get_command(app).commands["fit"]  # type: ignore[attr-defined]
    options = {parameter.name for parameter in fit.params}
    ours = set(inspect.signature(Autoencoder).parameters)
    renamed = {"random_state": "seed", "verbose": "quiet"}
    only_in_python = {"encoder", "decoder"}
    assert {renamed.get(name, name) for name in ours - only_in_python} <= options


def test_every_option_of_fit_reaches_the_model(run: Run, flowers: Path, tmp_path: Path) -> None:
    model = tmp_path / "m.model"
    given_ = {
        "latent_dim": 3, "recipe": "vae", "epochs": 1, "max_time": "1min", "batch_size": 64,
        "learning_rate": 0.01, "optimizer": "sgd", "weight_decay": 0.1, "gradient_clip": 2.0,
        "validation": 0.2, "patience": 5, "device": "cpu", "precision": "float32",
        "kind": "table", "network": "linear", "code": "gaussian", "prior": "normal",
        "likelihood": "gaussian:scale=column", "corruption": "mask:share=0.5",
    }  # fmt: skip
    words = [w for name, v in given_.items() for w in (f"--{name.replace('_', '-')}", v)]
    told = run("fit", flowers, "-o", model, "--labels", "species", "--seed", 7, *words)
    assert told.exit_code == 0, told.stderr
    found = load(model).get_params(deep=False)
    expected = given_ | {
        "network": spec("linear"),
        "code": spec("gaussian"),
        "prior": spec("normal"),
        "likelihood": spec("gaussian", scale="column"),
        "corruption": spec("mask", share=0.5),
        "random_state": 7,
    }
    assert {name: found[name] for name in expected} == expected


# ------------------------------------------------------------------ what goes wrong


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "Usage"),
        (["bogus"], "No such command"),
        (["fit", "{data}"], "--out"),
        (["fit", "{data}", "-o", "{new}", "--for", "cluster"], "There is: reduce, detect"),
        (["fit", "{data}", "-o", "{new}", "--for", "compress"], "--lossless, or --quality"),
        (["fit", "{data}", "-o", "{new}", "--for", "tea"], "no job 'tea'"),
        (["fit", "{data}", "-o", "{new}", "--recipe", "vee"], "Did you mean 'vae'"),
        (["fit", "{data}", "-o", "{new}", "--corruption", "noise:scal=1"], "Did you mean 'scale'"),
        (["fit", "{data}", "-o", "{new}", "--corruption", "noise:"], "option=value"),
        (["fit", "{data}", "-o", "{new}", "--latent-dim", "many"], "'auto'"),
        (["fit", "{data}", "-o", "{data}"], "not a saved model"),
        (["embed", "{model}", "{data}", "-o", "codes.xyz"], "'.xyz'"),
        (["reconstruct", "{model}", "{data}", "-o", "rows.xyz"], "'.xyz'"),
        (["sample", "{model}", "-n", "0", "-o", "rows.csv"], "-n"),
        (["report", "{model}", "{data}", "-o", "page.pdf"], ".html"),
        (["evaluate", "{model}", "{data}", "--labels", "a", "--labels", "b"], "got a, b"),
    ],
)
def test_wrong_use_exits_with_2_and_says_what_would_be_right(
    run: Run, words: list[str], expected: str, flowers: Path, flower_model: Path, tmp_path: Path
) -> None:
    places = {"data": flowers, "model": flower_model, "new": tmp_path / "new.model"}
    told = run(*(word.format(**places) for word in words))
    assert told.exit_code == 2
    assert expected in told.stderr
    assert told.stdout == ""
    assert not places["new"].exists()


def test_failed_work_exits_with_1_and_one_clear_line(
    run: Run, flowers: Path, flower_model: Path, tmp_path: Path
) -> None:
    missing = run("evaluate", flower_model, tmp_path / "flwers.csv")
    no_model = run("embed", tmp_path / "none", flowers, "-o", tmp_path / "codes.csv")
    for told in (missing, no_model):
        assert (told.exit_code, told.stdout) == (1, "")
        assert told.stderr.startswith("error: there is no ")
        assert told.stderr.count("\n") == 1


def test_the_real_command_exits_with_the_same_statuses(flower_model: Path, tmp_path: Path) -> None:
    assert command("info", flower_model).returncode == 0
    failed = command("info", tmp_path / "none")
    assert failed.returncode == 1
    assert failed.stderr.startswith("error: ")
    assert "Traceback" not in failed.stderr
    assert command("inform").returncode == 2


def test_a_damaged_model_is_refused_by_name(run: Run, flower_model: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.model"
    shutil.copytree(flower_model, damaged)
    weights = damaged / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    told = run("info", damaged)
    assert told.exit_code == 1
    assert "cut short" in told.stderr


def test_words_and_gaps_come_back_filled(run: Run, flowers: Path, tmp_path: Path) -> None:
    gappy = tmp_path / "gappy.csv"
    gappy.write_text(flowers.read_text().replace("5.1,", ",", 1))
    model, out = tmp_path / "m.model", tmp_path / "back.csv"
    assert run("fit", gappy, "-o", model, "--latent-dim", 2, "--epochs", 2).exit_code == 0
    assert run("reconstruct", model, gappy, "-o", out).exit_code == 0
    first = flowers.read_text().splitlines()[0].replace('"', "")
    head, *rows = out.read_text().replace('"', "").splitlines()
    assert head == first
    assert len(rows) == 150
    assert {row.rpartition(",")[2] for row in rows} <= {"setosa", "versicolor", "virginica"}
    assert not any(",," in row for row in rows)
    shown = run("evaluate", model, gappy)
    assert "species" in shown.stdout
    assert "accuracy" in shown.stdout


def test_an_out_with_a_wrong_ending_is_refused_before_anything_is_read(
    run: Run, tmp_path: Path
) -> None:
    told = run("embed", tmp_path / "no model", tmp_path / "no data", "-o", tmp_path / "codes.doc")
    assert told.exit_code == 2
    assert ".parquet" in told.stderr


def test_what_is_at_out_is_kept_when_the_work_fails(
    run: Run, flowers: Path, flower_model: Path, tmp_path: Path
) -> None:
    out, bad = tmp_path / "codes.csv", tmp_path / "bad.csv"
    out.write_text("precious")
    bad.write_text(flowers.read_text().replace("5.1,", "wide,", 1))
    told = run("embed", flower_model, bad, "-o", out, "--labels", "species")
    assert told.exit_code == 1
    assert "sepal length (cm)" in told.stderr
    assert out.read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.csv", "codes.csv"]


@pytest.fixture
def broken() -> typer.Typer:
    """An application with a verb that has a fault."""
    broken = typer.Typer(cls=Verbs, pretty_exceptions_enable=False)

    @broken.command()
    def divide() -> None:
        raise ZeroDivisionError("by nothing\nat all")

    @broken.command()
    def disk() -> None:
        raise OSError(28, "No space left on device", "out.csv")

    return broken


def test_a_fault_of_the_program_is_a_short_message(broken: typer.Typer) -> None:
    told = CliRunner().invoke(broken, ["divide"])
    assert told.exit_code == 1
    assert told.stderr.splitlines()[0] == "error: ZeroDivisionError: by nothing"
    assert "--debug" in told.stderr


def test_debug_shows_where_a_fault_happened_wherever_it_stands(broken: typer.Typer) -> None:
    for words in (["--debug", "divide"], ["divide", "--debug"]):
        told = CliRunner().invoke(broken, words)
        assert isinstance(told.exception, ZeroDivisionError)


def test_a_full_disk_is_not_called_a_fault_of_the_program(broken: typer.Typer) -> None:
    told = CliRunner().invoke(broken, ["disk"])
    assert (told.exit_code, told.stderr) == (1, "error: No space left on device: 'out.csv'\n")


# ------------------------------------------------------------------ interrupted


def test_an_interrupted_fit_exits_with_130_and_its_resumption_ends_as_if_undisturbed(
    run: Run, flowers: Path, tmp_path: Path
) -> None:
    model, undisturbed = tmp_path / "m.model", tmp_path / "u.model"
    words = ("--labels", "species", "--epochs", 300, "--patience", 300)
    thread = interrupt_when_training()
    told = run("fit", flowers, "-o", model, *words)
    thread.join()
    assert told.exit_code == 130, told.stderr
    assert told.stderr.endswith("--patience 300 --resume\n")
    assert [path.name for path in tmp_path.iterdir()] == ["m.model.partial"]

    again = run("fit", flowers, "-o", model, *words)
    assert again.exit_code == 2
    assert "--no-resume" in again.stderr
    assert "Invalid value for --resume" not in again.stderr

    assert run("fit", flowers, "-o", model, *words, "--resume").exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["m.model"]
    assert run("fit", flowers, "-o", undisturbed, *words).exit_code == 0
    weights = [(path / "model.safetensors").read_bytes() for path in (model, undisturbed)]
    assert weights[0] == weights[1]


def test_a_training_that_was_interrupted_can_be_dropped(
    run: Run, flowers: Path, tmp_path: Path
) -> None:
    model, partial = tmp_path / "m.model", tmp_path / "m.model.partial"
    partial.write_bytes(b"of another training")
    words = ("fit", flowers, "-o", model, "--labels", "species", "--epochs", 1)
    assert run(*words, "--resume").exit_code == 1
    assert partial.exists()
    assert run(*words, "--no-resume").exit_code == 0
    assert not partial.exists()


def test_fit_has_the_defaults_of_the_estimator() -> None:
    command = typer.main.get_command(app).commands["fit"]  # type: ignore[attr-defined]
    parameters = inspect.signature(Autoencoder).parameters
    shared = [option for option in command.params if option.name in parameters]
    given = [option for option in shared if option.default not in (None, "", ())]
    assert {"latent_dim", "validation", "optimizer"} <= {option.name for option in given}
    for option in given:
        if option.name not in ("resume", "verbose"):
            assert str(option.default) == str(parameters[option.name].default), option.name


# ------------------------------------------------------------------ what has no place


@pytest.fixture
def noted(flowers: Path, tmp_path: Path) -> Path:
    """The flowers with a text of its own in every row, in the second column."""
    frame = pd.read_csv(flowers)
    frame.insert(1, "note", [f"picked by {i}, in the rain" for i in range(len(frame))])
    path = tmp_path / "noted.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.mark.filterwarnings("default:left out")
def test_a_column_of_texts_is_said_to_be_left_out_and_comes_back_empty(
    run: Run, noted: Path, tmp_path: Path
) -> None:
    model, rebuilt, drawn = (tmp_path / name for name in ("m.model", "r.csv", "s.parquet"))
    told = run("fit", noted, "-o", model, "--epochs", 1)
    assert told.stderr.count("left out: note (too many different texts to learn from)") == 1
    words = run("info", model).stdout
    assert "left out    note (too many different texts to learn from)" in words
    assert "columns     sepal length (cm), sepal width (cm)," in words
    assert run("reconstruct", model, noted, "-o", rebuilt).exit_code == 0
    assert run("sample", model, "-n", 3, "-o", drawn).exit_code == 0
    for found in (pd.read_csv(rebuilt), pd.read_parquet(drawn)):
        assert list(found) == list(pd.read_csv(noted))
        assert found.pop("note").isna().all()
        assert found.notna().all(axis=None)


# ------------------------------------------------------------------ images in files


@pytest.fixture
def album(pictures: Path, tmp_path: Path) -> Path:
    """A folder of twelve images, two of them in a folder within, and a table that lists them."""
    folder = tmp_path / "album"
    (folder / "more").mkdir(parents=True)
    names = [f"{'more/' if i > 9 else ''}{i:02d}.png" for i in range(12)]
    for name, image in zip(names, read(pictures, labels="y").X, strict=False):
        Image.fromarray(image).save(folder / name)
    table = pd.DataFrame({"path": names, "species": ["a", "b"] * 6})
    table.to_csv(folder / "list.csv", index=False)
    return folder


def test_images_listed_in_a_table_are_fitted_whatever_stands_beside_their_paths(
    run: Run, album: Path, tmp_path: Path
) -> None:
    model, codes = tmp_path / "m.model", tmp_path / "codes.csv"
    words = ("-o", model, "--recipe", "linear", "--latent-dim", 2)
    told = run("fit", album / "list.csv", *words, "--kind", "images")
    assert told.exit_code == 0, told.stderr
    assert "list.csv: 12 images of 8 x 8\n" in told.stderr
    assert "left out: species" in told.stderr
    assert run("embed", model, album / "list.csv", "-o", codes).exit_code == 0
    found = pd.read_csv(codes)
    assert list(found) == ["file", "autoencoder0", "autoencoder1"]
    assert list(found["file"]) == list(pd.read_csv(album / "list.csv")["path"])
    assert run("evaluate", model, album / "list.csv", "--labels", "species").exit_code == 0


def test_a_table_fitted_as_a_table_is_said_to_name_images(
    run: Run, album: Path, tmp_path: Path
) -> None:
    told = run("fit", album / "list.csv", "-o", tmp_path / "m.model", "--epochs", 1)
    assert "column 'path' is read as text" in told.stderr
    assert "--kind images" in told.stderr


def test_a_folder_says_which_images_it_leaves_out_and_codes_bear_file_names(
    run: Run, album: Path, tmp_path: Path
) -> None:
    model, codes, numbers = (tmp_path / name for name in ("m.model", "codes.parquet", "c.npy"))
    told = run("fit", album, "-o", model, "--recipe", "linear", "--latent-dim", 2)
    assert f"warning: only the images in {album} are read, not those in 1 folder" in told.stderr
    assert run("embed", model, album, "-o", codes).exit_code == 0
    found = pd.read_parquet(codes)
    assert list(found.pop("file")) == [f"{i:02d}.png" for i in range(10)]
    assert run("embed", model, album, "-o", numbers).exit_code == 0
    np.testing.assert_array_equal(np.load(numbers), found)


def test_usage_is_written_as_in_the_documents(run: Run) -> None:
    said = run("compress", "--help").stdout
    assert "Usage: isthmus compress [OPTIONS] [MODEL] FILES...\n" in said
