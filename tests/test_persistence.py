"""What is saved: the version stamp, and files of skops."""

from __future__ import annotations

import copy
import io
import pickle
import re

import cloudpickle
import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

import skfairloss
from skfairloss import PixelLossRegressor, PixelLossRegressorCV
from skfairloss._estimator import persistence as _persistence
from skfairloss.fairness import (
    BoundedGroupLoss,
    EqualizedLoss,
    PredictionParity,
    ResidualParity,
    WorstGroupLoss,
)
from skfairloss.metrics import make_group_scorer
from skfairloss.model_selection import best_within_disparity
from tests.test_citizenship import draw, fitted_state
from tests.test_examples import ROOT

DOCS = ROOT / "docs"
REGRESSOR = "skfairloss._estimator.regressor.PixelLossRegressor"
CV = "skfairloss.model_selection._cv.PixelLossRegressorCV"
ESTIMATORS = {"regressor": PixelLossRegressor, "CV": PixelLossRegressorCV}


def with_joblib(model):
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return joblib.load(file)


def with_skops(model):
    sio = pytest.importorskip("skops.io")
    data = sio.dumps(model)
    return sio.loads(data, trusted=sio.get_untrusted_types(data=data))


ROUND_TRIPS = {
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "pickle 2": lambda model: pickle.loads(pickle.dumps(model, protocol=2)),
    "joblib": with_joblib,
    "cloudpickle": lambda model: cloudpickle.loads(cloudpickle.dumps(model)),
    "skops": with_skops,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


def assert_equal(one, other, name=""):
    """Equal in values and types, down to what dicts hold."""
    assert type(one) is type(other), name
    if isinstance(one, dict):
        assert list(one) == list(other), name
        for key, value in one.items():
            assert_equal(value, other[key], f"{name}[{key!r}]")
    else:
        np.testing.assert_array_equal(one, other, err_msg=name)


# --------------------------------------------------------------------------------------------------
# The stamp
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)
def test_the_stamp_is_in_the_state_and_nowhere_else(estimator):
    X, y, groups = draw()
    for model in (estimator(), estimator().fit(X, y, sensitive_features=groups)):
        before = model.get_params()
        assert model.__getstate__()["_skfairloss_version"] == skfairloss.__version__
        for other in (pickle.loads(pickle.dumps(model)), clone(model), model):
            assert "_skfairloss_version" not in vars(other)
            assert str(other.get_params()) == str(before)


@pytest.mark.parametrize("round_trip", ROUND_TRIPS.values(), ids=ROUND_TRIPS)
@pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)
def test_under_the_same_version_nothing_warns_and_nothing_changes(estimator, round_trip):
    X, y, groups = draw()
    model = estimator(scale="auto", clip=(0.0, 9.0)).fit(X, y, sensitive_features=groups)
    twin = round_trip(model)
    assert vars(twin).keys() == vars(model).keys()
    for name in ("coef_", "intercept_", "groups_", "group_losses_", "dual_gap_", "n_iter_"):
        assert_equal(getattr(twin, name), getattr(model, name), name)
    np.testing.assert_array_equal(twin.predict(X), model.predict(X))


@pytest.mark.parametrize("round_trip", ROUND_TRIPS.values(), ids=ROUND_TRIPS)
@pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)
def test_loading_what_another_version_saved_warns_with_both(monkeypatch, estimator, round_trip):
    X, y, groups = draw()
    model = estimator().fit(X, y, sensitive_features=groups)
    state = model.__getstate__()
    monkeypatch.setattr(type(model), "__getstate__", lambda _: state)  # as that version would
    state["_skfairloss_version"] = "0.0.9"
    with pytest.warns(InconsistentVersionWarning) as caught:
        twin = round_trip(model)
    (warning,) = [record.message for record in caught]
    assert str(warning).startswith(
        f"{estimator.__name__} was saved under skfairloss 0.0.9 and is loaded under skfairloss "
        f"{skfairloss.__version__}:"
    )
    assert warning.original_skfairloss_version == "0.0.9"
    assert warning.current_skfairloss_version == skfairloss.__version__
    assert warning.original_sklearn_version is warning.current_sklearn_version is None
    np.testing.assert_array_equal(twin.coef_, model.coef_)
    monkeypatch.undo()
    assert twin.__getstate__()["_skfairloss_version"] == skfairloss.__version__


