"""The training loss as a metric."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skfairloss._core.losses import MixedLoss
from skfairloss._inputs.groups import check_index
from skfairloss._inputs.parameters import REGRESSOR_CHECKS, check_parameters
from skfairloss._inputs.validation import check_weights
from skfairloss.metrics._inputs import check_targets

_CHECKS = {name: REGRESSOR_CHECKS[name] for name in ("loss_mix", "quantile")}


def pixel_loss(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    loss_mix: float = 0.5,
    quantile: float = 0.5,
    scale: float | ArrayLike = 1.0,
    sample_weight: ArrayLike | None = None,
) -> float:
    r"""Compute the mean loss of the pixels, a mix of absolute and squared residuals.

    With the residual r = y_true - y_pred, c = ``scale``, λ = ``loss_mix``, τ = ``quantile``, row
    weights s and m pixels a row, it is

    .. math::

        \frac{1}{m \sum_i s_i} \sum_i s_i \sum_k \ell(r_{ik} / c),

    .. math::

        \ell(z) = \lambda (|z| + (2\tau - 1) z) + (1 - \lambda) z^2 .

    At scale 1 it is the mean squared error for ``loss_mix=0`` and, with quantile 0.5, the mean
    absolute error for ``loss_mix=1``.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, ...), or float
        True values: one number, a row of pixels or an image for each sample; a single number
        counts as one sample.

    y_pred : array-like of the shape of y_true
        Predictions.

    loss_mix : float, default=0.5
        λ in [0, 1]: 0 is L2, 1 is L1.

    quantile : float, default=0.5
        τ in (0, 1): tilts the absolute part; no effect for ``loss_mix=0``.

    scale : float or array-like, default=1.0
        c > 0, in units of y; an array has one value for each pixel, in the shape of a sample.

    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows, >= 0; ``None`` weighs all rows the same.

    Returns
    -------
    loss : float
        The mean loss, without a unit.

    Raises
    ------
    ValueError
        If shapes do not match, values are not finite, two pandas arguments differ in their index,
        or a parameter is out of range.

    Examples
    --------
    Residuals of -2 and 2, then of -0.1 and 0.2, under L1 and under L2:

    >>> from skfairloss.metrics import pixel_loss
    >>> def l1_and_l2(y_true, y_pred):
    ...     return [round(pixel_loss(y_true, y_pred, loss_mix=mix), 6) for mix in (1, 0)]
    >>> l1_and_l2([0, 0], [2, -2])
    [2.0, 4.0]
    >>> l1_and_l2([0, 0], [0.1, -0.2])
    [0.15, 0.025]

    Single pixels: a prediction of 0.4 against 0.3; then 0.8 against 0.7 beside 0.9 against 0.1,
    8 times as bad for L1 and 64 times for L2:

    >>> l1_and_l2(0.3, 0.4)
    [0.1, 0.01]
    >>> l1_and_l2(0.7, 0.8), l1_and_l2(0.1, 0.9)
    ([0.1, 0.01], [0.8, 0.64])
    >>> [
    ...     round(pixel_loss(0.1, 0.9, loss_mix=mix) / pixel_loss(0.7, 0.8, loss_mix=mix))
    ...     for mix in (1, 0)
    ... ]
    [8, 64]
    """
    check_parameters(None, {"loss_mix": loss_mix, "quantile": quantile}, _CHECKS)
    check_index(y_true=y_true, y_pred=y_pred, sample_weight=sample_weight)
    true, pred = check_targets(y_true, y_pred)
    weights = check_weights(sample_weight, len(true))
    loss = MixedLoss(loss_mix=float(loss_mix), quantile=float(quantile))
    losses = loss.value((true - pred) / _check_scale(scale, true.shape[1:]))
    return float(np.average(losses.reshape(len(true), -1).mean(axis=1), weights=weights))


def _check_scale(scale: Any, sample_shape: tuple[int, ...]) -> np.ndarray:
    """Return scale as an array: one positive number, or one for each pixel."""
    try:
        array = np.asarray(scale, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"scale must be a number or an array of numbers, got {scale!r}") from error
    if array.shape not in ((), sample_shape):
        raise ValueError(
            f"scale must be a number or have the shape {sample_shape} of a sample, got shape "
            f"{array.shape}"
        )
    if not (np.isfinite(array).all() and array.min() > 0):
        raise ValueError(f"scale must be positive and finite, got {scale!r}")
    return array
