r"""Coordinates in which a weighted, centred and ridge-augmented design is well conditioned.

A linear model x ↦ xᵀw + b is written as θ = (t, b₀) with w = T t and b = b₀ - x̄ᵀw. With row weights
V and A = (X - 1 x̄ᵀ) T,

    orthonormal:  Aᵀ V A + ridge · TᵀT = I,
    diagonal:     T = diag(1/scale), for penalties that look at single coefficients.

The orthonormal T maps into the row space of X, so that w = T t is the model of smallest norm among
all with the same predictions: rank deficiency and p > n need no other treatment. So does

    plain:        T = (I - N Nᵀ) S diag(1/scale),

where S picks well-conditioned columns, as many as the rank, and N is an orthonormal basis of what
no prediction sees. Its A are the picked columns themselves, centred and scaled: for sparse rows
nothing else has to be formed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import qr, solve_triangular

from skfairloss._cached import cached_property
from skfairloss._typing import Array, Index

EPS = float(np.finfo(np.float64).eps)
# Rounding error of a residual or a prediction, relative to the sizes of its terms. Those of exact
# collinearities are up to a quarter of this, whatever n and p.
ROUNDING = 8 * EPS

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
    plain : the picked columns and the scale of each, (k,), if that is what A is.
    ridge : of a plain basis.
    """

    center: Array
    transform: Array
    gram: Array
    norms: Array
    fit_intercept: bool
    plain: tuple[Index, Array] | None = None
    ridge: float = 0.0

    @cached_property
    def norm_gram(self) -> Array:
        """TᵀT, (k, k)."""
        return self.transform.T @ self.transform

    @cached_property
    def factor(self) -> Array:
        """Lower Cholesky factor of AᵀVA + ridge · TᵀT, (k, k), of a plain basis."""
        return np.linalg.cholesky(self.gram + self.ridge * self.norm_gram)

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

    def of_model(self, coef: Array, intercept: Array) -> Array:
        """θ of models (p, m) and (m,): of those with the nearest coefficients that there are."""
        t = np.linalg.lstsq(self.transform, coef, rcond=None)[0]
        return np.vstack([t, intercept + self.center @ coef]) if self.fit_intercept else t

    def resolved(self, left: Array) -> tuple[Array, Array]:
        """d with (AᵀVA + ridge · TᵀT) d = left, and √(leftᵀd), for left (n_coordinates, m)."""
        if self.plain is None:
            return left, np.linalg.norm(left, axis=0)
        k = self.n_directions
        half = solve_triangular(self.factor, left[:k], lower=True, check_finite=False)
        size = np.linalg.norm(np.vstack([half, left[k:]]), axis=0)
        full = solve_triangular(self.factor, half, lower=True, trans="T", check_finite=False)
        return np.vstack([full, left[k:]]), size

    def orthonormalised(self) -> Basis:
        """Return a basis of the same directions whose columns are orthonormal."""
        if self.plain is None:
            return self
        k = self.n_directions
        turn = solve_triangular(self.factor, np.eye(k), lower=True, check_finite=False).T
        gram = turn.T @ self.gram @ turn
        return replace(self, transform=self.transform @ turn, gram=gram, plain=None, ridge=0.0)

    def spread(self, theta: Array) -> float:
        """Return the standard deviation of the predictions of t, for coordinates θ."""
        t = theta[: self.n_directions]
        return float(max(t @ (self.gram @ t), 0.0)) ** 0.5

    def amplification(self, origin: Array | float) -> float:
        """Return the factor by which rounding errors of second moments around an origin grow."""
        size = np.hypot(self.norms, self.center - origin)
        grown = np.abs(self.transform * size[:, None]).sum(axis=0)
        return float(grown.max(initial=0.0)) ** 2

    def pull_back(self, g: Array, total: Array | float) -> Array:
        """Return the gradient in θ, from Xᵀu (p,) or (p, m) and the column sums of u."""
        if not self.fit_intercept:
            return self.transform.T @ g
        centred = g - np.multiply.outer(self.center, total)
        return np.concatenate([self.transform.T @ centred, np.reshape(total, (1, *g.shape[1:]))])

    def coordinates(
        self, block: Array, centred: Array | None = None, out: Array | None = None
    ) -> Array:
        """Rows of X as rows of the design in θ; ``centred`` and ``out`` are room to work in."""
        if not self.fit_intercept:
            return np.matmul(block, self.transform, out=out)
        centred = np.subtract(block, self.center, out=centred)
        out = np.matmul(centred, self._bordered, out=out)
        out[:, -1] = 1.0
        return out

    @cached_property
    def _bordered(self) -> Array:
        """T with a column for the intercept's coordinate, (p, k + 1)."""
        return np.hstack([self.transform, np.zeros((len(self.transform), 1))])

    def full_gram(self) -> Array:
        """AᵀVA with the intercept's coordinate, (n_coordinates, n_coordinates)."""
        out = np.eye(self.n_coordinates)
        out[: self.n_directions, : self.n_directions] = self.gram
        return out


