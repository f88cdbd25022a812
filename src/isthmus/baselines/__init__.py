"""The plain methods that a model must beat, and the measures by which it is judged."""

from isthmus.baselines.measures import Estimate, mean_and_error
from isthmus.baselines.pca import PCA

__all__ = ["PCA", "Estimate", "mean_and_error"]
