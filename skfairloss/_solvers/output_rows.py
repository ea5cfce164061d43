"""All rows of one output, for `sign_fixing`: without constraints every weight is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from skfairloss._cached import cached_property
from skfairloss._core.certificate import measure
from skfairloss._core.solution import Measured, Slopes
from skfairloss._design.design import Design
from skfairloss._design.rows import Rows
from skfairloss._design.sample import Sample, proportional
from skfairloss._solvers.band import Outcome
from skfairloss._solvers.crossover import curved_minimum
from skfairloss._solvers.formulation import Model, Options, Output
from skfairloss._solvers.kinked import KinkedQuadratic
from skfairloss._solvers.sign_fixing import solve_by_signs, solve_near
from skfairloss._solvers.tolerances import FLOOR, SETTLED, TINY
from skfairloss._solvers.whole import (
    Anchor,
    Goal,
    Start,
    Sums,
    Whole,
    thinned,
    within,
)
from skfairloss._typing import Array, Index

# Growth of dual intervals, and with them of rounding errors, up to which duals are carried over.
_CARRIED_WITHIN = 100.0


@dataclass(frozen=True)
class OutputRows(Whole):
    """All rows of an output.

    Parameters
    ----------
    output : the output.
    own : (n,), weights of the rows at hand.
    """

    output: Output
    own: Array

    @classmethod
    def of(cls, output: Output) -> OutputRows:
        """Take all rows of an output."""
        problem = output.problem
        return cls(problem.design, output.y, output.basis, None, output, problem.weights)

    @cached_property
    def half(self) -> float:
        """Half the width of the interval of subgradients at 0."""
        loss = self.output.problem.loss
        return 0.5 * (loss.upper - loss.lower)

    @cached_property
    def middle(self) -> float:
        """The middle of this interval."""
        loss = self.output.problem.loss
        return 0.5 * (loss.upper + loss.lower)

    @property
    def sampled(self) -> tuple[Index | slice, Design]:
        sample = self.output.problem.sample
        return (slice(None), self.design) if sample is None else (sample.index, sample.design)

    @property
    def uncertain(self) -> bool:
        return False

    @property
    def tilted(self) -> bool:
        return self.middle != 0.0

    def anchor(self, model: tuple[Array, float]) -> Anchor:
        """Return a model to be relative to."""
        return Anchor(*model, np.zeros(self.basis.n_coordinates))

    def few(self, start: Start | None) -> tuple[Whole, Anchor]:
        output, sample = self.output, self.output.problem.sample
        assert sample is not None
        y = self.y[sample.index]
        if start is None:
            anchor, linear, constant = self._cold_start(sample, y)
        else:
            residual, anchor = self.residual(start.anchor), start.anchor
            anchor = self.anchor((anchor.coef, float(anchor.intercept)))
            linear = output.smooth_gradient(anchor.coef, residual)
            constant = output.squares(anchor.coef, residual)
        base = output.quadratic(anchor.coef, self.basis.full_gram(), linear, constant)
        few = OutputRows(sample.design, y, self.basis, base, output, sample.weights)
        return few, anchor

    def part(self, size: int) -> Whole:
        index, share = proportional(self.own, size, np.full(size, 0.5))
        return replace(self, design=self.design.subset(index), y=self.y[index], own=share)

    def _cold_start(self, sample: Sample, y: Array) -> tuple[Anchor, Array, float]:
        """Return a model, minus the gradient there of what is smooth, and its value.

        Least squares, of all rows where squares count, else of the sample; or the median.
        """
        problem, basis, k = self.output.problem, self.basis, self.output.k
        hessian, base = self.output.hessian(basis.full_gram()), 0.0
        smooth, level = np.zeros(basis.n_coordinates), np.zeros(basis.n_coordinates)
        if problem.loss.curvature > 0:
            steep, weighted = problem.loss.curvature, problem.weights * self.y
            cross = problem.first_moments[1][:, k]
            smooth = steep * basis.pull_back(cross, float(weighted.sum()))
            base = 0.5 * steep * float(weighted @ self.y)
            theta = curved_minimum(hessian, smooth)
        else:
            u = sample.weights * y
            pull = basis.pull_back(sample.design.adjoint(u), float(u.sum()))
            theta = basis.resolved(pull[:, None])[0][:, 0]
        if problem.fit_intercept:
            level[-1] = np.partition(y, len(y) // 2)[len(y) // 2]
        (coef, intercept), flat = basis.to_model(theta), float(level[-1:].sum())
        if not problem.fit_intercept:
            flat = 0.0
        if np.abs(y - flat).sum() < np.abs(y - sample.design.predict(coef, intercept)).sum():
            theta = level
            coef, intercept = basis.to_model(theta)
        linear = smooth - hessian @ theta
        value = base - float(theta @ (smooth - 0.5 * (hessian @ theta)))
        return self.anchor((coef, float(intercept))), linear, max(value, 0.0)

    def score(
        self,
        rows: slice | Index,
        slope: Array,
        signed: Array | float,
        residual: Array,
        squares: bool,
    ) -> tuple[Array, Array]:
        weights = self.own[rows]
        u = self.half * slope
        if self.tilted:
            u += self.middle * signed
        u *= weights
        value = u @ residual
        steep = self.output.problem.loss.curvature
        if not squares or steep == 0:
            return u, np.array([u.sum(), value])
        pull = steep * weights
        pull *= residual
        value += 0.5 * (pull @ residual)
        u += pull
        return u, np.array([u.sum(), value])

    def smooth(self, anchor: Anchor) -> KinkedQuadratic:
        if self.base is not None:
            return self.base.shifted(anchor.theta)
        output, coef = self.output, anchor.coef
        linear = output.downhill(coef, np.zeros(len(coef)), 0.0)
        constant = 0.5 * output.problem.l2 * float(coef @ coef)
        return output.quadratic(coef, self.basis.full_gram(), linear, constant)

    def with_lines(self, kq: KinkedQuadratic, sums: Sums, sign: float = 1.0) -> KinkedQuadratic:
        adjoint, (total, value) = sums
        linear = kq.linear + sign * self.basis.pull_back(adjoint, float(total))
        return replace(kq, linear=linear, constant=kq.constant + sign * float(value))

    def with_rows(
        self, kq: KinkedQuadratic, residual: Array, index: Index | None = None
    ) -> KinkedQuadratic:
        weights = self.own if index is None else self.own[index]
        loss = self.output.problem.loss
        rows = self._rows(index)
        return kq.with_rows(rows, residual, loss.lower * weights, loss.upper * weights)

    def _rows(self, index: Index | None) -> Rows:
        """Return some rows in coordinates."""
        if self.design is self.output.problem.design:
            return self.output.rows(index)
        return self.design.rows(self.basis, index)

    def with_near(
        self, kq: KinkedQuadratic, near: Index, residual: Array, h: float
    ) -> KinkedQuadratic:
        few, steep = thinned(near, self.own, self.basis.n_coordinates)
        gram = self.design.rows(self.basis, few).gram(steep / h)
        return self.with_curvature(kq, gram[None], np.zeros(1))

    def with_curvature(self, kq: KinkedQuadratic, grams: Array, missing: Array) -> KinkedQuadratic:
        return replace(kq, hessian=kq.hessian + self.half * grams[0])

    def weights(self, multipliers: Array | None) -> Array:
        return self.own

    def half_widths(self, index: Index | slice, multipliers: Array | None) -> Array:
        return self.half * self.own[index]

    def slopes(self, index: Index, dual: Array, multipliers: Array) -> Array:
        return (dual / self.own[index] - self.middle) / self.half

    def measure(
        self,
        anchor: Anchor,
        multipliers: Array,
        slope: Array,
        seen: Callable[[slice, Array], None],
    ) -> tuple[Measured, Array]:
        problem = self.output.alone
        z, steep = np.empty((len(self.y), 1)), problem.loss.curvature

        def duals_at(rows: slice, residual: Array) -> Array:
            here = z[rows]
            np.multiply(slope[rows], self.half, out=here[:, 0])
            if self.tilted:
                here += self.middle
            if steep > 0:
                here += steep * residual
            seen(rows, residual[:, 0])
            return here

        coef, intercept = anchor.coef[:, None], np.array([anchor.intercept])
        measured = measure(problem, coef, intercept, z, duals_at)
        return measured, measured.residual[:, 0]

    def merit(self, anchor: Anchor, residual: Array, multipliers: Array) -> float:
        return self.output.objective(anchor.coef, residual)

    def duals(self, slope: Array, out: Array) -> Array:
        """Return the duals of all rows at slopes s, (n,), in the place of another array."""
        np.multiply(slope, self.half, out=out)
        if self.tilted:
            out += self.middle
        out *= self.own
        return out

    def carried(self, start: Start, h: float) -> tuple[Array, Array, KinkedQuadratic] | None:
        """Return the optimum under another mix, with slopes that are its duals.

        With s and s' the curvatures, a = v z - s v r the duals of the kinks, ρ the ratio of their
        intervals: u' = ρ a + s' v r = ρ v z + (s' - ρ s) v r, of which Xᵀ(v z) is known.
        """
        known, (coef, intercept) = start.known, (start.anchor.coef, start.anchor.intercept)
        if known is None or isinstance(known.dual, Slopes):
            return None
        loss, before, weights = self.output.problem.loss, known.under, self.own
        same = known.is_of(coef[:, None], np.array([intercept]), known.dual)  # none screened out
        if not same or loss.loss_mix > _CARRIED_WITHIN * before.loss_mix:
            return None
        if known.rows[0] > SETTLED * known.loss[0]:  # stopped, or loose: duals are not the signs'
            return None
        residual, dual, ratio = (
            known.residual[:, 0], known.dual[:, 0], loss.loss_mix / before.loss_mix
        )  # fmt: skip
        slope = np.where(residual > 0, 1.0, -1.0)
        near = within(residual, h)
        kink = ratio * (dual[near] - before.curvature * residual[near])
        slope[near] = np.clip((kink - self.middle) / self.half, -1.0, 1.0)
        u = weights * residual
        value = 0.5 * loss.curvature * float(u @ residual)
        u *= loss.curvature - ratio * before.curvature
        adjoint = ratio * known.gradient[:, 0] + self.design.adjoint(u)
        total = ratio * float(known.total[0]) + float(u.sum())
        value += float(self.duals(slope, out=u) @ residual)
        lines = adjoint, np.array([total, value])
        return residual, slope, self.on_lines(start.anchor, lines)


def solve_output(
    output: Output, start: tuple[Array, float] | None, options: Options
) -> tuple[Model | None, int]:
    """Fix the signs of an output's rows; also the iterations spent. None where that fails.

    A start is taken to be close to the optimum if the options have it.
    """
    whole, goal = OutputRows.of(output), _goal(output, options)
    begin = None
    if start is not None:
        coef = np.where(output.basis.norms > 0, start[0], 0.0)  # columns screened out
        anchor = whole.anchor((coef if output.problem.l1 > 0 else start[0], start[1]))
        known = None if options.start is None else options.start.measured
        begin = Start(anchor, options.start is not None, known)
    found, spent = solve_by_signs(whole, begin, goal)
    return None if found is None else _to_model(whole, found, goal), spent


def solve_output_near(
    output: Output, start: tuple[Array, float], near: int, options: Options
) -> tuple[Model | None, int]:
    """Do the same from a model close to the optimum, with so many rows in a first band."""
    whole, goal = OutputRows.of(output), _goal(output, options)
    found, spent = solve_near(whole, whole.anchor(start), near, goal)
    return None if found is None else _to_model(whole, found, goal), spent


def _goal(output: Output, options: Options) -> Goal:
    """Return how far to go with an output."""
    progress, report = options.progress, None
    if progress is not None:

        def report(coef: Array, intercept: Array | float) -> bool:
            return progress.report(output.k, coef, float(intercept))

    return Goal(options.tol, FLOOR * output.spread, options.max_iter, report=report)


def _to_model(whole: OutputRows, outcome: Outcome, goal: Goal) -> Model:
    """Return the model of an outcome; its slopes become the duals of the rows."""
    band = outcome.band
    duals = whole.duals(band.slope, out=band.slope)
    penalty = outcome.found.dual[len(band.index) :]
    return Model(
        outcome.anchor.coef,
        float(outcome.anchor.intercept),
        outcome.residual,
        np.concatenate([duals, penalty]) if len(penalty) else duals,
        outcome.gap / max(abs(outcome.found.objective), goal.floor, TINY),
        outcome.found.stopped,
        None if not np.isfinite(outcome.gap) else np.append(band.index, band.idle),
        outcome.measured,
    )
