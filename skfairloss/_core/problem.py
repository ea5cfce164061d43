r"""The narrow waist: a frozen `Problem` goes into a solver, a frozen `Solution` comes out.

    minimise  Σ_k [ Σ_i v_i ℓ(r_ik) + l1 ‖w_k‖₁ + (l2 / 2) ‖w_k‖² ],   r = y - X w - b.

Targets are in units of the residual scale: y here is the user's y / c, w and b are theirs over c.

Without terms that couple the outputs (the columns of y) the sum separates into one problem each.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from skfairloss._core.constraints import GroupCriterion, LinearRows
from skfairloss._core.losses import MixedLoss
from skfairloss._core.solution import Multipliers
from skfairloss._design.basis import Basis
from skfairloss._design.dense import DenseDesign
from skfairloss._design.design import Design
from skfairloss._design.factor import column_basis, has_many_rows, orthonormal_basis
from skfairloss._design.moments import GroupMoments
from skfairloss._design.sample import Sample, draw_sample, sample_size
from skfairloss._typing import Array

_FEW_OUTPUTS = 8  # whose moments are found in the pass that serves the second moments of X
SMALL_BOUND = 1e-4  # bounds below this share of the loss of the mean of y are measured by it
ZERO_BOUND = 5e-10  # a bound of 0 on a group's loss, as a share of the loss of the mean of y


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
        if self.loss.curvature > 0 or self.l1 > 0 or self.sample is None:
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
        if self.loss.curvature == 0 or self.n_outputs > _FEW_OUTPUTS:
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
                centred=self.fit_intercept,
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
        if n <= 2 * sample_size(n, p + self.fit_intercept):
            return None
        return draw_sample(self.design, self.weights, self.fit_intercept, self.l2)

    @property
    def sample_basis(self) -> Basis | None:
        """Coordinates from the sample, where no squares have to be exact in them; or None."""
        if self.loss.curvature > 0 or self.l1 > 0 or self.sample is None:
            return None
        return self.sample.basis

    def outputs(self, which: slice) -> Problem:
        """Return the problem of some of the outputs."""
        return replace(self, y=self.y[:, which])

    def plain(self, multipliers: Multipliers | None) -> Problem:
        """Return the fit without constraints that the multipliers amount to, by its row weights."""
        if not self.constrained:
            return self
        weights = self.weights if multipliers is None else self.row_weights(multipliers)
        return replace(self, criterion=None, linear=(), weights=weights)

    def with_loss(self, loss: MixedLoss) -> Problem:
        """Return the problem under another loss, with all that is known of it under any loss."""
        other = replace(self, loss=loss)
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
        """Weights of the plain fit that the multipliers amount to, (n,)."""
        return self.weights * self.group_factors(multipliers)[self.groups.codes]

    def group_factors(self, multipliers: Multipliers) -> Array:
        """Return the factors of the weights of each group's rows, (G,)."""
        own = self.groups.group_weights(multipliers.worst, multipliers.bound)
        return own / self.groups.shares

    @cached_property
    def groups(self) -> GroupCriterion:
        """The criterion; one group without bound where there is none."""
        return self.criterion or _one_group(self)

    def group_terms(self, residual: Array) -> GroupTerms:
        """Group losses at residuals (n, m); one group without bound where there is no criterion."""
        criterion = self.groups
        losses = self.loss.value(residual)
        values = (losses[:, 0] if self.n_outputs == 1 else losses.sum(axis=1)) * self.weights
        sums = np.bincount(criterion.codes, values, len(criterion.shares))
        return GroupTerms(criterion, sums / criterion.shares, self.n_outputs, self.natural_loss)

    @cached_property
    def natural_loss(self) -> float:
        """Mean over the outputs of the loss of the weighted means of y."""
        return float(self.loss_values(self.y - self.weights @ self.y).mean())

    @cached_property
    def spread(self) -> Array:
        """Weighted mean of |y - mean y| of each output, (m,); 1 for a constant one."""
        out = self.weights @ np.abs(self.y - self.weights @ self.y)
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
    return GroupCriterion(codes, np.ones(1), 0.0, np.full(1, np.inf))


@dataclass(frozen=True)
class GroupTerms:
    """Contribution of group losses to an objective and its certificate.

    Parameters
    ----------
    criterion : what is asked.
    losses : (G,), m L̄_g: group losses summed over the outputs.
    n_outputs : m.
    natural : the size of a mean loss, which a bound of 0 is measured by.
    """

    criterion: GroupCriterion
    losses: Array
    n_outputs: int
    natural: float

    @property
    def bounds(self) -> Array:
        """Bounds on ``losses``; a small positive number for 0, so that there is an inside."""
        smallest = ZERO_BOUND * max(self.natural, 1e-300)
        return self.n_outputs * np.maximum(self.criterion.bounds, smallest)

    @property
    def objective(self) -> float:
        """m [(1 - γ) L̄ + γ max_g L̄_g]."""
        gamma = self.criterion.worst_weight
        mean = float(self.criterion.shares @ self.losses)
        return (1.0 - gamma) * mean + gamma * float(self.losses.max())

    @property
    def violation(self) -> float:
        """Largest violation of a bound, relative to it, or to a small share of a natural loss."""
        size = np.maximum(self.bounds, SMALL_BOUND * self.n_outputs * max(self.natural, 1e-300))
        with_bound = np.isfinite(size)
        excess = (self.losses - self.bounds)[with_bound] / size[with_bound]
        return float(excess.max(initial=0.0))

    def price(self, multipliers: Multipliers) -> float:
        """Σ multiplier · bound."""
        at = self.criterion.bounded
        return float(multipliers.bound[at] @ self.bounds[at])

    def slack(self, multipliers: Multipliers) -> float:
        """Σ |multiplier · slack|, and what the worst-group multipliers lack of γ."""
        at = self.criterion.bounded
        worst = float(self.losses.max())
        out = float(multipliers.worst @ (worst - self.losses))
        out += float(multipliers.bound[at] @ np.abs(self.bounds[at] - self.losses[at]))
        return out + abs(self.criterion.worst_weight - float(multipliers.worst.sum())) * worst
