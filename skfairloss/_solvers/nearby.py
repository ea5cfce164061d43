"""Fits under constraints, one after another: what is known of the last one leads to the next.

Problems that differ in their criterion share rows and coordinates. The band of the last solution
will often do under other bounds, where its equations lead from one optimum to the other; and one
smoothed Newton step from a model close by tells nearly where the optimum is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skfairloss._core.constraints import MIX, GroupLoss
from skfairloss._solvers.band import Band, BandSize, Outcome
from skfairloss._solvers.coupled import Coupled, Near, to_model
from skfairloss._solvers.coupled_rows import CoupledRows
from skfairloss._solvers.coupling import Coupling
from skfairloss._solvers.crossover import continued, sensitivity
from skfairloss._solvers.dual_newton import dual_newton
from skfairloss._solvers.interior_point import interior_point
from skfairloss._solvers.kinked import KinkedSolution
from skfairloss._solvers.sign_fixing import solve_along, solve_by_signs
from skfairloss._solvers.smoothed_newton import newton_step, smoothed
from skfairloss._solvers.tolerances import INNER_TOL, TINY
from skfairloss._solvers.whole import Goal, order_statistic
from skfairloss._typing import Array


@dataclass
class Known:
    """Solutions of problems that differ from the next one in their criterion.

    Parameters
    ----------
    near : where the last of them ended. None before there is one.
    exact : the last solution, in terms of ``band``, or of all rows if that is None.
    """

    near: Near | None = None
    exact: KinkedSolution | None = None
    band: Band | None = None

    def slopes(self, form: Coupled, other: Coupled) -> Array | None:
        """Return the derivatives of constraints' left sides, by those of bounds, (J,).

        The bounds are those of the last solution, which was of ``form``, on the way to another.
        None where they are not known.
        """
        exact = self.follows(form.coupling)  # far bounds may have been left out of one of them
        if exact is None:
            return None
        kq = form.kq
        if self.band is not None:
            kq = CoupledRows.of(form).under_bounds(self.band).problem()
        rise = other.coupling.bound - form.coupling.bound
        found = sensitivity(kq, exact, rise)
        return None if found is None or not rise.all() else found / rise

    def follows(self, coupling: Coupling) -> KinkedSolution | None:
        """Return the last solution if a problem differs from it in its bounds. None if not."""
        before = self.exact
        if before is None or coupling.leveled or len(before.multipliers) != len(coupling.bound):
            return None
        return before


@dataclass(frozen=True)
class Nearly:
    """A model that a step led to.

    Parameters
    ----------
    at : the model.
    losses : of the groups, (G,).
    error : the largest difference from what was expected of them and of the mix, relative to them.
    """

    at: Near
    losses: Array
    error: float


def can_step(coupled: Coupled) -> bool:
    """Return True where kinks of many rows of one output can be smoothed."""
    return coupled.data.many and coupled.problem.n_outputs == 1


def step_towards(coupled: Coupled, near: Near, share: float, loss: GroupLoss) -> Nearly | None:
    """Take a smoothed Newton step towards the optimum, with such a share of the rows near 0.

    None where there are none such, or so many lie at 0.
    """
    if not can_step(coupled):
        return None
    whole = CoupledRows.of(coupled)
    start = whole.start_near(near)
    residual = whole.residual(start.anchor) if near.residual is None else near.residual
    h = order_statistic(residual, int(share * len(residual)))
    if h <= 0:
        return None
    kinks = BandSize.of(whole, start.multipliers).outstanding(whole.weights(start.multipliers))
    step = newton_step(smoothed(whole, start.anchor, h, kinks, residual), start.multipliers)
    there = whole.moved(start.anchor, step.delta)
    residual, kq = whole.residual(there), step.kq
    assert kq.coupling is not None
    sums = coupled.of_data.sums(there.theta, residual)
    expected = kq.coupling.sums(step.delta, kq.residual_at(step.delta))
    error = 0.0
    for kind in (MIX, loss):
        losses = coupled.loss_of(kind, sums)
        off = np.abs(losses - coupled.loss_of(kind, expected))
        error = max(error, float(off.max() / max(losses.max(), TINY)))
    return Nearly(Near(there.theta, step.multipliers, residual), losses, error)


def solve_coupled(coupled: Coupled, goal: Goal, known: Known | None = None) -> KinkedSolution:
    """Solve a fit under constraints: on a band where rows are many, on all of them if that fails.

    ``known`` is of problems close to this one. None where there is none.
    """
    known = known or Known()
    found, spent = _by_signs(coupled, goal, known) if coupled.data.many else (None, 0)
    if found is None:
        known.band = None
        found = _by_all_rows(coupled, replace(goal, max_iter=max(1, goal.max_iter - spent)), known)
        found = replace(found, n_iter=spent + found.n_iter)
        known.exact = found
    known.near = Near(found.delta, found.multipliers)
    return found


def _by_signs(coupled: Coupled, goal: Goal, known: Known) -> tuple[KinkedSolution | None, int]:
    """Solve a fit on a band, the last one if that will do; return the iterations spent as well."""
    whole, near, before = CoupledRows.of(coupled), known.near, known.follows(coupled.coupling)
    outcome, spent, begin = None, 0, None if near is None else whole.start_near(near)
    if before is not None and known.band is not None:
        outcome, spent = solve_along(whole.under_bounds(known.band), before, goal)
    if outcome is None:
        outcome, more = solve_by_signs(whole, begin, goal)
        spent += more
    if outcome is None:
        return None, spent
    known.band, known.exact = outcome.band, outcome.found
    return _to_solution(whole, outcome, spent), spent


def _by_all_rows(coupled: Coupled, goal: Goal, known: Known) -> KinkedSolution:
    """Solve a fit on all of its rows."""
    kq, tell, tol = coupled.kq, watch(coupled, goal), INNER_TOL * goal.tol
    guess = None if known.near is None else known.near.guess(coupled)
    how: dict[str, Any] = {"tol": tol, "floor": goal.floor, "max_iter": goal.max_iter}
    how |= {"on_iteration": tell, "multipliers": guess}
    found, before = None, known.follows(coupled.coupling)
    if not kq.rows.n_rows:
        found = dual_newton(kq, **how)
    elif before is not None and known.band is None:
        found = continued(kq, before, tol, goal.floor, tell)
    return found or interior_point(kq, **how)


def watch(coupled: Coupled, goal: Goal) -> Callable[[KinkedSolution], bool] | None:
    """Return what solvers are to call with each solution. None where nobody is told."""
    report = goal.report
    return None if report is None else lambda found: report(*to_model(coupled, found))


def _to_solution(whole: CoupledRows, outcome: Outcome, spent: int) -> KinkedSolution:
    """Return the solution of all rows that an outcome is."""
    found, band = outcome.found, outcome.band
    n, active = len(band.index), np.zeros(whole.y.shape, dtype=bool)
    active[band.index] = found.active[:n]
    return replace(
        found,
        delta=outcome.anchor.theta,
        dual=np.concatenate([whole.duals(band.slope, found.multipliers), found.dual[n:]]),
        active=np.concatenate([active, found.active[n:]]),
        gap=outcome.gap,
        n_iter=spent,
        measured=outcome.measured,
    )
