"""Displays side by side: nothing leaves its cell, nothing covers anything else."""

from __future__ import annotations

import pickle
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfairloss import PixelLossRegressor, compare_loss_mixes, group_report
from skfairloss._inputs.groups import encode_groups
from skfairloss.displays import (
    CoefficientDisplay,
    CoefficientPathDisplay,
    GroupCalibrationDisplay,
    GroupLossDisplay,
    GroupPredictionDisplay,
    GroupResidualDisplay,
    LossMixDisplay,
    ModelComparisonDisplay,
    PixelGroupDisplay,
    TradeoffDisplay,
)
from tests.test_displays import LONG, texts_of

TITLE = "A title of several words for one of the panels"


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def pairs(display):
    """A function that makes a display of two quantities of each group."""

    def make(names):
        x, y = np.sort(np.random.default_rng(0).normal(size=(2, len(names), 10)))
        options = {"margins": np.full_like(y, 0.3)} if display is GroupCalibrationDisplay else {}
        return display(names, x, y, group_name="skin type × age", **options)

    return make


def coefficients(names):
    values = np.linspace(0.1, 1.0, len(names))  # the first interval contains 0, the last does not
    return CoefficientDisplay(names, values, lower=values - 0.2, upper=values + 0.3)


def coefficient_path(names):
    mixes, ends = np.linspace(0, 1, 9), np.random.default_rng(0).normal(size=len(names))
    return CoefficientPathDisplay(mixes, np.outer(1 + mixes, ends), names)


OTHERS = {
    "calibration": pairs(GroupCalibrationDisplay),
    "residuals": pairs(GroupResidualDisplay),
    "predictions": pairs(GroupPredictionDisplay),
    "coefficients": coefficients,
    "path": coefficient_path,
}
KINDS = ("losses", "mixes", "tradeoff", "images", "forest", *OTHERS)


def make(kind, names):
    """A display of groups, or of as many models or coefficients."""
    rng = np.random.default_rng(0)
    n = len(names)
    if kind == "losses":
        values = 1 + rng.random(n)
        counts = 20 + 30 * np.arange(n)
        limits = {"lower": values - 0.2, "upper": values + 0.3}
        return GroupLossDisplay(
            names, values, **limits, overall=1.4, counts=counts, group_name="skin type × age"
        )
    mixes = np.linspace(0, 1, 9)
    if kind == "mixes":
        curves = {name: 0.5 + 0.05 * i + (mixes - i / 12) ** 2 for i, name in enumerate(names)}
        by_group = pd.DataFrame(curves, index=mixes)
        share = 1 - mixes / 100
        overall = by_group.mean(axis=1)
        return LossMixDisplay(
            by_group, overall=overall, squared_share=share, group_name="skin type × age"
        )
    if kind == "tradeoff":
        table = pd.DataFrame({"mae": rng.random(n), "mean_residual": rng.random(n), "of": names})
        return TradeoffDisplay.from_frame(
            table, error="mae", disparity="mean_residual", label="of", selected=0
        )
    if kind == "forest":
        values = rng.normal(size=(n, 2))
        limits = {"lower": values - 0.2, "upper": values + 0.3}
        return ModelComparisonDisplay(
            ["all rows", *names[1:]],
            ["boosting", "L1"],
            values,
            **limits,
            counts=20 + 30 * np.arange(n),
            reference="L2",
            group_name="skin type × age",
        )
    if kind in OTHERS:
        return OTHERS[kind](names)
    truth = rng.random((n, 1, 6, 6))
    return PixelGroupDisplay(
        names, truth, truth + 0.1, np.full(truth.shape, 0.1), captions=["median error"]
    )


def box_of(ax):
    """The place of the axes, labels and all, in pixels."""
    return ax.get_tightbbox()


def legend_of(ax):
    return ax.get_legend().get_window_extent()


def overlap(first, second):
    shared = first.intersection(first, second)
    return shared is not None and min(shared.width, shared.height) > 1


