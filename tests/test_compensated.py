"""Products of twice the digits against exact fractions, and the fits that they mend."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse as sp

from skfairloss import PixelLossRegressor
from skfairloss._core.losses import MixedLoss
from skfairloss._core.problem import Problem
from skfairloss._design.basis import Basis
from skfairloss._design.compensated import CompensatedDesign
from skfairloss._design.dense import DenseDesign
from skfairloss._design.design import Design
from skfairloss._design.sparse import SparseDesign
from tests import oracles
from tests.problems import RegressionProblem

CONTAINERS = {
    "dense": (DenseDesign, np.asarray),
    "Fortran order": (DenseDesign, np.asfortranarray),
    "float32": (DenseDesign, lambda X: X.astype(np.float32)),
    "sparse": (SparseDesign, sp.csr_array),
}


def years(n: int, degree: int) -> np.ndarray:
    """Powers of calendar years, (n, degree)."""
    year = 2024.0 - np.arange(n)
    return np.column_stack([year**k for k in range(1, degree + 1)])


def fractions(values: np.ndarray) -> np.ndarray:
    """Floats as the fractions that they are."""
    return np.vectorize(lambda value: Fraction(float(value)), otypes=[object])(values)


def assert_exact(found: np.ndarray, expected: np.ndarray) -> None:
    """Fail unless floats are fractions to their last digits."""
    np.testing.assert_allclose(found, np.asarray(expected, dtype=float), rtol=4e-16, atol=0)


@pytest.fixture(params=CONTAINERS, ids=list(CONTAINERS))
def designs(request) -> tuple[np.ndarray, Design]:
    """Years' powers, as fractions and as a design."""
    kind, container = CONTAINERS[request.param]
    X = container(years(23, 5))
    dense = X.toarray() if sp.issparse(X) else np.asarray(X, float)
    return fractions(dense), CompensatedDesign(kind(X))


@pytest.mark.parametrize("shape", [(5,), (5, 3)])
def test_predictions_that_cancel_are_right_to_the_last_digit(designs, shape):
    exact, design = designs
    rng = np.random.default_rng(0)
    size = np.abs(exact).max(axis=0).astype(float).reshape(5, *[1] * (len(shape) - 1))
    coef = 1e9 * rng.normal(size=shape) / size
    intercept = -np.asarray(exact.mean(axis=0) @ fractions(coef), dtype=float)
    assert_exact(design.predict(coef, intercept), exact @ fractions(coef) + fractions(intercept))


@pytest.mark.parametrize("shape", [(23,), (23, 2), (1, 2)])
def test_sums_over_rows_that_cancel_are_right_to_the_last_digit(designs, shape):
    exact, design = designs
    exact, design = exact[: shape[0]], design.subset(np.arange(shape[0]))
    u = np.random.default_rng(1).normal(size=shape)
    if shape[0] > 1:
        u -= u.mean(axis=0)
    assert_exact(design.adjoint(u), exact.T @ fractions(u))
    assert_exact(design.total(u), fractions(u).sum(axis=0))


@pytest.mark.parametrize("index", [None, np.array([0, 3, 4, 20])])
def test_rows_in_coordinates_that_cancel_are_right_to_the_last_digit(designs, index):
    exact, design = designs
    rng, (n, p) = np.random.default_rng(2), exact.shape
    center = exact.mean(axis=0).astype(float)
    transform = 1e9 * rng.normal(size=(p, 2)) / center[:, None]
    basis = Basis(center, transform, np.eye(2), np.ones(p), fit_intercept=True)
    chosen = np.arange(n) if index is None else index
    found = design.rows(basis, index).take(np.arange(len(chosen)))
    assert_exact(found[:, :2], ((exact - fractions(center)) @ fractions(transform))[chosen])
    np.testing.assert_array_equal(found[:, 2], 1.0)
    theta = rng.normal(size=(3, 2))
    np.testing.assert_allclose(design.predict_in(basis, theta)[chosen], found @ theta, rtol=1e-13)


def test_a_pass_gives_residuals_and_sums_of_some_rows(designs):
    exact, design = designs
    coef, y = np.full((5, 1), 1e-12), np.arange(4.0)[:, None]
    index = np.array([1, 5, 6, 22])
    residual, adjoint, sums = design.sweep(y, coef, 0.5, lambda rows, r: (r, r.sum()), index)
    expected = fractions(y) - exact[index] @ fractions(coef) - Fraction(1, 2)
    np.testing.assert_allclose(residual, expected.astype(float), rtol=1e-12)
    assert_exact(adjoint, exact[index].T @ fractions(residual))
    assert sums == pytest.approx(residual.sum())


@pytest.mark.parametrize("degree", [4, 5])
def test_a_compensated_problem_knows_its_gram_matrix(degree):
    X, v = years(40, degree), np.full(40, 1 / 40)
    y = np.random.default_rng(0).normal(size=(40, 1))
    basis = Problem(DenseDesign(X), y, v, MixedLoss(0.0)).compensated(1e-8).basis
    rows = (fractions(X) - fractions(basis.center)) @ fractions(basis.transform)
    np.testing.assert_allclose(basis.gram, (rows.T @ rows / 40).astype(float), atol=1e-14)


