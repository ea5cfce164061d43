"""Metrics of out-of-fold predictions as sums over rows, to first order.

A metric Q of a set of rows is a function of values of the rows, d: their mean, the root of it, R²,
their median. Q moves with the row i by its influence, Q ≈ Q₀ + Σ_i I_i with Σ_i I_i = 0 at the rows
themselves (von Mises; Hampel, "The influence curve and its role in robust estimation", JASA 69
(1974)). With shares c_i of the weight, mean m and squares e of y about its mean, whose mean is v:

- mean: I_i = c_i (d_i - m);
- root of the mean: c_i (d_i - m) / (2 √m);
- R² = 1 - m / v: -c_i [(d_i - m) - (m / v) (e_i - v)] / v;
- median M: c_i (1{d_i > M} - share above) / f(M), with 1 / f(M) = (Q(½ + h) - Q(½ - h)) / 2h of the
  quantiles Q and the bandwidth h of Hall & Sheather, "On the distribution of a studentized
  quantile", JRSS B 50 (1988).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm

from skfairloss._cached import cached_property
from skfairloss._inputs.groups import Groups, group_means
from skfairloss._typing import Array, Index
from skfairloss.metrics._aggregates import explained, mean, median, root_mean

_Z = norm.ppf(0.975)  # Hall & Sheather's bandwidth depends a little on the level, taken as 95 %


@dataclass(frozen=True)
class Rows:
    """The rows on which metrics are compared: all of them, and G groups.

    Parameters
    ----------
    y : (n,) or (n, m), true values.
    groups : the groups of the rows.
    weights : (n,), > 0 somewhere in each group.
    """

    y: Array
    groups: Groups
    weights: Array

    @cached_property
    def shares(self) -> Array:
        """Share of each row in the weight of all rows and of its group, (2, n)."""
        own = np.bincount(self.groups.codes, self.weights)[self.groups.codes]
        return self.weights / np.stack([np.full(len(own), self.weights.sum()), own])

    def means(self, d: Array) -> Array:
        """Return the means of d (n,) over all rows and each group, (1 + G,)."""
        overall = self.weights @ d / self.weights.sum()
        return np.concatenate([[overall], group_means(self.groups, d, self.weights)])

    def at(self, values: Array) -> Array:
        """Return values (1 + G,) for each row, of all rows and of its group, (2, n)."""
        codes = self.groups.codes
        return np.stack([np.full(len(codes), values[0]), values[1 + codes]])

    def parts(self) -> list[Index]:
        """Return the rows with a weight, all and of each group."""
        codes = np.where(self.weights > 0, self.groups.codes, -1)
        own = [np.flatnonzero(codes == g) for g in range(self.groups.n_groups)]
        return [np.flatnonzero(codes >= 0), *own]

    @cached_property
    def squares(self) -> tuple[Array, Array]:
        """Squares of y about its mean over all rows and its group, (2, n), with their means."""
        y = self.y.reshape(len(self.y), -1)
        centres = np.stack([self.means(column) for column in y.T], axis=1)  # (1 + G, m)
        whole, own = centres[:1], centres[1 + self.groups.codes]
        e = np.stack([np.square(y - centre).mean(axis=1) for centre in (whole, own)])
        v = self.means(e[1])
        v[0] = self.means(e[0])[0]
        flat = np.array([bool((np.ptp(y[rows], axis=0) == 0).all()) for rows in self.parts()])
        return e, np.where(flat, np.nan, v)


@dataclass(frozen=True)
class Slopes:
    """A metric as a function of means: m of row values, and v of squares of y.

    It moves by slope · (Δm - ratio · Δv).

    Parameters
    ----------
    value, slope, ratio : of the shape of the means.
    """

    value: Array
    slope: Array
    ratio: Array


@dataclass(frozen=True)
class Linearised:
    """A metric over all rows and each group, to first order.

    Parameters
    ----------
    value : (1 + G,).
    slope : (1 + G,), by which a mean of row values, or a median, moves it.
    influence : (2, n), of each row on the metric of all rows and on that of its group.
    """

    value: Array
    slope: Array
    influence: Array


def _mean(m: Array, v: Array | None) -> Slopes:  # noqa: ARG001
    return Slopes(m, np.ones_like(m), np.zeros_like(m))


def _root(m: Array, v: Array | None) -> Slopes:  # noqa: ARG001
    root = np.sqrt(m)
    slope = np.divide(0.5, root, out=np.zeros_like(root), where=root > 0)
    return Slopes(root, slope, np.zeros_like(m))


def _explained(m: Array, v: Array | None) -> Slopes:
    assert v is not None
    return Slopes(1 - m / v, -1 / v + np.zeros_like(m), m / v)


OF_MEANS: dict[Any, Callable[[Array, Array | None], Slopes]] = {
    mean: _mean,
    root_mean: _root,
    explained: _explained,
}
"""Metrics as functions of the means m of row values, and of the mean squares v of y, of one shape.

