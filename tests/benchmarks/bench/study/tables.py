"""Tables of docs/study.md in Markdown, from the results file alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median

from bench.page import number, table
from bench.study.results import (
    BETWEEN,
    L1,
    L2,
    MEASURES,
    Record,
    base,
    best_mix,
    contrast,
    detected,
    gain,
    gap,
    is_between,
    level,
    real,
    sign,
    turned,
)

WORDS = {
    "mae": "MAE, all rows",
    "mse": "MSE, all rows",
    "worst mae": "MAE, worst group",
    "mae gap": "MAE, difference of two groups",
    "residual gap": "mean residual, difference of two groups",
}


def cell(interval: Sequence[float], is_turned: bool = False) -> str:
    """A difference in percent with its interval, bold where that does not hold 0."""
    value, low, high = (f"{part:+.2f}" for part in interval)
    text = f"**{value}** ({low}, {high})" if sign(interval) else f"{value} ({low}, {high})"
    return f"{text} turned" if is_turned else text


def data_table(results: Record) -> str:
    """What the data are."""
    rows = []
    for record in results["data"]:
        groups = sorted(record["groups"].items(), key=lambda item: -item[1])
        units = "" if record["unit"] is None else f", {record['units']} {record['unit']}s"
        outputs = "" if record["outputs"] == 1 else f", {record['outputs']} outputs"
        rows.append(
            [
                f"{record['title']} ({record['source']})",
                record["domain"],
                record["target"],
                f"{record['rows']} x {record['features']}{outputs}{units}",
                ", ".join(f"{name} ({count})" for name, count in groups),
            ]
        )
    header = ["data (package)", "domain", "predicted", "rows x features", "groups and their rows"]
    return table(header, rows, len(header))


def way_table(results: Record) -> str:
    """How far from L2 to L1 the fit of the middle is, beside how much L2 explains."""
    middle = results["protocol"]["primary"]
    rows = [
        [record["title"], way_cell(record), f"{record['way']['R2 of L2']:.2f}"]
        for record in results["data"]
    ]
    low, high = BETWEEN
    return (
        f"Way of {middle:g} from the L2 to the L1 fit, of predictions for all rows by fits to all "
        f"rows: 0 is L2, 1 is L1. Bold: not between {low:g} and {high:g}. R² is that of L2, on the "
        f"same rows:\n\n{table(['data', f'way of {middle:g}', 'R²'], rows)}"
    )


def way_cell(record: Record) -> str:
    """The way of the middle, bold where that is near an end."""
    text = f"{record['way']['middle']:.3f}"
    return text if is_between(record) else f"**{text}**"


def change_table(
    results: Record,
    quantity: str,
    first: tuple[str, Callable[[Record], str]],
    pairs: Sequence[tuple[float, float]],
) -> str:
    """Differences of a quantity, a row for each data set, behind one more column."""
    names = {L2: "L2", L1: "L1"}
    header = ["data", first[0]]
    header += [f"{names.get(a, f'{a:g}')} - {names[b]}, %" for a, b in pairs]
    rows = [
        [
            record["title"],
            first[1](record),
            *(
                cell(contrast(record, quantity, mix, reference), turned(record, quantity, mix))
                for mix, reference in pairs
            ),
        ]
        for record in results["data"]
    ]
    return table(header, rows, n_text=2)


def accuracy_tables(results: Record) -> str:
    """MAE and MSE over all rows."""
    middle = results["protocol"]["primary"]
    pairs = [(middle, L2), (L1, L2), (middle, L1)]
    mae = change_table(results, "mae", ("MAE of L2", lambda r: number(level(r, L2)["mae"])), pairs)
    mse = change_table(
        results, "mse", ("RMSE of L2", lambda r: number(level(r, L2)["rmse"])), pairs
    )
    return (
        f"Mean absolute error, differences in percent of that of L2:\n\n{mae}\n\n"
        f"Mean squared error, differences in percent of that of L2:\n\n{mse}"
    )


def group_tables(results: Record) -> str:
    """The worst group, and the difference of two groups."""
    middle = results["protocol"]["primary"]
    pairs = [(middle, L2), (L1, L2)]

    def worst(record: Record) -> str:
        name = record["pairs"]["mae"][0]
        return f"{name}: {number(level(record, L2)['groups'][name]['mae'])}"

    def both(record: Record) -> str:
        percent = 100 * gap(record, "mae", L2) / base(record, "mae")
        return f"{' - '.join(record['pairs']['mae'])}: {percent:.1f}"

    first = change_table(results, "worst mae", ("worst group and its MAE under L2", worst), pairs)
    second = change_table(results, "mae gap", ("groups, difference under L2, %", both), pairs)
    return (
        "MAE of the group with the largest one under L2, differences in percent of the MAE of L2 "
        f"over all rows:\n\n{first}\n\n"
        "Difference of MAE between that group and the one with the smallest under L2, in percent "
        f"of the same:\n\n{second}"
    )


def residual_table(results: Record) -> str:
    """The difference of mean residuals of two groups."""
    middle = results["protocol"]["primary"]

    def both(record: Record) -> str:
        percent = 100 * gap(record, "residual", L2) / base(record, "mae")
        return f"{' - '.join(record['pairs']['residual'])}: {percent:.1f}"

    columns = ("groups, difference under L2, %", both)
    shown = change_table(results, "residual gap", columns, [(middle, L2), (L1, L2)])
    return (
        "Difference of mean residuals (true - predicted) of the groups with the largest and the "
        f"smallest one under L2, in percent of the MAE of L2 over all rows:\n\n{shown}"
    )


def best_table(results: Record) -> str:
    """The best mix by each measure, and the gain over the better end."""
    rows = []
    for record in results["data"]:
        row = [record["title"]]
        for measure in MEASURES.values():
            mix = best_mix(record, measure)
            inside = f" ({gain(record, measure):.2f})" if mix not in (L2, L1) else ""
            row.append(f"{mix:g}{inside}")
        mix = best_mix(record, MEASURES["MAE"])
        row.append("-" if mix == L2 else cell(contrast(record, "mae", mix)))
        rows.append(row)
    return (
        "The mix of the grid with the smallest value; in brackets, where it lies between the ends, "
        "by how much it is below the better end, in percent of the MAE (RMSE) of L2. The last "
        "column is the best mix by MAE against L2:\n\n"
        + table(["data", *MEASURES, "MAE of the best - L2, %"], rows)
    )


def counts_table(results: Record, mix: float) -> str:
    """On how many real data sets each quantity is smaller or larger than under L2."""
    header = ["quantity", "smaller", "no difference detected", "larger", "median change, %"]
    rows = []
    for quantity, words in WORDS.items():
        counts = [len(detected(results, quantity, k, mix)) for k in (-1, 0, 1)]
        changes = [contrast(record, quantity, mix)[0] for record in real(results)]
        rows.append([words, *map(str, counts), f"{median(changes):+.2f}"])
    return table(header, rows)


def summary_table(results: Record) -> str:
    """The counts of the middle."""
    middle = results["protocol"]["primary"]
    return (
        f"`loss_mix={middle:g}` compared with L2, changes in percent of the MAE (MSE) of L2 over "
        f"all rows:\n\n{counts_table(results, middle)}"
    )


def counts_tables(results: Record) -> str:
    """The counts of L1; those of the middle are on the first page."""
    return (
        "L1 compared with L2, changes in percent of the MAE (MSE) of L2 over all rows. The "
        f"[summary](study.md) has the counts of {results['protocol']['primary']:g}:\n\n"
        f"{counts_table(results, L1)}"
    )
