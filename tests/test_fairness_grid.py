"""Strengths of fairness terms in `PixelLossRegressorCV` against a plain loop over fits."""

from __future__ import annotations

import pickle
from itertools import product

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfairloss import PixelLossRegressor, PixelLossRegressorCV
from skfairloss._estimator import fitting
from skfairloss.callbacks import GroupLossMonitor
from skfairloss.exceptions import InfeasibleFairnessError
from skfairloss.fairness import (
    BoundedGroupLoss,
    EqualizedLoss,
    PredictionParity,
    ResidualParity,
    WorstGroupLoss,
)
from skfairloss.metrics import group_metric_frame, make_group_scorer
from skfairloss.model_selection import _evaluation, best_within_disparity, pareto_front
from tests.test_loss_mix_path import data, needs_callbacks
from tests.test_regressor_cv import assert_same_search, folds

MIXES, WEIGHTS = [1.0, 0.0, 0.4], [0.0, 0.9, 0.3]
WORST = make_group_scorer("mae", "group_max")


def search(mixes=MIXES, grid=None, term=None, **options):
    grid = {"weight": WEIGHTS} if grid is None else grid
    term = WorstGroupLoss() if term is None else term
    return PixelLossRegressorCV(
        mixes, fairness=term, fairness_grid=grid, **{"scoring": WORST, "cv": KFold(3)} | options
    )


def by_hand(X, y, group, candidates, cv, **options):
    """Scores (folds, candidates) of the worst group, from fits that know nothing of each other."""
    scores = np.empty((len(cv), len(candidates)))
    for (k, (train, test)), (j, given) in product(enumerate(cv), enumerate(candidates)):
        model = PixelLossRegressor(**given, **options)
        model.fit(X[train], y[train], sensitive_features=group[train])
        frame = group_metric_frame(
            y[test], model.predict(X[test]), sensitive_features=group[test], metrics="mae"
        )
        scores[k, j] = -frame.group_max().item()
    return scores


TERMS = {
    "worst": (WorstGroupLoss, {"weight": [0.0, 0.5, 1.0]}, WorstGroupLoss(0.2)),
    "bounded": (
        BoundedGroupLoss,
        {"upper_bound": [7.0, {"v": 6.0}, 5.0]},
        BoundedGroupLoss(100.0),
    ),
    "equalized": (EqualizedLoss, {"tolerance": [2.0, 1.2]}, EqualizedLoss(9.0)),
    "residuals": (ResidualParity, {"tolerance": [0.3, 0.01]}, ResidualParity()),
    "predictions": (PredictionParity, {"tolerance": (0.3, 0.0)}, PredictionParity()),
}


@pytest.mark.parametrize("kind", TERMS)
@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (50.0, 1e-3)])
def test_scores_are_those_of_a_loop_over_fits_and_folds(kind, shift, scale):
    X, y, _, group = data(240, shift=shift, scale=scale)
    term, grid, given = TERMS[kind]
    (name, values), cv = next(iter(grid.items())), folds(group)
    if kind != "worst":  # in units of y
        values = [
            {g: scale * v for g, v in own.items()} if isinstance(own, dict) else scale * own
            for own in values
        ]
    own = search(term=given, grid={name: values}, cv=cv, error_score="raise")
    own.fit(X, y, sensitive_features=group)
    candidates = [{"fairness": term(v), "loss_mix": mix} for v, mix in product(values, MIXES)]
    scores = by_hand(X, y, group, candidates, cv)
    label = f"fairness__{name}"
    assert own.cv_results_["params"] == [
        {"alpha": 0.0, label: v, "loss_mix": mix} for v, mix in product(values, MIXES)
    ]
    for k in range(3):
        np.testing.assert_allclose(own.cv_results_[f"split{k}_test_score"], scores[k], rtol=1e-7)
    best = candidates[int(scores.mean(axis=0).argmax())]
    assert own.loss_mix_ == best["loss_mix"]
    assert own.fairness_.get_params() == best["fairness"].get_params()
    alone = PixelLossRegressor(**best).fit(X, y, sensitive_features=group)
    np.testing.assert_allclose(own.coef_, alone.coef_, rtol=1e-6)


