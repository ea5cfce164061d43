"""A report as Markdown, for model cards."""

from __future__ import annotations

from skfairloss.report._table import Row, Table


def to_markdown(table: Table) -> str:
    """Return the title, a pipe table with intervals beside values, and the notes."""
    head = ["", "n", *map(_escaped, table.metrics)]
    lines = [_line(head), _line([":---", *["---:"] * (len(head) - 1)])]
    lines += [_line(_cells(row)) for row in table.rows]
    notes = [_escaped(note) for note in table.notes]
    return "\n\n".join([f"**{_escaped(table.title)}**", "\n".join(lines), *notes])


def _cells(row: Row) -> list[str]:
    """Return one row of the table."""
    label = _escaped(row.label + " *" * row.is_small)
    return [label, row.count, *(f"{cell.text} {cell.limits}".rstrip() for cell in row.cells)]


def _line(cells: list[str]) -> str:
    """Return cells between pipes."""
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    """Return text in one line in which no character has a meaning for Markdown or HTML."""
    line = " ".join(text.split())
    for letter in "\\`*_|[]":
        line = line.replace(letter, f"\\{letter}")
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
