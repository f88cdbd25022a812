"""Picture files there and back: the same pixels and what else they say, or the file as it is."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image, ImageCms, PngImagePlugin

from isthmus import ImageCodec
from isthmus.codecs.pictures import read_picture, write_picture
from isthmus.coding.container import Picture, Stored
from isthmus.core.errors import CompressedError, DataError
from tests.codecs.samples import Array, smooth

FAST = ImageCodec(speed="fast")
MOST_MORE = 16
GREY, GREY_ALPHA = smooth(60, 75), smooth(60, 75, 2)
COLOUR, COLOUR_ALPHA = smooth(60, 75, 3), smooth(60, 75, 4)
DEEP = smooth(60, 75, deep=True)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def back(path: Path, stored: bool = False) -> bytes:
    """The file that comes back, which the model made smaller, or which was stored as it is."""
    whole = path.read_bytes()
    data = FAST.compress_file(path)
    assert path.read_bytes() == whole
    assert len(data) <= len(whole) + MOST_MORE
    found = FAST.unpacked(data)
    assert isinstance(found, Stored) == stored
    return found.content if isinstance(found, Stored) else write_picture(found)


def is_stored(path: Path) -> None:
    """It comes back byte for byte."""
    assert back(path, stored=True) == path.read_bytes()


def agree(before: Path, after: bytes) -> None:
    """Both are of one format and mode, and show the same pixels."""
    with Image.open(before) as one, Image.open(io.BytesIO(after)) as other:
        assert (one.format, one.mode, one.size) == (other.format, other.mode, other.size)
        assert_array_equal(np.asarray(one), np.asarray(other), strict=True)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def chunks_of(data: bytes) -> dict[bytes, bytes]:
    found, at = {}, 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        found[data[at + 4 : at + 8]] = data[at + 8 : at + 8 + length]
        at += length + 12
    return found


def with_chunk(data: bytes, name: bytes, content: bytes) -> bytes:
    """A PNG file with one more chunk behind its first."""
    return data[:33] + chunk(name, content) + data[33:]


def tiff(pixels: Array, **tags: Any) -> bytes:
    """A TIFF file without compression, by hand: ``tags`` are named ``t262`` and so on."""
    high, wide = pixels.shape[:2]
    samples = pixels.shape[2] if pixels.ndim == 3 else 1
    content = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    said: dict[int, list[int]] = {
        256: [wide],
        257: [high],
        258: [8 * pixels.itemsize] * samples,
        259: [1],
        262: [1 if samples < 3 else 2],
        273: [8],
        277: [samples],
        278: [high],
        279: [len(content)],
    } | {int(name[1:]): value for name, value in tags.items()}
    at = 8 + len(content)
    behind = at + 2 + 12 * len(said) + 4
    entries, extra = b"", b""
    for tag, values in sorted(said.items()):
        long = tag in (273, 279)
        packed = struct.pack(f"<{len(values)}{'I' if long else 'H'}", *values)
        if len(packed) > 4:
            entries += struct.pack("<HHII", tag, 3, len(values), behind + len(extra))
            extra += packed
        else:
            entries += struct.pack("<HHI", tag, 4 if long else 3, len(values)) + packed.ljust(
                4, b"\0"
            )
    end = struct.pack("<H", len(said)) + entries + bytes(4) + extra
    return b"II*\0" + struct.pack("<I", at) + content + end


# ------------------------------------------------------------------ there and back


@pytest.mark.parametrize(
    ("ending", "pixels"),
    [
        (ending, pixels)
        for ending, kinds in {
            ".png": (GREY, GREY_ALPHA, COLOUR, COLOUR_ALPHA, DEEP),
            ".tif": (GREY, GREY_ALPHA, COLOUR, COLOUR_ALPHA, DEEP),
            ".bmp": (GREY, COLOUR),
            ".pgm": (GREY,),
            ".ppm": (COLOUR,),
        }.items()
        for pixels in kinds
    ],
)
def test_a_picture_comes_back_with_its_pixels_in_its_format(
    ending: str, pixels: Array, tmp_path: Path
) -> None:
    path = tmp_path / f"a{ending}"
    Image.fromarray(pixels).save(path)
    data = FAST.compress(path)
    assert len(data) < path.stat().st_size
    assert_array_equal(FAST.decompress(data), pixels, strict=True)
    agree(path, back(path))


def test_the_ending_of_a_file_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(GREY).save(path, "PNG")
    agree(path, back(path))


def test_a_png_keeps_all_that_it_says(tmp_path: Path) -> None:
    said = PngImagePlugin.PngInfo()
    said.add_text("Title", "waves")
    said.add_itxt("Author", "Jörg", lang="de")
    said.add_text("Comment", "long " * 200, zip=True)
    said.add(b"gAMA", struct.pack(">I", 45455))
    said.add(b"tIME", struct.pack(">HBBBBB", 2024, 1, 2, 3, 4, 5))
    said.add(b"prVt", b"a chunk of its own")
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "described", 6
    path = tmp_path / "a.png"
    picture = Image.fromarray(COLOUR)
    picture.save(path, pnginfo=said, exif=exif, icc_profile=PROFILE, dpi=(300, 200))
    after = back(path)
    agree(path, after)
    expected, found = (chunks_of(data) for data in (path.read_bytes(), after))
    for own in (b"IDAT", b"IEND"):
        del expected[own], found[own]
    assert found == expected
    assert {b"iCCP", b"eXIf", b"gAMA", b"pHYs", b"tEXt", b"iTXt", b"zTXt", b"prVt"} <= set(found)
    with Image.open(io.BytesIO(after)) as opened:
        assert opened.info["icc_profile"] == PROFILE
        assert opened.getexif()[0x0112] == 6


def test_an_interlaced_png_keeps_its_pixels(tmp_path: Path) -> None:
    """By hand: Pillow writes none. Of one pixel, the first pass is all."""
    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 1)
    body = zlib.compress(b"\0\x01\x02\x03")
    path = tmp_path / "a.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )
    assert FAST.decompress(FAST.compress(path)).tolist() == [[[1, 2, 3]]]


def test_a_tiff_keeps_its_resolution_profile_and_program(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(COLOUR).save(
        path, dpi=(300, 150), icc_profile=PROFILE, software="a scanner", date_time="2024:01:02"
    )
    after = back(path)
    agree(path, after)
    with Image.open(path) as one, Image.open(io.BytesIO(after)) as other:
        assert other.info["icc_profile"] == PROFILE
        for tag in (282, 283, 296, 305, 306):
            assert one.tag_v2[tag] == other.tag_v2[tag]  # type: ignore[attr-defined]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", [".tif", ".png"])
def test_a_picture_that_lies_on_its_side_is_seen_as_before(
    ending: str, orientation: int, tmp_path: Path
) -> None:
    path = tmp_path / f"a{ending}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(GREY).save(path, exif=exif)
    whole = path.read_bytes()
    found = FAST.unpacked(FAST.compress_file(path))
    if isinstance(found, Stored):
        assert found.content == whole
        return
    after = write_picture(found)
    agree(path, after)
    with Image.open(io.BytesIO(whole)) as one, Image.open(io.BytesIO(after)) as other:
        assert one.getexif().get(0x0112, 1) == other.getexif().get(0x0112, 1)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "packbits", "tiff_adobe_deflate"])
def test_a_tiff_comes_back_whatever_packed_it(compression: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(COLOUR).save(path, compression=compression)
    agree(path, back(path))


def test_a_tiff_by_hand_comes_back(tmp_path: Path) -> None:
    for pixels in (GREY, COLOUR, DEEP):
        path = tmp_path / "a.tif"
        path.write_bytes(tiff(pixels))
        agree(path, back(path))


# ------------------------------------------------------------------ what is not taken apart


def jpeg() -> bytes:
    return saved(Image.fromarray(COLOUR), "JPEG")


def saved(picture: Image.Image, form: str, **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def palette() -> bytes:
    return saved(Image.fromarray(COLOUR).quantize(200), "PNG")


def deep_colour() -> bytes:
    """By hand: Pillow writes none."""
    head = struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + bytes(range(48)) for _ in range(8)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def animated() -> bytes:
    frames = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
    return saved(frames[0], "PNG", save_all=True, append_images=frames[1:])


def two_pages() -> bytes:
    return saved(
        Image.fromarray(GREY), "TIFF", save_all=True, append_images=[Image.fromarray(COLOUR)]
    )


def one_clear_grey() -> bytes:
    return saved(Image.fromarray(GREY), "PNG", transparency=77)


def one_bit() -> bytes:
    return saved(Image.fromarray(GREY > 100), "PNG")


def fewer_bits() -> bytes:
    return with_chunk(saved(Image.fromarray(GREY), "PNG"), b"sBIT", b"\x05")


def more_behind() -> bytes:
    return saved(Image.fromarray(GREY), "PNG") + b"behind the end"


def own_tag() -> bytes:
    return saved(Image.fromarray(GREY), "TIFF", tiffinfo={37510: b"said"})


def cmyk() -> bytes:
    return saved(Image.fromarray(COLOUR).convert("CMYK"), "TIFF")


def floats() -> bytes:
    return saved(Image.fromarray(GREY / np.float32(7)), "TIFF")


def tiff_by_hand(bits: int, samples: int, *extra: tuple[int, int, int, bytes]) -> bytes:
    """8 x 8, of any depth, and with tags of (number, type, count, value) that Pillow writes not."""
    body = bytes(i * 37 % 256 for i in range(8 * 8 * samples * bits // 8))
    entries = [
        (256, 3, 1, struct.pack("<H", 8)),
        (257, 3, 1, struct.pack("<H", 8)),
        (258, 3, samples, struct.pack("<H", bits) * samples),
        (259, 3, 1, struct.pack("<H", 1)),
        (262, 3, 1, struct.pack("<H", 1 if samples == 1 else 2)),
        (273, 4, 1, struct.pack("<I", 8)),
        (277, 3, 1, struct.pack("<H", samples)),
        (278, 3, 1, struct.pack("<H", 8)),
        (279, 4, 1, struct.pack("<I", len(body))),
        *([(338, 3, 1, struct.pack("<H", 2))] if samples == 4 else []),
        *extra,
    ]
    at = 8 + len(body)
    directory, behind = struct.pack("<H", len(entries)), b""
    first = at + 2 + 12 * len(entries) + 4
    for number, kind, count, value in sorted(entries):
        place = value.ljust(4, b"\0")
        if len(value) > 4:
            place, behind = struct.pack("<I", first + len(behind)), behind + value
        directory += struct.pack("<HHI", number, kind, count) + place
    return b"II*\0" + struct.pack("<I", at) + body + directory + b"\0" * 4 + behind


def deep_colour_tiff() -> bytes:
    return tiff_by_hand(16, 3)


def deep_alpha_tiff() -> bytes:
    return tiff_by_hand(16, 4)


def half_bytes() -> bytes:
    return tiff_by_hand(4, 1)


def twelve_bits() -> bytes:
    return tiff_by_hand(12, 1)


def foreign_letters() -> bytes:
    software = "Zeiß µ scanner\0".encode("latin-1")
    return tiff_by_hand(8, 1, (305, 2, len(software), software))


def odd_resolution() -> bytes:
    ratio = struct.pack("<II", 1_200_001, 7)
    return tiff_by_hand(8, 1, (282, 5, 1, ratio), (283, 5, 1, ratio))


def tied_to_its_bytes() -> bytes:
    """With what holds for these compressed bytes alone, as on some screenshots."""
    return with_chunk(saved(Image.fromarray(GREY), "PNG"), b"iDOT", bytes(28))


def test_a_plain_file_by_hand_is_one_that_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    for bits in (8, 16):
        path.write_bytes(tiff_by_hand(bits, 1))
        assert read_picture(path) is not None


@pytest.mark.parametrize(
    "made",
    [
        jpeg, palette, deep_colour, animated, two_pages, one_clear_grey, one_bit, fewer_bits,
        more_behind, own_tag, cmyk, floats, deep_colour_tiff, deep_alpha_tiff, half_bytes,
        twelve_bits, foreign_letters, odd_resolution, tied_to_its_bytes,
    ],
)  # fmt: skip
def test_a_picture_that_would_lose_something_is_stored_as_it_is(
    made: Callable[[], bytes], tmp_path: Path
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(made())
    is_stored(path)


@pytest.mark.parametrize(
    "content", [b"", b"x", b"just some text\n" * 30, bytes(range(256)), b"\x89PNG\r\n\x1a\n", b"BM"]
)
def test_a_file_that_is_no_picture_is_stored_as_it_is(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    is_stored(path)


def test_a_picture_that_the_model_would_make_larger_is_stored_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    noise = np.random.default_rng(0).integers(0, 256, (40, 40)).astype(np.uint8)
    for pixels in (noise, np.tile(noise[:4, :4], (50, 50))):
        Image.fromarray(pixels).save(path, optimize=True)
        is_stored(path)
        assert_array_equal(FAST.decompress(FAST.compress(path)), pixels)


def test_the_pixels_of_a_file_that_was_stored_are_decompressed_too(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg())
    with Image.open(path) as picture:
        expected = np.asarray(picture)
    assert_array_equal(FAST.decompress(FAST.compress(path)), expected)
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(DataError, match="no image"):
        FAST.decompress(FAST.compress(tmp_path / "a.txt"))


def test_a_damaged_picture_is_stored_as_it_is(tmp_path: Path) -> None:
    """Every part of it is damaged in turn; one that still opens comes back as it opens."""
    said = PngImagePlugin.PngInfo()
    said.add_text("Title", "waves")
    whole = saved(Image.fromarray(GREY[:20, :20]), "PNG", pnginfo=said)
    path = tmp_path / "a.png"
    refused = 0
    for at in [*range(100), *range(100, len(whole), 7)]:
        data = bytearray(whole)
        data[at % len(whole)] ^= 0x21
        path.write_bytes(data)
        try:
            found = FAST.unpacked(FAST.compress_file(path))
        except DataError as error:
            assert "says that it has" in str(error)  # noqa: PT017
            refused += 1
            continue
        if isinstance(found, Stored):
            assert found.content == bytes(data)
        else:
            agree(path, write_picture(found))
    assert refused < 10


def test_a_picture_cut_short_anywhere_is_stored_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    for form in ("PNG", "TIFF", "BMP", "PPM"):
        whole = saved(Image.fromarray(GREY), form)
        for length in range(0, len(whole), len(whole) // 12):
            path.write_bytes(whole[:length])
            is_stored(path)


# ------------------------------------------------------------------ what a format means by pixels


def seen_as_before(path: Path, content: bytes) -> bytes:
    """What comes back shows what the file showed: all bytes of it, or the same picture."""
    path.write_bytes(content)
    found = FAST.unpacked(FAST.compress_file(path))
    if isinstance(found, Stored):
        assert found.content == content
        return content
    after = write_picture(found)
    agree(path, after)
    return after


def test_transparency_in_a_bmp_comes_back(tmp_path: Path) -> None:
    high, wide = GREY.shape
    body = COLOUR_ALPHA[::-1][..., [2, 1, 0, 3]].tobytes()
    head = struct.pack("<IiiHHIIiiII", 108, wide, high, 1, 32, 3, len(body), 0, 0, 0, 0)
    head += struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + b"BGRs" + bytes(48)
    start = b"BM" + struct.pack("<IHHI", 14 + len(head) + len(body), 0, 0, 14 + len(head))
    path = tmp_path / "a.bmp"
    path.write_bytes(start + head + body)
    with Image.open(path) as picture:
        assert picture.mode == "RGBA"
    seen_as_before(path, start + head + body)


def test_the_resolution_of_a_bmp_comes_back(tmp_path: Path) -> None:
    after = seen_as_before(tmp_path / "a.bmp", saved(Image.fromarray(GREY), "BMP", dpi=(300, 300)))
    with Image.open(io.BytesIO(after)) as picture:
        assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.1)


@pytest.mark.parametrize("deep", [False, True])
def test_a_negative_does_not_come_back_as_a_positive(deep: bool, tmp_path: Path) -> None:
    """Where 0 is white, which X-ray pictures have."""
    content = tiff(DEEP if deep else GREY, t262=[0])
    after = seen_as_before(tmp_path / "a.tif", content)
    if deep:  # Pillow does not turn these
        with Image.open(io.BytesIO(after)) as picture:
            assert picture.tag_v2[262] == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", [0, 1])
def test_a_fourth_value_that_is_no_plain_alpha_is_not_lost(kind: int, tmp_path: Path) -> None:
    """Unspecified, which Pillow leaves out, and multiplied in, which Pillow divides by."""
    content = tiff(COLOUR_ALPHA, t338=[kind])
    path = tmp_path / "a.tif"
    path.write_bytes(content)
    assert back(path, stored=True) == content


def test_numbers_with_a_sign_do_not_come_back_without(tmp_path: Path) -> None:
    for pixels in (GREY, DEEP):
        content = tiff(pixels, t339=[2])
        path = tmp_path / "a.tif"
        path.write_bytes(content)
        assert back(path, stored=True) == content


@pytest.mark.parametrize(
    "head", [b"P5 75 60 100\n", b"P5\n# said by a program\n75 60\n255\n", b"P5 75 60 254\n"]
)
def test_the_values_and_words_of_a_ppm_come_back(head: bytes, tmp_path: Path) -> None:
    content = head + (GREY // 3).tobytes()
    after = seen_as_before(tmp_path / "a.pgm", content)
    assert after.endswith((GREY // 3).tobytes()), "Pillow stretches values to 255"
    assert (b"said" in after) == (b"said" in head)


# ------------------------------------------------------------------ what was made up


def test_a_picture_that_no_file_can_hold_is_refused_in_words() -> None:
    for picture in (
        Picture(smooth(4, 4, 3, deep=True)),
        Picture(smooth(4, 4, 2), 3),
        Picture(smooth(4, 4, 2), 4),
        Picture(smooth(4, 4, 4), 4),
        Picture(smooth(4, 4, deep=True), 3),
        Picture(smooth(4, 4), 9),
        Picture(smooth(4, 4), 1, b"no zlib"),
        Picture(smooth(4, 4), 2, zlib.compress(b"no JSON")),
        Picture(smooth(4, 4), 2, zlib.compress(json.dumps([1]).encode())),
        Picture(smooth(4, 4), 2, zlib.compress(json.dumps({"270": "x"}).encode())),
        Picture(smooth(4, 4), 2, zlib.compress(json.dumps({"icc": 5}).encode())),
        Picture(smooth(4, 4), 1, zlib.compress(bytes(1 << 25), 9)),
    ):
        with pytest.raises(CompressedError):
            write_picture(picture)


def test_a_picture_that_says_it_is_huge_is_stored_and_takes_no_memory(tmp_path: Path) -> None:
    head = struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    path = tmp_path / "a.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) +
        chunk(b"IEND", b"")
    )  # fmt: skip
    is_stored(path)
