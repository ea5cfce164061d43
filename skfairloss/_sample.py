"""A sample of rows that stands for all of them where they are many."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from skfairloss._basis import Basis
from skfairloss._design import Design
from skfairloss._factor import orthonormal_basis
from skfairloss._typing import Array, Index


def smallest_sample(d: int) -> int:
    """Rows that d coordinates need at least."""
    return max(100 * d, 2000)


def sample_size(n: int, d: int) -> int:
    """Rows of the sample for d coordinates."""
    return max(smallest_sample(d), int((d * n) ** 0.6))


@dataclass(frozen=True)
class Sample:
    """Rows drawn in proportion to their weights.

    Parameters
    ----------
    index : (s,), ascending, each row once.
    design : these rows.
    weights : (s,), how often each was drawn, summing to 1.
    excess : the largest ratio of ``weights`` to the weights in all rows.
    fit_intercept, ridge : of the problem.
    """

    index: Index
    design: Design
    weights: Array
    excess: float
    fit_intercept: bool
    ridge: float

    @cached_property
    def basis(self) -> Basis | None:
        """The orthonormal basis of the sample; None where it does not reach every coefficient."""
        basis = orthonormal_basis(self.design, self.weights, self.fit_intercept, self.ridge)
        return basis if basis.n_directions == self.design.shape[1] else None


def draw_sample(design: Design, weights: Array, fit_intercept: bool, ridge: float) -> Sample:
    """A sample without repetition, one row of each of as many strata of equal weight.

    The seed is fixed: a fit has no randomness. What is drawn decides how fast it is, not where it
    ends.
    """
    n, p = design.shape
    size = sample_size(n, p + fit_intercept)
    position = (np.arange(size) + np.random.default_rng(0).random(size)) / size
    if weights.max() == weights.min():
        index = np.minimum((position * n).astype(np.intp), n - 1)
    else:
        share = np.cumsum(weights)
        index = np.minimum(np.searchsorted(share, position * share[-1]), n - 1)
    index, count = np.unique(index, return_counts=True)
    drawn = count / size
    excess = float((drawn / weights[index]).max())
    return Sample(index, design.subset(index), drawn, excess, fit_intercept, ridge)
