r"""All rows of a fit, for `sign_fixing`: most are replaced by lines, some keep their kink.

A row i of the data adds, at a residual r, its middle · r + its half width · |r|. On a line it adds

    middle_i e r + half_i s r,      s in [-1, 1] in the place of |r|, e = 1,

and nothing (s = e = 0) where the row itself is part of the problem. Middles and half widths are the
row's share of a group's weights, which need not be known: sums are kept by group.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from skfairloss._cached import cached_property
from skfairloss._core.solution import Measured
from skfairloss._design.basis import EPS, Basis
from skfairloss._design.design import Design
from skfairloss._design.rows import pieces_of
from skfairloss._design.sample import scattered
from skfairloss._solvers.kinked import KinkedQuadratic, KinkedSolution
from skfairloss._solvers.tolerances import TINY
from skfairloss._typing import Array, Index

# Residuals this small, relative to y, are rounding errors of 0: as many as a few dozen products of
# columns with coefficients of mixed signs leave.
_AT_ZERO = 64 * EPS
# Rows that settle second derivatives to a tenth: for each coordinate, and in all.
_ENOUGH, _AT_LEAST = 50, 4000

# For a block of rows and their residuals: s, e (1 where it is the same for all), and the residuals
# at which the lines have their values.
Lines = Callable[[slice, Array], tuple[Array, Array | float, Array]]
Sums = tuple[Array, Array]  # Xᵀu of some lines, and what else is summed over their rows


@dataclass(frozen=True)
class Anchor:
    """A model that problems are relative to: (p,) and a number, or (p, m) and (m,) for m outputs.

    ``theta`` is where it is in coordinates, relative to the start of the fit.
    """

    coef: Array
    intercept: Array | float
    theta: Array


@dataclass(frozen=True)
class Start:
    """A model to start from.

    Parameters
    ----------
    anchor : the model.
    close : whether it is thought to be close to the optimum.
    known : what was found of it as the optimum under another mix. None where it is not.
    multipliers : (J,), those of a problem close to this one. None where there are none.
    """

    anchor: Anchor
    close: bool
    known: Measured | None = None
    multipliers: Array | None = None


@dataclass(frozen=True)
class Goal:
    """The accuracy that is wanted, and what hears of iterations.

    Parameters
    ----------
    tol : relative gap that counts as optimal.
    floor : objective below which gaps are absolute.
    max_iter : iterations allowed.
    certified : whether the certificate's pass is to be made.
    report : told of the coefficients and intercepts of each iteration; True stops. None for nobody.
    """

    tol: float
    floor: float
    max_iter: int
    certified: bool = True
    report: Callable[[Array, Any], bool] | None = None


@dataclass(frozen=True)
class Whole(ABC):
    """The rows of the data of a fit, beside what is smooth in it and its penalty.

    Parameters
    ----------
    design : the rows.
    y : targets, (n,), or (n, m) for outputs that are solved together.
    basis : coordinates.
    base : the problem without these rows, at θ = 0. None where squares are those of the rows.
    """

    design: Design
    y: Array
    basis: Basis
    base: KinkedQuadratic | None

    def moved(self, anchor: Anchor, delta: Array) -> Anchor:
        """Return the model at θ + δ."""
        change, shift = self.basis.to_model(delta)
        step = float(shift) if np.ndim(shift) == 0 else shift
        return Anchor(anchor.coef + change, anchor.intercept + step, anchor.theta + delta)

    def reached(self, anchor: Anchor, found: KinkedSolution) -> Anchor:
        """Return the model of a solution that is relative to another model."""
        return self.moved(anchor, found.delta)

    def residual(self, anchor: Anchor) -> Array:
        """Compute y - predictions, of the shape of y, in a pass over X."""
        out = self.design.predict(anchor.coef, anchor.intercept)
        return np.subtract(self.y, out, out=out)

    def sweep(
        self, anchor: Anchor, lines: Lines, index: Index | None = None, squares: bool = False
    ) -> tuple[Array, Sums]:
        """Compute the residuals at a model and the sums of lines, in one pass over some rows.

        With ``squares`` the squares of the rows are among the sums, unless they are in ``base``.
        """

        def score(rows: slice, residual: Array) -> tuple[Array, Array]:
            here = rows if index is None else index[rows]
            return self.score(here, *lines(rows, residual), squares and self.base is None)

        y = self.y if index is None else self.y[index]
        residual, adjoint, sums = self.design.sweep(y, anchor.coef, anchor.intercept, score, index)
        return residual, (adjoint, sums)

    def sums_at(self, residual: Array, lines: Lines, squares: bool = False) -> Sums:
        """Compute the sums of `sweep` where the residuals are known."""
        every = slice(0, len(residual))
        u, sums = self.score(every, *lines(every, residual), squares and self.base is None)
        return self.design.adjoint(u), sums

    def on_lines(self, anchor: Anchor, sums: Sums) -> KinkedQuadratic:
        """Return the problem at a model with the rows of the data on lines."""
        return self.with_lines(self.smooth(anchor), sums)

    @cached_property
    def rounding(self) -> float:
        """Residuals up to this are rounding errors of 0."""
        return rounding_of(self.y[self.sampled[0]])

    def some_residuals(self, anchor: Anchor) -> Array:
        """Compute the residuals of a sample of the rows."""
        index, design = self.sampled
        return self.y[index] - design.predict(anchor.coef, anchor.intercept)

    @property
    @abstractmethod
    def sampled(self) -> tuple[Index | slice, Design]:
        """Rows that stand for all, and their design."""

    @property
    @abstractmethod
    def tilted(self) -> bool:
        """True where the middle of any row's interval is not 0, so that e counts."""

    @property
    @abstractmethod
    def uncertain(self) -> bool:
        """True where weights depend on multipliers, and may be next to 0."""

    @abstractmethod
    def few(self, start: Start | None) -> tuple[Whole, Anchor]:
        """Return a sample of the rows, and the model to solve it from."""

    @abstractmethod
    def part(self, size: int) -> Whole:
        """Return about so many of the rows, which stand for all."""

    @abstractmethod
    def score(
        self,
        rows: slice | Index,
        slope: Array,
        signed: Array | float,
        residual: Array,
        squares: bool,
    ) -> tuple[Array, Array]:
        """Return u of some rows, so that Xᵀu is minus the gradient of their lines, and sums."""

    @abstractmethod
    def smooth(self, anchor: Anchor) -> KinkedQuadratic:
        """Return the problem at a model without the rows of the data."""

    @abstractmethod
    def with_lines(self, kq: KinkedQuadratic, sums: Sums, sign: float = 1.0) -> KinkedQuadratic:
        """Return a problem with lines added, or taken back where the sign is -1."""

    @abstractmethod
    def with_rows(
        self, kq: KinkedQuadratic, residual: Array, index: Index | None = None
    ) -> KinkedQuadratic:
        """Return a problem with some rows of the data, all if the index is None, as they are."""

    @abstractmethod
    def with_near(
        self, kq: KinkedQuadratic, near: Index, residual: Array, h: float
    ) -> KinkedQuadratic:
        """Return a problem in which |r| of near rows is r²/2h + h/2, not a line of slope r/h."""

    @abstractmethod
    def with_curvature(self, kq: KinkedQuadratic, grams: Array, missing: Array) -> KinkedQuadratic:
        """Return a problem with second derivatives of absolute sums, (G, d, d).

        ``missing`` (G,) is what the lines of the rows they are of lack in value.
        """

    @abstractmethod
    def weights(self, multipliers: Array | None) -> Array:
        """Return the weights of the rows' kinks, (n,), summing to 1."""

    @abstractmethod
    def half_widths(self, index: Index | slice, multipliers: Array | None) -> Array:
        """Return half the lengths of the dual intervals of some rows."""

    @abstractmethod
    def slopes(self, index: Index, dual: Array, multipliers: Array) -> Array:
        """Return s of some rows from their duals."""

    @abstractmethod
    def measure(
        self,
        anchor: Anchor,
        multipliers: Array,
        slope: Array,
        seen: Callable[[slice, Array], None],
    ) -> tuple[Measured, Array]:
        """Make the certificate's pass over X, for duals with slopes s; return residuals as well.

        ``seen`` is called with each block of rows and their residuals.
        """

    @abstractmethod
    def merit(self, anchor: Anchor, residual: Array, multipliers: Array) -> float:
        """Compute the objective of a model, with the multipliers' charge for violations."""

    @abstractmethod
    def carried(self, start: Start, h: float) -> tuple[Array, Array, KinkedQuadratic] | None:
        """Return residuals, s, and the problem on lines at the optimum under another mix.

        None where it is not known.
        """


