"""Names beside rows of points, and what explains the points above the first row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from skfairloss.displays._layout import add_legend, cell_of, fit_texts, settle, share_of, size_of

NAMES = 1 / 3  # of the width, for names at most


def height_of_rows(names: Sequence[str]) -> float:
    """Return the height in inches of a figure with a row for each name."""
    return 1.5 + 0.19 * sum(len(name) // 30 + 1.6 for name in names)


def name_rows(ax: Any, names: list[str], share: float) -> None:
    """Write the names beside the rows, in lines that fit into a share of the height."""
    settle(ax)
    height = share * size_of(ax)[1] / len(names)
    texts, points = fit_texts(names, NAMES * cell_of(ax)[0], height)
    ax.set_yticks(range(len(names)), texts, fontsize=points)


def explain_rows(ax: Any, n_rows: int) -> float:
    """Put a legend above the first row; return its share of the height."""
    handles, labels = _first_of_each(*ax.get_legend_handles_labels())
    if len(labels) < 2:
        return 0.0  # nothing to tell apart
    share = share_of(ax, add_legend(ax, handles, labels, None))
    ax.set_ylim(n_rows - 0.5, -0.5 - n_rows * share / (1 - share))
    return share


def row_name(label: str, count: float | None) -> str:
    """Return the name of a row, with a number of rows where there is one."""
    return label if count is None else f"{label} (n\u00a0=\u00a0{count:.0f})"


def _first_of_each(handles: list[Any], labels: list[str]) -> tuple[list[Any], list[str]]:
    """Return one handle for each label."""
    first = dict(zip(reversed(labels), reversed(handles), strict=True))
    ordered = list(dict.fromkeys(labels))
    return [first[label] for label in ordered], ordered
