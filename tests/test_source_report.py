"""Reports of rows in a source: the report of the same rows in memory is the oracle."""

from __future__ import annotations

import pickle
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression, Ridge

from skfairloss import PixelLossRegressor, group_report
from skfairloss._rows.source import BlockRows
from skfairloss.metrics import group_metric_frame
from skfairloss.metrics._central_moments import CentralMoments, columns_about
from skfairloss.metrics._moment_draws import draw_sums
from skfairloss.report import GroupReport
from skfairloss.rows import from_blocks, from_parquet
from tests.test_rows_in_blocks import in_blocks

SHARES = [0.45, 0.35, 0.15, 0.05]
EVERY = ["count", "mae", "mse", "rmse", "mean_residual", "mean_prediction", "r2", "bias", "mape"]
EVERY += ["pinball@0.9", "share_above@1"]


def data(n=6000, outputs=None, seed=0):
    """Return X, y, weights, some of them 0, and groups: "d" and "b" are large, "c" and "a" small.

    Errors are skewed, and those of "b" twice as large.
    """
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    groups = rng.choice(list("dbca"), n, p=SHARES)
    size = np.where(groups == "b", 2.0, 1.0)
    noise = rng.exponential(size=(n, outputs or 1)) * size[:, None]
    y = 1.5 + X @ rng.normal(size=(3, outputs or 1)) + noise
    weights = rng.exponential(size=n) * (rng.random(n) < 0.9)
    return X, (y if outputs else y[:, 0]), weights, groups


def assert_same_report(found, expected, rtol=1e-9, atol=1e-11):
    """Compare values closely, limits to ``rtol``, and the rest as it is."""
    one, other = found.to_frame(), expected.to_frame()
    pd.testing.assert_series_equal(one["value"], other["value"], rtol=1e-11, atol=1e-12)
    pd.testing.assert_frame_equal(one, other, rtol=rtol, atol=atol)
    counts = [report.by_group.get("count") for report in (found, expected)]
    assert counts[0] is None or counts[0].equals(counts[1])


@pytest.fixture
def passes(monkeypatch):
    """Return a list of the kernels of all passes over blocks."""
    made, run = [], BlockRows.run

    def counted(self, kernel, own=None):
        made.append(kernel)
        return run(self, kernel, own)

    monkeypatch.setattr(BlockRows, "run", counted)
    return made


def both_reports(X, y, weights, groups, **options):
    """Return the reports of a least-squares fit on the rows in blocks and in memory."""
    model = LinearRegression().fit(X, y)
    found = GroupReport.from_estimator(model, in_blocks(X, y, weights, groups), **options)
    own = {"sensitive_features": groups, "sample_weight": weights}
    return found, group_report(y, model.predict(X), **own, **options)


