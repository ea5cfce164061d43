"""The fit of arrays, from Parquet files and Dask collections: the same model and certificate."""

from __future__ import annotations

import warnings

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from skfairloss import (
    PixelLossRegressor,
    coefficient_report,
    group_report,
)
from skfairloss._design.threads import one_blas_thread
from skfairloss.rows import from_blocks, from_parquet
from skfairloss.rows._dask import DaskRows
from tests.clusters import in_process, kept_keys
from tests.row_kernels import Threads

N = 12_000  # more than the sample of a fit keeps of 4 columns
FEATURES = list("pqrs")
# blocks of no row, of one row, and of many
ENDS = [0, 0, 3000, 3001, 3001, 7500, 11_000, 12_000]
SIZES = tuple(np.diff(ENDS).tolist())


def table(seed=0):
    rng = np.random.default_rng([19, seed])
    X = rng.normal(size=(N, 4)) * [1.0, 10.0, 0.1, 3.0] + [5.0, 0.0, -1.0, 2.0]
    out = pd.DataFrame(X, columns=FEATURES)
    out["group"] = rng.choice(["a", "b", "c"], N, p=[0.6, 0.3, 0.1])
    scale = out["group"].map({"a": 1.0, "b": 2.0, "c": 4.0})
    out["y"] = 3.0 + X @ [1.0, -0.2, 4.0, 0.5] + scale * rng.standard_t(2, N)
    out["other"] = -2.0 + X @ [0.0, 1.0, 1.0, 0.0] + rng.laplace(size=N)
    out["weight"] = np.where(rng.random(N) < 0.1, 0.0, rng.uniform(0.5, 2.0, N))
    return out


def arguments(data, target, weighted):
    """Arguments of a fit: columns of a table, or of a collection."""
    weight = data["weight"] if weighted else None
    return data[FEATURES], data[target], weight, data["group"]


def fit(model, X, y=None, weight=None, group=None):
    return model.fit(X, y, sample_weight=weight, sensitive_features=group)


def in_blocks(model, data, target, weighted, folder):
    def block(i):
        rows = data.iloc[ENDS[i] : ENDS[i + 1]]
        X, y, weight, group = arguments(rows, target, weighted)
        return {"X": X, "y": y, "sample_weight": weight, "sensitive_features": group}

    return fit(model, from_blocks(block, len(SIZES)))


def from_files(model, data, target, weighted, folder):
    for i, rows in enumerate(np.array_split(np.arange(N), 3)):
        part = pa.Table.from_pandas(data.iloc[rows], preserve_index=False)
        pq.write_table(part, folder / f"{i}.parquet", row_group_size=1500)
    named = {"sample_weight": "weight"} if weighted else {}
    named |= {"features": FEATURES, "target": target, "sensitive_features": "group"}
    return fit(model, from_parquet(folder, **named))


def from_dask_arrays(model, data, target, weighted, folder):
    def chunked(values):
        values = values.to_numpy()
        return da.from_array(values, chunks=(SIZES, *values.shape[1:]))

    given = [None if part is None else chunked(part) for part in arguments(data, target, weighted)]
    with dask.config.set(scheduler="threads"):
        return fit(model, *given)


def from_dask_frames(model, data, target, weighted, folder):
    frame = dd.from_pandas(data, npartitions=7)
    with in_process():
        return fit(model, *arguments(frame.persist(), target, weighted))


SOURCES = [in_blocks, from_files, from_dask_arrays, from_dask_frames]


