"""Time the refits of `coefficient_report` against cold fits of the same rows, in one process.

From the repository root: ``python tests/benchmarks/coefficient_speed.py``; ``--help`` lists the
options. A cold fit is one of a new estimator, with and without random weights as the replicates
have. Reports and fits take turns; the ratios are those of the time of the processor, which other
work on the machine disturbs less.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import numpy as np

from skfairloss import PixelLossRegressor, coefficient_report


def seconds(call: Callable[[], object]) -> float:
    """Return the time of the processor that a call takes."""
    start = time.process_time()
    call()
    return time.process_time() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Time coefficient_report in cold fits.")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--features", type=int, default=20)
    parser.add_argument("--loss-mix", type=float, default=1.0)
    parser.add_argument("--boot", type=int, default=500, help="replicates")
    parser.add_argument("--fits", type=int, default=20, help="cold fits in a round")
    parser.add_argument("--repeats", type=int, default=3, help="rounds that are counted")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    X = rng.normal(size=(arguments.rows, arguments.features))
    y = X @ rng.normal(size=arguments.features) + rng.standard_t(3, size=arguments.rows)
    weights = rng.standard_exponential(size=(arguments.fits, arguments.rows))
    model = PixelLossRegressor(arguments.loss_mix).fit(X, y)

    def report() -> None:
        coefficient_report(model, X, y, n_boot=arguments.boot, random_state=arguments.seed)

    def cold(weighted: bool) -> None:
        for row in weights:
            new = PixelLossRegressor(arguments.loss_mix)
            new.fit(X, y, sample_weight=row if weighted else None)

    found: list[tuple[float, float, float]] = []
    for counted in [False] + [True] * arguments.repeats:
        times = (seconds(report), seconds(lambda: cold(True)), seconds(lambda: cold(False)))
        if counted:
            found.append(times)
    print(
        f"{arguments.rows} x {arguments.features}, loss_mix {arguments.loss_mix:g}: "
        f"{arguments.boot} replicates take {median(one[0] for one in found):.3g} s\n"
    )
    print("| cold fits | as many take as long as the replicates |\n| --- | ---: |")
    for name, j in (("under random weights", 1), ("under equal weights", 2)):
        print(f"| {name} | {median(one[0] / one[j] * arguments.fits for one in found):.0f} |")


if __name__ == "__main__":
    main()
