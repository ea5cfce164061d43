"""Rows of a design in the coordinates of a `Basis`: all that an interior-point iteration needs.

A stands for the rows as a matrix, θ for coordinates.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import scipy.sparse as sp

from skfairloss._basis import Basis
from skfairloss._typing import Array, Index


class Rows(ABC):
    """Rows of a design in basis coordinates: what an interior-point iteration needs of them."""

    n_rows: int
    n_columns: int

    @abstractmethod
    def dot(self, theta: Array) -> Array:
        """A θ, shape (n_rows,)."""

    @abstractmethod
    def adjoint(self, a: Array) -> Array:
        """Aᵀ a, shape (n_columns,)."""

    @abstractmethod
    def adjoint_by_group(self, a: Array, groups: Membership) -> Array:
        """Σ of a_i A_i over the rows i of each group, shape (n_groups, n_columns)."""

    @abstractmethod
    def gram(self, d: Array) -> Array:
        """Aᵀ diag(d) A, shape (n_columns, n_columns)."""

    @abstractmethod
    def take(self, index: Index) -> Array:
        """The named rows as an array, shape (len(index), n_columns)."""

    def subset(self, index: Index) -> Rows:
        """The named rows."""
        return DenseRows(self.take(index))


class Membership:
    """The group of each row, for sums over the rows of each group."""

    def __init__(self, codes: Index, n_groups: int) -> None:
        self.codes, self.n_groups = codes, n_groups
        self._matrix: Any = None

    def sums(self, a: Array, x: Any) -> Any:
        """Σ of a_i x_i over the rows i of each group, (n_groups, k), for x of shape (n_rows, k)."""
        if self._matrix is None:  # its structure serves every a
            n = len(self.codes)
            structure = (np.zeros(n), self.codes.astype(np.int32), np.arange(n + 1, dtype=np.int32))
            self._matrix = sp.csc_array(structure, shape=(self.n_groups, n))
        self._matrix.data = np.ascontiguousarray(a)
        return self._matrix @ x

    def totals(self, a: Array) -> Array:
        """Σ of a_i over the rows i of each group, (n_groups,)."""
        return np.bincount(self.codes, a, self.n_groups)

    def split(self, ends: Index) -> list[Membership]:
        """Of consecutive parts of the rows."""
        return [Membership(codes, self.n_groups) for codes in np.split(self.codes, ends)]


class DenseRows(Rows):
    """Rows held as an array."""

    def __init__(self, array: Array) -> None:
        self.array = array
        self.n_rows, self.n_columns = array.shape
        self._work: Array | None = None

    def dot(self, theta: Array) -> Array:
        return self.array @ theta

    def adjoint(self, a: Array) -> Array:
        return self.array.T @ a

    def adjoint_by_group(self, a: Array, groups: Membership) -> Array:
        return groups.sums(a, self.array)

    def gram(self, d: Array) -> Array:
        if self._work is None:
            self._work = np.empty_like(self.array)
        np.multiply(self.array, np.sqrt(d)[:, None], out=self._work)
        return self._work.T @ self._work

    def take(self, index: Index) -> Array:
        return self.array[index]


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
        basis, x = self.basis, self.matrix
        total, first = d.sum(), x.T @ d
        second = (x.T @ x.multiply(d[:, None]).tocsr()).toarray()
        shift = np.outer(first, basis.center)
        centred = second - shift - shift.T + total * np.outer(basis.center, basis.center)
        gram = basis.transform.T @ centred @ basis.transform
        if not basis.fit_intercept:
            return gram
        border = basis.transform.T @ (first - total * basis.center)
        return np.block([[gram, border[:, None]], [border[None, :], np.array([[total]])]])

    def take(self, index: Index) -> Array:
        return self.basis.coordinates(self.matrix[index].toarray())

    def subset(self, index: Index) -> Rows:
        return SparseRows(self.matrix[index], self.basis)


class IdentityRows(Rows):
    """The first ``n_rows`` rows of the identity: single coordinates of θ."""

    def __init__(self, n_rows: int, n_columns: int) -> None:
        self.n_rows, self.n_columns = n_rows, n_columns

    def dot(self, theta: Array) -> Array:
        return theta[: self.n_rows].copy()

    def adjoint(self, a: Array) -> Array:
        return np.concatenate([a, np.zeros((self.n_columns - self.n_rows, *a.shape[1:]))])

    def adjoint_by_group(self, a: Array, groups: Membership) -> Array:
        out = np.zeros((groups.n_groups, self.n_columns))
        out[groups.codes, np.arange(self.n_rows)] = a
        return out

    def gram(self, d: Array) -> Array:
        return np.diag(self.adjoint(d))

    def take(self, index: Index) -> Array:
        return np.eye(self.n_columns)[index]


class StackedRows(Rows):
    """Blocks of rows, one under the other."""

    def __init__(self, *blocks: Rows) -> None:
        self.blocks = blocks
        self.n_rows = sum(block.n_rows for block in blocks)
        self.n_columns = blocks[0].n_columns
        self.ends = np.cumsum([block.n_rows for block in blocks])

    def dot(self, theta: Array) -> Array:
        return np.concatenate([block.dot(theta) for block in self.blocks])

    def adjoint(self, a: Array) -> Array:
        parts = np.split(a, self.ends[:-1])
        return np.sum([b.adjoint(part) for b, part in zip(self.blocks, parts, strict=True)], axis=0)

    def adjoint_by_group(self, a: Array, groups: Membership) -> Array:
        ends = self.ends[:-1]
        parts = zip(self.blocks, np.split(a, ends), groups.split(ends), strict=True)
        return np.sum([b.adjoint_by_group(part, own) for b, part, own in parts], axis=0)

    def gram(self, d: Array) -> Array:
        parts = np.split(d, self.ends[:-1])
        return np.sum([b.gram(part) for b, part in zip(self.blocks, parts, strict=True)], axis=0)

    def take(self, index: Index) -> Array:
        out = np.empty((len(index), self.n_columns))
        start = 0
        for block, end in zip(self.blocks, self.ends, strict=True):
            here = (index >= start) & (index < end)
            out[here] = block.take(index[here] - start)
            start = end
        return out
