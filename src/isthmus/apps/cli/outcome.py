"""What came of a fit, in words: the same after ``fit`` and in ``info``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

LEAST_TOLD = 0.005
JUDGE = "judge it on new rows with isthmus evaluate."


def outcome(
    kept: str,
    epochs: int,
    validation: Mapping[str, Any],
    events: Sequence[str],
    *,
    by_recipe: bool,
    plain: bool,
) -> str:
    """A sentence or two on whether training was of use.

    Parameters
    ----------
    kept, validation, events
        As fit leaves them.
    epochs : int
        How many were run.
    by_recipe : bool
        Whether the recipe has anything to train.
    plain : bool
        Whether the model was PCA before it was trained.
    """
    start = "PCA" if plain else "the start"
    if not by_recipe:
        return "PCA by its recipe, so nothing was trained."
    if not epochs:
        return f"{_nothing_came(events)}: {start} is what was kept."
    if not validation:
        if kept == "start":
            return (
                f"No rows were held out; on those trained on it is no better than {start}: "
                f"{start} is what was kept."
            )
        return "No rows were held out: see how it compares with isthmus evaluate."
    noisy = ", with noise or gaps added" if validation.get("corrupted") else ""
    if kept == "start":
        return f"No better than {start} on the rows held out{noisy}: {start} is what was kept."
    return _gain(validation, noisy, "PCA" if plain else "its start")


def _nothing_came(events: Sequence[str]) -> str:
    if any("diverged" in event for event in events):
        return "Training diverged, which a lower --learning-rate may prevent"
    return "Training ended before its first epoch did"


def _gain(validation: Mapping[str, Any], noisy: str, start: str) -> str:
    ours, before = validation["trained"], validation["start"]
    if validation["measure"] != "squared error":
        return f"On the rows held out{noisy} {ours:.4g} nats per value, at the start {before:.4g}."
    if not before > 0:
        return f"On the rows held out{noisy} a squared error of {ours:.4g} per value."
    less = 1 - ours / before
    # Those rows chose the weights, so they flatter: a verdict needs new ones.
    chose = f"{noisy}. They" if noisy else ", which"
    gain = f"{abs(less):.0%} {'less' if less > 0 else 'more'} squared error than"
    if abs(less) < LEAST_TOLD:
        gain = "About the same squared error as"
    return f"{gain} {start} on the rows held out{chose} also chose the weights; {JUDGE}"


def left_out(columns: Sequence[tuple[str, str]] | None) -> list[str]:
    """The columns that have no place in the model, of all as ``columns_described`` gives them."""
    return [name for name, kind in columns or () if kind == "text"]
