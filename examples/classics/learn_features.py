"""Learn features: a code learned without labels, and a look at what it is good for.

First the classic in plain Keras: hidden layer of 64, code of 32, squared error, Adam. Then the
same network in Isthmus, Isthmus as it comes, PCA with 32 components, and the raw pixels. No method
sees a label while it learns its code. Then the labels judge the codes: nearest neighbours and a
logistic regression learn digits from them, k-means looks for the ten classes on its own.

    python examples/classics/learn_features.py
    python examples/classics/learn_features.py --data fashion_mnist_train.npz --out pictures
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from data import Images, options, read
from keras_import import keras_or_none
from measure import Figures, Outcome, measure, pca, say, say_winner, table, worse_by_chance
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from isthmus import Autoencoder, spec

HIDDEN, CODE, BATCH, EPOCHS = 64, 32, 32, 50
PEAK_RATE = 0.002
"""Adam's rate is 0.001 in Keras. Ours rises to a peak and falls to zero: 0.001 on average."""
SEED_SPREAD = 0.06
"""Of the classic's squared error on digits, relative, over ten seeds."""
MOST_LABELLED = 10_000
"""Judge codes by at most so many labelled rows: neighbours of 50,000 rows take minutes."""


def plain_keras(keras: Any, images: Images, epochs: int, seed: int) -> Outcome:
    """The classic, as you know it."""
    keras.utils.set_random_seed(seed)
    train, test = images.flat
    dense = keras.layers.Dense
    encoder = keras.Sequential(
        [keras.Input((images.width,)), dense(HIDDEN, activation="relu"), dense(CODE)]
    )
    decoder = keras.Sequential(
        [keras.Input((CODE,)), dense(HIDDEN, activation="relu"), dense(images.width)]
    )
    autoencoder = keras.Sequential([encoder, decoder])
    autoencoder.compile(optimizer="adam", loss="mse")
    autoencoder.fit(train, train, epochs=epochs, batch_size=BATCH, verbose=0)
    codes = encoder.predict(train, verbose=0), encoder.predict(test, verbose=0)
    return Outcome(decoder.predict(codes[1], verbose=0), *codes)


def ours(model: Autoencoder, images: Images) -> Outcome:
    """Fit an Isthmus model and use it: the whole of it."""
    codes = model.fit_transform(images.train), model.transform(images.test)
    return Outcome(model.inverse_transform(codes[1]).reshape(-1, images.width), *codes)


def same_network(images: Images, epochs: int, seed: int) -> Outcome:
    """The classic's network: plain layers with a random start, squared error, all images."""
    model = Autoencoder(
        latent_dim=CODE,
        network=spec("mlp", widths=(HIDDEN,), activation="relu", linear_path=False),
        likelihood="gaussian",
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


def worth(images: Images, outcome: Outcome) -> Figures:
    """What a code is good for: accuracies on the test images, agreement of clusters and classes.

    Distances are those of the code as it comes, which for PCA are those of the pixels.
    """
    labels = images.train_labels[:MOST_LABELLED]
    code = outcome.train_code[:MOST_LABELLED]
    neighbours = KNeighborsClassifier(5).fit(code, labels)
    logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        logistic.fit(code, labels)
    clusters = KMeans(len(np.unique(labels)), n_init=10, random_state=0).fit(code)
    found = clusters.predict(outcome.test_code)
    return {
        "k-NN": neighbours.score(outcome.test_code, images.test_labels),
        "logistic": logistic.score(outcome.test_code, images.test_labels),
        "k-means ARI": adjusted_rand_score(images.test_labels, found),
    }


def claims(rows: dict[str, Figures], runs: int) -> dict[str, bool]:
    """What this example claims, and whether these figures bear it out."""
    squared = {name: row["squared error"] for name, row in rows.items()}
    found = {name: row["k-NN"] for name, row in rows.items()}
    held = {
        "ours beats PCA in squared error": squared["ours"] < squared["PCA"],
        "neighbours in the code of ours are as good as in PCA's, within 0.02":
            found["ours"] >= found["PCA"] - 0.02,
    }  # fmt: skip
    if "plain Keras" in rows:
        allowed = squared["plain Keras"] * worse_by_chance(SEED_SPREAD, runs)
        held |= {
            "ours, same network, is no worse than plain Keras, beyond chance":
                squared["ours, same network"] <= allowed,
            "ours beats plain Keras in squared error": squared["ours"] < squared["plain Keras"],
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
    judge = partial(worth, images)
    tried = {name: measure(method, test, asked.seeds, judge) for name, method in methods.items()}
    tried["PCA"] = measure(lambda seed: pca(train, test, CODE), test, further=judge)
    rows = {name: figures for name, (figures, _) in tried.items()}
    judged = {**rows, "raw pixels": judge(Outcome(test, train, test))}
    print(f"{len(train):,} images to train, {len(test):,} to test, {images.width} pixels -> {CODE}")
    columns = {"cross-entropy": 4, "squared error": 5, "seconds": 1}
    print(table(judged, columns | {"k-NN": 3, "logistic": 3, "k-means ARI": 3}))
    say_winner(rows)
    for job in ("k-NN", "logistic", "k-means ARI"):
        print(f"Best for {job}: {max(judged, key=lambda name: judged[name][job])}.")
    held = claims(rows, len(asked.seeds))
    say(held)
    if asked.out:
        from pictures import draw

        draw(asked.out, images, {name: outcome for name, (_, outcome) in tried.items()})
    return {"rows": judged, "claims": held}


if __name__ == "__main__":
    assert all(main()["claims"].values()), "a claim does not hold, see above"
