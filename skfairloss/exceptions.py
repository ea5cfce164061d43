"""Errors of skfairloss."""

from __future__ import annotations

__all__ = ["InfeasibleFairnessError", "UnmetFairnessWarning"]


class InfeasibleFairnessError(ValueError):
    """No model of the class meets the fairness terms.

    The message names the groups that stand in each other's way and what could be met instead.

    Examples
    --------
    >>> from skfairloss.exceptions import InfeasibleFairnessError
    >>> issubclass(InfeasibleFairnessError, ValueError)
    True
    """


class UnmetFairnessWarning(UserWarning):
    """A fairness term was met as far as models go, but not to its tolerance.

    The message states what was reached.

    Examples
    --------
    >>> from skfairloss.exceptions import UnmetFairnessWarning
    >>> issubclass(UnmetFairnessWarning, UserWarning)
    True
    """
