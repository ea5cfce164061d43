"""Confidence intervals of metrics, from bootstrap samples and the numbers of rows.

A mean has the interval of Student's t with the skewness of its samples taken out (P. Hall, "On the
removal of skewness by transformation", Journal of the Royal Statistical Society B 54 (1992)); the
root of a mean has the roots of these ends. A share has that of E. B. Wilson, "Probable inference",
Journal of the American Statistical Association 22 (1927), which stands also where no row is beyond
the threshold. Anything else has quantiles of the samples, further out by as much as Student's t is
than a normal distribution (T. Hesterberg, "What teachers should know about the bootstrap", The
American Statistician 69 (2015)).

The ends of a difference are those of the two values, put together (G. Zou & A. Donner,
"Construction of confidence limits about effect measures", Statistics in Medicine 27 (2008)), with
the correlation of their samples where these have rows or clusters in common: it keeps their
skewness. All differences d hold at once at the quantile of max |d* - d| / sd(d*).

Rows of unequal weights s count as (Σs)² / Σs² rows (L. Kish, *Survey Sampling*, 1965).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit

from skfairloss._typing import Array
from skfairloss.metrics._aggregates import mean, root_mean
from skfairloss.metrics._named import NamedMetric
from skfairloss.metrics._row_metrics import Metric
from skfairloss.metrics._row_values import Above, squared

# Rows that an interval needs, by simulations: docs/coverage.md.
FEWEST_ROWS = 10
FEWEST_ROWS_OF_SQUARES = 20

_STRAIGHT = 1e-6  # skewness whose effect is below rounding of its formula


@dataclass(frozen=True)
class Sampled:
    """A metric of k sets of rows, with its bootstrap samples.

    Parameters
    ----------
    values : (k,).
    replicates : (B, k).
    rows : (k,), numbers of rows, equal in weight.
    freedom : (k,), degrees of freedom: rows less the groups that they were drawn within.
    third : third central moment of the weight of a row in a sample, whose variance is 1. It
        multiplies the skewness of the rows' own means: 1 for drawn rows, 2 for exponential weights.
    """

    values: Array
    replicates: Array
    rows: Array
    freedom: Array
    third: float = 1.0

    def student(self, z: float) -> Array:
        """Return the quantile of Student's t at that of a normal distribution, (k,)."""
        return -stdtrit(self.freedom, ndtr(-z))

    @property
    def widening(self) -> Array:
        """Factor from the spread of samples to that of estimates, (k,)."""
        return np.sqrt(self.rows / self.freedom)


LimitsOf = Callable[[Sampled, float], Array]


def fewest_rows(metric: Metric) -> int:
    """Return the number of rows below which a metric has no interval."""
    if not isinstance(metric, NamedMetric) or metric.rows is not squared:
        return FEWEST_ROWS
    return FEWEST_ROWS_OF_SQUARES if metric.aggregate in (mean, root_mean) else FEWEST_ROWS


def limits_of(metric: Metric, single: bool) -> LimitsOf:
    """Return the function from a `Sampled` metric and a normal quantile to limits, (2, k).

    ``single`` is True where a row has one output, so that a share counts rows.
    """
    if not isinstance(metric, NamedMetric):
        return percentile_limits
    if isinstance(metric.rows, Above) and single:
        return wilson_limits
    kinds: dict[Any, LimitsOf] = {mean: hall_limits, root_mean: _root_limits}
    limits = kinds.get(metric.aggregate, percentile_limits)
    if not metric.is_error:
        return limits
    return lambda sampled, z: np.maximum(limits(sampled, z), 0.0)


def hall_limits(sampled: Sampled, z: float) -> Array:
    """Return limits of means, (2, k)."""
    known = ~np.isnan(sampled.replicates)  # of clusters, a sample may have none of a group
    n = np.maximum(known.sum(axis=0), 1)
    centred = sampled.replicates - np.nansum(sampled.replicates, axis=0) / n
    spread = np.sqrt(np.nansum(centred**2, axis=0) / n)
    scaled = centred / np.where(spread > 0, spread, 1)
    skewness = np.nansum(scaled**3, axis=0) / n / sampled.third
    spread = np.where(known.any(axis=0), spread, np.nan)
    x = sampled.student(z)
    steps = np.stack([untransformed(x, skewness), untransformed(-x, skewness)])
    return sampled.values - steps * spread * sampled.widening


def untransformed(x: Array, skewness: Array) -> Array:
    """Return the T with T + g (T² / 3 + 1 / 6) + g² T³ / 27 = x, g the skewness, (k,)."""
    straight = np.abs(skewness) < _STRAIGHT
    g = np.where(straight, 1.0, skewness)
    return np.where(straight, x, 3 / g * (np.cbrt(1 + g * (x - g / 6)) - 1))


