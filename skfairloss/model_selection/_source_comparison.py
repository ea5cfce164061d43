"""The comparison of models on rows in blocks: a count, the fits, then two passes for all of them.

The first of these brings back sums of the metrics' values; with the metrics that they give as
inputs, the second one brings back moments of the influences of the rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone

from skfairloss._estimator.compat import CallbackSupportMixin, has_callbacks, with_callbacks
from skfairloss._estimator.regressor import PixelLossRegressor
from skfairloss._estimator.source_fitting import Predict, check_for_rows, watched
from skfairloss._inputs.parameters import is_integer
from skfairloss._inputs.place import fitting_at
from skfairloss._rows.facts import Passes
from skfairloss._rows.folds import Folds, Part
from skfairloss._rows.source import RowSource
from skfairloss.metrics._mix_ends import squared_share
from skfairloss.metrics._named import is_measure, known_names
from skfairloss.model_selection._candidates import Candidates
from skfairloss.model_selection._evidence import Evidence
from skfairloss.model_selection._folds import FEWEST, place_of
from skfairloss.model_selection._intervals import (
    check_pair,
    find_pair,
)
from skfairloss.model_selection._measures import Measure
from skfairloss.model_selection._source_estimates import Counted, Levels, Measured
from skfairloss.model_selection._source_fits import Job, SourceFits
from skfairloss.model_selection._source_passes import (
    Influences,
    OutOfFold,
    Setting,
)
from skfairloss.model_selection._statistics import OF_MEANS


class SourceComparison(CallbackSupportMixin, BaseEstimator):
    """A comparison of M models by T metrics on the rows of a source, as callbacks know it.

    Parameters
    ----------
    candidates : the models.
    measures : the metrics by label.
    reference : key of the model that the others are compared with.
    disparity_groups, n_jobs : as asked for.
    """

    def __init__(
        self,
        candidates: Candidates,
        measures: Mapping[str, Measure],
        reference: Any,
        disparity_groups: Any,
        n_jobs: int | None,
    ) -> None:
        self.candidates = candidates
        self.measures = measures
        self.reference = reference
        self.disparity_groups = disparity_groups
        self.n_jobs = n_jobs

    @with_callbacks
    def fit(self, source: RowSource, cv: Any, n_repeats: int, random: Any) -> Evidence:
        """Fit all models on all folds, and measure them."""
        self._check(cv)
        head = source.head()
        seeds = [int(random.randint(2**31 - 1)) for _ in range(n_repeats)]
        folds = tuple(Folds(int(cv), seed, head.clusters is not None) for seed in seeds)
        unit = 1.0 if head.weights is None else float(head.weights.max())
        setting = Setting(folds, tuple(self.measures.values()), head.single, unit)
        with watched(self, source) as passes:
            rows = Counted.of(passes, setting, head)
            check_pair(self.disparity_groups, rows.groups.labels)
            return self._measure(passes, setting, rows)

    def _measure(self, passes: Passes, setting: Setting, rows: Counted) -> Evidence:
        """Fit, and estimate from two passes."""
        models = self._fit(SourceFits(passes, self.candidates.models, self.n_jobs), setting.folds)
        predictions = tuple(tuple(tuple(map(Predict.of, own)) for own in each) for each in models)
        asked = setting, predictions, tuple(rows.groups.labels)
        levels = Levels.of(rows, setting.measures, passes.run(OutOfFold(*asked)))
        first = self.candidates.keys.index(self.reference)
        by_group = levels.value[:, 1:, first, 0].mean(axis=0)
        pair = find_pair(self.disparity_groups, rows.groups.labels, by_group)
        kernel = Influences(*asked, first, **levels.inputs(rows))
        found = Measured.of(rows, levels, pair, first, passes.run(kernel))
        shares = [[[squared_share(model) for model in own] for own in each] for each in models]
        return Evidence(
            rows.groups,
            rows.counts,
            pair,
            found.estimates(0),
            found.estimates(1),
            np.mean(shares, axis=(0, 1)),
            (len(setting.folds), rows.n, setting.folds[0].number),
            found.n_clusters if setting.folds[0].by_cluster else None,
            found.bundled,
        )

    def _check(self, cv: Any) -> None:
        """Refuse what needs rows in memory."""
        for j, model in enumerate(self.candidates.models):
            name = self.candidates.named(j)
            if not isinstance(model, PixelLossRegressor):
                raise NotImplementedError(
                    f"{name} must be a PixelLossRegressor where rows are in blocks, got {model!r}: "
                    "other models need rows in memory"
                )
            if has_callbacks(model):
                raise NotImplementedError(
                    f"callbacks of {name} need rows in one array: give them to the comparison"
                )
            with fitting_at(name):
                check_for_rows(model)
        other = [name for name, m in self.measures.items() if m.aggregate not in OF_MEANS]
        if other:
            known = known_names(lambda m: is_measure(m) and m.aggregate in OF_MEANS)
            raise ValueError(
                f"metrics must be any of {known} or functions where rows are in blocks, got {other}"
            )
        if not is_integer(cv) or cv < FEWEST:
            raise ValueError(
                f"cv must be an integer of at least {FEWEST} where rows are in blocks, whose folds "
                f"follow from their positions or clusters, got {cv!r}"
            )

    def _fit(
        self, fits: SourceFits, folds: tuple[Folds, ...]
    ) -> list[list[list[PixelLossRegressor]]]:
        """Return the models of each fold and repeat, fitted side by side."""
        n_folds, n_repeats = folds[0].number, len(folds)
        models = [
            [list(map(clone, self.candidates.models)) for _ in range(n_folds)]
            for _ in range(n_repeats)
        ]
        jobs = [
            Job(
                Part(folds[r], k),
                model,
                self.candidates.place(j, place_of(r, k, n_repeats, n_folds)),
            )
            for r in range(n_repeats)
            for k in range(n_folds)
            for j, model in enumerate(models[r][k])
        ]
        for error in filter(None, fits.fit(jobs)):
            raise error
        return models
