"""Fit a Parquet folder that is larger than the memory allowed, and record the peak of memory.

From the repository root: ``python tests/benchmarks/out_of_core.py``; ``--help`` lists options. The
folder, 4 GB by default, is written first and deleted at the end. Each fit is a process of its own
whose data segment is limited (RLIMIT_DATA); ``peak`` is the largest resident set that Linux saw of
it, ``before`` that of a process which has only imported what a fit needs.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from bench.command import format_size, make_parser, parse, write_json
from bench.machine import describe_threads
from bench.measure import to_markdown

from skfairloss import PixelLossRegressor, PixelLossRegressorCV
from skfairloss.fairness import WorstGroupLoss
from skfairloss.rows import from_parquet
from skfairloss.rows._parquet import FileRows

GIB = 2**30
COLUMNS = ("case", "limit", "before", "peak", "passes", "seconds", "gap")
CASES: dict[str, Any] = {
    "loss_mix=0": PixelLossRegressor(0.0),
    "loss_mix=0.5": PixelLossRegressor(0.5),
    "loss_mix=1": PixelLossRegressor(1.0),
    "worst group, loss_mix=1": PixelLossRegressor(1.0, fairness=WorstGroupLoss()),
    "search of 3 mixes on 3 folds": PixelLossRegressorCV([0.0, 0.5, 1.0], cv=3),
}


def write_folder(folder: Path, rows: int, features: int, group: int, seed: int) -> int:
    """Write rows in files of 20 row groups, without compression; return their bytes."""
    rng = np.random.default_rng(seed)
    names = [f"x{j}" for j in range(features)]
    for number, start in enumerate(range(0, rows, 20 * group)):
        writer = None
        for at in range(start, min(start + 20 * group, rows), group):
            n = min(group, rows - at)
            x, code = rng.normal(size=(n, features)), rng.integers(0, 4, n)
            noise = (1.0 + 0.5 * code) * rng.standard_t(3, n)
            columns = dict(zip(names, x.T, strict=True))
            columns |= {"y": x.sum(axis=1) + noise, "w": rng.exponential(size=n), "g": code}
            table = pa.table(columns)
            if writer is None:
                path = folder / f"{number:04}.parquet"
                writer = pq.ParquetWriter(path, table.schema, compression="none")
            writer.write_table(table, row_group_size=group)
        if writer is not None:
            writer.close()
    return sum(path.stat().st_size for path in folder.iterdir())


def peak() -> int:
    """Return the largest resident set of this process so far, in bytes."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return 1024 * int(line.split()[1])


def fit(folder: str, features: int, case: str, limit: int) -> dict[str, Any]:
    """Fit a case in this process under a limit."""
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    before, made, run = peak(), [], FileRows.run

    def counted(self: FileRows, kernel: Any, *others: Any) -> Any:
        made.append(kernel.needs_features)
        return run(self, kernel, *others)

    FileRows.run = counted  # type: ignore[method-assign]
    source = from_parquet(
        folder,
        features=[f"x{j}" for j in range(features)],
        target="y",
        sample_weight="w",
        sensitive_features="g",
    )
    start = time.process_time()
    model = CASES[case].fit(source)
    return {
        "case": case,
        "limit": f"{limit / GIB:.2f} GiB",
        "before": f"{before / GIB:.2f} GiB",
        "peak": f"{peak() / GIB:.2f} GiB",
        "passes": sum(made),
        "seconds": time.process_time() - start,
        "gap": model.dual_gap_ / model.objective_,
    }


def run_apart(folder: str, arguments: argparse.Namespace, case: str) -> dict[str, Any]:
    """Do the same in a process of its own."""
    numbers = [str(arguments.features), case, str(int(arguments.limit * GIB))]
    command = [sys.executable, __file__, "--fit", folder, *numbers]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


def main() -> None:
    """Write the folder, fit it, print the table and write JSON where asked."""
    parser = make_parser("Fit a Parquet folder larger than the memory allowed.")
    parser.add_argument("--rows", type=int, default=22_500_000)
    parser.add_argument("--features", type=int, default=20)
    parser.add_argument("--row-group", type=int, default=100_000, help="rows in a row group")
    parser.add_argument("--limit", type=float, default=1.0, help="of the data segment, in GiB")
    parser.add_argument("--folder", help="where to write the folder; default: that of the system")
    arguments = parse(parser)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        given = arguments.rows, arguments.features, arguments.row_group, arguments.seed
        size = write_folder(Path(folder), *given)
        rows = [run_apart(folder, arguments, case) for case in CASES]
    shape, threads = format_size(arguments.rows, arguments.features), describe_threads()
    print(f"{shape}, {size / 1e9:.2f} GB of Parquet, threads: {threads}\n")
    print(to_markdown(rows, COLUMNS))
    setting = {"threads": threads, "bytes": size}
    write_json(arguments.json, arguments, setting=setting, results=rows)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--fit"]:
        found = fit(sys.argv[2], int(sys.argv[3]), sys.argv[4], int(sys.argv[5]))
        print(json.dumps(found))
    else:
        main()
