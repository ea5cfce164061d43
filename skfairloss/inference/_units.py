"""Independent units of a data set: its rows, or clusters of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skfairloss._estimator.training import Training
from skfairloss._inputs.groups import encode_clusters
from skfairloss._typing import Array, Index


@dataclass(frozen=True)
class Units:
    """Independent units: rows or clusters.

    Parameters
    ----------
    numbers : (n,), of the unit of each row that has a weight.
    n_clusters : number of clusters. None where rows are independent.
    size : number of units, equal in weight.
    freedom : degrees of freedom, >= 1.
    """

    numbers: Index
    n_clusters: int | None
    size: float
    freedom: float

    @classmethod
    def of(cls, clusters: Any, kept: Array, training: Training, n_features: int) -> Units:
        """Count the units of the rows ``kept``."""
        weights = training.problem.weights
        if clusters is not None:
            found = encode_clusters(clusters, len(kept)).subset(kept)
            if found.n_groups < 2:
                raise ValueError("clusters has a single cluster among the rows with a weight")
            return cls(found.codes, found.n_groups, found.n_groups, found.n_groups - 1.0)
        size = float(1 / (weights @ weights))
        freedom = size - n_features - training.problem.fit_intercept
        if freedom < 1:
            raise ValueError(
                f"coefficient_report needs more rows than coefficients, got {len(weights)} rows "
                f"that count as {size:.1f} by their weights, and {n_features} features"
            )
        return cls(np.arange(len(weights)), None, size, freedom)
