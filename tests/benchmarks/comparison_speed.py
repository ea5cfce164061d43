"""Time of `compare_loss_mixes` relative to its fits alone, in one process.

From the repository root: ``python tests/benchmarks/comparison_speed.py``; ``--help`` lists the
options. The fits alone are those of the comparison: a `loss_mix_path` of the training rows of each
of its folds, and single fits without a start. All take turns, and the ratios are those of the time
of the processor, which other work on the machine disturbs less.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import numpy as np

from skfairloss import PixelLossRegressor, compare_loss_mixes
from skfairloss.model_selection import loss_mix_path


def seconds(call: Callable[[], object]) -> float:
    """Return the time of the processor that a call takes."""
    start = time.process_time()
    call()
    return time.process_time() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Time compare_loss_mixes by its fits.")
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--features", type=int, default=20)
    parser.add_argument("--groups", type=int, default=4)
    parser.add_argument("--mixes", type=int, default=5)
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=5, help="rounds that are counted")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    X = rng.normal(size=(arguments.rows, arguments.features))
    y = X @ rng.normal(size=arguments.features) + rng.standard_t(3, size=arguments.rows)
    group = rng.integers(0, arguments.groups, arguments.rows)
    mixes = np.linspace(0, 1, arguments.mixes)
    options = {
        "loss_mixes": mixes,
        "cv": arguments.folds,
        "n_repeats": 1,
        "random_state": arguments.seed,
    }

    def compare() -> np.ndarray:
        return compare_loss_mixes(X, y, sensitive_features=group, **options).folds[0]

    fold = compare()
    rows = [np.flatnonzero(fold != k) for k in range(arguments.folds)]

    def paths() -> None:
        for own in rows:
            loss_mix_path(X[own], y[own], loss_mixes=mixes, sensitive_features=group[own])

    def singly() -> None:
        for own in rows:
            for mix in mixes:
                PixelLossRegressor(mix).fit(X[own], y[own], sensitive_features=group[own])

    found = [(seconds(compare), seconds(paths), seconds(singly)) for _ in range(arguments.repeats)]
    print(
        f"{arguments.rows} x {arguments.features}, {arguments.groups} groups, {arguments.mixes} "
        f"mixes x {arguments.folds} folds: {median(one[0] for one in found):.3g} s\n"
    )
    print("| fits alone | times as long takes the comparison |\n| --- | ---: |")
    for name, j in (("paths", 1), ("single fits", 2)):
        print(f"| {name} | {median(one[0] / one[j] for one in found):.2f} |")


if __name__ == "__main__":
    main()
