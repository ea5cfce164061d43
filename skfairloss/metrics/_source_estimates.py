"""Metrics by group with confidence intervals of rows in a source, as those of arrays."""

from __future__ import annotations

from typing import Any

from skfairloss._rows.source import RowSource
from skfairloss.metrics._bootstrap import generator
from skfairloss.metrics._estimates import (
    GroupEstimates,
    check_measured,
    check_options,
    put_together,
)
from skfairloss.metrics._frame import frame_of_values
from skfairloss.metrics._limits import Limits, find_limits
from skfairloss.metrics._named import DEFAULT_METRICS, Metrics, known_names, label_metrics
from skfairloss.metrics._row_metrics import Metric
from skfairloss.metrics._source_sums import GroupSums, Summed
from skfairloss.metrics._sums import SumMetrics, is_of_sums


def source_estimates(
    estimator: Any,
    source: RowSource,
    *,
    metrics: Metrics | None,
    method: str,
    n_boot: int | None,
    confidence_level: float,
    random_state: Any,
) -> GroupEstimates:
    """Evaluate predictions of an estimator for a source by group, with intervals."""
    check_options(method=method, n_boot=n_boot, confidence_level=confidence_level)
    named = _metrics_of_sums(metrics)
    head = source.head()
    if head.codes is None:
        raise ValueError("sensitive_features must be among the rows of the source, it has none")
    if head.clusters is not None and n_boot is not None:
        raise NotImplementedError(
            "intervals between the clusters of the source need rows in memory: pass n_boot=None "
            "for values without intervals, or a source without clusters if rows are independent"
        )
    of_sums = SumMetrics(list(named.values()))
    kernel = GroupSums.about(head, estimator, source.feature_names, of_sums, n_boot is not None)
    found, groups = Summed.of(kernel, source.run(kernel)).grouped()
    values = found.values()
    limits = Limits.none(groups.n_groups, len(named))
    if n_boot is not None:
        drawn = found.replicates(generator(random_state), int(n_boot))
        sizes = found.sizes(single=head.y.shape[1] == 1)
        limits = find_limits(named, values, drawn, sizes, method, confidence_level)
    frame = frame_of_values(list(named), values, groups)
    return put_together(frame, named, groups, found.counts, limits, method)


def _metrics_of_sums(metrics: Metrics | None) -> dict[str, Metric]:
    """Label metrics; refuse those that are no functions of sums."""
    labelled = label_metrics(DEFAULT_METRICS if metrics is None else metrics)
    other = [name for name, metric in labelled.items() if not is_of_sums(metric)]
    if other:
        raise ValueError(
            "metrics must be sums over rows where these are not in memory, any of "
            f"{known_names(is_of_sums)}, got {other}"
        )
    check_measured(labelled)
    return labelled
