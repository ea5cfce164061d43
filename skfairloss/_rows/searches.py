"""Searches that need passes: written as if each had the rows to itself, made side by side.

A search is a generator. It yields a `Request` whenever it needs a pass, is sent the sums, and
returns what it has found. What several searches ask for at a time is one pass.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from skfairloss._rows.facts import Passes
from skfairloss._rows.kernels import Together
from skfairloss._rows.source import Kernel
from skfairloss._rows.sums import Sums, sums_of

T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """A pass that is asked for: a kernel, and what is sent to single blocks."""

    kernel: Kernel
    own: Mapping[int, Any] = field(default_factory=dict)


Search = Generator[Request, Sums, T]


def side_by_side(passes: Passes, searches: Sequence[Search[T]]) -> list[T]:
    """Make the passes that searches ask for, each for all that wait, and return what they find."""
    found: dict[int, T] = {}
    waiting: dict[int, Request] = {}

    def go_on(j: int, sums: Any) -> None:
        try:
            waiting[j] = searches[j].send(sums)
        except StopIteration as end:
            found[j] = end.value

    for j in range(len(searches)):
        go_on(j, None)
    while waiting:
        asked, places = list(waiting.values()), list(waiting)
        waiting.clear()
        for j, sums in zip(places, _run(passes, asked), strict=True):
            go_on(j, sums)
    return [found[j] for j in range(len(searches))]


def _run(passes: Passes, asked: list[Request]) -> list[Sums]:
    """Make one pass for several requests."""
    if len(asked) == 1:
        return [passes.run(asked[0].kernel, asked[0].own)]
    together = Together(tuple(request.kernel for request in asked))
    blocks = set().union(*(request.own for request in asked))
    own = {block: tuple(request.own.get(block) for request in asked) for block in blocks}
    sums = passes.run(together, own)
    return [sums_of(sums, j) for j in range(len(asked))]
