r"""Fits under fairness terms: from a `Problem` with a criterion or linear rows to a `Solution`.

A bounded problem that cannot be solved is told from one that has no solution by the smallest factor
f with L̄_g <= f bound_g; contradicting linear rows by a linear programme (HiGHS).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import floor, log10

import numpy as np
from scipy.optimize import linprog

from skfairloss._core.constraints import GroupCriterion
from skfairloss._core.problem import Problem
from skfairloss._core.solution import Solution
from skfairloss._inputs.groups import spelled
from skfairloss._solvers.formulation import Options, Progress
from skfairloss._solvers.group_continuation import continued
from skfairloss._solvers.group_formulation import (
    Grouped,
    Setting,
    formulate_groups,
    group_bounds,
    measuring,
    to_model,
    to_solution,
)
from skfairloss._solvers.group_interior_point import GroupedSolution, nothing_moved
from skfairloss._solvers.group_sign_fixing import solve_grouped
from skfairloss._solvers.grouped import GroupedQuadratic
from skfairloss._solvers.kinked import FLOOR, INNER_TOL
from skfairloss._solvers.least_squares import fits_exactly
from skfairloss._solvers.ties import resolve_group_ties
from skfairloss.exceptions import InfeasibleFairnessError

_ROUGH = 1e-3  # gap of a point that an exact one is solved from, if at all
_NEARLY_EXACT = 1e-9  # residuals above this, relative to y, are more than rounding errors
_MET_EXACTLY = 1e-10  # differences of means, relative to the spread of y, that are none
_MET_LINEAR = 1e-7  # the same for HiGHS, whose feasibility tolerance this is


def solve_constrained(
    problem: Problem,
    options: Options,
    *,
    setting: Setting | None = None,
    rough: bool = False,
) -> Solution:
    """Return the optimum of a problem with a criterion, linear rows or both.

    Parameters
    ----------
    problem : what to minimise.
    options : how far to go.
    setting : of a problem that differs in its criterion only.
    rough : whether a gap of 1e-3 will do.

    Raises
    ------
    InfeasibleFairnessError
        If no model meets the linear rows or the bounds.
    """
    check_linear(problem)
    tol, max_iter, progress = options.tol, options.max_iter, options.progress
    setting = setting or Setting(problem)
    grouped = setting.grouped(problem)
    if _start_is_exact(problem, grouped):
        return to_solution(grouped, nothing_moved(grouped.gq), 1)
    floor, watch = FLOOR * problem.n_outputs * problem.natural_loss, _watch(grouped, progress)
    found = None if rough else _from_before(grouped.gq, setting, INNER_TOL * tol, floor, watch)
    if found is None:
        found = solve_grouped(
            grouped.gq,
            tol=_ROUGH if rough else INNER_TOL * tol,
            floor=floor,
            max_iter=max_iter,
            crossover=not rough,
            on_iteration=watch,
            start=setting.latest,
            measure=None if rough else measuring(grouped),
        )
    setting.latest = found
    if not rough:
        setting.exact = found
    criterion = problem.criterion
    if criterion is not None and len(criterion.bounded) and not (found.stopped or rough):
        met = found.gap <= tol * abs(found.objective) and grouped.excess(found) <= tol
        if not met:
            _check_bounds(problem, criterion, setting, tol, max_iter)
    resolved = True
    if not (found.stopped or rough):
        found, resolved = resolve_group_ties(grouped, found)
    return to_solution(grouped, found, found.n_iter, resolved)


def _from_before(
    gq: GroupedQuadratic,
    setting: Setting,
    tol: float,
    floor: float,
    watch: Callable[[GroupedSolution], bool] | None,
) -> GroupedSolution | None:
    """The solution that follows from the last exact one under other bounds, if it does."""
    before = setting.exact
    if before is None or len(before.multipliers) != len(gq.bound) or gq.slope.any():
        return None
    found = continued(gq, before, tol, floor)
    if found is not None and watch is not None and watch(found):
        return replace(found, stopped=True)
    return found


def _start_is_exact(problem: Problem, grouped: Grouped) -> bool:
    """Return True where the start leaves rounding errors only and meets all linear rows."""
    gq, (coef, intercept) = grouped.gq, grouped.start
    # both spare a pass over X
    error = _NEARLY_EXACT * np.abs(problem.y).max(axis=0)
    if (np.abs(gq.residual[: grouped.n_data]).max(axis=0, initial=0.0) > error).any():
        return False
    largest = np.maximum(problem.loss.value(error), problem.loss.value(-error)).sum()
    if gq.losses(np.zeros_like(gq.linear), gq.residual)[: grouped.n_groups].max() > largest:
        return False
    exact = all(
        fits_exactly(problem, k, coef[:, k], float(intercept[k])) for k in range(problem.n_outputs)
    )
    return exact and problem.linear_violation(coef) <= 0.0


def _watch(grouped: Grouped, progress: Progress | None) -> Callable[[GroupedSolution], bool] | None:
    """Return what reports each model of `group_interior_point`. None where nobody asks for it."""
    if progress is None:
        return None

    def on_iteration(found: GroupedSolution) -> bool:
        return progress.report_all(*to_model(grouped, found))

    return on_iteration


def _check_bounds(
    problem: Problem, criterion: GroupCriterion, setting: Setting, tol: float, max_iter: int
) -> None:
    """Raise InfeasibleFairnessError where the smallest factor f is above 1 for certain."""
    bounds = group_bounds(problem) / problem.n_outputs
    grouped = formulate_groups(problem, setting.basis, setting.start, factor=True)
    found = solve_grouped(grouped.gq, tol=INNER_TOL * tol, floor=0.0, max_iter=max_iter)
    largest = problem.n_outputs * float(bounds[criterion.bounded].max())
    if not (found.objective - found.gap) / largest > 1.0 + tol:
        return
    losses = grouped.gq.losses(found.delta)[criterion.bounded] / problem.n_outputs
    factor = float((losses / bounds[criterion.bounded]).max())
    multipliers = found.multipliers[: len(criterion.bounded)]
    held = criterion.bounded[multipliers > 1e-6 * multipliers.max()]
    names = spelled([criterion.labels[g] for g in held])
    conflict = f"the bounds of the {names} stand against each other or against the data"
    if len(held) == 1:
        conflict = f"the bound of the {names} stands against the data"
    able = {criterion.labels[g]: _rounded_up(factor * bounds[g]) for g in criterion.bounded}
    raise InfeasibleFairnessError(
        f"BoundedGroupLoss cannot be met: {conflict}. The smallest common factor that can be met "
        f"is {_rounded_up(factor):.6g}: upper_bound={able}"
    )


def _rounded_up(value: float) -> float:
    """Six significant digits, rounded up."""
    digits = 5 - floor(log10(value))
    return float(np.ceil(value * 10.0**digits * (1 + 1e-9)) / 10.0**digits)


def check_linear(problem: Problem) -> None:
    """Raise InfeasibleFairnessError where no coefficients meet all linear rows."""
    terms = problem.linear
    if not any(term.target.any() for term in terms):  # 0 meets them
        return
    scale = np.maximum(np.abs(np.vstack([term.rows for term in terms])).max(axis=0), 1e-300)
    rows = np.vstack([term.rows / scale for term in terms])
    size = problem.spread
    for k in range(problem.n_outputs):
        target = np.concatenate([term.target[:, k] for term in terms]) / size[k]
        slack = np.concatenate([np.full(len(t.rows), t.tolerance[k] / size[k]) for t in terms])
        nearest = np.linalg.lstsq(rows, target, rcond=None)[0]
        if (np.abs(target - rows @ nearest) <= slack + _MET_EXACTLY).all():
            continue
        # minimise s subject to |target - rows w| <= slack + s
        ones = np.ones((len(rows), 1))
        found = linprog(
            np.append(np.zeros(rows.shape[1]), 1.0),
            A_ub=np.vstack([np.hstack([-rows, -ones]), np.hstack([rows, -ones])]),
            b_ub=np.concatenate([slack - target, slack + target]),
            bounds=[(None, None)] * rows.shape[1] + [(0, None)],
            method="highs",
        )
        if found.status == 0 and found.fun > _MET_LINEAR:
            price = np.abs(found.ineqlin.marginals).reshape(2, len(terms), -1).sum(axis=(0, 1))
            labels, unit = terms[0].labels, float(np.broadcast_to(terms[0].unit, len(size))[k])
            held = spelled([labels[g] for g in np.flatnonzero(price > 1e-9)])
            raise InfeasibleFairnessError(
                f"no linear model brings the means of the {held} of output {k} as close as "
                f"the tolerance asks: it would have to be larger by "
                f"{_rounded_up(float(found.fun) * size[k] * unit):.6g}, in units of y"
            )
