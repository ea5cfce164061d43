"""Step 3 of `sign_fixing`: a split of the rows into those near 0, the band, and lines for the rest.

A band takes one pass over X, or a part of one where a Newton step has made it already. It grows by
rows that prove to be on the other side of 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skfairloss._core.solution import Measured
from skfairloss._design.basis import Basis
from skfairloss._design.sample import scattered
from skfairloss._solvers.kinked import KinkedQuadratic, KinkedSolution
from skfairloss._solvers.smoothed_newton import Smoothed, line_sums
from skfairloss._solvers.tolerances import TINY
from skfairloss._solvers.whole import Anchor, Whole, by_row, column, order_statistic, within
from skfairloss._typing import Array, Index, Mask

_FIRST_BAND = 1.75  # rows in a first band, in units of √(d n) for rows of one weight ...
_WIDEST = 0.1  # ... and at most, as a share of all
_PER_COORDINATE = 20  # rows for each coordinate, at least: a band has to have a minimum
LIGHT = 0.01  # weight, in means, below which the signs of rows matter the less
_PER_COORDINATE_BESIDE_SQUARES = 5  # the same where squares make up for others
_HEAVY = 4.0  # weight, in means, from which a row may be in every band
_OFF = 3  # factor by which a band may miss the size aimed at
SPARE = 3.0  # rows at 0 that are kept, relative to what must balance the others
_DEVIATIONS = 4.5  # standard deviations that a row may be moved by


@dataclass(frozen=True)
class BandSize:
    """Rows of a band: so many of those ``near`` 0, and all of more than a weight.

    ``fewest`` are near in any case. ``scale`` (n,) is what residuals are compared in; None where it
    is 1 for all rows.
    """

    near: int
    heavy: float
    fewest: int = 1
    scale: Array | None = None

    @classmethod
    def of(cls, whole: Whole, multipliers: Array | None) -> BandSize:
        """Choose a first band: as many rows as the error of a model from all rows could move.

        Under unequal weights that error is as large as from 1 / Σv² rows of one weight. What the
        heaviest rows add to it is spared where they are in the band themselves: as many as make the
        band smallest. Rows of next to no weight are no part of it.
        """
        return cls.among(whole.weights(multipliers), None, whole)

    @classmethod
    def among(cls, weights: Array, counts: Array | None, whole: Whole) -> BandSize:
        """Do the same from some rows, their weights and how many rows each stands for, (s,).

        ``counts`` are None where all rows are there.
        """
        d, scale = whole.basis.n_coordinates, None
        n = float(len(weights) if counts is None else counts.sum())
        fewest = _PER_COORDINATE_BESIDE_SQUARES * d
        if whole.uncertain:
            scale = in_units(weights, n)
            n = float(scale.sum() if counts is None else scale @ counts)
            fewest = int(np.ceil(min(_PER_COORDINATE * d, n)))  # a small group that decides alone
        squares = float((weights if counts is None else weights * counts) @ weights)
        near, heavy = _FIRST_BAND * n * (d * squares) ** 0.5, np.inf
        if weights.max() * near > 1.0:
            order = np.flatnonzero(weights > _HEAVY / n)
            order = order[np.argsort(-weights[order], kind="stable")]
            weight, each = weights[order], np.ones(len(order)) if counts is None else counts[order]
            left = np.maximum(squares - np.cumsum(weight * weight * each), 0.0)
            below = np.append(weight[1:], _HEAVY / n)
            sizes = np.where(weight > below, _FIRST_BAND * n * np.sqrt(d * left), np.inf)
            count = int(np.argmin(np.append(sizes + np.cumsum(each), near)))
            if count < len(sizes):
                near, heavy = float(sizes[count]), float(below[count])
        near = max(_PER_COORDINATE * d, min(near, _WIDEST * n))
        return cls(int(near), min(heavy, 1.0 / near), fewest, scale)

    def limit(self, residual: Array) -> Any:
        """Return how far the band reaches, in each output."""
        return order_statistic(self._scaled(residual), min(self.near, len(residual) - 1))

    def reaches(self, residual: Array, limit: Array | float, rows: slice | Index) -> Mask:
        """Return which of some rows are within a limit in any output."""
        if self.scale is not None:
            limit = self.scale[rows, None] * limit
        return by_row(np.abs(residual) <= limit)

    def within(self, residual: Array, limit: float) -> Index:
        """Return the rows within a limit."""
        return within(self._scaled(residual), limit)

    def _scaled(self, residual: Array) -> Array:
        """Return residuals in units of the rows."""
        return residual if self.scale is None else residual / self.scale[:, None]

    def times(self, factor: float) -> BandSize:
        """Return a wider or a narrower one."""
        return replace(self, near=int(factor * self.near), heavy=self.heavy / factor)

    def reduced(self, share: float) -> BandSize:
        """Return what is enough where kinks have a share of the second derivatives only."""
        return self.times(max(min(share, 1.0), self.fewest / self.near))

    def outstanding(self, weights: Array) -> Index:
        """Return the rows that are in the band by their weight."""
        some = weights.max() > self.heavy
        return np.flatnonzero(weights > self.heavy) if some else np.zeros(0, dtype=np.intp)


def in_units(weights: Array, n: float) -> Array:
    """Return what the residuals of n rows are compared in: 1, less where a weight is next to 0."""
    return np.maximum(np.minimum(1.0, weights * (n / LIGHT)), TINY)


@dataclass(frozen=True)
class Band:
    """The rows near 0, and lines for the others, at a model.

    Parameters
    ----------
    whole : all rows.
    anchor : the model at which the rows were split.
    residual : at it, of the shape of y.
    index : the rows of the band.
    idle : rows at 0 beyond what a band needs, with the middle of their interval for a dual: they
        are to stay at 0.
    slope : of the shape of y, s of all rows, 0 in the band and for idle rows.
    kq : the problem at the model without the band's rows.
    ahead : δ, where the band's solution is looked for.
    """

    whole: Whole
    anchor: Anchor
    residual: Array
    index: Index
    idle: Index
    slope: Array
    kq: KinkedQuadratic
    ahead: Array

    @property
    def expansion(self) -> Anchor:
        """The model that the band's problem is relative to."""
        return self.whole.moved(self.anchor, self.ahead)

    def problem(self) -> KinkedQuadratic:
        """Return the problem with the band's rows, relative to where its solution is looked for."""
        kq = self.whole.with_rows(self.kq, self.residual[self.index], self.index)
        return kq.shifted(self.ahead) if self.ahead.any() else kq

    def widened(self, more: Index) -> Band:
        """Return the band with more rows: what they added on their lines is taken back."""
        sums = line_sums(self.whole, self.anchor, more, self.slope)
        slope = self.slope.copy()
        slope[more] = 0.0
        return replace(
            self,
            index=np.union1d(self.index, more),
            idle=np.setdiff1d(self.idle, more),
            slope=slope,
            kq=self.whole.with_lines(self.kq, sums, -1.0),
        )

    def lost(self, residual: Array, wrong: Index, multipliers: Array) -> float:
        """Return the sum of what rows lose whose dual does not go with their residual."""
        r = residual[wrong]
        half = self.whole.half_widths(wrong, multipliers)
        return float((half * (np.abs(r) - self.slope[wrong] * r)).sum())

    def verify(
        self, anchor: Anchor, found: KinkedSolution, certified: bool
    ) -> tuple[Array, Measured | None, Index]:
        """Compute residuals at a model, and find the rows whose sign is wrong, in one pass over X.

        It is the certificate's own pass if its sums are wanted.
        """
        whole, slope, wrong = self.whole, self.with_duals(found), []

        def seen(rows: slice, residual: Array) -> None:
            wrong.append(rows.start + np.flatnonzero(by_row(slope[rows] * residual < 0)))

        measured = None
        if certified:
            measured, residual = whole.measure(anchor, found.multipliers, slope, seen)
        else:
            residual = whole.residual(anchor)
            seen(slice(0, len(residual)), residual)
        self.slope[self.index] = 0.0
        listed = np.zeros(len(slope), dtype=bool)
        listed[np.concatenate(wrong)] = True
        listed[self.index] = False
        listed[self.idle] = by_row(residual[self.idle] != 0)
        return residual, measured, np.flatnonzero(listed)

    def with_duals(self, found: KinkedSolution) -> Array:
        """Put what a solution of the band has for its rows into ``slope``, and return it."""
        dual = found.dual[: len(self.index)]
        self.slope[self.index] = self.whole.slopes(self.index, dual, found.multipliers)
        return self.slope


