"""Time fits of PixelLossRegressor against two least-squares fits, interleaved in one process.

From the repository root: ``python tests/benchmarks/fit_speed.py``; ``--help`` lists the options.
The columns are explained in docs/benchmarks.md. For other libraries see plain_fits.py.
"""

from __future__ import annotations

import argparse

from bench.cases import Case, fit_ours
from bench.command import format_size, limit_threads, make_parser, parse, write_json
from bench.data import gaussian
from bench.fits import references
from bench.machine import describe_threads
from bench.measure import Run, measure, to_markdown, to_rows

COLUMNS = ("fit", "seconds", "ratio to R", "ratio to C", "objective_", "dual_gap_")


def table(arguments: argparse.Namespace) -> list[dict[str, object]]:
    """Rows of the references and of every mix, which share their rounds."""
    X, y = gaussian(arguments.rows, arguments.features, arguments.seed)
    cases = {f"loss_mix={mix:g}": Case("", X, y, mix) for mix in arguments.loss_mix}
    own = [
        Run(name, lambda case=case: fit_ours(case), traced=False) for name, case in cases.items()
    ]
    runs = [*references(Case("", X, y, 0.0)), *own]
    timings = measure(runs, arguments.repeats, budget=float("inf"))
    rows = to_rows(format_size(*X.shape), timings, X.nbytes, {})
    for row, timing in zip(rows, timings, strict=True):
        for name in ("objective_", "dual_gap_"):
            row[name] = getattr(timing.result, name, None)
    return rows


def main() -> None:
    """Measure, print the table and write JSON where asked."""
    parser = make_parser("Time fits, as ratios in one run.")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--features", type=int, default=20)
    parser.add_argument("--loss-mix", type=float, nargs="+", default=[0.0, 0.5, 1.0])
    parser.set_defaults(repeats=7)
    arguments = parse(parser)
    with limit_threads(arguments):
        threads = describe_threads()
        rows = table(arguments)
    print(
        f"{arguments.rows} rows x {arguments.features} features, median of {arguments.repeats} "
        f"interleaved repeats, threads: {threads}\n"
    )
    print(to_markdown(rows, COLUMNS))
    write_json(arguments.json, arguments, setting={"threads": threads}, results=rows)


if __name__ == "__main__":
    main()
