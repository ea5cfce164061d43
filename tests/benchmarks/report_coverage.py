"""How often the 95 % intervals of `group_report` contain the truth, in simulations.

From the repository root: ``python tests/benchmarks/report_coverage.py --write``, which takes about
half an hour on two cores and rewrites ``docs/coverage/report.md``; ``--help`` lists the options.

y_true is a standard normal prediction plus an error. The cells were fixed before any of them was
run: sizes of groups, distributions of errors, and how much larger those of the first group are.
A further cell has weights between 0.5 and 2. A function that is no named metric is called for each
sample, and has cells and samples of its own, fewer of both.
"""

from __future__ import annotations

import argparse
import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from bench.coverage import Coverage, table, write
from joblib import Memory, Parallel, delayed
from scipy import stats
from scipy.optimize import brentq

from skfairloss.metrics._bootstrap import bootstrap
from skfairloss.metrics._limits import Sizes, find_limits
from skfairloss.metrics._named import find
from skfairloss.metrics._row_metrics import RowMetric, split_rows

PAGE = Path(__file__).parents[2] / "docs" / "coverage" / "report.md"
SIZES = (
    (5, 100),
    (10, 10),
    (10, 100),
    (15, 100),
    (20, 20),
    (20, 100),
    (30, 200),
    (50, 50),
    (200, 200),
    (20, 20, 20, 20),
    (50, 50, 50, 50),
)
ERRORS = {
    "normal": stats.norm(),
    "skewed": stats.expon(loc=-1),
    "heavy": stats.t(5),
}
SPREADS = (1.0, 1.5)
METRICS = ("mae", "mse", "rmse", "mean_residual", "r2", "medae", "share_above@1.5")
FUNCTION = "a function"


@dataclass(frozen=True)
class Cell:
    """Groups with errors of one distribution, ``spread`` times larger in the first group."""

    sizes: tuple[int, ...]
    errors: str
    spread: float = 1.0
    weighted: bool = False
    metrics: tuple[str, ...] = METRICS

    @property
    def labels(self) -> list[str]:
        """Its columns in a table."""
        weighted = ", weighted" * self.weighted
        return [", ".join(map(str, self.sizes)) + weighted, self.errors, f"{self.spread:g}"]

    @property
    def scales(self) -> np.ndarray:
        """The factors of the errors, (n_groups,)."""
        return np.array([self.spread, *[1.0] * (len(self.sizes) - 1)])


CELLS = [
    *(Cell(*cell) for cell in itertools.product(SIZES, ERRORS, SPREADS)),
    *(Cell((30, 200), errors, 1.0, True) for errors in ERRORS),
    *(
        Cell(sizes, errors, metrics=(FUNCTION,))
        for sizes, errors in itertools.product([(10, 100), (20, 100), (50, 50)], ERRORS)
    ),
]


def truths(cell: Cell) -> dict[str, dict[str, float]]:
    """Return the truth of each statistic and metric."""
    errors, scales = ERRORS[cell.errors], cell.scales
    shares = np.array(cell.sizes) / sum(cell.sizes)
    mean = errors.expect(abs)

    def beyond(limit: float, scale: float) -> float:
        return float(errors.sf(limit / scale) + errors.cdf(-limit / scale))

    def median(weights: np.ndarray) -> float:
        return brentq(lambda m: weights @ [beyond(m, scale) for scale in scales] - 0.5, 1e-9, 100.0)

    found: dict[str, tuple[np.ndarray, float]] = {}
    squares = errors.var() * scales**2
    mse = float(shares @ squares)
    found["mae"] = found[FUNCTION] = mean * scales, float(shares @ (mean * scales))
    found["mse"] = squares, mse
    found["rmse"] = np.sqrt(squares), np.sqrt(mse)
    found["mean_residual"] = np.zeros(len(scales)), 0.0
    found["r2"] = 1 / (1 + squares), 1 / (1 + mse)
    found["medae"] = np.array([median(row) for row in np.eye(len(scales))]), median(shares)
    above = np.array([beyond(1.5, scale) for scale in scales])
    found["share_above@1.5"] = above, float(shares @ above)
    return {
        "first group": {name: by_group[0] for name, (by_group, _) in found.items()},
        "overall": {name: overall for name, (_, overall) in found.items()},
        "difference": {name: np.ptp(by_group) for name, (by_group, _) in found.items()},
        "ratio": {
            name: by_group.min() / by_group.max()
            for name, (by_group, _) in found.items()
            if name not in ("mean_residual", "r2")
        },
    }


