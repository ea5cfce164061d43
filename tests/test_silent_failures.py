"""Ways tried to get a NaN disparity, shuffled groups or a silently plain fit: each is heard.

Not among them, because nothing that reaches us tells right from wrong: arrays in another order than
the rows of X. Give pandas objects, whose indices are compared.
"""

from __future__ import annotations

import pickle
import warnings
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn import config_context
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.compose import make_column_transformer
from sklearn.ensemble import AdaBoostRegressor
from sklearn.exceptions import FitFailedWarning, UnsetMetadataPassedError
from sklearn.feature_selection import SequentialFeatureSelector
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skfairloss import PixelLossRegressor
from skfairloss.metrics import group_metric_frame, make_group_scorer

RNG = np.random.default_rng(0)
N = 48
GROUPS = np.where(np.arange(N) % 3 == 0, "b", "a")
X = RNG.normal(size=(N, 2))
Y = X @ [1.0, -2.0] + RNG.normal(size=N) * np.where(GROUPS == "b", 2.0, 0.5)
FRAME = pd.DataFrame(X, columns=["u", "v"]).assign(group=(GROUPS == "b").astype(int))
GRID = {"alpha": [0.0, 0.1]}


@pytest.fixture(params=[True, False], ids=["routing on", "routing off"])
def either(request):
    with config_context(enable_metadata_routing=request.param):
        yield request.param


@pytest.fixture
def routing():
    with config_context(enable_metadata_routing=True):
        yield


class Predicts(RegressorMixin, BaseEstimator):
    """Predicts what the function makes of X."""

    def __init__(self, function):
        self.function = function

    def fit(self, X, y):
        return self

    def predict(self, X):
        return self.function(X)


def score(sensitive_features, y_true=None, y_pred=None, metric="mae", **options):
    """A group score with metadata routing on."""
    y_true = np.arange(float(len(sensitive_features))) if y_true is None else y_true
    y_pred = np.square(y_true) if y_pred is None else y_pred
    weight = options.pop("sample_weight", None)
    with config_context(enable_metadata_routing=True):
        scorer = make_group_scorer(metric, **options)
    return scorer(
        Predicts(lambda _: y_pred),
        None,
        y_true,
        sensitive_features=sensitive_features,
        sample_weight=weight,
    )


def fit(sensitive_features, **arguments):
    return PixelLossRegressor().fit(
        **{"X": X, "y": Y, **arguments}, sensitive_features=sensitive_features
    )


