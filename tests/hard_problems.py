"""Problems of the kinds that public bug reports are about, and what the estimator makes of them.

    python -m tests.hard_problems plain --n 3000 --seed 0
    python -m tests.hard_problems fairness --n 2000 --seed 0

counts by kind how fits ended: certified, refused (rightly), declared by a warning, wrong without a
word, raised, or without a verdict of the judges; --json adds the counts to those in a file. Judges
are independent: Clarabel and HiGHS on rescaled data in `oracles` and `fairness_oracle`, exact
fractions for tiny problems. They check the objective, its gap, the terms, the fitted attributes,
and the laws that a twin of the problem obeys.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import subprocess
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from sklearn.exceptions import ConvergenceWarning

import skfairloss
from skfairloss import PixelLossRegressor
from skfairloss.exceptions import InfeasibleFairnessError, UnmetFairnessWarning
from tests import adversarial, fairness_oracle, oracles
from tests.fairness_oracle import KINDS as TERMS
from tests.fairness_oracle import ON_LOSSES, OWN_LOSSES, Asked, FairProblem
from tests.hard_kinds import KINDS, PLAIN_ONLY, Rng, Rows, usual_settings

STATUSES = (
    "certified",
    "refused",
    "no verdict",
    "declared",
    "false attribute",
    "broken law",
    "wrong",
    "raised",
)
ACCEPTABLE = STATUSES[:4]
WORDS = {"infeasible agreed": "refused", "unchecked": "no verdict"}  # of the two judges
OWN = 0.25  # share of the problems with terms on losses that name a loss of their own ...
OWN_LOSS_TERMS = "terms on other losses"  # ... whatever their data, counted as a kind
SECONDS = 20.0  # CPU time for a problem with its judges; one in a hundred takes more than 3

# A refusal that names what is out of range is right where the kind's data are.
NAMED = defaultdict(lambda: r"$^", {"extreme units": r"\b(X|y|column|sample_weight)\b"})


@dataclass(frozen=True)
class Case:
    """A problem with its seed, its kind of data, and its terms in words; none for a plain fit."""

    seed: int
    problem: FairProblem
    kind: str
    terms: str = ""


def _groups(rng: Rng, rows: Rows) -> tuple[np.ndarray, np.ndarray | None]:
    """Draw groups, some of one row, and weights (n,) of 0 for a whole group now and then."""
    n, weight = len(rows.y), rows.weight
    if n < 10:  # there must be at least two rows a group on average
        return np.arange(n) % 2, weight
    groups = fairness_oracle.draw_groups(rng, n, set(rng.choice(GROUPS, 1).tolist()))
    codes = np.unique(groups, axis=0, return_inverse=True)[1].ravel()
    if codes.max() > 1 and rng.random() < 0.15:
        weight = np.where(codes == codes.max(), 0.0, np.ones(n) if weight is None else weight)
    return groups, weight


GROUPS = ("", "one-row group", "unequal sizes", "nested groups")


def draw(seed: int, fairness: bool) -> Case:
    """Draw the case of a seed."""
    rng = np.random.default_rng([47, int(fairness), seed])
    names = [name for name in KINDS if not (fairness and name in PLAIN_ONLY)]
    share = np.array([KINDS[name][0] for name in names], float)
    kind = str(rng.choice(names, p=share / share.sum()))
    _, draw_rows, draw_settings = KINDS[kind]
    rows = draw_rows(rng)
    groups, weight = _groups(rng, rows)
    spread = float(np.abs(rows.y - np.median(rows.y, axis=0)).mean()) or 1.0
    settings = usual_settings(rng, spread) | draw_settings(rng, spread)
    single = rows.y.shape[1] == 1 and rng.random() < 0.8
    y = rows.y[:, 0] if single else rows.y
    problem = FairProblem(rows.X, y, groups, sample_weight=weight, **settings)
    if not fairness:
        return Case(seed, problem, kind)
    terms = TERMS[seed % len(TERMS)]
    about = _own_losses(seed, terms)
    asked = fairness_oracle.ask(rng, problem, terms, rng.random() < 0.15, about)
    problem = replace(problem, asked=asked)
    if not about:
        return Case(seed, problem, kind, terms)
    words = ", ".join([kind, terms, *(f"{name}={loss}" for name, loss in about.items())])
    return Case(seed, problem, OWN_LOSS_TERMS, words)


def _own_losses(seed: int, terms: str) -> dict[str, str | None]:
    """Draw the losses that a share of the terms are about, two of them in one fit now and then."""
    rng = np.random.default_rng([47, 2, seed])
    named = [f"{name}_loss" for name in terms.split() if name in ON_LOSSES]
    if not named or rng.random() >= OWN:
        return {}
    about: dict[str, str | None] = dict.fromkeys(named, str(rng.choice(OWN_LOSSES)))
    if len(named) > 1 and rng.random() < 0.5:
        about[named[0]] = [None, *OWN_LOSSES][rng.integers(3)]
    return about


# --------------------------------------------------------------------------------------------------
# Judging
# --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """How a case ended: one of STATUSES, and why."""

    case: Case
    status: str
    detail: str = ""

    def __str__(self) -> str:
        case, problem = self.case, self.case.problem
        settings = f"mix={problem.loss_mix:g} alpha={problem.alpha:g} l1={problem.l1_ratio:g}"
        kind = " | ".join(filter(None, [case.kind, case.terms]))
        return f"seed {case.seed}: {self.status} [{kind}; {settings}] {self.detail}"


class OutOfTimeError(Exception):
    """A problem has taken more than its time."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `OutOfTimeError` after that much CPU time."""

    def stop(*_: Any) -> None:
        raise OutOfTimeError(f"more than {seconds:g} s of CPU time")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)


