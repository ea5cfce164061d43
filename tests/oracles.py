"""Independent solutions of a RegressionProblem, and its objective in extended precision.

Nothing here imports the package. Every oracle solves a standardised form of one output and returns
its answer in the original units, valued by ``objective``; a bad oracle can therefore only be too
lenient, never wrong about what it reached.
"""

from __future__ import annotations

import contextlib
import operator
import warnings
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations
from typing import Any

import clarabel
import numpy as np
import scipy.linalg
import scipy.optimize
import scipy.sparse as sp

from tests.problems import LONG, RegressionProblem

_DOUBT = 1e-8  # a gap, relative to the objective, from which other columns are tried


class NoSolutionError(RuntimeError):
    """An oracle that gives up on a problem."""


@dataclass(frozen=True)
class OracleSolution:
    """Coefficients of one output, the objective there, and a lower bound on the optimum."""

    coef: np.ndarray
    intercept: float
    objective: float
    lower_bound: float = -np.inf


def loss(problem: RegressionProblem, residual: np.ndarray) -> np.ndarray:
    """Loss of each residual, in extended precision."""
    z = LONG(residual) / LONG(problem.scale)
    lam, tau = LONG(problem.loss_mix), LONG(problem.quantile)
    return lam * (abs(z) + (2 * tau - 1) * z) + (1 - lam) * z**2


def objective(problem: RegressionProblem, coef: Any, intercept: Any) -> float:
    """Objective of a one-output problem at the given coefficients, in extended precision."""
    X, w = LONG(problem.X), LONG(coef)
    r = LONG(problem.y) - X @ w - LONG(intercept)
    penalty = LONG(problem.l1) * abs(w).sum() + LONG(problem.l2) / 2 * (w**2).sum()
    return float(problem.weights @ loss(problem, r) + penalty)


def rounding_move(problem: RegressionProblem, coef: Any, intercept: Any) -> np.ndarray:
    """Move of each residual by rounding, 8 eps (|y| + sum |x w| + |b|) / c, (n,)."""
    size = abs(LONG(problem.y)) + abs(LONG(problem.X)) @ abs(LONG(coef)) + abs(LONG(intercept))
    return 8 * np.finfo(np.asarray(coef).dtype).eps * size / problem.scale


def rounding_changes(problem: RegressionProblem, coef: Any, intercept: Any) -> np.ndarray:
    """Change of each row's loss when its residual moves by what rounding may, (n,)."""
    move = rounding_move(problem, coef, intercept)
    z = abs(LONG(problem.y) - LONG(problem.X) @ LONG(coef) - LONG(intercept)) / problem.scale
    lam, steepest = problem.loss_mix, 2 * max(problem.quantile, 1 - problem.quantile)
    return lam * steepest * move + (1 - lam) * (2 * z * move + move**2)


def rounding_floor(problem: RegressionProblem, coef: Any, intercept: Any) -> float:
    """Change of the objective when every residual moves by what rounding may."""
    return float(problem.weights @ rounding_changes(problem, coef, intercept))


def auto_scale(y: np.ndarray, v: np.ndarray, fit_intercept: bool) -> float:
    """The scale "auto" of outputs (n, m) under weights v, from its definition."""
    deviation = np.array([_mean_deviation(column, v, fit_intercept) for column in y.T])
    largest = deviation.max()
    share = deviation / (largest or 1.0)  # squares overflow
    return float(2 * largest * (share**2).sum() / share.sum()) if largest else 1.0


def _mean_deviation(y: np.ndarray, v: np.ndarray, fit_intercept: bool) -> float:
    """Sum v |y - median|, or sum v |y| without intercept; 0 where it is rounding of the median."""
    order = np.argsort(y)
    median = y[order][np.searchsorted(np.cumsum(v[order]), 0.5)] if fit_intercept else 0.0
    deviation = float(v @ abs(LONG(y) - median))
    return 0.0 if deviation <= 8 * np.finfo(float).eps * abs(median) else deviation


def constant_loss(problem: RegressionProblem) -> float:
    """Loss of the best constant prediction, by bisection on the derivative."""
    y, v = LONG(problem.y), problem.weights
    lam, tau, c = LONG(problem.loss_mix), LONG(problem.quantile), LONG(problem.scale)
    low, high = y.min(), y.max()
    for _ in range(200):
        middle = (low + high) / 2
        z = (y - middle) / c
        slope = v @ (lam * (np.sign(z) + 2 * tau - 1) + 2 * (1 - lam) * z)
        low, high = (middle, high) if slope > 0 else (low, middle)
    return float(min(v @ loss(problem, y - b) for b in (low, high)))


