"""Figures that Matplotlib draws, in the house style; nothing global is touched."""

from isthmus.plot.maps import map
from isthmus.plot.pictures import reconstructions
from isthmus.plot.tables import MOST_COLUMNS, columns
from isthmus.plot.training import curves

__all__ = ["MOST_COLUMNS", "columns", "curves", "map", "reconstructions"]
