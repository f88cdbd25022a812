"""How few bytes do images need with loss, beside the formats people use, at equal PSNR?"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from functools import partial
from itertools import product

from benchmarks import pictures
from benchmarks.process import Worker, cores
from benchmarks.runner import (
    RESULTS,
    Cell,
    Results,
    heading,
    markdown,
    names,
    one_of,
    parser,
    peers_option,
)

SETS = ("fashion-mnist", "mnist", "kodak")
PEERS = {
    "jpeg": (5, 10, 20, 35, 50, 65, 80, 90, 95),
    "webp": (1, 10, 25, 45, 65, 80, 90, 96),
    "avif": (5, 15, 25, 35, 45, 55, 65, 75, 85, 92),
    "jxl": (5, 20, 35, 50, 65, 80, 90, 95),
}
OURS = tuple(range(1, 9))
CHOICES = ("singles", "together")


def options() -> argparse.ArgumentParser:
    found = parser("lossy", __doc__ or "")
    peers_option(found)
    found.add_argument("--sets", type=one_of(SETS), default=["fashion-mnist", "kodak"])
    found.add_argument("--methods", type=names, default=["ours", *PEERS])
    found.add_argument("--most", type=int, default=1000, help="small images that are measured")
    found.add_argument("--minutes", type=float, default=0, help="limit of a fit, on the wall")
    found.add_argument("--threads", type=int, default=cores())
    return found


def key(name: str, method: str, what: str, quality: int) -> str:
    return f"{name} | {method} | {what} | {quality}"


def cells(chosen: argparse.Namespace, own: Worker, peers: Worker) -> Iterator[Cell]:
    """Of each set: ours fitted, then every method at all its qualities, on the same images."""
    for name in chosen.sets:
        if not pictures.there(name):
            raise SystemExit(f"there is no set '{name}' in the folder of the development data.")
        ways = CHOICES if pictures.small(name) else CHOICES[:1]
        most = chosen.most if pictures.small(name) else 0
        model = str(RESULTS / "codecs" / f"{name}-lossy-{chosen.seed}.model")
        if "ours" in chosen.methods:
            ask = partial(own.ask, "lossy", name=name, model=model, seed=chosen.seed)
            yield Cell(f"{name} | ours | fit", partial(ask, do="fit", minutes=chosen.minutes))
            for what, quality in product(ways, OURS):
                measure = partial(ask, do=what, quality=quality, most=most)
                yield Cell(key(name, "ours", what, quality), measure)
        for method in (method for method in chosen.methods if method in PEERS):
            ask = partial(peers.ask, "lossy_formats", name=name, method=method, most=most)
            for what, quality in product(ways, PEERS[method]):
                run = partial(ask, together=what == "together", quality=quality)
                yield Cell(key(name, method, what, quality), run)


def curve(results: Results, name: str, method: str, what: str) -> list[tuple[float, float]]:
    """Bits per pixel and PSNR: of photographs the mean of each, of small ones that of all."""
    measure = "psnr" if pictures.small(name) else "psnr_mean"
    start = f"{name} | {method} | {what} | "
    found = [cell for label, cell in results.finished.items() if label.startswith(start)]
    return [(cell["bits"], cell[measure]) for cell in found]


def tables(results: Results) -> str:
    from isthmus.baselines.rate_distortion import bjontegaard

    parts = []
    for name in dict.fromkeys(label.partition(" | ")[0] for label in results.cells):
        for what in CHOICES:
            ours = curve(results, name, "ours", what)
            rows = []
            for method in ("ours", *PEERS):
                points = sorted(curve(results, name, method, what))
                if points:
                    words = ", ".join(f"{bits:.3f}/{psnr:.1f}" for bits, psnr in points)
                    share = f"{bjontegaard(points, ours):+.1%}" if ours and method != "ours" else ""
                    rows.append([method, share, words])
            if rows:
                head = ["method", "bytes of ours at equal PSNR", "bits per pixel / PSNR"]
                parts.append(f"## {name}, {what}\n\n{markdown(head, rows)}")
        fit = results.finished.get(f"{name} | ours | fit")
        if fit:
            parts.append(f"The fit took {fit['cpu_seconds'] / 60:.1f} CPU-minutes.")
    return "\n\n".join(parts)


def main(arguments: list[str]) -> int:
    chosen = options().parse_args(arguments)
    if chosen.table:
        results = Results.read(chosen.out)
        print(f"{heading(results.data)}\n\n{tables(results)}")
        return 0
    settings = {"most": chosen.most, "minutes": chosen.minutes, "threads": chosen.threads}
    pythons = {"own": sys.executable, "peers": chosen.python_peers}
    results = Results.opened("lossy", chosen, settings, pythons)
    with (
        Worker(sys.executable, chosen.threads) as own,
        Worker(chosen.python_peers, chosen.threads) as peers,
    ):
        status = results.fill(cells(chosen, own, peers))
    print(tables(results))
    return status
