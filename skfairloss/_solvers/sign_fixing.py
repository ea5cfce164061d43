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
penalties are rows that are always in the band, and a large subsample is solved like the whole (a
smaller one, then smoothed Newton steps). Where many signs are wrong (ties, a poor subsample), or
the band has no minimum, the rows are split anew at the latest model, with a band four times as
wide. Steps 2, 3 and 5 make one pass over X each. At λ = 1 nothing else does: coordinates come from
the subsample.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from skfairloss._basis import EPS
from skfairloss._sample import Sample
from skfairloss._solvers.formulation import Model, Options, Output, Selection, kinked_problem
from skfairloss._solvers.interior_point import interior_point
from skfairloss._solvers.kinked import FLOOR, INNER_TOL
from skfairloss._solvers.piecewise import PiecewiseQuadratic, PiecewiseSolution
from skfairloss._solvers.pilot import PILOT_TOL, half_width, order_statistic, pilot, smoothed_slope
from skfairloss._typing import Array, Index

_BAND = 1.5  # rows in a first band, in units of √(d n) for rows of one weight ...
_WIDEST = 0.1  # ... and at most, as a share of all
_SPLITS = 6  # times that the rows are split anew before the route is given up
_ROUNDS = 8  # times that violators are added to one band
_MANY = 0.2  # violators, as a share of the band, from which it is split anew
_WHOLE = 0.6  # share of the rows from which a band is no gain
_ADJUSTMENTS = 3  # tries for a band of the right size
_ROUNDING = 64 * EPS  # residuals this small, relative to y, are rounding errors of 0
_SPARE = 3.0  # rows at 0 that are kept, relative to what must balance the others
_OFF = 3  # factor by which a band may miss the size aimed at
_ENOUGH = 200  # rows per coordinate that settle a matrix of second derivatives


@dataclass(frozen=True)
class _State:
    """A model with its residuals (n,), and the iterations spent so far."""

    coef: Array
    intercept: float
    residual: Array
    n_iter: int

    def moved(self, output: Output, delta: Array, n_iter: int) -> _State:
        """The model at θ + δ, with its residuals."""
        coef, intercept = _moved(output, self.coef, self.intercept, delta)
        residual = output.residual(coef, intercept)
        return _State(coef, intercept, residual, self.n_iter + n_iter)


@dataclass(frozen=True)
class _Band:
    """The rows near 0, and what the others amount to at a state.

    ``fixed`` holds the duals of all rows of the data, 0 in the band; ``linear`` is minus the
    gradient of all that is smooth or fixed, ``constant`` its value. ``idle`` are rows at 0 beyond
    what a band needs, with the middle of their interval for a dual: they are to stay at 0.
    """

    index: Index
    idle: Index
    fixed: Array
    linear: Array
    constant: float

    def with_rows(self, output: Output, state: _State, more: Index) -> _Band:
        """The band with more rows."""
        released = self.fixed[more]
        rows = output.rows(more)
        fixed = self.fixed.copy()
        fixed[more] = 0.0
        return _Band(
            np.union1d(self.index, more),
            np.setdiff1d(self.idle, more),
            fixed,
            self.linear - rows.adjoint(released),
            self.constant - float(released @ state.residual[more]),
        )

    def wrong(self, output: Output, residual: Array) -> tuple[Index, float]:
        """Rows whose dual does not go with their residual, and what that loses."""
        wrong = np.flatnonzero(residual * self.fixed < 0)
        if len(self.idle):
            wrong = np.union1d(wrong, self.idle[residual[self.idle] != 0])
        r, loss, weights = residual[wrong], output.problem.loss, output.problem.weights[wrong]
        lost = weights @ np.maximum(loss.upper * r, loss.lower * r) - self.fixed[wrong] @ r
        return wrong, float(lost)


def solve_by_signs(
    output: Output, sample: Sample, start: tuple[Array, float] | None, options: Options
) -> tuple[Model | None, int]:
    """An output from a starting model, and the iterations spent; None where the route fails.

    A warm start takes the place of steps 1 and 2.
    """
    size = _band_size(output)
    if start is not None and output.problem.l1 > 0:  # columns screened out
        start = np.where(output.basis.norms > 0, start[0], 0.0), start[1]
    if options.warm and start is not None:
        return solve_near(output, start, size, options)
    coef, intercept, h, spent = pilot(output, sample, start)
    coef, intercept, limit = _newton(output, coef, intercept, h, size)
    return _solve_bands(output, (coef, intercept), size, limit, spent, options)


