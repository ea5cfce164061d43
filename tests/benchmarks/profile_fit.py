"""Where the time of a fit goes: shares of stages, and passes over X.

From the repository root: ``python tests/benchmarks/profile_fit.py``; ``--help`` lists the options.
A pass is as many rows read as X has; reading a part of the rows, or a copy of some, is part of a
pass. Stages are functions of the package that are wrapped from outside (``bench/profile.py``), so
that what is profiled is the package as it is. The ratio to C is measured first, without that.
"""

from __future__ import annotations

import argparse
from typing import Any

from bench.cases import Case, fit_ours
from bench.command import (
    add_quick,
    add_sizes,
    format_size,
    limit_threads,
    make_parser,
    parse,
    write_json,
)
from bench.data import grouped
from bench.fits import OURS, references
from bench.machine import describe_threads
from bench.measure import CHOLESKY, Run, measure, to_markdown
from bench.profile import ALL, Profile

from skfairloss.fairness import WorstGroupLoss

SIZES = [(100_000, 20), (1_000_000, 20)]
KINDS = [(0.0, None), (0.5, None), (1.0, None), (0.5, WorstGroupLoss())]
COLUMNS = ("case", "stage", "share of time", "passes over X", "ratio to C")


def make_cases(arguments: argparse.Namespace) -> list[Case]:
    """The plain fits and the one with groups, by size."""
    cases = []
    for size in arguments.sizes:
        X, y, codes = grouped(*size, 4, arguments.seed)
        for loss_mix, term in KINDS:
            words = "" if term is None else f"{term}, 4 groups, "
            name = f"{words}{format_size(*size)}, loss_mix {loss_mix:g}"
            groups = None if term is None else codes
            cases.append(Case(name, X, y, loss_mix, groups=groups, fairness=term))
    return cases


def profile(case: Case, repeats: int) -> list[dict[str, Any]]:
    """A row for each stage of a case, those that take longest first, then one for all of them."""
    cholesky = next(run for run in references(case) if run.name == CHOLESKY)
    runs = [cholesky, Run(OURS, lambda: fit_ours(case))]
    reference, own = measure(runs, repeats, budget=float("inf"))
    seen = Profile()
    for _ in range(repeats):
        seen.run(lambda: fit_ours(case))
    whole = repeats * len(case.y)
    total = sum(seen.seconds.values())
    about = {
        "case": case.name,
        "loss_mix": case.loss_mix,
        "shape": [*case.X.shape, case.n_outputs],
        "term": case.fairness is not None,
    }
    rows = []
    for stage, seconds in seen.seconds.most_common():
        read = {name: rows / whole for (where, name), rows in seen.rows.items() if where == stage}
        shares = {"share of time": seconds / total, "passes over X": sum(read.values())}
        rows.append(about | {"stage": stage} | shares | {"products": read})
    shares = {"share of time": 1.0, "passes over X": sum(seen.rows.values()) / whole}
    return [*rows, about | {"stage": ALL} | shares | {"ratio to C": own.ratio(reference)}]


def main() -> None:
    """Measure, print the table and write JSON where asked."""
    parser = make_parser("Profile fits.")
    add_sizes(parser, SIZES)
    add_quick(parser)
    arguments = parse(parser)
    if arguments.quick:
        arguments.sizes, arguments.repeats = [(3_000, 3)], 1
    with limit_threads(arguments):
        fit_ours(make_cases(argparse.Namespace(sizes=[(300, 3)], seed=0))[-1])  # imports
        rows = [row for case in make_cases(arguments) for row in profile(case, arguments.repeats)]
        threads = describe_threads()
    print(f"Median of {arguments.repeats} interleaved rounds, threads: {threads}\n")
    print(to_markdown(rows, COLUMNS))
    write_json(arguments.json, arguments, setting={"threads": threads}, results=rows)


if __name__ == "__main__":
    main()
