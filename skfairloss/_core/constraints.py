"""Frozen records of fairness terms, which solvers and the certificate read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skfairloss._typing import Array, Index

LIMIT = 1e-6  # a weight of 1 is solved as 1 - LIMIT, so that every group keeps some weight


@dataclass(frozen=True)
class GroupCriterion:
    """Group losses in the objective and under bounds; L̄_g is the mean loss over rows and outputs.

    The objective becomes m [(1 - γ) L̄ + γ max_g L̄_g] + penalty, subject to L̄_g <= bound_g.

    Parameters
    ----------
    codes : (n,), the group of each row.
    shares : (G,), the groups' shares V_g of the weight.
    worst_weight : γ in [0, 1); 0 without a worst-group term.
    bounds : (G,), infinite where a group has none.
    labels : names of the groups, for messages.
    """

    codes: Index
    shares: Array
    worst_weight: float
    bounds: Array
    labels: tuple[Any, ...] = ()

    @property
    def bounded(self) -> Index:
        """The groups with a bound."""
        return np.flatnonzero(np.isfinite(self.bounds))

    def group_weights(self, worst: Array, bound: Array) -> Array:
        """Return (1 - γ) V_g + multipliers, (G,)."""
        return (1.0 - self.worst_weight) * self.shares + worst + bound


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
