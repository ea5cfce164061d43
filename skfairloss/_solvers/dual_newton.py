r"""Group losses without kinks: Newton's method on the dual, with multipliers as its only unknowns.

For multipliers μ the Lagrangian is a quadratic, with its minimum at δ(μ). Its value there is
concave in μ, with the gradient F_g(j)(δ) - bound_j and the second derivative -BᵀM⁻¹B, M being the
matrix of the quadratic and B the gradients of the group losses. Each step maximises the quadratic
model over

    μ >= 0,   slopeᵀμ = γ

by an active set (Nocedal & Wright 2006, section 16.5); it is shortened where the dual falls. Near
the solution convergence is quadratic. Where the method does not get there, as where multipliers
have no bound, the interior point is the way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import lapack

from skfairloss._design.threads import one_blas_thread
from skfairloss._solvers.coupling import Coupling
from skfairloss._solvers.crossover import NEWTON_STEPS
from skfairloss._solvers.interior_point import nothing_moved
from skfairloss._solvers.kinked import KinkedQuadratic, KinkedSolution
from skfairloss._solvers.tolerances import FLAT, ROUNDS, TINY
from skfairloss._typing import Array, Mask


@dataclass(frozen=True)
class _Dual:
    """The dual at some multipliers.

    Parameters
    ----------
    multipliers : (J,).
    delta : δ(μ), (d, m).
    factors : of M, for each output.
    excess : F_j - bound_j, (J,).
    value : of the dual.
    rest : the size of the gradient in δ that rounding leaves.
    """

    multipliers: Array
    delta: Array
    factors: list[Array]
    excess: Array
    value: float
    rest: float


def dual_newton(
    kq: KinkedQuadratic,
    *,
    tol: float,
    floor: float,
    max_iter: int,
    on_iteration: Callable[[KinkedSolution], bool] | None = None,
    multipliers: Array | None = None,
) -> KinkedSolution | None:
    """Solve a problem without rows to a gap of ``tol`` · max(objective, ``floor``).

    None where that is not reached, or constraints are many. The start counts as an iteration; the
    parameters are those of `interior_point`.
    """
    coupling = kq.coupling
    assert coupling is not None
    if coupling.crowded or not kq.linear.size:  # no coordinate is left: the dual has no curvature
        return None
    with one_blas_thread(), np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        start = replace(nothing_moved(kq), n_iter=1)
        if on_iteration is not None and on_iteration(start):
            return replace(start, stopped=True)
        at, last, iteration = _start(kq, coupling, multipliers), np.inf, 1
        while at is not None and np.isfinite(at.value) and iteration < min(max_iter, NEWTON_STEPS):
            iteration += 1
            gap = _gap(kq, coupling, at)
            size = max(abs(at.value + gap), floor)
            here = _solution(kq, at, gap, iteration)
            if on_iteration is not None and on_iteration(here):
                return replace(here, stopped=True)
            if gap <= FLAT * size or not (gap < 0.1 * last or last > tol * size):
                return here if gap <= tol * size else None
            last, change = gap, _direction(kq, coupling, at)
            at = None if change is None else _moved(kq, coupling, at, change)
    return None


def _start(kq: KinkedQuadratic, coupling: Coupling, guess: Array | None) -> _Dual | None:
    """Return a guess, or the multipliers of a plain fit: γ in proportion to the base weights."""
    if guess is not None and not coupling.leveled:
        return _at(kq, coupling, guess)
    shares = coupling.slope * coupling.base.sum(axis=(0, 2))[coupling.groups]
    total = float(shares @ coupling.slope)
    if total > 0:
        return _at(kq, coupling, coupling.worst_weight / total * shares)
    return _at(kq, coupling, np.zeros(len(coupling.bound)))


def _at(kq: KinkedQuadratic, coupling: Coupling, multipliers: Array) -> _Dual | None:
    """Return the dual at some multipliers. None where the quadratic has no minimum."""
    here = kq.lagrangian(multipliers)
    factors, delta, rest = [], np.empty_like(here.linear), 0.0
    for k, matrix in enumerate(here.hessian if delta.size else []):  # LAPACK takes no empty matrix
        factor, info = lapack.dpotrf(matrix, lower=True)
        if info != 0:
            return None
        factors.append(factor)
        target = here.linear[:, k]
        delta[:, k] = lapack.dpotrs(factor, target, lower=True)[0]
        rest = float(np.hypot(rest, np.linalg.norm(matrix @ delta[:, k] - target)))
    excess = coupling.losses(delta, kq.residual) - coupling.bound
    value = here.objective(delta) - float(multipliers @ coupling.bound)
    return _Dual(multipliers, delta, factors, excess, value, rest)


def _gap(kq: KinkedQuadratic, coupling: Coupling, at: _Dual) -> float:
    """Duality gap: complementarity, plus violated bounds, plus the rounding residual."""
    room = coupling.slope * _level(coupling, at) - at.excess
    slack = float(at.multipliers @ np.abs(room) + np.maximum(-room, 0.0).sum())
    return slack + at.rest * kq.reach


def _level(coupling: Coupling, at: _Dual) -> float:
    """Return the smallest t."""
    return coupling.level(at.excess + coupling.bound)


def _solution(kq: KinkedQuadratic, at: _Dual, gap: float, iteration: int) -> KinkedSolution:
    """Return the point as a solution; its objective is the dual's value and the gap."""
    none, active = np.zeros_like(kq.residual), np.zeros(kq.residual.shape, dtype=bool)
    objective = at.value + gap
    return KinkedSolution(at.delta, none, active, gap, iteration, True, objective, at.multipliers)


