"""The design matrix: the only code that touches X.

`DenseDesign` and `SparseDesign` offer the few products that solvers and the certificate need; X is
read in blocks of rows, and nothing of its size is ever copied.

Conventions: n rows, p features, m outputs; ``coef`` is (p, m); ``weights`` are positive and sum
to 1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp

from skfairloss._basis import Basis
from skfairloss._moments import GroupMoments
from skfairloss._rows import (
    DenseRows,
    Membership,
    PlainRows,
    Rows,
    Slopes,
    SparseGrams,
    SparseRows,
    pieces_of,
    room_for,
    take_rows,
)
from skfairloss._typing import Array, Index

Score = Callable[[slice, Array], tuple[Array, Array]]
_SOME = 500  # rows that tell where the columns are, before their means are known
_NEAR = 10.0  # means of columns, relative to their spread, that cost a Gram matrix no digits


class Design(ABC):
    """X behind the products that solvers and the certificate need."""

    shape: tuple[int, int]
    block_size = 2**17  # numbers in a block of rows: 1 MiB
    sparse = False

    @abstractmethod
    def predict(self, coef: Array, intercept: Array | float) -> Array:
        """X coef + intercept for coef of shape (p,) or (p, m)."""

    @abstractmethod
    def adjoint(self, u: Array) -> Array:
        """Xᵀ u for u of shape (n,) or (n, m)."""

    @abstractmethod
    def sweep(
        self,
        y: Array,
        coef: Array,
        intercept: Array | float,
        score: Score,
        index: Index | None = None,
    ) -> tuple[Array, Array, Array]:
        """Residuals r = y - X coef - intercept, and the sums of Xᵀ u and s over blocks of rows.

        (u, s) = score(rows, r[rows]), s an array of any shape.
        One pass over X serves all; y is (n,) or (n, m). With ``index`` the rows are those alone, y,
        r and ``rows`` their own.
        """

    @abstractmethod
    def gather(self, u: Callable[[slice], Array]) -> Array:
        """Xᵀ u for u(rows) of shape (len(rows), width), made for a block of rows at a time."""

    @abstractmethod
    def subset(self, index: Index) -> Design:
        """Copy a few rows into a design of their own."""

    @abstractmethod
    def absolute(self) -> Design:
        """Return the design of |X|, which bounds the rounding errors of the products above."""

    @abstractmethod
    def moments(self, weights: Array, center: Array) -> Array:
        """Return the weighted second moments of the columns around ``center``, (p, p)."""

    def sums_by_group(self, weights: Array, codes: Index, n_groups: int) -> Array:
        """Weighted sums of the rows of each group, shape (n_groups, p)."""
        out = np.zeros((n_groups, self.shape[1]))
        for rows, block in self.blocks():
            out += Membership(codes[rows], n_groups).sums(weights[rows], block)
        return out

    def sweep_by_group(
        self, y: Array, coef: Array, intercept: Array, slopes: Slopes, groups: Membership
    ) -> tuple[Array, Array, Array]:
        """Return r = y - X coef - intercept, (n, 1), Σ a_i x_i (G, p) and Σ a_i (G,) by group.

        a = slopes(rows, r[rows]), (k, 1), is asked for a block of rows at a time.
        """
        residual = y - self.predict(coef, intercept)
        a = slopes(slice(0, len(y)), residual)[:, 0]
        sums = self.sums_by_group(a, groups.codes, groups.n_groups)
        return residual, sums, groups.totals(a)

    @abstractmethod
    def grams_by_group(self, basis: Basis, weights: Array, codes: Index, n_groups: int) -> Array:
        """Weighted Gram matrix of each group's rows in the coordinates of ``basis``."""

    @abstractmethod
    def block(self, rows: slice | Index) -> Array:
        """Return a few rows of X as a float64 array."""

    @abstractmethod
    def rows(self, basis: Basis, index: Index | None = None) -> Rows:
        """Rows (all of them when index is None) in the coordinates of ``basis``."""

    def blocks(self) -> Iterator[tuple[slice, Array]]:
        """X from top to bottom, a block of rows at a time."""
        for rows in self.slices(self.shape[0]):
            yield rows, self.block(rows)

    def slices(self, n: int) -> list[slice]:
        """Return the slices of n rows that are read at a time."""
        step = self._step
        return [slice(start, min(start + step, n)) for start in range(0, n, step)]

    @property
    def blas_size(self) -> int:
        """Numbers that products of matrices with BLAS go through."""
        return int(np.prod(self.shape))

    @property
    def _step(self) -> int:
        """Rows in a block."""
        n, p = self.shape
        return min(n, max(self.block_size // max(p, 1), 2 * p, 64))


class DenseDesign(Design):
    """A NumPy array of any memory order; float32 stays float32 and is read block by block.

    With ``absolute`` it stands for |X|.
    """

    block_size = 2**18  # stays in cache, and is large enough for single calls not to count

    def __init__(self, x: Array, absolute: bool = False) -> None:
        self.x = x
        self.shape = x.shape
        self._absolute = absolute
        self._as_is = x.dtype == np.float64 and not absolute

    def predict(self, coef: Array, intercept: Array | float) -> Array:
        if self._as_is:
            out = self.x @ coef
            out += intercept
            return out
        out = np.empty((self.shape[0], *coef.shape[1:]))
        for rows, block in self.blocks():
            out[rows] = block @ coef + intercept
        return out

    def adjoint(self, u: Array) -> Array:
        if self._as_is:
            return self.x.T @ u
        return self.gather(lambda rows: u[rows])

    def sweep(
        self,
        y: Array,
        coef: Array,
        intercept: Array | float,
        score: Score,
        index: Index | None = None,
    ) -> tuple[Array, Array, Array]:
        residual = np.empty(y.shape)
        adjoint: Array | float = 0.0
        sums: Array | float = 0.0
        pieces = self.slices(len(y)) if index is None else pieces_of(len(y), self.shape[1])
        room = room_for([] if index is None else pieces, self.shape[1])
        for rows in pieces:
            block = self.block(rows) if index is None else self.take(index[rows], room)
            r = residual[rows]
            np.matmul(block, coef, out=r)
            r += intercept
            np.subtract(y[rows], r, out=r)
            u, own = score(rows, r)
            adjoint += block.T @ u
            sums += own
        return residual, np.asarray(adjoint), np.asarray(sums)

    def sweep_by_group(
        self, y: Array, coef: Array, intercept: Array, slopes: Slopes, groups: Membership
    ) -> tuple[Array, Array, Array]:
        residual, n_groups = np.empty(y.shape), groups.n_groups
        sums, totals = np.zeros((n_groups, self.shape[1])), np.zeros(n_groups)
        for rows, block in self.blocks():
            r = residual[rows]
            np.matmul(block, coef, out=r)
            r += intercept
            np.subtract(y[rows], r, out=r)
            own, a = Membership(groups.codes[rows], n_groups), slopes(rows, r)[:, 0]
            sums += own.sums(a, block)
            totals += own.totals(a)
        return residual, sums, totals

    def gather(self, u: Callable[[slice], Array]) -> Array:
        out: Array | float = 0.0
        for rows, block in self.blocks():
            out += block.T @ u(rows)
        return np.asarray(out)

    def subset(self, index: Index) -> Design:
        return DenseDesign(take_rows(self.x, index), absolute=self._absolute)

    def absolute(self) -> Design:
        return DenseDesign(self.x, absolute=True)

    def moments(self, weights: Array, center: Array) -> Array:
        out = np.zeros((self.shape[1], self.shape[1]))
        if self._near_zero(weights, center):
            for _, block in self.blocks():
                out += block.T @ block
            return weights[0] * out - np.outer(center, center)
        work = np.empty((self._step, self.shape[1]))
        for rows, block in self.blocks():
            scaled = np.subtract(block, center, out=work[: len(block)])
            scaled *= np.sqrt(weights[rows])[:, None]
            out += scaled.T @ scaled
        return out

    def grams_by_group(self, basis: Basis, weights: Array, codes: Index, n_groups: int) -> Array:
        d = basis.n_coordinates
        out = np.zeros((n_groups, d, d))
        # fresh arrays of this size cost more than the products
        centred, scaled, ordered = (
            np.empty((self._step, width)) for width in (self.shape[1], d, d)
        )
        for rows, block in self.blocks():
            k, index = len(block), sorted_by_group(codes[rows], n_groups)
            basis.coordinates(block, centred[:k], scaled[:k])
            scaled[:k] *= np.sqrt(weights[rows])[:, None]
            np.take(scaled[:k], index[0], axis=0, out=ordered[:k])
            for g, part in enumerate(np.split(ordered[:k], index[1][:-1])):
                if len(part):
                    out[g] += part.T @ part
        return out

    def group_moments(
        self, y: Array, weights: Array, codes: Index, n_groups: int, centred: bool
    ) -> GroupMoments:
        """Moments of each group in one pass, around 0 unless ``centred``."""
        p, m = self.shape[1], y.shape[1]
        origin = self._origin(y) if centred else (np.zeros(p), np.zeros(m))
        first, targets, squares = (np.zeros((n_groups, width)) for width in (p, m, m))
        second, cross = np.zeros((n_groups, p, p)), np.zeros((n_groups, p, m))
        equal = bool(weights.max() == weights.min())
        room = np.empty((self._step, p))
        for g, rows, block in self._group_blocks(codes, n_groups, room):
            e, work = y[rows] - origin[1], room[: len(block)]
            z = np.subtract(block, origin[0], out=work) if origin[0].any() else block
            v = np.ones(len(z)) if equal else weights[rows]
            weighted = e if equal else v[:, None] * e
            first[g] += v @ z
            targets[g] += v @ e
            for k in range(m):
                cross[g, :, k] += weighted[:, k] @ z
                squares[g, k] += weighted[:, k] @ e[:, k]
            scaled = z if equal else np.multiply(z, np.sqrt(v)[:, None], out=work)
            second[g] += scaled.T @ scaled
        if equal:  # sums of indicators are then counts, without rounding
            first, second, cross, targets, squares = (
                weights[0] * sums for sums in (first, second, cross, targets, squares)
            )
        whole = n_groups == 1
        totals = np.full(1, weights.sum()) if whole else np.bincount(codes, weights, n_groups)
        return GroupMoments(origin, totals, first, second, cross, targets, squares)

    def _group_blocks(
        self, codes: Index, n_groups: int, room: Array
    ) -> Iterator[tuple[int, slice | Index, Array]]:
        """Group, positions and rows of each group's blocks, in room to work in where copied."""
        if n_groups == 1:
            yield from ((0, rows, block) for rows, block in self.blocks())
            return
        order, ends = sorted_by_group(codes, n_groups)
        for g, part in enumerate(np.split(order, ends[:-1])):
            for start in range(0, len(part), len(room)):
                index = part[start : start + len(room)]
                yield g, index, self.take(index, room)

    def take(self, index: Index, room: Array) -> Array:
        """Return the rows, put into ``room`` if they fit: fresh arrays cost more than products."""
        if not (self._as_is and self.x.flags.c_contiguous):  # `take` would copy all of X
            return self.block(index)
        return np.take(self.x, index, axis=0, out=room[: len(index)], mode="clip")

    def _origin(self, y: Array) -> tuple[Array, Array]:
        """Means of some rows of X, 0 where all are near it, and of y."""
        some = slice(0, None, max(1, self.shape[0] // _SOME))
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
        some = self.x[rows] if isinstance(rows, slice) else take_rows(self.x, rows)
        block = np.asarray(some, dtype=np.float64)
        return np.abs(block) if self._absolute else block

    def rows(self, basis: Basis, index: Index | None = None) -> Rows:
        n, p = (self.shape[0] if index is None else len(index)), self.shape[1]
        out, pieces = np.empty((n, basis.n_coordinates)), pieces_of(n, p)
        room = room_for(pieces, p)
        for piece in pieces:
            work = room[: piece.stop - piece.start]
            block = self.block(piece) if index is None else self.take(index[piece], work)
            basis.coordinates(block, work, out[piece])
        return DenseRows(out)


class SparseDesign(Design):
    """A CSR matrix or array; dense only in blocks of rows no larger than a Gram matrix."""

    sparse = True

    def __init__(self, x: Any) -> None:
        self.x = x.tocsr()
        self.shape = x.shape

    @property
    def blas_size(self) -> int:
        return self.shape[1] ** 2  # products with X itself are not those of BLAS

    def predict(self, coef: Array, intercept: Array | float) -> Array:
        out = np.asarray(self.x @ coef)
        out += intercept
        return out

    def adjoint(self, u: Array) -> Array:
        return self.x.T @ u

    def sweep(
        self,
        y: Array,
        coef: Array,
        intercept: Array | float,
        score: Score,
        index: Index | None = None,
    ) -> tuple[Array, Array, Array]:
        some = self if index is None else SparseDesign(self.x[index])
        residual = some.predict(coef, intercept)
        np.subtract(y, residual, out=residual)
        u, sums = np.empty_like(residual), []
        for start in range(0, max(len(y), 1), self.block_size):
            rows = slice(start, min(start + self.block_size, len(y)))
            u[rows], own = score(rows, residual[rows])
            sums.append(own)
        return residual, some.adjoint(u), np.sum(sums, axis=0)

    def gather(self, u: Callable[[slice], Array]) -> Array:
        columns = u(slice(0, self.shape[0])).T
        return np.column_stack([self.adjoint(np.ascontiguousarray(column)) for column in columns])

    def subset(self, index: Index) -> Design:
        return SparseDesign(self.x[index])

    def absolute(self) -> Design:
        return SparseDesign(abs(self.x))

    def moments(self, weights: Array, center: Array) -> Array:
        x = self.x.astype(np.float64, copy=False)
        if weights.max() == weights.min():  # sums of indicators are then counts, without rounding
            second, first = SparseGrams(x).gram(np.ones(len(weights))), x.T @ np.ones(len(weights))
            second, first = weights[0] * second, weights[0] * first
        else:
            second, first = SparseGrams(x).gram(weights), x.T @ weights
        shift = np.outer(first - 0.5 * weights.sum() * center, center)
        return second - shift - shift.T

    def grams_by_group(self, basis: Basis, weights: Array, codes: Index, n_groups: int) -> Array:
        index, ends = sorted_by_group(codes, n_groups)
        parts = np.split(index, ends[:-1])
        return np.array([self.rows(basis, part).gram(weights[part]) for part in parts])

    def block(self, rows: slice | Index) -> Array:
        return np.asarray(self.x[rows].toarray(), dtype=np.float64)

    def rows(self, basis: Basis, index: Index | None = None) -> Rows:
        matrix = (self.x if index is None else self.x[index]).astype(np.float64, copy=False)
        kind = SparseRows if basis.plain is None else PlainRows
        return kind(matrix, basis)


class DesignRows(Rows):
    """All rows of a design in the coordinates of a basis, through X itself: nothing is held."""

    def __init__(self, design: Design, basis: Basis) -> None:
        self.design, self.basis = design, basis
        self.n_rows, self.n_columns = design.shape[0], basis.n_coordinates

    def dot(self, theta: Array) -> Array:
        return self.design.predict(*self.basis.to_model(theta))

    def adjoint(self, a: Array) -> Array:
        return self.basis.pull_back(self.design.adjoint(a), a.sum(axis=0))

    def adjoint_by_group(self, a: Array, groups: Membership) -> Array:
        sums = self.design.sums_by_group(a, groups.codes, groups.n_groups)
        return self.basis.pull_back(sums.T, groups.totals(a)).T

    def sweep_by_group(
        self, residual: Array, theta: Array, slopes: Slopes, groups: Membership
    ) -> tuple[Array, Array]:
        coef, intercept = self.basis.to_model(theta)
        r, sums, totals = self.design.sweep_by_group(residual, coef, intercept, slopes, groups)
        return r, self.basis.pull_back(sums.T, totals).T

    def gram(self, d: Array) -> Array:
        out = np.zeros((self.n_columns, self.n_columns))
        for rows, block in self.design.blocks():
            scaled = self.basis.coordinates(block) * np.sqrt(d[rows])[:, None]
            out += scaled.T @ scaled
        return out

    def take(self, index: Index) -> Array:
        return self.basis.coordinates(self.design.block(index))

    def subset(self, index: Index) -> Rows:
        return self.design.rows(self.basis, index)


def sorted_by_group(codes: Index, n_groups: int) -> tuple[Index, Index]:
    """Positions of the rows group by group, and where each group ends, (n_groups,)."""
    small = codes
    if n_groups <= 2**16:  # radix sort
        small = codes.astype(np.uint8 if n_groups <= 2**8 else np.uint16)
    return np.argsort(small, kind="stable"), np.cumsum(np.bincount(codes, minlength=n_groups))


def make_design(x: Any) -> Design:
    """Wrap a validated X, dense or sparse."""
    return SparseDesign(x) if sp.issparse(x) else DenseDesign(x)
