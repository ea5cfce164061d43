"""Graphs of ONNX predict what the estimators predict."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfairloss import PixelLossRegressor, PixelLossRegressorCV
from skfairloss.fairness import ResidualParity, WorstGroupLoss
from skfairloss.onnx import register_converters
from tests.test_citizenship import draw


@pytest.fixture(autouse=True)
def converters():
    """Registered; tests are skipped where a package is absent."""
    for package in ("onnx", "onnxruntime", "skl2onnx"):
        pytest.importorskip(package)
    register_converters()


def graph_of(model, X):
    import onnx
    from skl2onnx import to_onnx

    graph = to_onnx(model, X[:1])
    onnx.checker.check_model(graph, full_check=True)
    return graph


def run_graph(graph, X):
    """What onnxruntime, on one thread, makes of X: an array (n, m)."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    (given,) = session.get_inputs()
    (values,) = session.run(["variable"], {given.name: X})
    return values


def assert_same_predictions(model, X, tol):
    """Within tol of the spread of the predictions."""
    expected = model.predict(X)
    found = run_graph(graph_of(model, X), X)
    assert found.shape == (len(X), 1 if expected.ndim == 1 else expected.shape[1])
    spread = expected.max() - expected.min()
    np.testing.assert_allclose(found, expected.reshape(found.shape), rtol=0, atol=tol * spread)
    return found


OUTPUTS = {
    "one": lambda X, y: y,
    "a column": lambda X, y: y[:, None],
    "three": lambda X, y: np.column_stack([y, 2 - y, X[:, 0] ** 2]),
}


@pytest.mark.parametrize("outputs", OUTPUTS.values(), ids=OUTPUTS)
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize(("shift", "unit"), [(0.0, 1.0), (1e4, 1e-3)])
def test_a_pipeline_in_double_precision_predicts_the_same(outputs, fit_intercept, shift, unit):
    X, y, groups = draw()
    X, Y = shift + unit * X, outputs(X, y)
    model = make_pipeline(
        StandardScaler(),
        PixelLossRegressor(0.4, fit_intercept=fit_intercept, fairness=WorstGroupLoss(0.5)),
    )
    model.fit(X, Y, pixellossregressor__sensitive_features=groups)
    fresh = shift + unit * draw(seed=1)[0]
    assert_same_predictions(model, fresh, 1e-10)


@pytest.mark.parametrize("clip", [(2.0, 9.0), (2, np.inf), (-np.inf, 9)])
@pytest.mark.parametrize("outputs", OUTPUTS.values(), ids=OUTPUTS)
def test_predictions_are_clipped(outputs, clip):
    X, y, groups = draw()
    model = make_pipeline(
        StandardScaler(), PixelLossRegressor(1.0, clip=clip, fairness=ResidualParity(0.1))
    )
    model.fit(X, outputs(X, y), pixellossregressor__sensitive_features=groups)
    found = assert_same_predictions(model, X, 1e-10)
    for bound, other in zip(clip, clip[::-1], strict=True):
        if np.isfinite(bound):
            assert 0 < (found == bound).sum() < found.size
            assert ((found - bound) * np.sign(other - bound) >= 0).all()


NUMBERS = {
    "float32": (lambda X: X.astype(np.float32), 1e-6),
    "integers": (lambda X: np.round(4 * X).astype(np.int64), 1e-6),
    "Booleans": (lambda X: X > 1, 1e-6),
}


@pytest.mark.parametrize(("form", "tol"), NUMBERS.values(), ids=NUMBERS)
@pytest.mark.parametrize("clip", [None, (2.25, 9.5)])
def test_other_numbers_predict_the_same_in_single_precision(form, tol, clip):
    X, y, _ = draw()
    model = PixelLossRegressor(clip=clip).fit(form(X), y)
    found = assert_same_predictions(model, form(X), tol)
    assert found.dtype == np.float32


def test_the_cv_class_and_a_search_are_converted():
    X, y, groups = draw()
    model = PixelLossRegressorCV(cv=3, clip=(2.0, 9.0)).fit(X, y, sensitive_features=groups)
    assert_same_predictions(model, X, 1e-10)
    pipeline = make_pipeline(StandardScaler(), PixelLossRegressor(clip=(2.0, 9.0)))
    search = GridSearchCV(pipeline, {"pixellossregressor__loss_mix": [0.0, 1.0]}, cv=3)
    assert_same_predictions(search.fit(X, y), X, 1e-10)


def test_a_second_registration_changes_nothing():
    X, y, _ = draw()
    model = PixelLossRegressor().fit(X, y)
    before = graph_of(model, X).SerializeToString()
    register_converters()
    assert graph_of(model, X).SerializeToString() == before


def test_a_model_without_a_fit_is_refused():
    with pytest.raises(NotFittedError, match="PixelLossRegressor"):
        graph_of(PixelLossRegressor(), draw()[0])


def test_without_skl2onnx_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(ImportError, match=r"needs skl2onnx: pip install 'skfairloss\[onnx\]'"):
        register_converters()
