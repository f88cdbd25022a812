"""Train the codec that comes with the library, as it was trained, and write it into the package.

The data are 18 photographs of CID22 (CC BY-SA 4.0, https://cloudinary.com/labs/cid22), each also
mirrored from left to right and from top to bottom. With the same PyTorch on the same machine, the
same weights come out.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.pictures import TRAINED_ON
from benchmarks.process import ROOT

Array = NDArray[Any]

SHA256 = "6f892f80c771b984fc6788478925f677e77329aca55312611bb44b4d2e9741a0"
STEPS = {"best": 16_000, "fast": 20_000}
"""Of the network of each colour."""
RATES = {"best": 6e-3, "fast": 8e-3}
PACKAGE = ROOT / "src" / "isthmus" / "codecs" / "bundled"


def photographs(path: Path) -> list[Array]:
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise SystemExit(f"{path} is not the archive of the bundled model: {found}, not {SHA256}.")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [
            np.array(Image.open(io.BytesIO(archive.read(name))).convert("RGB"))
            for name in sorted(archive.namelist())
            if name.lower().endswith(".png")
        ]


def main(arguments: list[str]) -> int:
    options = argparse.ArgumentParser(
        prog="python -m benchmarks train_bundled", description=__doc__
    )
    options.add_argument("--data", type=Path, required=True, help="cid22_train24.zip")
    options.add_argument("--speed", choices=[*STEPS], required=True)
    options.add_argument("--out", type=Path, default=PACKAGE)
    chosen = options.parse_args(arguments)

    from safetensors.numpy import save

    from isthmus.codecs.fitting import frozen, planes_of
    from isthmus.codecs.models import ARCHITECTURES, plain
    from isthmus.coding.coder import Coder
    from isthmus.training.context import ContextRun
    from isthmus.training.staged import Schedule

    images = photographs(chosen.data)
    train = [
        planes_of(turned)
        for image in images[:TRAINED_ON]
        for turned in (image, image[:, ::-1], image[::-1])
    ]
    held = [planes_of(image) for image in images[TRAINED_ON:]]
    shape = ARCHITECTURES[chosen.speed]
    hoods = shape.neighbourhoods(3, places=False)
    schedule = Schedule(STEPS[chosen.speed], rate=RATES[chosen.speed], seed=0)
    run = ContextRun(hoods, list(shape.widths), shape.components, train, held, 8, schedule)
    trained = run.to_the_end()
    pairs = zip(trained.networks, hoods, strict=True)
    coder = Coder([frozen(network, hood) for network, hood in pairs])
    told, tensors = plain(coder)
    chosen.out.mkdir(parents=True, exist_ok=True)
    whole = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    (chosen.out / f"{chosen.speed}.safetensors").write_bytes(save(whole))
    said = {"neighbourhoods": told, "identity": coder.identity.hex()}
    (chosen.out / f"{chosen.speed}.json").write_text(
        json.dumps(said, indent=2) + "\n", encoding="utf-8"
    )
    for entry in trained.history:
        print(json.dumps(entry))
    return 0
