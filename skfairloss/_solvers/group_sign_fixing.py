r"""Many more rows than features under group losses: fix clear signs, solve the band that is left.

As `sign_fixing`, with the groups kept apart: a row that is clearly on one side of its kink adds a
linear term to the loss of its own group, whatever weight the group ends up with. So

  1. solve a subsample in which every group is present, its slopes scaled up to the whole group;
  2. replace every group's loss by a quadratic at this point, |r| smoothed within a bandwidth h, and
     solve the problem of group losses for these: it has no rows. Twice, h smaller the second time;
  3. collapse each group's clear rows into its linear term; the rows nearest to 0 are the band;
  4. solve the band exactly, by `interior_point`: multipliers and model together;
  5. verify the signs of all other rows in one pass; move violators into the band and repeat 4.

Where many signs are wrong, or the band has no minimum, the rows are split anew at the better point,
with a band four times as wide.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from skfairloss._design import sorted_by_group
from skfairloss._sample import sample_size, smallest_sample
from skfairloss._solvers.coupling import Coupling
from skfairloss._solvers.dual_newton import dual_newton
from skfairloss._solvers.interior_point import interior_point
from skfairloss._solvers.kinked import KinkedQuadratic, KinkedSolution
from skfairloss._solvers.tolerances import TINY
from skfairloss._typing import Array, Index, Mask

_PILOT_TOL = 1e-2
_PILOT_ITER, _NEAR_ITER = 20, 8  # the latter from a close start: smoothed bounds can be too low
_SMOOTHED = (1.0, 0.3)  # bandwidths of the Newton steps
_BAND, _NEAR_BAND = 3.0, 2.0  # rows in a first band, in units of √(d n); and from a close start
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


def solve_grouped(
    gq: KinkedQuadratic,
    *,
    tol: float,
    floor: float,
    max_iter: int,
    crossover: bool = True,
    on_iteration: Callable[[KinkedSolution], bool] | None = None,
    start: KinkedSolution | None = None,
) -> KinkedSolution:
    """`interior_point` on all rows, or on the few that matter where there are many.

    Parameters
    ----------
    start : of a problem close to this one, which takes the place of step 1 and the first of step 2.
    others : as for `interior_point`.
    """
    same = start is not None and len(start.multipliers) == len(_coupling(gq).bound)
    guess = start.multipliers if start is not None and same else None

    def on_rows(
        part: KinkedQuadratic, at: Array | None = None, allowed: int = max_iter
    ) -> KinkedSolution:
        """Solve a problem that is given relative to a point."""
        return interior_point(
            part,
            tol=tol,
            floor=floor,
            max_iter=max(1, allowed),
            crossover=crossover,
            on_iteration=_relative_to(on_iteration, at),
            multipliers=guess,
        )

    n, d = gq.rows.n_rows, gq.rows.n_columns
    if not n:
        found = dual_newton(gq, tol=tol, floor=floor, max_iter=max_iter, on_iteration=on_iteration)
        return found or on_rows(gq)
    if not has_many_rows(n, d):
        return on_rows(gq)
    bandwidths, width = (_SMOOTHED, _BAND) if start is None else (_SMOOTHED[1:], _NEAR_BAND)
    size = int(max(20 * d, width * (d * n) ** 0.5))
    multipliers, spent = guess, 0
    at = None if start is None else start.delta
    if at is None:
        found = _subsample(gq)
        at, multipliers, spent = found.delta, found.multipliers, found.n_iter
    # with several outputs the quadratics of step 2 would differ between them
    for share in bandwidths if gq.residual.shape[1] == 1 else ():
        heavy = _heavy_rows(_row_weights(gq, multipliers), size)
        smoothed = _smoothed(gq, at, share, heavy)
        step = _rough(smoothed, _PILOT_ITER if start is None else _NEAR_ITER, guess)
        at, multipliers, spent = at + step.delta, step.multipliers, spent + step.n_iter
    if start is not None:  # so close that smoothing is the larger error?
        price = 1.0 + float(start.multipliers.sum())
        at = min(
            (start.delta, at),
            key=lambda delta: gq.merit(delta, gq.residual - gq.rows.dot(delta), price),
        )
    for _ in range(_SPLITS):
        if size >= _WHOLE * n or spent >= max_iter:
            break
        band = _split(gq, at, size, _row_weights(gq, multipliers))
        found, at = _solve_band(band, on_rows, max(_SOLVED * tol, _LEAST), max_iter - spent)
        spent += found.n_iter
        if found.dual.shape == gq.residual.shape:
            return replace(found, n_iter=spent)
        # a band that was solved leads close, even where many signs were wrong
        size *= 2 if found.gap <= _LEAST * abs(found.objective) else 4
    found = on_rows(gq, allowed=max_iter - spent)
    return replace(found, n_iter=found.n_iter + spent)


def has_many_rows(n: int, d: int) -> bool:
    """Whether n rows with a kink are at least twice as many as the subsample has."""
    return n > 2 * sample_size(max(n, 1), d)


def _relative_to(
    on_iteration: Callable[[KinkedSolution], bool] | None, at: Array | None
) -> Callable[[KinkedSolution], bool] | None:
    """Who is told of models, where these are relative to another point."""
    if on_iteration is None or at is None:
        return on_iteration
    return lambda found: on_iteration(replace(found, delta=at + found.delta))


def _rough(
    part: KinkedQuadratic, max_iter: int = _PILOT_ITER, multipliers: Array | None = None
) -> KinkedSolution:
    """The solution of a problem that only leads near to the one that is asked."""
    found = None
    if not part.rows.n_rows:
        found = dual_newton(part, tol=_PILOT_TOL, floor=0.0, max_iter=max_iter)
    return found or interior_point(
        part,
        tol=_PILOT_TOL,
        floor=0.0,
        max_iter=max_iter,
        crossover=False,
        multipliers=multipliers,
    )


def _subsample(gq: KinkedQuadratic) -> KinkedSolution:
    """Step 1: the solution of a subsample."""
    index, factor = _draw(gq)
    part, coupling = gq.taken(index), _coupling(gq).taken(index)
    return _rough(replace(part, coupling=replace(coupling, share=coupling.share * factor)))


def _draw(gq: KinkedQuadratic) -> tuple[Index, Array]:
    """Rows of the subsample, and what their shares are multiplied by, (size,).

    Rows are drawn in proportion to their shares; those of no group (the penalty) are all there.
    """
    coupling = _coupling(gq)
    rng, codes, last = np.random.default_rng(0), coupling.codes, coupling.n_groups
    width = coupling.share
    size = smallest_sample(gq.rows.n_columns)
    ends = np.cumsum(width)
    parts = [np.searchsorted(ends, rng.random(size) * ends[-1], side="right")]
    seen = np.bincount(codes[parts[0]], minlength=last)
    for g in np.flatnonzero(seen[:last] < _PRESENT):
        rows = np.flatnonzero(codes == g)
        rows = rows[width[rows] > 0]
        if len(rows) > _PRESENT:
            rows = rows[np.unique(np.linspace(0, len(rows) - 1, _PRESENT).astype(np.intp))]
        parts.append(rows)
    index = np.unique(np.concatenate(parts))
    index = index[index < gq.rows.n_rows]
    total = np.bincount(codes, width, last + 1)
    drawn = np.bincount(codes[index], width[index], last + 1)
    factor = np.divide(total, drawn, out=np.ones(last + 1), where=drawn > 0)
    index = np.concatenate([index, np.flatnonzero(codes == last)])
    return index, factor[codes[index]]


def _coupling(gq: KinkedQuadratic) -> Coupling:
    """The groups of a problem that has some."""
    assert gq.coupling is not None
    return gq.coupling


def _of_penalty(gq: KinkedQuadratic) -> Mask:
    """The rows of no group, (N,)."""
    coupling = _coupling(gq)
    return np.asarray(coupling.codes == coupling.n_groups)


def _row_weights(gq: KinkedQuadratic, multipliers: Array | None) -> Array:
    """Widths of the dual intervals of the rows that can be held, (N,); 0 where nothing is known."""
    if multipliers is None:
        return np.zeros(gq.rows.n_rows)
    own = gq.lagrangian(multipliers).width.sum(axis=1)
    own[_of_penalty(gq)] = 0.0
    return own


def _heavy_rows(weight: Array, size: int) -> Index:
    """Rows of which a few outweigh all others of a band: no quadratic stands for so few."""
    return np.flatnonzero(weight * size > _HEAVY * weight.sum())


def _heavy_groups(gq: KinkedQuadratic, weight: Array) -> list[Index]:
    """Rows of each group whose rows weigh much more than others: few rows decide there."""
    codes = _coupling(gq).codes
    mean = np.bincount(codes, weight) / np.maximum(np.bincount(codes), 1)
    return [np.flatnonzero(codes == g) for g in np.flatnonzero(mean > _HEAVY * weight.mean())]


def _smoothed(gq: KinkedQuadratic, delta: Array, narrow: float, heavy: Index) -> KinkedQuadratic:
    """Step 2's problem of one output, relative to δ: a quadratic for each group.

    Heavy rows and those of a penalty stay as they are. h is ``narrow`` times what covers the error
    of a model from the subsample. Within ±h the kink |r| is replaced by r²/2h + h/2.
    """
    here = gq.shifted(delta)
    r, coupling = here.residual[:, 0], _coupling(here)
    n, d = gq.rows.n_rows, gq.rows.n_columns
    share = narrow * min(0.5, max(0.03, 3 * (d / smallest_sample(d)) ** 0.5))
    absolute = np.abs(r)
    h = max(float(np.partition(absolute, int(share * n))[int(share * n)]), TINY)
    kept = _of_penalty(gq)
    kept[heavy] = True
    near = np.flatnonzero((absolute < h) & ~kept)
    slope, value = np.clip(r / h, -1.0, 1.0), absolute
    value[near] += 0.5 * (h - absolute[near]) ** 2 / h
    signed = np.ones(n)
    slope[kept] = value[kept] = signed[kept] = 0.0
    slopes, values = (signed[:, None], slope[:, None]), ((signed * r)[:, None], value[:, None])
    index = np.flatnonzero(kept)
    linear = coupling.with_lines(here.rows, slopes, values).taken(index)
    near_grams = _near_grams(gq, near, coupling.share / h)
    return replace(here.taken(index), coupling=replace(linear, near=near_grams))


def _near_grams(gq: KinkedQuadratic, near: Index, steep: Array) -> Array:
    """Gram matrices of the near rows of each group, (G, d, d), from as many rows as settle them."""
    d, coupling = gq.rows.n_columns, _coupling(gq)
    order, ends = sorted_by_group(coupling.codes[near], coupling.n_groups)
    parts = [near[part] for part in np.split(order, ends[:-1])]
    few = [part[:: max(1, len(part) // (_ENOUGH * d))] for part in parts]
    rows = np.split(gq.rows.take(np.concatenate(few)), np.cumsum([len(part) for part in few])[:-1])
    grams = np.zeros((coupling.n_groups, d, d))
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
    side : (N, m), 1 and -1, the sides of their kinks that the others are on; 0 in the band.
    part : the problem of the band, relative to the point.
    """

    whole: KinkedQuadratic
    at: Array
    index: Index
    side: Array
    part: KinkedQuadratic

    def widened(self, wrong: Index) -> _Band:
        """With more rows in the band: what they added to their groups is taken back."""
        more, before = self.whole.taken(wrong), _coupling(self.part)
        terms = replace(
            _coupling(more), gradients=before.gradients, constants=before.constants
        ).with_lines(more.rows, *_on_side(self.side[wrong], more.residual), sign=-1.0)
        side = self.side.copy()
        side[wrong] = 0.0
        index = np.concatenate([self.index, wrong])
        part = self.whole.taken(index)
        coupling = replace(_coupling(part), gradients=terms.gradients, constants=terms.constants)
        return replace(self, index=index, side=side, part=replace(part, coupling=coupling))

    def lost(self, wrong: Index, residual: Array, multipliers: Array) -> float:
        """What rows on the wrong side of their kink cost, at the weights of their groups."""
        here, r, side = self.whole.lagrangian(multipliers), residual[wrong], self.side[wrong]
        kept = here.ends(self.side > 0)[wrong]
        return float((here.kink_values(residual)[wrong] - kept * r).sum(where=side != 0))


