"""What the result files say, a row at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from bench.command import format_size
from bench.fits import OURS
from bench.measure import ACCURATE, LINEAR_REGRESSION

Row = dict[str, Any]
Results = dict[str, dict[str, Any]]  # what each script wrote, by its name

TO_C, TO_PEER, EXCESS = "ratio to C", "ratio to fastest peer", "relative excess"
LEAST_SQUARES = (LINEAR_REGRESSION, "Ridge")
BASES = ("Gaussian twin", "plain")  # fits of ours that others are relative to


def load(folder: Path) -> Results:
    """The files of a folder."""
    return {
        path.stem: json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))
    }


def rows_of(results: Results, script: str) -> list[Row]:
    """Rows of one script's table, slopes and missing data left out."""
    return [row for row in results[script]["results"] if "shape" in row]


def is_measured(row: Row) -> bool:
    """Whether there is a time."""
    return row.get(TO_C) is not None


def is_ours(row: Row) -> bool:
    """Whether it is a fit of ours that a table is about."""
    name, _, kind = row["fit"].partition(", ")
    return name in {OURS, "loss_mix_path"} and kind not in BASES


def is_accurate(row: Row) -> bool:
    """Whether a peer is close enough to the optimum to be compared in speed."""
    return row["peer"] and is_measured(row) and abs(row[EXCESS] or 0.0) <= ACCURATE


def cases(rows: Iterable[Row]) -> Iterator[tuple[str, list[Row]]]:
    """The rows of each case, in the order of the file."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["case"], []).append(row)
    yield from found.items()


def own(rows: Iterable[Row]) -> list[Row]:
    """The fits of ours that were measured."""
    return [row for row in rows if is_measured(row) and is_ours(row)]


def fastest_peer(rows: Iterable[Row]) -> Row | None:
    """The fastest accurate peer of a case."""
    return min(filter(is_accurate, rows), key=lambda row: row[TO_C], default=None)


def size_of(row: Row) -> str:
    """Write "100 000 x 20"."""
    return format_size(*row["shape"][:2])


def without_mix(row: Row) -> str:
    """The name of a case but for its mix."""
    return row["case"].removesuffix(f", loss_mix {row['loss_mix']:g}")


def kind_of(row: Row) -> str:
    """The name of a case but for its size and its mix."""
    return without_mix(row).removesuffix(f", {size_of(row)}")


def rivals(row: Row, rows: Iterable[Row]) -> list[Row]:
    """Fits of a case that solve the same problem as ours and come as close, the fastest first.

    Where that is least squares without a term, scikit-learn's own are among them.
    """
    plain = row["loss_mix"] == 0 and not row["term"]
    found = [
        other
        for other in rows
        if is_accurate(other)
        or (plain and is_measured(other) and other["fit"].startswith(LEAST_SQUARES))
    ]
    return sorted(found, key=lambda other: other[TO_C])
