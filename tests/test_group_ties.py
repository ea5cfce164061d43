"""Ties at loss_mix=1 under fairness terms: the limit of the mix, whatever the order of the rows."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from skfairloss import PixelLossRegressor
from skfairloss.fairness import (
    BoundedGroupLoss,
    EqualizedLoss,
    PredictionParity,
    ResidualParity,
    WorstGroupLoss,
)

TERMS = {
    "none": None,
    "minimax": WorstGroupLoss(),
    "weighted": WorstGroupLoss(0.5),
    "bounded": BoundedGroupLoss(2.0),
    "predictions": PredictionParity(0.3),
    "residuals": ResidualParity(0.2),
    "list": [WorstGroupLoss(0.3), PredictionParity(0.5)],
}


def fit(term, sample, loss_mix=1.0, **settings):
    X, y, weight, group = sample
    model = PixelLossRegressor(loss_mix, fairness=term, **settings)
    return model.fit(X, y, sample_weight=weight, sensitive_features=group)


def grid_data(seed=0, outputs=(2,)):
    """Few distinct rows and rounded targets: optima are not unique."""
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 3, (60, 2)).astype(float)
    y = np.round(X @ rng.normal(size=(2, *outputs)) + rng.normal(size=(60, *outputs)))
    return X, y, rng.integers(1, 3, 60).astype(float), rng.integers(0, 3, 60)


@pytest.mark.parametrize(("offset", "unit"), [(0.0, 1.0), (-40.0, 8.0)])
@pytest.mark.parametrize(
    ("term", "expected"),
    [
        # anything in [0.3, 0.9] is a median; the mean, 0.61, has the least squares among them
        (BoundedGroupLoss(1.0), 0.61),
        (EqualizedLoss(0.5), 0.61),
        (PredictionParity(), 0.61),
        # group b, whose mean is 0.62, is worst off by the outlier and weighs 1/2 + 1/4
        (WorstGroupLoss(0.5), 0.615),
    ],
)
def test_of_the_medians_of_two_levels_the_one_of_least_squares_is_taken(
    term, expected, offset, unit
):
    level = np.append(np.repeat([0.3, 0.9], [50, 49]), 1.9)
    group = np.tile(["a", "b"], 50)
    sample = np.zeros((100, 1)), offset + unit * level, None, group
    model = fit(term, sample, scale=unit)
    assert model.intercept_ == pytest.approx(offset + unit * expected, rel=1e-9)


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize("penalty", [{}, {"alpha": 0.05}, {"alpha": 0.05, "l1_ratio": 1.0}])
def test_a_tie_under_fairness_terms_is_the_limit_of_the_mix(name, penalty):
    sample = grid_data()
    model = fit(TERMS[name], sample, **penalty)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the gap asked for is close to rounding
        near = fit(TERMS[name], sample, 1 - 1e-6, tol=1e-10, **penalty)
    np.testing.assert_allclose(model.coef_, near.coef_, atol=1e-4)
    np.testing.assert_allclose(model.intercept_, near.intercept_, atol=1e-4)
    assert model.objective_ == pytest.approx(near.objective_, rel=1e-5)


@pytest.mark.parametrize("name", TERMS)
def test_the_order_of_rows_and_copies_do_not_decide_a_tie(name):
    X, y, weight, group = grid_data(seed=1)
    model = fit(TERMS[name], (X, y, weight, group))
    order = np.random.default_rng(0).permutation(len(y))
    shuffled = fit(TERMS[name], (X[order], y[order], weight[order], group[order]))
    np.testing.assert_allclose(shuffled.coef_, model.coef_, atol=1e-7)
    rows = np.repeat(np.arange(len(y)), weight.astype(int))
    copies = fit(TERMS[name], (X[rows], y[rows], None, group[rows]))
    np.testing.assert_allclose(copies.coef_, model.coef_, atol=1e-7)
