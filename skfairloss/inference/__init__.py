"""Coefficients of fitted models: how sure they are."""

from __future__ import annotations

from skfairloss.inference._coefficient_report import CoefficientReport, coefficient_report

__all__ = ["CoefficientReport", "coefficient_report"]
