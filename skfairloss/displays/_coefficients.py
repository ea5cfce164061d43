"""Coefficients with intervals, beside 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skfairloss._inputs.groups import counted
from skfairloss.displays._layout import keep_within, label_axes, space_ticks
from skfairloss.displays._rows import explain_rows, height_of_rows, name_rows
from skfairloss.displays._style import ALL_ROWS, COLOURS, group_label, new_axes, numbers


class CoefficientDisplay:
    """Coefficients of one output with their intervals, beside a line at 0.

    Features are on the vertical axis. Points are hollow where the interval contains 0.

    Parameters
    ----------
    features : sequence of str
        Names of the features, from top to bottom.

    values : array-like of shape (n_features,)
        Coefficients.

    lower : array-like of shape (n_features,)
        Lower ends of the intervals.

    upper : array-like of shape (n_features,)
        Upper ends.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes, after `plot`.

    figure_ : matplotlib.figure.Figure
        The figure, after `plot`.

    points_ : list of matplotlib.container.ErrorbarContainer
        Point and interval of each feature, after `plot`.

    zero_line_ : matplotlib.lines.Line2D
        The line at 0, after `plot`.

    See Also
    --------
    skfairloss.coefficient_report : The same numbers as a table.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skfairloss.displays import CoefficientDisplay
    >>> display = CoefficientDisplay(
    ...     ["age", "income"], [0.2, -0.4], lower=[-0.1, -0.5], upper=[0.5, -0.3]
    ... ).plot()
    >>> display.ax_.get_xlabel()
    'coefficient'
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        features: Sequence[str],
        values: ArrayLike,
        *,
        lower: ArrayLike,
        upper: ArrayLike,
    ) -> None:
        self.features = list(features)
        shape = (len(self.features),)
        self.values = numbers(values, shape, "values")
        self.lower = numbers(lower, shape, "lower")
        self.upper = numbers(upper, shape, "upper")

    def __repr__(self) -> str:
        return f"CoefficientDisplay({counted(len(self.features), 'coefficient')})"

    def plot(self, ax: Any = None, *, legend: bool = True, title: str | None = None) -> Self:
        """Draw the points, the intervals and the line at 0.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; ``None`` makes a figure, taller for more features.

        legend : bool, default=True
            Whether to explain the marks, above the points and inside the axes.

        title : str, default=None
            Above the axes; ``None`` leaves the title as it is.

        Returns
        -------
        self : CoefficientDisplay
            With ``ax_``, ``figure_`` and the artists.

        Raises
        ------
        TypeError
            If ``ax`` is no matplotlib Axes.
        """
        names = [group_label(name) for name in self.features]
        self.ax_ = ax = new_axes(ax, (6.4, height_of_rows(names)))
        self.figure_ = ax.figure
        style = ALL_ROWS | {"linestyle": "--", "linewidth": 1.4}
        ends = (-0.5, len(names) - 0.5)  # not through the legend
        (self.zero_line_,) = ax.plot([0.0, 0.0], ends, **style)
        self.points_ = [self._draw(i) for i in range(len(names))]
        ax.grid(axis="x", color="0.9")
        ax.set_axisbelow(True)
        ax.set_ylim(len(names) - 0.5, -0.5)
        name_rows(ax, names, 1.0)
        label_axes(ax, x="coefficient", y="feature", title=title)
        space_ticks(ax)
        share = explain_rows(ax, len(names)) if legend else 0.0
        name_rows(ax, names, 1 - share)
        keep_within(ax)
        return self

    def _draw(self, i: int) -> Any:
        """Draw one point with its interval."""
        value, lower, upper = self.values[i], self.lower[i], self.upper[i]
        contains = bool(lower <= 0 <= upper)
        return self.ax_.errorbar(
            value,
            i,
            xerr=np.clip([value - lower, upper - value], 0, None)[:, None],
            fmt="o",
            color=COLOURS[0],
            markerfacecolor="white" if contains else COLOURS[0],
            markersize=7,
            capsize=3,
            label="interval contains 0" if contains else "interval without 0",
        )
