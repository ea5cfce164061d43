r"""The certificate: one function that knows no solver.

For z_i any number (in the box of subgradients at λ = 1), u_i = v_i z_i and ĝ any vector, weak
duality (Boyd & Vandenberghe, sections 5.1.6 and 5.5.1) bounds the excess of a point (w, b) by

    P(w, b) - P* ≤  Σ_i v_i [ℓ(r_i) + ℓ*(z_i) - z_i r_i]                         (rows)
                  + Σ_j [pen(w_j) + pen*(ĝ_j) - ĝ_j w_j]                         (penalty)
                  + (Xᵀu - ĝ)ᵀ(w* - w) + (1ᵀu)(b* - b)                           (what is left)

Every bracket is a Fenchel-Young gap: it is ≥ 0 and is summed term by term, so nothing cancels. The
rest would vanish for exact duals. It is charged: with d its coordinates in the orthonormal basis A
(in any other, once multiplied by the inverse of AᵀVA) it equals Σ v_i (A d)_i (f*_i - f_i) for
predictions f, and is at most

    max|A d| · 2B,          B = min(F / (2λ min(τ, 1-τ)), √(F / (1-λ))) a bound on Σ v|r|,
    ‖d‖ · 2 √(F / (1-λ))   for λ < 1,

F being the attained objective: no better point has a larger loss. A ridge adds its share likewise.

A may as well be orthonormal on a sample of rows alone, or on rows of other weights: where these are
ṽ ≤ e v, the rest equals Σ ṽ_i (A d)_i (f*_i - f_i), and the two charges grow by e and √e.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize_scalar

from skfairloss._basis import EPS, Basis, row_sorted_qr
from skfairloss._design import Design
from skfairloss._problem import Certificate, Measured, Multipliers, Problem, Slopes
from skfairloss._typing import Array

# A charge below this share of the objective is not worth another pass over X.
_NEGLIGIBLE = 1e-10
# Share of the gap allowed from which a bound is worth another pass over X.
_SHARP = 0.1
# Objectives below this share of the loss of the best constant are measured against the latter.
_NATURAL = 1e-6


@dataclass(frozen=True)
class _Support:
    """Rows in which a basis is orthonormal; ``excess`` is e, 1 for all rows."""

    basis: Basis
    design: Design
    excess: float


def certify(
    problem: Problem,
    coef: Array,
    intercept: Array,
    dual: Array | Slopes | None,
    tol: float = 1e-8,
    multipliers: Multipliers | None = None,
    measured: Measured | None = None,
) -> Certificate:
    """Bound how far a point is from optimal, whoever computed it.

    Parameters
    ----------
    problem : the regression.
    coef, intercept : (p, m) and (m,), the point.
    dual : (n, m), z in units of ℓ', or `Slopes`; None (no duals known) certifies nothing.
    tol : the gap allowed, relative to max(objective, 1e-6 · loss of the best constant), and the
        violation of a constraint allowed, relative to its bound.
    multipliers : of the constraints, where the problem has any; they re-weight the rows.
    measured : what `measure` found of this very point: spares a pass over X.

    Returns
    -------
    certificate : an entry for each output, a single one where group losses couple the outputs.
    """
    if problem.constrained:
        return _certify_constrained(problem, coef, intercept, dual, tol, multipliers)
    found = measured
    if found is None or not found.is_of(coef, intercept, dual):
        found = _measure(problem, coef, intercept, dual)
    objective = found.loss + problem.penalty(coef)
    infeasibility = np.zeros_like(objective)
    gap = _gap(problem, coef, intercept, dual, found, objective, tol)
    certified = gap <= tol * objective
    for k in map(int, np.flatnonzero(~certified)):
        certified[k] = gap[k] <= _allowed(
            problem, coef, intercept, found.residual, k, objective[k], tol
        )
    return Certificate(objective, gap, infeasibility, certified, found.residual)


def _certify_constrained(
    problem: Problem,
    coef: Array,
    intercept: Array,
    dual: Array | Slopes | None,
    tol: float,
    multipliers: Multipliers | None,
) -> Certificate:
    """The same for group losses and linear rows.

    With W = base + multipliers the Lagrangian is the fit with row weights v_i W_g / V_g, so that

        P - P* ≤ [the bound above for that fit]
                 + Σ_g worst_g (max L̄ - L̄_g) + Σ |multiplier · slack|.

    A better point has a loss of at most P under the problem's own weights, whose basis is tried
    first: no mean is above the largest of its parts. Under W it is P + Σ multiplier · bound.
    """
    fit = replace(problem, criterion=None, linear=())
    if multipliers is not None:
        fit = replace(fit, weights=problem.row_weights(multipliers))
    found = _measure(fit, coef, intercept, dual)
    held = problem.group_terms(found.residual)
    objective = held.objective + float(problem.penalty(coef).sum())
    infeasibility = max(held.violation, problem.linear_violation(coef))
    if multipliers is None:
        nothing = np.zeros(1, dtype=bool)
        infinite = np.array([np.inf])
        return Certificate(
            np.array([objective]), infinite, np.array([infeasibility]), nothing, found.residual
        )
    pull, slack = problem.linear_slack(coef, multipliers)
    size = np.full(problem.n_outputs, objective / problem.n_outputs)
    gaps = np.full(problem.n_outputs, np.inf)
    if dual is not None:
        own = replace(fit, weights=problem.weights)
        total = np.full(problem.n_outputs, objective)
        near, enough = _sample_support(problem), _enough(tol) * size
        if near is not None:
            gaps, _ = _bound(own, coef, found, total, pull, near)
        if (gaps > enough).any():
            gaps = np.fmin(gaps, _bound(own, coef, found, total, pull, _whole(problem))[0])
        if (gaps > enough).any():
            total = total + held.price(multipliers)
            sharp = _sharp_gap(fit, coef, intercept, dual, found, total, pull, size)
            gaps = np.fmin(gaps, sharp)
    gap = float(gaps.sum()) + held.slack(multipliers) + slack
    allowed = tol * objective
    if gap > allowed:
        allowed = sum(
            _allowed(problem, coef, intercept, found.residual, k, size[k], tol)
            for k in range(problem.n_outputs)
        )
    certified = gap <= allowed and infeasibility <= tol
    return Certificate(
        np.array([objective]),
        np.array([gap]),
        np.array([infeasibility]),
        np.array([certified]),
        found.residual,
    )


def _allowed(
    problem: Problem,
    coef: Array,
    intercept: Array,
    residual: Array,
    k: int,
    objective: float,
    tol: float,
) -> float:
    """The gap that counts as optimal for output k.

    Rounding is excused as far as y itself, or the size of the task, makes it inevitable: a model so
    large that rounding swallows its objective must not excuse itself.
    """
    natural = _constant_loss(problem, k)
    y_only = np.zeros_like(coef[:, k])
    inevitable = _rounding_floor(problem, y_only, 0.0, residual[:, k], k)
    floor = _rounding_floor(problem, coef[:, k], intercept[k], residual[:, k], k)
    rounding = min(floor, max(4 * inevitable, _NATURAL * natural))
    return tol * max(objective, _NATURAL * natural) + rounding


def _measure(
    problem: Problem, coef: Array, intercept: Array, dual: Array | Slopes | None
) -> Measured:
    """`measure` of given duals; of duals 0 where there are none."""
    if isinstance(dual, Slopes):
        return measure_slopes(problem, coef, intercept, dual)
    known = np.zeros(problem.y.shape) if dual is None else dual
    return measure(problem, coef, intercept, known, lambda rows, _: known[rows])


def measure_slopes(problem: Problem, coef: Array, intercept: Array, dual: Slopes) -> Measured:
    """`measure` of the model's own slopes."""
    loss = problem.loss

    def slopes(_: slice, residual: Array) -> Array:
        return loss.derivative(residual)

    return measure(problem, coef, intercept, dual, slopes)


