r"""Fairness terms: what is asked of groups when a `PixelLossRegressor` is fitted.

Notation: groups g are the distinct combinations of the columns of ``sensitive_features``;
:math:`\bar L_g` is the weighted mean of the loss :math:`\ell(r / c)` that is minimised, the mix,
over the rows of group g and the m outputs, :math:`\bar L` the same over all rows. A term on losses
says which loss of the groups it is about: :math:`\bar M_g` is the mean of :math:`|r|`, of
:math:`r^2`, or :math:`\bar L_g`. Predictions never need the groups.

Every term speaks of the training data. None of them is a statement about new rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from skfairloss._core.constraints import ABSOLUTE_ERROR, LIMIT, SQUARED_ERROR, GroupLoss, LinearRows
from skfairloss._core.requests import FoundMultipliers, GroupedData, Request
from skfairloss._inputs.parameters import (
    NOT_NEGATIVE,
    SHARE,
    Check,
    check_parameters,
    is_real,
    none_or,
    one_of,
)
from skfairloss._typing import Array

__all__ = [
    "BoundedGroupLoss",
    "EqualizedLoss",
    "PredictionParity",
    "ResidualParity",
    "WorstGroupLoss",
]

_ROUNDING = 1e-10  # a tolerance of a mean, in mean deviations of y, that is as good as 0

LOSS = none_or(one_of((ABSOLUTE_ERROR, SQUARED_ERROR)))


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

    def multipliers(self, found: FoundMultipliers) -> Array:
        """Return the Lagrange multipliers of this term.

        Parameters
        ----------
        found : FoundMultipliers
            Those of all terms of the fit.

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
        m \big[ (1 - \gamma) \bar L + \gamma \max_g \bar M_g \big] + \text{penalty},
        \qquad \gamma = \text{weight}.

    :math:`\bar M_g` is the group's mean of the mix, of :math:`|r / c|` or of :math:`(r / c)^2`, in
    units of the regressor's scale as the mix is.

    At weight 1 it is the limit :math:`\gamma \to 1`: among the models with the smallest worst loss
    (plus penalty), the one with the smallest mean loss :math:`\bar L`. Without this rule the losses
    of all other groups could rise to the largest one. The limit is taken at
    :math:`1 - \gamma` = 1e-6. There the worst loss (plus penalty / m) exceeds the smallest possible
    one by at most 1e-6 of the rise of the mean loss (plus penalty / m) from here to the limit. With
    a ``loss`` of its own the mix enters by this rule for ties only. Its weight is then 1e-6 times
    the ratio of the two losses at the mean of y, in any unit of y.

    Parameters
    ----------
    weight : float, default=1.0
        γ in [0, 1]: 0 is the plain fit.

    loss : {"absolute_error", "squared_error"}, default=None
        Loss that the largest is taken of: mean :math:`|r / c|` or mean :math:`(r / c)^2`. If None
        it is the mix that is minimised.

    Notes
    -----
    The term lowers the largest of the group losses, not the differences between groups. A group
    with more noise stays the worst-off one. Without a penalty no other model is at least as good in
    the largest :math:`\bar M_g` and in every group's mix, and better in one of them. With a
    ``loss`` of its own this does not hold for that loss of the other groups: it could be lowered
    there at the price of a larger mix.

    The certificate is about the objective as a whole. At weight 1 a group that is not worst off has
    1e-6 of its share as weight in it, so the gap bounds the loss of such a group only up to
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

    def __init__(self, weight: float = 1.0, loss: str | None = None) -> None:
        self.weight = weight
        self.loss = loss

    def check(self) -> None:
        """Raise ValueError where ``weight`` is not in [0, 1] or ``loss`` is not known."""
        self._check(weight=SHARE, loss=LOSS)

    def translate(self, data: GroupedData) -> Request:
        """Return the weight of the largest group loss; 1 stands for the limit."""
        return Request(worst=min(float(self.weight), 1.0 - LIMIT), loss=GroupLoss(self.loss))

    def multipliers(self, found: FoundMultipliers) -> Array:
        """Return those of the losses against the largest, (n_groups,); they sum to ``weight``."""
        return found.worst


class BoundedGroupLoss(FairnessTerm):
    r"""Bound the loss of groups.

    .. math::

        \text{minimise} \quad L + \text{penalty} \qquad
        \text{subject to} \quad \bar M_g \le \text{upper\_bound}_g .

    :math:`\bar M_g` is the mean of :math:`|r|` or :math:`r^2` over the rows of the group and the
    outputs, or the group's mean of the mix. The objective is the mix in each case.

    Parameters
    ----------
    upper_bound : float or dict
        Bound on the group losses, >= 0. A dict maps names of groups (tuples for several columns) to
        bounds; groups that it does not name are not bounded.

    loss : {"absolute_error", "squared_error"}, default="absolute_error"
        Loss that is bounded: the mean absolute error, in units of y, or the mean squared error, in
        squared units of y. If None it is the mix that is minimised, of residuals divided by the
        regressor's ``scale``.

    Notes
    -----
    If no model meets the bounds, fit raises an `InfeasibleFairnessError` that names bounds that can
    be met. A bound says nothing about how groups compare. With ``quantile`` other than 0.5 the
    default bounds the mean absolute error of the quantile curve.

    Without a penalty no other model within the bounds is at least as good in every group's mix and
    better in one. This holds for the mix only, not for another loss within its bounds.

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
    >>> model = PixelLossRegressor(0.0, fairness=BoundedGroupLoss(0.4))
    >>> model.fit(X, y, sensitive_features=y).group_errors_["mae"].round(6)
    array([0.4, 0.2])
    """

    def __init__(
        self, upper_bound: float | Mapping[Any, float], loss: str | None = "absolute_error"
    ) -> None:
        self.upper_bound = upper_bound
        self.loss = loss

    def check(self) -> None:
        """Raise ValueError where ``upper_bound`` is no number >= 0 and no dict of such.

        So it does where ``loss`` is not known.
        """
        self._check(upper_bound=(_are_bounds, "a number >= 0 or a dict of such"), loss=LOSS)

    def translate(self, data: GroupedData) -> Request:
        """Return a bound for each group, infinite for those without."""
        labels, bounds = data.groups.labels, self.upper_bound
        if not isinstance(bounds, Mapping):
            bounds = dict.fromkeys(labels, bounds)
        unknown = [name for name in bounds if name not in labels]
        if unknown:
            raise ValueError(
                f"upper_bound of BoundedGroupLoss names {unknown[0]!r}, which is none of the "
                f"groups with rows of positive weight: {labels}"
            )
        values = np.array([float(bounds.get(name, np.inf)) for name in labels])
        return Request(loss=data.loss(self.loss), bounds=data.in_units(values, self.loss))

    def multipliers(self, found: FoundMultipliers) -> Array:
        """Return the multipliers of the bounds, (n_groups,), per unit of the bound."""
        return found.bounds[self.loss]


