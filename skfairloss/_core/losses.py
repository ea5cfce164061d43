r"""The loss family: a mix of absolute and squared residuals.

With z = r / c the residual in units of the scale c, λ = ``loss_mix`` and τ = ``quantile``,

    ℓ(z) = λ (|z| + (2τ - 1) z) + (1 - λ) z².

L2 (λ = 0), L1 (λ = 1, τ = 1/2) and the pinball loss (λ = 1, twice the usual one) are its ends.
Each method below is one line of mathematics about ℓ; nothing here knows rows, weights or models.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from skfairloss._typing import Array


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

    def young_gap(self, z: Array, s: Array, value: Array) -> Array:
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
