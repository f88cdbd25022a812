"""Fully recovered: what comes back through 64 numbers, and what it takes for all to come back.

First the claim as it is often read: an autoencoder 784-64-784 squeezes an image of 784 pixels into
64 numbers and recovers it, so it compresses twelvefold. It is trained here, in plain Keras and in
Isthmus, and asked for the pixels themselves, rounded to the levels that they had. Then the bytes
are weighed: 64 numbers of 32 bits are 256 bytes. Last, the claim made true: a codec that gives
every pixel back, and the bytes that it takes for that.

    python examples/classics/fully_recovered.py
    python examples/classics/fully_recovered.py --data mnist_train.npz --codec-epochs 1
"""

from __future__ import annotations

import io
import lzma
import math
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from data import Images, count, options, read
from keras_import import keras_or_none
from measure import Array, Figures, Outcome, measure, pca, say, say_winner, table
from numpy.typing import NDArray
from PIL import Image

from isthmus import Archive, Autoencoder, ImageCodec, spec

MOST_CODE, BATCH, EPOCHS = 64, 256, 50
PEAK_RATE = 0.002
"""Adam's rate is 0.001 in Keras. Ours rises to a peak and falls to zero: 0.001 on average."""
DIGIT_LEVELS, FILE_LEVELS = 16, 255
"""The brightest pixel of scikit-learn's digits, and of a file in the manner of MNIST."""
FEW, HALF = 1, 50
"""Per cent."""
SINGLES = 1000
"""So many of the test images are compressed one by one; all of them are in the archive."""

Pixels = NDArray[np.uint8]


