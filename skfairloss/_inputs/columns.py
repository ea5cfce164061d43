"""From ``sensitive_features``, in whatever form they come, to columns in which no two values merge.

Data frames are recognised by their methods, so neither pandas nor polars is imported here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# kinds of the NumPy dtypes that hold the values of a Python type
_KINDS: dict[type, str] = {bool: "b", int: "iu", float: "f", complex: "c", str: "U", bytes: "S"}


@dataclass(frozen=True)
class Column:
    """One column of ``sensitive_features``.

    Parameters
    ----------
    label : its name; None without one.
    values : (n,), the values, or their positions among the categories, -1 where one is missing.
    categories : the values of a categorical dtype, in its order; None for other dtypes.
    """

    label: Any
    values: NDArray[Any]
    categories: NDArray[Any] | None = None


def read_columns(sensitive_features: Any, name: str) -> list[Column]:
    """Read the columns, at least one, each with a value for every row."""
    if isinstance(sensitive_features, Mapping):
        columns = [_column(values, name, label) for label, values in sensitive_features.items()]
    elif hasattr(sensitive_features, "columns"):
        columns = [_column(c, name, c.name) for c in _frame_columns(sensitive_features, name)]
    else:
        columns = _bare_columns(sensitive_features, name)
    if not columns:
        raise ValueError(f"{name} has no columns")
    return columns


def named_columns(given: Any, X: Any, argument: str = "sensitive_features") -> Any:
    """Return the named columns of X; values that are given themselves, unchanged.

    A string is a name, and so are the different strings of a list that is not as long as X.
    """
    if isinstance(given, str):
        return take_columns(given, X, argument)
    named = isinstance(given, list | tuple) and _are_names(given)
    if named and len(given) != _length(X):
        return take_columns(list(given), X, argument)
    return given


def take_columns(names: str | list[str], X: Any, argument: str = "sensitive_features") -> Any:
    """Return columns of a pandas or polars DataFrame, in which they stay."""
    what = "groups" if argument == "sensitive_features" else argument
    if not hasattr(X, "columns"):
        raise ValueError(
            f"{argument}={names!r} names columns of X: X must be a pandas or polars "
            f"DataFrame, got {type(X).__name__}. Pass the {what} themselves, a value for each "
            f"row: {argument}=table[{names!r}]. A step of a Pipeline is given what the "
            f"steps before it return, often an array; pass the {what} to the pipeline's fit as "
            f"step__{argument}=table[{names!r}], or without the name of the step where "
            "metadata routing is on"
        )
    known = list(X.columns)
    wanted = [names] if isinstance(names, str) else names
    missing = [name for name in wanted if name not in known]
    if missing:
        raise ValueError(
            f"X has no columns {missing}, it has {known}: {argument} must name columns of "
            f"X, or hold the {what} themselves, a value for each row"
        )
    if any(known.count(name) > 1 for name in wanted):
        raise ValueError(f"X has several columns of one name among {wanted}: rename them")
    return X[names]


def _are_names(values: list[Any] | tuple[Any, ...]) -> bool:
    """Tell whether there are values, all of them strings and none of them twice."""
    strings = bool(values) and all(isinstance(value, str) for value in values)
    return strings and len(set(values)) == len(values)


def _length(X: Any) -> int | None:
    """Return the number of rows. None where X has none."""
    shape = getattr(X, "shape", None)
    if shape:
        return int(shape[0])
    return len(X) if hasattr(X, "__len__") else None


def missing_rows(column: Column, name: str) -> NDArray[np.intp]:
    """Return the positions of missing values: None, NaN, NaT and pandas.NA."""
    values = column.values
    if column.categories is not None:
        return np.flatnonzero(values < 0)
    if values.dtype.kind in "fc":
        return np.flatnonzero(np.isnan(values))
    if values.dtype.kind in "mM":
        return np.flatnonzero(np.isnat(values))
    if values.dtype.kind == "O" and any(map(_is_missing, distinct(values.tolist(), name))):
        return np.flatnonzero([_is_missing(value) for value in values])
    return np.zeros(0, dtype=np.intp)


def distinct(rows: list[Any], name: str) -> list[Any]:
    """Return the distinct values, or raise TypeError if they cannot be hashed.

    Values that are equal are one: of 1, 1.0 and True the one whose type comes first by name, so
    that it does not depend on the order of the rows.
    """
    try:
        values = set(rows)
    except TypeError as error:
        raise TypeError(f"{name} must hold scalars, got values of {error}") from error
    if len(set(map(type, rows))) == 1:
        return list(values)
    typed = sorted(set(zip(map(type, rows), rows, strict=True)), key=lambda v: v[0].__name__)
    return list({value: value for _, value in reversed(typed)}.values())


def _is_missing(value: Any) -> bool:
    """Tell whether an object is a missing value, or a tuple (of a MultiIndex) that holds one."""
    if value is None:
        return True
    if isinstance(value, tuple):
        return any(map(_is_missing, value))
    try:
        return bool(value != value)  # noqa: PLR0124  (true of NaN and NaT alone)
    except TypeError:  # pandas.NA has no truth value
        return True


def listed_column(label: Any, values: list[Any], categories: NDArray[Any] | None) -> Column:
    """Return the column of a list of values, which are among the categories if there are any."""
    if categories is None:
        return Column(label, _as_array(values, "sensitive_features"))
    position = {value: code for code, value in enumerate(plain(categories))}
    codes = np.array([position[value] for value in values], dtype=np.intp)
    return Column(label, codes, categories)


def plain(values: NDArray[Any]) -> list[Any]:
    """Return Python values; dates stay NumPy's, which may have no other form."""
    return list(values) if values.dtype.kind in "mM" else values.tolist()


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


