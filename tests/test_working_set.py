"""L1 penalties by working sets: the optimum of all columns, exact zeros."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNet, Lasso, QuantileRegressor

from skfairloss import PixelLossRegressor
from skfairloss._design.dense import DenseDesign
from skfairloss._design.design_rows import coefficient_rows
from skfairloss._design.factor import coefficient_basis
from skfairloss._design.rows import IdentityRows
from skfairloss._solvers import working_set
from skfairloss.callbacks import GroupLossMonitor
from skfairloss.fairness import BoundedGroupLoss, PredictionParity, WorstGroupLoss


def wide(n=60, p=300, seed=0, outputs=0):
    """Ten columns of many make y."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    W = np.zeros((p, max(outputs, 1)))
    W[:10] = 3 * rng.normal(size=(10, max(outputs, 1)))
    Y = X @ W + rng.normal(size=(n, max(outputs, 1)))
    return X, Y if outputs else Y[:, 0], np.where(np.arange(n) % 3 == 0, "a", "b")


def lasso_like(loss_mix=0.0, alpha=0.5, **settings):
    return PixelLossRegressor(loss_mix, alpha=alpha, l1_ratio=1.0, scale=1.0, **settings)


def on_all_columns(monkeypatch, model, X, y, **metadata):
    """The fit without working sets."""
    with monkeypatch.context() as patched:
        patched.setattr(working_set, "_FIRST", 10_000)
        return model.fit(X, y, **metadata)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array, sp.csc_array])
@pytest.mark.parametrize("share", [0.5, 0.1, 0.02])
@pytest.mark.parametrize("unit", [1.0, 1e6])
def test_zeros_are_where_lasso_has_them(container, share, unit):
    X, y, _ = wide()
    y = y * unit
    alpha = share * np.abs(X.T @ (y - y.mean())).max() / len(y)
    lasso = Lasso(alpha=alpha, tol=1e-12, max_iter=200_000).fit(X, y)
    model = lasso_like(alpha=2 * alpha).fit(container(X), y)
    np.testing.assert_array_equal(model.coef_ == 0, lasso.coef_ == 0)
    np.testing.assert_allclose(model.coef_, lasso.coef_, atol=1e-6 * unit)


def test_a_ridge_beside_the_penalty_is_an_elastic_net():
    X, y, _ = wide()
    net = ElasticNet(alpha=0.2, l1_ratio=0.7, tol=1e-12, max_iter=200_000).fit(X, y)
    model = PixelLossRegressor(0.0, alpha=0.4, l1_ratio=0.7, scale=1.0).fit(X, y)
    np.testing.assert_array_equal(model.coef_ == 0, net.coef_ == 0)
    np.testing.assert_allclose(model.coef_, net.coef_, atol=1e-7)


@pytest.mark.parametrize("alpha", [0.3, 0.03])
def test_zeros_of_an_absolute_fit_are_those_of_a_linear_programme(alpha):
    X, y, _ = wide()
    programme = QuantileRegressor(alpha=alpha / 2).fit(X, y)
    model = lasso_like(1.0, alpha).fit(X, y)
    np.testing.assert_array_equal(model.coef_ == 0, np.abs(programme.coef_) < 1e-9)
    np.testing.assert_allclose(model.coef_, programme.coef_, atol=1e-7)


@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("outputs", [0, 3])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_the_optimum_of_few_columns_is_that_of_all(monkeypatch, loss_mix, outputs, fit_intercept):
    X, y, _ = wide(outputs=outputs)
    weight = np.random.default_rng(1).integers(1, 4, size=len(y))
    model = lasso_like(loss_mix, fit_intercept=fit_intercept)
    found = model.fit(X, y, sample_weight=weight).coef_
    assert np.all(model.dual_gap_ <= 1e-8 * np.maximum(model.objective_, 1e-6))
    expected = on_all_columns(monkeypatch, model, X, y, sample_weight=weight).coef_
    np.testing.assert_allclose(found, expected, atol=1e-7)
    np.testing.assert_array_equal(found == 0, np.abs(expected) < 1e-9)


