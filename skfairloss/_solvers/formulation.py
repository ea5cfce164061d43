r"""One output of a `Problem` as a `PiecewiseQuadratic`, relative to a model, and back.

Everything is multiplied by the residual scale c, so that residuals and kinked terms are in units of
y: row i of the data has the dual interval v_i [lower, upper] of the loss, coefficient j under an L1
penalty is the row 0 - s_j w_j with the interval c·l1/s_j [-1, 1], s_j the norm of its column. The
squared loss and the ridge make H = 2(1-λ)/c AᵀVA + c·l2 TᵀT.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skfairloss._basis import Basis
from skfairloss._design import IdentityRows, Rows, StackedRows
from skfairloss._problem import Problem
from skfairloss._solvers.piecewise import PiecewiseQuadratic

Array = NDArray[np.float64]
Index = NDArray[np.intp]


@dataclass(frozen=True)
class Model:
    """One output's coefficients (p,), intercept, residual (n,) and the duals a of all its rows.

    ``dual`` holds the n rows of the data, then, with an L1 penalty, the p rows of the penalty.
    """

    coef: Array
    intercept: float
    residual: Array
    dual: Array


def hessian(problem: Problem, k: int, basis: Basis) -> Array:
    """H of output k in the coordinates of a basis."""
    c, d = problem.scale[k], basis.n_directions
    out = problem.loss.curvature / c * basis.full_gram()
    if problem.l2 > 0:
        out[:d, :d] += c * problem.l2 * (basis.transform.T @ basis.transform)
    return out


def smooth_gradient(
    problem: Problem, k: int, basis: Basis, coef: Array, residual: Array
) -> Array:
    """g: minus the gradient of squared loss and ridge at a model."""
    c, d = problem.scale[k], basis.n_directions
    out = np.zeros(basis.n_coordinates)
    if problem.loss.curvature > 0:
        weighted = problem.weights * residual
        pull = basis.pull_back(problem.design.adjoint(weighted), weighted.sum())
        out += problem.loss.curvature / c * pull
    if problem.l2 > 0:
        out[:d] -= c * problem.l2 * (basis.transform.T @ coef)
    return out


def penalty_interval(problem: Problem, k: int) -> tuple[Array, Array]:
    """Norms s_j of the coordinates, and widths: the penalty's row j is the residual 0 - s_j w_j."""
    norms = 1.0 / np.diag(problem.coordinates.transform)
    return norms, problem.scale[k] * problem.l1 / norms


def formulate(
    problem: Problem, k: int, coef: Array, intercept: float, residual: Array, rows: Rows | None
) -> PiecewiseQuadratic:
    """The kinked problem of output k relative to a model; ``rows`` are all rows of the data."""
    loss, c, basis = problem.loss, problem.scale[k], problem.coordinates
    blocks: list[Rows] = []
    parts: list[tuple[Array, Array, Array]] = []
    if rows is not None:
        blocks.append(rows)
        parts.append((residual, loss.lower * problem.weights, loss.upper * problem.weights))
    if problem.l1 > 0:
        norms, width = penalty_interval(problem, k)
        blocks.append(IdentityRows(basis.n_directions, basis.n_coordinates))
        parts.append((-norms * coef, -width, width))
    r, lower, upper = (np.concatenate(part) for part in zip(*parts, strict=True))
    squares = 0.5 * loss.curvature / c * float(problem.weights @ (residual * residual))
    return PiecewiseQuadratic(
        rows=StackedRows(*blocks) if len(blocks) > 1 else blocks[0],
        residual=r,
        lower=lower,
        upper=upper,
        hessian=hessian(problem, k, basis),
        linear=smooth_gradient(problem, k, basis, coef, residual),
        unit=_spread(problem, k),
        constant=squares + 0.5 * c * problem.l2 * float(coef @ coef),
    )


def _spread(problem: Problem, k: int) -> float:
    """Weighted mean of |y - mean y|, or of |y| without an intercept."""
    y = problem.y[:, k]
    center = problem.weights @ y if problem.fit_intercept else 0.0
    return float(problem.weights @ np.abs(y - center))


def data_dual(problem: Problem, k: int, a: Array | None, residual: Array) -> Array:
    """z = ℓ'(r/c) from the kinked part's duals (None: no kinked rows) and the squared part."""
    z = problem.loss.curvature * residual / problem.scale[k]
    return z if a is None else z + a / problem.weights
