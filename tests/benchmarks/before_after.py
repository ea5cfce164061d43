"""Time of our fits after a change relative to before it, by turns in two processes.

From the root of a clone::

    python tests/benchmarks/before_after.py HEAD~1

compares a revision, or a folder that holds the package, with this checkout or with ``--after``;
``--help`` lists the options. Both get the same data and fit with default parameters, one at a time,
first the one, then the other. A ratio is taken within each round; the table has its median over the
rounds with its quartiles, and the largest difference of any coefficient, relative to the largest
coefficient: a ratio says nothing where the models differ.

A revision from before ``scale="auto"`` takes a number: ``--number before`` gives it the same c
for mixes, and 1 for the pure losses, whose fit does not depend on it here.
"""

from __future__ import annotations

import argparse
import io
import os
import pickle
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from bench.cases import Case
from bench.command import add_json, add_quick, format_size, parse, write_json
from bench.data import gaussian, gaussian_outputs, grouped
from bench.measure import to_markdown

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PACKAGE = "skfairloss"
SIDES = ("before", "after")
CLOCKS = ("wall", "processor")
MIXES = (0.0, 0.5, 1.0)
PLAIN = [(10_000, 20), (100_000, 20), (1_000_000, 20)]
OUTPUTS = [(2_000, 200, 50)]
GROUPED = [(10_000, 20), (100_000, 20)]
N_GROUPS, FEWEST = 4, 5
COLUMNS = ("case", "before, seconds", "after / before", "quartiles", "rounds", "difference")


@dataclass(frozen=True)
class Side:
    """A process with one of the two packages."""

    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, tree: Path) -> Side:
        """Start it with the package of a folder."""
        path = os.pathsep.join(filter(None, [str(tree), os.environ.get("PYTHONPATH")]))
        return cls(
            subprocess.Popen(
                [sys.executable, "-m", "bench.worker", tree],
                cwd=HERE,
                env=os.environ | {"PYTHONPATH": path},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        )

    def send(self, request: str, content: Any) -> None:
        """Send a request."""
        pickle.dump((request, content), self.process.stdin)
        self.process.stdin.flush()

    def fit(self, parameters: dict[str, Any], worst: float | None) -> tuple[np.ndarray, np.ndarray]:
        """Return the seconds of a fit by each of the ``CLOCKS``, and its coefficients."""
        self.send("fit", (parameters, worst))
        return pickle.load(self.process.stdout)

    def stop(self) -> None:
        """End it."""
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def find_tree(named: str, scratch: Path) -> Path:
    """Return the folder of that name that holds the package, or that of a revision, unpacked."""
    if (Path(named) / PACKAGE).is_dir():
        return Path(named).resolve()
    archive = subprocess.run(
        ["git", "-C", ROOT, "archive", named, PACKAGE], capture_output=True, check=False
    )
    if archive.returncode:
        raise SystemExit(f"{named} is no folder with {PACKAGE} and no revision of {ROOT.name}")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(scratch, filter="data")
    return scratch


def make_data(arguments: argparse.Namespace) -> Iterator[tuple[str, tuple[Any, ...], float | None]]:
    """Yield names, data, and weights of the worst group, size by size."""
    seed = arguments.seed
    for size in arguments.plain:
        yield format_size(*size), (*gaussian(*size, seed), None), None
    for rows, columns, outputs in arguments.outputs:
        name = f"{format_size(rows, columns)}, {outputs} outputs"
        yield name, (*gaussian_outputs(rows, columns, outputs, seed), None), None
    for size in arguments.grouped:
        name = f"worst of {N_GROUPS} groups, {format_size(*size)}"
        yield name, grouped(*size, N_GROUPS, seed), 1.0


def compare(
    sides: tuple[Side, ...],
    asked: list[dict[str, Any]],
    worst: float | None,
    seconds: float,
    clock: int,
) -> dict[str, Any]:
    """Time one case for as long as that, after a round that is not counted; the row's numbers."""
    first = [side.fit(one, worst)[1] for side, one in zip(sides, asked, strict=True)]
    found, ends = [], time.perf_counter() + seconds
    while len(found) < FEWEST or time.perf_counter() < ends:
        order = (0, 1) if len(found) % 2 == 0 else (1, 0)
        spent = {k: sides[k].fit(asked[k], worst)[0][clock] for k in order}
        found.append((spent[0], spent[1]))
    before, after = np.transpose(found)
    low, middle, high = np.quantile(after / before, (0.25, 0.5, 0.75))
    return {
        "before, seconds": float(np.median(before)),
        "after / before": float(middle),
        "quartiles": f"{low:.3f} to {high:.3f}",
        "rounds": len(found),
        "difference": float(np.abs(first[1] - first[0]).max() / np.abs(first[0]).max()),
    }


def fill(sides: tuple[Side, ...], arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows of every case and mix."""
    rows = []
    for name, data, worst in make_data(arguments):
        for side in sides:
            side.send("data", data)
        number = Case(name, data[0], data[1], 0.5).scale
        for mix in arguments.loss_mix:
            asked: list[dict[str, Any]] = [{"loss_mix": mix} for _ in SIDES]
            if arguments.number:
                scale = number if 0 < mix < 1 else 1.0
                asked[SIDES.index(arguments.number)]["scale"] = scale
            print(f"{name}, loss_mix {mix:g} ...", file=sys.stderr, flush=True)
            clock = CLOCKS.index(arguments.clock)
            row = compare(sides, asked, worst, arguments.seconds, clock)
            rows.append({"case": f"{name}, loss_mix {mix:g}"} | row)
    return rows


def parse_arguments() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description="Time fits of one checkout against another.")
    parser.add_argument("before", help="a git revision, or a folder that holds the package")
    parser.add_argument("--after", default=str(ROOT), help="the same; default: this checkout")
    parser.add_argument("--number", choices=SIDES, help="give that side c as a number")
    parser.add_argument("--loss-mix", type=float, nargs="+", default=list(MIXES))
    parser.add_argument("--seconds", type=float, default=20.0, help="of each case")
    parser.add_argument(
        "--clock",
        choices=CLOCKS,
        default="wall",
        help="processor time, of all threads, is less disturbed by other work",
    )
    parser.add_argument("--seed", type=int, default=0)
    add_json(parser)
    add_quick(parser)
    parser.set_defaults(plain=PLAIN, outputs=OUTPUTS, grouped=GROUPED)
    arguments = parse(parser)
    if arguments.quick:
        small = {"plain": [(300, 3)], "outputs": [(80, 4, 3)], "grouped": [(300, 3)]}
        vars(arguments).update(small, seconds=0.0)
    return arguments


def main() -> None:
    """Measure and print."""
    arguments = parse_arguments()
    with ExitStack() as stack:
        sides = []
        for side in SIDES:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            sides.append(Side.start(find_tree(getattr(arguments, side), scratch)))
            stack.callback(sides[-1].stop)
        rows = fill(tuple(sides), arguments)
    print(to_markdown(rows, COLUMNS))
    write_json(arguments.json, arguments, results=rows)


if __name__ == "__main__":
    main()
