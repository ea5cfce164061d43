"""`PixelLossRegressorCV` against `GridSearchCV` over the same grid, and what fit is told."""

from __future__ import annotations

import pickle
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import FitFailedWarning
from sklearn.metrics import make_scorer, mean_absolute_error
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfairloss import PixelLossRegressor, PixelLossRegressorCV
from skfairloss.callbacks import GroupLossMonitor
from skfairloss.exceptions import InfeasibleFairnessError
from skfairloss.fairness import BoundedGroupLoss, WorstGroupLoss
from skfairloss.metrics import make_group_scorer
from skfairloss.model_selection import best_within_disparity
from tests.test_loss_mix_path import data, needs_callbacks

MIXES, ALPHAS = [0.7, 0.0, 1.0], [0.1, 0.0]
GRID = {"loss_mix": MIXES, "alpha": ALPHAS}


def folds(group):
    return list(StratifiedKFold(3, shuffle=True, random_state=0).split(group, group))


def assert_same_search(found, grid):
    """Candidates, scores of every fold, ranks and the choice."""
    own, theirs = found.cv_results_, grid.cv_results_
    assert set(own) == set(theirs)
    key = {tuple(sorted(params.items())): i for i, params in enumerate(own["params"])}
    place = [key[tuple(sorted(params.items()))] for params in theirs["params"]]
    for name in theirs:
        if "_test_" in name:
            np.testing.assert_allclose(np.asarray(own[name])[place], theirs[name], rtol=1e-7)
    for name in ("param_loss_mix", "param_alpha"):
        np.testing.assert_array_equal(own[name][place], theirs[name])
    assert found.best_params_ == grid.best_params_
    np.testing.assert_allclose(found.coef_, grid.best_estimator_.coef_, rtol=1e-7)
    assert (found.loss_mix_, found.alpha_) == tuple(
        grid.best_params_[name] for name in ("loss_mix", "alpha")
    )


@pytest.mark.parametrize("outputs", [None, 2])
@pytest.mark.parametrize("scoring", [None, "neg_mean_absolute_error"])
@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (50.0, 1e-3)])
def test_winner_and_scores_are_those_of_a_grid_search(outputs, scoring, shift, scale):
    X, y, _, group = data(outputs=outputs, shift=shift, scale=scale)
    options = {"cv": folds(group), "scoring": scoring, "error_score": "raise"}
    alphas = [alpha / scale**2 for alpha in ALPHAS]  # else the penalty vanishes with the scale
    found = PixelLossRegressorCV(MIXES, alphas=alphas, scale="auto", **options).fit(X, y)
    candidates = {"loss_mix": MIXES, "alpha": alphas}
    grid = GridSearchCV(PixelLossRegressor(scale="auto"), candidates, **options).fit(X, y)
    assert_same_search(found, grid)
    np.testing.assert_allclose(found.best_score_, grid.best_score_, rtol=1e-9)
    np.testing.assert_allclose(found.predict(X), grid.predict(X), rtol=1e-6)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_the_same_holds_with_weights_groups_and_group_scorers_under_routing(n_jobs):
    X, y, weights, group = data()
    weights = weights + 1
    with sklearn.config_context(enable_metadata_routing=True):
        gap = make_group_scorer("mae", "difference").set_score_request(sample_weight=True)
        mae = make_scorer(mean_absolute_error, greater_is_better=False)
        mae.set_score_request(sample_weight=True)
        rule = best_within_disparity("mae", "gap", 1.75)
        options = {"cv": folds(group), "scoring": {"mae": mae, "gap": gap}, "refit": rule}
        own = PixelLossRegressorCV(MIXES, alphas=ALPHAS, n_jobs=n_jobs, **options)
        own.fit(X, y, sample_weight=weights, sensitive_features=group)
        regressor = PixelLossRegressor().set_fit_request(sample_weight=True)
        grid = GridSearchCV(regressor, GRID, **options)
        grid.fit(X, y, sample_weight=weights, sensitive_features=group)
    assert_same_search(own, grid)
    assert own.multimetric_
    assert list(own.scorer_) == ["mae", "gap"]
    assert not hasattr(own, "best_score_")
    np.testing.assert_allclose(own.group_losses_, grid.best_estimator_.group_losses_, rtol=1e-7)


