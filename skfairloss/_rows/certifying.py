"""The certificate of rows elsewhere: `certificate`'s bounds on the sums of a pass over all rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skfairloss._core.bounds import NEGLIGIBLE, Better, LeftOver, Support, bound, bound_by_penalty
from skfairloss._core.certificate import constant_loss, excused
from skfairloss._core.solution import Verdict
from skfairloss._rows.facts import Standing
from skfairloss._rows.kernels import SIGNED, SQUARED, Extent, Measure, Rounding
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
    coef = measure.coef
    objective = errors.losses(problem.mix_sums).sum(axis=0) + problem.penalty(coef)
    better = Better.by_mix(problem, objective)
    enough = max(NEGLIGIBLE, tol) * objective  # a pass is dear
    lightest = float(problem.known.lightest.min()) / problem.known.total
    gap, _ = yield from _gaps(problem, asked, sums, better, enough, lightest)
    allowed = tol * objective
    if not (gap <= allowed).all():
        kernel = Rounding(measure.reading, coef, measure.intercept, problem.loss)
        floor, inevitable = (yield Request(kernel)).added["rounding"]
        for k in map(int, np.flatnonzero(~(gap <= allowed))):
            size = float(objective[k])
            natural = constant_loss(problem, k)
            allowed[k] = excused(tol, size, natural, float(floor[k]), float(inevitable[k]))
    return Verdict(objective, gap, np.zeros_like(gap), gap <= allowed)


def _gaps(
    problem: Standing, asked: Request, sums: Sums, better: Better, enough: Array, lightest: float
) -> Search[tuple[Array, Array]]:
    """Return the bounds of outputs (m,), and what is left of the duals in coordinates."""
    measure = asked.kernel
    assert isinstance(measure, Measure)
    support = Support(problem.basis, 1.0, lightest, lambda theta: np.full(theta.shape[1], np.inf))

    def gaps(support: Support, sums: Sums) -> tuple[Array, Array]:
        left = left_over(problem, sums)
        gap, defect = bound(problem, measure.coef, left, better, 0.0, support)
        if problem.l1 > 0:
            gap = np.fmin(gap, bound_by_penalty(problem, measure.coef, left, better, 0.0))
        return gap, defect

    gap, defect = gaps(support, sums)
    if (gap <= enough).all():
        return gap, defect
    center = problem.center
    extent = (yield Request(Extent(center))).largest["extent"]
    support = replace(support, largest=lambda theta: _largest(problem, extent, theta))
    gap, defect = gaps(support, sums)
    if (gap <= enough).all():
        return gap, defect
    projected = replace(asked, kernel=replace(measure, shift=problem.basis.to_model(defect)))
    again, _ = gaps(support, (yield projected))
    return np.fmin(gap, again), defect


def _largest(problem: Standing, extent: Array, theta: Array) -> Array:
    """Bound |A θ| over rows that are within an extent of the center, (m,)."""
    basis = problem.basis
    k = basis.n_directions
    return extent @ np.abs(basis.transform @ theta[:k]) + np.abs(theta[k:]).sum(axis=0)
