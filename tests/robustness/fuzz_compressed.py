"""Mutated compressed files, found by coverage: no crash, no hang, no silent wrong result.

``python -m tests.robustness.fuzz_compressed FOLDER -runs=1000000`` needs ``pip install atheris``;
with "lossy" in the name of the folder, files are those of a codec with loss.
Inputs that end with a byte of their own have their checksums put right after they were mutated, so
that they reach the decoder; of archives, the header is JSON then.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["isthmus"]):
    from isthmus.codecs.images import ImageCodec
    from isthmus.coding.container import ARCHIVE, kind_of
    from tests.coding.networks import lossy_coder
    from tests.robustness.compressed import read, seeds
    from tests.robustness.mended import mended, opened

MENDED = b"\0"


def main() -> None:
    """Run until ``-runs``."""
    codec = ImageCodec(speed="fast")
    if "lossy" in sys.argv[1]:
        codec = ImageCodec(lossless=False)
        codec.coder_ = lossy_coder()
    coder = codec.coder()
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    whole = seeds(coder)
    for i, seed in enumerate(whole):
        (folder / f"seed-{i}").write_bytes(seed)
        if kind_of(seed) == ARCHIVE:
            (folder / f"seed-{i}-opened").write_bytes(opened(seed) + MENDED)
    beside = folder.parent / f"{folder.name}-{os.getpid()}.ista"

    def once(data: bytes) -> None:
        if data.endswith(MENDED):
            read(codec, mended(data[:-1], coder), beside)
        elif read(codec, data, beside):
            # A checksum of 32 bits is within reach of what compares the comparisons.
            assert data in whole or data == mended(data, coder), "it was believed"

    atheris.Setup(sys.argv, once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
