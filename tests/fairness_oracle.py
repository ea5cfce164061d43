"""Fits under fairness terms by an independent convex solver, on random small problems.

    python -m tests.fairness_oracle --n 500 --start 0
    python -m tests.fairness_oracle --n 300 --own-losses

print how often every corner was drawn, how every problem ended, and the seeds of all that did not
end well; with --own-losses terms are about |r| or r², whatever is minimised. Each seed reproduces
its problem. Objectives, group losses and violations are computed here from their definitions; of
the package only the estimator and the terms are used.
"""

from __future__ import annotations

import argparse
import contextlib
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import cvxpy as cp
import numpy as np
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning

from skfairloss import PixelLossRegressor
from skfairloss.exceptions import InfeasibleFairnessError, UnmetFairnessWarning
from skfairloss.fairness import (
    BoundedGroupLoss,
    EqualizedLoss,
    PredictionParity,
    ResidualParity,
    WorstGroupLoss,
)
from tests import oracles
from tests.problems import LONG, RegressionProblem

KINDS = (
    "worst",
    "bound",
    "spread",
    "prediction",
    "residual",
    "worst bound",
    "worst prediction",
    "worst residual",
    "bound spread",
    "bound prediction",
    "bound residual",
    "spread prediction",
    "spread residual",
    "prediction residual",
    "worst bound prediction",
    "bound prediction residual",
)
ON_LOSSES = ("worst", "bound", "spread")
OWN_LOSSES = ("absolute_error", "squared_error")
MIXES = (0.0, 0.4, 1.0)
CORNERS = (
    "one-row group",
    "nested groups",
    "duplicate groups",
    "unequal sizes",
    "unequal noise",
    "group dummy",
    "rounded y",
    "weights",
    "zero weights",
    "column scales",
    "sparse",
    "no intercept",
    "out of reach",
)
# From best to worst; "unchecked" is where Clarabel was beaten or gave up.
STATUSES = ("certified", "infeasible agreed", "unchecked", "declared", "wrong", "raised")
ACCEPTABLE = STATUSES[:4]
PROVEN = 1e-6  # objective against the oracle, relative
EDGE = 1e-6  # requests this close to the edge of what can be met may end either way
LIMIT = 1e-6  # what a worst-group weight of 1 lacks
BEATEN = "below the path"  # what meets the terms with a lower objective than the oracle's
BROKEN = 1e-7  # a relative violation by which a solution of the oracle is none


@dataclass(frozen=True)
class Asked:
    """Fairness terms in numbers; None where a term is not asked for."""

    worst: float | None = None
    bound: float | dict[Any, float] | None = None
    spread: float | None = None
    prediction: float | None = None
    residual: float | None = None
    worst_loss: str | None = None
    bound_loss: str | None = None
    spread_loss: str | None = None

    @property
    def terms(self) -> Any:
        """The fairness parameter."""
        makers = {
            "worst": WorstGroupLoss,
            "bound": BoundedGroupLoss,
            "spread": EqualizedLoss,
            "prediction": PredictionParity,
            "residual": ResidualParity,
        }
        terms = []
        for name, maker in makers.items():
            value = getattr(self, name)
            if value is not None:
                about = {"loss": getattr(self, f"{name}_loss")} if name in ON_LOSSES else {}
                terms.append(maker(value, **about))
        return terms[0] if len(terms) == 1 else terms or None


@dataclass(frozen=True)
class FairProblem:
    """Data, settings of the estimator, and what is asked; groups are (n,) or (n, columns)."""

    X: Any
    y: np.ndarray
    groups: np.ndarray
    asked: Asked = Asked()
    sample_weight: np.ndarray | None = None
    loss_mix: float = 0.5
    quantile: float = 0.5
    scale: Any = 1.0
    alpha: float = 0.0
    l1_ratio: float = 0.0
    fit_intercept: bool = True

    def fit(self, **params: Any) -> PixelLossRegressor:
        """The package's answer."""
        names = ("loss_mix", "quantile", "scale", "alpha", "l1_ratio", "fit_intercept")
        settings = {name: getattr(self, name) for name in names}
        model = PixelLossRegressor(**settings, fairness=self.asked.terms, **params)
        return model.fit(
            self.X, self.y, sample_weight=self.sample_weight, sensitive_features=self.groups
        )

    @cached_property
    def data(self) -> Data:
        """What the definitions speak of."""
        return Data.of(self)

    def outputs(self, factors: np.ndarray | None = None) -> list[RegressionProblem]:
        """Plain problems of each output; ``factors`` (G,) multiply the weights of the groups."""
        data = self.data
        weight = data.v if factors is None else data.v * (factors @ (data.averages > 0))
        total, kept = weight.sum(), weight > 0  # the weights of a plain problem sum to 1
        return [
            RegressionProblem(
                data.X[kept],
                y[kept],
                weight[kept],
                self.loss_mix,
                self.quantile,
                float(c),
                self.alpha / total,
                self.l1_ratio,
                self.fit_intercept,
            )
            for y, c in zip(data.y.T, data.c, strict=True)
        ]


