"""coefficient_report: replicates are exact fits, intervals what they say, input is checked."""

from __future__ import annotations

import pickle
import warnings
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from scipy.stats import norm
from scipy.stats import t as student
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfairloss import PixelLossRegressor, coefficient_report
from skfairloss._estimator.fitting import fit_model
from skfairloss.exceptions import InfeasibleFairnessError
from skfairloss.fairness import BoundedGroupLoss, EqualizedLoss, ResidualParity, WorstGroupLoss
from tests.test_examples import run

MODELS = [
    PixelLossRegressor(0.0),
    PixelLossRegressor(0.5),
    PixelLossRegressor(1.0),
    PixelLossRegressor(1.0, quantile=0.8),
    PixelLossRegressor(0.3, alpha=0.1, l1_ratio=1.0),
    PixelLossRegressor(0.5, alpha=0.1, fit_intercept=False),
    PixelLossRegressor(1.0, fairness=WorstGroupLoss(0.5)),
    PixelLossRegressor(0.0, fairness=ResidualParity()),
]


def draw(n=120, p=3, outputs=(), seed=0):
    """Features, targets, groups, clusters of four and weights."""
    rng = np.random.default_rng(seed)
    X = rng.normal(2.0, 1.0, size=(n, p))
    y = X @ rng.normal(size=(p, *outputs)) + rng.standard_t(4, size=(n, *outputs))
    return X, y, np.arange(n) % 3 == 0, np.arange(n) // 4, rng.uniform(0.5, 2.0, n)


def random_weights(n_boot, units, seed=0):
    """The weights of the replicates of a report, (n_boot, n)."""
    rng = np.random.default_rng(seed)
    size = units.max() + 1
    return np.stack([rng.standard_exponential(size)[units] for _ in range(n_boot)])


@pytest.mark.parametrize("model", MODELS, ids=repr)
@pytest.mark.parametrize("clustered", [False, True])
def test_every_replicate_is_the_fit_under_its_weights(model, clustered):
    X, y, group, clusters, weights = draw()
    options = {"sensitive_features": group, "sample_weight": weights}
    fitted = model.fit(X, y, **options)
    report = coefficient_report(
        fitted,
        X,
        y,
        **options,
        clusters=clusters if clustered else None,
        n_boot=4,
        random_state=0,
    )
    units = clusters if clustered else np.arange(len(y))
    for b, drawn in enumerate(random_weights(4, units)):
        cold = PixelLossRegressor(**model.get_params(deep=False))
        cold.fit(X, y, sensitive_features=group, sample_weight=weights * drawn)
        size = np.abs(cold.coef_).max()
        np.testing.assert_allclose(report.coef_replicates[b, 0], cold.coef_, atol=1e-5 * size)
        np.testing.assert_allclose(
            report.intercept_replicates[b, 0], cold.intercept_, atol=1e-5 * size
        )


def test_replicates_of_many_rows_are_fits_as_well():
    X, y, _, _, _ = draw(8000, 5)
    for mix in (0.5, 1.0):
        model = PixelLossRegressor(mix).fit(X, y)
        report = coefficient_report(model, X, y, n_boot=2, random_state=0)
        for b, drawn in enumerate(random_weights(2, np.arange(8000))):
            cold = PixelLossRegressor(mix).fit(X, y, sample_weight=drawn)
            np.testing.assert_allclose(report.coef_replicates[b, 0], cold.coef_, atol=1e-7)


def test_several_outputs_and_sparse_features_have_replicates():
    X, y, _, _, _ = draw(outputs=(2,))
    model = PixelLossRegressor(1.0).fit(csr_matrix(X), y)
    report = coefficient_report(model, csr_matrix(X), y, n_boot=3, random_state=0)
    assert report.coef_replicates.shape == (3, 2, 3)
    for b, drawn in enumerate(random_weights(3, np.arange(120))):
        cold = PixelLossRegressor(1.0).fit(X, y, sample_weight=drawn)
        np.testing.assert_allclose(report.coef_replicates[b], cold.coef_, atol=1e-6)
    frame = report.to_frame()
    assert frame["output"].tolist() == [0] * 4 + [1] * 4
    np.testing.assert_array_equal(frame["coefficient"][:3], model.coef_[0])
    assert "1: x2" in repr(report)
    assert report.plot(1).values.tolist() == model.coef_[1].tolist()
    for wrong in (2, -1, 0.5, [0], "0", True):
        with pytest.raises(ValueError, match="output must be from 0 to 1, got"):
            report.plot(wrong)


