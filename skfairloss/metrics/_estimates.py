"""Metrics by group with confidence intervals, the record that reports and displays are made of."""

from __future__ import annotations

import numbers
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from fairlearn.metrics import MetricFrame
from numpy.typing import ArrayLike, NDArray

from skfairloss._inputs.groups import Groups, encode_groups
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
from skfairloss.metrics._bootstrap import (
    Replicates,
    bootstrap,
    generator,
    largest_difference_interval,
    percentile_interval,
)
from skfairloss.metrics._frame import group_metric_frame
from skfairloss.metrics._inputs import check_targets
from skfairloss.metrics._named import DEFAULT_METRICS, TABLE, Metrics, NamedMetric, label_metrics
from skfairloss.metrics._row_metrics import split_rows

Index = NDArray[np.intp]

COMPARISONS = ("between_groups", "to_overall")

_CHECKS: dict[str, Check] = {
    "method": one_of(COMPARISONS),
    "n_boot": none_or(integer_from(1)),
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
) -> GroupEstimates:
    """Evaluate predictions by group, with intervals from a bootstrap within the groups."""
    given = {"method": method, "n_boot": n_boot, "confidence_level": confidence_level}
    check_parameters(None, given, _CHECKS)
    named = DEFAULT_METRICS if metrics is None else label_metrics(metrics)
    frame = group_metric_frame(
        y_true,
        y_pred,
        sensitive_features=sensitive_features,
        sample_weight=sample_weight,
        metrics=named,
    )
    _check_numbers(frame)
    measured = [name for name, metric in named.items() if metric is not TABLE["count"]]
    if not measured:
        raise ValueError("metrics must hold a metric besides the number of rows")
    without = [n for n, m in named.items() if isinstance(m, NamedMetric) and not m.has_ratio]
    ratios = [name for name in measured if name not in without]
    true, pred = check_targets(y_true, y_pred)
    weights = check_weights(sample_weight, len(true))
    kept = np.flatnonzero(weights)
    encoded = encode_groups(sensitive_features, len(true))
    rows = split_rows(encoded.codes, kept)
    groups = encoded.subset(weights > 0)
    counts = np.array([len(own) for own in rows])
    positions = _positions(groups)
    if n_boot is None:
        replicates = Replicates(
            np.full((1, len(rows), len(named)), np.nan), np.full((1, len(named)), np.nan)
        )
    else:
        s = None if sample_weight is None else weights
        rng = generator(random_state)
        replicates = bootstrap(named, true, pred, s, rows, int(n_boot), rng)
        # one row tells nothing about how others of its group would do
        replicates.by_group[:, counts == 1] = np.nan
    return GroupEstimates(
        metric_frame=frame,
        metrics=measured,
        ratios=ratios,
        groups=groups.labels,
        group_name=groups.title,
        positions=positions,
        counts=counts,
        method=method,
        by_group_limits=percentile_interval(replicates.by_group, confidence_level),
        other_limits=_limits(
            frame.by_group.to_numpy(dtype=float)[positions],
            frame.overall.to_numpy(dtype=float),
            replicates,
            [name in ratios for name in named],
            method,
            confidence_level,
        ),
    )


def _limits(
    values: Array,
    overall: Array,
    replicates: Replicates,
    with_ratio: list[bool],
    method: str,
    level: float,
) -> dict[str, Array]:
    """Return the limits of all that is not a group's, each of shape (2, n_metrics)."""
    difference, ratio = np.full((2, 2, len(overall)), np.nan)
    for j in range(len(overall)):
        drawn, whole = replicates.by_group[:, :, j], replicates.overall[:, j]
        reference = None if method == COMPARISONS[0] else (overall[j], whole)
        difference[:, j] = largest_difference_interval(values[:, j], drawn, reference, level)
        seen = (values[:, j], drawn, overall[j], whole)
        if not with_ratio[j] or any((v <= 0).any() for v in seen):
            continue  # a ratio compares positive values
        if reference is not None:
            reference = (np.log(overall[j]), np.log(whole))
        logs = largest_difference_interval(np.log(values[:, j]), np.log(drawn), reference, level)
        ratio[:, j] = np.exp(-np.array(logs[::-1]))
    return {
        "overall": percentile_interval(replicates.overall, level),
        "difference": difference,
        "ratio": ratio,
    }


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
