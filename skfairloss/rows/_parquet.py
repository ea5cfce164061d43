"""Rows of Parquet files, a row group at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from skfairloss._rows.source import BlockRows, Kernel, OnBlock
from skfairloss._rows.sums import Sums
from skfairloss._typing import Array
from skfairloss.rows._blocks import check_count

Path = str | os.PathLike[str]


def from_parquet(
    files: Path | Sequence[Path],
    *,
    features: Sequence[str],
    target: str | Sequence[str] | None = None,
    sample_weight: str | None = None,
    sensitive_features: str | Sequence[str] | None = None,
    clusters: str | Sequence[str] | None = None,
    n_jobs: int = 1,
) -> FileRows:
    """Return a source of the rows of Parquet files, which is read a row group at a time.

    Needs pyarrow, which the extra ``parquet`` installs. Of each row group the named columns alone
    are read; ``n_jobs`` row groups are in memory at a time. A fit reads all rows a few times: 2 for
    the squared loss, some 4 for a mix or the absolute loss.

    Parameters
    ----------
    files : str, path-like or list of them
        A folder, whose files are read in the order of their paths, a file, or files in this order.
        Folders below, such as ``year=2024``, are columns of their name, which may name groups.
        Row groups of some 100 000 rows are best; their rows keep their order.

    features : list of str
        Columns of X: integers, floats or booleans, without nulls.

    target : str or list of str, default=None
        Column of y, or columns for several outputs. ``None`` is enough to predict.

    sample_weight : str, default=None
        Column of the weights. ``None`` weighs all rows the same.

    sensitive_features : str or list of str, default=None
        Columns whose combinations of values are the groups; they may also be features.

    clusters : str or list of str, default=None
        Columns whose combinations of values are the clusters, such as persons: folds of a search or
        a comparison do not split them. ``None`` takes rows as independent.

    n_jobs : int, default=1
        Threads that read row groups and go through their rows. The results do not depend on it.

    Returns
    -------
    source : FileRows
        What `PixelLossRegressor.fit` and ``predict`` take in the place of X.

    Raises
    ------
    ImportError
        If pyarrow is not installed.

    TypeError
        If an argument is not of the type described above.

    FileNotFoundError
        If there is no such folder or file.

    ValueError
        If a column is missing in a file, has another type than is needed or has nulls, or if there
        are no rows.

    See Also
    --------
    from_blocks : Rows of anything else that can be read in blocks.

    Examples
    --------
    >>> import tempfile
    >>> import pandas as pd
    >>> from skfairloss.rows import from_parquet
    >>> table = pd.DataFrame({"age": [30, 40, 50, 60], "wage": [9.0, 11.0, 14.0, 15.0]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     table.to_parquet(f"{folder}/part-0.parquet")
    ...     table.to_parquet(f"{folder}/part-1.parquet")
    ...     source = from_parquet(folder, features=["age"], target="wage")
    >>> source.n_blocks
    2
    """
    wanted = _read_columns(features, target, sample_weight, sensitive_features, clusters)
    groups = _row_groups(_open(files), wanted)
    if not groups:
        raise ValueError(f"files has no rows: {files!r}")
    return FileRows(groups, wanted, check_count("n_jobs", n_jobs))


@dataclass(frozen=True)
class _Columns:
    """Names of the columns that arguments take."""

    features: tuple[str, ...]
    target: tuple[str, ...]
    single: bool
    weight: tuple[str, ...]
    groups: tuple[str, ...]
    clusters: tuple[str, ...]

    @property
    def numeric(self) -> dict[str, str]:
        """The argument of each column that must hold numbers."""
        arguments = {
            "sample_weight": self.weight,
            "target": self.target,
            "features": self.features,
        }
        return {name: argument for argument, names in arguments.items() for name in names}

    @property
    def every(self) -> list[str]:
        """Each column once."""
        labels = *self.groups, *self.clusters
        return list(dict.fromkeys([*self.features, *self.target, *self.weight, *labels]))

    @property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """The columns of labels by argument, where there are any."""
        both = {"sensitive_features": self.groups, "clusters": self.clusters}
        return {argument: names for argument, names in both.items() if names}

    def argument(self, name: str) -> str:
        """Return the argument that takes a column."""
        other = "sensitive_features" if name in self.groups else "clusters"
        return self.numeric.get(name, other)


class FileRows(BlockRows):
    """Rows of Parquet files: a block is a row group, of which a pass reads the columns it needs.

    Parameters
    ----------
    groups : the row groups.
    wanted : the columns that arguments take.
    n_jobs : threads, each with a row group in memory.
    """

    def __init__(self, groups: Sequence[_RowGroup], wanted: _Columns, n_jobs: int) -> None:
        super().__init__(lambda i: groups[i].read(wanted), len(groups), n_jobs)
        self._groups, self._wanted = groups, wanted

    def run(
        self,
        kernel: Kernel,
        own: Mapping[int, Any] | None = None,
        on_block: OnBlock | None = None,
    ) -> Sums:
        if kernel.needs_features:
            return super().run(kernel, own, on_block)
        return self._with(replace(self._wanted, features=())).run(kernel, own, on_block)

    def each(
        self, function: Callable[[Array], Array], names: list[str] | None = None
    ) -> Iterator[Array]:
        features = self._with(replace(self._wanted, target=(), weight=(), groups=(), clusters=()))
        return features.each(function, names)

    def _with(self, wanted: _Columns) -> BlockRows:
        """Return the same rows with other columns."""
        return BlockRows(lambda i: self._groups[i].read(wanted), self.n_blocks, self.n_jobs)


def _read_columns(
    features: Any, target: Any, sample_weight: Any, groups: Any, clusters: Any
) -> _Columns:
    """Check the names of columns."""
    if isinstance(features, str):
        raise TypeError(f"features must be a list of column names, got the string {features!r}")
    found = _Columns(
        _names("features", features),
        () if target is None else _names("target", target),
        isinstance(target, str),
        () if sample_weight is None else _names("sample_weight", sample_weight),
        () if groups is None else _names("sensitive_features", groups),
        () if clusters is None else _names("clusters", clusters),
    )
    if len(found.weight) > 1:
        raise TypeError(f"sample_weight must be the name of a column, got {sample_weight!r}")
    twice = {*found.features} & {*found.target}
    if twice:
        raise ValueError(f"features and target share the columns {sorted(twice)}")
    return found


def _names(argument: str, given: Any) -> tuple[str, ...]:
    """Return one or several column names as a tuple without repetition."""
    names = (given,) if isinstance(given, str) else given
    try:
        names = tuple(names)
    except TypeError:
        names = (None,)
    if not names or not all(isinstance(name, str) for name in names):
        raise TypeError(f"{argument} must be column names, got {given!r}")
    if len(set(names)) < len(names):
        raise ValueError(f"{argument} names a column twice, got {given!r}")
    return names


def _open(files: Any) -> Any:
    """Return a dataset of pyarrow."""
    try:
        import pyarrow.dataset
    except ImportError as error:
        raise ImportError(
            "from_parquet needs pyarrow: pip install 'skfairloss[parquet]'"
        ) from error
    several = not isinstance(files, (str, os.PathLike))
    try:
        paths = [os.fspath(path) for path in files] if several else os.fspath(files)
    except TypeError as error:
        raise TypeError(f"files must be a path or a list of paths, got {files!r}") from error
    return pyarrow.dataset.dataset(paths, format="parquet", partitioning="hive")


@dataclass(frozen=True)
class _RowGroup:
    """A row group of a file.

    Parameters
    ----------
    part : a fragment of pyarrow.
    schema : types of the columns that are read.
    where : its name in errors.
    """

    part: Any
    schema: Any
    where: str

    def read(self, wanted: _Columns) -> dict[str, Any]:
        """Return the rows by the names of `fit`'s arguments."""
        # threads are those of the source
        table = self.part.to_table(schema=self.schema, columns=wanted.every, use_threads=False)
        numbers = {}
        for name, argument in wanted.numeric.items():
            if table[name].null_count:
                raise _has_nulls(name, argument, self.where)
            numbers[name] = table[name].to_numpy()
            if not np.isfinite(numbers[name]).all():
                raise ValueError(
                    f"column {name!r} ({argument}) has NaN or infinity in {self.where}"
                )
        x = _together([numbers[name] for name in wanted.features], table.num_rows)
        out: dict[str, Any] = {"X": pd.DataFrame(x, columns=list(wanted.features), copy=False)}
        if wanted.target:
            y = _together([numbers[name] for name in wanted.target], table.num_rows)
            out["y"] = y[:, 0] if wanted.single else y
        if wanted.weight:
            out["sample_weight"] = numbers[wanted.weight[0]]
        for argument, names in wanted.labels.items():
            # texts as codes: many rows share them
            parts = {name: _encoded(table[name]) for name in names}
            out[argument] = pd.DataFrame(parts, copy=False)
        return out


def _row_groups(dataset: Any, wanted: _Columns) -> list[_RowGroup]:
    """Return the row groups of all files in a fixed order; types and nulls are checked."""
    out: list[_RowGroup] = []
    kinds: dict[str, tuple[str, str]] = {}
    for file in dataset.get_fragments():
        schema = _schema(dataset, file, wanted)
        for argument, name in ((a, name) for a, names in wanted.labels.items() for name in names):
            kind = _value_kind(schema.field(name).type)
            first, before = kinds.setdefault(name, (kind, file.path))
            if kind != first:
                raise ValueError(
                    f"column {name!r} ({argument}) is {first} in {before} and {kind} in "
                    f"{file.path}: values of one type are needed to tell groups"
                )
        stored = set(file.physical_schema.names)
        for part in file.split_by_row_group():
            group = part.row_groups[0]
            where = f"row group {group.id} of {file.path}"
            _check_nulls(file.metadata.row_group(group.id), stored, wanted, where)
            if group.num_rows:
                out.append(_RowGroup(part, schema, where))
    return out


def _schema(dataset: Any, file: Any, wanted: _Columns) -> Any:
    """Return the types of the columns that are read of a file; each must be there, and fit."""
    import pyarrow as pa

    own, common = file.physical_schema, dataset.schema
    below = set(pa.dataset.get_partition_keys(file.partition_expression))
    fields = []
    for name in wanted.every:
        if name not in own.names and name not in below:
            raise ValueError(f"column {name!r} is not in {file.path}, which has {own.names}")
        fields.append(own.field(name) if name in own.names else common.field(name))
        kind, argument = fields[-1].type, wanted.numeric.get(name)
        number = (
            pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
        )
        if argument is not None and not number:
            raise ValueError(
                f"column {name!r} ({argument}) must hold numbers, got {kind} in {file.path}"
            )
    return pa.schema(fields)


def _value_kind(kind: Any) -> str:
    """Return what values are to Python, which a dictionary may encode, as any size of text."""
    import pyarrow as pa

    kind = getattr(kind, "value_type", kind)
    for name in ("string", "large_string", "string_view", "integer", "floating"):
        if getattr(pa.types, f"is_{name}")(kind):
            return "string" if "string" in name else name
    return str(kind)


def _encoded(column: Any) -> Any:
    """Return a column as a Series of pandas; text as categories, which are sorted."""
    if _value_kind(column.type) != "string" or hasattr(column.type, "value_type"):
        return column.to_pandas()
    found = column.dictionary_encode().to_pandas()
    return found.cat.reorder_categories(sorted(found.cat.categories))


def _check_nulls(found: Any, stored: set[str], wanted: _Columns, where: str) -> None:
    """Refuse nulls that the statistics of a row group tell of."""
    places = {found.column(j).path_in_schema: j for j in range(found.num_columns)}
    for name in wanted.every:
        statistics = found.column(places[name]).statistics if name in stored else None
        if statistics is not None and statistics.has_null_count and statistics.null_count:
            argument = wanted.argument(name)
            raise _has_nulls(name, argument, where)


def _has_nulls(name: str, argument: str, where: str) -> ValueError:
    """Return the error about missing values."""
    return ValueError(f"column {name!r} ({argument}) has nulls in {where}: drop or fill them")


def _together(columns: list[Array], n: int) -> Array:
    """Return columns as one array (n, p) of their common dtype, each contiguous in it."""
    dtype = np.result_type(*columns) if columns else np.float64
    out = np.empty((n, len(columns)), dtype=dtype, order="F")
    for j, column in enumerate(columns):
        out[:, j] = column
    return out
