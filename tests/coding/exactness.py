"""Prints a hash of what is coded and decoded, under whatever settings this process was given.

Run as a process of its own: settings of instruction sets are read when libraries are loaded.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

from isthmus.coding.coder import Coder
from isthmus.coding.container import Picture, pack, unpack
from tests.coding.networks import lossy_coder


def images(count: int, channels: int) -> npt.NDArray[np.uint8]:
    """Smooth images with a little noise and a flat part, the same in every process."""
    rng = np.random.Generator(np.random.PCG64(count))
    rows, columns = np.mgrid[0:33, 0:41]
    found = np.empty((count, 33, 41, channels), np.uint8)
    for i in range(count):
        for c in range(channels):
            wave = rows * (3 + i % 5) + columns * (c + 2) + rng.integers(0, 4, rows.shape)
            found[i, ..., c] = wave % 256
    found[:, 20:] = 7
    return found


def digest(coder: Coder, written: Path, torch_too: bool) -> str:
    """Of everything that depends on arithmetic."""
    found = hashlib.sha256()
    for count in (1, 16):
        pixels = images(count, 3)
        data = coder.encode(pixels, 8)
        found.update(data)
        found.update(coder.decode(data, pixels.shape, 8).astype(np.uint8).tobytes())
    single = Picture(images(1, 3)[0])
    found.update(pack(single, coder))
    again = unpack(written.read_bytes(), lambda _: coder)
    assert isinstance(again, Picture)
    found.update(again.pixels.tobytes())
    for predictor in coder.predictors:
        n = predictor.neighbourhood.n_inputs
        shown = np.random.Generator(np.random.PCG64(n)).integers(-255, 256, (n, 700))
        whole = shown.astype(np.float32)
        answer = predictor.network(whole)
        found.update(answer.astype(np.int64).tobytes())
        if torch_too:
            found.update(_by_torch(predictor.network.tensors(), whole, answer))
    return found.hexdigest()


def of_lossy(written: Path) -> str:
    """Of a picture with loss: its numbers, its pixels, and what the networks answer."""
    coder = lossy_coder(colours=3)
    again = unpack(written.read_bytes(), lambda _: coder)
    assert isinstance(again, Picture)
    found = hashlib.sha256(again.pixels.tobytes())
    for network in (coder.transform.synthesis, *coder.latents.networks):
        rng = np.random.Generator(np.random.PCG64(network.n_inputs))
        shown = rng.integers(-255, 256, (700, network.n_inputs)).astype(np.float64)
        found.update(network(shown, 3).astype(np.int64).tobytes())
    return found.hexdigest()


def _by_torch(
    tensors: dict[str, npt.NDArray[np.generic]],
    shown: npt.NDArray[np.float32],
    answer: npt.NDArray[np.float32],
) -> bytes:
    """The same network with PyTorch's kernels, on the GPU too where there is one."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    places = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    for place in places:
        inputs = torch.from_numpy(shown).to(place)
        x, last = inputs, len(tensors) // 3 - 1
        for i in range(last + 1):
            weight = torch.from_numpy(tensors[f"{i}.weight"].astype(np.float32)).to(place)
            bias = torch.from_numpy(tensors[f"{i}.bias"].astype(np.float32)).to(place)
            shift = torch.from_numpy(tensors[f"{i}.shift"].astype(np.float32)).to(place)
            x = torch.cat([x, inputs]) if i == last and i else x
            x = torch.floor((weight @ x + bias[:, None]) * torch.exp2(-shift)[:, None])
            x = x if i == last else x.clamp(0, 255)
        assert np.array_equal(x.cpu().numpy(), answer), place
    return b"agrees"


def main() -> None:
    """``exactness.py FILE [torch]``."""
    from isthmus.codecs.models import bundled

    torch_too = "torch" in sys.argv[2:]
    written = Path(sys.argv[1])
    found = [digest(bundled("best"), written, torch_too), of_lossy(written.with_suffix(".lossy"))]
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
