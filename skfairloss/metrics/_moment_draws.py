r"""Bootstrap samples of sums over many rows, from the moments of the rows alone.

The sum over n rows drawn with replacement has mean n x̄, and the sums of products of the rows about
their mean for second and third central moment. A quadratic function of normal numbers z has all
three: in coordinates in which the second moment is 1 and the third κ,

    w_i = (L z)_i + Σ_ab κ_iab (z_a z_b - δ_ab) / 6,
    L L' = I - K / 18,  K_ij = Σ_ab κ_iab κ_jab.

This is the Cornish-Fisher expansion in several dimensions (P. Hall, *The Bootstrap and Edgeworth
Expansion*, Springer 1992, section 2.5). The distribution of a mean of n rows is off by the order of
1 / n, where that of normal numbers is off by 1 / √n. L is real: K is at most I for any rows.
"""

from __future__ import annotations

import numpy as np

from skfairloss._typing import Array
from skfairloss.metrics._central_moments import CentralMoments

_FLAT = 1e-10  # spread of a column, beside a usual one, that is rounding: it is not skewed
_SINGULAR = 1e-8  # variance of a direction, relative to columns, below which skewness has no digits


def draw_sums(
    moments: CentralMoments, usual: Array, rng: np.random.Generator, n_samples: int
) -> Array:
    """Draw sums of the columns over n rows drawn with replacement, (n_samples, K).

    ``usual`` (d,) are standard deviations of the columns in this group or in others. Columns
    without second moments are NaN.
    """
    drawn = np.full((n_samples, len(moments.mean)), np.nan)
    spread = moments.spread * np.sqrt(moments.n_rows)
    inverse = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
    values, vectors = np.linalg.eigh(moments.second * np.outer(inverse, inverse))
    values = values.clip(min=0.0)
    # symmetric roots do not jump where moments change by a rounding error
    root = (vectors * np.sqrt(values)) @ vectors.T
    skewed = inverse * (moments.spread > _FLAT * usual)
    to_unit = (vectors * (np.sqrt(values) / (values + _SINGULAR))) @ vectors.T * skewed
    third = moments.third
    for _ in range(3):  # the last axis becomes the first
        third = np.tensordot(to_unit, third, axes=(1, 2))
    squares, axes = np.linalg.eigh(np.einsum("iab,jab->ij", third, third))
    linear = (axes * np.sqrt(1.0 - squares.clip(0.0, 1.0) / 18.0)) @ axes.T
    z = rng.standard_normal((n_samples, len(spread)))
    squared = np.einsum("nia,na->ni", np.tensordot(z, third, axes=(1, 2)), z)
    bent = squared - np.einsum("iaa->i", third)
    w = z @ linear + bent / 6.0
    mean = moments.mean[: len(spread)]
    drawn[:, : len(spread)] = moments.n_rows * mean + (w @ root) * spread
    return drawn
