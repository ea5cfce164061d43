r"""Coupling of rows and outputs: group losses in the objective and under bounds.

Each group g of rows has three sums for each output k, over its own rows i with their shares:

    signed   Σ share_i r_ik,     absolute   Σ share_i |r_ik|,     squared   ½ Σ share_i r_ik²,

and every loss of a group is a combination of them: (λ (2τ - 1), λ, 2 (1 - λ)) is the mix, (0, c_k,
0) the mean of |r| in units of y, (0, 0, 2 c_k²) that of r². A constraint names a group and its
three weights for each output. Its multiplier μ_j adds to the weights of the group, so that

    W_g = base_g + Σ_j μ_j weights_j,   row i has the dual interval share_i [W⁰ - W¹, W⁰ + W¹]:

affine in the multipliers. `Border` is what this does to a Newton step of `interior_point`: once δ
and the rows are eliminated, J equations in the multipliers and one in t are left (the Schur
complement, Nocedal & Wright 2006, section 16.2). Many constraints, each on a group of its own, are
eliminated in their turn: what is their own is diagonal, and equations of the size of δ are left.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import block_diag, lapack

from skfairloss._cached import cached_property
from skfairloss._design.rows import Membership, Rows
from skfairloss._solvers.tolerances import INSIDE, TINY
from skfairloss._typing import Array, Index, Mask

SIGNED, ABSOLUTE, SQUARED = range(3)
MANY = 100  # unknowns whose equations take a moment; fewer are solved with more digits, and often


@dataclass(frozen=True)
class Coupling:
    """Groups and constraints of a `KinkedQuadratic` with m outputs, G groups and J constraints.

    Parameters
    ----------
    share : (N,), weights of the rows within their groups.
    codes : (N,), the group of each row; G for a row of none.
    base : (3, G, m), weights of the sums in the objective.
    grams : (G, d, d), second derivatives of the squared sums. None where none is used.
    near : (G, d, d), those of the absolute sums, of smoothed rows. None where there are none.
    gradients, constants : (3, G, d, m) and (3, G, m), minus the gradients and the values at δ = 0
        of what is smooth: squares of all rows of a group, other sums of rows that are not here.
    groups : (J,), the group of each constraint.
    weights : (3, J, m), of the sums of this group.
    lines : (J, d, m), minus the gradient of what is linear in δ beside them.
    bound, slope : (J,).
    worst_weight : γ; positive if any slope is.
    """

    share: Array
    codes: Index
    base: Array
    grams: Array | None
    near: Array | None
    gradients: Array
    constants: Array
    groups: Index
    weights: Array
    lines: Array
    bound: Array
    slope: Array
    worst_weight: float

    @property
    def n_groups(self) -> int:
        """G."""
        return self.base.shape[1]

    @property
    def curved(self) -> bool:
        """True where there is a quadratic."""
        return self.grams is not None or self.near is not None

    @cached_property
    def tilted(self) -> bool:
        """True where any loss sees the sign of a residual."""
        return bool(self.base[SIGNED].any() or self.weights[SIGNED].any())

    @cached_property
    def lined(self) -> bool:
        """True where any constraint is linear in δ beside its group's loss."""
        return bool(self.lines.any())

    @cached_property
    def membership(self) -> Membership:
        """The groups of the rows, and one more for rows of none."""
        return Membership(self.codes, self.n_groups + 1)

    @cached_property
    def base_weight(self) -> float:
        """The size of the weights in the objective, t's included: what multipliers compare to."""
        return max(float(self.base[ABSOLUTE:].sum(axis=0).mean(axis=1).sum()), self.worst_weight)

    def binding(self, multipliers: Array) -> Mask:
        """Return the constraints (J,) whose multipliers are more than rounding."""
        return np.asarray(multipliers > INSIDE * self.base_weight)

    def group_weights(self, multipliers: Array) -> Array:
        """W = base + Σ_j μ_j weights_j, (3, G, m)."""
        return self.base + self.spread_out(multipliers)

    def spread_out(self, multipliers: Array) -> Array:
        """Σ_j μ_j weights_j by group, (3, G, m)."""
        flat = np.zeros((self.n_groups, self._weights_by_constraint.shape[1]))
        np.add.at(flat, self.groups, multipliers[:, None] * self._weights_by_constraint)
        return flat.reshape(self.n_groups, 3, self.base.shape[2]).transpose(1, 0, 2)

    @cached_property
    def _weights_by_constraint(self) -> Array:
        """The weights of each constraint in one row, (J, 3 m)."""
        j, m = len(self.groups), self.base.shape[2]
        return np.ascontiguousarray(self.weights.transpose(1, 0, 2)).reshape(j, 3 * m)

    @cached_property
    def same_group(self) -> Mask:
        """True where two constraints are about the same group, (J, J)."""
        return np.asarray(self.groups[:, None] == self.groups)

    @property
    def crowded(self) -> bool:
        """True where constraints are many, and more than unknowns: these are solved for then."""
        return len(self.bound) > max(MANY, self.base.shape[2] * self.gradients.shape[2])

    @cached_property
    def apart(self) -> bool:
        """True where no two constraints are about the loss of one group."""
        groups = self.groups[self.weights.any(axis=(0, 2))]
        return len(np.unique(groups)) == len(groups)

    @cached_property
    def sloped(self) -> Mask:
        """The constraints with a slope, (J,)."""
        return np.asarray(self.slope > 0)

    @cached_property
    def leveled(self) -> bool:
        """True where there are any, so that t is an unknown."""
        return bool(self.sloped.any())

    def interval(self, weights: Array) -> tuple[Array, Array]:
        """Both ends of the rows' dual intervals under weights W, (N, m) each."""
        half = self.half_widths(weights)
        if not self.tilted:
            return -half, half
        middle = self._by_row(weights[SIGNED])
        return middle - half, middle + half

    def half_widths(self, weights: Array) -> Array:
        """Half the lengths of these intervals, (N, m)."""
        return self._by_row(weights[ABSOLUTE])

    def _by_row(self, weights: Array) -> Array:
        """Weights (G, m) of the groups times the shares of their rows, (N, m)."""
        padded = np.zeros((self.n_groups + 1, weights.shape[1]))
        padded[:-1] = weights
        out = padded.take(self.codes, axis=0)
        out *= self.share[:, None]
        return out

    def quadratic(self, weights: Array, multipliers: Array) -> tuple[Array, Array]:
        """H (m, d, d) and g (d, m) under weights W and multipliers."""
        _, n_groups, d, m = self.gradients.shape
        hessian = np.zeros((m, d, d))
        for grams, own in ((self.grams, weights[SQUARED]), (self.near, weights[ABSOLUTE])):
            if grams is not None:
                hessian += (own.T @ grams.reshape(n_groups, d * d)).reshape(m, d, d)
        linear = np.einsum("cgk,cgdk->dk", weights, self.gradients)
        if self.lined:
            linear += np.einsum("j,jdk->dk", multipliers, self.lines)
        return hessian, linear

    def shifted(self, delta: Array) -> Coupling:
        """Return the same relative to δ."""
        return replace(
            self,
            gradients=self._slopes(delta),
            constants=self._smooth_sums(delta),
            bound=self.bound + (self.lines * delta).sum(axis=(1, 2)),
        )

    def with_rows(self, share: Array, codes: Index) -> Coupling:
        """Return the same with more rows before its own."""
        if len(self.share):
            share = np.concatenate([share, self.share])
            codes = np.concatenate([codes, self.codes])
        return replace(self, share=share, codes=codes)

    def by_group(self, values: Array) -> Array:
        """Sum (N, m) values over the rows of each group, (G, m)."""
        sums = [self.membership.totals(column) for column in values.T]
        return np.array(sums).T[:-1]

    def sums(self, delta: Array, residual: Array, absolute: Array | None = None) -> Array:
        """Return the sums of all groups at δ, (3, G, m); ``absolute`` takes the place of |r|."""
        out = self._smooth_sums(delta)
        if len(residual):
            absolute = np.abs(residual) if absolute is None else absolute
            out[ABSOLUTE] += self.by_group(self.share[:, None] * absolute)
            if self.tilted:
                out[SIGNED] += self.by_group(self.share[:, None] * residual)
        return out

    def losses_of(self, sums: Array, delta: Array) -> Array:
        """Return the left sides of the constraints, (J,), from the sums at δ."""
        own = np.einsum("cjk,cjk->j", self.weights, sums[:, self.groups])
        if self.lined:
            own -= np.einsum("jdk,dk->j", self.lines, delta)
        return own

    def losses(self, delta: Array, residual: Array) -> Array:
        """Return the left sides of the constraints, (J,)."""
        return self.losses_of(self.sums(delta, residual), delta)

    def losses_at(self, size: float) -> Array:
        """Return what residuals of one size make of the left sides of the constraints, (J,)."""
        own = self.weights[ABSOLUTE] * size + self.weights[SQUARED] * (0.5 * size * size)
        return np.asarray(own.sum(axis=1))

    def level(self, losses: Array) -> float:
        """Return the smallest t that the left sides allow; 0 where no constraint has a slope."""
        if not self.leveled:
            return 0.0
        sloped = self.sloped
        return float(((losses - self.bound)[sloped] / self.slope[sloped]).max())

    def excess(self, losses: Array) -> Array:
        """Left sides less right sides at the smallest t, (J,)."""
        return losses - self.bound - self.slope * self.level(losses)

    def objective(self, delta: Array, residual: Array) -> float:
        """Return the groups' part of the objective, γ t included."""
        sums = self.sums(delta, residual)
        return self.objective_of(sums, self.losses_of(sums, delta))

    def objective_of(self, sums: Array, losses: Array) -> float:
        """Return the same from the sums and the left sides of the constraints."""
        return float(np.vdot(self.base, sums)) + self.worst_weight * self.level(losses)

    def gap(self, losses: Array, multipliers: Array) -> float:
        """Complementarity of the constraints and what violates them, at the smallest t."""
        excess = self.excess(losses)
        slack = float(multipliers @ np.abs(excess) + np.maximum(excess, 0.0).sum())
        missing = abs(self.worst_weight - float(self.slope @ multipliers))
        return slack + missing * abs(self.level(losses))

    def negligible(self, slack: Array, kinks: Array, width: Array, unit: float) -> bool:
        """Return True where slacks of rows (N, m) are tiny beside each group's own loss."""
        slacks, losses, widths = (self.by_group(part).sum(axis=1) for part in (slack, kinks, width))
        return bool((slacks <= INSIDE * (losses + unit * widths)).all())

    def pulls(self, rows: Rows, delta: Array, slopes: tuple[Array, Array]) -> Array:
        """Minus the gradients of the left sides, (J, d, m).

        ``slopes`` (N, m) are those of r and of |r| in the rows.
        """
        groups = self._slopes(delta)
        if rows.n_rows:
            for which, slope in enumerate(slopes):
                if which == ABSOLUTE or self.tilted:
                    groups[which] += self.row_pulls(rows, slope)
        pulls = np.einsum("cjk,cjdk->jdk", self.weights, groups[:, self.groups])
        return pulls + self.lines if self.lined else pulls

    def row_pulls(self, rows: Rows, slope: Array) -> Array:
        """Σ share_i slope_ik A_i over the rows of each group, (G, d, m)."""
        own = self.share[:, None] * slope
        sums = [rows.adjoint_by_group(column, self.membership)[:-1] for column in own.T]
        return np.array(sums).transpose(1, 2, 0)

    def _moved(self, delta: Array) -> list[tuple[int, Array]]:
        """Gram matrices times δ, (G, d, m), for each sum that has any."""
        d, m = delta.shape
        parts = ((ABSOLUTE, self.near), (SQUARED, self.grams))
        return [
            (which, (grams.reshape(len(grams) * d, d) @ delta).reshape(len(grams), d, m))
            for which, grams in parts
            if grams is not None
        ]

    def _smooth_sums(self, delta: Array) -> Array:
        """Return what is smooth in the sums at δ, (3, G, m)."""
        out: Array = self.constants - np.einsum("cgdk,dk->cgk", self.gradients, delta)
        for which, moved in self._moved(delta):
            out[which] += 0.5 * np.einsum("gdk,dk->gk", moved, delta)
        return out

    def _slopes(self, delta: Array) -> Array:
        """Minus its gradients, (3, G, d, m)."""
        out = self.gradients.copy()
        for which, moved in self._moved(delta):
            out[which] -= moved
        return out


