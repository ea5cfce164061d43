"""The certificate of rows elsewhere: `certificate`'s bounds on the sums of a pass over all rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skfairloss._core.bounds import NEGLIGIBLE, Better, LeftOver, Support, bound, bound_by_penalty
from skfairloss._core.certificate import constant_loss, excused
from skfairloss._core.constraints import MIX, GroupLoss
from skfairloss._core.problem import GroupTerms
from skfairloss._core.solution import Multipliers, Verdict
from skfairloss._rows.facts import Standing
from skfairloss._rows.kernels import Extent, Measure, Rounding
from skfairloss._rows.reading import ABSOLUTE, SIGNED, SQUARED
from skfairloss._rows.searches import Request, Search
from skfairloss._rows.sums import Sums
from skfairloss._typing import Array


@dataclass(frozen=True)
class Errors:
    """Sums of r, |r| and r² under weights that sum to 1, by group: (3, G, m).

    Without groups all rows are one.
    """

    sums: Array

    @classmethod
    def of(cls, sums: Sums, labels: tuple[Any, ...] | None, total: float) -> Errors:
        """Read those of a `Measure`."""
        keys: tuple[Any, ...] = (None,) if labels is None else labels
        parts = [sums.added["errors", key] for key in keys]
        return cls(np.stack(parts, axis=1) / total)

    @classmethod
    def joined(cls, parts: list[Errors]) -> Errors:
        """Return those of several outputs."""
        return cls(np.concatenate([part.sums for part in parts], axis=2))

    def losses(self, weights: Array) -> Array:
        """Return a loss of each group's rows, (G, m), from the weights of its sums, (3, m)."""
        halved = self.sums.copy()
        halved[SQUARED] *= 0.5
        return np.asarray((weights[:, None] * halved).sum(axis=SIGNED))


def left_over(problem: Standing, sums: Sums) -> LeftOver:
    """Read what the duals of a `Measure` leave."""
    total = sums.added["total"]
    if not problem.fit_intercept:
        total = np.zeros_like(total)
    return LeftOver(sums.added["rows"], total, sums.added["adjoint"])


def certify_outputs(
    problem: Standing, asked: Request, sums: Sums, errors: Errors, tol: float
) -> Search[Verdict]:
    """Bound how far models are from optimal, from the sums of a `Measure` that was asked for.

    Further passes are only made where its bound is too coarse.
    """
    measure = asked.kernel
    assert isinstance(measure, Measure)
    objective = errors.losses(problem.mix_sums).sum(axis=0) + problem.penalty(measure.coef)
    rows = _Rows(problem, asked, Better.by_mix(problem, objective), 0.0)
    gap = yield from rows.gaps(sums, max(NEGLIGIBLE, tol) * objective)  # a pass is dear
    allowed = tol * objective
    if not (gap <= allowed).all():
        allowed = yield from rows.allowed(objective, gap, tol)
    return Verdict(objective, gap, np.zeros_like(gap), gap <= allowed)


@dataclass(frozen=True)
class _Rows:
    """All rows at a model, as a certificate sees them.

    Parameters
    ----------
    problem : the problem.
    asked : the `Measure` of the model.
    better : bounds on any better point.
    pull : what linear rows add to Xᵀu, (p, m) or 0.
    """

    problem: Standing
    asked: Request
    better: Better
    pull: Array | float

    @property
    def measure(self) -> Measure:
        """The kernel."""
        assert isinstance(self.asked.kernel, Measure)
        return self.asked.kernel

    def gaps(self, sums: Sums, enough: Array) -> Search[Array]:
        """Return the bounds of the outputs, (m,), as sharp as passes are worth it."""
        problem, basis = self.problem, self.problem.basis
        support = _support(problem)
        gap, defect = self._bound(sums, support)
        if (gap <= enough).all():
            return gap
        if problem.known.products:
            extent = (yield Request(Extent(problem.center))).largest["extent"]
            support = replace(support, largest=lambda theta: _largest(problem, extent, theta))
            gap, defect = self._bound(sums, support)
            if (gap <= enough).all():
                return gap
        kernel = replace(self.measure, shift=basis.to_model(defect))
        again, _ = self._bound((yield replace(self.asked, kernel=kernel)), support)
        return np.fmin(gap, again)

    def _bound(self, sums: Sums, support: Support) -> tuple[Array, Array]:
        """Return the bounds (m,), and what is left of the duals in coordinates."""
        problem, left = self.problem, left_over(self.problem, sums)
        given = problem, self.measure.coef, left, self.better, self.pull
        gap, defect = bound(*given, support)
        if problem.l1 > 0:
            gap = np.fmin(gap, bound_by_penalty(*given))
        return gap, defect

    def allowed(self, size: Array, gap: Array, tol: float) -> Search[Array]:
        """Return the gaps that count as optimal, (m,), rounding excused, in one more pass."""
        problem, measure, out = self.problem, self.measure, tol * size
        unit = 1.0 / problem.known.total
        kernel = Rounding(measure.reading, measure.coef, measure.intercept, problem.loss, unit)
        floor, inevitable = (yield Request(kernel)).added["rounding"]
        for k in map(int, np.flatnonzero(~(gap <= out))):
            natural = constant_loss(problem, k)
            numbers = float(size[k]), natural, float(floor[k]), float(inevitable[k])
            out[k] = excused(tol, *numbers)
        return out


