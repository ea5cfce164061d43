"""`compare_loss_mixes`: what is compared, on which rows, and what is said about it."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GroupKFold, RepeatedKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfairloss import PixelLossRegressor, compare_loss_mixes
from skfairloss.callbacks import GroupLossMonitor
from skfairloss.fairness import ResidualParity, WorstGroupLoss
from skfairloss.metrics import group_metric_frame
from tests.test_examples import run
from tests.test_loss_mix_path import data, needs_callbacks

MIXES = [0.0, 0.5, 1.0]


def compare(n=200, outputs=None, **options):
    X, y, _, group = data(n, outputs=outputs)
    options = {"loss_mixes": MIXES, "random_state": 0} | options
    return compare_loss_mixes(X, y, sensitive_features=group, **options), (X, y, group)


@pytest.mark.parametrize("outputs", [None, 3])
@pytest.mark.parametrize(("metric", "column"), [("mae", "mae"), ("mse", "mse")])
def test_losses_are_those_of_the_out_of_fold_predictions(outputs, metric, column):
    found, (_, y, group) = compare(outputs=outputs, metrics=metric, n_repeats=1)
    for j, mix in enumerate(MIXES):
        frame = group_metric_frame(y, found.predictions[0, j], sensitive_features=group)
        rows = found.by_group[found.by_group["loss_mix"] == mix].set_index("group")
        for name in "uv":
            np.testing.assert_allclose(rows.loc[name, "value"], frame.by_group[column][name])
            assert rows.loc[name, "count"] == frame.by_group["count"][name]
        at = found.overall.set_index("loss_mix").loc[mix]
        np.testing.assert_allclose(at["value"], frame.overall[column])
        high, low = found.disparity_groups
        np.testing.assert_allclose(
            found.disparity.set_index("loss_mix").loc[mix, "value"],
            frame.by_group[column][high] - frame.by_group[column][low],
        )


def test_every_prediction_is_that_of_a_model_that_did_not_see_the_row():
    found, (X, y, group) = compare(n_repeats=2)
    for r in range(2):
        for k in range(5):
            test = found.folds[r] == k
            shares = [np.mean(group[test] == name) for name in "uv"]
            np.testing.assert_allclose(shares, [np.mean(group == name) for name in "uv"], atol=0.03)
            for j, mix in enumerate(MIXES):
                model = PixelLossRegressor(mix, scale="auto").fit(X[~test], y[~test])
                expected = model.predict(X[test])
                np.testing.assert_allclose(found.predictions[r, j, test], expected, atol=1e-6)
    assert (found.folds[0] != found.folds[1]).any()


def test_differences_are_paired_and_their_intervals_shorter_than_those_of_the_losses():
    found, _ = compare(600)
    losses = found.overall.set_index("loss_mix")
    rows = found.differences[found.differences["statistic"] == "overall"].set_index("loss_mix")
    for mix in MIXES[1:]:
        expected = losses.loc[mix, "value"] - losses.loc[0.0, "value"]
        np.testing.assert_allclose(rows.loc[mix, "difference"], expected, atol=1e-12)
        assert rows.loc[mix, "lower"] < expected < rows.loc[mix, "upper"]
    paired = rows["upper"] - rows["lower"]
    assert (paired < 0.5 * (losses["upper"] - losses["lower"]).loc[MIXES[1:]]).all()
    wider, _ = compare(600, confidence_level=0.99)
    assert (
        wider.differences["upper"] - wider.differences["lower"]
        > found.differences["upper"] - found.differences["lower"]
    ).all()


def test_scaled_and_shifted_targets_scale_everything_and_change_no_verdict():
    X, y, _, group = data(300)
    options = {"sensitive_features": group, "loss_mixes": MIXES, "random_state": 0}
    found = compare_loss_mixes(X, y, **options)
    other = compare_loss_mixes(X, 50.0 + 1e-3 * y, **options)
    for column in ("difference", "lower", "upper"):
        np.testing.assert_allclose(
            other.differences[column], 1e-3 * found.differences[column], rtol=1e-4, atol=1e-9
        )
    assert (other.differences["detected"] == found.differences["detected"]).all()


def test_rows_of_weight_zero_do_not_count_and_a_common_factor_changes_nothing():
    X, y, _, group = data(300)
    weights = np.random.default_rng(1).integers(1, 4, 300).astype(float)
    fold = np.arange(300) % 5
    cv = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(5)]
    options = {"sensitive_features": group, "loss_mixes": MIXES, "cv": cv}
    found = compare_loss_mixes(X, y, sample_weight=weights, **options)
    scaled = compare_loss_mixes(X, y, sample_weight=7 * weights, **options)
    numbers = ["difference", "lower", "upper"]
    np.testing.assert_allclose(
        scaled.differences[numbers], found.differences[numbers], rtol=1e-6, atol=1e-10
    )
    some = np.where(np.arange(300) < 100, 0.0, 1.0)
    cut = compare_loss_mixes(X, y, sample_weight=some, **options)
    kept = np.arange(100, 300)
    fewer = [(np.flatnonzero(fold[kept] != k), np.flatnonzero(fold[kept] == k)) for k in range(5)]
    options |= {"sensitive_features": group[kept], "cv": fewer}
    alone = compare_loss_mixes(X[kept], y[kept], **options)
    np.testing.assert_allclose(
        cut.differences[numbers], alone.differences[numbers], rtol=1e-6, atol=1e-10
    )


@pytest.mark.parametrize("routing", [False, True])
def test_pipelines_and_what_is_around_them_give_what_their_regressor_gives(routing):
    X, y, _, group = data(200)
    options = {"sensitive_features": group, "loss_mixes": MIXES, "random_state": 0}
    term = {"fairness": WorstGroupLoss(0.5)}
    plain = compare_loss_mixes(X, y, estimator=PixelLossRegressor(**term), **options)
    pipe = make_pipeline(StandardScaler(), PixelLossRegressor(**term))
    with sklearn.config_context(enable_metadata_routing=routing):
        piped = compare_loss_mixes(X, y, estimator=pipe, **options)
        # a meta-estimator around the pipeline passes arguments on to it
        deep = compare_loss_mixes(
            pd.DataFrame(X, columns=list("abcd")), y, estimator=make_pipeline(pipe), **options
        )
    for other in (piped, deep):
        np.testing.assert_allclose(
            other.overall["value"].to_numpy(), plain.overall["value"].to_numpy(), rtol=1e-4
        )
    assert pipe[-1].loss_mix == 0.5
    assert pipe[-1].scale == "auto"


def test_a_transformed_target_is_compared_in_its_own_units():
    X, y, _, group = data(200)
    model = TransformedTargetRegressor(PixelLossRegressor(), transformer=StandardScaler())
    options = {"sensitive_features": group, "loss_mixes": MIXES, "random_state": 0}
    with sklearn.config_context(enable_metadata_routing=True):
        found = compare_loss_mixes(X, y, estimator=model, **options)
    plain = compare_loss_mixes(X, y, **options)
    np.testing.assert_allclose(found.overall["value"], plain.overall["value"], rtol=1e-6)


@pytest.mark.parametrize("outputs", [None, 2])
def test_fairness_terms_and_several_outputs_are_compared(outputs):
    estimator = PixelLossRegressor(fairness=ResidualParity(0.1))
    found, _ = compare(150, outputs=outputs, estimator=estimator, n_repeats=1)
    assert np.isfinite(found.to_frame().select_dtypes("number").to_numpy()).all()


def test_the_reference_the_groups_of_the_disparity_and_a_row_loss_can_be_named():
    def cubed(y_true, y_pred):
        return np.abs(y_true - y_pred) ** 3

    found, _ = compare(reference=1.0, disparity_groups=("u", "v"), metrics=cubed)
    assert found.disparity_groups == ("u", "v")
    assert set(found.differences["loss_mix"]) == {0.0, 0.5}
    assert (found.disparity["value"] < 0).all(), "group v has the larger errors"
    assert "cubed" in found.verdict
    assert "cubed" in found.details
    automatic, _ = compare()
    assert automatic.disparity_groups == ("v", "u")


def test_the_scale_of_the_estimator_stays_where_none_is_given():
    X, y, _, group = data(200)
    options = {"sensitive_features": group, "loss_mixes": [0.0, 0.5], "random_state": 0}
    own = PixelLossRegressor(scale=1e-6)
    kept = compare_loss_mixes(X, y, estimator=own, **options)
    given = compare_loss_mixes(X, y, scale=1e-6, **options)
    np.testing.assert_array_equal(kept.predictions, given.predictions)
    assert (
        compare_loss_mixes(X, y, estimator=own, scale="auto", **options).predictions
        != kept.predictions
    ).any()


def test_splits_of_ones_own_are_taken_if_they_test_every_row():
    X, y, _, group = data(200)
    options = {"sensitive_features": group, "loss_mixes": MIXES}
    blocks = np.arange(200) // 10
    found = compare_loss_mixes(X, y, cv=list(GroupKFold(4).split(X, groups=blocks)), **options)
    assert all(len(set(found.folds[0][blocks == b])) == 1 for b in range(20))
    twice = compare_loss_mixes(X, y, cv=RepeatedKFold(n_splits=4, n_repeats=2), **options)
    assert twice.predictions.shape[0] == 2
    by_group = compare_loss_mixes(X, y, cv=StratifiedKFold(4), **options)
    shares = [np.mean(group[by_group.folds[0] == k] == "u") for k in range(4)]
    np.testing.assert_allclose(shares, np.mean(group == "u"), atol=0.02)
    half = [(np.arange(100), np.arange(100, 200))]
    with pytest.raises(ValueError, match="cv must test every row once"):
        compare_loss_mixes(X, y, cv=half, **options)
    seen = [(np.arange(200), np.arange(k, k + 50)) for k in range(0, 200, 50)]
    with pytest.raises(ValueError, match="cv must test every row once"):
        compare_loss_mixes(X, y, cv=seen, **options)
    order = np.argsort(group, kind="stable")  # the group v comes last
    apart = [
        (np.delete(order, s), order[s]) for s in (slice(0, 60), slice(60, 120), slice(120, 200))
    ]
    with pytest.raises(ValueError, match="'v' in 1 fold only"):
        compare_loss_mixes(X, y, cv=apart, **options)


def test_the_same_model_under_two_mixes_is_no_detectable_difference():
    X, _, _, group = data(200)
    exact = X @ np.arange(4.0)  # fitted without residuals, whatever the loss
    found = compare_loss_mixes(
        X, exact, sensitive_features=group, loss_mixes=[0.0, 1.0], scale=1.0, random_state=0
    )
    assert (found.differences[["lower", "upper"]].abs() < 1e-9).all(axis=None)
    noisy, _ = compare(100)
    quiet = noisy.differences[~noisy.differences["detected"]]
    assert len(quiet), "a case in which not everything is detected"
    named = quiet[["statistic", "group"]].drop_duplicates()
    assert noisy.details.count("no detectable difference") == len(named)


def test_the_details_say_of_each_quantity_what_its_intervals_say():
    found, _ = compare(400)
    sentences = dict(
        sentence.split(": ", 1) for sentence in found.details.split(". ") if ": " in sentence
    )
    for group in "uv":
        words = sentences[f"In the group {group}"]
        rows = found.differences[found.differences["group"] == group]
        detected = rows[rows["detected"]]
        assert ("lower under" in words) == (detected["difference"] < 0).any()
        assert ("higher under" in words) == (detected["difference"] > 0).any()
        assert ("no detectable difference" in words) == (~rows["detected"]).any()
    for word in ("debiased", "unbiased", "fair "):
        assert word not in found.verdict + found.details


def test_the_details_say_where_the_other_group_becomes_the_worse_off_one():
    rng = np.random.default_rng(0)
    group = np.repeat(["few", "many"], [100, 200])
    level, spread = np.repeat([0.0, 1.0], [100, 200]), np.repeat([0.7, 0.2], [100, 200])
    y = level + spread * rng.choice([-1.0, 1.0], 300) + 0.01 * rng.normal(size=300)
    found = compare_loss_mixes(
        np.zeros((300, 1)),
        y,
        sensitive_features=group,
        loss_mixes=[0.0, 1.0],
        disparity_groups=("few", "many"),
        reference=0.0,
        random_state=0,
    )
    turned = found.disparity["value"].prod() < 0
    assert ("Its sign is the opposite under loss_mix=1." in found.details) == turned
    same = compare_loss_mixes(
        np.zeros((300, 1)), y, sensitive_features=group, loss_mixes=[0.0, 0.1], random_state=0
    )
    assert "sign is the opposite" not in same.details


def test_the_frame_holds_every_estimate_and_the_reference_differs_by_nothing():
    found, _ = compare()
    frame = found.to_frame()
    assert len(frame) == len(MIXES) * 4
    own = frame[frame["loss_mix"] == 0.0]
    assert (own[["difference", "difference_lower", "difference_upper"]] == 0).all(axis=None)
    row = frame[(frame["loss_mix"] == 1.0) & (frame["group"] == "v")]
    table = found.differences.query("loss_mix == 1 and group == 'v'")
    assert row["difference_lower"].item() == table["lower"].item()


def test_text_html_and_plot_show_the_same_numbers_and_escape_names():
    X, y, _, group = data(150)
    named = np.where(group == "u", "<b>bold</b>", "v")
    found = compare_loss_mixes(
        X, y, sensitive_features=named, loss_mixes=[0.0, 1.0], random_state=0
    )
    assert repr(found).startswith(found.verdict)
    assert repr(found).endswith(found.details)
    assert "<b>" not in found._repr_html_()
    assert "&lt;b&gt;bold" in found._repr_html_()
    import matplotlib.pyplot as plt

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        display = found.plot(kind="levels")
    np.testing.assert_array_equal(display.overall_line_.get_ydata(), found.overall["value"])
    losses = found.by_group.set_index(["group", "loss_mix"])["value"]
    for name, line in zip(["<b>bold</b>", "v"], display.lines_, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), losses[name])
    names = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert names == ["all rows", "<b>bold</b>", "v"]
    assert found.plot(display.ax_, kind="levels").ax_ is display.ax_
    plt.close(display.figure_)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"loss_mixes": [0.0]}, ValueError, "at least two mixes"),
        ({"loss_mixes": [0.5, 1.0]}, ValueError, "reference must be one of loss_mixes"),
        ({"metrics": "count"}, ValueError, "metrics must be one of"),
        ({"metrics": lambda a, b: 1.0}, ValueError, "metric must return a finite loss"),
        ({"n_repeats": 0}, ValueError, "n_repeats must be"),
        ({"confidence_level": 1.0}, ValueError, "confidence_level must be"),
        ({"cv": 2}, ValueError, "cv must be at least 3"),
        ({"disparity_groups": ("u", "w")}, ValueError, "disparity_groups must be two of"),
        ({"disparity_groups": ("u", "u")}, ValueError, "disparity_groups must be two of"),
        ({"estimator": LinearRegression()}, TypeError, "exactly one"),
    ],
)
def test_bad_arguments_are_named(options, error, words):
    with pytest.raises(error, match=words):
        compare(60, **options)


def test_groups_that_cannot_be_compared_are_errors():
    X, y, _, group = data(60)
    with pytest.raises(ValueError, match="a comparison needs two"):
        compare_loss_mixes(X, y, sensitive_features=["u"] * 60)
    rare = np.where(np.arange(60) < 3, "rare", group)
    with pytest.raises(ValueError, match="'rare' has 3 rows, fewer than the cv=5 folds"):
        compare_loss_mixes(X, y, sensitive_features=rare)
    with pytest.raises(ValueError, match="sample_weight is 0 in all rows of the group 'u'"):
        compare_loss_mixes(
            X, y, sensitive_features=group, sample_weight=(group == "v").astype(float)
        )


@needs_callbacks
@pytest.mark.parametrize("piped", [False, True])
def test_a_monitor_records_every_fit_of_a_comparison(piped):
    X, y, _, group = data(100)
    monitor = GroupLossMonitor()
    model = PixelLossRegressor()
    compare_loss_mixes(
        X,
        y,
        sensitive_features=group,
        loss_mixes=[0.0, 1.0],
        cv=3,
        n_repeats=1,
        estimator=make_pipeline(StandardScaler(), model) if piped else model,
        callbacks=[monitor],
    )
    frame = monitor.to_frame()
    assert frame["run"].nunique() == 1
    assert (frame["task"] == "fit").sum() == 2 * 3 * 2
    assert not hasattr(model, "_skl_callbacks")


@needs_callbacks
def test_a_progress_bar_counts_the_fits_of_a_comparison(capsys, monkeypatch):
    pytest.importorskip("rich")
    from sklearn.callback import ProgressBar

    monkeypatch.setenv("COLUMNS", "200")
    compare(60, cv=3, n_repeats=1, callbacks=[ProgressBar(max_propagation_depth=None)])
    lines = capsys.readouterr().out.splitlines()
    assert sum("PixelLossRegressor - fit" in line for line in lines) == 3 * 3
    assert all("100%" in line for line in lines)


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_mix_that_is_an_end_at_its_scale_is_said_to_be_one(wrapped):
    X, y, _, group = data(200)
    mixes = [0.0, 0.3, 0.5, 1.0]

    def compare(scale):
        own = PixelLossRegressor(scale=scale)
        if wrapped:
            own = TransformedTargetRegressor(make_pipeline(StandardScaler(), own))
        return compare_loss_mixes(
            X, y, sensitive_features=group, loss_mixes=mixes, estimator=own, cv=3, random_state=0
        )

    assert "At this scale loss_mix 0.3, 0.5 are nearly L2." in compare(1e-4).details
    assert "At this scale loss_mix 0.3, 0.5 are nearly L1." in compare(1e4).details
    found = compare("auto")
    assert "At this scale" not in found.details
    shares = found.squared_shares
    assert shares[0] == 1.0
    assert shares[-1] == 0.0
    assert (np.diff(shares) < 0).all()


def test_the_benchmark_prints_the_comparison_in_its_fits(tmp_path):
    options = "--rows 200 --features 2 --mixes 2 --folds 3 --repeats 1"
    text = run("tests/benchmarks/comparison_speed.py", *options.split(), cwd=tmp_path)
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if " fits | " in line]
    assert rows[0][0] == "single fits"
    assert all(float(ratio) > 0 for _, ratio in rows)
