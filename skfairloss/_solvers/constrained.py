r"""Fits under fairness terms: from a `Problem` with a criterion or linear rows to a `Solution`.

A bounded problem that cannot be solved is told from one that has no solution by the smallest factor
f with every loss <= f times its bound; contradicting linear rows by a linear programme (HiGHS).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import floor, log10

import numpy as np
from scipy.optimize import linprog

from skfairloss._groups import spelled
from skfairloss._problem import Problem, Solution
from skfairloss._solvers.crossover import continued
from skfairloss._solvers.formulation import Options, Progress
from skfairloss._solvers.group_formulation import (
    Grouped,
    Setting,
    formulate_groups,
    largest_bound,
    measuring,
    to_model,
    to_solution,
)
from skfairloss._solvers.group_sign_fixing import solve_grouped
from skfairloss._solvers.interior_point import nothing_moved
from skfairloss._solvers.kinked import KinkedQuadratic, KinkedSolution
from skfairloss._solvers.least_squares import fits_exactly
from skfairloss._solvers.ties import resolve_group_ties
from skfairloss._solvers.tolerances import FLOOR, INNER_TOL, TINY
from skfairloss.exceptions import InfeasibleFairnessError

_ROUGH = 1e-3
_FAR = 100.0  # bounds above so many times the loss of the mean of y are tried without
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
    setting, near = setting or Setting(problem), _without_far_bounds(problem)
    found = _solve(near, problem, options, setting, rough)
    if near is not problem and not found.stopped.any():
        terms = problem.group_terms(problem.residual(found.coef, found.intercept))
        if terms.violation > options.tol:
            return _solve(problem, problem, options, setting, rough)
    return found


def _without_far_bounds(problem: Problem) -> Problem:
    """Return the problem without bounds that are far above any loss that is to be expected.

    A multiplier that has to fall to the objective's share in such a bound takes an interior point
    many steps.
    """
    criterion = problem.criterion
    if criterion is None:
        return problem
    kept = []
    for bounds, size in zip(criterion.bounds, problem.bounded_sizes, strict=True):
        far = bounds.values > _FAR * size / criterion.shares
        kept.append(replace(bounds, values=np.where(far, np.inf, bounds.values)))
    pairs = zip(kept, criterion.bounds, strict=True)
    if all(np.array_equal(one.values, other.values) for one, other in pairs):
        return problem
    return replace(problem, criterion=replace(criterion, bounds=tuple(kept)))


def _solve(
    problem: Problem, whole: Problem, options: Options, setting: Setting, rough: bool
) -> Solution:
    """`solve_constrained` of a problem with some of the bounds of the whole one."""
    tol, max_iter, progress = options.tol, options.max_iter, options.progress
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
    if problem.groups.is_bounded and not (found.stopped or rough):
        met = found.gap <= tol * abs(found.objective) and grouped.excess(found) <= tol
        if not met:
            _check_bounds(problem, whole, setting, tol, max_iter)
    resolved = True
    if not (found.stopped or rough):
        found, resolved = resolve_group_ties(grouped, found)
    return to_solution(grouped, found, found.n_iter, resolved)


def _from_before(
    gq: KinkedQuadratic,
    setting: Setting,
    tol: float,
    floor: float,
    watch: Callable[[KinkedSolution], bool] | None,
) -> KinkedSolution | None:
    """The solution that follows from the last exact one under other bounds, if it does."""
    before = setting.exact
    coupling = gq.coupling
    assert coupling is not None
    same = before is not None and len(before.multipliers) == len(coupling.bound)
    if before is None or not same or coupling.leveled:
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
    if grouped.group_losses(np.zeros_like(gq.linear), gq.residual).max() > largest:
        return False
    exact = all(
        fits_exactly(problem, k, coef[:, k], float(intercept[k])) for k in range(problem.n_outputs)
    )
    return exact and problem.linear_violation(coef) <= 0.0


def _watch(grouped: Grouped, progress: Progress | None) -> Callable[[KinkedSolution], bool] | None:
    """Return the callback that tells of the models that the solver goes through."""
    if progress is None:
        return None

    def on_iteration(found: KinkedSolution) -> bool:
        return progress.report_all(*to_model(grouped, found))

    return on_iteration


def _check_bounds(
    problem: Problem, whole: Problem, setting: Setting, tol: float, max_iter: int
) -> None:
    """Raise InfeasibleFairnessError where the smallest factor f is above 1 for certain."""
    grouped = formulate_groups(problem, setting.basis, setting.start, factor=True)
    found = solve_grouped(grouped.gq, tol=INNER_TOL * tol, floor=0.0, max_iter=max_iter)
    if not (found.objective - found.gap) / largest_bound(problem) > 1.0 + tol:
        return
    coupling, n = grouped.coupling, len(found.multipliers) - grouped.n_linear
    losses = coupling.losses(found.delta, grouped.gq.residual_at(found.delta))
    factor = coupling.level(losses) / largest_bound(problem)
    multipliers, labels = found.multipliers[:n], problem.groups.labels
    held = sorted(set(coupling.groups[:n][multipliers > 1e-6 * multipliers.max()].tolist()))
    names = spelled([labels[g] for g in held])
    conflict = f"the bounds of the {names} stand against each other or against the data"
    if len(held) == 1:
        conflict = f"the bound of the {names} stands against the data"
    able = {
        labels[g]: _rounded_up(factor * bound[g] / problem.n_outputs * bounds.loss.unit)
        for bounds, bound in zip(whole.groups.bounds, whole.group_bounds, strict=True)
        for g in bounds.groups
    }
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
    scale = np.maximum(np.abs(np.vstack([term.rows for term in terms])).max(axis=0), TINY)
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
