r"""Fits under fairness terms: from a `Problem` with a criterion or linear rows to a `Solution`.

A bounded problem that cannot be solved is told from one that has no solution by the smallest factor
f with every loss <= f times its bound; contradicting linear rows by a linear programme (HiGHS).
"""

from __future__ import annotations

from dataclasses import replace
from math import floor, log10

import numpy as np
from scipy.optimize import linprog

from skfairloss._core.problem import Problem
from skfairloss._core.solution import Solution
from skfairloss._inputs.groups import spelled
from skfairloss._solvers.coupled import (
    PRESENT,
    Coupled,
    Near,
    Setting,
    formulate_coupled,
    largest_bound,
    to_solution,
)
from skfairloss._solvers.coupled_rows import solve_coupled, watch
from skfairloss._solvers.crossover import continued
from skfairloss._solvers.formulation import Options
from skfairloss._solvers.interior_point import nothing_moved
from skfairloss._solvers.kinked import KinkedSolution
from skfairloss._solvers.least_squares import fits_exactly
from skfairloss._solvers.ties import resolve_coupled_ties
from skfairloss._solvers.tolerances import FLOOR, INNER_TOL, TINY
from skfairloss._solvers.whole import Goal
from skfairloss._typing import Array
from skfairloss.exceptions import InfeasibleFairnessError

_ROUGH_GAP = 1e-3  # gap of points that only lead near: what they miss is solved for anyway
_SMALLEST = 1e-5  # a factor this close to its lower bound, relative, is the smallest
_FAR_BOUND = 100.0  # bounds above so many times the loss of the mean of y are tried without
_NEARLY_EXACT = 1e-9  # residuals above this, relative to y, are more than rounding errors
_MET_EXACTLY = 1e-10  # differences of means, relative to the spread of y, that are none
_MET_LINEAR = 1e-7  # the same for HiGHS, whose feasibility tolerance this is
_HELD = 1e-9  # price of a row, of 1 in all, that is more than rounding


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
    setting, near = setting or Setting(problem), without_far_bounds(problem)
    found = _solve(near, problem, options, setting, rough)
    if near is not problem and not found.stopped.any():
        terms = problem.group_terms(problem.residual(found.coef, found.intercept))
        if terms.violation > options.tol:
            return _solve(problem, problem, options, setting, rough)
    return found


def without_far_bounds(problem: Problem) -> Problem:
    """Return the problem without bounds that are far above any loss that is to be expected.

    A multiplier that has to fall to the objective's share in such a bound takes an interior point
    many steps.
    """
    criterion = problem.criterion
    if criterion is None:
        return problem
    kept = []
    for bounds, size in zip(criterion.bounds, problem.bounded_sizes, strict=True):
        far = bounds.values > _FAR_BOUND * size / criterion.shares
        kept.append(replace(bounds, values=np.where(far, np.inf, bounds.values)))
    pairs = zip(kept, criterion.bounds, strict=True)
    if all(np.array_equal(one.values, other.values) for one, other in pairs):
        return problem
    return replace(problem, criterion=replace(criterion, bounds=tuple(kept)))


def _solve(
    problem: Problem, whole: Problem, options: Options, setting: Setting, rough: bool
) -> Solution:
    """Solve a problem with some of the bounds of the whole one."""
    tol, max_iter, progress = options.tol, options.max_iter, options.progress
    coupled = setting.formulated(problem)
    if _start_is_exact(problem, coupled):
        return to_solution(coupled, nothing_moved(coupled.kq), 1)
    report = None if progress is None else progress.report_all
    floor = FLOOR * problem.n_outputs * problem.natural_loss
    goal = Goal(
        _ROUGH_GAP / INNER_TOL if rough else tol, floor, max_iter, not rough, not rough, report
    )
    found = None if rough else _from_before(coupled, setting, goal)
    if found is None:
        found = solve_coupled(coupled, goal, setting.latest or coupled.near(options.start))
    setting.latest = Near(found.delta, found.multipliers)
    if not rough:
        setting.exact = found
    if problem.groups.is_bounded and not (found.stopped or rough):
        met = found.gap <= tol * abs(found.objective) and coupled.excess(found) <= tol
        if not met:
            _check_bounds(problem, whole, setting, tol, max_iter)
    resolved = True
    if not (found.stopped or rough):
        found, resolved = resolve_coupled_ties(coupled, found)
    return to_solution(coupled, found, found.n_iter, resolved)


def _from_before(coupled: Coupled, setting: Setting, goal: Goal) -> KinkedSolution | None:
    """Return the solution that follows from the last exact one under other bounds.

    None where it does not.
    """
    before, coupling = setting.exact, coupled.coupling
    same = before is not None and len(before.multipliers) == len(coupling.bound)
    if before is None or not same or coupling.leveled:
        return None
    found, tell = (
        continued(coupled.kq, before, INNER_TOL * goal.tol, goal.floor),
        watch(coupled, goal),
    )
    if found is not None and tell is not None and tell(found):
        return replace(found, stopped=True)
    return found


