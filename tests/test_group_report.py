"""group_report: values, intervals, tables, text and HTML."""

from __future__ import annotations

import pickle
import xml.etree.ElementTree as ET
from datetime import date

import numpy as np
import pandas as pd
import polars as pl
import pytest
from fairlearn.metrics import MetricFrame
from sklearn.metrics import mean_absolute_error, median_absolute_error

from skfairloss import group_report
from skfairloss._inputs.groups import encode_groups
from skfairloss.metrics import group_metric_frame
from skfairloss.metrics._named import DEFAULT_METRICS
from tests.test_examples import run

MEASURED = [name for name in DEFAULT_METRICS if name != "count"]


def draw(n=200, outputs=(), groups="abc", seed=0, shift=0.0, scale=1.0):
    """Targets, predictions with errors that grow from group to group, groups and weights."""
    rng = np.random.default_rng(seed)
    codes = np.arange(n) % len(groups)
    spread = (1.0 + 0.5 * codes).reshape(-1, *[1] * len(outputs))
    y_true = rng.normal(size=(n, *outputs))
    y_pred = y_true + spread * rng.normal(0.2, 1.0, size=(n, *outputs))
    weights = rng.uniform(0.5, 2, n)
    return shift + scale * y_true, shift + scale * y_pred, np.array(list(groups))[codes], weights


def wrap(metric):
    """Return the same metric as another function, which has to be called for each sample."""
    return lambda y_true, y_pred, sample_weight=None: metric(
        y_true, y_pred, sample_weight=sample_weight
    )


WRAPPED = {name: wrap(DEFAULT_METRICS[name]) for name in MEASURED}


@pytest.mark.parametrize("outputs", [(), (3,), (4, 2)])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("method", ["between_groups", "to_overall"])
def test_the_values_are_those_of_the_metric_frame(outputs, weighted, method):
    y_true, y_pred, groups, weights = draw(outputs=outputs)
    s = weights if weighted else None
    arguments = {"sensitive_features": groups, "sample_weight": s}
    report = group_report(y_true, y_pred, **arguments, method=method, n_boot=20, random_state=0)
    frame = group_metric_frame(y_true, y_pred, **arguments)
    assert isinstance(report.metric_frame, MetricFrame)
    pd.testing.assert_frame_equal(report.by_group, frame.by_group, check_exact=True)
    for own, other in (
        (report.overall, frame.overall),
        (report.difference, frame.difference(method=method)),
        (report.ratio, frame.ratio(method=method)),
    ):
        pd.testing.assert_series_equal(own, other, check_exact=True)


@pytest.mark.parametrize("outputs", [(), (3,), (30, 10)])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (1e4, 1e-3), (-7.0, 1e5)])
def test_intervals_from_sums_are_those_of_metrics_called_on_the_rows_drawn(
    outputs, weighted, shift, scale
):
    y_true, y_pred, groups, weights = draw(90, outputs, shift=shift, scale=scale)
    y_true[groups == "c"] += 50 * scale  # r2 of all rows: between groups as well as within
    s = 1e3 * weights if weighted else None
    arguments = {"sensitive_features": groups, "sample_weight": s, "random_state": 3, "n_boot": 15}
    sums = group_report(y_true, y_pred, **arguments).to_frame()
    called = group_report(y_true, y_pred, **arguments, metrics=WRAPPED).to_frame()
    columns = ["value", "lower", "upper"]
    finite = sums[columns].abs().to_numpy()
    size = np.nanmax(finite) if np.isfinite(finite).any() else 1.0
    assert sums[columns].notna().equals(called[columns].notna())
    for metric in MEASURED:
        own, other = (frame.loc[frame["metric"] == metric, columns] for frame in (sums, called))
        np.testing.assert_allclose(own, other, rtol=1e-6, atol=1e-9 * min(size, scale))


