"""The pictures that ``--out`` asks for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from data import Images
from matplotlib.figure import Figure
from measure import Array, Outcome
from numpy.typing import NDArray
from sklearn.decomposition import PCA

SHOWN = 10


def draw(folder: Path, images: Images, outcomes: Mapping[str, Outcome]) -> None:
    """Write originals beside reconstructions, and the codes as a scatter, one panel a method."""
    rows = {"original": images.test[:SHOWN].reshape(-1, images.width)}
    rows |= {name: outcome.rebuilt[:SHOWN] for name, outcome in outcomes.items()}
    figure, axes = plt.subplots(len(rows), SHOWN, figsize=(SHOWN, 1.1 * len(rows)))
    for line, (name, pixels) in zip(axes, rows.items(), strict=True):
        line[0].set_title(name, loc="left", fontsize=8)
        for ax, image in zip(line, pixels, strict=True):
            ax.imshow(image.reshape(images.test[0].shape), cmap="gray_r", vmin=0, vmax=1)
            ax.set_axis_off()
    save(figure, folder / "reconstructions.png")
    draw_codes(folder, images.test_labels, {n: o.test_code for n, o in outcomes.items()})


def draw_codes(folder: Path, labels: NDArray[np.int64], codes: Mapping[str, Array]) -> None:
    """Write the codes as a scatter, coloured by label; wide codes by their two main axes."""
    figure, axes = plt.subplots(1, len(codes), figsize=(4 * len(codes), 4), squeeze=False)
    for ax, (name, code) in zip(axes[0], codes.items(), strict=True):
        flat = PCA(2, random_state=0).fit_transform(code) if code.shape[1] > 2 else code
        ax.scatter(flat[:, 0], flat[:, 1], c=labels, cmap="tab10", s=6)
        ax.set_title(name)
        ax.set_xticks([])
        ax.set_yticks([])
    save(figure, folder / "codes.png")


def save(figure: Figure, path: Path) -> None:
    """Write one picture and say where it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)
    print(f"wrote {path}")
