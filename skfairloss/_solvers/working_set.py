r"""L1 penalties: solve for a few columns, exchange them for those the optimum asks for, and repeat.

At the optimum, with u = v ℓ'(r) under the weights that the multipliers leave,

    |x_jᵀu - l2 w_j| <= l1,     and below l1 only where w_j = 0.                          (1)

  1. start with the columns of the largest |x_jᵀu| at a constant model, and with those of a start;
  2. solve the problem of these columns;
  3. take Xᵀu in one pass over X, as the certificate does. Columns that have reached l1 enter, the
     largest first, as many as there are at most; those far below l1 leave, as long as the
     objective falls; repeat from 2 until none has to enter.

Columns at l1 enter as well as those above it: where they are copies of columns inside, the tie rule
has a choice among all of them.

Sources: Massias, Gramfort & Salmon (2018), "Celer", section 4, for sets that double. Departure: the
problems of step 2 are solved exactly, so that (1) is measured at their optimum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from skfairloss._core.constraints import LinearRows
from skfairloss._core.problem import Problem
from skfairloss._core.solution import Slopes, Solution
from skfairloss._design.factor import column_spread
from skfairloss._solvers.formulation import Iteration, Options
from skfairloss._solvers.tolerances import NEARLY_ZERO
from skfairloss._typing import Array, Index
from skfairloss.exceptions import InfeasibleFairnessError

_FIRST = 50  # columns at least: a problem of so few costs little beside a pass over X
_REACHED = 1.0 - 1e-6  # share of l1 that counts as l1: errors of duals are far smaller
# Share of l1 below which columns leave: 0.8 and 0.95 took about the same time, 0.5 and 0.999 more.
_LEAVES = 0.8

Solve = Callable[[Problem, Options], Solution]


def solve_by_working_sets(problem: Problem, options: Options, solve: Solve) -> Solution:
    """Solve a problem with an L1 penalty; ``solve`` is for the problems of some columns."""
    every = np.arange(problem.design.shape[1])
    columns, spent, lowest = _first_columns(problem, options), 0, np.inf
    while len(columns) < len(every):
        part = _restricted(problem, columns)
        try:
            found = solve(part, _with_columns(problem, options.after(spent), columns))
        except InfeasibleFairnessError:  # other columns may meet what these do not
            break
        spent += int(found.n_iter.max())
        gradient = _gradient(problem, found, columns)
        outside = np.setdiff1d(_columns_above(gradient, _REACHED * problem.l1), columns)
        if not len(outside) or found.stopped.any() or spent >= options.max_iter:
            coef = with_zeros(part, found.coef, gradient[columns], _spread(part))
            n_iter = np.full_like(found.n_iter, spent)
            coef = _spread_out(problem, coef, columns)
            return replace(found, coef=coef, measured=None, n_iter=n_iter)
        objective = float(part.objective(found.coef, found.intercept).sum())
        if objective < lowest:
            columns = np.intersect1d(columns, _columns_above(gradient, _LEAVES * problem.l1))
        lowest = min(objective, lowest)
        order = np.argsort(-np.abs(gradient[outside]).max(axis=1), kind="stable")
        columns = np.union1d(columns, outside[order[: max(_FIRST, len(columns))]])
    found = solve(problem, options.after(spent))
    coef = with_zeros(problem, found.coef, _gradient(problem, found, every), _spread(problem))
    return replace(found, coef=coef, n_iter=found.n_iter + spent)


def _first_columns(problem: Problem, options: Options) -> Index:
    """Do step 1: return the columns to start with, ascending."""
    p = problem.design.shape[1]
    if p <= 2 * _FIRST:
        return np.arange(p)
    u = problem.loss.derivative(problem.y - _centre(problem)) * problem.weights[:, None]
    pull = np.abs(_adjoint(problem, u)).max(axis=1)
    first = np.argpartition(-pull, _FIRST)[:_FIRST]
    if options.start is not None:
        first = np.append(first, np.flatnonzero(options.start.coef.any(axis=1)))
    return np.unique(first)


def _centre(problem: Problem) -> Array:
    """Return the constant model, (m,): the weighted mean of y, or 0 without an intercept."""
    return problem.weights @ problem.y * problem.fit_intercept


def _adjoint(problem: Problem, u: Array) -> Array:
    """Return Xᵀu, (p, m), of centred columns where there is an intercept."""
    out = problem.design.adjoint(u)
    if problem.fit_intercept:
        out -= np.multiply.outer(problem.means, u.sum(axis=0))
    return out


def _gradient(problem: Problem, found: Solution, columns: Index) -> Array:
    """Return Xᵀu - l2 w and what linear rows add, (p, m), at a solution for some columns."""
    fit = problem.plain(found.multipliers)
    dual = found.dual
    if dual is None or isinstance(dual, Slopes):
        residual = problem.y - problem.design.columns(columns).predict(found.coef, found.intercept)
        dual = fit.row_loss.derivative(residual)
    out = _adjoint(problem, dual * fit.weights[:, None])
    out[columns] -= problem.l2 * found.coef
    if found.multipliers is not None:
        for term, held in zip(problem.linear, found.multipliers.linear, strict=True):
            out += term.rows.T @ held
    return out


def _columns_above(gradient: Array, level: float) -> Index:
    """Return the columns whose gradient (p, m) is at least so large in some output, ascending."""
    return np.flatnonzero((np.abs(gradient) >= level).any(axis=1))


def _restricted(problem: Problem, columns: Index) -> Problem:
    """Return the problem of some columns."""
    linear = tuple(_of_columns(term, columns) for term in problem.linear)
    return replace(problem, design=problem.design.columns(columns), linear=linear)


def _of_columns(term: LinearRows, columns: Index) -> LinearRows:
    return replace(term, rows=term.rows[:, columns])


def _with_columns(problem: Problem, options: Options, columns: Index) -> Options:
    """Return the options of a problem of some columns; callbacks hear of all coefficients."""
    start, report = options.start, options.on_iteration
    if start is not None:
        start = replace(start, coef=start.coef[columns], measured=None)
    if report is None:
        return replace(options, start=start)

    def on_iteration(at: Iteration) -> bool:
        return report(replace(at, coef=_spread_out(problem, at.coef, columns)))

    return replace(options, start=start, on_iteration=on_iteration)


def _spread_out(problem: Problem, coef: Array, columns: Index) -> Array:
    """Return the coefficients of all columns, (p, m)."""
    out = np.zeros((problem.design.shape[1], coef.shape[1]))
    out[columns] = coef
    return out


def with_zeros(problem: Problem, coef: Array, gradient: Array, norms: Array) -> Array:
    """Return the coefficients, (p, m), with 0 where (1) asks for it and rounding is in the way."""
    small = np.abs(coef) * norms[:, None] <= NEARLY_ZERO * problem.spread
    return np.where(small & (np.abs(gradient) < _REACHED * problem.l1), 0.0, coef)


def _spread(problem: Problem) -> Array:
    """Return the sizes of the centred columns, (p,)."""
    return column_spread(problem.design, problem.weights, problem.fit_intercept)
