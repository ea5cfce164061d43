"""Predictions for each value of a parameter, for rows that were left out of the fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from skfairloss._columns import named_columns
from skfairloss._groups import check_index, encode_groups
from skfairloss._place import fitting_at
from skfairloss.metrics._bootstrap import generator
from skfairloss.metrics._estimates import group_estimates
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
) -> pd.DataFrame:
    """Tidy table of a metric by group for each value of the parameter, in a column of its name.

    The folds, stratified by group where ``cv`` is a number, and the bootstrap samples are the
    same for all values.
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
    metrics, tables = label_metric(metric), []
    for value in param_range:
        model = clone(estimator).set_params(**{param_name: value})
        with fitting_at(f"{param_name}={value!r}"):
            y_pred = cross_val_predict(model, X, y, cv=folds, params=fit_params)
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
        tables.append(estimates.to_frame().assign(**{param_name: value}))
    if not tables:
        raise ValueError("param_range must hold at least one value, got none")
    return pd.concat(tables, ignore_index=True)
