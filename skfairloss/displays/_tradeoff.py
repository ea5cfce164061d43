"""Accuracy against disparity."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from skfairloss.displays._labels import draw_labels
from skfairloss.displays._layout import (
    add_legend,
    keep_within,
    label_axes,
    make_room,
    space_ticks,
)
from skfairloss.displays._loss_mix import MIXES
from skfairloss.displays._style import COLOURS, new_axes, numbers, numbers_or_none
from skfairloss.displays._sweep import sweep
from skfairloss.metrics._estimates import group_estimates
from skfairloss.metrics._named import as_metric, label_metric, metric_title
from skfairloss.metrics._pareto import undominated
from skfairloss.metrics._row_metrics import Metric


class TradeoffDisplay:
    """Error against disparity of several models; smaller is better in both.

    A model is undominated if no other one is at least as good in both and better in one.

    Parameters
    ----------
    error : array-like of shape (n_models,)
        Error over all rows; smaller is better.

    disparity : array-like of shape (n_models,)
        Disparity between the groups; smaller is better.

    labels : sequence of shape (n_models,), default=None
        Names of the models.

    on_front : array-like of bool of shape (n_models,), default=None
        True for undominated models; ``None`` marks none. `from_frame` finds them.

    selected : int, default=None
        Position of a model to mark as chosen.

    error_name : str, default="error"
        Name of the horizontal axis.

    disparity_name : str, default="disparity"
        Name of the vertical axis.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes, after `plot`.

    figure_ : matplotlib.figure.Figure
        The figure, after `plot`.

    points_ : matplotlib.lines.Line2D
        The dominated models, after `plot`; all of them if no front is marked.

    front_ : matplotlib.lines.Line2D or None
        The undominated models, joined by steps, after `plot`.

    selected_ : matplotlib.lines.Line2D or None
        The mark of the chosen model, after `plot`.

    labels_ : list of matplotlib.text.Annotation
        The labels drawn, after `plot`. The chosen model's comes first, in lines where it is long,
        then those of the front, the others where there is room; labels never overlap, those
        without room are left out.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import pandas as pd
    >>> from skfairloss.displays import TradeoffDisplay
    >>> table = pd.DataFrame(
    ...     {"mae": [0.25, 0.2, 0.22], "gap": [0.1, 0.4, 0.45], "loss_mix": [0.0, 0.5, 1.0]}
    ... )
    >>> display = TradeoffDisplay.from_frame(table, error="mae", disparity="gap", label="loss_mix")
    >>> display.on_front.tolist()
    [True, True, False]
    >>> display = display.plot()
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        error: ArrayLike,
        disparity: ArrayLike,
        *,
        labels: Sequence[Any] | None = None,
        on_front: ArrayLike | None = None,
        selected: int | None = None,
        error_name: str = "error",
        disparity_name: str = "disparity",
    ) -> None:
        self.error = np.asarray(error, dtype=float)
        n = len(self.error)
        self.disparity = numbers(disparity, (n,), "disparity")
        for name, values in (("error", self.error), ("disparity", self.disparity)):
            if not np.isfinite(values).all():
                raise ValueError(f"{name} must be finite, got {values.tolist()}")
        if labels is not None and len(labels) != n:
            raise ValueError(f"labels must have one entry for each of {n} models, got {labels!r}")
        self.labels = None if labels is None else list(labels)
        marks = numbers_or_none(on_front, (n,), "on_front")
        self.on_front = None if marks is None else marks.astype(bool)
        if selected is not None and not 0 <= selected < n:
            raise ValueError(f"selected must be a position in 0 to {n - 1}, got {selected!r}")
        self.selected = selected
        self.error_name = error_name
        self.disparity_name = disparity_name

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        predictions: Mapping[Any, ArrayLike],
        *,
        sensitive_features: Any,
        sample_weight: ArrayLike | None = None,
        metric: str | Metric = "mae",
        method: str = "between_groups",
        ax: Any = None,
        legend: bool = True,
        title: str | None = None,
    ) -> Self:
        """Evaluate the predictions of several models and plot.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,) or (n_samples, ...)
            True values.

        predictions : dict of array-likes of the shape of y_true
            Predictions of each model, by its label.

        sensitive_features : list, array, Series, DataFrame or dict of 1-D arrays
            Columns whose distinct combinations of values are the groups.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, >= 0.

        metric : str or callable, default="mae"
            An error, smaller being better: "mae", "mse", "rmse", "medae", "mape" or, with numbers
            of your own, "pinball@0.9" or "share_above@10". The disparity is the difference of its
            values between groups.

        method : {"between_groups", "to_overall"}, default="between_groups"
            Take the largest difference between two groups, or from all rows.

        ax : matplotlib.axes.Axes, default=None
            Axes to draw in; ``None`` makes a figure.

        legend : bool, default=True
            As in `plot`.

        title : str, default=None
            As in `plot`.

        Returns
        -------
        display : TradeoffDisplay
            After `plot`.

        Raises
        ------
        TypeError, ValueError
            If ``ax`` is no matplotlib Axes, shapes do not match, values are not finite, or an
            option is out of range.
        """
        _check_error(metric)
        tables = [
            group_estimates(
                y_true,
                y_pred,
                sensitive_features=sensitive_features,
                sample_weight=sample_weight,
                metrics=label_metric(metric),
                method=method,
                n_boot=None,
                confidence_level=0.95,
                random_state=None,
            )
            .to_frame()
            .assign(model=label)
            for label, y_pred in predictions.items()
        ]
        if not tables:
            raise ValueError("predictions must hold those of at least one model, got none")
        display = cls._from_tidy(pd.concat(tables, ignore_index=True), "model")
        return display.plot(ax, legend=legend, title=title)

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
        param_range: Iterable[Any] = MIXES,
        metric: str | Metric = "mae",
        cv: Any = 5,
        fit_params: Mapping[str, Any] | None = None,
        clusters: Any = None,
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
        ax: Any = None,
        legend: bool = True,
        title: str | None = None,
    ) -> Self:
        """Cross-validate an estimator for each value of a parameter, and plot.

        Parameters
        ----------
        estimator : estimator instance
            Any regressor or pipeline; it is cloned and need not be fitted.

        X : array-like or DataFrame of shape (n_samples, n_features)
            Features.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            True values.

        sensitive_features : list, array, Series or DataFrame
            Columns that define the groups, or names of columns of X; these stay features.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the metric; those of ``fit`` are among ``fit_params``.

        param_name : str, default="loss_mix"
            Name of the parameter, "step__loss_mix" in a pipeline.

        param_range : iterable, default=(0.0, 0.25, 0.5, 0.75, 1.0)
            Values of the parameter.

        metric : str or callable, default="mae"
            As in `from_predictions`.

        cv : int, splitter or iterable of (train, test), default=5
            As in `LossMixDisplay.from_estimator`.

        fit_params : dict, default=None
            Arguments of ``fit`` beside X and y.

        clusters : array-like of shape (n_samples,), default=None
            Rows with the same value belong together, such as those of a person or a school, or
            names of columns of X: no fold splits a cluster. ``None`` takes rows as independent.

        random_state : int, RandomState, Generator or None, default=None
            Random numbers that shuffle the folds.

        ax : matplotlib.axes.Axes, default=None
            Axes to draw in; ``None`` makes a figure.

        legend : bool, default=True
            As in `plot`.

        title : str, default=None
            As in `plot`.

        Returns
        -------
        display : TradeoffDisplay
            After `plot`.

        Raises
        ------
        TypeError, ValueError
            If ``ax`` is no matplotlib Axes, shapes do not match, values are not finite, or an
            option is out of range.
        """
        _check_error(metric)
        frame, _ = sweep(
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
            n_boot=None,
            confidence_level=0.95,
            random_state=random_state,
            clusters=clusters,
        )
        return cls._from_tidy(frame, param_name).plot(ax, legend=legend, title=title)

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        error: str,
        disparity: str,
        label: str | None = None,
        selected: int | None = None,
    ) -> Self:
        """Take error and disparity from the columns of a table, and find the undominated rows.

        Parameters
        ----------
        frame : pandas.DataFrame
            One row for each model.

        error : str
            Column with the error over all rows.

        disparity : str
            Column with the disparity between the groups.

        label : str, default=None
            Column with the names of the models.

        selected : int, default=None
            Position of the row to mark as chosen.

        Returns
        -------
        display : TradeoffDisplay
            Not yet drawn: call `plot`.

        Raises
        ------
        ValueError
            If a column is missing, or a value is not finite.
        """
        missing = [name for name in (error, disparity, label) if name and name not in frame]
        if missing:
            raise ValueError(f"frame has no columns {missing}, only {list(frame.columns)}")
        return cls(
            frame[error],
            frame[disparity],
            labels=None if label is None else list(frame[label]),
            on_front=undominated(frame[error], frame[disparity]),
            selected=selected,
            error_name=metric_title(error),
            disparity_name=metric_title(disparity),
        )

    @classmethod
    def _from_tidy(cls, frame: pd.DataFrame, label: str) -> Self:
        """Read rows "overall" and "difference" of one metric."""
        values = frame[["statistic", "value"]].groupby("statistic")
        error, disparity = (values.get_group(key)["value"] for key in ("overall", "difference"))
        title = metric_title(frame["metric"].iloc[0])
        return cls(
            error,
            disparity,
            labels=list(frame.loc[frame["statistic"] == "overall", label]),
            on_front=undominated(error, disparity),
            error_name=f"{title} of all rows",
            disparity_name=f"difference in {title} between groups",
        )

    def __repr__(self) -> str:
        known = "" if self.on_front is None else f", {self.on_front.sum()} undominated"
        return f"TradeoffDisplay({len(self.error)} models{known})"

    def plot(self, ax: Any = None, *, legend: bool = True, title: str | None = None) -> Self:
        """Draw the models, the front and the labels.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to draw in; ``None`` makes a figure.

        legend : bool, default=True
            If True, explain the marks, above them and inside the axes.

        title : str, default=None
            Above the axes; ``None`` leaves the title as it is.

        Returns
        -------
        self : TradeoffDisplay
            With ``ax_``, ``figure_`` and the artists.

        Raises
        ------
        TypeError
            If ``ax`` is no matplotlib Axes.
        """
        self.ax_ = ax = new_axes(ax, (6.4, 4.4))
        self.figure_ = ax.figure
        front = np.zeros(len(self.error), bool) if self.on_front is None else self.on_front
        self._draw_models(front)
        label_axes(ax, x=self.error_name, y=self.disparity_name, title=title)
        ax.margins(0.12)
        space_ticks(ax)
        box = None
        handles, words = ax.get_legend_handles_labels()
        if legend and handles:
            box = add_legend(ax, handles, words, None)
        make_room(ax, above=box)
        keep_within(ax)
        self.labels_ = []
        if self.labels is not None:
            names = [_short(label) for label in self.labels]
            points = np.column_stack([self.error, self.disparity])
            order = self._order(front)
            self.labels_ = draw_labels(ax, points, names, order, self.selected, box)
        return self

    def _draw_models(self, front: NDArray[np.bool_]) -> None:
        """Draw the marks of the dominated models, the front and the chosen model."""
        ax = self.ax_
        grey = {"color": "0.45", "marker": "o", "markerfacecolor": "white", "linestyle": ""}
        name = "models" if self.on_front is None else "dominated"
        name = "_" if front.all() else name  # nothing to explain
        (self.points_,) = ax.plot(self.error[~front], self.disparity[~front], label=name, **grey)
        self.front_ = self.selected_ = None
        if front.any():
            order = np.flatnonzero(front)[np.lexsort((self.disparity[front], self.error[front]))]
            style = {"color": COLOURS[0], "marker": "s", "linestyle": "--", "linewidth": 1}
            points = (self.error[order], self.disparity[order])
            steps = {"drawstyle": "steps-post", "label": "undominated"}
            (self.front_,) = ax.plot(*points, **style, **steps)
        if self.selected is not None:
            ring = {"marker": "o", "markersize": 12, "linestyle": "", "markerfacecolor": "none"}
            at = (self.error[self.selected], self.disparity[self.selected])
            colour = {"color": COLOURS[1], "markeredgewidth": 2}
            (self.selected_,) = ax.plot(*at, label="chosen", zorder=3, **ring, **colour)

    def _order(self, front: NDArray[np.bool_]) -> list[int]:
        """Return the models as they are to be named: the chosen one, the front, the others."""
        chosen = [] if self.selected is None else [self.selected]
        priority = np.lexsort((self.error, np.logical_not(front)))
        return list(dict.fromkeys([*chosen, *priority.tolist()]))


def _short(label: Any) -> str:
    """Return a label as text; numbers without trailing zeros."""
    return f"{label:g}" if isinstance(label, float) else str(label)


def _check_error(metric: Any) -> None:
    """Raise ValueError for metrics of which smaller is not better."""
    as_metric(metric, "metric", lambda named: named.is_error, ", smaller being better")
