"""The displays: what they hold, what they draw, and that it can be read."""

from __future__ import annotations

import inspect
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfairloss import PixelLossRegressor, group_report
from skfairloss.displays import (
    GroupLossDisplay,
    LossMixDisplay,
    PixelGroupDisplay,
    TradeoffDisplay,
)
from skfairloss.fairness import WorstGroupLoss

SHORT = ["bright image", "dark image"]
LONG = [f"{word} with a rather long description of the group" for word in "abcdefghijkl"]
PAIRS = [(sex, age) for sex in ("female", "male") for age in ("18-29", "30-59", "60 and older")]
NAMES = {"two": SHORT, "twelve long": LONG, "pairs": PAIRS, "numbers": list(range(12))}
MIXES = np.linspace(0, 1, 21)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def draw(names, n=240, seed=0):
    """Targets, predictions and the columns that make the groups."""
    rng = np.random.default_rng(seed)
    codes = np.arange(n) % len(names)
    y_true = 3 + rng.normal(size=n)
    y_pred = y_true + rng.normal(size=n) * (1 + codes / len(names))
    columns = pd.DataFrame([names[code] for code in codes])
    return y_true, y_pred, columns


def texts_of(figure):
    figure.draw_without_rendering()
    shown = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
    # ticks beyond the limits have labels that are not drawn
    ticks = {
        label
        for ax in figure.findobj(plt.Axes)
        for axis in (ax.xaxis, ax.yaxis)
        for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]
        for label in (tick.label1, tick.label2)
    }
    drawn = {
        label
        for ax in figure.findobj(plt.Axes)
        for axis in (ax.xaxis, ax.yaxis)
        for tick in axis._update_ticks()
        for label in (tick.label1, tick.label2)
    }
    return [text for text in shown if text not in ticks or text in drawn]


def assert_legible(figure):
    """No two texts overlap, and all are inside the figure."""
    texts = texts_of(figure)
    assert texts
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
    for (first, box), (second, other) in combinations(boxes, 2):
        shared = box.intersection(box, other)
        overlap = shared is not None and min(shared.width, shared.height) > 1
        assert not overlap, f"{first!r} and {second!r} overlap"
    page = figure.bbox
    for text, box in boxes:
        inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= page.x1 + 1 and box.y1 <= page.y1 + 1
        assert inside, f"{text!r} is cut off"


def make_tradeoff(n=21, seed=0):
    rng = np.random.default_rng(seed)
    mixes = np.linspace(0, 1, n)
    return pd.DataFrame(
        {
            "mae": 0.2 + 0.05 * (1 - mixes) ** 2 + 0.005 * rng.normal(size=n),
            "gap": 0.05 + 0.1 * mixes + 0.005 * rng.normal(size=n),
            "loss_mix": mixes,
        }
    )


def by_group_of(names, mixes=MIXES):
    curves = {name: 0.5 + 0.05 * i + (mixes - i / 12) ** 2 for i, name in enumerate(names)}
    return pd.DataFrame(curves, index=mixes)


# GroupLossDisplay


def test_group_loss_display_holds_and_draws_the_numbers_of_the_report():
    y_true, y_pred, groups = draw(SHORT)
    options = {"sensitive_features": groups, "random_state": 0}
    display = GroupLossDisplay.from_predictions(y_true, y_pred, metric="rmse", **options)
    report = group_report(y_true, y_pred, **options)
    np.testing.assert_array_equal(display.values, report.by_group["rmse"])
    assert display.overall == report.overall["rmse"]
    assert display.counts.tolist() == [120, 120]
    drawn = report.plot("rmse")
    np.testing.assert_array_equal(drawn.lower, report.by_group_ci[0]["rmse"])
    for i, container in enumerate(drawn.points_):
        point, _, (bars,) = container
        assert point.get_xydata().tolist() == [[drawn.values[i], i]]
        ends = bars.get_segments()[0][:, 0]
        np.testing.assert_allclose(ends, [drawn.lower[i], drawn.upper[i]])
    assert drawn.overall_line_.get_xdata().tolist() == [report.overall["rmse"]] * 2
    assert drawn.ax_.get_xlabel() == "RMSE"
    with pytest.raises(ValueError, match=r"metric must be one of .* got 'mea'"):
        report.plot("mea")
    assert report.plot().metric == "mae"


