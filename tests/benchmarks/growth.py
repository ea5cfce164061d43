"""How cost grows with the number of rows: log-log slopes at a fixed number of columns.

From the repository root: ``python tests/benchmarks/growth.py``; ``--help`` lists the options. The
slope is that of a least-squares line through log seconds against log rows, over all sizes at which
a fit was run; its rows stand below those of the sizes.
"""

from __future__ import annotations

import argparse

import numpy as np
from bench.cases import Case, LowerBound
from bench.command import format_size, make_peer_parser, run_script
from bench.data import gaussian
from bench.fits import Bench, ours

ROWS = [10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000]


def fill(bench: Bench, arguments: argparse.Namespace) -> None:
    """Rows of every size, then the slopes, by mix."""
    for loss_mix in arguments.loss_mix:
        seen: dict[str, list[tuple[int, float]]] = {}
        for rows in arguments.rows:
            X, y = gaussian(rows, arguments.features, arguments.seed)
            name = f"{format_size(rows, arguments.features)}, loss_mix {loss_mix:g}"
            case = Case(name, X, y, loss_mix)
            bound = LowerBound.certified(case)
            for timing in bench.add(case, bound, ours(case, bound)):
                if timing.seconds:
                    seen.setdefault(timing.run.name, []).append((rows, timing.median or 0.0))
        for name, points in seen.items():
            if len(points) > 1:
                x, y = np.log(points).T
                slope = float(np.polyfit(x, y, 1)[0])
                case_name = f"{len(points)} sizes, loss_mix {loss_mix:g}"
                bench.rows.append({"case": case_name, "fit": name, "slope": slope})


def main() -> None:
    """Measure and print."""
    parser = make_peer_parser("Measure how cost grows with the number of rows.")
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS)
    parser.add_argument("--features", type=int, default=20)
    parser.set_defaults(peers=["pyqreg2 preprocessing", "pinball-qr pfn"])
    run_script(parser, fill, {"rows": [200, 400], "features": 3}, ["slope"])


if __name__ == "__main__":
    main()
