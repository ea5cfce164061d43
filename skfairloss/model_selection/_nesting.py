"""Paths to the estimators that take groups, weights or clusters, and names of fit parameters.

With metadata routing on, parameters of fit keep their names. With routing off a pipeline takes them
as ``step__parameter``, and every other meta-estimator passes what it is given straight on: the name
is that of the steps on the way, which are fewer than the names of ``get_params`` on the way.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from sklearn import get_config
from sklearn.utils.metadata_routing import MetadataRouter, get_routing_for_object

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


def watched_in(estimator: Any) -> Path:
    """Return the path to the one `PixelLossRegressor`, else () for the estimator itself."""
    try:
        return find_regressor(estimator)
    except TypeError:
        return ()


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
        held = type(regressor_in(estimator, path)).__name__
        raise ValueError(
            f"{name} cannot reach the {held}, {type(estimator).__name__}.fit does not "
            f"take {inner} with metadata routing {'on' if routing else 'off'}{remedy}"
        )
    return inner


def fit_names(estimator: Any, weighted: bool, clustered: bool) -> dict[str, str]:
    """Return what ``fit`` calls the fields of `FitData` that reach into an estimator.

    Raises ValueError where weights cannot reach it, or groups cannot reach what needs them. Groups
    and clusters that nothing in it takes are left out.
    """
    names = {"sensitive_features": _groups_name(estimator)}
    if weighted:
        names["sample_weight"] = _weights_name(estimator)
    if clustered:
        names["clusters"] = _clusters_name(estimator)
    return {field: name for field, name in names.items() if name is not None}


def _groups_name(estimator: Any) -> str | None:
    """Return the fit parameter for groups. None where nothing takes them, or changes by them."""
    found, router = _takers(estimator, "sensitive_features"), _router(estimator)
    if router is not None:
        return _requested(router, "sensitive_features")
    # without fairness terms the groups change no model: where they cannot go, they need not
    needed = [p for p in found if getattr(regressor_in(estimator, p), "fairness", None) is not None]
    for path in needed or found[:1]:
        with suppress(*() if needed else (ValueError,)):
            return fit_parameter(estimator, path, "sensitive_features")
    return None


def _weights_name(estimator: Any) -> str:
    """Return the fit parameter for weights."""
    held = _takers(estimator, "sensitive_features")
    path = held[0] if len(held) == 1 else _path_to_weights(estimator)
    last = regressor_in(estimator, path)
    if "sample_weight" not in inspect.signature(last.fit).parameters:
        raise ValueError(f"sample_weight cannot be used, {type(last).__name__}.fit takes none")
    return fit_parameter(estimator, path, "sample_weight")


def _path_to_weights(estimator: Any) -> Path:
    """Return the path from an estimator to the part that takes weights, as deep as it must be."""
    from sklearn.pipeline import Pipeline

    name = None
    if isinstance(estimator, Pipeline):
        name = estimator.steps[-1][0]
    elif "sample_weight" not in inspect.signature(estimator.fit).parameters:
        held = estimator.get_params(deep=False)
        inner = (key for key in ("estimator", "regressor") if hasattr(held.get(key), "fit"))
        name = next(inner, None)
    if name is None:
        return ()
    return (name, *_path_to_weights(estimator.get_params(deep=True)[name]))


def _clusters_name(estimator: Any) -> str | None:
    """Return the fit parameter for clusters, or for ``groups`` of an inner splitter."""
    for path in _takers(estimator, "clusters"):
        return fit_parameter(estimator, path, "clusters")
    router = _router(estimator)
    if router is not None:
        return _requested(router, "groups")
    for path, part in _parts(estimator):
        cv = getattr(part, "cv", None)
        if get_routing_for_object(cv).consumes("split", ["groups"]):
            return fit_parameter(estimator, path, "groups")
    return None


def _router(estimator: Any) -> Any:
    """Return what a meta-estimator routes. None with routing off, or where it does not route."""
    if not get_config()["enable_metadata_routing"]:
        return None
    try:
        found = get_routing_for_object(estimator)
    except NotImplementedError:
        return None
    return found if isinstance(found, MetadataRouter) else None


def _requested(router: MetadataRouter, name: str) -> str | None:
    """Return the name where it is handed on to a part that requests it, else None."""
    return name if router.consumes("fit", [name]) else None


def _takers(estimator: Any, name: str) -> list[Path]:
    """Return the paths to the parts of an estimator of which ``fit`` names a parameter."""
    return [
        path for path, part in _parts(estimator) if name in inspect.signature(part.fit).parameters
    ]


def _parts(estimator: Any) -> Iterator[tuple[Path, Any]]:
    """Yield an estimator and all estimators within it, with the paths to them."""
    yield (), estimator
    held = estimator.get_params(deep=True) if hasattr(estimator, "get_params") else {}
    for name, value in held.items():
        if hasattr(value, "fit") and not isinstance(value, type):
            yield tuple(name.split("__")), value


def _takes(estimator: Any, name: str, routing: bool) -> bool:
    """Tell whether ``fit`` of a meta-estimator passes a parameter on."""
    from sklearn.ensemble import BaggingRegressor, StackingRegressor, VotingRegressor

    # with routing off they refuse all but sample_weight, whatever their signature says
    weights_only = BaggingRegressor | StackingRegressor | VotingRegressor
    if isinstance(estimator, weights_only) and not routing:
        return name == "sample_weight"
    parameters = inspect.signature(estimator.fit).parameters
    return name in parameters or any(p.kind == p.VAR_KEYWORD for p in parameters.values())
