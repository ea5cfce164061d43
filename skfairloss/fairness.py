r"""Fairness terms: what is asked of groups when a `PixelLossRegressor` is fitted.

Notation: groups g are the distinct combinations of the columns of ``sensitive_features``;
:math:`\bar L_g` is the weighted mean of the loss :math:`\ell(r / c)` over the rows of group g and
the m outputs, :math:`\bar L` the same over all rows. Predictions never need the groups.

Every term speaks of the training data. None of them is a statement about new rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from inspect import signature
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from skfairloss._core.constraints import LIMIT, GroupCriterion, LinearRows
from skfairloss._core.solution import Multipliers
from skfairloss._design.design import Design
from skfairloss._inputs.groups import Groups, group_means
from skfairloss._inputs.parameters import NOT_NEGATIVE, SHARE, Check, check_parameters, is_real
from skfairloss._typing import Array

__all__ = [
    "BoundedGroupLoss",
    "EqualizedLoss",
    "PredictionParity",
    "ResidualParity",
    "WorstGroupLoss",
]


@dataclass(frozen=True)
class GroupedData:
    """Training rows of positive weight, as terms see them.

    Parameters
    ----------
    groups : the groups of the rows.
    design : X.
    y : (n, m), targets in units of the residual scale.
    weights : (n,), summing to 1.
    scale : (m,), the residual scale of each output, in units of y.
    """

    groups: Groups
    design: Design
    y: Array
    weights: Array
    scale: Array

    @property
    def shares(self) -> Array:
        """The groups' shares of the weight, (G,)."""
        return np.bincount(self.groups.codes, weights=self.weights)


@dataclass(frozen=True)
class Request:
    """One term in the form that solvers read.

    Parameters
    ----------
    worst : weight of the largest group loss in the objective.
    bounds : (G,), bounds on the group losses, infinite for groups without. None for no bounds.
    spread : largest spread of the group losses. None where any will do.
    linear : rows in the coefficients with bounds. None without.
    """

    worst: float = 0.0
    bounds: Array | None = None
    spread: float | None = None
    linear: LinearRows | None = None


class FairnessTerm(BaseEstimator):
    """Ask something of the groups of a fit: the base class of all terms."""

    def check(self) -> None:
        """Raise ValueError where a parameter is out of range."""
        raise NotImplementedError

    def translate(self, data: GroupedData) -> Request:
        """Return the records of this term for given data.

        Parameters
        ----------
        data : GroupedData
            The training rows.

        Returns
        -------
        request : Request
            What solvers read.
        """
        raise NotImplementedError

    def multipliers(self, found: Multipliers, linear: Iterator[Array]) -> Array:
        """Return the Lagrange multipliers of this term.

        Parameters
        ----------
        found : Multipliers
            Those of all terms of the fit.

        linear : iterator of ndarrays of shape (n_groups, n_outputs)
            Multipliers of the linear rows of the terms in their order, for differences in units of
            y; a term takes those of its own rows.

        Returns
        -------
        multipliers : ndarray of shape (n_groups,) or (n_groups, n_outputs)
            An entry for each constraint.
        """
        raise NotImplementedError

    def _check(self, **checks: Check) -> None:
        """Raise ValueError that names a parameter out of range and what was got."""
        check_parameters(type(self).__name__, vars(self), checks)


