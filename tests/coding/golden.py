"""Writes the golden files: what one version wrote, every later one reads.

``python -m tests.coding.golden`` adds those that are not there yet, and never changes one.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from isthmus import ImageCodec, load
from isthmus.codecs.archive_writing import packed
from isthmus.codecs.models import bundled
from isthmus.coding.container import Picture, Stored, content, pack, store
from tests.coding.exactness import images

FOLDER = Path(__file__).with_name("golden")
EXPECTED = FOLDER / "expected.json"
MODEL = FOLDER / "lossy_model"


def of_pixels(picture: Picture) -> str:
    """What is to come back, as a hash."""
    found = hashlib.sha256(f"{picture.pixels.shape}{picture.form}".encode())
    found.update(content(picture.pixels) + picture.notes)
    return found.hexdigest()


def main() -> None:
    """Write what is missing."""
    rng = np.random.default_rng(6)
    colour = images(1, 3)[0]
    deep = (images(1, 1)[0, ..., 0].astype(np.uint16) * 16 + rng.integers(0, 16, (33, 41))).astype(
        np.uint16
    )
    tall = np.concatenate([colour] * 9)[:280, :, 0]
    wide = np.tile(tall, (1, 6))
    pictures = {
        "grey": Picture(colour[..., 0]),
        "colour": Picture(colour, 1, b"notes"),
        "alpha": Picture(images(1, 4)[0]),
        "grey-alpha": Picture(images(1, 2)[0]),
        "deep": Picture(deep, 2),
        "tiles": Picture(wide),
    }
    expected = json.loads(EXPECTED.read_text()) if EXPECTED.exists() else {}
    FOLDER.mkdir(exist_ok=True)
    for speed in ("best", "fast"):
        for name, picture in pictures.items():
            _add(f"{name}-{speed}.ist", pack(picture, bundled(speed)), [picture], expected)
        entries = [*pictures.values(), pictures["grey"]][1:]
        _add(f"many-{speed}.ista", packed(entries, bundled(speed), None), entries, expected)
    _add_lossy(pictures, expected)
    stored = store(b"as it is")
    if "stored.ist" not in expected:
        (FOLDER / "stored.ist").write_bytes(stored)
        expected["stored.ist"] = [hashlib.sha256(b"as it is").hexdigest()]
    EXPECTED.write_text(json.dumps(expected, indent=2) + "\n")


def _add_lossy(pictures: dict[str, Picture], expected: dict[str, list[str]]) -> None:
    """Files of a codec with loss, and its model, which is kept with them."""
    if not MODEL.exists():
        digits = (load_digits().images[:300] * 15.9375).astype(np.uint8)
        model = ImageCodec(lossless=False, speed="fast", epochs=2, random_state=0)
        model.fit(digits).save(MODEL)
    codec = load(MODEL)
    for name in ("grey", "colour"):
        data = pack(pictures[name], codec.coder())
        _add(f"{name}-lossy.ist", data, [_seen(codec, data)], expected)
    entries = [pictures["grey"], pictures["colour"], pictures["grey"]]
    data = packed(entries, codec.coder(), None)
    seen = [_seen(codec, pack(entry, codec.coder())) for entry in entries]
    _add("many-lossy.ista", data, seen, expected)


def _seen(codec: ImageCodec, data: bytes) -> Picture:
    found = codec.unpacked(data)
    assert isinstance(found, Picture)
    return found


def _add(name: str, data: bytes, pictures: list[Picture], expected: dict[str, list[str]]) -> None:
    if name not in expected:
        (FOLDER / name).write_bytes(data)
        expected[name] = [of_pixels(picture) for picture in pictures]


def of_entry(entry: Picture | Stored) -> str:
    """The hash of a picture, or of a file that was stored."""
    if isinstance(entry, Stored):
        return hashlib.sha256(entry.content).hexdigest()
    return of_pixels(entry)


if __name__ == "__main__":
    main()
