r"""The loss family: a mix of absolute and squared residuals.

With z = r / c the residual in units of the scale c, λ = ``loss_mix`` and τ = ``quantile``,

    ℓ(z) = λ (|z| + (2τ - 1) z) + (1 - λ) z².

L2 (λ = 0), L1 (λ = 1, τ = 1/2) and the pinball loss (λ = 1, twice the usual one) are its ends.
Each method below is one line of mathematics about ℓ; nothing here knows weights or models.

Terms about another loss than the mix add multiples of |z| and z² to the rows of a group: each group
and output has then numbers of its own in

    ℓ(z) = max(upper z, lower z) + curvature z² / 2        (`GroupedLoss`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from skfairloss._typing import Array, Index


@dataclass(frozen=True)
class MixedLoss:
    """ℓ(z) = λ (|z| + (2τ - 1) z) + (1 - λ) z², convex, with its minimum 0 at z = 0.

    Parameters
    ----------
    loss_mix : float, default=0.5
        λ in [0, 1]: 0 is the squared, 1 the absolute loss.

    quantile : float, default=0.5
        τ in (0, 1): tilts the absolute part; no effect at λ = 0.
    """

    loss_mix: float = 0.5
    quantile: float = 0.5

    @property
    def upper(self) -> float:
        """Slope of the absolute part for z > 0: 2 τ λ."""
        return 2.0 * self.quantile * self.loss_mix

    @property
    def lower(self) -> float:
        """Slope of the absolute part for z < 0: -2 (1 - τ) λ."""
        return -2.0 * (1.0 - self.quantile) * self.loss_mix

    @property
    def curvature(self) -> float:
        """Second derivative of the squared part: 2 (1 - λ)."""
        return 2.0 * (1.0 - self.loss_mix)

    def at(self, rows: slice) -> MixedLoss:  # noqa: ARG002  # that of a GroupedLoss differs
        """Return the loss of some rows: that of all."""
        return self

    def value(self, z: ArrayLike) -> Array:
        """Return ℓ(z), in the shape of z."""
        z = np.asarray(z, dtype=np.float64)
        if self.loss_mix == 0:
            return z * z
        kinked = np.maximum(self.upper * z, self.lower * z)
        return kinked if self.curvature == 0.0 else kinked + 0.5 * self.curvature * z * z

    def derivative(self, z: ArrayLike) -> Array:
        """Return ℓ'(z); at the kink z = 0 the middle of the interval of subgradients."""
        z = np.asarray(z, dtype=np.float64)
        if self.loss_mix == 0:
            return 2.0 * z
        middle = 0.5 * (self.upper + self.lower)
        kink = np.where(z > 0, self.upper, np.where(z < 0, self.lower, middle))
        return kink + self.curvature * z

    def squared_slope(self, z: Array) -> Array:
        """Return the slope of the squared part, in the shape of z."""
        return self.curvature * z

    def into_domain(self, s: Array) -> Array:
        """Return the nearest slopes at which ℓ* is finite, in the shape of s."""
        return s if self.curvature > 0 else np.clip(s, self.lower, self.upper)

    def prox(self, z: ArrayLike, step: float) -> Array:
        """Return argmin over x of ``step`` ℓ(x) + (x - z)² / 2: shift towards 0, then shrink."""
        z = np.asarray(z, dtype=np.float64)
        shifted = z - np.clip(z, step * self.lower, step * self.upper)
        return shifted / (1.0 + step * self.curvature)

    def conjugate(self, s: ArrayLike) -> Array:
        """Return ℓ*(s) = max over z of s z - ℓ(z) = dist(s, [lower, upper])² / (4 (1 - λ)).

        At λ = 1 it is the indicator of the interval: 0 inside, infinity outside.
        """
        excess = self.excess(s)
        if self.curvature == 0.0:
            return np.where(excess == 0.0, 0.0, np.inf)
        return excess * excess / (2.0 * self.curvature)

    def fenchel_young_gap(self, z: Array, s: Array, value: Array) -> Array:
        """Return ℓ(z) + ℓ*(s) - s z >= 0, given ℓ(z), for finite ℓ*(s); ``value`` is overwritten.

        It is 0 where s is a subgradient at z (Fenchel-Young).
        """
        if self.loss_mix == 0:  # a square, in which nothing cancels
            gap = np.subtract(z, 0.5 * s, out=value)
            return np.multiply(gap, gap, out=gap)
        value -= s * z
        if self.curvature > 0:  # ℓ* is 0 otherwise
            value += self.conjugate(s)
        return np.maximum(value, 0.0, out=value)

    def excess(self, s: ArrayLike) -> Array:
        """Return the signed distance of s from the interval [lower, upper] of subgradients at 0."""
        s = np.asarray(s, dtype=np.float64)
        return s if self.loss_mix == 0 else s - np.clip(s, self.lower, self.upper)


