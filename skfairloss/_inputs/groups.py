"""From ``sensitive_features``, in whatever form they come, to integer codes and group names.

Groups are the distinct combinations of the columns of ``sensitive_features``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skfairloss._inputs.columns import (
    Column,
    distinct,
    listed_column,
    missing_rows,
    plain,
    read_columns,
)
from skfairloss._inputs.elsewhere import check_in_memory
from skfairloss._inputs.place import in_run, warn_user

_OWN_GROUP = "give them a group of their own"  # the remedy for rows without one


@dataclass(frozen=True)
class Factor:
    """Values of n rows as codes.

    Parameters
    ----------
    label : Any
        Name of the column; None without one.

    codes : ndarray of shape (n_samples,), dtype intp
        Number of each row's value, from 0 to n_values - 1; every number occurs.

    names : ndarray of shape (n_values,)
        The values, with their dtype: those of a categorical dtype in its order, others sorted.

    categories : ndarray of shape (n_categories,)
        All values of a categorical dtype, in its order; None for other dtypes.
    """

    label: Any
    codes: NDArray[np.intp]
    names: NDArray[Any]
    categories: NDArray[Any] | None = None

    @property
    def labels(self) -> list[Any]:
        """The names as Python values."""
        return plain(self.names)

    def subset(self, kept: NDArray[np.bool_]) -> Factor:
        """Return the kept rows, without values that have no row left."""
        present, codes = np.unique(self.codes[kept], return_inverse=True)
        names = self.names[present]
        return Factor(self.label, codes.astype(np.intp, copy=False), names, self.categories)


@dataclass(frozen=True)
class Groups:
    """Group membership of n rows.

    Parameters
    ----------
    codes : ndarray of shape (n_samples,), dtype intp
        Number of each row's group, from 0 to n_groups - 1; every number occurs.

    names : ndarray of shape (n_groups,) or (n_groups, n_columns)
        The group of each number, in the order of the columns: the values of a single column, with
        its dtype, or one row of values (dtype object) for each combination of several columns.

    factors : tuple of Factor
        The columns.
    """

    codes: NDArray[np.intp]
    names: NDArray[Any]
    factors: tuple[Factor, ...]

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return len(self.names)

    def subset(self, kept: NDArray[np.bool_]) -> Groups:
        """Return the groups of the kept rows, without groups that have no row left."""
        present, codes = np.unique(self.codes[kept], return_inverse=True)
        factors = tuple(factor.subset(kept) for factor in self.factors)
        return Groups(codes.astype(np.intp, copy=False), self.names[present], factors)

    @property
    def labels(self) -> list[Any]:
        """The names as plain Python values, a tuple for each group of several columns."""
        if len(self.factors) == 1:
            return self.factors[0].labels
        return [tuple(row) for row in self.names]

    @property
    def title(self) -> str:
        """Names of the columns, joined by " × "; "group" where one of them has none.

        Numbers, as pandas gives columns without names, are none.
        """
        names = [factor.label for factor in self.factors]
        unnamed = any(name in (None, "") or isinstance(name, Number) for name in names)
        return "group" if unnamed else " × ".join(map(str, names))

    @property
    def texts(self) -> list[str]:
        """The names in words, no two alike: ``repr`` tells apart what ``str`` does not."""
        labels = self.labels
        words = [", ".join(map(str, v)) if isinstance(v, tuple) else str(v) for v in labels]
        return words if len(set(words)) == len(words) else list(map(repr, labels))


@dataclass(frozen=True)
class GroupColumns:
    """The columns that groups are from, without the rows.

    Parameters
    ----------
    names : names of the columns, None for one without.
    categories : the values of each column in their order. None where they are sorted.
    """

    names: tuple[Any, ...] = ()
    categories: tuple[NDArray[Any] | None, ...] = ()

    @classmethod
    def of(cls, groups: Groups) -> GroupColumns:
        """Take the columns of groups."""
        names, categories = zip(*((f.label, f.categories) for f in groups.factors), strict=True)
        return cls(names, categories)

    def merged(self, other: GroupColumns) -> GroupColumns:
        """Return the columns of both parts of the rows.

        Categories are kept where both state the same ones in the same order.
        """
        if self.names != other.names:
            raise ValueError(
                "blocks must all have the same columns of 'sensitive_features' in the same order, "
                f"got {list(self.names)} and {list(other.names)}"
            )
        categories = map(_common, self.categories, other.categories)
        return GroupColumns(self.names, tuple(categories))

    def encode(self, labels: Sequence[Any]) -> Groups:
        """Encode groups by their labels, a row for each, in the order of the columns."""
        parts = zip(*labels, strict=True) if len(self.names) > 1 else [labels]
        columns = map(listed_column, self.names, map(list, parts), self.categories)
        return _combine(tuple(_factorise(column, "sensitive_features") for column in columns))


def _common(one: NDArray[Any] | None, two: NDArray[Any] | None) -> NDArray[Any] | None:
    """Return the categories that two columns have. None where they differ, also in order."""
    same = one is not None and two is not None and one.tolist() == two.tolist()
    return one if same else None


def encode_groups(
    sensitive_features: Any, n_samples: int | None = None, name: str = "sensitive_features"
) -> Groups:
    """Encode the group of each row as its position among the group names in order.

    Parameters
    ----------
    sensitive_features : list, array, Series, DataFrame or dict of 1-D arrays
        One value, or one row of values, for each sample. Series and DataFrame may be those of
        pandas or polars. The fields of a structured array are columns; what a masked array masks
        is missing.

    n_samples : int, default=None
        Number of rows there must be; ``None`` accepts any.

    name : str, default="sensitive_features"
        Name of the argument in error messages.

    Returns
    -------
    Groups
        Codes of the rows and names of the groups. Values that are equal in Python, such as 1, 1.0
        and True, are one group; all others stay apart. Columns of a pandas Categorical or a polars
        Enum keep the order of their categories, others are sorted; those that mix types by the name
        of the type first.

    Raises
    ------
    TypeError
        If the input is a scalar or holds values that cannot be hashed.

    ValueError
        If values are missing, the length or number of dimensions is wrong, there are no rows or
        no columns, or there are more groups than max(2, n_samples / 2), as with continuous
        values.

    Examples
    --------
    >>> groups = encode_groups(["dark", "bright", "bright", "dark"])
    >>> groups.codes
    array([1, 0, 0, 1])
    >>> groups.names
    array(['bright', 'dark'], dtype='<U6')
    """
    groups = _encode(sensitive_features, n_samples, name, _OWN_GROUP)
    n_rows = len(groups.codes)
    if groups.n_groups > max(2, n_rows / 2):
        raise ValueError(
            f"{name} has {groups.n_groups} groups in {n_rows} rows: the values look continuous or "
            "nearly unique. Bin them, or merge small groups, so that there are at least two rows "
            "a group on average"
        )
    return groups


def encode_block(sensitive_features: Any, n_samples: int, name: str) -> Groups:
    """Encode the groups of some rows of many, as `encode_groups` does: any number of groups."""
    return _encode(sensitive_features, n_samples, name, _OWN_GROUP)


def encode_block_clusters(clusters: Any, n_samples: int, name: str) -> Groups:
    """Encode the clusters of some rows of many, as `encode_clusters` does: one will do."""
    return _encode(clusters, n_samples, name, "give each a cluster of its own")


def encode_clusters(clusters: Any, n_samples: int) -> Groups:
    """Encode the cluster of each row, such as a person or a school, as `encode_groups` does groups.

    Parameters
    ----------
    clusters : list, array, Series, DataFrame or dict of 1-D arrays
        As for `encode_groups`; any number of clusters from two on.

    n_samples : int
        Number of rows there must be.

    Returns
    -------
    Groups
        Codes and names of the clusters.

    Raises
    ------
    TypeError
        If the input is a scalar or holds values that cannot be hashed.

    ValueError
        If values are missing, the length is wrong, or all rows are of one cluster.
    """
    found = encode_block_clusters(clusters, n_samples, "clusters")
    if found.n_groups == 1:
        raise ValueError(
            f"clusters has the single cluster {found.labels[0]!r}: nothing is known about how "
            "others would differ from it, it takes two at least"
        )
    return found


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: "1 row", "2 rows"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def spelled(labels: Sequence[Any]) -> str:
    """Return groups in words: "group ('old', 'f')", "groups 'a', 'b' and 'c'"."""
    names = list(map(repr, labels))
    if len(names) == 1:
        return f"group {names[0]}"
    return f"groups {', '.join(names[:-1])} and {names[-1]}"


def group_means(
    groups: Groups, values: ArrayLike, weights: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Return the weighted mean of ``values`` (n,) by group, (n_groups,); NaN without weight."""
    values = np.asarray(values, dtype=np.float64)
    weights = np.ones_like(values) if weights is None else np.asarray(weights, dtype=np.float64)
    size = groups.n_groups
    totals = np.bincount(groups.codes, weights=weights, minlength=size)
    sums = np.bincount(groups.codes, weights=weights * values, minlength=size)
    return np.divide(sums, totals, out=np.full(size, np.nan), where=totals != 0)


