"""Picture files as pixels and what else they say, and back; only where nothing would be lost.

Pixels stay as they lie in the file: they are not turned upright, palettes are not resolved. A file
that cannot be had back in this way is not read here at all: it is stored as it is.
"""

from __future__ import annotations

import io
import json
import struct
import zlib
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from isthmus.coding.checks import long_check
from isthmus.coding.container import Picture, store
from isthmus.core.errors import CompressedError
from isthmus.data.contracts import Array
from isthmus.data.decoding import check_size, silence

ARRAY, PNG, TIFF, BMP, PPM = range(5)
FORMS = {"PNG": PNG, "TIFF": TIFF, "BMP": BMP, "PPM": PPM}
HELD = {ARRAY: {1, 2, 3, 4}, PNG: {1, 2, 3, 4}, TIFF: {1, 2, 3, 4}, BMP: {1, 3}, PPM: {1, 3}}
"""Channels that files of each form can have."""
ENDINGS = {ARRAY: ".png", PNG: ".png", TIFF: ".tif", BMP: ".bmp", PPM: ".ppm"}
MODES = {"L", "LA", "RGB", "RGBA", "I;16", "I;16B"}
PNG_START = b"\x89PNG\r\n\x1a\n"
OWN_CHUNKS = {b"IHDR", b"IDAT", b"IEND"}
WITHOUT_MEANING = {b"tRNS", b"PLTE", b"acTL", b"fcTL", b"fdAT", b"sBIT", b"hIST"}
"""Chunks that change what the pixels mean: a file with one is stored as it is."""
SAFE = {b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"mDCV", b"cLLI", b"bKGD", b"tIME", b"pHYs"}
"""Chunks that hold for any file of the same pixels, besides those whose names say so."""
PLAIN_TAGS = {
    254, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 282, 283, 284, 296, 305, 306, 317,
    338, 339, 34675,
}  # fmt: skip
"""Tags of a TIFF file that are kept or can be made again; with any other it is stored."""
KEPT_TAGS = (282, 283, 296, 305, 306)
MOST_NOTES = 1 << 24
BITS = 258
UPRIGHT, UNSIGNED, STRAIGHT_ALPHA = 1, 1, (2,)
BLACK_IS_ZERO = (1, 2)


def read_picture(path: Path) -> Picture | None:
    """The pixels of a file, if it can be made again from them and from notes.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Picture or None
        None for a file whose format loses something, or that says what would be lost; and for one
        that says that it is larger than Pillow or such a file can hold.
    """
    try:
        with silence(), Image.open(path, formats=list(FORMS)) as file:
            check_size(file, str(path), path.stat().st_size, path.read_bytes)
            form = FORMS[str(file.format)]
            if file.mode not in MODES or getattr(file, "n_frames", 1) != 1:
                return None
            notes = _notes(file, form, path)
            if notes is None or len(notes) > MOST_NOTES:
                return None
            file.load()
            picture = Picture(_pixels(file), form, notes)
            return picture if _comes_back(picture, file, path) else None
    except Exception:  # noqa: BLE001
        # Damaged and strange files make Pillow raise nearly anything. They are stored as they are.
        return None


def _comes_back(picture: Picture, file: Image.Image, path: Path) -> bool:
    """Whether the file that would be written is as this one: to the byte where it has no notes."""
    whole = write_picture(picture)
    if picture.form in (BMP, PPM):
        return whole == path.read_bytes()
    with Image.open(io.BytesIO(whole)) as again:
        again.load()
        same = again.mode == file.mode and np.array_equal(_pixels(again), picture.pixels)
        return same and (picture.form != TIFF or _told(again) == _told(file))


def _told(file: Any) -> dict[str, Any]:
    """What a TIFF file says that is to come back."""
    tags = {str(tag): file.tag_v2.get(tag) for tag in (*KEPT_TAGS, BITS)}
    return {**tags, "icc": file.info.get("icc_profile")}


def _pixels(file: Image.Image) -> Array:
    values: Array = np.array(file)
    return values.astype(np.uint16) if file.mode.startswith("I;16") else values


def _notes(file: Image.Image, form: int, path: Path) -> bytes | None:
    """What a file says beside its pixels; None if that cannot be kept."""
    if form == PNG:
        return _png_notes(path.read_bytes())
    if form == TIFF:
        return _tiff_notes(file)
    return b""


