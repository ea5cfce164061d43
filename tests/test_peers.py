"""At its ends the estimator is the estimator that people know, up to the scale of alpha."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, QuantileRegressor, Ridge

from skfairloss import PixelLossRegressor
from tests.problems import PENALTIES, RegressionProblem, random_problem

SCALES = (0.25, 1.0, 30.0)


def check_same_predictions(problem: RegressionProblem, peer) -> None:
    """Compare predictions relative to the spread of y, shapes, and the presence of an intercept."""
    model = PixelLossRegressor(**problem.params, tol=1e-12)
    model.fit(problem.X, problem.y, sample_weight=problem.sample_weight)
    peer.fit(problem.X, problem.y, sample_weight=problem.sample_weight)
    expected, spread = peer.predict(problem.X), np.std(problem.y)
    np.testing.assert_allclose(model.predict(problem.X), expected, rtol=0, atol=1e-6 * spread)
    assert np.shape(model.coef_) == np.shape(peer.coef_)
    assert (model.intercept_ == 0) == (not problem.fit_intercept)


def total_weight(problem: RegressionProblem) -> float:
    return problem.y.shape[0] if problem.sample_weight is None else problem.sample_weight.sum()


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("alpha", [0.0, 0.05])
@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9])
def test_loss_mix_1_is_quantile_regressor(quantile, alpha, scale, weighted, fit_intercept):
    problem = replace(
        random_problem(1, 61, weighted=weighted, loss_mix=1.0),  # 61: no tied quantile
        quantile=quantile,
        scale=scale,
        alpha=alpha,
        l1_ratio=1.0,
        fit_intercept=fit_intercept,
    )
    peer = QuantileRegressor(
        quantile=quantile, alpha=alpha / 2, fit_intercept=fit_intercept, solver="highs"
    )
    check_same_predictions(problem, peer)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("penalty", sorted(PENALTIES))
def test_loss_mix_0_is_linear_regression_ridge_lasso_or_elastic_net(
    penalty, scale, weighted, fit_intercept
):
    problem = random_problem(
        2,
        penalty=penalty,
        weighted=weighted,
        loss_mix=0.0,
        scale=scale,
        fit_intercept=fit_intercept,
    )
    # of w / c: c times the L1 norm, as c² of the loss turns into 1 (see the docstring of alpha)
    l1, l2 = (
        problem.alpha * problem.l1_ratio * scale / 2,
        problem.alpha * (1 - problem.l1_ratio) / 2,
    )
    enet, share = max(l1 + l2, 1e-300), l1 / max(l1 + l2, 1e-300)
    tight = {"tol": 1e-14, "max_iter": 100_000}
    peers = {
        "none": LinearRegression(fit_intercept=fit_intercept),
        "ridge": Ridge(l2 * total_weight(problem), fit_intercept=fit_intercept),
        "lasso": Lasso(max(l1, 1e-300), fit_intercept=fit_intercept, **tight),
        "enet": ElasticNet(enet, l1_ratio=share, fit_intercept=fit_intercept, **tight),
    }
    check_same_predictions(problem, peers[penalty])


def test_loss_mix_0_ignores_the_quantile():
    problem = random_problem(3, penalty="enet", loss_mix=0.0)
    one, two = (
        PixelLossRegressor(0.0, quantile=q, alpha=0.1, l1_ratio=0.5).fit(problem.X, problem.y)
        for q in (0.1, 0.9)
    )
    np.testing.assert_allclose(one.coef_, two.coef_, rtol=1e-9)


@pytest.mark.parametrize("penalty", ["none", "ridge", "lasso"])
def test_several_outputs_at_loss_mix_0_are_the_peers_with_their_shapes(penalty):
    problem = random_problem(4, penalty=penalty, weighted=False, loss_mix=0.0)
    Y = np.column_stack([problem.y, problem.X[:, 0] - problem.y**2, 3.0 * problem.y + 1.0])
    peer = {
        "none": LinearRegression(),
        "ridge": Ridge(problem.alpha / 2 * Y.shape[0]),
        "lasso": Lasso(max(problem.alpha / 2, 1e-300), tol=1e-14, max_iter=100_000),
    }[penalty].fit(problem.X, Y)
    model = PixelLossRegressor(**problem.params, tol=1e-12).fit(problem.X, Y)
    assert model.coef_.shape == peer.coef_.shape == (3, 4)
    np.testing.assert_allclose(
        model.predict(problem.X), peer.predict(problem.X), atol=1e-6 * np.std(Y)
    )
