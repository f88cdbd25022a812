"""Images to few bytes and back, to the bit or nearly, by a model of what is likely in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from isthmus.codecs import models
from isthmus.codecs.gathering import as_pictures, pixels_of
from isthmus.codecs.pictures import read_picture, store_pixels
from isthmus.coding.coder import Coder
from isthmus.coding.container import Picture, Stored, pack, store, unpack
from isthmus.coding.fixed import QUALITIES
from isthmus.coding.lossy import LossyCoder
from isthmus.core.errors import (
    CompressedError,
    DataError,
    NotFittedError,
    OtherModelError,
    SpecError,
)
from isthmus.data.contracts import Array
from isthmus.data.decoding import read_bytes_as_image
from isthmus.training.surroundings import single_products

SPEEDS = ("best", "fast")


class ImageCodec(BaseEstimator):  # type: ignore[misc]
    """Compresses images, with a model of your own images or the bundled one.

    Without loss, every pixel is coded by what a small network expects of it, given the pixels
    around it that are already decoded. Without ``fit``, it takes the model that comes with the
    library, for photographs.

    With loss, blocks of pixels are transformed, by their principal components at first and then by
    what training adds to them, and rounded. What is coded are these numbers. Such a codec must be
    fitted.

    The networks compute in whole numbers, so that any machine decodes the same.

    Parameters
    ----------
    lossless : bool
        True: every pixel comes back as it was. False: only nearly, in far fewer bytes.
    quality : int
        With loss, from 1 (fewest bytes) to 8 (nearest to the image). One model serves all.
    qualities : tuple of int
        With loss, the lowest and the highest quality to fit for.
    speed : {"best", "fast"}
        The fewest bytes, or several times the speed for a few per cent more.
    epochs : int, optional
        Passes over the pixels; by default as many as fill a quarter of an hour on one processor.
    max_time : float or str, optional
        Seconds, or like "2min", to train at most.
    learning_rate : float, optional
        At its peak.
    validation : float
        Share of the images held out to judge by.
    init : {"auto", "bundled"} or None
        What training starts from: the bundled model, least squares (None), or least squares for
        small images of one size and the bundled model for all others.
    random_state : int, RandomState or None
    resume : str or Path, optional
        A file that keeps the state of training; where it is there, training goes on from it.
    verbose : bool
        Whether to show progress.

    Attributes
    ----------
    history_ : list of dict
        Bits per pixel on images held out, as training went on.
    validation_ : dict
        Of images held out, the bits per value ``"before"`` and ``"after"`` training: those of the
        pixels alone, without headers.
    kept_ : str
        "trained", or "start" where training made the bundled model no better.

    Notes
    -----
    The distribution of a value is a mixture of logistics [1]_ of a network that is trained with
    the rounding of its integers [2]_, and coded by range coding [3]_.

    References
    ----------
    .. [1] Salimans et al. 2017, https://arxiv.org/abs/1701.05517
    .. [2] Jacob et al. 2018, https://arxiv.org/abs/1712.05877
    .. [3] Bamler 2022, https://arxiv.org/abs/2201.01741

    Examples
    --------
    >>> import numpy as np
    >>> from isthmus import ImageCodec
    >>> image = np.tile(np.arange(64, dtype=np.uint8), (64, 1))
    >>> codec = ImageCodec()
    >>> data = codec.compress(image)
    >>> len(data) < image.size and bool((codec.decompress(data) == image).all())
    True
    """

    def __init__(
        self,
        *,
        lossless: bool = True,
        quality: int = 5,
        qualities: tuple[int, int] = (1, 8),
        speed: str = "best",
        epochs: int | None = None,
        max_time: float | str | None = None,
        learning_rate: float | None = None,
        validation: float = 0.05,
        init: str | None = "auto",
        random_state: Any = None,
        resume: str | Path | None = None,
        verbose: bool = False,
    ) -> None:
        self.lossless = lossless
        self.quality = quality
        self.qualities = qualities
        self.speed = speed
        self.epochs = epochs
        self.max_time = max_time
        self.learning_rate = learning_rate
        self.validation = validation
        self.init = init
        self.random_state = random_state
        self.resume = resume
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> ImageCodec:
        """Learn what the pixels of images are like.

        Parameters
        ----------
        X : array of shape (n, height, width) or (n, height, width, 2 to 4), list, or paths
            uint8 or uint16; images of a list may differ in size. Or a folder of picture files.
        y : None
            Not used.

        Returns
        -------
        ImageCodec
            Itself.

        Raises
        ------
        DataError
            If the images cannot be read, or are not of whole numbers.
        KeyboardInterrupt
            If it was interrupted; ``resume`` says where its state is.
        """
        self._check()
        if self.lossless:
            from isthmus.codecs.fitting import fit

            fit(self, as_pictures(X))
        else:
            from isthmus.codecs.lossy_fitting import fit_lossy

            fit_lossy(self, as_pictures(X))
        return self

    def compress(self, x: Any) -> bytes:
        """One image as bytes, which are decoded again before they are returned.

        Parameters
        ----------
        x : array of shape (height, width) or (height, width, 2 to 4), or path
            uint8 or uint16. A path's file comes back from ``isthmus decompress`` with its colour
            profile; where the model would make it larger, it is stored as it is. An array that it
            would make larger is stored as PNG, where that can hold it.

        Raises
        ------
        DataError
            If it is no image.
        """
        if isinstance(x, (str, Path)):
            return self.compress_file(Path(x))
        picture = Picture(pixels_of(x))
        with single_products():
            data = pack(picture, self.coder())
        if len(data) <= picture.pixels.nbytes:
            return data
        return min(data, store_pixels(picture) or data, key=len)

    def compress_file(self, path: str | Path) -> bytes:
        """A picture file as bytes: never more than 16 larger than it is."""
        from isthmus.codecs.files import read_bytes

        path = Path(path)
        whole = store(read_bytes(path))
        picture = read_picture(path)
        if picture is None:
            return whole
        with single_products():
            data = pack(picture, self.coder())
        return data if len(data) < len(whole) else whole

    def decompress(self, data: bytes | bytearray | memoryview) -> Array:
        """What ``compress`` was given, as an array.

        Raises
        ------
        CompressedError
            If the bytes are damaged or cut short.
        OtherModelError
            If they were written with another model.
        """
        found = self.unpacked(data)
        return self.decompress_stored(found) if isinstance(found, Stored) else found.pixels

    def unpacked(self, data: bytes | bytearray | memoryview) -> Picture | Stored:
        """What ``compress`` was given, with all that its file said."""
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise DataError(f"decompress takes bytes, got {type(data).__name__}.")
        try:
            with single_products():
                return unpack(bytes(data), self.coder_for)
        except CompressedError as error:
            raise type(error)(f"this cannot be decompressed: {error}.") from error

    @staticmethod
    def decompress_stored(stored: Stored) -> Array:
        """The pixels of a file that was stored as it is."""
        return read_bytes_as_image(stored.content)

    def coder(self) -> Coder | LossyCoder:
        """What writes, by the fitted model or the bundled one."""
        self._check()
        if hasattr(self, "coder_"):
            found: Coder | LossyCoder = self.coder_
            return found.at(self._quality(found)) if isinstance(found, LossyCoder) else found
        if not self.lossless:
            raise NotFittedError(
                "there is no bundled model with loss: call fit with images of your own first."
            )
        return models.bundled(self.speed)

    def _quality(self, coder: LossyCoder) -> int:
        low, high = coder.qualities
        if not low <= self.quality <= high:
            raise SpecError(
                f"this model was fitted for qualities {low} to {high}, got {self.quality}."
            )
        return self.quality

    def coder_for(self, identity: bytes) -> Coder | LossyCoder:
        """What can read bytes that were written with a model, by the first bytes of its identity.

        Raises
        ------
        OtherModelError
        """
        own: list[Coder | LossyCoder] = [self.coder_] if hasattr(self, "coder_") else []
        plain = [models.bundled(speed) for speed in SPEEDS]
        for coder in own or plain:
            if coder.identity.startswith(identity):
                return coder
        if own and any(coder.identity.startswith(identity) for coder in plain):
            raise OtherModelError("it was written with the bundled model, not with this one")
        this = f"this is {own[0].identity.hex()[:8]}..." if own else "not with the bundled one"
        raise OtherModelError(
            f"it was written with another model, whose networks are {identity.hex()}... in isthmus "
            f"info; {this}. Pass that model (--model MODEL on the command line)"
        )

    def save(self, path: str | Path) -> str:
        """Save to a folder, without pickle; see ``isthmus.load``.

        Returns
        -------
        str
            The identity of the folder's content, a SHA-256.

        Raises
        ------
        ModelFileError
            If there is another codec: what it compressed could not be read any more.
        """
        if not hasattr(self, "coder_"):
            raise NotFittedError(
                "this ImageCodec is not fitted: there is nothing of its own to save. Call fit, or "
                "use it as it is: it compresses with the bundled model."
            )
        return models.save(self, Path(path))

    def compare(self, X: Any) -> Any:
        """Bytes and speed of this codec beside those of PNG, WebP and, where it is installed, JPEG
        XL, on images that were not in the fit.

        Returns
        -------
        Comparison
        """
        from isthmus.codecs.judging import compare

        return compare(self, as_pictures(X))

    def _check(self) -> None:
        if not isinstance(self.lossless, (bool, np.bool_)):
            raise SpecError(f"lossless must be True or False, got {self.lossless!r}.")
        if not _possible(self.quality, self.qualities):
            raise SpecError(
                f"quality must be a whole number from 1 to {QUALITIES}, and qualities two of them, "
                f"the lower first; got {self.quality!r} and {self.qualities!r}."
            )
        if self.speed not in SPEEDS:
            raise SpecError(f"speed must be 'best' or 'fast', got {self.speed!r}.")
        if self.init not in ("auto", "bundled", None):
            raise SpecError(f"init must be 'auto', 'bundled' or None, got {self.init!r}.")

    def __sklearn_is_fitted__(self) -> bool:
        return self.lossless or hasattr(self, "coder_")


def _possible(quality: Any, qualities: Any) -> bool:
    if not isinstance(qualities, Sequence) or isinstance(qualities, str) or len(qualities) != 2:
        return False
    asked = [quality, *qualities]
    whole = all(isinstance(n, int | np.integer) and not isinstance(n, bool) for n in asked)
    return whole and all(1 <= n <= QUALITIES for n in asked) and asked[1] <= asked[2]