def check_index(sensitive_features: Any = None, **others: Any) -> None:
    """Raise ValueError where two pandas arguments differ in their index.

    Rows are matched by position; two pandas objects with different indices are most likely
    misaligned. Groups with an index out of order and none to compare it with are a UserWarning:
    they may be a shuffled column. A run of many fits warns of it once, before the first. Whatever
    is not a pandas object is passed over, but for collections of Dask, which are a TypeError.
    """
    arguments = {"sensitive_features": sensitive_features, **others}
    check_in_memory(**arguments)
    indices = {name: _pandas_index(value) for name, value in arguments.items()}
    compared = [(name, index) for name, index in indices.items() if index is not None]
    for name, index in compared[1:]:  # equal to the first is equal to each other
        first, expected = compared[0]
        if not expected.equals(index):
            raise ValueError(
                f"the index of {first} differs from that of {name}: align them, or "
                "pass .to_numpy() to match by position"
            )
    index = indices["sensitive_features"]
    alone = index is not None and len(compared) == 1
    if alone and not index.is_monotonic_increasing and not in_run():
        given = ", ".join(name for name, value in others.items() if value is not None)
        warn_user(
            "the index of sensitive_features is not in ascending order, and there is none to "
            f"compare it with in {given}: the rows are matched by position. Pass .to_numpy() to "
            "say that this is meant",
            UserWarning,
        )


