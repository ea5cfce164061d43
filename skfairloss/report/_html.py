"""A report in a notebook: a table without scripts, readable on light and dark pages."""

from __future__ import annotations

import base64
import copy
import io
import math
from html import escape
from importlib.util import find_spec

from skfairloss.displays import PixelGroupDisplay
from skfairloss.report._table import Cell, Row, Table

STYLE = """
.skfairloss-report { font-family: system-ui, sans-serif; font-size: 13px; overflow-x: auto; }
.skfairloss-report table {
  border-collapse: collapse; margin: 0.5em 0; color: inherit; font-size: inherit; }
.skfairloss-report th, .skfairloss-report td {
  padding: 0.3em 0.8em; text-align: right; vertical-align: top; background: none;
  font-variant-numeric: tabular-nums; border: 0; white-space: nowrap; }
.skfairloss-report th { font-weight: 600; }
.skfairloss-report tbody th {
  text-align: left; max-width: 18em; white-space: normal; overflow-wrap: anywhere; }
.skfairloss-report thead tr, .skfairloss-report tr.overall, .skfairloss-report tr.difference {
  border-bottom: 1px solid currentColor; }
.skfairloss-report tr.overall { border-top: 1px solid currentColor; }
.skfairloss-report small { display: block; opacity: 0.75; font-size: 0.85em; }
.skfairloss-report svg { display: block; margin: 0.15em 0 0 auto; }
.skfairloss-report p { margin: 0.3em 0; }
.skfairloss-report img { max-width: 100%; background: white; }
"""
WIDTH, HEIGHT = 92, 9  # of the drawings, in pixels


def to_html(table: Table, images: PixelGroupDisplay | None) -> str:
    """Return the table with a drawing of each interval, notes, and images with matplotlib."""
    values = [row for row in table.rows if _is_value(row)]
    ranges = [_range([row.cells[j] for row in values]) for j in range(len(table.metrics))]
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in ("n", *table.metrics))
    body = "\n".join(_row(row, ranges) for row in table.rows)
    notes = "".join(f"<p>{escape(note)}</p>" for note in table.notes)
    return (
        f'<div class="skfairloss-report"><style>{STYLE}</style>\n'
        f"<p><strong>{escape(table.title)}</strong></p>\n"
        f"<table><thead><tr><td></td>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>\n"
        f"{notes}{_image(images)}</div>"
    )


def _is_value(row: Row) -> bool:
    """Tell whether a row has values of a metric itself, which share a scale."""
    return row.statistic in ("by_group", "overall")


def _row(row: Row, ranges: list[tuple[float, float] | None]) -> str:
    """Return one row of the table."""
    mark = ' <abbr title="fewer than 30 rows">*</abbr>' if row.is_small else ""
    cells = [
        f"<td>{escape(cell.text)}"
        + (f"<small>{escape(cell.limits)}</small>" if cell.limits else "")
        + (_drawing(cell, limits) if limits and _is_value(row) else "")
        + "</td>"
        for cell, limits in zip(row.cells, ranges, strict=True)
    ]
    return (
        f'<tr class="{row.statistic}"><th scope="row">{escape(row.label)}{mark}</th>'
        f"<td>{row.count}</td>{''.join(cells)}</tr>"
    )


def _range(cells: list[Cell]) -> tuple[float, float] | None:
    """Return the smallest and largest end of a column's intervals. None if there are none."""
    ends = [end for cell in cells for end in (cell.lower, cell.upper) if not math.isnan(end)]
    return (min(ends), max(ends)) if ends and min(ends) < max(ends) else None


def _drawing(cell: Cell, limits: tuple[float, float]) -> str:
    """Draw the interval and the value on the scale of the column."""
    if not cell.has_interval:
        return ""
    low, high = limits

    def at(value: float) -> float:
        inside = min(max(value, low), high)
        return round(4 + (WIDTH - 8) * (inside - low) / (high - low), 1)

    middle = HEIGHT / 2
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT}" aria-hidden="true" stroke="currentColor">'
        f'<line x1="{at(cell.lower)}" x2="{at(cell.upper)}" y1="{middle}" y2="{middle}"/>'
        f'<circle cx="{at(cell.value)}" cy="{middle}" r="3" fill="currentColor"/></svg>'
    )


def _image(images: PixelGroupDisplay | None) -> str:
    """Embed the images of the groups as PNG."""
    if images is None or find_spec("matplotlib") is None:
        return ""
    import matplotlib.pyplot as plt

    figure = copy.copy(images).plot().figure_
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=100)
    plt.close(figure)
    code = base64.b64encode(picture.getvalue()).decode("ascii")
    names = escape(", ".join(map(str, images.groups)))
    return (
        f'<img alt="truth, prediction and absolute error: {names}" '
        f'src="data:image/png;base64,{code}"/>'
    )
