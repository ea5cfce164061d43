"""Thumbnails of the gallery that can be read: one panel of the figure, not all of them.

The figure is the one of ``sphinx_gallery_thumbnail_number``, the panel its first one or that of
`PANELS`. Figures of many panels, such as rows of images, are shown whole.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from sphinx.application import Sphinx
from sphinx_gallery.scrapers import matplotlib_scraper
from sphinx_gallery.utils import scale_image

FOLDER = Path(__file__).parents[1] / "generated/panels"
PANELS = {"plot_wages_residual_parity": 1}
SEVERAL = range(2, 5)  # numbers of axes of which one is shown
AFTER_GALLERY = 900  # priority of an event; the gallery has the default, 500
NUMBER = re.compile(r"^# sphinx_gallery_thumbnail_number = (\d+)$", re.M)


def setup(app: Sphinx) -> dict[str, Any]:
    """Replace thumbnails when the gallery is there."""
    app.connect("builder-inited", replace, priority=AFTER_GALLERY)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def scrape(block: Any, block_vars: dict[str, Any], gallery_conf: Any) -> str:
    """Save the figures of a block as the gallery does, and a panel of each."""
    stem = Path(block_vars["src_file"]).stem
    before = len(block_vars["image_path_iterator"])
    for place, number in enumerate(plt.get_fignums(), start=before + 1):
        save_panel(plt.figure(number), FOLDER / f"{stem}_{place}.png", PANELS.get(stem, 0))
    return matplotlib_scraper(block, block_vars, gallery_conf)


def save_panel(figure: Figure, path: Path, panel: int) -> None:
    """Save one of several axes, with its title, labels and legend."""
    if len(figure.axes) not in SEVERAL:
        path.unlink(missing_ok=True)
        return
    figure.draw_without_rendering()
    box = figure.axes[panel].get_tightbbox().padded(5)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, bbox_inches=box.transformed(figure.dpi_scale_trans.inverted()), dpi=150)


def replace(app: Sphinx) -> None:
    """Put the panels in the places of the thumbnails."""
    gallery = Path(app.srcdir) / "auto_examples"
    for script in gallery.glob("plot_*.py"):
        chosen = NUMBER.search((gallery.parents[1] / "examples" / script.name).read_text("utf-8"))
        panel = FOLDER / f"{script.stem}_{chosen[1] if chosen else 1}.png"
        thumbnail = gallery / f"images/thumb/sphx_glr_{script.stem}_thumb.png"
        if panel.exists() and thumbnail.exists():
            scale_image(panel, thumbnail, *app.config.sphinx_gallery_conf["thumbnail_size"])
