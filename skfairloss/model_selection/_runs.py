"""The fits of a comparison: all models on all folds, measured on the rows left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.parallel import Parallel, delayed

from skfairloss._estimator.compat import CallbackSupportMixin, with_callbacks
from skfairloss._inputs.place import fitting_at
from skfairloss._inputs.splits import Split
from skfairloss._typing import Array, Index
from skfairloss.metrics._mix_ends import squared_share
from skfairloss.model_selection._candidates import Candidates
from skfairloss.model_selection._data import FitData
from skfairloss.model_selection._folds import place_of
from skfairloss.model_selection._measures import Measure
from skfairloss.model_selection._statistics import Rows, outside
from skfairloss.model_selection._tasks import FitsTasks


@dataclass(frozen=True)
class Found:
    """Results of the fits of R repeats of K folds for M models and T metrics.

    Parameters
    ----------
    outside : (R, M, T, K, K, 1 + G), the metric under the model of each fold, over the rows
        outside of that fold and each other one.
    predictions : (R, M, n) or (R, M, n, m), out of fold.
    squared_shares : (M,), mean share of the squared part in the losses attained; NaN for models
        without one.
    """

    outside: Array
    predictions: Array
    squared_shares: Array


@dataclass(frozen=True)
class _Job:
    """The fits of the models of one path to the training rows of one fold."""

    repeat: int
    fold: int
    path: tuple[int, ...]
    place: str


class Run(CallbackSupportMixin, BaseEstimator):
    """The fits of a comparison, as callbacks know them."""

    def __init__(self, candidates: Candidates, measures: tuple[Measure, ...]) -> None:
        self.candidates = candidates
        self.measures = measures

    @with_callbacks
    def fit(
        self,
        data: FitData,
        rows: Rows,
        partitions: list[list[Split]],
        folds: Index,
        n_jobs: int | None,
        verbose: int,
    ) -> Found:
        """Fit all models on all folds, and measure them on all rows."""
        n_models, n_folds, n_repeats = len(self.candidates.keys), len(partitions[0]), len(folds)
        tasks = FitsTasks(self, n_repeats * n_folds * n_models)
        jobs = [
            _Job(r, k, path, place_of(r, k, n_repeats, n_folds))
            for r in range(n_repeats)
            for k in range(n_folds)
            for path in self.candidates.paths
        ]
        done = Parallel(n_jobs=n_jobs, verbose=verbose, require="sharedmem")(
            delayed(self._work)(job, tasks, data, rows, partitions[job.repeat], folds[job.repeat])
            for job in jobs
        )
        cells = (n_folds, n_folds, 1 + rows.groups.n_groups)
        outside = np.empty((n_repeats, n_models, len(self.measures), *cells))
        predictions = np.empty((n_repeats, n_models, *rows.y.shape))
        shares = np.empty((n_repeats, n_folds, n_models))
        for job, results in zip(jobs, done, strict=True):
            r, k = job.repeat, job.fold
            for j, (measured, predicted, share) in results.items():
                outside[r, j, :, k] = measured
                predictions[r, j, partitions[r][k][1]] = predicted
                shares[r, k, j] = share
        tasks.end()
        return Found(outside, predictions, shares.mean(axis=(0, 1)))

    def _work(
        self,
        job: _Job,
        tasks: FitsTasks,
        data: FitData,
        rows: Rows,
        partition: list[Split],
        fold: Index,
    ) -> dict[int, tuple[Array, Array, float]]:
        """Return for each model of a path its metrics, predictions out of fold, squared share."""
        train, test = partition[job.fold]
        n_folds, out = len(partition), {}
        number = (job.repeat * n_folds + job.fold) * len(self.candidates.keys)
        train_rows = data.rows(train)
        for j, model in self.candidates.fit(tasks, number, job.path, train_rows, job.place):
            with fitting_at(self.candidates.place(j, job.place)):
                predicted = _shaped(model.predict(data.X), rows.y)
                measured = [
                    outside(
                        each.aggregate,
                        rows,
                        each.values(rows.y, predicted),
                        fold,
                        job.fold,
                        n_folds,
                    )
                    for each in self.measures
                ]
            out[j] = (np.array(measured), predicted[test], squared_share(model))
        return out


def _shaped(predicted: Any, y: Array) -> Array:
    """Return predictions in the shape of y, checked."""
    found = np.asarray(predicted, dtype=np.float64)
    if found.size != y.size or len(found) != len(y):
        raise ValueError(f"predictions must have the shape {y.shape} of y, got {found.shape}")
    if not np.isfinite(found).all():
        raise ValueError("predictions must be finite")
    return found.reshape(y.shape)
