"""Fairness-aware linear regression with L1, L2 and mixed losses for scikit-learn."""

from __future__ import annotations

from skfairloss._regressor import PixelLossRegressor
from skfairloss.report import group_report

__version__ = "0.1.0"

__all__ = ["PixelLossRegressor", "__version__", "group_report"]
