"""The path to a `PixelLossRegressor` inside other estimators, and names of its fit parameters.

With metadata routing on, parameters of fit keep their names. With routing off a pipeline takes them
as ``step__parameter``, and every other meta-estimator passes what it is given straight on: the name
is that of the steps on the way, which are fewer than the names of ``get_params`` on the way.
"""

from __future__ import annotations

import inspect
from typing import Any

from sklearn import get_config

from skfairloss._estimator.regressor import PixelLossRegressor

Path = tuple[str, ...]


def find_regressor(estimator: Any) -> Path:
    """Return the names of ``get_params`` on the path to the one regressor; () if it is alone."""
    if isinstance(estimator, PixelLossRegressor):
        return ()
    found = []
    if hasattr(estimator, "get_params"):
        parameters = estimator.get_params(deep=True)
        found = [n for n, value in parameters.items() if isinstance(value, PixelLossRegressor)]
    if len(found) != 1:
        raise TypeError(
            "estimator must be a PixelLossRegressor or hold exactly one, got "
            f"{type(estimator).__name__} with {len(found)}"
        )
    return tuple(found[0].split("__"))


def regressor_in(estimator: Any, path: Path) -> Any:
    """Return the regressor at a path in an estimator."""
    return estimator.get_params(deep=True)["__".join(path)] if path else estimator


def parameter(path: Path, name: str) -> str:
    """Return the name of a parameter of the regressor in ``set_params``."""
    return "__".join((*path, name))


def fit_parameter(estimator: Any, path: Path, name: str) -> str:
    """Return the name in ``fit`` of the estimator by which a parameter reaches the regressor."""
    from sklearn.pipeline import Pipeline

    if not path:
        return name
    inner = fit_parameter(estimator.get_params(deep=True)[path[0]], path[1:], name)
    routing = get_config()["enable_metadata_routing"]
    if isinstance(estimator, Pipeline):
        return inner if routing else f"{path[0]}__{inner}"
    if not _takes(estimator, inner, routing):
        remedy = "" if routing else ": call sklearn.set_config(enable_metadata_routing=True)"
        raise ValueError(
            f"{name} cannot reach the PixelLossRegressor, {type(estimator).__name__}.fit does not "
            f"take {inner} with metadata routing {'on' if routing else 'off'}{remedy}"
        )
    return inner


def _takes(estimator: Any, name: str, routing: bool) -> bool:
    """Tell whether ``fit`` of a meta-estimator passes a parameter on."""
    from sklearn.ensemble import BaggingRegressor, StackingRegressor, VotingRegressor

    # with routing off they refuse all but sample_weight, whatever their signature says
    weights_only = BaggingRegressor | StackingRegressor | VotingRegressor
    if isinstance(estimator, weights_only) and not routing:
        return name == "sample_weight"
    parameters = inspect.signature(estimator.fit).parameters
    return name in parameters or any(p.kind == p.VAR_KEYWORD for p in parameters.values())
