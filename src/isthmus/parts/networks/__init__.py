"""Networks: what maps x to the code and back."""

from isthmus.parts.networks.conv import Convolution
from isthmus.parts.networks.dense import Dense, Linear
from isthmus.parts.networks.pair import Pair

__all__ = ["Convolution", "Dense", "Linear", "Pair"]
