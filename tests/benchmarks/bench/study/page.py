"""The parts of docs/study.md, docs/study_tables.md and docs/index.md that the results file says."""

from __future__ import annotations

from collections.abc import Mapping

from bench import page as marked
from bench.study.answers import answers, caution, findings, short
from bench.study.results import Record
from bench.study.tables import (
    accuracy_tables,
    best_table,
    counts_tables,
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
COUNTS = {
    "short": short,
    "findings": findings,
    "summary": summary_table,
    "counts": counts_tables,
    "answers": answers,
    "caution": caution,
}
PAGES = ("index.md", "study.md", "study_tables.md")


def tables(results: Record) -> str:
    """The tables, one after the other."""
    return "\n\n".join(write(results) for write in TABLES.values())


def fill(pages: Mapping[str, str], results: Record) -> dict[str, str]:
    """Return the pages with their parts written anew."""
    texts = {name: write(results) for name, write in (TABLES | COUNTS).items()}
    return marked.fill(pages, texts)
