r"""Primal-dual interior point with Mehrotra's predictor and corrector, and crossover.

The kinked problem of `piecewise` with r = u - v, u, v ≥ 0, and duals a = lower + width·α:

    u_i (1 - α_i) = v_i α_i = aim_i μ,   Hδ - g = Aᵀa,   μ → 0,   aim_i ~ 1 / √width_i.

The barrier of a row is thus weighted by the root of the width of its dual interval: halfway between
none, where rows of tiny weight are the last to settle, and the full width, where they hold up the
steps of all. The Newton system is (H + Aᵀ diag(width·D) A) dδ = ..., D = 1 / (u/(1-α) +
v/α). Sources: Koenker & d'Orey (1987) and Portnoy & Koenker (1997) for the bounded dual of
L1 regression, Mehrotra (1992) for the predictor-corrector, Nocedal & Wright (2006), algorithm 16.4,
for the quadratic term. Departures: the start is perfectly centred for any residuals, so only
stationarity is infeasible; steps end in the neighbourhood of the central path where no product is
below γ times what it should be (N₋∞(γ) in Nocedal & Wright, section 14.1), since without it the
method can go round in circles for ever (Cartis 2009); and as soon as the rows at their kink can be
told, `crossover` solves for the exact optimum, whose own gap decides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.linalg import lapack

from skfairloss._design.threads import one_blas_thread
from skfairloss._solvers.active_set import Diagonal, diagonalised
from skfairloss._solvers.crossover import polish
from skfairloss._solvers.piecewise import PiecewiseQuadratic, PiecewiseSolution
from skfairloss._typing import Array, Mask

_TRY_POLISH = 1e-2  # gap, relative to the kinked terms, below which crossover is tried ...
_TRY_LATER = 1e-4  # ... where there are many columns, whose equations cost an iteration
_TRY_TIES = 1e-4  # the same for unlikely rows at their kink ...
_TRY_MANY = 1e-7  # ... where there are many columns, whose singular values cost many iterations ...
_MANY = 100
_CROWDED = 1.25  # rows at their kink, in columns, of which the likeliest are tried as a vertex
_TRY_AGAIN = 0.01  # ... and the fall of the gap after which they are tried again
_CLEARLY = 0.1  # share of a gap that tells a better solution from rounding
_PLAIN = 1e-3  # share of the gap aimed at that an iterate must reach to do without crossover
_UNBOUNDED = 30.0  # growth of the kinked terms that tells of a problem without a minimum
_LONG_STEP = 0.9995  # of the way to the boundary
_CENTRAL = 1e-3  # the smallest product parts · room, relative to what the central path has ...
_SHORTER, _TRIES = 0.8, 12  # ... for which a step is made shorter, and how often
_SIDES = np.array([[1.0], [-1.0]])  # a rising α takes from 1 - α and gives to α


@dataclass(frozen=True)
class _Point:
    """An iterate: δ, and two rows for the two sides of each kink.

    ``parts`` holds u and v, ``room`` what is complementary to them, 1 - α and α; ``imbalance`` is
    what stationarity lacks, Hδ - g - Aᵀa.
    """

    delta: Array
    parts: Array
    room: Array
    imbalance: Array
    complementarity: float
    gap: float  # complementarity, and what the imbalance may amount to

    def size(self, pq: PiecewiseQuadratic) -> float:
        """The size of the kinked terms."""
        return float(pq.width @ (self.parts[0] + self.parts[1]))


def interior_point(
    pq: PiecewiseQuadratic,
    *,
    tol: float,
    floor: float,
    max_iter: int,
    crossover: bool = True,
    bounded: bool = True,
    on_iteration: Callable[[PiecewiseSolution], bool] | None = None,
) -> PiecewiseSolution:
    """Solve a kinked problem to a duality gap of ``tol`` · max(objective, ``floor``).

    Parameters
    ----------
    pq : the problem; every row has a positive width. Its objective, constant included, is >= 0
        if it is bounded.
    tol : relative gap at which to stop.
    floor : objective, in the problem's units, below which gaps are absolute.
    max_iter : iterations allowed.
    crossover : whether to end at an exact optimum.
    bounded : whether there is a minimum for certain; else the search ends once residuals grow.
    on_iteration : called after each iteration with the best so far; True stops.
    """
    if not pq.rows.n_rows or not pq.rows.n_columns:
        return _trivial(pq)
    # at its limit an iterate may overflow: its gap is then no number, and it is not taken
    quiet = np.errstate(over="ignore", divide="ignore", invalid="ignore")
    with one_blas_thread(pq.rows.n_columns), quiet:
        return _iterate(pq, tol, floor, max_iter, crossover, bounded, on_iteration)


def _iterate(
    pq: PiecewiseQuadratic,
    tol: float,
    floor: float,
    max_iter: int,
    crossover: bool,
    bounded: bool,
    on_iteration: Callable[[PiecewiseSolution], bool] | None,
) -> PiecewiseSolution:
    """The iterations of `interior_point`.

    An iterate is told by what it says of its own gap; the exact one is worked out for the best.
    """
    point = closest = _centred_start(pq)
    crossed: PiecewiseSolution | None = None
    lowest = abs(pq.kinked_objective(point.delta, pq.residual))
    start_size = point.size(pq)
    crossing = _Crossing(pq, crossover)
    stopped = False
    for iteration in range(1, max_iter + 1):
        step = _newton_step(pq, point)
        if step is None:
            break
        point = step
        if point.gap < closest.gap:
            closest = point
        found = crossing.attempt(point, iteration)
        if found is not None and (crossed is None or found.gap < crossed.gap):
            crossed = found
        objective = pq.kinked_objective(point.delta, point.parts[0] - point.parts[1])
        if objective < -lowest or (not bounded and point.size(pq) > _UNBOUNDED * start_size):
            break
        if on_iteration is not None:
            stopped = on_iteration(_better(pq, crossed, closest, iteration))
            if stopped:
                break
        target = tol * max(objective, floor)
        if closest.gap <= (_PLAIN if crossover else 1.0) * target:
            break
        if crossed is not None and crossed.gap <= target:
            break
        if point.complementarity <= 1e-17 * start_size:  # below rounding: nothing more to gain
            break
    return replace(_better(pq, crossed, closest, iteration), n_iter=iteration, stopped=stopped)


def _better(
    pq: PiecewiseQuadratic, crossed: PiecewiseSolution | None, closest: _Point, iteration: int
) -> PiecewiseSolution:
    """The crossed solution unless the iterate is far better."""
    if crossed is not None and closest.complementarity > 1e-2 * crossed.gap:
        return crossed
    plain = _evaluate(pq, closest, iteration)
    return plain if crossed is None or plain.gap < crossed.gap else crossed


class _Crossing:
    """Decides when crossover is worth a try: for rows at the kink that could be an optimum's.

    With a quadratic an optimum has at most as many as there are columns, without one exactly as
    many: of a few too many the likeliest are taken. Other numbers belong to ties, which are tried
    as the gap falls.
    """

    def __init__(self, pq: PiecewiseQuadratic, wanted: bool) -> None:
        self._pq = pq
        self._wanted = wanted
        self._last = np.inf
        self._tried: Mask | None = None

    def attempt(self, point: _Point, iteration: int) -> PiecewiseSolution | None:
        """The exact optimum for the rows that look as if at their kink, or None."""
        pq, complementarity = self._pq, point.complementarity
        size = point.size(pq)
        full = pq.rows.n_columns
        first = _TRY_POLISH if full < _MANY else _TRY_LATER
        if not self._wanted or not complementarity <= first * size:
            return None
        at_kink = _at_kink(pq, point)
        active = at_kink > 1.0
        count = int(np.count_nonzero(active))
        if not pq.curved and full < count <= _CROWDED * full:  # the last to leave are of no vertex
            active, count = _largest(at_kink, full), full
        likely = count <= full if pq.curved else count == full
        if likely and self._tried is not None:
            likely = not np.array_equal(active, self._tried)
        ties = _TRY_TIES if full < _MANY else _TRY_MANY
        if not likely and complementarity > min(_TRY_AGAIN * self._last, ties * size):
            return None
        self._last, self._tried = complementarity, active
        found = self._settled(point, active, iteration) if likely and pq.curved else None
        if found is not None:
            return found
        found = self._polished(point, active, iteration)
        if not pq.curved and count < full <= pq.rows.n_rows:
            # a dual close to an end shows late that its row belongs to the vertex
            vertex = self._polished(point, _largest(at_kink, full), iteration)
            if vertex is not None and (found is None or vertex.gap < _CLEARLY * found.gap):
                return vertex
        return found

    @cached_property
    def _diagonal(self) -> Diagonal | None:
        return diagonalised(self._pq)

    def _settled(self, point: _Point, active: Mask, iteration: int) -> PiecewiseSolution | None:
        """The exact optimum, if the sides on which the rows seem to be lead to it."""
        pq, diagonal = self._pq, self._diagonal
        if diagonal is None:
            return None
        side = np.where(point.parts[0] > point.parts[1], 1, -1).astype(np.int8)
        side[active] = 0
        found = diagonal.settle(side)
        if found is None:
            return None
        delta, dual, at_kink = found
        return PiecewiseSolution(delta, dual, at_kink, pq.gap(delta, dual), iteration, True)

    def _polished(self, point: _Point, active: Mask, iteration: int) -> PiecewiseSolution | None:
        """The exact optimum if these are the rows at their kink."""
        pq = self._pq
        delta, a = polish(pq, point.delta, _dual(pq, point.room), active)
        clipped = np.clip(a, pq.lower, pq.upper)
        gap = pq.gap(delta, clipped)
        if not np.isfinite(gap):
            return None
        return PiecewiseSolution(delta, clipped, active, gap, iteration, True)


def _largest(values: Array, count: int) -> Mask:
    """So many of the values."""
    out = np.zeros(len(values), dtype=bool)
    out[np.argpartition(values, -count)[-count:]] = True
    return out


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
    size = max(pq.residual_scale, 1e-3 * pq.unit, 1e-12 * float(np.abs(r).max()), 1e-300)
    mu = 0.5 * size * pq.aim
    larger = 0.5 * (2 * mu + np.abs(r) + np.hypot(2 * mu, r))  # of u and v ...
    other = mu * larger / (larger - mu)  # ... and the other, from u (1 - α) = v α = μ
    parts = np.where(r > 0, [larger, other], [other, larger])
    complementarity = 2.0 * float(pq.width @ mu)
    return _at(pq, np.zeros(pq.rows.n_columns), parts, mu / parts, complementarity)


def _at(
    pq: PiecewiseQuadratic, delta: Array, parts: Array, room: Array, complementarity: float
) -> _Point:
    """The iterate with its imbalance."""
    imbalance = pq.hessian @ delta - pq.linear - pq.rows.adjoint(pq.lower + pq.width * room[1])
    gap = complementarity + float(np.linalg.norm(imbalance)) * pq.reach
    return _Point(delta, parts, room, imbalance, complementarity, gap)


def _dual(pq: PiecewiseQuadratic, room: Array) -> Array:
    """a, from whichever end of the interval is closer: no digits are lost near either."""
    low = room[1] <= room[0]
    return np.where(low, pq.lower + pq.width * room[1], pq.upper - pq.width * room[0])


def _newton_step(pq: PiecewiseQuadratic, point: _Point) -> _Point | None:
    """One predictor-corrector step; None where the Newton matrix cannot be factored."""
    parts, room, weight = point.parts, point.room, pq.width
    ratio = parts / room
    d = 1.0 / (ratio[0] + ratio[1])
    weighted = weight * d
    matrix = pq.hessian + pq.rows.gram(weighted)
    diagonal = np.einsum("ii->i", matrix)
    diagonal *= 1.0 + 1e-14
    # the transpose of a symmetric matrix is in the order that LAPACK takes without a copy
    factor, info = lapack.dpotrf(matrix.T, lower=True, clean=False, overwrite_a=True)
    if info != 0:
        return None

    def direction(push: Array) -> tuple[Array, Array, Array]:
        """Changes of δ and α, and the share of its room that each side loses.

        The direction changes parts · room by push · room.
        """
        rho = push[1] - push[0]
        rhs = pq.rows.adjoint(weighted * rho) - point.imbalance
        delta = lapack.dpotrs(factor, rhs, lower=True)[0]
        alpha = d * (rho - pq.rows.dot(delta))
        return delta, alpha, _SIDES * alpha / room

    _, _, lost = direction(-parts)
    primal, dual = _step_lengths(pq, 1.0 - float(lost.min()), float(lost.max()), 1.0)
    product = weight * (parts * room)
    left = 1.0 - primal + primal * lost
    left *= 1.0 - dual * lost
    mu = float(product.sum())
    ahead = float(np.vdot(product, left))
    total = 2 * float(weight.sum())
    target = mu / total * min(1.0, max(ahead / mu, 0.0)) ** 3
    centred = pq.aim * target
    push = centred / room - parts + parts * (lost - 1.0) * lost
    delta, alpha, lost = direction(push)
    moved = push + parts * lost
    slope = float((-moved / parts).max())
    primal, dual = _step_lengths(pq, slope, float(lost.max()), _LONG_STEP)
    for _ in range(_TRIES):
        there = parts + primal * moved, room - dual * (_SIDES * alpha)
        pairs = there[0] * there[1]
        complementarity = float(weight @ (pairs[0] + pairs[1]))
        if (np.minimum(*pairs) >= (_CENTRAL * complementarity / total) * pq.aim).all():
            break
        primal, dual = _SHORTER * primal, _SHORTER * dual
    return _at(pq, point.delta + primal * delta, *there, complementarity)


def _step_lengths(
    pq: PiecewiseQuadratic, primal: float, dual: float, share: float
) -> tuple[float, float]:
    """Longest steps that stay positive, from the slopes; one length for both with a quadratic."""
    steps = [min(1.0, share / slope) if slope > 0 else 1.0 for slope in (primal, dual)]
    if pq.curved:
        steps = [min(steps)] * 2
    return steps[0], steps[1]


def _evaluate(pq: PiecewiseQuadratic, point: _Point, iteration: int) -> PiecewiseSolution:
    """The iterate itself as a solution."""
    a = _dual(pq, point.room)
    active = np.zeros(len(a), dtype=bool)
    return PiecewiseSolution(point.delta, a, active, pq.gap(point.delta, a), iteration, False)


def _at_kink(pq: PiecewiseQuadratic, point: _Point) -> Array:
    """Return a score for each row: above 1 where it looks as if at its kink.

    On the central path u (1 - α) = v α = μ: at the kink u and v vanish with μ, elsewhere one of
    1 - α and α does. The two are told apart by comparing them in units of the residual scale.
    """
    inside = np.minimum(point.room[0], point.room[1]) * max(pq.residual_scale, 1e-300)
    u, v = point.parts
    return inside / (np.minimum(u, v) + np.abs(u - v))
