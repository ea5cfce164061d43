"""How often the 95 % intervals of `compare_models`, and those between clusters, contain the truth.

From the repository root: ``python tests/benchmarks/comparison_coverage.py --write``, which takes
about half an hour on two cores and rewrites ``docs/coverage/comparison.md`` and
``docs/coverage/clusters.md``; ``--help`` lists the options.

The cells were fixed before any of them was run. y is a linear function of two features of the row
and one of its cluster, plus an effect of the cluster and an error, which is half as large again in
the group a as in b. Clusters have 5 to 50 rows, evenly. Least squares with and without a feature
are compared: by symmetry of the normal distribution every truth is a formula in
their coefficients, and its expectation the mean over the simulations.
"""

from __future__ import annotations

import argparse
import itertools
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from bench.coverage import Coverage, table, write
from joblib import Parallel, delayed
from scipy.stats import foldnorm
from sklearn.base import BaseEstimator, RegressorMixin, clone

from skfairloss import compare_models, group_report

FOLDER = Path(__file__).parents[2] / "docs" / "coverage"
PAGES = {name: FOLDER / f"{name}.md" for name in ("comparison", "clusters")}
COEF = np.array([1.0, 0.5, 0.4])  # of two features of the row and one of the cluster
ERRORS = np.array([1.5, 1.0])  # standard deviations in the groups a and b
EFFECT = 0.7  # standard deviation of what a cluster adds
METRICS = ("mae", "rmse", "r2", "medae", "bias")
OF_REPORTS = ("mae", "mse", "rmse", "mean_residual", "medae")
QUANTITIES = ("all rows", "group a", "a minus b")


@dataclass(frozen=True)
class Cell:
    """Rows of a simulation.

    Parameters
    ----------
    units : number of clusters; of rows where each is a cluster of one.
    share : of a among the groups.
    kind : "rows"; "clusters of one group" or "groups within clusters".
    told : whether the clusters are given.
    together : whether intervals are simultaneous.
    left_out : which feature the smaller model does without: "of the cluster" or "of the row".
    """

    units: int
    share: float
    kind: str
    told: bool = False
    together: bool = False
    left_out: str = "of the cluster"

    @property
    def labels(self) -> list[str]:
        """Its columns in a table."""
        told = "yes" if self.told else "no"
        return [str(self.units), self.kind, f"{self.share:g}", self.left_out, told]


ROWS = [Cell(n, share, "rows") for n, share in itertools.product((200, 1000), (0.5, 0.1))]
CLUSTERED = [
    Cell(n, 0.5, kind, told)
    for n, kind, told in itertools.product(
        (20, 40, 100), ("clusters of one group", "groups within clusters"), (True, False)
    )
]
TOGETHER = [
    Cell(200, 0.5, "rows", together=True),
    Cell(1000, 0.1, "rows", together=True),
    *(replace(cell, together=True) for cell in CLUSTERED if cell.told),
]
# features of rows that resemble each other within a cluster; added after a first run of the others
OF_ROWS = [replace(cell, left_out="of the row") for cell in CLUSTERED]
CELLS = [*ROWS, *CLUSTERED, *OF_ROWS, *TOGETHER]


@dataclass(frozen=True)
class Drawn:
    """One simulation's rows: features (n, 3), y, groups and clusters (n,)."""

    X: np.ndarray
    y: np.ndarray
    groups: np.ndarray
    clusters: np.ndarray


def draw(cell: Cell, seed: int) -> Drawn:
    """Draw rows; cells that differ in what is told have the same."""
    kinds = ["rows", "clusters of one group", "groups within clusters"]
    rng = np.random.default_rng([seed, cell.units, kinds.index(cell.kind), int(100 * cell.share)])
    sizes = np.ones(cell.units, int) if cell.kind == "rows" else rng.integers(5, 51, cell.units)
    clusters = np.repeat(np.arange(cell.units), sizes)
    n = len(clusters)
    X = np.column_stack([rng.normal(size=(n, 2)), rng.normal(size=cell.units)[clusters]])
    if cell.left_out == "of the row":
        X[:, :2] = np.sqrt(0.5) * (X[:, :2] + rng.normal(size=(cell.units, 2))[clusters])
    if cell.kind == "groups within clusters":
        in_a = rng.random(n) < cell.share
    else:
        in_a = rng.permutation(np.arange(cell.units) < cell.share * cell.units)[clusters]
    effect = EFFECT * rng.normal(size=cell.units)[clusters]
    y = X @ COEF + effect + ERRORS[1 - in_a] * rng.normal(size=n)
    return Drawn(X, y, np.where(in_a, "a", "b"), clusters)


