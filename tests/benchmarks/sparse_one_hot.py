"""Sparse one-hot blocks with a small ridge, against scikit-learn's sparse Ridge.

From the repository root: ``python tests/benchmarks/sparse_one_hot.py``; ``--help`` lists the
options. The columns of a block add up to one, so that X with an intercept has no full rank. The
memory column counts multiples of the bytes of the sparse X.
"""

from __future__ import annotations

import argparse

from bench.cases import Case, LowerBound
from bench.command import format_size, make_peer_parser, run_script
from bench.data import one_hot_blocks
from bench.fits import Bench, Entry, ours
from bench.measure import Run
from sklearn.linear_model import Ridge

RIDGE = "Ridge, sparse_cg"
ALPHA = 1e-6


def fill(bench: Bench, arguments: argparse.Namespace) -> None:
    """Rows of every mix."""
    X, y = one_hot_blocks(arguments.rows, arguments.blocks, arguments.width, arguments.seed)

    def fit_ridge() -> Ridge:
        return Ridge(alpha=1.0, solver="sparse_cg", tol=1e-6).fit(X, y)

    ridge, entries = Run(RIDGE, fit_ridge), []
    for loss_mix in arguments.loss_mix:
        name = f"{format_size(*X.shape)} one-hot, alpha {ALPHA:g}, loss_mix {loss_mix:g}"
        case = Case(name, X, y, loss_mix, alpha=ALPHA)
        bound = LowerBound.certified(case)
        entries.append(Entry(case, bound, (ours(case, bound), ridge)))
    bench.add(*entries, against={"ratio to Ridge": RIDGE})


def main() -> None:
    """Measure and print."""
    parser = make_peer_parser("Time fits of sparse one-hot columns.", (0.0, 0.5, 1.0))
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--width", type=int, default=100, help="columns of a block")
    small = {"rows": 400, "blocks": 2, "width": 4}
    run_script(parser, fill, small, ["ratio to Ridge"])


if __name__ == "__main__":
    main()
