"""Metrics of numbered sets of rows, and the functions they are made of.

fairlearn's MetricFrame keeps y in a table, row by row, and hands each metric the part of its
group. With several outputs that breaks down (a single row is squeezed, aggregates and bootstrap
fail), weights must be repeated for each metric, and the time is linear in the rows with a large
factor. Here MetricFrame is given numbers of sets of rows in place of y, and a ``RowMetric`` looks
the rows up.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from fairlearn.metrics import count
from numpy.typing import NDArray
from sklearn.metrics import mean_absolute_error, mean_squared_error

from ._inputs import Array

Metric = Callable[..., Any]
Rows = NDArray[np.intp]


class RowMetric:
    """A metric ``metric(y_true, y_pred[, sample_weight])`` as a function of numbered sets of rows.

    ``rows`` lists the rows of each set; for None each row is a set of its own. ``weights`` is
    None without weights; it is handed on to metrics that take ``sample_weight``. Samples with
    several dimensions (images) are flattened to rows.
    """

    def __init__(
        self,
        metric: Metric,
        y_true: Array,
        y_pred: Array,
        weights: Array | None,
        rows: list[Rows] | None,
    ) -> None:
        self.metric = metric
        self.y_true = _flat(y_true)
        self.y_pred = _flat(y_pred)
        self.weights = weights if accepts_sample_weight(metric) else None
        self.rows = rows
        self.__name__ = metric_name(metric)

    def __call__(self, sets: Rows, _: Rows) -> Any:
        """Evaluate the metric on some sets; fairlearn passes them in place of y, twice."""
        rows = sets
        if self.rows is not None:
            rows = np.sort(np.concatenate([self.rows[number] for number in sets]))
        parts = (self.y_true[rows], self.y_pred[rows])
        if self.weights is None:
            return self.metric(*parts)
        return self.metric(*parts, sample_weight=self.weights[rows])


def split_rows(codes: NDArray[np.integer], kept: Rows) -> list[Rows]:
    """Those of the rows ``kept`` that have each code, in the order of the codes."""
    _, sizes = np.unique(codes[kept], return_counts=True)
    return np.split(kept[np.argsort(codes[kept], kind="stable")], np.cumsum(sizes)[:-1])


def accepts_sample_weight(metric: Metric) -> bool:
    """Whether a metric has an argument ``sample_weight``."""
    return "sample_weight" in read_signature(metric).parameters


def read_signature(metric: Metric) -> inspect.Signature:
    """The arguments of a metric, or TypeError where it does not take (y_true, y_pred)."""
    try:
        signature = inspect.signature(metric)
        signature.bind_partial(None, None)
    except (TypeError, ValueError) as error:  # built-in functions may not tell their arguments
        raise TypeError(
            "a metric must be a function metric(y_true, y_pred), with an argument sample_weight "
            f"where it takes weights, got {metric_name(metric)!r}: {error}"
        ) from error
    return signature


def metric_name(metric: Metric) -> str:
    """Name of a function, or of the class of another callable."""
    return getattr(metric, "__name__", type(metric).__name__)


def root_mean_squared_error(y_true: Array, y_pred: Array, sample_weight: Any = None) -> float:
    """Root of the mean over rows and outputs; scikit-learn's is the mean of the outputs' roots."""
    return float(np.sqrt(mean_squared_error(y_true, y_pred, sample_weight=sample_weight)))


def mean_residual(y_true: Array, y_pred: Array, sample_weight: Any = None) -> float:
    """Mean of y_true - y_pred over rows and outputs."""
    return _row_average(y_true - y_pred, sample_weight)


def absolute_mean_residual(y_true: Array, y_pred: Array, sample_weight: Any = None) -> float:
    """Absolute value of the mean residual."""
    return abs(mean_residual(y_true, y_pred, sample_weight))


def mean_prediction(y_true: Array, y_pred: Array, sample_weight: Any = None) -> float:  # noqa: ARG001
    """Mean of y_pred over rows and outputs."""
    return _row_average(y_pred, sample_weight)


def r2(y_true: Array, y_pred: Array, sample_weight: Any = None) -> float:
    """1 - SSE / SST, both summed over rows and outputs; NaN where y_true does not vary.

    SST is taken about the mean of each output over the rows given.
    """
    centred = y_true - np.average(y_true, axis=0, weights=sample_weight)
    # exactly zero for a constant output, whose computed mean may be off by rounding
    centred = np.where(np.ptp(y_true, axis=0) == 0, 0.0, centred)
    total = _row_average(centred**2, sample_weight)
    if total == 0:
        return float("nan")
    return 1.0 - _row_average((y_true - y_pred) ** 2, sample_weight) / total


DEFAULT_METRICS: dict[str, Metric] = {
    "count": count,
    "mae": mean_absolute_error,
    "mse": mean_squared_error,
    "rmse": root_mean_squared_error,
    "mean_residual": mean_residual,
    "mean_prediction": mean_prediction,
    "r2": r2,
}


def _flat(y: Array) -> Array:
    """(n,) and (n, k) as they are, images as (n, all pixels)."""
    return y if y.ndim == 1 else y.reshape(len(y), -1)


def _row_average(values: Array, sample_weight: Any) -> float:
    """Weighted mean over rows of the mean of each row."""
    return float(np.average(values.reshape(len(values), -1).mean(axis=1), weights=sample_weight))
