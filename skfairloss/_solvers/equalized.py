r"""The path of an equalised loss: least L + penalty with every group loss at most t, t falling.

For two groups, the mix and no penalty the spread of the losses is monotone in t (the larger one is
t, the smaller one does not fall as t does), so Brent's method brackets the crossing. Else it need
not be: t is scanned. Of two groups the difference with its sign tells a crossing between levels,
and where the spread is smaller than at both levels next to it, the lowest point between them is
looked for; the first crossing is refined. Near the smallest attainable t* the multipliers of the
bounds blow up; t* itself is the worst-group problem without the penalty.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq, minimize_scalar

from skfairloss._core.constraints import LIMIT, MIX
from skfairloss._core.problem import Problem
from skfairloss._core.solution import Multipliers, Solution
from skfairloss._solvers.constrained import solve_constrained
from skfairloss._solvers.coupled import Setting
from skfairloss._solvers.formulation import Options
from skfairloss._typing import Array

_LEVELS = 8  # of t, where the spread need not be monotone
_RESOLUTION = 1e-6  # of t, relative
_SECANTS, _SAFEGUARDED = 60, 10  # exact points towards a crossing; every other one halves then
_NEAR = 2e-2  # of the step between levels: how near to a crossing rough points lead
_DOUBT = 5e-2  # of the plain fit's spread: of a hundred rough points one is further off
_DIP = 1e-3  # of a step: how near to the lowest point between levels
_SAME_LOSS = 1e-9  # spread that is rounding, relative to t
_INSIDE = 1e-7  # levels this close to t*, relative, are left to the worst-group problem


@dataclass(frozen=True)
class Equalized:
    """A point of the path: the problem it solves, its solution, and the losses of the groups (G,).

    The losses are in the problem's units of the one that is equalised. ``lowest`` tells that it is
    at t*: a smaller spread needs a group to get worse. ``limit`` is then the worst-group problem
    with its solution, if it was found as such: multipliers of bounds at t* magnify its gap.
    """

    problem: Problem
    solution: Solution
    losses: Array
    lowest: bool = False
    limit: tuple[Problem, Solution] | None = None

    @property
    def t(self) -> float:
        """The largest loss."""
        return float(self.losses.max())

    @property
    def spread(self) -> float:
        """The largest loss less the smallest."""
        return float(np.ptp(self.losses))

    def within(self, tolerance: float) -> bool:
        """Return True where the spread is at most the tolerance, up to rounding."""
        return self.spread <= tolerance + _SAME_LOSS * self.t


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
    bottom = path.lowest()
    low = bottom.t * (1.0 + _INSIDE)
    if path.stopped(bottom):
        return bottom
    penalised = problem.l1 > 0 or problem.l2 > 0
    if low >= top.t:
        return replace(top, lowest=True) if penalised else bottom
    if penalised:
        bottom = replace(path.at(low), lowest=True)
    levels = np.array([top.t, low])
    own = path.level.kind is not None
    if len(path.criterion.shares) > 2 or penalised or own:
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
        self._worst = int(np.argmax(ends[0].losses))
        self._doubt = _DOUBT * ends[0].spread

    def exact(self, t: float) -> Equalized:
        """Return the point at t."""
        if t not in self._exact:
            self._exact[t] = self._path.at(t)
        return self._exact[t]

    def excess(self, t: float) -> float:
        """Return how far the point at t is above the tolerance.

        Of two groups it is that of the difference with its sign, which tells a crossing passed by.
        """
        return self._above(self.exact(t))

    def _above(self, point: Equalized) -> float:
        losses, spread = point.losses, point.spread
        if len(losses) == 2:
            spread = float(losses[self._worst] - losses[1 - self._worst])
        return spread - self._allowed(point.t)

    def _allowed(self, t: float) -> float:
        """Return the largest spread that counts as the tolerance."""
        return self._tolerance + _SAME_LOSS * t

    def _rough_excess(self, t: float) -> float:
        """Return the same of a point whose gap tells it nearly."""
        if t not in self._rough:
            self._rough[t] = self._path.at(t, rough=True)
        return self._above(self._rough[t])

    def _at_level(self, t: float) -> float:
        """Return the same, exact where a rough point leaves its sign in doubt."""
        if t in self._exact or abs(self._rough_excess(t)) <= self._doubt:
            return self.excess(t)
        return self._rough_excess(t)

    def crossing(self) -> Equalized | None:
        """Return the largest t within the tolerance, from the first level. None if none is."""
        levels = self._levels.tolist()
        for above, level, below in zip(levels, levels[1:], [*levels[2:], None], strict=False):
            at = level if below is None else self._lowest(below, level, above)
            found = self._between(at, above) if self._at_level(at) <= 0 else None
            if found is not None:
                return found
        return None

    def _lowest(self, below: float, level: float, above: float) -> float:
        """Return a level, or the lowest point between those next to it if it is below both."""
        here = self._at_level(level)
        if here <= 0 or here >= min(self._at_level(below), self._at_level(above)):
            return level
        lowest = self._minimised(below, above)
        return lowest if self.excess(lowest) < here else level

    def _minimised(self, low: float, high: float) -> float:
        """Return where exact points between two levels have the smallest excess."""
        options = {"xatol": _DIP * (high - low)}
        found = minimize_scalar(
            lambda t: self.excess(float(t)), bounds=(low, high), method="bounded", options=options
        )
        return float(found.x)

    def _between(self, below: float, above: float) -> Equalized | None:
        """Return the largest t within the tolerance between two levels, by way of rough points."""
        first = below
        if self._rough_excess(below) < 0 < self._rough_excess(above):
            first = float(brentq(self._rough_excess, below, above, xtol=_NEAR * (above - below)))
        self._refine(below, above, first)
        found = [
            point
            for t, point in self._exact.items()
            if below <= t <= above and point.within(self._tolerance)
        ]
        return max(found, key=lambda point: point.t, default=None)

    def _refine(self, below: float, above: float, t: float) -> None:
        """Exact points from t towards the crossing between two levels, until it is bracketed.

        A secant through the last two points above the tolerance and a chord of the bracket aim at
        it, a little on the side that is within; the higher one counts. A point that looks as if at
        the crossing is compared with the next one: losses may be equal along a part of the path,
        whose end is the crossing then.
        """
        low, high, slope, flat, at_low = below, above, 0.0, False, False
        for k in range(_SECANTS):
            step = _RESOLUTION * t
            if self.excess(t) <= 0:  # a point that is halfway to the tolerance is on no flat part
                flat = at_low or (flat and self.excess(t) <= 0.5 * self.excess(low))
                low = t
            elif t < high:
                slope, high = self._slope(t, high), t
            if high - low <= step and self.exact(low).within(self._tolerance):
                return
            slopes = [s for s in (slope, self._slope(low, high)) if s > 0]
            inside = min(0.5 * step * min(slopes, default=0.0), self._allowed(t))
            t = max((high - (self._at_level(high) + inside) / s for s in slopes), default=low)
            at_low = t <= low + step < high and not flat
            t = low + step if at_low else t
            if not low < t < high or (flat and t <= low + step) or (k > _SAFEGUARDED and k % 2):
                t = 0.5 * (low + high)

    def _slope(self, low: float, high: float) -> float:
        """Return the slope of the excess between two points; 0 where it does not rise."""
        return max((self._at_level(high) - self._at_level(low)) / (high - low), 0.0)

    def smallest(self) -> Equalized:
        """Return the level with the smallest spread, refined between its neighbours."""
        levels = self._levels
        at = int(np.argmin([self._at_level(float(t)) for t in levels]))
        self.excess(float(levels[at]))
        if at + 1 < len(levels):
            self._minimised(float(levels[at + 1]), float(levels[max(at - 1, 0)]))
        return min(self._exact.values(), key=lambda point: point.spread)


class _Path:
    """Points of the path of a problem."""

    def __init__(self, problem: Problem, options: Options) -> None:
        assert problem.criterion is not None
        self.criterion = problem.criterion
        self.level = self.criterion.level_loss or MIX
        self._problem = problem
        self._options = options
        self._setting = Setting(problem)

    def at(self, t: float, rough: bool = False) -> Equalized:
        """Return the point at t."""
        return self.point(replace(self._problem, criterion=self.criterion.at_level(t)), rough)

    def point(self, problem: Problem, rough: bool = False) -> Equalized:
        """Return the optimum of a problem, with the losses of the groups."""
        return self._measured(
            problem,
            solve_constrained(problem, self._options, setting=self._setting, rough=rough),
        )

    def _measured(self, problem: Problem, solution: Solution) -> Equalized:
        residual = problem.residual(solution.coef, solution.intercept)
        losses = problem.group_losses(self.level, residual) / problem.n_outputs
        return Equalized(problem, solution, losses)

    def lowest(self) -> Equalized:
        """Return the point at t* without the penalty: the largest loss is the smallest possible.

        The mean loss decides among such points by a weight of next to nothing. In units of this
        weight the multipliers are those of the bounds at t*.
        """
        free = replace(self._problem, l1=0.0, l2=0.0)
        criterion = replace(self.criterion, worst_weight=1.0 - LIMIT, worst_loss=self.level)
        worst = replace(free, criterion=criterion)
        solution = solve_constrained(worst, self._options)
        found, limit = self._measured(worst, solution), (worst, solution)
        held = solution.multipliers
        assert held is not None
        bounds = tuple(
            (own + held.worst if one.loss.kind == self.level.kind else own) / worst.mean_weight
            for one, own in zip(criterion.bounds, held.bounds, strict=True)
        )
        linear = tuple(own / worst.mean_weight for own in held.linear)
        dual = solution.dual
        if not criterion.about_mix and isinstance(dual, np.ndarray):  # else rows are re-weighted
            dual = dual / worst.mean_weight
        multipliers = Multipliers(np.zeros_like(held.worst), bounds, linear)
        solution = replace(solution, dual=dual, multipliers=multipliers, measured=None)
        problem = replace(self._problem, criterion=self.criterion.at_level(found.t))
        return Equalized(problem, solution, found.losses, lowest=True, limit=limit)

    def stopped(self, point: Equalized) -> bool:
        """Return True where a callback stopped the work."""
        return bool(point.solution.stopped.any())
