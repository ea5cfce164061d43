"""Two groups of images of different brightness."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skfairloss._inputs.parameters import (
    SHARE,
    Check,
    check_parameters,
    integer_from,
    number_up_to,
    one_of,
)

GROUPS = ("dark", "bright")

_CHECKS: dict[str, Check] = {
    "n_samples": integer_from(2),
    "n_pixels": integer_from(1),
    "minority": one_of(GROUPS),
    "outlier_group": one_of(GROUPS),
    "minority_share": number_up_to(0.5),
    "outlier_share": SHARE,
    "reveal_group": SHARE,
}


def make_pixel_groups(
    n_samples: int = 200,
    *,
    minority: str = "dark",
    minority_share: float = 0.3,
    levels: Sequence[float] = (0.3, 0.9),
    noise: float | Sequence[float] = 0.0,
    outlier_group: str = "bright",
    outlier_share: float = 0.0,
    outlier_shift: float = -1.0,
    n_pixels: int = 1,
    reveal_group: float = 0.0,
    random_state: int | np.random.Generator | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.str_]]:
    """Make dark and bright images whose brightness a model is to predict.

    Row i of group g has the pixels ``y_ik = levels[g] + noise[g] * e_ik`` with standard normal
    e, plus ``outlier_shift`` on all pixels of an outlier. Pixels are not clipped to [0, 1].
    The order of the rows is random.

    Parameters
    ----------
    n_samples : int, default=200
        Number of images.

    minority : {"dark", "bright"}, default="dark"
        The smaller group.

    minority_share : float, default=0.3
        Share of the smaller group, in (0, 0.5]. It has ``round(minority_share * n_samples)``
        rows.

    levels : pair of floats, default=(0.3, 0.9)
        Brightness of the dark and of the bright group; the first must be the smaller.

    noise : float or pair of floats, default=0.0
        Standard deviation of the pixels, for both groups or for dark and bright.

    outlier_group : {"dark", "bright"}, default="bright"
        The group that has outliers.

    outlier_share : float, default=0.0
        Share of the rows of ``outlier_group`` that are outliers, in [0, 1]; the number of
        rows is rounded.

    outlier_shift : float, default=-1.0
        Number that is added to the pixels of an outlier.

    n_pixels : int, default=1
        Number of pixels of an image.

    reveal_group : float, default=0.0
        Share of the rows of each group whose feature tells the group, in [0, 1]; the number of
        rows is rounded.

    random_state : int, numpy.random.Generator or None, default=None
        Draws noise, outliers and the order of the rows.

    Returns
    -------
    X : ndarray of shape (n_samples, 1)
        -0.5 (dark) or 0.5 (bright) in the rows that tell their group, 0 in the others. With
        ``reveal_group=0`` it is a column of zeros: every model then predicts a constant.

    y : ndarray of shape (n_samples,) or (n_samples, n_pixels)
        Pixels; one-dimensional for a single pixel.

    groups : ndarray of shape (n_samples,)
        "dark" or "bright".

    Raises
    ------
    TypeError
        If ``levels``, ``noise`` or ``outlier_shift`` are no numbers.

    ValueError
        If a parameter is out of range or a group would be empty.

    Notes
    -----
    With the defaults, a dark share p < 1/2 and the loss λ|r| + (1-λ)r², the best constant
    prediction is min(0.9, 0.9 - 0.6 p + λ (1 - 2p) / (2 (1 - λ))): least squares (λ = 0) is
    wrong by 0.42 in the dark and 0.18 in the bright group at p = 0.3, while L1 (λ = 1) returns
    the level of the majority.

    Examples
    --------
    >>> from skfairloss.datasets import make_pixel_groups
    >>> X, y, groups = make_pixel_groups(10, random_state=0)
    >>> print((groups == "dark").sum(), y[groups == "dark"], X.ravel())
    3 [0.3 0.3 0.3] [0. 0. 0. 0. 0. 0. 0. 0. 0. 0.]
    """
    given = {
        "n_samples": n_samples,
        "n_pixels": n_pixels,
        "minority": minority,
        "outlier_group": outlier_group,
        "minority_share": minority_share,
        "outlier_share": outlier_share,
        "reveal_group": reveal_group,
    }
    check_parameters(None, given, _CHECKS)
    level = _pair("levels", levels)
    if level[0] >= level[1]:
        raise ValueError(f"levels must be (dark, bright) with dark < bright, got {levels!r}")
    sd = _pair("noise", (noise, noise) if isinstance(noise, numbers.Real) else noise)
    if sd.min() < 0:
        raise ValueError(f"noise must be >= 0, got {noise!r}")
    shift = float(_pair("outlier_shift", (outlier_shift, outlier_shift))[0])

    n_minority = round(minority_share * n_samples)
    if n_minority == 0:
        raise ValueError(
            f"minority_share={minority_share!r} of n_samples={n_samples!r} rows is no row at all"
        )
    rng = np.random.default_rng(random_state)
    codes = np.full(n_samples, 1 - GROUPS.index(minority))
    codes[:n_minority] = GROUPS.index(minority)
    codes = rng.permutation(codes)

    y = level[codes][:, None] + sd[codes][:, None] * rng.standard_normal((n_samples, n_pixels))
    y[_draw_share(rng, codes == GROUPS.index(outlier_group), outlier_share)] += shift
    X = np.zeros((n_samples, 1))
    for code in range(len(GROUPS)):
        X[_draw_share(rng, codes == code, reveal_group)] = code - 0.5
    return X, y[:, 0] if n_pixels == 1 else y, np.asarray(GROUPS)[codes]


def _draw_share(
    rng: np.random.Generator, members: NDArray[np.bool_], share: float
) -> NDArray[np.intp]:
    """Draw a share of the members without replacement; return their positions."""
    rows = np.flatnonzero(members)
    return rng.choice(rows, size=round(share * len(rows)), replace=False)


def _pair(name: str, value: Any) -> NDArray[np.float64]:
    """Return two finite numbers, (2,)."""
    try:
        pair = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must be numbers, got {value!r}") from error
    if pair.shape != (2,) or not np.isfinite(pair).all():
        raise ValueError(f"{name} must be finite, one number for each group, got {value!r}")
    return pair
