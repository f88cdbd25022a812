"""A fitted imputer to a folder and back."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import isthmus
from isthmus.baselines.factors import FACTORS, FactorGaussian
from isthmus.baselines.gaussian import ConditionalGaussian
from isthmus.core.errors import ModelFileError
from isthmus.core.strict_json import strict
from isthmus.core.wording import counted
from isthmus.data import modality_from_state
from isthmus.data.tables import Table
from isthmus.tasks.completion import AnyGaussian, Member, fresh
from isthmus.tasks.impute import Imputer
from isthmus.tasks.imputer_fit import Cells
from isthmus.tasks.places import Places
from isthmus.tasks.saving import NoLargerThan, found_from
from isthmus.tasks.scatter import Doubt, Scatter
from isthmus.tasks.stacking import WAYS, Known, Stack
from isthmus.training.directory import as_tensors, first_line, save_directory, under

PARAMETERS = ("n_members", "epochs", "max_time", "random_state", "device")
CARD = """---
library_name: isthmus
tags: [imputation, table]
---
# Imputer

It fills the missing cells of tables of {columns}; {members} answer together.
`isthmus evaluate` on new rows says how well.

## Use

```python
from isthmus import load

imputer = load("path/to/this/folder")
filled = imputer.transform(X)
```

```bash
isthmus restore path/to/this/folder rows.csv -o filled.csv
```

## Identity

