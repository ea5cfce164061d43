r"""Bounds on the excess of a point over the optimum, from sums over the rows: `certificate`'s own.

Nothing here reads a row: what is left of Xᵀu is known, and how large predictions can be is asked of
a `Support`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from skfairloss._core.problem import Problem
from skfairloss._core.solution import Measured
from skfairloss._design.basis import Basis, row_sorted_qr
from skfairloss._typing import Array

# A charge below this share of the objective is not worth another pass over X.
NEGLIGIBLE = 1e-10


@dataclass(frozen=True)
class LeftOver:
    """The sums that duals of a model leave, (m,) and (p, m).

    Parameters
    ----------
    rows : Σ v [ℓ(r) + ℓ*(z) - z r] for duals z.
    total, gradient : 1ᵀu and Xᵀu for u = v z.
    """

    rows: Array
    total: Array
    gradient: Array


@dataclass(frozen=True)
class Support:
    """Rows in which a basis is orthonormal.

    Parameters
    ----------
    basis : the coordinates.
    excess : e, 1 for all rows.
    smallest : the smallest weight of a row.
    largest : ``largest(θ)`` bounds |A θ| over the rows, (m,), for θ (n_coordinates, m).
    """

    basis: Basis
    excess: float
    smallest: float
    largest: Callable[[Array], Array]


@dataclass(frozen=True)
class Better:
    """Bounds on any better point: its objective, and the distance of its predictions.

    Parameters
    ----------
    objective : (m,).
    mean, root : (m,), bounds on Σ v |Δf| and √(Σ v Δf²); infinite where there are none.
    """

    objective: Array
    mean: Array
    root: Array

    @classmethod
    def by_mix(cls, problem: Problem, objective: Array) -> Better:
        """Bound it by the mix: that of neither point is above the objective (m,)."""
        loss = problem.loss
        mean, root = np.full_like(objective, np.inf), np.full_like(objective, np.inf)
        if loss.curvature > 0:
            root = 2 * np.sqrt(2 * objective / loss.curvature)
            mean = root
        if loss.loss_mix > 0:
            mean = np.fmin(mean, 2 * objective / min(loss.upper, -loss.lower))
        return cls(objective, mean, root)

    @classmethod
    def by_terms(
        cls, problem: Problem, absolute_sum: Array, squared_sum: Array, objective: Array
    ) -> Better:
        """Bound it by what is asked, which it meets; the point has Σ v |r| and Σ v r², (m,)."""
        criterion = problem.groups
        asked = [
            (one.loss, bound)
            for one, bound in zip(criterion.bounds, problem.group_bounds, strict=True)
        ]
        shape = len(criterion.shares), problem.n_outputs
        if criterion.worst_weight > 0:
            largest = float(objective[0]) / criterion.worst_weight
            asked.append((criterion.worst_loss, np.full(shape[0], largest)))
        absolute, squared = np.full((2, *shape), np.inf)
        with np.errstate(divide="ignore", invalid="ignore"):
            for loss, bound in asked:
                tilt, steep, curvature = loss.weights(problem.loss, problem.n_outputs)
                absolute = np.fmin(absolute, bound[:, None] / (steep - np.abs(tilt)))
                squared = np.fmin(squared, 2 * bound[:, None] / curvature)
        mix = cls.by_mix(problem, objective / problem.mean_weight)
        means = criterion.shares @ np.fmin(absolute, np.sqrt(squared))
        mean = np.fmin(0.5 * mix.mean, means) + absolute_sum
        root = np.fmin(0.5 * mix.root, np.sqrt(criterion.shares @ squared))
        return cls(objective, mean, root + np.sqrt(squared_sum))


def bound(
    problem: Problem,
    coef: Array,
    found: Measured | LeftOver,
    better: Better,
    pull: Array | float,
    support: Support,
) -> tuple[Array, Array]:
    """Return the sums of the module's bound, (m,), and the coordinates d of what is left of Xᵀu."""
    objective = better.objective
    basis, rows, total = support.basis, found.rows, found.total
    gradient = found.gradient - np.multiply.outer(basis.center, total) + pull
    gap, defect = np.full_like(rows, np.inf), np.zeros((basis.n_coordinates, len(rows)))
    slopes = _penalty_slopes(problem, coef, gradient, objective)
    if problem.design.compensated and problem.l1 > 0:
        slopes += [_balanced(problem, basis, coef, gradient, slope) for slope in slopes]
    for slope in slopes:
        # ĝ = l2 w + slope, and what is left of Xᵀu is charged ...
        rest = gradient - problem.l2 * coef - slope
        left = basis.pull_back(rest, np.zeros(len(rows)))
        left[basis.n_directions :] = total
        charge = _charge(problem, support, left, better)
        unseen = _outside_row_space(problem, basis, rest, coef, objective)
        bound = rows + _kink_gap(problem, coef, slope) + unseen + charge
        defect = np.where(bound < gap, basis.resolved(left)[0], defect)
        gap = np.fmin(gap, bound)
    if problem.l2 > 0:  # ... or ĝ = Xᵀu, and only the intercept is charged.
        slope = np.clip(gradient, -problem.l1, problem.l1)
        square = ((problem.l2 * coef - (gradient - slope)) ** 2).sum(axis=0) / (2 * problem.l2)
        lone = np.zeros_like(defect)
        lone[basis.n_directions :] = total
        charge = _charge(problem, support, lone, better)
        gap = np.fmin(gap, rows + _kink_gap(problem, coef, slope) + square + charge)
    return gap, defect


