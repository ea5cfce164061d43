"""Plain fits of Gaussian data, against the references and every peer.

From the repository root: ``python tests/benchmarks/plain_fits.py``; ``--help`` lists the options.
The columns are explained in docs/benchmarks.md. X is Gaussian, y linear in it with an intercept and
noise of a t distribution with 2 degrees of freedom. `Ridge` is among the fits: small problems are
mostly validation and certificate, so its time is what a small fit compares with.
"""

from __future__ import annotations

import argparse

from bench.cases import Case, LowerBound
from bench.command import add_sizes, format_size, make_peer_parser, run_script
from bench.data import gaussian
from bench.fits import Bench, Entry, ours
from bench.measure import Run
from sklearn.linear_model import Ridge

SIZES = [(1_000, 10), (10_000, 20), (100_000, 20), (100_000, 50), (1_000_000, 20)]


def fill(bench: Bench, arguments: argparse.Namespace) -> None:
    """Rows of every size and mix."""
    for size in arguments.sizes:
        X, y = gaussian(*size, arguments.seed)
        ridge = Run("Ridge", lambda X=X, y=y: Ridge().fit(X, y))
        entries = []
        for loss_mix in arguments.loss_mix:
            case = Case(f"{format_size(*size)}, loss_mix {loss_mix:g}", X, y, loss_mix)
            bound = LowerBound.certified(case)
            entries.append(Entry(case, bound, (ours(case, bound), ridge)))
        bench.add(*entries, against={"ratio to Ridge": "Ridge"})


def main() -> None:
    """Measure and print."""
    parser = make_peer_parser("Time plain fits against peers.", (0.0, 0.5, 1.0))
    add_sizes(parser, SIZES)
    run_script(parser, fill, {"sizes": [(300, 3)]}, ["ratio to Ridge"])


if __name__ == "__main__":
    main()
