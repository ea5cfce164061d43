"""From ``sensitive_features``, in whatever form they come, to integer codes and group names.

Groups are the distinct combinations of the columns of ``sensitive_features``. Data frames are
recognised by their methods, so neither pandas nor polars is imported here.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skfairloss._place import in_run


@dataclass(frozen=True)
class Groups:
    """Group membership of n rows.

    Parameters
    ----------
    codes : ndarray of shape (n_samples,), dtype intp
        Number of each row's group, from 0 to n_groups - 1; every number occurs.

    names : ndarray of shape (n_groups,) or (n_groups, n_columns)
        What the numbers stand for, sorted: the values of a single column, with its dtype, or
        one row of values (dtype object) for each combination of several columns.
    """

    codes: NDArray[np.intp]
    names: NDArray[Any]

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return len(self.names)

    def subset(self, kept: NDArray[np.bool_]) -> Groups:
        """Groups of the kept rows; groups without a row left are gone."""
        present, codes = np.unique(self.codes[kept], return_inverse=True)
        return Groups(codes.astype(np.intp, copy=False), self.names[present])

    @property
    def labels(self) -> list[Any]:
        """The names as plain Python values, a tuple for each group of several columns."""
        if self.names.ndim == 1:
            return _python_values(self.names)
        return [tuple(row) for row in self.names]


def encode_groups(
    sensitive_features: Any, n_samples: int | None = None, name: str = "sensitive_features"
) -> Groups:
    """Encode the group of each row as its position among the sorted group names.

    Parameters
    ----------
    sensitive_features : list, array, Series, DataFrame or dict of 1-D arrays
        One value, or one row of values, for each sample. Series and DataFrame may be those of
        pandas or polars. The fields of a structured array are columns; what a masked array masks
        is missing.

    n_samples : int, default=None
        Number of rows there must be; ``None`` accepts any.

    name : str, default="sensitive_features"
        What error messages call the argument.

    Returns
    -------
    Groups
        Codes of the rows and names of the groups. Columns that mix types are sorted by the name
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
    labels, columns = zip(*split_columns(sensitive_features, name), strict=True)
    _check_rows(sensitive_features, columns, n_samples, name)
    _check_present(labels, columns, name)
    factorised = [_factorise(column, name) for column in columns]
    groups = _combine(factorised)
    n_rows = len(groups.codes)
    if groups.n_groups > max(2, n_rows / 2):
        raise ValueError(
            f"{name} has {groups.n_groups} groups in {n_rows} rows: the values look continuous or "
            "nearly unique. Bin them, or merge small groups, so that there are at least two rows "
            "a group on average"
        )
    return groups


def split_columns(sensitive_features: Any, name: str) -> list[tuple[Any, NDArray[Any]]]:
    """Pairs (column name or None, 1-D array of values), one for each column; at least one."""
    if isinstance(sensitive_features, Mapping):
        pairs = [(key, _as_array(values, name)) for key, values in sensitive_features.items()]
    elif hasattr(sensitive_features, "columns"):
        columns = _frame_columns(sensitive_features, name)
        pairs = [(column.name, column.to_numpy()) for column in columns]
    else:
        values = _as_array(sensitive_features, name)
        if values.ndim == 0:
            raise TypeError(
                f"{name} must be a list, array, Series, DataFrame or dict with a value for each "
                f"row, got {sensitive_features!r} of type {type(sensitive_features).__name__}"
            )
        if values.dtype.names:
            pairs = [(field, values[field]) for field in values.dtype.names]
        elif values.ndim == 2:
            pairs = [(None, column) for column in values.T]
        else:
            # polars calls a Series without a name ""
            pairs = [(getattr(sensitive_features, "name", None) or None, values)]
    if not pairs:
        raise ValueError(f"{name} has no columns")
    for label, column in pairs:
        if column.ndim != 1:
            where = "" if label is None else f" in {label!r}"
            raise ValueError(
                f"{name} must be one- or two-dimensional, a dict must hold one-dimensional "
                f"arrays; got shape {column.shape}{where}"
            )
    return pairs


