"""The plot of a comparison."""

from __future__ import annotations

from typing import Any

_STYLES = ("s--", "^-.", "D:", "v--", "P-.", "X:")


def draw_comparison(overall: Any, by_group: Any, metric: str, ax: Any = None) -> Any:
    """Losses of all rows and of each group, as in the tables of a `LossMixComparison`."""
    import matplotlib.pyplot as plt

    if ax is None:
        _, ax = plt.subplots(layout="constrained")
    overall = overall.sort_values("loss_mix")
    lines = [("all rows", overall, "o-")]
    for i, (group, rows) in enumerate(by_group.groupby("group", sort=False)):
        lines.append((str(group), rows.sort_values("loss_mix"), _STYLES[i % len(_STYLES)]))
    for name, rows, style in lines:
        ends = [rows["loss"] - rows["low"], rows["high"] - rows["loss"]]
        ax.errorbar(rows["loss_mix"], rows["loss"], ends, fmt=style, capsize=3, label=name)
    ax.set(xlabel="loss_mix (0: L2, 1: L1)", ylabel=f"{metric}, out of fold")
    ax.legend(frameon=False)
    return ax
