"""Many images in one file, which share a header and are coded side by side."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from isthmus.codecs.archive_header import CHECK, Group, is_file_name, read_header
from isthmus.codecs.archive_writing import Entry, PictureFile, entry_of, joined, settled
from isthmus.codecs.files import read_bytes, write_bytes
from isthmus.codecs.gathering import as_pictures, pixels_of
from isthmus.codecs.pictures import ARRAY
from isthmus.coding.checks import long_check
from isthmus.coding.container import (
    Picture,
    Stored,
    content,
    same,
    without_single_channel,
)
from isthmus.coding.tiles import Chunk, Chunks
from isthmus.core.errors import CompressedError, DataError, EmptyError, OtherModelError
from isthmus.data.contracts import Array
from isthmus.data.folders import image_files

if TYPE_CHECKING:
    from isthmus.codecs.images import ImageCodec

KEPT_BYTES = 1 << 27
"""Of decoded chunks that stay at hand, since their neighbours are asked for next."""


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
        self._header = read_header(data, len(data))
        self._body = memoryview(data)[self._header.size :]
        self.names: list[str] | None = self._header.names
        self._coder = codec.coder_for(self._header.identity)
        if self._coder.lossless != self._header.lossless:
            raise OtherModelError("it was written with a model of another kind, or is damaged")
        self._kept: OrderedDict[int, tuple[int, Array]] = OrderedDict()
        self._bytes = 0
        self._damaged: dict[tuple[int, int], CompressedError] = {}

    def __len__(self) -> int:
        return self._header.count

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
        group, number = self._header.place(index)
        if not self._header.groups[group].shape:
            return Stored(bytes(self._part(group, number)))
        form, notes = self._header.extras.get(index, (ARRAY, b""))
        return Picture(self._pixels(group, number), form, notes)

    def numbers(self) -> Iterable[int]:
        """The numbers of all entries, in the order in which they are read quickest."""
        return self._header.grouped()

    def _pixels(self, group: int, number: int) -> Array:
        told = self._header.groups[group]
        lossless = self._coder.lossless
        chunks = told.chunks(lossless)
        if chunks.at_once:
            at, place = divmod(number, chunks.at_once)
            image = self._decoded(group, at, chunks[at])[place].copy()
        else:
            image = np.empty(told.shape, np.uint16 if told.deep else np.uint8)
            first = number * chunks.of_one
            cut = Chunks(1, *told.shape[:2], whole=not lossless)
            for at, chunk in enumerate(cut, first):
                chunk.put(image[np.newaxis], self._opened(group, at, chunk))
        return without_single_channel(image)

    def _decoded(self, group: int, at: int, chunk: Chunk) -> Array:
        """A chunk that images share; the last one of each group stays at hand, while they fit."""
        if group in self._kept and self._kept[group][0] == at:
            self._kept.move_to_end(group)
            return self._kept[group][1]
        if (group, at) in self._damaged:
            raise self._damaged[group, at]
        try:
            values = self._opened(group, at, chunk)
        except CompressedError as error:
            self._damaged[group, at] = error
            raise
        self._bytes += values.nbytes
        if group in self._kept:
            self._bytes -= self._kept.pop(group)[1].nbytes
        self._kept[group] = at, values
        while self._bytes > KEPT_BYTES and len(self._kept) > 1:
            self._bytes -= self._kept.popitem(last=False)[1][1].nbytes
        return values

    def _opened(self, group: int, at: int, chunk: Chunk) -> Array:
        """A chunk, decoded and checked."""
        told: Group = self._header.groups[group]
        part = bytes(self._part(group, at))
        values = self._coder.decode(part[:-CHECK], (*chunk.shape, told.shape[2]), told.depth)
        if not told.deep:
            values = values.astype(np.uint8)
        if long_check(content(values)) != part[-CHECK:]:
            raise OtherModelError(
                "its pixels are not those that were written: it needs another model, or is damaged"
            )
        return values

    def _part(self, group: int, at: int) -> memoryview:
        start, length = self._header.part(group, at)
        part = self._body[start : start + length]
        if long_check(part) != self._body[start + length : start + length + CHECK]:
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
            uint8 or uint16. Or paths, or a folder: a picture file comes back with its colour
            profile, and is stored as it is where the model would make it larger.
        codec : ImageCodec
        names : sequence of str, optional
            Of files, without folders. By default those of the paths.

        Returns
        -------
        int
            Its size in bytes.
        """
        given, entries = _entries(images)
        if names is None and entries and all(isinstance(one, Path) for one in given):
            names = [one.name for one in given]
        _check_names(names, len(entries))
        coder = codec.coder()
        found, groups = settled(entries, coder)
        data = joined(found, groups, coder, names)
        path = Path(path)

        def check(beside: Path) -> None:
            again = Archive(beside, codec)
            for i in again.numbers():
                if not _agree(again.entry(i), found[i], coder.lossless):
                    raise CompressedError(
                        f"image {i} could not be read back; '{path}' was not written"
                    )

        write_bytes(path, data, check)
        return len(data)


def _agree(one: Picture | Stored, other: Picture | Stored, lossless: bool) -> bool:
    """Whether two entries are the same; with loss, pixels have been held to their checksum."""
    if lossless or isinstance(one, Stored) or isinstance(other, Stored):
        return same(one, other)
    return same(one, replace(other, pixels=one.pixels)) and (
        one.pixels.shape == other.pixels.shape and one.pixels.dtype == other.pixels.dtype
    )


def _entries(images: Any) -> tuple[list[Any], list[Entry]]:
    """What was given, paths as such, and what goes into the archive."""
    if isinstance(images, (str, Path)):
        path = Path(images)
        images = image_files(path) if path.is_dir() else [path]
    elif not isinstance(images, Iterable) or hasattr(images, "__array__"):
        images = as_pictures(images)
    given = [Path(one) if isinstance(one, str) else one for one in images]
    if not given:
        raise EmptyError("there are no images to put into the archive.")
    return given, [_entry(one, i) for i, one in enumerate(given)]


def _entry(one: Any, i: int) -> Entry:
    if isinstance(one, Path):
        return entry_of(one)
    if isinstance(one, Picture):
        return Picture(without_single_channel(one.pixels), one.form, one.notes)
    if isinstance(one, (Stored, PictureFile)):
        return one
    return Picture(pixels_of(one, f"image {i}"))


def _check_names(names: Sequence[Any] | None, count: int) -> None:
    """Refuse names that files could not be written by."""
    if names is None:
        return
    if len(names) != count:
        raise DataError(f"got {len(names)} names for {count} images.")
    for name in names:
        if not isinstance(name, str) or not is_file_name(name):
            raise DataError(
                f"{name!r} is no name for a file: pass names without folders, such as 'a.png'."
            )
    twice = next((name for name, n in Counter(names).items() if n > 1), None)
    if twice is not None:
        raise DataError(f"two images are called '{twice}'. Pass names that differ.")