@dataclass(frozen=True)
class Data:
    """Rows of positive weight: dense X, y (n, m), v, c (m,), and the groups' names and means."""

    X: np.ndarray
    y: np.ndarray
    v: np.ndarray
    c: np.ndarray
    labels: list[Any]
    averages: np.ndarray  # (G, n), the groups' mean of anything

    @classmethod
    def of(cls, problem: FairProblem) -> Data:
        """Read a problem."""
        X = np.asarray(problem.X.toarray() if sp.issparse(problem.X) else problem.X, float)
        y = np.asarray(problem.y, float).reshape(len(X), -1)
        s = np.ones(len(X)) if problem.sample_weight is None else problem.sample_weight
        names = [name if np.ndim(name) == 0 else tuple(name) for name in problem.groups.tolist()]
        names = [tuple(name) if isinstance(name, list) else name for name in names]
        keep = s > 0
        X, y, s = X[keep], y[keep], s[keep]
        kept = [name for name, there in zip(names, keep, strict=True) if there]
        labels = sorted(set(kept))
        member = np.array([[label == name for name in kept] for label in labels], float) * s
        averages = member / member.sum(axis=1, keepdims=True)
        v, scale = s / s.sum(), problem.scale
        auto = isinstance(scale, str)
        c = oracles.auto_scale(y, v, problem.fit_intercept) if auto else scale
        return cls(X, y, v, np.full(y.shape[1], c), labels, averages)


@dataclass(frozen=True)
class Value:
    """What a model reaches, from the definitions."""

    losses: np.ndarray  # (G,), means of the mix over rows and outputs
    errors: np.ndarray  # (2, G), means of |r| and r²
    worst: np.ndarray  # (G,), the losses that the worst-group term, ...
    bounded: np.ndarray  # ... the bounds ...
    level: np.ndarray  # ... and the spread are about
    limit: float  # the size of the worst-group term's loss in units of the mix
    mean: float
    penalty: float
    n_outputs: int
    parity: float  # largest violation of a parity, relative to the mean |y - mean y|
    bounds: float  # largest relative violation of a bound

    def objective(self, worst: float | None) -> float:
        """The attained objective."""
        rest, gamma = weights(worst, self.limit)
        return float(self.n_outputs * (rest * self.mean + gamma * self.worst.max()) + self.penalty)


def weights(worst: float | None, limit: float) -> tuple[float, float]:
    """Weights of the mean mix and of the largest loss; at 1 the mix decides ties only."""
    gamma = min(worst or 0.0, 1.0 - LIMIT)
    return (1.0 - gamma) * (limit if gamma == 1.0 - LIMIT else 1.0), gamma


def _row_losses(problem: FairProblem, z: Any, kind: str | None, unit: Any) -> Any:
    """Loss of each row, z (n, m) in units of c, for arrays as for expressions of cvxpy.

    ``unit`` (m,) is what z is multiplied by where the loss is not the mix.
    """
    squared, absolute = (cp.square, cp.abs) if isinstance(z, cp.Expression) else (np.square, abs)
    lam, tau, m = problem.loss_mix, problem.quantile, len(problem.data.c)
    ones = np.ones(m)
    if kind == "absolute_error":
        return absolute(z) @ unit / m
    if kind == "squared_error":
        return squared(z) @ unit**2 / m
    return (lam * (absolute(z) + (2 * tau - 1) * z) + (1 - lam) * squared(z)) @ ones / m


def _about(problem: FairProblem, name: str) -> tuple[str | None, np.ndarray]:
    """The loss that a term is about, and its unit: that of z for the worst group, else of y."""
    c = problem.data.c
    return getattr(problem.asked, f"{name}_loss"), np.ones_like(c) if name == "worst" else c


def value(problem: FairProblem, coef: Any, intercept: Any) -> Value:
    """Value a model of coefficients (p, m) and intercepts (m,), in extended precision."""
    data, asked = problem.data, problem.asked
    coef = LONG(coef).reshape(data.X.shape[1], -1)
    prediction = LONG(data.X) @ coef + LONG(intercept)
    residual = data.y - prediction
    z = residual / data.c
    rows = _row_losses(problem, z, None, data.c)
    errors = [_row_losses(problem, z, kind, data.c) for kind in OWN_LOSSES]
    l1, l2 = problem.alpha * problem.l1_ratio, problem.alpha * (1 - problem.l1_ratio)
    w = coef / data.c
    penalty = l1 * abs(w).sum() + l2 / 2 * (w**2).sum()
    losses = np.asarray(data.averages @ rows, float)
    parity = 0.0
    for quantity, tolerance in ((prediction, asked.prediction), (residual, asked.residual)):
        if tolerance is not None:
            away = abs(data.averages @ quantity - data.v @ quantity) - tolerance
            parity = max(parity, float((away / _size(data)).max()))
    worst, bounded, level = (
        np.asarray(data.averages @ _row_losses(problem, z, *_about(problem, name)), float)
        for name in ON_LOSSES
    )
    excess = (bounded / np.maximum(bounds(problem), 1e-9 * natural(problem, "bound"))).max() - 1
    return Value(
        losses,
        np.asarray(np.array(errors) @ data.averages.T, float),
        worst,
        bounded,
        level,
        natural(problem, "worst") / natural(problem),
        float(data.v @ rows),
        float(penalty),
        data.y.shape[1],
        parity,
        excess,
    )


