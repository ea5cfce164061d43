"""Reports by group: any model's predictions, with intervals."""

from __future__ import annotations

from skfairloss.report._group_report import GroupReport, group_report

__all__ = ["GroupReport", "group_report"]