def warned(call, *args, **kwargs) -> str:
    """What the call warns of; it does warn."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(*args, **kwargs)
    assert caught
    return "\n".join(str(warning.message) for warning in caught)


# --------------------------------------------------------------------------------------------------
# No NaN disparity
# --------------------------------------------------------------------------------------------------


def nan_of_single_rows(y_true, y_pred):
    """Undefined for one row, as R² is."""
    return np.nan if len(y_true) == 1 else float(np.mean(np.abs(y_true - y_pred)))


@pytest.mark.parametrize("aggregate", ["difference", "ratio", "group_max", "group_min"])
@pytest.mark.parametrize("groups", ["abb", "aabbbc"])
@pytest.mark.parametrize("undefined", [np.nan, np.inf, -np.inf])
def test_a_metric_that_is_no_number_for_one_group_is_an_error(aggregate, groups, undefined):
    def metric(y_true, y_pred):
        value = nan_of_single_rows(y_true, y_pred)
        return undefined if np.isnan(value) else value

    lone = next(group for group in groups if groups.count(group) == 1)
    with pytest.raises(ValueError, match=rf"metric is {undefined} for the group '{lone}'"):
        score(list(groups), metric=metric, aggregate=aggregate, greater_is_better=False)


def test_an_overall_value_that_is_no_number_is_an_error_where_it_is_used():
    options = {"metric": lambda t, p: 1.0 if len(t) == 2 else np.nan, "greater_is_better": True}
    assert score(list("aabb"), **options) == 0.0
    with pytest.raises(ValueError, match="difference of the groups' values is nan"):
        score(list("aabb"), method="to_overall", **options)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["y_true", "y_pred", "sample_weight"])
def test_numbers_that_are_not_finite_are_refused_by_name(name, value):
    arguments = {key: np.arange(4.0) for key in ("y_true", "y_pred", "sample_weight")}
    arguments[name][1] = value
    got = f"{value} in row 1" if name == "sample_weight" else "1 NaN or infinite"
    with pytest.raises(ValueError, match=rf"{name} must be finite, got {got}"):
        score(list("abab"), **arguments)
    with pytest.raises(ValueError, match=rf"{name} must be finite"):
        group_metric_frame(**arguments, sensitive_features=list("abab"))


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("y_true", ValueError, r"must be finite, got 1 .* position 2"),
        ("y_pred", ValueError, r"must be finite, got 1 .* position 2"),
        ("sample_weight", TypeError, "must not be a masked array"),
    ],
)
def test_masked_numbers_are_not_used(name, error, message):
    arguments = {key: np.arange(4.0) for key in ("y_true", "y_pred", "sample_weight")}
    arguments[name] = np.ma.masked_equal(np.arange(4), 2)
    with pytest.raises(error, match=f"{name} {message}"):
        score(list("abab"), **arguments)


def test_predictions_that_are_nan_are_an_error_of_the_search_or_a_warning(either):
    search = GridSearchCV(
        Predicts(lambda X: np.full(len(X), np.nan)),
        {},
        scoring=make_group_scorer(sensitive_features="group"),
        cv=2,
        error_score="raise",
    )
    with pytest.raises(ValueError, match="y_pred must be finite"):
        search.fit(FRAME, Y)
    messages = warned(search.set_params(error_score=np.nan).fit, FRAME, Y)
    assert "y_pred must be finite" in messages
    assert "test scores are non-finite" in messages


@pytest.mark.parametrize("y_pred", [np.zeros((4, 2)), np.zeros(3), np.zeros((2, 2)), []])
def test_predictions_of_another_shape_are_an_error(y_pred):
    with pytest.raises(ValueError, match="y_true and y_pred must have the same shape"):
        score(list("abab"), y_pred=y_pred)


def test_a_fold_without_rows_is_an_error(routing):
    cv = [(np.arange(N), np.array([], dtype=int))]
    search = GridSearchCV(
        PixelLossRegressor(), GRID, scoring=make_group_scorer(), cv=cv, error_score="raise"
    )
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        search.fit(X, Y, sensitive_features=GROUPS)
    with pytest.raises(ValueError, match="empty"):
        score([], y_true=[], y_pred=[])
    search.set_params(cv=[(np.array([], dtype=int), np.arange(N))])
    with pytest.raises(ValueError, match=r"0 sample\(s\)|sensitive_features is empty"):
        search.fit(X, Y, sensitive_features=GROUPS)


def test_one_group_in_a_fold_is_an_error_of_the_search_or_a_warning(routing):
    order = np.argsort(GROUPS)
    options = {"scoring": make_group_scorer(), "cv": KFold(3)}
    arguments = {"X": X[order], "y": Y[order], "sensitive_features": GROUPS[order]}
    search = GridSearchCV(PixelLossRegressor(), GRID, error_score="raise", **options)
    with pytest.raises(ValueError, match="sensitive_features has the group 'a' only"):
        search.fit(**arguments)
    messages = warned(search.set_params(error_score=np.nan).fit, **arguments)
    assert "sensitive_features has the group 'a' only" in messages


@pytest.mark.parametrize(
    ("features", "weight"),
    [
        (["a"] * 4, None),
        ([True] * 4, None),
        ([["a", 1]] * 4, None),
        (pd.Categorical(["a"] * 4, categories=["a", "b"]), None),
        (pl.Series(["a"] * 4, dtype=pl.Categorical), None),
        ([1, 1.0, True, 1], None),
        ([0.0, -0.0, 0.0, -0.0], None),
        (["a", "a", "b", "b"], [1.0, 1.0, 0.0, 0.0]),
    ],
    ids=str,
)
def test_a_single_group_is_not_parity(features, weight):
    with pytest.raises(ValueError, match=r"sensitive_features has the group .* only"):
        score(features, sample_weight=weight)


@pytest.mark.parametrize("listed", [["1", "2"], [1, "2"], [(1,), (2,)], [1, np.nan], [[1], [2]]])
def test_listed_groups_of_another_type_are_absent(listed):
    with pytest.raises(ValueError, match="are not among the groups scored"):
        score([1, 2, 1, 2], groups=listed)


def test_weights_of_zero_for_every_row_of_a_fold_are_an_error():
    with pytest.raises(ValueError, match="sample_weight must not be zero"):
        score(list("abab"), sample_weight=np.zeros(4))


def test_a_ratio_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="ratio is nan"):
        score(list("abab"), y_pred=np.arange(4.0), aggregate="ratio")


# --------------------------------------------------------------------------------------------------
# The scorer hears nothing of the groups
# --------------------------------------------------------------------------------------------------


def test_a_scorer_made_with_routing_on_is_not_silent_with_routing_off():
    with config_context(enable_metadata_routing=True):
        scorer = pickle.loads(pickle.dumps(make_group_scorer()))
    model = PixelLossRegressor()
    search = GridSearchCV(model, GRID, scoring=scorer, error_score="raise")
    with pytest.raises(ValueError, match=r"without sensitive_features: .*routing is off"):
        search.fit(X, Y, sensitive_features=GROUPS)
    with pytest.warns(UserWarning, match="called without sensitive_features"):
        assert np.isnan(cross_val_score(model, X, Y, scoring=scorer)).all()


def test_without_routing_and_column_a_scorer_says_what_to_do():
    remedy = r"enable_metadata_routing=True.*sensitive_features="
    with pytest.raises(ValueError, match=remedy):
        cross_val_score(
            PixelLossRegressor(), X, Y, scoring=make_group_scorer(), error_score="raise"
        )


def test_the_factory_in_place_of_a_scorer_is_an_error(either):
    with pytest.raises(TypeError, match="make_group_scorer"):
        cross_val_score(
            PixelLossRegressor(), X, Y, scoring=make_group_scorer, params={}, error_score="raise"
        )


def test_groups_that_are_not_passed_on_are_missed_by_the_scorer(routing):
    unrequested = make_group_scorer().set_score_request(sensitive_features=False)
    search = GridSearchCV(PixelLossRegressor(), GRID, scoring=unrequested, error_score="raise")
    with pytest.raises(ValueError, match="called without sensitive_features"):
        search.fit(X, Y, sensitive_features=GROUPS)
    undecided = make_group_scorer().set_score_request(sensitive_features=None)
    with pytest.raises(UnsetMetadataPassedError, match="sensitive_features"):
        search.set_params(scoring=undecided).fit(X, Y, sensitive_features=GROUPS)


def test_the_groups_of_cross_validation_are_not_the_sensitive_features():
    model = PixelLossRegressor()
    with (
        config_context(enable_metadata_routing=True),
        pytest.raises(TypeError, match=r"unexpected argument.*groups"),
    ):
        GridSearchCV(model, GRID).fit(X, Y, groups=GROUPS)
    with pytest.warns(UserWarning, match="groups parameter is ignored"):
        GridSearchCV(model, GRID).fit(X, Y, groups=GROUPS)


def test_a_column_that_is_not_in_x_is_an_error(either):
    scorer = make_group_scorer(sensitive_features="tone")
    call = partial(cross_val_score, PixelLossRegressor(), FRAME, Y, scoring=scorer, params={})
    with pytest.raises(ValueError, match=r"X has no columns \['tone'\], it has \['u', 'v', 'gr"):
        call(error_score="raise")
    messages = warned(call)
    assert "X has no columns ['tone']" in messages


@pytest.mark.parametrize("table", [X, X.tolist(), sp.csr_array(X)], ids=["array", "list", "sparse"])
def test_a_column_of_what_is_no_data_frame_is_an_error(either, table):
    scorer = make_group_scorer(sensitive_features="group")
    search = GridSearchCV(PixelLossRegressor(), GRID, scoring=scorer, error_score="raise")
    with pytest.raises(ValueError, match="X must be a pandas or polars DataFrame, got"):
        search.fit(table, Y)
    messages = warned(search.set_params(error_score=np.nan).fit, table, Y)
    assert "X must be a pandas or polars DataFrame, got" in messages


def test_a_selector_that_makes_arrays_of_the_frame_is_heard(either):
    scorer = make_group_scorer(sensitive_features="group")
    selector = SequentialFeatureSelector(
        LinearRegression(), n_features_to_select=1, scoring=scorer, cv=2
    )
    messages = warned(selector.fit, FRAME, Y)
    assert "X must be a pandas or polars DataFrame, got ndarray" in messages


def test_two_columns_of_one_name_are_an_error(either):
    twice = pd.concat([FRAME, 1 - FRAME[["group"]]], axis=1)
    model = PixelLossRegressor().fit(twice.to_numpy(), Y)
    with pytest.raises(ValueError, match=r"X has several columns of one name among \['group'\]"):
        make_group_scorer(sensitive_features="group")(model, twice, Y)


def test_a_column_that_the_pipeline_drops_is_still_read(either):
    table = FRAME.assign(group=GROUPS)
    model = make_pipeline(
        make_column_transformer((StandardScaler(), ["u", "v"])), PixelLossRegressor()
    ).fit(table, Y)
    frame = group_metric_frame(Y, model.predict(table), sensitive_features=GROUPS)
    gap = make_group_scorer(sensitive_features="group")(model, table, Y)
    assert gap == pytest.approx(-frame.difference()["mae"])
    assert gap < -0.1


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize(
    ("column", "message"),
    [
        ([None, "a"] * 24, r"column 'group', has missing values in 24 of 48 rows"),
        (np.linspace(0, 1, N).tolist(), "48 groups in 48 rows.*continuous"),
    ],
    ids=["missing", "continuous"],
)
def test_an_unusable_column_is_an_error(either, frame, column, message):
    table = frame({"u": X[:, 0], "group": column})
    model = Predicts(lambda table: np.zeros(len(table)))
    scorer = make_group_scorer(sensitive_features="group")
    with pytest.raises(ValueError, match=message):
        scorer(model, table, Y)


def test_tools_that_cannot_pass_the_groups_are_heard(routing):
    model = PixelLossRegressor().fit(X, Y)
    with pytest.raises(ValueError, match="called without sensitive_features"):
        permutation_importance(model, X, Y, scoring=make_group_scorer(), n_repeats=1)


# --------------------------------------------------------------------------------------------------
# No shuffled groups
# --------------------------------------------------------------------------------------------------

SHUFFLED = pd.Series(GROUPS).sample(frac=1, random_state=0)


@pytest.mark.parametrize("name", ["X", "y", "sample_weight"])
def test_an_index_in_another_order_is_an_error_of_the_fit(name):
    arguments = {"X": FRAME, "y": pd.Series(Y), "sample_weight": pd.Series(np.ones(N))}
    with pytest.raises(ValueError, match=f"sensitive_features differs from that of {name}"):
        fit(SHUFFLED, **{name: arguments[name]})


def test_an_index_in_another_order_is_an_error_of_scorer_and_table():
    y_true, y_pred = pd.Series(Y), pd.Series(Y + 1)
    weight = pd.Series(np.ones(N))
    for arguments, name in (
        ({"y_true": y_true, "y_pred": Y}, "y"),
        ({"y_true": Y, "y_pred": y_pred}, "y_pred"),
        ({"y_true": Y, "y_pred": Y, "sample_weight": weight}, "sample_weight"),
    ):
        with pytest.raises(ValueError, match=f"index of .* differs from that of {name}"):
            score(SHUFFLED, **arguments)
        with pytest.raises(ValueError, match=f"index of .* differs from that of {name}"):
            group_metric_frame(**arguments, sensitive_features=SHUFFLED)


def test_a_column_of_x_whose_index_is_not_that_of_y_is_an_error(either):
    scorer = make_group_scorer(sensitive_features="group")
    y = pd.Series(Y, index=SHUFFLED.index)
    with pytest.raises(ValueError, match="differs from that of y"):
        scorer(Predicts(lambda X: np.zeros(len(X))), FRAME, y)


def test_a_step_that_reorders_the_rows_is_heard(either):
    reorder = FunctionTransformer(lambda table: table.sort_values("u"))
    model = Pipeline([("reorder", reorder), ("model", PixelLossRegressor())])
    name = "sensitive_features" if either else "model__sensitive_features"
    with pytest.raises(ValueError, match="differs from that of X"):
        model.fit(FRAME, Y, **{name: pd.Series(GROUPS)})


def test_rows_that_were_dropped_from_x_alone_are_heard():
    kept = FRAME["u"] > 0
    table, y = FRAME[kept], Y[kept]
    assert 0 < len(table) < N
    with pytest.raises(ValueError, match="differs from that of X"):
        fit(pd.Series(GROUPS), X=table, y=y)
    with pytest.raises(ValueError, match=f"sensitive_features has {N} rows, expected {len(y)}"):
        fit(GROUPS, X=table, y=y)
    with pytest.raises(ValueError, match="differs from that of X"):
        fit(pd.Series(GROUPS[kept]), X=table, y=y)


@pytest.mark.parametrize("length", [N - 1, N + 1, 2 * N, 2])
def test_groups_of_another_length_are_an_error_in_every_fold(either, length):
    groups = np.resize(GROUPS, length)
    options = {"cv": 4, "params": {"sensitive_features": groups}}
    with pytest.raises(ValueError, match=f"sensitive_features has {length} rows, expected 36"):
        cross_validate(PixelLossRegressor(), X, Y, error_score="raise", **options)
    with pytest.raises(ValueError, match=rf"(?s)All the 4 fits failed.*has {length} rows"):
        cross_validate(PixelLossRegressor(), X, Y, **options)


def test_groups_exactly_as_long_as_a_training_fold_are_heard(either):
    # scikit-learn hands them on uncut: to the refit, too, and to a scorer
    name = "sensitive_features"
    groups = GROUPS[: N // 2]
    search = GridSearchCV(PixelLossRegressor(), GRID, cv=2)
    with pytest.raises(ValueError, match=f"{name} has {N // 2} rows, expected {N}"):
        search.fit(X, Y, **{name: groups})
    with pytest.raises(ValueError, match="differs from that of y"):
        cross_validate(
            PixelLossRegressor(),
            X,
            pd.Series(Y),
            params={name: pd.Series(groups)},
            cv=2,
            error_score="raise",
        )


def test_a_shuffled_series_among_arrays_is_a_warning(either):
    with pytest.warns(UserWarning, match="not in ascending order"):
        fit(SHUFFLED)
    with pytest.warns(UserWarning, match="not in ascending order"):
        group_metric_frame(Y, Y + 1, sensitive_features=SHUFFLED)
    name = "sensitive_features" if either else "model__sensitive_features"
    pipe = Pipeline([("scale", StandardScaler()), ("model", PixelLossRegressor())])
    with pytest.warns(UserWarning, match="not in ascending order"):
        pipe.fit(FRAME, Y, **{name: SHUFFLED})


def test_groups_that_fail_in_some_folds_only_are_a_warning(routing):
    groups = GROUPS.astype(object)
    groups[0] = None
    with pytest.warns(FitFailedWarning, match=r"(?s)sensitive_features has missing values"):
        cross_validate(
            PixelLossRegressor(), X, Y, cv=KFold(3), params={"sensitive_features": groups}
        )


def test_groups_as_long_as_a_training_fold_are_heard_by_scorer_index_and_refit(routing):
    groups, model = GROUPS[:36], PixelLossRegressor()
    options = {"cv": KFold(4), "error_score": "raise"}
    with pytest.raises(ValueError, match="sensitive_features has 36 rows, expected 12"):
        cross_validate(
            model,
            X,
            Y,
            scoring=make_group_scorer(),
            params={"sensitive_features": groups},
            **options,
        )
    params = {"sensitive_features": pd.Series(groups)}
    with pytest.raises(ValueError, match="differs from that of y"):
        cross_validate(model, X, pd.Series(Y), params=params, **options)
    with pytest.raises(ValueError, match=f"sensitive_features has 36 rows, expected {N}"):
        GridSearchCV(model, GRID, **options).fit(X, Y, sensitive_features=groups)


# --------------------------------------------------------------------------------------------------
# No groups that merge, split or vanish
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([1, "1"], [1, "1"]),
        (np.array([1, "1"], dtype=object), [1, "1"]),
        (pd.Series([1, "1"]), [1, "1"]),
        ([b"a", "a"], [b"a", "a"]),
        ([True, "True"], [True, "True"]),
        (["a", "a "], ["a", "a "]),
        (["a", "A"], ["A", "a"]),
        ([1e-17, 0.0], [0.0, 1e-17]),
        ([2**53, 2**53 + 1], [2**53, 2**53 + 1]),
        (["é", "e\u0301"], ["e\u0301", "é"]),
        (pd.Series([(1, 2), (1, 3)]), [(1, 2), (1, 3)]),
    ],
    ids=str,
)
def test_values_that_only_look_the_same_stay_apart(values, names):
    column = np.tile(np.arange(2), N // 2)
    if isinstance(values, pd.Series):
        repeated = values.iloc[column].reset_index(drop=True)
    elif isinstance(values, np.ndarray):
        repeated = values[column]
    else:
        repeated = [values[code] for code in column]
    model = fit(repeated)
    assert [type(name) for name in model.groups_.tolist()] == [type(name) for name in names]
    assert model.groups_.tolist() == names
    np.testing.assert_allclose(model.group_weights_, [0.5, 0.5])
    frame = group_metric_frame(Y, np.zeros(N), sensitive_features=repeated)
    assert frame.by_group.index.tolist() == names


def test_columns_that_read_the_same_when_joined_stay_apart():
    rows = [("a", "b c"), ("a b", "c"), ("a_b", "c"), ("a", "b_c")] * 12
    model = fit(rows)
    assert sorted(map(tuple, model.groups_.tolist())) == sorted(set(rows))


@pytest.mark.parametrize("kind", [bool, np.array, pd.Series, pl.Series])
def test_a_mask_makes_the_two_groups_it_separates(kind):
    mask = GROUPS == "b"
    model = fit(mask.tolist() if kind is bool else kind(mask))
    assert model.groups_.tolist() == [False, True]
    np.testing.assert_array_equal(model.group_losses_, fit(GROUPS).group_losses_)


@pytest.mark.parametrize(
    "categories",
    [
        pd.Categorical(GROUPS, categories=["b", "zero", "a"]),
        pd.Series(pd.Categorical(GROUPS, categories=["b", "zero", "a"], ordered=True)),
        pd.DataFrame({"g": pd.Categorical(GROUPS, categories=["b", "zero", "a"])}),
        pl.Series(GROUPS, dtype=pl.Enum(["b", "zero", "a"])),
    ],
    ids=["Categorical", "ordered", "frame", "polars"],
)
def test_categories_without_rows_are_no_groups(categories):
    assert fit(categories).groups_.tolist() == ["b", "a"]
    frame = group_metric_frame(Y, np.zeros(N), sensitive_features=categories)
    assert frame.by_group.index.tolist() == ["b", "a"]
    assert np.isfinite(frame.by_group["mae"]).all()
    assert score(categories, Y, np.zeros(N)) == -frame.difference()["mae"]


def test_intervals_are_groups_and_values_outside_of_them_are_missing():
    age = pd.Series(np.linspace(20, 60, N))
    model = fit(pd.cut(age, [0, 40, 80]))
    assert [str(name) for name in model.groups_] == ["(0, 40]", "(40, 80]"]
    with pytest.raises(ValueError, match="sensitive_features has missing values in 12 of 48"):
        fit(pd.cut(age, [30, 40, 80]))


@pytest.mark.parametrize("n_values", [30, N])
def test_continuous_groups_are_refused(n_values):
    values = np.resize(np.linspace(0, 1, n_values), N)
    for call in (fit, score):
        with pytest.raises(ValueError, match=rf"sensitive_features has {n_values} groups"):
            call(values)


def test_floats_with_few_values_are_groups():
    assert fit(np.tile([0.5, 0.25, np.inf], 16)).groups_.tolist() == [0.25, 0.5, np.inf]


MISSING = {
    "None": np.where(GROUPS == "b", None, GROUPS),
    "NaN": np.where(GROUPS == "b", np.nan, 1.0),
    "NaN among strings": pd.Series(GROUPS).where(GROUPS == "a", np.nan),
    "NA": pd.Series(GROUPS, dtype="string").where(GROUPS == "a"),
    "masked": np.ma.masked_array(GROUPS, mask=GROUPS == "b"),
    "masked numbers": np.ma.masked_array(np.ones(N, dtype=int), mask=GROUPS == "b"),
    "field": np.array([(1, np.nan if g == "b" else 1.0) for g in GROUPS], dtype="i4,f8"),
    "tuple": pd.MultiIndex.from_arrays([np.ones(N), np.where(GROUPS == "b", np.nan, 1.0)]),
    "NaT": np.where(GROUPS == "b", np.datetime64("NaT", "D"), np.datetime64("2020-01-01")),
    "polars": pl.Series(np.where(GROUPS == "b", None, GROUPS).tolist()),
    "polars NaN": pl.Series(np.where(GROUPS == "b", np.nan, 1.0)),
    "second column": pd.DataFrame({"g": GROUPS, "h": np.where(GROUPS == "b", None, "h")}),
}


@pytest.mark.parametrize("features", MISSING.values(), ids=MISSING)
def test_missing_values_of_every_kind_are_refused_with_their_rows(routing, features):
    message = r"sensitive_features.* missing values in 16 of 48 rows, at positions 0, 3, 6, 9, 12,"
    for call in (fit, score):
        with pytest.raises(ValueError, match=message):
            call(features)
    with pytest.raises(ValueError, match="missing values"):
        cross_validate(
            PixelLossRegressor(), X, Y, params={"sensitive_features": features}, error_score="raise"
        )


@pytest.mark.parametrize(
    "features",
    [{"a", "b"}, (g for g in GROUPS), sp.csr_array(np.ones((N, 1))), 1, object()],
)
def test_what_has_no_rows_is_refused(features):
    with pytest.raises(TypeError, match="sensitive_features must be a list, array, Series"):
        fit(features)


# --------------------------------------------------------------------------------------------------
# No silently plain fit
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sensitive_feature", "sensitive_Features", "groups", "tone"])
def test_a_misspelt_keyword_is_an_error(either, name):
    model = PixelLossRegressor()
    pipe = Pipeline([("model", model)])
    key = name if either else f"model__{name}"
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}'"):
        model.fit(X, Y, **{name: GROUPS})
    for whole in (pipe, GridSearchCV(pipe, {"model__alpha": [0.0]}, error_score="raise")):
        with pytest.raises(TypeError, match=f"unexpected.*{name}"):
            whole.fit(X, Y, **{key: GROUPS})


def test_the_recipe_for_routing_off_is_an_error_with_routing_on_and_the_other_way_round(either):
    pipe = Pipeline([("model", PixelLossRegressor())])
    wrong = "model__sensitive_features" if either else "sensitive_features"
    with pytest.raises((TypeError, ValueError), match=wrong):
        pipe.fit(X, Y, **{wrong: GROUPS})


def test_a_wrong_step_name_is_an_error():
    pipe = Pipeline([("model", PixelLossRegressor())])
    with pytest.raises((KeyError, ValueError), match="regressor"):
        pipe.fit(X, Y, regressor__sensitive_features=GROUPS)


def test_requests_for_what_fit_does_not_take_are_refused(routing):
    with pytest.raises(TypeError, match=r"Unexpected args: \{'groups'\}"):
        PixelLossRegressor().set_fit_request(groups=True)


def test_groups_that_nobody_requests_are_an_error(routing):
    model = PixelLossRegressor().set_fit_request(sensitive_features=False)
    with pytest.raises(TypeError, match=r"unexpected argument.*sensitive_features"):
        GridSearchCV(model, GRID).fit(X, Y, sensitive_features=GROUPS)
    model.set_fit_request(sensitive_features=None)
    with pytest.raises(UnsetMetadataPassedError, match="sensitive_features"):
        GridSearchCV(model, GRID).fit(X, Y, sensitive_features=GROUPS)


def test_a_meta_estimator_that_takes_no_groups_is_an_error(either):
    with pytest.raises(TypeError, match="sensitive_features"):
        AdaBoostRegressor(PixelLossRegressor()).fit(X, Y, sensitive_features=GROUPS)


def test_groups_in_the_place_of_the_weights_are_an_error():
    for groups in (GROUPS, GROUPS.tolist(), pd.Series(GROUPS), pd.DataFrame({"g": GROUPS})):
        with pytest.raises(ValueError, match="sample_weight must hold numbers"):
            PixelLossRegressor().fit(X, Y, sample_weight=groups)
    for groups in (GROUPS, FRAME["group"], FRAME["group"].to_numpy()):  # numbers as well
        with pytest.raises(TypeError, match="3 positional arguments but 4 were given"):
            PixelLossRegressor().fit(X, Y, groups)


def test_a_failed_fit_leaves_no_groups_behind():
    model = PixelLossRegressor()
    with pytest.raises(ValueError, match="sensitive_features"):
        model.fit(X, Y, sensitive_features=GROUPS[:5])
    assert not [name for name in vars(model) if name.endswith("_")]


def test_a_fit_without_groups_reports_none():
    model = fit(GROUPS).fit(X, Y)
    with pytest.raises(AttributeError, match="group_losses_"):
        _ = model.group_losses_


def test_none_of_the_right_ways_warns(either):
    name = "sensitive_features" if either else "model__sensitive_features"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        search = GridSearchCV(
            Pipeline([("model", PixelLossRegressor())]),
            {"model__loss_mix": [0.0, 1.0]},
            scoring=make_group_scorer(sensitive_features="group"),
            error_score="raise",
        ).fit(FRAME, Y, **{name: FRAME["group"]})
    assert search.best_score_ < 0
