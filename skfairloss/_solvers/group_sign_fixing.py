r"""Many more rows than features under group losses: fix clear signs, solve the band that is left.

As `sign_fixing`, with the groups kept apart: a row that is clearly on one side of its kink adds a
linear term to the loss of its own group, whatever weight the group ends up with. So

  1. solve a subsample in which every group is present, its slopes scaled up to the whole group;
  2. replace every group's loss by a quadratic at this point, |r| smoothed within a bandwidth h, and
     solve the problem of group losses for these: it has no rows. Twice, h smaller the second time,
     and where rows are very many and λ < 1 the first time for a larger subsample;
  3. collapse each group's clear rows into its linear term; the rows nearest to 0 are the band;
  4. solve the band exactly, by `group_interior_point`: multipliers and model together;
  5. verify the signs of all other rows in one pass; move violators into the band and repeat 4.

Where many signs are wrong, or the band has no minimum, the rows are split anew at the better point,
with a band four times as wide. Steps 2, 3 and 5 make one pass over X each: bandwidths and limits
come from the residuals of some rows, and step 5 is the certificate's own pass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from skfairloss._core.solution import Measured
from skfairloss._design.rows import sorted_by_group
from skfairloss._design.sample import sample_size, smallest_sample
from skfairloss._solvers.group_interior_point import GroupedSolution, group_interior_point
from skfairloss._solvers.group_newton import group_newton
from skfairloss._solvers.grouped import GroupedQuadratic
from skfairloss._typing import Array, Index

_PILOT_TOL = 1e-2  # gap of problems whose solutions only lead near
_PILOT_ITER, _NEAR_ITER = 20, 8  # the latter from a close start: smoothed bounds can be too low
_SMOOTHED = (1.0, 0.3)  # bandwidths of the Newton steps; a step on a subsample more is cheap
_BAND, _NEAR_BAND = 3.0, 2.0  # rows in a first band, in units of √(d n); and from a close start
_FEW = 10  # samples of rows up to which a pass over all costs less than another sample
_PRESENT = 60  # rows of a group in the subsample at least, if it has as many
_ENOUGH = 200  # rows of a group per coordinate that settle a matrix of second derivatives
_SOLVED = 100  # the gap that will do, relative to the one aimed at
_LEAST = 1e-8  # relative gap of a band that is solved
_LOST = 0.01  # of the gap asked of a band: what wrong signs may lose
_SPLITS = 4  # times that the rows are split anew before the route is given up
_ROUNDS = 8  # times that violators are added to one band
_HEAVY = 4.0  # weight of a row, relative to the mean in a band, from which it is in every band
_MANY = 0.2  # violators, as a share of the band, from which it is split anew
_WHOLE = 0.5  # share of the rows from which a band is no gain
_SOME = 2**13  # rows whose residuals stand for all: 1 % of them are counted to a tenth
_MANY_ROWS = 8  # times so many rows, from which a pass that is spared costs more than they do
_OFF = 3  # factor by which a band may miss the size aimed at


Measure = Callable[[Array, Array, Array], Measured]


def solve_grouped(
    gq: GroupedQuadratic,
    *,
    tol: float,
    floor: float,
    max_iter: int,
    crossover: bool = True,
    on_iteration: Callable[[GroupedSolution], bool] | None = None,
    start: GroupedSolution | None = None,
    measure: Measure | None = None,
) -> GroupedSolution:
    """`group_interior_point` on all rows, or on the few that matter where there are many.

    Parameters
    ----------
    start : of a problem close to this one, which takes the place of step 1 and the first of step 2.
    measure : the certificate's pass for δ, multipliers and duals (N, m) of all rows. None where it
        is not wanted.
    others : as for `group_interior_point`.
    """
    same = start is not None and len(start.multipliers) == len(gq.bound)
    guess = start.multipliers if start is not None and same else None

    def on_rows(
        part: GroupedQuadratic,
        at: Array | None = None,
        allowed: int = max_iter,
        power: float = 0.5,
    ) -> GroupedSolution:
        """Solve a problem that is given relative to a point."""
        return group_interior_point(
            part,
            tol=tol,
            floor=floor,
            max_iter=max(1, allowed),
            crossover=crossover,
            on_iteration=_relative_to(on_iteration, at),
            multipliers=guess,
            power=power,
        )

    n, d = gq.rows.n_rows, gq.rows.n_columns
    if not n:
        found = group_newton(gq, tol=tol, floor=floor, max_iter=max_iter, on_iteration=on_iteration)
        return found or on_rows(gq)
    enough = _SOLVED * tol, floor
    if not has_many_rows(n, d):
        return _on_all_rows(gq, on_rows, max_iter, *enough)
    width = _BAND if start is None else _NEAR_BAND
    size = int(max(20 * d, width * (d * n) ** 0.5))
    if start is None:
        at, multipliers, spent = _from_nothing(gq, size)
    else:
        at, multipliers, spent = _from_start(gq, start, guess, size)
    for _ in range(_SPLITS):
        if size >= _WHOLE * n or spent >= max_iter:
            break
        band = _split(gq, at, size, _row_weights(gq, multipliers))
        allowed = max_iter - spent
        found, at = _solve_band(band, on_rows, measure, max(_SOLVED * tol, _LEAST), allowed)
        spent += found.n_iter
        if found.dual.shape == gq.residual.shape:
            return replace(found, n_iter=spent)
        # a band that was solved leads close, even where many signs were wrong
        size *= 2 if found.gap <= _LEAST * abs(found.objective) else 4
    found = _on_all_rows(gq, on_rows, max_iter - spent, *enough)
    return replace(found, n_iter=found.n_iter + spent)


def _from_nothing(gq: GroupedQuadratic, size: int) -> tuple[Array, Array | None, int]:
    """Do steps 1 and 2. Return the point (d, m), the multipliers and the iterations spent."""
    n, d = gq.rows.n_rows, gq.rows.n_columns
    # at λ = 1 nothing but signs bends the loss: a subsample's point is too far off to spare a pass
    many = gq.curvature[0] > 0 and n >= _FEW * sample_size(n, d)
    some = _subsample(gq, sample_size(n, d)) if many else gq
    found = _rough(_subsample(some, smallest_sample(d)))
    at, multipliers, spent = found.delta, found.multipliers, found.n_iter
    parts = [(some, _SMOOTHED[0])] * (2 if many else 1) + [(gq, _SMOOTHED[1])]
    # with several outputs the quadratics of step 2 would differ between them
    for part, share in parts if len(gq.curvature) == 1 else ():
        heavy = _heavy_rows(_row_weights(part, multipliers), size)
        step = _rough(_smoothed(part, at, share, heavy))
        at, multipliers, spent = at + step.delta, step.multipliers, spent + step.n_iter
    return at, multipliers, spent


def _from_start(
    gq: GroupedQuadratic, start: GroupedSolution, guess: Array | None, size: int
) -> tuple[Array, Array | None, int]:
    """Do the last of step 2 from a close point; return the better of both, as `_from_nothing`."""
    if len(gq.curvature) > 1:
        return start.delta, guess, 0
    heavy = _heavy_rows(_row_weights(gq, guess), size)
    step = _rough(_smoothed(gq, start.delta, _SMOOTHED[1], heavy), _NEAR_ITER, guess)
    price = 1.0 + float(start.multipliers.sum())
    at = min(  # so close that smoothing may be the larger error
        (start.delta, start.delta + step.delta),
        key=lambda delta: gq.merit(delta, gq.residual - gq.rows.dot(delta), price),
    )
    return at, step.multipliers, step.n_iter


def _on_all_rows(
    gq: GroupedQuadratic,
    on_rows: Callable[..., GroupedSolution],
    allowed: int,
    tol: float,
    floor: float,
) -> GroupedSolution:
    """The solution on all rows; by other barriers where the gap stays above the tolerance."""
    found = on_rows(gq, allowed=allowed)
    if found.stopped or found.gap <= tol * max(abs(found.objective), floor):
        return found
    again = on_rows(gq, allowed=allowed - found.n_iter, power=1.0)
    best = min(found, again, key=lambda one: one.gap)
    return replace(best, n_iter=found.n_iter + again.n_iter, stopped=again.stopped)


def has_many_rows(n: int, d: int) -> bool:
    """Return True where n rows with a kink are at least twice as many as the subsample has."""
    return n > 2 * sample_size(max(n, 1), d)


def _relative_to(
    on_iteration: Callable[[GroupedSolution], bool] | None, at: Array | None
) -> Callable[[GroupedSolution], bool] | None:
    """Return a callback for models relative to another point."""
    if on_iteration is None or at is None:
        return on_iteration
    return lambda found: on_iteration(replace(found, delta=at + found.delta))


def _rough(
    part: GroupedQuadratic, max_iter: int = _PILOT_ITER, multipliers: Array | None = None
) -> GroupedSolution:
    """The solution of a problem that only leads near to the one that is asked."""
    found = None
    if not part.rows.n_rows:
        found = group_newton(part, tol=_PILOT_TOL, floor=0.0, max_iter=max_iter)
    return found or group_interior_point(
        part,
        tol=_PILOT_TOL,
        floor=0.0,
        max_iter=max_iter,
        crossover=False,
        multipliers=multipliers,
    )


def _subsample(gq: GroupedQuadratic, size: int) -> GroupedQuadratic:
    """Return the problem of some rows, with slopes scaled up to their groups."""
    index, factor = _draw(gq, size)
    part = gq.taken(index)
    return replace(part, lower=part.lower * factor, upper=part.upper * factor)


def _draw(gq: GroupedQuadratic, size: int) -> tuple[Index, Array]:
    """Return rows of the subsample, and what their slopes are multiplied by, (size, 1).

    Rows are drawn in proportion to their slopes; those of the group without constraint (the
    penalty) are all there.
    """
    rng, last = np.random.default_rng(0), gq.n_groups - 1
    width = (gq.upper - gq.lower).sum(axis=1)
    width[gq.codes == last] = 0.0
    ends = np.cumsum(width)
    parts = [np.searchsorted(ends, np.sort(rng.random(size)) * ends[-1], side="right")]
    seen = np.bincount(gq.codes[parts[0]], minlength=gq.n_groups)
    for g in np.flatnonzero(seen[:last] < _PRESENT):
        rows = np.flatnonzero(gq.codes == g)
        rows = rows[width[rows] > 0]
        if len(rows) > _PRESENT:
            rows = rows[np.unique(np.linspace(0, len(rows) - 1, _PRESENT).astype(np.intp))]
        parts.append(rows)
    index = np.unique(np.concatenate(parts))
    index = index[index < gq.rows.n_rows]
    total = np.bincount(gq.codes, width, gq.n_groups)
    drawn = np.bincount(gq.codes[index], width[index], gq.n_groups)
    factor = np.divide(total, drawn, out=np.ones(gq.n_groups), where=drawn > 0)
    index = np.concatenate([index, np.flatnonzero(gq.codes == last)])
    return index, factor[gq.codes[index], None]


def _row_weights(gq: GroupedQuadratic, multipliers: Array | None) -> Array:
    """Widths of the dual intervals of the rows that can be held, (N,); 0 where nothing is known."""
    if multipliers is None:
        return np.zeros(gq.rows.n_rows)
    own = gq.group_weights(multipliers)[gq.codes] * (gq.upper - gq.lower).sum(axis=1)
    own[gq.codes == gq.n_groups - 1] = 0.0
    return own


def _heavy_rows(weight: Array, size: int) -> Index:
    """Rows of which a few outweigh all others of a band: no quadratic stands for so few."""
    return np.flatnonzero(weight * size > _HEAVY * weight.sum())


def _heavy_groups(gq: GroupedQuadratic, weight: Array) -> list[Index]:
    """Rows of each group whose rows weigh much more than others: few rows decide there."""
    rows = np.bincount(gq.codes, minlength=gq.n_groups)
    mean = np.bincount(gq.codes, weight, gq.n_groups) / np.maximum(rows, 1)
    return [np.flatnonzero(gq.codes == g) for g in np.flatnonzero(mean > _HEAVY * weight.mean())]


def _look(gq: GroupedQuadratic, delta: Array) -> tuple[Array, Array | None]:
    """Return |r| at δ of rows that stand for all, (s, m), and r (N, m) of all.

    None for the latter where one pass can serve residuals and pulls: some rows are drawn then,
    since data may be periodic.
    """
    n = gq.rows.n_rows
    if n <= _MANY_ROWS * _SOME or len(gq.curvature) > 1:
        residual = gq.residual - gq.rows.dot(delta)
        return np.abs(residual), residual
    index = np.unique(np.random.default_rng(0).integers(0, n, _SOME))
    return np.abs(gq.residual[index] - gq.rows.take(index) @ delta), None


def _moved(
    gq: GroupedQuadratic,
    delta: Array,
    residual: Array | None,
    slopes: Callable[[slice, Array], Array],
) -> tuple[GroupedQuadratic, Array]:
    """Return the problem relative to δ, and Σ a_ik A_i over the rows of each group, (G, d, m).

    a = slopes(rows, r) for blocks of rows with residuals r at δ, (k, m), as `_look` has them.
    """
    if residual is not None:
        pulls = gq.pulls(slopes(slice(0, len(residual)), residual))
        return gq.shifted(delta, residual), pulls
    residual, sums = gq.rows.sweep_by_group(gq.residual, delta, slopes, gq.groups)
    return gq.shifted(delta, residual), sums[:, :, None]


def _smoothed(gq: GroupedQuadratic, delta: Array, narrow: float, heavy: Index) -> GroupedQuadratic:
    """Return step 2's problem of one output, relative to δ: a quadratic for each group.

    Heavy rows stay as they are. h is ``narrow`` times what covers the error of a model from the
    subsample. Within ±h the kink middle·r + half·|r| is replaced by middle·r + half·(r²/2h + h/2).
    """
    d = gq.rows.n_columns
    share = narrow * min(0.5, max(0.03, 3 * (d / smallest_sample(d)) ** 0.5))
    some, residual = _look(gq, delta)
    rank = int(share * len(some))
    h = max(float(np.partition(some[:, 0], rank)[rank]), 1e-300)
    kept = np.zeros(gq.rows.n_rows, dtype=bool)
    kept[heavy] = True
    constants, near = np.zeros(gq.n_groups), []

    def slopes(rows: slice, r: Array) -> Array:
        middle, half = (
            0.5 * (gq.upper[rows] + gq.lower[rows]),
            0.5 * (gq.upper[rows] - gq.lower[rows]),
        )
        away, own = np.abs(r), kept[rows]
        smooth = away < h
        value = middle * r + half * np.where(smooth, 0.5 * (r * r / h + h), away)
        slope = middle + half * np.clip(r / h, -1.0, 1.0)
        slope[own], value[own] = 0.0, 0.0
        near.append(rows.start + np.flatnonzero(smooth[:, 0] & ~own))
        constants[:] += np.bincount(gq.codes[rows], value[:, 0], gq.n_groups)
        return slope

    here, pulls = _moved(gq, delta, residual, slopes)
    steep = 0.5 * (gq.upper - gq.lower)[:, 0] / h
    return replace(
        here.taken(heavy),
        curvature=np.ones(1),
        grams=gq.curvature[0] * gq.grams + _near_grams(gq, np.concatenate(near), steep),
        gradients=here.gradients + pulls,
        constants=here.constants + constants,
    )


def _near_grams(gq: GroupedQuadratic, near: Index, steep: Array) -> Array:
    """Gram matrices of the near rows of each group, (G, d, d), from as many rows as settle them."""
    d = gq.rows.n_columns
    order, ends = sorted_by_group(gq.codes[near], gq.n_groups)
    parts = [near[part] for part in np.split(order, ends[:-1])]
    few = [part[:: max(1, len(part) // (_ENOUGH * d))] for part in parts]
    rows = np.split(gq.rows.take(np.concatenate(few)), np.cumsum([len(part) for part in few])[:-1])
    grams = np.zeros((gq.n_groups, d, d))
    for g, (part, some, own) in enumerate(zip(parts, few, rows, strict=True)):
        if len(some):
            dense = steep[part].sum() / steep[some].sum()
            scaled = own * np.sqrt(dense * steep[some])[:, None]
            grams[g] = scaled.T @ scaled
    return grams


@dataclass(frozen=True)
class _Band:
    """A split of the rows at a point.

    Parameters
    ----------
    whole : the problem of all rows, relative to the point.
    at : (d, m), the point.
    index : the rows in the band.
    fixed : (N, m), the slopes of the others at their side of the kink; 0 in the band.
    part : the problem of the band, relative to the point.
    """

    whole: GroupedQuadratic
    at: Array
    index: Index
    fixed: Array
    part: GroupedQuadratic

    def widened(self, wrong: Index) -> _Band:
        """With more rows in the band: what they added to their groups is taken back."""
        more, slopes = self.whole.taken(wrong), self.fixed[wrong]
        fixed = self.fixed.copy()
        fixed[wrong] = 0.0
        index = np.concatenate([self.index, wrong])
        part = replace(
            self.whole.taken(index),
            gradients=self.part.gradients - more.pulls(slopes),
            constants=self.part.constants - more.by_group(slopes * more.residual),
        )
        return replace(self, index=index, fixed=fixed, part=part)

    def lost(self, wrong: Index, residual: Array, multipliers: Array) -> float:
        """Return what rows on the wrong side of their kink cost, at the weights of their groups."""
        whole, r = self.whole, residual[wrong]
        own = whole.group_weights(multipliers)[whole.codes[wrong], None]
        kinks = np.where(r > 0, whole.upper[wrong], whole.lower[wrong])
        return float((own * (kinks - self.fixed[wrong]) * r).sum(where=self.fixed[wrong] != 0))


def _split(gq: GroupedQuadratic, at: Array, size: int, weight: Array) -> _Band:
    """Step 3: the ``size`` rows nearest to 0 in each output, heavy ones, and all of the penalty.

    How far the band reaches is known from some rows; where its size is not what it should be, the
    residuals found decide. From a heavy group take as many rows as a fit of that group alone would
    need; with fewer the band problem can be unbounded.
    """
    (some, residual), n = _look(gq, at), gq.rows.n_rows
    rank = min(int(size * len(some) / n), len(some) - 1)
    band = _split_at(gq, at, residual, np.partition(some, rank, axis=0)[rank])
    absolute = np.abs(band.whole.residual)
    if residual is None and not size / _OFF <= len(band.index) <= _OFF * size:
        limits = np.partition(absolute, size, axis=0)[size]
        band = _split_at(gq, at, band.whole.residual, limits)
    more = [_heavy_rows(weight, size)]
    for rows in _heavy_groups(gq, weight):
        own = int(size * (len(rows) / n) ** 0.5)
        nearest = np.argsort(absolute[rows].min(axis=1), kind="stable")
        more.append(rows[nearest[:own]])
    extra = np.setdiff1d(np.concatenate(more), band.index)
    return band.widened(extra) if len(extra) else band


def _split_at(gq: GroupedQuadratic, at: Array, residual: Array | None, limits: Array) -> _Band:
    """Split at a point, with |r| <= limits (m,) in any output in the band, in one pass."""
    fixed, constants = np.empty_like(gq.residual), np.zeros(gq.n_groups)
    inside: list[Index] = []

    def slopes(rows: slice, r: Array) -> Array:
        here, codes = fixed[rows], gq.codes[rows]
        near = (np.abs(r) <= limits).any(axis=1) | (codes == gq.n_groups - 1)
        here[:] = np.where(r > 0, gq.upper[rows], gq.lower[rows])
        here[near] = 0.0
        inside.append(rows.start + np.flatnonzero(near))
        constants[:] += np.bincount(codes, (here * r).sum(axis=1), gq.n_groups)
        return here

    whole, pulls = _moved(gq, at, residual, slopes)
    index = np.concatenate(inside)
    part = replace(
        whole.taken(index),
        gradients=whole.gradients + pulls,
        constants=whole.constants + constants,
    )
    return _Band(whole, at, index, fixed, part)


def _solve_band(
    band: _Band,
    on_rows: Callable[..., GroupedSolution],
    measure: Measure | None,
    tol: float,
    max_iter: int,
) -> tuple[GroupedSolution, Array]:
    """Do steps 4 and 5. Return the solution and the better of the two points.

    If signs are still wrong the solution's ``dual`` covers the band only. Signs that lose next to
    nothing may stay wrong.
    """
    whole, spent, wrong = band.whole, 0, np.zeros(0, dtype=np.intp)
    for _ in range(_ROUNDS):
        if len(wrong):
            band = band.widened(wrong)
        found = on_rows(band.part, band.at, max_iter - spent)
        spent += found.n_iter
        point = band.at + found.delta
        dual = whole.group_weights(found.multipliers)[whole.codes, None] * band.fixed
        dual[band.index] = found.dual
        if measure is None:
            residual = whole.residual - whole.rows.dot(found.delta)
        else:
            measured = measure(point, found.multipliers, dual)
            found, residual = replace(found, measured=measured), measured.residual
        wrong = np.flatnonzero((residual * band.fixed < 0).any(axis=1))
        lost = band.lost(wrong, residual, found.multipliers)
        small = lost <= _LOST * tol * abs(found.objective)
        solved = found.gap <= tol * abs(found.objective) and small
        if found.stopped or solved:
            gap = found.gap + lost if solved else np.inf
            return replace(found, delta=point, dual=dual, gap=gap, n_iter=spent), point
        many = not len(wrong) or len(wrong) > _MANY * len(band.index)
        if many or spent >= max_iter:
            break
    price = 1.0 + float(found.multipliers.sum())
    before = whole.merit(np.zeros_like(found.delta), whole.residual, price)
    better = whole.merit(found.delta, residual, price) < before
    return replace(found, n_iter=spent), point if better else band.at
