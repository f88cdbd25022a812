"""A thousand damaged files of each kind: each is read, or refused in words, and soon."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

from tests.conftest import ROOT
from tests.robustness.subjects import KINDS, subject
from tests.robustness.survey import READ, REFUSED, outcome

QUICK, MANY = 100, 1000
LONGEST_SECONDS = 10
START_SECONDS = 120

pytestmark = pytest.mark.skipif(os.name != "posix", reason="limits and alarms are of POSIX")


class TookTooLong(BaseException):
    """Not an Exception, so that nothing takes it for a damaged file."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    def ring(number: int, frame: FrameType | None) -> None:
        raise TookTooLong

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_file_is_used(kind: str, tmp_path: Path) -> None:
    whole = subject(kind, tmp_path)
    path = tmp_path / f"whole{whole.suffix}"
    path.write_bytes(whole.content)
    whole.use(path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_hundred_damaged_files_are_read_or_refused(kind: str, tmp_path: Path) -> None:
    damaged = subject(kind, tmp_path)
    found = []
    for seed in range(QUICK):
        with at_most(LONGEST_SECONDS):
            found.append(outcome(damaged, seed, tmp_path))
        assert found[-1] in (READ, REFUSED), f"seed {seed}: {found[-1]}"
    assert REFUSED in found


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_a_thousand_damaged_files_are_read_or_refused(kind: str) -> None:
    """In a process of its own, which a fault in a library may kill and a loop may hold."""
    words = [sys.executable, "-m", "tests.robustness.survey", kind, "0", str(MANY)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        words,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        errors="replace",
    ) as process:
        try:
            counts = _counted(process)
        finally:
            process.kill()
    assert sum(counts.values()) == MANY
    assert counts[REFUSED] > MANY // 10


def _counted(process: subprocess.Popen[str]) -> dict[str, int]:
    counts = {READ: 0, REFUSED: 0}
    assert process.stdout is not None
    for line in _lines(process):
        seed, _, rest = line.partition(" ")
        if not seed.isdigit():
            continue  # a library's own words
        seconds, _, found = rest.partition(" ")
        found = found.strip().strip("'")
        assert found in counts, f"seed {seed}: {found}"
        assert float(seconds) < LONGEST_SECONDS, f"seed {seed} took {seconds} s"
        counts[found] += 1
    assert process.wait(START_SECONDS) == 0, f"it died after {sum(counts.values())} files"
    return counts


def _lines(process: subprocess.Popen[str]) -> Iterator[str]:
    """Lines as they come; a silence is the end of the process."""
    assert process.stdout is not None
    last = time.monotonic() + START_SECONDS
    while True:
        with at_most(max(0.1, last - time.monotonic())):
            line = process.stdout.readline()
        if not line:
            return
        yield line
        last = time.monotonic() + 3 * LONGEST_SECONDS
