"""`Measure`: a metric of a comparison."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skfairloss._typing import Array
from skfairloss.metrics._aggregates import mean
from skfairloss.metrics._named import NamedMetric
from skfairloss.model_selection._statistics import Linearised, Rows, linearise


@dataclass(frozen=True)
class Measure:
    """A metric of a comparison: named, or a function that returns a value for each row."""

    metric: Any

    @property
    def aggregate(self) -> Any:
        """The number that the values of the rows become."""
        return self.metric.aggregate if isinstance(self.metric, NamedMetric) else mean

    def values(self, true: Array, predicted: Array) -> Array:
        """Compute the values of the rows, (n,), and check them."""
        named = isinstance(self.metric, NamedMetric)
        function = self.metric.rows if named else self.metric
        values = np.asarray(function(true, predicted), dtype=np.float64)
        if values.shape != (len(true),) or not np.isfinite(values).all():
            raise ValueError(
                f"metric must return a finite loss for each of {len(true)} rows, got shape "
                f"{values.shape}"
            )
        return values

    def linearise(self, rows: Rows, predicted: Array) -> Linearised:
        """Return the metric of predictions to first order."""
        return linearise(self.aggregate, rows, self.values(rows.y, predicted))

    def check_defined(self, true: Array) -> None:
        """Raise ValueError where a named metric is not defined for true values."""
        if isinstance(self.metric, NamedMetric):
            self.metric.rows(true, true)
