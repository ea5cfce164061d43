"""Range checks of parameters: a value is right or wrong, and words say what it must be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

Check = tuple[Callable[[Any], bool], str]


def is_real(value: Any) -> bool:
    """Tell whether a value is a finite real number and no boolean."""
    return isinstance(value, Real) and not isinstance(value, bool | np.bool_) and _finite(value)


def is_positive(value: Any) -> bool:
    """Tell whether a value is a finite real number > 0, or a one-dimensional array of such."""
    if is_real(value):
        return bool(value > 0)
    if not isinstance(value, list | tuple | np.ndarray) or np.ndim(value) != 1 or not len(value):
        return False
    return all(is_real(number) and number > 0 for number in value)


def is_integer(value: Any) -> bool:
    """Tell whether a value is an integer and no boolean."""
    return isinstance(value, Integral) and not isinstance(value, bool | np.bool_)


def is_interval(value: Any) -> bool:
    """Tell whether a value is a pair (low, high) with low < high."""
    if not isinstance(value, tuple | list) or len(value) != 2:
        return False
    numbers = all(isinstance(end, Real) and not np.isnan(float(end)) for end in value)
    return numbers and bool(value[0] < value[1])


def one_of(options: Sequence[str]) -> Check:
    """Return the check of a string that is one of the options."""
    return (lambda v: isinstance(v, str) and v in options), " or ".join(map(repr, options))


def integer_from(lowest: int) -> Check:
    """Return the check of an integer >= lowest."""
    return (lambda v: is_integer(v) and v >= lowest), f"an integer >= {lowest}"


def number_up_to(highest: float) -> Check:
    """Return the check of a number in [0, highest]."""
    return (lambda v: is_real(v) and 0 <= v <= highest), f"a number in [0, {highest:g}]"


def none_or(check: Check) -> Check:
    """Return the check of a value that may be None."""
    holds, meaning = check
    return (lambda v: v is None or holds(v)), f"None or {meaning}"


SHARE = number_up_to(1)
BETWEEN_0_AND_1: Check = (lambda v: is_real(v) and 0 < v < 1, "a number in (0, 1)")
NOT_NEGATIVE: Check = (lambda v: is_real(v) and v >= 0, "a number >= 0")
POSITIVE: Check = (lambda v: is_real(v) and v > 0, "a number > 0")
FLAG: Check = (lambda v: isinstance(v, bool | np.bool_), "True or False")

REGRESSOR_CHECKS: dict[str, Check] = {
    "loss_mix": SHARE,
    "quantile": BETWEEN_0_AND_1,
    "scale": (
        lambda v: v == "auto" if isinstance(v, str) else is_positive(v),
        "'auto', a number > 0 or an array with one for each output",
    ),
    "alpha": NOT_NEGATIVE,
    "l1_ratio": SHARE,
    "fit_intercept": FLAG,
    "clip": none_or((is_interval, "a pair (low, high) with low < high")),
    "tol": POSITIVE,
    "max_iter": integer_from(1),
    "warm_start": FLAG,
    "n_jobs": none_or((lambda v: is_integer(v) and v != 0, "an integer but not 0")),
}


def check_parameters(
    owner: str | None, parameters: Mapping[str, Any], checks: Mapping[str, Check]
) -> None:
    """Raise ValueError naming the first parameter that is out of range, and what was got.

    ``owner`` is the class of an object that keeps its parameters. For those of a function, which
    the traceback names, it is None.
    """
    of = "" if owner is None else f" of {owner}"
    for name, (holds, meaning) in checks.items():
        value = parameters[name]
        if not holds(value):
            raise ValueError(f"{name}{of} must be {meaning}, got {value!r}")


def _finite(value: Real) -> bool:
    """Tell whether a number is neither NaN nor infinite."""
    return bool(np.isfinite(float(value)))
