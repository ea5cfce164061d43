"""Moments of groups: against the rows themselves, and where they must not be trusted."""

import numpy as np
import pytest

from skfairloss import PixelLossRegressor
from skfairloss._core.problem import Problem
from skfairloss._design import make_design
from skfairloss._estimator.training import read_training
from skfairloss.fairness import WorstGroupLoss


def data(shift=0.0, outputs=2, n=900, p=3):
    rng = np.random.default_rng(5)
    codes = rng.integers(0, 3, n)
    X = rng.normal(size=(n, p)) * [1.0, 20.0, 0.1] + shift
    y = rng.normal(size=(n, outputs)) + codes[:, None] + shift
    return X, y, rng.uniform(0.5, 2.0, n), codes


def problem_of(X, y, weights, codes, **options):
    model = PixelLossRegressor(0.0, scale=1.0, fairness=WorstGroupLoss(), **options)
    return read_training(model, X, y, weights, codes).problem


@pytest.mark.parametrize("kind", [np.ascontiguousarray, np.asfortranarray, np.float32])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("shift", [0.0, 300.0])
def test_they_are_what_the_rows_give(shift, fit_intercept, weighted, kind):
    X, y, weights, codes = data(shift)
    X = kind(X)
    problem = problem_of(X, y, weights if weighted else None, codes, fit_intercept=fit_intercept)
    moments, basis = problem.group_moments, problem.basis
    coef, intercept = np.arange(6.0).reshape(3, 2), np.array([1.0, -2.0]) * fit_intercept
    pulls, squares = moments.residuals(coef, intercept, basis)
    rows = basis.coordinates(np.asarray(X, dtype=float))
    residual = y - X @ coef - intercept
    for g in range(3):
        v = problem.weights * (codes == g)
        for found, expected in (
            (moments.grams(basis)[g], rows.T @ (v[:, None] * rows)),
            (pulls[g], rows.T @ (v[:, None] * residual)),
            (squares[g], v @ residual**2),
        ):
            size = np.abs(expected).max()
            np.testing.assert_allclose(found, expected, atol=1e-9 * size)
    means, cross = moments.of_all()
    np.testing.assert_allclose(means, problem.weights @ X, rtol=1e-6)
    np.testing.assert_allclose(cross, X.T @ (problem.weights[:, None] * y), rtol=1e-5)


def test_the_data_are_left_as_they_are():
    X, y, weights, codes = data(300.0)
    before = X.copy(), y.copy()
    problem = Problem(make_design(X), y, weights / weights.sum(), problem_of(*data()).loss)
    problem.design.group_moments(y, problem.weights, np.zeros_like(codes), 1, (X[0], y[0]))
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(y, before[1])


def test_coordinates_that_cost_digits_are_left_to_the_rows():
    X, y, weights, codes = data()
    assert problem_of(X, y, weights, codes).group_moments.accurate_in(problem_of(*data()).basis)
    X[:, 2] = X[:, 0] + 1e-3 * X[:, 2]
    problem = problem_of(X, y, weights, codes)
    assert not problem.group_moments.accurate_in(problem.basis)


def test_squares_that_cancel_are_left_to_the_rows():
    X, y, weights, codes = data()
    moments = problem_of(X, y, weights, codes).group_moments
    assert moments.accurate_at(moments.squares)
    assert not moments.accurate_at(moments.squares * 1e-6)


@pytest.mark.parametrize("kind", ["nearly exact", "collinear", "far away"])
def test_fits_keep_their_digits(kind):
    X, y, weights, codes = data(outputs=1)
    y = X.sum(axis=1) + 1e-5 * (1.0 + codes) * y[:, 0] if kind == "nearly exact" else y[:, 0]
    if kind == "collinear":
        X[:, 2] = X[:, 0] + 1e-6 * X[:, 2]
    if kind == "far away":
        X, y = X + 1e5, y + 1e5
    model = PixelLossRegressor(0.0, fairness=WorstGroupLoss())
    model.fit(X, y, sample_weight=weights, sensitive_features=codes)
    assert model.dual_gap_ <= 1e-8 * model.objective_
    row = weights * (model.group_weights_ / np.bincount(codes, weights))[codes]
    design = np.sqrt(row)[:, None] * np.column_stack([X - X.mean(axis=0), np.ones(len(y))])
    expected = np.linalg.lstsq(design, np.sqrt(row) * (y - y.mean()), rcond=None)[0]
    found = model.predict(X) - y.mean()
    wanted = np.column_stack([X - X.mean(axis=0), np.ones(len(y))]) @ expected
    np.testing.assert_allclose(found, wanted, atol=1e-6 * np.std(y - found - y.mean()))
