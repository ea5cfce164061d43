"""docs/study.md: the parts of it that the results file says."""

from __future__ import annotations

from bench import page as marked
from bench.study.answers import answers, caution
from bench.study.results import Record
from bench.study.tables import (
    accuracy_tables,
    best_table,
    data_table,
    group_tables,
    residual_table,
    summary_table,
    way_table,
)

# Of any selection of data sets, and of all of them.
TABLES = {
    "data": data_table,
    "way": way_table,
    "accuracy": accuracy_tables,
    "groups": group_tables,
    "residuals": residual_table,
    "best": best_table,
}
COUNTS = {"summary": summary_table, "answers": answers, "caution": caution}


def tables(results: Record) -> str:
    """The tables, one after the other."""
    return "\n\n".join(write(results) for write in TABLES.values())


def fill(page: str, results: Record) -> str:
    """The page with its parts written anew, between the comments that name them."""
    texts = {name: write(results) for name, write in (TABLES | COUNTS).items()}
    return marked.fill(page, texts)
