"""How often the 95 % intervals of `coefficient_report` contain the truth, in simulations.

From the repository root: ``python tests/benchmarks/coefficient_coverage.py --write``, which takes
some hours on two cores and writes ``docs/coverage/coefficients.md``; ``--help`` lists the options.

Three features, the third a binary one that is 1 in a fifth of the rows, and errors whose size grows
with the first one in half of the cells. In clusters, errors and features have a part that all rows
of a cluster share. The groups are those of the binary feature. The cells were fixed before any of
them was run. The truth is that of a fit to a million rows, for each loss.
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

from skfairloss import PixelLossRegressor, coefficient_report

PAGE = Path(__file__).parents[2] / "docs" / "coverage" / "coefficients.md"
ERRORS = {"normal": stats.norm(), "skewed": stats.expon(loc=-1)}
COLUMNS = ("x0", "x1", "x2", "(intercept)", "MAE of a group", "difference of MAE")
TRUTH = 1_000_000  # rows, in clusters or not


@dataclass(frozen=True)
class Cell:
    """Rows, or clusters of 5 to 50 rows, under one loss; ``by`` says what is reweighted."""

    size: int
    loss_mix: float
    errors: str
    spreading: bool
    clustered: bool = False
    by: str = "rows"

    @property
    def labels(self) -> list[str]:
        """Its columns in a table."""
        size = f"{self.size} clusters" if self.clustered else f"{self.size} rows"
        return [size, f"{self.loss_mix:g}", self.errors, "yes" if self.spreading else "no", self.by]


CELLS = [
    *(
        Cell(size, mix, errors, spreading)
        for size, mix, (errors, spreading) in itertools.product(
            (50, 200), (0.0, 0.5, 1.0), (("normal", False), ("skewed", True))
        )
    ),
    *(Cell(40, mix, "normal", True, True, "clusters") for mix in (0.0, 1.0)),
    *(Cell(40, mix, "normal", True, True, "rows") for mix in (0.0, 1.0)),
]


def draw(cell: Cell, size: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Return X, y, the groups and the clusters, for a number of rows or of clusters."""
    counts = rng.integers(5, 51, size=size) if cell.clustered else np.ones(size, dtype=int)
    clusters = np.repeat(np.arange(size), counts)
    n = len(clusters)
    X = np.column_stack([rng.normal(size=(n, 2)), rng.random(n) < 0.2])
    errors = ERRORS[cell.errors].rvs(size=n, random_state=rng)
    if cell.spreading:
        errors = errors * (0.5 + np.abs(X[:, 0]))
    if cell.clustered:
        X[:, 0] = 0.7 * X[:, 0] + 0.7 * rng.normal(size=size)[clusters]
        errors = errors + 0.7 * rng.normal(size=size)[clusters]
    return X, X @ [1.0, 0.0, -1.0] + errors, X[:, 2], clusters


def truth(cell: Cell) -> np.ndarray:
    """Return what the columns estimate, from many rows, (n_columns,)."""
    size = TRUTH // 27 if cell.clustered else TRUTH
    X, y, group, _ = draw(cell, size, np.random.default_rng(10**6))
    model = PixelLossRegressor(cell.loss_mix).fit(X, y)
    losses = [np.abs(y - model.predict(X))[group == own].mean() for own in (0, 1)]
    return np.array([*model.coef_, model.intercept_, losses[1], abs(losses[1] - losses[0])])


def simulate(cell: Cell, seed: int, n_boot: int) -> np.ndarray:
    """Return the intervals of one simulation, (n_columns, 2)."""
    rng = np.random.default_rng([seed, CELLS.index(cell)])
    X, y, group, clusters = draw(cell, cell.size, rng)
    model = PixelLossRegressor(cell.loss_mix).fit(X, y)
    report = coefficient_report(
        model,
        X,
        y,
        sensitive_features=group,
        clusters=clusters if cell.by == "clusters" else None,
        n_boot=n_boot,
        random_state=rng,
    )
    frame = report.groups.to_frame()
    by_group = frame[(frame["statistic"] == "by_group") & (frame["group"] == 1.0)]
    difference = frame[frame["statistic"] == "difference"]
    parts = (report.to_frame(), by_group, difference)
    return np.concatenate([part[["lower", "upper"]].to_numpy() for part in parts])


def run(number: int, simulations: int, n_boot: int) -> dict[str, Coverage]:
    """Return the coverage of a cell, given by its number, by column."""
    cell = CELLS[number]
    drawn = np.array([simulate(cell, seed, n_boot) for seed in range(simulations)])
    truths = truth(cell)
    return {name: Coverage(drawn[:, j], float(truths[j])) for j, name in enumerate(COLUMNS)}


def main() -> None:
    """Simulate and print, and write the table if told to."""
    parser = argparse.ArgumentParser(description="Coverage of the intervals of coefficient_report.")
    parser.add_argument("--simulations", type=int, default=2000, help="of each cell")
    parser.add_argument("--boot", type=int, default=200, help="replicates")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--keep", help="folder for finished cells: a run that stops goes on there")
    parser.add_argument("--cells", type=int, default=len(CELLS), help="only the first cells")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name} in docs/coverage")
    arguments = parser.parse_args()
    cells, kept = CELLS[: arguments.cells], Memory(arguments.keep, verbose=0).cache(run)
    found = Parallel(n_jobs=arguments.jobs)(
        delayed(kept)(number, arguments.simulations, arguments.boot) for number in range(len(cells))
    )
    heads = ["size", "loss_mix", "errors", "larger away from x0 = 0", "weights of"]
    rows = [(cell.labels, coverage) for cell, coverage in zip(cells, found, strict=True)]
    text = table(heads, rows, COLUMNS)
    print(text)
    if arguments.write:
        first = f"{arguments.simulations} simulations of {arguments.boot} replicates each."
        write(
            PAGE, first, {"Coefficients, MAE of the smaller group, difference of the groups": text}
        )


if __name__ == "__main__":
    main()
