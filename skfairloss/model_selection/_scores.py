"""Scores of candidates on folds, and what failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np

from skfairloss.model_selection._failures import Failure


class Scores:
    """Scores (K, candidates, scorers), seconds (K, candidates, 2: fit, score) and failures.

    Parameters
    ----------
    n_folds, n_candidates : K and the number of candidates.
    names : of the scorers.
    error_score : score of what fails, "raise" to raise its error.
    """

    def __init__(
        self, n_folds: int, n_candidates: int, names: list[str], error_score: float | str
    ) -> None:
        self.scores = np.full((n_folds, n_candidates, len(names)), np.nan)
        self.seconds = np.zeros((n_folds, n_candidates, 2))
        self.failures: list[Failure] = []
        self._names, self._error_score = names, error_score

    def record(self, fold: int, candidate: int, found: Sequence[float | Exception]) -> None:
        """Note the scores of a candidate, or what went wrong with scorers."""
        for j, score in enumerate(found):
            if isinstance(score, Exception):
                self.fail(fold, candidate, score, j)
            else:
                self.scores[fold, candidate, j] = score

    def fail(self, fold: int, candidate: int, error: Exception, scorer: int | None = None) -> None:
        """Note what went wrong with a scorer, or with a fit where ``scorer`` is None."""
        if self._error_score == "raise":
            raise error
        which = slice(None) if scorer is None else scorer
        self.scores[fold, candidate, which] = self._error_score
        name = None if scorer is None else self._names[scorer]
        self.failures.append(Failure(candidate, name, error))

    def joined(self, others: Sequence[Self]) -> Self:
        """Return the folds of this and others, in their order."""
        every = [self, *others]
        self.scores = np.concatenate([one.scores for one in every])
        self.seconds = np.concatenate([one.seconds for one in every])
        self.failures = [failure for one in every for failure in one.failures]
        return self
