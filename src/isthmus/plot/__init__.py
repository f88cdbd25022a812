"""Figures that Matplotlib draws, in the house style; nothing global is touched."""

from isthmus.plot.alarms import alarms, promise
from isthmus.plot.heat import heat, heat_maps
from isthmus.plot.maps import MOST_POINTS, map
from isthmus.plot.pictures import reconstructions
from isthmus.plot.tables import MOST_COLUMNS, columns
from isthmus.plot.training import curves

__all__ = [
    "MOST_COLUMNS",
    "MOST_POINTS",
    "alarms",
    "columns",
    "curves",
    "heat",
    "heat_maps",
    "map",
    "promise",
    "reconstructions",
]