def unchanged(d: int) -> Basis:
    """Return the basis of rows that are in d coordinates already."""
    eye = np.eye(d)
    return Basis(np.zeros(d), eye, eye, np.ones(d), False)


@dataclass(frozen=True)
class Factor:
    """√V (X - 1 x̄ᵀ) diag(1/scale)[:, pivot] = Q r, Q orthonormal, r (k, p) of full row rank."""

    r: Array
    pivot: Index
    scale: Array

    @property
    def unpivoted(self) -> Array:
        """r with its columns in the order of X, (k, p)."""
        out = np.empty_like(self.r)
        out[:, self.pivot] = self.r
        return out


def orthonormal(factor: Factor, center: Array, fit_intercept: bool, ridge: float = 0.0) -> Basis:
    """T = (r Pᵀ diag(scale))⁺, for a factor that holds the ridge's rows as well."""
    k, p = factor.r.shape
    if k == p:
        transform = np.zeros((p, k))
        transform[factor.pivot] = solve_triangular(factor.r, np.eye(p), check_finite=False)
        transform /= factor.scale[:, None]
    elif comparable(factor.scale):
        transform = _pseudo_inverse(factor.unpivoted * factor.scale)
    else:
        transform = _pseudo_inverse(factor.unpivoted) / factor.scale[:, None]
        transform = _least_norm(transform, factor)
    gram = np.eye(k) - ridge * (transform.T @ transform)
    return Basis(center, transform, gram, factor.scale, fit_intercept)


def orthonormal_with_ridge(
    factor: Factor, center: Array, fit_intercept: bool, ridge: float
) -> Basis:
    """Return the orthonormal basis with √ridge I below the rows, from a factor of the rows alone.

    Where these are rank deficient, the ridge acts in their row space only: what no prediction sees
    has coefficient 0.
    """
    rows = factor.unpivoted * factor.scale
    space = np.eye(rows.shape[1])
    if len(rows) < rows.shape[1] and comparable(factor.scale):
        space, upper, _ = row_sorted_qr(rows.T)
        rows = upper.T
    norms = np.sqrt((rows * rows).sum(axis=0) + ridge)
    stacked = np.vstack([rows, np.sqrt(ridge) * np.eye(rows.shape[1])]) / norms
    _, small, order = qr(stacked, mode="economic", pivoting=True, check_finite=False)
    basis = orthonormal(Factor(small, order, norms), center, fit_intercept, ridge)
    norms = np.sqrt(factor.scale**2 + ridge)
    return replace(basis, transform=space @ basis.transform, norms=norms)