def test_a_small_group_has_a_hollow_point_and_a_note():
    y_true, y_pred, _ = draw(SHORT, 100)
    groups = np.repeat(["large", "small"], [71, 29])
    display = GroupLossDisplay.from_predictions(y_true, y_pred, sensitive_features=groups)
    faces = [container[0].get_markerfacecolor() for container in display.points_]
    assert faces[1] == "white" != faces[0]
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert "fewer than 30 rows" in legend


def test_group_loss_display_takes_any_fitted_estimator_and_given_axes():
    y_true, _, groups = draw(SHORT)
    X = np.c_[y_true, np.ones(len(y_true))]
    model = make_pipeline(StandardScaler(), Ridge(50)).fit(X, y_true)
    _, ax = plt.subplots()
    display = GroupLossDisplay.from_estimator(
        model, X, y_true, sensitive_features=groups, n_boot=None, ax=ax
    )
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert display.lower is None
    residuals = np.abs(y_true - model.predict(X))
    np.testing.assert_allclose(display.values, [residuals[::2].mean(), residuals[1::2].mean()])


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("n", [240, 2400])
def test_group_loss_display_is_legible(names, n):
    y_true, y_pred, groups = draw(names, n)
    display = GroupLossDisplay.from_predictions(
        y_true, y_pred, sensitive_features=groups, metric="mean_residual", n_boot=100
    )
    assert_legible(display.figure_)


# LossMixDisplay


@pytest.mark.parametrize("metric", ["mae", "mse"])
def test_loss_mix_display_scores_rows_that_were_left_out(metric):
    y, _, groups = draw(SHORT, 120)
    X = np.random.default_rng(1).normal(size=(120, 3)) + y[:, None]
    pipe = make_pipeline(StandardScaler(), PixelLossRegressor(scale="auto"))
    folds = KFold(4)
    display = LossMixDisplay.from_estimator(
        pipe,
        X,
        y,
        sensitive_features=groups,
        param_name="pixellossregressor__loss_mix",
        param_range=[1.0, 0.0],
        metric=metric,
        cv=folds,
        n_boot=50,
        random_state=0,
    )
    assert display.by_group.index.tolist() == [0, 1], "in increasing order"
    for mix, line in ((0.0, 0), (1.0, 1)):
        pipe.set_params(pixellossregressor__loss_mix=mix)
        residuals = y - cross_val_predict(pipe, X, y, cv=folds)
        losses = np.abs(residuals) if metric == "mae" else residuals**2
        expected = [losses[::2].mean(), losses[1::2].mean()]
        np.testing.assert_allclose(display.by_group.iloc[line], expected, rtol=1e-9)
        assert display.overall[line] == pytest.approx(losses.mean())
    lower, upper = display.by_group_ci
    assert ((lower < display.by_group) & (display.by_group < upper)).all(axis=None)
    assert display.ax_.get_xlabel() == "pixellossregressor__loss_mix (0: L2, 1: L1)"


def test_loss_mix_display_hands_groups_to_fit_where_it_is_told_to():
    y, _, groups = draw(SHORT, 80)
    X = np.random.default_rng(1).normal(size=(80, 1)) + y[:, None]
    groups = groups[0]
    model = PixelLossRegressor(fairness=WorstGroupLoss())
    options = {"sensitive_features": groups, "param_range": [0.5], "cv": 2, "random_state": 0}
    with pytest.raises(ValueError, match="sensitive_features"):
        LossMixDisplay.from_estimator(model, X, y, **options)
    with_groups = LossMixDisplay.from_estimator(
        model, X, y, **options, fit_params={"sensitive_features": groups}
    )
    without = LossMixDisplay.from_estimator(PixelLossRegressor(), X, y, **options)
    assert not with_groups.by_group.equals(without.by_group)


