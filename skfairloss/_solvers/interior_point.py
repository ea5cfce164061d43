r"""Primal-dual interior point with Mehrotra's predictor and corrector, and crossover.

The problem of `kinked` with residual parts r = u - v, u, v >= 0, dual slacks upper - a and
a - lower, and barrier weights b_i ~ √width_i:

    u_i (upper_i - a_i) = b_i μ,   v_i (a_i - lower_i) = b_i μ,   Hδ - g = Aᵀa,   μ → 0.     (1)

The barrier of a row is thus weighted by the root of the width of its dual interval: halfway between
none, where rows of tiny weight are the last to settle, and the full width, where they hold up the
steps of all. With D = 1 / (u/(upper - a) + v/(a - lower)) the Newton system of (1) is

    (H + Aᵀ D A) dδ = Aᵀ D (p_v - p_u) - (Hδ - g - Aᵀa),   da = D (p_v - p_u - A dδ),    (2)
    du = p_u + u da/(upper - a),    dv = p_v - v da/(a - lower),

for changes of the products by p · slack. Constraints on group losses let the ends of the intervals
move with their multipliers; `coupling.Border` adds their equations to (2), s_j μ_j being products
like those of the rows.

Sources: Koenker & d'Orey (1987) and Portnoy & Koenker (1997) for the bounded dual of L1 regression,
Mehrotra (1992) for the predictor-corrector, Nocedal & Wright (2006), algorithm 16.4, for the
quadratic term, and their section 19.3 for nonlinear constraints, which are convex quadratics here,
so that Newton's method needs no line search beyond positivity. Departures: the start is perfectly
centred for any residuals, so only stationarity is infeasible; steps end in the neighbourhood of the
central path where no product is below γ times what it should be (N₋∞(γ) in Nocedal & Wright,
section 14.1), since without it the method can go round in circles for ever (Cartis 2009); and as
soon as the rows at their kink can be told, `crossover` solves for the exact optimum, whose own gap
decides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import lapack

from skfairloss._cached import cached_property
from skfairloss._design.threads import one_blas_thread
from skfairloss._solvers.active_set import Diagonal, diagonalised
from skfairloss._solvers.coupling import (
    MANY,
    Border,
    Bounds,
    Coupling,
    Openness,
    looks_binding,
    shared_equally,
)
from skfairloss._solvers.crossover import solve_active_set
from skfairloss._solvers.kinked import KinkedQuadratic, KinkedSolution
from skfairloss._solvers.tolerances import TINY
from skfairloss._typing import Array, Mask

# Gap, relative to the kinked terms, below which crossover is tried; and relative to that of a try
# that has failed, below which it is tried again.
_TRY = 0.01
_CROWDED = 1.25  # rows at their kink, in columns, of which the likeliest are tried as a vertex
_PLAIN = 1e-3  # share of the gap aimed at that an iterate must reach to do without crossover
_UNBOUNDED = 30.0  # growth of the kinked terms that tells of a problem without a minimum
_PATIENCE = 25  # iterations without progress, from which rounding is all that is left
_LONG_STEP = 0.9995  # share of the way to the boundary, so that slacks stay positive
_CENTRAL = 1e-3  # γ of the neighbourhood N₋∞(γ) ...
_SHORTER, _TRIES = 0.8, 12  # ... for which a step is made shorter, and how often
_FIRST_MULTIPLIER = 0.1  # of all constraints, relative to the weight of the objective; and slacks
_SIDES = np.array([[1.0], [-1.0]])  # a rising a takes from upper - a and gives to a - lower


@dataclass(frozen=True)
class _Point:
    """An iterate: δ, and two rows for the two sides of each kink.

    Parameters
    ----------
    delta : δ.
    residual_parts : u and v, (2, N) or (2, N, m).
    dual_slack : what is complementary to them, upper - a and a - lower.
    here : the plain problem under the multipliers.
    dual_residual : Hδ - g - Aᵀa of ``here``.
    bounds, open : where the constraints stand. None without a coupling.
    complementarity : of rows and constraints.
    gap : complementarity, and what the residuals of the other equations may amount to.
    objective : at δ and u - v; with a coupling at u + v in the place of |r|.
    """

    delta: Array
    residual_parts: Array
    dual_slack: Array
    here: KinkedQuadratic
    dual_residual: Array
    bounds: Bounds | None
    open: Openness | None
    complementarity: float
    gap: float
    objective: float

    @property
    def size(self) -> float:
        """The size of the kinked terms."""
        u, v = self.residual_parts
        return float(np.vdot(self.here.width, u + v))

    @property
    def dual(self) -> Array:
        """a, from whichever end of the interval is closer: no digits are lost near either."""
        above, below = self.dual_slack
        return np.where(below <= above, self.here.lower + below, self.here.upper - above)

    @property
    def multipliers(self) -> Array:
        """Those of the constraints, (J,)."""
        return np.zeros(0) if self.bounds is None else self.bounds.multipliers

    @property
    def solution(self) -> tuple[Array, Array, Array]:
        """δ, a and the multipliers."""
        return self.delta, self.dual, self.multipliers


def interior_point(
    kq: KinkedQuadratic,
    *,
    tol: float,
    floor: float,
    max_iter: int,
    crossover: bool = True,
    bounded: bool = True,
    on_iteration: Callable[[KinkedSolution], bool] | None = None,
    multipliers: Array | None = None,
) -> KinkedSolution:
    """Solve a kinked problem to a duality gap of ``tol`` · max(objective, ``floor``).

    Parameters
    ----------
    kq : the problem; every row has a positive width, under some multipliers at least. Its
        objective, constant included, is >= 0 if it is bounded.
    tol : relative gap at which to stop.
    floor : objective, in the problem's units, below which gaps are absolute.
    max_iter : iterations allowed.
    crossover : whether to end at an exact optimum.
    bounded : whether there is a minimum for certain; else the search ends once residuals grow.
    on_iteration : called after each iteration with the best so far; True stops.
    multipliers : (J,), of a problem close to this one, to begin with. None where there is none.
    """
    if kq.coupling is None and not (kq.rows.n_rows and kq.rows.n_columns):
        return _trivial(kq)
    # at its limit an iterate may overflow: its gap is then no number, and it is not taken
    quiet = np.errstate(over="ignore", divide="ignore", invalid="ignore")
    with one_blas_thread(kq.rows.n_columns), quiet:
        return _iterate(kq, multipliers, tol, floor, max_iter, crossover, bounded, on_iteration)


def _iterate(
    kq: KinkedQuadratic,
    guess: Array | None,
    tol: float,
    floor: float,
    max_iter: int,
    crossover: bool,
    bounded: bool,
    on_iteration: Callable[[KinkedSolution], bool] | None,
) -> KinkedSolution:
    """Iterate from ``guess`` of the multipliers, as `interior_point` says.

    An iterate is told by what it says of its own gap; the exact one is worked out for the best.
    """
    point = closest = _centred_start(kq, guess)
    crossed: KinkedSolution | None = None
    lowest = abs(point.objective)
    crossing, progress = _Crossing(kq, crossover), _Progress()
    start_size, stopped = point.size, False
    for iteration in range(1, max_iter + 1):
        step = _newton_step(kq, point)
        if step is None:
            break
        point = step
        if point.gap < closest.gap:
            closest = point
        objective = point.objective
        found = crossing.attempt(point, iteration)
        if found is not None and (crossed is None or found.gap < crossed.gap):
            crossed = found
        if objective < -lowest or (not bounded and point.size > _UNBOUNDED * start_size):
            break
        if on_iteration is not None:
            stopped = on_iteration(_better(kq, crossed, closest, iteration))
            if stopped:
                break
        target = tol * max(objective, floor)
        if closest.gap <= (_PLAIN if crossover else 1.0) * target and (
            not crossover or kq.exact_in_every_group(*point.solution)
        ):
            closest = point if crossover else closest
            break
        if crossed is not None and crossed.gap <= target:
            break
        if point.complementarity <= 1e-17 * start_size:  # below rounding: nothing more to gain
            break
        if kq.coupling is not None and progress.has_ended(point):
            break
    return replace(_better(kq, crossed, closest, iteration), n_iter=iteration, stopped=stopped)


class _Progress:
    """Counts iterations since the gap or the violation of the constraints last fell.

    Multipliers that have to grow keep the gap large while the violation falls.
    """

    def __init__(self) -> None:
        self._gap = self._violation = np.inf
        self._idle = 0

    def has_ended(self, point: _Point) -> bool:
        """Return True where nothing is left to gain but rounding errors."""
        violation = 0.0 if point.open is None else float(np.abs(point.open.infeasibility).sum())
        self._idle += 1
        if point.gap < 0.9 * self._gap:
            self._gap, self._idle = point.gap, 0
        if violation < 0.9 * self._violation:
            self._violation, self._idle = violation, 0
        return self._idle > _PATIENCE


def _better(
    kq: KinkedQuadratic, crossed: KinkedSolution | None, closest: _Point, iteration: int
) -> KinkedSolution:
    """Return the crossed solution unless the iterate is far better."""
    if crossed is not None and closest.complementarity > 1e-2 * crossed.gap:
        return crossed
    plain = _evaluate(kq, closest, iteration)
    return plain if crossed is None or plain.gap < crossed.gap else crossed


class _Crossing:
    """Decides when crossover is worth a try: for rows at the kink that could be an optimum's.

    With a quadratic an optimum has at most as many as there are unknowns, without one exactly as
    many: of a few too many the likeliest are taken. Other numbers belong to ties, which are tried
    as the gap falls. A constraint that binds takes the place of a row, and t that of an unknown.
    Under constraints rows of groups of tiny weight are the last to settle: a guess has to be the
    same twice.
    """

    def __init__(self, kq: KinkedQuadratic, wanted: bool) -> None:
        self._kq = kq
        self._wanted = wanted
        self._last = np.inf
        self._tried: Mask = np.zeros(0, dtype=bool)
        self._seen = self._tried

    def attempt(self, point: _Point, iteration: int) -> KinkedSolution | None:
        """Return the exact optimum for the rows that look as if at their kink, or None."""
        kq, complementarity = self._kq, point.complementarity
        size, costly = point.size, kq.rows.n_columns >= MANY
        if kq.coupling is not None:  # kinked terms may be few, or none
            complementarity, size, costly = point.gap, max(size, abs(point.objective)), True
        if costly:  # equations cost as much as iterations: as late as after a failure
            size *= _TRY
        if not self._wanted or not complementarity <= _TRY * size:
            return None
        binding, free = self._binding(point), self._unknowns
        full = free - int(binding.sum())
        at_kink = _at_kink(point, kq.residual_scale)
        active = at_kink > 1.0
        count = int(np.count_nonzero(active))
        # a vertex has exactly d active rows: of a few too many the least likely are dropped
        if not kq.curved and full < count <= _CROWDED * full:
            active, count = _largest(at_kink, full), full
        likely = count <= full if kq.curved else count == full
        guess = np.concatenate([active.ravel(), binding])
        seen, self._seen = self._seen, guess
        if kq.coupling is not None and not np.array_equal(guess, seen):
            return None
        limit = np.inf if likely else _TRY * _TRY * size
        if not likely or np.array_equal(guess, self._tried):
            limit = min(_TRY * self._last, limit)
        if complementarity > limit:
            return None
        self._last, self._tried = complementarity, guess
        found = self._settled(point, active, iteration) if likely and kq.curved else None
        if found is not None:
            return found
        found = self._polished(point, active, binding, iteration)
        if not kq.curved and count < full <= active.size:
            # a dual close to an end shows late that its row belongs to the vertex
            vertex = self._polished(point, _largest(at_kink, full), binding, iteration)
            if vertex is not None and (found is None or vertex.gap < found.gap):
                return vertex
        return found

    @cached_property
    def _unknowns(self) -> int:
        """Unknowns of δ, and t."""
        coupling = self._kq.coupling
        return self._kq.linear.size + int(coupling is not None and coupling.leveled)

    def _binding(self, point: _Point) -> Mask:
        """Return the constraints (J,) that look as if they bound."""
        coupling = self._kq.coupling
        if coupling is None or point.bounds is None:
            return np.zeros(0, dtype=bool)
        return looks_binding(coupling, point.bounds, point.objective)

    @cached_property
    def _diagonal(self) -> Diagonal | None:
        return diagonalised(self._kq)

    def _settled(self, point: _Point, active: Mask, iteration: int) -> KinkedSolution | None:
        """Return the exact optimum, if the sides on which the rows seem to be lead to it."""
        kq, diagonal = self._kq, self._diagonal
        if diagonal is None:
            return None
        u, v = point.residual_parts
        side = np.where(u > v, 1, -1).astype(np.int8)
        side[active] = 0
        found = diagonal.primal_dual_active_set(side)
        if found is None:
            return None
        delta, dual, at_kink = found
        return _solution(kq, (delta, dual, np.zeros(0)), at_kink, iteration, True)

    def _polished(
        self, point: _Point, active: Mask, binding: Mask, iteration: int
    ) -> KinkedSolution | None:
        """Return the optimum if these are the rows at their kink and constraints that bind."""
        kq = self._kq
        found = solve_active_set(kq, point.delta, point.dual, active, point.multipliers, binding)
        if found is None:
            return None
        out = _solution(kq, found, active, iteration, True)
        exact = np.isfinite(out.gap) and kq.exact_in_every_group(*found)
        return out if exact else None


def _largest(values: Array, count: int) -> Mask:
    """So many of the values."""
    out = np.zeros(values.size, dtype=bool)
    out[np.argpartition(values, -count, axis=None)[-count:]] = True
    return out.reshape(values.shape)


def _solution(
    kq: KinkedQuadratic,
    found: tuple[Array, Array, Array],
    active: Mask,
    iteration: int,
    polished: bool,
) -> KinkedSolution:
    """Return a point (δ, a, μ) as a solution, its duals put into their intervals."""
    delta, dual, multipliers = found
    gap, objective, dual = kq.measured(delta, dual, multipliers)
    return KinkedSolution(delta, dual, active, gap, iteration, polished, objective, multipliers)


def _evaluate(kq: KinkedQuadratic, point: _Point, iteration: int) -> KinkedSolution:
    """Return the iterate itself as a solution."""
    active = np.zeros(kq.residual.shape, dtype=bool)
    return _solution(kq, point.solution, active, iteration, False)


def _trivial(kq: KinkedQuadratic) -> KinkedSolution:
    """Nothing to move, or a quadratic alone: one system of equations."""
    start, none = np.zeros(kq.rows.n_columns), np.zeros(0)
    r = kq.residual
    dual, active = np.where(r > 0, kq.upper, np.where(r < 0, kq.lower, 0.0)), r == 0
    found = solve_active_set(kq, start, dual, active) if len(start) else None
    delta = start if found is None else found[0]
    return KinkedSolution(delta, dual, active, 0.0, 1, True, kq.objective(delta), none)


def nothing_moved(kq: KinkedQuadratic) -> KinkedSolution:
    """Return the start, γ shared equally, with an infinite gap."""
    multipliers = np.zeros(0) if kq.coupling is None else shared_equally(kq.coupling)
    dual, active = np.zeros_like(kq.residual), np.zeros(kq.residual.shape, dtype=bool)
    delta = np.zeros_like(kq.linear)
    return KinkedSolution(delta, dual, active, np.inf, 0, False, np.inf, multipliers)


def _centred_start(kq: KinkedQuadratic, guess: Array | None) -> _Point:
    """δ = 0 with u (upper - a) = v (a - lower) = b μ exactly for every row, whatever its residual.

    A guess of the multipliers is taken where it is larger than the usual ones.
    """
    coupling, r, delta = kq.coupling, kq.residual, np.zeros_like(kq.linear)
    multipliers = None if coupling is None else _first_multipliers(coupling)
    usual = multipliers
    if multipliers is not None and guess is not None and coupling and not coupling.leveled:
        multipliers = np.maximum(multipliers, guess)
    here = kq.lagrangian(multipliers)
    # where multipliers are not known rows near 0 alone do not show how far it is
    known = coupling is None or not len(coupling.bound)
    usual_size = max(kq.residual_scale, 1e-3 * kq.unit) if known else kq.unit
    size = max(usual_size, 1e-12 * float(np.abs(r).max(initial=0.0)), TINY)
    product = (0.5 * size) * here.barrier_weight
    mu = product / here.width
    larger = 0.5 * (2 * mu + np.abs(r) + np.hypot(2 * mu, r))  # of u and v ...
    other = mu * larger / (larger - mu)  # ... and the other, from mu / u + mu / v = 1
    parts = np.where(r > 0, [larger, other], [other, larger])
    dual_slack = product / parts
    rows = 2.0 * float(product.sum())
    if coupling is None or multipliers is None or usual is None:
        return _at(kq, delta, parts, dual_slack, None, rows)
    losses = coupling.losses_of(coupling.sums(delta, r, parts[0] + parts[1]), delta)
    of_group = coupling.weights.any(axis=(0, 2))
    sizes = np.abs(np.where(of_group, losses, losses - coupling.bound))
    apart = TINY
    if len(losses):  # where the start leaves next to no losses they are to rise
        usual_losses = coupling.losses_at(kq.unit)
        apart += _FIRST_MULTIPLIER * max(float(sizes.mean()), float(usual_losses.mean()))
    t = coupling.level(losses) + apart if coupling.leveled else 0.0
    distance = coupling.bound + coupling.slope * t - losses
    slack = np.maximum(distance, apart * usual / multipliers)
    return _at(kq, delta, parts, dual_slack, Bounds(t, slack, multipliers), rows)


def _first_multipliers(coupling: Coupling) -> Array:
    """γ shared equally; elsewhere a share of the objective's weight."""
    out = np.full(len(coupling.bound), _FIRST_MULTIPLIER / max(len(coupling.bound), 1))
    out *= coupling.base_weight
    out[coupling.sloped] = shared_equally(coupling)[coupling.sloped]
    return out


