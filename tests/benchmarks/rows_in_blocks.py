"""Time fits of rows in blocks against the fit of the same rows in one array, interleaved.

From the repository root: ``python tests/benchmarks/rows_in_blocks.py``; ``--help`` lists options.
Seconds are those of the processor, the least of the rounds; ``passes`` counts those over X, and
``kept`` is what the sums of all passes bring to the driver.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from bench.command import format_size, limit_threads, make_parser, parse, write_json
from bench.data import gaussian, grouped
from bench.machine import describe_threads
from bench.measure import to_markdown

from skfairloss import PixelLossRegressor
from skfairloss._rows.source import BlockRows
from skfairloss._rows.sums import Sums
from skfairloss.fairness import WorstGroupLoss

COLUMNS = (
    "case", "in memory", "in blocks", "ratio", "passes", "kept", "largest difference", "gap"
)  # fmt: skip


class Counted(BlockRows):
    """Rows in blocks that count passes over X, and the bytes of their sums."""

    passes = kept = 0

    def run(self, kernel: Any, own: Any = None) -> Sums:
        sums = super().run(kernel, own)
        self.passes += kernel.needs_features
        self.kept += _size(list(vars(sums).values()))
        return sums


def _size(part: Any) -> int:
    """Return the bytes of the arrays in a nested record."""
    if isinstance(part, np.ndarray):
        return part.nbytes
    if isinstance(part, dict):
        return _size(list(part.values()))
    if isinstance(part, list | tuple):
        return sum(map(_size, part))
    return _size(list(vars(part).values())) if hasattr(part, "rows") else 8


def source_of(given: dict[str, np.ndarray], rows: int) -> Counted:
    """Return arrays as blocks of so many rows."""
    n = len(given["y"])

    def block(i: int) -> dict[str, np.ndarray]:
        part = slice(i * rows, (i + 1) * rows)
        return {name: values[part] for name, values in given.items()}

    return Counted(block, -(-n // rows))


def compare(name: str, model: PixelLossRegressor, given: dict[str, np.ndarray], arguments: Any):
    """Return a row of the table."""
    extra = {key: value for key, value in given.items() if key not in ("X", "y")}
    seconds: dict[str, list[float]] = {"in memory": [], "in blocks": []}
    for _ in range(arguments.repeats + 1):  # the first is not counted
        source = source_of(given, arguments.block)
        for kind, data in (("in memory", (given["X"], given["y"])), ("in blocks", (source,))):
            start = time.process_time()
            model.fit(*data, **(extra if kind == "in memory" else {}))
            seconds[kind].append(time.process_time() - start)
            if kind == "in memory":
                reference = model.coef_
    least = {kind: min(values[1:]) for kind, values in seconds.items()}
    return {
        "case": name,
        **least,
        "ratio": least["in blocks"] / least["in memory"],
        "passes": source.passes,
        "kept": f"{source.kept / 1e6:.1f} MB",
        "largest difference": float(np.abs(model.coef_ - reference).max()),
        "gap": model.dual_gap_ / model.objective_,
    }


def table(arguments: argparse.Namespace) -> list[dict[str, object]]:
    """Plain fits at all mixes, and the worst group."""
    size = arguments.rows, arguments.features
    plain = dict(zip("Xy", gaussian(*size, arguments.seed), strict=True))
    out = []
    for mix in arguments.loss_mix:
        out.append(compare(f"loss_mix={mix:g}", PixelLossRegressor(mix), plain, arguments))
    names = ("X", "y", "sensitive_features")
    groups = dict(zip(names, grouped(*size, 4, arguments.seed), strict=True))
    for mix in arguments.loss_mix:
        model = PixelLossRegressor(mix, fairness=WorstGroupLoss())
        out.append(compare(f"worst group, loss_mix={mix:g}", model, groups, arguments))
    return out


def main() -> None:
    """Measure, print the table and write JSON where asked."""
    parser = make_parser("Time fits of rows in blocks.")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--features", type=int, default=20)
    parser.add_argument("--block", type=int, default=125_000, help="rows in a block")
    parser.add_argument("--loss-mix", type=float, nargs="+", default=[0.0, 0.5, 1.0])
    parser.set_defaults(threads=1)
    arguments = parse(parser)
    with limit_threads(arguments):
        threads = describe_threads()
        rows = table(arguments)
    size = format_size(arguments.rows, arguments.features)
    print(f"{size}, blocks of {arguments.block} rows, threads: {threads}\n")
    print(to_markdown(rows, COLUMNS))
    write_json(arguments.json, arguments, setting={"threads": threads}, results=rows)


if __name__ == "__main__":
    main()
