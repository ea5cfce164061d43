"""The intervals of a report: their formulas, what they do under change of unit, too few rows."""

from __future__ import annotations

import importlib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.optimize import brentq
from sklearn.metrics import mean_absolute_error

from skfairloss import group_report
from skfairloss.metrics._intervals import (
    Ends,
    Sampled,
    hall_limits,
    largest_difference,
    percentile_limits,
    simultaneous_quantile,
    wilson_limits,
)
from skfairloss.metrics._limits import _correlations
from tests.test_examples import ROOT, run

Z = stats.norm.ppf(0.975)


def sampled(values, n_boot=4000, seed=0):
    """The mean of some values with its bootstrap samples, as one set of rows."""
    rng = np.random.default_rng(seed)
    n = len(values)
    drawn = values[rng.integers(n, size=(n_boot, n))].mean(axis=1)
    return Sampled(
        np.array([values.mean()]), drawn[:, None], np.array([float(n)]), np.array([n - 1.0])
    )


def test_limits_of_a_mean_solve_the_cubic_of_the_skewness():
    one = sampled(np.random.default_rng(1).exponential(size=25) ** 2)
    spread = one.replicates.std()
    g = stats.skew(one.replicates[:, 0])
    assert g > 0.2
    ends = []
    for level in (0.975, 0.025):
        x = stats.t.ppf(level, 24)
        root = brentq(lambda t, x=x: t + g * (t**2 / 3 + 1 / 6) + g**2 * t**3 / 27 - x, -50, 50)
        ends.append(one.values[0] - root * spread * np.sqrt(25 / 24))
    np.testing.assert_allclose(hall_limits(one, Z)[:, 0], ends, rtol=1e-8)


def test_exponential_weights_have_the_limits_of_drawn_rows():
    rng = np.random.default_rng(5)
    values = rng.exponential(size=30) ** 1.5
    weights = rng.standard_exponential(size=(40_000, 30))
    weighted = (weights @ values / weights.sum(axis=1))[:, None]
    drawn = sampled(values, 40_000)
    skewness = [stats.skew(each[:, 0]) for each in (weighted, drawn.replicates)]
    assert 1.6 < skewness[0] / skewness[1] < 2.2
    other = replace(drawn, replicates=weighted, third=2.0)
    # of the skewness of 40 000 samples
    np.testing.assert_allclose(hall_limits(other, Z), hall_limits(drawn, Z), rtol=0.05)


def test_limits_of_a_symmetric_mean_are_those_of_student():
    values = np.random.default_rng(2).normal(size=12)
    values = np.concatenate([values, -values])
    expected = stats.t.interval(0.95, 23, loc=0, scale=values.std(ddof=1) / np.sqrt(24))
    # of the spread and the skewness of 40 000 samples
    found = hall_limits(sampled(values, 40_000), Z)[:, 0]
    np.testing.assert_allclose(found, expected, atol=0.06 * values.std() / np.sqrt(24))


@pytest.mark.parametrize(("beyond", "n"), [(0, 10), (1, 30), (15, 30), (200, 200)])
def test_limits_of_a_share_are_those_of_wilson(beyond, n):
    values = np.repeat([1.0, 0.0], [beyond, n - beyond])
    expected = stats.binomtest(beyond, n).proportion_ci(0.95, method="wilson")
    found = wilson_limits(sampled(values, 2), Z)[:, 0]
    np.testing.assert_allclose(found, [expected.low, expected.high], atol=1e-12)


def test_limits_of_a_median_are_quantiles_further_out():
    rng = np.random.default_rng(3)
    replicates = rng.normal(size=(999, 1))
    one = Sampled(np.array([0.1]), replicates, np.array([15.0]), np.array([14.0]))
    tail = stats.norm.cdf(stats.t.ppf(0.025, 14) * np.sqrt(15 / 14))
    assert tail < 0.025
    found = percentile_limits(one, Z)[:, 0]
    np.testing.assert_allclose(found, np.quantile(replicates, [tail, 1 - tail]), rtol=1e-9)
    further = percentile_limits(one, 6.0)[:, 0]
    assert further[0] < 1.4 * replicates.min(), "beyond all of the samples"
    assert further[1] > 1.4 * replicates.max()


def test_the_difference_of_two_shares_is_that_of_newcombe():
    # R. Newcombe, Statistics in Medicine 17 (1998), 873-890, method 10: 56 of 70 and 48 of 80
    p, n = np.array([56 / 70, 48 / 80]), np.array([70.0, 80.0])
    lower, upper = wilson_limits(Sampled(p, np.zeros((2, 2)), n, n - 1), Z)
    found = largest_difference(Ends(p, lower, upper), None, np.zeros((2, 2)))
    np.testing.assert_allclose(found, (0.0524, 0.3339), atol=5e-5)
    swapped = largest_difference(Ends(p[::-1], lower[::-1], upper[::-1]), None, np.zeros((2, 2)))
    np.testing.assert_allclose(swapped, found, rtol=1e-12)


