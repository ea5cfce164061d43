"""fairlearn's MetricFrame with metrics of regression."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from fairlearn.metrics import MetricFrame
from numpy.typing import ArrayLike, NDArray

from skfairloss._inputs.groups import Factor, Groups, check_index, encode_groups
from skfairloss._inputs.validation import check_weights
from skfairloss._typing import Array
from skfairloss.metrics._inputs import check_targets
from skfairloss.metrics._named import DEFAULT_METRICS, Metrics, label_metrics
from skfairloss.metrics._row_metrics import Metric, RowMetric, split_rows


def group_metric_frame(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    sensitive_features: Any,
    control_features: Any = None,
    sample_weight: ArrayLike | None = None,
    metrics: Metrics | None = None,
    n_boot: int | None = None,
    ci_quantiles: Sequence[float] | None = None,
    random_state: int | np.random.RandomState | np.random.Generator | None = None,
) -> MetricFrame:
    """Evaluate predictions overall and by group, as a fairlearn MetricFrame.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, ...)
        True values: one number, a row of outputs or an image for each sample.

    y_pred : array-like of the shape of y_true
        Predictions.

    sensitive_features : list, array, Series, DataFrame or dict of 1-D arrays
        Columns whose distinct combinations of values are the groups.

    control_features : like sensitive_features, default=None
        Groups are compared within each combination of these columns, not across them.

    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows, >= 0. Rows of weight zero are left out, also from the count.

    metrics : str, callable, or list or dict of these, default=None
        Names of the metrics listed below, or functions ``metric(y_true, y_pred)``, called with
        the rows of a group as float64 arrays of shape (n_rows,), or (n_rows, n_outputs) where
        y_true has more dimensions. Functions that have an argument ``sample_weight`` are given
        the weights, others see all rows alike. A dict has labels of columns as keys. A single
        name or function gives Series, as in fairlearn. ``None`` takes the columns count, mae,
        mse, rmse, mean_residual, mean_prediction and r2.

    n_boot : int, default=None
        Number of bootstrap samples for confidence intervals; needs ``ci_quantiles``. Rows are
        drawn with replacement from all rows together; the time grows with ``n_boot`` times the
        number of rows.

    ci_quantiles : sequence of floats, default=None
        Quantiles in (0, 1) of the bootstrap distribution; needs ``n_boot``.

    random_state : int, RandomState, Generator or None, default=None
        Random numbers for the bootstrap samples.

    Returns
    -------
    frame : fairlearn.metrics.MetricFrame
        With ``overall``, ``by_group``, ``difference()``, ``ratio()`` and so on. Columns of
        sensitive_features without a name, or called ``y_true`` or ``y_pred``, are numbered
        ``sensitive_feature_0``, ...

    Raises
    ------
    TypeError
        If ``metrics`` is not as described above, or a function cannot be called as
        ``metric(y_true, y_pred)``.

    ValueError
        If shapes or lengths do not match, values are missing or not finite, the index of a
        pandas sensitive_features differs from that of another pandas argument, there are more
        groups than half the rows, a name of a metric is unknown, or "mape" meets a y_true of 0.

    See Also
    --------
    skfairloss.report.GroupReport.from_estimator : For rows in a source or of Dask; its
        ``metric_frame`` is that of the same rows in memory.

    Notes
    -----
    The named metrics, with row weights s_i, residuals r_ik = y_true - y_pred of sample i and
    output k, m outputs and a(v) = Σ_i s_i (Σ_k v_ik / m) / Σ_i s_i the mean over the rows of a
    group and the outputs:

    - count: number of rows, unweighted;
    - mae: a(|r|), mse: a(r²), rmse: √a(r²), the root of the mse also for several outputs;
    - mean_residual: a(r), positive where predictions are too low on average;
    - mean_prediction: a(y_pred);
    - r2: 1 - a(r²) / a((y_true - ȳ)²), ȳ_k the mean of output k over the group; NaN where
      y_true is constant. The denominator differs from group to group: a low r2 may be due to
      a small spread of y_true rather than to large errors;
    - bias: a(y_pred - y_true), which is minus the mean_residual: positive where predictions are
      too high on average;
    - medae: the weighted median over rows of Σ_k |r_ik| / m. Where the weights up to a value
      make exactly half of their sum it is the mean of that value and the next one, so that a
      weight of 2 is a row twice. With several outputs scikit-learn's median_absolute_error is
      another number, the mean of the medians of the outputs;
    - mape: a(|r| / |y_true|), 0.1 for errors of 10 %. A y_true of 0 is an error, where
      scikit-learn returns a number of the size of 1e15;
    - pinball@τ, as in "pinball@0.9": a(max(τ r, (τ - 1) r)), half the mae at τ = 0.5;
    - share_above@t, as in "share_above@10": a(1 where |r| > t, else 0), t in units of y.

    Examples
    --------
    >>> from skfairloss.metrics import group_metric_frame
    >>> frame = group_metric_frame(
    ...     [0.3, 0.3, 0.9, 0.9, 0.9, 0.9],
    ...     [0.7, 0.7, 0.7, 0.7, 0.7, 0.7],
    ...     sensitive_features=["dark", "dark", "bright", "bright", "bright", "bright"],
    ... )
    >>> frame.by_group[["count", "mae", "mean_residual"]].round(2)
                         count  mae  mean_residual
    sensitive_feature_0
    bright                 4.0  0.2            0.2
    dark                   2.0  0.4           -0.4
    >>> round(float(frame.difference()["mae"]), 2)
    0.2

    Metrics by name, here of one group:

    >>> named = group_metric_frame(
    ...     [1.0, 2.0, 3.0, 4.0],
    ...     [1.5, 1.0, 3.0, 7.0],
    ...     sensitive_features=["all"] * 4,
    ...     metrics=["medae", "bias", "pinball@0.9", "share_above@0.75"],
    ... )
    >>> named.overall.tolist()
    [0.75, 0.625, 0.3125, 0.5]
    """
    labelled = DEFAULT_METRICS if metrics is None else label_metrics(metrics)
    is_single = isinstance(metrics, str) or callable(metrics)
    true, pred = check_targets(y_true, y_pred)
    others = {"y_true": y_true, "y_pred": y_pred, "sample_weight": sample_weight}
    check_index(sensitive_features, control_features=control_features, **others)
    groups = encode_groups(sensitive_features, len(true))
    codes, features = groups.codes, _features(groups, "sensitive_feature")
    controls: dict[str, Factor] = {}
    if control_features is not None:
        levels = encode_groups(control_features, len(true), "control_features")
        controls = _features(levels, "control_feature")
        codes = codes * (levels.codes.max() + 1) + levels.codes
    weights = check_weights(sample_weight, len(true))
    kept = np.flatnonzero(weights)
    # the bootstrap draws rows; otherwise one set of rows a group is enough
    rows = split_rows(codes, kept) if n_boot is None else None
    first = kept if rows is None else np.array([members[0] for members in rows])
    sets = kept if rows is None else np.arange(len(rows))

    def on_rows(name: str, metric: Metric) -> RowMetric:
        return RowMetric(metric, true, pred, None if sample_weight is None else weights, rows, name)

    measures = {name: on_rows(name, metric) for name, metric in labelled.items()}
    with warnings.catch_warnings():
        # NaN in every bootstrap sample, say the r2 of a one-row group, gives a NaN interval
        warnings.filterwarnings("ignore", "All-NaN slice encountered", RuntimeWarning)
        frame = MetricFrame(
            metrics=next(iter(measures.values())) if is_single else measures,
            y_true=sets,
            y_pred=sets,
            sensitive_features=_numbers(features, first),
            control_features=_numbers(controls, first) if controls else None,
            n_boot=n_boot,
            ci_quantiles=_check_quantiles(ci_quantiles),
            random_state=_legacy_seed(random_state),
        )
    return _renamed(frame, {**features, **controls})


def frame_of_values(metrics: Sequence[str], values: Array, groups: Groups) -> MetricFrame:
    """Return a MetricFrame of known values (n_metrics, G + 1), the last those of all rows.

    ``groups`` are those of G rows, each of a group of its own, in the order of the values.
    """
    features, sets = _features(groups, "sensitive_feature"), np.arange(len(groups.codes))

    def known(own: Array) -> Metric:
        # MetricFrame asks for one set after the other, and for all of them
        return lambda some, _: float(own[some[0] if len(some) == 1 else -1])

    frame = MetricFrame(
        metrics={name: known(own) for name, own in zip(metrics, values, strict=True)},
        y_true=sets,
        y_pred=sets,
        sensitive_features=_numbers(features, sets),
    )
    return _renamed(frame, features)


def _renamed(frame: MetricFrame, features: Mapping[str, Factor]) -> MetricFrame:
    """Put the values of features in the place of their numbers, in a frame."""
    names = {name: index_of(factor.labels) for name, factor in features.items()}
    frame._result_cache = _named(frame._result_cache, names)
    return frame


def index_of(labels: list[Any]) -> pd.Index:
    """Return an index of the names of groups, in which none of them becomes another."""
    index = pd.Index(labels, dtype=object, tupleize_cols=False)
    one_type = len(set(map(type, labels))) == 1 and not isinstance(labels[0], np.longdouble)
    return index.infer_objects() if one_type else index


def _features(groups: Groups, default_name: str) -> dict[str, Factor]:
    """Return the columns of groups by distinct names."""
    features: dict[str, Factor] = {}
    for j, factor in enumerate(groups.factors):
        # MetricFrame has columns y_true and y_pred of its own
        own = factor.label is None or factor.label in ("y_true", "y_pred")
        name = f"{default_name}_{j}" if own else str(factor.label)
        if name in features:
            raise ValueError(f"{default_name}s has two columns with the name {name!r}")
        features[name] = factor
    return features


def _numbers(features: dict[str, Factor], rows: NDArray[np.intp]) -> pd.DataFrame:
    """Return some rows with numbers in place of values, which MetricFrame would sort."""
    return pd.DataFrame({name: factor.codes[rows] for name, factor in features.items()})


def _named(result: Any, names: Mapping[str, pd.Index]) -> Any:
    """Put the values back in the place of their numbers, in all that MetricFrame has found."""
    if isinstance(result, dict):
        return {key: _named(value, names) for key, value in result.items()}
    if isinstance(result, list):
        return [_named(value, names) for value in result]
    if not isinstance(result, pd.Series | pd.DataFrame) or result.index.names[0] not in names:
        return result
    index = result.index
    if isinstance(index, pd.MultiIndex):
        levels = [
            names[name].take(level) for name, level in zip(index.names, index.levels, strict=True)
        ]
        # what tells groups apart is their hash; NumPy's float32 may equal a float of another
        return result.set_axis(index.set_levels(levels, verify_integrity=False), axis=0)
    return result.set_axis(names[index.name].take(index).rename(index.name), axis=0)


def _check_quantiles(ci_quantiles: Sequence[float] | None) -> list[float] | None:
    """Return quantiles as Python floats, the only kind fairlearn takes. None stays None."""
    if ci_quantiles is None:
        return None
    quantiles = [float(q) for q in np.ravel(ci_quantiles)]
    if not all(0 < q < 1 for q in quantiles):
        raise ValueError(f"ci_quantiles must lie between 0 and 1, got {ci_quantiles!r}")
    return quantiles


def _legacy_seed(random_state: Any) -> Any:
    """Draw an integer seed from a Generator, which fairlearn does not take."""
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31 - 1))
    return random_state
