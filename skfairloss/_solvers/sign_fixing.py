r"""Many more rows than features: fix the sign of clear residuals, solve the band that is left.

Portnoy & Koenker (1997), "The Gaussian hare and the Laplacian tortoise", section 5, with the
smoothed Newton step of Chernozhukov, Fernández-Val & Melly (2022), section 3:

  1. solve a subsample;
  2. take one Newton step on all rows, |r| smoothed within a bandwidth h;
  3. a row whose residual is clearly positive or negative has its dual at that end: all of them
     collapse into one linear term; the K rows nearest to 0 are the band;
  4. solve the band exactly, by `interior_point`;
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

from dataclasses import dataclass, replace

import numpy as np

from skfairloss._core.certificate import measure
from skfairloss._core.solution import Measured
from skfairloss._design.basis import EPS
from skfairloss._design.sample import Sample
from skfairloss._solvers.formulation import Model, Options, Output, Selection, kinked_problem
from skfairloss._solvers.interior_point import interior_point
from skfairloss._solvers.kinked import FLOOR, INNER_TOL
from skfairloss._solvers.piecewise import PiecewiseQuadratic, PiecewiseSolution
from skfairloss._solvers.pilot import pilot
from skfairloss._solvers.smoothed_newton import (
    Smoothed,
    State,
    carried,
    half_width,
    newton_step,
    order_statistic,
    smoothed,
    within,
)
from skfairloss._typing import Array, Index

_BAND = 1.75  # rows in a first band, in units of √(d n) for rows of one weight ...
_WIDEST = 0.1  # ... and at most, as a share of all
_MOVED = 0.25  # ... and at least, as a share of those that a step may take to 0
_FEWEST = 5  # rows in a band for each coordinate, at least, where squares make up for the others
_WARM, _WARM_KNOWN = 0.025, 0.01  # share of rows that a warm start, with duals, may have wrong ...
_CLOSER = 0.5  # ... and its band, relative to a first one
_WIDER = 4  # a band that has failed, to the next
_HEAVY = 4.0  # weight, in means, from which a row may be in every band
_SPLITS = 6  # times that the rows are split anew before the route is given up
_ROUNDS = 8  # times that violators are added to one band
_MANY = 0.2  # violators, as a share of the band, from which it is split anew
_WHOLE = 0.6  # share of the rows from which a band is no gain
_ADJUSTMENTS = 3  # tries for a band of the right size
_ROUNDING = 64 * EPS  # residuals this small, relative to y, are rounding errors of 0
_SPARE = 3.0  # rows at 0 that are kept, relative to what must balance the others
_OFF = 3  # factor by which a band may miss the size aimed at
_FAR = 4.5  # standard deviations that a row may be moved by


@dataclass(frozen=True)
class _Band:
    """The rows near 0, and what the others amount to at a state.

    ``fixed`` holds the duals of all rows of the data, 0 in the band; ``linear`` is minus the
    gradient of all that is smooth or fixed, ``constant`` its value. ``idle`` are rows at 0 beyond
    what a band needs, with the middle of their interval for a dual: they are to stay at 0.
    ``ahead`` is where the band's solution is looked for, relative to the state.
    """

    index: Index
    idle: Index
    fixed: Array
    linear: Array
    constant: float
    ahead: Array

    def with_rows(self, output: Output, state: State, more: Index) -> _Band:
        """The band with more rows."""
        released = self.fixed[more]
        rows = output.rows(more)
        fixed = self.fixed.copy()
        fixed[more] = 0.0
        return replace(
            self,
            index=np.union1d(self.index, more),
            idle=np.setdiff1d(self.idle, more),
            fixed=fixed,
            linear=self.linear - rows.adjoint(released),
            constant=self.constant - float(released @ state.residual[more]),
        )

    def lost(self, output: Output, residual: Array, wrong: Index) -> float:
        """Return the sum of what rows lose whose dual does not go with their residual."""
        r, loss, weights = residual[wrong], output.problem.loss, output.problem.weights[wrong]
        kinks = np.maximum(loss.upper * r, loss.lower * r)
        return float(weights @ kinks - self.fixed[wrong] @ r)


@dataclass(frozen=True)
class _Reach:
    """Rows of a band: so many of those ``near`` 0, and all of more than a weight."""

    near: int
    heavy: float

    def times(self, factor: float) -> _Reach:
        """Wider or narrower."""
        return _Reach(int(factor * self.near), self.heavy / factor)

    def outstanding(self, weights: Array) -> Index:
        """The rows that are in the band by their weight."""
        some = weights.max() > self.heavy
        return np.flatnonzero(weights > self.heavy) if some else np.zeros(0, dtype=np.intp)


def solve_by_signs(
    output: Output, sample: Sample, start: tuple[Array, float] | None, options: Options
) -> tuple[Model | None, int]:
    """An output from a starting model, and the iterations spent; None where the route fails.

    A warm start takes the place of step 1, unless it proves to be far from the optimum.
    """
    reach, spent = _reach(output), 0
    if start is not None and output.problem.l1 > 0:  # columns screened out
        start = np.where(output.basis.norms > 0, start[0], 0.0), start[1]
    kinks = reach.outstanding(output.problem.weights)
    if options.start is not None and start is not None:
        left = output.y[sample.index] - sample.design.predict(*start)
        at = _from_start(output, start, left, kinks, options.start.measured)
        if at is not None:
            model, latest = _solve_ahead(output, at, reach.times(_CLOSER), 0, options)
            if model is not None:
                return model, latest.n_iter
            spent = latest.n_iter
    coef, intercept, h, more = pilot(output, sample, start)
    if h > 0:
        at = smoothed(output, (coef, intercept), h, kinks)
        model, latest = _solve_ahead(output, at, reach, spent + more, options)
        if model is not None:
            return model, latest.n_iter
    else:
        latest = State(coef, intercept, output.residual(coef, intercept), spent + more)
    return _solve_anew(output, latest, options)


def _from_start(
    output: Output,
    start: tuple[Array, float],
    left: Array,
    kinks: Index,
    known: Measured | None,
) -> Smoothed | None:
    """All rows at a warm start; None if many are at 0.

    ``left`` are its residuals in the sample, ``known`` is what was found of it, if it is the
    optimum under another mix.
    """
    h = order_statistic(left, int(_WARM_KNOWN * len(left)))
    at = carried(output, start, h, kinks, known) if h > 0 else None
    if at is not None:
        return at
    h = order_statistic(left, int(_WARM * len(left)))
    return smoothed(output, start, h, kinks) if h > 0 else None


def _solve_ahead(
    output: Output, at: Smoothed, reach: _Reach, spent: int, options: Options
) -> tuple[Model | None, State]:
    """Steps 2 to 5 once; else where they have led."""
    delta, share = newton_step(output, at)
    moved = within(at.state.residual, output.basis.spread(delta) + _shift(output, delta))
    reach = replace(reach, near=max(reach.near, int(_MOVED * len(moved))))
    least = _FEWEST * output.basis.n_coordinates / reach.near
    reach = reach.times(min(1.0, max(share, least)))
    band = _near_band(output, at, delta, reach)
    if band is None:
        limit = at.distance(reach.near)
        model = _moved(output, at.state.coef, at.state.intercept, delta)
        state, band = _split(output, model, reach, limit)
    else:
        state = at.state
    return _solve_band(output, replace(state, n_iter=spent), band, options)


def solve_near(
    output: Output, start: tuple[Array, float], size: int, options: Options
) -> tuple[Model | None, int]:
    """Steps 3 to 5 from a model close to the optimum, with so many rows in a first band."""
    if size >= _WHOLE * len(output.y):
        return None, 0
    limit = order_statistic(output.residual(*start), size)
    return _solve_bands(output, start, _Reach(size, 1.0 / size), limit, 0, options)


def _solve_anew(output: Output, latest: State, options: Options) -> tuple[Model | None, int]:
    """Steps 3 to 5 from where a first band has led."""
    reach = _reach(output).times(_WIDER)
    limit = order_statistic(latest.residual, min(reach.near, len(output.y) - 1))
    start = latest.coef, latest.intercept
    return _solve_bands(output, start, reach, limit, latest.n_iter, options)


def _solve_bands(
    output: Output,
    start: tuple[Array, float],
    reach: _Reach,
    limit: float,
    spent: int,
    options: Options,
) -> tuple[Model | None, int]:
    """Steps 3 to 5, split anew as often as that is of use."""
    n, (coef, intercept) = len(output.y), start
    for _ in range(_SPLITS):
        if reach.near >= _WHOLE * n or spent >= options.max_iter:
            break
        state, band = _split(output, (coef, intercept), reach, limit)
        model, latest = _solve_band(output, replace(state, n_iter=spent), band, options)
        if model is not None:
            return model, latest.n_iter
        reach = reach.times(_WIDER)
        coef, intercept, spent = latest.coef, latest.intercept, latest.n_iter
        limit = order_statistic(latest.residual, min(reach.near, n - 1))
    return None, spent


def _reach(output: Output) -> _Reach:
    """A first band: as many rows as the error of a model from all rows could move.

    Under unequal weights that error is as large as from 1 / Σv² rows of one weight. What the
    heaviest rows add to it is spared where they are in the band themselves: as many as make the
    band smallest.
    """
    n, d, weights = len(output.y), output.basis.n_coordinates, output.problem.weights
    squares = float(weights @ weights)
    near, heavy = _BAND * n * (d * squares) ** 0.5, np.inf
    if weights.max() * near > 1.0:
        weight = -np.sort(-weights[weights > _HEAVY / n])
        left = np.maximum(squares - np.cumsum(weight * weight), 0.0)
        below = np.append(weight[1:], _HEAVY / n)
        sizes = np.where(weight > below, _BAND * n * np.sqrt(d * left), np.inf)
        count = int(np.argmin(np.append(sizes + np.arange(1, len(sizes) + 1), near)))
        if count < len(sizes):
            near, heavy = float(sizes[count]), float(below[count])
    near = max(20 * d, min(near, _WIDEST * n))
    return _Reach(int(near), min(heavy, 1.0 / near))


def _moved(output: Output, coef: Array, intercept: float, delta: Array) -> tuple[Array, float]:
    """The model at θ + δ."""
    change, shift = output.basis.to_model(delta)
    return coef + change, intercept + float(shift)


def _shift(output: Output, delta: Array) -> float:
    """Return the length by which a step moves all rows alike."""
    return abs(float(delta[-1])) if output.basis.fit_intercept else 0.0


def _near_band(output: Output, at: Smoothed, delta: Array, reach: _Reach) -> _Band | None:
    """Step 3 for what a Newton step leads to: only rows that it can take to 0 are looked at again.

    None where these rows may not hold the band that is wanted, as where many lie at 0.
    """
    problem, state, size = output.problem, at.state, reach.near
    weights, loss = problem.weights, problem.loss
    limit = at.distance(size)
    spread, shift = output.basis.spread(delta), _shift(output, delta)
    far = max(limit + shift + _FAR * spread, at.h)
    close = within(state.residual, far)
    if len(at.kinks):
        close = np.setdiff1d(close, at.kinks, assume_unique=True)
    inside, slope = np.empty(len(close), dtype=bool), at.slope

    def score(rows: slice, residual: Array) -> tuple[Array, Array]:
        """Return the change of slope of each row."""
        index = close[rows]
        here = np.abs(residual) <= limit
        ends = np.where(residual > 0, loss.upper, loss.lower) * weights[index]
        ends[here] = 0.0
        change = ends - slope[index]
        inside[rows], slope[index] = here, ends
        return change, np.array([change.sum(), change @ state.residual[index]])

    model = _moved(output, state.coef, state.intercept, delta)
    _, adjoint, (total, value) = problem.design.sweep(output.y[close], *model, score, close)
    count = int(inside.sum())
    if limit <= _rounding(output) or not size / _OFF <= count <= _OFF * size:
        return None
    return _Band(
        np.sort(np.append(close[inside], at.kinks)),
        np.zeros(0, dtype=np.intp),
        slope,
        at.linear + output.basis.pull_back(adjoint, float(total)),
        at.constant + float(value),
        delta,
    )


def _rounding(output: Output) -> float:
    """Residuals up to this are rounding errors of 0."""
    sample, y = output.problem.sample, output.y
    some = y if sample is None else y[sample.index]
    return _ROUNDING * order_statistic(some, len(some) // 2)


def _split(
    output: Output, model: tuple[Array, float], reach: _Reach, limit: float
) -> tuple[State, _Band]:
    """Step 3: the rows nearest to 0, and the duals of the others, in one pass.

    How far the band reaches is known from another model; where its size is not what it should be,
    the residuals found decide.
    """
    weights, size = output.problem.weights, reach.near
    outstanding = len(reach.outstanding(weights))
    heaviest = reach.heavy if outstanding else np.inf
    rounding = _rounding(output)
    limit = max(limit, rounding)
    for _ in range(_ADJUSTMENTS):
        state, band = _split_at(output, model, limit, heaviest)
        count = len(band.index) - outstanding
        if size / _OFF <= count <= _OFF * size:
            break
        exact = order_statistic(state.residual, size)
        limit = max(exact, rounding)
        if count > size and exact <= rounding:
            push = float(np.linalg.norm(band.linear)) / (half_width(output) * float(weights.mean()))
            thin = count // max(size, int(_SPARE * push))
            return state, _thinned(output, state, band, heaviest, thin) if thin > 1 else band
    return state, band


def _thinned(output: Output, state: State, band: _Band, heaviest: float, thin: int) -> _Band:
    """A band of which one row of each ``thin`` stays, and all heavy ones; the others are idle."""
    problem, weights = output.problem, output.problem.weights
    heavy = weights[band.index] > heaviest
    light = band.index[~heavy]
    taken = np.sort(np.append(light[::thin], band.index[heavy]))
    idle = np.setdiff1d(band.index, taken, assume_unique=True)
    middle = 0.5 * (problem.loss.upper + problem.loss.lower)
    band.fixed[idle] = middle * weights[idle]
    thinner = replace(band, index=taken, idle=idle)
    if middle == 0:
        return thinner
    u = np.zeros(len(weights))
    u[idle] = band.fixed[idle]
    pull = output.basis.pull_back(problem.design.adjoint(u), float(u.sum()))
    value = band.constant + float(u @ state.residual)
    return replace(thinner, linear=band.linear + pull, constant=value)


def _split_at(
    output: Output, model: tuple[Array, float], limit: float, heaviest: float
) -> tuple[State, _Band]:
    """A band of all rows with |r| <= limit, and of heavy rows."""
    problem, weights = output.problem, output.problem.weights
    loss, steep, fixed = problem.loss, problem.loss.curvature, np.empty(len(weights))
    inside: list[Index] = []

    def score(rows: slice, residual: Array) -> tuple[Array, Array]:
        here = fixed[rows]
        np.multiply(np.where(residual > 0, loss.upper, loss.lower), weights[rows], out=here)
        near = np.abs(residual) <= limit
        if heaviest < np.inf:
            near |= weights[rows] > heaviest
        taken = np.flatnonzero(near)
        here[taken] = 0.0
        inside.append(taken + rows.start)
        u = here if steep == 0 else here + steep * weights[rows] * residual
        return u, np.array([u.sum(), here @ residual])

    residual, adjoint, (total, value) = problem.design.sweep(output.y, *model, score)
    constant = output.squares(model[0], residual) + float(value)
    linear = output.downhill(model[0], adjoint, float(total))
    ahead = np.zeros(output.basis.n_coordinates)
    index, none = np.concatenate(inside), np.zeros(0, dtype=np.intp)
    band = _Band(index, none, fixed, linear, constant, ahead)
    return State(*model, residual, 0), band


def _solve_band(
    output: Output, state: State, band: _Band, options: Options
) -> tuple[Model | None, State]:
    """Steps 4 and 5; no model, but a better state, where too many signs were wrong."""
    latest = state
    for _ in range(_ROUNDS):
        pq = _band_problem(output, state, band)
        ahead = _moved(output, state.coef, state.intercept, band.ahead)
        found = interior_point(
            pq,
            tol=INNER_TOL * options.tol,
            floor=FLOOR * pq.unit,
            max_iter=options.after(latest.n_iter).max_iter,
            bounded=False,
            on_iteration=options.watch(output, *ahead),
        )
        coef, intercept = _moved(output, *ahead, found.delta)
        measured, wrong = _verify(output, (coef, intercept), band, found)
        latest = State(coef, intercept, measured.residual[:, 0], latest.n_iter + found.n_iter)
        size = max(pq.objective(found.delta), FLOOR * pq.unit, 1e-300)
        lost = band.lost(output, latest.residual, wrong)
        right = lost <= INNER_TOL * options.tol * size and found.gap <= options.tol * size
        if found.stopped or right:
            relative = (found.gap + lost) / size if right else np.inf
            return _model(latest, band, found, relative, measured), latest
        many = not len(wrong) or len(wrong) > _MANY * len(band.index)
        if many or latest.n_iter >= options.max_iter:
            break
        band = band.with_rows(output, state, wrong)
    before = output.objective(state.coef, state.residual)
    better = output.objective(latest.coef, latest.residual) < before
    return None, latest if better else replace(state, n_iter=latest.n_iter)


def _band_problem(output: Output, state: State, band: _Band) -> PiecewiseQuadratic:
    """Step 4's problem, relative to where its solution is looked for."""
    basis, problem = output.basis, output.problem
    rows = output.rows(band.index)
    pq = kinked_problem(
        output,
        state.coef,
        Selection(rows, state.residual[band.index], problem.weights[band.index]),
        hessian=output.hessian(basis.full_gram()),
        linear=band.linear,
        constant=band.constant,
    )
    return pq.shifted(band.ahead) if band.ahead.any() else pq


