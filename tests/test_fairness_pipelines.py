"""Fairness terms on grids: candidates that cannot be met, and whole lists of terms."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn import config_context
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skfairloss import PixelLossRegressor
from skfairloss.exceptions import InfeasibleFairnessError
from skfairloss.fairness import (
    BoundedGroupLoss,
    EqualizedLoss,
    PredictionParity,
    ResidualParity,
    WorstGroupLoss,
)
from skfairloss.metrics import make_group_scorer


@pytest.fixture(params=[False, True], ids=["without routing", "with routing"])
def groups_name(request):
    """What a search calls the groups of its step."""
    with config_context(enable_metadata_routing=request.param):
        yield "sensitive_features" if request.param else "model__sensitive_features"


def draw(n=90, seed=0):
    """Two groups that need different slopes; the second is a third of the rows."""
    rng = np.random.default_rng(seed)
    group = np.where(np.arange(n) % 3 == 0, "b", "a")
    X = rng.normal(size=(n, 3)) * [1.0, 10.0, 0.1] + [0.0, 5.0, -3.0]
    slope = np.where(group == "b", -1.0, 1.0)
    y = X @ [0.0, 0.1, 10.0] + slope * X[:, 0] + rng.normal(size=n)
    return X, y, group


def pipeline(**params):
    model = PixelLossRegressor(**params)
    return Pipeline([("scale", StandardScaler()), ("model", model)])


def test_a_grid_goes_over_mixes_and_bounds_and_what_cannot_be_met_is_a_named_failure(groups_name):
    X, y, group = draw()
    grid = {
        "model__loss_mix": [0.0, 0.5, 1.0],
        "model__fairness__upper_bound": [0.01, 1.75, 50.0],
    }
    search = GridSearchCV(
        pipeline(fairness=BoundedGroupLoss(1.0, loss=None)),
        grid,
        cv=KFold(3, shuffle=True, random_state=0),
        scoring="neg_mean_absolute_error",
    )
    with pytest.warns() as caught:
        search.fit(X, y, **{groups_name: group})
    failed = [str(w.message) for w in caught if w.category is FitFailedWarning]
    assert len(failed) == 1
    assert "InfeasibleFairnessError: BoundedGroupLoss cannot be met" in failed[0]
    assert "upper_bound={'a':" in failed[0]
    assert {w.category for w in caught} == {FitFailedWarning, UserWarning}
    results = search.cv_results_
    bound = np.array([p["model__fairness__upper_bound"] for p in results["params"]])
    score = results["mean_test_score"]
    assert np.isnan(score[bound == 0.01]).all()
    assert np.isfinite(score[bound == 50.0]).all()
    assert search.best_params_["model__fairness__upper_bound"] > 0.01
    best = search.best_estimator_["model"]
    assert (best.group_losses_ <= best.fairness.upper_bound * (1 + 1e-7)).all()


def test_a_search_that_must_not_fail_raises_the_message_itself(groups_name):
    X, y, group = draw()
    grid = {"model__fairness__upper_bound": [0.01]}
    search = GridSearchCV(
        pipeline(fairness=BoundedGroupLoss(1.0, loss=None)), grid, cv=2, error_score="raise"
    )
    with pytest.raises(InfeasibleFairnessError, match="smallest common factor"):
        search.fit(X, y, **{groups_name: group})


def test_a_tighter_bound_in_the_grid_is_a_smaller_worst_loss_in_the_training_folds(groups_name):
    X, y, group = draw()
    worst = []

    def keep(estimator, X, y):
        worst.append(estimator["model"].group_losses_.max())
        return 0.0

    grid = {"model__fairness__upper_bound": [50.0, 2.4, 2.2]}
    model = pipeline(loss_mix=0.0, scale=1.0, fairness=BoundedGroupLoss(1.0, loss=None))
    search = GridSearchCV(model, grid, cv=KFold(2), scoring=keep, refit=False)
    search.fit(X, y, **{groups_name: group})
    worst = np.reshape(worst, (3, 2))
    assert (worst[0] > 2.4).all()
    np.testing.assert_allclose(worst[1:], [[2.4, 2.4], [2.2, 2.2]], rtol=1e-7)


def test_a_grid_goes_over_whole_lists_of_terms(groups_name):
    X, y, group = draw()
    candidates = [
        None,
        WorstGroupLoss(),
        [WorstGroupLoss(0.5), PredictionParity(0.1)],
        [BoundedGroupLoss(60.0, loss=None), ResidualParity(0.05)],
        [EqualizedLoss(0.5, loss=None), PredictionParity(0.5)],
    ]
    search = GridSearchCV(
        pipeline(loss_mix=0.5),
        {"model__fairness": candidates},
        cv=KFold(2),
        error_score="raise",
        refit=False,
        scoring=lambda estimator, X, y: float(len(getattr(estimator[-1], "multipliers_", ()))),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        search.fit(X, y, **{groups_name: group})
    assert search.cv_results_["mean_test_score"].tolist() == [0, 1, 2, 2, 2]


def test_parameters_inside_a_list_of_terms_are_no_grid_axis():
    model = PixelLossRegressor(fairness=[BoundedGroupLoss(1.0, loss=None)])
    with pytest.raises((AttributeError, ValueError), match=r"has no attribute 'set_params'"):
        model.set_params(fairness__upper_bound=2.0)


def test_group_scorers_compare_terms_out_of_fold():
    X, y, group = draw(n=300)
    grid = {"model__fairness": [None, WorstGroupLoss()]}
    with config_context(enable_metadata_routing=True):
        scorer = make_group_scorer("mse", "group_max", groups=["a", "b"])
        search = GridSearchCV(
            pipeline(loss_mix=0.0), grid, cv=KFold(3), scoring=scorer, error_score="raise"
        )
        search.fit(X, y, sensitive_features=group)
    assert isinstance(search.best_params_["model__fairness"], WorstGroupLoss)


def test_folds_are_predicted_without_their_groups(groups_name):
    X, y, group = draw()
    model = pipeline(loss_mix=0.0, fairness=PredictionParity())
    prediction = cross_val_predict(model, X, y, cv=KFold(3), params={groups_name: group})
    for train, test in KFold(3).split(X):
        own = pipeline(loss_mix=0.0, fairness=PredictionParity())
        own.fit(X[train], y[train], **{groups_name: group[train]})
        np.testing.assert_allclose(prediction[test], own.predict(X[test]), rtol=1e-9)