@dataclass(frozen=True)
class Bounds:
    """The level, the slacks and the multipliers of an iterate.

    Parameters
    ----------
    t : the level.
    slack, multipliers : (J,), both positive.
    """

    t: float
    slack: Array
    multipliers: Array

    @property
    def complementarity(self) -> float:
        """Σ s_j μ_j."""
        return float(self.slack @ self.multipliers)

    def moved(self, step: Bounds, primal: float, dual: float) -> Bounds:
        """Return the iterate after a step."""
        return Bounds(
            self.t + primal * step.t,
            self.slack + primal * step.slack,
            self.multipliers + dual * step.multipliers,
        )

    def steepness(self, step: Bounds) -> tuple[float, float]:
        """Return how fast slacks and multipliers fall along a step, relative to themselves."""
        return (
            float((-step.slack / self.slack).max(initial=0.0)),
            float((-step.multipliers / self.multipliers).max(initial=0.0)),
        )


@dataclass(frozen=True)
class Openness:
    """Residuals of the constraints' equations: F + s - bound - slope t, (J,), and γ - slopeᵀμ."""

    infeasibility: Array
    missing: float

    @classmethod
    def of(cls, coupling: Coupling, bounds: Bounds, losses: Array) -> Openness:
        """Measure an iterate, from the left sides (J,)."""
        return cls(
            losses + bounds.slack - coupling.bound - coupling.slope * bounds.t,
            coupling.worst_weight - float(coupling.slope @ bounds.multipliers),
        )

    def charge(self, bounds: Bounds) -> float:
        """Bound what that may amount to in the objective."""
        infeasible = float((1.0 + bounds.multipliers) @ np.abs(self.infeasibility))
        return infeasible + abs(self.missing * bounds.t)


