"""Bootstrap of metrics by group, and intervals from it.

Rows are drawn with replacement within each group, so that every replicate has the groups' own sizes
and no rare group vanishes; the weights travel with their rows. The default metrics are functions
of a few weighted sums: a replicate of all of them is one product of the numbers of times each row
was drawn with the rows' contributions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._inputs import Array
from ._row_metrics import DEFAULT_METRICS, Metric, RowMetric, Rows

DRAWS_AT_ONCE = 2**18  # rows drawn in one batch, small enough for the processor's cache


@dataclass(frozen=True)
class Replicates:
    """Metrics of bootstrap samples; NaN where a metric is not defined on a sample.

    Parameters
    ----------
    by_group : ndarray of shape (n_boot, n_groups, n_metrics)
        Metrics of each group.

    overall : ndarray of shape (n_boot, n_metrics)
        Metrics of all groups together.
    """

    by_group: Array
    overall: Array


@dataclass(frozen=True)
class WeightedSums:
    """Sums over the rows drawn of s_i, and of s_i times what the field says; shapes agree.

    Parameters
    ----------
    weight, absolute, squared, residual, prediction : ndarray
        Of 1, |r|, r², r and y_pred, means over outputs.

    total : ndarray
        Of (y_true - ȳ)², mean over outputs, ȳ_k the mean over the rows drawn.
    """

    weight: Array
    absolute: Array
    squared: Array
    residual: Array
    prediction: Array
    total: Array


def _r2(sums: WeightedSums) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(sums.total > 0, 1 - sums.squared / sums.total, np.nan)


# The default metrics, in terms of sums; the number of rows does not vary and has no interval.
FORMULAS: dict[Metric, Callable[[WeightedSums], Array]] = {
    DEFAULT_METRICS["count"]: lambda sums: np.full_like(sums.weight, np.nan),
    DEFAULT_METRICS["mae"]: lambda sums: sums.absolute / sums.weight,
    DEFAULT_METRICS["mse"]: lambda sums: sums.squared / sums.weight,
    DEFAULT_METRICS["rmse"]: lambda sums: np.sqrt(sums.squared / sums.weight),
    DEFAULT_METRICS["mean_residual"]: lambda sums: sums.residual / sums.weight,
    DEFAULT_METRICS["mean_prediction"]: lambda sums: sums.prediction / sums.weight,
    DEFAULT_METRICS["r2"]: _r2,
}


class Contributions:
    """What each row adds to the weighted sums, group by group.

    ``total`` says whether the sum of squares about the mean is needed; it takes a column for each
    output, or for each row if there are fewer: an orthogonal change of the outputs keeps it.
    """

    def __init__(
        self, y_true: Array, y_pred: Array, weights: Array, rows: list[Rows], total: bool
    ) -> None:
        true, pred = (y.reshape(len(y), -1) for y in (y_true, y_pred))
        residuals = true - pred
        means = [np.abs(residuals), residuals**2, residuals, pred]
        columns = [weights, *(weights * values.mean(axis=1) for values in means)]
        self.columns = [np.column_stack([column[own] for column in columns]) for own in rows]
        self.centres = np.zeros((len(rows), 0))
        if total:
            self._add_squares(true, weights, rows)

    def _add_squares(self, true: Array, weights: Array, rows: list[Rows]) -> None:
        """Add columns s (y - c)² and s (y_k - c_k), c the group's mean, against cancellation."""
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

    def sums(self, counts: list[Array]) -> tuple[WeightedSums, WeightedSums]:
        """Sums by group, (n, n_groups), and over all groups, (n,), for n samples.

        ``counts`` has for each group how often each row was drawn, (n, n_rows).
        """
        drawn = np.stack(
            [number @ own for number, own in zip(counts, self.columns, strict=True)], axis=1
        )
        by_group, pooled = drawn[..., :5], drawn[..., :5].sum(axis=1)
        total, total_pooled = self._totals(drawn)
        return (
            WeightedSums(*[*np.moveaxis(by_group, -1, 0), total]),
            WeightedSums(*[*np.moveaxis(pooled, -1, 0), total_pooled]),
        )

    def _totals(self, drawn: Array) -> tuple[Array, Array]:
        """Sums of squares about the mean of each group, and about that of all rows."""
        if self.centres.shape[1] == 0:
            unknown = np.full(drawn.shape[:2], np.nan)
            return unknown, unknown[:, 0]
        weight, squares, first = drawn[..., 0], drawn[..., 5], drawn[..., 6:]
        means = self.centres + first / weight[..., None]
        pooled = (weight[..., None] * means).sum(axis=1, keepdims=True)
        pooled /= weight.sum(axis=1)[:, None, None]

        def about(mean: Array) -> Array:
            # Σ s (y - mean)² = Σ s (y - c)² + 2 (c - mean)·Σ s (y - c) + Σ s |c - mean|²
            shift = self.centres - mean
            return squares + 2 * (first * shift).sum(axis=-1) + weight * (shift**2).sum(axis=-1)

        within = about(means)
        # equal values leave rounding only
        return np.where(within > 1e-12 * squares, within, 0.0), about(pooled).sum(axis=1)


