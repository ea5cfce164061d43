"""Folds of a search: those of any splitter, in which clusters stay whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sklearn.model_selection import GroupKFold, check_cv
from sklearn.utils.validation import _num_samples

from skfairloss._inputs.columns import named_columns
from skfairloss._inputs.groups import Groups, check_index, encode_clusters
from skfairloss._inputs.parameters import is_integer
from skfairloss._inputs.splits import split_rows
from skfairloss.model_selection._data import FitData
from skfairloss.model_selection._folds import no_folds


@dataclass(frozen=True)
class FoldOfSearch:
    """One split of the rows: its name and number, the positions of training and test rows."""

    name: str
    number: int
    train: Any
    test: Any


def search_folds(
    cv: Any, data: FitData, clusters: Any, for_splitter: dict[str, Any]
) -> list[FoldOfSearch]:
    """Return the folds of ``cv``, a splitter of which is given what is for it."""
    whole = _encoded(clusters, data, for_splitter)
    splitter = check_cv(cv, data.y, classifier=False)
    if whole is not None and (cv is None or is_integer(cv)):
        splitter = GroupKFold(splitter.get_n_splits())
    pairs = split_rows(splitter, data.X, data.y, whole, for_splitter)
    if not pairs:
        raise ValueError(no_folds(cv))
    names = [f"fold {k + 1} of {len(pairs)}" for k in range(len(pairs))]
    return [FoldOfSearch(names[k], k, *rows) for k, rows in enumerate(pairs)]


def _encoded(clusters: Any, data: FitData, for_splitter: dict[str, Any]) -> Groups | None:
    """Return the clusters of the rows. None where there are none."""
    if clusters is None:
        return None
    if for_splitter.get("groups") is not None:
        raise ValueError("clusters and groups are the same for a splitter: pass one of them")
    clusters = named_columns(clusters, data.X, "clusters")
    check_index(X=data.X, y=data.y, clusters=clusters)
    return encode_clusters(clusters, _num_samples(data.y))
