"""Codes: how the encoder's output becomes z, and what z costs."""

from isthmus.parts.codes import nested, plain, symbols
from isthmus.parts.codes.symbols import Symbolic

__all__ = ["Symbolic", "nested", "plain", "symbols"]
