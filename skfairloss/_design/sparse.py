"""Products with a sparse X."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp

from skfairloss._cached import cached_property
from skfairloss._design.basis import Basis
from skfairloss._design.design import Design, Score
from skfairloss._design.rows import (
    DenseRows,
    Rows,
    sorted_by_group,
)
from skfairloss._design.sparse_rows import PlainRows, SparseGrams, SparseRows
from skfairloss._typing import Array, Index

# Squares of a column may be at most this multiple of those that centring leaves: hardly an entry of
# such a column is 0, so that its rows may as well be dense.
_CANCELLED = 1e4
# Rows of nearly collinear columns are dense in coordinates. Up to so many numbers, 128 MiB, they
# are kept: products that do not form them have other rounding errors than their Gram matrix.
_HELD = 2**24


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
        out = self.x.T @ u
        return np.asarray(out.toarray() if sp.issparse(out) else out)

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
        parts, sums = [], []
        for start in range(0, max(len(y), 1), self.block_size):
            rows = slice(start, min(start + self.block_size, len(y)))
            u, own = score(rows, residual[rows])
            parts.append(u)
            sums.append(own)
        u = sp.vstack(parts) if sp.issparse(parts[0]) else np.concatenate(parts)
        return residual, some.adjoint(u), np.sum(sums, axis=0)

    def gather(self, u: Callable[[slice], Array]) -> Array:
        columns = u(slice(0, self.shape[0])).T
        return np.column_stack([self.adjoint(np.ascontiguousarray(column)) for column in columns])

    def subset(self, index: Index) -> Design:
        return SparseDesign(self.x[index])

    def columns(self, index: Index) -> Design:
        return SparseDesign(self.x[:, index])

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
        out = second - shift - shift.T
        if (np.diag(second) > _CANCELLED * np.diag(out)).any():
            return super().moments(weights, center)
        return np.asarray(out)

    def grams_by_group(self, basis: Basis, weights: Array, codes: Index, n_groups: int) -> Array:
        index, ends = sorted_by_group(codes, n_groups)
        parts = np.split(index, ends[:-1])
        return np.array([self.rows(basis, part).gram(weights[part]) for part in parts])

    def block(self, rows: slice | Index) -> Array:
        return np.asarray(self.x[rows].toarray(), dtype=np.float64)

    def column(self, j: int) -> Array:
        x, out = self._by_column, np.zeros(self.shape[0])
        here = slice(x.indptr[j], x.indptr[j + 1])
        np.add.at(out, x.indices[here], x.data[here])
        return out

    @cached_property
    def _by_column(self) -> Any:
        """The same in CSC format."""
        return self.x.tocsc()

    def rows(self, basis: Basis, index: Index | None = None) -> Rows:
        matrix = (self.x if index is None else self.x[index]).astype(np.float64, copy=False)
        if basis.plain is not None:
            return PlainRows(matrix, basis)
        rows = SparseRows(matrix, basis)
        if rows.moments_serve or matrix.shape[0] * basis.n_coordinates > _HELD:
            return rows
        return DenseRows(rows.take(np.arange(matrix.shape[0])))