def test_with_routing_off_group_scorers_get_the_groups_of_fit():
    X, y, _, group = data()
    with sklearn.config_context(enable_metadata_routing=True):
        gap = make_group_scorer("mae", "difference")
        grid = GridSearchCV(PixelLossRegressor(), GRID, scoring=gap, cv=folds(group))
        grid.fit(X, y, sensitive_features=group)
    own = PixelLossRegressorCV(MIXES, alphas=ALPHAS, scoring=gap, cv=folds(group))
    assert_same_search(own.fit(X, y, sensitive_features=group), grid)
    frame = pd.DataFrame(X, columns=list("abcd")).assign(g=(group == "u").astype(float))
    column = make_group_scorer("mae", "difference", sensitive_features="g")
    search = {"scoring": column, "cv": folds(group)}
    ours = PixelLossRegressorCV(MIXES, alphas=ALPHAS, **search)
    ours.fit(frame, y, sensitive_features=frame["g"])
    assert_same_search(ours, GridSearchCV(PixelLossRegressor(), GRID, **search).fit(frame, y))


def test_weights_reach_fits_and_scores_with_routing_off():
    X, y, weights, _ = data()
    repeats = weights.astype(int)
    rows = np.repeat(np.arange(len(y)), repeats)
    fold = np.arange(len(y)) % 3
    cv = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(3)]
    copies = [(np.flatnonzero(fold[rows] != k), np.flatnonzero(fold[rows] == k)) for k in range(3)]
    options = {"alphas": ALPHAS, "scoring": "neg_mean_squared_error"}
    weighted = PixelLossRegressorCV(MIXES, cv=cv, **options).fit(X, y, sample_weight=weights)
    copied = PixelLossRegressorCV(MIXES, cv=copies, **options).fit(X[rows], y[rows])
    np.testing.assert_allclose(
        weighted.cv_results_["mean_test_score"], copied.cv_results_["mean_test_score"], rtol=1e-7
    )


def worst_error(y_true, y_pred, *, sensitive_features):
    errors = np.abs(y_true - y_pred)
    return max(errors[sensitive_features == name].mean() for name in set(sensitive_features))


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_scorer_of_ones_own_is_routed_what_it_requests_in_other_threads_too(n_jobs):
    X, y, _, group = data()
    with sklearn.config_context(enable_metadata_routing=True):
        own = make_scorer(worst_error, greater_is_better=False)
        own.set_score_request(sensitive_features=True)
        options = {"cv": folds(group), "scoring": own, "error_score": "raise"}
        found = PixelLossRegressorCV(MIXES, alphas=ALPHAS, n_jobs=n_jobs, **options)
        found.fit(X, y, sensitive_features=group)
        grid = GridSearchCV(PixelLossRegressor(), GRID, **options)
        grid.fit(X, y, sensitive_features=group)
    assert_same_search(found, grid)


def test_a_named_scorer_or_a_callable_chooses_among_several():
    X, y, _, group = data()
    scoring = ["r2", "neg_mean_absolute_error"]
    options = {"alphas": ALPHAS, "cv": folds(group), "scoring": scoring}
    named = PixelLossRegressorCV(MIXES, refit="neg_mean_absolute_error", **options).fit(X, y)
    ranks = named.cv_results_["rank_test_neg_mean_absolute_error"]
    assert ranks[named.best_index_] == 1
    last = PixelLossRegressorCV(MIXES, refit=lambda results: 5, **options).fit(X, y)
    assert last.best_params_ == {"alpha": 0.0, "loss_mix": 1.0}
    with pytest.raises(ValueError, match="refit must name one of the scorers"):
        PixelLossRegressorCV(MIXES, **options).fit(X, y)
    with pytest.raises(ValueError, match="refit must return an integer from 0 to 5"):
        PixelLossRegressorCV(MIXES, refit=lambda results: 6, **options).fit(X, y)


