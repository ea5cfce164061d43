r"""One output with kinks (λ > 0, or an L1 penalty): interior point on all rows, then refinement."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from skfairloss._solvers.crossover import polish
from skfairloss._solvers.formulation import Model, Output, Selection, formulate
from skfairloss._solvers.interior_point import interior_point
from skfairloss._solvers.piecewise import PiecewiseSolution
from skfairloss._typing import Array

INNER_TOL = 0.01  # the solver aims lower than the certificate asks
FLOOR = 1e-6  # objectives below this share of the residual scale are not told from 0
_REFINEMENTS = 2


def solve_all_rows(
    output: Output,
    start: tuple[Array, float],
    *,
    tol: float,
    max_iter: int,
    on_iteration: Callable[[int, float], bool] | None = None,
) -> tuple[Model, int]:
    """An output from a starting model; also the iterations spent."""
    coef, intercept = start
    if output.problem.l1 > 0:
        coef = np.where(output.basis.norms > 0, coef, 0.0)  # columns screened out
    residual = output.y - output.predict(coef, intercept)
    rows = output.problem.design.rows(output.basis) if output.has_kinks else None
    pq = formulate(output, coef, residual, Selection(rows))
    found = interior_point(
        pq,
        tol=INNER_TOL * tol,
        floor=FLOOR * pq.unit,
        max_iter=max_iter,
        on_iteration=on_iteration,
    )
    return _refined(output, coef, intercept, Selection(rows), found), found.n_iter


def _refined(
    output: Output,
    coef: Array,
    intercept: float,
    selection: Selection,
    found: PiecewiseSolution,
) -> Model:
    """The model of a solution, corrected for what rounding lost on the way to coefficients.

    The active rows stay as they are; only equations are solved again, for the true residuals.
    """
    step, dual = found.delta, found.dual
    rest = np.zeros_like(step)
    for attempt in range(_REFINEMENTS + 1):
        change, shift = output.basis.to_model(step)
        coef, intercept = coef + change, intercept + float(shift)
        residual = output.y - output.predict(coef, intercept)
        pq = formulate(output, coef, residual, selection)
        gap = pq.gap(rest, dual)
        if attempt == _REFINEMENTS or not found.polished:
            break
        step, better = polish(pq, rest, dual, found.active)
        if not pq.gap(step, better) < 0.5 * gap:
            break
        dual = better
    relative = gap / max(pq.objective(rest), FLOOR * pq.unit)
    if selection.rows is None:  # no kinks in the data: their part of the dual is 0
        dual = np.concatenate([np.zeros(len(residual)), dual])
    return Model(coef, intercept, residual, dual, relative)
