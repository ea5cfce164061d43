"""Hard data against their Gaussian twins: ties, outliers, scales, weights, order, heavy noise.

From the repository root: ``python tests/benchmarks/hard_data.py``; ``--help`` lists the options.
Each twin is timed in turns with our fit of Gaussian data of the same size and mix; references and
peers fit the twin.
"""

from __future__ import annotations

import argparse

from bench.cases import Case, LowerBound
from bench.command import add_sizes, format_size, make_peer_parser, run_script
from bench.data import HARD, gaussian, hard_twin
from bench.fits import OURS, Bench, Entry, ours

SIZES = [(100_000, 20), (1_000_000, 20)]
TWIN = f"{OURS}, Gaussian twin"


def fill(bench: Bench, arguments: argparse.Namespace) -> None:
    """Rows of every twin, by size and mix."""
    for size in arguments.sizes:
        X, y = gaussian(*size, arguments.seed)
        easy = [Case("", X, y, loss_mix) for loss_mix in arguments.loss_mix]
        twins = [ours(case, LowerBound.certified(case), TWIN) for case in easy]
        for kind in HARD[1:]:
            X, y, weights = hard_twin(kind, *size, arguments.seed)
            entries = []
            for loss_mix, twin in zip(arguments.loss_mix, twins, strict=True):
                name = f"{kind}, {format_size(*size)}, loss_mix {loss_mix:g}"
                case = Case(name, X, y, loss_mix, sample_weight=weights)
                bound = LowerBound.certified(case)
                entries.append(Entry(case, bound, (twin, ours(case, bound))))
            bench.add(*entries, against={"ratio to twin": TWIN})


def main() -> None:
    """Measure and print."""
    parser = make_peer_parser("Time fits of hard data.")
    add_sizes(parser, SIZES)
    parser.set_defaults(peers=["pyqreg2 preprocessing", "pinball-qr pfn"])
    run_script(parser, fill, {"sizes": [(400, 3)]}, ["ratio to twin"])


if __name__ == "__main__":
    main()
