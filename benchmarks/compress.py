"""How few bytes do images need without loss, beside the formats people use?"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from benchmarks import pictures
from benchmarks.process import Worker, cores
from benchmarks.runner import (
    RESULTS,
    Answer,
    Cell,
    Results,
    heading,
    markdown,
    names,
    parser,
    peers_option,
)

PEERS = ("png", "webp", "jxl-7", "jxl-9", "jpeg-2000", "jpeg-ls", "xz", "zstd-19", "bz2")
OURS = ("ours", "ours-bundled", "ours-fast")


def options() -> argparse.ArgumentParser:
    found = parser("compress", __doc__ or "")
    peers_option(found)
    found.add_argument("--sets", type=names, default=[*pictures.SMALL, *pictures.PHOTOS])
    found.add_argument("--methods", type=names, default=[*OURS, *PEERS])
    found.add_argument("--singles", type=int, default=1000, help="small images coded one by one")
    found.add_argument("--threads", type=int, default=cores())
    return found


def key(name: str, method: str, what: str) -> str:
    return f"{name} | {method} | {what}"


def cells(chosen: argparse.Namespace, own: Worker, peers: Worker) -> Iterator[Cell]:
    """Of each set: ours fitted, ours measured, then the others on the same images."""
    for name in chosen.sets:
        if not pictures.there(name):
            raise SystemExit(f"there is no set '{name}' in the folder of the development data.")
        small = pictures.small(name)
        most = chosen.singles if small else 0
        for method in chosen.methods:
            if method in PEERS:
                yield from _of_peer(name, method, small, most, peers)
            elif method == "ours" and name != "kodak":
                yield from _fitted(name, most, chosen.seed, own)
            elif method in ("ours-bundled", "ours-fast") and not small:
                speed = "fast" if method == "ours-fast" else "best"

                def bundled(name: str = name, speed: str = speed) -> Answer:
                    return own.ask(
                        "compress", do="measure", name=name, model="", seed=0, speed=speed
                    )

                yield Cell(key(name, method, "singles"), bundled)


def _fitted(name: str, most: int, seed: int, own: Worker) -> Iterator[Cell]:
    model = str(RESULTS / "codecs" / f"{name}-{seed}.model")

    def fit() -> Answer:
        return own.ask("compress", do="fit", name=name, model=model, seed=seed)

    def measure() -> Answer:
        return own.ask("compress", do="measure", name=name, model=model, seed=seed, most=most)

    yield Cell(key(name, "ours", "fit"), fit)
    yield Cell(key(name, "ours", "singles"), measure)


def _of_peer(name: str, method: str, small: bool, most: int, peers: Worker) -> Iterator[Cell]:
    for together in (False, True) if small else (False,):

        def run(together: bool = together) -> Answer:
            return peers.ask(
                "image_formats", name=name, method=method, together=together, most=most
            )

        yield Cell(key(name, method, "together" if together else "singles"), run)


def rows(results: Results, name: str) -> list[list[str]]:
    """A line for each method of a set."""
    found = []
    for method in (*OURS, *PEERS):
        cell = results.finished.get(key(name, method, "singles"))
        if cell is None:
            continue
        together = results.finished.get(key(name, method, "together"))
        whole = "" if together is None else f"{together['bits']:.3f}"
        if "archive_bytes" in cell:
            values = len(pictures.split(name)[1]) * 784
            whole = f"{8 * (cell['archive_bytes'] + cell['model_bytes']) / values:.3f}"
        speeds = [f"{cell[way]:.2f}" for way in ("into", "back")]
        if "archive_into" in cell:
            speeds = [f"{cell[f'archive_{way}']:.2f}" for way in ("into", "back")]
        found.append([method, f"{cell['bits']:.3f}", whole, *speeds])
    return found


def tables(results: Results) -> str:
    head = ["method", "bits, one by one", "bits, together", "MB/s in", "MB/s out"]
    sets = dict.fromkeys(cell.partition(" | ")[0] for cell in results.cells)
    parts = [f"## {name}\n\n{markdown(head, rows(results, name))}" for name in sets]
    fits = [
        [cell.partition(" | ")[0], f"{results.finished[cell]['cpu_seconds'] / 60:.1f}"]
        for cell in results.finished
        if cell.endswith("| fit")
    ]
    if fits:
        parts.append(f"## fits\n\n{markdown(['set', 'CPU-minutes'], fits)}")
    return "\n\n".join(parts)


def main(arguments: list[str]) -> int:
    chosen = options().parse_args(arguments)
    if chosen.table:
        results = Results.read(chosen.out)
        print(f"{heading(results.data)}\n\n{tables(results)}")
        return 0
    settings = {"singles": chosen.singles, "threads": chosen.threads}
    pythons = {"own": sys.executable, "peers": chosen.python_peers}
    results = Results.opened("compress", chosen, settings, pythons)
    with (
        Worker(sys.executable, chosen.threads) as own,
        Worker(chosen.python_peers, chosen.threads) as peers,
    ):
        status = results.fill(cells(chosen, own, peers))
    print(tables(results))
    return status
