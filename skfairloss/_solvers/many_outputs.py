r"""Several outputs that share X: what can be done for all of them is done by matrix products.

  1. The rows are brought to coordinates in which squared loss and ridge are diagonal, once.
  2. A fixed number of steps of the alternating direction method of multipliers (Boyd, Parikh, Chu,
     Peleato & Eckstein 2011, section 6.1, over-relaxed as in their section 3.4.3) on the residuals
     of a group of outputs: two products with the rows a step. They tell most signs. With a squared
     loss they are the whole way to a loose tolerance: the gap of their own duals tells.
  3. With a quadratic `active_set` ends at the exact optimum of most outputs. Without one, or where
     it does not settle, `sign_fixing` solves the rows near residual 0 of one output.

Whatever comes of them is measured like any other model: outputs for which the gap stays open take
the route for a single output.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from skfairloss._core.problem import Problem
from skfairloss._design.basis import Basis
from skfairloss._design.rows import DenseRows
from skfairloss._solvers.active_set import Found, Kinks, Sides, guess_sides
from skfairloss._solvers.formulation import Model, Options, Output
from skfairloss._solvers.output_rows import solve_output_near
from skfairloss._solvers.tolerances import FLOOR, INNER_TOL, TINY
from skfairloss._typing import Array, Index

_OUTPUTS = 4  # outputs from which sharing pays
_ADMM_STEPS = 30  # of the alternating direction method
_LOOK = 10  # steps after which its gap is looked at ...
_LOOSE = 1e-6  # ... for tolerances from here, smaller ones being out of reach ...
_SHARE_OF_LOOSE = 0.5  # ... and has to be this share of them
_RELAXATION = 1.6  # over-relaxation, 1.5 to 1.8 in Boyd et al. (2011), section 3.4.3
_SMALLEST_STEP = 0.01  # step, relative to the spread of y
_SHARED_BAND = 2.2  # rows in a first band, per coordinate
_TOGETHER = 2**16  # residuals of a group of outputs: its arrays stay in cache
_IN_A_GROUP = 16  # outputs in a group, so that products are of matrices


@dataclass(frozen=True)
class Shared:
    """Problem, coordinates and rows that all outputs share.

    Parameters
    ----------
    problem : with all outputs.
    basis : coordinates in which the Gram matrix and TᵀT are diagonal.
    rows : (n, d), all rows of the data in these coordinates.
    """

    problem: Problem
    basis: Basis
    rows: Array

    @property
    def groups(self) -> list[range]:
        """Outputs that are treated together."""
        n, m = self.problem.y.shape
        size = max(_IN_A_GROUP, _TOGETHER // n)
        return [range(k, min(k + size, m)) for k in range(0, m, size)]

    def output(self, k: int) -> Output:
        """One of them."""
        return Output(self.problem, k, self.basis, self.rows)

    def curvature(self) -> Array:
        """Diagonal of each output's quadratic, (d,)."""
        problem, basis = self.problem, self.basis
        out = problem.loss.curvature * np.diag(basis.full_gram())
        out[: basis.n_directions] += problem.l2 * np.diag(basis.norm_gram)
        return out


def can_share(problem: Problem) -> bool:
    """Return whether a plain problem has several outputs with kinks, on few rows."""
    several = problem.n_outputs >= _OUTPUTS and problem.loss.loss_mix > 0 and problem.l1 == 0
    return several and problem.sample is None


def share(problem: Problem) -> Shared | None:
    """Return what outputs share. None where they had better be solved one by one."""
    if not can_share(problem):
        return None
    basis = problem.basis
    if problem.l2 > 0:
        vectors = np.linalg.eigh(basis.norm_gram)[1]
        gram = vectors.T @ basis.gram @ vectors
        basis = replace(basis, transform=basis.transform @ vectors, gram=gram)
    rows = problem.design.rows(basis)
    if not isinstance(rows, DenseRows) or not rows.n_columns:
        return None
    return Shared(problem, basis, rows.array)


def solve_together(
    shared: Shared, which: range, start: tuple[Array, Array], options: Options
) -> list[tuple[Model | None, int]]:
    """Solve some of the outputs from models of all; return iterations as well. None where open."""
    index = np.array(which)
    found: list[tuple[Model | None, int]] = [(None, 0)] * len(index)
    curved = shared.problem.loss.curvature > 0

    def enough(theta: Array, dual: Array) -> bool:
        model = shared.basis.to_model(theta)
        found[:] = _measured(
            shared, index, model, _all_settled(theta, dual), _SHARE_OF_LOOSE * options.tol
        )
        return all(model is not None for model, _ in found)

    # beside a ridge the certificate takes rough duals for worse than they are
    loose = options.tol >= _LOOSE and shared.problem.l2 == 0
    theta, side = _directions(shared, index, start, enough if curved and loose else None)
    open_ = [i for i, (model, _) in enumerate(found) if model is None]
    if open_ and (curved or shared.problem.l2 > 0):
        settled = _by_active_set(shared, index[open_], start, side[:, open_], options)
        for i, part in zip(open_, settled, strict=True):
            found[i] = part
    for i, k in enumerate(which):
        model, spent = found[i]
        if model is None and spent < options.max_iter:
            coef, intercept = shared.basis.to_model(theta[:, i])
            size = int(_SHARED_BAND * shared.rows.shape[1])
            near = (coef, float(intercept))
            model, more = solve_output_near(shared.output(k), near, size, options.after(spent))
            found[i] = model, spent + more
    return found


def _all_settled(theta: Array, dual: Array) -> Found:
    """Return outputs that have ended here."""
    q = theta.shape[1]
    settled = np.ones(q, dtype=bool)
    return Found(theta, dual, settled, ~settled, np.ones(q, dtype=np.intp))


