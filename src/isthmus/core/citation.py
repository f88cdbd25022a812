"""References in words and in BibTeX, and the links in a text that stand for them."""

from __future__ import annotations

import re

from isthmus.core.errors import SpecError
from isthmus.core.papers import PAPERS

ARXIV, DOI = "https://arxiv.org/abs/", "https://doi.org/"
VENUE = {
    "article": "journal",
    "book": "publisher",
    "inproceedings": "booktitle",
    "misc": "howpublished",
}
"""What BibTeX calls the place where each kind of paper can be found."""


def links(text: str | None) -> list[str]:
    """The addresses in a text, without the punctuation after them, each once."""
    found = []
    for address in re.findall(r"https?://[^\s<>\"'`]+", text or ""):
        address = address.rstrip(".,;:")
        while address.endswith(")") and address.count("(") < address.count(")"):
            address = address[:-1].rstrip(".,;:")
        found.append(address)
    return list(dict.fromkeys(found))


def reference(link: str) -> str:
    """A reference in words: authors, year, title, venue, link; of an unknown paper its link."""
    if link not in PAPERS:
        return link
    paper = PAPERS[link]
    *others, last = [_with_initials(author) for author in paper.authors.split(" and ")]
    authors = f"{', '.join(others)} & {last}" if others else last
    venue = f" {paper.venue}." if paper.venue else ""
    return f"{authors} ({paper.year}). {paper.title}.{venue} {link}"


def bibtex(link: str) -> str:
    """A BibTeX entry.

    Parameters
    ----------
    link : str
        A key of ``PAPERS``.

    Raises
    ------
    SpecError
        If there is no such paper.
    """
    if link not in PAPERS:
        raise SpecError(f"nothing is known of the paper '{link}' but its link.")
    paper = PAPERS[link]
    # Capitals in a title are names: the second braces keep them.
    fields = {"author": paper.authors, "title": f"{{{paper.title}}}", "year": str(paper.year)}
    if paper.venue:
        fields[VENUE[paper.kind]] = paper.venue
    if link.startswith(ARXIV):
        fields |= {"eprint": link.removeprefix(ARXIV), "archivePrefix": "arXiv"}
    if link.startswith(DOI):
        fields["doi"] = link.removeprefix(DOI)
    fields["url"] = link
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items()]
    return "\n".join([f"@{paper.kind}{{{paper.key},", *lines, "}"])


def _with_initials(author: str) -> str:
    """``Manzagol, P.-A.``."""
    family, _, given = author.partition(", ")
    names = [
        "-".join(part if part.endswith(".") else f"{part[0]}." for part in name.split("-"))
        for name in given.split()
    ]
    return f"{family}, {' '.join(names)}" if names else family