def run(case: Case) -> Outcome:
    """Fit a case and judge the fit; a fit that takes all the time has raised."""
    try:
        with time_limit(SECONDS):
            return _run(case)
    except OutOfTimeError as error:
        return Outcome(case, "no verdict", f"the judges took {error}")


def _run(case: Case) -> Outcome:
    problem = case.problem
    try:
        model, declared, unmet = _fit(problem)
        if declared:
            return Outcome(case, "declared", declared)
    except InfeasibleFairnessError as error:
        return _outcome(case, *fairness_oracle.judge_refusal(problem, str(error)))
    except Exception as error:  # any other exception is an outcome to be counted
        by_name = isinstance(error, ValueError) and re.search(NAMED[case.kind], str(error))
        status = "refused" if by_name else "raised"
        return Outcome(case, status, f"{type(error).__name__}: {error}")
    if problem.asked.terms is None:
        problem, model = _in_units(problem, model)
    verdict = _outcome(case, *_judge(problem, model, unmet))
    for status, check in (("false attribute", false_attribute), ("broken law", broken_law)):
        fault = check(problem, model) if verdict.status in ACCEPTABLE else ""
        verdict = Outcome(case, status, fault) if fault else verdict
    return verdict


def _outcome(case: Case, status: str, detail: str) -> Outcome:
    """The words of the two judges in those of this module."""
    status = WORDS.get(status, status)
    return Outcome(case, status if status in STATUSES else "wrong", detail)