def _are_bounds(value: Any) -> bool:
    """Tell whether this is a number >= 0, or a mapping to such, not empty."""
    values = list(value.values()) if isinstance(value, Mapping) else [value]
    return bool(values) and all(is_real(bound) and bound >= 0 for bound in values)


class EqualizedLoss(FairnessTerm):
    r"""Bring the group losses within a tolerance of each other, by lowering the largest.

    A path of models w(t) leads from the plain fit down to the smallest t that can be reached:

    .. math::

        w(t) \text{ minimises} \quad L + \text{penalty} \qquad
        \text{subject to} \quad \bar M_g \le t \text{ for every group } g .

    The fit is the model with the largest t whose spread is within the tolerance:

    .. math::

        \max_g \bar M_g - \min_g \bar M_g \le \text{tolerance} .

    :math:`\bar M_g` is the mean of :math:`|r|` or :math:`r^2` over the rows of the group and the
    outputs, or the group's mean of the mix.

    Parameters
    ----------
    tolerance : float
        Largest spread of the group losses, >= 0.

    loss : {"absolute_error", "squared_error"}, default="absolute_error"
        Loss whose spread counts: the mean absolute error, in units of y, or the mean squared error,
        in squared units of y. If None it is the mix that is minimised, of residuals divided by the
        regressor's ``scale``.

    Notes
    -----
    If no model found on the path has a spread within the tolerance, the fit takes the model with
    the smallest spread, and warns with the spread that is left. If that model is at the smallest t,
    only a larger loss of another group could make the spread smaller. Without a penalty it is the
    model of `WorstGroupLoss` at weight 1, and certified as such: the multipliers of its t are up to
    1e6, and ``dual_gap_``, that of :math:`L`, may exceed ``tol``.

    For two groups, the mix and no penalty, the spread shrinks with t, and the crossing is found to
    a relative 1e-6 of t. Otherwise the spread need not shrink, and the path is scanned at 8 levels
    of t. A crossing is found if the spread is within the tolerance at a level, if the other one of
    two groups has become the worse one, or if the spread is smallest beside a level. The largest t
    of the first crossing found is refined. Two crossings between neighbouring levels can be missed.

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
    >>> model.fit(X, y, sensitive_features=y).group_errors_["mae"].round(4)
    array([0.4, 0.2])
    """

    def __init__(self, tolerance: float, loss: str | None = "absolute_error") -> None:
        self.tolerance = tolerance
        self.loss = loss

    def check(self) -> None:
        """Raise ValueError where ``tolerance`` is no number >= 0 or ``loss`` is not known."""
        self._check(tolerance=NOT_NEGATIVE, loss=LOSS)

    def translate(self, data: GroupedData) -> Request:
        """Return the largest spread of the group losses."""
        spread = float(data.in_units(float(self.tolerance), self.loss))
        return Request(loss=data.loss(self.loss), spread=spread)

    def multipliers(self, found: FoundMultipliers) -> Array:
        """Return the multipliers of the losses <= t at the t that was found, (n_groups,)."""
        return found.level


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
        scale, size = data.scale, data.spread
        tolerance, labels = float(self.tolerance) / scale, tuple(data.groups.labels)
        varies = size > 0  # a constant output has no size that a tolerance would be small beside
        if float(self.tolerance) == 0 or (
            varies.any() and (tolerance <= _ROUNDING * size)[varies].all()
        ):
            tolerance = np.zeros_like(scale)
        return Request(
            linear=LinearRows(data.feature_differences, self.target(data), tolerance, labels, scale)
        )

    def multipliers(self, found: FoundMultipliers) -> Array:
        """Return the multipliers of the differences, (n_groups, n_outputs), per unit of y."""
        return next(found.linear)


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
    The term asks for equal predictions on average, before ``clip``, also if the groups' true means
    differ. It can level down: the loss of a group may rise while no other one falls.

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

    means weighted by ``sample_weight``. No group is over- or under-predicted more than all rows.

    Parameters
    ----------
    tolerance : float, default=0.0
        Largest difference, >= 0, in units of y.

    Notes
    -----
    The term is about means, not about the size of errors, and it can level down. It needs features
    whose means differ between the groups as the means of y do. Otherwise fit raises an
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
        return data.target_differences
