r"""Primal-dual interior point for fits whose group losses are constrained.

As `interior_point`, also in its barriers, with one more multiplier μ_j and slack s_j for each
constraint: the dual interval of row i is W_g(i) [lower_i, upper_i] with W = base + μ, so it grows
with the multipliers of its group. Perturbed optimality conditions:

    u_i (W upper_i - a_i) = aim_i σ,   v_i (a_i - W lower_i) = aim_i σ,   s_j μ_j = σ',
    Σ_g W_g ∇F_g^smooth + Hδ - linear = Aᵀa,   slopeᵀμ = γ,   F_g(j) + s_j = bound_j + slope_j t.

Eliminating rows leaves M dδ - B dμ = ..., M block diagonal over the outputs, B the gradients of the
group losses; a system of J + 1 equations in (μ, t) remains. Mehrotra's predictor and corrector and
equal primal and dual steps (Nocedal & Wright 2006, algorithm 16.4; section 19.3 for nonlinear
constraints, which are convex quadratics here, so that Newton's method needs no line search beyond
positivity in practice; the certificate decides).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import lapack

from skfairloss._core.solution import Measured
from skfairloss._design.threads import one_blas_thread
from skfairloss._solvers.group_crossover import group_polish
from skfairloss._solvers.grouped import GroupedQuadratic, combined
from skfairloss._typing import Array, Mask

_LONG_STEP = 0.995  # of the way to the boundary
_TRY_POLISH = 1e-4  # gap, relative to the objective, below which crossover is tried
_MANY = 2  # rows at their kink, as a multiple of the unknowns, from which crossover is not tried
_EXACT = 1e-7  # slack of a group's rows, relative to their loss, at an exact optimum
_SETTLED = 1e-5  # complementarity of a group's rows, relative to their weight and size
_WAIT = 12  # iterations that an exact optimum may take after the gap is closed
_PATIENCE = 25  # iterations without progress, from which rounding is all that is left


@dataclass(frozen=True)
class GroupedSolution:
    """δ, the multipliers, the duals a of the rows, gap, objective and the iterations spent.

    ``stopped`` tells an end by ``on_iteration``; ``measured`` is what the certificate's pass found
    of it, None where it was not made.
    """

    delta: Array
    multipliers: Array
    dual: Array
    gap: float
    objective: float
    n_iter: int
    stopped: bool = False
    measured: Measured | None = None


@dataclass(frozen=True)
class _Point:
    """An iterate: δ, t, slacks, multipliers, parts u, v of the residuals and their duals' room."""

    delta: Array
    t: float
    slack: Array
    multipliers: Array
    u: Array
    v: Array
    to_upper: Array  # W upper - a, complementary to u
    to_lower: Array  # a - W lower, complementary to v


@dataclass(frozen=True)
class _Direction:
    delta: Array
    t: float
    slack: Array
    multipliers: Array
    u: Array
    v: Array
    to_upper: Array
    to_lower: Array


