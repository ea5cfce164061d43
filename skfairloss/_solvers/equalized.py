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

from skfairloss._cached import cached_property
from skfairloss._core.constraints import LIMIT, MIX
from skfairloss._core.problem import Problem
from skfairloss._core.solution import Multipliers, Solution
from skfairloss._solvers import routes
from skfairloss._solvers.constrained import Optimum, check_linear, optimum
from skfairloss._solvers.coupled import Near, Setting
from skfairloss._solvers.formulation import Iteration, Options
from skfairloss._solvers.nearby import Known, Nearly, can_step, step_towards
from skfairloss._solvers.sign_fixing import WARM
from skfairloss._solvers.smoothed_newton import STEPS
from skfairloss._solvers.tolerances import NEARLY_ZERO, ROUNDS
from skfairloss._typing import Array

_LEVELS = 8  # of t, where the spread need not be monotone
_RESOLUTION = 1e-6  # of t, relative
_SECANTS = 60  # exact points towards a crossing; after some rounds every other one halves
_NEAR = 2e-2  # of the step between levels: how near to a crossing rough points lead
_DOUBT = 20.0  # of what losses near a point are off by: how far their excess may be
_SHARES = 0.5, 0.2, 0.1  # of rows near 0, for steps from the plain fit to t*: smoothed ever less
_DIP = 1e-3  # of a step: how near to the lowest point between levels
_BISECTIONS = 6  # towards the lowest level that can be solved: to 1/64 of the path
_AT_LOWEST = 1e-7  # levels this close to t*, relative, are left to the worst-group problem


@dataclass(frozen=True)
class Equalized:
    """A point of the path: the problem it solves, its solution, and the losses of the groups (G,).

    The losses are in the problem's units of the one that is equalised. ``lowest`` tells that it is
    at t*: a smaller spread needs a group to get worse. ``limit`` is then the worst-group problem
    with its solution, if it was found as such: multipliers of bounds at t* magnify its gap.
    ``solved`` tells that its gap and violation are within the resolution of levels, and ``cut``
    that it is the end of the path because no level below it could be solved.
    """

    problem: Problem
    solution: Solution
    losses: Array
    lowest: bool = False
    solved: bool = True
    cut: bool = False
    limit: tuple[Problem, Solution] | None = None

    @property
    def t(self) -> float:
        """The largest loss."""
        return float(self.losses.max())

    @property
    def spread(self) -> float:
        """The largest loss less the smallest."""
        return float(np.ptp(self.losses))

    @property
    def stopped(self) -> bool:
        """True where a callback stopped the work."""
        return bool(self.solution.stopped.any())

    def within(self, tolerance: float) -> bool:
        """Return True where the spread is at most the tolerance, up to rounding."""
        return self.spread <= tolerance + NEARLY_ZERO * self.t


def solve_equalized(
    problem: Problem,
    tolerance: float,
    options: Options,
) -> Equalized:
    """Return the point of the path with the largest t whose spread is within the tolerance.

    Where none is, the point with the smallest spread.
    """
    path = _Path(problem, options)
    top = path.top
    if top.within(tolerance) or top.stopped:
        return top
    scan = _Scan(path, tolerance, top)
    if scan.is_empty:
        return scan.bottom
    return scan.crossing() or scan.smallest()


