"""scikit-learn's own tests of linear models, run on `PixelLossRegressor` in their place.

A plugin of pytest: ``-p tests.sklearn_suite`` puts adapters in the place of four classes before
scikit-learn's test modules import them, and writes what became of each test that fitted one to the
file that ``SUITE_OUTCOMES`` names. `test_sklearn_suite` runs it and holds the list of excuses.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import sklearn.linear_model
from sklearn.utils.validation import _check_sample_weight

from skfairloss import PixelLossRegressor

fitted: set[str] = set()  # tests that fitted an adapter


class Adapted:
    """The fit of a class of scikit-learn, by `PixelLossRegressor`; all else is the class's own."""

    loss_mix = 0.0

    def fit(self, X: Any, y: Any, sample_weight: Any = None, check_input: bool = True) -> Any:
        self._validate_params()
        if getattr(self, "positive", False):  # another problem
            given = {} if sample_weight is None else {"sample_weight": sample_weight}
            return super().fit(X, y, **given)
        fitted.add(os.environ["PYTEST_CURRENT_TEST"].rsplit(" ", 1)[0])
        self._fit_outputs(X, y, sample_weight)
        return self

    def _fit_outputs(self, X: Any, y: Any, sample_weight: Any) -> None:
        """Fit all outputs, which have one alpha."""
        self._take(self._model(X, y, sample_weight, **self._penalty(self.alpha, X, sample_weight)))

    def _model(self, X: Any, y: Any, sample_weight: Any, **params: Any) -> PixelLossRegressor:
        """Return the fit of the package, started from the last one where that is asked for."""
        warm = getattr(self, "warm_start", False)
        last = getattr(self, "_last", None) if warm else None
        model = last or PixelLossRegressor(self.loss_mix, scale=1.0, warm_start=warm)
        model.set_params(**params, fit_intercept=self.fit_intercept)
        self._last = model.fit(X, y, sample_weight=sample_weight)
        return self._last

    def _take(self, model: PixelLossRegressor) -> None:
        """Take over the fitted attributes."""
        self.coef_, self.intercept_ = model.coef_, model.intercept_
        self.n_iter_, self.n_features_in_ = model.n_iter_, model.n_features_in_
        self.dual_gap_ = model.dual_gap_ / 2  # half the squares are what the classes minimise
        if hasattr(model, "feature_names_in_"):
            self.feature_names_in_ = model.feature_names_in_


class Ridge(Adapted, sklearn.linear_model.Ridge):
    def _penalty(self, alpha: Any, X: Any, sample_weight: Any) -> dict[str, Any]:
        total = _check_sample_weight(sample_weight, X, dtype=float).sum()
        return {"alpha": 2 * float(alpha) / total}

    def _fit_outputs(self, X: Any, y: Any, sample_weight: Any) -> None:
        self.solver_ = self.solver
        if np.ndim(self.alpha) == 0:
            return super()._fit_outputs(X, y, sample_weight)
        parts = [
            self._model(X, column, sample_weight, **self._penalty(alpha, X, sample_weight))
            for alpha, column in zip(self.alpha, np.asarray(y).T, strict=True)
        ]
        self._take(parts[0])
        self.coef_ = np.array([part.coef_ for part in parts])
        self.intercept_ = np.array([part.intercept_ for part in parts])
        return None


class ElasticNet(Adapted, sklearn.linear_model.ElasticNet):
    def _penalty(self, alpha: Any, X: Any, sample_weight: Any) -> dict[str, Any]:
        return {"alpha": 2 * float(alpha), "l1_ratio": float(self.l1_ratio)}

    def _take(self, model: PixelLossRegressor) -> None:
        super()._take(model)
        if model.coef_.ndim == 2 and len(model.coef_) == 1:  # y of one column
            self.coef_ = model.coef_[0]


class Lasso(ElasticNet, sklearn.linear_model.Lasso):
    pass


class QuantileRegressor(Adapted, sklearn.linear_model.QuantileRegressor):
    loss_mix = 1.0

    def _penalty(self, alpha: Any, X: Any, sample_weight: Any) -> dict[str, Any]:
        return {"alpha": 2 * float(alpha), "l1_ratio": 1.0, "quantile": float(self.quantile)}


def pytest_configure(config: Any) -> None:
    """Put the adapters in place; modules of tests are imported later."""
    for adapter in (Ridge, ElasticNet, Lasso, QuantileRegressor):
        setattr(sklearn.linear_model, adapter.__name__, adapter)


class Outcomes:
    """What became of each test: "passed", or where it failed."""

    def __init__(self) -> None:
        self.of: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call" and report.nodeid in fitted:
            crash = getattr(report.longrepr, "reprcrash", None)
            failed = f"failed: {crash.message}" if crash else "failed"
            self.of[report.nodeid.rsplit("/", 1)[-1]] = failed if report.failed else report.outcome

    def pytest_sessionfinish(self) -> None:
        Path(os.environ["SUITE_OUTCOMES"]).write_text(json.dumps(self.of), encoding="utf-8")


def pytest_sessionstart(session: Any) -> None:
    """Listen to the reports."""
    session.config.pluginmanager.register(Outcomes())
