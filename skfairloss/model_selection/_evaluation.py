"""Fits and scores of all candidates of a search on one split of the rows at a time."""

from __future__ import annotations

import time
from copy import copy
from dataclasses import dataclass
from typing import Any

from sklearn import config_context
from sklearn.utils.validation import _num_samples

from skfairloss._estimator.regressor import PixelLossRegressor
from skfairloss._inputs.place import fitting_at
from skfairloss.model_selection._data import FitData
from skfairloss.model_selection._grid import Grid
from skfairloss.model_selection._path import Walk
from skfairloss.model_selection._scores import Scores
from skfairloss.model_selection._scoring import Scorers
from skfairloss.model_selection._search_folds import FoldOfSearch
from skfairloss.model_selection._tasks import FitsTasks


@dataclass(frozen=True)
class Evaluation:
    """The search of one grid, called with each fold.

    Parameters
    ----------
    regressor : with the parameters that all candidates share.
    data : all rows.
    for_scorers : metadata of all rows for each scorer.
    scorers, grid, error_score : as asked for.
    tasks : one for each fit.
    """

    regressor: PixelLossRegressor
    data: FitData
    for_scorers: dict[str, dict[str, Any]]
    scorers: Scorers
    grid: Grid
    error_score: float | str
    tasks: FitsTasks

    def __call__(self, fold: FoldOfSearch) -> Scores:
        """Return the scores of the candidates on the fold."""
        with config_context(assume_finite=True):  # all rows were checked before they were cut
            return self._evaluate(fold)

    def _evaluate(self, fold: FoldOfSearch) -> Scores:
        """Walk over the mixes and strengths, for each weight of the penalty."""
        candidates = self.grid.candidates
        found = Scores(1, len(candidates), self.scorers.names, self.error_score)
        train, test = self.data.rows(fold.train), self.data.rows(fold.test)
        given = self.scorers.rows(self.for_scorers, fold.test, _num_samples(self.data.y))
        for path in self.grid.paths:
            template = copy(self.regressor)
            template.__dict__.update(candidates[path[0]].parameters)
            walk = Walk(template, train)
            for at in path:
                place = f"{candidates[at].place}, {fold.name}"
                started = time.perf_counter()
                model = walk.model(**candidates[at].parameters)
                error = self._fit(walk, model, fold.number * len(candidates) + at, place)
                found.seconds[0, at, 0] = fitted = time.perf_counter() - started
                if error is not None:
                    found.fail(0, at, error)
                    continue
                scores = self.scorers(model, test.X, test.y, given, place)
                found.seconds[0, at, 1] = time.perf_counter() - started - fitted
                found.record(0, at, list(scores.values()))
        return found

    def _fit(
        self, walk: Walk, model: PixelLossRegressor, task: int, place: str
    ) -> Exception | None:
        """Fit a candidate to the rows of a walk; return what went wrong."""
        try:
            with fitting_at(place), self.tasks.fit(task, model):
                walk.fit(model)
        except Exception as error:
            return error
        return None
