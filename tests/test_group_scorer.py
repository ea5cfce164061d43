"""Group scorers inside scikit-learn's model selection."""

from __future__ import annotations

import pickle
import re
import warnings
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn import config_context, get_config
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import get_scorer, mean_absolute_error, r2_score
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    KFold,
    RandomizedSearchCV,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr

from skfairloss import PixelLossRegressor, PixelLossRegressorCV
from skfairloss.metrics import group_metric_frame, make_group_scorer
from skfairloss.metrics._scorer import GroupScorer

GRID = {"alpha": [0.1, 100.0]}


class GroupRidge(RegressorMixin, BaseEstimator):
    """A ridge whose fit asks for the groups, as a fairness-aware estimator does."""

    __metadata_request__fit = {"sensitive_features": True}  # noqa: RUF012

    def __init__(self, alpha=1.0):
        self.alpha = alpha

    def fit(self, X, y, sensitive_features=None):
        assert sensitive_features is None or len(sensitive_features) == len(y)
        self.ridge_ = Ridge(alpha=self.alpha).fit(X, y)
        return self

    def predict(self, X):
        return self.ridge_.predict(X)


class Predicts:
    """Predicts what it was given."""

    def __init__(self, y_pred):
        self.y_pred = y_pred

    def predict(self, X):
        return self.y_pred


@pytest.fixture
def routing():
    with config_context(enable_metadata_routing=True):
        yield


def draw(n=80, outputs=(), seed=0):
    """Every fourth row is of group b, whose noise is four times as large."""
    rng = np.random.default_rng(seed)
    groups = np.where(np.arange(n) % 4 == 0, "b", "a")
    X = rng.normal(size=(n, 3))
    coef = rng.normal(size=(3, *outputs))
    noise = rng.normal(size=(*outputs, n)) * np.where(groups == "b", 2.0, 0.5)
    return X, X @ coef + noise.T, groups, rng.uniform(0.5, 2.0, n)


Y_TRUE = np.array([0.0, 2.0, 1.0, 3.0, 8.0])
Y_PRED = np.array([1.0, 4.0, 1.0, 1.0, 4.0])
GROUPS = ["dark", "dark", "bright", "bright", "bright"]
# residuals: dark -1, -2; bright 0, 2, 4; all together 0.6 on average
BY_HAND = [
    ("mae", "difference", "between_groups", -0.5),
    ("mae", "difference", "to_overall", -0.3),
    ("mae", "ratio", "between_groups", 0.75),
    ("mae", "ratio", "to_overall", 1.5 / 1.8),
    ("mae", "group_max", "between_groups", -2.0),
    ("mae", "group_min", "between_groups", -1.5),
    ("mse", "difference", "between_groups", -(20 / 3 - 2.5)),
    ("rmse", "group_max", "between_groups", -np.sqrt(20 / 3)),
    ("mean_residual", "difference", "between_groups", -0.5),
    ("mean_residual", "difference", "to_overall", -1.4),
    ("mean_residual", "group_max", "between_groups", -2.0),
]


@pytest.mark.parametrize(("metric", "aggregate", "method", "expected"), BY_HAND)
def test_scores_are_those_computed_by_hand(routing, metric, aggregate, method, expected):
    scorer = make_group_scorer(metric, aggregate, method=method)
    score = scorer(Predicts(Y_PRED), None, Y_TRUE, sensitive_features=GROUPS)
    assert type(score) is float
    assert score == pytest.approx(expected)
    factor = {"mse": 9}.get(metric, 3) if aggregate != "ratio" else 1
    twin = scorer(Predicts(7 - 3 * Y_PRED), None, 7 - 3 * Y_TRUE, sensitive_features=GROUPS)
    assert twin == pytest.approx(factor * expected)


@pytest.mark.parametrize("outputs", [(), (4,)])
@pytest.mark.parametrize("metric", ["mae", "mse", "rmse"])
def test_scores_agree_with_the_metric_frame_for_weights_and_several_outputs(
    routing, metric, outputs
):
    X, y, groups, weights = draw(outputs=outputs)
    model = LinearRegression().fit(X, y)
    frame = group_metric_frame(
        y, model.predict(X), sensitive_features=groups, sample_weight=weights
    )
    for aggregate in ("difference", "ratio", "group_max"):
        score = make_group_scorer(metric, aggregate)(
            model, X, y, sensitive_features=groups, sample_weight=5 * weights
        )
        sign = 1 if aggregate == "ratio" else -1
        assert score == pytest.approx(sign * getattr(frame, aggregate)()[metric])