def _support(problem: Standing) -> Support:
    """Return the rows in which the basis is orthonormal: all of them, or those of the sample.

    How large predictions are in the former takes a pass.
    """
    lightest = float(problem.known.lightest.min()) / problem.known.total
    if problem.known.products:
        nothing = np.full(problem.n_outputs, np.inf)
        return Support(problem.basis, 1.0, lightest, lambda _: nothing)

    def largest(theta: Array) -> Array:
        return np.abs(problem.design.predict_in(problem.basis, theta)).max(axis=0)

    return Support(problem.basis, float(problem.counts.max()), lightest, largest)


def _largest(problem: Standing, extent: Array, theta: Array) -> Array:
    """Bound |A θ| over rows that are within an extent of the center, (m,)."""
    basis = problem.basis
    k = basis.n_directions
    return extent @ np.abs(basis.transform @ theta[:k]) + np.abs(theta[k:]).sum(axis=0)


def certify_together(
    problem: Standing,
    asked: Request,
    sums: Sums,
    errors: Errors,
    multipliers: Multipliers,
    tol: float,
) -> Search[Verdict]:
    """Do the same for all outputs under constraints, with multipliers of all of them."""
    measure = asked.kernel
    assert isinstance(measure, Measure)
    coef, m = measure.coef, problem.n_outputs
    terms = group_terms(problem, errors)
    total = terms.objective + float(problem.penalty(coef).sum())
    pull, slack = problem.linear_slack(coef, multipliers)
    better = np.full(m, total)
    reach = Better.by_mix(problem, better)
    if not problem.groups.about_mix:
        absolute, squared = errors.sums[ABSOLUTE].sum(axis=0), errors.sums[SQUARED].sum(axis=0)
        reach = Better.by_terms(problem, absolute, squared, better)
    enough = np.full(m, max(NEGLIGIBLE, tol) * total / m)
    rows = _Rows(problem, asked, reach, pull)
    gaps = yield from rows.gaps(sums, enough)
    gap = float(gaps.sum() + terms.slack(multipliers) + slack)
    allowed = tol * total
    if not gap <= allowed:
        size = np.full(m, total / m)
        allowed = float((yield from rows.allowed(size, size * 0.0 + gap / m, tol)).sum())
    violation = max(terms.violation, problem.linear_violation(coef))
    met = violation <= tol
    if not met:  # small bounds may be within rounding errors
        met = violation <= tol + problem.bound_rounding(problem.residual(coef, measure.intercept))
    one = np.ones(1)
    return Verdict(total * one, gap * one, violation * one, np.array([gap <= allowed and met]))


def group_terms(problem: Standing, errors: Errors) -> GroupTerms:
    """Return the group losses of a model, from the sums of its errors."""
    sums, criterion, m = errors.sums, problem.groups, problem.n_outputs
    if sums.shape[1] != len(criterion.shares):
        errors = Errors(sums.sum(axis=1, keepdims=True))

    def losses(loss: GroupLoss) -> Array:
        found = errors.losses(loss.weights(problem.loss, m)).sum(axis=1)
        return np.asarray(found / criterion.shares)

    bounded = tuple(losses(bounds.loss) for bounds in criterion.bounds)
    return GroupTerms(problem, losses(MIX), losses(criterion.worst_loss), bounded)
