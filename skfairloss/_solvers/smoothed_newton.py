r"""Step 2 of `sign_fixing`: a Newton step on all rows, the kink of |r| a line within ±h.

Chernozhukov, Fernández-Val & Melly (2022), section 3, take one step from a model that is close:
with the density of the residuals at 0 for second derivatives it is as good as the optimum to first
order. Under constraints every group has second derivatives of its own, and the step solves the
problem with the quadratics of the groups. The gradient takes a pass over X. At the optimum under
another mix it is known: duals are scaled to the new intervals, and only the squares have to be
weighed anew.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skfairloss._cached import cached_property
from skfairloss._solvers.crossover import curved_minimum
from skfairloss._solvers.dual_newton import dual_newton
from skfairloss._solvers.interior_point import interior_point
from skfairloss._solvers.kinked import KinkedQuadratic, KinkedSolution
from skfairloss._solvers.tolerances import TINY
from skfairloss._solvers.whole import Anchor, Start, Whole, column, within
from skfairloss._typing import Array, Index

ROUGH_TOL = 3e-3  # gap of a model that is corrected later: below the error of a sample
SIGNS_TOL = 1e-8  # gap of one that tells signs of rows: residuals of rows at 0 have 8 digits
ROUGH_ITER = 50  # iterations of a step, and of a sample: twice what is usual
STEPS = 2  # made one after another at most: the error falls to its square's share twice


@dataclass(frozen=True)
class Smoothed:
    """All rows at a model, |r| smoothed within ±h.

    Parameters
    ----------
    whole : the rows.
    anchor : the model.
    residual : at it, of the shape of y.
    h : the bandwidth.
    kinks : rows that keep their kink, since no others would make up for it.
    slope : of the shape of y, s of the lines; 0 for rows that keep their kink.
    kq : the problem at the model, these rows on their lines.
    """

    whole: Whole
    anchor: Anchor
    residual: Array
    h: float
    kinks: Index
    slope: Array
    kq: KinkedQuadratic

    @cached_property
    def near(self) -> Index:
        """The rows with |r| < h."""
        return within(self.residual, self.h)


@dataclass(frozen=True)
class Step:
    """A Newton step.

    Parameters
    ----------
    delta : δ.
    multipliers : (J,).
    n_iter : iterations spent under constraints.
    squares, kq : the problem without the second derivatives of the kinks, and with them.
    """

    delta: Array
    multipliers: Array
    n_iter: int
    squares: KinkedQuadratic
    kq: KinkedQuadratic

    @property
    def share(self) -> float:
        """The kinks' share of the second derivatives under the multipliers."""
        own, every = (
            float(np.trace(part.lagrangian(self.multipliers).hessian, axis1=-2, axis2=-1).sum())
            for part in (self.squares, self.kq)
        )
        return 1.0 - own / max(every, TINY)


def smoothed(
    whole: Whole, anchor: Anchor, h: float, kinks: Index, residual: Array | None = None
) -> Smoothed:
    """Smooth all rows but the kinks at a model close to the optimum, in one pass over X.

    ``residual`` is of the shape of y. None where it is not known.
    """
    slope, ones = np.empty(whole.y.shape), 1.0
    kept = _mask(kinks, len(slope)) if len(kinks) else None

    def lines(rows: slice, residual: Array) -> tuple[Array, Array | float, Array]:
        here = slope[rows]
        np.divide(residual, h, out=here)
        np.clip(here, -1.0, 1.0, out=here)
        if kept is None:
            return here, ones, residual
        here[kept[rows]] = 0.0
        return here, column(~kept[rows], here), residual

    if residual is None:
        residual, sums = whole.sweep(anchor, lines, squares=True)
    else:
        sums = whole.sums_at(residual, lines, squares=True)
    kq = whole.on_lines(anchor, sums)
    return Smoothed(whole, anchor, residual, h, kinks, slope, kq)


def carried(whole: Whole, start: Start, h: float, kinks: Index) -> Smoothed | None:
    """Smooth all rows at the optimum under another mix. None where it is not known."""
    known = whole.carried(start, h)
    if known is None:
        return None
    residual, slope, kq = known
    if len(kinks):
        kq = whole.with_lines(kq, line_sums(whole, start.anchor, kinks, slope), -1.0)
        slope[kinks] = 0.0
    return Smoothed(whole, start.anchor, residual, h, kinks, slope, kq)


def line_sums(whole: Whole, anchor: Anchor, index: Index, slope: Array) -> tuple[Array, Array]:
    """Compute the sums of the lines of some rows at a model."""

    def lines(rows: slice, residual: Array) -> tuple[Array, Array | float, Array]:
        return slope[index[rows]], 1.0, residual

    return whole.sweep(anchor, lines, index)[1]


def newton_step(at: Smoothed, guess: Array | None = None) -> Step:
    """Take a Newton step on all rows; kinks of single rows and of a penalty are kept.

    ``guess`` (J,) are multipliers to begin with. None where there are none.
    """
    whole, near = at.whole, at.near
    if len(at.kinks):
        near = np.setdiff1d(near, at.kinks, assume_unique=True)
    kq = whole.with_near(at.kq, near, at.residual, at.h)
    if len(at.kinks):
        kq = whole.with_rows(kq, at.residual[at.kinks], at.kinks)
    return step_of(at.kq, kq, bool(len(at.kinks)), guess)


def step_of(
    squares: KinkedQuadratic, kq: KinkedQuadratic, kinked: bool, guess: Array | None
) -> Step:
    """Take the step of a problem; ``squares`` is the same without second derivatives of kinks.

    ``kinked`` tells whether rows of the data have kept theirs.
    """
    if kq.coupling is None and not kq.rows.n_rows:
        return Step(curved_minimum(kq.hessian, kq.linear), np.zeros(0), 0, squares, kq)
    found = _solve(kq, SIGNS_TOL if kinked else ROUGH_TOL, guess)
    spent = 0 if kq.coupling is None else found.n_iter
    return Step(found.delta, found.multipliers, spent, squares, kq)


def _solve(kq: KinkedQuadratic, tol: float, guess: Array | None) -> KinkedSolution:
    """Solve the problem of a step, which may have no rows."""
    found = None
    if not kq.rows.n_rows:
        found = dual_newton(kq, tol=tol, floor=0.0, max_iter=ROUGH_ITER, multipliers=guess)
    return found or interior_point(
        kq, tol=tol, floor=0.0, max_iter=ROUGH_ITER, crossover=False, multipliers=guess
    )


def _mask(index: Index, n: int) -> Array:
    """Return which of n rows are named."""
    out = np.zeros(n, dtype=bool)
    out[index] = True
    return out
