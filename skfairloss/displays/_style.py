"""Names of groups and metrics, and styles that do not need colour, for all displays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from skfairloss._typing import Array

# Okabe and Ito's colours without yellow, too pale for lines on white, and black, for all rows.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "X", "P", "<", "*", ">", "h", "d", "p")
LINES = ("-", "--", "-.", ":")
ALL_ROWS = {"color": "black", "linewidth": 2.2}
FEW_ROWS = 30


def series_style(number: int) -> dict[str, Any]:
    """Colour, marker and line of a group; the numbers of periods have no common factor."""
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": MARKERS[number % len(MARKERS)],
        "linestyle": LINES[number % len(LINES)],
    }


def group_label(group: Any) -> str:
    """Name of a group in one line, a tuple with commas; what cannot be printed as in `ascii`."""
    name = ", ".join(map(str, group)) if isinstance(group, tuple) else str(group)
    line = " ".join(name.split()) or name
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in line)


def new_axes(ax: Any, size: tuple[float, float]) -> Any:
    """Return ``ax``, or the axes of a new figure of that size in inches."""
    try:
        import matplotlib.pyplot as plt
        from matplotlib.axes import Axes
    except ImportError as error:
        raise ImportError(
            "displays need matplotlib: python -m pip install 'skfairloss[plot]'"
        ) from error
    if ax is not None and not isinstance(ax, Axes):
        raise TypeError(f"ax must be one matplotlib Axes, got {type(ax).__name__}")
    return ax if ax is not None else plt.subplots(figsize=size, layout="constrained")[1]


def numbers(values: Any, shape: tuple[int, ...], name: str) -> Array:
    """As floats of a given shape."""
    array = np.asarray(values, dtype=float)
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
    return array


def numbers_or_none(values: Any, shape: tuple[int, ...], name: str) -> Array | None:
    """As floats of a given shape, None if there are none."""
    return None if values is None else numbers(values, shape, name)


def select(frame: Any, metric: str | None, columns: list[str]) -> tuple[pd.DataFrame, str]:
    """Rows of one metric of a tidy frame, and its name; it must be named if there are several."""
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(f"frame must be a pandas DataFrame, got {type(frame).__name__}")
    missing = [column for column in columns if column not in frame]
    if missing:
        raise ValueError(f"frame must have the columns {columns}, {missing} are missing")
    present = list(dict.fromkeys(frame["metric"]))
    if metric is None and len(present) == 1:
        metric = present[0]
    if metric not in present:
        raise ValueError(f"metric must be one of {present}, got {metric!r}")
    return frame[frame["metric"] == metric], str(metric)
