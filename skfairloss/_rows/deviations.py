r"""Mean absolute deviations of y from its medians, from one pass over y alone.

    D_k = min over a of Σ_i v_i |y_ik - a|

A sample tells between which values the median lies, all but for certain. A pass sums what is
outside of them, and the values inside come themselves. Where these are too many, weights, v y and
v y² are summed in narrow bins: the bin with the median has its mean for a. D is flat there, and all
rows outside are exact; of those inside, a share of 1e-6 of all in a bin of 1e-6 of the spread, the
standard deviation is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skfairloss._rows.blocks import Block
from skfairloss._rows.facts import Facts, Passes
from skfairloss._rows.source import Kernel, Piece
from skfairloss._rows.sums import Sums
from skfairloss._typing import Array

_BINS = 2**16
_GATHERED = 2**19  # values that come themselves: 8 MiB with their weights
TINY = 1e-300  # a divisor that is not 0
_DEVIATIONS = 4.0  # standard deviations of a sample's median that are looked through ...
_WIDER = 4.0  # ... and what they are multiplied with where it is not among them
_ROUNDING = 1e-7  # root of what squares leave of a standard deviation of 0, relative
_UNIFORM = 0.5 * 3**0.5  # mean absolute deviation of a uniform distribution, in standard ones


@dataclass(frozen=True)
class Bins(Kernel):
    """Sums of v, v z and v z², z = y - low, in bins between ``low`` and ``high`` (m,).

    The first bin and the last are what is outside, without v z². With ``gather`` the others stay
    empty, and z and v inside come themselves. Also sums of v |y - mean| for the means of y, (m,).
    """

    low: Array
    high: Array
    means: Array
    gather: bool
    needs_pieces = False
    needs_features = False

    def __call__(self, piece: Piece, own: Any) -> Sums:  # noqa: ARG002
        return Sums()

    def of_block(self, number: int, block: Block) -> Sums:  # noqa: ARG002
        weights = np.ones(len(block.y)) if block.weights is None else block.weights
        found: dict[Any, Array] = {"spread": weights @ np.abs(block.y - self.means)}
        joined: dict[Any, tuple[Array, ...]] = {}
        for k, (low, high) in enumerate(zip(self.low, self.high, strict=True)):
            y, width = block.y[:, k], max(high - low, TINY)
            below, above = y < low, y > high
            inside = np.flatnonzero(~(below | above))
            z, v = y - low, weights[inside]
            here = z[inside]
            bins = np.zeros((3, 2 if self.gather else _BINS + 2))
            if self.gather:
                joined["inside", k] = here, v
            else:
                place = np.minimum((here / width * _BINS).astype(np.intp), _BINS - 1) + 1
                for j, part in enumerate((v, v * here, v * here * here)):
                    bins[j] = np.bincount(place, part, _BINS + 2)
            for j, some in ((0, below), (-1, above)):
                own = weights * some
                bins[:2, j] = own.sum(), own @ z
            found["bins", k] = bins
        return Sums(found, joined=joined)


@dataclass(frozen=True)
class Deviations:
    """Mean absolute deviations of the outputs, (m,).

    Parameters
    ----------
    around_median : D.
    median : the median that it is from; 0 without an intercept.
    around_mean : the same from the mean.
    """

    around_median: Array
    median: Array
    around_mean: Array


def mean_deviations(passes: Passes, facts: Facts, fit_intercept: bool) -> Deviations:
    """Find the mean absolute deviations of y in one pass over y."""
    _, y, weights, _, _ = facts.sample()
    m, means = y.shape[1], facts.target_means
    if not fit_intercept:  # the best "constant" is 0
        sums = passes.run(Bins(np.zeros(m), np.zeros(m), means, True))
        bins = np.array([sums.added["bins", k] for k in range(m)])
        around_0 = np.abs(bins[:, 1]).sum(axis=1) / facts.total
        return Deviations(around_0, np.zeros(m), sums.added["spread"] / facts.total)
    share = 0.5 * _DEVIATIONS * float(np.sqrt(weights @ weights)) / float(weights.sum())
    while True:
        low, high = _bracket(y, weights, share)
        gather = 2 * share * facts.n_rows <= _GATHERED
        sums = passes.run(Bins(low, high, means, gather))
        found = [_deviation(_bins(sums, k, facts.total)) for k in range(m)]
        if all(one is not None for one in found):
            pairs = np.array([one for one in found if one is not None])
            around_mean = sums.added["spread"] / facts.total
            return Deviations(pairs[:, 0], low + pairs[:, 1], around_mean)
        share *= _WIDER


def _bracket(y: Array, weights: Array, share: float) -> tuple[Array, Array]:
    """Return values between which the medians lie, (m,) each, a share of the weight apart."""
    out = np.empty((2, y.shape[1]))
    for k, column in enumerate(y.T):
        order = np.argsort(column)
        below = np.cumsum(weights[order])
        place = np.searchsorted(below, np.array([0.5 - share, 0.5 + share]) * below[-1])
        out[:, k] = column[order[np.clip(place + np.array([-1, 1]), 0, len(order) - 1)]]
    return out[0], out[1]


def _bins(sums: Sums, k: int, total: float) -> Array:
    """Return the sums of an output in bins (3, B + 2); of single values where these have come."""
    bins = sums.added["bins", k] / total
    if ("inside", k) in sums.joined:
        z, v = sums.joined["inside", k]
        order = np.argsort(z)
        z, v = z[order], v[order] / total
        bins = np.hstack([bins[:, :1], [v, v * z, v * z * z], bins[:, 1:]])
    return np.asarray(bins)


def _deviation(bins: Array) -> tuple[float, float] | None:
    """Return D and the median, relative to the lower end, from sums in bins (3, B + 2).

    None where the median is not in any of the bins between the ends.
    """
    weight, first, second = bins
    j = int(np.searchsorted(np.cumsum(weight), 0.5 * weight.sum()))
    if j in (0, len(weight) - 1):
        return None
    center = first[j] / weight[j]
    inside = _UNIFORM * np.sqrt(max(second[j] * weight[j] - first[j] ** 2, 0.0))
    if inside <= _ROUNDING * abs(first[j]):  # all of one value
        inside = 0.0
    outside = np.abs(first - center * weight)
    return float(outside.sum() - outside[j] + inside), float(center)