def assert_within(inner, outer, what):
    assert inner.x0 >= outer.x0 - 1.5, what
    assert inner.y0 >= outer.y0 - 1.5, what
    assert inner.x1 <= outer.x1 + 1.5, what
    assert inner.y1 <= outer.y1 + 1.5, what


def highest_mark(ax):
    """Height in pixels of the highest point of a line."""
    points = [ax.transData.transform(line.get_xydata())[:, 1] for line in ax.lines]
    return max(heights.max(initial=0) for heights in points)


def assert_tidy(figure, displays):
    """No texts overlap, legends are inside and above the data, and no two displays touch."""
    figure.canvas.draw()
    for display in displays:
        assert_within(box_of(display.ax_), figure.bbox, "the figure")
        if display.ax_.get_legend() is not None:
            assert_within(legend_of(display.ax_), display.ax_.bbox, "the legend")
            assert highest_mark(display.ax_) <= legend_of(display.ax_).y0
    for first, second in combinations(displays, 2):
        assert not overlap(box_of(first.ax_), box_of(second.ax_))
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts_of(figure)]
    for (first, one), (second, other) in combinations(boxes, 2):
        assert not overlap(one, other), f"{first!r} and {second!r} overlap"


def on_grid(kind, names, shape, size, layout, **options):
    """Draw one display beside or above another, each with its own names."""
    figure, axes = plt.subplots(*shape, figsize=size, layout=layout)
    boxes = [ax.get_position().transformed(figure.transFigure) for ax in axes.flat]
    pairs = zip(names, axes.flat, strict=True)
    displays = [make(kind, own).plot(ax, **options) for own, ax in pairs]
    return figure, displays, boxes


NAMES = {
    "2": ["bright image", "dark image"],
    "4": LONG[:4],
    "12": LONG,
    "12 short": [f"group {i}" for i in range(12)],
}


@pytest.mark.parametrize("kind", KINDS)
def test_displays_stay_within_the_axes_of_a_plain_grid(kind):
    names = NAMES["2"], NAMES["12"]
    figure, displays, boxes = on_grid(kind, names, (1, 2), (8, 4), None, title=TITLE)
    assert_tidy(figure, displays)
    for display, box in zip(displays, boxes, strict=True):
        assert_within(box_of(display.ax_), box, "the axes that were given")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("numbers", "shape", "size"),
    [(("2", "12 short"), (1, 2), (8, 4)), (("4", "12"), (2, 1), (4, 6))],
)
def test_displays_leave_half_of_a_constrained_cell_to_the_axes(kind, numbers, shape, size):
    names = [NAMES[number] for number in numbers]
    figure, displays, _ = on_grid(kind, names, shape, size, "constrained", title=TITLE)
    assert_tidy(figure, displays)
    if "12 short" in numbers:
        assert not any("…" in text.get_text() for text in texts_of(figure))
    cell = figure.bbox.width / shape[1], figure.bbox.height / shape[0]
    for display in displays:
        box = display.ax_.bbox
        if kind == "images":  # of one aspect: the lower of two limits
            assert max(box.width / cell[0], box.height / cell[1]) >= 0.4
        else:
            assert box.width / cell[0] >= 0.5


@pytest.mark.parametrize("kind", ["losses", "mixes"])
@pytest.mark.parametrize(("font", "size"), [(10, (6.4, 4.8)), (16, (12, 4))])
def test_legends_and_ticks_have_room_in_a_small_grid_and_in_a_large_font(kind, font, size):
    with plt.rc_context({"font.size": font}):
        figure, displays, _ = on_grid(kind, [NAMES["2"]] * 3, (1, 3), size, None)
        assert_tidy(figure, displays)


@pytest.mark.parametrize("layout", [None, "constrained"])
def test_the_chosen_model_has_its_label_where_names_are_longer_than_the_axes(layout):
    names = [f"a model whose name has some fifty letters, number {i}" for i in range(5)]
    figure, displays, _ = on_grid("tradeoff", [names] * 2, (1, 2), (8, 4), layout)
    assert_tidy(figure, displays)
    for display in displays:
        label = display.labels_[0]
        assert " ".join(label.get_text().split()) == names[0]
        assert_within(label.get_window_extent(), display.ax_.bbox, "the label")


