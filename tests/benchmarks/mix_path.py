"""A path of 21 mixes, by `loss_mix_path`, by warm-started fits and by cold ones.

From the repository root: ``python tests/benchmarks/mix_path.py``; ``--help`` lists the options.
The excess of a path is the largest of its mixes.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
from bench.cases import Case, LowerBound, Model
from bench.command import add_sizes, format_size, make_peer_parser, run_script
from bench.data import gaussian
from bench.fits import OURS, Bench, Entry, ours
from bench.measure import Run

from skfairloss import PixelLossRegressor
from skfairloss.model_selection import loss_mix_path

COLD = f"{OURS}, cold at 0.5"


def fit_path(case: Case, mixes: np.ndarray, warm_start: bool) -> list[Model]:
    """Models of all mixes, in order."""
    estimator, models = PixelLossRegressor(warm_start=warm_start), []
    for mix in mixes:
        estimator.set_params(loss_mix=float(mix)).fit(case.X, case.y)
        models.append(Model.of(estimator.coef_, estimator.intercept_))
    return models


def walk(case: Case, mixes: np.ndarray) -> list[Model]:
    """The same by one function, which reads the data once."""
    path = loss_mix_path(case.X, case.y, loss_mixes=mixes)
    return [Model.of(model.coef_, model.intercept_) for model in path.models]


def fill(bench: Bench, arguments: argparse.Namespace) -> None:
    """Rows of one cold fit and of the paths, by size."""
    mixes = np.linspace(0.0, 1.0, arguments.mixes)
    for size in arguments.sizes:
        case = Case(
            f"{format_size(*size)}, loss_mix 0.5 or path",
            *gaussian(*size, arguments.seed),
            loss_mix=0.5,
        )
        bounds = [LowerBound.certified(replace(case, loss_mix=float(mix))) for mix in mixes]
        bound = LowerBound.certified(case)

        def excess(models: list[Model], bounds: list[LowerBound] = bounds) -> float:
            return max(one.excess(model) for one, model in zip(bounds, models, strict=True))

        def path(name: str, warm: bool, case: Case = case, excess: object = excess) -> Run:
            return Run(f"{OURS}, {name}", lambda: fit_path(case, mixes, warm), excess)

        paths = (
            Run(f"loss_mix_path, {len(mixes)} mixes", lambda case=case: walk(case, mixes), excess),
            path(f"{len(mixes)} mixes warm", True),
            path(f"{len(mixes)} mixes cold", False),
        )
        entry = Entry(case, bound, (ours(case, bound, COLD), *paths))
        bench.add(entry, against={"ratio to cold": COLD})


def main() -> None:
    """Measure and print."""
    parser = make_peer_parser("Time a path of mixes.")
    add_sizes(parser, [(100_000, 20)])
    parser.add_argument("--mixes", type=int, default=21, help="number of mixes from 0 to 1")
    run_script(parser, fill, {"sizes": [(300, 3)], "mixes": 5}, ["ratio to cold"])


if __name__ == "__main__":
    main()