def rounding_of(y: Array) -> float:
    """Return the residual up to which one is a rounding error of 0, for such targets."""
    size = np.abs(y)
    return _AT_ZERO * float(np.partition(size, len(size) // 2, axis=0)[len(size) // 2].max())


def by_row(mask: Array) -> Array:
    """Return which rows are marked in any output, (n,), from (n,) or (n, m)."""
    return mask if mask.ndim == 1 else np.asarray(mask.any(axis=1))


def column(values: Array, like: Array) -> Array:
    """Return values of rows, (n,), in the number of dimensions that another array has."""
    return values if like.ndim == 1 else values[:, None]


def within(residual: Array, limit: float | Array) -> Index:
    """Return the rows with |r| < limit in any output."""
    found = [
        piece.start + np.flatnonzero(by_row(np.abs(residual[piece]) < limit))
        for piece in pieces_of(len(residual), 1)
    ]
    return np.concatenate(found) if found else np.zeros(0, dtype=np.intp)


def order_statistic(residual: Array, rank: int) -> Any:
    """Return the |r| of the given rank, of each output."""
    absolute = np.abs(residual)
    absolute.partition(rank, axis=0)
    found = absolute[rank]
    return float(found.item()) if found.size == 1 else found


def enough(d: int) -> int:
    """Return how many rows settle second derivatives in d coordinates."""
    return max(_ENOUGH * d, _AT_LEAST)


def thinned(near: Index, weights: Array, d: int) -> tuple[Index, Array]:
    """Return as many of the rows as settle second derivatives, with weights for all of them."""
    few = scattered(near, enough(d))
    own = weights[few]
    if few is near:
        return few, own
    return few, own * float(weights[near].sum() / max(own.sum(), TINY))
