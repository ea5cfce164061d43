"""Records between fairness terms and a fit: data that terms see, requests, multipliers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from skfairloss._core.constraints import ABSOLUTE_ERROR, MIX, GroupLoss, LinearRows, deviations
from skfairloss._design.design import Design
from skfairloss._inputs.groups import Groups, group_means
from skfairloss._typing import Array


@dataclass(frozen=True)
class GroupedData:
    """Training rows of positive weight, as terms see them.

    Parameters
    ----------
    groups : the groups of the rows.
    design : X.
    y : (n, m), targets in units of the residual scale.
    weights : (n,), summing to 1.
    scale : (m,), the residual scale of each output, in units of y.
    """

    groups: Groups
    design: Design
    y: Array
    weights: Array
    scale: Array

    @property
    def shares(self) -> Array:
        """The groups' shares of the weight, (G,)."""
        return np.bincount(self.groups.codes, weights=self.weights)

    @property
    def feature_differences(self) -> Array:
        """Means of the columns of X in each group less those of all rows, (G, p)."""
        groups = self.groups
        return self.design.mean_differences(self.weights, groups.codes, groups.n_groups)

    @property
    def target_differences(self) -> Array:
        """Means of y in each group less those of all rows, (G, m), in units of the scale."""
        columns = self._deviations.T
        return np.column_stack([group_means(self.groups, y, self.weights) for y in columns])

    @property
    def spread(self) -> Array:
        """Mean of |y - mean y| of each output, (m,), in units of the residual scale."""
        return np.asarray(self.weights @ np.abs(self._deviations))

    @property
    def _deviations(self) -> Array:
        """y less its means, (n, m), in units of the residual scale; 0 for a constant output."""
        return deviations(self.y, self.weights)

    def loss(self, name: str | None) -> GroupLoss:
        """Return a loss of groups in units of y: |r_k| is c_k |z_k|, r_k² is c_k² z_k²."""
        if name is None:
            return MIX
        unit = float(self.scale.max())  # nothing overflows that need not
        factors = self.scale / unit
        if name == ABSOLUTE_ERROR:
            return GroupLoss(name, factors, unit)
        with np.errstate(over="ignore"):
            return GroupLoss(name, factors * factors, float(np.square(unit)))

    def in_units(self, number: Array | float, name: str | None) -> Any:
        """Return a number of the user's in the unit of such a loss in the problem."""
        if name is None:
            return number
        unit = float(self.scale.max())
        return number / unit if name == ABSOLUTE_ERROR else np.square(np.sqrt(number) / unit)


@dataclass(frozen=True)
class Request:
    """One term in the form that solvers read.

    Parameters
    ----------
    worst : weight of the largest group loss in the objective.
    loss : the loss of groups that the term is about.
    bounds : (G,), bounds on it, infinite for groups without. None for no bounds.
    spread : largest spread of it over the groups. None where any will do.
    linear : rows in the coefficients with bounds. None without.
    """

    worst: float = 0.0
    loss: GroupLoss = MIX
    bounds: Array | None = None
    spread: float | None = None
    linear: LinearRows | None = None


@dataclass(frozen=True)
class FoundMultipliers:
    """Multipliers of all terms of a fit, per unit of what the user asked for.

    Parameters
    ----------
    worst : (G,), of the losses against the largest one.
    bounds : (G,) for each loss that has bounds, by its name.
    level : (G,), of the losses against the largest one that an `EqualizedLoss` leaves.
    linear : those of the linear rows of the terms in their order, (G, m); a term takes its own.
    """

    worst: Array
    bounds: Mapping[str | None, Array]
    level: Array
    linear: Iterator[Array]
