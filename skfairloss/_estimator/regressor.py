"""`PixelLossRegressor`: the estimator, by scikit-learn's conventions."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, MultiOutputMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from skfairloss._design import make_design
from skfairloss._estimator.compat import CallbackSupportMixin
from skfairloss._estimator.fitting import fit_model
from skfairloss._estimator.persistence import VersionStampMixin
from skfairloss._estimator.source_fitting import fit_source, predict_source
from skfairloss._estimator.training import check_finite, read_features, read_training
from skfairloss._inputs.elsewhere import is_collection, is_source
from skfairloss._inputs.validation import MatchedScoreMixin, check_numbers
from skfairloss._typing import Array
from skfairloss.rows._collections import predicted, read_source


class PixelLossRegressor(
    VersionStampMixin, CallbackSupportMixin, MultiOutputMixin, MatchedScoreMixin, BaseEstimator
):
    r"""Linear regression with an L1, an L2 or a mixed loss, minimised exactly and certified.

    With row weights :math:`v_i` (``sample_weight``, normalised to sum 1), residuals
    :math:`r_{ik} = y_{ik} - x_i^\top w_k - b_k`, λ = ``loss_mix``, τ = ``quantile``,
    :math:`c_k` = ``scale`` and ρ = ``l1_ratio`` it minimises :math:`\sum_k (L_k + \alpha P_k)`, the
    sum over outputs of loss and penalty:

    .. math::

        L_k = \sum_i v_i \, \ell(r_{ik} / c_k),

    .. math::

        \ell(z) = \lambda \big( |z| + (2\tau - 1) z \big) + (1 - \lambda) z^2,

    .. math::

        P_k = \rho \|w_k / c_k\|_1 + \tfrac{1 - \rho}{2} \|w_k / c_k\|_2^2 .

    The intercept is not penalised. Each fit carries a bound on its distance from the optimum
    (`dual_gap_`), computed independently of the solver.

    Parameters
    ----------
    loss_mix : float, default=0.5
        λ in [0, 1]: 0 is the squared loss (L2), 1 the absolute loss (L1).

    quantile : float, default=0.5
        τ in (0, 1), the quantile that the absolute part aims at. No effect for ``loss_mix=0``.

    scale : float, array-like of shape (n_outputs,) or "auto", default="auto"
        Residual scale c > 0, in units of y, or one for each output. The fit is c times the fit of
        y / c. ``"auto"`` takes one c for all outputs, from the weighted mean absolute deviations
        D_k of the outputs from their weighted medians (from 0 without intercept):
        c = 2 Σ D_k² / Σ D_k, for one output twice the mean absolute error of the best constant;
        1 if y is constant. The fit of a·y + b is then a times the fit of y, plus b, in any unit.
        Outputs of different units take an array.

    alpha : float, default=0.0
        Weight α of the penalty, >= 0. In terms of other estimators: ``Ridge`` has alpha
        α Σs / 2 (s the sample weights) for ``loss_mix=0, l1_ratio=0``; ``Lasso`` α c / 2 for
        ``loss_mix=0, l1_ratio=1``; ``ElasticNet`` A + B and l1_ratio A / (A + B) for
        ``loss_mix=0``, with A = α c ρ / 2 and B = α (1 - ρ) / 2; ``QuantileRegressor`` α / 2 for
        ``loss_mix=1, l1_ratio=1``.

    l1_ratio : float, default=0.0
        Share ρ in [0, 1] of the L1 norm in the penalty, as in ``ElasticNet``.

    fit_intercept : bool, default=True
        If True, fit the intercept b.

    fairness : fairness term or list of them, default=None
        Requests about the groups, from `skfairloss.fairness`: `WorstGroupLoss`,
        `BoundedGroupLoss`, `EqualizedLoss`, `PredictionParity`, `ResidualParity`, or a list of
        terms of different classes (not `EqualizedLoss` with `WorstGroupLoss`). fit then needs
        ``sensitive_features``.

    clip : tuple of two floats, default=None
        Interval (low, high) that predictions are clipped to. Training is not affected, nor are
        `objective_` and `group_losses_`.

    tol : float, default=1e-8
        Duality gap at which a fit counts as optimal, relative to the objective.

    max_iter : int, default=500
        Iterations allowed for each output. Where rows are many a sample of them is solved first:
        its iterations are counted in `n_iter_` but not cut short, and one more is made in any
        case. Passes over rows in blocks are not counted. No effect where the solution has a closed
        form (``loss_mix=0`` without an L1 penalty).

    warm_start : bool, default=False
        If True, start from the coefficients of the previous fit. The optimum reached is the
        same; no effect where the solution has a closed form, or under fairness terms.

    n_jobs : int, default=None
        Number of threads of a fit; ``None`` is 1, -1 all processors. They share the passes over
        the rows of a dense X, and fit several outputs at a time. The model does not depend on
        their number, to the last bit.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_outputs, n_features)
        Coefficients w; two-dimensional where y is.

    intercept_ : float or ndarray of shape (n_outputs,)
        Intercepts b; 0.0 without intercept.

    objective_ : float or ndarray of shape (n_outputs,)
        Attained objective, without a unit. A single number under fairness terms, which couple the
        outputs; so are `dual_gap_` and `infeasibility_`.

    dual_gap_ : float or ndarray of shape (n_outputs,)
        Upper bound on `objective_` minus the smallest possible objective.

    infeasibility_ : float or ndarray of shape (n_outputs,)
        Largest violation of a fairness term, relative to its bound, or for parities to the mean
        absolute deviation of y; 0 without fairness terms.

    scale_ : float or ndarray of shape (n_outputs,)
        Residual scale c used, in units of y.

    squared_share_ : float
        Share of the squared part, (1 - λ) z², in the attained loss, over all outputs: 1 at
        ``loss_mix=0``, 0 at ``loss_mix=1``. Close to one of these the mix is that end at this
        scale. NaN for a loss of 0.

    n_iter_ : int
        Iterations of the solver, the most of any output.

    n_features_in_ : int
        Number of features seen in fit.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features; only where X has string column names.

    groups_ : ndarray of shape (n_groups,) or (n_groups, n_columns)
        The groups, a row for each; only where fit got ``sensitive_features``.

    group_losses_ : ndarray of shape (n_groups,)
        Mean loss of each group over its rows and the outputs, before ``clip``, without a unit;
        only with ``sensitive_features``.

    group_errors_ : dict of str to ndarray of shape (n_groups,)
        Mean absolute error, "mae", and mean squared error, "mse", of each group over its rows and
        the outputs, before ``clip``, in units of y and their square; only with
        ``sensitive_features``.

    group_weights_ : ndarray of shape (n_groups,)
        Weights W of the groups' mix. Where fairness terms on losses have ``loss=None``, the fit is
        the plain fit under them, minimising
        Σ_g W_g · (loss of group g, summed over the outputs) + penalty; a term about another loss
        adds a multiple of that loss. Without terms on losses, the groups' shares of the sample
        weight. Only with ``sensitive_features``.

    multipliers_ : dict of str to ndarray
        Lagrange multipliers of the fairness terms by the name of their class: (n_groups,) for
        terms on losses, (n_groups,) or (n_groups, n_outputs) for parities, per unit of the bound or
        tolerance. 0 where a term costs nothing. Only with ``fairness``.

    See Also
    --------
    skfairloss.metrics.group_metric_frame : Accuracy by group of any model's predictions.
    sklearn.linear_model.QuantileRegressor : The same optimum for ``loss_mix=1``.
    sklearn.linear_model.ElasticNet : The same optimum for ``loss_mix=0``.

    Notes
    -----
    Where the optimum is not unique, the fit is the limit of the mix as ``loss_mix`` tends to 1,
    and among several models with these predictions and this penalty the one of smallest norm. It
    does not depend on the order of the rows, and a weight of k gives the fit of k copies.

    Rows of weight zero do not enter the fit. Sparse X is not densified.

    With scikit-learn >= 1.9, ``set_callbacks`` takes callbacks such as
    `sklearn.callback.ProgressBar`, `sklearn.callback.ScoringMonitor` and
    `skfairloss.callbacks.GroupLossMonitor`. One that stops the fit leaves the model reached so far,
    and a warning that states its gap.

    References
    ----------
    R. Koenker and G. Bassett, "Regression quantiles", Econometrica 46 (1978), 33-50.

    Examples
    --------
    A constant prediction for 30 dark pixels (0.3) and 70 bright ones (0.9):

    >>> import numpy as np
    >>> from skfairloss import PixelLossRegressor
    >>> X, y = np.zeros((100, 1)), np.repeat([0.3, 0.9], [30, 70])
    >>> group = np.repeat(["dark", "bright"], [30, 70])
    >>> for loss_mix in (0, 0.25, 1):
    ...     model = PixelLossRegressor(loss_mix).fit(X, y, sensitive_features=group)
    ...     print(loss_mix, round(model.intercept_, 4), model.dual_gap_ < 1e-12)
    0 0.72 True
    0.25 0.744 True
    1 0.9 True
    >>> dict(zip(model.groups_.tolist(), model.group_losses_.round(6).tolist()))
    {'bright': 0.0, 'dark': 1.666667}
    """

    __metadata_request__fit: ClassVar[dict[str, bool]] = {"sensitive_features": True}

    def __init__(
        self,
        loss_mix: float = 0.5,
        *,
        quantile: float = 0.5,
        scale: float | str | ArrayLike = "auto",
        alpha: float = 0.0,
        l1_ratio: float = 0.0,
        fit_intercept: bool = True,
        fairness: Any = None,
        clip: tuple[float, float] | None = None,
        tol: float = 1e-8,
        max_iter: int = 500,
        warm_start: bool = False,
        n_jobs: int | None = None,
    ) -> None:
        self.loss_mix = loss_mix
        self.quantile = quantile
        self.scale = scale
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.fairness = fairness
        self.clip = clip
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.n_jobs = n_jobs

    def __sklearn_tags__(self) -> Tags:
        """Return the tags of scikit-learn: sparse X is accepted."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
        sensitive_features: Any = None,
    ) -> Self:
        """Fit the model. A fit that fails or is interrupted leaves the estimator as it was.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or row source
            Features; finite numbers. A source of `skfairloss.rows` holds all rows, with their
            targets, weights and groups. With a Dask Array or DataFrame the other arguments are
            collections of Dask as well, in the same partitions; fit computes on the scheduler
            that is current, and leaves nothing there.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Targets; finite numbers. ``None`` with a source alone.

        sample_weight : array-like of shape (n_samples,) or float, default=None
            Weights >= 0 of the rows, not all 0; ``None`` weighs all rows the same. Only their
            ratios matter.

        sensitive_features : array-like of shape (n_samples,) or (n_samples, k), default=None
            Columns whose combinations of values are the groups: a list, an array, a Series or
            DataFrame of pandas or polars, or a dict of 1-D arrays. A column name, or a list of
            them, takes columns of a DataFrame X; they stay features, so that they must hold
            numbers. Rows are matched by position; where several arguments are pandas objects,
            their indices must be equal.

        Returns
        -------
        self : PixelLossRegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter is out of range, or an argument is not what is described above.

        NotImplementedError
            If rows of a source or of Dask are asked for what needs all rows in one array.

        RuntimeError
            If such rows change between two passes.

        skfairloss.exceptions.InfeasibleFairnessError
            If no model meets the fairness terms.

        Warns
        -----
        sklearn.exceptions.ConvergenceWarning
            If the duality gap stays above ``tol``, as where a callback stops the fit, or a tie
            could not be resolved.

        skfairloss.exceptions.UnmetFairnessWarning
            If an `EqualizedLoss` is not met to its tolerance.
        """
        before = self.__dict__.copy()
        try:
            previous = self._models() if self.warm_start else None
            self._forget()
            source = read_source(X, y, sample_weight, sensitive_features)
            if source is not None:
                fit_source(self, source)
                return self
            training = read_training(self, X, y, sample_weight, sensitive_features)
            fit_model(self, training, training.start(previous))
            return self
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def predict(self, X: Any) -> Any:
        """Predict, clipped to ``clip`` where that is set.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or row source
            Features; a Dask Array or DataFrame as well.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions, in units of y. For a source an iterator over those of its blocks. For a
            Dask Array a lazy one of the same rows in a chunk; for a Dask DataFrame a lazy Series,
            "prediction", or a DataFrame for several outputs, with the index of X.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the model is not fitted.

        ValueError
            If X has other columns than in fit, or values that are not finite numbers.
        """
        check_is_fitted(self)
        if is_collection(X):
            return predicted(self, X)
        if is_source(X):
            return predict_source(self, X)
        check_numbers("X", X)
        design = make_design(read_features(self, X, reset=False))
        check_finite(self, design)
        prediction = design.predict(self.coef_.T, self.intercept_)
        return prediction if self.clip is None else np.clip(prediction, *self.clip)

    def _models(self) -> tuple[Array, Array] | None:
        """Return the models of the previous fit, (p, m) and (m,).

        None where there are none, or they are not finite.
        """
        if not hasattr(self, "coef_"):
            return None
        coef = np.atleast_2d(self.coef_).T
        if not (np.isfinite(coef).all() and np.isfinite(self.intercept_).all()):
            return None
        return coef, np.broadcast_to(self.intercept_, coef.shape[1])

    def _forget(self) -> None:
        """Remove the previous fit: what this one does not set must not survive."""
        for name in [name for name in self.__dict__ if name.endswith("_") and name[0] != "_"]:
            delattr(self, name)
