"""Comparisons of rows in blocks: the comparison of the same folds in memory is the oracle."""

from __future__ import annotations

import pickle

import dask.array as da
import dask.dataframe as dd
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfairloss import PixelLossRegressor, compare_loss_mixes, compare_models
from skfairloss._rows.blocks import read_block
from skfairloss._rows.folds import Folds
from skfairloss._rows.source import BlockRows
from skfairloss.exceptions import InfeasibleFairnessError
from skfairloss.fairness import BoundedGroupLoss, EqualizedLoss, WorstGroupLoss
from skfairloss.model_selection import _source_passes
from skfairloss.model_selection._source_passes import ClusterSums
from skfairloss.rows import from_blocks, from_parquet
from tests.clusters import in_process

MIXES = [0.0, 0.5, 1.0]
METRICS = ["mae", "rmse", "r2", "bias", "pinball@0.9"]
NUMBERS = ["value", "lower", "upper", "difference", "difference_lower", "difference_upper"]
K, R, SEED = 4, 2, 7
OPTIONS = {"cv": K, "n_repeats": R, "random_state": SEED}


def cubes(y_true, y_pred):
    """A metric that is a function."""
    return np.abs(y_true - y_pred).reshape(len(y_true), -1).mean(axis=1) ** 3


def data(n=900, outputs=None, clusters=80, seed=0):
    """Return the arguments of a fit; rows of a cluster have an effect in common."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    own = rng.integers(0, clusters, n)
    groups = rng.choice(list("abc"), n, p=[0.5, 0.3, 0.2])
    noise = rng.standard_t(3, size=(n, outputs or 1)) * np.where(groups == "a", 1.0, 2.0)[:, None]
    y = 5.0 + X @ rng.normal(size=(3, outputs or 1)) + noise + rng.normal(size=clusters)[own, None]
    return {
        "X": X,
        "y": y if outputs else y[:, 0],
        "sensitive_features": groups,
        "sample_weight": rng.exponential(size=n) * (rng.random(n) < 0.9),
        "clusters": own,
    }


def ends_of(n):
    """Ends of blocks of several sizes, of no and of one row too."""
    return sorted([0, 0, 1, n // 3, n // 3, n // 2, n])


def in_blocks(rows, ends=None):
    """Cut rows into blocks."""
    ends = ends_of(len(rows["X"])) if ends is None else ends

    def block(i):
        return {name: values[ends[i] : ends[i + 1]] for name, values in rows.items()}

    return from_blocks(block, len(ends) - 1)


def folds_of(source, by_cluster):
    """Return the splits that a comparison of a source makes, and what its seed has left."""
    random = np.random.RandomState(SEED)
    splits = []
    for seed in [int(random.randint(2**31 - 1)) for _ in range(R)]:
        folds = Folds(K, seed, by_cluster)
        blocks = (read_block(i, source.block(i)) for i in range(source.n_blocks))
        fold = np.concatenate([folds.of(i, block) for i, block in enumerate(blocks)])
        splits += [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(K)]
    return splits, random


def both(rows, models=None, **options):
    """Compare mixes, or models, in blocks and in memory."""
    source = in_blocks(rows)
    cv, random = folds_of(source, "clusters" in rows)
    compare, first = (compare_loss_mixes, ()) if models is None else (compare_models, (models,))
    options = ({"loss_mixes": MIXES} if models is None else {}) | {"metrics": METRICS} | options
    found = compare(*first, source, **OPTIONS, **options)
    return found, compare(*first, **rows, cv=cv, random_state=random, **options)


def assert_same(found, expected, rtol=1e-9, atol=1e-9):
    """Compare all estimates, and what is said about them."""
    one, other = found.to_frame(), expected.to_frame()
    pd.testing.assert_frame_equal(one.drop(columns=NUMBERS), other.drop(columns=NUMBERS))
    np.testing.assert_allclose(one[NUMBERS], other[NUMBERS], rtol=rtol, atol=atol)
    assert found.disparity_groups == expected.disparity_groups
    assert repr(found) == repr(expected)


@pytest.fixture
def passes(monkeypatch):
    """Return a list of the kernels of all passes over blocks."""
    made, run = [], BlockRows.run

    def counted(self, kernel, own=None, on_block=None):
        made.append(kernel)
        return run(self, kernel, own, on_block)

    monkeypatch.setattr(BlockRows, "run", counted)
    return made


# The same numbers


@pytest.mark.parametrize(
    ("outputs", "left_out"),
    [
        (None, ()),
        (None, ("sample_weight",)),
        (None, ("clusters",)),
        (1, ("sample_weight", "clusters")),
        (2, ()),
        (2, ("clusters",)),
    ],
)
def test_estimates_are_those_of_the_same_folds_in_memory(outputs, left_out):
    rows = data(outputs=outputs)
    rows = {name: values for name, values in rows.items() if name not in left_out}
    found, expected = both(rows)
    assert_same(found, expected)
    np.testing.assert_allclose(found.squared_shares, expected.squared_shares, rtol=1e-9)
    assert found.n_clusters == expected.n_clusters


@pytest.mark.parametrize("clustered", [False, True])
def test_simultaneous_intervals_are_those_in_memory(clustered):
    rows = data()
    if not clustered:
        del rows["clusters"]
    found, expected = both(rows, metrics=["mae", "bias"], simultaneous=True)
    levels = [f.to_frame()[["value", "lower", "upper", "difference"]] for f in (found, expected)]
    np.testing.assert_allclose(*levels, rtol=1e-9, atol=1e-9)
    alone, _ = both(rows, metrics=["mae", "bias"])
    widths = [f.differences["upper"] - f.differences["lower"] for f in (alone, found, expected)]
    assert (widths[1] > 1.05 * widths[0]).all()
    np.testing.assert_allclose(widths[1], widths[2], rtol=0.01)  # of a level that is simulated


def test_models_with_terms_and_metrics_that_are_functions_are_compared():
    models = {
        "L2": PixelLossRegressor(),
        "worst group": PixelLossRegressor(fairness=WorstGroupLoss(0.5)),
        "shrunk L1": PixelLossRegressor(1.0, alpha=0.1, clip=(0.0, 9.0)),
    }
    rows = data(600, clusters=60)
    options = {"metrics": {"third": cubes, "mae": "mae"}, "reference": "worst group"}
    assert_same(*both(rows, models, disparity_groups=("c", "a"), **options), rtol=1e-6)


def test_rows_beyond_the_sample_of_a_fit_give_the_estimates_in_memory(passes):
    rows = data(12_000)
    del rows["clusters"]
    options = {"loss_mixes": MIXES, "metrics": ["mae", "r2"], "n_repeats": R}
    found = compare_loss_mixes(in_blocks(rows), cv=K, random_state=SEED, **options)
    features = [kernel for kernel in passes if kernel.needs_features]
    assert len(features) <= 6 + 2
    assert len(passes) - len(features) <= 2
    cv, random = folds_of(in_blocks(rows), False)
    expected = compare_loss_mixes(**rows, cv=cv, random_state=random, **options)
    assert_same(found, expected, rtol=1e-6, atol=1e-8)


def test_groups_have_the_order_of_their_categories():
    rows = data(400)
    rows["sensitive_features"] = pd.Categorical(rows["sensitive_features"], ["c", "a", "d", "b"])
    found, expected = both(rows, metrics="mae")
    assert_same(found, expected)
    assert found.by_group["group"][:3].tolist() == ["c", "a", "b"]


def test_groups_of_several_columns_are_their_combinations():
    rows = data(600)
    sex = np.random.default_rng(1).choice(["f", "m"], 600)
    rows["sensitive_features"] = pd.DataFrame({"kind": rows["sensitive_features"], "sex": sex})
    found, expected = both(rows, metrics="mae")
    assert_same(found, expected)
    assert found.group_name == "kind × sex"


def test_a_group_in_which_y_is_constant_has_no_r2_and_changes_no_other():
    rows = data()
    rows["y"] = np.where(rows["sensitive_features"] == "b", 0.1, rows["y"])
    del rows["clusters"]
    found, expected = both(rows, metrics=["r2", "mae"], disparity_groups=("a", "b"))
    assert_same(found, expected)
    r2 = found.by_group.query("metric == 'r2'").set_index("group")["value"]
    assert r2["b"].isna().all()
    assert r2[["a", "c"]].notna().all()


def test_equal_models_do_not_differ():
    rows = data(400)
    models = {"one": PixelLossRegressor(0.5), "two": PixelLossRegressor(0.5)}
    for name in ("sample_weight", "clusters"):
        del rows[name]
        found = compare_models(models, in_blocks(rows), **OPTIONS)
        assert (found.differences[["difference", "lower", "upper"]] == 0).all(axis=None)


# Wherever the rows are


def test_a_partition_changes_nothing_with_clusters_and_threads_nothing_at_all():
    rows = data(600, clusters=60)
    options = {"loss_mixes": [0.0, 1.0], "metrics": METRICS} | OPTIONS
    one, other, whole = (
        compare_loss_mixes(in_blocks(rows, ends), **options)
        for ends in (None, [0, 7, 8, 300, 599, 600], [0, 600])
    )
    assert_same(one, whole)
    assert_same(other, whole)
    threads = compare_loss_mixes(in_blocks(rows), n_jobs=2, **options)
    pd.testing.assert_frame_equal(threads.to_frame(), one.to_frame(), check_exact=True)


@pytest.mark.parametrize("kind", ["arrays", "frames"])
def test_dask_gives_the_numbers_of_the_same_blocks(kind):
    rows = data(600, clusters=60)
    options = {"loss_mixes": [0.0, 1.0], "metrics": METRICS} | OPTIONS
    expected = compare_loss_mixes(in_blocks(rows, [0, 200, 400, 600]), **options)
    if kind == "arrays":
        chunked = {name: da.from_array(v, chunks=(200, *v.shape[1:])) for name, v in rows.items()}
        assert_same(compare_loss_mixes(**chunked, **options), expected)
        return
    table = pd.DataFrame(rows["X"], columns=list("pqr"))
    table = table.assign(**{name: values for name, values in rows.items() if name != "X"})
    frame = dd.from_pandas(table, npartitions=3)
    beside = {name: frame[name] for name in rows if name != "X"}
    with in_process():
        found = compare_loss_mixes(frame[list("pqr")], **beside, **options)
    assert found.group_name == "sensitive_features"
    numbers = [f.to_frame()[NUMBERS] for f in (found, expected)]
    np.testing.assert_allclose(*numbers, rtol=1e-9, atol=1e-9)


def test_parquet_files_give_the_numbers_of_their_row_groups(tmp_path):
    rows = data(600, clusters=60)
    table = pd.DataFrame(rows["X"], columns=list("pqr"))
    table = table.assign(**{name: values for name, values in rows.items() if name != "X"})
    file = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pandas(table), file, row_group_size=250)
    source = from_parquet(
        file,
        features=list("pqr"),
        target="y",
        sample_weight="sample_weight",
        sensitive_features="sensitive_features",
        clusters="clusters",
    )
    options = {"loss_mixes": [0.0, 1.0], "metrics": METRICS} | OPTIONS
    expected = compare_loss_mixes(in_blocks(rows, [0, 250, 500, 600]), **options)
    numbers = [f.to_frame()[NUMBERS] for f in (compare_loss_mixes(source, **options), expected)]
    np.testing.assert_allclose(*numbers, rtol=1e-9, atol=1e-9)


# Many clusters


def cluster_sums(rng, n=500, clusters=120):
    names = rng.integers(0, 2**64, clusters, dtype=np.uint64)
    own = rng.integers(0, clusters, n)
    return names[own], own % 2, rng.normal(size=(n, 3))


def test_bundles_of_clusters_are_the_same_in_whatever_order_they_come(monkeypatch):
    monkeypatch.setattr(_source_passes, "_MOST", 50)
    rng = np.random.default_rng(0)
    clusters, codes, columns = cluster_sums(rng)
    whole = ClusterSums.of(clusters, codes, columns)
    assert 25 <= len(whole.keys) <= 50
    for _ in range(3):
        parts = [
            ClusterSums.of(clusters[some], codes[some], columns[some])
            for some in np.array_split(rng.permutation(len(codes)), 7)
        ]
        found = parts[0]
        for part in parts[1:]:
            found = found.merged(part)
        assert found.bits == whole.bits
        np.testing.assert_array_equal(found.keys, whole.keys)
        np.testing.assert_array_equal(found.codes, whole.codes)
        np.testing.assert_allclose(found.sums, whole.sums, atol=1e-12)
    for g in range(2):
        kept = whole.sums[whole.codes == g].sum(axis=0)
        np.testing.assert_allclose(kept, columns[codes == g].sum(axis=0), atol=1e-12)


def test_bundles_of_clusters_give_intervals_of_about_the_same_width(monkeypatch):
    rows = data(4000, clusters=1500)
    del rows["sample_weight"]
    options = {"loss_mixes": [0.0, 1.0]} | OPTIONS
    exact = compare_loss_mixes(in_blocks(rows), **options)
    monkeypatch.setattr(_source_passes, "_MOST", 1000)
    found = compare_loss_mixes(in_blocks(rows), **options)
    assert found.n_clusters < exact.n_clusters == len(np.unique(rows["clusters"]))
    assert (found.bundled, exact.bundled) == (True, False)
    assert f"between {found.n_clusters} bundles of clusters" in found.verdict
    assert f"of whole clusters in {found.n_clusters} bundles, 2 repeats" in repr(found)
    width, expected = (f.by_group["upper"] - f.by_group["lower"] for f in (found, exact))
    np.testing.assert_allclose(width, expected, rtol=0.15)
    np.testing.assert_allclose(found.by_group["value"], exact.by_group["value"], rtol=1e-12)


# What is said


def test_text_card_plots_and_pickles_need_no_rows(monkeypatch):
    found, expected = both(data(400), metrics=["mae"])
    assert found.predictions is None
    assert found.folds is None
    assert (found.n_repeats, found.n_samples, found.n_folds) == (R, 400, K)
    assert found.verdict == expected.verdict
    assert found.details == expected.details
    assert found.to_model_card() == expected.to_model_card()
    assert found._repr_html_() == expected._repr_html_()
    for kind in ("differences", "levels"):
        found.plot(kind=kind)
        plt.close("all")
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(found)).to_frame(), found.to_frame())


# What is refused

PLAIN = {"a": PixelLossRegressor(), "b": PixelLossRegressor(1.0)}
REFUSED = [
    (PLAIN | {"ridge": Ridge()}, {}, NotImplementedError, "ridge must be a PixelLossRegressor"),
    (
        PLAIN | {"scaled": make_pipeline(StandardScaler(), PixelLossRegressor())},
        {},
        NotImplementedError,
        "scaled must be a PixelLossRegressor where rows are in blocks",
    ),
    (
        PLAIN | {"c": PixelLossRegressor(1.0, fairness=EqualizedLoss(0.1))},
        {},
        NotImplementedError,
        r"EqualizedLoss needs rows in one array.*\(c\)",
    ),
    (PLAIN, {"cv": KFold(3)}, ValueError, "cv must be an integer of at least 3 where rows"),
    (PLAIN, {"cv": 2}, ValueError, "cv must be an integer of at least 3"),
    (PLAIN, {"metrics": ["mae", "medae"]}, ValueError, r"any of \['mae', .*got \['medae'\]"),
    (PLAIN, {"disparity_groups": ("a", "z")}, ValueError, "disparity_groups must be two of"),
    (PLAIN, {"y": np.ones(400)}, ValueError, "y must be None beside a source of rows"),
    (PLAIN, {"clusters": np.ones(400)}, ValueError, "clusters must be None beside a source"),
]


@pytest.mark.parametrize(("models", "options", "error", "words"), REFUSED)
def test_what_rows_in_blocks_do_not_have_is_refused_before_any_fit(
    models, options, error, words, passes
):
    with pytest.raises(error, match=words):
        compare_models(models, in_blocks(data(400)), **(OPTIONS | options))
    assert len(passes) <= 1
    assert not hasattr(models["a"], "coef_")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sensitive_features": None}, "sensitive_features must be among the rows of the source"),
        ({"sensitive_features": ["a"] * 400}, "has the group 'a' only, a comparison needs two"),
        (
            {"sensitive_features": ["few"] * 2 + ["many"] * 398},
            "rows of the group 'few' in . folds? only, it takes 3: merge small groups",
        ),
        ({"clusters": np.repeat(range(5), 80)}, "a fold of cv=4 is empty: use fewer folds"),
        ({"y": np.zeros(400)}, "y_true is 0 in 1 of 1 rows, and 'mape' divides by it"),
    ],
)
def test_rows_that_allow_no_comparison_are_named_before_any_fit(change, words, passes):
    rows = data(400)
    del rows["clusters"]
    rows |= change
    rows["sample_weight"] = np.ones(400)
    given = {name: np.asarray(v) for name, v in rows.items() if v is not None}
    with pytest.raises(ValueError, match=words):
        compare_models(PLAIN, in_blocks(given), metrics=["mae", "mape"], **OPTIONS)
    assert len(passes) <= 1


@pytest.mark.parametrize("name", ["sensitive_features", "clusters"])
def test_blocks_that_lack_what_others_have_are_errors(name):
    source = in_blocks(data(400), [0, 200, 400])
    whole = source.block

    def block(i):
        return {key: value for key, value in whole(i).items() if i == 0 or key != name}

    with pytest.raises(ValueError, match=f"blocks must all have '{name}'"):
        compare_models(PLAIN, from_blocks(block, 2), **OPTIONS)


def test_a_fit_that_fails_is_named_with_its_model_and_fold():
    models = PLAIN | {"bounded": PixelLossRegressor(fairness=BoundedGroupLoss(1e-6))}
    with pytest.raises(InfeasibleFairnessError, match=r"\(bounded, fold 1 of 4, repeat 1 of 2\)"):
        compare_models(models, in_blocks(data(400)), **OPTIONS)
