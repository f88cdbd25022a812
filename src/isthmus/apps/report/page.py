"""One self-contained page: no script, no link, nothing to load."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from importlib.resources import files
from pathlib import Path
from string import Template

from isthmus import __version__
from isthmus.apps.report import alarm_sections
from isthmus.apps.report.alarm_context import AlarmContext
from isthmus.apps.report.context import Context
from isthmus.apps.report.pieces import Section, paragraph, text
from isthmus.apps.report.sections import SECTIONS
from isthmus.training.checkpoint import write_whole

Subject = Context | AlarmContext


def page(title: str, contexts: Sequence[Subject], opening: str = "") -> str:
    """A report on one or more models or detectors.

    Parameters
    ----------
    title : str
    contexts : sequence of Context or AlarmContext
        Each becomes a chapter.
    opening : str
        A paragraph before the first one.

    Returns
    -------
    str
        HTML, whole.
    """
    here = files("isthmus.apps.report")
    chapters = "".join(_chapter(context, alone=len(contexts) == 1) for context in contexts)
    return Template((here / "page.html").read_text(encoding="utf-8")).substitute(
        title=text(title),
        style=(here / "page.css").read_text(encoding="utf-8"),
        opening=paragraph(opening, "opening") if opening else "",
        chapters=chapters,
        made=text(f"Isthmus {__version__} · {date.today().isoformat()}"),
    )


def write_page(path: Path, html: str) -> None:
    """Write the page, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, html.encode())


def _sections(context: Subject) -> list[Section]:
    """What there is to say of a model, or of a detector."""
    if isinstance(context, AlarmContext):
        made = [make(context) for make in alarm_sections.SECTIONS]
    else:
        made = [make(context) for make in SECTIONS]
    return [section for section in made if section is not None]


def _chapter(context: Subject, *, alone: bool) -> str:
    sections = _sections(context)
    heading = "" if alone else f"<h2>{text(context.name)}</h2>"
    level = "h2" if alone else "h3"
    return (
        f"<article>{heading}{''.join(_section(section, level) for section in sections)}</article>"
    )


def _section(section: Section, level: str) -> str:
    heading = f"<{level}>{text(section.title)}</{level}>" if section.title else ""
    return f"<section>{heading}{section.body}</section>"
