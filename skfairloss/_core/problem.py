r"""The narrow waist: a frozen `Problem` goes into a solver, a frozen `Solution` comes out.

    minimise  Σ_k [ Σ_i v_i ℓ(r_ik) + l1 ‖w_k‖₁ + (l2 / 2) ‖w_k‖² ],   r = y - X w - b.

Targets are in units of the residual scale: y here is the user's y / c, w and b are theirs over c.

Without terms that couple the outputs (the columns of y) the sum separates into one problem each.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skfairloss._cached import cached_property
from skfairloss._core.constraints import (
    LIMIT,
    MIX,
    SQUARED_ERROR,
    GroupCriterion,
    GroupLoss,
    LinearRows,
    deviations,
)
from skfairloss._core.losses import GroupedLoss, MixedLoss
from skfairloss._core.solution import Multipliers
from skfairloss._design.basis import EPS, Basis
from skfairloss._design.compensated import CompensatedDesign
from skfairloss._design.dense import DenseDesign
from skfairloss._design.design import Design
from skfairloss._design.factor import column_basis, has_many_rows, orthonormal_basis
from skfairloss._design.moments import GroupMoments
from skfairloss._design.sample import Sample, draw_sample, has_sample
from skfairloss._typing import Array

_FEW_OUTPUTS = 8  # whose moments are found in the pass that serves the second moments of X
_ROUNDING = 32 * EPS  # of a residual, relative to y, that no model can do without
# Rounding errors of predictions, relative to what a direction predicts and to `tol`, from which
# more digits are worth their cost: solvers aim at a hundredth of `tol`.
_CANCELLING = 0.01
ZERO_BOUND = 5e-10  # a bound of 0 on a group's loss, as a share of the loss of the mean of y
_SMALL = 1e-4  # what its violation is relative to, as a share of the same


@dataclass(frozen=True)
class Problem:
    """A weighted linear regression with the mixed loss and an elastic-net penalty.

    Parameters
    ----------
    design : the n rows of X.
    y : (n, m), in units of the residual scale.
    weights : (n,), positive, summing to 1.
    loss : the loss ℓ.
    l1, l2 : weights of the penalties ‖w‖₁ and ‖w‖² / 2.
    fit_intercept : whether b is free, else 0.
    criterion : group losses in the objective and under bounds; None without.
    linear : rows in the coefficients with bounds.
    grouped_loss : the loss of rows by group and output, in the place of ``loss``. None but in what
        is left of terms about another loss than the mix once multipliers are fixed.
    """

    design: Design
    y: Array
    weights: Array
    loss: MixedLoss
    l1: float = 0.0
    l2: float = 0.0
    fit_intercept: bool = True
    criterion: GroupCriterion | None = None
    linear: tuple[LinearRows, ...] = ()
    grouped_loss: GroupedLoss | None = None

    @property
    def row_loss(self) -> MixedLoss | GroupedLoss:
        """The loss of the rows, each under its weight."""
        return self.grouped_loss or self.loss

    @property
    def has_squares(self) -> bool:
        """True where squared residuals count, in the mix or in a term's own loss."""
        if self.loss.curvature > 0 or self.criterion is None:
            return self.loss.curvature > 0
        return any(loss.kind == SQUARED_ERROR for loss in self.criterion.losses)

    @property
    def constrained(self) -> bool:
        """True where there are group losses or linear rows: then outputs are solved at once."""
        return self.criterion is not None or bool(self.linear)

    @property
    def n_outputs(self) -> int:
        """Number of columns of y."""
        return self.y.shape[1]

    @cached_property
    def means(self) -> Array:
        """Weighted means of the columns of X, (p,); finite only if all of X is."""
        if self.has_squares or self.l1 > 0 or self.sample is None:
            return self.first_moments[0]
        with np.errstate(invalid="ignore", over="ignore"):
            return self.design.adjoint(self.weights)  # nothing will ask for products with y

    @cached_property
    def first_moments(self) -> tuple[Array, Array]:
        """Weighted means of the columns of X, (p,), and of their products with y, (p, m)."""
        weights, y = self.weights, self.y
        if self.group_moments is not None:
            with np.errstate(invalid="ignore", over="ignore"):  # whoever reads them checks
                return self.group_moments.of_all()

        def weighted(rows: slice) -> Array:
            out = np.empty((rows.stop - rows.start, 1 + y.shape[1]))
            out[:, 0] = weights[rows]
            np.multiply(weights[rows, None], y[rows], out=out[:, 1:])
            return out

        with np.errstate(invalid="ignore", over="ignore"):  # whoever reads them checks
            sums = self.design.gather(weighted)
        return sums[:, 0].copy(), sums[:, 1:]

    @cached_property
    def group_moments(self) -> GroupMoments | None:
        """Moments of the groups, where squares count and they are no larger than X; else None."""
        if not self.has_squares or self.n_outputs > _FEW_OUTPUTS:
            return None
        n_groups, (n, p) = len(self.groups.shares), self.design.shape
        if not (isinstance(self.design, DenseDesign) and has_many_rows(n, max(p, 1))):
            return None
        few = not self.constrained and n * p < self.design.block_size
        if n_groups * p > n or few:
            return None
        with np.errstate(invalid="ignore", over="ignore"):  # whoever reads the means checks
            return self.design.group_moments(
                self.y,
                self.weights,
                self.groups.codes,
                n_groups,
                origin=self.design.origin(self.y) if self.fit_intercept else None,
            )

    @cached_property
    def basis(self) -> Basis:
        """Orthonormal coordinates of the weighted, ridge-augmented design."""
        means = self.means
        center = means if self.fit_intercept else np.zeros_like(means)
        known = self.group_moments.around(center) if self.group_moments is not None else None
        return orthonormal_basis(
            self.design, self.weights, self.fit_intercept, self.l2, center, known
        )

    @cached_property
    def exact_basis(self) -> Basis:
        """Coordinates of all rows: columns of sparse X where that is safe, else orthonormal."""
        means = self.means
        center = means if self.fit_intercept else np.zeros_like(means)
        plain = column_basis(self.design, self.weights, self.fit_intercept, self.l2, center)
        return plain or self.basis

    @cached_property
    def sample(self) -> Sample | None:
        """Some rows that stand for all; None where those are not many more."""
        n, p = self.design.shape
        if not has_sample(n, p + self.fit_intercept):
            return None
        return draw_sample(self.design, self.weights, self.fit_intercept, self.l2)

    @property
    def moments_decide(self) -> bool:
        """True where moments count, whatever their digits: rows are but a sample."""
        return False

    @property
    def penalty_basis(self) -> Basis | None:
        """Coordinates with one for each coefficient; None where they are found from the rows."""
        return None

    @property
    def sample_basis(self) -> Basis | None:
        """Coordinates from the sample, where no squares have to be exact in them; or None."""
        if self.has_squares or self.l1 > 0 or self.sample is None:
            return None
        return self.sample.basis

    def outputs(self, which: slice) -> Problem:
        """Return the problem of some of the outputs."""
        return replace(self, y=self.y[:, which])

    def plain(self, multipliers: Multipliers | None) -> Problem:
        """Return the fit without constraints that the multipliers amount to.

        Its rows have other weights, or losses by group where a term is about its own.
        """
        if not self.constrained:
            return self
        if multipliers is None:
            return replace(self, criterion=None, linear=())
        if self.groups.about_mix:
            weights = self.row_weights(multipliers)
            return replace(self, criterion=None, linear=(), weights=weights)
        loss = self._grouped(multipliers)
        other = replace(self, criterion=None, linear=(), grouped_loss=loss)
        return self._sharing(other)

    def under(self, **changes: Any) -> Problem:
        """Return the problem under another loss or criterion, or other linear rows.

        All that is known of its rows whatever these are goes along.
        """
        other = self._sharing(replace(self, **changes))
        if (other.criterion is None) != (self.criterion is None):
            other.__dict__.pop("group_moments", None)  # they are by group
        if other.loss is self.loss and "natural_loss" in self.__dict__:
            other.__dict__["natural_loss"] = self.natural_loss
        return other

    def compensated(self, tol: float) -> Problem | None:
        """Return the same with products of twice the digits.

        None where predictions have their digits, or have them already.
        """
        rounding = EPS * self.basis.amplification(0.0) ** 0.5
        if self.design.compensated or not rounding > _CANCELLING * tol:
            return None
        design, k = CompensatedDesign(self.design), self.basis.n_directions
        gram = design.rows(self.basis).gram(self.weights)[:k, :k]
        out = self._sharing(replace(self, design=design))
        out.__dict__["basis"] = replace(self.basis, gram=gram)
        for name in ("exact_basis", "first_moments", "group_moments"):
            out.__dict__.pop(name, None)
        return out

    def _sharing(self, other: Problem) -> Problem:
        """Return another problem of the same rows, with what is known of them."""
        shared = (
            "basis", "exact_basis", "sample", "first_moments", "group_moments", "means", "spread"
        )  # fmt: skip
        other.__dict__.update({n: self.__dict__[n] for n in shared if n in self.__dict__})
        return other

    def residual(self, coef: Array, intercept: Array) -> Array:
        """r = y - X w - b, shape (n, m)."""
        return self.y - self.design.predict(coef, intercept)

    def penalty(self, coef: Array) -> Array:
        """l1 ‖w_k‖₁ + (l2 / 2) ‖w_k‖² for each output, shape (m,)."""
        return self.l1 * np.abs(coef).sum(axis=0) + 0.5 * self.l2 * (coef * coef).sum(axis=0)

    def loss_values(self, residual: Array) -> Array:
        """Σ_i v_i ℓ(r_ik) for each output, shape (m,)."""
        return self.weights @ self.loss.value(residual)

    def squared_share(self, residual: Array) -> float:
        """Return the share of (1-λ) Σ v r² in the loss, over all outputs; NaN for a loss of 0."""
        if self.loss.loss_mix in (0.0, 1.0):
            return 1.0 - self.loss.loss_mix
        squares = 0.5 * self.loss.curvature * sum(self.weights @ (r * r) for r in residual.T)
        total = float(self.loss_values(residual).sum())
        return float(squares) / total if total > 0 else np.nan

    def row_weights(self, multipliers: Multipliers) -> Array:
        """Weights of the mix in the rows that the multipliers amount to, (n,)."""
        factors = self.mix_weights(multipliers) / self.groups.shares
        return self.weights * factors[self.groups.codes]

    def mix_weights(self, multipliers: Multipliers) -> Array:
        """Return the weights of the groups' mix: base and multipliers of terms about it, (G,)."""
        criterion = self.groups
        out = self.mean_weight * criterion.shares
        if criterion.worst_loss.kind is None:
            out = out + multipliers.worst
        for bounds, found in zip(criterion.bounds, multipliers.bounds, strict=True):
            if bounds.loss.kind is None:
                out = out + found
        return out

    def _grouped(self, multipliers: Multipliers) -> GroupedLoss:
        """Return the Lagrangian's loss of each group's rows, under the weights of the rows."""
        criterion, m = self.groups, self.n_outputs
        sums = np.multiply.outer(self.mix_weights(multipliers), self.mix_sums)
        asked = [(criterion.worst_loss, multipliers.worst)]
        asked += [
            (bounds.loss, found)
            for bounds, found in zip(criterion.bounds, multipliers.bounds, strict=True)
        ]
        for loss, found in asked:
            if loss.kind is not None:
                sums += np.multiply.outer(found, loss.weights(self.loss, m))
        tilt, steep, curvature = (sums / criterion.shares[:, None, None]).transpose(1, 0, 2)
        return GroupedLoss(tilt - steep, tilt + steep, curvature, criterion.codes)

    @cached_property
    def mean_weight(self) -> float:
        """The weight of the mean mix in the objective.

        1 - γ; where γ stands for the limit 1, in units of the worst loss.
        """
        criterion = self.groups
        rest, own = 1.0 - criterion.worst_weight, criterion.worst_loss
        if own.kind is None or criterion.worst_weight < 1.0 - LIMIT or self.natural_loss == 0:
            return rest
        return rest * self.natural(own) / self.natural_loss

    @cached_property
    def groups(self) -> GroupCriterion:
        """The criterion; one group without bound where there is none."""
        return self.criterion or _one_group(self)

    def group_losses(self, loss: GroupLoss, residual: Array) -> Array:
        """Return a loss of the groups, summed over the outputs, (G,)."""
        criterion = self.groups
        values = loss.values(self.loss, residual) * self.weights
        return np.bincount(criterion.codes, values, len(criterion.shares)) / criterion.shares

    def group_losses_at(self, loss: GroupLoss, coef: Array, intercept: Array) -> Array:
        """Return a loss of the groups at a model, summed over the outputs, (G,)."""
        return self.group_losses(loss, self.residual(coef, intercept))

    def group_terms_at(self, coef: Array, intercept: Array) -> GroupTerms:
        """Return the group losses at a model."""
        return self.group_terms(self.residual(coef, intercept))

    def group_terms(self, residual: Array) -> GroupTerms:
        """Group losses at residuals (n, m); one group without bound where there is no criterion."""
        criterion = self.groups
        mix = self.group_losses(MIX, residual)

        def values(loss: GroupLoss) -> Array:
            return mix if loss.kind is None else self.group_losses(loss, residual)

        worst = values(criterion.worst_loss) if criterion.worst_weight > 0 else mix
        bounded = tuple(values(bounds.loss) for bounds in criterion.bounds)
        return GroupTerms(self, mix, worst, bounded)

    @cached_property
    def group_bounds(self) -> tuple[Array, ...]:
        """The bounds on losses summed over the outputs, (G,) each.

        A bound of 0 is a small positive number, so that there is an inside.
        """
        sizes = [ZERO_BOUND * max(size, 1e-300) for size in self.bounded_sizes]
        pairs = zip(self.groups.bounds, sizes, strict=True)
        return tuple(self.n_outputs * np.maximum(one.values, size) for one, size in pairs)

    @cached_property
    def bound_units(self) -> tuple[Array, ...]:
        """The bounds, (G,) each, and what stands for 0 where violations are relative to them."""
        out = []
        for bound, size in zip(self.group_bounds, self.bounded_sizes, strict=True):
            whole = self.n_outputs * max(size, 1e-300)
            out.append(np.where(bound > ZERO_BOUND * whole, bound, _SMALL * whole))
        return tuple(out)

    def bound_rounding(self, residual: Array) -> float:
        """Return by how much rounding errors of y raise a bounded loss at most, relative to it."""
        moved = residual + np.copysign(_ROUNDING * np.abs(self.y), residual)
        worst = 0.0
        for bounds, bound in zip(self.groups.bounds, self.group_bounds, strict=True):
            change = self.group_losses(bounds.loss, moved) - self.group_losses(
                bounds.loss, residual
            )
            worst = max(worst, float((change / bound).max(initial=0.0)))
        return worst

    @cached_property
    def bounded_sizes(self) -> tuple[float, ...]:
        """The natural size of each loss that has bounds."""
        return tuple(self.natural(bounds.loss) for bounds in self.groups.bounds)

    @cached_property
    def mix_sums(self) -> Array:
        """Weights of z, |z| and z² / 2 in the mix, for each output, (3, m)."""
        return MIX.weights(self.loss, self.n_outputs)

    def natural(self, loss: GroupLoss) -> float:
        """Return the natural size of a loss of groups: that of the weighted means of y."""
        if loss.kind is None:
            return self.natural_loss
        away = deviations(self.y, self.weights)
        return float(self.weights @ loss.values(self.loss, away)) / self.n_outputs

    @cached_property
    def natural_loss(self) -> float:
        """Mean over the outputs of the loss of the weighted means of y."""
        return float(self.loss_values(deviations(self.y, self.weights)).mean())

    @cached_property
    def spread(self) -> Array:
        """Weighted mean of |y - mean y| of each output, (m,); 1 for a constant one."""
        out = self.weights @ np.abs(deviations(self.y, self.weights))
        return np.where(out > 0, out, 1.0)

    def linear_violation(self, coef: Array) -> float:
        """Largest violation of a linear row, relative to the spread of y."""
        worst = 0.0
        for term in self.linear:
            excess = np.abs(term.target - term.rows @ coef) - term.tolerance
            worst = max(worst, float((excess / self.spread).max()))
        return worst

    def linear_slack(self, coef: Array, multipliers: Multipliers) -> tuple[Array, float]:
        """Σ rowsᵀ multiplier, (p, m), and Σ |multiplier · slack| of the linear rows."""
        pull, slack = np.zeros_like(coef), 0.0
        for term, held in zip(self.linear, multipliers.linear, strict=True):
            rest = term.target - term.rows @ coef
            slack += float(np.abs(held * (rest - np.sign(held) * term.tolerance)).sum())
            pull += term.rows.T @ held
        return pull, slack

    def objective(self, coef: Array, intercept: Array) -> Array:
        """Loss plus penalty of each output, shape (m,)."""
        return self.loss_values(self.residual(coef, intercept)) + self.penalty(coef)


