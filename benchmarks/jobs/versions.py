"""Which versions an environment has."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("torch", "numpy", "scikit-learn", "keras", "jax", "pythae", "pyod")


def answer() -> dict[str, str]:
    """By package, those that are there."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
