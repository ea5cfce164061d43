r"""Primal-dual interior point with Mehrotra's predictor and corrector, and crossover.

The kinked problem of `piecewise` with r = u - v, u, v ≥ 0, and duals a = lower + width·α:

    width_i u_i (1 - α_i) = width_i μ,   width_i v_i α_i = width_i μ,   Hδ - g = Aᵀa,   μ → 0.

Barriers are weighted by the width of the dual interval, so that a row of tiny weight is followed
exactly like any other. The Newton system is (H + Aᵀ diag(width·D) A) dδ = ..., D = 1 / (u/(1-α) +
v/α). Sources: Koenker & d'Orey (1987) and Portnoy & Koenker (1997) for the bounded dual of
L1 regression, Mehrotra (1992) for the predictor-corrector, Nocedal & Wright (2006), algorithm 16.4,
for the quadratic term. Departures: the start is perfectly centred for any residuals, so only
stationarity is infeasible; and as soon as the rows at their kink can be told, `crossover` solves
for the exact optimum, whose own gap decides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import lapack

from skfairloss._solvers.crossover import polish
from skfairloss._solvers.piecewise import PiecewiseQuadratic, PiecewiseSolution
from skfairloss._threads import one_blas_thread
from skfairloss._typing import Array

_TRY_POLISH = 1e-3  # gap, relative to the kinked terms, below which crossover is tried
_LONG_STEP = 0.9995
_LARGE = 400  # columns from which several BLAS threads are a gain


@dataclass(frozen=True)
class _Point:
    """An iterate: δ, the parts u, v of the residual and the distances of α from its two ends."""

    delta: Array
    u: Array
    v: Array
    to_upper: Array  # 1 - α, complementary to u
    to_lower: Array  # α, complementary to v


@dataclass(frozen=True)
class _Direction:
    delta: Array
    u: Array
    v: Array
    alpha: Array


def interior_point(
    pq: PiecewiseQuadratic,
    *,
    tol: float,
    floor: float,
    max_iter: int,
    crossover: bool = True,
    on_iteration: Callable[[PiecewiseSolution], bool] | None = None,
) -> PiecewiseSolution:
    """Solve a kinked problem to a duality gap of ``tol`` · max(objective, ``floor``).

    Parameters
    ----------
    pq : the problem; every row has a positive width. Its objective, constant included, is >= 0
        unless fixed signs are wrong: then it may be unbounded, and the search for it ends.
    tol : relative gap at which to stop.
    floor : objective, in the problem's units, below which gaps are absolute.
    max_iter : iterations allowed.
    crossover : whether to end at an exact optimum.
    on_iteration : called after each iteration with the best so far; True stops.
    """
    if not pq.rows.n_rows or not pq.rows.n_columns:
        return _trivial(pq)
    # at its limit an iterate may overflow: its gap is then no number, and it is not taken
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        if pq.rows.n_columns > _LARGE:
            return _iterate(pq, tol, floor, max_iter, crossover, on_iteration)
        with one_blas_thread():
            return _iterate(pq, tol, floor, max_iter, crossover, on_iteration)


def _iterate(
    pq: PiecewiseQuadratic,
    tol: float,
    floor: float,
    max_iter: int,
    crossover: bool,
    on_iteration: Callable[[PiecewiseSolution], bool] | None,
) -> PiecewiseSolution:
    """The iterations of `interior_point`."""
    point = _centred_start(pq)
    best = _evaluate(pq, point, 0)
    lowest = abs(pq.objective(point.delta))
    start_size = float(pq.width @ (point.u + point.v))
    stopped = False
    for iteration in range(1, max_iter + 1):
        step = _newton_step(pq, point)
        if step is None:
            break
        point = step
        complementarity = float(pq.width @ (point.u * point.to_upper + point.v * point.to_lower))
        size = float(pq.width @ (point.u + point.v))
        ready = crossover and complementarity <= _TRY_POLISH * size
        found = _crossed(pq, point, iteration) if ready else None
        if found is not None and found.gap < best.gap:
            best = found
        if not best.polished or complementarity <= 1e-2 * best.gap:
            plain = _evaluate(pq, point, iteration)
            best = plain if plain.gap < best.gap else best
        objective = pq.objective(best.delta)
        if objective < -lowest:
            break
        target = tol * max(objective, floor)
        stopped = on_iteration is not None and on_iteration(best)
        if stopped:
            break
        if best.gap <= target and (best.polished or not crossover):
            break
        if complementarity <= 1e-17 * start_size:  # below rounding: nothing more to gain
            break
    return replace(best, n_iter=iteration, stopped=stopped)


def _trivial(pq: PiecewiseQuadratic) -> PiecewiseSolution:
    """Nothing to move, or a quadratic alone: one system of equations."""
    start = np.zeros(pq.rows.n_columns)
    dual = np.where(pq.residual > 0, pq.upper, np.where(pq.residual < 0, pq.lower, 0.0))
    active = pq.residual == 0
    delta = polish(pq, start, dual, active)[0] if len(start) else start
    return PiecewiseSolution(delta, dual, active, 0.0, 1, True)


def _centred_start(pq: PiecewiseQuadratic) -> _Point:
    """δ = 0 with u (1 - α) = v α = μ exactly for every row, whatever its residual."""
    r = pq.residual
    mu = 0.5 * max(pq.residual_scale, 1e-3 * pq.unit, 1e-12 * float(np.abs(r).max()), 1e-300)
    root = np.hypot(2 * mu, r)
    larger = 0.5 * (2 * mu + np.abs(r) + root)  # of u and v; the other from u (1 - α) + v α = ...
    other = mu * larger / (larger - mu)
    u, v = np.where(r > 0, larger, other), np.where(r > 0, other, larger)
    return _Point(np.zeros(pq.rows.n_columns), u, v, mu / u, mu / v)


def _dual(pq: PiecewiseQuadratic, point: _Point) -> Array:
    """a, from whichever end of the interval is closer: no digits are lost near either."""
    low = point.to_lower <= point.to_upper
    return np.where(low, pq.lower + pq.width * point.to_lower, pq.upper - pq.width * point.to_upper)


def _newton_step(pq: PiecewiseQuadratic, point: _Point) -> _Point | None:
    """One predictor-corrector step; None where the Newton matrix cannot be factored."""
    ratio_u, ratio_v = point.u / point.to_upper, point.v / point.to_lower
    d = 1.0 / (ratio_u + ratio_v)
    matrix = pq.hessian + pq.rows.gram(pq.width * d)
    diagonal = np.einsum("ii->i", matrix)
    diagonal *= 1.0 + 1e-14
    factor, info = lapack.dpotrf(matrix, lower=True)
    if info != 0:
        return None
    imbalance = pq.hessian @ point.delta - pq.linear - pq.rows.adjoint(_dual(pq, point))

    def direction(target_u: Array, target_v: Array) -> _Direction:
        """Newton direction towards changes of u(1-α) and vα by the targets."""
        rho = target_v / point.to_lower - target_u / point.to_upper
        rhs = pq.rows.adjoint(pq.width * d * rho) - imbalance
        delta = lapack.dpotrs(factor, rhs, lower=True)[0]
        alpha = d * (rho - pq.rows.dot(delta))
        du = (target_u + point.u * alpha) / point.to_upper
        dv = (target_v - point.v * alpha) / point.to_lower
        return _Direction(delta, du, dv, alpha)

    product_u, product_v = point.u * point.to_upper, point.v * point.to_lower
    affine = direction(-product_u, -product_v)
    primal, dual = _step_lengths(pq, point, affine, 1.0)
    weight = pq.width
    mu = float(weight @ (product_u + product_v)) / (2 * weight.sum())
    ahead = float(
        weight @ ((point.u + primal * affine.u) * (point.to_upper - dual * affine.alpha))
        + weight @ ((point.v + primal * affine.v) * (point.to_lower + dual * affine.alpha))
    ) / (2 * weight.sum())
    centred = mu * min(1.0, max(ahead / mu, 0.0)) ** 3
    corrected = direction(
        centred - product_u + affine.u * affine.alpha,
        centred - product_v - affine.v * affine.alpha,
    )
    primal, dual = _step_lengths(pq, point, corrected, _LONG_STEP)
    return _Point(
        point.delta + primal * corrected.delta,
        point.u + primal * corrected.u,
        point.v + primal * corrected.v,
        point.to_upper - dual * corrected.alpha,
        point.to_lower + dual * corrected.alpha,
    )


def _step_lengths(
    pq: PiecewiseQuadratic, point: _Point, direction: _Direction, share: float
) -> tuple[float, float]:
    """Longest primal and dual steps that stay positive; one length for both with a quadratic."""
    primal = max(float((-direction.u / point.u).max()), float((-direction.v / point.v).max()))
    dual = max(
        float((direction.alpha / point.to_upper).max()),
        float((-direction.alpha / point.to_lower).max()),
    )
    steps = [min(1.0, share / slope) if slope > 0 else 1.0 for slope in (primal, dual)]
    if pq.hessian.any():
        steps = [min(steps)] * 2
    return steps[0], steps[1]


def _evaluate(pq: PiecewiseQuadratic, point: _Point, iteration: int) -> PiecewiseSolution:
    """The iterate itself as a solution."""
    a = _dual(pq, point)
    active = np.zeros(len(a), dtype=bool)
    return PiecewiseSolution(point.delta, a, active, pq.gap(point.delta, a), iteration, False)


def _crossed(pq: PiecewiseQuadratic, point: _Point, iteration: int) -> PiecewiseSolution | None:
    """The exact optimum for the rows that look as if at their kink.

    On the central path u (1 - α) = v α = μ: at the kink u and v vanish with μ, elsewhere one of
    1 - α and α does. The two are told apart by comparing them in units of the residual scale.
    """
    scale = max(pq.residual_scale, 1e-300)
    inside = np.minimum(point.to_upper, point.to_lower)
    active = inside * scale > np.minimum(point.u, point.v) + np.abs(point.u - point.v)
    delta, a = polish(pq, point.delta, _dual(pq, point), active)
    clipped = np.clip(a, pq.lower, pq.upper)
    gap = pq.gap(delta, clipped)
    if not np.isfinite(gap):
        return None
    return PiecewiseSolution(delta, clipped, active, gap, iteration, True)
