r"""Many more rows than features under group losses: fix clear signs, solve the band that is left.

As `sign_fixing`, with the groups kept apart: a row that is clearly on one side of its kink adds a
linear term to the loss of its own group, whatever weight the group ends up with. So

  1. solve a subsample in which every group is present, its slopes scaled up to the whole group;
  2. replace every group's loss by a quadratic at this point, |r| smoothed within a bandwidth h, and
     solve the problem of group losses for these: it has no rows. Twice, h smaller the second time,
     and where rows are very many and λ < 1 the first time for a larger subsample;
  3. collapse each group's clear rows into its linear term; the rows nearest to 0 are the band;
  4. solve the band exactly, by `interior_point`: multipliers and model together;
  5. verify the signs of all other rows in one pass; move violators into the band and repeat 4.

Where many signs are wrong, or the band has no minimum, the rows are split anew at the better point,
with a band four times as wide. Steps 2, 3 and 5 make one pass over X each: bandwidths and limits
come from the residuals of some rows, and step 5 is the certificate's own pass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from skfairloss._design import sorted_by_group
from skfairloss._problem import Measured
from skfairloss._sample import sample_size, smallest_sample
from skfairloss._solvers.coupling import ABSOLUTE, SIGNED, Coupling
from skfairloss._solvers.dual_newton import dual_newton
from skfairloss._solvers.interior_point import interior_point
from skfairloss._solvers.kinked import KinkedQuadratic, KinkedSolution
from skfairloss._solvers.tolerances import TINY
from skfairloss._typing import Array, Index, Mask

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
    gq: KinkedQuadratic,
    *,
    tol: float,
    floor: float,
    max_iter: int,
    crossover: bool = True,
    on_iteration: Callable[[KinkedSolution], bool] | None = None,
    start: KinkedSolution | None = None,
    measure: Measure | None = None,
) -> KinkedSolution:
    """`interior_point` on all rows, or on the few that matter where there are many.

    Parameters
    ----------
    start : of a problem close to this one, which takes the place of step 1 and the first of step 2.
    measure : the certificate's pass for δ, multipliers and duals (N, m) of all rows. None where it
        is not wanted.
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
    found = on_rows(gq, allowed=max_iter - spent)
    return replace(found, n_iter=found.n_iter + spent)


def _from_nothing(gq: KinkedQuadratic, size: int) -> tuple[Array, Array | None, int]:
    """Do steps 1 and 2. Return the point (d, m), the multipliers and the iterations spent."""
    n, d = gq.rows.n_rows, gq.rows.n_columns
    # at λ = 1 nothing but signs bends the loss: a subsample's point is too far off to spare a pass
    many = _coupling(gq).grams is not None and n >= _FEW * sample_size(n, d)
    some = _subsample(gq, sample_size(n, d)) if many else gq
    found = _rough(_subsample(some, smallest_sample(d)))
    at, multipliers, spent = found.delta, found.multipliers, found.n_iter
    parts = [(some, _SMOOTHED[0])] * (2 if many else 1) + [(gq, _SMOOTHED[1])]
    # with several outputs the quadratics of step 2 would differ between them
    for part, share in parts if gq.residual.shape[1] == 1 else ():
        heavy = _heavy_rows(_row_weights(part, multipliers), size)
        step = _rough(_smoothed(part, at, share, heavy))
        at, multipliers, spent = at + step.delta, step.multipliers, spent + step.n_iter
    return at, multipliers, spent


def _from_start(
    gq: KinkedQuadratic, start: KinkedSolution, guess: Array | None, size: int
) -> tuple[Array, Array | None, int]:
    """Do the last of step 2 from a close point; return the better of both, as `_from_nothing`."""
    if gq.residual.shape[1] > 1:
        return start.delta, guess, 0
    heavy = _heavy_rows(_row_weights(gq, guess), size)
    step = _rough(_smoothed(gq, start.delta, _SMOOTHED[1], heavy), _NEAR_ITER, guess)
    price = 1.0 + float(start.multipliers.sum())
    at = min(  # so close that smoothing may be the larger error
        (start.delta, start.delta + step.delta),
        key=lambda delta: gq.merit(delta, gq.residual - gq.rows.dot(delta), price),
    )
    return at, step.multipliers, step.n_iter