@pytest.mark.parametrize("move", [0.0, 1.0, 1e4])
def test_columns_that_do_not_cancel_need_no_more_digits(move):
    X, v = np.random.default_rng(0).normal(size=(40, 3)) + move, np.full(40, 1 / 40)
    problem = Problem(DenseDesign(X), X[:, :1], v, MixedLoss(0.5))
    assert problem.compensated(1e-8) is None


# --------------------------------------------------------------------------------------------------
# Fits
# --------------------------------------------------------------------------------------------------


def exact_value(X: np.ndarray, y: np.ndarray, model: PixelLossRegressor) -> float:
    """Mean squared error of a fitted model, in fractions."""
    r = fractions(y) - fractions(X) @ fractions(model.coef_) - Fraction(float(model.intercept_))
    return float((r * r).mean())


@pytest.mark.parametrize(("n", "degree"), [(30, 4), (40, 5), (60, 5)])
@pytest.mark.parametrize("unit", [1.0, 1e-3])
def test_squares_of_powers_of_years_are_those_of_exact_fractions(n, degree, unit):
    for seed in range(4):
        X = years(n, degree)
        y = unit * (0.1 * X[:, 0] + np.random.default_rng(seed).normal(size=n))
        model = PixelLossRegressor(0.0, scale=unit).fit(X, y)  # a warning would be an error
        problem = RegressionProblem(X, y, loss_mix=0.0, scale=unit)
        rational = oracles.Rational.of(problem)
        optimum = float(rational.value(rational.normal_solution()))
        assert exact_value(X, y, model) / unit**2 == pytest.approx(optimum, rel=2e-6)
        assert model.objective_ - model.dual_gap_ <= optimum * (1 + 1e-9)


@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("degree", [3, 4])
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_powers_of_years_are_fitted_like_powers_of_years_near_0(loss_mix, degree, n_outputs):
    n = 60
    X, near = years(n, degree), (years(n, 1) - 1995.0) / 30
    Z = np.column_stack([near**k for k in range(1, degree + 1)])
    for seed in range(4):
        rng = np.random.default_rng(seed)
        Y = near + rng.standard_t(3, size=(n, n_outputs))
        model = PixelLossRegressor(loss_mix, scale=1.0).fit(X, Y)
        expected = PixelLossRegressor(loss_mix, scale=1.0).fit(Z, Y)
        np.testing.assert_allclose(model.objective_, expected.objective_, rtol=1e-6)
        np.testing.assert_allclose(model.predict(X), expected.predict(Z), atol=1e-4)


@pytest.mark.parametrize("alpha", [0.003, 0.1, 1.0])
@pytest.mark.parametrize("degree", [3, 4, 5])
def test_an_l1_penalty_on_powers_of_years_is_at_its_optimum_in_exact_fractions(alpha, degree):
    """At the optimum |x_jᵀr| 2/n is alpha where w_j is not 0, with its sign, and at most alpha."""
    n = 50
    X = years(n, degree)
    y = 0.1 * X[:, 0] + np.random.default_rng(0).normal(size=n)
    model = PixelLossRegressor(0.0, scale=1.0, alpha=alpha, l1_ratio=1.0).fit(X, y)
    A = fractions(np.column_stack([X, np.ones(n)]))
    sign = fractions(np.append(np.sign(model.coef_), 0.0))
    at = np.append(np.flatnonzero(model.coef_), degree)
    moments = A[:, at].T @ A[:, at] * Fraction(2, n)
    target = A[:, at].T @ fractions(y) * Fraction(2, n) - Fraction(alpha) * sign[at]
    w = fractions(np.zeros(degree + 1))
    w[at] = oracles._eliminate(np.column_stack([moments, target]).tolist())[0]
    r = fractions(y) - A @ w
    optimum = float((r * r).mean() + Fraction(alpha) * abs(w[:-1]).sum())
    gradient = np.abs(A[:, :-1].T @ r * Fraction(2, n)).astype(float)
    assert (w * sign >= 0).all()
    assert (gradient <= alpha * (1 + 1e-12)).all()
    assert model.objective_ == pytest.approx(optimum, rel=1e-8)


@pytest.mark.parametrize("off", [1e-7, 1e-9, 1e-10, 1e-11])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array, sp.csc_array])
@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
def test_nearly_equal_columns_are_fitted_like_one_and_their_difference(off, container, loss_mix):
    for seed in range(4):
        x, d, noise = np.random.default_rng(seed).normal(size=(3, 40))
        X = np.column_stack([x, x * (1.0 + off * d)])
        y = x + x * d + 0.5 * noise
        apart = np.column_stack([x, (X[:, 1] - x) / off])  # without rounding
        model = PixelLossRegressor(loss_mix, scale=1.0).fit(container(X), y)
        expected = PixelLossRegressor(loss_mix, scale=1.0).fit(apart, y)
        rounding = 1e-6 * float(np.mean(np.square(y) + np.abs(y)))  # of a constant's loss
        assert model.objective_ == pytest.approx(expected.objective_, abs=2 * rounding)
