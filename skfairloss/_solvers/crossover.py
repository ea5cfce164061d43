r"""From an interior point to the exact optimum: guess the rows at their kink, then solve equations.

At an optimum every row is either at its kink (r_i = 0, dual anywhere in its interval) or on one
side of it (dual at that end). Given the rows Z at their kink, the rest is linear algebra:

    minimise ½ δᵀHδ - gᵀδ - Σ_{i not in Z} a_i A_i δ   subject to   A_Z δ = r_Z,

solved in the null space of A_Z (Nocedal & Wright, section 16.2). Directions in which nothing is
determined (ties) keep their position. The duals of Z then move as little as possible, relative to
their distance from the ends, so that they balance: an analytic centre stays inside.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack, solve_triangular

from skfairloss._solvers.piecewise import PiecewiseQuadratic
from skfairloss._typing import Array, Mask

_RANK = 1e-10  # relative size below which a singular value of rows of an orthonormal design is 0
_REGULAR = 1e-7  # reciprocal condition of a matrix that is certainly invertible
_MANY = 100  # columns from which singular values are slow
_FLAT = 1e-13  # relative size below which a curvature is 0


def polish(pq: PiecewiseQuadratic, delta: Array, a: Array, active: Mask) -> tuple[Array, Array]:
    """The exact optimum for the given active rows: new (δ, a)."""
    index = np.flatnonzero(active)
    middle = 0.5 * (pq.upper + pq.lower)
    fixed = np.where(a > middle, pq.upper, pq.lower)
    dual = np.where(active, a, fixed)
    rows = pq.rows.take(index)
    residual = pq.residual[index] - rows @ delta
    square = lu_if_regular(rows)
    if square is not None:  # a vertex: everything is determined
        delta = delta + lapack.dgetrs(*square, residual)[0]
        dual[index] = 0.0
        defect = pq.hessian @ delta - pq.linear - pq.rows.adjoint(dual)
        dual[index] = lapack.dgetrs(*square, defect, trans=1)[0]
        return delta, dual
    if pq.curved and rows.shape[1] >= _MANY and 0 < len(rows) < rows.shape[1]:
        others = np.where(active, 0.0, fixed)
        push = pq.linear - pq.hessian @ delta + pq.rows.adjoint(others)
        found = _by_factors(pq.hessian, rows, push, residual)
        if found is not None:
            dual[index] = found[1]
            return delta + found[0], dual
    step, null = particular_and_null(rows, residual)
    if null.shape[1]:
        push = pq.linear - pq.hessian @ (delta + step) + pq.rows.adjoint(dual)
        step = step + null @ _minimise(null.T @ pq.hessian @ null, null.T @ push)
    delta = delta + step
    if len(index):
        defect = pq.hessian @ delta - pq.linear - pq.rows.adjoint(dual)
        room = np.minimum(pq.upper - dual, dual - pq.lower)[index].clip(min=0)
        weighted = room[:, None] * rows
        dual[index] += room * np.linalg.lstsq(weighted.T, defect, rcond=None)[0]
    return delta, dual


def _by_factors(
    hessian: Array, rows: Array, push: Array, residual: Array
) -> tuple[Array, Array] | None:
    """The step s and duals a with Hs - Rᵀa = push and Rs = residual; None where that is delicate.

    Of many columns singular values are slow. Where H has no Cholesky factor, H + ρRᵀR, which gives
    the same s and a, has one if the solution is unique (Golub & Greif 2003). The rest is the range
    space method of Nocedal & Wright, section 16.2.
    """
    whole, size = factor_if_regular(hessian), 0.0
    if whole is None:
        square = rows.T @ rows
        size = float(np.trace(hessian) / max(np.trace(square), 1e-300))
        whole = factor_if_regular(hessian + size * square)
    if whole is None:
        return None
    half = solve_triangular(whole, rows.T, lower=True, check_finite=False)
    across = factor_if_regular(half.T @ half)
    if across is None:
        return None
    step, a = np.zeros(len(push)), np.zeros(len(rows))
    for _ in range(2):  # the second time to give back what rounding took
        rest, left = push + rows.T @ a - hessian @ step, residual - rows @ step
        first = lapack.dpotrs(whole, rest + size * (rows.T @ left), lower=True)[0]
        change = lapack.dpotrs(across, left - rows @ first, lower=True)[0]
        a += change
        step += first + lapack.dpotrs(whole, rows.T @ change, lower=True)[0]
    return step, a


def factor_if_regular(matrix: Array) -> Array | None:
    """Return the lower Cholesky factor, (d, d). None unless it is certainly positive definite."""
    if not len(matrix):  # LAPACK takes an empty matrix for a wrong argument
        return matrix
    factor, info = lapack.dpotrf(matrix, lower=True)
    if info != 0:
        return None
    size = float(np.abs(matrix).sum(axis=0).max())
    return factor if lapack.dpocon(factor, size, uplo="L")[0] > _REGULAR else None


def lu_if_regular(rows: Array) -> tuple[Array, Array] | None:
    """LU factors of as many rows as there are columns; None where their rank could be in doubt."""
    if len(rows) != rows.shape[1] or not len(rows):
        return None
    lu, pivots, info = lapack.dgetrf(rows)
    if info != 0 or lapack.dgecon(lu, float(np.abs(rows).sum(axis=0).max()))[0] < _REGULAR:
        return None
    return lu, pivots


def particular_and_null(rows: Array, residual: Array, size: float = 0.0) -> tuple[Array, Array]:
    """Least-norm solution of ``rows @ step = residual`` and a basis of the null space of rows.

    ``size`` is what the rows may be as a whole: much smaller ones are rounding errors of 0.
    """
    k = rows.shape[1]
    if not rows.any() or not k:
        return np.zeros(k), np.eye(k)
    u, s, vt = np.linalg.svd(rows, full_matrices=len(rows) < k)
    rank = int((s > _RANK * max(float(s[0]), size)).sum())
    step = vt[:rank].T @ ((u[:, :rank].T @ residual) / s[:rank])
    return step, vt[rank:].T


def _minimise(hessian: Array, push: Array) -> Array:
    """Minimiser of a convex quadratic; 0 in the directions it does not see."""
    values, vectors = np.linalg.eigh(hessian)
    seen = values > _FLAT * max(float(values[-1]), 1e-300)
    return vectors[:, seen] @ ((vectors[:, seen].T @ push) / values[seen])
