r"""One output with kinks (λ > 0, or an L1 penalty): interior point on all rows, then refinement."""

from __future__ import annotations

import numpy as np

from skfairloss._design.rows import Rows
from skfairloss._solvers.crossover import solve_active_set
from skfairloss._solvers.formulation import Model, Options, Output, formulate
from skfairloss._solvers.interior_point import interior_point
from skfairloss._solvers.kinked import KinkedQuadratic, KinkedSolution
from skfairloss._solvers.tolerances import FLOOR, INNER_TOL, NEARLY_ZERO, REFINEMENTS
from skfairloss._typing import Array


def solve_all_rows(
    output: Output, start: tuple[Array, float], options: Options
) -> tuple[Model, int]:
    """Solve an output from a starting model; return the iterations spent as well."""
    coef, intercept = start
    if output.problem.l1 > 0:
        coef = np.where(output.basis.norms > 0, coef, 0.0)  # columns screened out
    residual = output.residual(coef, intercept)
    rows = output.rows() if output.has_kinks else None
    pq = formulate(output, coef, residual, rows)
    found = _at_start(pq, INNER_TOL * options.tol) if options.start is not None else None
    if found is None:
        found = interior_point(
            pq,
            tol=INNER_TOL * options.tol,
            floor=FLOOR * pq.unit,
            max_iter=options.max_iter,
            on_iteration=options.watch(output, coef, intercept),
        )
    return _refined(output, coef, intercept, rows, found), found.n_iter


def _at_start(pq: KinkedQuadratic, tol: float) -> KinkedSolution | None:
    """Return the optimum with the kinks of the start, if it is one: one crossover tells."""
    residual = pq.residual
    active = np.abs(residual) <= NEARLY_ZERO * pq.residual_scale
    middle = 0.5 * (pq.upper + pq.lower)
    dual = np.where(active, middle, np.where(residual > 0, pq.upper, pq.lower))
    found = solve_active_set(pq, np.zeros(pq.rows.n_columns), dual, active)
    if found is None:
        return None
    delta, dual, none = found
    gap, objective, dual = pq.measured(delta, dual)
    if not gap <= tol * max(objective, FLOOR * pq.unit):
        return None
    return KinkedSolution(delta, dual, active, gap, 1, True, objective, none)


def _refined(
    output: Output,
    coef: Array,
    intercept: float,
    rows: Rows | None,
    found: KinkedSolution,
) -> Model:
    """Return the model of a solution, corrected for what rounding lost on the way to coefficients.

    The active rows stay as they are; only equations are solved again, for the true residuals.
    """
    step, dual = found.delta, found.dual
    rest = np.zeros_like(step)
    for attempt in range(REFINEMENTS + 1):
        change, shift = output.basis.to_model(step)
        coef, intercept = coef + change, intercept + float(shift)
        residual = output.residual(coef, intercept)
        pq = formulate(output, coef, residual, rows)
        gap = pq.gap(rest, dual)
        if attempt == REFINEMENTS or not found.polished:
            break
        better = solve_active_set(pq, rest, dual, found.active)
        if better is None or not pq.gap(*better[:2]) < 0.5 * gap:
            break
        step, dual = better[:2]
    relative = gap / max(pq.objective(rest), FLOOR * pq.unit)
    if rows is None:  # no kinks in the data: their part of the dual is 0
        dual = np.concatenate([np.zeros(len(residual)), dual])
    return Model(coef, intercept, residual, dual, relative, found.stopped)
