"""Range checks of the estimator's parameters: what each must be, in one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

Check = tuple[Callable[[Any], bool], str]


def is_real(value: Any) -> bool:
    """A finite real number; booleans are not numbers here."""
    return isinstance(value, Real) and not isinstance(value, bool | np.bool_) and _finite(value)


def is_positive(value: Any) -> bool:
    """A finite real number > 0, or a one-dimensional array of such."""
    if is_real(value):
        return bool(value > 0)
    if not isinstance(value, list | tuple | np.ndarray) or np.ndim(value) != 1 or not len(value):
        return False
    return all(is_real(number) and number > 0 for number in value)


def is_integer(value: Any) -> bool:
    """An integer; booleans are not numbers here."""
    return isinstance(value, Integral) and not isinstance(value, bool | np.bool_)


def is_interval(value: Any) -> bool:
    """A pair (low, high) with low < high."""
    if not isinstance(value, tuple | list) or len(value) != 2:
        return False
    numbers = all(isinstance(end, Real) and not np.isnan(float(end)) for end in value)
    return numbers and bool(value[0] < value[1])


REGRESSOR_CHECKS: dict[str, Check] = {
    "loss_mix": (lambda v: is_real(v) and 0 <= v <= 1, "a number in [0, 1]"),
    "quantile": (lambda v: is_real(v) and 0 < v < 1, "a number in (0, 1)"),
    "scale": (
        lambda v: v == "auto" if isinstance(v, str) else is_positive(v),
        "'auto', a number > 0 or an array with one for each output",
    ),
    "alpha": (lambda v: is_real(v) and v >= 0, "a number >= 0"),
    "l1_ratio": (lambda v: is_real(v) and 0 <= v <= 1, "a number in [0, 1]"),
    "fit_intercept": (lambda v: isinstance(v, bool | np.bool_), "True or False"),
    "clip": (lambda v: v is None or is_interval(v), "None or a pair (low, high) with low < high"),
    "tol": (lambda v: is_real(v) and v > 0, "a number > 0"),
    "max_iter": (lambda v: is_integer(v) and v >= 1, "an integer >= 1"),
    "warm_start": (lambda v: isinstance(v, bool | np.bool_), "True or False"),
    "n_jobs": (lambda v: v is None or (is_integer(v) and v != 0), "None or an integer but not 0"),
}


def check_parameters(
    owner: str, parameters: Mapping[str, Any], checks: Mapping[str, Check]
) -> None:
    """Raise ValueError naming the first parameter that is out of range, and what was got."""
    for name, (holds, meaning) in checks.items():
        value = parameters[name]
        if not holds(value):
            raise ValueError(f"{name} of {owner} must be {meaning}, got {value!r}")


def _finite(value: Real) -> bool:
    return bool(np.isfinite(float(value)))
