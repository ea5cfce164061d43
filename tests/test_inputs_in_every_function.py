"""Every function refuses dates, text and rows in another order by the name of the argument."""

from __future__ import annotations

import datetime as dt
from functools import partial

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn import config_context
from sklearn.dummy import DummyRegressor

from skfairloss import PixelLossRegressor, PixelLossRegressorCV, compare_loss_mixes, group_report
from skfairloss.displays import (
    GroupLossDisplay,
    LossMixDisplay,
    PixelGroupDisplay,
    TradeoffDisplay,
)
from skfairloss.metrics import group_metric_frame, make_group_scorer, pixel_loss
from skfairloss.model_selection import loss_mix_path

N = 12
X = np.random.default_rng(0).normal(size=(N, 2))
Y = X[:, 0] + np.arange(N) % 2
GROUPS = ["u", "v"] * (N // 2)
WEIGHTS = np.ones(N)


@pytest.fixture(autouse=True)
def _agg():
    with mpl.rc_context({"backend": "agg"}):
        yield
        plt.close("all")


# Calls with X and y, with predictions, and both by the names of their arguments.


def fit(X=X, y=Y, sample_weight=None, sensitive_features=None):
    PixelLossRegressor().fit(
        X, y, sample_weight=sample_weight, sensitive_features=sensitive_features
    )


def search(X=X, y=Y, sample_weight=None, sensitive_features=None):
    PixelLossRegressorCV([0.0], cv=2).fit(
        X, y, sample_weight=sample_weight, sensitive_features=sensitive_features
    )


def path(X=X, y=Y, sample_weight=None, sensitive_features=None):
    loss_mix_path(X, y, sample_weight=sample_weight, sensitive_features=sensitive_features)


def comparison(X=X, y=Y, sample_weight=None, sensitive_features=GROUPS):
    compare_loss_mixes(
        X,
        y,
        sample_weight=sample_weight,
        sensitive_features=sensitive_features,
        loss_mixes=[0, 1],
        cv=3,
        n_repeats=1,
        random_state=0,
    )


def score(X=X, y=Y, sample_weight=None):
    PixelLossRegressor().fit(np.zeros((N, 2)), Y).score(X, y, sample_weight)


def score_of_search(X=X, y=Y, sample_weight=None):
    PixelLossRegressorCV([0.0], cv=2).fit(np.zeros((N, 2)), Y).score(X, y, sample_weight)


def scorer(X=X, y=Y, sample_weight=None, sensitive_features=GROUPS):
    with config_context(enable_metadata_routing=True):
        own = make_group_scorer()
    model = DummyRegressor().fit(np.zeros((N, 2)), Y)
    own(model, X, y, sample_weight=sample_weight, sensitive_features=sensitive_features)


def _display(draw, X=X, y=Y, sensitive_features=GROUPS):
    model = DummyRegressor().fit(np.zeros((N, 2)), Y)
    draw(model, X, y, sensitive_features=sensitive_features)


losses = partial(_display, partial(GroupLossDisplay.from_estimator, n_boot=None))
images = partial(_display, partial(PixelGroupDisplay.from_estimator, image_shape=(1, 1)))


def mixes(X=X, y=Y, sample_weight=None, sensitive_features=GROUPS):
    options = {"sample_weight": sample_weight, "cv": 2, "n_boot": None, "random_state": 0}
    LossMixDisplay.from_estimator(
        PixelLossRegressor(), X, y, sensitive_features=sensitive_features, **options
    )


def tradeoff(X=X, y=Y, sample_weight=None, sensitive_features=GROUPS):
    options = {"sample_weight": sample_weight, "cv": 2, "random_state": 0}
    TradeoffDisplay.from_estimator(
        PixelLossRegressor(), X, y, sensitive_features=sensitive_features, **options
    )


def frame(y_true=Y, y_pred=Y, sample_weight=None, sensitive_features=GROUPS):
    group_metric_frame(
        y_true, y_pred, sample_weight=sample_weight, sensitive_features=sensitive_features
    )


def controlled(y_true=Y, y_pred=Y, sample_weight=None, control_features=GROUPS):
    group_metric_frame(
        y_true,
        y_pred,
        sample_weight=sample_weight,
        sensitive_features=GROUPS,
        control_features=control_features,
    )


def report(y_true=Y, y_pred=Y, sample_weight=None, sensitive_features=GROUPS):
    group_report(
        y_true,
        y_pred,
        sample_weight=sample_weight,
        sensitive_features=sensitive_features,
        n_boot=None,
    )


def drawn(y_true=Y, y_pred=Y, sample_weight=None, sensitive_features=GROUPS):
    GroupLossDisplay.from_predictions(
        y_true,
        y_pred,
        sample_weight=sample_weight,
        sensitive_features=sensitive_features,
        n_boot=None,
    )


def picked(y_true=Y, y_pred=Y, sample_weight=None, sensitive_features=GROUPS):
    PixelGroupDisplay.from_predictions(
        y_true,
        y_pred,
        sample_weight=sample_weight,
        sensitive_features=sensitive_features,
        image_shape=(1, 1),
    )


def loss(y_true=Y, y_pred=Y, sample_weight=None):
    pixel_loss(y_true, y_pred, sample_weight=sample_weight)


OF_MODELS = [fit, search, path, comparison, score, score_of_search, scorer, mixes, tradeoff]
OF_PREDICTIONS = [frame, controlled, report, drawn, picked, loss]
CALLS = dict.fromkeys(OF_MODELS, ("X", "y", "sample_weight"))
CALLS |= {losses: ("X", "y"), images: ("X", "y")}
CALLS |= dict.fromkeys(OF_PREDICTIONS, ("y_true", "y_pred", "sample_weight"))


def name_of(call):
    return getattr(call, "__name__", None) or call.args[0].func.__self__.__name__


CASES = [
    pytest.param(call, name, id=f"{name_of(call)}-{name}")
    for call, names in CALLS.items()
    for name in names
    if not (name == "X" and call in (scorer, losses, images))  # they hand X on to any estimator
]

# --------------------------------------------------------------------------------------------------
# Dates and durations
# --------------------------------------------------------------------------------------------------

DAYS = np.arange(N).astype("m8[D]") + np.datetime64("2020-01-01")
HOURS = np.arange(N).astype("m8[h]")
MISSING = [None, *range(1, N)]
TIMES = {
    "datetime64": DAYS,
    "timedelta64": HOURS,
    "NaT": np.where(np.arange(N) == 3, np.timedelta64("NaT", "h"), HOURS),
    "Series of durations with a missing one": pd.Series(pd.to_timedelta(MISSING, unit="h")),
    "Series of dates": pd.Series(DAYS),
    "Series with a time zone": pd.Series(DAYS).dt.tz_localize("UTC"),
    "Series of periods": pd.Series(pd.period_range("2020", periods=N, freq="D")),
    "objects": pd.Series([dt.date(2020, 1, day) for day in range(1, N + 1)], dtype=object),
    "durations as objects": pd.Series([dt.timedelta(day) for day in range(N)], dtype=object),
    "Timestamps as objects": pd.Series(list(pd.Series(DAYS)), dtype=object),
    "NaT as an object": pd.Series([1.0] * (N - 1) + [pd.NaT], dtype=object),
    "one date among numbers": [*range(N - 1), np.datetime64("2020")],
    "polars dates": pl.Series(DAYS.astype(object).tolist()),
    "polars durations": pl.Series([dt.timedelta(day) for day in range(N)]),
    "list": [dt.datetime(2020, 1, day) for day in range(1, N + 1)],
}


def as_table(times):
    """Features of which one is a time, in a table of its own kind."""
    if isinstance(times, pl.Series):
        return pl.DataFrame({"x": X[:, 0], "when": times})
    if isinstance(times, pd.Series):
        return pd.DataFrame({"x": X[:, 0], "when": times})
    if isinstance(times, np.ndarray):
        return times[:, None]
    return [[time] for time in times]


@pytest.mark.parametrize(("call", "name"), CASES)
@pytest.mark.parametrize("times", TIMES.values(), ids=TIMES)
def test_dates_and_durations_are_refused_by_name(call, name, times):
    where, value = name, times
    if name == "X":
        value = as_table(times)
        where = "column 'when' of X" if hasattr(value, "columns") else "X"
    with pytest.raises(ValueError, match=rf"^{where} must hold numbers, got .*np\.timedelta64\("):
        call(**{name: value})


@pytest.mark.parametrize("times", [DAYS[:, None], pd.DataFrame({"when": DAYS})])
def test_dates_are_refused_in_prediction(times):
    model = PixelLossRegressor().fit(X[:, :1], Y)
    with pytest.raises(ValueError, match=r"X must hold numbers, got dtype datetime64"):
        model.predict(times)


def test_durations_in_a_unit_are_numbers():
    hours = pd.Series(HOURS) / np.timedelta64(1, "h")
    model = PixelLossRegressor(0.0).fit(np.arange(N)[:, None], hours)
    assert model.coef_ == pytest.approx([1.0])


# --------------------------------------------------------------------------------------------------
# Text
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("call", "name"), CASES)
@pytest.mark.parametrize("kind", [list, np.array, pd.Series, pl.Series])
def test_text_is_refused_by_name(call, name, kind):
    words = kind(["dark", "bright"] * (N // 2))
    where = name
    if name == "X":
        words = pd.DataFrame({"x": X[:, 0], "tone": list(words)})
        where = "column 'tone' of X"
    with pytest.raises(ValueError, match=rf"^{where} must hold numbers: .*'dark'"):
        call(**{name: words})


# --------------------------------------------------------------------------------------------------
# Weights
# --------------------------------------------------------------------------------------------------

WEIGHED = [c for c, names in CALLS.items() if "sample_weight" in names]
WEIGHED = [c for c in WEIGHED if c not in (score, score_of_search)]  # scikit-learn's R²
BAD_WEIGHTS = {
    "another length": np.ones(N - 1),
    "a column": np.ones((N, 1)),
    "NaN": np.where(np.arange(N) == 3, np.nan, 1.0),
    "infinite": np.where(np.arange(N) == 3, np.inf, 1.0),
    "negative": np.where(np.arange(N) == 3, -0.5, 1.0),
    "zero": np.zeros(N),
    "complex": np.ones(N) + 0j,
    "masked": np.ma.masked_equal(np.arange(N), 2),
}


def error_of(call, weights):
    with pytest.raises((TypeError, ValueError), match=r"^sample_weight must ") as caught:
        call(sample_weight=weights)
    return type(caught.value), str(caught.value)


@pytest.mark.parametrize("call", WEIGHED, ids=name_of)
@pytest.mark.parametrize("weights", BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
def test_bad_weights_are_refused_in_the_same_words_everywhere(call, weights):
    kind, text = error_of(call, weights)
    expected, words = error_of(fit, weights)
    assert kind is expected
    assert text.partition(" (loss_mix=")[0] == words  # a run of fits adds the place


def test_one_weight_for_all_rows_is_no_weight():
    found, plain = (
        group_metric_frame(Y, X[:, 1], sensitive_features=GROUPS, sample_weight=weight)
        for weight in (2.0, None)
    )
    pd.testing.assert_frame_equal(found.by_group, plain.by_group)
    assert pixel_loss(Y, X[:, 1], sample_weight=2.0) == pytest.approx(pixel_loss(Y, X[:, 1]))


# --------------------------------------------------------------------------------------------------
# Rows in another order
# --------------------------------------------------------------------------------------------------

ORDER = np.random.default_rng(1).permutation(N)
PAIRS = [
    pytest.param(call, first, second, id=f"{name_of(call)}-{first}-{second}")
    for call, names in CALLS.items()
    for first in names
    for second in names
    if first < second
]


def pandas_of(name, index):
    """The argument with an index."""
    if name == "X":
        return pd.DataFrame(X, columns=["a", "b"], index=index)
    return pd.Series(WEIGHTS if name == "sample_weight" else Y, index=index)


@pytest.mark.parametrize(("call", "first", "second"), PAIRS)
@pytest.mark.filterwarnings("ignore:X has feature names")
def test_two_pandas_arguments_in_another_order_are_refused_by_their_names(call, first, second):
    arguments = {first: pandas_of(first, range(N)), second: pandas_of(second, ORDER)}
    message = rf"the index of ({first}|{second}) differs from that of ({first}|{second}): align"
    with pytest.raises(ValueError, match=message):
        call(**arguments)
    call(**{first: pandas_of(first, ORDER), second: pandas_of(second, ORDER)})
    call(**{first: pandas_of(first, range(N)), second: pandas_of(second, ORDER).to_numpy()})


@pytest.mark.parametrize("call", [*OF_MODELS, *OF_PREDICTIONS, losses, images])
@pytest.mark.filterwarnings("ignore:X has feature names")
def test_a_shuffled_argument_among_arrays_is_matched_by_position(call):
    for name in CALLS[call]:
        call(**{name: pandas_of(name, ORDER)})


@pytest.mark.parametrize("call", [c for c in CALLS if c not in (score, score_of_search, loss)])
@pytest.mark.filterwarnings("ignore:X has feature names")
def test_groups_in_another_order_than_any_other_argument_are_refused(call):
    groups = "control_features" if call is controlled else "sensitive_features"
    for name in CALLS[call]:
        arguments = {name: pandas_of(name, range(N)), groups: pd.Series(GROUPS, index=ORDER)}
        with pytest.raises(ValueError, match=r"index of .* differs from that of"):
            call(**arguments)


# --------------------------------------------------------------------------------------------------
# Metrics that are no functions of predictions, and starts that are no numbers
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", [max, len, sorted])
def test_a_built_in_function_as_metric_is_refused_by_its_name(metric):
    message = rf"metric\(y_true, y_pred\), got <built-in function {metric.__name__}>"
    for call in (
        partial(group_metric_frame, Y, Y, sensitive_features=GROUPS, metrics=metric),
        partial(group_metric_frame, Y, Y, sensitive_features=GROUPS, metrics={"own": metric}),
        partial(group_report, Y, Y, sensitive_features=GROUPS, metrics={"own": metric}),
        partial(compare_loss_mixes, X, Y, sensitive_features=GROUPS, metrics=metric, cv=3),
        partial(make_group_scorer, metric, greater_is_better=False, sensitive_features="g"),
        partial(GroupLossDisplay.from_predictions, Y, Y, sensitive_features=GROUPS, metric=metric),
    ):
        with pytest.raises(TypeError, match=message):
            call()


@pytest.mark.parametrize("loss_mix", [0.5, 1.0])
@pytest.mark.parametrize("spoilt", ["coef_", "intercept_"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("outputs", [1, 2])
def test_a_warm_start_from_numbers_that_are_not_finite_starts_afresh(
    loss_mix, spoilt, value, outputs
):
    y = Y if outputs == 1 else np.column_stack([Y, Y**2])
    fresh = PixelLossRegressor(loss_mix).fit(X, y)
    model = PixelLossRegressor(loss_mix, warm_start=True).fit(X, y)
    broken = np.array(getattr(model, spoilt), dtype=float)
    broken.flat[0] = value
    setattr(model, spoilt, broken)
    model.fit(X, y)
    np.testing.assert_allclose(model.coef_, fresh.coef_, rtol=1e-9)
    np.testing.assert_allclose(model.intercept_, fresh.intercept_, rtol=1e-9)
    assert np.all(model.dual_gap_ <= 1e-8 * model.objective_)
