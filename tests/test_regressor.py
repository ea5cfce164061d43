"""The estimator's conventions: shapes, attributes, groups, parameters, storage and state."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression

import skfairloss._estimator.fitting as fitting_module
from skfairloss import PixelLossRegressor
from skfairloss._estimator.scale import weighted_median
from tests.problems import random_problem

MIXES = (0.0, 0.4, 1.0)
FITTED = (
    "coef_",
    "intercept_",
    "objective_",
    "dual_gap_",
    "infeasibility_",
    "scale_",
    "squared_share_",
    "n_iter_",
    "n_features_in_",
)
GROUP_ATTRIBUTES = ("groups_", "group_losses_", "group_weights_")


def data(seed: int = 0, n: int = 40, p: int = 3, outputs: int | None = None):
    problem = random_problem(seed, n, p)
    if outputs is None:
        return problem.X, problem.y
    factors = np.random.default_rng(seed).normal(size=outputs)
    return problem.X, problem.y[:, None] * factors + problem.X[:, :1] ** 2


def states_equal(one: dict, other: dict) -> bool:
    """Whether two dictionaries of attributes hold the same keys, types and numbers, bit by bit."""
    return one.keys() == other.keys() and pickle.dumps(one) == pickle.dumps(other)


# --------------------------------------------------------------------------------------------------
# Shapes and attributes
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("loss_mix", MIXES)
@pytest.mark.parametrize("outputs", [None, 1, 3])
def test_shapes_are_those_of_linear_regression(outputs, loss_mix, fit_intercept):
    X, y = data(outputs=outputs)
    model = PixelLossRegressor(loss_mix, fit_intercept=fit_intercept).fit(X, y)
    peer = LinearRegression(fit_intercept=fit_intercept).fit(X, y)
    assert model.coef_.shape == peer.coef_.shape
    assert np.shape(model.intercept_) == np.shape(peer.intercept_)
    assert model.predict(X).shape == peer.predict(X).shape == y.shape
    assert model.predict(X[:1]).shape == peer.predict(X[:1]).shape
    assert isinstance(model.score(X, y), float)
    if outputs is None:
        assert isinstance(model.intercept_, float)


@pytest.mark.parametrize("outputs", [None, 1, 2])
@pytest.mark.parametrize("loss_mix", MIXES)
def test_every_documented_attribute_is_set_with_its_shape_and_type(loss_mix, outputs):
    X, y = data(outputs=outputs)
    model = PixelLossRegressor(loss_mix, scale="auto").fit(X, y)
    assert sorted(FITTED) == sorted(k for k in vars(model) if k.endswith("_"))
    for name in ("objective_", "dual_gap_", "infeasibility_", "scale_"):
        value = getattr(model, name)
        if outputs is None:
            assert type(value) is float
        else:
            assert value.shape == (outputs,)
            assert value.dtype == np.float64
    assert type(model.n_iter_) is int
    assert model.n_iter_ >= 1
    assert model.n_features_in_ == 3
    assert np.all(model.infeasibility_ == 0)
    assert np.all(model.dual_gap_ <= 1e-8 * np.asarray(model.objective_))
    assert model.coef_.flags.owndata or model.coef_.base.size == model.coef_.size


def test_a_refit_removes_what_only_the_fit_before_set():
    X, y = data()
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    model = PixelLossRegressor().fit(frame, y, sensitive_features=np.tile(["u", "v"], 20))
    assert [*model.feature_names_in_] == ["a", "b", "c"]
    assert set(GROUP_ATTRIBUTES) <= set(vars(model))
    model.fit(X[:, :2], y)
    assert not set(vars(model)) & {*GROUP_ATTRIBUTES, "feature_names_in_"}
    assert model.coef_.shape == (2,)
    assert model.n_features_in_ == 2
    model.fit(X, np.column_stack([y, -y]))
    assert model.coef_.shape == (2, 3)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_names_of_data_frames_are_kept_and_checked(frame):
    X, y = data()
    table = frame({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2]})
    model = PixelLossRegressor().fit(table, y)
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    expected = PixelLossRegressor().fit(X, y).predict(X)
    np.testing.assert_allclose(model.predict(table), expected, rtol=1e-9)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame({"a": X[:, 0], "c": X[:, 2], "b": X[:, 1]}))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)


# --------------------------------------------------------------------------------------------------
# Groups
# --------------------------------------------------------------------------------------------------


def test_group_values_of_a_constant_model_are_those_worked_out_by_hand():
    y, groups = np.array([0.0, 1.0, 5.0]), ["a", "b", "b"]
    model = PixelLossRegressor(1.0, scale=1.0)
    model.fit(np.zeros((3, 1)), y, sensitive_features=groups)
    # the median is 1
    assert model.groups_.tolist() == ["a", "b"]
    np.testing.assert_allclose(model.group_losses_, [1.0, 2.0], rtol=1e-12)
    np.testing.assert_allclose(model.group_weights_, [1 / 3, 2 / 3], rtol=1e-12)
    model = PixelLossRegressor(0.0, scale=1.0)
    model.fit(np.zeros((3, 1)), y, sensitive_features=groups)
    # the mean is 2
    np.testing.assert_allclose(model.group_losses_, [4.0, 5.0], rtol=1e-12)


@pytest.mark.parametrize(("offset", "factor"), [(0.0, 1.0), (1e3, 1.0), (0.0, 1e-3), (-7.0, 40.0)])
def test_quantile_scale_and_weights_enter_the_group_losses_by_hand(offset, factor):
    # weights 1, 1, 2 and quantile 0.75: any value in [1, 5] splits 2 below from 2 above; 0.75
    # takes the largest value, 5. Residuals -5, -4, 0 in units of c = 2.
    model = PixelLossRegressor(1.0, quantile=0.75, scale=2.0 * factor)
    y = offset + factor * np.array([0.0, 1.0, 5.0])
    model.fit(np.zeros((3, 1)), y, sample_weight=[0.5, 0.5, 1.0], sensitive_features=[2, 1, 1])
    assert model.intercept_ == pytest.approx(offset + 5.0 * factor, rel=1e-12)
    assert model.groups_.tolist() == [1, 2]
    # (|z| + z / 2) of z = -2.5 is 1.25, of z = -2 it is 1; group 1 has weights 1 and 2
    np.testing.assert_allclose(model.group_losses_, [1 / 3, 1.25], rtol=1e-9)
    np.testing.assert_allclose(model.group_weights_, [0.75, 0.25], rtol=1e-12)
    assert model.group_weights_ @ model.group_losses_ == pytest.approx(model.objective_, rel=1e-9)


def test_group_losses_are_means_over_the_outputs():
    Y = np.array([[0.0, 10.0], [1.0, 10.0], [5.0, 13.0]])
    model = PixelLossRegressor(0.0, scale=1.0)
    model.fit(np.zeros((3, 1)), Y, sensitive_features=["a", "b", "b"])
    # means 2 and 11; squares (4, 1), (1, 1), (9, 4)
    np.testing.assert_allclose(model.group_losses_, [2.5, 15 / 4], rtol=1e-12)
    np.testing.assert_allclose(model.objective_, [14 / 3, 2.0], rtol=1e-12)
    # L̄ = L / m is the share-weighted mean of the group losses
    assert model.group_weights_ @ model.group_losses_ == pytest.approx(model.objective_.mean())


def test_groups_of_several_columns_have_a_row_each():
    frame = pd.DataFrame({"s": ["x", "x", "y", "y"], "t": [1, 1, 2, 1]})
    frame = pd.concat([frame, frame], ignore_index=True)
    y = np.array([0.0, 1.0, 2.0, 5.0] * 2)
    model = PixelLossRegressor(0.0, scale=1.0)
    model.fit(np.zeros((8, 1)), y, sensitive_features=frame)
    assert model.groups_.tolist() == [["x", 1], ["y", 1], ["y", 2]]
    np.testing.assert_allclose(model.group_losses_, [2.5, 9.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(model.group_weights_, [0.5, 0.25, 0.25], rtol=1e-12)


@pytest.mark.parametrize("loss_mix", MIXES)
def test_rows_and_groups_of_weight_zero_are_not_reported(loss_mix):
    X, y = data()
    groups = np.tile(["a", "b", "c", "gone"], 10)
    weight = np.where(groups == "gone", 0.0, 1.0)
    weight[0] = 0.0
    kept = weight > 0
    model = PixelLossRegressor(loss_mix).fit(X, y, sample_weight=weight, sensitive_features=groups)
    alone = PixelLossRegressor(loss_mix).fit(X[kept], y[kept], sensitive_features=groups[kept])
    assert model.groups_.tolist() == ["a", "b", "c"]
    np.testing.assert_allclose(model.group_losses_, alone.group_losses_, rtol=1e-9)
    np.testing.assert_allclose(model.group_weights_, [9 / 29, 10 / 29, 10 / 29], rtol=1e-12)


@pytest.mark.parametrize(
    "container",
    [
        list,
        np.array,
        lambda g: np.array(g)[:, None],
        pd.Series,
        pl.Series,
        lambda g: pd.DataFrame({"g": g}),
        lambda g: pl.DataFrame({"g": g}),
        lambda g: {"g": np.array(g)},
    ],
)
def test_groups_may_come_in_any_container(container):
    X, y = data()
    groups = ["u", "v", "v", "u"] * 10
    expected = PixelLossRegressor().fit(X, y, sensitive_features=groups)
    model = PixelLossRegressor().fit(X, y, sensitive_features=container(groups))
    assert model.groups_.tolist() == expected.groups_.tolist()
    np.testing.assert_array_equal(model.group_losses_, expected.group_losses_)


def test_groups_do_not_change_the_model_as_long_as_fairness_is_none():
    X, y = data()
    plain = PixelLossRegressor().fit(X, y)
    grouped = PixelLossRegressor().fit(X, y, sensitive_features=np.tile([0, 1], 20))
    np.testing.assert_array_equal(grouped.coef_, plain.coef_)


def test_fit_requests_the_sensitive_features_by_default():
    request = PixelLossRegressor().get_metadata_routing()
    assert request.fit.requests["sensitive_features"] is True
    assert request.fit.requests["sample_weight"] is None


# --------------------------------------------------------------------------------------------------
# Every parameter has an effect
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "change"),
    [
        ({}, {"loss_mix": 0.9}),
        ({}, {"quantile": 0.2}),
        ({}, {"scale": 0.1}),
        ({"scale": 10.0}, {"scale": "auto"}),
        ({}, {"alpha": 0.1}),
        ({"alpha": 0.1}, {"l1_ratio": 0.9}),
        ({}, {"fit_intercept": False}),
        ({}, {"clip": (0.0, 1.0)}),
    ],
)
def test_a_parameter_of_the_model_changes_the_predictions(base, change):
    X, y = data()
    one = PixelLossRegressor(**base).fit(X, y).predict(X)
    other = PixelLossRegressor(**{**base, **change}).fit(X, y).predict(X)
    assert np.abs(one - other).max() > 1e-3


def test_clip_bounds_predictions_and_neither_the_fit_nor_the_group_losses():
    X, y = data(outputs=2)
    groups = np.tile(["u", "v"], 20)
    plain = PixelLossRegressor().fit(X, y, sensitive_features=groups)
    model = PixelLossRegressor(clip=(-0.5, 1.0)).fit(X, y, sensitive_features=groups)
    for name in ("coef_", "intercept_", "objective_", "group_losses_"):
        np.testing.assert_array_equal(getattr(model, name), getattr(plain, name))
    free = plain.predict(X)
    assert free.min() < -0.5
    assert free.max() > 1.0
    np.testing.assert_array_equal(model.predict(X), np.clip(free, -0.5, 1.0))


@pytest.mark.parametrize("clip", [(-np.inf, 1.0), [0.0, np.inf]])
def test_clip_may_be_one_sided(clip):
    X, y = data()
    plain, model = PixelLossRegressor().fit(X, y), PixelLossRegressor(clip=clip).fit(X, y)
    np.testing.assert_array_equal(model.predict(X), np.clip(plain.predict(X), *clip))


@pytest.mark.parametrize("loss_mix", [0.4, 1.0])
def test_too_few_iterations_are_declared_with_the_gap_and_the_remedy(loss_mix):
    X, y = data(n=200, p=5)
    with pytest.warns(ConvergenceWarning, match="raise max_iter") as caught:
        model = PixelLossRegressor(loss_mix, max_iter=1).fit(X, y)
    assert model.n_iter_ == 1
    assert f"{model.dual_gap_:.3g} above the optimum" in str(caught[0].message)
    assert f"objective {model.objective_:.6g}" in str(caught[0].message)
    assert "tol=1e-08" in str(caught[0].message)
    assert caught[0].filename == __file__
    best = PixelLossRegressor(loss_mix).fit(X, y)
    assert model.objective_ - model.dual_gap_ <= best.objective_ * (1 + 1e-9)
    assert model.objective_ > best.objective_


def test_a_warning_about_several_outputs_names_the_worst():
    X, y = data(n=200, p=5, outputs=3)
    with pytest.warns(ConvergenceWarning, match=r"for \d of 3 outputs; in output \d") as caught:
        model = PixelLossRegressor(1.0, max_iter=1).fit(X, y)
    assert f"; in output {np.argmax(model.dual_gap_)}:" in str(caught[0].message)


def test_a_loose_tolerance_saves_iterations():
    X, y = data(n=300, p=6)
    loose = PixelLossRegressor(1.0, tol=0.3).fit(X, y)
    tight = PixelLossRegressor(1.0, tol=1e-10).fit(X, y)
    assert loose.n_iter_ < tight.n_iter_
    assert loose.dual_gap_ <= 0.3 * loose.objective_
    assert tight.dual_gap_ <= 1e-10 * tight.objective_


@pytest.mark.parametrize("outputs", [None, 2])
@pytest.mark.parametrize("loss_mix", [0.4, 1.0])
def test_a_warm_start_changes_the_path_and_not_the_optimum(monkeypatch, loss_mix, outputs):
    starts = []
    solve = fitting_module.solve
    monkeypatch.setattr(
        fitting_module, "solve", lambda *a, **k: starts.append(k["start"]) or solve(*a, **k)
    )
    X, y = data(n=200, p=5, outputs=outputs)
    model = PixelLossRegressor(loss_mix, warm_start=True, tol=1e-12).fit(X, y)
    first, n_iter = model.coef_, model.n_iter_
    model.fit(X, y)
    assert starts[0] is None
    start = (model.scale_ * starts[1].coef).T.reshape(first.shape)
    np.testing.assert_allclose(start, first, rtol=1e-15)
    assert model.n_iter_ <= n_iter
    np.testing.assert_allclose(model.coef_, first, atol=1e-6)
    model.fit(X[:, :3], y)  # another shape: nothing to start from
    assert starts[2] is None
    PixelLossRegressor(loss_mix).fit(X, y).fit(X, y)
    assert starts[3:] == [None, None]


def test_a_warm_start_from_the_optimum_needs_fewer_iterations():
    X, y = data(n=300, p=6)
    model = PixelLossRegressor(0.5, warm_start=True).fit(X, y)
    cold = model.n_iter_
    assert model.fit(X, y).n_iter_ < cold


@pytest.mark.parametrize("n_jobs", [2, -1])
@pytest.mark.parametrize("loss_mix", MIXES)
def test_several_threads_give_the_same_models(loss_mix, n_jobs):
    X, y = data(outputs=4)
    one = PixelLossRegressor(loss_mix).fit(X, y)
    many = PixelLossRegressor(loss_mix, n_jobs=n_jobs).fit(X, y)
    np.testing.assert_array_equal(many.coef_, one.coef_)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_n_jobs_reaches_the_solver(monkeypatch, n_jobs):
    seen = []
    solve = fitting_module.solve
    monkeypatch.setattr(
        fitting_module, "solve", lambda *a, **k: seen.append(k["n_jobs"]) or solve(*a, **k)
    )
    PixelLossRegressor(n_jobs=n_jobs).fit(*data(outputs=2))
    assert seen == [n_jobs]


@pytest.mark.parametrize(("offset", "factor"), [(0.0, 1.0), (1e3, 1.0), (0.0, 1e-3), (7.0, -2.0)])
@pytest.mark.parametrize(
    ("y", "weight", "expected"),
    [
        ([0.0, 1.0, 2.0, 3.0, 10.0], None, 4.8),  # median 2, deviations 2 1 0 1 8
        ([0.0, 1.0, 3.0, 10.0], None, 6.0),  # medians from 1 to 3: 1 0 2 9, or 3 2 0 7
        (range(101), None, 2 * 2550 / 101),  # median 50, deviations 0 1 1 2 2 ... 50 50
        ([0.0, 1.0, 10.0], [1, 1, 2], 9.5),  # as 0 1 10 10: any median, deviations sum to 19
        ([0.0, 0.0, 0.0, 0.0, 7.0], None, 2.8),
        ([0.0, 0.0, 7.0], [2, 2, 1], 2.8),
        ([3.0, 3.0, 3.0], None, None),  # constant: 1
    ],
)
def test_the_scale_of_one_output_is_twice_the_mae_of_the_best_constant(
    y, weight, expected, offset, factor
):
    y = offset + factor * np.array(y)
    value = 1.0 if expected is None else expected * abs(factor)
    model = PixelLossRegressor().fit(np.zeros((len(y), 1)), y, sample_weight=weight)
    assert model.scale_ == pytest.approx(value, rel=1e-9)
    if weight is None:
        return
    copies = np.repeat(np.arange(len(y)), weight)
    copied = PixelLossRegressor().fit(np.zeros((len(copies), 1)), y[copies])
    assert copied.scale_ == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize("factor", [1.0, 1e-6, 1e5])
def test_all_outputs_share_a_scale_weighted_by_their_deviations(factor):
    y = np.array([0.0, 1.0, 2.0, 3.0, 10.0])  # 2 D = 4.8
    dead = np.full((5, 60), 0.1)  # its sum is rounded: no deviation
    Y = factor * np.column_stack([y, dead, 2.0 * y])  # 2 D = 4.8 and 9.6
    model = PixelLossRegressor().fit(np.zeros((5, 1)), Y)
    expected = factor * (4.8**2 + 9.6**2) / (4.8 + 9.6)
    np.testing.assert_allclose(model.scale_, np.full(62, expected), rtol=1e-12)


def test_without_an_intercept_deviations_are_from_zero():
    y = np.array([3.0, 4.0, -5.0])
    model = PixelLossRegressor(fit_intercept=False).fit(np.ones((3, 1)), y)
    assert model.scale_ == pytest.approx(8.0, rel=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_the_median_of_many_rows_is_that_of_a_sort(seed):
    rng = np.random.default_rng(seed)
    n = 30_000
    y = [rng.standard_t(2, n), np.sort(rng.normal(size=n)), rng.integers(0, 3, n) * 1.0][seed % 3]
    weights = rng.exponential(size=n) if seed % 2 else np.ones(n)
    if seed == 3:  # nearly all weight on rows that a bracket from some rows would miss
        weights[y > np.quantile(y, 0.9)] *= 1e6
    weights /= weights.sum()
    found = weighted_median(y, weights)
    assert weights[y < found].sum() <= 0.5 + 1e-12
    assert weights[y > found].sum() <= 0.5 + 1e-12


def test_an_array_gives_each_output_its_scale():
    X, y = data(outputs=2)
    model = PixelLossRegressor(0.5, alpha=0.1, scale=[2.0, 0.5]).fit(X, y)
    assert model.scale_.tolist() == [2.0, 0.5]
    for k, scale in enumerate([2.0, 0.5]):
        alone = PixelLossRegressor(0.5, alpha=0.1, scale=scale).fit(X, y[:, k])
        np.testing.assert_allclose(model.coef_[k], alone.coef_, rtol=1e-6)
    one = PixelLossRegressor(0.5, scale=np.array([2.0])).fit(X, y[:, 0])
    assert one.scale_ == 2.0


def test_the_number_given_as_scale_is_used_for_every_output():
    model = PixelLossRegressor(scale=2).fit(*data(outputs=2))
    assert model.scale_.tolist() == [2.0, 2.0]


# --------------------------------------------------------------------------------------------------
# Storage
# --------------------------------------------------------------------------------------------------

STORAGES = {
    "float32": np.float32,
    "integer": np.int64,
    "boolean": None,
    "Fortran": np.asfortranarray,
    "columns of a larger array": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "reversed": lambda X: X[::-1].copy()[::-1],
    "csr": sp.csr_array,
    "csc": sp.csc_array,
    "csr matrix": sp.csr_matrix,
    "coo": sp.coo_array,
    "64-bit indices": None,
    "list": np.ndarray.tolist,
    "pandas": pd.DataFrame,
}


def stored(X: np.ndarray, storage: str):
    if storage == "boolean":
        return X.astype(bool)
    if storage == "64-bit indices":
        matrix = sp.csr_array(X)
        matrix.indices, matrix.indptr = (
            a.astype(np.int64) for a in (matrix.indices, matrix.indptr)
        )
        return matrix
    return STORAGES[storage](X)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("loss_mix", MIXES)
def test_every_storage_of_the_same_numbers_gives_the_same_model(loss_mix, storage):
    rng = np.random.default_rng(1)
    X = rng.integers(0, 2 if storage == "boolean" else 4, size=(60, 4)).astype(float)
    y = X @ [1.0, -2.0, 0.5, 0.0] + rng.normal(size=60)
    expected = PixelLossRegressor(loss_mix, tol=1e-12).fit(X, y)
    model = PixelLossRegressor(loss_mix, tol=1e-12).fit(stored(X, storage), y)
    np.testing.assert_allclose(model.coef_, expected.coef_, atol=1e-7)
    np.testing.assert_allclose(model.intercept_, expected.intercept_, atol=1e-7)
    np.testing.assert_allclose(model.predict(stored(X, storage)), expected.predict(X), atol=1e-6)


def test_a_read_only_memory_map_is_fitted(tmp_path):
    X, y = data(n=500)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    y.flags.writeable = False
    for loss_mix in MIXES:
        model = PixelLossRegressor(loss_mix).fit(mapped, y)
        np.testing.assert_array_equal(model.coef_, PixelLossRegressor(loss_mix).fit(X, y).coef_)


@pytest.mark.parametrize("order", ["C", "F", "csr", "csc"])
@pytest.mark.parametrize(
    "params", [{}, {"alpha": 0.1}, {"alpha": 0.1, "l1_ratio": 1.0}, {"scale": "auto"}], ids=str
)
@pytest.mark.parametrize("loss_mix", MIXES)
def test_fit_and_predict_leave_their_arguments_alone(loss_mix, params, order):
    X, y = data()
    weight, groups = np.linspace(0, 2, 40), np.tile([0, 1], 20)
    X = {"C": np.array, "F": np.asfortranarray, "csr": sp.csr_array, "csc": sp.csc_array}[order](X)
    arguments = (X, y, weight, groups)
    before = pickle.dumps(arguments)
    model = PixelLossRegressor(loss_mix, **params).fit(
        X, y, sample_weight=weight, sensitive_features=groups
    )
    model.predict(X)
    assert pickle.dumps(arguments) == before


@pytest.mark.parametrize("loss_mix", MIXES)
def test_a_fitted_model_does_not_change_with_the_data_it_was_fitted_to(loss_mix):
    X, y = data(outputs=2)
    groups = np.tile(["u", "v"], 20)
    model = PixelLossRegressor(loss_mix).fit(X, y, sensitive_features=groups)
    before = pickle.dumps(vars(model))
    X[:], y[:], groups[:] = 0.0, 0.0, "w"
    assert pickle.dumps(vars(model)) == before


# --------------------------------------------------------------------------------------------------
# State
# --------------------------------------------------------------------------------------------------

OTHER_VALUES = {
    "loss_mix": 0.25,
    "quantile": 0.3,
    "scale": "auto",
    "alpha": 0.5,
    "l1_ratio": 0.5,
    "fit_intercept": False,
    "fairness": None,
    "clip": (0.0, 1.0),
    "tol": 1e-6,
    "max_iter": 50,
    "warm_start": True,
    "n_jobs": 2,
}


def test_parameters_are_set_got_and_cloned_as_they_are():
    model = PixelLossRegressor()
    assert set(model.get_params()) == set(OTHER_VALUES)
    model.set_params(**OTHER_VALUES)
    assert model.get_params() == OTHER_VALUES
    X, y = data()
    model.fit(X, y)
    assert model.get_params() == OTHER_VALUES  # fit changes none
    twin = clone(model)
    assert twin.get_params() == OTHER_VALUES
    assert not [name for name in vars(twin) if name.endswith("_")]
    with pytest.raises(ValueError, match="Invalid parameter 'gamma'"):
        model.set_params(gamma=1)


def test_the_repr_shows_what_is_not_default():
    assert repr(PixelLossRegressor(0.1, clip=(0, 1))) == (
        "PixelLossRegressor(clip=(0, 1), loss_mix=0.1)"
    )


def fitted():
    X, y = data()
    model = PixelLossRegressor(0.4, warm_start=True)
    return model.fit(
        pd.DataFrame(X, columns=["a", "b", "c"]), y, sensitive_features=np.tile([0, 1], 20)
    )


@pytest.mark.parametrize(
    "where",
    [
        "_training.encode_groups",
        "_training.validate_data",
        "_training.residual_scale",
        "_fitting.solve",
        "_fitting.certify",
        "_attributes.group_means",
    ],
)
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, RuntimeError])
@pytest.mark.parametrize("new", [True, False])
def test_an_interrupted_fit_leaves_the_estimator_as_it_was(monkeypatch, where, error, new):
    model = PixelLossRegressor(0.4) if new else fitted()
    before = pickle.loads(pickle.dumps(vars(model)))

    def interrupt(*args, **kwargs):
        raise error

    monkeypatch.setattr(f"skfairloss.{where}", interrupt)
    X, y = data(1, n=30, p=5)
    with pytest.raises(error):
        model.fit(X, y, sample_weight=np.ones(30), sensitive_features=np.tile([0, 1, 2], 10))
    assert states_equal(vars(model), before)


@pytest.mark.parametrize("new", [True, False])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"X": np.full((4, 2), np.nan), "y": np.zeros(4)}, "NaN"),
        ({"X": np.zeros((4, 2)), "y": np.zeros(3)}, "inconsistent numbers of samples"),
        ({"X": np.zeros((4, 2)), "y": np.zeros(4), "sample_weight": np.zeros(4)}, "sample_weight"),
        (
            {"X": np.zeros((4, 2)), "y": np.zeros(4), "sensitive_features": [1.0, 2.0, 3.0, 4.0]},
            "4 groups in 4 rows",
        ),
    ],
    ids=["NaN", "length", "weights", "groups"],
)
def test_a_fit_that_fails_leaves_the_estimator_as_it_was(arguments, message, new):
    model = PixelLossRegressor(0.4) if new else fitted()
    before = pickle.loads(pickle.dumps(vars(model)))
    with pytest.raises(ValueError, match=message):
        model.fit(**arguments)
    assert states_equal(vars(model), before)


def test_a_fit_whose_warning_is_an_error_leaves_the_estimator_as_it_was():
    X, y = data(n=200)
    model = PixelLossRegressor(1.0).fit(X, y).set_params(max_iter=1)
    before = pickle.loads(pickle.dumps(vars(model)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ConvergenceWarning):
            model.fit(X, y**3)
    assert states_equal(vars(model), before)


@pytest.mark.parametrize("outputs", [None, 2])
def test_a_pickle_predicts_the_same(outputs):
    X, y = data(outputs=outputs)
    model = PixelLossRegressor(0.4, clip=(-5, 5), scale="auto")
    model.fit(X, y, sensitive_features=np.tile(["u", "v"], 20))
    twin = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(twin.predict(X), model.predict(X))
    assert states_equal(vars(twin), vars(model))


@pytest.mark.parametrize(
    "params", [{}, {"alpha": 0.1, "l1_ratio": 0.5}, {"scale": "auto", "n_jobs": 2}], ids=str
)
@pytest.mark.parametrize("storage", ["Fortran", "csr"])
@pytest.mark.parametrize("loss_mix", MIXES)
def test_two_fits_of_two_estimators_are_equal_bit_by_bit(loss_mix, storage, params):
    X, y = data(n=200, outputs=2)
    groups = np.tile(["u", "v"], 100)
    one, two = (
        PixelLossRegressor(loss_mix, **params).fit(stored(X, storage), y, sensitive_features=groups)
        for _ in range(2)
    )
    for name in (*FITTED, *GROUP_ATTRIBUTES):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