@pytest.mark.parametrize("alphas", [[0.0], [0.1, 0.0]])
@pytest.mark.parametrize("routing", [False, True])
def test_candidates_and_columns_are_those_of_a_grid_search(alphas, routing):
    X, y, _, group = data(240)
    own = search(alphas=alphas, cv=folds(group), l1_ratio=0.5)
    with sklearn.config_context(enable_metadata_routing=routing):
        own.fit(X, y, sensitive_features=group)
    with sklearn.config_context(enable_metadata_routing=True):
        grid = {"loss_mix": MIXES, "alpha": alphas, "fairness__weight": WEIGHTS}
        model = PixelLossRegressor(fairness=WorstGroupLoss(), l1_ratio=0.5)
        theirs = GridSearchCV(model, grid, scoring=WORST, cv=folds(group))
        theirs.fit(X, y, sensitive_features=group)
    assert_same_search(own, theirs)
    np.testing.assert_array_equal(
        own.cv_results_["param_fairness__weight"],
        [params["fairness__weight"] for params in own.cv_results_["params"]],
    )
    assert own.fairness_.weight == own.best_params_["fairness__weight"]


def test_several_terms_are_searched_in_all_combinations():
    X, y, _, group = data(240)
    terms, cv = [ResidualParity(0.2), WorstGroupLoss(0.1)], folds(group)
    grid = [{"tolerance": [0.5, 0.1]}, {"weight": [0.8, 0.0], "loss": [None, "squared_error"]}]
    own = search([0.5], grid=grid, term=terms, cv=cv).fit(X, y, sensitive_features=group)
    values = list(product([0.5, 0.1], [None, "squared_error"], [0.8, 0.0]))
    names = ["ResidualParity__tolerance", "WorstGroupLoss__loss", "WorstGroupLoss__weight"]
    assert [
        tuple(params[f"fairness__{name}"] for name in names) for params in own.cv_results_["params"]
    ] == values
    candidates = [
        {"loss_mix": 0.5, "fairness": [ResidualParity(t), WorstGroupLoss(w, loss)]}
        for t, loss, w in values
    ]
    scores = by_hand(X, y, group, candidates, cv)
    np.testing.assert_allclose(own.cv_results_["mean_test_score"], scores.mean(axis=0), rtol=1e-7)
    assert [type(term) for term in own.fairness_] == [ResidualParity, WorstGroupLoss]
    assert own.fairness_ is not terms
    assert terms[0].tolerance == 0.2, "what was passed stays as it is"
    one = search([0.5], grid=[{}, {"weight": [0.8, 0.0]}], term=terms, cv=cv)
    one.fit(X, y, sensitive_features=group)
    assert one.fairness_[0].tolerance == 0.2
    assert len(one.cv_results_["params"]) == 2


def test_many_rows_are_started_from_the_fit_before_and_end_where_cold_fits_end(monkeypatch):
    X, y, _, group = data(30_000)
    starts, spent = [], []
    fit = fitting.solve

    def solve(problem, *, start, **options):
        found = fit(problem, start=start, **options)
        starts.append(start is not None and start.multipliers is not None)
        spent.append(int(found.n_iter.max()))
        return found

    monkeypatch.setattr(fitting, "solve", solve)
    mixes, weights = [0.25, 0.5, 0.75, 1.0], [0.2, 0.4, 0.6]
    own = search(mixes, grid={"weight": weights}, cv=folds(group)[:1], scoring="r2")
    own.fit(X, y, sensitive_features=group)
    assert starts[:12] == [False] + [True] * 11
    warm, (train, test) = sum(spent[:12]), folds(group)[0]
    spent.clear()
    for at, (weight, mix) in enumerate(product(weights, mixes)):
        model = PixelLossRegressor(mix, fairness=WorstGroupLoss(weight))
        model.fit(X[train], y[train], sensitive_features=group[train])
        expected = model.score(X[test], y[test])
        assert own.cv_results_["split0_test_score"][at] == pytest.approx(expected, rel=1e-7)
    assert warm < 0.9 * sum(spent)