@dataclass(frozen=True)
class Standardised:
    """Columns centred and of unit size, y centred and of unit size, with the way back.

    ``column`` is the size of a column or, where larger, of its penalty in units of the loss, so
    that neither a tiny nor a heavily penalised column spoils the scaling.
    """

    X: np.ndarray
    y: np.ndarray
    v: np.ndarray
    centre: np.ndarray
    column: np.ndarray
    y_centre: float
    y_size: float

    @classmethod
    def of(cls, problem: RegressionProblem) -> Standardised:
        """Standardise a one-output problem."""
        X, y, v = LONG(problem.X), LONG(problem.y), problem.weights
        centre = v @ X if problem.fit_intercept else np.zeros(X.shape[1], LONG)
        y_centre = v @ y if problem.fit_intercept else LONG(0)
        spread = np.sqrt(v @ (X - centre) ** 2)
        spread[spread <= 1e-14 * abs(centre)] = 0
        penalty = problem.scale * max(problem.l1, np.sqrt(problem.l2 / 2))
        column = np.maximum(spread, penalty)
        column[column == 0] = 1
        size = v @ abs(y - y_centre)
        size = size if size > 0 else LONG(1)
        Z = np.where(spread > 0, X - centre, 0) / column
        parts = (Z, (y - y_centre) / size, v, centre, column)
        return cls(*(np.asarray(a, float) for a in parts), float(y_centre), float(size))

    def restore(self, coef: np.ndarray, intercept: float) -> tuple[np.ndarray, float]:
        """Coefficients and intercept in the units of the problem."""
        w = LONG(coef) * self.y_size / self.column
        b = LONG(intercept) * self.y_size + self.y_centre - LONG(self.centre) @ w
        return np.asarray(w, float), float(b)


def _programme(problem: RegressionProblem, std: Standardised) -> tuple[Any, ...]:
    """Write the standardised problem as a quadratic programme in w, b, t >= |w|, r+ and r-.

    minimise  sum_i v_i (lam (2 tau r+_i + 2 (1 - tau) r-_i) u + (1 - lam) (r+_i^2 + r-_i^2) u^2)
              + sum_j (l1 t_j s / d_j + l2/2 (w_j s / d_j)^2),   s size of y, d of X, u = s / c
    subject to  X w + b + r+ - r- = y,   r+, r- >= 0,   -t <= w <= t.

    Returns the diagonal of the quadratic, the linear costs, the equality and the inequality matrix.
    """
    n, p = std.X.shape
    unit, column = std.y_size / problem.scale, std.y_size / std.column
    lam, tau = problem.loss_mix, problem.quantile
    b, t = int(problem.fit_intercept), p * (problem.l1 > 0)
    square = 2 * (1 - lam) * std.v * unit**2
    quadratic = np.concatenate(
        [(np.sqrt(problem.l2) * column) ** 2, np.zeros(b + t), square, square]
    )
    up, down = 2 * lam * tau * std.v * unit, 2 * lam * (1 - tau) * std.v * unit
    linear = np.concatenate([np.zeros(p + b), problem.l1 * column[:t], up, down])
    eye = sp.identity(n)
    A = sp.hstack([std.X, np.ones((n, b)), sp.csc_array((n, t)), eye, -eye], format="csc")
    parts = sp.hstack([sp.csc_array((2 * n, p + b + t)), -sp.identity(2 * n)])
    side = sp.hstack([sp.identity(p), sp.csc_array((p, b)), sp.csc_array((p, t + 2 * n))])
    bound = sp.hstack([sp.csc_array((t, p + b)), sp.identity(t), sp.csc_array((t, 2 * n))])
    sides = [side - bound, -side - bound] if t else []
    return quadratic, linear, A, sp.vstack([parts, *sides], format="csc")


def _objective_unit(problem: RegressionProblem, std: Standardised) -> float:
    """Loss without the features; in units of it the solvers' absolute tolerances are relative."""
    return float(problem.weights @ loss(problem, problem.y - std.y_centre)) or 1.0


def _unpack(problem: RegressionProblem, std: Standardised, x: np.ndarray) -> tuple[Any, float]:
    """Coefficients and intercept from the variables of the programme."""
    p = std.X.shape[1]
    coef, intercept = std.restore(x[:p], x[p] if problem.fit_intercept else 0.0)
    return coef, intercept if problem.fit_intercept else 0.0