def test_a_fold_where_a_bound_cannot_be_met_is_nan_with_a_warning_as_in_a_grid_search():
    X, y, _, group = data()
    y = y + np.where((np.arange(len(y)) < 100) & (group == "v"), 40.0, 0.0)
    plain = [
        PixelLossRegressor(1.0, scale=1.0, fairness=WorstGroupLoss()).fit(
            X[train], y[train], sensitive_features=group[train]
        )
        for train, _ in KFold(3).split(X)
    ]
    reached = sorted(model.group_losses_.max() for model in plain)
    bound = BoundedGroupLoss((reached[0] + reached[1]) / 2, loss=None)
    options = {"cv": KFold(3), "scoring": "neg_mean_absolute_error"}
    own = PixelLossRegressorCV([1.0, 0.0], scale=1.0, fairness=bound, **options)
    with pytest.raises(ValueError, match=r"0\.0} is NaN in all 3 folds") as caught:
        own.fit(X, y, sensitive_features=group)  # under L2 it can be met nowhere
    assert isinstance(caught.value.__cause__, InfeasibleFairnessError)
    assert "loss_mix=0, alpha=0, fold 1 of 3" in str(caught.value.__cause__)
    loose = BoundedGroupLoss(reached[1] * 1.05, loss=None)
    model = PixelLossRegressor(scale=1.0, fairness=loose)
    grid = GridSearchCV(model, {"loss_mix": [1.0]}, **options)
    own = PixelLossRegressorCV([1.0], scale=1.0, fairness=loose, error_score=-1e6, **options)
    with pytest.warns(FitFailedWarning), pytest.warns(UserWarning, match="non-finite"):
        grid.set_params(refit=False).fit(X, y, sensitive_features=group)
    with pytest.warns(FitFailedWarning, match=r"1 fit failed(.|\n)*fold \d of 3"):
        own.fit(X, y, sensitive_features=group)
    names = [f"split{k}_test_score" for k in range(3)]
    theirs = [grid.cv_results_[name][0] for name in names]
    assert np.isnan(theirs).sum() == 1
    np.testing.assert_allclose(
        [own.cv_results_[n][0] for n in names], np.nan_to_num(theirs, nan=-1e6), rtol=1e-5
    )
    with pytest.raises(ValueError, match="of every candidate is NaN in some of 3 folds"):
        clone(own).set_params(error_score=np.nan).fit(X, y, sensitive_features=group)
    with pytest.raises(ValueError, match="cannot be met"):
        clone(own).set_params(error_score="raise").fit(X, y, sensitive_features=group)


def test_where_every_fit_fails_the_error_is_raised_with_the_reason():
    X, y, _, group = data()
    hopeless = PixelLossRegressorCV(fairness=BoundedGroupLoss(1e-3, loss=None))
    with pytest.raises(ValueError, match=r"all 25 fits failed(.|\n)*InfeasibleFairnessError"):
        hopeless.fit(X, y, sensitive_features=group)
    assert not [name for name in vars(hopeless) if name.endswith("_")]


def test_a_scorer_that_fails_is_nan_with_one_warning_or_raises():
    X, y, _, _ = data()

    def fails(estimator, X, y):
        raise RuntimeError("no score today")

    options = {"scoring": {"r2": "r2", "bad": fails}, "refit": "r2", "cv": 3}
    with pytest.warns(UserWarning, match=r"3 scores failed.*no score today.*fold 1 of 3") as told:
        found = PixelLossRegressorCV([0.5], **options).fit(X, y)
    assert len(told) == 1
    assert np.isnan(found.cv_results_["mean_test_bad"]).all()
    assert np.isfinite(found.cv_results_["mean_test_r2"]).all()
    with pytest.raises(RuntimeError, match=r"no score today .*fold 1 of 3"):
        PixelLossRegressorCV([0.5], error_score="raise", **options).fit(X, y)


NO_SCORE = ValueError("no score")


def fails_for(mixes, folds=(0, 1, 2), how=NO_SCORE):
    """R², but for some mixes in some of three folds an error, or NaN."""

    def scorer(estimator, X, y):
        if estimator.loss_mix in mixes and int(X[0, 0]) in folds:
            if isinstance(how, Exception):
                raise type(how)(*how.args)
            return how
        return estimator.score(X, y)

    return scorer


def numbered():
    """Data whose first column is the number of the fold of three that tests the row."""
    X, y, _, _ = data(90)
    fold = np.arange(90) // 30
    return np.column_stack([fold, X]), y


