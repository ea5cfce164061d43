"""The pixel loss and the metric frame by group."""

from __future__ import annotations

import pickle
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
from fairlearn.metrics import MetricFrame
from sklearn.metrics import (
    max_error,
    mean_absolute_error,
    mean_pinball_loss,
    mean_squared_error,
    r2_score,
)

from skfairloss.metrics import group_metric_frame, pixel_loss

COLUMNS = ["count", "mae", "mse", "rmse", "mean_residual", "mean_prediction", "r2"]
GROUPS = np.array(["dark", "dark", "bright", "bright", "bright"])
Y_TRUE = np.array([0.0, 2.0, 1.0, 3.0, 8.0])
Y_PRED = np.array([1.0, 4.0, 1.0, 1.0, 4.0])
# by hand: residuals -1, -2 and 0, 2, 4
BY_HAND = {
    "bright": [3, 2.0, 20 / 3, np.sqrt(20 / 3), 2.0, 2.0, 1 - 20 / 26],
    "dark": [2, 1.5, 2.5, np.sqrt(2.5), -1.5, 2.5, 1 - 5 / 2],
}


def draw(n=40, outputs=(), seed=0):
    rng = np.random.default_rng(seed)
    y_true = rng.normal(size=(n, *outputs))
    groups = np.array(["a", "b", "c"])[rng.integers(0, 3, n)]
    return y_true, y_true + rng.normal(size=(n, *outputs)), groups, rng.uniform(0.5, 2, n)


@pytest.mark.parametrize(
    ("y_true", "y_pred", "l1", "l2"),
    [
        ([0, 0], [2, -2], 2, 4),
        ([0, 0], [0.1, -0.2], 0.15, 0.025),
        (0.3, 0.4, 0.1, 0.01),
        (0.7, 0.8, 0.1, 0.01),
        (0.1, 0.9, 0.8, 0.64),
    ],
)
@pytest.mark.parametrize("mix", [0.0, 0.25, 1.0])
def test_pixel_loss_gives_the_figures_of_the_discussion(y_true, y_pred, l1, l2, mix):
    expected = mix * l1 + (1 - mix) * l2
    assert pixel_loss(y_true, y_pred, loss_mix=mix) == pytest.approx(expected)
    y_true, y_pred = 100 + 3 * np.array(y_true), 100 + 3 * np.array(y_pred)
    assert pixel_loss(y_true, y_pred, loss_mix=mix, scale=3) == pytest.approx(expected)


@pytest.mark.parametrize("outputs", [(), (3,), (2, 3), (2, 2, 3)])
def test_pixel_loss_has_the_known_errors_at_its_ends(outputs):
    y_true, y_pred, _, weights = draw(outputs=outputs)
    flat = [y.reshape(len(y), -1) for y in (y_true, y_pred)]
    for s in (None, weights, 10 * weights):
        l1 = pixel_loss(y_true, y_pred, loss_mix=1, sample_weight=s)
        assert l1 == pytest.approx(mean_absolute_error(*flat, sample_weight=s))
        l2 = pixel_loss(y_true, y_pred, loss_mix=0, sample_weight=s)
        assert l2 == pytest.approx(mean_squared_error(*flat, sample_weight=s))
        tilted = pixel_loss(y_true, y_pred, loss_mix=1, quantile=0.8, sample_weight=s)
        pinball = mean_pinball_loss(*flat, alpha=0.8, sample_weight=s)
        assert tilted == pytest.approx(2 * pinball)


def test_pixel_loss_takes_a_scale_for_each_pixel():
    y_true, y_pred, _, weights = draw(outputs=(2,))
    scale = np.array([0.5, 4.0])
    loss = pixel_loss(y_true, y_pred, scale=scale, sample_weight=weights)
    assert loss == pytest.approx(pixel_loss(y_true / scale, y_pred / scale, sample_weight=weights))


