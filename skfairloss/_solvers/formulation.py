r"""One output of a `Problem` as a `KinkedQuadratic`, relative to a model, and back.

Row i of the data has the dual interval v_i [lower, upper] of the loss, coefficient j under an L1
penalty is the row 0 - s_j w_j with the interval l1/s_j [-1, 1], s_j the norm of its column. The
squared loss and the ridge make H = 2(1-λ) AᵀVA + l2 TᵀT.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import Lock

import numpy as np

from skfairloss._cached import cached_property
from skfairloss._core.problem import Problem
from skfairloss._core.solution import Measured, Start
from skfairloss._design.basis import Basis
from skfairloss._design.design_rows import coefficient_rows
from skfairloss._design.factor import coefficient_basis, column_spread
from skfairloss._design.rows import DenseRows, Rows
from skfairloss._solvers.kinked import KinkedQuadratic, KinkedSolution
from skfairloss._typing import Array, Index


@dataclass(frozen=True)
class Model:
    """One output's coefficients (p,), intercept, residual (n,) and the duals a of all its rows.

    ``dual`` holds the n rows of the data, then the rows of the L1 penalty; ``gap`` is the solver's
    own, relative to the objective it aims at; ``stopped`` tells that it was not to go on; ``band``
    names all rows of the data whose duals may be inside their intervals, if not any may;
    ``measured`` is what the certificate's pass found of this very model, if it was gone through.
    """

    coef: Array
    intercept: float
    residual: Array
    dual: Array
    gap: float
    stopped: bool = False
    band: Index | None = None
    measured: Measured | None = None


@dataclass(frozen=True)
class Iteration:
    """State of the fit after an iteration on one output.

    Parameters
    ----------
    output : the output; None where all outputs move together.
    finished : whether this is its final model, rather than an iteration.
    coef, intercept : the latest models of all outputs, (p, m) and (m,). The solver goes on writing
        to these arrays: copy what is to be kept.
    """

    output: int | None
    finished: bool
    coef: Array
    intercept: Array


@dataclass(frozen=True)
class Progress:
    """The latest models of all outputs, (p, m) and (m,), and who is told: one call at a time."""

    coef: Array
    intercept: Array
    on_iteration: Callable[[Iteration], bool]
    lock: Lock = field(default_factory=Lock)

    def report(self, k: int, coef: Array, intercept: float, finished: bool = False) -> bool:
        """Tell of a model of output k; whether to stop."""
        with self.lock:
            self.coef[:, k], self.intercept[k] = coef, intercept
            return bool(self.on_iteration(Iteration(k, finished, self.coef, self.intercept)))

    def report_all(self, coef: Array, intercept: Array, finished: bool = False) -> bool:
        """Tell of a model of all outputs; whether to stop."""
        with self.lock:
            return bool(self.on_iteration(Iteration(None, finished, coef, intercept)))


@dataclass(frozen=True)
class Options:
    """Limits of a fit, where it starts, and what hears of its iterations.

    Parameters
    ----------
    tol : relative gap aimed at.
    max_iter : iterations allowed.
    start : models thought to be close to the optimum. None where there are none.
    progress : what reports every iteration, and can stop. None where nobody asks for it.
    n_jobs : outputs solved at a time, in threads.
    on_iteration : what ``progress`` calls.
    """

    tol: float
    max_iter: int
    start: Start | None = None
    progress: Progress | None = None
    n_jobs: int | None = None
    on_iteration: Callable[[Iteration], bool] | None = None

    @property
    def models(self) -> tuple[Array, Array] | None:
        """The models to start from, (p, m) and (m,). None where there are none."""
        return None if self.start is None else (self.start.coef, self.start.intercept)

    def reporting(self, problem: Problem, start: tuple[Array, Array] | None = None) -> Options:
        """Return the same with a progress reporter, from the given models (zeros by default)."""
        if self.on_iteration is None:
            return self
        if start is None:
            nothing = np.zeros((problem.design.shape[1], problem.n_outputs))
            start = nothing, np.zeros(problem.n_outputs)
        models = start[0].copy(), start[1].copy()
        return replace(self, progress=Progress(*models, self.on_iteration))

    def after(self, spent: int) -> Options:
        """Return the options with the iterations that are left; one is always left."""
        return replace(self, max_iter=max(1, self.max_iter - spent))

    def watch(
        self, output: Output, coef: Array, intercept: float
    ) -> Callable[[KinkedSolution], bool] | None:
        """Return what `interior_point` is to call where δ is relative to the given model."""
        progress = self.progress
        if progress is None:
            return None

        def on_iteration(found: KinkedSolution) -> bool:
            change, shift = output.basis.to_model(found.delta)
            return progress.report(output.k, coef + change, intercept + float(shift))

        return on_iteration


@dataclass(frozen=True)
class Output:
    """Output k of a problem, to be solved in the coordinates of a basis.

    ``shared`` holds all rows of the data in these coordinates, (n, d), where outputs share them.
    """

    problem: Problem
    k: int
    basis: Basis
    shared: Array | None = None

    @cached_property
    def alone(self) -> Problem:
        """The problem without the other outputs."""
        if self.problem.n_outputs == 1:
            return self.problem
        return self.problem.outputs(slice(self.k, self.k + 1))

    @property
    def y(self) -> Array:
        """The targets, (n,)."""
        return self.problem.y[:, self.k]

    @property
    def has_kinks(self) -> bool:
        """True where the rows of the data have a kink."""
        return self.problem.loss.loss_mix > 0

    @cached_property
    def penalised(self) -> Index:
        """Columns with a row of the L1 penalty."""
        here = self.basis.norms > 0 if self.problem.l1 > 0 else np.zeros(0, dtype=bool)
        return np.flatnonzero(here)

    @cached_property
    def interval(self) -> tuple[Array, Array]:
        """Ends of the dual intervals of the data's rows, then of the penalty's."""
        loss, weights = self.problem.loss, self.problem.weights
        low, high = self.penalty_interval
        return (
            np.concatenate([loss.lower * weights, low]),
            np.concatenate([loss.upper * weights, high]),
        )

    @cached_property
    def penalty_interval(self) -> tuple[Array, Array]:
        """Ends of the dual intervals of the penalty's rows."""
        width = self.problem.l1 / self.basis.norms[self.penalised]
        return -width, width

    def rows(self, index: Index | None = None) -> Rows:
        """Rows of the data, all of them when index is None, in the coordinates of the basis."""
        if self.shared is None:
            return self.problem.design.rows(self.basis, index)
        return DenseRows(self.shared if index is None else self.shared[index])

    def quadratic(
        self, coef: Array, gram: Array, linear: Array, constant: float
    ) -> KinkedQuadratic:
        """Return the problem at a model with the rows of the penalty alone, given AᵀVA and g."""
        (low, high), columns = self.penalty_interval, self.penalised
        return KinkedQuadratic(
            rows=self.penalty_rows,
            residual=-(self.basis.norms[columns] * coef[columns]),
            lower=low,
            upper=high,
            hessian=self.hessian(gram),
            linear=linear,
            constant=constant,
            unit=self.spread,
        )

    def hessian(self, gram: Array) -> Array:
        """H, given AᵀVA as the rows at hand have it: a rounded A must not contradict it."""
        d = self.basis.n_directions
        out = self.problem.loss.curvature * gram
        if self.problem.l2 > 0:
            out[:d, :d] += self.problem.l2 * self.basis.norm_gram
        return out

    def smooth_gradient(self, coef: Array, residual: Array) -> Array:
        """g: minus the gradient of squared loss and ridge at a model."""
        problem = self.problem
        if problem.loss.curvature == 0:
            return self.downhill(coef, np.zeros(len(coef)), 0.0)
        u = problem.loss.curvature * (problem.weights * residual)
        return self.downhill(coef, problem.design.adjoint(u), float(problem.design.total(u)))

    def downhill(self, coef: Array, adjoint: Array, total: float) -> Array:
        """Minus a gradient at a model, from Xᵀu and 1ᵀu of the rows; the ridge's share is added."""
        basis = self.basis
        out = basis.pull_back(adjoint, total)
        if self.problem.l2 > 0:
            out[: basis.n_directions] -= self.problem.l2 * (basis.transform.T @ coef)
        return out

    def squares(self, coef: Array, residual: Array) -> float:
        """Squared loss and ridge of a model."""
        problem = self.problem
        out = 0.5 * problem.l2 * float(coef @ coef)
        if problem.loss.curvature > 0:
            out += 0.5 * problem.loss.curvature * float((problem.weights * residual) @ residual)
        return out

    @cached_property
    def spread(self) -> float:
        """Weighted mean of |y - mean y|, or of |y| without an intercept; from a sample if any."""
        y, weights, sample = self.y, self.problem.weights, self.problem.sample
        if sample is not None:
            y, weights = y[sample.index], sample.weights
        center = weights @ y if self.problem.fit_intercept else 0.0
        return float(weights @ np.abs(y - center))

    @cached_property
    def penalty_rows(self) -> Rows:
        """Rows s_j w_j of the L1 penalty."""
        return coefficient_rows(self.basis, self.penalised)

    def predict(self, coef: Array, intercept: float) -> Array:
        """Predictions of a model, (n,)."""
        return self.problem.design.predict(coef, intercept)

    def residual(self, coef: Array, intercept: float) -> Array:
        """y - predictions, (n,)."""
        out = self.predict(coef, intercept)
        return np.subtract(self.y, out, out=out)

    def objective(self, coef: Array, residual: Array) -> float:
        """Return the objective, from a model and its residuals."""
        problem = self.problem
        loss = float(problem.weights @ problem.loss.value(residual))
        return loss + float(problem.penalty(coef[:, None])[0])

    def data_dual(self, model: Model) -> Array:
        """ℓ'(r) from the kinked part's duals and the squared part."""
        known = model.measured.dual if model.measured is not None else None
        if isinstance(known, np.ndarray):
            return known[:, 0]
        z = model.dual[: len(model.residual)] / self.problem.weights
        if self.problem.loss.curvature > 0:
            z += self.problem.loss.curvature * model.residual
        return z