def _png_notes(data: bytes) -> bytes | None:
    """The chunks of a PNG file that are not its pixels, as they are."""
    at, kept, name = len(PNG_START), list[bytes](), b""
    deep = colour = 0
    while at + 12 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        name = data[at + 4 : at + 8]
        if name == b"IHDR":
            deep, colour = data[at + 16], data[at + 17]
        if name in WITHOUT_MEANING:
            return None
        whole = data[at : at + 12 + length]
        if name not in OWN_CHUNKS:
            to_copy = name in SAFE or name[3:].islower()
            if not to_copy:
                return None
            if whole[-4:] != long_check(whole[4:-4]):
                return None
            kept.append(whole)
        at += 12 + length
        if name == b"IEND":
            break
    if at != len(data) or name != b"IEND" or deep not in (8, 16) or (deep == 16 and colour):
        return None
    return zlib.compress(b"".join(kept), 9) if kept else b""


def _tiff_notes(file: Any) -> bytes | None:
    tags = file.tag_v2
    deep = set(tags.get(BITS, (1,)))
    plain = (
        not set(tags) - PLAIN_TAGS
        # Pillow reads other depths as if they were of 8 or 16 bits, and of colour the higher 8.
        and (deep == {8} or (deep == {16} and len(tags[BITS]) == 1))
        and tags.get(274, UPRIGHT) == UPRIGHT
        and tags.get(262) in BLACK_IS_ZERO
        and tags.get(338) in (None, STRAIGHT_ALPHA)
        and set(tags.get(339, (UNSIGNED,))) == {UNSIGNED}
    )
    if not plain:
        return None
    said: dict[str, Any] = {
        str(tag): float(tags[tag]) if tag in (282, 283) else tags[tag]
        for tag in KEPT_TAGS
        if tag in tags
    }
    if "icc_profile" in file.info:
        said["icc"] = b64encode(file.info["icc_profile"]).decode()
    return zlib.compress(json.dumps(said).encode(), 9) if said else b""


def write_picture(picture: Picture) -> bytes:
    """A file of the format that the picture came from, with all that the first one said.

    Parameters
    ----------
    picture : Picture
        Of ``read_picture``, or an array of form 0, which becomes PNG.

    Raises
    ------
    CompressedError
        If the notes are not those of such a file.
    """
    pixels = picture.pixels
    if picture.form not in ENDINGS:
        raise CompressedError("it came from a kind of file that this version does not know")
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    if channels not in HELD[picture.form] or (
        pixels.dtype == np.uint16 and (channels > 1 or picture.form == BMP)
    ):
        raise CompressedError(
            f"no {ENDINGS[picture.form]} file holds {channels} x {pixels.dtype.itemsize * 8} bits "
            "a pixel; read it in Python, with ImageCodec().decompress"
        )
    image, out = Image.fromarray(np.ascontiguousarray(pixels)), io.BytesIO()
    extra = _unpacked(picture.notes) if picture.notes else b""
    if picture.form == TIFF:
        image.save(out, "TIFF", compression="tiff_adobe_deflate", **_tiff_extra(extra))
    elif picture.form in (BMP, PPM):
        image.save(out, "BMP" if picture.form == BMP else "PPM")
    else:
        image.save(out, "PNG")
    data = out.getvalue()
    if picture.form in (PNG, ARRAY) and extra:
        first = len(PNG_START) + 25  # after IHDR
        data = data[:first] + extra + data[first:]
    return data


def store_pixels(picture: Picture) -> bytes | None:
    """The pixels as PNG, stored; None where it cannot hold them."""
    try:
        return store(write_picture(picture))
    except CompressedError:
        return None


def _unpacked(notes: bytes) -> bytes:
    try:
        unpacker = zlib.decompressobj()
        found = unpacker.decompress(notes, MOST_NOTES)
    except zlib.error as error:
        raise CompressedError("what it says beside its pixels is damaged") from error
    if not unpacker.eof:
        raise CompressedError("what it says beside its pixels is larger than possible")
    return found


def _tiff_extra(said: bytes) -> dict[str, Any]:
    try:
        found = json.loads(said) if said else {}
        extra: dict[str, Any] = {"tiffinfo": {int(t): v for t, v in found.items() if t != "icc"}}
        if set(extra["tiffinfo"]) - set(KEPT_TAGS):
            raise ValueError("another tag")
        if "icc" in found:
            extra["icc_profile"] = b64decode(found["icc"])
    except (ValueError, TypeError, AttributeError) as error:
        raise CompressedError("what it says beside its pixels is damaged") from error
    return extra
