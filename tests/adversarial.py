"""Random adversarial problems, and a runner that counts what an estimator makes of them.

    python -m tests.adversarial --n 1000 --start 0

prints how often every corner was drawn, how every problem ended, and the seeds of all that did not
end well. Each seed reproduces its problem.
"""

from __future__ import annotations

import argparse
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning

import skfairloss
from tests import oracles
from tests.problems import RegressionProblem

MIXES = {"L2": 0.0, "nearly L2": 1e-6, "mixed": None, "nearly L1": 1 - 1e-6, "L1": 1.0}
HARD = (
    "duplicate columns",
    "constant column",
    "group indicators",
    "zero weights",
    "wide weights",
    "integer y",
    "repeated rows",
    "rounded y",
    "exact fit",
    "column scales",
    "outliers",
    "tiny y",
    "large offset",
    "n = p",
    "n < p",
)
EASY = ("sparse", "several outputs", "no intercept", "float32", "integer X", "Fortran order")
SETTINGS = (*MIXES, "median", "quantile", "no penalty", "ridge", "lasso", "elastic net", "n > p")
CORNERS = (*SETTINGS, *HARD, *EASY)

# From best to worst; "unchecked" is certified where the oracle could not prove its own solution.
STATUSES = (
    "certified",
    "unchecked",
    "declared",
    "gap open",
    "wrong",
    "false objective",
    "false bound",
    "not finite",
    "raised",
)
ACCEPTABLE = STATUSES[:3]

CERTIFICATE = 1e-8  # dual gap, relative
AGREEMENT = 1e-6  # objective against the independent solver, relative


@dataclass(frozen=True)
class Case:
    """A problem with its seed and the corners it sits in; ``hard`` means at least two of HARD."""

    seed: int
    problem: RegressionProblem
    corners: frozenset[str]

    @property
    def hard(self) -> bool:
        return len(self.corners & set(HARD)) >= 2


@dataclass(frozen=True)
class Outcome:
    """How a case ended: one of STATUSES; "declared" stands for a ConvergenceWarning."""

    case: Case
    status: str
    detail: str = ""

    def __str__(self) -> str:
        corners = ", ".join(sorted(self.case.corners))
        return f"seed {self.case.seed}: {self.status} {self.detail} [{corners}]"


def _draw_corners(rng: np.random.Generator) -> frozenset[str]:
    """Choose loss, penalty and shape, then up to four hard and two easy corners."""
    mix = rng.choice([*MIXES], p=[0.2, 0.06, 0.38, 0.06, 0.3])
    penalty = rng.choice(["no penalty", "ridge", "lasso", "elastic net"], p=[0.4, 0.2, 0.2, 0.2])
    hard = rng.choice(HARD, rng.choice(5, p=[0.2, 0.2, 0.25, 0.2, 0.15]), replace=False)
    easy = rng.choice(EASY, rng.choice(3, p=[0.4, 0.4, 0.2]), replace=False)
    drawn = {mix, rng.choice(["median", "quantile"]), penalty, *hard, *easy}
    if "n = p" in drawn:
        drawn -= {"n < p"}
    if "integer X" in drawn:
        drawn -= {"float32", "column scales"}
    if not drawn & {"n = p", "n < p"}:
        drawn.add("n > p")
    return frozenset(str(corner) for corner in drawn)


