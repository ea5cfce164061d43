"""The tie rule for rows elsewhere: `ties` on the rows of a band, checked by passes over all others.

Rows held at 0 are in the band, so that it tells whether an optimum is unique. Where it is not, the
second moments of all rows make the quadratic of the rule, and each pass over a model that the rule
may name brings the rows that it takes to their other side: cuts that have been missing.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from skfairloss._design.moments import GroupMoments
from skfairloss._design.rows import DenseRows, StackedRows
from skfairloss._rows.facts import moments_of
from skfairloss._rows.kernels import Look
from skfairloss._rows.searches import Request, Search
from skfairloss._solvers.kinked import KinkedQuadratic, KinkedSolution
from skfairloss._solvers.row_forms import Gathered, Measured, OutputForm, RowForm
from skfairloss._solvers.row_search import measured_as, wrong_rows
from skfairloss._solvers.ties import (
    CoupledFace,
    Face,
    coupled_directions,
    directions_at,
    is_inside,
    open_directions,
    sides_of,
)
from skfairloss._solvers.tolerances import ROUNDS
from skfairloss._typing import Array, Index


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
    moments = yield from _moments(form)
    return (yield from _along(form, point, _face(form, point, kq, directions, moments)))


def settle_coupled_tie(form: RowForm, point: Measured) -> Search[tuple[Measured, bool]]:
    """Do the same for all outputs under constraints, whose multipliers weigh the groups.

    A constraint about squares without a multiplier is no line along the face: such a tie is left.
    """
    possible = open_directions(form.problem, form.whole.basis)
    if point.solution is None or point.band is None or not possible.shape[1]:
        return point, True
    kq, solution = point.band.problem(), point.solution
    directions = coupled_directions(kq, solution, possible)
    if not directions.shape[1]:
        return point, True
    held = CoupledFace.of(kq, solution)
    if held.curved:
        return point, False
    moments = yield from _moments(form)
    weights = 2.0 * form.mix_weights(point.multipliers)
    coef, intercept = point.measure.coef, point.measure.intercept
    pull = moments.residuals(coef, intercept, form.whole.basis)[0]
    face = held.face(
        form.problem,
        form.whole.basis,
        directions,
        coef,
        squares=np.zeros(len(held.side)),
        gram=np.tensordot(weights, moments.grams(form.whole.basis), axes=1),
        pull=np.tensordot(weights, pull, axes=1),
    )
    return (yield from _along(form, point, face))


def _moments(form: RowForm) -> Search[GroupMoments]:
    """Return the moments of the groups with products, in one more pass where there are none."""
    problem, known = form.problem, form.problem.known
    if known.products:
        return problem.moments
    labels = known.labels if known.by_group else None
    look = Look(known.moments.origin, known.by_group, True)
    found = moments_of(look, (yield Request(look)), (None,) if labels is None else labels)
    return replace(problem, facts=replace(known, moments=found)).moments


def _along(form: RowForm, point: Measured, face: Face) -> Search[tuple[Measured, bool]]:
    """Return the model that the rule names on a face, by passes over models that it may name."""
    for _ in range(ROUNDS):
        change, reached = face.settled()
        if not change.any() or not reached:
            return point, reached
        step = change if point.anchor.coef.ndim > 1 else change[:, 0]
        moved = yield from measured_as(form, point, form.whole.moved(point.anchor, step))
        wrong, slope = wrong_rows(moved)
        if not len(wrong.at):
            return moved, True
        if slope.shape[1] > 1 and not slope.all():  # rows that stay at 0 in some outputs
            return point, False
        face = _with_cuts(face, point, wrong, slope)
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


def _with_cuts(face: Face, point: Measured, wrong: Gathered, slope: Array) -> Face:
    """Return a face with more rows, each to stay on its side of 0, or at 0 where it has none."""
    rows = DenseRows(wrong.rows)
    assert point.solution is not None
    residual = wrong.residual - rows.dot(point.solution.delta).reshape(wrong.residual.shape)
    none, directions = np.zeros_like(slope), face.directions
    if slope.shape[1] == 1:
        directions = directions_at(rows, np.flatnonzero(slope[:, 0] == 0), directions)
    return replace(
        face,
        directions=directions,
        rows=StackedRows(face.rows, rows),
        residual=np.concatenate([face.residual, residual]),
        side=np.concatenate([face.side, slope]),
        squares=np.concatenate([face.squares, none[:, 0]]),
        prices=np.concatenate([face.prices, none]),
    )
