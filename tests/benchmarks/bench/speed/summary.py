"""Sentences and short tables of docs/speed.md in Markdown, from the result files alone."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from bench.page import number, table
from bench.speed.results import (
    TO_C,
    TO_PEER,
    Results,
    Row,
    fastest_peer,
    is_accurate,
    kind_of,
    own,
    rows_of,
)
from bench.speed.tables import PLAIN, TWIN, compared, mix_name, spaced

LARGE = 100_000  # rows from which a summary speaks of large fits
SLOWER = 1.2  # times a Gaussian twin, from which a kind of data is named


def span(values: Iterable[float]) -> str:
    """Write "0.5 to 2"; one number where both ends read the same."""
    found = list(values)
    ends = [number(min(found)), number(max(found))]
    return " to ".join(dict.fromkeys(ends))


def findings(results: Results) -> str:
    """The findings of the first page: beside other libraries, beside least squares."""
    found = compared(results)
    if not found:
        return "Nothing has been measured yet."
    raced = [(row, rows) for row, rows in found if any(map(is_accurate, rows))]
    won = sum(row[TO_C] <= peer[TO_C] for row, rows in raced if (peer := fastest_peer(rows)))
    lines = [
        f"**Beside other libraries.** Some other library solves {len(raced)} of our {len(found)} "
        f"fits as closely. In {won} of these we are the fastest."
    ]
    if raced:
        middle = median(row[TO_PEER] for row, _ in raced)
        lines[0] += (
            f" In the median case we take {100 * middle:.0f} % of the time of the fastest other "
            "library."
        )
    large = [row for row, _ in found if row["shape"][0] >= LARGE]
    slower = sum(row["ratio to R"] > 1 for row in large)
    lines.append(
        f"**Beside least squares.** Of {len(large)} fits with {spaced(LARGE)} rows or more, "
        f"{slower} take longer than scikit-learn's `LinearRegression().fit` on the same rows."
    )
    if "plain_fits" in results:
        lines.append(plain(own(rows_of(results, "plain_fits"))))
    return "\n".join(f"{place}. {line}" for place, line in enumerate(lines, start=1))


def plain(rows: list[Row]) -> str:
    """How long plain fits take, and an absolute loss relative to a squared one."""
    large = [row["ratio to R"] for row in rows if row["shape"][0] >= LARGE]
    small = [row["ratio to R"] for row in rows if row["shape"][0] < LARGE]
    squared = {tuple(row["shape"]): row[TO_C] for row in rows if row["loss_mix"] == 0}
    absolute = {tuple(row["shape"]): row[TO_C] for row in rows if row["loss_mix"] == 1}
    parts = []
    if large:
        parts.append(f"{span(large)} times as long as `LinearRegression` from {spaced(LARGE)} rows")
    if small:
        parts.append(f"{span(small)} times as long below")
    text = f"**Plain fits** take {', and '.join(parts)}."
    if common := squared.keys() & absolute.keys():
        shares = span(absolute[size] / squared[size] for size in common)
        text += f" An L1 fit takes {shares} times as long as our L2 fit."
    return text


def by_kind(rows: Iterable[Row], column: str) -> dict[str, list[float]]:
    """Values of a column over sizes and mixes, by the name of the case without either."""
    found: dict[str, list[float]] = {}
    for row in rows:
        if row.get(column) is not None:
            found.setdefault(kind_of(row), []).append(row[column])
    return found


def hard(results: Results) -> str:
    """Which kinds of data take longer than Gaussian data, and how much longer at most."""
    found = by_kind(own(rows_of(results, "hard_data")), TWIN)
    dear = {kind: max(values) for kind, values in found.items() if max(values) > SLOWER}
    order = sorted(dear, key=lambda kind: -dear[kind])
    named = ", ".join(f"{kind} ({number(dear[kind])} times)" for kind in order)
    others = [kind for kind in found if kind not in dear]
    text = f"Compared with Gaussian data of the same size, these take up to: {named or 'none'}."
    if others:
        most = max(max(found[kind]) for kind in others)
        text += f" At most {number(most)} times as long: {', '.join(others)}."
    return text


def terms(results: Results) -> str:
    """Time of each fairness term relative to the plain fit, by mix."""
    rows = [row for row in own(rows_of(results, "fairness_terms")) if row.get(PLAIN) is not None]
    mixes = sorted({row["loss_mix"] for row in rows})
    values: dict[str, dict[float, list[float]]] = {}
    for row in rows:
        term, *about = kind_of(row).split(", ")
        groups = next(words for words in about if words.endswith("groups"))
        name = f"`{term.partition('(')[0]}`, {groups}"
        values.setdefault(name, {}).setdefault(row["loss_mix"], []).append(row[PLAIN])
    lines = [
        [name, *(span(found[mix]) if mix in found else "-" for mix in mixes)]
        for name, found in values.items()
    ]
    return table(["term", *map(mix_name, mixes)], lines)