@dataclass(frozen=True)
class GroupedLoss:
    """ℓ(z) = max(upper z, lower z) + curvature z² / 2 with numbers by group and output.

    Parameters
    ----------
    lower, upper, curvature : ndarrays of shape (n_groups, n_outputs)
        lower <= upper, and curvature >= 0.

    codes : ndarray of shape (n_rows,)
        The group of each row.
    """

    lower: Array
    upper: Array
    curvature: Array
    codes: Index

    @property
    def kinked(self) -> bool:
        """True where any group has a kink."""
        return bool(self.lower.any() or self.upper.any())

    @property
    def curved(self) -> bool:
        """True where any group has squares."""
        return bool(self.curvature.any())

    def at(self, rows: slice) -> GroupedLoss:
        """Return the loss of some rows."""
        return replace(self, codes=self.codes[rows])

    def value(self, z: Array) -> Array:
        """Return ℓ(z), (n_rows, n_outputs)."""
        if not self.kinked:
            return 0.5 * self.squared_slope(z) * z
        lower, upper, curvature = self._by_row()
        out = np.maximum(upper * z, lower * z)
        return out if not self.curved else out + 0.5 * curvature * z * z

    def derivative(self, z: Array) -> Array:
        """Return ℓ'(z); at the kink z = 0 the middle of the interval of subgradients."""
        lower, upper, curvature = self._by_row()
        kink = np.where(z > 0, upper, np.where(z < 0, lower, 0.5 * (lower + upper)))
        return kink + curvature * z

    def squared_slope(self, z: Array) -> Array:
        """Return the slope of the squared part, in the shape of z."""
        return self.curvature.take(self.codes, axis=0) * z

    def into_domain(self, s: Array) -> Array:
        """Return the nearest slopes at which ℓ* is finite, in the shape of s."""
        if (self.curvature > 0).all():
            return s
        lower, upper, curvature = self._by_row()
        return np.where(curvature > 0, s, np.clip(s, lower, upper))

    def fenchel_young_gap(self, z: Array, s: Array, value: Array) -> Array:
        """Return ℓ(z) + ℓ*(s) - s z >= 0 for finite ℓ*(s); ``value`` is overwritten.

        With t the part of s in [lower, upper] and e the excess over it, this is the gap of the kink
        at t, and curvature / 2 (z - e / curvature)²: two terms in which nothing cancels.
        """
        value[:], excess = 0.0, s
        if self.kinked:
            lower, upper, _ = self._by_row()
            inside = np.clip(s, lower, upper)
            np.multiply(np.where(z > 0, upper - inside, lower - inside), z, out=value)
            excess = s - inside
        if self.curved:
            curvature = self.curvature.take(self.codes, axis=0)
            away = z - np.divide(excess, curvature, out=z.copy(), where=curvature > 0)
            value += 0.5 * curvature * away * away
        return value

    def _by_row(self) -> tuple[Array, Array, Array]:
        """Return the numbers of each row, (n_rows, n_outputs) each."""
        parts = self.lower, self.upper, self.curvature
        lower, upper, curvature = (part.take(self.codes, axis=0) for part in parts)
        return lower, upper, curvature
