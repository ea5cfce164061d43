"""`compare_loss_mixes`: the comparison of models for the mixes of one regressor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from skfairloss._estimator.regressor import PixelLossRegressor
from skfairloss._inputs.parameters import is_real
from skfairloss.model_selection._compare_models import RowValues, compare
from skfairloss.model_selection._comparison import ModelComparison
from skfairloss.model_selection._nesting import find_regressor, parameter
from skfairloss.model_selection._path import LOSS_MIXES, check_loss_mixes


def compare_loss_mixes(
    X: Any,
    y: ArrayLike | None = None,
    *,
    sensitive_features: Any = None,
    loss_mixes: Sequence[float] = LOSS_MIXES,
    reference: float = 0.0,
    scale: float | str | ArrayLike | None = None,
    metrics: str | RowValues | Sequence[Any] | Mapping[str, Any] = ("mae",),
    estimator: Any = None,
    disparity_groups: tuple[Any, Any] | None = None,
    clusters: Any = None,
    cv: Any = 5,
    n_repeats: int = 2,
    confidence_level: float = 0.95,
    simultaneous: bool = False,
    sample_weight: ArrayLike | None = None,
    n_jobs: int | None = None,
    verbose: int = 0,
    callbacks: Sequence[Any] = (),
    random_state: int | np.random.RandomState | None = None,
) -> ModelComparison:
    """Compare mixes of L1 and L2 out of fold, overall and by group, with confidence intervals.

    Every mix is fitted on the same folds and predicts the rows left out. Every difference from the
    reference mix has a confidence interval. It is for the expected difference on new rows, of
    models trained on samples like this one. `compare_models` does the same for any models.

    Parameters
    ----------
    X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features), or row source
        Features, in any form that the estimator takes.

    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        Targets. ``None`` with a source of rows alone.

    sensitive_features : array-like of shape (n_samples,) or (n_samples, k), default=None
        What defines the groups, in any form that ``PixelLossRegressor.fit`` takes; at least two. A
        column name, or a list of them, takes columns of a DataFrame X, in which they stay: a
        ``ColumnTransformer`` in ``estimator`` can leave them out. ``None`` with a source alone.

    loss_mixes : sequence of floats, default=(0.0, 0.25, 0.5, 0.75, 1.0)
        Mixes to compare, in [0, 1]: 0 is L2, 1 is L1.

    reference : float, default=0.0
        The mix that the others are compared with, one of ``loss_mixes``.

    scale : float, array-like of shape (n_outputs,) or "auto", default=None
        Residual scale of all fits, as in `PixelLossRegressor`; ``"auto"`` is taken from the
        training rows of each fold. ``None`` leaves that of ``estimator`` as it is, ``"auto"``
        unless it says otherwise.

    metrics : str, callable, or list or dict of these, default=("mae",)
        As in `compare_models`, like the arguments below but ``estimator``.

    estimator : estimator, default=None
        A `PixelLossRegressor`, or a pipeline or other meta-estimator that holds exactly one, such
        as a ``TransformedTargetRegressor``; it is cloned. Losses are those of its predictions, in
        units of y. ``None`` is ``PixelLossRegressor()``.

    disparity_groups : tuple of two group names, default=None
        The disparity is the metric of the first minus that of the second. ``None`` takes the
        groups with the largest and the smallest value of the first metric under the reference.

    clusters : array-like of shape (n_samples,) or (n_samples, k), default=None
        Rows with the same value belong together. No fold splits a cluster, and intervals are
        between clusters. ``None`` takes rows as independent.

    cv : int, splitter or iterable of splits, default=5
        A number of folds, stratified by group and shuffled; or splits that test every row once,
        or once in each of several passes. A splitter gets the group codes for y, and the
        clusters for ``groups``.

    n_repeats : int, default=2
        Number of times that the rows are divided anew, for a number of folds.

    confidence_level : float, default=0.95
        Of each interval by itself; of those of all differences together where ``simultaneous``.

    simultaneous : bool, default=False
        Whether the intervals of differences, over all mixes, metrics and groups, hold together.

    sample_weight : array-like of shape (n_samples,), default=None
        Weights >= 0 of the rows, in fits and in metrics.

    n_jobs : int, default=None
        Number of folds to work on at a time, in threads; ``None`` is 1, -1 all processors.

    verbose : int, default=0
        How much joblib reports of the progress; nothing for a source.

    callbacks : sequence of callbacks, default=()
        Callbacks of scikit-learn >= 1.9, such as `sklearn.callback.ProgressBar` and
        `skfairloss.callbacks.GroupLossMonitor`.

    random_state : int, RandomState or None, default=None
        Shuffles the folds and draws the correlated normal variables of simultaneous intervals.

    Returns
    -------
    comparison : ModelComparison
        Its tables have a column ``loss_mix`` in place of ``model``, and the levels that it plots
        have the mixes on the horizontal axis.

    Raises
    ------
    ValueError
        If an argument is not what is described above, a group has fewer rows than there are
        folds, groups or weights cannot reach the regressor, or fold models fail. Errors and
        warnings of a fold name the mix and the fold.

    TypeError
        If ``estimator`` does not hold exactly one `PixelLossRegressor`, or
        ``sensitive_features`` is missing.

    NotImplementedError
        If ``estimator`` is no bare `PixelLossRegressor`, or callbacks ask for rows or fitted
        models, and rows are in a source or of Dask.

    See Also
    --------
    compare_models : Any models; with the formula of the intervals.
    PixelLossRegressorCV : Mix and penalty chosen by cross-validation.

    Notes
    -----
    X may be a source of rows or a Dask collection, as for `compare_models`. The estimator is a bare
    `PixelLossRegressor` then.

    Each fold is read once for all mixes of a bare `PixelLossRegressor`, and each fit starts from
    the one of the mix next to it.

    With metadata routing on, ``sensitive_features`` and ``sample_weight`` are routed through the
    estimator. With routing off they go to the `PixelLossRegressor` by the names of the pipeline
    steps around it, through meta-estimators that pass on what ``fit`` is given. Those that take
    ``sample_weight`` alone, such as ``BaggingRegressor``, are fitted without groups, which change
    a model under fairness terms only; with such terms they need routing.

    Examples
    --------
    >>> import textwrap
    >>> from skfairloss import compare_loss_mixes
    >>> from skfairloss.datasets import make_pixel_groups
    >>> X, y, group = make_pixel_groups(400, noise=0.1, random_state=0)
    >>> found = compare_loss_mixes(
    ...     X, y, sensitive_features=group, loss_mixes=[0, 1], random_state=0
    ... )
    >>> print(textwrap.fill(found.verdict, 88))
    Compared with loss_mix=0, loss_mix=1 lowers the MAE of all rows by 0.031 [0.019, 0.042];
    the group dark is detectably worse off, by 0.131 [0.124, 0.139] (95 % intervals, each by
    itself).
    >>> found.differences[["statistic", "group", "difference", "detected"]].round(3)
       statistic   group  difference  detected
    0    overall    None      -0.031      True
    1   by_group  bright      -0.100      True
    2   by_group    dark       0.131      True
    3  disparity    None       0.231      True
    """
    mixes = check_loss_mixes(loss_mixes)
    if not is_real(reference) or reference not in mixes:
        raise ValueError(f"reference must be one of loss_mixes {mixes.tolist()}, got {reference!r}")
    if len(mixes) < 2:
        raise ValueError(f"loss_mixes must hold at least two mixes, got {mixes.tolist()}")
    estimator = PixelLossRegressor() if estimator is None else clone(estimator)
    path = find_regressor(estimator)
    if scale is not None:
        estimator.set_params(**{parameter(path, "scale"): scale})
    name = parameter(path, "loss_mix")
    models = {mix: clone(estimator).set_params(**{name: mix}) for mix in mixes.tolist()}
    return compare(
        models,
        "loss_mix",
        X,
        y,
        sensitive_features=sensitive_features,
        reference=float(reference),
        metrics=metrics,
        disparity_groups=disparity_groups,
        clusters=clusters,
        cv=cv,
        n_repeats=n_repeats,
        confidence_level=confidence_level,
        simultaneous=simultaneous,
        sample_weight=sample_weight,
        n_jobs=n_jobs,
        verbose=verbose,
        callbacks=callbacks,
        random_state=random_state,
    )
