"""Keras 3 on the backend that KERAS_BACKEND names."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any


def keras_or_none() -> Any:
    """Keras, on JAX unless KERAS_BACKEND says otherwise, on PyTorch where JAX is absent.

    Returns
    -------
    module or None
        None, after saying so, where Keras is not installed.
    """
    if find_spec("keras") is None:
        print("Keras is not installed, so its rows are left out. Install: pip install keras jax")
        return None
    os.environ.setdefault("KERAS_BACKEND", "jax" if find_spec("jax") else "torch")
    import keras

    return keras