def code_of(images: Images) -> int:
    """64 numbers for 784 pixels; of the small digits a quarter: as many bytes as the image has."""
    return min(MOST_CODE, images.width // 4)


def plain_keras(keras: Any, images: Images, epochs: int, seed: int) -> Outcome:
    """The classic, as you know it: one hidden layer."""
    keras.utils.set_random_seed(seed)
    train, test = images.flat
    dense = keras.layers.Dense
    encoder = keras.Sequential(
        [keras.Input((images.width,)), dense(code_of(images), activation="relu")]
    )
    decoder = keras.Sequential(
        [keras.Input((code_of(images),)), dense(images.width, activation="sigmoid")]
    )
    autoencoder = keras.Sequential([encoder, decoder])
    autoencoder.compile(optimizer="adam", loss="binary_crossentropy")
    autoencoder.fit(train, train, epochs=epochs, batch_size=BATCH, verbose=0)
    codes = encoder.predict(train, verbose=0), encoder.predict(test, verbose=0)
    return Outcome(decoder.predict(codes[1], verbose=0), *codes)


def ours(model: Autoencoder, images: Images) -> Outcome:
    """Fit an Isthmus model and use it: the whole of it."""
    model.fit(images.train)
    rebuilt = model.reconstruct(images.test).reshape(-1, images.width)
    return Outcome(rebuilt, model.transform(images.train), model.transform(images.test))


def same_network(images: Images, epochs: int, seed: int) -> Outcome:
    """One layer to the code and one back, from a random start, with the classic's loss."""
    model = Autoencoder(
        latent_dim=code_of(images),
        network=spec("mlp", widths=(), linear_path=False),
        likelihood="bernoulli",
        optimizer="adam",
        learning_rate=PEAK_RATE,
        epochs=epochs,
        batch_size=BATCH,
        validation=0,
        random_state=seed,
    )
    return ours(model, images)


def defaults(images: Images, seed: int) -> Outcome:
    """Isthmus as it comes: say how wide the code is, and no more."""
    return ours(Autoencoder(latent_dim=code_of(images), random_state=seed), images)


def recovered(truth: Array, levels: int, outcome: Outcome) -> Figures:
    """How much of the images came back, when what came back is rounded to the levels they have.

    Most pixels of such images are empty, and easily right: so those with ink are counted apart.
    """
    meant = np.rint(truth * levels)
    came = np.rint(np.clip(outcome.rebuilt, 0, 1) * levels)
    right = came == meant
    return {
        "pixels right": 100 * float(right.mean()),
        "with ink": 100 * float(right[meant > 0].mean()),
        "images right": 100 * float(right.all(axis=1).mean()),
        "off by": float(np.abs(came - meant)[meant > 0].mean()),
    }


def as_pixels(images: Array, levels: int) -> Pixels:
    """Images as whole numbers, as they were before they were brought to 0 to 1."""
    return np.rint(images * levels).astype(np.uint8)


def png(image: Pixels) -> int:
    """Bytes of an image as a PNG file."""
    out = io.BytesIO()
    Image.fromarray(image).save(out, "PNG", optimize=True)
    return out.tell()


def weigh(images: Images, codec: ImageCodec, levels: int) -> tuple[dict[str, Figures], bool]:
    """Bytes of a test image in each way to keep it, and whether all came back from ours."""
    test = as_pixels(images.test, levels)
    n, few = len(test), test[:SINGLES]
    singles = [codec.compress(image) for image in few]
    whole = all(
        np.array_equal(codec.decompress(data), image)
        for data, image in zip(singles, few, strict=True)
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "test.ista"
        archive = Archive.write(path, test, codec)
        whole = whole and np.array_equal(Archive(path, codec).read(), test)
        codec.save(Path(folder) / "model")
        model = sum(file.stat().st_size for file in (Path(folder) / "model").iterdir())
    found = {
        "its pixels, a byte each": images.width,
        "its code, float32": 4 * code_of(images),
        "a PNG file": sum(map(png, test)) / n,
        "all in one, xz": len(lzma.compress(test.tobytes(), preset=9)) / n,
        "ours, a file each": sum(map(len, singles)) / len(few),
        "ours, an archive": archive / n,
    }
    rows = {name: {"bytes": value} for name, value in found.items()}
    return rows | {"the model, once": {"bytes": float(model)}}, whole


def claims(rows: dict[str, Figures], weights: dict[str, Figures], whole: bool) -> dict[str, bool]:
    """What this example claims, and whether these figures bear it out."""
    nbytes = {name: row["bytes"] for name, row in weights.items()}
    learned = [row for name, row in rows.items() if name != "PCA"]
    best_ink = max(row["with ink"] for row in rows.values())
    return {
        "no autoencoder gives even one image of a hundred back whole":
            all(row["images right"] <= FEW for row in learned),
        "nor does any, or PCA, give half of the pixels with ink back": best_ink < HALF,
        "ours, lossless, gives every pixel of every test image back": whole,
        "and takes fewer bytes than PNG, and than the code that recovers less":
            nbytes["ours, a file each"] < min(nbytes["a PNG file"], nbytes["its code, float32"]),
        "an archive takes fewer bytes than xz of all the pixels":
            nbytes["ours, an archive"] < nbytes["all in one, xz"],
    }  # fmt: skip


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Run the example; the figures by method, the bytes, and the claims."""
    parser = options(__doc__, EPOCHS)
    parser.add_argument(
        "--codec-epochs", type=count, metavar="N", help="of the codec; by default its own choice"
    )
    asked = read(parser, argv)
    images: Images = asked.images
    levels = FILE_LEVELS if asked.data else DIGIT_LEVELS
    train, test = images.flat
    methods: dict[str, Callable[[int], Outcome]] = {
        "ours, same network": partial(same_network, images, asked.epochs),
        "ours": partial(defaults, images),
    }
    if keras := keras_or_none():
        methods = {"plain Keras": partial(plain_keras, keras, images, asked.epochs), **methods}
    methods["PCA"] = lambda seed: pca(train, test, code_of(images))
    further = partial(recovered, test, levels)
    tried = {
        name: measure(method, test, asked.seeds if name != "PCA" else (0,), further)
        for name, method in methods.items()
    }
    rows = {name: figures for name, (figures, _) in tried.items()}
    print(f"{len(train):,} images to train, {len(test):,} to test")
    print(f"1. What comes back through {images.width}-{code_of(images)}-{images.width}, per cent")
    shown = {"pixels right": 1, "with ink": 1, "images right": 1, "off by": 2, "squared error": 5}
    print(table(rows, shown))
    say_winner(rows)

    codec = ImageCodec(lossless=True, epochs=asked.codec_epochs, random_state=0)
    codec.fit(as_pixels(images.train, levels))
    weights, whole = weigh(images, codec, levels)
    print("2. What an image weighs")
    print(table(weights, {"bytes": 1}))
    nbytes = {name: row["bytes"] for name, row in weights.items()}
    saved = nbytes["a PNG file"] - nbytes["ours, an archive"]
    if saved > 0:
        pays = math.ceil(nbytes["the model, once"] / saved)
        print(f"Beside PNG files, an archive has paid for its model from {pays:,} images on.")
    held = claims(rows, weights, whole)
    say(held)
    if asked.out:
        from pictures import draw

        draw(asked.out, images, {name: outcome for name, (_, outcome) in tried.items()})
    return {"rows": rows, "bytes": weights, "claims": held}


if __name__ == "__main__":
    assert all(main()["claims"].values()), "a claim does not hold, see above"