def has_many_rows(n: int, d: int) -> bool:
    """Return True where n rows with a kink are at least twice as many as the subsample has."""
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


def _subsample(gq: KinkedQuadratic, size: int) -> KinkedQuadratic:
    """Return the problem of some rows, with shares scaled up to their groups."""
    index, factor = _draw(gq, size)
    part, coupling = gq.taken(index), _coupling(gq).taken(index)
    return replace(part, coupling=replace(coupling, share=coupling.share * factor))


def _draw(gq: KinkedQuadratic, size: int) -> tuple[Index, Array]:
    """Return rows of the subsample, and what their shares are multiplied by, (size,).

    Rows are drawn in proportion to their shares; those of no group (the penalty) are all there.
    """
    coupling = _coupling(gq)
    rng, codes, last = np.random.default_rng(0), coupling.codes, coupling.n_groups
    width = coupling.share
    ends = np.cumsum(width)
    parts = [np.searchsorted(ends, np.sort(rng.random(size)) * ends[-1], side="right")]
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
    """Return the groups of a problem that has some."""
    assert gq.coupling is not None
    return gq.coupling


def _of_penalty(gq: KinkedQuadratic) -> Mask:
    """Return the rows of no group, (N,)."""
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


def _look(gq: KinkedQuadratic, delta: Array) -> tuple[Array, Array | None]:
    """Return |r| at δ of rows that stand for all, (s, m), and r (N, m) of all.

    None for the latter where one pass can serve residuals and pulls: some rows are drawn then,
    since data may be periodic.
    """
    n = gq.rows.n_rows
    if n <= _MANY_ROWS * _SOME or gq.residual.shape[1] > 1:
        residual = gq.residual - gq.rows.dot(delta)
        return np.abs(residual), residual
    index = np.unique(np.random.default_rng(0).integers(0, n, _SOME))
    return np.abs(gq.residual[index] - gq.rows.take(index) @ delta), None


# For a block of rows and their residuals (k, m): slopes and values that take the places of |r|,
# (k, m), and which rows stay as they are, (k,).
Terms = Callable[[slice, Array], tuple[Array, Array, Mask]]


def _with_terms(
    gq: KinkedQuadratic, delta: Array, residual: Array | None, terms: Terms
) -> KinkedQuadratic:
    """Return the problem relative to δ, with linear terms for all rows but those that stay.

    The rows are still there. ``residual`` (N, m) at δ as `_look` has it; if it is None one pass
    gives residuals and sums.
    """
    coupling, n = _coupling(gq), gq.rows.n_rows
    if residual is not None:
        slope, value, kept = terms(slice(0, n), residual)
        signed = np.broadcast_to(1.0 - kept[:, None], slope.shape)
        here = gq.shifted(delta, residual)
        linear = _coupling(here).with_lines(gq.rows, (signed, slope), (signed * residual, value))
        return replace(here, coupling=linear)
    signed, sums = np.ones((n, 1)), np.zeros((2, coupling.n_groups + 1))

    def slopes(rows: slice, r: Array) -> Array:
        slope, value, kept = terms(rows, r)
        share, codes = coupling.share[rows, None], coupling.codes[rows]
        signed[rows][kept] = 0.0
        sums[ABSOLUTE] += np.bincount(codes, (share * value)[:, 0], coupling.n_groups + 1)
        sums[SIGNED] += np.bincount(codes, (share * signed[rows] * r)[:, 0], coupling.n_groups + 1)
        return share * slope

    residual, pulls = gq.rows.sweep_by_group(gq.residual, delta, slopes, coupling.membership)
    here = gq.shifted(delta, residual)
    gradients, constants = _coupling(here).gradients, _coupling(here).constants
    gradients[ABSOLUTE] += pulls[:-1, :, None]
    constants[ABSOLUTE] += sums[ABSOLUTE, :-1, None]
    if coupling.tilted:
        gradients[SIGNED] += coupling.row_pulls(gq.rows, signed)
        constants[SIGNED] += sums[SIGNED, :-1, None]
    return here


