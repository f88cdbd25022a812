"""The parent's side: Python processes that answer questions, in this or another environment."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def cores() -> int:
    """The cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def surroundings(own: bool, threads: int | None = None) -> dict[str, str]:
    """The environment of a child; with ``own``, it can import Isthmus as this process can."""
    paths = [str(ROOT)]
    if own and importlib.util.find_spec("isthmus") is None:
        paths.append(str(ROOT / "src"))
    paths += filter(None, [os.environ.get("PYTHONPATH")] if own else [])
    found = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    if threads is not None:
        found |= dict.fromkeys(THREAD_VARIABLES, str(threads))
    return found


class Worker:
    """One child process on so many cores; it starts with the first question.

    Parameters
    ----------
    python : str
        The interpreter.
    threads : int
    """

    def __init__(self, python: str, threads: int) -> None:
        self.python, self.threads = python, threads
        self.process: subprocess.Popen[str] | None = None
        self.words = tempfile.TemporaryFile("w+")  # noqa: SIM115, closed by close()

    def ask(self, job: str, **question: Any) -> dict[str, Any]:
        """The answer; {"missing": library} or {"error": last words} where there is none."""
        process = self.process or self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            print(json.dumps({"job": job, **question}), file=process.stdin, flush=True)
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        process.communicate()
        status, self.process = process.returncode, None
        self.words.seek(0)
        last = [text for text in self.words.read().splitlines() if text.strip()][-1:]
        return {"error": f"ended with status {status}: {' '.join(last)[:300]}"}

    def _started(self) -> subprocess.Popen[str]:
        self.words.seek(0)
        self.words.truncate()
        self.process = subprocess.Popen(
            [self.python, "-m", "benchmarks.answer", str(self.threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.words,
            text=True,
            cwd=ROOT,
            env=surroundings(self.python == sys.executable, self.threads),
        )
        return self.process

    def close(self) -> None:
        """End the process, at once if it is at work."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
        self.words.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
