"""Choosing a model: paths, cross-validation, rules for a choice, paired comparison."""

from __future__ import annotations

from skfairloss.model_selection._compare_loss_mixes import compare_loss_mixes
from skfairloss.model_selection._compare_models import compare_models
from skfairloss.model_selection._comparison import ModelComparison
from skfairloss.model_selection._cv import PixelLossRegressorCV
from skfairloss.model_selection._path import LossMixPath, loss_mix_path
from skfairloss.model_selection._rules import best_within_disparity, pareto_front

__all__ = [
    "LossMixPath",
    "ModelComparison",
    "PixelLossRegressorCV",
    "best_within_disparity",
    "compare_loss_mixes",
    "compare_models",
    "loss_mix_path",
    "pareto_front",
]
