r"""Means of out-of-fold losses, overall and by group, and how sure they are.

Every quantity Q is a sum of weighted row values, Q = Σ_i c_i d_i: an overall mean, the mean of a
group, the difference of the means of two groups; d is a loss or the difference of the losses of two
mixes on the same row. It estimates the expectation over new rows *and* over training sets, so two
things vary:

- the rows tested: Σ_i c_i² (d_i - mean)², over rows, as if the folds' models were fixed. Bayle,
  Bayle, Janson & Mackey, "Cross-validation confidence intervals for test error", NeurIPS (2020);
- the rows trained on, which the folds share. B_k, what fold k contributes as training rows, is
  taken by the jackknife: -(K-1)/K² Σ_l (Q_kl - Q_lk), Q_kl the quantity under the model that leaves
  out fold k, on all rows but those of the folds k and l. A_k is what fold k contributes as test
  rows. K/(K-1) Σ_k (B_k² + 2 A_k B_k), the mean over the repeats, is what training adds (the
  delete-a-group jackknife, Shao & Wu, "A general theory for jackknife variance estimation", Annals
  of Statistics 17 (1989)).

The covariance Σ A_k B_k of a few folds is noisy: it may take away at most nine tenths of Σ B_k².
That choice, ours, was made by measured coverage; `tests/test_compare_coverage.py` repeats it. The
second part has R (K-1) degrees of freedom, the first as good as infinitely many; Satterthwaite's
approximation joins them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from skfairloss._inputs.groups import Groups, group_means
from skfairloss._typing import Array, Index

_LEFT = 0.1  # share of the variance from training that its covariance with testing leaves
_MANY = 1e9  # degrees of freedom of a normal distribution


@dataclass(frozen=True)
class Quantities:
    """The means over all rows and over each of G groups, and the difference of two groups.

    Parameters
    ----------
    groups : the groups of n rows.
    weights : (n,), > 0 somewhere in each group.
    pair : numbers of the two groups: the first minus the second.
    """

    groups: Groups
    weights: Array
    pair: tuple[int, int]

    def values(self, d: Array) -> Array:
        """Return Q of rows d (n,): all rows, the groups, the pair, (G + 2,)."""
        return self.pairs(self._means(d))

    def tested(self, d: Array) -> Array:
        """Return Σ c_i² (d_i - mean)² of each quantity, (G + 2,)."""
        overall, in_groups = self._influences(d)
        by_group = np.bincount(self.groups.codes, in_groups**2, self.groups.n_groups)
        high, low = self.pair
        return np.array([np.sum(overall**2), *by_group, by_group[high] + by_group[low]])

    def by_fold(self, d: Array, fold: Index, n_folds: int) -> Array:
        """Return Σ c_i (d_i - mean) over the rows of each fold, (n_folds, G + 2)."""
        overall, in_groups = self._influences(d)
        sums = cell_sums(self.groups, in_groups, fold, n_folds)
        sums[:, 0] = np.bincount(fold, overall, n_folds)
        return self.pairs(sums)

    def pairs(self, parts: Array) -> Array:
        """Return all quantities from those of rows and groups, (..., 1 + G) to (..., G + 2)."""
        high, low = self.pair
        difference = parts[..., 1 + high] - parts[..., 1 + low]
        return np.concatenate([parts, difference[..., None]], axis=-1)

    def trained(self, sums: Array, fold: Index) -> Array:
        """Return B of each fold, (n_folds, G + 2), from sums (n_folds, n_folds, 1 + G)."""
        n_folds = len(sums)
        shares = cell_sums(self.groups, self.weights, fold, n_folds)
        own = np.einsum("kkg->kg", sums)
        # of the model k on all rows but those of the folds k and l
        inside = sums.sum(axis=1)[:, None] - own[:, None] - sums
        weight = shares.sum(axis=0) - shares[:, None] - shares
        means = np.divide(inside, weight, out=np.zeros_like(inside), where=weight > 0)
        contrasts = means - means.transpose(1, 0, 2)
        return self.pairs(-(n_folds - 1) / n_folds**2 * contrasts.sum(axis=1))

    def _means(self, d: Array) -> Array:
        overall = self.weights @ d / self.weights.sum()
        return np.concatenate([[overall], group_means(self.groups, d, self.weights)])

    def _influences(self, d: Array) -> tuple[Array, Array]:
        """Return c_i (d_i - mean), (n,), in the mean of all rows and in that of the row's group."""
        means, codes = self._means(d), self.groups.codes
        shares = np.bincount(codes, self.weights)
        overall = self.weights / self.weights.sum() * (d - means[0])
        return overall, self.weights / shares[codes] * (d - means[1 + codes])


def cell_sums(groups: Groups, values: Array, fold: Index, n_folds: int) -> Array:
    """Sum values (n,) over the rows of each fold, all and by group, (n_folds, 1 + G)."""
    size = groups.n_groups
    cells = np.bincount(fold * size + groups.codes, values, n_folds * size)
    by_group = cells.reshape(n_folds, size)
    return np.column_stack([by_group.sum(axis=1), by_group])


@dataclass(frozen=True)
class Estimate:
    """Estimates (q,) of quantities with the ends of their intervals."""

    value: Array
    low: Array
    high: Array


def estimate(
    quantities: Quantities, rows: Array, sums: Array, folds: Index, level: float
) -> Estimate:
    """Estimate quantities with confidence intervals.

    Parameters
    ----------
    quantities : what is asked, q of them.
    rows : (R, n), d of every row under the model that did not see it, in each of R repeats.
    sums : (R, K, K, 1 + G), weighted sums of d under the model of each fold, over the rows of each
        fold, all of them and those of each group.
    folds : (R, n), the fold of each row, from 0 to K - 1.
    level : confidence level.
    """
    n_repeats, n_folds = sums.shape[:2]
    tested = quantities.tested(rows.mean(axis=0))
    alone, joint = np.zeros_like(tested), np.zeros_like(tested)
    for d, cells, fold in zip(rows, sums, folds, strict=True):
        a = quantities.by_fold(d, fold, n_folds)
        b = quantities.trained(cells, fold)
        alone += (b * b).sum(axis=0)
        joint += 2 * (a * b).sum(axis=0)
    scale = n_folds / ((n_folds - 1) * n_repeats)
    trained = scale * np.maximum(alone + joint, _LEFT * alone)
    variance = tested + trained
    # Satterthwaite: the variance squared over the sum of each part squared by its own degrees
    spread = trained**2 / (n_repeats * (n_folds - 1))
    freedom = np.full_like(variance, _MANY)
    np.divide(variance**2, spread, out=freedom, where=spread > variance**2 / _MANY)
    half = student.ppf(0.5 + 0.5 * level, freedom) * np.sqrt(variance)
    value = quantities.values(rows.mean(axis=0))
    return Estimate(value, value - half, value + half)
