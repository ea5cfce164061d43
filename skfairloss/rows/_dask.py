"""Rows of Dask collections: passes travel to the partitions, on whatever scheduler is current.

A block of rows is a partition of each argument. They are taken once, all through one expression:
Dask fuses the partitions of a file by the columns that are asked for, so that X and y of one file,
taken one by one, may end in different ones, and each would read or compute its own copy of what
they share. A fit keeps nothing on a cluster: partitions that are
not persisted are computed again at each pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain
from typing import Any
from uuid import uuid4

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
from dask.delayed import delayed

from skfairloss._inputs.groups import check_index
from skfairloss._rows.blocks import Block, check_names, read_block
from skfairloss._rows.source import Kernel, OnBlock, first_rows, reduce_block
from skfairloss._rows.sums import Sums, in_tree, merge
from skfairloss._typing import Array

# Sums of so many blocks come together in a task. A power of 2: pairs are then those of `in_tree`.
_TOGETHER = 8


@dataclass(frozen=True)
class DaskRows:
    """Rows of Dask arrays, or of DataFrames and Series, of the same partitions.

    Parameters
    ----------
    parts : what is computed of each block: the values of ``names``.
    names : the arguments of `fit` that were given.
    n_features, n_outputs, single, feature_names : as `RowSource` has them.
    """

    parts: tuple[Any, ...]
    names: tuple[str, ...]
    n_features: int
    n_outputs: int
    single: bool
    feature_names: list[str] | None

    @classmethod
    def of(
        cls,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        sensitive_features: Any = None,
        clusters: Any = None,
    ) -> Any:
        """Take the partitions of the arguments of a fit, which are checked without computing."""
        if y is None:
            raise ValueError("fit requires y to be passed, but the target y is None")
        every = {
            "X": X,
            "y": y,
            "sample_weight": sample_weight,
            "sensitive_features": _named_columns("sensitive_features", X, sensitive_features),
            "clusters": _named_columns("clusters", X, clusters),
        }
        given = {name: value for name, value in every.items() if value is not None}
        frames = _check_kinds(given)
        _check_numbers(given)
        if frames:
            _check_partitions(given)
            one = dd.map_partitions(
                _tuple, *given.values(), align_dataframes=False, meta=pd.Series(dtype=object)
            )
        else:
            _check_chunks(given)
            pairs = [(_whole_rows(a), "ij" if a.ndim > 1 else "i") for a in given.values()]
            one = da.blockwise(
                _tuple,
                "i",
                *chain.from_iterable(pairs),
                dtype=object,
                concatenate=False,
                align_arrays=False,
                meta=np.empty(0, dtype=object),
            )
        parts = tuple(np.ravel(one.to_delayed()))
        n_outputs = 1 if y.ndim == 1 else int(y.shape[1])
        return cls(parts, tuple(given), int(X.shape[1]), n_outputs, y.ndim == 1, _names(X))

    @property
    def n_blocks(self) -> int:
        """Number of partitions."""
        return len(self.parts)

    def head(self) -> Block:
        """Return some rows of the first partition that has any; those before it are computed."""
        return self._head

    @cached_property
    def _head(self) -> Block:
        for i, part in enumerate(self.parts):
            (found,) = dask.compute(delayed(_some)(i, self.names, part))
            if found is not None:
                return found
        return first_rows([])  # the error of no rows

    def run(
        self,
        kernel: Kernel,
        own: Mapping[int, Any] | None = None,
        on_block: OnBlock | None = None,  # noqa: ARG002  (the dashboard shows tasks)
    ) -> Sums:
        """Send a kernel to all partitions, and what is sent to single ones, and return the sums."""
        name, token, sent = kernel.name, uuid4().hex, own or {}
        shared = delayed(kernel, name=f"{name}-kernel-{token}", traverse=False)
        level = [
            delayed(_reduce)(
                shared,
                i,
                self.names,
                part,
                delayed(sent[i], traverse=False) if i in sent else None,
                dask_key_name=f"{name}-{token}-{i}",
            )
            for i, part in enumerate(self.parts)
        ]
        depth = 0
        while len(level) > 1:  # a fixed tree: the same sums, whoever computes what
            depth += 1
            level = [
                delayed(_merged)(
                    level[start : start + _TOGETHER],
                    dask_key_name=f"{name}-sums-{token}-{depth}-{start}",
                )
                for start in range(0, len(level), _TOGETHER)
            ]
        return dask.compute(level[0])[0]

    def each(
        self, function: Callable[[Array], Array], names: list[str] | None = None
    ) -> Iterator[Array]:
        """Apply a function to the features of one partition after the other."""
        check_names(0, self.feature_names, names)
        for i, part in enumerate(self.parts):
            yield dask.compute(delayed(_apply)(function, i, self.names, part))[0]


def predict_lazily(model: Any, X: Any) -> Any:
    """Return the predictions of a fitted model for a collection, of its kind, without computing.

    Columns and dtypes are checked at once. A DataFrame gives a Series named "prediction", or a
    DataFrame for several outputs, with its index.
    """
    _check_kinds({"X": X})
    _check_numbers({"X": X})
    model = copy(model)  # a later fit gives it other coefficients
    frame = isinstance(X, dd.DataFrame)
    example = X._meta_nonempty if frame else np.ones((1, _n_columns("X", X)), dtype=X.dtype)
    shape = np.shape(model.predict(example))
    if frame:
        columns = {} if len(shape) == 1 else {"columns": range(shape[1])}
        predict = partial(_predict_frame, model, columns)
        return X.map_partitions(predict, meta=predict(X._meta))
    several = len(shape) > 1
    return _whole_rows(X).map_blocks(
        partial(_predict_block, model, shape[1:]),
        dtype=np.float64,
        drop_axis=[] if several else [1],
        chunks=(X.chunks[0], (shape[1],)) if several else (X.chunks[0],),
        meta=np.empty((0,) * len(shape)),
    )


# What workers call.


def _tuple(*values: Any) -> tuple[Any, ...]:
    """Return the blocks of the arguments of a fit; those of two dimensions may be in a list."""
    return tuple(value[0] if isinstance(value, list) else value for value in values)


def _block(number: int, names: Sequence[str], values: Sequence[Any], targets: bool = True) -> Block:
    """Read and check the rows of a block."""
    given = dict(zip(names, values, strict=True))
    if targets and len({len(value) for value in given.values()}) == 1:  # else lengths are named
        try:
            check_index(**given)
        except ValueError as error:
            raise ValueError(f"in block {number}, {error}") from error
    return read_block(number, given if targets else {"X": given["X"]}, targets=targets)


def _reduce(
    kernel: Kernel, number: int, names: Sequence[str], values: Sequence[Any], own: Any
) -> Sums:
    """Return the sums of a kernel over a block."""
    return reduce_block(kernel, number, _block(number, names, values), own)


def _some(number: int, names: Sequence[str], values: Sequence[Any]) -> Block | None:
    """Return some rows of a block. None where it has none with a weight."""
    block = _block(number, names, values)
    kept = len(block.X) if block.weights is None else np.count_nonzero(block.weights)
    return first_rows([block]) if kept else None


def _apply(
    function: Callable[[Array], Array], number: int, names: Sequence[str], values: Sequence[Any]
) -> Array:
    """Apply a function to the features of a block."""
    return function(_block(number, names, values, targets=False).X)


def _merged(parts: Sequence[Sums]) -> Sums:
    """Return the sums of consecutive parts of the rows."""
    return in_tree(parts, merge) or Sums()


def _predict_block(model: Any, outputs: tuple[int, ...], x: Array) -> Array:
    """Predict the rows of a block, which may have none."""
    return model.predict(x) if len(x) else np.empty((0, *outputs))


def _predict_frame(model: Any, columns: dict[str, Any], x: Any) -> Any:
    """Predict the rows of a partition, which may have none."""
    found = _predict_block(model, tuple(map(len, columns.values())), x)
    if columns:
        return pd.DataFrame(found, index=x.index, **columns)
    return pd.Series(found, index=x.index, name="prediction")


# Checks before anything is computed.


def _named_columns(argument: str, X: Any, given: Any) -> Any:
    """Return columns of X that an argument names; all else as it is."""
    names = given if isinstance(given, list) else [given]
    if not names or not all(isinstance(name, str) for name in names):
        return given
    if not isinstance(X, dd.DataFrame):
        raise ValueError(f"{argument}={given!r} names columns of X, which is no DataFrame")
    missing = [name for name in names if name not in X.columns]
    if missing:
        raise ValueError(f"{argument} names {missing}, not among {list(X.columns)}")
    return X[given]


def _check_kinds(given: Mapping[str, Any]) -> bool:
    """Refuse arguments of different kinds; return True where they are frames."""
    kinds = {}
    for name, value in given.items():
        if isinstance(value, da.Array):
            kinds[name] = "Dask Array"
        elif isinstance(value, (dd.DataFrame, dd.Series)):
            kinds[name] = "Dask DataFrame or Series"
        elif dask.is_dask_collection(value):
            raise TypeError(
                f"{name} must be a Dask Array, DataFrame or Series, got {type(value).__name__}"
            )
        else:
            kinds[name] = f"{type(value).__module__.partition('.')[0]} {type(value).__name__}"
    if len(set(kinds.values())) > 1:
        got = ", ".join(f"{name} is a {kind}" for name, kind in kinds.items())
        raise ValueError(
            f"{', '.join(given)} must be of one kind, all Dask Arrays, all Dask DataFrames and "
            f"Series, or all in memory: {got}"
        )
    if isinstance(given["X"], dd.Series) or given["X"].ndim != 2:
        raise ValueError(f"X must have two dimensions, got {given['X'].ndim}")
    return isinstance(given["X"], dd.DataFrame)


def _check_numbers(given: Mapping[str, Any]) -> None:
    """Refuse columns that hold no numbers, and sparse blocks."""
    for name, value in given.items():
        if name in ("sensitive_features", "clusters"):
            continue
        if hasattr(getattr(value, "_meta", None), "nnz"):
            raise NotImplementedError(
                f"{name} has sparse blocks: rows in blocks must be dense. Pass the whole sparse X "
                "to fit, or dense blocks"
            )
        dtypes = {None: value.dtype} if hasattr(value, "dtype") else dict(value.dtypes)
        for column, dtype in dtypes.items():
            if getattr(dtype, "kind", "O") not in "biuf":
                where = name if column is None else f"column {column!r} of {name}"
                raise ValueError(f"{where} must hold numbers, got dtype {dtype}")


def _check_partitions(given: Mapping[str, Any]) -> None:
    """Refuse frames whose rows are in different partitions."""
    counts = {name: frame.npartitions for name, frame in given.items()}
    if len(set(counts.values())) > 1:
        got = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise ValueError(f"arguments must have the same partitions: {got}. Repartition them")
    known = [(name, frame.divisions) for name, frame in given.items() if frame.known_divisions]
    for name, divisions in known[1:]:
        if divisions != known[0][1]:
            raise ValueError(
                f"arguments must have the same partitions: divisions of {known[0][0]} are "
                f"{known[0][1]}, of {name} {divisions}. Repartition them"
            )


def _check_chunks(given: Mapping[str, Any]) -> None:
    """Refuse arrays whose rows are in different chunks; unknown sizes are checked in the block."""
    known: tuple[str, Any] | None = None
    first = given["X"]
    for name, array in given.items():
        if array.ndim > 1:
            _n_columns(name, array)
        if array.numblocks[0] != first.numblocks[0]:
            raise ValueError(
                f"rows must be in the same chunks: X has {first.numblocks[0]} blocks of rows, "
                f"{name} {array.numblocks[0]}. Pass {name}.rechunk"
            )
        chunks = array.chunks[0]
        if np.isnan(chunks).any():
            continue
        if known is not None and chunks != known[1]:
            other, before = known
            i = next(i for i, size in enumerate(chunks) if size != before[i])
            raise ValueError(
                f"rows must be in the same chunks: block {i} has {before[i]} rows in {other} and "
                f"{chunks[i]} in {name}. Pass {name}.rechunk"
            )
        known = known or (name, chunks)


def _n_columns(name: str, array: Any) -> int:
    """Return the number of columns of an array of two dimensions, which has to be known."""
    if array.ndim != 2 or np.isnan(array.shape[1]):
        raise ValueError(f"{name} must have shape (n, p) with a known p, got {array.shape}")
    return int(array.shape[1])


def _whole_rows(array: Any) -> Any:
    """Return an array whose rows are in one chunk each."""
    return array.rechunk({1: -1}) if array.ndim > 1 and array.numblocks[1] > 1 else array


def _names(X: Any) -> list[str] | None:
    """Return the names of the columns of a DataFrame. None where they are not all strings."""
    columns = list(getattr(X, "columns", []))
    return columns if columns and all(isinstance(name, str) for name in columns) else None
