r"""The narrow waist: a frozen `Problem` goes into a solver, a frozen `Solution` comes out.

    minimise  Σ_k [ Σ_i v_i ℓ(r_ik / c_k) + l1 ‖w_k‖₁ + (l2 / 2) ‖w_k‖² ],   r = y - X w - b.

Without terms that couple the outputs (the columns of y) the sum separates into one problem each.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from skfairloss._basis import Basis
from skfairloss._design import Design
from skfairloss._factor import orthonormal_basis
from skfairloss._typing import Array, Index, Mask
from skfairloss.losses import MixedLoss


@dataclass(frozen=True)
class Problem:
    """A weighted linear regression with the mixed loss and an elastic-net penalty.

    Parameters
    ----------
    design : the n rows of X.
    y : (n, m).
    weights : (n,), positive, summing to 1.
    scale : (m,), the residual scale c of each output, in units of y.
    loss : the loss ℓ.
    l1, l2 : weights of the penalties ‖w‖₁ and ‖w‖² / 2.
    fit_intercept : whether b is free, else 0.
    """

    design: Design
    y: Array
    weights: Array
    scale: Array
    loss: MixedLoss
    l1: float = 0.0
    l2: float = 0.0
    fit_intercept: bool = True

    @property
    def n_outputs(self) -> int:
        """Number of columns of y."""
        return self.y.shape[1]

    @property
    def ridge(self) -> float:
        """What l2 adds to the second moments of X, in squared units of y over c's typical size."""
        return self.l2 * float(np.median(self.scale)) ** 2

    @cached_property
    def basis(self) -> Basis:
        """Orthonormal coordinates of the weighted, ridge-augmented design."""
        return orthonormal_basis(self.design, self.weights, self.fit_intercept, self.ridge)

    def residual(self, coef: Array, intercept: Array) -> Array:
        """r = y - X w - b, shape (n, m)."""
        return self.y - self.design.predict(coef, intercept)

    def penalty(self, coef: Array) -> Array:
        """l1 ‖w_k‖₁ + (l2 / 2) ‖w_k‖² for each output, shape (m,)."""
        return self.l1 * np.abs(coef).sum(axis=0) + 0.5 * self.l2 * (coef * coef).sum(axis=0)

    def loss_values(self, residual: Array) -> Array:
        """Σ_i v_i ℓ(r_ik / c_k) for each output, shape (m,)."""
        return self.weights @ self.loss.value(residual / self.scale)

    def objective(self, coef: Array, intercept: Array) -> Array:
        """Loss plus penalty of each output, shape (m,)."""
        return self.loss_values(self.residual(coef, intercept)) + self.penalty(coef)


@dataclass(frozen=True)
class Certificate:
    """How far a point is from optimal, per output, whoever computed it.

    Parameters
    ----------
    objective : (m,), the attained loss plus penalty.
    gap : (m,), an upper bound on objective - optimum.
    infeasibility : (m,), largest relative violation of a constraint.
    certified : (m,) of bool, gap and infeasibility within the tolerance asked for.
    """

    objective: Array
    gap: Array
    infeasibility: Array
    certified: Mask


@dataclass(frozen=True)
class Solution:
    """What a solver returns.

    Parameters
    ----------
    coef : (p, m).
    intercept : (m,).
    dual : (n, m), z = ℓ'(r / c) at the optimum, an element of the subdifferential at a kink.
    n_iter : (m,), iterations spent on each output.
    tie_resolved : (m,) of bool, False where the optimum is not unique and the one that the tie
        rule names was not reached.
    """

    coef: Array
    intercept: Array
    dual: Array
    n_iter: Index
    tie_resolved: Mask