def _at(
    kq: KinkedQuadratic,
    delta: Array,
    parts: Array,
    dual_slack: Array,
    bounds: Bounds | None,
    rows: float,
) -> _Point:
    """Return the iterate with its residuals; ``rows`` is the complementarity of the rows."""
    coupling = kq.coupling
    if coupling is None or bounds is None:
        dual_residual = kq.dual_residual(delta, kq.lower + dual_slack[1])
        gap = rows + float(np.linalg.norm(dual_residual)) * kq.reach
        objective = kq.kinked_objective(delta, parts[0] - parts[1])
        return _Point(delta, parts, dual_slack, kq, dual_residual, None, None, rows, gap, objective)
    here = kq.lagrangian(bounds.multipliers)
    above, below = dual_slack
    dual = np.where(below <= above, here.lower + below, here.upper - above)
    dual_residual = here.dual_residual(delta, dual)
    residual = parts[0] - parts[1]
    sums = coupling.sums(delta, residual, parts[0] + parts[1])
    losses = coupling.losses_of(sums, delta)
    openness = Openness.of(coupling, bounds, losses)
    complementarity = rows + bounds.complementarity
    gap = complementarity + float(np.linalg.norm(dual_residual)) * kq.reach
    gap += openness.charge(bounds)
    objective = kq.own_objective(delta, residual) + coupling.objective_of(sums, losses)
    return _Point(
        delta, parts, dual_slack, here, dual_residual, bounds, openness, complementarity, gap,
        objective,
    )  # fmt: skip


