"""A report in a notebook: a table without scripts, readable on light and dark pages."""

from __future__ import annotations

import base64
import copy
import io
import math
from dataclasses import dataclass
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
  text-align: left; min-width: 6em; max-width: 18em; white-space: normal; overflow-wrap: anywhere; }
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
    return page(f"{table_html(table)}{_image(images)}")


def page(content: str) -> str:
    """Return HTML with the style of reports around it."""
    return f'<div class="skfairloss-report"><style>{STYLE}</style>\n{content}</div>'


def table_html(table: Table) -> str:
    """Return the title, the table with a drawing of each interval, and the notes."""
    head = "".join(
        f'<th scope="col">{escape(name)}</th>' for name in (table.count_title, *table.metrics)
    )
    scales = _scales(table)
    body = "\n".join(_row(row, scales) for row in table.rows)
    notes = "".join(f"<p>{escape(note)}</p>" for note in table.notes)
    return (
        f"<p><strong>{escape(table.title)}</strong></p>\n"
        f"<table><thead><tr><td></td>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>\n"
        f"{notes}"
    )


@dataclass(frozen=True)
class _Scale:
    """The values at the ends of the drawings of a column.

    ``has_zero`` says that it is one of differences: it holds 0, which is marked, and all rows.
    """

    low: float
    high: float
    has_zero: bool

    def at(self, value: float) -> float:
        """Return the place of a value, in pixels."""
        inside = min(max(value, self.low), self.high)
        return round(4 + (WIDTH - 8) * (inside - self.low) / (self.high - self.low), 1)


def _scales(table: Table) -> list[_Scale | None]:
    """Return the scale of each column. None where there is nothing to draw."""
    values = [row for row in table.rows if _is_value(row)]
    together = [row.cells[j] for j in table.differences for row in table.rows]
    shared = _scale(together, has_zero=True)
    return [
        shared if j in table.differences else _scale([row.cells[j] for row in values])
        for j in range(len(table.metrics))
    ]


def _is_value(row: Row) -> bool:
    """Tell whether a row has values of a metric itself, which share a scale."""
    return row.statistic in ("by_group", "overall")


def _row(row: Row, scales: list[_Scale | None]) -> str:
    """Return one row of the table."""
    mark = ' <abbr title="fewer than 30 rows">*</abbr>' if row.is_small else ""
    cells = [
        f"<td>{escape(cell.text)}"
        + (f"<small>{escape(cell.limits)}</small>" if cell.limits else "")
        + (_drawing(cell, scale) if scale and (_is_value(row) or scale.has_zero) else "")
        + "</td>"
        for cell, scale in zip(row.cells, scales, strict=True)
    ]
    return (
        f'<tr class="{row.statistic}"><th scope="row">{escape(row.label)}{mark}</th>'
        f"<td>{row.count}</td>{''.join(cells)}</tr>"
    )


def _scale(cells: list[Cell], *, has_zero: bool = False) -> _Scale | None:
    """Return the scale from the smallest to the largest end of intervals. None without any."""
    ends = [end for cell in cells for end in (cell.lower, cell.upper) if not math.isnan(end)]
    ends += [0.0] * (has_zero and bool(ends))
    return _Scale(min(ends), max(ends), has_zero) if ends and min(ends) < max(ends) else None


def _drawing(cell: Cell, scale: _Scale) -> str:
    """Draw the interval and the value on the scale of the column."""
    if not cell.has_interval:
        return ""
    middle, zero = HEIGHT / 2, scale.at(0.0)
    mark = f'<line x1="{zero}" x2="{zero}" y1="0" y2="{HEIGHT}" opacity="0.5"/>'
    low, high = scale.at(cell.lower), scale.at(cell.upper)
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT}" aria-hidden="true" stroke="currentColor">'
        f"{mark if scale.has_zero else ''}"
        f'<line x1="{low}" x2="{high}" y1="{middle}" y2="{middle}"/>'
        f'<circle cx="{scale.at(cell.value)}" cy="{middle}" r="3" fill="currentColor"/></svg>'
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
