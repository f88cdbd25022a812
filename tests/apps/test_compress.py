"""``isthmus compress`` and ``decompress``: files made small, and had back as they were."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image
from typer.testing import CliRunner, Result

from isthmus import Archive, ImageCodec, load
from isthmus.apps.cli.main import app
from isthmus.codecs.archive_writing import Entry, packed
from isthmus.coding.container import Picture, Stored
from tests.apps.interruptions import interrupt_when_training
from tests.codecs.samples import Array, digits, smooth

Run = Callable[..., Result]
FIT = ("--for", "compress", "--lossless", "--speed", "fast")
FAST = ("--speed", "fast")


def content(folder: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def pixels(path: Path) -> Array:
    with Image.open(path) as picture:
        return np.array(picture)


def refused(told: Result, status: int, words: str) -> None:
    """In one clear line, with nothing on standard output."""
    assert (told.exit_code, told.stdout) == (status, ""), told.stderr
    assert told.stderr.startswith("error: ")
    assert words in told.stderr
    assert "fault of the program" not in told.stderr
    if status == 1:
        assert told.stderr.count("\n") == 1


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small grey pictures."""
    folder = tmp_path_factory.mktemp("data") / "scans"
    folder.mkdir()
    for i, image in enumerate(digits()[:300]):
        Image.fromarray(image).save(folder / f"{i:03d}.png")
    return folder


