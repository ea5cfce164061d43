"""`best_within_disparity` and `pareto_front` on the results of real searches."""

from __future__ import annotations

import pickle
from functools import partial

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from skfairloss import PixelLossRegressor, PixelLossRegressorCV
from skfairloss.datasets import make_pixel_groups
from skfairloss.metrics import make_group_scorer
from skfairloss.model_selection import best_within_disparity, pareto_front

MIXES = [0.0, 0.25, 0.5, 0.75, 1.0]


@pytest.fixture(scope="module")
def images():
    X, y, group = make_pixel_groups(300, noise=0.1, random_state=0)
    frame = pd.DataFrame(X).rename(columns=str).assign(dark=(group == "dark").astype(float))
    return frame, y, group


@pytest.fixture(scope="module")
def search(images):
    X, y, group = images
    scoring = {
        "mae": "neg_mean_absolute_error",
        "gap": make_group_scorer("mae", "difference", sensitive_features="dark"),
    }
    cv = list(StratifiedKFold(3, shuffle=True, random_state=0).split(X, group))
    # without the groups among the features the mixes trade the groups off
    model = PixelLossRegressor(scale="auto", alpha=1e3)
    search = GridSearchCV(model, {"loss_mix": MIXES}, scoring=scoring, refit=False, cv=cv)
    return search.fit(X, y)


def means(search):
    results = search.cv_results_
    return results["mean_test_mae"], -results["mean_test_gap"]


def test_the_mixes_trade_accuracy_for_disparity_so_that_there_is_something_to_choose(search):
    accuracy, disparity = means(search)
    assert accuracy.argmax() != disparity.argmin()


@pytest.mark.parametrize("slack", [0.0, 0.3, 0.7, 1.0])
def test_the_most_accurate_candidate_within_the_bound_is_taken(search, slack):
    accuracy, disparity = means(search)
    bound = disparity.min() + slack * np.ptp(disparity) + 1e-9
    chosen = best_within_disparity("mae", "gap", bound)(search.cv_results_)
    within = disparity <= bound
    assert within[chosen]
    assert accuracy[chosen] == accuracy[within].max()


def test_as_refit_it_decides_in_a_grid_search_and_in_the_cv_class(images, search):
    X, y, _ = images
    _, disparity = means(search)
    rule = best_within_disparity("mae", "gap", float(np.median(disparity)))
    expected = MIXES[rule(search.cv_results_)]
    grid = clone(search).set_params(refit=rule).fit(X, y)
    assert grid.best_params_ == {"loss_mix": expected}
    own = PixelLossRegressorCV(
        MIXES, alphas=[1e3], scale="auto", scoring=search.scoring, cv=search.cv, refit=rule
    )
    assert own.fit(X, y).loss_mix_ == expected


def test_where_nobody_qualifies_the_smallest_disparity_is_stated_or_taken_where_asked_for(search):
    accuracy, disparity = means(search)
    closest = int(disparity.argmin())
    bound = float(disparity.min()) / 2
    words = f"smallest is {disparity[closest]:.6g}, with mae {accuracy[closest]:.6g}"
    words += rf", of candidate {closest} {{'loss_mix': {MIXES[closest]}}}"
    with pytest.raises(ValueError, match=f"{words}. Raise .* if_none='closest'"):
        best_within_disparity("mae", "gap", bound)(search.cv_results_)
    rule = best_within_disparity("mae", "gap", bound, if_none="closest")
    with pytest.warns(UserWarning, match=f"{words}, which is taken"):
        assert rule(search.cv_results_) == closest


def test_the_rule_is_pickled_and_shows_its_arguments():
    rule = best_within_disparity("mae", "gap", 0.5, if_none="closest")
    again = pickle.loads(pickle.dumps(rule))
    assert repr(again) == "best_within_disparity('mae', 'gap', 0.5, if_none='closest')"
    results = {"mean_test_mae": np.array([-1.0, -2.0]), "mean_test_gap": np.array([-1.0, -0.4])}
    assert again(results) == rule(results) == 1


def test_of_equal_accuracy_the_smaller_disparity_wins_then_the_first():
    rule = best_within_disparity("mae", "gap", 1.0)
    results = {"mean_test_mae": [-1, -1, -1, -2], "mean_test_gap": [-0.5, -0.2, -0.2, -0.1]}
    assert rule(results) == 1


@pytest.mark.parametrize("bad", [np.nan, -np.inf])
@pytest.mark.parametrize("scorer", ["mae", "gap"])
def test_a_candidate_without_a_score_is_never_chosen_and_named_once(search, scorer, bad):
    results = {name: np.copy(values) for name, values in search.cv_results_.items()}
    results["params"] = search.cv_results_["params"]
    accuracy, disparity = means(search)
    bound = float(disparity.max())  # all qualify: the most accurate one would be taken
    rule = best_within_disparity("mae", "gap", bound)
    best = rule(results)
    results[f"mean_test_{scorer}"][best] = bad
    words = f"1 of 5 candidates .* first is {best} .*{MIXES[best]}.* '{scorer}'.* left out"
    with pytest.warns(UserWarning, match=words) as told:
        chosen = rule(results)
    assert len(told) == 1
    others = np.delete(np.arange(5), best)
    assert chosen == others[accuracy[others].argmax()]
    with pytest.warns(UserWarning, match=words):
        front = pareto_front(results, accuracy="mae", disparity="gap")
    fewer = {name: np.delete(np.asarray(values), best) for name, values in results.items()}
    alone = pareto_front(fewer, accuracy="mae", disparity="gap")
    assert front["candidate"].tolist() == others[alone["candidate"]].tolist()
    columns = ["loss_mix", "accuracy", "accuracy_std", "disparity", "disparity_std"]
    pd.testing.assert_frame_equal(front[columns], alone[columns])


