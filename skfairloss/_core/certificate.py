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
Under an L1 penalty ‖w*‖₁ ≤ F / l1 gives another charge, for any condition of the columns: with
e = Xᵀu - ĝ it is Σ_j |e_j w_j| + max|e| F / l1 + |1ᵀu| · 2B.

Under terms about another loss than the mix each row has the loss a |z| + tilt z + b z² of its group
and output (`Problem.plain`), with the conjugate max(|u - tilt| - a, 0)² / (4 b), or the box
|u - tilt| ≤ a where b = 0. There Σ v |r| of the point itself is known, and of a better one

    Σ v |r*| ≤ min( F / (2λ min(τ, 1-τ) w),  √(F / ((1-λ) w)),  Σ_g V_g min(β_g, √β'_g) ),

w being the mix's weight in the objective, β and β' bounds on the means of |r| and r² in a group:
those asked for, and F / γ for the worst one.

A may as well be orthonormal on a sample of rows alone, or on rows of other weights: where these are
ṽ ≤ e v, the rest equals Σ ṽ_i (A d)_i (f*_i - f_i), and the two charges grow by e and √e.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from scipy.optimize import minimize_scalar

from skfairloss._core.bounds import NEGLIGIBLE, Better, Support, bound, bound_by_penalty
from skfairloss._core.problem import Problem
from skfairloss._core.solution import Certificate, Measured, Point, Slopes
from skfairloss._design.basis import ROUNDING, Basis
from skfairloss._design.design import Design
from skfairloss._typing import Array

# Share of the gap allowed from which a bound is worth another pass over X.
_SHARP = 0.1
# Objectives below this share of the loss of the best constant are measured against the latter.
_NATURAL = 1e-6


def certify(problem: Problem, point: Point, tol: float = 1e-8) -> Certificate:
    """Bound how far a point is from optimal, whoever computed it.

    Under fixed multipliers the Lagrangian is a plain fit: with row weights v_i W_g / V_g, W = base
    + multipliers, where terms are about the mix, else with a loss of its own for each group. Group
    losses and linear rows add to the bound above, for that fit,

        Σ_g worst_g (max L̄ - L̄_g) + Σ |multiplier · slack|.

    Parameters
    ----------
    problem : the regression.
    point : model, duals and multipliers; duals of None certify nothing.
    tol : the gap allowed, relative to max(objective, 1e-6 · loss of the best constant), and the
        violation of a constraint allowed, relative to its bound.

    Returns
    -------
    certificate : an entry for each output, a single one where constraints couple the outputs.
    """
    fit, known = problem.plain(point.multipliers), point.measured
    of_this = known is not None and known.is_of(point.coef, point.intercept, point.dual)
    found = known if known and of_this else _measure(fit, point)
    penalty = problem.penalty(point.coef)
    if not problem.constrained:
        objective, infeasibility = found.loss + penalty, np.zeros_like(penalty)
        gap = _gaps(problem, fit, point, found, objective, objective, 0.0, 0.0, tol)
        allowed = _allowed(problem, point, found.residual, objective, gap, tol)
        return Certificate(objective, gap, infeasibility, gap <= allowed, found.residual)
    terms = problem.group_terms(found.residual)
    total = terms.objective + float(penalty.sum())
    objective, infeasibility, gap = np.array([total]), np.zeros(1), np.full(1, np.inf)
    infeasibility[0] = max(terms.violation, problem.linear_violation(point.coef))
    size = np.full(problem.n_outputs, total / problem.n_outputs)
    gaps = np.full(problem.n_outputs, np.inf)
    if point.multipliers is not None:
        pull, slack = problem.linear_slack(point.coef, point.multipliers)
        better, price = np.full(problem.n_outputs, total), terms.price(point.multipliers)
        gaps = _gaps(problem, fit, point, found, better, size, pull, price, tol)
        gap[0] = gaps.sum() + terms.slack(point.multipliers) + slack
    share = np.full_like(size, gap[0] / len(size))
    allowed = _allowed(problem, point, found.residual, size, share, tol).sum(keepdims=True)
    met = infeasibility <= tol
    if not met.all():  # small bounds may be within rounding errors
        met = infeasibility <= tol + problem.bound_rounding(found.residual)
    certified = (gap <= allowed) & met
    return Certificate(objective, gap, infeasibility, certified, found.residual)


def _gaps(
    problem: Problem,
    fit: Problem,
    point: Point,
    found: Measured,
    better: Array,
    size: Array,
    pull: Array | float,
    price: float,
    tol: float,
) -> Array:
    """Return the module's bound for each output of a plain fit, (m,).

    No better point has a loss above ``better`` (m,) under the problem's own weights, or, where
    terms are about the mix, above ``better`` + ``price`` under those of ``fit``. The former are
    tried first, in coordinates of a sample, if a tenth of ``tol`` is sharp enough; no mean is above
    the largest of its parts. ``pull`` is what linear rows add to Xᵀu.
    """
    gaps, enough = np.full_like(size, np.inf), max(NEGLIGIBLE, _SHARP * tol) * size
    if point.dual is None:
        return gaps
    own = replace(fit, weights=problem.weights) if problem.constrained else fit
    about_mix = fit.grouped_loss is None
    reach = Better.by_mix(problem, better)
    if not about_mix:
        reach = Better.by_terms(problem, *_sizes(problem, found.residual), better)
    near = _sample_support(problem)
    if near is not None:
        gaps, _ = bound(own, point.coef, found, reach, pull, near)
    if problem.l1 > 0:
        gaps = np.fmin(gaps, bound_by_penalty(problem, point.coef, found, reach, pull))
    if problem.constrained and (gaps > enough).any():
        gaps = np.fmin(gaps, bound(own, point.coef, found, reach, pull, _whole(problem))[0])
    if not (gaps <= enough).all():
        reach = Better.by_mix(fit, better + price) if about_mix else reach
        support = _whole(fit if about_mix else problem)
        gaps = np.fmin(gaps, _sharp_gap(fit, point, found, reach, pull, size, support))
    return gaps


def _allowed(
    problem: Problem, point: Point, residual: Array, size: Array, gaps: Array, tol: float
) -> Array:
    """Return the gap that counts as optimal for each output, (m,).

    Rounding is excused as far as y itself, or the size of the task, makes it inevitable: a model so
    large that rounding swallows its objective must not excuse itself.
    """
    allowed = tol * size
    for k in map(int, np.flatnonzero(~(gaps <= allowed))):
        natural = constant_loss(problem, k)
        y_only = np.zeros_like(point.coef[:, k])
        inevitable = _rounding_floor(problem, y_only, 0.0, residual[:, k], k)
        floor = _rounding_floor(problem, point.coef[:, k], point.intercept[k], residual[:, k], k)
        allowed[k] = excused(tol, float(size[k]), natural, floor, inevitable)
    return allowed


def excused(tol: float, size: float, natural: float, floor: float, inevitable: float) -> float:
    """Return the gap that counts as optimal where the objective is ``size``.

    ``natural`` is the loss of the best constant, ``floor`` what rounding alone can make of it, and
    ``inevitable`` what y alone does.
    """
    rounding = min(floor, max(4 * inevitable, _NATURAL * natural))
    return tol * max(size, _NATURAL * natural) + rounding


def _measure(problem: Problem, point: Point) -> Measured:
    """Return what `measure` finds of a point; of duals 0 where there are none."""
    dual = np.zeros(problem.y.shape) if point.dual is None else point.dual
    if isinstance(dual, Slopes):
        return measure_slopes(problem, point.coef, point.intercept, dual)
    return measure(problem, point.coef, point.intercept, dual, lambda rows, _: dual[rows])


def measure_slopes(problem: Problem, coef: Array, intercept: Array, dual: Slopes) -> Measured:
    """`measure` of the model's own slopes."""
    loss = problem.row_loss

    def slopes(rows: slice, residual: Array) -> Array:
        return loss.at(rows).derivative(residual)

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
    weights = problem.weights

    def score(rows: slice, residual: Array) -> tuple[Array, Array]:
        """u of these rows, and the sums of the losses, of the gaps and of u."""
        here, loss = weights[rows], problem.row_loss.at(rows)
        value = loss.value(residual)
        losses = here @ value
        u = loss.into_domain(duals_at(rows, residual))
        gaps = here @ loss.fenchel_young_gap(residual, u, value)
        u = u * here[:, None]
        return u, np.array([losses, gaps, problem.design.total(u)])

    residual, gradient, sums = problem.design.sweep(problem.y, coef, intercept, score)
    losses, gaps, total = sums
    if not problem.fit_intercept:
        total[:] = 0.0
    return Measured(coef, intercept, dual, residual, losses, gaps, total, gradient, problem.loss)


def _sharp_gap(
    problem: Problem,
    point: Point,
    found: Measured,
    better: Better,
    pull: Array | float,
    size: Array,
    support: Support,
) -> Array:
    """Return the bound from all rows, (m,), with duals projected where that is worth it.

    ``pull`` is what linear rows add to Xᵀu, and ``size`` tells which gaps are negligible.
    """
    assert point.dual is not None
    dual, loss = point.dual, problem.row_loss
    gap, defect = bound(problem, point.coef, found, better, pull, support)
    if (gap > NEGLIGIBLE * size).any():
        # Project the duals onto Xᵀu = penalty, 1ᵀu = 0 (A is orthonormal), and measure again.
        if isinstance(dual, Slopes):
            dual = loss.derivative(found.residual)
        dual = loss.into_domain(dual) - _predict(support.basis, problem.design, defect)
        again = _measure(problem, replace(point, dual=dual))
        gap = np.fmin(gap, bound(problem, point.coef, again, better, pull, support)[0])
    return np.where(np.isfinite(gap), gap, np.inf)


def _whole(problem: Problem) -> Support:
    """All rows."""
    basis, smallest = problem.exact_basis, float(problem.weights.min())
    return Support(basis, 1.0, smallest, partial(_largest, basis, problem.design))


def _sample_support(problem: Problem) -> Support | None:
    """Return the sample with its basis. None where there is no sample, or none with a basis."""
    basis = problem.sample_basis  # asked first: a sample without a basis need not be drawn
    if basis is None or (sample := problem.sample) is None:
        return None
    largest = partial(_largest, basis, sample.design)
    return Support(basis, sample.excess, float(problem.weights.min()), largest)


def _largest(basis: Basis, design: Design, theta: Array) -> Array:
    """Return the largest |A θ| of the rows, (m,)."""
    return np.abs(_predict(basis, design, theta)).max(axis=0)


def _sizes(problem: Problem, residual: Array) -> tuple[Array, Array]:
    """Return Σ v |r| and Σ v r² of residuals (n, m), (m,) each."""
    return problem.weights @ np.abs(residual), problem.weights @ (residual * residual)


def _predict(basis: Basis, design: Design, theta: Array) -> Array:
    """Return A θ, (n, m)."""
    return design.predict_in(basis, theta)


def constant_loss(problem: Problem, k: int) -> float:
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
    """Return the loss that rounding alone can make: ℓ at r = 8 ε (|y| + |x|ᵀ|w| + |b|)."""
    size = np.abs(problem.y[:, k]) + problem.design.absolute().predict(
        np.abs(coef), abs(float(intercept))
    )
    error = ROUNDING * size
    z = np.abs(residual)
    loss = problem.loss
    slope = max(loss.upper, -loss.lower) + loss.curvature * z
    return float(problem.weights @ (slope * error + 0.5 * loss.curvature * error * error))
