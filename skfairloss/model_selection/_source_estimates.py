"""The estimates of a comparison of rows in blocks, from the sums of `_source_passes`.

The sums of the metrics' values give the metrics and what the training rows contribute; moments of
the influences of the rows, what the rows tested do. The formulas are those of `_intervals`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from skfairloss._inputs.groups import GroupColumns, Groups, counted
from skfairloss._rows.blocks import Block, merge_groups
from skfairloss._rows.facts import Passes
from skfairloss._rows.sums import Sums
from skfairloss._typing import Array, Index
from skfairloss.metrics._aggregates import explained
from skfairloss.metrics._central_moments import CentralMoments
from skfairloss.model_selection._folds import FEWEST
from skfairloss.model_selection._intervals import (
    Design,
    Estimate,
    Tested,
    check_counts,
    column_sums,
    jackknifed,
    put_together,
)
from skfairloss.model_selection._measures import Measure
from skfairloss.model_selection._source_passes import BITS, ClusterSums, Count, Setting
from skfairloss.model_selection._statistics import OF_MEANS, means_outside

Standing = tuple[Index, Array, Index, Array]  # groups, weights, clusters and influences of rows


@dataclass(frozen=True)
class Counted:
    """Numbers of rows and weights.

    Parameters
    ----------
    n : number of rows, those without weight too.
    groups : a row for each group, in their order.
    counts : (G,), numbers of rows with a weight.
    weights : (R, K, 1 + G), of all rows and each group in each fold.
    squares : (G,), sums of squared weights.
    """

    n: int
    groups: Groups
    counts: Array
    weights: Array
    squares: Array

    @classmethod
    def of(cls, passes: Passes, setting: Setting, head: Block) -> Counted:
        """Count the rows, and refuse groups and folds that allow no comparison."""
        if head.codes is None:
            raise ValueError("sensitive_features must be among the rows of the source, it has none")
        sums = passes.run(Count(setting))
        added, columns, n = sums.added, cast(GroupColumns, sums.records["columns"]), sums.added["n"]
        labels = merge_groups([key[1] for key in added if key != "n"], columns, n).labels
        groups = merge_groups(labels, columns, n)  # a row for each, in order
        by_group = np.stack([added["group", label] for label in labels], axis=2)  # (R, K, G, 3)
        rows, weights, squares = by_group.transpose(3, 0, 1, 2)
        _check_groups(groups, rows)
        counts = rows[0].sum(axis=0).astype(np.intp)
        return cls(n, groups, counts, _with_all(weights, 2), squares[0].sum(axis=0))

    @property
    def totals(self) -> Array:
        """The weights of all rows and each group, (1 + G,)."""
        return np.asarray(self.weights[0].sum(axis=0))

    def effective(self, pair: tuple[int, int]) -> Array:
        """Return the numbers of rows, equal in weight, of all quantities, (G + 2,)."""
        first = np.append(self.totals, self.totals[1:][list(pair)].sum())
        second = [self.squares.sum(), *self.squares, self.squares[list(pair)].sum()]
        return np.asarray(first**2 / second)


def _check_groups(groups: Groups, rows: Array) -> None:
    """Raise ValueError for a single group, an empty fold, or a group in too few folds (R, K, G)."""
    if groups.n_groups < 2:
        raise ValueError(
            f"sensitive_features has the group {groups.labels[0]!r} only, a comparison needs two"
        )
    if not rows.sum(axis=2).all():
        raise ValueError(
            f"a fold of cv={rows.shape[1]} is empty: use fewer folds where rows or clusters are "
            "few, or another random_state"
        )
    held = (rows > 0).sum(axis=1).min(axis=0)
    few = np.flatnonzero(held < FEWEST)
    if len(few):
        raise ValueError(
            f"cv has rows of the group {groups.labels[few[0]]!r} in "
            f"{counted(int(held[few[0]]), 'fold')} only, it takes {FEWEST}: merge small groups"
        )


@dataclass(frozen=True)
class Levels:
    """Metrics of all models out of fold, in R repeats.

    Parameters
    ----------
    means, value, slope, ratio : (R, 1 + G, M, T), the means of the row values, and the metrics as
        functions of them.
    trained : (R, K, 1 + G, M, T), B of each fold.
    squares : (1 + G, m) and (1 + G,), the means of y and of its squares about them. None where no
        metric asks for them.
    """

    means: Array
    value: Array
    slope: Array
    ratio: Array
    trained: Array
    squares: tuple[Array, Array] | None

    @classmethod
    def of(cls, rows: Counted, measures: tuple[Measure, ...], found: Sums) -> Levels:
        """Read the sums of the first pass."""
        sums = _with_all(found.added["sums"], 3)  # (R, K, K, 1 + G, M, T)
        n_folds = sums.shape[1]
        own = np.einsum("rkkgmt->rgmt", sums)  # of the models that did not see the rows
        means = own / rows.totals[:, None, None]
        aggregates = [measure.aggregate for measure in measures]
        squares = None
        if explained in aggregates:
            records: Any = found.records
            squares = _squares([records[label] for label in rows.groups.labels])
        v = None if squares is None else squares[1][:, None]
        parts = [OF_MEANS[one](means[..., t], v) for t, one in enumerate(aggregates)]
        value, slope, ratio = (
            np.stack([getattr(part, name) for part in parts], axis=-1)
            for name in ("value", "slope", "ratio")
        )
        weights = rows.weights[..., None, None]
        trained = [
            jackknifed(np.stack([means_outside(sums[r, k], weights[r], k) for k in range(n_folds)]))
            for r in range(len(sums))
        ]
        return cls(means, value, slope, ratio, slope[:, None] * np.stack(trained), squares)

    def inputs(self, rows: Counted) -> dict[str, Any]:
        """Return the fields of `Influences` that are known, 0 for NaN, which would spread."""
        squares = None if self.squares is None else tuple(map(np.nan_to_num, self.squares))
        numbers = {"means": self.means, "slopes": self.slope, "ratios": self.ratio}
        known: dict[str, Any] = {name: np.nan_to_num(value) for name, value in numbers.items()}
        return known | {"totals": rows.totals, "squares": squares}


@dataclass(frozen=True)
class Measured:
    """Levels, and differences from the reference, with the moments of the rows' influences.

    Parameters
    ----------
    design : of rows that stand for all others: one for each cluster and group, or some of each
        group, whose influences have the same sums of products.
    influence : (k, 2, 2, M, T), as `Influences` has them.
    cubes : (1 + G, 2, M, T), sums of the cubes of the influences. None with clusters.
    by_fold : (R, K, 1 + G, 2, M, T), A of each fold.
    value : (1 + G, 2, M, T), the means over the repeats.
    trained : (R, K, 1 + G, 2, M, T), B of each fold.
    bundled : True where the clusters of the design are bundles.
    """

    design: Design
    influence: Array
    cubes: Array | None
    by_fold: Array
    value: Array
    trained: Array
    bundled: bool

    @classmethod
    def of(
        cls, rows: Counted, levels: Levels, pair: tuple[int, int], first: int, found: Sums
    ) -> Measured:
        """Read the sums of the second pass; ``first`` is the number of the reference."""

        def both(a: Array) -> Array:
            return np.stack([a, a - a[..., [first], :]], axis=-3)

        unknown = both((0 * levels.slope).sum(axis=0))  # NaN where a metric is
        record: Any = found.records.get("clusters")
        standing = _of_groups(found) if record is None else _of_clusters(record)
        codes, weights, clusters, sums = standing
        z = sums.reshape(-1, 2, *both(levels.value).shape[2:])
        groups = replace(rows.groups, codes=codes)
        cubes, counted = None, None
        if record is None:
            counted = rows.effective(pair)
            by_group = np.stack([found.added["cubes", g] for g in range(groups.n_groups)])
            cubes = _parts(by_group.reshape(-1, *z.shape[1:]), 0) + unknown
        design = Design(groups, weights, pair, clusters, counted)
        unit = "row with a weight" if counted is not None else "cluster"
        check_counts(design, groups.labels, unit)
        whole = np.stack([np.zeros_like(codes), 1 + codes], axis=1)
        return cls(
            design,
            z + unknown[whole],
            cubes,
            _parts(found.added["by_fold"], 2) + unknown,
            both(levels.value).mean(axis=0),
            both(levels.trained),
            bundled=record is not None and record.bits < BITS,
        )

    @property
    def n_clusters(self) -> int:
        """Number of clusters, or of bundles of them."""
        return int(self.design.clusters.max()) + 1

    def estimates(self, kind: int) -> list[list[Estimate]]:
        """Return the estimates of levels, kind 0, or of differences, 1, by metric and model."""
        n_models, n_metrics = self.value.shape[2:]
        return [
            [self._estimate((..., kind, j, t)) for j in range(n_models)] for t in range(n_metrics)
        ]

    def _estimate(self, at: Any) -> Estimate:
        """Estimate one metric of one model."""
        design = self.design
        by_cluster = design.tested_by(self.influence[at].T)
        if self.cubes is None:
            cubes = column_sums(by_cluster, 3)
        else:
            cubes = design.pairs(design.factors**3 * self.cubes[at])
        tested = Tested(by_cluster, cubes, design.pairs(self.by_fold[at]))
        return put_together(design, self.value[at], self.trained[at], tested)


def _of_clusters(record: ClusterSums) -> Standing:
    """Return a row for each cluster and group."""
    clusters = np.unique(record.keys, return_inverse=True)[1]
    return record.codes, record.sums[:, 0], clusters, record.sums[:, 1:]


def _of_groups(found: Sums) -> Standing:
    """Return some rows for each group, with the sums of products of all of its rows."""
    parts = [found.triangles[g] for g in range(len(found.triangles))]
    codes = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    return codes, np.ones(len(codes)), np.arange(len(codes)), np.concatenate(parts)


def _with_all(by_group: Array, axis: int) -> Array:
    """Return sums of all rows before those of the groups, which are along an axis."""
    return np.concatenate([by_group.sum(axis=axis, keepdims=True), by_group], axis=axis)


def _parts(by_group: Array, axis: int) -> Array:
    """Return sums of influences on the metric of all rows and on those of the groups.

    Groups are along an axis, the two kinds of influences along the next one.
    """
    whole, own = np.moveaxis(by_group, axis + 1, 0)
    return np.concatenate([whole.sum(axis=axis, keepdims=True), own], axis=axis)


def _squares(moments: list[CentralMoments]) -> tuple[Array, Array]:
    """Return means of y, (1 + G, m), and of its squares about them, (1 + G,), from the groups'.

    NaN where y does not vary.
    """
    centres = np.stack([own.centre for own in moments])
    shares = np.array([own.weight for own in moments])
    shares = shares / shares.sum()
    within = np.array([own.mean[1] / own.mean[0] for own in moments])
    centre = centres[0] + shares @ (centres - centres[0])
    whole = shares @ (within + np.square(centres - centre).sum(axis=1))
    v = np.append(whole, within) / centres.shape[1]
    return np.vstack([centre, centres]), np.where(v > 0, v, np.nan)
