"""Every lever of training, moved one at a time, with a code of 8: the second half of practice.py.

Three columns: plain Keras; Isthmus with the same plain network; Isthmus with its linear path, which
starts as PCA. Read down a column to see what a lever does, across a line to see what the start
does. The words are the same on both sides, the units are not quite: the learning rate of Isthmus is
a peak (it rises for a quarter of the run, then falls to zero), and its loss is in nats per value of
standardised data, so the same L2 and the same rate of SGD weigh differently.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from data import Images
from measure import Figures, errors, pca, table

from isthmus import Autoencoder, spec

HIDDEN, CODE = 64, 8
PLAIN, SAME, OURS = "plain Keras", "ours, same network", "ours, from PCA"

Settings = Mapping[str, Any]
BASE: Settings = {
    "activation": "relu",
    "learning rate": 1e-3,
    "batch size": 32,
    "L2": 0.0,
    "dropout": 0.0,
    "normalisation": "none",
    "optimiser": "adam",
}
LEVERS: Mapping[str, tuple[Any, ...]] = {
    "activation": ("sigmoid", "tanh", "gelu"),
    "learning rate": (1e-4, 1e-2),
    "batch size": (16, 256),
    "L2": (1e-5, 1e-3),
    "dropout": (0.1, 0.5),
    "normalisation": ("batch", "layer"),
    "optimiser": ("sgd", "rmsprop", "adamw", "lion"),
}
RATES = {"sgd": 0.1, "lion": 3e-4}
"""Learning rates for the optimisers that Adam's does not suit."""


def settings(levers: Iterable[str] = LEVERS) -> Iterator[tuple[str, Settings]]:
    """The base, then each lever at each of its other positions."""
    yield "base", BASE
    for lever in levers:
        for position in LEVERS[lever]:
            moved = {**BASE, lever: position}
            if lever == "optimiser":
                moved["learning rate"] = RATES.get(position, BASE["learning rate"])
            yield f"{lever} {position}", moved


def in_keras(keras: Any, images: Images, epochs: int, at: Settings) -> Figures:
    """The levers in plain Keras: each is a layer more, or an argument."""
    keras.utils.set_random_seed(0)
    layers, penalty = keras.layers, keras.regularizers.L2(at["L2"]) if at["L2"] else None
    normalise = {"batch": layers.BatchNormalization, "layer": layers.LayerNormalization}

    def hidden() -> list[Any]:
        stack = [layers.Dense(HIDDEN, kernel_regularizer=penalty)]
        if at["normalisation"] != "none":
            stack.append(normalise[at["normalisation"]]())
        stack.append(layers.Activation(at["activation"]))
        return [*stack, layers.Dropout(at["dropout"])] if at["dropout"] else stack

    code = layers.Dense(CODE, kernel_regularizer=penalty)
    last = layers.Dense(images.width, kernel_regularizer=penalty)
    model = keras.Sequential([keras.Input((images.width,)), *hidden(), code, *hidden(), last])
    options = {"momentum": 0.9, "nesterov": True} if at["optimiser"] == "sgd" else {}
    optimiser = {"sgd": "SGD", "rmsprop": "RMSprop", "adam": "Adam", "adamw": "AdamW"}
    kind = getattr(keras.optimizers, optimiser.get(at["optimiser"], at["optimiser"].title()))
    model.compile(optimizer=kind(at["learning rate"], **options), loss="mse")
    train, test = images.flat
    model.fit(train, train, epochs=epochs, batch_size=at["batch size"], verbose=0)
    return errors(test, model.predict(test, verbose=0))


def in_ours(images: Images, epochs: int, at: Settings, linear_path: bool) -> Figures:
    """The levers in Isthmus: each is a word."""
    network = spec(
        "mlp",
        widths=(HIDDEN,),
        activation=at["activation"],
        normalization=at["normalisation"],
        dropout=at["dropout"],
        linear_path=linear_path,
    )
    model = Autoencoder(
        latent_dim=CODE,
        network=network,
        optimizer=at["optimiser"],
        learning_rate=at["learning rate"],
        batch_size=at["batch size"],
        weight_decay=at["L2"],
        epochs=epochs,
        validation=0,
    )
    _, test = images.flat
    return errors(test, model.fit(images.train).reconstruct(images.test))


def move_each(
    keras: Any, images: Images, epochs: int, levers: Iterable[str] = LEVERS
) -> dict[str, Figures]:
    """Squared error on the test images for each setting, printed as one table."""
    began, moved = time.perf_counter(), {}
    for name, at in settings(levers):
        tried = {SAME: in_ours(images, epochs, at, False), OURS: in_ours(images, epochs, at, True)}
        if keras:
            tried = {PLAIN: in_keras(keras, images, epochs, at), **tried}
        moved[name] = {column: figures["squared error"] for column, figures in tried.items()}
    train, test = images.flat
    plain = errors(test, pca(train, test, CODE).rebuilt)["squared error"]
    moved["PCA"] = dict.fromkeys(next(iter(moved.values())), plain)
    seconds = time.perf_counter() - began
    print(
        f"\nLevers: {images.width} pixels -> {CODE}, {epochs} epochs each, {seconds:.0f} s in all"
    )
    print("base: " + ", ".join(f"{lever} {position}" for lever, position in BASE.items()))
    print(table(moved, dict.fromkeys(moved["PCA"], 5)))
    for column in moved["PCA"]:
        ranked = sorted((name for name in moved if name != "PCA"), key=lambda n: moved[n][column])
        print(f"{column}: best with {ranked[0]}, worst with {ranked[-1]}.")
        lost = [name for name in ranked if moved[name][column] > plain]
        if lost:
            print(f"  PCA beats it with {', '.join(lost)}.")
    return moved


def claims(moved: Mapping[str, Figures]) -> dict[str, bool]:
    """What the levers claim, and whether these figures bear it out."""
    errors = {column: [row[column] for row in moved.values()][:-1] for column in moved["PCA"]}
    return {
        "no setting of a lever makes the start as PCA worse than PCA":
            max(errors[OURS]) < moved["PCA"][OURS],
        "started as PCA, a badly set lever costs less than in the plain network":
            max(errors[OURS]) - min(errors[OURS]) < max(errors[SAME]) - min(errors[SAME]),
        "started as PCA, the error is less at the base and on average":
            moved["base"][OURS] < moved["base"][SAME] and sum(errors[OURS]) < sum(errors[SAME]),
    }  # fmt: skip
