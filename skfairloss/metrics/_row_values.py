"""One number for each row, the mean over its outputs, of which named metrics are aggregates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skfairloss._core.losses import MixedLoss
from skfairloss._typing import Array


def one(y_true: Array, y_pred: Array) -> Array:  # noqa: ARG001
    """Return 1 for each row, (n,)."""
    return np.ones(len(y_true))


def absolute(y_true: Array, y_pred: Array) -> Array:
    """Return |y_true - y_pred|, (n,)."""
    return _per_row(np.abs(y_true - y_pred))


def squared(y_true: Array, y_pred: Array) -> Array:
    """Return (y_true - y_pred)², (n,)."""
    return _per_row(np.square(y_true - y_pred))


def residual(y_true: Array, y_pred: Array) -> Array:
    """Return y_true - y_pred, (n,)."""
    return _per_row(y_true - y_pred)


def excess(y_true: Array, y_pred: Array) -> Array:
    """Return y_pred - y_true, (n,)."""
    return _per_row(y_pred - y_true)


def prediction(y_true: Array, y_pred: Array) -> Array:  # noqa: ARG001
    """Return y_pred, (n,)."""
    return _per_row(y_pred)


def relative(y_true: Array, y_pred: Array) -> Array:
    """Return |y_true - y_pred| / |y_true|, (n,); ValueError where y_true is 0."""
    zero = (y_true == 0).reshape(len(y_true), -1).any(axis=1)
    if zero.any():
        raise ValueError(
            f"y_true is 0 in {np.count_nonzero(zero)} of {len(zero)} rows, and 'mape' divides by "
            "it: leave these rows out, or take 'mae' or 'medae'"
        )
    return _per_row(np.abs(y_true - y_pred) / np.abs(y_true))


@dataclass(frozen=True)
class Pinball:
    """max(τ r, (τ - 1) r) of the residual r = y_true - y_pred, with τ = ``quantile``."""

    quantile: float

    def __call__(self, y_true: Array, y_pred: Array) -> Array:
        """Evaluate."""
        twice = MixedLoss(loss_mix=1.0, quantile=self.quantile)
        return _per_row(0.5 * twice.value(y_true - y_pred))


@dataclass(frozen=True)
class Above:
    """1 where |y_true - y_pred| is greater than ``threshold``, else 0."""

    threshold: float

    def __call__(self, y_true: Array, y_pred: Array) -> Array:
        """Evaluate."""
        return _per_row((np.abs(y_true - y_pred) > self.threshold).astype(np.float64))


def _per_row(values: Array) -> Array:
    """Return means over all but the first axis, (n,)."""
    return values if values.ndim == 1 else values.reshape(len(values), -1).mean(axis=1)
