"""Metrics that are functions of a few weighted sums over rows, wherever the rows are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from skfairloss._typing import Array
from skfairloss.metrics._aggregates import explained, mean, number, root_mean
from skfairloss.metrics._named import NamedMetric
from skfairloss.metrics._row_metrics import Metric


def _r2(weight: Array, sums: Array, total: Array) -> Array:  # noqa: ARG001
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(total > 0, 1 - sums / total, np.nan)


# Aggregates in terms of the sums of weights, of weighted values, and of squares of y about its
# mean; the number of rows does not vary and has no interval.
FORMULAS: dict[Callable[..., float], Callable[[Array, Array, Array], Array]] = {
    number: lambda weight, _sums, _total: np.full_like(weight, np.nan),
    mean: lambda weight, sums, _total: sums / weight,
    root_mean: lambda weight, sums, _total: np.sqrt(sums / weight),
    explained: _r2,
}


def is_of_sums(metric: Metric) -> bool:
    """Tell whether a metric is a function of sums over rows."""
    return isinstance(metric, NamedMetric) and metric.aggregate in FORMULAS


class SumMetrics:
    """Metrics as functions of sums: of weights s, of s times values, and of squares of y.

    The squares, where a metric asks for them, are s |y - c|² and s (y_k - c_k) about a centre c of
    each group, against cancellation.
    """

    def __init__(self, metrics: Sequence[Any]) -> None:
        self.metrics = list(metrics)
        values = dict.fromkeys(metric.rows for metric in self.metrics)
        self.position = {rows_of: j for j, rows_of in enumerate(values, start=1)}
        self.needs_squares = any(metric.aggregate is explained for metric in self.metrics)

    @property
    def width(self) -> int:
        """Number of columns before those of the squares."""
        return 1 + len(self.position)

    def of_rows(self, true: Array, pred: Array) -> Array:
        """Return the values of rows, (n, width - 1)."""
        return np.column_stack([rows_of(true, pred) for rows_of in self.position])

    def values(self, true: Array, pred: Array, s: Array) -> Array:
        """Return s and s times the values of rows with weights s, (n, width)."""
        return np.column_stack([s, s[:, None] * self.of_rows(true, pred)])

    def squares(self, centred: Array, s: Array) -> Array:
        """Return s |y - c|² and s (y_k - c_k), (n, 1 + m)."""
        squares, s = (centred**2).sum(axis=1, keepdims=True), s[:, None]
        return np.hstack([s * squares, s * centred])

    def evaluate(self, drawn: Array, centres: Array) -> tuple[Array, Array]:
        """Return metrics by group, (n, G, n_metrics), and over all rows, (n, n_metrics).

        ``drawn`` (n, G, ...) are sums over the columns, ``centres`` (G, m) is c, of no columns
        where there are no squares.
        """
        with np.errstate(invalid="ignore"):  # a group that is not drawn has no weight
            total, total_pooled = self.totals(drawn, centres)
            by_group = drawn[..., : self.width]
            pooled = self._formulas(by_group.sum(axis=1), total_pooled)
            return self._formulas(by_group, total), pooled

    def _formulas(self, sums: Array, total: Array) -> Array:
        """Compute metrics (..., m) from sums (..., 1 + n_values) and the squares about the mean."""
        return np.stack(
            [
                FORMULAS[metric.aggregate](
                    sums[..., 0], sums[..., self.position[metric.rows]], total
                )
                for metric in self.metrics
            ],
            axis=-1,
        )

    def totals(self, drawn: Array, centres: Array) -> tuple[Array, Array]:
        """Return the sums of squares about the mean of each group, and about that of all rows."""
        if centres.shape[1] == 0:
            unknown = np.full(drawn.shape[:2], np.nan)
            return unknown, unknown[:, 0]
        weight, squares = drawn[..., 0], drawn[..., self.width]
        first = drawn[..., self.width + 1 :]
        means = centres + first / weight[..., None]
        origin = means[:, :1]  # equal means have no spread, to the last digit
        pooled = (weight[..., None] * (means - origin)).sum(axis=1, keepdims=True)
        pooled = origin + pooled / weight.sum(axis=1)[:, None, None]

        def about(centre: Array) -> Array:
            # Σ s (y - m)² = Σ s (y - c)² + 2 (c - m)·Σ s (y - c) + Σ s |c - m|²
            shift = centres - centre
            return squares + 2 * (first * shift).sum(axis=-1) + weight * (shift**2).sum(axis=-1)

        within = about(means)
        # equal values leave rounding only
        return np.where(within > 1e-12 * squares, within, 0.0), about(pooled).sum(axis=1)