def _deviations(data: Data) -> np.ndarray:
    """y - mean y, 0 where it is the rounding error of a constant, (n, m)."""
    middle = data.v @ data.y
    away = data.y - middle
    return np.where(data.v @ abs(away) > 8 * np.finfo(float).eps * abs(middle), away, 0.0)


def _size(data: Data) -> np.ndarray:
    """Mean |y - mean y| of each output, 1 for a constant."""
    size = data.v @ abs(_deviations(data))
    return np.where(size > 0, size, 1.0)


def bounds(problem: FairProblem) -> np.ndarray:
    """The bound on each group's loss, infinite without one."""
    bound = problem.asked.bound
    if isinstance(bound, dict):
        return np.array([bound.get(label, np.inf) for label in problem.data.labels])
    return np.full(len(problem.data.labels), np.inf if bound is None else bound)


def natural(problem: FairProblem, name: str | None = None) -> float:
    """Mean loss of the mean of y: of the mix, or of what a term is about."""
    data = problem.data
    about = (None, data.c) if name is None else _about(problem, name)
    return float(data.v @ _row_losses(problem, _deviations(data) / data.c, *about)) or 1.0


class Programme:
    """The convex programme of a problem, in standardised columns.

    Group losses and the objective are in units of the loss of the mean of y, bounded losses and
    levels in units of their own, so that Clarabel's absolute tolerances are relative ones.
    """

    def __init__(self, problem: FairProblem) -> None:
        self.problem, data = problem, problem.data
        self.unit = natural(problem)
        center = data.v @ data.X if problem.fit_intercept else np.zeros(data.X.shape[1])
        moved = data.X - center
        column = np.sqrt(data.v @ moved**2)
        column[column <= 1e-13 * abs(center)] = 0
        moved[:, column == 0] = 0
        self._center, self._column = center, np.where(column > 0, column, 1.0)
        shift = data.v @ data.y if problem.fit_intercept else np.zeros_like(data.c)
        self._shift = shift
        self.theta = cp.Variable((data.X.shape[1], len(data.c)))
        self.beta = cp.Variable((1, len(data.c)))
        self.free = [] if problem.fit_intercept else [self.beta == 0]
        n = len(data.y)
        self.design = moved / self._column
        fitted = self.design @ self.theta + np.ones((n, 1)) @ self.beta
        self.z = z = (data.y - shift) / data.c - fitted
        m = len(data.c)
        lam = round(problem.loss_mix)
        if abs(problem.loss_mix - lam) < 1e-8:  # far below what Clarabel sees
            problem = replace(problem, loss_mix=float(lam))
        rows = _row_losses(problem, z, None, data.c)
        self.mean = data.v @ rows / self.unit
        self.units = {name: natural(self.problem, name) for name in ("bound", "spread")}
        self.worst, self.bounded, self.level = (
            data.averages
            @ _row_losses(problem, z, *_about(problem, name))
            / self.units.get(name, self.unit)
            for name in ON_LOSSES
        )
        self.limit = natural(self.problem, "worst") / self.unit
        w = self.w = cp.multiply(self.theta, 1 / self._column[:, None])  # coefficients over c
        l1, l2 = problem.alpha * problem.l1_ratio, problem.alpha * (1 - problem.l1_ratio)
        penalty = l1 * cp.sum(cp.abs(w)) + l2 / 2 * cp.sum_squares(w)
        self.penalty = penalty / (m * self.unit)
        self._gaps = []
        contrast = data.averages - data.v
        of_y = contrast @ ((data.y - shift) / data.c)
        size = _size(data) / data.c
        for gap, tolerance in (
            (contrast @ fitted, problem.asked.prediction),
            (of_y - contrast @ fitted, problem.asked.residual),
        ):
            if tolerance is not None:
                scaled = cp.multiply(gap, np.ones_like(of_y) / size)
                self._gaps.append((scaled, tolerance / (size * data.c)))

    def parities(self, slack: Any = 0.0) -> list[Any]:
        """Constraints of the parity terms, relative to the size of y."""
        ones = np.ones((len(self.problem.data.labels), 1))
        return [cp.abs(gap) <= ones @ limit[None, :] + slack for gap, limit in self._gaps]

    def least(self, what: Any, constraints: list[Any]) -> float:
        """Minimise; infinite where nothing is feasible, NaN where Clarabel gave up."""
        programme = cp.Problem(cp.Minimize(what), [*constraints, *self.free])
        return self.run(programme)

    @staticmethod
    def run(programme: cp.Problem) -> float:
        """Solve as exactly as Clarabel can."""
        for tol in (1e-11, 1e-10, 1e-9, 1e-8, 1e-7):
            tight = {"tol_gap_abs": tol, "tol_gap_rel": tol, "tol_feas": tol}
            with warnings.catch_warnings(), contextlib.suppress(cp.SolverError):
                warnings.simplefilter("ignore")  # an inaccurate solution is tried again
                programme.solve("CLARABEL", max_iter=500, **tight)
                if programme.status == cp.OPTIMAL:
                    return float(programme.value)
                if programme.status == cp.INFEASIBLE:
                    return np.inf
        return np.nan

    @property
    def model(self) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients (p, m) and intercepts (m,) of the last solution."""
        coef = self.theta.value * self.problem.data.c / self._column[:, None]
        start = self.beta.value[0] * self.problem.data.c + self._shift
        return coef, start - self._center @ coef

    def value(self) -> Value:
        """What the last solution reaches."""
        return value(self.problem, *self.model)

    def value_within(self, t: float) -> Value | None:
        """The same with losses of at most t, None where it does not meet what it was to meet."""
        found = self.value()
        met = found.level.max() <= t * (1 + BROKEN) and max(found.parity, found.bounds) <= BROKEN
        return found if met else None

    def within(self, limits: np.ndarray) -> list[Any]:
        """Constraints of bounds on the group losses."""
        at = np.flatnonzero(np.isfinite(limits))
        limits = np.maximum(limits[at] / self.units["bound"], 1e-9)
        return [self.bounded[at] <= limits] if len(at) else []

    def objective(self, worst: float | None) -> Any:
        """The objective, per output."""
        rest, gamma = weights(worst, self.limit)
        top = gamma * cp.max(self.worst) if gamma else 0.0
        return rest * self.mean + top + self.penalty


def smallest_factor(problem: FairProblem, programme: Programme | None = None) -> float:
    """The smallest f with every group loss <= f times its bound; 0 without bounds."""
    limits, programme = bounds(problem), programme or Programme(problem)
    at = np.flatnonzero(np.isfinite(limits))
    if not len(at):
        return 0.0 if np.isfinite(programme.least(0.0, programme.parities())) else np.nan
    share = np.maximum(limits[at] / programme.units["bound"], 1e-9)
    top = cp.max(cp.multiply(programme.bounded[at], 1 / share))
    return programme.least(top, programme.parities())


def smallest_slack(problem: FairProblem) -> float:
    """How much larger the tolerances of parities have to be, relative to the size of y."""
    if problem.asked.prediction is None and problem.asked.residual is None:
        return 0.0
    programme = Programme(problem)
    slack = cp.Variable(nonneg=True)
    return programme.least(slack, programme.parities(slack))


def solve(problem: FairProblem) -> Value | None:
    """The optimum without `EqualizedLoss`, None where Clarabel gives up."""
    return solve_model(problem)[0]


def solve_model(problem: FairProblem) -> tuple[Value | None, tuple[np.ndarray, np.ndarray]]:
    """The same, and the model (p, m) and (m,) that reaches it."""
    programme = Programme(problem)
    constraints = programme.parities() + programme.within(bounds(problem))
    found = programme.least(programme.objective(problem.asked.worst), constraints)
    if not np.isfinite(found):
        return None, (np.zeros(0), np.zeros(0))
    return programme.value(), programme.model


def _least_within(
    programme: Programme, what: Any, value: Any, limit: float, constraints: list[Any]
) -> None:
    """Minimise where a value is at its limit, as closely as Clarabel can tell."""
    for slack in (1e-9, 1e-8, 1e-7):
        within = value <= limit + slack * max(abs(limit), 1e-3)
        if np.isfinite(programme.least(what, [*constraints, within])):
            return
    raise RuntimeError("no solution of the tie rule to compare with")


def solve_tie_rule(problem: FairProblem, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (p, m) and intercepts (m,) that the rule for ties names, at loss_mix = 1.

    Three programmes: the optimum; among the optima the least Q + penalty, Q the squares under the
    optimal group weights (G,); among those with the same predictions and penalty the least norm.
    """
    programme, m = Programme(problem), len(problem.data.c)
    asked = programme.parities() + programme.within(bounds(problem))
    objective = programme.objective(problem.asked.worst)
    optimum = programme.least(objective, asked)
    squares = weights @ (problem.data.averages @ cp.sum(cp.square(programme.z), axis=1))
    rule = squares / (m * programme.unit) + programme.penalty
    _least_within(programme, rule, objective, optimum, asked)
    _, size, V = np.linalg.svd(programme.design)
    seen = V[: np.sum(size > 1e-10 * max(size[0], 1.0))]
    if len(seen) < len(V):
        same = [programme.beta == programme.beta.value]
        same += [seen @ programme.theta == seen @ programme.theta.value] if len(seen) else []
        norm = cp.norm1(programme.w) if problem.alpha * problem.l1_ratio > 0 else cp.Constant(0.0)
        _least_within(programme, cp.sum_squares(programme.w), norm, float(norm.value), same)
    return programme.model