def test_loss_mix_display_varies_a_parameter_of_any_estimator():
    y, _, groups = draw(SHORT, 80)
    X = np.random.default_rng(1).normal(size=(80, 1)) + y[:, None]
    display = LossMixDisplay.from_estimator(
        Ridge(), X, y, sensitive_features=groups, param_name="alpha", param_range=[0.0, 1e6]
    )
    assert display.overall[0] < display.overall[1]
    assert display.ax_.get_xlabel() == "alpha"


def test_loss_mix_display_reads_a_tidy_table():
    by_group = by_group_of(PAIRS, np.array([0.0, 0.5, 1.0]))
    rows = [
        (mix, "by_group", group, metric, value + shift, value - 0.1, value + 0.2)
        for metric, shift in (("mae", 0.0), ("mse", 7.0))
        for mix, row in list(by_group.iterrows())[::-1]
        for group, value in zip(PAIRS, row, strict=True)
    ]
    rows += [(mix, "overall", None, "mae", mix + 1, mix, mix + 2) for mix in (0.5, 1.0, 0.0)]
    names = ["loss_mix", "statistic", "group", "metric", "value", "lower", "upper"]
    frame = pd.DataFrame(rows, columns=names)
    display = LossMixDisplay.from_frame(frame, metric="mae")
    assert display.by_group.columns.tolist() == PAIRS
    np.testing.assert_array_equal(display.by_group, by_group)
    np.testing.assert_allclose(display.by_group_ci[0], by_group - 0.1)
    assert display.overall.tolist() == [1, 1.5, 2]
    assert display.overall_ci[1].tolist() == [2, 2.5, 3]
    display.plot()
    for line, group in zip(display.lines_, PAIRS, strict=True):
        assert line.get_label() == ", ".join(group)
        np.testing.assert_array_equal(line.get_xdata(), [0, 0.5, 1])
    assert len(display.bands_) == 1, "six groups: a band for all rows only"
    assert LossMixDisplay.from_frame(frame, metric="mse").overall is None
    with pytest.raises(ValueError, match=r"metric must be one of \['mae', 'mse'\], got None"):
        LossMixDisplay.from_frame(frame)
    with pytest.raises(ValueError, match=r"\['loss_mix'\] are missing"):
        LossMixDisplay.from_frame(frame.drop(columns="loss_mix"), metric="mae")
    with pytest.raises(ValueError, match="several rows of one loss_mix and group"):
        LossMixDisplay.from_frame(pd.concat([frame, frame]), metric="mae")
    with pytest.raises(ValueError, match="one row 'overall' for each loss_mix"):
        LossMixDisplay.from_frame(frame.iloc[:-1], metric="mae")


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
def test_loss_mix_display_is_legible(names):
    by_group = by_group_of(names)
    mean = by_group.mean(axis=1)
    display = LossMixDisplay(by_group, overall=mean, overall_ci=(mean - 0.1, mean + 0.1)).plot()
    assert_legible(display.figure_)


def test_groups_can_be_told_apart_without_colour():
    display = LossMixDisplay(by_group_of(range(12))).plot()
    styles = {(line.get_marker(), line.get_linestyle()) for line in display.lines_}
    markers = [line.get_marker() for line in display.lines_]
    assert len(styles) == len(set(markers)) == 12


# TradeoffDisplay


def test_the_front_has_the_models_that_no_other_beats():
    table = pd.DataFrame(
        {"mae": [1, 2, 3, 2, 1, 4.0], "gap": [3, 2, 1, 2, 3.5, 1.0], "name": list("abcdef")}
    )
    display = TradeoffDisplay.from_frame(table, error="mae", disparity="gap", label="name")
    # d equals b: neither beats the other
    assert display.on_front.tolist() == [True, True, True, True, False, False]
    display.plot()
    front = display.front_.get_xydata()
    assert front.tolist() == [[1, 3], [2, 2], [2, 2], [3, 1]]
    assert display.points_.get_xydata().tolist() == [[1, 3.5], [4, 1]]
    assert display.front_.get_marker() != display.points_.get_marker(), "told apart in grey"
    shifted = table.assign(mae=table["mae"] * 1e-3 - 7, gap=table["gap"] + 100)
    again = TradeoffDisplay.from_frame(shifted, error="mae", disparity="gap")
    np.testing.assert_array_equal(again.on_front, display.on_front)


