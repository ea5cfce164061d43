"""`Block`: the rows of one block, checked, in whatever form they were given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import numpy as np
from scipy.sparse import issparse

from skfairloss._inputs.groups import (
    GroupColumns,
    Groups,
    encode_block,
    encode_block_clusters,
)
from skfairloss._typing import Array, Index

_KEYS = ("X", "y", "sample_weight", "sensitive_features", "clusters")


@dataclass(frozen=True)
class Block:
    """Rows of a block.

    Parameters
    ----------
    X : (n, p), features, of any numeric dtype.
    y : (n, m), targets, float64.
    single : True where y was given with one dimension.
    weights : (n,), >= 0. None where all are 1.
    codes : (n,), the groups of the rows, as positions in ``labels``. None without groups.
    labels : the groups that occur.
    columns : the columns that groups are from.
    names : names of the columns of X. None where they have none.
    clusters : (n,), numbers that the names of the rows' clusters are hashed to. None without any.
    """

    X: Array
    y: Array
    single: bool
    weights: Array | None
    codes: Index | None
    labels: tuple[Any, ...]
    columns: GroupColumns
    names: list[str] | None
    clusters: Array | None = None

    def without_y(self, kept: Index) -> Block:
        """Return the block with y, weights and groups of some rows alone; X has all."""
        weights = None if self.weights is None else self.weights[kept]
        codes = None if self.codes is None else self.codes[kept]
        return replace(self, y=self.y[kept], weights=weights, codes=codes)

    def some(self, rows: Index) -> Block:
        """Return some of the rows."""
        found = self.weights, self.codes, self.clusters
        weights, codes, clusters = (None if part is None else part[rows] for part in found)
        x, y = in_order(self.X[rows]), self.y[rows]
        return replace(self, X=x, y=y, weights=weights, codes=codes, clusters=clusters)


def read_block(number: int, given: Any, targets: bool = True) -> Block:
    """Check a block, a mapping with the names of `fit`'s arguments; errors have its number.

    Without ``targets`` only X is read.
    """
    if not isinstance(given, Mapping) or "X" not in given or (targets and "y" not in given):
        needed = "'X' and 'y'" if targets else "'X'"
        got = sorted(given) if isinstance(given, Mapping) else type(given).__name__
        raise TypeError(f"block {number} must be a mapping with {needed}, got {got}")
    unknown = sorted(set(given) - set(_KEYS))
    if unknown:
        raise TypeError(f"block {number} has {unknown}, which is none of {list(_KEYS)}")
    x, names = _features(number, given["X"])
    if not targets:
        return Block(x, np.empty((len(x), 0)), True, None, None, (), GroupColumns(), names)
    y = _numbers(number, "y", given["y"])
    if y.ndim not in (1, 2):
        raise ValueError(f"y of block {number} must have one or two dimensions, got {y.shape}")
    _check_length(number, "y", len(y), len(x))
    codes, labels, from_columns = None, (), GroupColumns()
    if given.get("sensitive_features") is not None and len(x) == 0:
        codes = np.zeros(0, dtype=np.intp)
    elif given.get("sensitive_features") is not None:
        groups = encode_block(
            given["sensitive_features"], len(x), f"sensitive_features of block {number}"
        )
        codes, labels = groups.codes, tuple(groups.labels)
        from_columns = GroupColumns.of(groups)
    weights = _weights(number, given.get("sample_weight"), len(x))
    clusters = None
    if given.get("clusters") is not None:
        clusters = hash_clusters(given["clusters"], len(x), f"clusters of block {number}")
    columns = y[:, None] if y.ndim == 1 else y
    block = Block(x, columns, y.ndim == 1, weights, codes, labels, from_columns, names, clusters)
    _check_finite(number, block)
    return block


def hash_clusters(given: Any, n: int, name: str) -> Array:
    """Return a number for the cluster of each row, the same for equal names anywhere, (n,).

    Two of a million clusters have the same number with a probability of 3e-8.
    """
    if n == 0:
        return np.zeros(0, dtype=np.uint64)
    found = encode_block_clusters(given, n, name)
    texts = (_spelled(label).encode() for label in found.labels)
    digests = b"".join(blake2b(text, digest_size=8).digest() for text in texts)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)[found.codes]


def _spelled(label: Any) -> str:
    """Return a label as a text: the integers of a block may be floats in another one."""
    if isinstance(label, tuple):
        return repr(tuple(map(_spelled, label)))
    number = isinstance(label, float) and label.is_integer()
    return str(int(label) if number else label)


def check_names(number: int, found: list[str] | None, expected: list[str] | None) -> None:
    """Refuse a block whose columns have other names, or another order, than expected."""
    if found is not None and expected is not None and found != expected:
        raise ValueError(
            f"X of block {number} must have the columns {expected} in this order, got {found}"
        )


def check_alike(number: int, block: Block, head: Block) -> None:
    """Refuse a block that has other columns than some rows of the first one, or lacks clusters."""
    check_names(number, block.names, head.names)
    if len(block.y) and (block.clusters is None) != (head.clusters is None):
        raise ValueError(
            "blocks must all have 'clusters', or none of them: block "
            f"{number} has {'none' if block.clusters is None else 'them, the first has none'}"
        )


def merge_groups(labels: Sequence[Any], columns: GroupColumns, n_rows: int) -> Groups:
    """Return the groups that occur in any block, a row for each, in the order of the labels.

    ``columns`` are those of all blocks, ``n_rows`` the number of all rows.
    """
    groups = columns.encode(labels)
    if groups.n_groups > max(2, n_rows / 2):
        raise ValueError(
            f"sensitive_features has {groups.n_groups} groups: the values look continuous or "
            "nearly unique. Bin them, or merge small groups"
        )
    return groups


def _features(number: int, given: Any) -> tuple[Array, list[str] | None]:
    """Return X as an array (n, p), and the names of its columns."""
    if issparse(given):
        raise NotImplementedError(
            f"X of block {number} is sparse: rows in blocks must be dense. Pass X.toarray(), a "
            "block at a time, or the whole sparse X to fit"
        )
    names = None
    if hasattr(given, "columns"):
        columns = list(given.columns)
        names = columns if all(isinstance(name, str) for name in columns) else None
    x = _numbers(number, "X", given)
    if x.ndim != 2:
        raise ValueError(f"X of block {number} must have two dimensions, got shape {x.shape}")
    return x if x.flags.forc else np.ascontiguousarray(x), names  # as it comes over a wire


def _numbers(number: int, name: str, given: Any) -> Array:
    """Return an array of numbers; y and weights as float64, X in its own dtype."""
    values = np.asarray(given)
    if values.dtype.kind not in "biuf":
        try:
            if values.dtype.kind in "cmM":
                raise TypeError(f"dtype {values.dtype}")
            values = values.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name} of block {number} must hold numbers: {error}") from error
    return values if name == "X" else in_order(values)


def _weights(number: int, given: Any, n: int) -> Array | None:
    """Return weights, finite and >= 0, (n,). None where none are given."""
    if given is None:
        return None
    out = _numbers(number, "sample_weight", given)
    if out.shape != (n,):
        raise ValueError(
            f"sample_weight of block {number} must have shape ({n},), one weight for each row, "
            f"got {out.shape}"
        )
    if not (out >= 0).all() or np.isinf(out).any():
        raise ValueError(f"sample_weight of block {number} must be finite and >= 0")
    return out


def _check_length(number: int, name: str, got: int, n: int) -> None:
    """Refuse what has not as many rows as X."""
    if got != n:
        raise ValueError(f"X of block {number} has {n} rows, {name} {got}")


def _check_finite(number: int, block: Block) -> None:
    """Refuse NaN and infinity in y, and in rows of X without weight, which no sum shows."""
    if not np.isfinite(block.y).all():
        raise ValueError(f"y of block {number} contains NaN or infinity")
    if block.weights is not None and not np.isfinite(block.X[block.weights == 0]).all():
        raise ValueError(f"X of block {number} contains NaN or infinity")


def in_order(values: Any) -> Array:
    """Return numbers as float64 in C order, at addresses that BLAS takes; copied where need be.

    Rows that came over a wire may lie at odd addresses, or in another order. Products without BLAS
    have other last bits, and took 3 to 13 times as long.
    """
    return np.require(values, np.float64, ["C", "A"])
