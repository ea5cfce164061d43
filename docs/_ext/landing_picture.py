"""The picture of the landing page, drawn by each build: errors by group under each mix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from sklearn.model_selection import train_test_split
from sphinx.application import Sphinx

from skfairloss import PixelLossRegressor
from skfairloss.datasets import load_photo_patches, make_pixel_groups
from skfairloss.metrics import group_metric_frame

PICTURE = "generated/which_loss.svg"
MIXES = np.linspace(0, 1, 6)
COLOURS = {"dark": "0.2", "bright": "0.6"}


def setup(app: Sphinx) -> dict[str, Any]:
    """Draw before pages are read."""
    app.connect("builder-inited", draw)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def draw(app: Sphinx) -> None:
    """Draw both cases side by side."""
    path = Path(app.srcdir) / PICTURE
    path.parent.mkdir(exist_ok=True)
    figure, axes = plt.subplots(1, 2, figsize=(7, 3.2), layout="constrained")
    X, y, groups = make_pixel_groups(100, minority_share=0.3, random_state=0)
    draw_errors(axes[0], (X, X, y, y, groups))
    axes[0].set_title("One grey value for all,\n30 % dark images")
    data = load_photo_patches(return_X_y=True)
    X, X_test, y, y_test, _, groups = train_test_split(*data, stratify=data[2], random_state=0)
    draw_errors(axes[1], (X, X_test, y, y_test, groups))
    axes[1].set_title("Half a photo patch\nfrom the other half")
    axes[0].set_ylabel("mean absolute error")
    axes[0].legend(frameon=False, loc="center right")
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def draw_errors(ax: Axes, data: tuple[Any, ...]) -> None:
    """Draw the mean absolute error of each group on the rows to be scored, against the mix."""
    X, X_test, y, y_test, groups = data
    errors = []
    for loss_mix in MIXES:
        predicted = PixelLossRegressor(float(loss_mix)).fit(X, y).predict(X_test)
        frame = group_metric_frame(y_test, predicted, sensitive_features=groups)
        errors.append(frame.by_group["mae"])
    for group in errors[0].index:
        name = group.split()[0]
        values = [error[group] for error in errors]
        ax.plot(MIXES, values, "o-", color=COLOURS[name], label=f"{name} images")
        for place in (0, -1):
            ax.annotate(
                f"{round(values[place], 3):.2g}",
                (MIXES[place], values[place]),
                xytext=(0, 6),
                textcoords="offset points",
                ha=("left", "right")[place],
            )
    ax.set(xlabel="loss_mix (0: L2, 1: L1)", ylim=(0, 1.15 * max(map(max, errors))))
    ax.title.set_fontsize("medium")
