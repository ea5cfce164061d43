"""Metrics of bootstrap samples, given how often each row was drawn: three ways.

Means, their roots and R² are functions of a few weighted sums: a replicate of all of them is one
product of the counts with the contributions of the rows. Medians are read off values that are
sorted once. Any other metric is called on the rows drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from skfairloss._typing import Array
from skfairloss.metrics._aggregates import median, median_of_sorted
from skfairloss.metrics._named import NamedMetric
from skfairloss.metrics._row_metrics import Metric, RowMetric, Rows, flat
from skfairloss.metrics._sums import SumMetrics, is_of_sums


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
        true, pred = flat(y_true), flat(y_pred)
        s = _scaled(weights, len(y_true))
        self.sums = SumMetrics(metrics)
        columns = self.sums.values(true, pred, s)
        self.columns = [columns[own] for own in rows]
        self.centres = np.zeros((len(rows), 0))
        if self.sums.needs_squares:
            self._add_squares(true.reshape(len(true), -1), s, rows)

    @staticmethod
    def serves(metric: Metric) -> bool:
        """Tell whether a metric can be evaluated in this way."""
        return is_of_sums(metric)

    def _add_squares(self, true: Array, weights: Array, rows: list[Rows]) -> None:
        """Add columns of squares about the group's mean.

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
            squares = self.sums.squares(outputs[own] - self.centres[j], weights[own])
            self.columns[j] = np.hstack([self.columns[j], squares])

    def evaluate(self, counts: list[Array]) -> tuple[Array, Array]:
        """Return metrics of n samples by group, (n, n_groups, m), and over all rows, (n, m)."""
        drawn = np.stack(
            [times @ own for times, own in zip(counts, self.columns, strict=True)], axis=1
        )
        return self.sums.evaluate(drawn, self.centres)


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
