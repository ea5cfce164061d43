"""Fits of rows elsewhere: which search solves what, and what they find together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skfairloss._core.solution import Multipliers, Solution, Verdict
from skfairloss._design.basis import EPS
from skfairloss._rows.certifying import Errors, certify_outputs, certify_together
from skfairloss._rows.facts import Passes, Standing
from skfairloss._rows.kernels import Measure
from skfairloss._rows.reading import SQUARED, Reading
from skfairloss._rows.searches import Request, Search, side_by_side
from skfairloss._solvers.constrained import check_linear, without_far_bounds
from skfairloss._solvers.coupled import Setting
from skfairloss._solvers.equalized import Equalized, solve_equalized
from skfairloss._solvers.formulation import Options
from skfairloss._solvers.interior_point import interior_point
from skfairloss._solvers.least_squares import normal_factor, ridge_fit, solve_normal
from skfairloss._solvers.row_coupled import CoupledForm, check_bounds, search_together, weighing
from skfairloss._solvers.row_forms import Measured, OutputForm
from skfairloss._solvers.row_search import Found, certified, measured, search_signs
from skfairloss._solvers.row_ties import settle_tie
from skfairloss._solvers.tolerances import EXACT, FLOOR, REFINEMENTS, SETTLED
from skfairloss._solvers.whole import Goal
from skfairloss._solvers.working_set import with_zeros
from skfairloss._typing import Array, Index, Mask

# Size of a correction, relative to what it corrects, that is not worth a pass: 1e-14, which is what
# counts in memory, takes one more in 2 of 90 random fits.
_NO_GAIN = 1e-13


@dataclass(frozen=True)
class RowSolution:
    """Models of all outputs with their certificate.

    Parameters
    ----------
    coef, intercept : (p, m) and (m,).
    errors : sums of residuals by group.
    verdict : the certificate.
    n_iter : (m,).
    tie_resolved : (m,) of bool.
    multipliers : of the constraints. None without any.
    equalized : the point of a path that it is. None without an `EqualizedLoss`.
    """

    coef: Array
    intercept: Array
    errors: Errors
    verdict: Verdict
    n_iter: Index
    tie_resolved: Mask
    multipliers: Multipliers | None = None
    equalized: Equalized | None = None

    @property
    def stopped(self) -> Mask:
        """False for all: nobody is told of iterations."""
        return np.zeros(len(self.n_iter), dtype=bool)


def solve_rows(
    problem: Standing, passes: Passes, labels: tuple[Any, ...] | None, options: Options
) -> RowSolution:
    """Solve a problem of rows elsewhere."""
    if problem.constrained:
        return _solve_together(problem, passes, labels, options)
    smooth = problem.loss.loss_mix == 0
    if smooth and problem.l1 == 0:
        return side_by_side(passes, [least_squares(problem, labels, options)])[0]
    searches = []
    for k in range(problem.n_outputs):
        form = TiedForm(problem.outputs(slice(k, k + 1)), labels)
        goal = Goal(options.tol, FLOOR * form.whole.output.spread, options.max_iter)
        searches.append(search_penalty(form, goal) if smooth else search_signs(form, goal))
    return _together(problem, side_by_side(passes, searches))


def _solve_together(
    problem: Standing, passes: Passes, labels: tuple[Any, ...] | None, options: Options
) -> RowSolution:
    """Solve a problem under constraints."""
    check_linear(problem)
    setting, near = Setting(problem), without_far_bounds(problem)
    floor = FLOOR * problem.n_outputs * problem.natural_loss
    goal = Goal(options.tol, floor, options.max_iter)
    for asked in (near, problem) if near is not problem else (problem,):
        form = CoupledForm(problem, labels, setting.formulated(asked))
        found = side_by_side(passes, [search_together(form, goal)])[0]
        if found.verdict.infeasibility[0] <= options.tol:
            break
    if problem.groups.is_bounded and not found.verdict.certified[0]:
        check_bounds(form, passes, options)
    point, m = found.point, problem.n_outputs
    multipliers = form.multipliers(point)
    return RowSolution(
        _zeroed(problem, [point], problem.linear_slack(point.anchor.coef, multipliers)[0]),
        np.asarray(point.anchor.intercept),
        point.errors,
        found.verdict,
        np.full(m, point.n_iter, dtype=np.intp),
        np.full(m, found.tie_resolved),
        multipliers,
    )


def solve_equalized_rows(
    problem: Standing, tolerance: float, passes: Passes, labels: tuple[Any, ...], options: Options
) -> RowSolution:
    """Solve a problem of squares whose group losses are to be equal: moments tell the path."""
    if any(term.exact for term in problem.linear):
        raise NotImplementedError(
            "fairness=EqualizedLoss beside a parity of tolerance 0 needs rows in one array: a "
            "small tolerance does for rows in blocks"
        )
    found = solve_equalized(problem, tolerance, options)

    def measured(at: Standing, solution: Solution) -> Search[tuple[Errors, Verdict]]:
        held = solution.multipliers
        assert held is not None
        unit, kinds = 1.0 / problem.known.weights, problem.mix_sums[:, :1]
        reading = Reading(problem.columns, problem.scale, unit, labels, kinds)
        model = solution.coef, solution.intercept
        request = Request(Measure(reading, *model, None, *weighing(at, held), labels=labels))
        sums = yield request
        errors = Errors.of(sums, labels, problem.known.total)
        return errors, (yield from certify_together(at, request, sums, errors, held, options.tol))

    solution, at = found.solution, found.problem
    assert isinstance(at, Standing)
    errors, verdict = side_by_side(passes, [measured(at, solution)])[0]
    if found.limit is not None and not verdict.certified.all():
        worst, held = found.limit
        assert isinstance(worst, Standing)
        certified = side_by_side(passes, [measured(worst, held)])[0][1].certified
        verdict = replace(verdict, certified=certified)
    model = solution.coef, solution.intercept
    flags = solution.n_iter, solution.tie_resolved
    return RowSolution(*model, errors, verdict, *flags, solution.multipliers, found)


def _zeroed(problem: Standing, points: list[Measured], pull: Array | float = 0.0) -> Array:
    """Return the coefficients, (p, m), exactly 0 where an L1 penalty holds them there.

    ``pull`` is what linear rows add to Xᵀu.
    """
    coef = np.hstack([point.measure.coef for point in points])
    if problem.l1 == 0:
        return coef
    adjoint = np.hstack([point.sums.added["adjoint"] for point in points])
    total = np.concatenate([point.sums.added["total"] for point in points])
    gradient = adjoint - np.multiply.outer(problem.center, total) - problem.l2 * coef + pull
    norms = np.sqrt(np.diag(problem.moments.around(problem.center)).clip(min=0.0))
    return with_zeros(problem, coef, gradient, norms)


def _together(problem: Standing, found: list[Found]) -> RowSolution:
    """Return the models of single outputs as one solution."""
    verdicts = [one.verdict for one in found]
    names = Verdict.__dataclass_fields__
    joined = Verdict(*(np.concatenate([getattr(v, name) for v in verdicts]) for name in names))
    return RowSolution(
        _zeroed(problem, [one.point for one in found]),
        np.array([float(one.point.anchor.intercept) for one in found]),
        Errors.joined([one.point.errors for one in found]),
        joined,
        np.array([one.point.n_iter for one in found], dtype=np.intp),
        np.array([one.tie_resolved for one in found]),
    )


class TiedForm(OutputForm):
    """One output, ties settled."""

    def settled(self, point: Measured) -> Search[tuple[Measured, bool]]:
        return (yield from settle_tie(self, point))


def search_penalty(form: OutputForm, goal: Goal) -> Search[Found]:
    """Search for the optimum of squares under an L1 penalty: kinks are those of coefficients."""
    few, anchor = form.few
    kq, spent = few.smooth(anchor), 0
    for _ in range(REFINEMENTS):
        solved = interior_point(kq, tol=EXACT, floor=goal.floor, max_iter=goal.max_iter)
        spent += solved.n_iter
        there = form.whole.moved(anchor, solved.delta)
        there = replace(there, coef=form.coefficients(there, solved))
        point = yield from measured(form, there, None, spent)
        point, resolved = yield from form.settled(replace(point, solution=solved))
        found = replace((yield from certified(form, point, goal)), tie_resolved=resolved)
        if (found.verdict.gap <= SETTLED * found.verdict.objective).all():
            break
        anchor, kq = there, form.smooth_at(point)
    return found


def least_squares(
    problem: Standing, labels: tuple[Any, ...] | None, options: Options
) -> Search[RowSolution]:
    """Solve the squared loss from moments, refined by the certificate's own pass."""
    basis, k, factor = problem.basis, problem.basis.n_directions, normal_factor(problem)
    reading = Reading(
        problem.columns,
        problem.scale,
        np.array([1.0 / problem.known.total]),
        None,
        problem.mix_sums[:, :1],
    )
    coef, intercept = ridge_fit(problem)
    last, rounding = np.full(problem.n_outputs, np.inf), EPS * np.abs(problem.y).max(axis=0)
    for _ in range(REFINEMENTS):
        kernel = Measure(reading, coef, intercept, None, problem.loss, reading.unit, labels=labels)
        request = Request(kernel)
        sums = yield request
        total = sums.added["total"] if problem.fit_intercept else np.zeros(len(intercept))
        target = basis.pull_back(0.5 * sums.added["adjoint"], 0.5 * total)
        target[:k] -= 0.5 * problem.l2 * (basis.transform.T @ coef)
        theta = solve_normal(problem, factor, target)
        size = np.abs(theta).max(axis=0, initial=0.0)
        errors = Errors.of(sums, labels, problem.known.total)
        settled = size <= np.maximum(_NO_GAIN * _size(problem, coef, errors), rounding)
        if (settled | (size >= 0.5 * last)).all():
            break
        step, shift = basis.to_model(theta)
        coef, intercept, last = coef + step, intercept + shift, size
    verdict = yield from certify_outputs(problem, request, sums, errors, options.tol)
    ones = np.ones(problem.n_outputs, dtype=np.intp)
    measured = kernel.coef, kernel.intercept
    return RowSolution(*measured, errors, verdict, ones, ones.astype(bool))


def _size(problem: Standing, coef: Array, errors: Errors) -> Array:
    """Return the size that coordinates of models have, (m,): of residuals and of predictions."""
    residual = np.sqrt(errors.sums[SQUARED].sum(axis=0))
    terms = np.abs(problem.basis.norms[:, None] * coef).max(axis=0, initial=0.0)
    return np.asarray(np.maximum(residual, terms))
