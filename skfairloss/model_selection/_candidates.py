"""The models of a comparison, fitted to the training rows of a fold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pickle import PicklingError
from typing import Any

import joblib
from sklearn.base import clone

from skfairloss._estimator.regressor import PixelLossRegressor
from skfairloss._inputs.place import fitting_at
from skfairloss.model_selection._data import FitData
from skfairloss.model_selection._nesting import Path, fit_names, regressor_in, watched_in
from skfairloss.model_selection._path import Walk
from skfairloss.model_selection._tasks import FitsTasks

Fitted = tuple[int, Any]


@dataclass(frozen=True)
class Candidates:
    """Models, unfitted.

    Parameters
    ----------
    keys : their names, or their mixes.
    by : what the keys are: "model" or "loss_mix".
    models : of the same length.
    fit_names : what ``fit`` of each calls the fields of `FitData` that it is given.
    watched : where the `PixelLossRegressor` is in each, for callbacks; () for the model itself.
    paths : positions of models that are fitted one after the other, in that order.
    """

    keys: tuple[Any, ...]
    by: str
    models: tuple[Any, ...]
    fit_names: tuple[dict[str, str], ...]
    watched: tuple[Path, ...]
    paths: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, models: Mapping[Any, Any], by: str, weighted: bool, clustered: bool) -> Candidates:
        """Find how groups, weights and clusters reach the models, and which of them are a path."""
        names = []
        for key, model in models.items():
            # mixes are of one estimator, of which the error speaks
            with fitting_at(_named(by, key)) if by == "model" else nullcontext():
                names.append(fit_names(model, weighted, clustered))
        found = tuple(models.values())
        watched = tuple(map(watched_in, found))
        return cls(tuple(models), by, found, tuple(names), watched, _paths(found))

    def named(self, j: int) -> str:
        """Return the model in words, for errors and reports."""
        return _named(self.by, self.keys[j])

    def place(self, j: int, fold: str) -> str:
        """Return the name of the fit of a model in a fold, for errors and warnings."""
        return f"{self.named(j)}, {fold}"

    def fit(
        self, tasks: FitsTasks, first: int, path: tuple[int, ...], train: FitData, fold: str
    ) -> Iterator[Fitted]:
        """Fit the models of a path, numbered from ``first`` among the tasks; yield each."""
        plain = type(self.models[path[0]]) is PixelLossRegressor
        walk = Walk(clone(self.models[path[0]]), train) if plain else None
        for j in path:
            own = self.models[j]
            model = clone(own) if walk is None else walk.model(loss_mix=float(own.loss_mix))
            watched = regressor_in(model, self.watched[j])
            with fitting_at(self.place(j, fold)), tasks.fit(first + j, model, watched):
                if walk is not None:
                    walk.fit(model)
                else:
                    names = self.fit_names[j].items()
                    model.fit(train.X, train.y, **{name: getattr(train, f) for f, name in names})
            yield j, model


def _named(by: str, key: Any) -> str:
    """Return a model in words."""
    return f"loss_mix={key:g}" if by == "loss_mix" else str(key)


def _paths(models: tuple[Any, ...]) -> tuple[tuple[int, ...], ...]:
    """Return the positions of regressors that differ in the mix alone together, from L2 to L1."""
    paths: dict[Any, list[int]] = {}
    for j, model in enumerate(models):
        paths.setdefault(_path_key(j, model), []).append(j)
    return tuple(
        tuple(sorted(path, key=lambda j: models[j].loss_mix)) if len(path) > 1 else tuple(path)
        for path in paths.values()
    )


def _path_key(j: int, model: Any) -> Any:
    """Return what models of one path have in common."""
    if type(model) is not PixelLossRegressor:
        return j
    shared = {**model.get_params(deep=True), "loss_mix": None}
    try:
        return joblib.hash({name: _value(value) for name, value in shared.items()})
    except PicklingError:  # a term of one's own, which cannot be compared
        return j


def _value(value: Any) -> Any:
    """Return a parameter without what is no part of its value, such as the state of a fit."""
    return (type(value), value.get_params()) if hasattr(value, "get_params") else value
