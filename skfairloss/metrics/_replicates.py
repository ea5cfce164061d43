"""Metrics of bootstrap samples, given how often each row was drawn: three ways.

Means, their roots and R² are functions of a few weighted sums: a replicate of all of them is one
product of the counts with the contributions of the rows. Medians are read off values that are
sorted once. Any other metric is called on the rows drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from skfairloss._typing import Array
from skfairloss.metrics._aggregates import (
    explained,
    mean,
    median,
    median_of_sorted,
    number,
    root_mean,
)
from skfairloss.metrics._named import NamedMetric
from skfairloss.metrics._row_metrics import Metric, RowMetric, Rows, flat


class Way(Protocol):
    """Some metrics, (m,), of the rows of each group that ``rows`` lists."""

    def __init__(
        self,
        metrics: Sequence[Any],
        y_true: Array,
        y_pred: Array,
        weights: Array | None,
        rows: list[Rows],
    ) -> None: ...

    @staticmethod
    def serves(metric: Metric) -> bool:
        """Tell whether a metric can be evaluated in this way."""

    def evaluate(self, counts: list[Array]) -> tuple[Array, Array]:
        """Return metrics of n samples by group, (n, n_groups, m), and over all rows, (n, m).

        ``counts`` has for each group how often each row was drawn, (n, n_rows).
        """


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


class FromSums:
    """Named metrics that are functions of weighted sums over the rows drawn."""

    def __init__(
        self,
        metrics: Sequence[NamedMetric],
        y_true: Array,
        y_pred: Array,
        weights: Array | None,
        rows: list[Rows],
    ) -> None:
        self.metrics = metrics
        true, pred = flat(y_true), flat(y_pred)
        s = _scaled(weights, len(y_true))
        values = dict.fromkeys(metric.rows for metric in metrics)
        self.position = {rows_of: j for j, rows_of in enumerate(values, start=1)}
        columns = [s, *(s * rows_of(true, pred) for rows_of in values)]
        self.columns = [np.column_stack([column[own] for column in columns]) for own in rows]
        self.centres = np.zeros((len(rows), 0))
        if any(metric.aggregate is explained for metric in metrics):
            self._add_squares(true.reshape(len(true), -1), s, rows)

    @staticmethod
    def serves(metric: Metric) -> bool:
        """Tell whether a metric can be evaluated in this way."""
        return isinstance(metric, NamedMetric) and metric.aggregate in FORMULAS

    def _add_squares(self, true: Array, weights: Array, rows: list[Rows]) -> None:
        """Add columns s (y - c)² and s (y_k - c_k), c the group's mean, against cancellation.

        There is a column for each output, or for each row if there are fewer: an orthogonal
        change of the outputs keeps the sum of squares.
        """
        outputs = true - true[rows[0][0]]
        if outputs.shape[1] > len(outputs):
            outputs = np.transpose(np.linalg.qr(outputs.T, mode="r"))
        outputs = outputs / np.sqrt(true.shape[1])  # the sum of squares is a mean over outputs
        self.centres = np.stack(
            [np.average(outputs[own], axis=0, weights=weights[own]) for own in rows]
        )
        for j, own in enumerate(rows):
            centred, s = outputs[own] - self.centres[j], weights[own, None]
            squares = (centred**2).sum(axis=1, keepdims=True)
            self.columns[j] = np.hstack([self.columns[j], s * squares, s * centred])

    def evaluate(self, counts: list[Array]) -> tuple[Array, Array]:
        """Return metrics of n samples by group, (n, n_groups, m), and over all rows, (n, m)."""
        drawn = np.stack(
            [times @ own for times, own in zip(counts, self.columns, strict=True)], axis=1
        )
        width = 1 + len(self.position)
        with np.errstate(invalid="ignore"):  # a group that is not drawn has no weight
            by_group, total, total_pooled = drawn[..., :width], *self._totals(drawn, width)
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

    def _totals(self, drawn: Array, width: int) -> tuple[Array, Array]:
        """Return the sums of squares about the mean of each group, and about that of all rows."""
        if self.centres.shape[1] == 0:
            unknown = np.full(drawn.shape[:2], np.nan)
            return unknown, unknown[:, 0]
        weight, squares, first = drawn[..., 0], drawn[..., width], drawn[..., width + 1 :]
        means = self.centres + first / weight[..., None]
        pooled = (weight[..., None] * means).sum(axis=1, keepdims=True)
        pooled /= weight.sum(axis=1)[:, None, None]

        def about(centre: Array) -> Array:
            # Σ s (y - m)² = Σ s (y - c)² + 2 (c - m)·Σ s (y - c) + Σ s |c - m|²
            shift = self.centres - centre
            return squares + 2 * (first * shift).sum(axis=-1) + weight * (shift**2).sum(axis=-1)

        within = about(means)
        # equal values leave rounding only
        return np.where(within > 1e-12 * squares, within, 0.0), about(pooled).sum(axis=1)


class FromSorted:
    """Weighted medians of values of rows."""

    def __init__(
        self,
        metrics: Sequence[NamedMetric],
        y_true: Array,
        y_pred: Array,
        weights: Array | None,
        rows: list[Rows],
    ) -> None:
        self.s = _scaled(weights, len(y_true))
        self.rows = rows
        parts = flat(y_true), flat(y_pred)
        self.values = [metric.rows(*parts) for metric in metrics]
        together = np.concatenate(rows)
        self.orders = [
            [np.argsort(values[own], kind="stable") for own in (*rows, together)]
            for values in self.values
        ]

    @staticmethod
    def serves(metric: Metric) -> bool:
        """Tell whether a metric can be evaluated in this way."""
        return isinstance(metric, NamedMetric) and metric.aggregate is median

    def evaluate(self, counts: list[Array]) -> tuple[Array, Array]:
        """Return metrics of n samples by group, (n, n_groups, m), and over all rows, (n, m)."""
        own = [*self.rows, np.concatenate(self.rows)]
        drawn = [*counts, np.concatenate(counts, axis=1)]
        found = np.empty((len(counts[0]), len(own), len(self.values)))
        for j, (values, orders) in enumerate(zip(self.values, self.orders, strict=True)):
            for g, (rows, times, order) in enumerate(zip(own, drawn, orders, strict=True)):
                ascending = rows[order]
                weights = times[:, order] * self.s[ascending]
                found[:, g, j] = median_of_sorted(values[ascending], weights)
        return found[:, :-1], found[:, -1]


class FromRows:
    """Any metrics, called on the rows drawn, sample by sample."""

    def __init__(
        self,
        metrics: Sequence[Metric],
        y_true: Array,
        y_pred: Array,
        weights: Array | None,
        rows: list[Rows],
    ) -> None:
        self.metrics = [RowMetric(metric, y_true, y_pred, weights, None) for metric in metrics]
        self.rows = rows

    @staticmethod
    def serves(metric: Metric) -> bool:  # noqa: ARG004
        """Tell whether a metric can be evaluated in this way."""
        return True

    def evaluate(self, counts: list[Array]) -> tuple[Array, Array]:
        """Return metrics of n samples by group, (n, n_groups, m), and over all rows, (n, m)."""
        n, m = len(counts[0]), len(self.metrics)
        by_group, overall = np.empty((n, len(self.rows), m)), np.empty((n, m))
        for i in range(n):
            drawn = [
                np.repeat(own, times[i].astype(np.intp))
                for own, times in zip(self.rows, counts, strict=True)
            ]
            together = np.concatenate(drawn)
            for j, metric in enumerate(self.metrics):
                by_group[i, :, j] = [metric(own, own) if len(own) else np.nan for own in drawn]
                overall[i, j] = metric(together, together)
        return by_group, overall


def _scaled(weights: Array | None, n: int) -> Array:
    """Return weights of at most 1, whose sums do not overflow."""
    return np.ones(n) if weights is None else weights / weights.max()
