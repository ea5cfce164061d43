"""Tables of docs/speed_tables.md in Markdown, from the result files alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from bench.fits import OURS
from bench.measure import ACCURATE
from bench.page import number, table
from bench.profile import ALL
from bench.speed.results import (
    EXCESS,
    TO_C,
    TO_PEER,
    Results,
    Row,
    cases,
    fastest_peer,
    is_measured,
    kind_of,
    own,
    rivals,
    rows_of,
    size_of,
    without_mix,
)

Write = Callable[[Results], str]
TWIN, PLAIN = "ratio to twin", "ratio to plain"
LOSS = {0.0: "L2", 1.0: "L1"}
# Above these a case is listed among those that cost much more than what they are relative to.
MUCH = {TWIN: 2.0, PLAIN: 4.0}
BLAS = {"openblas": "OpenBLAS", "mkl": "MKL", "blis": "BLIS"}  # as they write themselves
ROUNDING = 1e-14  # excess below which it is called 0
PATH = "mix_path"
# The scripts whose tables hold fits beside references and peers, and what each adds to them.
COMPARED: dict[str, str | None] = {
    "plain_fits": None,
    "hard_data": TWIN,
    "many_outputs": None,
    PATH: "ratio to cold",
    "sparse_one_hot": "ratio to Ridge",
    "fairness_terms": PLAIN,
    "real_data": None,
}


def mix_name(mix: float) -> str:
    """L2, 0.5, L1."""
    return LOSS.get(mix, f"{mix:g}")


def cell(value: float | None) -> str:
    """Three digits, or a dash."""
    return "-" if value is None else number(value)


def spaced(value: int) -> str:
    """Write "100 000"."""
    return f"{value:,}".replace(",", " ")


def accuracy(value: float | None) -> str:
    """An excess: what rounding leaves is 0."""
    return "-" if value is None else "0" if abs(value) < ROUNDING else f"{value:.0e}"


def setting(results: Results) -> str:
    """What the files were measured on; one line for each different answer."""
    found: dict[str, list[str]] = {}
    for name, content in results.items():
        machine, given = content["machine"], content["setting"]
        versions = ", ".join(f"{BLAS.get(k, k)} {v}" for k, v in machine["versions"].items())
        peers = ", ".join(f"{k} {v}" for k, v in machine["peers"].items())
        words = (
            f"{machine['cores']} cores, {threads(given['threads'])}; skfairloss "
            f"{given['version']}, {versions}. Peers: {peers or 'none installed'}"
        )
        found.setdefault(words, []).append(f"`{name}`")
    return "\n".join(f"- {', '.join(names)}: {words}." for words, names in found.items())


def threads(pools: str) -> str:
    """Threads of each pool; one number where they agree."""
    counts = {pool.split()[-1] for pool in pools.split(", ")}
    return pools if len(counts) > 1 else f"threads in each pool: {counts.pop()}"


def ratios(script: str) -> Write:
    """Our fits of a script: relative to R, to C and to the fastest peer, their excess and memory.

    Columns that say nothing are left out.
    """

    def write(results: Results) -> str:
        further = COMPARED[script]
        lines = []
        for _, rows in cases(rows_of(results, script)):
            peer = fastest_peer(rows)
            for row in own(rows):
                line = {
                    "case": size_of(row) if script == PATH else without_mix(row),
                    "fit": row["fit"].removeprefix(f"{OURS}, "),
                    "`loss_mix`": "-" if script == PATH else mix_name(row["loss_mix"]),
                    "fastest peer": "-" if peer is None else peer["fit"],
                    "R": cell(row["ratio to R"]),
                    "C": cell(row[TO_C]),
                }
                if further is not None:
                    line[further.removeprefix("ratio to ")] = cell(row.get(further))
                line["that peer"] = cell(row[TO_PEER])
                line["excess"] = accuracy(row[EXCESS])
                line["memory"] = cell(row["extra memory"])
                lines.append(line)
        empty = {"-", OURS}
        header = [name for name in lines[0] if not {line[name] for line in lines} <= empty]
        shown = [[line[name] for name in header] for line in lines]
        return table(header, shown, header.index("R"))

    return write


def why_not(row: Row) -> str:
    """Why a peer has no time, in a word or two."""
    reasons = ("not installed", "failed")
    return next((words for words in reasons if words in row["note"]), "over budget")


def speed_and_excess(row: Row | None) -> str:
    """What a cell of a table of peers shows."""
    if row is None:
        return "-"
    if not is_measured(row):
        return why_not(row)
    mark = "*" if "extrapolated" in row["note"] else ""
    return f"{number(row[TO_C])}{mark} ({accuracy(row[EXCESS])})"


def peers(script: str) -> Write:
    """Time relative to C, and excess, of ours and of every peer, by mix."""

    def write(results: Results) -> str:
        parts = []
        rows = rows_of(results, script)
        for mix in sorted({row["loss_mix"] for row in rows if row["peer"]}):
            here = [row for row in rows if row["loss_mix"] == mix]
            by_case = {case: part for case, part in cases(here) if any(r["peer"] for r in part)}
            first = [row["fit"] for part in by_case.values() for row in own(part)]
            fits = [*first, *(r["fit"] for part in by_case.values() for r in part if r["peer"])]
            fits = list(dict.fromkeys(fits))
            names = {case: without_mix(part[0]) for case, part in by_case.items()}
            cells = {
                (case, fit): speed_and_excess(next((r for r in part if r["fit"] == fit), None))
                for case, part in by_case.items()
                for fit in fits
            }
            if len(by_case) >= len(fits):
                header = ["case", *fits]
                lines = [[names[c], *(cells[c, fit] for fit in fits)] for c in by_case]
            else:
                header = ["fit", *names.values()]
                lines = [[fit, *(cells[c, fit] for c in by_case)] for fit in fits]
            parts.append(f"`loss_mix` {mix:g}:\n\n{table(header, lines)}")
        return "\n\n".join(parts) or "No peer solves these cases."

    return write


def compared(results: Results) -> list[tuple[Row, list[Row]]]:
    """Each fit of ours that stands beside references and peers, with the rows of its case."""
    return [
        (row, rows)
        for script in COMPARED
        if script in results and script != PATH  # many fits beside references that are one
        for _, rows in cases(rows_of(results, script))
        for row in own(rows)
        if row["term"] or row[EXCESS] <= ACCURATE  # a loose tol buys speed that is not compared
    ]


def lost(results: Results) -> str:
    """Every case in which a fit of the same problem, as close as ours, is faster."""
    found, lines = compared(results), []
    for row, rows in found:
        faster = [other for other in rivals(row, rows) if other[TO_C] < row[TO_C]]
        if faster:
            names = ", ".join(f"{other['fit']} ({number(other[TO_C])})" for other in faster)
            kind = row["fit"].removeprefix(OURS)  # ", tol=..." or nothing
            lines.append([row["case"] + kind, names, number(row[TO_C])])
    if not lines:
        return f"In none of {len(found)} fits."
    header = ["case", "who is faster, with time relative to C", "ours"]
    return f"In {len(lines)} of {len(found)} fits:\n\n{table(header, lines, n_text=2)}"


def dear(results: Results) -> str:
    """Cases that cost much more than the twin or the plain fit beside them."""
    parts = []
    for column, limit in MUCH.items():
        name = column.removeprefix("ratio to ")
        rows = [row for row, _ in compared(results) if row.get(column) is not None]
        if not rows:
            continue
        above = sorted((r for r in rows if r[column] > limit), key=lambda r: -r[column])
        text = (
            f"Of {len(rows)} fits beside a {name} one, {len(above)} cost more than {limit:g} times "
            "as much"
        )
        if above:
            shown = table(
                ["case", f"ratio to {name}"], [[r["case"], number(r[column])] for r in above]
            )
            text += f":\n\n{shown}"
        parts.append(text if above else f"{text}.")
    return "\n\n".join(parts) or "Nothing has been measured yet."


def pivot(rows: Iterable[Row], header: Sequence[str], column: str) -> str:
    """One value of our fits, by what they are of and size in rows and by mix in columns."""
    values: dict[tuple[str, ...], dict[float, float | None]] = {}
    for row in rows:
        first = (kind_of(row), size_of(row)) if len(header) > 1 else (size_of(row),)
        values.setdefault(first, {})[row["loss_mix"]] = row.get(column)
    mixes = list(dict.fromkeys(mix for found in values.values() for mix in found))
    lines = [[*first, *(cell(found.get(mix)) for mix in mixes)] for first, found in values.items()]
    return table([*header, *map(mix_name, mixes)], lines, n_text=len(header))


def twins(results: Results) -> str:
    """Hard data relative to Gaussian data."""
    return pivot(own(rows_of(results, "hard_data")), ["data", "rows x columns"], TWIN)


def memory(results: Results) -> str:
    """Extra memory of plain fits."""
    return pivot(own(rows_of(results, "plain_fits")), ["rows x columns"], "extra memory")


def slopes(results: Results) -> str:
    """Log-log slopes: a row for what grows and each mix, a column for each fit."""
    rows = [row for row in results["growth"]["results"] if "slope" in row]
    fits = [OURS, *dict.fromkeys(row["fit"] for row in rows if row["fit"] != OURS)]
    lines = []
    for part, mix in dict.fromkeys((row["part"], row["loss_mix"]) for row in rows):
        here = {r["fit"]: r for r in rows if (r["part"], r["loss_mix"]) == (part, mix)}
        first, last = (here[OURS]["sizes"][i] for i in (0, -1))

        def shown(row: Row | None, last: int = last) -> str:
            if row is None:
                return "-"
            reached = row["sizes"][-1]
            reach = "" if reached == last else f" (to {spaced(reached)})"
            return f"{row['slope']:.2f}{reach}"

        words = f"{part}, {spaced(first)} to {spaced(last)}"
        lines.append([words, mix_name(mix), *(shown(here.get(fit)) for fit in fits)])
    return table(["what grows", "`loss_mix`", *fits], lines, n_text=2)


def profiled(results: Results) -> list[tuple[str, dict[str, list[Row]]]]:
    """Rows of the profile by size, and by what was fitted."""
    sizes: dict[str, dict[str, list[Row]]] = {}
    for row in results["profile_fit"]["results"]:
        term = row["case"].split(",")[0] + ", " if row["term"] else ""
        by_fit = sizes.setdefault(size_of(row), {})
        by_fit.setdefault(f"{term}{mix_name(row['loss_mix'])}", []).append(row)
    return list(sizes.items())


def stages(results: Results) -> str:
    """Share of time and passes over X by stage, a table for each size."""

    def shown(row: Row | None) -> str:
        if row is None:
            return "-"
        time = f"{100 * row['share of time']:.0f} %"
        if row["stage"] == ALL:
            time = f"{number(row[TO_C])} C"
        passes = f"{row['passes over X']:.1f}"
        return time if passes == "0.0" else f"{time}; {passes}"

    parts = []
    for size, by_fit in profiled(results):
        found = {(fit, row["stage"]): row for fit, rows in by_fit.items() for row in rows}
        total: dict[str, float] = {}
        for (_, stage), row in found.items():
            total[stage] = total.get(stage, 0.0) + row["share of time"]
        order = [*sorted(total.keys() - {ALL}, key=lambda stage: -total[stage]), ALL]
        lines = [[stage, *(shown(found.get((fit, stage))) for fit in by_fit)] for stage in order]
        parts.append(f"{size}:\n\n{table(['stage', *by_fit], lines)}")
    return "\n\n".join(parts)


def products(results: Results) -> str:
    """Passes over X by product, a table for each size."""
    parts = []
    for size, by_fit in profiled(results):
        read: dict[str, dict[str, float]] = {}
        for fit, rows in by_fit.items():
            for row in rows:
                for name, passes in row.get("products", {}).items():
                    by_product = read.setdefault(name, {})
                    by_product[fit] = by_product.get(fit, 0.0) + passes
        lines = [
            [f"`{name}`", *(f"{found[fit]:.2f}" if fit in found else "-" for fit in by_fit)]
            for name, found in sorted(read.items())
        ]
        parts.append(f"{size}:\n\n{table(['product with X', *by_fit], lines)}")
    return "\n\n".join(parts)


def beyond_memory(results: Results) -> str:
    """Fits of rows in blocks beside those of dask-ml and of gradient steps, by loss."""
    lines = []
    for row in results["beyond_memory"]["results"]:
        numbers = ["not installed"] if "note" in row else []
        for name, form in (
            ("passes", ".3g"),
            ("ratio", ".3g"),
            ("excess", ".0e"),
            ("error", ".0e"),
        ):
            if name in row:
                numbers.append(format(max(row[name], 0.0), form))
        numbers += ["-"] * (4 - len(numbers))
        lines.append([row["loss"], row["fit"], *numbers])
    return table(["loss", "fit", "passes", "time", "excess", "error"], lines)
