"""Shares of simulated intervals that contain the truth, as a table that names what is outside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

RANGE = (0.92, 0.98)  # what an interval of level 0.95 is asked to cover
TOO_FEW = "too few"  # no interval, in all simulations of a cell


@dataclass(frozen=True)
class Coverage:
    """Intervals (n, 2) of n simulations against the truth; NaN where there was none."""

    intervals: np.ndarray
    truth: float

    @property
    def share(self) -> float:
        """Share of the intervals that contain the truth. NaN if there is none."""
        given = self.intervals[~np.isnan(self.intervals).any(axis=1)]
        if not len(given):
            return float("nan")
        rounding = 1e-9 * max(1.0, abs(self.truth))
        return float(
            np.mean((given[:, 0] <= self.truth + rounding) & (self.truth <= given[:, 1] + rounding))
        )

    @property
    def text(self) -> str:
        """The share, bold where it is outside the range."""
        share = self.share
        if np.isnan(share):
            return TOO_FEW
        inside = RANGE[0] <= round(share, 3) <= RANGE[1]
        return f"{share:.3f}" if inside else f"**{share:.3f}**"


def table(
    heads: Sequence[str],
    rows: Iterable[tuple[Sequence[str], Mapping[str, Coverage]]],
    columns: Sequence[str],
) -> str:
    """Return a table in Markdown, one row for each cell."""
    lines = [
        "| " + " | ".join([*heads, *columns]) + " |",
        "| " + " | ".join(["---"] * len(heads) + ["---:"] * len(columns)) + " |",
    ]
    lines += [
        "| " + " | ".join([*labels, *(found[name].text for name in columns)]) + " |"
        for labels, found in rows
    ]
    return "\n".join(lines) + "\n"


def write(path: Path, parts: Mapping[str, str]) -> None:
    """Write the tables, each below its caption, for a page of the documentation to include."""
    text = "\n".join(f"**{caption}**\n\n{part}" for caption, part in parts.items())
    path.write_text(text, "utf-8")
