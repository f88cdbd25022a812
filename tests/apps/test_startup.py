"""How soon the command line answers."""

from __future__ import annotations

import subprocess
import sys

import pytest

HELP_SECONDS = 0.3
HELP = [sys.executable, "-m", "isthmus", "--help"]
HEAVY = ("torch", "numpy", "sklearn", "pandas", "pyarrow", "matplotlib", "rich")


def test_help_comes_within_a_third_of_a_second() -> None:
    resource = pytest.importorskip("resource", reason="only Unix tells the time of children")

    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert subprocess.run(HELP, capture_output=True, check=True).stdout
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    # Processor time, since a busy machine says nothing about the program.
    assert min(seconds() for _ in range(3)) < HELP_SECONDS


def test_help_imports_nothing_heavy() -> None:
    shown = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "isthmus", "fit", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in shown.stderr.splitlines()}
    assert "typer" in imported
    assert not [name for name in imported if name.partition(".")[0] in HEAVY]