READERS = [
    best_within_disparity("mae", "gap", 1.0),
    partial(pareto_front, accuracy="mae", disparity="gap"),
]


@pytest.mark.parametrize("read", READERS, ids=["best", "front"])
@pytest.mark.parametrize("scorer", ["mae", "gap"])
def test_where_no_candidate_has_a_score_the_error_names_the_scorer(search, read, scorer):
    results = search.cv_results_ | {f"mean_test_{scorer}": np.full(5, np.nan)}
    with pytest.raises(ValueError, match=f"5 of 5 candidates .* 0 .*'{scorer}'.*error_score"):
        read(results)


def test_a_search_with_the_rule_scores_by_one_of_its_scorers(images):
    X, y, _ = images
    scoring = {
        "mae": "neg_mean_absolute_error",
        "gap": make_group_scorer("mae", "difference", sensitive_features="dark"),
    }
    rule = best_within_disparity("mae", "gap", 100.0)
    grid = GridSearchCV(PixelLossRegressor(), {"loss_mix": [0, 1]}, scoring=scoring, refit=rule)
    grid.fit(X, y)
    with pytest.raises(KeyError):
        grid.score(X, y)
    errors = np.abs(y - grid.predict(X))
    dark = X["dark"] == 1
    assert np.isclose(grid.scorer_["mae"](grid, X, y), -errors.mean())
    gap = abs(errors[dark].mean() - errors[~dark].mean())
    assert np.isclose(grid.scorer_["gap"](grid, X, y), -gap)


def test_a_positive_disparity_or_an_unknown_scorer_is_an_error(search):
    results = dict(search.cv_results_)
    with pytest.raises(ValueError, match=r"no scorer 'none', it has \['gap', 'mae'\]"):
        best_within_disparity("mae", "none", 1.0)(results)
    results["mean_test_gap"] = -results["mean_test_gap"]
    with pytest.raises(ValueError, match="must be a negated loss"):
        pareto_front(results, accuracy="mae", disparity="gap")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("mae", "gap", -0.1), "max_disparity must be a number > 0"),
        (("mae", "gap", "small"), "max_disparity must be a number > 0"),
        ((1, "gap", 0.1), "accuracy must be the name"),
        (("mae", None, 0.1), "disparity must be the name"),
    ],
)
def test_bad_arguments_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        best_within_disparity(*arguments)
    with pytest.raises(ValueError, match="if_none must be 'raise' or 'closest'"):
        best_within_disparity("mae", "gap", 0.1, if_none="stop")


def test_the_front_holds_exactly_the_candidates_that_no_other_one_dominates(search):
    accuracy, disparity = means(search)
    front = pareto_front(search.cv_results_, accuracy="mae", disparity="gap")
    kept = set(front["candidate"])
    for i in range(len(MIXES)):
        better = [
            j
            for j in range(len(MIXES))
            if (accuracy[j], -disparity[j]) != (accuracy[i], -disparity[i])
            and accuracy[j] >= accuracy[i]
            and disparity[j] <= disparity[i]
        ]
        assert (i in kept) == (not better)
    assert front["disparity"].is_monotonic_increasing
    assert front["accuracy"].is_monotonic_increasing
    assert front["loss_mix"].tolist() == [MIXES[i] for i in front["candidate"]]
    i = front["candidate"].iloc[0]
    np.testing.assert_array_equal(
        front["accuracy_std"].iloc[0], search.cv_results_["std_test_mae"][i]
    )


def test_equal_candidates_are_all_on_the_front():
    results = {
        "params": [{"a": 0}, {"a": 1}, {"a": 2}],
        "mean_test_mae": [-1.0, -1.0, -1.0],
        "std_test_mae": [0.0, 0.0, 0.0],
        "mean_test_gap": [-1.0, -1.0, -2.0],
        "std_test_gap": [0.0, 0.0, 0.0],
    }
    assert pareto_front(results, accuracy="mae", disparity="gap")["a"].tolist() == [0, 1]


def test_the_rules_read_a_search_that_was_routed_groups(images):
    X, y, group = images
    with sklearn.config_context(enable_metadata_routing=True):
        scoring = {"mae": "neg_mean_absolute_error", "worst": make_group_scorer("mae", "group_max")}
        rule = best_within_disparity("mae", "worst", 10.0)
        grid = GridSearchCV(PixelLossRegressor(), {"loss_mix": MIXES}, scoring=scoring, refit=rule)
        grid.set_params(cv=3).fit(X, y, sensitive_features=group)
    assert grid.best_index_ == grid.cv_results_["mean_test_mae"].argmax()