def _directions(
    shared: Shared,
    index: Index,
    start: tuple[Array, Array],
    enough: Callable[[Array, Array], bool] | None = None,
) -> tuple[Array, Sides]:
    """Step 2: coordinates (d, q) and the sides of the rows, (n, q).

    ``enough`` is asked now and then, with the coordinates and the duals of the kinks, (n, q).
    """
    problem, rows, weights = shared.problem, shared.rows, shared.problem.weights[:, None]
    y = problem.y[:, index]
    z = y - problem.design.predict(start[0][:, index], start[1][index])
    step = _step_sizes(problem, y, z)
    lower, upper = step * problem.loss.lower, step * problem.loss.upper
    shrink = 1.0 / (1.0 + step * problem.loss.curvature)
    gram = np.diag(shared.basis.full_gram())[:, None]
    ridge = np.zeros((rows.shape[1], len(index)))
    norms = np.diag(shared.basis.norm_gram)
    ridge[: len(norms)] = problem.l2 * np.multiply.outer(norms, step)
    scaled = 1.0 / (gram + ridge)
    dual = np.zeros_like(z)  # in units of the step, with its sign turned
    for done in range(1, _ADMM_STEPS + 1):
        theta = scaled * (rows.T @ (weights * (y - z - dual)))
        moved = rows @ theta
        np.subtract(y, moved, out=moved)
        moved *= _RELAXATION
        moved -= (_RELAXATION - 1.0) * z
        moved -= dual
        np.clip(moved, lower, upper, out=z)
        np.subtract(moved, z, out=z)
        z *= shrink
        np.subtract(z, moved, out=dual)
        if enough is not None and done % _LOOK == 0:
            slopes = dual / -step - z * problem.loss.curvature
            if enough(theta, weights * slopes):
                break
    return theta, np.sign(z).astype(np.int8)


def _step_sizes(problem: Problem, y: Array, residual: Array) -> Array:
    """Typical residual over the slope of the absolute part, for each output."""
    level = problem.weights @ y if problem.fit_intercept else 0.0
    spread = problem.weights @ np.abs(y - level)
    size = np.maximum(np.median(np.abs(residual), axis=0), _SMALLEST_STEP * spread)
    return np.where(size > 0, size, 1.0) / problem.loss.loss_mix


def _by_active_set(
    shared: Shared, index: Index, start: tuple[Array, Array], side: Sides, options: Options
) -> list[tuple[Model | None, int]]:
    """Step 3 with a quadratic: the outputs that settle, relative to their starts."""
    problem, basis, rows = shared.problem, shared.basis, shared.rows
    coef, intercept = start[0][:, index], start[1][index]
    loss, weights = problem.loss, problem.weights
    residual = problem.y[:, index] - problem.design.predict(coef, intercept)
    linear = rows.T @ (weights[:, None] * residual * loss.curvature)
    linear[: basis.n_directions] -= problem.l2 * (basis.transform.T @ coef)
    lower, upper = loss.lower * weights, loss.upper * weights
    kinks = Kinks(rows, residual, shared.curvature(), linear, lower, upper)

    def on_iteration(i: int, theta: Array) -> bool:
        change, shift = basis.to_model(theta)
        model = coef[:, i] + change, float(intercept[i] + shift)
        return options.progress is not None and options.progress.report(int(index[i]), *model)

    watched = on_iteration if options.progress is not None else None
    found = guess_sides(kinks, side, options.max_iter, watched)
    change, shift = basis.to_model(found.theta)
    model = coef + change, intercept + shift
    return _measured(shared, index, model, found, INNER_TOL * options.tol)


def _measured(
    shared: Shared, index: Index, models: tuple[Array, Array], found: Found, tol: float
) -> list[tuple[Model | None, int]]:
    """Return the outputs with a gap as small as asked for, or stopped, as models.

    What violates stationarity, d, costs ½ dᵀH⁻¹d with a squared loss of curvature H: as much as the
    duals lose that put it right.
    """
    problem, basis, design = shared.problem, shared.basis, shared.problem.design
    (coef, intercept), loss = models, problem.loss
    weights = problem.weights[:, None]
    lower, upper = loss.lower * weights, loss.upper * weights
    dual = np.clip(found.dual, lower, upper)
    residual = problem.y[:, index] - design.predict(coef, intercept)
    slack = np.maximum(np.maximum(upper * residual, lower * residual) - dual * residual, 0.0)
    pull = dual + weights * residual * loss.curvature
    defect = basis.pull_back(design.adjoint(pull), pull.sum(axis=0))
    defect[: basis.n_directions] -= problem.l2 * (basis.transform.T @ coef)
    if loss.curvature > 0:
        steep = loss.curvature * np.diag(basis.full_gram())
        charge = 0.5 * (defect**2 / steep[:, None]).sum(axis=0)
    else:
        charge = np.linalg.norm(defect, axis=0) * (problem.weights @ np.abs(residual))
    gap = slack.sum(axis=0) + charge
    size = problem.loss_values(residual) + problem.penalty(coef)
    out: list[tuple[Model | None, int]] = []
    for i, k in enumerate(index):
        relative = gap[i] / max(size[i], FLOOR * shared.output(int(k)).spread, TINY)
        good = found.settled[i] and relative <= tol
        model = None
        if good or found.stopped[i]:
            model = Model(
                coef[:, i],
                float(intercept[i]),
                residual[:, i],
                dual[:, i],
                float(relative),
                bool(found.stopped[i]),
            )
        out.append((model, int(found.n_iter[i])))
    return out
