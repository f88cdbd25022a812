"""Your own Keras models as encoder and decoder: on its PyTorch backend they are torch modules.

    python examples/classics/own_keras_modules.py

Keras builds the two models, Isthmus does the rest: scaling, training, validation, saving, scores.
Images reach them as PyTorch has them, (n, channels, height, width); their pixels are standardised,
so the decoder needs no sigmoid. A process has one backend: it is set before Keras is imported.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"

from data import Images, options, read
from keras_import import keras_or_none
from measure import Outcome, measure, pca, say, say_winner, table, worse_by_chance

from isthmus import Autoencoder

HIDDEN, CODE, BATCH, EPOCHS = 64, 32, 32, 50
PEAK_RATE = 0.002
"""Adam's rate is 0.001 in Keras. Ours rises to a peak and falls to zero: 0.001 on average."""
SEED_SPREAD = 0.06
"""Of the squared error on digits when Keras fits, relative, over ten seeds."""


def keras_models(keras: Any, images: Images, seed: int) -> tuple[Any, Any]:
    """An encoder and a decoder, as you would write them; neither is compiled."""
    keras.utils.set_random_seed(seed)
    dense, shape = keras.layers.Dense, images.train[0].shape
    encoder = keras.Sequential(
        [keras.Input((1, *shape)), keras.layers.Flatten(), dense(HIDDEN, "relu"), dense(CODE)]
    )
    decoder = keras.Sequential([keras.Input((CODE,)), dense(HIDDEN, "relu"), dense(images.width)])
    return encoder, decoder


def fitted_by_keras(keras: Any, images: Images, epochs: int, seed: int) -> Outcome:
    """The two models in a third, compiled and fitted as you know it."""
    encoder, decoder = keras_models(keras, images, seed)
    autoencoder = keras.Sequential([encoder, decoder])
    autoencoder.compile(optimizer="adam", loss="mse")
    train, test = images.train[:, None], images.test[:, None]
    autoencoder.fit(train, images.flat[0], epochs=epochs, batch_size=BATCH, verbose=0)
    codes = encoder.predict(train, verbose=0), encoder.predict(test, verbose=0)
    return Outcome(decoder.predict(codes[1], verbose=0), *codes)


def fitted_by_ours(keras: Any, images: Images, epochs: int, seed: int) -> Outcome:
    """Hand them over; the code is as wide as the encoder's last layer."""
    encoder, decoder = keras_models(keras, images, seed)
    model = Autoencoder(
        encoder=encoder,
        decoder=decoder,
        optimizer="adam",
        learning_rate=PEAK_RATE,
        epochs=epochs,
        batch_size=BATCH,
        random_state=seed,
    )
    codes = model.fit_transform(images.train), model.transform(images.test)
    return Outcome(model.inverse_transform(codes[1]).reshape(-1, images.width), *codes)


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Run the example; the figures by method, and the claims."""
    asked = read(options(__doc__, EPOCHS), argv)
    images: Images = asked.images
    train, test = images.flat
    keras = keras_or_none()
    if keras is None:
        return {"rows": {}, "claims": {}}
    if keras.backend.backend() != "torch":
        raise SystemExit("Keras was imported on another backend before; run this file by itself.")
    methods = {"fitted by Keras": fitted_by_keras, "fitted by ours": fitted_by_ours}
    rows, widths = {}, set()
    for name, fit in methods.items():
        with_models = partial(fit, keras, images, asked.epochs)
        rows[name], outcome = measure(with_models, test, asked.seeds)
        widths.add(outcome.test_code.shape[1])
    rows["PCA"], _ = measure(lambda seed: pca(train, test, CODE), test)
    print(table(rows, {"cross-entropy": 4, "squared error": 5, "seconds": 1}))
    say_winner(rows)
    allowed = worse_by_chance(SEED_SPREAD, len(asked.seeds))
    theirs, ours = (rows[name]["squared error"] for name in methods)
    held = {
        "the code is as wide as the encoder's last layer": widths == {CODE},
        "fitted by ours, Keras models are no worse than plain Keras, beyond chance":
            ours <= theirs * allowed,
    }  # fmt: skip
    say(held)
    return {"rows": rows, "claims": held}


if __name__ == "__main__":
    assert all(main()["claims"].values()), "a claim does not hold, see above"