def _root_limits(sampled: Sampled, z: float) -> Array:
    """Return limits of roots of means, (2, k)."""
    values, replicates = sampled.values**2, sampled.replicates**2
    squares = replace(sampled, values=values, replicates=replicates)
    return np.sqrt(np.maximum(hall_limits(squares, z), 0.0))


def wilson_limits(sampled: Sampled, z: float) -> Array:
    """Return limits of shares, (2, k)."""
    p, n = sampled.values, sampled.rows
    centre = p + z**2 / (2 * n)
    half = z * np.sqrt(p * (1 - p) / n + (z / (2 * n)) ** 2)
    return np.clip(np.stack([centre - half, centre + half]) / (1 + z**2 / n), 0.0, 1.0)


def percentile_limits(sampled: Sampled, z: float) -> Array:
    """Return quantiles of the samples, further out by t, (2, k); NaN where none is defined.

    Beyond what the number of samples tells, ends move out in proportion.
    """
    limits = np.full((2, len(sampled.values)), np.nan)
    n = len(sampled.replicates)
    told = ndtri((n - 1 / 3) / (n + 1 / 3))  # the median rank of the largest of n
    x = sampled.student(z) * sampled.widening
    for j in np.flatnonzero(~np.isnan(sampled.replicates).all(axis=0)):
        tail = ndtr(-min(x[j], told))
        ends = np.nanquantile(sampled.replicates[:, j], [tail, 1 - tail])
        limits[:, j] = sampled.values[j] + (ends - sampled.values[j]) * max(1.0, x[j] / told)
    return limits


def simultaneous_quantile(
    values: Array, replicates: Array, reference: tuple[float, Array] | None, level: float
) -> float:
    """Return the quantile of max |d* - d| / sd(d*) over the differences of G groups.

    ``values`` (G,) and ``replicates`` (B, G) are those of one metric; ``reference`` the same of
    what groups are compared with. They are compared with one another where it is None. It is no
    smaller than that of a single difference, ``level`` of a normal distribution; NaN if there is
    no difference.
    """
    largest = np.zeros(len(replicates))
    n = 0
    for gap, drawn in _differences(values, replicates, reference):
        known = np.count_nonzero(~np.isnan(drawn), axis=0)
        squares = np.nansum((drawn - gap) ** 2, axis=0)
        spread = np.sqrt(np.divide(squares, known, out=np.full(len(gap), np.inf), where=known > 0))
        deviation = np.abs(drawn - gap) / np.where(spread > 0, spread, 1)
        largest = np.fmax(largest, np.fmax.reduce(deviation, axis=1))
        n += len(gap)
    alone = float(ndtri(0.5 + 0.5 * level))
    return max(alone, float(np.quantile(largest, level))) if n else np.nan


def _differences(
    values: Array, replicates: Array, reference: tuple[float, Array] | None
) -> Iterator[tuple[Array, Array]]:
    """Yield blocks of differences (n,) and their replicates (B, n)."""
    if reference is not None:
        if len(values):
            yield values - reference[0], replicates - reference[1][:, None]
        return
    for j in range(1, len(values)):
        yield values[:j] - values[j], replicates[:, :j] - replicates[:, [j]]


@dataclass(frozen=True)
class Ends:
    """Values (k,) with the ends of intervals below and above them."""

    values: Array
    lower: Array
    upper: Array

    def logs(self) -> Ends:
        """Return the logarithms; -inf for a lower end of 0."""
        with np.errstate(divide="ignore"):
            return Ends(np.log(self.values), np.log(self.lower), np.log(self.upper))


def largest_difference(
    groups: Ends, reference: Ends | None, correlation: Array
) -> tuple[float, float]:
    """Return the interval of the largest absolute difference of G groups.

    Differences are those between two groups, or from a ``reference``. ``correlation`` is that of
    the estimates of both parts, (G, G) or (G, 1). Of differences d with intervals that hold at
    once, the largest lies between the largest lower end, at least 0, and the largest upper end.
    """
    others = groups if reference is None else reference
    gap = groups.values[:, None] - others.values
    distances = (groups.values - groups.lower)[:, None], (groups.upper - groups.values)[:, None]
    below = _margin(distances[0], others.upper - others.values, correlation)
    above = _margin(distances[1], others.values - others.lower, correlation)
    lower = np.maximum(gap - below, -gap - above)
    upper = np.maximum(gap + above, below - gap)
    if reference is None:  # a group with itself
        np.fill_diagonal(lower, -np.inf)
        np.fill_diagonal(upper, -np.inf)
    return max(0.0, float(lower.max())), float(upper.max())


def _margin(one: Array, other: Array, correlation: Array) -> Array:
    """Return the distance of an end of a difference, from those of its two parts."""
    with np.errstate(invalid="ignore"):
        squares = one**2 + other**2 - 2 * correlation * one * other
    return np.sqrt(np.where(np.isinf(one) | np.isinf(other), np.inf, np.maximum(squares, 0)))
