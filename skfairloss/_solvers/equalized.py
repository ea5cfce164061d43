r"""The path of an equalised loss: least L + penalty with every group loss at most t, t falling.

For two groups the spread of the losses is monotone in t (the larger one is t, the smaller one does
not fall as t does), so Brent's method brackets the crossing. For more groups it need not be: t is
scanned, and the first crossing refined. Near the smallest attainable t* the multipliers of the
bounds blow up; t* itself is the worst-group problem without the penalty.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from scipy.optimize import brentq, minimize_scalar

from skfairloss._constraints import LIMIT
from skfairloss._problem import Problem, Solution
from skfairloss._solvers.constrained import solve_constrained
from skfairloss._solvers.formulation import Progress
from skfairloss._solvers.group_formulation import Setting
from skfairloss._typing import Array

_LEVELS = 12  # of t, for more than two groups
_RESOLUTION = 1e-6  # of t, relative
_ROUNDING = 1e-9  # spread that is rounding, relative to t
_INSIDE = 1e-7  # levels this close to t*, relative, are left to the worst-group problem


@dataclass(frozen=True)
class Equalized:
    """A point of the path: the problem it solves, its solution, t and the spread of the losses.

    ``lowest`` tells that it is at t*: a smaller spread needs a group to get worse.
    """

    problem: Problem
    solution: Solution
    t: float
    spread: float
    lowest: bool = False

    def within(self, tolerance: float) -> bool:
        """Whether the spread is at most the tolerance, up to rounding."""
        return self.spread <= tolerance + _ROUNDING * self.t


def solve_equalized(
    problem: Problem,
    tolerance: float,
    *,
    tol: float,
    max_iter: int,
    progress: Progress | None = None,
) -> Equalized:
    """The point of the path with the largest t whose spread is within the tolerance.

    Where none is, the point with the smallest spread.
    """
    path = _Path(problem, tol, max_iter, progress)
    top = path.point(problem)
    if top.within(tolerance) or path.stopped(top):
        return top
    criterion = problem.criterion
    assert criterion is not None
    free = replace(problem, l1=0.0, l2=0.0)
    worst = replace(free, criterion=replace(criterion, worst_weight=1.0 - LIMIT))
    bottom = replace(_Path(free, tol, max_iter, progress).point(worst), lowest=True)
    low = bottom.t * (1.0 + _INSIDE)
    if path.stopped(bottom) or low >= top.t:
        return bottom
    if problem.l1 > 0 or problem.l2 > 0:
        bottom = replace(path.at(low), lowest=True)
    seen = [top, bottom]

    def excess(t: float) -> float:
        seen.append(path.at(t) if t > low else bottom)
        return seen[-1].spread - tolerance

    if len(criterion.shares) == 2:
        bracket = (low, top.t) if bottom.within(tolerance) else None
    else:
        bracket = _first_crossing(path, tolerance, low, top.t)
        if bracket is None:
            seen.append(path.at(_smallest_spread(path, low, top.t)))
    if bracket is not None and excess(bracket[0]) < 0:
        brentq(excess, *bracket, xtol=_RESOLUTION * bracket[0], rtol=_RESOLUTION, full_output=True)
    within = [point for point in seen if point.within(tolerance)]
    if within:
        return max(within, key=lambda point: point.t)
    return min(seen, key=lambda point: point.spread)


def _levels(low: float, high: float) -> Array:
    """The levels of t that are scanned, from the highest."""
    return np.linspace(high, low, _LEVELS + 1)


def _first_crossing(
    path: _Path, tolerance: float, low: float, high: float
) -> tuple[float, float] | None:
    """Levels of t, the lower within the tolerance, the upper above it; None if none is within."""
    for above, below in pairwise(_levels(low, high)):
        if path.at(float(below), rough=True).within(tolerance):
            return float(below), float(above)
    return None


def _smallest_spread(path: _Path, low: float, high: float) -> float:
    """The scanned level with the smallest spread, refined between its neighbours."""
    levels = _levels(low, high)
    spreads = [path.at(float(t), rough=True).spread for t in levels]
    at = int(np.argmin(spreads))
    ends = float(levels[min(at + 1, _LEVELS)]), float(levels[max(at - 1, 0)])
    found = minimize_scalar(
        lambda t: path.at(float(t), rough=True).spread,
        bounds=ends,
        method="bounded",
        options={"xatol": 1e-3 * (ends[1] - ends[0])},
    )
    return float(found.x)


class _Path:
    """Points of the path of a problem."""

    def __init__(
        self, problem: Problem, tol: float, max_iter: int, progress: Progress | None
    ) -> None:
        self._problem = problem
        self._tol = tol
        self._max_iter = max_iter
        self._progress = progress
        self._setting = Setting(problem)

    def at(self, t: float, rough: bool = False) -> Equalized:
        """The point at t."""
        criterion = self._problem.criterion
        assert criterion is not None
        bounded = replace(criterion, bounds=np.minimum(criterion.bounds, t))
        return self.point(replace(self._problem, criterion=bounded), rough)

    def point(self, problem: Problem, rough: bool = False) -> Equalized:
        """The optimum of a problem, with the losses of the groups."""
        solution = solve_constrained(
            problem,
            tol=self._tol,
            max_iter=self._max_iter,
            progress=self._progress,
            setting=self._setting,
            rough=rough,
        )
        residual = problem.residual(solution.coef, solution.intercept)
        losses = problem.group_terms(residual).losses / problem.n_outputs
        return Equalized(problem, solution, float(losses.max()), float(np.ptp(losses)))

    def stopped(self, point: Equalized) -> bool:
        """Whether a callback stopped the work."""
        return bool(point.solution.stopped.any())
