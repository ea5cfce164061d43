"""What the study measures on one data set, and what was fixed beforehand."""

from __future__ import annotations

import re
import warnings
from itertools import chain
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GroupKFold

from bench.study.data import DATA, OTHER_GROUPS, SMALLEST_GROUP, Rows, join_small
from bench.study.results import L1, L2
from skfairloss import PixelLossRegressor, compare_loss_mixes

GRID = tuple(k / 10 for k in range(11))
MIDDLE = 0.5  # the mix of the primary comparison
SCALE = "auto"
FOLDS, REPEATS, SEED = 5, 2, 0
QUICK_ROWS, QUICK_OUTPUTS, QUICK_GRID = 400, 2, (L2, MIDDLE, L1)


def residual(y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    """Mean over the outputs of true - predicted: positive where a row is under-predicted."""
    return (y_true - y_pred).reshape(len(y_true), -1).mean(axis=1)


def absolute(y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    """Mean over the outputs of |residual|."""
    return np.abs(y_true - y_pred).reshape(len(y_true), -1).mean(axis=1)


def squared(y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    """Mean over the outputs of residual²."""
    return np.square(y_true - y_pred).reshape(len(y_true), -1).mean(axis=1)


# What a fit warns of: an optimum that is one of several, or a gap above the tolerance.
TIE = "PixelLossRegressor found an optimum that is not unique"
SHORT = r"PixelLossRegressor did not reach tol=.* objective (\S+) is at most (\S+) above"
# Of all rows, of the first of the two groups that a comparison names, or of their difference.
QUANTITIES = {
    "mae": ("mae", 0),
    "worst mae": ("mae", 1),
    "mae gap": ("mae", 2),
    "mse": ("mse", 0),
    "residual": ("residual", 0),
    "residual gap": ("residual", 2),
}
LOSSES = {"mae": absolute, "mse": squared, "residual": residual}


def folds_of(rows: Rows) -> Any:
    """Folds: a number for rows, splits that keep a unit together where there are units."""
    if rows.units is None:
        return FOLDS
    splitters = [
        GroupKFold(FOLDS, shuffle=True, random_state=SEED + repeat) for repeat in range(REPEATS)
    ]
    return list(chain(*(s.split(rows.X, groups=rows.units) for s in splitters)))


def thin(rows: Rows) -> Rows:
    """A few rows and outputs, and two groups: the largest and all others."""
    step = max(1, len(rows.y) // QUICK_ROWS)
    groups = rows.groups[::step]
    names, counts = np.unique(groups, return_counts=True)
    if len(names) > 2:
        groups = np.where(groups == names[counts.argmax()], groups, OTHER_GROUPS)
    return Rows(
        rows.X[::step],
        rows.y[::step] if rows.y.ndim == 1 else rows.y[::step, :QUICK_OUTPUTS],
        groups,
        None if rows.units is None else rows.units[::step],
        rows.estimator,
    )


class Comparisons:
    """All that is compared on one data set.

    Contrasts are [difference, low, high] by quantity: "mae", "mse", "residual" over all rows;
    "worst mae" in the group with the largest MAE under L2; "mae gap" of that group and the one with
    the smallest; "residual gap" of the groups with the largest and the smallest mean residual under
    L2.
    """

    def __init__(self, rows: Rows, grid: tuple[float, ...]) -> None:
        self.rows, self.grid = rows, grid
        self.groups = join_small(rows.groups)
        self.folds = folds_of(rows)
        ends = (L2, MIDDLE, L1)
        self.found: dict[str, Any] = {"mae": self.compare("mae", grid)}
        gap = {"disparity_groups": self.found["mae"].disparity_groups}
        self.found["mse"] = self.compare("mse", grid, **gap)
        self.found["residual"] = self.compare("residual", ends)
        # the same models, with L1 as the reference
        self.to_l1 = {
            loss: self.compare(loss, (MIDDLE, L1), reference=L1, **gap) for loss in ("mae", "mse")
        }

    def compare(self, loss: str, mixes: tuple[float, ...], **options: Any) -> Any:
        """Mixes under one loss of rows, on the folds that all comparisons share."""
        return compare_loss_mixes(
            self.rows.X,
            self.rows.y,
            sensitive_features=self.groups,
            loss_mixes=mixes,
            scale=SCALE,
            metrics=LOSSES[loss],
            estimator=self.rows.estimator,
            cv=self.folds,
            n_repeats=REPEATS,
            random_state=SEED,
            **options,
        )

    def row_losses(self, loss: str) -> np.ndarray:
        """Of every row under every mix, (M, n): the mean over the repeats, out of fold."""
        repeats = self.found["mae"].predictions
        y = np.asarray(self.rows.y)
        return np.mean([[LOSSES[loss](y, p) for p in mixes] for mixes in repeats], axis=0)

    def levels(self) -> list[dict[str, Any]]:
        """For each mix, what is measured over all rows and in each group."""
        losses = {loss: self.row_losses(loss) for loss in LOSSES}
        names = sorted(set(self.groups))

        def of(chosen: np.ndarray, j: int) -> dict[str, float]:
            means = {loss: float(values[j, chosen].mean()) for loss, values in losses.items()}
            return {
                "mae": means["mae"],
                "rmse": means["mse"] ** 0.5,
                "mean residual": means["residual"],
            }

        return [
            {"loss_mix": mix}
            | of(np.full(len(self.groups), True), j)
            | {"groups": {name: of(self.groups == name, j) for name in names}}
            for j, mix in enumerate(self.grid)
        ]

    def contrasts(self) -> list[dict[str, Any]]:
        """Differences of mixes with their intervals."""
        pairs = [(mix, L2, self.found) for mix in self.grid if mix != L2]
        pairs.append((MIDDLE, L1, self.to_l1))
        records = []
        for mix, reference, found in pairs:
            record: dict[str, Any] = {"mix": mix, "reference": reference}
            for quantity, (loss, n_named) in QUANTITIES.items():
                if loss in found and mix in found[loss].overall["loss_mix"].to_numpy():
                    record[quantity] = self.interval(found[loss], mix, loss, n_named)
            records.append(record)
        return records

    def interval(self, found: Any, mix: float, loss: str, n_named: int) -> list[float]:
        """[difference, low, high] of a quantity of ``QUANTITIES``, stretched for units."""
        groups = found.disparity_groups[:n_named]
        statistic = ("overall", "by_group", "disparity")[n_named]
        table = found.differences
        row = table[(table["loss_mix"] == mix) & (table["statistic"] == statistic)]
        if n_named == 1:
            row = row[row["group"] == groups[0]]
        value, low, high = row[["difference", "lower", "upper"]].iloc[0]
        factor = 1.0
        if self.rows.units is not None:
            losses = self.row_losses(loss)
            d = losses[self.grid.index(mix)] - losses[self.grid.index(found.reference)]
            parts = [self.groups == name for name in groups] or [np.full(len(d), True)]
            factor = stretch(d, parts, self.rows.units)
        return [value, value + factor * (low - value), value + factor * (high - value)]


def stretch(d: np.ndarray, parts: list[np.ndarray], units: np.ndarray) -> float:
    """Standard error by units over that by rows, of a mean of d (n,); at least 1.

    Of the mean over the rows in ``parts[0]``, minus that over ``parts[1]`` if there is one.
    """
    influence = np.zeros(len(d))
    for chosen, sign in zip(parts, (1.0, -1.0), strict=False):
        influence[chosen] += sign * (d[chosen] - d[chosen].mean()) / chosen.sum()
    _, unit = np.unique(units, return_inverse=True)
    sums = np.bincount(unit, influence)
    few = len(sums) / (len(sums) - 1)
    return float(max(1.0, np.sqrt(few * np.sum(sums**2) / np.sum(influence**2))))


def predict_all(rows: Rows, mix: float) -> np.ndarray:
    """Predictions of a fit to all rows, (n,) or (n, m)."""
    model = PixelLossRegressor() if rows.estimator is None else clone(rows.estimator)
    regressor = model if rows.estimator is None else model[-1]
    regressor.set_params(loss_mix=mix, scale=SCALE)
    return model.fit(rows.X, rows.y).predict(rows.X)


def way(rows: Rows) -> dict[str, float]:
    """Way of the middle from L2 to L1, and R² of L2: of fits to all rows, over all outputs."""
    y = np.asarray(rows.y)
    l2, middle, l1 = (predict_all(rows, mix) for mix in (L2, MIDDLE, L1))
    return {
        "middle": float(np.linalg.norm(middle - l2) / np.linalg.norm(l1 - l2)),
        "R2 of L2": float(1 - np.sum((y - l2) ** 2) / np.sum((y - y.mean(axis=0)) ** 2)),
    }


def count_warnings(messages: list[str]) -> dict[str, Any]:
    """Fits that left a tie, those that fell short, and the largest relative gap of the latter.

    A model that several comparisons fit is counted in each.
    """
    short = [found for found in (re.match(SHORT, message) for message in messages) if found]
    return {
        "unresolved ties": len(messages) - len(short),
        "short of tolerance": len(short),
        "largest relative gap": max((float(m[2]) / float(m[1]) for m in short), default=0.0),
    }


def measure(name: str, quick: bool) -> dict[str, Any]:
    """The record of a data set."""
    described = DATA[name]
    rows = described.read()
    rows = thin(rows) if quick else rows
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("error")
        warnings.filterwarnings("always", f"{TIE}|{SHORT}", ConvergenceWarning)
        compared = Comparisons(rows, QUICK_GRID if quick else GRID)
        walked = way(rows)
    names, counts = np.unique(compared.groups, return_counts=True)
    return {
        "name": name,
        "title": described.title,
        "domain": described.domain,
        "target": described.target,
        "source": described.source,
        "rows": len(rows.y),
        "features": rows.X.shape[1],
        "outputs": 1 if rows.y.ndim == 1 else rows.y.shape[1],
        "groups": dict(zip(names.tolist(), counts.tolist(), strict=True)),
        "unit": described.unit,
        "units": None if rows.units is None else len(set(rows.units.tolist())),
        "pairs": {
            loss: list(compared.found[loss].disparity_groups) for loss in ("mae", "residual")
        },
        "way": walked,
        "fits": count_warnings([str(warning.message) for warning in caught]),
        "mixes": compared.levels(),
        "contrasts": compared.contrasts(),
    }


def protocol(quick: bool) -> dict[str, Any]:
    """What was fixed beforehand."""
    return {
        "loss_mixes": QUICK_GRID if quick else GRID,
        "primary": MIDDLE,
        "scale": SCALE,
        "folds": FOLDS,
        "repeats": REPEATS,
        "seed": SEED,
        "confidence_level": 0.95,
        "smallest_group": SMALLEST_GROUP,
    }
