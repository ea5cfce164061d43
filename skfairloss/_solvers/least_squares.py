r"""λ = 0 without an L1 penalty: all outputs at once, in closed form.

In basis coordinates the weighted normal equations are (2 G + l2 TᵀT) t = 2 AᵀVy with a well
conditioned matrix. They are solved for a correction to the current residual, until corrections
stop shrinking: iterative refinement (Björck 1967) gives back the digits that an ill-conditioned
basis loses.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from skfairloss._core.certificate import measure_slopes
from skfairloss._core.problem import Problem
from skfairloss._core.solution import Measured, Slopes, Solution
from skfairloss._design.basis import ROUNDING, Basis
from skfairloss._design.sample import Sample
from skfairloss._solvers.tolerances import NEARLY_ZERO, REFINEMENTS
from skfairloss._typing import Array

# Size of a correction, relative to what it corrects, that corrects nothing: with 1e-13 a gap is
# left in seed 227 of `tests.adversarial`.
_NO_CORRECTION = 1e-14


def least_squares(problem: Problem) -> Solution:
    """Minimise Σ v r² + (l2/2) ‖w‖², of smallest norm where there are several.

    A refinement is the certificate's own pass over X: the last one is of the solution.
    """
    found: list[Measured] = []
    slopes = Slopes()

    def look(coef: Array, intercept: Array) -> tuple[Array, Array]:
        """Xᵀ(v r) and Σ v r."""
        found.append(measure_slopes(problem, coef, intercept, slopes))
        return 0.5 * found[-1].gradient, 0.5 * found[-1].total

    coef, intercept = _fit(problem, look)
    ones = np.ones(problem.n_outputs, dtype=np.intp)
    resolved, stopped = ones.astype(bool), np.zeros_like(ones, dtype=bool)
    return Solution(
        coef,
        intercept,
        slopes,
        measured=found[-1],
        n_iter=ones,
        tie_resolved=resolved,
        stopped=stopped,
    )


def ridge_fit(problem: Problem) -> tuple[Array, Array]:
    """Coefficients (p, m) and intercept (m,) of the squared loss with the problem's ridge."""
    moments = problem.group_moments
    if moments is not None and moments.accurate_in(problem.basis):
        coef = np.zeros((problem.design.shape[1], problem.n_outputs))
        means = moments.origin[1] + moments.targets.sum(axis=0) if problem.fit_intercept else 0.0
        intercept = np.zeros(problem.n_outputs) + means
        pulls, _ = moments.residuals(coef, intercept, problem.basis)
        theta = solve_normal(problem, normal_factor(problem), pulls.sum(axis=0))
        coef, shift = problem.basis.to_model(theta)
        intercept = intercept + shift
        if moments.accurate_at(moments.residuals(coef, intercept, problem.basis)[1]):
            return coef, intercept
    weights = problem.weights

    def weighted(rows: slice, residual: Array) -> tuple[Array, Array]:
        out = weights[rows, None] * residual
        return out, out.sum(axis=0)

    def look(coef: Array, intercept: Array) -> tuple[Array, Array]:
        return problem.design.sweep(problem.y, coef, intercept, weighted)[1:]

    return _fit(problem, look)


def sample_fit(problem: Problem, sample: Sample, basis: Basis) -> Array:
    """Return θ (d, m) of the least squares of the sample's rows, without penalty."""
    rows = sample.design.rows(basis)
    gram = rows.gram(sample.weights)
    pull = rows.adjoint(sample.weights[:, None] * problem.y[sample.index])
    return np.asarray(np.linalg.lstsq(gram, pull, rcond=None)[0])


def _fit(
    problem: Problem, look: Callable[[Array, Array], tuple[Array, Array]]
) -> tuple[Array, Array]:
    """Coefficients and intercepts; each refinement looks at the residuals of a model once."""
    basis, k, factor = problem.exact_basis, problem.exact_basis.n_directions, normal_factor(problem)
    means = problem.weights @ problem.y
    theta = solve_normal(problem, factor, basis.pull_back(problem.first_moments[1], means))
    coef, intercept = basis.to_model(theta)
    last = float(np.abs(theta).max(initial=0.0))
    for _ in range(REFINEMENTS):
        adjoint, total = look(coef, intercept)
        target = basis.pull_back(adjoint, total)
        target[:k] -= 0.5 * problem.l2 * (basis.transform.T @ coef)
        theta = solve_normal(problem, factor, target)
        size = float(np.abs(theta).max(initial=0.0))
        if size >= 0.5 * last or size <= _NO_CORRECTION * last:  # rounding is all that is left
            break
        step, shift = basis.to_model(theta)
        coef, intercept, last = coef + step, intercept + shift, size
    return coef, intercept


def normal_factor(problem: Problem) -> tuple[Array, bool] | None:
    """Cholesky factor of G + (l2/2) TᵀT. None where there is no direction."""
    basis = problem.exact_basis
    if not basis.n_directions:
        return None
    return cho_factor(basis.gram + 0.5 * problem.l2 * basis.norm_gram, check_finite=False)


def solve_normal(problem: Problem, factor: tuple[Array, bool] | None, target: Array) -> Array:
    """Solve for every output, (d, m); the intercept's equation is 1·b₀."""
    theta = target.copy()
    if factor is not None:
        k = problem.exact_basis.n_directions
        theta[:k] = cho_solve(factor, target[:k], check_finite=False)
    return theta


def fits_exactly(problem: Problem, k: int, coef: Array, intercept: float) -> bool:
    """Return True where a model without penalty leaves rounding errors only."""
    if problem.penalty(coef[:, None])[0] > 0:
        return False
    y = problem.y[:, k]
    residual = np.abs(y - problem.design.predict(coef, intercept))
    if residual.max() > NEARLY_ZERO * np.abs(y).max():  # spares the pass below
        return False
    size = problem.design.absolute().predict(np.abs(coef), abs(intercept)) + np.abs(y)
    return bool((residual <= ROUNDING * size).all())


def better_start(problem: Problem, coef: Array, intercept: Array) -> tuple[Array, Array]:
    """Return the given models, or the mean of y for outputs where that has the lower objective."""
    mean = problem.weights @ problem.y if problem.fit_intercept else np.zeros_like(intercept)
    worse = problem.objective(coef, intercept) > problem.loss_values(problem.y - mean)
    return np.where(worse, 0.0, coef), np.where(worse, mean, intercept)
