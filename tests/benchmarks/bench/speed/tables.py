"""Tables and counted sentences of docs/speed.md in Markdown, from the result files alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import median

from bench.fits import OURS
from bench.measure import ACCURATE
from bench.page import number, table
from bench.speed.results import (
    EXCESS,
    TO_C,
    TO_PEER,
    Results,
    Row,
    cases,
    fastest_peer,
    is_accurate,
    is_measured,
    kind_of,
    least_squares_peers,
    own,
    rows_of,
    size_of,
    without_mix,
)

Write = Callable[[Results], str]
TWIN, PLAIN = "ratio to twin", "ratio to plain"
LOSS = {0.0: "L2", 1.0: "L1"}
# Above these a case is listed among those that cost much more than what they are relative to.
MUCH = {TWIN: 2.0, PLAIN: 4.0}
# The scripts whose tables hold fits beside references and peers, and what each adds to them.
COMPARED: dict[str, str | None] = {
    "plain_fits": None,
    "hard_data": TWIN,
    "many_outputs": None,
    "mix_path": "ratio to cold",
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


def accuracy(value: float | None) -> str:
    """An excess: what rounding leaves is 0."""
    return "-" if value is None else "0" if abs(value) < 5e-16 else f"{value:.0e}"


def setting(results: Results) -> str:
    """What the files were measured on; one line for each different answer."""
    found: dict[str, list[str]] = {}
    for name, content in results.items():
        machine, given = content["machine"], content["setting"]
        names = {"openblas": "OpenBLAS", "mkl": "MKL", "blis": "BLIS"}
        versions = ", ".join(f"{names.get(k, k)} {v}" for k, v in machine["versions"].items())
        peers = ", ".join(f"{k} {v}" for k, v in machine["peers"].items())
        words = (
            f"{machine['cores']} cores, threads in each pool: {given['threads']}; skfairloss "
            f"{given['version']}, {versions}. Peers: {peers or 'none installed'}"
        )
        found.setdefault(words, []).append(f"`{name}`")
    return "\n".join(f"- {', '.join(names)}: {words}." for words, names in found.items())


def ratios(script: str) -> Write:
    """Our fits of a script: relative to R, to C and to the fastest peer, their excess and memory."""

    def write(results: Results) -> str:
        further = COMPARED[script]
        header = ["case", "fit", "`loss_mix`", "R", "C"]
        header += [] if further is None else [further.removeprefix("ratio to ")]
        header += ["fastest peer", "excess", "memory", "fastest peer is"]
        lines = []
        for _, rows in cases(rows_of(results, script)):
            peer = fastest_peer(rows)
            for row in own(rows):
                ratio = [] if further is None else [cell(row.get(further))]
                lines.append(
                    [
                        without_mix(row),
                        row["fit"].removeprefix(f"{OURS}, "),
                        "path" if "path" in row["case"] else mix_name(row["loss_mix"]),
                        cell(row["ratio to R"]),
                        cell(row[TO_C]),
                        *ratio,
                        cell(row[TO_PEER]),
                        accuracy(row[EXCESS]),
                        cell(row["extra memory"]),
                        "-" if peer is None else peer["fit"],
                    ]
                )
        if all(line[1] == OURS for line in lines):
            header, lines = (
                header[:1] + header[2:],
                [line[:1] + line[2:] for line in lines],
            )
        n_text = header.index("R")
        return table(header, lines, n_text)

    return write


def why_not(row: Row) -> str:
    """Why a peer has no time, in a word or two."""
    note = row["note"]
    return next(
        (words for words in ("not installed", "failed") if note.startswith(words)), "over budget"
    )


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


def compared(results: Results) -> list[tuple[str, Row, list[Row]]]:
    """Each fit of ours that stands beside references and peers, with its script and its case."""
    return [
        (script, row, rows)
        for script in COMPARED
        if script in results
        for _, rows in cases(rows_of(results, script))
        for row in own(rows)
        if "path" not in row["case"]  # many fits beside references that are one
    ]


def summary(results: Results) -> str:
    """In how many cases ours is the fastest, and by how much."""
    found = compared(results)
    raced = [row for _, row, rows in found if any(map(is_accurate, rows))]
    ratio = [row[TO_PEER] for row in raced]
    won = sum(value < 1 for value in ratio)
    text = (
        f"Of {len(found)} fits of ours in the tables below, {len(raced)} have a peer that comes "
        f"within a relative excess of {ACCURATE:g}. Ours is faster than all of these in {won}"
    )
    if ratio:
        text += f"; the median of its time relative to the fastest is {number(median(ratio))}"
    large = [row for _, row, _ in found if row["shape"][0] >= 100_000 and "fit" in row]
    slower = sum(row["ratio to R"] > 1 for row in large)
    text += (
        f". Of {len(large)} fits with 100 000 rows or more, {slower} take longer than "
        "`LinearRegression().fit` on the same rows."
    )
    return text


def lost(results: Results) -> str:
    """Every case in which a peer, or scikit-learn's least squares, is faster than we are."""
    lines = []
    for _, row, rows in compared(results):
        faster = [r for r in rows if is_accurate(r) and r[TO_C] < row[TO_C]]
        if row["loss_mix"] == 0 and row["case"].startswith(("Worst", "Bounded")) is False:
            faster += [r for r in least_squares_peers(rows) if r[TO_C] < row[TO_C]]
        if faster:
            names = ", ".join(
                f"{r['fit']} ({number(r[TO_C])})" for r in sorted(faster, key=lambda r: r[TO_C])
            )
            fit = row["fit"].removeprefix(OURS).removeprefix(", ")
            case = f"{row['case']}, {fit}" if fit else row["case"]
            lines.append([case, names, number(row[TO_C])])
    n = len(compared(results))
    if not lines:
        return f"In none of {n} fits."
    header = ["case", "who is faster, with time relative to C", "ours"]
    return f"In {len(lines)} of {n} fits:\n\n{table(header, lines, n_text=2)}"