def test_mean_residual_takes_absolute_values_of_the_groups(routing):
    y_true, y_pred = np.zeros(4), np.array([1.0, 1.0, -1.0, -1.0])
    scores = {
        aggregate: make_group_scorer("mean_residual", aggregate)(
            Predicts(y_pred), None, y_true, sensitive_features=["a", "a", "b", "b"]
        )
        for aggregate in ("difference", "group_max", "group_min")
    }
    assert scores == {"difference": 0.0, "group_max": -1.0, "group_min": -1.0}


@pytest.mark.parametrize(
    ("aggregate", "greater_is_better", "sign"),
    [
        ("group_min", True, 1),
        ("group_min", False, -1),
        ("group_max", True, 1),
        ("difference", True, -1),
        ("difference", False, -1),
        ("ratio", True, 1),
        ("ratio", False, 1),
    ],
)
def test_the_sign_for_a_callable_makes_greater_scores_better(
    routing, aggregate, greater_is_better, sign
):
    X, y, groups, weights = draw()
    model = LinearRegression().fit(X, y)
    frame = group_metric_frame(
        y, model.predict(X), sensitive_features=groups, sample_weight=weights, metrics=r2_score
    )
    scorer = make_group_scorer(r2_score, aggregate, greater_is_better=greater_is_better)
    score = scorer(model, X, y, sensitive_features=groups, sample_weight=weights)
    assert score == pytest.approx(sign * getattr(frame, aggregate)())


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize("columns", ["g", ["g"], ["g", "h"]])
def test_columns_of_x_are_read_with_routing_off(frame, columns):
    assert not get_config()["enable_metadata_routing"]
    X = frame({"g": ["a", "a", "b", "b"] * 2, "h": [0, 0, 0, 0, 1, 1, 1, 1]})
    y_pred = np.array([1.0, 1, 2, 2, 3, 3, 6, 6])
    scorer = make_group_scorer("mae", "group_max", sensitive_features=columns)
    expected = -6.0 if len(columns) == 2 else -4.0
    assert scorer(Predicts(y_pred), X, np.zeros(8)) == expected


def numbered(n=80):
    """X as a frame with the group as a number, so that linear models take it too."""
    X, y, groups, _ = draw(n)
    frame = pd.DataFrame(X, columns=["x0", "x1", "x2"])
    return frame.assign(group=(groups == "b").astype(int)), y, groups


@pytest.mark.parametrize("enabled", [False, True])
def test_a_search_reads_the_groups_from_a_column_with_and_without_routing(enabled):
    X, y, groups = numbered()
    with config_context(enable_metadata_routing=enabled):
        search = GridSearchCV(
            make_pipeline(StandardScaler(), Ridge()),
            {"ridge__alpha": [0.1, 100.0]},
            scoring=make_group_scorer("mse", "group_max", sensitive_features="group"),
            cv=3,
            error_score="raise",
        ).fit(X, y)
        score = search.score(X, y)
    frame = group_metric_frame(y, search.predict(X), sensitive_features=groups)
    assert score == pytest.approx(-frame.group_max()["mse"])


def manual_scores(X, y, groups, cv, alpha, aggregate="difference"):
    """Scores of the folds, from the metric frame."""
    scores = []
    for train, test in cv.split(X, groups):
        y_pred = Ridge(alpha=alpha).fit(X[train], y[train]).predict(X[test])
        frame = group_metric_frame(y[test], y_pred, sensitive_features=groups[test])
        scores.append(-getattr(frame, aggregate)()["mae"])
    return scores


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("estimator", [Ridge(), GroupRidge()])
def test_grid_search_routes_the_groups_to_the_scorer(routing, estimator, n_jobs):
    X, y, groups, _ = draw()
    cv = KFold(4)
    search = GridSearchCV(
        estimator, GRID, scoring=make_group_scorer(), cv=cv, n_jobs=n_jobs, error_score="raise"
    ).fit(X, y, sensitive_features=groups)
    for candidate, alpha in enumerate(GRID["alpha"]):
        scores = [search.cv_results_[f"split{k}_test_score"][candidate] for k in range(4)]
        np.testing.assert_allclose(scores, manual_scores(X, y, groups, cv, alpha))
    frame = group_metric_frame(y, search.predict(X), sensitive_features=groups)
    score = search.score(X, y, sensitive_features=groups)
    assert score == pytest.approx(-frame.difference()["mae"])


