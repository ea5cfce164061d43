"""Constraints on rows elsewhere: sums by group, and a search over models and multipliers at once.

The rows never see the multipliers: passes sum lines by group, whatever weight that ends up with,
and the band is solved as in memory. Without kinks moments of groups are all that is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skfairloss._cached import cached_property
from skfairloss._core.losses import GroupedLoss, MixedLoss
from skfairloss._core.solution import Multipliers, Verdict
from skfairloss._design.basis import unchanged
from skfairloss._design.dense import Coordinates
from skfairloss._rows.certifying import Errors, certify_together, group_terms
from skfairloss._rows.facts import Passes, Standing
from skfairloss._rows.kernels import Lines
from skfairloss._rows.reading import ABSOLUTE, SIGNED, SQUARED, Reading
from skfairloss._rows.searches import Request, Search, side_by_side
from skfairloss._rows.sums import Sums
from skfairloss._solvers.constrained import refuse_bounds
from skfairloss._solvers.coupled import Coupled, Setting, formulate_coupled, linear_multipliers
from skfairloss._solvers.coupled_rows import CoupledRows
from skfairloss._solvers.dual_newton import dual_newton
from skfairloss._solvers.formulation import Options
from skfairloss._solvers.interior_point import interior_point
from skfairloss._solvers.kinked import KinkedQuadratic, KinkedSolution
from skfairloss._solvers.row_forms import Gathered, Measured, RowForm, line_sums
from skfairloss._solvers.row_search import Found, certified, measured, search_signs
from skfairloss._solvers.row_ties import settle_coupled_tie
from skfairloss._solvers.tolerances import INNER_TOL, REFINEMENTS
from skfairloss._solvers.whole import Anchor, Goal, Whole
from skfairloss._typing import Array, Index


@dataclass(frozen=True)
class CoupledForm(RowForm):
    """All outputs under constraints.

    Parameters
    ----------
    coupled : the problem in the form of `kinked`, its rows those of the sample.
    """

    coupled: Coupled

    @cached_property
    def whole(self) -> CoupledRows:
        return CoupledRows.of(self.coupled)

    @cached_property
    def reading(self) -> Reading:
        problem, found = self.problem, self.problem.known
        grouped = problem.criterion is not None
        kinds = np.eye(3)[:, self._kinds]
        unit = 1.0 / (found.weights if grouped else np.array([found.total]))
        labels = found.labels if grouped else None
        return Reading(problem.columns, problem.scale, unit, labels, kinds, self.whole.basis)

    @cached_property
    def _kinds(self) -> Index:
        """The sums that count, in the order in which `CoupledRows` reads them."""
        kinds = [ABSOLUTE] + ([SIGNED] if self.whole.tilted else [])
        squares = self.coupled.coupling.grams is not None
        return np.array(kinds + ([SQUARED] if squares else []))

    @property
    def counts(self) -> Array:
        return self.problem.counts[self.coupled.data.index]

    @property
    def codes(self) -> Index:
        return self.whole.codes if self.reading.labels is not None else super().codes

    @property
    def few(self) -> tuple[Whole, Anchor]:
        return self.whole, self.whole.start

    @property
    def none(self) -> Array:
        return np.zeros(len(self.coupled.coupling.bound))

    def objective(self, errors: Errors, coef: Array) -> float:
        loss = group_terms(self.problem, errors).objective
        return float(loss + self.problem.penalty(coef).sum())

    def mass(self, multipliers: Array | None) -> Array:
        own = self.whole.group_weights(multipliers)[ABSOLUTE].sum(axis=1)
        own = own if own.any() else np.ones_like(own)
        return np.asarray(own / own.sum() * self.reading.unit)

    def on_lines(self, anchor: Anchor, sums: Sums) -> KinkedQuadratic:
        adjoint, (totals, values) = line_sums(sums)
        n, kinked = len(self._kinds), len(self._kinds)
        squares = self._kinds[-1] == SQUARED
        kinked -= squares
        size = len(totals) * kinked // n
        parts = adjoint[:, :size], np.array([totals[:size], values[:size]])
        kq = self.whole.with_lines(self.whole.smooth(anchor), parts)
        if not squares:
            return kq
        coupling = kq.coupling
        assert coupling is not None
        gradients, constants = coupling.gradients.copy(), coupling.constants.copy()
        _, n_groups, d, m = gradients.shape
        pulls = self.whole.basis.pull_back(adjoint[:, size:], totals[size:])
        gradients[SQUARED] = pulls.reshape(d, m, n_groups).transpose(2, 0, 1)
        constants[SQUARED] = values[size:].reshape(m, n_groups).T
        return replace(kq, coupling=replace(coupling, gradients=gradients, constants=constants))

    def rows(self, gathered: Gathered) -> CoupledRows:
        share = gathered.weights * self.reading.unit[gathered.codes]
        design, y, codes = Coordinates(gathered.rows), gathered.residual, gathered.codes
        basis = unchanged(self.whole.basis.n_coordinates)
        return replace(self.whole, design=design, y=y, basis=basis, share=share, codes=codes)

    def weighing(self, multipliers: Array) -> tuple[MixedLoss | GroupedLoss, Array]:
        return weighing(self.problem, self.coupled.group_multipliers(multipliers))

    def certify(self, point: Measured, tol: float) -> Search[Verdict]:
        found = self.multipliers(point)
        return certify_together(self.problem, point.request, point.sums, point.errors, found, tol)

    def settled(self, point: Measured) -> Search[tuple[Measured, bool]]:
        return (yield from settle_coupled_tie(self, point))

    def mix_weights(self, multipliers: Array) -> Array:
        found = self.coupled.group_multipliers(multipliers)
        return np.asarray(self.problem.mix_weights(found) / self.problem.groups.shares)

    def multipliers(self, point: Measured) -> Multipliers:
        """Return the multipliers of all constraints, those of equalities from the sums of duals."""
        coupled, found = self.coupled, point.multipliers
        adjoint = point.sums.added["adjoint"], point.sums.added["total"]
        slopes = point.penalty_duals if self.problem.l1 > 0 else np.zeros((0, 1))
        linear = linear_multipliers(coupled, found, point.measure.coef, adjoint, slopes)
        return replace(coupled.group_multipliers(found), linear=linear)


def weighing(problem: Standing, found: Multipliers) -> tuple[MixedLoss | GroupedLoss, Array]:
    """Return the loss of the rows under multipliers, and what raw weights are multiplied with."""
    total, shares = problem.known.total, problem.groups.shares
    if problem.groups.about_mix:
        return problem.loss, problem.mix_weights(found) / (shares * total)
    loss = problem.plain(found).row_loss
    assert isinstance(loss, GroupedLoss)
    return replace(loss, codes=np.zeros(0, dtype=np.intp)), np.full(len(shares), 1.0 / total)


def search_together(form: CoupledForm, goal: Goal) -> Search[Found]:
    """Search for the optimum of a problem under constraints."""
    if form.coupled.n_data:
        return (yield from search_signs(form, goal))
    whole = form.whole
    point = yield from _solved(form, whole.start, form.coupled.base, goal)
    found = yield from certified(form, point, goal)
    for _ in range(REFINEMENTS):
        if found.verdict.certified.all():
            break
        at = form.sides(found.point.anchor)
        sums = yield Request(Lines(form.reading, at.coef, at.intercept))
        kq = form.on_lines(found.point.anchor, sums)
        point = yield from _solved(form, found.point.anchor, kq, goal)
        found = yield from certified(form, point, goal)
    return found


def _solved(form: CoupledForm, anchor: Anchor, kq: KinkedQuadratic, goal: Goal) -> Search[Measured]:
    """Solve a problem without rows of the data relative to a model, and measure its solution."""
    found, solve = None, _solver(goal)
    if not kq.rows.n_rows:
        found = solve(dual_newton, kq)
    if found is None:
        found = solve(interior_point, kq)
    assert found is not None
    there = form.whole.reached(anchor, found)
    point = yield from measured(form, there, found.multipliers, found.n_iter)
    return replace(point, solution=found)


def _solver(goal: Goal) -> Callable[[Any, KinkedQuadratic], KinkedSolution | None]:
    """Return what calls a solver."""

    def solve(solver: Any, kq: KinkedQuadratic) -> KinkedSolution | None:
        found: KinkedSolution | None = solver(
            kq, tol=INNER_TOL * goal.tol, floor=goal.floor, max_iter=goal.max_iter
        )
        return found

    return solve


def check_bounds(form: CoupledForm, passes: Passes, options: Options) -> None:
    """Raise InfeasibleFairnessError where no model meets the bounds."""
    whole = form.problem
    criterion = replace(whole.groups, worst_weight=0.0)
    problem = replace(whole, l1=0.0, l2=0.0, criterion=criterion)
    setting = Setting(problem)
    coupled = formulate_coupled(problem, setting.basis, setting.start, factor=True)
    factor = CoupledForm(problem, form.labels, coupled)
    goal = Goal(options.tol, 0.0, options.max_iter)
    point = side_by_side(passes, [search_together(factor, goal)])[0].point
    if point.solution is None:
        return
    sums = point.errors.sums / problem.groups.shares[:, None]
    sums[SQUARED] *= 0.5
    losses = coupled.coupling.losses_of(sums, point.anchor.theta)
    refuse_bounds(coupled, whole, point.solution, losses, options.tol)