@dataclass(frozen=True)
class _Newton:
    """The factored system (2) of an iterate, and the border of its constraints."""

    kq: KinkedQuadratic
    point: _Point
    d: Array
    factors: list[Array]
    border: Border | None

    @classmethod
    def at(cls, kq: KinkedQuadratic, point: _Point) -> _Newton | None:
        """Factor the system. None where a matrix cannot be factored."""
        ratio = point.residual_parts / point.dual_slack
        d = 1.0 / (ratio[0] + ratio[1])
        here = point.here
        if kq.coupling is None:
            factor = _factor(here.hessian + kq.rows.gram(d))
            return None if factor is None else cls(kq, point, d, [factor], None)
        factors = []
        for k, hessian in enumerate(here.hessian):
            factor = _factor(hessian + kq.rows.gram(d[:, k]))
            if factor is None:
                return None
            factors.append(factor)
        assert point.bounds is not None
        assert point.open is not None
        border = Border.at(
            kq.coupling, kq.rows, point.delta, point.bounds, point.open, ratio, d, factors
        )
        return cls(kq, point, d, factors, border)

    def direction(self, push: Array, push_slack: Array) -> tuple[Array, Array, Bounds | None]:
        """Return changes of δ, the shares of dual slacks that are lost, and the constraints'.

        The direction changes u (upper - a) and v (a - lower) by push · slack, s μ by push_slack μ.
        """
        point, rows = self.point, self.kq.rows
        rho = push[1] - push[0]
        rhs = rows.adjoint(self.d * rho) - point.dual_residual
        if self.border is None:
            delta = lapack.dpotrs(self.factors[0], rhs, lower=True)[0]
            dual = self.d * (rho - rows.dot(delta))
            return delta, _SIDES * dual / point.dual_slack, None
        delta, step = self.border.step(rhs, push, push_slack)
        dual = self.d * (rho - rows.dot(delta))
        return delta, self.border.closing(dual, step) / point.dual_slack, step


