"""The search of a grid on rows in blocks: each pass is one for all folds and mixes of a step."""

from __future__ import annotations

import time
from copy import copy
from dataclasses import dataclass
from typing import Any

from skfairloss._estimator.regressor import PixelLossRegressor
from skfairloss._inputs.parameters import is_integer
from skfairloss._rows.facts import Passes
from skfairloss._rows.folds import Folds, Part
from skfairloss.model_selection._grid import Candidate, Grid
from skfairloss.model_selection._scores import Scores
from skfairloss.model_selection._scoring import Scorers
from skfairloss.model_selection._source_fits import Job, SourceFits
from skfairloss.model_selection._source_scoring import Scored, score_together, sum_scorers

_FOLDS = 5  # scikit-learn's default
_SEED = 0  # folds are the same each time, as those of KFold


@dataclass(frozen=True)
class SourceSearch:
    """The search of one grid on the folds of a source.

    Parameters
    ----------
    regressor : with the parameters that all candidates share.
    grid, scorers, error_score, n_jobs : as asked for.
    """

    regressor: PixelLossRegressor
    grid: Grid
    scorers: Scorers
    error_score: float | str
    n_jobs: int | None

    def __call__(self, passes: Passes, n_folds: int) -> tuple[Scores, SourceFits]:
        """Fit all candidates to all folds, and score them on the rows left out."""
        head = passes.source.head()
        asked = head.y.shape[1], head.codes is not None
        of_sums = sum_scorers(self.scorers, PixelLossRegressor(), *asked)
        models = [self._model(candidate) for candidate in self.grid.candidates]
        fits = SourceFits(passes, models, self.n_jobs)
        folds = Folds(n_folds, _SEED, by_cluster=head.clusters is not None)
        found = Scores(n_folds, len(models), self.scorers.names, self.error_score)
        width = len(self.grid.mixes)
        fitted: dict[tuple[int, int], Scored] = {}
        for first in range(0, len(models), width):
            step = dict(enumerate(models[first : first + width], first))
            fitted |= self._fit(fits, folds, step, found)
        started = time.perf_counter()
        scores = score_together(passes, of_sums, list(fitted.values()))
        found.seconds[..., 1] = (time.perf_counter() - started) / max(len(fitted), 1)
        for (k, at), own in zip(fitted, scores, strict=True):
            found.record(k, at, own)
        return found, fits

    def _fit(
        self, fits: SourceFits, folds: Folds, models: dict[int, PixelLossRegressor], found: Scores
    ) -> dict[tuple[int, int], Scored]:
        """Fit candidates, given by position, to all folds; return those that did not fail."""
        candidates, n = self.grid.candidates, folds.number
        jobs = {
            (k, at): Job(
                Part(folds, k), copy(model), f"{candidates[at].place}, fold {k + 1} of {n}"
            )
            for k in range(n)
            for at, model in models.items()
        }
        started = time.perf_counter()
        errors = fits.fit(list(jobs.values()))
        seconds = (time.perf_counter() - started) / len(jobs)
        out = {}
        for ((k, at), job), error in zip(jobs.items(), errors, strict=True):
            found.seconds[k, at, 0] = seconds
            if error is None:
                out[k, at] = Scored(Part(folds, k, inside=True), job.model, job.place)
            else:
                found.fail(k, at, error)
        return out

    def _model(self, candidate: Candidate) -> PixelLossRegressor:
        """Return the regressor of a candidate."""
        model = copy(self.regressor)
        model.__dict__.update(candidate.parameters)
        return model


def folds_of_source(cv: Any) -> int:
    """Return the number of folds that ``cv`` asks for; None is 5."""
    if cv is None:
        return _FOLDS
    if not is_integer(cv) or cv < 2:
        raise ValueError(
            f"cv must be None or an integer of at least 2 for rows in blocks, whose folds follow "
            f"from their positions or clusters, got {cv!r}"
        )
    return int(cv)
