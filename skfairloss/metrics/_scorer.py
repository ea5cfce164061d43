"""Scorers that compare groups, for model selection with scikit-learn."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from fairlearn.metrics import make_derived_metric
from numpy.typing import ArrayLike
from sklearn import get_config
from sklearn.utils.metadata_routing import MetadataRequest

from skfairloss._inputs.columns import named_columns, take_columns
from skfairloss._inputs.groups import check_index, encode_groups
from skfairloss._inputs.validation import check_numbers, check_weights
from skfairloss.metrics._inputs import check_targets
from skfairloss.metrics._named import NamedMetric, as_metric, as_named
from skfairloss.metrics._row_metrics import (
    Metric,
    RowMetric,
    accepts_sample_weight,
    metric_name,
    split_rows,
)

AGGREGATES = ("difference", "ratio", "group_max", "group_min")
METHODS = ("between_groups", "to_overall")


def make_group_scorer(
    metric: str | Metric = "mae",
    aggregate: str = "difference",
    *,
    sensitive_features: str | Sequence[str] | None = None,
    groups: Sequence[Any] | None = None,
    greater_is_better: bool | None = None,
    method: str = "between_groups",
) -> GroupScorer:
    """Make a scorer that compares a metric between groups, for ``GridSearchCV`` and other searches.

    The score is the aggregate of the same name in fairlearn's MetricFrame, with the sign that
    makes greater scores better:

    - difference: negated, 0 is parity;
    - ratio: as it is, 1 is parity;
    - group_max, group_min: as they are for "r2" and callables with ``greater_is_better=True``,
      negated otherwise.

    The groups of the rows scored come from metadata routing or from columns of X. With routing
    (``sklearn.set_config(enable_metadata_routing=True)``) the scorer already requests
    ``sensitive_features``, which are then passed to ``GridSearchCV.fit``. With column names the
    scorer reads the X it is given, with or without routing. A scorer without column names can
    be made before routing is switched on.

    Parameters
    ----------
    metric : str or callable, default="mae"
        Metric of each group: one that `group_metric_frame` names, except
        "count". "mean_residual" and "bias" take the absolute value of each group's mean
        residual, so that groups with means of -0.1 and 0.1 do not differ. A callable
        ``metric(y_true, y_pred)`` is given the rows of a group as float64 arrays, of shape
        (n_rows,) or (n_rows, n_outputs), and the weights if it has an argument
        ``sample_weight``.

    aggregate : {"difference", "ratio", "group_max", "group_min"}, default="difference"
        Aggregate of the groups' values.

    sensitive_features : str or sequence of str, default=None
        Name or names of the columns of X, a pandas or polars DataFrame, that define the groups;
        ``None`` takes them from metadata routing. The scorer reads X as it was passed to the
        search, before any step of a pipeline.

    groups : sequence, default=None
        Groups that must all be among the rows scored, a tuple for each group of several columns.
        Groups that are not listed count as well. ``None`` demands at least two groups.

    greater_is_better : bool, default=None
        True if greater values of a callable metric are better. It must be given with a
        callable, and left out with a named metric.

    method : {"between_groups", "to_overall"}, default="between_groups"
        Compare groups with one another or with all rows.

    Returns
    -------
    scorer : GroupScorer
        Callable ``scorer(estimator, X, y, *, sensitive_features=None, sample_weight=None)``.

    Raises
    ------
    TypeError, ValueError
        If an argument is not of the kind above, "ratio" is combined with a metric that is zero
        at best or may be negative ("mean_residual", "bias", "r2"), or "group_max" or "group_min"
        with one of which no value is better ("mean_prediction").

    Notes
    -----
    A scorer that is called without groups and without column names raises a ValueError that
    states the remedy. A search with routing off calls it like that in every fold.

    A fold with fewer than two groups is an error, not a difference of 0. GridSearchCV turns
    errors of scorers into NaN and a warning unless it is told ``error_score="raise"``. If groups
    are missing from folds, stratify the folds by group.

    Tools that change columns of X before they score, as
    ``sklearn.inspection.permutation_importance`` does, change the groups too where these are a
    column of X. The importance of that column from such a scorer has no meaning.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.linear_model import LinearRegression
    >>> from skfairloss.metrics import make_group_scorer
    >>> X = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0], "bright": [0, 0, 1, 1]})
    >>> y = [0.0, 2.0, 2.0, 4.0]
    >>> scorer = make_group_scorer("mae", "group_max", sensitive_features="bright")
    >>> scorer
    make_group_scorer('mae', 'group_max', sensitive_features='bright')
    >>> model = LinearRegression().fit(X[["x"]].to_numpy(), y)
    >>> class OnX:
    ...     def predict(self, X):
    ...         return model.predict(X[["x"]].to_numpy())
    >>> round(scorer(OnX(), X, y), 6)
    -0.4
    """
    _check_metric(metric, aggregate, greater_is_better)
    _check_aggregate(aggregate, method)
    columns = _check_columns(sensitive_features)
    if groups is not None:
        if isinstance(groups, str):
            raise TypeError(f"groups must be a sequence of group names, got {groups!r}")
        groups = list(groups)
        if len(groups) < 2:
            raise ValueError(f"groups must list at least two groups, got {groups!r}")
    return GroupScorer(metric, aggregate, columns, groups, greater_is_better, method)


class GroupScorer:
    """Scorer that compares groups; made by make_group_scorer, which checks the arguments.

    Parameters
    ----------
    metric : str or callable
        As in make_group_scorer.

    aggregate : str
        As in make_group_scorer.

    columns : list of str or None
        Columns of X that define the groups.

    groups : list or None
        Groups that must be present.

    greater_is_better : bool or None
        True if greater values of a callable metric are better.

    method : str
        As in make_group_scorer.
    """

    def __init__(
        self,
        metric: str | Metric,
        aggregate: str,
        columns: list[str] | None,
        groups: list[Any] | None,
        greater_is_better: bool | None,
        method: str,
    ) -> None:
        self.metric = metric
        self.aggregate = aggregate
        self.columns = columns
        self.groups = groups
        self.greater_is_better = greater_is_better
        self.method = method
        self.__name__ = f"{metric if isinstance(metric, str) else metric_name(metric)}_{aggregate}"
        self._requests: dict[str, Any] = {"sensitive_features": columns is None}
        if self._accept_sample_weight():
            self._requests["sample_weight"] = None

    def __call__(
        self,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        sensitive_features: Any = None,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """Score predictions of an estimator.

        Parameters
        ----------
        estimator : object
            Fitted estimator with a method ``predict``.

        X : array-like or DataFrame of shape (n_samples, n_features)
            Features to predict from; a DataFrame if the groups are columns of X.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            True values.

        sensitive_features : list, array, Series, DataFrame or dict of 1-D arrays, default=None
            Columns that define the groups, or names of columns of X, unless the scorer has such
            names.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, >= 0. Rows of weight zero are left out.

        Returns
        -------
        score : float
            Greater is better.

        Raises
        ------
        ValueError
            If the groups are not given, given twice, or too few; or the metric of a group or the
            score is no number.
        """
        check_numbers("y", y)
        features = self._features(X, sensitive_features)
        y_pred = estimator.predict(X)
        check_index(features, X=X, y=y, y_pred=y_pred, sample_weight=sample_weight)
        if sample_weight is not None and not self._accept_sample_weight():
            raise ValueError(f"sample_weight is given, but {self} has a metric without weights")
        true, pred = check_targets(y, y_pred)
        weights = check_weights(sample_weight, len(true))
        encoded = encode_groups(features, len(true))
        rows = split_rows(encoded.codes, np.flatnonzero(weights))
        present = [encoded.labels[encoded.codes[members[0]]] for members in rows]
        row_weights = None if sample_weight is None else weights
        return self.score_of(RowMetric(self._function, true, pred, row_weights, rows), present)

    def score_of(self, metric: Metric, groups: list[Any]) -> float:
        """Return the score of a metric of numbered sets of rows, of which each group is one.

        Parameters
        ----------
        metric : callable
            ``metric(sets, sets)`` of some sets together, with a name.

        groups : list
            Names of the groups, in the order of the sets.

        Returns
        -------
        score : float
            Greater is better.

        Raises
        ------
        ValueError
            If there are too few groups; or the metric of a group or the score is no number.
        """
        self._check_groups(groups)
        derived = make_derived_metric(
            metric=_finite(metric, groups), transform=self.aggregate, sample_param_names=[]
        )
        sets = np.arange(len(groups))
        options = {"method": self.method} if self.aggregate in ("difference", "ratio") else {}
        value = float(derived(sets, sets, sensitive_features=sets, **options))
        self._check_value(value)
        return self._sign * value

    def set_score_request(self, **requests: bool | str | None) -> Self:
        """Add to the metadata that the scorer requests; what is not named stays as it was.

        Scikit-learn's own scorers forget earlier requests here; this one keeps requesting
        ``sensitive_features``.

        Parameters
        ----------
        **requests : bool, str or None
            ``sensitive_features`` or ``sample_weight``, with True (request), False (ignore), None
            (error if passed) or another name under which the metadata is passed.

        Returns
        -------
        self : GroupScorer
            The scorer itself, changed.

        Raises
        ------
        RuntimeError
            If metadata routing is off.

        TypeError
            If the scorer does not take the metadata.
        """
        if not get_config()["enable_metadata_routing"]:
            raise RuntimeError(
                "set_score_request needs metadata routing: call "
                "sklearn.set_config(enable_metadata_routing=True) first"
            )
        possible = set(self._requests)
        if self.columns is not None:
            possible.remove("sensitive_features")
        unknown = sorted(set(requests) - possible)
        if unknown:
            raise TypeError(f"{self} takes no {', '.join(unknown)}, only {sorted(possible)}")
        self._requests = self._requests | requests
        return self

    def get_metadata_routing(self) -> MetadataRequest:
        """Return the metadata that the scorer requests.

        Returns
        -------
        request : sklearn.utils.metadata_routing.MetadataRequest
            Requests of the method ``score``.
        """
        request = MetadataRequest(owner=repr(self))
        for param, alias in self._requests.items():
            request.score.add_request(param=param, alias=alias)
        return request

    def __repr__(self) -> str:
        metric = repr(self.metric) if isinstance(self.metric, str) else metric_name(self.metric)
        columns = self.columns[0] if self.columns and len(self.columns) == 1 else self.columns
        options = {
            "sensitive_features": columns,
            "groups": self.groups,
            "greater_is_better": self.greater_is_better,
            "method": None if self.method == METHODS[0] else self.method,
        }
        shown = "".join(
            f", {name}={value!r}" for name, value in options.items() if value is not None
        )
        return f"make_group_scorer({metric}, {self.aggregate!r}{shown})"

    def __sklearn_clone__(self) -> GroupScorer:
        return copy.deepcopy(self)

    def _accept_sample_weight(self) -> bool:
        """Tell whether the metric takes weights; scikit-learn calls this name."""
        return accepts_sample_weight(self._function)

    @property
    def _function(self) -> Metric:
        """The metric as a function, without a sign where 0 is best."""
        metric = as_metric(self.metric)
        return metric.magnitude() if isinstance(metric, NamedMetric) else metric

    @property
    def _sign(self) -> int:
        """Factor of the value, so that greater scores are better: 1 or -1."""
        if self.aggregate == "difference":
            return -1
        if self.aggregate == "ratio":
            return 1
        if isinstance(self.metric, str):
            return 1 if as_named(self.metric).best == "greater" else -1
        return 1 if self.greater_is_better else -1

    def _features(self, X: Any, sensitive_features: Any) -> Any:
        """Return the sensitive features of the rows: as passed, or columns of X."""
        if self.columns is None:
            if sensitive_features is None:
                raise ValueError(f"{self} was called without sensitive_features: {_remedy()}")
            return named_columns(sensitive_features, X)
        if sensitive_features is not None:
            raise ValueError(
                f"{self} reads the groups from X, but sensitive_features is passed as well"
            )
        if not hasattr(X, "columns"):
            raise ValueError(
                f"{self} reads the groups from columns of X: X must be a pandas or polars "
                f"DataFrame, got {type(X).__name__}. Behind a step that returns an array, make the "
                "scorer without sensitive_features, and pass them to fit"
            )
        return take_columns(self.columns, X)

    def _check_groups(self, present: list[Any]) -> None:
        """Raise ValueError if groups are missing from the rows scored."""
        advice = "stratify the folds by group, or use fewer folds"
        absent = [group for group in self.groups or [] if group not in present]
        if absent:
            raise ValueError(
                f"groups {absent} are not among the groups scored, {present}: {advice}"
            )
        if len(present) < 2:
            raise ValueError(
                f"sensitive_features has the group {present[0]!r} only in the rows scored, a "
                f"comparison needs two: {advice}"
            )

    def _check_value(self, value: float) -> None:
        """Raise ValueError for a value that must not be compared."""
        if self.aggregate == "ratio" and not 0 <= value <= 1:
            raise ValueError(
                f"the ratio is {value}: it is defined for values >= 0 that are not all zero; "
                "use aggregate='difference'"
            )
        if not np.isfinite(value):
            raise ValueError(f"the {self.aggregate} of the groups' values is {value}")


def _finite(metric: Metric, groups: list[Any]) -> Metric:
    """Return a metric that refuses groups' values that are no numbers: aggregates skip them."""

    def finite(sets: Any, again: Any) -> Any:
        value = metric(sets, again)
        if len(sets) == 1 and not np.all(np.isfinite(value)):
            (number,) = sets
            raise ValueError(
                f"{metric_name(metric)} is {value} for the group {groups[number]!r} in the rows "
                "scored: take a metric that is defined for it, or stratify the folds by group"
            )
        return value

    return finite


