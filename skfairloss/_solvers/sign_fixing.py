r"""Many more rows than features: fix the sign of clear residuals, solve the band that is left.

Portnoy & Koenker (1997), "The Gaussian hare and the Laplacian tortoise", section 5, with the
smoothed Newton step of Chernozhukov, Fernández-Val & Melly (2022), section 3:

  1. solve a subsample (`pilot`);
  2. take one Newton step on all rows, |r| smoothed within a bandwidth h (`smoothed_newton`);
  3. a row whose residual is clearly positive or negative has its dual at that end: all of them
     collapse into one linear term, or one for each group under constraints, whatever weight the
     group ends up with; the K rows nearest to 0 are the band (`band`);
  4. solve the band exactly, by `interior_point`: model and multipliers together;
  5. verify the signs of all other rows in one pass; move violators into the band and repeat 4.

Departures: the squared loss and the ridge are exact at every step (H and g see all rows), L1
penalties are rows that are always in the band, as are rows whose weight stands out: in step 2 they
keep their kinks, which no other rows would smooth. A large subsample is solved like the whole (a
smaller one, then smoothed Newton steps). Where many signs are wrong (ties, a poor subsample),
or the band has no minimum, the rows are split anew at the latest model, with a band four times as
wide. Steps 2, 3 and 5 make one pass over X each. At λ = 1 nothing else does: coordinates come from
the subsample.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from skfairloss._solvers.band import Band, BandSize, Outcome, moves, near_band, split
from skfairloss._solvers.crossover import continued
from skfairloss._solvers.interior_point import interior_point
from skfairloss._solvers.kinked import KinkedSolution
from skfairloss._solvers.pilot import Pilot, pilot
from skfairloss._solvers.smoothed_newton import STEPS, Smoothed, carried, newton_step, smoothed
from skfairloss._solvers.tolerances import EXACT, INNER_TOL, ROUNDS, TINY
from skfairloss._solvers.whole import Anchor, Goal, Start, Whole, order_statistic
from skfairloss._typing import Array

# Share of rows that a warm start may have wrong: with 0.01 five quantiles in turn took 14 % longer.
# The share where duals are known: with 0.025 paths of mixes took up to 8 % longer ...
WARM, _WARM_KNOWN = 0.025, 0.01
# ... and its band, relative to a first one: with 1 paths without constraints took 9 to 18 % longer.
_CLOSER = 0.5
WIDER = 4  # a band that has failed, to the next
MOVED = 0.25  # rows in a band at least, as a share of those that a Newton step may take to 0
MANY_WRONG = 0.5  # violators, as a share of the band, from which the rows are split anew
_WHOLE = 0.6  # share of the rows from which a band is no gain


@dataclass(frozen=True)
class _Latest:
    """The model that a search has led to: its residuals and multipliers, iterations so far."""

    anchor: Anchor
    residual: Array
    multipliers: Array | None
    n_iter: int


def solve_by_signs(whole: Whole, start: Start | None, goal: Goal) -> tuple[Outcome | None, int]:
    """Solve a fit, and return the iterations spent as well. None where the route fails.

    A close start takes the place of step 1, unless it proves to be far from the optimum. Without
    coordinates, as where a penalty leaves no column, no row has to be told from another.
    """
    if not whole.basis.n_coordinates:
        return None, 0
    spent, several = 0, whole.y.ndim > 1 and whole.y.shape[1] > 1
    if start is not None and start.close and not several:
        size = BandSize.of(whole, start.multipliers)
        at = _from_start(whole, start, size)
        if at is not None:
            found, latest = _solve_ahead(at, size.times(_CLOSER), start.multipliers, 0, goal)
            if found is not None:
                return found, latest.n_iter
            spent = latest.n_iter
    if start is not None and start.close and several:  # no quadratics stand for kinks of them all
        first = Pilot(start.anchor, 0.0, start.multipliers, 0)
    else:
        first = pilot(whole, start)
    size, spent = BandSize.of(whole, first.multipliers), spent + first.n_iter
    if first.h > 0:
        kinks = size.outstanding(whole.weights(first.multipliers))
        at = smoothed(whole, first.anchor, first.h, kinks)
        found, latest = _solve_ahead(at, size, first.multipliers, spent, goal)
        if found is not None:
            return found, latest.n_iter
    else:
        residual = whole.residual(first.anchor)
        latest = _Latest(first.anchor, residual, first.multipliers, spent)
        if several:
            return _solve_anew(whole, latest, size, goal)
    return _solve_anew(whole, latest, size.times(WIDER), goal)


def _from_start(whole: Whole, start: Start, size: BandSize) -> Smoothed | None:
    """Smooth all rows at a close start. None where many are at 0.

    If it is the optimum under another mix its duals are known.
    """
    left = whole.some_residuals(start.anchor)
    kinks = size.outstanding(whole.weights(start.multipliers))
    h = order_statistic(left, int(_WARM_KNOWN * len(left)))
    at = carried(whole, start, h, kinks) if h > 0 else None
    if at is not None:
        return at
    h = order_statistic(left, int(WARM * len(left)))
    return smoothed(whole, start.anchor, h, kinks) if h > 0 else None


def _solve_ahead(
    at: Smoothed, size: BandSize, guess: Array | None, spent: int, goal: Goal
) -> tuple[Outcome | None, _Latest]:
    """Do steps 2 to 5 once. Return the outcome, None if signs are still wrong, and the last state.

    Under constraints step 2 is repeated where the model moves beyond the bandwidth: other groups
    may decide there.
    """
    whole, step = at.whole, newton_step(at, guess)
    for _ in range(STEPS if whole.uncertain else 0):
        if moves(whole.basis, step.delta)[0] <= at.h:
            break
        spent += step.n_iter
        at = smoothed(whole, whole.moved(at.anchor, step.delta), at.h, at.kinks)
        step = newton_step(at, step.multipliers)
    if whole.uncertain:
        size = BandSize.of(whole, step.multipliers)
    moved = size.within(at.residual, sum(moves(whole.basis, step.delta)))
    size = replace(size, near=max(size.near, int(MOVED * len(moved))))
    size = size.reduced(step.share)
    band = near_band(at, step.delta, size)
    if band is None:
        there, limit = whole.moved(at.anchor, step.delta), size.limit(at.residual)
        band = split(whole, there, size, limit, step.multipliers)
    return _solve_band(band, step.multipliers, spent + step.n_iter, goal)


def solve_near(whole: Whole, anchor: Anchor, near: int, goal: Goal) -> tuple[Outcome | None, int]:
    """Do steps 3 to 5 from a model close to the optimum, with so many rows in a first band."""
    if near >= _WHOLE * len(whole.y):
        return None, 0
    latest = _Latest(anchor, whole.residual(anchor), None, 0)
    return _solve_anew(whole, latest, BandSize(near, 1.0 / near), goal)


def solve_along(band: Band, before: KinkedSolution, goal: Goal) -> tuple[Outcome | None, int]:
    """Do steps 4 and 5 on a band whose solution under other bounds is known."""
    found, latest = _solve_band(band, before.multipliers, 0, goal, before)
    return found, latest.n_iter


def _solve_anew(
    whole: Whole, latest: _Latest, size: BandSize, goal: Goal
) -> tuple[Outcome | None, int]:
    """Do steps 3 to 5, split anew as often as that is of use."""
    n = len(whole.y)
    for _ in range(ROUNDS):
        if size.near >= _WHOLE * n or latest.n_iter >= goal.max_iter:
            break
        limit = size.limit(latest.residual)
        band = split(whole, latest.anchor, size, limit, latest.multipliers)
        found, latest = _solve_band(band, latest.multipliers, latest.n_iter, goal)
        if found is not None:
            return found, latest.n_iter
        size = size.times(WIDER)
    return None, latest.n_iter


def _solve_band(
    band: Band,
    guess: Array | None,
    spent: int,
    goal: Goal,
    before: KinkedSolution | None = None,
) -> tuple[Outcome | None, _Latest]:
    """Do steps 4 and 5. Return no outcome, but the better model, where too many signs are wrong.

    ``before`` is the band's solution under other bounds. None where it is not known.
    """
    whole = band.whole
    latest = _Latest(band.anchor, band.residual, guess, spent)
    for _ in range(ROUNDS):
        ahead = band.expansion
        kq = band.problem()
        tol = EXACT if kq.coupling is None and not kq.curved else INNER_TOL * goal.tol
        tell, found = _watch(whole, ahead, goal), None
        if before is not None:
            found, before = continued(kq, before, tol, goal.floor, tell), None
        if found is None:
            found = interior_point(
                kq,
                tol=tol,
                floor=goal.floor,
                max_iter=max(1, goal.max_iter - latest.n_iter),
                bounded=kq.coupling is not None,  # multipliers may grow, kinked terms with them
                on_iteration=tell,
                multipliers=latest.multipliers,
            )
        anchor = whole.reached(ahead, found)
        residual, measured, wrong = band.verify(anchor, found, goal.certified)
        latest = _Latest(anchor, residual, found.multipliers, latest.n_iter + found.n_iter)
        size = max(abs(found.objective), goal.floor, TINY)
        lost = band.lost(residual, wrong, found.multipliers)
        right = lost <= tol * size and found.gap <= goal.tol * size
        if found.stopped or right:
            gap = found.gap + lost if right else np.inf
            band.with_duals(found)
            return Outcome(anchor, residual, band, found, gap, measured), latest
        many = not len(wrong) or len(wrong) > MANY_WRONG * len(band.index)
        if many or latest.n_iter >= goal.max_iter:
            break
        band = band.widened(wrong)
    return None, _better(band, latest)


def _better(band: Band, latest: _Latest) -> _Latest:
    """Return the better of the model that a band has led to and that at which it was split."""
    assert latest.multipliers is not None
    whole, multipliers = band.whole, latest.multipliers
    before = whole.merit(band.anchor, band.residual, multipliers)
    if whole.merit(latest.anchor, latest.residual, multipliers) < before:
        return latest
    return replace(latest, anchor=band.anchor, residual=band.residual)


def _watch(whole: Whole, anchor: Anchor, goal: Goal) -> Callable[[KinkedSolution], bool] | None:
    """Return what `interior_point` is to call where δ is relative to a model."""
    report = goal.report
    if report is None:
        return None

    def on_iteration(found: KinkedSolution) -> bool:
        there = whole.moved(anchor, found.delta)
        return report(there.coef, there.intercept)

    return on_iteration
