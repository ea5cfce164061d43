"""Products with a dense X, a block of rows at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from skfairloss._design.basis import Basis
from skfairloss._design.design import SOME, Design, Score
from skfairloss._design.moments import GroupMoments
from skfairloss._design.rows import (
    DenseRows,
    Rows,
    pieces_of,
    room_for,
    sorted_by_group,
    take_rows,
)
from skfairloss._design.threads import Room, added, over_runs
from skfairloss._typing import Array, Index

_NEAR = 10.0  # means of columns, relative to their spread, that cost a Gram matrix no digits


class DenseDesign(Design):
    """A NumPy array of any memory order; what is not float64 is read as such block by block.

    With ``absolute`` it stands for |X|, with ``kept`` for these rows of it, which are not copied.
    """

    block_size = 2**18  # stays in cache, and is large enough for single calls not to count

    def __init__(self, x: Array, absolute: bool = False, kept: Index | None = None) -> None:
        self.x = x
        self.shape = x.shape if kept is None else (len(kept), x.shape[1])
        self._absolute = absolute
        self._kept = kept
        # BLAS takes no odd addresses, which rows have that came over a wire or from within a file
        self._float64 = x.dtype == np.float64 and x.flags.aligned and not absolute

    def predict(self, coef: Array, intercept: Array | float) -> Array:
        out = np.empty((self.shape[0], *coef.shape[1:]))

        def part(run: list[slice]) -> None:
            for rows in run:
                here = out[rows]
                np.matmul(self.block(rows), coef, out=here)
                here += intercept

        over_runs(self.slices(len(out)), self.shape[1], part)
        return out

    def adjoint(self, u: Array) -> Array:
        return self.gather(lambda rows: u[rows])

    def sweep(
        self,
        y: Array,
        coef: Array,
        intercept: Array | float,
        score: Score,
        index: Index | None = None,
    ) -> tuple[Array, Array, Array]:
        residual, p = np.empty(y.shape), self.shape[1]
        pieces = self.slices(len(y)) if index is None else pieces_of(len(y), p)
        room = Room((pieces[0].stop, p))

        def some(rows: slice) -> Array:
            return self.block(rows) if index is None else self.take(index[rows], *room.arrays())

        def part(run: list[slice]) -> list[Array]:
            adjoint: Array | float = 0.0
            sums: Array | float = 0.0
            for rows in run:
                block, r = some(rows), residual[rows]
                np.matmul(block, coef, out=r)
                r += intercept
                np.subtract(y[rows], r, out=r)
                u, own = score(rows, r)
                adjoint += block.T @ u
                sums += own
            return [np.asarray(adjoint), np.asarray(sums)]

        adjoint, sums = added(over_runs(pieces, p, part))
        return residual, adjoint, sums

    def gather(self, u: Callable[[slice], Array]) -> Array:
        def part(run: list[slice]) -> list[Array]:
            out: Array | float = 0.0
            for rows in run:
                out += self.block(rows).T @ u(rows)
            return [np.asarray(out)]

        [out] = added(over_runs(self.slices(self.shape[0]), self.shape[1], part))
        return out

    def subset(self, index: Index) -> Design:
        return DenseDesign(take_rows(self.x, self._place(index)), absolute=self._absolute)

    def columns(self, index: Index) -> Design:
        return DenseDesign(self.x[:, index], self._absolute, self._kept)

    def absolute(self) -> Design:
        return DenseDesign(self.x, absolute=True, kept=self._kept)

    def moments(self, weights: Array, center: Array) -> Array:
        if not self._near_zero(weights, center):
            return super().moments(weights, center)
        p = self.shape[1]

        def part(run: list[slice]) -> list[Array]:
            out = np.zeros((p, p))
            for rows in run:
                block = self.block(rows)
                out += block.T @ block
            return [out]

        [whole] = added(over_runs(self.slices(self.shape[0]), p, part, p * p))
        return weights[0] * whole - np.outer(center, center)

    def grams_by_group(self, basis: Basis, weights: Array, codes: Index, n_groups: int) -> Array:
        d, p = basis.n_coordinates, self.shape[1]
        room = Room((self._step, p), (self._step, d), (self._step, d))

        def add(run: list[slice]) -> list[Array]:
            out = np.zeros((n_groups, d, d))
            centred, scaled, ordered = room.arrays()
            for rows in run:
                block, index = self.block(rows), sorted_by_group(codes[rows], n_groups)
                k = len(block)
                basis.coordinates(block, centred[:k], scaled[:k])
                scaled[:k] *= np.sqrt(weights[rows])[:, None]
                np.take(scaled[:k], index[0], axis=0, out=ordered[:k])
                for g, part in enumerate(np.split(ordered[:k], index[1][:-1])):
                    if len(part):
                        out[g] += part.T @ part
            return [out]

        [grams] = added(over_runs(self.slices(len(codes)), p, add, n_groups * d * d))
        return grams

    def group_moments(
        self,
        y: Array,
        weights: Array,
        codes: Index,
        n_groups: int,
        origin: tuple[Array, Array] | None = None,
        products: bool = True,
    ) -> GroupMoments:
        """Moments of each group in one pass, around an origin; around 0 where it is None.

        Without ``products`` those of columns with columns and with y are left at 0.
        """
        p, m = self.shape[1], y.shape[1]
        origin = (np.zeros(p), np.zeros(m)) if origin is None else origin
        equal, moved = bool(weights.max() == weights.min()), bool(origin[0].any())
        order, ends = None, np.array([len(y)])
        if n_groups > 1:
            order, ends = sorted_by_group(codes, n_groups)
        room = Room((self._step, p))

        def add(run: list[slice]) -> list[Array]:
            first, targets, squares = (np.zeros((n_groups, width)) for width in (p, m, m))
            second, cross = np.zeros((n_groups, p, p)), np.zeros((n_groups, p, m))
            for piece in run:
                g, work = np.searchsorted(ends, piece.start, side="right"), room.arrays()[0]
                rows = piece if order is None else order[piece]
                block = self.block(piece) if order is None else self.take(order[piece], work)
                e, work = y[rows] - origin[1], work[: len(block)]
                z = np.subtract(block, origin[0], out=work) if moved else block
                v = np.ones(len(z)) if equal else weights[rows]
                weighted = e if equal else v[:, None] * e
                first[g] += v @ z
                targets[g] += v @ e
                for k in range(m):
                    squares[g, k] += weighted[:, k] @ e[:, k]
                if not products:
                    continue
                for k in range(m):
                    cross[g, :, k] += weighted[:, k] @ z
                scaled = z if equal else np.multiply(z, np.sqrt(v)[:, None], out=work)
                second[g] += scaled.T @ scaled
            return [first, second, cross, targets, squares]

        starts = np.append(0, ends[:-1])
        parts = zip(starts.tolist(), ends.tolist(), strict=True)
        pieces = [
            slice(start + at.start, start + at.stop)
            for start, end in parts
            for at in self.slices(end - start)
        ]
        sums = added(over_runs(pieces, p, add, n_groups * p * (p + m)))
        if equal:  # sums of indicators are then counts, without rounding
            sums = [weights[0] * each for each in sums]
        totals = weights.sum(keepdims=True)
        if n_groups > 1:
            totals = np.bincount(codes, weights, n_groups)
        return GroupMoments(origin, totals, *sums)

    def take(self, index: Index, room: Array) -> Array:
        """Return the rows, put into ``room`` if they fit: fresh arrays cost more than products."""
        if not (self._float64 and self.x.flags.c_contiguous):  # `take` would copy all of X
            return self.block(index)
        return np.take(self.x, self._place(index), axis=0, out=room[: len(index)], mode="clip")

    def origin(self, y: Array) -> tuple[Array, Array]:
        """Return the means of some rows of X, 0 where all are near it, and of y."""
        some = slice(0, None, max(1, self.shape[0] // SOME))
        block = self.block(some)
        means = block.mean(axis=0)
        near = (np.abs(means) <= _NEAR * block.std(axis=0)).all()
        return np.zeros_like(means) if near else means, y[some].mean(axis=0)

    def _near_zero(self, weights: Array, center: Array) -> bool:
        """Return True where rows of one weight need no centring one by one, by a first block."""
        if len(weights) < 2 * self._step or weights.max() != weights.min():
            return False
        first = self.block(slice(0, len(weights), len(weights) // self._step))
        return bool((np.abs(center) <= _NEAR * first.std(axis=0)).all())

    def block(self, rows: slice | Index) -> Array:
        rows = self._place(rows)
        some = self.x[rows] if isinstance(rows, slice) else take_rows(self.x, rows)
        block = np.require(some, np.float64, ["ALIGNED"])
        return np.abs(block) if self._absolute else block

    def _place(self, rows: Any) -> Any:
        """Return where rows, a slice or an index, are in ``x``."""
        return rows if self._kept is None else self._kept[rows]

    def column(self, j: int) -> Array:
        out = np.asarray(self.x[self._place(slice(None)), j], dtype=np.float64)
        return np.abs(out) if self._absolute else out

    def rows(self, basis: Basis, index: Index | None = None) -> Rows:
        n, p = (self.shape[0] if index is None else len(index)), self.shape[1]
        out, pieces = np.empty((n, basis.n_coordinates)), pieces_of(n, p)
        room = room_for(pieces, p)
        for piece in pieces:
            work = room[: piece.stop - piece.start]
            block = self.block(piece) if index is None else self.take(index[piece], work)
            basis.coordinates(block, work, out[piece])
        return DenseRows(out)


class Coordinates(DenseDesign):
    """Rows that are in the coordinates of a basis already: they are not copied."""

    def rows(self, basis: Basis, index: Index | None = None) -> Rows:  # noqa: ARG002  (it is done)
        return DenseRows(self.x if index is None else take_rows(self.x, index))