def test_pixel_loss_takes_lists_frames_columns_and_float32():
    y_true, y_pred, _, _ = draw(outputs=(2,))
    expected = pixel_loss(y_true, y_pred)
    assert pixel_loss(y_true.tolist(), y_pred.tolist()) == expected
    assert pixel_loss(pd.DataFrame(y_true), pl.DataFrame(y_pred)) == expected
    assert pixel_loss(y_true.astype("f4"), y_pred.astype("f4")) == pytest.approx(expected, rel=1e-5)
    assert pixel_loss(y_true[:, 0], y_pred[:, :1]) == pixel_loss(y_true[:, 0], y_pred[:, 0])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"y_pred": [1.0]}, ValueError, r"same shape, got \(2,\) and \(1,\)"),
        ({"y_pred": [[1.0, 2.0]]}, ValueError, r"y_true and y_pred .* \(2,\) and \(1, 2\)"),
        ({"y_true": [np.nan, 1.0]}, ValueError, r"y_true must be finite, got 1 .* position 0: "),
        ({"y_true": np.nan}, ValueError, "y_true must be finite, got 1 NaN or infinite value$"),
        ({"y_true": None}, TypeError, "y_true must hold real numbers, got None"),
        ({"y_pred": None}, TypeError, "y_pred must hold real numbers, got None"),
        ({"y_pred": [0.0, np.inf]}, ValueError, r"y_pred must be finite, got 1 .* position 1: "),
        ({"y_true": ["a", "b"]}, ValueError, "y_true must hold numbers: .* string to float: .a."),
        ({"y_true": [[1.0], [1.0, 2.0]]}, ValueError, "y_true must hold real numbers"),
        ({"y_true": [], "y_pred": []}, ValueError, "y_true and y_pred are empty"),
        ({"loss_mix": 1.5}, ValueError, r"loss_mix must be a number in \[0, 1\], got 1\.5"),
        ({"loss_mix": "L1"}, ValueError, "loss_mix must be a number .* got 'L1'"),
        ({"loss_mix": np.nan}, ValueError, r"loss_mix must be a number in \[0, 1\], got nan"),
        ({"quantile": 1.0}, ValueError, r"quantile must be a number in \(0, 1\), got 1\.0"),
        ({"scale": 0.0}, ValueError, "scale must be positive and finite, got 0.0"),
        ({"scale": "auto"}, TypeError, "scale must be a number .* got 'auto'"),
        ({"scale": [1.0, 2.0]}, ValueError, r"got shape \(2,\)"),
        ({"sample_weight": [1.0]}, ValueError, r"sample_weight must have shape \(2,\)"),
        (
            {"sample_weight": [1.0, -1.0]},
            ValueError,
            r"sample_weight must be >= 0, got -1",
        ),
        ({"sample_weight": [0.0, 0.0]}, ValueError, "sample_weight must not be zero for every row"),
        ({"sample_weight": [1.0, np.nan]}, ValueError, "must be finite, got nan in row 1"),
    ],
)
def test_pixel_loss_refuses_unusable_input_by_name(options, error, message):
    with pytest.raises(error, match=message):
        pixel_loss(**({"y_true": [0.0, 1.0], "y_pred": [1.0, 1.0]} | options))


def test_the_default_columns_are_those_computed_by_hand():
    frame = group_metric_frame(Y_TRUE, Y_PRED, sensitive_features=GROUPS)
    assert isinstance(frame, MetricFrame)
    assert frame.by_group.columns.tolist() == COLUMNS
    assert frame.by_group.index.tolist() == ["bright", "dark"]
    for group, expected in BY_HAND.items():
        np.testing.assert_allclose(frame.by_group.loc[group].astype(float), expected)
    assert frame.overall["mae"] == pytest.approx(9 / 5)
    assert frame.difference()["mae"] == pytest.approx(0.5)
    assert frame.difference()["mean_residual"] == pytest.approx(3.5)
    assert frame.ratio()["mae"] == pytest.approx(0.75)


def test_columns_follow_a_shift_and_a_scale_of_y():
    frame = group_metric_frame(50 - 4 * Y_TRUE, 50 - 4 * Y_PRED, sensitive_features=GROUPS)
    for group, expected in BY_HAND.items():
        count, mae, mse, rmse, residual, prediction, r2 = expected
        twin = [count, 4 * mae, 16 * mse, 4 * rmse, -4 * residual, 50 - 4 * prediction, r2]
        np.testing.assert_allclose(frame.by_group.loc[group].astype(float), twin)


@pytest.mark.parametrize("outputs", [(), (3,), (2, 3)])
def test_integer_weights_equal_copies_of_rows_except_in_the_count(outputs):
    y_true, y_pred, groups, _ = draw(outputs=outputs)
    copies = np.random.default_rng(5).integers(0, 4, len(groups))
    weighted = group_metric_frame(y_true, y_pred, sensitive_features=groups, sample_weight=copies)
    repeated = group_metric_frame(
        *(np.repeat(a, copies, axis=0) for a in (y_true, y_pred)),
        sensitive_features=np.repeat(groups, copies),
    )
    rest = COLUMNS[1:]
    np.testing.assert_allclose(
        weighted.by_group[rest].astype(float), repeated.by_group[rest].astype(float)
    )
    np.testing.assert_allclose(
        weighted.overall[rest].astype(float), repeated.overall[rest].astype(float)
    )
    present = pd.Series(groups[copies > 0]).value_counts().sort_index()
    assert weighted.by_group["count"].tolist() == present.tolist()