def _pandas_index(data: Any) -> Any:
    """Return the index of a pandas Series or DataFrame. None for everything else."""
    index = getattr(data, "index", None)
    return index if hasattr(index, "equals") else None


def _check_rows(raw: Any, columns: list[Column], n_samples: int | None, name: str) -> None:
    """Raise ValueError unless all columns have the same, right, positive number of rows."""
    lengths = sorted({len(column.values) for column in columns})
    if lengths == [0]:
        raise ValueError(f"{name} is empty")
    if len(lengths) == 1 and n_samples in (None, lengths[0]):
        return
    *fewer, most = lengths
    got = " or ".join([*map(str, fewer), counted(most, "row")])
    hint = ""
    if isinstance(raw, Mapping) and len(lengths) == 1:
        hint = ". Cross-validation cannot slice a dict: pass an array or a DataFrame instead"
    expected = "the same number in each column" if n_samples is None else str(n_samples)
    raise ValueError(f"{name} has {got}, expected {expected}{hint}")


def _encode(raw: Any, n_samples: int | None, name: str, remedy: str) -> Groups:
    """Encode the combinations of columns; ``remedy`` is for rows with missing values."""
    columns = read_columns(raw, name)
    _check_rows(raw, columns, n_samples, name)
    _check_present(columns, name, remedy)
    return _combine(tuple(_factorise(column, name) for column in columns))


