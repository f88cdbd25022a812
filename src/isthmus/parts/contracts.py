"""The six axes of a model. A new idea is a subclass of one of these, twenty to sixty lines.

Notation: B rows; ``shape`` is one row of x; a code has ``dim`` channels on a ``grid``, which is
``()`` for a vector; ``params`` is what the decoder says of one row, as the likelihood reads it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from torch import Tensor, nn

from isthmus.core.specs import Registry
from isthmus.core.types import Batch, Coded, Step

Shape = tuple[int, ...]
Pick = Callable[[Tensor], Tensor]


class Network(nn.Module, ABC):
    """What maps x to the code and back; it owns both directions, so that they start together."""

    stride: int = 1
    """How many positions of x one position of the code stands for, along each axis."""
    starts_plain: bool = False
    """Whether ``start`` makes it the plain method, so that it can be kept untrained."""
    aligned: ClassVar[bool] = False
    """Whether a place in x means the same in every row, as a column or a pixel does: the mean of
    the place then stands in for what is missing, in place of 0."""
    pace: float = 1.0
    """Of an optimiser's usual learning rate, how much suits it."""

    @abstractmethod
    def encode(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """(B, *inputs), what the likelihood shows of x, to (B, n_params, dim, *grid)."""

    @abstractmethod
    def decode(self, z: Tensor, x: Tensor | None = None) -> Tensor:
        """(B, dim, *grid) to (B, *params); may read only earlier values of ``x``."""

    def grid(self, shape: Shape) -> Shape:
        """The code's grid for a row of this shape."""
        return ()

    def start(self, batch: Batch, params: Tensor) -> None:
        """Begin as the plain method: PCA down, least squares up to ``params``."""

    def unroll(self, z: Tensor, pick: Pick) -> Tensor:
        """(B, *shape), decoded step by step where ``decode`` reads x.

        ``pick`` turns params into x: the mean, a draw, or what an entropy decoder finds.
        """
        return pick(self.decode(z))


class Prior(nn.Module, ABC):
    """What is believed of z: one object to score and to sample."""

    dim: int

    @abstractmethod
    def log_prob(self, z: Tensor) -> Tensor:
        """(B, dim, *grid) to (B,) nats."""

    def expected_log_prob(self, z: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
        """(B,) nats, expected over a normal posterior from which ``z`` is one draw.

        In use, where nothing is drawn: the mean of one scale above and one below, which is exact
        where ``log_prob`` is quadratic.
        """
        if self.training:
            return self.log_prob(z)
        scale = log_scale.exp()
        return 0.5 * (self.log_prob(mean + scale) + self.log_prob(mean - scale))

    @abstractmethod
    def sample(self, n: int, grid: Shape = ()) -> Tensor:
        """(n, dim, *grid) drawn."""

    def start(self, latents: Tensor, weight: Tensor | None = None) -> None:
        """Look at (n, dim, *grid) codes, of rows with (n,) weights, before a phase begins."""

    def learn(self, z: Tensor, weight: Tensor | None = None) -> None:
        """Follow the codes of a step of training, of rows with (B,) weights."""


class Code(nn.Module, ABC):
    """How the encoder's output becomes z, and what z costs."""

    n_params: int = 1
    has_aux: bool = False
    """Whether ``Coded.aux`` is more than zeros."""
    starts_plain: ClassVar[bool] = True
    """Whether it takes what the encoder says as it is, so that PCA stays PCA."""
    dim: int
    prior: Prior

    @abstractmethod
    def forward(self, h: Tensor, weight: Tensor | None = None) -> Coded:
        """(B, n_params, dim, *grid) to the code; draws only while training.

        ``weight``, (B,), is that of rows, for what is counted or averaged while training.
        """

    def sample(self, n: int, grid: Shape = ()) -> Tensor:
        """(n, dim, *grid) codes drawn from the prior."""
        return self.prior.sample(n, grid)

    def look(self, h: Tensor, weight: Tensor | None = None) -> None:
        """Look at (n, n_params, dim, *grid) outputs of the just started encoder, of rows with
        (n,) weights.
        """

    def start(self, curvature: Tensor) -> None:
        """Look at what one unit squared of each code dimension costs, (dim,) nats."""


class Likelihood(nn.Module, ABC):
    """How well the decoder's output explains x."""

    support: str | tuple[str, ...] = "real"
    """Where x lives: "real" (standardised), "unit" (0 to 1), "count" (whole numbers from 0 on) or
    "level" (numbers of levels); one for each column where they differ. The data are scaled
    accordingly."""
    starts_plain: bool = False
    """Whether least squares up to ``guess`` is the plain method itself, as under a Gaussian."""
    judged: ClassVar[str] = "error"
    """What training chooses weights by where the code costs nothing: "error" or "nats"."""

    def params(self, shape: Shape) -> Shape:
        """The shape of the decoder's output for a row of ``shape``."""
        return shape

    def inputs(self, shape: Shape) -> Shape:
        """The shape of what the network sees of a row of ``shape``."""
        return shape

    def embed(self, x: Tensor) -> Tensor:
        """(B, *inputs) how x is shown to the network: a category by a place for each level."""
        return x

    def embed_weight(self, weight: Tensor) -> Tensor:
        """(B, *inputs) the weight of what is shown, from the weight of each value of x."""
        return weight

    def noisy(self, x: Tensor, noise: Tensor) -> Tensor:
        """(B, *shape) x with noise added, in units of what the network sees."""
        return x + noise

    def unembed(self, embedded: Tensor) -> Tensor:
        """(B, *shape) the x that looks most like (B, *inputs)."""
        return embedded

    def error(self, rebuilt: Tensor, x: Tensor) -> Tensor:
        """(B, *shape) the squared error of each value; of a category, whether it is wrong."""
        return (rebuilt - x).square()

    @abstractmethod
    def nll(self, params: Tensor, x: Tensor) -> Tensor:
        """(B, *shape) nats per value: the model weighs and sums."""

    @abstractmethod
    def mean(self, params: Tensor) -> Tensor:
        """(B, *shape) the expected x."""

    @abstractmethod
    def draw(self, params: Tensor) -> Tensor:
        """(B, *shape) an x drawn."""

    @abstractmethod
    def guess(self, x: Tensor) -> Tensor:
        """(B, *params) whose mean is x."""

    def start(self, batch: Batch, params: Tensor) -> None:
        """Look at data and at what the just started network says of them."""


class Corruption(nn.Module, ABC):
    """What the encoder gets to see while training."""

    hides: bool = False
    """Whether it hides values, as if they were missing."""

    def suit(self, likelihood: Likelihood) -> None:
        """Before a phase begins: learn how x is shown to the network."""

    @abstractmethod
    def forward(self, batch: Batch) -> tuple[Batch, Batch]:
        """What is seen, and the target."""


class Penalty(nn.Module, ABC):
    """What else should hold; sees the whole step, weighed by ``weight``.

    ``step.target.index`` numbers the rows in the order of the latents that ``start`` saw.
    """

    weight: float
    pulls: ClassVar[bool] = False
    """Whether it needs ``step.pull``, which ``torch.vmap`` does not know."""

    @abstractmethod
    def forward(self, model: nn.Module, step: Step) -> Tensor:
        """(B,) or () what is added to the loss, before its weight."""

    def start(self, latents: Tensor) -> None:
        """Look at (n, dim, *grid) codes before a phase begins."""


NETWORKS: Registry[Network] = Registry("network")
CODES: Registry[Code] = Registry("code")
PRIORS: Registry[Prior] = Registry("prior")
LIKELIHOODS: Registry[Likelihood] = Registry("likelihood")
CORRUPTIONS: Registry[Corruption] = Registry("corruption")
PENALTIES: Registry[Penalty] = Registry("penalty")