def draw(cell: Cell, seed: int) -> dict[str, np.ndarray | None]:
    """Return one simulation's arguments of `group_report`."""
    rng = np.random.default_rng([seed, CELLS.index(cell)])
    codes = np.repeat(np.arange(len(cell.sizes)), cell.sizes)
    errors = ERRORS[cell.errors].rvs(size=len(codes), random_state=rng) * cell.scales[codes]
    y_pred = rng.normal(size=len(codes))
    weights = rng.uniform(0.5, 2.0, size=len(codes)) if cell.weighted else None
    return {
        "y_true": y_pred + errors,
        "y_pred": y_pred,
        "sensitive_features": codes,
        "sample_weight": weights,
    }


def simulate(cell: Cell, seed: int, n_boot: int) -> dict[str, np.ndarray]:
    """Return the intervals of one simulation by statistic, (n_metrics, 2).

    They are those of `group_report`, without its tables, which take most of its time.
    """
    data = draw(cell, seed)
    y_true, y_pred, weights = (data[name] for name in ("y_true", "y_pred", "sample_weight"))
    metrics = {name: _absolute if name == FUNCTION else find(name) for name in cell.metrics}
    rows = split_rows(data["sensitive_features"], np.arange(len(y_true)))
    values = np.array(
        [
            [RowMetric(metric, y_true, y_pred, weights, None)(own, own) for own in sets]
            for sets in [[*rows, np.concatenate(rows)]]
            for metric in metrics.values()
        ]
    )
    drawn = bootstrap(metrics, y_true, y_pred, weights, rows, n_boot, np.random.default_rng(seed))
    equal = np.ones(len(y_true)) if weights is None else weights
    limits = find_limits(
        metrics, values, drawn, Sizes.of(rows, equal, True), "between_groups", 0.95
    )
    return {
        "first group": limits.by_group[:, 0].T,
        "overall": limits.overall.T,
        "difference": limits.difference.T,
        "ratio": limits.ratio.T,
    }


def _absolute(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return the MAE, as a function that is no named metric."""
    return float(np.abs(y_true - y_pred).mean())


def run(number: int, simulations: int, n_boot: int) -> dict[str, dict[str, Coverage]]:
    """Return the coverage of a cell, given by its number, by statistic and metric."""
    cell = CELLS[number]
    drawn = [simulate(cell, seed, n_boot) for seed in range(simulations)]
    return {
        statistic: {
            name: Coverage(np.array([one[statistic][j] for one in drawn]), truth[name])
            for j, name in enumerate(cell.metrics)
            if name in truth
        }
        for statistic, truth in truths(cell).items()
    }


def parts(found: dict[Cell, dict[str, dict[str, Coverage]]]) -> dict[str, str]:
    """Return the tables: a row for each cell, a column for each metric."""
    heads = ["rows of the groups", "errors", "those of the first group times"]
    tables = {}
    for statistic in ("first group", "overall", "difference", "ratio"):
        for metrics, words in ((METRICS, ""), ((FUNCTION,), ", MAE as a function")):
            own = {c: f[statistic] for c, f in found.items() if c.metrics == metrics}
            if own:
                columns = list(next(iter(own.values())))
                rows = [(cell.labels, coverage) for cell, coverage in own.items()]
                tables[f"{statistic}{words}".capitalize()] = table(heads, rows, columns)
    return tables


def main() -> None:
    """Simulate and print, and write the tables if told to."""
    parser = argparse.ArgumentParser(description="Coverage of the intervals of group_report.")
    parser.add_argument("--simulations", type=int, default=2000, help="of each cell")
    parser.add_argument("--boot", type=int, default=500, help="bootstrap samples")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--keep", help="folder for finished cells: a run that stops goes on there")
    parser.add_argument("--cells", type=int, default=len(CELLS), help="only the first cells")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name} in docs/coverage")
    arguments = parser.parse_args()
    cells, kept = CELLS[: arguments.cells], Memory(arguments.keep, verbose=0).cache(run)

    def boot(cell: Cell) -> int:
        return min(arguments.boot, 200) if FUNCTION in cell.metrics else arguments.boot

    found = Parallel(n_jobs=arguments.jobs)(
        delayed(kept)(number, arguments.simulations, boot(cell))
        for number, cell in enumerate(cells)
    )
    tables = parts(dict(zip(cells, found, strict=True)))
    for caption, text in tables.items():
        print(f"{caption}\n\n{text}")
    if arguments.write:
        first = f"{arguments.simulations} simulations of {arguments.boot} bootstrap samples each."
        write(PAGE, first, tables)


if __name__ == "__main__":
    main()
