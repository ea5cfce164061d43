"""Choosing a mix: paths, cross-validation, rules for a choice, paired comparison."""

from __future__ import annotations

from skfairloss.model_selection._compare import compare_loss_mixes
from skfairloss.model_selection._comparison import LossMixComparison
from skfairloss.model_selection._cv import PixelLossRegressorCV
from skfairloss.model_selection._path import LossMixPath, loss_mix_path
from skfairloss.model_selection._rules import best_within_disparity, pareto_front

__all__ = [
    "LossMixComparison",
    "LossMixPath",
    "PixelLossRegressorCV",
    "best_within_disparity",
    "compare_loss_mixes",
    "loss_mix_path",
    "pareto_front",
]
