"""Time group_report's bootstrap against one fairlearn MetricFrame, interleaved in one process.

From the repository root: ``python tests/benchmarks/report_speed.py``; ``--help`` lists the options.
A MetricFrame without intervals is built from the same arrays and metrics as the report, which has
``--boot`` bootstrap samples.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import numpy as np
from fairlearn.metrics import MetricFrame

from skfairloss import group_report
from skfairloss.metrics import group_metric_frame
from skfairloss.metrics._bootstrap import bootstrap
from skfairloss.metrics._named import DEFAULT_METRICS
from skfairloss.metrics._row_metrics import split_rows

FRAME = "MetricFrame"


def make_fits(rows: int, groups: int, boot: int, seed: int) -> dict[str, Callable[[], object]]:
    """What is timed, by name; the reference first."""
    rng = np.random.default_rng(seed)
    y_true = rng.normal(size=rows)
    y_pred = y_true + rng.normal(size=rows)
    codes = rng.integers(groups, size=rows)
    weights = rng.uniform(0.5, 2, rows)
    arguments = {"sensitive_features": codes, "sample_weight": weights}
    weighted = {name: {"sample_weight": weights} for name in DEFAULT_METRICS if name != "count"}
    members = split_rows(codes, np.arange(rows))
    return {
        FRAME: lambda: MetricFrame(
            metrics=DEFAULT_METRICS,
            y_true=y_true,
            y_pred=y_pred,
            sensitive_features=codes,
            sample_params=weighted,
        ),
        "group_metric_frame": lambda: group_metric_frame(y_true, y_pred, **arguments),
        "bootstrap": lambda: bootstrap(
            DEFAULT_METRICS, y_true, y_pred, weights, members, boot, np.random.default_rng(seed)
        ),
        "group_report": lambda: group_report(
            y_true, y_pred, **arguments, n_boot=boot, random_state=seed
        ),
    }


def parse_arguments() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description="Time reports, as ratios in one run.")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--groups", type=int, default=4)
    parser.add_argument("--boot", type=int, default=1000, help="bootstrap samples")
    parser.add_argument("--repeats", type=int, default=7, help="rounds that are counted")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    for name in ("rows", "groups", "boot", "repeats"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name} must be >= 1, got {getattr(arguments, name)}")
    return arguments


def main() -> None:
    """Measure and print the table."""
    arguments = parse_arguments()
    fits = make_fits(arguments.rows, arguments.groups, arguments.boot, arguments.seed)
    seconds: dict[str, list[float]] = {name: [] for name in fits}
    for counted in [False] + [True] * arguments.repeats:
        for name, fit in fits.items():
            start = time.perf_counter()
            fit()
            if counted:
                seconds[name].append(time.perf_counter() - start)
    print(
        f"{arguments.rows} rows, {arguments.groups} groups, {arguments.boot} bootstrap samples, "
        f"median of {arguments.repeats} interleaved repeats\n"
    )
    print(f"| what | seconds | ratio to {FRAME} |\n| --- | ---: | ---: |")
    for name, own in seconds.items():
        ratio = median(a / b for a, b in zip(own, seconds[FRAME], strict=True))
        print(f"| {name} | {median(own):.3g} | {ratio:.3g} |")


if __name__ == "__main__":
    main()
