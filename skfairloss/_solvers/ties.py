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

from skfairloss._rows import DenseRows
from skfairloss._solvers.crossover import particular_and_null
from skfairloss._solvers.formulation import Model, Output
from skfairloss._solvers.interior_point import interior_point
from skfairloss._solvers.piecewise import PiecewiseQuadratic
from skfairloss._typing import Array, Index, Mask

_INSIDE = 1e-7  # a dual this far inside its interval, relative to the width, holds its row at 0
_FEW = 20  # rows per coordinate that usually show full rank


def resolve_ties(output: Output, model: Model) -> tuple[Model, bool]:
    """Move to the optimum that the tie rule names; False where it was not reached."""
    free = _free_directions(output, model)
    if not free.shape[1]:
        return model, True
    reached = True
    unseen = _null(free.T @ output.basis.full_gram() @ free, free)  # by any prediction
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
        free = _null(basis.full_gram(), np.eye(basis.n_coordinates))
    else:
        free = _not_moving(output, np.flatnonzero(_inside(output, model)[:n]))
    if problem.l1 > 0 and free.shape[1]:
        held = np.flatnonzero(_inside(output, model)[n:])
        free = _null(output.penalty_rows.take(held) @ free, free)
    if problem.l2 > 0 and free.shape[1]:
        free = _null(basis.transform @ free[: basis.n_directions], free, size=0.0)
    return free


def _null(rows: Array, directions: Array, size: float = 1.0) -> Array:
    """Combinations of the directions on which the rows (given in those directions) vanish.

    In coordinates θ all rows are of size 1.
    """
    return directions @ particular_and_null(rows, np.zeros(len(rows)), size)[1]


def _not_moving(output: Output, held: Index) -> Array:
    """Directions that do not change the residuals of the held rows; a few are tried before all."""
    every = np.eye(output.basis.n_coordinates)
    null = every
    for index in (held[: _FEW * len(every)], held):
        rows = output.problem.design.rows(output.basis, index).take(np.arange(len(index)))
        null = _null(rows, every)
        if not null.shape[1]:
            break
    return null


def _inside(output: Output, model: Model) -> Mask:
    """Rows whose dual is strictly inside its interval."""
    lower, upper = output.interval
    room = np.minimum(upper - model.dual, model.dual - lower)
    return room > _INSIDE * (upper - lower)


def _least_squares_on_face(output: Output, model: Model, free: Array) -> tuple[Model, bool]:
    """Step 1: minimise Σ v r² + c² (l1 ‖w‖₁ + (l2/2) ‖w‖²) over the face."""
    problem, c = output.problem, output.c
    coef, intercept = output.basis.to_model(free)
    moves = problem.design.predict(coef, intercept)
    weighted = problem.weights[:, None] * moves
    hessian = 2.0 * moves.T @ weighted + c**2 * problem.l2 * coef.T @ coef
    linear = 2.0 * weighted.T @ model.residual - c**2 * problem.l2 * coef.T @ model.coef
    if problem.l1 > 0:
        # the dual of the row 0 - s_j w_j has the opposite sign of w_j
        signs = -np.sign(model.dual[len(model.residual) :])
        linear -= c**2 * problem.l1 * coef[output.penalised].T @ signs
    return _move(output, model, free, hessian, linear, moves)


def _least_norm_on_face(output: Output, model: Model, free: Array) -> tuple[Model, bool]:
    """Step 2: minimise ‖w‖² along directions that change no prediction."""
    coef, _ = output.basis.to_model(free)
    no_moves = np.zeros((len(model.residual), free.shape[1]))
    return _move(output, model, free, coef.T @ coef, -coef.T @ model.coef, no_moves)


def _move(
    output: Output, model: Model, free: Array, hessian: Array, linear: Array, moves: Array
) -> tuple[Model, bool]:
    """Minimise a quadratic along the free directions, each row staying on its side."""
    changes, residual = moves, model.residual
    if output.problem.l1 > 0:
        norms, columns = output.basis.norms, output.penalised
        changes = np.vstack([changes, output.penalty_rows.dot(free)])
        residual = np.concatenate([residual, -(norms * model.coef)[columns]])
    lower, upper = output.interval
    side = np.where(model.dual > 0.5 * (lower + upper), 1.0, -1.0)
    loose = ~_inside(output, model) & changes.any(axis=1)
    step, reached = _one_sided_minimum(
        hessian, linear, side[loose, None] * changes[loose], np.abs(residual[loose])
    )
    coef, intercept = output.basis.to_model(free @ step)
    coef, shift = model.coef + coef, model.intercept + float(intercept)
    residual = output.y - output.predict(coef, shift)
    return replace(model, coef=coef, intercept=shift, residual=residual), reached


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
        gain = 0.5 * abs(float(linear @ free_step))
        pq = PiecewiseQuadratic(
            rows=DenseRows(rows),
            residual=room,
            lower=np.full(len(rows), -width),
            upper=np.zeros(len(rows)),
            hessian=hessian,
            linear=linear,
            constant=gain,
        )
        found = interior_point(pq, tol=1e-10, floor=gain, max_iter=100)
        violation = float((rows @ found.delta - room).max())
        if found.polished and violation <= slack + 1e-12 * float(np.linalg.norm(found.delta)):
            return found.delta, found.gap <= 1e-8 * gain
        width *= 100.0
    return np.zeros_like(linear), False