def _smoothed(gq: KinkedQuadratic, delta: Array, narrow: float, heavy: Index) -> KinkedQuadratic:
    """Return step 2's problem of one output, relative to δ: a quadratic for each group.

    Heavy rows and those of a penalty stay as they are. h is ``narrow`` times what covers the error
    of a model from the subsample. Within ±h the kink |r| is replaced by r²/2h + h/2.
    """
    d, coupling = gq.rows.n_columns, _coupling(gq)
    share = narrow * min(0.5, max(0.03, 3 * (d / smallest_sample(d)) ** 0.5))
    some, residual = _look(gq, delta)
    rank = int(share * len(some))
    h = max(float(np.partition(some[:, 0], rank)[rank]), TINY)
    stays, near = _of_penalty(gq), []
    stays[heavy] = True

    def terms(rows: slice, r: Array) -> tuple[Array, Array, Mask]:
        away, kept = np.abs(r), stays[rows]
        smooth = away < h
        value = np.where(smooth, 0.5 * (r * r / h + h), away)
        slope = np.clip(r / h, -1.0, 1.0)
        slope[kept], value[kept] = 0.0, 0.0
        near.append(rows.start + np.flatnonzero(smooth[:, 0] & ~kept))
        return slope, value, kept

    here, index = _with_terms(gq, delta, residual, terms), np.flatnonzero(stays)
    grams = _near_grams(gq, np.concatenate(near), coupling.share / h)
    part = here.taken(index)
    return replace(part, coupling=replace(_coupling(part), near=grams))


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
        """Return the band with more rows: what they added to their groups is taken back."""
        more, before, side = self.whole.taken(wrong), _coupling(self.part), self.side[wrong]
        slopes = np.abs(side), side
        values = slopes[0] * more.residual, slopes[1] * more.residual
        terms = replace(
            _coupling(more), gradients=before.gradients, constants=before.constants
        ).with_lines(more.rows, slopes, values, sign=-1.0)
        sides = self.side.copy()
        sides[wrong] = 0.0
        index = np.concatenate([self.index, wrong])
        part = self.whole.taken(index)
        coupling = replace(_coupling(part), gradients=terms.gradients, constants=terms.constants)
        return replace(self, index=index, side=sides, part=replace(part, coupling=coupling))

    def dual(self, found: KinkedSolution) -> Array:
        """Return the duals of all rows, (N, m), for a solution of the band."""
        out = self.whole.lagrangian(found.multipliers).ends(self.side > 0)
        out[self.index] = found.dual
        return out

    def lost(self, wrong: Index, residual: Array, multipliers: Array) -> float:
        """What rows on the wrong side of their kink cost, at the weights of their groups."""
        here, side = self.whole.taken(wrong).lagrangian(multipliers), self.side[wrong]
        r = residual[wrong]
        return float((here.kink_values(r) - here.ends(side > 0) * r).sum(where=side != 0))


def _split(gq: KinkedQuadratic, at: Array, size: int, weight: Array) -> _Band:
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


def _split_at(gq: KinkedQuadratic, at: Array, residual: Array | None, limits: Array) -> _Band:
    """Split at a point, with |r| <= limits (m,) in any output in the band, in one pass."""
    side, penalty = np.empty_like(gq.residual), _of_penalty(gq)
    inside: list[Index] = []

    def terms(rows: slice, r: Array) -> tuple[Array, Array, Mask]:
        here = side[rows]
        near = (np.abs(r) <= limits).any(axis=1) | penalty[rows]
        here[:] = np.where(r > 0, 1.0, -1.0)
        here[near] = 0.0
        inside.append(rows.start + np.flatnonzero(near))
        return here, here * r, near

    moved = _with_terms(gq, at, residual, terms)
    index = np.concatenate(inside)
    return _Band(gq.shifted(at, moved.residual), at, index, side, moved.taken(index))


def _solve_band(
    band: _Band,
    on_rows: Callable[..., KinkedSolution],
    measure: Measure | None,
    tol: float,
    max_iter: int,
) -> tuple[KinkedSolution, Array]:
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
        dual = band.dual(found)
        if measure is None:
            residual = whole.residual - whole.rows.dot(found.delta)
        else:
            measured = measure(point, found.multipliers, dual)
            found, residual = replace(found, measured=measured), measured.residual
        wrong = np.flatnonzero((residual * band.side < 0).any(axis=1))
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
