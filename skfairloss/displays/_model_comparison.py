"""A forest plot: models by group, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skfairloss._inputs.groups import counted
from skfairloss.displays._layout import keep_within, label_axes, space_ticks
from skfairloss.displays._rows import explain_rows, name_rows, row_name
from skfairloss.displays._style import (
    ALL_ROWS,
    group_label,
    new_axes,
    numbers,
    numbers_or_none,
    series_style,
)
from skfairloss.metrics._named import metric_title

SPREAD = 0.5  # of the distance of two rows, which the models of one row share


class ModelComparisonDisplay:
    """A metric of models, or how it differs from that of a reference, with intervals, by group.

    All rows and the groups are on the vertical axis, with their numbers of rows; the models of a
    row are below one another. Differences have a line at 0, where a model is like the reference.

    Parameters
    ----------
    rows : sequence of str
        Names of the rows, from top to bottom, such as "all rows" and the groups.

    models : sequence of str
        Names of the models.

    values : array-like of shape (n_rows, n_models)
        The metric of each model, or its difference from that of the reference.

    lower : array-like of shape (n_rows, n_models), default=None
        Lower ends of the intervals; NaN for none.

    upper : array-like of shape (n_rows, n_models), default=None
        Upper ends; goes with ``lower``.

    counts : array-like of shape (n_rows,), default=None
        Numbers of rows; NaN for none.

    reference : str, default=None
        The model that the others are compared with; ``None`` where values are no differences.

    metric : str, default="mae"
        Name of the metric, for the axis.

    group_name : str, default="group"
        What defines the groups, for the other axis.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes, after `plot`.

    figure_ : matplotlib.figure.Figure
        The figure, after `plot`.

    points_ : list of matplotlib.container.ErrorbarContainer
        Points and intervals of each model, after `plot`.

    zero_line_ : matplotlib.lines.Line2D or None
        The line at 0, after `plot`; None where values are no differences.

    See Also
    --------
    skfairloss.compare_models : Makes the numbers.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skfairloss.displays import ModelComparisonDisplay
    >>> display = ModelComparisonDisplay(
    ...     ["all rows", "bright", "dark"],
    ...     ["boosting"],
    ...     [[-0.1], [-0.2], [0.1]],
    ...     lower=[[-0.2], [-0.3], [-0.1]],
    ...     upper=[[0.0], [-0.1], [0.3]],
    ...     reference="L2",
    ... )
    >>> display = display.plot()
    >>> display.ax_.get_xlabel()
    'MAE: boosting minus L2'
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        rows: Sequence[str],
        models: Sequence[str],
        values: ArrayLike,
        *,
        lower: ArrayLike | None = None,
        upper: ArrayLike | None = None,
        counts: ArrayLike | None = None,
        reference: str | None = None,
        metric: str = "mae",
        group_name: str = "group",
    ) -> None:
        self.rows, self.models = list(rows), list(models)
        shape = (len(self.rows), len(self.models))
        self.values = numbers(values, shape, "values")
        self.lower = numbers_or_none(lower, shape, "lower")
        self.upper = numbers_or_none(upper, shape, "upper")
        if (lower is None) != (upper is None):
            raise ValueError("lower and upper must be given together")
        self.counts = numbers_or_none(counts, shape[:1], "counts")
        self.reference = reference
        self.metric = metric
        self.group_name = group_name

    def __repr__(self) -> str:
        shown = f"{self.metric!r} of {counted(len(self.models), 'model')}"
        return f"ModelComparisonDisplay({shown}, {counted(len(self.rows), 'row')})"

    def plot(self, ax: Any = None, *, legend: bool = True, title: str | None = None) -> Self:
        """Draw the points, the intervals and the line at 0.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; ``None`` makes a figure, taller for more groups and models.

        legend : bool, default=True
            Whether to name the models, above the points and inside the axes.

        title : str, default=None
            Above the axes; ``None`` leaves the title as it is.

        Returns
        -------
        self : ModelComparisonDisplay
            With ``ax_``, ``figure_`` and the artists.

        Raises
        ------
        TypeError
            If ``ax`` is no matplotlib Axes.
        """
        names = [self._label(i) for i in range(len(self.rows))]
        height = sum(max(len(name) // 30 + 1.6, 0.9 * len(self.models)) for name in names)
        self.ax_ = ax = new_axes(ax, (6.4, 1.5 + 0.19 * height))
        self.figure_ = ax.figure
        n = len(names)
        self.zero_line_ = None
        if self.reference is not None:
            style = ALL_ROWS | {"linestyle": "--", "linewidth": 1.2}
            (self.zero_line_,) = ax.plot([0.0, 0.0], [-0.5, n - 0.5], **style)
        self.points_ = [self._draw(j) for j in range(len(self.models))]
        ax.grid(axis="x", color="0.9")
        ax.set_axisbelow(True)
        ax.set_ylim(n - 0.5, -0.5)
        name_rows(ax, names, 1.0)
        label_axes(ax, x=self._axis(), y=self.group_name, title=title)
        space_ticks(ax)
        share = explain_rows(ax, n) if legend else 0.0
        name_rows(ax, names, 1 - share)
        keep_within(ax)
        return self

    def _axis(self) -> str:
        """Return what the horizontal axis is called."""
        title = metric_title(self.metric)
        if self.reference is None:
            return title
        model = self.models[0] if len(self.models) == 1 else "model"
        return f"{title}: {model} minus {self.reference}"

    def _draw(self, j: int) -> Any:
        """Draw a model: a point with its interval in each row."""
        n_rows, n_models = self.values.shape
        offset = 0.0 if n_models == 1 else SPREAD * (j / (n_models - 1) - 0.5)
        limits = None
        if self.lower is not None and self.upper is not None:
            ends = np.stack([self.values - self.lower, self.upper - self.values])
            limits = np.clip(ends[:, :, j], 0, None)
        style = series_style(j)
        return self.ax_.errorbar(
            self.values[:, j],
            np.arange(n_rows) + offset,
            xerr=limits,
            fmt=style["marker"],
            color=style["color"],
            markersize=6,
            capsize=3,
            label=group_label(self.models[j]),
        )

    def _label(self, i: int) -> str:
        """Return the name of a row with its number of rows."""
        count = np.nan if self.counts is None else self.counts[i]
        return row_name(group_label(self.rows[i]), count if np.isfinite(count) else None)
