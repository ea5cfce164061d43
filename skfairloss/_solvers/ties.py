r"""Which of several optima: the limit of the mix as λ → 1, then the model of smallest norm.

For any optimal dual, the optima are exactly the feasible points that are complementary to it
(strong duality; Mangasarian & Meyer 1979 use the same face): rows whose dual is strictly inside its
interval stay at r = 0, rows whose dual is at an end stay on that side. On this face

  1. at λ = 1, minimise Σ v r² + c² · penalty, the second-order term of the mix as λ → 1;
  2. then minimise ‖w‖².

Both are convex quadratics in the few directions that the face leaves free, with one-sided rows;
`interior_point` solves them with the rows' violation as a kinked term of large width, which is
exact once the width exceeds the multipliers (Fletcher 1987, section 14.3).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from skfairloss._design import DenseRows
from skfairloss._problem import Problem
from skfairloss._solvers.crossover import particular_and_null
from skfairloss._solvers.formulation import Model, penalty_interval
from skfairloss._solvers.interior_point import interior_point
from skfairloss._solvers.piecewise import PiecewiseQuadratic

Array = NDArray[np.float64]

_INSIDE = 1e-7  # a dual this far inside its interval, relative to the width, holds its row at 0
_FEW = 20  # rows per coordinate that usually show full rank


def resolve_ties(problem: Problem, k: int, model: Model) -> tuple[Model, bool]:
    """Move to the optimum that the tie rule names; False where it was not reached."""
    free = _free_directions(problem, k, model)
    if not free.shape[1]:
        return model, True
    reached = True
    if problem.loss.curvature == 0.0:
        model, reached = _least_squares_on_face(problem, k, model, free)
        free = _null(free.T @ problem.coordinates.full_gram() @ free, free)
    if free.shape[1] and problem.l1 > 0:
        model, again = _least_norm_on_face(problem, k, model, free)
        reached = reached and again
    return model, reached


def _free_directions(problem: Problem, k: int, model: Model) -> Array:
    """Directions in coordinates θ along which the optimum may not be unique."""
    basis, n = problem.coordinates, len(model.residual)
    if problem.loss.curvature > 0:
        if problem.l1 == 0:
            return np.empty((basis.n_coordinates, 0))
        free = _null(basis.full_gram(), np.eye(basis.n_coordinates))
    else:
        free = _not_moving(problem, np.flatnonzero(_inside(problem, k, model)[:n]))
    if problem.l1 > 0 and free.shape[1]:
        held = _inside(problem, k, model)[n:]
        free = _null(free[: basis.n_directions][held], free)
    if problem.l2 > 0 and free.shape[1]:
        free = _null(basis.transform @ free[: basis.n_directions], free)
    return free


def _null(rows: Array, directions: Array) -> Array:
    """Combinations of the directions on which the rows (given in those directions) vanish."""
    return directions @ particular_and_null(rows, np.zeros(len(rows)))[1]


def _not_moving(problem: Problem, held: NDArray[np.intp]) -> Array:
    """Directions that do not change the residuals of the held rows; a few are tried before all."""
    basis = problem.coordinates
    free = np.eye(basis.n_coordinates)
    for index in (held[: _FEW * len(free)], held):
        rows = problem.design.rows(basis, index).take(np.arange(len(index)))
        null = _null(rows, free)
        if not null.shape[1]:
            break
    return null


def _interval(problem: Problem, k: int) -> tuple[Array, Array]:
    """Ends of the dual intervals of the data's rows, then of the penalty's."""
    loss = problem.loss
    lower, upper = loss.lower * problem.weights, loss.upper * problem.weights
    if problem.l1 > 0:
        _, width = penalty_interval(problem, k)
        lower, upper = np.concatenate([lower, -width]), np.concatenate([upper, width])
    return lower, upper


def _inside(problem: Problem, k: int, model: Model) -> NDArray[np.bool_]:
    lower, upper = _interval(problem, k)
    room = np.minimum(upper - model.dual, model.dual - lower)
    return room > _INSIDE * (upper - lower)


def _least_squares_on_face(
    problem: Problem, k: int, model: Model, free: Array
) -> tuple[Model, bool]:
    """Step 1: minimise Σ v r² + c² (l1 ‖w‖₁ + (l2/2) ‖w‖²) over the face."""
    basis, c = problem.coordinates, problem.scale[k]
    coef, intercept = basis.to_model(free)
    moves = problem.design.predict(coef, intercept)
    weighted = problem.weights[:, None] * moves
    hessian = 2.0 * moves.T @ weighted + c**2 * problem.l2 * coef.T @ coef
    linear = 2.0 * weighted.T @ model.residual - c**2 * problem.l2 * coef.T @ model.coef
    if problem.l1 > 0:
        # the dual of the row 0 - w_j has the opposite sign of w_j
        signs = -np.sign(model.dual[-len(coef) :])
        linear -= c**2 * problem.l1 * coef.T @ signs
    return _move(problem, k, model, free, hessian, linear, moves)


def _least_norm_on_face(problem: Problem, k: int, model: Model, free: Array) -> tuple[Model, bool]:
    """Step 2: minimise ‖w‖² along directions that change no prediction."""
    coef, _ = problem.coordinates.to_model(free)
    hessian, linear = coef.T @ coef, -coef.T @ model.coef
    return _move(problem, k, model, free, hessian, linear, np.zeros((0, free.shape[1])))


def _move(
    problem: Problem,
    k: int,
    model: Model,
    free: Array,
    hessian: Array,
    linear: Array,
    moves: Array,
) -> tuple[Model, bool]:
    """Minimise a quadratic along the free directions, each row staying on its side."""
    basis, n = problem.coordinates, len(model.residual)
    data = len(moves)
    changes, residual = moves, model.residual[:data]
    if problem.l1 > 0:
        norms, _ = penalty_interval(problem, k)
        changes = np.vstack([changes, free[: basis.n_directions]])
        residual = np.concatenate([residual, -norms * model.coef])
    lower, upper = _interval(problem, k)
    side = np.where(model.dual > 0.5 * (lower + upper), 1.0, -1.0)
    held = _inside(problem, k, model)
    here = np.r_[:data, n : len(side)]
    side, held = side[here], held[here]
    step, reached = _one_sided_minimum(
        hessian, linear, (side[:, None] * changes)[~held], np.abs(residual)[~held]
    )
    coef, intercept = basis.to_model(free @ step)
    new_coef, new_intercept = model.coef + coef, model.intercept + float(intercept)
    new_residual = problem.y[:, k] - problem.design.predict(new_coef, new_intercept)
    return replace(model, coef=new_coef, intercept=new_intercept, residual=new_residual), reached


def _one_sided_minimum(
    hessian: Array, linear: Array, rows: Array, room: Array
) -> tuple[Array, bool]:
    """argmin ½ sᵀHs - gᵀs subject to rows @ s <= room, where room >= 0 makes s = 0 feasible."""
    free_step = np.linalg.lstsq(hessian, linear, rcond=1e-12)[0]
    size = np.linalg.norm(rows, axis=1)
    # The minimum is no farther from the free one, in the norm of H, than s = 0 is.
    reach = 2 * np.linalg.norm(free_step) * np.sqrt(np.linalg.cond(hessian))
    matter = (size > 0) & (room <= size * reach)
    rows, room = rows[matter] / size[matter, None], room[matter] / size[matter]
    slack = 1e-12 * float(room.max(initial=0.0)) + 1e-15 * float(np.linalg.norm(free_step))
    if not len(rows) or (rows @ free_step <= room + slack).all():
        return free_step, True
    width = 10.0 * float(np.linalg.norm(linear))
    for _ in range(4):
        lower = np.full(len(rows), -width)
        pq = PiecewiseQuadratic(
            DenseRows(rows), room, lower, np.zeros(len(rows)), hessian, linear
        )
        gain = 0.5 * abs(float(linear @ free_step))
        found = interior_point(pq, tol=1e-10, floor=gain, max_iter=100)
        violation = float((rows @ found.delta - room).max())
        if found.polished and violation <= slack + 1e-12 * float(np.linalg.norm(found.delta)):
            return found.delta, found.gap <= 1e-8 * gain
        width *= 100.0
    return np.zeros_like(linear), False
