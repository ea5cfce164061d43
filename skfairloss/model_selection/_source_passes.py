"""The passes of a comparison of rows in blocks, as kernels.

    count        rows and weights by fold and group
    outoffold    sums of the metrics' values of each fold's models, by fold and group
    influences   sums of squares and cubes of the influences of the rows, or their sums by cluster

Only sums come back: by group, by fold, and by cluster.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from skfairloss._rows.blocks import Block
from skfairloss._rows.folds import Folds
from skfairloss._rows.reading import codes_of
from skfairloss._rows.source import Kernel, Piece, pieces
from skfairloss._rows.sums import Sums, in_tree, merge
from skfairloss._typing import Array, Index
from skfairloss.metrics._central_moments import CentralMoments
from skfairloss.model_selection._measures import Measure

Predictions = Callable[[Array], Array]
BITS = 64  # of the numbers that clusters are hashed to
_MOST = 2**16  # pairs of a cluster and a group that come back, each with 4 M T numbers


@dataclass(frozen=True)
class Divided:
    """Rows in folds.

    Parameters
    ----------
    folds : (R, k), the fold of each row in each repeat.
    clusters : (k,), numbers that clusters are hashed to. None where rows are independent.
    """

    folds: Index
    clusters: Array | None


@dataclass(frozen=True)
class Setting:
    """The facts that all passes of a comparison read.

    Parameters
    ----------
    folds : of each repeat.
    measures : the metrics.
    single : True where y has one dimension.
    unit : what weights are divided by.
    """

    folds: tuple[Folds, ...]
    measures: tuple[Measure, ...]
    single: bool
    unit: float

    def targets(self, piece: Piece) -> Array:
        """Return y as metrics take it, (k,) or (k, m)."""
        return piece.y[:, 0] if self.single else piece.y

    def weights(self, piece: Piece) -> Array:
        """Return the weights of the rows, (k,)."""
        if piece.weights is None:
            return np.full(len(piece.y), 1 / self.unit)
        return piece.weights / self.unit

    def values(self, y: Array, predicted: Array) -> Array:
        """Return the values of the rows under each metric, (k, T)."""
        return np.column_stack([measure.values(y, predicted) for measure in self.measures])


class FoldKernel(Kernel):
    """A pass that knows the folds and the cluster of each row.

    Pieces are given with their `Divided`.
    """

    setting: Setting

    def reduce(self, number: int, block: Block, own: Any) -> Sums:  # noqa: ARG002
        n = len(block.y)
        kept = np.arange(n) if block.weights is None else np.flatnonzero(block.weights)
        if not len(kept):
            return self.of_block(number, block)
        self._check(number, block)
        folds = np.stack([folds.of(number, block)[kept] for folds in self.setting.folds])
        clusters = None if block.clusters is None else block.clusters[kept]

        def of(piece: Piece) -> Sums:
            rows = slice(piece.start, piece.start + len(piece.y))
            own = Divided(folds[:, rows], None if clusters is None else clusters[rows])
            return self(piece, own)

        found = in_tree(map(of, pieces(number, block)), merge) or Sums()
        return merge(found, self.of_block(number, block))

    def _check(self, number: int, block: Block) -> None:
        """Refuse a block without groups."""
        if block.codes is None:
            raise ValueError(
                f"blocks must all have 'sensitive_features' to be compared, block {number} has none"
            )


@dataclass(frozen=True)
class Count(FoldKernel):
    """Rows, weights and squared weights of each fold, (R, K, 3), by group.

    "n" counts all rows, "columns" are those that groups are from.
    """

    setting: Setting
    needs_features = False

    def __call__(self, piece: Piece, own: Divided) -> Sums:
        y, weights = self.setting.targets(piece), self.setting.weights(piece)
        for measure in self.setting.measures:
            measure.check_defined(y)
        assert piece.codes is not None
        shape = self.setting.folds[0].number, len(piece.labels)
        columns = np.stack([np.ones(len(y)), weights, weights**2], axis=1)
        cells = [_by_cell(fold, piece.codes, columns[:, 0], *shape) for fold in own.folds]
        found = np.reshape([cell @ columns for cell in cells], (-1, *shape, 3))
        return Sums({("group", piece.labels[g]): found[:, :, g] for g in np.unique(piece.codes)})

    def of_block(self, number: int, block: Block) -> Sums:  # noqa: ARG002
        weighs = len(block.y) if block.weights is None else block.weights.any()
        known = block.codes is not None and weighs
        return Sums({"n": len(block.y)}, records={"columns": block.columns} if known else {})


@dataclass(frozen=True)
class OutOfFold(FoldKernel):
    """Weighted sums of the metrics' values under the models of each fold, by fold and group.

    They are "sums", (R, K, K, G, M, T), the model's fold before that of the rows. Moments of y by
    group are records.

    Parameters
    ----------
    setting : what all passes read.
    models : the predictions of the M models of each fold in each repeat.
    labels : the groups in their order.
    """

    setting: Setting
    models: tuple[tuple[tuple[Predictions, ...], ...], ...]
    labels: tuple[Any, ...]

    def __call__(self, piece: Piece, own: Divided) -> Sums:
        setting, codes = self.setting, codes_of(piece, self.labels)
        y, weights = setting.targets(piece), setting.weights(piece)
        n_folds, n_groups, n = setting.folds[0].number, len(self.labels), len(y)
        sums = []
        for fold, of_repeat in zip(own.folds, self.models, strict=True):
            by_cell = _by_cell(fold, codes, weights, n_folds, n_groups)
            for models in of_repeat:
                values = np.stack([setting.values(y, predict(piece.X)) for predict in models], 1)
                sums.append(by_cell @ values.reshape(n, -1))
        shape = (len(self.models), n_folds, n_folds, n_groups, len(self.models[0][0]), -1)
        records = {}
        for g in np.unique(codes):
            rows = np.flatnonzero(codes == g)
            parts = np.empty((len(rows), 0)), piece.y[rows], weights[rows]
            records[self.labels[g]] = CentralMoments.of(*parts, deep=0)
        return Sums({"sums": np.reshape(sums, shape)}, records=records)


@dataclass(frozen=True)
class Influences(FoldKernel):
    """Sums of the influences of rows on levels and on differences from the reference.

    A row has an influence on the metric of all rows and on that of its group, for levels and
    differences, M models and T metrics: z, (k, 2, 2, M, T), the mean over the repeats. The sums
    are those of each fold, (R, K, G, 2, 2, M, T), and for groups R of a QR decomposition and sums
    of cubes; with clusters their sums over each.

    Parameters
    ----------
    setting, models, labels : as in `OutOfFold`.
    reference : the number of the reference.
    means, slopes, ratios : (R, 1 + G, M, T), m and the slopes of the metrics out of fold.
    totals : (1 + G,), the weights of all rows and of each group.
    squares : (1 + G, m) and (1 + G,), the means of y and of its squares about them. None where no
        metric asks for them.
    """

    setting: Setting
    models: tuple[tuple[tuple[Predictions, ...], ...], ...]
    labels: tuple[Any, ...]
    reference: int
    means: Array
    slopes: Array
    ratios: Array
    totals: Array
    squares: tuple[Array, Array] | None

    def __call__(self, piece: Piece, own: Divided) -> Sums:
        codes, n_repeats = codes_of(piece, self.labels), len(self.models)
        weights = self.setting.weights(piece)
        n_folds, n_groups = self.setting.folds[0].number, len(self.labels)
        z: Any = 0.0
        by_fold = []
        for r, fold in enumerate(own.folds):
            found = self._influences(piece, codes, weights, r, fold)
            cells = _by_cell(fold, codes, np.ones(len(fold)), n_folds, n_groups)
            by_fold.append(cells @ found.reshape(len(found), -1))
            z = z + found / n_repeats
        shape = (n_repeats, n_folds, n_groups, *z.shape[1:])
        added: dict[Any, Any] = {"by_fold": np.reshape(by_fold, shape)}
        flat = z.reshape(len(z), -1)
        if own.clusters is not None:
            columns = np.column_stack([weights, flat])
            record = ClusterSums.of(own.clusters, codes, columns)
            return Sums(added, records={"clusters": record})
        triangles = {}
        for g in np.unique(codes):
            rows = flat[codes == g]
            triangles[g] = np.asarray(np.linalg.qr(rows, mode="r"))
            added["cubes", g] = (rows**3).sum(axis=0)
        return Sums(added, triangles=triangles)

    def _influences(self, piece: Piece, codes: Index, weights: Array, r: int, fold: Index) -> Array:
        """Return the influences of the rows in one repeat, (k, 2, 2, M, T)."""
        setting, y = self.setting, self.setting.targets(piece)
        at = np.stack([np.zeros_like(codes), 1 + codes], axis=1)  # (k, 2), of all rows and its own
        d = np.empty((len(y), 1, *self.means.shape[2:]))
        for models, k in zip(self.models[r], range(setting.folds[0].number), strict=True):
            rows = np.flatnonzero(fold == k)
            for j, predict in enumerate(models if len(rows) else ()):
                d[rows, 0, j] = setting.values(y[rows], predict(piece.X[rows]))
        change = d - self.means[r][at]
        if self.squares is not None:
            centres, v = self.squares
            e = np.square(piece.y[:, None] - centres[at]).mean(axis=2)
            change -= self.ratios[r][at] * (e - v[at])[:, :, None, None]
        share = weights[:, None] / self.totals[at]
        levels = self.slopes[r][at] * share[:, :, None, None] * change
        reference = levels[:, :, [self.reference]]
        return np.stack([levels, levels - reference], axis=2)


@dataclass(frozen=True)
class ClusterSums:
    """Sums over the rows of clusters, by group; of clusters in bundles where they are many.

    A bundle holds the clusters whose numbers agree in their first bits. So it is the same in
    whatever order records come together. Sums of disjoint bundles of clusters vary as those of the
    clusters do.

    Parameters
    ----------
    bits : how many of the first bits tell clusters apart.
    keys : (k,), numbers of the clusters, less the other bits.
    codes : (k,), groups; no pair of a cluster and a group occurs twice.
    sums : (k, c).
    """

    bits: int
    keys: Array
    codes: Index
    sums: Array

    @classmethod
    def of(cls, clusters: Array, codes: Index, columns: Array, bits: int = BITS) -> ClusterSums:
        """Add up columns (n, c) of rows, given their clusters and groups."""

        def cells(b: int) -> tuple[Array, Index, Index]:
            keys = clusters >> np.uint64(BITS - b) << np.uint64(BITS - b)
            order = np.lexsort((codes, keys))
            own, group = keys[order], codes[order]
            first = np.append(True, (own[1:] != own[:-1]) | (group[1:] != group[:-1]))
            return keys, order, np.flatnonzero(first)

        found = cells(bits)
        if len(found[2]) > _MOST:
            few = bisect_right(range(1, bits + 1), _MOST, key=lambda b: len(cells(b)[2]))
            bits = max(few, 1)
            found = cells(bits)
        keys, order, starts = found
        some = order[starts]
        return cls(bits, keys[some], codes[some], np.add.reduceat(columns[order], starts, axis=0))

    def merged(self, other: ClusterSums) -> ClusterSums:
        """Return the sums of both parts of the rows."""
        clusters = np.concatenate([self.keys, other.keys])
        codes = np.concatenate([self.codes, other.codes])
        sums = np.concatenate([self.sums, other.sums])
        return ClusterSums.of(clusters, codes, sums, min(self.bits, other.bits))


def _by_cell(fold: Index, codes: Index, weights: Array, n_folds: int, n_groups: int) -> Any:
    """Return the matrix that sums rows of weights by fold and group, (K G, k)."""
    n = len(fold)
    parts = weights, fold * n_groups + codes, np.arange(n + 1)
    return csr_array(parts, shape=(n, n_folds * n_groups)).T