def _direction(kq: KinkedQuadratic, coupling: Coupling, at: _Dual) -> Array | None:
    """Maximise the quadratic model over changes of the multipliers. None where not found."""
    slopes = coupling.pulls(kq.rows, at.delta, (kq.residual, kq.residual))
    steep = np.zeros((len(at.excess), len(at.excess)))
    for k, factor in enumerate(at.factors):
        pulls = np.ascontiguousarray(slopes[:, :, k].T)
        if pulls.size:
            steep += pulls.T @ lapack.dpotrs(factor, pulls, lower=True)[0]
    diagonal = np.einsum("ii->i", steep)
    diagonal += FLAT * max(float(diagonal.max(initial=0.0)), TINY)
    free = (at.multipliers > 0) | (at.excess > coupling.slope * _level(coupling, at))
    for _ in range(2 * len(free) + 2):
        change, t = _on_face(coupling, at, steep, free)
        new = at.multipliers + change
        if (new[free] < 0).any():
            free &= new >= 0
            continue
        rest = np.where(free, 0.0, at.excess - steep @ change - coupling.slope * t)
        worst = int(np.argmax(rest)) if len(rest) else 0
        if not len(rest) or rest[worst] <= FLAT * max(abs(at.value), TINY):
            return change
        free[worst] = True
    return None


def _on_face(coupling: Coupling, at: _Dual, steep: Array, free: Mask) -> tuple[Array, float]:
    """Return the change, and t, where the multipliers that are not free become 0."""
    change = np.where(free, 0.0, -at.multipliers)
    rhs = (at.excess - steep @ change)[free]
    matrix = steep[free][:, free]
    if not coupling.leveled:
        change[free] = np.linalg.solve(matrix, rhs)
        return change, 0.0
    size, slope = len(rhs), coupling.slope[free]
    bordered = np.zeros((size + 1, size + 1))
    bordered[:size, :size], bordered[:size, size], bordered[size, :size] = matrix, slope, slope
    missing = coupling.worst_weight - float(coupling.slope @ (at.multipliers + change))
    unknown = np.linalg.solve(bordered, np.append(rhs, missing))
    change[free] = unknown[:size]
    return change, float(unknown[size])


def _moved(kq: KinkedQuadratic, coupling: Coupling, at: _Dual, change: Array) -> _Dual | None:
    """Take the longest step along the change at which the dual does not fall. None if none."""
    length = 1.0
    for _ in range(ROUNDS):
        further = _at(kq, coupling, np.maximum(at.multipliers + length * change, 0.0))
        if further is not None and further.value >= at.value - FLAT * abs(at.value):
            return further
        length *= 0.5
    return None