class _Scan:
    """The path at falling levels of t; the first point is the plain fit, the last is at t*."""

    def __init__(self, path: _Path, tolerance: float, top: Equalized) -> None:
        self._path = path
        self._tolerance = tolerance
        self._top = top
        self._worst = int(np.argmax(top.losses))
        self._exact = {top.t: top}
        self._rough: dict[float, Nearly | None] = {}
        n_levels = _LEVELS if path.may_rise else 1
        end = path.nearly_lowest() if path.may_rise else None
        if end is None or top.t - end <= n_levels * _RESOLUTION * top.t:
            end = self._end
        self._levels = np.linspace(top.t, end, n_levels + 1).tolist()

    @cached_property
    def bottom(self) -> Equalized:
        """The point at t*."""
        return self._path.bottom(self._top)

    @cached_property
    def _end(self) -> float:
        """The level of the point at t*."""
        end = self.bottom.t * (1.0 + _AT_LOWEST)
        if end < self._top.t:
            self._exact[end] = self.bottom
        return end

    @property
    def is_empty(self) -> bool:
        """True where the path has no level below the plain fit's."""
        return bool(self._levels[-1] >= self._top.t)

    def _settle(self) -> None:
        """Let the levels end at t* where they have ended nearly there, at steps as large."""
        step = self._levels[0] - self._levels[1]
        last = self._levels[-2]
        n_steps = max(1, round((last - self._end) / step))
        self._levels[-1:] = np.linspace(last, self._end, n_steps + 1)[1:].tolist()

    def exact(self, t: float) -> Equalized:
        """Return the point at t."""
        if t not in self._exact:
            self._exact[t] = self._path.exact(t)
        return self._exact[t]

    def excess(self, t: float) -> float:
        """Return how far the point at t is above the tolerance.

        Of two groups it is that of the difference with its sign, which tells a crossing passed by.
        """
        return self._above(self.exact(t).losses)

    def _above(self, losses: Array) -> float:
        spread = float(np.ptp(losses))
        if len(losses) == 2:
            spread = float(losses[self._worst] - losses[1 - self._worst])
        return spread - self._allowed(float(losses.max()))

    def _allowed(self, t: float) -> float:
        """Return the largest spread that counts as the tolerance."""
        return self._tolerance + NEARLY_ZERO * t

    def _nearly(self, t: float) -> Nearly | None:
        """Return a point near that at t. None where that is known, or has to be."""
        if t in self._exact or not self._path.has_steps:
            return None
        if t not in self._rough:
            self._rough[t] = self._path.nearly(t)
        return self._rough[t]

    def _rough_excess(self, t: float) -> float:
        """Return the excess of a point near that at t."""
        point = self._nearly(t)
        return self.excess(t) if point is None else self._above(point.losses)

    def _at_level(self, t: float) -> float:
        """Return the same by another step, or of the point at t, where its sign is in doubt."""
        for _ in range(STEPS):
            point = self._nearly(t)
            if point is None:
                break
            above = self._above(point.losses)
            off = max(point.error * t, abs(float(point.losses.max()) - t))
            if abs(above) > _DOUBT * off:
                return above
            del self._rough[t]
        return self.excess(t)

    def crossing(self) -> Equalized | None:
        """Return the largest t within the tolerance, from the first level. None if none is."""
        levels, k = self._levels, 0
        while k + 1 < len(levels):
            k += 1
            if k + 2 >= len(levels):
                self._settle()
            at, above = levels[k], levels[k - 1]
            if k + 1 < len(levels):
                at = self._lowest(levels[k + 1], at, above)
            found = self._between(at, above) if self._at_level(at) <= 0 else None
            if found is not None and k > 1 and self._is_within(above, found):
                return self._between(above, levels[k - 2]) or found
            if found is not None:
                return found
        return None

    def _is_within(self, level: float, found: Equalized) -> bool:
        """Return True where a level next to a point is within, though it did not look so."""
        near = found.t >= level * (1.0 - 2.0 * _RESOLUTION)
        return near and self.excess(level) <= 0

    def _lowest(self, below: float, level: float, above: float) -> float:
        """Return a level, or the lowest point between those next to it if it is below both."""
        if self._at_level(level) <= 0:
            return level
        for of in self._at_level, self.excess:  # rough points may mislead
            if of(level) >= min(of(below), of(above)):
                return level
        lowest = self._minimised(below, above)
        return lowest if self.excess(lowest) < self.excess(level) else level

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
        rough = self._path.has_steps
        if rough and self._rough_excess(below) < 0 < self._rough_excess(above):
            first = float(brentq(self._rough_excess, below, above, xtol=_NEAR * (above - below)))
        self._refine(below, above, first)
        found = [
            point
            for t, point in self._exact.items()
            if below <= t <= above and point.within(self._tolerance)
        ]
        return max(found, key=lambda point: (point.solved, point.t), default=None)

    def _refine(self, below: float, above: float, t: float) -> None:
        """Exact points from t towards the crossing between two levels, until it is bracketed.

        Newton's method, by the derivative along the path, or a chord of the bracket aims at it, a
        little on the side that is within. A point there ends the search if its derivative has the
        crossing next to it. One without, as where losses are equal along a part of the path, whose
        end is the crossing then, is compared with the next one.
        """
        low, high, flat, at_low = below, above, False, False
        for k in range(_SECANTS):
            step, slope, here = _RESOLUTION * t, self._derivative(t), self.excess(t)
            if here <= 0:  # a point that is halfway to the tolerance is on no flat part
                flat = at_low or (flat and here <= 0.5 * self.excess(low))
                low = t
            elif t <= low:  # a rough point has misled
                return
            elif t < high:
                high = t
            near = high - low <= step or -step * slope <= here <= 0
            if near and self.exact(low).within(self._tolerance):
                return
            known = (t, here, slope), (high, self._at_level(high), self._chord(low, high))
            aims = [
                at - (excess + min(0.5 * step * steep, self._allowed(t))) / steep
                for at, excess, steep in known
                if steep > 0
            ]
            t = next((aim for aim in aims if low < aim < high), low)
            at_low = t <= low + step < high and not flat
            t = low + step if at_low else t
            if not low < t < high or (flat and t <= low + step) or (k > ROUNDS and k % 2):
                t = 0.5 * (low + high)

    def _derivative(self, t: float) -> float:
        """Return the derivative of the excess at a new point; 0 where it is known or has none."""
        if t in self._exact:
            return 0.0
        losses, slopes = self.exact(t).losses, self._path.slopes(t)
        if slopes is None:
            return 0.0
        high, low = int(losses.argmax()), int(losses.argmin())
        if len(losses) == 2:
            high, low = self._worst, 1 - self._worst
        return float(slopes[high] - slopes[low])

    def _chord(self, low: float, high: float) -> float:
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
        check_linear(problem)
        self._criterion = problem.criterion
        self._level = problem.criterion.level_loss or MIX
        self._problem = problem
        self._options = options
        self._penalised = problem.l1 > 0 or problem.l2 > 0
        self._known, self._near_lowest = Known(), Known()
        # without kinks the moments of the groups serve all points
        if problem.criterion.is_bounded or problem.loss.loss_mix == 0:
            self._setting = Setting(problem)
            top = self._solved(problem).solution
        else:
            top = _plain(problem, options)
            self._setting = Setting(problem, (top.coef, top.intercept))
            shape = self._setting.basis.n_coordinates, problem.n_outputs
            self._known.near = Near(np.zeros(shape), np.zeros(0))
        self.top = self._measured(problem, top)

    @property
    def may_rise(self) -> bool:
        """True where the spread need not fall with t."""
        several = len(self._criterion.shares) > 2
        return several or self._penalised or self._level.kind is not None

    def exact(self, t: float) -> Equalized:
        """Return the point at t."""
        problem = self._at(t)
        found = self._solved(problem)
        losses, solved = found.group_losses(self._level), found.is_within(_RESOLUTION)
        return Equalized(problem, found.solution, losses, solved=solved)

    def slopes(self, t: float) -> Array | None:
        """Return the derivatives of the losses by t at t, where the last point is, (G,).

        None where they are not known.
        """
        forms = (self._setting.formulated(self._at(level)) for level in (t, (1.0 - _NEAR) * t))
        found = self._known.slopes(*forms)
        return found if found is not None and len(found) == len(self._criterion.shares) else None

    @cached_property
    def has_steps(self) -> bool:
        """True where steps lead from one point to the next."""
        return can_step(self._setting.formulated(self._at(1.0)))

    def nearly(self, t: float) -> Nearly | None:
        """Return a point near that at t, by a step from the last one. None if there is no such."""
        near, form = self._known.near, self._setting.formulated(self._at(t))
        if near is None:
            return None
        found = step_towards(form, near, WARM, self._level)
        if found is not None:
            self._known.near = found.at
        return found

    def nearly_lowest(self) -> float | None:
        """Return a t that can be reached, near the smallest one. None where none is found."""
        near, t = self._known.near, None
        if self._penalised or not self.has_steps:
            return None
        form = self._setting.formulated(self._worst(self._problem))
        for share in _SHARES:
            found = None if near is None else step_towards(form, near, share, self._level)
            if found is None:
                return None
            near, t = found.at, float(found.losses.max())
        self._near_lowest.near = near
        return t

    def bottom(self, top: Equalized) -> Equalized:
        """Return the point at t*, or the plain fit under a penalty if that is there.

        Where the penalty keeps that point out of reach, it is the lowest one that can be solved.
        """
        lowest = self._lowest()
        low = lowest.t * (1.0 + _AT_LOWEST)
        if not self._penalised or lowest.stopped:
            return lowest
        found = top if low >= top.t else self.exact(low)
        if found.solved or found.stopped:
            return replace(found, lowest=True)
        return self._lowest_solved(low, top)

    def _lowest_solved(self, below: float, above: Equalized) -> Equalized:
        """Return the lowest point above a level that can be solved, by bisection.

        Nearly equal columns lower t* by coefficients so large that the penalty outweighs the loss.
        """
        for _ in range(_BISECTIONS):
            point = self.exact(0.5 * (below + above.t))
            if point.stopped:
                return point
            if point.solved:
                above = point
            else:
                below = point.problem.groups.level
        return replace(above, cut=True)

    def _at(self, t: float) -> Problem:
        return self._problem.under(criterion=self._criterion.at_level(t))

    def _worst(self, problem: Problem) -> Problem:
        """Return the problem whose largest loss is the smallest possible, almost."""
        criterion = replace(self._criterion, worst_weight=1.0 - LIMIT, worst_loss=self._level)
        return problem.under(criterion=criterion)

    def _solved(self, problem: Problem) -> Optimum:
        return optimum(problem, self._options, self._setting, self._known)

    def _measured(self, problem: Problem, solution: Solution) -> Equalized:
        """Return a point with the losses of the groups, in a pass over X."""
        losses = problem.group_losses_at(self._level, solution.coef, solution.intercept)
        return Equalized(problem, solution, losses / problem.n_outputs)

    def _lowest(self) -> Equalized:
        """Return the point at t* without the penalty: the largest loss is the smallest possible.

        The mean loss decides among such points by a weight of next to nothing. In units of this
        weight the multipliers are those of the bounds at t*.
        """
        worst, setting = self._worst(self._problem), self._setting
        if self._penalised:
            worst = self._worst(replace(self._problem, l1=0.0, l2=0.0))
            setting = Setting(worst)
        solution = optimum(worst, self._options, setting, self._near_lowest).solution
        found, limit = self._measured(worst, solution), (worst, solution)
        held = solution.multipliers
        assert held is not None
        bounds = tuple(
            (own + held.worst if one.loss.kind == self._level.kind else own) / worst.mean_weight
            for one, own in zip(worst.groups.bounds, held.bounds, strict=True)
        )
        linear = tuple(own / worst.mean_weight for own in held.linear)
        dual = solution.dual
        if not worst.groups.about_mix and isinstance(dual, np.ndarray):  # else rows are re-weighted
            dual = dual / worst.mean_weight
        multipliers = Multipliers(np.zeros_like(held.worst), bounds, linear)
        solution = replace(solution, dual=dual, multipliers=multipliers, measured=None)
        return Equalized(self._at(found.t), solution, found.losses, lowest=True, limit=limit)


def _plain(problem: Problem, options: Options) -> Solution:
    """Return the optimum where the criterion asks for nothing, as a plain fit."""
    tell = options.on_iteration
    if tell is not None:  # one point of many

        def on_iteration(at: Iteration) -> bool:
            return not at.finished and tell(replace(at, output=None))

        options = replace(options, on_iteration=on_iteration)
    found = routes.solve(problem.under(criterion=None), replace(options, progress=None))
    none = np.zeros(len(problem.groups.shares))
    linear = tuple(np.zeros_like(term.target) for term in problem.linear)
    if found.multipliers is not None:
        linear = found.multipliers.linear
    bounds = tuple(none for _ in problem.groups.bounds)
    return replace(found, multipliers=Multipliers(none, bounds, linear))
