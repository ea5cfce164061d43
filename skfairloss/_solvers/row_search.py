r"""`sign_fixing` for rows elsewhere: the same steps, each one pass, and no state of a row.

  1. solve a sample (`pilot`), which a first look at all rows has brought;
  2. take one Newton step on all rows, |r| smoothed within h: one pass;
  3. all rows far from 0 are one linear term, the rows near 0 come themselves: one pass;
  4. solve these exactly, to the vertex where that is what an optimum is: signs of other rows follow
     from the model of step 3, and its neighbours differ in the 10th digit of the objective;
  5. measure the model and the duals of all rows, and get the rows whose sign is wrong: one pass;
     these join the band, and 4 is repeated.

Where many signs are wrong, or the band has no minimum, all is split anew at the better model, with
a band four times as wide; never are all rows asked for. A row is told to be in the band by its
number, since another machine may round its residual to the other side of the limit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from skfairloss._core.solution import Verdict
from skfairloss._rows.certifying import Errors
from skfairloss._rows.kernels import Smooth, Split
from skfairloss._rows.reading import Sides
from skfairloss._rows.searches import Request, Search
from skfairloss._rows.sums import Sums
from skfairloss._solvers.band import SPARE, BandSize, moves
from skfairloss._solvers.interior_point import interior_point
from skfairloss._solvers.kinked import KinkedQuadratic, KinkedSolution
from skfairloss._solvers.pilot import pilot_of
from skfairloss._solvers.row_forms import Gathered, Measured, RowForm
from skfairloss._solvers.sign_fixing import MANY_WRONG, MOVED, WIDER
from skfairloss._solvers.smoothed_newton import ROUGH_TOL, STEPS, Step, step_of
from skfairloss._solvers.tolerances import EXACT, FLAT, FLOOR, NEARLY_ZERO, ROUNDS, TINY
from skfairloss._solvers.whole import Anchor, Goal, Whole, by_row
from skfairloss._typing import Array

_NUMBERS = 2**24  # of a band that is not made wider, 128 MiB
_CROSSED = 0.9  # share of the sample's rows that change sides which a next band is to reach
_FAR = 2.0  # size of the sample's residuals, relative to the last, from which a step is none


@dataclass(frozen=True)
class Found:
    """A model with its certificate; ``tie_resolved`` tells whether no other is as good."""

    point: Measured
    verdict: Verdict
    tie_resolved: bool = True


@dataclass(frozen=True)
class RowBand:
    """The rows near 0, and lines for the others, at a model.

    Parameters
    ----------
    form : the problem.
    anchor, sides : the model at which the rows were split.
    gathered : the rows of the band.
    kq : the problem at the model without the band's rows.
    """

    form: RowForm
    anchor: Anchor
    sides: Sides
    gathered: Gathered
    kq: KinkedQuadratic

    def problem(self) -> KinkedQuadratic:
        """Return the problem with the band's rows."""
        rows = self.form.rows(self.gathered)
        return rows.with_rows(self.kq, self.form.flat(self.gathered.residual))

    def solution(
        self, multipliers: Array | None, floor: float, max_iter: int
    ) -> tuple[KinkedSolution, float]:
        """Return the exact solution, and the objective before it; infinite under constraints."""
        kq = self.problem()
        coupled = kq.coupling is not None
        here = np.inf if coupled else kq.objective(np.zeros_like(kq.linear))
        found = interior_point(
            kq,
            tol=EXACT,
            floor=floor,
            max_iter=max_iter,
            bounded=coupled,
            multipliers=multipliers,
        )
        return found, here

    def slopes(self, found: KinkedSolution) -> Array:
        """Return the slopes of the band's rows in a solution, (K, m)."""
        rows, n = self.form.rows(self.gathered), len(self.gathered.at)
        out = rows.slopes(np.arange(n), found.dual[:n], found.multipliers)
        return out.reshape(n, -1)

    def widened(self, wrong: Gathered, slope: Array) -> RowBand:
        """Return the band with more rows: what they added on their lines (K, m) is taken back."""
        form, rows = self.form, self.form.rows(wrong)
        r, s = form.flat(wrong.residual), form.flat(slope)
        sums = rows.sums_at(r, lambda _, residual: (s, 1.0, residual))
        kq = rows.with_lines(self.kq, sums, -1.0)
        return replace(self, gathered=self.gathered.with_more(wrong), kq=kq)

    def within(self, wider: RowBand) -> RowBand:
        """Return the band with its rows in the arrays of a wider one, which begins with them."""
        return replace(self, gathered=wider.gathered.first(len(self.gathered.at)))


