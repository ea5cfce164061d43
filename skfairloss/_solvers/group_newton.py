r"""Group losses without kinks: Newton's method on the dual, with multipliers as its only unknowns.

For multipliers μ the Lagrangian is a quadratic, with its minimum at δ(μ). Its value there is
concave in μ, with the gradient F_g(j)(δ) - bound_j and the second derivative -BᵀM⁻¹B, M being the
matrix of the quadratic and B the gradients of the group losses. Each step maximises the quadratic
model over

    μ >= 0,   slopeᵀμ = γ

by an active set (Nocedal & Wright 2006, section 16.5); it is shortened where the dual falls. Near
the solution convergence is quadratic. Where the method does not get there, as where multipliers
have no bound, the interior point is to be taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import lapack

from skfairloss._design.threads import one_blas_thread
from skfairloss._solvers.group_interior_point import GroupedSolution, nothing_moved
from skfairloss._solvers.grouped import GroupedQuadratic, combined
from skfairloss._typing import Array, Mask

_STEPS = 20  # after which the interior point is the better choice
_HALVINGS = 6  # of a step at most, until the dual does not fall
_ROUNDING = 1e-13  # relative to the objective
_DEPENDENT = 1e-12  # added to the diagonal of BᵀM⁻¹B, relative to it


@dataclass(frozen=True)
class _Dual:
    """Multipliers, δ(μ) (d, m), factors of M, F_g(j) - bound_j, and the value of the dual.

    ``rest`` is the size of the gradient in δ that rounding leaves.
    """

    multipliers: Array
    delta: Array
    factors: list[Array]
    excess: Array
    value: float
    rest: float


def group_newton(
    gq: GroupedQuadratic,
    *,
    tol: float,
    floor: float,
    max_iter: int,
    on_iteration: Callable[[GroupedSolution], bool] | None = None,
) -> GroupedSolution | None:
    """Solve a problem without rows to a gap of ``tol`` · max(objective, ``floor``).

    None where that is not reached. The start counts as an iteration; the parameters are those of
    `group_interior_point`.
    """
    with one_blas_thread(), np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        start = replace(nothing_moved(gq), n_iter=1)
        if on_iteration is not None and on_iteration(start):
            return replace(start, stopped=True)
        at, last, iteration = _start(gq), np.inf, 1
        while at is not None and np.isfinite(at.value) and iteration < min(max_iter, _STEPS):
            iteration += 1
            gap = _gap(gq, at)
            size = max(abs(at.value + gap), floor)
            here = _solution(gq, at, gap, iteration)
            if on_iteration is not None and on_iteration(here):
                return replace(here, stopped=True)
            if gap <= _ROUNDING * size or not (gap < 0.1 * last or last > tol * size):
                return here if gap <= tol * size else None
            last, change = gap, _direction(gq, at)
            at = None if change is None else _moved(gq, at, change)
    return None


def _start(gq: GroupedQuadratic) -> _Dual | None:
    """The multipliers of a plain fit: γ shared in proportion to the weights in the objective."""
    shares = gq.slope * gq.base[gq.constrained]
    total = float(shares @ gq.slope)
    return _at(gq, gq.worst_weight / total * shares if total > 0 else np.zeros(len(gq.bound)))


def _at(gq: GroupedQuadratic, multipliers: Array) -> _Dual | None:
    """The dual at some multipliers; None where the quadratic has no minimum."""
    weights = gq.group_weights(multipliers)
    smooth = combined(weights, gq.grams)
    target = gq.linear + combined(weights, gq.gradients)
    factors, delta, rest = [], np.empty_like(target), 0.0
    for k, curvature in enumerate(gq.curvature):
        matrix = gq.hessian[k] + curvature * smooth
        factor, info = lapack.dpotrf(matrix, lower=True)
        if info != 0:
            return None
        factors.append(factor)
        delta[:, k] = lapack.dpotrs(factor, target[:, k], lower=True)[0]
        rest = float(np.hypot(rest, np.linalg.norm(matrix @ delta[:, k] - target[:, k])))
    losses = gq.smooth_losses(delta)
    excess = losses[gq.constrained] - gq.bound
    value = float(gq.base @ losses + multipliers @ excess) + gq.own_objective(delta)
    return _Dual(multipliers, delta, factors, excess, value, rest)


def _gap(gq: GroupedQuadratic, at: _Dual) -> float:
    """Return the gap: complementary slacks, violations of bounds, and what rounding leaves."""
    room = gq.slope * _level(gq, at) - at.excess
    slack = float(at.multipliers @ np.abs(room) + np.maximum(-room, 0.0).sum())
    return slack + at.rest * gq.size


def _level(gq: GroupedQuadratic, at: _Dual) -> float:
    """The smallest t."""
    sloped = gq.slope > 0
    return float((at.excess[sloped] / gq.slope[sloped]).max()) if sloped.any() else 0.0


def _solution(gq: GroupedQuadratic, at: _Dual, gap: float, iteration: int) -> GroupedSolution:
    """The point as a solution; its objective is the dual's value and the gap."""
    return GroupedSolution(
        at.delta, at.multipliers, np.zeros_like(gq.residual), gap, at.value + gap, iteration
    )