def test_limits_are_quantiles_of_the_replicates_further_out():
    X, y, _, clusters, _ = draw(60)
    model = PixelLossRegressor(0.5).fit(X, y)
    for given, size, freedom in ((None, 60, 56), (clusters, 15, 14)):
        report = coefficient_report(
            model, X, y, clusters=given, n_boot=400, confidence_level=0.9, random_state=1
        )
        tail = norm.cdf(student.ppf(0.05, freedom) * np.sqrt(size / freedom))
        frame = report.to_frame().set_index("feature")
        for j in range(3):
            drawn = report.coef_replicates[:, 0, j]
            np.testing.assert_allclose(
                frame.loc[f"x{j}", ["lower", "upper"]].astype(float),
                np.quantile(drawn, [tail, 1 - tail]),
            )
            share = np.mean(np.sign(drawn) == np.sign(model.coef_[j]))
            assert frame.loc[f"x{j}", "same_sign"] == share
        assert frame.loc["(intercept)", "coefficient"] == model.intercept_
    assert report.n_clusters == 15


def test_standard_errors_of_least_squares_are_those_that_stand_for_unequal_spread():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(2000, 2))
    y = X[:, 0] + (0.5 + np.abs(X[:, 0])) * rng.normal(size=2000)
    model = PixelLossRegressor(0.0).fit(X, y)
    report = coefficient_report(model, X, y, n_boot=1500, random_state=0)
    design = np.column_stack([X, np.ones(2000)])
    inverse = np.linalg.inv(design.T @ design)
    residual = y - model.predict(X)
    sandwich = inverse @ (design.T * residual**2) @ design @ inverse  # White (1980)
    # of the spread of 1500 replicates
    np.testing.assert_allclose(
        report.coef_replicates[:, 0].std(axis=0), np.sqrt(np.diag(sandwich))[:2], rtol=0.08
    )


def test_rows_of_a_cluster_repeated_tell_nothing_new():
    X, y, group, _, _ = draw(40)
    model = PixelLossRegressor(1.0).fit(X, y)
    one = coefficient_report(
        model, X, y, clusters=np.arange(40), sensitive_features=group, n_boot=5, random_state=0
    )
    three = coefficient_report(
        PixelLossRegressor(1.0).fit(np.repeat(X, 3, axis=0), np.repeat(y, 3)),
        np.repeat(X, 3, axis=0),
        np.repeat(y, 3),
        clusters=np.repeat(np.arange(40), 3),
        sensitive_features=np.repeat(group, 3),
        n_boot=5,
        random_state=0,
    )
    columns = ["coefficient", "lower", "upper"]
    np.testing.assert_allclose(one.to_frame()[columns], three.to_frame()[columns], atol=1e-7)
    groups = [report.groups.to_frame()[["value", "lower", "upper"]] for report in (one, three)]
    np.testing.assert_allclose(*groups, atol=1e-7)


def test_coefficients_are_in_units_of_y():
    X, y, _, _, _ = draw()
    frames = [
        coefficient_report(
            PixelLossRegressor(0.5).fit(X, a * y + 7.0), X, a * y + 7.0, n_boot=20, random_state=0
        ).to_frame()
        for a in (1.0, 1e4)
    ]
    limits = ["lower", "upper"]
    np.testing.assert_allclose(1e4 * frames[0][limits][:3], frames[1][limits][:3], rtol=1e-4)


def test_losses_by_group_vary_more_than_those_of_a_given_model():
    X, y, group, _, _ = draw(60, p=8, seed=2)
    model = PixelLossRegressor(1.0).fit(X, y)
    report = coefficient_report(
        model, X, y, sensitive_features=group, metrics=["mae", "rmse"], n_boot=200, random_state=0
    )
    losses = [np.abs(y - model.predict(X))[group == own].mean() for own in (False, True)]
    np.testing.assert_allclose(report.groups.by_group["mae"], losses)
    for lower, value, upper in zip(
        report.groups.by_group_ci[0]["rmse"],
        report.groups.by_group["rmse"],
        report.groups.by_group_ci[1]["rmse"],
        strict=True,
    ):
        assert lower < value < upper
    # a replicate's loss is that of its own model under its own weights
    drawn = random_weights(1, np.arange(60))[0]
    cold = PixelLossRegressor(1.0).fit(X, y, sample_weight=drawn)
    errors = np.abs(y - cold.predict(X))
    for j, own in enumerate((~group, group)):
        expected = np.average(errors[own], weights=drawn[own])
        assert report.refits.measured[0, 0, j] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("clustered", [False, True])
