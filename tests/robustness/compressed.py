"""What a user's program does with compressed bytes that may be damaged or made to do harm."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np

from isthmus.codecs.archive import Archive
from isthmus.codecs.archive_writing import packed
from isthmus.codecs.images import ImageCodec
from isthmus.coding.coder import Coder
from isthmus.coding.container import ARCHIVE, Picture, Stored, pack, store
from isthmus.core.errors import IsthmusError


@cache
def seeds(coder: Coder) -> list[bytes]:
    """Small files of every kind."""
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (5, 6)).astype(np.uint8)
    deep = rng.integers(0, 4000, (4, 3)).astype(np.uint16)
    colour = np.zeros((4, 5, 3), np.uint8)
    alpha = rng.integers(0, 2, (3, 3, 4)).astype(np.uint8)
    wide = np.zeros((70, 1030), np.uint8)
    pictures = [Picture(grey), Picture(deep), Picture(colour, 1, b"x"), Picture(alpha)]
    pictures.append(Picture(wide, 2))
    entries: list[Picture | Stored] = [
        Picture(grey),
        Picture(grey),
        Stored(b"GIF89a"),
        Picture(deep, 2, b"y"),
    ]
    return [
        *(pack(picture, coder) for picture in pictures),
        store(b"a file"),
        packed(entries, coder, ["a", "b", "c", "d"]),
        packed([Picture(grey)], coder, None),
        packed([Picture(wide), Picture(grey), Picture(wide)], coder, None),
    ]


def read(codec: ImageCodec, data: bytes, beside: Path) -> bool:
    """Whether a user's program would take such bytes."""
    try:
        if len(data) > 1 and data[1] & 3 == ARCHIVE:
            beside.write_bytes(data)
            archive = Archive(beside, codec)
            for i in archive.numbers():
                assert isinstance(archive.entry(i), (Picture, Stored))
            for name in archive.names or []:
                os.fsencode(name)
        else:
            codec.unpacked(data)
    except IsthmusError:
        return False
    return True
