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
penalties are rows that are always in the band, and where many signs are wrong (ties, a poor
subsample) the rows are split anew at the latest model, with a band four times as wide.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from skfairloss._solvers.formulation import Model, Options, Output, Selection, formulate
from skfairloss._solvers.interior_point import interior_point
from skfairloss._solvers.kinked import FLOOR, INNER_TOL
from skfairloss._solvers.piecewise import PiecewiseQuadratic, PiecewiseSolution
from skfairloss._typing import Array, Index

_PILOT_TOL = 1e-3
_SPLITS = 6  # times that the rows are split anew before the route is given up
_ROUNDS = 8  # times that violators are added to one band
_MANY = 0.2  # violators, as a share of the band, from which it is split anew
_WHOLE = 0.6  # share of the rows from which a band is no gain


def sample_size(n: int, d: int) -> int:
    """Rows of the subsample."""
    return int(max(100 * d, 2000, (d * n) ** 0.6))


def has_many_rows(output: Output) -> bool:
    """Whether this route applies: kinked rows, at least twice as many as the subsample."""
    n = len(output.y)
    return output.has_kinks and n > 2 * sample_size(n, output.basis.n_coordinates)


@dataclass(frozen=True)
class _State:
    """A model with its residuals (n,), and the iterations spent so far."""

    coef: Array
    intercept: float
    residual: Array
    n_iter: int

    def moved(self, output: Output, delta: Array, n_iter: int = 0) -> _State:
        """The model at θ + δ."""
        change, shift = output.basis.to_model(delta)
        coef, intercept = self.coef + change, self.intercept + float(shift)
        residual = output.y - output.predict(coef, intercept)
        return _State(coef, intercept, residual, self.n_iter + n_iter)


@dataclass(frozen=True)
class _Band:
    """The rows near 0, and the duals of all rows of the data: 0 in the band, else fixed."""

    index: Index
    fixed: Array


def solve_by_signs(
    output: Output, start: tuple[Array, float], options: Options
) -> tuple[Model | None, int]:
    """An output from a starting model, and the iterations spent; None where the route fails.

    A warm start takes the place of steps 1 and 2.
    """
    coef, intercept = start
    if output.problem.l1 > 0:
        coef = np.where(output.basis.norms > 0, coef, 0.0)  # columns screened out
    state = _State(coef, intercept, output.y - output.predict(coef, intercept), 0)
    if not options.warm:
        state = _newton(output, _subsample(output, state))
    n, d = len(output.y), output.basis.n_coordinates
    size = int(max(20 * d, 3 * (d * n) ** 0.5))
    for _ in range(_SPLITS):
        if size >= _WHOLE * n or state.n_iter >= options.max_iter:
            break
        model, state = _solve_band(output, state, _split(output, state, size), options)
        if model is not None:
            return model, state.n_iter
        size *= 4
    return None, state.n_iter


def _subsample(output: Output, state: _State) -> _State:
    """Step 1: the absolute part from a subsample, drawn in proportion to the weights."""
    weights, rng = output.problem.weights, np.random.default_rng(0)
    size = sample_size(len(weights), output.basis.n_coordinates)
    if weights.max() == weights.min():
        index = np.sort(rng.choice(len(weights), size, replace=False))
    else:
        index = np.sort(rng.choice(len(weights), size, p=weights))
    rows = output.problem.design.rows(output.basis, index)
    selection = Selection(rows, index, np.full(size, 1.0 / size))
    pq = formulate(output, state.coef, state.residual, selection)
    found = interior_point(pq, tol=_PILOT_TOL, floor=FLOOR * pq.unit, max_iter=50, crossover=False)
    return state.moved(output, found.delta, found.n_iter)


