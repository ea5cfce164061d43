"""A simple pass over the rows of a source, to test sources by."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

from skfairloss._rows.source import Kernel, Piece
from skfairloss._rows.sums import Sums


@dataclass(frozen=True)
class Moments(Kernel):
    """Weighted sums of the rows, by group as well, and rows of a block that are asked for."""

    power: float = 1.0

    def __call__(self, piece: Piece, own: Any) -> Sums:
        v = np.ones(len(piece.X)) if piece.weights is None else piece.weights
        weighted = piece.X * v[:, None] ** self.power
        added = {
            "n": len(v),
            "gram": weighted.T @ piece.X,
            "cross": weighted.T @ piece.y,
            "y": v @ piece.y,
        }
        if piece.codes is not None:
            for g in np.unique(piece.codes):
                here = piece.codes == g
                added["group", piece.labels[g]] = np.append(v[here].sum(), v[here] @ piece.y[here])
        joined = {}
        if own is not None:
            here = own[(own >= piece.start) & (own < piece.start + len(v))] - piece.start
            joined["rows"] = np.full(len(here), piece.block), here + piece.start, piece.X[here]
        return Sums(added, {"x": piece.X.max(axis=0)}, joined)


def expected(X, y, weight=None, groups=None):
    """What `Moments` is to find in arrays."""
    X, y = np.asarray(X, float), np.asarray(y, float).reshape(len(X), -1)
    v = np.ones(len(X)) if weight is None else np.asarray(weight, float)
    X, y, kept = X[v > 0], y[v > 0], v > 0
    v = v[kept]
    added = {"n": len(v), "gram": X.T @ (v[:, None] * X), "cross": X.T @ (v[:, None] * y)}
    added["y"] = v @ y
    if groups is not None:
        groups = np.asarray(groups)[kept]
        for g in np.unique(groups):
            here = groups == g
            added["group", g] = np.append(v[here].sum(), v[here] @ y[here])
    return Sums(added, {"x": X.max(axis=0)})


def assert_same(found: Sums, aim: Sums, rtol: float = 1e-12) -> None:
    """Compare sums name by name."""
    assert set(found.added) == set(aim.added)
    for name, value in aim.added.items():
        np.testing.assert_allclose(found.added[name], value, rtol=rtol, atol=1e-9)
    for name, value in aim.largest.items():
        np.testing.assert_array_equal(found.largest[name], value)


def assert_identical(found: Sums, aim: Sums) -> None:
    """Compare sums bit for bit."""
    assert set(found.added) == set(aim.added)
    for name, value in aim.added.items():
        np.testing.assert_array_equal(found.added[name], value)


@dataclass(frozen=True)
class Slow(Moments):
    """The same, with time for a worker to be lost meanwhile."""

    def __call__(self, piece: Piece, own: Any) -> Sums:
        time.sleep(0.3)
        return super().__call__(piece, own)


@dataclass(frozen=True)
class Threads(Kernel):
    """The most threads that BLAS has while a piece is looked at."""

    def __call__(self, piece: Piece, own: Any) -> Sums:
        pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
        return Sums(largest={"threads": max(pool["num_threads"] for pool in pools)})
