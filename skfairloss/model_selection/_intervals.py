r"""Intervals for metrics of out-of-fold predictions, and for differences of two models.

Every quantity Q is to first order a sum over rows, Q ≈ Q₀ + Σ_i I_i (`_statistics`): a metric of
all rows, of a group, the difference of two groups; of a model, or of a model minus another one on
the same rows. It estimates the expectation over new rows *and* over training sets, so two things
vary:

- the rows tested. Rows of a cluster vary together: with S_c = Σ I_i over the cluster c, of which Q
  has C, equal in weight, the variance is C / (C-1) Σ_c S_c², with C - 1 degrees of freedom (Liang
  & Zeger, "Longitudinal data analysis using generalized linear models", Biometrika 73 (1986)). Rows
  that are independent are clusters of one (Bayle, Bayle, Janson & Mackey, "Cross-validation
  confidence intervals for test error", NeurIPS (2020));
- the rows trained on, which the folds share. B_k, what fold k contributes as training rows, is
  taken by the jackknife: -(K-1)/K² Σ_l (Q_kl - Q_lk), Q_kl the quantity under the model that leaves
  out fold k, on all rows but those of the folds k and l. A_k is what fold k contributes as test
  rows. K/(K-1) Σ_k (B_k² + 2 A_k B_k), the mean over the repeats, is what training adds (the
  delete-a-group jackknife, Shao & Wu, "A general theory for jackknife variance estimation", Annals
  of Statistics 17 (1989)). Folds hold whole clusters, so that both parts know of them.

The covariance Σ A_k B_k of a few folds is noisy: it may take away at most nine tenths of Σ B_k².
That choice, ours, was made by measured coverage; `tests/test_compare_coverage.py` repeats it. The
second part has R (K-1) degrees of freedom; Satterthwaite's approximation joins it with the first,
and Welch's the two groups of a difference.

Differences of losses are skewed, those of clusters above all: the interval is that of Student's t
with the skewness Σ_c S_c³ / variance^(3/2) taken out (P. Hall, "On the removal of skewness by
transformation", JRSS B 54 (1992)), as in `group_report`.

Simultaneous intervals all have the same level, the one at which the largest |Z_q| of a normal
vector with the quantities' estimated correlations stays within (max-t: Hothorn, Bretz & Westfall,
"Simultaneous inference in general parametric models", Biometrical Journal 50 (2008)).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array, hstack
from scipy.stats import norm
from scipy.stats import t as student

from skfairloss._cached import cached_property
from skfairloss._inputs.groups import Groups
from skfairloss._typing import Array, Index
from skfairloss.metrics._intervals import untransformed
from skfairloss.model_selection._statistics import Linearised, cell_sums

_LEFT = 0.1  # share of the variance from training that its covariance with testing leaves
_DRAWS = 50_000  # of the largest |Z|: the level of 95 % is met to 0.1 %, one standard error


@dataclass(frozen=True)
class Repeat:
    """A metric of one repeat of the folds, for a model or for the difference of two.

    Parameters
    ----------
    value : (1 + G,), over all rows and each group.
    influence : (2, n), of each row on the metric of all rows and on that of its group.
    trained : (K, 1 + G), B of each fold.
    """

    value: Array
    influence: Array
    trained: Array

    @classmethod
    def of(cls, found: Linearised, outside: Array) -> Repeat:
        """Put together a metric and what the models of the folds give outside, (K, K, 1 + G)."""
        return cls(found.value, found.influence, found.slope * jackknifed(outside))

    def __sub__(self, other: Repeat) -> Repeat:
        """Return the difference from another model on the same rows."""
        return Repeat(
            self.value - other.value,
            self.influence - other.influence,
            self.trained - other.trained,
        )


def jackknifed(outside: Array) -> Array:
    """Return B of each fold, (K, ...), from the means outside of pairs of folds, (K, K, ...)."""
    n_folds = len(outside)
    contrasts = outside - outside.swapaxes(0, 1)
    return np.asarray(-(n_folds - 1) / n_folds**2 * contrasts.sum(axis=1))


@dataclass(frozen=True)
class Tested:
    """Contributions of rows tested to q quantities.

    Parameters
    ----------
    by_cluster : sparse, (n_clusters, q); sums of products of its columns are covariances.
    cubes : (q,), sums of its cubes.
    by_fold : (R, K, q), A of each fold in each repeat.
    """

    by_cluster: Any
    cubes: Array
    by_fold: Array


@dataclass(frozen=True)
class Design:
    """The quantities, G + 2 of them: all rows, the groups, the difference of two groups.

    Parameters
    ----------
    groups : the groups of n rows.
    weights : (n,), > 0 somewhere in each group.
    pair : numbers of the two groups: the first minus the second.
    clusters : (n,), the cluster of each row, from 0 on.
    counted : (G + 2,), numbers of clusters. None counts those of the rows.
    """

    groups: Groups
    weights: Array
    pair: tuple[int, int]
    clusters: Index
    counted: Array | None = None

    def pairs(self, parts: Array) -> Array:
        """Return all quantities from those of rows and groups, (..., 1 + G) to (..., G + 2)."""
        high, low = self.pair
        difference = parts[..., 1 + high] - parts[..., 1 + low]
        return np.concatenate([parts, difference[..., None]], axis=-1)

    @cached_property
    def _signs(self) -> Array:
        """Signs of the rows in the difference of the two groups, (n,)."""
        high, low = self.pair
        return (self.groups.codes == high) * 1.0 - (self.groups.codes == low)

    @cached_property
    def _cells(self) -> tuple[Index, Index, Index]:
        """Cells (cluster, quantity): that of each row for all rows, its group and the pair, (3 n,).

        The other two are the indices and the pointers of the cells as a sparse matrix by row.
        """
        width = self.groups.n_groups + 2
        whole = np.zeros_like(self.clusters)
        quantities = np.concatenate([whole, 1 + self.groups.codes, whole + width - 1])
        held, place = np.unique(np.tile(self.clusters, 3) * width + quantities, return_inverse=True)
        cluster, quantity = np.divmod(held, width)
        return place, quantity, np.searchsorted(cluster, np.arange(self.clusters.max() + 2))

    @cached_property
    def n_clusters(self) -> Array:
        """Number of clusters of each quantity, equal in weight, (G + 2,); 1 where there is one.

        Clusters of unequal weight W count as (ΣW)² / ΣW² of them (Kish, *Survey Sampling*, 1965).
        """
        if self.counted is not None:
            return self.counted
        place, quantity, _ = self._cells
        parts = [self.weights, self.weights, self.weights * np.abs(self._signs)]
        held = np.bincount(place, np.concatenate(parts), len(quantity))
        size = self.groups.n_groups + 2
        return np.bincount(quantity, held, size) ** 2 / np.bincount(quantity, held**2, size)

    @property
    def factors(self) -> Array:
        """The root of C / (C-1) of all rows and each group, (1 + G,)."""
        count = self.n_clusters[:-1]
        return np.sqrt(count / (count - 1))

    @cached_property
    def _factors(self) -> Array:
        """The factors of all rows, and of each row's group with its sign, (3, n)."""
        factor = self.factors
        own = factor[1 + self.groups.codes]
        return np.stack([np.full(len(own), factor[0]), own, self._signs * own])

    def tested_by(self, influence: Array) -> Any:
        """Return what each cluster contributes as rows tested, sparse, (n_clusters, G + 2).

        The sum of the squares of a column is the variance of the quantity. ``influence`` is (2, n).
        """
        place, quantity, pointers = self._cells
        values = (self._factors * influence[[0, 1, 1]]).ravel()
        sums = np.bincount(place, values, len(quantity))
        shape = (len(pointers) - 1, self.groups.n_groups + 2)
        return csr_array((sums, quantity, pointers), shape=shape)

    def by_fold(self, influence: Array, fold: Index, n_folds: int) -> Array:
        """Return the sums of influences (2, n) over the rows of each fold, (n_folds, G + 2)."""
        overall, own = influence
        sums = cell_sums(self.groups, own, fold, n_folds)
        sums[:, 0] = np.bincount(fold, overall, n_folds)
        return self.pairs(sums)