def test_several_outputs_are_averaged_and_images_are_flattened():
    y_true, y_pred, groups, weights = draw(outputs=(2, 3))
    images = group_metric_frame(y_true, y_pred, sensitive_features=groups, sample_weight=weights)
    flat = [y.reshape(len(y), 6) for y in (y_true, y_pred)]
    for group, row in images.by_group.iterrows():
        rows = groups == group
        true, pred, s = flat[0][rows], flat[1][rows], weights[rows]
        assert row["mae"] == pytest.approx(mean_absolute_error(true, pred, sample_weight=s))
        assert row["mse"] == pytest.approx(mean_squared_error(true, pred, sample_weight=s))
        assert row["rmse"] == pytest.approx(np.sqrt(row["mse"]))
        assert row["mean_residual"] == pytest.approx(np.average((true - pred).mean(1), weights=s))
        assert row["mean_prediction"] == pytest.approx(np.average(pred.mean(1), weights=s))
        r2 = r2_score(true, pred, sample_weight=s, multioutput="variance_weighted")
        assert row["r2"] == pytest.approx(r2)


def test_errors_in_a_constant_output_count_in_r2():
    y_true = np.array([[0.0, 0.1], [1.0, 0.1], [2.0, 0.1]])
    y_pred = y_true + np.array([0.0, 0.5])
    frame = group_metric_frame(y_true, y_pred, sensitive_features=["a", "a", "a"])
    assert frame.overall["r2"] == pytest.approx(1 - 0.75 / 2)


@pytest.mark.parametrize("outputs", [(), (2,)])
def test_r2_of_a_constant_or_one_row_group_is_nan_without_a_warning(outputs):
    y_true, y_pred, _, _ = draw(8, outputs)
    groups = ["one", *["constant"] * 3, *["rest"] * 4]
    y_true[1:4] = 0.1
    frame = group_metric_frame(y_true, y_pred, sensitive_features=groups)
    assert np.isnan(frame.by_group["r2"]).to_dict() == {
        "constant": True,
        "one": True,
        "rest": False,
    }
    assert frame.by_group["count"]["one"] == 1
    assert frame.by_group["mae"]["one"] == pytest.approx(np.abs(y_true - y_pred)[0].mean())


@pytest.mark.parametrize("outputs", [(), (1,), (4,)])
def test_a_single_sample_is_enough(outputs):
    frame = group_metric_frame(
        np.ones((1, *outputs)), np.zeros((1, *outputs)), sensitive_features=["a"]
    )
    assert frame.by_group["mae"].tolist() == [1.0]


@pytest.mark.parametrize("container", [np.array, list, pd.Series, pl.Series, lambda v: {"g": v}])
def test_y_and_groups_come_in_any_container(container):
    y_true, y_pred = container(Y_TRUE), container(Y_PRED)
    if isinstance(y_true, dict):
        y_true, y_pred = Y_TRUE, Y_PRED
    frame = group_metric_frame(y_true, y_pred, sensitive_features=container(GROUPS.tolist()))
    np.testing.assert_allclose(frame.by_group.loc["dark"].astype(float), BY_HAND["dark"])


def test_a_series_named_like_a_column_of_the_frame_is_numbered():
    series = pd.Series(GROUPS, name="y_true")
    frame = group_metric_frame(Y_TRUE, Y_PRED, sensitive_features=series)
    assert frame.by_group.index.names == ["sensitive_feature_0"]
    assert frame.by_group["mae"]["dark"] == 1.5


def test_names_of_columns_become_levels_and_control_features_split():
    features = pd.DataFrame({"group": GROUPS[[0, 2] * 4], 7: ["x", "x", "y", "y"] * 2})
    control = pl.Series("site", ["u"] * 4 + ["v"] * 4)
    y_true = np.arange(8.0)
    frame = group_metric_frame(
        y_true, np.zeros(8), sensitive_features=features, control_features=control
    )
    assert frame.by_group.index.names == ["site", "group", "7"]
    assert frame.by_group["mae"]["v", "bright", "y"] == 7.0
    assert frame.difference()["mae"].to_dict() == {"u": 3.0, "v": 3.0}


def test_user_metrics_get_arrays_and_weights_if_they_take_them():
    seen = []

    def rows_and_weight(y_true, y_pred, sample_weight=None):
        seen.append((y_true.dtype, y_true.shape, y_pred.shape))
        return sample_weight.sum()

    weights = [1.0, 2.0, 3.0, 4.0, 5.0]
    y_true, y_pred = np.ones((5, 2, 2), dtype="f4"), np.zeros((5, 2, 2))
    frame = group_metric_frame(
        y_true,
        y_pred,
        sensitive_features=GROUPS,
        sample_weight=weights,
        metrics={"total": rows_and_weight, "rows": lambda t, p: len(t)},
    )
    assert frame.by_group["total"].to_dict() == {"bright": 12.0, "dark": 3.0}
    assert frame.by_group["rows"].to_dict() == {"bright": 3.0, "dark": 2.0}
    assert {dtype for dtype, _, _ in seen} == {np.dtype("f8")}
    assert {shape for _, shape, _ in seen} == {(5, 4), (3, 4), (2, 4)}


