"""Estimators that make damaged images whole: what they share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from torch import Tensor

from isthmus.core.errors import DataError, NotFittedError, ShapeError, SpecError
from isthmus.core.ranges import positive, positive_int, seconds, seed_of
from isthmus.core.specs import Registry, Spec
from isthmus.data.contracts import Array
from isthmus.data.gathering import as_images, ragged
from isthmus.data.images import value_range
from isthmus.parts.damages import DAMAGES, Damage
from isthmus.parts.unet import UNet
from isthmus.tasks.damaged import (
    apart,
    check_pairs,
    check_sizes,
    colours_of,
    masks_of,
    parted,
    told_of,
)
from isthmus.tasks.parameters import validation_share
from isthmus.tasks.tiling import mended
from isthmus.training.examples import Damaged, Examples, Pairs
from isthmus.training.mending import MendingRun
from isthmus.training.plan import Settings, bfloat16_for, device_of
from isthmus.training.progress import progress_bar
from isthmus.training.staged import Schedule

SIDE = 64
"""Pixels of a side of the parts that are trained on."""
BATCH = 16
STEPS = 5_000
RATE = 5e-4
LARGE = 1e12
"""Multiplications of a step that is worth all there is to speed it up."""
NETWORKS: Registry[UNet] = Registry("network")
NETWORKS.register("unet")(UNet)
DECIDED = frozenset({"shown", "channels", "fold", "unfold"})
"""What the images and the damage decide of a network."""


class Mender(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """What estimators that make damaged images whole have in common."""

    def __init__(
        self,
        damage: Any = None,
        *,
        network: Any = None,
        epochs: int | None = None,
        max_time: float | str | None = None,
        learning_rate: float | None = None,
        validation: float = 0.1,
        random_state: Any = 0,
        device: str = "auto",
        precision: str = "auto",
        resume: str | Path | None = None,
        verbose: bool = False,
    ) -> None:
        self.damage = damage
        self.network = network
        self.epochs = epochs
        self.max_time = max_time
        self.learning_rate = learning_rate
        self.validation = validation
        self.random_state = random_state
        self.device = device
        self.precision = precision
        self.resume = resume
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None, clean: Any = None) -> Any:
        """Learn from images.

        Parameters
        ----------
        X : array of shape (n, height, width) or (n, height, width, channels), list, or paths
            Of any sizes. Whole images if it is known what ``damage`` does to them, else damaged
            ones.
        y : None
            Not used.
        clean : as X, optional
            The whole ones of X, in their order and of their sizes.

        Returns
        -------
        object
            Itself.

        Raises
        ------
        DataError
            If the images cannot be read, or those of ``clean`` are not those of X.
        SpecError
            If a parameter is out of its range.
        KeyboardInterrupt
            If it was interrupted; ``resume`` says where its state is.
        """
        damage = self._checked(clean)
        images = as_images(X)
        self.channels_ = colours_of(images)
        self.range_ = value_range(images)
        wholes = None if clean is None else as_images(clean)
        if wholes is not None:
            check_pairs(images, wholes)
        check_sizes(images)
        tensors = [self._tensor(image) for image in images]
        if wholes is not None:
            tensors = [
                torch.cat([one, self._tensor(whole)])
                for one, whole in zip(tensors, wholes, strict=True)
            ]
        self.n_images_ = len(tensors)
        train, held = apart(tensors, validation_share(self.validation), seed_of(self.random_state))
        factor = 1 if damage is None else damage.factor
        side = side_for(tensors, factor)
        examples = self._examples(train, side, damage, clean is not None)
        judged = self._examples(held, side, damage, clean is not None) if held else None
        self._train(examples, judged, damage)
        return self

    def _examples(
        self, images: Sequence[Tensor], side: int, damage: Damage | None, paired: bool
    ) -> Examples:
        """What is learned from."""
        if paired:
            return Pairs(images, side)
        assert damage is not None
        return Damaged(images, side, damage)

    def _checked(self, clean: Any) -> Damage | None:
        """The damage, built, after all parameters were looked at."""
        self._network_spec()
        Settings(device=self.device, precision=self.precision).check()
        if self.damage is None:
            return None
        if clean is not None:
            raise SpecError(
                "clean images say what was done to those of X: leave damage out, or clean."
            )
        return DAMAGES.build(self._damage_spec())

    def _network_spec(self) -> Spec:
        found = Spec("unet") if self.network is None else Spec.from_json(self.network)
        NETWORKS.check(found, DECIDED)
        return found

    def _damage_spec(self) -> Spec:
        return Spec.from_json(self.damage)

    def _train(self, examples: Examples, held: Examples | None, damage: Damage | None) -> None:
        device = device_of(self.device)
        factor = 1 if damage is None else damage.factor
        hides = damage is not None and damage.hides
        self.architecture_: dict[str, Any] = {
            "shown": self.channels_ + hides,
            "channels": self.channels_,
            "fold": 2 if factor == 1 else 1,
            "unfold": 2 if factor == 1 else factor,
            **self._network_spec().options,
        }
        rate = RATE if self.learning_rate is None else positive(self.learning_rate, "learning_rate")
        schedule = Schedule(
            steps_for(self.epochs, examples),
            BATCH,
            rate,
            seed_of(self.random_state),
            seconds(self.max_time),
            torch.get_num_threads(),
        )
        with progress_bar(self.verbose) as show:
            trained = MendingRun(
                self.architecture_,
                examples,
                held,
                schedule,
                device=device,
                bfloat16=bfloat16_for(self.precision, device, LARGE),
                on_progress=show,
                checkpoint=None if self.resume is None else Path(self.resume),
            ).to_the_end()
        if trained.interrupted:
            raise KeyboardInterrupt
        self.history_ = trained.history
        (network,) = trained.networks
        told = [entry["psnr"] for entry in self.history_]
        self.kept_ = "trained"
        if told and not told[-1] > told[0]:
            network.hush()
            self.kept_ = "start"
        self.validation_ = {}
        if told:
            self.validation_ = {
                "measure": "decibels",
                "before": told[0],
                "after": max(told[0], told[-1]),
            }
        self.model_ = network.eval()
        self.damage_ = None if self.damage is None else self._damage_spec()

    def transform(self, X: Any, mask: Any = None) -> Any:
        """Images made whole.

        Parameters
        ----------
        X : array of shape (n, height, width) or (n, height, width, channels), list, or paths
            Of any sizes. Large ones are mended tile by tile.
        mask : array of bool, or list, of shape (n, height, width), optional
            Where the images have holes, where that is what is mended; besides pixels that are NaN.

        Returns
        -------
        array of shape (n, height, width) or (n, height, width, channels)
            Of the type of X; or, where sizes differ, of shape (n,), holding arrays.

        Raises
        ------
        NotFittedError
        DataError, ShapeError
            If the images cannot be read, or have other colours than those fitted on.
        """
        if not hasattr(self, "model_"):
            raise NotFittedError(
                f"this {type(self).__name__} is not fitted. Call fit with images first."
            )
        images = as_images(X)
        lost = masks_of(mask, images)
        found = [self.mend(image, lost[i]) for i, image in enumerate(images)]
        return np.stack(found) if images.dtype != object else ragged(found)

    def mend(self, image: Array, lost: Array | None = None) -> Array:
        """One image made whole; see ``transform``."""
        colours, alpha = parted(image)
        channels = 1 if colours.ndim == 2 else colours.shape[2]
        if channels not in (self.channels_, 1, 3) or (channels == 1 and self.channels_ == 3):
            raise ShapeError(
                f"{type(self).__name__} was fitted on {told_of(self.channels_)} images, got "
                f"{told_of(channels)} ones. Convert them, or fit another on such images."
            )
        if colours.dtype.kind == "f" and not np.isfinite(colours).all():
            unknown: Array = ~np.isfinite(colours)
            unknown = unknown if unknown.ndim == 2 else np.any(unknown, axis=2)
            lost = unknown if lost is None else lost | unknown
        if lost is not None and not self.hides:
            raise DataError(
                f"there are holes in an image (NaN, or a mask), and this {type(self).__name__} "
                "fills none. Fit one that does: Restorer(damage='holes')."
            )
        low, high = self._range_of(colours)
        x = self._tensor(np.nan_to_num(colours), (low, high))
        layers = [x] if channels == self.channels_ else [*x[:, None]]
        out = torch.cat(
            [
                mended(self.model_, layer, lost, hides=self.hides, blind=self.blind)
                for layer in layers
            ]
        )
        values = out.permute(1, 2, 0).numpy().astype(np.float64) * (high - low) + low
        if colours.dtype.kind != "f":
            values = values.round().clip(low, high)
        values = values.astype(colours.dtype)
        values = values[..., 0] if colours.ndim == 2 else values
        return values if alpha is None else self._with_alpha(values, alpha)

    @property
    def hides(self) -> bool:
        """Whether it fills holes."""
        return bool(self.architecture_["shown"] > self.channels_)

    @property
    def blind(self) -> bool:
        """Whether it tells a pixel from those around it alone."""
        return False

    @property
    def factor(self) -> int:
        """How many times larger images become."""
        return int(self.architecture_["unfold"] // self.architecture_["fold"])

    def _with_alpha(self, values: Array, alpha: Array) -> Array:
        alpha = alpha.repeat(self.factor, 0).repeat(self.factor, 1)
        whole = values if values.ndim == 3 else values[..., np.newaxis]
        return np.concatenate([whole, alpha[..., np.newaxis]], axis=2)

    def _range_of(self, image: Array) -> tuple[float, float]:
        """Black and white: those of its type, or of the images fitted on."""
        if image.dtype.kind == "f":
            return self.range_
        return value_range(image[np.newaxis])

    def _tensor(self, image: Array, ends: tuple[float, float] | None = None) -> Tensor:
        """(channels, height, width) within 0 and 1, without alpha."""
        low, high = self.range_ if ends is None else ends
        colours, _ = parted(image)
        values = (colours.astype(np.float32) - low) / (high - low)
        if not np.isfinite(values).all():
            raise DataError(
                "there are pixels that are NaN or infinite among the images to learn from. Leave "
                "those images out, or fill them."
            )
        values = values if values.ndim == 3 else values[..., np.newaxis]
        return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))

    def save(self, path: str | Path) -> str:
        """Save to a folder, without pickle; see ``isthmus.load``.

        Returns
        -------
        str
            The identity of the folder's content, a SHA-256.
        """
        from isthmus.tasks.saving_menders import save

        if not hasattr(self, "model_"):
            raise NotFittedError(f"this {type(self).__name__} is not fitted. Call fit first.")
        return save(self, Path(path))

    def compare(self, X: Any, clean: Any = None) -> Any:
        """Beside the plain methods, on images that were not in the fit.

        Parameters
        ----------
        X : as for ``fit``
            Damaged images, if ``clean`` has the whole ones; else whole ones, which are damaged as
            at the fit.
        clean : as X, optional

        Returns
        -------
        Comparison
        """
        from isthmus.tasks.judge_mending import compare

        return compare(self, as_images(X), None if clean is None else as_images(clean))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")


def side_for(images: Sequence[Tensor], factor: int) -> int:
    """Pixels of a side of the parts: no more than the images have, rounded for the grids."""
    smallest = min(min(image.shape[1:]) for image in images)
    unit = 8 * factor
    return max(unit * 2, min(SIDE * (1 if factor == 1 else 2), smallest // unit * unit))


def steps_for(epochs: int | None, examples: Examples) -> int:
    """Steps that show as many pixels as the images have, so many times."""
    if epochs is None:
        return STEPS
    each = math.ceil(float(examples.ends[-1]) / (BATCH * examples.side**2))
    return positive_int(epochs, "epochs") * max(1, each)