def measure(
    problem: Problem,
    coef: Array,
    intercept: Array,
    dual: Array | Slopes,
    duals_at: Callable[[slice, Array], Array],
) -> Measured:
    """One pass over X, a block of rows at a time.

    ``duals_at(rows, r)`` are the duals z of some rows with residuals r: those in ``dual``, where it
    may put them as it goes.
    """
    loss, weights = problem.loss, problem.weights

    def score(rows: slice, residual: Array) -> tuple[Array, Array]:
        """u of these rows, and the sums of the losses, of the gaps and of u."""
        here = weights[rows]
        value = loss.value(residual)
        losses = here @ value
        u = _into_domain(problem, duals_at(rows, residual))
        gaps = here @ loss.young_gap(residual, u, value)
        u = u * here[:, None]
        return u, np.array([losses, gaps, u.sum(axis=0)])

    residual, gradient, sums = problem.design.sweep(problem.y, coef, intercept, score)
    losses, gaps, total = sums
    if not problem.fit_intercept:
        total[:] = 0.0
    return Measured(coef, intercept, dual, residual, losses, gaps, total, gradient, loss)


def _gap(
    problem: Problem,
    coef: Array,
    intercept: Array,
    dual: Array | Slopes | None,
    found: Measured,
    objective: Array,
    tol: float,
) -> Array:
    """The module's bound for each output, from a sample if a tenth of ``tol`` is sharp enough."""
    if dual is None:
        return np.full_like(objective, np.inf)
    near = _sample_support(problem)
    if near is not None:
        gap, _ = _bound(problem, coef, found, objective, 0.0, near)
        if (gap <= _enough(tol) * objective).all():
            return gap
    return _sharp_gap(problem, coef, intercept, dual, found, objective, 0.0, objective)


