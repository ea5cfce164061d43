"""Folds of a comparison: partitions of the rows, stratified by group."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedKFold, check_cv
from sklearn.utils import check_random_state

from skfairloss._inputs.groups import Groups, counted
from skfairloss._inputs.parameters import is_integer
from skfairloss._inputs.splits import Split, split_rows
from skfairloss._typing import Index

FEWEST = 3  # folds: what training adds is measured on rows outside of two


def make_folds(
    cv: Any, n_repeats: int, groups: Groups, clusters: Groups | None, random_state: Any
) -> list[list[Split]]:
    """Return partitions into folds, lists of pairs (train, test), all of one length.

    No fold splits a cluster. Where ``clusters`` is None rows are independent.
    """
    n = len(groups.codes)
    if is_integer(cv):
        partitions = _stratified(int(cv), n_repeats, groups, clusters, random_state)
    else:
        drawn = split_rows(check_cv(cv), np.zeros((n, 1)), groups.codes, clusters)
        splits = [(np.asarray(train), np.asarray(test)) for train, test in drawn]
        if not splits:
            raise ValueError(no_folds(cv))
        partitions = _partitions(splits, n)
    sizes = {len(partition) for partition in partitions}
    if len(sizes) > 1:
        raise ValueError(f"cv must repeat the same number of folds, got {sorted(sizes)}")
    for partition in partitions:
        _check_spread(groups, partition)
    return partitions


def no_folds(cv: Any) -> str:
    """Say what is wrong where there are no folds."""
    return (
        f"cv must yield pairs (train, test), got none from {cv!r}. A generator is used up by one "
        "search: pass a list"
    )


def fold_of_rows(partition: list[Split], n: int) -> Index:
    """Return the fold in which each row is tested, (n,)."""
    out = np.empty(n, dtype=np.intp)
    for k, (_, test) in enumerate(partition):
        out[test] = k
    return out


def place_of(r: int, k: int, n_repeats: int, n_folds: int) -> str:
    """Return the name of a fold in errors and warnings."""
    place = f"fold {k + 1} of {n_folds}"
    return place if n_repeats == 1 else f"{place}, repeat {r + 1} of {n_repeats}"


def _stratified(
    n_folds: int, n_repeats: int, groups: Groups, clusters: Groups | None, seed: Any
) -> list[list[Split]]:
    """Return folds stratified by group, of whole clusters, shuffled anew for each repeat."""
    if n_folds < FEWEST:
        raise ValueError(f"cv must be at least {FEWEST} folds, got {n_folds}")
    if clusters is None:
        units, strata = np.arange(len(groups.codes)), groups.codes
        sizes = np.bincount(strata)
        smallest = int(sizes.argmin())
        if sizes[smallest] < n_folds:
            raise ValueError(
                f"the group {groups.labels[smallest]!r} has {counted(sizes[smallest], 'row')}, "
                f"fewer than the cv={n_folds} folds: merge small groups, or use fewer folds"
            )
    else:
        units, strata = clusters.codes, _strata(groups, clusters, n_folds)
    random = check_random_state(seed)
    out = []
    for _ in range(n_repeats):
        folds = StratifiedKFold(n_folds, shuffle=True, random_state=random.randint(2**31 - 1))
        drawn = folds.split(np.zeros((len(strata), 1)), strata)
        fold = fold_of_rows(list(drawn), len(strata))[units]
        out.append([(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(n_folds)])
    return out


def _strata(groups: Groups, clusters: Groups, n_folds: int) -> Index:
    """Return the stratum of each cluster, (n_clusters,): the group that most of its rows are in.

    Groups that are the largest in fewer clusters than there are folds share a stratum.
    """
    if clusters.n_groups < n_folds:
        raise ValueError(
            f"clusters has {clusters.n_groups} clusters, fewer than the cv={n_folds} folds"
        )
    shape = (clusters.n_groups, groups.n_groups)
    cells = np.ravel_multi_index((clusters.codes, groups.codes), shape)
    held, sizes = np.unique(cells, return_counts=True)
    cluster, group = np.unravel_index(held, shape)
    order = np.lexsort((group, -sizes, cluster))  # of each cluster, the largest group first
    main = group[order[np.unique(cluster[order], return_index=True)[1]]]
    number = np.bincount(main, minlength=groups.n_groups)
    strata = np.where(number[main] < n_folds, groups.n_groups, main)
    few = strata == groups.n_groups
    if few.sum() < n_folds and not few.all():
        strata[few] = number.argmax()
    return strata


def _partitions(splits: list[Split], n: int) -> list[list[Split]]:
    """Group successive splits into partitions, in which every row is tested once."""
    out: list[list[Split]] = []
    tested = np.zeros(n, dtype=bool)
    current: list[Split] = []
    for train, test in splits:
        if tested[test].any() or np.intersect1d(train, test).size:
            raise ValueError("cv must test every row once, on models that did not see it")
        tested[test] = True
        current.append((train, test))
        if tested.all():
            out.append(current)
            tested, current = np.zeros(n, dtype=bool), []
    if current or not out or len(out[0]) < FEWEST:
        raise ValueError(
            f"cv must test every row once, in {FEWEST} folds or more (or do so several times in a "
            "row)"
        )
    return out


def _check_spread(groups: Groups, partition: list[Split]) -> None:
    """Raise ValueError where a group has test rows in too few of the folds."""
    n_folds = len(partition)
    fold = fold_of_rows(partition, len(groups.codes))
    cells = np.bincount(fold * groups.n_groups + groups.codes, minlength=n_folds * groups.n_groups)
    held = (cells.reshape(n_folds, -1) > 0).sum(axis=0)
    few = np.flatnonzero(held < FEWEST)
    if len(few):
        raise ValueError(
            f"cv has rows of the group {groups.labels[few[0]]!r} in "
            f"{counted(held[few[0]], 'fold')} only, it takes {FEWEST}: stratify the folds by group"
        )
