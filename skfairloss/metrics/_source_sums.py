"""Metrics by group of rows in a source, from one pass over them.

The pass brings back moments of the numbers that metrics add up, by group, and the rows of small
groups. Bootstrap samples of a small group are drawn from its rows, as in memory, those of any other
from its moments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from skfairloss._inputs.groups import GroupColumns, Groups
from skfairloss._rows.blocks import Block, merge_groups
from skfairloss._rows.source import Kernel, Piece
from skfairloss._rows.sums import Few, Sums
from skfairloss._typing import Array, Index
from skfairloss.metrics._aggregates import explained, number
from skfairloss.metrics._bootstrap import Replicates, draw_rows
from skfairloss.metrics._central_moments import CentralMoments, columns_about
from skfairloss.metrics._limits import Sizes
from skfairloss.metrics._moment_draws import draw_sums
from skfairloss.metrics._row_metrics import split_rows
from skfairloss.metrics._sums import SumMetrics

FEW = 1000  # rows of a group that come themselves: beyond, moments leave errors of 1 / 1000
_MOST_OUTPUTS = 20  # of r2 with intervals: third moments are (outputs + metrics)³ numbers a group


@dataclass(frozen=True)
class Units:
    """Powers of 2 of the size of numbers: a division by them changes no digit.

    Parameters
    ----------
    weights : of weights.
    y : of differences of targets, or of targets where these are equal.
    values : (J,), the same of the values of rows.
    """

    weights: float
    y: float
    values: Array

    @classmethod
    def of(cls, block: Block, values: Array) -> Units:
        """Take the sizes of some rows."""
        weights = 1.0 if block.weights is None else _power_of_two(block.weights)
        by_value = np.array([_power_of_two(v - v[0], v) for v in values.T])
        return cls(weights, _power_of_two(block.y - block.y[0], block.y), by_value)


def _power_of_two(*several: Array) -> float:
    """Return a power of 2 of the size of the first numbers that are not all 0. 1 without any."""
    sizes = (float(np.abs(numbers).max()) for numbers in several)
    largest = next(filter(None, sizes), 0.5)
    return float(np.ldexp(1.0, np.frexp(largest)[1]))


@dataclass(frozen=True)
class GroupSums(Kernel):
    """Moments by group of what metrics sum, and the rows of small groups.

    Rows without groups are one, None.

    Parameters
    ----------
    estimator : has ``predict``.
    names : of the columns of X. None where they have none.
    metrics : the metrics.
    units : sizes that all numbers are divided by.
    drawn : True if samples are to be drawn.
    """

    estimator: Any
    names: Sequence[str] | None
    metrics: SumMetrics
    units: Units
    drawn: bool

    @classmethod
    def about(
        cls, head: Block, estimator: Any, names: Any, metrics: SumMetrics, drawn: bool
    ) -> GroupSums:
        """Take the units from some rows."""
        pred = predicted(estimator, head.X, names, head.y, 0)
        units = Units.of(head, metrics.of_rows(head.y, pred))
        return cls(estimator, names, metrics, units, drawn)

    def __call__(self, piece: Piece, own: Any) -> Sums:  # noqa: ARG002
        codes, labels = piece.codes, piece.labels
        if codes is None:
            codes, labels = np.zeros(len(piece.y), dtype=np.intp), (None,)
        pred = predicted(self.estimator, piece.X, self.names, piece.y, piece.block)
        weights = np.ones(len(piece.y)) if piece.weights is None else piece.weights
        records: dict[Any, Any] = {}
        parts = split_rows(codes, np.arange(len(piece.y)))
        for code, members in zip(np.unique(codes), parts, strict=True):
            rows_of_group = piece.y[members], pred[members], weights[members]
            label = labels[code]
            values, y, s = self.parts(*rows_of_group)
            deep = self._deep(values.shape[1], y.shape[1])
            records["moments", label] = CentralMoments.of(values, y, s, deep)
            records["few", label] = Few.of(FEW if self.drawn else 0, rows_of_group)
        return Sums(records=records)

    def of_block(self, number: int, block: Block) -> Sums:  # noqa: ARG002
        weighs = len(block.y) if block.weights is None else block.weights.any()
        known = block.codes is not None and weighs
        return Sums(records={("columns", None): block.columns} if known else {})

    def parts(self, y: Array, pred: Array, weights: Array) -> tuple[Array, Array, Array]:
        """Return values of rows, y and weights in their units; no y unless squares are asked."""
        values = self.metrics.of_rows(y, pred) / self.units.values
        y = y / self.units.y / np.sqrt(y.shape[1])  # squares are means over outputs
        return values, y if self.metrics.needs_squares else y[:, :0], weights / self.units.weights

    def _deep(self, n_values: int, n_outputs: int) -> int:
        """Return the number of columns that have second and third moments."""
        if not self.drawn:
            return 0
        return 1 + n_values + (1 + n_outputs if 0 < n_outputs <= _MOST_OUTPUTS else 0)

    def restored(self, sums: Array, centres: Array) -> Array:
        """Return sums of `columns_about` (n, G, K) as `SumMetrics` has them, in units of y.

        ``centres`` are c and b of the groups, (G, J + m).
        """
        out, width, units = sums.copy(), self.metrics.width, self.units
        values = sums[..., 1:width] + centres[:, : width - 1] * sums[..., :1]
        out[..., 1:width] = values * units.values
        out[..., width : width + 1] *= units.y**2
        out[..., width + 1 :] *= units.y
        return out


def predicted(estimator: Any, x: Array, names: Sequence[str] | None, y: Array, block: int) -> Array:
    """Return the predictions of an estimator for some rows, of the shape of y (k, m), checked."""
    named = names is not None and hasattr(estimator, "feature_names_in_")
    given = pd.DataFrame(x, columns=list(names or ()), copy=False) if named else x
    out = np.asarray(estimator.predict(given), dtype=np.float64)
    if out.ndim == 1:
        out = out[:, None]
    if out.shape != y.shape:
        raise ValueError(
            f"estimator must predict the {y.shape[1]} outputs of y for each of {len(y)} rows of "
            f"block {block}, got shape {out.shape}"
        )
    if not np.isfinite(out).all():
        raise ValueError(f"estimator predicts NaN or infinity in block {block}")
    return out


@dataclass(frozen=True)
class Summed:
    """Records of G groups that a pass has brought back.

    Parameters
    ----------
    kernel : that of the pass.
    labels : the groups.
    moments : of the groups.
    few : rows of the groups that are small.
    columns : those that the groups are from.
    """

    kernel: GroupSums
    labels: list[Any]
    moments: list[CentralMoments]
    few: list[Few]
    columns: GroupColumns

    @classmethod
    def of(cls, kernel: GroupSums, sums: Sums) -> Summed:
        """Read what a pass has brought back."""
        records: Any = sums.records
        labels = [label for name, label in records if name == "few"]
        if len(labels) > 1 and None in labels:
            raise ValueError("blocks must all have 'sensitive_features', or none of them")
        moments, few = ([records[name, own] for own in labels] for name in ("moments", "few"))
        columns = records.get(("columns", None), GroupColumns())
        return cls(kernel, labels, moments, few, columns)

    def grouped(self) -> tuple[Summed, Groups]:
        """Return the same in the order of the groups, and these."""
        n_rows = int(self.counts.sum())
        labels = merge_groups(self.labels, self.columns, n_rows).labels
        groups = merge_groups(labels, self.columns, n_rows)  # a row for each, in order
        order = [self.labels.index(label) for label in labels]
        moments, few = [self.moments[j] for j in order], [self.few[j] for j in order]
        return replace(self, labels=list(labels), moments=moments, few=few), groups

    @property
    def counts(self) -> Index:
        """Numbers of rows, (G,)."""
        return np.array([few.n_rows for few in self.few])

    def values(self) -> Array:
        """Return metrics of the groups and, last, of all rows, (n_metrics, G + 1)."""
        sums = np.stack([own.n_rows * own.mean for own in self.moments])[None]
        by_group, overall = self._evaluate(sums)
        out = np.column_stack([by_group[0].T, overall[0]])
        counts = np.append(self.counts, self.counts.sum())
        out[[m.aggregate is number for m in self.kernel.metrics.metrics]] = counts
        return out

    def sizes(self, single: bool) -> Sizes:
        """Return the sizes of the groups; ``single`` is True where y has one output."""
        own = np.array([[o.n_rows, o.weight, o.squared_weights] for o in self.moments])
        counts, weights, squares = np.vstack([own, own.sum(axis=0)]).T
        return Sizes.of_sums(counts, weights, squares, single)

    def replicates(self, rng: np.random.Generator, n_boot: int) -> Replicates:
        """Return metrics of bootstrap samples, drawn within the groups.

        Small groups come first, so that their samples are those of a report of them alone.
        """
        drawn = np.empty((n_boot, len(self.few), len(self.moments[0].mean)))
        small = [g for g, few in enumerate(self.few) if few.rows is not None]
        columns = [
            columns_about(*self.kernel.parts(*(self.few[g].rows or ())), self.moments[g].centre)
            for g in small
        ]
        start = 0
        for counts in draw_rows(rng, [len(own) for own in columns], n_boot) if small else ():
            batch = slice(start, start + len(counts[0]))
            start = batch.stop
            for g, times, own in zip(small, counts, columns, strict=True):
                drawn[batch, g] = times @ own
        usual = np.max([own.spread for own in self.moments], axis=0)
        for g in sorted({*range(len(self.few))} - {*small}):
            drawn[:, g] = draw_sums(self.moments[g], usual, rng, n_boot)
        drawn[drawn[..., 0] <= 0] = np.nan  # a sample without weight
        return Replicates(*self._evaluate(drawn))

    def _evaluate(self, sums: Array) -> tuple[Array, Array]:
        """Return metrics by group, (n, G, n_metrics), and over all rows, (n, n_metrics)."""
        kernel, metrics = self.kernel, self.kernel.metrics
        centres = np.stack([own.centre for own in self.moments])
        sums = kernel.restored(sums, centres)
        positive = [m.rows for m in metrics.metrics if m.is_error or m.aggregate is explained]
        where = [metrics.position[rows_of] for rows_of in positive]
        sums[..., where] = sums[..., where].clip(min=0.0)  # tails of normal numbers
        return metrics.evaluate(sums, centres[:, metrics.width - 1 :] * kernel.units.y)
