"""What a trained dense model answers, by the calls on arrays that trained it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from threading import Lock
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from isthmus.core.recipe import Phase
from isthmus.core.types import Batch
from isthmus.model import Model
from isthmus.training.dense.composition import Composition, answerable
from isthmus.training.dense.layout import Flat
from isthmus.training.dense.passes import Pass
from isthmus.training.dense.rows import Rows
from isthmus.training.dense.tape import Array
from isthmus.training.plan import threads_for
from isthmus.training.surroundings import own_threads

BLOCK = 256
"""Rows that pass through together, the last ones padded."""
SHARED_ROWS = 16 * BLOCK
"""Rows from which several threads take a part each."""


class Answers:
    """Codes, rows and scores, a block of rows at a time.

    Parameters
    ----------
    compositions : dict of int to Composition
        By how many weights a row has.
    flat : Flat
        The weights.
    shape : tuple of int
        One row.
    """

    def __init__(
        self, compositions: dict[int, Composition], flat: Flat, shape: tuple[int, ...]
    ) -> None:
        self.compositions, self.flat, self.shape = compositions, flat, shape
        self.work = 3.0 * flat.layout.size * BLOCK
        self.bernoulli = compositions[0].bernoulli
        self.has_rate = flat.layout.n_params == 2
        self.alone = Lock()
        self.passes: dict[int, Pass] = {}
        self.others: list[Answers] = []
        """Each for a thread of its own."""

    @classmethod
    def of(cls, model: Model) -> Answers:
        """Those of a model that ``answerable`` allows, with its weights as they are."""
        kinds = {0, 1, int(np.prod(model.shape))}
        found = {n: Composition([model], Phase(beta=1.0), n, many=False) for n in kinds}
        flat = Flat(found[0].layout, 1, many=False)
        flat.read([model])
        return cls(found, flat, model.shape)

    def encode(self, x: Tensor, weight: Tensor | None) -> Tensor:
        """(n, dim) codes."""
        rows = Rows(Batch(x, None if weight is None or weight.ndim == 1 else weight))
        return self._shared_out(len(rows), lambda who, some: who._encode(rows, some))

    def decode(self, z: Tensor) -> Tensor:
        """(n, *shape) expected rows of (n, dims) codes; dimensions left out are zero."""
        mean = self._shared_out(len(z), lambda who, some: who._decode(z.numpy()[some]))
        mean = mean.view(-1, *self.shape)
        return mean.sigmoid_() if self.bernoulli else mean

    def score(self, batch: Batch) -> Tensor:
        """(n,) minus the nats that each row costs."""
        rows = Rows(batch)
        return self._shared_out(len(rows), lambda who, some: who._score(rows, some))[:, 0]

    def _shared_out(self, n: int, run: Callable[[Answers, slice], Array]) -> Tensor:
        """Whole blocks to each thread, where there are many; else all to this one."""
        within = threads_for(self.work)
        count = torch.get_num_threads() if within == 1 and n >= SHARED_ROWS else 1
        with own_threads(within):
            if count == 1:
                return torch.from_numpy(run(self, slice(0, n)))
            while len(self.others) < count - 1:
                self.others.append(Answers(self.compositions, self.flat, self.shape))
            each = -(-n // (count * BLOCK)) * BLOCK
            # A new thread does not know the number of threads that this one has set.
            single = partial(torch.set_num_threads, 1)
            with ThreadPoolExecutor(count - 1, initializer=single) as pool:
                later = [
                    pool.submit(run, other, slice((i + 1) * each, min(n, (i + 2) * each)))
                    for i, other in enumerate(self.others[: count - 1])
                ]
                first = run(self, slice(0, each))
                return torch.from_numpy(np.concatenate([first, *(part.result() for part in later)]))

    @contextmanager
    def _at_work(self, weights: int) -> Iterator[Pass]:
        """The pass for rows of so many weights, for nobody else meanwhile."""
        normal = torch.inference_mode(False)  # what it makes has to outlast the caller's mode
        with self.alone, np.errstate(all="ignore"), normal, torch.no_grad():
            if weights not in self.passes:
                of = self.compositions[weights]
                self.passes[weights] = Pass(of, self.flat, self.flat, BLOCK, None, trains=False)
            yield self.passes[weights]

    def _encode(self, rows: Rows, some: slice) -> Array:
        def run(at_work: Pass) -> Array:
            at_work.forward.run(0, at_work.encoded)
            return at_work.z

        return self._by_blocks(rows, some, self.flat.layout.dim, run)

    def _score(self, rows: Rows, some: slice) -> Array:
        def run(at_work: Pass) -> Array:
            at_work.forward.run()
            return -(at_work.nll + at_work.rate) if self.has_rate else -at_work.nll

        return self._by_blocks(rows, some, 1, run)

    def _decode(self, codes: Array) -> Array:
        found = np.empty((len(codes), self.flat.layout.n_out), np.float32)
        with self._at_work(0) as at_work:
            for first in range(0, len(codes), BLOCK):
                rows = codes[first : first + BLOCK]
                at_work.z[...] = 0
                at_work.z[: len(rows), : rows.shape[1]] = rows
                at_work.forward.run(at_work.encoded, at_work.decoded)
                found[first : first + BLOCK] = at_work.params[: len(rows)]
        return found

    def _by_blocks(
        self, rows: Rows, some: slice, columns: int, run: Callable[[Pass], Array]
    ) -> Array:
        found = np.empty((max(0, some.stop - some.start), columns), np.float32)
        with self._at_work(rows.weights) as at_work:
            for first in range(some.start, some.stop, BLOCK):
                block = slice(first, min(first + BLOCK, some.stop))
                rows.copy(at_work, block)
                n = block.stop - first
                found[first - some.start :][:n] = run(at_work)[:n]
        return found


class Known(NamedTuple):
    """A model as it was when its answers were recorded."""

    layers: list[type]
    tensors: list[Tensor]
    answers: Answers

    @classmethod
    def of(cls, model: Model) -> Known:
        """A model as it is."""
        tensors = [tensor.detach().clone() for tensor in _tensors(model)]
        return cls([type(layer) for layer in model.modules()], tensors, Answers.of(model))

    def still(self, model: Model) -> bool:
        """Whether neither a layer nor a number is another."""
        tensors = _tensors(model)
        alike = len(tensors) == len(self.tensors)
        alike = alike and self.layers == [type(layer) for layer in model.modules()]
        return alike and all(map(torch.equal, tensors, self.tensors))


def _tensors(model: Model) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]


KNOWN: WeakKeyDictionary[Model, Known] = WeakKeyDictionary()


def answers(model: Model, x: Tensor) -> Answers | None:
    """What answers for a model with its weights as they are, where there is such a thing."""
    if x.device.type != "cpu" or x.dtype != torch.float32 or not answerable(model):
        return None
    known = KNOWN.get(model)
    if known is None or not known.still(model):
        known = KNOWN[model] = Known.of(model)
    return known.answers