@pytest.mark.parametrize("clustered", [False, True])
def test_groups_that_are_drawn_apart_count_as_independent(clustered):
    # the shares of Newcombe; of three samples the quantile is that of a normal distribution, since
    # no deviation is above √3 standard deviations, and their correlation is by chance
    y_pred = np.repeat([1.0, 0.0, 1.0, 0.0], [56, 14, 48, 32])
    report = group_report(
        np.zeros(150),
        y_pred,
        sensitive_features=np.repeat(["u", "v"], [70, 80]),
        clusters=np.arange(150) if clustered else None,
        metrics="share_above@0.5",
        n_boot=3,
        random_state=0,
    )
    found = [limits.item() for limits in report.difference_ci]
    np.testing.assert_allclose(found, (0.0524, 0.3339), atol=5e-5)


def test_correlations_are_those_of_the_samples_in_which_both_are_defined():
    rng = np.random.default_rng(0)
    drawn = rng.normal(size=(2000, 4)) + rng.normal(size=(2000, 1)) * [0.0, 0.5, 1.0, -2.0]
    units = np.array([1.0, 1e-80, 1e80, 1e9])
    found = _correlations(drawn * units, drawn)
    np.testing.assert_allclose(found, np.corrcoef(drawn.T), atol=1e-12)
    missing = np.where(rng.random(drawn.shape) < 0.1, np.nan, drawn)
    found = _correlations(missing * units, missing)
    np.testing.assert_allclose(found, pd.DataFrame(missing).corr(), atol=1e-3)
    constant = np.column_stack([np.full(2000, np.nan), np.full(2000, 0.1)])
    np.testing.assert_allclose(_correlations(drawn, constant), 0, atol=1e-12)


def test_a_difference_counts_what_its_two_parts_share():
    values, whole = np.array([1.0]), Ends(np.array([0.5]), np.array([0.3]), np.array([0.7]))
    group = Ends(values, values - 0.2, values + 0.2)
    both = Ends(np.array([1.0, 0.5]), np.array([0.8, 0.3]), np.array([1.2, 0.7]))
    for rho, half in ((0.0, 0.2 * np.sqrt(2)), (1.0, 0.0), (0.5, 0.2)):
        expected = 0.5 - half, 0.5 + half
        found = largest_difference(group, whole, np.array([[rho]]))
        np.testing.assert_allclose(found, expected, atol=1e-9)
        found = largest_difference(both, None, np.array([[1.0, rho], [rho, 1.0]]))
        np.testing.assert_allclose(found, expected, atol=1e-9)


def test_the_quantile_of_two_groups_is_that_of_a_normal_and_more_groups_have_a_larger_one():
    rng = np.random.default_rng(4)
    replicates = rng.normal(size=(40_000, 4))
    two = simultaneous_quantile(np.zeros(2), replicates[:, :2], None, 0.95)
    four = simultaneous_quantile(np.zeros(4), replicates, None, 0.95)
    assert two == pytest.approx(Z, abs=0.04)
    # the studentised range of four over √2
    assert four == pytest.approx(stats.studentized_range.ppf(0.95, 4, 1e6) / np.sqrt(2), abs=0.04)
    assert np.isnan(simultaneous_quantile(np.zeros(1), replicates[:, :1], None, 0.95))


METRICS = ["mae", "mse", "rmse", "mean_residual", "r2", "medae"]


def errors_of(sizes, seed=0):
    """Targets, skewed errors and groups."""
    rng = np.random.default_rng(seed)
    groups = np.repeat([f"g{i}" for i in range(len(sizes))], sizes)
    return rng.normal(size=len(groups)), rng.exponential(size=len(groups)), groups


@pytest.mark.parametrize("method", ["between_groups", "to_overall"])
def test_limits_are_in_units_of_y(method):
    y, errors, groups = errors_of([20, 40, 60])
    frames = []
    for scale in (1.0, -250.0):
        y_true, y_pred = scale * y, scale * (y + errors)
        report = group_report(
            y_true,
            y_pred,
            sensitive_features=groups,
            metrics=["mae", "mse", "rmse", "medae", "r2"],
            method=method,
            random_state=0,
        )
        frames.append(report.to_frame().set_index(["metric", "statistic", "group"]))
    for metric, power in (("mae", 1), ("mse", 2), ("rmse", 1), ("medae", 1), ("r2", 0)):
        one, other = (frame.loc[metric, ["lower", "upper"]].copy() for frame in frames)
        one[one.index.get_level_values("statistic") != "ratio"] *= 250.0**power
        pd.testing.assert_frame_equal(one, other, rtol=1e-7)


def test_a_difference_holds_the_value_and_is_no_narrower_than_its_larger_part():
    y, errors, groups = errors_of([25, 200])
    report = group_report(y, y + errors, sensitive_features=groups, metrics=METRICS, random_state=0)
    wide = (report.by_group_ci[1] - report.by_group_ci[0]).max()
    lower, upper = report.difference_ci
    assert (lower <= report.difference).all()
    assert (report.difference <= upper).all()
    assert (upper - lower > 0.5 * wide).all(), "one end may be cut at 0"