def _project(problem: RegressionProblem, std: Standardised, z: np.ndarray) -> np.ndarray:
    """Remove from the row duals what acts on an unpenalised column or on the intercept.

    In the metric of the weights: a row of hardly any weight can carry hardly any dual.
    """
    root, n = np.sqrt(std.v), std.v.size
    ones = np.ones((n, int(problem.fit_intercept)))
    free = ones if problem.alpha > 0 else np.hstack([std.X, ones])
    u = root * z
    if free.any():
        Q, R, _ = scipy.linalg.qr(free * root[:, None], mode="economic", pivoting=True)
        diagonal = abs(np.diag(R))
        Q = Q[:, : diagonal.size][:, diagonal > 1e-13 * diagonal.max()]
        for _ in range(2):
            u = u - Q @ (Q.T @ u)
    return LONG(u) / np.sqrt(problem.weights)


def dual_bound(
    problem: RegressionProblem, coef: np.ndarray, intercept: float, row_dual: np.ndarray
) -> float:
    """Lower bound on the objective from a primal point and derivatives of the weighted losses.

    sum_i v_i (z_i y_i / c - l*(z_i)) - (conjugate penalty)(X'(v z) / c), for any z with
    X'(v z) = 0 in unpenalised directions. What rounding leaves of that condition is charged
    against coefficients twice as large as those given.
    """
    std = Standardised.of(problem)
    v, c = problem.weights, LONG(problem.scale)
    lam, tilt = LONG(problem.loss_mix), LONG(problem.loss_mix) * (2 * problem.quantile - 1)
    r = LONG(problem.y) - LONG(problem.X) @ LONG(coef) - LONG(intercept)
    middle = tilt + 2 * (1 - lam) * r / c
    z = _project(
        problem, std, np.asarray(np.clip(row_dual * c / v, middle - lam, middle + lam), float)
    )
    g, limit, shrink = LONG(std.X).T @ (v * z / c), LONG(problem.l1) / std.column, LONG(1)
    if lam == 1:
        box = np.where(z > 0, tilt + 1, 1 - tilt)
        shrink = (box / np.maximum(abs(z), box)).min()
    if problem.l1 > 0 and problem.l2 == 0:
        shrink = min(shrink, (limit / np.maximum(abs(g), limit)).min())
    z, g = z * shrink, g * shrink
    value = v @ (z * (LONG(problem.y) - std.y_centre)) / c
    if lam < 1:
        value -= v @ (np.maximum(abs(z - tilt) - lam, 0) ** 2) / (4 * (1 - lam))
    if problem.l2 > 0:
        value -= ((np.maximum(abs(g) - limit, 0) * std.column) ** 2).sum() / (2 * LONG(problem.l2))
    size = abs(coef) * std.column
    left = abs(g) @ size if problem.alpha == 0 else LONG(0)
    if problem.fit_intercept:
        left += abs(v @ z / c) * (std.y_size + (abs(std.X) @ size).max())
    return float(value - 2 * left)


def _solution(
    problem: RegressionProblem, coef: np.ndarray, intercept: float, row_dual: np.ndarray
) -> OracleSolution:
    """Value a pair of a primal and a dual point."""
    bound = dual_bound(problem, coef, intercept, row_dual)
    return OracleSolution(coef, intercept, objective(problem, coef, intercept), bound)


def _clarabel_once(problem: RegressionProblem) -> tuple[np.ndarray, float, np.ndarray]:
    """Clarabel on the standardised programme, with the tightest tolerance that it reaches."""
    std = Standardised.of(problem)
    quadratic, linear, A, G = _programme(problem, std)
    unit = _objective_unit(problem, std)
    settings = clarabel.DefaultSettings()
    settings.verbose, settings.max_threads = False, 1
    n = std.y.size
    cones = [clarabel.ZeroConeT(n), clarabel.NonnegativeConeT(G.shape[0])]
    P, rows = sp.diags(quadratic / unit, format="csc"), sp.vstack([A, G], format="csc")
    h = np.concatenate([std.y, np.zeros(G.shape[0])])
    for tol in (1e-12, 1e-10, 1e-8):
        settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = tol
        result = clarabel.DefaultSolver(P, linear / unit, rows, h, cones, settings).solve()
        if result.status == clarabel.SolverStatus.Solved:
            break
    coef, intercept = _unpack(problem, std, np.array(result.x))
    return coef, intercept, -np.array(result.z)[:n] * unit / std.y_size


