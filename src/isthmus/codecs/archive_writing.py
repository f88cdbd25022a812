"""Images and files as an archive: what is coded together, and what is stored since that is less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from isthmus.codecs.archive_header import (
    CHECK,
    ENTRIES_A_BYTE,
    FREE_ENTRIES,
    Group,
    Header,
    written,
)
from isthmus.codecs.files import read_bytes
from isthmus.codecs.pictures import read_picture
from isthmus.coding.checks import long_check
from isthmus.coding.container import (
    VALUES_A_BYTE,
    Picture,
    PictureCoder,
    Stored,
    content,
    depth_of,
)
from isthmus.coding.tiles import Chunks
from isthmus.data.contracts import Array

TIMES = (4, 2, 1, 1)
"""How many times as large as its file an image's share of what is coded is, to be stored: those
far too large first, since they make the share of the others larger too."""
OF_A_GROUP, OF_A_PICTURE, OF_NOTES = 32, 4, 1.1
"""Bytes of the header for a group, a picture, and each byte of notes, or a little less."""


@dataclass(frozen=True)
class PictureFile:
    """A picture, and where its file lies, should that be smaller than what the model makes of it.

    Parameters
    ----------
    path : Path
    size : int
        Bytes of the file.
    picture : Picture
    """

    path: Path
    size: int
    picture: Picture


@dataclass(frozen=True)
class Coded:
    """A group, the numbers of its entries, and its parts."""

    group: Group
    members: list[int]
    parts: list[bytes]


@dataclass(frozen=True)
class Unit:
    """Images that share chunks: as many as are coded side by side, or a large one by itself."""

    members: list[int]
    parts: list[bytes]

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(len(part) + CHECK for part in self.parts)


Entry = Picture | Stored | PictureFile


def entry_of(path: Path) -> PictureFile | Stored:
    """A file as what goes into an archive.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    picture = read_picture(path)
    if picture is None:
        return Stored(read_bytes(path))
    return PictureFile(path, path.stat().st_size, picture)


def settled(
    entries: Sequence[Entry], coder: PictureCoder
) -> tuple[list[Picture | Stored], list[Coded]]:
    """What of the entries is coded and what is stored, and all of it in groups.

    A picture file that would take more bytes coded than as it is, is stored.
    """
    found: list[Picture | Stored] = [
        entry.picture if isinstance(entry, PictureFile) else entry for entry in entries
    ]
    keys: dict[tuple[object, ...], list[int]] = {}
    for i, entry in enumerate(found):
        if isinstance(entry, Picture):
            keys.setdefault((_deep(entry.pixels).shape, entry.pixels.dtype.str), []).append(i)
    groups = [_Images(entries, found, coder).coded(members) for members in keys.values()]
    groups = [group for group in groups if group.members]
    coded = {i for group in groups for i in group.members}
    stored = [i for i in range(len(entries)) if i not in coded]
    files = []
    for i in stored:
        given = entries[i]
        if isinstance(given, PictureFile):
            found[i] = Stored(read_bytes(given.path))
        files.append(getattr(found[i], "content", b""))
    if stored:
        told = Group([], False, 8, len(files), [*map(len, files)])
        groups.append(Coded(told, stored, files))
    return found, groups


