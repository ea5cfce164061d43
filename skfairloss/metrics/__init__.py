"""Losses and accuracy, overall and by group."""

from __future__ import annotations

from ._frame import group_metric_frame
from ._pixel_loss import pixel_loss
from ._scorer import make_group_scorer

__all__ = ["group_metric_frame", "make_group_scorer", "pixel_loss"]
