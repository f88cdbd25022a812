"""The methods whose steps are measured, each as its own readers would write it."""

from __future__ import annotations

import os
import tempfile
import time
import warnings
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.data import Array
from benchmarks.jobs.steps import Network, Run

LEARNING_RATE = 1e-3
MATRIX_SIZE = 1024


def matrix_product(seconds: float) -> dict[str, Any]:
    """GFLOP/s of float32 products of 1,024 x 1,024 matrices, the best of ten windows."""
    import torch

    left, right = torch.rand(2, MATRIX_SIZE, MATRIX_SIZE)
    out = torch.mm(left, right)
    rates = []
    for _ in range(10):
        start, n = time.perf_counter(), 0
        while time.perf_counter() - start < seconds / 10:
            torch.mm(left, right, out=out)
            n += 1
        rates.append(2e-9 * n * MATRIX_SIZE**3 / (time.perf_counter() - start))
    return {"gflops": max(rates)}


def ours(network: Network, x: Array, seed: int, options: dict[str, Any]) -> Run:
    """With what is common to all compositions of ours."""
    from isthmus import Autoencoder

    def run(epochs: int) -> float:
        model = Autoencoder(
            network.sizes[-1], epochs=epochs, validation=0, random_state=seed, **options
        ).fit(x)
        weights = [p for p in model.model_.parameters() if p.ndim == 2]
        return sum((2.0 if p.shape[1] == x.shape[1] else 3.0) * p.numel() for p in weights)

    return run


def ours_alike(linear_path: bool) -> Callable[[Network, Array, int], Run]:
    """The layers, loss, optimiser and batch of the others."""

    def made(network: Network, x: Array, seed: int) -> Run:
        from isthmus import spec

        options = {
            "network": spec(
                "mlp", widths=network.sizes[1:-1], activation="relu", linear_path=linear_path
            ),
            "likelihood": "bernoulli" if network.bernoulli else "gaussian",
            "optimizer": "adam",
            "learning_rate": LEARNING_RATE,
            "batch_size": network.batch,
        }
        return ours(network, x, seed, options)

    return made


def ours_default(network: Network, x: Array, seed: int) -> Run:
    """What a user gets who says nothing but the size of the batch: another, larger network."""
    return ours(network, x, seed, {"batch_size": network.batch})


def layers(network: Network) -> tuple[Any, Any]:
    """Encoder and decoder in torch, without the sigmoid at the end."""
    from torch import nn

    def stack(sizes: list[int]) -> Any:
        modules: list[Any] = []
        for a, b in pairwise(sizes):
            modules += [nn.Linear(a, b), nn.ReLU()]
        return nn.Sequential(*modules[:-1])

    return stack([*network.sizes]), stack([*network.sizes[::-1]])


def bare(**adam: Any) -> Callable[[Network, Array, int], Run]:
    """The loop one writes oneself, data in memory."""

    def made(network: Network, x: Array, seed: int) -> Run:
        import torch
        from torch.nn import functional as F

        rows = torch.from_numpy(x)
        loss = F.binary_cross_entropy_with_logits if network.bernoulli else F.mse_loss

        def run(epochs: int) -> None:
            torch.manual_seed(seed)
            encoder, decoder = layers(network)
            parameters = [*encoder.parameters(), *decoder.parameters()]
            optimizer = torch.optim.Adam(parameters, lr=LEARNING_RATE, **adam)
            for _ in range(epochs):
                for index in torch.split(torch.randperm(len(rows)), network.batch):
                    batch = rows[index]
                    optimizer.zero_grad()
                    torch.autograd.backward(loss(decoder(encoder(batch)), batch))
                    optimizer.step()

        return run

    return made


def keras(backend: str, **compiled: Any) -> Callable[[Network, Array, int], Run]:
    """`compile` once and `fit` on arrays."""

    def made(network: Network, x: Array, seed: int) -> Run:
        os.environ["KERAS_BACKEND"] = backend
        import keras

        keras.utils.set_random_seed(seed)
        inner = [
            keras.layers.Dense(size, activation=None if size == network.sizes[-1] else "relu")
            for size in network.mirrored[1:-1]
        ]
        last = keras.layers.Dense(
            network.sizes[0], activation="sigmoid" if network.bernoulli else None
        )
        model = keras.Sequential([keras.Input((network.sizes[0],)), *inner, last])
        loss = "binary_crossentropy" if network.bernoulli else "mse"
        steps = {key: len(x) // network.batch for key in compiled}
        model.compile(keras.optimizers.Adam(LEARNING_RATE), loss=loss, **steps)

        def run(epochs: int) -> None:
            model.fit(x, x, epochs=epochs, batch_size=network.batch, verbose=0)

        return run

    return made


def pythae(network: Network, x: Array, seed: int) -> Run:
    """Its AE and trainer, with our layers; its loss is squared error, after a sigmoid."""
    from benchmarks.jobs.pythae_parts import trained

    def run(epochs: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            encoder, decoder = layers(network)
            trained(encoder, decoder, x, network.bernoulli, folder, epochs, network.batch, seed)

    return run


def pyod(**options: Any) -> Callable[[Network, Array, int], Run]:
    """Its AutoEncoder: relu at the code, linear output, squared error."""

    def made(network: Network, x: Array, seed: int) -> Run:
        from pyod.models.auto_encoder import AutoEncoder

        def run(epochs: int) -> None:
            AutoEncoder(
                epoch_num=epochs,
                batch_size=network.batch,
                hidden_neuron_list=[*network.sizes[1:]],
                random_state=seed,
                device="cpu",
                verbose=0,
                **options,
            ).fit(x)

        return run

    return made


def sklearn(network: Network, x: Array, seed: int) -> Run:
    """MLPRegressor from x to x: relu at the code, linear output, squared error."""
    from sklearn.neural_network import MLPRegressor

    def run(epochs: int) -> None:
        model = MLPRegressor(
            hidden_layer_sizes=network.mirrored[1:-1],
            batch_size=network.batch,
            max_iter=epochs,
            tol=0.0,
            n_iter_no_change=10**9,
            random_state=seed,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(x, np.asarray(x))

    return run


METHODS: dict[str, Callable[[Network, Array, int], Run]] = {
    "torch": bare(fused=True),
    "torch-default-adam": bare(),
    "ours": ours_alike(linear_path=False),
    "ours-linear-path": ours_alike(linear_path=True),
    "ours-default": ours_default,
    "keras-jax": keras("jax"),
    "keras-jax-epoch": keras("jax", steps_per_execution=True),
    "keras-torch": keras("torch"),
    "pythae": pythae,
    "pyod": pyod(batch_norm=False, dropout_rate=0.0, preprocessing=False),
    "pyod-default": pyod(),
    "sklearn": sklearn,
}
