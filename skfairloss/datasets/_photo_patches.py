"""Patches of the photographs that come with scikit-learn."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.datasets import load_sample_images
from sklearn.utils import Bunch

from skfairloss._inputs.parameters import Check, check_parameters, integer_from, is_integer, one_of

_CHECKS: dict[str, Check] = {
    "patch_size": (lambda v: is_integer(v) and v >= 2 and v % 2 == 0, "an even integer >= 2"),
    "visible": one_of(("left", "top")),
    "downsample": integer_from(1),
}

# grey value of red, green, blue: luma of ITU-R recommendation BT.601
GREY = np.array([0.299, 0.587, 0.114])

DESCRIPTION = """\
Photo patches: predict the hidden half of a patch from its visible half
-----------------------------------------------------------------------

The two photographs bundled with scikit-learn, china.jpg and flower.jpg, in grey values from 0
(black) to 1 (white), reduced by averaging and cut into square patches that do not overlap.
Groups are made from pixels alone: a patch is a "dark image" if the mean grey value of its
visible half is below the median of all patches, a "bright image" otherwise. A model sees the
quantity that defines the groups.

Licence of the photographs: see the DESCR of sklearn.datasets.load_sample_images.
"""


def load_photo_patches(
    *,
    patch_size: int = 8,
    visible: str = "left",
    downsample: int = 2,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Any:
    """Load patches of two photographs: predict one half from the other, in two groups.

    The patches lie on a grid without overlap, in the order photograph, row, column; the result
    is always the same. With the defaults there are 2080 patches of 32 + 32 pixels.

    Parameters
    ----------
    patch_size : int, default=8
        Height and width of a patch, in pixels of the reduced photograph; an even number.

    visible : {"left", "top"}, default="left"
        The half that is given. The other half is the target.

    downsample : int, default=2
        Factor by which the photographs of 427 x 640 pixels are reduced beforehand: each grey
        value is the mean of ``downsample`` x ``downsample`` pixels. 1 keeps them as they are.

    return_X_y : bool, default=False
        If true, return ``(data, target, sensitive_features)`` instead of a Bunch.

    as_frame : bool, default=False
        If true, data and target are pandas DataFrames and sensitive_features is a Series.

    Returns
    -------
    patches : sklearn.utils.Bunch
        With the entries

        - data : (n_samples, patch_size² / 2), the visible pixels in [0, 1], row by row;
        - target : (n_samples, patch_size² / 2), the hidden pixels;
        - sensitive_features : (n_samples,), "dark image" or "bright image": whether the mean of
          the visible half lies below the median over all patches;
        - photo : ndarray (n_samples,), "china" or "flower";
        - feature_names, target_names : lists of str, such as "pixel_2_7" (row 2, column 7);
        - frame : DataFrame of data, target and sensitive_features, None without ``as_frame``;
        - image_shape, visible_shape, hidden_shape : shapes of a patch and of its two halves;
        - DESCR : str.

    Raises
    ------
    ImportError
        If Pillow, which reads the photographs, is missing. The extra ``plot`` brings it.

    ValueError
        If a parameter is not of the kind above, or the patches are larger than the photographs.

    See Also
    --------
    join_patches : Join visible and hidden, or predicted, halves.

    Examples
    --------
    >>> from skfairloss.datasets import load_photo_patches
    >>> patches = load_photo_patches()
    >>> patches.data.shape, patches.target.shape, patches.visible_shape
    ((2080, 32), (2080, 32), (8, 4))
    >>> for group in ("dark image", "bright image"):
    ...     print(group, (patches.sensitive_features == group).sum())
    dark image 1040
    bright image 1040
    """
    given = {"patch_size": patch_size, "visible": visible, "downsample": downsample}
    check_parameters(None, given, _CHECKS)
    photos = {name: _reduce(grey, downsample) for name, grey in _grey_photos().items()}
    for name, photo in photos.items():
        if patch_size > min(photo.shape):
            raise ValueError(
                f"patch_size={patch_size!r} is larger than the reduced photograph {name!r} of "
                f"shape {photo.shape}"
            )
    cut = {name: _cut(photo, patch_size) for name, photo in photos.items()}
    data, target = _split(np.concatenate(list(cut.values())), visible)
    names = np.array([[f"pixel_{i}_{j}" for j in range(patch_size)] for i in range(patch_size)])
    feature_names, target_names = (half[0].tolist() for half in _split(names[None], visible))
    brightness = data.mean(axis=1)
    groups = np.where(brightness < np.median(brightness), "dark image", "bright image")
    frame = None
    if as_frame:
        data, target, groups, frame = _as_frames(data, target, groups, feature_names, target_names)
    if return_X_y:
        return data, target, groups
    half = patch_size // 2
    half_shape = (patch_size, half) if visible == "left" else (half, patch_size)
    return Bunch(
        data=data,
        target=target,
        sensitive_features=groups,
        photo=np.repeat(list(cut), [len(patches) for patches in cut.values()]),
        feature_names=feature_names,
        target_names=target_names,
        frame=frame,
        image_shape=(patch_size, patch_size),
        visible_shape=half_shape,
        hidden_shape=half_shape,
        DESCR=DESCRIPTION,
    )


def join_patches(X: ArrayLike, y: ArrayLike, *, visible: str = "left") -> NDArray[np.float64]:
    """Join visible and hidden halves to whole patches, (n_samples, patch_size, patch_size).

    Parameters
    ----------
    X : array-like of shape (n_samples, patch_size² / 2)
        Visible pixels, as in ``data`` of load_photo_patches.

    y : array-like of shape (n_samples, patch_size² / 2)
        Hidden pixels, as in ``target``, or predictions of them.

    visible : {"left", "top"}, default="left"
        The half that X holds.

    Returns
    -------
    images : ndarray of shape (n_samples, patch_size, patch_size)
        The patches.

    Raises
    ------
    ValueError
        If X and y differ in shape or are no halves of squares.

    Examples
    --------
    >>> from skfairloss.datasets import join_patches
    >>> join_patches([[0.1, 0.3]], [[0.2, 0.4]])
    array([[[0.1, 0.2],
            [0.3, 0.4]]])
    """
    check_parameters(None, {"visible": visible}, {"visible": _CHECKS["visible"]})
    shown, hidden = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64)
    size = math.isqrt(2 * shown.shape[1]) if shown.ndim == 2 else 0
    if shown.shape != hidden.shape or size == 0 or size * size != 2 * shown.shape[1]:
        raise ValueError(
            "X and y must both have the shape (n_samples, patch_size² / 2), got "
            f"{shown.shape} and {hidden.shape}"
        )
    axis = 2 if visible == "left" else 1
    half = (size, size // 2) if visible == "left" else (size // 2, size)
    return np.concatenate([part.reshape(-1, *half) for part in (shown, hidden)], axis=axis)


def _grey_photos() -> dict[str, NDArray[np.float64]]:
    """Return grey values in [0, 1], (height, width), of scikit-learn's photographs, by name."""
    try:
        bunch = load_sample_images()
    except ImportError as error:
        raise ImportError(
            "load_photo_patches needs Pillow to read the photographs: "
            'pip install "skfairloss[plot]"'
        ) from error
    names = [Path(filename).stem for filename in bunch.filenames]
    return {name: image @ GREY / 255.0 for name, image in zip(names, bunch.images, strict=True)}


