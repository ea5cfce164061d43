r"""Second moments of each group's rows: what squared group losses need to know of X.

With z = x - x₀ and e = y - y₀ for an origin (x₀, y₀) near the means, the sums of v, v z, v e,
v z zᵀ, v z e and v e² over a group give its squared loss at any model, and the derivatives.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skfairloss._design.basis import Basis
from skfairloss._typing import Array

# Coordinates may multiply the rounding errors of moments by at most this.
_AMPLIFIED = 1e3
# Squares of y may be at most this multiple of a loss that is their difference.
_CANCELLED = 1e3


@dataclass(frozen=True)
class GroupMoments:
    """Moments around an origin, for G groups, p features and m outputs.

    Parameters
    ----------
    origin : (p,) and (m,), x₀ and y₀.
    totals : (G,), sums of v.
    first : (G, p), of v z.
    second : (G, p, p), of v z zᵀ.
    cross : (G, p, m), of v z e.
    targets : (G, m), of v e.
    squares : (G, m), of v e².
    """

    origin: tuple[Array, Array]
    totals: Array
    first: Array
    second: Array
    cross: Array
    targets: Array
    squares: Array

    def of_all(self) -> tuple[Array, Array]:
        """Means of the columns of X, (p,), and of their products with y, (p, m), over all rows."""
        x, y = self.origin
        total, e, z = self.totals.sum(), self.targets.sum(axis=0), self.first.sum(axis=0)
        cross = self.cross.sum(axis=0) + np.outer(x, e + total * y) + np.outer(z, y)
        return total * x + z, cross

    def around(self, center: Array) -> Array:
        """Second moments of all rows around a center, (p, p)."""
        move, z = center - self.origin[0], self.first.sum(axis=0)
        crossed = np.outer(z, move)
        total = self.totals.sum() * np.outer(move, move)
        return self.second.sum(axis=0) - crossed - crossed.T + total

    def accurate_in(self, basis: Basis) -> bool:
        """Return True where coordinates leave the moments their digits."""
        return basis.amplification(self.origin[0]) <= _AMPLIFIED

    def grams(self, basis: Basis) -> Array:
        """Σ v A_i A_iᵀ of each group's rows in the coordinates of a basis, (G, d, d)."""
        k, d = basis.n_directions, basis.n_coordinates
        move = basis.center - self.origin[0]
        out = np.zeros((len(self.totals), d, d))
        border = self.first - np.multiply.outer(self.totals, move)
        crossed = self.first[:, :, None] * move
        second = self.second - crossed - crossed.transpose(0, 2, 1)
        second += self.totals[:, None, None] * np.outer(move, move)
        out[:, :k, :k] = basis.transform.T @ second @ basis.transform
        if basis.fit_intercept:
            out[:, :k, k] = out[:, k, :k] = border @ basis.transform
            out[:, k, k] = self.totals
        return out

    def residuals(self, coef: Array, intercept: Array, basis: Basis) -> tuple[Array, Array]:
        """Σ v r A_i (G, d, m) and Σ v r² (G, m) of each group for the residuals r of a model."""
        x, y = self.origin
        shift = intercept + x @ coef - y
        moved = self.second @ coef
        pull = self.cross - moved - self.first[:, :, None] * shift
        total = self.targets - self.first @ coef - self.totals[:, None] * shift
        rest = self.targets - 0.5 * self.totals[:, None] * shift - self.first @ coef
        squares = self.squares - 2.0 * shift * rest
        squares += np.einsum("gjk,jk->gk", moved - 2.0 * self.cross, coef)
        if basis.fit_intercept:
            pull = pull - (basis.center - x)[:, None] * total[:, None, :]
        out = basis.transform.T @ pull
        if basis.fit_intercept:
            out = np.concatenate([out, total[:, None, :]], axis=1)
        return out, squares

    def accurate_at(self, squares: Array) -> bool:
        """Return True where squares of residuals found from the moments have digits left."""
        return bool((self.squares <= _CANCELLED * squares).all())
