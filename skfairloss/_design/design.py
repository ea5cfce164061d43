"""The design matrix: the only code that touches X.

`DenseDesign` and `SparseDesign` offer the few products that solvers and the certificate need; X is
read in blocks of rows, and nothing of its size is ever copied.

Conventions: n rows, p features, m outputs; ``coef`` is (p, m); ``weights`` are positive and sum
to 1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

import numpy as np

from skfairloss._design.basis import Basis
from skfairloss._design.rows import Membership, Rows, pieces_of
from skfairloss._design.threads import Room, added, over_runs
from skfairloss._typing import Array, Index

SOME = 500  # rows that tell where the columns are

Score = Callable[[slice, Array], tuple[Array, Array]]


class Design(ABC):
    """X behind the products that solvers and the certificate need."""

    shape: tuple[int, int]
    block_size = 2**17  # numbers in a block of rows: 1 MiB
    sparse = False
    compensated = False  # whether products are free of rounding errors that cancel

    @abstractmethod
    def predict(self, coef: Array, intercept: Array | float) -> Array:
        """X coef + intercept for coef of shape (p,) or (p, m)."""

    def predict_in(self, basis: Basis, theta: Array) -> Array:
        """Return A θ for θ of shape (n_coordinates, m)."""
        return self.predict(*basis.to_model(theta))

    @abstractmethod
    def adjoint(self, u: Array) -> Array:
        """Xᵀ u for u of shape (n,) or (n, m), dense or sparse."""

    def total(self, u: Array) -> Array:
        """1ᵀu for u of shape (n,) or (n, m)."""
        out: Array = u.sum(axis=0)
        return out

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

        (u, s) = score(rows, r[rows]), u dense or, of two dimensions, sparse, s of any shape.
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
    def columns(self, index: Index) -> Design:
        """Copy some columns into a design of their own."""

    @abstractmethod
    def absolute(self) -> Design:
        """Return the design of |X|, which bounds the rounding errors of the products above."""

    def moments(self, weights: Array, center: Array) -> Array:
        """Return the weighted second moments of the columns around ``center``, (p, p)."""
        p = self.shape[1]
        room = Room((self._step, p))

        def part(run: list[slice]) -> list[Array]:
            out, [work] = np.zeros((p, p)), room.arrays()
            for rows in run:
                block = self.block(rows)
                scaled = np.subtract(block, center, out=work[: len(block)])
                scaled *= np.sqrt(weights[rows])[:, None]
                out += scaled.T @ scaled
            return [out]

        [out] = added(over_runs(self.slices(self.shape[0]), p, part, p * p))
        return out

    def sums_by_group(self, weights: Array, codes: Index, n_groups: int) -> Array:
        """Weighted sums of the rows of each group, shape (n_groups, p)."""
        out = np.zeros((n_groups, self.shape[1]))
        for rows, block in self.blocks():
            out += Membership(codes[rows], n_groups).sums(weights[rows], block)
        return out

    def mean_differences(self, weights: Array, codes: Index, n_groups: int) -> Array:
        """Each group's mean of the rows less the mean of all, (n_groups, p).

        Rows are taken from a point among them and summed a few at a time: large groups are so much
        alike that rounding errors of plain sums would be differences.
        """
        n, p = self.shape
        origin = self.block(slice(0, None, max(1, n // SOME))).mean(axis=0)
        sums, shares = np.zeros((n_groups, p)), np.bincount(codes, weights, n_groups)
        for rows in pieces_of(n, p):
            moved = self.block(rows) - origin
            sums += Membership(codes[rows], n_groups).sums(weights[rows], moved)
        return sums / shares[:, None] - sums.sum(axis=0)

    @abstractmethod
    def grams_by_group(self, basis: Basis, weights: Array, codes: Index, n_groups: int) -> Array:
        """Weighted Gram matrix of each group's rows in the coordinates of ``basis``."""

    @abstractmethod
    def block(self, rows: slice | Index) -> Array:
        """Return a few rows of X as a float64 array."""

    @abstractmethod
    def column(self, j: int) -> Array:
        """Return a column of X, (n,), as float64."""

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