def solve_near(
    output: Output, start: tuple[Array, float], size: int, options: Options
) -> tuple[Model | None, int]:
    """Steps 3 to 5 from a model close to the optimum, with so many rows in a first band."""
    if size >= _WHOLE * len(output.y):
        return None, 0
    limit = order_statistic(output.residual(*start), size)
    return _solve_bands(output, start, size, limit, 0, options)


def _solve_bands(
    output: Output,
    start: tuple[Array, float],
    size: int,
    limit: float,
    spent: int,
    options: Options,
) -> tuple[Model | None, int]:
    """Steps 3 to 5, split anew as often as that is of use."""
    n, (coef, intercept) = len(output.y), start
    for _ in range(_SPLITS):
        if size >= _WHOLE * n or spent >= options.max_iter:
            break
        state, band = _split(output, (coef, intercept), size, limit)
        model, latest = _solve_band(output, replace(state, n_iter=spent), band, options)
        if model is not None:
            return model, latest.n_iter
        size *= 4
        coef, intercept, spent = latest.coef, latest.intercept, latest.n_iter
        limit = order_statistic(latest.residual, min(size, n - 1))
    return None, spent


def _band_size(output: Output) -> int:
    """Rows in a first band: as many as the error of a model from all rows could move.

    Under unequal weights that error is as large as from 1 / Σv² rows of one weight.
    """
    n, d, weights = len(output.y), output.basis.n_coordinates, output.problem.weights
    share = min(_BAND * float(d * (weights @ weights)) ** 0.5, _WIDEST)
    return int(max(20 * d, share * n))


def _moved(output: Output, coef: Array, intercept: float, delta: Array) -> tuple[Array, float]:
    """The model at θ + δ."""
    change, shift = output.basis.to_model(delta)
    return coef + change, intercept + float(shift)