def test_tradeoff_of_predictions_is_that_of_the_reports():
    y_true, y_pred, groups = draw(SHORT)
    predictions = {"model": y_pred, "half": (y_true + y_pred) / 2, "shifted": y_pred + 0.5}
    display = TradeoffDisplay.from_predictions(y_true, predictions, sensitive_features=groups)
    assert display.labels == list(predictions)
    for i, prediction in enumerate(predictions.values()):
        report = group_report(y_true, prediction, sensitive_features=groups, n_boot=None)
        assert display.error[i] == report.overall["mae"]
        assert display.disparity[i] == report.difference["mae"]
    assert display.on_front[1]
    with pytest.raises(ValueError, match="smaller being better, got 'r2'"):
        TradeoffDisplay.from_predictions(
            y_true, predictions, sensitive_features=groups, metric="r2"
        )
    with pytest.raises(ValueError, match="at least one model"):
        TradeoffDisplay.from_predictions(y_true, {}, sensitive_features=groups)


def test_tradeoff_of_an_estimator_has_the_errors_of_the_loss_mix_display():
    y, _, groups = draw(SHORT, 80)
    X = np.random.default_rng(1).normal(size=(80, 1)) + y[:, None]
    options = {"sensitive_features": groups, "param_range": [0.0, 0.4, 1.0], "random_state": 0}
    tradeoff = TradeoffDisplay.from_estimator(PixelLossRegressor(), X, y, **options)
    curves = LossMixDisplay.from_estimator(PixelLossRegressor(), X, y, **options, n_boot=None)
    np.testing.assert_array_equal(tradeoff.error, curves.overall)
    np.testing.assert_allclose(tradeoff.disparity, np.ptp(curves.by_group, axis=1))
    assert tradeoff.labels == [0.0, 0.4, 1.0]


@pytest.mark.parametrize("n", [1, 3, 21, 60])
@pytest.mark.parametrize("seed", [0, 1])
def test_labels_of_models_never_overlap_and_the_chosen_one_is_always_named(n, seed):
    table = make_tradeoff(n, seed)
    display = TradeoffDisplay.from_frame(
        table, error="mae", disparity="gap", label="loss_mix", selected=n // 2
    ).plot()
    assert_legible(display.figure_)
    assert f"{table['loss_mix'][n // 2]:g}" in [text.get_text() for text in display.labels_]
    if n < 20:
        assert len(display.labels_) == n


# PixelGroupDisplay


def make_images(n=40, shape=(5, 4), seed=0):
    rng = np.random.default_rng(seed)
    y_true = rng.uniform(size=(n, *shape))
    y_pred = y_true + np.linspace(0.01, 0.4, n).reshape(-1, *[1] * len(shape)) * rng.choice(
        [-1, 1], size=(n, *shape)
    )
    return y_true, y_pred, np.where(np.arange(n) % 2, "odd", "even")


@pytest.mark.parametrize("is_flat", [False, True])
def test_pixel_group_display_picks_images_by_the_rank_of_their_error(is_flat):
    y_true, y_pred, groups = make_images(42)
    arguments = [y.reshape(42, -1) if is_flat else y for y in (y_true, y_pred)]
    display = PixelGroupDisplay.from_predictions(
        *arguments,
        sensitive_features=groups,
        image_shape=(5, 4) if is_flat else None,
        ranks=(0, 0.5, 1),
    )
    assert display.groups == ["even", "odd"]
    # the errors grow from row to row, 21 rows a group
    for g, rows in enumerate(([0, 20, 40], [1, 21, 41])):
        np.testing.assert_array_equal(display.truth[g], y_true[rows])
        np.testing.assert_array_equal(display.prediction[g], y_pred[rows])
        np.testing.assert_allclose(display.error[g], np.abs(y_true - y_pred)[rows])


def test_pixel_group_display_shows_weighted_means():
    y_true, y_pred, groups = make_images()
    weights = np.random.default_rng(3).uniform(1, 2, 40)
    weights[:4] = 0
    display = PixelGroupDisplay.from_predictions(
        y_true, y_pred, sensitive_features=groups, sample_weight=weights, ranks=None
    )
    odd = groups == "odd"
    for drawn, images in ((display.truth, y_true), (display.error, np.abs(y_true - y_pred))):
        expected = np.average(images[odd], axis=0, weights=weights[odd])
        np.testing.assert_allclose(drawn[1, 0], expected)


