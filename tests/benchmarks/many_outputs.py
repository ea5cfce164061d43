"""Several outputs that share X, and more columns than rows with a ridge.

From the repository root: ``python tests/benchmarks/many_outputs.py``; ``--help`` lists the options.
Peers take one output at a time, by `MultiOutputRegressor`: they run on the first 8 outputs, and
their time is extrapolated. ``--jobs`` sets the outputs fitted at a time, ours (in threads) and
theirs (in processes).
"""

from __future__ import annotations

import argparse

from bench.cases import Case, LowerBound
from bench.command import format_size, make_peer_parser, run_script
from bench.data import gaussian_outputs
from bench.fits import OURS, Bench, Entry, ours

TALL, WIDE = (2_000, 200, 500), (300, 2_048, 2_048)  # rows, columns, outputs
RIDGE, LOOSE = 1e-3, 1e-3


def fill(bench: Bench, arguments: argparse.Namespace) -> None:
    """Rows of both shapes, by mix."""
    for shape in arguments.shapes:
        rows, columns, outputs = shape
        wide = columns > rows
        X, y = gaussian_outputs(*shape, arguments.seed)
        ridge = f", alpha {RIDGE:g}" if wide else ""
        name = f"{format_size(rows, columns)}, {outputs} outputs{ridge}"
        entries = []
        for loss_mix in arguments.loss_mix:
            full = f"{name}, loss_mix {loss_mix:g}"
            case = Case(full, X, y, loss_mix, alpha=RIDGE if wide else 0.0)
            bound = LowerBound.certified(case, n_jobs=arguments.jobs)
            own = tuple(
                ours(case, bound, f"{OURS}, tol={tol:g}", tol=tol, n_jobs=arguments.jobs)
                for tol in ([1e-6] if wide else [1e-8, LOOSE])
            )
            entries.append(Entry(case, bound, own))
        bench.add(*entries)


def main() -> None:
    """Measure and print."""
    parser = make_peer_parser("Time fits of several outputs.")
    parser.set_defaults(shapes=[TALL, WIDE], repeats=3)
    run_script(parser, fill, {"shapes": [(80, 4, 3), (20, 30, 3)]})


if __name__ == "__main__":
    main()
