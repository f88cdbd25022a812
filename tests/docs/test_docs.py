"""What the pages show is what happens: their code runs, their links lead somewhere."""

from __future__ import annotations

import ast
import doctest
import os
import re
import shlex
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from docs import generate
from isthmus.apps.cli.main import main

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
LANGUAGES = {"python", "output", "console", "text"}
"""``output`` is what the python block above it prints; ``text`` is not run."""

NOT_RUN = ("make", "pip", "git")
"""Commands of others, which install or take long."""

FENCE = re.compile(
    r"^(?:<!-- run first:\n(?P<setup>.*?)-->|```(?P<language>\S*)\n(?P<code>.*?)^```)$",
    re.MULTILINE | re.DOTALL,
)
NUMBER = re.compile(r"\d+(?:\.\d+)?")
NEAR = 0.25
"""How far a measured number may be from the one shown, as a share of it."""

LINK = re.compile(r"\[[^\]]*\]\((?!https?:|mailto:)([^)\s]+)\)")
SAME = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Block(NamedTuple):
    """A piece of code on a page."""

    language: str
    code: str
    line: int


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        hidden = match["setup"]
        found.append(
            Block("python", hidden, line)
            if hidden is not None
            else Block(match["language"], match["code"], line)
        )
    return found


def anchors(page: Path) -> set[str]:
    """The names under which a page's headings can be linked to."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def run_python(block: Block, names: dict[str, Any], page: Path) -> None:
    """Run a block; a line that ends in ``# -> text`` must have that value."""
    lines = block.code.splitlines()
    for node in ast.parse(block.code).body:
        promise = re.search(r"# -> (.*)$", lines[(node.end_lineno or 1) - 1])
        where = f"{page.name}:{block.line + node.lineno}"
        if isinstance(node, ast.Expr) and promise:
            value = eval(compile(ast.Expression(node.value), where, "eval"), names)
            assert same(promise[1], repr(value)), f"{where}: {value!r} is not {promise[1]}"
        else:
            exec(compile(ast.Module([node], []), where, "exec"), names)


def run_console(block: Block, page: Path, monkeypatch: Any, capfd: Any) -> None:
    """Run the commands of this project; what is shown below a command is its output."""
    for entry in re.split(r"^\$ ", block.code, flags=re.MULTILINE)[1:]:
        typed, _, shown = entry.replace("\\\n", " ").partition("\n")
        program, *arguments = shlex.split(typed, comments=True)
        where = f"{page.name}:{block.line}: {typed}"
        if program in NOT_RUN:
            continue
        assert program == "isthmus", f"{where}: neither ours nor known as another's"
        monkeypatch.setattr(sys, "argv", ["isthmus", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        assert not ended.value.code, f"{where}: {err}"
        assert not shown.strip() or near(shown, out), f"{where} printed\n{out}"


def near(shown: str, printed: str) -> bool:
    """Whether what is shown was printed, words exactly and measured numbers nearly."""
    pairs = zip(NUMBER.findall(shown), NUMBER.findall(printed), strict=False)
    return same(NUMBER.sub("#", shown), NUMBER.sub("#", printed)) and all(
        abs(float(a) - float(b)) <= NEAR * float(a) for a, b in pairs
    )


def same(shown: str, real: str) -> bool:
    """Whether a shown value is the real one; ``...`` stands for anything."""
    return doctest.OutputChecker().check_output(shown.strip() + "\n", real.strip() + "\n", SAME)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p)], ids=name_of)
def test_the_code_on_a_page_runs_as_shown(page, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    names: dict[str, Any] = {"__name__": "page"}
    for block in blocks(page):
        where = f"{page.name}:{block.line}"
        assert block.language in LANGUAGES, f"{where}: a block of no language"
        if block.language == "python":
            capfd.readouterr()
            run_python(block, names, page)
        elif block.language == "output":
            printed = capfd.readouterr().out
            assert near(block.code, printed), f"{where}: the block above printed\n{printed}"
        elif block.language == "console":
            capfd.readouterr()
            run_console(block, page, monkeypatch, capfd)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_links_of_a_page_lead_somewhere(page):
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        file, _, anchor = link.partition("#")
        target = Path(os.path.normpath(page.parent / file)) if file else page
        assert target.exists(), f"{page.name} links to {link}, which is not there"
        if anchor:
            assert anchor in anchors(target), f"{page.name} links to {link}: no such heading"


@pytest.mark.parametrize("name", generate.PAGES)
def test_a_generated_page_is_what_the_code_says_and_nothing_is_undocumented(name):
    page = ROOT / "docs" / name
    assert page.read_text(encoding="utf-8") == generate.PAGES[name](), "run `make docs`"


def test_every_page_is_in_the_contents():
    contents = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
    assert {page for page in pages if f": {page}\n" not in contents} == set()


def test_a_page_that_shows_something_else_is_noticed():
    assert same("(3, ...)", "(3, 4)")
    assert not same("(3, 4)", "(3, 5)")
    assert near("error 0.071", "error  0.068\n")
    assert not near("error 0.071", "error 0.170")
    assert not near("Better than PCA", "Worse than PCA")
