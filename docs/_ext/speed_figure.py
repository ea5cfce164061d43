"""The figure on speed, drawn by each build from the file of the plain fits."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from sphinx.application import Sphinx

sys.path.append(str(Path(__file__).parents[2] / "tests/benchmarks"))

from bench.fits import OURS
from bench.speed.results import Row, is_measured, load, rows_of, size_of

FIGURE = "generated/speed.svg"
MARKS = ("o", "s", "^", "D", "v")
LEFT_OUT = ("Cholesky", "Ridge", "LinearRegression")  # they minimise another loss


def setup(app: Sphinx) -> dict[str, Any]:
    """Draw before pages are read."""
    app.connect("builder-inited", draw)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def draw(app: Sphinx) -> None:
    """Draw the time of plain L1 fits: a row for each library, a mark for each size."""
    rows = [
        row
        for row in rows_of(load(Path(app.srcdir) / "speed"), "plain_fits")
        if row["loss_mix"] == 1 and is_measured(row) and row["fit"] not in LEFT_OUT
    ]
    slowest: dict[str, float] = {}
    for row in rows:
        slowest[row["fit"]] = max(row["ratio to R"], slowest.get(row["fit"], 0.0))
    names = sorted(slowest, key=lambda name: (name != OURS, slowest[name]))
    path = Path(app.srcdir) / FIGURE
    path.parent.mkdir(exist_ok=True)
    figure, ax = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
    for mark, (size, shown) in zip(MARKS, by_size(rows).items(), strict=True):
        places = [names.index(row["fit"]) for row in shown]
        ax.plot(
            [row["ratio to R"] for row in shown], places, mark, markersize=5, alpha=0.8, label=size
        )
    ax.axvline(1, color="0.4", lw=0.8)
    ax.set(xscale="log", ylim=(len(names) - 0.5, -0.5), yticks=range(len(names)))
    ax.set_yticklabels(names)
    ax.get_yticklabels()[0].set_fontweight("bold")
    ax.set_xlabel("time relative to LinearRegression().fit")
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.grid(axis="x", color="0.9")
    ax.legend(title="rows x columns", fontsize="small", frameon=False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def by_size(rows: list[Row]) -> dict[str, list[Row]]:
    """Return the rows of each size, in the order of the file."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(size_of(row), []).append(row)
    return found