def test_the_page_shows_the_warning(monkeypatch):
    page = (DOCS / "persistence.md").read_text("utf-8")
    (shown,) = re.findall(r"^```none\n(.*?)\n```$", page, re.M | re.S)
    monkeypatch.setattr(_persistence, "__version__", "0.1.0")
    saved = pickle.dumps(PixelLossRegressor())
    monkeypatch.setattr(_persistence, "__version__", "0.2.0")
    with pytest.warns(InconsistentVersionWarning) as caught:
        pickle.loads(saved)
    assert shown == f"{caught[0].category.__name__}: {caught[0].message}"


def test_a_pipeline_and_a_search_warn_once_for_each_regressor_in_them(monkeypatch):
    X, y, _ = draw()
    pipeline = make_pipeline(StandardScaler(), PixelLossRegressor())
    search = GridSearchCV(pipeline, {"pixellossregressor__loss_mix": [0.0, 1.0]}, cv=2)
    saved = pickle.dumps((pipeline, search.fit(X, y)))
    monkeypatch.setattr(_persistence, "__version__", "99.0")
    with pytest.warns(InconsistentVersionWarning, match=r"is loaded under skfairloss 99\.0") as got:
        _, again = pickle.loads(saved)
    # the pipeline, which the search holds too, and best_estimator_
    assert [type(record.message).__name__ for record in got] == [
        "InconsistentSkfairlossVersionWarning"
    ] * 2
    np.testing.assert_array_equal(again.predict(X), search.predict(X))


def test_a_state_without_a_stamp_is_of_an_unknown_version_and_is_left_as_it_was():
    X, y, _ = draw()
    state = vars(PixelLossRegressor().fit(X, y)).copy()
    model = PixelLossRegressor()
    with pytest.warns(InconsistentVersionWarning, match="saved under skfairloss unknown"):
        model.__setstate__(state)
    stamped = {**state, "_skfairloss_version": skfairloss.__version__}
    before = stamped.copy()
    model.__setstate__(stamped)
    assert stamped == before


def test_a_class_derived_elsewhere_is_stamped_too():
    class Derived(PixelLossRegressor):
        pass

    assert Derived().__getstate__()["_skfairloss_version"] == skfairloss.__version__


# --------------------------------------------------------------------------------------------------
# Files of skops
# --------------------------------------------------------------------------------------------------

TERMS = {
    "none": (None, set()),
    "worst": (WorstGroupLoss(0.8), {"WorstGroupLoss"}),
    "bound": (BoundedGroupLoss(20.0), {"BoundedGroupLoss"}),
    "named bound": (BoundedGroupLoss({"b": 20.0}), {"BoundedGroupLoss"}),
    "equalized": (EqualizedLoss(1.0), {"EqualizedLoss"}),
    "predictions": (PredictionParity(4.0), {"PredictionParity"}),
    "residuals": (ResidualParity(0.1), {"ResidualParity"}),
    "several": (
        [WorstGroupLoss(0.5), BoundedGroupLoss(20.0), ResidualParity(0.2)],
        {"WorstGroupLoss", "BoundedGroupLoss", "ResidualParity"},
    ),
}