def plain_basis(
    factor: Factor, moments: Array, center: Array, fit_intercept: bool, ridge: float
) -> Basis:
    """Return the basis of the picked columns of a factor of the rows."""
    p, picked = len(center), factor.pivot[: len(factor.r)]
    norms = np.sqrt(factor.scale**2 + ridge)
    scale = norms[picked]
    transform = np.zeros((p, len(picked)))
    transform[picked, np.arange(len(picked))] = 1.0 / scale
    if len(picked) < p:
        null = row_sorted_qr(null_space(factor))[0]
        transform -= null @ (null[picked] / scale[:, None]).T
    gram = moments[np.ix_(picked, picked)] / np.outer(scale, scale)
    return Basis(center, transform, gram, norms, fit_intercept, (picked, scale), ridge)


def null_space(factor: Factor) -> Array:
    """Coefficients (p, p - k) that change no prediction, one direction for each dropped column."""
    k, p = factor.r.shape
    kept, dropped = factor.pivot[:k], factor.pivot[k:]
    null = np.zeros((p, p - k))
    null[kept] = -solve_triangular(factor.r[:, :k], factor.r[:, k:], check_finite=False)
    null[dropped] = np.eye(p - k)
    return null / factor.scale[:, None]


def diagonal_basis(moments: Array, center: Array, fit_intercept: bool, ridge: float) -> Basis:
    """T = diag(1/norms), with the scaled second moments of X as the Gram matrix."""
    norms = np.sqrt(np.diag(moments).clip(min=0.0) + ridge)
    norms[norms == 0.0] = 1.0
    gram = moments / np.outer(norms, norms)
    return Basis(center, np.diag(1.0 / norms), gram, norms, fit_intercept)


def completed(factor: Factor, center: Array, fit_intercept: bool, ridge: float) -> Basis:
    """Directions as in `orthonormal`, then a basis of what predictions do not see.

    Both are taken in the scaled columns, so that T reaches every coefficient at its own size.
    """
    unit = replace(factor, scale=np.ones_like(factor.scale))
    seen = orthonormal(unit, center, fit_intercept).transform
    p, k = seen.shape
    unseen = row_sorted_qr(seen, full=True)[0][:, k:]
    transform = np.hstack([seen, unseen]) / factor.scale[:, None]
    gram = np.zeros((p, p))
    gram[:k, :k] = np.eye(k)
    # A direction's size is that of its rows and its ridge together.
    size = np.sqrt(np.diag(gram) + ridge * (transform * transform).sum(axis=0))
    size[size == 0.0] = 1.0
    norms = np.sqrt(factor.scale**2 + ridge)
    return Basis(center, transform / size, gram / np.outer(size, size), norms, fit_intercept)


def embedded(basis: Basis, columns: Index, center: Array) -> Basis:
    """Return a basis of some columns as one of all: the coefficients of the others stay 0."""
    transform = np.zeros((len(center), basis.n_directions))
    transform[columns] = basis.transform
    norms = np.zeros(len(center))
    norms[columns] = basis.norms
    return replace(basis, center=center, transform=transform, norms=norms)


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


def comparable(scale: Array) -> bool:
    """Return True where rounding errors of the largest column leave the smallest one its digits."""
    return bool(scale.max(initial=1.0) <= _COMPARABLE * scale.min(initial=1.0))


def _pseudo_inverse(rows: Array) -> Array:
    """Pseudo-inverse of a wide matrix of full row rank, by complete orthogonal decomposition.

    Golub & Van Loan, Matrix Computations, section 5.4.7.
    """
    k = len(rows)
    if k == 0:
        return np.zeros(rows.shape[::-1])
    q, upper, order = row_sorted_qr(rows.T)
    inverse = np.empty((k, k))
    inverse[:, order] = solve_triangular(upper, np.eye(k), trans="T", check_finite=False)
    return q @ inverse


def _least_norm(transform: Array, factor: Factor) -> Array:
    """Move each model along what predictions do not see to the smallest norm.

    The null space is that of the scaled columns, so that predictions keep their digits.
    """
    null = row_sorted_qr(factor.unpivoted.T, full=True)[0][:, len(factor.r) :]
    null[np.abs(null) < _NOISE] = 0.0
    q = row_sorted_qr(null / factor.scale[:, None])[0]
    return transform - q @ (q.T @ transform)