class _Images:
    """Codes images of one size; what was coded once is not coded again."""

    def __init__(
        self, entries: Sequence[Entry], found: Sequence[Picture | Stored], coder: PictureCoder
    ) -> None:
        self.entries, self.found, self.coder = entries, found, coder
        self.known: dict[tuple[int, ...], list[bytes]] = {}

    def coded(self, members: Sequence[int]) -> Coded:
        """Those images that take fewer bytes than their files do."""
        dear: set[int] = set()
        units: list[Unit] = []
        like, depth = members[0], 8
        for times in TIMES:
            members = [i for i in members if i not in dear]
            depth = max((depth_of(self.pixels(i)) for i in members), default=8)
            units = self.units(members, depth)
            dear = {i for unit in units for i in unit.members if self.is_dear(unit, i, times)}
        units = [unit for unit in units if unit.size + self.told(unit) <= self.files(unit)]
        if sum(unit.size + self.told(unit) - self.files(unit) for unit in units) > -OF_A_GROUP:
            units = []
        parts = [part for unit in units for part in unit.parts]
        kept = [i for unit in units for i in unit.members]
        first = self.pixels(like)
        deep, lengths = first.dtype == np.uint16, [*map(len, parts)]
        return Coded(Group([*first.shape], deep, depth, len(kept), lengths), kept, parts)

    def units(self, members: Sequence[int], depth: int) -> list[Unit]:
        """The images as they are coded together."""
        if not members:
            return []
        at_once = Chunks(1, *self.pixels(members[0]).shape[:2]).at_once or 1
        found = []
        for first in range(0, len(members), at_once):
            together = list(members[first : first + at_once])
            key = (depth, *together)
            if key not in self.known:
                self.known[key] = self.encoded(together, depth)
            found.append(Unit(together, self.known[key]))
        return found

    def encoded(self, members: Sequence[int], depth: int) -> list[bytes]:
        """The chunks of images, each with the checksum of its content."""
        images = np.stack([self.pixels(i) for i in members])
        parts = []
        for chunk in Chunks(*images.shape[:3], whole=not self.coder.lossless):
            values = chunk.cut(images)
            data, shown = self.coder.coded(values, depth)
            least = values.size // VALUES_A_BYTE
            if len(self.entries) > FREE_ENTRIES:
                least = max(least, -(-len(members) // ENTRIES_A_BYTE))
            parts.append(data + bytes(max(0, least - len(data))) + long_check(content(shown)))
        return parts

    def pixels(self, i: int) -> Array:
        """Those of an image, with channels."""
        entry = self.found[i]
        assert isinstance(entry, Picture)
        return _deep(entry.pixels)

    def is_dear(self, unit: Unit, i: int, times: int) -> bool:
        """Whether an image's share is so many times its file, or more."""
        return unit.size / len(unit.members) + self.told_of(i) > times * self.file(i)

    def told(self, unit: Unit) -> float:
        """Bytes of the header for some images."""
        return sum(self.told_of(i) for i in unit.members)

    def told_of(self, i: int) -> float:
        """Bytes of the header for an image."""
        entry = self.found[i]
        return OF_A_PICTURE + OF_NOTES * len(entry.notes) if isinstance(entry, Picture) else 0

    def files(self, unit: Unit) -> float:
        """Bytes of the files of some images."""
        return sum(self.file(i) for i in unit.members)

    def file(self, i: int) -> float:
        """Bytes that an image would take as it is; without end where there is no file."""
        entry = self.entries[i]
        return entry.size + CHECK if isinstance(entry, PictureFile) else np.inf


def _deep(pixels: Array) -> Array:
    """Pixels with channels."""
    return pixels if pixels.ndim == 3 else pixels[..., np.newaxis]


def joined(
    entries: Sequence[Picture | Stored],
    groups: Sequence[Coded],
    coder: PictureCoder,
    names: Sequence[str] | None,
) -> bytes:
    """An archive as bytes, of what ``settled`` gave."""
    order = np.zeros(len(entries), np.int64)
    for number, group in enumerate(groups):
        order[group.members] = number
    extras = {
        i: (entry.form, entry.notes)
        for i, entry in enumerate(entries)
        if isinstance(entry, Picture) and (entry.form or entry.notes)
    }
    header = Header(
        [coded.group for coded in groups],
        order if len(groups) > 1 else None,
        None if names is None else list(names),
        extras,
        coder.identity[:4],
        lossless=coder.lossless,
    )
    parts = [part for coded in groups for part in coded.parts]
    return b"".join([written(header), *(part + long_check(part) for part in parts)])


def packed(entries: Sequence[Entry], coder: PictureCoder, names: Sequence[str] | None) -> bytes:
    """An archive as bytes; the names are not looked at."""
    return joined(*settled(entries, coder), coder, names)
