"""Labels beside points, where there is room."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from skfairloss._typing import Array
from skfairloss.displays._layout import height_of, size_of, wrap_text

_PLACES = ((7, 7), (7, -7), (-7, 7), (-7, -7), (0, 11), (0, -11), (11, 0), (-11, 0))
_SHARES = (1, 1 / 2, 1 / 3, 1 / 4)  # of the width, for lines of the label that matters most


def draw_labels(
    ax: Any, points: Array, names: list[str], order: list[int], wrapped: int | None, legend: Any
) -> list[Any]:
    """Write labels beside points (n, 2) in data coordinates, not over one another or the legend.

    There must be room in the axes as they are, and as small as others of a grid may make them. A
    label without room is left out; the one ``wrapped`` may have several lines.
    """
    pages = [ax.bbox.size, np.array(size_of(ax)) * ax.figure.figure.dpi]
    sizes = [_Size.of(ax, points, page, legend) for page in pages]
    drawn = []
    for i in order:
        shapes = [names[i]]
        if i == wrapped:
            width = size_of(ax)[0]
            shapes = [wrap_text(names[i], share * width, "small") for share in _SHARES]
        text = _place(ax, points[i], shapes, i, sizes)
        if text is not None:
            drawn.append(text)
    return drawn


@dataclass(frozen=True)
class _Size:
    """Axes of a size, in pixels.

    Parameters
    ----------
    page : (2,), width and height.
    shifts : (n, 2), from where a point is on the screen to where it is from their corner.
    taken : boxes of marks, labels and the legend.
    """

    page: Array
    shifts: Array
    taken: list[Any]

    @classmethod
    def of(cls, ax: Any, points: Array, page: Array, legend: Any) -> _Size:
        """Take the marks of points and the legend in axes of a size."""
        dpi = ax.figure.figure.dpi
        shown, radius = ax.transData.transform(points), 5 * dpi / 72
        places = (shown - ax.bbox.min) * (page / ax.bbox.size)
        taken = [_box(place - radius, place + radius) for place in places]
        if legend is not None:
            low = page[1] - height_of(ax, legend) * dpi
            taken.append(_box(np.array([0, low]), page))
        return cls(page, places - shown, taken)

    def is_free(self, box: Any) -> bool:
        """Tell whether a box is inside, and on nothing else."""
        inside = (box.min >= 0).all() and (box.max <= self.page).all()
        return bool(inside) and not any(box.overlaps(other) for other in self.taken)


def _place(ax: Any, point: Array, shapes: list[str], i: int, sizes: list[_Size]) -> Any:
    """Write one label in the first shape and place that are free, and take it; or nowhere."""
    for name, (dx, dy) in product(shapes, _PLACES):
        text = ax.annotate(
            name,
            point,
            (dx, dy),
            textcoords="offset points",
            ha="center" if dx == 0 else ("left" if dx > 0 else "right"),
            va="center" if dy == 0 else ("bottom" if dy > 0 else "top"),
            fontsize="small",
            annotation_clip=False,
        )
        box = text.get_window_extent()
        boxes = [box.translated(*size.shifts[i]) for size in sizes]
        if all(size.is_free(b) for size, b in zip(sizes, boxes, strict=True)):
            text.set_in_layout(False)
            for size, b in zip(sizes, boxes, strict=True):
                size.taken.append(b)
            return text
        text.remove()
    return None


def _box(low: Array, high: Array) -> Any:
    """Return the rectangle between two corners."""
    from matplotlib.transforms import Bbox

    return Bbox([low, high])