def _factor(matrix: Array) -> Array | None:
    """Lower Cholesky factor of a fresh matrix. None where it has none."""
    diagonal = np.einsum("ii->i", matrix)
    diagonal *= 1.0 + 1e-14
    if not len(matrix):
        return matrix
    # the transpose of a symmetric matrix is in the order that LAPACK takes without a copy
    factor, info = lapack.dpotrf(matrix.T, lower=True, clean=False, overwrite_a=True)
    return factor if info == 0 else None


def _newton_step(kq: KinkedQuadratic, point: _Point) -> _Point | None:
    """One predictor-corrector step. None where the equations cannot be solved.

    A band of many rows has arrays of megabytes: none of the step's is left once it is made.
    """
    found = _moved(kq, point)
    return None if found is None else _at(kq, *found)


_Moved = tuple[Array, Array, Array, Bounds | None, float]  # what `_at` makes an iterate of


def _moved(kq: KinkedQuadratic, point: _Point) -> _Moved | None:
    """Return where a step leads. None where the equations cannot be solved.

    Mehrotra (1992): the affine step, towards products of 0, tells how far the products can fall;
    the second aims at (μ_affine / μ)³ of them, with the affine step's second-order terms.
    """
    newton = _Newton.at(kq, point)
    if newton is None:
        return None
    try:
        push, push_slack = _centring(kq, point, newton)
        delta, lost, step = newton.direction(push, push_slack)
    except np.linalg.LinAlgError:
        return None
    parts = point.residual_parts
    push += parts * lost
    steepness = float((-push / parts).max(initial=0.0)), float(lost.max(initial=0.0))
    primal, dual = _step_lengths(kq, point.bounds, steepness, step, _LONG_STEP)
    del newton
    return _in_neighbourhood(point, (delta, push, lost, step), primal, dual)


