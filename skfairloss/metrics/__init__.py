"""Losses and accuracy, overall and by group."""

from __future__ import annotations

from skfairloss.metrics._frame import group_metric_frame
from skfairloss.metrics._pixel_loss import pixel_loss
from skfairloss.metrics._scorer import make_group_scorer

__all__ = ["group_metric_frame", "make_group_scorer", "pixel_loss"]
