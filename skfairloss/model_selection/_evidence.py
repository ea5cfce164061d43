"""`Evidence`: what a comparison has measured, wherever the rows are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from skfairloss._inputs.groups import Groups
from skfairloss._typing import Array, Index
from skfairloss.model_selection._intervals import Estimate


@dataclass(frozen=True)
class Evidence:
    """The estimates of a comparison of M models by T metrics on n rows, R times in K folds.

    Parameters
    ----------
    groups : their names are read.
    counts : (G,), numbers of rows with a weight.
    pair : numbers of the two groups of the disparity.
    levels, differences : of each metric, the estimates of each model and of its difference from the
        reference.
    squared_shares : (M,), mean share of the squared part in the losses attained; NaN for models
        without one.
    shape : R, n and K.
    n_clusters : their number. None where rows are independent.
    bundled : True where that is the number of bundles of clusters.
    predictions, folds : (R, M, n) and (R, n). None where the rows are not in memory.
    """

    groups: Groups
    counts: Index
    pair: tuple[int, int]
    levels: Sequence[Sequence[Estimate]]
    differences: Sequence[Sequence[Estimate]]
    squared_shares: Array
    shape: tuple[int, int, int]
    n_clusters: int | None
    bundled: bool = False
    predictions: Array | None = None
    folds: Index | None = None
