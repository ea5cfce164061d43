"""The named metrics: one table that reports, scorers, displays and comparisons read.

A named metric is an aggregate of one value for each row. Two families have a number in their name,
after an @: "pinball@0.9" and "share_above@10".
"""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from fairlearn.metrics import count
from sklearn.metrics import mean_absolute_error, mean_squared_error

from skfairloss._typing import Array
from skfairloss.metrics._aggregates import absolute_mean, explained, mean, median, number, root_mean
from skfairloss.metrics._row_metrics import Metric, metric_name
from skfairloss.metrics._row_values import (
    Above,
    Pinball,
    absolute,
    excess,
    one,
    prediction,
    relative,
    residual,
    squared,
)

Best = Literal["smaller", "greater", "zero", "none"]
Metrics = str | Metric | list["str | Metric"] | Mapping[str, "str | Metric"]


@dataclass(frozen=True)
class NamedMetric:
    """A metric ``metric(y_true, y_pred, sample_weight=None)`` and how it is to be read.

    Parameters
    ----------
    name : as users write it.
    title : on axes and above columns, where a bracket is left out.
    words : in sentences.
    power : of the unit of y: 1 for units of y, 2 for squared ones, 0 for none.
    best : which values are better; "zero" where a metric has a sign, "none" if no value is.
    rows : value of each row, (n,).
    aggregate : their number.
    """

    name: str
    title: str
    words: str
    power: int
    best: Best
    rows: Callable[[Array, Array], Array]
    aggregate: Callable[[Array, Array, Array | None], float]

    def __call__(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
        """Evaluate on rows with outputs."""
        return self.aggregate(self.rows(y_true, y_pred), y_true, sample_weight)

    @property
    def __name__(self) -> str:
        """The name, as functions have one."""
        return self.name

    @property
    def has_ratio(self) -> bool:
        """True if a ratio of two groups compares them.

        It does not where 0 is best. R² may be negative, and each group's is relative to its own
        spread of y.
        """
        return self.best in ("smaller", "none")

    @property
    def is_error(self) -> bool:
        """True if the metric is >= 0 and better if smaller."""
        return self.best == "smaller"

    @property
    def is_mean_error(self) -> bool:
        """True if the metric is an error and the mean of those of the rows."""
        return self.is_error and self.aggregate is mean

    def magnitude(self) -> NamedMetric:
        """Return the metric, or its absolute value where 0 is best."""
        if self.best != "zero":
            return self
        return dataclasses.replace(self, aggregate=absolute_mean)


def _pinball(name: str, quantile: float) -> NamedMetric:
    """Return the metric for the pinball loss of a quantile."""
    title = f"pinball loss at {quantile:g}"
    return NamedMetric(name, title, title, 1, "smaller", Pinball(quantile), mean)


def _share_above(name: str, threshold: float) -> NamedMetric:
    """Return the metric for the share of residuals beyond a threshold."""
    title = f"share of |residual| > {threshold:g}"
    words = f"share of absolute errors above {threshold:g}"
    return NamedMetric(name, title, words, 0, "smaller", Above(threshold), mean)


@dataclass(frozen=True)
class _Family:
    """Named metrics that differ by a number.

    Parameters
    ----------
    number : what it is called, and where it lies.
    contains : whether a number is one of these.
    example : one of them.
    make : the metric of a name and its number.
    """

    number: str
    contains: Callable[[float], bool]
    example: NamedMetric
    make: Callable[[str, float], NamedMetric]


TABLE: dict[str, NamedMetric] = {
    metric.name: metric
    for metric in (
        NamedMetric("count", "rows", "number of rows", 0, "none", one, number),
        NamedMetric("mae", "MAE", "mean absolute error", 1, "smaller", absolute, mean),
        NamedMetric("mse", "MSE", "mean squared error", 2, "smaller", squared, mean),
        NamedMetric("rmse", "RMSE", "root mean squared error", 1, "smaller", squared, root_mean),
        NamedMetric(
            "mean_residual",
            "mean residual (true - predicted)",
            "mean residual",
            1,
            "zero",
            residual,
            mean,
        ),
        NamedMetric(
            "mean_prediction", "mean prediction", "mean prediction", 1, "none", prediction, mean
        ),
        NamedMetric("r2", "R²", "R²", 0, "greater", squared, explained),
        NamedMetric("bias", "bias (predicted - true)", "bias", 1, "zero", excess, mean),
        NamedMetric(
            "medae",
            "median absolute error",
            "median absolute error",
            1,
            "smaller",
            absolute,
            median,
        ),
        NamedMetric(
            "mape",
            "MAPE (as a fraction)",
            "mean absolute percentage error",
            0,
            "smaller",
            relative,
            mean,
        ),
    )
}
FAMILIES = {
    "pinball": _Family(
        "quantile in (0, 1)", lambda x: 0 < x < 1, _pinball("pinball@0.9", 0.9), _pinball
    ),
    "share_above": _Family(
        "threshold >= 0, in units of y",
        lambda x: 0 <= x < math.inf,
        _share_above("share_above@10", 10.0),
        _share_above,
    ),
}
DEFAULT_METRICS: dict[str, NamedMetric] = {
    name: TABLE[name]
    for name in ("count", "mae", "mse", "rmse", "mean_residual", "mean_prediction", "r2")
}
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
# functions of other packages that are named metrics, for whose bootstrap there is a short way
_SAME: tuple[tuple[Metric, str], ...] = (
    (count, "count"),
    (mean_absolute_error, "mae"),
    (mean_squared_error, "mse"),
)


def find(name: str) -> NamedMetric | None:
    """Return the metric of a name. None if there is none."""
    prefix, _, text = name.partition("@")
    family = FAMILIES.get(prefix)
    if family is None:
        return TABLE.get(name)
    try:
        value = float(text)
    except ValueError:
        return None
    return family.make(name, value) if family.contains(value) else None


def metric_title(name: str) -> str:
    """Return what axes call a metric: the title of a named one, else the name itself."""
    metric = find(name) if isinstance(name, str) else None  # columns of tables may be numbers
    return name if metric is None else metric.title


def known_names(accept: Callable[[NamedMetric], bool]) -> list[str]:
    """Return the names of the metrics accepted, with one example of each family."""
    examples = (family.example for family in FAMILIES.values())
    return [metric.name for metric in (*TABLE.values(), *examples) if accept(metric)]


def is_measure(metric: NamedMetric) -> bool:
    """Tell whether a metric depends on values, not on the number of rows alone."""
    return metric is not TABLE["count"]


def as_metric(
    metric: Any,
    argument: str = "metric",
    accept: Callable[[NamedMetric], bool] = is_measure,
    condition: str = "",
) -> Metric:
    """Return the metric of a name, or a callable, checked.

    ``accept`` says which names may be used, ``condition`` in words what a callable must be.
    """
    if isinstance(metric, str):
        return as_named(metric, argument, accept, condition)
    if not callable(metric):
        raise TypeError(_expected(argument, accept, condition, metric))
    check_signature(metric, argument)
    same = (TABLE[name] for function, name in _SAME if function is metric)
    return next((named for named in same if accept(named)), metric)


def as_named(
    name: str,
    argument: str = "metric",
    accept: Callable[[NamedMetric], bool] = is_measure,
    condition: str = "",
) -> NamedMetric:
    """Return the metric of a name, if it is accepted."""
    found = find(name)
    if found is not None and accept(found):
        return found
    family = FAMILIES.get(name.partition("@")[0])
    if found is None and family is not None and accept(family.example):
        raise ValueError(
            f"{argument}={name!r} must have its {family.number}, after an @, as in "
            f"{family.example.name!r}"
        )
    raise ValueError(_expected(argument, accept, condition, name))


def _expected(
    argument: str, accept: Callable[[NamedMetric], bool], condition: str, got: Any
) -> str:
    """Return the message of what is no metric."""
    return f"{argument} must be one of {known_names(accept)} or a callable{condition}, got {got!r}"


def _is_any(metric: NamedMetric) -> bool:  # noqa: ARG001
    """Accept all names."""
    return True


def label_metrics(
    metrics: Any, accept: Callable[[NamedMetric], bool] = _is_any, condition: str = ""
) -> dict[str, Metric]:
    """Label metrics, given as a name, a callable, or a list or dict of these, by column.

    ``accept`` and ``condition`` are as in `as_metric`.
    """
    if isinstance(metrics, str) or callable(metrics):
        metrics = [metrics]
    if not isinstance(metrics, Mapping | list | tuple):
        raise TypeError(
            "metrics must be the name of a metric, a callable, or a list or a dict of these, got "
            f"{metrics!r}"
        )
    if not metrics:
        raise ValueError(
            f"metrics must hold at least one metric, got an empty {type(metrics).__name__}"
        )
    if isinstance(metrics, Mapping):
        return {n: as_metric(m, f"metrics[{n!r}]", accept, condition) for n, m in metrics.items()}
    labels = [_label(metric) for metric in metrics]
    twice = [label for i, label in enumerate(labels) if label in labels[:i]]
    if twice:
        raise ValueError(f"metrics has several called {twice[0]!r}: pass a dict with labels")
    named = (as_metric(metric, "metrics", accept, condition) for metric in metrics)
    return dict(zip(labels, named, strict=True))


def label_metric(metric: Any) -> dict[str, Metric]:
    """Label one metric, a name or a callable; refuse the number of rows."""
    return {_label(metric): as_metric(metric)}


def _label(metric: Any) -> str:
    """Return the label of a metric that was given none."""
    return metric if isinstance(metric, str) else metric_name(metric)


def check_signature(metric: Any, argument: str) -> None:
    """Raise TypeError for a callable that cannot be called as ``metric(y_true, y_pred)``."""
    try:
        if inspect.isbuiltin(metric) or isinstance(metric, np.ufunc):
            raise ValueError("it is written in C, for other arguments")
        parameters = inspect.signature(metric).parameters
        weight = {"sample_weight": None} if "sample_weight" in parameters else {}
        inspect.signature(metric).bind(None, None, **weight)
        second = next((p for p in [*parameters.values()][1:2] if p.kind in _POSITIONAL), None)
        if second is not None and second.default is not second.empty:
            raise TypeError(f"its second argument, {second.name}, is optional")
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{argument} must be callable as metric(y_true, y_pred), got {metric!r}: {error}"
        ) from error
