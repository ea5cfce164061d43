"""Memory that a fit and a prediction take beside X: blocks of it, and arrays of the length of y."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from skfairloss import PixelLossRegressor
from skfairloss._design import make_design

ROWS, COLUMNS = 60_000, 60


def peak(call):
    """Bytes that a call takes at most, beside what it returns."""
    tracemalloc.start()
    try:
        found = call()
        return tracemalloc.get_traced_memory()[1], found
    finally:
        tracemalloc.stop()


def whole_numbers(path, dtype):
    """A file of small integers, and targets that are linear in them but for noise."""
    rng = np.random.default_rng(3)
    X = np.memmap(path, dtype=dtype, mode="w+", shape=(ROWS, COLUMNS))
    X[:] = rng.integers(-9, 10, X.shape)
    return X, X @ np.linspace(-1.0, 1.0, COLUMNS) + rng.standard_normal(ROWS)


@pytest.mark.parametrize("dtype", ["int16", "float16", "float32", "float64"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_file_of_any_dtype_is_never_converted_as_a_whole(tmp_path, dtype, order):
    X, y = whole_numbers(tmp_path / "X", dtype)
    if order == "F":
        X = np.asarray(X, order="F")
    as_float64 = ROWS * COLUMNS * 8
    used, model = peak(lambda: PixelLossRegressor(0.0).fit(X, y))
    assert used < as_float64 / 3
    predicting, prediction = peak(lambda: model.predict(X))
    assert predicting < as_float64 / 4
    in_memory = PixelLossRegressor(0.0).fit(np.array(X, dtype=np.float64), y)
    np.testing.assert_allclose(model.coef_, in_memory.coef_, rtol=1e-12)
    np.testing.assert_allclose(prediction, in_memory.predict(np.array(X, float)), rtol=1e-12)


@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("dtype", ["int16", "float64"])
def test_rows_of_weight_0_are_left_out_without_a_copy_of_the_others(tmp_path, dtype, loss_mix):
    X, y = whole_numbers(tmp_path / "X", dtype)
    weight = np.ones(ROWS)
    weight[::1000] = 0.0
    y[::1000] = 1e6
    used, model = peak(lambda: PixelLossRegressor(loss_mix).fit(X, y, sample_weight=weight))
    assert used < X.size * 8 * (0.35 if loss_mix == 0 else 0.9)
    without = PixelLossRegressor(loss_mix).fit(np.array(X[weight > 0], float), y[weight > 0])
    np.testing.assert_allclose(model.coef_, without.coef_, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int8])
def test_a_design_of_some_rows_has_the_products_of_their_copy(dtype, order):
    rng = np.random.default_rng(5)
    X = np.asarray(rng.integers(-128, 128, (500, 3)), dtype=dtype, order=order)
    kept = rng.random(500) < 0.7
    some, copy = make_design(X, kept), make_design(X[kept].astype(np.float64))
    coef, u, index = rng.standard_normal((3, 2)), rng.standard_normal((kept.sum(), 2)), [7, 11, 300]
    index = np.array(index)
    for one, other in ((some, copy), (some.absolute(), copy.absolute())):
        assert one.shape == other.shape
        np.testing.assert_allclose(one.predict(coef, 0.5), other.predict(coef, 0.5), rtol=1e-12)
        np.testing.assert_allclose(one.adjoint(u), other.adjoint(u), rtol=1e-10)
        np.testing.assert_array_equal(one.block(index), other.block(index))
        np.testing.assert_array_equal(one.take(index, np.empty((9, 3))), other.block(index))
        np.testing.assert_array_equal(one.subset(index).block(slice(0, 3)), other.block(index))
        np.testing.assert_array_equal(
            one.columns(np.array([2])).block(slice(0, 9)), other.block(slice(0, 9))[:, [2]]
        )


@pytest.mark.parametrize("where", ["a row that counts", "a row of weight 0"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_half_precision_that_is_not_finite_is_refused(value, where):
    X = np.ones((50, 2), dtype=np.float16)
    X[:, 1] = np.arange(50)
    X[3, 1] = value
    weight = np.ones(50)
    weight[3 if where == "a row of weight 0" else 4] = 0.0
    with pytest.raises(ValueError, match="X contains"):
        PixelLossRegressor().fit(X, np.arange(50.0), sample_weight=weight)
    model = PixelLossRegressor().fit(np.eye(2), [0.0, 1.0])
    with pytest.raises(ValueError, match="X contains"):
        model.predict(X)


@pytest.mark.parametrize("loss_mix", [0.0, 1.0])
def test_a_file_of_numbers_at_odd_addresses_is_fitted_as_any_other(tmp_path, loss_mix):
    X, y = whole_numbers(tmp_path / "X", "float64")
    path = tmp_path / "odd"
    path.write_bytes(b"header" + X.tobytes())
    odd = np.memmap(path, dtype=np.float64, mode="r", offset=6, shape=X.shape)
    assert not odd.flags.aligned
    model, aim = (PixelLossRegressor(loss_mix).fit(x, y) for x in (odd, X))
    np.testing.assert_array_equal(model.coef_, aim.coef_)
