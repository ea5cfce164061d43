"""The tie rule for rows elsewhere: `ties` on the rows of a band, checked by passes over all others.

Rows held at 0 are in the band, so that it tells whether an optimum is unique. Where it is not, the
second moments of all rows make the quadratic of the rule, and each pass over a model that the rule
may name brings the rows that it takes to their other side: cuts that have been missing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from skfairloss._design.moments import GroupMoments
from skfairloss._design.rows import DenseRows, StackedRows
from skfairloss._rows.facts import moments_of
from skfairloss._rows.kernels import Look
from skfairloss._rows.searches import Request, Search
from skfairloss._solvers.kinked import KinkedQuadratic, KinkedSolution
from skfairloss._solvers.row_forms import Gathered, Measured, OutputForm
from skfairloss._solvers.row_search import measured_as, wrong_rows
from skfairloss._solvers.ties import Face, directions_at, is_inside, open_directions, sides_of
from skfairloss._solvers.tolerances import ROUNDS
from skfairloss._typing import Array, Index

Settle = Callable[[OutputForm, Measured], Search[tuple[Measured, bool]]]


def settle_tie(form: OutputForm, point: Measured) -> Search[tuple[Measured, bool]]:
    """Return the model of one output that the tie rule names, and whether it was reached."""
    solution = point.solution
    possible = open_directions(form.problem, form.whole.basis)
    if solution is None or not possible.shape[1]:
        return point, True
    kq = form.whole.smooth(point.anchor) if point.band is None else point.band.problem()
    held = _held(kq, solution)
    directions = directions_at(kq.rows, held, possible)
    if not directions.shape[1]:
        return point, True
    moments = form.problem.moments
    if form.problem.loss.curvature == 0 and not form.problem.known.products:
        look = Look(moments.origin, False, True)
        look = replace(look, origin=form.problem.known.moments.origin)
        found = moments_of(look, (yield Request(look)), (None,))
        moments = replace(form.problem.known, moments=found).scaled(
            form.problem.columns, form.problem.scale
        )
    face = _face(form, point, kq, directions, moments)
    for _ in range(ROUNDS):
        change, reached = face.settled()
        if not change.any() or not reached:
            return point, reached
        there = form.whole.moved(point.anchor, change[:, 0])
        moved = yield from measured_as(form, point, there)
        wrong, slope = wrong_rows(form, moved)
        if not len(wrong.at):
            return moved, True
        face = _with_cuts(face, form, point, wrong, slope)
    return point, False


def _held(kq: KinkedQuadratic, found: KinkedSolution) -> Index:
    """Return the rows that a solution holds at their kink."""
    return np.flatnonzero(is_inside(found.dual, kq.lower, kq.upper))


def _face(
    form: OutputForm, point: Measured, kq: KinkedQuadratic, directions: Array, moments: GroupMoments
) -> Face:
    """Return the optimal face at a model, by the rows of its band and of the penalty."""
    assert point.solution is not None
    basis, anchor, solution = form.whole.basis, point.anchor, point.solution
    residual = kq.residual if point.band is None else kq.residual_at(solution.delta)
    n = 0 if point.band is None else len(point.band.gathered.at)
    side = sides_of(solution.dual, kq.lower, kq.upper)
    prices = np.where(side > 0, kq.upper, kq.lower)
    prices[:n] = 0.0
    coef = anchor.coef[:, None]
    pull = moments.residuals(coef, np.array([anchor.intercept]), basis)[0].sum(axis=0)
    return Face(
        problem=form.problem,
        basis=basis,
        directions=directions,
        coef=coef,
        rows=kq.rows,
        residual=residual[:, None],
        side=side[:, None],
        squares=np.zeros(len(side)),
        gram=2.0 * moments.grams(basis).sum(axis=0),
        prices=prices[:, None],
        slack=np.zeros(0),
        pulls=np.zeros((0, len(directions))),
        pull=2.0 * pull,
    )


def _with_cuts(
    face: Face, form: OutputForm, point: Measured, wrong: Gathered, slope: Array
) -> Face:
    """Return a face with more rows, each to stay on its side of 0, or at 0 where it has none."""
    rows = DenseRows(form.whole.basis.coordinates(wrong.X))
    assert point.solution is not None
    residual = wrong.residual - rows.dot(point.solution.delta)[:, None]
    none = np.zeros_like(slope)
    return replace(
        face,
        directions=directions_at(rows, np.flatnonzero(slope[:, 0] == 0), face.directions),
        rows=StackedRows(face.rows, rows),
        residual=np.concatenate([face.residual, residual]),
        side=np.concatenate([face.side, slope]),
        squares=np.concatenate([face.squares, none[:, 0]]),
        prices=np.concatenate([face.prices, none]),
    )