def bound_by_penalty(
    problem: Problem, coef: Array, found: Measured | LeftOver, better: Better, pull: Array | float
) -> Array:
    """Return the module's bound, (m,), without coordinates, under an L1 penalty.

    What is left of Xᵀu is charged by ‖w*‖₁ ≤ F / l1, and 1ᵀu to the mean prediction.
    """
    center = problem.means if problem.fit_intercept else np.zeros(len(coef))
    gradient = found.gradient - np.multiply.outer(center, found.total) + pull
    norm = better.objective / problem.l1
    shift = np.abs(found.total) * np.fmin(better.mean, better.root)
    lone = found.rows + np.where(found.total == 0, 0.0, shift)
    gap = np.full_like(lone, np.inf)
    for slope in _penalty_slopes(problem, coef, gradient, better.objective):
        rest = np.abs(gradient - problem.l2 * coef - slope)
        charge = (rest * np.abs(coef)).sum(axis=0) + rest.max(axis=0, initial=0.0) * norm
        gap = np.fmin(gap, lone + _kink_gap(problem, coef, slope) + charge)
    return gap


def _penalty_slopes(
    problem: Problem, coef: Array, gradient: Array, objective: Array
) -> list[Array]:
    """Admissible slopes of l1 |w|: the closest to Xᵀu, and the subgradient away from 0."""
    nearest = np.clip(gradient - problem.l2 * coef, -problem.l1, problem.l1)
    if problem.l1 == 0:
        return [nearest]
    away = problem.l1 * np.abs(coef) > NEGLIGIBLE / len(coef) * objective
    return [nearest, np.where(away, problem.l1 * np.sign(coef), nearest)]


def _balanced(problem: Problem, basis: Basis, coef: Array, gradient: Array, slope: Array) -> Array:
    """Return slopes (p, m) of which those inside their interval leave the least of Xᵀu.

    They share the rounding errors that Xᵀu has in the other columns: where columns are nearly
    collinear, what is left would else be these errors times the condition of the columns.
    """
    unit = np.where(basis.norms > 0, basis.norms, 1.0)
    transform, out = basis.transform * unit[:, None], slope.copy()
    rest = (gradient - problem.l2 * coef - slope) / unit[:, None]
    for k in range(slope.shape[1]):
        inside = np.abs(slope[:, k]) < problem.l1
        left = transform[~inside].T @ rest[~inside, k]
        own = np.linalg.lstsq(transform[inside].T, -left, rcond=None)[0]
        out[inside, k] += (rest[inside, k] - own) * unit[inside]
    return out.clip(-problem.l1, problem.l1)


def _kink_gap(problem: Problem, coef: Array, slope: Array) -> Array:
    """Σ_j l1 |w_j| - slope_j w_j, the Fenchel-Young gap of the L1 penalty."""
    return (problem.l1 * np.abs(coef) - slope * coef).clip(min=0).sum(axis=0)


def _outside_row_space(
    problem: Problem, basis: Basis, rest: Array, coef: Array, objective: Array
) -> Array:
    """Charge for the part of Xᵀu - ĝ that no prediction sees, by |w*_j| ≤ F / l1."""
    transform = basis.transform
    if problem.l1 == 0 or transform.shape[1] == len(coef):
        return np.zeros_like(objective)
    q = row_sorted_qr(transform)[0]
    unseen = np.abs(rest - q @ (q.T @ rest))
    return (unseen * (np.abs(coef) + objective / problem.l1)).sum(axis=0)


def _charge(problem: Problem, support: Support, left: Array, better: Better) -> Array:
    """Upper bound on leftᵀ(θ* - θ), by cheap norms first, by a pass over X where those are coarse.

    The basis makes it Σ v (A d) Δf + ridge (T d)ᵀΔw.
    """
    basis, objective = support.basis, better.objective
    defect, size = basis.resolved(left)
    root = np.fmin(better.root, better.mean / np.sqrt(support.smallest))
    root, mean = root * np.sqrt(support.excess), better.mean * support.excess
    norm = 2 * np.sqrt(2 * objective / problem.l2) if problem.l2 > 0 else np.zeros_like(size)
    bound = np.where(size == 0, 0.0, size * np.hypot(root, np.sqrt(problem.l2) * norm))
    if (bound > NEGLIGIBLE * objective).any():
        largest = support.largest(defect)
        move = np.linalg.norm(basis.transform @ defect[: basis.n_directions], axis=0)
        bound = np.fmin(bound, largest * mean + problem.l2 * move * norm)
    return bound
