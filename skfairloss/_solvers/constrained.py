r"""Fits under fairness terms: from a `Problem` with a criterion or linear rows to a `Solution`.

A bounded problem that cannot be solved is told from one that has no solution by the smallest factor
f with every loss <= f times its bound; contradicting linear rows by a linear programme (HiGHS).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import floor, log10

import numpy as np
from scipy.optimize import linprog

from skfairloss._core.constraints import MIX, GroupLoss
from skfairloss._core.problem import Problem
from skfairloss._core.solution import Solution
from skfairloss._design.basis import EPS, ROUNDING
from skfairloss._inputs.groups import spelled
from skfairloss._solvers.coupled import (
    PRESENT,
    Coupled,
    Setting,
    formulate_coupled,
    largest_bound,
    to_solution,
)
from skfairloss._solvers.formulation import Options
from skfairloss._solvers.interior_point import nothing_moved
from skfairloss._solvers.kinked import KinkedSolution
from skfairloss._solvers.least_squares import fits_exactly
from skfairloss._solvers.nearby import Known, solve_coupled
from skfairloss._solvers.ties import resolve_coupled_ties
from skfairloss._solvers.tolerances import FLOOR, MET, NEARLY_ZERO, TINY
from skfairloss._solvers.whole import Goal
from skfairloss._typing import Array
from skfairloss.exceptions import InfeasibleFairnessError

_SMALLEST = 1e-5  # a factor this close to its lower bound, relative, is the smallest
_FAR_BOUND = 100.0  # bounds above so many times the loss of the mean of y are tried without
_MET_LINEAR = 1e-7  # what HiGHS, whose feasibility tolerance this is, may miss in spreads of y


def solve_constrained(problem: Problem, options: Options) -> Solution:
    """Return the optimum of a problem with a criterion, linear rows or both.

    Raises
    ------
    InfeasibleFairnessError
        If no model meets the linear rows or the bounds.
    """
    check_linear(problem)
    start = options.models if problem.design.compensated else None  # its own, to be refined
    return optimum(problem, options, Setting(problem, start), Known()).solution


@dataclass(frozen=True)
class Optimum:
    """The solution of a problem in its coupled form; ``tie_resolved`` as in `Solution`."""

    coupled: Coupled
    found: KinkedSolution
    tie_resolved: bool = True

    @property
    def solution(self) -> Solution:
        """The model."""
        return to_solution(self.coupled, self.found, self.found.n_iter, self.tie_resolved)

    def is_within(self, tol: float) -> bool:
        """Return True where the gap and the violation of the bounds are within tol, relative."""
        found, coupled = self.found, self.coupled
        closed = found.gap <= tol * abs(found.objective)
        return closed and coupled.excess(found, coupled.problem) <= tol

    def group_losses(self, loss: GroupLoss) -> Array:
        """Return losses that bounds are about, (G,), as means over the outputs."""
        coupled, found = self.coupled, self.found
        if found.measured is not None:
            residual = found.measured.residual[coupled.data.index]
        else:
            residual = coupled.kq.residual_at(found.delta)[: coupled.n_data]
        return coupled.group_losses(loss, found.delta, residual) / coupled.problem.n_outputs


def optimum(problem: Problem, options: Options, setting: Setting, known: Known) -> Optimum:
    """Solve a problem whose linear rows can be met, given what is known of others like it."""
    near = without_far_bounds(problem)
    found = _solve(near, problem, options, setting, known)
    if near is problem or found.found.stopped:
        return found
    if found.coupled.excess(found.found, problem) <= options.tol:
        return found
    return _solve(problem, problem, options, setting, known)


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
    problem: Problem, whole: Problem, options: Options, setting: Setting, known: Known
) -> Optimum:
    """Solve a problem with some of the bounds of the whole one."""
    tol, progress, coupled = options.tol, options.progress, setting.formulated(problem)
    if _start_is_exact(problem, coupled):
        return Optimum(coupled, replace(nothing_moved(coupled.kq), n_iter=1))
    report = None if progress is None else progress.report_all
    floor = FLOOR * problem.n_outputs * problem.natural_loss
    goal = Goal(tol, floor, options.max_iter, report=report)
    known.near = known.near or coupled.near(options.start)
    found = solve_coupled(coupled, goal, known)
    if found.stopped:
        return Optimum(coupled, found)
    if problem.groups.is_bounded and not Optimum(coupled, found).is_within(tol):
        _check_bounds(problem, whole, setting, tol, options.max_iter)
    return Optimum(coupled, *resolve_coupled_ties(coupled, found))


def _start_is_exact(problem: Problem, coupled: Coupled) -> bool:
    """Return True where the start leaves rounding errors only and meets all linear rows."""
    coef, intercept = coupled.start
    error = NEARLY_ZERO * np.abs(problem.y).max(axis=0)
    if coupled.n_data:  # a few rows may spare the passes of the rest
        some = np.abs(coupled.data.some_residuals()).max(axis=0)
        if (some > error).any():
            return False
    largest = np.maximum(problem.loss.value(error), problem.loss.value(-error)).sum()
    at_start, none = np.zeros_like(coupled.base.linear), coupled.data.residual
    if coupled.group_losses(MIX, at_start, none).max() > largest:
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
    found = solve_coupled(coupled, Goal(tol, 0.0, max_iter, certified=False))
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
    rounding = ROUNDING * coupled.basis.amplification(0.0) ** 0.5  # of predictions
    if not least > 1.0 + tol + rounding:
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
    # in orthonormal directions: HiGHS does not see what nearly equal columns can still do
    directions, sizes, _ = np.linalg.svd(rows, full_matrices=False)
    rows = directions[:, sizes > max(rows.shape) * EPS * sizes.max(initial=0.0)]
    if (np.abs(target - rows @ (rows.T @ target)) <= slack + MET).all():
        return None
    # minimise s subject to |target - rows t| <= slack + s
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
    return float(found.fun), set(np.flatnonzero(price > NEARLY_ZERO).tolist())
