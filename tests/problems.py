"""Regression problems with their twins: the inputs that the oracles and the estimator share."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

LONG = np.longdouble
PENALTIES = {"none": (0.0, 0.0), "ridge": (0.1, 0.0), "lasso": (0.05, 1.0), "enet": (0.1, 0.5)}
TWINS = ("itself", "shifted", "scaled", "reweighted")


@dataclass(frozen=True)
class RegressionProblem:
    """Minimise sum_i v_i l(r_i / c) + alpha (rho |w / c|_1 + (1 - rho) / 2 |w / c|^2).

    With v_i = s_i / sum s, l(z) = loss_mix (|z| + (2 quantile - 1) z) + (1 - loss_mix) z^2,
    c = scale and rho = l1_ratio. ``y`` has one column per output, or is one-dimensional.
    """

    X: Any
    y: np.ndarray
    sample_weight: np.ndarray | None = None
    loss_mix: float = 0.5
    quantile: float = 0.5
    scale: float = 1.0
    alpha: float = 0.0
    l1_ratio: float = 0.0
    fit_intercept: bool = True

    @property
    def params(self) -> dict[str, Any]:
        """Constructor arguments of the estimator that solves this problem."""
        names = ("loss_mix", "quantile", "scale", "alpha", "l1_ratio", "fit_intercept")
        return {name: getattr(self, name) for name in names}

    @property
    def weights(self) -> np.ndarray:
        """Row weights that sum to one, in extended precision."""
        n = self.y.shape[0]
        s = np.ones(n, LONG) if self.sample_weight is None else LONG(self.sample_weight)
        return s / s.sum()

    @property
    def l1(self) -> float:
        """Factor of |w|_1."""
        return self.alpha * self.l1_ratio / self.scale

    @property
    def l2(self) -> float:
        """Factor of |w|^2 / 2."""
        return self.alpha * (1 - self.l1_ratio) / self.scale**2

    def outputs(self) -> list[RegressionProblem]:
        """One dense float64 problem per output, without the rows of weight zero."""
        keep = np.flatnonzero(self.weights > 0)
        X = np.asarray(self.X.toarray() if sp.issparse(self.X) else self.X, float)[keep]
        Y = np.asarray(self.y, float).reshape(self.y.shape[0], -1)[keep]
        s = None if self.sample_weight is None else np.asarray(self.sample_weight, float)[keep]
        return [replace(self, X=X, y=Y[:, k], sample_weight=s) for k in range(Y.shape[1])]

    def shifted(self, offset: float) -> RegressionProblem:
        """Twin with y + offset: the intercept moves by offset, nothing else changes."""
        if not self.fit_intercept:
            raise ValueError("without an intercept a shift of y is another problem")
        return replace(self, y=self.y + offset)

    def scaled(self, factor: float) -> RegressionProblem:
        """Twin with y, c and the solution multiplied by factor: the objective stays the same."""
        return replace(self, y=self.y * factor, scale=self.scale * factor)

    def reweighted(self, factor: float) -> RegressionProblem:
        """Twin with all weights multiplied by factor: nothing changes."""
        n = self.y.shape[0]
        s = np.ones(n) if self.sample_weight is None else np.asarray(self.sample_weight)
        return replace(self, sample_weight=s * factor)


def twin(
    problem: RegressionProblem, kind: str, coef: np.ndarray, intercept: float
) -> tuple[RegressionProblem, np.ndarray, float]:
    """Return the named twin of a problem and what becomes of its solution.

    Without an intercept the shift is one of the first coefficient, which is a law at alpha = 0.
    Offset and factor are exact in binary, so that integer data stay exact.
    """
    coef = np.array(coef, float)
    if kind == "shifted" and problem.fit_intercept:
        return problem.shifted(1024.0), coef, intercept + 1024.0
    if kind == "shifted":
        moved = coef + 16.0 * (np.arange(coef.size) == 0)
        return replace(problem, y=problem.y + 16.0 * problem.X[:, 0]), moved, intercept
    if kind == "scaled":
        return problem.scaled(2.0**-7), coef * 2.0**-7, intercept * 2.0**-7
    if kind == "reweighted":
        return problem.reweighted(3.7), coef, intercept
    return problem, coef, intercept


@cache
def certified_problems(kind: str) -> dict[str, dict[str, Any]]:
    """Problems with exact answers, ``kind`` "l1" or "l2"; see data/README.md."""
    text = (Path(__file__).parent / "data" / "certified_problems.json").read_text(encoding="utf-8")
    return json.loads(text)[kind]


def random_problem(
    seed: int,
    n: int = 60,
    p: int = 4,
    *,
    penalty: str = "none",
    weighted: bool = True,
    **settings: Any,
) -> RegressionProblem:
    """Gaussian design with correlated, off-centre columns and heavy-tailed noise."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) @ (np.eye(p) + 0.3 * rng.normal(size=(p, p))) + rng.normal(size=p)
    y = X @ rng.normal(size=p) + 2.0 + 0.7 * rng.standard_t(3, size=n)
    weight = rng.uniform(0.2, 3.0, size=n) if weighted else None
    alpha, l1_ratio = PENALTIES[penalty]
    return RegressionProblem(X, y, weight, alpha=alpha, l1_ratio=l1_ratio, **settings)