def _fit(problem: FairProblem) -> tuple[PixelLossRegressor, str, bool]:
    """Return the model, the words that declare it, and whether a spread was left unmet."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = problem.fit()
    stray = [w for w in caught if w.category not in (ConvergenceWarning, UnmetFairnessWarning)]
    if stray:
        raise RuntimeError(f"{stray[0].category.__name__}: {stray[0].message}")
    declared = [str(w.message) for w in caught if w.category is ConvergenceWarning]
    return model, declared[0] if declared else "", len(declared) < len(caught)


def _in_units(problem: FairProblem, model: Any) -> tuple[FairProblem, Any]:
    """A plain problem and its fit in units in which squares of y / c are floats, exactly."""
    unit = 2.0 ** -np.round(np.log2(problem.data.c[0]))
    if not 1e-100 < unit < 1e100:
        scale = problem.scale if problem.scale == "auto" else problem.scale * unit
        problem = replace(problem, y=problem.y * unit, scale=scale)
        names = ("coef_", "intercept_", "scale_")
        moved = {name: getattr(model, name) * unit for name in names}
        model = SimpleNamespace(**vars(model) | moved)
    return problem, model


def _judge(problem: FairProblem, model: PixelLossRegressor, unmet: bool) -> tuple[str, str]:
    """Compare the objective, its gap and the terms with the judge of such problems."""
    if problem.asked.terms is None:
        parts = enumerate(problem.outputs())
        verdicts = [adversarial.judge(part, model, k, declared=False) for k, part in parts]
        return max(verdicts, key=lambda verdict: adversarial.STATUSES.index(verdict[0]))
    # Without squares ties leave the losses of groups open, and next to none rounding does.
    squares = _squared_share(problem, np.atleast_2d(model.coef_), model.intercept_)
    return fairness_oracle.judge(problem, model, unmet, edge=1e-3 if squares > 1e-3 else np.inf)


def false_attribute(problem: FairProblem, model: PixelLossRegressor) -> str:
    """The first fitted attribute that is not as documented; empty if all are."""
    data, asked = problem.data, problem.asked
    coef, intercept = np.atleast_2d(model.coef_), model.intercept_
    reached = fairness_oracle.value(problem, coef.T, intercept)
    moved, shifted = fairness_oracle.rounding(problem, coef, intercept)
    floor = moved.max()
    own = max(reached.parity, reached.bounds, 0.0)
    limit = fairness_oracle.bounds(problem)
    bounded = fairness_oracle.rounding(problem, coef, intercept, asked.bound_loss)[0]
    allowed = 1e-8 + shifted + (bounded / np.maximum(limit, 1e-300)).max()
    losses = np.abs(model.group_losses_ - reached.losses) <= 1e-9 * reached.losses + moved
    squares = _squared_share(problem, coef, intercept)
    shares = (data.averages > 0) @ data.v
    weights = _group_weights(problem, model, shares, reached.limit)
    checks = {
        "scale_": np.allclose(model.scale_, data.c, rtol=1e-9),
        "group_losses_": losses.all(),
        "infeasibility_": asked.spread is not None
        or abs(float(np.max(model.infeasibility_)) - own) <= allowed,
        "squared_share_": not reached.mean > 10 * floor
        or abs(model.squared_share_ - squares) <= 1e-9 + 2 * floor / reached.mean,
        "multipliers_": np.allclose(model.group_weights_, weights, atol=1e-9 * weights.max()),
        "group_weights_": _lagrangian_holds(problem, model),
    }
    return next((f"{name} is false" for name, right in checks.items() if not right), "")


def _squared_share(problem: FairProblem, coef: np.ndarray, intercept: Any) -> float:
    """The share of squares in the loss, from its definition."""
    losses = [
        fairness_oracle.value(replace(problem, asked=Asked(), **part), coef.T, intercept).mean
        for part in ({}, {"loss_mix": 0.0})
    ]
    return (1 - problem.loss_mix) * losses[1] / losses[0] if losses[0] > 0 else np.nan


def _group_weights(
    problem: FairProblem, model: PixelLossRegressor, shares: np.ndarray, limit: float
) -> np.ndarray:
    """Weights of the groups' mix from the multipliers of terms about it."""
    rest, _ = fairness_oracle.weights(problem.asked.worst, limit)
    held, asked = getattr(model, "multipliers_", {}), problem.asked
    about_mix = [name for name, about in ABOUT.items() if getattr(asked, about) is None]
    return rest * shares + sum(held.get(name, 0.0) for name in about_mix)


ABOUT = {
    "WorstGroupLoss": "worst_loss",
    "BoundedGroupLoss": "bound_loss",
    "EqualizedLoss": "spread_loss",
}


def _lagrangian_holds(problem: FairProblem, model: PixelLossRegressor) -> bool:
    """Whether the fit is the plain fit under `group_weights_`, as far as its gap says."""
    asked, weight = problem.asked, model.group_weights_
    if asked.prediction is not None or asked.residual is not None or asked.terms is None:
        return True
    if any(getattr(asked, about) is not None for about in ABOUT.values()):
        return True  # a row has a loss of its own then
    shares = (problem.data.averages > 0) @ problem.data.v
    parts = problem.outputs(weight / shares)
    best = [oracles.solve(part) for part in parts]
    intercepts = np.broadcast_to(model.intercept_, len(parts))
    got = sum(map(oracles.objective, parts, np.atleast_2d(model.coef_), intercepts))
    optimum = sum(solution.objective for solution in best)
    at_best = (
        [solution.coef for solution in best],
        [solution.intercept for solution in best],
    )
    floor = sum(map(oracles.rounding_floor, parts, *at_best))
    total = weight.sum()
    near = 1e-6 * max(optimum, 1e-6 * fairness_oracle.natural(problem)) + floor
    return bool(total * (got - optimum - near) <= float(np.sum(model.dual_gap_)))


