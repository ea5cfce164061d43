"""Errors of skfairloss."""

from __future__ import annotations

__all__ = ["InfeasibleFairnessError", "UnmetFairnessWarning"]


class InfeasibleFairnessError(ValueError):
    """No model of the class meets the fairness terms.

    The message names the groups whose requests conflict, and requests that can be met.

    Examples
    --------
    >>> from skfairloss.exceptions import InfeasibleFairnessError
    >>> issubclass(InfeasibleFairnessError, ValueError)
    True
    """


class UnmetFairnessWarning(UserWarning):
    """A fairness term is not met to its tolerance, and no model found comes closer.

    The message states the difference that is left.

    Examples
    --------
    >>> from skfairloss.exceptions import UnmetFairnessWarning
    >>> issubclass(UnmetFairnessWarning, UserWarning)
    True
    """
