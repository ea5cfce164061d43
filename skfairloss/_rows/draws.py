r"""A weighted sample of rows that are seen one after the other, by whomever.

Priority sampling (Duffield, Lund & Thorup 2007): a row of weight v gets the key u / v, u uniform,
and the rows of smallest key are kept; one below the key t, the smallest not kept, stands for
max(v, 1 / t). As many are kept as their number asks for, so that neither it nor the rows need be
known before; t only falls, so that merging samples in any order ends at all rows with keys below t.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from skfairloss._design.sample import sample_size, smallest_sample
from skfairloss._typing import Array, Index

_SEED = 0x5EED  # of keys, beside the number of a block
_MOST = 2**16  # rows of a sample
_NUMBERS = 2**22  # of a sample, 32 MiB, unless coordinates need more
PER_GROUP = 60  # of a group at least, if there are as many: its mean to an eighth


@dataclass(frozen=True)
class Draw:
    """A sample of some rows.

    Parameters
    ----------
    n_rows : how many rows it stands for.
    limit : t; infinite where all of them are kept.
    keys : (s,).
    rows : features (s, p), targets (s, m) and weights (s,) of the rows kept.
    """

    n_rows: int
    limit: float
    keys: Array
    rows: tuple[Array, ...]

    def merged(self, other: Draw, limit: float) -> Draw:
        """Return the sample of both up to a limit; what it leaves out is not copied."""
        limit = min(self.limit, other.limit, limit)
        parts = (self, other)
        kept = [np.flatnonzero(part.keys < limit) for part in parts]
        keys = np.concatenate([part.keys[rows] for part, rows in zip(parts, kept, strict=True)])
        n, ends, out = len(keys), np.cumsum([len(rows) for rows in kept]), []
        for given in zip(self.rows, other.rows, strict=True):
            room = np.empty((n, *given[0].shape[1:]))
            for rows, values, end in zip(kept, given, ends, strict=True):
                np.take(values, rows, axis=0, out=room[end - len(rows) : end], mode="clip")
            out.append(room)
        return Draw(self.n_rows + other.n_rows, limit, keys, tuple(out))

    def below(self, limit: float) -> Draw:
        """Return the rows with keys below a limit."""
        if limit >= self.limit:
            return self
        kept = np.flatnonzero(self.keys < limit)
        rows = tuple(np.take(part, kept, axis=0) for part in self.rows)
        return Draw(self.n_rows, limit, self.keys[kept], rows)

    @property
    def stands_for(self) -> Array:
        """Weights of the rows kept, under which their sums are those of all rows, expected."""
        weights: Array = self.rows[2]
        return weights if np.isinf(self.limit) else np.maximum(weights, 1.0 / self.limit)


def merge_draws(first: Mapping[Any, Draw], second: Mapping[Any, Draw]) -> dict[Any, Draw]:
    """Return the samples of two parts of the rows, by group; each group has the same size."""
    every = [*first.values(), *second.values()]
    if not every:
        return {}
    labels = dict.fromkeys([*first, *second])
    n_rows = sum(draw.n_rows for draw in every)
    most = max(PER_GROUP, size_of(n_rows, every[0].rows[0].shape[1]) // len(labels))
    out = {}
    for label in labels:
        parts = [draws[label] for draws in (first, second) if label in draws]
        keys, limit = np.concatenate([draw.keys for draw in parts]), np.inf
        if len(keys) > most:
            limit = float(np.partition(keys, most)[most])
        alone = len(parts) == 1
        out[label] = parts[0].below(limit) if alone else parts[0].merged(parts[1], limit)
    return out


def size_of(n: int, p: int) -> int:
    """Return how many of n rows of p features a sample has: as in memory, up to a limit."""
    d = p + 1
    return min(sample_size(n, d), max(smallest_sample(d), min(_MOST, _NUMBERS // d)))


def row_keys(block: int, n: int, weights: Array | None) -> Array:
    """Return the keys of the n rows of a block with a weight, the same each time, (n,)."""
    keys = np.random.default_rng([_SEED, block]).random(n)
    return keys if weights is None else keys / weights


def smallest(keys: Array, n_features: int) -> tuple[Index, float]:
    """Return which rows of a block a sample of it keeps, ascending, and its limit."""
    most = size_of(len(keys), n_features)
    if len(keys) <= most:
        return np.arange(len(keys)), np.inf
    limit = float(np.partition(keys, most)[most])
    return np.flatnonzero(keys < limit), limit
