"""Fits of rows that come in blocks beside those of dask-ml and of scikit-learn's ``partial_fit``.

From the repository root: ``python tests/benchmarks/beyond_memory.py``; ``--help`` lists options.
Every fit reads the same blocks: ``passes`` are blocks of X that were read, relative to their
number. ``ratio`` is processor time relative to ours on Dask arrays, in Dask's threads. ``excess``
is the objective above the optimum, relative to it; ``error`` the largest one of a coefficient or of
the intercept. The references are fits in memory at ``tol=1e-12``.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import dask
import dask.array as da
import numpy as np
from bench.command import format_size, limit_threads, make_parser, parse, write_json
from bench.data import gaussian
from bench.machine import describe, describe_threads
from bench.measure import to_markdown
from sklearn.linear_model import SGDRegressor

from skfairloss import PixelLossRegressor
from skfairloss.rows import from_blocks

COLUMNS = ("loss", "fit", "passes", "ratio", "excess", "error", "note")
LOSSES = {"squared": 0.0, "absolute": 1.0}
OURS = "PixelLossRegressor, Dask arrays"
SOLVERS = ("admm", "gradient_descent", "lbfgs", "newton", "proximal_grad")  # the first is default
NO_PENALTY = 1e12  # C of dask-ml, whose default of 1 has some of its solvers add w²/2 to the sum
EPOCHS = (1, 10)
Model = tuple[np.ndarray, float]


@dataclass
class Rows:
    """Rows in blocks, and how many blocks were read."""

    X: np.ndarray
    y: np.ndarray
    n_blocks: int
    read: int = 0

    def block(self, i: int) -> dict[str, np.ndarray]:
        """Return a block."""
        return {name: self.part(name, i) for name in ("X", "y")}

    def part(self, name: str, i: int) -> np.ndarray:
        """Return X or y of a block."""
        self.read += name == "X"
        ends = np.linspace(0, len(self.y), self.n_blocks + 1).astype(int)
        whole: np.ndarray = getattr(self, name)
        return whole[ends[i] : ends[i + 1]]

    def arrays(self) -> tuple[Any, Any]:
        """Return Dask arrays whose blocks are read whenever they are needed."""
        sizes = [len(self.part("y", i)) for i in range(self.n_blocks)]
        p, parts = self.X.shape[1], []
        for name, tail in (("X", (p,)), ("y", ())):
            read = dask.delayed(self.part)
            blocks = [
                da.from_delayed(read(name, i), (n, *tail), dtype=np.float64)
                for i, n in enumerate(sizes)
            ]
            parts.append(da.concatenate(blocks))
        return parts[0], parts[1]


def ours_of_arrays(rows: Rows, loss: str) -> Callable[[], Model]:
    """Return our fit of Dask arrays."""
    X, y = rows.arrays()

    def fit() -> Model:
        model = PixelLossRegressor(LOSSES[loss]).fit(X, y)
        return model.coef_, model.intercept_

    return fit


def ours_of_blocks(rows: Rows, loss: str) -> Callable[[], Model]:
    """Return our fit of blocks."""

    def fit() -> Model:
        source = from_blocks(rows.block, rows.n_blocks)
        model = PixelLossRegressor(LOSSES[loss]).fit(source)
        return model.coef_, model.intercept_

    return fit


def dask_ml(rows: Rows, solver: str) -> Callable[[], Model]:
    """Return dask-ml's fit of the squared loss without a penalty, all else as it is by default."""
    from dask_ml.linear_model import LinearRegression

    X, y = rows.arrays()

    def fit() -> Model:
        model = LinearRegression(solver=solver, C=NO_PENALTY).fit(X, y)
        return model.coef_, float(model.intercept_)

    return fit


def stochastic(rows: Rows, loss: str, epochs: int, seed: int) -> Callable[[], Model]:
    """Return scikit-learn's gradient steps, a block at a time, all else as it is by default."""
    name = {"squared": "squared_error", "absolute": "epsilon_insensitive"}[loss]

    def fit() -> Model:
        model = SGDRegressor(loss=name, epsilon=0.0, alpha=0.0, random_state=seed)
        for _ in range(epochs):
            for i in range(rows.n_blocks):
                block = rows.block(i)
                model.partial_fit(block["X"], block["y"])
        return model.coef_, float(model.intercept_[0])

    return fit