Only R² reads v.
"""


def _of_median(rows: Rows, d: Array) -> Linearised:
    parts = rows.parts()
    value = np.array([median(d[own], d[own], rows.weights[own]) for own in parts])
    above = d > rows.at(value)
    share = rows.means(above[1].astype(float))
    share[0] = rows.means(above[0].astype(float))[0]
    spread = rows.at(np.array([_sparsity(d[own], rows.weights[own]) for own in parts]))
    influence = rows.shares * (above - rows.at(share)) * spread
    return Linearised(value, np.ones_like(value), influence)


def _sparsity(d: Array, weights: Array) -> float:
    """Return 1 / f at the median of values with weights."""
    n = weights.sum() ** 2 / np.sum(weights**2)
    h = n ** (-1 / 3) * _Z ** (2 / 3) * (1.5 * norm.pdf(0) ** 2) ** (1 / 3)
    order = np.argsort(d, kind="stable")
    below = np.cumsum(weights[order]) / weights.sum()
    low, high = max(0.5 - h, 0.0), min(0.5 + h, 1.0)
    ends = d[order[np.minimum(np.searchsorted(below, [low, high]), len(d) - 1)]]
    return float((ends[1] - ends[0]) / (high - low))


def linearise(aggregate: Any, rows: Rows, d: Array) -> Linearised:
    """Return the metric that aggregates row values d (n,), to first order."""
    if aggregate is median:
        return _of_median(rows, d)
    m = rows.means(d)
    e, v = rows.squares if aggregate is explained else (None, None)
    found = OF_MEANS[aggregate](m, v)
    change = d - rows.at(m)
    if v is not None:
        change -= rows.at(found.ratio) * (e - rows.at(v))
    return Linearised(found.value, found.slope, rows.at(found.slope) * rows.shares * change)


def outside(aggregate: Any, rows: Rows, d: Array, fold: Index, k: int, n_folds: int) -> Array:
    """Return means, or medians, of d over the rows outside of fold k and one more, (K, 1 + G).

    The median is taken where it is what the metric is made of.
    """
    if aggregate is median:
        whole = rows.parts()
        kept = [[own[(fold[own] != k) & (fold[own] != j)] for own in whole] for j in range(n_folds)]
        return np.array(
            [
                [median(d[own], d[own], rows.weights[own]) if len(own) else 0.0 for own in parts]
                for parts in kept
            ]
        )
    sums = cell_sums(rows.groups, rows.weights * d, fold, n_folds)
    return means_outside(sums, cell_sums(rows.groups, rows.weights, fold, n_folds), k)


def means_outside(sums: Array, shares: Array, k: int) -> Array:
    """Return means outside of fold k and one more from weighted sums in the folds, (K, ...)."""
    inside = sums.sum(axis=0) - sums[k] - sums
    weight = shares.sum(axis=0) - shares[k] - shares
    return np.divide(inside, weight, out=np.zeros_like(inside), where=weight > 0)


def cell_sums(groups: Groups, values: Array, fold: Index, n_folds: int) -> Array:
    """Sum values (n,) over the rows of each fold, all and by group, (n_folds, 1 + G)."""
    size = groups.n_groups
    cells = np.bincount(fold * size + groups.codes, values, n_folds * size)
    by_group = cells.reshape(n_folds, size)
    return np.column_stack([by_group.sum(axis=1), by_group])