def group_means(
    groups: Groups, values: ArrayLike, weights: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Weighted mean of ``values`` (n,) in each group, (n_groups,); NaN where no weight is."""
    values = np.asarray(values, dtype=np.float64)
    weights = np.ones_like(values) if weights is None else np.asarray(weights, dtype=np.float64)
    size = groups.n_groups
    totals = np.bincount(groups.codes, weights=weights, minlength=size)
    sums = np.bincount(groups.codes, weights=weights * values, minlength=size)
    return np.divide(sums, totals, out=np.full(size, np.nan), where=totals != 0)


def check_index(sensitive_features: Any, **others: Any) -> None:
    """Raise ValueError where a pandas index of ``others`` differs from sensitive_features's.

    Rows are matched by position; two pandas objects with different indices are most likely
    misaligned. An index out of order with none to compare it with is a UserWarning: it may be that
    of a shuffled column. A run of many fits warns of it once, before the first. Whatever is not a
    pandas object is passed over.
    """
    index = _pandas_index(sensitive_features)
    if index is None:
        return
    indices = {name: _pandas_index(other) for name, other in others.items()}
    compared = {name: other for name, other in indices.items() if other is not None}
    for name, other in compared.items():
        if not index.equals(other):
            raise ValueError(
                f"the index of sensitive_features differs from that of {name}: align them, or "
                "pass .to_numpy() to match by position"
            )
    if not compared and not index.is_monotonic_increasing and not in_run():
        given = ", ".join(name for name, value in others.items() if value is not None)
        warnings.warn(
            "the index of sensitive_features is not in ascending order, and there is none to "
            f"compare it with in {given}: the rows are matched by position. Pass .to_numpy() to "
            "say that this is meant",
            UserWarning,
            stacklevel=4,
        )


def _pandas_index(data: Any) -> Any:
    """Return the index of a pandas Series or DataFrame, None for everything else."""
    index = getattr(data, "index", None)
    return index if hasattr(index, "equals") else None


def _frame_columns(frame: Any, name: str) -> list[Any]:
    """Return the columns of a pandas or polars DataFrame, by position: names may repeat."""
    if hasattr(frame, "iloc"):
        return [frame.iloc[:, j] for j in range(frame.shape[1])]
    if hasattr(frame, "get_columns"):
        return list(frame.get_columns())
    raise TypeError(
        f"{name} must be a pandas or polars data frame where it is a table, got "
        f"{type(frame).__module__}.{type(frame).__qualname__}"
    )


def _as_array(values: Any, name: str) -> NDArray[Any]:
    """As an array, without the conversion to strings NumPy makes of mixed lists."""
    if hasattr(values, "to_numpy"):
        return np.asarray(values.to_numpy())
    if isinstance(values, np.ma.MaskedArray):
        unmasked = np.array(values.data, dtype=object)
        unmasked[np.ma.getmaskarray(values)] = None
        return unmasked
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name} must have rows of one length: {error}") from error
    if array.dtype.kind in "US" and not isinstance(values, np.ndarray):
        raw = np.asarray(values, dtype=object)
        own = bytes if array.dtype.kind == "S" else str
        if not all(issubclass(kind, own) for kind in set(map(type, raw.ravel()))):
            return raw
    return array


def _check_rows(
    raw: Any, columns: tuple[NDArray[Any], ...], n_samples: int | None, name: str
) -> None:
    """Raise ValueError unless all columns have the same, right, positive number of rows."""
    lengths = sorted({len(column) for column in columns})
    if lengths == [0]:
        raise ValueError(f"{name} is empty")
    if len(lengths) == 1 and n_samples in (None, lengths[0]):
        return
    got = " or ".join(map(str, lengths))
    hint = ""
    if isinstance(raw, Mapping) and len(lengths) == 1:
        hint = ". Cross-validation cannot slice a dict: pass an array or a DataFrame instead"
    expected = "the same number in each column" if n_samples is None else str(n_samples)
    raise ValueError(f"{name} has {got} rows, expected {expected}{hint}")


def _check_present(labels: tuple[Any, ...], columns: tuple[NDArray[Any], ...], name: str) -> None:
    """Raise ValueError where a value is missing."""
    for label, column in zip(labels, columns, strict=True):
        rows = np.flatnonzero(_missing(column, name))
        if rows.size:
            where = "" if label is None else f", column {label!r},"
            more = ", ..." if rows.size > 5 else ""
            raise ValueError(
                f"{name}{where} has missing values in {rows.size} of {len(column)} rows, at "
                f"positions {', '.join(map(str, rows[:5]))}{more}. Drop these rows, or give them "
                "a group of their own"
            )


def _missing(column: NDArray[Any], name: str) -> NDArray[np.bool_]:
    """Mask of missing values: None, NaN, NaT and pandas.NA."""
    if column.dtype.kind in "fc":
        return np.isnan(column)
    if column.dtype.kind in "mM":
        return np.isnat(column)
    if column.dtype.kind == "O" and any(map(_is_missing, _distinct(column.tolist(), name))):
        return np.fromiter(map(_is_missing, column), dtype=bool, count=len(column))
    return np.zeros(len(column), dtype=bool)


def _is_missing(value: Any) -> bool:
    """Whether one object is a missing value, or a tuple (of a MultiIndex) that holds one."""
    if value is None:
        return True
    if isinstance(value, tuple):
        return any(map(_is_missing, value))
    try:
        return bool(value != value)  # noqa: PLR0124  (true of NaN and NaT alone)
    except TypeError:  # pandas.NA has no truth value
        return True


def _distinct(rows: list[Any], name: str) -> Collection[Any]:
    """Return the distinct values, or raise TypeError if they cannot be hashed."""
    try:
        values = set(rows)
    except TypeError as error:
        raise TypeError(f"{name} must hold scalars, got values of {error}") from error
    if len(set(map(type, rows))) == 1:
        return values
    # 1, 1.0 and True are equal: one group, whose name must not depend on the order of the rows
    typed = sorted(set(zip(map(type, rows), rows, strict=True)), key=lambda v: v[0].__name__)
    return {value: value for _, value in reversed(typed)}.values()


def _factorise(column: NDArray[Any], name: str) -> tuple[NDArray[np.intp], NDArray[Any]]:
    """Codes and sorted distinct values of one column without missing values."""
    if column.dtype.kind in "iu" and len(column):
        low, high = int(column.min()), int(column.max())
        if high - low < len(column):  # to count is faster than to sort
            shifted = (column - column.dtype.type(low)).astype(np.intp)
            present = np.flatnonzero(np.bincount(shifted))
            if len(present) == high - low + 1:
                return shifted, (present + low).astype(column.dtype)
            codes_of = np.zeros(high - low + 1, dtype=np.intp)
            codes_of[present] = np.arange(len(present))
            return codes_of[shifted], (present + low).astype(column.dtype)
    if column.dtype.kind not in "OUS":
        values, codes = np.unique(column, return_inverse=True)
        return codes.astype(np.intp, copy=False), values
    # a dict is several times as fast as sorting strings, and takes mixed types
    rows = column.tolist()
    ordered = _sorted(_distinct(rows, name))
    position = {value: code for code, value in enumerate(ordered)}
    codes = np.fromiter(map(position.__getitem__, rows), dtype=np.intp, count=len(rows))
    return codes, np.fromiter(ordered, dtype=column.dtype, count=len(ordered))


def _sorted(values: Iterable[Any]) -> list[Any]:
    """Sorted; values that cannot be compared by the name of their type first."""
    values = list(values)
    for key in (None, lambda v: (type(v).__name__, v)):
        try:
            return sorted(values, key=key)
        except TypeError:
            continue
    return sorted(values, key=lambda v: (type(v).__name__, repr(v)))


def _combine(factorised: list[tuple[NDArray[np.intp], NDArray[Any]]]) -> Groups:
    """Encode the combinations of columns that occur, in lexicographic order."""
    codes, values = factorised[0]
    if len(factorised) == 1:
        return Groups(codes, values)
    for other, other_values in factorised[1:]:
        # numbered afresh after each column: the product stays below n_rows² and cannot overflow
        mixed = codes * len(other_values) + other
        _, first, codes = np.unique(mixed, return_index=True, return_inverse=True)
    names = np.empty((len(first), len(factorised)), dtype=object)
    for j, (column_codes, column_values) in enumerate(factorised):
        names[:, j] = _python_values(column_values[column_codes[first]])
    return Groups(codes.astype(np.intp, copy=False), names)


def _python_values(values: NDArray[Any]) -> list[Any]:
    """Python scalars; dates stay NumPy's, which ``tolist`` may turn into bare integers."""
    return list(values) if values.dtype.kind in "mM" else values.tolist()
