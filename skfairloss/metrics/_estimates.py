"""Metrics by group with confidence intervals, the record that reports and displays are made of."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from fairlearn.metrics import MetricFrame
from numpy.typing import ArrayLike, NDArray

from skfairloss._inputs.groups import Groups, check_index, encode_clusters, encode_groups
from skfairloss._inputs.parameters import (
    BETWEEN_0_AND_1,
    Check,
    check_parameters,
    integer_from,
    none_or,
    one_of,
)
from skfairloss._inputs.validation import check_weights
from skfairloss._typing import Array
from skfairloss.metrics._bootstrap import bootstrap, generator
from skfairloss.metrics._frame import group_metric_frame
from skfairloss.metrics._inputs import check_targets
from skfairloss.metrics._intervals import fewest_rows
from skfairloss.metrics._limits import COMPARISONS, Limits, Sizes, find_limits
from skfairloss.metrics._named import DEFAULT_METRICS, TABLE, Metrics, NamedMetric, label_metrics
from skfairloss.metrics._row_metrics import Metric, Rows, split_rows

Index = NDArray[np.intp]

_CHECKS: dict[str, Check] = {
    "method": one_of(COMPARISONS),
    "n_boot": none_or(integer_from(2)),
    "confidence_level": BETWEEN_0_AND_1,
}
COLUMNS = ["statistic", "group", "metric", "value", "lower", "upper", "count"]


@dataclass(frozen=True)
class GroupEstimates:
    """Metrics overall and by group, what they differ by, and intervals.

    Parameters
    ----------
    metric_frame : fairlearn.metrics.MetricFrame
        Has the values.

    metrics : list of str
        Names of its metrics, without the number of rows.

    ratios : list of str
        Those of them whose ratio compares groups.

    groups : list
        Names of the groups that occur, a tuple for several columns.

    group_name : str
        Names of the columns that define the groups.

    positions : ndarray of shape (n_groups,)
        Their rows in ``metric_frame.by_group``.

    counts : ndarray of shape (n_groups,)
        Their numbers of rows.

    method : str
        Compare groups with one another or with all rows.

    by_group_limits : ndarray of shape (2, n_groups, n_metrics)
        Lower and upper limits; NaN without an interval.

    other_limits : dict of ndarrays of shape (2, n_metrics)
        The same for "overall", "difference" and "ratio".

    fewest : dict of str to int
        Number of rows, or of clusters, below which a metric has no interval.

    units : ndarray of shape (n_groups + 1,)
        Numbers of rows, or of clusters, of the groups and, last, of all rows.

    clustered : bool
        Whether they are those of clusters.
    """

    metric_frame: MetricFrame
    metrics: list[str]
    ratios: list[str]
    groups: list[Any]
    group_name: str
    positions: Index
    counts: Array
    method: str
    by_group_limits: Array
    other_limits: dict[str, Array]
    fewest: dict[str, int]
    units: Index
    clustered: bool

    def values(self, statistic: str) -> pd.Series:
        """Return values "overall", of the "difference" or of the "ratio", by metric."""
        if statistic == "overall":
            return self.metric_frame.overall
        return getattr(self.metric_frame, statistic)(method=self.method)

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each metric and group, and each metric overall, difference and ratio."""
        by_group = self.metric_frame.by_group.iloc[self.positions]
        statistics = {name: self.values(name) for name in self.other_limits}
        rows: list[tuple[Any, ...]] = []
        for j, metric in enumerate(by_group.columns):
            if metric not in self.metrics:
                continue
            own = by_group[metric].to_numpy(dtype=float)
            limits = self.by_group_limits[:, :, j]
            for name, value, lower, upper, count in zip(
                self.groups, own, *limits, self.counts, strict=True
            ):
                rows.append(("by_group", name, metric, value, lower, upper, count))
            for name, values in statistics.items():
                # a ratio compares positive values
                known = name != "ratio" or (metric in self.ratios and not (own <= 0).any())
                value = float(values[metric]) if known else np.nan
                lower, upper = self.other_limits[name][:, j]
                rows.append((name, None, metric, value, lower, upper, self.counts.sum()))
        kinds = {"statistic": str, "group": object, "metric": str, "count": int}
        return pd.DataFrame(
            {
                column: pd.Series(list(cells), dtype=kinds.get(column, float))
                for column, cells in zip(COLUMNS, zip(*rows, strict=True), strict=True)
            }
        )


@dataclass(frozen=True)
class Evaluated:
    """Metrics overall and by group, without intervals.

    Parameters
    ----------
    frame : fairlearn.metrics.MetricFrame
        Has the values.

    metrics : dict of str to callable
        The metrics by label.

    groups : Groups
        Those of the rows with a weight.

    rows : list of ndarrays
        The rows of each group that have a weight.

    weights : ndarray of shape (n_samples,)
        Weights of all rows.

    single : bool
        Whether a row has one output.
    """

    frame: MetricFrame
    metrics: dict[str, Metric]
    groups: Groups
    rows: list[Rows]
    weights: Array
    single: bool

    @property
    def positions(self) -> Index:
        """The groups' rows in ``frame.by_group``."""
        return _positions(self.groups)

    @property
    def values(self) -> Array:
        """Metrics of the groups and, last, of all rows, (n_metrics, n_groups + 1)."""
        by_group = self.frame.by_group.to_numpy(dtype=float)[self.positions]
        return np.column_stack([by_group.T, self.frame.overall.to_numpy(dtype=float)])


