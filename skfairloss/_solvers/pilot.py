r"""A first model from a sample of rows, for `sign_fixing`.

The absolute part of the loss comes from the sample; squared loss and ridge are those of all rows,
so that what is left to correct is the error of the absolute part. A large sample is treated like
the whole: some of its rows are solved by interior point, then the sample is taken into account by
Newton steps on a loss whose kink is a line within ±h (Chen 2007).
"""

from __future__ import annotations

import numpy as np

from skfairloss._design.design_rows import DesignRows
from skfairloss._design.rows import Rows
from skfairloss._design.sample import Sample, proportional
from skfairloss._solvers.formulation import Output, Selection, kinked_problem
from skfairloss._solvers.interior_point import interior_point
from skfairloss._solvers.kinked import FLOOR
from skfairloss._solvers.piecewise import PiecewiseQuadratic
from skfairloss._solvers.smoothed_newton import (
    curved_minimum,
    half_width,
    order_statistic,
    smoothed_slope,
    thinned,
    within,
)
from skfairloss._typing import Array

_ROUGH = 3e-3  # gap of models that are corrected later
_EXACT = 1e-8  # gap of a pilot that is to be exact
_PART, _FEWEST = 50, 1000  # rows that are solved first, for each coordinate and at least ...
_LARGE = 4  # ... and size of a sample, relative to them, from which it is not solved as a whole
_STEPS = 2  # Newton steps from there
_PILED = 0.05  # 15 % quantile of |r|, in medians, below which rows pile up at 0


def pilot(
    output: Output, sample: Sample, start: tuple[Array, float] | None
) -> tuple[Array, float, float, int]:
    """A model, the bandwidth that suits its error, and the iterations spent."""
    basis, design = output.basis, sample.design
    d, s = basis.n_coordinates, design.shape[0]
    part = max(_PART * d, _FEWEST)
    large = s >= _LARGE * part and output.problem.l1 == 0
    rows = DesignRows(design, basis) if large else design.rows(basis)
    problem, coef, intercept = _relative_problem(output, sample, rows, start)
    pq, known = problem, s
    if large:
        known = part
        pq = _part(output, sample, rows, problem, known)
    floor = FLOOR * pq.unit
    found = interior_point(pq, tol=_ROUGH, floor=floor, max_iter=50, crossover=False)
    left = problem.residual[:s] - rows.dot(found.delta)
    if _piled(left):  # no accident: only an exact solution tells the signs of these rows
        found = interior_point(pq, tol=_EXACT, floor=floor, max_iter=50)
        left, known = problem.residual[:s] - rows.dot(found.delta), s
    delta = found.delta
    for _ in range(_STEPS if known < s else 0):
        h = bandwidth(left, d, known)
        if h <= 0:
            break
        delta = delta + _smoothed_step(output, sample, rows, problem, (delta, left), h)
        left, known = problem.residual - rows.dot(delta), s
    change, shift = output.basis.to_model(delta)
    return coef + change, intercept + float(shift), bandwidth(left, d, s), found.n_iter


def bandwidth(residual: Array, d: int, known: int) -> float:
    """h that covers the error of a model found from so many rows."""
    share = min(0.5, max(0.03, 3 * (d / known) ** 0.5))
    return order_statistic(residual, int(share * len(residual)))


def _relative_problem(
    output: Output, sample: Sample, rows: Rows, start: tuple[Array, float] | None
) -> tuple[PiecewiseQuadratic, Array, float]:
    """The sample's problem, relative to a start, and the start."""
    hessian = output.hessian(output.basis.full_gram())
    if start is None:
        coef, intercept, linear, constant = _cold_start(output, sample, rows, hessian)
    else:
        coef, intercept = start
        residual = output.residual(coef, intercept)
        linear, constant = output.smooth_gradient(coef, residual), output.squares(coef, residual)
    left = output.y[sample.index] - sample.design.predict(coef, intercept)
    problem = kinked_problem(
        output,
        coef,
        Selection(rows, left, sample.weights),
        hessian=hessian,
        linear=linear,
        constant=constant,
    )
    return problem, coef, intercept


def _part(
    output: Output, sample: Sample, rows: Rows, problem: PiecewiseQuadratic, size: int
) -> PiecewiseQuadratic:
    """The same with so many rows of the sample."""
    index, share = proportional(sample.weights, size, np.full(size, 0.5))
    return kinked_problem(
        output,
        np.zeros(0),
        Selection(rows.subset(index), problem.residual[index], share),
        hessian=problem.hessian,
        linear=problem.linear,
        constant=problem.constant,
    )


def _smoothed_step(
    output: Output,
    sample: Sample,
    rows: Rows,
    problem: PiecewiseQuadratic,
    at: tuple[Array, Array],
    h: float,
) -> Array:
    """A Newton step on the sample from δ, with its residuals."""
    delta, left = at
    near, steep = thinned(within(left, h), sample.weights, rows.n_columns)
    curvature = problem.hessian + rows.subset(near).gram(steep * (half_width(output) / h))
    pull = rows.adjoint(smoothed_slope(output, sample.weights, left, h))
    slope = problem.linear - problem.hessian @ delta + pull
    return curved_minimum(curvature, slope)


def _cold_start(
    output: Output, sample: Sample, rows: Rows, hessian: Array
) -> tuple[Array, float, Array, float]:
    """Least squares, of all rows where squares count, else of the sample; or the median.

    A model, minus the gradient there of what is smooth, and its value.
    """
    problem, basis, y = output.problem, output.basis, output.y[sample.index]
    smooth, level, base = np.zeros(basis.n_coordinates), np.zeros(basis.n_coordinates), 0.0
    if problem.loss.curvature > 0:
        steep, weighted = problem.loss.curvature, problem.weights * output.y
        cross = problem.first_moments[1][:, output.k]
        smooth = steep * basis.pull_back(cross, float(weighted.sum()))
        base = 0.5 * steep * float(weighted @ output.y)
        theta = curved_minimum(hessian, smooth)
    else:
        theta = basis.resolved(rows.adjoint(sample.weights * y)[:, None])[0][:, 0]
    if problem.fit_intercept:
        level[-1] = np.partition(y, len(y) // 2)[len(y) // 2]
    if np.abs(y - rows.dot(level)).sum() < np.abs(y - rows.dot(theta)).sum():
        theta = level
    coef, intercept = basis.to_model(theta)
    linear = smooth - hessian @ theta
    value = base - float(theta @ (smooth - 0.5 * (hessian @ theta)))
    return coef, float(intercept), linear, max(value, 0.0)


def _piled(residual: Array) -> bool:
    """Return True where rows pile up at 0: a smooth density has a larger quotient of quantiles."""
    few, half = (order_statistic(residual, int(share * len(residual))) for share in (0.15, 0.5))
    return few < _PILED * half