def solve_clarabel(problem: RegressionProblem, rounds: int = 3) -> OracleSolution:
    """Interior-point solution of a one-output problem.

    Without a penalty the residuals are solved for again until nothing is gained: where the best
    objective is far below that of a constant, one run is accurate only relative to the latter.
    """
    coef, intercept, dual = _clarabel_once(problem)
    best = _solution(problem, coef, intercept, dual)
    for _ in range(rounds if problem.alpha == 0 else 0):
        r = LONG(problem.y) - LONG(problem.X) @ LONG(best.coef) - LONG(best.intercept)
        if not np.isfinite(best.objective) or not r.any():
            break
        step, shift, dual = _clarabel_once(replace(problem, y=np.asarray(r, float)))
        refined = _solution(problem, best.coef + step, best.intercept + shift, dual)
        bound = max(best.lower_bound, refined.lower_bound)
        if not refined.objective < best.objective * (1 - 1e-7):
            return replace(best, lower_bound=bound)
        best = replace(refined, lower_bound=bound)
    return best


def solve_highs(problem: RegressionProblem) -> OracleSolution:
    """Linear-programming solution, for loss_mix = 1 without ridge penalty."""
    if problem.loss_mix < 1 or problem.l2 > 0:
        raise ValueError("a quadratic term is no linear programme")
    std = Standardised.of(problem)
    _, linear, A, G = _programme(problem, std)
    unit = _objective_unit(problem, std)
    tight = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    result = scipy.optimize.linprog(
        linear / unit, G, np.zeros(G.shape[0]), A, std.y, (None, None), "highs-ds", options=tight
    )
    if result.x is None:
        return OracleSolution(np.zeros(std.X.shape[1]), 0.0, np.inf)
    coef, intercept = _unpack(problem, std, result.x)
    return _solution(problem, coef, intercept, result.eqlin.marginals * unit / std.y_size)


def solve_lstsq(problem: RegressionProblem) -> OracleSolution:
    """Least-squares solution with one step of refinement, for loss_mix = 0 without L1 penalty."""
    if problem.loss_mix > 0 or problem.l1 > 0:
        raise ValueError("an absolute value is no least-squares problem")
    std = Standardised.of(problem)
    root, p = np.sqrt(std.v), std.X.shape[1]
    ridge = problem.scale * np.sqrt(problem.l2 / 2) / std.column
    ones = root[:, None] * np.ones((root.size, int(problem.fit_intercept)))
    top = np.hstack([root[:, None] * std.X, ones])
    A = np.vstack([top, np.eye(p, top.shape[1]) * np.append(ridge, np.zeros(ones.shape[1]))])
    target = np.append(root * std.y, np.zeros(p))
    x = np.zeros(A.shape[1], LONG)
    for _ in range(2):
        x = x + scipy.linalg.lstsq(A, np.asarray(target - LONG(A) @ x, float), cond=1e-14)[0]
    coef, intercept = std.restore(x[:p], x[p] if problem.fit_intercept else 0.0)
    intercept = intercept if problem.fit_intercept else 0.0
    r = LONG(problem.y) - LONG(problem.X) @ LONG(coef) - intercept
    dual = np.asarray(2 * problem.weights * r / LONG(problem.scale) ** 2, float)
    return _solution(problem, coef, intercept, dual)