def _check_metric(metric: Any, aggregate: str, greater_is_better: Any) -> None:
    """Raise unless metric, aggregate and direction fit together."""
    if not isinstance(metric, str):
        as_metric(metric)
        if not isinstance(greater_is_better, bool):
            raise ValueError(
                "greater_is_better must be True or False with a callable metric, got "
                f"{greater_is_better!r}"
            )
        return
    found = as_named(metric)
    if greater_is_better is not None:
        raise ValueError(
            f"greater_is_better={greater_is_better!r} is for callable metrics, the direction of "
            f"{metric!r} is known"
        )
    if aggregate == "ratio" and not found.has_ratio:
        reason = "which is zero at best" if found.best == "zero" else "which may be negative"
        raise ValueError(
            f"aggregate='ratio' is not defined for metric={metric!r}, {reason}: use "
            "aggregate='difference' or 'group_max'"
        )
    if aggregate in ("group_max", "group_min") and found.best == "none":
        raise ValueError(
            f"aggregate={aggregate!r} needs a metric of which some values are better, got "
            f"{metric!r}: use aggregate='difference'"
        )


def _remedy() -> str:
    """Name the remedy where groups do not reach a scorer."""
    column = "make_group_scorer(..., sensitive_features='column')"
    if get_config()["enable_metadata_routing"]:
        return (
            "pass sensitive_features=... to fit and score of the search, or name the column of X "
            f"that holds the groups, {column}"
        )
    return (
        "metadata routing is off. Either call sklearn.set_config(enable_metadata_routing=True) and "
        "pass sensitive_features=... to fit and score of the search, or name the column of X that "
        f"holds the groups, {column}"
    )


def _check_aggregate(aggregate: Any, method: Any) -> None:
    """Raise ValueError unless aggregate and method are known and go together."""
    if aggregate not in AGGREGATES:
        raise ValueError(f"aggregate must be one of {list(AGGREGATES)}, got {aggregate!r}")
    if method not in METHODS:
        raise ValueError(f"method must be one of {list(METHODS)}, got {method!r}")
    if method != METHODS[0] and aggregate not in ("difference", "ratio"):
        raise ValueError(f"method={method!r} has no effect with aggregate={aggregate!r}")


def _check_columns(sensitive_features: Any) -> list[str] | None:
    """Return column names as a list. Without them it is None."""
    if sensitive_features is None:
        return None
    names = [sensitive_features] if isinstance(sensitive_features, str) else sensitive_features
    is_sequence = isinstance(names, (list, tuple)) and len(names) > 0
    if not is_sequence or not all(isinstance(name, str) for name in names):
        raise TypeError(
            "sensitive_features must be a column name or a list of column names of X, got "
            f"{type(sensitive_features).__name__}; groups of the rows themselves are passed to fit"
        )
    return list(names)
