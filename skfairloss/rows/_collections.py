"""Rows that are not in memory among arguments, told without importing Dask."""

from __future__ import annotations

from typing import Any

from skfairloss._inputs.elsewhere import is_collection, is_source
from skfairloss._rows.source import RowSource


def read_source(
    X: Any, y: Any, sample_weight: Any, sensitive_features: Any, clusters: Any = None
) -> RowSource | None:
    """Return arguments as a source of rows: X itself, or of Dask. None where all are in memory."""
    beside = {
        "y": y,
        "sample_weight": sample_weight,
        "sensitive_features": sensitive_features,
        "clusters": clusters,
    }
    if is_collection(X, *beside.values()):
        from skfairloss.rows._dask import DaskRows

        return DaskRows.of(X, **beside)
    if not is_source(X):
        return None
    for name, value in beside.items():
        if value is not None:
            raise ValueError(
                f"{name} must be None beside a source of rows, which holds it: give blocks "
                f"{name!r}, got {type(value).__name__}"
            )
    return X


def predicted(model: Any, X: Any) -> Any:
    """Return the predictions of a fitted model for a collection, lazily and of its kind."""
    from skfairloss.rows._dask import predict_lazily

    return predict_lazily(model, X)
