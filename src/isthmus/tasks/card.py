"""The card of a saved model, for people: what it is, what it is worth, how to use it."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

import isthmus
from isthmus.core.wording import counted
from isthmus.ensemble import describe

if TYPE_CHECKING:
    from isthmus.tasks.autoencoder import Autoencoder

USE = """```python
from isthmus import load

model = load("path/to/this/folder")
codes = model.transform(X)
```"""
USE_OF_DETECTOR = """```python
from isthmus import load

detector = load("path/to/this/folder")
pvalues = detector.pvalues(X)  # the share of ordinary rows that are as strange
reasons = detector.reasons(X)
```

```bash
isthmus detect path/to/this/folder rows.csv -o alarms.csv
```"""


def card(estimator: Autoencoder, identity: str, alarms: Mapping[str, Any] | None = None) -> str:
    """The model card of an estimator, or of the detector that gives such ``alarms``."""
    title, tag = ("Autoencoder", "autoencoder")
    if alarms is not None:
        title, tag = "Anomaly detector", "anomaly-detection"
    shape = " x ".join(str(side) for side in estimator.model_.shape)
    facts = describe(estimator.model_)
    return f"""---
library_name: isthmus
tags: [{tag}, {estimator.kind_.kind}]
---
# {title}

{shape} values a row, a code of {estimator.latent_dim_}, {facts["parameters"]:,} parameters.

{_compared(estimator) if alarms is None else _alarms(alarms)}

## Use

{USE if alarms is None else USE_OF_DETECTOR}

## Identity

`{identity}` (SHA-256), isthmus {isthmus.__version__}, Python {platform.python_version()},
PyTorch {torch.__version__}.
"""


def alarms_told(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """What is to be known of the alarms of a detector, of its plain data and tensors."""
    return {
        "references": int(tensors["kept"].sum()),
        "rows": len(tensors["kept"]),
        "false_alarms": config["parameters"]["false_alarms"],
        "contamination": config["parameters"]["contamination"],
        "threshold": config["offset"],
        "weights": dict(config["weights"]),
    }


def compared_with(alarms: Mapping[str, Any]) -> str:
    """With how many rows others are compared."""
    known, rows = alarms["references"], alarms["rows"]
    return f"{counted(known, 'row')}" + (f" of {rows:,}" if known < rows else "")


def threshold(alarms: Mapping[str, Any]) -> str:
    """What an anomaly has."""
    share, rows = alarms["contamination"], "the rows fitted on"
    if not isinstance(share, float):
        share, rows = alarms["false_alarms"], "ordinary rows"
    return f"a score below {alarms['threshold']:.4g}, which {100 * share:.3g} % of {rows} have"


def scales(alarms: Mapping[str, Any]) -> str:
    """How much each scale of the columns counts."""
    return ", ".join(f"{name} {weight:.0%}" for name, weight in alarms["weights"].items())


def _alarms(alarms: Mapping[str, Any]) -> str:
    return f"""## What it does

It compares rows with {compared_with(alarms)}, in scales of the columns by their weight:
{scales(alarms)}.
An anomaly has {threshold(alarms)}. `isthmus evaluate` on new rows says how well that works."""


def _compared(estimator: Autoencoder) -> str:
    return f"## How it compares\n\n{_comparison(estimator)}"


def _comparison(estimator: Autoencoder) -> str:
    found = estimator.validation_
    if not estimator.recipe_.phases:
        return "It is PCA, the plain method: nothing was trained."
    if not estimator.history_:
        return "Training came to nothing, so the start was kept."
    if not found:
        return "No rows were held out for validation, so nothing is known of how it compares."
    plain, ours = found["start"], found["trained"]
    before = "PCA, the plain method" if estimator.model_.starts_plain else "at the start"
    shown = ", with noise or gaps added" if found.get("corrupted") else ""
    table = (
        f"| on the rows held out{shown} | {found['measure']} per value |\n|---|---|\n"
        f"| {before} | {plain:.5g} |\n| after training | {ours:.5g} |\n"
    )
    if estimator.kept_ == "start":
        if not estimator.model_.starts_plain:
            return table + "\nTraining did not beat the start, so the start was kept."
        return table + "\nTraining did not beat PCA, so PCA is what this model is."
    if found["measure"] == "nats" or not estimator.model_.starts_plain or not 0 < ours < plain:
        return table
    return (
        table + f"\nTraining lowered the squared error of PCA by {1 - ours / plain:.0%} there"
        f"{shown}. The same rows chose the weights: `isthmus evaluate` on new ones says more."
    )
