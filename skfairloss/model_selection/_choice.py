"""The choice of a candidate: the ``refit`` of a search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from skfairloss._inputs.parameters import is_integer
from skfairloss.model_selection._scoring import Scorers


def criterion(refit: Any) -> str:
    """Return the name of the scorer that decides, where one does."""
    return refit if isinstance(refit, str) else "score"


def make_choice(refit: Any, scorers: Scorers) -> Callable[[dict[str, Any]], int]:
    """Return the function from ``cv_results_`` to the position of the candidate chosen."""
    if callable(refit):
        return lambda results: _checked(refit(results), results, scorers.names)
    if scorers.several and refit not in scorers.names:
        raise ValueError(
            f"refit must name one of the scorers {scorers.names}, or be a callable such as "
            f"best_within_disparity(...), got {refit!r}"
        )
    if not scorers.several and refit is not True:
        raise ValueError(f"refit must be True or a callable with one scorer, got {refit!r}")
    rank = f"rank_test_{criterion(refit)}"
    return lambda results: int(results[rank].argmin())


def _checked(index: Any, results: dict[str, Any], names: list[str]) -> int:
    """Return the position that a callable ``refit`` returned, if it is that of a candidate."""
    n_candidates = len(results["params"])
    if not is_integer(index) or not 0 <= index < n_candidates:
        raise ValueError(
            f"refit must return an integer from 0 to {n_candidates - 1}, the position of a "
            f"candidate, got {index!r}"
        )
    if np.isnan([results[f"mean_test_{name}"][index] for name in names]).all():
        raise ValueError(
            f"refit must return the position of a candidate with a score in every fold, got "
            f"{index}, {results['params'][index]}"
        )
    return int(index)
