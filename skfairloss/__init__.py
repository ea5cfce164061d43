"""Fairness-aware linear regression with L1, L2 and mixed losses for scikit-learn."""

from __future__ import annotations

from skfairloss._estimator.regressor import PixelLossRegressor
from skfairloss._version import __version__
from skfairloss.model_selection import PixelLossRegressorCV, compare_loss_mixes
from skfairloss.report import group_report

__all__ = [
    "PixelLossRegressor",
    "PixelLossRegressorCV",
    "__version__",
    "compare_loss_mixes",
    "group_report",
]
