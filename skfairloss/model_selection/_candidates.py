"""The estimator of a comparison, fitted with every mix to the training rows of a fold."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sklearn.base import clone

from skfairloss._estimator.regressor import PixelLossRegressor
from skfairloss._inputs.place import fitting_at
from skfairloss._typing import Array
from skfairloss.model_selection._data import FitData
from skfairloss.model_selection._nesting import (
    Path,
    find_regressor,
    fit_parameter,
    parameter,
    regressor_in,
)
from skfairloss.model_selection._path import Walk, walking_order
from skfairloss.model_selection._tasks import FitsTasks


@dataclass(frozen=True)
class Candidates:
    """An estimator that holds a `PixelLossRegressor`, for several mixes.

    Parameters
    ----------
    estimator : the estimator, unfitted.
    path : where the regressor is in it.
    fit_names : what ``fit`` calls the fields of `FitData` that it is given.
    mixes : (M,).
    """

    estimator: Any
    path: Path
    fit_names: dict[str, str]
    mixes: Array

    @classmethod
    def of(cls, estimator: Any, scale: Any, mixes: Array, weighted: bool) -> Candidates:
        """Find the regressor, set its scale, and find how groups and weights reach it."""
        estimator = PixelLossRegressor() if estimator is None else clone(estimator)
        path = find_regressor(estimator)
        if scale is not None:
            estimator.set_params(**{parameter(path, "scale"): scale})
        names = {}
        if weighted:
            names["sample_weight"] = fit_parameter(estimator, path, "sample_weight")
        # without fairness terms the groups change no model: where they cannot go, they need not
        needed = regressor_in(estimator, path).fairness is not None
        with suppress(*() if needed else (ValueError,)):
            names["sensitive_features"] = fit_parameter(estimator, path, "sensitive_features")
        return cls(estimator, path, names, mixes)

    def place(self, j: int, fold: str) -> str:
        """Return the name of the fit of a mix in a fold, for errors and warnings."""
        return f"loss_mix={self.mixes[j]:g}, {fold}"

    def fit(self, tasks: FitsTasks, number: int, train: FitData, fold: str) -> list[Any]:
        """Fit models for all mixes, the first of them with the given number among the tasks."""
        fitted: dict[int, Any] = {}
        plain = type(self.estimator) is PixelLossRegressor
        walk = Walk(self.estimator, train) if plain else None
        for j in walking_order(self.mixes):
            mix = float(self.mixes[j])
            if walk is not None:
                model = walk.model(mix)
            else:
                model = clone(self.estimator).set_params(**{parameter(self.path, "loss_mix"): mix})
            with (
                fitting_at(self.place(j, fold)),
                tasks.fit(number + j, model, regressor_in(model, self.path)),
            ):
                if walk is not None:
                    walk.fit(model)
                else:
                    metadata = {name: getattr(train, f) for f, name in self.fit_names.items()}
                    model.fit(train.X, train.y, **metadata)
            fitted[j] = model
        return [fitted[j] for j in range(len(self.mixes))]
