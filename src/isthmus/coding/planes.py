"""Planes of pixels to bytes and back, each pixel by what a network expects of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import constriction
import numpy as np
import numpy.typing as npt

from isthmus.coding.integers import IntegerNetwork
from isthmus.coding.mixture import Digits, Mixture, radices
from isthmus.coding.neighbourhood import Neighbourhood
from isthmus.coding.seen import Seen, neutral
from isthmus.coding.wavefront import Sheared, places_of, rows_at

Array = npt.NDArray[Any]

AT_ONCE = 1024
"""Pixels for which an encoder asks the network at a time."""
WORD = 32
WEIGHTS = "seen"
SEEN_DEPTH = 8
"""Bits of values of which it is noted how often each occurred."""


@dataclass(frozen=True)
class Predictor:
    """What is expected of a pixel, given its neighbourhood, and the values before it.

    Parameters
    ----------
    neighbourhood : Neighbourhood
    network : IntegerNetwork
    weights : array, optional
        See ``Seen``; None where the values that occurred tell nothing.
    """

    neighbourhood: Neighbourhood
    network: IntegerNetwork
    weights: Array | None = None

    def tensors(self) -> dict[str, Array]:
        """All numbers that it is made of, by name."""
        own = {} if self.weights is None else {WEIGHTS: self.weights}
        return {**self.network.tensors(), **own}


class Plane:
    """One plane of several images of one size, and those that were coded before it."""

    def __init__(
        self, predictor: Predictor, before: Sequence[Array], shape: tuple[int, int, int], depth: int
    ) -> None:
        self.predictor, self.depth, self.shape = predictor, depth, shape
        hood = predictor.neighbourhood
        self.lines = Sheared(*shape, hood.margins, hood.slope)
        self.seen: Seen | None = None
        if predictor.weights is not None and depth == SEEN_DEPTH:
            self.seen = Seen(predictor.weights, shape[0])
        self.before = []
        for plane in before[len(before) - hood.planes :]:
            known = Sheared(*shape, hood.margins, hood.slope)
            known.fill(plane)
            self.before.append(known)

    def expected(
        self, step: int, steps: int, low: int, high: int, used: Array | None = None
    ) -> Digits:
        """The distributions of the pixels of some steps and rows, or of those used of them."""
        hood, count = self.predictor.neighbourhood, self.shape[0]
        window = (step, steps, low, high)
        own = self.lines.neighbours(hood.own_offsets, *window)
        others = [plane.neighbours(hood.other_offsets, *window) for plane in self.before]
        places = None
        if hood.places:
            rows, columns = places_of(*window, hood.slope)
            places = np.repeat(rows.ravel(), count), np.repeat(columns.ravel(), count)
        if used is not None:
            own, others = own[:, used], [other[:, used] for other in others]
            places = places and (places[0][used], places[1][used])
        shown, reference, shift = hood.features(own, others, places, self.depth)
        mixture = Mixture(self.predictor.network(shown), reference, shift, self.depth)
        return Digits(mixture, self.depth)

    def weighed(self, image: Array, low: Array, counts: Array) -> Array:
        """What is expected of the last digits of pixels, given what their images had so far."""
        return counts if self.seen is None else self.seen.weigh(image, low, counts)

    def learn(self, digits: Array) -> None:
        """Take note of the last digits that were coded."""
        if self.seen is not None:
            self.seen.learn(digits)


def encode(planes: Sequence[Array], predictors: Sequence[Predictor], depth: int) -> bytes:
    """Code planes of images of one size.

    Parameters
    ----------
    planes : sequence of array of shape (count, height, width)
        Whole numbers of at most ``depth`` bits.
    predictors : sequence of Predictor
        One for each plane.
    depth : int
        1 to 16 bits.

    Returns
    -------
    bytes
    """
    coder = constriction.stream.queue.RangeEncoder()
    family = constriction.stream.model.Categorical(perfect=False)
    for number, (values, predictor) in enumerate(zip(planes, predictors, strict=True)):
        plane = Plane(predictor, planes[:number], values.shape, depth)
        plane.lines.fill(values)
        _encode_plane(plane, lambda digits, counts: coder.encode(digits, family, counts))
    return shortest(coder)


def _encode_plane(plane: Plane, put: Callable[[Array, Array], None]) -> None:
    """Ask for the pixels of many steps at a time, and code step after step, as they are decoded."""
    count, height, width = plane.shape
    lines, step = plane.lines, 0
    while step < lines.steps:
        low, high = rows_at(step, height, width, lines.slope)
        steps = min(max(1, AT_ONCE // max(1, (high - low) * count)), lines.steps - step)
        high = rows_at(step + steps - 1, height, width, lines.slope)[1]
        _, columns = places_of(step, steps, low, high, lines.slope)
        inside = (columns >= 0) & (columns < width)
        used = None if inside.all() else np.flatnonzero(np.repeat(inside.ravel(), count))
        values = lines.at(step, steps, low, high)
        values = values if used is None else values[used]
        found = plane.expected(step, steps, low, high, used)
        coded = []
        for bits in radices(plane.depth):
            counts = found.frequencies(bits)
            digits = ((values >> found.bits_left) & ((1 << bits) - 1)).astype(np.int32)
            coded.append((digits, counts))
            found.narrow(digits)
        ends = np.cumsum(inside.sum(axis=1)) * count
        image = (np.arange(steps * (high - low) * count) if used is None else used) % count
        *firsts, (digits, counts) = coded
        for start, stop in pairwise([0, *ends]):
            here = slice(start, stop)
            for first, expected in firsts:
                put(first[here], expected[here])
            put(digits[here], plane.weighed(image[here], values[here] - digits[here], counts[here]))
            plane.learn(digits[here])
        step += steps


def observed(planes: Sequence[Array], predictor: Predictor) -> tuple[Array, ...]:
    """What ``Seen`` knows when the last of some planes is coded, for its weights to be learned.

    Returns
    -------
    kinds : array of shape (n,)
    held, times : array of shape (n, 16)
    expected : array of shape (n, 16)
        Probabilities of the last digit, by the network alone.
    digits : array of shape (n,)
    """
    plain = replace(predictor, weights=neutral())
    plane = Plane(plain, planes[:-1], planes[-1].shape, SEEN_DEPTH)
    plane.lines.fill(planes[-1])
    notes: list[tuple[Array, ...]] = []

    def note(digits: Array, counts: Array) -> None:
        if plane.seen is not None and plane.seen.looked is not None:
            share = counts / counts.sum(axis=1, keepdims=True)
            notes.append((*plane.seen.looked, share.astype(np.float32), digits))

    _encode_plane(plane, note)
    return tuple(np.concatenate(part) for part in zip(*notes, strict=True))


def decode(
    data: bytes,
    predictors: Sequence[Predictor],
    shape: tuple[int, int, int],
    depth: int,
) -> list[Array]:
    """The planes that ``encode`` coded, of images of shape (count, height, width).

    Raises
    ------
    ValueError
        If the bytes cannot have come from ``encode``.
    """
    words = np.frombuffer(data + bytes(-len(data) % 4), ">u4").astype(np.uint32)
    coder = constriction.stream.queue.RangeDecoder(words)
    family = constriction.stream.model.Categorical(perfect=False)
    done: list[Array] = []
    for predictor in predictors:
        plane = Plane(predictor, done, shape, depth)
        try:
            _decode_plane(plane, lambda counts: coder.decode(family, counts))
        except AssertionError as error:  # what constriction raises of bytes that are impossible
            raise ValueError("the coded bytes are damaged") from error
        done.append(plane.lines.planes())
    return done


def _decode_plane(plane: Plane, take: Callable[[Array], Array]) -> None:
    count, height, width = plane.shape
    for step in range(plane.lines.steps):
        low, high = rows_at(step, height, width, plane.lines.slope)
        if low >= high:
            continue
        found = plane.expected(step, 1, low, high)
        *firsts, last = radices(plane.depth)
        for bits in firsts:
            found.narrow(take(found.frequencies(bits)))
        image = np.arange((high - low) * count) % count
        digits = take(plane.weighed(image, found.low, found.frequencies(last)))
        plane.learn(digits)
        found.narrow(digits)
        plane.lines.put(step, low, high, found.low.reshape(high - low, count))


def shortest(coder: Any) -> bytes:
    """The fewest bytes that stand for what was coded; those left out are read as 0.

    The coder ends with a word within the interval that is left; of all such words, the one with
    the most zeros at its end is as good.
    """
    words = [int(word) for word in coder.get_compressed()]
    _, (lower, span) = coder.pos()
    first, last = -(-lower >> WORD), (lower + span - 1) >> WORD
    if words and first <= words[-1] <= last < 1 << WORD:
        for zeros in (WORD, 24, 16, 8):
            rounded = -(-first >> zeros) << zeros
            if rounded <= last:
                words[-1] = rounded
                break
    return b"".join(word.to_bytes(4, "big") for word in words).rstrip(b"\0")
