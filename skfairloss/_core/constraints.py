"""Frozen records of fairness terms, which solvers and the certificate read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skfairloss._core.losses import MixedLoss
from skfairloss._typing import Array, Index

ABSOLUTE_ERROR, SQUARED_ERROR = "absolute_error", "squared_error"
LIMIT = 1e-6  # a weight of 1 is solved as 1 - LIMIT, so that every group keeps some weight


@dataclass(frozen=True)
class GroupLoss:
    """A loss of groups: Σ_k factor_k mean ℓ_j(z_k), with |z|, z² or the mix for ℓ_j.

    Parameters
    ----------
    kind : ABSOLUTE_ERROR or SQUARED_ERROR. None for the mix that is minimised.
    factors : (m,), weights of the outputs. None where all are 1.
    unit : the user's units of the loss in one of the problem's, for messages and multipliers.
    """

    kind: str | None = None
    factors: Array | None = None
    unit: float = 1.0

    def weights(self, mix: MixedLoss, m: int) -> Array:
        """Return the weights of z, |z| and z² / 2 for each output, (3, m)."""
        out, factors = np.zeros((3, m)), 1.0 if self.factors is None else self.factors
        if self.kind is None:
            tilt, steep = 0.5 * (mix.upper + mix.lower), 0.5 * (mix.upper - mix.lower)
            out[:] = np.array([tilt, steep, mix.curvature])[:, None]
        elif self.kind == ABSOLUTE_ERROR:
            out[1] = factors
        else:
            out[2] = 2.0 * factors
        return out

    def values(self, mix: MixedLoss, residual: Array) -> Array:
        """Return the loss of each row, summed over the outputs, (n,), for residuals (n, m)."""
        if self.kind is None:
            losses = mix.value(residual)
        else:
            losses = np.abs(residual) if self.kind == ABSOLUTE_ERROR else residual * residual
        if self.factors is not None:
            return np.asarray(losses @ self.factors)
        return np.asarray(losses[:, 0] if losses.shape[1] == 1 else losses.sum(axis=1))


MIX = GroupLoss()


@dataclass(frozen=True)
class GroupBounds:
    """Bounds on a loss of the groups, in the problem's units.

    Parameters
    ----------
    loss : which.
    values : (G,), bounds on the mean over rows and outputs, infinite where a group has none.
    """

    loss: GroupLoss
    values: Array

    @property
    def groups(self) -> Index:
        """The groups with a bound."""
        return np.flatnonzero(np.isfinite(self.values))


@dataclass(frozen=True)
class GroupCriterion:
    """Group losses in the objective and under bounds.

    The objective becomes m [(1 - γ) L̄ + γ max_g worst loss_g] + penalty, within the bounds; each
    loss is a mean over rows and outputs.

    Parameters
    ----------
    codes : (n,), the group of each row.
    shares : (G,), the groups' shares V_g of the weight.
    worst_weight : γ in [0, 1); 0 without a worst-group term.
    bounds : at most one for each kind of loss.
    labels : names of the groups, for messages.
    worst_loss : the loss whose largest one counts.
    level_loss : the loss that an `EqualizedLoss` is about; ``bounds`` has it. None without one.
    level : t, the largest value that ``bounds`` leaves this loss; infinite before it is chosen.
    """

    codes: Index
    shares: Array
    worst_weight: float
    bounds: tuple[GroupBounds, ...] = ()
    labels: tuple[Any, ...] = ()
    worst_loss: GroupLoss = MIX
    level_loss: GroupLoss | None = None
    level: float = np.inf

    @property
    def is_bounded(self) -> bool:
        """True where any group has a bound."""
        return any(len(bounds.groups) for bounds in self.bounds)

    @property
    def losses(self) -> list[GroupLoss]:
        """The losses that anything is asked of."""
        worst = [self.worst_loss] if self.worst_weight > 0 else []
        return worst + [bounds.loss for bounds in self.bounds]

    @property
    def about_mix(self) -> bool:
        """True where all that is asked is about the mix: multipliers then re-weight rows."""
        return all(loss.kind is None for loss in self.losses)

    def is_levelled(self, bounds: GroupBounds) -> bool:
        """Return True for the bounds on ``level_loss``."""
        return self.level_loss is not None and bounds.loss.kind == self.level_loss.kind

    def at_level(self, t: float) -> GroupCriterion:
        """Return the same with every group's ``level_loss`` at most t."""
        bounds = tuple(
            replace(one, values=np.minimum(one.values, t)) if self.is_levelled(one) else one
            for one in self.bounds
        )
        return replace(self, bounds=bounds, level=t)


@dataclass(frozen=True)
class LinearRows:
    """|target_jk - rows_j · w_k| <= tolerance for every row j and output k.

    Parameters
    ----------
    rows : (q, p).
    target : (q, m).
    tolerance : (m,), 0 for all outputs or for none.
    labels : names of the rows, for messages.
    unit : (m,), the user's units in one of the problem's, for messages.
    """

    rows: Array
    target: Array
    tolerance: Array
    labels: tuple[Any, ...] = ()
    unit: Array | float = 1.0

    @property
    def exact(self) -> bool:
        """True if the rows must hold with equality."""
        return not self.tolerance.any()


def deviations(y: Array, weights: Array) -> Array:
    """Return y less its weighted means, (n, m), which are exactly 0 for a constant output."""
    out = y - y[weights.argmax()]
    out -= weights @ out
    return out
