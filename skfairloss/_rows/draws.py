r"""A weighted sample of rows that are seen one after the other, by whomever.

Priority sampling (Duffield, Lund & Thorup 2007): a row of weight v gets the key u / v, u uniform,
and the rows of smallest key are kept; one below the key t, the smallest not kept, stands for
max(v, 1 / t). As many are kept as their number asks for, so that neither it nor the rows need be
known before; t only falls, so that merging samples in any order ends at all rows with keys below t.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

from skfairloss._typing import Array, Index

_SEED = 0x5EED  # of keys, beside the number of a block
_MOST = 2**16  # rows of a sample
_PER_COORDINATE = 100  # at least


@dataclass(frozen=True)
class Draw:
    """A sample of some rows.

    Parameters
    ----------
    n_rows : how many rows it stands for.
    limit : t; infinite where all of them are kept.
    keys : (s,), in ascending order.
    rows : arrays with an entry for each row kept: features (s, p), targets (s, m), weights (s,), ...
    """

    n_rows: int
    limit: float
    keys: Array
    rows: tuple[Array, ...]

    def merged(self, other: Draw) -> Draw:
        """Return the sample of both."""
        limit = min(self.limit, other.limit)
        parts = [(part.keys[part.keys < limit], part) for part in (self, other)]
        keys = np.concatenate([kept for kept, _ in parts])
        order = np.argsort(keys, kind="stable")
        n_rows = self.n_rows + other.n_rows
        most = sample_size(n_rows, self.rows[0].shape[1])
        if len(keys) > most:
            limit, order = float(keys[order[most]]), order[:most]
        pairs = zip(self.rows, other.rows, strict=True)
        counts = [len(kept) for kept, _ in parts]
        rows = tuple(np.concatenate([a[: counts[0]], b[: counts[1]]])[order] for a, b in pairs)
        return Draw(n_rows, limit, keys[order], rows)

    @property
    def stands_for(self) -> Array:
        """Weights of the rows kept, under which their sums are those of all rows, expected."""
        weights = self.rows[2]
        return weights if np.isinf(self.limit) else np.maximum(weights, 1.0 / self.limit)


def sample_size(n: int, p: int) -> int:
    """Return how many of n rows settle a first model of p features: min(2¹⁶, max(100 d, √(d n)))."""
    d = p + 1
    return int(min(_MOST, max(_PER_COORDINATE * d, sqrt(d * n))))


def row_keys(block: int, weights: Array) -> Array:
    """Return the keys of the rows of a block, the same each time, (n,)."""
    return np.random.default_rng([_SEED, block]).random(len(weights)) / weights


def smallest(keys: Array, n_features: int) -> tuple[Index, float]:
    """Return which rows of a block a sample of it keeps, by key, and its limit."""
    most = sample_size(len(keys), n_features)
    if len(keys) <= most:
        return np.argsort(keys, kind="stable"), np.inf
    order = np.argpartition(keys, most)
    kept = order[:most]
    return kept[np.argsort(keys[kept], kind="stable")], float(keys[order[most]])