@pytest.mark.parametrize("outputs", [None, 3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("method", ["between_groups", "to_overall"])
def test_values_are_those_in_memory_after_one_pass(outputs, weighted, method, passes):
    X, y, weights, groups = data(outputs=outputs)
    options = {"metrics": EVERY, "n_boot": None, "method": method}
    assert_same_report(*both_reports(X, y, weights if weighted else None, groups, **options))
    assert len(passes) == 1


@pytest.mark.parametrize("outputs", [None, 2])
@pytest.mark.parametrize("weighted", [False, True])
def test_small_groups_alone_give_the_very_report_in_memory(outputs, weighted):
    X, y, weights, groups = data(1500, outputs)
    options = {"n_boot": 60, "random_state": 3, "method": "to_overall"}
    found, expected = both_reports(X, y, weights if weighted else None, groups, **options)
    assert_same_report(found, expected)
    assert repr(found) == repr(expected)
    assert found._repr_html_() == expected._repr_html_()


def test_small_groups_beside_large_ones_have_the_intervals_of_a_report_of_them():
    X, y, _, groups = data()
    model = LinearRegression().fit(X, y)
    options = {"n_boot": 80, "random_state": 5}
    found = GroupReport.from_estimator(model, in_blocks(X, y, None, groups), **options)
    small = np.isin(groups, ["a", "c"])
    alone = group_report(
        y[small], model.predict(X)[small], sensitive_features=groups[small], **options
    )
    assert found.by_group["count"][["b", "d"]].min() > 1000
    for one, other in zip(found.by_group_ci, alone.by_group_ci, strict=True):
        pd.testing.assert_frame_equal(one.loc[["a", "c"]], other, rtol=1e-9)


@pytest.mark.parametrize("outputs", [None, 2])
@pytest.mark.parametrize("weighted", [False, True])
def test_intervals_of_large_groups_are_those_of_a_bootstrap(outputs, weighted):
    X, y, weights, groups = data(12_000, outputs)
    options = {"metrics": EVERY[1:], "n_boot": 2000, "random_state": 0, "method": "to_overall"}
    reports = both_reports(X, y, weights if weighted else None, groups, **options)
    found, expected = (report.to_frame() for report in reports)
    widths = [report["upper"] - report["lower"] for report in (found, expected)]
    # where a few rows decide, ends take many samples: errors relative to y near 0, weighted squares
    few = ["mape", "mse", "rmse"] if weighted else ["mape"]
    known = ~found["metric"].isin(few) & (widths[1] > 0)
    np.testing.assert_allclose(widths[0][known], widths[1][known], rtol=0.15)
    means = [float(np.log(width[known]).mean()) for width in widths]
    np.testing.assert_allclose(*means, atol=0.03)


def parts(n=3000, seed=0):
    """Return values, y and weights of skewed rows that are far from 0."""
    rng = np.random.default_rng(seed)
    y = rng.lognormal(size=(n, 2)) + np.array([1e6, 0.0])
    values = np.column_stack([y[:, 1] ** 2, rng.exponential(size=n) - 1e4])
    return values, y, rng.exponential(size=n)


def assert_same_moments(found, expected):
    """Compare moments in units of their columns."""
    np.testing.assert_allclose(found.centre, expected.centre, rtol=1e-13)
    unit = np.sqrt(np.diag(expected.second) / expected.n_rows)
    n = expected.n_rows
    np.testing.assert_allclose((found.mean - expected.mean) / unit, 0, atol=1e-9)
    squares = np.outer(unit, unit)
    np.testing.assert_allclose((found.second - expected.second) / squares / n, 0, atol=1e-9)
    cubes = np.multiply.outer(squares, unit)
    np.testing.assert_allclose((found.third - expected.third) / cubes / n, 0, atol=1e-7)


@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.integers(1, 2999), max_size=12), ordered=st.booleans())
def test_moments_of_parts_are_merged_to_those_of_all_rows(cuts, ordered):
    values, y, weights = parts()
    if ordered:  # parts are then far from each other
        order = np.argsort(values[:, 0])
        values, y, weights = values[order], y[order], weights[order]
    ends = [0, *sorted({*cuts, 1, 2}), len(y)]
    whole = CentralMoments.of(values, y, weights, 6)
    found = None
    for start, stop in pairwise(ends):
        part = slice(start, stop)
        own = CentralMoments.of(values[part], y[part], weights[part], 6)
        found = own if found is None else found.merged(own)
    assert found.n_rows == len(y)
    assert_same_moments(found, whole)


def test_moments_are_those_of_the_columns_by_their_formulas():
    values, y, weights = parts(400)
    found = CentralMoments.of(values, y, weights, 6)
    np.testing.assert_allclose(
        found.centre, np.average(np.hstack([values, y]), axis=0, weights=weights)
    )
    columns = columns_about(values, y, weights, found.centre)
    z = columns - columns.mean(axis=0)
    np.testing.assert_allclose(found.second, np.einsum("ni,nj->ij", z, z), rtol=1e-9, atol=1e-6)
    third = np.einsum("ni,nj,nk->ijk", z, z, z)
    np.testing.assert_allclose(found.third, third, rtol=1e-9, atol=1e-9 * np.abs(third).max())


def test_samples_have_mean_covariance_and_skewness_of_sums_over_rows_drawn():
    values, y, weights = parts(60)
    moments = CentralMoments.of(values, y, weights, 6)
    drawn = draw_sums(moments, moments.spread, np.random.default_rng(0), 400_000)
    unit = np.sqrt(np.diag(moments.second))
    z = (drawn - moments.n_rows * moments.mean) / unit
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=0.01)
    covariance = z.T @ z / len(z)
    np.testing.assert_allclose(covariance, moments.second / np.outer(unit, unit), atol=0.015)
    third = np.stack([(z * z[:, [i]]).T @ z / len(z) for i in range(6)])
    expected = moments.third / np.multiply.outer(np.outer(unit, unit), unit)
    assert expected.max() > 0.4
    np.testing.assert_allclose(third, expected, atol=0.05)