def bootstrap(
    metrics: Mapping[str, Metric],
    y_true: Array,
    y_pred: Array,
    weights: Array | None,
    rows: list[Rows],
    n_boot: int,
    rng: np.random.Generator,
) -> Replicates:
    """Draw ``n_boot`` samples within the groups, of which ``rows`` has the rows, and evaluate.

    The same samples serve all metrics, all groups and all rows together.
    """
    formulas = {
        j: FORMULAS[metric] for j, metric in enumerate(metrics.values()) if metric in FORMULAS
    }
    others = {
        j: RowMetric(metric, y_true, y_pred, weights, None)
        for j, metric in enumerate(metrics.values())
        if metric not in FORMULAS
    }
    total = _r2 in formulas.values()
    s = np.ones(len(y_true)) if weights is None else weights / weights.max()
    contributions = Contributions(y_true, y_pred, s, rows, total) if formulas else None
    by_group = np.empty((n_boot, len(rows), len(metrics)))
    overall = np.empty((n_boot, len(metrics)))
    start = 0
    for counts in _draw(rng, [len(own) for own in rows], n_boot):
        batch = slice(start, start + len(counts[0]))
        start = batch.stop
        if contributions is not None:
            of_groups, of_all = contributions.sums(counts)
            for j, formula in formulas.items():
                by_group[batch, :, j], overall[batch, j] = formula(of_groups), formula(of_all)
        for j, metric in others.items():
            by_group[batch, :, j], overall[batch, j] = _evaluate(metric, rows, counts)
    return Replicates(by_group, overall)


def _draw(rng: np.random.Generator, sizes: list[int], n_boot: int) -> Iterator[list[Array]]:
    """How often each row of each group is drawn, (n, n_rows), batches of n samples."""
    step = max(1, DRAWS_AT_ONCE // sum(sizes))
    for start in range(0, n_boot, step):
        n = min(step, n_boot - start)
        counts = []
        for size in sizes:
            drawn = rng.integers(size, size=(n, size))
            drawn += np.arange(n)[:, None] * size
            number = np.bincount(drawn.ravel(), minlength=n * size).reshape(n, size)
            counts.append(number.astype(np.float64))
        yield counts


def _evaluate(metric: RowMetric, rows: list[Rows], counts: list[Array]) -> tuple[Array, Array]:
    """Evaluate any metric on the rows drawn, sample by sample: by group, and on all rows."""
    by_group, overall = np.empty((len(counts[0]), len(rows))), np.empty(len(counts[0]))
    for i in range(len(overall)):
        drawn = [
            np.repeat(own, number[i].astype(np.intp))
            for own, number in zip(rows, counts, strict=True)
        ]
        by_group[i] = [metric(own, own) for own in drawn]
        everything = np.concatenate(drawn)
        overall[i] = metric(everything, everything)
    return by_group, overall


def percentile_interval(replicates: Array, level: float) -> Array:
    """Quantiles (1 - level) / 2 and (1 + level) / 2 along the first axis, (2, ...), without NaN."""
    tails = ((1 - level) / 2, (1 + level) / 2)
    known = ~np.isnan(replicates).all(axis=0)
    limits = np.full((2, *replicates.shape[1:]), np.nan)
    limits[:, known] = np.nanquantile(replicates[:, known], tails, axis=0)
    return limits


def largest_difference_interval(
    values: Array, replicates: Array, reference: tuple[float, Array] | None, level: float
) -> tuple[float, float]:
    """Interval for the largest absolute difference between groups, or from a reference.

    ``values`` (n_groups,) and ``replicates`` (n_boot, n_groups) are those of one metric;
    ``reference`` the same of what groups are compared with, ``None`` for one another.

    Percentiles of the largest difference itself never reach 0, even if all groups are alike.
    Here all differences d get intervals d ± q·sd(d*) that hold at the same time, q being the
    quantile of max |d* - d| / sd(d*) over the differences; the largest lies between the largest
    lower and the largest upper end. NaN if there is no difference to look at, or a group has a
    value but no replicates.
    """
    undefined = np.isnan(replicates).all(axis=0)
    if (undefined & ~np.isnan(values)).any():
        return np.nan, np.nan
    gaps, spreads = [], []
    largest = np.zeros(len(replicates))
    for gap, drawn in _differences(values, replicates, reference):
        known = np.count_nonzero(~np.isnan(drawn), axis=0)
        squares = np.nansum((drawn - gap) ** 2, axis=0)
        spread = np.sqrt(np.divide(squares, known, out=np.full(len(gap), np.inf), where=known > 0))
        deviation = np.abs(drawn - gap) / np.where(spread > 0, spread, 1)
        largest = np.fmax(largest, np.fmax.reduce(deviation, axis=1))
        gaps.append(np.abs(gap))
        spreads.append(spread)
    if not gaps:
        return np.nan, np.nan
    gap, margin = np.concatenate(gaps), np.quantile(largest, level) * np.concatenate(spreads)
    return max(0.0, float((gap - margin).max())), float((gap + margin).max())


def _differences(
    values: Array, replicates: Array, reference: tuple[float, Array] | None
) -> Iterator[tuple[Array, Array]]:
    """Differences (n,) and their replicates (n_boot, n), those that are defined, in blocks."""
    known = ~np.isnan(values)
    values, replicates = values[known], replicates[:, known]
    if reference is not None:
        if len(values):
            yield values - reference[0], replicates - reference[1][:, None]
        return
    for j in range(1, len(values)):
        yield values[:j] - values[j], replicates[:, :j] - replicates[:, [j]]


def generator(random_state: Any) -> np.random.Generator:
    """Return a Generator, from what scikit-learn takes as random_state or from another one."""
    if isinstance(random_state, np.random.Generator):
        return random_state
    if isinstance(random_state, np.random.RandomState):
        random_state = random_state.randint(2**31 - 1)
    return np.random.default_rng(random_state)
