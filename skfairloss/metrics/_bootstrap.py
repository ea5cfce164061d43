"""Bootstrap of metrics by group.

Rows are drawn with replacement within each group, so that every replicate has the groups' own sizes
and no rare group vanishes; the weights travel with their rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from skfairloss._typing import Array, Index
from skfairloss.metrics._cluster_draws import draw_clusters
from skfairloss.metrics._replicates import FromRows, FromSorted, FromSums, Way
from skfairloss.metrics._row_metrics import Metric, Rows

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


def bootstrap(
    metrics: Mapping[str, Metric],
    y_true: Array,
    y_pred: Array,
    weights: Array | None,
    rows: list[Rows],
    n_boot: int,
    rng: np.random.Generator,
    clusters: Index | None = None,
) -> Replicates:
    """Draw ``n_boot`` samples within the groups, of which ``rows`` has the rows, and evaluate.

    The same samples serve all metrics, all groups and all rows together. With ``clusters``, codes
    (n_samples,), these are drawn whole; a group that a sample does not have is NaN in it.
    """
    sizes, found = [len(own) for own in rows], list(metrics.values())
    ways: dict[type[Way], list[int]] = {}
    for j, metric in enumerate(found):
        way = next(way for way in (FromSums, FromSorted, FromRows) if way.serves(metric))
        ways.setdefault(way, []).append(j)
    makers = [
        (own, way([found[j] for j in own], y_true, y_pred, weights, rows))
        for way, own in ways.items()
    ]
    by_group = np.empty((n_boot, len(rows), len(metrics)))
    overall = np.empty((n_boot, len(metrics)))
    start = 0
    samples = (
        draw_rows(rng, sizes, n_boot)
        if clusters is None
        else draw_clusters(rng, clusters, rows, n_boot, DRAWS_AT_ONCE)
    )
    for counts in samples:
        batch = slice(start, start + len(counts[0]))
        start = batch.stop
        for own, maker in makers:
            by_group[batch, :, own], overall[batch, own] = maker.evaluate(counts)
        absent = np.stack([times.sum(axis=1) == 0 for times in counts], axis=1)
        by_group[batch][absent] = np.nan
    return Replicates(by_group, overall)


def draw_rows(rng: np.random.Generator, sizes: list[int], n_boot: int) -> Iterator[list[Array]]:
    """Yield the number of times that each row is drawn, (n, n_rows), in batches of n samples."""
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


def generator(random_state: Any) -> np.random.Generator:
    """Return a Generator, from what scikit-learn takes as random_state or from another one."""
    if isinstance(random_state, np.random.Generator):
        return random_state
    if isinstance(random_state, np.random.RandomState):
        random_state = random_state.randint(2**31 - 1)
    return np.random.default_rng(random_state)
