"""`compare_loss_mixes`: out-of-fold losses of every mix on the same folds, compared row by row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils.validation import _num_samples

from skfairloss._estimator.compat import CallbackSupportMixin, with_callbacks
from skfairloss._inputs.columns import named_columns
from skfairloss._inputs.groups import Groups, check_index, encode_groups
from skfairloss._inputs.parameters import BETWEEN_0_AND_1, check_parameters, integer_from, is_real
from skfairloss._inputs.place import fitting_at
from skfairloss._inputs.validation import check_numbers, check_weights, normalized
from skfairloss._typing import Array
from skfairloss.metrics._inputs import check_targets
from skfairloss.metrics._mix_ends import squared_share
from skfairloss.metrics._named import NamedMetric, as_metric
from skfairloss.metrics._row_metrics import metric_name
from skfairloss.model_selection._candidates import Candidates
from skfairloss.model_selection._comparison import LossMixComparison, make_comparison
from skfairloss.model_selection._data import FitData
from skfairloss.model_selection._folds import Split, fold_of_rows, make_folds
from skfairloss.model_selection._intervals import Estimate, Quantities, cell_sums, estimate
from skfairloss.model_selection._path import LOSS_MIXES, check_loss_mixes, set_callbacks
from skfairloss.model_selection._tasks import FitsTasks

RowLoss = Callable[[Array, Array], Array]


def compare_loss_mixes(
    X: Any,
    y: ArrayLike,
    *,
    sensitive_features: Any,
    loss_mixes: Sequence[float] = LOSS_MIXES,
    reference: float = 0.0,
    scale: float | str | ArrayLike | None = None,
    metric: str | RowLoss = "mae",
    estimator: Any = None,
    disparity_groups: tuple[Any, Any] | None = None,
    cv: Any = 5,
    n_repeats: int = 2,
    confidence_level: float = 0.95,
    sample_weight: ArrayLike | None = None,
    callbacks: Sequence[Any] = (),
    random_state: int | np.random.RandomState | None = None,
) -> LossMixComparison:
    """Compare mixes of L1 and L2 out of fold: accuracy, losses of groups, and how sure that is.

    Every mix is fitted on the same folds and predicts the rows left out. Losses are compared row by
    row with those of a reference mix, and every difference has a confidence interval for the
    expected difference on new rows, of models trained on samples like this one.

    Parameters
    ----------
    X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features)
        Features, in whatever form the estimator takes.

    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets.

    sensitive_features : array-like of shape (n_samples,) or (n_samples, k)
        What defines the groups, in any form that ``PixelLossRegressor.fit`` takes; at least two. A
        column name, or a list of them, takes columns of a DataFrame X, in which they stay: a
        ``ColumnTransformer`` in ``estimator`` can leave them out.

    loss_mixes : sequence of floats, default=(0.0, 0.25, 0.5, 0.75, 1.0)
        Mixes to compare, in [0, 1]: 0 is L2, 1 is L1.

    reference : float, default=0.0
        The mix that the others are compared with, one of ``loss_mixes``.

    scale : float, array-like of shape (n_outputs,) or "auto", default=None
        Residual scale of all fits, as in `PixelLossRegressor`; ``"auto"`` is taken from the
        training rows of each fold. ``None`` leaves that of ``estimator`` as it is, ``"auto"``
        unless it says otherwise.

    metric : str or callable, default="mae"
        Loss of a row: "mae", "mse", "mape" or, with numbers of your own, "pinball@0.9" or
        "share_above@10", as in `skfairloss.metrics.group_metric_frame`, the mean over the outputs
        of the row. Other named metrics are no means of losses of rows. A callable
        ``metric(y_true, y_pred)`` returns the losses of the rows, (n_rows,), smaller is better.

    estimator : estimator, default=None
        A `PixelLossRegressor`, or a pipeline or other meta-estimator that holds exactly one, such
        as a ``TransformedTargetRegressor``; it is cloned. Losses are those of its predictions, in
        units of y. ``None`` is ``PixelLossRegressor()``.

    disparity_groups : tuple of two group names, default=None
        The disparity is the loss of the first minus that of the second. ``None`` takes the groups
        with the largest and the smallest out-of-fold loss under the reference.

    cv : int, splitter or iterable of splits, default=5
        A number of folds, stratified by group and shuffled; or splits that test every row once,
        or once in each of several passes (a splitter is given the group codes for y).

    n_repeats : int, default=2
        Number of times that the rows are divided anew, for a number of folds.

    confidence_level : float, default=0.95
        Of each interval by itself.

    sample_weight : array-like of shape (n_samples,), default=None
        Weights >= 0 of the rows, in fits and in losses.

    callbacks : sequence of callbacks, default=()
        Callbacks of scikit-learn >= 1.9, such as `sklearn.callback.ProgressBar` and
        `skfairloss.callbacks.GroupLossMonitor`.

    random_state : int, RandomState or None, default=None
        Shuffles the folds.

    Returns
    -------
    comparison : LossMixComparison
        With ``overall`` (loss and disparity of each mix), ``by_group`` (loss of each group under
        each mix), ``differences`` (each mix minus the reference, with intervals), ``verdict`` (a
        paragraph), ``predictions`` (out of fold), ``to_frame()`` and ``plot()``.

    Raises
    ------
    ValueError
        If an argument is not what is described above, a group has fewer rows than there are
        folds, groups or weights cannot reach the regressor, or fold models fail. Errors and
        warnings of a fold name the mix and the fold.

    TypeError
        If ``estimator`` does not hold exactly one `PixelLossRegressor`.

    Notes
    -----
    The target of an interval is E[loss of mix - loss of reference] over new rows and over training
    samples of this size. Its variance has two parts: that of the paired row differences, out of
    fold [1]_, and what the training rows add, which the folds share, by a jackknife over folds
    [2]_. The page "Choosing a mix" shows measured coverage: intervals of the disparity are too wide
    where the mixes have the same limit in every group, and too short with very heavy tails in few
    rows. Models of folds are trained on (K-1)/K of the rows. With nearly as many features as rows
    the second part is too small, and where rows resemble each other (several of one person or
    school) both are.

    The disparity names two groups, so that it is a smooth function of losses, which largest minus
    smallest is not. Where the groups are taken from the data and others come close, name them.

    Intervals are not simultaneous: with several mixes and groups some miss their target by chance.
    A disparity can fall because a group does worse; read it beside the losses of the groups.

    With metadata routing on, ``sensitive_features`` and ``sample_weight`` are routed through the
    estimator. With routing off they go to the `PixelLossRegressor` by the names of the pipeline
    steps around it, through meta-estimators that pass on what ``fit`` is given. Those that take
    ``sample_weight`` alone, such as ``BaggingRegressor``, are fitted without groups, which change
    a model under fairness terms only; with such terms they need routing.

    References
    ----------
    .. [1] P. Bayle, A. Bayle, L. Janson and L. Mackey, "Cross-validation confidence intervals for
       test error", NeurIPS (2020).
    .. [2] J. Shao and C. F. J. Wu, "A general theory for jackknife variance estimation", Annals of
       Statistics 17 (1989), 1176-1197.

    Examples
    --------
    >>> from skfairloss import compare_loss_mixes
    >>> from skfairloss.datasets import make_pixel_groups
    >>> X, y, group = make_pixel_groups(400, noise=0.1, random_state=0)
    >>> found = compare_loss_mixes(
    ...     X, y, sensitive_features=group, loss_mixes=[0, 1], random_state=0
    ... )
    >>> found.by_group.columns.tolist()
    ['loss_mix', 'group', 'count', 'loss', 'low', 'high']
    >>> found.differences["quantity"].tolist()
    ['loss', 'loss of bright', 'loss of dark', 'disparity']
    """
    mixes = check_loss_mixes(loss_mixes)
    _check(reference, mixes, n_repeats, confidence_level)
    row_loss, loss_name = _row_loss(metric)
    weighted = sample_weight is not None and np.ndim(sample_weight) > 0
    candidates = Candidates.of(estimator, scale, mixes, weighted)
    sensitive_features = named_columns(sensitive_features, X)
    check_index(sensitive_features, X=X, y=y, sample_weight=sample_weight)
    check_numbers("y", y)
    n = _num_samples(y)
    groups = encode_groups(sensitive_features, n)
    if groups.n_groups < 2:
        raise ValueError(
            f"sensitive_features has the group {groups.labels[0]!r} only, a comparison needs two"
        )
    true, _ = check_targets(y, y)
    if isinstance(metric, str):
        row_loss(true, true)  # an error now where the metric is not defined for y
    weights = normalized(check_weights(sample_weight, n))
    unweighted = np.flatnonzero(np.bincount(groups.codes, weights) == 0)
    if len(unweighted):
        raise ValueError(
            f"sample_weight is 0 in all rows of the group {groups.labels[unweighted[0]]!r}"
        )
    run = _Run(candidates)
    if callbacks:
        set_callbacks(run, callbacks)
    given = FitData(X, y, sample_weight if weighted else None, sensitive_features).cuttable()
    partitions = make_folds(cv, n_repeats, groups, random_state)
    found = run.fit(given, true, partitions, _Measure(row_loss, groups, weights))
    rows, sums = found.out_of_fold, found.sums
    first = int(np.flatnonzero(mixes == reference)[0])
    pair = _pair(disparity_groups, groups, weights, rows[:, first].mean(axis=0))
    quantities = Quantities(groups, weights, pair)
    folds = np.stack([fold_of_rows(partition, n) for partition in partitions])

    def interval(rows: Array, sums: Array) -> Estimate:
        """Estimate all quantities from rows (R, n) with their sums (R, K, K, 1 + G)."""
        return estimate(quantities, rows, sums, folds, confidence_level)

    return make_comparison(
        mixes=mixes,
        reference=first,
        groups=groups,
        pair=pair,
        metric=loss_name,
        level=confidence_level,
        levels=[interval(rows[:, j], sums[:, :, j]) for j in range(len(mixes))],
        differences=[
            interval(rows[:, j] - rows[:, first], sums[:, :, j] - sums[:, :, first])
            for j in range(len(mixes))
        ],
        counts=np.bincount(groups.codes[weights > 0], minlength=groups.n_groups),
        predictions=found.predictions,
        folds=folds,
        squared_shares=found.squared_shares,
    )


@dataclass(frozen=True)
class _Measure:
    """The loss of rows, with their groups and weights."""

    row_loss: RowLoss
    groups: Groups
    weights: Array

    def losses(self, true: Array, predicted: Array) -> Array:
        """Compute the losses of the rows, (n,), and check them."""
        losses = np.asarray(self.row_loss(true, predicted), dtype=np.float64)
        if losses.shape != (len(true),) or not np.isfinite(losses).all():
            raise ValueError(
                f"metric must return a finite loss for each of {len(true)} rows, got shape "
                f"{losses.shape}"
            )
        return losses


@dataclass(frozen=True)
class _Found:
    """Results of the fits of R repeats of K folds for M mixes.

    Parameters
    ----------
    out_of_fold : (R, M, n), the loss of each row under the model that did not see it.
    sums : (R, K, M, K, 1 + G), weighted sums of the losses under the model of each fold, over the
        rows of each fold, all of them and those of each group.
    predictions : (R, M, n) or (R, M, n, m), out of fold.
    squared_shares : (M,), mean share of the squared part in the losses attained.
    """

    out_of_fold: Array
    sums: Array
    predictions: Array
    squared_shares: Array


class _Run(CallbackSupportMixin, BaseEstimator):
    """The fits of a comparison, as callbacks know them."""

    def __init__(self, candidates: Candidates) -> None:
        self.candidates = candidates

    @with_callbacks
    def fit(
        self, data: FitData, true: Array, partitions: list[list[Split]], measure: _Measure
    ) -> _Found:
        """Fit all mixes on all folds, and measure them on all rows."""
        n_mixes, n_folds, n = len(self.candidates.mixes), len(partitions[0]), len(true)
        tasks = FitsTasks(self, len(partitions) * n_folds * n_mixes)
        out_of_fold = np.empty((len(partitions), n_mixes, n))
        n_sums = 1 + measure.groups.n_groups
        sums = np.empty((len(partitions), n_folds, n_mixes, n_folds, n_sums))
        predictions = np.empty((len(partitions), n_mixes, *true.shape))
        shares = np.empty((len(partitions), n_folds, n_mixes))
        for r, partition in enumerate(partitions):
            fold = fold_of_rows(partition, n)
            for k, (train, test) in enumerate(partition):
                number = (r * n_folds + k) * n_mixes
                place = f"fold {k + 1} of {n_folds}"
                if len(partitions) > 1:
                    place += f", repeat {r + 1} of {len(partitions)}"
                models = self.candidates.fit(tasks, number, data.rows(train), place)
                for j, model in enumerate(models):
                    with fitting_at(self.candidates.place(j, place)):
                        predicted = np.asarray(model.predict(data.X)).reshape(true.shape)
                        losses = measure.losses(true, predicted)
                    out_of_fold[r, j, test] = losses[test]
                    sums[r, k, j] = cell_sums(
                        measure.groups, measure.weights * losses, fold, n_folds
                    )
                    predictions[r, j, test] = predicted[test]
                    shares[r, k, j] = squared_share(model)
        tasks.end()
        return _Found(out_of_fold, sums, predictions, shares.mean(axis=(0, 1)))


def _row_loss(metric: Any) -> tuple[RowLoss, str]:
    """Return the loss of a row and its name in words."""
    found = as_metric(
        metric,
        accept=lambda named: named.is_mean_error,
        condition=" that returns the loss of each row",
    )
    if isinstance(found, NamedMetric):
        return found.rows, found.words
    return metric, metric_name(metric)


def _check(reference: Any, mixes: Array, n_repeats: Any, level: Any) -> None:
    """Raise ValueError where a number is out of range."""
    if not is_real(reference) or reference not in mixes:
        raise ValueError(f"reference must be one of loss_mixes {mixes.tolist()}, got {reference!r}")
    if len(mixes) < 2:
        raise ValueError(f"loss_mixes must hold at least two mixes, got {mixes.tolist()}")
    given = {"n_repeats": n_repeats, "confidence_level": level}
    checks = {"n_repeats": integer_from(1), "confidence_level": BETWEEN_0_AND_1}
    check_parameters(None, given, checks)


def _pair(named: Any, groups: Groups, weights: Array, losses: Array) -> tuple[int, int]:
    """Return the numbers of the two groups whose losses make the disparity."""
    if named is None:
        sums = np.bincount(groups.codes, weights * losses)
        means = sums / np.bincount(groups.codes, weights)
        return int(means.argmax()), int(means.argmin())
    labels = groups.labels
    if len(named) != 2 or named[0] == named[1] or not all(name in labels for name in named):
        raise ValueError(f"disparity_groups must be two of the groups {labels}, got {named!r}")
    return labels.index(named[0]), labels.index(named[1])
