"""The pictures of the user guide: the build runs a page's code and saves what its plots draw.

A page shows ``generated/guide/NAME.svg`` below the block that draws it. Pages without such a
picture are not run here; the tests run the code of all pages.
"""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from sklearn import config_context
from sphinx.application import Sphinx

FOLDER = "generated/guide"
PIECE = re.compile(
    rf"^```python\n(?P<code>.*?)^```$|^```\{{figure\}} {FOLDER}/(?P<name>\S+)$", re.M | re.S
)


def setup(app: Sphinx) -> dict[str, Any]:
    """Draw before pages are read."""
    app.connect("builder-inited", draw)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def draw(app: Sphinx) -> None:
    """Draw the pictures of all pages."""
    folder = Path(app.srcdir) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for page in sorted(Path(app.srcdir).glob("*.md")):
        pieces = list(PIECE.finditer(page.read_text("utf-8")))
        if any(piece["name"] for piece in pieces):
            with config_context(), contextlib.redirect_stdout(io.StringIO()):
                draw_page(page, pieces, folder)


def draw_page(page: Path, pieces: list[re.Match[str]], folder: Path) -> None:
    """Run the blocks up to the last picture; each picture is the figure drawn last."""
    names: dict[str, Any] = {"__name__": "__main__"}
    last = max(place for place, piece in enumerate(pieces) if piece["name"])
    for piece in pieces[: last + 1]:
        if piece["name"]:
            figure = plt.gcf()
            figure.savefig(folder / piece["name"], metadata={"Date": None}, bbox_inches="tight")
            plt.close("all")
        else:
            exec(compile(piece["code"], page.name, "exec"), names)
