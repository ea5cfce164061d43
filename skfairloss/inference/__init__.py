"""Coefficients of fitted models: how sure they are."""

from __future__ import annotations

from skfairloss.inference._coefficient_report import coefficient_report
from skfairloss.inference._report import CoefficientReport

__all__ = ["CoefficientReport", "coefficient_report"]