def _newton(output: Output, state: _State) -> _State:
    """Step 2: one Newton step on all rows, the kink replaced by a line within ±h."""
    loss, weights = output.problem.loss, output.problem.weights
    n, d = len(weights), output.basis.n_coordinates
    absolute = np.abs(state.residual)
    share = min(0.5, max(0.03, 3 * (d / sample_size(n, d)) ** 0.5))
    h = _order_statistic(absolute, int(share * n))
    if h <= 0:
        return state
    near = np.flatnonzero(absolute < h)
    middle, half = 0.5 * (loss.upper + loss.lower), 0.5 * (loss.upper - loss.lower)
    slope = weights * (middle + half * np.clip(state.residual / h, -1.0, 1.0))
    basis, design = output.basis, output.problem.design
    gradient = basis.pull_back(design.adjoint(slope), float(slope.sum()))
    gradient += output.smooth_gradient(state.coef, state.residual)
    curvature = output.hessian(basis.full_gram())
    curvature = curvature + design.rows(basis, near).gram(weights[near] * (half / h))
    if output.problem.l1 == 0:
        return state.moved(output, np.linalg.lstsq(curvature, gradient, rcond=None)[0])
    model = PiecewiseQuadratic(
        rows=output.penalty_rows,
        residual=-(basis.norms * state.coef)[output.penalised],
        lower=output.interval[0][n:],
        upper=output.interval[1][n:],
        hessian=curvature,
        linear=gradient,
        constant=_objective(output, state),
    )
    found = interior_point(model, tol=_PILOT_TOL, floor=0.0, max_iter=50)
    return state.moved(output, found.delta, found.n_iter)


def _objective(output: Output, state: _State) -> float:
    """The objective times c, as in `formulation`."""
    problem, c = output.problem, output.c
    loss = float(problem.weights @ problem.loss.value(state.residual / c))
    return c * (loss + float(problem.penalty(state.coef[:, None])[0]))


def _order_statistic(values: Array, rank: int) -> float:
    return float(np.partition(values, rank)[rank])


def _split(output: Output, state: _State, size: int) -> _Band:
    """Step 3: the rows nearest to 0, and the duals of the others."""
    absolute = np.abs(state.residual)
    index = np.flatnonzero(absolute <= _order_statistic(absolute, size))
    lower, upper = (end[: len(absolute)] for end in output.interval)
    fixed = np.where(state.residual > 0, upper, lower)
    fixed[index] = 0.0
    return _Band(index, fixed)


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
            on_iteration=options.watch(output, state.coef, state.intercept),
        )
        spent = latest.n_iter + found.n_iter
        latest = replace(state.moved(output, found.delta), n_iter=spent)
        wrong = np.flatnonzero(latest.residual * band.fixed < 0)
        if found.stopped or not len(wrong):
            relative = found.gap / max(pq.objective(found.delta), FLOOR * pq.unit)
            model = Model(
                latest.coef,
                latest.intercept,
                latest.residual,
                _all_duals(band, found),
                np.inf if len(wrong) else relative,
                found.stopped,
            )
            return model, latest
        if len(wrong) > _MANY * len(band.index) or spent >= options.max_iter:
            break
        fixed = band.fixed.copy()
        fixed[wrong] = 0.0
        band = _Band(np.union1d(band.index, wrong), fixed)
    better = latest if _objective(output, latest) < _objective(output, state) else state
    return None, replace(better, n_iter=latest.n_iter)


def _band_problem(output: Output, state: _State, band: _Band) -> PiecewiseQuadratic:
    """Step 4's problem, relative to the state."""
    basis, design = output.basis, output.problem.design
    outside = basis.pull_back(design.adjoint(band.fixed), float(band.fixed.sum()))
    rows = design.rows(basis, band.index)
    selection = Selection(rows, band.index, None, outside)
    pq = formulate(output, state.coef, state.residual, selection)
    # fixed rows contribute a r, which the linear term continues
    return replace(pq, constant=pq.constant + float(band.fixed @ state.residual))


def _all_duals(band: _Band, found: PiecewiseSolution) -> Array:
    """The duals of all rows of the data, then of the penalty."""
    data = band.fixed.copy()
    data[band.index] = found.dual[: len(band.index)]
    return np.concatenate([data, found.dual[len(band.index) :]])
