"""Fairness terms on groups of unequal size and noise, against peers and the plain fit.

From the repository root: ``python tests/benchmarks/fairness_terms.py``; ``--help`` lists the
options. Parts: "worst", the worst of four groups, also with y rounded to one decimal; "bound",
fairlearn's `ExponentiatedGradient` against our `BoundedGroupLoss`, with a bound of 1.05 times the
smallest worst-group loss; "parity"; "equalized", whose tolerance lies halfway between the spread
of the plain fit and that of `WorstGroupLoss`; and "many", 200 groups.

The excess of "bound" is that of the worst-group loss over the smallest one that any model can have:
0.05 is asked for, and less than 0 is impossible. A randomised predictor gets its expected
losses, before any clipping. Parity terms are measured without peers.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
from bench.cases import Case, LowerBound, fit_ours
from bench.command import format_size, make_peer_parser, run_script
from bench.data import grouped
from bench.fits import OURS, Bench, Entry, ours

from skfairloss.fairness import (
    BoundedGroupLoss,
    EqualizedLoss,
    PredictionParity,
    ResidualParity,
    WorstGroupLoss,
)

PARTS = ("worst", "bound", "parity", "equalized", "many")
PLAIN = f"{OURS}, plain"
SLACK = 1.05  # bound relative to the smallest worst-group loss


def make_case(arguments: argparse.Namespace, rows: int, groups: int, mix: float, **kind) -> Case:
    """Return a plain case with groups."""
    X, y, codes = grouped(rows, arguments.features, groups, arguments.seed, **kind)
    words = ", y to one decimal" if kind else ""
    name = f"{format_size(rows, arguments.features)}, {groups} groups{words}, loss_mix {mix:g}"
    return Case(name, X, y, mix, groups=codes)


def add_term(
    bench: Bench, arguments: argparse.Namespace, plain: Case, *terms: object, **judge: LowerBound
) -> None:
    """Rows of terms on a case, beside the plain fit at the same mix."""
    plain_run = ours(plain, LowerBound.certified(plain), PLAIN, tol=arguments.tol)
    for term in terms:
        case = replace(plain, name=f"{term}, {plain.name}", fairness=term)
        bound = judge.get("bound") or LowerBound.certified(case)
        runs = plain_run, ours(case, bound, tol=arguments.tol)
        bench.add(Entry(case, bound, runs), against={"ratio to plain": PLAIN})


def fill(bench: Bench, arguments: argparse.Namespace) -> None:
    """Rows of the parts asked for, by mix."""
    for mix in arguments.loss_mix:
        for rows in arguments.rows:
            plain = make_case(arguments, rows, 4, mix)
            if "worst" in arguments.parts:
                rounded = make_case(arguments, rows, 4, mix, decimals=1)
                for one in (plain, rounded):
                    add_term(bench, arguments, one, WorstGroupLoss())
            if "parity" in arguments.parts:
                add_term(bench, arguments, plain, PredictionParity(), ResidualParity())
        if "equalized" in arguments.parts:
            plain = make_case(arguments, arguments.rows[0], 4, mix)
            lowest = replace(plain, fairness=WorstGroupLoss())
            ends = [np.ptp(fit_ours(case).group_losses_) for case in (plain, lowest)]
            add_term(
                bench, arguments, plain, EqualizedLoss(round(float(np.mean(ends)), 6), loss=None)
            )
        if "bound" in arguments.parts and mix in {0, 1}:
            plain = make_case(arguments, arguments.rows[0], 4, mix)
            bound = LowerBound.certified(replace(plain, fairness=WorstGroupLoss()))
            term = BoundedGroupLoss(round(SLACK * float(bound.values[0]), 6), loss=None)
            add_term(bench, arguments, plain, term, bound=bound)
        if "many" in arguments.parts:
            plain = make_case(arguments, arguments.many_rows, arguments.many_groups, mix)
            add_term(bench, arguments, plain, WorstGroupLoss(0.5))


def main() -> None:
    """Measure and print."""
    parser = make_peer_parser("Time fairness terms.", (0.0, 0.5, 1.0))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--features", type=int, default=20)
    parser.add_argument("--many-rows", type=int, default=100_000)
    parser.add_argument("--many-groups", type=int, default=200)
    parser.add_argument("--tol", type=float, default=1e-6, help="of our timed fits")
    small = {
        "rows": [300],
        "features": 3,
        "many_rows": 600,
        "many_groups": 8,
        "loss_mix": [0.0, 1.0],
    }
    run_script(parser, fill, small, ["ratio to plain"])


if __name__ == "__main__":
    main()
