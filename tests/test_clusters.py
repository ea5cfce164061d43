"""Clusters: whole in every fold, the unit of every interval, and checked everywhere alike."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy import stats
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, LeaveOneGroupOut
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfairloss import PixelLossRegressor, PixelLossRegressorCV, group_report
from skfairloss.displays import GroupLossDisplay, LossMixDisplay, TradeoffDisplay
from skfairloss.metrics._cluster_draws import draw_clusters
from tests.test_compare_models import clustered

SCHOOLS = {
    "codes": lambda s: s,
    "names": lambda s: [f"school {i:02d}" for i in s],
    "series": lambda s: pd.Series(s, name="school"),
    "categories": pd.Categorical,
}


def search(X, y, school, cv=3, **options):
    return PixelLossRegressorCV([0.0, 1.0], cv=cv).fit(X, y, clusters=school, **options)


@pytest.mark.parametrize("form", SCHOOLS.values(), ids=SCHOOLS)
def test_a_search_keeps_clusters_whole_as_a_grid_search_with_groups(form):
    X, y, _, school = clustered()
    own = search(X, y, form(school))
    grid = GridSearchCV(PixelLossRegressor(), {"loss_mix": [0.0, 1.0]}, cv=GroupKFold(3))
    grid.fit(X, y, groups=school)
    for key in ("split0_test_score", "split2_test_score", "mean_test_score"):
        np.testing.assert_allclose(own.cv_results_[key], grid.cv_results_[key], rtol=1e-6)
    given = search(X, y, form(school), LeaveOneGroupOut())
    assert given.n_splits_ == 12


def test_a_search_takes_a_column_of_x():
    X, y, _, school = clustered()
    frame = pd.DataFrame(X, columns=["a", "b"]).assign(school=school.astype(float))
    named = search(frame, y, "school")
    expected = search(frame, y, school)
    np.testing.assert_array_equal(
        named.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"]
    )


@pytest.mark.parametrize("routing", [False, True])
def test_clusters_reach_a_search_in_a_pipeline(routing):
    X, y, _, school = clustered()
    pipe = make_pipeline(StandardScaler(), PixelLossRegressorCV([0.0, 1.0], cv=GroupKFold(3)))
    with sklearn.config_context(enable_metadata_routing=routing):
        name = "clusters" if routing else "pixellossregressorcv__clusters"
        found = pipe.fit(X, y, **{name: school})[-1]
        if routing:  # scikit-learn's own name for them
            same = pipe.fit(X, y, groups=school)[-1]
            np.testing.assert_array_equal(
                found.cv_results_["mean_test_score"], same.cv_results_["mean_test_score"]
            )
            with pytest.raises(ValueError, match="pass one of them"):
                pipe.fit(X, y, groups=school, clusters=school)
    assert found.n_splits_ == 3


def test_folds_that_split_a_cluster_are_refused():
    X, y, _, school = clustered()
    with pytest.raises(ValueError, match="cv splits 8 clusters in fold 1 of 3, the first is 0"):
        search(X, y, np.arange(96) % 8, KFold(3))
    whole = search(X, y, school, KFold(3))  # rows in the order of whole clusters
    assert whole.n_splits_ == 3


BAD = [
    (np.zeros(96), "clusters has the single cluster 0.0"),
    (np.where(np.arange(96) == 3, np.nan, 1.0), "clusters has missing values in 1 of 96 rows"),
    ([None, *range(95)], "clusters has missing values in 1 of 96 rows, at position 0"),
    (np.arange(95), "clusters has 95 rows, expected 96"),
    ("school", "clusters='school' names columns of X"),
]


@pytest.mark.parametrize(("clusters", "words"), BAD)
def test_what_are_no_clusters_is_refused_by_a_search(clusters, words):
    X, y, *_ = clustered()
    with pytest.raises(ValueError, match=words):
        search(X, y, clusters)


# Reports


METRICS = ["mae", "mse", "r2", "medae", "mean_residual", "share_above@1"]


def absolute(y_true, y_pred):
    return float(np.abs(y_true - y_pred).mean())


def report(y, pred, group, **options):
    options = {"metrics": [*METRICS, absolute], "n_boot": 200, "random_state": 0} | options
    return group_report(y, pred, sensitive_features=group, **options)


@pytest.mark.parametrize("weighted", [False, True])
def test_rows_that_are_clusters_of_one_give_the_report_without_clusters(weighted):
    rng = np.random.default_rng(0)
    y, pred = rng.normal(size=(2, 90))
    group = np.arange(90) % 2
    options = {"sample_weight": rng.random(90)} if weighted else {}
    plain = report(y, pred, group, **options)
    alone = report(y, pred, group, clusters=np.arange(90), **options)
    pd.testing.assert_frame_equal(plain.to_frame(), alone.to_frame(), rtol=1e-12)


@pytest.mark.parametrize("crossed", [False, True])
def test_copies_of_rows_that_are_clusters_change_no_interval(crossed):
    rng = np.random.default_rng(0)
    n = 60
    y, pred = rng.normal(size=(2, n))
    group = np.arange(n) % 2
    unit = np.arange(n) // 2 if crossed else np.arange(n)
    thrice = np.repeat(np.arange(n), 3)
    once = report(y, pred, group, clusters=unit)
    whole = report(y[thrice], pred[thrice], group[thrice], clusters=unit[thrice])
    rows = report(y[thrice], pred[thrice], group[thrice])
    for metric in ("mae", "mse", "medae", "mean_residual"):  # r2 and shares are means as well
        expected, found, short = (
            frame[frame["metric"] == metric].iloc[:3][["lower", "upper"]].to_numpy()
            for frame in (once.to_frame(), whole.to_frame(), rows.to_frame())
        )
        np.testing.assert_allclose(found, expected, rtol=1e-9)
        assert (np.diff(short) < 0.85 * np.diff(found)).all()


def test_clusters_are_drawn_whole_within_groups_where_they_are_of_one():
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(6), 3)
    rows = [np.flatnonzero(codes < 2), np.flatnonzero(codes >= 2)]
    for counts in draw_clusters(rng, codes, rows, 50, 10**4):
        for own, times in zip(rows, counts, strict=True):
            for cluster in np.unique(codes[own]):
                assert (np.ptp(times[:, codes[own] == cluster], axis=1) == 0).all()
            assert (times.sum(axis=1) == len(own)).all()
    crossed = [np.arange(0, 18, 2), np.arange(1, 18, 2)]
    (counts,) = draw_clusters(rng, codes, crossed, 50, 10**4)
    assert (np.concatenate(counts, axis=1).sum(axis=1) == 18).all()
    assert len(np.unique(counts[0].sum(axis=1))) > 1


def test_a_group_that_a_sample_does_not_have_leaves_the_intervals_of_others():
    X, y, group, school = clustered(12, 8)
    rare = np.where((school == 0) & (group == 0), "rare", np.where(group == 0, "a", "b"))
    found = report(y, X[:, 0], rare, clusters=school)
    frame = found.to_frame().query("metric == 'mae' and statistic == 'by_group'")
    known = frame.set_index("group")["lower"].notna()
    assert known.to_dict() == {"a": True, "b": True, "rare": False}
    assert "too few clusters" in repr(found)
    assert "between 12 clusters" in repr(found)


def between(y, group, clusters, **options):
    """The interval of the difference of mean residuals."""
    options = {"sensitive_features": group, "clusters": clusters, "random_state": 0} | options
    found = group_report(y, np.zeros(len(y)), metrics="mean_residual", **options)
    return [limits.item() for limits in found.difference_ci]


@pytest.mark.parametrize("unit", [1.0, -250.0])
def test_a_part_that_clusters_add_to_every_group_cancels_in_differences(unit):
    school, group = np.repeat(np.arange(20), 6), np.tile([0, 1, 2], 40)
    effect = np.linspace(-1, 1, 20)
    y = effect[school] + np.array([0.0, 3.0, 1.0])[group]
    found = between(unit * y, group, school, n_boot=2000)
    # where ends below and above a value are as far; of the skewness of 2 000 samples
    alone = 2 * effect.std() / np.sqrt(20)
    np.testing.assert_allclose(found, 3.0 * abs(unit), atol=0.1 * alone * abs(unit))


def test_the_difference_of_groups_within_clusters_is_that_of_pairs():
    rng = np.random.default_rng(1)
    shared, own = rng.normal(size=50), rng.normal(size=(2, 50))
    first, second = 5 + shared + own[0], shared + own[1]
    y, pair = np.concatenate([first, second]), np.tile(np.arange(50), 2)
    found = between(y, np.repeat(["u", "v"], 50), pair, n_boot=4000)
    differences = first - second
    expected = stats.ttest_1samp(differences, 0).confidence_interval()
    # of the spreads and the skewness of 4 000 samples
    np.testing.assert_allclose(found, expected, atol=0.08 * differences.std() / np.sqrt(50))


@pytest.mark.parametrize(("clusters", "words"), BAD[:4])
def test_what_are_no_clusters_is_refused_by_reports_and_displays(clusters, words):
    X, y, group, _ = clustered()
    options = {"sensitive_features": group, "clusters": clusters}
    for call in (
        lambda: group_report(y, X[:, 0], **options),
        lambda: GroupLossDisplay.from_predictions(y, X[:, 0], **options),
        lambda: LossMixDisplay.from_estimator(PixelLossRegressor(), X, y, **options),
        lambda: TradeoffDisplay.from_estimator(PixelLossRegressor(), X, y, **options),
    ):
        with pytest.raises(ValueError, match=words):
            call()


def test_displays_have_the_intervals_of_the_report_between_clusters():
    X, y, group, school = clustered(20, 8)
    options = {"sensitive_features": group, "clusters": school, "n_boot": 100, "random_state": 0}
    display = GroupLossDisplay.from_predictions(y, X[:, 0], **options)
    expected = group_report(y, X[:, 0], metrics="mae", **options).to_frame().iloc[:2]
    np.testing.assert_array_equal(display.lower, expected["lower"])
    model = PixelLossRegressor()
    mixes = {"param_range": [0.0, 1.0], "cv": 4}
    whole = LossMixDisplay.from_estimator(model, X, y, **mixes, **options)
    alone = LossMixDisplay.from_estimator(model, X, y, **mixes, **{**options, "clusters": None})
    wide, short = (np.ptp(np.stack(d.overall_ci), axis=0) for d in (whole, alone))
    assert (wide > 1.1 * short).all()
    frame = pd.DataFrame(X, columns=["a", "b"]).assign(school=school)
    folds = list(GroupKFold(4).split(X, groups=school))
    for cv in (GroupKFold(4), folds):
        named = LossMixDisplay.from_estimator(
            model, frame, y, **mixes | {"cv": cv}, **{**options, "clusters": "school"}
        )
        assert np.isfinite(named.overall).all()
    with pytest.raises(ValueError, match="cv splits 19 clusters in fold 1 of 4"):
        TradeoffDisplay.from_estimator(
            model,
            X,
            y,
            sensitive_features=group,
            clusters=school,
            cv=KFold(4, shuffle=True, random_state=0),
        )
    plt.close("all")


def test_a_report_as_markdown_is_a_table_with_every_value():
    X, y, group, school = clustered()
    found = report(y, X[:, 0], np.where(group == 0, "a|b", "c<d"), clusters=school)
    card = found.to_model_card()
    lines = [line for line in card.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 5
    assert "between 12 clusters" in card.splitlines()[0]
    assert r"a\|b" in card
    assert "c&lt;d" in card
    assert f"{found.overall['mae']:.2f}" in card
