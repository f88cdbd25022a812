"""What ``fit``, ``evaluate`` and ``info`` do with codecs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from isthmus.apps.cli.partial import drop, kept_in
from isthmus.apps.cli.speech import give, say
from isthmus.core.wording import counted

if TYPE_CHECKING:
    from isthmus.codecs.images import ImageCodec

TAKEN = {
    "data", "out", "job", "lossless", "quality", "speed", "epochs", "max_time", "learning_rate",
    "validation", "seed", "resume", "quiet", "as_json",
}  # fmt: skip
"""The options of ``fit`` that a codec takes."""


def codec_at(path: Path) -> ImageCodec:
    """The codec in a folder, or an error that says how to fit one."""
    from isthmus.codecs.images import ImageCodec
    from isthmus.core.errors import AbilityError
    from isthmus.loading import load

    found = load(path)
    if isinstance(found, ImageCodec):
        return found
    raise AbilityError(
        f"'{path}' has no integer networks, so it cannot compress exactly. Fit a model that has "
        "with: isthmus fit DATA --for compress --lossless, or with loss: --quality 1..8"
    )


def fit_codec(
    data: Path,
    out: Path,
    *,
    lossless: bool,
    qualities: tuple[int, int] | None,
    speed: str,
    epochs: int | None,
    max_time: str | None,
    learning_rate: float | None,
    validation: float,
    seed: int,
    quiet: bool,
    as_json: bool,
    partial: Path,
    resume: bool | None,
    words: list[str],
) -> None:
    """What ``fit --for compress`` does; ``partial`` is where its training is kept."""
    from isthmus.codecs.images import ImageCodec
    from isthmus.codecs.models import check_replaced

    check_replaced(out)
    wanted: dict[str, Any] = {}
    if qualities is not None:
        wanted = {"qualities": qualities, "quality": (qualities[0] + qualities[1] + 1) // 2}
    codec = ImageCodec(
        lossless=lossless,
        **wanted,
        speed=speed,
        epochs=epochs,
        max_time=max_time,
        learning_rate=learning_rate,
        validation=validation,
        random_state=seed,
        resume=partial,
        verbose=not quiet,
    )
    with kept_in(partial, words):
        images = read_images(data)
        if not quiet:
            say(f"{data}: {counted(len(images), 'image')}")
        if not resume:
            drop(partial)
        codec.fit(images)
        identity = codec.save(out)
    result = {
        "model": str(out),
        "identity": identity,
        "images": codec.n_images_,
        "kept": codec.kept_,
        "validation": codec.validation_,
    }
    give(result, f"{out}: {_came(codec)}", as_json)


def _came(codec: ImageCodec) -> str:
    held = codec.validation_
    if held and not codec.lossless:
        from isthmus.codecs.card import worth

        return f"a codec. {worth(codec)} Compare it with JPEG, WebP and AVIF: isthmus evaluate."
    if not held:
        return "a codec. No images were held out: see what it is worth with isthmus evaluate."
    if codec.kept_ == "start":
        return (
            f"a codec. Training was no better than what it began as ({held['before']:.3f} bits "
            "per value on images held out): that is what was kept."
        )
    return (
        f"a codec. {held['after']:.3f} bits per value on images held out, {held['before']:.3f} "
        "before training. Compare it with PNG and WebP: isthmus evaluate."
    )


def read_images(data: Path) -> Any:
    """Images from a folder, a file, or an array."""
    from isthmus import data as files
    from isthmus.codecs.gathering import as_pictures
    from isthmus.data.files import IMAGE_ENDINGS

    if data.is_dir() or data.suffix.lower() in IMAGE_ENDINGS:
        return as_pictures(data)
    return as_pictures(files.read(data, kind="images").X)


def judge_codec(
    codec: ImageCodec, model: Path, data: Path, labels: list[str] | None, as_json: bool
) -> None:
    """What ``evaluate`` does with a codec."""
    if labels:
        raise typer.BadParameter("a codec looks at no labels. Leave it out.", param_hint="--labels")
    images = read_images(data)
    found = codec.compare(images)
    result = {"model": str(model), "data": str(data), "images_compared": len(images)}
    give({**result, **found.to_json()}, str(found), as_json)


def _seen(codec: ImageCodec) -> str:
    if codec.lossless:
        return f"{counted(codec.coder_.predictors[0].neighbourhood.own, 'pixel')} around each"
    coder = codec.coder_
    patch, (low, high) = coder.transform.patch, coder.qualities
    numbers = counted(coder.transform.channels, "number")
    return f"blocks of {patch} x {patch} pixels, {numbers} of each; qualities {low} to {high}"


def describe_codec(model: Path, config: dict[str, Any], as_json: bool) -> None:
    """What ``info`` says of a codec."""
    from isthmus.codecs.card import colours_of

    codec, told = codec_at(model), config["codec"]
    fitted = told["fitted"]
    result = {
        "model": str(model),
        "identity": config["identity"],
        "library": config["library"],
        "kind": "codec",
        "parameters": codec.coder_.numbers,
        "parameters_of_fit": told["parameters"],
        "networks": told["identity"],
        **{name: fitted[name] for name in ("n_images", "kept", "validation")},
    }
    kind = "without loss" if codec.lossless else "with loss"
    pairs = {
        "codec": f"images, {colours_of(codec)}, {kind}",
        "sees": _seen(codec),
        "numbers": f"{codec.coder_.numbers:,}",
        "fitted on": counted(codec.n_images_, "image"),
        "outcome": _came(codec).removeprefix("a codec. "),
        "networks": told["identity"],
        "identity": config["identity"],
    }
    give(result, "\n".join(f"{name:<11} {value}" for name, value in pairs.items()), as_json)
