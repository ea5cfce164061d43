r"""Ties: which of several optima is taken. The limit of the mix as λ → 1, then the smallest norm.

For any optimal dual, the optima are exactly the feasible points that are complementary to it and
to the multipliers of the constraints (strong duality; Mangasarian & Meyer 1979 use the same face):

  - a row whose dual is strictly inside its interval stays at r = 0, any other on its side of 0;
  - a constraint with a multiplier stays at its bound, F_j = bound_j + slope_j t, any other within.

On this face every F_j about the mix or |r| is linear, and so is the L1 penalty; squares that have a
multiplier keep the predictions of their group. Then

  1. at λ = 1, minimise Q + penalty, Q = Σ W_g(i) v_i / V_g(i) r_i² with the optimal weights W of
     the groups' mix (v_i without groups): the second-order term of the mix as λ → 1. Terms about
     |r| or r² add nothing to W;
  2. among models with these predictions, minimise ‖w‖². Without an L1 penalty they are one model:
     coordinates reach the row space of X only.

Both are convex quadratics along the few directions of the face, with one-sided rows: in coordinates
that make the quadratic a distance, the point of a polyhedron nearest to another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import block_diag
from scipy.optimize import nnls

from skfairloss._core.problem import Problem
from skfairloss._design.basis import Basis
from skfairloss._design.design_rows import DesignRows
from skfairloss._design.rows import DenseRows, Rows, StackedRows
from skfairloss._solvers.coupled import Coupled, to_model
from skfairloss._solvers.coupling import SQUARED, Coupling
from skfairloss._solvers.crossover import factor_if_regular, lu_if_regular, particular_and_null
from skfairloss._solvers.formulation import Model, Output
from skfairloss._solvers.kinked import KinkedQuadratic, KinkedSolution
from skfairloss._solvers.tolerances import FLAT, INSIDE, SETTLED, TINY
from skfairloss._typing import Array, Index, Mask

_CUTS = 50  # rounds of violated rows; two or three are usual, as each has all that are near
_ROWS = 20  # rows per direction read at a time: so many usually have full rank, or those that bind


@dataclass(frozen=True)
class Cuts:
    """Inequalities ``rows @ step <= room``: rows (k, f), room (k,), positions on the face (k,)."""

    position: Index
    rows: Array
    room: Array


@dataclass(frozen=True)
class Face:
    """The optimal face at a model of m outputs with d coordinates each, taken output by output.

    Parameters
    ----------
    problem, basis : the loss and the penalties; the coordinates.
    directions : (m d, f), along which the face extends.
    coef : (p, m), of the model.
    rows : (N, d), rows of the data and of the L1 penalty, the same for every output.
    residual : (N, m), at the model.
    side : (N, m), 1 or -1, the side of 0 on which a row stays; 0 where it is held or has no kink.
    squares : (N,), weights of r² / 2 in step 1; 0 for rows of the penalty.
    gram : (d, d), Σ squares_i A_i A_iᵀ. None where it is to be computed from the rows.
    prices : (N, m), duals of the rows of the penalty; 0 for rows of the data.
    slack, pulls : (J,) and (J, m d), of the constraints that are not held, and minus the gradients
        of their losses (relative to t).
    pull : (d, m), Σ squares_i r_i A_i of rows that are not here.
    """

    problem: Problem
    basis: Basis
    directions: Array
    coef: Array
    rows: Rows
    residual: Array
    side: Array
    squares: Array
    gram: Array | None
    prices: Array
    slack: Array
    pulls: Array
    pull: Array | float = 0.0

    def to_coordinates(self, step: Array) -> Array:
        """Return the change of the coordinates along a step (f,), (d, m)."""
        change: Array = (self.directions @ step).reshape(self.coef.shape[1], -1).T
        return change

    def moved(self, step: Array) -> Face:
        """Return the face at the model that a step (f,) leads to."""
        change = self.to_coordinates(step)
        return replace(
            self,
            coef=self.coef + self.basis.to_model(change)[0],
            residual=self.residual - self.rows.dot(change),
            slack=self.slack + self.pulls @ (self.directions @ step),
        )

    def violators(self, step: Array, at_most: int) -> Cuts:
        """Return the inequalities that a step (f,) violates, the worst first.

        One that the model itself violates counts from there on.
        """
        there = self.moved(step)
        now = np.concatenate([(self.side * self.residual).ravel(), self.slack])
        then = np.concatenate([(self.side * there.residual).ravel(), there.slack])
        rounding = SETTLED * max(
            float(np.abs(self.residual).max(initial=0.0)), float(self.slack.max(initial=0.0))
        )
        wrong = np.flatnonzero(then < np.minimum(now, 0.0) - rounding)
        wrong = wrong[np.argsort(then[wrong], kind="stable")[:at_most]]
        return Cuts(wrong, self._rows_at(wrong), np.maximum(now[wrong], 0.0))

    def _rows_at(self, position: Index) -> Array:
        """Compute the loss of the slacks per unit of a step, (k, f)."""
        m, is_row = self.coef.shape[1], position < self.residual.size
        i, k = np.divmod(position[is_row], m)
        taken, blocks = self.rows.take(i), self.directions.reshape(m, -1, self.directions.shape[1])
        out = np.empty((len(position), self.directions.shape[1]))
        out[~is_row] = -self.pulls[position[~is_row] - self.residual.size] @ self.directions
        moves = np.empty((len(i), out.shape[1]))
        for output in np.unique(k):
            moves[k == output] = taken[k == output] @ blocks[output]
        out[is_row] = self.side[i, k, None] * moves
        return out

    def seen_and_unseen(self) -> tuple[Array, Array]:
        """Split the directions into those that change predictions and those that change none."""
        if self.problem.l1 == 0:
            return self.directions, self.directions[:, :0]
        free, gram = self.directions, self.basis.full_gram()
        null = _null(free.T @ _by_output(gram, free, self.coef.shape[1]))
        return free @ _null(null.T), free @ null

    def settled(self) -> tuple[Array, bool]:
        """Compute the change (d, m) to the model that the rule names, and whether it is reached."""
        seen, unseen = self.seen_and_unseen()
        face, reached = self, True
        change = np.zeros((self.basis.n_coordinates, self.coef.shape[1]))
        if self.problem.loss.curvature == 0.0 and seen.shape[1]:
            face = replace(self, directions=np.hstack([seen, unseen]))
            step = minimum_by_cuts(*face.least_squares(seen), face.violators)
            reached = step is not None
            if step is not None:
                change, face = face.to_coordinates(step), face.moved(step)
        if unseen.shape[1]:
            face = replace(face, directions=unseen)
            step = minimum_by_cuts(*face.least_norm(), face.violators)
            reached = reached and step is not None
            if step is not None:
                change = change + face.to_coordinates(step)
        return change, reached

    def least_squares(self, seen: Array) -> tuple[Array, Array]:
        """Return H (f, f) and g (f,) of step 1; only the first directions, the seen, have any."""
        f, count = self.directions.shape[1], seen.shape[1]
        gram = self.rows.gram(self.squares) if self.gram is None else self.gram
        pull = self.rows.adjoint(self.squares[:, None] * self.residual + self.prices)
        pull = pull + self.pull
        hessian, linear = np.zeros((f, f)), np.zeros(f)
        hessian[:count, :count] = seen.T @ _by_output(gram, seen, self.coef.shape[1])
        linear[:count] = seen.T @ pull.T.ravel()
        return hessian, linear

    def least_norm(self) -> tuple[Array, Array]:
        """Return H (f, f) and g (f,) of step 2."""
        k, m = self.basis.n_directions, self.coef.shape[1]
        blocks = self.directions.reshape(m, -1, self.directions.shape[1])[:, :k]
        moves = (self.basis.transform @ blocks).reshape(self.coef.size, -1)
        return moves.T @ moves, -moves.T @ self.coef.T.ravel()


def resolve_ties(output: Output, model: Model) -> tuple[Model, bool]:
    """Return the model of one output that the tie rule names, and whether it was reached."""
    problem, n = output.problem, len(model.residual)
    possible = open_directions(problem, output.basis)
    if not possible.shape[1]:
        return model, True
    rows, held = _rows_of(output), _held_rows(output, model)
    directions = directions_at(rows, held, possible)
    if not directions.shape[1]:
        return model, True
    if problem.sample_basis is not None:  # squares in its coordinates are estimates
        output = replace(output, basis=problem.exact_basis, shared=None)
        rows = _rows_of(output)
        directions = directions_at(rows, held, open_directions(problem, output.basis))
    lower, upper = output.interval
    side = sides_of(model.dual, lower, upper)
    prices = np.where(side > 0, upper, lower)
    prices[:n] = 0.0
    weights = np.zeros(len(side))
    weights[:n] = 2.0 * problem.weights
    penalty = -(output.basis.norms * model.coef)[output.penalised]
    face = Face(
        problem=problem,
        basis=output.basis,
        directions=directions,
        coef=model.coef[:, None],
        rows=rows,
        residual=np.concatenate([model.residual, penalty])[:, None],
        side=side[:, None],
        squares=weights,
        gram=2.0 * output.basis.full_gram(),
        prices=prices[:, None],
        slack=np.zeros(0),
        pulls=np.zeros((0, len(directions))),
    )
    change, reached = face.settled()
    if not change.any():
        return model, reached
    coef, shift = output.basis.to_model(change[:, 0])
    coef, intercept = model.coef + coef, model.intercept + float(shift)
    residual = output.residual(coef, intercept)
    moved = replace(model, coef=coef, intercept=intercept, residual=residual, measured=None)
    return moved, reached


def resolve_coupled_ties(coupled: Coupled, found: KinkedSolution) -> tuple[KinkedSolution, bool]:
    """Return the solution that the tie rule names, and whether it was reached."""
    problem, basis = coupled.problem, coupled.basis
    possible = open_directions(problem, basis)
    if not possible.shape[1]:
        return found, True
    kq = coupled.kq
    directions = coupled_directions(kq, found, possible)
    if not directions.shape[1]:
        return found, True
    held, squares = CoupledFace.of(kq, found), np.zeros(len(kq.residual))
    squares[: coupled.n_data] = 2.0 * coupled.mix_weights(found.multipliers)
    face = held.face(problem, basis, directions, to_model(coupled, found)[0], squares)
    change, reached = _settled_within(face, held.limits, held.free)
    if not change.any():
        return found, reached
    return replace(found, delta=found.delta + change, measured=None), reached


@dataclass(frozen=True)
class CoupledFace:
    """The optimal face at a solution under constraints.

    Parameters
    ----------
    limits : the constraints along it.
    side, prices : (N, m), as in `Face`.
    free : (J,), constraints that are not held.
    """

    limits: _Limits
    side: Array
    prices: Array
    free: Mask

    @classmethod
    def of(cls, kq: KinkedQuadratic, found: KinkedSolution) -> CoupledFace:
        """Read the face of a solution."""
        here, coupling = kq.lagrangian(found.multipliers), kq.coupling
        assert coupling is not None
        inside = is_inside(found.dual, here.lower, here.upper)
        side = sides_of(found.dual, here.lower, here.upper)
        of_penalty = coupling.codes == coupling.n_groups
        ends = np.where(inside, 0.0, here.ends(side > 0))
        prices = np.where(of_penalty[:, None], ends, 0.0)
        limits = _Limits(kq, coupling, found, inside, side)
        return cls(limits, side, prices, ~coupling.binding(found.multipliers))

    @property
    def curved(self) -> bool:
        """True where a constraint that is not held is about squares."""
        return bool((self.free & self.limits.coupling.weights[SQUARED].any(axis=1)).any())

    def face(
        self,
        problem: Problem,
        basis: Basis,
        directions: Array,
        coef: Array,
        squares: Array,
        gram: Array | None = None,
        pull: Array | float = 0.0,
    ) -> Face:
        """Return the face along some directions at a model, all else as in `Face`."""
        kq, delta = self.limits.kq, self.limits.found.delta
        slack, pulls = self.limits.at(delta)
        return Face(
            problem=problem,
            basis=basis,
            directions=directions,
            coef=coef,
            rows=kq.rows,
            residual=kq.residual_at(delta),
            side=self.side,
            squares=squares,
            gram=gram,
            prices=self.prices,
            slack=slack[self.free],
            pulls=pulls[self.free],
            pull=pull,
        )


def coupled_directions(kq: KinkedQuadratic, found: KinkedSolution, possible: Array) -> Array:
    """Return the directions (m d, f) that keep rows at 0 and constraints at their bound."""
    here, coupling = kq.lagrangian(found.multipliers), kq.coupling
    assert coupling is not None
    inside = is_inside(found.dual, here.lower, here.upper)
    held = [np.flatnonzero(column) for column in inside.T]
    binding = coupling.binding(found.multipliers)
    held_to = np.where(binding, found.multipliers, 0.0)
    curved = coupling.quadratic(coupling.spread_out(held_to), held_to)[0]
    blocks = [
        directions_at(kq.rows, index, _flat(hessian, possible))
        for index, hessian in zip(held, curved, strict=True)
    ]
    directions = np.asarray(block_diag(*blocks))
    if not directions.shape[1]:
        return directions
    side = sides_of(found.dual, here.lower, here.upper)
    pulls = _Limits(kq, coupling, found, inside, side).at(found.delta)[1]
    return directions @ _null(pulls[binding] @ directions)


@dataclass(frozen=True)
class _Limits:
    """The constraints along the face at a solution, each relative to t."""

    kq: KinkedQuadratic
    coupling: Coupling
    found: KinkedSolution
    inside: Mask
    side: Array

    def at(self, delta: Array) -> tuple[Array, Array]:
        """Return slacks (J,) and minus the gradients of the losses, (J, m d), at δ (d, m)."""
        coupling, multipliers = self.coupling, self.found.multipliers
        slopes = np.where(self.inside, 0.0, 1.0), np.where(self.inside, 0.0, _signs(self.side))
        pulls = coupling.pulls(self.kq.rows, delta, slopes).transpose(0, 2, 1)
        pulls = pulls.reshape(len(coupling.groups), delta.size)
        if coupling.leveled:  # t follows the losses that are held to it
            level = multipliers * coupling.slope
            pulls = pulls - np.multiply.outer(coupling.slope, level @ pulls / level.sum())
        losses = coupling.losses(delta, self.kq.residual_at(delta))
        return -coupling.excess(losses), pulls


def _settled_within(face: Face, limits: _Limits, free: Mask) -> tuple[Array, bool]:
    """Return the change (d, m) that the rule names, and whether it is reached.

    A free loss in squares is not linear along the face: where the rule's model violates its bound,
    a further cut is its tangent there (Kelley 1960). The model ends where the bound is met.
    """
    change, reached = face.settled()
    free = free & limits.coupling.weights[SQUARED].any(axis=1)
    if not free.any():
        return change, reached
    start = limits.found.delta
    slack = limits.at(start)[0]
    allowed = np.minimum(slack, 0.0) - SETTLED * float(np.abs(slack).max())
    for _ in range(_CUTS):
        there, pulls = limits.at(start + change)
        wrong = np.flatnonzero(free & (there < allowed))
        if not len(wrong):
            return change, reached
        before = there[wrong] - pulls[wrong] @ change.T.ravel()
        face = replace(
            face,
            slack=np.concatenate([face.slack, before]),
            pulls=np.vstack([face.pulls, pulls[wrong]]),
        )
        change, reached = face.settled()
    share = float((slack[wrong] / (slack[wrong] - there[wrong]).clip(min=TINY)).min())
    return max(0.0, share) * change, False  # the losses are convex along it


def _signs(side: Array) -> Array:
    """Return 1 for rows above their kink, else -1."""
    return np.where(side > 0, 1.0, -1.0)


def _flat(hessian: Array, directions: Array) -> Array:
    """Return the combinations of directions (d, f) along which squares (d, d) do not change."""
    if not hessian.any() or not directions.shape[1]:
        return directions
    return directions @ _null(directions.T @ hessian @ directions / np.abs(hessian).max())


def open_directions(problem: Problem, basis: Basis) -> Array:
    """Return the directions (d, f) of an output in which optima may differ, by loss and penalty.

    With squares all optima have the same predictions, with a ridge the same coefficients.
    """
    every = np.eye(basis.n_coordinates)
    if problem.loss.curvature == 0:
        return every[:, basis.n_directions if problem.l2 > 0 else 0 :]  # the intercept, or all
    unique = problem.l1 == 0 or problem.l2 > 0
    if unique or factor_if_regular(basis.full_gram()) is not None:
        return every[:, :0]
    return _null(basis.full_gram())


def directions_at(rows: Rows, held: Index, directions: Array) -> Array:
    """Return the combinations of directions (d, f) that keep the residuals of the held rows."""
    size = _ROWS * len(directions)
    for start in range(0, len(held), size):
        taken = rows.take(held[start : start + size])
        if lu_if_regular(taken) is not None:  # a vertex
            return directions[:, :0]
        directions = directions @ _null(taken @ directions)
        if not directions.shape[1]:
            break
    return directions


def _null(rows: Array) -> Array:
    """Return a basis of the null space of rows (k, f), whose size is 1 in coordinates: (f, u)."""
    return particular_and_null(rows, np.zeros(len(rows)), 1.0)[1]


def _by_output(matrix: Array, directions: Array, m: int) -> Array:
    """Multiply the part (d, f) of each of m outputs in directions (m d, f) by a matrix (d, d)."""
    blocks = directions.reshape(m, len(matrix), -1)
    return (matrix @ blocks).reshape(directions.shape)


def is_inside(dual: Array, lower: Array, upper: Array) -> Mask:
    """Return which duals are strictly inside their intervals."""
    return np.minimum(upper - dual, dual - lower) > INSIDE * (upper - lower)


def sides_of(dual: Array, lower: Array, upper: Array) -> Array:
    """Return the side of 0 on which each row stays; 0 where it is held at 0 or has no kink."""
    side = np.where(dual > 0.5 * (lower + upper), 1.0, -1.0)
    side[is_inside(dual, lower, upper) | (upper <= lower)] = 0.0
    return side


def _held_rows(output: Output, model: Model) -> Index:
    """Return the rows held at 0; of those of the data, only the ones in a band are looked at."""
    n, loss = len(model.residual), output.problem.loss
    weights, dual = output.problem.weights, model.dual[:n]
    if model.band is not None:
        weights, dual = weights[model.band], dual[model.band]
    data = np.flatnonzero(is_inside(dual, loss.lower * weights, loss.upper * weights))
    if model.band is not None:
        data = model.band[data]
    if output.problem.l1 == 0:
        return data
    penalty = np.flatnonzero(is_inside(model.dual[n:], *output.penalty_interval))
    return np.concatenate([data, n + penalty])


def _rows_of(output: Output) -> Rows:
    """Return the rows of the data, read from X where they are not in memory, and the penalty's."""
    design, shared = output.problem.design, output.shared
    rows = DesignRows(design, output.basis) if shared is None else DenseRows(shared)
    return StackedRows(rows, output.penalty_rows) if output.problem.l1 > 0 else rows


