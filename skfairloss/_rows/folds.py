"""Folds of rows in blocks, and passes over the rows of a fold or outside of it.

The fold of a row follows from its block and its position there, or from its cluster, and from a
seed. So it is the same in every pass, whoever makes it, and no list of rows is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from skfairloss._rows.blocks import Block
from skfairloss._rows.kernels import Together
from skfairloss._rows.source import Kernel, Piece
from skfairloss._rows.sums import Sums, held, sums_of
from skfairloss._typing import Array, Index

_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio, odd: Knuth's multiplicative hashing


@dataclass(frozen=True)
class Folds:
    """A division of rows into K folds.

    Without clusters the rows of a block are divided evenly within each group, at random.

    Parameters
    ----------
    number : K.
    seed : of what is random.
    by_cluster : True if a fold has whole clusters.
    """

    number: int
    seed: int
    by_cluster: bool = False

    def of(self, number: int, block: Block) -> Index:
        """Return the fold of each row of a block, (n,); rows without weight are in fold 0."""
        n = len(block.y)
        if self.by_cluster and n:
            assert block.clusters is not None  # blocks are alike
            return self.of_clusters(block.clusters)
        kept = np.arange(n) if block.weights is None else np.flatnonzero(block.weights)
        rng = np.random.default_rng([self.seed, number])
        order = rng.permutation(kept)
        if block.codes is not None:
            order = order[np.argsort(block.codes[order], kind="stable")]
        out = np.zeros(n, dtype=np.intp)
        out[order] = (np.arange(len(order)) + rng.integers(self.number)) % self.number
        return out

    def of_clusters(self, clusters: Array) -> Index:
        """Return the fold of each cluster, given by numbers that its name is hashed to."""
        mixed = (clusters ^ np.uint64(self.seed)) * _SPREAD
        mixed = (mixed ^ (mixed >> np.uint64(32))) * _SPREAD
        return np.asarray((mixed >> np.uint64(33)) % np.uint64(self.number), dtype=np.intp)


@dataclass(frozen=True)
class Part:
    """The rows outside of a fold, or those inside."""

    folds: Folds
    fold: int
    inside: bool = False


@dataclass(frozen=True)
class Asked:
    """A pass over some of the rows: all of them where ``part`` is None.

    ``own`` is what is sent to single blocks.
    """

    part: Part | None
    kernel: Kernel
    own: Any = None


class OfParts(Kernel):
    """Several passes in one, each over a part of the rows.

    Passes over the same part share its pieces. What is sent to a block has an entry for each pass.

    Parameters
    ----------
    asked : the passes.
    """

    def __init__(self, asked: list[Asked]) -> None:
        self._kernels = [one.kernel for one in asked]
        self._places: dict[Part | None, list[int]] = {}
        for j, one in enumerate(asked):
            self._places.setdefault(one.part, []).append(j)

    @property
    def name(self) -> str:
        return self._kernels[0].name

    @property
    def needs_features(self) -> bool:
        return any(kernel.needs_features for kernel in self._kernels)

    def __call__(self, piece: Piece, own: Any) -> Sums:
        raise NotImplementedError("pieces are those of the parts")

    def reduce(self, number: int, block: Block, own: Any) -> Sums:
        found: dict[int, Sums] = {}
        for places, rows in zip(self._places.values(), self._parts(number, block), strict=True):
            together = Together(tuple(self._kernels[j] for j in places))
            sent = None if own is None else [own[j] for j in places]
            sums = together.reduce(number, rows, sent)
            found.update({j: sums_of(sums, i) for i, j in enumerate(places)})
        return held(found)

    def _parts(self, number: int, block: Block) -> Iterator[Block]:
        """Yield the rows of each part of a block."""
        folds: dict[Folds, Index] = {}
        for part in self._places:
            if part is None:
                yield block
                continue
            if part.folds not in folds:
                folds[part.folds] = part.folds.of(number, block)
            own = folds[part.folds] == part.fold
            yield block.some(np.flatnonzero(own if part.inside else ~own))