@dataclass(frozen=True)
class Outcome:
    """The solution of a band in which the signs of all other rows are right.

    Parameters
    ----------
    anchor : the model.
    residual : at it, of the shape of y.
    band : with the slopes s of all rows.
    found : the band's solution.
    gap : the duality gap of all rows; infinite where the work was stopped before.
    measured : what the certificate's pass found. None where it was not made.
    """

    anchor: Anchor
    residual: Array
    band: Band
    found: KinkedSolution
    gap: float
    measured: Measured | None


def moves(basis: Basis, delta: Array) -> tuple[float, float]:
    """Return by how much a step moves predictions: a standard deviation, and all rows alike."""
    if delta.ndim > 1:
        each = [moves(basis, column) for column in delta.T]
        return max(spread for spread, _ in each), max(shift for _, shift in each)
    return basis.spread(delta), abs(float(delta[-1])) if basis.fit_intercept else 0.0


def near_band(at: Smoothed, delta: Array, size: BandSize) -> Band | None:
    """Split for what a Newton step leads to: only rows that it can take to 0 are looked at again.

    None where these rows may not hold the band that is wanted, as where many lie at 0.
    """
    whole, near, slope = at.whole, size.near, at.slope
    limit = size.limit(at.residual)
    spread, shift = moves(whole.basis, delta)
    close = within(at.residual, max(limit + shift + _DEVIATIONS * spread, at.h))
    if len(at.kinks):
        close = np.setdiff1d(close, at.kinks, assume_unique=True)
    inside = np.empty(len(close), dtype=bool)

    def change(rows: slice, residual: Array) -> tuple[Array, Array | float, Array]:
        index = close[rows]
        here = size.reaches(residual, limit, index)
        ends = np.where(residual > 0, 1.0, -1.0)
        ends[here] = 0.0
        lost = ends - slope[index]
        inside[rows], slope[index] = here, ends
        gone: Array | float = 0.0
        if whole.tilted:
            gone = column(-here.astype(np.float64), ends)
        return lost, gone, at.residual[index]

    _, sums = whole.sweep(whole.moved(at.anchor, delta), change, close)
    count = int(inside.sum())
    if limit <= whole.rounding or not near / _OFF <= count <= _OFF * near:
        return None
    return Band(
        whole,
        at.anchor,
        at.residual,
        np.sort(np.append(close[inside], at.kinks)),
        np.zeros(0, dtype=np.intp),
        slope,
        whole.with_lines(at.kq, sums),
        delta,
    )