@pytest.mark.parametrize("how", [NO_SCORE, np.nan])
def test_a_candidate_with_a_score_missing_is_never_chosen_and_named_once(how):
    X, y = numbered()
    full = PixelLossRegressorCV(MIXES, cv=KFold(3)).fit(X, y)
    means = full.cv_results_["mean_test_score"]
    best = MIXES[means.argmax()]
    own = PixelLossRegressorCV(MIXES, cv=KFold(3), scoring=fails_for([best], [1], how))
    words = f"1 score failed, of the candidates .*{best}.*not chosen.*loss_mix={best:g}.*fold 2"
    with pytest.warns(UserWarning, match=words) as told:
        own.fit(X, y)
    assert len(told) == 1
    others = np.delete(np.arange(3), means.argmax())
    assert own.best_index_ == others[means[others].argmax()]
    with pytest.warns(UserWarning, match="1 score failed.*-100"):
        low = clone(own).set_params(error_score=-100.0).fit(X, y)
    assert low.cv_results_["split1_test_score"][means.argmax()] == -100.0


@pytest.mark.parametrize("refit", [True, lambda results: 0])
@pytest.mark.parametrize("how", [NO_SCORE, np.nan])
@pytest.mark.parametrize("mixes", [[0.7], MIXES])
def test_a_candidate_without_any_score_is_an_error_from_the_first(mixes, how, refit):
    X, y = numbered()
    own = PixelLossRegressorCV(MIXES, cv=KFold(3), scoring=fails_for(mixes, how=how), refit=refit)
    with pytest.raises(ValueError, match=r"0\.7} is NaN in all 3 folds.*error_score") as caught:
        own.fit(X, y)
    cause = caught.value.__cause__
    assert isinstance(cause, ValueError)
    assert "loss_mix=0.7, alpha=0, fold 1 of 3" in str(cause)
    assert not hasattr(own, "loss_mix_")
    with pytest.warns(UserWarning, match="scores failed.*-1"):
        assert clone(own).set_params(error_score=-1.0).fit(X, y).loss_mix_ in MIXES


def test_where_each_candidate_misses_a_fold_none_is_chosen():
    X, y = numbered()

    def scorer(estimator, X, y):
        return fails_for([estimator.loss_mix], [MIXES.index(estimator.loss_mix)])(estimator, X, y)

    with pytest.raises(ValueError, match="every candidate is NaN in some of 3 folds"):
        PixelLossRegressorCV(MIXES, cv=KFold(3), scoring=scorer).fit(X, y)


@pytest.mark.parametrize("wrap", ["scaler", "target", "search"])
def test_a_scorer_of_a_column_behind_a_step_that_drops_it_is_an_error_with_its_reason(wrap):
    X, y, _, group = data(90)
    frame = pd.DataFrame(X, columns=list("abcd")).assign(g=(group == "u").astype(float))
    column = make_group_scorer("mae", "difference", sensitive_features="g")
    own = PixelLossRegressorCV([0.0, 1.0], scoring=column, cv=3)
    model = make_pipeline(StandardScaler(), own)
    if wrap == "target":
        model = TransformedTargetRegressor(model)
    if wrap == "search":
        grid = {"pixellossregressorcv__quantile": [0.5]}
        model = GridSearchCV(model, grid, cv=2, error_score="raise")
    with pytest.raises(ValueError, match=r"NaN in all 3 folds.*DataFrame, got ndarray") as caught:
        model.fit(frame, y)
    assert "reads the groups from columns of X" in str(caught.value.__cause__)


def test_a_rule_must_not_choose_a_candidate_without_a_score():
    X, y = numbered()
    options = {"cv": KFold(3), "scoring": fails_for([MIXES[1]], [2])}
    with (
        pytest.warns(UserWarning, match="1 score failed"),
        pytest.raises(ValueError, match=r"with a score in every fold, got 1, .*0\.0}"),
    ):
        PixelLossRegressorCV(MIXES, refit=lambda results: 1, **options).fit(X, y)
    with pytest.warns(UserWarning, match="1 score failed"):
        own = PixelLossRegressorCV(MIXES, refit=lambda results: 2, **options).fit(X, y)
    assert own.loss_mix_ == MIXES[2]


