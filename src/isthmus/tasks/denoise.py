"""Images without their noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from isthmus.core.errors import DataError, SpecError
from isthmus.core.specs import Spec
from isthmus.parts.damages import DAMAGES, Damage
from isthmus.tasks.mending import Mender
from isthmus.training.examples import BlindSpot, Examples, Recorrupted
from isthmus.training.noise import NoiseLevel, estimated


class Denoiser(Mender):
    """Takes the noise out of images, learned from clean ones or from the noisy ones alone.

    It begins as the best linear filter, and a U-shaped network adds what no filter can do.

    Without ``damage`` and without clean images it learns from noise alone: the strength of the
    noise is estimated, and noise that is added makes of each image two whose noise is independent
    [1]_. Where the noise is not Gaussian, hidden pixels are told from their neighbours [2]_.

    Parameters
    ----------
    damage : str, Spec or None
        What is done to the clean images of ``fit``, for the network to undo: "noise", "poisson",
        "salt-and-pepper", "jpeg", "blur", or with options, ``spec("noise", scale=0.1)``. None:
        the images of ``fit`` are noisy.
    network : Spec, optional
        ``spec("unet", widths=(48, 80, 128), depth=1)`` is what it is by default: channels at each
        size of the image, each half the one before, and blocks at each.
    epochs : int, optional
        How many times over as many pixels as the images have are learned from.
    max_time : float or str, optional
        Seconds, or like "2min", to train at most.
    learning_rate : float, optional
        At its peak.
    validation : float
        Share of the images held out to judge by.
    random_state : int, RandomState or None
    device : str
        "auto", "cpu", "cuda".
    precision : {"auto", "float32", "bfloat16"}
        Of the convolutions while training.
    resume : str or Path, optional
        A file that keeps the state of training; where it is there, training goes on from it.
    verbose : bool
        Whether to show progress.

    Attributes
    ----------
    noise_ : NoiseLevel or None
        What was estimated of the noise, where there was nothing else to learn from.
    history_ : list of dict
        Decibels on images held out, as training went on.
    validation_ : dict
        The decibels ``"before"`` and ``"after"`` training, on images held out. Where there are no
        clean ones, they are estimated.
    kept_ : str
        "trained", or "start" where training made the filter no better.

    References
    ----------
    .. [1] Pang et al. 2021, "Recorrupted-to-Recorrupted", CVPR
    .. [2] Batson & Royer 2019, https://arxiv.org/abs/1901.11365

    Examples
    --------
    >>> import numpy as np
    >>> from isthmus import Denoiser
    >>> rng = np.random.default_rng(0)
    >>> waves = 0.5 + 0.4 * np.sin(np.arange(32) / 3)[:, None] * np.sin(np.arange(32) / 4)
    >>> noisy = waves + rng.normal(0, 0.1, (8, 32, 32))
    >>> denoiser = Denoiser(epochs=2, random_state=0).fit(noisy)
    >>> float(abs(denoiser.transform(noisy) - waves).mean() / abs(noisy - waves).mean()) < 0.8
    True
    """

    def _checked(self, clean: Any) -> Damage | None:
        self.noise_: NoiseLevel | None = None
        damage = super()._checked(clean)
        if damage is not None and (damage.hides or damage.factor > 1):
            kind = Spec.from_json(self.damage).kind
            raise SpecError(
                f"'{kind}' takes away more than a Denoiser gives back. Use Restorer for it, or "
                f"one of: {', '.join(same_size())}."
            )
        return damage

    def _examples(
        self, images: Sequence[Tensor], side: int, damage: Damage | None, paired: bool
    ) -> Examples:
        if paired or damage is not None:
            return super()._examples(images, side, damage, paired)
        if self.noise_ is None:
            self.noise_ = estimated(images)
        if self.noise_.scale < FAINTEST:
            raise DataError(
                "there is no noise to be seen in these images, so nothing to learn from. If they "
                "are clean, say what shall be undone: Denoiser(damage='noise')."
            )
        if self.noise_.gaussian:
            return Recorrupted(images, side, self.noise_)
        return BlindSpot(images, side)

    @property
    def blind(self) -> bool:
        """Whether it tells a pixel from those around it alone, as noise that is odd asks for."""
        return self.noise_ is not None and not self.noise_.gaussian


FAINTEST = 1.5e-3
"""Of noise that can be told from none, as a share of the range of values."""


def same_size() -> list[str]:
    """The damages after which an image has all its pixels."""
    built = {kind: DAMAGES.build(kind) for kind in DAMAGES}
    return [kind for kind, damage in built.items() if not damage.hides and damage.factor == 1]
