"""Sparse rows in the coordinates of a basis, and their Gram matrices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp

from skfairloss._cached import cached_property
from skfairloss._design.basis import Basis
from skfairloss._design.rows import _FULL, _KEPT, _PRODUCTS, _WIDE, Membership, Rows, pieces_of
from skfairloss._typing import Array, Index

# Coordinates may multiply rounding errors of moments by at most this: from 1e5 on kinks are missed
# under an L1 penalty; sparse columns at random are at 1 to 2e3.
_AMPLIFIED = 1e4


class SparseRows(Rows):
    """Sparse rows of X behind a basis: [(X - 1 x̄ᵀ) T, 1] without ever forming it."""

    def __init__(self, matrix: Any, basis: Basis) -> None:
        self.matrix = matrix
        self.basis = basis
        self.n_rows = matrix.shape[0]
        self.n_columns = basis.n_coordinates

    def dot(self, theta: Array) -> Array:
        coef, intercept = self.basis.to_model(theta)
        return self.matrix @ coef + intercept

    def adjoint(self, a: Array) -> Array:
        return self.basis.pull_back(self.matrix.T @ a, a.sum(axis=0))

    def adjoint_by_group(self, a: Array, groups: Membership) -> Array:
        sums = groups.sums(a, self.matrix).toarray()
        return self.basis.pull_back(sums.T, groups.totals(a)).T

    def gram(self, d: Array) -> Array:
        basis = self.basis
        if not self.moments_serve:
            return self._gram_in_coordinates(d)
        second, first, total = centred_gram(SparseGrams(self.matrix), d, basis.center)
        gram = basis.transform.T @ second @ basis.transform
        return _bordered(gram, basis.transform.T @ first, total) if basis.fit_intercept else gram

    @cached_property
    def moments_serve(self) -> bool:
        """True where coordinates leave the moments of the columns enough of their digits."""
        return self.basis.amplification(0.0) <= _AMPLIFIED

    def _gram_in_coordinates(self, d: Array) -> Array:
        """Aᵀ diag(d) A from the rows A themselves, a piece of them at a time."""
        out, root = np.zeros((self.n_columns, self.n_columns)), np.sqrt(d)[:, None]
        for piece in pieces_of(self.n_rows, self.matrix.shape[1]):
            scaled = self.basis.coordinates(self.matrix[piece].toarray()) * root[piece]
            out += scaled.T @ scaled
        return out

    def take(self, index: Index) -> Array:
        return self.basis.coordinates(self.matrix[index].toarray())

    def subset(self, index: Index) -> Rows:
        return SparseRows(self.matrix[index], self.basis)


class PlainRows(SparseRows):
    """Sparse rows of X behind a plain basis: its columns are picked where products need them."""

    @cached_property
    def _picked(self) -> SparseGrams:
        """The picked columns, scaled."""
        assert self.basis.plain is not None
        x, (columns, scale) = self.matrix, self.basis.plain
        place, factor = np.full(x.shape[1], -1, dtype=np.int32), np.zeros(x.shape[1])
        place[columns], factor[columns] = np.arange(len(columns)), 1.0 / scale
        index = place[x.indices]
        kept = index >= 0
        starts = np.concatenate([[0], np.cumsum(kept)])[x.indptr]
        parts = (x.data * factor[x.indices])[kept], index[kept], starts
        return SparseGrams(sp.csr_array(parts, shape=(x.shape[0], len(columns))))

    @cached_property
    def _center(self) -> Array:
        """The centre of each column, in units of its scale."""
        assert self.basis.plain is not None
        columns, scale = self.basis.plain
        return np.asarray(self.basis.center[columns] / scale)

    def gram(self, d: Array) -> Array:
        if not self.basis.fit_intercept:
            return self._picked.gram(d)
        return _bordered(*centred_gram(self._picked, d, self._center))

    def take(self, index: Index) -> Array:
        block = self._picked.matrix[index].toarray() - self._center
        return np.hstack([block, np.ones((len(block), 1))]) if self.basis.fit_intercept else block

    def subset(self, index: Index) -> Rows:
        return PlainRows(self.matrix[index], self.basis)


def centred_gram(grams: SparseGrams, d: Array, center: Array) -> tuple[Array, Array, float]:
    """Σ d_i z_i z_iᵀ, Σ d_i z_i and Σ d_i for z_i = x_i - center."""
    first, total = grams.matrix.T @ d, float(d.sum())
    half = grams.half(d)
    half -= np.outer(first - 0.5 * total * center, center)
    half += half.T
    return half, first - total * center, total


def _bordered(gram: Array, first: Array, total: float) -> Array:
    """Return the Gram matrix with the intercept's coordinate as its last row and column."""
    k = len(gram)
    out = np.empty((k + 1, k + 1))
    out[:k, :k] = gram
    out[:k, k] = out[k, :k] = first
    out[k, k] = total
    return out


