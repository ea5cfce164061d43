r"""Fairness terms: what is asked of groups when a `PixelLossRegressor` is fitted.

Notation: groups g are the distinct combinations of the columns of ``sensitive_features``;
:math:`\bar L_g` is the weighted mean of the loss :math:`\ell(r / c)` over the rows of group g and
the m outputs, :math:`\bar L` the same over all rows. Predictions never need the groups.

Every term speaks of the training data. None of them is a statement about new rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from inspect import signature
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from skfairloss._constraints import LIMIT, GroupCriterion, LinearRows
from skfairloss._design import Design
from skfairloss._groups import Groups, group_means
from skfairloss._parameters import is_real
from skfairloss._typing import Array

__all__ = [
    "BoundedGroupLoss",
    "EqualizedLoss",
    "PredictionParity",
    "ResidualParity",
    "WorstGroupLoss",
]


class WorstGroupLoss(BaseEstimator):
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
    >>> model = PixelLossRegressor(1.0, fairness=WorstGroupLoss())
    >>> model.fit(X, y, sensitive_features=y).group_losses_.round(6)
    array([0.3, 0.3])
    """

    def __init__(self, weight: float = 1.0) -> None:
        self.weight = weight


class BoundedGroupLoss(BaseEstimator):
    r"""Bound the loss of groups.

    .. math::

        \text{minimise} \quad L + \text{penalty} \qquad
        \text{subject to} \quad \bar L_g \le \text{upper\_bound}_g .

    Parameters
    ----------
    upper_bound : float or dict
        Bound on the group losses, >= 0 and without a unit: at scale 1 on the MSE for
        ``loss_mix=0``, on the MAE for ``loss_mix=1``. A dict maps names of groups (tuples for
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
    >>> model = PixelLossRegressor(1.0, fairness=BoundedGroupLoss(0.4))
    >>> model.fit(X, y, sensitive_features=y).group_losses_.round(6)
    array([0.4, 0.2])
    """

    def __init__(self, upper_bound: float | Mapping[Any, float]) -> None:
        self.upper_bound = upper_bound


class EqualizedLoss(BaseEstimator):
    r"""Bring the group losses within a tolerance of each other, by lowering the largest.

    On the path of models w(t) with the least :math:`L` + penalty under :math:`\bar L_g \le t` for
    all groups, from the plain fit down to the smallest t that can be reached, it is the one with
    the largest t whose spread :math:`\max_g \bar L_g - \min_g \bar L_g` is at most the tolerance.

    Parameters
    ----------
    tolerance : float
        Largest spread of the group losses, >= 0, without a unit.

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
    >>> model = PixelLossRegressor(1.0, fairness=EqualizedLoss(0.2))
    >>> model.fit(X, y, sensitive_features=y).group_losses_.round(4)
    array([0.4, 0.2])
    """

    def __init__(self, tolerance: float) -> None:
        self.tolerance = tolerance


class PredictionParity(BaseEstimator):
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
        self.tolerance = tolerance


class ResidualParity(BaseEstimator):
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
        self.tolerance = tolerance


_TERMS = (WorstGroupLoss, BoundedGroupLoss, EqualizedLoss, PredictionParity, ResidualParity)


@dataclass(frozen=True)
class Constraints:
    """Fairness terms in the form that solvers read.

    Parameters
    ----------
    criterion : group losses in the objective and under bounds; None where neither is asked.
    linear : parities.
    spread : tolerance of an `EqualizedLoss`; None without one.
    """

    criterion: GroupCriterion | None
    linear: tuple[LinearRows, ...]
    spread: float | None