@dataclass(frozen=True)
class Border:
    """The equations of the multipliers and of t at an iterate, δ and the rows eliminated.

    With φ the share of u/s_u in u/s_u + v/s_l = 1/D, a change dμ moves the ends of a row's interval
    by mid ± half, and its dual by D (p_v - p_u - A dδ) + mid + (2φ - 1) half: mid drops out of all
    dual slacks, which lose e - 2 (1 - φ) half and -e - 2 φ half, e being the first term. So a
    constraint's loss falls along dδ by `pulls`, the slope of |r| being 2φ - 1 and that of r 1, and
    along dμ by `spread`, Σ_k 4 w_jk w_lk Σ_i share² φ v/s_l for the weights w of the absolute
    sums of two constraints on the same group.
    """

    coupling: Coupling
    bounds: Bounds
    open: Openness
    sides: Array  # φ and 1 - φ, (2, N, m)
    pulls: Array  # (m, d, J)
    own: Array  # of the reduced matrix, what is not pullsᵀ M⁻¹ pulls: (J, J), or its diagonal (J,)
    factors: list[Array]  # lower Cholesky factors of M, for each output

    @classmethod
    def at(
        cls,
        coupling: Coupling,
        rows: Rows,
        delta: Array,
        bounds: Bounds,
        openness: Openness,
        ratio: Array,
        d: Array,
        factors: list[Array],
    ) -> Border:
        """Set up the equations; ``ratio`` (2, N, m) is u/s_u and v/s_l, d (N, m) 1 / their sum.

        ``factors`` are those of each output's Newton matrix M.
        """
        sides = d * ratio
        slopes = np.broadcast_to(1.0, d.shape), sides[0] - sides[1]
        pulls = np.ascontiguousarray(coupling.pulls(rows, delta, slopes).transpose(2, 1, 0))
        spread = coupling.by_group(coupling.share[:, None] ** 2 * sides[0] * ratio[1])
        width, ratio_of = 2.0 * coupling.weights[ABSOLUTE], bounds.slack / bounds.multipliers
        weighted = width * spread[coupling.groups]
        if coupling.crowded and coupling.apart:
            own = (weighted * width).sum(axis=1) + ratio_of
        else:
            own = coupling.same_group * (weighted @ width.T)
            np.einsum("jj->j", own)[:] += ratio_of
        return cls(coupling, bounds, openness, sides, pulls, own, factors)

    def step(self, right: Array, push: Array, push_slack: Array) -> tuple[Array, Bounds]:
        """Return the changes of δ and of the constraints.

        Parameters
        ----------
        right : (d, m), M times the change of δ under fixed μ.
        push : (2, N, m), changes of u and v beside those of their dual slacks.
        push_slack : (J,), changes of the slacks beside those of their multipliers.

        Raises
        ------
        numpy.linalg.LinAlgError
            If the equations are singular.
        """
        coupling = self.coupling
        shift = push[0] * self.sides[1] + push[1] * self.sides[0]
        shift = coupling.by_group(coupling.share[:, None] * shift)[coupling.groups]
        rest = self.open.infeasibility + push_slack
        rest += 2.0 * np.einsum("jk,jk->j", coupling.weights[ABSOLUTE], shift)
        solve = self._by_unknowns if self.own.ndim == 1 else self._by_constraints
        delta, multipliers, t = solve(right, rest)
        ratio = self.bounds.slack / self.bounds.multipliers
        return delta, Bounds(t, push_slack - ratio * multipliers, multipliers)

    def _by_constraints(self, right: Array, rest: Array) -> tuple[Array, Array, float]:
        """Return the changes of δ, of the multipliers and of t: δ is eliminated."""
        coupling, n = self.coupling, len(rest)
        first, (solved, reduced) = solve_each(self.factors, right.T).T, self._reduced
        rest = rest - self.pulls.reshape(first.size, n).T @ first.T.ravel()
        if coupling.leveled:
            bordered = np.zeros((n + 1, n + 1))
            bordered[:n, :n] = reduced
            bordered[:n, n] = bordered[n, :n] = coupling.slope
            unknown = solve_small(bordered, np.append(rest, self.open.missing))
            multipliers, t = unknown[:n], float(unknown[n])
        else:
            multipliers, t = solve_small(reduced, rest), 0.0
        return first + (solved @ multipliers).T, multipliers, t

    @cached_property
    def _reduced(self) -> tuple[Array, Array]:
        """M⁻¹ pulls, (m, d, J), and the matrix of the multipliers, (J, J)."""
        solved = solve_each(self.factors, self.pulls)
        return solved, np.einsum("kij,kil->jl", self.pulls, solved) + self.own

    def _by_unknowns(self, right: Array, rest: Array) -> tuple[Array, Array, float]:
        """Return the same where constraints are more than unknowns: multipliers are eliminated."""
        coupling, own = self.coupling, self.own
        pulls = self.pulls.reshape(right.size, len(rest))
        matrix = block_diag(*(np.tril(factor) @ np.tril(factor).T for factor in self.factors))
        matrix += (pulls / own) @ pulls.T
        sides = np.column_stack([rest, coupling.slope])
        known = np.column_stack([right.T.ravel(), np.zeros(right.size)]) + pulls @ (
            sides / own[:, None]
        )
        delta = solve_small(matrix, known)
        multipliers, t = (sides - pulls.T @ delta) / own[:, None], 0.0
        if coupling.leveled:
            found, along = coupling.slope @ multipliers
            t = float((found - self.open.missing) / along)
        change = delta[:, 0] - t * delta[:, 1]
        out = multipliers[:, 0] - t * multipliers[:, 1]
        return change.reshape(right.T.shape).T, out, t

    def closing(self, dual: Array, step: Bounds) -> Array:
        """Return what the two dual slacks lose, (2, N, m), where da is ``dual`` under fixed μ."""
        half = self.coupling.half_widths(self.coupling.spread_out(step.multipliers))
        out = self.sides[::-1] * (-2.0 * half)
        out[0] += dual
        out[1] -= dual
        return out


