"""Fits of the rows of one source side by side: what several ask for at a time is one pass.

Each fit has a thread, and is written as if it had the source to itself. Passes are made by the
thread that has called, when every fit waits for one or has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextvars import copy_context
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Semaphore, Thread
from typing import Any, TypeVar

from skfairloss._rows.blocks import Block
from skfairloss._rows.facts import Passes
from skfairloss._rows.folds import Asked, OfParts, Part
from skfairloss._rows.source import Kernel, OnBlock, RowSource
from skfairloss._rows.sums import Sums, sums_of
from skfairloss._typing import Array

T = TypeVar("T")


Waiting = tuple[Asked, Future[Sums]]


class _Stopped(BaseException):
    """Ends a fit whose passes cannot be made."""


@dataclass
class _Table:
    """Requests of fits for passes: one is made when all fits wait that have not ended."""

    turns: Semaphore
    asked: SimpleQueue[Waiting | None] = field(default_factory=SimpleQueue)

    def ask(self, asked: Asked) -> Sums:
        """Wait for a pass, while other fits work."""
        future: Future[Sums] = Future()
        self.turns.release()
        try:
            self.asked.put((asked, future))
            return future.result()
        finally:
            self.turns.acquire()


class PartRows:
    """A part of the rows of a source, as one fit of several sees it.

    Some rows, names and sizes are those of the whole source.
    """

    def __init__(self, source: RowSource, part: Part | None, table: _Table) -> None:
        self._source, self._part, self._table = source, part, table

    @property
    def n_blocks(self) -> int:
        return self._source.n_blocks

    @property
    def n_features(self) -> int:
        return self._source.n_features

    @property
    def n_outputs(self) -> int:
        return self._source.n_outputs

    @property
    def single(self) -> bool:
        return self._source.single

    @property
    def feature_names(self) -> list[str] | None:
        return self._source.feature_names

    def head(self) -> Block:
        return self._source.head()

    def run(
        self,
        kernel: Kernel,
        own: Mapping[int, Any] | None = None,
        on_block: OnBlock | None = None,  # noqa: ARG002  (blocks are those of all fits)
    ) -> Sums:
        return self._table.ask(Asked(self._part, kernel, own))

    def each(
        self, function: Callable[[Array], Array], names: list[str] | None = None
    ) -> Iterable[Array]:
        return self._source.each(function, names)


Fit = tuple[Part | None, Callable[[PartRows], T]]


def fit_together(passes: Passes, fits: Sequence[Fit[T]], n_jobs: int = 1) -> list[T]:
    """Run fits of parts of the rows side by side, and return what they find, in their order.

    ``n_jobs`` of them work at a time between passes. An error of a fit is raised once all others
    have ended; one of a pass ends all fits.
    """
    table, found = _Table(Semaphore(n_jobs)), [Future[T]() for _ in fits]

    def work(future: Future[T], part: Part | None, fit: Callable[[PartRows], T]) -> None:
        try:
            with table.turns:
                future.set_result(fit(PartRows(passes.source, part, table)))
        except BaseException as error:
            future.set_exception(error)
        finally:
            table.asked.put(None)

    jobs = [(future, *fit) for future, fit in zip(found, fits, strict=True)]
    threads = [Thread(target=copy_context().run, args=(work, *job)) for job in jobs]
    started = 0
    error: BaseException | None = None
    try:
        for thread in threads:
            thread.start()
            started += 1
    except RuntimeError as failed:  # there are too many, or no memory is left for one
        error = failed
    error = _serve(passes, table, started, error)
    for thread in threads[:started]:
        thread.join()
    if error is not None:
        raise error
    return [future.result() for future in found]


def _serve(
    passes: Passes, table: _Table, running: int, error: BaseException | None
) -> BaseException | None:
    """Make the passes that fits ask for until all have ended, and return the error of one.

    After an error, such as an interrupt, fits that ask are ended. None if there is none.
    """
    waiting: list[Waiting] = []
    while running:
        try:
            one = table.asked.get()
            if one is None:
                running -= 1
            else:
                waiting.append(one)
            if error is None and waiting and len(waiting) == running:
                for (_, future), sums in zip(waiting, _pass_for(passes, waiting), strict=True):
                    future.set_result(sums)
                waiting = []
        except BaseException as failed:
            error = failed
        if error is not None:
            for _, future in waiting:
                future.set_exception(_Stopped())
            waiting = []
    return error


def _pass_for(passes: Passes, waiting: Sequence[Waiting]) -> list[Sums]:
    """Make one pass for several fits."""
    asked = [one for one, _ in waiting]
    blocks = set().union(*(one.own or () for one in asked))
    own = {i: tuple((one.own or {}).get(i) for one in asked) for i in blocks}
    sums = passes.run(OfParts(asked), own)
    return [sums_of(sums, j) for j in range(len(asked))]