class WorstGroupLoss(FairnessTerm):
    r"""Weigh the loss of the worst-off group in the objective.

    .. math::

        \text{minimise} \quad
        m \big[ (1 - \gamma) \bar L + \gamma \max_g \bar L_g \big] + \text{penalty},
        \qquad \gamma = \text{weight}.

    At weight 1 it is the limit :math:`\gamma \to 1`: among the models with the smallest worst loss
    (plus penalty), the one with the smallest mean loss. Plain minimax may let every other group
    sink to the level of the worst one. The limit is taken at :math:`1 - \gamma` = 1e-6, where
    the worst loss (plus penalty / m) exceeds the smallest possible one by at most 1e-6 of what the
    mean loss (plus penalty / m) rises from here to the limit.

    Parameters
    ----------
    weight : float, default=1.0
        γ in [0, 1]: 0 is the plain fit.

    Notes
    -----
    It lowers the largest of the group losses, not the differences between groups, and it does not
    ask who is worst off or why: a group with more noise stays the worst-off one. Without a penalty
    no other model is at least as good for every group and better for one.

    The certificate speaks of the objective as a whole. At weight 1 a group that is not worst off
    weighs 1e-6 of its share in it: of such a group's loss the gap says no more than
    ``dual_gap_`` / (1e-6 share).

    References
    ----------
    E. Diana, W. Gill, M. Kearns, K. Kenthapadi and A. Roth, "Minimax group fairness: algorithms and
    experiments", AIES (2021), section 2.

    Examples
    --------
    A constant prediction for levels 0.3 (30 rows) and 0.9 (70 rows):

    >>> import numpy as np
    >>> from skfairloss import PixelLossRegressor
    >>> from skfairloss.fairness import WorstGroupLoss
    >>> X, y = np.zeros((100, 1)), np.repeat([0.3, 0.9], [30, 70])
    >>> model = PixelLossRegressor(1.0, scale=1.0, fairness=WorstGroupLoss())
    >>> model.fit(X, y, sensitive_features=y).group_losses_.round(6)
    array([0.3, 0.3])
    """

    def __init__(self, weight: float = 1.0) -> None:
        self.weight = weight

    def check(self) -> None:
        """Raise ValueError where ``weight`` is not in [0, 1]."""
        self._check(weight=SHARE)

    def translate(self, data: GroupedData) -> Request:
        """Return the weight of the largest group loss; 1 stands for the limit."""
        return Request(worst=min(float(self.weight), 1.0 - LIMIT))

    def multipliers(self, found: Multipliers, linear: Iterator[Array]) -> Array:
        """Return the multipliers of L̄_g <= max L̄, (n_groups,); they sum to ``weight``."""
        return found.worst


class BoundedGroupLoss(FairnessTerm):
    r"""Bound the loss of groups.

    .. math::

        \text{minimise} \quad L + \text{penalty} \qquad
        \text{subject to} \quad \bar L_g \le \text{upper\_bound}_g .

    Parameters
    ----------
    upper_bound : float or dict
        Bound on the group losses, >= 0, in the unit of the mix: residuals are divided by the
        regressor's ``scale`` first. With ``scale=1`` it bounds the MSE for ``loss_mix=0`` and the
        MAE for ``loss_mix=1``. A dict maps names of groups (tuples for
        several columns) to bounds; groups that it does not name are not bounded.

    Notes
    -----
    If no model meets the bounds, fit raises an `InfeasibleFairnessError` that names bounds that can
    be met. A bound says nothing about how groups compare.

    References
    ----------
    A. Agarwal, M. Dudík and Z. S. Wu, "Fair regression: quantitative definitions and
    reduction-based algorithms", ICML (2019), definition 2.

    Examples
    --------
    >>> import numpy as np
    >>> from skfairloss import PixelLossRegressor
    >>> from skfairloss.fairness import BoundedGroupLoss
    >>> X, y = np.zeros((100, 1)), np.repeat([0.3, 0.9], [30, 70])
    >>> model = PixelLossRegressor(1.0, scale=1.0, fairness=BoundedGroupLoss(0.4))
    >>> model.fit(X, y, sensitive_features=y).group_losses_.round(6)
    array([0.4, 0.2])
    """

    def __init__(self, upper_bound: float | Mapping[Any, float]) -> None:
        self.upper_bound = upper_bound

    def check(self) -> None:
        """Raise ValueError where ``upper_bound`` is no number >= 0 and no dict of such."""
        self._check(upper_bound=(_are_bounds, "a number >= 0 or a dict of such"))

    def translate(self, data: GroupedData) -> Request:
        """Return a bound for each group, infinite for those without."""
        labels = data.groups.labels
        if not isinstance(self.upper_bound, Mapping):
            return Request(bounds=np.full(len(labels), float(self.upper_bound)))
        unknown = [name for name in self.upper_bound if name not in labels]
        if unknown:
            raise ValueError(
                f"upper_bound of BoundedGroupLoss names {unknown[0]!r}, which is none of the "
                f"groups {labels}"
            )
        return Request(bounds=np.array([float(self.upper_bound.get(g, np.inf)) for g in labels]))

    def multipliers(self, found: Multipliers, linear: Iterator[Array]) -> Array:
        """Return the multipliers of the bounds, (n_groups,)."""
        return found.bound


