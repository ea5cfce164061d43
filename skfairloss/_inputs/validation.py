"""Checks of what public functions are given, beside those of scikit-learn."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, time, timedelta
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.base import RegressorMixin

from skfairloss._inputs.groups import check_index
from skfairloss._typing import Array

_TIMES = (date, time, timedelta, np.datetime64, np.timedelta64)


class MatchedScoreMixin(RegressorMixin):
    """R² as the score, of rows that belong together."""

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the coefficient of determination R² of the predictions.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            True values.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        score : float
            R², the mean of those of the outputs; 1 at best.

        Raises
        ------
        ValueError
            If two pandas arguments differ in their index, or an argument holds no numbers.
        """
        arguments = {"X": X, "y": y, "sample_weight": sample_weight}
        check_index(**arguments)
        for name, value in arguments.items():
            check_numbers(name, value)
        return float(super().score(X, y, sample_weight))


def check_numbers(name: str, value: Any) -> None:
    """Refuse dates, durations and text, which NumPy may turn into numbers without a word."""
    for where, values in _parts(name, value):
        dtype = values.dtype
        kind = getattr(dtype, "kind", None)
        if kind is None and not hasattr(dtype, "is_temporal"):  # neither NumPy, pandas nor polars
            continue
        if dtype.is_numeric() if kind is None else kind in "biufc":
            continue
        if dtype.is_temporal() if kind is None else kind in "mM":
            raise ValueError(_no_times(where, f"dtype {dtype}"))
        elements = np.asarray(values, dtype=object).ravel().tolist()
        kinds = set(map(type, elements))
        times = sorted(t.__name__ for t in kinds if issubclass(t, _TIMES) or hasattr(t, "year"))
        if times:
            raise ValueError(_no_times(where, f"{times[0]} objects (dtype {dtype})"))
        if any(issubclass(kind, str) for kind in kinds):
            _check_text(where, elements)


def _parts(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield a name for errors and values: of each column of a data frame, or of an array."""
    if hasattr(value, "dtype"):
        yield name, value
    elif hasattr(value, "iloc") and hasattr(value, "dtypes"):
        for j, (label, dtype) in enumerate(zip(value.columns, value.dtypes, strict=True)):
            if dtype.kind not in "biufc":  # a column is slow to take
                yield f"column {label!r} of {name}", value.iloc[:, j]
    elif hasattr(value, "get_columns"):
        for column in value.get_columns():
            yield f"column {column.name!r} of {name}", column
    else:
        try:
            yield name, np.asarray(value)
        except (TypeError, ValueError):  # dates among numbers, or rows of different length
            yield name, np.asarray([value], dtype=object)


def _no_times(where: str, got: str) -> str:
    """Return the message about dates and durations."""
    return (
        f"{where} must hold numbers, got {got}: drop or fill what is missing, then choose a unit, "
        "such as d / np.timedelta64(1, 's') for durations d, (t - start) / np.timedelta64(1, 'D') "
        "for dates t"
    )


def _check_text(where: str, elements: list[Any]) -> None:
    """Raise ValueError for a string that is no number."""
    for element in elements:
        if isinstance(element, str):
            try:
                float(element)
            except ValueError:
                raise ValueError(
                    f"{where} must hold numbers: could not convert string to float: "
                    f"{str(element)!r}"
                ) from None


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
    """Return row weights, float64 (n_samples,): finite, >= 0 and not all 0.

    A single number weighs every row. Where ``sample_weight`` is None they are ones.
    """
    if sample_weight is None:
        return np.ones(n_samples)
    if isinstance(sample_weight, np.ma.MaskedArray):
        raise TypeError("sample_weight must not be a masked array: drop or fill what is masked")
    check_numbers("sample_weight", sample_weight)
    try:
        if np.asarray(sample_weight).dtype.kind == "c":
            raise TypeError("complex values")
        weights = np.asarray(sample_weight, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"sample_weight must hold numbers: {error}") from error
    if weights.ndim == 0:
        weights = np.full(n_samples, float(weights))
    if weights.shape != (n_samples,):
        raise ValueError(
            f"sample_weight must have shape ({n_samples},), one weight for each row, got "
            f"{weights.shape}"
        )
    if not np.isfinite(weights).all():
        row = int(np.flatnonzero(~np.isfinite(weights))[0])
        raise ValueError(f"sample_weight must be finite, got {weights[row]} in row {row}")
    if (weights < 0).any():
        row = int(np.flatnonzero(weights < 0)[0])
        raise ValueError(f"sample_weight must be >= 0, got {weights[row]} in row {row}")
    if not weights.any():
        raise ValueError("sample_weight must not be zero for every row")
    return weights


def normalized(weights: Array) -> Array:
    """Return weights divided by their sum, (n,); the largest is divided out first: no overflow."""
    weights = weights / weights.max()
    return weights / weights.sum()