def test_intervals_agree_with_those_of_the_metric_frame_within_monte_carlo_error():
    rng = np.random.default_rng(1)
    n, drawn, own_drawn = 400, 400, 4000
    y_true = rng.normal(size=n)
    groups = np.repeat(["a", "b"], n // 2)
    y_pred = y_true + np.where(groups == "a", 1, 2.5) * rng.normal(size=n)
    metrics = {name: DEFAULT_METRICS[name] for name in ("mae", "mean_residual")}
    options = {"sensitive_features": groups, "metrics": metrics, "random_state": 0}
    frame = group_metric_frame(y_true, y_pred, **options, n_boot=drawn, ci_quantiles=[0.025, 0.975])
    report = group_report(y_true, y_pred, **options, n_boot=own_drawn)
    # standard error of the 2.5 % quantile of a normal sample: √(p (1 - p) / n) / density
    error = np.sqrt(0.025 * 0.975 * (1 / drawn + 1 / own_drawn)) / 0.0584

    def check(own, other):
        for ours, theirs in zip(own, other, strict=True):
            assert np.abs(ours - theirs) < 4.5 * error * (own[1] - own[0]) / 3.92

    for group in ("a", "b"):
        for name in metrics:
            own, other = (
                [limits.loc[group, name] for limits in source.by_group_ci]
                for source in (report, frame)
            )
            check(own, other)
    # the groups have one mean residual: drawing within them or from all rows is the same
    check(*([limits["mean_residual"] for limits in x.overall_ci] for x in (report, frame)))
    # and MAE far apart: the difference is that of one pair, its samples are symmetric
    check([x["mae"] for x in report.difference_ci], [x["mae"] for x in frame.difference_ci()])
    check([x["mae"] for x in report.ratio_ci], [x["mae"] for x in frame.ratio_ci()])


def shares_of_intervals(repetitions, spreads, true_difference, rows=80, n_boot=200):
    """Shares of intervals that contain the truth: MAE of the first group, and difference."""
    covered, contained = 0, 0
    mae = np.sqrt(2 / np.pi)
    for seed in range(repetitions):
        rng = np.random.default_rng([seed, *(int(10 * spread) for spread in spreads)])
        codes = np.repeat(np.arange(len(spreads)), rows)
        errors = rng.normal(size=len(codes)) * np.array(spreads)[codes]
        report = group_report(
            np.zeros_like(errors),
            errors,
            sensitive_features=codes,
            metrics={"mae": mean_absolute_error},
            n_boot=n_boot,
            random_state=seed,
        )
        lower, upper = (limits["mae"] for limits in report.difference_ci)
        contained += lower <= true_difference * mae <= upper
        low, high = (limits["mae"].iloc[0] for limits in report.by_group_ci)
        covered += low <= spreads[0] * mae <= high
    return covered / repetitions, contained / repetitions


@pytest.mark.parametrize(
    ("spreads", "true_difference"), [([1, 1], 0), ([1, 1, 1, 1], 0), ([1, 1.3], 0.3)]
)
def test_intervals_contain_the_truth_also_where_there_is_no_difference(spreads, true_difference):
    covered, contained = shares_of_intervals(100, spreads, true_difference)
    # four standard errors of a share of 0.95 (0.93 for 200 samples and 80 rows) in 100
    assert covered > 0.93 - 4 * 0.0255
    assert contained > 0.93 - 4 * 0.0255


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spreads", "true_difference"), [([1, 1], 0), ([1, 1, 1, 1], 0), ([1, 1.3], 0.3), ([2, 1], 1)]
)
def test_intervals_keep_their_level_in_many_repetitions_of_groups_of_400_rows(
    spreads, true_difference
):
    covered, contained = shares_of_intervals(1000, spreads, true_difference, rows=400, n_boot=1000)
    assert 0.92 < covered < 0.98
    assert contained > 0.92
    if len(spreads) == 2:  # among more groups the interval is wider than it has to be
        assert contained < 0.98


def test_the_scale_of_weights_and_rows_of_weight_zero_do_not_matter():
    y_true, y_pred, groups, weights = draw(60)
    report = group_report(
        y_true, y_pred, sensitive_features=groups, sample_weight=weights, random_state=0
    )
    with_others = [np.concatenate([a, b]) for a, b in ((y_true, [9, 9]), (y_pred, [1, 2]))]
    other = group_report(
        *with_others,
        sensitive_features=[*groups, "gone", "a"],
        sample_weight=[*(5 * weights), 0, 0],
        random_state=0,
    )
    pd.testing.assert_frame_equal(report.to_frame(), other.to_frame())


@pytest.mark.parametrize("kind", [int, np.random.default_rng, np.random.RandomState])
def test_a_random_state_gives_the_same_intervals_again(kind):
    y_true, y_pred, groups, _ = draw(60)
    frames = [
        group_report(
            y_true, y_pred, sensitive_features=groups, n_boot=50, random_state=kind(seed)
        ).to_frame()
        for seed in (1, 1, 2)
    ]
    pd.testing.assert_frame_equal(frames[0], frames[1])
    assert not frames[0]["lower"].equals(frames[2]["lower"])