@pytest.mark.parametrize("ranks", [0.5, (0.1, 0.9), None])
def test_all_groups_share_the_scales_of_the_rows(ranks):
    y_true, y_pred, groups = make_images()
    y_pred[groups == "odd"] += 3
    display = PixelGroupDisplay.from_predictions(
        y_true, y_pred, sensitive_features=groups, ranks=ranks
    )
    truth, prediction, error = ([image.get_clim() for image in row] for row in display.images_)
    assert len({*truth, *prediction}) == 1
    assert len(set(error)) == 1
    assert truth[0][0] <= min(display.truth.min(), display.prediction.min())
    assert truth[0][1] >= max(display.truth.max(), display.prediction.max())
    assert error[0] == (0, display.error.max())
    shown = np.stack([image.get_array() for image in display.images_[1]])
    np.testing.assert_allclose(shown, display.prediction.reshape(-1, 5, 4))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_with_channels_have_one_error_a_pixel(channels):
    y_true, y_pred, groups = make_images(shape=(5, 4, channels))
    display = PixelGroupDisplay.from_predictions(
        y_true.reshape(40, -1),
        y_pred.reshape(40, -1),
        sensitive_features=groups,
        image_shape=(5, 4, channels),
        ranks=1.0,
    )
    kept = 1 if channels == 1 else 3
    residual = np.abs(y_true - y_pred)[..., :kept].mean(axis=-1)
    np.testing.assert_allclose(display.error[1, 0], residual[39])
    colours = display.images_[0][0].get_array()
    assert colours.shape == ((5, 4) if channels == 1 else (5, 4, 3))
    assert len(display.colorbars_) == (2 if channels == 1 else 1)
    if channels > 1:
        assert 0 <= colours.min() < colours.max() <= 1, "matplotlib clips other values"


def test_pixel_group_display_takes_any_fitted_estimator():
    y_true, _, groups = make_images()
    X = y_true.reshape(40, -1)[:, :3]
    model = LinearRegression().fit(X, y_true.reshape(40, -1))
    display = PixelGroupDisplay.from_estimator(model, X, y_true, sensitive_features=groups)
    assert display.prediction.shape == (2, 1, 5, 4)
    _, ax = plt.subplots()
    assert display.plot(ax).ax_ is ax


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize(
    ("shape", "ranks"),
    [((8, 8), 0.5), ((40, 12), 0.5), ((6, 24), (0, 0.5, 0.95)), ((7, 7, 3), (0, 0.5, 0.95))],
)
def test_pixel_group_display_is_legible(names, shape, ranks):
    y_true, y_pred, _ = make_images(48, shape)
    groups = pd.DataFrame([names[i % len(names)] for i in range(48)])
    display = PixelGroupDisplay.from_predictions(
        y_true, y_pred, sensitive_features=groups, ranks=ranks
    )
    assert_legible(display.figure_)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"image_shape=\(height, width\) must be given"),
        ({"image_shape": (5, 5)}, r"image_shape \(5, 5\) has 25 values, y_true has 20"),
        ({"image_shape": (20,)}, r"image_shape must be \(height, width\), or .* got \(20,\)"),
        ({"image_shape": (5, 2, 2)}, "with 1, 3 or 4 channels"),
        ({"image_shape": (5, 4), "ranks": 2}, "ranks must lie between 0 and 1, got 2"),
        ({"image_shape": (5, 4), "ranks": []}, "ranks must lie between 0 and 1"),
    ],
)
def test_images_of_another_shape_are_refused(options, message):
    y_true, y_pred, groups = make_images()
    with pytest.raises(ValueError, match=message):
        PixelGroupDisplay.from_predictions(
            y_true.reshape(40, -1), y_pred.reshape(40, -1), sensitive_features=groups, **options
        )