@pytest.mark.parametrize("source", SOURCES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
def test_every_source_gives_the_model_of_the_arrays(source, loss_mix, weighted, tmp_path):
    data, settings = table(), {"alpha": 0.01}
    found = source(PixelLossRegressor(loss_mix, **settings), data, "y", weighted, tmp_path)
    aim = fit(PixelLossRegressor(loss_mix, tol=1e-12, **settings), *arguments(data, "y", weighted))
    np.testing.assert_allclose(found.scale_, aim.scale_, rtol=1e-9)
    np.testing.assert_allclose(found.coef_, aim.coef_, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(found.intercept_, aim.intercept_, rtol=1e-9)
    np.testing.assert_allclose(found.objective_, aim.objective_, rtol=1e-12)
    assert found.dual_gap_ <= 1e-8 * found.objective_
    assert found.groups_.tolist() == aim.groups_.tolist() == ["a", "b", "c"]
    for name, errors in aim.group_errors_.items():
        np.testing.assert_allclose(found.group_errors_[name], errors, rtol=1e-9)
    if source is not from_dask_arrays:
        assert found.feature_names_in_.tolist() == FEATURES
    assert found.n_features_in_ == 4


@pytest.mark.parametrize("source", SOURCES, ids=lambda f: f.__name__)
def test_every_source_gives_the_models_of_several_outputs(source, tmp_path):
    data, target = table(), ["y", "other"]
    found = source(PixelLossRegressor(0.5), data, target, False, tmp_path)
    aim = fit(PixelLossRegressor(0.5, tol=1e-12), *arguments(data, target, False))
    assert found.coef_.shape == (2, 4)
    np.testing.assert_allclose(found.coef_, aim.coef_, rtol=1e-9, atol=1e-10)
    assert (found.dual_gap_ <= 1e-8 * found.objective_).all()


def test_threads_and_a_cluster_give_the_same_bits():
    data = table()
    X, y, weight, _ = (
        da.from_array(part.to_numpy(), chunks=(2000, *part.shape[1:]))
        for part in arguments(data, "y", True)
    )
    models = []
    with dask.config.set(scheduler="threads"):
        models.append(PixelLossRegressor(1.0).fit(X, y, sample_weight=weight))
    with in_process():
        models.append(PixelLossRegressor(1.0).fit(X, y, sample_weight=weight))
    first, second = models
    np.testing.assert_array_equal(first.coef_, second.coef_)
    assert first.dual_gap_ == second.dual_gap_


@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
def test_rows_at_odd_addresses_and_parts_of_wider_ones_give_the_same_bits(loss_mix):
    data = table()
    X, y = data[FEATURES].to_numpy(), data["y"].to_numpy()

    def odd(values):
        """A copy as a wire may leave it."""
        room = np.empty(values.nbytes + 8, dtype=np.uint8)
        out = np.ndarray(values.shape, values.dtype, room.data, 6)
        out[...] = values
        assert out.size == 0 or not out.flags.aligned
        return out

    def strided(values):
        return np.stack([values] * 2, -1)[..., 0]

    models = []
    for change in (np.ascontiguousarray, odd, strided):

        def block(i, change=change):
            rows = slice(ENDS[i], ENDS[i + 1])
            return {"X": change(X[rows]), "y": change(y[rows])}

        models.append(PixelLossRegressor(loss_mix).fit(from_blocks(block, len(SIZES))))
    for model in models[1:]:
        np.testing.assert_array_equal(model.coef_, models[0].coef_)
        assert model.dual_gap_ == models[0].dual_gap_


def test_a_fit_leaves_no_key_on_the_cluster():
    frame = dd.from_pandas(table(), npartitions=4)
    with in_process() as client:
        PixelLossRegressor(0.5).fit(frame[FEATURES], frame["y"])
        assert kept_keys(client) == []


def test_a_graph_that_computes_other_rows_each_time_is_named():
    rng = np.random.default_rng(0)

    def draw(block):
        return rng.normal(size=block.shape)

    blank = da.zeros((N, 5), chunks=(3000, 5))
    changing = blank.map_blocks(draw, dtype=float, meta=np.empty((0, 0)))
    with (
        dask.config.set(scheduler="threads"),
        pytest.raises(RuntimeError, match=r"rows of block \d changed between passes"),
    ):
        PixelLossRegressor(1.0).fit(changing[:, :4], changing[:, 4])


def test_a_pass_of_a_fit_has_one_blas_thread_where_dask_has_several():
    X = da.ones((400, 2), chunks=(100, 2))
    with threadpool_limits(2, user_api="blas"), dask.config.set(scheduler="threads"):
        assert max(pool["num_threads"] for pool in threadpool_info()) == 2
        # as fits have it: of several threads only the first to ask is heard by OpenBLAS
        with one_blas_thread():
            found = DaskRows.of(X, X[:, 0]).run(Threads())
    assert found.largest["threads"] == 1


def test_a_failed_fit_of_a_collection_leaves_the_estimator_as_it_was():
    data = table()
    model = PixelLossRegressor(0.0).fit(data[FEATURES], data["y"])
    before = model.coef_.copy()
    frame = dd.from_pandas(data, npartitions=2)
    bad = frame["y"].where(frame["y"] < 10, np.nan)
    with (
        dask.config.set(scheduler="threads"),
        pytest.raises(ValueError, match="y of block 0 contains NaN"),
    ):
        model.fit(frame[FEATURES], bad)
    np.testing.assert_array_equal(model.coef_, before)


@pytest.mark.parametrize("named", ["y", "sample_weight", "sensitive_features"])
def test_numpy_beside_dask_is_refused_by_the_estimator(named):
    data = table()
    X, y, weight, group = arguments(dd.from_pandas(data, npartitions=2), "y", True)
    given = {"y": y, "sample_weight": weight, "sensitive_features": group}
    given[named] = given[named].compute(scheduler="threads").to_numpy()
    with pytest.raises(ValueError, match=f"must be of one kind.*{named} is a numpy ndarray"):
        PixelLossRegressor().fit(X, given.pop("y"), **given)
    with pytest.raises(ValueError, match="X is a numpy ndarray"):
        PixelLossRegressor().fit(data[FEATURES].to_numpy(), y)


def test_the_estimator_predicts_collections_lazily_and_of_their_kind():
    data = table()
    model = PixelLossRegressor(0.0, clip=(0.0, 5.0)).fit(data[FEATURES], data["y"])
    frame = dd.from_pandas(data.set_index(data.index + 5), npartitions=3)
    lazy = model.predict(frame[FEATURES])
    assert isinstance(lazy, dd.Series)
    with dask.config.set(scheduler="threads"):
        found = lazy.compute()
    np.testing.assert_allclose(found, model.predict(data[FEATURES]), rtol=1e-14, atol=1e-14)
    assert found.index[0] == 5


def test_no_warning_is_raised_on_the_way():
    frame = dd.from_pandas(table(), npartitions=3)
    with dask.config.set(scheduler="threads"), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        PixelLossRegressor(1.0).fit(frame[FEATURES], frame["y"]).predict(frame[FEATURES]).compute()
    assert not caught


R = PixelLossRegressor(0.0)
IN_MEMORY = {
    "score": lambda X, y, g: fit(R, *arguments(table(), "y", False)).score(X, y),
    "coefficients": lambda X, y, g: coefficient_report(
        fit(R, *arguments(table(), "y", False)), X, y, sensitive_features=g
    ),
}


@pytest.mark.parametrize("function", IN_MEMORY.values(), ids=IN_MEMORY)
def test_what_needs_rows_in_memory_refuses_others_by_name(function):
    data = table()
    frame = dd.from_pandas(data, npartitions=2)
    with pytest.raises(TypeError, match=r"(X|sensitive_features) must be in memory, got dask "):
        function(frame[FEATURES], frame["y"], frame["group"])
    source = from_blocks(lambda i: {"X": data[FEATURES], "y": data["y"]}, 1)
    with pytest.raises(TypeError, match="X must be in memory, got skfairloss BlockRows"):
        function(source, data["y"], data["group"])


def test_a_report_refuses_collections_by_name():
    data = table()
    frame = dd.from_pandas(data, npartitions=2)
    for given in (
        (frame["y"], data["y"], data["group"]),
        (data["y"], frame["y"], data["group"]),
        (data["y"], data["y"], frame["group"]),
    ):
        with pytest.raises(TypeError, match="must be in memory, got dask Series"):
            group_report(given[0], given[1], sensitive_features=given[2])


def turned(table):
    """Features and target of a table, the features of every other block in another order."""

    def block(i):
        rows = table.iloc[i::4]
        return {"X": rows[FEATURES[::-1] if i % 2 else FEATURES], "y": rows["y"]}

    return from_blocks(block, 4)


def test_columns_of_blocks_in_another_order_are_refused():
    data = table()
    with pytest.raises(ValueError, match=r"X of block 1 must have the columns \['.*in this order"):
        PixelLossRegressor(0.0).fit(turned(data))
    model = PixelLossRegressor(0.0).fit(data[FEATURES], data["y"])
    with pytest.raises(ValueError, match=r"X of block 1 must have the columns"):
        list(model.predict(turned(data)))
