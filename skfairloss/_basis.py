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
from numpy.typing import NDArray
from scipy.linalg import qr, solve_triangular

Array = NDArray[np.float64]
Index = NDArray[np.intp]

EPS = float(np.finfo(np.float64).eps)


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
    """Basis from [√V (X - 1 x̄ᵀ); √ridge I] diag(1/scale)[:, pivot] = Q r, r of full row rank.

    T = (r Pᵀ diag(scale))⁺: the inverse when r is square, else the pseudo-inverse, by a second
    orthogonal factorisation (complete orthogonal decomposition, Golub & Van Loan, section 5.4.7).
    """
    k, p = r.shape
    transform = np.zeros((p, k))
    if k == p:
        transform[pivot] = solve_triangular(r, np.eye(p), check_finite=False)
        transform /= scale[:, None]
    elif k:
        q, upper = row_space(r, pivot, scale)
        transform = q @ solve_triangular(upper, np.eye(k), trans="T", check_finite=False)
    gram = np.eye(k) - ridge * (transform.T @ transform)
    return Basis(center, transform, gram, scale, fit_intercept)


def row_space(r: Array, pivot: Index, scale: Array) -> tuple[Array, Array]:
    """Q (p, k) and upper triangular U with (r Pᵀ diag(scale))ᵀ = Q U."""
    c = np.empty(r.shape[::-1])
    c[pivot] = r.T
    return row_sorted_qr(c * scale[:, None])


def row_sorted_qr(c: Array, full: bool = False) -> tuple[Array, Array]:
    """Q R of a tall matrix whose rows may differ wildly in size.

    Householder QR is accurate row by row once rows are sorted by size (Cox & Higham 1998).
    """
    order = np.argsort(-np.abs(c).max(axis=1, initial=0.0), kind="stable")
    q_sorted, upper = qr(c[order], mode="full" if full else "economic", check_finite=False)
    q = np.empty_like(q_sorted)
    q[order] = q_sorted
    return q, upper


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
    gram[:k, :k] = np.eye(k) - ridge * (transform[:, :k].T @ transform[:, :k])
    return Basis(center, transform, gram, norms, fit_intercept)


def embedded(basis: Basis, columns: Index, center: Array) -> Basis:
    """A basis of some columns as one of all: the coefficients of the others stay 0."""
    transform = np.zeros((len(center), basis.n_directions))
    transform[columns] = basis.transform
    norms = np.zeros(len(center))
    norms[columns] = basis.norms
    return replace(basis, center=center, transform=transform, norms=norms)
