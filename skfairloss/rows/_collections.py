"""Collections of Dask among the arguments of an estimator, told without importing Dask."""

from __future__ import annotations

from typing import Any

from skfairloss._inputs.elsewhere import is_collection
from skfairloss._rows.source import RowSource


def collected(X: Any, y: Any, sample_weight: Any, sensitive_features: Any) -> RowSource | None:
    """Return Dask arguments of a fit as a source of rows. None where none is of Dask."""
    if not is_collection(X, y, sample_weight, sensitive_features):
        return None
    from skfairloss.rows._dask import DaskRows

    return DaskRows.of(X, y, sample_weight, sensitive_features)


def predicted(model: Any, X: Any) -> Any:
    """Return the predictions of a fitted model for a collection, lazily and of its kind."""
    from skfairloss.rows._dask import predict_lazily

    return predict_lazily(model, X)
