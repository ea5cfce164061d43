"""Accuracy and each group's loss against the mix."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from skfairloss._inputs.groups import counted
from skfairloss._typing import Array
from skfairloss.displays._layout import (
    add_legend,
    are_within,
    keep_within,
    label_axes,
    make_room,
    size_of,
    space_ticks,
    wrap_text,
)
from skfairloss.displays._style import (
    ALL_ROWS,
    group_label,
    new_axes,
    numbers,
    numbers_or_none,
    select,
    series_style,
)
from skfairloss.displays._sweep import is_mix, sweep
from skfairloss.metrics._mix_ends import nearly_ends
from skfairloss.metrics._named import metric_title
from skfairloss.metrics._row_metrics import Metric

MIXES = (0.0, 0.25, 0.5, 0.75, 1.0)
MANY_GROUPS = 4  # bands of more groups would cover one another


class LossMixDisplay:
    """A metric of each group, and of all rows, against the mix of the loss.

    Parameters
    ----------
    by_group : DataFrame of shape (n_mixes, n_groups)
        The metric. The index has the mixes, the columns are the groups (a MultiIndex, or tuples,
        for groups of several columns).

    overall : array-like of shape (n_mixes,), default=None
        The metric of all rows, the accuracy, in the order of ``by_group``.

    by_group_ci : pair of DataFrames of shape (n_mixes, n_groups), default=None
        Lower and upper ends of intervals, in the order of ``by_group``.

    overall_ci : pair of array-likes of shape (n_mixes,), default=None
        The same of ``overall``.

    metric : str, default="mae"
        Name of the metric, for the axis.

    param_name : str, default="loss_mix"
        Name of what varies, for the axis.

    squared_share : array-like of shape (n_mixes,), default=None
        Share of the squared part in the attained loss, in the order of ``by_group``; NaN where it
        is not known. If mixes are nearly L2 or L1 at the scale used, a line in the axes says so.

    group_name : str, default="group"
        Name of the attribute that defines the groups, for the legend.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes, after `plot`.

    figure_ : matplotlib.figure.Figure
        The figure, after `plot`.

    lines_ : list of matplotlib.lines.Line2D
        The line of each group, after `plot`.

    overall_line_ : matplotlib.lines.Line2D or None
        The line of all rows, after `plot`.

    bands_ : list of matplotlib.collections.Collection
        The intervals, after `plot`: bands for up to four groups, else for all rows only.

    note_ : matplotlib.text.Text or None
        The line on mixes that are nearly L2 or L1, after `plot`.

    Examples
    --------
    Two groups of brightness 0.3 and 0.9, 30 % and 70 % of the rows, under the best constant:

    >>> import matplotlib.pyplot as plt
    >>> import pandas as pd
    >>> from skfairloss.displays import LossMixDisplay
    >>> by_group = pd.DataFrame(
    ...     {"dark": [0.42, 0.5533, 0.6], "bright": [0.18, 0.0467, 0.0]}, index=[0.0, 0.4, 1.0]
    ... )
    >>> display = LossMixDisplay(by_group, overall=[0.252, 0.1987, 0.18]).plot()
    >>> [text.get_text() for text in display.ax_.get_legend().get_texts()]
    ['all rows', 'dark', 'bright']
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        by_group: pd.DataFrame,
        *,
        overall: ArrayLike | None = None,
        by_group_ci: Sequence[pd.DataFrame] | None = None,
        overall_ci: Sequence[ArrayLike] | None = None,
        metric: str = "mae",
        param_name: str = "loss_mix",
        squared_share: ArrayLike | None = None,
        group_name: str = "group",
    ) -> None:
        if not isinstance(by_group, pd.DataFrame):
            raise TypeError(
                f"by_group must be a pandas DataFrame with a row for each mix, got "
                f"{type(by_group).__name__}"
            )
        self.by_group = by_group
        n = len(by_group)
        self.overall = numbers_or_none(overall, (n,), "overall")
        self.by_group_ci = _pair(by_group_ci, by_group.shape, "by_group_ci")
        self.overall_ci = _pair(overall_ci, (n,), "overall_ci")
        self.metric = metric
        self.param_name = param_name
        self.squared_share = numbers_or_none(squared_share, (n,), "squared_share")
        self.group_name = group_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        sensitive_features: Any,
        sample_weight: ArrayLike | None = None,
        param_name: str = "loss_mix",
        param_range: Iterable[float] = MIXES,
        metric: str | Metric = "mae",
        cv: Any = 5,
        fit_params: Mapping[str, Any] | None = None,
        n_boot: int | None = 1000,
        confidence_level: float = 0.95,
        clusters: Any = None,
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
        ax: Any = None,
        legend: bool = True,
        title: str | None = None,
    ) -> Self:
        """Cross-validate an estimator for each mix, evaluate the rows left out, and plot.

        Parameters
        ----------
        estimator : estimator instance
            Any regressor or pipeline; it is cloned and need not be fitted.

        X : array-like or DataFrame of shape (n_samples, n_features)
            Features.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            True values.

        sensitive_features : list, array, Series or DataFrame
            Columns that define the groups of the metric, or names of columns of X; these stay
            features. ``fit`` gets the groups only through ``fit_params``.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the metric; those of ``fit`` are among ``fit_params``.

        param_name : str, default="loss_mix"
            Name of the parameter, "step__loss_mix" in a pipeline.

        param_range : iterable of floats, default=(0.0, 0.25, 0.5, 0.75, 1.0)
            Values of the parameter.

        metric : str or callable, default="mae"
            One metric, as in `skfairloss.metrics.group_metric_frame`.

        cv : int, splitter or iterable of (train, test), default=5
            Folds, in which each row is left out once. A number stands for shuffled folds,
            stratified by group; a splitter is given the groups' codes as y.

        fit_params : dict, default=None
            Arguments of ``fit`` beside X and y; arrays with a value for each row are split into
            folds.

        n_boot : int, default=1000
            Number of bootstrap samples of the rows; ``None`` for no intervals. The intervals do
            not cover the variation between training sets.

        confidence_level : float, default=0.95
            Confidence level of the intervals.

        clusters : array-like of shape (n_samples,), default=None
            Rows with the same value belong together, such as those of a person or a school, or
            names of columns of X: no fold splits a cluster, and intervals are between clusters.
            ``None`` takes rows as independent.

        random_state : int, RandomState, Generator or None, default=None
            Random numbers that shuffle the folds and draw the bootstrap samples.

        ax : matplotlib.axes.Axes, default=None
            Axes to draw in; ``None`` makes a figure.

        legend : bool, default=True
            As in `plot`.

        title : str, default=None
            As in `plot`.

        Returns
        -------
        display : LossMixDisplay
            After `plot`.

        Raises
        ------
        TypeError, ValueError
            If ``ax`` is no matplotlib Axes, shapes do not match, values are not finite, or an
            option is out of range.
        """
        frame, group_name = sweep(
            estimator,
            X,
            y,
            sensitive_features=sensitive_features,
            sample_weight=sample_weight,
            param_name=param_name,
            param_range=param_range,
            metric=metric,
            cv=cv,
            fit_params=fit_params,
            n_boot=n_boot,
            confidence_level=confidence_level,
            random_state=random_state,
            clusters=clusters,
        )
        display = cls.from_frame(frame, param_name=param_name, group_name=group_name)
        return display.plot(ax, legend=legend, title=title)

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        metric: str | None = None,
        param_name: str = "loss_mix",
        group_name: str = "group",
    ) -> Self:
        """Take one metric from a tidy table.

        Parameters
        ----------
        frame : pandas.DataFrame
            One row for each mix and group, and for each mix and all rows, with the columns
            ``param_name``; "statistic", of which the rows "by_group" and "overall" are read;
            "group", unused for "overall"; "metric"; "value"; and, if there are intervals, "lower"
            and "upper". It is what `skfairloss.report.GroupReport.to_frame` has, for several
            mixes. A column "squared_share", if there is one, has the share of the squared part in
            the attained loss of each mix.

        metric : str, default=None
            Name of the metric; it may be left out if the table has only one.

        param_name : str, default="loss_mix"
            Column with the mixes, and name on the axis.

        group_name : str, default="group"
            Name of the attribute that defines the groups, for the legend.

        Returns
        -------
        display : LossMixDisplay
            Not yet drawn: call `plot`.

        Raises
        ------
        TypeError, ValueError
            If ``frame`` is no pandas DataFrame, a column is missing, or a row occurs twice.
        """
        columns = [param_name, "statistic", "group", "metric", "value"]
        frame, metric = select(frame, metric, columns)
        rows = frame[frame["statistic"] == "by_group"]
        overall = frame[frame["statistic"] == "overall"].set_index(param_name).sort_index()

        def wide(column: str) -> pd.DataFrame:
            cells = rows.set_index([param_name, "group"])[column]
            if not cells.index.is_unique:
                raise ValueError(f"frame has several rows of one {param_name} and group")
            groups = list(dict.fromkeys(rows["group"]))
            return cells.unstack("group").sort_index()[groups]

        by_group = wide("value")
        if len(overall) and not overall.index.equals(by_group.index):
            raise ValueError(f"frame must have one row 'overall' for each {param_name}")
        has_ci = "lower" in frame and bool(frame["lower"].notna().any())
        return cls(
            by_group,
            overall=overall["value"] if len(overall) else None,
            by_group_ci=(wide("lower"), wide("upper")) if has_ci else None,
            overall_ci=(overall["lower"], overall["upper"]) if has_ci and len(overall) else None,
            metric=metric,
            param_name=param_name,
            squared_share=_one_each(rows, param_name) if "squared_share" in frame else None,
            group_name=group_name,
        )

    def __repr__(self) -> str:
        mixes, groups = self.by_group.shape
        shown = f"{self.metric!r} of {counted(groups, 'group')}"
        return f"LossMixDisplay({shown}, {mixes} x {self.param_name})"

    def plot(self, ax: Any = None, *, legend: bool = True, title: str | None = None) -> Self:
        """Draw a line for each group and a thick one for all rows.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to draw in; ``None`` makes a figure, taller for more groups.

        legend : bool, default=True
            If True, name the lines, above them and inside the axes.

        title : str, default=None
            Above the axes; ``None`` leaves the title as it is.

        Returns
        -------
        self : LossMixDisplay
            With ``ax_``, ``figure_`` and the artists.

        Raises
        ------
        TypeError
            If ``ax`` is no matplotlib Axes.
        """
        labels = [group_label(group) for group in self.by_group.columns]
        lines = sum(len(label) // 45 + 1 for label in labels) / 2
        self.ax_ = ax = new_axes(ax, (6.4, 4.0 + 0.17 * lines))
        self.figure_ = ax.figure
        mixes = self.by_group.index.to_numpy(dtype=float)
        handles = self._draw_lines(mixes)
        ends = " (0: L2, 1: L1)" if is_mix(self.param_name) else ""
        x = f"{self.param_name}{ends}"
        label_axes(ax, x=x, y=metric_title(self.metric), title=title)
        space_ticks(ax)
        self.note_ = None
        limits = ax.dataLim.get_points().copy()
        for _ in range(2):  # the room that is made can bring wider ticks, and so narrower axes
            ax.dataLim.set_points(limits)
            ax.autoscale_view(scalex=False)
            self._explain(mixes, handles if legend else [])
            if are_within(ax, (self.note_, ax.get_legend())):
                break
        return self

    def _explain(self, mixes: Array, handles: list[Any]) -> None:
        """Write the note, and a legend of the handles, if there are any; make room for both."""
        if self.note_ is not None:
            self.note_.remove()
        self.note_ = self._draw_note(mixes)
        above = None
        if handles:
            names = [handle.get_label() for handle in handles]
            above = add_legend(self.ax_, handles, names, self.group_name)
        make_room(self.ax_, above=above, below=self.note_)
        keep_within(self.ax_)

    def _draw_lines(self, mixes: Array) -> list[Any]:
        """Draw all rows, then the groups, with their bands; return the lines."""
        ax = self.ax_
        self.bands_: list[Any] = []
        self.overall_line_ = None
        if self.overall is not None:
            (self.overall_line_,) = ax.plot(mixes, self.overall, label="all rows", **ALL_ROWS)
            self._draw_band(mixes, self.overall_ci, "black")
        self.lines_ = []
        for j, group in enumerate(self.by_group.columns):
            style = series_style(j)
            values = self.by_group.iloc[:, j].to_numpy(dtype=float)
            self.lines_ += ax.plot(mixes, values, label=group_label(group), markersize=5, **style)
            if self.by_group_ci is not None and self.by_group.shape[1] <= MANY_GROUPS:
                limits = tuple(limit[:, j] for limit in self.by_group_ci)
                self._draw_band(mixes, limits, style["color"])
        return self.lines_ if self.overall_line_ is None else [self.overall_line_, *self.lines_]

    def _draw_note(self, mixes: Array) -> Any:
        """Say at the lower edge which mixes are one of their ends."""
        if self.squared_share is None or not is_mix(self.param_name):
            return None
        said = nearly_ends(mixes, self.squared_share)
        if not said:
            return None
        text = wrap_text(said, 0.9 * size_of(self.ax_)[0], "small")
        place = {"transform": self.ax_.transAxes, "va": "bottom", "fontsize": "small"}
        return self.ax_.text(0.03, 0.02, text, **place)

    def _draw_band(self, mixes: Array, limits: Any, colour: str) -> None:
        """Shade between lower and upper limits, if there are any."""
        if limits is not None:
            band = self.ax_.fill_between(mixes, *limits, color=colour, alpha=0.13, linewidth=0)
            self.bands_.append(band)


def _one_each(rows: pd.DataFrame, param_name: str) -> pd.Series:
    """Return the share of the squared part for each mix, in increasing order."""
    return rows.groupby(param_name)["squared_share"].first()


def _pair(limits: Any, shape: tuple[int, ...], name: str) -> tuple[Array, ...] | None:
    """Lower and upper limits of a given shape, or None."""
    if limits is None:
        return None
    lower, upper = limits
    return numbers(lower, shape, name), numbers(upper, shape, name)
