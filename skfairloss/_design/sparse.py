"""Products with a sparse X."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from skfairloss._design.basis import Basis
from skfairloss._design.design import Design, Score
from skfairloss._design.rows import (
    Rows,
    sorted_by_group,
)
from skfairloss._design.sparse_rows import PlainRows, SparseGrams, SparseRows
from skfairloss._typing import Array, Index


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
