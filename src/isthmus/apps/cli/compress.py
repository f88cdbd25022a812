"""``isthmus compress``: files made small."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from isthmus.apps.cli import options
from isthmus.apps.cli.codec import codec_at
from isthmus.apps.cli.placing import Failures, Overwrite, Placing, say_left_out, watched
from isthmus.apps.cli.speech import give
from isthmus.core.wording import counted

if TYPE_CHECKING:
    from isthmus.codecs.images import ImageCodec

ENDING, ARCHIVE_ENDING = ".ist", ".ista"


def compress(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="[MODEL] FILES...",
            help=(
                "Picture files, or folders of them. A saved model as the first; without one, the "
                "bundled model for photographs."
            ),
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", metavar="DIR", help="Where to write, a folder.", show_default=False
        ),
    ] = None,
    archive: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=(
                "Write all into this one file, usually ending in .ista: small images take far "
                "fewer bytes together. With -o, in that folder."
            ),
            show_default=False,
        ),
    ] = None,
    speed: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Of the bundled model: best, or fast. [default: best]",
            show_default=False,
        ),
    ] = None,
    quality: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=8,
            metavar="N",
            help="Of a model with loss: 1 (fewest bytes) to 8. [default: in the middle]",
            show_default=False,
        ),
    ] = None,
    overwrite: Overwrite = False,
    as_json: options.Json = False,
) -> None:
    """Compress pictures: isthmus decompress gives every pixel back, on any machine.

    A model that was fitted with --quality keeps them only nearly as they were, in far fewer bytes.

    Each is decoded again before it is written. A file that the model would make larger is stored as
    it is, so a JPEG stays a JPEG. Colour profiles and EXIF are kept.
    """
    from isthmus.codecs.images import ImageCodec

    model, *rest = files
    if (model / "config.json").is_file():
        if speed is not None:
            raise typer.BadParameter(
                "a saved model has its own. Leave it out.", param_hint="--speed"
            )
        codec = codec_at(model)
        if quality is not None:
            _check_lossy(codec)
            codec.set_params(quality=quality)
            codec.coder()
    else:
        if quality is not None:
            raise typer.BadParameter(
                "it goes with a model with loss. Fit one: isthmus fit DATA --for compress "
                "--quality 1..8",
                param_hint="--quality",
            )
        codec, rest = ImageCodec(speed=speed or "best"), files
        codec.coder()
    paths = list(_pictures(rest))
    placing, failures = Placing(paths, overwrite), Failures()
    if archive is not None:
        target = archive if out is None else out / archive
        _make_archive(codec, paths, target, placing, failures, as_json)
        return
    if out is None:
        raise typer.BadParameter(
            "say where to write: a folder, or --archive FILE.", param_hint="-o"
        )
    targets = [out / f"{path.name}{ENDING}" for path in paths]
    placing.check(targets, "-o")
    out.mkdir(parents=True, exist_ok=True)
    told: list[dict[str, Any]] = []
    pairs = zip(paths, targets, strict=True)
    for path, target in watched(pairs, len(paths), "compressing"):
        with failures.of(path):
            told.append(_compress_one(codec, path, target, placing))
    failures.check_some(told)
    _tell(told, failures, out, as_json)
    failures.check_none()


def _check_lossy(codec: ImageCodec) -> None:
    if codec.lossless:
        raise typer.BadParameter(
            "this model is one without loss. Leave it out.", param_hint="--quality"
        )


def _compress_one(codec: ImageCodec, path: Path, target: Path, placing: Placing) -> dict[str, Any]:
    from isthmus.coding.container import STORED, kind_of

    data = codec.compress_file(path)
    placing.write(target, data)
    before, stored = path.stat().st_size, kind_of(data) == STORED
    return {
        "file": str(path),
        "out": str(target),
        "before": before,
        "after": len(data),
        "stored": stored,
    }


def _make_archive(
    codec: ImageCodec,
    paths: list[Path],
    target: Path,
    placing: Placing,
    failures: Failures,
    as_json: bool,
) -> None:
    from isthmus.codecs.archive import Archive
    from isthmus.codecs.archive_header import header_of, is_file_name
    from isthmus.codecs.archive_writing import Entry, entry_of
    from isthmus.core.errors import DataError

    Placing([], True).check([target.parent / path.name for path in paths], "FILES")
    placing.check([target], "--archive")
    target.parent.mkdir(parents=True, exist_ok=True)
    entries: list[Entry] = []
    read: list[Path] = []
    for path in watched(paths, len(paths), "reading"):
        with failures.of(path):
            if not is_file_name(path.name):
                raise DataError(f"no file in an archive can be called {path.name!r}. Rename it")
            entries.append(entry_of(path))
            read.append(path)
    failures.check_some(read)
    before = sum(path.stat().st_size for path in read)
    placing.check_free(target)
    size = Archive.write(target, entries, codec, [path.name for path in read])
    stored = sum(group.count for group in header_of(target).groups if not group.shape)
    result = {
        "out": str(target),
        "files": len(read),
        "before": before,
        "after": size,
        "stored": stored,
        "failed": failures.told,
    }
    words = f"{target}: {counted(len(read), 'file')}, {_sizes(before, size)}{_stored(stored)}"
    give(result, words + failures.words("read"), as_json)
    failures.check_none()


def _tell(told: list[dict[str, Any]], failures: Failures, out: Path, as_json: bool) -> None:
    before, after = (sum(one[name] for one in told) for name in ("before", "after"))
    stored = sum(one["stored"] for one in told)
    words = f"{out}: {counted(len(told), 'file')}, {_sizes(before, after)}{_stored(stored)}"
    result = {"out": str(out), "before": before, "after": after, "files": told}
    give({**result, "failed": failures.told}, words + failures.words("compressed"), as_json)


def _stored(n: int) -> str:
    """How many files are stored, as the end of a sentence."""
    if not n:
        return ""
    them, they = ("it", "it is") if n == 1 else ("them", "they are")
    return (
        f". {counted(n, 'is', 'are')} stored as {they}: the model would have made {them} no "
        "smaller, or the format is one that is kept whole"
    )


def _sizes(before: int, after: int) -> str:
    return f"{before:,} bytes to {after:,} ({after / max(before, 1):.0%})"


def _pictures(paths: Iterable[Path]) -> Iterator[Path]:
    """The files, and those in the folders."""
    from isthmus.core.errors import DataError, EmptyError
    from isthmus.data.folders import image_files

    found = False
    for path in paths:
        inside = image_files(path) if path.is_dir() else [path]
        if path.is_dir() and not inside:
            raise EmptyError(f"there are no images in {path}.")
        if path.is_dir():
            say_left_out(path, inside)
        for file in inside:
            if not file.is_file():
                raise DataError(f"there is no file {file}.")
            found = True
            yield file
    if not found:
        raise typer.BadParameter("name the files to compress.", param_hint="FILES")