# --------------------------------------------------------------------------------------------------
# The path of an EqualizedLoss
# --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scan:
    """Levels of t from the top down, with the objective and the spread of the losses there."""

    t: np.ndarray
    objective: np.ndarray
    spread: np.ndarray


class Path:
    """Least L + penalty with every group loss at most t, and within the other terms."""

    def __init__(self, problem: FairProblem) -> None:
        self.problem = problem
        self._programme = programme = Programme(problem)
        self._held = programme.parities() + programme.within(bounds(problem))
        self._level = cp.Parameter(nonneg=True)
        constraints = [*self._held, programme.level <= self._level, *programme.free]
        self._at = cp.Problem(cp.Minimize(programme.mean + programme.penalty), constraints)

    def top(self) -> Value | None:
        """The plain fit within the other terms, None where Clarabel gave up."""
        programme = self._programme
        found = programme.least(programme.mean + programme.penalty, self._held)
        return programme.value_within(np.inf) if np.isfinite(found) else None

    def smallest(self) -> float:
        """The smallest t that can be reached."""
        programme = self._programme
        return programme.least(cp.max(programme.level), self._held) * programme.units["spread"]

    def at(self, t: float) -> Value | None:
        """The point at t, None where there is none."""
        self._level.value = t / self._programme.units["spread"]
        found = self._programme.run(self._at)
        return self._programme.value_within(t) if np.isfinite(found) else None

    def scan(self, n_levels: int) -> Scan:
        """Levels at equal distances."""
        top, low = self.top(), self.smallest() * (1 + 2e-7)
        most = top.level.max()
        levels = np.linspace(most, low, n_levels) if most > low else []
        points = [top, *(self.at(t) for t in levels[1:])]
        points = [point for point in points if point is not None]
        return Scan(
            np.array([point.level.max() for point in points]),
            np.array([point.objective(None) for point in points]),
            np.array([np.ptp(point.level) for point in points]),
        )


