"""The table of a report for text and HTML: labels, rounded numbers and notes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from skfairloss._inputs.groups import counted
from skfairloss._typing import Array
from skfairloss.displays._style import FEW_ROWS, group_label
from skfairloss.metrics._estimates import GroupEstimates
from skfairloss.metrics._named import metric_title

NAMES = {"overall": "all rows", "difference": "difference", "ratio": "ratio"}


@dataclass(frozen=True)
class Cell:
    """One value, as text and as numbers; NaN and "" for what is not there.

    ``limits`` says why, where there could be an interval with more rows.
    """

    text: str
    limits: str
    value: float
    lower: float
    upper: float

    @property
    def has_interval(self) -> bool:
        """True if both ends are known."""
        return not (math.isnan(self.lower) or math.isnan(self.upper))


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
    """Rows with a cell for each of the metrics, or of the models.

    Columns among ``differences`` are drawn on one scale, with a mark at 0. ``count_title`` is above
    what rows have for a count.
    """

    title: str
    metrics: list[str]
    rows: list[Row]
    notes: list[str]
    differences: tuple[int, ...] = ()
    count_title: str = "n"


def make_table(
    estimates: GroupEstimates, confidence_level: float | None, n_boot: int | None
) -> Table:
    """Put estimates into words; ``confidence_level`` is None without intervals."""
    frame, metrics, level = estimates.to_frame(), estimates.metrics, confidence_level
    columns = [_cells_of(estimates, frame, metric, level is not None) for metric in metrics]
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
        between = f" between {estimates.units[-1]} clusters" * estimates.clustered
        title += f"; {100 * level:.6g} % confidence intervals{between} from {n_boot} "
        title += "bootstrap samples"
    compared = "between groups" if estimates.method == "between_groups" else "of groups to all rows"
    signs = "residual = true - predicted" + "; bias = predicted - true" * ("bias" in metrics)
    notes = [f"{signs}; difference and ratio: {compared}"]
    if any(row.is_small for row in rows):
        notes.append(f"* fewer than {FEW_ROWS} rows")
        if level is not None:
            notes[-1] += ": intervals of skewed or heavy-tailed errors tend to be too narrow"
    # the notes say what a residual is
    titles = [metric_title(metric).partition(" (")[0] for metric in metrics]
    return Table(title, titles, rows, notes)


def _cells_of(
    estimates: GroupEstimates, frame: pd.DataFrame, metric: str, has_limits: bool
) -> list[Cell]:
    """Return the cells of a metric; what has too few rows, or clusters, says so."""
    own, units = frame[frame["metric"] == metric], estimates.units
    of_row = [*units, *[units[-1]] * (len(own) - len(units))]
    fewest = estimates.fewest[metric] if has_limits else 0
    few = f"too few {'clusters' if estimates.clustered else 'rows'}"
    return make_cells(own.assign(count=of_row), fewest, few)


def make_cells(frame: pd.DataFrame, fewest: int = 0, too_few: str = "") -> list[Cell]:
    """Return the values of one metric, rounded alike, except for the ratio.

    Below the count ``fewest`` of a group there is ``too_few`` in place of an interval, also of
    what compares it.
    """
    counts, known = frame["count"].to_numpy(), frame["value"].notna().to_numpy()
    groups = (frame["statistic"] == "by_group").to_numpy()
    compared = frame["statistic"].isin(["difference", "ratio"]).to_numpy()
    few = known & (counts < fewest) & ~compared
    few |= known & compared & (few & groups).any()
    numbers = frame[["value", "lower", "upper"]].to_numpy(dtype=float)
    is_ratio = (frame["statistic"] == "ratio").to_numpy()
    decimals = [_decimals(numbers[~is_ratio]), _decimals(numbers[is_ratio])]
    cells = []
    for (value, lower, upper), kind, is_few in zip(
        numbers.tolist(), is_ratio.astype(int), few, strict=True
    ):
        ends = [_text(end, decimals[kind]) for end in (lower, upper)]
        cell = Cell(_text(value, decimals[kind]), f"[{', '.join(ends)}]", value, lower, upper)
        if not cell.has_interval:
            cell = replace(cell, limits=too_few if is_few else "")
        cells.append(cell)
    return cells


def own_cell(value: float, lower: float, upper: float) -> Cell:
    """Return a value with its interval, rounded for itself."""
    decimals = _decimals(np.array([[value, lower, upper]]))
    text, low, high = (_text(each, decimals) for each in (value, lower, upper))
    return Cell(text, f"[{low}, {high}]", value, lower, upper)


def interval_text(value: float, lower: float, upper: float, *, signed: bool = False) -> str:
    """Return a value with its interval in words, as in "0.42 [0.31, 0.53]"."""
    decimals = _decimals(np.array([[value, lower, upper]]))
    texts = [_text(each, decimals) for each in (value, lower, upper)]
    if signed:
        texts = [f"+{text}" if float(text) > 0 else text for text in texts]
    return f"{texts[0]} [{texts[1]}, {texts[2]}]"


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
