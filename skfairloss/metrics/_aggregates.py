"""From the values of rows to the number that a named metric is.

Each function takes the values (n,), y_true (n,) or (n, k) and the weights (n,), ``None`` for equal
ones.
"""

from __future__ import annotations

import numpy as np

from skfairloss._typing import Array


def number(values: Array, y_true: Array, weights: Array | None) -> int:  # noqa: ARG001
    """Count the rows, whatever their weights."""
    return len(values)


def mean(values: Array, y_true: Array, weights: Array | None) -> float:  # noqa: ARG001
    """Return the weighted mean."""
    return float(np.average(values, weights=weights))


def absolute_mean(values: Array, y_true: Array, weights: Array | None) -> float:
    """Return the absolute value of the weighted mean."""
    return abs(mean(values, y_true, weights))


def root_mean(values: Array, y_true: Array, weights: Array | None) -> float:
    """Return the root of the weighted mean."""
    return float(np.sqrt(mean(values, y_true, weights)))


def median(values: Array, y_true: Array, weights: Array | None) -> float:  # noqa: ARG001
    """Return the weighted median."""
    order = np.argsort(values, kind="stable")
    s = np.ones(len(values)) if weights is None else weights
    return float(median_of_sorted(values[order], s[order]))


def explained(values: Array, y_true: Array, weights: Array | None) -> float:
    """Return 1 - mean of the values / mean of (y_true - ȳ)²; NaN where y_true does not vary.

    ȳ is the mean of each output over the rows given.
    """
    centred = y_true - np.average(y_true, axis=0, weights=weights)
    # exactly zero for a constant output, whose computed mean may be off by rounding
    centred = np.where(np.ptp(y_true, axis=0) == 0, 0.0, centred)
    total = mean(np.square(centred).reshape(len(values), -1).mean(axis=1), y_true, weights)
    return float("nan") if total == 0 else 1.0 - mean(values, y_true, weights) / total


def median_of_sorted(values: Array, weights: Array) -> Array:
    """Return medians of ascending values (n,) under weights (..., n), of any sum.

    The median is where the weights up to and including a value pass half of their sum; where they
    reach exactly half, the mean of that value and the next one with a weight. Integer weights are
    thus copies of rows, of which it is the ordinary median.
    """
    below = np.cumsum(weights, axis=-1)
    total = below[..., -1:]
    rounding = len(values) * np.finfo(np.float64).eps * total  # of a sum of that many weights
    low = np.argmax(below >= 0.5 * total - rounding, axis=-1)
    high = np.argmax(below > 0.5 * total + rounding, axis=-1)
    return 0.5 * (values[low] + values[high])
