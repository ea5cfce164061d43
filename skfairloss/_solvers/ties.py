r"""Which of several optima: the limit of the mix as λ → 1, then the model of smallest norm.

For any optimal dual, the optima are exactly the feasible points that are complementary to it
(strong duality; Mangasarian & Meyer 1979 use the same face): rows whose dual is strictly inside its
interval stay at r = 0, rows whose dual is at an end stay on that side. On this face

  1. at λ = 1, minimise Σ v r² + penalty, the second-order term of the mix as λ → 1;
  2. then minimise ‖w‖².

Both are convex quadratics in the few directions that the face leaves free, with one-sided rows: in
coordinates that make the quadratic a distance, the point of a polyhedron nearest to another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.optimize import nnls

from skfairloss._solvers.crossover import lu_if_regular, particular_and_null
from skfairloss._solvers.formulation import Model, Output
from skfairloss._typing import Array, Index, Mask

INSIDE = 1e-7  # a dual this far inside its interval, relative to the width, holds its row at 0
_SLACK = 1e-12  # a violation this small, relative to the largest residual, is rounding
_FLAT = 1e-14  # curvature, relative to the largest, below which a direction has none
_CUTS = 50  # rounds of adding violated rows
FEW = 20  # rows per coordinate that usually show full rank


def resolve_ties(output: Output, model: Model) -> tuple[Model, bool]:
    """Move to the optimum that the tie rule names; False where it was not reached."""
    free = _free_directions(output, model)
    if not free.shape[1]:
        return model, True
    if output.problem.l1 == 0 and output.basis is not output.problem.exact_basis:
        # squares have to be exact from here on, as they are not in coordinates from a sample
        output = replace(output, basis=output.problem.exact_basis, shared=None)
        free = _free_directions(output, model)
    reached = True
    unseen = null_directions(free.T @ output.basis.full_gram() @ free, free)  # by any prediction
    if output.problem.loss.curvature == 0.0:
        if unseen.shape[1] < free.shape[1]:
            model, reached = _least_squares_on_face(output, model, free)
        free = unseen
    if free.shape[1] and output.problem.l1 > 0:
        model, again = _least_norm_on_face(output, model, free)
        reached = reached and again
    return model, reached


def _free_directions(output: Output, model: Model) -> Array:
    """Directions in coordinates θ along which the optimum may not be unique."""
    problem, basis, n = output.problem, output.basis, len(model.residual)
    if problem.loss.curvature > 0:
        if problem.l1 == 0:
            return np.empty((basis.n_coordinates, 0))
        free = null_directions(basis.full_gram(), np.eye(basis.n_coordinates))
    elif problem.l2 > 0 and problem.l1 == 0:
        # the ridge leaves the intercept alone, which no row at 0 lets move
        free = np.eye(basis.n_coordinates)[:, basis.n_directions :]
        free = free[:, : 0 if len(_held(output, model)) else None]
    else:
        free = _not_moving(output, _held(output, model))
    if problem.l1 > 0 and free.shape[1]:
        held = np.flatnonzero(_inside(output, model)[n:])
        free = null_directions(output.penalty_rows.take(held) @ free, free)
    if problem.l2 > 0 and free.shape[1]:
        free = null_directions(basis.transform @ free[: basis.n_directions], free, size=0.0)
    return free


def null_directions(rows: Array, directions: Array, size: float = 1.0) -> Array:
    """Combinations of the directions on which the rows (given in those directions) vanish.

    In coordinates θ all rows are of size 1.
    """
    return directions @ particular_and_null(rows, np.zeros(len(rows)), size)[1]


def _not_moving(output: Output, held: Index) -> Array:
    """Directions that do not change the residuals of the held rows; a few are tried before all."""
    every = np.eye(output.basis.n_coordinates)
    null = every
    for index in (held[: FEW * len(every)], held):
        rows = output.rows(index).take(np.arange(len(index)))
        if lu_if_regular(rows) is not None:
            return every[:, :0]
        null = null_directions(rows, every)
        if not null.shape[1]:
            break
    return null


def _held(output: Output, model: Model) -> Index:
    """Rows of the data whose dual is strictly inside its interval."""
    if model.band is None:
        return np.flatnonzero(_inside(output, model)[: len(model.residual)])
    loss, weights, dual = (
        output.problem.loss,
        output.problem.weights[model.band],
        model.dual[model.band],
    )
    room = np.minimum(loss.upper * weights - dual, dual - loss.lower * weights)
    return model.band[room > INSIDE * (loss.upper - loss.lower) * weights]


def _inside(output: Output, model: Model) -> Mask:
    """Rows whose dual is strictly inside its interval."""
    lower, upper = output.interval
    room = np.minimum(upper - model.dual, model.dual - lower)
    return room > INSIDE * (upper - lower)


def _least_squares_on_face(output: Output, model: Model, free: Array) -> tuple[Model, bool]:
    """Step 1: minimise Σ v r² + l1 ‖w‖₁ + (l2/2) ‖w‖² over the face."""
    problem, basis = output.problem, output.basis
    coef = basis.transform @ free[: basis.n_directions]
    hessian = 2.0 * free.T @ basis.full_gram() @ free + problem.l2 * coef.T @ coef
    weighted = problem.weights * model.residual
    pull = basis.pull_back(problem.design.adjoint(weighted), float(weighted.sum()))
    linear = 2.0 * free.T @ pull - problem.l2 * coef.T @ model.coef
    if problem.l1 > 0:
        # the dual of the row 0 - s_j w_j has the opposite sign of w_j
        signs = -np.sign(model.dual[len(model.residual) :])
        linear -= problem.l1 * coef[output.penalised].T @ signs
    return _move(output, model, free, hessian, linear)


def _least_norm_on_face(output: Output, model: Model, free: Array) -> tuple[Model, bool]:
    """Step 2: minimise ‖w‖² along directions that change no prediction."""
    coef = output.basis.transform @ free[: output.basis.n_directions]
    return _move(output, model, free, coef.T @ coef, -coef.T @ model.coef)


def _move(
    output: Output, model: Model, free: Array, hessian: Array, linear: Array
) -> tuple[Model, bool]:
    """Minimise a quadratic along the free directions, each row staying on its side.

    Only the rows that the minimum so far violates are taken into account, until none is left: a
    cutting-plane method, which needs a few rows at a time.
    """
    lower, upper = output.interval
    side = np.where(model.dual > 0.5 * (lower + upper), 1.0, -1.0)

    def moved(step: Array) -> Model:
        coef, intercept = output.basis.to_model(free @ step)
        coef, shift = model.coef + coef, model.intercept + float(intercept)
        residual = output.residual(coef, shift)
        return replace(model, coef=coef, intercept=shift, residual=residual, measured=None)

    def slack_at(step: Array) -> Array:
        there = moved(step)
        return side * _all_residuals(output, there.coef, there.residual)

    def rows_of(index: Index) -> Array:
        return side[index, None] * (_rows(output, index) @ free)

    step = minimum_by_cuts(hessian, linear, ~_inside(output, model), slack_at, rows_of)
    return (model, False) if step is None else (moved(step), True)


def minimum_by_cuts(
    hessian: Array,
    linear: Array,
    loose: Mask,
    slack_at: Callable[[Array], Array],
    rows_of: Callable[[Index], Array],
) -> Array | None:
    """argmin ½ sᵀHs - gᵀs over steps s that leave no slack negative; None if it is not found.

    Parameters
    ----------
    hessian, linear : H (f, f) and g (f,).
    loose : which slacks count.
    slack_at : the slacks at a step; at 0 they are >= 0 up to rounding.
    rows_of : what some slacks lose per unit of s, (len(index), f).
    """
    values, vectors = np.linalg.eigh(hessian)
    curved = values > _FLAT * float(values[-1])
    scale = vectors / np.sqrt(np.where(curved, values, _FLAT * float(values[-1])))
    lowest = np.where(curved, scale.T @ linear, 0.0)  # of ½ ‖t - lowest‖², s = scale t
    room = slack_at(np.zeros(len(linear)))
    size = float(np.abs(room).max())
    index = np.zeros(0, dtype=np.intp)
    rows = np.zeros((0, len(linear)))
    for _ in range(_CUTS):
        nearest = nearest_point(lowest, rows, np.maximum(room[index], 0.0))
        if nearest is None:
            break
        step = scale @ nearest
        slack = slack_at(step)
        wrong = np.flatnonzero(loose & (slack < np.minimum(room, 0.0) - _SLACK * size))
        wrong = np.setdiff1d(wrong, index)
        if not len(wrong):
            return step
        worst = wrong[np.argsort(slack[wrong], kind="stable")[: 10 * len(linear) + 50]]
        index = np.concatenate([index, worst])
        rows = np.vstack([rows, rows_of(worst) @ scale])
    return None


def _all_residuals(output: Output, coef: Array, residual: Array) -> Array:
    """Residuals of the data's rows, then of the penalty's."""
    if output.problem.l1 == 0:
        return residual
    return np.concatenate([residual, -(output.basis.norms * coef)[output.penalised]])


def _rows(output: Output, index: Index) -> Array:
    """Rows of the data, then of the penalty, by their position among both."""
    n = len(output.y)
    data = index[index < n]
    rows = np.empty((len(index), output.basis.n_coordinates))
    taken = output.rows(data).take(np.arange(len(data)))
    rows[index < n] = taken
    if output.problem.l1 > 0:
        rows[index >= n] = output.penalty_rows.take(index[index >= n] - n)
    return rows


def nearest_point(target: Array, rows: Array, room: Array) -> Array | None:
    """argmin ‖t - target‖ subject to rows @ t <= room, room >= 0; None where it is not reached.

    Least distance programming (Lawson & Hanson 1974, section 23.4): for x = t - target,
    min ‖x‖ subject to Gx >= h is read from the residual of min ‖Eu - f‖, u >= 0, with E = [Gᵀ; hᵀ]
    and f = (0, ..., 0, 1). Rows with u > 0 hold x; their equations give it all its digits.
    """
    norms = np.linalg.norm(rows, axis=1)
    rows, room = rows[norms > 0] / norms[norms > 0, None], room[norms > 0] / norms[norms > 0]
    over = rows @ target - room
    unit = float(over.max(initial=0.0))
    if unit <= 0.0:
        return target
    try:
        held = nnls(np.vstack([-rows.T, over / unit]), np.append(np.zeros(len(target)), 1.0))[0] > 0
    except RuntimeError:  # out of iterations
        return None
    found = target - np.linalg.lstsq(rows[held], over[held], rcond=_SLACK)[0]
    slack = _SLACK * (float(room.max()) + float(np.linalg.norm(target)))
    return found if (rows @ found <= room + slack).all() else None