def test_groups_of_few_rows_have_no_interval_and_what_compares_them_has_none():
    y, errors, groups = errors_of([9, 10, 19, 20])
    for names in (["g0", "g1", "g2", "g3"], ["g1", "g3"], ["g3"]):
        kept = np.isin(groups, names)
        report = group_report(
            y[kept],
            (y + errors)[kept],
            sensitive_features=groups[kept],
            metrics=[*METRICS, "share_above@1", mean_absolute_error],
            random_state=0,
        )
        known = report.by_group_ci[0].notna()
        for name in names:
            squares = ["mse", "rmse"]
            assert (known.loc[name, squares] == (name == "g3")).all()
            assert (known.loc[name].drop(squares) == (name != "g0")).all()
        between = report.difference_ci[0].notna()
        assert (between.drop(["mse", "rmse"]) == (names == ["g1", "g3"])).all()
        assert not between[["mse", "rmse"]].any()
        text = repr(report)
        assert ("too few rows" in text) == (names != ["g3"])
        assert report._repr_html_().count("too few rows") == text.count("too few rows")


def test_twenty_rows_always_have_an_interval_also_under_unequal_weights():
    y, errors, groups = errors_of([20, 20])
    weights = np.where(np.arange(40) % 20 == 0, 1e6, 1.0)
    report = group_report(
        y,
        y + errors,
        sensitive_features=groups,
        sample_weight=weights,
        metrics=METRICS,
        random_state=0,
    )
    lower, upper = report.by_group_ci
    assert np.isfinite(lower).all(axis=None)
    assert np.isfinite(upper).all(axis=None)
    plain = group_report(y, y + errors, sensitive_features=groups, metrics=METRICS, random_state=0)
    assert (upper - lower)["medae"].notna().all()
    assert plain.by_group_ci[1].notna().all(axis=None)


def test_a_share_of_no_rows_beyond_the_threshold_has_an_upper_end():
    y, groups = np.zeros(60), np.repeat(["u", "v"], 30)
    y_pred = np.where(np.arange(60) == 59, 2.0, 0.0)
    report = group_report(
        y, y_pred, sensitive_features=groups, metrics="share_above@1", random_state=0
    )
    lower, upper = report.by_group_ci
    assert lower.loc["u"].item() == pytest.approx(0.0, abs=1e-12)
    assert upper.loc["u"].item() == pytest.approx(Z**2 / (30 + Z**2))
    assert report.difference_ci[1].item() > 0.1


def test_a_metric_that_does_not_vary_has_an_interval_of_its_value():
    groups = np.repeat(["u", "v"], 30)
    report = group_report(
        np.zeros(60), np.where(groups == "u", 1.0, 2.0), sensitive_features=groups, metrics="mae"
    )
    for limits in report.by_group_ci:
        np.testing.assert_allclose(limits["mae"], [1.0, 2.0])
    np.testing.assert_allclose([limits["mae"] for limits in report.difference_ci], 1.0)
    np.testing.assert_allclose([limits["mae"] for limits in report.ratio_ci], 0.5)


@pytest.mark.parametrize("metric", ["mae", "mean_residual", "medae"])
def test_the_intervals_of_a_small_group_beside_a_large_one_cover_the_truth(metric):
    truth = {"mae": np.sqrt(2 / np.pi), "mean_residual": 0.0, "medae": stats.norm.ppf(0.75)}[metric]
    covered, detected = 0, 0
    for seed in range(120):
        errors = np.random.default_rng(seed).normal(size=112)
        report = group_report(
            np.zeros(112),
            errors,
            sensitive_features=np.repeat(["u", "v"], [12, 100]),
            metrics=metric,
            n_boot=200,
            random_state=seed,
        )
        lower, upper = (limits.loc["u", metric] for limits in report.by_group_ci)
        covered += lower <= truth <= upper
        detected += report.difference_ci[0].item() > 0
    # four standard errors of a share of 0.95 in 120
    assert covered / 120 > 0.95 - 4 * 0.02
    assert detected / 120 < 0.05 + 4 * 0.02


def test_the_simulations_of_coverage_are_those_of_the_report(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tests/benchmarks"))
    coverage = importlib.import_module("report_coverage")
    for cell in (coverage.CELLS[6], coverage.CELLS[66]):
        report = group_report(
            **coverage.draw(cell, 3), metrics=list(cell.metrics), n_boot=30, random_state=3
        )
        table = report.to_frame()
        found = coverage.simulate(cell, 3, 30)
        for name in ("overall", "difference"):
            own = table.loc[table["statistic"] == name, ["lower", "upper"]]
            np.testing.assert_allclose(own, found[name], rtol=1e-9, atol=1e-12)
    options = ["--simulations", "2", "--boot", "9", "--cells", "7", "--jobs", "1"]
    text = run("tests/benchmarks/report_coverage.py", *options, cwd=tmp_path)
    assert text.count("\n| 5, 100 |") == 4 * 6
    assert text.count("\n| 10, 10 |") == 4