@dataclass(frozen=True)
class Estimate:
    """Estimates (q,) of quantities, and how they vary.

    Parameters
    ----------
    value : (q,).
    error : (q,), standard errors.
    freedom : (q,), degrees of freedom.
    skewness : (q,), of the estimates.
    parts : sparse, (n_clusters, q) and (R K, q), by which they vary together: the sum of the
        squares of a column of both is the variance.
    """

    value: Array
    error: Array
    freedom: Array
    skewness: Array
    parts: tuple[Any, Any]

    def ends(self, tail: float) -> tuple[Array, Array]:
        """Return the ends of the intervals that miss on either side with probability ``tail``."""
        x = student.isf(tail, self.freedom)
        above, below = untransformed(x, self.skewness), untransformed(-x, self.skewness)
        return self.value - above * self.error, self.value - below * self.error


def column_sums(parts: Any, power: int) -> Array:
    """Return sums of powers over the columns of a sparse matrix by row, (q,)."""
    return np.bincount(parts.indices, parts.data**power, parts.shape[1])


def estimate(design: Design, folds: Index, repeats: Sequence[Repeat]) -> Estimate:
    """Estimate quantities from the repeats of the folds of the rows, (R, n)."""
    n_folds = len(repeats[0].trained)
    by_cluster = design.tested_by(np.mean([each.influence for each in repeats], axis=0))
    pairs = zip(repeats, folds, strict=True)
    by_fold = np.stack([design.by_fold(each.influence, fold, n_folds) for each, fold in pairs])
    value = np.mean([each.value for each in repeats], axis=0)
    trained = np.stack([each.trained for each in repeats])
    return put_together(
        design, value, trained, Tested(by_cluster, column_sums(by_cluster, 3), by_fold)
    )