def group_interior_point(
    gq: GroupedQuadratic,
    *,
    tol: float,
    floor: float,
    max_iter: int,
    crossover: bool = True,
    on_iteration: Callable[[GroupedSolution], bool] | None = None,
    multipliers: Array | None = None,
    power: float = 0.5,
) -> GroupedSolution:
    """Solve to a gap of ``tol`` · max(objective, ``floor``), or as far as rounding lets it.

    Parameters
    ----------
    gq : the problem.
    tol, floor : relative gap at which to stop, and the objective below which it is absolute.
    max_iter : iterations allowed.
    crossover : whether to try for an exact optimum.
    on_iteration : called after each iteration with the best so far; True stops.
    multipliers : (J,), of a problem close to this one, to begin with.
    power : of the widths of the dual intervals that barriers are weighted by: 0.5 takes the fewest
        iterations, 1 gets further where bounds can hardly be met.
    """
    # at its limit an iterate may overflow: its gap is then no number, and it is not taken
    with one_blas_thread(), np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        point, best, waited, stopped = _start(gq, multipliers, power), nothing_moved(gq), 0, False
        crossed: GroupedSolution | None = None
        stalled, lowest = 0, np.inf
        before: _Guess | None = None
        tried: _Guess | None = None
        for iteration in range(1, max_iter + 1):
            system = _system(gq, point)
            if system is None:
                break
            here = _solution(point, system, iteration)
            # multipliers that have to grow keep the gap large while the violation falls
            violation = float(np.abs(system.infeasibility).sum())
            stalled = 0 if here.gap < 0.9 * best.gap or violation < 0.9 * lowest else stalled + 1
            best = here if here.gap < 0.9 * best.gap else best
            lowest = min(lowest, violation)
            settled = _settled(gq, point, system)
            guess = _guess(gq, point, here) if crossover and settled else None
            if guess is not None and guess.same(before) and not guess.same(tried):
                crossed, tried = _crossed(gq, here, guess), guess
                if crossed is not None and crossed.gap < best.gap:
                    best = crossed
            before = guess
            stopped = on_iteration is not None and on_iteration(best)
            if stopped or stalled > _PATIENCE:
                break
            if best.gap <= tol * max(abs(best.objective), floor):
                # An exact optimum is worth waiting for, and groups of tiny weight are to be as
                # close to theirs as the others.
                waited += 1
                exact = best is crossed or (settled and guess is None)
                if exact or not crossover or waited > _WAIT:
                    best = best if best is crossed else here
                    break
            moved = _step(gq, point, system, power)
            if moved is None:
                break
            point = moved
    return replace(best, n_iter=iteration, stopped=stopped)


def _settled(gq: GroupedQuadratic, point: _Point, system: _System) -> bool:
    """Return True where rows of every group are near their optimum, however little it weighs.

    While a group's weight falls its rows lag behind: their complementarity is that of the weight
    before.
    """
    box = system.weights[gq.codes, None] * (gq.upper - gq.lower)
    product = point.u * point.to_upper + point.v * point.to_lower
    sums, boxes = gq.by_group(product), gq.by_group(box)
    rows = boxes > 0
    return bool((sums[rows] <= _SETTLED * gq.size * boxes[rows]).all())


def nothing_moved(gq: GroupedQuadratic) -> GroupedSolution:
    """The start, γ shared equally, with an infinite gap."""
    shared = gq.slope * gq.worst_weight / max(float(gq.slope.sum()), 1e-300)
    return GroupedSolution(
        np.zeros_like(gq.linear), shared, np.zeros_like(gq.residual), np.inf, np.inf, 0
    )


def _solution(point: _Point, system: _System, iteration: int) -> GroupedSolution:
    """The iterate as a solution."""
    return GroupedSolution(
        point.delta, point.multipliers, system.dual, system.gap, system.objective, iteration
    )


@dataclass(frozen=True)
class _Guess:
    """Rows (N, m) that look as if they ended at their kink, constraints (J,) as if they bound."""

    active: Mask
    binding: Mask

    def same(self, other: _Guess | None) -> bool:
        """Return True where another guess has the same rows and constraints."""
        return (
            other is not None
            and np.array_equal(self.active, other.active)
            and np.array_equal(self.binding, other.binding)
        )


def _guess(gq: GroupedQuadratic, point: _Point, here: GroupedSolution) -> _Guess | None:
    """Return what looks active. None where that cannot be told: far from an optimum, or at ties."""
    if not here.gap <= _TRY_POLISH * abs(here.objective):
        return None
    scale = max(gq.size, 1e-300)
    box = gq.group_weights(point.multipliers)[gq.codes, None] * (gq.upper - gq.lower)
    inside = np.minimum(point.to_upper, point.to_lower) / np.maximum(box, 1e-300)
    active = inside * scale > np.minimum(point.u, point.v) + np.abs(point.u - point.v)
    if active.sum() > _MANY * here.delta.size:
        return None
    weight = max(float(gq.base[:-1].sum()), gq.worst_weight)
    level = max(abs(here.objective), 1e-300) / weight
    return _Guess(active, point.multipliers / weight > point.slack / level)


