"""The figures of the study, drawn by each build from its results file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from sphinx.application import Sphinx

sys.path.append(str(Path(__file__).parents[2] / "tests/benchmarks"))

from bench.study.results import L1, contrast, real

FIGURES = {
    "generated/study.svg": {
        "mae": "MAE, all rows",
        "mae gap": "MAE, difference of two groups",
    },
    "generated/study_accuracy.svg": {"mae": "MAE, all rows", "mse": "MSE, all rows"},
    "generated/study_groups.svg": {
        "worst mae": "MAE, worst group",
        "mae gap": "MAE, difference of two groups",
    },
}


def setup(app: Sphinx) -> dict[str, Any]:
    """Draw before pages are read."""
    app.connect("builder-inited", draw)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def draw(app: Sphinx) -> None:
    """Draw each figure, two quantities side by side."""
    results = json.loads((Path(app.srcdir) / "study/results.json").read_text("utf-8"))
    for name, quantities in FIGURES.items():
        path = Path(app.srcdir) / name
        path.parent.mkdir(exist_ok=True)
        figure, axes = plt.subplots(1, 2, figsize=(6.5, 5.2), sharey=True, layout="constrained")
        for ax, (quantity, title) in zip(axes, quantities.items(), strict=True):
            draw_differences(ax, results, quantity)
            ax.set_title(title, fontsize="medium")
        axes[0].legend(loc="lower left", bbox_to_anchor=(0, 1.06), ncols=2, frameon=False)
        figure.supxlabel("difference from L2 in percent, 95 % interval", fontsize="medium")
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)


def draw_differences(ax: Axes, results: dict[str, Any], quantity: str) -> None:
    """Draw the differences of two mixes from L2, a row for each real data set."""
    data = real(results)
    middle = results["protocol"]["primary"]
    styles = [(middle, -0.17, "0.0", "o"), (L1, 0.17, "0.55", "s")]
    for mix, shift, colour, marker in styles:
        found = [contrast(record, quantity, mix) for record in data]
        values = [value for value, _, _ in found]
        arms = [[v - low for v, low, _ in found], [high - v for v, _, high in found]]
        rows = [row + shift for row in range(len(data))]
        name = "L1" if mix == L1 else f"loss_mix {mix:g}"
        ax.errorbar(
            values, rows, xerr=arms, fmt=marker, color=colour, markersize=3.5, lw=1.2, label=name
        )
    ax.axvline(0, color="0.4", lw=0.8)
    ax.set_yticks(range(len(data)), [record["title"] for record in data])
    ax.set_ylim(len(data) - 0.5, -0.5)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:+g}" if value else "0")
    ax.grid(axis="x", color="0.9")
    ax.set_axisbelow(True)