class SparseGrams:
    """Xᵀ diag(d) X for one CSR X of float64 and any d >= 0, shape (p, p).

    A row of k entries adds k (k + 1) / 2 products to one triangle; a general product of sparse
    matrices visits every row once for each of its entries. Rows with so many entries that this is
    no gain are made dense, a block at a time. Products of few rows are kept for the next d.
    """

    def __init__(self, matrix: Any) -> None:
        self.matrix = matrix
        self._counts = np.diff(matrix.indptr)
        self._again = False
        self._kept: tuple[Any, list[tuple[Index, Array, Array]]] | None = None

    def gram(self, d: Array) -> Array:
        """Xᵀ diag(d) X."""
        half = self.half(d)
        half += half.T
        return half

    def half(self, d: Array) -> Array:
        """Return a matrix, (p, p), whose sum with its transpose is Xᵀ diag(d) X."""
        x, p = self.matrix, self.matrix.shape[1]
        if p > _WIDE:
            return np.asarray((x.T @ x.multiply(0.5 * d[:, None]).tocsr()).toarray())
        if self._again and self._kept is None:
            self._kept = self._keep()
        self._again = True
        if self._kept is not None:
            place, parts = self._kept
            for rows, products, scaled in parts:
                np.multiply(products, d[rows], out=scaled)
            out = np.asarray(place.toarray())
        else:
            out = np.zeros((p, p))
            for rows, k in self._pieces():
                products, *at = _products(x, rows, k, d[rows])
                out += sp.coo_array((products, tuple(at)), shape=(p, p)).toarray()
        full = np.flatnonzero(_FULL * self._counts > p)
        for rows in _split(full, max(_PRODUCTS // max(p, 1), 2 * p)):
            block = x[rows].toarray()
            block *= np.sqrt(0.5 * d[rows])[:, None]
            out += block.T @ block
        return out

    def _pieces(self) -> Iterator[tuple[Index, int]]:
        """Yield the rows taken as sparse, those with the same number of entries at a time."""
        counts = self._counts
        present = np.flatnonzero(np.bincount(counts))
        for k in map(int, present[(present > 0) & (_FULL * present <= self.matrix.shape[1])]):
            index = np.flatnonzero(counts == k) if len(present) > 1 else np.arange(len(counts))
            for rows in _split(index, _PRODUCTS // k**2):
                yield rows, k

    def _keep(self) -> tuple[Any, list[tuple[Index, Array, Array]]] | None:
        """All products as one sparse matrix, None if they are too many.

        And its parts: rows, products for d = 1, and where those for any d go.
        """
        x, p, counts = self.matrix, self.matrix.shape[1], self._counts
        sparse = counts[_FULL * counts <= p]
        size = int(sparse @ (sparse + 1)) // 2
        if size > _KEPT:
            return None
        data, at = np.empty(size), np.empty((2, size), dtype=np.int32)
        parts, start = [], 0
        for rows, k in self._pieces():
            here = slice(start, start + len(rows) * k * (k + 1) // 2)
            products, at[0, here], at[1, here] = _products(x, rows, k)
            shape = -1, len(rows)
            parts.append((rows, products.reshape(shape), data[here].reshape(shape)))
            start = here.stop
        place = sp.coo_array((data, (at[0], at[1])), shape=(p, p))
        place.data = data
        return place, parts


def _split(index: Index, size: int) -> Iterator[Index]:
    """Return pieces of the index from left to right, of ``size`` entries (at least one)."""
    step = max(1, size)
    return (index[start : start + step] for start in range(0, len(index), step))


def _products(x: Any, rows: Index, k: int, d: Array | None = None) -> tuple[Array, Any, Any]:
    """d_i x_ia x_ib, a and b, for one of (a, b) and (b, a), half of (a, a): rows of k entries."""
    m, pairs = len(rows), k * (k + 1) // 2
    starts = x.indptr[rows]
    if starts[-1] - starts[0] == (m - 1) * k:  # one after the other
        at: Any = slice(starts[0], starts[0] + m * k)
    else:
        at = (starts[:, None] + np.arange(k)).ravel()
    columns = np.ascontiguousarray(x.indices[at].reshape(m, k).T, dtype=np.int32)
    values = np.ascontiguousarray(x.data[at].reshape(m, k).T)
    weighted = values if d is None else values * d
    first, second = np.empty((2, pairs, m), dtype=np.int32)
    product = np.empty((pairs, m))
    start = 0
    for apart in range(k):  # places between the two entries in their row
        here = slice(start, start + k - apart)
        first[here], second[here] = columns[: k - apart], columns[apart:]
        np.multiply(weighted[: k - apart], values[apart:], out=product[here])
        start = here.stop
    product[:k] *= 0.5
    return product.ravel(), first.ravel(), second.ravel()