def dear(results: Results) -> str:
    """Cases that cost much more than the twin or the plain fit beside them."""
    parts = []
    for column, limit in MUCH.items():
        name = column.removeprefix("ratio to ")
        rows = [row for _, row, _ in compared(results) if row.get(column) is not None]
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
    return "\n\n".join(parts)


def pivot(rows: Iterable[Row], first: str, name: Callable[[Row], str], column: str) -> str:
    """One value of our fits: a row for each name, a column for each size and mix or mix."""
    rows = list(rows)
    sizes = list(dict.fromkeys(size_of(row) for row in rows))
    split = any(name(row) != size_of(row) for row in rows) and len(sizes) > 1

    def place(row: Row) -> str:
        return f"{size_of(row)}, {mix_name(row['loss_mix'])}" if split else mix_name(row["loss_mix"])

    places = list(dict.fromkeys(map(place, rows)))
    values = {(name(row), place(row)): row.get(column) for row in rows}
    names = dict.fromkeys(map(name, rows))
    lines = [[one, *(cell(values.get((one, where))) for where in places)] for one in names]
    return table([first, *places], lines)


def twins(results: Results) -> str:
    """Hard data relative to Gaussian data."""
    return pivot(own(rows_of(results, "hard_data")), "data", kind_of, TWIN)


def memory(results: Results) -> str:
    """Extra memory of plain fits."""
    return pivot(own(rows_of(results, "plain_fits")), "rows x columns", size_of, "extra memory")


def slopes(results: Results) -> str:
    """Log-log slopes: a row for what grows and each mix, a column for each fit."""
    rows = [row for row in results["growth"]["results"] if row.get("slope") is not None]
    fits = [OURS, *dict.fromkeys(row["fit"] for row in rows if row["fit"] != OURS)]
    lines: dict[tuple[str, float], list[str]] = {}
    for part, mix in dict.fromkeys((row["part"], row["loss_mix"]) for row in rows):
        line = []
        whole: Sequence[int] = []
        for fit in fits:
            found = [r for r in rows if (r["part"], r["loss_mix"], r["fit"]) == (part, mix, fit)]
            whole = found[0]["sizes"] if fit == OURS else whole
            short = found and found[0]["sizes"] != whole
            reach = f" (to {found[0]['sizes'][-1]:,})".replace(",", " ") if short else ""
            line.append(f"{found[0]['slope']:.2f}{reach}" if found else "-")
        words = f"{part}, {whole[0]:,} to {whole[-1]:,}".replace(",", " ").replace("  ", ", ", 1)
        lines[words, mix] = line
    return table(
        ["what grows", "`loss_mix`", *fits],
        [[words, mix_name(mix), *line] for (words, mix), line in lines.items()],
        n_text=2,
    )


def stages(results: Results) -> str:
    """Share of time by stage and passes over X, a table for each size."""
    rows = results["profile_fit"]["results"]
    names = list(dict.fromkeys(row["case"] for row in rows))
    found = {(row["case"], row["stage"]): row for row in rows}
    order: dict[str, float] = {}
    for row in rows:
        order[row["stage"]] = order.get(row["stage"], 0.0) + row["share of time"]

    def shown(row: Row | None) -> str:
        if row is None:
            return "-"
        share, passes = 100 * row["share of time"], row["passes over X"]
        if row.get(TO_C) is not None:
            return f"{number(row[TO_C])} C; {passes:.1f}"
        return f"{share:.0f} %; {passes:.1f}" if passes >= 0.05 else f"{share:.0f} %"

    ordered = sorted(order, key=lambda stage: -order[stage])
    lines = [[stage, *(shown(found.get((name, stage))) for name in names)] for stage in ordered]
    return table(["stage", *names], [*lines[1:], lines[0]])


def products(results: Results) -> str:
    """Passes over X by product."""
    rows = [row for row in results["profile_fit"]["results"] if "products" in row]
    names = list(dict.fromkeys(row["case"] for row in rows))
    kinds = sorted({kind for row in rows for kind in row["products"]})
    lines = [
        [
            f"`{kind}`",
            *(
                f"{sum(r['products'].get(kind, 0.0) for r in rows if r['case'] == name):.2f}"
                for name in names
            ),
        ]
        for kind in kinds
    ]
    return table(["product with X", *names], lines)