@dataclass(frozen=True)
class _Latest:
    """The model that a search has led to, its multipliers, and the iterations so far."""

    anchor: Anchor
    multipliers: Array | None
    n_iter: int


def search_signs(form: RowForm, goal: Goal) -> Search[Found]:
    """Search for an optimum of a problem whose rows have kinks."""
    few, start = form.few
    if not form.whole.basis.n_coordinates:  # nothing to choose, and any sign will do
        point = yield from measured(form, start, None, 0, form.sides(start))
        return (yield from certified(form, point, goal))
    if _fits_exactly(few, start):  # rounding errors have no sides
        found = yield from certified(form, (yield from measured(form, start, None, 0)), goal)
        if found.verdict.certified.all():
            return found
    point, resolved = yield from form.settled((yield from _optimum(form, few, start, goal)))
    return replace((yield from certified(form, point, goal)), tie_resolved=resolved)


def _fits_exactly(few: Whole, start: Anchor) -> bool:
    """Return True where a model leaves rounding errors only, by some rows."""
    residual = np.abs(few.residual(start)).reshape(len(few.y), -1)
    y = np.abs(few.y).reshape(len(few.y), -1)
    return bool((residual.max(axis=0) <= NEARLY_ZERO * y.max(axis=0)).all())


def _optimum(form: RowForm, few: Whole, start: Anchor, goal: Goal) -> Search[Measured]:
    """Do steps 1 to 5, and return the best model found."""
    first = pilot_of(few, start)
    size = form.size(first.multipliers)
    latest = _Latest(first.anchor, first.multipliers, first.n_iter)
    if first.h > form.rounding:
        latest, size = yield from _newton(form, latest, first.h, size)
    best: Measured | None = None
    for _ in range(ROUNDS):
        end = yield from _solve_band((yield from _split(form, latest, size)), latest, goal)
        point, spent = end.point, end.n_iter
        if point is not None and (end.right or best is None or point.objective < best.objective):
            best = point
        if end.right or spent >= goal.max_iter:
            break
        latest = replace(latest, n_iter=spent)
        if best is not None:
            latest = _Latest(best.anchor, best.multipliers, spent)
        near = max(WIDER * max(size.near, end.n_rows), end.crossed)
        size = replace(size.times(WIDER), near=near)
        if size.near * form.whole.basis.n_coordinates > _NUMBERS:
            break
    if best is not None:
        return best
    sides = form.sides(latest.anchor)
    return (yield from measured(form, latest.anchor, latest.multipliers, latest.n_iter, sides))


def measured(
    form: RowForm,
    anchor: Anchor,
    multipliers: Array | None,
    spent: int,
    sides: Sides | None = None,
) -> Search[Measured]:
    """Measure a model with the duals of sides; with those of squares alone where they are None."""
    given = form.none if multipliers is None else multipliers
    request = form.measure(anchor, sides, given, {})
    sums = yield request
    return _point(form, anchor, given, spent, request, sums)


def certified(form: RowForm, point: Measured, goal: Goal) -> Search[Found]:
    """Return a model with its certificate."""
    return Found(point, (yield from form.certify(point, goal.tol)))


def _point(
    form: RowForm,
    anchor: Anchor,
    multipliers: Array,
    spent: int,
    request: Request,
    sums: Sums,
) -> Measured:
    """Read what a pass has found of a model."""
    errors = Errors.of(sums, form.labels, form.problem.known.total)
    objective = form.objective(errors, anchor.coef)
    return Measured(anchor, multipliers, spent, errors, objective, request, sums)


