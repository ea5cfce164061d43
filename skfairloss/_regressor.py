"""`PixelLossRegressor`: from scikit-learn's conventions to a `Problem`, and back."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, MultiOutputMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags
from sklearn.utils.validation import assert_all_finite, check_is_fitted, validate_data

from skfairloss._attributes import Attributes
from skfairloss._certificate import certify
from skfairloss._columns import named_columns
from skfairloss._compat import CallbackSupportMixin, has_callbacks, with_callbacks
from skfairloss._design import make_design
from skfairloss._groups import Groups, check_index, encode_groups
from skfairloss._parameters import (
    Check,
    check_parameters,
    is_integer,
    is_interval,
    is_positive,
    is_real,
)
from skfairloss._persistence import VersionStampMixin
from skfairloss._place import with_place
from skfairloss._problem import Certificate, Problem, Solution, Start
from skfairloss._scale import in_units, residual_scale
from skfairloss._solvers import Equalized, solve, solve_equalized
from skfairloss._threads import one_blas_thread
from skfairloss._typing import Array
from skfairloss._validation import (
    MatchedScoreMixin,
    check_dimensions,
    check_numbers,
    check_weights,
    normalized,
)
from skfairloss.callbacks import FitTasks
from skfairloss.exceptions import UnmetFairnessWarning
from skfairloss.fairness import FairnessTerm, GroupedData, read_terms, translate
from skfairloss.losses import MixedLoss

_CHECKS: dict[str, Check] = {
    "loss_mix": (lambda v: is_real(v) and 0 <= v <= 1, "a number in [0, 1]"),
    "quantile": (lambda v: is_real(v) and 0 < v < 1, "a number in (0, 1)"),
    "scale": (
        lambda v: v == "auto" if isinstance(v, str) else is_positive(v),
        "'auto', a number > 0 or an array with one for each output",
    ),
    "alpha": (lambda v: is_real(v) and v >= 0, "a number >= 0"),
    "l1_ratio": (lambda v: is_real(v) and 0 <= v <= 1, "a number in [0, 1]"),
    "fit_intercept": (lambda v: isinstance(v, bool | np.bool_), "True or False"),
    "clip": (lambda v: v is None or is_interval(v), "None or a pair (low, high) with low < high"),
    "tol": (lambda v: is_real(v) and v > 0, "a number > 0"),
    "max_iter": (lambda v: is_integer(v) and v >= 1, "an integer >= 1"),
    "warm_start": (lambda v: isinstance(v, bool | np.bool_), "True or False"),
    "n_jobs": (lambda v: v is None or (is_integer(v) and v != 0), "None or an integer but not 0"),
}


@dataclass(frozen=True)
class Training:
    """What a fit reads from its parameters and data; all but the loss is the same for any mix.

    Parameters
    ----------
    problem : the optimisation problem, in units of the residual scale.
    scale : (m,), the residual scale c of each output.
    spread : tolerance of an `EqualizedLoss`; None without one.
    groups : the groups of the rows; None where they are not known.
    terms : the fairness terms.
    single : whether y is one-dimensional.
    given : X, y and sample_weight as the user gave them, for callbacks.
    """

    problem: Problem
    scale: Array
    spread: float | None
    groups: Groups | None
    terms: tuple[FairnessTerm, ...]
    single: bool
    given: tuple[Any, Any, Any]

    def start(self, models: tuple[Array, Array] | None) -> Start | None:
        """Return models in units of y as a start. None where their shape is another."""
        shape = self.problem.design.shape[1], self.problem.n_outputs
        if models is None or models[0].shape != shape:
            return None
        return Start(models[0] / self.scale, models[1] / self.scale)

    def with_loss_mix(self, loss_mix: float) -> Training:
        """The same data and penalty under another mix."""
        loss = replace(self.problem.loss, loss_mix=float(loss_mix))
        return replace(self, problem=self.problem.with_loss(loss))


class PixelLossRegressor(
    VersionStampMixin, CallbackSupportMixin, MultiOutputMixin, MatchedScoreMixin, BaseEstimator
):
    r"""Linear regression with an L1, an L2 or a mixed loss, minimised exactly and certified.

    With row weights :math:`v_i` (``sample_weight``, normalised to sum 1), residuals
    :math:`r_{ik} = y_{ik} - x_i^\top w_k - b_k`, λ = ``loss_mix``, τ = ``quantile``,
    :math:`c_k` = ``scale`` and ρ = ``l1_ratio`` it minimises

    .. math::

        \sum_k \Big[ \sum_i v_i \, \ell(r_{ik} / c_k)
        + \alpha \big( \rho \|w_k / c_k\|_1 + \tfrac{1 - \rho}{2} \|w_k / c_k\|_2^2 \big) \Big],

    .. math::

        \ell(z) = \lambda \big( |z| + (2\tau - 1) z \big) + (1 - \lambda) z^2 .

    The intercept is not penalised. Each fit carries a bound on its distance from the optimum
    (`dual_gap_`), computed independently of the solver.

    Parameters
    ----------
    loss_mix : float, default=0.5
        λ in [0, 1]: 0 is the squared loss (L2), 1 the absolute loss (L1).

    quantile : float, default=0.5
        τ in (0, 1), the quantile that the absolute part aims at. No effect for ``loss_mix=0``.

    scale : float, array-like of shape (n_outputs,) or "auto", default="auto"
        Residual scale c > 0, in units of y, or one for each output. The fit is that of y / c,
        times c. ``"auto"`` takes one c for all outputs, from the weighted mean absolute deviation
        :math:`D_k` of output k from its weighted median (from 0 without intercept):
        :math:`c = 2 \sum_k D_k^2 / \sum_k D_k`, for one output twice the mean absolute error of
        the best constant; 1 where y is constant. The fit of a·y + b is then a times the fit of y,
        plus b, whatever the unit. Outputs of different units take an array.

    alpha : float, default=0.0
        Weight of the penalty, >= 0. In terms of other estimators: ``Ridge`` has alpha
        α Σs / 2 (s the sample weights) for ``loss_mix=0, l1_ratio=0``; ``Lasso`` α c / 2 for
        ``loss_mix=0, l1_ratio=1``; ``ElasticNet`` A + B and l1_ratio A / (A + B) for
        ``loss_mix=0``, with A = α c ρ / 2 and B = α (1 - ρ) / 2; ``QuantileRegressor`` α / 2 for
        ``loss_mix=1, l1_ratio=1``.

    l1_ratio : float, default=0.0
        Share ρ in [0, 1] of the L1 norm in the penalty, as in ``ElasticNet``.

    fit_intercept : bool, default=True
        Whether to fit b.

    fairness : fairness term or list of them, default=None
        What is asked of the groups, from `skfairloss.fairness`: `WorstGroupLoss`,
        `BoundedGroupLoss`, `EqualizedLoss`, `PredictionParity`, `ResidualParity`, or a list of
        terms of different classes (not `EqualizedLoss` with `WorstGroupLoss`). fit then needs
        ``sensitive_features``.

    clip : tuple of two floats, default=None
        Interval (low, high) that predictions are clipped to. Training is not affected, nor are
        `objective_` and `group_losses_`.

    tol : float, default=1e-8
        Duality gap at which a fit counts as optimal, relative to the objective.

    max_iter : int, default=500
        Iterations allowed for each output. No effect where the solution has a closed form
        (``loss_mix=0`` without an L1 penalty).

    warm_start : bool, default=False
        Whether to start from the coefficients of the previous fit. The optimum reached is the
        same; no effect where the solution has a closed form, or under fairness terms.

    n_jobs : int, default=None
        Number of outputs to fit at a time, in threads; ``None`` is 1, -1 all processors. No effect
        under fairness terms.

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

    group_weights_ : ndarray of shape (n_groups,)
        Weights W under which the fit is the plain fit of the group losses, minimising
        Σ_g W_g · (loss of group g, summed over the outputs) + penalty. Without fairness terms on
        losses, the groups' shares of the sample weight. Only with ``sensitive_features``.

    multipliers_ : dict of str to ndarray
        Lagrange multipliers of the fairness terms by the name of their class: (n_groups,) for
        terms on losses, (n_groups,) or (n_groups, n_outputs) for parities. 0 where a term costs
        nothing. Only with ``fairness``.

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
        """Tags of scikit-learn: sparse X is accepted."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        sensitive_features: Any = None,
    ) -> Self:
        """Fit the model. A fit that fails or is interrupted leaves the estimator as it was.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features; finite numbers.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets; finite numbers.

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
            training = self._read(X, y, sample_weight, sensitive_features)
            self._fit_to(training, training.start(previous))
            return self
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def _read(self, X: Any, y: Any, sample_weight: Any, sensitive_features: Any) -> Training:
        """Check parameters and data, and put them into the form that solvers take."""
        check_parameters(type(self).__name__, vars(self), _CHECKS)
        terms = read_terms(self.fairness)
        if terms and sensitive_features is None:
            raise ValueError(
                f"fairness={self.fairness!r} needs the groups: pass sensitive_features to fit"
            )
        sensitive_features = named_columns(sensitive_features, X)
        check_index(sensitive_features, X=X, y=y, sample_weight=sample_weight)
        given = X, y, sample_weight
        X, y = self._validate(X, y)
        weights = normalized(check_weights(sample_weight, len(y)))
        groups = None
        if sensitive_features is not None:
            groups = encode_groups(sensitive_features, len(y))
        kept = weights > 0
        if not kept.all():
            self._check_finite(X, np.array([np.nan]))
            X, y, weights = X[kept], y[kept], weights[kept]
            groups = groups.subset(kept) if groups is not None else None
        targets = y.reshape(len(y), -1)
        scale = residual_scale(self.scale, targets, weights, bool(self.fit_intercept))
        problem, spread = self._problem(X, targets, weights, scale, terms, groups)
        with one_blas_thread(X.shape[1]):
            self._check_finite(X, problem.means)
        return Training(problem, scale, spread, groups, terms, y.ndim == 1, given)

    def _fit_to(self, training: Training, start: Start | None) -> Start:
        """Fit to what was read; return where a fit of the same data under another mix may start."""
        problem, groups = training.problem, training.groups
        attributes = Attributes(problem, training.scale, groups, training.single)
        with one_blas_thread(problem.design.shape[1], problem.design.blas_size):
            problem, solution = self._solve(training, start, attributes)
            certificate = certify(problem, solution, self.tol)
        self._warn_unless_certified(solution, certificate)
        self.__dict__.update(
            attributes.model(solution.coef, solution.intercept, residual=certificate.residual)
        )
        self.__dict__.update(attributes.certificate(certificate))
        self.__dict__.update(attributes.constraints(problem, solution, training.terms))
        self.squared_share_ = problem.squared_share(certificate.residual)
        self.n_iter_ = int(solution.n_iter.max())
        return Start(solution.coef, solution.intercept, solution.measured)

    def predict(self, X: ArrayLike) -> Array:
        """Predict, clipped to ``clip`` where that is set.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions, in units of y.
        """
        check_is_fitted(self)
        check_numbers("X", X)
        X = validate_data(
            self, X, reset=False, accept_sparse=["csr", "csc"], dtype=[np.float64, np.float32]
        )
        prediction = make_design(X).predict(self.coef_.T, self.intercept_)
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

    def _validate(self, X: Any, y: Any) -> tuple[Any, Array]:
        """X as a float array or CSR/CSC matrix, y as a float64 array of one or two dimensions."""
        for name, value in (("X", X), ("y", y)):
            check_dimensions(name, value)
            check_numbers(name, value)
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            dtype=[np.float64, np.float32],
            y_numeric=True,
            multi_output=True,
            ensure_all_finite=False,  # a pass over X that `_check_finite` spares
        )
        assert_all_finite(y, input_name="y", estimator_name=type(self).__name__)
        return X, np.asarray(y, dtype=np.float64)

    def _check_finite(self, X: Any, sums: Array) -> None:
        """Refuse NaN and infinite features, which sums of all of X with positive weights show."""
        if not np.isfinite(sums).all():
            assert_all_finite(
                X.data if issparse(X) else X, input_name="X", estimator_name=type(self).__name__
            )

    def _problem(
        self,
        X: Any,
        targets: Array,
        weights: Array,
        scale: Array,
        terms: tuple[FairnessTerm, ...],
        groups: Groups | None,
    ) -> tuple[Problem, float | None]:
        """The optimisation problem of validated data, and the spread of an `EqualizedLoss`."""
        y = in_units(targets, scale)
        problem = Problem(
            design=make_design(X),
            y=y,
            weights=weights,
            loss=MixedLoss(float(self.loss_mix), float(self.quantile)),
            l1=float(self.alpha * self.l1_ratio),
            l2=float(self.alpha * (1.0 - self.l1_ratio)),
            fit_intercept=bool(self.fit_intercept),
        )
        if not terms or groups is None:
            return problem, None
        asked = translate(terms, GroupedData(groups, problem.design, y, weights, scale))
        return replace(problem, criterion=asked.criterion, linear=asked.linear), asked.spread

    def _remedy(self, solution: Solution, output: int) -> str:
        """What to do about a gap."""
        if solution.stopped[output]:
            return "a callback stopped the fit: let it go on"
        if solution.n_iter[output] >= self.max_iter:
            return "raise max_iter"
        return (
            "rounding limits what can be reached: raise tol, or bring the columns of X and the "
            "weights to comparable sizes"
        )

    @with_callbacks
    def _solve(
        self,
        training: Training,
        start: Start | None,
        attributes: Attributes,
    ) -> tuple[Problem, Solution]:
        """Solve, and tell callbacks, if any, as it goes; also the problem that was solved."""
        problem, spread, tasks = training.problem, training.spread, None
        if has_callbacks(self):
            n_tasks = 1 if problem.constrained else problem.n_outputs
            tasks = FitTasks(self, n_tasks, _shown(*training.given), attributes.model)
        on_iteration = None if tasks is None else tasks.on_iteration
        if spread is not None:
            found = solve_equalized(
                problem, spread, tol=self.tol, max_iter=self.max_iter, on_iteration=on_iteration
            )
            self._warn_unless_equal(found, spread)
            problem, solution = found.problem, found.solution
        else:
            solution = solve(
                problem,
                tol=self.tol,
                max_iter=self.max_iter,
                start=start,
                n_jobs=self.n_jobs,
                on_iteration=on_iteration,
            )
        if tasks is not None:
            tasks.end(solution.coef, solution.intercept)
        return problem, solution

    def _warn_unless_equal(self, found: Equalized, tolerance: float) -> None:
        """State the spread of the group losses that is left, and why, where it is too large."""
        if found.within(tolerance) or found.solution.stopped.any():
            return
        why = "the smallest spread on the path of falling largest losses"
        if found.lowest:
            why = (
                "the largest of the losses cannot be lowered further, and the rest could only be "
                "closed by making a group worse"
            )
        warnings.warn(
            with_place(
                f"EqualizedLoss left a spread of {found.spread:.6g} between the group losses, "
                f"tolerance={tolerance:.6g}: {why}"
            ),
            UnmetFairnessWarning,
            stacklevel=6,
        )

    def _warn_unless_certified(self, solution: Solution, certificate: Certificate) -> None:
        """State the gap reached, and the remedy, where a fit is not certified."""
        open_outputs = np.flatnonzero(~certificate.certified)
        if len(open_outputs):
            worst = open_outputs[np.argmax(certificate.gap[open_outputs])]
            n_outputs = len(certificate.gap)
            where = ""
            if n_outputs > 1:
                where = f" for {len(open_outputs)} of {n_outputs} outputs; in output {worst}"
            remedy = self._remedy(solution, worst)
            warnings.warn(
                with_place(
                    f"{type(self).__name__} did not reach tol={self.tol}{where}: the objective "
                    f"{certificate.objective[worst]:.6g} is at most {certificate.gap[worst]:.3g} "
                    f"above the optimum. Remedy: {remedy}"
                ),
                ConvergenceWarning,
                stacklevel=4,
            )
        elif not solution.tie_resolved.all():
            warnings.warn(
                with_place(
                    f"{type(self).__name__} found an optimum that is not unique, and did not "
                    "resolve the tie: other coefficients have the same objective. Remedy: a small "
                    "alpha, or loss_mix slightly below 1"
                ),
                ConvergenceWarning,
                stacklevel=4,
            )


def _shown(X: Any, y: Any, sample_weight: Any) -> dict[str, Any]:
    """What callbacks score a fit by: the data as given, and weights where each row has one.

    Groups are not among the metadata: scorers without such a parameter would fail.
    """
    metadata = {"sample_weight": sample_weight} if np.ndim(sample_weight) else {}
    return {"X": X, "y": y, "metadata": metadata}
