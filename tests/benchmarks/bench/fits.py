"""The runs of a case: the two references, our fit, and every peer that solves it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import scipy.linalg
from sklearn.linear_model import LinearRegression

from bench.cases import Case, LowerBound, Model, fit_ours
from bench.measure import CHOLESKY, LINEAR_REGRESSION, Run, Timing, measure, to_rows
from bench.peers import PEERS, Peer, output_by_output

OURS = "PixelLossRegressor"
EXTRAPOLATED = 8  # outputs that a peer is run on, where it takes one at a time


def fit_cholesky(case: Case) -> np.ndarray:
    """Least squares (or ridge) by the normal equations, with one pass over X for each product.

    The intercept is implicit: a row and a column of sums instead of a column of ones in X. Sparse X
    has a dense Gram matrix; a ridge of alpha/2 |w/c|² beside means of (r/c)² is one of alpha Σs/2
    beside sums of r², whatever c is.
    """
    X, y, s = case.X, case.y, case.sample_weight
    n, p = X.shape
    weighted = X if s is None else X * s[:, None]
    total, sums = float(n if s is None else s.sum()), np.asarray(weighted.sum(axis=0)).ravel()
    inner = weighted.T @ X
    gram = np.empty((p + 1, p + 1))
    gram[:p, :p] = inner.toarray() if case.sparse else inner
    gram[:p, p] = gram[p, :p] = sums
    gram[p, p] = total
    gram[np.arange(p), np.arange(p)] += total * case.alpha / 2
    target = y.sum(axis=0) if s is None else s @ y
    rhs = np.concatenate([weighted.T @ y, np.atleast_1d(target) if y.ndim == 1 else target[None]])
    return scipy.linalg.solve(gram, rhs, assume_a="pos")


def references(case: Case) -> list[Run]:
    """R and C, both fits of the squared error."""

    def linear_regression() -> LinearRegression:
        return LinearRegression().fit(case.X, case.y, case.sample_weight)

    return [
        Run(LINEAR_REGRESSION, linear_regression),
        Run(CHOLESKY, lambda: fit_cholesky(case)),
    ]


def ours(case: Case, bound: LowerBound, name: str = OURS, **options: Any) -> Run:
    """Our fit, measured by the same code as any other."""

    def excess(model: Any) -> float:
        return bound.excess(Model.of(model.coef_, model.intercept_))

    return Run(name, lambda: fit_ours(case, **options), excess)


@dataclass(frozen=True)
class Entry:
    """A case of a table, its bound, and the runs of ours (or of a rival that is no peer) it has."""

    case: Case
    bound: LowerBound
    own: tuple[Run, ...]


@dataclass
class Bench:
    """Rows of a script's table; remembers which peers were too slow for the next larger case."""

    repeats: int
    budget: float
    peers: tuple[str, ...] | None = None
    n_jobs: int = 1
    rows: list[dict[str, Any]] = field(default_factory=list)
    slow: dict[tuple[str, float], tuple[str, float, int]] = field(default_factory=dict)

    def chosen(self, case: Case) -> list[Peer]:
        """Peers that solve a case (each of its outputs, where it has several)."""
        one = (
            case if case.y.ndim == 1 else Case("", case.X, case.y[:, 0], case.loss_mix, case.alpha)
        )
        named = PEERS if self.peers is None else self.peers
        return [PEERS[name] for name in named if PEERS[name].solves(one)]

    def reason_to_skip(self, peer: Peer, case: Case) -> str | None:
        """Why a peer is not run: its package is absent, or it would pass the budget."""
        if not peer.installed:
            return f"not installed: pip install {peer.distribution}"
        if (before := self.slow.get((peer.name, case.loss_mix))) is None:
            return None
        name, seconds, size = before
        if seconds * size_of(case) / size <= self.budget:
            return None
        return f"skipped: {seconds:.3g} s at {name}, budget {self.budget:g} s a fit"

    def peer_runs(self, case: Case, bound: LowerBound) -> tuple[list[Run], list[dict[str, Any]]]:
        """Runs of the peers of a case, and rows of those that are not run."""
        runs, skipped = [], []
        for peer in self.chosen(case):
            if reason := self.reason_to_skip(peer, case):
                skipped.append({"case": case.name, "fit": peer.name, "note": reason, "peer": True})
                continue
            if case.y.ndim == 1:
                runs.append(Run(peer.name, peer.adapt(case), bound.excess, peer=True))
                continue
            few = case.first_outputs(min(EXTRAPOLATED, case.n_outputs))
            run = Run(
                peer.name,
                output_by_output(peer.name, few, self.n_jobs),
                bound.excess,
                peer=True,
                factor=case.n_outputs / few.n_outputs,
                traced=self.n_jobs == 1,  # not seen in other processes
                note=f"extrapolated from {few.n_outputs} of {case.n_outputs} outputs",
            )
            runs.append(run)
        return runs, skipped

    def add(self, *entries: Entry, against: dict[str, str] | None = None) -> list[list[Timing]]:
        """Measure cases of the same rows by turns: references, our fits and peers; return timings.

        Those rows, weights and ridge are all that the references see: they are measured once and
        stand in the table of each case, and so does any run that several cases name. ``against``
        names further columns and the runs whose time they are relative to.
        """
        shared = references(entries[0].case)
        runs, skipped = [], []
        for entry in entries:
            print(f"{entry.case.name} ...", file=sys.stderr, flush=True)  # a table comes at the end
            peers, absent = self.peer_runs(entry.case, entry.bound)
            runs.append([*shared, *entry.own, *peers])
            skipped.append(absent)
        once = sorted(dict.fromkeys(chain(*runs)), key=lambda run: run.peer)  # ours side by side
        timed = {one.run: one for one in measure(once, self.repeats, self.budget)}
        found = [[timed[run] for run in mine] for mine in runs]
        for entry, timings, absent in zip(entries, found, skipped, strict=True):
            self.enter(entry.case, timings, absent, against or {})
        return found

    def enter(
        self,
        case: Case,
        timings: list[Timing],
        skipped: list[dict[str, Any]],
        against: dict[str, str],
    ) -> None:
        """Enter the rows of a case, and which of its peers are slow."""
        for timing in timings:
            if timing.run.peer and timing.seconds:
                seconds = (timing.median or 0.0) / timing.run.factor
                self.slow[timing.run.name, case.loss_mix] = case.name, seconds, size_of(case)
        about = {"loss_mix": case.loss_mix, "shape": [*case.X.shape, case.n_outputs]}
        about |= {"term": case.fairness is not None}
        measured = to_rows(case.name, timings, case.nbytes, against)
        self.rows += [row | about for row in [*measured, *skipped]]


def size_of(case: Case) -> int:
    """Number of entries of X that are stored."""
    return case.X.nnz if case.sparse else case.X.size
