"""A sample of rows that stands for all of them where they are many."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from skfairloss._cached import cached_property
from skfairloss._design.basis import Basis
from skfairloss._design.design import Design
from skfairloss._design.factor import column_basis, orthonormal_basis
from skfairloss._typing import Array, Index


def smallest_sample(d: int) -> int:
    """Rows that d coordinates need at least."""
    return max(100 * d, 2000)


def sample_size(n: int, d: int) -> int:
    """Rows of the sample for d coordinates."""
    return max(smallest_sample(d), int((d * n) ** 0.6))


def has_sample(n: int, d: int) -> bool:
    """Return True where a sample stands for n rows: they are at least twice as many."""
    return n > 2 * sample_size(max(n, 1), d)


@dataclass(frozen=True)
class Sample:
    """Rows drawn in proportion to their weights.

    Parameters
    ----------
    index : (s,), ascending, each row once.
    design : these rows.
    weights : (s,), what each stands for, summing to 1.
    excess : the largest ratio of ``weights`` to the weights in all rows.
    whole : all rows and their weights.
    fit_intercept, ridge : of the problem.
    """

    index: Index
    design: Design
    weights: Array
    excess: float
    whole: tuple[Design, Array]
    fit_intercept: bool
    ridge: float

    @cached_property
    def basis(self) -> Basis | None:
        """Plain or orthonormal coordinates; None where these do not reach every prediction."""
        given = self.design, self.weights, self.fit_intercept, self.ridge
        plain = column_basis(*given, whole=self.whole)
        if plain is not None:
            return plain
        basis = orthonormal_basis(*given)
        return basis if basis.n_directions == self.design.shape[1] else None

    def under(self, weights: Array) -> Sample:
        """Return the same rows, and coordinates, where all rows have other weights (n,)."""
        excess = float((self.weights / weights[self.index]).max())
        other = replace(self, excess=excess, whole=(self.whole[0], weights))
        if "basis" in self.__dict__:
            other.__dict__["basis"] = self.basis
        return other


def draw_sample(design: Design, weights: Array, fit_intercept: bool, ridge: float) -> Sample:
    """Draw a sample without repetition.

    The seed is fixed: a fit has no randomness. What is drawn decides how fast it is, not where it
    ends.
    """
    n, p = design.shape
    size = sample_size(n, p + fit_intercept)
    index, drawn = proportional(weights, size, np.random.default_rng(0).random(size))
    excess = float((drawn / weights[index]).max())
    whole = design, weights
    return Sample(index, design.subset(index), drawn, excess, whole, fit_intercept, ridge)


def proportional(weights: Array, size: int, place: Array) -> tuple[Index, Array]:
    """About so many rows, ascending, drawn in proportion to weights that sum to 1, with theirs.

    A row of more than its share is taken with its own weight, for certain; of the others one is
    drawn from each of as many strata of equal weight (Tillé 2006, Sampling Algorithms, chapter 7),
    at the given ``place`` in it, (size,) of [0, 1).
    """
    n = len(weights)
    if weights.max() == weights.min():
        position = (np.arange(size) + place) / size
        index, count = _counted((position * n).astype(np.intp).clip(max=n - 1))
        return index, count / size
    certain = weights * size > 1.0
    share = np.cumsum(np.where(certain, 0.0, weights))
    strata = min(int(np.ceil(share[-1] * size)), size)
    position = (np.arange(strata) + place[:strata]) / max(strata, 1) * share[-1]
    index, count = _counted(np.searchsorted(share, position))
    drawn = np.where(certain, weights, 0.0)
    drawn[index] = count * (share[-1] / max(strata, 1))
    index = np.flatnonzero(drawn)
    return index, drawn[index]


def scattered(index: Index, size: int) -> Index:
    """Return ``size`` rows of an index, in its order: those whose numbers have the smallest hashes.

    Every k-th row of data in which groups take turns would be of one group, or of none of another.
    """
    if size >= len(index):
        return index
    return index[np.sort(np.argpartition(_hash(index), size)[:size])]


def _hash(number: Index) -> Array:
    """Return the finaliser of SplitMix64 (Steele, Lea & Flood 2014), an integer for each number."""
    h = number.astype(np.uint64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        h ^= h >> np.uint64(shift)
        h *= np.uint64(factor)
    return h ^ (h >> np.uint64(31))


def _counted(index: Index) -> tuple[Index, Index]:
    """Return the different entries of an ascending index, and how often each occurs."""
    ends = np.append(np.flatnonzero(index[1:] != index[:-1]), len(index) - 1)
    return index[ends], np.diff(ends, prepend=-1)