@pytest.fixture(scope="module")
def model(scans: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A codec that the command line fitted."""
    path = tmp_path_factory.mktemp("models") / "scans.model"
    words = ["fit", str(scans), "-o", str(path), *FIT, "--epochs", "3"]
    told = CliRunner().invoke(app, words)
    assert told.exit_code == 0, told.stderr
    assert told.stderr.startswith(f"{scans}: 300 images\n")
    assert told.stdout.startswith(f"{path}: a codec. ")
    assert "bits per value on images held out" in told.stdout
    return path


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """A folder of pictures of several formats, one of which nothing makes smaller."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    Image.fromarray(smooth(60, 70)).save(folder / "grey.png")
    Image.fromarray(smooth(60, 70, deep=True)).save(folder / "deep.png")
    Image.fromarray(smooth(50, 80, 3)).save(folder / "colour.bmp")
    Image.fromarray(smooth(50, 80, 4)).save(folder / "clear.tif")
    Image.fromarray(smooth(64, 64, 3)).save(folder / "photo.jpg")
    return folder


# ------------------------------------------------------------------ there and back


def test_files_are_made_small_and_come_back_with_the_same_pixels(
    run: Run, mixed: Path, tmp_path: Path
) -> None:
    before = content(mixed)
    told = run("compress", mixed, "-o", tmp_path / "out", *FAST)
    assert (told.exit_code, told.stderr) == (0, "")
    small = content(tmp_path / "out")
    assert set(small) == {f"{name}.ist" for name in before}
    sizes = [sum(map(len, found.values())) for found in (before, small)]
    assert sizes[1] < sizes[0]
    assert f"5 files, {sizes[0]:,} bytes to {sizes[1]:,} (" in told.stdout
    assert "1 is stored as it is" in told.stdout
    assert all(len(small[f"{name}.ist"]) <= len(before[name]) + 16 for name in before)
    again = run("decompress", *sorted((tmp_path / "out").iterdir()), "-o", tmp_path / "back")
    assert (again.exit_code, again.stderr) == (0, "")
    assert again.stdout == f"{tmp_path / 'back'}: 5 files\n"
    assert set(content(tmp_path / "back")) == set(before)
    for name in before:
        assert_array_equal(pixels(tmp_path / "back" / name), pixels(mixed / name), strict=True)
    assert (tmp_path / "back" / "photo.jpg").read_bytes() == before["photo.jpg"]
    assert content(mixed) == before


def test_a_model_of_own_images_makes_them_smaller_than_the_bundled_one(
    run: Run, model: Path, scans: Path, tmp_path: Path
) -> None:
    words = ("compress", model, scans, "-o", tmp_path / "out", "--json")
    facts = json.loads(run(*words).stdout)
    assert facts["after"] < facts["before"]
    bundled = json.loads(run("compress", scans, "-o", tmp_path / "other", *FAST, "--json").stdout)
    assert facts["after"] < bundled["after"]
    files = sorted((tmp_path / "out").iterdir())
    told = run("decompress", *files, "-o", tmp_path / "back", "--model", model)
    assert told.exit_code == 0, told.stderr
    for i in (0, 299):
        assert_array_equal(pixels(tmp_path / "back" / f"{i:03d}.png"), digits()[i])


def test_an_archive_holds_all_files_in_fewer_bytes(
    run: Run, model: Path, scans: Path, tmp_path: Path
) -> None:
    one = tmp_path / "in" / "all.ista"
    told = run("compress", model, scans, "--archive", one)
    assert (told.exit_code, told.stderr) == (0, "")
    before = sum(map(len, content(scans).values()))
    assert told.stdout.startswith(f"{one}: 300 files, {before:,} bytes to {one.stat().st_size:,} (")
    alone = json.loads(run("compress", model, scans, "-o", tmp_path / "alone", "--json").stdout)
    assert one.stat().st_size < 0.85 * alone["after"]
    archive = Archive(one, load(model))
    assert archive.names == [f"{i:03d}.png" for i in range(300)]
    assert_array_equal(archive.read(), digits()[:300])
    assert run("decompress", one, "-o", tmp_path / "back", "--model", model).exit_code == 0
    assert len(content(tmp_path / "back")) == 300
    assert_array_equal(pixels(tmp_path / "back" / "007.png"), digits()[7])


def test_an_archive_of_all_kinds_of_files_comes_back(run: Run, mixed: Path, tmp_path: Path) -> None:
    (mixed / "words.txt").write_text("kept as they are")
    before = content(mixed)
    words = [mixed / name for name in before]
    told = run("compress", *words, "--archive", "all.ista", "-o", tmp_path / "out", *FAST)
    assert told.exit_code == 0, told.stderr
    assert set(content(tmp_path / "out")) == {"all.ista"}
    told = run("decompress", tmp_path / "out" / "all.ista", "-o", tmp_path / "back")
    assert told.exit_code == 0, told.stderr
    back = content(tmp_path / "back")
    assert set(back) == set(before)
    for name in ("photo.jpg", "words.txt"):
        assert back[name] == before[name]
    for name in ("grey.png", "deep.png", "colour.bmp", "clear.tif"):
        assert_array_equal(pixels(tmp_path / "back" / name), pixels(mixed / name), strict=True)


def test_an_array_that_python_compressed_is_written_as_a_picture(run: Run, tmp_path: Path) -> None:
    image = smooth(20, 30, 3)
    (tmp_path / "one.ist").write_bytes(ImageCodec().compress(image))
    Archive.write(tmp_path / "two.ista", [image, image[:9]], ImageCodec())
    told = run("decompress", tmp_path / "one.ist", tmp_path / "two.ista", "-o", tmp_path / "back")
    assert told.exit_code == 0, told.stderr
    assert set(content(tmp_path / "back")) == {"one.png", "00000.png", "00001.png"}
    assert_array_equal(pixels(tmp_path / "back" / "one.png"), image)
    assert_array_equal(pixels(tmp_path / "back" / "00001.png"), image[:9])


def test_names_without_an_ending_come_back_beside_those_with_one(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for i, name in enumerate(("a", "a.png")):
        Image.fromarray(smooth(60, 70, seed=i)).save(folder / name, "PNG")
    one = tmp_path / "all.ista"
    assert run("compress", *sorted(folder.iterdir()), "--archive", one, *FAST).exit_code == 0
    told = run("decompress", one, "-o", tmp_path / "back", "--overwrite")
    assert told.exit_code == 0, told.stderr
    found = sorted(int(pixels(path).sum()) for path in (tmp_path / "back").iterdir())
    assert found == sorted(int(smooth(60, 70, seed=i).sum()) for i in range(2))


def test_results_as_json(run: Run, mixed: Path, tmp_path: Path) -> None:
    out, back, one = tmp_path / "out", tmp_path / "back", tmp_path / "all.ista"
    facts = json.loads(run("compress", mixed, "-o", out, *FAST, "--json").stdout)
    assert facts["out"] == str(out)
    assert facts["before"] == sum(map(len, content(mixed).values()))
    assert facts["after"] == sum(map(len, content(out).values()))
    by_name = {Path(entry["file"]).name: entry for entry in facts["files"]}
    assert {name for name, entry in by_name.items() if entry["stored"]} == {"photo.jpg"}
    assert by_name["grey.png"]["out"] == str(out / "grey.png.ist")
    assert by_name["grey.png"]["after"] == (out / "grey.png.ist").stat().st_size
    facts = json.loads(run("compress", mixed, "--archive", one, *FAST, "--json").stdout)
    assert (facts["out"], facts["files"]) == (str(one), 5)
    assert facts["after"] == one.stat().st_size
    facts = json.loads(run("decompress", one, "-o", back, "--json").stdout)
    assert facts["out"] == str(back)
    assert sorted(facts["files"]) == sorted(str(path) for path in back.iterdir())


# ------------------------------------------------------------------ nothing is lost


def test_files_that_are_there_are_replaced_only_when_asked(
    run: Run, mixed: Path, tmp_path: Path
) -> None:
    out, back, one = tmp_path / "out", tmp_path / "back", tmp_path / "all.ista"
    for folder, name in ((out, "grey.png.ist"), (back, "photo.jpg")):
        folder.mkdir()
        (folder / name).write_text("mine")
    one.write_text("mine")
    before = content(tmp_path)
    refused(run("compress", mixed, "-o", out, *FAST), 2, "--overwrite")
    refused(run("compress", mixed, "--archive", one, *FAST), 2, "--overwrite")
    assert content(tmp_path) == before
    assert run("compress", mixed, "-o", out, *FAST, "--overwrite").exit_code == 0
    assert run("compress", mixed, "--archive", one, *FAST, "--overwrite").exit_code == 0
    before = content(tmp_path)
    refused(run("decompress", one, "-o", back), 2, "--overwrite")
    files = sorted(out.iterdir())
    refused(run("decompress", *files, "-o", back), 2, "--overwrite")
    assert content(tmp_path) == before, "some were written before the others were looked at"
    assert run("decompress", *files, "-o", back, "--overwrite").exit_code == 0
    assert (back / "photo.jpg").read_bytes() == (mixed / "photo.jpg").read_bytes()


def test_an_archive_never_takes_the_place_of_what_goes_into_it(run: Run, mixed: Path) -> None:
    before = content(mixed)
    told = run("compress", mixed, "--archive", mixed / "grey.png", *FAST, "--overwrite")
    assert told.exit_code == 2, told.stdout
    assert content(mixed) == before


def test_two_files_of_one_name_are_refused_and_nothing_is_written(
    run: Run, mixed: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    Image.fromarray(smooth(9, 9)).save(other / "grey.png")
    for words in (("-o", tmp_path / "out"), ("--archive", tmp_path / "all.ista")):
        told = run("compress", mixed, other / "grey.png", *words, *FAST)
        refused(told, 2, "two files are called 'grey.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mixed", "other"]


def test_two_files_that_would_become_one_are_not_written_over_each_other(
    run: Run, tmp_path: Path
) -> None:
    for i, name in enumerate(("a", "b")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.png.ist").write_bytes(ImageCodec().compress(smooth(9, 9, seed=i)))
    files = [tmp_path / name / "x.png.ist" for name in ("a", "b")]
    told = run("decompress", *files, "-o", tmp_path / "back", "--overwrite")
    refused(told, 2, "x.png")
    assert not content(tmp_path).keys() & {"back/x.png"}


@pytest.mark.parametrize("kind", ["truncated", "damaged", "longer", "something else", "empty"])
def test_a_damaged_file_is_refused_and_kept(
    run: Run, mixed: Path, tmp_path: Path, kind: str
) -> None:
    assert run("compress", mixed / "grey.png", "-o", tmp_path, *FAST).exit_code == 0
    assert run("compress", mixed, "--archive", tmp_path / "all.ista", *FAST).exit_code == 0
    for name in ("grey.png.ist", "all.ista"):
        path = tmp_path / name
        whole = path.read_bytes()
        middle = len(whole) // 2
        damaged = {
            "truncated": whole[:-7],
            "damaged": whole[:5] + bytes([whole[5] ^ 4]) + whole[6:],
            "longer": whole + b"x",
            "something else": whole[middle:],
            "empty": b"",
        }[kind]
        path.write_bytes(damaged)
        told = run("decompress", path, "-o", tmp_path / "back")
        refused(told, 1, str(path))
        assert path.read_bytes() == damaged
        assert not (tmp_path / "back").exists() or not list((tmp_path / "back").iterdir())


def test_a_file_of_a_newer_version_is_named_and_told_to_update(run: Run, tmp_path: Path) -> None:
    data = bytearray(ImageCodec().compress(smooth(9, 9)))
    data[1] |= 0x04
    (tmp_path / "x.ist").write_bytes(data)
    told = run("decompress", tmp_path / "x.ist", "-o", tmp_path / "back")
    refused(told, 1, "pip install -U isthmus")
    assert "x.ist" in told.stderr


def test_nothing_is_left_beside_what_was_written(run: Run, mixed: Path, tmp_path: Path) -> None:
    run("compress", mixed, "-o", tmp_path / "out", *FAST)
    run("compress", mixed, "--archive", tmp_path / "out" / "all.ista", *FAST)
    assert len(content(tmp_path / "out")) == 6


@pytest.mark.parametrize(
    "name",
    ["../x.png", "/tmp/x.png", "a/b.png", "a\\b.png", "..", ".", "", "x\0.png", "../../x", "a/"],
)
def test_a_name_that_leads_elsewhere_is_refused(run: Run, tmp_path: Path, name: str) -> None:
    one = tmp_path / "in" / "all.ista"
    one.parent.mkdir()
    entries: list[Entry] = [Picture(smooth(9, 9)), Stored(b"evil")]
    one.write_bytes(packed(entries, ImageCodec().coder(), ["good.png", name]))
    told = run("decompress", one, "-o", tmp_path / "back", "--overwrite")
    refused(told, 1, str(one))
    assert list(content(tmp_path)) == ["in/all.ista"]


def test_two_entries_of_one_name_are_refused(run: Run, tmp_path: Path) -> None:
    one = tmp_path / "all.ista"
    entries: list[Entry] = [Picture(smooth(9, 9)), Stored(b"x")]
    one.write_bytes(packed(entries, ImageCodec().coder(), ["x.png", "x.png"]))
    refused(run("decompress", one, "-o", tmp_path / "back"), 1, "one name")
    assert list(content(tmp_path)) == ["all.ista"]


# ------------------------------------------------------------------ models


def test_files_of_another_model_are_refused_in_words(
    run: Run, model: Path, scans: Path, tmp_path: Path
) -> None:
    out, one = tmp_path / "out", tmp_path / "all.ista"
    assert run("compress", model, scans / "000.png", "-o", out).exit_code == 0
    assert run("compress", model, scans, "--archive", one).exit_code == 0
    for file in (out / "000.png.ist", one):
        refused(run("decompress", file, "-o", tmp_path / "back"), 1, "another model")
    assert not (tmp_path / "back").exists()


def test_a_codec_is_held_against_png_and_webp(
    run: Run, model: Path, scans: Path, tmp_path: Path
) -> None:
    new = tmp_path / "new.npy"
    np.save(new, digits()[300:330])
    told = run("evaluate", model, new)
    assert (told.exit_code, told.stderr) == (0, "")
    assert all(word in told.stdout for word in ("this model", "PNG", "WebP", "bits per pixel"))
    assert "fewer bytes than" in told.stdout
    facts = json.loads(run("evaluate", model, new, "--json").stdout)
    assert (facts["model"], facts["data"], facts["images_compared"]) == (str(model), str(new), 30)
    assert facts["plain_wins"] is False
    assert {row["method"] for row in facts["rows"]} >= {"this model", "PNG", "WebP"}
    assert run("evaluate", model, scans, "--json").exit_code == 0
    refused(run("evaluate", model, new, "--labels", "y"), 2, "a codec looks at no labels")


def test_a_codec_says_what_it_is(run: Run, model: Path) -> None:
    told = run("info", model)
    assert (told.exit_code, told.stderr) == (0, "")
    identity = json.loads((model / "config.json").read_text())["identity"]
    assert identity in told.stdout
    assert "300" in told.stdout
    facts = json.loads(run("info", model, "--json").stdout)
    assert facts["identity"] == identity


@pytest.mark.parametrize(
    "words",
    [
        ("embed", "MODEL", "DATA", "-o", "out.npy"),
        ("reconstruct", "MODEL", "DATA", "-o", "out.npy"),
        ("sample", "MODEL", "-n", "3", "-o", "out.npy"),
        ("detect", "MODEL", "DATA", "-o", "out.csv"),
        ("report", "MODEL", "DATA", "-o", "out.html"),
    ],
    ids=lambda words: words[0],
)
def test_other_verbs_say_what_a_codec_is_for(
    run: Run, model: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    data = tmp_path / "data.npy"
    np.save(data, digits()[:20])
    places = {"MODEL": model, "DATA": data}
    told = run(*(places.get(w, tmp_path / w if w.startswith("out.") else w) for w in words))
    refused(told, 1, "isthmus compress")
    assert list(content(tmp_path)) == ["data.npy"]


def test_a_model_that_is_no_codec_is_refused_with_how_to_fit_one(
    run: Run, picture_model: Path, mixed: Path, tmp_path: Path
) -> None:
    told = run("compress", picture_model, mixed, "-o", tmp_path / "out")
    refused(told, 1, "isthmus fit DATA --for compress --lossless")
    refused(
        run("decompress", mixed / "grey.png", "-o", tmp_path / "out", "--model", picture_model),
        1,
        "isthmus fit DATA --for compress --lossless",
    )
    assert not (tmp_path / "out").exists()


# ------------------------------------------------------------------ fit


def test_a_fit_that_was_interrupted_goes_on_to_the_same_codec(
    run: Run, scans: Path, tmp_path: Path
) -> None:
    out, other = tmp_path / "m", tmp_path / "other"
    words = ("fit", scans, *FIT, "--epochs", "60", "--quiet", "-o")
    assert run(*words, other).exit_code == 0
    thread = interrupt_when_training()
    told = run(*words, out)
    thread.join()
    assert told.exit_code == 130, told.stdout
    assert "--resume" in told.stderr
    assert not out.exists()
    assert (tmp_path / "m.partial").is_file()
    refused(run(*words, out), 2, "--resume")
    assert run(*words, out, "--resume").exit_code == 0
    assert not (tmp_path / "m.partial").exists()
    weights = [(path / "model.safetensors").read_bytes() for path in (out, other)]
    assert weights[0] == weights[1]


def test_a_fit_says_its_result_as_json(run: Run, tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", X=digits()[:60])
    words = ("fit", tmp_path / "data.npz", *FIT, "--epochs", "2", "-o", tmp_path / "m", "--json")
    facts = json.loads(run(*words).stdout)
    assert facts["model"] == str(tmp_path / "m")
    assert facts["images"] == 60
    assert facts["kept"] in ("trained", "start")
    assert facts["validation"]["after"] <= facts["validation"]["before"]
    assert facts["identity"] == json.loads((tmp_path / "m" / "config.json").read_text())["identity"]
    shutil.rmtree(tmp_path / "m")
    told = run(*words[:-1], "--validation", "0", "--quiet")
    assert told.exit_code == 0, told.stderr
    assert "No images were held out" in told.stdout


def test_options_that_do_not_go_together_are_wrong_use(
    run: Run, scans: Path, model: Path, tmp_path: Path
) -> None:
    out = ("-o", tmp_path / "m")
    for words, expected in (
        (("fit", scans, *out, "--for", "compress"), "--lossless, or --quality"),
        (("fit", scans, *out, "--lossless"), "it goes with --for compress"),
        (("fit", scans, *out, "--speed", "fast"), "it goes with --for compress"),
        (("fit", scans, *out, *FIT, "--latent-dim", "3"), "--for compress"),
        (("fit", scans, *out, *FIT, "--false-alarms", "0.1"), "--for compress"),
        (("fit", scans, *out, "--for", "compress", "--lossless", "--speed", "slow"), "'fast'"),
        (("fit", scans, *out, *FIT, "--epochs", "0"), "--epochs"),
        (("compress", scans, *out, "--speed", "slow"), "'fast'"),
        (("compress", model, scans, *out, "--speed", "fast"), "a saved model has its own"),
        (("compress", scans), "say where to write"),
        (("compress", model, *out), "name the files"),
    ):
        told = run(*words)
        assert told.exit_code == 2, words
        assert told.stdout == ""
        assert expected in told.stderr, words
    assert not list(tmp_path.iterdir())


def test_what_is_not_there_or_no_picture_is_refused_in_one_clear_line(
    run: Run, scans: Path, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    np.save(tmp_path / "floats.npy", digits()[:3] / 2.0)
    (tmp_path / "words.csv").write_text("a,b\n1,2\n")
    before = content(tmp_path)
    out = ("-o", tmp_path / "out")
    for words, expected in (
        (("compress", tmp_path / "no.png", *out), "no.png"),
        (("compress", scans / "000.png", tmp_path / "no.png", *out), "no.png"),
        (("compress", tmp_path / "empty", *out), "there are no images in"),
        (("compress", scans / "000.png", model, *out), "there are no images in"),
        (("decompress", tmp_path / "no.ist", *out), "there is no file"),
        (("decompress", tmp_path / "empty", *out), "empty"),
        (("decompress", scans / "000.png", *out), "not written by isthmus compress"),
        (("decompress", scans / "000.png", *out, "--model", tmp_path / "no"), "no model"),
        (("fit", tmp_path / "empty", *out, *FIT, "--quiet"), "there are no images in"),
        (("fit", tmp_path / "no", *out, *FIT, "--quiet"), "no"),
        (("fit", tmp_path / "floats.npy", *out, *FIT, "--quiet"), "float64"),
        (("fit", tmp_path / "words.csv", *out, *FIT, "--quiet"), "image"),
        (("evaluate", model, tmp_path / "floats.npy"), "float64"),
        (("evaluate", model, tmp_path / "empty"), "there are no images in"),
    ):
        refused(run(*words), 1, expected)
        assert content(tmp_path) == before, words
    refused(run("compress", scans / "000.png", "-o", tmp_path / "words.csv"), 1, "words.csv")