def put_together(design: Design, value: Array, trained: Array, found: Tested) -> Estimate:
    """Estimate quantities from the metric (1 + G,), B of the folds (R, K, 1 + G), and the rest."""
    n_repeats, n_folds = trained.shape[:2]
    trained_by = design.pairs(trained)
    alone = (trained_by**2).sum(axis=(0, 1))
    joint = sum(2 * (a * b).sum(axis=0) for a, b in zip(found.by_fold, trained_by, strict=True))
    scale = n_folds / ((n_folds - 1) * n_repeats)
    added = scale * np.maximum(alone + joint, _LEFT * alone)
    tested = column_sums(found.by_cluster, 2)
    variance = tested + added
    # Satterthwaite: the variance squared over the sum of each part squared by its own degrees
    spread = tested**2 / _freedom_of_rows(design, tested) + added**2 / (n_repeats * (n_folds - 1))
    freedom = np.full_like(variance, np.inf)
    np.divide(variance**2, spread, out=freedom, where=spread > 0)
    stretch = np.sqrt(np.divide(added, alone, out=np.zeros_like(alone), where=alone > 0))
    parts = (found.by_cluster, trained_by.reshape(-1, len(alone)) * stretch)
    error = np.sqrt(variance)
    skewness = np.divide(found.cubes, error**3, out=np.zeros_like(error), where=error > 0)
    return Estimate(design.pairs(value), error, freedom, skewness, parts)


def _freedom_of_rows(design: Design, tested: Array) -> Array:
    """Return the degrees of freedom of the part from the rows tested, (q,)."""
    freedom = design.n_clusters - 1
    high, low = (1 + g for g in design.pair)
    of_two = tested[[high, low]]
    spread = np.sum(of_two**2 / freedom[[high, low]])
    if spread > 0:
        freedom[-1] = min(freedom[-1], of_two.sum() ** 2 / spread)
    return freedom


def find_pair(named: Any, labels: Sequence[Any], values: Array) -> tuple[int, int]:
    """Return the numbers of the two groups of which the difference is the disparity.

    Where none are named, they are those with the largest and the smallest of the values (G,).
    """
    if named is None:
        high = int(values.argmax())
        others = np.delete(np.arange(len(values)), high)
        return high, int(others[values[others].argmin()])  # another group, also where all are equal
    check_pair(named, labels)
    return labels.index(named[0]), labels.index(named[1])


def check_pair(named: Any, labels: Sequence[Any]) -> None:
    """Raise ValueError unless None or two of the groups are named."""
    if named is None:
        return
    if len(named) != 2 or named[0] == named[1] or not all(name in labels for name in named):
        raise ValueError(f"disparity_groups must be two of the groups {labels}, got {named!r}")


def check_counts(design: Design, labels: Sequence[Any], unit: str) -> None:
    """Raise ValueError where a group has one row or cluster, the unit, alone."""
    alone = np.flatnonzero(design.n_clusters[1:-1] < 1 + 1e-9)
    if len(alone):
        raise ValueError(
            f"the group {labels[alone[0]]!r} has one {unit} only, an interval takes two at least"
        )


def simultaneous_tail(estimates: Sequence[Estimate], level: float, random: Any) -> float:
    """Return the tail of each interval with which all of them hold at a level, together."""
    tested = hstack([each.parts[0] for each in estimates], format="csr")
    trained = np.hstack([each.parts[1] for each in estimates])
    covariance = (tested.T @ tested).toarray() + trained.T @ trained
    error = np.sqrt(np.diag(covariance))
    known = np.isfinite(error) & (error > 0)
    if not known.any():
        return (1 - level) / 2
    correlation = (covariance / np.outer(error, error))[np.ix_(known, known)]
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.maximum(values, 0))
    draws = random.standard_normal((_DRAWS, len(root))) @ root.T
    return float(norm.sf(np.quantile(np.abs(draws).max(axis=1), level)))
