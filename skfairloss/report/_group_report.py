"""Metrics by group with intervals, as tables, text, HTML and plots."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pandas as pd
from fairlearn.metrics import MetricFrame
from numpy.typing import ArrayLike

from skfairloss._inputs.columns import named_columns
from skfairloss._inputs.groups import check_index
from skfairloss.displays import GroupLossDisplay, PixelGroupDisplay
from skfairloss.displays._style import FEW_ROWS
from skfairloss.metrics._estimates import GroupEstimates, group_estimates
from skfairloss.metrics._inputs import check_values
from skfairloss.metrics._named import Metrics
from skfairloss.metrics._source_estimates import source_estimates
from skfairloss.report._html import to_html
from skfairloss.report._markdown import to_markdown
from skfairloss.report._table import Table, make_table
from skfairloss.report._text import to_text
from skfairloss.rows._collections import read_source

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
    clusters: Any = None,
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
        Number of bootstrap samples, at least 2; ``None`` for no intervals. Named metrics are
        computed for many samples together; any other function is called for each sample and group,
        which takes as long as that.

    confidence_level : float, default=0.95
        Confidence level of the intervals, in (0, 1).

    clusters : list, array, Series, DataFrame or dict of 1-D arrays, default=None
        Rows with the same value belong together, such as those of a person or a school: intervals
        are between clusters. ``None`` takes rows as independent.

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
    narrow. With ``clusters`` these are drawn whole, within each group where none has rows in two
    groups, else all together; the numbers of rows below are numbers of clusters then.

    - by group and overall, each by itself: means have Student's t interval with the skewness of
      the samples taken out [1]_, rmse the roots of that of mse, shares of rows Wilson's interval;
      medae, r2 and functions have quantiles of the samples, further out by as much as Student's t
      is than a normal distribution [2]_. Weights count as (Σs)² / Σs² rows.
    - difference: the largest of several differences is never negative, so that its quantiles would
      never reach 0, even where all groups are alike. Instead each difference d between two groups
      (with ``method="to_overall"``, from all rows) has an interval, put together from those of its
      two parts [3]_ at the quantile of the largest abs(d* - d) / sd(d*), so that all hold at once;
      parts that have rows or clusters in common have the correlation of their samples. The
      largest difference lies between the largest lower end and the largest upper end. An interval
      that begins at 0 means: no difference detected.
    - ratio: the same of logarithms, where all values are positive; NaN elsewhere, and for
      mean_residual, bias and r2, whose ratio has no meaning.
    - too few rows: below 10 rows, for mse and rmse below 20, a group has no interval, and what
      compares it has none. Groups of fewer than 30 rows are flagged. The guide shows how often the
      intervals contain the truth in simulations, and where they do not: those of absolute and above
      all of squared errors are too narrow where a few rows of a small group can be far off.

    References
    ----------
    .. [1] P. Hall, "On the removal of skewness by transformation", Journal of the Royal Statistical
       Society B 54 (1992), 221-228.

    .. [2] T. C. Hesterberg, "What teachers should know about the bootstrap", The American
       Statistician 69 (2015), 371-386.

    .. [3] G. Y. Zou and A. Donner, "Construction of confidence limits about effect measures",
       Statistics in Medicine 27 (2008), 1693-1702.

    Examples
    --------
    >>> from skfairloss import group_report
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> brightness = np.repeat(["dark", "bright"], [15, 60])
    >>> errors = rng.normal(size=75) * np.repeat([2.0, 1.0], [15, 60])
    >>> report = group_report(
    ...     np.zeros(75), errors, sensitive_features=brightness, metrics="mae", random_state=0
    ... )
    >>> report.to_frame()[["statistic", "group", "value", "lower", "upper", "count"]].round(2)
        statistic   group  value  lower  upper  count
    0    by_group  bright   0.79   0.67   0.94     60
    1    by_group    dark   1.41   0.82   2.34     15
    2     overall    None   0.92   0.75   1.10     75
    3  difference    None   0.62   0.00   1.56     75
    4       ratio    None   0.56   0.33   1.00     75
    >>> report.small_groups
    ['dark']
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
        clusters=clusters,
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
        Lower and upper limits of ``by_group``; NaN without an interval, as for too few rows.

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

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        sensitive_features: Any = None,
        sample_weight: Any = None,
        metrics: Metrics | None = None,
        method: str = "between_groups",
        n_boot: int | None = 1000,
        confidence_level: float = 0.95,
        clusters: Any = None,
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
    ) -> GroupReport:
        """Predict with a fitted estimator and evaluate, wherever the rows are.

        Rows of a source of `skfairloss.rows` or of Dask, which need not fit into memory, are read
        once. Of other rows it is `group_report` of the predictions.

        Parameters
        ----------
        estimator : object
            Any fitted regressor with a method ``predict``. It goes to the rows, so that a cluster
            must be able to pickle it. One fitted with names of features gets DataFrames of the
            rows of a source, any other arrays.

        X : array-like or DataFrame of shape (n_samples, n_features) or row source
            Features; a Dask Array or DataFrame as well. A source holds targets, weights and groups.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            True values; those of Dask beside X of Dask. ``None`` with a source alone.

        sensitive_features : list, array, Series, DataFrame or dict of 1-D arrays, default=None
            What defines the groups, or names of columns of X that do; those of Dask beside X of
            Dask. ``None`` with a source alone.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, >= 0. Rows of weight zero are left out, also from the count.

        metrics : str, callable, or list or dict of these, default=None
            As in `group_report`. Of rows in a source or of Dask they are names of metrics that
            follow from sums over the rows: all but medae.

        method : {"between_groups", "to_overall"}, default="between_groups"
            Compare groups with one another or with all rows.

        n_boot : int, default=1000
            Number of bootstrap samples, at least 2; ``None`` for no intervals.

        confidence_level : float, default=0.95
            Confidence level of the intervals, in (0, 1).

        clusters : list, array, Series, DataFrame or dict of 1-D arrays, default=None
            As in `group_report`, for rows in memory alone. ``None`` takes rows as independent.

        random_state : int, RandomState, Generator or None, default=None
            Random numbers for the bootstrap samples.

        Returns
        -------
        report : GroupReport
            As `group_report` returns it.

        Raises
        ------
        TypeError
            If ``estimator`` has no method ``predict``, or an argument is not of the type described
            above.

        ValueError
            If there are no groups, predictions are not of the shape of y, or for the reasons of
            `group_report`. Of rows in a source or of Dask, if a metric does not follow from sums.

        NotImplementedError
            If ``clusters`` are asked for of rows in a source or of Dask, or the source has clusters
            and intervals are asked for.

        See Also
        --------
        group_report : The same for predictions of any model, also with images.

        Notes
        -----
        A pass over a source brings back sums. Values are those of the same rows in memory, to
        rounding, and intervals are put together in the same way from bootstrap samples:

        - the rows of a group of at most 1 000 rows come to this process, and are drawn from. Where
          all groups are that small, the report is the one in memory;
        - of a larger group come the sums of products of two and three of the numbers that metrics
          add up. The sums of a bootstrap sample are drawn with the same mean, covariance and
          skewness [1]_. Those of an ordinary bootstrap differ from them by the order of 1 / n;
        - r2 of more than 20 outputs has no interval where a group is larger.

        A seed gives the same report however the rows are divided, as long as their order is the
        same: to rounding, and to the last bit for the same blocks, whatever the threads or workers.

        References
        ----------
        .. [1] P. Hall, "The Bootstrap and Edgeworth Expansion", Springer (1992).

        Examples
        --------
        >>> import numpy as np
        >>> from skfairloss import PixelLossRegressor
        >>> from skfairloss.report import GroupReport
        >>> from skfairloss.rows import from_blocks
        >>> def block(i):
        ...     rng = np.random.default_rng(i)
        ...     X, group = rng.normal(size=(1000, 2)), rng.choice(["a", "b"], 1000)
        ...     noise = rng.laplace(size=1000) * np.where(group == "a", 1.0, 2.0)
        ...     return {"X": X, "y": X @ [1.0, 2.0] + noise, "sensitive_features": group}
        >>> source = from_blocks(block, 5)
        >>> model = PixelLossRegressor(loss_mix=1).fit(source)
        >>> GroupReport.from_estimator(model, source, metrics="mae", random_state=0)
        GroupReport: 5000 rows, 2 groups; 95 % confidence intervals from 1000 bootstrap samples
        <BLANKLINE>
                           n             MAE
        a               2552           1.000
                              [0.965, 1.040]
        b               2448           2.025
                              [1.957, 2.122]
        all rows        5000           1.502
                              [1.461, 1.549]
        difference                     1.025
                              [0.946, 1.129]
        ratio                          0.494
                              [0.465, 0.520]
        <BLANKLINE>
        residual = true - predicted; difference and ratio: between groups
        """
        if not callable(getattr(estimator, "predict", None)):
            raise TypeError(f"estimator must have a method predict, got {estimator!r}")
        options: dict[str, Any] = {
            "metrics": metrics,
            "method": method,
            "n_boot": n_boot,
            "confidence_level": confidence_level,
            "random_state": random_state,
        }
        source = read_source(X, y, sample_weight, sensitive_features)
        if source is None:
            given = {
                "sensitive_features": named_columns(sensitive_features, X),
                "sample_weight": sample_weight,
                "clusters": clusters,
            }
            check_index(**given, X=X, y=y)
            true = check_values("y", y)
            return group_report(true, estimator.predict(X), **given, **options)
        if clusters is not None:
            raise NotImplementedError(
                "clusters need rows in memory: pass the predictions of a part of the rows to "
                "skfairloss.group_report"
            )
        estimates = source_estimates(estimator, source, **options)
        return cls(estimates, n_boot=n_boot, confidence_level=confidence_level)

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

    def to_model_card(self) -> str:
        """Return the report as Markdown, for a section of a model card.

        Returns
        -------
        str
            A table with an interval beside each value, and the notes. ``skops.card.Card.add`` takes
            it as the content of a section.
        """
        return to_markdown(self._table())

    def __repr__(self) -> str:
        return to_text(self._table())

    def _repr_html_(self) -> str:
        return to_html(self._table(), self.images)

    def _table(self) -> Table:
        """Return the table that text and HTML show."""
        level = None if self.n_boot is None else self.confidence_level
        return make_table(self._estimates, level, self.n_boot)

    def _limits(self, statistic: str) -> list[pd.Series]:
        """Return lower and upper limits by metric."""
        names = self.by_group.columns
        return [
            pd.Series(limits, index=names) for limits in self._estimates.other_limits[statistic]
        ]
