"""Fairness-aware linear regression with L1, L2 and mixed losses for scikit-learn."""

from __future__ import annotations

from skfairloss._estimator.regressor import PixelLossRegressor
from skfairloss._version import __version__
from skfairloss.inference import coefficient_report
from skfairloss.model_selection import (
    PixelLossRegressorCV,
    compare_loss_mixes,
    compare_models,
)
from skfairloss.report import group_report

__all__ = [
    "PixelLossRegressor",
    "PixelLossRegressorCV",
    "__version__",
    "coefficient_report",
    "compare_loss_mixes",
    "compare_models",
    "group_report",
]