def _reduce(grey: NDArray[np.float64], factor: int) -> NDArray[np.float64]:
    """Average over squares of factor x factor pixels; drop what is left at the edges."""
    return _cut(grey, factor).mean(axis=(1, 2)).reshape([side // factor for side in grey.shape])


def _cut(grey: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Cut squares of size x size pixels, row by row, (n, size, size)."""
    rows, columns = (side // size for side in grey.shape)
    grid = grey[: rows * size, : columns * size].reshape(rows, size, columns, size)
    return grid.swapaxes(1, 2).reshape(-1, size, size)


def _split(images: NDArray[Any], visible: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the visible and the hidden half of each image, flattened row by row."""
    axis = 2 if visible == "left" else 1
    shown, hidden = np.split(images, 2, axis=axis)
    return shown.reshape(len(images), -1), hidden.reshape(len(images), -1)


def _as_frames(
    data: NDArray[np.float64],
    target: NDArray[np.float64],
    groups: NDArray[np.str_],
    feature_names: list[str],
    target_names: list[str],
) -> tuple[Any, Any, Any, Any]:
    """Return data, target and groups as pandas objects, and one frame of all."""
    data_frame = pd.DataFrame(data, columns=feature_names)
    target_frame = pd.DataFrame(target, columns=target_names)
    series = pd.Series(groups, name="sensitive_features")
    return data_frame, target_frame, series, pd.concat([data_frame, target_frame, series], axis=1)
