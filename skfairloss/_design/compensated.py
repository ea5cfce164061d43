"""Products with X as if in twice the precision, for columns whose huge terms cancel.

Sums and products carry their rounding errors along (Dekker 1971), as in the algorithm Dot2 of
Ogita, Rump & Oishi (2005), "Accurate sum and dot product". They cost 30 to 170 plain ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from skfairloss._design.basis import Basis
from skfairloss._design.design import Design, Score
from skfairloss._design.rows import DenseRows, Rows
from skfairloss._typing import Array, Index

_SPLIT = 2.0**27 + 1.0  # halves the 53 digits of a float


class CompensatedDesign(Design):
    """Another design, whose products and rows have rounding errors of their own size alone.

    Second moments are those of the other design.
    """

    compensated = True

    def __init__(self, design: Design) -> None:
        self._design = design
        self.shape, self.sparse = design.shape, design.sparse

    def predict(self, coef: Array, intercept: Array | float) -> Array:
        start = np.zeros((self.shape[0], *coef.shape[1:])) + intercept
        return _dot(start, ((_beside(self.column(j), coef), coef[j]) for j in self._features))

    def predict_in(self, basis: Basis, theta: Array) -> Array:
        return self._in(basis) @ theta

    def adjoint(self, u: Array) -> Array:
        products = (_product(_beside(self.column(j), u), u) for j in self._features)
        out = [_sum(*product) for product in products]
        return np.array(out).reshape(self.shape[1], *u.shape[1:])

    def total(self, u: Array) -> Array:
        return _sum(u, np.zeros_like(u))

    def sweep(
        self,
        y: Array,
        coef: Array,
        intercept: Array | float,
        score: Score,
        index: Index | None = None,
    ) -> tuple[Array, Array, Array]:
        some = self if index is None else self.subset(index)
        residual = y - some.predict(coef, intercept)
        u, sums = score(slice(0, len(y)), residual)
        return residual, some.adjoint(u), sums

    def gather(self, u: Callable[[slice], Array]) -> Array:
        return self.adjoint(u(slice(0, self.shape[0])))

    def subset(self, index: Index) -> Design:
        return CompensatedDesign(self._design.subset(index))

    def columns(self, index: Index) -> Design:
        return CompensatedDesign(self._design.columns(index))

    def absolute(self) -> Design:
        return self._design.absolute()

    def moments(self, weights: Array, center: Array) -> Array:
        return self._design.moments(weights, center)

    def grams_by_group(self, basis: Basis, weights: Array, codes: Index, n_groups: int) -> Array:
        return self._design.grams_by_group(basis, weights, codes, n_groups)

    def block(self, rows: slice | Index) -> Array:
        return self._design.block(rows)

    def column(self, j: int) -> Array:
        return self._design.column(j)

    def rows(self, basis: Basis, index: Index | None = None) -> Rows:
        some = self if index is None else CompensatedDesign(self._design.subset(index))
        return DenseRows(some._in(basis))

    def _in(self, basis: Basis) -> Array:
        """Return A, (n, n_coordinates)."""
        terms = (
            (x, basis.transform[j])
            for j in self._features
            for x in (self.column(j)[:, None], -basis.center[j])
        )
        out = _dot(np.zeros((self.shape[0], basis.n_directions)), terms)
        return np.column_stack([out, np.ones(len(out))]) if basis.fit_intercept else out

    @property
    def _features(self) -> range:
        return range(self.shape[1])


def _beside(x: Array, like: Array) -> Array:
    """Return (n,) in the number of dimensions that another array has."""
    return x if like.ndim == 1 else x[:, None]


def _two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """Return a + b and its rounding error (Knuth, The Art of Computer Programming, 4.2.2)."""
    out = a + b
    part = out - a
    return out, (a - (out - part)) + (b - part)


def _halves(a: Array) -> tuple[Array, Array]:
    """Return two numbers of 26 digits whose sum is a."""
    large = _SPLIT * a
    high = large - (large - a)
    return high, a - high


def _product(a: Array, b: Array) -> tuple[Array, Array]:
    """Return a b and its rounding error."""
    out = a * b
    (a1, a2), (b1, b2) = _halves(a), _halves(b)
    return out, a2 * b2 - (((out - a1 * b1) - a2 * b1) - a1 * b2)


def _dot(start: Array, terms: Iterable[tuple[Array, Array]]) -> Array:
    """Return a start and the sum of products."""
    out, low = start, np.zeros_like(start)
    for a, b in terms:
        product, error = _product(a, b)
        out, rest = _two_sum(out, product)
        low += error + rest
    return out + low


def _sum(values: Array, errors: Array) -> Array:
    """Return the sum over the first axis of values whose errors are known, as a tree of pairs."""
    low = errors.sum(axis=0)
    while len(values) > 1:
        half = len(values) // 2
        pairs, rest = _two_sum(values[:half], values[half : 2 * half])
        low = low + rest.sum(axis=0)
        values = np.concatenate([pairs, values[2 * half :]])
    return np.asarray(values.sum(axis=0) + low)
