"""Calibration by group: mean of y against mean prediction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student

from skfairloss._inputs.parameters import BETWEEN_0_AND_1, Check, check_parameters, integer_from
from skfairloss._typing import Array
from skfairloss.displays._pairs import PairsDisplay, Predicted, weighted_quantiles
from skfairloss.displays._style import numbers
from skfairloss.metrics._intervals import FEWEST_ROWS

_CHECKS: dict[str, Check] = {"n_bins": integer_from(1), "confidence_level": BETWEEN_0_AND_1}


class GroupCalibrationDisplay(PairsDisplay):
    """Mean of y against mean prediction, by bins of the prediction within each group.

    On the line the mean of y equals the mean prediction. Above it the predictions are too low.

    Parameters
    ----------
    groups : sequence
        Names of the groups.

    predicted : sequence of array-likes of shape (n_bins,)
        Mean prediction of each bin, an array for each group.

    actual : sequence of array-likes of shape (n_bins,)
        Mean of y of each bin.

    margins : sequence of array-likes of shape (n_bins,), default=None
        Half widths of intervals around ``actual``; NaN for none.

    group_name : str, default="group"
        What defines the groups, for the legend.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes, after `plot`.

    figure_ : matplotlib.figure.Figure
        The figure, after `plot`.

    lines_ : list of matplotlib.lines.Line2D
        The line of each group, after `plot`.

    line_ : matplotlib.lines.Line2D
        The line on which both means are equal, after `plot`.

    See Also
    --------
    GroupResidualDisplay : All residuals of each group.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from skfairloss.displays import GroupCalibrationDisplay
    >>> y_pred = np.linspace(0, 1, 100)
    >>> group = np.repeat(["a", "b"], 50)
    >>> display = GroupCalibrationDisplay.from_predictions(
    ...     y_pred + 0.1, y_pred, sensitive_features=group, n_bins=2
    ... )
    >>> [(line.get_ydata() - line.get_xdata()).round(3).tolist() for line in display.lines_]
    [[0.1, 0.1], [0.1, 0.1]]
    >>> plt.close(display.figure_)
    """

    _line = "mean of y = prediction"

    def __init__(
        self,
        groups: Sequence[Any],
        predicted: Sequence[ArrayLike],
        actual: Sequence[ArrayLike],
        *,
        margins: Sequence[ArrayLike] | None = None,
        group_name: str = "group",
    ) -> None:
        super().__init__(groups, predicted, actual, ("predicted", "actual"), group_name)
        self.predicted, self.actual = self._x, self._y
        self.margins = margins
        if margins is not None:
            self.margins = [
                numbers(own, across.shape, "margins")
                for own, across in zip(margins, self._x, strict=True)
            ]

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        *,
        sensitive_features: Any,
        sample_weight: ArrayLike | None = None,
        n_bins: int = 10,
        confidence_level: float = 0.95,
        ax: Any = None,
        legend: bool = True,
        title: str | None = None,
    ) -> Self:
        """Bin predictions within each group and plot.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,) or (n_samples, ...)
            True values. Several outputs of a row count as as many rows.

        y_pred : array-like of the shape of y_true
            Predictions of any model.

        sensitive_features : list, array, Series, DataFrame or dict of 1-D arrays
            What defines the groups: the distinct combinations of the columns.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, >= 0.

        n_bins : int, default=10
            Bins of equal weight in each group; fewer where a group would have less than 10 rows a
            bin, or predictions are equal.

        confidence_level : float, default=0.95
            Of the intervals for the mean of y at given predictions, by Student's t of the
            residuals of a bin, each by itself.

        ax : matplotlib.axes.Axes, default=None
            Where to draw; ``None`` makes a figure.

        legend : bool, default=True
            As in `plot`.

        title : str, default=None
            As in `plot`.

        Returns
        -------
        display : GroupCalibrationDisplay
            After `plot`.

        Raises
        ------
        TypeError, ValueError
            If ``ax`` is no matplotlib Axes, shapes do not match, values are not finite, or an
            option is out of range.
        """
        check_parameters(None, {"n_bins": n_bins, "confidence_level": confidence_level}, _CHECKS)
        read = Predicted.read(y_true, y_pred, sensitive_features, sample_weight)
        found = [_bins(*part, int(n_bins), confidence_level) for part in read.parts]
        predicted, actual, margins = (list(each) for each in zip(*found, strict=True))
        display = cls(read.groups, predicted, actual, margins=margins, group_name=read.group_name)
        return display.plot(ax, legend=legend, title=title)

    def plot(self, ax: Any = None, *, legend: bool = True, title: str | None = None) -> Self:
        """Draw a line with intervals for each group, and the one of equal means.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; ``None`` makes a figure.

        legend : bool, default=True
            Whether to name the lines, above them and inside the axes.

        title : str, default=None
            Above the axes; ``None`` leaves the title as it is.

        Returns
        -------
        self : GroupCalibrationDisplay
            With ``ax_``, ``figure_`` and the artists.

        Raises
        ------
        TypeError
            If ``ax`` is no matplotlib Axes.
        """
        self._draw(ax, legend, title, ("mean prediction", "mean of y"), {"markersize": 5})
        return self

    def _draw_more(self, j: int, colour: str) -> None:
        """Draw the intervals."""
        if self.margins is not None:
            at = self._x[j], self._y[j], np.asarray(self.margins[j])
            self.ax_.errorbar(*at, fmt="none", ecolor=colour, capsize=2, linewidth=1)


def _bins(
    y_true: Array, y_pred: Array, weights: Array, n_bins: int, level: float
) -> tuple[Array, Array, Array]:
    """Return mean predictions, means of y and half widths of intervals, (n_bins,) each."""
    number = max(1, min(n_bins, len(y_pred) // FEWEST_ROWS))
    edges = weighted_quantiles(y_pred, weights, np.arange(1, number) / number)
    _, codes = np.unique(np.searchsorted(np.unique(edges), y_pred), return_inverse=True)
    total = np.bincount(codes, weights)
    residual = y_true - y_pred

    def means(values: Array) -> Array:
        return np.bincount(codes, weights * values) / total

    off = means(residual)
    rows = total**2 / np.bincount(codes, weights**2)
    freedom = np.maximum(rows - 1, 1)
    error = np.sqrt(means((residual - off[codes]) ** 2) / freedom)
    margins = student.ppf(0.5 + 0.5 * level, freedom) * error
    margins[np.bincount(codes) < FEWEST_ROWS] = np.nan
    predicted = means(y_pred)
    return predicted, predicted + off, margins
