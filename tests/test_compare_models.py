"""`compare_models`: any regressors, several metrics, clusters, and what is said of them."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy.stats import ttest_1samp, ttest_ind
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import HistGradientBoostingRegressor, VotingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfairloss import (
    PixelLossRegressor,
    PixelLossRegressorCV,
    compare_loss_mixes,
    compare_models,
)
from skfairloss._inputs.groups import encode_groups
from skfairloss.callbacks import GroupLossMonitor
from skfairloss.fairness import WorstGroupLoss
from skfairloss.metrics import group_metric_frame
from skfairloss.metrics._named import find
from skfairloss.model_selection import _path
from skfairloss.model_selection._intervals import (
    Design,
    Estimate,
    Repeat,
    estimate,
    simultaneous_tail,
)
from skfairloss.model_selection._statistics import Linearised, Rows, linearise
from tests.test_loss_mix_path import data, needs_callbacks

TERM = WorstGroupLoss(0.5)
LINEAR = {"ridge": Ridge(), "mean": DummyRegressor()}


def compare(models=LINEAR, n=120, outputs=None, **options):
    X, y, _, group = data(n, outputs=outputs)
    options = {"cv": 3, "n_repeats": 2, "random_state": 0} | options
    return compare_models(models, X, y, sensitive_features=group, **options), (X, y, group)


# Models


def test_two_mixes_give_the_numbers_of_the_comparison_of_mixes_to_the_last_digit():
    mixes = [0.0, 0.5, 1.0]
    models = {f"{mix}": PixelLossRegressor(mix) for mix in (0.5, 0.0, 1.0)}
    found, (X, y, group) = compare(models, reference="0.0")
    options = {"cv": 3, "random_state": 0, "loss_mixes": mixes}
    expected = compare_loss_mixes(X, y, sensitive_features=group, **options)
    numbers = found.to_frame().set_index("model").loc[[f"{mix}" for mix in mixes]]
    pd.testing.assert_frame_equal(
        numbers.reset_index(drop=True), expected.to_frame().drop(columns="loss_mix")
    )
    np.testing.assert_array_equal(found.predictions[:, [1, 0, 2]], expected.predictions)


@pytest.mark.parametrize("terms", [None, WorstGroupLoss(0.3), [WorstGroupLoss(0.3)]])
def test_regressors_that_differ_in_the_mix_alone_share_their_data(terms, monkeypatch):
    reads = []
    read = _path.read_training
    monkeypatch.setattr(_path, "read_training", lambda *a: reads.append(1) or read(*a))
    models = {
        f"{mix}": PixelLossRegressor(mix, fairness=clone(terms, safe=False)) for mix in (1, 0)
    }
    compare(models, n_repeats=1)
    assert len(reads) == 3
    compare({**models, "penalty": PixelLossRegressor(alpha=0.1)}, n_repeats=1)
    assert len(reads) == 3 + 6


MODELS = {
    "L2": PixelLossRegressor(),
    "term": PixelLossRegressor(fairness=TERM),
    "pipe": make_pipeline(StandardScaler(), PixelLossRegressor(1.0, fairness=TERM)),
    "boosting": HistGradientBoostingRegressor(max_iter=5),
    "ridge": make_pipeline(StandardScaler(), Ridge()),
    "log": TransformedTargetRegressor(Ridge(), func=np.cbrt, inverse_func=lambda z: z**3),
    "search": GridSearchCV(PixelLossRegressor(fairness=TERM), {"loss_mix": [0.0, 1.0]}, cv=2),
    "own search": PixelLossRegressorCV([0.0, 1.0], cv=2, fairness=TERM),
    "voting": VotingRegressor([("a", Ridge()), ("b", PixelLossRegressor())]),
}


def in_order(pairs, routing):
    """Fit parameters of the models, by hand."""
    groups, weights = pairs
    pipe = "" if routing else "pixellossregressor__"
    both = {"sensitive_features": groups, "sample_weight": weights}
    return {
        "term": both,
        "pipe": {f"{pipe}{name}": value for name, value in both.items()},
        "boosting": {"sample_weight": weights},
        "ridge": {f"{'' if routing else 'ridge__'}sample_weight": weights},
        "search": both,
        "voting": {"sample_weight": weights},
    }


@pytest.mark.parametrize("routing", [False, True])
def test_groups_and_weights_reach_the_models_that_take_them(routing):
    X, y, weights, group = data(120)
    models = {name: MODELS[name] for name in in_order((None, None), routing)}
    with sklearn.config_context(enable_metadata_routing=routing):
        if routing:
            asks = {"sample_weight": True}
            models = {
                "term": models["term"],
                "pipe": make_pipeline(
                    StandardScaler().set_fit_request(sample_weight=False),
                    PixelLossRegressor(1.0, fairness=TERM).set_fit_request(**asks),
                ),
                "boosting": models["boosting"],
                "ridge": make_pipeline(
                    StandardScaler().set_fit_request(sample_weight=False),
                    Ridge().set_fit_request(**asks),
                ),
                "search": GridSearchCV(
                    PixelLossRegressor(fairness=TERM)
                    .set_fit_request(**asks)
                    .set_score_request(sample_weight=False),
                    {"loss_mix": [0.0, 1.0]},
                    cv=2,
                ),
                "voting": VotingRegressor(
                    [
                        ("a", Ridge().set_fit_request(**asks)),
                        (
                            "b",
                            PixelLossRegressor().set_fit_request(sensitive_features=False, **asks),
                        ),
                    ]
                ),
            }
        found = compare_models(
            models,
            X,
            y,
            sensitive_features=group,
            sample_weight=weights,
            cv=3,
            n_repeats=1,
            random_state=0,
        )
        for k in range(3):
            test = found.folds[0] == k
            given = in_order((group[~test], weights[~test]), routing)
            for j, (name, model) in enumerate(models.items()):
                fitted = clone(model).fit(X[~test], y[~test], **given[name])
                np.testing.assert_allclose(
                    found.predictions[0, j, test], fitted.predict(X[test]), rtol=1e-6, atol=1e-8
                )


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_every_kind_of_regressor_is_compared(routing, n_jobs):
    with sklearn.config_context(enable_metadata_routing=routing):
        found, _ = compare(MODELS, n_jobs=n_jobs, n_repeats=1)
    alone, _ = compare({name: MODELS[name] for name in ("L2", "log")}, n_repeats=1)
    assert found.overall["model"].tolist() == list(MODELS)
    np.testing.assert_array_equal(found.predictions[:, 5], alone.predictions[:, 1])
    assert not hasattr(MODELS["boosting"], "n_iter_"), "models are cloned"


class Fails(RegressorMixin, BaseEstimator):
    """A regressor that cannot be fitted where a row is missing, or predicts what is no number."""

    def __init__(self, needed=7.0, wrong=None):
        self.needed = needed
        self.wrong = wrong

    def fit(self, X, y):
        if self.wrong is None and self.needed not in y:
            raise RuntimeError("cannot be fitted")
        return self

    def predict(self, X):
        return np.full(len(X), 0.0) if self.wrong is None else np.asarray(self.wrong)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (None, r"cannot be fitted \(odd, fold 2 of 3\)"),
        ([1.0], r"predictions must have the shape \(90,\) of y, got \(1,\) \(odd, fold 1 of 3\)"),
        ([np.nan] * 90, r"predictions must be finite \(odd, fold 1 of 3\)"),
    ],
)
def test_a_model_that_fails_in_a_fold_is_named_with_the_fold(wrong, words):
    X, y, _, group = data(90)
    y[40] = 7.0
    models = {"ridge": Ridge(), "odd": Fails(7.0, wrong)}
    with pytest.raises((RuntimeError, ValueError), match=words):
        compare_models(models, X, y, sensitive_features=group, cv=KFold(3))


def test_what_cannot_be_given_weights_or_groups_is_named_before_any_fit():
    X, y, weights, group = data(60)
    options = {"sensitive_features": group, "sample_weight": weights}
    with pytest.raises(ValueError, match=r"KNeighborsRegressor.fit takes none \(near\)"):
        compare_models({"ridge": Ridge(), "near": KNeighborsRegressor()}, X, y, **options)
    two = VotingRegressor([("a", MODELS["term"]), ("b", Ridge())])
    with pytest.raises(ValueError, match=r"sensitive_features cannot reach .* \(two\)"):
        compare_models({"ridge": Ridge(), "two": two}, X, y, sensitive_features=group)


@needs_callbacks
def test_callbacks_watch_the_regressors_that_have_them():
    monitor = GroupLossMonitor()
    models = {"term": MODELS["term"], "pipe": MODELS["pipe"], "ridge": Ridge()}
    compare(models, callbacks=[monitor], n_repeats=1)
    assert (monitor.to_frame()["task"] == "fit").sum() == 2 * 3 * 2


@needs_callbacks
def test_a_progress_bar_counts_the_fits_of_all_models(capsys, monkeypatch):
    pytest.importorskip("rich")
    from sklearn.callback import ProgressBar

    monkeypatch.setenv("COLUMNS", "200")
    compare(callbacks=[ProgressBar(max_propagation_depth=None)], n_repeats=1)
    assert "Run - fit" in capsys.readouterr().out


def test_joblib_reports_progress_where_it_is_asked_to(capsys):
    compare(verbose=10, n_repeats=1)
    assert "Done" in "".join(capsys.readouterr())


# Metrics


@pytest.mark.parametrize("outputs", [None, 2])
def test_several_metrics_in_one_call_are_those_of_a_metric_frame(outputs):
    def fourth(y_true, y_pred):
        return np.mean(np.reshape((y_true - y_pred) ** 4, (len(y_true), -1)), axis=1)

    named = ["mae", "rmse", "bias", "r2", "medae", "pinball@0.9"]
    found, (_, y, group) = compare(metrics=[*named, fourth], n_repeats=1, outputs=outputs)
    for j, model in enumerate(LINEAR):
        frame = group_metric_frame(
            y, found.predictions[0, j], sensitive_features=group, metrics=named
        )
        rows = found.overall[found.overall["model"] == model].set_index("metric")["value"]
        np.testing.assert_allclose(rows[named], frame.overall[named], atol=1e-12)
        assert rows["fourth"] == pytest.approx(np.mean(fourth(y, found.predictions[0, j])))
        by_group = found.by_group[found.by_group["model"] == model]
        wide = by_group.pivot(index="group", columns="metric", values="value")
        np.testing.assert_allclose(wide[named], frame.by_group[named], atol=1e-12)


@pytest.mark.parametrize("name", ["mae", "rmse", "r2", "bias"])
@pytest.mark.parametrize("outputs", [1, 2])
def test_an_influence_is_the_derivative_in_the_weight_of_a_row(name, outputs):
    rng = np.random.default_rng(0)
    y, predicted = rng.normal(size=(2, 30, outputs))
    weights = rng.random(30)
    groups = encode_groups(np.arange(30) % 3)
    metric = find(name)

    def of(weights):
        rows = Rows(y, groups, weights)
        return linearise(metric.aggregate, rows, metric.rows(y, predicted))

    found, step = of(weights), 1e-6
    for i in (0, 7):
        moved = weights.copy()
        moved[i] *= 1 + step
        change = (of(moved).value - found.value) / step
        expected = np.zeros(4)
        expected[0], expected[1 + groups.codes[i]] = found.influence[:, i]
        np.testing.assert_allclose(change, expected, atol=1e-6)


def test_the_interval_of_a_median_is_as_wide_as_that_of_order_statistics():
    rng = np.random.default_rng(1)
    d = rng.exponential(size=4001)
    rows = Rows(d, encode_groups(np.repeat([0, 1], [2000, 2001])), np.ones(4001))
    found = linearise(find("medae").aggregate, rows, d)
    error = np.sqrt(np.sum(found.influence[0] ** 2))
    # of the median of n draws: 1 / (2 f √n), with the density f = ½ there
    assert error == pytest.approx(1 / np.sqrt(4001), rel=0.1)


# Intervals


def of_rows(values, clusters=None, pair=(1, 0), codes=None, weights=None):
    """The estimate of means of rows whose training rows make no difference."""
    n = len(values)
    groups = encode_groups(np.arange(n) % 2 if codes is None else codes)
    weights = np.ones(n) if weights is None else weights
    folds = np.zeros((1, n), dtype=int)
    own = np.arange(n) if clusters is None else clusters
    rows = Rows(values, groups, weights)
    found = linearise(find("mae").aggregate, rows, values)
    design = Design(groups, weights, pair, own)
    return estimate(design, folds, [Repeat.of(found, np.zeros((3, 3, 1 + groups.n_groups)))])


def symmetric(found):
    """The estimate without its skewness, of which t tests know nothing."""
    return replace(found, skewness=np.zeros_like(found.skewness))


def test_skewness_moves_both_ends_to_the_side_of_the_long_tail():
    values = np.random.default_rng(0).exponential(size=31)
    found = of_rows(values)
    centred = values - values.mean()
    expected = np.sum(centred**3) / np.sum(centred**2) ** 1.5
    assert found.skewness[0] == pytest.approx(expected, rel=1e-12)
    (low, high), (least, most) = symmetric(found).ends(0.025), found.ends(0.025)
    assert (least[0] > low[0], most[0] > high[0]) == (True, True)
    other = of_rows(-values)
    np.testing.assert_allclose(other.ends(0.025)[0][:3], -most[:3], rtol=1e-12)


def test_without_training_the_intervals_are_those_of_t_tests():
    values = np.random.default_rng(0).normal(1.0, 2.0, size=31)
    found = symmetric(of_rows(values))
    lower, upper = found.ends(0.025)
    for q, rows in enumerate((values, values[::2], values[1::2])):
        expected = ttest_1samp(rows, 0).confidence_interval(0.95)
        np.testing.assert_allclose([lower[q], upper[q]], expected, rtol=1e-12)
    welch = ttest_ind(values[1::2], values[::2], equal_var=False).confidence_interval(0.95)
    np.testing.assert_allclose([lower[3], upper[3]], welch, rtol=1e-12)


def test_clusters_of_one_size_are_the_t_test_of_their_means():
    rng = np.random.default_rng(0)
    clusters = np.repeat(np.arange(20), 6)
    values = rng.normal(size=20)[clusters] + 0.1 * rng.normal(size=120)
    codes = np.where(clusters < 8, "a", "b")
    found = symmetric(of_rows(values, clusters, codes=codes))
    lower, upper = found.ends(0.025)
    means = values.reshape(20, 6).mean(axis=1)
    for q, rows in enumerate((means, means[:8], means[8:])):
        expected = ttest_1samp(rows, 0).confidence_interval(0.95)
        np.testing.assert_allclose([lower[q], upper[q]], expected, rtol=1e-12)


def test_groups_within_clusters_are_compared_within_them():
    rng = np.random.default_rng(0)
    clusters = np.repeat(np.arange(20), 6)
    values = 10 * rng.normal(size=20)[clusters] + rng.normal(size=120)
    found = symmetric(of_rows(values, clusters))
    per_cluster = values.reshape(20, 3, 2).mean(axis=1) @ [-1.0, 1.0]
    expected = ttest_1samp(per_cluster, 0).confidence_interval(0.95)
    lower, upper = found.ends(0.025)
    np.testing.assert_allclose(upper[3] - lower[3], expected[1] - expected[0], rtol=1e-12)
    assert upper[3] - lower[3] < 0.2 * (upper[1] - lower[1])


def test_copies_of_rows_that_are_clusters_change_nothing():
    X, y, _, group = data(120)
    cv = [(np.flatnonzero(np.arange(120) % 4 != k), np.arange(k, 120, 4)) for k in range(4)]
    once = compare_models(LINEAR, X, y, sensitive_features=group, cv=cv)
    thrice = np.repeat(np.arange(120), 3)
    copied = [tuple(np.flatnonzero(np.isin(thrice, part)) for part in fold) for fold in cv]
    options = {"sensitive_features": group[thrice], "cv": copied}
    models = {"ridge": Ridge(3.0), "mean": DummyRegressor()}  # a penalty for three times the rows
    whole = compare_models(models, X[thrice], y[thrice], clusters=thrice, **options)
    alone = compare_models(models, X[thrice], y[thrice], **options)
    numbers = ["difference", "lower", "upper"]
    np.testing.assert_allclose(whole.differences[numbers], once.differences[numbers], rtol=1e-9)
    short, right = (f.differences["upper"] - f.differences["lower"] for f in (alone, once))
    assert (short < 0.9 * right).all()


def estimate_of(columns):
    """An estimate whose quantities vary like columns."""
    from scipy.sparse import csr_array

    q = columns.shape[1]
    parts = (csr_array(columns), np.zeros((1, q)))
    return Estimate(np.zeros(q), np.ones(q), np.ones(q), np.zeros(q), parts)


@pytest.mark.parametrize("k", [1, 5])
def test_simultaneous_intervals_of_independent_quantities_are_sidaks(k):
    columns = np.linalg.qr(np.random.default_rng(0).normal(size=(50, k)))[0]
    tail = simultaneous_tail([estimate_of(columns)], 0.95, np.random.default_rng(1))
    assert 2 * tail == pytest.approx(1 - 0.95 ** (1 / k), rel=0.05)
    twice = [estimate_of(columns), estimate_of(-3 * columns)]  # nothing new
    same = simultaneous_tail(twice, 0.95, np.random.default_rng(1))
    assert 2 * same == pytest.approx(1 - 0.95 ** (1 / k), rel=0.05)


def test_simultaneous_intervals_are_wider_and_the_verdict_names_them():
    alone, _ = compare(metrics=["mae", "bias"])
    together, _ = compare(metrics=["mae", "bias"], simultaneous=True)
    for column in ("value", "lower", "upper", "difference"):
        np.testing.assert_array_equal(alone.to_frame()[column], together.to_frame()[column])
    width, wider = (f.differences["upper"] - f.differences["lower"] for f in (alone, together))
    assert (wider > 1.05 * width).all()
    assert "each by itself" in alone.verdict
    assert f"simultaneous over {len(together.differences)} differences" in together.verdict


# Clusters


def clustered(n_clusters=12, size=8, seed=0):
    rng = np.random.default_rng(seed)
    school = np.repeat(np.arange(n_clusters), size)
    X = rng.normal(size=(len(school), 2))
    y = X[:, 0] + rng.normal(size=n_clusters)[school] + rng.normal(size=len(school))
    return X, y, rng.permuted(np.arange(len(school)) % 2), school


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("names", [lambda s: s, lambda s: np.array([f"school {i}" for i in s])])
def test_no_fold_splits_a_cluster_and_folds_are_stratified(nested, names):
    X, y, group, school = clustered(20, 5)
    group = (school % 2).astype(int) if nested else group
    found = compare_models(
        LINEAR, X, y, sensitive_features=group, clusters=names(school), cv=5, random_state=0
    )
    for fold in found.folds:
        assert all(len(set(fold[school == s])) == 1 for s in range(20))
        if nested:
            assert all(np.sum(group[fold == k]) == 10 for k in range(5))
    assert (found.folds[0] != found.folds[1]).any()
    assert found.n_clusters == 20
    assert "between 20 clusters" in found.verdict


def test_clusters_may_be_a_column_of_x_or_several():
    X, y, group, school = clustered()
    frame = pd.DataFrame(X, columns=["a", "b"]).assign(town=school // 4, school=school % 4)
    options = {"sensitive_features": group, "random_state": 0, "cv": 3}
    named = compare_models(LINEAR, frame, y, clusters=["town", "school"], **options)
    assert named.n_clusters == 12
    towns = compare_models(LINEAR, frame, y, clusters="town", **options | {"cv": 3})
    assert towns.n_clusters == 3
    with pytest.raises(ValueError, match="hold the clusters themselves"):
        compare_models(LINEAR, frame, y, clusters="city", **options)


def test_a_splitter_is_given_the_clusters_as_groups_and_may_not_split_them():
    X, y, group, school = clustered()
    options = {"sensitive_features": group, "clusters": school}
    found = compare_models(LINEAR, X, y, cv=GroupKFold(4), **options)
    expected = GroupKFold(4).split(X, groups=school)
    for k, (_, test) in enumerate(expected):
        assert (found.folds[0][test] == k).all()
    blocks = [(np.flatnonzero(school % 3 != k), np.flatnonzero(school % 3 == k)) for k in range(3)]
    assert compare_models(LINEAR, X, y, cv=blocks, **options).folds.shape == (1, 96)
    split = [(np.flatnonzero(np.arange(96) % 3 != k), np.arange(k, 96, 3)) for k in range(3)]
    with pytest.raises(ValueError, match=r"cv splits 12 clusters in fold 1 of 3, the first is 0"):
        compare_models(LINEAR, X, y, cv=split, **options)


@pytest.mark.parametrize("routing", [False, True])
def test_searches_inside_are_given_the_clusters_too(routing):
    X, y, group, school = clustered()
    seen = []

    class Watched(GroupKFold):
        def split(self, X, y=None, groups=None):
            seen.append(groups)
            return super().split(X, y, groups)

    search = GridSearchCV(Ridge(), {"alpha": [1.0, 2.0]}, cv=Watched(2))
    own = PixelLossRegressorCV([0.0, 1.0], cv=Watched(2))
    nested = make_pipeline(StandardScaler(), search)
    with sklearn.config_context(enable_metadata_routing=routing):
        found = compare_models(
            {"a": search, "b": own, "c": nested},
            X,
            y,
            sensitive_features=group,
            clusters=school,
            cv=3,
            n_repeats=1,
            random_state=0,
        )
    assert len(seen) == 3 * 3
    for i, codes in enumerate(seen):
        train = school[found.folds[0] != i // 3]
        same = (np.unique(each, return_inverse=True)[1] for each in (codes, train))
        np.testing.assert_array_equal(*same)


@pytest.mark.parametrize(
    ("clusters", "words"),
    [
        (np.zeros(96), "clusters has the single cluster 0.0"),
        (np.where(np.arange(96) == 3, np.nan, 1.0), "clusters has missing values in 1 of 96 rows"),
        (np.arange(95), "clusters has 95 rows, expected 96"),
        (np.arange(96) // 48, "clusters has 2 clusters, fewer than the cv=3 folds"),
    ],
)
def test_clusters_that_are_missing_or_alone_are_errors(clusters, words):
    X, y, group, _ = clustered()
    with pytest.raises(ValueError, match=words):
        compare_models(LINEAR, X, y, sensitive_features=group, clusters=clusters, cv=3)


def test_a_group_within_too_few_clusters_is_named():
    X, y, _, school = clustered()
    with pytest.raises(ValueError, match="cv has rows of the group 'few' in 1 fold only"):
        compare_models(
            LINEAR,
            X,
            y,
            sensitive_features=np.where(school == 0, "few", "many"),
            clusters=school,
            cv=3,
        )


# What is said


def test_the_verdict_is_one_sentence_with_the_numbers_of_the_table():
    found, _ = compare({"mean": DummyRegressor(), "ridge": Ridge()}, n=300)
    row = found.differences.iloc[0]
    assert row["detected"]
    size, low, high = map(
        float,
        re.search(r"lowers the MAE of all rows by (\S+) \[(\S+), (\S+)\]", found.verdict).groups(),
    )
    np.testing.assert_allclose(
        [size, low, high], [-row["difference"], -row["upper"], -row["lower"]], atol=0.01
    )
    assert found.verdict.startswith("Compared with mean, ridge lowers")
    assert "no group is detectably worse off" in found.verdict
    turned, _ = compare({"ridge": Ridge(), "mean": DummyRegressor()}, n=300)
    assert "mean raises the MAE of all rows" in turned.verdict
    assert "the groups u (" in turned.verdict
    assert "are detectably worse off" in turned.verdict


def test_a_verdict_of_a_metric_without_a_direction_says_change():
    found, _ = compare(metrics="bias")
    assert "worse" not in found.verdict
    better, _ = compare({"mean": DummyRegressor(), "ridge": Ridge()}, metrics="r2")
    assert "raises the R² of all rows" in better.verdict
    assert "no group is detectably worse off" in better.verdict


def test_of_several_models_the_verdict_speaks_of_the_best_or_says_that_none_is():
    models = {"mean": DummyRegressor(), "ridge": Ridge(), "weak": Ridge(1e3)}
    found, _ = compare(models, n=300)
    assert "ridge lowers the MAE of all rows" in found.verdict
    assert "the most of 2 models" in found.verdict
    worse, _ = compare(models, n=300, reference="ridge")
    assert "none of 2 models detectably improves the MAE: mean raises" in worse.verdict
    alike = {"a": LinearRegression(), "b": LinearRegression(), "c": LinearRegression()}
    assert "none of 2 models changes the MAE of all rows detectably" in compare(alike)[0].verdict
    two = compare({"a": LinearRegression(), "b": Ridge(1e-9)})[0]
    assert "b does not detectably change the MAE of all rows" in two.verdict


def test_a_verdict_names_the_groups_that_do_worse_under_other_models():
    models = {"weak": Ridge(1e3), "ridge": Ridge(), "mean": DummyRegressor()}
    found, _ = compare(models, n=300)
    of_mean = found.differences.query("model == 'mean' and statistic == 'by_group'")
    worse = of_mean.loc[of_mean["detected"] & (of_mean["difference"] > 0), "group"].tolist()
    assert len(worse) == 2
    named = f"no group is detectably worse off; detectably worse off under other models: {worse[0]}"
    assert f"{named} and {worse[1]} (mean)" in found.verdict
    del models["mean"]
    assert "other models" not in compare(models, n=300)[0].verdict


def test_text_html_and_card_hold_every_difference_and_escape_names():
    X, y, _, group = data(120)
    named = np.where(group == "u", "<b>bold</b>|pipe", "v_w*")
    found = compare_models(
        {"a|b": Ridge(), "<i>": DummyRegressor()},
        X,
        y,
        sensitive_features=named,
        metrics=["mae", "bias"],
        random_state=0,
    )
    html, card = found._repr_html_(), found.to_model_card()
    assert "<b>" not in html.replace("<b>", "", 0)
    assert "<i>" not in html
    assert html.index("Compared with") < html.index("<table>")
    assert html.count("<table>") == 2
    assert html.count('opacity="0.5"') == 2 * 4, "a mark at 0 for each difference"
    assert card.startswith("Compared with")
    assert r"&lt;b&gt;bold&lt;/b&gt;\|pipe" in card
    assert r"v\_w\*" in card
    lines = [line for line in card.splitlines() if line.startswith("|")]
    assert len(lines) == 2 * (2 + 4)
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1


def test_a_model_card_of_skops_takes_it():
    skops = pytest.importorskip("skops.card")
    found, _ = compare()
    card = skops.Card(Ridge().fit([[0.0], [1.0]], [0.0, 1.0]))
    card.add(**{"Evaluation/By group": found.to_model_card()})
    assert found.verdict in card.render()


def test_the_plot_draws_the_differences_beside_0_with_counts():
    import matplotlib.pyplot as plt

    models = {"mean": DummyRegressor(), "ridge": Ridge(), "l1": PixelLossRegressor(1.0)}
    found, (_, _, group) = compare(models, metrics=["mae", "bias"])
    display = found.plot(metric="bias", title="forest")
    np.testing.assert_array_equal(display.zero_line_.get_xdata(), [0.0, 0.0])
    table = found.differences[found.differences["metric"] == "bias"]
    for name, points in zip(["ridge", "l1"], display.points_, strict=True):
        own = table[table["model"] == name]
        np.testing.assert_array_equal(points[0].get_xdata(), own["difference"])
        (bars,) = points[2]
        ends = np.array([segment[:, 0] for segment in bars.get_segments()])
        np.testing.assert_allclose(ends, own[["lower", "upper"]])
    names = [" ".join(t.get_text().split()) for t in display.ax_.get_yticklabels()]
    count = {name: int(np.sum(group == name)) for name in "uv"}
    expected = ["all rows (n = 120)", *(f"{name} (n = {count[name]})" for name in "uv")]
    assert names[:3] == expected
    assert names[3] == " minus ".join(found.disparity_groups)
    levels = found.plot(kind="levels")
    assert levels.zero_line_ is None
    np.testing.assert_array_equal(
        levels.points_[0][0].get_xdata()[1:],
        found.by_group.query("metric == 'mae' and model == 'mean'")["value"],
    )
    with pytest.raises(ValueError, match="kind must be"):
        found.plot(kind="bars")
    with pytest.raises(ValueError, match="metric must be"):
        found.plot(metric="mse")
    plt.close("all")


@pytest.mark.parametrize(
    ("models", "options", "error", "words"),
    [
        ([Ridge()], {}, TypeError, "models must be a dict of names and regressors"),
        ({1: Ridge(), 2: Ridge()}, {}, TypeError, "models must be a dict of names and regressors"),
        ({"a": Ridge()}, {}, ValueError, "models must hold at least two regressors"),
        ({"a": Ridge(), "b": Ridge}, {}, TypeError, r"models\['b'\] must be a regressor"),
        ({"a": Ridge(), "b": 3}, {}, TypeError, r"models\['b'\] must be a regressor, got 3"),
        ({"a": Ridge(), "b": LogisticRegression()}, {}, TypeError, r"models\['b'\] must be a regr"),
        (LINEAR, {"reference": "x"}, ValueError, "reference must be one of the models"),
        (LINEAR, {"metrics": []}, ValueError, "metrics must hold at least one"),
        (LINEAR, {"metrics": ["mae", "count"]}, ValueError, "metrics must be one of"),
        (LINEAR, {"simultaneous": "yes"}, ValueError, "simultaneous must be True or False"),
        (LINEAR, {"verbose": -1}, ValueError, "verbose must be an integer >= 0"),
    ],
)
def test_bad_arguments_are_named(models, options, error, words):
    with pytest.raises(error, match=words):
        compare(models, n=60, **options)


def test_linearised_is_a_frozen_record():
    with pytest.raises(AttributeError):
        Linearised(np.zeros(2), np.zeros(2), np.zeros((2, 3))).value = 1
