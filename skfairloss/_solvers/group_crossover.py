r"""Crossover for fits whose group losses are constrained: Newton's method on active equations.

Given the rows at their kink (Z, per output) and the constraints that bind, what is left of the
optimality conditions is a smooth system in δ, the duals of Z, the multipliers and t:

    ∇_δ Lagrangian = 0,   A_Z δ = r_Z,   F_g(j)(δ) = bound_j + slope_j t,   slopeᵀμ = γ.

It is linear where the loss has no squared part and no ridge, else Newton's method converges
quadratically (Nocedal & Wright 2006, section 18.1). Duals and multipliers of everything else are
fixed at the ends of their intervals and at 0.
"""

from __future__ import annotations

import numpy as np

from skfairloss._solvers.grouped import GroupedQuadratic
from skfairloss._typing import Array, Mask

_NEWTON_STEPS = 4  # digits double with each, from the gap at which crossover is tried
_LARGE = 600  # unknowns from which the dense equations are not worth their cost


def group_polish(
    gq: GroupedQuadratic, delta: Array, multipliers: Array, dual: Array, active: Mask, binding: Mask
) -> tuple[Array, Array, Array] | None:
    """New (δ, μ, a) for given active rows (N, m) and binding constraints (J,); None if large."""
    d, m = delta.shape
    rows_at = [np.flatnonzero(active[:, k]) for k in range(m)]
    if d * m + sum(map(len, rows_at)) + int(binding.sum()) > _LARGE:
        return None
    blocks = [gq.rows.take(index) for index in rows_at]
    own = gq.group_weights(multipliers)[gq.codes, None]
    middle = 0.5 * own * (gq.upper + gq.lower)
    side = np.where(dual > middle, gq.upper, gq.lower)  # φ' of the rows that are not active
    side[active] = 0.0
    multipliers = np.where(binding, multipliers, 0.0)
    dual = dual.copy()
    t = gq.level(gq.losses(delta))
    for _ in range(_NEWTON_STEPS):
        own = gq.group_weights(multipliers)[gq.codes, None]
        dual = np.where(active, dual, own * side)
        step = _newton(gq, delta, multipliers, dual, t, side, rows_at, blocks, binding)
        if step is None:
            return None
        change, at_kink, more, rise = step
        delta, t = delta + change, t + rise
        multipliers = multipliers.copy()
        multipliers[binding] += more
        for k, index in enumerate(rows_at):
            dual[index, k] += at_kink[k]
    own = gq.group_weights(multipliers)[gq.codes, None]
    return delta, np.maximum(multipliers, 0.0), np.where(active, dual, own * side)


def _newton(
    gq: GroupedQuadratic,
    delta: Array,
    multipliers: Array,
    dual: Array,
    t: float,
    side: Array,
    rows_at: list[Array],
    blocks: list[Array],
    binding: Mask,
) -> tuple[Array, list[Array], Array, float] | None:
    """Changes of δ, of the duals at the kinks, of the binding multipliers and of t."""
    d, m = delta.shape
    weights = gq.group_weights(multipliers)
    smooth = np.einsum("g,gij->ij", weights, gq.grams)
    pulls = gq.smooth_slopes(delta) + gq.pulls(side)
    ends = np.cumsum([d * m, *map(len, rows_at)])
    n_binding = int(binding.sum())
    sloped = bool(gq.slope.any())
    size = int(ends[-1]) + n_binding + sloped
    matrix, rhs = np.zeros((size, size)), np.zeros(size)
    residual = gq.residual - gq.rows.dot(delta)
    rest = gq.stationarity(delta, multipliers, dual)
    mu = slice(int(ends[-1]), int(ends[-1]) + n_binding)
    for k in range(m):
        here, kink = slice(k * d, (k + 1) * d), slice(int(ends[k]), int(ends[k + 1]))
        matrix[here, here] = gq.hessian[k] + gq.curvature[k] * smooth
        matrix[here, kink], matrix[kink, here] = -blocks[k].T, blocks[k]
        pull = pulls[gq.constrained[binding], :, k]
        matrix[here, mu], matrix[mu, here] = -pull.T, pull
        rhs[here], rhs[kink] = -rest[:, k], residual[rows_at[k], k]
    excess = gq.losses(delta)[gq.constrained] - gq.bound - gq.slope * t
    rhs[mu] = excess[binding]
    if sloped:
        matrix[mu, -1] = matrix[-1, mu] = gq.slope[binding]
        rhs[-1] = gq.worst_weight - gq.slope @ multipliers
    unknown = _solve(matrix, rhs)
    if unknown is None:
        return None
    change = unknown[: d * m].reshape(m, d).T
    at_kink = [unknown[ends[k] : ends[k + 1]] for k in range(m)]
    return change, at_kink, unknown[mu], float(unknown[-1]) if sloped else 0.0


def _solve(matrix: Array, rhs: Array) -> Array | None:
    """A solution of the equations, of least norm where rows at their kink are dependent."""
    if not len(rhs):
        return rhs
    try:
        unknown = np.linalg.solve(matrix, rhs)
        if np.abs(matrix @ unknown - rhs).max() <= 1e-9 * max(float(np.abs(rhs).max()), 1e-300):
            return unknown
    except np.linalg.LinAlgError:
        pass
    try:
        return np.linalg.lstsq(matrix, rhs, rcond=1e-13)[0]
    except np.linalg.LinAlgError:
        return None