# All of them


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GroupLossDisplay(["a"], [1.0, 2.0]), r"values must have shape \(1,\), got \(2,\)"),
        (lambda: GroupLossDisplay(["a"], [1.0], lower=[0.5]), "lower and upper must be given"),
        (lambda: LossMixDisplay(by_group_of("ab"), overall=[1.0]), "overall must have shape"),
        (lambda: TradeoffDisplay([1.0], [1.0, 2.0]), "disparity must have shape"),
        (lambda: TradeoffDisplay([1.0], [np.nan]), "disparity must be finite"),
        (lambda: TradeoffDisplay([1.0], [1.0], selected=1), "selected must be a position in 0 to"),
        (lambda: TradeoffDisplay([1.0], [1.0], labels=["a", "b"]), "labels must have one entry"),
        (
            lambda: TradeoffDisplay.from_frame(make_tradeoff(), error="mse", disparity="gap"),
            r"frame has no columns \['mse'\]",
        ),
        (
            lambda: PixelGroupDisplay(["a"], np.zeros((1, 1, 2, 2)), np.zeros((1, 1, 2, 3)), 0),
            r"prediction must have shape \(1, 1, 2, 2\), got \(1, 1, 2, 3\)",
        ),
        (
            lambda: PixelGroupDisplay(["a"], *[np.zeros((2, 2))] * 3),
            r"truth must have shape .* got \(2, 2\) for 1 group",
        ),
    ],
)
def test_data_that_do_not_belong_together_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_frame_must_be_a_frame():
    with pytest.raises(TypeError, match=r"by_group must be a pandas DataFrame .* got ndarray"):
        LossMixDisplay(np.zeros((2, 2)))
    with pytest.raises(TypeError, match="frame must be a pandas DataFrame, got dict"):
        GroupLossDisplay.from_frame({})
    frame = pd.DataFrame({"statistic": "by_group", "group": ["a", "a"], "metric": "mae"})
    with pytest.raises(ValueError, match="several rows of one group and metric"):
        GroupLossDisplay.from_frame(frame.assign(value=1.0))


def test_weights_count_in_the_metric_and_reach_fit_only_by_its_parameters():
    y, _, groups = draw(SHORT, 80)
    X = np.random.default_rng(1).normal(size=(80, 1)) + y[:, None]
    weights = np.random.default_rng(2).uniform(0.1, 3, 80)
    folds = KFold(2)
    for fit_params in (None, {"sample_weight": weights}):
        display = LossMixDisplay.from_estimator(
            Ridge(),
            X,
            y,
            sensitive_features=groups,
            sample_weight=weights,
            fit_params=fit_params,
            param_name="alpha",
            param_range=[1.0],
            cv=folds,
            n_boot=None,
        )
        residuals = np.abs(y - cross_val_predict(Ridge(), X, y, cv=folds, params=fit_params))
        assert display.overall[0] == pytest.approx(np.average(residuals, weights=weights))


def make_displays():
    y_true, y_pred, groups = make_images()
    by_group = by_group_of("ab")
    images = PixelGroupDisplay.pick(y_true, y_pred, sensitive_features=groups)
    table = make_tradeoff()
    return [
        GroupLossDisplay(["a", "b"], [1.0, 2.0], lower=[0.5, 1.5], upper=[1.5, 2.5], overall=1.5),
        LossMixDisplay(by_group, overall=by_group["a"], by_group_ci=(by_group - 1, by_group + 1)),
        TradeoffDisplay.from_frame(table, error="mae", disparity="gap", label="loss_mix"),
        images,
    ]


@pytest.mark.parametrize("display", make_displays(), ids=lambda display: type(display).__name__)
def test_plot_computes_nothing_and_can_be_repeated(display):
    assert repr(display).startswith(f"{type(display).__name__}(")
    before = {name: np.copy(value) for name, value in vars(display).items()}
    assert not [name for name in before if name.endswith("_")], "artists come with plot"
    assert display.plot() is display
    first = display.figure_
    assert display.plot().figure_ is not first
    for name, value in before.items():
        np.testing.assert_array_equal(getattr(display, name), value)
    artists = {name for name in vars(display) if name not in before}
    assert {"ax_", "figure_"} < artists
    assert all(name.endswith("_") for name in artists)
    documented = inspect.cleandoc(type(display).__doc__)
    assert all(f"\n{name} : " in documented for name in artists)
