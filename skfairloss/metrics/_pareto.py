"""The Pareto front of models that are judged by two costs, error and disparity."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from skfairloss._typing import Mask


def undominated(error: ArrayLike, disparity: ArrayLike) -> Mask:
    """Return the mask of the models on the front, (n,).

    One model dominates another if it is at most as large in both costs, and smaller in one.
    """
    costs = np.column_stack([np.asarray(error, float), np.asarray(disparity, float)])
    no_worse = (costs[:, None] <= costs).all(axis=2)
    better = (costs[:, None] < costs).any(axis=2)
    return np.logical_not((no_worse & better).any(axis=0))