def minimum_by_cuts(
    hessian: Array, linear: Array, violators: Callable[[Array, int], Cuts]
) -> Array | None:
    """Minimise ½ sᵀHs - gᵀs over steps s (f,) within inequalities, by cutting planes.

    Only those that the minimum so far violates are taken into account, until none is left. Where
    nothing has curvature the step is 0. None where the minimum is not found.

    Parameters
    ----------
    hessian, linear : H (f, f) and g (f,).
    violators : returns the inequalities that a step violates, the worst first, at most so many.
    """
    values, vectors = np.linalg.eigh(hessian)
    largest = float(values[-1])
    if largest <= 0.0:
        return np.zeros_like(linear)
    curved = values > FLAT * largest
    scale = vectors / np.sqrt(np.where(curved, values, FLAT * largest))
    lowest = np.where(curved, scale.T @ linear, 0.0)  # of ½ ‖t - lowest‖², s = scale t
    known = Cuts(np.zeros(0, dtype=np.intp), np.zeros((0, len(linear))), np.zeros(0))
    for _ in range(_CUTS):
        nearest = nearest_point(lowest, known.rows @ scale, known.room)
        if nearest is None:
            return None
        step = scale @ nearest
        found = violators(step, len(known.position) + _ROWS * len(linear))
        new = ~np.isin(found.position, known.position)
        if not new.any():
            return step
        known = Cuts(
            np.append(known.position, found.position[new]),
            np.vstack([known.rows, found.rows[new]]),
            np.append(known.room, found.room[new]),
        )
    return None


def nearest_point(target: Array, rows: Array, room: Array) -> Array | None:
    """Return the point nearest to a target (f,) with rows @ t <= room, where room >= 0.

    None where it is not reached. Least distance programming (Lawson & Hanson 1974, section 23.4):
    for x = t - target, min ‖x‖ subject to Gx >= h is read from the residual of min ‖Eu - f‖,
    u >= 0, with E = [Gᵀ; hᵀ] and f = (0, ..., 0, 1). Rows with u > 0 hold x; their equations give
    it all its digits.
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
    found = target - np.linalg.lstsq(rows[held], over[held], rcond=SETTLED)[0]
    slack = SETTLED * (float(room.max()) + float(np.linalg.norm(target)))
    return found if (rows @ found <= room + slack).all() else None