def _crossed(gq: GroupedQuadratic, here: GroupedSolution, guess: _Guess) -> GroupedSolution | None:
    """The exact optimum for what looks active; a gap of infinity where it is none."""
    found = group_polish(gq, here.delta, here.multipliers, here.dual, guess.active, guess.binding)
    if found is None:
        return None
    delta, multipliers, dual = found
    gap = gq.gap(delta, multipliers, dual)
    objective = gq.objective(delta)
    if not (np.isfinite(gap) and exact_in_every_group(gq, delta, multipliers, dual)):
        gap = np.inf
    return GroupedSolution(delta, multipliers, dual, gap, objective, here.n_iter)


def _start(gq: GroupedQuadratic, guess: Array | None, power: float) -> _Point:
    """δ = 0, every row centred, γ shared equally, slacks of the size of the losses.

    A guess of the multipliers is taken where it is larger.
    """
    r = gq.residual
    sloped = gq.slope > 0
    width = gq.upper - gq.lower
    multipliers = np.full(len(gq.bound), 0.1 * float(gq.base[:-1].sum()) / max(len(gq.bound), 1))
    if sloped.any():
        multipliers[sloped] = gq.worst_weight / float(gq.slope.sum())
    usual = multipliers
    if guess is not None and not sloped.any():
        multipliers = np.maximum(multipliers, guess)
    box = gq.group_weights(multipliers)[gq.codes, None] * width
    mu = 0.5 * max(gq.size, 1e-12 * float(np.abs(r).max(initial=0.0)), 1e-300)
    mu = mu * _aims(box, power) / np.maximum(box, 1e-300)
    root = np.hypot(2 * mu, r)
    larger = 0.5 * (2 * mu + np.abs(r) + root)
    other = mu * larger / (larger - mu)
    u, v = np.where(r > 0, larger, other), np.where(r > 0, other, larger)
    losses = gq.smooth_losses(np.zeros_like(gq.linear)) + gq.by_group(gq.upper * u - gq.lower * v)
    held = np.abs(losses[gq.constrained])
    size = 0.1 * float(held.mean()) + 1e-300 if len(held) else 0.0
    t = gq.level(losses) + size if sloped.any() else 0.0
    room = gq.bound + gq.slope * t - losses[gq.constrained]
    slack = np.maximum(room, size * usual / multipliers)
    return _Point(np.zeros_like(gq.linear), t, slack, multipliers, u, v, box * mu / u, box * mu / v)


def _aims(box: Array, power: float) -> Array:
    """Return the targets of complementarities, up to a factor: powers of interval widths."""
    live = box > 0
    if power == 1.0 or not live.any():
        return box
    return box**power * box.mean(where=live) ** (1.0 - power)


@dataclass(frozen=True)
class _System:
    """Everything of the Newton system that both directions share."""

    weights: Array
    dual: Array
    stationarity: Array
    sloped: float
    infeasibility: Array
    d: Array
    tilt: Array
    factors: list[Array]
    pulls: Array  # (m, d, J)
    solved: Array  # M⁻¹ B, (m, d, J)
    reduced: Array  # (J, J)
    gap: float
    objective: float


def exact_in_every_group(
    gq: GroupedQuadratic, delta: Array, multipliers: Array, dual: Array
) -> bool:
    """Return True where the rows of each group are complementary at the group's own weight."""
    residual = gq.residual - gq.rows.dot(delta)
    weights = gq.group_weights(multipliers)
    own = weights[gq.codes, None]
    kinks = np.where(residual > 0, gq.upper, gq.lower) * residual
    bounded = np.clip(dual, own * gq.lower, own * gq.upper)
    slack = gq.by_group(np.maximum(own * kinks - bounded * residual, 0.0))
    return bool((slack <= weights * (_EXACT * (gq.by_group(kinks) + gq.size))).all())


