"""Exact fits of one data set under random weights, each started close to where it ends.

The weights of rows, or of whole clusters, are multiplied by independent standard exponential
numbers: no row is copied and none is lost, so that every column keeps its values (D. Rubin, "The
Bayesian bootstrap", Annals of Statistics 9 (1981); for quantiles X. Feng, X. He & J. Hu, "Wild
bootstrap for quantile regression", Biometrika 98 (2011); A. Hagemann, "Cluster-robust bootstrap
inference in quantile regression models", Journal of the American Statistical Association 112
(2017)).
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skfairloss._core.solution import Multipliers
from skfairloss._estimator.fitting import fit_model
from skfairloss._estimator.training import Training
from skfairloss._inputs.place import fitting_at
from skfairloss._typing import Array, Index
from skfairloss.exceptions import InfeasibleFairnessError, UnmetFairnessWarning

# Rows whose residuals tell the density at 0: a start is as good with a third of that or twice it.
_NEAR = 0.15

Measure = Callable[[Any, Array], Array]


@dataclass(frozen=True)
class Refits:
    """Models of the replicates that have one.

    Parameters
    ----------
    coef : (b, m, p), coefficients in units of y.
    intercept : (b, m).
    measured : (b, ...), what was asked of each.
    infeasible : replicates in which no model meets the fairness terms; they have no model.
    unmet : replicates in which an `EqualizedLoss` was not met to its tolerance.
    uncertified : replicates whose gap stayed above the tolerance.
    """

    coef: Array
    intercept: Array
    measured: Array
    infeasible: int
    unmet: int
    uncertified: int


def refit(
    model: Any,
    training: Training,
    models: tuple[Array, Array],
    multipliers: Multipliers | None,
    units: Index,
    n_boot: int,
    rng: np.random.Generator,
    measure: Measure,
) -> Refits:
    """Fit ``n_boot`` replicates.

    Parameters
    ----------
    model : an estimator with the parameters, whose fitted attributes are overwritten.
    training : the data.
    models : (p, m) and (m,), the fit to the data, in units of y.
    multipliers : of its fairness terms. None without any.
    units : (n,), numbers of the rows or clusters that have a random weight each.
    n_boot : number of replicates.
    rng : draws the weights.
    measure : called with the fitted model and the weights (n,), for each replicate.
    """
    ahead, size = _Ahead.of(training, models), int(units.max()) + 1
    base = training.problem.weights
    found: list[tuple[Array, Array, Array]] = []
    counts: Counter[type] = Counter()
    for number in range(n_boot):
        weights = base * rng.standard_exponential(size)[units]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                with fitting_at(f"replicate {number}"):
                    again = training.reweighted(model, weights)
                    near = again.start(ahead.models(again.problem.weights), multipliers)
                    fit_model(model, again, near)
            except InfeasibleFairnessError:
                counts[InfeasibleFairnessError] += 1
                continue
        counts.update({warning.category for warning in caught})
        parts = np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_)
        found.append((*parts, measure(model, weights)))
    if not found:
        raise InfeasibleFairnessError(f"no model meets the fairness terms in any of {n_boot} fits")
    coef, intercept, measured = (np.stack(part) for part in zip(*found, strict=True))
    intercept = np.broadcast_to(intercept, coef.shape[:2])
    return Refits(
        coef,
        intercept,
        measured,
        infeasible=counts[InfeasibleFairnessError],
        unmet=counts[UnmetFairnessWarning],
        uncertified=counts[ConvergenceWarning],
    )


@dataclass(frozen=True)
class _Ahead:
    """One Newton step from the fit to all rows, to where other weights move it.

    Parameters
    ----------
    training : the data.
    coef, intercept : (p, m) and (m,), the fit, in units of y.
    slopes : (n, m), of the loss at its residuals. None where starts are of no use, or a step would
        not know of penalties and constraints.
    gradient : (p + 1, m), weighted sums of rows times slopes.
    inverse : (m, p + 1, p + 1), of the second derivatives, kinks smoothed.
    """

    training: Training
    coef: Array
    intercept: Array
    slopes: Array | None = None
    gradient: Array | None = None
    inverse: Array | None = None

    @classmethod
    def of(cls, training: Training, models: tuple[Array, Array]) -> _Ahead:
        """Prepare the steps from ``models``."""
        problem = training.problem
        if problem.loss.loss_mix == 0 or problem.l1 > 0 or problem.constrained:
            return cls(training, *models)
        residual = problem.residual(models[0] / training.scale, models[1] / training.scale)
        width = np.quantile(np.abs(residual), _NEAR, axis=0)
        if not (width > 0).all():
            return cls(training, *models)
        slopes = problem.loss.derivative(residual)
        near = np.abs(residual) < width
        curvature = problem.weights[:, None] * (
            problem.loss.curvature + problem.loss.loss_mix * near / width
        )
        inverse = np.stack([_inverse(problem, column) for column in curvature.T])
        start = cls(training, *models, slopes, None, inverse)
        return cls(training, *models, slopes, start._sums(problem.weights, slopes), inverse)

    def models(self, weights: Array) -> tuple[Array, Array]:
        """Return models close to the fit under weights (n,) that sum to 1, in units of y."""
        if self.slopes is None or self.inverse is None or self.gradient is None:
            return self.coef, self.intercept
        moved = self._sums(weights, self.slopes) - self.gradient
        step = np.einsum("mij,jm->im", self.inverse, moved) * self.training.scale
        return self.coef + step[:-1], self.intercept + step[-1]

    def _sums(self, weights: Array, slopes: Array) -> Array:
        """Return Σ_i w_i z_i (x_i, 1), (p + 1, m)."""
        u = weights[:, None] * slopes
        total = u.sum(axis=0) * self.training.problem.fit_intercept
        return np.vstack([self.training.problem.design.adjoint(u), total])


def _inverse(problem: Any, curvature: Array) -> Array:
    """Return the inverse of Σ_i c_i (x_i, 1)(x_i, 1)ᵀ + the ridge, (p + 1, p + 1)."""
    p = problem.design.shape[1]
    second = np.zeros((p + 1, p + 1))
    second[:p, :p] = problem.design.moments(curvature, np.zeros(p)) + problem.l2 * np.eye(p)
    if problem.fit_intercept:
        second[:p, p] = second[p, :p] = problem.design.adjoint(curvature)
        second[p, p] = curvature.sum()
    return np.linalg.pinv(second, hermitian=True)