def group_estimates(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    sensitive_features: Any,
    sample_weight: ArrayLike | None,
    metrics: Metrics | None,
    method: str = "between_groups",
    n_boot: int | None,
    confidence_level: float,
    random_state: Any,
    clusters: Any = None,
) -> GroupEstimates:
    """Evaluate predictions by group, with intervals from a bootstrap within the groups.

    Rows are independent where ``clusters`` is None.
    """
    check_options(method=method, n_boot=n_boot, confidence_level=confidence_level)
    named = label_metrics(DEFAULT_METRICS if metrics is None else metrics)
    seen = evaluate(y_true, y_pred, sensitive_features, sample_weight, named)
    codes = None
    if clusters is not None:
        check_index(clusters=clusters, y_true=y_true, y_pred=y_pred, sample_weight=sample_weight)
        codes = encode_clusters(clusters, len(seen.weights)).codes
    limits = Limits.none(len(seen.rows), len(named))
    sizes = Sizes.of(seen.rows, seen.weights, seen.single, codes)
    if n_boot is not None:
        true, pred = check_targets(y_true, y_pred)
        s = None if sample_weight is None else seen.weights
        rng = generator(random_state)
        drawn = bootstrap(named, true, pred, s, seen.rows, int(n_boot), rng, codes)
        limits = find_limits(named, seen.values, drawn, sizes, method, confidence_level)
    return with_limits(seen, limits, method, None if codes is None else sizes.counts)


def check_options(**given: Any) -> None:
    """Check the options of a report by name."""
    check_parameters(None, given, _CHECKS)


def check_measured(metrics: Mapping[str, Metric]) -> None:
    """Refuse metrics that are the number of rows alone."""
    if all(metric is TABLE["count"] for metric in metrics.values()):
        raise ValueError("metrics must hold a metric besides the number of rows")


def evaluate(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sensitive_features: Any,
    sample_weight: ArrayLike | None,
    metrics: dict[str, Metric],
) -> Evaluated:
    """Evaluate predictions overall and by group."""
    frame = group_metric_frame(
        y_true,
        y_pred,
        sensitive_features=sensitive_features,
        sample_weight=sample_weight,
        metrics=metrics,
    )
    _check_numbers(frame)
    check_measured(metrics)
    true, _ = check_targets(y_true, y_pred)
    weights = check_weights(sample_weight, len(true))
    encoded = encode_groups(sensitive_features, len(true))
    return Evaluated(
        frame,
        metrics,
        encoded.subset(weights > 0),
        split_rows(encoded.codes, np.flatnonzero(weights)),
        weights,
        single=true.size == len(true),
    )


def with_limits(
    seen: Evaluated, limits: Limits, method: str, clusters: Index | None = None
) -> GroupEstimates:
    """Put values and limits together.

    ``clusters`` are their numbers in the groups and, last, in all rows.
    """
    counts = np.array([len(own) for own in seen.rows])
    return put_together(seen.frame, seen.metrics, seen.groups, counts, limits, method, clusters)


def put_together(
    frame: MetricFrame,
    metrics: Mapping[str, Metric],
    groups: Groups,
    counts: Index,
    limits: Limits,
    method: str,
    clusters: Index | None = None,
) -> GroupEstimates:
    """Put values and limits of groups with numbers of rows, (G,), together.

    Ratios are there only where they compare. ``clusters`` are as in `with_limits`.
    """
    measured = [name for name, metric in metrics.items() if metric is not TABLE["count"]]
    without = [n for n, m in metrics.items() if isinstance(m, NamedMetric) and not m.has_ratio]
    ratios = [name for name in measured if name not in without]
    shown = np.array([name in ratios for name in metrics])
    return GroupEstimates(
        metric_frame=frame,
        metrics=measured,
        ratios=ratios,
        groups=groups.labels,
        group_name=groups.title,
        positions=_positions(groups),
        counts=counts,
        method=method,
        by_group_limits=limits.by_group,
        other_limits={
            "overall": limits.overall,
            "difference": limits.difference,
            "ratio": np.where(shown, limits.ratio, np.nan),
        },
        fewest={name: fewest_rows(metric) for name, metric in metrics.items()},
        units=np.append(counts, counts.sum()) if clusters is None else clusters,
        clustered=clusters is not None,
    )


def _positions(groups: Groups) -> Index:
    """Return the groups' rows in a MetricFrame, which lists all combinations of values."""
    _, first = np.unique(groups.codes, return_index=True)
    shape = [len(factor.names) for factor in groups.factors]
    return np.ravel_multi_index(tuple(f.codes[first] for f in groups.factors), shape)


def _check_numbers(frame: MetricFrame) -> None:
    """Raise TypeError for metrics that are not one number for each group."""
    for name, values in frame.by_group.items():
        for value in values:
            if not isinstance(value, numbers.Real):
                raise TypeError(
                    f"metrics must return one number, got {value!r} from {name!r} for a group"
                )
