"""What a trained dense model answers, by the calls on arrays that trained it."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from isthmus.core.recipe import Phase
from isthmus.core.sparse import is_sparse
from isthmus.core.types import Batch
from isthmus.model import Model, of_values, without_gaps
from isthmus.training.dense.composition import Composition, answerable
from isthmus.training.dense.layout import Flat
from isthmus.training.dense.passes import Pass
from isthmus.training.dense.tape import Array

BLOCK = 256
"""Rows that pass through together, the last ones padded; see docs/decisions/0003."""


class Answers:
    """Codes, rows and scores, a block of rows at a time.

    Parameters
    ----------
    model : Model
        That ``answerable`` allows, with its weights as they are now.
    """

    def __init__(self, model: Model) -> None:
        self.model_weights = stamp(model)
        self.in_use = Lock()
        self.shape = model.shape
        self.bernoulli = False
        self.passes: dict[int, Pass] = {}
        for weights in (0, 1, int(np.prod(model.shape))):
            of = Composition([model], Phase(beta=1.0), weights, many=False)
            flat = Flat(of.layout, 1, many=False)
            flat.read([model])
            self.passes[weights] = Pass(of, flat, flat, BLOCK, None, trains=False)
            self.bernoulli = of.bernoulli
        self.has_rate = self.passes[0].of.layout.n_params == 2

    def encode(self, x: Tensor, weight: Tensor | None) -> Tensor:
        """(n, dim) codes."""
        rows, weights = arrays(Batch(x, None if weight is None or weight.ndim == 1 else weight))
        at_work = self._pass(weights)

        def run(into: Array, n: int) -> None:
            at_work.forward.run_from(0, at_work.encoded)
            into[:] = at_work.z[:n]

        return self._by_blocks(at_work, rows, weights, at_work.z.shape[1], run)

    def decode(self, z: Tensor) -> Tensor:
        """(n, *shape) expected rows of (n, dims) codes; dimensions left out are zero."""
        at_work = self.passes[0]
        found = np.empty((len(z), at_work.params.shape[1]), np.float32)
        codes = z.numpy()
        with self.in_use, np.errstate(all="ignore"), torch.no_grad():
            for first in range(0, len(codes), BLOCK):
                rows = codes[first : first + BLOCK]
                at_work.z[...] = 0
                at_work.z[: len(rows), : rows.shape[1]] = rows
                at_work.forward.run_from(at_work.encoded, at_work.decoded)
                found[first : first + BLOCK] = at_work.params[: len(rows)]
        mean = torch.from_numpy(found).view(-1, *self.shape)
        return mean.sigmoid_() if self.bernoulli else mean

    def score(self, batch: Batch) -> Tensor:
        """(n,) minus the nats that each row costs."""
        rows, weights = arrays(batch)
        at_work = self._pass(weights)

        def run(into: Array, n: int) -> None:
            at_work.forward.run()
            into[:] = -at_work.nll[:n]
            if self.has_rate:
                into -= at_work.rate[:n]

        return self._by_blocks(at_work, rows, weights, 1, run)[:, 0]

    def _pass(self, weights: Array | None) -> Pass:
        return self.passes[0 if weights is None else weights.shape[1]]

    def _by_blocks(
        self,
        at_work: Pass,
        rows: Any,
        weights: Array | None,
        columns: int,
        run: Callable[[Array, int], None],
    ) -> Tensor:
        found = np.empty((len(rows), columns), np.float32)
        with self.in_use, np.errstate(all="ignore"), torch.no_grad():
            for first in range(0, len(rows), BLOCK):
                n = min(BLOCK, len(rows) - first)
                at_work.x[:n] = np.asarray(rows[first : first + n])
                at_work.x[n:] = 0
                if weights is not None and at_work.weight is not None:
                    at_work.weight[:n] = weights[first : first + n]
                    at_work.weight[n:] = 0
                run(found[first : first + n], n)
        return torch.from_numpy(found)


def arrays(batch: Batch) -> tuple[Any, Array | None]:
    """The rows of a batch without gaps, sparse where they were, and their weights."""
    batch = without_gaps(batch)
    rows: Any = batch.x if is_sparse(batch.x) else batch.x.flatten(1).numpy()
    if batch.weight is None:
        return rows, None
    weight = batch.weight if batch.weight.ndim == 1 else of_values(batch)
    assert weight is not None
    return rows, weight.reshape(len(rows), -1).numpy()


def stamp(model: Model) -> list[Any]:
    """What changes when a weight does."""
    tensors = [*model.parameters(), *model.buffers()]
    return [(tensor.data_ptr(), tensor._version) for tensor in tensors]


KNOWN: WeakKeyDictionary[Model, Answers] = WeakKeyDictionary()


def answers(model: Model, x: Tensor) -> Answers | None:
    """What answers for a model with its weights as they are, where there is such a thing."""
    if x.device.type != "cpu" or x.dtype != torch.float32 or not answerable(model):
        return None
    found = KNOWN.get(model)
    if found is None or found.model_weights != stamp(model):
        found = KNOWN[model] = Answers(model)
    return found
