"""Bootstrap draws of whole clusters of rows (Davison & Hinkley, *Bootstrap Methods*, 1997, §3.8).

Where every cluster is of one group, clusters are drawn within each group, as rows are that are
clusters of one; else from all clusters, so that a group may be absent from a sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from skfairloss._typing import Array, Index


def are_nested(clusters: Index, rows: Sequence[Index]) -> bool:
    """Tell whether no cluster has rows in two groups, of which ``rows`` has the rows."""
    members = [np.unique(clusters[own]) for own in rows]
    return len(np.unique(np.concatenate(members))) == sum(map(len, members))


def draw_clusters(
    rng: np.random.Generator, clusters: Index, rows: Sequence[Index], n_boot: int, at_once: int
) -> Iterator[list[Array]]:
    """Yield the number of times that each row is drawn with its cluster, (n, n_rows) by group.

    ``clusters`` are the codes of all rows; ``at_once`` rows are drawn in one batch.
    """
    strata = [np.unique(clusters[own]) for own in rows]
    if not are_nested(clusters, rows):
        strata = [np.unique(np.concatenate(strata))]
    step = max(1, at_once // sum(len(own) for own in rows))
    for start in range(0, n_boot, step):
        n = min(step, n_boot - start)
        times = np.zeros((n, clusters.max() + 1))
        for members in strata:
            size = len(members)
            drawn = rng.integers(size, size=(n, size)) + np.arange(n)[:, None] * size
            number = np.bincount(drawn.ravel(), minlength=n * size).reshape(n, size)
            times[:, members] = number
        yield [times[:, clusters[own]] for own in rows]
