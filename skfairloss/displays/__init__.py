"""Plots of metrics by group, of the mixes of a loss, and of images, drawn with matplotlib."""

from __future__ import annotations

from ._group_loss import GroupLossDisplay
from ._loss_mix import LossMixDisplay
from ._pixel_group import PixelGroupDisplay
from ._tradeoff import TradeoffDisplay

__all__ = ["GroupLossDisplay", "LossMixDisplay", "PixelGroupDisplay", "TradeoffDisplay"]
