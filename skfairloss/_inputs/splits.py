"""Splits of the rows by a splitter of scikit-learn's kind, in which clusters stay whole."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from skfairloss._inputs.groups import Groups, counted
from skfairloss._typing import Index

Split = tuple[Index, Index]


def split_rows(
    splitter: Any, X: Any, y: Any, clusters: Groups | None, params: Mapping[str, Any] | None = None
) -> list[Split]:
    """Return the splits of a splitter, which is given the clusters as ``groups`` if it takes them.

    ``params`` are what else it is given. Raises ValueError where a split has rows of one cluster on
    both sides.
    """
    params = dict(params or {})
    if clusters is None:
        return list(splitter.split(X, y, **params))
    if "groups" in inspect.signature(splitter.split).parameters:
        params["groups"] = clusters.codes
    with warnings.catch_warnings():
        # a splitter of scikit-learn that ignores them; the check below says what matters
        warnings.filterwarnings("ignore", "The groups parameter is ignored")
        splits = list(splitter.split(X, y, **params))
    _check_whole(clusters, splits)
    return splits


def _check_whole(clusters: Groups, splits: list[Split]) -> None:
    """Raise ValueError where a cluster has rows on both sides of a split."""
    for k, (train, test) in enumerate(splits):
        codes = clusters.codes
        both = np.intersect1d(codes[train], codes[test])
        if len(both):
            raise ValueError(
                f"cv splits {counted(len(both), 'cluster')} in fold {k + 1} of {len(splits)}, the "
                f"first is {clusters.labels[both[0]]!r}: take a splitter that keeps clusters "
                "whole, such as GroupKFold, which is given them as groups"
            )