@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(
    "term",
    [WorstGroupLoss(0.5), BoundedGroupLoss({"a": 1.0}, loss=None), PredictionParity(0.1)],
    ids=["worst", "bounded", "parity"],
)
def test_terms_read_few_columns_as_well(monkeypatch, loss_mix, term):
    X, y, group = wide(p=150)
    model = lasso_like(loss_mix, 0.3, fairness=term)
    found = model.fit(X, y, sensitive_features=group)
    few, objective = found.coef_, found.objective_
    on_all_columns(monkeypatch, model, X, y, sensitive_features=group)
    assert objective == pytest.approx(model.objective_, rel=2e-8)
    np.testing.assert_allclose(few, model.coef_, atol=2e-4)
    assert (few == 0).sum() > 75


def test_copies_of_a_column_share_its_coefficient():
    X, y, _ = wide(p=120)
    model = lasso_like(0.5).fit(np.hstack([X, X]), y)
    once = lasso_like(0.5).fit(X, y)
    np.testing.assert_allclose(model.coef_, np.tile(once.coef_ / 2, 2), atol=1e-8)


def test_a_bound_that_needs_many_columns_is_met():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 130))
    y = X @ np.ones(130) + rng.normal(size=300)
    group = np.where(np.arange(300) % 2, "a", "b")
    free = PixelLossRegressor(0.0, scale=1.0).fit(X, y, sensitive_features=group)
    bound = BoundedGroupLoss(1.2 * float(free.group_losses_.max()), loss=None)
    model = lasso_like(0.0, 50.0, fairness=bound).fit(X, y, sensitive_features=group)
    assert model.group_losses_.max() <= bound.upper_bound * (1 + 1e-8)


@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
def test_max_iter_limits_the_iterations_of_all_sets_together(loss_mix):
    X, y, _ = wide()
    whole = lasso_like(loss_mix, 0.05).fit(X, y)
    short = lasso_like(loss_mix, 0.05, max_iter=3)
    with pytest.warns(ConvergenceWarning, match="Remedy: raise max_iter"):
        short.fit(X, y)
    assert short.n_iter_ == 3 < whole.n_iter_
    assert short.objective_ - short.dual_gap_ <= whole.objective_


def test_callbacks_hear_of_all_coefficients():
    pytest.importorskip("sklearn.callback", reason="callbacks need scikit-learn 1.9")
    X, y, group = wide()
    monitor = GroupLossMonitor()
    model = lasso_like(0.5).set_callbacks(monitor).fit(X, y, sensitive_features=group)
    losses = monitor.to_frame().query("task == 'fit'").set_index("group")["loss"]
    np.testing.assert_allclose(losses[model.groups_], model.group_losses_)


def test_a_penalty_that_kills_all_columns_leaves_the_constant():
    X, y, _ = wide()
    model = lasso_like(1.0, 1e3).fit(X, y)
    np.testing.assert_array_equal(model.coef_, 0.0)
    assert model.dual_gap_ <= 1e-8 * model.objective_


@pytest.mark.parametrize("n", [30, 300])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("ridge", [0.0, 0.1])
def test_coefficients_of_columns_of_any_size_are_single_coordinates(n, fit_intercept, ridge):
    """Their size times its inverse is 1 up to rounding."""
    rng = np.random.default_rng(0)
    X, weights, every = rng.normal(size=(n, 60)), np.full(n, 1.0 / n), np.arange(60)
    basis = coefficient_basis(DenseDesign(X), weights, fit_intercept, ridge, every, diagonal=True)
    rows = coefficient_rows(basis, every)
    assert isinstance(rows, IdentityRows)
    theta = rng.normal(size=basis.n_coordinates)
    sizes = basis.norms * basis.to_model(theta)[0]
    np.testing.assert_allclose(rows.dot(theta), sizes, rtol=1e-15)


@pytest.mark.parametrize("n_coordinates", [0, 1, 2])
def test_coefficients_of_fewer_directions_than_columns_are_no_single_coordinates(n_coordinates):
    rng = np.random.default_rng(0)
    X, every = rng.normal(size=(30, 3)), np.arange(3)
    basis = coefficient_basis(DenseDesign(X), np.full(30, 1 / 30), False, 0.0, every, diagonal=True)
    kept = replace(basis, transform=basis.transform[:, :n_coordinates])
    rows = coefficient_rows(kept, every)
    theta = rng.normal(size=n_coordinates)
    np.testing.assert_allclose(rows.dot(theta), kept.norms * kept.to_model(theta)[0], rtol=1e-14)