def _draw_design(rng: np.random.Generator, corners: frozenset[str]) -> tuple[Any, np.ndarray]:
    """Draw the design, and the one before its columns were scaled."""
    p = int(rng.integers(2, 9))
    n = {"n = p": p, "n < p": max(2, p - int(rng.integers(1, 4)))}.get(
        next(iter(corners & {"n = p", "n < p"}), ""), int(rng.choice([12, 30, 60, 150]))
    )
    X = rng.normal(size=(n, p)) * rng.choice([1.0, 3.0]) + rng.normal(size=p)
    if "sparse" in corners:
        X *= rng.random((n, p)) < 0.3
    if "integer X" in corners:
        X = np.round(2 * X)
    if "duplicate columns" in corners:
        X[:, -1] = X[:, 0]
    if "constant column" in corners:
        X[:, p // 2] = 2.0
    if "group indicators" in corners:
        X = np.hstack([X, np.eye(3)[rng.integers(0, 3, size=n)]])
    if "repeated rows" in corners:
        X[n // 2 : 2 * (n // 2)] = X[: n // 2]
    plain = X
    if "column scales" in corners:
        X = X * 10.0 ** rng.integers(-12, 13, size=X.shape[1])
    return X, plain


def _draw_y(rng: np.random.Generator, corners: frozenset[str], X: np.ndarray) -> np.ndarray:
    """Draw the outputs: signal, noise, then ties, outliers and units."""
    n, m = X.shape[0], int(rng.integers(2, 4)) if "several outputs" in corners else 1
    W = np.round(2 * rng.normal(size=(X.shape[1], m)) * (rng.random((X.shape[1], m)) < 0.7))
    Y = X @ W + 1.0
    if "exact fit" not in corners:
        Y = Y + rng.choice([0.1, 1.0]) * rng.standard_t(2, size=(n, m))
    if "repeated rows" in corners and rng.random() < 0.5:
        Y[n // 2 : 2 * (n // 2)] = Y[: n // 2]
    if "integer y" in corners:
        Y = np.round(Y)
    if "rounded y" in corners:
        Y = np.round(Y, 1)
    if "outliers" in corners:
        Y[rng.integers(0, n, size=1 + n // 20)] += 1e8 * rng.choice([-1, 1])
    if "tiny y" in corners:
        Y = Y * 1e-9
    if "large offset" in corners:
        Y = Y + 1e6
    return Y if "several outputs" in corners else Y[:, 0]


def _store(rng: np.random.Generator, corners: frozenset[str], X: np.ndarray) -> Any:
    """Give the design the dtype, order and container of its corners."""
    if "float32" in corners:
        X = X.astype(np.float32)
    if "integer X" in corners:
        X = X.astype(np.int64)
    if "sparse" in corners:
        kinds = (sp.csr_array, sp.csc_array, sp.csr_matrix, sp.csc_matrix)
        return kinds[rng.integers(len(kinds))](X)
    return np.asfortranarray(X) if "Fortran order" in corners else X


def draw(seed: int) -> Case:
    """Draw the case of a seed."""
    rng = np.random.default_rng([20, seed])
    corners = _draw_corners(rng)
    X, plain = _draw_design(rng, corners)
    y = _draw_y(rng, corners, plain)
    n = y.shape[0]
    weight = rng.uniform(0.5, 2.0, size=n) if rng.random() < 0.3 else None
    if "wide weights" in corners:
        weight = 10.0 ** rng.uniform(-12, 12, size=n)
    if "zero weights" in corners:
        zero = rng.random(n) < 0.3
        zero[rng.integers(n)] = False
        weight = np.where(zero, 0.0, np.ones(n) if weight is None else weight)
    mix = next(MIXES[name] for name in MIXES if name in corners)
    l1_ratio = {"lasso": 1.0, "elastic net": float(rng.uniform(0.1, 0.9))}
    spread = float(np.median(abs(y - np.median(y)))) or 1.0
    problem = RegressionProblem(
        _store(rng, corners, X),
        y,
        weight,
        loss_mix=float(rng.uniform(0.05, 0.95)) if mix is None else mix,
        quantile=0.5 if "median" in corners else float(rng.choice([0.01, 0.1, 0.3, 0.8, 0.95])),
        scale=float(rng.choice([1.0, 0.1, spread])),
        alpha=0.0 if "no penalty" in corners else float(10.0 ** rng.uniform(-6, 1)),
        l1_ratio=next((l1_ratio[name] for name in l1_ratio if name in corners), 0.0),
        fit_intercept="no intercept" not in corners,
    )
    return Case(seed, problem, corners)


def _fit(factory: Callable[..., Any], case: Case) -> tuple[Any, bool]:
    """Fit; return the estimator and whether it warned that it had not converged."""
    problem = case.problem
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = factory(**problem.params)
        model.fit(problem.X, problem.y, sample_weight=problem.sample_weight)
    others = [w for w in caught if not issubclass(w.category, ConvergenceWarning)]
    if others:
        raise RuntimeError(f"{others[0].category.__name__}: {others[0].message}")
    return model, bool(caught)


def judge(problem: RegressionProblem, model: Any, k: int, declared: bool) -> tuple[str, str]:
    """Compare one output of a fitted model with the oracles."""
    coef = np.atleast_2d(model.coef_)[k]
    intercept, reported, gap = (
        float(np.ravel(value)[k] if np.ndim(value) else value)
        for value in (model.intercept_, model.objective_, model.dual_gap_)
    )
    if not (np.isfinite(coef).all() and np.isfinite([intercept, reported]).all() and gap >= 0):
        return "not finite", f"objective {reported:.3g}, gap {gap:.3g}"
    best = oracles.solve(problem)
    natural = 1e-6 * oracles.constant_loss(problem)
    # Coefficients that explode raise the model's own floor without end; only the oracle's can say
    # what rounding excuses, beside next to nothing of the loss of y itself.
    own = oracles.rounding_floor(problem, coef, intercept)
    nothing = 1e-20 * oracles.objective(problem, np.zeros_like(coef), 0.0)
    floor = oracles.rounding_floor(problem, best.coef, best.intercept) + min(own, nothing)
    reached = oracles.objective(problem, coef, intercept)
    near = AGREEMENT * max(best.objective, natural)
    verdicts = {
        "false bound": reported - gap > best.objective + near + floor,
        "false objective": abs(reported - reached) > near + own,
        "declared": declared,
        "wrong": reached > best.objective + near + floor,
        "gap open": gap > CERTIFICATE * max(reported, natural) + own,
        "unchecked": min(reached, best.objective) - best.lower_bound > near + floor,
        "certified": True,
    }
    status = next(name for name, holds in verdicts.items() if holds)
    claim = f"claims {reported:.12g}, gap {gap:.3g}, floor {own:.3g}"
    oracle = f"oracle {best.objective:.12g}, gap {best.objective - best.lower_bound:.3g}"
    return status, f"{claim}, is {reached:.12g}; {oracle}"


def run(case: Case, factory: Callable[..., Any]) -> Outcome:
    """Fit one case and judge every output; the worst counts."""
    try:
        model, declared = _fit(factory, case)
    except Exception as error:  # any exception or stray warning is an outcome to be counted
        return Outcome(case, "raised", f"{type(error).__name__}: {error}")
    parts = case.problem.outputs()
    verdicts = [judge(part, model, k, declared) for k, part in enumerate(parts)]
    return Outcome(case, *max(verdicts, key=lambda verdict: STATUSES.index(verdict[0])))


def run_all(seeds: Iterable[int], factory: Callable[..., Any]) -> list[Outcome]:
    """Run the cases of all seeds."""
    return [run(draw(seed), factory) for seed in seeds]


def report(outcomes: list[Outcome]) -> str:
    """Counts of corners and of outcomes, and a line for each case that is not certified."""
    corners = Counter(corner for outcome in outcomes for corner in outcome.case.corners)
    hard = sum(outcome.case.hard for outcome in outcomes)
    status = Counter(outcome.status for outcome in outcomes)
    bad = [outcome for outcome in outcomes if outcome.status not in STATUSES[:2]]
    lines = [f"{len(outcomes)} problems, {hard} of them hard"]
    lines += [f"  {name:20s} {corners[name]:6d}" for name in CORNERS]
    lines += ["outcomes", *(f"  {name:20s} {status[name]:6d}" for name in STATUSES)]
    return "\n".join(lines + [str(outcome) for outcome in bad])


class OracleRegressor:
    """Stand-in for the estimator, solved by the oracles: it tests the runner itself.

    Its first coefficient is multiplied by 1 + ``spoil``; ``claim`` multiplies the objective that
    it reports, and ``gap``, where given, is the gap that it reports.
    """

    def __init__(
        self, *, spoil: float = 0.0, claim: float = 1.0, gap: float | None = None, **params: Any
    ) -> None:
        self.params, self.spoil, self.claim, self.gap = params, spoil, claim, gap

    def fit(self, X: Any, y: np.ndarray, sample_weight: np.ndarray | None) -> OracleRegressor:
        parts = RegressionProblem(X, y, sample_weight, **self.params).outputs()
        found = [oracles.solve(part) for part in parts]
        self.coef_ = np.array([s.coef * (1 + self.spoil) for s in found])
        self.intercept_ = np.array([s.intercept for s in found])
        value = np.array(
            [
                oracles.objective(*each)
                for each in zip(parts, self.coef_, self.intercept_, strict=True)
            ]
        )
        proven = np.maximum(value - np.array([s.lower_bound for s in found]), 0)
        self.objective_ = value * self.claim
        self.dual_gap_ = proven if self.gap is None else np.full(len(found), self.gap)
        return self


def main() -> None:
    """Run the estimator over a range of seeds and print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=1000, help="number of problems")
    parser.add_argument("--start", type=int, default=0, help="first seed")
    parser.add_argument("--oracle", action="store_true", help="run the oracles on themselves")
    options = parser.parse_args()
    factory = OracleRegressor if options.oracle else skfairloss.PixelLossRegressor
    print(report(run_all(range(options.start, options.start + options.n), factory)))


if __name__ == "__main__":
    main()