def _are_bounds(value: Any) -> bool:
    """Tell whether this is a number >= 0, or a mapping to such, not empty."""
    values = list(value.values()) if isinstance(value, Mapping) else [value]
    return bool(values) and all(is_real(bound) and bound >= 0 for bound in values)


class EqualizedLoss(FairnessTerm):
    r"""Bring the group losses within a tolerance of each other, by lowering the largest.

    On the path of models w(t) with the least :math:`L` + penalty under :math:`\bar L_g \le t` for
    all groups, from the plain fit down to the smallest t that can be reached, it is the one with
    the largest t whose spread :math:`\max_g \bar L_g - \min_g \bar L_g` is at most the tolerance.

    Parameters
    ----------
    tolerance : float
        Largest spread of the group losses, >= 0, in the unit of the mix: residuals are divided by
        the regressor's ``scale`` first.

    Notes
    -----
    If no model on the path has a spread within the tolerance, the one with the smallest spread is
    taken, with a warning that states the spread left. It never trades a better-off group's loss for
    nothing: a smaller spread could then only be had by making a group worse.

    For two groups the spread shrinks with t and the crossing is found to a relative 1e-6 of t. For
    more it need not: the path is scanned at 8 levels of t, and the first crossing is refined.

    References
    ----------
    J. Komiyama, A. Takeda, J. Honda and H. Shimao, "Nonconvex optimization for regression with
    fairness constraints", ICML (2018), on why equal losses themselves are no convex constraint.

    Examples
    --------
    >>> import numpy as np
    >>> from skfairloss import PixelLossRegressor
    >>> from skfairloss.fairness import EqualizedLoss
    >>> X, y = np.zeros((100, 1)), np.repeat([0.3, 0.9], [30, 70])
    >>> model = PixelLossRegressor(1.0, scale=1.0, fairness=EqualizedLoss(0.2))
    >>> model.fit(X, y, sensitive_features=y).group_losses_.round(4)
    array([0.4, 0.2])
    """

    def __init__(self, tolerance: float) -> None:
        self.tolerance = tolerance

    def check(self) -> None:
        """Raise ValueError where ``tolerance`` is no number >= 0."""
        self._check(tolerance=NOT_NEGATIVE)

    def translate(self, data: GroupedData) -> Request:
        """Return the largest spread of the group losses."""
        return Request(spread=float(self.tolerance))

    def multipliers(self, found: Multipliers, linear: Iterator[Array]) -> Array:
        """Return the multipliers of L̄_g <= t at the t that was found, (n_groups,)."""
        return found.bound


