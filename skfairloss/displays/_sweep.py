"""Predictions for each value of a parameter, for rows that were left out of the fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.model_selection import StratifiedKFold, cross_validate
from sklearn.utils.metaestimators import _safe_split

from skfairloss._inputs.columns import named_columns
from skfairloss._inputs.groups import check_index, counted, encode_groups
from skfairloss._inputs.place import fitting_at
from skfairloss._typing import Array
from skfairloss.metrics._bootstrap import generator
from skfairloss.metrics._estimates import group_estimates
from skfairloss.metrics._mix_ends import squared_share
from skfairloss.metrics._named import label_metric


def sweep(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    sensitive_features: Any,
    sample_weight: Any,
    param_name: str,
    param_range: Iterable[Any],
    metric: Any,
    cv: Any,
    fit_params: Mapping[str, Any] | None,
    n_boot: int | None,
    confidence_level: float,
    random_state: Any,
) -> tuple[pd.DataFrame, str]:
    """Tidy table of a metric by group for each value of the parameter, and what defines the groups.

    The values are in a column of the parameter's name. Where that is the mix of a loss, the column
    "squared_share" has the share of the squared part in the attained loss. The folds, stratified by
    group where ``cv`` is a number, and the bootstrap samples are the same for all values.
    """
    sensitive_features = named_columns(sensitive_features, X)
    check_index(sensitive_features, X=X, y=y, sample_weight=sample_weight)
    for name, given in (fit_params or {}).items():
        if name.endswith("sensitive_features") and given is not sensitive_features:
            check_index(given, X=X, y=y)
    codes = encode_groups(sensitive_features, len(y)).codes
    seed = int(generator(random_state).integers(2**31 - 1))
    if isinstance(cv, int):
        cv = StratifiedKFold(cv, shuffle=True, random_state=seed)
    folds = list(cv.split(X, codes)) if hasattr(cv, "split") else list(cv)
    _check_folds(folds, len(codes))
    metrics, tables = label_metric(metric), []
    for value in param_range:
        model = clone(estimator).set_params(**{param_name: value})
        with fitting_at(f"{param_name}={value!r}"):
            fitted = _fit_folds(model, X, y, folds, fit_params)
            y_pred = _predict_left_out(fitted, X, folds)
            estimates = group_estimates(
                np.asarray(y),
                y_pred,
                sensitive_features=sensitive_features,
                sample_weight=sample_weight,
                metrics=metrics,
                n_boot=n_boot,
                confidence_level=confidence_level,
                random_state=seed,
            )
        table = estimates.to_frame().assign(**{param_name: value})
        if is_mix(param_name):
            table["squared_share"] = np.mean([squared_share(each) for each in fitted])
        tables.append(table)
    if not tables:
        raise ValueError("param_range must hold at least one value, got none")
    return pd.concat(tables, ignore_index=True), estimates.group_name


def is_mix(param_name: str) -> bool:
    """Tell whether a parameter, perhaps of an estimator within, is the mix of a loss."""
    return param_name.rpartition("__")[2] == "loss_mix"


def _check_folds(folds: list[Any], n_rows: int) -> None:
    """Raise ValueError unless each row is left out once."""
    left_out = np.concatenate([np.zeros(0, int), *(np.asarray(test) for _, test in folds)])
    if not np.array_equal(np.sort(left_out), np.arange(n_rows)):
        raise ValueError(
            f"cv must leave out each of {counted(n_rows, 'row')} in one fold, got "
            f"{counted(len(folds), 'fold')} with {len(np.unique(left_out))} different rows, "
            f"{len(left_out)} in all"
        )


def _fit_folds(model: Any, X: Any, y: Any, folds: list[Any], fit_params: Any) -> list[Any]:
    """Fit clones to the training rows of each fold."""
    found = cross_validate(
        model,
        X,
        y,
        cv=folds,
        params=fit_params,
        scoring=_no_score,
        return_estimator=True,
        error_score="raise",
    )
    return list(found["estimator"])


def _predict_left_out(fitted: list[Any], X: Any, folds: list[Any]) -> Array:
    """Predictions of all rows, each from the fold that left it out."""
    parts = [
        np.asarray(model.predict(_safe_split(model, X, None, test, train)[0]))
        for model, (train, test) in zip(fitted, folds, strict=True)
    ]
    return np.concatenate(parts)[np.argsort(np.concatenate([test for _, test in folds]))]


def _no_score(*_: Any) -> float:
    """Take the place of a score, which nobody reads."""
    return 0.0