def judge_path(
    problem: FairProblem, reached: Value, unmet: bool, n_levels: int = 44, *, edge: float = 1e-5
) -> str:
    """What is wrong about the answer to an `EqualizedLoss`; empty if nothing is.

    ``edge`` is what levels and spreads may be off, relative to the largest loss; infinite where the
    path's models are not unique, and so their spreads are not either.

    The estimator looks at levels and refines between them, so that where the spread need not be
    monotone it may pass over a crossing narrower than such a step; one of a fortieth of the path
    must be found.
    """
    path, tolerance = Path(problem), problem.asked.spread
    scan = path.scan(n_levels)
    near = 1e-6 * max(scan.objective[0], 1e-3 * natural(problem))
    t, spread = float(reached.level.max()), float(np.ptp(reached.level))
    own = problem.asked.spread_loss is not None
    edge = edge * max(scan.t[0], 1e-300)
    several = len(reached.losses) > 2 or problem.alpha > 0 or own
    window = -(-n_levels // 40) + 1 if several else 1
    inside = np.convolve(scan.spread <= tolerance, np.ones(window), "valid") == window
    first = float(scan.t[inside.argmax()]) if inside.any() else 0.0
    step = abs(np.diff(scan.spread)).max(initial=0.0) * window if several else 0.0
    here = reached.objective(None)
    below, above = path.at(t * (1 - 1e-5)), path.at(t * (1 + 1e-5))
    most = np.inf if below is None else below.objective(None)
    # No point has less than the plain fit: a model with less has found what Clarabel does not see.
    least = scan.objective[0] if above is None else above.objective(None)
    faults = {
        f"not on the path: {here:.9g} > {most:.9g}": here > most + near,
        f"{BEATEN}: {here:.9g} < {least:.9g}": here < least - near,
        f"spread {spread:.6g} above tolerance={tolerance:.6g} without a warning": not unmet
        and spread > tolerance + 1e-9 * t + 1e-14 * natural(problem),
        f"a warning, although spread {spread:.6g} is within tolerance={tolerance:.6g}": unmet
        and spread <= tolerance + 1e-12 * t,
        f"t = {t:.6g}, but {first:.6g} is enough": t < first - edge,
        f"spread {spread:.6g} left, the path has {scan.spread.min():.6g}": unmet
        and spread > scan.spread.min() + edge + step + 1e-14 * natural(problem),
    }
    return next((fault for fault, found in faults.items() if found), "")


# --------------------------------------------------------------------------------------------------
# Random problems
# --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A problem with its seed, the terms asked for and the corners it sits in."""

    seed: int
    problem: FairProblem
    kind: str
    corners: frozenset[str]


def draw_groups(rng: np.random.Generator, n: int, corners: set[str]) -> np.ndarray:
    """Group names: integers, or text in several columns."""
    n_groups = int(rng.integers(2, 6))
    share = np.ones(n_groups) / n_groups
    if "unequal sizes" in corners:
        share = 4.0 ** -np.arange(n_groups)
        share /= share.sum()
    codes = rng.choice(n_groups, n, p=share)
    codes[: 2 * n_groups] = np.tile(np.arange(n_groups), 2)
    if "one-row group" in corners:
        codes[codes == n_groups - 1] = 0
        codes[0] = n_groups - 1
    if "nested groups" in corners:
        return np.column_stack([np.where(codes < n_groups // 2, "low", "high"), codes.astype(str)])
    if "duplicate groups" in corners:
        return np.column_stack([codes.astype(str), np.char.add("g", codes.astype(str))])
    return codes


def _draw_data(rng: np.random.Generator, corners: set[str]) -> FairProblem:
    """Data and settings, without terms."""
    n, p, m = int(rng.integers(20, 80)), int(rng.integers(1, 6)), int(rng.choice([1, 1, 2, 3]))
    groups = draw_groups(rng, n, corners)
    codes = np.unique(groups, axis=0, return_inverse=True)[1].ravel()
    X = rng.normal(size=(n, p)) + 0.4 * codes[:, None] * rng.normal(size=p)
    if "sparse" in corners:
        X *= rng.random((n, p)) < 0.5
    noise = np.where(codes % 2 == 0, 0.3, 1.5) if "unequal noise" in corners else np.ones(n)
    Y = X @ rng.normal(size=(p, m)) + rng.normal(size=m) + 0.5 * (codes == 0)[:, None]
    slope = np.where(codes == 1, -0.5, 0.2)[:, None] * X[:, :1]
    Y = Y + slope + noise[:, None] * rng.standard_t(4, size=(n, m))
    if "group dummy" in corners:
        X = np.column_stack([X, codes == 0])
    if "rounded y" in corners:
        Y = np.round(Y)
    if "column scales" in corners:
        X = X * 10.0 ** rng.uniform(-3, 3, X.shape[1])
    weight = None
    if "weights" in corners:
        weight = rng.integers(1, 4, n).astype(float)
    if "zero weights" in corners:
        weight = np.where(rng.random(n) < 0.2, 0.0, np.ones(n) if weight is None else weight)
        weight[:10] = 1.0
    alpha = float(rng.choice([0.0, 0.0, 0.02, 0.3]))
    return FairProblem(
        sp.csr_array(X) if "sparse" in corners else X,
        Y if m > 1 else Y[:, 0],
        groups,
        sample_weight=weight,
        loss_mix=float(rng.choice([0.0, 0.2, 0.5, 1.0])),
        quantile=float(rng.choice([0.5, 0.5, 0.3])),
        scale="auto" if rng.random() < 0.25 else float(rng.choice([1.0, 0.5, 3.0])),
        alpha=alpha,
        l1_ratio=float(rng.choice([0.0, 1.0, 0.5])),
        fit_intercept="no intercept" not in corners,
    )


def ask(
    rng: np.random.Generator,
    plain: FairProblem,
    kind: str,
    beyond: bool,
    about: dict[str, str | None] | None = None,
) -> Asked:
    """Terms that bind, measured by the plain fit; out of reach where told so.

    ``about`` names the losses of the terms.
    """
    about = about or {}
    asked: dict[str, Any] = dict(about)
    plain = replace(plain, asked=Asked(**about))
    best, small = solve(plain), 1e-3 * natural(plain, "bound")  # an exact fit leaves no losses
    none = np.zeros(len(plain.data.labels))
    bounded, level = (none, none) if best is None else (best.bounded, best.level)
    losses, level = np.maximum(bounded, small), np.maximum(level, 1e-3 * natural(plain, "spread"))
    size = float(_size(plain.data).min())
    wanted = kind.split()
    if "worst" in wanted:
        asked["worst"] = float(rng.choice([0.3, 0.9, 1.0]))
    if "prediction" in wanted:
        asked["prediction"] = float(rng.choice([0.0, 0.05, 0.2])) * size
    if "residual" in wanted:
        asked["residual"] = float(rng.choice([0.0, 0.05, 0.2])) * size
        # where features cannot close the gap, ask for what they can, or for less
        need = smallest_slack(replace(plain, asked=Asked(**{**asked, "residual": 0.0}))) * size
        asked["residual"] = max(asked["residual"], (0.7 if beyond else 1.1) * need)
    if "spread" in wanted:
        asked["spread"] = float(np.ptp(level) * rng.choice([0.05, 0.3, 0.6, 0.9]))
    if "bound" in wanted:
        some = rng.permutation(len(losses))[: max(1, len(losses) - 1)]
        bound: Any = {plain.data.labels[g]: float(losses[g]) for g in some}
        if rng.random() < 0.6:
            bound = float(losses.max())
        factor = smallest_factor(replace(plain, asked=Asked(**asked, bound=bound)))
        at = rng.uniform(0.6, 0.95) * factor if beyond else factor + rng.choice([0.02, 0.3, 0.8])
        at = at if np.isfinite(at) else 1.0
        scaled = {name: at * b for name, b in bound.items()} if isinstance(bound, dict) else None
        asked["bound"] = at * bound if scaled is None else scaled
    return Asked(**asked)


def draw(seed: int) -> Case:
    """Draw the case of a seed; the kinds take turns."""
    rng = np.random.default_rng([31, seed])
    kind = KINDS[seed % len(KINDS)]
    corners = set(rng.choice(CORNERS, rng.integers(0, 4), replace=False).tolist())
    if "nested groups" in corners:
        corners.discard("duplicate groups")
    plain = _draw_data(rng, corners)
    if "spread" in kind and plain.loss_mix == 1 and "rounded y" in corners:
        plain = replace(plain, loss_mix=0.5)  # ties leave the spread along the path open
    asked = ask(rng, plain, kind, "out of reach" in corners)
    return Case(seed, replace(plain, asked=asked), kind, frozenset(corners))


def draw_own(seed: int) -> Case:
    """Draw a case with terms about losses of their own: mixes, losses and kinds take turns."""
    rng = np.random.default_rng([37, seed])
    turn, which = divmod(seed, len(MIXES) * len(OWN_LOSSES))
    mix, loss = MIXES[which // len(OWN_LOSSES)], OWN_LOSSES[which % len(OWN_LOSSES)]
    kinds = [kind for kind in KINDS if any(name in ON_LOSSES for name in kind.split())]
    kind = kinds[turn % len(kinds)]
    corners = set(rng.choice(CORNERS, rng.integers(0, 4), replace=False).tolist())
    if "nested groups" in corners:
        corners.discard("duplicate groups")
    if "spread" in kind and mix == 1:
        corners.discard("rounded y")  # ties leave the spread along the path open
    plain = replace(_draw_data(rng, corners), loss_mix=mix)
    if len(plain.data.c) > 1 and rng.random() < 0.3:
        plain = replace(plain, scale=rng.uniform(0.5, 3.0, len(plain.data.c)))
    named = [f"{name}_loss" for name in kind.split() if name in ON_LOSSES]
    about = dict.fromkeys(named, loss)
    if len(named) > 1 and rng.random() < 0.5:  # two losses in one fit
        about[named[0]] = [None, *OWN_LOSSES][int(rng.integers(3))]
    asked = ask(rng, plain, kind, "out of reach" in corners, about)
    return Case(seed, replace(plain, asked=asked), f"{kind}: {mix:g} {loss}", frozenset(corners))


# --------------------------------------------------------------------------------------------------
# Judging
# --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """How a case ended: one of STATUSES."""

    case: Case
    status: str
    detail: str = ""

    def __str__(self) -> str:
        corners = ", ".join(sorted(self.case.corners))
        problem = self.case.problem
        settings = f"loss_mix={problem.loss_mix} alpha={problem.alpha} l1={problem.l1_ratio}"
        kind = self.case.kind
        return f"seed {self.case.seed}: {self.status} {self.detail} [{kind}; {settings}; {corners}]"


def run(case: Case) -> Outcome:
    """Fit a case and compare."""
    problem = case.problem
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model = problem.fit()
        except InfeasibleFairnessError as error:
            return Outcome(case, *judge_refusal(problem, str(error)))
        except Exception as error:  # any other exception is an outcome to be counted
            return Outcome(case, "raised", f"{type(error).__name__}: {error}")
    kinds = {warning.category for warning in caught}
    if kinds - {ConvergenceWarning, UnmetFairnessWarning}:
        return Outcome(case, "raised", f"{caught[0].category.__name__}: {caught[0].message}")
    if ConvergenceWarning in kinds:
        return Outcome(case, "declared", str(caught[0].message))
    return Outcome(case, *judge(problem, model, UnmetFairnessWarning in kinds))


def judge_refusal(problem: FairProblem, message: str) -> tuple[str, str]:
    """Whether there is nothing that meets the terms."""
    slack = smallest_slack(problem)
    if slack > 1e-8:
        return "infeasible agreed", message
    data = problem.data
    null = np.zeros((data.X.shape[1], len(data.c)))
    mean = data.v @ data.y if problem.fit_intercept else np.zeros(len(data.c))
    if _is_met(value(problem, null, mean)):
        return "wrong", f"refused, but the mean of y meets it: {message}"
    programme = Programme(problem)
    factor = smallest_factor(problem, programme)
    if factor > 1 - EDGE:
        return "infeasible agreed", message
    if not np.isfinite([slack, factor]).all() or not _is_met(programme.value()):
        return "unchecked", f"refused, and the oracle gave up: {message}"
    return "wrong", f"refused, but factor {factor:.9g} and slack {slack:.3g} can be met: {message}"


def _is_met(found: Value) -> bool:
    """Whether a model meets parities and bounds."""
    return max(found.parity, found.bounds) <= 1e-10


def rounding(
    problem: FairProblem, coef: Any, intercept: Any, kind: str | None = None
) -> tuple[np.ndarray, float]:
    """Changes by rounding of the group losses, (G,), and of a parity relative to the size of y.

    ``kind`` names a loss in units of y that takes the place of the mix.
    """
    data, units = problem.data, problem.data.c**0
    if kind is not None:
        power = 1 + OWN_LOSSES.index(kind)
        problem, units = replace(problem, loss_mix=2.0 - power, quantile=0.5), data.c**power
    models = zip(
        problem.outputs(), np.atleast_2d(coef), np.broadcast_to(intercept, len(data.c)), strict=True
    )
    parts = [(oracles.rounding_changes(*m), oracles.rounding_move(*m)) for m in models]
    changes = [unit * change for unit, (change, _) in zip(units, parts, strict=True)]
    losses = data.averages @ np.mean(changes, axis=0)
    moved = np.array([data.v @ move for _, move in parts]) * data.c / _size(data)
    return np.asarray(losses, float), float(moved.max())


def judge(
    problem: FairProblem, model: PixelLossRegressor, unmet: bool, *, edge: float = 1e-5
) -> tuple[str, str]:
    """Compare a fitted model with its definition and with the oracle."""
    asked = problem.asked
    coef, intercept = np.atleast_2d(model.coef_), model.intercept_
    if not (np.isfinite(coef).all() and np.isfinite(intercept).all()):
        return "wrong", "coefficients that are not finite"
    reached = value(problem, coef.T, intercept)
    got = reached.objective(asked.worst)
    moved, shifted = rounding(problem, coef, intercept)
    near = PROVEN * max(got, 1e-6 * natural(problem))
    own = near + reached.n_outputs * moved.max()
    stated = True
    for kind, here, there in (
        (None, model.group_losses_, reached.losses),
        ("absolute_error", model.group_errors_["mae"], reached.errors[0]),
        ("squared_error", model.group_errors_["mse"], reached.errors[1]),
    ):
        allowed = 1e-9 * there.max() + rounding(problem, coef, intercept, kind)[0]
        stated = stated and bool((abs(here - there) <= allowed).all())
    false_claim = abs(float(np.sum(model.objective_)) - got) > own and asked.spread is None
    limits = np.maximum(bounds(problem), 1e-9 * natural(problem, "bound"))
    excused = rounding(problem, coef, intercept, asked.bound_loss)[0] / limits
    if reached.parity > 1e-7 + shifted or reached.bounds > 1e-7 + excused.max():
        return "wrong", f"violates parity by {reached.parity:.3g}, bounds by {reached.bounds:.3g}"
    if not stated or false_claim:
        return "wrong", f"claims {model.objective_} and {model.group_losses_}, are {reached}"
    if asked.spread is not None:
        return _judge_spread(problem, reached, unmet, edge)
    return _judge_optimum(problem, got, near, float(np.sum(model.dual_gap_)))


def _judge_spread(
    problem: FairProblem, reached: Value, unmet: bool, edge: float
) -> tuple[str, str]:
    """Compare the answer to an `EqualizedLoss` with the oracle's path."""
    if Path(problem).top() is None:
        return "unchecked", "gave up"
    fault = judge_path(problem, reached, unmet, edge=edge)
    if fault.startswith(BEATEN):
        return "unchecked", fault
    return ("wrong", fault) if fault else ("certified", "")


def _judge_optimum(problem: FairProblem, got: float, near: float, gap: float) -> tuple[str, str]:
    """Compare an attained objective, and the bound on its excess, with the oracle."""
    best, model = solve_model(problem)
    if best is None:
        refused = smallest_factor(problem) > 1 + EDGE or smallest_slack(problem) > EDGE
        return ("wrong", "fitted what cannot be met") if refused else ("unchecked", "gave up")
    optimum = best.objective(problem.asked.worst)
    # Only the oracle's own model says what rounding excuses: one that explodes excuses anything.
    near += best.n_outputs * rounding(problem, model[0].T, model[1])[0].max()
    detail = f"reaches {got:.12g}, gap {gap:.3g}, oracle {optimum:.12g}"
    broken = max(best.parity, best.bounds) > 1e-9
    if got > optimum + near or got - gap > optimum + near:
        return ("unchecked" if broken else "wrong"), detail
    return ("unchecked" if near < got < optimum - near else "certified"), detail


def run_all(seeds: Iterable[int], draw: Callable[[int], Case] = draw) -> list[Outcome]:
    """Run the cases of all seeds."""
    return [run(draw(seed)) for seed in seeds]


def report(outcomes: list[Outcome]) -> str:
    """Counts of kinds, corners and outcomes, and a line for each case that is not certified."""
    parts = (
        ("kinds", Counter(outcome.case.kind for outcome in outcomes)),
        ("corners", Counter(corner for outcome in outcomes for corner in outcome.case.corners)),
        ("outcomes", Counter(outcome.status for outcome in outcomes)),
    )
    lines = [f"{name}: {dict(counts.most_common())}" for name, counts in parts]
    good = ("certified", "infeasible agreed")
    return "\n".join([*lines, *(str(o) for o in outcomes if o.status not in good)])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=500)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--own-losses", action="store_true")
    options = parser.parse_args()
    seeds = range(options.start, options.start + options.n)
    print(report(run_all(seeds, draw_own if options.own_losses else draw)))


if __name__ == "__main__":
    main()
