"""`RowSource`: where rows are, and the one thing that a pass asks of them.

A fit knows the rows of a source through its passes alone: a *kernel*, a frozen record of small
inputs, is sent to the rows, looks at a piece of them at a time, and brings back `Sums`. Blocks of a
source and the rows in them keep their order while a fit lasts: a row is known by its block and its
position there, among those with a weight.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, Protocol, TypeVar

import numpy as np

from skfairloss._design.threads import one_blas_thread
from skfairloss._rows.blocks import Block, check_alike, check_names, in_order, read_block
from skfairloss._rows.sums import Sums, in_tree, merge
from skfairloss._typing import Array, Index

T = TypeVar("T")
OnBlock = Callable[[], None]

_PIECE = 2**19  # numbers of X in a piece: it stays in cache, and calls do not count
_SOME = 500  # rows of a head


@dataclass(frozen=True)
class Piece:
    """Some consecutive rows of a block, all of positive weight.

    Parameters
    ----------
    block : the number of the block.
    start : position of the first row among those of the block with a weight.
    X : (k, p), features.
    y : (k, m), targets.
    weights : (k,), as given, > 0. None where all are 1.
    codes : (k,), the groups of the rows, as positions in ``labels``. None without groups.
    labels : the groups that occur in the block.
    """

    block: int
    start: int
    X: Array
    y: Array
    weights: Array | None
    codes: Index | None
    labels: tuple[Any, ...]


class Kernel(ABC):
    """A pass: a frozen record that can be pickled, and that does not keep what it sees."""

    @property
    def needs_pieces(self) -> bool:
        """Return False where a block is taken as a whole."""
        return True

    @property
    def needs_features(self) -> bool:
        """Return False where y, weights and groups are enough."""
        return True

    @property
    def name(self) -> str:
        """Return the name of the pass, as a scheduler shows it."""
        return type(self).__name__.lower()

    @abstractmethod
    def __call__(self, piece: Piece, own: Any) -> Sums:
        """Return what a piece of rows adds; ``own`` is what was sent to its block alone."""

    def of_block(self, number: int, block: Block) -> Sums:  # noqa: ARG002  (most ask for nothing)
        """Return what a block as a whole adds."""
        return Sums()

    def reduce(self, number: int, block: Block, own: Any) -> Sums:
        """Return what a block adds, a piece at a time."""
        parts = None
        if self.needs_pieces:
            parts = in_tree((self(piece, own) for piece in pieces(number, block)), merge)
        return merge(parts or Sums(), self.of_block(number, block))


class RowSource(Protocol):
    """Rows in blocks, wherever they are.

    Blocks may have no rows. Their number and the order of the rows stay while a fit lasts.
    """

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""

    @property
    def n_features(self) -> int:
        """Number of columns of X."""

    @property
    def n_outputs(self) -> int:
        """Number of outputs."""

    @property
    def single(self) -> bool:
        """True where y has one dimension."""

    @property
    def feature_names(self) -> list[str] | None:
        """Names of the columns of X. None where they have none."""

    def head(self) -> Block:
        """Return some rows of the first block that has any."""

    def run(
        self,
        kernel: Kernel,
        own: Mapping[int, Any] | None = None,
        on_block: OnBlock | None = None,
    ) -> Sums:
        """Apply a kernel to all rows, with what is sent to single blocks, in one pass.

        ``on_block`` is called after each block, unless the source shows its own progress.
        """

    def each(
        self, function: Callable[[Array], Array], names: list[str] | None = None
    ) -> Iterable[Array]:
        """Apply a function to the features of each block, and return what it gives by block.

        Columns that have names must have these. None takes any.
        """


def reduce_block(kernel: Kernel, number: int, given: Any, own: Any = None) -> Sums:
    """Apply a kernel to a block as it was given, a piece at a time. It is all that workers do."""
    block = given if isinstance(given, Block) else read_block(number, given)
    with one_blas_thread():
        seen = Sums(seen={number: (len(block.y), _checksum(block.y))})
        return merge(kernel.reduce(number, block, own), seen)


def _checksum(y: Array) -> int:
    """Return a number that tells targets from others, and from the same in another order."""
    bits = np.ascontiguousarray(y).view(np.uint64).ravel()
    return int(np.dot(bits, np.arange(1, 2 * len(bits), 2, dtype=np.uint64)))


def pieces(number: int, block: Block) -> Iterator[Piece]:
    """Cut a block into pieces, less the rows without weight."""
    n, p = block.X.shape
    step, position = max(_PIECE // max(p, 1), 256), 0
    for start in range(0, n, step):
        rows: Any = slice(start, min(start + step, n))
        weights = None
        if block.weights is not None:
            weights = block.weights[rows]
            if not weights.all():
                rows = start + np.flatnonzero(weights)
                weights = block.weights[rows]
        x = in_order(block.X[rows])
        if len(x):
            codes = None if block.codes is None else block.codes[rows]
            yield Piece(number, position, x, block.y[rows], weights, codes, block.labels)
        position += len(x)


class BlockRows:
    """Rows that a function gives block by block, in this process.

    Parameters
    ----------
    block : ``block(i)`` is a mapping with "X" and "y", and "sample_weight", "sensitive_features"
        and "clusters" where there are any, each with the rows of block i.
    n_blocks : their number.
    n_jobs : threads, each with a block in memory.
    """

    def __init__(
        self, block: Callable[[int], Mapping[str, Any]], n_blocks: int, n_jobs: int = 1
    ) -> None:
        self.block, self.n_blocks, self.n_jobs = block, n_blocks, n_jobs

    @property
    def n_features(self) -> int:
        return int(self._head.X.shape[1])

    @property
    def n_outputs(self) -> int:
        return int(self._head.y.shape[1])

    @property
    def single(self) -> bool:
        return self._head.single

    @property
    def feature_names(self) -> list[str] | None:
        return self._head.names

    def head(self) -> Block:
        return self._head

    @cached_property
    def _head(self) -> Block:
        return first_rows(read_block(i, self.block(i)) for i in range(self.n_blocks))

    def run(
        self,
        kernel: Kernel,
        own: Mapping[int, Any] | None = None,
        on_block: OnBlock | None = None,
    ) -> Sums:
        sent, head = own or {}, self.__dict__.get("_head")

        def one(i: int) -> Sums:
            block = read_block(i, self.block(i))
            if head is not None:  # a fit has looked at some rows, and goes on with the like
                check_alike(i, block, head)
            return reduce_block(kernel, i, block, sent.get(i))

        found = _in_threads(one, self.n_blocks, self.n_jobs)
        return in_tree(found if on_block is None else _told(found, on_block), merge) or Sums()

    def each(
        self, function: Callable[[Array], Array], names: list[str] | None = None
    ) -> Iterator[Array]:
        for i in range(self.n_blocks):
            block = read_block(i, self.block(i), targets=False)
            check_names(i, block.names, names)
            yield function(block.X)


def first_rows(blocks: Iterable[Block]) -> Block:
    """Return some rows of the first block that has any with a weight, spread over it."""
    for block in blocks:
        rows = np.arange(len(block.X)) if block.weights is None else np.flatnonzero(block.weights)
        if len(rows):
            return block.some(rows[:: max(1, len(rows) // _SOME)])
    raise ValueError("there are no rows with a weight: all blocks are empty")


def _told(found: Iterable[T], on_block: OnBlock) -> Iterator[T]:
    """Yield what is found of each block, and tell of it."""
    for one in found:
        on_block()
        yield one


def _in_threads(one: Callable[[int], T], n: int, n_jobs: int) -> Iterator[T]:
    """Yield one(0), one(1), ..., made in threads, a few ahead of what is asked for."""
    if n_jobs == 1:
        yield from map(one, range(n))
        return
    with ThreadPoolExecutor(n_jobs) as pool:
        ahead: deque[Future[T]] = deque()
        for i in chain(range(n), [None] * n_jobs):
            if i is not None:
                ahead.append(pool.submit(one, i))
            if ahead and (i is None or len(ahead) > n_jobs):
                yield ahead.popleft().result()
