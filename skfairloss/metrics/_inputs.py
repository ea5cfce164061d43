"""Checks of y_true and y_pred that all metrics share."""

from __future__ import annotations

from typing import Any

import numpy as np

from skfairloss._inputs.elsewhere import check_in_memory
from skfairloss._inputs.groups import counted
from skfairloss._inputs.validation import check_numbers
from skfairloss._typing import Array


def check_targets(y_true: Any, y_pred: Any) -> tuple[Array, Array]:
    """Return finite float64 arrays of one shape, (n, ...), with at least one value.

    Scalars become arrays of shape (1,). A column (n, 1) beside a vector (n,) becomes a vector.
    """
    true, pred = check_values("y_true", y_true), check_values("y_pred", y_pred)
    if true.shape != pred.shape and {true.shape, pred.shape} == {(true.size,), (true.size, 1)}:
        true, pred = true.ravel(), pred.ravel()
    if true.shape != pred.shape:
        raise ValueError(
            f"y_true and y_pred must have the same shape, got {true.shape} and {pred.shape}"
        )
    if true.size == 0:
        raise ValueError(f"y_true and y_pred are empty: shape {true.shape}")
    return np.atleast_1d(true), np.atleast_1d(pred)


def check_values(name: str, values: Any) -> Array:
    """Return real, finite numbers as float64; an error calls them ``name``."""
    if values is None:
        raise TypeError(f"{name} must hold real numbers, got None")
    check_in_memory(**{name: values})
    check_numbers(name, values)
    try:
        if isinstance(values, np.ma.MaskedArray):
            values = np.where(np.ma.getmaskarray(values), np.nan, values.data)
        raw = np.asarray(values)
        if raw.dtype.kind not in "biufO":
            raise TypeError(f"dtype {raw.dtype}")
        array = raw.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must hold real numbers, got {error}") from error
    finite = np.isfinite(array)
    if not finite.all():
        bad = counted(int(np.count_nonzero(~finite)), "NaN or infinite value")
        if not array.ndim:
            raise ValueError(f"{name} must be finite, got {bad}")
        first = ", ".join(map(str, np.argwhere(~finite)[0].tolist()))
        raise ValueError(
            f"{name} must be finite, got {bad}, the first at position {first}: leave out these rows"
        )
    return array