def test_a_strength_of_none_between_others_is_the_plain_fit():
    X, y, _, group = data(9000)
    mixes, cv = [0.0, 0.5, 1.0], folds(group)[:1]
    own = search(mixes, grid={"weight": [0.4, 0.0, 0.6]}, cv=cv, scoring="r2")
    scores = own.fit(X, y, sensitive_features=group).cv_results_["split0_test_score"]
    plain = PixelLossRegressorCV(mixes, cv=cv, scoring="r2").fit(X, y)
    np.testing.assert_allclose(scores[3:6], plain.cv_results_["split0_test_score"], rtol=1e-9)


def test_clusters_stay_whole_under_every_strength():
    X, y, _, group = data(240)
    school = np.arange(240) // 8
    own = search(cv=4).fit(X, y, sensitive_features=group, clusters=school)
    listed = list(GroupKFold(4).split(X, groups=school))
    same = search(cv=listed).fit(X, y, sensitive_features=group)
    for name in ("mean_test_score", "rank_test_score"):
        np.testing.assert_array_equal(own.cv_results_[name], same.cv_results_[name])


@pytest.mark.parametrize("routing", [False, True])
def test_in_a_pipeline_the_groups_reach_fits_and_scorers(routing):
    X, y, _, group = data(240)
    pipe = make_pipeline(StandardScaler(), search(cv=folds(group)))
    with sklearn.config_context(enable_metadata_routing=routing):
        name = "sensitive_features" if routing else "pixellossregressorcv__sensitive_features"
        found = pipe.fit(X, y, **{name: group})[-1]
    alone = search(cv=folds(group)).fit(
        StandardScaler().fit_transform(X), y, sensitive_features=group
    )
    np.testing.assert_array_equal(
        found.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"]
    )


# What cannot be met