def test_cross_validate_takes_several_scorers_at_once(routing):
    X, y, groups, _ = draw()
    cv = KFold(4)
    scoring = {
        "mae": "neg_mean_absolute_error",
        "gap": make_group_scorer("mae"),
        "worst": make_group_scorer("mae", "group_max"),
    }
    results = cross_validate(
        GroupRidge(), X, y, scoring=scoring, cv=cv, params={"sensitive_features": groups}
    )
    np.testing.assert_allclose(results["test_gap"], manual_scores(X, y, groups, cv, 1.0))
    worst = manual_scores(X, y, groups, cv, 1.0, "group_max")
    np.testing.assert_allclose(results["test_worst"], worst)
    assert (results["test_worst"] <= results["test_mae"]).all()


def test_a_search_over_several_scorers_refits_on_one_of_them(routing):
    X, y, groups, _ = draw()
    search = GridSearchCV(
        GroupRidge(),
        GRID,
        scoring={"mae": get_scorer("neg_mean_absolute_error"), "gap": make_group_scorer()},
        refit="gap",
        error_score="raise",
    ).fit(X, y, sensitive_features=groups)
    assert search.best_index_ == np.argmax(search.cv_results_["mean_test_gap"])


@pytest.mark.parametrize(
    "search",
    [
        partial(RandomizedSearchCV, n_iter=2, random_state=0),
        partial(HalvingGridSearchCV, min_resources=80, factor=2, random_state=0),
    ],
)
def test_other_searches_route_the_groups_too(routing, search):
    X, y, groups, _ = draw(160)
    fitted = search(
        GroupRidge(), GRID, scoring=make_group_scorer(), cv=KFold(4), error_score="raise"
    ).fit(X, y, sensitive_features=groups)
    full = np.flatnonzero(np.array(fitted.cv_results_.get("n_resources", [160] * 2)) == 160)
    assert full.size
    for candidate in full:
        alpha = fitted.cv_results_["params"][candidate]["alpha"]
        expected = np.mean(manual_scores(X, y, groups, KFold(4), alpha))
        assert fitted.cv_results_["mean_test_score"][candidate] == pytest.approx(expected)


def test_requests_of_weights_are_merged_with_those_of_groups(routing):
    X, y, groups, weights = draw()
    scorer = make_group_scorer().set_score_request(sample_weight=True)
    assert scorer.get_metadata_routing().score.requests == {
        "sensitive_features": True,
        "sample_weight": True,
    }
    search = GridSearchCV(
        Ridge().set_fit_request(sample_weight=True), GRID, scoring=scorer, error_score="raise"
    ).fit(X, y, sensitive_features=groups, sample_weight=weights)
    score = search.score(X, y, sensitive_features=groups, sample_weight=weights)
    frame = group_metric_frame(
        y, search.predict(X), sensitive_features=groups, sample_weight=weights
    )
    assert score == pytest.approx(-frame.difference()["mae"])


def test_weights_need_a_request_as_with_scikit_learns_scorers(routing):
    X, y, groups, weights = draw()
    search = GridSearchCV(
        Ridge().set_fit_request(sample_weight=True), GRID, scoring=make_group_scorer()
    )
    with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
        search.fit(X, y, sensitive_features=groups, sample_weight=weights)


def test_groups_may_be_passed_under_another_name(routing):
    X, y, groups, _ = draw()
    scorer = make_group_scorer().set_score_request(sensitive_features="tone")
    search = GridSearchCV(Ridge(), GRID, scoring=scorer, error_score="raise")
    score = search.fit(X, y, tone=groups).best_score_
    plain = GridSearchCV(Ridge(), GRID, scoring=make_group_scorer(), error_score="raise")
    assert score == plain.fit(X, y, sensitive_features=groups).best_score_


