"""All rows of the data under constraints, for `sign_fixing`: lines add to the sums of their groups.

Multipliers, and with them the weights of the groups, are known only once a band is solved.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from skfairloss._cached import cached_property
from skfairloss._core.certificate import measure
from skfairloss._core.solution import Measured
from skfairloss._design.design import Design
from skfairloss._design.rows import DenseRows, sorted_by_group
from skfairloss._solvers.band import Band
from skfairloss._solvers.coupled import Coupled, Near, drawn, with_zeros
from skfairloss._solvers.coupling import ABSOLUTE, SIGNED, Coupling
from skfairloss._solvers.kinked import KinkedQuadratic, KinkedSolution
from skfairloss._solvers.tolerances import TINY
from skfairloss._solvers.whole import Anchor, Start, Sums, Whole, thinned
from skfairloss._typing import Array, Index


@dataclass(frozen=True)
class CoupledRows(Whole):
    """All rows of the data that have a kink.

    Parameters
    ----------
    coupled : the fit.
    share : (n,), weights of the rows at hand within their groups.
    codes : (n,), their groups.
    """

    coupled: Coupled
    share: Array
    codes: Index

    @classmethod
    def of(cls, coupled: Coupled) -> CoupledRows:
        """Take the rows of a fit."""
        data = coupled.data
        parts = data.design, data.y, coupled.basis, coupled.base
        return cls(*parts, coupled, data.share, data.codes)

    @property
    def n_groups(self) -> int:
        """G."""
        return self.coupled.coupling.n_groups

    @property
    def sampled(self) -> tuple[Index | slice, Design]:
        index, _, design = self.coupled.data.sample
        return index, design

    @property
    def uncertain(self) -> bool:
        return True

    @property
    def tilted(self) -> bool:
        return self.coupled.coupling.tilted

    @property
    def start(self) -> Anchor:
        """The start of the fit."""
        return Anchor(*self.coupled.start, np.zeros_like(self.coupled.base.linear))

    def start_near(self, near: Near) -> Start:
        """Return where to start from a model that is close."""
        anchor = self.moved(self.start, near.delta)
        return Start(anchor, True, multipliers=near.guess(self.coupled))

    def under_bounds(self, band: Band) -> Band:
        """Return a band of the same rows under the bounds of this fit."""
        own = _of(self.smooth(band.anchor))
        coupling = replace(_of(band.kq), bound=own.bound)
        return replace(band, whole=self, kq=replace(band.kq, coupling=coupling))

    def reached(self, anchor: Anchor, found: KinkedSolution) -> Anchor:
        there = super().reached(anchor, found)
        return replace(there, coef=with_zeros(self.coupled, found, there.coef))

    def few(self, start: Start | None) -> tuple[Whole, Anchor]:
        index, share, design = self.coupled.data.sample
        y, codes = self.y[index], self.codes[index]
        few = replace(self, design=design, y=y, share=share, codes=codes)
        return few, self.start if start is None else start.anchor

    def part(self, size: int) -> Whole:
        index, share = drawn(self.share, self.codes, self.n_groups, np.full(size, 0.5))
        design, y, codes = self.design.subset(index), self.y[index], self.codes[index]
        return replace(self, design=design, y=y, share=share, codes=codes)

    def score(
        self,
        rows: slice | Index,
        slope: Array,
        signed: Array | float,
        residual: Array,
        squares: bool,
    ) -> tuple[Array, Array]:
        share, kinds = self.share[rows, None], [ABSOLUTE, SIGNED][: 1 + self.tilted]
        parts = [share * slope]
        if self.tilted:
            parts.append(share * np.broadcast_to(signed, slope.shape))
        u = np.hstack(parts)
        width, n_sums = u.shape[1], u.shape[1] * self.n_groups
        place = self._codes[rows, None] + self.n_groups * np.arange(width, dtype=np.int32)
        values = u * np.tile(residual, (1, len(kinds)))
        place, starts = place.ravel(), np.arange(0, u.size + 1, width, dtype=np.int32)
        sums = [np.bincount(place, part.ravel(), n_sums) for part in (u, values)]
        columns = sp.csr_array((u.ravel(), place, starts), shape=(len(u), n_sums))
        return columns, np.array(sums)

    @cached_property
    def _codes(self) -> Index:
        """The groups, of the kind that sparse arrays take without a copy."""
        return self.codes.astype(np.int32)

    def smooth(self, anchor: Anchor) -> KinkedQuadratic:
        return self.coupled.base.shifted(anchor.theta)

    def with_lines(self, kq: KinkedQuadratic, sums: Sums, sign: float = 1.0) -> KinkedQuadratic:
        coupling = _of(kq)
        gradients, constants = coupling.gradients.copy(), coupling.constants.copy()
        (adjoint, (totals, values)), (_, n_groups, d, m) = sums, gradients.shape
        pulls = self.basis.pull_back(adjoint, totals).reshape(d, -1, m, n_groups)
        for at, which in enumerate([ABSOLUTE, SIGNED][: 1 + self.tilted]):
            gradients[which] += sign * pulls[:, at].transpose(2, 0, 1)
            constants[which] += sign * values.reshape(-1, m, n_groups)[at].T
        coupling = replace(coupling, gradients=gradients, constants=constants)
        return replace(kq, coupling=coupling)

    def with_rows(
        self, kq: KinkedQuadratic, residual: Array, index: Index | None = None
    ) -> KinkedQuadratic:
        own, none = slice(None) if index is None else index, np.zeros_like(residual)
        rows = self.design.rows(self.basis, index)
        if self.design.sparse:  # sums by group are faster over dense rows
            rows = DenseRows(rows.take(np.arange(rows.n_rows)))
        coupling = _of(kq).with_rows(self.share[own], self.codes[own])
        return kq.with_rows(rows, residual, none, none, coupling)

    def with_near(
        self, kq: KinkedQuadratic, near: Index, residual: Array, h: float
    ) -> KinkedQuadratic:
        d = self.basis.n_coordinates
        order, ends = sorted_by_group(self.codes[near], self.n_groups)
        parts = [thinned(part, self.share, d) for part in np.split(near[order], ends[:-1])]
        few, steep = (np.concatenate(part) for part in zip(*parts, strict=True))
        grams, codes, steep = np.zeros((self.n_groups, d, d)), self.codes[few], steep / h
        for rows in self.design.slices(len(few)):
            here = self.design.subset(few[rows])
            grams += here.grams_by_group(self.basis, steep[rows], codes[rows], self.n_groups)
        r, share = residual[near, 0], self.share[near]
        missing = np.bincount(self.codes[near], 0.5 * share * (h - r * r / h), self.n_groups)
        return self.with_curvature(kq, grams, missing)

    def with_curvature(self, kq: KinkedQuadratic, grams: Array, missing: Array) -> KinkedQuadratic:
        coupling = _of(kq)
        constants = coupling.constants.copy()
        constants[ABSOLUTE] += missing[:, None]
        return replace(kq, coupling=replace(coupling, near=grams, constants=constants))

    def weights(self, multipliers: Array | None) -> Array:
        own = self.group_weights(multipliers)[ABSOLUTE].sum(axis=1)
        weights = (own if own.any() else np.ones_like(own))[self.codes] * self.share
        weights /= weights.sum()
        return weights

    def group_weights(self, multipliers: Array | None) -> Array:
        """Return the weights of the sums of each group, (3, G, m); of the objective if None."""
        coupling = self.coupled.coupling
        return coupling.base if multipliers is None else coupling.group_weights(multipliers)

    def half_widths(self, index: Index | slice, multipliers: Array | None) -> Array:
        own = self.group_weights(multipliers)[ABSOLUTE]
        return own[self.codes[index]] * self.share[index, None]

    def slopes(self, index: Index, dual: Array, multipliers: Array) -> Array:
        weights, share = self.group_weights(multipliers), self.share[index, None]
        middle, half = (share * weights[which][self.codes[index]] for which in (SIGNED, ABSOLUTE))
        return np.clip((dual - middle) / np.maximum(half, TINY), -1.0, 1.0)

    def duals(self, slope: Array, multipliers: Array) -> Array:
        """Return the duals of all rows at slopes s, (n, m)."""
        weights = self.group_weights(multipliers)
        out = weights[ABSOLUTE].take(self.codes, axis=0)
        out *= slope
        if self.tilted:
            out += weights[SIGNED].take(self.codes, axis=0)
        out *= self.share[:, None]
        return out

    def measure(
        self,
        anchor: Anchor,
        multipliers: Array,
        slope: Array,
        seen: Callable[[slice, Array], None],
    ) -> tuple[Measured, Array]:
        problem, data = self.coupled.problem, self.coupled.data
        fit = problem.plain(self.coupled.group_multipliers(multipliers))
        dual = self.coupled.of_all(self.duals(slope, multipliers))
        squares, weights = problem.has_squares, fit.weights

        def duals_at(rows: slice, residual: Array) -> Array:
            here = dual[rows]
            here /= weights[rows, None]
            if squares:
                here += fit.row_loss.at(rows).squared_slope(residual)
            if data.every:
                seen(rows, residual)
            return here

        measured = measure(fit, anchor.coef, np.asarray(anchor.intercept), dual, duals_at)
        if data.every:
            return measured, measured.residual
        residual = measured.residual[data.index]
        seen(slice(0, len(residual)), residual)
        return measured, residual

    def merit(self, anchor: Anchor, residual: Array, multipliers: Array) -> float:
        coupling = replace(self.coupled.coupling, share=self.share, codes=self.codes)
        sums = coupling.sums(anchor.theta, residual)
        losses = coupling.losses_of(sums, anchor.theta)
        value = coupling.objective_of(sums, losses)
        value += float(self.coupled.problem.penalty(anchor.coef).sum())
        price = 1.0 + float(multipliers.sum())
        return value + price * float(np.maximum(coupling.excess(losses), 0.0).sum())

    def carried(self, start: Start, h: float) -> tuple[Array, Array, KinkedQuadratic] | None:
        return None


def _of(kq: KinkedQuadratic) -> Coupling:
    """Return the coupling of a problem that has one."""
    assert kq.coupling is not None
    return kq.coupling