def _enough(tol: float) -> float:
    """A gap, relative to the objective, that is not worth another pass over X."""
    return max(_NEGLIGIBLE, _SHARP * tol)


def _sharp_gap(
    problem: Problem,
    coef: Array,
    intercept: Array,
    dual: Array | Slopes,
    found: Measured,
    objective: Array,
    pull: Array | float,
    size: Array,
) -> Array:
    """The bound from all rows, with duals projected where that is worth it.

    ``objective`` is what no better point's loss exceeds, ``pull`` is what linear rows add to Xᵀu,
    and ``size`` tells which gaps are negligible.
    """
    support = _whole(problem)
    gap, defect = _bound(problem, coef, found, objective, pull, support)
    if (gap > _NEGLIGIBLE * size).any():
        # Project the duals onto Xᵀu = penalty, 1ᵀu = 0 (A is orthonormal), and measure again.
        if isinstance(dual, Slopes):
            dual = problem.loss.derivative(found.residual)
        dual = _into_domain(problem, dual) - _predict(support, defect)
        again = _measure(problem, coef, intercept, dual)
        gap = np.fmin(gap, _bound(problem, coef, again, objective, pull, support)[0])
    return np.where(np.isfinite(gap), gap, np.inf)


def _whole(problem: Problem) -> _Support:
    """All rows."""
    return _Support(problem.exact_basis, problem.design, 1.0)


def _sample_support(problem: Problem) -> _Support | None:
    """The sample, where there is one with a basis."""
    basis = problem.sample_basis  # asked first: a sample without a basis need not be drawn
    if basis is None or (sample := problem.sample) is None:
        return None
    return _Support(basis, sample.design, sample.excess)


def _into_domain(problem: Problem, dual: Array) -> Array:
    """Duals at which ℓ* is finite."""
    if problem.loss.curvature > 0:
        return dual
    return np.clip(dual, problem.loss.lower, problem.loss.upper)


def _bound(
    problem: Problem,
    coef: Array,
    found: Measured,
    objective: Array,
    pull: Array | float,
    support: _Support,
) -> tuple[Array, Array]:
    """The three sums of the module's bound, and the coordinates d of what is left."""
    basis, rows, total = support.basis, found.rows, found.total
    gradient = found.gradient - np.multiply.outer(basis.center, total) + pull
    gap, defect = np.full_like(rows, np.inf), np.zeros((basis.n_coordinates, len(rows)))
    for slope in _penalty_slopes(problem, coef, gradient, objective):
        # ĝ = l2 w + slope, and what is left of Xᵀu is charged ...
        rest = gradient - problem.l2 * coef - slope
        left = basis.pull_back(rest, np.zeros(len(rows)))
        left[basis.n_directions :] = total
        charge = _charge(problem, support, left, objective)
        unseen = _outside_row_space(problem, basis, rest, coef, objective)
        bound = rows + _kink_gap(problem, coef, slope) + unseen + charge
        defect = np.where(bound < gap, basis.resolved(left)[0], defect)
        gap = np.fmin(gap, bound)
    if problem.l2 > 0:  # ... or ĝ = Xᵀu, and only the intercept is charged.
        slope = np.clip(gradient, -problem.l1, problem.l1)
        square = ((problem.l2 * coef - (gradient - slope)) ** 2).sum(axis=0) / (2 * problem.l2)
        lone = np.zeros_like(defect)
        lone[basis.n_directions :] = total
        charge = _charge(problem, support, lone, objective)
        gap = np.fmin(gap, rows + _kink_gap(problem, coef, slope) + square + charge)
    return gap, defect


