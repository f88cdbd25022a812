"""Named compositions, each a line or two of data with its paper."""

from __future__ import annotations

from typing import Any

from isthmus.core.errors import SpecError, nearest
from isthmus.core.recipe import Phase, Recipe
from isthmus.core.specs import spec

RECIPES: dict[str, Recipe] = {
    "autoencoder": Recipe(paper="https://doi.org/10.1126/science.1127647"),
    "linear": Recipe(
        network=spec("linear"), phases=(), paper="https://doi.org/10.1080/14786440109462720"
    ),
    "denoising": Recipe(
        phases=(Phase(beta=0.0, corruption=spec("noise")),),
        paper="https://doi.org/10.1145/1390156.1390294",
    ),
    "vae": Recipe(
        code=spec("gaussian"), phases=(Phase(),), paper="https://arxiv.org/abs/1312.6114"
    ),
}


def recipe(name: Any) -> Recipe:
    """The recipe of that name; a recipe is returned as it is.

    Parameters
    ----------
    name : str or Recipe

    Raises
    ------
    SpecError
        If there is none, with the nearest known name.
    """
    if isinstance(name, Recipe):
        return name
    if not isinstance(name, str) or name not in RECIPES:
        raise SpecError(f"there is no recipe '{name}'. {nearest(str(name), RECIPES)}")
    return RECIPES[name]
