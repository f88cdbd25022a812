"""What any version wrote is read for ever."""

from __future__ import annotations

import json

import pytest

from isthmus import load
from isthmus.codecs.archive import Archive
from isthmus.codecs.images import ImageCodec
from tests.coding.golden import EXPECTED, FOLDER, MODEL, of_entry

FILES: dict[str, list[str]] = json.loads(EXPECTED.read_text())


@pytest.mark.parametrize("name", FILES)
def test_what_was_written_once_is_read_to_the_bit(name: str) -> None:
    path = FOLDER / name
    codec = load(MODEL) if "lossy" in name else ImageCodec()
    if name.endswith(".ista"):
        archive = Archive(path, codec)
        found = [of_entry(archive.entry(i)) for i in range(len(archive))]
    else:
        found = [of_entry(codec.unpacked(path.read_bytes()))]
    assert found == FILES[name]
