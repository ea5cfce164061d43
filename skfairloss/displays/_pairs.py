"""Displays that draw two quantities of each group against one another, beside a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skfairloss._inputs.columns import named_columns
from skfairloss._inputs.groups import check_index, counted, encode_groups
from skfairloss._inputs.validation import check_numbers, check_weights
from skfairloss._typing import Array
from skfairloss.displays._layout import (
    add_legend,
    are_within,
    keep_within,
    label_axes,
    make_room,
    space_ticks,
)
from skfairloss.displays._style import ALL_ROWS, group_label, new_axes, numbers, series_style
from skfairloss.metrics._inputs import check_targets


@dataclass(frozen=True)
class Predicted:
    """Targets, predictions and weights of each group, one entry for each row and output.

    Parameters
    ----------
    groups : names.
    group_name : the names of the columns.
    parts : (y_true, y_pred, weights) of each group.
    """

    groups: list[Any]
    group_name: str
    parts: list[tuple[Array, Array, Array]]

    @classmethod
    def read(
        cls, y_true: Any, y_pred: Any, sensitive_features: Any, sample_weight: Any
    ) -> Predicted:
        """Check predictions and cut them into groups, without rows of weight zero."""
        check_index(sensitive_features, y_true=y_true, y_pred=y_pred, sample_weight=sample_weight)
        true, pred = check_targets(y_true, y_pred)
        n = len(true)
        weights = check_weights(sample_weight, n)
        kept = weights > 0
        groups = encode_groups(sensitive_features, n).subset(kept)
        true, pred = true.reshape(n, -1)[kept], pred.reshape(n, -1)[kept]
        spread = np.repeat(weights[kept, None], true.shape[1], axis=1)
        parts = []
        for code in range(groups.n_groups):
            own = groups.codes == code
            parts.append((true[own].ravel(), pred[own].ravel(), spread[own].ravel()))
        return cls(groups.labels, groups.title, parts)

    @property
    def whole(self) -> tuple[Array, Array, Array]:
        """All groups together."""
        true, pred, weights = (np.concatenate(part) for part in zip(*self.parts, strict=True))
        return true, pred, weights


class PairsDisplay:
    """Two quantities of each group, drawn against one another.

    Parameters
    ----------
    groups : names.
    x, y : arrays of one length for each group.
    names : what errors call x and y.
    group_name : what defines the groups.
    """

    _line = "equal"

    def __init__(
        self,
        groups: Sequence[Any],
        x: Sequence[ArrayLike],
        y: Sequence[ArrayLike],
        names: tuple[str, str],
        group_name: str,
    ) -> None:
        self.groups = list(groups)
        self.group_name = group_name
        for name, given in zip(names, (x, y), strict=True):
            if len(given) != len(self.groups):
                raise ValueError(
                    f"{name} must have an array for each of {counted(len(self.groups), 'group')}, "
                    f"got {len(given)}"
                )
        self._x = [numbers(own, (np.size(own),), names[0]) for own in x]
        self._y = [
            numbers(own, across.shape, names[1]) for own, across in zip(y, self._x, strict=True)
        ]

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: ArrayLike, *, sensitive_features: Any, **options: Any
    ) -> Self:
        """Predict with a fitted estimator and plot.

        Parameters
        ----------
        estimator : object
            Any fitted estimator with a method ``predict``.

        X : array-like or DataFrame of shape (n_samples, n_features)
            What it predicts from.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            True values.

        sensitive_features : list, array, Series, DataFrame or dict of 1-D arrays
            What defines the groups, or names of columns of X that do.

        **options : object
            Other arguments of `from_predictions`.

        Returns
        -------
        display : object
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
        predict: Any = cls
        return predict.from_predictions(
            y, estimator.predict(X), sensitive_features=sensitive_features, **options
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({counted(len(self.groups), 'group')})"

    def _draw(
        self, ax: Any, legend: bool, title: str | None, labels: tuple[str, str], style: Any
    ) -> None:
        """Draw the line, then the groups, and explain them."""
        self.ax_ = ax = new_axes(ax, (6.4, 4.4 + 0.1 * len(self.groups)))
        self.figure_ = ax.figure
        ends = self._ends()
        thin = ALL_ROWS | {"linestyle": "--", "linewidth": 1.4, "label": self._line}
        (self.line_,) = ax.plot(*ends, **thin)
        self.lines_ = []
        for j, group in enumerate(self.groups):
            own = series_style(j) | style
            self.lines_ += ax.plot(self._x[j], self._y[j], label=group_label(group), **own)
            self._draw_more(j, own["color"])
        label_axes(ax, x=labels[0], y=labels[1], title=title)
        space_ticks(ax)
        limits = ax.dataLim.get_points().copy()
        for _ in range(2):  # the room that is made can bring wider ticks, and so narrower axes
            ax.dataLim.set_points(limits)
            ax.autoscale_view(scalex=False)
            handles = [self.line_, *self.lines_] if legend else []
            above = None
            if handles:
                names = [handle.get_label() for handle in handles]
                above = add_legend(ax, handles, names, self.group_name)
            make_room(ax, above=above)
            keep_within(ax)
            if are_within(ax, (above,)):
                break

    def _ends(self) -> tuple[Array, Array]:
        """Return the ends of the line on which both quantities are equal."""
        across = np.concatenate(self._x)
        ends = np.array([across.min(), across.max()])
        return ends, ends

    def _draw_more(self, j: int, colour: str) -> None:
        """Draw what a group has beside its points: nothing."""


def weighted_quantiles(values: Array, weights: Array, shares: Array) -> Array:
    """Return quantiles of values under weights, linear between the middles of their steps."""
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weights[order]) - 0.5 * weights[order]
    return np.interp(shares, below / weights.sum(), values[order])