def penalty_bases(problem: Problem, objective: Array) -> list[Callable[[], Basis]]:
    """Return the bases to solve in under an L1 penalty, best first.

    Columns whose coefficient is 0 for certain are left out: with s_j the norm of column j,
    |x_jᵀu| ≤ s_j √(Σ v z²), and z = ℓ'(r) is bounded through the attained objectives (m,).
    Where that is below l1 the penalty wins (safe screening, El Ghaoui, Viallon & Rabbani 2012).
    """
    loss = problem.loss
    pull = max(loss.upper, -loss.lower) + np.sqrt(2 * loss.curvature * objective)
    spread = column_spread(problem.design, problem.weights, problem.fit_intercept)
    columns = np.flatnonzero(spread * float(pull.max()) >= problem.l1)

    def basis(diagonal: bool | None) -> Callable[[], Basis]:
        return lambda: coefficient_basis(
            problem.design,
            problem.weights,
            problem.fit_intercept,
            problem.l2,
            columns,
            diagonal,
        )

    return [basis(None), basis(False), basis(True)]


def formulate(output: Output, coef: Array, residual: Array, rows: Rows | None) -> KinkedQuadratic:
    """Return the problem of all rows (None: data without kinks), relative to a model."""
    weights, loss = output.problem.weights, output.problem.loss
    exact = rows is not None and loss.curvature > 0
    gram = rows.gram(weights) if rows is not None and exact else output.basis.full_gram()
    linear, constant = output.smooth_gradient(coef, residual), output.squares(coef, residual)
    kq = output.quadratic(coef, gram, linear, constant)
    if rows is None:
        return kq
    return kq.with_rows(rows, residual, loss.lower * weights, loss.upper * weights)
