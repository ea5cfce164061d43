"""`compare_models`: out-of-fold metrics of every model on the same folds, compared row by row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import is_classifier
from sklearn.utils import check_random_state
from sklearn.utils.validation import _num_samples

from skfairloss._inputs.columns import named_columns
from skfairloss._inputs.groups import Groups, check_index, encode_clusters, encode_groups
from skfairloss._inputs.parameters import BETWEEN_0_AND_1, FLAG, check_parameters, integer_from
from skfairloss._inputs.splits import Split
from skfairloss._inputs.validation import check_numbers, check_weights, normalized
from skfairloss._typing import Array, Index
from skfairloss.metrics._inputs import check_values
from skfairloss.metrics._named import is_measure, label_metrics
from skfairloss.model_selection._candidates import Candidates
from skfairloss.model_selection._comparison import ModelComparison, make_comparison
from skfairloss.model_selection._data import FitData
from skfairloss.model_selection._evidence import Evidence
from skfairloss.model_selection._folds import fold_of_rows, make_folds
from skfairloss.model_selection._intervals import (
    Design,
    Estimate,
    Repeat,
    check_counts,
    check_pair,
    estimate,
    find_pair,
    simultaneous_tail,
)
from skfairloss.model_selection._measures import Measure
from skfairloss.model_selection._path import set_callbacks
from skfairloss.model_selection._runs import Found, Run
from skfairloss.model_selection._source_comparison import SourceComparison
from skfairloss.model_selection._statistics import Rows
from skfairloss.rows._collections import read_source

RowValues = Callable[[Array, Array], Array]
_CHECKS = {
    "n_repeats": integer_from(1),
    "confidence_level": BETWEEN_0_AND_1,
    "simultaneous": FLAG,
    "verbose": integer_from(0),
}


def compare_models(
    models: Mapping[str, Any],
    X: Any,
    y: ArrayLike | None = None,
    *,
    sensitive_features: Any = None,
    reference: str | None = None,
    metrics: str | RowValues | Sequence[Any] | Mapping[str, Any] = ("mae",),
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
    r"""Compare regressors out of fold, overall and by group, with confidence intervals.

    Every model is fitted on the same folds and predicts the rows left out. Metrics are compared row
    by row with those of a reference model, and every difference has a confidence interval for the
    expected difference on new rows, of models trained on samples like this one.

    Parameters
    ----------
    models : dict of str to regressor
        At least two regressors of scikit-learn's kind by name: pipelines, boosting, searches, a
        `PixelLossRegressor` with a fairness term and one without. They are cloned, and fitted to
        the training rows of each fold. A search is one of the models: it searches anew in every
        fold, on the training rows alone.

    X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features), or row source
        Features, in any form that the models take.

    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        Targets. ``None`` with a source of rows alone.

    sensitive_features : array-like of shape (n_samples,) or (n_samples, k), default=None
        What defines the groups, in any form that ``PixelLossRegressor.fit`` takes; at least two. A
        column name, or a list of them, takes columns of a DataFrame X, in which they stay. ``None``
        with a source alone.

    reference : str, default=None
        Name of the model that the others are compared with; ``None`` is the first one.

    metrics : str, callable, or list or dict of these, default=("mae",)
        Names of metrics as in `skfairloss.metrics.group_metric_frame`, all but "count", or
        functions ``metric(y_true, y_pred)`` that return a loss for each row, (n_rows,), smaller is
        better. A dict has labels as keys. The verdict speaks of the first.

    disparity_groups : tuple of two group names, default=None
        The disparity is the metric of the first group minus that of the second. ``None`` takes the
        groups with the largest and the smallest value of the first metric under the reference.

    clusters : array-like of shape (n_samples,) or (n_samples, k), default=None
        Rows with the same value belong together, such as those of a person, a school or an image;
        a column name takes a column of a DataFrame X. No fold splits a cluster, and intervals are
        between clusters. ``None`` takes rows as independent.

    cv : int, splitter or iterable of splits, default=5
        A number of folds, shuffled, stratified by group: of rows, or of clusters by the group that
        most of their rows are in. Or splits that test every row once, or once in each of several
        passes. A splitter is given the group codes for y, and the clusters for ``groups``.

    n_repeats : int, default=2
        Number of times that the rows are divided anew, for a number of folds.

    confidence_level : float, default=0.95
        Of each interval by itself; of those of all differences together where ``simultaneous``.

    simultaneous : bool, default=False
        Whether the intervals of differences, over all models, metrics and groups, hold together.

    sample_weight : array-like of shape (n_samples,), default=None
        Weights >= 0 of the rows, in fits and in metrics.

    n_jobs : int, default=None
        Number of fits at a time, in threads; ``None`` is 1, -1 all processors.

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
        With a one-sentence ``verdict``, ``details``, the tables ``overall``, ``by_group``,
        ``disparity`` and ``differences``, ``predictions`` (out of fold), ``to_frame()``,
        ``plot()`` and ``to_model_card()``.

    Raises
    ------
    ValueError
        If an argument is not what is described above, a cluster is missing or alone, a group has
        fewer rows than there are folds or rows in one cluster alone, groups or weights cannot reach
        a model, or a fit fails. Errors and warnings of a fit name the model and the fold.

    TypeError
        If a model is no regressor, or ``sensitive_features`` is missing.

    NotImplementedError
        If a model is no `PixelLossRegressor`, or callbacks ask for rows or fitted models, and rows
        are in a source or of Dask.

    See Also
    --------
    compare_loss_mixes : The same for mixes of one `PixelLossRegressor`.
    skfairloss.group_report : Predictions of one model, by group.

    Notes
    -----
    The target of an interval is E[Q(model) - Q(reference)] over new rows and over training samples
    of this size. With the influences I_i of rows on Q, S_c their sums over clusters (rows are
    clusters of one where there are none), B_k and A_k what fold k contributes as training and as
    test rows, K folds and C clusters, the variance is

    .. math::

        \frac{C}{C-1} \sum_c S_c^2 + \frac{K}{K-1} \sum_k (B_k^2 + 2 A_k B_k)

    the second part averaged over the repeats: the paired differences of rows out of fold [1]_, and
    what the training rows add, which the folds share, by a jackknife over folds [2]_. Student's t
    has degrees of freedom by Satterthwaite's approximation, and the skewness of the sums is taken
    out as in `group_report`. Models of folds are trained on (K-1)/K
    of the rows. The page "Comparing models" shows measured coverage, and where intervals are too
    wide or too short. The number that counts with clusters is that of the clusters: below about 20
    in a group intervals are wide.

    Means ("mae", "mse", "bias", "pinball@0.9", ...) are compared as they are; "rmse", "r2" and
    "medae" by their influence functions.

    Simultaneous intervals all have the level at which the largest absolute value of a normal vector
    with the estimated correlations stays within, the max-t method [3]_.

    The disparity names two groups, so that it is a smooth function of the rows, which largest minus
    smallest is not. A disparity can fall because a group does worse: read it beside the groups.

    Regressors of type `PixelLossRegressor` that differ in ``loss_mix`` alone share their data, each
    fit starting from the one before.

    With metadata routing on, ``sensitive_features`` and ``sample_weight`` are routed through the
    models, and clusters as ``groups`` to the splitters of searches that request them. With routing
    off groups go to the one step that takes them, weights to the last step. Models in which nothing
    takes groups are fitted without; a model that cannot use the weights is an error.

    X may be a source of rows (`skfairloss.rows`), which holds y, weights, groups and clusters, or a
    Dask collection beside others. The models are bare `PixelLossRegressor` then, ``cv`` is a number
    of folds, and "medae" is refused. The fold of a row follows from its block and position, evenly
    within the groups of a block; that of a cluster from its name. All folds, repeats and models
    share each pass over the rows: a comparison takes the passes of its longest fit and three more,
    one of which reads no features. The estimates are those of the same folds in memory. Beyond
    65 536 pairs of a cluster and a group, clusters are put together at random, which leaves the
    expectation of variances as it is; the verdict says "bundles of clusters" then.

    References
    ----------
    .. [1] P. Bayle, A. Bayle, L. Janson and L. Mackey, "Cross-validation confidence intervals for
       test error", NeurIPS (2020).
    .. [2] J. Shao and C. F. J. Wu, "A general theory for jackknife variance estimation", Annals of
       Statistics 17 (1989), 1176-1197.
    .. [3] T. Hothorn, F. Bretz and P. Westfall, "Simultaneous inference in general parametric
       models", Biometrical Journal 50 (2008), 346-363.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import PolynomialFeatures
    >>> from skfairloss import PixelLossRegressor, compare_models
    >>> from skfairloss.datasets import make_pixel_groups
    >>> from skfairloss.fairness import WorstGroupLoss
    >>> X, y, group = make_pixel_groups(400, noise=0.1, random_state=0)
    >>> found = compare_models(
    ...     {
    ...         "L2": PixelLossRegressor(),
    ...         "worst group": PixelLossRegressor(fairness=WorstGroupLoss(0.5)),
    ...         "squares": make_pipeline(PolynomialFeatures(), Ridge()),
    ...     },
    ...     X,
    ...     y,
    ...     sensitive_features=group,
    ...     metrics=["mae", "bias"],
    ...     random_state=0,
    ... )
    >>> found.by_group.query("metric == 'mae'")[["model", "group", "value"]].round(2)
             model   group  value
    0           L2  bright   0.13
    1           L2    dark   0.49
    4  worst group  bright   0.31
    5  worst group    dark   0.31
    8      squares  bright   0.19
    9      squares    dark   0.43
    """
    _check_models(models)
    first = next(iter(models))
    if reference is not None and reference not in models:
        raise ValueError(f"reference must be one of the models {list(models)}, got {reference!r}")
    return compare(
        models,
        "model",
        X,
        y,
        sensitive_features=sensitive_features,
        reference=first if reference is None else reference,
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


def compare(
    models: Mapping[Any, Any],
    by: str,
    X: Any,
    y: Any,
    *,
    sensitive_features: Any,
    reference: Any,
    metrics: Any,
    disparity_groups: Any,
    clusters: Any,
    cv: Any,
    n_repeats: int,
    confidence_level: float,
    simultaneous: bool,
    sample_weight: Any,
    n_jobs: int | None,
    verbose: int,
    callbacks: Sequence[Any],
    random_state: Any,
) -> ModelComparison:
    """Compare models, of which ``by`` says what their keys are: "model" or "loss_mix"."""
    given = {"n_repeats": n_repeats, "confidence_level": confidence_level}
    given |= {"simultaneous": simultaneous, "verbose": verbose}
    check_parameters(None, given, _CHECKS)
    labelled = label_metrics(metrics, is_measure, " that returns the loss of each row")
    measures = {label: Measure(metric) for label, metric in labelled.items()}
    random = check_random_state(random_state)
    source = read_source(X, y, sample_weight, sensitive_features, clusters)
    weighted = source is None and sample_weight is not None and np.ndim(sample_weight) > 0
    candidates = Candidates.of(models, by, weighted, source is None and clusters is not None)
    run: Run | SourceComparison
    if source is not None:
        run = SourceComparison(candidates, measures, reference, disparity_groups, n_jobs)
        if callbacks:
            set_callbacks(run, callbacks)
        evidence = run.fit(source, cv, n_repeats, random)
    else:
        sample = _read(X, y, sensitive_features, clusters, sample_weight, weighted)
        run = Run(candidates, tuple(measures.values()))
        if callbacks:
            set_callbacks(run, callbacks)
        for measure in run.measures:
            measure.check_defined(sample.rows.y)
        partitions = make_folds(cv, n_repeats, sample.rows.groups, sample.clusters, random)
        evidence = _measure(run, sample, partitions, reference, disparity_groups, n_jobs, verbose)
    tail = alone = (1 - confidence_level) / 2
    if simultaneous:
        first = candidates.keys.index(reference)
        others = [row[j] for row in evidence.differences for j in range(len(row)) if j != first]
        seed = random.randint(2**31 - 1)
        tail = simultaneous_tail(others, confidence_level, np.random.default_rng(seed))
    return make_comparison(
        candidates,
        labelled,
        evidence,
        (alone, tail),
        reference=reference,
        confidence_level=confidence_level,
        simultaneous=bool(simultaneous),
    )


@dataclass(frozen=True)
class _Sample:
    """The rows of a comparison, as fits are given them and as metrics see them."""

    data: FitData
    rows: Rows
    clusters: Groups | None

    @property
    def counts(self) -> Index:
        """Number of rows with a weight in each group, (G,)."""
        weighted = self.rows.groups.codes[self.rows.weights > 0]
        return np.bincount(weighted, minlength=self.rows.groups.n_groups)

    def design(self, pair: tuple[int, int]) -> Design:
        """Return the quantities to estimate, which need two clusters in each group."""
        groups, n = self.rows.groups, len(self.rows.y)
        codes = np.arange(n) if self.clusters is None else self.clusters.codes
        design = Design(groups, self.rows.weights, pair, codes)
        unit = "row with a weight" if self.clusters is None else "cluster"
        check_counts(design, groups.labels, unit)
        return design


def _read(
    X: Any, y: Any, sensitive_features: Any, clusters: Any, sample_weight: Any, weighted: bool
) -> _Sample:
    """Check the rows."""
    sensitive_features = named_columns(sensitive_features, X)
    clusters = named_columns(clusters, X, "clusters")
    others = {"X": X, "y": y, "sample_weight": sample_weight, "clusters": clusters}
    check_index(sensitive_features, **others)
    check_numbers("y", y)
    n = _num_samples(y)
    groups = encode_groups(sensitive_features, n)
    if groups.n_groups < 2:
        raise ValueError(
            f"sensitive_features has the group {groups.labels[0]!r} only, a comparison needs two"
        )
    units = None if clusters is None else encode_clusters(clusters, n)
    true = check_values("y", y)
    weights = normalized(check_weights(sample_weight, n))
    unweighted = np.flatnonzero(np.bincount(groups.codes, weights) == 0)
    if len(unweighted):
        raise ValueError(
            f"sample_weight is 0 in all rows of the group {groups.labels[unweighted[0]]!r}"
        )
    codes = None if units is None else units.codes
    given = FitData(X, y, sample_weight if weighted else None, sensitive_features, codes)
    return _Sample(given.cuttable(), Rows(true, groups, weights), units)


def _measure(
    run: Run,
    sample: _Sample,
    partitions: list[list[Split]],
    reference: Any,
    disparity_groups: Any,
    n_jobs: int | None,
    verbose: int,
) -> Evidence:
    """Fit all models on all folds of rows in memory, and estimate."""
    rows, measures = sample.rows, run.measures
    check_pair(disparity_groups, rows.groups.labels)
    folds = np.stack([fold_of_rows(partition, len(rows.y)) for partition in partitions])
    found = run.fit(sample.data, rows, partitions, folds, n_jobs, verbose)
    first = run.candidates.keys.index(reference)
    by_repeat = [measures[0].linearise(rows, each).value for each in found.predictions[:, first]]
    pair = find_pair(disparity_groups, rows.groups.labels, np.mean(by_repeat, axis=0)[1:])
    levels, differences = _estimates(sample.design(pair), folds, rows, measures, found, first)
    return Evidence(
        rows.groups,
        sample.counts,
        pair,
        levels,
        differences,
        found.squared_shares,
        (*folds.shape, len(partitions[0])),
        None if sample.clusters is None else sample.clusters.n_groups,
        predictions=found.predictions,
        folds=folds,
    )


def _estimates(
    design: Design,
    folds: Index,
    rows: Rows,
    measures: Sequence[Measure],
    found: Found,
    reference: int,
) -> tuple[list[list[Estimate]], list[list[Estimate]]]:
    """Return estimates of levels and of differences from the reference, by metric and model."""
    n_repeats, n_models = found.predictions.shape[:2]
    levels, differences = [], []
    for t, measure in enumerate(measures):

        def of(j: int, t: int = t, measure: Measure = measure) -> list[Repeat]:
            return [
                Repeat.of(measure.linearise(rows, found.predictions[r, j]), found.outside[r, j, t])
                for r in range(n_repeats)
            ]

        base = of(reference)
        own_levels, own_differences = [], []
        for j in range(n_models):
            repeats = base if j == reference else of(j)
            own_levels.append(estimate(design, folds, repeats))
            changes = [mine - its for mine, its in zip(repeats, base, strict=True)]
            own_differences.append(estimate(design, folds, changes))
        levels.append(own_levels)
        differences.append(own_differences)
    return levels, differences


def _check_models(models: Any) -> None:
    """Raise an error unless there are two regressors by name, at least."""
    if not isinstance(models, Mapping) or not all(isinstance(name, str) for name in models):
        raise TypeError(f"models must be a dict of names and regressors, got {models!r}")
    if len(models) < 2:
        raise ValueError(f"models must hold at least two regressors, got {list(models)}")
    for name, model in models.items():
        has_methods = hasattr(model, "fit") and hasattr(model, "predict")
        if isinstance(model, type) or not has_methods or is_classifier(model):
            raise TypeError(f"models[{name!r}] must be a regressor, got {model!r}")
