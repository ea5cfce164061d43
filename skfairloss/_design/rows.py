"""Rows of a design in the coordinates of a `Basis`: all that an interior-point iteration needs.

A stands for the rows as a matrix, θ for coordinates.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import scipy.sparse as sp

from skfairloss._typing import Array, Index

_FULL = 7  # rows with more entries than 1 / 7 of the columns are multiplied as dense ones
_WIDE = 1000  # columns from which a matrix of their products is too large for sums all over it
_PRODUCTS = 2**18  # products made at a time: about 2 MiB
_PIECE = 2**15  # numbers in a piece of rows: 256 KiB
_KEPT = 3 * 2**18  # products that are worth their memory, 24 bytes each


class Rows(ABC):
    """Rows of a design in basis coordinates: what an interior-point iteration needs of them."""

    n_rows: int
    n_columns: int
    held: Array | None = None  # the rows as an array, where that is what they are

    @abstractmethod
    def dot(self, theta: Array) -> Array:
        """Return A θ, (n_rows,)."""

    @abstractmethod
    def adjoint(self, a: Array) -> Array:
        """Aᵀ a, shape (n_columns,)."""

    @abstractmethod
    def adjoint_by_group(self, a: Array, groups: Membership) -> Array:
        """Σ of a_i A_i over the rows i of each group, shape (n_groups, n_columns)."""

    @abstractmethod
    def gram(self, d: Array) -> Array:
        """Aᵀ diag(d) A, shape (n_columns, n_columns)."""

    @abstractmethod
    def take(self, index: Index) -> Array:
        """Return the rows of an index as an array, (len(index), n_columns)."""

    def subset(self, index: Index) -> Rows:
        """Return the rows of an index."""
        return DenseRows(self.take(index))


def pieces_of(n: int, width: int) -> list[slice]:
    """Cut n rows into pieces that stay in cache; one without rows if there are none.

    Memory is not asked for where a little is used again, and sums over no rows have their shape.
    """
    step = max(_PIECE // max(width, 1), 2 * width, 64)
    return [slice(start, min(start + step, n)) for start in range(0, max(n, 1), step)]


def room_for(pieces: list[slice], width: int) -> Array:
    """Room to work in for any of the pieces."""
    return np.empty((pieces[0].stop if pieces else 0, width))


def take_rows(array: Array, index: Index) -> Array:
    """Return the rows of an index, by `take` only in C order: it would copy all of another one."""
    return array.take(index, axis=0) if array.flags.c_contiguous else array[index]


class Membership:
    """The group of each row, for sums over the rows of each group."""

    def __init__(self, codes: Index, n_groups: int) -> None:
        self.codes, self.n_groups = codes, n_groups
        self._matrix: Any = None

    def sums(self, a: Array, x: Any) -> Any:
        """Σ of a_i x_i over the rows i of each group, (n_groups, k), for x of shape (n_rows, k)."""
        if self._matrix is None:  # its structure serves every a
            n = len(self.codes)
            structure = (np.zeros(n), self.codes.astype(np.int32), np.arange(n + 1, dtype=np.int32))
            self._matrix = sp.csc_array(structure, shape=(self.n_groups, n))
        self._matrix.data = np.ascontiguousarray(a)
        return self._matrix @ x

    def totals(self, a: Array) -> Array:
        """Σ of a_i over the rows i of each group, (n_groups,)."""
        return np.bincount(self.codes, a, self.n_groups)

    def split(self, ends: Index) -> list[Membership]:
        """Return a `Membership` for each of consecutive parts of the rows."""
        return [Membership(codes, self.n_groups) for codes in np.split(self.codes, ends)]


class DenseRows(Rows):
    """Rows held as an array."""

    def __init__(self, array: Array) -> None:
        self.array = self.held = array
        self.n_rows, self.n_columns = array.shape

    def dot(self, theta: Array) -> Array:
        return self.array @ theta

    def adjoint(self, a: Array) -> Array:
        return self.array.T @ a

    def adjoint_by_group(self, a: Array, groups: Membership) -> Array:
        return groups.sums(a, self.array)

    def gram(self, d: Array) -> Array:
        out, root = np.zeros((self.n_columns, self.n_columns)), np.sqrt(d)[:, None]
        pieces = pieces_of(self.n_rows, self.n_columns)
        room = room_for(pieces, self.n_columns)
        for piece in pieces:
            work = room[: piece.stop - piece.start]
            np.multiply(self.array[piece], root[piece], out=work)
            out += work.T @ work
        return out

    def take(self, index: Index) -> Array:
        return take_rows(self.array, index)


class IdentityRows(Rows):
    """The first ``n_rows`` rows of the identity: single coordinates of θ."""

    def __init__(self, n_rows: int, n_columns: int) -> None:
        self.n_rows, self.n_columns = n_rows, n_columns

    def dot(self, theta: Array) -> Array:
        return theta[: self.n_rows].copy()

    def adjoint(self, a: Array) -> Array:
        return np.concatenate([a, np.zeros((self.n_columns - self.n_rows, *a.shape[1:]))])

    def adjoint_by_group(self, a: Array, groups: Membership) -> Array:
        out = np.zeros((groups.n_groups, self.n_columns))
        out[groups.codes, np.arange(self.n_rows)] = a
        return out

    def gram(self, d: Array) -> Array:
        return np.diag(self.adjoint(d))

    def take(self, index: Index) -> Array:
        return np.eye(self.n_columns)[index]


class StackedRows(Rows):
    """Blocks of rows, one under the other."""

    def __init__(self, *blocks: Rows) -> None:
        self.blocks = blocks
        self.n_rows = sum(block.n_rows for block in blocks)
        self.n_columns = blocks[0].n_columns
        self.ends = np.cumsum([block.n_rows for block in blocks])

    def dot(self, theta: Array) -> Array:
        return np.concatenate([block.dot(theta) for block in self.blocks])

    def adjoint(self, a: Array) -> Array:
        parts = np.split(a, self.ends[:-1])
        return np.sum([b.adjoint(part) for b, part in zip(self.blocks, parts, strict=True)], axis=0)

    def adjoint_by_group(self, a: Array, groups: Membership) -> Array:
        ends = self.ends[:-1]
        parts = zip(self.blocks, np.split(a, ends), groups.split(ends), strict=True)
        return np.sum([b.adjoint_by_group(part, own) for b, part, own in parts], axis=0)

    def gram(self, d: Array) -> Array:
        parts = np.split(d, self.ends[:-1])
        return np.sum([b.gram(part) for b, part in zip(self.blocks, parts, strict=True)], axis=0)

    def take(self, index: Index) -> Array:
        out = np.empty((len(index), self.n_columns))
        start = 0
        for block, end in zip(self.blocks, self.ends, strict=True):
            here = (index >= start) & (index < end)
            out[here] = block.take(index[here] - start)
            start = end
        return out


def sorted_by_group(codes: Index, n_groups: int) -> tuple[Index, Index]:
    """Positions of the rows group by group, and where each group ends, (n_groups,)."""
    small = codes
    if n_groups <= 2**16:  # radix sort
        small = codes.astype(np.uint8 if n_groups <= 2**8 else np.uint16)
    return np.argsort(small, kind="stable"), np.cumsum(np.bincount(codes, minlength=n_groups))