def fits(rows: Rows, loss: str, seed: int) -> Iterator[tuple[str, Callable[[], Model] | None]]:
    """Yield what is compared under a loss; None is a peer that is not installed."""
    yield OURS, ours_of_arrays(rows, loss)
    yield "PixelLossRegressor, blocks", ours_of_blocks(rows, loss)
    if loss == "squared":
        for solver in SOLVERS:
            installed = find_spec("dask_ml") is not None
            name = f"dask-ml LinearRegression, {solver}"
            yield name, dask_ml(rows, solver) if installed else None
    for epochs in EPOCHS:
        name = f"SGDRegressor.partial_fit, {epochs} epoch{'s' * (epochs > 1)}"
        yield name, stochastic(rows, loss, epochs, seed)


def objective(rows: Rows, loss: str, model: Model) -> float:
    """Return the mean loss of a model over all rows."""
    residual = np.abs(rows.y - rows.X @ np.ravel(model[0]) - model[1])
    return float(np.mean(residual**2 if loss == "squared" else residual))


def compare(rows: Rows, loss: str, arguments: argparse.Namespace) -> list[dict[str, object]]:
    """Return the rows of the table under a loss; seconds are the least of the rounds."""
    best = PixelLossRegressor(LOSSES[loss], tol=1e-12).fit(rows.X, rows.y)
    optimum = objective(rows, loss, (best.coef_, best.intercept_))
    out: list[dict[str, object]] = []
    unit = np.nan
    for name, fit in fits(rows, loss, arguments.seed):
        row: dict[str, object] = {"loss": loss, "fit": name}
        out.append(row)
        if fit is None:
            row["note"] = "not installed"
            continue
        seconds = []
        for _ in range(arguments.repeats + 1):  # the first is not counted
            rows.read, start = 0, time.process_time()
            with warnings.catch_warnings(), dask.config.set(scheduler="threads"):
                warnings.simplefilter("ignore")
                model = fit()
            seconds.append(time.process_time() - start)
        unit = min(seconds[1:]) if name == OURS else unit
        shift = abs(model[1] - best.intercept_)
        error = max(float(np.abs(np.ravel(model[0]) - best.coef_).max()), float(shift))
        row |= {
            "passes": rows.read / rows.n_blocks,
            "ratio": min(seconds[1:]) / unit,
            "excess": (objective(rows, loss, model) - optimum) / optimum,
            "error": error,
        }
    return out


def main() -> None:
    """Measure, print the table and write JSON where asked."""
    parser = make_parser("Compare fits of rows that come in blocks.")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--features", type=int, default=20)
    parser.add_argument("--blocks", type=int, default=8)
    parser.add_argument("--quick", action="store_true", help="tiny sizes: whether it runs at all")
    parser.set_defaults(repeats=3)
    arguments = parse(parser)
    if arguments.quick:
        arguments.rows, arguments.features, arguments.repeats = 20_000, 5, 1
    with limit_threads(arguments):
        X, y = gaussian(arguments.rows, arguments.features, arguments.seed)
        rows = Rows(X, y, arguments.blocks)
        table = [row for loss in LOSSES for row in compare(rows, loss, arguments)]
        threads = describe_threads()
    shape = format_size(arguments.rows, arguments.features)
    print(f"{shape} in {arguments.blocks} blocks, threads: {threads}\n")
    print(to_markdown(table, COLUMNS))
    names = [name for name in ("dask", "dask-ml") if find_spec(name.replace("-", "_"))]
    machine = describe() | {"peers": {name: version(name) for name in names}}
    setting = {"threads": threads, "size": shape}
    write_json(arguments.json, arguments, setting=setting, machine=machine, results=table)


if __name__ == "__main__":
    main()
