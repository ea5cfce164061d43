"""Folds of a comparison: partitions of the rows, stratified by group."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedKFold, check_cv
from sklearn.utils import check_random_state

from skfairloss._inputs.groups import Groups, counted
from skfairloss._inputs.parameters import is_integer
from skfairloss._typing import Index

Split = tuple[Index, Index]

_FEWEST = 3  # folds: what training adds is measured on rows outside of two


def make_folds(cv: Any, n_repeats: int, groups: Groups, random_state: Any) -> list[list[Split]]:
    """Return partitions into folds, lists of pairs (train, test), all of one length."""
    n = len(groups.codes)
    if is_integer(cv):
        return _stratified(int(cv), n_repeats, groups, random_state)
    splits = [
        (np.asarray(train), np.asarray(test))
        for train, test in check_cv(cv).split(np.zeros((n, 1)), groups.codes)
    ]
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


def _stratified(n_folds: int, n_repeats: int, groups: Groups, seed: Any) -> list[list[Split]]:
    """Return stratified folds, shuffled anew for each repeat."""
    if n_folds < _FEWEST:
        raise ValueError(f"cv must be at least {_FEWEST} folds, got {n_folds}")
    sizes = np.bincount(groups.codes)
    smallest = int(sizes.argmin())
    if sizes[smallest] < n_folds:
        raise ValueError(
            f"the group {groups.labels[smallest]!r} has {counted(sizes[smallest], 'row')}, fewer "
            f"than the cv={n_folds} folds: merge small groups, or use fewer folds"
        )
    random = check_random_state(seed)
    rows = np.zeros((len(groups.codes), 1))
    out = []
    for _ in range(n_repeats):
        folds = StratifiedKFold(n_folds, shuffle=True, random_state=random.randint(2**31 - 1))
        out.append(list(folds.split(rows, groups.codes)))
    return out


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
    if current or not out or len(out[0]) < _FEWEST:
        raise ValueError(
            f"cv must test every row once, in {_FEWEST} folds or more (or do so several times in a "
            "row)"
        )
    return out


def _check_spread(groups: Groups, partition: list[Split]) -> None:
    """Raise ValueError where a group has test rows in too few of the folds."""
    n_folds = len(partition)
    fold = fold_of_rows(partition, len(groups.codes))
    cells = np.bincount(fold * groups.n_groups + groups.codes, minlength=n_folds * groups.n_groups)
    held = (cells.reshape(n_folds, -1) > 0).sum(axis=0)
    few = np.flatnonzero(held < _FEWEST)
    if len(few):
        raise ValueError(
            f"cv has rows of the group {groups.labels[few[0]]!r} in "
            f"{counted(held[few[0]], 'fold')} only, it takes {_FEWEST}: stratify the folds by group"
        )