def _direction(gq: GroupedQuadratic, at: _Dual) -> Array | None:
    """The change of the multipliers that maximises the quadratic model; None where not found."""
    slopes = gq.smooth_slopes(at.delta)[gq.constrained]
    steep = np.zeros((len(at.excess), len(at.excess)))
    for k, factor in enumerate(at.factors):
        pulls = np.ascontiguousarray(slopes[:, :, k].T)
        if pulls.size:
            steep += pulls.T @ lapack.dpotrs(factor, pulls, lower=True)[0]
    diagonal = np.einsum("ii->i", steep)
    diagonal += _DEPENDENT * max(float(diagonal.max(initial=0.0)), 1e-300)
    free = (at.multipliers > 0) | (at.excess > gq.slope * _level(gq, at))
    for _ in range(2 * len(free) + 2):
        change, t = _on_face(gq, at, steep, free)
        new = at.multipliers + change
        if (new[free] < 0).any():
            free &= new >= 0
            continue
        rest = np.where(free, 0.0, at.excess - steep @ change - gq.slope * t)
        worst = int(np.argmax(rest)) if len(rest) else 0
        if not len(rest) or rest[worst] <= _ROUNDING * max(abs(at.value), 1e-300):
            return change
        free[worst] = True
    return None


def _on_face(gq: GroupedQuadratic, at: _Dual, steep: Array, free: Mask) -> tuple[Array, float]:
    """The change, and t, where the multipliers that are not free become 0."""
    change = np.where(free, 0.0, -at.multipliers)
    rhs = (at.excess - steep @ change)[free]
    matrix = steep[np.ix_(free, free)]
    if not gq.slope.any():
        change[free] = np.linalg.solve(matrix, rhs)
        return change, 0.0
    size, slope = len(rhs), gq.slope[free]
    bordered = np.zeros((size + 1, size + 1))
    bordered[:size, :size], bordered[:size, size], bordered[size, :size] = matrix, slope, slope
    missing = gq.worst_weight - float(gq.slope @ (at.multipliers + change))
    unknown = np.linalg.solve(bordered, np.append(rhs, missing))
    change[free] = unknown[:size]
    return change, float(unknown[size])


def _moved(gq: GroupedQuadratic, at: _Dual, change: Array) -> _Dual | None:
    """As far along the change as the dual does not fall."""
    length = 1.0
    for _ in range(_HALVINGS):
        further = _at(gq, np.maximum(at.multipliers + length * change, 0.0))
        if further is not None and further.value >= at.value - _ROUNDING * abs(at.value):
            return further
        length *= 0.5
    return None
