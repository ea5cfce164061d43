r"""Solvers: functions from a `Problem` to a `Solution`. `solve` is the table of who solves what.

| problem                                | route                                                  |
|----------------------------------------|--------------------------------------------------------|
| λ = 0, no L1 penalty                   | `least_squares`: closed form, all outputs at once      |
| kinks, few rows                        | `all_rows`: interior point and crossover on every row  |
| λ > 0, many more rows than features    | `sign_fixing`: the same on the rows near zero residual |
| λ > 0, fewer rows, several outputs     | `many_outputs`: shared steps for all, then an active   |
|                                        | set or `sign_fixing` for each                          |
| linear rows, λ > 0, many more rows     | `linear_rows`: a plain problem in fewer directions     |
| group losses or other linear rows      | `constrained`: interior point on all outputs at once,  |
|                                        | on the rows near zero where there are many; in their   |
|                                        | multipliers alone where no row has a kink              |
| equalised losses                       | `equalized`: a path of bounded problems                |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import chain

import numpy as np
from joblib import Parallel, delayed

from skfairloss._basis import Basis
from skfairloss._problem import Measured, Problem, Solution, Start
from skfairloss._solvers import equalized
from skfairloss._solvers.all_rows import solve_all_rows
from skfairloss._solvers.constrained import check_linear, solve_constrained
from skfairloss._solvers.equalized import Equalized
from skfairloss._solvers.formulation import (
    Iteration,
    Model,
    Options,
    Output,
    Progress,
    penalty_bases,
)
from skfairloss._solvers.least_squares import fits_exactly, least_squares, ridge_fit
from skfairloss._solvers.linear_rows import can_eliminate, solve_on_rows
from skfairloss._solvers.many_outputs import Shared, share, solve_together
from skfairloss._solvers.sign_fixing import solve_by_signs
from skfairloss._solvers.ties import resolve_ties
from skfairloss._typing import Array

__all__ = ["Equalized", "Iteration", "solve", "solve_equalized"]

# Coefficients, intercept, z, iterations, whether ties were settled, whether it was stopped, what
# the certificate's pass has found of it.
Part = tuple[Array, float, Array, int, bool, bool, Measured | None]


def solve(
    problem: Problem,
    *,
    tol: float = 1e-8,
    max_iter: int = 500,
    start: Start | None = None,
    n_jobs: int | None = None,
    on_iteration: Callable[[Iteration], bool] | None = None,
) -> Solution:
    """Minimise a problem.

    Parameters
    ----------
    problem : what to minimise.
    tol : relative gap aimed at; `skfairloss._certificate.certify` says what was reached.
    max_iter : iterations allowed per output.
    start : where to start.
    n_jobs : outputs solved at a time, in threads.
    on_iteration : called, never twice at a time, after each iteration on an output, where True
        stops the work on this output, and with its final model. A closed form has no iterations.
    """
    if problem.constrained:
        return _solve_constrained(problem, tol, max_iter, on_iteration)
    if problem.loss.loss_mix == 0 and problem.l1 == 0:
        return least_squares(problem)
    first = None if start is None else (start.coef, start.intercept)
    if start is None and not (_by_signs(problem) and problem.l1 == 0):
        first = ridge_fit(problem)
    if first is not None and not _by_signs(problem):
        first = _better_start(problem, *first)
    bases = _bases(problem, first)
    options = Options(tol, max_iter, start, _progress(problem, on_iteration, first))
    bases[0]()  # computed once, before the outputs share it
    shared = None if first is None else share(problem)
    singly = [range(k, k + 1) for k in range(problem.n_outputs)]
    groups = singly if shared is None else shared.groups
    if len(groups) == 1:
        parts = [_solve_group(problem, groups[0], bases, first, options, shared)]
    else:
        parts = Parallel(n_jobs=n_jobs, require="sharedmem")(
            delayed(_solve_group)(problem, group, bases, first, options, shared) for group in groups
        )
    coef, intercept, dual, n_iter, resolved, stopped, measured = zip(*chain(*parts), strict=True)
    alone = measured[0] if len(measured) == 1 else None
    if alone is not None:
        z = alone.dual
    else:
        z = dual[0][:, None] if len(dual) == 1 else np.column_stack(dual)
    return Solution(
        np.column_stack(coef),
        np.array(intercept),
        z,
        measured=alone,
        n_iter=np.array(n_iter, dtype=np.intp),
        tie_resolved=np.array(resolved),
        stopped=np.array(stopped),
    )


def _solve_constrained(
    problem: Problem, tol: float, max_iter: int, on_iteration: Callable[[Iteration], bool] | None
) -> Solution:
    """Linear rows are eliminated where that leaves a plain problem."""
    if can_eliminate(problem):
        check_linear(problem)
        plain = partial(solve, tol=tol)
        found = solve_on_rows(problem, plain, max_iter=max_iter, on_iteration=on_iteration)
        if found is not None:
            return found
    progress = _progress(problem, on_iteration)
    return solve_constrained(problem, tol=tol, max_iter=max_iter, progress=progress)


def solve_equalized(
    problem: Problem,
    tolerance: float,
    *,
    tol: float = 1e-8,
    max_iter: int = 500,
    on_iteration: Callable[[Iteration], bool] | None = None,
) -> Equalized:
    """The point with the largest level of the losses whose spread is within a tolerance.

    Parameters
    ----------
    problem : with a criterion.
    tolerance : largest spread of the group losses.
    tol, max_iter, on_iteration : as for `solve`; iterations are counted for each point tried.
    """
    progress = _progress(problem, on_iteration)
    return equalized.solve_equalized(
        problem, tolerance, tol=tol, max_iter=max_iter, progress=progress
    )


def _progress(
    problem: Problem,
    on_iteration: Callable[[Iteration], bool] | None,
    start: tuple[Array, Array] | None = None,
) -> Progress | None:
    """Who is told of models of all outputs, from a start: one that is zero unless given."""
    if on_iteration is None:
        return None
    if start is not None:
        return Progress(start[0].copy(), start[1].copy(), on_iteration)
    nothing = np.zeros((problem.design.shape[1], problem.n_outputs))
    return Progress(nothing, np.zeros(problem.n_outputs), on_iteration)


def _by_signs(problem: Problem) -> bool:
    """Whether signs of rows are worth fixing: there are many, and they have kinks."""
    return problem.loss.loss_mix > 0 and problem.sample is not None


def _bases(problem: Problem, start: tuple[Array, Array] | None) -> list[Callable[[], Basis]]:
    """The bases to solve in, best first; one that reaches single coefficients for an L1 penalty."""
    if problem.l1 > 0 and start is not None:
        return penalty_bases(problem, problem.objective(*start))
    best = problem.sample_basis or problem.exact_basis
    return [lambda: best] if best.plain is None else [lambda: best, lambda: problem.basis]


def _solve_group(
    problem: Problem,
    group: range,
    bases: list[Callable[[], Basis]],
    start: tuple[Array, Array] | None,
    options: Options,
    shared: Shared | None,
) -> list[Part]:
    """Some of the outputs; what is left open together is solved one by one."""
    outputs = [Output(problem, k, bases[0]()) for k in group]
    found: list[tuple[Model | None, int]] = [(None, 0)] * len(group)
    if shared is not None and start is not None:
        outputs = [shared.output(k) for k in group]
        found = solve_together(shared, group, start, options)
    parts = []
    for output, (model, spent) in zip(outputs, found, strict=True):
        if model is None:
            part = _solve_output(output, bases, start, options, spent)
        else:
            part = _part(output, model, spent)
        if options.progress is not None:
            options.progress.report(output.k, part[0], part[1], finished=True)
        parts.append(part)
    return parts


def _solve_output(
    output: Output,
    bases: list[Callable[[], Basis]],
    start: tuple[Array, Array] | None,
    options: Options,
    spent: int = 0,
) -> Part:
    """An output by itself, once some iterations are spent.

    A basis in which rounding keeps the gap open gives way to the next; the best result counts.
    """
    problem, k = output.problem, output.k
    first = None if start is None else (start[0][:, k], float(start[1][k]))
    if first is not None and not _by_signs(problem) and fits_exactly(problem, k, *first):
        return *first, np.zeros(len(problem.y)), 1, True, False, None
    found: list[tuple[Output, Model]] = []
    for basis in bases:
        if found:
            output = Output(problem, k, basis())
        model, n_iter = _solve_in_basis(output, first, options.after(spent))
        found.append((output, model))
        spent += n_iter
        if model.stopped or model.gap <= options.tol or spent >= options.max_iter:
            break
    output, best = min(found, key=lambda pair: pair[1].gap)
    return _part(output, replace(best, stopped=found[-1][1].stopped), spent)


def _part(output: Output, model: Model, spent: int) -> Part:
    """An output's share of the solution, ties settled."""
    model, resolved = resolve_ties(output, model)
    z = output.data_dual(model)
    return model.coef, model.intercept, z, spent, resolved, model.stopped, model.measured


def _solve_in_basis(
    output: Output, start: tuple[Array, float] | None, options: Options
) -> tuple[Model, int]:
    """The route of the table above; every row where fixing signs does not work out."""
    spent, sample = 0, output.problem.sample
    if sample is not None and _by_signs(output.problem):
        found, spent = solve_by_signs(output, sample, start, options)
        if found is not None:
            return found, spent
    if start is None:
        coef, intercept = _better_start(output.problem, *ridge_fit(output.problem))
        start = coef[:, output.k], float(intercept[output.k])
    model, n_iter = solve_all_rows(output, start, options.after(spent))
    return model, spent + n_iter


def _better_start(problem: Problem, coef: Array, intercept: Array) -> tuple[Array, Array]:
    """The given models, or the mean of y for outputs where that has the lower objective."""
    mean = problem.weights @ problem.y if problem.fit_intercept else np.zeros_like(intercept)
    worse = problem.objective(coef, intercept) > problem.loss_values(problem.y - mean)
    return np.where(worse, 0.0, coef), np.where(worse, mean, intercept)