def _newton(
    output: Output, coef: Array, intercept: float, h: float, size: int
) -> tuple[Array, float, float]:
    """Step 2: one Newton step on all rows; also how far the ``size`` rows nearest to 0 reach."""
    problem, design, weights = output.problem, output.problem.design, output.problem.weights
    steep, total = problem.loss.curvature / output.c, 0.0
    if h <= 0:
        return coef, intercept, order_statistic(output.residual(coef, intercept), size)

    def score(rows: slice, residual: Array) -> Array:
        nonlocal total
        u = smoothed_slope(output, weights[rows], residual, h)
        if steep > 0:
            u += steep * weights[rows] * residual
        total += float(u.sum())
        return u

    residual, adjoint = design.sweep(output.y, coef, intercept, score)
    gradient = output.downhill(coef, adjoint, total)
    near = np.flatnonzero(np.abs(residual) < h)
    few = near[:: max(1, len(near) // (_ENOUGH * output.basis.n_coordinates))]
    dense = float(weights[near].sum() / max(weights[few].sum(), 1e-300)) * half_width(output) / h
    curvature = output.hessian(output.basis.full_gram())
    curvature = curvature + design.rows(output.basis, few).gram(weights[few] * dense)
    if problem.l1 == 0:
        delta = np.linalg.lstsq(curvature, gradient, rcond=None)[0]
    else:
        constant = output.objective(coef, residual)
        pq = kinked_problem(
            output, coef, None, hessian=curvature, linear=gradient, constant=constant
        )
        delta = interior_point(pq, tol=PILOT_TOL, floor=0.0, max_iter=50).delta
    return *_moved(output, coef, intercept, delta), order_statistic(residual, size)


def _split(
    output: Output, model: tuple[Array, float], size: int, limit: float
) -> tuple[_State, _Band]:
    """Step 3: the rows nearest to 0, and the duals of the others, in one pass.

    How far the band reaches is known from another model; where its size is not what it should be,
    the residuals found decide.
    """
    weights = output.problem.weights
    heaviest, thin = 1.0 / size if weights.max() * size > 1.0 else np.inf, 1
    rounding = _ROUNDING * float(np.median(np.abs(output.y)))
    limit = max(limit, rounding)
    for _ in range(_ADJUSTMENTS):
        state, band = _split_at(output, model, limit, heaviest, thin)
        count = len(band.index)
        if size / _OFF <= count <= _OFF * size:
            break
        exact = order_statistic(state.residual, size)
        limit = max(exact, rounding)
        if count > size and exact <= rounding and thin == 1:
            push = float(np.linalg.norm(band.linear)) / (half_width(output) * float(weights.mean()))
            thin = max(1, count // max(size, int(_SPARE * push)))
    return state, band


def _split_at(
    output: Output, model: tuple[Array, float], limit: float, heaviest: float, thin: int
) -> tuple[_State, _Band]:
    """A band of rows with |r| <= limit, and of the heaviest: what no others could make up for.

    Of each ``thin`` such rows one is taken, the others are idle.
    """
    problem, weights = output.problem, output.problem.weights
    loss, steep, total = problem.loss, problem.loss.curvature / output.c, 0.0
    fixed = np.empty(len(weights))
    middle = 0.5 * (loss.upper + loss.lower)
    inside: list[Index] = []
    idle: list[Index] = [np.zeros(0, dtype=np.intp)]

    def score(rows: slice, residual: Array) -> Array:
        nonlocal total
        here = fixed[rows]
        np.multiply(np.where(residual > 0, loss.upper, loss.lower), weights[rows], out=here)
        close = np.abs(residual) <= limit
        if heaviest < np.inf:
            close |= weights[rows] > heaviest
        near = np.flatnonzero(close)
        here[near] = middle * weights[rows][near]
        taken = near[::thin]
        here[taken] = 0.0
        inside.append(taken + rows.start)
        if thin > 1:
            idle.append(np.setdiff1d(near, taken, assume_unique=True) + rows.start)
        u = here if steep == 0 else here + steep * weights[rows] * residual
        total += float(u.sum())
        return u

    residual, adjoint = problem.design.sweep(output.y, *model, score)
    constant = output.squares(model[0], residual) + float(fixed @ residual)
    linear = output.downhill(model[0], adjoint, total)
    band = _Band(np.concatenate(inside), np.concatenate(idle), fixed, linear, constant)
    return _State(*model, residual, 0), band


def _solve_band(
    output: Output, state: _State, band: _Band, options: Options
) -> tuple[Model | None, _State]:
    """Steps 4 and 5; no model, but a better state, where too many signs were wrong."""
    latest = state
    for _ in range(_ROUNDS):
        pq = _band_problem(output, state, band)
        found = interior_point(
            pq,
            tol=INNER_TOL * options.tol,
            floor=FLOOR * pq.unit,
            max_iter=options.after(latest.n_iter).max_iter,
            bounded=False,
            on_iteration=options.watch(output, state.coef, state.intercept),
        )
        latest = replace(state, n_iter=latest.n_iter).moved(output, found.delta, found.n_iter)
        wrong, lost = band.wrong(output, latest.residual)
        size = max(pq.objective(found.delta), FLOOR * pq.unit, 1e-300)
        right = lost <= INNER_TOL * options.tol * size and found.gap <= options.tol * size
        if found.stopped or right:
            relative = (found.gap + lost) / size if right else np.inf
            dual = _all_duals(band, found)
            model = Model(
                latest.coef,
                latest.intercept,
                latest.residual,
                dual,
                relative,
                found.stopped,
                np.append(band.index, band.idle) if right else None,
            )
            return model, latest
        many = not len(wrong) or len(wrong) > _MANY * len(band.index)
        if many or latest.n_iter >= options.max_iter:
            break
        band = band.with_rows(output, state, wrong)
    before = output.objective(state.coef, state.residual)
    better = output.objective(latest.coef, latest.residual) < before
    return None, latest if better else replace(state, n_iter=latest.n_iter)


def _band_problem(output: Output, state: _State, band: _Band) -> PiecewiseQuadratic:
    """Step 4's problem, relative to the state."""
    basis, problem = output.basis, output.problem
    rows = output.rows(band.index)
    return kinked_problem(
        output,
        state.coef,
        Selection(rows, state.residual[band.index], problem.weights[band.index]),
        hessian=output.hessian(basis.full_gram()),
        linear=band.linear,
        constant=band.constant,
    )


def _all_duals(band: _Band, found: PiecewiseSolution) -> Array:
    """The duals of all rows of the data, in the band's own array, then of the penalty."""
    data, penalty = np.split(found.dual, [len(band.index)])
    band.fixed[band.index] = data
    return np.concatenate([band.fixed, penalty]) if len(penalty) else band.fixed
