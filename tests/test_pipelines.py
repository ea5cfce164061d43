"""Sensitive features on their way to fit: through pipelines, searches and meta-estimators."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.ensemble import BaggingRegressor, StackingRegressor, VotingRegressor
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.linear_model import RANSACRegressor
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    RandomizedSearchCV,
    ShuffleSplit,
    StratifiedKFold,
    cross_val_predict,
    cross_validate,
)
from sklearn.multioutput import MultiOutputRegressor, RegressorChain
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skfairloss import PixelLossRegressor
from skfairloss.metrics import group_metric_frame, make_group_scorer

STEP = "model__sensitive_features"
MODEL = PixelLossRegressor(0.3, alpha=0.01)


@pytest.fixture
def routing():
    with config_context(enable_metadata_routing=True):
        yield


def draw(n=60, outputs=(), seed=0):
    """Every third row is of group b, whose noise is four times as large; weights differ."""
    rng = np.random.default_rng(seed)
    groups = np.where(np.arange(n) % 3 == 0, "b", "a")
    X = rng.normal(size=(n, 3)) * [1.0, 10.0, 0.1] + [0.0, 5.0, -3.0]
    noise = rng.normal(size=(*outputs, n)) * np.where(groups == "b", 2.0, 0.5)
    y = X @ rng.normal(size=(3, *outputs)) + noise.T
    return X, y, groups, rng.uniform(0.5, 2.0, n)


def pipeline():
    return Pipeline([("scale", StandardScaler()), ("model", clone(MODEL))])


def assert_fitted_as_directly(model, X, y, groups, sample_weight=None) -> None:
    """The model is the one that a direct fit to these rows, groups and weights gives."""
    direct = clone(model).fit(X, y, sample_weight=sample_weight, sensitive_features=groups)
    assert model.groups_.tolist() == direct.groups_.tolist()
    np.testing.assert_allclose(model.group_losses_, direct.group_losses_, rtol=1e-9)
    np.testing.assert_allclose(model.group_weights_, direct.group_weights_, rtol=1e-12)
    np.testing.assert_allclose(model.coef_, direct.coef_, rtol=1e-6, atol=1e-9)


def assert_pipeline_fitted_as_directly(fitted, X, y, groups, **weights) -> None:
    scaled = StandardScaler().fit_transform(np.asarray(X))
    assert_fitted_as_directly(fitted[-1], scaled, np.asarray(y), groups, **weights)


# --------------------------------------------------------------------------------------------------
# Routing on
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outputs", [(), (2,)])
def test_a_pipeline_hands_on_the_groups(routing, outputs):
    X, y, groups, _ = draw(outputs=outputs)
    fitted = pipeline().fit(X, y, sensitive_features=groups)
    assert_pipeline_fitted_as_directly(fitted, X, y, groups)


def test_the_losses_that_are_compared_here_depend_on_the_order_of_the_groups():
    X, y, groups, _ = draw()
    right = clone(MODEL).fit(X, y, sensitive_features=groups).group_losses_
    wrong = clone(MODEL).fit(X, y, sensitive_features=np.roll(groups, 1)).group_losses_
    assert np.abs(right / wrong - 1).max() > 0.1


CVS = [
    KFold(3, shuffle=True, random_state=1),
    ShuffleSplit(3, train_size=0.5, random_state=2),
]


def fold_models(log):
    """A scorer that keeps the estimators it is to score."""

    def keep(estimator, X, y):
        log.append(estimator)
        return 0.0

    return keep


@pytest.mark.parametrize("cv", CVS)
@pytest.mark.parametrize("search", [GridSearchCV, RandomizedSearchCV])
def test_a_search_hands_each_fold_its_groups_and_the_refit_all(routing, search, cv):
    X, y, groups, _ = draw()
    log: list = []
    options = {"n_iter": 2, "random_state": 0} if search is RandomizedSearchCV else {}
    grid = {"model__loss_mix": [0.0, 1.0]}
    fitted = search(pipeline(), grid, cv=cv, scoring=fold_models(log), **options)
    fitted.fit(X, y, sensitive_features=groups)
    assert len(log) == 6
    assert {model[-1].loss_mix for model in log} == {0.0, 1.0}
    for model, (train, _) in zip(log, [*cv.split(X), *cv.split(X)], strict=True):
        assert_pipeline_fitted_as_directly(model, X[train], y[train], groups[train])
    assert_pipeline_fitted_as_directly(fitted.best_estimator_, X, y, groups)


@pytest.mark.parametrize("cv", CVS)
def test_cross_validate_hands_each_fold_its_groups_and_weights(routing, cv):
    X, y, groups, weights = draw()
    model = clone(MODEL).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
    params = {"sensitive_features": groups, "sample_weight": weights}
    result = cross_validate(model, X, y, cv=cv, params=params, return_estimator=True)
    for fitted, (train, _) in zip(result["estimator"], cv.split(X), strict=True):
        assert_fitted_as_directly(fitted, X[train], y[train], groups[train], weights[train])


def test_folds_may_be_stratified_by_the_groups(routing):
    X, y, groups, _ = draw()
    splits = list(StratifiedKFold(4, shuffle=True, random_state=0).split(X, groups))
    result = cross_validate(
        pipeline(),
        X,
        y,
        cv=splits,
        params={"sensitive_features": groups},
        scoring=make_group_scorer(groups=["a", "b"]),
        return_estimator=True,
        error_score="raise",
    )
    for fitted, (train, _) in zip(result["estimator"], splits, strict=True):
        assert_pipeline_fitted_as_directly(fitted, X[train], y[train], groups[train])


def test_a_transformed_target_is_fitted_with_the_groups(routing):
    X, y, groups, _ = draw()
    fitted = TransformedTargetRegressor(clone(MODEL), func=np.cbrt, inverse_func=lambda z: z**3)
    fitted.fit(X, y, sensitive_features=groups)
    assert_fitted_as_directly(fitted.regressor_, X, np.cbrt(y), groups)


def test_every_output_is_fitted_with_the_groups(routing):
    X, y, groups, _ = draw(outputs=(3,))
    fitted = MultiOutputRegressor(clone(MODEL)).fit(X, y, sensitive_features=groups)
    for k, model in enumerate(fitted.estimators_):
        assert_fitted_as_directly(model, X, y[:, k], groups)


def test_every_link_of_a_chain_is_fitted_with_the_groups(routing):
    X, y, groups, _ = draw(outputs=(2,))
    first, second = RegressorChain(clone(MODEL)).fit(X, y, sensitive_features=groups).estimators_
    assert_fitted_as_directly(first, X, y[:, 0], groups)
    assert_fitted_as_directly(second, np.column_stack([X, y[:, 0]]), y[:, 1], groups)


def test_both_levels_of_a_stack_are_fitted_with_the_groups(routing):
    X, y, groups, _ = draw()
    stack = StackingRegressor([("pipe", pipeline())], clone(MODEL), cv=KFold(3))
    stack.fit(X, y, sensitive_features=groups)
    assert_pipeline_fitted_as_directly(stack.estimators_[0], X, y, groups)
    params = {"sensitive_features": groups}
    below = cross_val_predict(pipeline(), X, y, cv=KFold(3), params=params)[:, None]
    assert_fitted_as_directly(stack.final_estimator_, below, y, groups)


def test_every_voter_is_fitted_with_the_groups(routing):
    X, y, groups, _ = draw()
    fitted = VotingRegressor([("l1", PixelLossRegressor(1.0)), ("pipe", pipeline())])
    fitted.fit(X, y, sensitive_features=groups)
    assert_fitted_as_directly(fitted.estimators_[0], X, y, groups)
    assert_pipeline_fitted_as_directly(fitted.estimators_[1], X, y, groups)


@pytest.mark.parametrize("bootstrap", [True, False])
def test_every_bag_is_fitted_with_the_groups_of_its_rows(routing, bootstrap):
    X, y, groups, _ = draw()
    bags = BaggingRegressor(
        clone(MODEL), n_estimators=3, max_samples=0.7, bootstrap=bootstrap, random_state=0
    ).fit(X, y, sensitive_features=groups)
    for model, rows in zip(bags.estimators_, bags.estimators_samples_, strict=True):
        assert_fitted_as_directly(model, X[rows], y[rows], groups[rows])


def test_the_inliers_are_fitted_with_their_groups(routing):
    X, y, groups, _ = draw()
    y[::10] += 1000.0
    fitted = RANSACRegressor(clone(MODEL), min_samples=20, residual_threshold=500.0, random_state=0)
    fitted.fit(X, y, sensitive_features=groups)
    kept = fitted.inlier_mask_
    assert 20 < kept.sum() < len(y)
    assert_fitted_as_directly(fitted.estimator_, X[kept], y[kept], groups[kept])


def test_a_dropped_column_may_still_define_the_groups(routing):
    X, y, groups, _ = draw()
    frame = pd.DataFrame(X, columns=list("uvw")).assign(group=groups)
    fitted = Pipeline(
        [
            ("columns", make_column_transformer((StandardScaler(), list("uvw")))),
            ("model", clone(MODEL)),
        ]
    ).fit(frame, y, sensitive_features=frame["group"])
    assert_pipeline_fitted_as_directly(fitted, X, y, groups)


def test_groups_may_be_passed_under_another_name(routing):
    X, y, groups, _ = draw()
    model = pipeline()
    model[-1].set_fit_request(sensitive_features="tone")
    assert_pipeline_fitted_as_directly(model.fit(X, y, tone=groups), X, y, groups)
    search = GridSearchCV(model, {"model__alpha": [0.01]}, cv=3).fit(X, y, tone=groups)
    assert_pipeline_fitted_as_directly(search.best_estimator_, X, y, groups)
    with pytest.raises(TypeError, match=r"unexpected argument.*sensitive_features"):
        model.fit(X, y, sensitive_features=groups)


def test_without_groups_the_fit_has_none_and_the_scorer_raises(routing):
    X, y, _, _ = draw()
    grid = {"model__alpha": [0.01]}
    fitted = GridSearchCV(pipeline(), grid).fit(X, y).best_estimator_[-1]
    assert not hasattr(fitted, "groups_")
    search = GridSearchCV(pipeline(), grid, scoring=make_group_scorer(), error_score="raise")
    with pytest.raises(ValueError, match="without sensitive_features: pass sensitive_features="):
        search.fit(X, y)


def test_weights_are_refused_for_the_scaler_until_it_says_what_to_do_with_them(routing):
    X, y, groups, weights = draw()
    model = pipeline()
    model[-1].set_fit_request(sample_weight=True)
    metadata = {"sensitive_features": groups, "sample_weight": weights}
    with pytest.raises(UnsetMetadataPassedError, match=r"sample_weight.*StandardScaler"):
        model.fit(X, y, **metadata)
    model[0].set_fit_request(sample_weight=False)
    model.fit(X, y, **metadata)
    assert_pipeline_fitted_as_directly(model, X, y, groups, sample_weight=weights)
    scoring = make_group_scorer().set_score_request(sample_weight=True)
    search = GridSearchCV(model, {"model__loss_mix": [0.3, 1.0]}, scoring=scoring, cv=3)
    assert np.isfinite(search.fit(X, y, **metadata).best_score_)


# --------------------------------------------------------------------------------------------------
# Routing off
# --------------------------------------------------------------------------------------------------


def test_with_routing_off_the_name_of_the_step_leads_the_groups_through_a_pipeline():
    X, y, groups, _ = draw()
    fitted = pipeline().fit(X, y, **{STEP: groups})
    assert_pipeline_fitted_as_directly(fitted, X, y, groups)


def test_with_routing_off_the_name_of_the_step_leads_the_groups_through_a_search():
    X, y, groups, _ = draw()
    log: list = []
    cv = CVS[0]
    search = GridSearchCV(pipeline(), {"model__alpha": [0.01]}, cv=cv, scoring=fold_models(log))
    search.fit(X, y, **{STEP: groups})
    for model, (train, _) in zip(log, cv.split(X), strict=True):
        assert_pipeline_fitted_as_directly(model, X[train], y[train], groups[train])
    assert_pipeline_fitted_as_directly(search.best_estimator_, X, y, groups)


def test_with_routing_off_a_search_over_the_bare_estimator_takes_the_groups():
    X, y, groups, _ = draw()
    log: list = []
    cv = CVS[0]
    search = GridSearchCV(clone(MODEL), {"alpha": [0.01]}, cv=cv, scoring=fold_models(log))
    search.fit(X, y, sensitive_features=groups)
    for model, (train, _) in zip(log, cv.split(X), strict=True):
        assert_fitted_as_directly(model, X[train], y[train], groups[train])


def test_with_routing_off_cross_validate_takes_the_groups_by_step():
    X, y, groups, _ = draw()
    result = cross_validate(
        pipeline(), X, y, cv=CVS[1], params={STEP: groups}, return_estimator=True
    )
    for model, (train, _) in zip(result["estimator"], CVS[1].split(X), strict=True):
        assert_pipeline_fitted_as_directly(model, X[train], y[train], groups[train])


def test_with_routing_off_a_transformed_target_hands_on_the_groups_by_step():
    X, y, groups, _ = draw()
    fitted = TransformedTargetRegressor(pipeline()).fit(X, y, **{STEP: groups})
    assert_pipeline_fitted_as_directly(fitted.regressor_, X, y, groups)


def test_with_routing_off_every_output_is_fitted_with_the_groups():
    X, y, groups, _ = draw(outputs=(2,))
    fitted = MultiOutputRegressor(clone(MODEL)).fit(X, y, sensitive_features=groups)
    for k, model in enumerate(fitted.estimators_):
        assert_fitted_as_directly(model, X, y[:, k], groups)


@pytest.mark.parametrize(
    "meta",
    [
        pipeline(),
        BaggingRegressor(MODEL, n_estimators=2),
        StackingRegressor([("model", MODEL)]),
        VotingRegressor([("model", MODEL)]),
    ],
    ids=lambda meta: type(meta).__name__,
)
def test_with_routing_off_other_meta_estimators_refuse_the_groups(meta):
    X, y, groups, _ = draw()
    with pytest.raises((TypeError, ValueError), match=r"sensitive_features|enable_metadata"):
        meta.fit(X, y, sensitive_features=groups)


# --------------------------------------------------------------------------------------------------
# Containers
# --------------------------------------------------------------------------------------------------

SECOND = np.arange(60) % 4 < 2
CONTAINERS = {
    "list": list,
    "tuple": tuple,
    "array": np.array,
    "object array": lambda g: np.array(g, dtype=object),
    "column": lambda g: np.array(g)[:, None],
    "Series": pd.Series,
    "index": lambda g: pd.Index(g, dtype=object),  # sklearn slices Arrow strings in 2-D
    "Categorical": pd.Categorical,
    "categories": lambda g: pd.Series(g, dtype="category"),
    "arrow strings": lambda g: pd.Series(g, dtype="string"),
    "polars Series": pl.Series,
    "polars categories": lambda g: pl.Series(g, dtype=pl.Categorical),
}
SEVERAL = {
    "pandas": lambda g: pd.DataFrame({"tone": g, "side": SECOND}),
    "polars": lambda g: pl.DataFrame({"tone": g, "side": SECOND}),
    "array": lambda g: np.column_stack([np.array(g, dtype=object), SECOND.astype(object)]),
    "lists": lambda g: [[tone, bool(side)] for tone, side in zip(g, SECOND, strict=True)],
    "fields": lambda g: np.array(
        list(zip(g, SECOND, strict=True)), dtype=[("tone", "U1"), ("side", bool)]
    ),
}


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
def test_groups_in_any_container_reach_the_folds(routing, container):
    X, y, groups, _ = draw()
    params = {"sensitive_features": container(groups.tolist())}
    result = cross_validate(pipeline(), X, y, cv=CVS[0], params=params, return_estimator=True)
    for fitted, (train, _) in zip(result["estimator"], CVS[0].split(X), strict=True):
        assert_pipeline_fitted_as_directly(fitted, X[train], y[train], groups[train])


@pytest.mark.parametrize("container", SEVERAL.values(), ids=SEVERAL)
def test_several_columns_in_any_container_reach_the_folds(routing, container):
    X, y, groups, _ = draw()
    frame = pd.DataFrame({"tone": groups, "side": SECOND})
    result = cross_validate(
        pipeline(),
        X,
        y,
        cv=CVS[0],
        params={"sensitive_features": container(groups.tolist())},
        scoring=make_group_scorer(),
        return_estimator=True,
        error_score="raise",
    )
    for fitted, (train, _) in zip(result["estimator"], CVS[0].split(X), strict=True):
        assert fitted[-1].groups_.tolist() == [[g, s] for g in "ab" for s in (False, True)]
        assert_pipeline_fitted_as_directly(fitted, X[train], y[train], frame.iloc[train])


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize("transform", ["default", "pandas", "polars"])
def test_frames_of_any_kind_pass_through_a_pipeline_with_their_groups(routing, frame, transform):
    X, y, groups, _ = draw()
    table = frame({name: X[:, j] for j, name in enumerate("uvw")})
    model = pipeline()
    model[0].set_output(transform=transform)
    model.fit(table, y, sensitive_features=frame({"tone": groups}))
    assert_pipeline_fitted_as_directly(model, X, y, groups)
    if transform != "default":
        assert model[-1].feature_names_in_.tolist() == ["u", "v", "w"]


def test_a_dict_is_for_a_fit_without_folds(routing):
    X, y, groups, _ = draw()
    features = {"tone": groups, "side": SECOND}
    fitted = pipeline().fit(X, y, sensitive_features=features)
    assert_pipeline_fitted_as_directly(fitted, X, y, pd.DataFrame(features))
    search = GridSearchCV(pipeline(), {"model__alpha": [0.1]}, cv=3, error_score="raise")
    with pytest.raises(
        ValueError,
        match=r"features has 60 rows, expected 40\. Cross-validation cannot slice a dict: "
        "pass an array or a DataFrame",
    ):
        search.fit(X, y, sensitive_features=features)


# --------------------------------------------------------------------------------------------------
# What a pipeline must not let through
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["X", "y", "sample_weight"])
def test_groups_of_another_index_are_refused_behind_a_scaler(routing, name):
    X, y, groups, weights = draw()
    order = np.random.default_rng(0).permutation(60)
    arguments = {"X": X, "y": y, "sample_weight": weights}
    arguments[name] = (pd.DataFrame if name == "X" else pd.Series)(arguments[name])
    if name == "X":
        arguments[name].columns = list("uvw")
    model = pipeline()
    model[0].set_fit_request(sample_weight=False)
    model[0].set_output(transform="pandas" if name == "X" else "default")
    model[-1].set_fit_request(sample_weight=True)
    shuffled = pd.Series(groups)[order]
    with pytest.raises(ValueError, match=rf"differs from that of {name}: align them.*to_numpy"):
        model.fit(**arguments, sensitive_features=shuffled)
    for aligned in (shuffled.sort_index(), groups):
        model.fit(**arguments, sensitive_features=aligned)
        assert_pipeline_fitted_as_directly(model, X, y, groups, sample_weight=weights)


@pytest.mark.parametrize("enabled", [True, False])
def test_groups_of_another_index_are_refused_in_every_fold(enabled):
    X, y, groups, _ = draw()
    search = GridSearchCV(pipeline(), {"model__alpha": [0.1]}, cv=CVS[0], error_score="raise")
    shuffled = pd.Series(groups).sample(frac=1, random_state=0)
    with config_context(enable_metadata_routing=enabled):
        name = "sensitive_features" if enabled else STEP
        with pytest.raises(ValueError, match="differs from that of y"):
            search.fit(X, pd.Series(y), **{name: shuffled})


def test_missing_groups_are_named_by_row_behind_a_scaler(routing):
    X, y, groups, _ = draw()
    series = pd.Series(groups).where(~np.isin(np.arange(60), [7, 31]))
    message = r"sensitive_features.*missing values in 2 of 60 rows, at positions 7, 31\. Drop"
    with pytest.raises(ValueError, match=message):
        pipeline().fit(X, y, sensitive_features=series)
    with pytest.raises(ValueError, match="missing values"):
        GridSearchCV(pipeline(), {"model__alpha": [0.1]}).fit(X, y, sensitive_features=series)


# --------------------------------------------------------------------------------------------------
# From a data frame to a loss mix
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("enabled", [True, False])
def test_a_loss_mix_is_chosen_by_disparity_with_and_without_routing(enabled):
    X, y, groups, _ = draw(120)
    y = y + 3.0 * (groups == "b")
    frame = pd.DataFrame(X, columns=list("uvw")).assign(group=groups)
    columns = make_column_transformer((StandardScaler(), list("uvw")))
    model = Pipeline([("columns", columns), ("model", PixelLossRegressor(scale="auto"))])
    mixes = {"model__loss_mix": [0.0, 0.5, 1.0]}
    with config_context(enable_metadata_routing=enabled):
        column = None if enabled else "group"
        passed = {"sensitive_features" if enabled else STEP: frame["group"]}
        search = GridSearchCV(
            model,
            mixes,
            scoring={
                "mae": "neg_mean_absolute_error",
                "gap": make_group_scorer("mae", sensitive_features=column),
            },
            refit="gap",
            cv=StratifiedKFold(3).split(X, groups),
            error_score="raise",
        ).fit(frame, y, **passed)
    gaps = -search.cv_results_["mean_test_gap"]
    assert np.ptp(gaps) > 0.1
    # the absolute loss follows the majority, so its gap is the largest
    assert gaps.argmax() == 2
    assert search.best_params_ == {"model__loss_mix": mixes["model__loss_mix"][gaps.argmin()]}
    table = group_metric_frame(y, search.predict(frame), sensitive_features=frame["group"])
    assert table.by_group["mae"].index.tolist() == ["a", "b"]
    fitted = search.best_estimator_[-1]
    assert fitted.groups_.tolist() == ["a", "b"]
    residual = y - search.predict(frame)
    by_hand = [
        fitted.loss_mix * np.abs(residual[groups == g] / fitted.scale_).mean()
        + (1 - fitted.loss_mix) * np.square(residual[groups == g] / fitted.scale_).mean()
        for g in "ab"
    ]
    np.testing.assert_allclose(fitted.group_losses_, by_hand, rtol=1e-9)