def _check_present(columns: list[Column], name: str, remedy: str) -> None:
    """Raise ValueError where a value is missing."""
    for column in columns:
        rows = missing_rows(column, name)
        if rows.size:
            where = "" if column.label is None else f", column {column.label!r},"
            more = ", ..." if rows.size > 5 else ""
            at = "position" if rows.size == 1 else "positions"
            raise ValueError(
                f"{name}{where} has missing values in {rows.size} of "
                f"{counted(len(column.values), 'row')}, at {at} {', '.join(map(str, rows[:5]))}"
                f"{more}. Drop these rows, or {remedy}"
            )


def _factorise(column: Column, name: str) -> Factor:
    """Return codes (n,) and ordered values of a column without missing values."""
    codes, names = _codes_and_values(column.values, name)
    if column.categories is None:
        return Factor(column.label, codes, names)
    return Factor(column.label, codes, column.categories[names], column.categories)


def _codes_and_values(values: NDArray[Any], name: str) -> tuple[NDArray[np.intp], NDArray[Any]]:
    """Return codes (n,) and sorted distinct values."""
    if values.dtype.kind in "iu" and len(values):
        counted_codes = _counted_codes(values)
        if counted_codes is not None:
            names = np.empty(counted_codes.max() + 1, dtype=values.dtype)
            names[counted_codes] = values
            return counted_codes, names
    if values.dtype.kind not in "OUS":
        names, inverse = np.unique(values, return_inverse=True)
        return inverse.astype(np.intp, copy=False), names
    # a dict is several times as fast as sorting strings, and takes mixed types
    rows = values.tolist()
    ordered = _sorted(distinct(rows, name))
    position = {value: code for code, value in enumerate(ordered)}
    codes = np.fromiter(map(position.__getitem__, rows), dtype=np.intp, count=len(rows))
    return codes, np.fromiter(ordered, dtype=values.dtype, count=len(ordered))


def _counted_codes(values: NDArray[np.integer]) -> NDArray[np.intp] | None:
    """Return codes of integers by counting, faster than sorting. None if far apart."""
    low, high = int(values.min()), int(values.max())
    if high - low >= len(values):
        return None
    # in 64 bits: -100 and 100 are further apart than eight bits can tell
    wide = values.astype(np.uint64 if values.dtype.kind == "u" else np.int64, copy=False)
    shifted = (wide - wide.dtype.type(low)).astype(np.intp)
    occurs = np.bincount(shifted) > 0
    return shifted if occurs.all() else (np.cumsum(occurs) - 1)[shifted]


def _sorted(values: Iterable[Any]) -> list[Any]:
    """Sort values; those that cannot be compared by the name of their type first."""
    values = list(values)
    for key in (None, lambda v: (type(v).__name__, v)):
        try:
            return sorted(values, key=key)
        except TypeError:
            continue
    return sorted(values, key=lambda v: (type(v).__name__, repr(v)))


def _combine(factors: tuple[Factor, ...]) -> Groups:
    """Encode the combinations of columns that occur, in lexicographic order."""
    codes = factors[0].codes
    if len(factors) == 1:
        return Groups(codes, factors[0].names, factors)
    for factor in factors[1:]:
        # numbered afresh after each column: the product stays below n_rows² and cannot overflow
        mixed = codes * len(factor.names) + factor.codes
        _, first, codes = np.unique(mixed, return_index=True, return_inverse=True)
    names = np.empty((len(first), len(factors)), dtype=object)
    for j, factor in enumerate(factors):
        values = factor.labels
        column = (values[code] for code in factor.codes[first])
        names[:, j] = np.fromiter(column, dtype=object, count=len(first))
    return Groups(codes.astype(np.intp, copy=False), names, factors)
