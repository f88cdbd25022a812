"""Write the pages that are made from the code: recipes.md, parts.md and cli.md.

python docs/generate.py           write them
python docs/generate.py --check   write nothing; fail and name those that are out of date
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from isthmus.core.recipe import Phase
from isthmus.core.specs import Registry, Spec
from isthmus.parts import CODES, CORRUPTIONS, LIKELIHOODS, NETWORKS, PENALTIES, PRIORS
from isthmus.recipes import RECIPES
from isthmus.training.optimisers import OPTIMIZERS

HERE = Path(__file__).parent
NOTE = "<!-- Made by docs/generate.py from the code. Change the docstrings, not this page. -->"

GIVEN = frozenset({"shape", "params", "dim", "n_params", "n_given", "gaps", "n_symbols"})
"""What a model tells its parts; all else in a part's signature is an option of the user's."""

AXES: list[tuple[str, str, Registry[Any]]] = [
    ("network", "What maps x to the code and back?", NETWORKS),
    ("code", "How does the encoder's output become z, and what does z cost?", CODES),
    ("prior", "What do we believe of z?", PRIORS),
    ("likelihood", "How well does the decoder's output explain x?", LIKELIHOODS),
    ("corruption", "What does the encoder get to see?", CORRUPTIONS),
    ("penalty", "What else should hold?", PENALTIES),
]


class Undocumented(Exception):
    """A part, an option, a command or a parameter without a word of explanation."""


def recipes() -> str:
    """The page of recipes: what each is made of, and its paper."""
    lines = [
        NOTE,
        "# Recipes",
        "A recipe is data that names a composition. Any of its parts can be replaced: "
        '`Autoencoder(recipe="vae", likelihood="bernoulli")`. The parts and their options are on '
        "[their own page](parts.md); `auto` leaves the choice to the kind of data.",
        *_table(
            ["recipe", "network", "code", "likelihood", "trained by", "paper"],
            (
                [
                    f"`{name}`",
                    *(_spec(part) for part in (recipe.network, recipe.code, recipe.likelihood)),
                    "; ".join(_phase(phase) for phase in recipe.phases)
                    or "nothing: it only starts",
                    f"<{recipe.paper}>",
                ]
                for name, recipe in RECIPES.items()
            ),
        ),
    ]
    return _joined(lines)


def parts() -> str:
    """The page of parts: every kind of every axis, with its options."""
    lines = [
        NOTE,
        "# Parts",
        "A model is five parts and some penalties. Name a part by its kind, or give options with "
        '`spec`: `Autoencoder(network=spec("mlp", widths=(128, 64)), corruption="mask")`. An '
        "unknown kind or option is answered with the nearest known one.",
    ]
    for axis, question, registry in AXES:
        lines += [f"## {axis.capitalize()}", question]
        for kind in registry:
            lines += _part(axis, kind, registry)
    lines += [
        "## Optimizer",
        "`Autoencoder(optimizer=...)`. The learning rate is its peak: it rises over a quarter of "
        "the run and falls to zero.",
        *_table(
            ["optimizer", "`learning_rate` by default", "weight decay"],
            (
                [
                    f"`{name}`",
                    f"{kind.learning_rate:g}",
                    "on by default, apart from the gradient"
                    if kind.decoupled
                    else "off by default",
                ]
                for name, kind in OPTIMIZERS.items()
            ),
        ),
    ]
    return _joined(lines)


def _part(axis: str, kind: str, registry: Registry[Any]) -> Iterator[str]:
    about, described = read_docstring(registry[kind], f"{axis} '{kind}'")
    options = registry.options(kind, GIVEN)
    missing = sorted(set(options) - set(described))
    if missing:
        raise Undocumented(f"{axis} '{kind}' does not say what {', '.join(missing)} means.")
    yield f"### {axis}: `{kind}`"
    yield about
    if options:
        rows = ([f"`{name}`", _shown(p.default), *described[name]] for name, p in options.items())
        yield from _table(["option", "default", "values", "meaning"], rows)


def read_docstring(thing: Any, name: str) -> tuple[str, dict[str, tuple[str, str]]]:
    """The prose of a numpy-style docstring, and type and meaning of each parameter in it.

    Raises
    ------
    Undocumented
        If there is no docstring.
    """
    text = inspect.getdoc(thing) if thing.__doc__ else None
    if not text:
        raise Undocumented(f"{name} has no docstring.")
    about, *sections = re.split(r"^(\w[\w ]*)\n-+\n", text, flags=re.MULTILINE)
    described: dict[str, tuple[str, str]] = {}
    for title, body in zip(sections[::2], sections[1::2], strict=True):
        if title == "Parameters":
            for entry in re.split(r"\n(?=\S)", body.strip()):
                head, _, meaning = entry.partition("\n")
                names, _, kind = head.partition(" : ")
                for option in names.split(","):
                    described[option.strip()] = (kind.strip(), _linked(_one_line(meaning)))
    return _linked("\n\n".join(_paragraphs(about.strip()))), described


def cli() -> str:
    """The page of the command line: every command, with its arguments and options."""
    import typer.main

    from isthmus.apps.cli.main import app

    root: Any = typer.main.get_command(app)
    context = typer.Context(root, info_name="isthmus")
    lines = [NOTE, "# Command line", *_paragraphs(root.help), *_options(root, context, "isthmus")]
    commands: dict[str, Any] = root.commands
    lines += _table(
        ["command", "what it does"],
        ([f"[`isthmus {name}`](#isthmus-{name})", _summary(c)] for name, c in commands.items()),
    )
    for name, command in commands.items():
        inner = typer.Context(command, info_name=name, parent=context)
        lines += [f"## isthmus {name}", *_paragraphs(command.help)]
        lines.append(f"```text\nisthmus {name} {_usage(command, inner)}\n```")
        lines += _options(command, inner, f"isthmus {name}")
    return _joined(lines)


def _options(command: Any, context: Any, name: str) -> list[str]:
    rows = []
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record and not record[1]:
            raise Undocumented(f"{name} does not say what {record[0]} means.")
        if record:
            rows.append([f"`{_typed(parameter, context)}`", _one_line(record[1])])
    return _table(["argument or option", "meaning"], rows)


def _usage(command: Any, context: Any) -> str:
    taken = command.get_params(context)
    needed = [_typed(p, context) for p in taken if p.required or p.param_type_name == "argument"]
    return " ".join([*(re.sub(r", --[\w-]+", "", words) for words in needed), "[OPTIONS]"])


def _typed(parameter: Any, context: Any) -> str:
    """An argument or option as it is typed, what it takes in capitals."""
    words, _ = parameter.get_help_record(context)
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or str(words).split(" ")[0])
    return re.sub(r"<(\w+)[^>]*>", lambda kind: str(kind[1]).upper(), words)


def _summary(command: Any) -> str:
    if not command.help:
        raise Undocumented(f"isthmus {command.name} has no help text.")
    return _one_line(command.help.split("\n\n")[0])


def _paragraphs(text: str) -> list[str]:
    return [_one_line(paragraph) for paragraph in text.split("\n\n")]


def _spec(part: Spec) -> str:
    options = ", ".join(f"{name}={_default(value)}" for name, value in part.options.items())
    return f"`{part.kind}`" + (f" ({options})" if options else "")


def _phase(phase: Phase) -> str:
    terms = ["nll" if phase.fit == 1 else f"{phase.fit:g} nll"] if phase.fit else []
    if phase.beta:
        terms.append("rate" if phase.beta == 1 else f"{phase.beta:g} rate")
    terms += [_spec(penalty) for penalty in phase.penalties]
    told = [] if phase.corruption.kind == "none" else [f"x under {_spec(phase.corruption)}"]
    if phase.samples > 1:
        told.append(f"{phase.samples} draws of the code, weighed by importance")
    if phase.trim:
        told.append(f"the worst {phase.trim:.0%} of the rows left out")
    return ", ".join([" + ".join(terms), *told])


def _shown(value: Any) -> str:
    """The default of an option; one without is filled in by the kind of data."""
    return "from the data" if value is inspect.Parameter.empty else f"`{_default(value)}`"


def _default(value: Any) -> str:
    if isinstance(value, Spec):
        options = "".join(f", {name}={_default(v)}" for name, v in value.options.items())
        return f'spec("{value.kind}"{options})' if options else f'"{value.kind}"'
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _linked(text: str) -> str:
    """Addresses as links, without the punctuation after them."""

    def link(found: re.Match[str]) -> str:
        address = found[0].rstrip(".,;:")
        while address.endswith(")") and address.count("(") < address.count(")"):
            address = address[:-1].rstrip(".,;:")
        return f"<{address}>{found[0].removeprefix(address)}"

    return re.sub(r"(?<!<)https?://\S+", link, text)


def _table(head: list[str], rows: Any) -> list[str]:
    cells = [head, ["---"] * len(head), *rows]
    return ["\n".join(f"| {' | '.join(c.replace('|', chr(92) + '|') for c in r)} |" for r in cells)]


def _joined(lines: list[str]) -> str:
    return "\n\n".join(lines) + "\n"


PAGES: dict[str, Callable[[], str]] = {"recipes.md": recipes, "parts.md": parts, "cli.md": cli}


def main(arguments: list[str]) -> int:
    """Write the pages, or with ``--check`` compare them; 1 if one is not as it should be."""
    wrong = []
    for name, page in PAGES.items():
        path = HERE / name
        try:
            text = page()
        except Undocumented as error:
            wrong.append(f"{name}: {error}")
            continue
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        if "--check" in arguments:
            wrong.append(f"{name} is out of date. Run `make docs`.")
        else:
            path.write_text(text, encoding="utf-8")
    print(*wrong, sep="\n", end="\n" if wrong else "", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
