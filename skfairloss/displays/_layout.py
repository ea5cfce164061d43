"""The layout of displays: within the axes they are given, and no text over another."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skfairloss._typing import Array

SIZES = ("medium", "small", "x-small")  # of names, the largest that fits
LINE = 1.25  # height of a line, in sizes of the font
FILLED = (0.35, 0.45)  # of the axes: where a legend is set smaller, and where its names are cut
SLACK = 2 * 1.08  # sizes of the font: the pads of a tight layout; a constrained one leaves less
LEAST = 0.1  # of a box too small for labels: what axes keep
TICKS = 7  # with labels, at most: about as many as are read at a glance
HANDLE = 3.5  # sizes of the font: the mark of a name in a legend, with what is beside it
PASSES = 6  # ticks change where the axes shrink, and a title moves with them
PADDING = 0.06  # inches between a text and what is beside it


def settle(ax: Any) -> None:
    """Let the layout of the figure take place, so that texts can be measured."""
    ax.figure.figure.draw_without_rendering()  # of a subfigure, .figure is the whole figure


def size_of(ax: Any) -> tuple[float, float]:
    """Width and height of the axes in inches, also once other axes of a grid are drawn.

    A figure with a layout of its own gives all axes of a grid the size of the smallest, and those
    that are drawn later are not known yet: they are taken to need the room for labels of this one.
    """
    dpi = ax.figure.figure.dpi
    width, height = ax.bbox.width / dpi, ax.bbox.height / dpi
    if _is_arranged(ax) and ax.get_subplotspec().get_gridspec().get_geometry() != (1, 1):
        across, down = cell_of(ax)
        labels = (ax.get_tightbbox().size - ax.bbox.size) / dpi + SLACK * _points("medium") / 72
        width = min(width, max(across - labels[0], LEAST * across))
        height = min(height, max(down - labels[1], LEAST * down))
    return width, height


def cell_of(ax: Any) -> tuple[float, float]:
    """Width and height in inches of what the axes and their labels share."""
    dpi = ax.figure.figure.dpi
    spec = ax.get_subplotspec()
    if spec is None or not _is_arranged(ax):
        box = _whole(ax, None)
        return box.width / dpi, box.height / dpi
    rows, columns = spec.get_gridspec().get_geometry()
    page = ax.figure.bbox
    share = (len(spec.colspan) / columns, len(spec.rowspan) / rows)
    return page.width / dpi * share[0], page.height / dpi * share[1]


def fit_texts(
    texts: Sequence[str], width: float, height: float, sizes: Sequence[str] = SIZES
) -> tuple[list[str], float]:
    """Break texts into lines that fit into inches, each; return them and the size in points.

    A text that does not fit in the smallest size loses its middle.
    """
    for size in sizes:
        points = _points(size)
        wrapped = [textwrap.wrap(text, _letters(text, width, points)) for text in texts]
        room = int(min(72 * height / (LINE * points) + 1e-9, 1000))
        if 0 < room >= max(map(len, wrapped), default=0) and fits_flat(texts, width, size):
            break
    room = max(room, 1)
    shown = [
        lines if len(lines) <= room else _shorten(text, _letters(text, width, points), room)
        for text, lines in zip(texts, wrapped, strict=True)
    ]
    return ["\n".join(lines).replace("$", r"\$") for lines in shown], points


def label_axes(ax: Any, *, x: str, y: str, title: str | None) -> None:
    """Name the axes, and put a title above them, in lines that are no longer than they are."""
    keep_within(ax)
    width, height = size_of(ax)
    for text, room, put in ((x, width, ax.set_xlabel), (y, height, ax.set_ylabel)):
        if text:
            put(wrap_text(text, room, "medium"))
    if title is not None:
        ax.set_title(wrap_text(title, 0.9 * width, "large"), fontsize="large")
    keep_within(ax)


def space_ticks(ax: Any) -> None:
    """Leave out ticks of the horizontal axis whose labels would touch."""
    if ax.get_xscale() != "linear":
        return
    width = size_of(ax)[0]
    for number in range(TICKS, 0, -1):
        ax.locator_params(axis="x", nbins=number, min_n_ticks=min(number, 2))
        if not _touch(ax, width):
            return


def fits_flat(texts: Sequence[str], width: float, size: str) -> bool:
    """Tell whether texts fit into a width in inches without breaking a word."""
    rooms = (_letters(text, width, _points(size)) for text in texts)
    longest = (max(map(len, text.split()), default=0) for text in texts)
    return all(word <= room for word, room in zip(longest, rooms, strict=True))


def wrap_text(text: str, width: float, size: str) -> str:
    """Break one text into lines that fit into a width in inches."""
    return "\n".join(textwrap.wrap(text, _letters(text, width, _points(size)))) or text


def add_legend(ax: Any, handles: Sequence[Any], labels: Sequence[str], title: str | None) -> Any:
    """Put a legend along the upper edge of the axes: inside, in as few lines as fit.

    The data are below it once `make_room` has been called. Names of which the legend would fill the
    axes are cut to a line each.
    """
    width, height = size_of(ax)

    def room(size: str, columns: int) -> float:
        return 0.9 * width / columns - HANDLE * _points(size) / 72

    several = range(2, min(len(labels), 4) + 1)
    numbers = [1, *(k for k in several if fits_flat(["m…m"], room(SIZES[-1], k), SIZES[-1]))]

    def put(size: str, columns: int, lines: float) -> tuple[Any, float]:
        tall = lines * LINE * _points(size) / 72
        names, _ = fit_texts(labels, room(size, columns), tall, [size])
        above = None if title is None else wrap_text(title, 0.9 * width, size)
        style = {"fontsize": size, "ncols": columns, "title": above, "title_fontsize": size}
        legend = _legend(ax, handles, names, style)
        return legend, legend.get_window_extent().height / ax.figure.figure.dpi

    for size, filled in zip(SIZES[1:], FILLED, strict=True):
        whole = [k for k in numbers if fits_flat(labels, room(size, k), size)]
        heights = {k: round(put(size, k, np.inf)[1], 1) for k in whole}  # of equals, fewer columns
        if whole and min(heights.values()) <= filled * height:
            return put(size, min(heights, key=heights.__getitem__), np.inf)[0]
    for columns in numbers:
        legend, tall = put(SIZES[-1], columns, 1)
        if tall <= FILLED[-1] * height:
            break
    return legend


def make_room(ax: Any, *, above: Any = None, below: Any = None) -> None:
    """Widen the vertical limits so that no data are behind artists at the edges of the axes.

    Automatic limits stay automatic, so that axes that share them agree.
    """
    top, bottom = share_of(ax, above), share_of(ax, below)
    ends = np.array([[0.5, -bottom], [0.5, 1 - bottom]]) / (1 - top - bottom)
    ends[1, 1] = 1 + top / (1 - top - bottom)
    limits = ax.transData.inverted().transform(ax.transAxes.transform(ends))
    ax.update_datalim(limits, updatex=False)
    ax.autoscale_view(scalex=False)


def are_within(ax: Any, artists: Sequence[Any]) -> bool:
    """Tell whether artists, of which some may be None, end before the right edge of the axes."""
    ends = [artist.get_window_extent().x1 for artist in artists if artist is not None]
    return bool(max(ends, default=0) <= ax.bbox.x1)


def share_of(ax: Any, artist: Any) -> float:
    """Share of the height of the axes that an artist takes, with what separates it from data."""
    if artist is None:
        return 0.0
    return float(min(height_of(ax, artist) / size_of(ax)[1], 0.75))


def height_of(ax: Any, artist: Any) -> float:
    """Height in inches of an artist, with what separates it from data."""
    return float(artist.get_window_extent().height / ax.figure.figure.dpi + 2 * PADDING)


def keep_within(ax: Any) -> None:
    """Shrink the axes until their labels are within the box that the axes had.

    A figure with a layout of its own, "constrained" or "tight", makes that room itself.
    """
    if _is_arranged(ax):
        settle(ax)
        return
    present = ax.get_axes_locator()
    shrunk = present if isinstance(present, _Shrunk) else _Shrunk(ax, present, np.zeros(4))
    for _ in range(PASSES):
        ax.set_axes_locator(shrunk)
        settle(ax)
        whole, tight = _whole(ax, None), ax.get_tightbbox()
        beyond = np.array([*(whole.min - tight.min), *(tight.max - whole.max)])
        margins = np.maximum(shrunk.margins + beyond / ax.figure.figure.dpi, 0)
        if np.abs(margins - shrunk.margins).max() < PADDING / 4:
            break
        shrunk = replace(shrunk, margins=margins)


@dataclass(frozen=True)
class _Shrunk:
    """Place of axes within their box, for `Axes.set_axes_locator`.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    base : the locator there was, which gives the box; None takes that of the figure's grid.
    margins : (4,), inches left, below, right and above.
    """

    ax: Any
    base: Any
    margins: Array

    def __call__(self, ax: Any, renderer: Any) -> Any:
        """Return the box without the margins, in fractions of the figure."""
        whole, dpi = _whole(ax, renderer), ax.figure.figure.dpi
        low, high = self.margins[:2] * dpi, self.margins[2:] * dpi
        kept = np.maximum(1 - (low + high) / whole.size, LEAST)
        scale = (1 - kept) * whole.size / np.where(low + high > 0, low + high, 1)
        corners = [whole.min + low * scale, whole.max - high * scale]
        return _box(corners).transformed(ax.figure.transSubfigure.inverted())

    def get_subplotspec(self) -> Any:
        """Return the cell of the grid, for `Figure.tight_layout`."""
        return self.ax.get_subplotspec()


def _whole(ax: Any, renderer: Any) -> Any:
    """Return the box that the axes were given, in pixels."""
    locator = ax.get_axes_locator()
    base = locator.base if isinstance(locator, _Shrunk) else locator
    place = ax.get_position(original=True) if base is None else base(ax, renderer)
    return place.transformed(ax.figure.transSubfigure)


def _is_arranged(ax: Any) -> bool:
    """Return True where the layout of the figure makes room for the labels of the axes."""
    return ax.figure.get_layout_engine() is not None and ax.get_subplotspec() is not None


def _legend(ax: Any, handles: Sequence[Any], labels: Sequence[str], style: dict[str, Any]) -> Any:
    """Legend in the upper left corner."""
    spaces = {"handlelength": 1.8, "labelspacing": 0.25, "columnspacing": 1.0, "borderpad": 0.0}
    place = {"loc": "upper left", "borderaxespad": 0.4, "frameon": False, "alignment": "left"}
    return ax.legend(handles, labels, **place, **spaces, handletextpad=0.5, **style)


def _points(size: str) -> float:
    """Return a named size in points."""
    from matplotlib.font_manager import FontProperties

    return float(FontProperties(size=size).get_size_in_points())


def _touch(ax: Any, width: float) -> bool:
    """Tell whether labels of the horizontal axis touch where it is some inches wide."""
    low, high = sorted(ax.get_xlim())
    ticks = zip(ax.get_xticks(), ax.get_xticklabels(), strict=True)
    shown = [(place, label) for place, label in ticks if low <= place <= high]
    middles = [(place - low) / (high - low) * width for place, _ in shown]
    halves = [_inches(label.get_text(), label.get_size()) / 2 + PADDING for _, label in shown]
    return bool((np.diff(middles) < np.add(halves[1:], halves[:-1])).any())


def _letters(text: str, width: float, points: float) -> int:
    """Return the number of letters of a text, in its own mean width, that fit into inches."""
    taken = _inches(text, points)
    return max(1, int(width * len(text) / taken)) if taken > 0 < width else 1


def _inches(text: str, points: float) -> float:
    """Return the width of a text in one line."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=points)
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]) / 72


def _shorten(text: str, letters: int, lines: int) -> list[str]:
    """Lines without the middle of the text."""
    for kept in range(letters * lines - 1, 1, -1):
        short = f"{text[: (kept + 1) // 2].rstrip()}…{text[-(kept // 2) :].lstrip()}"
        wrapped = textwrap.wrap(short, letters)
        if len(wrapped) <= lines:
            return wrapped
    return ["…"]


def _box(corners: Any) -> Any:
    """Rectangle between two corners."""
    from matplotlib.transforms import Bbox

    return Bbox(corners)