def shifted(n=300):
    """Data of which the first of three folds without shuffling has far outliers in one group."""
    X, y, _, group = data(n)
    return X, y + np.where((np.arange(n) < n // 3) & (group == "v"), 40.0, 0.0), group


def reached(X, y, group):
    """The smallest worst MAE that each of the three folds allows."""
    term = WorstGroupLoss(loss="absolute_error")
    return [
        PixelLossRegressor(1.0, fairness=term)
        .fit(X[train], y[train], sensitive_features=group[train])
        .group_errors_["mae"]
        .max()
        for train, _ in KFold(3).split(X)
    ]


def test_a_strength_that_a_fold_cannot_meet_has_no_score_there_and_is_not_chosen():
    X, y, group = shifted()
    low, middle, high = sorted(reached(X, y, group))
    bounds = [1.1 * high, (middle + low) / 2, 1.2 * high]
    own = search([1.0], grid={"upper_bound": bounds}, term=BoundedGroupLoss(0.0))
    with pytest.warns(FitFailedWarning, match=r"2 fits failed(.|\n)*fairness__upper_bound") as told:
        own.fit(X, y, sensitive_features=group)
    assert len(told) == 1
    scores = np.array([own.cv_results_[f"split{k}_test_score"] for k in range(3)])
    assert np.isnan(scores[:, 1]).sum() == 2
    assert np.isfinite(scores[:, [0, 2]]).all(), "the fits after it are whole"
    assert own.best_params_["fairness__upper_bound"] in (bounds[0], bounds[2])
    cv = list(KFold(3).split(X))
    candidates = [{"loss_mix": 1.0, "fairness": BoundedGroupLoss(b)} for b in bounds[::2]]
    expected = by_hand(X, y, group, candidates, cv)
    np.testing.assert_allclose(scores[:, [0, 2]], expected, rtol=1e-7)
    with pytest.warns(FitFailedWarning, match="2 fits failed"):
        low = clone(own).set_params(error_score=-99.0).fit(X, y, sensitive_features=group)
    assert low.cv_results_["mean_test_score"][1] < -60
    with pytest.raises(
        ValueError, match=r"cannot be met(.|\n)*fairness__upper_bound=.*fold \d of 3"
    ):
        clone(own).set_params(error_score="raise").fit(X, y, sensitive_features=group)


def test_a_strength_that_no_fold_can_meet_is_an_error_that_names_it():
    X, y, group = shifted()
    own = search([1.0], grid={"upper_bound": [0.01, 99.0]}, term=BoundedGroupLoss(1.0))
    words = r"'fairness__upper_bound': 0\.01, .* is NaN in all 3 folds"
    with pytest.raises(ValueError, match=words) as caught:
        own.fit(X, y, sensitive_features=group)
    assert isinstance(caught.value.__cause__, InfeasibleFairnessError)
    assert not [name for name in vars(own) if name.endswith("_")]


def test_a_choice_that_all_rows_cannot_meet_raises_and_leaves_the_fit_before():
    X, y, group = shifted()
    worst = PixelLossRegressor(1.0, fairness=WorstGroupLoss(loss="absolute_error"))
    lowest = worst.fit(X, y, sensitive_features=group).group_errors_["mae"].max()
    without = min(reached(X, y, group))
    assert without < 0.9 * lowest
    own = search([1.0], grid={"upper_bound": [2 * lowest]}, term=BoundedGroupLoss(1.0))
    own.fit(X, y, sensitive_features=group)
    before = own.coef_.copy()
    own.set_params(
        fairness_grid={"upper_bound": [0.95 * lowest]},
        cv=[split for split in KFold(3).split(X) if split[1][0] == 0],
    )
    with pytest.raises(InfeasibleFairnessError, match=r"fairness__upper_bound=.*, all rows"):
        own.fit(X, y, sensitive_features=group)
    np.testing.assert_array_equal(own.coef_, before)
    assert own.fairness_.upper_bound == 2 * lowest


def test_a_fold_without_a_group_that_a_strength_names_does_not_spoil_the_others():
    X, y, _, group = data(240)
    group = np.where(np.arange(240) < 80, "w", group)
    own = search([0.5], grid={"upper_bound": [{"w": 90.0}, 99.0]}, term=BoundedGroupLoss(1.0))
    own.set_params(scoring="r2")
    with pytest.warns(FitFailedWarning, match="1 fit failed.*'w'.*fold 1 of 3"):
        own.fit(X, y, sensitive_features=group)
    assert np.isfinite(own.cv_results_["mean_test_score"][1])


# Before any work


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"term": None, "grid": {"weight": [0.5]}}, "fairness_grid needs a term, fairness is None"),
        ({"grid": {"wieght": [0.5]}}, r"names 'wieght', which is no parameter of WorstGroupLoss"),
        ({"grid": {"weight": 0.5}}, r"a list of values of 'weight', at least one, got 0\.5"),
        ({"grid": {"weight": []}}, r"a list of values of 'weight', at least one, got \[\]"),
        ({"grid": {"loss": "squared_error"}}, "a list of values of 'loss', .* got 'squared_error'"),
        ({"grid": {"weight": [0.5, 0.5]}}, "must not repeat a value of 'weight'"),
        (
            {"grid": {"weight": [0.5, 2.0]}},
            r"fairness_grid .* weight of WorstGroupLoss .* got 2\.0",
        ),
        ({"grid": {"loss": ["huber"]}}, "fairness_grid .* loss of WorstGroupLoss .* got 'huber'"),
        ({"grid": {}}, "fairness_grid must name a parameter"),
        ({"grid": 0.5}, r"fairness_grid must be a dict of values by parameter.* got 0\.5"),
        ({"grid": [{"weight": [1]}, {}]}, "must be a dict of values .* fairness is one term"),
        ({"term": [WorstGroupLoss(), ResidualParity()]}, "must be a list of 2 dicts .* got {"),
        ({"term": WorstGroupLoss}, "got the class WorstGroupLoss"),
        ({"term": "worst"}, "must be None, a term or a list of terms"),
        (
            {"term": BoundedGroupLoss(9.0), "grid": {"upper_bound": [9.0, {"z": 1.0}]}},
            "upper_bound of BoundedGroupLoss names 'z', which is none of the groups",
        ),
    ],
)
def test_a_grid_is_refused_by_name_before_any_fit(parameters, words, monkeypatch):
    X, y, _, group = data(60)

    def no_work(*_):
        raise AssertionError("a fold was worked on")

    monkeypatch.setattr(_evaluation.Evaluation, "__call__", no_work)
    own = search(**{"term": WorstGroupLoss()} | parameters)
    if "term" in parameters:
        own.fairness = parameters["term"]
    with pytest.raises((ValueError, TypeError), match=words):
        own.fit(X, y, sensitive_features=group)


