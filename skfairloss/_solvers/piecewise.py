r"""The one form that every kinked fit is brought to, in basis coordinates, relative to a start.

    minimise over δ   ½ δᵀHδ - gᵀδ + Σ_i φ_i(r_i - A_i δ),
    φ_i(r) = upper_i r for r ≥ 0, lower_i r for r < 0,      lower_i ≤ 0 ≤ upper_i.

Rows of the data with an absolute loss, coefficients under an L1 penalty and one-sided constraints
are all rows of this kind; squared losses and ridge penalties are H and g. The dual of row i is
a_i in [lower_i, upper_i]; stationarity reads Hδ - g = Aᵀa.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from skfairloss._design.rows import Rows
from skfairloss._typing import Array, Mask


@dataclass(frozen=True)
class PiecewiseQuadratic:
    """The problem above; ``rows`` holds A, ``residual`` is r, ``linear`` is g.

    ``constant`` makes the sum the objective of the fit, so that gaps can be told relative to it.
    ``unit`` is the size that residuals of a trivial fit have: nothing smaller than a share of it
    is taken for the scale of the problem.
    """

    rows: Rows
    residual: Array
    lower: Array
    upper: Array
    hessian: Array
    linear: Array
    constant: float = 0.0
    unit: float = 0.0

    @cached_property
    def width(self) -> Array:
        """Length of each dual interval, shape (n_rows,)."""
        return self.upper - self.lower

    @cached_property
    def aim(self) -> Array:
        """Complementarity that suits each row, relative to the mean under the widths: (n_rows,)."""
        root = np.sqrt(self.width)
        return self.width.sum() / (root.sum() * root)

    @cached_property
    def curved(self) -> bool:
        """True where there is a quadratic."""
        return bool(self.hessian.any())

    @cached_property
    def residual_scale(self) -> float:
        """Mean of |r| at the start under the dual widths: the size that residuals have."""
        width = self.width
        mean = float(width @ np.abs(self.residual) / max(width.sum(), 1e-300))
        return max(mean, 1e-6 * self.unit)

    @cached_property
    def reach(self) -> float:
        """Bound on ‖δ‖ of the optimum, which a violation of stationarity is charged with.

        In orthonormal coordinates ‖δ‖ is the size of what predictions change by. Under an absolute
        loss they change by no more than twice the objective; rows near 0 alone do not show it.
        """
        objective = self.constant + float(self.kink_values(self.residual).sum())
        return max(self.residual_scale, objective)

    def shifted(self, delta: Array) -> PiecewiseQuadratic:
        """The same problem relative to δ."""
        return replace(
            self,
            residual=self.residual - self.rows.dot(delta),
            linear=self.linear - self.hessian @ delta,
            constant=self.constant + self._smooth(delta),
        )

    def kink_values(self, residual: Array) -> Array:
        """φ_i(r_i)."""
        return np.maximum(self.upper * residual, self.lower * residual)

    def objective(self, delta: Array) -> float:
        """The sum at δ, constant included."""
        return self.kinked_objective(delta, self.residual - self.rows.dot(delta))

    def kinked_objective(self, delta: Array, residual: Array) -> float:
        """The same where the residuals at δ are known."""
        return self.constant + self._smooth(delta) + float(self.kink_values(residual).sum())

    def _smooth(self, delta: Array) -> float:
        return float(0.5 * delta @ (self.hessian @ delta) - self.linear @ delta)

    def gap(self, delta: Array, a: Array) -> float:
        """Duality gap of (δ, a), with what violates stationarity charged."""
        residual = self.residual - self.rows.dot(delta)
        a = np.clip(a, self.lower, self.upper)
        slack = np.maximum(self.kink_values(residual) - a * residual, 0.0).sum()
        defect = self.hessian @ delta - self.linear - self.rows.adjoint(a)
        return float(slack + np.linalg.norm(defect) * self.reach)


@dataclass(frozen=True)
class PiecewiseSolution:
    """δ, the duals of the rows, which rows were held at r = 0, the gap and the iterations spent.

    ``polished`` tells an exact optimum for the rows held, ``stopped`` an end by ``on_iteration``.
    """

    delta: Array
    dual: Array
    active: Mask
    gap: float
    n_iter: int
    polished: bool
    stopped: bool = False
