"""Fits of one data set along a grid of mixes: read once, each started from the one before."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone

from skfairloss._core.solution import Start
from skfairloss._estimator.compat import CallbackSupportMixin, with_callbacks
from skfairloss._estimator.fitting import fit_model
from skfairloss._estimator.regressor import PixelLossRegressor
from skfairloss._estimator.source_fitting import watched
from skfairloss._estimator.training import Training, read_training
from skfairloss._inputs.parameters import is_integer, is_real
from skfairloss._inputs.place import fitting_at
from skfairloss._rows.source import RowSource
from skfairloss._typing import Array
from skfairloss.displays import CoefficientPathDisplay
from skfairloss.model_selection._data import FitData
from skfairloss.model_selection._source_fits import Job, SourceFits
from skfairloss.model_selection._tasks import FitsTasks
from skfairloss.rows._collections import read_source

LOSS_MIXES = (0.0, 0.25, 0.5, 0.75, 1.0)
_SHOWN = 8  # columns of coefficients in the text of a path; `to_frame` has all


@dataclass(frozen=True, repr=False)
class LossMixPath:
    """Fits of one data set under several mixes; made by `loss_mix_path`.

    Parameters
    ----------
    loss_mixes : ndarray of shape (n_mixes,)
        The mixes, in the order in which they were given.

    models : tuple of PixelLossRegressor
        The fitted models, one for each mix.

    Examples
    --------
    >>> import numpy as np
    >>> from skfairloss.model_selection import loss_mix_path
    >>> X, y = np.zeros((100, 1)), np.repeat([0.3, 0.9], [30, 70])
    >>> path = loss_mix_path(X, y, loss_mixes=[0, 1])
    >>> path.predict([[0.0]]).round(2)
    array([[0.72],
           [0.9 ]])
    >>> bool((path.dual_gaps <= 1e-8 * path.objectives).all())
    True
    >>> path
    LossMixPath: coefficients under 2 values of loss_mix
    <BLANKLINE>
              x0  (intercept)
    loss_mix
    0.0        0         0.72
    1.0        0          0.9
    """

    loss_mixes: Array
    models: tuple[PixelLossRegressor, ...]

    @property
    def coefs(self) -> Array:
        """Coefficients, (n_mixes, n_features) or (n_mixes, n_outputs, n_features)."""
        return self._stacked("coef_")

    @property
    def intercepts(self) -> Array:
        """Intercepts, (n_mixes,) or (n_mixes, n_outputs)."""
        return self._stacked("intercept_")

    @property
    def objectives(self) -> Array:
        """Attained objectives, (n_mixes,) or (n_mixes, n_outputs), without a unit."""
        return self._stacked("objective_")

    @property
    def dual_gaps(self) -> Array:
        """Upper bounds on objective minus optimum, of the shape of ``objectives``."""
        return self._stacked("dual_gap_")

    @property
    def infeasibilities(self) -> Array:
        """Largest violations of a fairness term, of the shape of ``objectives``."""
        return self._stacked("infeasibility_")

    @property
    def n_iters(self) -> Array:
        """Iterations of the solver, (n_mixes,)."""
        return self._stacked("n_iter_")

    @property
    def groups(self) -> Array:
        """The groups, (n_groups,) or (n_groups, n_columns); only with sensitive_features."""
        groups: Array = self._first("groups_")
        return groups

    @property
    def group_losses(self) -> Array:
        """Mean loss of each group, (n_mixes, n_groups); only with sensitive_features.

        Each row is measured by the loss of its own mix: compare groups within a row, not rows.
        """
        self._first("groups_")
        return self._stacked("group_losses_")

    @property
    def group_weights(self) -> Array:
        """Group weights of the equivalent plain fit, (n_mixes, n_groups)."""
        self._first("groups_")
        return self._stacked("group_weights_")

    @property
    def multipliers(self) -> dict[str, Array]:
        """Multipliers of each fairness term, a row for each mix; only with ``fairness``."""
        names = self._first("multipliers_")
        return {name: np.stack([m.multipliers_[name] for m in self.models]) for name in names}

    def predict(self, X: ArrayLike) -> Array:
        """Predict with all models.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.

        Returns
        -------
        y_pred : ndarray of shape (n_mixes, n_samples) or (n_mixes, n_samples, n_outputs)
            Predictions, after ``clip``.
        """
        return np.stack([model.predict(X) for model in self.models])

    def to_frame(self) -> pd.DataFrame:
        """Return all coefficients in one tidy table.

        Returns
        -------
        pandas.DataFrame
            A row for each mix and coefficient: ``loss_mix``, ``output``, ``feature``,
            ``coefficient``.
        """
        coefs = self._by_output
        names = getattr(self.models[0], "feature_names_in_", np.arange(coefs.shape[2]))
        axes = [self.loss_mixes, np.arange(coefs.shape[1]), names]
        index = pd.MultiIndex.from_product(axes, names=["loss_mix", "output", "feature"])
        return pd.Series(coefs.ravel(), index=index, name="coefficient").reset_index()

    def plot(
        self, output: int = 0, *, ax: Any = None, legend: bool = True, title: str | None = None
    ) -> CoefficientPathDisplay:
        """Draw the coefficients of one output along the mix, without the intercept.

        Parameters
        ----------
        output : int, default=0
            Number of the output.

        ax : matplotlib.axes.Axes, default=None
            Where to draw; ``None`` makes a figure.

        legend : bool, default=True
            Whether to name the lines.

        title : str, default=None
            Above the axes; ``None`` leaves the title as it is.

        Returns
        -------
        display : CoefficientPathDisplay
            After its `plot`.

        Raises
        ------
        ValueError
            If there is no such output.
        """
        coefs = self._by_output
        if not is_integer(output) or not 0 <= output < coefs.shape[1]:
            raise ValueError(f"output must be from 0 to {coefs.shape[1] - 1}, got {output!r}")
        display = CoefficientPathDisplay(self.loss_mixes, coefs[:, output], self._features)
        return display.plot(ax, legend=legend, title=title)

    def __repr__(self) -> str:
        coefs, intercepts = self._by_output, self.intercepts.reshape(len(self.loss_mixes), -1)
        n_outputs = coefs.shape[1]
        columns: dict[str, Array] = {}
        for k in range(n_outputs):
            prefix = "" if n_outputs == 1 else f"{k}: "
            columns |= {f"{prefix}{name}": coefs[:, k, j] for j, name in enumerate(self._features)}
            columns[f"{prefix}(intercept)"] = intercepts[:, k]
        table = pd.DataFrame(columns, index=pd.Index(self.loss_mixes, name="loss_mix"))
        width, wide = shutil.get_terminal_size().columns, len(columns) > _SHOWN
        shown = table.to_string(
            float_format=lambda number: f"{number:.4g}",
            line_width=None if wide else width,
            max_cols=_SHOWN if wide else None,
        )
        outputs = f" of {n_outputs} outputs" if n_outputs > 1 else ""
        title = f"LossMixPath: coefficients{outputs} under {len(table)} values of loss_mix"
        return "\n".join(line.rstrip() for line in [title, "", *shown.splitlines()])

    @property
    def _by_output(self) -> Array:
        """Coefficients, (n_mixes, n_outputs, n_features)."""
        return self.coefs.reshape(len(self.loss_mixes), -1, self.models[0].n_features_in_)

    @property
    def _features(self) -> list[str]:
        """Names of the features, or x0, x1, ..."""
        numbered = [f"x{j}" for j in range(self.models[0].n_features_in_)]
        return [str(name) for name in getattr(self.models[0], "feature_names_in_", numbered)]

    def _stacked(self, attribute: str) -> Array:
        return np.stack([np.asarray(getattr(model, attribute)) for model in self.models])

    def _first(self, attribute: str) -> Any:
        """Return an attribute of the first model, or raise an error that names what it needs."""
        if not hasattr(self.models[0], attribute):
            needed = "fairness" if attribute == "multipliers_" else "sensitive_features"
            raise AttributeError(f"the path was fitted without {needed}")
        return getattr(self.models[0], attribute)


def loss_mix_path(
    X: Any,
    y: ArrayLike | None = None,
    *,
    loss_mixes: Sequence[float] = LOSS_MIXES,
    sensitive_features: Any = None,
    sample_weight: ArrayLike | None = None,
    callbacks: Sequence[Any] = (),
    **parameters: Any,
) -> LossMixPath:
    """Fit a `PixelLossRegressor` for each mix of a grid.

    The data are read once, and each fit starts from the solution of the mix next to it. Every fit
    is the one that `PixelLossRegressor` gives, with a certificate of its own.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features) or row source
        Features, in any form that ``PixelLossRegressor.fit`` takes, like the arguments below.

    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        Targets. ``None`` with a source of rows alone.

    loss_mixes : sequence of floats, default=(0.0, 0.25, 0.5, 0.75, 1.0)
        The mixes, in [0, 1], in any order.

    sensitive_features : array-like of shape (n_samples,) or (n_samples, k), default=None
        Columns that define the groups, as in ``PixelLossRegressor.fit``, or names of columns of X;
        needed with ``fairness``.

    sample_weight : array-like of shape (n_samples,), default=None
        Weights >= 0 of the rows.

    callbacks : sequence of callbacks, default=()
        Callbacks of scikit-learn >= 1.9, such as `sklearn.callback.ProgressBar` and
        `skfairloss.callbacks.GroupLossMonitor`.

    **parameters : dict
        Parameters of `PixelLossRegressor` but ``loss_mix`` and ``warm_start``.

    Returns
    -------
    path : LossMixPath
        With ``loss_mixes``, the fitted ``models``, arrays with a row for each mix (``coefs``,
        ``intercepts``, ``objectives``, ``dual_gaps``, ``infeasibilities``, ``n_iters``; with
        groups ``groups``, ``group_losses``, ``group_weights``; with fairness terms a dict
        ``multipliers``), ``predict(X)`` and ``to_frame()``.

    Raises
    ------
    TypeError
        If a parameter is not one of `PixelLossRegressor`.

    ValueError
        If an argument is not what is described above.

    skfairloss.exceptions.InfeasibleFairnessError
        If for some mix no model meets the fairness terms.

    Warns
    -----
    sklearn.exceptions.ConvergenceWarning
        If a fit is not certified, as for `PixelLossRegressor`.

    Notes
    -----
    In the closed form at a mix of 0 and under an `EqualizedLoss` a start has no effect; the data
    are still read once.

    Rows of a source or of Dask are fitted under all mixes at a time. Each pass over the rows is one
    for all mixes, so that a path takes as many passes as its longest fit.

    Examples
    --------
    A constant prediction for 30 dark pixels (0.3) and 70 bright ones (0.9):

    >>> import numpy as np
    >>> from skfairloss.model_selection import loss_mix_path
    >>> X, y = np.zeros((100, 1)), np.repeat([0.3, 0.9], [30, 70])
    >>> path = loss_mix_path(X, y, loss_mixes=[0, 0.25, 1], sensitive_features=y)
    >>> path.intercepts.round(4)
    array([0.72 , 0.744, 0.9  ])
    >>> path.group_losses.round(4)
    array([[1.3611, 0.25  ],
           [1.4492, 0.2492],
           [1.6667, 0.    ]])
    """
    mixes = check_loss_mixes(loss_mixes)
    for name in {"loss_mix", "warm_start"} & set(parameters):
        raise TypeError(f"{name} is no parameter of loss_mix_path, which varies loss_mixes")
    run = _Run(PixelLossRegressor(**parameters))
    if callbacks:
        set_callbacks(run, callbacks)
    source = read_source(X, y, sample_weight, sensitive_features)
    if source is not None:
        return run.fit_source(source, mixes)
    return run.fit(FitData(X, y, sample_weight, sensitive_features), mixes)


class _Run(CallbackSupportMixin, BaseEstimator):
    """The run of a path, as callbacks know it."""

    def __init__(self, regressor: PixelLossRegressor) -> None:
        self.regressor = regressor

    @with_callbacks
    def fit(self, data: FitData, mixes: Array) -> LossMixPath:
        """Fit for each mix."""
        tasks = FitsTasks(self, len(mixes))
        models: dict[int, PixelLossRegressor] = {}
        walk = Walk(self.regressor, data)
        walk.read(walk.model())
        for j in walking_order(mixes):
            models[j] = walk.model(loss_mix=float(mixes[j]))
            with fitting_at(f"loss_mix={mixes[j]:g}"), tasks.fit(j, models[j]):
                walk.fit(models[j])
        tasks.end()
        return LossMixPath(mixes, tuple(models[j] for j in range(len(mixes))))

    @with_callbacks
    def fit_source(self, source: RowSource, mixes: Array) -> LossMixPath:
        """Fit the rows of a source under each mix, side by side."""
        models = [clone(self.regressor).set_params(loss_mix=float(mix)) for mix in mixes]
        jobs = [Job(None, model, f"loss_mix={model.loss_mix:g}") for model in models]
        with watched(self, source) as passes:
            for error in filter(None, SourceFits(passes, models, self.regressor.n_jobs).fit(jobs)):
                raise error
        return LossMixPath(mixes, tuple(models))


class Walk:
    """Fits of one data set, read with the first of them or before, each started from the last.

    Parameters
    ----------
    template : a regressor with the parameters that the fits share.
    data : what they are fitted to.
    """

    def __init__(self, template: PixelLossRegressor, data: FitData) -> None:
        self._template = template
        self._data = data
        self._training: Training | None = None
        self._seen: dict[str, Any] = {}
        self._start: Start | None = None

    def model(self, **parameters: Any) -> PixelLossRegressor:
        """Return a regressor for the next ``loss_mix``, ``fairness`` or both, not yet fitted."""
        model = copy(self._template)
        model.__dict__.update(parameters)
        return model

    def read(self, model: PixelLossRegressor) -> Training:
        """Read the data with the parameters of a model, where that was not done yet."""
        if self._training is None:
            self._training = read_training(model, *self._data.arguments)
            names = ("n_features_in_", "feature_names_in_")  # found while reading
            self._seen = {name: getattr(model, name) for name in names if hasattr(model, name)}
        return self._training

    def fit(self, model: PixelLossRegressor) -> None:
        """Fit it. A fit that fails leaves the start as it was."""
        self._training = self.read(model).under(model)
        model.__dict__.update(self._seen)
        self._start = fit_model(model, self._training, self._start)


def walking_order(mixes: Array) -> list[int]:
    """Return the positions of the mixes from L2, which needs no start, to L1."""
    return [int(j) for j in np.argsort(mixes, kind="stable")]


def check_loss_mixes(loss_mixes: Any, name: str = "loss_mixes") -> Array:
    """Return the mixes as an array (n_mixes,): at least one, each in [0, 1], none twice."""
    values = [loss_mixes] if np.ndim(loss_mixes) == 0 else list(loss_mixes)
    if not values or not all(is_real(value) and 0 <= value <= 1 for value in values):
        raise ValueError(f"{name} must be numbers in [0, 1], at least one, got {loss_mixes!r}")
    mixes = np.array(values, dtype=np.float64)
    if len(np.unique(mixes)) < len(mixes):
        raise ValueError(f"{name} must not repeat a mix, got {loss_mixes!r}")
    return mixes


def set_callbacks(run: Any, callbacks: Sequence[Any]) -> None:
    """Set callbacks on a run, where the version of scikit-learn has them."""
    if not hasattr(run, "set_callbacks"):
        raise ValueError("callbacks need scikit-learn >= 1.9")
    run.set_callbacks(*callbacks)
