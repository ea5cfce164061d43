"""A problem to be timed, a linear model as its solution, and the one objective all fits get."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from skfairloss import PixelLossRegressor
from skfairloss._core.constraints import LIMIT
from skfairloss.fairness import WorstGroupLoss


@dataclass(frozen=True)
class Model:
    """Coefficients (m, p) and intercepts (m,) of m outputs."""

    coef: np.ndarray
    intercept: np.ndarray

    @classmethod
    def of(cls, coef: Any, intercept: Any) -> Model:
        """Build one from what an estimator has, one-dimensional for one output or not."""
        return cls(np.atleast_2d(np.asarray(coef, float)), np.atleast_1d(np.asarray(intercept)))


Mixture = list[tuple[float, Model]]  # shares of a randomised predictor, and its models


def residual_scale(y: np.ndarray, weights: np.ndarray) -> float:
    """c of scale="auto": 2 Σ D² / Σ D over the mean deviations D of the outputs; 1 if all are 0."""
    deviations = []
    for column in y.reshape(len(y), -1).T:
        order = np.argsort(column)
        median = column[order][np.searchsorted(np.cumsum(weights[order]), 0.5)]
        deviations.append(weights @ np.abs(column - median))
    total = np.sum(deviations)
    return float(2 * np.square(deviations).sum() / total) if total > 0 else 1.0


@dataclass(frozen=True)
class Case:
    """Minimise Σ_k [Σ_i v_i ℓ(r_ik / c) + alpha/2 |w_k / c|²], v_i = s_i / Σs.

    ℓ(z) = loss_mix |z| + (1 - loss_mix) z². ``fairness`` is None or one of the project's terms,
    over ``groups``; its bounds are on means of ℓ. c is that of scale="auto" unless it is ``given``.
    """

    name: str
    X: Any
    y: np.ndarray
    loss_mix: float
    alpha: float = 0.0
    sample_weight: np.ndarray | None = None
    groups: np.ndarray | None = None
    fairness: Any = None
    given: float | None = None

    @cached_property
    def scale(self) -> float:
        """c, one for all outputs."""
        return residual_scale(self.y, self.weights) if self.given is None else self.given

    @property
    def n_outputs(self) -> int:
        """Number of outputs."""
        return 1 if self.y.ndim == 1 else self.y.shape[1]

    @property
    def sparse(self) -> bool:
        """Whether X is sparse."""
        return sp.issparse(self.X)

    @property
    def nbytes(self) -> int:
        """Bytes that X takes."""
        parts = (self.X.data, self.X.indices, self.X.indptr) if self.sparse else (self.X,)
        return sum(part.nbytes for part in parts)

    @property
    def weights(self) -> np.ndarray:
        """v, (n,): row weights that sum to 1."""
        n = self.y.shape[0]
        return (
            np.full(n, 1 / n)
            if self.sample_weight is None
            else self.sample_weight / self.sample_weight.sum()
        )

    def first_outputs(self, count: int) -> Case:
        """Return the same problem with the first ``count`` outputs, and the c of all."""
        return replace(self, y=self.y[:, :count], given=self.scale)

    def row_losses(self, model: Model) -> np.ndarray:
        """ℓ of the residuals, (n, m)."""
        y = self.y.reshape(self.y.shape[0], -1)
        residual = np.abs(y - self.X @ model.coef.T - model.intercept) / self.scale
        if self.loss_mix == 1:
            return residual
        return self.loss_mix * residual + (1 - self.loss_mix) * residual**2

    def objective(self, model: Model | Mixture) -> np.ndarray:
        """Objective of each output, (m,); (1,) where `WorstGroupLoss` couples the outputs.

        Bounds and parities are not checked: they are constraints, not part of the objective. A
        mixture gets its expected loss.
        """
        mixture = [(1.0, model)] if isinstance(model, Model) else model
        losses = sum(share * self.row_losses(one) for share, one in mixture)
        ridge = self.alpha / (2 * self.scale**2)
        penalty = sum(share * ridge * (one.coef**2).sum(axis=1) for share, one in mixture)
        weights = self.weights
        if not isinstance(self.fairness, WorstGroupLoss):
            return weights @ losses + penalty
        codes = np.unique(self.groups, return_inverse=True)[1]
        by_group = np.bincount(codes, weights * losses.sum(axis=1)) / np.bincount(codes, weights)
        worst = worst_share(self.fairness)
        mean = weights @ losses.sum(axis=1)
        return np.atleast_1d((1 - worst) * mean + worst * by_group.max() + penalty.sum())


@dataclass(frozen=True)
class LowerBound:
    """What our certificate proves of a case: no model has an objective below ``values``."""

    case: Case
    values: np.ndarray

    @classmethod
    def certified(cls, case: Case, **options: Any) -> LowerBound:
        """``objective_ - dual_gap_`` of our fit of the case."""
        model = fit_ours(case, **options)
        return cls(case, np.atleast_1d(model.objective_ - model.dual_gap_))

    def excess(self, model: Model | Mixture) -> float:
        """Objective of a model above the bound, relative to the bound; the largest of any output.

        A model of the first few outputs is held against their bounds alone.
        """
        one = model if isinstance(model, Model) else model[0][1]
        outputs, case, bound = len(one.coef), self.case, self.values
        if outputs < case.n_outputs:
            case, bound = case.first_outputs(outputs), bound[:outputs]
        return float(np.max((case.objective(model) - bound) / np.maximum(np.abs(bound), 1e-300)))


def worst_share(term: WorstGroupLoss) -> float:
    """Weight of the worst group in the objective; 1 stands for its limit."""
    return min(term.weight, 1 - LIMIT)


def fit_ours(case: Case, **options: Any) -> PixelLossRegressor:
    """Fit `PixelLossRegressor` to a case."""
    model = PixelLossRegressor(case.loss_mix, alpha=case.alpha, fairness=case.fairness, **options)
    return model.fit(
        case.X, case.y, sample_weight=case.sample_weight, sensitive_features=case.groups
    )
