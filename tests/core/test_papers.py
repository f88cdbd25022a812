"""References: every link in the code is one, and each is well formed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from isthmus import parts
from isthmus.core.citation import bibtex, links, reference
from isthmus.core.errors import SpecError
from isthmus.core.papers import OPTIMIZER_PAPERS, PAPERS
from isthmus.recipes import RECIPES
from isthmus.training.optimisers import OPTIMIZERS

SOURCE = Path(__file__).parents[2] / "src" / "isthmus"
REGISTRIES = (
    parts.NETWORKS,
    parts.CODES,
    parts.PRIORS,
    parts.LIKELIHOODS,
    parts.CORRUPTIONS,
    parts.PENALTIES,
)
DENOISING = "https://doi.org/10.1145/1390156.1390294"


def cited() -> Iterator[tuple[str, str, str]]:
    """Where a link stands, the link, and the text before it."""
    for registry in REGISTRIES:
        for kind in registry:
            text = registry[kind].__doc__ or ""
            for link in links(text):
                before = " ".join(text[: text.index(link)].split())
                yield f"{registry.axis} {kind}", link, before


# ------------------------------------------------------------------ the table


@pytest.mark.parametrize("name", list(RECIPES))
def test_the_paper_of_every_recipe_is_known(name: str) -> None:
    assert RECIPES[name].paper in PAPERS


def test_every_paper_that_a_part_names_is_known() -> None:
    assert {(place, link) for place, link, _ in cited() if link not in PAPERS} == set()


def test_a_part_and_the_table_give_a_paper_the_same_authors_and_year() -> None:
    wrong = []
    for place, link, before in cited():
        paper = PAPERS[link]
        named = before[-120:]
        if paper.families[0] not in named or str(paper.year) not in named:
            wrong.append(f"{place}: '{named}' is not {paper.short}")
    assert wrong == []


def test_every_paper_named_anywhere_in_the_code_of_models_is_known() -> None:
    files = [
        file
        for folder in ("core", "parts", "training", "baselines")
        for file in sorted((SOURCE / folder).rglob("*.py"))
    ]
    found = {link for file in files for link in links(file.read_text(encoding="utf-8"))}
    found -= {"https://arxiv.org/abs/", "https://doi.org/"}
    assert found - set(PAPERS) == set()
    assert len(found) > 20


def test_every_optimiser_has_its_paper() -> None:
    assert set(OPTIMIZER_PAPERS) == set(OPTIMIZERS)
    assert set(OPTIMIZER_PAPERS.values()) <= set(PAPERS)


def test_no_two_papers_have_one_key() -> None:
    keys = [paper.key for paper in PAPERS.values()]
    assert len(keys) == len(set(keys))
    assert all(re.fullmatch(r"[a-z]+\d{4}[a-z0-9]+", key) for key in keys)


@pytest.mark.parametrize("link", list(PAPERS))
def test_every_author_has_a_family_and_a_given_name(link: str) -> None:
    for author in PAPERS[link].authors.split(" and "):
        assert re.fullmatch(r"[\w' -]+, [\w'. -]+", author), author


# ------------------------------------------------------------------ how it is written


def test_a_reference_reads_as_in_a_paper() -> None:
    assert PAPERS[DENOISING].short == "Vincent et al. 2008"
    assert PAPERS["https://arxiv.org/abs/1412.6980"].short == "Kingma & Ba 2014"
    assert reference(DENOISING) == (
        "Vincent, P., Larochelle, H., Bengio, Y. & Manzagol, P.-A. (2008). Extracting and composing"
        " robust features with denoising autoencoders. International Conference on Machine "
        f"Learning. {DENOISING}"
    )
    assert reference("https://example.org/mine") == "https://example.org/mine"


def test_bibtex_is_as_bibliographies_take_it() -> None:
    assert bibtex(DENOISING) == (
        "@inproceedings{vincent2008extracting,\n"
        "  author = {Vincent, Pascal and Larochelle, Hugo and Bengio, Yoshua and "
        "Manzagol, Pierre-Antoine},\n"
        "  title = {{Extracting and composing robust features with denoising autoencoders}},\n"
        "  year = {2008},\n"
        "  booktitle = {International Conference on Machine Learning},\n"
        "  doi = {10.1145/1390156.1390294},\n"
        f"  url = {{{DENOISING}}},\n"
        "}"
    )
    assert "eprint = {1312.6114}" in bibtex("https://arxiv.org/abs/1312.6114")


@pytest.mark.parametrize("link", list(PAPERS))
def test_every_entry_has_balanced_braces_and_nothing_that_latex_takes_for_a_command(
    link: str,
) -> None:
    entry = bibtex(link)
    depth = 0
    for mark in re.findall(r"[{}]", entry):
        depth += 1 if mark == "{" else -1
        assert depth >= 0
    assert depth == 0
    assert not re.search(r"[&%$#\\]", entry.replace(f"url = {{{link}}}", ""))


def test_bibtex_of_an_unknown_paper_is_refused() -> None:
    with pytest.raises(SpecError, match=re.escape("https://example.org/mine")):
        bibtex("https://example.org/mine")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see https://a.org/b.", ["https://a.org/b"]),
        ("(Baldi 1989, https://a.org/0893-6080(89)90014-2).", ["https://a.org/0893-6080(89)90014-2"]),
        ("https://a.org; https://b.org, https://a.org", ["https://a.org", "https://b.org"]),
        ("https://a.org/forum?id=x", ["https://a.org/forum?id=x"]),
        ("no link", []),
        (None, []),
    ],
    ids=["full stop", "brackets", "twice", "query", "none", "nothing"],
)  # fmt: skip
def test_links_are_found_without_the_punctuation_around_them(
    text: str | None, found: list[str]
) -> None:
    assert links(text) == found