def _one_group(problem: Problem) -> GroupCriterion:
    """All rows as one group without constraint."""
    codes = np.zeros(len(problem.y), dtype=np.intp)
    return GroupCriterion(codes, np.ones(1), 0.0)


@dataclass(frozen=True)
class GroupTerms:
    """Contribution of group losses to an objective and its certificate.

    Parameters
    ----------
    problem : what is asked.
    losses : (G,), m L̄_g: the mix of each group, summed over the outputs.
    worst : (G,), the loss whose largest one counts.
    bounded : (G,) for each of the bounds, the loss that they are on.
    """

    problem: Problem
    losses: Array
    worst: Array
    bounded: tuple[Array, ...]

    @property
    def objective(self) -> float:
        """m [(1 - γ) L̄ + γ max_g worst loss_g]."""
        criterion = self.problem.groups
        mean = float(criterion.shares @ self.losses)
        largest = float(self.worst.max())
        return self.problem.mean_weight * mean + criterion.worst_weight * largest

    @property
    def violation(self) -> float:
        """Largest violation of a bound, relative to it."""
        problem, worst = self.problem, 0.0
        parts = zip(problem.group_bounds, problem.bound_units, self.bounded, strict=True)
        for bound, unit, losses in parts:
            at = np.isfinite(bound)
            worst = max(worst, float(((losses - bound)[at] / unit[at]).max(initial=0.0)))
        return worst

    def price(self, multipliers: Multipliers) -> float:
        """Σ multiplier · bound."""
        return sum(float(found @ bound) for found, bound, _ in self._held(multipliers))

    def slack(self, multipliers: Multipliers) -> float:
        """Σ |multiplier · slack|, and what the worst-group multipliers lack of γ."""
        largest = float(self.worst.max())
        out = float(multipliers.worst @ (largest - self.worst))
        for found, bound, losses in self._held(multipliers):
            out += float(found @ np.abs(bound - losses))
        missing = self.problem.groups.worst_weight - float(multipliers.worst.sum())
        return out + abs(missing) * largest

    def _held(self, multipliers: Multipliers) -> list[tuple[Array, Array, Array]]:
        """Multipliers, bounds and losses of the groups that have bounds, for each loss."""
        parts = zip(multipliers.bounds, self.problem.group_bounds, self.bounded, strict=True)
        return [
            tuple(values[np.isfinite(part[1])] for values in part)  # type: ignore[misc]
            for part in parts
        ]