def _orthogonal(problem: RegressionProblem) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Orthonormal columns (n, k) of the span of the centred ones, and what makes them of these.

    Gram and Schmidt twice, in extended precision: columns (p,) of R with X - centre = Q R, those
    that the others determine left out.
    """
    v = LONG(problem.weights)
    X = LONG(problem.X) - (v @ LONG(problem.X) if problem.fit_intercept else 0)
    units: list[np.ndarray] = []
    R, kept = np.zeros((X.shape[1],) * 2, LONG), []
    for j, column in enumerate(X.T):
        rest = column.copy()
        for _ in range(2):
            for i, unit in zip(kept, units, strict=True):
                along = v @ (unit * rest)
                R[i, j] += along
                rest = rest - along * unit
        R[j, j] = np.sqrt(v @ rest**2)
        if R[j, j] > 1e-16 * np.sqrt(v @ LONG(problem.X[:, j]) ** 2):
            units.append(rest / R[j, j])
            kept.append(j)
    Q = np.column_stack(units) if units else X[:, :0]
    return Q, R, np.array(kept, dtype=int)


def solve_orthogonal(problem: RegressionProblem) -> OracleSolution:
    """The best of the oracles without a penalty, in orthonormal columns of the same span."""
    if problem.alpha > 0:
        raise ValueError("a penalty is on coefficients")
    Q, R, kept = _orthogonal(problem)
    found = _solve_as_it_is(replace(problem, X=np.asarray(Q, float)))
    w = np.zeros(R.shape[1], LONG)
    for place in reversed(range(len(kept))):  # R w = θ
        j = kept[place]
        w[j] = (LONG(found.coef[place]) - R[j, kept] @ w[kept]) / R[j, j]
    shift = LONG(problem.weights) @ LONG(problem.X) @ w if problem.fit_intercept else 0
    return replace(found, coef=np.asarray(w, float), intercept=float(found.intercept - shift))


def _eliminate(rows: list[list[Fraction]]) -> tuple[list[Fraction], int]:
    """A solution of [A | b] by Gauss-Jordan with free unknowns 0, and the rank; [] without one."""
    rows, pivots, width = [row[:] for row in rows], [], len(rows[0]) - 1
    for j in range(width):
        k = len(pivots)
        pivot = next((i for i in range(k, len(rows)) if rows[i][j]), None)
        if pivot is None:
            continue
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [x / rows[k][j] for x in rows[k]]
        for i, row in enumerate(rows):
            if i != k and row[j]:
                rows[i] = [x - row[j] * y for x, y in zip(row, rows[k], strict=True)]
        pivots.append(j)
    if any(row[-1] for row in rows[len(pivots) :]):
        return [], len(pivots)
    solution = [Fraction(0)] * width
    for k, j in enumerate(pivots):
        solution[j] = rows[k][-1]
    return solution, len(pivots)


def _rational(values: Any) -> list[Fraction]:
    """Floats as the fractions that they are."""
    return [Fraction(float(value)) for value in values]


@dataclass(frozen=True)
class Rational:
    """A tiny problem in fractions: rows of (X, 1) and y, weights v, and penalties, over c = 1."""

    A: list[list[Fraction]]
    y: list[Fraction]
    v: list[Fraction]
    tau: Fraction
    l1: Fraction
    l2: Fraction
    p: int
    absolute: bool

    @classmethod
    def of(cls, problem: RegressionProblem) -> Rational:
        """Read a problem with loss_mix 0 or 1."""
        n, p = problem.X.shape
        free = [Fraction(1)] if problem.fit_intercept else []
        s = _rational(np.ones(n) if problem.sample_weight is None else problem.sample_weight)
        c, alpha, rho, tau = _rational(
            [problem.scale, problem.alpha, problem.l1_ratio, problem.quantile]
        )
        rows = [[x / c for x in _rational(row) + free] for row in problem.X]
        y = [value / c for value in _rational(problem.y)]
        l1, l2 = alpha * rho / c, alpha * (1 - rho) / c**2
        return cls(rows, y, [w / sum(s) for w in s], tau, l1, l2, p, problem.loss_mix == 1)

    def value(self, x: list[Fraction]) -> Fraction:
        """The objective at coefficients and intercept."""
        r = [y - sum(map(operator.mul, row, x)) for row, y in zip(self.A, self.y, strict=True)]
        slopes = 2 * self.tau, -2 * (1 - self.tau)
        losses = [slopes[e < 0] * e if self.absolute else e**2 for e in r]
        penalty = sum(self.l1 * abs(w) + self.l2 / 2 * w**2 for w in x[: self.p])
        return sum(map(operator.mul, self.v, losses)) + penalty

    def normal_solution(self) -> list[Fraction]:
        """A solution of the normal equations."""
        columns = [*zip(*self.A, strict=True), self.y]
        moments = [
            [2 * sum(map(operator.mul, map(operator.mul, self.v, one), other)) for other in columns]
            for one in columns[:-1]
        ]
        for j in range(self.p):
            moments[j][j] += self.l2
        return _eliminate(moments)[0]

    def best_vertex(self) -> list[Fraction]:
        """A point where as many residuals and penalised coefficients are 0 as can be."""
        d = len(self.A[0])
        kinks = [[*row, y] for row, y in zip(self.A, self.y, strict=True)]
        if self.l1 > 0:
            kinks += [[Fraction(int(k == j)) for k in range(d + 1)] for j in range(self.p)]
        rank = _eliminate([[*row[:-1], Fraction(0)] for row in kinks])[1]
        found = (_eliminate(list(chosen)) for chosen in combinations(kinks, rank))
        return min((x for x, r in found if x and r == rank), key=self.value)


def solve_exact(problem: RegressionProblem) -> OracleSolution:
    """Optimum in rational arithmetic, of a tiny problem that `is_tiny`.

    Squares: the normal equations. Without any, some optimum is a vertex, and all are tried.
    """
    rational = Rational.of(problem)
    best = rational.best_vertex() if rational.absolute else rational.normal_solution()
    optimum, p = float(rational.value(best)), rational.p
    coef = np.array([float(w) for w in best[:p]])
    return OracleSolution(coef, float(best[p]) if len(best) > p else 0.0, optimum, optimum)


def is_tiny(problem: RegressionProblem) -> bool:
    """True where `solve_exact` takes a moment at most."""
    pure = (problem.loss_mix == 1 and problem.l2 == 0) or (problem.loss_mix == 0 and not problem.l1)
    return pure and problem.X.shape[0] <= 7 and problem.X.shape[1] <= 2


def solve(problem: RegressionProblem) -> OracleSolution:
    """Best of the oracles that can take a one-output problem: least objective, largest bound."""
    if is_tiny(problem):
        return solve_exact(problem)
    best = _solve_as_it_is(problem)
    if problem.alpha > 0 or best.objective - best.lower_bound <= _DOUBT * best.objective:
        return best
    other = solve_orthogonal(problem)
    bound = max(best.lower_bound, other.lower_bound)
    return replace(min(best, other, key=lambda s: s.objective), lower_bound=bound)


def _solve_as_it_is(problem: RegressionProblem) -> OracleSolution:
    """The same in the problem's own columns."""
    found = [solve_clarabel(problem)]
    if problem.loss_mix == 1 and problem.l2 == 0:
        found.append(solve_highs(problem))
    if problem.loss_mix == 0 and problem.l1 == 0:
        found.append(solve_lstsq(problem))
    best = min((s for s in found if np.isfinite(s.objective)), key=lambda s: s.objective)
    return replace(best, lower_bound=max(0.0, *(s.lower_bound for s in found)))  # no loss is < 0


