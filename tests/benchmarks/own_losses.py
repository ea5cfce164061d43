"""Time terms about |r| or r² relative to the same terms about the mix, interleaved in one process.

From the repository root: ``python tests/benchmarks/own_losses.py``; ``--help`` lists the options.
Bounds and tolerances lie halfway between the plain fit and `WorstGroupLoss(1, loss)`, in the loss
that the term is about. A ratio is taken within each round, then the median. Fits of squares have a
closed form under each group's weights; |r| brings kinks to them, so that there it is relative to
the same term at ``loss_mix=0.5``, whose fits have kinks as well.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
from bench.cases import Case, fit_ours
from bench.command import add_quick, format_size, limit_threads, make_parser, parse, write_json
from bench.data import grouped
from bench.machine import describe_threads
from bench.measure import Run, measure, to_markdown

from skfairloss import PixelLossRegressor
from skfairloss.fairness import BoundedGroupLoss, EqualizedLoss, WorstGroupLoss

LOSSES = (None, "absolute_error", "squared_error")
ERRORS = {"absolute_error": "mae", "squared_error": "mse"}
KINKED = 0.5  # the mix that terms about |r| are compared with where the mix has no kink
COLUMNS = ("case", "loss", "seconds", "relative to", "ratio", "certified")


def losses_of(model: PixelLossRegressor, loss: str | None) -> np.ndarray:
    """The groups' losses that a term is about, (G,)."""
    return model.group_losses_ if loss is None else model.group_errors_[ERRORS[loss]]


def term_of(kind: str, plain: Case, loss: str | None) -> object:
    """A term whose number lies halfway between the plain fit and the lowest worst loss."""
    if kind == "worst":
        return WorstGroupLoss(1.0, loss)
    ends = [fit_ours(plain), fit_ours(replace(plain, fairness=WorstGroupLoss(1.0, loss)))]
    parts = [losses_of(model, loss) for model in ends]
    if kind == "bound":
        return BoundedGroupLoss(float(np.mean([part.max() for part in parts])), loss)
    return EqualizedLoss(float(np.mean([np.ptp(part) for part in parts])), loss)


def rows_of(arguments: argparse.Namespace, kind: str, size: int) -> list[dict[str, object]]:
    """Rows of one kind of term: every mix and loss, by turns."""
    X, y, codes = grouped(size, arguments.features, arguments.groups, arguments.seed)
    mixes = sorted({*arguments.loss_mix, KINKED})
    plain = {mix: Case("", X, y, mix, groups=codes) for mix in mixes}
    keys = [(mix, loss) for mix in mixes for loss in LOSSES]
    cases = {
        (mix, loss): replace(plain[mix], fairness=term_of(kind, plain[mix], loss))
        for mix, loss in keys
    }
    runs = [
        Run(f"{mix:g} {loss}", lambda case=case: fit_ours(case), traced=False)
        for (mix, loss), case in cases.items()
    ]
    timings = dict(zip(keys, measure(runs, arguments.repeats, budget=np.inf), strict=True))
    out = []
    for (mix, loss), timing in timings.items():
        other = KINKED if mix == 0 and loss == "absolute_error" else mix
        base, model = timings[other, None], timing.result
        out.append(
            {
                "case": f"{kind}, {format_size(*X.shape)}, loss_mix {mix:g}",
                "loss": loss,
                "seconds": timing.median,
                "relative to": f"None, {other:g}",
                "ratio": timing.ratio(base),
                "certified": bool(model.dual_gap_ <= model.tol * model.objective_),
            }
        )
    return out


def main() -> None:
    """Measure, print the table and write JSON where asked."""
    parser = make_parser("Time terms about a loss of their own, as ratios in one run.")
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--features", type=int, default=20)
    parser.add_argument("--groups", type=int, default=4)
    parser.add_argument("--loss-mix", type=float, nargs="+", default=[0.0, 0.5, 1.0])
    parser.add_argument("--kinds", nargs="+", default=["worst", "bound", "spread"])
    add_quick(parser)
    arguments = parse(parser)
    if arguments.quick:
        arguments.rows, arguments.features, arguments.repeats = [300], 3, 1
    with limit_threads(arguments):
        threads = describe_threads()
        rows = [
            row
            for size in arguments.rows
            for kind in arguments.kinds
            if kind != "spread" or size == min(arguments.rows)
            for row in rows_of(arguments, kind, size)
        ]
    print(f"Median of {arguments.repeats} interleaved rounds, threads: {threads}\n")
    print(to_markdown(rows, COLUMNS))
    write_json(arguments.json, arguments, setting={"threads": threads}, results=rows)


if __name__ == "__main__":
    main()
