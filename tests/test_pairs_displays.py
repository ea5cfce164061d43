"""Calibration, residuals and predictions by group, and coefficients along a path."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from scipy.stats import t as student
from sklearn.linear_model import Ridge

from skfairloss.displays import (
    CoefficientPathDisplay,
    GroupCalibrationDisplay,
    GroupPredictionDisplay,
    GroupResidualDisplay,
)
from skfairloss.model_selection import loss_mix_path

KINDS = [GroupCalibrationDisplay, GroupResidualDisplay, GroupPredictionDisplay]


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def draw(n=400, outputs=(), seed=0):
    """Targets, predictions that are 1 too low in group "b", groups and weights."""
    rng = np.random.default_rng(seed)
    group = np.where(np.arange(n) % 4 == 0, "b", "a")
    y_pred = rng.normal(size=(n, *outputs))
    high = (group == "b").reshape(-1, *[1] * len(outputs))
    return y_pred + high + rng.normal(size=(n, *outputs)), y_pred, group, rng.integers(1, 4, n)


@pytest.mark.parametrize("kind", KINDS)
def test_an_estimator_is_drawn_as_its_predictions_in_the_given_axes(kind):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(80, 2)), columns=["u", "v"]).assign(sex=np.arange(80) % 2)
    y = X["u"] + rng.normal(size=80)
    model = Ridge().fit(X, y)
    _, ax = plt.subplots()
    options = {"ax": ax, "legend": False, "title": "a title"}
    one = kind.from_estimator(model, X, y, sensitive_features="sex", **options)
    assert one.ax_ is ax
    assert ax.get_legend() is None
    assert ax.get_title() == "a title"
    two = kind.from_predictions(y, model.predict(X), sensitive_features=X["sex"])
    assert two.groups == [0, 1]
    for own, other in zip(one.lines_, two.lines_, strict=True):
        np.testing.assert_array_equal(own.get_xydata(), other.get_xydata())
    names = [text.get_text() for text in two.ax_.get_legend().get_texts()]
    assert names[1:] == ["0", "1"]
    assert two.ax_.get_legend().get_title().get_text() == "sex"


@pytest.mark.parametrize("kind", KINDS)
def test_a_weight_of_zero_is_no_row_and_outputs_are_as_many_rows(kind):
    y_true, y_pred, group, _ = draw(60, outputs=(2,))
    weights = np.r_[np.ones(40), np.zeros(20)]
    one = kind.from_predictions(y_true, y_pred, sensitive_features=group, sample_weight=weights)
    two = kind.from_predictions(
        y_true[:40].ravel(), y_pred[:40].ravel(), sensitive_features=np.repeat(group[:40], 2)
    )
    for own, other in zip(one.lines_, two.lines_, strict=True):
        np.testing.assert_allclose(own.get_xydata(), other.get_xydata(), atol=1e-12)


def test_bins_hold_equal_numbers_and_their_means():
    y_true, y_pred, group, _ = draw()
    display = GroupCalibrationDisplay.from_predictions(
        y_true, y_pred, sensitive_features=group, n_bins=5
    )
    for j, name in enumerate("ab"):
        own = group == name
        order = np.argsort(y_pred[own])
        rows = np.array_split(order, 5)
        pred = [y_pred[own][part].mean() for part in rows]
        true = [y_true[own][part].mean() for part in rows]
        # a row at an edge may be on either side
        np.testing.assert_allclose(display.predicted[j], pred, atol=0.05)
        np.testing.assert_allclose(display.actual[j], true, atol=0.1)
        total = np.average(display.actual[j] - display.predicted[j])
        assert total == pytest.approx((y_true - y_pred)[own].mean(), abs=0.02)
    assert (display.actual[1] - display.predicted[1] > display.margins[1]).all(), "1 too low"


def test_the_interval_of_a_bin_is_that_of_student():
    rng = np.random.default_rng(1)
    residual = rng.normal(size=40)
    display = GroupCalibrationDisplay.from_predictions(
        residual, np.zeros(40), sensitive_features=["g"] * 40, confidence_level=0.9
    )
    low, high = student.interval(0.9, 39, residual.mean(), residual.std(ddof=1) / np.sqrt(40))
    assert display.predicted[0].tolist() == [0.0], "equal predictions are one bin"
    assert display.actual[0][0] == pytest.approx(residual.mean())
    assert display.margins[0][0] == pytest.approx((high - low) / 2)


def test_small_groups_have_fewer_bins_and_tiny_ones_no_interval():
    y_true, y_pred, _, _ = draw(70)
    group = np.repeat(["large", "small", "tiny"], [40, 25, 5])
    display = GroupCalibrationDisplay.from_predictions(y_true, y_pred, sensitive_features=group)
    assert [len(own) for own in display.actual] == [4, 2, 1]
    assert np.isnan(display.margins[2]).all()
    assert np.isfinite(display.margins[1]).all()


def test_integer_weights_are_copies_of_rows():
    y_true, y_pred, group, weights = draw(200)
    copies = np.repeat(np.arange(200), weights)
    for kind in (GroupCalibrationDisplay, GroupResidualDisplay):
        one = kind.from_predictions(y_true, y_pred, sensitive_features=group, sample_weight=weights)
        two = kind.from_predictions(
            y_true[copies], y_pred[copies], sensitive_features=group[copies]
        )
        for own, other in zip(one.lines_, two.lines_, strict=True):
            middle = slice(3, -3)  # at the ends a copy has a step of its own
            if len(own.get_ydata()) == len(other.get_ydata()):
                np.testing.assert_allclose(
                    own.get_ydata()[middle], other.get_ydata()[middle], atol=0.35
                )


def test_residuals_of_a_single_group_are_those_of_all_rows():
    y_true, y_pred, _, _ = draw(150)
    display = GroupResidualDisplay.from_predictions(y_true, y_pred, sensitive_features=["g"] * 150)
    np.testing.assert_allclose(display.reference[0], display.residuals[0])
    np.testing.assert_allclose(display.residuals[0], np.sort(y_true - y_pred))


def test_residuals_of_a_normal_distribution_are_on_a_line_of_their_standard_deviation():
    residual = 3 * norm.ppf((np.arange(100) + 0.5) / 100)
    display = GroupResidualDisplay.from_predictions(
        residual, np.zeros(100), sensitive_features=["g"] * 100, against="normal"
    )
    np.testing.assert_allclose(display.residuals[0], 3 * display.reference[0], atol=1e-9)
    assert display.line_.get_label() == "no residual"
    assert display.ax_.get_xlabel() == "quantile of a normal distribution"


def test_a_group_predicted_too_low_is_above_the_line_of_all_rows():
    y_true, y_pred, group, _ = draw(2000)
    display = GroupResidualDisplay.from_predictions(y_true, y_pred, sensitive_features=group)
    high = display.residuals[1] - display.reference[1]
    assert (high[10:-10] > 0.3).all()
    assert [len(own) for own in display.residuals] == [200, 200], "no more than can be seen"


def test_a_subsample_is_drawn_from_each_group():
    y_true, y_pred, group, _ = draw()
    options = {"sensitive_features": group}
    every = GroupPredictionDisplay.from_predictions(y_true, y_pred, **options, subsample=None)
    np.testing.assert_array_equal(every.actual[1], y_true[group == "b"])
    some = [
        GroupPredictionDisplay.from_predictions(
            y_true, y_pred, **options, subsample=120, random_state=3
        )
        for _ in range(2)
    ]
    assert [len(own) for own in some[0].actual] == [120, 100]
    np.testing.assert_array_equal(some[0].actual[0], some[1].actual[0])
    assert set(some[0].predicted[0]) < set(every.predicted[0])


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (GroupCalibrationDisplay, {"n_bins": 0}, "n_bins must be an integer >= 1, got 0"),
        (GroupCalibrationDisplay, {"confidence_level": 95}, "confidence_level must be a number"),
        (GroupResidualDisplay, {"against": "rows"}, "against must be 'all_rows' or 'normal', got"),
        (GroupPredictionDisplay, {"subsample": 0}, "subsample must be None or an integer >= 1"),
        (GroupPredictionDisplay, {"sample_weight": [1.0]}, "sample_weight must have shape"),
    ],
)
def test_options_that_mean_nothing_are_refused(kind, options, message):
    y_true, y_pred, group, _ = draw(20)
    with pytest.raises(ValueError, match=message):
        kind.from_predictions(y_true, y_pred, sensitive_features=group, **options)


def test_arrays_that_do_not_go_together_are_refused():
    with pytest.raises(ValueError, match="actual must have an array for each of 2 groups, got 1"):
        GroupPredictionDisplay(["a", "b"], [[1.0], [2.0]], [[1.0]])
    with pytest.raises(ValueError, match=r"residuals must have shape \(2,\), got \(1,\)"):
        GroupResidualDisplay(["a"], [[1.0, 2.0]], [[1.0]])


def path_of(p=3, outputs=()):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, p))
    y = X @ rng.normal(size=(p, *outputs)) + rng.exponential(size=(60, *outputs))
    return loss_mix_path(X, y, loss_mixes=[1.0, 0.0, 0.5])


def test_a_path_is_drawn_in_the_order_of_its_mixes():
    path = path_of()
    display = path.plot(title="path")
    assert isinstance(display, CoefficientPathDisplay)
    for j, line in enumerate(display.lines_):
        np.testing.assert_array_equal(line.get_xdata(), [0.0, 0.5, 1.0])
        np.testing.assert_array_equal(line.get_ydata(), path.coefs[[1, 2, 0], j])
    names = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert set(names) == {"x0", "x1", "x2"}


def test_only_the_largest_coefficients_of_many_are_named():
    path = path_of(p=12, outputs=(2,))
    display = path.plot(1)
    names = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    largest = np.argsort(-np.abs(path.coefs[:, 1]).max(axis=0))[:8]
    assert names == [f"x{j}" for j in largest]
    assert len(display.lines_) == 12
    for output in (2, -1, "0"):
        with pytest.raises(ValueError, match="output must be from 0 to 1, got"):
            path.plot(output)


def test_a_path_prints_its_coefficients(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    path = path_of()
    lines = repr(path).splitlines()
    assert lines[0] == "LossMixPath: coefficients under 3 values of loss_mix"
    assert lines[2].split() == ["x0", "x1", "x2", "(intercept)"]
    numbers = [float(word) for word in lines[4].split()]
    expected = [1.0, *path.coefs[0], path.intercepts[0]]
    np.testing.assert_allclose(numbers, expected, rtol=1e-3)
    wide = repr(path_of(p=20, outputs=(2,)))
    assert "of 2 outputs" in wide
    assert "..." in wide
    assert max(map(len, wide.splitlines())) < 110
