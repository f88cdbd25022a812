"""Many images in one file, which share a header and are coded side by side."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from isthmus.codecs.files import read_bytes, write_bytes
from isthmus.codecs.gathering import as_pictures, pixels_of
from isthmus.codecs.pictures import ARRAY
from isthmus.coding.checks import Reader, long_check, number
from isthmus.coding.container import (
    ARCHIVE,
    LONG_FROM,
    MOST_VALUES,
    VALUES_A_BYTE,
    Cut,
    Picture,
    PictureCoder,
    Stored,
    content,
    depth_of,
    kind_of,
    start_of,
)
from isthmus.coding.tiles import Tile, chunks, wholes
from isthmus.core.errors import CompressedError, DataError, EmptyError, OtherModelError
from isthmus.data.contracts import Array

if TYPE_CHECKING:
    from isthmus.codecs.images import ImageCodec

MOST_HEADER = 1 << 26
MOST_ENTRIES = 1 << 24


@dataclass(frozen=True)
class Group:
    """Images of one size and depth, or files that are stored as they are.

    Parameters
    ----------
    shape : list of int
        Height, width and channels; empty for stored files.
    deep : bool
    depth : int
    count : int
    lengths : list of int
        Bytes of each chunk, or of each stored file.
    """

    shape: list[int]
    deep: bool
    depth: int
    count: int
    lengths: list[int]


class Archive:
    """Images in one file, of which any can be read by itself.

    Parameters
    ----------
    path : str or Path
        What ``Archive.write`` wrote.
    codec : ImageCodec
        With the model that wrote it.

    Raises
    ------
    CompressedError
        If the file is damaged, or was written with another model.

    Examples
    --------
    >>> import numpy as np
    >>> from isthmus import Archive, ImageCodec
    >>> images = np.zeros((3, 8, 8), np.uint8)
    >>> size = Archive.write("/tmp/three.ista", images, ImageCodec())
    >>> archive = Archive("/tmp/three.ista", ImageCodec())
    >>> len(archive), archive[2].shape
    (3, (8, 8))
    """

    def __init__(self, path: str | Path, codec: ImageCodec) -> None:
        data = read_bytes(Path(path))
        self._codec = codec
        self._body, header = _opened(data)
        identity, self._groups = header["identity"], header["groups"]
        self.names: list[str] | None = header["names"]
        self._extras: dict[int, tuple[int, bytes]] = header["extras"]
        self._coder = codec.coder_for(identity)
        if self._coder.lossless != header["lossless"]:
            raise OtherModelError("it was written with a model of another kind, or is damaged")
        self._cut = self._coder.chunks
        self._order: list[int] = header["order"]
        self._places = _places(self._groups, self._order)
        self._starts = _starts(self._groups, len(self._body))
        self._kept: tuple[tuple[int, int], Any] | None = None
        self._whereabouts: dict[int, list[list[tuple[int, int, Tile]]]] = {}

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, index: Any) -> Array:
        if not isinstance(index, (int, np.integer)) or not -len(self) <= index < len(self):
            raise IndexError(f"there are images 0 to {len(self) - 1}, got {index!r}.")
        found = self.entry(range(len(self))[index])
        if isinstance(found, Stored):
            return self._codec.decompress_stored(found)
        return found.pixels

    def __iter__(self) -> Iterator[Array]:
        return (self[i] for i in range(len(self)))

    def read(self) -> Array:
        """All images: an array, or one of dtype object where they differ in size."""
        found = list(self)
        if len({(image.shape, image.dtype) for image in found}) == 1:
            return np.stack(found)
        whole = np.empty(len(found), object)
        whole[:] = found
        return whole

    def entry(self, index: int) -> Picture | Stored:
        """One image with what its file said, or the file itself."""
        group, number = self._places[index]
        told = self._groups[group]
        if not told.shape:
            return Stored(self._part(group, number))
        whole = self._pixels(group, number)
        form, notes = self._extras.get(index, (ARRAY, b""))
        return Picture(whole, form, notes)

    def _pixels(self, group: int, number: int) -> Array:
        told = self._groups[group]
        height, width, channels = told.shape
        image = np.empty((height, width, channels), np.uint16 if told.deep else np.uint8)
        for at, place, tile in self._tiles(group)[number]:
            image[tile.place[1:]] = self._decoded(group, at)[place]
        return image[..., 0] if channels == 1 else image

    def _tiles(self, group: int) -> list[list[tuple[int, int, Tile]]]:
        """Of each image of a group: its tiles, each with its chunk and its place there."""
        if group not in self._whereabouts:
            told = self._groups[group]
            found: list[list[tuple[int, int, Tile]]] = [[] for _ in range(told.count)]
            for at, tiles in enumerate(_plan(told, self._cut)):
                for place, tile in enumerate(tiles):
                    found[tile.image].append((at, place, tile))
            self._whereabouts[group] = found
        return self._whereabouts[group]

    def _decoded(self, group: int, at: int) -> Array:
        """A chunk; the last one stays at hand, since its neighbours are asked for next."""
        if self._kept is not None and self._kept[0] == (group, at):
            kept: Array = self._kept[1]
            return kept
        told, part = self._groups[group], self._part(group, at)
        tiles = next(islice(_plan(told, self._cut), at, None))
        shape = (len(tiles), tiles[0].rows, tiles[0].columns, told.shape[2])
        values = self._coder.decode(part[:-4], shape, told.depth)
        if not told.deep:
            values = values.astype(np.uint8)
        if long_check(content(values)) != part[-4:]:
            raise OtherModelError(
                "its pixels are not those that were written: it needs another model, or is damaged"
            )
        self._kept = ((group, at), values)
        return values

    def _part(self, group: int, at: int) -> bytes:
        start = self._starts[group][at]
        length = self._groups[group].lengths[at]
        part = self._body[start : start + length]
        if long_check(part) != self._body[start + length : start + length + 4]:
            raise CompressedError(f"part {at + 1} of it is damaged")
        return part

    @staticmethod
    def write(
        path: str | Path,
        images: Any,
        codec: ImageCodec,
        names: Sequence[str] | None = None,
    ) -> int:
        """Write images as one file, whole or not at all, after decoding it to see that it is right.

        Parameters
        ----------
        path : str or Path
        images : array of shape (n, height, width) or (n, height, width, channels), or list
            uint8 or uint16.
        codec : ImageCodec
        names : sequence of str, optional

        Returns
        -------
        int
            Its size in bytes.
        """
        if not isinstance(images, list):
            images = as_pictures(images)
        entries = [
            one if isinstance(one, (Picture, Stored)) else Picture(pixels_of(one, f"image {i}"))
            for i, one in enumerate(images)
        ]
        if not entries:
            raise EmptyError("there are no images to put into the archive.")
        if names is not None and len(names) != len(entries):
            raise DataError(f"got {len(names)} names for {len(entries)} images.")
        coder = codec.coder()
        data = packed(entries, coder, names)
        path = Path(path)

        def check(beside: Path) -> None:
            again = Archive(beside, codec)
            for i, entry in enumerate(entries):
                if not _agree(again.entry(i), entry, coder.lossless):
                    raise CompressedError(
                        f"image {i} could not be read back; '{path}' was not written"
                    )

        write_bytes(path, data, check)
        return len(data)


def _agree(one: Picture | Stored, other: Picture | Stored, lossless: bool) -> bool:
    """Whether two entries are the same; with loss, pixels have been held to their checksum."""
    if isinstance(one, Stored) or isinstance(other, Stored):
        return one == other
    same = one.pixels.dtype == other.pixels.dtype and one.notes == other.notes
    if not lossless:
        return same and one.pixels.shape == other.pixels.shape
    return same and np.array_equal(one.pixels.ravel(), other.pixels.ravel())


def packed(
    entries: Sequence[Picture | Stored], coder: PictureCoder, names: Sequence[str] | None
) -> bytes:
    """An archive as bytes."""
    keys: dict[tuple[Any, ...], list[int]] = {}
    for i, entry in enumerate(entries):
        keys.setdefault(_key(entry), []).append(i)
    order, groups, parts = [0] * len(entries), [], []
    for number_, (key, members) in enumerate(keys.items()):
        for i in members:
            order[i] = number_
        group, coded = _coded(key, [entries[i] for i in members], coder)
        groups.append(group)
        parts += coded
    said: dict[str, Any] = {"groups": [list(asdict(group).values()) for group in groups]}
    if not coder.lossless:
        said["lossy"] = True
    if len(groups) > 1:
        said["order"] = order
    if names is not None:
        said["names"] = list(names)
    extras = [
        [i, entry.form, entry.notes.hex()]
        for i, entry in enumerate(entries)
        if isinstance(entry, Picture) and (entry.form or entry.notes)
    ]
    if extras:
        said["extras"] = extras
    text = zlib.compress(json.dumps(said, separators=(",", ":")).encode(), 9)
    head = start_of(ARCHIVE) + coder.identity[:4] + number(len(text)) + text
    return b"".join([head, long_check(head), *parts])


def _key(entry: Picture | Stored) -> tuple[Any, ...]:
    if isinstance(entry, Stored):
        return ()
    return (entry.pixels.shape, entry.pixels.dtype.str)


def _coded(
    key: tuple[Any, ...], members: Sequence[Picture | Stored], coder: PictureCoder
) -> tuple[Group, list[bytes]]:
    parts, lengths = [], []
    if not key:
        for entry in members:
            assert isinstance(entry, Stored)
            parts += [entry.content, long_check(entry.content)]
            lengths.append(len(entry.content))
        return Group([], False, 8, len(members), lengths), parts
    images = np.stack([entry.pixels for entry in members if isinstance(entry, Picture)])
    images = images if images.ndim == 4 else images[..., np.newaxis]
    depth, deep = depth_of(images), images.dtype == np.uint16
    for tiles in coder.chunks(*images.shape[:3]):
        values = np.stack([images[tile.place] for tile in tiles])
        data, values = coder.coded(values, depth)
        least = values.size // VALUES_A_BYTE
        data += bytes(max(0, least - len(data))) + long_check(content(values))
        parts += [data, long_check(data)]
        lengths.append(len(data))
    return Group([int(n) for n in images.shape[1:]], deep, depth, len(members), lengths), parts


def _opened(data: bytes) -> tuple[bytes, dict[str, Any]]:
    """What follows the header of an archive, and the header."""
    if kind_of(data) != ARCHIVE:
        raise CompressedError("it is one image, not an archive")
    reader = Reader(data)
    reader.take(2)
    identity = reader.take(4)
    text = reader.take(reader.number())
    if long_check(reader.so_far()) != reader.take(4):
        raise CompressedError("its header is damaged")
    try:
        unpacker = zlib.decompressobj()
        said = json.loads(unpacker.decompress(text, MOST_HEADER))
        header = _understood(said)
    except (zlib.error, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CompressedError("its header says what nobody writes: it is damaged") from error
    return data[reader.at :], {"identity": identity, **header}


def _understood(said: dict[str, Any]) -> dict[str, Any]:
    """A header, checked."""
    lossy = said.get("lossy", False)
    if not isinstance(lossy, bool):
        raise TypeError("lossy")
    cut = wholes if lossy else chunks
    groups = [_group(cut, *told) for told in said["groups"]]
    total = sum(group.count for group in groups)
    order = said["order"] if len(groups) > 1 else [0] * total
    names: Any = said.get("names")
    counted = [0] * len(groups)
    for which in order:
        counted[which] += 1
    if counted != [group.count for group in groups] or min(order) < 0:
        raise ValueError("the order is not that of the groups")
    if names is not None and (
        len(names) != total or not all(isinstance(name, str) for name in names)
    ):
        raise ValueError("names")
    extras = {
        int(i): (int(form), bytes.fromhex(notes)) for i, form, notes in said.get("extras", [])
    }
    found = {"groups": groups, "order": order, "names": names, "extras": extras}
    return {**found, "lossless": not lossy}


def _group(cut: Cut, shape: Any, deep: Any, depth: Any, count: Any, lengths: Any) -> Group:
    numbers = [*shape, depth, count, *lengths]
    whole = all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in numbers)
    if not whole or not isinstance(deep, bool) or not 0 < count <= MOST_ENTRIES:
        raise ValueError("numbers")
    if not shape:
        if len(lengths) != count:
            raise ValueError("lengths")
        return Group(shape, deep, depth, count, lengths)
    height, width, channels = shape
    one = height * width * channels
    if (
        not 0 < one <= MOST_VALUES
        or not 1 <= channels <= 4
        or not 8 <= depth <= (16 if deep else 8)
    ):
        raise ValueError("shape")
    if one * count > max(LONG_FROM, VALUES_A_BYTE * (sum(lengths) + len(lengths))):
        raise ValueError("more values than such a file can hold")
    group = Group(shape, deep, depth, count, lengths)
    if len(lengths) != sum(1 for _ in _plan(group, cut)) or min(lengths) < 4:
        raise ValueError("lengths")
    return group


def _plan(group: Group, cut: Cut) -> Iterator[list[Tile]]:
    return cut(group.count, *group.shape[:2])


def _places(groups: Sequence[Group], order: Sequence[int]) -> list[tuple[int, int]]:
    """Of each image, its group and its number there."""
    seen, found = [0] * len(groups), []
    for which in order:
        found.append((which, seen[which]))
        seen[which] += 1
    return found


def _starts(groups: Sequence[Group], size: int) -> list[list[int]]:
    """Where each part begins.

    Raises
    ------
    CompressedError
        If they don't fill the file.
    """
    at, found = 0, list[list[int]]()
    for group in groups:
        found.append([])
        for length in group.lengths:
            found[-1].append(at)
            at += length + 4
    if at != size:
        raise CompressedError(
            f"it is cut short or damaged: {at:,} bytes should follow its header, {size:,} do"
        )
    return found
