"""Moments of weighted sums, up to the third, of rows that are seen part by part.

Every part has its moments about its own means. Two parts are merged by the formulas of P. Pébay,
"Formulas for robust, one-pass parallel computation of covariances and arbitrary-order statistical
moments", Sandia report SAND2008-6212 (2008). No digits are lost, however the rows are divided and
however far from 0 they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from skfairloss._typing import Array


def columns_about(values: Array, y: Array, weights: Array, centre: Array) -> Array:
    """Return the columns s, s (v - c), s |y - b|² and s (y - b) of rows, (n, K).

    ``centre`` holds c (J,) and b (m,). Without y, (n, 0), the columns are s and s (v - c) alone.
    """
    s, n_values = weights[:, None], values.shape[1]
    centred = y - centre[n_values:]
    columns = [s, s * (values - centre[:n_values])]
    if y.shape[1]:
        columns += [s * (centred**2).sum(axis=1, keepdims=True), s * centred]
    return np.hstack(columns)


@dataclass(frozen=True)
class CentralMoments:
    """Moments over n rows of the K columns of `columns_about`, c and b the weighted means.

    Parameters
    ----------
    n_rows : n.
    n_values : J.
    centre : (J + m,), c and b.
    mean : (K,), means of the columns.
    second : (d, d), sums of products of the first d columns about their means.
    third : (d, d, d), the same of three columns.
    """

    n_rows: int
    n_values: int
    centre: Array
    mean: Array
    second: Array
    third: Array

    @classmethod
    def of(cls, values: Array, y: Array, weights: Array, deep: int) -> CentralMoments:
        """Take the moments of rows with values (n, J), y (n, m) and weights (n,); d is ``deep``."""
        both = np.hstack([values, y])
        # means from the first row on: those of equal rows are exact
        centre = both[0] + np.average(both - both[0], axis=0, weights=weights)
        columns = columns_about(values, y, weights, centre)
        mean = columns[0] + (columns - columns[0]).mean(axis=0)
        z = columns[:, :deep] - mean[:deep]
        third = np.empty((deep, deep, deep))
        for i in range(deep):
            block = (z[:, i:] * z[:, i : i + 1]).T @ z[:, i:]
            third[i, i:, i:] = third[i:, i, i:] = third[i:, i:, i] = block
        return cls(len(values), values.shape[1], centre, mean, z.T @ z, third)

    @property
    def weight(self) -> float:
        """Sum of the weights."""
        return float(self.n_rows * self.mean[0])

    @property
    def squared_weights(self) -> float:
        """Sum of the squared weights. Known where d > 0."""
        return float(self.second[0, 0] + self.n_rows * self.mean[0] ** 2)

    @property
    def spread(self) -> Array:
        """Standard deviations of the first d columns, (d,)."""
        return np.sqrt(np.diag(self.second) / self.n_rows)

    def merged(self, other: CentralMoments) -> CentralMoments:
        """Return the moments of both parts."""
        n, share = self.n_rows + other.n_rows, other.weight / (self.weight + other.weight)
        centre = self.centre + share * (other.centre - self.centre)
        one, two = self._about(centre), other._about(centre)
        gap = two.mean - one.mean
        mean = one.mean + gap * (two.n_rows / n)
        d = gap[: len(self.second)]
        outer, factor = np.outer(d, d), one.n_rows * two.n_rows / n
        second = one.second + two.second + factor * outer
        cross = (one.n_rows * two.second - two.n_rows * one.second) / n
        third = one.third + two.third
        third += np.multiply.outer(factor * (one.n_rows - two.n_rows) / n * outer, d)
        third += np.multiply.outer(d, cross) + np.multiply.outer(cross, d)
        third += d[:, None] * cross[:, None, :]
        return CentralMoments(n, self.n_values, centre, mean, second, third)

    def _about(self, centre: Array) -> CentralMoments:
        """Return the moments with other c and b, of which the columns are linear functions."""
        shift, j = self.centre - centre, self.n_values
        if not shift.any():
            return self
        change = np.eye(len(self.mean))
        change[1 : 1 + j, 0] = shift[:j]
        if len(shift) > j:
            change[1 + j, 0] = shift[j:] @ shift[j:]
            change[1 + j, 2 + j :] = 2 * shift[j:]
            change[2 + j :, 0] = shift[j:]
        own = change[: len(self.second), : len(self.second)]
        third = self.third
        for _ in range(3):  # the last axis becomes the first
            third = np.tensordot(own, third, axes=(1, 2))
        mean, second = change @ self.mean, own @ self.second @ own.T
        return replace(self, centre=centre, mean=mean, second=second, third=third)
