"""The ``fairness`` parameter of an estimator: its terms, checked, and the records they become."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import signature
from typing import Any

import numpy as np

from skfairloss import fairness
from skfairloss._core.constraints import GroupBounds, GroupCriterion, LinearRows
from skfairloss._core.requests import GroupedData, Request
from skfairloss._inputs.groups import Groups
from skfairloss.fairness import EqualizedLoss, FairnessTerm, WorstGroupLoss


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


def read_terms(asked: Any) -> tuple[FairnessTerm, ...]:
    """Return the terms of a ``fairness`` parameter, checked; empty for None."""
    if asked is None:
        return ()
    terms = tuple(asked) if isinstance(asked, list | tuple) else (asked,)
    for term in terms:
        if isinstance(term, type) and issubclass(term, FairnessTerm):
            raise TypeError(
                "fairness of PixelLossRegressor must be None, a term or a list of terms, got the "
                f"class {term.__name__}: write {term.__name__}({_needed(term)})"
            )
    if not terms or not all(isinstance(term, FairnessTerm) for term in terms):
        raise ValueError(
            f"fairness of PixelLossRegressor must be None, a term or a list of terms, of "
            f"the classes {', '.join(fairness.__all__)}; got {asked!r}"
        )
    kinds = [type(term) for term in terms]
    for kind in kinds:
        if kinds.count(kind) > 1:
            raise ValueError(f"fairness has two terms of the class {kind.__name__}, got {asked!r}")
    if EqualizedLoss in kinds and WorstGroupLoss in kinds:
        raise ValueError(
            f"fairness must not combine EqualizedLoss with WorstGroupLoss, got {asked!r}"
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
    linear = tuple(part.linear for part in asked if part.linear is not None)
    worst = next((part for part in asked if part.worst > 0), Request())
    level = next((part for part in asked if part.spread is not None), None)
    bounds = _merged([part for part in asked if part.bounds is not None or part is level], groups)
    if worst.worst == 0 and level is None and not any(len(one.groups) for one in bounds):
        return Constraints(None, linear, None)
    criterion = GroupCriterion(
        groups.codes,
        data.shares,
        worst.worst,
        bounds,
        tuple(groups.labels),
        worst.loss,
        None if level is None else level.loss,
    )
    return Constraints(criterion, linear, None if level is None else level.spread)


def _merged(asked: list[Request], groups: Groups) -> tuple[GroupBounds, ...]:
    """Return the bounds on each loss; one whose spread is to be small may have none yet."""
    found: dict[str | None, GroupBounds] = {}
    for part in asked:
        values = np.full(groups.n_groups, np.inf) if part.bounds is None else part.bounds
        before = found.get(part.loss.kind)
        if before is not None:
            values = np.minimum(values, before.values)
        found[part.loss.kind] = GroupBounds(part.loss, values)
    return tuple(found.values())


def _needed(kind: type) -> str:
    """Return the arguments that a class needs, with dots for their values."""
    parameters = signature(kind).parameters.values()
    return ", ".join(f"{p.name}=..." for p in parameters if p.default is p.empty)
