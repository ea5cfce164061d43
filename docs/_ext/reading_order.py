"""The order of the gallery: that in which its first page lists the others."""

from __future__ import annotations

import re
from pathlib import Path

HEADER = Path(__file__).parents[2] / "examples/GALLERY_HEADER.rst"
NAMES = re.findall(r":doc:`(\w+)`", HEADER.read_text("utf-8"))


def position(filename: str) -> int:
    """Sort key of sphinx-gallery: place in the list; a page that is not in it is an error."""
    return NAMES.index(Path(filename).stem)
