"""The five parts of a model and its penalties, by name."""

from isthmus.parts import codes, corruptions, likelihoods, networks, penalties, priors
from isthmus.parts.contracts import (
    CODES,
    CORRUPTIONS,
    LIKELIHOODS,
    NETWORKS,
    PENALTIES,
    PRIORS,
    Code,
    Corruption,
    Likelihood,
    Network,
    Penalty,
    Prior,
    Shape,
)

__all__ = [
    "CODES",
    "CORRUPTIONS",
    "LIKELIHOODS",
    "NETWORKS",
    "PENALTIES",
    "PRIORS",
    "Code",
    "Corruption",
    "Likelihood",
    "Network",
    "Penalty",
    "Prior",
    "Shape",
    "codes",
    "corruptions",
    "likelihoods",
    "networks",
    "penalties",
    "priors",
]