def _twin(problem: FairProblem) -> FairProblem:
    """The same in other units of y and of the weights, rows in another order: exact in binary."""
    factor, order = 2.0**-7, np.random.default_rng(0).permutation(len(problem.y))
    asked, s = problem.asked, problem.sample_weight
    moved = {name: getattr(asked, name) for name in ("prediction", "residual")}
    moved = {name: None if value is None else value * factor for name, value in moved.items()}
    for name in ("bound", "spread"):  # in units of y, or of its squares, where of a loss of its own
        value, about = getattr(asked, name), getattr(asked, f"{name}_loss")
        power = 0 if about is None else 1 + fairness_oracle.OWN_LOSSES.index(about)
        if isinstance(value, dict):
            moved[name] = {group: one * factor**power for group, one in value.items()}
        elif value is not None:
            moved[name] = value * factor**power
    return replace(
        problem,
        X=problem.X[order],
        y=problem.y[order] * factor,
        groups=problem.groups[order],
        sample_weight=None if s is None else s[order] * 8.0,
        scale="auto" if problem.scale == "auto" else problem.scale * factor,
        asked=replace(asked, **moved),
    )


def broken_law(problem: FairProblem, model: PixelLossRegressor) -> str:
    """The law of units, weights and orders, which both gaps leave room for; empty if it holds."""
    try:
        other, declared, _ = _fit(_twin(problem))
    except InfeasibleFairnessError as error:
        return f"the twin is refused: {error}"
    if declared or problem.asked.spread is not None:  # a level is found to 1e-6 of it
        return ""
    values = [float(np.sum(m.objective_)) for m in (model, other)]
    room = sum(float(np.sum(m.dual_gap_)) for m in (model, other))
    moved, _ = fairness_oracle.rounding(problem, np.atleast_2d(model.coef_), model.intercept_)
    room += 1e-7 * max(values[0], 1e-6 * fairness_oracle.natural(problem))
    room += 2 * len(problem.data.c) * moved.max()
    apart = abs(values[0] - values[1])
    return f"the twin's objective is {apart:.3g} away, room {room:.3g}" if apart > room else ""


def run_seed(seed: int, fairness: bool) -> Outcome:
    """Run the case of a seed."""
    return run(draw(seed, fairness))


def run_all(seeds: Iterable[int], fairness: bool, jobs: int = 1) -> list[Outcome]:
    """Run the cases of all seeds, in some processes."""
    return Parallel(jobs)(delayed(run_seed)(seed, fairness) for seed in seeds)


def count(outcomes: list[Outcome]) -> dict[str, dict[str, int]]:
    """Counts of statuses by kind, and over all."""
    counts = {
        name: Counter(o.status for o in outcomes if o.case.kind == name)
        for name in (*KINDS, OWN_LOSS_TERMS)
    }
    counts["all"] = Counter(outcome.status for outcome in outcomes)
    return {kind: {s: c[s] for s in STATUSES} for kind, c in counts.items() if c.total()}


def report(outcomes: list[Outcome]) -> str:
    """The counts as a table, and a line for each case that is not as it should be."""
    lines = [" " * 24 + "".join(f"{status:>16s}" for status in STATUSES)]
    for kind, statuses in count(outcomes).items():
        lines.append(f"{kind:24s}" + "".join(f"{n:16d}" for n in statuses.values()))
    good = ("certified", "refused")
    return "\n".join([*lines, *(str(o) for o in outcomes if o.status not in good)])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", choices=("plain", "fairness"))
    parser.add_argument("--n", type=int, default=500, help="number of problems")
    parser.add_argument("--seed", type=int, default=0, help="first seed")
    parser.add_argument("--jobs", type=int, default=1, help="number of processes")
    parser.add_argument("--json", type=Path, help="file for the counts and the seeds to look at")
    options = parser.parse_args()
    seeds = range(options.seed, options.seed + options.n)
    found = run_all(seeds, options.which == "fairness", options.jobs)
    print(report(found))
    if options.json:
        known = json.loads(options.json.read_text("utf-8")) if options.json.exists() else {}
        counted = added(known.get(options.which, {}), found)
        known[options.which] = {"commit": _commit(), **counted}
        options.json.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


def added(known: dict[str, Any], found: list[Outcome]) -> dict[str, Any]:
    """The record of a file with the outcomes of consecutive seeds added."""
    counts = count(found)
    for kind, before in known.get("counts", {}).items():
        here = counts.get(kind, {})
        counts[kind] = {status: n + here.get(status, 0) for status, n in before.items()}
    return {
        "n": known.get("n", 0) + len(found),
        "seeds": [*known.get("seeds", []), [found[0].case.seed, found[-1].case.seed + 1]],
        "counts": dict(sorted(counts.items())),
        "bad": known.get("bad", []) + [str(o)[:300] for o in found if o.status not in ACCEPTABLE],
    }


def _commit() -> str:
    """The short name of the commit whose package is imported."""
    command = ["git", "-C", str(Path(skfairloss.__file__).parent), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main()
