"""The named metrics: each against a computation of its own, wherever names are taken."""

from __future__ import annotations

import math
import re
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import count
from sklearn import config_context
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import (
    make_scorer,
    max_error,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_pinball_loss,
    mean_squared_error,
    median_absolute_error,
    r2_score,
)
from sklearn.model_selection import GridSearchCV

from skfairloss import compare_loss_mixes, group_report
from skfairloss.displays import GroupLossDisplay, LossMixDisplay, TradeoffDisplay
from skfairloss.metrics import group_metric_frame, make_group_scorer
from skfairloss.metrics._bootstrap import bootstrap
from skfairloss.metrics._named import FAMILIES, TABLE, find, known_names

NAMES = [*TABLE, "pinball@0.9", "pinball@0.25", "share_above@1", "share_above@0.5"]
MEASURES = [name for name in NAMES if name != "count"]


def draw(n=60, outputs=(), seed=0):
    """Positive targets, predictions, groups in no order, and weights."""
    rng = np.random.default_rng(seed)
    groups = np.array(["dark", "bright", "grey"])[rng.integers(0, 3, n)]
    y_true = rng.uniform(1.0, 4.0, size=(n, *outputs))
    y_pred = y_true + rng.normal(0.3, 1.0, size=(n, *outputs))
    return y_true, y_pred, groups, rng.uniform(0.5, 2.0, n)


def middle(values, weights):
    """The weighted median by its definition: the middle of all minimisers of Σ s |v - m|."""
    values, weights = np.asarray(values), np.asarray(weights)
    candidates = np.unique(values[weights > 0])
    costs = np.array([weights @ np.abs(values - m) for m in candidates])
    best = candidates[np.isclose(costs, costs.min(), rtol=1e-12, atol=0)]
    return (best[0] + best[-1]) / 2


def by_hand(name, y_true, y_pred, s):
    """A metric written out; rows of outputs are averaged first."""
    true, pred = (y.reshape(len(y), -1) for y in (y_true, y_pred))
    r = true - pred

    def a(values):
        return float(np.sum(s * values.mean(axis=1)) / np.sum(s))

    head, _, number = name.partition("@")
    number = float(number or "nan")
    spread = true - (s @ true) / s.sum()
    return {
        "count": lambda: len(true),
        "mae": lambda: a(np.abs(r)),
        "mse": lambda: a(r**2),
        "rmse": lambda: math.sqrt(a(r**2)),
        "mean_residual": lambda: a(r),
        "mean_prediction": lambda: a(pred),
        "r2": lambda: 1 - a(r**2) / a(spread**2),
        "bias": lambda: a(pred - true),
        "medae": lambda: middle(np.abs(r).mean(axis=1), s),
        "mape": lambda: a(np.abs(r) / np.abs(true)),
        "pinball": lambda: a(np.where(r > 0, number * r, (number - 1) * r)),
        "share_above": lambda: a(1.0 * (np.abs(r) > number)),
    }[head]()


# scikit-learn's, for one output
THEIRS = {
    "mae": mean_absolute_error,
    "mse": mean_squared_error,
    "r2": r2_score,
    "mape": mean_absolute_percentage_error,
    "pinball@0.9": partial(mean_pinball_loss, alpha=0.9),
    "pinball@0.25": partial(mean_pinball_loss, alpha=0.25),
}


