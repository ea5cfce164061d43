"""Threads: several for the passes over X, one for BLAS in each.

A pass cuts its blocks of rows into runs. Each run is worked on by one thread, and the sums of runs
are added in their order, so that a result does not depend on the number of threads, to the last
bit. BLAS has one thread for narrow arrays: handing them to several costs more than it gains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import reduce
from itertools import pairwise
from threading import Lock, local
from typing import Any, TypeVar

import numpy as np
from joblib import effective_n_jobs
from threadpoolctl import ThreadpoolController

from skfairloss._typing import Array

_MANY = 400  # columns from which products of matrices are worth more than one thread ...
_LARGE = 4_000_000  # ... if they go through more numbers than these (32 MB)
# Numbers in a run: 8 MiB, some milliseconds, beside which handing it over is nothing; and at
# least, for each of its sums, which have to be added.
_RUN, _PER_SUM = 2**20, 16

_Found = TypeVar("_Found")
_POOL: ContextVar[ThreadPoolExecutor | None] = ContextVar("_POOL", default=None)


@contextmanager
def passes_in_threads(n_jobs: int | None, columns: int, size: int) -> Iterator[None]:
    """Give the passes over X so many threads within the block, -1 for all cores, None for one.

    They have none of their own where BLAS has several, nor inside of one another.
    """
    n_threads = 1 if n_jobs is None else effective_n_jobs(n_jobs)
    if n_threads == 1 or _POOL.get() is not None or _wide(columns, size):
        yield
        return
    with ThreadPoolExecutor(n_threads) as pool:
        token = _POOL.set(pool)
        try:
            yield
        finally:
            _POOL.reset(token)


def over_runs(
    pieces: list[slice], width: int, work: Callable[[list[slice]], _Found], sums: int = 0
) -> list[_Found]:
    """Return the result, of so many sums, of each run of pieces of rows, in their order.

    ``width`` is the length of a row.
    """
    if len(pieces) == 1:
        return [work(pieces)]
    runs, pool = _runs(pieces, max(_RUN, _PER_SUM * sums) // max(width, 1)), _POOL.get()
    if pool is None or len(runs) == 1:
        return [work(run) for run in runs]
    errors = np.geterr()  # a thread has its own

    def quietly(run: list[slice]) -> _Found:
        with np.errstate(**errors):
            return work(run)

    return list(pool.map(quietly, runs))


def added(parts: list[list[Array]]) -> list[Array]:
    """Return the sums of what runs have found, added in their order."""
    return [reduce(np.add, each) for each in zip(*parts, strict=True)]


def _runs(pieces: list[slice], n_rows: int) -> list[list[slice]]:
    """Return runs of consecutive pieces, each of so many rows at least but for the last."""
    ends = np.cumsum([piece.stop - piece.start for piece in pieces])
    number = (ends - 1) // max(n_rows, 1)
    cuts = np.flatnonzero(np.diff(number)) + 1
    bounds = [0, *cuts.tolist(), len(pieces)]
    return [pieces[start:stop] for start, stop in pairwise(bounds)]


class _Guard:
    """Counts who is inside: the first sets the limit, the last restores what was there.

    The limit holds for the whole process; without the count, fits in several threads could leave
    it behind.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside = 0
        self._controller: ThreadpoolController | None = None
        self._limit: Any = None

    def enter(self) -> None:
        with self._lock:
            if self._inside == 0:
                if self._controller is None:  # looks through all loaded libraries: once
                    self._controller = ThreadpoolController()
                self._limit = self._controller.limit(limits=1, user_api="blas")
            self._inside += 1

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._limit.restore_original_limits()


_GUARD = _Guard()


class Room:
    """Arrays to work in, of each thread its own: fresh ones cost more than products with them."""

    def __init__(self, *shapes: tuple[int, int]) -> None:
        self._shapes = shapes
        self._own = local()

    def arrays(self) -> list[Array]:
        """Return the arrays of this thread."""
        if not hasattr(self._own, "arrays"):
            self._own.arrays = [np.empty(shape) for shape in self._shapes]
        found: list[Array] = self._own.arrays
        return found


@contextmanager
def one_blas_thread(columns: int = 0, size: float = np.inf) -> Iterator[None]:
    """Run the block with one BLAS thread, unless matrices have many columns and numbers."""
    if _wide(columns, size):
        yield
        return
    _GUARD.enter()
    try:
        yield
    finally:
        _GUARD.leave()


def _wide(columns: int, size: float) -> bool:
    """Return True where products of matrices are worth several threads of BLAS."""
    return columns > _MANY and size > _LARGE
