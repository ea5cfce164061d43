"""Scorers of a cross-validation: from ``scoring`` to numbers, with or without metadata routing."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.metrics import check_scoring, get_scorer
from sklearn.utils import _safe_indexing
from sklearn.utils.metadata_routing import get_routing_for_object, process_routing

from skfairloss._inputs.place import fitting_at

Scorer = Callable[..., Any]
Given = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Scorers:
    """One or several scorers.

    Parameters
    ----------
    scorers : by name; "score" for a single one.
    several : whether ``scoring`` named several.
    """

    scorers: dict[str, Scorer]
    several: bool

    @property
    def names(self) -> list[str]:
        """Names of the scorers."""
        return list(self.scorers)

    @property
    def as_given(self) -> Any:
        """The scorer, or a dict of scorers where there are several."""
        return dict(self.scorers) if self.several else self.scorers["score"]

    def by_key(self) -> dict[str, Scorer]:
        """Return the scorers under the names that metadata are routed by."""
        return {f"scorer_{name}": scorer for name, scorer in self.scorers.items()}

    def routed(
        self, owner: Any, metadata: Mapping[str, Any], params: Mapping[str, Any]
    ) -> tuple[Given, dict[str, Any]]:
        """Return the metadata for each scorer and for the splitter of a search.

        ``params`` are what scorers and splitter request of its ``fit`` beside ``metadata``.
        """
        if get_config()["enable_metadata_routing"]:
            found = process_routing(owner, "fit", **metadata, **params)
            return {key: found[key].score for key in self.by_key()}, found.splitter.split
        if params:
            raise TypeError(
                f"{type(owner).__name__}.fit got unexpected arguments {sorted(params)}: they need "
                "sklearn.set_config(enable_metadata_routing=True)"
            )
        return self.unrouted(**metadata), {}

    def unrouted(self, sample_weight: Any, sensitive_features: Any) -> Given:
        """Return the metadata of each scorer with routing off.

        Groups go to the scorers that request them, weights to those that can take them.
        """
        out: Given = {}
        for key, scorer in self.by_key().items():
            out[key] = {}
            if sensitive_features is not None and _requests_groups(scorer):
                out[key]["sensitive_features"] = sensitive_features
            if sample_weight is not None and _takes_weights(scorer):
                out[key]["sample_weight"] = sample_weight
        return out

    def rows(self, given: Given, index: Any, n_rows: int) -> Given:
        """Return the metadata of each scorer for some of the rows."""
        return {
            key: {
                name: _safe_indexing(value, index) if _has_rows(value, n_rows) else value
                for name, value in values.items()
            }
            for key, values in given.items()
        }

    def __call__(
        self, model: Any, X: Any, y: Any, given: Given, place: str
    ) -> dict[str, float | Exception]:
        """Score a fitted model; return by name the score, or the error that names the place."""
        out: dict[str, float | Exception] = {}
        for name, scorer in self.scorers.items():
            try:
                with fitting_at(place):
                    out[name] = _number(scorer(model, X, y, **given[f"scorer_{name}"]), name)
            except Exception as error:
                out[name] = error
        return out


def make_scorers(scoring: Any, estimator: Any) -> Scorers:
    """Read ``scoring``: None, a name, a callable, a list of names or a dict."""
    if scoring is None or isinstance(scoring, str) or callable(scoring):
        return Scorers({"score": check_scoring(estimator, scoring)}, several=False)
    if isinstance(scoring, Mapping):
        named = dict(scoring)
    elif isinstance(scoring, list | tuple | set) and all(isinstance(s, str) for s in scoring):
        named = {name: name for name in scoring}
        if len(named) < len(scoring):
            raise ValueError(f"scoring names a scorer twice, got {scoring!r}")
    else:
        raise ValueError(
            "scoring must be None, a name, a callable, a list of names or a dict of names and "
            f"scorers, got {scoring!r}"
        )
    if not named or not all(isinstance(name, str) for name in named):
        raise ValueError(f"scoring must name at least one scorer by a string, got {scoring!r}")
    return Scorers(
        {
            n: check_scoring(estimator, s) if callable(s) else get_scorer(s)
            for n, s in named.items()
        },
        several=True,
    )


def _requests_groups(scorer: Scorer) -> bool:
    """Tell whether a scorer requests ``sensitive_features``."""
    routing = get_routing_for_object(scorer)
    return bool(routing.consumes("score", ["sensitive_features"]))


def _takes_weights(scorer: Scorer) -> bool:
    """Tell whether a scorer can be given ``sample_weight``."""
    asked = getattr(scorer, "_accept_sample_weight", None)
    if asked is not None:
        return bool(asked())
    parameters = inspect.signature(scorer).parameters
    return "sample_weight" in parameters or any(
        p.kind == p.VAR_KEYWORD for p in parameters.values()
    )


def _has_rows(value: Any, n_rows: int) -> bool:
    """Tell whether metadata have a value for each row."""
    shape = getattr(value, "shape", None)
    if shape:
        return bool(shape[0] == n_rows)
    return hasattr(value, "__len__") and not isinstance(value, str) and len(value) == n_rows


def _number(value: Any, name: str) -> float:
    """Return a score; raise an error unless it is one number."""
    if np.ndim(value) != 0 or isinstance(value, str | Mapping):
        raise ValueError(f"scoring must return a number, {name} returned {type(value).__name__}")
    if np.isnan(value):
        raise ValueError(f"scoring must return a number, {name} returned nan")
    return float(value)
