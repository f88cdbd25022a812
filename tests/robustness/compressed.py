"""What a user's program does with compressed bytes that may be damaged or made to do harm."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from isthmus.codecs.archive import Archive
from isthmus.codecs.archive_writing import packed
from isthmus.codecs.images import ImageCodec
from isthmus.coding.container import ARCHIVE, Picture, PictureCoder, Stored, pack, store
from isthmus.core.errors import IsthmusError

KNOWN: dict[bytes, list[bytes]] = {}


def seeds(coder: PictureCoder) -> list[bytes]:
    """Small files of every kind."""
    if coder.identity not in KNOWN:
        KNOWN[coder.identity] = _seeds(coder)
    return KNOWN[coder.identity]


def _seeds(coder: PictureCoder) -> list[bytes]:
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (5, 6)).astype(np.uint8)
    deep: npt.NDArray[Any] = rng.integers(0, 4000, (4, 3)).astype(np.uint16)
    colour = np.zeros((4, 5, 3), np.uint8)
    alpha = rng.integers(0, 2, (3, 3, 4)).astype(np.uint8)
    wide = np.zeros((70, 1030), np.uint8)
    pictures = [Picture(grey), Picture(deep), Picture(colour, 1, b"x"), Picture(alpha)]
    pictures.append(Picture(wide, 2))
    if not coder.lossless:
        pictures, deep = [pictures[0], pictures[2]], grey[:4, :3]
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
