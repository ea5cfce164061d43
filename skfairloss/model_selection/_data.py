"""The arguments of a fit, cut into folds alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sklearn.utils import _safe_indexing


@dataclass(frozen=True)
class FitData:
    """X, y, sample_weight and sensitive_features, in the form in which they were given."""

    X: Any
    y: Any
    sample_weight: Any = None
    sensitive_features: Any = None

    @property
    def arguments(self) -> tuple[Any, Any, Any, Any]:
        """In the order of fit."""
        return self.X, self.y, self.sample_weight, self.sensitive_features

    def rows(self, index: Any) -> FitData:
        """Some of the rows."""
        return FitData(*(None if a is None else _safe_indexing(a, index) for a in self.arguments))