def test_a_part_that_groups_have_in_common_cancels_in_their_difference(clustered):
    rng = np.random.default_rng(0)
    group, pair = np.tile([0.0, 1.0], 40), np.repeat(np.arange(40), 2)
    y = rng.normal(size=40)[pair] + 2.0 * group
    X = group[:, None]
    report = coefficient_report(
        PixelLossRegressor(0.0).fit(X, y),
        X,
        y,
        sensitive_features=group,
        clusters=pair if clustered else None,
        metrics="mean_prediction",
        n_boot=200,
        random_state=0,
    )
    frame = report.groups.to_frame().set_index("statistic")
    coefficient = report.to_frame().iloc[0][["lower", "upper"]].astype(float)
    difference = frame.loc["difference", ["lower", "upper"]].astype(float)
    # two ways to an interval of the same number; of the skewness of 200 samples
    np.testing.assert_allclose(difference, coefficient, atol=0.1)
    if clustered:
        np.testing.assert_allclose(coefficient, 2.0, rtol=1e-6)
    else:
        assert np.ptp(difference) > 0.5


def test_replicates_that_no_model_fits_are_counted_and_left_out():
    rng = np.random.default_rng(0)
    X, group = np.zeros((60, 1)), np.repeat(["u", "v"], 30)
    y = np.where(group == "u", 0.0, 1.0) + rng.normal(scale=0.3, size=60)
    worst = PixelLossRegressor(0.0, scale=1.0, fairness=WorstGroupLoss(1.0))
    worst.fit(X, y, sensitive_features=group)
    bound = 1.02 * worst.group_losses_.max()
    model = PixelLossRegressor(0.0, scale=1.0, fairness=BoundedGroupLoss(bound, loss=None))
    model.fit(X, y, sensitive_features=group)
    report = coefficient_report(model, X, y, sensitive_features=group, n_boot=40, random_state=0)
    expected = 0
    for drawn in random_weights(40, np.arange(60)):
        cold = PixelLossRegressor(**model.get_params(deep=False))
        try:
            cold.fit(X, y, sensitive_features=group, sample_weight=drawn)
        except InfeasibleFairnessError:
            expected += 1
    assert 5 < expected < 35
    assert report.infeasible_share == expected / 40
    assert len(report.coef_replicates) == 40 - expected
    assert f"no model meets the fairness terms in {100 * expected / 40:.3g} %" in repr(report)


def test_equalized_losses_that_are_not_met_are_counted_and_warn_of_nothing():
    rng = np.random.default_rng(1)
    X, group = np.zeros((40, 1)), np.repeat(["u", "v"], 20)
    y = np.where(group == "u", 1.0, 3.0) * rng.normal(size=40)
    model = PixelLossRegressor(0.0, fairness=EqualizedLoss(0.01, loss=None))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y, sensitive_features=group)
    report = coefficient_report(model, X, y, sensitive_features=group, n_boot=10, random_state=0)
    assert 0 < report.unmet_share <= 1
    assert "EqualizedLoss is not met" in repr(report)


def test_replicates_that_are_not_certified_are_one_warning(monkeypatch):
    def fit_and_warn(model, training, start):
        warnings.warn("not certified", ConvergenceWarning, stacklevel=1)
        return fit_model(model, training, start)

    X, y, _, _, _ = draw()
    model = PixelLossRegressor(0.5).fit(X, y)
    monkeypatch.setattr("skfairloss.inference._refits.fit_model", fit_and_warn)
    with pytest.warns(ConvergenceWarning, match="5 of 5 replicates are not certified") as caught:
        coefficient_report(model, X, y, n_boot=5, random_state=0)
    assert len(caught) == 1


def test_a_pipeline_keeps_its_steps_and_names_its_features():
    X, y, _, _, _ = draw()
    frame = pd.DataFrame(X, columns=["age", "size", "depth"]).assign(group=np.arange(120) % 2)
    pipeline = make_pipeline(StandardScaler(), PixelLossRegressor(1.0)).fit(frame, y)
    report = coefficient_report(
        pipeline, frame, y, sensitive_features="group", n_boot=5, random_state=0
    )
    assert report.to_frame()["feature"].tolist() == [*frame.columns, "(intercept)"]
    alone = coefficient_report(
        PixelLossRegressor(1.0).fit(pipeline[0].transform(frame), y),
        pipeline[0].transform(frame),
        y,
        n_boot=5,
        random_state=0,
    )
    np.testing.assert_allclose(report.coef_replicates, alone.coef_replicates, atol=1e-9)
    assert set(report.groups.by_group.index) == {0, 1}
    named = PixelLossRegressor(1.0).fit(frame, y)
    found = coefficient_report(named, frame, y, n_boot=3, random_state=0).to_frame()
    assert found["feature"].tolist()[:2] == ["age", "size"]


