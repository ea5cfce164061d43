"""Failures in a cross-validation: warned of once, and kept from being chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.exceptions import FitFailedWarning

from skfairloss._inputs.groups import counted
from skfairloss._inputs.place import warn_user


@dataclass(frozen=True)
class Failure:
    """A fit or a scorer that gave no score in a fold.

    Parameters
    ----------
    candidate : position of the candidate.
    scorer : name of the scorer; None where the fit failed.
    error : why, with the place in its text.
    """

    candidate: int
    scorer: str | None
    error: Exception

    def __str__(self) -> str:
        scorer = "" if self.scorer is None else f"{self.scorer}: "
        return f"{scorer}{type(self.error).__name__}: {self.error}"


def check_scored(
    failures: Sequence[Failure], results: Mapping[str, Any], names: Sequence[str], n_splits: int
) -> None:
    """Raise ValueError, from the first error, where a candidate or all of them cannot be judged.

    ``names`` are those of the scorers that the choice may read.
    """
    n_candidates = len(results["params"])
    fits = [failure for failure in failures if failure.scorer is None]
    if len(fits) == n_candidates * n_splits:
        message = f"all {counted(len(fits), 'fit')} failed, the first: {fits[0]}"
        raise ValueError(message) from fits[0].error
    for name in names:
        scores = np.array([results[f"split{k}_test_{name}"] for k in range(n_splits)])
        failed = [failure for failure in failures if failure.scorer in (None, name)]
        nowhere = np.flatnonzero(np.isnan(scores).all(axis=0))
        if len(nowhere):
            first = next(failure for failure in failed if failure.candidate == nowhere[0])
            raise ValueError(
                f"{name} of the candidate {results['params'][nowhere[0]]} is NaN in all "
                f"{n_splits} folds. The first error: {first}. Mend it, leave the candidate out, or "
                "let error_score be a number"
            ) from first.error
        if np.isnan(scores).any(axis=0).all():
            raise ValueError(
                f"{name} of every candidate is NaN in some of {n_splits} folds: none can be "
                f"chosen. The first error: {failed[0]}"
            ) from failed[0].error


def warn_of_failures(
    failures: Sequence[Failure],
    results: Mapping[str, Any],
    error_score: Any,
    by_rule: bool,
) -> None:
    """State how many fits and how many scores failed, why the first did, and what follows.

    ``by_rule`` says that a callable chooses, and tells itself what it leaves out.
    """
    for what, kind in (("fit", FitFailedWarning), ("score", UserWarning)):
        some = [failure for failure in failures if (failure.scorer is None) == (what == "fit")]
        if not some:
            continue
        shown = [str(results["params"][i]) for i in sorted({f.candidate for f in some})]
        follows = ", they are not chosen" if np.isnan(error_score) and not by_rule else ""
        warn_user(
            f"{counted(len(some), what)} failed, of the candidates {', '.join(shown)}, with "
            f"{error_score} for a score{follows}. The first error: {some[0]}\n"
            "error_score='raise' raises it",
            kind,
        )
