"""Verbs for files made small: ``compress`` and ``decompress``."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from isthmus.apps.cli import options
from isthmus.apps.cli.codec import codec_at
from isthmus.apps.cli.speech import give
from isthmus.core.wording import counted

if TYPE_CHECKING:
    from isthmus.codecs.images import ImageCodec
    from isthmus.coding.container import Picture, Stored

ENDING, ARCHIVE_ENDING = ".ist", ".ista"
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace files that are there already.")
]


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
    if archive is not None:
        target = archive if out is None else out / archive
        _make_archive(codec, paths, target, overwrite, as_json)
        return
    if out is None:
        raise typer.BadParameter(
            "say where to write: a folder, or --archive FILE.", param_hint="-o"
        )
    targets = [out / f"{path.name}{ENDING}" for path in paths]
    _check_names([target.name for target in targets])
    _check_free(targets, overwrite, "-o")
    out.mkdir(parents=True, exist_ok=True)
    told = []
    for path, target in _watched(list(zip(paths, targets, strict=True)), "compressing"):
        told.append(_compress_one(codec, path, target))
    _tell(told, out, as_json)


def _check_lossy(codec: ImageCodec) -> None:
    if codec.lossless:
        raise typer.BadParameter(
            "this model is one without loss. Leave it out.", param_hint="--quality"
        )


def _compress_one(codec: ImageCodec, path: Path, target: Path) -> dict[str, Any]:
    from isthmus.codecs.files import write_bytes
    from isthmus.coding.container import STORED, kind_of

    data = codec.compress_file(path)
    write_bytes(target, data)
    before, stored = path.stat().st_size, kind_of(data) == STORED
    return {
        "file": str(path),
        "out": str(target),
        "before": before,
        "after": len(data),
        "stored": stored,
    }


def _make_archive(
    codec: ImageCodec, paths: list[Path], target: Path, overwrite: bool, as_json: bool
) -> None:
    from isthmus.codecs.archive import Archive
    from isthmus.codecs.files import read_bytes
    from isthmus.codecs.pictures import read_picture
    from isthmus.coding.container import Stored

    _check_names([path.name for path in paths])
    if target.resolve() in {path.resolve() for path in paths}:
        raise typer.BadParameter(
            f"'{target}' is one of the files to compress. Choose another name.",
            param_hint="--archive",
        )
    _check_free([target], overwrite, "--archive")
    target.parent.mkdir(parents=True, exist_ok=True)
    entries: list[Picture | Stored] = []
    for path in _watched(paths, "reading"):
        picture = read_picture(path)
        entries.append(Stored(read_bytes(path)) if picture is None else picture)
    size = Archive.write(target, entries, codec, [path.name for path in paths])
    before = sum(path.stat().st_size for path in paths)
    result = {"out": str(target), "files": len(paths), "before": before, "after": size}
    words = f"{target}: {counted(len(paths), 'file')}, {_sizes(before, size)}"
    give(result, words, as_json)


def _tell(told: list[dict[str, Any]], out: Path, as_json: bool) -> None:
    before, after = (sum(one[name] for one in told) for name in ("before", "after"))
    stored = sum(one["stored"] for one in told)
    words = f"{out}: {counted(len(told), 'file')}, {_sizes(before, after)}"
    if stored:
        words += (
            f". {counted(stored, 'is', 'are')} stored as {'it is' if stored == 1 else 'they are'}: "
            f"the model would have made {'it' if stored == 1 else 'them'} no smaller"
        )
    give({"out": str(out), "before": before, "after": after, "files": told}, words, as_json)


def _sizes(before: int, after: int) -> str:
    return f"{before:,} bytes to {after:,} ({after / max(before, 1):.0%})"


def decompress(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILES...", help="What isthmus compress wrote.", show_default=False),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "-o", "--out", metavar="DIR", help="Where to write, a folder.", show_default=False
        ),
    ],
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL",
            help="The model that compressed them; by default the bundled one.",
            show_default=False,
        ),
    ] = None,
    overwrite: Overwrite = False,
    as_json: options.Json = False,
) -> None:
    """Write the pictures that isthmus compress was given, with the same pixels.

    A file that is damaged, cut short, or was compressed with another model is refused.
    """
    from isthmus.codecs.images import ImageCodec

    codec = ImageCodec() if model is None else codec_at(model)
    opened = [_opened(codec, path) for path in _compressed(files)]
    targets = [out / name for found in opened for name in found.names]
    _check_names([target.name for target in targets])
    _check_free(targets, overwrite, "-o")
    for found in _watched(opened, "decompressing"):
        _write_each(found, out)
    written = [str(target) for target in targets]
    give({"out": str(out), "files": written}, f"{out}: {counted(len(written), 'file')}", as_json)


@dataclass(frozen=True)
class Opened:
    """A compressed file whose names are known, and what gives its entries."""

    path: Path
    names: list[str]
    entries: Callable[[], Iterator[Picture | Stored]]


def _opened(codec: ImageCodec, path: Path) -> Opened:
    from isthmus.codecs.archive import Archive
    from isthmus.codecs.files import read_bytes
    from isthmus.codecs.pictures import ARRAY, ENDINGS
    from isthmus.coding.container import ARCHIVE, LOSSY, PICTURE, kind_of

    with _naming(path):
        data = read_bytes(path)
        kind = kind_of(data)
        if kind == ARCHIVE:
            archive = Archive(path, codec)
            n = len(archive)
            names = archive.names or [f"{i:05d}{ENDINGS[ARRAY]}" for i in range(n)]
            _check_held(names)
            return Opened(path, names, lambda: map(archive.entry, range(n)))
        name = path.name.removesuffix(ENDING)
        if kind in (PICTURE, LOSSY) and not Path(name).suffix:
            name += ENDINGS[ARRAY]
        return Opened(path, [name], lambda: iter([codec.unpacked(path.read_bytes())]))


def _write_each(found: Opened, out: Path) -> None:
    from isthmus.codecs.files import write_bytes
    from isthmus.codecs.pictures import write_picture
    from isthmus.coding.container import Stored

    with _naming(found.path):
        for name, one in zip(found.names, found.entries(), strict=True):
            whole = one.content if isinstance(one, Stored) else write_picture(one)
            out.mkdir(parents=True, exist_ok=True)
            write_bytes(out / name, whole)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """What goes wrong with a file names it."""
    from isthmus.core.errors import CompressedError, NewerError

    try:
        yield
    except (CompressedError, NewerError) as error:
        raise type(error)(f"{path}: {str(error).removesuffix('.')}.") from error


def _check_held(names: Sequence[str]) -> None:
    """Refuse names that could lead out of the folder, or to one place."""
    from isthmus.core.errors import CompressedError

    if len(set(names)) < len(names):
        raise CompressedError("it holds two files of one name")
    for name in names:
        _check_name(name)


def _check_name(name: str) -> None:
    from isthmus.core.errors import CompressedError

    if name != Path(name).name or name in ("", ".", "..") or "\\" in name or "\0" in name:
        raise CompressedError(f"it holds a file called {name!r}, which is no name for one")


def _compressed(paths: Iterable[Path]) -> Iterator[Path]:
    """The files, and those in the folders that end as compressed ones do."""
    from isthmus.core.errors import EmptyError

    for path in paths:
        if not path.is_dir():
            yield path
            continue
        inside = sorted(p for p in path.iterdir() if p.suffix in (ENDING, ARCHIVE_ENDING))
        if not inside:
            raise EmptyError(f"there are no {ENDING} or {ARCHIVE_ENDING} files in {path}.")
        yield from inside


def _pictures(paths: Iterable[Path]) -> Iterator[Path]:
    """The files, and those in the folders."""
    from isthmus.core.errors import DataError, EmptyError
    from isthmus.data.folders import image_files

    found = False
    for path in paths:
        inside = image_files(path) if path.is_dir() else [path]
        if path.is_dir() and not inside:
            raise EmptyError(f"there are no images in {path}.")
        for file in inside:
            if not file.is_file():
                raise DataError(f"there is no file {file}.")
            found = True
            yield file
    if not found:
        raise typer.BadParameter("name the files to compress.", param_hint="FILES")


def _check_names(names: Sequence[str]) -> None:
    """Refuse before the work what would write over itself."""
    twice = next((name for name, n in Counter(names).items() if n > 1), None)
    if twice is not None:
        raise typer.BadParameter(
            f"two files are called '{twice}'. Give them in two commands, with two folders.",
            param_hint="FILES",
        )


def _check_free(targets: Sequence[Path], overwrite: bool, option: str) -> None:
    """Refuse before the work what would be lost by it."""
    there = next((target for target in targets if target.exists()), None)
    if there is not None and not overwrite:
        raise typer.BadParameter(
            f"'{there}' exists. Choose another place, or replace it with --overwrite.",
            param_hint=option,
        )


def _watched(things: list[Any], doing: str) -> Iterator[Any]:
    """The things, with a bar and the time left where somebody watches."""
    if len(things) < 2 or not sys.stderr.isatty():
        yield from things
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(things, doing, console=Console(stderr=True), transient=True)
