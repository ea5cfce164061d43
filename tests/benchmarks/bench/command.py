"""The command line that the scripts share: options, threads, a table and a JSON file."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

import skfairloss
from bench.fits import Bench
from bench.machine import describe, describe_threads
from bench.measure import COLUMNS, to_markdown
from bench.page import rounded, to_text
from bench.peers import PEERS

Size = tuple[int, int]


def read_size(text: str) -> Size:
    """Rows and features of a text such as 10000x20."""
    rows, features = map(int, text.split("x"))
    if min(rows, features) < 1:
        raise ValueError(text)
    return rows, features


def make_parser(description: str) -> argparse.ArgumentParser:
    """Options of every script that times fits."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--repeats", type=int, default=5, help="rounds that are counted")
    parser.add_argument("--threads", type=int, help="limit of each thread pool; default: as it is")
    parser.add_argument("--seed", type=int, default=0)
    add_json(parser)
    return parser


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the option that names a file for the results."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to FILE")


def make_peer_parser(
    description: str, loss_mixes: Sequence[float] = (0.5, 1.0)
) -> argparse.ArgumentParser:
    """The same, for scripts that compare with peers."""
    parser = make_parser(description)
    parser.add_argument("--loss-mix", type=float, nargs="+", default=list(loss_mixes))
    parser.add_argument(
        "--budget",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="a peer expected to take longer for one fit is skipped, and no fit is repeated "
        "beyond it",
    )
    parser.add_argument(
        "--peers", nargs="*", choices=list(PEERS), metavar="NAME", help="default: all that are able"
    )
    parser.add_argument(
        "--jobs", type=int, default=1, help="outputs at a time, ours and the peers'"
    )
    add_quick(parser)
    return parser


def add_quick(parser: argparse.ArgumentParser) -> None:
    """Add the option for a run that is too small to mean anything."""
    parser.add_argument("--quick", action="store_true", help="tiny sizes: whether it runs at all")


def add_sizes(parser: argparse.ArgumentParser, sizes: list[Size]) -> None:
    """Add the option that chooses sizes."""
    parser.add_argument("--sizes", type=read_size, nargs="+", default=sizes, metavar="ROWSxCOLUMNS")


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Parse the command line; counts are at least 1, mixes within [0, 1]."""
    arguments = parser.parse_args()
    for name, value in vars(arguments).items():
        if isinstance(value, int) and not isinstance(value, bool) and name != "seed" and value < 1:
            parser.error(f"--{name.replace('_', '-')} must be >= 1, got {value}")
    for mix in getattr(arguments, "loss_mix", []):
        if not 0 <= mix <= 1:
            parser.error(f"--loss-mix must be within [0, 1], got {mix}")
    return arguments


def write_json(path: Path | None, arguments: argparse.Namespace, **content: Any) -> None:
    """Write the setting, what it ran on, and the results where a file is asked for."""
    if path is None:
        return
    setting = {key: value for key, value in vars(arguments).items() if key != "json"}
    setting |= content.pop("setting", {}) | {"version": skfairloss.__version__}
    path.write_text(
        to_text(rounded({"setting": setting, "machine": describe(), **content})), "utf-8"
    )


def limit_threads(arguments: argparse.Namespace) -> Any:
    """Context with the number of threads asked for."""
    return threadpool_limits(arguments.threads) if arguments.threads else nullcontext()


def run_script(
    parser: argparse.ArgumentParser,
    fill: Callable[[Bench, argparse.Namespace], None],
    quick: dict[str, Any],
    columns: Sequence[str] = (),
) -> None:
    """Fill a table and print it, with further ``columns`` behind the ratios.

    The script's ``quick`` form runs first and is thrown away: imports and caches are then neither
    timed nor charged as memory. With ``--quick`` it is all that runs.
    """
    arguments = parse(parser)
    small = argparse.Namespace(**vars(arguments) | quick | {"repeats": 1})
    for options in [small] if arguments.quick else [small, arguments]:
        with limit_threads(options):  # again: the quick form may have loaded further pools
            bench = open_bench(options)
            fill(bench, options)
            threads = describe_threads()
    place = COLUMNS.index("relative excess")
    print(
        f"Median of {options.repeats} interleaved rounds (fewer where the column says so), "
        f"threads: {threads}\n"
    )
    print(to_markdown(bench.rows, (*COLUMNS[:place], *columns, *COLUMNS[place:])))
    write_json(options.json, options, setting={"threads": threads}, results=bench.rows)


def open_bench(arguments: argparse.Namespace) -> Bench:
    """Return an empty table with the options asked for."""
    peers = None if arguments.peers is None else tuple(arguments.peers)
    return Bench(arguments.repeats, arguments.budget, peers, arguments.jobs)


def format_size(rows: int, features: int) -> str:
    """Write "100 000 x 20"."""
    return f"{rows:,} x {features:,}".replace(",", " ")
