r"""The residual scale c of each output: y / c is what solvers see.

    auto:   c = 2 Σ_k D_k² / Σ_k D_k,      D_k = min over a of Σ_i v_i |y_ik - a|,

one number for all outputs: a mean of 2 D_k, the slopes of |z| and z² at residuals of the size of
the best constant's, weighted by D_k, so that an output that hardly varies adds nothing. Without an
intercept the best "constant" is 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skfairloss._typing import Array

_ROUNDING = (
    8 * np.finfo(np.float64).eps
)  # a deviation this small, relative to the largest |y|, is that of a constant
_MANY = 10_000  # values from which a bracket is cheaper than sorting all of them
_BRACKET = 4096  # values that give the bracket: it holds the median unless 6 deviations are off ...
_MARGIN = 3 / _BRACKET**0.5  # ... of the share below it, each of 1 / (2 √4096)


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
    if (scale == 1.0).all():
        return y
    with np.errstate(over="ignore"):
        out = y / scale
    if not np.isfinite(out).all():
        raise ValueError(
            f"y of up to {np.abs(y).max():.3g} cannot be divided by scale={scale.min():.3g}: "
            "choose a larger scale"
        )
    return out


def _auto(y: Array, weights: Array, fit_intercept: bool) -> float:
    """Return 2 Σ D² / Σ D, or 1 where y is constant."""
    with np.errstate(over="ignore", invalid="ignore"):
        deviation = np.array([_deviation(column, weights, fit_intercept) for column in y.T])
    largest = float(deviation.max(initial=0.0))
    if not np.isfinite(2.0 * largest):
        raise ValueError(
            f"y of up to {np.abs(y).max():.3g} is too large for scale='auto': rescale y, or pass "
            "scale as a number"
        )
    if largest == 0.0:
        return 1.0
    share = deviation / largest  # nothing overflows
    return float(2.0 * largest * (share @ share) / share.sum())


def _deviation(y: Array, weights: Array, fit_intercept: bool) -> float:
    """Return D, the weighted mean of |y - median|, or of |y| without intercept; 0 for rounding."""
    away = np.abs(y - weighted_median(y, weights)) if fit_intercept else np.abs(y)
    mean = float(weights @ away)
    return mean if mean > _ROUNDING * float(np.abs(y).max()) else 0.0


def weighted_median(values: Array, weights: Array) -> float:
    """Return a median under weights that sum to 1: a value with at most 1/2 on either side."""
    low, high = -np.inf, np.inf
    if len(values) > _MANY:
        low, high = _bracket(values, weights)
    inside = (values >= low) & (values <= high)
    below = float(weights[values < low].sum())
    share = below + np.cumsum(weights[inside][np.argsort(values[inside], kind="stable")])
    if below > 0.5 or share[-1] < 0.5:  # not between them
        inside, share = np.ones_like(inside), np.cumsum(weights[np.argsort(values, kind="stable")])
    return float(np.sort(values[inside], kind="stable")[np.searchsorted(share, 0.5)])


def _bracket(values: Array, weights: Array) -> tuple[float, float]:
    """Return two values that are likely to have the median between them."""
    some = slice(None, None, len(values) // _BRACKET)
    order = np.argsort(values[some], kind="stable")
    share = np.cumsum(weights[some][order])
    ends = np.searchsorted(share, share[-1] * np.array([0.5 - _MARGIN, 0.5 + _MARGIN]))
    low, high = values[some][order][np.minimum(ends, len(order) - 1)]
    return float(low), float(high)
