r"""Which of several optima under group losses at λ = 1: the rule of `ties`, for all outputs.

The optima are the feasible points complementary to an optimal dual and its multipliers: rows with a
dual strictly inside their interval stay at 0, the others on their side, constraints with a
multiplier at their bound. On this face every group loss is linear. Minimised over it is
Σ W_g(i) v_i / V_g(i) r² + penalty, the second-order term of the mix under the optimal group
weights.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import block_diag

from skfairloss._solvers.group_interior_point import GroupedSolution
from skfairloss._solvers.grouped import GroupedQuadratic
from skfairloss._solvers.ties import FEW, INSIDE, minimum_by_cuts, null_directions
from skfairloss._typing import Array, Index, Mask

_HELD = 1e-9  # multipliers this small, relative to the largest weight of a group, hold nothing


@dataclass(frozen=True)
class _Face:
    """The optimal face of a solution.

    Parameters
    ----------
    gq, delta : the problem, and an optimum.
    residual, side : (N, m), residuals there, and the side of 0 that rows are to stay on.
    inside : (N, m), rows that stay at 0.
    pulls : (J, d m), minus the gradients of the constraints on the face.
    penalty : (d m,), minus the gradient of the L1 penalty.
    held : (J,), constraints with a multiplier.
    """

    gq: GroupedQuadratic
    delta: Array
    residual: Array
    side: Array
    inside: Mask
    pulls: Array
    penalty: Array
    held: Mask

    def directions(self) -> Array:
        """Directions in δ, output after output, along which the face extends, (d m, f)."""
        gq, m = self.gq, self.delta.shape[1]
        parts = []
        for k in range(m):
            free = _not_moving(gq, np.flatnonzero(self.inside[:, k]))
            if gq.hessian[k].any() and free.shape[1]:
                free = null_directions(gq.hessian[k] @ free, free, 0.0)
            parts.append(free)
        free = block_diag(*parts)
        return null_directions(self.pulls[self.held] @ free, free) if free.shape[1] else free


def resolve_group_ties(
    gq: GroupedQuadratic, found: GroupedSolution
) -> tuple[GroupedSolution, bool]:
    """Move to the optimum that the tie rule names; False where it was not reached."""
    face = _face(gq, found)
    free = face.directions()
    if not free.shape[1]:
        return found, True
    d, m = found.delta.shape
    own = gq.group_weights(found.multipliers)
    own[-1] = 0.0  # rows of the penalty have no square
    weights = own[gq.codes, None] * (gq.upper - gq.lower)
    grams = [gq.rows.gram(weights[:, k]) for k in range(m)]
    pull = gq.rows.adjoint(weights * face.residual).T.ravel() + face.penalty
    hessian = free.T @ block_diag(*grams) @ free
    losses = gq.losses(found.delta, face.residual)
    room = gq.bound + gq.slope * gq.level(losses) - losses[gq.constrained]

    def slack_at(step: Array) -> Array:
        change = (free @ step).reshape(m, d).T
        rows = face.side * (face.residual - gq.rows.dot(change))
        return np.concatenate([rows.ravel(), room + face.pulls @ (free @ step)])

    def rows_of(index: Index) -> Array:
        out = np.empty((len(index), free.shape[1]))
        of_data = index < face.side.size
        i, k = np.divmod(index[of_data], m)
        taken = np.zeros((len(i), m, d))
        taken[np.arange(len(i)), k] = face.side[i, k, None] * gq.rows.take(i)
        out[of_data] = taken.reshape(len(i), m * d) @ free
        out[~of_data] = -face.pulls[index[~of_data] - face.side.size] @ free
        return out

    loose = np.concatenate([~face.inside.ravel(), ~face.held])
    step = minimum_by_cuts(hessian, free.T @ pull, loose, slack_at, rows_of)
    if step is None:
        return found, False
    return replace(found, delta=found.delta + (free @ step).reshape(m, d).T), True


def _face(gq: GroupedQuadratic, found: GroupedSolution) -> _Face:
    """The face on which a solution lies."""
    own = gq.group_weights(found.multipliers)[gq.codes, None]
    lower, upper = own * gq.lower, own * gq.upper
    inside = np.minimum(upper - found.dual, found.dual - lower) > INSIDE * (upper - lower)
    side = np.where(found.dual > 0.5 * (lower + upper), 1.0, -1.0)
    slopes = np.where(inside, 0.0, np.where(side > 0, gq.upper, gq.lower))
    pulls = (gq.smooth_slopes(found.delta) + gq.pulls(slopes)).transpose(0, 2, 1)
    pulls = pulls.reshape(gq.n_groups, -1)
    largest = max(float(gq.base[:-1].max(initial=0.0)), gq.worst_weight)
    return _Face(
        gq,
        found.delta,
        gq.residual - gq.rows.dot(found.delta),
        side,
        inside,
        pulls[gq.constrained],
        pulls[-1],
        found.multipliers > _HELD * largest,
    )


def _not_moving(gq: GroupedQuadratic, held: Index) -> Array:
    """Directions of one output that do not move the held rows; a few are tried before all."""
    free = np.eye(gq.rows.n_columns)
    for index in (held[: FEW * len(free)], held):
        free = null_directions(gq.rows.take(index) @ free, free)
        if not free.shape[1]:
            break
    return free
