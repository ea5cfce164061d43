"""A Newton step on all rows: what is carried over from another mix is what a pass would find."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from skfairloss._core.certificate import measure
from skfairloss._core.losses import MixedLoss
from skfairloss._core.problem import Problem
from skfairloss._core.solution import Measured, Start
from skfairloss._design import make_design
from skfairloss._design.dense import DenseDesign
from skfairloss._solvers import solve
from skfairloss._solvers.formulation import Output
from skfairloss._solvers.output_rows import OutputRows
from skfairloss._solvers.smoothed_newton import Smoothed, carried, newton_step, smoothed
from skfairloss._solvers.whole import Start as Near
from skfairloss.model_selection import loss_mix_path

ROWS, H = 5000, 0.1
NONE = np.zeros(0, dtype=np.intp)


def make_problem(
    loss_mix: float, *, skewed: bool = False, quantile: float = 0.5, l2=0.0
) -> Problem:
    rng = np.random.default_rng(5)
    X = rng.standard_normal((ROWS, 3)) * [1.0, 10.0, 0.1] + [5.0, 0.0, -1.0]
    y = 3.0 + X @ [1.0, -0.2, 4.0] + rng.standard_t(3, ROWS)
    weights = np.exp(rng.standard_normal(ROWS)) if skewed else np.ones(ROWS)
    return Problem(
        make_design(X),
        y[:, None],
        weights / weights.sum(),
        MixedLoss(loss_mix, quantile),
        l2=l2,
    )


def known_optimum(problem: Problem) -> Measured:
    measured = solve(problem).measured
    assert measured is not None
    return measured


def model_of(known: Measured) -> tuple[np.ndarray, float]:
    return known.coef[:, 0], float(known.intercept[0])


def rows_of(problem: Problem) -> OutputRows:
    return OutputRows.of(Output(problem, 0, problem.basis))


def carried_from(
    whole: OutputRows, model: tuple[np.ndarray, float], known: Measured | None
) -> Smoothed | None:
    return carried(whole, Near(whole.anchor(model), close=True, known=known), H, NONE)


def at_other_mix(problem: Problem, known: Measured, loss_mix: float) -> tuple[OutputRows, Smoothed]:
    whole = rows_of(problem.under(loss=replace(problem.loss, loss_mix=loss_mix)))
    at = carried_from(whole, model_of(known), known)
    assert at is not None
    return whole, at


@pytest.mark.parametrize(("before", "after"), [(0.3, 0.35), (0.9, 1.0), (1.0, 0.8), (0.02, 1.0)])
@pytest.mark.parametrize("options", [{}, {"skewed": True, "quantile": 0.3}, {"l2": 0.2}], ids=str)
def test_slopes_and_gradient_are_those_of_the_rows(before, after, options):
    problem = make_problem(before, **options)
    known = known_optimum(problem)
    whole, at = at_other_mix(problem, known, after)
    output = whole.output
    loss, weights = output.problem.loss, output.problem.weights
    residual = whole.residual(at.anchor)
    np.testing.assert_allclose(at.residual, residual, atol=1e-12)
    beyond = np.abs(residual) >= H
    np.testing.assert_array_equal(at.slope[beyond], np.sign(residual[beyond]))
    assert (np.abs(at.slope) <= 1.0).all()
    middle, half = 0.5 * (loss.upper + loss.lower), 0.5 * (loss.upper - loss.lower)
    slopes = weights * (middle + half * at.slope)
    u = slopes + loss.curvature * weights * residual
    expected = output.downhill(at.anchor.coef, problem.design.adjoint(u), float(u.sum()))
    np.testing.assert_allclose(at.kq.linear, expected, atol=1e-11)
    squares = output.squares(at.anchor.coef, residual)
    np.testing.assert_allclose(at.kq.constant, squares + slopes @ residual, rtol=1e-12)


def test_at_its_own_mix_nothing_pulls_at_an_optimum():
    problem = make_problem(0.6)
    _, at = at_other_mix(problem, known_optimum(problem), 0.6)
    np.testing.assert_allclose(at.kq.linear, 0.0, atol=1e-13)


def test_a_step_from_another_mix_leads_as_close_to_the_optimum_as_one_with_a_pass():
    problem = make_problem(0.5)
    known = known_optimum(problem)
    whole, at = at_other_mix(problem, known, 0.6)
    optimum = solve(whole.output.problem).coef[:, 0]
    norms, errors = whole.basis.norms, []
    for start in (at, smoothed(whole, at.anchor, H, NONE)):
        there = whole.moved(at.anchor, newton_step(start).delta)
        errors.append(np.linalg.norm(norms * (there.coef - optimum)))
    away = np.linalg.norm(norms * (at.anchor.coef - optimum))
    assert max(errors) < 0.5 * away


def test_kinks_have_all_second_derivatives_without_squares_and_fewer_with_them():
    shares = []
    for loss_mix in (0.2, 0.6, 1.0):
        problem = make_problem(loss_mix)
        whole, found = rows_of(problem), solve(problem)
        anchor = whole.anchor((found.coef[:, 0], float(found.intercept[0])))
        shares.append(newton_step(smoothed(whole, anchor, H, NONE)).share)
    assert 0 < shares[0] < shares[1] < shares[2] == 1.0


def test_what_is_not_that_optimum_is_not_carried_over():
    squares, kinked = make_problem(0.0), make_problem(0.5)
    whole = rows_of(kinked)
    of_squares, of_kinks = known_optimum(squares), known_optimum(kinked)
    model = model_of(of_kinks)
    assert carried_from(whole, model, None) is None
    assert carried_from(whole, model_of(of_squares), of_squares) is None
    assert carried_from(whole, (model[0] + 1e-9, model[1]), of_kinks) is None
    tiny = make_problem(1e-4)
    known = known_optimum(tiny)  # rounding errors of its duals would grow 5000-fold
    assert carried_from(whole, model_of(known), known) is None


@pytest.mark.parametrize("skewed", [False, True])
def test_a_path_takes_one_pass_with_residuals_for_each_mix(monkeypatch, skewed):
    problem = make_problem(0.0, skewed=skewed)
    X, y = problem.design.block(slice(0, ROWS)), problem.y[:, 0]
    mixes, swept = np.linspace(0.1, 1.0, 10), []
    sweep = DenseDesign.sweep

    def counted(design, *args, **options):
        index = options.get("index", args[4] if len(args) > 4 else None)
        swept.append(0 if index is not None or design.shape[0] < ROWS else 1)
        return sweep(design, *args, **options)

    monkeypatch.setattr(DenseDesign, "sweep", counted)
    path = loss_mix_path(X, y, loss_mixes=mixes, sample_weight=problem.weights, scale=1.0)
    assert (path.dual_gaps <= 1e-8 * path.objectives).all()
    assert sum(swept) <= len(mixes) + 3
    for mix, coef in zip(mixes, path.coefs, strict=True):
        alone = solve(replace(problem, loss=MixedLoss(float(mix))), tol=1e-10)
        np.testing.assert_allclose(coef, alone.coef[:, 0], rtol=1e-7)


def test_a_start_without_duals_is_one_as_well():
    problem = make_problem(0.7)
    known = known_optimum(problem)
    other = problem.under(loss=MixedLoss(0.8))
    with_duals = solve(other, start=Start(known.coef, known.intercept, known))
    without = solve(other, start=Start(known.coef, known.intercept))
    np.testing.assert_allclose(with_duals.coef, without.coef, rtol=1e-9)


@pytest.mark.parametrize("quantile", [0.1, 0.6])
@pytest.mark.parametrize("skewed", [False, True])
def test_a_path_of_a_quantile_whose_intercept_moves_all_rows_ends_where_cold_fits_end(
    quantile, skewed
):
    problem = make_problem(0.0, skewed=skewed, quantile=quantile)
    X, y, weights = problem.design.block(slice(0, ROWS)), problem.y[:, 0], problem.weights
    mixes = [0.2, 0.6, 1.0]
    path = loss_mix_path(
        X, y, loss_mixes=mixes, sample_weight=weights, quantile=quantile, scale=1.0
    )
    assert (path.dual_gaps <= 1e-8 * path.objectives).all()
    for mix, coef in zip(mixes, path.coefs, strict=True):
        alone = solve(problem.under(loss=MixedLoss(mix, quantile)))
        np.testing.assert_allclose(coef, alone.coef[:, 0], rtol=1e-6)


def test_duals_that_do_not_go_with_the_residuals_are_not_carried_over():
    problem = make_problem(0.5)
    known, whole = known_optimum(problem), rows_of(problem)
    assert isinstance(known.dual, np.ndarray)
    wrong = known.dual.copy()
    far = np.argmax(np.abs(known.residual))
    wrong[far] -= np.sign(known.residual[far])  # the other end
    off = measure(problem, known.coef, known.intercept, wrong, lambda rows, _: wrong[rows])
    assert carried_from(whole, model_of(known), known) is not None
    assert carried_from(whole, model_of(off), off) is None


@pytest.mark.parametrize("tol", [0.3, 1e-2, 1e-4])
def test_a_path_of_loose_fits_is_certified_at_its_own_tolerance(tol):
    problem = make_problem(0.0)
    X, y = problem.design.block(slice(0, ROWS)), problem.y[:, 0]
    path = loss_mix_path(X, y, loss_mixes=np.linspace(0.1, 1.0, 7), tol=tol)  # no warning
    assert (path.dual_gaps <= tol * path.objectives).all()
