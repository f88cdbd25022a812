"""Headers that somebody made up: refused at once, whatever they say."""

from __future__ import annotations

import copy
import json
import resource
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus import Archive, ImageCodec
from isthmus.codecs.archive_header import FREE_ENTRIES
from isthmus.codecs.archive_writing import Entry, packed
from isthmus.coding.checks import Reader, long_check, number
from isthmus.coding.container import ARCHIVE, Picture, Stored, start_of
from isthmus.core.errors import CompressedError
from tests.codecs.samples import smooth

FAST = ImageCodec(speed="fast")
SECONDS = 2
BODY = bytes(16) + long_check(bytes(16))


def made(said: Any, body: bytes = b"") -> bytes:
    """An archive with right checksums, whatever its header says: JSON, or the text itself."""
    plain = said if isinstance(said, bytes) else json.dumps(said).encode()
    text = zlib.compress(plain, 9)
    head = start_of(ARCHIVE) + FAST.coder().identity[:4] + number(len(text)) + text
    return head + long_check(head) + body


def taken_apart(data: bytes) -> tuple[dict[str, Any], bytes]:
    """What the header of an archive says, and what follows it."""
    reader = Reader(data)
    reader.take(6)
    said = json.loads(zlib.decompress(reader.take(reader.number())))
    reader.take(4)
    return said, reader.take(reader.left)


def whole() -> tuple[dict[str, Any], bytes]:
    entries: list[Entry] = [
        Picture(smooth(5, 7), 1, b"said"),
        Stored(b"some text"),
        Picture(smooth(5, 7, seed=1)),
        Picture(smooth(4, 3, 3, deep=True)),
    ]
    return taken_apart(packed(entries, FAST.coder(), ["a", "b", "c", "d"]))


WHOLE, FOLLOWS = whole()


def read_all(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    archive = Archive(path, FAST)
    for i in range(len(archive)):
        archive.entry(i)


@pytest.mark.parametrize(
    "data",
    [
        made({"groups": [[[1024, 65536, 1], False, 8, 1 << 24, [10**18]]]}),
        made({"groups": [[[1024, 65536, 1], False, 8, 10**30, [16]]]}, BODY),
        made({"groups": [[[1, 1, 1], False, 8, 1 << 20, [16]]]}, BODY),
        made({"groups": [[[1, 1, 1], False, 8, 1 << 22, [16] * 4]]}, BODY * 4),
        made(b'{"groups":[' + b"[]," * 10_000_000 + b"0]}"),
        made(b'{"groups":' + b"[" * 1_000_000),
    ],
    ids=["pixels", "images", "dots", "more dots", "lists", "depth"],
)
def test_a_few_bytes_never_ask_for_more_than_they_can_hold(tmp_path: Path, data: bytes) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    with pytest.raises(CompressedError):
        read_all(tmp_path / "a.ista", data)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - began < SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 200_000


@pytest.mark.parametrize(
    "changes",
    [
        {"order": [0, 7, 0, 1]},
        {"order": [0, -1, 0, 1]},
        {"order": [0, 2.0, 0, 1]},
        {"order": [False, 2, False, True]},
        {"order": [0, 0, 0, 1]},
        {"order": "0201"},
        {"extras": [[float("inf"), 0, ""]]},
        {"extras": [[float("nan"), 0, ""]]},
        {"extras": [[1e999, 0, ""]]},
        {"extras": [[4, 0, ""]]},
        {"extras": [[-1, 0, ""]]},
        {"extras": [[True, 0, ""]]},
        {"extras": [[0, 16, ""]]},
        {"extras": [[0, -1, ""]]},
        {"extras": [[0, 1, "x"]]},
        {"extras": [[0, 1, 7]]},
        {"extras": {"0": 1}},
        {"names": ["a", "b", "c", "\ud800"]},
        {"names": ["a", "b", "c"]},
        {"names": ["a", "b", "c", 4]},
        {"names": {"a": 1, "b": 2, "c": 3, "d": 4}},
        {"groups": []},
        {"groups": [[[], False, 8, 0, []]]},
        {"groups": None},
    ],
    ids=repr,
)
def test_what_nobody_writes_is_refused_in_words(tmp_path: Path, changes: dict[str, Any]) -> None:
    read_all(tmp_path / "a.ista", made(WHOLE, FOLLOWS))
    with pytest.raises(CompressedError, match="damaged"):
        read_all(tmp_path / "a.ista", made({**WHOLE, **changes}, FOLLOWS))


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 20),
    st.sampled_from([8, 16, 1 << 16, 1 << 30, 10**18, 10**30]),
    st.floats(),
    st.text(max_size=3),
    st.sampled_from(["\ud800", "..", ""]),
    st.lists(st.integers(0, 9), max_size=4),
    st.just({}),
)


@given(st.lists(st.tuples(st.integers(0, 10**6), VALUES), min_size=1, max_size=3))
def test_any_change_of_a_header_is_refused_or_read(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, Any]]
) -> None:
    said: Any = copy.deepcopy(WHOLE)
    for where, value in changes:
        at: list[tuple[Any, Any]] = []
        _places(said, at)
        holder, key = at[where % len(at)]
        holder[key] = value
    path = tmp_path_factory.getbasetemp() / "changed.ista"
    try:
        read_all(path, made(said, FOLLOWS))
    except CompressedError:
        return
    assert len(Archive(path, FAST)) == 4


def _places(value: Any, found: list[tuple[Any, Any]]) -> None:
    """All places within some JSON."""
    for key in value if isinstance(value, dict) else range(len(value)):
        found.append((value, key))
        if isinstance(value[key], (list, dict)):
            _places(value[key], found)


def test_a_header_ends_with_its_text_and_zeros(tmp_path: Path) -> None:
    text = zlib.compress(json.dumps(WHOLE).encode())
    for more, right in ((b"\0\0", True), (b"x", False)):
        head = start_of(ARCHIVE) + FAST.coder().identity[:4] + number(len(text) + len(more))
        head += text + more
        data = head + long_check(head) + FOLLOWS
        if right:
            read_all(tmp_path / "a.ista", data)
        else:
            with pytest.raises(CompressedError):
                read_all(tmp_path / "a.ista", data)


@pytest.mark.parametrize("many", [10_000, FREE_ENTRIES + 9_000])
def test_thousands_of_images_of_nothing_are_written_and_read(tmp_path: Path, many: int) -> None:
    images = np.zeros((many, 2, 2), np.uint8)
    path = tmp_path / "a.ista"
    assert Archive.write(path, images, FAST) < many
    archive = Archive(path, FAST)
    assert len(archive) == many
    assert not archive[many - 1].any()


def test_an_order_that_zlib_makes_tiny_is_written_and_read(tmp_path: Path) -> None:
    many = 540_000
    entries: list[Entry] = [Stored(b"")] * many
    entries.append(Picture(np.zeros((1, 1), np.uint8)))
    data = packed(entries, FAST.coder(), None)
    path = tmp_path / "a.ista"
    path.write_bytes(data)
    archive = Archive(path, FAST)
    assert archive.entry(many - 1) == Stored(b"")
    assert archive[many].shape == (1, 1)
