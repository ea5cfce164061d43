"""The estimator among scikit-learn's, joblib's and the interpreter's habits."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import cloudpickle
import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from sklearn import config_context
from sklearn.base import clone
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr
from sklearn.utils.fixes import parse_version
from threadpoolctl import threadpool_info, threadpool_limits

from skfairloss import PixelLossRegressor
from skfairloss.metrics import make_group_scorer

MIXES = (0.0, 0.4, 1.0)
SKLEARN = parse_version(sklearn.__version__)


def draw(n=80, p=3, seed=0):
    """A linear problem off the origin with groups of unequal noise."""
    rng = np.random.default_rng(seed)
    groups = np.where(np.arange(n) % 4 == 0, "b", "a")
    X = rng.normal(size=(n, p)) + np.arange(p)
    noise = rng.standard_t(3, size=n) * np.where(groups == "b", 2.0, 0.5)
    return X, X @ (1.0 + np.arange(p)) + noise, groups


def fitted_state(model):
    return {name: value for name, value in vars(model).items() if name.endswith("_")}


def assert_same_state(one, other) -> None:
    states = fitted_state(one), fitted_state(other)
    assert states[0].keys() == states[1].keys()
    for name, value in states[0].items():
        np.testing.assert_array_equal(value, states[1][name], err_msg=name)
        assert type(value) is type(states[1][name])


# --------------------------------------------------------------------------------------------------
# Copies
# --------------------------------------------------------------------------------------------------


def through_joblib(model, path):
    joblib.dump(model, path / "model.joblib", compress=3)
    return joblib.load(path / "model.joblib")


COPIES = {
    "pickle": lambda model, path: pickle.loads(pickle.dumps(model)),
    "pickle 2": lambda model, path: pickle.loads(pickle.dumps(model, protocol=2)),
    "joblib": through_joblib,
    "cloudpickle": lambda model, path: cloudpickle.loads(cloudpickle.dumps(model)),
}


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("loss_mix", MIXES)
def test_a_copy_predicts_the_same_bit_by_bit_and_knows_its_requests(tmp_path, copy, loss_mix):
    X, y, groups = draw()
    frame = pd.DataFrame(X, columns=list("uvw"))
    model = PixelLossRegressor(loss_mix, clip=(0.0, 9.0))
    with config_context(enable_metadata_routing=True):
        model.set_fit_request(sensitive_features="tone", sample_weight=True)
    model.fit(frame, y, sensitive_features=groups)
    twin = copy(model, tmp_path)
    np.testing.assert_array_equal(twin.predict(frame), model.predict(frame))
    assert twin.get_params() == model.get_params()
    assert_same_state(twin, model)
    requests = twin.get_metadata_routing().fit.requests
    assert requests == {"sensitive_features": "tone", "sample_weight": True}
    assert_same_state(twin.fit(frame, y, sensitive_features=groups), model)


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
def test_a_copied_search_fits_and_scores_the_same(tmp_path, copy):
    X, y, groups = draw()
    with config_context(enable_metadata_routing=True):
        search = GridSearchCV(
            make_pipeline(StandardScaler(), PixelLossRegressor()),
            {"pixellossregressor__loss_mix": MIXES},
            scoring=make_group_scorer(),
            error_score="raise",
        )
        twin = copy(search, tmp_path).fit(X, y, sensitive_features=groups)
        search.fit(X, y, sensitive_features=groups)
        assert twin.best_params_ == search.best_params_
        assert twin.best_score_ == search.best_score_
        score = copy(search, tmp_path).score(X, y, sensitive_features=groups)
        assert score == search.score(X, y, sensitive_features=groups)


def test_a_clone_has_parameters_and_requests_and_no_fit():
    X, y, groups = draw()
    model = PixelLossRegressor(0.3, scale="auto", clip=(0, 1))
    with config_context(enable_metadata_routing=True):
        model.set_fit_request(sensitive_features="tone")
    twin = clone(model.fit(X, y, sensitive_features=groups))
    assert twin.get_params() == model.get_params()
    assert not fitted_state(twin)
    assert twin.get_metadata_routing().fit.requests["sensitive_features"] == "tone"
    assert PixelLossRegressor().get_metadata_routing().fit.requests["sensitive_features"] is True


# --------------------------------------------------------------------------------------------------
# Containers and storage
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transform", ["pandas", "polars"])
def test_pipelines_with_an_output_set_keep_names_and_predictions(transform):
    X, y, groups = draw()
    frame = pd.DataFrame(X, columns=list("uvw"), index=np.arange(len(y)) + 5)
    features = {"pixellossregressor__sensitive_features": pd.Series(groups, index=frame.index)}
    plain = make_pipeline(StandardScaler(), PixelLossRegressor()).fit(X, y)
    model = make_pipeline(StandardScaler(), PixelLossRegressor()).set_output(transform=transform)
    model.fit(frame, pd.Series(y, index=frame.index), **features)
    assert model[-1].feature_names_in_.tolist() == ["u", "v", "w"]
    np.testing.assert_allclose(model.predict(frame), plain.predict(X), rtol=1e-12)
    assert model[-1].groups_.tolist() == ["a", "b"]


def fit_mapped(loss_mix, X, y, weight, groups):
    """A fit, after making sure that the arrays are what workers get: maps of a read-only file."""
    for array in (X, y, weight, groups):
        assert isinstance(array, np.memmap)
        assert not array.flags.writeable
    return PixelLossRegressor(loss_mix, scale="auto").fit(
        X, y, sample_weight=weight, sensitive_features=groups
    )


def test_workers_fit_read_only_memory_maps():
    X, y, groups = draw(200)
    weight, groups = np.resize([1.0, 2.0, 0.0], 200), (groups == "b").astype(int)
    data = (X, y, weight, groups)
    jobs = [joblib.delayed(fit_mapped)(loss_mix, *data) for loss_mix in MIXES]
    models = joblib.Parallel(n_jobs=2, max_nbytes=1)(jobs)
    for loss_mix, model in zip(MIXES, models, strict=True):
        expected = PixelLossRegressor(loss_mix, scale="auto")
        expected.fit(X, y, sample_weight=weight, sensitive_features=groups)
        np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-9)
        np.testing.assert_allclose(model.group_losses_, expected.group_losses_, rtol=1e-9)


def test_workers_get_the_groups_for_fit_and_score_with_routing_on():
    X, y, groups = draw()
    with config_context(enable_metadata_routing=True):
        search = GridSearchCV(
            make_pipeline(StandardScaler(), PixelLossRegressor()),
            {"pixellossregressor__loss_mix": MIXES},
            scoring={"gap": make_group_scorer(), "mae": "neg_mean_absolute_error"},
            refit="gap",
            n_jobs=2,
            error_score="raise",
        ).fit(X, y, sensitive_features=groups)
        serial = clone(search).set_params(n_jobs=None).fit(X, y, sensitive_features=groups)
    for key in ("mean_test_gap", "mean_test_mae"):
        np.testing.assert_allclose(search.cv_results_[key], serial.cv_results_[key], rtol=1e-9)


STORAGE = {
    "Fortran": np.asfortranarray,
    "strided": lambda X: np.repeat(X, 2, axis=0)[::2],
    "reversed": lambda X: X[::-1].copy()[::-1],
    "int16": lambda X: X.astype(np.int16),
    "float32": lambda X: X.astype(np.float32),
    "big-endian": lambda X: X.astype(">f8"),
    "objects": lambda X: X.astype(object),
    "lists": np.ndarray.tolist,
    "CSR": sp.csr_array,
    "CSC matrix": sp.csc_matrix,
    "COO": sp.coo_array,
    "pandas": pd.DataFrame,
    "pandas Int64": lambda X: pd.DataFrame(X).astype("Int64"),
}


@pytest.mark.parametrize("loss_mix", MIXES)
@pytest.mark.parametrize("storage", STORAGE.values(), ids=STORAGE)
def test_whole_numbers_in_any_storage_give_one_model(storage, loss_mix):
    X, y, groups = draw()
    X = np.round(4 * X)
    expected = PixelLossRegressor(loss_mix).fit(X, y, sensitive_features=groups)
    model = PixelLossRegressor(loss_mix).fit(storage(X), y, sensitive_features=groups)
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-7)
    np.testing.assert_allclose(model.group_losses_, expected.group_losses_, rtol=1e-7)
    np.testing.assert_allclose(model.predict(storage(X)), expected.predict(X), rtol=1e-7)


ARRAY_API = """
import warnings
warnings.simplefilter("error")
import numpy as np
import sklearn
from sklearn import config_context
from sklearn.utils.estimator_checks import estimator_checks_generator
from sklearn.utils.fixes import parse_version
from skfairloss import PixelLossRegressor
from tests.test_citizenship import draw

