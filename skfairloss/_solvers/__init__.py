r"""Solvers: functions from a `Problem` to a `Solution`. `solve` is the table of who solves what.

| problem                                | route                                                  |
|----------------------------------------|--------------------------------------------------------|
| λ = 0, no L1 penalty                   | `least_squares`: closed form, all outputs at once      |
| kinks, few rows                        | `kinked`: interior point and crossover on every row    |
| λ > 0, many more rows than features    | `sign_fixing`: the same on the rows near zero residual |
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from joblib import Parallel, delayed

from skfairloss._basis import EPS, Basis
from skfairloss._problem import Problem, Solution
from skfairloss._solvers.formulation import Model, Options, Output, solution_bases
from skfairloss._solvers.kinked import solve_all_rows
from skfairloss._solvers.least_squares import least_squares, ridge_fit
from skfairloss._solvers.sign_fixing import has_many_rows, solve_by_signs
from skfairloss._solvers.ties import resolve_ties
from skfairloss._typing import Array

__all__ = ["solve"]

_EXACT = 8 * EPS  # relative rounding error of a residual


def solve(
    problem: Problem,
    *,
    tol: float = 1e-8,
    max_iter: int = 200,
    start: tuple[Array, Array] | None = None,
    n_jobs: int | None = None,
    on_iteration: Callable[[int, float], bool] | None = None,
) -> Solution:
    """Minimise a problem.

    Parameters
    ----------
    problem : what to minimise.
    tol : relative gap aimed at; `skfairloss._certificate.certify` says what was reached.
    max_iter : iterations allowed per output.
    start : coefficients (p, m) and intercept (m,) that are thought to be close to the optimum.
    n_jobs : outputs solved at a time, in threads.
    on_iteration : called with the iteration and the gap; True stops.
    """
    if problem.loss.loss_mix == 0 and problem.l1 == 0:
        return least_squares(problem)
    options = Options(tol, max_iter, warm=start is not None, on_iteration=on_iteration)
    first = _better_start(problem, *(ridge_fit(problem) if start is None else start))
    bases = solution_bases(problem, problem.objective(*first))
    bases[0]()  # computed once, before the outputs share it
    parts = Parallel(n_jobs=n_jobs, prefer="threads")(
        delayed(_solve_output)(problem, k, bases, first, options) for k in range(problem.n_outputs)
    )
    coef, intercept, dual, n_iter, resolved = zip(*parts, strict=True)
    return Solution(
        np.column_stack(coef),
        np.array(intercept),
        np.column_stack(dual),
        np.array(n_iter, dtype=np.intp),
        np.array(resolved),
    )


def _solve_output(
    problem: Problem,
    k: int,
    bases: list[Callable[[], Basis]],
    start: tuple[Array, Array],
    options: Options,
) -> tuple[Array, float, Array, int, bool]:
    """Coefficients, intercept, z, iterations and whether ties were settled.

    A basis in which rounding keeps the gap open gives way to the next; the best result counts.
    """
    first = start[0][:, k], float(start[1][k])
    if _fits_exactly(problem, k, *first):
        return *first, np.zeros(len(problem.y)), 1, True
    found: list[tuple[Output, Model]] = []
    spent = 0
    for basis in bases:
        output = Output(problem, k, basis())
        model, n_iter = _solve_in_basis(output, first, options.after(spent))
        found.append((output, model))
        spent += n_iter
        if model.gap <= options.tol or spent >= options.max_iter:
            break
    output, model = min(found, key=lambda pair: pair[1].gap)
    model, resolved = resolve_ties(output, model)
    return model.coef, model.intercept, output.data_dual(model), spent, resolved


def _solve_in_basis(
    output: Output, start: tuple[Array, float], options: Options
) -> tuple[Model, int]:
    """The route of the table above; every row where fixing signs does not work out."""
    spent = 0
    if has_many_rows(output):
        found, spent = solve_by_signs(output, start, options)
        if found is not None:
            return found, spent
    model, n_iter = solve_all_rows(output, start, options.after(spent))
    return model, spent + n_iter


def _better_start(problem: Problem, coef: Array, intercept: Array) -> tuple[Array, Array]:
    """The given models, or the mean of y for outputs where that has the lower objective."""
    mean = problem.weights @ problem.y if problem.fit_intercept else np.zeros_like(intercept)
    worse = problem.objective(coef, intercept) > problem.objective(np.zeros_like(coef), mean)
    return np.where(worse, 0.0, coef), np.where(worse, mean, intercept)


def _fits_exactly(problem: Problem, k: int, coef: Array, intercept: float) -> bool:
    """Whether a model without penalty leaves residuals of the size of rounding errors only."""
    if problem.penalty(coef[:, None])[0] > 0:
        return False
    y = problem.y[:, k]
    residual = np.abs(y - problem.design.predict(coef, intercept))
    if residual.max() > 1e-9 * np.abs(y).max():  # spares the pass below
        return False
    size = problem.design.absolute().predict(np.abs(coef), abs(intercept)) + np.abs(y)
    return bool((residual <= _EXACT * size).all())
