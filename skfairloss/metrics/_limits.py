"""The limits of a report: each group's, those of all rows, of the largest difference and ratio."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtri

from skfairloss._typing import Array, Index
from skfairloss.metrics._bootstrap import Replicates
from skfairloss.metrics._cluster_draws import are_nested
from skfairloss.metrics._intervals import (
    Ends,
    LimitsOf,
    Sampled,
    fewest_rows,
    largest_difference,
    limits_of,
    simultaneous_quantile,
)
from skfairloss.metrics._row_metrics import Metric, Rows

COMPARISONS = ("between_groups", "to_overall")


@dataclass(frozen=True)
class Limits:
    """Limits of groups (2, G, n_metrics), and of the other statistics (2, n_metrics)."""

    by_group: Array
    overall: Array
    difference: Array
    ratio: Array

    @classmethod
    def none(cls, n_groups: int, n_metrics: int) -> Limits:
        """Return NaN throughout."""
        others = np.full((3, 2, n_metrics), np.nan)
        return cls(np.full((2, n_groups, n_metrics), np.nan), *others)


@dataclass(frozen=True)
class Sizes:
    """Sizes of G groups and, last, of all rows.

    Parameters
    ----------
    counts : (G + 1,), numbers of rows, or of clusters.
    rows : (G + 1,), rows, or clusters, equal in weight, at least 2.
    freedom : (G + 1,), degrees of freedom, at least 1.
    single : True if a row has one output, and is independent.
    nested : True if units are drawn within the groups, whose samples are independent then.
    third : that of `Sampled`.
    """

    counts: Array
    rows: Array
    freedom: Array
    single: bool
    nested: bool
    third: float = 1.0

    @classmethod
    def of_counts(cls, counts: Index) -> Sizes:
        """Take counts (G + 1,) of what has an exponential weight, rows or clusters, for rows.

        Sets may have members in common, and nothing is a share.
        """
        rows, freedom = np.maximum(counts, 2.0), np.maximum(counts - 1.0, 1.0)
        return cls(counts, rows, freedom, single=False, nested=False, third=2.0)

    @classmethod
    def of(
        cls, rows: list[Rows], weights: Array, single: bool, clusters: Index | None = None
    ) -> Sizes:
        """Measure groups that have these rows, of clusters if there are any, codes (n_samples,)."""
        sets = [*rows, np.concatenate(rows)]
        units = [weights[own] for own in sets]
        nested = clusters is None or are_nested(clusters, rows)
        if clusters is not None:
            sums = (np.bincount(clusters[own], weights[own]) for own in sets)
            units = [total[total > 0] for total in sums]
            single = single and len(units[-1]) == len(sets[-1])
        counts = np.array([len(total) for total in units])
        totals = np.array([total.sum() for total in units])
        squares = np.array([np.sum(total**2) for total in units])
        return cls.of_sums(counts, totals, squares, single, nested)

    @classmethod
    def of_sums(
        cls, counts: Index, totals: Array, squares: Array, single: bool, nested: bool = True
    ) -> Sizes:
        """Take the counts, and sums of weights and of their squares, (G + 1,) each."""
        equal = totals**2 / squares
        n_groups = len(counts) - 1
        lost = np.array([1] * n_groups + [n_groups if nested else 1])
        return cls(counts, np.maximum(equal, 2), np.maximum(equal - lost, 1), single, nested)


def find_limits(
    metrics: Mapping[str, Metric],
    values: Array,
    drawn: Replicates,
    sizes: Sizes,
    method: str,
    level: float,
) -> Limits:
    """Return all limits of values (n_metrics, G + 1), the last those of all rows.

    ``method`` is one of `COMPARISONS`, ``level`` the confidence level.
    """
    replicates = np.concatenate([drawn.by_group, drawn.overall[:, None]], axis=1)
    out = Limits.none(len(sizes.counts) - 1, len(metrics))
    for j, metric in enumerate(metrics.values()):
        sampled = Sampled(values[j], replicates[:, :, j], sizes.rows, sizes.freedom, sizes.third)
        enough = sizes.counts >= fewest_rows(metric)
        of = limits_of(metric, sizes.single)
        own = np.where(enough, of(sampled, float(ndtri(0.5 + 0.5 * level))), np.nan)
        out.by_group[:, :, j], out.overall[:, j] = own[:, :-1], own[:, -1]
        compared = _compared(sampled, enough, of, method, level, sizes.nested)
        out.difference[:, j], out.ratio[:, j] = compared
    return out


def _compared(
    sampled: Sampled, enough: Array, of: LimitsOf, method: str, level: float, nested: bool
) -> tuple[Any, Any]:
    """Return the limits of difference and ratio; NaN where a group has too few rows."""
    nothing = (np.nan, np.nan)
    known = ~np.isnan(sampled.values[:-1])
    undefined = np.isnan(sampled.replicates).all(axis=0) | ~enough
    between = method == COMPARISONS[0]
    if known.sum() < 1 + between or undefined[:-1][known].any():
        return nothing, nothing
    values, drawn = sampled.values[:-1][known], sampled.replicates[:, :-1][:, known]
    reference = None if between else (sampled.values[-1], sampled.replicates[:, -1])
    ends = of(sampled, simultaneous_quantile(values, drawn, reference, level))
    groups = Ends(values, *ends[:, :-1][:, known])
    whole = None if between else Ends(sampled.values[-1:], *ends[:, -1:])
    others = drawn if between else sampled.replicates[:, -1:]
    apart = between and nested
    correlation = np.zeros((len(values),) * 2) if apart else _correlations(drawn, others)
    difference = largest_difference(groups, whole, correlation)
    parts = [groups] if whole is None else [groups, whole]
    if any((part.values <= 0).any() or (part.lower < 0).any() for part in parts):
        return difference, nothing  # a ratio compares positive values
    logs = [part.logs() for part in parts]
    ratio = largest_difference(logs[0], None if whole is None else logs[1], correlation)
    return difference, np.exp(-np.array(ratio[::-1]))


def _correlations(drawn: Array, others: Array) -> Array:
    """Return the correlations of replicates (B, G) with others (B, K), (G, K).

    A sample counts for a pair where both are defined. One that does not vary has correlation 0.
    """
    (x, x_known), (y, y_known) = _centred(drawn), _centred(others)
    spread = np.sqrt((x**2).T @ y_known) * np.sqrt(x_known.T @ y**2)
    return np.divide(x.T @ y, spread, out=np.zeros_like(spread), where=spread > 0)


def _centred(replicates: Array) -> tuple[Array, Array]:
    """Return replicates (B, k) less their mean, 0 where one is not defined, and 1 where it is."""
    known = ~np.isnan(replicates)
    mean = np.nansum(replicates, axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.where(known, replicates - mean, 0.0), known.astype(float)