def test_rows_of_weight_zero_do_not_matter():
    X, y, group, clusters, _ = draw(80)
    weights = np.r_[np.ones(60), np.zeros(20)]
    reports = []
    for kept in (slice(60), slice(80)):
        options = {"sensitive_features": group[kept], "sample_weight": weights[kept]}
        model = PixelLossRegressor(1.0).fit(X[kept], y[kept], **options)
        reports.append(
            coefficient_report(
                model,
                X[kept],
                y[kept],
                **options,
                clusters=clusters[kept],
                n_boot=5,
                random_state=0,
            )
        )
    pd.testing.assert_frame_equal(*(report.to_frame() for report in reports))
    pd.testing.assert_frame_equal(*(report.groups.to_frame() for report in reports))


def test_the_report_is_reproducible_pickled_and_readable():
    X, y, group, _, _ = draw()
    model = PixelLossRegressor(1.0).fit(X, y)
    options = {"sensitive_features": group, "n_boot": 10}
    one, two = (coefficient_report(model, X, y, **options, random_state=0) for _ in range(2))
    pd.testing.assert_frame_equal(one.to_frame(), two.to_frame())
    again = pickle.loads(pickle.dumps(one))
    pd.testing.assert_frame_equal(one.to_frame(), again.to_frame())
    assert repr(again) == repr(one)
    root = ET.fromstring(one._repr_html_())
    assert len(root.findall(".//table")) == 2
    assert [cell.text for cell in root.findall(".//table[1]/tbody/tr/th")][:3] == ["x0", "x1", "x2"]
    assert len(root.findall(".//table")[0].findall(".//svg")) == 3
    assert "(intercept)" in one._repr_html_()
    display = one.plot(title="coefficients")
    assert display.ax_.get_title() == "coefficients"
    assert [text.get_text() for text in display.ax_.get_yticklabels()] == ["x0", "x1", "x2"]
    plain = coefficient_report(model, X, y, n_boot=3, random_state=0)
    assert plain.groups is None
    assert len(ET.fromstring(plain._repr_html_()).findall(".//table")) == 1


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"model": Ridge()}, TypeError, "must be a fitted PixelLossRegressor.* got Ridge"),
        (
            {"model": make_pipeline(StandardScaler(), Ridge())},
            TypeError,
            "got Ridge at the end of a pipeline",
        ),
        ({"model": PixelLossRegressor()}, NotFittedError, "not fitted"),
        ({"n_boot": 1}, ValueError, "n_boot must be an integer >= 2, got 1"),
        ({"confidence_level": 95}, ValueError, "confidence_level must be a number in"),
        ({"clusters": np.zeros(120)}, ValueError, "clusters has the single cluster 0.0"),
        ({"clusters": np.arange(3)}, ValueError, "clusters has 3 rows, expected 120"),
        ({"clusters": [None, *range(119)]}, ValueError, "clusters has missing values in 1 of 120"),
        ({"y": -draw()[1]}, ValueError, "model was fitted to other rows, weights or groups"),
        ({"X": draw()[0][:, :2]}, ValueError, "fitted to 3 features and 1 outputs, got X and y w"),
        ({"sample_weight": np.r_[np.ones(3), np.zeros(117)]}, ValueError, "fitted to other rows"),
        ({"metrics": "mea", "sensitive_features": draw()[2]}, ValueError, "metrics must be one"),
    ],
)
def test_what_cannot_be_reported_is_refused(change, error, message):
    X, y, _, _, _ = draw()
    arguments = {"model": PixelLossRegressor(1.0).fit(X, y), "X": X, "y": y} | change
    with pytest.raises(error, match=message):
        coefficient_report(**arguments)


def test_more_rows_than_coefficients_are_needed():
    X, y, _, clusters, _ = draw(12, p=12)
    model = PixelLossRegressor(0.0, alpha=0.1).fit(X, y)
    with pytest.raises(ValueError, match="needs more rows than coefficients, got 12 rows"):
        coefficient_report(model, X, y, n_boot=3)
    assert coefficient_report(model, X, y, clusters=clusters, n_boot=3).n_clusters == 3


def test_the_benchmark_prints_the_replicates_in_cold_fits(tmp_path):
    options = "--rows 300 --features 2 --boot 5 --fits 2 --repeats 1"
    text = run("tests/benchmarks/coefficient_speed.py", *options.split(), cwd=tmp_path)
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| under")]
    assert [row[1].strip() for row in rows] == ["under random weights", "under equal weights"]
    assert all(float(row[2]) > 0 for row in rows)


def test_the_simulations_of_coverage_print_a_row_for_each_cell(tmp_path):
    options = ["--simulations", "2", "--boot", "5", "--cells", "2", "--jobs", "1"]
    text = run("tests/benchmarks/coefficient_coverage.py", *options, cwd=tmp_path)
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| 50 rows")]
    assert len(rows) == 2
    assert all(len(row) == 5 + 6 for row in rows)
