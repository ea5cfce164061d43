"""The parts of docs/hard_inputs.md that the counts of `tests.hard_problems` say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench import page as marked
from bench.page import table

PAGES = ("hard_inputs.md",)
SIDES = ("before", "after")
Counts = dict[str, dict[str, int]]  # statuses by kind
Results = Mapping[str, Mapping[str, Any]]  # before and after, then plain and fairness

# Kinds in words, in the order of the tables.
KINDS = {
    "ordinary": "correlated columns off their origin",
    "rounded": "whole numbers or one decimal, rows that occur twice",
    "far from 0": "years, timestamps, pressures, 1e9 and a little, in X and y",
    "sums beside parts": "columns and their sum or mean",
    "near copies": "columns that differ by 1e-13 to 1e-7 of their size",
    "near-collinear sparse": "the same in sparse X",
    "calendar-year powers": "3 to 7 powers of calendar years, not centred",
    "full dummies": "all dummies of a factor beside an intercept, rare levels",
    "weights over 24 orders": "weights from 1e-12 to 1e12",
    "p around n": "about as many columns as rows, or more",
    "constant outputs": "an output without variation, alone or beside others",
    "ends of the mix": "`loss_mix` within 1e-12 to 1e-9 of 0 or 1",
    "ten orders": "`scale` and `alpha` over ten powers of ten",
    "useless columns": "a column of zeros, a constant, a copy",
    "many rows": "1 500 or 4 000 rows, some with a rounded y",
    "extreme units": "numbers whose squares are no floats",
    "tiny": "2 to 7 rows of whole numbers, judged in exact fractions",
    "terms on other losses": "terms that name a loss of their own, on data of any kind above",
}
FAULTS = ("false attribute", "broken law", "wrong", "raised")
HEADER = (
    "kind",
    "problems",
    "warned, before",
    "warned, after",
    "at fault, before",
    "at fault, after",
    "no verdict, after",
)


def fill(pages: Mapping[str, str], results: Results) -> dict[str, str]:
    """Return the page with its parts written anew."""
    texts = {
        "kinds": kinds(),
        "sentences": sentences(results),
        "plain": counts_table(results, "plain"),
        "fairness": counts_table(results, "fairness"),
        "commands": commands(results),
        "revisions": revisions(results),
    }
    return marked.fill(pages, texts)


def kinds() -> str:
    """What each kind is like."""
    return table(["kind", "data or settings"], [list(pair) for pair in KINDS.items()], 2)


def sentences(results: Results) -> str:
    """Counts over all kinds, a sentence each."""
    return "\n".join(_sentence(results, which) for which in ("plain", "fairness"))


def _sentence(results: Results, which: str) -> str:
    counts: Counts = results["after"][which]["counts"]
    every, name = counts["all"], {"plain": "plain fits", "fairness": "fits under terms"}[which]
    faults, usual = at_fault(every), counts["ordinary"]
    verdicts = (
        f"{_number(every['certified'])} are certified and right",
        f"{_number(every['refused'])} are refused, rightly",
        f"{_number(every['declared'])} warn that a gap is left",
        f"{_number(every['no verdict'])} are certified without a verdict of a judge",
        f"{_number(faults)} {'is' if faults == 1 else 'are'} at fault",
    )
    return (
        f"- **Of {_number(sum(every.values()))} {name}** {', '.join(verdicts)}. Of the "
        f"{_number(sum(usual.values()))} ordinary ones {_number(usual['declared'])} warn."
    )


def counts_table(results: Results, which: str) -> str:
    """A row for each kind, and one for all."""
    before, after = (results[side][which]["counts"] for side in SIDES)
    rows = [_row(kind, before.get(kind), after[kind]) for kind in (*KINDS, "all") if kind in after]
    return table(HEADER, rows)


def _row(kind: str, before: dict[str, int] | None, after: dict[str, int]) -> list[str]:
    old = ("-", "-") if before is None else (_number(before["declared"]), _number(at_fault(before)))
    return [
        kind,
        _number(sum(after.values())),
        old[0],
        _number(after["declared"]),
        old[1],
        _number(at_fault(after)),
        _number(after["no verdict"]),
    ]


def at_fault(statuses: Mapping[str, int]) -> int:
    """How many are wrong without a word, claim what is not so, or raised."""
    return sum(statuses[name] for name in FAULTS)


def commands(results: Results) -> str:
    """What counts the same problems again and writes the page."""
    count = "python -m tests.hard_problems {} --n {} --json docs/hard/after.json"
    lines = [count.format(which, results["after"][which]["n"]) for which in ("plain", "fairness")]
    return "\n".join(["```sh", *lines, "python tests/benchmarks/hard_inputs.py", "```"])


def revisions(results: Results) -> str:
    """The revisions that were counted."""
    plain, fairness = (
        [results[side][which]["commit"] for side in SIDES] for which in ("plain", "fairness")
    )
    return (
        f"Plain fits: revision `{plain[0]}` before, `{plain[1]}` after. "
        f"Fits under terms: `{fairness[0]}` before, `{fairness[1]}` after."
    )


def _number(count: int) -> str:
    """Return a count as the pages write it."""
    return f"{count:,}".replace(",", " ")
