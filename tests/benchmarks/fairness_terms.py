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
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

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


def make_cases(
    arguments: argparse.Namespace, mixes: Iterable[float], rows: int, groups: int, **kind
) -> list[Case]:
    """Return a plain case with groups for each mix, all of the same rows."""
    X, y, codes = grouped(rows, arguments.features, groups, arguments.seed, **kind)
    words = ", y to one decimal" if kind else ""
    name = f"{format_size(rows, arguments.features)}, {groups} groups{words}"
    return [Case(f"{name}, loss_mix {mix:g}", X, y, mix, groups=codes) for mix in mixes]


def with_term(
    arguments: argparse.Namespace, plain: Case, term: object, bound: LowerBound | None = None
) -> Entry:
    """Return a term on a case, beside the plain fit at the same mix."""
    case = replace(plain, name=f"{term}, {plain.name}", fairness=term)
    bound = bound or LowerBound.certified(case)
    plain_run = ours(plain, LowerBound.certified(plain), PLAIN, tol=arguments.tol)
    return Entry(case, bound, (plain_run, ours(case, bound, tol=arguments.tol)))


def equalized(arguments: argparse.Namespace, plain: Case) -> Entry:
    """Return a tolerance half-way between the plain fit and the worst-group fit."""
    lowest = replace(plain, fairness=WorstGroupLoss())
    ends = [np.ptp(fit_ours(case).group_losses_) for case in (plain, lowest)]
    term = EqualizedLoss(round(float(np.mean(ends)), 6), loss=None)
    return with_term(arguments, plain, term)


def bounded(arguments: argparse.Namespace, plain: Case) -> Entry:
    """Return a bound a little above the smallest one that can be met."""
    bound = LowerBound.certified(replace(plain, fairness=WorstGroupLoss()))
    term = BoundedGroupLoss(round(SLACK * float(bound.values[0]), 6), loss=None)
    return with_term(arguments, plain, term, bound)


def fill(bench: Bench, arguments: argparse.Namespace) -> None:
    """Rows of the parts asked for; all mixes of a term on the same rows take turns."""

    def add(make: Callable[[Case], Entry], mixes: Iterable[float], *about: int, **kind) -> None:
        if cases := make_cases(arguments, mixes, *about, **kind):
            bench.add(*map(make, cases), against={"ratio to plain": PLAIN})

    def term(made: object) -> Callable[[Case], Entry]:
        return lambda plain: with_term(arguments, plain, made)

    mixes, least = arguments.loss_mix, arguments.rows[0]
    for rows in arguments.rows:
        if "worst" in arguments.parts:
            add(term(WorstGroupLoss()), mixes, rows, 4)
            add(term(WorstGroupLoss()), mixes, rows, 4, decimals=1)
        if "parity" in arguments.parts:
            add(term(PredictionParity()), mixes, rows, 4)
            add(term(ResidualParity()), mixes, rows, 4)
    if "equalized" in arguments.parts:
        add(partial(equalized, arguments), mixes, least, 4)
    if "bound" in arguments.parts:  # of those that fairlearn's reduction knows
        add(partial(bounded, arguments), [mix for mix in mixes if mix in {0, 1}], least, 4)
    if "many" in arguments.parts:
        add(term(WorstGroupLoss(0.5)), mixes, arguments.many_rows, arguments.many_groups)


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
