"""The folder that a model is saved in: whole, what its identity says, or refused by name."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

import isthmus
from isthmus.core.errors import ModelFileError, NewerError, TamperedError, TruncatedError
from isthmus.training import directory
from isthmus.training.directory import identity, load_directory, save_directory
from tests.training.runs import save_disturbed, started

CONFIG_FILE, WEIGHTS_FILE, CARD_FILE = "config.json", "model.safetensors", "README.md"
CONFIG: dict[str, Any] = {"name": "é", "numbers": [1, 2.5, None], "deep": {"a": {"b": True}}}
TENSORS = {"w": torch.arange(24.0).reshape(4, 6), "b": torch.tensor([1, 2]), "s": torch.tensor(2.0)}
Change = Callable[[Path], None]


def saved(path: Path, **changes: Any) -> str:
    return save_directory(path, {**CONFIG, **changes}, TENSORS, lambda name: f"the card of {name}")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    saved(tmp_path / "model")
    return tmp_path / "model"


def rewrite(path: Path, **changes: Any) -> None:
    """Change the config as someone would who keeps its identity right."""
    config = {**json.loads((path / CONFIG_FILE).read_text()), **changes}
    config["identity"] = identity(config, (path / WEIGHTS_FILE).read_bytes())
    (path / CONFIG_FILE).write_text(json.dumps(config))


# ---------------------------------------------------------------------------- what is saved


def test_the_layout_is_that_of_hugging_face(model: Path) -> None:
    assert {f.name for f in model.iterdir()} == {CONFIG_FILE, WEIGHTS_FILE, CARD_FILE}
    config = json.loads((model / CONFIG_FILE).read_text(encoding="utf-8"))
    assert (config["format"], config["schema"]) == ("isthmus-model", 1)
    assert config["weights_bytes"] == (model / WEIGHTS_FILE).stat().st_size
    tensors = load_file(model / WEIGHTS_FILE)
    assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)
    assert (model / CARD_FILE).read_text() == f"the card of {config['identity']}"


def test_what_was_saved_is_what_is_loaded(model: Path) -> None:
    config, tensors = load_directory(model)
    assert {name: config[name] for name in CONFIG} == CONFIG
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in tensors.items():
        assert tensor.dtype == TENSORS[name].dtype
        assert torch.equal(tensor, TENSORS[name])


def test_views_and_shared_tensors_are_saved_whole(tmp_path: Path) -> None:
    base = torch.randn(4, 6)
    tensors = {"a": base, "same": base, "turned": base.T, "part": base[1:3, ::2]}
    save_directory(tmp_path / "m", {}, tensors, str)
    found = load_directory(tmp_path / "m")[1]
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)


def test_the_identity_is_a_hash_of_the_content(model: Path) -> None:
    config = json.loads((model / CONFIG_FILE).read_text())
    plain = {name: value for name, value in config.items() if name != "identity"}
    text = json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()
    whole = (model / WEIGHTS_FILE).read_bytes() + text
    assert config["identity"] == hashlib.sha256(whole).hexdigest()


def test_the_same_content_has_the_same_identity_wherever_it_is(model: Path, tmp_path: Path) -> None:
    assert saved(tmp_path / "other name") == saved(model)


@given(place=st.integers(0, 23), by=st.floats(1e-3, 1e3))
def test_every_number_is_part_of_the_identity(
    place: int, by: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("identity") / "model"
    changed = {name: tensor.clone() for name, tensor in TENSORS.items()}
    changed["w"].view(-1)[place] += by
    assert save_directory(path, CONFIG, changed, str) != saved(path)
    assert saved(path, name="e") != saved(path)


# ---------------------------------------------------------------------------- where it is saved


def test_saving_over_a_model_replaces_it_whole(model: Path) -> None:
    name = save_directory(model, {"other": 1}, {"only": torch.ones(1)}, str)
    config, tensors = load_directory(model)
    assert config["identity"] == name
    assert "deep" not in config
    assert list(tensors) == ["only"]
    assert [f.name for f in model.parent.iterdir()] == ["model"], "something is left beside"


def test_files_of_the_users_beside_a_model_are_kept_when_it_is_saved_over(model: Path) -> None:
    (model / "notes.txt").write_text("mine")
    (model / ".git").mkdir()
    (model / ".git" / "HEAD").write_text("ref")
    saved(model, other=1)
    assert (model / "notes.txt").read_text() == "mine"
    assert (model / ".git" / "HEAD").read_text() == "ref"
    assert load_directory(model)[0]["other"] == 1


def put_file(path: Path) -> None:
    path.write_text("mine")


def put_folder(path: Path) -> None:
    path.mkdir()
    (path / "thesis.tex").write_text("mine")


def put_other_config(path: Path) -> None:
    path.mkdir()
    (path / CONFIG_FILE).write_text('{"model_type": "bert"}')


def put_broken_config(path: Path) -> None:
    path.mkdir()
    (path / CONFIG_FILE).write_text("{")


@pytest.mark.parametrize("put", [put_file, put_folder, put_other_config, put_broken_config])
def test_what_is_not_a_model_is_never_written_over(put: Change, tmp_path: Path) -> None:
    put(tmp_path / "model")
    before = {f: f.read_bytes() for f in tmp_path.rglob("*") if f.is_file()}
    with pytest.raises(ModelFileError, match="is not a saved model; choose another name"):
        saved(tmp_path / "model")
    assert {f: f.read_bytes() for f in tmp_path.rglob("*") if f.is_file()} == before


def test_an_empty_folder_can_be_saved_to(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    saved(tmp_path / "model")
    load_directory(tmp_path / "model")


def test_missing_folders_are_made(tmp_path: Path) -> None:
    saved(tmp_path / "a" / "b" / "model")
    load_directory(tmp_path / "a" / "b" / "model")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ModelFileError, match="cannot be written"):
        saved(tmp_path / "file" / "model")


@pytest.mark.parametrize("killed", [True, False], ids=["killed", "disk full"])
def test_a_save_disturbed_at_any_moment_leaves_the_old_model_or_the_new(
    killed: bool, model: Path
) -> None:
    before, moment, status = load_directory(model)[0], 0, None
    while status != 0:
        moment += 1
        assert moment < 100, "it never came to its end"
        process = started(save_disturbed, model, {"other": moment}, moment, killed)
        process.join()
        status = process.exitcode
        assert status in ((0, -9) if killed else (0, 3, 4))
        config = load_directory(model)[0]
        assert config == before or config.get("other") == moment
        before = config
    assert moment > 5, "hardly anything was disturbed"
    assert before["other"] == moment


def test_a_write_that_fails_leaves_nothing_beside(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, *arguments: Any, **options: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises((OSError, ModelFileError), match="No space left"):
        saved(model, other=1)
    assert [f.name for f in model.parent.iterdir()] == ["model"]


# ---------------------------------------------------------------------------- attacks


def cut(name: str, tenth: int) -> Change:
    def change(path: Path) -> None:
        content = (path / name).read_bytes()
        (path / name).write_bytes(content[: len(content) * tenth // 10])

    return change


@pytest.mark.parametrize("name", [CONFIG_FILE, WEIGHTS_FILE])
@pytest.mark.parametrize("tenth", range(10))
def test_a_truncated_file_is_refused_by_name(name: str, tenth: int, model: Path) -> None:
    cut(name, tenth)(model)
    with pytest.raises(TruncatedError, match=re.escape(name)):
        load_directory(model)


@pytest.mark.parametrize("name", [CONFIG_FILE, WEIGHTS_FILE])
def test_a_missing_file_is_refused_by_name(name: str, model: Path) -> None:
    (model / name).unlink()
    with pytest.raises(TruncatedError, match=re.escape(name)):
        load_directory(model)
    (model / name).mkdir()
    with pytest.raises(TruncatedError, match=re.escape(name)):
        load_directory(model)


def test_the_card_is_for_people_and_can_be_edited_or_left_out(model: Path) -> None:
    (model / CARD_FILE).write_text("My own words.")
    load_directory(model)
    (model / CARD_FILE).unlink()
    load_directory(model)


@given(data=st.data())
@pytest.mark.parametrize("name", [CONFIG_FILE, WEIGHTS_FILE])
def test_one_bit_flipped_anywhere_is_refused(
    name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("flipped") / "model"
    saved(path)
    content = bytearray((path / name).read_bytes())
    content[data.draw(st.integers(0, len(content) - 2))] ^= 1 << data.draw(st.integers(0, 7))
    (path / name).write_bytes(content)
    with pytest.raises(ModelFileError) as caught:
        load_directory(path)
    assert type(caught.value) is not ModelFileError or b"isthmus-model" not in content


@given(garbage=st.binary(max_size=200), name=st.sampled_from([CONFIG_FILE, WEIGHTS_FILE]))
def test_garbage_is_refused(
    garbage: bytes, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("garbage") / "model"
    saved(path)
    (path / name).write_bytes(garbage)
    with pytest.raises((TruncatedError, TamperedError)):
        load_directory(path)


def test_bytes_added_at_the_end_are_refused(model: Path) -> None:
    with (model / WEIGHTS_FILE).open("ab") as file:
        file.write(b"more")
    with pytest.raises(TamperedError, match=WEIGHTS_FILE):
        load_directory(model)


def test_the_config_of_another_model_is_refused(model: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    save_directory(other, CONFIG, {n: t + 1 for n, t in TENSORS.items()}, str)
    shutil.copy(other / CONFIG_FILE, model / CONFIG_FILE)
    with pytest.raises(TamperedError, match="is not what its identity says"):
        load_directory(model)


def test_a_newer_schema_is_refused_with_the_way_out(model: Path) -> None:
    rewrite(model, schema=2)
    with pytest.raises(NewerError, match="pip install -U isthmus"):
        load_directory(model)


@pytest.mark.parametrize("schema", [None, "1", 1.5, -1, [1]])
def test_a_schema_that_is_no_version_is_refused(schema: Any, model: Path) -> None:
    rewrite(model, schema=schema)
    with pytest.raises(TamperedError, match="schema"):
        load_directory(model)


@pytest.mark.parametrize("size", [None, "10", 1.5, [], {}])
def test_a_size_that_is_no_size_is_refused(size: Any, model: Path) -> None:
    rewrite(model, weights_bytes=size)
    with pytest.raises(TamperedError, match=WEIGHTS_FILE):
        load_directory(model)


def test_an_identity_that_is_missing_is_refused(model: Path) -> None:
    config = json.loads((model / CONFIG_FILE).read_text())
    del config["identity"]
    (model / CONFIG_FILE).write_text(json.dumps(config))
    with pytest.raises(TamperedError):
        load_directory(model)


@pytest.mark.parametrize("text", ["[]", "3", "null", '"config"'])
def test_a_config_that_is_no_object_is_refused(text: str, model: Path) -> None:
    (model / CONFIG_FILE).write_text(text)
    with pytest.raises(TamperedError, match="JSON object"):
        load_directory(model)


@pytest.mark.parametrize("depth", [10, 100, 400, 900, 985, 1000, 3000, 10**6])
@pytest.mark.parametrize("bomb", ["[{}]", '{{"a":{}}}'])
def test_json_nested_however_deep_is_refused(depth: int, bomb: str, model: Path) -> None:
    before, after = bomb.format("|").split("|")
    text = json.dumps(json.loads((model / CONFIG_FILE).read_text()))
    nested = f'{{"bomb": {before * depth}1{after * depth}, {text[1:]}'
    (model / CONFIG_FILE).write_text(nested)
    with pytest.raises((TruncatedError, TamperedError)):
        load_directory(model)


def test_a_huge_config_is_refused_before_it_is_read(model: Path) -> None:
    os.truncate(model / CONFIG_FILE, directory.LARGEST_CONFIG + 1)
    with pytest.raises(TamperedError, match="larger than any config"):
        load_directory(model)


def test_weights_of_the_right_hash_that_are_no_safetensors_are_refused(model: Path) -> None:
    (model / WEIGHTS_FILE).write_bytes(b"x" * 100)
    rewrite(model, weights_bytes=100)
    with pytest.raises(TamperedError, match="safetensors"):
        load_directory(model)


def test_what_is_no_model_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="there is no model at"):
        load_directory(tmp_path / "nothing")
    put_file(tmp_path / "file")
    with pytest.raises(ModelFileError, match="is a file; a saved model is a folder"):
        load_directory(tmp_path / "file")
    put_folder(tmp_path / "folder")
    with pytest.raises(TruncatedError, match=CONFIG_FILE):
        load_directory(tmp_path / "folder")
    put_other_config(tmp_path / "bert")
    with pytest.raises(ModelFileError, match="not a model saved by this library"):
        load_directory(tmp_path / "bert")


# ---------------------------------------------------------------------------- versions


def test_an_older_model_goes_through_every_upgrade(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "SCHEMA", 3)
    monkeypatch.setitem(directory.UPGRADES, 1, lambda config: {**config, "steps": ["one"]})
    monkeypatch.setitem(
        directory.UPGRADES, 2, lambda config: {**config, "steps": [*config["steps"], "two"]}
    )
    config, _ = load_directory(model)
    assert (config["schema"], config["steps"]) == (3, ["one", "two"])


def test_an_older_model_without_an_upgrade_is_refused(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "SCHEMA", 2)
    with pytest.raises(ModelFileError, match="format version 1 cannot be read"):
        load_directory(model)


# ---------------------------------------------------------------------------- pickle


def test_no_part_of_the_library_reads_or_writes_pickle(model: Path) -> None:
    sources = [f.read_text() for f in Path(isthmus.__path__[0]).rglob("*.py")]
    assert len(sources) > 20
    modules = r"import (c?pickle|dill|joblib|cloudpickle|shelve|marshal)\b"
    pickling = re.compile(rf"\b({modules}|torch\.(load|save)\(|allow_pickle=True)")
    assert not [found[0] for text in sources if (found := pickling.search(text))]
    for file in model.iterdir():
        content = file.read_bytes()
        assert not content.startswith((b"\x80", b"PK\x03\x04")), "a pickle, or a zip of some"