def test_a_column_scorer_leaves_the_groups_to_the_estimator(routing):
    X, y, groups = numbered()
    scorer = make_group_scorer(sensitive_features="group")
    search = GridSearchCV(GroupRidge(), GRID, scoring=scorer, error_score="raise")
    search.fit(X, y, sensitive_features=groups)
    assert search.best_score_ < 0
    with pytest.raises(TypeError, match="takes no sensitive_features"):
        scorer.set_score_request(sensitive_features=True)


def test_unknown_requests_are_refused(routing):
    with pytest.raises(TypeError, match="takes no groups, only"):
        make_group_scorer().set_score_request(groups=True)
    unweighted = make_group_scorer(lambda t, p: 0.0, greater_is_better=False)
    with pytest.raises(TypeError, match="takes no sample_weight"):
        unweighted.set_score_request(sample_weight=True)


REMEDY = r"routing is off.*set_config\(enable_metadata_routing=True\).*sensitive_features='column'"


def test_a_scorer_can_be_made_before_routing_is_switched_on():
    assert not get_config()["enable_metadata_routing"]
    scorer = make_group_scorer()
    X, y, groups, _ = draw()
    with config_context(enable_metadata_routing=True):
        search = GridSearchCV(GroupRidge(), GRID, scoring=scorer, error_score="raise")
        search.fit(X, y, sensitive_features=groups)
        again = GridSearchCV(GroupRidge(), GRID, scoring=make_group_scorer(), error_score="raise")
        again.fit(X, y, sensitive_features=groups)
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_score"], again.cv_results_["mean_test_score"]
    )


def test_with_routing_off_and_no_column_the_call_fails_with_the_remedy():
    X, y, groups, _ = draw()
    model = LinearRegression().fit(X, y)
    with pytest.raises(ValueError, match=f"called without sensitive_features: .*{REMEDY}"):
        make_group_scorer()(model, X, y)
    search = GridSearchCV(GroupRidge(), GRID, scoring=make_group_scorer(), error_score="raise")
    with pytest.raises(ValueError, match=REMEDY):
        search.fit(X, y, sensitive_features=groups)
    # the groups may still be given to the scorer itself
    score = make_group_scorer()(model, X, y, sensitive_features=groups)
    frame = group_metric_frame(y, model.predict(X), sensitive_features=groups)
    assert score == pytest.approx(-frame.difference()["mae"])


def test_the_warning_of_a_search_that_swallows_the_error_has_the_remedy():
    X, y, groups, _ = draw()
    search = GridSearchCV(GroupRidge(), GRID, scoring=make_group_scorer())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search.fit(X, y, sensitive_features=groups)
    assert np.isnan(search.cv_results_["mean_test_score"]).all()
    assert any(re.search(REMEDY, str(warning.message), re.S) for warning in caught)


def test_the_own_search_passes_the_groups_to_a_scorer_made_and_used_with_routing_off():
    X, y, groups, _ = draw()
    model = PixelLossRegressorCV(
        [0.0, 1.0], scoring=make_group_scorer(), cv=KFold(4), error_score="raise"
    ).fit(X, y, sensitive_features=groups)
    y_pred = PixelLossRegressor(0.0).fit(X[20:], y[20:]).predict(X[:20])
    frame = group_metric_frame(y[:20], y_pred, sensitive_features=groups[:20])
    first = model.cv_results_["split0_test_score"][0]
    assert first == pytest.approx(-frame.difference()["mae"], rel=1e-6)


def test_requests_cannot_be_set_with_routing_off():
    scorer = make_group_scorer(sensitive_features="group")
    with pytest.raises(RuntimeError, match="set_config"):
        scorer.set_score_request(sample_weight=True)


def test_a_scorer_does_not_depend_on_where_it_was_made():
    with config_context(enable_metadata_routing=True):
        scorer = make_group_scorer()
    for twin in (clone(scorer), pickle.loads(pickle.dumps(scorer)), scorer):
        score = twin(Predicts(Y_PRED), None, Y_TRUE, sensitive_features=GROUPS)
        assert score == pytest.approx(-0.5)


def test_a_call_without_groups_names_argument_and_fix(routing):
    X, y, _, _ = draw()
    with pytest.raises(ValueError, match=r"without sensitive_features: pass sensitive_features="):
        make_group_scorer()(LinearRegression().fit(X, y), X, y)
    search = GridSearchCV(Ridge(), GRID, scoring=make_group_scorer(), error_score="raise")
    with pytest.raises(ValueError, match="called without sensitive_features"):
        search.fit(X, y)


