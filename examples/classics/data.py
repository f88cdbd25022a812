"""The images of the classics: scikit-learn's digits, or a file that you have."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

HELD_OUT = 10_000
"""The last so many images of a file are for testing, as is the custom for MNIST."""


class Images(NamedTuple):
    """Images to train and to test on: (n, height, width) of 0 to 1, and (n,) labels."""

    train: NDArray[np.float32]
    test: NDArray[np.float32]
    train_labels: NDArray[np.int64]
    test_labels: NDArray[np.int64]

    @property
    def width(self) -> int:
        """How many pixels an image has: what a dense network reads."""
        return int(self.train[0].size)

    @property
    def flat(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Train and test images as rows of pixels, (n, pixels)."""
        return self.train.reshape(-1, self.width), self.test.reshape(-1, self.width)


def digits() -> Images:
    """1,797 handwritten digits of 8 x 8 pixels that come with scikit-learn; 360 to test on."""
    found = load_digits()
    pixels = (found.images / 16).astype(np.float32)
    parts = train_test_split(
        pixels, found.target, test_size=360, stratify=found.target, random_state=0
    )
    return Images(*parts)


def from_file(path: Path) -> Images:
    """Images of an npz file in the manner of MNIST: ``x`` (n, 28, 28) uint8 and ``y`` (n,).

    Raises
    ------
    ValueError
        If the file is something else; the message says what is wrong.
    """
    if not path.is_file():
        raise ValueError(f"there is no file '{path}'.")
    try:
        with np.load(path, allow_pickle=False) as file:
            x, y = file["x"], file["y"]
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(f"'{path}' is no npz file with arrays 'x' and 'y': {error}") from error
    if x.ndim != 3 or x.dtype != np.uint8 or len(x) != len(y):
        raise ValueError(
            f"'x' must be uint8 of shape (n, height, width) with a label in 'y' for each; "
            f"'{path}' has {x.dtype} of shape {x.shape} and {len(y)} labels."
        )
    if len(x) <= HELD_OUT:
        raise ValueError(f"'{path}' has {len(x):,} images; more than {HELD_OUT:,} are needed.")
    x, y = (x / np.float32(255)).astype(np.float32), y.astype(np.int64)
    return Images(x[:-HELD_OUT], x[-HELD_OUT:], y[:-HELD_OUT], y[-HELD_OUT:])


def options(what: str | None, epochs: int) -> argparse.ArgumentParser:
    """The options that all the examples have."""
    parser = argparse.ArgumentParser(
        description=what, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, metavar="FILE.npz", help="MNIST or Fashion-MNIST")
    parser.add_argument("--rows", type=count, metavar="N", help="train on the first N images only")
    parser.add_argument(
        "--epochs", type=count, metavar="N", default=epochs, help=f"of the classic; {epochs}"
    )
    parser.add_argument(
        "--seeds", type=count, metavar="N", help="runs of each method; 3 on digits, 1 on a file"
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write pictures here")
    return parser


def count(text: str) -> int:
    """A number of things, at least one."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, got '{text}'")
    return int(text)


def read(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the options; ``images`` and ``seeds`` of what is returned are ready to use."""
    asked = parser.parse_args(argv)
    try:
        images = from_file(asked.data) if asked.data else digits()
    except ValueError as error:
        parser.error(str(error))
    if asked.rows:
        images = images._replace(
            train=images.train[: asked.rows], train_labels=images.train_labels[: asked.rows]
        )
    asked.images = images
    asked.seeds = range(asked.seeds or (1 if asked.data else 3))
    return asked