def solve_tie_rule(problem: RegressionProblem) -> OracleSolution:
    """The optimum that the limit loss_mix -> 1 selects, for a small problem with loss_mix = 1.

    Three programmes: least L1 + penalty; among its optima least Q / c^2 + penalty, Q the weighted
    sum of squares; among those with the same predictions and penalty the least norm.
    """
    import cvxpy as cp

    v, c = np.asarray(problem.weights, float), problem.scale
    w, b = cp.Variable(problem.X.shape[1]), cp.Variable()
    fixed = [] if problem.fit_intercept else [b == 0]
    z = (problem.y - problem.X @ w - b) / c
    penalty = problem.l1 * cp.norm1(w) + problem.l2 / 2 * cp.sum_squares(w)
    absolute = v @ (cp.abs(z) + (2 * problem.quantile - 1) * z) + penalty

    def least(value: Any, *constraints: Any) -> float:
        programme = cp.Problem(cp.Minimize(value), [*constraints, *fixed])
        for tol in (1e-11, 1e-10, 1e-9, 1e-8, 1e-7):
            tight = {"tol_gap_abs": tol, "tol_gap_rel": tol, "tol_feas": tol}
            with warnings.catch_warnings(), contextlib.suppress(cp.SolverError):
                warnings.simplefilter("ignore")  # an inaccurate solution is tried again
                programme.solve("CLARABEL", **tight)
                if programme.status == cp.OPTIMAL:
                    return programme.value
        raise NoSolutionError("no solution of the tie rule to compare with")

    optimum = least(absolute)
    optimal = absolute <= optimum + 1e-9 * max(optimum, 1e-3)
    least(v @ cp.square(z) + penalty, optimal)
    middle = problem.X.mean(axis=0) * problem.fit_intercept
    _, size, V = np.linalg.svd(problem.X - middle)
    kept = V[: np.sum(size > 1e-10 * max(size[0], 1.0))] @ w.value
    start, total = float(b.value + middle @ w.value), np.abs(w.value).sum()
    if kept.size < w.size and not problem.l2:  # a ridge leaves one optimum
        same = [middle @ w + b == start]
        same += [V[: kept.size] @ w == kept] if kept.size else []
        same += [cp.norm1(w) <= total + 1e-9] if problem.l1 else []
        least(cp.sum_squares(w), *same)
    coef, intercept = np.array(w.value), float(b.value)
    return OracleSolution(coef, intercept, objective(problem, coef, intercept))
