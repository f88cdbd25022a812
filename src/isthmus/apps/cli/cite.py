"""``cite``: the papers that a model owes something to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from isthmus.apps.cli import options
from isthmus.apps.cli.speech import give

if TYPE_CHECKING:
    from isthmus.core.recipe import Recipe
    from isthmus.core.specs import Spec


def cite(
    model: options.Model,
    as_bibtex: Annotated[
        bool, typer.Option("--bibtex", help="Print entries for a bibliography in BibTeX.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """List the papers behind MODEL.

    They are those of its recipe, of the parts that it is made of, and of the optimiser that
    trained it.
    """
    from isthmus.core.citation import bibtex, reference
    from isthmus.core.papers import PAPERS
    from isthmus.training.directory import load_directory, understood

    config = load_directory(model)[0]
    with understood(model):
        owed = references(config)
    found: list[dict[str, Any]] = [
        {
            "link": link,
            "for": uses,
            "reference": reference(link),
            "bibtex": bibtex(link) if link in PAPERS else None,
        }
        for link, uses in owed.items()
    ]
    if as_bibtex:
        # BibTeX skips whatever stands outside of entries.
        words = "\n\n".join(entry["bibtex"] or f"% {entry['link']}" for entry in found)
    else:
        words = "\n\n".join(f"{entry['reference']}\n  {', '.join(entry['for'])}" for entry in found)
    give({"model": str(model), "references": found}, words, as_json)


CODEC = {
    "https://arxiv.org/abs/1701.05517": ["mixture of logistics"],
    "https://arxiv.org/abs/1712.05877": ["networks of whole numbers"],
    "https://arxiv.org/abs/2201.01741": ["range coding"],
}
"""The papers of a codec, and what each is for."""
IMPUTER = {
    "https://doi.org/10.1111/j.2517-6161.1977.tb01600.x": ["Gaussian of rows with gaps"],
    "https://doi.org/10.1145/1390156.1390294": ["training on damaged rows"],
    "https://arxiv.org/abs/1512.03385": ["network that adds to what it sees"],
    "https://doi.org/10.1007/BF00117832": ["stacking"],
    "https://doi.org/10.1080/01621459.2017.1307116": ["intervals"],
    "https://doi.org/10.1080/01621459.2017.1395341": ["sets of levels"],
}
"""The papers of what fills gaps."""


MENDER = {
    "https://arxiv.org/abs/1505.04597": ["network"],
    "https://arxiv.org/abs/2008.13751": ["its residual form"],
    "https://arxiv.org/abs/1906.05478": ["layers without a bias"],
    "https://kellerjordan.github.io/posts/muon/": ["optimizer"],
}
"""The papers of what mends images, and what each is for."""
LOSSY = {
    "https://arxiv.org/abs/1701.05517": ["mixture of logistics"],
    "https://arxiv.org/abs/1809.02736": ["numbers that are expected from those before"],
    "https://arxiv.org/abs/2007.08739": ["groups of channels"],
    "https://arxiv.org/abs/2201.01741": ["range coding"],
}
"""Those of a codec with loss."""


def references(config: Mapping[str, Any]) -> dict[str, list[str]]:
    """The links of a saved model's papers, and what each is for."""
    from isthmus.core.citation import links
    from isthmus.core.papers import OPTIMIZER_PAPERS
    from isthmus.core.recipe import Recipe

    if "codec" in config:
        owed_to = LOSSY if "transform" in config["codec"] else CODEC
        return {link: list(uses) for link, uses in owed_to.items()}
    if "imputer" in config:
        return {link: list(uses) for link, uses in IMPUTER.items()}
    if "mender" in config:
        return {link: list(uses) for link, uses in (MENDER | _of_noise(config)).items()}
    recipe = Recipe.from_json(config["recipe"])
    parameters = config["estimator"]["parameters"]
    name = parameters.get("recipe")
    owed: dict[str, list[str]] = {}
    for link in links(recipe.paper) or ([recipe.paper] if recipe.paper else []):
        owed[link] = [f"recipe {name}" if isinstance(name, str) else "recipe"]
    for axis, kind, text in _parts(recipe):
        for link in links(text):
            uses = owed.setdefault(link, [])
            if f"{axis} {kind}" not in uses:
                uses.append(f"{axis} {kind}")
    optimizer = parameters.get("optimizer")
    if recipe.phases and optimizer in OPTIMIZER_PAPERS:
        owed.setdefault(OPTIMIZER_PAPERS[optimizer], []).append(f"optimizer {optimizer}")
    return owed


def _of_noise(config: Mapping[str, Any]) -> dict[str, list[str]]:
    """The papers of learning from noise alone, where that was done."""
    from isthmus.core.papers import RECORRUPTED
    from isthmus.training.noise import NoiseLevel

    noise = config["mender"]["fitted"]["noise"]
    if noise is None:
        return {}
    how = RECORRUPTED if NoiseLevel(**noise).gaussian else "https://arxiv.org/abs/1901.11365"
    return {
        "https://doi.org/10.5201/ipol.2013.45": ["estimate of the noise"],
        how: ["learning from noisy images alone"],
    }


def _parts(recipe: Recipe) -> Iterator[tuple[str, str, str | None]]:
    """Axis, kind and docstring of every part that a recipe names."""
    yield from _described("network", recipe.network)
    yield from _described("code", recipe.code)
    yield from _described("likelihood", recipe.likelihood)
    for phase in recipe.phases:
        yield from _described("corruption", phase.corruption)
        for penalty in phase.penalties:
            yield from _described("penalty", penalty)


def _described(axis: str, part: Spec) -> Iterator[tuple[str, str, str | None]]:
    """A part, and those that are its options: a code's prior, the likelihoods of columns."""
    from isthmus import parts
    from isthmus.core.specs import Spec

    registries = (
        parts.NETWORKS,
        parts.CODES,
        parts.PRIORS,
        parts.LIKELIHOODS,
        parts.CORRUPTIONS,
        parts.PENALTIES,
    )
    axes: dict[str, Any] = {registry.axis: registry for registry in registries}
    if part.kind not in axes[axis]:
        return
    yield axis, part.kind, axes[axis][part.kind].__doc__
    for name, option in axes[axis].options(part.kind).items():
        value = part.options.get(name, option.default)
        if isinstance(value, Spec) or isinstance(option.default, Spec):
            yield from _described(name if name in axes else axis, Spec.from_json(value))
