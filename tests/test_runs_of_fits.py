"""Runs of many fits: warned of once, named where they fail, given folds and groups in any form."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold, ShuffleSplit, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skfairloss import PixelLossRegressor, PixelLossRegressorCV, compare_loss_mixes
from skfairloss.displays import LossMixDisplay, TradeoffDisplay
from skfairloss.exceptions import InfeasibleFairnessError
from skfairloss.fairness import BoundedGroupLoss, EqualizedLoss, WorstGroupLoss
from skfairloss.metrics import make_group_scorer
from skfairloss.model_selection import loss_mix_path
from tests.test_loss_mix_path import data

MIXES = [0.0, 1.0]


def gap():
    with sklearn.config_context(enable_metadata_routing=True):
        return make_group_scorer("mae", "difference")


def piped(**parameters):
    return make_pipeline(FunctionTransformer(np.asarray), PixelLossRegressor(**parameters))


def display(kind, X, y, groups):
    routing = sklearn.get_config()["enable_metadata_routing"]
    name = "sensitive_features" if routing else "pixellossregressor__sensitive_features"
    options = {"param_name": "pixellossregressor__loss_mix", "param_range": MIXES, "cv": 3}
    kind.from_estimator(
        piped(), X, y, sensitive_features=groups, fit_params={name: groups}, **options
    )


RUNS = {
    "compare": lambda X, y, g: compare_loss_mixes(X, y, sensitive_features=g, cv=3),
    "compare a pipeline": lambda X, y, g: compare_loss_mixes(
        X, y, sensitive_features=g, cv=3, estimator=piped(fairness=WorstGroupLoss())
    ),
    "path": lambda X, y, g: loss_mix_path(X, y, sensitive_features=g),
    "cv": lambda X, y, g: PixelLossRegressorCV(
        scoring=gap(), cv=ShuffleSplit(3, random_state=0)
    ).fit(X, y, sensitive_features=g),
    "cv in threads": lambda X, y, g: PixelLossRegressorCV(scoring=gap(), cv=3, n_jobs=2).fit(
        X, y, sensitive_features=g
    ),
    "mixes": lambda X, y, g: display(LossMixDisplay, X, y, g),
    "trade-off": lambda X, y, g: display(TradeoffDisplay, X, y, g),
}


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_groups_out_of_order_with_nothing_to_compare_are_one_warning(run, routing):
    X, y, _, group = data(90)
    shuffled = pd.Series(group, index=np.random.default_rng(0).permutation(90))
    with (
        sklearn.config_context(enable_metadata_routing=routing),
        warnings.catch_warnings(record=True) as told,
    ):
        warnings.simplefilter("always")
        run(X, y, shuffled)
    assert [str(w.message)[:35] for w in told] == ["the index of sensitive_features is "]


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_groups_in_the_order_of_x_are_no_warning_even_where_a_step_drops_the_index(run):
    X, y, _, group = data(90)
    index = np.random.default_rng(0).permutation(90)
    run(pd.DataFrame(X, index), y, pd.Series(group, index))
    with pytest.raises(ValueError, match="index of sensitive_features differs from that of X"):
        run(pd.DataFrame(X, index), y, pd.Series(group, index[::-1]))


def test_a_single_fit_after_a_run_that_failed_warns_again():
    X, y, _, group = data(90)
    with pytest.raises(InfeasibleFairnessError):
        loss_mix_path(X, y, sensitive_features=group, fairness=BoundedGroupLoss(1e-6, loss=None))
    shuffled = pd.Series(group, index=np.arange(90)[::-1])
    with pytest.warns(UserWarning, match="not in ascending order"):
        PixelLossRegressor().fit(X, y, sensitive_features=shuffled)


SPLITS = {
    "generator": lambda X, g: StratifiedKFold(3).split(X, g),
    "list": lambda X, g: list(StratifiedKFold(3).split(X, g)),
    "zip": lambda X, g: zip(*zip(*StratifiedKFold(3).split(X, g), strict=True), strict=True),
}


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize("split", SPLITS.values(), ids=SPLITS)
def test_splits_of_every_form_give_the_scores_of_their_splitter(split, routing):
    X, y, _, group = data(90)
    listed = list(StratifiedKFold(3).split(X, group))
    with sklearn.config_context(enable_metadata_routing=routing):
        own = PixelLossRegressorCV(MIXES, cv=split(X, group))
        own.fit(X, y, sensitive_features=group)
        found = compare_loss_mixes(
            X, y, sensitive_features=group, loss_mixes=MIXES, cv=split(X, group)
        )
    for j, mix in enumerate(MIXES):
        scores = [
            PixelLossRegressor(mix).fit(X[train], y[train]).score(X[test], y[test])
            for train, test in listed
        ]
        np.testing.assert_allclose(own.cv_results_["mean_test_score"][j], np.mean(scores))
        for train, test in listed:
            model = PixelLossRegressor(mix).fit(X[train], y[train])
            np.testing.assert_allclose(
                found.predictions[0, j, test], model.predict(X[test]), atol=1e-4
            )


@pytest.mark.parametrize("routing", [False, True])
def test_a_generator_used_up_by_an_earlier_search_is_an_error(routing):
    X, y, _, group = data(90)
    words = "cv must yield pairs .* got none from .* pass a list"
    with sklearn.config_context(enable_metadata_routing=routing):
        own = PixelLossRegressorCV(MIXES, cv=KFold(3).split(X)).fit(X, y)
        before = own.coef_
        with pytest.raises(ValueError, match=words):
            own.fit(X, y)
        assert own.coef_ is before
        for empty in ([], iter([])):
            with pytest.raises(ValueError, match=words):
                compare_loss_mixes(X, y, sensitive_features=group, cv=empty)


FORMS = {
    "dict": lambda g, h: {"tone": g},
    "dict of two": lambda g, h: {"tone": g, "side": h},
    "index": lambda g, h: pd.Index(g),
    "index of categories": lambda g, h: pd.CategoricalIndex(g),
    "index of two": lambda g, h: pd.MultiIndex.from_arrays([g, h]),
    "tuple": lambda g, h: tuple(g),
    "categories": lambda g, h: pd.Categorical(g),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("routing", [False, True])
def test_groups_of_every_form_that_fit_takes_can_be_cut(form, routing):
    X, y, _, group = data(90)
    side = np.arange(90) % 2
    groups = FORMS[form](group, side)
    array = np.char.add(group, side.astype(str)) if form.endswith("two") else group
    options = {"loss_mixes": MIXES, "cv": 3, "random_state": 0}
    term = {"fairness": WorstGroupLoss(0.5)}
    with sklearn.config_context(enable_metadata_routing=routing):
        for estimator in (PixelLossRegressor(**term), piped(**term)):
            found, plain = (
                compare_loss_mixes(X, y, sensitive_features=g, estimator=estimator, **options)
                for g in (groups, array)
            )
            np.testing.assert_array_equal(found.predictions, plain.predictions)
        own, same = (
            PixelLossRegressorCV(MIXES, scoring=gap(), cv=3, **term).fit(X, y, sensitive_features=g)
            for g in (groups, array)
        )
    np.testing.assert_allclose(
        own.cv_results_["mean_test_score"], same.cv_results_["mean_test_score"], rtol=1e-12
    )
    fitted = PixelLossRegressor(**term).fit(X, y, sensitive_features=groups)
    np.testing.assert_array_equal(own.groups_, fitted.groups_)


@pytest.mark.parametrize("bad", [{}, {"tone": ["u", "v"]}, pd.Index(["u", "v"])])
def test_groups_that_fit_does_not_take_are_named(bad):
    X, y, _, _ = data(90)
    for run in RUNS.values():
        with pytest.raises(ValueError, match="sensitive_features has"):
            run(X, y, bad)


def hard_fold():
    """Rows of which the second fold of three leaves a bound that cannot be met."""
    X, y, _, group = data(150)
    y = y + np.where((np.arange(150) >= 75) & (group == "v"), 60 * np.sign(X[:, 0]), 0.0)
    return X, y, group


def first_infeasible(X, y, group, bound, mixes):
    """Mix and fold that fail first, found by hand."""
    for k, (train, _) in enumerate(KFold(3).split(X)):
        for mix in mixes:
            try:
                PixelLossRegressor(mix, fairness=bound).fit(
                    X[train], y[train], sensitive_features=group[train]
                )
            except InfeasibleFairnessError as error:
                return mix, k + 1, str(error)
    raise AssertionError("every fold is feasible")


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize("wrap", [None, piped])
def test_a_bound_that_a_fold_cannot_meet_names_mix_and_fold(routing, wrap):
    X, y, group = hard_fold()
    bound = BoundedGroupLoss(0.4, loss=None)
    mix, fold, text = first_infeasible(X, y, group, bound, MIXES)
    estimator = (wrap or PixelLossRegressor)(fairness=bound)
    words = re.escape(f"{text} (loss_mix={mix:g}, fold {fold} of 3)")
    with (
        sklearn.config_context(enable_metadata_routing=routing),
        pytest.raises(InfeasibleFairnessError, match=words) as caught,
    ):
        compare_loss_mixes(
            X, y, sensitive_features=group, estimator=estimator, loss_mixes=MIXES, cv=KFold(3)
        )
    assert type(caught.value) is InfeasibleFairnessError
    own = PixelLossRegressorCV(MIXES, fairness=bound, cv=KFold(3), error_score="raise")
    words = re.escape(f"(loss_mix={mix:g}, alpha=0, fold {fold} of 3)")
    with pytest.raises(InfeasibleFairnessError, match=words):
        own.fit(X, y, sensitive_features=group)
    with pytest.raises(InfeasibleFairnessError, match=r"\(loss_mix=0\)$"):
        loss_mix_path(X, y, sensitive_features=group, loss_mixes=MIXES, fairness=bound)


def test_a_group_that_a_fold_does_not_have_names_the_fold():
    X, y, _, group = data(90)
    rare = np.where(np.arange(90) < 30, "rare", group)
    term = BoundedGroupLoss({"rare": 1e3, "u": 1e3, "v": 1e3}, loss=None)
    own = PixelLossRegressorCV(MIXES, fairness=term, cv=KFold(3), error_score="raise")
    with pytest.raises(ValueError, match=r"'rare'.*\(loss_mix=0, alpha=0, fold 1 of 3\)"):
        own.fit(X, y, sensitive_features=rare)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_fits_that_are_not_certified_name_mix_and_fold_in_every_thread(n_jobs):
    X, y, _, group = data(90)

    def places(call):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            call()
        assert {w.category for w in told} == {ConvergenceWarning}
        return sorted(re.search(r"\(([^()]*)\)$", str(w.message))[1] for w in told)

    own = PixelLossRegressorCV([0.5], cv=3, max_iter=1, tol=1e-15, n_jobs=n_jobs)
    folds = [f"loss_mix=0.5, alpha=0, fold {k} of 3" for k in (1, 2, 3)]
    found = places(lambda: own.fit(X, y, sensitive_features=group))
    assert found == ["loss_mix=0.5, alpha=0, all rows", *folds]
    short = PixelLossRegressor(max_iter=1, tol=1e-15)
    options = {"sensitive_features": group, "loss_mixes": [0.5, 1.0], "reference": 0.5, "cv": 3}
    for estimator in (short, make_pipeline(short)):
        found = places(lambda e=estimator: compare_loss_mixes(X, y, estimator=e, **options))
        expected = [
            f"loss_mix={m}, fold {k} of 3, repeat {r} of 2"
            for m in ("0.5", "1")
            for k in (1, 2, 3)
            for r in (1, 2)
        ]
        assert found == expected
    with pytest.warns(ConvergenceWarning) as told:
        short.fit(X, y)
    assert not re.search(r"\)$", str(told[0].message))


def cross_validated(X, y, group, **parameters):
    return PixelLossRegressorCV([0.5], cv=3, **parameters).fit(X, y, sensitive_features=group)


SHORT = {"max_iter": 1, "tol": 1e-15}
WARNED = {
    "fit": lambda X, y, g: PixelLossRegressor(**SHORT).fit(X, y),
    "spread": lambda X, y, g: PixelLossRegressor(fairness=EqualizedLoss(0.0, loss=None)).fit(
        np.zeros_like(X), y, sensitive_features=g
    ),
    "path": lambda X, y, g: loss_mix_path(X, y, **SHORT),
    "compare": lambda X, y, g: compare_loss_mixes(
        X, y, sensitive_features=g, cv=3, estimator=PixelLossRegressor(**SHORT)
    ),
    "cv": lambda X, y, g: cross_validated(X, y, g, **SHORT),
    "failed scores": lambda X, y, g: cross_validated(
        X, y, g, scoring=fails_at_times(), error_score=-1.0
    ),
    "order of the groups": lambda X, y, g: PixelLossRegressor().fit(
        X, y, sensitive_features=pd.Series(g).iloc[::-1]
    ),
    "order of the groups in a search": lambda X, y, g: cross_validated(
        X, y, pd.Series(g).iloc[::-1]
    ),
}


def fails_at_times():
    """Return a scorer that fails in every other fold."""
    calls = []

    def score(model, X, y):
        calls.append(len(y))
        if len(calls) % 2:
            raise ValueError("no score today")
        return 0.0

    return score


@pytest.mark.parametrize("call", WARNED.values(), ids=WARNED)
def test_every_warning_is_at_the_line_that_called_into_the_package(call):
    X, y, _, group = data(90)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        call(X, y, group)
    assert told
    assert {warning.filename for warning in told} == {__file__}


class OddError(Exception):
    """An error whose text is not its argument."""

    def __str__(self):
        return f"odd: {self.args[0]}"


@pytest.mark.parametrize(
    "error", [OddError("x"), KeyError("x"), OSError(2, "gone"), RuntimeError()]
)
def test_errors_of_every_type_keep_it_and_tell_the_place(error):
    X, y, _, group = data(90)

    def fails(true, predicted):
        raise error

    text = str(error)
    with pytest.raises(type(error)) as caught:
        compare_loss_mixes(X, y, sensitive_features=group, metrics=fails, cv=3, n_repeats=1)
    assert caught.value is error
    assert str(error) == text
    assert error.__notes__ == ["(loss_mix=0, fold 1 of 3)"]


def test_a_prediction_that_is_no_number_is_an_error_that_names_the_fold():
    X, y, _, group = data(90)

    def broken(true, predicted):
        return np.where(np.arange(len(true)) == 3, np.nan, np.abs(true - predicted))

    with pytest.raises(ValueError, match=r"finite loss .*\(loss_mix=0, fold 1 of 3\)"):
        compare_loss_mixes(X, y, sensitive_features=group, metrics=broken, cv=3, n_repeats=1)
