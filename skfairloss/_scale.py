"""The residual scale c of each output."""

from __future__ import annotations

import numpy as np

from skfairloss._typing import Array


def residual_scale(scale: float | str, y: Array, weights: Array) -> Array:
    """c for each column of y: the given number, or the "mad" of the column, shape (m,)."""
    if not isinstance(scale, str):
        return np.full(y.shape[1], float(scale))
    return np.array([_deviation(column, weights) for column in y.T])


def _deviation(y: Array, weights: Array) -> float:
    """Weighted median of |y - median|; where that is 0 the mean of |y - median|, then 1."""
    deviation = np.abs(y - weighted_median(y, weights))
    median = weighted_median(deviation, weights)
    if median > 0:
        return median
    mean = float(weights @ deviation)
    return mean if mean > 0 else 1.0


def weighted_median(values: Array, weights: Array) -> float:
    """Midpoint median under weights that sum to 1: a weight of k counts as k copies."""
    order = np.argsort(values, kind="stable")
    share = np.cumsum(weights[order])
    # The share below may be 1/2 up to rounding; then the median is the middle of two values.
    slack = 1e-12
    low, high = np.searchsorted(share, [0.5 - slack, 0.5 + slack])
    last = len(values) - 1
    return float(0.5 * (values[order[min(low, last)]] + values[order[min(high, last)]]))
