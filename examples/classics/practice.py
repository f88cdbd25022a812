"""Practice: tied weights on two-dimensional blobs, then every lever of training on digits.

First a small classic in plain Keras: points of the plane through 64 sigmoid units to a code of 3
and back, where the decoder's weights are the encoder's, transposed. Then the same network in
Isthmus, Isthmus as it comes, and PCA. After that one lever is moved at a time, on images: see
levers.py, next to this file.

    python examples/classics/practice.py
    python examples/classics/practice.py --data mnist_train.npz --rows 5000
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import levers
import numpy as np
from data import count, options, read
from keras_import import keras_or_none
from measure import Array, Figures, Outcome, measure, pca, say, say_winner, table
from numpy.typing import NDArray
from sklearn.datasets import make_blobs
from sklearn.model_selection import train_test_split

from isthmus import Autoencoder, spec

HIDDEN, CODE, BATCH, EPOCHS = 64, 3, 32, 100
PEAK_RATE = 0.002
"""Adam's rate is 0.001 in Keras. Ours rises to a peak and falls to zero: 0.001 on average."""
LEVER_EPOCHS = 20
EXACT = 1e-6
"""A squared error that nobody would see: a thousandth of the range of the data."""


class Blobs(NamedTuple):
    """Points of the plane, (n, 2) in 0 to 1, and the blob that each test point belongs to."""

    train: Array
    test: Array
    test_labels: NDArray[np.int64]


def blobs(n: int = 2000) -> Blobs:
    """Five round clouds of points, a fifth of them to test on."""
    points, labels = make_blobs(n, centers=5, random_state=0)
    points = (points - points.min(0)) / np.ptp(points, axis=0)
    train, test, _, test_labels = train_test_split(
        points.astype(np.float32), labels, test_size=0.2, random_state=0
    )
    return Blobs(train, test, test_labels)


def plain_keras(keras: Any, data: Blobs, epochs: int, seed: int) -> Outcome:
    """The classic, as you know it: Keras has no tied layer, so we write one."""
    keras.utils.set_random_seed(seed)

    class Mirror(keras.layers.Layer):  # type: ignore[misc]
        """A dense layer turned round: its weights transposed, a bias of its own."""

        def __init__(self, mirrored: Any, activation: str | None = None) -> None:
            super().__init__()
            self.mirrored, self.activation = mirrored, keras.activations.get(activation)

        def build(self, input_shape: Any) -> None:
            width = self.mirrored.kernel.shape[0]
            self.bias = self.add_weight(shape=(width,), initializer="zeros", name="bias")

        def call(self, z: Any) -> Any:
            x = keras.ops.matmul(z, keras.ops.transpose(self.mirrored.kernel))
            return self.activation(x + self.bias)

    hidden = keras.layers.Dense(HIDDEN, activation="sigmoid")
    code = keras.layers.Dense(CODE)
    encoder = keras.Sequential([keras.Input((2,)), hidden, code])
    decoder = keras.Sequential([keras.Input((CODE,)), Mirror(code, "sigmoid"), Mirror(hidden)])
    autoencoder = keras.Sequential([encoder, decoder])
    autoencoder.compile(optimizer="adam", loss="mse")
    autoencoder.fit(data.train, data.train, epochs=epochs, batch_size=BATCH, verbose=0)
    codes = encoder.predict(data.train, verbose=0), encoder.predict(data.test, verbose=0)
    return Outcome(decoder.predict(codes[1], verbose=0), *codes)


def ours(model: Autoencoder, data: Blobs) -> Outcome:
    """Fit an Isthmus model and use it: the whole of it."""
    codes = model.fit_transform(data.train), model.transform(data.test)
    return Outcome(model.inverse_transform(codes[1]), *codes)


def same_network(data: Blobs, epochs: int, seed: int) -> Outcome:
    """The classic's network: tied, sigmoid, with a random start, squared error."""
    tied = spec("mlp", widths=(HIDDEN,), activation="sigmoid", tied=True, linear_path=False)
    model = Autoencoder(
        latent_dim=CODE,
        network=tied,
        likelihood="gaussian",
        optimizer="adam",
        learning_rate=PEAK_RATE,
        epochs=epochs,
        batch_size=BATCH,
        validation=0,
        random_state=seed,
    )
    return ours(model, data)


def defaults(data: Blobs, seed: int) -> Outcome:
    """Isthmus as it comes: say how wide the code is, and no more."""
    return ours(Autoencoder(latent_dim=CODE, random_state=seed), data)


def claims(rows: dict[str, Figures]) -> dict[str, bool]:
    """What the blobs claim, and whether these figures bear it out.

    A code of 3 is wider than the plane, so the right answer is to change nothing: PCA does.
    A plain network creeps towards it, and its error differs a hundredfold from seed to seed. So
    the mean of ours is held against the worst seed of Keras.
    """
    squared = {name: row["squared error"] for name, row in rows.items()}
    held = {
        "on blobs PCA is exact": squared["PCA"] < EXACT,
        "on blobs ours is exact too": squared["ours"] < EXACT,
    }
    if "plain Keras" in rows:
        held |= {
            "on blobs ours, same network, is no worse than plain Keras, beyond chance":
                squared["ours, same network"] <= rows["plain Keras"]["worst seed"],
            "on blobs ours beats plain Keras": squared["ours"] < squared["plain Keras"],
        }  # fmt: skip
    return held


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Run the example; the figures by method and by lever, and the claims."""
    parser = options(__doc__, EPOCHS)
    parser.add_argument("--lever-epochs", type=count, default=LEVER_EPOCHS, metavar="N")
    names = tuple(levers.LEVERS)
    parser.add_argument("--levers", nargs="+", choices=names, default=names, help="only these")
    asked = read(parser, argv)
    data, keras = blobs(), keras_or_none()
    methods = {
        "ours, same network": partial(same_network, data, asked.epochs),
        "ours": partial(defaults, data),
    }
    if keras:
        methods = {"plain Keras": partial(plain_keras, keras, data, asked.epochs), **methods}
    tried = {name: measure(method, data.test, asked.seeds) for name, method in methods.items()}
    tried["PCA"] = measure(lambda seed: pca(data.train, data.test, 2), data.test)
    rows = {name: figures for name, (figures, _) in tried.items()}
    print(f"Blobs: {len(data.train):,} points to train, {len(data.test):,} to test, 2 -> {CODE}")
    print(table(rows, {"cross-entropy": 4, "squared error": 7, "worst seed": 7, "seconds": 1}))
    say_winner(rows)
    moved = levers.move_each(keras, asked.images, asked.lever_epochs, asked.levers)
    held = claims(rows) | levers.claims(moved)
    say(held)
    if asked.out:
        from pictures import draw_codes

        codes = {name: outcome.test_code for name, (_, outcome) in tried.items()}
        draw_codes(asked.out, data.test_labels, codes)
    return {"rows": rows, "levers": moved, "claims": held}


if __name__ == "__main__":
    assert all(main()["claims"].values()), "a claim does not hold, see above"
