"""Coefficients of a fitted model with intervals, from exact refits under random weights."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skfairloss._core.solution import Multipliers
from skfairloss._estimator.fitting import fit_model
from skfairloss._estimator.regressor import PixelLossRegressor
from skfairloss._estimator.training import Training, read_training
from skfairloss._inputs.columns import named_columns
from skfairloss._inputs.groups import check_index
from skfairloss._inputs.parameters import (
    BETWEEN_0_AND_1,
    Check,
    check_parameters,
    integer_from,
)
from skfairloss._inputs.place import warn_user
from skfairloss._inputs.validation import check_weights
from skfairloss._typing import Array
from skfairloss.exceptions import UnmetFairnessWarning
from skfairloss.inference._refits import Refits, refit
from skfairloss.inference._report import CoefficientReport
from skfairloss.inference._units import Units
from skfairloss.metrics._bootstrap import Replicates, generator
from skfairloss.metrics._estimates import Evaluated, evaluate, with_limits
from skfairloss.metrics._limits import COMPARISONS, Sizes, find_limits
from skfairloss.metrics._named import Metrics, label_metrics
from skfairloss.metrics._row_metrics import RowMetric
from skfairloss.report import GroupReport

_CHECKS: dict[str, Check] = {"n_boot": integer_from(2), "confidence_level": BETWEEN_0_AND_1}
# Predictions of two fits of the same rows differ by less, relative to the spread of y. Near the
# optimum a loss is flat: a gap of tol moves predictions by about its root.
_SAME = 1e-3


def coefficient_report(
    model: Any,
    X: ArrayLike,
    y: ArrayLike,
    *,
    sensitive_features: Any = None,
    sample_weight: ArrayLike | None = None,
    clusters: Any = None,
    metrics: Metrics = "mae",
    n_boot: int = 500,
    confidence_level: float = 0.95,
    random_state: int | np.random.RandomState | np.random.Generator | None = None,
) -> CoefficientReport:
    r"""Report the coefficients of a fitted model with confidence intervals.

    Each of ``n_boot`` replicates multiplies the weights of the rows, or of whole clusters, by
    independent standard exponential numbers and fits the model again, exactly. How far coefficients
    and group losses vary over the replicates says how sure they are.

    Parameters
    ----------
    model : PixelLossRegressor or Pipeline
        A fitted regressor, alone or as the last step of a pipeline. Steps before it stay as they
        are fitted.

    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Features that the model was fitted to.

    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets that it was fitted to.

    sensitive_features : array-like of shape (n_samples,) or (n_samples, k), default=None
        What defines the groups, as in ``PixelLossRegressor.fit``, or names of columns of X. Needed
        if the model has fairness terms; the report then has losses by group as well.

    sample_weight : array-like of shape (n_samples,), default=None
        Weights that the model was fitted with.

    clusters : array-like of shape (n_samples,), default=None
        What rows belong together, such as persons or schools: independent are the clusters.
        ``None`` takes rows as independent.

    metrics : str, callable, or list or dict of these, default="mae"
        What is reported by group, as in `skfairloss.metrics.group_metric_frame`. No effect without
        ``sensitive_features``.

    n_boot : int, default=500
        Number of replicates, at least 2.

    confidence_level : float, default=0.95
        Of the intervals, in (0, 1).

    random_state : int, RandomState, Generator or None, default=None
        Draws the weights.

    Returns
    -------
    report : CoefficientReport
        ``to_frame()``, ``plot()``, ``groups`` and the replicates; readable in a terminal and in a
        notebook.

    Raises
    ------
    TypeError
        If ``model`` is neither a PixelLossRegressor nor a pipeline that ends in one.

    ValueError
        If the model was fitted to other data, there are no more rows than coefficients, clusters
        are missing or only one, or an option is out of range.

    skfairloss.exceptions.InfeasibleFairnessError
        If no model meets the fairness terms in any replicate.

    Warns
    -----
    sklearn.exceptions.ConvergenceWarning
        If replicates are not certified to the ``tol`` of the model.

    See Also
    --------
    skfairloss.group_report : Intervals for this model on new rows, without its training.

    Notes
    -----
    With weights :math:`s_i`, replicate b is the fit under :math:`s_i E_i^{(b)}` for independent
    :math:`E_i^{(b)}` of the standard exponential distribution, one for each row or for each cluster
    [1]_; that this is valid for quantiles, with clusters, is shown in [2]_ and [3]_. A residual
    scale of "auto" is taken anew, each fit is certified, and starts close to its optimum.

    - Intervals are quantiles of the replicates, further out by what :math:`\sqrt{n / (n - d)}` and
      Student's t with n - d degrees of freedom add to a normal distribution; n is the number of
      rows (with unequal weights :math:`(\sum s)^2 / \sum s^2`) and d that of coefficients, or n
      is the number of clusters and d = 1. Each holds by itself: of 20 coefficients that are 0, one
      is expected to have an interval without 0.
    - ``same_sign`` is the share of replicates with the sign of the coefficient; for one that is 0,
      the share that is 0.
    - Losses by group are those of the training rows under the replicate's weights and model. They
      vary with the rows and with the model trained on them, and have intervals as in
      `group_report`. The model is common to all groups, so differences count the correlation of
      their replicates. Exponential weights double the skewness of a mean, which is taken out of it.
      Training rows are fitted better than new ones: for those, `group_report` on rows left out.
    - A penalty pulls coefficients towards 0, and the interval with them. Under an L1 penalty, or
      where a fairness term binds in some replicates only, the distribution of coefficients is not
      smooth, and intervals can miss their level. Parameters that were chosen from the data, such
      as ``alpha``, are taken as given.

    References
    ----------
    .. [1] D. B. Rubin, "The Bayesian bootstrap", Annals of Statistics 9 (1981), 130-134.

    .. [2] X. Feng, X. He and J. Hu, "Wild bootstrap for quantile regression", Biometrika 98 (2011),
       995-999.

    .. [3] A. Hagemann, "Cluster-robust bootstrap inference in quantile regression models", Journal
       of the American Statistical Association 112 (2017), 446-456.

    Examples
    --------
    >>> import numpy as np
    >>> from skfairloss import PixelLossRegressor, coefficient_report
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 2))
    >>> y = 2 * X[:, 0] + rng.normal(size=200)
    >>> model = PixelLossRegressor(loss_mix=1).fit(X, y)
    >>> report = coefficient_report(model, X, y, n_boot=200, random_state=0)
    >>> report.to_frame().round(2)
       output      feature  coefficient  lower  upper  same_sign
    0       0           x0         1.89   1.73   2.00        1.0
    1       0           x1         0.11  -0.11   0.22        0.9
    2       0  (intercept)        -0.01  -0.18   0.15        0.6
    """
    check_parameters(None, {"n_boot": n_boot, "confidence_level": confidence_level}, _CHECKS)
    regressor = _regressor_of(model)
    check_index(sensitive_features, X=X, y=y, sample_weight=sample_weight, clusters=clusters)
    sensitive_features = named_columns(sensitive_features, X)
    prepared = X if regressor is model else model[:-1].transform(X)
    names = _names(model, regressor)
    again = PixelLossRegressor(**regressor.get_params(deep=False))
    training = read_training(again, prepared, y, sample_weight, sensitive_features)
    models, multipliers = _refitted(regressor, again, training)
    kept = check_weights(sample_weight, len(training.given[1])) > 0
    units = Units.of(clusters, kept, training, models[0].size // len(models[1]))
    seen = None
    if sensitive_features is not None:
        y_pred = regressor.predict(prepared)
        seen = evaluate(y, y_pred, sensitive_features, sample_weight, label_metrics(metrics))
    found = refit(
        again,
        training,
        models,
        multipliers,
        units.numbers,
        int(n_boot),
        generator(random_state),
        _Measure(seen, again, prepared, y, kept),
    )
    _warn_of(found, n_boot)
    return CoefficientReport(
        coef=np.atleast_2d(regressor.coef_),
        intercept=np.atleast_1d(regressor.intercept_),
        names=names,
        refits=found,
        units=units,
        groups=None if seen is None else _groups(seen, found, units, confidence_level, n_boot),
        n_boot=int(n_boot),
        confidence_level=float(confidence_level),
    )


def _regressor_of(model: Any) -> PixelLossRegressor:
    """Return the fitted regressor, which may be the last step of a pipeline."""
    last = model.steps[-1][1] if isinstance(model, Pipeline) else model
    if not isinstance(last, PixelLossRegressor):
        raise TypeError(
            "model must be a fitted PixelLossRegressor, or a pipeline that ends in one, got "
            f"{type(last).__name__}" + (" at the end of a pipeline" if last is not model else "")
        )
    check_is_fitted(last)
    return last


def _names(model: Any, regressor: PixelLossRegressor) -> list[str]:
    """Return the names of the features that the regressor sees."""
    if isinstance(model, Pipeline) and len(model) > 1:
        try:
            return [str(name) for name in model[:-1].get_feature_names_out()]
        except (AttributeError, ValueError):  # a step that has none
            pass
    numbered = [f"x{j}" for j in range(regressor.n_features_in_)]
    return [str(name) for name in getattr(regressor, "feature_names_in_", numbered)]


def _refitted(
    regressor: PixelLossRegressor, again: PixelLossRegressor, training: Training
) -> tuple[tuple[Array, Array], Multipliers | None]:
    """Fit again and return models, (p, m) and (m,), and multipliers; refuse data of another fit."""
    given = np.atleast_2d(regressor.coef_).T, np.atleast_1d(regressor.intercept_)
    shape = training.problem.design.shape[1], training.problem.n_outputs
    if given[0].shape != shape:
        raise ValueError(
            f"model was fitted to {given[0].shape[0]} features and {given[0].shape[1]} outputs, "
            f"got X and y with {shape[0]} and {shape[1]}"
        )
    given = given[0], np.broadcast_to(given[1], shape[1])
    with warnings.catch_warnings():  # the fit of the model itself has said so
        for told in (ConvergenceWarning, UnmetFairnessWarning):
            warnings.simplefilter("ignore", told)
        reached = fit_model(again, training, training.start(given))
    found = np.atleast_2d(again.coef_).T, np.broadcast_to(again.intercept_, shape[1])
    step = (found[0] - given[0]) / training.scale, (found[1] - given[1]) / training.scale
    moved = np.abs(training.problem.design.predict(step[0], step[1]))
    off = float((training.problem.weights @ moved / training.problem.spread).max())
    if not off <= max(_SAME, np.sqrt(again.tol)):
        raise ValueError(
            "model was fitted to other rows, weights or groups: its predictions differ from those "
            f"of a fit to X and y by {off:.3g} of the spread of y on average"
        )
    return found, reached.multipliers


@dataclass(frozen=True)
class _Measure:
    """The metrics of a replicate by group, on the training rows, (n_metrics, G + 1).

    Parameters
    ----------
    seen : what is asked. None where nothing is.
    model : the estimator that is fitted anew.
    X, y : the training rows, as the regressor sees them.
    kept : (n,), rows that have a weight.
    """

    seen: Evaluated | None
    model: PixelLossRegressor
    X: Any
    y: Any
    kept: Array

    def __call__(self, model: PixelLossRegressor, weights: Array) -> Array:
        """Evaluate under weights of the rows kept."""
        if self.seen is None:
            return np.zeros(0)
        everywhere = np.zeros(len(self.kept))
        everywhere[self.kept] = weights
        y_pred, y_true = model.predict(self.X), np.asarray(self.y, dtype=np.float64)
        sets = [*self.seen.rows, np.concatenate(self.seen.rows)]
        by = [RowMetric(m, y_true, y_pred, everywhere, None) for m in self.seen.metrics.values()]
        return np.array([[metric(own, own) for own in sets] for metric in by])


def _groups(seen: Evaluated, found: Refits, units: Units, level: float, n_boot: int) -> GroupReport:
    """Return the losses by group, whose intervals are of the replicates."""
    codes = np.full(len(seen.weights), -1)
    codes[seen.weights > 0] = units.numbers
    sets = [*seen.rows, np.concatenate(seen.rows)]
    sizes = Sizes.of_counts(np.array([len(np.unique(codes[own])) for own in sets]))
    measured = found.measured.transpose(0, 2, 1)
    drawn = Replicates(measured[:, :-1], measured[:, -1])
    method = COMPARISONS[0]
    limits = find_limits(seen.metrics, seen.values, drawn, sizes, method, level)
    return GroupReport(with_limits(seen, limits, method), n_boot=n_boot, confidence_level=level)


def _warn_of(found: Refits, n_boot: int) -> None:
    """State how many replicates are not certified."""
    if found.uncertified:
        warn_user(
            f"{found.uncertified} of {n_boot} replicates are not certified to the tol of the "
            "model. Remedy: that which a fit of the model itself is told",
            ConvergenceWarning,
        )
