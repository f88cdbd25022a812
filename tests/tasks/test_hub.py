"""Models on a Hugging Face hub: its real client, against a hub out of a folder."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from isthmus import Autoencoder
from isthmus.core.errors import (
    AbilityError,
    ModelFileError,
    NotFittedError,
    TamperedError,
    TruncatedError,
)
from isthmus.tasks import hub as ours
from isthmus.training.directory import CARD, CONFIG, WEIGHTS
from tests.tasks.local_hub import TOKEN, Answers, LocalHub

huggingface_hub = pytest.importorskip("huggingface_hub", reason="needs the extra: hub")
constants = pytest.importorskip("huggingface_hub.constants", reason="needs the extra: hub")

X = np.random.default_rng(0).normal(size=(60, 5))
NAME = "someone/flowers"


@pytest.fixture(scope="module")
def model() -> Autoencoder:
    return Autoencoder(2, epochs=2).fit(X)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    """A hub that knows nobody but the one with the token, and a client without one."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    served = LocalHub(tmp_path / "hub")
    home = tmp_path / "home"
    values = {
        "ENDPOINT": served.endpoint,
        "HUGGINGFACE_CO_URL_TEMPLATE": served.endpoint + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HOME": str(home),
        "HF_HUB_CACHE": str(home / "hub"),
        "HF_TOKEN_PATH": str(home / "token"),
        "HF_STORED_TOKENS_PATH": str(home / "stored_tokens"),
        "HF_HUB_OFFLINE": False,
    }
    for name, value in values.items():
        monkeypatch.setattr(constants, name, value)
    huggingface_hub.close_session()
    yield served
    huggingface_hub.close_session()
    served.close()


@pytest.fixture
def pushed(hub: LocalHub, model: Autoencoder) -> LocalHub:
    model.push_to_hub(NAME, token=TOKEN)
    hub.asked.clear()
    return hub


def content(hub: LocalHub, name: str = CONFIG, revision: str = "main") -> bytes:
    folder = hub.folder(NAME, revision)
    assert folder is not None
    return (folder / name).read_bytes()


# ------------------------------------------------------------------ there and back


def test_a_model_pushed_and_fetched_answers_to_the_bit(
    hub: LocalHub, model: Autoencoder, tmp_path: Path
) -> None:
    address = model.push_to_hub(NAME, token=TOKEN)
    assert re.fullmatch(f"{hub.endpoint}/{NAME}/commit/[0-9a-f]{{40}}", address)
    fetched = Autoencoder.from_pretrained(NAME)
    assert_array_equal(fetched.transform(X), model.transform(X))
    assert_array_equal(fetched.reconstruct(X), model.reconstruct(X))
    assert_array_equal(fetched.sample(3), model.sample(3))
    assert fetched.save(tmp_path / "a") == model.save(tmp_path / "b")


def test_what_is_pushed_is_the_folder_that_save_writes(
    pushed: LocalHub, model: Autoencoder, tmp_path: Path
) -> None:
    model.save(tmp_path / "saved")
    files = {file.name: file.read_bytes() for file in (tmp_path / "saved").iterdir()}
    assert set(files) == {CONFIG, WEIGHTS, CARD}
    assert {name: content(pushed, name) for name in files} == files


def test_all_files_are_pushed_in_one_commit(hub: LocalHub, model: Autoencoder) -> None:
    model.push_to_hub(NAME, token=TOKEN)
    model.push_to_hub(NAME, token=TOKEN)
    commits = [path for method, path in hub.asked if "/commit/" in path]
    assert len(commits) == 2
    assert not hub.fetched()


def test_pushing_again_leaves_what_others_put_there(pushed: LocalHub, model: Autoencoder) -> None:
    pushed.commit(NAME, "main", {"notes.txt": b"keep"})
    Autoencoder(3, epochs=1).fit(X).push_to_hub(NAME, token=TOKEN)
    assert content(pushed, "notes.txt") == b"keep"
    assert Autoencoder.from_pretrained(NAME).latent_dim_ == 3


def test_a_branch_and_a_commit_are_fetched_by_name(pushed: LocalHub) -> None:
    other = Autoencoder(3, epochs=1).fit(X)
    commit = other.push_to_hub(NAME, token=TOKEN, revision="wider").rpartition("/")[2]
    assert Autoencoder.from_pretrained(NAME).latent_dim_ == 2
    assert Autoencoder.from_pretrained(NAME, revision="wider").latent_dim_ == 3
    assert Autoencoder.from_pretrained(NAME, revision=commit).latent_dim_ == 3


def test_a_model_is_kept_where_it_was_asked_for(pushed: LocalHub, tmp_path: Path) -> None:
    Autoencoder.from_pretrained(NAME, cache_dir=tmp_path / "kept")
    kept = [path.name for path in (tmp_path / "kept").rglob("*.safetensors")]
    assert kept == [WEIGHTS]
    assert not (tmp_path / "home" / "hub").exists()