def _penalty_slopes(
    problem: Problem, coef: Array, gradient: Array, objective: Array
) -> list[Array]:
    """Admissible slopes of l1 |w|: the closest to Xᵀu, and the subgradient away from 0."""
    nearest = np.clip(gradient - problem.l2 * coef, -problem.l1, problem.l1)
    if problem.l1 == 0:
        return [nearest]
    away = problem.l1 * np.abs(coef) > _NEGLIGIBLE / len(coef) * objective
    return [nearest, np.where(away, problem.l1 * np.sign(coef), nearest)]


def _kink_gap(problem: Problem, coef: Array, slope: Array) -> Array:
    """Σ_j l1 |w_j| - slope_j w_j, the Fenchel-Young gap of the L1 penalty."""
    return (problem.l1 * np.abs(coef) - slope * coef).clip(min=0).sum(axis=0)


def _outside_row_space(
    problem: Problem, basis: Basis, rest: Array, coef: Array, objective: Array
) -> Array:
    """Charge for the part of Xᵀu - ĝ that no prediction sees, by |w*_j| ≤ F / l1."""
    transform = basis.transform
    if problem.l1 == 0 or transform.shape[1] == len(coef):
        return np.zeros_like(objective)
    q = row_sorted_qr(transform)[0]
    unseen = np.abs(rest - q @ (q.T @ rest))
    return (unseen * (np.abs(coef) + objective / problem.l1)).sum(axis=0)


def _charge(problem: Problem, support: _Support, left: Array, objective: Array) -> Array:
    """Upper bound on leftᵀ(θ* - θ), by cheap norms first, by a pass over X where those are coarse.

    The basis makes it Σ v (A d) Δf + ridge (T d)ᵀΔw.
    """
    loss, basis = problem.loss, support.basis
    defect, size = basis.resolved(left)
    mean = np.full_like(size, np.inf)  # bounds Σ v |Δf|
    root = np.full_like(size, np.inf)  # bounds √(Σ v Δf²)
    if loss.curvature > 0:
        root = 2 * np.sqrt(2 * objective / loss.curvature)
        mean = root
    if loss.loss_mix > 0:
        mean = np.fmin(mean, 2 * objective / min(loss.upper, -loss.lower))
    root = np.fmin(root, mean / np.sqrt(problem.weights.min())) * np.sqrt(support.excess)
    mean = mean * support.excess
    norm = 2 * np.sqrt(2 * objective / problem.l2) if problem.l2 > 0 else np.zeros_like(size)
    bound = np.where(size == 0, 0.0, size * np.hypot(root, np.sqrt(problem.l2) * norm))
    if (bound > _NEGLIGIBLE * objective).any():
        largest = np.abs(_predict(support, defect)).max(axis=0)
        move = np.linalg.norm(basis.transform @ defect[: basis.n_directions], axis=0)
        bound = np.fmin(bound, largest * mean + problem.l2 * move * norm)
    return bound


def _predict(support: _Support, theta: Array) -> Array:
    """A θ, shape (n, m)."""
    coef, intercept = support.basis.to_model(theta)
    return support.design.predict(coef, intercept)


def _constant_loss(problem: Problem, k: int) -> float:
    """Loss of the best constant prediction: the natural size of an objective."""
    y = problem.y[:, k]
    low, high = float(y.min()), float(y.max())

    def loss(constant: float) -> float:
        return float(problem.weights @ problem.loss.value(y - constant))

    if low == high:
        return 0.0
    best = minimize_scalar(loss, bounds=(low, high), method="bounded")
    return float(min(best.fun, loss(float(problem.weights @ y))))


def _rounding_floor(
    problem: Problem, coef: Array, intercept: float, residual: Array, k: int
) -> float:
    """What rounding alone can do to the loss: ℓ at residuals off by 8 ε (|y| + |x|ᵀ|w| + |b|)."""
    size = np.abs(problem.y[:, k]) + problem.design.absolute().predict(
        np.abs(coef), abs(float(intercept))
    )
    error = 8 * EPS * size
    z = np.abs(residual)
    loss = problem.loss
    slope = max(loss.upper, -loss.lower) + loss.curvature * z
    return float(problem.weights @ (slope * error + 0.5 * loss.curvature * error * error))
