"""Metrics by group with intervals, as tables, text, HTML and plots."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pandas as pd
from fairlearn.metrics import MetricFrame
from numpy.typing import ArrayLike

from skfairloss.displays import GroupLossDisplay, PixelGroupDisplay
from skfairloss.displays._style import FEW_ROWS
from skfairloss.metrics._estimates import GroupEstimates, group_estimates
from skfairloss.metrics._named import Metrics
from skfairloss.report._html import to_html
from skfairloss.report._table import Table, make_table
from skfairloss.report._text import to_text

RANKS = (0.5, 0.95)  # the images shown of each group: a usual and a large error


def group_report(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    sensitive_features: Any,
    sample_weight: ArrayLike | None = None,
    metrics: Metrics | None = None,
    method: str = "between_groups",
    n_boot: int | None = 1000,
    confidence_level: float = 0.95,
    random_state: int | np.random.RandomState | np.random.Generator | None = None,
    image_shape: tuple[int, ...] | None = None,
) -> GroupReport:
    """Evaluate predictions of any model overall and by group, with confidence intervals.

    The values are those of `skfairloss.metrics.group_metric_frame`, a fairlearn MetricFrame that
    the report contains.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, ...)
        True values: one number, a row of outputs or an image for each sample.

    y_pred : array-like of the shape of y_true
        Predictions.

    sensitive_features : list, array, Series, DataFrame or dict of 1-D arrays
        Columns whose distinct combinations of values are the groups.

    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows, >= 0. Rows of weight zero are left out, also from the count.

    metrics : str, callable, or list or dict of these, default=None
        Names of metrics or functions, as in `skfairloss.metrics.group_metric_frame`; a dict has
        labels as keys. ``None`` takes count, mae, mse, rmse, mean_residual, mean_prediction and
        r2.

    method : {"between_groups", "to_overall"}, default="between_groups"
        Compare groups with one another or with all rows.

    n_boot : int, default=1000
        Number of bootstrap samples; ``None`` for no intervals. Named metrics are computed for
        many samples together; any other function is called for each sample and group, which
        takes as long as that.

    confidence_level : float, default=0.95
        Confidence level of the intervals, in (0, 1).

    random_state : int, RandomState, Generator or None, default=None
        Random numbers for the bootstrap samples.

    image_shape : tuple (height, width) or (height, width, n_channels), default=None
        Shape of an image where samples are images, as rows of pixels or as arrays. The report
        then shows the image with the median error of each group, and the one at 95 %.

    Returns
    -------
    report : GroupReport
        Tables ``by_group``, ``overall``, ``difference``, ``ratio`` and their intervals,
        ``to_frame()``, ``plot()``; readable in a terminal and in a notebook.

    Raises
    ------
    TypeError
        If ``metrics`` is not as described above, a function cannot be called as
        ``metric(y_true, y_pred)``, or a metric does not return one number.

    ValueError
        If shapes or lengths do not match, values are missing or not finite, the index of a
        pandas sensitive_features differs from that of another pandas argument, a name of a metric
        is unknown, "mape" meets a y_true of 0, or an option is out of range.

    See Also
    --------
    skfairloss.metrics.group_metric_frame : The MetricFrame alone, also with control features.
    skfairloss.displays.GroupLossDisplay : One metric, drawn.

    Notes
    -----
    Rows are drawn with replacement within each group, so that the groups keep their sizes. The
    intervals are for rows drawn like these, not for another model or training set. They treat
    rows as independent: neighbours in space or time, or several rows of one person, make them too
    narrow.

    - by group and overall: the quantiles (1 ± confidence_level) / 2 of the samples, for each group
      by itself. Groups of fewer than 30 rows are flagged; their intervals tend to be too narrow. A
      group of one row has none.
    - difference: the quantiles of the samples would never reach 0, even where all groups are
      alike, because the largest of several differences is never negative. Instead each difference
      d between two groups (with ``method="to_overall"``, from all rows) has the interval
      d ± q·sd(d*), where q is the quantile of the largest abs(d* - d) / sd(d*), so that all hold
      at once; the largest difference lies between the largest lower and the largest upper end. An
      interval that begins at 0 means: no difference detected.
    - ratio: the same of logarithms, where all values are positive; NaN elsewhere, and for
      mean_residual, bias and r2, whose ratio has no meaning.

    Examples
    --------
    >>> from skfairloss import group_report
    >>> report = group_report(
    ...     [0.3, 0.3, 0.9, 0.9, 0.9, 0.9],
    ...     [0.7, 0.6, 0.7, 0.7, 0.7, 0.6],
    ...     sensitive_features=["dark", "dark", "bright", "bright", "bright", "bright"],
    ...     random_state=0,
    ... )
    >>> report.by_group[["count", "mae", "mean_residual"]].round(3)
                         count    mae  mean_residual
    sensitive_feature_0
    bright                 4.0  0.225          0.225
    dark                   2.0  0.350         -0.350
    >>> float(report.difference["mae"].round(3))
    0.125
    >>> report.small_groups
    ['bright', 'dark']
    >>> table = report.to_frame()
    >>> table.loc[table["metric"] == "mae", ["group", "value", "lower", "upper"]].round(3)
        group  value  lower  upper
    0  bright  0.225  0.200  0.275
    1    dark  0.350  0.300  0.400
    2    None  0.267  0.233  0.300
    3    None  0.125  0.050  0.200
    4    None  0.643  0.496  0.833
    """
    estimates = group_estimates(
        y_true,
        y_pred,
        sensitive_features=sensitive_features,
        sample_weight=sample_weight,
        metrics=metrics,
        method=method,
        n_boot=n_boot,
        confidence_level=confidence_level,
        random_state=random_state,
    )
    images = None
    if image_shape is not None:
        images = PixelGroupDisplay.pick(
            y_true,
            y_pred,
            sensitive_features=sensitive_features,
            image_shape=image_shape,
            ranks=RANKS,
            sample_weight=sample_weight,
        )
    return GroupReport(estimates, n_boot=n_boot, confidence_level=confidence_level, images=images)


class GroupReport:
    """Metrics overall and by group with confidence intervals; made by `group_report`.

    Parameters
    ----------
    estimates : GroupEstimates
        Estimates that the report shows, as `group_report` computes them.

    n_boot : int or None
        Number of bootstrap samples; None without intervals.

    confidence_level : float
        Confidence level of the intervals.

    images : PixelGroupDisplay, default=None
        Images of each group.

    Attributes
    ----------
    metric_frame : fairlearn.metrics.MetricFrame
        The MetricFrame with the values.

    by_group : DataFrame of shape (n_groups, n_metrics)
        Metrics of each group, as in ``metric_frame.by_group``.

    overall : Series of shape (n_metrics,)
        Metrics of all rows.

    difference : Series of shape (n_metrics,)
        As ``metric_frame.difference(method=...)``: largest minus smallest group, or largest
        distance of a group from all rows.

    ratio : Series of shape (n_metrics,)
        As ``metric_frame.ratio(method=...)``: smallest over largest group, or the like with all
        rows. Without meaning for mean_residual, bias and r2 and where values are not positive,
        and left out of `to_frame` there.

    by_group_ci : list of two DataFrames of shape (n_groups, n_metrics)
        Lower and upper limits of ``by_group``; NaN without an interval.

    overall_ci : list of two Series of shape (n_metrics,)
        Lower and upper limits of ``overall``.

    difference_ci : list of two Series of shape (n_metrics,)
        Lower and upper limits of ``difference``.

    ratio_ci : list of two Series of shape (n_metrics,)
        Lower and upper limits of ``ratio``.

    small_groups : list
        Names of the groups of fewer than 30 rows.

    Examples
    --------
    >>> from skfairloss import group_report
    >>> report = group_report(
    ...     [1.0, 2.0, 3.0, 4.0],
    ...     [1.5, 1.5, 3.5, 5.0],
    ...     sensitive_features=["a", "a", "b", "b"],
    ...     metrics=["mae", "medae"],
    ...     n_boot=None,
    ... )
    >>> report
    GroupReport: 4 rows, 2 groups
    <BLANKLINE>
                    n    MAE  median absolute error
    a *             2  0.500                  0.500
    b *             2  0.750                  0.750
    all rows        4  0.625                  0.500
    difference         0.250                  0.250
    ratio              0.667                  0.667
    <BLANKLINE>
    residual = true - predicted; difference and ratio: between groups
    * fewer than 30 rows
    """

    def __init__(
        self,
        estimates: GroupEstimates,
        *,
        n_boot: int | None,
        confidence_level: float,
        images: PixelGroupDisplay | None = None,
    ) -> None:
        self._estimates = estimates
        self.n_boot = n_boot
        self.confidence_level = confidence_level
        self.images = images

    @property
    def metric_frame(self) -> MetricFrame:
        """The MetricFrame with the values."""
        return self._estimates.metric_frame

    @property
    def by_group(self) -> pd.DataFrame:
        """Metrics of each group, as in ``metric_frame.by_group``."""
        return self.metric_frame.by_group

    @property
    def overall(self) -> pd.Series:
        """Metrics of all rows."""
        return self._estimates.values("overall")

    @property
    def difference(self) -> pd.Series:
        """Largest minus smallest group, or largest distance of a group from all rows.

        As ``metric_frame.difference(method=...)``.
        """
        return self._estimates.values("difference")

    @property
    def ratio(self) -> pd.Series:
        """Smallest over largest group, or the like with all rows.

        As ``metric_frame.ratio(method=...)``. Without meaning where values are not positive, and
        left out of `to_frame` there.
        """
        return self._estimates.values("ratio")

    @property
    def by_group_ci(self) -> list[pd.DataFrame]:
        """Lower and upper limits of ``by_group``; NaN without an interval."""
        frames = []
        for limits in self._estimates.by_group_limits:
            frame = self.by_group.astype(float) * np.nan
            frame.iloc[self._estimates.positions] = limits
            frames.append(frame)
        return frames

    @property
    def overall_ci(self) -> list[pd.Series]:
        """Lower and upper limits of ``overall``."""
        return self._limits("overall")

    @property
    def difference_ci(self) -> list[pd.Series]:
        """Lower and upper limits of ``difference``."""
        return self._limits("difference")

    @property
    def ratio_ci(self) -> list[pd.Series]:
        """Lower and upper limits of ``ratio``."""
        return self._limits("ratio")

    @property
    def small_groups(self) -> list[Any]:
        """Names of the groups of fewer than 30 rows."""
        pairs = zip(self._estimates.groups, self._estimates.counts, strict=True)
        return [group for group, count in pairs if count < FEW_ROWS]

    def to_frame(self) -> pd.DataFrame:
        """Return everything in one tidy table, one row for each value.

        Returns
        -------
        table : DataFrame
            With the columns "statistic" ("by_group", "overall", "difference" or "ratio"), "group"
            (a tuple for several columns, None for the other statistics), "metric", "value",
            "lower", "upper" (NaN without an interval) and "count", the number of rows.
        """
        return self._estimates.to_frame()

    def plot(
        self,
        metric: str | None = None,
        *,
        ax: Any = None,
        legend: bool = True,
        title: str | None = None,
    ) -> GroupLossDisplay:
        """Draw one metric by group, with the intervals.

        Parameters
        ----------
        metric : str, default=None
            Name of the metric; ``None`` takes the first one.

        ax : matplotlib.axes.Axes, default=None
            Axes to draw in; ``None`` makes a figure.

        legend : bool, default=True
            If True, explain the marks, above the points and inside the axes.

        title : str, default=None
            Above the axes; ``None`` leaves the title as it is.

        Returns
        -------
        display : GroupLossDisplay
            After its `plot`.

        Raises
        ------
        ValueError
            If there is no such metric.
        """
        metric = self._estimates.metrics[0] if metric is None else metric
        display = GroupLossDisplay.from_frame(
            self.to_frame(), metric=metric, group_name=self._estimates.group_name
        )
        return display.plot(ax, legend=legend, title=title)

    def plot_images(
        self, *, ax: Any = None, legend: bool = True, title: str | None = None
    ) -> PixelGroupDisplay:
        """Draw images of each group: truth, prediction and absolute error.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to draw in; ``None`` makes a figure.

        legend : bool, default=True
            If True, draw the scales of the images.

        title : str, default=None
            Above the images; ``None`` leaves the title as it is.

        Returns
        -------
        display : PixelGroupDisplay
            After its `plot`.

        Raises
        ------
        ValueError
            If the report was made without ``image_shape``.
        """
        if self.images is None:
            raise ValueError("the report has no images: pass image_shape to group_report")
        return copy.copy(self.images).plot(ax, legend=legend, title=title)

    def __repr__(self) -> str:
        return to_text(self._table())

    def _repr_html_(self) -> str:
        return to_html(self._table(), self.images)

    def _table(self) -> Table:
        """Return the table that text and HTML show."""
        level = None if self.n_boot is None else self.confidence_level
        return make_table(self.to_frame(), self._estimates.method, level, self.n_boot)

    def _limits(self, statistic: str) -> list[pd.Series]:
        """Return lower and upper limits by metric."""
        names = self.by_group.columns
        return [
            pd.Series(limits, index=names) for limits in self._estimates.other_limits[statistic]
        ]