def test_a_fold_with_one_group_is_an_error(routing):
    X, y, groups, _ = draw()
    order = np.argsort(groups)
    X, y, groups = X[order], y[order], groups[order]
    search = GridSearchCV(
        Ridge(), GRID, scoring=make_group_scorer(), cv=KFold(2), error_score="raise"
    )
    with pytest.raises(ValueError, match=r"has the group 'a' only.*stratify the folds by group"):
        search.fit(X, y, sensitive_features=groups)


@pytest.mark.parametrize(
    ("features", "listed", "absent"),
    [
        (GROUPS, ["dark", "bright", "grey"], "'grey'"),
        ([1, 1, 0, 0, 0], [0, 2], "2"),
        ({"g": GROUPS, "h": [1, 1, 0, 0, 0]}, [("dark", 1), ("dark", 0)], r"\('dark', 0\)"),
    ],
)
def test_a_listed_group_that_is_absent_is_an_error(routing, features, listed, absent):
    scorer = make_group_scorer(groups=listed)
    with pytest.raises(ValueError, match=rf"groups \[{absent}\] are not among"):
        scorer(Predicts(Y_PRED), None, Y_TRUE, sensitive_features=features)


def test_listed_groups_that_are_present_change_nothing(routing):
    scorer = make_group_scorer(groups=["bright", "dark"])
    score = scorer(Predicts(Y_PRED), None, Y_TRUE, sensitive_features=GROUPS)
    assert score == pytest.approx(-0.5)


def test_a_group_without_weight_is_absent(routing):
    with pytest.raises(ValueError, match="has the group 'bright' only"):
        make_group_scorer()(
            Predicts(Y_PRED), None, Y_TRUE, sensitive_features=GROUPS, sample_weight=[0, 0, 1, 1, 1]
        )


def test_undefined_scores_are_errors(routing):
    ratio = make_group_scorer("mae", "ratio")
    with pytest.raises(ValueError, match=r"ratio is nan.*use aggregate='difference'"):
        ratio(Predicts(Y_TRUE), None, Y_TRUE, sensitive_features=GROUPS)
    negative = make_group_scorer(r2_score, "ratio", greater_is_better=True)
    with pytest.raises(ValueError, match=r"ratio is -\d"):
        negative(Predicts(Y_PRED), None, Y_TRUE, sensitive_features=GROUPS)
    undefined = make_group_scorer(lambda t, p: np.nan, greater_is_better=True)
    with pytest.raises(ValueError, match="<lambda> is nan for the group 'bright'"):
        undefined(Predicts(Y_PRED), None, Y_TRUE, sensitive_features=GROUPS)


def test_weights_for_a_metric_without_weights_are_an_error(routing):
    scorer = make_group_scorer(lambda t, p: 1.0, greater_is_better=True)
    with pytest.raises(ValueError, match="sample_weight is given"):
        scorer(Predicts(Y_PRED), None, Y_TRUE, sensitive_features=GROUPS, sample_weight=np.ones(5))


def test_a_misaligned_index_is_an_error(routing):
    y = pd.Series(Y_TRUE)
    features = pd.Series(GROUPS, index=[4, 3, 2, 1, 0])
    with pytest.raises(ValueError, match="differs from that of y"):
        make_group_scorer()(Predicts(Y_PRED), None, y, sensitive_features=features)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((5, 1)), "must be a pandas or polars DataFrame, got ndarray"),
        (pd.DataFrame({"x": np.zeros(5)}), r"X has no columns \['group'\], it has \['x'\]"),
    ],
)
def test_x_without_the_column_is_an_error(X, message):
    with pytest.raises(ValueError, match=message):
        make_group_scorer(sensitive_features="group")(Predicts(Y_PRED), X, Y_TRUE)


