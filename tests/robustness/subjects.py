"""A small valid file of each kind, another one to splice, and all that is done with such a file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from PIL import Image
from pyarrow import feather
from scipy import sparse

from isthmus import Autoencoder, load, spec
from isthmus.data import modality, read
from isthmus.training.checkpoint import read_checkpoint, write_checkpoint
from isthmus.training.directory import identity

SMALL: dict[str, Any] = {
    "latent_dim": 2,
    "epochs": 1,
    "network": spec("mlp", widths=(4,)),
    "validation": 0.0,
}
IMAGE_KINDS = ("png", "jpg", "webp", "tiff", "bmp", "gif")
TABLE_KINDS = ("csv", "tsv", "parquet", "arrow", "feather", "npy", "npz", "sparse.npz")
MODEL_KINDS = ("config.json", "forged config.json", "model.safetensors", "checkpoint")
KINDS = (*TABLE_KINDS, *IMAGE_KINDS, *MODEL_KINDS)


@dataclass(frozen=True)
class Subject:
    """A file that is to be damaged."""

    content: bytes
    other: bytes
    use: Callable[[Path], Any]
    """Does with the file at a path what users do."""
    suffix: str


@cache
def subject(kind: str, folder: Path) -> Subject:
    """The subject of a kind; ``folder`` is for the files that it needs."""
    if kind in MODEL_KINDS:
        return _of_model(kind, folder)
    suffix = ".npz" if kind == "sparse.npz" else f".{kind}"
    contents = []
    for seed in (0, 1):
        path = folder / f"whole{seed}{suffix}"
        WRITERS.get(kind, _image)(path, seed)
        contents.append(path.read_bytes())
    X = read(folder / f"whole0{suffix}").X
    model = Autoencoder(**SMALL).fit(np.concatenate([X, X]) if kind in IMAGE_KINDS else X)

    def use(path: Path) -> None:
        loaded = read(path)
        fresh = modality(loaded.X, loaded.kind)
        rows = fresh.gather(loaded.X)
        fresh.fit(rows)
        fresh.batch(rows)
        model.transform(loaded.X)

    return Subject(contents[0], contents[1], use, suffix)


def _frame(seed: int) -> Any:
    draw = np.random.default_rng(seed)
    days = np.array(["2026-01-01", "NaT"], dtype="datetime64[us]")
    return pa.table(
        {
            "weight": draw.normal(size=30),
            "größe, cm": pa.array(draw.integers(0, 200, 30), pa.int32()),
            "species": pa.array(draw.choice(["setosa", "virginica", ""], 30)).dictionary_encode(),
            "seen": draw.choice([True, False], 30),
            "day": pa.array(days[draw.integers(0, 2, 30)], from_pandas=True),
            "note": draw.choice(["a", 'b "c"', "d, e"], 30),
        }
    )


def _array(seed: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(size=(30, 3))


def _csv(path: Path, seed: int) -> None:
    pacsv.write_csv(_plain(seed), path)


def _tsv(path: Path, seed: int) -> None:
    pacsv.write_csv(_plain(seed), path, pacsv.WriteOptions(delimiter="\t"))


def _plain(seed: int) -> Any:
    table = _frame(seed)
    return table.set_column(2, "species", table.column("species").cast(pa.string()))


def _feather(path: Path, seed: int) -> None:
    feather.write_feather(_frame(seed), str(path), compression="lz4")


def _arrow(path: Path, seed: int) -> None:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, _frame(seed).schema) as sink:
        sink.write_table(_frame(seed))


def _sparse(path: Path, seed: int) -> None:
    sparse.save_npz(path, sparse.random(30, 12, 0.3, "csr", rng=np.random.default_rng(seed)))


OPTIONS: dict[str, dict[str, Any]] = {
    ".webp": {"lossless": True},
    ".tiff": {"compression": "tiff_lzw"},
    ".jpg": {"progressive": True},
}


def _image(path: Path, seed: int) -> None:
    draw = np.random.default_rng(seed)
    smooth = np.add.outer(np.arange(24) * 5, np.arange(20) * 4)[..., np.newaxis] + (0, 30, 60)
    noisy = smooth + draw.integers(0, 40, (24, 20, 3))
    picture = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
    picture.save(path, **OPTIONS.get(path.suffix, {}))


WRITERS: dict[str, Callable[[Path, int], None]] = {
    "csv": _csv,
    "tsv": _tsv,
    "parquet": lambda path, seed: pq.write_table(_frame(seed), path, write_page_checksum=True),
    "arrow": _arrow,
    "feather": _feather,
    "npy": lambda path, seed: np.save(path, _array(seed)),
    "npz": lambda path, seed: np.savez_compressed(path, X=_array(seed), y=np.arange(30)),
    "sparse.npz": _sparse,
}


def _of_model(kind: str, folder: Path) -> Subject:
    """A file of a saved model, or the state of a training."""
    table = _frame(0)
    models = [folder / f"model{seed}" for seed in (0, 1)]
    for seed, path in enumerate(models):
        Autoencoder(**{**SMALL, "epochs": 2, "random_state": seed}).fit(table).save(path)
    if kind == "checkpoint":
        return _of_checkpoint(table, folder)
    name = kind.removeprefix("forged ")
    contents = [(path / name).read_bytes() for path in models]
    target = folder / "damaged model"
    shutil.copytree(models[0], target, dirs_exist_ok=True)

    def use(path: Path) -> None:
        content = path.read_bytes()
        if kind != name:
            content = _forged(content, (target / "model.safetensors").read_bytes())
        (target / name).write_bytes(content)
        load(target).transform(table)

    return Subject(contents[0], contents[1], use, ".part")


def _forged(content: bytes, weights: bytes) -> bytes:
    """The config with an identity that fits it, where it is JSON."""
    try:
        config = json.loads(content)
        config["identity"] = identity(config, weights)
        return json.dumps(config).encode()
    except (ValueError, TypeError, RecursionError):
        return content


def _of_checkpoint(table: Any, folder: Path) -> Subject:
    paths = [folder / f"state{seed}" for seed in (0, 1)]
    for seed, path in enumerate(paths):
        Autoencoder(**{**SMALL, "random_state": seed}, resume=path).fit(table)

    def use(path: Path) -> None:
        facts, tensors = read_checkpoint(path)
        write_checkpoint(path.with_name("again"), facts, tensors)
        Autoencoder(**SMALL, resume=path).fit(table)

    return Subject(paths[0].read_bytes(), paths[1].read_bytes(), use, ".partial")