def _centring(kq: KinkedQuadratic, point: _Point, newton: _Newton) -> tuple[Array, Array]:
    """Return what the second direction is to change, told from the affine one."""
    parts, slack, bounds = point.residual_parts, point.dual_slack, point.bounds
    none = np.zeros(0) if bounds is None else bounds.slack
    _, lost, affine = newton.direction(-parts, -none)
    steepness = 1.0 - float(lost.min(initial=1.0)), float(lost.max(initial=0.0))
    primal, dual = _step_lengths(kq, bounds, steepness, affine, 1.0)
    product = parts * slack
    mu, of_bounds = float(product.sum()), 0.0
    left = 1.0 - primal + primal * lost
    left *= 1.0 - dual * lost
    ahead = float(np.vdot(product, left))
    del product, left
    if bounds is not None and affine is not None:
        of_bounds = bounds.complementarity
        ahead += bounds.moved(affine, primal, dual).complementarity
    shrink = min(1.0, max(ahead / max(mu + of_bounds, TINY), 0.0)) ** 3
    weights = point.here.barrier_weight
    centred = (shrink * mu / max(2 * point.here.total_width, TINY)) * weights
    push, push_slack, second = centred / slack, none, lost - 1.0
    push -= parts
    second *= parts
    second *= lost
    push += second
    if bounds is not None and affine is not None:
        equal = shrink * of_bounds / max(len(none), 1)
        push_slack = (equal - affine.slack * affine.multipliers) / bounds.multipliers - bounds.slack
    return push, push_slack


