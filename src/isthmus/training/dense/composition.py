"""Which compositions the dense engine can express, and what it has to know of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from isthmus.core.recipe import Phase
from isthmus.core.sparse import is_sparse
from isthmus.core.types import Batch
from isthmus.model import Model
from isthmus.objective import Objective
from isthmus.parts.codes.plain import Gaussian as GaussianCode
from isthmus.parts.codes.plain import Point
from isthmus.parts.corruptions import Mask, Noise, Nothing
from isthmus.parts.likelihoods import Bernoulli, Gaussian
from isthmus.parts.networks import Dense
from isthmus.parts.networks.layers import AlignedLinear
from isthmus.parts.priors import Normal
from isthmus.training.dense.activations import PASSES
from isthmus.training.dense.layout import Layout
from isthmus.training.dense.tape import Array


def expressible(model: Model, phases: Sequence[Phase], data: Batch) -> bool:
    """Whether the dense engine can train the model through all its phases on such data."""
    network, code = model.network, model.code
    return (
        type(network) is Dense
        and _layers_known(network)
        and (type(code) is Point or (type(code) is GaussianCode and not code.sampled))
        and type(code.prior) is Normal
        and type(model.likelihood) in (Gaussian, Bernoulli)
        and all(p.requires_grad for p in network.parameters())
        and all(_phase_known(phase, model) for phase in phases)
        and _data_known(data)
    )


def answerable(model: Model) -> bool:
    """Whether the dense engine can answer for a model in use, however it was trained."""
    network, code = model.network, model.code
    return (
        type(network) is Dense
        and _layers_known(network)
        and type(code) in (Point, GaussianCode)
        and type(code.prior) is Normal
        and type(model.likelihood) in (Gaussian, Bernoulli)
        and next(model.parameters()).device.type == "cpu"
        and all(parameter.dtype == torch.float32 for parameter in model.parameters())
        and not any(layer._forward_hooks or layer._forward_pre_hooks for layer in model.modules())
    )


def _layers_known(network: Dense) -> bool:
    """Whether each layer is what ``Dense`` makes it, and not one that a user put in its place."""
    layers = [*network.encoder, *network.decoder]
    return len(network.encoder) > 1 and all(
        type(layer) in (AlignedLinear, nn.Dropout)
        or (type(layer) in PASSES and repr(layer) == repr(type(layer)()))
        for layer in layers
    )


def _phase_known(phase: Phase, model: Model) -> bool:
    objective = Objective(model, phase)
    corruption = objective.corruption
    return (
        not objective.penalties
        and not objective.by_rows
        and (type(corruption) in (Nothing, Noise) or _hides_values(corruption))
    )


def _hides_values(corruption: nn.Module) -> bool:
    return type(corruption) is Mask and corruption.patch == 1


def _data_known(data: Batch) -> bool:
    weight = data.weight
    weighed = weight is None or weight.ndim in (1, data.x.ndim)
    return not is_sparse(data.x) and weighed and data.given is None and data.clean is None


class Composition:
    """What one phase of training asks of models of one shape, as arrays.

    Parameters
    ----------
    models : sequence of Model
        Started, all of one composition.
    phase : Phase
    weights : int
        Of a row of data: 0, 1 (the row's), or one for each value.
    many : bool
        Whether arrays have a first axis over models.
    dtype : dtype
    """

    def __init__(
        self,
        models: Sequence[Model],
        phase: Phase,
        weights: int,
        many: bool,
        dtype: Any = np.float32,
    ) -> None:
        model = models[0]
        network, code, likelihood = model.network, model.code, model.likelihood
        assert isinstance(network, Dense)
        self.layout = Layout(model)
        self.weights = weights
        objective = Objective(model, phase)
        self.fit, self.beta = objective.fit, objective.beta
        corruption = objective.corruption
        self.noise = corruption.scale if isinstance(corruption, Noise) else 0.0
        self.hidden = corruption.share if isinstance(corruption, Mask) else 0.0
        self.down = [m for m in network.encoder if type(m) in PASSES]
        self.up = [m for m in network.decoder if type(m) in PASSES]
        drops = [m.p for m in network.encoder if isinstance(m, nn.Dropout)]
        self.dropout = drops[0] if drops else 0.0
        self.bernoulli = isinstance(likelihood, Bernoulli)
        self.log_scale = 0.0
        """Of the likelihood, where it is fixed."""
        if isinstance(likelihood, Gaussian) and not self.layout.scales:
            self.log_scale = float(likelihood.log_scale)

        def stacked(tensors: list[Tensor]) -> Array:
            """(..., 1, n)."""
            rows = np.stack([t.detach().reshape(1, -1).numpy() for t in tensors]).astype(dtype)
            return rows if many else rows[0]

        self.usual = stacked([m.usual for m in models])
        if network.path is not None:
            paths = [m.network.path for m in models if isinstance(m.network, Dense)]
            values = math.prod(network.shape)
            self.gain = stacked([p.gain.expand(values) for p in paths if p is not None])
            self.shift = stacked([p.shift for p in paths if p is not None])
        if isinstance(code, GaussianCode):
            codes = [m.code for m in models if isinstance(m.code, GaussianCode)]
            self.offset = stacked([c.start_log_scale for c in codes])
