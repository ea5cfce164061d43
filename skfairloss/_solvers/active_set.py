r"""Kinked problems with a diagonal quadratic, several at once: guess the side of every row, repeat.

    minimise over θ   ½ θᵀ diag(h) θ - gᵀθ + Σ_i φ_i(y_i - A_i θ),      hθ - g = Aᵀa.

Given which rows Z are at their kink and on which side the others are, with duals at that end of
their interval, θ and a_Z solve linear equations, in as many unknowns as Z has rows:

    A_Z diag(1/h) A_Zᵀ a_Z = y_Z - A_Z diag(1/h) (g + A_Fᵀ a_F).

Rows of Z whose dual leaves its interval go to that side, rows elsewhere that change sign join Z:
the primal-dual active set strategy, a semismooth Newton method (Hintermüller, Ito & Kunisch 2002).
From a good guess a few rounds are enough; there is no guarantee, so that whoever asks has to check.
A column without curvature, the intercept at λ = 1, stays in the equations as an unknown.

`diagonalised` brings any curved `KinkedQuadratic` into this form, by the factor of its H.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack, solve_triangular

from skfairloss._solvers.crossover import NEWTON_STEPS, factor_if_regular
from skfairloss._solvers.kinked import KinkedQuadratic
from skfairloss._solvers.tolerances import FLAT, REGULAR, ROUNDS
from skfairloss._typing import Array, Index, Mask

Sides = np.ndarray[tuple[int, ...], np.dtype[np.int8]]


@dataclass(frozen=True)
class Kinks:
    """The problems above, one in each of q columns.

    Parameters
    ----------
    rows : (n, d), A.
    target : (n, q), y.
    curvature : (d,), h; a last one of 0 is a coordinate without curvature.
    linear : (d, q), g.
    lower, upper : (n,), ends of the dual intervals.
    """

    rows: Array
    target: Array
    curvature: Array
    linear: Array
    lower: Array
    upper: Array


@dataclass(frozen=True)
class Found:
    """θ (d, q), duals (n, q), which columns settled or were stopped, rounds spent on each, (q,)."""

    theta: Array
    dual: Array
    settled: Mask
    stopped: Mask
    n_iter: Index


def guess_sides(
    kinks: Kinks,
    side: Sides,
    max_iter: int,
    on_iteration: Callable[[int, Array], bool] | None = None,
) -> Found:
    """Solve from sides (n, q): 1 and -1 for rows above and below, 0 for rows at their kink.

    ``on_iteration`` is called with a column and its θ after each round on it; True stops it.
    """
    n, q = kinks.target.shape
    theta, dual = np.zeros((kinks.rows.shape[1], q)), np.zeros((n, q))
    settled, n_iter = np.zeros(q, dtype=bool), np.zeros(q, dtype=np.intp)
    stopped = np.zeros_like(settled)
    side, open_ = side.copy(), np.arange(q)
    for _ in range(min(NEWTON_STEPS, max_iter)):
        here, known, solved = _equations(kinks, side[:, open_], open_)
        open_, here, known = open_[solved], here[:, solved], known[:, solved]
        n_iter[open_] += 1
        theta[:, open_], dual[:, open_] = here, known
        residual = kinks.target[:, open_] - kinks.rows @ here
        changed = _changed(kinks, side[:, open_], known, residual, open_)
        same = (changed == side[:, open_]).all(axis=0)
        side[:, open_], settled[open_] = changed, same
        if on_iteration is not None:
            stopped[open_] = [on_iteration(int(k), theta[:, k]) for k in open_]
        open_ = open_[~same & ~stopped[open_]]
        if not len(open_):
            break
    return Found(theta, dual, settled, stopped, n_iter)


@dataclass(frozen=True)
class Diagonal:
    """A `KinkedQuadratic` as `Kinks` of one column, θ = Lᵀδ.

    ``factor`` is L, None for the identity.
    """

    kinks: Kinks
    factor: Array | None

    def primal_dual_active_set(self, side: Sides) -> tuple[Array, Array, Mask] | None:
        """δ, the duals and the rows at their kink, if the sides (n,) soon lead to the optimum.

        Rows beside their kink have a dual at the very end of its interval.
        """
        found = guess_sides(self.kinks, side[:, None], ROUNDS)
        if not found.settled[0]:
            return None
        delta, dual = found.theta[:, 0], found.dual[:, 0]
        if self.factor is not None:
            delta = solve_triangular(self.factor, delta, lower=True, trans=1, check_finite=False)
        inside = (dual > self.kinks.lower) & (dual < self.kinks.upper)
        return delta, np.clip(dual, self.kinks.lower, self.kinks.upper), inside


def diagonalised(kq: KinkedQuadratic) -> Diagonal | None:
    """Return the problem in coordinates in which H is diagonal.

    None where H is not certainly regular.
    """
    rows, linear, factor = kq.rows.held, kq.linear, None
    if kq.coupling is not None:
        return None
    h = np.diag(kq.hessian)
    if rows is None or h.min() <= REGULAR * h.max():
        return None
    if np.count_nonzero(kq.hessian) > len(h):
        factor = factor_if_regular(kq.hessian)
        if factor is None:
            return None
        rows = solve_triangular(factor, rows.T, lower=True, check_finite=False).T
        linear = solve_triangular(factor, linear, lower=True, check_finite=False)
        h = np.ones(len(h))
    kinks = Kinks(rows, kq.residual[:, None], h, linear[:, None], kq.lower, kq.upper)
    return Diagonal(kinks, factor)


def _equations(kinks: Kinks, side: Sides, columns: Index) -> tuple[Array, Array, Mask]:
    """θ and duals of the given sides, and the columns whose equations are regular."""
    a, h, g = kinks.rows, kinks.curvature[:, None], kinks.linear[:, columns]
    curved: Mask = kinks.curvature != 0
    root = np.sqrt(kinks.curvature[curved])
    dual = np.where(side > 0, kinks.upper[:, None], kinks.lower[:, None])
    dual[side == 0] = 0.0
    fixed = g + a.T @ dual
    theta = np.divide(fixed, h, out=np.zeros_like(g), where=curved[:, None])
    shift: Array = np.zeros(len(columns))
    solved: Mask = np.zeros(len(columns), dtype=bool)
    last: tuple[Index, Array | None] | None = None
    for i, k in enumerate(columns):
        index = np.flatnonzero(side[:, i] == 0)
        rows = a[index]
        if last is None or not np.array_equal(last[0], index):
            last = index, _factor(rows[:, curved] / root)
        factor = last[1]
        if factor is None or not (len(index) or curved.all()):
            continue
        solved[i] = True
        if not len(index):
            continue
        rhs = (kinks.target[index, k] - rows[:, curved] @ theta[curved, i])[:, None]
        both = lapack.dpotrs(factor, np.hstack([rhs, rows[:, ~curved]]), lower=True)[0]
        if not curved.all():
            column = rows[:, -1]
            shift[i] = (column @ both[:, 0] + fixed[-1, i]) / (column @ both[:, 1])
            both[:, 0] -= shift[i] * both[:, 1]
        dual[index, i] = both[:, 0]
    np.divide(g + a.T @ dual, h, out=theta, where=curved[:, None])
    theta[~curved] = shift
    return theta, dual, solved & np.isfinite(theta).all(axis=0)


def _factor(rows: Array) -> Array | None:
    """Cholesky factor of the products of the rows; None where they are dependent."""
    if not len(rows):
        return rows
    if len(rows) > rows.shape[1] + 1:
        return None
    factor, info = lapack.dpotrf(rows @ rows.T, lower=True)
    return factor if info == 0 else None


def _changed(kinks: Kinks, side: Sides, dual: Array, residual: Array, columns: Index) -> Sides:
    """Return the sides that duals and residuals ask for."""
    slack = FLAT * (kinks.upper - kinks.lower)[:, None]
    rounding = FLAT * np.abs(kinks.target[:, columns]).max(axis=0)
    changed = side.copy()
    at = side == 0
    changed[at & (dual > kinks.upper[:, None] + slack)] = 1
    changed[at & (dual < kinks.lower[:, None] - slack)] = -1
    changed[side * residual < -rounding] = 0
    return changed
