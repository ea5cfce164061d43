"""Metrics of numbered sets of rows.

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
from numpy.typing import NDArray

from skfairloss._typing import Array

Metric = Callable[..., Any]
Rows = NDArray[np.intp]


class RowMetric:
    """A metric ``metric(y_true, y_pred[, sample_weight])`` as a function of numbered sets of rows.

    ``rows`` lists the rows of each set; for None each row is a set of its own. ``weights`` is
    None without weights; it is handed on to metrics that take ``sample_weight``. Samples with
    several dimensions (images) are flattened to rows. ``name`` is what the metric is called in
    place of its own name.
    """

    def __init__(
        self,
        metric: Metric,
        y_true: Array,
        y_pred: Array,
        weights: Array | None,
        rows: list[Rows] | None,
        name: str | None = None,
    ) -> None:
        self.metric = metric
        self.y_true = flat(y_true)
        self.y_pred = flat(y_pred)
        self.weights = weights if accepts_sample_weight(metric) else None
        self.rows = rows
        self.__name__ = metric_name(metric) if name is None else name

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
    """Return the rows among ``kept`` that have each code, in the order of the codes."""
    _, sizes = np.unique(codes[kept], return_counts=True)
    return np.split(kept[np.argsort(codes[kept], kind="stable")], np.cumsum(sizes)[:-1])


def accepts_sample_weight(metric: Metric) -> bool:
    """Tell whether a metric has an argument ``sample_weight``."""
    return "sample_weight" in inspect.signature(metric).parameters


def metric_name(metric: Metric) -> str:
    """Return the name of a function, or of the class of another callable."""
    return getattr(metric, "__name__", type(metric).__name__)


def flat(y: Array) -> Array:
    """Return (n,) and (n, k) as they are, images as (n, all pixels)."""
    return y if y.ndim == 1 else y.reshape(len(y), -1)
