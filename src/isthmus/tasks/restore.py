"""Images with what they have lost."""

from __future__ import annotations

from typing import Any

from isthmus.core.errors import SpecError
from isthmus.core.specs import Spec, spec
from isthmus.parts.damages import Damage
from isthmus.tasks.mending import Mender

SHORT = {"scale2": spec("downsample", factor=2), "scale4": spec("downsample", factor=4)}


class Restorer(Mender):
    """Fills the holes of images, makes them larger, or sharper, as it learned from whole ones.

    It begins as the best linear filter, and a U-shaped network adds what no filter can do.

    Parameters
    ----------
    damage : str, Spec or None
        What shall be undone, and is done to the images of ``fit``: "holes", "scale2", "scale4",
        "blur", or any other, with options: ``spec("holes", share=0.5)``,
        ``spec("downsample", factor=3)``. None where ``fit`` gets damaged images and clean ones.
    network, epochs, max_time, learning_rate, validation, random_state, device, precision
        See ``Denoiser``.
    resume, verbose
        See ``Denoiser``.

    Attributes
    ----------
    history_ : list of dict
        Decibels on images held out, as training went on: of the pixels that were lost.
    validation_ : dict
        The decibels ``"before"`` and ``"after"`` training, on images held out.
    kept_ : str
        "trained", or "start" where training made the filter no better.

    References
    ----------
    .. [1] Ronneberger et al. 2015, https://arxiv.org/abs/1505.04597

    Examples
    --------
    >>> import numpy as np
    >>> from isthmus import Restorer
    >>> waves = [np.sin(np.arange(48)[:, None] / a) * np.sin(np.arange(48) / 5) for a in (3, 4, 6)]
    >>> restorer = Restorer("holes", epochs=1, random_state=0).fit(waves)
    >>> lost = np.random.default_rng(0).random((3, 48, 48)) < 0.5
    >>> found = restorer.transform(np.where(lost, 0, waves), mask=lost)
    >>> bool(abs(found - waves).max() < 0.5)
    True
    """

    def _checked(self, clean: Any) -> Damage | None:
        if self.damage is None and clean is None:
            raise SpecError(
                "say what shall be undone, with damage='holes', 'scale2', 'scale4' or 'blur', or "
                "pass damaged images and their clean ones to fit."
            )
        return super()._checked(clean)

    def _damage_spec(self) -> Spec:
        if isinstance(self.damage, str) and self.damage in SHORT:
            return SHORT[self.damage]
        return Spec.from_json(self.damage)