def test_a_grid_needs_the_groups():
    X, y, _, _ = data(60)
    with pytest.raises(ValueError, match="needs the groups: pass sensitive_features"):
        search(scoring="r2").fit(X, y)


# Rules, and what the class does everywhere


def test_rules_read_the_strengths_of_a_search():
    X, y, _, group = data(240)
    scoring = {"mae": "neg_mean_absolute_error", "gap": make_group_scorer("mae", "difference")}
    own = search(scoring=scoring, refit="mae", cv=folds(group)).fit(X, y, sensitive_features=group)
    limit = float(np.median(-own.cv_results_["mean_test_gap"]))
    own.set_params(refit=best_within_disparity("mae", "gap", limit))
    results = own.fit(X, y, sensitive_features=group).cv_results_
    within = np.flatnonzero(-results["mean_test_gap"] <= limit)
    assert 0 < len(within) < len(results["params"])
    best = within[results["mean_test_mae"][within].argmax()]
    assert own.best_index_ == best
    front = pareto_front(results, accuracy="mae", disparity="gap")
    chosen = [results["params"][i]["fairness__weight"] for i in front["candidate"]]
    assert front["fairness__weight"].tolist() == chosen

    def weakest_within_one_standard_error(results):
        mean, folds = results["mean_test_mae"], 3
        limit = mean.max() - results["std_test_mae"][mean.argmax()] / folds**0.5
        weight = results["param_fairness__weight"].astype(float)
        return int(np.lexsort((-mean, weight, mean < limit))[0])

    one = clone(own).set_params(refit=weakest_within_one_standard_error)
    one.fit(X, y, sensitive_features=group)
    assert one.fairness_.weight == 0.0


def test_it_is_cloned_pickled_shown_and_set_as_every_parameter():
    X, y, _, group = data(120)
    own = search().fit(X, y, sensitive_features=group)
    copy = pickle.loads(pickle.dumps(own))
    assert copy.fairness_.get_params() == own.fairness_.get_params()
    np.testing.assert_array_equal(copy.predict(X), own.predict(X))
    bare = clone(own)
    assert not hasattr(bare, "fairness_")
    assert bare.get_params()["fairness_grid"] == {"weight": WEIGHTS}
    assert bare.get_params()["fairness__weight"] == 1.0
    assert "fairness_grid" in repr(own)
    assert "fairness_grid" in own._repr_html_()
    plain = own.set_params(fairness_grid=None, fairness__weight=0.25)
    assert plain.fit(X, y, sensitive_features=group).fairness_.weight == 0.25
    assert "fairness__weight" not in plain.best_params_
    assert plain.set_params(fairness=None).fit(X, y, sensitive_features=group).fairness_ is None


@needs_callbacks
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_monitor_records_the_fit_of_every_strength(n_jobs):
    X, y, _, group = data(120)
    monitor = GroupLossMonitor()
    own = search([0.3, 0.9], n_jobs=n_jobs).set_callbacks(monitor)
    own.fit(X, y, sensitive_features=group)
    fitted = monitor.to_frame().query("task == 'fit'")
    assert len(fitted) == 2 * (2 * 3 * 3 + 1)
    np.testing.assert_array_equal(fitted["loss"].tail(2), own.group_losses_)
