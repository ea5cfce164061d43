"""Residuals by group, quantile against quantile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from skfairloss._inputs.parameters import Check, check_parameters, one_of
from skfairloss._typing import Array
from skfairloss.displays._pairs import PairsDisplay, Predicted, weighted_quantiles

AGAINST = ("all_rows", "normal")
_CHECKS: dict[str, Check] = {"against": one_of(AGAINST)}
_POINTS = 200  # of a group: more would lie on one another


class GroupResidualDisplay(PairsDisplay):
    """Quantiles of each group's residuals against those of all rows, or of a normal distribution.

    The residual is true - predicted. Against all rows, a group on the line has residuals like those
    of all rows. A group above the line has larger residuals, and a steeper one has larger residuals
    of both signs.

    Parameters
    ----------
    groups : sequence
        Names of the groups.

    reference : sequence of array-likes of shape (n_quantiles,)
        Quantiles to compare with, an array for each group.

    residuals : sequence of array-likes of shape (n_quantiles,)
        Quantiles of the group's residuals, of the same shares.

    against : {"all_rows", "normal"}, default="all_rows"
        What ``reference`` is: residuals of all rows, or a standard normal distribution.

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
        The line to compare with, after `plot`.

    See Also
    --------
    GroupCalibrationDisplay : Mean residuals by size of the prediction.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from skfairloss.displays import GroupResidualDisplay
    >>> rng = np.random.default_rng(0)
    >>> y, group = rng.normal(size=200), np.repeat(["a", "b"], 100)
    >>> display = GroupResidualDisplay.from_predictions(y, 0 * y, sensitive_features=group)
    >>> display.ax_.get_xlabel()
    'residual of all rows (true - predicted)'
    >>> plt.close(display.figure_)
    """

    _line = "as all rows"

    def __init__(
        self,
        groups: Sequence[Any],
        reference: Sequence[ArrayLike],
        residuals: Sequence[ArrayLike],
        *,
        against: str = "all_rows",
        group_name: str = "group",
    ) -> None:
        check_parameters(None, {"against": against}, _CHECKS)
        super().__init__(groups, reference, residuals, ("reference", "residuals"), group_name)
        self.reference, self.residuals, self.against = self._x, self._y, against
        if against != AGAINST[0]:
            self._line = "no residual"

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        *,
        sensitive_features: Any,
        sample_weight: ArrayLike | None = None,
        against: str = "all_rows",
        ax: Any = None,
        legend: bool = True,
        title: str | None = None,
    ) -> Self:
        """Find the quantiles of the residuals and plot.

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

        against : {"all_rows", "normal"}, default="all_rows"
            What to compare with. At "normal" residuals of a normal distribution are on a straight
            line, whose slope is their standard deviation.

        ax : matplotlib.axes.Axes, default=None
            Where to draw; ``None`` makes a figure.

        legend : bool, default=True
            As in `plot`.

        title : str, default=None
            As in `plot`.

        Returns
        -------
        display : GroupResidualDisplay
            After `plot`.

        Raises
        ------
        TypeError, ValueError
            If ``ax`` is no matplotlib Axes, shapes do not match, values are not finite, or an
            option is out of range.
        """
        check_parameters(None, {"against": against}, _CHECKS)
        read = Predicted.read(y_true, y_pred, sensitive_features, sample_weight)
        true, pred, weights = read.whole
        reference, residuals = [], []
        for own_true, own_pred, own_weights in read.parts:
            number = min(len(own_true), _POINTS)
            shares = (np.arange(number) + 0.5) / number
            residuals.append(weighted_quantiles(own_true - own_pred, own_weights, shares))
            if against == AGAINST[0]:
                reference.append(weighted_quantiles(true - pred, weights, shares))
            else:
                reference.append(ndtri(shares))
        display = cls(
            read.groups, reference, residuals, against=against, group_name=read.group_name
        )
        return display.plot(ax, legend=legend, title=title)

    def plot(self, ax: Any = None, *, legend: bool = True, title: str | None = None) -> Self:
        """Draw the points of each group and the line to compare with.

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
        self : GroupResidualDisplay
            With ``ax_``, ``figure_`` and the artists.

        Raises
        ------
        TypeError
            If ``ax`` is no matplotlib Axes.
        """
        signs = "(true - predicted)"
        labels = ("quantile of a normal distribution", f"residual of the group {signs}")
        if self.against == AGAINST[0]:
            labels = (f"residual of all rows {signs}", labels[1])
        style = {"linestyle": "none", "markersize": 3.5}
        self._draw(ax, legend, title, labels, style)
        return self

    def _ends(self) -> tuple[Array, Array]:
        """Return the ends of the line: of equal quantiles, or at 0."""
        across, equal = super()._ends()
        return across, equal if self.against == AGAINST[0] else np.zeros(2)