class Parity(FairnessTerm):
    """Bring a mean of each group within a tolerance of the mean over all rows.

    With x̄_g the mean of X over the rows of group g, the difference of mean predictions is
    (x̄_g - x̄)ᵀ w; that of mean residuals is a difference of mean targets less it.

    Parameters
    ----------
    tolerance : float, default=0.0
        Largest difference, >= 0, in units of y.
    """

    def __init__(self, tolerance: float = 0.0) -> None:
        self.tolerance = tolerance

    def check(self) -> None:
        """Raise ValueError where ``tolerance`` is no number >= 0."""
        self._check(tolerance=NOT_NEGATIVE)

    def target(self, data: GroupedData) -> Array:
        """Return the required differences of mean predictions, (n_groups, n_outputs).

        Parameters
        ----------
        data : GroupedData
            The training rows.

        Returns
        -------
        target : ndarray of shape (n_groups, n_outputs)
            In units of the residual scale.
        """
        raise NotImplementedError

    def translate(self, data: GroupedData) -> Request:
        """Return |target - (x̄_g - x̄)ᵀ w| <= tolerance as rows in the coefficients."""
        groups, scale = data.groups, data.scale
        sums = data.design.sums_by_group(data.weights, groups.codes, groups.n_groups)
        rows = sums / data.shares[:, None] - sums.sum(axis=0)
        tolerance, labels = float(self.tolerance) / scale, tuple(groups.labels)
        return Request(linear=LinearRows(rows, self.target(data), tolerance, labels, scale))

    def multipliers(self, found: Multipliers, linear: Iterator[Array]) -> Array:
        """Return the multipliers of the differences, (n_groups, n_outputs), per unit of y."""
        return next(linear)


class PredictionParity(Parity):
    r"""Bring the groups' mean predictions within a tolerance of the mean prediction.

    .. math::

        | \operatorname{mean}_g \hat y_k - \operatorname{mean} \hat y_k | \le \text{tolerance}
        \quad \text{for every group } g \text{ and output } k,

    means weighted by ``sample_weight``.

    Parameters
    ----------
    tolerance : float, default=0.0
        Largest difference, >= 0, in units of y.

    Notes
    -----
    It asks for equal predictions on average whatever the groups' true means are, before ``clip``.
    It can level down: a group's loss may rise without another's falling.

    References
    ----------
    T. Calders, A. Karim, F. Kamiran, W. Ali and X. Zhang, "Controlling attribute effect in linear
    regression", ICDM (2013), section III.

    Examples
    --------
    >>> import numpy as np
    >>> from skfairloss import PixelLossRegressor
    >>> from skfairloss.fairness import PredictionParity
    >>> X, y = np.array([[0.0], [1.0], [1.0], [2.0]]), [0.0, 1.0, 3.0, 4.0]
    >>> model = PixelLossRegressor(0.0, fairness=PredictionParity())
    >>> model.fit(X, y, sensitive_features=["a", "a", "b", "b"]).predict(X).round(6)
    array([2., 2., 2., 2.])
    """

    def __init__(self, tolerance: float = 0.0) -> None:
        super().__init__(tolerance)

    def target(self, data: GroupedData) -> Array:
        """Return 0: the means are those of predictions, (n_groups, n_outputs)."""
        return np.zeros((data.groups.n_groups, data.y.shape[1]))


class ResidualParity(Parity):
    r"""Bring the groups' mean residuals within a tolerance of the mean residual.

    .. math::

        | \operatorname{mean}_g r_k - \operatorname{mean} r_k | \le \text{tolerance}
        \quad \text{for every group } g \text{ and output } k, \qquad r = y - \hat y,

    means weighted by ``sample_weight``: no group is over- or under-predicted more than the whole
    is.

    Parameters
    ----------
    tolerance : float, default=0.0
        Largest difference, >= 0, in units of y.

    Notes
    -----
    It speaks of means, not of the size of errors, and it can level down. It needs features whose
    means differ between the groups as the means of y do; else fit raises an
    `InfeasibleFairnessError`.

    References
    ----------
    T. Calders, A. Karim, F. Kamiran, W. Ali and X. Zhang, "Controlling attribute effect in linear
    regression", ICDM (2013), section III.

    Examples
    --------
    >>> import numpy as np
    >>> from skfairloss import PixelLossRegressor
    >>> from skfairloss.fairness import ResidualParity
    >>> X, y = np.array([[0.0], [1.0], [1.0], [2.0]]), np.array([0.0, 0.0, 3.0, 3.0])
    >>> group = np.array(["a", "a", "b", "b"])
    >>> model = PixelLossRegressor(0.0, fairness=ResidualParity())
    >>> residual = y - model.fit(X, y, sensitive_features=group).predict(X)
    >>> means = [residual[group == name].mean() for name in ("a", "b")]
    >>> bool(abs(means[0] - means[1]) < 1e-12)
    True
    """

    def __init__(self, tolerance: float = 0.0) -> None:
        super().__init__(tolerance)

    def target(self, data: GroupedData) -> Array:
        """Return the groups' means of y less the mean, (n_groups, n_outputs)."""
        means = [group_means(data.groups, column, data.weights) for column in data.y.T]
        return np.column_stack(means) - data.weights @ data.y