@pytest.mark.parametrize(
    ("metric", "name"),
    [(max_error, "max_error"), (partial(mean_pinball_loss, alpha=0.9), "partial")],
)
def test_a_bare_metric_gives_series_as_in_fairlearn(metric, name):
    frame = group_metric_frame(Y_TRUE, Y_PRED, sensitive_features=GROUPS, metrics=metric)
    assert frame.by_group.name == name
    dark = GROUPS == "dark"
    assert frame.by_group["dark"] == pytest.approx(metric(Y_TRUE[dark], Y_PRED[dark]))
    assert frame.overall == pytest.approx(metric(Y_TRUE, Y_PRED))


@pytest.mark.parametrize("outputs", [(), (3,)])
def test_bootstrap_intervals_enclose_the_estimate_and_are_reproducible(outputs):
    y_true, y_pred, groups, weights = draw(200, outputs)
    plain = group_metric_frame(y_true, y_pred, sensitive_features=groups, sample_weight=weights)

    def interval(seed):
        frame = group_metric_frame(
            y_true,
            y_pred,
            sensitive_features=groups,
            sample_weight=weights,
            n_boot=20,
            ci_quantiles=(0.05, np.float32(0.95)),
            random_state=seed,
        )
        low, high = (ci.astype(float) for ci in frame.by_group_ci)
        estimate = frame.by_group.astype(float)
        np.testing.assert_allclose(estimate, plain.by_group.astype(float))
        assert (low["mae"] < estimate["mae"]).all()
        assert (estimate["mae"] < high["mae"]).all()
        return low.to_numpy()

    first = interval(np.random.default_rng(0))
    np.testing.assert_array_equal(first, interval(np.random.default_rng(0)))
    assert not np.array_equal(first, interval(1))


def test_bootstrap_with_an_undefined_r2_does_not_warn():
    y_true, y_pred, _, _ = draw(12)
    frame = group_metric_frame(
        y_true,
        y_pred,
        sensitive_features=["one"] + ["rest"] * 11,
        n_boot=3,
        ci_quantiles=[0.5],
        random_state=0,
    )
    assert np.isnan(frame.by_group_ci[0]["r2"]["one"])
    assert frame.by_group_ci[0]["count"]["rest"] > 0


def test_a_metric_frame_can_be_pickled():
    frame = group_metric_frame(Y_TRUE, Y_PRED, sensitive_features=GROUPS)
    again = pickle.loads(pickle.dumps(frame))
    pd.testing.assert_frame_equal(again.by_group, frame.by_group)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"y_pred": Y_PRED[:4]}, ValueError, r"y_true and y_pred .*\(5,\) and \(4,\)"),
        ({"y_true": np.where(Y_TRUE > 5, np.nan, 1)}, ValueError, "y_true must be finite"),
        ({"sensitive_features": GROUPS[:4]}, ValueError, "sensitive_features has 4 rows, expect"),
        ({"sensitive_features": [None, *GROUPS[1:]]}, ValueError, "sensitive_features has miss"),
        ({"sensitive_features": Y_TRUE}, ValueError, "sensitive_features has 5 groups in 5 rows"),
        ({"control_features": GROUPS[:3]}, ValueError, "control_features has 3 rows, expected 5"),
        ({"sample_weight": [1.0]}, ValueError, "sample_weight must have shape"),
        ({"metrics": {}}, ValueError, "metrics must hold at least one metric, got an empty dict"),
        ({"metrics": 3}, TypeError, "metrics must be the name of a metric, .* got 3"),
        ({"n_boot": 5, "ci_quantiles": [0, 1]}, ValueError, r"ci_quantiles .* got \[0, 1\]"),
        (
            {"sensitive_features": pd.DataFrame([["a", "b"]] * 5, columns=["g", "g"])},
            ValueError,
            "sensitive_features has two columns with the name 'g'",
        ),
        (
            {
                "sensitive_features": pd.Series(GROUPS, index=[4, 3, 2, 1, 0]),
                "y_true": pd.Series(Y_TRUE),
            },
            ValueError,
            "index of sensitive_features differs from that of y_true",
        ),
    ],
)
def test_the_frame_refuses_unusable_input_by_name(options, error, message):
    arguments = {"y_true": Y_TRUE, "y_pred": Y_PRED, "sensitive_features": GROUPS} | options
    with pytest.raises(error, match=message):
        group_metric_frame(**arguments)
