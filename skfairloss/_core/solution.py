"""Frozen records of a fit: duals, points, solutions, and what the certificate finds of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skfairloss._core.losses import MixedLoss
from skfairloss._typing import Array, Index, Mask


@dataclass(frozen=True)
class Verdict:
    """Bounds on the distance of a point from the optimum, for each output.

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
class Certificate(Verdict):
    """The same with the residuals at the point, (n, m)."""

    residual: Array


@dataclass(frozen=True)
class Multipliers:
    """Lagrange multipliers of the constraints of a problem.

    Parameters
    ----------
    worst : (G,), of the losses against the largest one, summing to the worst-group weight.
    bounds : (G,) for each of the criterion's bounds.
    linear : for each `LinearRows` (q, m), positive where the row is held from above.
    """

    worst: Array
    bounds: tuple[Array, ...]
    linear: tuple[Array, ...]


class Slopes:
    """Duals z = ℓ'(r) of the model itself, where no row has a kink: nothing to be kept."""


@dataclass(frozen=True)
class Measured:
    """Sums over all rows of models and their duals, an entry for each output.

    Parameters
    ----------
    coef, intercept, dual : (p, m), (m,) and (n, m), or `Slopes`: what was measured.
    residual : (n, m).
    loss : (m,), Σ v ℓ(r).
    rows : (m,), Σ v [ℓ(r) + ℓ*(z) - z r] for duals z.
    total, gradient : (m,) and (p, m), 1ᵀu and Xᵀu for u = v z.
    under : ℓ.
    """

    coef: Array
    intercept: Array
    dual: Array | Slopes
    residual: Array
    loss: Array
    rows: Array
    total: Array
    gradient: Array
    under: MixedLoss

    def is_of(self, coef: Array, intercept: Array, dual: Array | Slopes | None) -> bool:
        """Return whether it is of these models, and of this very array of duals."""
        same = np.array_equal(self.coef, coef) and np.array_equal(self.intercept, intercept)
        return same and dual is self.dual


@dataclass(frozen=True)
class Start:
    """Models that are thought to be close to the optimum.

    Parameters
    ----------
    coef, intercept : (p, m) and (m,).
    measured : what was found of them where they are the optimum under another mix, for the same
        rows, targets and weights; None where nothing is known.
    multipliers : of the constraints where they are the optimum under other ones; None where there
        were none.
    """

    coef: Array
    intercept: Array
    measured: Measured | None = None
    multipliers: Multipliers | None = None


@dataclass(frozen=True)
class Point:
    """A model with its duals: what `skfairloss._core.certificate.certify` reads.

    Parameters
    ----------
    coef : (p, m).
    intercept : (m,).
    dual : (n, m), z = ℓ'(r), an element of the subdifferential at a kink; or `Slopes`. None where
        no duals are known.
    multipliers : of the constraints. None without any.
    measured : what the certificate's pass found of this very point. None where it was not made.
    """

    coef: Array
    intercept: Array
    dual: Array | Slopes | None
    multipliers: Multipliers | None = None
    measured: Measured | None = None


@dataclass(frozen=True, kw_only=True)
class Solution(Point):
    """The result of a solver: a point, and how it was reached.

    Parameters
    ----------
    n_iter : (m,), iterations spent on each output.
    tie_resolved : (m,) of bool, False where the optimum is not unique and the one that the tie
        rule names was not reached.
    stopped : (m,) of bool, True where ``on_iteration`` ended the work.
    """

    n_iter: Index
    tie_resolved: Mask
    stopped: Mask
