"""Models of one composition that answer together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from isthmus.model import Model, n_parameters
from isthmus.parts import Code, Likelihood, Network


class Ensemble(nn.Module):
    """Answers with the mean of its members (Hansen & Salamon 1990,
    https://doi.org/10.1109/34.58871).

    What is of a kind that has no mean, as categories, is averaged as the network sees it: the
    level with the most votes. Codes have no mean either, since each member writes a language of
    its own: those of the first are given, and read by the first.

    Parameters
    ----------
    members : sequence of Model
    """

    def __init__(self, members: Sequence[Model]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        first = members[0]
        self.shape, self.dim, self.gaps = first.shape, first.dim, first.gaps

    @property
    def models(self) -> list[Model]:
        """The members, as what they are."""
        return [cast(Model, member) for member in self.members]

    @property
    def grid(self) -> tuple[int, ...]:
        """The grid of the codes, ``()`` for vectors."""
        return self.models[0].grid

    @property
    def network(self) -> Network:
        """That of the first member."""
        return self.models[0].network

    @property
    def code(self) -> Code:
        """That of the first member."""
        return self.models[0].code

    @property
    def likelihood(self) -> Likelihood:
        """That of the first member."""
        return self.models[0].likelihood

    @property
    def starts_plain(self) -> bool:
        """Whether the members are PCA before they are trained."""
        return self.models[0].starts_plain

    def codes(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """(n, dim, *grid) as ``Model.codes``, of the first member."""
        return self.models[0].codes(x, weight)

    def expected(self, z: Tensor) -> Tensor:
        """(n, *shape) as ``Model.expected``, by the first member."""
        return self.models[0].expected(z)

    def together(self, rows: Sequence[Tensor]) -> Tensor:
        """(n, *shape) what the members say of the same rows, as one."""
        shown = torch.stack([self.likelihood.embed(part) for part in rows]).mean(0)
        return self.likelihood.unembed(shown)

    def sample(self, n: int) -> Tensor:
        """(n, *shape) rows drawn from the members in turn."""
        shares = [len(range(i, n, len(self.models))) for i in range(len(self.models))]
        drawn = [m.sample(share) for m, share in zip(self.models, shares, strict=True) if share]
        return torch.cat(drawn)


def describe(model: Model | Ensemble) -> dict[str, Any]:
    """Shapes and sizes, for ``info`` and the model card."""
    return {
        "shape": list(model.shape),
        "latent_dim": model.dim,
        "grid": list(model.grid),
        "gaps": model.gaps,
        "members": len(model.members) if isinstance(model, Ensemble) else 1,
        "parameters": n_parameters(model),
        "network": type(model.network).__name__,
    }
