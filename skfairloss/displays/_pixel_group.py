"""Truth, prediction and absolute error of images, groups side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skfairloss._inputs.columns import named_columns
from skfairloss._inputs.groups import Groups, check_index, counted, encode_groups
from skfairloss._inputs.validation import check_numbers, check_weights
from skfairloss._typing import Array
from skfairloss.displays._layout import (
    SIZES,
    cell_of,
    fit_texts,
    fits_flat,
    keep_within,
    label_axes,
    size_of,
    wrap_text,
)
from skfairloss.displays._style import group_label, new_axes
from skfairloss.metrics._inputs import check_targets

ROWS = ("truth", "prediction", "absolute error")
CHANNELS = (1, 3, 4)
LOWEST = 0.5  # inches, of an image
SIDE = 0.3  # of the width, for names of rows at most
ABOVE = 0.22  # of the height, for names of groups at most


class PixelGroupDisplay:
    """Images of each group: truth, prediction and absolute error in rows, groups side by side.

    All truths and predictions share one scale, all errors another, so that groups can be compared.
    All images are drawn in the one axes; the scales are inset axes beside them.

    Parameters
    ----------
    groups : sequence
        Names of the groups, from left to right.

    truth : array-like of shape (n_groups, n_shown, height, width) or (..., 3)
        True images of each group; three channels are drawn as red, green and blue.

    prediction : array-like of the shape of truth
        Predicted images.

    error : array-like of shape (n_groups, n_shown, height, width)
        Absolute errors, means over channels.

    captions : sequence of str of shape (n_shown,), default=None
        Captions of the images of a group, in their order.

    group_name : str, default="group"
        Name of the attribute that defines the groups, above their names.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes, one for all images, after `plot`.

    figure_ : matplotlib.figure.Figure
        The figure, after `plot`.

    images_ : list of lists of matplotlib.image.AxesImage
        The images by row, then by column, after `plot`.

    colorbars_ : list of matplotlib.colorbar.Colorbar
        The scale of truth and prediction (not for coloured images) and that of the errors, after
        `plot`; empty without a legend.

    Notes
    -----
    A few images prove nothing about a group. `skfairloss.group_report` has metrics of all rows.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skfairloss.datasets import make_pixel_groups
    >>> from skfairloss.displays import PixelGroupDisplay
    >>> _, y, group = make_pixel_groups(100, n_pixels=16, random_state=0)
    >>> display = PixelGroupDisplay.from_predictions(
    ...     y, 0 * y + 0.7, sensitive_features=group, image_shape=(4, 4)
    ... )
    >>> display.groups
    ['bright', 'dark']
    >>> display.error.shape
    (2, 1, 4, 4)
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        groups: Sequence[Any],
        truth: ArrayLike,
        prediction: ArrayLike,
        error: ArrayLike,
        *,
        captions: Sequence[str] | None = None,
        group_name: str = "group",
    ) -> None:
        self.groups = list(groups)
        self.truth = np.asarray(truth, dtype=float)
        self.prediction = np.asarray(prediction, dtype=float)
        self.error = np.asarray(error, dtype=float)
        self.captions = None if captions is None else list(captions)
        self.group_name = group_name
        shape = self.truth.shape
        if len(shape) not in (4, 5) or shape[0] != len(self.groups) or shape[4:] not in ((), (3,)):
            raise ValueError(
                f"truth must have shape (n_groups, n_shown, height, width) or (..., 3), got "
                f"{shape} for {counted(len(self.groups), 'group')}"
            )
        for name, got, wanted in (
            ("prediction", self.prediction.shape, shape),
            ("error", self.error.shape, shape[:4]),
        ):
            if got != wanted:
                raise ValueError(f"{name} must have shape {wanted}, got {got}")
        if self.captions is not None and len(self.captions) != shape[1]:
            raise ValueError(f"captions must have length {shape[1]}, got {self.captions!r}")

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        *,
        sensitive_features: Any,
        image_shape: tuple[int, ...] | None = None,
        ranks: float | Sequence[float] | None = 0.5,
        sample_weight: ArrayLike | None = None,
        ax: Any = None,
        legend: bool = True,
        title: str | None = None,
    ) -> Self:
        """Pick images of each group and plot.

        Parameters
        ----------
        y_true : array-like of shape (n_samples, n_pixels) or (n_samples, height, width, ...)
            True images.

        y_pred : array-like of the shape of y_true
            Predictions of any model.

        sensitive_features : list, array, Series, DataFrame or dict of 1-D arrays
            Columns whose distinct combinations of values are the groups.

        image_shape : tuple (height, width) or (height, width, n_channels), default=None
            Shape of an image; ``None`` takes the shape that y_true has. Of four channels the last
            one, opacity, is left out.

        ranks : float, sequence of floats or None, default=0.5
            Places of the images that are shown, from 0 to 1, among the images of a group
            sorted by mean absolute error; 0.5 is the median, 1 the largest error.
            ``None`` shows the means over the group of truth, prediction and absolute error.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, >= 0, in the means. Rows of weight zero are left out.

        ax : matplotlib.axes.Axes, default=None
            Axes to draw in; ``None`` makes a figure.

        legend : bool, default=True
            As in `plot`.

        title : str, default=None
            As in `plot`.

        Returns
        -------
        display : PixelGroupDisplay
            After `plot`.

        Raises
        ------
        TypeError, ValueError
            If ``ax`` is no matplotlib Axes, shapes do not match, values are not finite, or an
            option is out of range.
        """
        display = cls.pick(
            y_true,
            y_pred,
            sensitive_features=sensitive_features,
            image_shape=image_shape,
            ranks=ranks,
            sample_weight=sample_weight,
        )
        return display.plot(ax, legend=legend, title=title)

    @classmethod
    def pick(
        cls,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        *,
        sensitive_features: Any,
        image_shape: tuple[int, ...] | None = None,
        ranks: float | Sequence[float] | None = 0.5,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Pick images of each group without plotting; needs no matplotlib.

        Parameters
        ----------
        y_true, y_pred, sensitive_features, image_shape, ranks, sample_weight : object
            As in `from_predictions`.

        Returns
        -------
        display : PixelGroupDisplay
            Not yet drawn: call `plot`.

        Raises
        ------
        ValueError
            If shapes do not match, values are not finite, or an option is out of range.
        """
        others = {"y_true": y_true, "y_pred": y_pred, "sample_weight": sample_weight}
        check_index(sensitive_features, **others)
        true, pred = (as_images(y, image_shape) for y in check_targets(y_true, y_pred))
        weights = check_weights(sample_weight, len(true))
        groups = encode_groups(sensitive_features, len(true)).subset(weights > 0)
        kept = np.flatnonzero(weights)
        true, pred, weights = true[kept], pred[kept], weights[kept]
        error = np.abs(true - pred)
        error = error.mean(axis=-1) if error.ndim == 4 else error
        captions, shown = _weights_of_images(groups, error, weights, ranks)
        picked = [np.tensordot(shown, images, axes=1) for images in (true, pred, error)]
        return cls(groups.labels, *picked, captions=captions, group_name=groups.title)

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: ArrayLike, *, sensitive_features: Any, **options: Any
    ) -> Self:
        """Predict with a fitted estimator, pick images of each group and plot.

        Parameters
        ----------
        estimator : object
            Any fitted estimator with a method ``predict``.

        X : array-like or DataFrame of shape (n_samples, n_features)
            Features to predict from.

        y : array-like of shape (n_samples, n_pixels) or (n_samples, height, width, ...)
            True images. Predictions (n_samples, n_pixels) are given the shape of y.

        sensitive_features : list, array, Series, DataFrame or dict of 1-D arrays
            Columns that define the groups, or names of columns of X.

        **options : object
            Other arguments of `from_predictions`.

        Returns
        -------
        display : PixelGroupDisplay
            After `plot`.

        Raises
        ------
        TypeError, ValueError
            If ``ax`` is no matplotlib Axes, shapes do not match, values are not finite, or an
            option is out of range.
        """
        sensitive_features = named_columns(sensitive_features, X)
        check_index(sensitive_features, X=X, y=y)
        check_numbers("y", y)
        true, pred = np.asarray(y), np.asarray(estimator.predict(X))
        if pred.shape != true.shape and pred.size == true.size:
            pred = pred.reshape(true.shape)
        return cls.from_predictions(true, pred, sensitive_features=sensitive_features, **options)

    def __repr__(self) -> str:
        groups, shown, height, width = self.error.shape
        each = f"{shown} image{'s' if shown > 1 else ''} each"
        return f"PixelGroupDisplay({counted(groups, 'group')}, {each}, {height} x {width} pixels)"

    def plot(self, ax: Any = None, *, legend: bool = True, title: str | None = None) -> Self:
        """Draw the images.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to draw in; ``None`` makes a figure, wider for more images.

        legend : bool, default=True
            If True, draw the scales of the images.

        title : str, default=None
            Above the images; ``None`` leaves the title as it is.

        Returns
        -------
        self : PixelGroupDisplay
            With ``ax_``, ``figure_`` and the artists.

        Raises
        ------
        TypeError
            If ``ax`` is no matplotlib Axes.
        """
        self.ax_ = ax = new_axes(ax, self._size())
        self.figure_ = ax.figure
        height, width = self.error.shape[2:]
        left, top = self._corners()
        self.images_ = [self._draw_row(row, left, top[row]) for row in range(3)]
        ax.set(xlim=(left[0], left[-1] + width), ylim=(top[-1] + height, 0), aspect="equal")
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        self._draw_frames(left, top)
        self._name_rows(top, cell_of(ax)[1] / 3)
        label_axes(ax, x="", y="", title=title)
        self.colorbars_ = self._draw_scales() if legend else []
        keep_within(ax)
        self._name_columns(left)
        self._caption(left)
        keep_within(ax)
        self._name_rows(top, size_of(ax)[1] / 3)
        keep_within(ax)
        return self

    def _size(self) -> tuple[float, float]:
        """Inches of a figure of its own, with room for names, captions and scales."""
        n_groups, n_shown, height, width = self.error.shape
        names = [group_label(group) for group in self.groups]
        longest = min(max(map(len, names)), max(12, 12 * n_shown))
        across = max(1.3, 0.09 * longest / n_shown, LOWEST * width / height)
        lines = 1 + max(len(name) // longest for name in names)
        down = min(across * height / width, 3.0)
        return 2.6 + n_groups * (n_shown * across + 0.15), 3 * down + 1.1 + 0.2 * lines

    def _corners(self) -> tuple[list[float], list[float]]:
        """Left edges of the columns and upper edges of the rows, in pixels of the images."""
        n_groups, n_shown, height, width = self.error.shape
        gap, wide_gap = 0.06 * width, 0.2 * width
        left = [
            g * (n_shown * (width + gap) + wide_gap) + i * (width + gap)
            for g in range(n_groups)
            for i in range(n_shown)
        ]
        return left, [row * (height + 0.06 * height) for row in range(3)]

    def _name_rows(self, top: list[float], height: float) -> None:
        """Write truth, prediction and error beside the rows, each of a height in inches."""
        names, points = fit_texts(ROWS, SIDE * cell_of(self.ax_)[0], height, (*SIZES, "xx-small"))
        middles = [y + self.error.shape[2] / 2 for y in top]
        self.ax_.set_yticks(middles, names, fontsize=points)

    def _name_columns(self, left: list[float]) -> None:
        """Write the groups above their images, upright where they are too long to lie."""
        n_shown, _, width = self.error.shape[1:]
        firsts, lasts = left[::n_shown], left[n_shown - 1 :: n_shown]
        names = [group_label(group) for group in self.groups]
        across = self._inches(left) * (lasts[0] + width - firsts[0])
        deep = ABOVE * cell_of(self.ax_)[1]
        shown, points = fit_texts(names, across, deep, SIZES[:2])
        upright = not fits_flat(names, across, SIZES[1])
        if upright:
            shown, points = fit_texts(names, deep, across, SIZES[1:])
        same = (np.positive, np.positive)  # the default is the same, but cannot be pickled
        above = self.ax_.secondary_xaxis("top", functions=same)
        centres = [(first + last + width) / 2 for first, last in zip(firsts, lasts, strict=True)]
        above.set_xticks(centres, shown, fontsize=points, rotation=90 if upright else 0)
        above.set_xlabel(self.group_name)
        above.tick_params(length=0)
        above.spines[:].set_visible(False)

    def _inches(self, left: list[float]) -> float:
        """Inches that a pixel of an image has at least."""
        height, width = self.error.shape[2:]
        across, down = size_of(self.ax_)
        return min(across / (left[-1] + width), down / (3.12 * height))  # with gaps of 0.06

    def _caption(self, left: list[float]) -> None:
        """Say below the images what they are, once where there is no room for each."""
        n_shown, width = self.error.shape[1], self.error.shape[3]
        captions = self.captions or []
        room = self._inches(left) * width
        self.ax_.set_xticks([])
        if n_shown == 1 or not fits_flat(captions, room, SIZES[1]):
            across = size_of(self.ax_)[0]
            text = wrap_text(", ".join(captions), across, SIZES[1])
            self.ax_.set_xlabel(text, fontsize=SIZES[1])
        else:
            shown, points = fit_texts(captions, room, np.inf, [SIZES[1]])
            centres = [x + width / 2 for x in left]
            self.ax_.set_xticks(centres, shown * len(self.groups), fontsize=points)

    def _draw_row(self, row: int, left: list[float], top: float) -> list[Any]:
        """Draw truth, prediction or error of all columns, on the scale of the row."""
        height, width = self.error.shape[2:]
        pictures = (self.truth, self.prediction, self.error)[row]
        flat = pictures.reshape(-1, *pictures.shape[2:])
        low, high = self._scale(row)
        if flat.ndim == 4:
            flat = (flat - low) / (high - low)
        style = {"cmap": "gray_r" if row == 2 else "gray", "vmin": low, "vmax": high}
        return [
            self.ax_.imshow(
                picture,
                extent=(x, x + width, top + height, top),
                interpolation="nearest",
                **style,
            )
            for picture, x in zip(flat, left, strict=True)
        ]

    def _draw_frames(self, left: list[float], top: list[float]) -> None:
        """Thin frames, so that a white image has an end."""
        from matplotlib.patches import Rectangle

        height, width = self.error.shape[2:]
        for x in left:
            for y in top:
                frame = Rectangle((x, y), width, height, fill=False, edgecolor="0.6", clip_on=False)
                self.ax_.add_patch(frame).set_linewidth(0.6)

    def _scale(self, row: int) -> tuple[float, float]:
        """Limits of the grey scale: common to truth and prediction; errors start at 0."""
        if row == 2:
            return 0.0, float(self.error.max()) or 1.0
        both = (self.truth, self.prediction)
        low, high = min(map(np.min, both)), max(map(np.max, both))
        return float(low), float(high if high > low else low + 1)

    def _draw_scales(self) -> list[Any]:
        """Colour bars: one for truth and prediction, one for the errors."""
        width, height = size_of(self.ax_)
        bar = 0.12 / width  # of the axes
        third = 1 / 3
        places = [(2, 0.0, 0.9 * third)]
        if self.truth.ndim == 4:
            places.insert(0, (0, 1.15 * third, 1.8 * third))
        bars = []
        for row, low, tall in places:
            cax = self.ax_.inset_axes((1 + bar, low, bar, tall))
            scale = self.figure_.colorbar(self.images_[row][0], cax=cax)
            scale.ax.tick_params(labelsize="x-small")
            room = int(0.8 * tall * height / 0.15)  # numbers that fit beside the bar
            if room > 2:
                scale.ax.locator_params(axis="y", nbins=min(room - 1, 4))
            else:
                scale.set_ticks([self._scale(row)[1]], labels=[f"{self._scale(row)[1]:.2g}"])
            bars.append(scale)
        return bars


def as_images(y: Array, image_shape: tuple[int, ...] | None) -> Array:
    """Images (n, height, width) or (n, height, width, 3); one channel and opacity are dropped."""
    shape = y.shape[1:] if image_shape is None else tuple(image_shape)
    if image_shape is None and y.ndim < 3:
        raise ValueError(
            f"image_shape=(height, width) must be given where y_true has one row of pixels a "
            f"sample, got y_true of shape {y.shape}"
        )
    if len(shape) not in (2, 3) or shape[2:] not in ((), *((k,) for k in CHANNELS)):
        raise ValueError(
            f"image_shape must be (height, width), or (height, width, n_channels) with 1, 3 or 4 "
            f"channels, got {shape}"
        )
    pixels = int(np.prod(shape))
    if pixels == 0 or y[0].size != pixels:
        raise ValueError(
            f"image_shape {shape} has {pixels} values, y_true has {y[0].size} a sample"
        )
    images = y.reshape(len(y), *shape)
    if images.ndim == 3:
        return images
    return images[..., 0] if shape[2] == 1 else images[..., :3]


def _weights_of_images(
    groups: Groups, error: Array, weights: Array, ranks: Any
) -> tuple[list[str] | None, Array]:
    """Captions, and for each group and caption the weights (n,) that make the picture shown."""
    members = [np.flatnonzero(groups.codes == code) for code in range(groups.n_groups)]
    if ranks is None:
        shown = np.zeros((len(members), 1, len(weights)))
        for row, own in zip(shown, members, strict=True):
            row[0, own] = weights[own] / weights[own].sum()
        return ["mean"], shown
    places = np.atleast_1d(np.asarray(ranks, dtype=float))
    if places.ndim != 1 or not places.size or not ((places >= 0) & (places <= 1)).all():
        raise ValueError(f"ranks must lie between 0 and 1, got {ranks!r}")
    sizes = error.reshape(len(error), -1).mean(axis=1)
    shown = np.zeros((len(members), len(places), len(weights)))
    for row, own in zip(shown, members, strict=True):
        ordered = own[np.argsort(sizes[own], kind="stable")]
        for picture, place in zip(row, places, strict=True):
            picture[ordered[round(place * (len(own) - 1))]] = 1.0
    return [_caption(place) for place in places], shown


def _caption(place: float) -> str:
    """Say where among the errors of its group an image stands."""
    named = {0.0: "smallest", 0.5: "median", 1.0: "largest"}
    return f"{named.get(float(place), f'{100 * place:.3g} % rank')} error"
