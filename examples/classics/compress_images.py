"""Compress images: each image squeezed through 32 numbers, and opened again.

First the classic deep autoencoder in plain Keras: 784-128-64-32 and back, ReLU, a sigmoid at the
end, binary cross-entropy, Adam, 50 epochs in batches of 256. Then the same network in Isthmus,
then Isthmus as it comes, and PCA with 32 components, which every autoencoder should beat.

    python examples/classics/compress_images.py
    python examples/classics/compress_images.py --data mnist_train.npz --out pictures
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from data import Images, options, read
from keras_import import keras_or_none
from measure import Figures, Outcome, measure, pca, say, say_winner, table, worse_by_chance

from isthmus import Autoencoder, spec

CODE, BATCH, EPOCHS = 32, 256, 50
PEAK_RATE = 0.002
"""Adam's rate is 0.001 in Keras. Ours rises to a peak and falls to zero: 0.001 on average."""
SEED_SPREAD = 0.01
"""Of the classic's cross-entropy on digits, relative, over ten seeds."""
MNIST_SIZE = 60_000


def plain_keras(keras: Any, images: Images, epochs: int, seed: int) -> Outcome:
    """The classic, as you know it."""
    keras.utils.set_random_seed(seed)
    train, test = images.flat
    dense = keras.layers.Dense
    encoder = keras.Sequential(
        [
            keras.Input((images.width,)),
            dense(128, activation="relu"),
            dense(64, activation="relu"),
            dense(CODE),  # Many write a ReLU here too; without it the classic does better.
        ]
    )
    decoder = keras.Sequential(
        [
            keras.Input((CODE,)),
            dense(64, activation="relu"),
            dense(128, activation="relu"),
            dense(images.width, activation="sigmoid"),
        ]
    )
    autoencoder = keras.Sequential([encoder, decoder])
    autoencoder.compile(optimizer="adam", loss="binary_crossentropy")
    autoencoder.fit(
        train, train, epochs=epochs, batch_size=BATCH, validation_data=(test, test), verbose=0
    )
    codes = encoder.predict(train, verbose=0), encoder.predict(test, verbose=0)
    return Outcome(decoder.predict(codes[1], verbose=0), *codes)


def ours(model: Autoencoder, images: Images) -> Outcome:
    """Fit an Isthmus model and use it: the whole of it."""
    model.fit(images.train)
    rebuilt = model.reconstruct(images.test).reshape(-1, images.width)
    return Outcome(rebuilt, model.transform(images.train), model.transform(images.test))


def same_network(images: Images, epochs: int, seed: int) -> Outcome:
    """The classic's network and loss: plain layers with a random start, all images to train."""
    model = Autoencoder(
        latent_dim=CODE,
        network=spec("mlp", widths=(128, 64), activation="relu", linear_path=False),
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
    return ours(Autoencoder(latent_dim=CODE, random_state=seed), images)


def claims(rows: dict[str, Figures], runs: int) -> dict[str, bool]:
    """What this example claims, and whether these figures bear it out."""
    crossed = {name: row["cross-entropy"] for name, row in rows.items()}
    squared = {name: row["squared error"] for name, row in rows.items()}
    held = {"ours beats PCA in squared error": squared["ours"] < squared["PCA"]}
    if "plain Keras" in rows:
        allowed = crossed["plain Keras"] * worse_by_chance(SEED_SPREAD, runs)
        held |= {
            "ours, same network, is no worse than plain Keras in its own loss, beyond chance":
                crossed["ours, same network"] <= allowed,
            "ours beats plain Keras in squared error, however long that trains":
                all(squared["ours"] < e for name, e in squared.items() if "Keras" in name),
        }  # fmt: skip
    return held


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Run the example; the figures by method, and the claims."""
    asked = read(options(__doc__, EPOCHS), argv)
    images: Images = asked.images
    train, test = images.flat
    methods = {
        "ours, same network": partial(same_network, images, asked.epochs),
        "ours": partial(defaults, images),
    }
    if keras := keras_or_none():
        methods = {"plain Keras": partial(plain_keras, keras, images, asked.epochs), **methods}
    tried = {name: measure(method, test, asked.seeds) for name, method in methods.items()}
    if keras and len(train) < MNIST_SIZE // 2:
        # A few images make few steps. To be fair: as many steps as 50 epochs of MNIST would be.
        longer = asked.epochs * MNIST_SIZE // len(train)
        name = f"plain Keras, {longer:,} epochs"
        tried[name] = measure(partial(plain_keras, keras, images, longer), test)
    tried["PCA"] = measure(lambda seed: pca(train, test, CODE), test)
    rows = {name: figures for name, (figures, _) in tried.items()}
    print(f"{len(train):,} images to train, {len(test):,} to test, {images.width} pixels -> {CODE}")
    print(table(rows, {"cross-entropy": 4, "squared error": 5, "seconds": 1}))
    say_winner(rows)
    held = claims(rows, len(asked.seeds))
    say(held)
    if asked.out:
        from pictures import draw

        draw(asked.out, images, {name: outcome for name, (_, outcome) in tried.items()})
    return {"rows": rows, "claims": held}


if __name__ == "__main__":
    assert all(main()["claims"].values()), "a claim does not hold, see above"