@pytest.mark.parametrize(("layout", "kinds"), [(None, KINDS[:6]), ("constrained", KINDS[4:])])
def test_displays_of_all_kinds_stand_side_by_side(layout, kinds):
    figure, axes = plt.subplots(2, 3, figsize=(18, 9), layout=layout)
    displays = [
        make(kind, LONG[:4]).plot(ax, title=kind) for kind, ax in zip(kinds, axes.flat, strict=True)
    ]
    assert_tidy(figure, displays)


@pytest.mark.parametrize("kind", KINDS)
def test_a_display_can_be_drawn_again_resized_and_laid_out_otherwise(kind):
    figure, axes = plt.subplots(1, 2, figsize=(10, 4))
    given = axes[0].get_position().transformed(figure.transFigure)
    display = make(kind, NAMES["2"]).plot(axes[0])
    first = box_of(display.ax_)
    display.plot(axes[0])
    assert_within(box_of(display.ax_), given, "the axes that were given")
    np.testing.assert_allclose(box_of(display.ax_).height, first.height, rtol=0.1)
    figure.set_size_inches(14, 6)
    figure.canvas.draw()
    given = display.ax_.get_position(original=True).transformed(figure.transFigure)
    assert_within(box_of(display.ax_), given, "the axes that were given")
    figure.tight_layout()
    figure.canvas.draw()
    assert_within(box_of(display.ax_), figure.bbox, "the figure")


@pytest.mark.parametrize("kind", KINDS)
def test_displays_draw_in_a_subfigure_and_in_inset_axes(kind):
    figure = plt.figure(figsize=(12, 5))
    left, right = figure.subfigures(1, 2)
    outer = right.subplots()
    displays = [
        make(kind, NAMES["2"]).plot(ax)
        for ax in (left.subplots(), outer.inset_axes((0.1, 0.1, 0.85, 0.85)))
    ]
    figure.canvas.draw()
    assert_within(box_of(displays[0].ax_), left.bbox, "the subfigure")
    assert_within(box_of(displays[1].ax_), outer.bbox, "the axes around it")


def test_axes_that_share_a_scale_show_the_lines_of_all_displays():
    figure, axes = plt.subplots(1, 3, figsize=(12, 4), layout="constrained", sharey=True)
    for shift, ax in zip((0, 5, -5), axes, strict=True):
        display = make("mixes", NAMES["4"])
        display.by_group = display.by_group + shift
        display.overall = display.overall + shift
        display.plot(ax)
    figure.canvas.draw()
    for ax in axes:
        for line in ax.lines:
            assert ax.get_ylim()[0] <= line.get_ydata().min()
        assert highest_mark(ax) <= legend_of(ax).y0


@pytest.mark.parametrize("kind", KINDS)
def test_a_legend_can_be_left_out_and_a_title_set(kind):
    plain = make(kind, NAMES["2"]).plot(legend=False)
    assert plain.ax_.get_legend() is None
    assert plain.ax_.get_title() == ""
    titled = make(kind, NAMES["2"]).plot(title="mine")
    assert titled.ax_.get_title() == "mine"
    if kind == "images":
        assert (len(plain.colorbars_), len(titled.colorbars_)) == (0, 2)
    else:
        assert titled.ax_.get_legend() is not None


def test_names_with_dollars_are_no_formulas():
    display = make("losses", ["under $10", "$10 - $20"]).plot()
    display.figure_.canvas.draw()
    labels = display.ax_.get_yticklabels()
    assert [label.get_text().replace(r"\$", "$").split(" (")[0] for label in labels] == [
        "under $10",
        "$10 - $20",
    ]
    assert not any(label._preprocess_math(label.get_text())[1] is True for label in labels)


@pytest.mark.parametrize("kind", KINDS)
def test_a_drawn_display_can_be_pickled(kind):
    display = make(kind, NAMES["2"]).plot()
    copy = pickle.loads(pickle.dumps(display))
    display.figure_.canvas.draw()
    copy.figure_.canvas.draw()
    assert texts_of(copy.figure_)
    for text, original in zip(texts_of(copy.figure_), texts_of(display.figure_), strict=True):
        assert text.get_text() == original.get_text()


