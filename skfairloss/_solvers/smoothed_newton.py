r"""Step 2 of `sign_fixing`: a Newton step on all rows, the kink of |r| a line within ±h.

Chernozhukov, Fernández-Val & Melly (2022), section 3, take one step from a model that is close:
with the density of the residuals at 0 for second derivatives it is as good as the optimum to first
order. The gradient takes a pass over X. At the optimum under another mix it is known (`carried`):
duals are scaled to the new intervals, and only the squares have to be weighed anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import lapack

from skfairloss._core.solution import Measured, Slopes
from skfairloss._design.rows import pieces_of
from skfairloss._solvers.crossover import factor_if_regular
from skfairloss._solvers.formulation import Output, Selection, kinked_problem
from skfairloss._solvers.interior_point import interior_point
from skfairloss._typing import Array, Index

_ENOUGH, _AT_LEAST = 50, 4000  # rows that settle second derivatives: for each coordinate, in all
_SEEN = 1e-7  # relative curvature of a direction from which a Newton step moves along it
_WIDER = 100.0  # growth of the dual intervals, and with them of rounding errors, that is allowed
_SETTLED = 1e-12  # Fenchel-Young gaps of the rows, in losses, up to which duals go with residuals
_KINKED_TOL = 1e-6  # gap of a step that sees the kinks of single rows ...
_PENALTY_TOL = 1e-3  # ... or those of a penalty alone


@dataclass(frozen=True)
class State:
    """A model with its residuals (n,), and the iterations spent so far."""

    coef: Array
    intercept: float
    residual: Array
    n_iter: int


@dataclass(frozen=True)
class Smoothed:
    """All rows at a model, |r| smoothed within ±h.

    Parameters
    ----------
    state : the model, with its residuals.
    h : the bandwidth.
    kinks : rows that keep their kink, since no others would make up for it.
    slope : (n,), the slopes of the kinked part; for rows beyond h their duals, 0 for those that
        keep their kink.
    linear : minus the gradient, in θ.
    constant : the value of squares and ridge, and of the rows' linear terms with these slopes.
    """

    state: State
    h: float
    kinks: Index
    slope: Array
    linear: Array
    constant: float

    @cached_property
    def near(self) -> Index:
        """The rows with |r| < h."""
        return within(self.state.residual, self.h)

    def distance(self, rank: int) -> float:
        """The |r| of the given rank."""
        some = self.state.residual[self.near] if rank < len(self.near) else self.state.residual
        return order_statistic(some, rank)


def smoothed(output: Output, model: tuple[Array, float], h: float, kinks: Index) -> Smoothed:
    """A model close to the optimum, in one pass over X."""
    problem, weights, (coef, intercept) = output.problem, output.problem.weights, model
    steep, slope = problem.loss.curvature, np.empty(len(weights))
    soft = weights.copy() if len(kinks) else weights
    soft[kinks] = 0.0

    def score(rows: slice, residual: Array) -> tuple[Array, Array]:
        here = smoothed_slope(output, soft[rows], residual, h, out=slope[rows])
        u = here if steep == 0 else here + steep * weights[rows] * residual
        return u, np.array([u.sum(), here @ residual])

    residual, adjoint, (total, value) = problem.design.sweep(output.y, coef, intercept, score)
    linear = output.downhill(coef, adjoint, float(total))
    constant = output.squares(coef, residual) + float(value)
    return Smoothed(State(coef, intercept, residual, 0), h, kinks, slope, linear, constant)


def carried(
    output: Output, model: tuple[Array, float], h: float, kinks: Index, known: Measured | None
) -> Smoothed | None:
    """The optimum under another mix, with slopes that are its duals; None if it is not known.

    With s and s' the curvatures, a = v z - s v r the duals of the kinks, ρ the ratio of
    their intervals: u' = ρ a + s' v r = ρ v z + (s' - ρ s) v r, of which Xᵀ(v z) is known.
    """
    if known is None or isinstance(known.dual, Slopes):
        return None
    (coef, intercept), weights = model, output.problem.weights
    loss, before = output.problem.loss, known.under
    same = known.is_of(coef[:, None], np.array([intercept]), known.dual)  # no column screened out
    if not same or loss.loss_mix > _WIDER * before.loss_mix:
        return None
    if known.rows[0] > _SETTLED * known.loss[0]:  # stopped, or loose: duals are not the signs'
        return None
    residual, dual, ratio = known.residual[:, 0], known.dual[:, 0], loss.loss_mix / before.loss_mix
    slope = np.where(residual > 0, loss.upper, loss.lower)
    near = within(residual, h)
    kink = dual[near] - before.curvature * residual[near]
    slope[near] = np.clip(ratio * kink, loss.lower, loss.upper)
    slope *= weights
    squares = (loss.curvature - ratio * before.curvature) * (weights * residual)
    adjoint = ratio * known.gradient[:, 0] + output.problem.design.adjoint(squares)
    total = ratio * float(known.total[0]) + float(squares.sum())
    linear = output.downhill(coef, adjoint, total)
    if len(kinks):
        linear -= output.rows(kinks).adjoint(slope[kinks])
        slope[kinks] = 0.0
    constant = output.squares(coef, residual) + float(slope @ residual)
    return Smoothed(State(coef, intercept, residual, 0), h, kinks, slope, linear, constant)


def newton_step(output: Output, at: Smoothed) -> tuple[Array, float]:
    """δ of a Newton step on all rows, and the kinks' share of the second derivatives.

    Kinks of single rows and of a penalty are kept.
    """
    problem, weights, kinks, state = output.problem, output.problem.weights, at.kinks, at.state
    near = at.near
    if len(kinks):
        near = np.setdiff1d(near, kinks, assume_unique=True)
    few, steep = thinned(near, weights, output.basis.n_coordinates)
    steep = steep * (half_width(output) / at.h)
    squares = output.hessian(output.basis.full_gram())
    curvature = squares + problem.design.rows(output.basis, few).gram(steep)
    share = 1.0 - float(np.trace(squares)) / max(float(np.trace(curvature)), 1e-300)
    if problem.l1 == 0 and not len(kinks):
        return curved_minimum(curvature, at.linear), share
    pq = kinked_problem(
        output,
        state.coef,
        Selection(output.rows(kinks), state.residual[kinks], weights[kinks]),
        hessian=curvature,
        linear=at.linear,
        constant=output.objective(state.coef, state.residual),
    )
    tol = _KINKED_TOL if len(kinks) else _PENALTY_TOL
    found = interior_point(pq, tol=tol, floor=0.0, max_iter=50, crossover=False)
    return found.delta, share


def smoothed_slope(
    output: Output, weights: Array, residual: Array, h: float, out: Array | None = None
) -> Array:
    """Weighted slope of the absolute part, the kink replaced by a line within ±h."""
    loss = output.problem.loss
    slope = np.divide(residual, h, out=out)
    np.clip(slope, -1.0, 1.0, out=slope)
    slope *= half_width(output)
    slope += 0.5 * (loss.upper + loss.lower)
    slope *= weights
    return slope


def within(residual: Array, limit: float) -> Index:
    """The rows with |r| < limit."""
    found = [
        piece.start + np.flatnonzero(np.abs(residual[piece]) < limit)
        for piece in pieces_of(len(residual), 1)
    ]
    return np.concatenate(found) if found else np.zeros(0, dtype=np.intp)


def order_statistic(residual: Array, rank: int) -> float:
    """The |residual| of the given rank."""
    absolute = np.abs(residual)
    absolute.partition(rank)
    return float(absolute[rank])


def half_width(output: Output) -> float:
    """Half the width of the interval of subgradients at 0."""
    return 0.5 * (output.problem.loss.upper - output.problem.loss.lower)


def curved_minimum(curvature: Array, slope: Array) -> Array:
    """argmin ½ sᵀCs - slopeᵀs; no step along directions that C hardly sees."""
    factor = factor_if_regular(curvature)
    if factor is not None:
        return np.asarray(lapack.dpotrs(factor, slope, lower=True)[0])
    return np.asarray(np.linalg.lstsq(curvature, slope, rcond=_SEEN)[0])


def thinned(near: Index, weights: Array, d: int) -> tuple[Index, Array]:
    """As many of the rows as settle a matrix of second derivatives, with weights for all."""
    few = near[:: max(1, len(near) // max(_ENOUGH * d, _AT_LEAST))]
    own = weights[few]
    return few, own * float(weights[near].sum() / max(own.sum(), 1e-300))
