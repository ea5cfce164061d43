"""The measurements of docs/speed.md: runs the benchmark scripts and writes both pages' tables.

From the repository root, with the peers installed (docs/benchmarks.md), on a machine that does
nothing else::

    python tests/benchmarks/speed.py

writes ``docs/speed/NAME.json`` for each script and, from these files, the tables and counted
sentences of ``docs/speed.md`` and ``docs/speed_tables.md``. ``--only`` runs some of the scripts,
``--page`` none: the pages are written from whatever files are there. ``--quick`` shows that all of
it runs, and writes nothing unless ``--out`` names another folder.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.page import read, write
from bench.speed.page import PAGES, fill
from bench.speed.results import load

HERE = Path(__file__).parent
FOLDER = HERE.parents[1] / "docs/speed"
# Those that are fast in plain fits, where all are asked, and those that only some cases have.
FAST_PEERS = [
    "pyqreg2 ipm",
    "pyqreg2 preprocessing",
    "pinball-qr fn",
    "pinball-qr pfn",
    "HuberRegressor epsilon=1",
    "cvxpy + Clarabel",
    "Clarabel, dual",
    "SVR epsilon=0",
    "multiplicative weights",
]
GROUP_PEERS = ["fairlearn ExponentiatedGradient", "multiplicative weights"]
# A peer that would take longer than the budget for one fit is left out of larger cases. What is not
# here is as the scripts have it. All of it takes about half an hour on one core.
SCRIPTS = {
    "profile_fit": ["--repeats", "9"],
    "plain_fits": ["--repeats", "3", "--budget", "6"],
    "growth": ["--repeats", "3", "--budget", "20"],
    "hard_data": ["--repeats", "3", "--budget", "5"],
    "many_outputs": ["--repeats", "1", "--budget", "200", "--peers", *FAST_PEERS],
    "mix_path": ["--repeats", "3", "--peers"],  # a path has no peer
    "sparse_one_hot": ["--repeats", "3"],
    # cvxpy + Clarabel would run out of memory at a million rows
    "fairness_terms": ["--repeats", "3", "--budget", "3", "--peers", *GROUP_PEERS],
    "real_data": ["--repeats", "3", "--budget", "10", "--peers", *FAST_PEERS],
    "beyond_memory": ["--repeats", "3"],
}


def run(name: str, folder: Path, threads: int, quick: bool) -> bool:
    """Run one script into its file; whether it ended well."""
    options = [*SCRIPTS[name], "--threads", str(threads), "--json", str(folder / f"{name}.json")]
    options += ["--quick"] if quick else []
    print(f"\n== {name} {' '.join(SCRIPTS[name])}\n", flush=True)
    start = time.perf_counter()
    ended = subprocess.run([sys.executable, HERE / f"{name}.py", *options], check=False)
    print(f"\n{name}: {time.perf_counter() - start:.0f} s", flush=True)
    return ended.returncode == 0


def write_pages(folder: Path) -> None:
    """Write the pages beside a folder of files; their prose is that of docs/."""
    write(folder.parent, fill(read(FOLDER.parent, PAGES), load(folder)))


def main() -> None:
    """Run what is asked for, and write the pages."""
    parser = argparse.ArgumentParser(description="Measure and write docs/speed.md.")
    parser.add_argument("--only", nargs="+", choices=SCRIPTS, default=list(SCRIPTS))
    parser.add_argument("--page", action="store_true", help="measure nothing: write the pages")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: whether it runs at all")
    parser.add_argument("--threads", type=int, default=1, help="limit of each thread pool")
    parser.add_argument(
        "--out",
        type=Path,
        help="folder of the files, with the pages beside it; default: docs/speed",
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.out or (Path(scratch) / "speed" if arguments.quick else FOLDER)
        folder.mkdir(parents=True, exist_ok=True)
        names = [] if arguments.page else arguments.only
        failed = [n for n in names if not run(n, folder, arguments.threads, arguments.quick)]
        write_pages(folder)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