@pytest.mark.parametrize("outputs", [(), (1,), (3,), (2, 2)])
@pytest.mark.parametrize("weighted", [False, True])
def test_every_name_is_what_it_says_by_group_and_overall(outputs, weighted):
    y_true, y_pred, groups, weights = draw(outputs=outputs)
    weights = weights if weighted else None
    options = {"sensitive_features": groups, "sample_weight": weights}
    frame = group_metric_frame(y_true, y_pred, **options, metrics=NAMES)
    report = group_report(y_true, y_pred, **options, metrics=NAMES, n_boot=None)
    assert frame.by_group.columns.tolist() == NAMES
    pd.testing.assert_frame_equal(report.by_group, frame.by_group)
    s = np.ones(len(groups)) if weights is None else weights
    for name in NAMES:
        for group in ("dark", "bright", "grey"):
            own = groups == group
            expected = by_hand(name, y_true[own], y_pred[own], s[own])
            assert frame.by_group[name][group] == pytest.approx(expected, rel=1e-12, abs=1e-14)
        expected = by_hand(name, y_true, y_pred, s)
        assert frame.overall[name] == pytest.approx(expected, rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("name", THEIRS)
def test_names_agree_with_scikit_learn_for_one_output(name):
    y_true, y_pred, groups, weights = draw()
    frame = group_metric_frame(
        y_true, y_pred, sensitive_features=groups, sample_weight=weights, metrics=name
    )
    own = groups == "dark"
    expected = THEIRS[name](y_true[own], y_pred[own], sample_weight=weights[own])
    assert frame.by_group["dark"] == pytest.approx(expected)


def test_the_median_is_that_of_scikit_learn_without_weights():
    for n in (59, 60):
        y_true, y_pred, _, _ = draw(n)
        frame = group_metric_frame(
            y_true, y_pred, sensitive_features=np.arange(n) % 2, metrics=["medae"]
        )
        assert frame.overall["medae"] == median_absolute_error(y_true, y_pred)


@pytest.mark.parametrize("outputs", [(), (3,)])
@pytest.mark.parametrize("scale", [1.0, 0.1, 1 / 3])
def test_weights_are_copies_of_rows_in_every_metric(outputs, scale):
    y_true, y_pred, groups, _ = draw(outputs=outputs)
    y_pred = np.round(y_pred, 1)  # ties
    copies = np.random.default_rng(5).integers(0, 5, len(groups))
    weighted, repeated = (
        group_metric_frame(t, p, sensitive_features=g, sample_weight=s, metrics=MEASURES)
        for t, p, g, s in (
            (y_true, y_pred, groups, scale * copies),
            (*(np.repeat(a, copies, axis=0) for a in (y_true, y_pred, groups)), None),
        )
    )
    np.testing.assert_allclose(weighted.by_group.astype(float), repeated.by_group.astype(float))
    np.testing.assert_allclose(weighted.overall.astype(float), repeated.overall.astype(float))
    for group in ("dark", "bright", "grey"):
        own = groups == group
        errors = np.abs(y_true - y_pred).reshape(len(groups), -1).mean(axis=1)
        expected = np.median(np.repeat(errors[own], copies[own]))
        assert weighted.by_group["medae"][group] == pytest.approx(expected, rel=1e-14)


def test_metrics_change_with_the_unit_of_y_as_the_table_says():
    y_true, y_pred, groups, _ = draw()
    values = []
    for c in (1.0, 40.0):
        names = [*TABLE, "pinball@0.9", f"share_above@{c}"]
        frame = group_metric_frame(c * y_true, c * y_pred, sensitive_features=groups, metrics=names)
        values.append(frame.overall.to_numpy(dtype=float))
        powers = [find(name).power for name in names]
    np.testing.assert_allclose(values[1], values[0] * 40.0 ** np.array(powers))


def test_bias_is_minus_the_mean_residual_and_positive_for_high_predictions():
    report = group_report(
        [0.0, 0.0, 1.0, 1.0],
        [2.0, 1.0, 0.5, 0.5],
        sensitive_features=["a", "a", "b", "b"],
        metrics=["bias", "mean_residual"],
        n_boot=None,
    )
    assert report.by_group["bias"].tolist() == [1.5, -0.5]
    assert report.by_group["mean_residual"].tolist() == [-1.5, 0.5]
    assert "bias = predicted - true" in repr(report)


def test_a_share_counts_errors_above_the_threshold_not_at_it():
    frame = group_metric_frame(
        np.zeros(4),
        [1.0, -1.0, 2.0, -3.0],
        sensitive_features=["a"] * 4,
        metrics={"more than 1": "share_above@1", "not 0": "share_above@0"},
    )
    assert frame.overall.tolist() == [0.5, 1.0]


# --------------------------------------------------------------------------------------------------
# how metrics are given
# --------------------------------------------------------------------------------------------------


def test_a_name_a_list_a_dict_and_a_callable_give_the_same_values():
    y_true, y_pred, groups, weights = draw()
    options = {"sensitive_features": groups, "sample_weight": weights}
    single = group_metric_frame(y_true, y_pred, **options, metrics="medae")
    assert single.by_group.name == "medae"
    listed = group_metric_frame(y_true, y_pred, **options, metrics=["medae", max_error])
    assert listed.by_group.columns.tolist() == ["medae", "max_error"]
    labels = {"typical": "medae", "worst": max_error}
    named = group_metric_frame(y_true, y_pred, **options, metrics=labels)
    assert named.by_group.columns.tolist() == list(labels)
    for values in (listed.by_group["medae"], named.by_group["typical"]):
        np.testing.assert_array_equal(values, single.by_group)
    np.testing.assert_array_equal(named.by_group["worst"], listed.by_group["max_error"])
    report = group_report(y_true, y_pred, **options, metrics=labels, n_boot=20, random_state=0)
    pd.testing.assert_frame_equal(report.by_group, named.by_group)
    report = group_report(y_true, y_pred, **options, metrics="medae", n_boot=20, random_state=0)
    np.testing.assert_array_equal(report.by_group["medae"], single.by_group)


def test_scikit_learns_function_is_the_metric_of_that_name_under_its_own_label():
    y_true, y_pred, groups, weights = draw(outputs=(3,))
    options = {"sensitive_features": groups, "sample_weight": weights, "random_state": 0}
    given = {"mae": mean_absolute_error, "squares": mean_squared_error}
    theirs = group_report(y_true, y_pred, **options, metrics=given).to_frame()
    ours = group_report(y_true, y_pred, **options, metrics={"mae": "mae", "squares": "mse"})
    pd.testing.assert_frame_equal(theirs, ours.to_frame())
    single = group_metric_frame(
        y_true, y_pred, sensitive_features=groups, metrics=mean_absolute_error
    )
    assert single.by_group.name == "mean_absolute_error"


def test_a_function_is_only_taken_for_a_name_that_fits_there():
    y_true, _, groups, _ = draw()
    options = {"sensitive_features": groups, "cv": 3, "n_repeats": 1, "random_state": 0}
    with pytest.raises(ValueError, match="metric must return a finite loss for each of 60 rows"):
        compare_loss_mixes(y_true[:, None], y_true, **options, metrics=count)
    own, named = (
        compare_loss_mixes(y_true[:, None] ** 2, y_true, **options, metrics=metric)
        for metric in (mean_absolute_error, "mae")
    )
    assert set(own.to_frame()["metric"]) == {"mean_absolute_error"}
    pd.testing.assert_frame_equal(
        own.to_frame().drop(columns="metric"), named.to_frame().drop(columns="metric")
    )


REFUSED = [
    ("mea", ValueError, r"metrics must be one of \['count', 'mae', .*'share_above@10'\] or a"),
    (["mae", "mea"], ValueError, "metrics must be one of .* got 'mea'"),
    ({"x": "mea"}, ValueError, r"metrics\['x'\] must be one of .* got 'mea'"),
    (["mae", "mae"], ValueError, "metrics has several called 'mae'"),
    ([], ValueError, "metrics must hold at least one metric, got an empty list"),
    (["mae", 3], TypeError, "metrics must be one of .* got 3"),
    ("pinball", ValueError, r"metrics='pinball' must have its quantile in \(0, 1\), after an @"),
    ("pinball@", ValueError, "as in 'pinball@0.9'"),
    ("pinball@1", ValueError, "metrics='pinball@1' must have its quantile"),
    ("pinball@nan", ValueError, "metrics='pinball@nan' must have its quantile"),
    ("share_above@-1", ValueError, "must have its threshold >= 0, in units of y"),
    ("share_above@inf", ValueError, "must have its threshold"),
    ("mae@3", ValueError, "metrics must be one of .* got 'mae@3'"),
    (max, TypeError, r"callable as metric\(y_true, y_pred\), got <built-in function max>"),
    (sum, TypeError, r"callable as metric\(y_true, y_pred\), got <built-in function sum>"),
    (int, TypeError, r"callable as metric\(y_true, y_pred\), got <class 'int'>"),
    (np.subtract, TypeError, r"callable as metric\(y_true, y_pred\), got <ufunc 'subtract'>"),
    ({"x": abs}, TypeError, r"metrics\['x'\] must be callable as metric\(y_true, y_pred\)"),
    (np.mean, TypeError, "got <function mean .*its second argument, axis, is optional"),
    (lambda errors: 0.0, TypeError, r"metric\(y_true, y_pred\), got <function .*too many pos"),
    (lambda t, p, groups: 0.0, TypeError, "missing a required argument: 'groups'"),
    (make_scorer(max_error), TypeError, r"metric\(y_true, y_pred\), got make_scorer"),
]


@pytest.mark.parametrize(("metrics", "error", "message"), REFUSED)
@pytest.mark.parametrize("function", [group_metric_frame, group_report])
def test_what_is_no_metric_is_refused_by_name(function, metrics, error, message):
    y_true, y_pred, groups, _ = draw()
    with pytest.raises(error, match=message):
        function(y_true, y_pred, sensitive_features=groups, metrics=metrics)


@pytest.mark.parametrize(
    ("metric", "error", "message"),
    [
        ("mea", ValueError, r"metric must be one of .* got 'mea'"),
        (max, TypeError, r"metric must be callable as metric\(y_true, y_pred\), got <built-in"),
        ("pinball@2", ValueError, "metric='pinball@2' must have its quantile"),
        (3, TypeError, "metric must be one of .* got 3"),
    ],
)
def test_scorers_displays_and_comparisons_refuse_the_same(metric, error, message):
    y_true, y_pred, groups, _ = draw()
    X = y_true[:, None]
    model = LinearRegression().fit(X, y_true)
    options = {"sensitive_features": groups, "metric": metric}
    for call in (
        lambda: make_group_scorer(metric),
        lambda: GroupLossDisplay.from_predictions(y_true, y_pred, **options),
        lambda: GroupLossDisplay.from_estimator(model, X, y_true, **options),
        lambda: LossMixDisplay.from_estimator(model, X, y_true, param_range=[0], **options),
        lambda: TradeoffDisplay.from_predictions(y_true, {"a": y_pred}, **options),
        lambda: TradeoffDisplay.from_estimator(model, X, y_true, param_range=[0], **options),
    ):
        with pytest.raises(error, match=message):
            call()
    refused = "metrics must be the name of a metric" if metric == 3 else f"metrics{message[6:]}"
    with pytest.raises(error, match=refused):
        compare_loss_mixes(X, y_true, sensitive_features=groups, metrics=metric)


def test_mape_of_a_target_of_zero_is_an_error_everywhere():
    y_true, y_pred, groups, _ = draw(outputs=(2,))
    y_true[[3, 7], 1] = 0.0
    options = {"sensitive_features": groups}
    refused = pytest.raises(ValueError, match="y_true is 0 in 2 of 60 rows, and 'mape' divides")
    with refused:
        group_metric_frame(y_true, y_pred, **options, metrics="mape")
    with refused:
        group_report(y_true, y_pred, **options, metrics=["mae", "mape"])
    with refused:
        compare_loss_mixes(y_true[:, :1], y_true, **options, metrics="mape")
    with pytest.raises(ValueError, match="y_true is 0 in"):
        make_group_scorer("mape")(Predicts(y_pred), None, y_true, **options)
    weights = np.ones(60)
    weights[[3, 7]] = 0.0
    frame = group_metric_frame(y_true, y_pred, **options, sample_weight=weights, metrics="mape")
    assert np.isfinite(frame.by_group).all()


# --------------------------------------------------------------------------------------------------
# bootstrap samples and intervals of a report
# --------------------------------------------------------------------------------------------------


def plain_bootstrap(metric, y_true, y_pred, groups, weights, n_boot, seed):
    """Replicates by group and overall from a loop over samples drawn within the groups."""
    rng = np.random.default_rng(seed)
    names = np.unique(groups)
    # the draws of a report: group after group, all samples of one at a time
    drawn = []
    for name in names:
        own = np.flatnonzero(groups == name)
        drawn.append(own[rng.integers(len(own), size=(n_boot, len(own)))])
    by_group, overall = np.empty((n_boot, len(names))), np.empty(n_boot)
    for i in range(n_boot):
        for j, rows in enumerate(drawn):
            by_group[i, j] = metric(y_true[rows[i]], y_pred[rows[i]], weights[rows[i]])
        every = np.concatenate([rows[i] for rows in drawn])
        overall[i] = metric(y_true[every], y_pred[every], weights[every])
    return by_group, overall


@pytest.mark.parametrize("outputs", [(), (3,)])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", ["medae", "mape", "pinball@0.9", "share_above@1", "bias", "rmse"])
def test_replicates_are_those_of_a_plain_bootstrap_loop(name, weighted, outputs):
    y_true, y_pred, groups, weights = draw(60, outputs)
    weights = 7 * weights if weighted else None
    rows = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    metrics = {"mae": find("mae"), name: find(name)}  # beside another one
    found = bootstrap(metrics, y_true, y_pred, weights, rows, 40, np.random.default_rng(2))
    by_group, overall = plain_bootstrap(
        partial(by_hand, name),
        y_true,
        y_pred,
        groups,
        np.ones(60) if weights is None else weights,
        40,
        2,
    )
    np.testing.assert_allclose(found.by_group[:, :, 1], by_group, atol=1e-12)
    np.testing.assert_allclose(found.overall[:, 1], overall, atol=1e-12)


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("at_once", [1, 2**18])
def test_replicates_are_those_of_a_function_called_on_the_rows_drawn(name, at_once, monkeypatch):
    monkeypatch.setattr("skfairloss.metrics._bootstrap.DRAWS_AT_ONCE", at_once)
    y_true, y_pred, groups, weights = draw(60)
    rows = [np.flatnonzero(groups == group) for group in np.unique(groups)]

    def called(y_true, y_pred, sample_weight):
        return by_hand(name, y_true, y_pred, sample_weight)

    own, other = (
        bootstrap({name: metric}, y_true, y_pred, weights, rows, 7, np.random.default_rng(0))
        for metric in (find(name), called)
    )
    np.testing.assert_allclose(own.by_group, other.by_group, rtol=1e-9)
    np.testing.assert_allclose(own.overall, other.overall, rtol=1e-9)


def test_the_interval_of_a_median_covers_the_truth():
    covered = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        errors = rng.exponential(size=200) * np.repeat([1.0, 3.0], 100)
        report = group_report(
            np.zeros(200),
            errors,
            sensitive_features=np.repeat(["a", "b"], 100),
            metrics="medae",
            n_boot=200,
            random_state=seed,
        )
        lower, upper = (limits["medae"] for limits in report.by_group_ci)
        truth = np.log(2) * np.array([1.0, 3.0])
        covered += list((lower <= truth) & (truth <= upper))
    # four standard errors of a share of 0.93 in 120
    assert np.mean(covered) > 0.93 - 4 * 0.0233


def test_ratios_stand_only_where_they_compare():
    rng = np.random.default_rng(0)
    y_true = rng.uniform(1, 2, 80)
    y_pred = 0.5 * y_true + 0.25 + rng.normal(scale=0.05, size=80)  # residuals and r2 positive
    groups = np.repeat(["a", "b"], 40)
    report = group_report(y_true, y_pred, sensitive_features=groups, metrics=NAMES, random_state=0)
    table = report.to_frame().query("statistic == 'ratio'").set_index("metric")
    positive = (report.by_group > 0).all()
    assert positive[["mean_residual", "mae", "mean_prediction", "medae"]].all()
    assert (
        table.loc[["mean_residual", "bias", "r2"], ["value", "lower", "upper"]]
        .isna()
        .all(axis=None)
    )
    known = table.loc[["mae", "mse", "medae", "mape", "pinball@0.9", "mean_prediction"]]
    assert known[["value", "lower", "upper"]].notna().all(axis=None)


# --------------------------------------------------------------------------------------------------
# scorers, displays, the comparison
# --------------------------------------------------------------------------------------------------


class Predicts:
    """Predicts what it was given."""

    def __init__(self, y_pred):
        self.y_pred = y_pred

    def predict(self, X):
        return self.y_pred


@pytest.mark.parametrize("outputs", [(), (3,)])
@pytest.mark.parametrize("name", MEASURES)
def test_scores_are_aggregates_of_the_groups_with_greater_being_better(name, outputs):
    y_true, y_pred, groups, weights = draw(outputs=outputs)
    best = find(name).best
    values = np.array(
        [
            by_hand(name, y_true[own], y_pred[own], weights[own])
            for own in (groups == group for group in ("dark", "bright", "grey"))
        ]
    )
    if best == "zero":
        values = np.abs(values)
    expected = {"difference": -np.ptp(values)}
    if best != "none":
        sign = 1 if best == "greater" else -1
        expected |= {"group_max": sign * values.max(), "group_min": sign * values.min()}
    if best in ("smaller", "none"):
        expected["ratio"] = values.min() / values.max()
    for aggregate in ("difference", "ratio", "group_max", "group_min"):
        if aggregate not in expected:
            with pytest.raises(ValueError, match=f"{aggregate}' .*'{name}'"):
                make_group_scorer(name, aggregate)
            continue
        score = make_group_scorer(name, aggregate)(
            Predicts(y_pred), None, y_true, sensitive_features=groups, sample_weight=weights
        )
        assert score == pytest.approx(expected[aggregate], rel=1e-12)


@pytest.mark.parametrize("name", [n for n in MEASURES if find(n).best in ("smaller", "greater")])
def test_the_better_model_has_the_greater_score(name):
    y_true, _, groups, _ = draw()
    noise = np.random.default_rng(1).normal(size=60)
    scores = [
        make_group_scorer(name, aggregate)(
            Predicts(y_true + size * noise), None, y_true, sensitive_features=groups
        )
        for aggregate in ("group_max", "group_min")
        for size in (0.1, 10.0)
    ]
    assert scores[0] > scores[1]
    assert scores[2] > scores[3]


def test_a_search_takes_the_new_names():
    y_true, _, groups, _ = draw(90)
    X = np.column_stack([y_true, np.random.default_rng(0).normal(size=90)])
    scoring = {n: make_group_scorer(n, "group_max") for n in ("medae", "pinball@0.9", "r2")}
    with config_context(enable_metadata_routing=True):
        search = GridSearchCV(
            LinearRegression(),
            {"fit_intercept": [True, False]},
            scoring=scoring,
            refit="medae",
            error_score="raise",
        ).fit(X, y_true, sensitive_features=groups)
    assert np.isfinite(search.cv_results_["mean_test_pinball@0.9"]).all()


@pytest.mark.parametrize("name", MEASURES)
def test_a_display_of_groups_takes_every_name_and_shows_its_title(name):
    plt = pytest.importorskip("matplotlib.pyplot")
    y_true, y_pred, groups, _ = draw()
    display = GroupLossDisplay.from_predictions(
        y_true, y_pred, sensitive_features=groups, metric=name, n_boot=20, random_state=0
    )
    assert display.ax_.get_xlabel() == find(name).title
    expected = [
        by_hand(name, y_true[own], y_pred[own], np.ones(own.sum()))
        for own in (groups == group for group in display.groups)
    ]
    np.testing.assert_allclose(display.values, expected)
    plt.close(display.figure_)


def test_a_display_of_mixes_takes_the_new_names():
    plt = pytest.importorskip("matplotlib.pyplot")
    y_true, _, groups, weights = draw()
    options = {"sensitive_features": groups, "param_name": "alpha", "param_range": [0.1, 10.0]}
    display = LossMixDisplay.from_estimator(
        Ridge(), weights[:, None], y_true, **options, metric="medae", n_boot=20, random_state=0
    )
    assert display.ax_.get_ylabel() == "median absolute error"
    assert np.isfinite(display.by_group.to_numpy()).all()
    plt.close(display.figure_)


@pytest.mark.parametrize("name", MEASURES)
def test_a_tradeoff_takes_errors_and_refuses_what_is_none(name):
    plt = pytest.importorskip("matplotlib.pyplot")
    y_true, y_pred, groups, _ = draw()
    predictions = {"one": y_pred, "two": y_true + 1.5}
    options = {"sensitive_features": groups, "metric": name}
    if find(name).best != "smaller":
        with pytest.raises(ValueError, match=f"smaller being better, got '{name}'"):
            TradeoffDisplay.from_predictions(y_true, predictions, **options)
        return
    display = TradeoffDisplay.from_predictions(y_true, predictions, **options)
    expected = [by_hand(name, y_true, pred, np.ones(60)) for pred in predictions.values()]
    np.testing.assert_allclose(display.error, expected)
    plt.close(display.figure_)


@pytest.mark.parametrize("name", MEASURES)
def test_a_comparison_takes_every_metric_that_a_report_takes(name):
    y_true, _, _, weights = draw(120)
    X, groups = np.column_stack([y_true**2, weights[::-1]]), np.arange(120) % 2
    options = {"sensitive_features": groups, "loss_mixes": [0.0, 1.0], "cv": 3, "n_repeats": 1}
    options |= {"metrics": name, "sample_weight": weights, "random_state": 0}
    found = compare_loss_mixes(X, y_true, **options)
    for j in range(2):
        expected = by_hand(name, y_true, found.predictions[0, j], weights)
        assert found.overall["value"][j] == pytest.approx(expected, abs=1e-12)
    assert find(name).words in repr(found)


# --------------------------------------------------------------------------------------------------
# the table
# --------------------------------------------------------------------------------------------------

UNITS = {0: "none", 1: "that of y", 2: "its square"}
BETTER = {"smaller": "smaller", "greater": "greater", "zero": "nearer 0", "none": "-"}


def test_the_page_on_reports_has_the_table_of_names():
    page = (Path(__file__).parents[1] / "docs/reporting.md").read_text("utf-8")
    rows = re.findall(r"^\| `\"([\w@.]+)\"` \| (.+) \|$", page, re.M)
    shown = {name: [cell.strip() for cell in cells.split(" | ")] for name, cells in rows}
    examples = [family.example.name for family in FAMILIES.values()]
    assert list(shown) == known_names(lambda _: True) == [*TABLE, *examples]
    for name, (_, title, unit, better, ratio, compared) in shown.items():
        metric = find(name)
        assert title.replace("\\|", "|") == metric.title
        assert unit == UNITS[metric.power]
        assert better == BETTER[metric.best]
        assert ratio == ("yes" if metric.has_ratio else "no")
        assert compared == ("no" if name == "count" else "yes")


def test_the_docstring_of_the_frame_describes_every_name():
    text = group_metric_frame.__doc__
    for name in TABLE:
        assert re.search(rf"\b{name}: ", text), name
    for family, record in FAMILIES.items():
        assert re.search(rf"- {family}@", text)
        assert record.example.name in text
