r"""The design matrix: the only code that touches X.

`DenseDesign` and `SparseDesign` offer the few products that solvers and the certificate need; X is
read in blocks of rows, and nothing of its size is ever copied. `Rows` are rows of X in the
coordinates of a `Basis`, which `orthonormal_basis` computes.

Conventions: n rows, p features, m outputs; ``coef`` is (p, m); ``weights`` are positive and sum
to 1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.linalg import lapack, qr

from skfairloss._basis import (
    EPS,
    Basis,
    complete_basis,
    diagonal_basis,
    embedded,
    orthonormal_from_factor,
    with_ridge,
)
from skfairloss._typing import Array, Index

_BLOCK = 2**17  # numbers in a block of rows: about 1 MiB, so that a block stays in cache


# --------------------------------------------------------------------------------------------------
# The rows a solver works on
# --------------------------------------------------------------------------------------------------


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
    def gram(self, d: Array) -> Array:
        """Aᵀ diag(d) A, shape (n_columns, n_columns)."""

    @abstractmethod
    def take(self, index: Index) -> Array:
        """The named rows as an array, shape (len(index), n_columns)."""


class DenseRows(Rows):
    """Rows held as an array."""

    def __init__(self, array: Array) -> None:
        self.array = array
        self.n_rows, self.n_columns = array.shape
        self._work: Array | None = None

    def dot(self, theta: Array) -> Array:
        return self.array @ theta

    def adjoint(self, a: Array) -> Array:
        return a @ self.array

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
        return self.basis.pull_back(self.matrix.T @ a, a.sum())

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


class IdentityRows(Rows):
    """The first ``n_rows`` rows of the identity: single coordinates of θ."""

    def __init__(self, n_rows: int, n_columns: int) -> None:
        self.n_rows, self.n_columns = n_rows, n_columns

    def dot(self, theta: Array) -> Array:
        return theta[: self.n_rows].copy()

    def adjoint(self, a: Array) -> Array:
        return np.concatenate([a, np.zeros(self.n_columns - self.n_rows)])

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


# --------------------------------------------------------------------------------------------------
# The design
# --------------------------------------------------------------------------------------------------


class Design(ABC):
    """X behind the products that solvers and the certificate need."""

    shape: tuple[int, int]

    @abstractmethod
    def predict(self, coef: Array, intercept: Array | float) -> Array:
        """X coef + intercept for coef of shape (p,) or (p, m)."""

    @abstractmethod
    def adjoint(self, u: Array) -> Array:
        """Xᵀ u for u of shape (n,) or (n, m)."""

    @abstractmethod
    def absolute(self) -> Design:
        """The design with |X|: bounds the rounding errors of the products above."""

    @abstractmethod
    def moments(self, weights: Array, center: Array) -> Array:
        """The weighted second moments of the columns around ``center``, shape (p, p)."""

    @abstractmethod
    def block(self, rows: slice | Index) -> Array:
        """A few rows of X as a float64 array."""

    @abstractmethod
    def rows(self, basis: Basis, index: Index | None = None) -> Rows:
        """Rows (all of them when index is None) in the coordinates of ``basis``."""

    def blocks(self) -> Iterator[tuple[slice, Array]]:
        """X from top to bottom, a block of rows at a time."""
        n, p = self.shape
        step = max(_BLOCK // max(p, 1), 2 * p, 64)
        for start in range(0, n, step):
            rows = slice(start, min(start + step, n))
            yield rows, self.block(rows)


class DenseDesign(Design):
    """A NumPy array of any memory order; float32 stays float32 and is read block by block."""

    def __init__(self, x: NDArray[Any]) -> None:
        self.x = x
        self.shape = x.shape

    def predict(self, coef: Array, intercept: Array | float) -> Array:
        if self.x.dtype == np.float64:
            return self.x @ coef + intercept
        out = np.empty((self.shape[0], *coef.shape[1:]))
        for rows, block in self.blocks():
            out[rows] = block @ coef + intercept
        return out

    def adjoint(self, u: Array) -> Array:
        if self.x.dtype == np.float64:
            return self.x.T @ u
        out = np.zeros((self.shape[1], *u.shape[1:]))
        for rows, block in self.blocks():
            out += block.T @ u[rows]
        return out

    def absolute(self) -> Design:
        return _AbsoluteDenseDesign(self.x)

    def moments(self, weights: Array, center: Array) -> Array:
        out = np.zeros((self.shape[1], self.shape[1]))
        for rows, block in self.blocks():
            scaled = (block - center) * np.sqrt(weights[rows])[:, None]
            out += scaled.T @ scaled
        return out

    def block(self, rows: slice | Index) -> Array:
        return np.asarray(self.x[rows], dtype=np.float64)

    def rows(self, basis: Basis, index: Index | None = None) -> Rows:
        if index is not None:
            return DenseRows(basis.coordinates(self.block(index)))
        out = np.empty((self.shape[0], basis.n_coordinates))
        for rows, block in self.blocks():
            out[rows] = basis.coordinates(block)
        return DenseRows(out)


class _AbsoluteDenseDesign(DenseDesign):
    """|X| of a dense X, block by block."""

    def predict(self, coef: Array, intercept: Array | float) -> Array:
        out = np.empty((self.shape[0], *coef.shape[1:]))
        for rows, block in self.blocks():
            out[rows] = block @ coef + intercept
        return out

    def adjoint(self, u: Array) -> Array:
        out = np.zeros((self.shape[1], *u.shape[1:]))
        for rows, block in self.blocks():
            out += block.T @ u[rows]
        return out

    def block(self, rows: slice | Index) -> Array:
        return np.abs(np.asarray(self.x[rows], dtype=np.float64))


class SparseDesign(Design):
    """A CSR matrix or array; dense only in blocks of rows no larger than a Gram matrix."""

    def __init__(self, x: Any) -> None:
        self.x = x.tocsr()
        self.shape = x.shape

    def predict(self, coef: Array, intercept: Array | float) -> Array:
        return self.x @ coef + intercept

    def adjoint(self, u: Array) -> Array:
        return self.x.T @ u

    def absolute(self) -> Design:
        return SparseDesign(abs(self.x))

    def moments(self, weights: Array, center: Array) -> Array:
        second = (self.x.T @ self.x.multiply(weights[:, None]).tocsr()).toarray()
        shift = np.outer(self.x.T @ weights, center)
        return second - shift - shift.T + weights.sum() * np.outer(center, center)

    def block(self, rows: slice | Index) -> Array:
        return np.asarray(self.x[rows].toarray(), dtype=np.float64)

    def rows(self, basis: Basis, index: Index | None = None) -> Rows:
        matrix = self.x if index is None else self.x[index]
        return SparseRows(matrix.astype(np.float64, copy=False), basis)


def make_design(x: Any) -> Design:
    """Wrap a validated X, dense or sparse."""
    return SparseDesign(x) if sp.issparse(x) else DenseDesign(x)


# --------------------------------------------------------------------------------------------------
# The basis
# --------------------------------------------------------------------------------------------------

# Gram matrices square the condition number: below this pivot (of columns scaled to norm 1) a QR of
# the rows decides, unless the pivots that are left are plain zeros.
_SAFE_PIVOT = 1e-8
# A column whose spread is smaller, relative to its mean, may be constant up to rounding.
_SAFE_SPREAD = 1e-6
_MANY_ROWS = 20  # rows per column from which the Gram matrix is tried first


def orthonormal_basis(
    design: Design, weights: Array, fit_intercept: bool, ridge: float = 0.0
) -> Basis:
    """The orthonormal basis of the weighted design, augmented by √ridge I.

    By the Gram matrix where that is safe, else by QR; for p > n through the row space.
    """
    n, p = design.shape
    center = design.adjoint(weights) if fit_intercept else np.zeros(p)
    factor = None
    if n > _MANY_ROWS * p:
        factor = _factor_gram(design.moments(weights, center), center)
    if factor is None:
        r, scale = _triangle(design, weights, center)
        factor = (*_truncate(r, n), scale)
    if ridge == 0:
        return orthonormal_from_factor(*factor, center, ridge, fit_intercept)
    return with_ridge(*factor, center, ridge, fit_intercept)


def coefficient_basis(
    design: Design,
    weights: Array,
    fit_intercept: bool,
    ridge: float,
    columns: Index,
    diagonal: bool | None = None,
) -> Basis:
    """A basis that reaches every coefficient of the named columns, for an L1 penalty.

    Diagonal, so that a coefficient is a coordinate, or orthonormal and completed by what
    predictions do not see; None takes the diagonal one for well-conditioned columns and p > n.
    """
    n, p = design.shape
    center = design.adjoint(weights) if fit_intercept else np.zeros(p)
    here = center[columns]
    if not len(columns):
        none = diagonal_basis(np.empty((0, 0)), np.empty(0), np.empty(0), fit_intercept)
        return embedded(none, columns, center)
    if diagonal is not False:
        moments = design.moments(weights, center)[np.ix_(columns, columns)]
        safe = _factor_gram(moments, here) is not None
        if diagonal or safe or len(columns) > n:
            norms = np.sqrt(np.diag(moments).clip(min=0.0) + ridge)
            norms[norms == 0.0] = 1.0
            return embedded(diagonal_basis(moments, norms, here, fit_intercept), columns, center)
    r, norms = _triangle(design, weights, center, columns)
    r, pivot = _truncate(r, n)
    return embedded(complete_basis(r, pivot, norms, here, ridge, fit_intercept), columns, center)


def column_spread(design: Design, weights: Array, fit_intercept: bool) -> Array:
    """Weighted norm of each centred column, (p,)."""
    p = design.shape[1]
    center = design.adjoint(weights) if fit_intercept else np.zeros(p)
    squares = np.zeros(p)
    for rows, block in design.blocks():
        squares += weights[rows] @ (block - center) ** 2
    return np.sqrt(squares)


def _factor_gram(gram: Array, center: Array) -> tuple[Array, Index, Array] | None:
    """Pivoted Cholesky factor of the scaled Gram matrix; None where its rank is in doubt."""
    p = len(gram)
    scale = np.sqrt(np.diag(gram).clip(min=0.0))
    if not (scale > _SAFE_SPREAD * np.abs(center)).all() or not scale.all():
        return None
    factor, pivot, rank, _ = lapack.dpstrf(gram / np.outer(scale, scale), tol=10 * p * EPS)
    if factor[rank - 1, rank - 1] ** 2 < _SAFE_PIVOT:
        return None
    return np.triu(factor)[:rank], pivot.astype(np.intp) - 1, scale


def _triangle(
    design: Design, weights: Array, center: Array, columns: Index | None = None
) -> tuple[Array, Array]:
    """R of the weighted, centred columns at norm 1, by QR of a block of rows at a time."""
    columns = np.arange(design.shape[1]) if columns is None else columns
    p, center = len(columns), center[columns]
    sums, shift, largest = np.zeros((3, p))
    high, low = np.full(p, -np.inf), np.full(p, np.inf)
    for rows, block in design.blocks():
        centred = block[:, columns] - center
        sums += weights[rows] @ (centred * centred)
        shift += weights[rows] @ centred
        np.maximum(high, centred.max(axis=0), out=high)
        np.minimum(low, centred.min(axis=0), out=low)
        np.maximum(largest, np.abs(block[:, columns]).max(axis=0), out=largest)
    spread = high - low
    if not center.any():  # no intercept: nothing is centred
        shift[:], spread = 0.0, largest
    # center is rounded; what it misses would look like one more direction.
    sums = np.maximum(sums - shift * shift, 0.0)
    constant = spread <= 8 * EPS * largest  # centring leaves rounding errors of this size
    sums[constant] = 0.0
    scale = np.sqrt(sums)
    scale[scale == 0.0] = 1.0
    r = np.empty((0, p))
    for rows, block in design.blocks():
        centred = (block[:, columns] - center) - shift
        scaled = centred * (np.sqrt(weights[rows])[:, None] / scale)
        scaled[:, constant] = 0.0
        r = qr(np.vstack([r, scaled]), mode="r", check_finite=False)[0][:p]
    return r, scale


def _truncate(r: Array, n: int) -> tuple[Array, Index]:
    """Pivoted QR of R, cut at its numerical rank."""
    if not r.size:
        return np.empty((0, r.shape[1])), np.arange(r.shape[1])
    _, upper, pivot = qr(r, mode="economic", pivoting=True, check_finite=False)
    size = np.abs(np.diag(upper))
    rank = int((size > max(n, r.shape[1]) * EPS * max(float(size[0]), 1e-300)).sum())
    return upper[:rank], pivot.astype(np.intp)