def test_groups_given_twice_are_an_error():
    scorer = make_group_scorer(sensitive_features="group")
    X = pd.DataFrame({"group": GROUPS})
    with pytest.raises(ValueError, match="sensitive_features is passed as well"):
        scorer(Predicts(Y_PRED), X, Y_TRUE, sensitive_features=GROUPS)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"metric": "count"}, ValueError, r"metric must be one of \['mae', .* got 'count'"),
        (
            {"metric": "neg_mean_absolute_error"},
            ValueError,
            "metric must be one of .*'pinball@0.9'",
        ),
        ({"metric": 3}, TypeError, "metric must be one of .* got 3"),
        ({"metric": ["mae"]}, TypeError, r"metric must be one of .* got \['mae'\]"),
        ({"metric": max}, TypeError, r"metric\(y_true, y_pred\), got <built-in function max>"),
        ({"metric": "pinball"}, ValueError, r"metric='pinball' must have its quantile"),
        ({"metric": r2_score}, ValueError, "greater_is_better must be True or False"),
        ({"greater_is_better": True}, ValueError, "the direction of 'mae' is known"),
        ({"aggregate": "max"}, ValueError, "aggregate must be one of .* got 'max'"),
        ({"metric": "mean_residual", "aggregate": "ratio"}, ValueError, "is not defined for"),
        ({"metric": "bias", "aggregate": "ratio"}, ValueError, "'bias', which is zero at best"),
        ({"metric": "r2", "aggregate": "ratio"}, ValueError, "'r2', which may be negative"),
        (
            {"metric": "mean_prediction", "aggregate": "group_max"},
            ValueError,
            "aggregate='group_max' needs .* got 'mean_prediction'",
        ),
        ({"method": "pairs"}, ValueError, "method must be one of .* got 'pairs'"),
        ({"aggregate": "group_max", "method": "to_overall"}, ValueError, "has no effect"),
        ({"groups": "dark"}, TypeError, "groups must be a sequence of group names, got 'dark'"),
        ({"groups": ["dark"]}, ValueError, r"at least two groups, got \['dark'\]"),
        ({"sensitive_features": []}, TypeError, "must be a column name or a list of column"),
        ({"sensitive_features": np.array(GROUPS)}, TypeError, "got ndarray; groups of the rows"),
        ({"sensitive_features": [1, 2]}, TypeError, "must be a column name or a list of column"),
    ],
)
def test_the_factory_refuses_unusable_arguments_by_name(routing, options, error, message):
    with pytest.raises(error, match=message):
        make_group_scorer(**options)


def test_a_scorer_has_a_name_and_a_readable_repr(routing):
    scorer = make_group_scorer()
    assert scorer.__name__ == "mae_difference"
    assert repr(scorer) == "make_group_scorer('mae', 'difference')"
    other = make_group_scorer(
        mean_absolute_error,
        "ratio",
        sensitive_features=["g", "h"],
        groups=["a", "b"],
        greater_is_better=False,
        method="to_overall",
    )
    assert other.__name__ == "mean_absolute_error_ratio"
    assert repr(other) == (
        "make_group_scorer(mean_absolute_error, 'ratio', sensitive_features=['g', 'h'], "
        "groups=['a', 'b'], greater_is_better=False, method='to_overall')"
    )
    assert make_group_scorer(partial(r2_score), greater_is_better=True).__name__


def test_a_search_has_a_repr_and_html(routing):
    X, y, groups, _ = draw()
    search = GridSearchCV(GroupRidge(), GRID, scoring=make_group_scorer())
    assert "make_group_scorer('mae', 'difference')" in repr(search)
    assert "GroupRidge" in estimator_html_repr(search.fit(X, y, sensitive_features=groups))


def test_a_search_can_be_cloned_and_pickled(routing):
    X, y, groups, _ = draw()
    scorer = make_group_scorer().set_score_request(sample_weight=False)
    search = clone(GridSearchCV(GroupRidge(), GRID, scoring=scorer, error_score="raise"))
    assert isinstance(search.scoring, GroupScorer)
    assert search.scoring is not scorer
    requests = search.scoring.get_metadata_routing().score.requests
    assert requests == {"sensitive_features": True, "sample_weight": False}
    search.fit(X, y, sensitive_features=groups)
    again = pickle.loads(pickle.dumps(search))
    scores = [s.score(X, y, sensitive_features=groups) for s in (search, again)]
    assert scores[0] == scores[1]
    scorer.set_score_request(sample_weight=True)
    assert search.scoring.get_metadata_routing().score.requests["sample_weight"] is False