def _system(gq: GroupedQuadratic, point: _Point) -> _System | None:
    """The Newton system of an iterate; None where a matrix cannot be factored."""
    weights = gq.group_weights(point.multipliers)
    own = weights[gq.codes, None]
    low = point.to_lower <= point.to_upper
    dual = np.where(low, own * gq.lower + point.to_lower, own * gq.upper - point.to_upper)
    ratio_u, ratio_v = point.u / point.to_upper, point.v / point.to_lower
    d = 1.0 / (ratio_u + ratio_v)
    tilt = ratio_u * gq.upper + ratio_v * gq.lower
    losses = gq.smooth_losses(point.delta)
    losses = losses + gq.by_group(gq.upper * point.u - gq.lower * point.v)
    slopes = gq.smooth_slopes(point.delta)
    stationarity = gq.stationarity(point.delta, point.multipliers, dual)
    infeasibility = losses[gq.constrained] + point.slack - gq.bound - gq.slope * point.t
    sloped = gq.worst_weight - float(gq.slope @ point.multipliers)
    blocks = _blocks(gq, weights, d, tilt, slopes)
    if blocks is None:
        return None
    factors, pulls, solved = blocks
    own_spread = gq.upper**2 * ratio_u + gq.lower**2 * ratio_v - d * tilt**2
    same = gq.constrained[:, None] == gq.constrained
    reduced = np.einsum("kij,kil->jl", pulls, solved)
    reduced += same * gq.by_group(own_spread)[gq.constrained]
    reduced += np.diag(point.slack / point.multipliers)
    complementarity = float(
        point.multipliers @ point.slack
        + (point.u * point.to_upper + point.v * point.to_lower).sum()
    )
    objective = float(gq.base @ losses) + gq.worst_weight * point.t
    objective += gq.own_objective(point.delta)
    open_ends = float(np.linalg.norm(stationarity)) * gq.size
    open_ends += float((1.0 + point.multipliers) @ np.abs(infeasibility)) + abs(sloped * point.t)
    return _System(
        weights, dual, stationarity, sloped, infeasibility, d, tilt, factors, pulls, solved,
        reduced, complementarity + open_ends, objective,
    )  # fmt: skip


def _blocks(
    gq: GroupedQuadratic, weights: Array, d: Array, tilt: Array, slopes: Array
) -> tuple[list[Array], Array, Array] | None:
    """For each output: the factor of M, B (minus the gradients of the group losses), and M⁻¹ B."""
    factors, solved = [], []
    smooth = combined(weights, gq.grams)
    pulls = (slopes + gq.pulls(d * tilt))[gq.constrained].transpose(2, 1, 0)
    for k in range(len(gq.curvature)):
        matrix = gq.hessian[k] + gq.curvature[k] * smooth
        if gq.rows.n_rows:
            matrix = matrix + gq.rows.gram(d[:, k])
        diagonal = np.einsum("ii->i", matrix)
        diagonal *= 1.0 + 1e-14
        factor, info = lapack.dpotrf(matrix, lower=True)
        if info != 0:
            return None
        factors.append(factor)
        solved.append(_solve(factor, pulls[k]))
    return factors, pulls, np.array(solved)


def _solve(factor: Array, rhs: Array) -> Array:
    """Solve with a Cholesky factor."""
    return lapack.dpotrs(factor, rhs, lower=True)[0] if rhs.size else np.zeros_like(rhs)


def _solve_small(matrix: Array, rhs: Array) -> Array:
    """Solve a few equations; raise LinAlgError where they are singular."""
    if not len(rhs):
        return rhs
    unknown, info = lapack.dgesv(matrix, rhs)[2:]
    if info != 0:
        raise np.linalg.LinAlgError("singular")
    return unknown


