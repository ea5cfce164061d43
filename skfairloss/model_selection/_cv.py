"""`PixelLossRegressorCV`: cross-validation over mixes, penalties and strengths of terms."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, MultiOutputMixin, clone
from sklearn.utils import Tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _num_samples, check_is_fitted, indexable

from skfairloss._estimator.compat import CallbackSupportMixin, with_callbacks
from skfairloss._estimator.persistence import VersionStampMixin
from skfairloss._estimator.regressor import PixelLossRegressor
from skfairloss._estimator.source_fitting import watched
from skfairloss._estimator.training import read_training
from skfairloss._inputs.columns import named_columns
from skfairloss._inputs.place import fitting_at
from skfairloss._inputs.validation import MatchedScoreMixin, check_weights, normalized
from skfairloss._rows.source import RowSource
from skfairloss._typing import Array
from skfairloss.model_selection._choice import criterion, make_choice
from skfairloss.model_selection._data import FitData
from skfairloss.model_selection._evaluation import Evaluation
from skfairloss.model_selection._failures import check_scored, warn_of_failures
from skfairloss.model_selection._grid import Candidate, Grid
from skfairloss.model_selection._path import LOSS_MIXES
from skfairloss.model_selection._results import collect_results
from skfairloss.model_selection._scores import Scores
from skfairloss.model_selection._scoring import Given, Scorers, make_scorers
from skfairloss.model_selection._search_folds import FoldOfSearch, search_folds
from skfairloss.model_selection._source_fits import Job
from skfairloss.model_selection._source_search import SourceSearch, folds_of_source
from skfairloss.model_selection._tasks import FitsTasks
from skfairloss.rows._collections import read_source

Choice = Callable[[dict[str, Any]], int]
_OF_THE_REGRESSOR = (
    "quantile",
    "scale",
    "l1_ratio",
    "fit_intercept",
    "clip",
    "tol",
    "max_iter",
)


class PixelLossRegressorCV(
    VersionStampMixin, CallbackSupportMixin, MultiOutputMixin, MatchedScoreMixin, BaseEstimator
):
    """Choose mix, penalty and strengths of terms of a `PixelLossRegressor` by cross-validation.

    Candidates, folds, scores and choice are those of ``GridSearchCV`` over the same grid. It takes
    less time: each fold is read once, and each fit starts from the solution of the mix or strength
    next to it. Every fit has a certificate of its own.

    Parameters
    ----------
    loss_mixes : sequence of floats, default=(0.0, 0.25, 0.5, 0.75, 1.0)
        Mixes to try, in [0, 1]: 0 is L2, 1 is L1.

    alphas : sequence of floats, default=(0.0,)
        Weights of the penalty to try, >= 0.

    cv : int, splitter or iterable of splits, default=None
        The folds, as in ``GridSearchCV``; a generator of splits serves one ``fit``. ``None`` is
        5-fold without shuffling. To have every group in every fold, pass
        ``list(StratifiedKFold(...).split(X, groups))``. For rows of a source or of Dask a number.

    scoring : str, callable, list of str or dict, default=None
        Scoring of the rows left out: a name known to scikit-learn, a scorer such
        as those of `skfairloss.metrics.make_group_scorer`, or several, as a list of names or a
        dict of names and scorers. ``None`` is R². For rows of a source or of Dask, scores that are
        sums over rows.

    refit : True, str or callable, default=True
        Rule that chooses the candidate. True takes the best score; with several scorers give the
        name of one of them, or a callable that takes ``cv_results_`` and returns an index, such
        as `best_within_disparity`.

    error_score : "raise" or float, default=nan
        Score of a fit or a scorer that fails, or of a scorer that returns NaN, with a warning;
        ``"raise"`` raises. A candidate with a NaN is never chosen.

    quantile : float, default=0.5
        As in `PixelLossRegressor`, like the following.

    scale : float, array-like of shape (n_outputs,) or "auto", default="auto"
        Residual scale; ``"auto"`` is taken from the training rows of each fold.

    l1_ratio : float, default=0.0
        Share of the L1 norm in the penalty.

    fit_intercept : bool, default=True
        If True, fit an intercept.

    fairness : fairness term or list of them, default=None
        Requests about the groups in every fit.

    fairness_grid : dict or list of dicts, default=None
        Values of the term's parameters to try, such as ``{"weight": [0, 0.5, 0.9]}``, in the place
        of those of ``fairness``. Where that is a list, a list of dicts in the same order, ``{}``
        for a term that stays as it is. All combinations are tried, with each mix and alpha.
        ``None`` leaves the terms as they are.

    clip : tuple of two floats, default=None
        Interval that predictions are clipped to, those that are scored included.

    tol : float, default=1e-8
        Duality gap at which a fit counts as optimal.

    max_iter : int, default=500
        Iterations allowed for each output.

    n_jobs : int, default=None
        Number of folds to work on at a time, in threads; ``None`` is 1, -1 all processors. For rows
        of a source or of Dask the number of fits that work at a time between passes.

    Attributes
    ----------
    loss_mix_ : float
        The mix chosen.

    alpha_ : float
        The weight of the penalty chosen.

    fairness_ : fairness term or list of them
        The terms of the candidate chosen, not those that were passed but copies; None without.

    cv_results_ : dict of str to array
        Scores and times of all candidates, in the form of ``GridSearchCV``: ``params``,
        ``param_loss_mix``, ``param_alpha``, ``split0_test_score``, ..., ``mean_test_score``,
        ``std_test_score``, ``rank_test_score`` (the name of the scorer in place of ``score`` where
        there are several), ``mean_fit_time``, ``mean_score_time``, ... in seconds. The time for
        reading a fold counts with its first fit. A parameter of ``fairness_grid`` is there as
        ``param_fairness__weight``, or ``param_fairness__WorstGroupLoss__weight`` where ``fairness``
        is a list.

    best_index_ : int
        Position of the candidate chosen.

    best_params_ : dict
        ``loss_mix``, ``alpha`` and the parameters of ``fairness_grid`` of the candidate chosen.

    best_score_ : float
        Mean score of the candidate chosen; absent if ``refit`` is a callable.

    best_estimator_ : PixelLossRegressor
        The candidate chosen, fitted to all rows. It has the attributes below as well.

    scorer_ : callable or dict of callables
        Scorers of the candidates.

    multimetric_ : bool
        True if there are several scorers.

    n_splits_ : int
        Number of folds.

    refit_time_ : float
        Seconds that the last fit took.

    coef_ : ndarray of shape (n_features,) or (n_outputs, n_features)
        Coefficients.

    intercept_ : float or ndarray of shape (n_outputs,)
        Intercepts.

    objective_ : float or ndarray of shape (n_outputs,)
        Attained objective.

    dual_gap_ : float or ndarray of shape (n_outputs,)
        Upper bound on `objective_` minus the smallest possible objective.

    infeasibility_ : float or ndarray of shape (n_outputs,)
        Largest violation of a fairness term.

    scale_ : float or ndarray of shape (n_outputs,)
        Residual scale used.

    squared_share_ : float
        Share of the squared part in the attained loss.

    n_iter_ : int
        Iterations of the solver in the last fit.

    n_features_in_ : int
        Number of features seen in fit.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features; only where X has string column names.

    groups_ : ndarray of shape (n_groups,) or (n_groups, n_columns)
        The groups; only with ``sensitive_features``, like the next three.

    group_losses_ : ndarray of shape (n_groups,)
        Mean loss of each group in the last fit.

    group_errors_ : dict of str to ndarray of shape (n_groups,)
        Mean absolute ("mae") and mean squared error ("mse") of each group in the last fit.

    group_weights_ : ndarray of shape (n_groups,)
        Group weights of the equivalent plain fit.

    multipliers_ : dict of str to ndarray
        Lagrange multipliers of the fairness terms; only with ``fairness``.

    See Also
    --------
    loss_mix_path : The fits of one data set.
    compare_loss_mixes : Intervals for the differences between mixes.

    Notes
    -----
    With metadata routing on, ``fit`` takes what the scorers and the splitter request, such as
    ``groups`` for ``GroupKFold``, in place of ``clusters``; ``sensitive_features`` go to the fits
    and to the scorers that request them. With routing off they go to the fits and to the scorers of
    `make_group_scorer` that were made without a column name, and ``sample_weight`` to the scorers
    that can take it. ``clusters`` need no routing.

    Rows of a source of `skfairloss.rows` or of Dask are divided by their position, evenly within
    each group of a block, or by cluster where they have clusters. All folds and mixes of one alpha
    and strength share each pass over the rows, and all scores are one more. Scorers are ``None``,
    "r2", "neg_mean_absolute_error", "neg_mean_squared_error", "neg_root_mean_squared_error" and
    those of `make_group_scorer` with a metric that is a sum over rows; weights count in all of
    them. Times in ``cv_results_`` are equal shares of the time of a step.

    Scores always choose a candidate, even where no difference between candidates is detectable.

    A strength that no model can meet on the rows of a fold is a fit that fails there. The candidate
    has no score in that fold and is never chosen; one that fails in every fold is an error, unless
    ``error_score`` is a number.

    Examples
    --------
    >>> from sklearn.model_selection import StratifiedKFold
    >>> from skfairloss import PixelLossRegressorCV
    >>> from skfairloss.datasets import make_pixel_groups
    >>> X, y, group = make_pixel_groups(300, noise=0.1, random_state=0)
    >>> folds = list(StratifiedKFold(5).split(X, group))
    >>> model = PixelLossRegressorCV(cv=folds, scoring="neg_mean_absolute_error")
    >>> model = model.fit(X, y, sensitive_features=group)
    >>> model.best_params_
    {'alpha': 0.0, 'loss_mix': 1.0}
    >>> len(model.cv_results_["mean_test_score"])
    5

    The weight of the worst-off group, by the error of that group in the rows left out:

    >>> from skfairloss.fairness import WorstGroupLoss
    >>> from skfairloss.metrics import make_group_scorer
    >>> search = PixelLossRegressorCV(
    ...     cv=folds,
    ...     fairness=WorstGroupLoss(),
    ...     fairness_grid={"weight": [0.0, 0.5, 1.0]},
    ...     scoring=make_group_scorer("mae", "group_max"),
    ... )
    >>> search.fit(X, y, sensitive_features=group).best_params_
    {'alpha': 0.0, 'fairness__weight': 0.5, 'loss_mix': 1.0}
    >>> search.fairness_
    WorstGroupLoss(weight=0.5)
    """

    __metadata_request__fit: ClassVar[dict[str, bool]] = {
        "sensitive_features": True,
        "clusters": True,
    }

    def __init__(
        self,
        loss_mixes: Sequence[float] = LOSS_MIXES,
        *,
        alphas: Sequence[float] = (0.0,),
        cv: Any = None,
        scoring: Any = None,
        refit: bool | str | Callable[[dict[str, Any]], int] = True,
        error_score: float | str = np.nan,
        quantile: float = 0.5,
        scale: float | str | ArrayLike = "auto",
        l1_ratio: float = 0.0,
        fit_intercept: bool = True,
        fairness: Any = None,
        fairness_grid: Any = None,
        clip: tuple[float, float] | None = None,
        tol: float = 1e-8,
        max_iter: int = 500,
        n_jobs: int | None = None,
    ) -> None:
        self.loss_mixes = loss_mixes
        self.alphas = alphas
        self.cv = cv
        self.scoring = scoring
        self.refit = refit
        self.error_score = error_score
        self.quantile = quantile
        self.scale = scale
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.fairness = fairness
        self.fairness_grid = fairness_grid
        self.clip = clip
        self.tol = tol
        self.max_iter = max_iter
        self.n_jobs = n_jobs

    def __sklearn_tags__(self) -> Tags:
        """Return the tags of scikit-learn: sparse X is accepted."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def get_metadata_routing(self) -> MetadataRouter:
        """Return the metadata that fit takes, and those it passes to scorers and splitter.

        Returns
        -------
        routing : sklearn.utils.metadata_routing.MetadataRouter
            Requests of this estimator, its scorers and its splitter.
        """
        router = MetadataRouter(owner=type(self).__name__).add_self_request(self)
        mapping = MethodMapping().add(caller="fit", callee="score")
        for key, scorer in make_scorers(self.scoring, PixelLossRegressor()).by_key().items():
            router.add(**{key: scorer}, method_mapping=mapping)
        split = MethodMapping().add(caller="fit", callee="split")
        return router.add(splitter=self.cv, method_mapping=split)  # a generator stays unread

    def fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
        sensitive_features: Any = None,
        clusters: Any = None,
        **params: Any,
    ) -> Self:
        """Score all candidates on all folds, choose, and fit the choice to all rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or row source
            Features, in any form that ``PixelLossRegressor.fit`` takes.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Targets. ``None`` with a source of rows alone, which has all arguments.

        sample_weight : array-like of shape (n_samples,) or float, default=None
            Weights >= 0 of the rows.

        sensitive_features : array-like of shape (n_samples,) or (n_samples, k), default=None
            Columns that define the groups, as in ``PixelLossRegressor.fit``, or names of columns
            of a DataFrame X, which stay features. Folds and scorers get rows of a list, array,
            Series or DataFrame, or else an array of the rows' groups.

        clusters : array-like of shape (n_samples,) or (n_samples, k), default=None
            Rows with the same value belong together, such as those of a person, or names of columns
            of a DataFrame X: no fold splits a cluster. A number of folds is ``GroupKFold`` then,
            and a splitter is given them as ``groups``. ``None`` takes rows as independent.

        **params : dict
            Metadata that scorers and splitter request; only with metadata routing.

        Returns
        -------
        self : PixelLossRegressorCV
            The fitted estimator.

        Raises
        ------
        ValueError
            If an argument is not what is described above; if every fit fails; if a candidate has
            the score NaN in all folds, or every candidate has it in some. The first error is its
            cause.

        skfairloss.exceptions.InfeasibleFairnessError
            If no model meets the fairness terms of the candidate chosen on all rows.

        Warns
        -----
        sklearn.exceptions.FitFailedWarning
            If some of the fits fail, as where a bound cannot be met: their scores are
            ``error_score``. It states the candidates.

        UserWarning
            If some of the scorers fail, the same for them.
        """
        before = self.__dict__.copy()
        try:
            return self._fit(X, y, sample_weight, sensitive_features, clusters, params)
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    @with_callbacks
    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        sensitive_features: Any,
        clusters: Any,
        params: dict[str, Any],
    ) -> Self:
        """Fit; may leave the estimator half-fitted where it raises."""
        grid = self._grid()
        scorers = make_scorers(self.scoring, PixelLossRegressor())
        choose = make_choice(self.refit, scorers)
        for name in [name for name in self.__dict__ if name.endswith("_") and name[0] != "_"]:
            delattr(self, name)
        source = read_source(X, y, sample_weight, sensitive_features, clusters)
        if source is not None:
            if params:
                raise TypeError(f"fit of rows in blocks got unexpected arguments {sorted(params)}")
            return self._fit_source(grid, scorers, choose, source)
        whole = self._data(grid, X, y, sample_weight, sensitive_features)
        folds, for_scorers = self._folds(scorers, whole.cuttable(), clusters, params)
        n_fits = len(grid.candidates) * len(folds)
        tasks = FitsTasks(self, n_fits + 1)
        found = self._search(grid, scorers, whole.cuttable(), folds, for_scorers, tasks)
        chosen = self._choose(grid, scorers, choose, found)
        model, started = self._regressor(**chosen.parameters), time.perf_counter()
        with fitting_at(f"{chosen.place}, all rows"), tasks.fit(n_fits, model):
            model.fit(
                whole.X,
                whole.y,
                sample_weight=whole.sample_weight,
                sensitive_features=whole.sensitive_features,
            )
        self._take_over(model, time.perf_counter() - started)
        tasks.end()
        return self

    def _fit_source(self, grid: Grid, scorers: Scorers, choose: Choice, source: RowSource) -> Self:
        """Do the same for rows in blocks."""
        n_folds, regressor = folds_of_source(self.cv), self._regressor()
        search = SourceSearch(regressor, grid, scorers, self.error_score, self.n_jobs)
        with watched(self, source) as passes:
            found, fits = search(passes, n_folds)
            chosen = self._choose(grid, scorers, choose, found)
            model, started = self._regressor(**chosen.parameters), time.perf_counter()
            for error in filter(None, fits.fit([Job(None, model, f"{chosen.place}, all rows")])):
                raise error
            self._take_over(model, time.perf_counter() - started)
        return self

    def _choose(self, grid: Grid, scorers: Scorers, choose: Choice, found: Scores) -> Candidate:
        """Collect the results, and choose a candidate; its terms are a copy."""
        candidates, n_splits = grid.candidates, len(found.scores)
        params = [candidate.params for candidate in candidates]
        results = collect_results(params, scorers.names, found.scores, found.seconds)
        by_rule, decides = callable(self.refit), criterion(self.refit)
        judged = scorers.names if by_rule else [decides]
        check_scored(found.failures, results, judged, n_splits)
        warn_of_failures(found.failures, results, self.error_score, by_rule)
        self.best_index_ = choose(results)
        self.cv_results_, self.n_splits_ = results, n_splits
        self.scorer_, self.multimetric_ = scorers.as_given, scorers.several
        self.best_params_ = results["params"][self.best_index_]
        if not by_rule:
            self.best_score_ = results[f"mean_test_{decides}"][self.best_index_]
        chosen = candidates[self.best_index_]
        fairness = clone(chosen.strength.fairness, safe=False)
        self.loss_mix_, self.alpha_, self.fairness_ = chosen.loss_mix, chosen.alpha, fairness
        return replace(chosen, strength=replace(chosen.strength, fairness=fairness))

    def _folds(
        self, scorers: Scorers, data: FitData, clusters: Any, params: dict[str, Any]
    ) -> tuple[list[FoldOfSearch], Given]:
        """Return the folds, and the metadata of all rows for each scorer."""
        metadata = {
            "sample_weight": data.sample_weight,
            "sensitive_features": data.sensitive_features,
        }
        for_scorers, for_splitter = scorers.routed(self, metadata, params)
        return search_folds(self.cv, data, clusters, for_splitter), for_scorers

    def _search(
        self,
        grid: Grid,
        scorers: Scorers,
        data: FitData,
        folds: list[FoldOfSearch],
        for_scorers: Given,
        tasks: FitsTasks,
    ) -> Scores:
        """Fit and score all candidates on all folds of rows in memory."""
        evaluate = Evaluation(
            self._regressor(), data, for_scorers, scorers, grid, self.error_score, tasks
        )
        found = Parallel(n_jobs=self.n_jobs, require="sharedmem")(
            delayed(evaluate)(fold) for fold in folds
        )
        return found[0].joined(found[1:])

    def predict(self, X: ArrayLike) -> Array:
        """Predict with the model chosen.

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
        return self.best_estimator_.predict(X)

    def _regressor(self, **parameters: Any) -> PixelLossRegressor:
        """Return a regressor with the parameters shared by all candidates."""
        shared = {name: getattr(self, name) for name in _OF_THE_REGRESSOR}
        return PixelLossRegressor(**shared, **parameters)

    def _grid(self) -> Grid:
        """Return the candidates, with all that does not depend on the data checked."""
        known = isinstance(self.error_score, float | int) or self.error_score == "raise"
        if not known:
            raise ValueError(f"error_score must be 'raise' or a number, got {self.error_score!r}")
        return Grid.read(self.loss_mixes, self.alphas, self.fairness, self.fairness_grid)

    def _data(
        self, grid: Grid, X: Any, y: Any, sample_weight: Any, sensitive_features: Any
    ) -> FitData:
        """Return the arguments of fit, checked and of one length."""
        sensitive_features = named_columns(sensitive_features, X)
        # refuses bad input by name, before any fold could
        models = [self._regressor(fairness=strength.fairness) for strength in grid.strengths]
        training = read_training(models[0], X, y, sample_weight, sensitive_features)
        for model in models[1:]:
            training.under(model)
        if sample_weight is not None:
            sample_weight = normalized(check_weights(sample_weight, _num_samples(y)))
        X, y = indexable(X, y)
        return FitData(X, y, sample_weight, sensitive_features)

    def _take_over(self, model: PixelLossRegressor, seconds: float) -> None:
        """Take over the attributes of the choice, fitted to all rows."""
        self.refit_time_, self.best_estimator_ = seconds, model
        fitted = {name: value for name, value in vars(model).items() if name.endswith("_")}
        self.__dict__.update({n: value for n, value in fitted.items() if n[0] != "_"})