def _verify(
    output: Output, model: tuple[Array, float], band: _Band, found: PiecewiseSolution
) -> tuple[Measured, Index]:
    """Step 5 in the certificate's own pass over X; also the rows whose sign is wrong."""
    problem, steep = output.alone, output.problem.loss.curvature
    weights, fixed = problem.weights, band.fixed
    z, wrong = np.empty((len(weights), 1)), []
    fixed[band.index] = found.dual[: len(band.index)]

    def duals_at(rows: slice, residual: Array) -> Array:
        here, r = z[rows], residual[:, 0]
        np.divide(fixed[rows], weights[rows], out=here[:, 0])
        if steep > 0:
            here += steep * residual
        wrong.append(np.flatnonzero(r * fixed[rows] < 0) + rows.start)
        return here

    measured = measure(problem, model[0][:, None], np.array([model[1]]), z, duals_at)
    fixed[band.index] = 0.0
    listed = np.zeros(len(weights), dtype=bool)
    listed[np.concatenate(wrong)] = True
    listed[band.index] = False
    listed[band.idle] = measured.residual[band.idle, 0] != 0
    return measured, np.flatnonzero(listed)


def _model(
    latest: State,
    band: _Band,
    found: PiecewiseSolution,
    gap: float,
    measured: Measured,
) -> Model:
    """The model of a band's solution; its duals are put into the band's own array."""
    data, penalty = np.split(found.dual, [len(band.index)])
    band.fixed[band.index] = data
    return Model(
        latest.coef,
        latest.intercept,
        latest.residual,
        np.concatenate([band.fixed, penalty]) if len(penalty) else band.fixed,
        gap,
        found.stopped,
        np.append(band.index, band.idle) if np.isfinite(gap) else None,
        measured,
    )
