"""Rows of Dask collections: partitions as blocks, on threads and on a cluster."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from dask.utils import key_split

from skfairloss import PixelLossRegressor, PixelLossRegressorCV
from skfairloss._inputs.elsewhere import is_collection
from skfairloss.metrics import make_group_scorer
from skfairloss.model_selection import loss_mix_path
from skfairloss.rows import from_blocks
from skfairloss.rows._collections import read_source
from skfairloss.rows._dask import DaskRows, predict_lazily
from tests.clusters import in_process, kept_keys
from tests.row_kernels import Moments, assert_identical, assert_same, expected

N, P = 1000, 4
ENDS = [0, 170, 171, 171, 400, 640, 1000]  # a block of one row, and one of none
SIZES = tuple(int(b - a) for a, b in pairwise(ENDS))


def arrays(seed=0):
    rng = np.random.default_rng([13, seed])
    X = rng.normal(size=(N, P))
    y = X @ np.arange(1.0, P + 1) + rng.standard_t(3, N)
    weight = np.where(rng.random(N) < 0.1, 0.0, rng.random(N))
    return X, y, weight, rng.choice(["a", "b", "c"], N)


def dask_arrays(seed=0):
    chunked = lambda a: da.from_array(a, chunks=(SIZES, *a.shape[1:]))  # noqa: E731
    return tuple(map(chunked, arrays(seed)))


def dask_frames(seed=0, npartitions=5):
    X, y, weight, group = arrays(seed)
    table = pd.DataFrame(X, columns=list("pqrs"))
    table = table.assign(y=y, weight=weight, group=group, other=y[::-1])
    frame = dd.from_pandas(table, npartitions=npartitions)
    return frame[list("pqrs")], frame["y"], frame["weight"], frame["group"]


@pytest.fixture(params=["threads", "cluster"])
def client(request):
    """The scheduler that is current: that of threads, or a cluster, where keys must not stay."""
    if request.param == "threads":
        with dask.config.set(scheduler="threads"):
            yield None
        return
    with in_process() as client:
        yield client
        assert kept_keys(client) == []


@pytest.mark.parametrize("make", [dask_arrays, dask_frames])
def test_sums_over_partitions_are_those_of_the_arrays(client, make):
    source = DaskRows.of(*make())
    assert (source.n_features, source.n_outputs, source.single) == (P, 1, True)
    assert source.feature_names == (list("pqrs") if make is dask_frames else None)
    assert_same(source.run(Moments()), expected(*arrays()))
    assert source.head().X.shape[1] == P


@pytest.mark.parametrize("n_blocks", [1, 2, 7, 8, 9, 21, 70])
def test_sums_come_together_as_in_one_process(n_blocks):
    X, y, weight, group = arrays()
    ends = np.linspace(0, N, n_blocks + 1).astype(int)
    names = "X", "y", "sample_weight", "sensitive_features"

    def block(i):
        rows = slice(ends[i], ends[i + 1])
        return {name: a[rows] for name, a in zip(names, (X, y, weight, group), strict=True)}

    chunks = tuple(np.diff(ends).tolist())
    parts = (da.from_array(a, chunks=(chunks, *a.shape[1:])) for a in (X, y, weight, group))
    with dask.config.set(scheduler="threads"):
        found = DaskRows.of(*parts).run(Moments())
    assert_identical(found, from_blocks(block, n_blocks).run(Moments()))


def test_a_block_gets_what_is_sent_to_it_alone(client):
    source = DaskRows.of(*dask_arrays())
    found = source.run(Moments(), {3: np.array([0, 5]), 0: np.array([1])}).joined["rows"]
    X, _, weight, _ = arrays()
    kept = [X[a:b][weight[a:b] > 0] for a, b in pairwise(ENDS)]
    np.testing.assert_array_equal(found[0], [0, 3, 3])
    np.testing.assert_array_equal(found[2], [kept[0][1], kept[3][0], kept[3][5]])


def test_columns_in_several_chunks_are_put_together(client):
    X, y, weight, group = dask_arrays()
    found = DaskRows.of(X.rechunk({1: 3}), y, weight, group).run(Moments())
    assert_same(found, expected(*arrays()))


def test_several_outputs(client):
    X, y, *_ = arrays()
    both = np.column_stack([y, -y])
    blocks = DaskRows.of(dask_arrays()[0], da.from_array(both, chunks=(SIZES, 1)))
    frame = dd.from_pandas(pd.DataFrame(np.hstack([X, both])), npartitions=3)
    for source in (blocks, DaskRows.of(frame[[0, 1, 2, 3]], frame[[4, 5]])):
        assert (source.n_outputs, source.single, source.feature_names) == (2, False, None)
        assert_same(source.run(Moments()), expected(X, both))


@pytest.mark.filterwarnings("ignore:The inplace keyword:DeprecationWarning")  # Dask's own
def test_features_and_target_of_one_file_stay_together(tmp_path, client):
    # Dask fuses files by the share of their columns that is read: X and y alone differ in it
    X, y, *_ = arrays()
    table = pd.DataFrame(X, columns=list("pqrs")).assign(y=y)
    for i in range(13):
        table.iloc[i::13].to_parquet(tmp_path / f"{i:02d}.parquet", index=False)
    frame = dd.read_parquet(tmp_path)
    features, target = frame[list("pqrs")], frame["y"]
    assert len(features.to_delayed()) != len(target.to_delayed())
    assert_same(DaskRows.of(features, target).run(Moments()), expected(X, y))


def test_a_source_of_both_arguments_is_read_once_for_both():
    calls = []

    def read(i):
        calls.append(i)
        X, y, *_ = arrays()
        return np.column_stack([X, y])[ENDS[i] : ENDS[i + 1]]

    parts = [
        da.from_delayed(dask.delayed(read)(i), (size, P + 1), float) for i, size in enumerate(SIZES)
    ]
    table = da.concatenate(parts)
    source = DaskRows.of(table[:, :P], table[:, P])
    calls.clear()
    with dask.config.set(scheduler="threads"):
        source.run(Moments())
    assert sorted(calls) == [i for i, size in enumerate(SIZES) if size]


def test_groups_may_be_columns_of_a_frame(client):
    X, y, _, group = arrays()
    table = pd.DataFrame(X, columns=list("pqrs")).assign(y=y, g=np.searchsorted(list("abc"), group))
    frame = dd.from_pandas(table, npartitions=3)
    features = frame[[*"pqrs", "g"]]
    for named in ("g", ["g"]):
        found = DaskRows.of(features, frame["y"], None, named).run(Moments())
        aim = expected(table[[*"pqrs", "g"]], y, None, table["g"])
        assert_same(found, aim)
    with pytest.raises(ValueError, match=r"sensitive_features names \['town'\], not among"):
        DaskRows.of(features, frame["y"], None, "town")
    with pytest.raises(ValueError, match="names columns of X, which is no DataFrame"):
        DaskRows.of(dask_arrays()[0], dask_arrays()[1], None, "town")


@pytest.mark.parametrize("change", ["rows", "chunks", "blocks"])
def test_arrays_in_different_chunks_are_refused_before_work(change):
    X, y, *_ = dask_arrays()
    other = {
        "rows": (
            da.from_array(arrays()[1][:-1], chunks=((*SIZES[:-1], 359),)),
            r"block 5 has 360 rows in X and 359 in y. Pass y.rechunk",
        ),
        "chunks": (y.rechunk(((171, 1, 0, 228, 240, 360),)), r"block 0 has 170 rows in X and 171"),
        "blocks": (y.rechunk(500), r"X has 6 blocks of rows, y 2. Pass y.rechunk"),
    }
    bad, message = other[change]
    with pytest.raises(ValueError, match=message):
        DaskRows.of(X, bad)


def test_frames_in_different_partitions_are_refused_before_work():
    X, y, *_ = dask_frames()
    with pytest.raises(ValueError, match=r"same partitions: X has 5, y has 3\. Repartition"):
        DaskRows.of(X, dask_frames(npartitions=3)[1])
    moved = y.repartition(divisions=[0, 100, 400, 600, 800, 999])
    with pytest.raises(ValueError, match=r"divisions of X are \(0, 200"):
        DaskRows.of(X, moved)


def test_chunks_of_unknown_size_are_checked_in_the_block_and_lengths_are_named(client):
    X, y, weight, group = dask_arrays()
    known = ~da.isnan(X[:, 0])
    assert_same(
        DaskRows.of(X[known], y[known], weight[known], group[known]).run(Moments()),
        expected(*arrays()),
    )
    with pytest.raises(ValueError, match=r"X of block \d has \d+ rows, y \d+"):
        DaskRows.of(X[X[:, 0] > 0], y[y > 0]).run(Moments())


def test_frames_whose_rows_have_other_labels_are_refused_in_the_block(client):
    X, y, *_ = arrays()
    frame = dd.from_pandas(pd.DataFrame(X), npartitions=2)
    shuffled = dd.from_pandas(pd.Series(y, index=np.arange(N)[::-1]), npartitions=2, sort=False)
    with pytest.raises(ValueError, match=r"in block \d, the index of X differs from that of y"):
        DaskRows.of(frame.clear_divisions(), shuffled).run(Moments())


@pytest.mark.parametrize("name", ["X", "y", "sample_weight", "sensitive_features"])
def test_numpy_beside_dask_is_refused_before_work(name):
    given = dict(zip(("X", "y", "sample_weight", "sensitive_features"), dask_arrays(), strict=True))
    given[name] = given[name].compute()
    with pytest.raises(ValueError, match=f"must be of one kind.*{name} is a numpy ndarray"):
        read_source(**given)


def test_other_collections_and_shapes_are_refused_by_name():
    (X, y, *_), (frame, series, *_) = dask_arrays(), dask_frames()
    with pytest.raises(ValueError, match=r"X is a Dask DataFrame or Series, y is a Dask Array"):
        read_source(frame, y, None, None)
    with pytest.raises(TypeError, match="X must be a Dask Array, DataFrame or Series, got Delayed"):
        read_source(dask.delayed(1), y, None, None)
    with pytest.raises(ValueError, match="X must have two dimensions, got 1"):
        read_source(y, y, None, None)
    with pytest.raises(ValueError, match="X must have two dimensions, got 1"):
        read_source(series, series, None, None)
    with pytest.raises(ValueError, match="requires y to be passed"):
        read_source(X, None, None, None)
    with pytest.raises(ValueError, match="column 'group' of X must hold numbers, got dtype"):
        read_source(frame.assign(group=dask_frames()[3]), series, None, None)
    with pytest.raises(ValueError, match=r"y must hold numbers, got dtype <U1"):
        read_source(X, dask_arrays()[3], None, None)
    sparse = X.map_blocks(sp.csr_array, meta=sp.csr_array(np.eye(1)))
    with pytest.raises(NotImplementedError, match="X has sparse blocks"):
        read_source(sparse, y, None, None)


def test_without_rows_a_source_says_so(client):
    X, y, *_ = dask_arrays()
    none = X[:, 0] > np.inf
    with pytest.raises(ValueError, match="there are no rows"):
        DaskRows.of(X[none], y[none]).head()


def test_tasks_have_the_name_of_the_pass():
    with in_process() as client:
        DaskRows.of(*dask_arrays()).run(Moments())
        names = {key for key, *_ in client.run_on_scheduler(stories)}
    assert any(name.startswith("moments-") for name in names)
    assert {"moments", "moments-sums"} <= {key_split(name) for name in names}


def stories(dask_scheduler):
    """Transitions of tasks that a scheduler remembers."""
    return [tuple(map(str, t[:1])) for t in dask_scheduler.transition_log]


def test_collections_are_told_without_importing_dask():
    code = (
        "import sys, numpy as np\n"
        "from skfairloss.rows._collections import read_source\n"
        "assert read_source(np.eye(2), np.ones(2), None, None) is None\n"
        "sys.exit('dask' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])
    assert is_collection(None, dask_arrays()[0])
    assert not is_collection(*arrays())


def fitted(*, several=False, names=False, **settings):
    X, y, *_ = arrays()
    X = pd.DataFrame(X, columns=list("pqrs")) if names else X
    return PixelLossRegressor(**settings).fit(X, np.column_stack([y, -y]) if several else y)


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("known", [False, True])
def test_predictions_of_an_array_are_a_lazy_array_of_the_same_chunks(client, several, known):
    model, X = fitted(several=several, clip=(-1.0, 3.0)), dask_arrays()[0]
    rows = X if known else X[X[:, 1] > -9]
    found = predict_lazily(model, rows.rechunk({1: 3}))
    assert isinstance(found, da.Array)
    assert found.dtype == np.float64
    assert found.ndim == 1 + several
    assert found.numblocks[0] == len(SIZES)
    if known:
        assert found.chunks[0] == SIZES
    np.testing.assert_array_equal(found.compute(), model.predict(arrays()[0]))


@pytest.mark.parametrize("several", [False, True])
def test_predictions_of_a_frame_keep_its_index(client, several):
    model, X = fitted(several=several, names=True), dask_frames()[0]
    rows = X[X["p"] > X["p"].max() - 1e-9]  # most partitions are empty
    for part in (X, rows):
        found = predict_lazily(model, part)
        table, aim = part.compute(), found.compute()
        assert aim.index.equals(table.index)
        if several:
            assert list(found.columns) == list(aim.columns) == [0, 1]
        else:
            assert found.name == aim.name == "prediction"
        np.testing.assert_allclose(aim.to_numpy(), model.predict(table), rtol=1e-14)


def test_a_prediction_made_before_another_fit_is_that_of_the_model_before():
    model, (X, y, *_) = fitted(), arrays()
    aim, found = model.predict(X), predict_lazily(model, dask_arrays()[0])
    model.fit(X, -y)
    np.testing.assert_array_equal(found.compute(scheduler="threads"), aim)


def test_columns_that_do_not_fit_are_refused_before_predictions_are_computed():
    model, (frame, *_) = fitted(names=True), dask_frames()
    with pytest.raises(ValueError, match="feature names"):
        predict_lazily(model, frame[list("srqp")])
    with pytest.raises(ValueError, match="X has 3 features"):
        predict_lazily(fitted(), dask_arrays()[0][:, :3])


@pytest.mark.parametrize("make", ["arrays", "frames"])
def test_paths_and_searches_of_partitions_are_those_of_blocks(client, make):
    rng = np.random.default_rng(3)
    n = 9000
    rows = {"X": rng.normal(size=(n, 2)), "sensitive_features": rng.integers(3, size=n)}
    rows |= {"y": rows["X"] @ [1.0, 2.0] + rng.standard_t(3, n), "clusters": np.arange(n) // 10}
    source = from_blocks(lambda i: {k: v[3000 * i : 3000 * (i + 1)] for k, v in rows.items()}, 3)
    if make == "arrays":
        given = {name: da.from_array(v, chunks=(3000, *v.shape[1:])) for name, v in rows.items()}
    else:
        table = pd.DataFrame(rows["X"], columns=["p", "q"])
        names = ["y", "sensitive_features", "clusters"]
        table = table.assign(**{name: rows[name] for name in names})
        frame = dd.from_pandas(table, npartitions=3)
        given = {"X": frame[["p", "q"]], **{name: frame[name] for name in names}}
    scoring = make_group_scorer("mae", "group_max")
    found = PixelLossRegressorCV([0.0, 1.0], cv=3, scoring=scoring).fit(**given)
    expected = PixelLossRegressorCV([0.0, 1.0], cv=3, scoring=scoring).fit(source)
    for name in ("mean_test_score", "std_test_score"):
        one, other = found.cv_results_[name], expected.cv_results_[name]
        np.testing.assert_allclose(one, other, rtol=1e-9)
    np.testing.assert_allclose(found.coef_, expected.coef_, atol=1e-10)
    path = loss_mix_path(given["X"], given["y"], loss_mixes=[found.loss_mix_])
    np.testing.assert_allclose(path.models[0].coef_, found.coef_, atol=1e-10)