def test_a_folder_is_loaded_as_a_folder_without_asking_anyone(
    hub: LocalHub, model: Autoencoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model.save(tmp_path / "someone" / "flowers")
    for place in (NAME, tmp_path / NAME):
        loaded = Autoencoder.from_pretrained(place)
        assert_array_equal(loaded.transform(X), model.transform(X))
    with pytest.raises(ModelFileError, match="there is no model at"):
        Autoencoder.from_pretrained(tmp_path / "nothing")
    assert hub.asked == []


def test_a_private_model_needs_the_token(hub: LocalHub, model: Autoencoder) -> None:
    model.push_to_hub(NAME, token=TOKEN, private=True)
    assert Autoencoder.from_pretrained(NAME, token=TOKEN).latent_dim_ == 2
    with pytest.raises(ModelFileError, match="that you may see"):
        Autoencoder.from_pretrained(NAME, cache_dir=hub.root / "empty")


def test_a_model_meant_to_be_private_is_not_pushed_where_everyone_reads(
    hub: LocalHub, model: Autoencoder
) -> None:
    hub.create(NAME)
    with pytest.raises(ModelFileError, match=r"everyone can read it.*/settings"):
        model.push_to_hub(NAME, token=TOKEN, private=True)
    folder = hub.folder(NAME)
    assert folder is not None
    assert [file.name for file in folder.iterdir()] == [".gitattributes"]


# ------------------------------------------------------------------ what is not trusted


def test_only_what_is_read_is_fetched_and_never_a_pickle(pushed: LocalHub) -> None:
    others = ("pytorch_model.bin", "model.pkl", "modeling.py", "sub/config.json", ".env")
    pushed.commit(NAME, "main", dict.fromkeys(others, b"cos\nsystem\n"))
    Autoencoder.from_pretrained(NAME)
    assert pushed.fetched() == {CONFIG, WEIGHTS}


@pytest.mark.parametrize("file", [CONFIG, WEIGHTS])
def test_a_file_that_was_tampered_with_on_the_hub_is_refused(pushed: LocalHub, file: str) -> None:
    before = content(pushed, file)
    after = before.replace(b'"n_iter": 2', b'"n_iter": 3') if file == CONFIG else before[::-1]
    assert after != before
    pushed.commit(NAME, "main", {file: after})
    with pytest.raises(TamperedError, match=f"^'{NAME}' on the hub: .*not what its identity says"):
        Autoencoder.from_pretrained(NAME)


def test_weights_that_were_cut_short_on_the_hub_are_refused(pushed: LocalHub) -> None:
    pushed.commit(NAME, "main", {WEIGHTS: content(pushed, WEIGHTS)[:-7]})
    with pytest.raises(TruncatedError, match=f"'{NAME}' on the hub: .*cut short"):
        Autoencoder.from_pretrained(NAME)


@pytest.mark.parametrize("file", [CONFIG, WEIGHTS])
def test_a_file_too_large_for_a_model_is_not_downloaded(
    pushed: LocalHub, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ours.LARGEST, file, len(content(pushed, file)) - 1)
    with pytest.raises(ModelFileError, match=f"{re.escape(file)} of '{NAME}' is .* at most"):
        Autoencoder.from_pretrained(NAME)
    assert file not in pushed.fetched()


def test_a_copy_that_was_changed_on_this_machine_is_refused(
    pushed: LocalHub, tmp_path: Path
) -> None:
    Autoencoder.from_pretrained(NAME)
    [config] = (tmp_path / "home" / "hub").rglob(CONFIG)
    facts = json.loads(config.read_text())
    facts["fitted"]["n_iter"] += 1
    config.write_text(json.dumps(facts))
    with pytest.raises(TamperedError, match=NAME):
        Autoencoder.from_pretrained(NAME)


# ------------------------------------------------------------------ what a user is told


def test_a_missing_model_is_told_in_words(hub: LocalHub) -> None:
    with pytest.raises(ModelFileError, match=r"no folder 'someone/nothing', and no model .* login"):
        Autoencoder.from_pretrained("someone/nothing")


def test_a_model_of_another_library_is_told_in_words(hub: LocalHub) -> None:
    hub.create(NAME)
    with pytest.raises(ModelFileError, match="not a model saved by this library"):
        Autoencoder.from_pretrained(NAME)
    hub.commit(NAME, "main", {CONFIG: b'{"model_type": "bert"}', WEIGHTS: b"x"})
    with pytest.raises(ModelFileError, match="not a model saved by this library"):
        Autoencoder.from_pretrained(NAME)


def test_a_missing_revision_is_told_in_words(pushed: LocalHub) -> None:
    with pytest.raises(ModelFileError, match="has no revision 'v2'"):
        Autoencoder.from_pretrained(NAME, revision="v2")


def test_a_gated_model_is_told_in_words(pushed: LocalHub) -> None:
    pushed.gated.add(NAME)
    with pytest.raises(ModelFileError, match=f"Ask at {pushed.endpoint}/{NAME}, and then: Log in"):
        Autoencoder.from_pretrained(NAME)


@pytest.mark.parametrize("name", ["flowers.model", "a/b/c"])
def test_a_path_that_is_not_there_is_no_question_to_the_hub(hub: LocalHub, name: str) -> None:
    with pytest.raises(ModelFileError, match=f"no folder '{name}'.*written 'user/name'"):
        Autoencoder.from_pretrained(name)
    assert hub.asked == []


@pytest.mark.parametrize("name", ["some one/flowers", "someone/-flowers", "a/b/c"])
def test_a_name_that_no_hub_takes_is_told_in_words(
    hub: LocalHub, model: Autoencoder, name: str
) -> None:
    with pytest.raises(ModelFileError, match=f"'{name}' is no name on a hub"):
        model.push_to_hub(name, token=TOKEN)
    assert hub.folder(name) is None


def test_pushing_without_a_token_is_told_in_words(hub: LocalHub, model: Autoencoder) -> None:
    for token in (None, "hf_wrong"):
        with pytest.raises(ModelFileError, match=r"does not let you.*Log in with `hf auth login`"):
            model.push_to_hub(NAME, token=token)
    with pytest.raises(ModelFileError, match=r"no token on this machine.*Log in"):
        model.push_to_hub(NAME, token=True)


def test_pushing_to_anothers_place_is_told_in_words(hub: LocalHub, model: Autoencoder) -> None:
    with pytest.raises(ModelFileError, match=r"does not let you.*You have no rights there"):
        model.push_to_hub("another/flowers", token=TOKEN)


def test_an_unreachable_hub_is_told_in_words(hub: LocalHub, model: Autoencoder) -> None:
    hub.close()
    with pytest.raises(ModelFileError, match=f"{hub.endpoint} cannot be reached.*the connection"):
        Autoencoder.from_pretrained(NAME)
    with pytest.raises(ModelFileError, match=f"{hub.endpoint} cannot be reached.*the connection"):
        model.push_to_hub(NAME, token=TOKEN)


@pytest.mark.parametrize("state", ["closed", "failing"])
def test_a_model_fetched_before_is_there_without_its_hub(
    pushed: LocalHub, model: Autoencoder, state: str
) -> None:
    Autoencoder.from_pretrained(NAME)
    if state == "closed":
        pushed.close()
    else:
        pushed.failing = 503
    with pytest.warns(UserWarning, match="as it was when it was last fetched") as told:
        fetched = Autoencoder.from_pretrained(NAME)
    assert told[0].filename == __file__
    assert_array_equal(fetched.transform(X), model.transform(X))


def test_a_hub_in_trouble_is_told_in_words(hub: LocalHub, model: Autoencoder) -> None:
    hub.failing = 503
    with pytest.raises(ModelFileError, match=r"cannot be reached.*503"):
        model.push_to_hub(NAME, token=TOKEN)


def test_offline_mode_asks_nobody_and_is_told_in_words(
    pushed: LocalHub, model: Autoencoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    Autoencoder.from_pretrained(NAME)
    pushed.asked.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert_array_equal(Autoencoder.from_pretrained(NAME).transform(X), model.transform(X))
    for doing in (Autoencoder.from_pretrained, model.push_to_hub):
        with pytest.raises(ModelFileError, match="HF_HUB_OFFLINE is set"):
            doing("someone/other")
    assert pushed.asked == []


def test_a_cache_that_cannot_be_written_is_told_in_words(pushed: LocalHub, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ModelFileError, match=r"cannot be written: .*directory"):
        Autoencoder.from_pretrained(NAME, cache_dir=tmp_path / "file")


def test_what_is_told_comes_without_the_trace_of_the_client(hub: LocalHub) -> None:
    with pytest.raises(ModelFileError) as told:
        Autoencoder.from_pretrained(NAME)
    assert told.value.__suppress_context__


def test_an_answer_that_is_no_hubs_is_told_in_words(
    hub: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.create(NAME)
    hub.commit(NAME, "main", {CONFIG: b"{}"})
    monkeypatch.setattr(Answers, "send_header", lambda *_: None)
    with pytest.raises(ModelFileError, match="of unknown size"):
        Autoencoder.from_pretrained(NAME)


def test_a_model_that_is_not_fitted_is_not_pushed(hub: LocalHub) -> None:
    with pytest.raises(NotFittedError):
        Autoencoder().push_to_hub(NAME, token=TOKEN)
    assert hub.asked == []


# ------------------------------------------------------------------ without the extra


def test_without_the_extra_the_command_to_install_it_is_named(
    model: Autoencoder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for doing in (Autoencoder.from_pretrained, model.push_to_hub):
        with pytest.raises(AbilityError, match=re.escape('pip install "isthmus[hub]"')):
            doing(NAME)
    model.save(tmp_path / "model")
    assert Autoencoder.from_pretrained(tmp_path / "model").latent_dim_ == 2


def test_nothing_is_asked_of_the_extra_before_a_hub_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert callable(importlib.reload(ours).push)