def truths(coef: np.ndarray, intercept: float, share: float) -> np.ndarray:
    """Return the metrics of a model on infinitely many new rows, (n_metrics, 3 quantities)."""
    explained = np.sum((COEF - coef) ** 2) + EFFECT**2
    spread = np.sqrt(explained + ERRORS**2)  # residuals are normal, with mean -intercept
    parts = np.array([share, 1 - share])
    shape = abs(intercept) / spread
    mae = foldnorm.mean(shape, scale=spread)
    mse = spread**2 + intercept**2
    variance = COEF @ COEF + EFFECT**2 + ERRORS**2
    medians = foldnorm.median(shape, scale=spread)
    low, high = medians.min(), medians.max()
    for _ in range(60):  # bisection for the median of the mixture of both groups
        middle = 0.5 * (low + high)
        below = parts @ foldnorm.cdf(middle, shape, scale=spread)
        low, high = (middle, high) if below < 0.5 else (low, middle)
    whole = {
        "mae": parts @ mae,
        "rmse": np.sqrt(parts @ mse),
        "r2": 1 - (parts @ mse) / (parts @ variance),
        "medae": low,
        "bias": intercept,
    }
    of_groups = {
        "mae": mae,
        "rmse": np.sqrt(mse),
        "r2": 1 - mse / variance,
        "medae": medians,
        "bias": np.full(2, intercept),
    }
    return np.array(
        [[whole[m], of_groups[m][0], of_groups[m][0] - of_groups[m][1]] for m in METRICS]
    )


class LeastSquares(RegressorMixin, BaseEstimator):
    """Least squares of some columns, without the checks that would take most of the time."""

    def __init__(self, columns: tuple[int, ...] = (0, 1, 2)) -> None:
        self.columns = columns

    def fit(self, X: np.ndarray, y: np.ndarray) -> LeastSquares:
        """Fit; coefficients of the columns left out are 0."""
        A = np.column_stack([np.ones(len(X)), X[:, self.columns]])
        found = np.linalg.solve(A.T @ A, A.T @ y)
        self.intercept_, self.coef_ = found[0], np.zeros(3)
        self.coef_[list(self.columns)] = found[1:]
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Predict, (n,)."""
        return X @ self.coef_ + self.intercept_


KEPT = {"of the cluster": (0, 1), "of the row": (0, 2)}


def compared(cell: Cell, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return intervals (n_metrics, 3, 2), and the truth for models of these rows."""
    rows = draw(cell, seed)
    options = {"sensitive_features": rows.groups, "disparity_groups": ("a", "b")}
    options |= {"metrics": METRICS, "random_state": seed, "simultaneous": cell.together}
    options |= {"clusters": rows.clusters if cell.told else None}
    models = {"without": LeastSquares(KEPT[cell.left_out]), "with": LeastSquares()}
    found = compare_models(models, rows.X, rows.y, **options).differences
    kept = ~((found["statistic"] == "by_group") & (found["group"] == "b"))
    intervals = found.loc[kept, ["lower", "upper"]].to_numpy().reshape(len(METRICS), 3, 2)
    small, large = (clone(model).fit(rows.X, rows.y) for model in models.values())
    expected = [truths(m.coef_, m.intercept_, cell.share) for m in (small, large)]
    return intervals, expected[1] - expected[0]


