"""True values against predictions, by group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skfairloss._inputs.parameters import Check, check_parameters, integer_from, none_or
from skfairloss.displays._pairs import PairsDisplay, Predicted
from skfairloss.metrics._bootstrap import generator

_CHECKS: dict[str, Check] = {"subsample": none_or(integer_from(1))}


class GroupPredictionDisplay(PairsDisplay):
    """True value against prediction, a point for each row, by group.

    Parameters
    ----------
    groups : sequence
        Names of the groups.

    predicted : sequence of array-likes of shape (n_points,)
        Predictions, an array for each group.

    actual : sequence of array-likes of shape (n_points,)
        True values.

    group_name : str, default="group"
        What defines the groups, for the legend.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes, after `plot`.

    figure_ : matplotlib.figure.Figure
        The figure, after `plot`.

    lines_ : list of matplotlib.lines.Line2D
        The points of each group, after `plot`.

    line_ : matplotlib.lines.Line2D
        The line of predictions without error, after `plot`.

    See Also
    --------
    GroupCalibrationDisplay : The same in means of bins, with intervals.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skfairloss.displays import GroupPredictionDisplay
    >>> display = GroupPredictionDisplay.from_predictions(
    ...     [1.0, 2.0, 3.0, 4.0], [1.5, 2.0, 2.5, 4.0], sensitive_features=["a", "a", "b", "b"]
    ... )
    >>> display.ax_.get_ylabel()
    'true value'
    >>> plt.close(display.figure_)
    """

    _line = "no error"

    def __init__(
        self,
        groups: Sequence[Any],
        predicted: Sequence[ArrayLike],
        actual: Sequence[ArrayLike],
        *,
        group_name: str = "group",
    ) -> None:
        super().__init__(groups, predicted, actual, ("predicted", "actual"), group_name)
        self.predicted, self.actual = self._x, self._y

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        *,
        sensitive_features: Any,
        sample_weight: ArrayLike | None = None,
        subsample: int | None = 1000,
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
        ax: Any = None,
        legend: bool = True,
        title: str | None = None,
    ) -> Self:
        """Plot predictions.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,) or (n_samples, ...)
            True values. Several outputs of a row are as many points.

        y_pred : array-like of the shape of y_true
            Predictions of any model.

        sensitive_features : list, array, Series, DataFrame or dict of 1-D arrays
            What defines the groups: the distinct combinations of the columns.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, >= 0. Those of weight zero are left out, others are drawn for a
            subsample in proportion to their weight.

        subsample : int, default=1000
            Number of points of a group, at most; ``None`` draws all.

        random_state : int, RandomState, Generator or None, default=None
            Chooses the points.

        ax : matplotlib.axes.Axes, default=None
            Where to draw; ``None`` makes a figure.

        legend : bool, default=True
            As in `plot`.

        title : str, default=None
            As in `plot`.

        Returns
        -------
        display : GroupPredictionDisplay
            After `plot`.

        Raises
        ------
        TypeError, ValueError
            If ``ax`` is no matplotlib Axes, shapes do not match, values are not finite, or an
            option is out of range.
        """
        check_parameters(None, {"subsample": subsample}, _CHECKS)
        read, rng = Predicted.read(y_true, y_pred, sensitive_features, sample_weight), None
        predicted, actual = [], []
        for true, pred, weights in read.parts:
            shown: Any = slice(None)
            if subsample is not None and len(true) > subsample:
                rng = generator(random_state) if rng is None else rng
                shares = weights / weights.sum()
                shown = np.sort(rng.choice(len(true), int(subsample), replace=False, p=shares))
            predicted.append(pred[shown])
            actual.append(true[shown])
        display = cls(read.groups, predicted, actual, group_name=read.group_name)
        return display.plot(ax, legend=legend, title=title)

    def plot(self, ax: Any = None, *, legend: bool = True, title: str | None = None) -> Self:
        """Draw the points of each group and the line of predictions without error.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; ``None`` makes a figure.

        legend : bool, default=True
            Whether to name the groups, above the points and inside the axes.

        title : str, default=None
            Above the axes; ``None`` leaves the title as it is.

        Returns
        -------
        self : GroupPredictionDisplay
            With ``ax_``, ``figure_`` and the artists.

        Raises
        ------
        TypeError
            If ``ax`` is no matplotlib Axes.
        """
        style = {"linestyle": "none", "markersize": 3.5, "alpha": 0.6}
        self._draw(ax, legend, title, ("prediction", "true value"), style)
        return self