def test_the_tidy_table_holds_what_the_attributes_say():
    y_true, y_pred, groups, _ = draw(90)
    report = group_report(y_true, y_pred, sensitive_features=groups, random_state=0)
    table = report.to_frame()
    assert list(table["metric"].unique()) == MEASURED
    assert table["count"].tolist() == [30, 30, 30, 90, 90, 90] * len(MEASURED)
    by_group = table[table["statistic"] == "by_group"].set_index(["group", "metric"])
    for column, frame in (
        ("value", report.by_group),
        ("lower", report.by_group_ci[0]),
        ("upper", report.by_group_ci[1]),
    ):
        wide = by_group[column].unstack("metric")[MEASURED]
        np.testing.assert_array_equal(wide, frame[MEASURED])
    for statistic in ("overall", "difference", "ratio"):
        rows = table[table["statistic"] == statistic].set_index("metric")
        assert rows["group"].isna().all()
        limits = getattr(report, f"{statistic}_ci")
        for column, series in (("lower", limits[0]), ("upper", limits[1])):
            np.testing.assert_array_equal(rows[column], series[MEASURED])
    ratios = table[table["statistic"] == "ratio"].set_index("metric")
    assert ratios.loc["mae", "value"] == report.ratio["mae"]
    assert ratios.loc["mean_residual"].isna()[["value", "lower", "upper"]].all(), "signs differ"


def test_small_groups_are_flagged_and_a_single_row_has_no_interval():
    y_true, y_pred, _, _ = draw(100)
    groups = np.repeat(["large", "small", "single"], [70, 29, 1])
    report = group_report(y_true, y_pred, sensitive_features=groups, random_state=0)
    assert report.small_groups == ["single", "small"]
    lower, upper = report.by_group_ci
    assert lower.loc["single"].isna().all()
    assert upper.loc["single"].isna().all()
    assert lower.loc["small", MEASURED].notna().all()
    assert lower["count"].isna().all(), "the sizes of groups are given, not drawn"
    # one side of a difference is unknown; the r2 of a single row is no value to differ from
    assert report.difference_ci[0].drop("r2").isna().all()
    assert report.overall_ci[0][MEASURED].notna().all()
    text = repr(report)
    assert "small *" in text
    assert "single *" in text
    assert "large *" not in text
    thirty = group_report(y_true[:60], y_pred[:60], sensitive_features=["u"] * 30 + ["v"] * 30)
    assert thirty.small_groups == []
    assert "*" not in repr(thirty)


def test_r2_is_undefined_where_the_target_is_constant():
    rng = np.random.default_rng(0)
    y_true = np.r_[np.full(40, 0.1), rng.normal(size=80)]
    groups = np.repeat(["flat", "u", "v"], 40)
    y_pred = y_true + rng.normal(size=120)
    report = group_report(y_true, y_pred, sensitive_features=groups, random_state=0)
    lower, upper = report.by_group_ci
    assert np.isnan(report.by_group.loc["flat", "r2"])
    assert np.isnan(lower.loc["flat", "r2"])
    assert (lower < upper).loc[["u", "v"], "r2"].all()
    assert report.difference_ci[0]["r2"] <= report.difference["r2"] <= report.difference_ci[1]["r2"]


def test_a_single_group_differs_from_nothing():
    y_true, y_pred, groups, _ = draw(40, groups="a")
    report = group_report(y_true, y_pred, sensitive_features=groups, random_state=0)
    assert report.difference["mae"] == 0
    assert np.isnan(report.difference_ci[1]["mae"])
    assert "1 group;" in repr(report)


def test_no_bootstrap_no_intervals():
    y_true, y_pred, groups, _ = draw(60)
    report = group_report(y_true, y_pred, sensitive_features=groups, n_boot=None)
    assert report.to_frame()[["lower", "upper"]].isna().all(axis=None)
    assert report.by_group_ci[0].isna().all(axis=None)
    assert "interval" not in repr(report) + report._repr_html_().split("</style>")[1]


