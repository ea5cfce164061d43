"""A metric by group, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from skfairloss._inputs.columns import named_columns
from skfairloss._inputs.groups import check_index, counted
from skfairloss._inputs.validation import check_numbers
from skfairloss.displays._layout import keep_within, label_axes, space_ticks
from skfairloss.displays._rows import explain_rows, height_of_rows, name_rows, row_name
from skfairloss.displays._style import (
    ALL_ROWS,
    COLOURS,
    FEW_ROWS,
    group_label,
    new_axes,
    numbers,
    numbers_or_none,
    select,
)
from skfairloss.metrics._estimates import group_estimates
from skfairloss.metrics._named import label_metric, metric_title
from skfairloss.metrics._row_metrics import Metric


class GroupLossDisplay:
    """A metric of each group, with intervals, beside that of all rows.

    Groups are on the vertical axis, so that long names have room; names too long for it lose their
    middle. Groups of fewer than 30 rows have hollow points.

    Parameters
    ----------
    groups : sequence
        Names of the groups, from top to bottom; a tuple is shown with commas.

    values : array-like of shape (n_groups,)
        The metric of each group.

    lower : array-like of shape (n_groups,), default=None
        Lower ends of the intervals; NaN for none.

    upper : array-like of shape (n_groups,), default=None
        Upper ends; goes with ``lower``.

    overall : float, default=None
        The metric of all rows.

    counts : array-like of shape (n_groups,), default=None
        Numbers of rows.

    metric : str, default="mae"
        Name of the metric, for the axis.

    group_name : str, default="group"
        Name of the attribute that defines the groups, for the other axis.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes, after `plot`.

    figure_ : matplotlib.figure.Figure
        The figure, after `plot`.

    points_ : list of matplotlib.container.ErrorbarContainer
        Point and interval of each group, after `plot`.

    overall_line_ : matplotlib.lines.Line2D or None
        The line of all rows, after `plot`.

    See Also
    --------
    skfairloss.group_report : The same numbers as tables.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skfairloss.displays import GroupLossDisplay
    >>> display = GroupLossDisplay(
    ...     ["bright", "dark"], [0.2, 0.4], lower=[0.18, 0.3], upper=[0.22, 0.5], overall=0.27
    ... )
    >>> display = display.plot()
    >>> display.ax_.get_xlabel()
    'MAE'
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        groups: Sequence[Any],
        values: ArrayLike,
        *,
        lower: ArrayLike | None = None,
        upper: ArrayLike | None = None,
        overall: float | None = None,
        counts: ArrayLike | None = None,
        metric: str = "mae",
        group_name: str = "group",
    ) -> None:
        self.groups = list(groups)
        n = len(self.groups)
        self.values = numbers(values, (n,), "values")
        self.lower = numbers_or_none(lower, (n,), "lower")
        self.upper = numbers_or_none(upper, (n,), "upper")
        if (lower is None) != (upper is None):
            raise ValueError("lower and upper must be given together")
        self.overall = overall
        self.counts = numbers_or_none(counts, (n,), "counts")
        self.metric = metric
        self.group_name = group_name

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        *,
        sensitive_features: Any,
        sample_weight: ArrayLike | None = None,
        metric: str | Metric = "mae",
        n_boot: int | None = 1000,
        confidence_level: float = 0.95,
        clusters: Any = None,
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
        ax: Any = None,
        legend: bool = True,
        title: str | None = None,
    ) -> Self:
        """Evaluate predictions and plot.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,) or (n_samples, ...)
            True values: one number, a row of outputs or an image for each sample.

        y_pred : array-like of the shape of y_true
            Predictions of any model.

        sensitive_features : list, array, Series, DataFrame or dict of 1-D arrays
            Columns whose distinct combinations of values are the groups.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, >= 0.

        metric : str or callable, default="mae"
            One metric, as in `skfairloss.metrics.group_metric_frame`.

        n_boot : int, default=1000
            Number of bootstrap samples; ``None`` for no intervals.

        confidence_level : float, default=0.95
            Confidence level of the intervals, which hold for each group by itself.

        clusters : array-like of shape (n_samples,), default=None
            Rows with the same value belong together, such as those of a person or a school:
            intervals are between clusters.
            ``None`` takes rows as independent.

        random_state : int, RandomState, Generator or None, default=None
            Random numbers for the bootstrap samples.

        ax : matplotlib.axes.Axes, default=None
            Axes to draw in; ``None`` makes a figure.

        legend : bool, default=True
            As in `plot`.

        title : str, default=None
            As in `plot`.

        Returns
        -------
        display : GroupLossDisplay
            After `plot`.

        Raises
        ------
        TypeError, ValueError
            If ``ax`` is no matplotlib Axes, shapes do not match, values are not finite, or an
            option is out of range.
        """
        estimates = group_estimates(
            y_true,
            y_pred,
            sensitive_features=sensitive_features,
            sample_weight=sample_weight,
            metrics=label_metric(metric),
            n_boot=n_boot,
            confidence_level=confidence_level,
            random_state=random_state,
            clusters=clusters,
        )
        display = cls.from_frame(estimates.to_frame(), group_name=estimates.group_name)
        return display.plot(ax, legend=legend, title=title)

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: ArrayLike, *, sensitive_features: Any, **options: Any
    ) -> Self:
        """Predict with a fitted estimator, evaluate and plot.

        Parameters
        ----------
        estimator : object
            Any fitted estimator with a method ``predict``.

        X : array-like or DataFrame of shape (n_samples, n_features)
            Features to predict from.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            True values.

        sensitive_features : list, array, Series, DataFrame or dict of 1-D arrays
            Columns that define the groups, or names of columns of X.

        **options : object
            Other arguments of `from_predictions`.

        Returns
        -------
        display : GroupLossDisplay
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
        y_pred = estimator.predict(X)
        return cls.from_predictions(y, y_pred, sensitive_features=sensitive_features, **options)

    @classmethod
    def from_frame(
        cls, frame: pd.DataFrame, *, metric: str | None = None, group_name: str = "group"
    ) -> Self:
        """Take one metric from a tidy table, as `skfairloss.report.GroupReport.to_frame` has it.

        Parameters
        ----------
        frame : pandas.DataFrame
            With the columns "statistic" (rows "by_group" and "overall" are read), "group",
            "metric", "value", and, if there are any, "lower", "upper" and "count".

        metric : str, default=None
            Name of the metric; it may be left out if the table has only one.

        group_name : str, default="group"
            Name of the attribute that defines the groups, for the axis.

        Returns
        -------
        display : GroupLossDisplay
            Not yet drawn: call `plot`.

        Raises
        ------
        TypeError, ValueError
            If ``frame`` is no pandas DataFrame, a column is missing, or a row occurs twice.
        """
        frame, metric = select(frame, metric, ["statistic", "group", "metric", "value"])
        rows = frame[frame["statistic"] == "by_group"]
        overall = frame.loc[frame["statistic"] == "overall", "value"]
        if rows["group"].duplicated().any() or len(overall) > 1:
            raise ValueError("frame has several rows of one group and metric")
        known = "lower" in frame and bool(rows["lower"].notna().any())
        return cls(
            list(rows["group"]),
            rows["value"],
            lower=rows["lower"] if known else None,
            upper=rows["upper"] if known else None,
            overall=float(overall.iloc[0]) if len(overall) else None,
            counts=rows["count"] if "count" in frame else None,
            metric=metric,
            group_name=group_name,
        )

    def __repr__(self) -> str:
        return f"GroupLossDisplay({self.metric!r} of {counted(len(self.groups), 'group')})"

    def plot(self, ax: Any = None, *, legend: bool = True, title: str | None = None) -> Self:
        """Draw the points, the intervals and the line of all rows.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to draw in; ``None`` makes a figure, taller for more groups.

        legend : bool, default=True
            If True, explain the marks, above the points and inside the axes.

        title : str, default=None
            Above the axes; ``None`` leaves the title as it is.

        Returns
        -------
        self : GroupLossDisplay
            With ``ax_``, ``figure_`` and the artists.

        Raises
        ------
        TypeError
            If ``ax`` is no matplotlib Axes.
        """
        names = [self._label(i) for i in range(len(self.groups))]
        self.ax_ = ax = new_axes(ax, (6.4, height_of_rows(names)))
        self.figure_ = ax.figure
        self.overall_line_ = None
        if self.overall is not None:
            style = ALL_ROWS | {"linestyle": "--", "linewidth": 1.4, "label": "all rows"}
            ends = (-0.5, len(names) - 0.5)  # not through the legend
            (self.overall_line_,) = ax.plot([self.overall] * 2, ends, **style)
        self.points_ = [self._draw(i) for i in range(len(self.groups))]
        ax.grid(axis="x", color="0.9")
        ax.set_axisbelow(True)
        ax.set_ylim(len(names) - 0.5, -0.5)
        name_rows(ax, names, 1.0)
        label_axes(ax, x=metric_title(self.metric), y=self.group_name, title=title)
        space_ticks(ax)
        share = explain_rows(ax, len(names)) if legend else 0.0
        name_rows(ax, names, 1 - share)
        keep_within(ax)
        return self

    def _draw(self, i: int) -> Any:
        """One point with its interval."""
        limits = None
        if self.lower is not None and self.upper is not None and np.isfinite(self.lower[i]):
            ends = (self.values[i] - self.lower[i], self.upper[i] - self.values[i])
            limits = np.clip(ends, 0, None)[:, None]
        few = self._has_few(i)
        name = "group" if self.lower is None else "group and interval"
        return self.ax_.errorbar(
            self.values[i],
            i,
            xerr=limits,
            fmt="o",
            color=COLOURS[0],
            markerfacecolor="white" if few else COLOURS[0],
            markersize=7,
            capsize=3,
            label=f"fewer than {FEW_ROWS} rows" if few else name,
        )

    def _has_few(self, i: int) -> bool:
        """Tell whether a group is too small for its interval to be relied on."""
        return self.counts is not None and bool(self.counts[i] < FEW_ROWS)

    def _label(self, i: int) -> str:
        """Name and number of rows of a group."""
        return row_name(
            group_label(self.groups[i]), None if self.counts is None else self.counts[i]
        )
