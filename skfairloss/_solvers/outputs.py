"""Problems whose outputs separate: each output by itself, in threads, or some together first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from joblib import Parallel, delayed

from skfairloss._core.problem import Problem
from skfairloss._core.solution import Measured, Solution
from skfairloss._design.basis import Basis
from skfairloss._solvers.all_rows import solve_all_rows
from skfairloss._solvers.formulation import Model, Options, Output, penalty_bases
from skfairloss._solvers.least_squares import better_start, fits_exactly, ridge_fit
from skfairloss._solvers.many_outputs import Shared, share, solve_together
from skfairloss._solvers.output_rows import solve_output
from skfairloss._solvers.ties import resolve_ties
from skfairloss._typing import Array

Bases = list[Callable[[], Basis]]


@dataclass(frozen=True)
class _Solved:
    """One output's share of a solution; ``dual`` is (n,)."""

    coef: Array
    intercept: float
    dual: Array
    n_iter: int
    tie_resolved: bool = True
    stopped: bool = False
    measured: Measured | None = None


@dataclass(frozen=True)
class _Way:
    """Bases, start and method with which each output of a problem is solved.

    Parameters
    ----------
    bases : the bases to solve in, best first.
    start : the models (p, m) and (m,) to start from. None where there are none.
    by_signs : whether signs of rows are worth fixing: there are many.
    shared : what outputs share. None where each is solved by itself.
    """

    bases: Bases
    start: tuple[Array, Array] | None
    by_signs: bool = False
    shared: Shared | None = None


def fix_signs(problem: Problem, options: Options) -> Solution:
    """Solve many rows with kinks; all rows of an output at once where fixing signs fails."""
    start = options.models
    if start is None and problem.l1 > 0:
        start = ridge_fit(problem)
    return _solve_each(problem, _Way(_bases(problem, start), start, by_signs=True), options)


def solve_sharing(problem: Problem, options: Options) -> Solution | None:
    """Solve several outputs on fewer rows. None where they have nothing to share."""
    shared = share(problem)
    if shared is None:
        return None
    start = _first_models(problem, options)
    return _solve_each(problem, _Way(_bases(problem, start), start, shared=shared), options)


def solve_singly(problem: Problem, options: Options) -> Solution:
    """Solve each output on all rows."""
    start = _first_models(problem, options)
    return _solve_each(problem, _Way(_bases(problem, start), start), options)


def _first_models(problem: Problem, options: Options) -> tuple[Array, Array]:
    """Return the models to start from, or the means of y where these have a lower objective."""
    coef, intercept = options.models or ridge_fit(problem)
    return better_start(problem, coef, intercept)


def _bases(problem: Problem, start: tuple[Array, Array] | None) -> Bases:
    """Return the bases to solve in, best first.

    Under an L1 penalty they reach single coefficients.
    """
    if problem.l1 > 0 and start is not None:
        return penalty_bases(problem, problem.objective(*start))
    best = problem.sample_basis or problem.exact_basis
    return [lambda: best] if best.plain is None else [lambda: best, lambda: problem.basis]


def _solve_each(problem: Problem, way: _Way, options: Options) -> Solution:
    """Solve all outputs."""
    options = options.reporting(problem, way.start)
    way.bases[0]()  # computed once, before the outputs share it
    singly = [range(k, k + 1) for k in range(problem.n_outputs)]
    groups = singly if way.shared is None else way.shared.groups
    if len(groups) == 1:
        parts = [_solve_group(problem, groups[0], way, options)]
    else:
        parts = Parallel(n_jobs=options.n_jobs, require="sharedmem")(
            delayed(_solve_group)(problem, group, way, options) for group in groups
        )
    solved: list[_Solved] = list(chain(*parts))
    alone = solved[0].measured if len(solved) == 1 else None
    return Solution(
        np.column_stack([part.coef for part in solved]),
        np.array([part.intercept for part in solved]),
        alone.dual if alone is not None else np.column_stack([part.dual for part in solved]),
        measured=alone,
        n_iter=np.array([part.n_iter for part in solved], dtype=np.intp),
        tie_resolved=np.array([part.tie_resolved for part in solved]),
        stopped=np.array([part.stopped for part in solved]),
    )


def _solve_group(problem: Problem, group: range, way: _Way, options: Options) -> list[_Solved]:
    """Solve some of the outputs; what is left open together is solved one by one."""
    outputs = [Output(problem, k, way.bases[0]()) for k in group]
    found: list[tuple[Model | None, int]] = [(None, 0)] * len(group)
    if way.shared is not None and way.start is not None:
        outputs = [way.shared.output(k) for k in group]
        found = solve_together(way.shared, group, way.start, options)
    parts = []
    for output, (model, spent) in zip(outputs, found, strict=True):
        if model is None:
            part = _solve_output(output, way, options, spent)
        else:
            part = _part(output, model, spent)
        if options.progress is not None:
            options.progress.report(output.k, part.coef, part.intercept, finished=True)
        parts.append(part)
    return parts


def _solve_output(output: Output, way: _Way, options: Options, spent: int) -> _Solved:
    """Solve an output by itself, once some iterations are spent.

    A basis in which rounding keeps the gap open gives way to the next; the best result counts.
    """
    problem, k = output.problem, output.k
    first = None if way.start is None else (way.start[0][:, k], float(way.start[1][k]))
    if first is not None and not way.by_signs and fits_exactly(problem, k, *first):
        return _Solved(*first, np.zeros(len(problem.y)), 1)
    found: list[tuple[Output, Model]] = []
    for basis in way.bases:
        if found:
            output = Output(problem, k, basis())
        model, n_iter = _solve_in_basis(output, first, way, options.after(spent))
        found.append((output, model))
        spent += n_iter
        if model.stopped or model.gap <= options.tol or spent >= options.max_iter:
            break
    output, best = min(found, key=lambda pair: pair[1].gap)
    return _part(output, replace(best, stopped=found[-1][1].stopped), spent)


def _solve_in_basis(
    output: Output, start: tuple[Array, float] | None, way: _Way, options: Options
) -> tuple[Model, int]:
    """Fix signs if there are many rows; solve all rows at once if not, or where that fails."""
    spent = 0
    if way.by_signs:
        found, spent = solve_output(output, start, options)
        if found is not None:
            return found, spent
    if start is None:
        coef, intercept = better_start(output.problem, *ridge_fit(output.problem))
        start = coef[:, output.k], float(intercept[output.k])
    model, n_iter = solve_all_rows(output, start, options.after(spent))
    return model, spent + n_iter


def _part(output: Output, model: Model, spent: int) -> _Solved:
    """Return an output's share of the solution, ties settled."""
    model, resolved = resolve_ties(output, model)
    dual, measured, stopped = output.data_dual(model), model.measured, model.stopped
    return _Solved(model.coef, model.intercept, dual, spent, resolved, stopped, measured)