def read_terms(fairness: Any) -> tuple[BaseEstimator, ...]:
    """The terms of a ``fairness`` parameter, checked; empty for None."""
    if fairness is None:
        return ()
    terms = tuple(fairness) if isinstance(fairness, list | tuple) else (fairness,)
    for term in terms:
        if isinstance(term, type) and issubclass(term, _TERMS):
            raise TypeError(
                "fairness of PixelLossRegressor must be None, a term or a list of terms, got the "
                f"class {term.__name__}: write {term.__name__}({_needed(term)})"
            )
    if not terms or not all(isinstance(term, _TERMS) for term in terms):
        known = ", ".join(kind.__name__ for kind in _TERMS)
        raise ValueError(
            f"fairness of PixelLossRegressor must be None, a term or a list of terms, of "
            f"the classes {known}; got {fairness!r}"
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
        _check_term(term)
    return terms


def _needed(kind: type) -> str:
    """The arguments that a class needs, with dots for their values."""
    parameters = signature(kind).parameters.values()
    return ", ".join(f"{p.name}=..." for p in parameters if p.default is p.empty)


def _check_term(term: BaseEstimator) -> None:
    """Raise ValueError where a parameter of a term is out of range."""
    owner = type(term).__name__
    if isinstance(term, WorstGroupLoss):
        if not (is_real(term.weight) and 0 <= term.weight <= 1):
            raise ValueError(f"weight of {owner} must be a number in [0, 1], got {term.weight!r}")
    elif isinstance(term, BoundedGroupLoss):
        bounds = term.upper_bound
        values = list(bounds.values()) if isinstance(bounds, Mapping) else [bounds]
        if not values or not all(is_real(value) and value >= 0 for value in values):
            raise ValueError(
                f"upper_bound of {owner} must be a number >= 0 or a dict of such, got {bounds!r}"
            )
    elif not (is_real(term.tolerance) and term.tolerance >= 0):
        raise ValueError(f"tolerance of {owner} must be a number >= 0, got {term.tolerance!r}")


def translate(
    terms: tuple[BaseEstimator, ...], groups: Groups, design: Design, y: Array, weights: Array
) -> Constraints:
    """The records of checked terms for given data; ``y`` is (n, m)."""
    if groups.n_groups < 2:
        raise ValueError(
            "fairness needs at least two groups in sensitive_features, got "
            f"{groups.labels[0]!r} in all rows of positive weight"
        )
    shares = np.bincount(groups.codes, weights=weights)
    worst, spread = 0.0, None
    bounds = np.full(groups.n_groups, np.inf)
    linear = []
    for term in terms:
        if isinstance(term, WorstGroupLoss):
            worst = min(float(term.weight), 1.0 - LIMIT)
        elif isinstance(term, BoundedGroupLoss):
            bounds = _bounds(term.upper_bound, groups)
        elif isinstance(term, EqualizedLoss):
            spread = float(term.tolerance)
        else:
            linear.append(_parity(term, groups, design, y, weights, shares))
    criterion = None
    if worst > 0 or np.isfinite(bounds).any() or spread is not None:
        labels = tuple(groups.labels)
        criterion = GroupCriterion(groups.codes, shares, worst, bounds, labels)
    return Constraints(criterion, tuple(linear), spread)


def _bounds(upper_bound: Any, groups: Groups) -> Array:
    """A bound for each group, infinite for those without."""
    if not isinstance(upper_bound, Mapping):
        return np.full(groups.n_groups, float(upper_bound))
    labels = groups.labels
    unknown = [name for name in upper_bound if name not in labels]
    if unknown:
        raise ValueError(
            f"upper_bound of BoundedGroupLoss names {unknown[0]!r}, which is none of the groups "
            f"{labels}"
        )
    return np.array([float(upper_bound.get(label, np.inf)) for label in labels])


def _parity(
    term: BaseEstimator, groups: Groups, design: Design, y: Array, weights: Array, shares: Array
) -> LinearRows:
    """mean_g ŷ - mean ŷ, or the same of residuals, as rows in the coefficients."""
    sums = design.sums_by_group(weights, groups.codes, groups.n_groups)
    rows = sums / shares[:, None] - sums.sum(axis=0)
    target = np.zeros((groups.n_groups, y.shape[1]))
    if isinstance(term, ResidualParity):
        means = np.column_stack([group_means(groups, column, weights) for column in y.T])
        target = means - weights @ y
    return LinearRows(rows, target, float(term.tolerance), tuple(groups.labels))
