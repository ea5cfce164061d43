"""Rows that are not in memory, told without importing what holds them."""

from __future__ import annotations

import sys
from typing import Any


def is_collection(*given: Any) -> bool:
    """Return True where any argument is a collection of Dask."""
    dask = sys.modules.get("dask")
    return dask is not None and any(map(dask.is_dask_collection, given))


def is_source(given: Any) -> bool:
    """Return True for a `RowSource`; no row is read for that."""
    return all(callable(getattr(type(given), name, None)) for name in ("run", "each", "head"))


def check_in_memory(**arguments: Any) -> None:
    """Refuse sources and collections where rows must be in one array."""
    for name, value in arguments.items():
        if is_collection(value) or is_source(value):
            library = type(value).__module__.partition(".")[0]
            raise TypeError(
                f"{name} must be in memory, got {library} {type(value).__name__}: fits, searches, "
                "comparisons and GroupReport.from_estimator take Dask collections and sources of "
                "rows, nothing else does. Pass arrays, such as those of a part of the rows"
            )