@pytest.mark.parametrize("ends", [[0, 6000], [0, 1, 1, 5999, 6000], range(0, 6001, 50)], ids=len)
@pytest.mark.parametrize("outputs", [None, 2])
def test_a_seed_gives_the_same_report_for_any_partition(ends, outputs):
    X, y, weights, groups = data(outputs=outputs)
    order = np.argsort(groups, kind="stable")  # groups are absent from most blocks
    X, y, weights, groups = (a[order] for a in (X, y, weights, groups))
    y = y + 1e4 * (groups == "b").reshape(-1, *[1] * (y.ndim - 1))  # far from the first rows
    model = LinearRegression().fit(np.column_stack([X, groups == "b"]), y)
    X = np.column_stack([X, groups == "b"])
    options = {"n_boot": 50, "random_state": 1, "metrics": EVERY}
    reference = GroupReport.from_estimator(model, in_blocks(X, y, weights, groups), **options)
    source = in_blocks(X, y, weights, groups, ends=list(ends))
    assert_same_report(GroupReport.from_estimator(model, source, **options), reference, rtol=1e-6)


def test_threads_change_no_bit():
    X, y, weights, groups = data()
    model = LinearRegression().fit(X, y)
    one, two = (
        GroupReport.from_estimator(
            model, in_blocks(X, y, weights, groups, n_jobs=n), n_boot=20, random_state=1
        )
        for n in (1, 2)
    )
    pd.testing.assert_frame_equal(one.to_frame(), two.to_frame(), check_exact=True)


@pytest.mark.parametrize("shift", [1e3, 1e6])
def test_r2_keeps_its_digits_far_from_the_first_rows(shift, passes):
    X, y, _, groups = data(3000)
    order = np.argsort(groups, kind="stable")
    X, y, groups = X[order], y[order], groups[order]
    y = y + shift * (groups != "a")
    y[groups == "c"] = shift / 3  # constant: R² is not defined
    X = np.column_stack([X, groups != "a", groups == "c"])
    model = LinearRegression().fit(X, y)
    options = {"metrics": ["r2", "mse"], "n_boot": None}
    expected = group_report(y, model.predict(X), sensitive_features=groups, **options)
    found = GroupReport.from_estimator(model, in_blocks(X, y, None, groups), **options)
    assert expected.by_group["r2"].isna().tolist() == [False, False, True, False]
    np.testing.assert_allclose(found.by_group, expected.by_group, rtol=1e-10, atol=1e-18)
    assert len(passes) == 1


def test_r2_of_constant_targets_is_not_defined():
    X, _, weights, groups = data(2000)
    y = np.full(len(X), 0.1)
    model = LinearRegression().fit(X, y + X[:, 0])
    found = GroupReport.from_estimator(model, in_blocks(X, y, weights, groups), metrics="r2")
    assert found.to_frame()[["value", "lower", "upper"]].isna().all(axis=None)


@pytest.mark.parametrize("exponent", [-200, 200])
def test_units_of_y_and_of_weights_change_nothing_else(exponent):
    X, y, weights, groups = data()
    model = LinearRegression().fit(X, y)
    metrics = ["mae", "rmse", "mean_residual", "r2"]
    unit, options = 2.0**exponent, {"n_boot": 30, "random_state": 0, "metrics": metrics}
    source = in_blocks(X, y, weights, groups)
    expected = GroupReport.from_estimator(model, source, **options).to_frame()
    model.coef_, model.intercept_ = model.coef_ * unit, model.intercept_ * unit
    source = in_blocks(X, y * unit, weights / unit, groups)
    found = GroupReport.from_estimator(model, source, **options).to_frame()
    of_y = (found["metric"] != "r2") & (found["statistic"] != "ratio")
    numbers = found[["value", "lower", "upper"]].div(np.where(of_y, unit, 1.0), axis=0)
    pd.testing.assert_frame_equal(numbers, expected[["value", "lower", "upper"]], rtol=1e-9)


def test_a_weight_is_a_repetition_for_every_value():
    X, y, _, groups = data(2000)
    times = np.random.default_rng(4).integers(0, 4, len(y))
    model = LinearRegression().fit(X, y)
    rows = np.repeat(np.arange(len(y)), times)
    options = {"metrics": EVERY[1:], "n_boot": None}
    weighted = GroupReport.from_estimator(model, in_blocks(X, y, times, groups), **options)
    source = in_blocks(X[rows], y[rows], None, groups[rows])
    repeated = GroupReport.from_estimator(model, source, **options)
    pd.testing.assert_frame_equal(weighted.by_group, repeated.by_group, rtol=1e-11)
    pd.testing.assert_series_equal(weighted.overall, repeated.overall, rtol=1e-11)


