"""Coefficients along the mix of the loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skfairloss._inputs.groups import counted
from skfairloss.displays._layout import add_legend, keep_within, label_axes, make_room, space_ticks
from skfairloss.displays._style import ALL_ROWS, group_label, new_axes, numbers, series_style

NAMED = 8  # lines that can be told apart in one legend


class CoefficientPathDisplay:
    """Coefficients of one output against the mix of the loss.

    The lines with the largest coefficients are named; those of further features are thin and grey.

    Parameters
    ----------
    loss_mixes : array-like of shape (n_mixes,)
        The mixes, in any order.

    coefs : array-like of shape (n_mixes, n_features)
        Coefficients.

    features : sequence of str
        Names of the features.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes, after `plot`.

    figure_ : matplotlib.figure.Figure
        The figure, after `plot`.

    lines_ : list of matplotlib.lines.Line2D
        The line of each feature, after `plot`.

    See Also
    --------
    skfairloss.model_selection.loss_mix_path : Computes the path.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skfairloss.displays import CoefficientPathDisplay
    >>> display = CoefficientPathDisplay([0, 0.5, 1], [[1, 2], [1.5, 1], [2, 0]], ["a", "b"]).plot()
    >>> [line.get_label() for line in display.lines_]
    ['a', 'b']
    >>> plt.close(display.figure_)
    """

    def __init__(self, loss_mixes: ArrayLike, coefs: ArrayLike, features: Sequence[str]) -> None:
        self.features = list(features)
        mixes = np.asarray(loss_mixes, dtype=float)
        order = np.argsort(mixes)
        shape = (len(mixes), len(self.features))
        self.loss_mixes = mixes[order]
        self.coefs = numbers(coefs, shape, "coefs")[order]

    def __repr__(self) -> str:
        mixes = f"{len(self.loss_mixes)} of loss_mix"
        return f"CoefficientPathDisplay({counted(len(self.features), 'feature')}, {mixes})"

    def plot(self, ax: Any = None, *, legend: bool = True, title: str | None = None) -> Self:
        """Draw a line for each feature.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; ``None`` makes a figure.

        legend : bool, default=True
            Whether to name the lines, above them and inside the axes.

        title : str, default=None
            Above the axes; ``None`` leaves the title as it is.

        Returns
        -------
        self : CoefficientPathDisplay
            With ``ax_``, ``figure_`` and the artists.

        Raises
        ------
        TypeError
            If ``ax`` is no matplotlib Axes.
        """
        self.ax_ = ax = new_axes(ax, (6.4, 4.4))
        self.figure_ = ax.figure
        ax.axhline(0.0, **ALL_ROWS | {"linestyle": "--", "linewidth": 1.0})
        size = np.abs(self.coefs).max(axis=0)
        named = np.argsort(-size, kind="stable")[:NAMED]
        style: dict[int, dict[str, Any]] = {
            int(j): series_style(k) | {"markersize": 5} for k, j in enumerate(named)
        }
        thin = {"color": "0.6", "linewidth": 0.8, "zorder": 1}
        self.lines_ = []
        for j, name in enumerate(self.features):
            own = style.get(j, thin)
            values = self.coefs[:, j]
            self.lines_ += ax.plot(self.loss_mixes, values, label=group_label(name), **own)
        label_axes(ax, x="loss_mix (0: L2, 1: L1)", y="coefficient", title=title)
        space_ticks(ax)
        above = None
        if legend:
            handles = [self.lines_[j] for j in named]
            above = add_legend(ax, handles, [handle.get_label() for handle in handles], "feature")
        make_room(ax, above=above)
        keep_within(ax)
        return self
