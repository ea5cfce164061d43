"""Regressors inside meta-estimators: groups and weights reach them with routing on and off."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import AdaBoostRegressor, BaggingRegressor, VotingRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skfairloss import PixelLossRegressor, PixelLossRegressorCV, compare_loss_mixes
from skfairloss.callbacks import GroupLossMonitor
from skfairloss.fairness import WorstGroupLoss
from tests.test_loss_mix_path import data, needs_callbacks

MIXES = [0.0, 1.0]
TERM = WorstGroupLoss(0.5)
LOG = {"func": np.log, "inverse_func": np.exp}


class Passes(RegressorMixin, BaseEstimator):
    """A meta-estimator of somebody else, which passes on what it is given."""

    def __init__(self, inner=None):
        self.inner = inner

    def fit(self, X, y, **fit_params):
        self.inner_ = clone(self.inner).fit(X, y, **fit_params)
        return self

    def predict(self, X):
        return self.inner_.predict(X)


def scaled(regressor, name="reg"):
    return Pipeline([("scaler", StandardScaler()), (name, regressor)])


def wages(n=150):
    """Skewed positive targets whose logarithm is linear."""
    X, y, weights, group = data(n)
    return X, np.exp(y / 4), weights, group


def by_hand(found, y, fit, weights=None):
    """Weighted mean over rows and repeats of |y - prediction|, refitted for each mix and fold."""
    losses = []
    for mix in found.overall["loss_mix"]:
        out = np.empty((len(found.folds), *y.shape))
        for r, folds in enumerate(found.folds):
            for k in np.unique(folds):
                out[r, folds == k] = fit(mix, folds != k, folds == k)
        errors = np.abs(y - out).reshape(*found.folds.shape, -1).mean(axis=2)
        losses.append(np.average(errors.mean(axis=0), weights=weights))
    return losses


NESTED = {
    "target": lambda reg: TransformedTargetRegressor(reg, **LOG),
    "target of a pipeline": lambda reg: TransformedTargetRegressor(scaled(reg), **LOG),
    "pipeline, target, pipeline": lambda reg: scaled(
        TransformedTargetRegressor(scaled(reg), **LOG), "target"
    ),
    "somebody else's": lambda reg: TransformedTargetRegressor(Passes(scaled(reg)), **LOG),
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("nest", NESTED.values(), ids=NESTED)
def test_errors_of_a_transformed_target_are_in_units_of_y_as_in_a_loop(nest, weighted):
    X, y, weights, group = wages()
    options = {"sensitive_features": group, "loss_mixes": MIXES, "cv": 3, "n_repeats": 2}
    options |= {"random_state": 0, "estimator": nest(PixelLossRegressor(fairness=TERM))}
    found = compare_loss_mixes(X, y, sample_weight=weights if weighted else None, **options)

    def fit(mix, train, test):
        model = PixelLossRegressor(mix, fairness=TERM)
        arguments = {"sample_weight": weights[train]} if weighted else {}
        model.fit(X[train], np.log(y[train]), sensitive_features=group[train], **arguments)
        return np.exp(model.predict(X[test]))

    expected = by_hand(found, y, fit, weights if weighted else None)
    np.testing.assert_allclose(found.overall["value"], expected, rtol=1e-5)


@pytest.mark.parametrize("nest", list(NESTED.values())[:3], ids=list(NESTED)[:3])
def test_with_routing_on_the_same_comes_out(nest):
    X, y, _, group = wages()
    options = {"sensitive_features": group, "loss_mixes": MIXES, "cv": 3, "random_state": 0}
    estimator = nest(PixelLossRegressor(fairness=TERM))
    off = compare_loss_mixes(X, y, estimator=estimator, **options)
    with sklearn.config_context(enable_metadata_routing=True):
        on = compare_loss_mixes(X, y, estimator=estimator, **options)
    np.testing.assert_array_equal(on.predictions, off.predictions)


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize("piped", [False, True])
def test_one_regressor_for_each_output_is_compared_as_in_a_loop(routing, piped):
    X, y, _, group = data(150, outputs=2)
    regressor = PixelLossRegressor(fairness=TERM)
    estimator = MultiOutputRegressor(scaled(regressor) if piped else regressor)
    options = {"loss_mixes": MIXES, "cv": 3, "n_repeats": 1, "random_state": 0}
    with sklearn.config_context(enable_metadata_routing=routing):
        found = compare_loss_mixes(X, y, sensitive_features=group, estimator=estimator, **options)

    def fit(mix, train, test):
        models = [
            PixelLossRegressor(mix, fairness=TERM).fit(
                X[train], y[train, j], sensitive_features=group[train]
            )
            for j in range(2)
        ]
        return np.column_stack([model.predict(X[test]) for model in models])

    np.testing.assert_allclose(found.overall["value"], by_hand(found, y, fit), rtol=1e-5)


@pytest.mark.parametrize("routing", [False, True])
def test_a_search_inside_a_comparison_chooses_in_each_fold_as_in_a_loop(routing):
    X, y, _, group = data(150)
    grid = {"reg__alpha": [0.0, 30.0]}
    search = GridSearchCV(scaled(PixelLossRegressor(fairness=TERM)), grid, cv=KFold(2))
    options = {"loss_mixes": MIXES, "cv": 3, "n_repeats": 1, "random_state": 0}
    with sklearn.config_context(enable_metadata_routing=routing):
        found = compare_loss_mixes(X, y, sensitive_features=group, estimator=search, **options)

    def fitted(mix, alpha, rows, given):
        model = scaled(PixelLossRegressor(mix, alpha=alpha, fairness=TERM))
        with sklearn.config_context(enable_metadata_routing=False):
            return model.fit(X[rows], y[rows], reg__sensitive_features=group[rows]).predict(given)

    def fit(mix, train, test):
        rows = np.flatnonzero(train)
        inner = [(rows[a], rows[b]) for a, b in KFold(2).split(rows)]
        scores = {
            alpha: sum(r2_score(y[b], fitted(mix, alpha, a, X[b])) for a, b in inner)
            for alpha in grid["reg__alpha"]
        }
        return fitted(mix, max(scores, key=scores.get), rows, X[test])

    np.testing.assert_allclose(found.overall["value"], by_hand(found, y, fit), rtol=1e-5)


ENSEMBLES = {
    "bagging": lambda reg: BaggingRegressor(reg, n_estimators=3, random_state=0),
    "voting": lambda reg: VotingRegressor([("reg", reg), ("ridge", Ridge(100.0))]),
}


@pytest.mark.parametrize("nest", ENSEMBLES.values(), ids=ENSEMBLES)
def test_ensembles_that_take_weights_alone_are_given_them_as_they_are(nest):
    X, y, weights, group = data(150)
    estimator = nest(PixelLossRegressor())
    options = {"sensitive_features": group, "loss_mixes": MIXES, "cv": 3, "n_repeats": 1}
    found = compare_loss_mixes(X, y, sample_weight=weights, estimator=estimator, **options)

    def fit(mix, train, test):
        model = nest(PixelLossRegressor(mix))
        return model.fit(X[train], y[train], sample_weight=weights[train]).predict(X[test])

    np.testing.assert_allclose(found.overall["value"], by_hand(found, y, fit, weights), rtol=1e-6)


@pytest.mark.parametrize(
    ("estimator", "weighted", "words"),
    [
        (
            ENSEMBLES["bagging"](PixelLossRegressor(fairness=TERM)),
            False,
            "sensitive_features cannot reach .* BaggingRegressor.fit .*set_config",
        ),
        (
            scaled(ENSEMBLES["voting"](PixelLossRegressor(fairness=TERM))),
            False,
            "sensitive_features cannot reach .* VotingRegressor.fit .*set_config",
        ),
        (
            AdaBoostRegressor(PixelLossRegressor(fairness=TERM)),
            False,
            "sensitive_features cannot reach .* AdaBoostRegressor.fit",
        ),
        (
            ENSEMBLES["bagging"](scaled(PixelLossRegressor())),
            True,
            "sample_weight cannot reach .* BaggingRegressor.fit does not take reg__sample_weight",
        ),
    ],
)
def test_an_ensemble_that_cannot_pass_them_on_is_named_before_any_fit(estimator, weighted, words):
    X, y, weights, group = data(60)
    options = {"sensitive_features": group, "sample_weight": weights if weighted else None}
    with pytest.raises(ValueError, match=words):
        compare_loss_mixes(X, y, estimator=estimator, **options)


def test_with_routing_on_a_bagging_of_fairness_terms_gets_the_groups():
    X, y, _, group = data(150)
    estimator = ENSEMBLES["bagging"](PixelLossRegressor(fairness=TERM))
    options = {"sensitive_features": group, "loss_mixes": MIXES, "cv": 3, "n_repeats": 1}
    with sklearn.config_context(enable_metadata_routing=True):
        found = compare_loss_mixes(X, y, estimator=estimator, random_state=0, **options)

        def fit(mix, train, test):
            model = clone(estimator).set_params(estimator__loss_mix=mix)
            model.fit(X[train], y[train], sensitive_features=group[train])
            return model.predict(X[test])

        np.testing.assert_allclose(found.overall["value"], by_hand(found, y, fit), rtol=1e-6)


@needs_callbacks
def test_a_monitor_watches_the_regressor_of_a_transformed_target():
    X, y, _, group = wages(90)
    monitor = GroupLossMonitor()
    estimator = TransformedTargetRegressor(scaled(PixelLossRegressor(quantile=0.4)), **LOG)
    options = {"loss_mixes": MIXES, "cv": 3, "n_repeats": 1, "callbacks": [monitor]}
    compare_loss_mixes(X, y, sensitive_features=group, estimator=estimator, **options)
    assert (monitor.to_frame()["task"] == "fit").sum() == 2 * 3 * 2


@pytest.mark.parametrize("held", [LinearRegression(), PixelLossRegressorCV(), None])
def test_what_holds_no_regressor_is_refused_by_its_type(held):
    X, y, _, group = data(60)
    with pytest.raises(TypeError, match="exactly one, got TransformedTargetRegressor with 0"):
        compare_loss_mixes(
            X, y, sensitive_features=group, estimator=TransformedTargetRegressor(held)
        )


@pytest.mark.parametrize("routing", [False, True])
def test_the_cv_class_inside_meta_estimators_is_given_groups(routing):
    X, y, _, group = wages()
    folds = list(KFold(3).split(X))
    own = PixelLossRegressorCV(MIXES, fairness=TERM, cv=folds)
    alone = clone(own).fit(X, np.log(y), sensitive_features=group)
    nested = [
        (TransformedTargetRegressor(own, **LOG), ""),
        (TransformedTargetRegressor(make_pipeline(own), **LOG), "pixellossregressorcv__"),
        (Pipeline([("target", TransformedTargetRegressor(own, **LOG))]), "target__"),
        (MultiOutputRegressor(TransformedTargetRegressor(own, **LOG)), ""),
    ]
    with sklearn.config_context(enable_metadata_routing=routing):
        for model, prefix in nested:
            name = f"{'' if routing else prefix}sensitive_features"
            several = isinstance(model, MultiOutputRegressor)
            target = np.column_stack([y, y]) if several else y
            found = model.fit(X, target, **{name: group}).predict(X)
            expected = np.exp(alone.predict(X))
            for column in found.T if several else [found]:
                np.testing.assert_allclose(column, expected, rtol=1e-7)
