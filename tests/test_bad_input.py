"""What bad input gets: an error that names the argument and what was got, before any work."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_validate

import skfairloss._estimator.fitting as fitting_module
from skfairloss import PixelLossRegressor

N = 6
X, Y = np.arange(12.0).reshape(N, 2), np.arange(6.0)
GROUPS = ["u", "v"] * 3


def spoilt(array, value, at=1):
    array = np.array(array, dtype=object if isinstance(value, str) else None)
    array[(at, 0) if array.ndim == 2 else at] = value
    return array


@pytest.fixture(autouse=True)
def _nothing_is_solved(monkeypatch):
    """Bad input is found before any work."""

    def solve(*args, **kwargs):
        pytest.fail("bad input reached the solver")

    monkeypatch.setattr(fitting_module, "solve", solve)


def check_refused(error, *patterns, params=None, **arguments) -> None:
    """Fit fails with the error, and its message holds all of the patterns."""
    arguments = {"X": X, "y": Y, **arguments}
    with pytest.raises(error) as caught:
        PixelLossRegressor(**(params or {})).fit(**arguments)
    for pattern in patterns:
        assert re.search(pattern, str(caught.value)), str(caught.value)


# --------------------------------------------------------------------------------------------------
# X
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "got"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")]
)
@pytest.mark.parametrize("kind", [np.array, sp.csr_array, sp.csc_matrix, pd.DataFrame, np.float32])
def test_x_that_is_not_finite_is_refused(kind, value, got):
    check_refused(ValueError, r"\bX\b", got, X=kind(spoilt(X, value)))


@pytest.mark.parametrize("value", ["a", "dark"])
def test_strings_in_x_are_refused_with_the_string(value):
    check_refused(ValueError, f"could not convert string to float: '{value}'", X=spoilt(X, value))


@pytest.mark.parametrize(
    "bad",
    [X[:, 0], X[:, 0].tolist(), pd.Series(X[:, 0])],
    ids=["array", "list", "Series"],
)
def test_one_dimensional_x_is_refused_with_what_was_got(bad):
    check_refused(ValueError, "Expected (a )?2.* got (1D array|.*Series)", X=bad)


@pytest.mark.parametrize("kind", [np.array, list, np.ndarray.tolist])
@pytest.mark.parametrize("name", ["X", "y"])
def test_images_are_refused_with_their_shape_and_the_reshape(name, kind):
    images = kind(np.zeros((N, 2, 3)))
    check_refused(ValueError, rf"\b{name}\b.*\(6, 2, 3\)", "reshape", **{name: images})


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.empty((0, 2)), r"0 sample\(s\) \(shape=\(0, 2\)\)"),
        (np.empty((6, 0)), r"0 feature\(s\) \(shape=\(6, 0\)\)"),
        ([], "Expected 2D array, got 1D array"),
        (sp.csr_array((0, 2)), r"0 sample\(s\)"),
        (pd.DataFrame(index=range(6)), r"0 feature\(s\)"),
    ],
    ids=["rows", "columns", "list", "sparse", "frame"],
)
def test_empty_x_is_refused_with_its_shape(bad, message):
    check_refused(ValueError, message, X=bad, y=Y[: np.shape(bad)[0]])


@pytest.mark.parametrize("name", ["X", "y"])
@pytest.mark.parametrize("kind", [np.array, sp.csr_array], ids=["dense", "sparse"])
def test_complex_numbers_are_refused(name, kind):
    bad = (X if name == "X" else Y) + 1j
    if name == "y" and kind is not np.array:
        bad = bad[:, None]
    check_refused((ValueError, TypeError), "[Cc]omplex|[Ss]parse", **{name: kind(bad)})


@pytest.mark.parametrize("groups", [None, GROUPS], ids=["plain", "with groups"])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (None, "None|scalar array"),
        (3.0, "scalar array"),
        ("pixels", "scalar array|'pixels'"),
    ],
)
def test_x_that_is_no_table_is_refused_with_what_was_got(bad, message, groups):
    check_refused(ValueError, message, X=bad, sensitive_features=groups)


@pytest.mark.parametrize("name", ["X", "y"])
def test_ragged_lists_are_refused(name):
    check_refused(
        ValueError, "inhomogeneous|setting an array element", **{name: [[1.0, 2.0], [3.0]]}
    )


def test_a_data_frame_whose_column_names_mix_types_is_refused():
    frame = pd.DataFrame(X, columns=["a", 1])
    check_refused(TypeError, "feature names", "str", X=frame)


# --------------------------------------------------------------------------------------------------
# y and lengths
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(N,), (N, 1), (N, 2)])
@pytest.mark.parametrize(
    ("value", "got"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")]
)
def test_y_that_is_not_finite_is_refused(shape, value, got):
    check_refused(ValueError, r"\by\b", got, y=spoilt(np.zeros(shape), value))


@pytest.mark.parametrize("bad", [list("abcdef"), [1.0, 2.0, 3.0, 4.0, 5.0, "dark"]])
def test_strings_in_y_are_refused(bad):
    check_refused(
        ValueError, "could not convert string to float: '(a|dark)'", y=np.array(bad, object)
    )


def test_y_that_is_missing_is_refused_by_name():
    check_refused(ValueError, "requires y to be passed", y=None)


def test_sparse_y_is_refused():
    check_refused((TypeError, ValueError), "[Ss]parse", y=sp.csr_array(Y[:, None]))


@pytest.mark.parametrize("bad", [np.empty((N, 0)), np.float64(3.0)], ids=["no columns", "scalar"])
def test_y_without_numbers_is_refused(bad):
    check_refused((ValueError, TypeError), r"\by\b|feature|0D|scalar|Singleton", y=bad)


@pytest.mark.parametrize("length", [5, 7])
def test_a_wrong_length_of_y_is_refused_with_both_lengths(length):
    check_refused(
        ValueError, "inconsistent numbers of samples", rf"6.*{length}", y=np.zeros(length)
    )


@pytest.mark.parametrize("length", [5, 7])
def test_a_wrong_length_of_the_weights_is_refused_with_both_lengths(length):
    check_refused(
        ValueError, "sample_weight", rf"\({length},\)", r"\(6,\)", sample_weight=np.ones(length)
    )


@pytest.mark.parametrize("length", [4, 8])
def test_a_wrong_length_of_the_groups_is_refused_with_both_lengths(length):
    groups = ["u", "v"] * (length // 2)
    message = f"sensitive_features has {length} rows, expected 6"
    check_refused(ValueError, message, sensitive_features=groups)
    for x in (X.tolist(), pd.DataFrame(X), sp.csr_array(X)):
        check_refused(ValueError, message, X=x, sensitive_features=groups)


# --------------------------------------------------------------------------------------------------
# Weights
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (spoilt(np.ones(N), np.nan), "must be finite, got nan in row 1"),
        (spoilt(np.ones(N), np.inf), "must be finite, got inf in row 1"),
        (spoilt(np.ones(N), -0.5, at=3), r"must be >= 0, got -0\.5 in row 3"),
        (-1.0, r"must be >= 0, got -1\.0"),
        (np.zeros(N), "must not be zero for every row"),
        (0.0, "must not be zero for every row"),
        (np.ones((N, 1)), r"got \(6, 1\)"),
        (np.ones((1, N)), r"got \(1, 6\)"),
        (np.ones((N, 2, 1)), r"got \(6, 2, 1\)"),
        ([], r"\(0,\)"),
        (["a"] * N, "must hold numbers: could not convert string to float: 'a'"),
        ("balanced", "must hold numbers.*'balanced'"),
        ({"a": 1.0}, "must hold numbers"),
        (np.ones(N) + 0j, "must hold numbers|[Cc]omplex"),
        ([1.0, None, 1.0, 1.0, 1.0, 1.0], "sample_weight"),
    ],
    ids=str,
)
def test_unusable_weights_are_refused_by_name(weight, message):
    check_refused(ValueError, "sample_weight", message, sample_weight=weight)


# --------------------------------------------------------------------------------------------------
# Groups
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("groups", "error", "message"),
    [
        (["u", None, "u", "v", None, "v"], ValueError, r"missing values in 2 of 6 rows.* 1, 4\."),
        ([0, np.nan, 0, 1, 0, 1], ValueError, r"missing values in 1 of 6 rows, at position 1\."),
        (pd.DataFrame({"s": GROUPS, "t": [1, None] * 3}), ValueError, "column 't'.*3 of 6 rows"),
        (np.linspace(0, 1, N), ValueError, "6 groups in 6 rows.*continuous"),
        ("dark", ValueError, r"'dark' names columns of X.*DataFrame, got ndarray.*table\['dark'\]"),
        (1, TypeError, "got 1 of type int"),
        (np.zeros((N, 1, 1)), ValueError, r"got shape \(6, 1, 1\)"),
        (np.empty((N, 0)), ValueError, "no columns"),
        ([], ValueError, "empty"),
        ([{}] * N, TypeError, "must hold scalars"),
        ({"s": GROUPS, "t": GROUPS[:4]}, ValueError, "4 or 6 rows, expected 6"),
    ],
)
def test_unusable_groups_are_refused_by_name(groups, error, message):
    check_refused(error, "^sensitive_features", message, sensitive_features=groups)


def test_a_dict_of_groups_in_cross_validation_is_told_why_it_cannot_be():
    with pytest.raises(ValueError, match="Cross-validation cannot slice a dict"):
        cross_validate(
            PixelLossRegressor(),
            X,
            Y,
            cv=2,
            params={"sensitive_features": {"g": np.array(GROUPS)}},
            error_score="raise",
        )


SHUFFLED = [1, 0, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("X", pd.DataFrame(X, index=SHUFFLED)),
        ("y", pd.Series(Y, index=SHUFFLED)),
        ("y", pd.DataFrame(Y, index=SHUFFLED)),
        ("sample_weight", pd.Series(np.ones(N), index=SHUFFLED)),
    ],
    ids=["X", "y Series", "y DataFrame", "weights"],
)
@pytest.mark.parametrize("kind", [pd.Series, pd.DataFrame])
def test_groups_of_another_pandas_index_are_refused_with_the_remedy(name, other, kind):
    check_refused(
        ValueError,
        f"sensitive_features differs from that of {name}",
        r"\.to_numpy\(\)",
        **{name: other},
        sensitive_features=kind(GROUPS),
    )


# --------------------------------------------------------------------------------------------------
# Parameters
# --------------------------------------------------------------------------------------------------

WRONG = {
    "loss_mix": [-0.1, 1.1, np.nan, np.inf, "0.5", None, True, [0.5], 1j],
    "quantile": [0, 1, -0.5, 1.5, np.nan, "median", None, False, (0.5,)],
    "scale": [0, -1.0, np.nan, np.inf, "std", None, True, [], [1.0, -2.0], np.ones((2, 1)), ["a"]],
    "alpha": [-1e-9, np.nan, np.inf, "1", None, True, [0.1]],
    "l1_ratio": [-0.1, 1.1, np.nan, "0", None, True],
    "fit_intercept": [None, 0, 1, "True", np.nan, 1.0],
    "fairness": [0.5, "minimax", True, []],
    "clip": [
        (1, 0),
        (0, 0),
        (0,),
        (0, 1, 2),
        (np.nan, 1),
        (0, np.nan),
        1.0,
        "01",
        ("a", "b"),
        True,
    ],
    "tol": [0, -1e-8, np.nan, np.inf, "1e-8", None, True],
    "max_iter": [0, -1, 10.0, np.nan, "100", None, True],
    "warm_start": [None, 0, 1, "True", np.nan],
    "n_jobs": [0, 1.0, np.nan, "2", True],
}


def test_every_parameter_is_tried_with_wrong_values():
    assert set(WRONG) == set(PixelLossRegressor().get_params())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param(name, value, id=f"{name}={value!r}")
        for name, values in WRONG.items()
        for value in values
    ],
)
def test_a_parameter_out_of_range_is_refused_by_name_with_what_was_got(name, value):
    got = re.escape(f"got {value!r}")
    check_refused(
        (ValueError, TypeError),
        rf"\b{name} of PixelLossRegressor must be",
        got,
        params={name: value},
    )


def test_a_parameter_out_of_range_is_no_matter_before_fit():
    assert PixelLossRegressor(loss_mix=7).get_params()["loss_mix"] == 7


# --------------------------------------------------------------------------------------------------
# predict
# --------------------------------------------------------------------------------------------------


@pytest.fixture
def fitted(monkeypatch):
    monkeypatch.undo()
    return PixelLossRegressor().fit(pd.DataFrame(X, columns=["a", "b"]), Y)


def test_a_model_must_be_fitted_before_it_predicts():
    with pytest.raises(NotFittedError, match="This PixelLossRegressor instance is not fitted yet"):
        PixelLossRegressor().predict(X)
    with pytest.raises(NotFittedError):
        PixelLossRegressor().score(X, Y)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (pd.DataFrame(X, columns=["a", "c"]), "(?s)feature names should match.*unseen.*c"),
        (pd.DataFrame(X[:, ::-1], columns=["b", "a"]), "(?s)feature names.*same order"),
        (spoilt(pd.DataFrame(X, columns=["a", "b"]), 0.0)[:, :1], "X has 1 features, but .* 2"),
        (np.zeros((N, 3)), "X has 3 features, but PixelLossRegressor is expecting 2"),
        (sp.csr_array((N, 3)), "X has 3 features, but PixelLossRegressor is expecting 2"),
        (spoilt(X, np.nan), "X contains NaN"),
        (spoilt(X, np.inf), "X contains infinity"),
        (sp.csr_array(spoilt(X, np.inf)), "X contains infinity"),
        (X[:, 0], "Expected 2D array, got 1D array"),
        (np.zeros((N, 2, 1)), "dim 3"),
        (np.empty((0, 2)), r"0 sample\(s\)"),
        (X + 1j, "Complex data not supported"),
        (spoilt(X, "dark"), "could not convert string to float: 'dark'"),
    ],
)
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_predict_refuses_what_fit_would_have_refused(fitted, bad, message):
    with pytest.raises(ValueError, match=message):
        fitted.predict(bad)


@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_one_bad_number_among_many_rows_is_an_error_and_nothing_else(loss_mix, value):
    X = np.random.default_rng(0).normal(size=(60_000, 5))
    y = X[:, 0].copy()
    X[31_000, 3] = value
    model = PixelLossRegressor(loss_mix)
    with pytest.raises(ValueError, match=r"Input X contains (NaN|infinity)"):
        model.fit(X, y)
    assert not hasattr(model, "coef_")