def _direction(
    gq: GroupedQuadratic,
    point: _Point,
    system: _System,
    target_u: Array,
    target_v: Array,
    target_s: Array,
) -> _Direction:
    """Newton direction towards changes of u to_upper, v to_lower and s μ by the targets."""
    rho = target_v / point.to_lower - target_u / point.to_upper
    rhs = gq.rows.adjoint(system.d * rho) - system.stationarity
    first = np.column_stack([_solve(factor, rhs[:, k]) for k, factor in enumerate(system.factors)])
    shift = gq.upper * target_u / point.to_upper - gq.lower * target_v / point.to_lower
    shift = gq.by_group(shift + system.tilt * system.d * rho)[gq.constrained]
    equation = target_s / point.multipliers + shift + system.infeasibility
    n = len(equation)
    equation -= system.pulls.reshape(first.size, n).T @ first.T.ravel()
    if gq.slope.any():
        bordered = np.zeros((n + 1, n + 1))
        bordered[:n, :n], bordered[:n, n], bordered[n, :n] = system.reduced, gq.slope, gq.slope
        unknown = _solve_small(bordered, np.append(equation, system.sloped))
        multipliers, t = unknown[:n], float(unknown[n])
    else:
        multipliers, t = _solve_small(system.reduced, equation), 0.0
    delta = first + (system.solved @ multipliers).T
    change = np.zeros(gq.n_groups)
    np.add.at(change, gq.constrained, multipliers)
    own = change[gq.codes, None]
    dual = system.d * (rho - gq.rows.dot(delta) + system.tilt * own)
    to_upper, to_lower = gq.upper * own - dual, dual - gq.lower * own
    return _Direction(
        delta,
        t,
        (target_s - point.slack * multipliers) / point.multipliers,
        multipliers,
        (target_u - point.u * to_upper) / point.to_upper,
        (target_v - point.v * to_lower) / point.to_lower,
        to_upper,
        to_lower,
    )


def _step(gq: GroupedQuadratic, point: _Point, system: _System, power: float) -> _Point | None:
    """One predictor-corrector step; None where the equations cannot be solved."""
    product_u, product_v = point.u * point.to_upper, point.v * point.to_lower
    product_s = point.slack * point.multipliers
    rows, constraints = float((product_u + product_v).sum()), float(product_s.sum())
    try:
        affine = _direction(gq, point, system, -product_u, -product_v, -product_s)
        length = _length(point, affine, 1.0)
        ahead = _moved(point, affine, length)
        # rows share their complementarity by the width of their intervals, constraints equally
        box = _aims(system.weights[gq.codes, None] * (gq.upper - gq.lower), power)
        then = float((ahead.u * ahead.to_upper + ahead.v * ahead.to_lower).sum())
        then += float(ahead.slack @ ahead.multipliers)
        shrink = min(1.0, max(then / max(rows + constraints, 1e-300), 0.0)) ** 3
        share = shrink * rows / max(2 * float(box.sum()), 1e-300)
        equal = shrink * constraints / max(len(product_s), 1)
        corrected = _direction(
            gq,
            point,
            system,
            share * box - product_u - affine.u * affine.to_upper,
            share * box - product_v - affine.v * affine.to_lower,
            equal - product_s - affine.slack * affine.multipliers,
        )
    except np.linalg.LinAlgError:
        return None
    return _moved(point, corrected, _length(point, corrected, _LONG_STEP))


def _length(point: _Point, direction: _Direction, share: float) -> float:
    """Longest step that keeps all that must be positive so."""
    names = ("slack", "multipliers", "u", "v", "to_upper", "to_lower")
    slopes = [
        -float((getattr(direction, name) / getattr(point, name)).min(initial=0.0)) for name in names
    ]
    steepest = max(slopes)
    return min(1.0, share / steepest) if steepest > 0 else 1.0


def _moved(point: _Point, direction: _Direction, length: float) -> _Point:
    return _Point(
        point.delta + length * direction.delta,
        point.t + length * direction.t,
        point.slack + length * direction.slack,
        point.multipliers + length * direction.multipliers,
        point.u + length * direction.u,
        point.v + length * direction.v,
        point.to_upper + length * direction.to_upper,
        point.to_lower + length * direction.to_lower,
    )
