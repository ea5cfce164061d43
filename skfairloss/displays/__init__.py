"""Plots of metrics by group, of the mixes of a loss, and of images, drawn with matplotlib."""

from __future__ import annotations

from skfairloss.displays._calibration import GroupCalibrationDisplay
from skfairloss.displays._coefficient_path import CoefficientPathDisplay
from skfairloss.displays._coefficients import CoefficientDisplay
from skfairloss.displays._group_loss import GroupLossDisplay
from skfairloss.displays._loss_mix import LossMixDisplay
from skfairloss.displays._model_comparison import ModelComparisonDisplay
from skfairloss.displays._pixel_group import PixelGroupDisplay
from skfairloss.displays._predictions import GroupPredictionDisplay
from skfairloss.displays._residuals import GroupResidualDisplay
from skfairloss.displays._tradeoff import TradeoffDisplay

__all__ = [
    "CoefficientDisplay",
    "CoefficientPathDisplay",
    "GroupCalibrationDisplay",
    "GroupLossDisplay",
    "GroupPredictionDisplay",
    "GroupResidualDisplay",
    "LossMixDisplay",
    "ModelComparisonDisplay",
    "PixelGroupDisplay",
    "TradeoffDisplay",
]