def test_any_metric_gets_intervals_and_a_callable_keeps_its_name():
    y_true, y_pred, groups, _ = draw(90)
    report = group_report(
        y_true, y_pred, sensitive_features=groups, metrics=median_absolute_error, random_state=0
    )
    assert list(report.by_group.columns) == ["median_absolute_error"]
    lower, upper = report.by_group_ci
    assert (lower <= report.by_group).all(axis=None)
    assert (report.by_group <= upper).all(axis=None)
    assert (lower < upper).all(axis=None)


@pytest.mark.parametrize(
    ("features", "names"),
    [
        ([1, 2] * 20, [1, 2]),
        ([True, False] * 20, [False, True]),
        ([0.5, 1.5] * 20, [0.5, 1.5]),
        (pd.Series(["v", "u"] * 20, dtype="category"), ["u", "v"]),
        (
            pd.Series(pd.Categorical(["lo", "hi"] * 20, categories=["lo", "hi", "never"])),
            ["lo", "hi"],
        ),
        ([date(2020, 1, 1), date(2019, 1, 1)] * 20, [date(2019, 1, 1), date(2020, 1, 1)]),
        (pl.Series("g", ["v", "u"] * 20), ["u", "v"]),
        ({"s": ["f", "m"] * 20, "a": [1] * 20 + [2] * 20}, None),
    ],
)
def test_groups_of_any_type_keep_their_names(features, names):
    y_true, y_pred, _, _ = draw(40)
    report = group_report(y_true, y_pred, sensitive_features=features, n_boot=10, random_state=0)
    table = report.to_frame()
    shown = table.loc[table["statistic"] == "by_group", "group"].unique().tolist()
    assert shown == (names or [("f", 1), ("f", 2), ("m", 1), ("m", 2)])
    codes = encode_groups(features).codes
    losses = table.loc[(table["statistic"] == "by_group") & (table["metric"] == "mae"), "value"]
    expected = [np.abs(y_true - y_pred)[codes == code].mean() for code in range(len(shown))]
    np.testing.assert_allclose(losses, expected)