def _in_neighbourhood(
    point: _Point,
    direction: tuple[Array, Array, Array, Bounds | None],
    primal: float,
    dual: float,
) -> _Moved:
    """Return the step, made shorter until no product is below γ times what it should be.

    Under constraints products may fall as they like: where bounds can hardly be met multipliers
    have to grow a thousandfold, and rows that are held near the central path hold them back.
    """
    delta, moved, lost, step = direction
    parts, slack, bounds = point.residual_parts, point.dual_slack, point.bounds
    central, weights = _CENTRAL / max(2 * point.here.total_width, TINY), point.here.barrier_weight
    there, ahead, pairs = np.empty_like(parts), np.empty_like(parts), np.empty_like(parts)
    for _ in range(_TRIES):
        np.add(parts, np.multiply(primal, moved, out=there), out=there)
        np.subtract(1.0, np.multiply(dual, lost, out=ahead), out=ahead)
        ahead *= slack
        rows = float(np.multiply(there, ahead, out=pairs).sum())
        if bounds is not None or (np.minimum(*pairs) >= (rows * central) * weights).all():
            break
        primal, dual = _SHORTER * primal, _SHORTER * dual
    after = None if bounds is None or step is None else bounds.moved(step, primal, dual)
    return point.delta + primal * delta, there, ahead, after, rows


def _step_lengths(
    kq: KinkedQuadratic,
    bounds: Bounds | None,
    steepness: tuple[float, float],
    step: Bounds | None,
    share: float,
) -> tuple[float, float]:
    """Longest steps that stay positive, from the slopes; one length for both with a quadratic."""
    if bounds is not None and step is not None:
        pairs = zip(steepness, bounds.steepness(step), strict=True)
        steepness = tuple(max(pair) for pair in pairs)  # type: ignore[assignment]
    steps = [min(1.0, share / slope) if slope > 0 else 1.0 for slope in steepness]
    if kq.curved:
        steps = [min(steps)] * 2
    return steps[0], steps[1]


def _at_kink(point: _Point, scale: float) -> Array:
    """Measure how much each row looks as if at its kink: above 1 where it does.

    On the central path u (upper - a) = v (a - lower) = b μ: at the kink u and v vanish with μ,
    elsewhere one of the dual slacks does. The two are told apart by comparing them in units of the
    residual scale and of the width.
    """
    inside = np.minimum(*point.dual_slack) / np.maximum(point.here.width, TINY)
    u, v = point.residual_parts
    return np.asarray(inside * max(scale, TINY) / (np.minimum(u, v) + np.abs(u - v)))
