"""``isthmus decompress``: files had back as they were."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isthmus.apps.cli import options
from isthmus.apps.cli.codec import codec_at
from isthmus.apps.cli.compress import ARCHIVE_ENDING, ENDING
from isthmus.apps.cli.placing import Failures, Overwrite, Placing, say_left_out, watched
from isthmus.apps.cli.speech import give
from isthmus.core.wording import counted

if TYPE_CHECKING:
    from isthmus.codecs.images import ImageCodec
    from isthmus.coding.container import Picture, Stored


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

    A file that is damaged, cut short, or was compressed with another model is refused; the others
    are written.
    """
    from isthmus.codecs.images import ImageCodec

    codec = ImageCodec() if model is None else codec_at(model)
    failures, found = Failures(), list[Compressed]()
    paths = list(_compressed(files))
    for path in paths:
        with failures.of(path):
            found.append(_looked_at(path))
    placing = Placing(paths, overwrite)
    placing.check([out / name for one in found for name in one.names], "-o")
    written: list[Path] = []
    total = sum(len(one.names) for one in found)
    each = ((one, path) for one in found for path in _written(one, codec, out, placing, failures))
    for _, path in watched(each, total, "decompressing"):
        written.append(path)
    failures.check_some(written)
    result = {"out": str(out), "files": [*map(str, written)], "failed": failures.told}
    give(result, f"{out}: {counted(len(written), 'file')}{failures.words('read')}", as_json)
    failures.check_none()


@dataclass(frozen=True)
class Compressed:
    """A compressed file, and what the files in it are called."""

    path: Path
    is_archive: bool
    names: list[str]


def _looked_at(path: Path) -> Compressed:
    """What can be said of a file by its beginning."""
    from isthmus.codecs.archive_header import header_of
    from isthmus.codecs.files import read_start
    from isthmus.codecs.pictures import ARRAY, ENDINGS
    from isthmus.coding.container import ARCHIVE, LOSSY, PICTURE, kind_of

    kind = kind_of(read_start(path, 2)[0])
    if kind == ARCHIVE:
        header = header_of(path)
        names = header.names or [f"{i:05d}{ENDINGS[ARRAY]}" for i in range(header.count)]
        _check_held(names)
        return Compressed(path, True, names)
    name = path.name.removesuffix(ENDING)
    if kind in (PICTURE, LOSSY) and not Path(name).suffix:
        name += ENDINGS[ARRAY]
    return Compressed(path, False, [name])


def _written(
    one: Compressed, codec: ImageCodec, out: Path, placing: Placing, failures: Failures
) -> Iterator[Path]:
    """Write what a file holds; yields each path that was written."""
    from isthmus.codecs.archive import Archive
    from isthmus.codecs.files import read_bytes
    from isthmus.core.errors import CompressedError, IsthmusError

    with failures.of(one.path):
        if not one.is_archive:
            target = out / one.names[0]
            _place(codec.unpacked(read_bytes(one.path)), target, placing)
            yield target
            return
        archive = Archive(one.path, codec)
        lost, first = 0, ""
        for i in archive.numbers():
            target = out / one.names[i]
            try:
                _place(archive.entry(i), target, placing)
            except IsthmusError as error:
                lost, first = lost + 1, first or f"{one.names[i]}: {error}".removesuffix(".")
                continue
            yield target
        if lost:
            raise CompressedError(
                f"{first} ({lost:,} of the {len(archive):,} files in it were not written)"
            )


def _place(entry: Picture | Stored, target: Path, placing: Placing) -> None:
    from isthmus.codecs.pictures import write_picture
    from isthmus.coding.container import Stored

    whole = entry.content if isinstance(entry, Stored) else write_picture(entry)
    target.parent.mkdir(parents=True, exist_ok=True)
    placing.write(target, whole)


def _check_held(names: Sequence[str]) -> None:
    """Refuse names that could lead out of the folder, or to one place."""
    from isthmus.codecs.archive_header import is_file_name
    from isthmus.core.errors import CompressedError

    if len(set(names)) < len(names):
        raise CompressedError("it holds two files of one name")
    for name in names:
        if not is_file_name(name):
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
        say_left_out(path, inside)
        yield from inside
