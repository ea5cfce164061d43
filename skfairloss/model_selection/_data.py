"""The arguments of a fit, cut into folds alike."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples

from skfairloss._inputs.groups import encode_groups


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
        """Return some of the rows."""
        return FitData(*(None if a is None else _safe_indexing(a, index) for a in self.arguments))

    def cuttable(self) -> FitData:
        """Return the same with groups that can be cut: as given, or an array of them, by row."""
        features = self.sensitive_features
        framed = hasattr(features, "iloc") or hasattr(features, "columns")
        if framed or features is None or isinstance(features, list | np.ndarray):
            return self
        groups = encode_groups(features, _num_samples(self.y))
        return replace(self, sensitive_features=groups.names[groups.codes])