@pytest.mark.parametrize("kind", KINDS)
def test_several_axes_are_refused(kind):
    _, axes = plt.subplots(1, 2)
    with pytest.raises(TypeError, match="ax must be one matplotlib Axes, got ndarray"):
        make(kind, NAMES["2"]).plot(axes)


# The column of the groups


SIZES = pd.CategoricalDtype(["small", "medium", "big"], ordered=True)


@pytest.fixture(scope="module")
def sample():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 2))
    y = X[:, 0] + rng.normal(size=90)
    return X, y, pd.Series(np.resize(["medium", "big", "small"], 90), dtype=SIZES, name="size")


def shown(display):
    """Names of the groups in the order drawn, and what is written beside them."""
    ax = display.ax_
    if isinstance(display, GroupLossDisplay):
        return [t.get_text().split("\n")[0].split(" (")[0] for t in ax.get_yticklabels()], (
            ax.get_ylabel()
        )
    if isinstance(display, ModelComparisonDisplay):
        names = [t.get_text().split("\n")[0].split(" (")[0] for t in ax.get_yticklabels()]
        assert names[0] == "all rows"
        return names[1:-1], ax.get_ylabel()
    if isinstance(display, LossMixDisplay):
        legend = ax.get_legend()
        return [t.get_text() for t in legend.get_texts()[1:]], legend.get_title().get_text()
    (above,) = (child for child in ax.child_axes if "Secondary" in type(child).__name__)
    return [t.get_text() for t in above.get_xticklabels()], above.get_xlabel()


def plots_by_group(X, y, groups):
    images = {"image_shape": (1, 1), "sensitive_features": groups}
    fast = {"sensitive_features": groups, "n_boot": None}
    model = Ridge().fit(X, y)
    compared = {"loss_mixes": [0, 1], "cv": 3, "n_repeats": 1, "sensitive_features": groups}
    return {
        "losses": lambda: GroupLossDisplay.from_predictions(y, model.predict(X), **fast),
        "losses of an estimator": lambda: GroupLossDisplay.from_estimator(model, X, y, **fast),
        "report": lambda: group_report(y, model.predict(X), **fast).plot("rmse"),
        "mixes": lambda: LossMixDisplay.from_estimator(
            PixelLossRegressor(), X, y, param_range=[0, 1], cv=2, **fast
        ),
        "comparison": lambda: compare_loss_mixes(X, y, **compared).plot(),
        "levels": lambda: compare_loss_mixes(X, y, **compared).plot(kind="levels"),
        "images": lambda: PixelGroupDisplay.from_predictions(
            y[:, None], model.predict(X)[:, None], **images
        ),
        "images of a report": lambda: group_report(
            y[:, None], model.predict(X)[:, None], image_shape=(1, 1), **fast
        ).plot_images(),
    }


PLOTS = list(plots_by_group(np.eye(2), np.zeros(2), None))


@pytest.mark.parametrize("plot", PLOTS)
def test_ordered_categories_keep_their_order_and_axes_name_the_column(plot, sample):
    names, column = shown(plots_by_group(*sample)[plot]())
    assert names == ["small", "medium", "big"]
    assert column == "size"


@pytest.mark.parametrize("plot", PLOTS)
def test_axes_name_all_columns_of_an_intersection(plot, sample):
    X, y, size = sample
    table = pd.DataFrame({"sex": np.resize(["m", "f"], 90), "size": size})
    names, column = shown(plots_by_group(X, y, table)[plot]())
    expected = [f"{sex}, {s}" for sex in "fm" for s in ("small", "medium", "big")]
    assert [" ".join(name.split()) for name in names] == expected
    assert column == "sex × size"


