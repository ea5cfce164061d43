r"""Coordinates in which a weighted, centred and ridge-augmented design is well conditioned.

A linear model x ↦ xᵀw + b is written as θ = (t, b₀) with w = T t and b = b₀ - x̄ᵀw. With row weights
V and A = (X - 1 x̄ᵀ) T,

    orthonormal:  Aᵀ V A + ridge · TᵀT = I,
    diagonal:     T = diag(1/scale), for penalties that look at single coefficients.

The orthonormal T maps into the row space of X, so that w = T t is the model of smallest norm among
all with the same predictions: rank deficiency and p > n need no other treatment.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import qr, solve_triangular

from skfairloss._typing import Array, Index

EPS = float(np.finfo(np.float64).eps)

_COMPARABLE = 1e4  # ratio of column sizes up to which norms are computed in the columns themselves
_NOISE = 1e-13  # entries of an orthonormal null space below this are rounding errors of 0


@dataclass(frozen=True)
class Basis:
    """The map between coordinates and models.

    Parameters
    ----------
    center : (p,), the weighted column means x̄; zeros without an intercept.
    transform : (p, k), T.
    gram : (k, k), AᵀVA; the intercept's coordinate is orthogonal to it, with norm 1.
    norms : (p,), the sizes of the augmented columns.
    fit_intercept : whether θ ends with b₀.
    """

    center: Array
    transform: Array
    gram: Array
    norms: Array
    fit_intercept: bool

    @property
    def n_directions(self) -> int:
        """Length of t."""
        return self.transform.shape[1]

    @property
    def n_coordinates(self) -> int:
        """Length of θ."""
        return self.n_directions + self.fit_intercept

    def to_model(self, theta: Array) -> tuple[Array, Array]:
        """Coefficients and intercept of θ, which may have a column per output."""
        coef = self.transform @ theta[: self.n_directions]
        if not self.fit_intercept:
            return coef, np.zeros(theta.shape[1:])
        return coef, theta[-1] - self.center @ coef

    def pull_back(self, g: Array, total: Array | float) -> Array:
        """The gradient in θ, from Xᵀu (p,) or (p, m) and the column sums of u."""
        if not self.fit_intercept:
            return self.transform.T @ g
        centred = g - np.multiply.outer(self.center, total)
        return np.concatenate([self.transform.T @ centred, np.reshape(total, (1, *g.shape[1:]))])

    def coordinates(self, block: Array) -> Array:
        """Rows of X as rows of the design in θ."""
        if not self.fit_intercept:
            return block @ self.transform
        out = np.empty((len(block), self.n_coordinates))
        np.matmul(block - self.center, self.transform, out=out[:, :-1])
        out[:, -1] = 1.0
        return out

    def full_gram(self) -> Array:
        """AᵀVA with the intercept's coordinate, (n_coordinates, n_coordinates)."""
        out = np.eye(self.n_coordinates)
        out[: self.n_directions, : self.n_directions] = self.gram
        return out


def orthonormal_from_factor(
    r: Array, pivot: Index, scale: Array, center: Array, ridge: float, fit_intercept: bool
) -> Basis:
    """Basis from [√V (X - 1 x̄ᵀ); √ridge I] diag(1/scale)[:, pivot] = Q r, r of full row rank."""
    k, p = r.shape
    if k == p:
        transform = np.zeros((p, k))
        transform[pivot] = solve_triangular(r, np.eye(p), check_finite=False)
        transform /= scale[:, None]
    elif _comparable(scale):
        transform = _pseudo_inverse(r, pivot, scale)
    else:
        transform = _pseudo_inverse(r, pivot, np.ones(p)) / scale[:, None]
        transform = _least_norm(transform, r, pivot, scale)
    gram = np.eye(k) - ridge * (transform.T @ transform)
    return Basis(center, transform, gram, scale, fit_intercept)


def _comparable(scale: Array) -> bool:
    """Whether rounding errors of the largest column leave the smallest one its digits."""
    return bool(scale.max(initial=1.0) <= _COMPARABLE * scale.min(initial=1.0))


def _pseudo_inverse(r: Array, pivot: Index, scale: Array) -> Array:
    """(r Pᵀ diag(scale))⁺, by complete orthogonal decomposition.

    Golub & Van Loan, Matrix Computations, section 5.4.7.
    """
    q, upper, order = row_space(r, pivot, scale)
    inverse = np.empty((len(r), len(r)))
    inverse[:, order] = solve_triangular(upper, np.eye(len(r)), trans="T", check_finite=False)
    return q @ inverse


