"""The table of a report for text and HTML: labels, rounded numbers and notes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from skfairloss._inputs.groups import counted
from skfairloss._typing import Array
from skfairloss.displays._style import FEW_ROWS, group_label
from skfairloss.metrics._named import metric_title

NAMES = {"overall": "all rows", "difference": "difference", "ratio": "ratio"}


@dataclass(frozen=True)
class Cell:
    """One value, as text and as numbers; NaN and "" for what is not there."""

    text: str
    limits: str
    value: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Row:
    """A group, all rows, or a comparison; ``count`` is "" for comparisons."""

    label: str
    count: str
    is_small: bool
    statistic: str
    cells: list[Cell]


@dataclass(frozen=True)
class Table:
    """Rows with a cell for each of the metrics."""

    title: str
    metrics: list[str]
    rows: list[Row]
    notes: list[str]


def make_table(frame: pd.DataFrame, method: str, level: float | None, n_boot: int | None) -> Table:
    """Put the tidy table of a report into words."""
    metrics = list(dict.fromkeys(frame["metric"]))
    columns = [_cells(frame[frame["metric"] == metric]) for metric in metrics]
    first = frame[frame["metric"] == metrics[0]]
    rows = []
    for i, (statistic, group, count) in enumerate(
        zip(first["statistic"], first["group"], first["count"], strict=True)
    ):
        of_rows = statistic in ("by_group", "overall")
        label = group_label(group) if statistic == "by_group" else NAMES[statistic]
        rows.append(
            Row(
                label=label,
                count=str(count) if of_rows else "",
                is_small=statistic == "by_group" and count < FEW_ROWS,
                statistic=statistic,
                cells=[cells[i] for cells in columns],
            )
        )
    groups = [row for row in rows if row.statistic == "by_group"]
    n_rows = first.loc[first["statistic"] == "overall", "count"].iloc[0]
    title = f"GroupReport: {counted(n_rows, 'row')}, {counted(len(groups), 'group')}"
    if level is not None:
        title += f"; {100 * level:.6g} % confidence intervals from {n_boot} bootstrap samples"
    compared = "between groups" if method == "between_groups" else "of groups to all rows"
    signs = "residual = true - predicted" + "; bias = predicted - true" * ("bias" in metrics)
    notes = [f"{signs}; difference and ratio: {compared}"]
    if any(row.is_small for row in rows):
        notes.append(f"* fewer than {FEW_ROWS} rows")
        if level is not None:
            notes[-1] += ": the interval tends to be too narrow; one row has none"
    # the notes say what a residual is
    titles = [metric_title(metric).partition(" (")[0] for metric in metrics]
    return Table(title, titles, rows, notes)


def _cells(frame: pd.DataFrame) -> list[Cell]:
    """Return the values of one metric, rounded alike, except for the ratio."""
    numbers = frame[["value", "lower", "upper"]].to_numpy(dtype=float)
    is_ratio = (frame["statistic"] == "ratio").to_numpy()
    decimals = [_decimals(numbers[~is_ratio]), _decimals(numbers[is_ratio])]
    cells = []
    for (value, lower, upper), kind in zip(numbers.tolist(), is_ratio.astype(int), strict=True):
        known = not (math.isnan(lower) or math.isnan(upper))
        ends = [_text(end, decimals[kind]) for end in (lower, upper)]
        limits = f"[{', '.join(ends)}]" if known else ""
        cells.append(Cell(_text(value, decimals[kind]), limits, value, lower, upper))
    return cells


def _decimals(numbers: Array) -> int:
    """Return the digits after the point: two of the narrowest interval, or three of values."""
    values, lower, upper = numbers.T
    widths = [width for width in (upper - lower).tolist() if width > 0]
    sizes = [size for size in np.abs(values).tolist() if size > 0]
    if widths:
        return 1 - math.floor(math.log10(min(widths)))
    return 2 - math.floor(math.log10(max(sizes))) if sizes else 1


def _text(value: float, decimals: int) -> str:
    """Return a number with that many digits after the point, if they are few."""
    if math.isnan(value):
        return "-"
    if decimals > 6 or abs(value) >= 1e12:
        return f"{value:.4g}"
    digits = max(decimals, 0)
    return f"{round(value, digits) + 0.0:.{digits}f}"  # no -0.0