def run_comparison(cell: Cell, simulations: int) -> dict[str, dict[str, Coverage]]:
    """Return the coverage of a cell by quantity and metric."""
    drawn = [compared(cell, seed) for seed in range(simulations)]
    intervals, expected = (np.array(part) for part in zip(*drawn, strict=True))
    truth = expected.mean(axis=0)
    if cell.together:
        missed = np.maximum(intervals[..., 0] - truth, truth - intervals[..., 1]).max(axis=(1, 2))
        # an interval that holds 0 where all of them hold
        ends = np.column_stack([np.where(missed <= 0, -1.0, 1.0), np.full(len(missed), 2.0)])
        return {"all of them": {"simultaneous": Coverage(ends, 0.0)}}
    return {
        quantity: {m: Coverage(intervals[:, t, q], truth[t, q]) for t, m in enumerate(METRICS)}
        for q, quantity in enumerate(QUANTITIES)
    }


def run_report(cell: Cell, simulations: int, n_boot: int) -> dict[str, dict[str, Coverage]]:
    """Return the coverage of `group_report` for the true coefficients, by quantity and metric."""
    intervals = []
    for seed in range(simulations):
        rows = draw(cell, seed)
        frame = group_report(
            rows.y,
            rows.X @ COEF,
            sensitive_features=rows.groups,
            clusters=rows.clusters if cell.told else None,
            metrics=list(OF_REPORTS),
            n_boot=n_boot,
            random_state=seed,
        ).to_frame()
        limits = frame[["lower", "upper"]].to_numpy().reshape(len(OF_REPORTS), -1, 2)
        intervals.append(limits[:, [2, 0, 3]])  # all rows, a, the difference
    named = dict(zip(METRICS, truths(COEF, 0.0, cell.share), strict=True))
    named["mse"] = np.array(
        [named["rmse"][0] ** 2, named["rmse"][1] ** 2, ERRORS[0] ** 2 - ERRORS[1] ** 2]
    )
    named["mean_residual"] = np.zeros(3)
    found = np.array(intervals)
    return {
        quantity: {m: Coverage(found[:, t, q], named[m][q]) for t, m in enumerate(OF_REPORTS)}
        for q, quantity in enumerate(("all rows", "group a", "difference"))
    }


def tables(found: dict[Cell, dict[str, dict[str, Coverage]]], title: str) -> dict[str, str]:
    """Return a table for each quantity: a row for each cell."""
    heads = ["units", "what they are", "share of a", "feature left out", "clusters given"]
    parts = {}
    for quantity in dict.fromkeys(name for coverage in found.values() for name in coverage):
        rows = [
            (c.labels, coverage[quantity]) for c, coverage in found.items() if quantity in coverage
        ]
        parts[f"{title}, {quantity}"] = table(heads, rows, list(rows[0][1]))
    return parts


def main() -> None:
    """Simulate and print, and write the tables if told to."""
    parser = argparse.ArgumentParser(description="Coverage of the intervals of compare_models.")
    parser.add_argument("--simulations", type=int, default=2000, help="of each cell")
    parser.add_argument("--boot", type=int, default=500, help="bootstrap samples of reports")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--pages", nargs="+", choices=PAGES, default=list(PAGES), help="which")
    parser.add_argument("--write", action="store_true", help="write the pages in docs/coverage")
    arguments = parser.parse_args()
    n, n_boot = arguments.simulations, arguments.boot
    for page in arguments.pages:
        parallel = Parallel(n_jobs=arguments.jobs)
        if page == "comparison":
            found = parallel(delayed(run_comparison)(cell, n) for cell in CELLS)
            first = f"{n} simulations each."
            parts = tables(dict(zip(CELLS, found, strict=True)), "Differences")
        else:
            found = parallel(delayed(run_report)(cell, n, n_boot) for cell in CLUSTERED)
            first = f"{n} simulations of {n_boot} bootstrap samples each."
            parts = tables(dict(zip(CLUSTERED, found, strict=True)), "Reports")
        for caption, text in parts.items():
            print(f"{caption}\n\n{text}")
        if arguments.write:
            write(PAGES[page], first, parts)


if __name__ == "__main__":
    main()
