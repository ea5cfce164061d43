r"""Group losses as constraints, in basis coordinates, relative to a start.

With F_g the mean loss of group g summed over the outputs,

    F_g(δ) = constant_g + Σ_k [ ½ curvature_k δ_kᵀ H_g δ_k - gradient_gkᵀ δ_k ]
                        + Σ_k Σ_{i in g} φ_ik(r_ik - A_i δ_k),

the problem is

    minimise over δ, t    Σ_g base_g F_g(δ) + γ t + Σ_k [ ½ δ_kᵀ H δ_k - linear_kᵀ δ_k ]
    subject to            F_g(j)(δ) <= bound_j + slope_j t          for each constraint j:

slope 1 and bound 0 for the worst group, slope 0 for a bounded one.

Rows that belong to no group (an L1 penalty, a parity of means) are collected in one more group,
the last, which has weight 1 in the objective and no constraint. For fixed multipliers μ the
Lagrangian is an ordinary fit with the group weights base + μ: a constraint only re-weights rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

import numpy as np

from skfairloss._design.rows import DenseRows, Membership, Rows
from skfairloss._typing import Array, Index


@dataclass(frozen=True)
class GroupedQuadratic:
    """The problem above, for m outputs, G groups (the last without constraint) and J constraints.

    Parameters
    ----------
    rows : A, (N, d), the same for every output.
    residual : (N, m), at the start.
    lower, upper : (N, m), slopes of φ; a row's dual interval is these times its group's weight.
    codes : (N,), the group of each row.
    curvature : (m,); grams : (G, d, d); gradients : (G, d, m); constants : (G,).
    hessian : (m, d, d); linear : (d, m); constant : what is smooth and belongs to no group.
    base : (G,), weights of the groups in the objective.
    constrained : (J,), the group of each constraint.
    bound, slope : (J,).
    worst_weight : γ; positive if any slope is.
    size : the size that residuals of the data have.
    """

    rows: Rows
    residual: Array
    lower: Array
    upper: Array
    codes: Index
    curvature: Array
    grams: Array
    gradients: Array
    constants: Array
    hessian: Array
    linear: Array
    constant: float
    base: Array
    constrained: Index
    bound: Array
    slope: Array
    worst_weight: float
    size: float

    @property
    def n_groups(self) -> int:
        """G."""
        return len(self.base)

    @cached_property
    def groups(self) -> Membership:
        """The groups of the rows."""
        return Membership(self.codes, self.n_groups)

    def pulls(self, a: Array) -> Array:
        """Σ of a_ik A_i over the rows of each group, (G, d, m)."""
        if not self.rows.n_rows:
            return np.zeros_like(self.gradients)
        sums = [self.rows.adjoint_by_group(column, self.groups) for column in a.T]
        return np.stack(sums, axis=2)

    def group_weights(self, multipliers: Array) -> Array:
        """base + μ, (G,)."""
        out = self.base.copy()
        np.add.at(out, self.constrained, multipliers)
        return out

    def shifted(self, delta: Array, residual: Array | None = None) -> GroupedQuadratic:
        """Return the same problem relative to δ; ``residual`` (N, m) spares a pass if known."""
        return replace(
            self,
            residual=self.residual - self.rows.dot(delta) if residual is None else residual,
            gradients=self.smooth_slopes(delta),
            constants=self.smooth_losses(delta),
            linear=self.linear - self._own_slopes(delta),
            constant=self.own_objective(delta),
        )

    def taken(self, index: Index) -> GroupedQuadratic:
        """The same problem with some of its rows only, held in memory."""
        return replace(
            self,
            rows=DenseRows(self.rows.take(index)),
            residual=self.residual[index],
            lower=self.lower[index],
            upper=self.upper[index],
            codes=self.codes[index],
        )

    def smooth_losses(self, delta: Array) -> Array:
        """The part of F_g without kinks, (G,)."""
        moved = np.einsum("gij,jk->gik", self.grams, delta)
        quadratic = 0.5 * np.einsum("gik,ik,k->g", moved, delta, self.curvature)
        return self.constants + quadratic - np.einsum("gik,ik->g", self.gradients, delta)

    def smooth_slopes(self, delta: Array) -> Array:
        """Minus the gradient of the part of F_g without kinks, (G, d, m)."""
        return self.gradients - self.curvature * np.einsum("gij,jk->gik", self.grams, delta)

    def losses(self, delta: Array, residual: Array | None = None) -> Array:
        """F_g, (G,); the residuals at δ are computed unless given."""
        if residual is None:
            residual = self.residual - self.rows.dot(delta)
        kinks = np.where(residual > 0, self.upper, self.lower) * residual
        return self.smooth_losses(delta) + self.by_group(kinks)

    def by_group(self, values: Array) -> Array:
        """Sums of (N, m) values over the rows of each group and the outputs, (G,)."""
        rows = values[:, 0] if values.shape[1] == 1 else values.sum(axis=1)
        return np.bincount(self.codes, rows, self.n_groups)

    def own_objective(self, delta: Array) -> float:
        """The part of the objective that is smooth and belongs to no group."""
        moved = 0.5 * self._own_slopes(delta) - self.linear
        return self.constant + float((moved * delta).sum())

    def level(self, losses: Array) -> float:
        """The smallest t that the losses F_g allow; 0 where no constraint has a slope."""
        sloped = self.slope > 0
        if not sloped.any():
            return 0.0
        excess = losses[self.constrained] - self.bound
        return float((excess[sloped] / self.slope[sloped]).max())

    def objective(self, delta: Array) -> float:
        """The objective at δ with the smallest t."""
        return self.merit(delta, self.residual - self.rows.dot(delta), 0.0)

    def merit(self, delta: Array, residual: Array, price: float) -> float:
        """The objective at δ, where the residuals are known, plus violations times a price."""
        losses = self.losses(delta, residual)
        t = self.level(losses)
        excess = losses[self.constrained] - self.bound - self.slope * t
        violated = price * float(np.maximum(excess, 0.0).sum()) if price else 0.0
        own = self.own_objective(delta) + violated
        return float(self.base @ losses) + self.worst_weight * t + own

    def stationarity(self, delta: Array, multipliers: Array, dual: Array) -> Array:
        """Gradient of the Lagrangian in δ, (d, m), for duals a of the rows (N, m)."""
        weights = self.group_weights(multipliers)
        out = self._own_slopes(delta) - self.linear
        out -= combined(weights, self.smooth_slopes(delta))
        return out - self.rows.adjoint(dual)

    def _own_slopes(self, delta: Array) -> Array:
        """Hδ of each output, (d, m)."""
        return (self.hessian @ delta.T[:, :, None])[:, :, 0].T

    def gap(self, delta: Array, multipliers: Array, dual: Array) -> float:
        """Duality gap of a point, with what violates the optimality conditions charged.

        Every violation is charged at the size of the residuals, or of the multiplier.
        """
        residual = self.residual - self.rows.dot(delta)
        own = self.group_weights(multipliers)[self.codes, None]
        dual = np.clip(dual, own * self.lower, own * self.upper)
        kinks = np.where(residual > 0, self.upper, self.lower) * residual
        losses = self.smooth_losses(delta) + self.by_group(kinks)
        t = self.level(losses)
        excess = losses[self.constrained] - self.bound - self.slope * t
        slack = float(np.maximum(own * kinks - dual * residual, 0.0).sum())
        slack += float((multipliers * np.abs(excess)).sum() + np.maximum(excess, 0.0).sum())
        rest = float(np.linalg.norm(self.stationarity(delta, multipliers, dual)))
        missing = abs(self.worst_weight - float(self.slope @ multipliers))
        return slack + rest * self.size + missing * t


def combined(weights: Array, parts: Array) -> Array:
    """Σ_g weights_g parts_g, for parts (G, ...)."""
    shape = parts.shape[1:]
    total: Array = (weights @ parts.reshape(len(weights), prod(shape))).reshape(shape)
    return total
