"""What was written under one setting of a machine is read to the bit under any other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from isthmus.codecs.models import bundled
from isthmus.coding.container import Picture, pack
from tests.coding import exactness
from tests.coding.networks import lossy_coder

SETTINGS = [
    {"OMP_NUM_THREADS": threads, "ATEN_CPU_CAPABILITY": aten, "ONEDNN_MAX_CPU_ISA": dnn}
    for threads, aten, dnn in product(
        ("1", "2"), ("default", "avx2", "avx512"), ("SSE41", "AVX2", "AVX512_CORE")
    )
]
KERNELS = ("Prescott", "Nehalem", "Sandybridge", "Haswell", "Zen", "SkylakeX")
"""Of NumPy's matrix products; one that a processor lacks falls back to another."""


def run(written: Path, settings: dict[str, str], *words: str) -> list[str]:
    found = subprocess.run(
        [sys.executable, "-m", "tests.coding.exactness", str(written), *words],
        env={**os.environ, **settings},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    answer: list[str] = json.loads(found.stdout)
    return answer


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exact") / "one.ist"
    picture = Picture(exactness.images(1, 3)[0])
    path.write_bytes(pack(picture, bundled("best")))
    path.with_suffix(".lossy").write_bytes(pack(picture, lossy_coder(colours=3)))
    return path


@pytest.fixture(scope="module")
def expected(written: Path) -> list[str]:
    lossy = exactness.of_lossy(written.with_suffix(".lossy"))
    return [exactness.digest(bundled("best"), written, torch_too=True), lossy]


@pytest.mark.parametrize("kernels", KERNELS)
def test_decoding_agrees_under_any_kernels_of_matrix_products(
    kernels: str, written: Path, expected: list[str]
) -> None:
    if kernels == "SkylakeX" and not _has_avx512():
        pytest.skip("this processor has no AVX-512")
    settings = {"OPENBLAS_CORETYPE": kernels, "OPENBLAS_NUM_THREADS": "2"}
    assert run(written, settings, "torch") == expected


@pytest.mark.long
@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: "-".join(s.values()))
def test_decoding_agrees_under_any_threads_and_instruction_sets(
    settings: dict[str, str], written: Path, expected: list[str]
) -> None:
    assert run(written, settings, "torch") == expected


def test_images_coded_side_by_side_are_those_coded_alone() -> None:
    coder = bundled("best")
    many = exactness.images(16, 3)
    together = coder.decode(coder.encode(many, 8), many.shape, 8)
    for one in range(16):
        alone = many[one : one + 1]
        data = coder.encode(alone, 8)
        assert np.array_equal(coder.decode(data, alone.shape, 8)[0], together[one])


def _has_avx512() -> bool:
    try:
        return "avx512f" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