def _least_norm(transform: Array, r: Array, pivot: Index, scale: Array) -> Array:
    """Move each model along what predictions do not see to the smallest norm.

    The null space is that of the scaled columns, so that predictions keep their digits.
    """
    c = np.empty(r.shape[::-1])
    c[pivot] = r.T
    null = row_sorted_qr(c, full=True)[0][:, len(r) :]
    null[np.abs(null) < _NOISE] = 0.0
    q = row_sorted_qr(null / scale[:, None])[0]
    return transform - q @ (q.T @ transform)


def with_ridge(
    r: Array, pivot: Index, scale: Array, center: Array, ridge: float, fit_intercept: bool
) -> Basis:
    """The orthonormal basis augmented by √ridge I, from the factor of the rows alone.

    Where these are rank deficient, the ridge acts in their row space only: what no prediction sees
    has coefficient 0.
    """
    k, p = r.shape
    if k == p or not _comparable(scale):
        rows = np.empty((k, p))
        rows[:, pivot] = r
        rows *= scale
        space = np.eye(p)
    else:
        space, upper, _ = row_space(r, pivot, scale)
        rows = upper.T
    norms = np.sqrt((rows * rows).sum(axis=0) + ridge)
    norms[norms == 0.0] = 1.0
    stacked = np.vstack([rows, np.sqrt(ridge) * np.eye(rows.shape[1])]) / norms
    _, small, order = qr(stacked, mode="economic", pivoting=True, check_finite=False)
    basis = orthonormal_from_factor(small, order, norms, center, ridge, fit_intercept)
    transform = space @ basis.transform
    return replace(basis, transform=transform, norms=np.sqrt(scale**2 + ridge))


def row_space(r: Array, pivot: Index, scale: Array) -> tuple[Array, Array, Index]:
    """Q (p, k), upper triangular U and an order with (r Pᵀ diag(scale))ᵀ[:, order] = Q U."""
    c = np.empty(r.shape[::-1])
    c[pivot] = r.T
    return row_sorted_qr(c * scale[:, None])


def row_sorted_qr(c: Array, full: bool = False) -> tuple[Array, Array, Index]:
    """Pivoted Q R of a tall matrix whose rows may differ wildly in size.

    Householder QR with column pivoting is accurate row by row once rows are sorted by size (Cox &
    Higham 1998).
    """
    rows = np.argsort(-np.abs(c).max(axis=1, initial=0.0), kind="stable")
    mode = "full" if full else "economic"
    q_sorted, upper, columns = qr(c[rows], mode=mode, pivoting=True, check_finite=False)
    q = np.empty_like(q_sorted)
    q[rows] = q_sorted
    return q, upper, columns


def diagonal_basis(moments: Array, norms: Array, center: Array, fit_intercept: bool) -> Basis:
    """T = diag(1/norms), with the scaled second moments of X as the Gram matrix."""
    gram = moments / np.outer(norms, norms)
    return Basis(center, np.diag(1.0 / norms), gram, norms, fit_intercept)


def complete_basis(
    r: Array, pivot: Index, norms: Array, center: Array, ridge: float, fit_intercept: bool
) -> Basis:
    """Directions as in `orthonormal_from_factor`, then a basis of what predictions do not see.

    Both are taken in the scaled columns, so that T reaches every coefficient at its own size.
    """
    unit = orthonormal_from_factor(r, pivot, np.ones_like(norms), center, 0.0, fit_intercept)
    k = unit.n_directions
    unseen = row_sorted_qr(unit.transform, full=True)[0][:, k:]
    transform = np.hstack([unit.transform, unseen]) / norms[:, None]
    gram = np.zeros((len(norms), len(norms)))
    gram[:k, :k] = np.eye(k)
    # A direction's size is that of its rows and its ridge together.
    size = np.sqrt(np.diag(gram) + ridge * (transform * transform).sum(axis=0))
    size[size == 0.0] = 1.0
    transform, gram = transform / size, gram / np.outer(size, size)
    return Basis(center, transform, gram, np.sqrt(norms**2 + ridge), fit_intercept)


def embedded(basis: Basis, columns: Index, center: Array) -> Basis:
    """A basis of some columns as one of all: the coefficients of the others stay 0."""
    transform = np.zeros((len(center), basis.n_directions))
    transform[columns] = basis.transform
    norms = np.zeros(len(center))
    norms[columns] = basis.norms
    return replace(basis, center=center, transform=transform, norms=norms)