def test_a_shift_of_y_moves_predictions_and_no_interval_of_errors():
    X, y, weights, groups = data()
    found = []
    for shift in (0.0, 1e6):
        model = LinearRegression().fit(X, y)
        model.intercept_ += shift
        source = in_blocks(X, y + shift, weights, groups)
        found.append(GroupReport.from_estimator(model, source, n_boot=40, random_state=0))
    for one, other in zip(*(report.by_group_ci for report in found), strict=True):
        np.testing.assert_allclose(one["mae"], other["mae"], rtol=1e-7)
        expected = one["mean_prediction"] + 1e6
        np.testing.assert_allclose(other["mean_prediction"], expected, rtol=0, atol=1e-6)


def test_many_outputs_have_no_interval_of_r2_where_a_group_is_large():
    X, y, _, groups = data(3000, outputs=21)
    model = LinearRegression().fit(X, y)
    metrics = ["mae", "r2"]
    options = {"metrics": metrics, "n_boot": 20, "random_state": 0}
    found = GroupReport.from_estimator(model, in_blocks(X, y, None, groups), **options)
    expected = group_metric_frame(y, model.predict(X), sensitive_features=groups, metrics=metrics)
    pd.testing.assert_frame_equal(found.by_group, expected.by_group, rtol=1e-11)
    lower = found.by_group_ci[0]
    assert lower["mae"].notna().all()
    assert lower["r2"].isna().tolist() == [False, True, False, True]
    assert found.overall_ci[0].isna().tolist() == [False, True]


def test_columns_of_groups_and_names_of_features_are_kept():
    X, y, _, groups = data()
    frame = pd.DataFrame(X, columns=["p", "q", "r"])
    columns = pd.DataFrame({"first": groups, "second": np.arange(len(y)) % 2})

    def block(i):
        rows = slice(1000 * i, 1000 * (i + 1))
        return {"X": frame[rows], "y": y[rows], "sensitive_features": columns[rows]}

    model = Ridge().fit(frame, y)
    found = GroupReport.from_estimator(model, from_blocks(block, 6), n_boot=None)
    expected = group_report(y, model.predict(frame), sensitive_features=columns, n_boot=None)
    assert_same_report(found, expected)
    assert found.by_group.index.names == ["first", "second"]
    pd.testing.assert_frame_equal(found.by_group, expected.by_group)


def test_files_and_collections_give_the_report_of_blocks(tmp_path):
    da, dd = pytest.importorskip("dask.array"), pytest.importorskip("dask.dataframe")
    X, y, weights, groups = data()
    names = ["p", "q", "r"]
    table = pd.DataFrame(X, columns=names).assign(y=y, s=weights, g=groups)
    model = Ridge().fit(table[names], y)
    for i, rows in enumerate(np.array_split(np.arange(len(y)), 3)):
        table.iloc[rows].to_parquet(tmp_path / f"{i}.parquet", row_group_size=700)
    columns = {"target": "y", "sample_weight": "s", "sensitive_features": "g"}
    frame = dd.from_pandas(table, npartitions=4)
    plain = Ridge().fit(X, y)
    arrays = [da.from_array(a, chunks=(1700, *a.shape[1:])) for a in data()]
    own = {"n_boot": 30, "random_state": 7}
    sources = {
        "parquet": (model, from_parquet(tmp_path, features=names, **columns)),
        "frames": (model, frame[names], frame["y"], frame["s"], frame["g"]),
        "arrays": (plain, *arrays),
    }
    expected = GroupReport.from_estimator(plain, in_blocks(X, y, weights, groups), **own)
    for fitted, rows, *more in sources.values():
        beside = dict(zip(["y", "sample_weight", "sensitive_features"], more, strict=False))
        found = GroupReport.from_estimator(fitted, rows, **beside, **own)
        assert_same_report(found, expected, rtol=1e-6)