def _on_side(side: Array, residual: Array) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Slopes and values of r and |r| for rows that stay on their side."""
    slopes = np.abs(side), side
    return slopes, (slopes[0] * residual, slopes[1] * residual)


def _split(gq: KinkedQuadratic, at: Array, size: int, weight: Array) -> _Band:
    """Step 3: the ``size`` rows nearest to 0 in each output, heavy ones, and all of the penalty.

    Of a heavy group there are as many as a band of its rows alone would have: it is they that keep
    a direction from being without a minimum.
    """
    whole = gq.shifted(at)
    absolute = np.abs(whole.residual)
    limits = np.partition(absolute, size, axis=0)[size]
    inside = (absolute <= limits).any(axis=1) | _of_penalty(gq)
    inside[_heavy_rows(weight, size)] = True
    for rows in _heavy_groups(gq, weight):
        own = int(size * (len(rows) / len(absolute)) ** 0.5)
        nearest = np.argsort(absolute[rows].min(axis=1), kind="stable")
        inside[rows[nearest[:own]]] = True
    index = np.flatnonzero(inside)
    side = np.where(whole.residual > 0, 1.0, -1.0)
    side[index] = 0.0
    linear = _coupling(whole).with_lines(whole.rows, *_on_side(side, whole.residual))
    part = replace(whole.taken(index), coupling=linear.taken(index))
    return _Band(whole, at, index, side, part)


def _solve_band(
    band: _Band, on_rows: Callable[..., KinkedSolution], tol: float, max_iter: int
) -> tuple[KinkedSolution, Array]:
    """Steps 4 and 5, and the better point; with duals of the band only where signs are wrong.

    Signs that lose next to nothing may stay wrong.
    """
    whole, spent, wrong = band.whole, 0, np.zeros(0, dtype=np.intp)
    for _ in range(_ROUNDS):
        if len(wrong):
            band = band.widened(wrong)
        found = on_rows(band.part, band.at, max_iter - spent)
        spent += found.n_iter
        residual = whole.residual - whole.rows.dot(found.delta)
        wrong = np.flatnonzero((residual * band.side < 0).any(axis=1))
        point = band.at + found.delta
        lost = band.lost(wrong, residual, found.multipliers)
        small = lost <= _LOST * tol * abs(found.objective)
        solved = found.gap <= tol * abs(found.objective) and small
        if found.stopped or solved:
            dual = whole.lagrangian(found.multipliers).ends(band.side > 0)
            dual[band.index] = found.dual
            gap = found.gap + lost if solved else np.inf
            return replace(found, delta=point, dual=dual, gap=gap, n_iter=spent), point
        many = not len(wrong) or len(wrong) > _MANY * len(band.index)
        if many or spent >= max_iter:
            break
    price = 1.0 + float(found.multipliers.sum())
    before = whole.merit(np.zeros_like(found.delta), whole.residual, price)
    better = whole.merit(found.delta, residual, price) < before
    return replace(found, n_iter=spent), point if better else band.at
