"""Laws that hold for every loss mix, penalty and quantile: what must not change, and what must."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from skfairloss import PixelLossRegressor
from tests import oracles
from tests.problems import PENALTIES, RegressionProblem, random_problem

LOSS_MIXES, QUANTILES = (0.0, 0.4, 1.0), (0.5, 0.2)
every_problem = pytest.mark.parametrize(
    "problem",
    [
        pytest.param(
            random_problem(seed, penalty=penalty, loss_mix=mix, quantile=quantile),
            id=f"mix{mix}-{penalty}-quantile{quantile}",
        )
        for seed, (mix, penalty, quantile) in enumerate(
            (mix, penalty, quantile)
            for mix in LOSS_MIXES
            for penalty in PENALTIES
            for quantile in QUANTILES
            if mix > 0 or quantile == 0.5
        )
    ],
)


def fit(problem: RegressionProblem) -> PixelLossRegressor:
    model = PixelLossRegressor(**problem.params, tol=1e-12)
    return model.fit(problem.X, problem.y, sample_weight=problem.sample_weight)


def check_same(found, expected, spread=1.0, atol=1e-6) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol * spread)


@every_problem
def test_the_objective_is_that_of_the_oracles_and_the_gap_is_below_tol(problem):
    model, best = fit(problem), oracles.solve(problem.outputs()[0])
    floor = oracles.rounding_floor(problem, model.coef_, model.intercept_)
    reached = oracles.objective(problem, model.coef_, model.intercept_)
    assert reached == pytest.approx(best.objective, rel=1e-9)
    assert model.objective_ == pytest.approx(reached, rel=1e-12)
    assert 0 <= model.dual_gap_ <= 1e-12 * model.objective_ + floor
    assert model.objective_ - model.dual_gap_ <= best.objective + floor
    assert model.objective_ >= best.lower_bound - floor


@every_problem
def test_several_outputs_are_fitted_column_by_column(problem):
    Y = np.column_stack([problem.y, -2.0 * problem.y + problem.X[:, 1], np.abs(problem.y)])
    together = fit(replace(problem, y=Y))
    for k in range(Y.shape[1]):
        alone = fit(replace(problem, y=Y[:, k]))
        check_same(together.coef_[k], alone.coef_)
        check_same(together.intercept_[k], alone.intercept_)
        assert together.objective_[k] == pytest.approx(alone.objective_, rel=1e-9)
        assert together.dual_gap_.shape == (3,)


@every_problem
def test_a_weight_of_k_is_k_copies(problem):
    copies = np.random.default_rng(0).integers(0, 4, size=problem.y.size)
    rows = np.repeat(np.arange(problem.y.size), copies)
    weighted = fit(replace(problem, sample_weight=copies.astype(float)))
    copied = fit(replace(problem, X=problem.X[rows], y=problem.y[rows], sample_weight=None))
    check_same(weighted.coef_, copied.coef_)
    check_same(weighted.intercept_, copied.intercept_)
    assert weighted.objective_ == pytest.approx(copied.objective_, rel=1e-9)


@every_problem
def test_rows_of_weight_zero_do_not_exist(problem):
    weight = problem.sample_weight * (np.arange(problem.y.size) % 3 > 0)
    y = np.where(weight > 0, problem.y, 1e9)
    kept = weight > 0
    model = fit(replace(problem, y=y, sample_weight=weight))
    expected = fit(RegressionProblem(problem.X[kept], y[kept], weight[kept], **problem.params))
    check_same(model.coef_, expected.coef_)
    check_same(model.intercept_, expected.intercept_)


@pytest.mark.parametrize("factor", [1e-9, 3.7, 1e9])
@every_problem
def test_the_scale_of_the_weights_changes_nothing(problem, factor):
    model, twin = fit(problem), fit(problem.reweighted(factor))
    check_same(twin.coef_, model.coef_)
    assert twin.objective_ == pytest.approx(model.objective_, rel=1e-9)


@every_problem
def test_a_shift_of_y_moves_the_intercept_only(problem):
    model, twin = fit(problem), fit(problem.shifted(-300.0))
    check_same(twin.coef_, model.coef_)
    check_same(twin.intercept_, model.intercept_ - 300.0)
    assert twin.objective_ == pytest.approx(model.objective_, rel=1e-9)


@pytest.mark.parametrize("factor", [1e-4, 250.0])
@every_problem
def test_a_change_of_units_of_y_changes_the_units_of_the_solution(problem, factor):
    model, twin = fit(problem), fit(problem.scaled(factor))
    check_same(twin.coef_, factor * model.coef_, spread=factor)
    check_same(twin.intercept_, factor * model.intercept_, spread=factor)
    assert twin.objective_ == pytest.approx(model.objective_, rel=1e-9)


@every_problem
def test_a_reflection_of_y_reflects_the_quantile(problem):
    twin = fit(replace(problem, y=-problem.y, quantile=1 - problem.quantile))
    model = fit(problem)
    check_same(twin.coef_, -model.coef_)
    check_same(twin.intercept_, -model.intercept_)


@every_problem
def test_a_permutation_of_the_columns_permutes_the_coefficients(problem):
    order = np.array([2, 0, 3, 1])
    check_same(fit(replace(problem, X=problem.X[:, order])).coef_, fit(problem).coef_[order])


@every_problem
def test_a_permutation_of_the_rows_changes_nothing(problem):
    order = np.random.default_rng(1).permutation(problem.y.size)
    weight = problem.sample_weight[order]
    twin = fit(replace(problem, X=problem.X[order], y=problem.y[order], sample_weight=weight))
    model = fit(problem)
    check_same(twin.coef_, model.coef_)
    check_same(twin.intercept_, model.intercept_)


@pytest.mark.parametrize("quantile", QUANTILES)
@pytest.mark.parametrize("loss_mix", LOSS_MIXES)
def test_a_reparametrisation_of_x_keeps_the_predictions(loss_mix, quantile):
    problem = random_problem(11, loss_mix=loss_mix, quantile=quantile)
    A = np.random.default_rng(2).normal(size=(4, 4)) + 2.0 * np.eye(4)
    model, twin = fit(problem), fit(replace(problem, X=problem.X @ A + 5.0))
    check_same(A @ twin.coef_, model.coef_)
    check_same(twin.predict(problem.X @ A + 5.0), model.predict(problem.X))


@pytest.mark.parametrize("kind", [sp.csr_array, sp.csc_array, sp.csr_matrix, sp.csc_matrix])
@every_problem
def test_a_sparse_design_gives_what_the_dense_one_gives(problem, kind):
    X = np.where(np.abs(problem.X) < 0.8, 0.0, problem.X)
    dense, sparse = fit(replace(problem, X=X)), fit(replace(problem, X=kind(X)))
    check_same(sparse.coef_, dense.coef_)
    check_same(sparse.intercept_, dense.intercept_)
    check_same(sparse.predict(kind(X)), dense.predict(X))


@every_problem
def test_a_refit_gives_the_same_model_bit_by_bit(problem):
    model = fit(problem)
    coef, intercept = model.coef_.copy(), model.intercept_
    model.fit(problem.X, problem.y, sample_weight=problem.sample_weight)
    np.testing.assert_array_equal(model.coef_, coef)
    assert model.intercept_ == intercept


@every_problem
def test_a_warm_start_reaches_the_cold_optimum(problem):
    other = replace(problem, y=problem.y[::-1].copy())
    model = PixelLossRegressor(**problem.params, tol=1e-12, warm_start=True)
    model.fit(other.X, other.y, sample_weight=other.sample_weight)
    model.fit(problem.X, problem.y, sample_weight=problem.sample_weight)
    check_same(model.coef_, fit(problem).coef_)


@every_problem
def test_float32_input_is_solved_as_the_same_numbers_in_float64(problem):
    X, y = problem.X.astype(np.float32), problem.y.astype(np.float32)
    single = fit(replace(problem, X=X, y=y))
    double = fit(replace(problem, X=X.astype(float), y=y.astype(float)))
    # Coefficients may be returned in single precision, whose rounding is 6e-8.
    check_same(single.coef_, double.coef_)
    check_same(single.intercept_, double.intercept_)
    assert single.objective_ == pytest.approx(double.objective_, rel=1e-6)


@pytest.mark.parametrize("order", ["C", "F", "strided", "read-only", "integer"])
@pytest.mark.parametrize("loss_mix", LOSS_MIXES)
def test_the_layout_of_the_arrays_changes_nothing(loss_mix, order):
    base = random_problem(12, penalty="enet", loss_mix=loss_mix)
    base = replace(base, X=np.round(3 * base.X))
    X = {
        "C": np.ascontiguousarray(base.X),
        "F": np.asfortranarray(base.X),
        "strided": np.repeat(base.X, 2, axis=1)[:, ::2],
        "read-only": base.X.copy(),
        "integer": base.X.astype(np.int32),
    }[order]
    X.flags.writeable = order != "read-only"
    before = X.copy()
    check_same(fit(replace(base, X=X)).coef_, fit(base).coef_)
    np.testing.assert_array_equal(X, before)
