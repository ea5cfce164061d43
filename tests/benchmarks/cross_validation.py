"""Time of `PixelLossRegressorCV` relative to `GridSearchCV` over the same grid.

From the repository root::

    python tests/benchmarks/cross_validation.py

``--help`` lists the options. Both search the same mixes on the same folds, with the same scorer,
and refit; with ``--weights`` those of a `WorstGroupLoss` as well. They run by turns in one process,
and the table shows the median of the ratio of each pair, by the time of the processor. The scores
must agree, else it fails.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from sklearn import config_context
from sklearn.model_selection import GridSearchCV

from skfairloss import PixelLossRegressor, PixelLossRegressorCV
from skfairloss.fairness import WorstGroupLoss

SCORING = "neg_mean_absolute_error"


def timed(search: Any, X: np.ndarray, y: np.ndarray, groups: np.ndarray) -> tuple[float, Any]:
    """Seconds of the processor that a fit takes, and the fitted search."""
    started = time.process_time()
    with config_context(enable_metadata_routing=True):
        search.fit(X, y, sensitive_features=groups)
    return time.process_time() - started, search


def measure(arguments: argparse.Namespace) -> np.ndarray:
    """Seconds (repeats, 2) of the CV class and the grid search."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(arguments.rows, arguments.features))
    y = X @ rng.normal(size=arguments.features) + rng.standard_t(2, size=arguments.rows)
    groups = rng.integers(0, arguments.groups, arguments.rows)
    y *= 1 + 0.2 * groups  # so that there is a group with the largest loss
    mixes, weights = np.linspace(0, 1, arguments.mixes), arguments.weights
    term = WorstGroupLoss() if weights else None
    options = {"cv": arguments.folds, "scoring": SCORING}
    grid_of = {"loss_mix": mixes} | ({"fairness__weight": weights} if weights else {})
    strengths = {"weight": weights} if weights else None
    seconds = np.empty((arguments.repeats, 2))
    for repeat in seconds:
        own = PixelLossRegressorCV(mixes, fairness=term, fairness_grid=strengths, **options)
        grid = GridSearchCV(PixelLossRegressor(fairness=term), grid_of, **options)
        repeat[0], own = timed(own, X, y, groups)
        repeat[1], grid = timed(grid, X, y, groups)
        scores = (sorted(search.cv_results_["mean_test_score"]) for search in (own, grid))
        np.testing.assert_allclose(*scores, rtol=1e-7)
        assert own.loss_mix_ == grid.best_params_["loss_mix"]
    return seconds


def parse_arguments() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description="Time of PixelLossRegressorCV.")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--features", type=int, default=30)
    parser.add_argument("--mixes", type=int, default=21)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--groups", type=int, default=4)
    parser.add_argument("--weights", type=float, nargs="*", default=[], help="of the worst group")
    parser.add_argument("--repeats", type=int, default=5)
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    arguments = parse_arguments()
    seconds = measure(arguments)
    own, grid = np.median(seconds, axis=0)
    ratio = np.median(seconds[:, 0] / seconds[:, 1])
    print(
        f"{arguments.rows} x {arguments.features}, {arguments.mixes} mixes x "
        f"{max(1, len(arguments.weights))} strengths x {arguments.folds} folds, median of "
        f"{arguments.repeats}\n\n"
        "| PixelLossRegressorCV | GridSearchCV | ratio |\n|---:|---:|---:|\n"
        f"| {own:.2f} s | {grid:.2f} s | {ratio:.2f} |"
    )


if __name__ == "__main__":
    main()
