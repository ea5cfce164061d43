"""Shares of simulated intervals that contain the truth, as a table that names what is outside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

RANGE = (0.92, 0.98)  # what an interval of level 0.95 is asked to cover


@dataclass(frozen=True)
class Coverage:
    """Intervals (n, 2) of n simulations against the truth; NaN where there was none."""

    intervals: np.ndarray
    truth: float

    @property
    def given(self) -> np.ndarray:
        """Those simulations that have an interval, (n,)."""
        return ~np.isnan(self.intervals).any(axis=1)

    @property
    def share(self) -> float:
        """Share of the intervals that contain the truth. NaN if there is none."""
        if not self.given.any():
            return float("nan")
        lower, upper = self.intervals[self.given].T
        rounding = 1e-9 * max(1.0, abs(self.truth))
        return float(np.mean((lower <= self.truth + rounding) & (self.truth <= upper + rounding)))

    @property
    def text(self) -> str:
        """The share, bold where it is outside the range; of how many, where some have none."""
        if np.isnan(self.share):
            return "none"
        share = f"{self.share:.3f}"
        if not RANGE[0] <= float(share) <= RANGE[1]:
            share = f"**{share}**"
        missing = 1 - self.given.mean()
        return share if missing < 0.001 else f"{share} ({100 * missing:.1f} % none)"


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


def write(path: Path, first: str, parts: Mapping[str, str]) -> None:
    """Write a line and the tables, each below its caption, for a page of the docs to include."""
    tables = [f"**{caption}**\n\n{part}" for caption, part in parts.items()]
    path.write_text("\n".join([f"{first}\n", *tables]), "utf-8")
