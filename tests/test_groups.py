"""Encoding of sensitive features."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from skfairloss._inputs.groups import check_index, encode_groups, group_means

VALUES = ["b", "a", "b", "a", "b", "b"]
CODES = [1, 0, 1, 0, 1, 1]


@pytest.mark.parametrize(
    "container",
    [
        list,
        tuple,
        np.array,
        lambda v: np.array(v, dtype=object),
        lambda v: np.array(v)[:, None],
        pd.Series,
        pd.Categorical,
        lambda v: pd.Series(v, dtype="category"),
        lambda v: pd.Series(v, index=[5, 4, 3, 2, 1, 0], name="g"),
        lambda v: pd.DataFrame({"g": v}),
        lambda v: {"g": v},
        pl.Series,
        lambda v: pl.Series(v, dtype=pl.Categorical),
        lambda v: pl.DataFrame({"g": v}),
    ],
)
def test_every_container_of_one_column_gives_the_same_groups(container):
    groups = encode_groups(container(VALUES))
    assert groups.codes.dtype == np.intp
    assert groups.codes.tolist() == CODES
    assert groups.names.tolist() == groups.labels == ["a", "b"]
    assert groups.n_groups == 2


@pytest.mark.parametrize(
    "container",
    [
        list,
        np.array,
        lambda v: np.array(v, dtype=object),
        lambda v: pd.DataFrame(v, columns=["s", "t"]),
        lambda v: pd.DataFrame(v, columns=["s", "s"]),
        lambda v: pl.DataFrame(v, schema=["s", "t"], orient="row"),
        lambda v: {"s": [row[0] for row in v], "t": [row[1] for row in v]},
    ],
)
def test_groups_of_several_columns_are_the_sorted_combinations_that_occur(container):
    rows = [["b", "x"], ["a", "y"], ["b", "x"], ["a", "x"], ["a", "x"], ["a", "y"]]
    groups = encode_groups(container(rows))
    assert groups.codes.tolist() == [2, 1, 2, 0, 0, 1]
    assert groups.names.dtype == object
    assert groups.names.tolist() == [["a", "x"], ["a", "y"], ["b", "x"]]
    assert groups.labels == [("a", "x"), ("a", "y"), ("b", "x")]


@pytest.mark.parametrize(
    ("values", "kind", "names"),
    [
        ([3, -1, 3, -1], "i", [-1, 3]),
        ([True, False, True, True], "b", [False, True]),
        ([2.0, 1.0, 2.0, 1.0], "f", [1.0, 2.0]),
        (["y", "x", "y", "x"], "U", ["x", "y"]),
        (np.array(["2021", "2020", "2021", "2020"], "M8[Y]"), "M", ["2020", "2021"]),
    ],
)
def test_names_of_a_single_column_keep_its_type(values, kind, names):
    groups = encode_groups(values)
    assert groups.names.dtype.kind == kind
    assert [str(name) for name in groups.names] == [str(name) for name in names]
    assert groups.codes.tolist() == [0 if str(v) == str(names[0]) else 1 for v in values]


def test_integers_of_several_columns_stay_python_integers():
    frame = pd.DataFrame({"a": [1, 1, 2, 2], "b": ["u", "u", "v", "v"]})
    assert encode_groups(frame).labels == [(1, "u"), (2, "v")]
    assert all(type(label[0]) is int for label in encode_groups(frame).labels)


def test_mixed_types_in_a_list_stay_apart_and_are_sorted_by_type_first():
    groups = encode_groups([2, "a", 1, "1", 2, "a", 1, "1"])
    assert groups.names.tolist() == [1, 2, "1", "a"]
    assert groups.codes.tolist() == [1, 3, 0, 2, 1, 3, 0, 2]


def test_values_of_one_type_without_an_order_are_accepted():
    groups = encode_groups(np.array([2j, 1j, "a", 2j, 1j, "a"], dtype=object))
    assert groups.names.tolist() == [1j, 2j, "a"]


labels = st.sampled_from(["a", "b", 1, 2.5, True, ("t", 1), b"x"])


@settings(deadline=None)
@given(st.lists(st.tuples(labels, labels), min_size=1, max_size=8), st.randoms())
def test_decoded_codes_are_the_input_and_permute_with_it(rows, random):
    rows = rows * max(2, len(set(rows)))  # few groups for the number of rows
    columns = {key: _objects([row[j] for row in rows]) for j, key in enumerate("st")}
    groups = encode_groups(columns)
    assert [groups.labels[code] for code in groups.codes] == rows
    assert np.unique(groups.codes).tolist() == list(range(groups.n_groups))
    order = random.sample(range(len(rows)), len(rows))
    permuted = encode_groups({key: column[order] for key, column in columns.items()})
    assert permuted.codes.tolist() == groups.codes[order].tolist()
    assert permuted.labels == groups.labels


@settings(deadline=None)
@given(hnp.arrays(np.int64, st.integers(1, 30), elements=st.integers(-2, 2)), st.integers(1, 9))
def test_names_of_shifted_and_scaled_integers_are_shifted_and_scaled(values, factor):
    values = np.repeat(values, 5)
    groups, twin = encode_groups(values), encode_groups(7 - 1000 + factor * values)
    np.testing.assert_array_equal(groups.names[groups.codes], values)
    np.testing.assert_array_equal(twin.codes, groups.codes)
    np.testing.assert_array_equal(twin.names, 7 - 1000 + factor * groups.names)


def _objects(values):
    return np.fromiter(values, dtype=object, count=len(values))


@pytest.mark.parametrize(
    "values",
    [
        ["a", None, "a", None],
        ["a", float("nan"), "a", float("nan")],
        [1.0, np.nan, 1.0, np.nan],
        np.array(["2020-01-01", "NaT", "2020-01-01", "NaT"], "M8[D]"),
        pd.Series([1, pd.NA, 1, pd.NA], dtype="Int64"),
        pd.Series(["a", None, "a", None], dtype="category"),
        pd.Series([pd.Timestamp(0), pd.NaT] * 2),
        pd.DataFrame({"g": ["a"] * 4, "h": ["u", None] * 2}),
        pl.Series(["a", None, "a", None]),
        pl.Series([1, None, 1, None]),
        pl.DataFrame({"g": [True, None, True, None]}),
        {"g": [1, 1, 1, 1], "h": [1, None, 1, None]},
    ],
)
def test_missing_values_are_refused_with_their_rows(values):
    with pytest.raises(ValueError, match=r"^sf.* missing values in 2 of 4 rows.*positions 1, 3\."):
        encode_groups(values, name="sf")


def test_only_the_first_of_many_missing_rows_are_listed():
    with pytest.raises(ValueError, match=r"in 8 of 9 rows, at positions 1, 2, 3, 4, 5, \.\.\."):
        encode_groups(["a"] + [None] * 8)


def test_the_message_about_missing_values_names_the_column():
    with pytest.raises(ValueError, match="column 'h'"):
        encode_groups(pd.DataFrame({"g": ["a", "b"], "h": ["u", None]}))


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        (None, TypeError, "sensitive_features must be .* got None of type NoneType"),
        ("dark", TypeError, "got 'dark' of type str"),
        (3, TypeError, "got 3 of type int"),
        ([], ValueError, "sensitive_features is empty"),
        (np.empty((0, 2)), ValueError, "sensitive_features is empty"),
        (np.empty((3, 0)), ValueError, "no columns"),
        ({}, ValueError, "no columns"),
        (pd.DataFrame(index=[0, 1]), ValueError, "no columns"),
        (np.zeros((2, 2, 2)), ValueError, r"got shape \(2, 2, 2\)"),
        ({"a": np.zeros((3, 2))}, ValueError, r"got shape \(3, 2\) in 'a'"),
        ([[1, 2], [3]], ValueError, "sensitive_features must have rows of one length"),
        (_objects([{}, {}]), TypeError, "must hold scalars"),
        ({"a": [1, 1], "b": [1, 1, 1]}, ValueError, "has 2 or 3 rows"),
    ],
)
def test_unusable_input_is_refused_by_name(values, error, message):
    with pytest.raises(error, match=message):
        encode_groups(values)


def test_a_table_that_is_no_known_data_frame_is_refused():
    class Table:
        columns = ("a",)

    with pytest.raises(TypeError, match=r"pandas or polars data frame.*Table"):
        encode_groups(Table())


def test_a_wrong_length_is_refused_with_both_numbers():
    with pytest.raises(ValueError, match=r"^control_features has 6 rows, expected 5$"):
        encode_groups(VALUES, 5, "control_features")


def test_a_dict_of_the_wrong_length_is_told_about_cross_validation():
    with pytest.raises(ValueError, match=r"6 rows, expected 5\. Cross-validation cannot slice a d"):
        encode_groups({"g": VALUES}, 5)


@pytest.mark.parametrize("values", [[1], [1, 2], [1, 2, 2], [1, 2, 3, 3, 2, 1], ["a", "b"]])
def test_up_to_two_groups_or_half_the_rows_are_accepted(values):
    assert encode_groups(values, len(values)).n_groups == len(set(values))


@pytest.mark.parametrize("values", [[0.1, 0.2, 0.3], [1, 2, 3, 3, 2], list("abcdeff")])
def test_more_groups_than_half_the_rows_look_continuous(values):
    n_groups = len(set(values))
    with pytest.raises(ValueError, match=f"{n_groups} groups in {len(values)} rows.*continuous"):
        encode_groups(values)


def test_group_means_are_weighted_and_follow_shift_scale_and_weights():
    groups = encode_groups(["a", "b", "b", "a", "b"])
    values, weights = np.array([1.0, 2.0, 4.0, 5.0, 6.0]), np.array([1.0, 1.0, 2.0, 3.0, 0.0])
    np.testing.assert_allclose(group_means(groups, values), [3.0, 4.0])
    expected = np.array([16 / 4, 10 / 3])
    np.testing.assert_allclose(group_means(groups, values, weights), expected)
    twin = group_means(groups, 100 - 3 * values, 7 * weights)
    np.testing.assert_allclose(twin, 100 - 3 * expected)


def test_the_mean_of_a_group_without_weight_is_nan():
    groups = encode_groups(["a", "b", "b"])
    means = group_means(groups, [1.0, 2.0, 4.0], [0.0, 1.0, 1.0])
    np.testing.assert_array_equal(means, [np.nan, 3.0])


def test_pandas_objects_with_another_index_are_refused_by_name():
    features = pd.Series(["a", "b", "a"])
    shuffled = pd.Series([1.0, 2.0, 3.0], index=[2, 1, 0])
    with pytest.raises(ValueError, match=r"that of sample_weight: align them.*\.to_numpy\(\)"):
        check_index(features, X=np.zeros((3, 1)), y=features, sample_weight=shuffled)


@pytest.mark.parametrize("values", [["a", "b"], np.array(["a", "b"]), pl.Series(["a", "b"])])
def test_what_has_no_index_is_matched_by_position(values):
    check_index(values, y=pd.Series([1.0, 2.0], index=[7, 8]))
    check_index(pd.Series([1.0, 2.0], index=[7, 8]), y=values)


def test_an_index_out_of_order_with_none_to_compare_it_with_is_a_warning():
    shuffled = pd.Series(["a", "b", "a"], index=[2, 0, 1])
    with pytest.warns(UserWarning, match=r"not in ascending order.*none to compare.* in X, y:"):
        check_index(shuffled, X=np.zeros((3, 1)), y=np.zeros(3), sample_weight=None)
    check_index(shuffled.to_numpy(), X=np.zeros((3, 1)), y=np.zeros(3))
    check_index(shuffled, X=np.zeros((3, 1)), y=pd.Series(np.zeros(3), index=[2, 0, 1]))


def test_masked_dates_stay_dates_and_a_masked_field_is_a_missing_value():
    days = np.tile(np.array(["2020-01-01", "2021-01-01"], "M8[ns]"), 4)
    groups = encode_groups(np.ma.masked_array(days, mask=np.zeros(8, bool)))
    assert groups.labels == list(days[:2])
    assert groups.codes.tolist() == [0, 1] * 4
    with pytest.raises(ValueError, match=r"missing values in 1 of 8 rows, at position 3\."):
        encode_groups(np.ma.masked_array(days, mask=np.arange(8) == 3))
    fields = np.array([(1, 2.0), (3, 4.0)] * 2, dtype="i4,f8")
    masked = np.ma.masked_array(fields, mask=[(False, False)] * 3 + [(False, True)])
    with pytest.raises(ValueError, match=r"missing values in 1 of 4 rows, at position 3\."):
        encode_groups(masked)