def _newton(
    form: RowForm, latest: _Latest, h: float, size: BandSize
) -> Search[tuple[_Latest, BandSize]]:
    """Do step 2: return where it leads, and the band that is wanted there."""
    whole, multipliers, spent = form.whole, latest.multipliers, latest.n_iter
    anchor = latest.anchor
    for _ in range(1 + (STEPS if whole.uncertain else 0)):
        step = yield from _step(form, anchor, multipliers, h, size)
        residual = form.whole.residual(anchor)
        spent += step.n_iter
        there = whole.moved(anchor, step.delta)
        if np.abs(whole.residual(there)).sum() > _FAR * np.abs(residual).sum():
            break  # second derivatives of next to no rows: a step in any direction
        anchor, multipliers = there, step.multipliers
        if moves(whole.basis, step.delta)[0] <= h:
            break
    if whole.uncertain:
        size = form.size(multipliers)
    inside = np.abs(residual.reshape(len(residual), -1)) / form.units(multipliers)[:, None]
    moved = form.counts @ by_row(inside < sum(moves(whole.basis, step.delta)))
    size = replace(size, near=max(size.near, int(MOVED * moved))).reduced(step.share)
    return _Latest(anchor, multipliers, spent), size


def _step(
    form: RowForm, anchor: Anchor, multipliers: Array | None, h: float, size: BandSize
) -> Search[Step]:
    """Take a Newton step on all rows, in one pass."""
    at, mass = form.sides(anchor), form.mass(multipliers)
    near = np.abs(form.whole.residual(anchor).reshape(len(form.counts), -1)[:, 0]) < h
    parts = mass, size.heavy, form.thinning(near)
    kernel = Smooth(form.reading, at.coef, at.intercept, h, *parts)
    sums = yield Request(kernel)
    squares = form.on_lines(anchor, sums)
    kq = form.whole.with_curvature(squares, sums.added["near"], sums.added["missing"])
    kinks = sums.joined.get("kinks")
    if kinks is not None:
        gathered = Gathered(*kinks)
        kq = form.rows(gathered).with_rows(kq, form.flat(gathered.residual))
    return step_of(squares, kq, kinks is not None, multipliers)


def _split(form: RowForm, latest: _Latest, size: BandSize) -> Search[RowBand]:
    """Do step 3.

    Where more rows lie at 0 than the band needs, most of them stay there; that enough have come is
    known once the pull of the others is, and the sample's pull tells how many to ask for.
    """
    whole, multipliers = form.whole, latest.multipliers
    residual = whole.residual(latest.anchor).reshape(len(whole.y), -1)
    limit = form.limit(residual, multipliers, size.near)
    thin, rounding = 1, 0.0
    if limit.max() <= form.rounding:
        rounding = form.rounding
        piled = float(form.counts @ (np.abs(residual) <= rounding).all(axis=1))
        pull = (whole.basis.n_coordinates * form.counts.sum()) ** 0.5
        wanted = max(size.near, SPARE * pull, 2 * SPARE * _expected_push(form, latest))
        thin = max(1, int(piled / wanted))
    limit = np.maximum(limit, form.rounding)
    while True:
        sides = form.sides(latest.anchor, rounding, thin)
        mass = form.mass(multipliers)
        kernel = Split(form.reading, sides, limit, form.light(), mass, size.heavy)
        sums = yield Request(kernel)
        gathered = Gathered(*sums.joined["band"])
        band = RowBand(form, latest.anchor, sides, gathered, form.on_lines(latest.anchor, sums))
        push = _push(form, band.kq, multipliers)
        if thin == 1 or len(gathered.at) >= min(SPARE * push, piled):
            return band
        thin = max(1, int(thin * len(gathered.at) / (2 * SPARE * push)))


def _expected_push(form: RowForm, latest: _Latest) -> float:
    """Return what `_push` will be when rows at 0 are apart, told from the rows of the sample."""
    whole = form.whole
    residual = whole.residual(latest.anchor)
    away = (np.abs(residual) > form.rounding).astype(np.float64)
    sums = whole.sums_at(residual, lambda _, r: (away * np.sign(r), away, r), squares=True)
    return _push(form, whole.on_lines(latest.anchor, sums), latest.multipliers)


def _push(form: RowForm, kq: KinkedQuadratic, multipliers: Array | None) -> float:
    """Return how many rows at 0 must balance the pull of all others."""
    pull = float(np.linalg.norm(kq.lagrangian(multipliers).linear))
    half = form.whole.half_widths(slice(None), multipliers).reshape(len(form.counts), -1)
    return pull / max(float(half.mean(axis=1).sum() / form.counts.sum()), TINY)


@dataclass(frozen=True)
class _End:
    """The end of a band.

    Parameters
    ----------
    point : the best model measured. None where the band has no minimum.
    right : whether all signs are right.
    n_rows : those of the band at first.
    n_iter : iterations spent.
    crossed : how many rows a band has that reaches those that change sides, by the sample.
    """

    point: Measured | None
    right: bool
    n_rows: int
    n_iter: int
    crossed: int = 0