def split(
    whole: Whole, anchor: Anchor, size: BandSize, limit: Array | float, multipliers: Array | None
) -> Band:
    """Split at a model: the rows nearest to 0 in any output, and lines for the others, in one pass.

    How far the band reaches is known from another model; where its size is not what it should be,
    the residuals found decide. ``multipliers`` (J,) are those of a model close by.
    """
    heavy, near = size.outstanding(whole.weights(multipliers)), size.near
    limit = np.maximum(limit, whole.rounding)
    for _ in range(2):  # the second time by the residuals themselves
        band = _split_at(whole, anchor, size, limit, heavy)
        count = len(band.index) - len(heavy)
        if near / _OFF <= count <= _OFF * near:
            break
        exact = size.limit(band.residual)
        limit = np.maximum(exact, whole.rounding)
        if count > near and np.max(exact) <= whole.rounding:
            return _thinned(band, heavy, near, multipliers)
    return band


def _split_at(
    whole: Whole, anchor: Anchor, size: BandSize, limit: Array | float, heavy: Index
) -> Band:
    """Return the band of all rows with |r| <= limit, and of heavy rows."""
    slope = np.empty(whole.y.shape)
    chosen = np.zeros(len(slope), dtype=bool)
    chosen[heavy] = True
    inside: dict[int, Index] = {}

    def lines(rows: slice, residual: Array) -> tuple[Array, Array | float, Array]:
        here = slope[rows]
        here[:] = np.where(residual > 0, 1.0, -1.0)
        near = size.reaches(residual, limit, rows)
        if len(heavy):
            near |= chosen[rows]
        taken = np.flatnonzero(near)
        here[taken] = 0.0
        inside[rows.start] = taken + rows.start
        signed: Array | float = 1.0
        if whole.tilted:
            signed = 1.0 - column(near, here)
        return here, signed, residual

    residual, sums = whole.sweep(anchor, lines, squares=True)
    kq = whole.on_lines(anchor, sums)
    index, none = np.concatenate([inside[at] for at in sorted(inside)]), np.zeros(0, dtype=np.intp)
    return Band(whole, anchor, residual, index, none, slope, kq, np.zeros_like(kq.linear))


def _thinned(band: Band, heavy: Index, near: int, multipliers: Array | None) -> Band:
    """Leave so many of the rows at 0 in a band, as balance the others; the rest are idle."""
    whole = band.whole
    push = float(np.linalg.norm(band.kq.lagrangian(multipliers).linear))
    push /= max(float(whole.half_widths(slice(None), multipliers).mean()), TINY)
    thin = (len(band.index) - len(heavy)) // max(near, int(SPARE * push))
    if thin <= 1:
        return band
    light = np.setdiff1d(band.index, heavy, assume_unique=True)
    few = scattered(light, -(-len(light) // thin))
    taken = np.sort(np.append(few, heavy))
    idle = np.setdiff1d(band.index, taken, assume_unique=True)
    thinner = replace(band, index=taken, idle=idle)
    if not whole.tilted:
        return thinner
    return replace(
        thinner, kq=whole.with_lines(band.kq, line_sums(whole, band.anchor, idle, band.slope))
    )
