"""Fits of several models to the rows of one source, or to its folds: each pass is one for all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from joblib import effective_n_jobs

from skfairloss._estimator.regressor import PixelLossRegressor
from skfairloss._estimator.source_fitting import (
    RowTraining,
    check_for_rows,
    fit_rows,
    needs_products,
    read_rows,
)
from skfairloss._inputs.place import fitting_at
from skfairloss._rows.facts import Passes
from skfairloss._rows.folds import Part
from skfairloss._rows.together import fit_together

T = TypeVar("T")


@dataclass(frozen=True)
class Job:
    """The fit of a model to a part of the rows; ``place`` names it in errors and warnings."""

    part: Part | None
    model: PixelLossRegressor
    place: str


class SourceFits:
    """Fits of one source; a part of its rows is read once for all models.

    Parameters
    ----------
    passes : over the rows.
    models : all that will be fitted, checked here.
    n_jobs : fits that work at a time between passes. None is 1.
    """

    def __init__(
        self, passes: Passes, models: Sequence[PixelLossRegressor], n_jobs: int | None
    ) -> None:
        terms = [check_for_rows(model) for model in models]
        self.passes = passes
        self._n_jobs = 1 if n_jobs is None else effective_n_jobs(n_jobs)
        self._by_group = any(map(bool, terms))
        self._products = any(map(needs_products, models, terms))
        self._read: dict[Any, RowTraining] = {}

    def fit(self, jobs: Sequence[Job]) -> list[Exception | None]:
        """Fit models, side by side. Returns what went wrong, None where nothing did."""
        first = {_key(job): job for job in reversed(jobs)}
        missing = [job for key, job in first.items() if key not in self._read]
        if missing:
            found = self._together(missing, self._read_rows)
            self._read.update(zip(map(_key, missing), found, strict=True))
        return self._together(jobs, self._fit_rows)

    def _together(self, jobs: Sequence[Job], work: Callable[[Job, Passes], T]) -> list[T]:
        """Do the work of all jobs."""
        fits = [(job.part, lambda rows, job=job: work(job, Passes(rows))) for job in jobs]
        return fit_together(self.passes, fits, self._n_jobs)

    def _read_rows(self, job: Job, passes: Passes) -> RowTraining:
        """Make the first passes of a part of the rows."""
        with fitting_at(job.place):
            return read_rows(job.model, passes, self._by_group, self._products)

    def _fit_rows(self, job: Job, passes: Passes) -> Exception | None:
        """Fit a model, and return what goes wrong. None where nothing does."""
        try:
            with fitting_at(job.place):
                fit_rows(job.model, passes, self._read[_key(job)])
        except Exception as error:
            return error
        return None


def _key(job: Job) -> Any:
    """Return what fits have in common that read the rows once: the part, intercept and scale."""
    scale = job.model.scale
    unit = scale if isinstance(scale, str) else tuple(np.ravel(scale).tolist())
    return job.part, bool(job.model.fit_intercept), unit
