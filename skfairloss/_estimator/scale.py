r"""The residual scale c of each output: y / c is what solvers see.

    auto:   c = 2 Σ_k D_k² / Σ_k D_k,      D_k = min over a of Σ_i v_i |y_ik - a|,

one number for all outputs: a mean of 2 D_k, the slopes of |z| and z² at residuals of the size of
the best constant's, weighted by D_k, so that an output that hardly varies adds nothing. Without an
intercept the best "constant" is 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skfairloss._design.rows import pieces_of
from skfairloss._typing import Array

# Sizes of columns, of y / c and of ratios of weights: squares times weights are floats then, and so
# are coefficients and their squares.
RANGE = 1e-100, 1e100
# deviations this small, relative to the median, are rounding errors of a constant
_ROUNDING = 8 * np.finfo(np.float64).eps


def residual_scale(scale: Any, y: Array, weights: Array, fit_intercept: bool) -> Array:
    """Return c for each column of y, (m,): the given number or numbers, or "auto".

    ``weights`` are positive and sum to 1.
    """
    m = y.shape[1]
    if isinstance(scale, str):
        out = np.full(m, _auto(y, weights, fit_intercept))
    else:
        given = np.asarray(scale, dtype=np.float64)
        if given.ndim == 1 and len(given) != m:
            raise ValueError(f"scale has a number for each of {len(given)} outputs, but y has {m}")
        out = np.broadcast_to(given, m).copy()
    return out


def in_units(y: Array, scale: Array) -> Array:
    """Return y / c, (n, m)."""
    low, high = RANGE
    out = y
    if not (scale == 1.0).all():
        with np.errstate(over="ignore", under="ignore"):
            out = y / scale
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        squares = np.einsum("ij,ij->j", out, out)
    for k in np.flatnonzero(~((squares >= low * low) & (squares <= high * high))):
        size, largest = np.abs(out[:, k]).max(), np.abs(y[:, k]).max()
        if size > high or (size < low and np.ptp(y[:, k]) > 0):
            raise ValueError(
                f"y of up to {largest:.3g} is {size:.3g} in units of scale={scale[k]:.3g}, outside "
                f"of {low:g} to {high:g}: choose a {'larger' if size > high else 'smaller'} scale, "
                "or another unit of y"
            )
    return out


def _auto(y: Array, weights: Array, fit_intercept: bool) -> float:
    """Return 2 Σ D² / Σ D, or 1 where y is constant."""
    with np.errstate(over="ignore", invalid="ignore"):
        deviation = np.array([_deviation(column, weights, fit_intercept) for column in y.T])
    return scale_of(deviation, float(np.abs(y).max(initial=0.0)))


def scale_of(deviation: Array, size: float) -> float:
    """Return 2 Σ D² / Σ D of mean absolute deviations (m,), or 1 where all are 0.

    ``size`` is the largest number of y, for messages.
    """
    largest = float(deviation.max(initial=0.0))
    if not np.isfinite(2.0 * largest):
        raise ValueError(
            f"y of up to {size:.3g} is too large for scale='auto': rescale y, or pass "
            "scale as a number"
        )
    if largest == 0.0:
        return 1.0
    share = deviation / largest  # nothing overflows
    return float(2.0 * largest * (share @ share) / share.sum())


def _deviation(y: Array, weights: Array, fit_intercept: bool) -> float:
    """Return D, the weighted mean of |y - median|, or of |y| without intercept.

    It is 0 where it is no more than rounding errors, infinite where it overflows.
    """
    center = weighted_median(y, weights) if fit_intercept else 0.0
    mean = 0.0
    for rows in pieces_of(len(y), 1):
        away = y[rows] - center
        mean += float(weights[rows] @ np.abs(away, out=away))
    return without_rounding(mean, center)


def without_rounding(mean: float, center: float) -> float:
    """Return a mean absolute deviation from a center; 0 where it is no more than rounding."""
    return 0.0 if mean <= _ROUNDING * abs(center) else mean


def weighted_median(values: Array, weights: Array) -> float:
    """Return a median under weights that sum to 1: a value with at most 1/2 on either side.

    Selection by halves, as for a rank (Hoare 1961, Algorithm 65), with shares in place of counts.
    """
    middle = len(values) // 2
    if (weights == weights[0]).all():
        return float(np.partition(values, middle)[middle])
    below = 0.0
    while True:
        pivot = np.partition(values, middle)[middle]
        lower, upper = values < pivot, values > pivot
        share = below + float(weights[lower].sum())
        upto = share + float(weights[~(lower | upper)].sum())
        if share > 0.5:
            values, weights = values[lower], weights[lower]
        elif upto < 0.5 and upper.any():
            values, weights, below = values[upper], weights[upper], upto
        else:
            return float(pivot)
        middle = len(values) // 2
