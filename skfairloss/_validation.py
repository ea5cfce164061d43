"""Checks of what fit is given, beside those of scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse

from skfairloss._typing import Array


def check_dimensions(name: str, value: Any) -> None:
    """Refuse shapes that scikit-learn's checks would not refuse by name."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} must not be a masked array: drop or fill what is masked")
    try:
        shape = tuple(getattr(value, "shape", None) or np.shape(value))
    except (TypeError, ValueError):  # rows of different length, or no array at all
        return
    if len(shape) > 2:
        raise ValueError(
            f"{name} has shape {shape}, expected one row a sample: pass "
            f"np.reshape({name}, ({shape[0]}, -1))"
        )
    if len(shape) == 2 and shape[1] == 0:
        raise ValueError(
            f"{name} has no columns: 0 feature(s) (shape={shape}) while a minimum of 1 is required."
        )
    if name == "y" and issparse(value):
        raise TypeError("y must be a dense array, got a sparse one: pass y.toarray()")


def check_weights(sample_weight: Any, n_samples: int) -> Array:
    """Row weights that sum to 1."""
    if sample_weight is None:
        return np.full(n_samples, 1.0 / n_samples)
    if isinstance(sample_weight, np.ma.MaskedArray):
        raise TypeError("sample_weight must not be a masked array: drop or fill what is masked")
    try:
        if np.asarray(sample_weight).dtype.kind == "c":
            raise TypeError("complex values")
        weights = np.asarray(sample_weight, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"sample_weight must hold numbers: {error}") from error
    if weights.ndim == 0:
        weights = np.full(n_samples, float(weights))
    if weights.ndim != 1:
        raise ValueError(
            f"sample_weight must be 1D array or scalar, got {weights.ndim}D array: expected shape "
            f"({n_samples},), got {weights.shape}"
        )
    if len(weights) != n_samples:
        raise ValueError(f"sample_weight.shape == {weights.shape}, expected ({n_samples},)!")
    if not np.isfinite(weights).all():
        row = int(np.flatnonzero(~np.isfinite(weights))[0])
        raise ValueError(f"sample_weight must be finite, got {weights[row]} in row {row}")
    if (weights < 0).any():
        row = int(np.flatnonzero(weights < 0)[0])
        raise ValueError(f"sample_weight must be >= 0, got {weights[row]} in row {row}")
    if not weights.any():
        raise ValueError("sample_weight must not be zero for every row")
    weights = weights / weights.max()
    return weights / weights.sum()
