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
    "masked": Recipe(
        phases=(Phase(beta=0.0, corruption=spec("mask")),),
        paper="https://arxiv.org/abs/2111.06377",
    ),
    "sparse-l1": Recipe(
        phases=(Phase(beta=0.0, penalties=(spec("l1"),)),),
        paper="https://web.stanford.edu/class/cs294a/sparseAutoencoder.pdf",
    ),
    "sparse-topk": Recipe(code=spec("topk"), paper="https://arxiv.org/abs/1312.5663"),
    "contractive": Recipe(
        phases=(Phase(beta=0.0, penalties=(spec("contractive"),)),),
        paper="https://icml.cc/2011/papers/455_icmlpaper.pdf",
    ),
    "vae": Recipe(
        code=spec("gaussian"), phases=(Phase(),), paper="https://arxiv.org/abs/1312.6114"
    ),
    "beta-vae": Recipe(
        code=spec("gaussian"),
        phases=(Phase(beta=4.0),),
        paper="https://openreview.net/forum?id=Sy2fzU9gl",
    ),
    "iwae": Recipe(
        code=spec("gaussian", rate="sampled"),
        phases=(Phase(samples=5),),
        paper="https://arxiv.org/abs/1509.00519",
    ),
    "info-vae": Recipe(
        code=spec("gaussian"),
        phases=(Phase(beta=0.1, penalties=(spec("mmd"),)),),
        paper="https://arxiv.org/abs/1706.02262",
    ),
    "wae": Recipe(
        phases=(Phase(beta=0.0, penalties=(spec("mmd"),)),),
        paper="https://arxiv.org/abs/1711.01558",
    ),
    "adversarial": Recipe(
        phases=(Phase(beta=0.0, penalties=(spec("adversary"),)),),
        paper="https://arxiv.org/abs/1511.05644",
    ),
    "vq-vae": Recipe(code=spec("vector"), paper="https://arxiv.org/abs/1711.00937"),
    "fsq": Recipe(code=spec("scalar"), paper="https://arxiv.org/abs/2309.15505"),
    "laplace": Recipe(
        likelihood=spec("laplace"), paper="https://doi.org/10.1007/978-1-4684-8574-5"
    ),
    "negative-binomial": Recipe(
        likelihood=spec("negative-binomial"), paper="https://doi.org/10.1038/s41592-018-0229-2"
    ),
    "nested": Recipe(code=spec("nested"), paper="https://arxiv.org/abs/1402.0915"),
    "robust": Recipe(
        phases=(Phase(beta=0.0, trim=0.1),),
        paper="https://doi.org/10.1080/01621459.1984.10477105",
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
