"""Time fits of PixelLossRegressor against two least-squares fits, interleaved in one process.

From the repository root: ``python tests/benchmarks/fit_speed.py``; ``--help`` lists the options.
The columns are explained in docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import scipy.linalg
from sklearn.linear_model import LinearRegression
from threadpoolctl import threadpool_info, threadpool_limits

import skfairloss
from skfairloss import PixelLossRegressor

LINEAR_REGRESSION = "LinearRegression"
CHOLESKY = "Cholesky"
HEADER = ("fit", "seconds", "ratio to R", "ratio to C", "objective_", "dual_gap_")


def make_data(rows: int, features: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian X, a linear signal with an intercept, and noise with heavy tails (t, 2 df)."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, features))
    y = 1.0 + X @ rng.standard_normal(features) + rng.standard_t(2, rows)
    return X, y


def fit_cholesky(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Least squares by the normal equations, with one pass over X for each product.

    The intercept is implicit: a row and a column of sums instead of a column of ones in X.
    """
    sums = X.sum(axis=0)
    gram = np.block([[X.T @ X, sums[:, None]], [sums[None], np.array([[float(len(X))]])]])
    return scipy.linalg.solve(gram, np.append(X.T @ y, y.sum()), assume_a="pos")


def make_fits(X: np.ndarray, y: np.ndarray, loss_mixes: list[float]) -> dict[str, Callable]:
    """Fits to time, by name; the two references first."""
    fits: dict[str, Callable] = {
        LINEAR_REGRESSION: lambda: LinearRegression().fit(X, y),
        CHOLESKY: lambda: fit_cholesky(X, y),
    }
    for loss_mix in loss_mixes:
        model = PixelLossRegressor(loss_mix)
        fits[f"loss_mix={loss_mix:g}"] = lambda model=model: model.fit(X, y)
    return fits


def measure(fits: dict[str, Callable], repeats: int) -> list[dict[str, Any]]:
    """Time every fit once in each of ``repeats`` rounds, after a round that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in fits}
    results: dict[str, Any] = {name: fit() for name, fit in fits.items()}
    for _ in range(repeats):
        for name, fit in fits.items():
            start = time.perf_counter()
            results[name] = fit()
            seconds[name].append(time.perf_counter() - start)

    def ratio(name: str, reference: str) -> float:
        pairs = zip(seconds[name], seconds[reference], strict=True)
        return median(own / other for own, other in pairs)

    return [
        {
            "fit": name,
            "seconds": median(seconds[name]),
            "ratio to R": ratio(name, LINEAR_REGRESSION),
            "ratio to C": ratio(name, CHOLESKY),
            "objective_": getattr(results[name], "objective_", None),
            "dual_gap_": getattr(results[name], "dual_gap_", None),
        }
        for name in fits
    ]


def describe_threads() -> str:
    """Thread pools loaded and their numbers of threads, such as "openblas 2, openmp 2"."""
    pools = sorted(f"{pool['internal_api']} {pool['num_threads']}" for pool in threadpool_info())
    return ", ".join(pools) or "unknown"


def to_markdown(table: list[dict[str, Any]]) -> str:
    """Format the table in Markdown; what a fit does not report is a dash."""

    def cell(value: Any) -> str:
        if value is None:
            return "-"
        return value if isinstance(value, str) else f"{value:.3g}"

    lines = [HEADER, ["---"] + ["---:"] * (len(HEADER) - 1)]
    lines += [[cell(row[column]) for column in HEADER] for row in table]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def parse_arguments() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description="Time fits, as ratios in one run.")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--features", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=7, help="rounds that are counted")
    parser.add_argument("--loss-mix", type=float, nargs="+", default=[0.0, 0.5, 1.0])
    parser.add_argument("--threads", type=int, help="limit of each thread pool; default: as it is")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to FILE")
    arguments = parser.parse_args()
    for name in ("rows", "features", "repeats", "threads"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            parser.error(f"--{name} must be >= 1, got {value}")
    return arguments


def main() -> None:
    """Measure, print the table and write JSON where asked."""
    arguments = parse_arguments()
    limits = threadpool_limits(arguments.threads) if arguments.threads else nullcontext()
    with limits:
        threads = describe_threads()
        X, y = make_data(arguments.rows, arguments.features, arguments.seed)
        table = measure(make_fits(X, y, arguments.loss_mix), arguments.repeats)
    print(
        f"{arguments.rows} rows x {arguments.features} features, median of {arguments.repeats} "
        f"interleaved repeats, threads: {threads}\n"
    )
    print(to_markdown(table))
    if arguments.json:
        setting = {key: value for key, value in vars(arguments).items() if key != "json"}
        setting |= {"threads": threads, "version": skfairloss.__version__}
        text = json.dumps({"setting": setting, "results": table}, indent=2)
        arguments.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
