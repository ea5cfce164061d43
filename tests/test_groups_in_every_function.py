"""Every function of groups tells them apart, keeps their order and takes a column by its name."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from enum import Enum
from fractions import Fraction

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn import config_context
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyRegressor
from sklearn.metrics import mean_absolute_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skfairloss import (
    PixelLossRegressor,
    PixelLossRegressorCV,
    compare_loss_mixes,
    group_report,
)
from skfairloss._inputs.groups import encode_groups
from skfairloss.displays import (
    GroupLossDisplay,
    LossMixDisplay,
    PixelGroupDisplay,
    TradeoffDisplay,
)
from skfairloss.metrics import group_metric_frame, make_group_scorer
from skfairloss.model_selection import loss_mix_path

N = 40
ROWS = np.arange(N)
X = np.random.default_rng(0).normal(size=(N, 2))
Y_TRUE, Y_PRED = np.zeros(N), (ROWS % 2).astype(float)  # the second of two groups is off by 1


@pytest.fixture(autouse=True)
def _agg():
    with mpl.rc_context({"backend": "agg"}):
        yield
        plt.close("all")


class _Bright(str, Enum):  # noqa: UP042  (str() of it is not its value)
    DARK = "Dark"
    BRIGHT = "Bright"


class _Tone(str):
    __slots__ = ()


def alternating(pair):
    return [pair[row % 2] for row in range(N)]


# Functions of groups that return the mean loss of each by its name, in the order of their tables.


def by_frame(groups):
    return group_metric_frame(Y_TRUE, Y_PRED, sensitive_features=groups).by_group["mae"].to_dict()


def by_controls(groups):
    frame = group_metric_frame(
        Y_TRUE, Y_PRED, sensitive_features=["all"] * N, control_features=groups
    )
    assert frame.overall["mae"].tolist() == frame.by_group["mae"].tolist()
    return frame.overall["mae"].to_dict()


def by_bootstrapped_frame(groups):
    frame = group_metric_frame(
        Y_TRUE,
        Y_PRED,
        sensitive_features=groups,
        metrics={"mae": mean_absolute_error},
        n_boot=5,
        ci_quantiles=[0.5],
        random_state=0,
    )
    return frame.by_group_ci[0]["mae"].to_dict()


def by_report(groups):
    report = group_report(Y_TRUE, Y_PRED, sensitive_features=groups, n_boot=None)
    table = report.to_frame().query("metric == 'mae' and statistic == 'by_group'")
    assert report.by_group["mae"].tolist() == table["value"].tolist()
    return dict(zip(table["group"], table["value"], strict=True))


def by_fit(groups):
    model = PixelLossRegressor(1.0).fit(0 * X, Y_PRED, sensitive_features=groups)
    losses = np.abs(Y_PRED - model.intercept_)
    own = encode_groups(groups)
    means = [losses[own.codes == g].mean() for g in range(own.n_groups)]
    np.testing.assert_allclose(model.group_losses_, means)
    at_prediction = [Y_PRED[own.codes == g].mean() for g in range(own.n_groups)]
    return dict(zip(own.labels, at_prediction, strict=True))


def by_path(groups):
    path = loss_mix_path(0 * X, Y_PRED, loss_mixes=[0, 1], sensitive_features=groups)
    assert path.group_losses.shape == (2, 2)
    return by_fit(groups)


def by_display(groups):
    display = GroupLossDisplay.from_predictions(
        Y_TRUE, Y_PRED, sensitive_features=groups, n_boot=None
    )
    return dict(zip(display.groups, display.values, strict=True))


def by_images(groups):
    display = PixelGroupDisplay.pick(
        Y_TRUE[:, None], Y_PRED[:, None], sensitive_features=groups, image_shape=(1, 1)
    )
    return dict(zip(display.groups, display.error.ravel(), strict=True))


FUNCTIONS = [
    by_frame,
    by_controls,
    by_bootstrapped_frame,
    by_report,
    by_fit,
    by_path,
    by_display,
    by_images,
]

EPS = np.finfo(np.longdouble).eps
APART = {
    "members of an Enum": [_Bright.DARK, _Bright.BRIGHT],
    "a subclass of str": [_Tone("dark"), "bright"],
    "beyond 2**53": [2**53 + 1, float(2**53)],
    "beyond 64 bits": [2**64, 2**64 + 1],
    "beyond int64": [2**63, -1],
    "a null character": ["a\0", "a"],
    "bytes and str": [b"a", "a"],
    "bytes with a null": [b"a\0", b"a"],
    "int and str": [1, "1"],
    "bool and str": [True, "True"],
    "Decimal and float": [Decimal("0.1"), 0.1],
    "Fraction and float": [Fraction(1, 3), 1 / 3],
    "float32 and float": [np.float32(0.1), 0.1],
    "date and datetime": [dt.date(2020, 1, 1), dt.datetime(2020, 1, 1)],
    "a date and a number": [np.datetime64("2020"), 1],
    "time zones": [pd.Timestamp("2020", tz="UTC"), pd.Timestamp("2020", tz="Europe/Berlin")],
    "frozensets": [frozenset("a"), frozenset("b")],
}


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("pair", APART.values(), ids=APART)
def test_values_that_python_tells_apart_are_two_groups(function, pair):
    found = function(alternating(pair))
    assert len(found) == 2
    assert {value: found[value] for value in pair} == {pair[0]: 0.0, pair[1]: 1.0}


@pytest.mark.parametrize("function", [by_frame, by_report, by_fit, by_path, by_display])
@pytest.mark.parametrize("other", ["a", 0.5], ids=str)
def test_values_of_a_column_beside_others_stay_apart(function, other):
    rows = [[value, other] for value in alternating([2**53 + 1, 2**53])]
    assert function(rows) == {(2**53, other): 1.0, (2**53 + 1, other): 0.0}


@pytest.mark.skipif(np.finfo(float).eps == EPS, reason="long double is double here")
def test_long_doubles_that_are_equal_as_doubles_stay_apart():
    pair = np.array([1, 1 + EPS], dtype=np.longdouble)
    for function in FUNCTIONS:
        assert list(function(np.tile(pair, N // 2)).values()) == [0.0, 1.0]
        assert list(function(list(np.tile(pair, N // 2))).values()) == [0.0, 1.0]


@pytest.mark.parametrize(
    "equal", [[1, True], [1, 1.0], [0.0, -0.0], [Decimal(1), 1], ["a", _Tone("a")]], ids=str
)
def test_values_that_python_calls_equal_are_one_group_of_the_same_name(equal):
    found = encode_groups(alternating(equal))
    twin = encode_groups(alternating(equal[::-1]))
    assert found.n_groups == 1
    assert type(found.labels[0]) is type(twin.labels[0])


@pytest.mark.parametrize("routing", [True, False])
def test_scorer_comparison_and_search_tell_apart_what_reads_the_same(routing):
    groups = alternating([1, "1"])
    model = DummyRegressor(strategy="constant", constant=0.0).fit(X, Y_PRED)
    with config_context(enable_metadata_routing=True):
        scorer = make_group_scorer("mae", "difference")
    with config_context(enable_metadata_routing=routing):
        assert scorer(model, X, Y_PRED, sensitive_features=groups) == -1.0
        found = compare_loss_mixes(
            X, Y_PRED, sensitive_features=groups, loss_mixes=[0, 1], random_state=0
        )
        search = PixelLossRegressorCV([0.0, 1.0]).fit(X, Y_PRED, sensitive_features=groups)
    assert found.by_group["group"].tolist() == ["1", "'1'"] * 2
    assert found.by_group["count"].tolist() == [N // 2] * 4
    assert search.groups_.tolist() == [1, "1"]


# --------------------------------------------------------------------------------------------------
# Order and integer types
# --------------------------------------------------------------------------------------------------

LEVELS = ["zero", "low", "never", "high"]  # neither sorted nor all of them there
ORDERED = {
    "ordered": lambda v: pd.Categorical(v, LEVELS, ordered=True),
    "unordered": lambda v: pd.Categorical(v, LEVELS),
    "Series": lambda v: pd.Series(pd.Categorical(v, LEVELS, ordered=True), name="g"),
    "index": lambda v: pd.CategoricalIndex(v, LEVELS),
    "DataFrame": lambda v: pd.DataFrame({"g": pd.Categorical(v, LEVELS)}),
    "dict": lambda v: {"g": pd.Categorical(v, LEVELS)},
    "polars": lambda v: pl.Series(v, dtype=pl.Enum(LEVELS)),
    "polars frame": lambda v: pl.DataFrame({"g": pl.Series(v, dtype=pl.Enum(LEVELS))}),
}


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("container", ORDERED.values(), ids=ORDERED)
def test_groups_keep_the_order_of_their_categories(function, container):
    found = function(container(alternating(["low", "high"])))
    assert list(found.items()) == [("low", 0.0), ("high", 1.0)]


@pytest.mark.parametrize("container", ORDERED.values(), ids=ORDERED)
def test_missing_categories_are_refused_with_their_rows(container):
    with pytest.raises(ValueError, match=r"missing values in 1 of 4 rows, at position 2\."):
        encode_groups(container(["low", "high", None, "low"]))


def test_categories_of_numbers_and_intervals_keep_their_order():
    numbers = pd.Categorical(alternating([1, 10]), [10, 1])
    assert list(by_frame(numbers)) == [10, 1]
    ages = pd.cut(np.resize([7.0, 77.0], N), [0, 10, 100])
    assert [str(group) for group in by_report(ages)] == ["(0, 10]", "(10, 100]"]
    assert encode_groups(numbers).names.dtype.kind == "i"


def test_tables_of_several_columns_keep_the_order_of_each():
    size = pd.Categorical(np.resize(["low", "low", "high", "high"], N), LEVELS, ordered=True)
    kind = pl.Series(alternating(["b", "a"]), dtype=pl.Enum(["b", "a"]))
    features = {"size": size, "kind": kind}
    expected = [("low", "b"), ("low", "a"), ("high", "b"), ("high", "a")]
    assert encode_groups(features).labels == expected
    frame = group_metric_frame(Y_TRUE, Y_PRED, sensitive_features=features)
    assert frame.by_group.index.tolist() == expected
    assert frame.by_group["mae"].tolist() == [0.0, 1.0, 0.0, 1.0]
    assert frame.by_group.loc[("high", "a"), "mae"] == 1.0
    assert frame.by_group.index.names == ["size", "kind"]
    report = group_report(Y_TRUE, Y_PRED, sensitive_features=features, n_boot=3)
    table = report.to_frame().query("metric == 'mae' and statistic == 'by_group'")
    assert table["group"].tolist() == expected
    assert table["value"].tolist() == [0.0, 1.0, 0.0, 1.0]


def test_control_features_keep_their_order_in_every_aggregate():
    size = pd.Categorical(np.resize(["low", "low", "high", "high"], N), LEVELS)
    frame = group_metric_frame(
        Y_TRUE,
        Y_PRED * np.where(np.asarray(size) == "low", 1.0, 3.0),
        sensitive_features={"g": alternating(["b", "a"])},
        control_features=pd.Series(size, name="size"),
        metrics=lambda y_true, y_pred: float(np.abs(y_true - y_pred).mean()),
    )
    assert frame.by_group.to_dict() == {
        ("low", "a"): 1.0,
        ("low", "b"): 0.0,
        ("high", "a"): 3.0,
        ("high", "b"): 0.0,
    }
    assert list(frame.overall.items()) == [("low", 0.5), ("high", 1.5)]
    assert list(frame.difference().items()) == [("low", 1.0), ("high", 3.0)]
    assert list(frame.difference(method="to_overall").items()) == [("low", 0.5), ("high", 1.5)]
    assert list(frame.group_max().items()) == [("low", 1.0), ("high", 3.0)]
    assert list(frame.ratio().items()) == [("low", 0.0), ("high", 0.0)]
    assert frame.ratio(method="to_overall").index.tolist() == ["low", "high"]


def test_combinations_that_do_not_occur_keep_their_place_and_are_nan():
    size = pd.Categorical(np.resize(["low", "high"], N), LEVELS)
    kind = alternating(["b", "a"])
    frame = group_metric_frame(Y_TRUE, Y_PRED, sensitive_features={"size": size, "kind": kind})
    expected = [("low", "a"), ("low", "b"), ("high", "a"), ("high", "b")]
    assert frame.by_group.index.tolist() == expected
    np.testing.assert_array_equal(frame.by_group["mae"], [np.nan, 0.0, 1.0, np.nan])
    report = group_report(Y_TRUE, Y_PRED, sensitive_features={"s": size, "k": kind}, n_boot=None)
    table = report.to_frame().query("metric == 'mae' and statistic == 'by_group'")
    assert table["group"].tolist() == [("low", "b"), ("high", "a")]
    assert table["value"].tolist() == [0.0, 1.0]


def test_the_comparison_shows_groups_in_the_order_of_their_categories():
    groups = pd.Categorical(alternating(["low", "high"]), LEVELS, ordered=True)
    found = compare_loss_mixes(
        X, Y_PRED, sensitive_features=groups, loss_mixes=[0, 1], random_state=0
    )
    assert found.by_group["group"].tolist() == ["low", "high"] * 2
    assert found.differences["group"].dropna().tolist() == ["low", "high"]
    assert str(found).index("low") < str(found).index("high")


INTEGERS = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", ">i2", ">i8", ">u8"]


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_at_the_ends_of_their_type_are_groups(function, dtype):
    ends = np.iinfo(dtype)
    for pair in ([ends.min, ends.max], [ends.max - 1, ends.max], [ends.min, ends.min + 1]):
        found = function(np.tile(np.array(pair, dtype), N // 2))
        assert list(found.items()) == [(pair[0], 0.0), (pair[1], 1.0)]


def test_a_range_wider_than_the_type_tells_does_not_overflow():
    groups = encode_groups(np.tile(np.array([-100, 100], np.int8), 150))
    assert groups.names.tolist() == [-100, 100]
    assert groups.names.dtype == np.int8
    assert groups.codes.tolist() == [0, 1] * 150
    every = np.tile(np.arange(-(2**15), 2**15, dtype=np.int16)[::-1], 3)
    groups = encode_groups(every)
    np.testing.assert_array_equal(groups.names[groups.codes], every)
    assert groups.n_groups == 2**16


@pytest.mark.parametrize("dtype", [">f8", ">U4", ">M8[D]", ">m8[h]", ">c16", "f2"])
def test_every_byte_order_and_width_is_reported(dtype):
    pair = np.array([1, 2]).astype("i8").astype(dtype)
    for function in (by_frame, by_report, by_fit, by_images):
        assert list(function(np.tile(pair, N // 2)).values()) == [0.0, 1.0]


class _Arrow:
    """An array of strings as pyarrow has them: to_numpy fails unless a copy is allowed."""

    def __init__(self, values):
        self.values = values

    def to_numpy(self):
        raise ValueError("Needed to copy 1 chunks with 0 nulls, but zero_copy_only was True")

    def to_pylist(self):
        return self.values


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(
    "container",
    [_Arrow, lambda v: {"g": v}, lambda v: {"g": _Arrow(v)}, pd.Index, pd.array, tuple, pl.Series],
    ids=["pyarrow", "dict", "dict of pyarrow", "Index", "extension array", "tuple", "polars"],
)
def test_every_container_of_groups_gives_the_same_losses(function, container):
    assert function(container(alternating(["b", "a"]))) == {"a": 1.0, "b": 0.0}


# --------------------------------------------------------------------------------------------------
# Columns of X by their names
# --------------------------------------------------------------------------------------------------

TABLE = {"u": X[:, 0], "sex": ROWS % 2, "age": ROWS // 20}


def outcome(call):
    """What a call with groups finds."""
    return np.concatenate([np.ravel(value) for value in call])


def fit(table, groups):
    return [PixelLossRegressor().fit(table, Y_PRED, sensitive_features=groups).group_losses_]


def path(table, groups):
    return [loss_mix_path(table, Y_PRED, sensitive_features=groups).group_losses]


def search(table, groups):
    model = PixelLossRegressorCV([0.0, 1.0], cv=2).fit(table, Y_PRED, sensitive_features=groups)
    return [model.group_losses_, model.cv_results_["mean_test_score"]]


def comparison(table, groups):
    found = compare_loss_mixes(
        table, Y_PRED, sensitive_features=groups, loss_mixes=[0, 1], random_state=0
    )
    return [found.by_group["value"]]


def scored(table, groups):
    with config_context(enable_metadata_routing=True):
        scorer = make_group_scorer("mae")
    model = PixelLossRegressor().fit(table, Y_PRED)
    return [scorer(model, table, Y_TRUE, sensitive_features=groups)]


def drawn(table, groups):
    model = PixelLossRegressor().fit(table, Y_PRED)
    display = GroupLossDisplay.from_estimator(
        model, table, Y_TRUE, sensitive_features=groups, n_boot=None
    )
    return [display.values]


def images(table, groups):
    model = PixelLossRegressor().fit(table, Y_PRED)
    display = PixelGroupDisplay.from_estimator(
        model, table, Y_TRUE, sensitive_features=groups, image_shape=(1, 1)
    )
    return [display.error]


def mixes(table, groups):
    display = LossMixDisplay.from_estimator(
        PixelLossRegressor(),
        table,
        Y_PRED,
        sensitive_features=groups,
        cv=2,
        n_boot=None,
        random_state=0,
    )
    return [display.by_group]


def tradeoff(table, groups):
    display = TradeoffDisplay.from_estimator(
        PixelLossRegressor(),
        table,
        Y_PRED,
        sensitive_features=groups,
        cv=2,
        random_state=0,
        param_range=[0.0, 1.0],
    )
    return [display.disparity]


WITH_X = [fit, path, search, comparison, scored, drawn, images, mixes, tradeoff]


@pytest.mark.parametrize("call", WITH_X)
@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize("names", ["sex", ["sex"], ["sex", "age"], ("age", "sex")], ids=str)
def test_names_of_columns_are_the_columns(call, frame, names):
    table = frame(TABLE)
    columns = table[names if isinstance(names, str) else list(names)]
    np.testing.assert_array_equal(outcome(call(table, names)), outcome(call(table, columns)))


@pytest.mark.parametrize("call", WITH_X)
def test_a_name_that_x_does_not_have_is_refused_with_those_it_has(call):
    message = r"X has no columns \['tone'\], it has \['u', 'sex', 'age'\].*groups themselves"
    for names in ("tone", ["sex", "tone"]):
        with pytest.raises(ValueError, match=message):
            call(pd.DataFrame(TABLE), names)


@pytest.mark.parametrize("call", WITH_X)
def test_a_name_without_a_data_frame_is_refused_with_what_to_write(call):
    table = np.column_stack(list(TABLE.values()))
    message = r"'sex' names columns of X.*DataFrame, got ndarray.*table\['sex'\].*step__sensitive"
    with pytest.raises(ValueError, match=message):
        call(table, "sex")
    with pytest.raises(ValueError, match=r"table\[\['sex', 'age'\]\]"):
        call(table, ["sex", "age"])


def test_two_columns_of_one_name_are_refused():
    twice = pd.DataFrame(X, columns=["sex", "sex"])
    with pytest.raises(ValueError, match=r"several columns of one name among \['sex'\]"):
        fit(twice, "sex")


def test_as_many_strings_as_rows_are_the_groups_even_where_they_are_names():
    table = pd.DataFrame({"a": [0.0, 1.0], "b": [1.0, 1.0]})
    model = PixelLossRegressor().fit(table, [0.0, 1.0], sensitive_features=["a", "b"])
    assert model.groups_.tolist() == ["a", "b"]


def test_a_column_that_is_named_stays_a_feature_and_text_needs_an_encoding():
    table = pd.DataFrame(TABLE)
    model = PixelLossRegressor().fit(table, Y_PRED, sensitive_features="sex")
    assert model.feature_names_in_.tolist() == ["u", "sex", "age"]
    words = table.assign(sex=np.where(ROWS % 2, "f", "m"))
    message = r"column 'sex' of X must hold numbers: could not convert string to float: 'm'"
    for frame in (words, pl.DataFrame({name: words[name].tolist() for name in words})):
        with pytest.raises(ValueError, match=message):
            fit(frame, "sex")
    columns = make_column_transformer((StandardScaler(), ["u", "age"]), (OneHotEncoder(), ["sex"]))
    found = compare_loss_mixes(
        words,
        Y_PRED,
        sensitive_features="sex",
        loss_mixes=[0, 1],
        estimator=make_pipeline(columns, PixelLossRegressor()),
        random_state=0,
    )
    assert found.by_group["group"].tolist() == ["f", "m"] * 2


@pytest.mark.parametrize("routing", [True, False])
def test_a_name_in_a_pipeline_says_what_to_write_there(routing):
    table = pd.DataFrame(TABLE)
    pipe = make_pipeline(StandardScaler(), PixelLossRegressor())
    name = "sensitive_features" if routing else "pixellossregressor__sensitive_features"
    with config_context(enable_metadata_routing=routing):
        with pytest.raises(ValueError, match=r"step of a Pipeline.*table\['sex'\], or without"):
            pipe.fit(table, Y_PRED, **{name: "sex"})
        model = pipe.fit(table, Y_PRED, **{name: table["sex"]})[-1]
    assert model.groups_.tolist() == [0, 1]


@pytest.mark.parametrize("function", [group_metric_frame, group_report])
def test_a_name_without_x_is_refused_with_what_to_write(function):
    with pytest.raises(TypeError, match=r"got 'sex' of type str: a name of a column needs X, here"):
        function(Y_TRUE, Y_PRED, sensitive_features="sex")