def _start_is_exact(problem: Problem, coupled: Coupled) -> bool:
    """Return True where the start leaves rounding errors only and meets all linear rows."""
    coef, intercept = coupled.start
    error = _NEARLY_EXACT * np.abs(problem.y).max(axis=0)
    if coupled.n_data:  # a few rows may spare the passes of the rest
        some = np.abs(coupled.data.some_residuals()).max(axis=0)
        if (some > error).any():
            return False
    largest = np.maximum(problem.loss.value(error), problem.loss.value(-error)).sum()
    if (
        coupled.group_losses(np.zeros_like(coupled.base.linear), coupled.kq.residual).max()
        > largest
    ):
        return False
    exact = all(
        fits_exactly(problem, k, coef[:, k], float(intercept[k])) for k in range(problem.n_outputs)
    )
    return exact and problem.linear_violation(coef) <= 0.0


def _check_bounds(
    problem: Problem, whole: Problem, setting: Setting, tol: float, max_iter: int
) -> None:
    """Raise InfeasibleFairnessError where the smallest factor f is above 1 for certain.

    It is looked for in coordinates of a fit without the penalty: the penalty's may be none.
    """
    if problem.l1 > 0 or problem.l2 > 0:
        problem = replace(problem, l1=0.0, l2=0.0)
        setting = Setting(problem)
    coupled = formulate_coupled(problem, setting.basis, setting.start, factor=True)
    found = solve_coupled(coupled, Goal(tol, 0.0, max_iter, certified=False), None)
    kq = coupled.kq
    assert kq.coupling is not None
    losses = kq.coupling.losses(found.delta, kq.residual_at(found.delta))
    refuse_bounds(coupled, whole, found, losses, tol)


def refuse_bounds(
    coupled: Coupled, whole: Problem, found: KinkedSolution, losses: Array, tol: float
) -> None:
    """Raise InfeasibleFairnessError where the smallest factor f is above 1 for certain.

    Parameters
    ----------
    coupled : the problem of the smallest factor.
    whole : the problem with all of its bounds.
    found : its solution, with a gap of all rows.
    losses : (J,), left sides of the constraints there.
    tol : relative.
    """
    problem, coupling = coupled.problem, coupled.coupling
    mean = (
        PRESENT * _FAR_BOUND * problem.n_outputs * problem.natural_loss
    )  # at most, of a better model
    least = (found.objective - found.gap - mean) / largest_bound(problem)
    if not least > 1.0 + tol:
        return
    n = len(found.multipliers) - coupled.n_linear
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
    smallest = "The smallest common factor that can be met"
    if factor > least * (1.0 + _SMALLEST):
        smallest = f"The smallest common factor is at least {least:.6g}. One that can be met"
    raise InfeasibleFairnessError(
        f"BoundedGroupLoss cannot be met: {conflict}. {smallest} is {_rounded_up(factor):.6g}: "
        f"upper_bound={able}"
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
    unit = problem.spread * terms[0].unit
    lacking = [_lacking(problem, k) for k in range(problem.n_outputs)]
    needs = [
        f"{_rounded_up(found[0] * size):.6g} in output {k}"
        for k, (found, size) in enumerate(zip(lacking, unit, strict=True))
        if found is not None
    ]
    if needs:
        held = set().union(*(found[1] for found in lacking if found is not None))
        groups = spelled([terms[0].labels[g] for g in sorted(held)])
        raise InfeasibleFairnessError(
            f"no linear model brings the means of the {groups} as close as the tolerance asks: it "
            f"would have to be larger by {' and '.join(needs)}, in units of y"
        )


def _lacking(problem: Problem, k: int) -> tuple[float, set[int]] | None:
    """Return what tolerances lack in an output, in spreads of y, and the groups that need it.

    None where they can be met.
    """
    terms, size = problem.linear, problem.spread[k]
    scale = np.maximum(np.abs(np.vstack([term.rows for term in terms])).max(axis=0), TINY)
    rows = np.vstack([term.rows / scale for term in terms])
    target = np.concatenate([term.target[:, k] for term in terms]) / size
    slack = np.concatenate([np.full(len(t.rows), t.tolerance[k] / size) for t in terms])
    nearest = np.linalg.lstsq(rows, target, rcond=None)[0]
    if (np.abs(target - rows @ nearest) <= slack + _MET_EXACTLY).all():
        return None
    # minimise s subject to |target - rows w| <= slack + s
    ones = np.ones((len(rows), 1))
    found = linprog(
        np.append(np.zeros(rows.shape[1]), 1.0),
        A_ub=np.vstack([np.hstack([-rows, -ones]), np.hstack([rows, -ones])]),
        b_ub=np.concatenate([slack - target, slack + target]),
        bounds=[(None, None)] * rows.shape[1] + [(0, None)],
        method="highs",
    )
    if found.status != 0 or found.fun <= _MET_LINEAR:
        return None
    price = np.abs(found.ineqlin.marginals).reshape(2, len(terms), -1).sum(axis=(0, 1))
    return float(found.fun), set(np.flatnonzero(price > _HELD).tolist())
