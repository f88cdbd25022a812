"""How well a method tells images that do not belong from others."""

from __future__ import annotations

import csv
import io
import time
import zipfile
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks import data
from benchmarks.data import Array
from benchmarks.jobs.detect import RATES, area

TILES = "magnetic-tiles"
ORDINARY = "Free"
TRAIN, TEST = 1000, 500
"""Images of a class to train on, and of it and of all others to score."""
SIDE = 32
"""To which images are brought for plain methods."""
EVERY = 7
"""Pixel of which maps are judged."""
KEPT = 0.9
"""Of the variance, that principal components hold."""


class Images(NamedTuple):
    """Images to train on, images to score, which of these are anomalies, and where they are."""

    train: list[Array]
    test: list[Array]
    anomalous: Array
    masks: list[Array] | None
    groups: Array | None = None
    """Of those to train on."""


def tiles(seed: int) -> Images:
    """Half of the groups without a defect to train on: each tile was shot about six times."""
    from PIL import Image

    with zipfile.ZipFile(data.folder() / "image_anomaly" / "magnetic_tile_dev.zip") as archive:
        root = "magnetic_tile/"
        rows = list(csv.DictReader(io.StringIO(archive.read(root + "GROUPS.csv").decode())))
        there = set(archive.namelist())

        def read(name: str) -> Array:
            return np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("L"))

        images = [read(root + row["file"]) for row in rows]
        drawn = [root + row["file"].replace(".jpg", ".png") for row in rows]
        masks = [
            read(name) > 127 if name in there else np.zeros(image.shape, bool)
            for name, image in zip(drawn, images, strict=True)
        ]
    odd = np.array([row["class"] != ORDINARY for row in rows])
    group = np.array([int(row["group"]) for row in rows])
    whole = np.setdiff1d(group[~odd], group[odd])
    half = np.random.default_rng(seed).permutation(whole)[: len(whole) // 2]
    known = np.isin(group, half)
    train, test = np.flatnonzero(known), np.flatnonzero(~known)
    return Images(
        [images[i] for i in train],
        [images[i] for i in test],
        odd[test],
        [masks[i] for i in test],
        group[train],
    )


def one_class(name: str, kind: int, seed: int) -> Images:
    """Images of one class to train on; others of it, and of all other classes, to score."""
    path = data.folder() / "images_small" / data.IMAGES[name]
    x, y = data.array(path, "x"), data.array(path, "y")
    random = np.random.default_rng(seed)
    first, last = np.arange(len(x) - data.HELD_OUT), np.arange(len(x) - data.HELD_OUT, len(x))
    train = random.permutation(first[y[first] == kind])[:TRAIN]
    same, other = (
        random.permutation(last[(y[last] == kind) == ordinary])[:TEST] for ordinary in (True, False)
    )
    test = np.concatenate([same, other])
    return Images(list(x[train]), list(x[test]), y[test] != kind, None)


def images(name: str, seed: int) -> Images:
    if name == TILES:
        return tiles(seed)
    source, kind = name.rsplit(" ", 1)
    return one_class(source, int(kind), seed)


def as_rows(given: list[Array]) -> Array:
    """(n, pixels) of images brought to one size, 0 to 1."""
    from PIL import Image

    small = [
        image
        if max(image.shape) <= SIDE
        else np.asarray(Image.fromarray(image).resize((SIDE, SIDE)))
        for image in given
    ]
    return np.stack(small).reshape(len(given), -1) / 255


Scorer = Callable[[list[Array]], Array]


def nearest(count: int) -> Callable[[list[Array], int], Scorer]:
    """The mean distance to so many images, pixel by pixel."""

    def fit(train: list[Array], seed: int) -> Scorer:
        from sklearn.neighbors import NearestNeighbors

        model = NearestNeighbors(n_neighbors=count).fit(as_rows(train))
        return lambda test: np.asarray(model.kneighbors(as_rows(test))[0].mean(1))

    return fit


def left_over(train: list[Array], seed: int) -> Scorer:
    """What components of the pixels leave over."""
    from sklearn.decomposition import PCA

    model = PCA(KEPT, svd_solver="full").fit(as_rows(train))

    def score(test: list[Array]) -> Array:
        rows = as_rows(test)
        return np.asarray(np.square(rows - model.inverse_transform(model.transform(rows))).sum(1))

    return score


def forest(train: list[Array], seed: int) -> Scorer:
    from sklearn.ensemble import IsolationForest

    model = IsolationForest(random_state=seed).fit(as_rows(train))
    return lambda test: -model.score_samples(as_rows(test))


PLAIN: dict[str, Callable[[list[Array], int], Scorer]] = {
    "nearest": nearest(1),
    "neighbours": nearest(5),
    "pca": left_over,
    "iforest": forest,
}


def ours(given: Images, seed: int) -> dict[str, Any]:
    """Defaults; its p-values among ordinary images, and its maps where defects are drawn."""
    from isthmus import AnomalyDetector

    start = time.perf_counter()
    model = AnomalyDetector(random_state=seed).fit(given.train, groups=given.groups)
    middle = time.perf_counter()
    found = {**measured(given, -model.score_samples(given.test)), "fit_s": middle - start}
    found["score_s"] = time.perf_counter() - middle
    p = model.pvalues(
        [image for image, odd in zip(given.test, given.anomalous, strict=True) if not odd]
    )
    found |= {f"alarms_{rate}": float((p <= rate).mean()) for rate in RATES}
    if given.masks is not None:
        maps = model.explain_scores(given.test)
        drawn = np.concatenate([mask.ravel()[::EVERY] for mask in given.masks])
        found["pixel_auroc"] = area(drawn, np.concatenate([one.ravel()[::EVERY] for one in maps]))
    return found


def measured(given: Images, scores: Array) -> dict[str, Any]:
    from sklearn.metrics import average_precision_score

    return {
        "auroc": area(given.anomalous, scores),
        "auprc": float(average_precision_score(given.anomalous, scores)),
        "n_train": len(given.train),
        "n_test": len(given.test),
    }


def answer(name: str, method: str, seed: int) -> dict[str, Any]:
    given = images(name, seed)
    if method == "ours":
        return ours(given, seed)
    start = time.perf_counter()
    score = PLAIN[method](given.train, seed)
    middle = time.perf_counter()
    return {**measured(given, score(given.test)), "fit_s": middle - start}
