"""Interleaved timing in one process, and the columns of every table."""

from __future__ import annotations

import gc
import re
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

LINEAR_REGRESSION = "LinearRegression"
CHOLESKY = "Cholesky"
COLUMNS = (
    "case",
    "fit",
    "seconds",
    "ratio to R",
    "ratio to C",
    "ratio to fastest peer",
    "relative excess",
    "extra memory",
    "rounds",
    "note",
)
TEXT = ("case", "fit", "loss", "note", "stage")
ACCURATE = 1e-5  # relative excess up to which a peer can be the fastest one


@dataclass(frozen=True)
class Run:
    """A call to time; ``factor`` is what its seconds are multiplied by, for all outputs say."""

    name: str
    call: Callable[[], Any]
    excess: Callable[[Any], float | None] = lambda result: None
    peer: bool = False
    factor: float = 1.0
    traced: bool = True
    note: str = ""


@dataclass
class Timing:
    """What was seen of a run: seconds by round, the last result, notes."""

    run: Run
    seconds: dict[int, float] = field(default_factory=dict)
    spent: float = 0.0
    result: Any = None
    peak: int | None = None
    notes: list[str] = field(default_factory=list)
    failed: bool = False

    @property
    def median(self) -> float | None:
        """Median of the counted rounds."""
        return median(self.seconds.values()) if self.seconds else None

    def ratio(self, other: Timing | None) -> float | None:
        """Time relative to another run: within each common round, then the median."""
        if other is None or not self.seconds or not other.seconds:
            return None
        common = self.seconds.keys() & other.seconds.keys()
        return median(self.seconds[i] / other.seconds[i] for i in common)


def shorten(error: BaseException | warnings.WarningMessage) -> str:
    """Class and first sentence of an error or a warning, fit for a cell of a table."""
    message = error.message if isinstance(error, warnings.WarningMessage) else error
    first = re.split(r"(?<=[.!])\s|\n\s*\n", " ".join(str(message).split()))[0]
    return f"{type(message).__name__}: {first[:120]}".replace("|", "/")


def perform(timing: Timing, index: int, repeated: bool) -> None:
    """Run once: round 0 traces memory and is not counted, the others are timed."""
    trace = index == 0 and timing.run.traced
    gc.collect()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if trace:
            tracemalloc.start()
        start = time.perf_counter()
        try:
            timing.result = timing.run.call()
        except Exception as error:  # a peer may raise anything; the row says what
            timing.failed = True
            timing.notes.append(f"failed: {shorten(error)}")
        seconds = time.perf_counter() - start
        if trace:
            timing.peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
    timing.spent += seconds
    if index and not timing.failed:
        timing.seconds[index] = seconds * timing.run.factor
    said = [
        w for w in caught if re.search(r"converge|iteration|inaccura|\btie", str(w.message), re.I)
    ]
    if said and not repeated:
        timing.notes.append(f"warned: {shorten(said[0])}")


def measure(runs: Iterable[Run], repeats: int, budget: float) -> list[Timing]:
    """Let the runs take turns for ``repeats`` rounds, after one that is not counted.

    A run whose time in all would pass ``budget`` seconds sits out the rounds from then on, after
    one that is counted.
    """
    timings = [Timing(run) for run in runs]
    for index in range(repeats + 1):
        for timing in timings:
            last = timing.spent / index if index else 0.0
            if timing.failed or (timing.seconds and timing.spent + last > budget):
                continue
            perform(timing, index, repeated=bool(timing.notes))
    return timings


def to_rows(
    case: str, timings: list[Timing], nbytes: int, against: dict[str, str]
) -> list[dict[str, Any]]:
    """One row of the table for each run, with all ``COLUMNS``, and whether it is a peer.

    ``against`` names further columns and the runs whose time they are relative to.
    """
    by_name = {timing.run.name: timing for timing in timings}
    excess = {
        name: None if timing.result is None or timing.failed else timing.run.excess(timing.result)
        for name, timing in by_name.items()
    }
    able = [
        timing
        for name, timing in by_name.items()
        if timing.run.peer and timing.seconds and abs(excess[name] or 0.0) <= ACCURATE
    ]
    fastest = min(able, key=lambda timing: timing.median or 0.0, default=None)
    return [
        {
            "case": case,
            "fit": name,
            "seconds": timing.median,
            "ratio to R": timing.ratio(by_name.get(LINEAR_REGRESSION)),
            "ratio to C": timing.ratio(by_name.get(CHOLESKY)),
            "ratio to fastest peer": timing.ratio(fastest),
            **{column: timing.ratio(by_name[other]) for column, other in against.items()},
            "relative excess": excess[name],
            "extra memory": None if timing.peak is None else timing.peak / nbytes,
            "rounds": len(timing.seconds),
            "note": "; ".join(filter(None, [timing.run.note, *timing.notes])),
            "peer": timing.run.peer,
        }
        for name, timing in by_name.items()
    ]


def to_markdown(rows: list[dict[str, Any]], columns: Iterable[str]) -> str:
    """Format a table in Markdown; what a row does not have is a dash."""

    def cell(value: Any) -> str:
        if value is None or value == "":
            return "-"
        return value if isinstance(value, str) else f"{value:.3g}"

    header = list(columns)
    lines = [header, ["---" if column in TEXT else "---:" for column in header]]
    lines += [[cell(row.get(column)) for column in header] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
