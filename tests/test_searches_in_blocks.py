"""Paths and searches of rows in blocks: those of the same rows in memory are the oracle."""

from __future__ import annotations

import threading
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import FitFailedWarning
from sklearn.metrics import make_scorer, mean_absolute_error
from sklearn.model_selection import KFold

from skfairloss import PixelLossRegressor, PixelLossRegressorCV, compare_loss_mixes
from skfairloss._rows.blocks import hash_clusters, read_block
from skfairloss._rows.facts import Passes
from skfairloss._rows.folds import Folds, Part
from skfairloss._rows.source import BlockRows
from skfairloss._rows.together import fit_together
from skfairloss.fairness import BoundedGroupLoss, PredictionParity, WorstGroupLoss
from skfairloss.metrics import make_group_scorer
from skfairloss.model_selection import best_within_disparity, loss_mix_path
from skfairloss.report import GroupReport
from skfairloss.rows import from_blocks, from_parquet
from tests.row_kernels import Moments

MIXES = [0.0, 0.5, 1.0]
ENDS = [0, 0, 1, 4000, 9000, 20_000]


def data(n=20_000, p=3, seed=0):
    """Return X, y, weights with some of 0, groups and clusters: a column shifted, one scaled."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) * [1.0, 100.0, 1.0] + [0.0, 0.0, 5.0]
    groups = rng.choice(["a", "b", "c"], n, p=[0.5, 0.4, 0.1])
    noise = rng.standard_t(3, n) * np.where(groups == "c", 2.0, 1.0)
    y = X @ [1.0, 0.02, -1.0] + 0.5 * (groups == "a") + noise
    weights = rng.exponential(size=n) * (rng.random(n) < 0.9)
    return {
        "X": X,
        "y": y,
        "sample_weight": weights,
        "sensitive_features": groups,
        "clusters": np.sort(rng.integers(0, n // 50, n)),
    }


def in_blocks(rows, ends=ENDS, **options):
    """Cut arrays by name into blocks, one of them without rows, one of a single row."""
    cut = [slice(*pair) for pair in pairwise(ends)]
    return from_blocks(
        lambda i: {name: values[cut[i]] for name, values in rows.items()}, len(cut), **options
    )


def without(rows, *names):
    return {name: values for name, values in rows.items() if name not in names}


def folds_of(source, n_folds, by_cluster=False):
    """Return the splits of a search on a source, for one in memory."""
    folds = Folds(n_folds, 0, by_cluster)
    blocks = (read_block(i, source.block(i)) for i in range(source.n_blocks))
    fold = np.concatenate([folds.of(i, block) for i, block in enumerate(blocks)])
    return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(n_folds)]


@pytest.fixture
def passes(monkeypatch):
    """Return a list of the names of all passes over blocks."""
    made, run = [], BlockRows.run

    def counted(self, kernel, own=None):
        made.append(kernel.name)
        return run(self, kernel, own)

    monkeypatch.setattr(BlockRows, "run", counted)
    return made


# Paths.


@pytest.mark.parametrize("fairness", [None, WorstGroupLoss(0.5), PredictionParity(0.1)], ids=str)
def test_a_path_is_that_of_single_fits_and_takes_the_passes_of_the_longest(fairness, passes):
    source = in_blocks(without(data(), "clusters"))
    path = loss_mix_path(source, loss_mixes=MIXES, fairness=fairness, scale=2.0)
    together, alone = len(passes), []
    for mix, model in zip(MIXES, path.models, strict=True):
        passes.clear()
        one = PixelLossRegressor(mix, fairness=fairness, scale=2.0).fit(source)
        alone.append(len(passes))
        np.testing.assert_allclose(model.coef_, one.coef_, atol=1e-9)
        np.testing.assert_allclose(model.group_losses_, one.group_losses_, rtol=1e-9)
        assert model.dual_gap_ <= 1e-8 * model.objective_
        public = {name for name in vars(one) if name.endswith("_")}
        assert public == {name for name in vars(model) if name.endswith("_")}
    assert together <= max(alone) + 1  # terms read y once more
    assert together <= 1 + 3 * len(MIXES)


def test_a_path_of_few_rows_is_that_in_memory():
    rows = {name: values[:900] for name, values in without(data(), "clusters").items()}
    found = loss_mix_path(in_blocks(rows, [0, 300, 301, 900]), loss_mixes=MIXES)
    expected = loss_mix_path(**rows, loss_mixes=MIXES)
    np.testing.assert_allclose(found.coefs, expected.coefs, rtol=1e-6, atol=1e-8)


def test_a_path_needs_its_rows_once():
    source = in_blocks(without(data(), "clusters"))
    with pytest.raises(ValueError, match="y must be None beside a source of rows"):
        loss_mix_path(source, [1.0, 2.0])


def test_a_mix_that_fails_is_named():
    with pytest.raises(ValueError, match=r"cannot be met.*\(loss_mix="):
        loss_mix_path(
            in_blocks(without(data(), "clusters")),
            loss_mixes=[0.0],
            fairness=BoundedGroupLoss(1e-6),
        )


# Folds.


@pytest.mark.parametrize("weighted", [False, True])
def test_folds_are_even_in_each_group_of_a_block(weighted):
    rows = data() if weighted else without(data(), "sample_weight")
    block = read_block(0, without(rows, "clusters"))
    fold = Folds(5, seed=3).of(0, block)
    kept = np.ones(len(fold), dtype=bool) if block.weights is None else block.weights > 0
    sizes = np.array([np.bincount(fold[kept & (block.codes == g)], minlength=5) for g in range(3)])
    assert (np.ptp(sizes, axis=1) <= 1).all()
    assert (Folds(5, seed=3).of(0, block) == fold).all()
    assert (Folds(5, seed=4).of(0, block) != fold).any()
    assert (Folds(5, seed=3).of(1, block) != fold).any()


def test_rows_without_weight_do_not_move_folds():
    rows = without(data(), "clusters")
    kept = rows["sample_weight"] > 0
    fold = Folds(4, 0).of(2, read_block(2, rows))
    fewer = {name: values[kept] for name, values in rows.items()}
    np.testing.assert_array_equal(Folds(4, 0).of(2, read_block(2, fewer)), fold[kept])


@pytest.mark.parametrize("seed", [0, 1])
def test_folds_keep_clusters_whole_and_are_of_similar_size(seed):
    clusters = np.repeat(np.arange(5000), 3)
    fold = Folds(5, seed, True).of_clusters(hash_clusters(clusters, len(clusters), "clusters"))
    assert (fold.reshape(-1, 3) == fold[::3, None]).all()
    sizes = np.bincount(fold[::3], minlength=5)
    assert sizes.sum() == 5000
    assert (np.abs(sizes - 1000) < 5 * np.sqrt(800)).all()


@pytest.mark.parametrize(
    "same",
    [
        [np.array([1, 2, 300]), np.array([1.0, 2.0, 300.0]), pd.Series([1, 2, 300], dtype="Int64")],
        [["a", "b", "c"], pd.Categorical(["a", "b", "c"], ["c", "b", "a"]), np.array(list("abc"))],
        [
            {"s": [1, 1, 2], "t": list("xyx")},
            pd.DataFrame({"s": [1.0, 1.0, 2.0], "t": list("xyx")}),
        ],
    ],
    ids=["numbers", "texts", "columns"],
)
def test_a_cluster_has_one_number_whatever_holds_its_name(same):
    found = [hash_clusters(given, 3, "clusters") for given in same]
    assert len(set(found[0].tolist())) == 3
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


# Searches.

SCORING = {
    "worst": make_group_scorer("mae", "group_max"),
    "bias": make_group_scorer("bias"),
    "overall": make_group_scorer("mse", "ratio", method="to_overall"),
    "r2": "r2",
    "rmse": "neg_root_mean_squared_error",
}


@pytest.mark.parametrize("by_cluster", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {"loss_mixes": MIXES},
        {"loss_mixes": MIXES, "alphas": [0.0, 0.1], "scale": 3.0},
        {
            "loss_mixes": [0.0, 1.0],
            "fairness": WorstGroupLoss(),
            "fairness_grid": {"weight": [0.0, 0.5]},
        },
    ],
    ids=["mixes", "alphas", "strengths"],
)
def test_a_search_has_the_scores_and_the_choice_of_the_rows_in_memory(options, by_cluster):
    rows = data() if by_cluster else without(data(), "clusters")
    source = in_blocks(rows)
    options = {"scoring": SCORING, "refit": "worst", **options}
    found = PixelLossRegressorCV(cv=4, **options).fit(source)
    splits = folds_of(source, 4, by_cluster)
    expected = PixelLossRegressorCV(cv=splits, **options).fit(**without(rows, "clusters"))
    assert found.best_params_ == expected.best_params_
    assert set(found.cv_results_) == set(expected.cv_results_)
    for name in (name for name in expected.cv_results_ if "test" in name and "rank" not in name):
        one, other = found.cv_results_[name], expected.cv_results_[name]
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(found.coef_, expected.coef_, atol=1e-8)
    assert found.n_splits_ == 4
    assert found.multimetric_
    assert {name for name in vars(found) if name.endswith("_")} == {
        name for name in vars(expected) if name.endswith("_")
    }
    np.testing.assert_allclose(found.predict(rows["X"][:5]), expected.predict(rows["X"][:5]))


def test_folds_and_mixes_of_a_step_share_their_passes(passes):
    source = in_blocks(without(data(), "clusters"))
    search = PixelLossRegressorCV(MIXES, alphas=[0.0, 0.1], cv=5).fit(source)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    # a look and y; twice a split and up to four more; the scores; the choice on all rows
    assert len(passes) <= 2 + 2 * 5 + 1 + 6
    assert passes.count("groupsums") == 1


def test_results_do_not_depend_on_threads():
    rows = without(data(), "clusters")
    one, other = (
        PixelLossRegressorCV(MIXES, cv=3, n_jobs=n).fit(in_blocks(rows, n_jobs=n)) for n in (1, 2)
    )
    np.testing.assert_array_equal(one.coef_, other.coef_)
    for k in range(3):
        name = f"split{k}_test_score"
        np.testing.assert_array_equal(one.cv_results_[name], other.cv_results_[name])


def test_folds_by_cluster_do_not_depend_on_the_blocks():
    rows = data()
    one, other = (
        PixelLossRegressorCV(MIXES, cv=3, scoring=SCORING["worst"]).fit(in_blocks(rows, ends))
        for ends in (ENDS, [0, 7000, 20_000])
    )
    for name in ("mean_test_score", "std_test_score"):
        np.testing.assert_allclose(one.cv_results_[name], other.cv_results_[name], rtol=1e-9)


def test_parquet_has_clusters(tmp_path):
    rows = data()
    X = rows.pop("X")
    table = pd.DataFrame(X, columns=list("pqr")).assign(**rows)
    table.to_parquet(tmp_path / "rows.parquet", row_group_size=7000)
    source = from_parquet(
        tmp_path,
        features=list("pqr"),
        target="y",
        sample_weight="sample_weight",
        sensitive_features="sensitive_features",
        clusters="clusters",
    )
    found = PixelLossRegressorCV(MIXES, cv=3).fit(source)
    expected = PixelLossRegressorCV(MIXES, cv=3).fit(in_blocks({"X": X, **rows}))
    assert found.feature_names_in_.tolist() == list("pqr")
    for name in ("mean_test_score", "std_test_score"):
        np.testing.assert_allclose(
            found.cv_results_[name], expected.cv_results_[name], rtol=1e-9, atol=1e-12
        )


def test_a_rule_chooses_and_scores_without_groups_need_none():
    rows = without(data(), "clusters")
    scoring = {"mae": "neg_mean_absolute_error", "gap": make_group_scorer("mae")}
    rule = best_within_disparity("mae", "gap", 10.0)
    source, options = in_blocks(rows), {"scoring": scoring, "refit": rule}
    search = PixelLossRegressorCV(MIXES, cv=3, **options).fit(source)
    expected = PixelLossRegressorCV(MIXES, cv=folds_of(source, 3), **options).fit(**rows)
    assert search.best_params_ == expected.best_params_
    plain = without(rows, "sensitive_features")
    assert PixelLossRegressorCV([0.0, 1.0], cv=3).fit(in_blocks(plain)).best_score_ > 0.5


def test_a_candidate_that_fails_is_warned_of_by_fold():
    source = in_blocks(without(data(), "clusters"))
    search = PixelLossRegressorCV(
        [0.0],
        fairness=BoundedGroupLoss(5.0),
        fairness_grid={"upper_bound": [1e-6, 5.0]},
        scale=1.0,
        cv=3,
        error_score=-99.0,
    )
    with pytest.warns(FitFailedWarning, match=r"3 fits failed.*cannot be met"):
        search.fit(source)
    assert search.best_params_["fairness__upper_bound"] == 5.0
    assert search.cv_results_["mean_test_score"][0] == -99.0
    search.set_params(error_score="raise")
    with pytest.raises(ValueError, match=r"cannot be met.*fold 1 of 3"):
        search.fit(source)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cv": KFold(3)}, "cv must be None or an integer of at least 2"),
        ({"cv": 1}, "cv must be None or an integer of at least 2"),
        ({"scoring": "neg_median_absolute_error"}, "scoring must be sums over rows"),
        ({"scoring": make_scorer(mean_absolute_error)}, "scoring must be sums over rows"),
        ({"scoring": make_group_scorer(sensitive_features="p")}, "groups of rows in blocks are"),
        ({"scoring": make_group_scorer("medae")}, "must be sums over rows"),
    ],
    ids=str,
)
def test_what_rows_in_blocks_cannot_do_is_refused_before_work(options, message, passes):
    with pytest.raises(ValueError, match=message):
        PixelLossRegressorCV(MIXES, **options).fit(in_blocks(without(data(), "clusters")))
    assert passes == []


def test_group_scores_need_groups_and_averages_of_outputs_errors():
    rows = without(data(), "clusters", "sensitive_features")
    with pytest.raises(ValueError, match="needs groups: give blocks 'sensitive_features'"):
        PixelLossRegressorCV(MIXES, scoring=make_group_scorer()).fit(in_blocks(rows))
    two = rows | {"y": np.column_stack([rows["y"], -rows["y"]])}
    with pytest.raises(ValueError, match="scoring of 2 outputs"):
        PixelLossRegressorCV(MIXES).fit(in_blocks(two))
    search = PixelLossRegressorCV([0.0, 1.0], cv=3, scoring="neg_mean_absolute_error")
    assert search.fit(in_blocks(two)).coef_.shape == (2, 3)


OF_SOURCES = {
    "fit": lambda rows, source: PixelLossRegressor().fit(source),
    "search": lambda rows, source: PixelLossRegressorCV(MIXES, cv=3).fit(source),
    "comparison": lambda rows, source: compare_loss_mixes(source, loss_mixes=[0.0, 1.0]),
    "report": lambda rows, source: GroupReport.from_estimator(
        PixelLossRegressor().fit(rows["X"], rows["y"]), source, n_boot=None
    ),
}


@pytest.mark.parametrize("lacking", [0, 1])
@pytest.mark.parametrize("function", OF_SOURCES.values(), ids=OF_SOURCES)
def test_clusters_that_some_blocks_lack_are_an_error(function, lacking):
    rows = data()

    def block(i):
        own = {name: values[10_000 * i : 10_000 * (i + 1)] for name, values in rows.items()}
        return without(own, "clusters") if i == lacking else own

    needed = "blocks must all have 'clusters', or none of them: block 1 has"
    with pytest.raises(ValueError, match=needed):
        function(rows, from_blocks(block, 2))


def test_a_missing_cluster_is_named_with_its_remedy():
    rows = without(data(), "clusters") | {"clusters": np.full(20_000, np.nan)}
    with pytest.raises(ValueError, match=r"clusters of block \d.*give each a cluster of its own"):
        PixelLossRegressorCV(MIXES, cv=3).fit(in_blocks(rows))


def test_a_fold_without_rows_is_an_error():
    rows = {name: values[:600] for name, values in data().items()}
    rows["clusters"] = np.repeat([1, 2], 300)
    with pytest.raises(ValueError, match="there are no rows with a weight"):
        PixelLossRegressorCV([0.0, 1.0], cv=4).fit(in_blocks(rows, [0, 600]))


# Fits side by side.


def test_an_error_of_a_pass_ends_all_fits():
    rows = without(data(), "clusters")

    def block(i):
        if i == 1:
            raise OSError("the disk is gone")
        return {name: values[:500] for name, values in rows.items()}

    source, before = from_blocks(block, 2), threading.active_count()
    with pytest.raises(OSError, match="the disk is gone"):
        loss_mix_path(source)
    assert threading.active_count() <= before


def test_fits_end_where_no_more_threads_can_be_started(monkeypatch):
    start, begun = threading.Thread.start, []

    def at_most_three(self):
        if len(begun) == 3:
            raise RuntimeError("can't start new thread")
        begun.append(self)
        start(self)

    monkeypatch.setattr(threading.Thread, "start", at_most_three)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        loss_mix_path(in_blocks(without(data(), "clusters")))
    assert len(begun) == 3
    assert not any(thread.is_alive() for thread in begun)


def test_a_fit_that_ends_or_fails_does_not_hold_up_the_others():
    source = in_blocks(without(data(), "clusters"))

    def at_once(rows):
        return 0

    def several(rows):
        return [int(rows.run(Moments()).added["n"]) for _ in range(3)]

    found = fit_together(Passes(source), [(None, at_once), (None, several), (None, several)])
    kept = int(np.count_nonzero(data()["sample_weight"]))
    assert found == [0, [kept] * 3, [kept] * 3]

    def fails(rows):
        rows.run(Moments())
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fit_together(Passes(source), [(None, several), (None, fails)])


def test_parts_of_the_rows_are_those_of_their_folds():
    source, folds = in_blocks(without(data(), "clusters")), Folds(3, 0)

    def count(rows):
        return int(rows.run(Moments()).added["n"])

    parts = [Part(folds, k, inside) for k in range(3) for inside in (False, True)]
    found = fit_together(Passes(source), [(part, count) for part in [None, *parts]])
    assert [a + b for a, b in zip(found[1::2], found[2::2], strict=True)] == [found[0]] * 3
    assert sum(found[2::2]) == found[0]
