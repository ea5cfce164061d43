r"""The one form that every kinked fit is brought to, in basis coordinates, relative to a start.

    minimise over δ, t   ½ δᵀHδ - gᵀδ + Σ_i φ_i(r_i - A_i δ) + γ t + Σ_g ⟨base_g, S_g(δ)⟩
    subject to           ⟨weights_j, S_g(j)(δ)⟩ - lines_jᵀδ <= bound_j + slope_j t     for each j,
    φ_i(r) = upper_i r for r >= 0, lower_i r for r < 0,      lower_i <= 0 <= upper_i.

Rows of the data with an absolute loss, coefficients under an L1 penalty and one-sided constraints
are all rows of this kind; squared losses and ridge penalties are H and g. The dual of row i is
a_i in [lower_i, upper_i]; stationarity reads Hδ - g = Aᵀa.

The second line, and what it adds to the first, is a `Coupling`: it ties groups of rows, and the m
outputs, together. Without one a problem has one output, and its arrays are flat. With one, every
array has a last axis for the outputs, H is (m, d, d), and a plain problem is left once multipliers
are fixed: the Lagrangian (`KinkedQuadratic.lagrangian`). A constraint only re-weights rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from skfairloss._cached import cached_property
from skfairloss._core.solution import Measured
from skfairloss._design.rows import Rows, StackedRows
from skfairloss._solvers.coupling import Coupling
from skfairloss._solvers.tolerances import TINY
from skfairloss._typing import Array, Mask


@dataclass(frozen=True)
class KinkedQuadratic:
    """The problem above; ``rows`` holds A, ``residual`` is r, ``linear`` is g.

    Parameters
    ----------
    rows : A, (N, d), the same for every output.
    residual : (N,), or (N, m) beside a coupling.
    lower, upper : of the shape of ``residual``, slopes of φ beside what groups add to them.
    hessian, linear : (d, d) and (d,), or (m, d, d) and (d, m).
    constant : makes the sum the objective of the fit, so that gaps can be told relative to it.
    unit : the size that residuals of a trivial fit have: nothing smaller than a share of it is
        taken for the scale of the problem.
    coupling : groups of rows and constraints on their losses. None where there are none.
    """

    rows: Rows
    residual: Array
    lower: Array
    upper: Array
    hessian: Array
    linear: Array
    constant: float = 0.0
    unit: float = 0.0
    coupling: Coupling | None = None

    @cached_property
    def width(self) -> Array:
        """Length of each dual interval, of the shape of ``residual``."""
        return self.upper - self.lower

    @cached_property
    def barrier_weight(self) -> Array:
        """Complementarity that suits each row: the root of its width, with the widths' sum."""
        root = np.sqrt(self.width)
        root *= self.total_width / max(float(root.sum()), TINY)
        return root

    @cached_property
    def total_width(self) -> float:
        """Sum of the widths."""
        return float(self.width.sum())

    @cached_property
    def curved(self) -> bool:
        """True where there is a quadratic."""
        return bool(self.hessian.any()) or (self.coupling is not None and self.coupling.curved)

    @cached_property
    def residual_scale(self) -> float:
        """Mean of |r| at the start under the dual widths: the size that residuals have."""
        if not self.residual.size:
            return self.unit
        width = self.width
        if self.coupling is not None:  # what groups add is not known yet
            width = width + self.coupling.share[:, None]
        mean = float(np.vdot(width, np.abs(self.residual)) / max(width.sum(), TINY))
        return max(mean, 1e-6 * self.unit)

    @cached_property
    def reach(self) -> float:
        """A bound on how far the optimum is: the charge for a violation of stationarity.

        In orthonormal coordinates ‖δ‖ is the size of what predictions change by. Under an absolute
        loss they change by no more than twice the objective; rows near 0 alone do not show it.
        """
        if self.coupling is not None:
            return self.unit
        objective = self.constant + float(self.kink_values(self.residual).sum())
        return max(self.residual_scale, objective)

    def lagrangian(self, multipliers: Array | None) -> KinkedQuadratic:
        """Return the plain problem that is left under fixed multipliers (J,), bounds aside."""
        if self.coupling is None or multipliers is None:
            return self
        coupling, weights = self.coupling, self.coupling.group_weights(multipliers)
        lower, upper = coupling.interval(weights)
        hessian, linear = coupling.quadratic(weights, multipliers)
        return replace(
            self,
            lower=self.lower + lower,
            upper=self.upper + upper,
            hessian=self.hessian + hessian,
            linear=self.linear + linear,
            constant=self.constant + float((weights * coupling.constants).sum()),
            coupling=None,
        )

    def shifted(self, delta: Array, residual: Array | None = None) -> KinkedQuadratic:
        """Return the same problem relative to δ; residuals that are known spare a pass."""
        return replace(
            self,
            residual=self.residual_at(delta) if residual is None else residual,
            linear=self.linear - self.curvature_times(delta),
            constant=self.constant + self._smooth(delta),
            coupling=None if self.coupling is None else self.coupling.shifted(delta),
        )

    def with_rows(
        self,
        rows: Rows,
        residual: Array,
        lower: Array,
        upper: Array,
        coupling: Coupling | None = None,
    ) -> KinkedQuadratic:
        """Return the same problem with more rows before its own; ``coupling`` has them as well."""
        if self.rows.n_rows:
            rows = StackedRows(rows, self.rows)
            parts = (residual, self.residual), (lower, self.lower), (upper, self.upper)
            residual, lower, upper = (np.concatenate(part) for part in parts)
        return replace(
            self, rows=rows, residual=residual, lower=lower, upper=upper, coupling=coupling
        )

    def curvature_times(self, delta: Array) -> Array:
        """Hδ, of the shape of δ."""
        if delta.ndim == 1:
            product: Array = self.hessian @ delta
            return product
        return (self.hessian @ delta.T[:, :, None])[:, :, 0].T

    def residual_at(self, delta: Array) -> Array:
        """r - Aδ, of the shape of ``residual``."""
        return self.residual - self.rows.dot(delta)

    def kink_values(self, residual: Array) -> Array:
        """φ_i(r_i)."""
        return np.maximum(self.upper * residual, self.lower * residual)

    def ends(self, above: Mask) -> Array:
        """Return the end of each dual interval that rows above their kink have, or below."""
        return np.where(above, self.upper, self.lower)

    def dual_residual(self, delta: Array, dual: Array) -> Array:
        """Hδ - g - Aᵀa, of the shape of δ."""
        return self.curvature_times(delta) - self.linear - self.rows.adjoint(dual)

    def objective(self, delta: Array) -> float:
        """Return the objective at δ, with the smallest t that the constraints allow."""
        return self.kinked_objective(delta, self.residual_at(delta))

    def kinked_objective(self, delta: Array, residual: Array) -> float:
        """Return the same where the residuals at δ are known."""
        own = self.own_objective(delta, residual)
        return own if self.coupling is None else own + self.coupling.objective(delta, residual)

    def own_objective(self, delta: Array, residual: Array) -> float:
        """Return the same without what a coupling adds."""
        smooth = self.constant + self._smooth(delta)
        if self.coupling is not None and not self._kinked:
            return smooth
        return smooth + float(self.kink_values(residual).sum())

    @cached_property
    def _kinked(self) -> bool:
        """True where any row has a kink beside what groups add to it."""
        return bool(self.width.any())

    def _smooth(self, delta: Array) -> float:
        return float(np.vdot(delta, 0.5 * self.curvature_times(delta) - self.linear))

    def gap(self, delta: Array, dual: Array, multipliers: Array | None = None) -> float:
        """Return the duality gap of (δ, a, μ), with what violates optimality conditions charged.

        Stationarity is charged at the size of what predictions may change by, a bound at 1 and its
        multiplier.
        """
        return self.measured(delta, dual, multipliers)[0]

    def measured(
        self, delta: Array, dual: Array, multipliers: Array | None = None
    ) -> tuple[float, float, Array]:
        """Return the duality gap of (δ, a, μ), the objective, and a put into its intervals."""
        residual, here = self.residual_at(delta), self.lagrangian(multipliers)
        dual = np.clip(dual, here.lower, here.upper)
        kinks = here.kink_values(residual)
        slack = np.maximum(kinks - dual * residual, 0.0).sum()
        rest = float(np.linalg.norm(here.dual_residual(delta, dual)))
        gap = float(slack + rest * self.reach)
        if self.coupling is None or multipliers is None:
            return gap, self.constant + self._smooth(delta) + float(kinks.sum()), dual
        sums = self.coupling.sums(delta, residual)
        losses = self.coupling.losses_of(sums, delta)
        own = self.own_objective(delta, residual)
        objective = own + self.coupling.objective_of(sums, losses)
        return gap + self.coupling.gap(losses, multipliers), objective, dual

    def exact_in_every_group(self, delta: Array, dual: Array, multipliers: Array) -> bool:
        """Return True where each group's rows are complementary, however little it weighs."""
        if self.coupling is None:
            return True
        residual, here = self.residual_at(delta), self.lagrangian(multipliers)
        kinks = here.kink_values(residual)
        slack = kinks - np.clip(dual, here.lower, here.upper) * residual
        return self.coupling.negligible(slack, kinks, here.width, self.unit)


@dataclass(frozen=True)
class KinkedSolution:
    """A point with its duals and its gap.

    Parameters
    ----------
    delta : δ, (d,) or (d, m).
    dual : a, of the shape of the residuals.
    active : of the same shape, rows held at r = 0.
    gap : the duality gap, with violations charged.
    n_iter : iterations spent.
    polished : whether it is the exact optimum for the rows held.
    objective : with the smallest t.
    multipliers : (J,), of the constraints.
    stopped : whether ``on_iteration`` ended the work.
    measured : what the certificate's pass found of it. None where it was not made.
    """

    delta: Array
    dual: Array
    active: Mask
    gap: float
    n_iter: int
    polished: bool
    objective: float
    multipliers: Array
    stopped: bool = False
    measured: Measured | None = None
