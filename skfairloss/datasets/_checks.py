"""Checks of parameters that the data sets share."""

from __future__ import annotations

import numbers
from collections.abc import Collection
from typing import Any


def check_integer(name: str, value: Any, lower: int) -> None:
    """Raise unless value is an integer >= lower."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if value < lower:
        raise ValueError(f"{name} must be at least {lower}, got {value!r}")


def check_option(name: str, value: Any, options: Collection[str]) -> None:
    """Raise unless value is one of the options."""
    if not isinstance(value, str) or value not in options:
        raise ValueError(f"{name} must be {' or '.join(map(repr, options))}, got {value!r}")


def check_share(name: str, value: Any, upper: float = 1.0) -> None:
    """Raise unless value is a number in [0, upper]."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not 0 <= float(value) <= upper:
        raise ValueError(f"{name} must be between 0 and {upper}, got {value!r}")