def _bare_columns(values: Any, name: str) -> list[Column]:
    """Return the columns of a list, an array or a Series, or the fields of a structured array."""
    if _categories(values) is not None:
        return [_column(values, name, getattr(values, "name", None) or None)]
    array = _as_array(values, name)
    if array.ndim == 0:
        hint = ": a name of a column needs X, here pass X[...]" if isinstance(values, str) else ""
        raise TypeError(
            f"{name} must be a list, array, Series, DataFrame or dict with a value for each "
            f"row, got {values!r} of type {type(values).__name__}{hint}"
        )
    if array.dtype.names:
        return [_column(array[field], name, field) for field in array.dtype.names]
    if array.ndim == 2 and isinstance(values, np.ndarray):
        return [_column(column, name, None) for column in array.T]
    if array.ndim == 2:
        return [_column(column.tolist(), name, None) for column in array.T]
    # polars calls a Series without a name ""
    return [_column(array, name, getattr(values, "name", None) or None)]


def _column(values: Any, name: str, label: Any) -> Column:
    """Return one column, (n,)."""
    categories = _categories(values)
    if categories is not None:
        return Column(label, _positions(values), categories)
    array = _as_array(values, name)
    if array.ndim != 1:
        where = "" if label is None else f" in {label!r}"
        raise ValueError(
            f"{name} must be one- or two-dimensional, a dict must hold one-dimensional "
            f"arrays; got shape {array.shape}{where}"
        )
    return Column(label, array)


def _categories(values: Any) -> NDArray[Any] | None:
    """Return the categories of a pandas Categorical or a polars Enum. None for everything else."""
    categories = getattr(getattr(values, "dtype", None), "categories", None)
    if categories is None or not hasattr(categories, "to_numpy"):  # polars has others
        return None
    return np.asarray(categories.to_numpy())


def _positions(values: Any) -> NDArray[np.intp]:
    """Return the position of each value among its categories, (n,); -1 where it is missing."""
    if hasattr(values, "to_physical"):  # polars; with missing values they are floats
        numbers = np.asarray(values.to_physical().to_numpy(), dtype=np.float64)
        return np.nan_to_num(numbers, nan=-1.0).astype(np.intp)
    return np.asarray(getattr(values, "cat", values).codes, dtype=np.intp)


def _as_array(values: Any, name: str) -> NDArray[Any]:
    """Return an array in which no two values have become one, (n,)."""
    if hasattr(values, "to_pylist"):  # pyarrow, whose to_numpy fails for strings
        values = values.to_pylist()
    elif hasattr(values, "to_numpy"):
        values = np.asarray(values.to_numpy())
    if isinstance(values, np.ma.MaskedArray):
        return _unmasked(values)
    if isinstance(values, np.ndarray):
        return values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))
    try:
        raw = np.asarray(values, dtype=object)
    except ValueError as error:
        raise ValueError(f"{name} must have rows of one length: {error}") from error
    if raw.ndim != 1:
        return raw
    if any(issubclass(kind, list | tuple | np.ndarray) for kind in set(map(type, raw))):
        raise ValueError(f"{name} must have rows of one length, got rows of several")
    return _typed(raw)


def _unmasked(values: Any) -> NDArray[Any]:
    """Return an array of objects, (n,), with None where a value is masked."""
    data, mask = values.data, np.ma.getmaskarray(values)
    unmasked = np.empty(data.shape, dtype=object)
    if data.dtype.kind in "mM":  # as objects they would be integers
        unmasked[...] = np.fromiter(data.flat, dtype=object, count=data.size).reshape(data.shape)
    else:
        unmasked[...] = data
    unmasked[mask if mask.dtype == bool else [any(row) for row in mask.tolist()]] = None
    return unmasked


def _typed(raw: NDArray[np.object_]) -> NDArray[Any]:
    """Return objects (n,) as an array of their type, if they have one and it keeps all of them.

    It loses integers beyond 64 bits, null characters at the end of a string, and what a subclass of
    str or int adds.
    """
    rows = raw.tolist()
    kinds = set(map(type, rows))
    if len(kinds) != 1:
        return raw
    (kind,) = kinds
    if kind not in _KINDS and not issubclass(kind, np.generic):
        return raw
    array = np.asarray(rows)
    same = array.dtype.kind in _KINDS[kind] if kind in _KINDS else array.dtype.type is kind
    return array if same and (array.dtype.kind in "mMV" or array.tolist() == rows) else raw