def test_combinations_that_do_not_occur_are_in_the_metric_frame_alone():
    y_true, y_pred, _, _ = draw(60)
    features = pd.DataFrame(
        {"sex": ["f"] * 20 + ["m"] * 40, "age": ["old"] * 20 + ["new", "old"] * 20}
    )
    report = group_report(y_true, y_pred, sensitive_features=features, random_state=0)
    assert len(report.by_group) == 4
    lower, _ = report.by_group_ci
    assert lower.loc[("f", "new")].isna().all()
    for group in (("f", "old"), ("m", "new"), ("m", "old")):
        rows = (features["sex"] == group[0]) & (features["age"] == group[1])
        expected = np.abs(y_true - y_pred)[rows].mean()
        assert report.by_group.loc[group, "mae"] == pytest.approx(expected)
        assert lower.loc[group, "mae"] < expected
    assert set(report.to_frame()["group"]) == {("f", "old"), ("m", "new"), ("m", "old"), None}
    assert "m, new" in repr(report)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"method": "pairs"}, ValueError, "method must be 'between_groups' or .* got 'pairs'"),
        ({"n_boot": 0}, ValueError, "n_boot must be None or an integer >= 1, got 0"),
        ({"n_boot": 10.5}, ValueError, "n_boot must be None or an integer >= 1, got 10.5"),
        ({"confidence_level": 95}, ValueError, r"must be a number in \(0, 1\), got 95"),
        ({"confidence_level": "high"}, ValueError, "confidence_level must be a number"),
        ({"metrics": {}}, ValueError, "metrics must hold at least one metric"),
        ({"metrics": 3}, TypeError, "metrics must be the name of a metric, .* got 3"),
        ({"metrics": "mea"}, ValueError, "metrics must be one of .*'mae'.* got 'mea'"),
        ({"metrics": "count"}, ValueError, "metrics must hold a metric besides the number of"),
        (
            {"metrics": {"n": DEFAULT_METRICS["count"]}},
            ValueError,
            "metrics must hold a metric besides the number of rows",
        ),
        (
            {"metrics": {"text": lambda y_true, y_pred: "good"}},
            TypeError,
            "metrics must return one number, got 'good' from 'text'",
        ),
        ({"image_shape": (2, 2)}, ValueError, r"image_shape \(2, 2\) has 4 values, y_true has 1"),
        ({"sample_weight": [1.0]}, ValueError, "sample_weight must have shape"),
    ],
)
def test_bad_options_are_refused(options, error, message):
    y_true, y_pred, groups, _ = draw(20)
    with pytest.raises(error, match=message):
        group_report(y_true, y_pred, sensitive_features=groups, **options)


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_the_text_is_no_wider_than_the_terminal(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    y_true, y_pred, groups, _ = draw(90)
    names = {"a": "a group with a name that goes on and on and on", "b": "b", "c": "c"}
    features = [names[group] for group in groups]
    text = repr(group_report(y_true, y_pred, sensitive_features=features, random_state=0))
    tables = text.split("\n\n")[1:-1]
    assert len(tables) == {60: 6, 80: 3, 200: 1}[columns]
    lines = "\n".join(tables).splitlines()
    assert all(len(line) <= max(columns, 60) for line in lines)
    assert all(title in text for title in ("MAE", "MSE", "RMSE", "mean residual", "R²"))


def test_numbers_show_as_many_digits_as_their_intervals_justify():
    rng = np.random.default_rng(0)
    groups = np.repeat(["a", "b"], 200)
    errors = rng.normal(size=400)
    for scale, shown in ((1.0, r"0\.\d\d"), (1e3, r"\d\d\d"), (1e-3, r"0\.000\d\d")):
        report = group_report(
            np.zeros(400), scale * errors, sensitive_features=groups, random_state=0
        )
        line = next(line for line in repr(report).splitlines() if line.startswith("a "))
        assert pd.Series([line.split()[2]]).str.fullmatch(shown).all(), line


def test_the_html_is_well_formed_and_escapes_names():
    y_true, y_pred, groups, _ = draw(90)
    features = np.where(groups == "a", "<script>alert(1)</script> & co", groups)
    report = group_report(y_true, y_pred, sensitive_features=features, random_state=0)
    html = report._repr_html_()
    root = ET.fromstring(html)
    assert "<script" not in html
    headers = [cell.text for cell in root.findall(".//tbody/tr/th")]
    labels = ["<script>alert(1)</script> & co", "b", "c", "all rows", "difference", "ratio"]
    assert headers == labels
    first = root.find(".//tbody/tr[2]/td[2]")
    assert float(first.text) == pytest.approx(report.by_group.loc["b", "mae"], abs=0.01)
    drawings = root.findall(".//svg")
    assert len(drawings) == 4 * len(MEASURED), "groups and all rows, not the comparisons"
    for svg in drawings:
        line, circle = svg
        assert 4 <= float(line.get("x1")) <= float(circle.get("cx")) <= float(line.get("x2")) <= 88


def test_a_report_on_images_shows_them():
    y_true, y_pred, groups, _ = draw(60, outputs=(4, 6))
    flat = group_report(
        y_true.reshape(60, -1),
        y_pred.reshape(60, -1),
        sensitive_features=groups,
        image_shape=(4, 6),
        random_state=0,
    )
    images = group_report(
        y_true, y_pred, sensitive_features=groups, image_shape=(4, 6), random_state=0
    )
    pd.testing.assert_frame_equal(flat.to_frame(), images.to_frame())
    assert images.images.truth.shape == (3, 2, 4, 6)
    np.testing.assert_array_equal(flat.images.error, images.images.error)
    picture = ET.fromstring(images._repr_html_()).find("img")
    assert picture.get("src").startswith("data:image/png;base64,")
    plain = group_report(y_true, y_pred, sensitive_features=groups, n_boot=None)
    assert ET.fromstring(plain._repr_html_()).find("img") is None
    with pytest.raises(ValueError, match="pass image_shape to group_report"):
        plain.plot_images()


def test_a_report_survives_pickle():
    y_true, y_pred, groups, _ = draw(60, outputs=(4, 4))
    report = group_report(
        y_true, y_pred, sensitive_features=groups, image_shape=(4, 4), random_state=0
    )
    again = pickle.loads(pickle.dumps(report))
    pd.testing.assert_frame_equal(again.to_frame(), report.to_frame())
    assert repr(again) == repr(report)


def test_the_benchmark_prints_a_row_for_each_way_of_making_a_table(tmp_path):
    options = "--rows 200 --groups 2 --boot 10 --repeats 1"
    text = run("tests/benchmarks/report_speed.py", *options.split(), cwd=tmp_path)
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    assert rows[2:] == ["MetricFrame", "group_metric_frame", "bootstrap", "group_report"]
