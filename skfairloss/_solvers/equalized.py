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

from skfairloss._core.constraints import LIMIT
from skfairloss._core.problem import Problem
from skfairloss._core.solution import Solution
from skfairloss._solvers.constrained import solve_constrained
from skfairloss._solvers.formulation import Options
from skfairloss._solvers.group_formulation import Setting
from skfairloss._typing import Array

_LEVELS = 8  # of t, for more than two groups
_RESOLUTION = 1e-6  # of t, relative
_SECANTS = 30  # exact points towards a crossing; bisection alone would need fewer
_NEAR = 2e-2  # of the step between levels: how near to a crossing rough points lead
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
        """True where the spread is at most the tolerance, up to rounding."""
        return self.spread <= tolerance + _ROUNDING * self.t


def solve_equalized(
    problem: Problem,
    tolerance: float,
    options: Options,
) -> Equalized:
    """Return the point of the path with the largest t whose spread is within the tolerance.

    Where none is, the point with the smallest spread.
    """
    path = _Path(problem, options)
    top = path.point(problem)
    if top.within(tolerance) or path.stopped(top):
        return top
    free = replace(problem, l1=0.0, l2=0.0)
    criterion = replace(path.criterion, worst_weight=1.0 - LIMIT)
    lowest = _Path(free, options).point(replace(free, criterion=criterion))
    bottom = replace(lowest, lowest=True)
    low = bottom.t * (1.0 + _INSIDE)
    if path.stopped(bottom) or low >= top.t:
        return bottom
    if problem.l1 > 0 or problem.l2 > 0:
        bottom = replace(path.at(low), lowest=True)
    levels = np.array([top.t, low])
    if len(path.criterion.shares) > 2:
        levels = np.linspace(top.t, low, _LEVELS + 1)
    scan = _Scan(path, tolerance, levels, [top, bottom])
    return scan.crossing() or scan.smallest()


class _Scan:
    """The path at falling levels of t; the first point is the plain fit, the last is at t*."""

    def __init__(self, path: _Path, tolerance: float, levels: Array, ends: list[Equalized]) -> None:
        self._path = path
        self._tolerance = tolerance
        self._levels = levels
        self._rough = {float(levels[0]): ends[0], float(levels[-1]): ends[1]}
        self._exact = dict(self._rough)

    def rough(self, t: float) -> Equalized:
        """The point at t, to a gap that tells its spread."""
        if t not in self._rough:
            self._rough[t] = self._path.at(t, rough=True)
        return self._rough[t]

    def exact(self, t: float) -> Equalized:
        """The point at t."""
        if t not in self._exact:
            self._exact[t] = self._path.at(t)
        return self._exact[t]

    def crossing(self) -> Equalized | None:
        """The largest t within the tolerance, from the first level that is; None if none is."""
        for above, below in pairwise(self._levels.tolist()):
            found = self._between(below, above) if self._excess(below) <= 0 else None
            if found is not None:
                return found
        return None

    def _excess(self, t: float) -> float:
        """Return the spread of a rough point less the tolerance."""
        return self.rough(t).spread - self._tolerance

    def _between(self, below: float, above: float) -> Equalized | None:
        """The largest t within the tolerance between two levels; rough points lead near to it."""
        first = below
        if self._excess(below) < 0 < self._excess(above):
            first = float(brentq(self._excess, below, above, xtol=_NEAR * (above - below)))
        self._refine(below, above, first)
        found = [
            point
            for t, point in self._exact.items()
            if below <= t <= above and point.within(self._tolerance)
        ]
        return max(found, key=lambda point: point.t, default=None)

    def _refine(self, below: float, above: float, t: float) -> None:
        """Exact points from t towards the crossing between two levels: a safeguarded secant.

        It aims at the side that is within the tolerance, and ends there, the resolution away.
        """
        low, high = below, above
        near = sorted(self._rough, key=lambda other: abs(other - t))[:2]
        slope = _slope(*((other, self._rough[other].spread) for other in near))
        last: tuple[float, float] | None = None
        for _ in range(_SECANTS):
            spread = self.exact(t).spread
            excess, step = spread - self._tolerance, _RESOLUTION * t
            if last is not None and last[0] != t:
                slope = _slope(last, (t, spread)) or slope
            last = t, spread
            low, high = (t, high) if excess <= 0 else (low, t)
            if high - low <= step or -slope * step <= excess <= 0:
                return
            aim = t - excess / slope - 0.5 * step if slope else low
            t = min(max(aim, below), above)
            if (t in self._exact and t in {low, high}) or not low <= t <= high:
                t = 0.5 * (low + high)

    def smallest(self) -> Equalized:
        """The level with the smallest spread, refined between its neighbours."""
        levels = self._levels
        at = int(np.argmin([self.rough(float(t)).spread for t in levels]))
        self.exact(float(levels[at]))
        if at + 1 < len(levels):
            low, high = float(levels[at + 1]), float(levels[max(at - 1, 0)])
            minimize_scalar(
                lambda t: self.exact(float(t)).spread,
                bounds=(low, high),
                method="bounded",
                options={"xatol": 1e-3 * (high - low)},
            )
        return min(self._exact.values(), key=lambda point: point.spread)


def _slope(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Of a spread that rises with t, through two points; 0 where it does not."""
    return max((other[1] - one[1]) / (other[0] - one[0]), 0.0)


class _Path:
    """Points of the path of a problem."""

    def __init__(self, problem: Problem, options: Options) -> None:
        assert problem.criterion is not None
        self.criterion = problem.criterion
        self._problem = problem
        self._options = options
        self._setting = Setting(problem)

    def at(self, t: float, rough: bool = False) -> Equalized:
        """The point at t."""
        bounded = replace(self.criterion, bounds=np.minimum(self.criterion.bounds, t))
        return self.point(replace(self._problem, criterion=bounded), rough)

    def point(self, problem: Problem, rough: bool = False) -> Equalized:
        """The optimum of a problem, with the losses of the groups."""
        solution = solve_constrained(problem, self._options, setting=self._setting, rough=rough)
        residual = problem.residual(solution.coef, solution.intercept)
        losses = problem.group_terms(residual).losses / problem.n_outputs
        return Equalized(problem, solution, float(losses.max()), float(np.ptp(losses)))

    def stopped(self, point: Equalized) -> bool:
        """True where a callback stopped the work."""
        return bool(point.solution.stopped.any())