@pytest.mark.parametrize(("fairness", "classes"), TERMS.values(), ids=TERMS)
def test_skops_asks_for_the_regressor_and_its_terms_and_brings_a_pipeline_back(
    fairness, classes, tmp_path
):
    sio = pytest.importorskip("skops.io")
    exceptions = pytest.importorskip("skops.io.exceptions")
    X, y, groups = draw()
    X = pd.DataFrame(X, columns=list("uvw"))
    model = make_pipeline(StandardScaler(), PixelLossRegressor(fairness=fairness, clip=(0.0, 9.0)))
    model.fit(X, y, pixellossregressor__sensitive_features=groups)
    path = tmp_path / "model.skops"
    sio.dump(model, path)
    trusted = {REGRESSOR} | {f"skfairloss.fairness.{name}" for name in classes}
    assert set(sio.get_untrusted_types(file=path)) == trusted
    with pytest.raises(exceptions.UntrustedTypesFoundException):
        sio.load(path)
    again = sio.load(path, trusted=sorted(trusted))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert str(again.get_params()) == str(model.get_params())
    assert_equal(fitted_state(again[-1]), fitted_state(model[-1]))
    again.fit(X, y, pixellossregressor__sensitive_features=groups)
    assert_equal(fitted_state(again[-1]), fitted_state(model[-1]))


GROUPS = {
    "integers": lambda groups: (groups == "b").astype(int),
    "objects": lambda groups: groups.astype(object),
    "category": lambda groups: pd.Series(groups, dtype="category"),
    "dates": lambda groups: pd.to_datetime(np.where(groups == "a", "2024-01-01", "2025-01-01")),
    "two columns": lambda groups: pd.DataFrame({"tone": groups, "half": np.arange(80) // 40}),
}


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("form", GROUPS.values(), ids=GROUPS)
def test_skops_brings_groups_of_any_type_back(form, outputs):
    X, y, groups = draw()
    Y = np.column_stack([y, -y, X[:, 0] ** 2])[:, :outputs]
    model = PixelLossRegressor(fairness=WorstGroupLoss())
    model.fit(X, Y, sensitive_features=form(groups))
    assert_equal(fitted_state(with_skops(model)), fitted_state(model))


def test_skops_brings_the_cv_class_back_with_its_results_rule_and_scorers():
    sio = pytest.importorskip("skops.io")
    X, y, groups = draw()
    with config_context(enable_metadata_routing=True):
        model = PixelLossRegressorCV(
            scoring={"mae": "neg_mean_absolute_error", "gap": make_group_scorer()},
            refit=best_within_disparity("mae", "gap", 9.0),
            cv=3,
            error_score="raise",
        ).fit(X, y, sensitive_features=groups)
        data = sio.dumps(model)
        ours = [name for name in sio.get_untrusted_types(data=data) if "skfairloss" in name]
        assert set(ours) == {
            REGRESSOR,
            CV,
            "skfairloss.metrics._scorer.GroupScorer",
            "skfairloss.model_selection._rules.WithinDisparity",
        }
        again = sio.loads(data, trusted=sio.get_untrusted_types(data=data))
        np.testing.assert_array_equal(again.predict(X), model.predict(X))
        assert_equal(again.cv_results_, model.cv_results_)
        times = "fit_time", "score_time"
        again.fit(X, y, sensitive_features=groups)
    for name, value in model.cv_results_.items():
        if not name.endswith(times):
            assert_equal(again.cv_results_[name], value, name)


def test_skops_refuses_bounds_by_several_columns_which_pickle_keeps():
    sio = pytest.importorskip("skops.io")
    model = PixelLossRegressor(fairness=BoundedGroupLoss({("a", 0): 1.0}))
    with pytest.raises(TypeError, match="keys must be"):
        sio.dumps(model)
    assert pickle.loads(pickle.dumps(model)).fairness.upper_bound == {("a", 0): 1.0}


@pytest.mark.skipif(
    parse_version(sklearn.__version__) >= parse_version("1.9"),
    reason="skops cannot save the requests of scikit-learn 1.9",
)
def test_skops_keeps_requests():
    with config_context(enable_metadata_routing=True):
        model = PixelLossRegressor().set_fit_request(sensitive_features="tone")
        requests = with_skops(model).get_metadata_routing().fit.requests
    assert requests == {"sample_weight": None, "sensitive_features": "tone"}