def _solve_band(band: RowBand, latest: _Latest, goal: Goal) -> Search[_End]:
    """Do steps 4 and 5.

    A model for which rows of the sample change sides that the band cannot hold is not measured.
    """
    form, multipliers, spent = band.form, latest.multipliers, latest.n_iter
    end = _End(None, False, len(band.gathered.at), spent)
    for _ in range(ROUNDS):
        solved, here = band.solution(multipliers, goal.floor, max(1, goal.max_iter - spent))
        spent, multipliers = spent + solved.n_iter, solved.multipliers
        end, last = replace(end, n_iter=spent), spent >= goal.max_iter
        size = max(abs(solved.objective), goal.floor, TINY)
        if solved.gap > ROUGH_TOL * min(size, abs(here)) and not last:
            break  # the band has no minimum
        there = form.whole.reached(band.anchor, solved)
        there = replace(there, coef=form.coefficients(there, solved))
        count, crossed = _crossing(form, band.anchor, there, multipliers)
        if count > (1.0 + MANY_WRONG) * len(band.gathered.at) and not last:
            return replace(end, crossed=crossed)
        slope = band.slopes(solved)
        request = form.measure(there, band.sides, multipliers, band.gathered.by_block(slope))
        sums = yield request
        found = _point(form, there, multipliers, spent, request, sums)
        if found.objective > (1.0 + FLOOR) * here:
            break  # far from the band lines are no model of their rows
        end = replace(end, point=replace(found, band=band, solution=solved))
        *rows, slopes, now = sums.joined["wrong"]
        wrong = Gathered(*rows)
        if _lost(form, wrong, slopes, now, multipliers) <= FLAT * size:
            return replace(end, right=solved.gap <= goal.tol * size)
        if form.weighty(wrong, multipliers) > MANY_WRONG * len(band.gathered.at) or last:
            break
        wider = band.widened(wrong, slopes)
        end = replace(end, point=replace(found, band=band.within(wider), solution=solved))
        band = wider
    return end


def _crossing(
    form: RowForm, before: Anchor, there: Anchor, multipliers: Array | None
) -> tuple[int, int]:
    """Return how many rows change sides between two models, and how many a band has with them.

    Both are told from the sample; rows of next to no weight do not count. The farthest rows that
    change sides are left out of the band: there may be one of next to any residual.
    """
    pair = (form.whole.residual(anchor).reshape(len(form.counts), -1) for anchor in (before, there))
    first, second = pair
    units = form.units(multipliers)[:, None]
    crosses, distance = (first * second < 0) & (units == 1.0), np.abs(first) / units
    if not crosses.any():
        return 0, 0
    near = by_row(distance <= np.quantile(distance[crosses], _CROSSED))
    return int(form.counts @ by_row(crosses)), int(form.counts @ near)


def measured_as(form: RowForm, point: Measured, anchor: Anchor) -> Search[Measured]:
    """Measure another model with the duals of a point."""
    sides = point.measure.sides
    request = form.measure(anchor, sides, point.multipliers, point.request.own)
    sums = yield request
    moved = _point(form, anchor, point.multipliers, point.n_iter, request, sums)
    return replace(moved, band=point.band, solution=point.solution)


def wrong_rows(point: Measured) -> tuple[Gathered, Array]:
    """Return the rows whose slope (K, m) does not go with their residual, beyond rounding."""
    joined = point.sums.joined.get("wrong")
    if joined is None:
        none = np.zeros((0, 1))
        at = np.zeros(0, dtype=np.intp)
        return Gathered(at, at, none, none, none[:, 0], at), none
    *rows, slope, now = joined
    wrong = Gathered(*rows)
    clear = now.any(axis=1)
    some = Gathered(*(getattr(wrong, name)[clear] for name in Gathered.__dataclass_fields__))
    return some, slope[clear]


def _lost(form: RowForm, wrong: Gathered, slope: Array, now: Array, multipliers: Array) -> float:
    """Return the sum of what rows lose whose slope (K, m) does not go with their residual.

    Residuals that rounding alone can make have no side.
    """
    if not now.any():
        return 0.0
    half = form.rows(wrong).half_widths(slice(None), multipliers).reshape(now.shape)
    return float((half * (np.abs(now) - slope * now)).sum())
