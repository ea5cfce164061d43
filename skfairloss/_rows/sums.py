"""`Sums`: all that a pass brings back from the rows, and the order in which it comes together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, TypeVar

import numpy as np

from skfairloss._rows.draws import Draw, merge_draws
from skfairloss._typing import Array

T = TypeVar("T")


class Mergeable(Protocol):
    """A record of some rows that knows how to take in another one."""

    def merged(self, other: Self) -> Self:
        """Return the record of both parts of the rows, the other's last."""


@dataclass(frozen=True)
class Few:
    """Arrays with an entry for each of n rows, in their order, as long as these are few.

    Parameters
    ----------
    most : how many rows are kept.
    n_rows : n.
    rows : the arrays. None where the rows are more.
    """

    most: int
    n_rows: int
    rows: tuple[Array, ...] | None

    @classmethod
    def of(cls, most: int, rows: tuple[Array, ...]) -> Few:
        """Keep rows if they are few."""
        n = len(rows[0])
        return cls(most, n, rows if n <= most else None)

    def merged(self, other: Few) -> Few:
        """Return the rows of both, the other's last."""
        n = self.n_rows + other.n_rows
        if self.rows is None or other.rows is None or n > self.most:
            return Few(self.most, n, None)
        return Few(self.most, n, _join(self.rows, other.rows))


@dataclass(frozen=True)
class Sums:
    """The sums that some rows add to a pass. A name that one side lacks is taken from the other.

    Parameters
    ----------
    added : arrays or numbers that add up.
    largest : arrays of which the larger entries count.
    joined : tuples of arrays with an entry for some of the rows, in the order of the rows.
    triangles : R of QR decompositions of rows, (k, p).
    drawn : samples of the rows, by group.
    records : records that merge themselves.
    seen : by block, the number of its rows and a checksum of their targets.
    """

    added: Mapping[Any, Any] = field(default_factory=dict)
    largest: Mapping[Any, Any] = field(default_factory=dict)
    joined: Mapping[Any, tuple[Array, ...]] = field(default_factory=dict)
    triangles: Mapping[Any, Array] = field(default_factory=dict)
    drawn: Mapping[Any, Draw] = field(default_factory=dict)
    records: Mapping[Any, Mergeable] = field(default_factory=dict)
    seen: Mapping[int, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Held:
    """The sums of one of several passes that are made as one."""

    sums: Sums

    def merged(self, other: Held) -> Held:
        """Return the sums of both parts of the rows."""
        return Held(merge(self.sums, other.sums))


def held(several: Mapping[Any, Sums]) -> Sums:
    """Return the sums of several passes as those of one, by name."""
    return Sums(records={name: Held(sums) for name, sums in several.items()})


def sums_of(found: Sums, name: Any) -> Sums:
    """Return the sums of one of several passes that were made as one."""
    one = found.records.get(name)
    return one.sums if isinstance(one, Held) else Sums()


def merge(first: Sums, second: Sums) -> Sums:
    """Return the sums of two parts of the rows, the first of which comes first."""
    return Sums(
        _merged(first.added, second.added, np.add),
        _merged(first.largest, second.largest, np.maximum),
        _merged(first.joined, second.joined, _join),
        _merged(first.triangles, second.triangles, _triangle),
        merge_draws(first.drawn, second.drawn) if first.drawn or second.drawn else {},
        _merged(first.records, second.records, lambda one, other: one.merged(other)),
        {**first.seen, **second.seen},
    )


def in_tree(parts: Iterable[T], merge: Callable[[T, T], T]) -> T | None:
    """Merge neighbours in pairs, the results in pairs again, and so on. None without parts.

    The pairs depend on the number of parts alone, so that sums have the same rounding errors
    whoever computes them, and in whatever order. Where parts come one by one, a logarithm of their
    number is kept.
    """
    kept: list[tuple[int, T]] = []  # how many times each was merged
    for part in parts:
        times = 0
        while kept and kept[-1][0] == times:
            part = merge(kept.pop()[1], part)  # noqa: PLW2901  (that is what it becomes)
            times += 1
        kept.append((times, part))
    if not kept:
        return None
    out = kept.pop()[1]
    while kept:
        out = merge(kept.pop()[1], out)
    return out


def _merged(first: Mapping, second: Mapping, merge: Callable) -> dict[Any, Any]:
    """Return the union of two mappings; what has the same name is merged."""
    if not (first and second):
        return dict(first or second)
    out = dict(first)
    for name, value in second.items():
        out[name] = merge(out[name], value) if name in out else value
    return out


def _join(first: tuple[Array, ...], second: tuple[Array, ...]) -> tuple[Array, ...]:
    """Return arrays one after the other."""
    if not len(first[0]):
        return second
    if not len(second[0]):
        return first
    return tuple(map(np.concatenate, zip(first, second, strict=True)))


def _triangle(first: Array, second: Array) -> Array:
    """Return R of the rows that two triangles stand for."""
    return np.asarray(np.linalg.qr(np.vstack([first, second]), mode="r"))