def test_the_splitter_gets_its_groups_by_routing():
    X, y, _, _ = data()
    blocks = np.arange(len(y)) // 30
    with sklearn.config_context(enable_metadata_routing=True):
        own = PixelLossRegressorCV([0.0, 1.0], cv=GroupKFold(5)).fit(X, y, groups=blocks)
    listed = list(GroupKFold(5).split(X, groups=blocks))
    same = PixelLossRegressorCV([0.0, 1.0], cv=listed).fit(X, y)
    np.testing.assert_array_equal(
        own.cv_results_["mean_test_score"], same.cv_results_["mean_test_score"]
    )
    with pytest.raises(TypeError, match="unexpected arguments"):
        PixelLossRegressorCV(cv=GroupKFold(5)).fit(X, y, groups=blocks)


def test_inside_a_pipeline_groups_arrive_with_routing_on_and_off():
    X, y, _, group = data()
    own = PixelLossRegressorCV([0.0, 1.0], fairness=WorstGroupLoss(0.5), cv=folds(group))
    pipe = make_pipeline(StandardScaler(), own)
    off = clone(pipe).fit(X, y, pixellossregressorcv__sensitive_features=group)[-1]
    with sklearn.config_context(enable_metadata_routing=True):
        on = clone(pipe).fit(X, y, sensitive_features=group)[-1]
    np.testing.assert_array_equal(on.coef_, off.coef_)
    assert off.groups_.tolist() == ["u", "v"]


def test_the_fitted_estimator_is_pickled_cloned_and_forgets_an_earlier_fit():
    X, y, _, group = data()
    own = PixelLossRegressorCV([0.0, 1.0], cv=3).fit(X, y, sensitive_features=group)
    copy = pickle.loads(pickle.dumps(own))
    np.testing.assert_array_equal(copy.predict(X), own.predict(X))
    assert not hasattr(clone(own), "coef_")
    assert not hasattr(own.fit(X, y), "groups_")


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"loss_mixes": [2.0]}, "loss_mixes must be numbers"),
        ({"alphas": [-1.0]}, "alphas must be numbers"),
        ({"alphas": []}, "alphas must be numbers"),
        ({"alphas": [0.1, 0.1]}, "alphas must not repeat"),
        ({"error_score": "ignore"}, "error_score must be"),
        ({"refit": False}, "refit must be True or a callable"),
        ({"scoring": 3}, "scoring must be"),
        ({"scoring": {}}, "scoring must name"),
        ({"quantile": 0.0}, "quantile"),
        ({"tol": -1.0}, "tol"),
    ],
)
def test_bad_parameters_are_named(parameters, words):
    X, y, _, _ = data()
    with pytest.raises(ValueError, match=words):
        PixelLossRegressorCV(**parameters).fit(X, y)


def test_groups_of_another_index_are_refused():
    X, y, _, group = data()
    shifted = pd.Series(group, index=np.arange(len(y)) + 1)
    with pytest.raises(ValueError, match="index of sensitive_features"):
        PixelLossRegressorCV().fit(pd.DataFrame(X), y, sensitive_features=shifted)


@needs_callbacks
def test_a_monitor_records_every_fit_and_the_last_one():
    X, y, _, group = data()
    monitor = GroupLossMonitor()
    own = PixelLossRegressorCV([0.3, 0.9], cv=folds(group)).set_callbacks(monitor)
    own.fit(X, y, sensitive_features=group)
    frame = monitor.to_frame()
    assert frame["run"].nunique() == 1
    fitted = frame[frame["task"] == "fit"]
    assert len(fitted) == 2 * (2 * 3 + 1)
    np.testing.assert_array_equal(fitted["loss"].tail(2), own.group_losses_)


@needs_callbacks
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_progress_bar_counts_every_fit(n_jobs, capsys, monkeypatch):
    if find_spec("rich") is None:
        pytest.skip("rich is not installed")
    from sklearn.callback import ProgressBar

    monkeypatch.setenv("COLUMNS", "200")
    X, y, _, _ = data()
    own = PixelLossRegressorCV([0.3, 0.9], cv=3, n_jobs=n_jobs)
    own.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    inner = [line for line in lines if "PixelLossRegressor - fit" in line]
    outer = [line for line in lines if "PixelLossRegressorCV - fit" in line and line not in inner]
    assert len(inner) == 2 * 3 + 1
    assert len(outer) == 1
    assert all("100%" in line for line in lines)