`{identity}` (SHA-256), isthmus {version}, Python {python}, PyTorch {torch}.
"""


def save(imputer: Imputer, path: Path) -> str:
    """Write a fitted imputer; see ``Imputer.save``."""
    state, arrays = imputer.kind_.state()
    seed = imputer.random_state
    parameters = {name: getattr(imputer, name) for name in PARAMETERS}
    parameters["random_state"] = int(seed) if isinstance(seed, (int, np.integer)) else None
    for name in ("n_members", "epochs"):
        parameters[name] = None if parameters[name] is None else int(parameters[name])
    names = getattr(imputer, "feature_names_in_", None)
    config = {
        "library": {"isthmus": isthmus.__version__, "torch": torch.__version__},
        "imputer": {
            "parameters": strict(parameters),
            "members": strict([asdict(one) for one in imputer.found_]),
            "n_features_in": imputer.n_features_in_,
            "feature_names_in": None if names is None else [str(name) for name in names],
        },
        "data": {"kind": imputer.kind_.kind, "state": state},
    }
    tensors = as_tensors(arrays, "data.") | tensors_of(imputer)

    def card(identity: str) -> str:
        return CARD.format(
            columns=counted(imputer.n_features_in_, "column"),
            members=counted(len(imputer.found_), "member"),
            identity=identity,
            version=isthmus.__version__,
            python=platform.python_version(),
            torch=torch.__version__,
        )

    return save_directory(path, config, tensors, card)


def tensors_of(imputer: Imputer) -> dict[str, Tensor]:
    """All that was learned, but for the schema of the table."""
    stack = imputer.stack_
    found = as_tensors(stack.places.arrays(), "places.")
    for k, member in enumerate(stack.members):
        gaussian = member.gaussian.tensors()
        found |= {f"members.{k}.{name}": tensor for name, tensor in gaussian.items()}
        state = member.model.state_dict()
        found |= {f"members.{k}.model.{name}": tensor for name, tensor in state.items()}
    found |= {
        "known.rows": stack.known.rows,
        "known.there": stack.known.there,
        "known.folds": stack.known.folds,
        "mean": stack.mean,
        "weights": stack.weights,
    }
    return found | _of_cells(imputer.cells_)


def _of_cells(cells: list[Cells]) -> dict[str, Tensor]:
    """What is known of the errors of each column, one after the other."""
    numbers = [cell for cell in cells if isinstance(cell, Scatter)]
    doubts = [cell for cell in cells if isinstance(cell, Doubt)]
    count = [
        len(cell.errors) if isinstance(cell, Scatter) else 0 if cell is None else len(cell.unlikely)
        for cell in cells
    ]
    parts = [cell.parts for cell in numbers]
    along = [np.stack(cell[1:]) for cell in numbers]
    return {
        "cells.count": torch.tensor(count),
        "cells.parts": torch.from_numpy(np.array(parts, np.float64).reshape(-1, 3)),
        "cells.numbers": torch.from_numpy(np.concatenate([np.zeros((3, 0)), *along], 1)),
        "cells.doubts": torch.from_numpy(
            np.concatenate([np.zeros(0), *(cell.unlikely for cell in doubts)])
        ),
    }


def from_saved(
    config: Mapping[str, Any], tensors: dict[str, Tensor], device: torch.device
) -> Imputer:
    """The imputer that was saved.

    Raises
    ------
    ModelFileError
        If the parts do not fit each other.
    """
    told = config["imputer"]
    imputer = Imputer(**{name: told["parameters"][name] for name in PARAMETERS})
    imputer._checked()
    arrays = {name: t.numpy() for name, t in under(tensors, "data.").items()}
    kind = modality_from_state(config["data"]["state"], arrays)
    if not isinstance(kind, Table):
        raise ModelFileError("an imputer is of a table, this one is not.")
    imputer.kind_ = kind
    imputer.n_features_in_ = int(told["n_features_in"])
    if told["feature_names_in"] is not None:
        imputer.feature_names_in_ = np.array(told["feature_names_in"], dtype=object)
    found = [found_from(entry) for entry in told["members"]]
    with torch.random.fork_rng(devices=[]), NoLargerThan(tensors):
        places = Places.from_arrays(
            kind, {name: t.numpy() for name, t in under(tensors, "places.").items()}
        )
        stack = _stack(places, tensors, len(found), device)
    imputer._take(stack, _cells(places, under(tensors, "cells.")), found)
    return imputer


def _stack(places: Places, tensors: dict[str, Tensor], n: int, device: torch.device) -> Stack:
    p = places.n
    members = []
    for k in range(n):
        own = under(tensors, f"members.{k}.")
        gaussian = _gaussian(own, p)
        model = fresh(places)
        try:
            model.load_state_dict(under(own, "model."))
        except RuntimeError as error:
            raise ModelFileError(
                f"the weights do not fit the model: {first_line(error)}"
            ) from error
        members.append(Member(places, gaussian, model.to(device).eval()))
    rows, there, folds = (tensors[f"known.{name}"] for name in ("rows", "there", "folds"))
    _check("known rows", rows, (len(rows), p))
    sound = (
        bool(n and len(rows))
        and folds.shape == (len(rows),)
        and folds.dtype == torch.int64
        and bool(((folds >= 0) & (folds < n)).all())
        and there.shape == (len(rows), places.n_columns)
        and there.dtype == torch.bool
    )
    if not sound:
        raise ModelFileError("the known rows do not fit the imputer.")
    _check("mean", tensors["mean"], (p,))
    _check("weights", tensors["weights"], (len(WAYS), places.n_columns))
    return Stack(
        places, members, Known(places, rows, there, folds), tensors["mean"], tensors["weights"]
    )


def _gaussian(own: Mapping[str, Tensor], p: int) -> AnyGaussian:
    _check("Gaussian", own["mean"], (p,))
    if "covariance" in own:
        _check("Gaussian", own["covariance"], (p, p))
        return ConditionalGaussian(own["mean"], own["covariance"])
    loadings, noise = own["loadings"], own["noise"]
    if loadings.ndim != 2 or not 0 < loadings.shape[1] <= FACTORS or not (noise > 0).all():
        raise ModelFileError("the Gaussian of the imputer does not fit its table.")
    _check("Gaussian", loadings, (p, loadings.shape[1]))
    _check("Gaussian", noise, (p,))
    return FactorGaussian(own["mean"], loadings, noise)


def _check(what: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    if tensor.shape != shape or tensor.dtype != torch.float32 or not tensor.isfinite().all():
        raise ModelFileError(f"the {what} of the imputer does not fit its table.")


def _cells(places: Places, tensors: Mapping[str, Tensor]) -> list[Cells]:
    count, parts, numbers, doubts = (
        tensors[name].numpy() for name in ("count", "parts", "numbers", "doubts")
    )
    sound = (
        count.shape == (places.n_columns,)
        and count.dtype == np.int64
        and bool((count >= 0).all())
        and parts.shape == (int((count[places.is_number] > 0).sum()), 3)
        and numbers.shape == (3, int(count[places.is_number].sum()))
        and doubts.shape == (int(count[~places.is_number].sum()),)
        and all(a.dtype == np.float64 and np.isfinite(a).all() for a in (parts, numbers, doubts))
        and bool((parts >= 0).all())
        and bool((parts[:, 0] > 0).all())
    )
    if not sound:
        raise ModelFileError("the errors of the imputer do not fit its table.")
    found: list[Cells] = []
    i = along = among = 0
    for number, n in zip(places.is_number, count, strict=True):
        if not n:
            found.append(None)
        elif number:
            found.append(Scatter(parts[i], *numbers[:, along : along + n]))
            i, along = i + 1, along + n
        else:
            found.append(Doubt(doubts[among : among + n]))
            among += n
    return found
