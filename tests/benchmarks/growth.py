"""How cost grows with rows, columns and outputs: log-log slopes, the other two held fixed.

From the repository root: ``python tests/benchmarks/growth.py``; ``--help`` lists the options. The
slope is that of a least-squares line through log seconds against the log of what grows, over all
sizes at which a fit was run; its rows stand below those of the sizes. Parts: "rows", "columns" and
"outputs", the last one without peers, which take one output at a time.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from bench.cases import Case, LowerBound
from bench.command import format_size, make_peer_parser, run_script
from bench.data import gaussian, gaussian_outputs
from bench.fits import Bench, Entry, ours
from bench.measure import Timing

PARTS = ("rows", "columns", "outputs")
ROWS = [10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000]
COLUMNS = [5, 10, 20, 40, 80]
OUTPUTS = [1, 2, 4, 8, 16, 32]


def make_entries(arguments: argparse.Namespace, part: str, size: int) -> list[Entry]:
    """Return the cases of one size of what grows, by mix."""
    rows = size if part == "rows" else arguments.fixed_rows
    features = size if part == "columns" else arguments.features
    words = f"{format_size(rows, features)}, "
    if part == "outputs":
        X, y = gaussian_outputs(rows, features, size, arguments.seed)
        words += f"{size} output{'s' if size > 1 else ''}, "
    else:
        X, y = gaussian(rows, features, arguments.seed)
    entries = []
    for loss_mix in arguments.loss_mix:
        case = Case(f"{words}loss_mix {loss_mix:g}", X, y, loss_mix)
        bound = LowerBound.certified(case, n_jobs=arguments.jobs)
        entries.append(Entry(case, bound, (ours(case, bound, n_jobs=arguments.jobs),)))
    return entries


def slopes(
    part: str, loss_mix: float, sizes: Sequence[int], timed: Sequence[Sequence[Timing]]
) -> list[dict[str, object]]:
    """A row for each fit that was run at two sizes or more."""
    seen: dict[str, list[tuple[int, float]]] = {}
    for size, timings in zip(sizes, timed, strict=True):
        for timing in timings:
            if timing.median:
                seen.setdefault(timing.run.name, []).append((size, timing.median))
    return [
        {
            "case": f"{len(points)} numbers of {part}, loss_mix {loss_mix:g}",
            "fit": name,
            "slope": float(np.polyfit(*np.log(points).T, 1)[0]),
            "part": part,
            "sizes": [size for size, _ in points],
            "loss_mix": loss_mix,
        }
        for name, points in seen.items()
        if len(points) > 1
    ]


def fill(bench: Bench, arguments: argparse.Namespace) -> None:
    """Rows of every size, then the slopes, by what grows and by mix."""
    for part in arguments.parts:
        here = replace(bench, peers=()) if part == "outputs" else bench  # into the same rows
        sizes = getattr(arguments, part)
        by_size = [here.add(*make_entries(arguments, part, size)) for size in sizes]
        for loss_mix, timed in zip(arguments.loss_mix, zip(*by_size, strict=True), strict=True):
            bench.rows += slopes(part, loss_mix, sizes, timed)


def main() -> None:
    """Measure and print."""
    parser = make_peer_parser("Measure how cost grows.", (0.0, 0.5, 1.0))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS)
    parser.add_argument("--columns", type=int, nargs="+", default=COLUMNS)
    parser.add_argument("--outputs", type=int, nargs="+", default=OUTPUTS)
    parser.add_argument("--features", type=int, default=20, help="where columns do not grow")
    parser.add_argument("--fixed-rows", type=int, default=100_000, help="where rows do not grow")
    parser.set_defaults(peers=["pyqreg2 preprocessing", "pinball-qr pfn"])
    small = {"rows": [200, 400], "columns": [2, 4], "outputs": [1, 3]}
    run_script(parser, fill, small | {"features": 3, "fixed_rows": 200}, ["slope"])


if __name__ == "__main__":
    main()