def test_rows_in_memory_give_the_report_of_their_predictions():
    X, y, weights, _ = data(400)
    table = pd.DataFrame(X, columns=list("pqr")).assign(half=X[:, 0] > 0)
    model = PixelLossRegressor(1.0).fit(table, y)
    own = {"sample_weight": weights, "n_boot": 20, "random_state": 0, "metrics": ["medae", "mae"]}
    clusters = np.arange(len(y)) // 2
    found = GroupReport.from_estimator(
        model, table, y, sensitive_features="half", clusters=clusters, **own
    )
    expected = group_report(
        y, model.predict(table), sensitive_features=table["half"], clusters=clusters, **own
    )
    pd.testing.assert_frame_equal(found.to_frame(), expected.to_frame())


def test_the_kernel_of_a_report_can_be_pickled(passes):
    X, y, _, groups = data(500)
    source = in_blocks(X, y, None, groups)
    GroupReport.from_estimator(LinearRegression().fit(X, y), source, n_boot=None)
    kernel = pickle.loads(pickle.dumps(passes[0]))
    assert kernel.metrics.position == passes[0].metrics.position


def squared(y_true, y_pred):
    return np.mean((y_true - y_pred) ** 2)


@pytest.mark.parametrize("metrics", ["medae", ["mae", squared], {"own": squared}])
def test_metrics_that_are_no_sums_are_refused_by_name(metrics):
    X, y, _, groups = data(300)
    source = in_blocks(X, y, None, groups)
    with pytest.raises(ValueError, match=r"sums over rows .*'mae'.*got \['(medae|squared|own)'\]"):
        GroupReport.from_estimator(LinearRegression().fit(X, y), source, metrics=metrics)


def test_targets_that_are_missing_in_memory_are_named_y():
    X, y, _, groups = data(50)
    model = LinearRegression().fit(X, y)
    with pytest.raises(TypeError, match="y must hold real numbers, got None"):
        GroupReport.from_estimator(model, X, sensitive_features=groups)
    y[7] = np.nan
    with pytest.raises(ValueError, match=r"^y must be finite, got 1 NaN.* at position 7"):
        GroupReport.from_estimator(model, X, y, sensitive_features=groups)


def test_a_missing_or_wrong_argument_is_named():
    X, y, _, groups = data(300)
    model, source = LinearRegression().fit(X, y), in_blocks(X, y, None, groups)
    report = GroupReport.from_estimator
    with pytest.raises(ValueError, match="sensitive_features must be among the rows"):
        report(model, in_blocks(X, y))
    with pytest.raises(ValueError, match="y must be None beside a source"):
        report(model, source, y)
    with pytest.raises(NotImplementedError, match="clusters need rows in memory"):
        report(model, source, clusters=groups)
    with pytest.raises(TypeError, match="estimator must have a method predict"):
        report("model", source)
    with pytest.raises(ValueError, match="confidence_level"):
        report(model, source, confidence_level=2)
    with pytest.raises(ValueError, match="besides the number of rows"):
        report(model, source, metrics="count")
    wide = LinearRegression().fit(X, np.column_stack([y, y]))
    with pytest.raises(ValueError, match=r"predict the 1 outputs of y .* got shape \(\d+, 2\)"):
        report(wide, source)
    model.intercept_ = np.nan
    with pytest.raises(ValueError, match="estimator predicts NaN or infinity in block"):
        report(model, source)

    def mixed(i):
        own = {"sensitive_features": groups} if i == 0 else {}
        return {"X": X, "y": y, **own}

    with pytest.raises(ValueError, match="blocks must all have 'sensitive_features'"):
        report(LinearRegression().fit(X, y), from_blocks(mixed, 2))


@pytest.mark.parametrize("function", [group_report, group_metric_frame])
def test_a_source_in_the_place_of_targets_is_refused_by_name(function):
    X, y, _, groups = data(300)
    with pytest.raises(TypeError, match=r"y_true must be in memory.*GroupReport.from_estimator"):
        function(in_blocks(X, y, None, groups), y, sensitive_features=groups)


def test_the_clusters_of_a_source_are_not_taken_for_rows():
    X, y, _, groups = data()
    given = {"X": X, "y": y, "sensitive_features": groups, "clusters": np.arange(len(y)) // 2}
    source = from_blocks(lambda _: given, 1)
    model = LinearRegression().fit(X, y)
    with pytest.raises(NotImplementedError, match="intervals between the clusters of the source"):
        GroupReport.from_estimator(model, source)
    found = GroupReport.from_estimator(model, source, metrics="mae", n_boot=None)
    expected = group_report(y, model.predict(X), sensitive_features=groups, metrics="mae")
    pd.testing.assert_frame_equal(found.by_group, expected.by_group)
