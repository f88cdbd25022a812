"""Parts named on the command line: ``noise`` or ``noise:scale=0.2``."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isthmus.core.specs import Spec

WORDS = {"true": True, "false": False, "none": None}


def part(words: str | None) -> Spec | None:
    """A spec from a name, or from a name and options.

    Parameters
    ----------
    words : str, optional
        ``mlp:widths=[128,64],activation=relu``. A value is a number, true, false, none, a list
        in brackets, or else a word.

    Raises
    ------
    SpecError
        If it has another form.
    """
    from isthmus.core.errors import SpecError
    from isthmus.core.specs import Spec

    if words is None:
        return None
    kind, colon, rest = words.partition(":")
    if not kind or (colon and not rest):
        raise SpecError(
            f"'{words}' is not a part. Write a name, or name:option=value,option=value."
        )
    options = {}
    for pair in re.split(r",(?![^\[(]*[\])])", rest) if rest else []:
        name, equals, value = pair.partition("=")
        if not (name and equals and value):
            raise SpecError(f"'{pair}' in '{words}' is not an option. Write option=value.")
        options[name.strip().replace("-", "_")] = _value(value.strip())
    return Spec(kind, options)


def _value(word: str) -> Any:
    if word.lower() in WORDS:
        return WORDS[word.lower()]
    try:
        value = ast.literal_eval(word)
    except (ValueError, SyntaxError):
        return word
    return tuple(value) if isinstance(value, list) else value


def number_or(word: str, instead: str, option: str) -> int | str:
    """A whole number, or the one word that may stand instead of it.

    Raises
    ------
    SpecError
        If it is neither.
    """
    from isthmus.core.errors import SpecError

    if word == instead:
        return word
    try:
        return int(word)
    except ValueError:
        raise SpecError(f"{option} is a whole number or '{instead}', got '{word}'.") from None