@pytest.mark.parametrize(
    ("groups", "title"),
    [
        (["a", "b"], "group"),
        (np.array([["a", "x"], ["b", "y"]]), "group"),
        (pd.Series(["a", "b"], name="sex"), "sex"),
        (pd.Series(["a", "b"], name=0), "group"),
        (pd.DataFrame([["a", "x"], ["b", "y"]]), "group"),
        (pd.DataFrame({"sex": ["a", "b"], "": ["x", "y"]}), "group"),
        ({"sex": ["a", "b"], "age": [1, 2]}, "sex × age"),
        (pd.DataFrame({"sex": ["a", "b"]}), "sex"),
    ],
)
def test_the_title_of_groups_is_the_names_of_their_columns(groups, title):
    assert encode_groups(groups).title == title


# Mixes that are one of their ends


def note(display):
    return "" if display.note_ is None else " ".join(display.note_.get_text().split())


def test_a_line_says_where_a_mix_is_nearly_an_end_at_the_scale_used(sample):
    X, y, size = sample
    options = {"sensitive_features": size, "param_range": [0, 0.25, 0.5, 1], "cv": 3}
    small = LossMixDisplay.from_estimator(PixelLossRegressor(scale=1e-4), X, y, **options)
    assert note(small) == "At this scale loss_mix 0.25, 0.5 are nearly L2."
    assert small.squared_share.shape == (4,)
    assert_within(small.note_.get_window_extent(), small.ax_.bbox, "the line")
    large = LossMixDisplay.from_estimator(PixelLossRegressor(scale=1e4), X, y, **options)
    assert note(large) == "At this scale loss_mix 0.25, 0.5 are nearly L1."
    assert note(LossMixDisplay.from_estimator(PixelLossRegressor(), X, y, **options)) == ""
    pipe = make_pipeline(StandardScaler(), PixelLossRegressor(scale=1e-4))
    named = {**options, "param_name": "pixellossregressor__loss_mix"}
    assert note(LossMixDisplay.from_estimator(pipe, X, y, **named)) == note(small)


def test_other_parameters_and_estimators_have_no_such_line(sample):
    X, y, size = sample
    options = {"sensitive_features": size, "cv": 3, "n_boot": None}
    tiny = PixelLossRegressor(scale=1e-4, loss_mix=0.5)
    alphas = {"param_name": "alpha", "param_range": [0.0, 0.5]}
    for estimator in (tiny, Ridge()):
        display = LossMixDisplay.from_estimator(estimator, X, y, **options, **alphas)
        assert display.note_ is None
        assert display.squared_share is None


def test_the_plot_of_a_comparison_says_what_its_verdict_says(sample):
    X, y, size = sample
    mixes = {"loss_mixes": [0, 0.5, 1], "scale": 1e-4, "cv": 3, "n_repeats": 1}
    found = compare_loss_mixes(X, y, sensitive_features=size, random_state=0, **mixes)
    said = note(found.plot(kind="levels"))
    assert said == "At this scale loss_mix 0.5 is nearly L2."
    assert said in found.details


def test_folds_predict_what_cross_val_predict_does_and_must_leave_out_each_row_once(sample):
    X, y, size = sample
    order = np.random.default_rng(1).permutation(90)
    folds = [(np.setdiff1d(order, part), part) for part in np.array_split(order, 4)]
    options = {"sensitive_features": size, "param_name": "alpha", "param_range": [3.0]}
    display = LossMixDisplay.from_estimator(Ridge(), X, y, cv=folds, **options)
    residuals = np.abs(y - cross_val_predict(Ridge(3.0), X, y, cv=folds))
    assert display.overall[0] == pytest.approx(residuals.mean())
    with pytest.raises(ValueError, match=r"leave out each of 90 rows in one fold, got 3 folds"):
        LossMixDisplay.from_estimator(Ridge(), X, y, cv=folds[:3], **options)


def test_names_that_cannot_be_printed_are_spelled_out():
    y = np.arange(8.0)
    groups = ["a", "a\x00"] * 4
    display = GroupLossDisplay.from_predictions(y, y + 1, sensitive_features=groups)
    names = [label.get_text().split(" (")[0] for label in display.ax_.get_yticklabels()]
    assert names == ["a", r"a\x00"]