X, y, groups = draw()
for loss_mix in (0.0, 0.4, 1.0):
    model = PixelLossRegressor(loss_mix)
    checks = [
        (estimator, check)
        for estimator, check in estimator_checks_generator(model)
        if "array_api" in str(check)
    ]
    for estimator, check in checks:
        check(estimator)
    expected = model.fit(X, y, sensitive_features=groups).predict(X)
    # before 1.7 scikit-learn needs another package for this
    dispatch = parse_version(sklearn.__version__) >= parse_version("1.7")
    with config_context(array_api_dispatch=dispatch):
        predicted = model.fit(X, y, sensitive_features=groups).predict(X)
    assert np.array_equal(predicted, expected)
print(len(checks), "check")
"""


def test_the_array_api_check_is_passed_where_scipy_takes_such_arrays():
    environment = {**os.environ, "SCIPY_ARRAY_API": "1"}
    run = subprocess.run(
        [sys.executable, "-c", ARRAY_API],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    if parse_version("1.9") <= SKLEARN:  # older versions have no such check
        assert run.stdout.strip() == "1 check"


# --------------------------------------------------------------------------------------------------
# Representations
# --------------------------------------------------------------------------------------------------


def test_the_html_shows_parameters_and_links_to_no_other_projects_pages():
    X, y, groups = draw()
    model = PixelLossRegressor(loss_mix=0.25)
    for state in (model, model.fit(X, y, sensitive_features=groups)):
        html = estimator_html_repr(state)
        assert "PixelLossRegressor" in html
        assert all("skfairloss" in link for link in re.findall(r'href="([^"]+)"', html))
        assert "0.25" in repr(state)
    pipeline = make_pipeline(StandardScaler(), model)
    assert "PixelLossRegressor" in estimator_html_repr(pipeline)


@pytest.mark.skipif(parse_version("1.9") > SKLEARN, reason="no table of fitted attributes")
def test_the_html_lists_the_fitted_attributes():
    X, y, groups = draw()
    model = PixelLossRegressor()
    assert "group_losses_" not in estimator_html_repr(model)
    html = estimator_html_repr(model.fit(X, y, sensitive_features=groups))
    for name in fitted_state(model):
        assert f"{name}<" in html, name


# --------------------------------------------------------------------------------------------------
# Inspection
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss_mix", MIXES)
def test_partial_dependence_of_a_linear_model_is_its_line(loss_mix):
    X, y, _ = draw()
    model = PixelLossRegressor(loss_mix).fit(X, y)
    result = partial_dependence(model, X, [1], grid_resolution=5)
    (grid,), average = result["grid_values"], result["average"][0]
    slopes = np.diff(average) / np.diff(grid)
    np.testing.assert_allclose(slopes, model.coef_[1], rtol=1e-9)


@pytest.mark.parametrize("scoring", [None, "neg_mean_absolute_error"])
def test_permutation_importance_orders_the_features_by_their_coefficients(scoring):
    X, y, _ = draw(400)
    model = PixelLossRegressor(1.0).fit(X, y)
    result = permutation_importance(model, X, y, scoring=scoring, n_repeats=3, random_state=0)
    assert result.importances_mean.argsort().tolist() == [0, 1, 2]
    assert result.importances_mean.min() > 0


# --------------------------------------------------------------------------------------------------
# Threads
# --------------------------------------------------------------------------------------------------


def blas_threads():
    return {
        pool["filepath"]: pool["num_threads"]
        for pool in threadpool_info()
        if pool["user_api"] == "blas"
    }


@pytest.mark.parametrize("loss_mix", MIXES)
def test_several_fits_at_once_give_the_coefficients_of_one_after_the_other(loss_mix):
    problems = [draw(300, 4, seed) for seed in range(8)]
    alone = [PixelLossRegressor(loss_mix).fit(X, y).coef_ for X, y, _ in problems]
    barrier = Barrier(4)

    def fit(problem):
        barrier.wait(timeout=60)
        X, y, groups = problem
        return PixelLossRegressor(loss_mix).fit(X, y, sensitive_features=groups).coef_

    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        assert 2 in before.values()  # libraries without threads stay at 1
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(fit, problems))
        assert blas_threads() == before
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-12, atol=0)


@pytest.mark.parametrize("outputs", [None, 3])
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_fit_leaves_the_threads_of_blas_as_they_were(outputs, n_jobs):
    X, y, _ = draw()
    y = y if outputs is None else np.column_stack([y + k * X[:, 0] ** 2 for k in range(outputs)])
    model = PixelLossRegressor(1.0, n_jobs=n_jobs)
    for limit in (1, 2):
        with threadpool_limits(limit, user_api="blas"):
            before = blas_threads()
            model.fit(X, y)
            assert blas_threads() == before
            with pytest.raises(ValueError, match="NaN"):
                model.fit(np.full_like(X, np.nan), y)
            assert blas_threads() == before


def test_an_estimator_predicts_from_several_threads_at_once():
    X, y, _ = draw(300)
    model = PixelLossRegressor().fit(X, y)
    expected = model.predict(X)
    with ThreadPoolExecutor(4) as pool:
        for predicted in pool.map(lambda _: model.predict(X), range(16)):
            np.testing.assert_array_equal(predicted, expected)


# --------------------------------------------------------------------------------------------------
# Sparse X
# --------------------------------------------------------------------------------------------------

N_ROWS, N_LEVELS, N_COLUMNS = 50_000, 20, 200


def one_hot():
    """Ten categorical columns of twenty levels each: ten numbers a row, 200 columns."""
    rng = np.random.default_rng(0)
    n_features = N_COLUMNS // N_LEVELS
    levels = rng.integers(N_LEVELS, size=(N_ROWS, n_features)) + N_LEVELS * np.arange(n_features)
    data = np.ones(levels.size)
    pointers = np.arange(0, levels.size + 1, n_features)
    X = sp.csr_array((data, levels.ravel(), pointers), shape=(N_ROWS, N_COLUMNS))
    return X, X @ rng.normal(size=N_COLUMNS) + rng.standard_t(3, size=N_ROWS)


@pytest.mark.parametrize("form", ["csr", "csc"])
@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
def test_sparse_x_is_never_made_dense(monkeypatch, loss_mix, form):
    X, y = one_hot()
    X = X.asformat(form)
    dense = X.shape[0] * X.shape[1] * X.dtype.itemsize
    largest = 0

    def watched(toarray):
        def watch(self, *args, **kwargs):
            nonlocal largest
            largest = max(largest, self.shape[0] * self.shape[1])
            return toarray(self, *args, **kwargs)

        return watch

    for kind in (sp.csr_array, sp.csc_array):
        for name in ("toarray", "todense"):
            monkeypatch.setattr(kind, name, watched(getattr(kind, name)))
    model = PixelLossRegressor(loss_mix, alpha=1e-3)
    tracemalloc.start()
    try:
        model.fit(X, y, sensitive_features=np.arange(N_ROWS) % 2)
        model.predict(X)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 0.5 * dense
    assert largest < 0.02 * X.shape[0] * X.shape[1]
    assert model.dual_gap_ <= 1e-8 * model.objective_
    # ridge at the L2 end has its own normal equations
    if loss_mix == 0.0:
        residual = y - model.predict(X)
        np.testing.assert_allclose(
            2 * (X.T @ residual) / N_ROWS, 1e-3 * model.coef_, rtol=1e-6, atol=1e-9
        )


# --------------------------------------------------------------------------------------------------
# Warnings
# --------------------------------------------------------------------------------------------------

QUIET = """
import numpy as np
import skfairloss, skfairloss.datasets, skfairloss._core.losses, skfairloss.metrics
from skfairloss import PixelLossRegressor
from skfairloss.metrics import group_metric_frame, make_group_scorer
from tests.test_citizenship import draw

X, y, groups = draw()
for loss_mix in (0.0, 0.4, 1.0):
    for outputs in (y, np.column_stack([y, -y])):
        model = PixelLossRegressor(loss_mix).fit(X, outputs, sensitive_features=groups)
        frame = group_metric_frame(outputs, model.predict(X), sensitive_features=groups)
        frame.difference(), frame.ratio(), repr(model), model._repr_html_()
"""


def test_nothing_warns_from_import_to_report_in_an_interpreter_that_makes_warnings_errors():
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", QUIET], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