def solve_each(factors: list[Array], right: Array) -> Array:
    """Multiply (m, d) or (m, d, J) by the inverses of matrices with such Cholesky factors."""
    if not right.size:
        return right
    pairs = zip(factors, right, strict=True)
    return np.array([lapack.dpotrs(factor, one, lower=True)[0] for factor, one in pairs])


def solve_small(matrix: Array, rhs: Array) -> Array:
    """Solve a few equations; raise LinAlgError where they are singular."""
    if not len(rhs):
        return rhs
    unknown, info = lapack.dgesv(matrix, rhs)[2:]
    if info != 0 or not np.isfinite(unknown).all():
        raise np.linalg.LinAlgError("singular")
    return np.asarray(unknown)


def shared_equally(coupling: Coupling) -> Array:
    """γ shared among the constraints with a slope, (J,)."""
    total = max(float(coupling.slope.sum()), TINY)
    return coupling.slope * (coupling.worst_weight / total)


def looks_binding(coupling: Coupling, bounds: Bounds, objective: float) -> Mask:
    """Constraints (J,) whose multiplier is larger than their slack, each relative to its size."""
    weight = max(coupling.base_weight, TINY)
    level = max(abs(objective), TINY) / weight
    return np.asarray(bounds.multipliers / weight > bounds.slack / level)
