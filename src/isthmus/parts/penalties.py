"""Penalties: what else should hold."""

from __future__ import annotations

from torch import Tensor, nn

from isthmus.core.ranges import number
from isthmus.core.types import Step
from isthmus.parts.contracts import PENALTIES, Penalty


@PENALTIES.register("l1")
class L1(Penalty):
    """The mean absolute value of the code, which makes it sparse (Ng 2011,
    https://web.stanford.edu/class/cs294a/sparseAutoencoder.pdf).

    Parameters
    ----------
    weight : float
        Nats per unit of mean absolute code and value of x.
    """

    def __init__(self, weight: float = 1e-2) -> None:
        super().__init__()
        self.weight = number(weight, "weight")

    def forward(self, model: nn.Module, step: Step) -> Tensor:
        return step.code.z.abs().flatten(1).mean(1)
