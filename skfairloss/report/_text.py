"""A report in the terminal."""

from __future__ import annotations

import shutil
import textwrap

from skfairloss.report._table import Table

MAX_LABEL = 36


def to_text(table: Table) -> str:
    """Return tables as wide as the terminal, one below the other, intervals below values."""
    blocks = [_block(table, columns) for columns in _split(table)]
    return "\n\n".join([table.title, *blocks, "\n".join(table.notes)])


def _labels(table: Table) -> list[list[str]]:
    """Return labels of the rows in lines, marked where the group is small."""
    marked = [row.label + " *" * row.is_small for row in table.rows]
    return [textwrap.wrap(label, MAX_LABEL) or [label] for label in marked]


def _widths(table: Table) -> tuple[int, int, list[int]]:
    """Return the widths of the labels, of the counts and of each metric."""
    label = max(14, *(len(part) for lines in _labels(table) for part in lines))
    count = max(len(table.count_title), *(len(row.count) for row in table.rows))
    columns = zip(*(row.cells for row in table.rows), strict=True)
    cells = [
        max(len(metric), *(max(len(cell.text), len(cell.limits)) for cell in column))
        for metric, column in zip(table.metrics, columns, strict=True)
    ]
    return label, count, cells


def _split(table: Table) -> list[list[int]]:
    """Split the metrics into blocks that fit side by side."""
    label, count, cells = _widths(table)
    room = shutil.get_terminal_size().columns
    blocks: list[list[int]] = [[]]
    used = label + count + 2
    for j, width in enumerate(cells):
        if blocks[-1] and used + width + 2 > room:
            blocks.append([])
            used = label + count + 2
        blocks[-1].append(j)
        used += width + 2
    return blocks


def _block(table: Table, columns: list[int]) -> str:
    """Write some of the metrics for all rows."""
    label, count, widths = _widths(table)

    def line(first: str, second: str, cells: list[str]) -> str:
        parts = [first.ljust(label), second.rjust(count)]
        parts += [cell.rjust(widths[j]) for cell, j in zip(cells, columns, strict=True)]
        return "  ".join(parts).rstrip()

    lines = [line("", table.count_title, [table.metrics[j] for j in columns])]
    for name, row in zip(_labels(table), table.rows, strict=True):
        cells = [row.cells[j] for j in columns]
        values, limits = [cell.text for cell in cells], [cell.limits for cell in cells]
        contents = [(row.count, values)] + [("", limits)] * any(limits)
        nothing = ("", [""] * len(columns))
        for i in range(max(len(name), len(contents))):
            part = name[i] if i < len(name) else ""
            lines.append(line(part, *(contents[i] if i < len(contents) else nothing)))
    return "\n".join(lines)