@dataclass(frozen=True)
class Constraints:
    """Fairness terms in the form that solvers read.

    Parameters
    ----------
    criterion : group losses in the objective and under bounds. None where neither is asked.
    linear : parities.
    spread : tolerance of an `EqualizedLoss`. None without one.
    """

    criterion: GroupCriterion | None
    linear: tuple[LinearRows, ...]
    spread: float | None


def read_terms(fairness: Any) -> tuple[FairnessTerm, ...]:
    """Return the terms of a ``fairness`` parameter, checked; empty for None."""
    if fairness is None:
        return ()
    terms = tuple(fairness) if isinstance(fairness, list | tuple) else (fairness,)
    for term in terms:
        if isinstance(term, type) and issubclass(term, FairnessTerm):
            raise TypeError(
                "fairness of PixelLossRegressor must be None, a term or a list of terms, got the "
                f"class {term.__name__}: write {term.__name__}({_needed(term)})"
            )
    if not terms or not all(isinstance(term, FairnessTerm) for term in terms):
        raise ValueError(
            f"fairness of PixelLossRegressor must be None, a term or a list of terms, of "
            f"the classes {', '.join(__all__)}; got {fairness!r}"
        )
    kinds = [type(term) for term in terms]
    for kind in kinds:
        if kinds.count(kind) > 1:
            raise ValueError(
                f"fairness has two terms of the class {kind.__name__}, got {fairness!r}"
            )
    if EqualizedLoss in kinds and WorstGroupLoss in kinds:
        raise ValueError(
            f"fairness must not combine EqualizedLoss with WorstGroupLoss, got {fairness!r}"
        )
    for term in terms:
        term.check()
    return terms


def translate(terms: tuple[FairnessTerm, ...], data: GroupedData) -> Constraints:
    """Return the records of checked terms for given data."""
    groups = data.groups
    if groups.n_groups < 2:
        raise ValueError(
            "fairness needs at least two groups in sensitive_features, got "
            f"{groups.labels[0]!r} in all rows of positive weight"
        )
    asked = [term.translate(data) for term in terms]
    worst = max((part.worst for part in asked), default=0.0)
    bounds = np.full(groups.n_groups, np.inf)
    for part in asked:
        bounds = bounds if part.bounds is None else np.minimum(bounds, part.bounds)
    spread = next((part.spread for part in asked if part.spread is not None), None)
    linear = tuple(part.linear for part in asked if part.linear is not None)
    if worst == 0 and not np.isfinite(bounds).any() and spread is None:
        return Constraints(None, linear, None)
    labels = tuple(groups.labels)
    criterion = GroupCriterion(groups.codes, data.shares, worst, bounds, labels)
    return Constraints(criterion, linear, spread)


def _needed(kind: type) -> str:
    """Return the arguments that a class needs, with dots for their values."""
    parameters = signature(kind).parameters.values()
    return ", ".join(f"{p.name}=..." for p in parameters if p.default is p.empty)
