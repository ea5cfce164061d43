"""Scores of models on folds of a source: from sums over the rows left out, in one pass for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import check_scoring, get_scorer

from skfairloss._inputs.place import fitting_at
from skfairloss._rows.facts import Passes
from skfairloss._rows.folds import Asked, OfParts, Part
from skfairloss._rows.sums import sums_of
from skfairloss._typing import Array
from skfairloss.metrics._named import NamedMetric, as_named
from skfairloss.metrics._scorer import GroupScorer
from skfairloss.metrics._source_sums import GroupSums, Summed
from skfairloss.metrics._sums import SumMetrics, is_of_sums
from skfairloss.model_selection._scoring import Scorers

_SIGNED = {
    "neg_mean_absolute_error": ("mae", -1),
    "neg_mean_squared_error": ("mse", -1),
    "neg_root_mean_squared_error": ("rmse", -1),
    "r2": ("r2", 1),
}
_OF_OUTPUTS = ("mae", "mse")  # a mean over outputs, as scikit-learn takes it


@dataclass(frozen=True)
class SumScorer:
    """A scorer as a function of sums over rows.

    Parameters
    ----------
    metric : the metric.
    sign : 1 or -1, of the metric over all rows, where ``by_group`` is None.
    by_group : the scorer that compares groups.
    """

    metric: NamedMetric
    sign: int
    by_group: GroupScorer | None

    def score(self, values: Array, labels: list[Any]) -> float:
        """Return the score from the metric of the groups and, last, of all rows, (G + 1,)."""
        if self.metric.best == "zero":
            values = np.abs(values)
        if self.by_group is None:
            return self.sign * float(values[-1])

        def metric(sets: Any, _: Any) -> float:
            return float(values[sets[0]] if len(sets) == 1 else values[-1])

        metric.__name__ = self.metric.name
        return self.by_group.score_of(metric, labels)


def sum_scorers(scorers: Scorers, estimator: Any, n_outputs: int, grouped: bool) -> list[SumScorer]:
    """Return scorers as functions of sums over rows; refuse all others.

    ``grouped`` is True if the rows have groups.
    """
    known = {repr(get_scorer(name)): name for name in _SIGNED}
    known[repr(check_scoring(estimator, None))] = "r2"
    out = []
    for name, scorer in scorers.scorers.items():
        if isinstance(scorer, GroupScorer):
            out.append(_by_group(name, scorer, grouped))
            continue
        if repr(scorer) not in known:
            raise ValueError(
                f"scoring must be sums over rows where these are not in memory: None, one of "
                f"{list(_SIGNED)}, or make_group_scorer of a metric by name, got {scorer!r}"
            )
        metric, sign = _SIGNED[known[repr(scorer)]]
        if n_outputs > 1 and metric not in _OF_OUTPUTS:
            raise ValueError(
                f"scoring of {n_outputs} outputs of rows in blocks must be the mean of an error, "
                f"such as 'neg_mean_absolute_error', got {scorer!r}"
            )
        out.append(SumScorer(as_named(metric), sign, None))
    return out


def _by_group(name: str, scorer: GroupScorer, grouped: bool) -> SumScorer:
    """Return a scorer of groups that are those of the source."""
    if scorer.columns is not None:
        raise ValueError(
            f"scoring has {scorer!r}, which reads the groups from X: leave out its "
            "sensitive_features, groups of rows in blocks are those of the source"
        )
    metric = as_named(scorer.metric) if isinstance(scorer.metric, str) else None
    if metric is None or not is_of_sums(metric):
        raise ValueError(
            f"scoring has {scorer!r} ({name}): metrics of rows in blocks must be sums over rows"
        )
    if not grouped:
        raise ValueError(
            f"scoring has {scorer!r}, which needs groups: give blocks 'sensitive_features'"
        )
    return SumScorer(metric, 1, scorer)


@dataclass(frozen=True)
class Scored:
    """A fitted model to be scored on a part of the rows; ``place`` names it in errors."""

    part: Part
    model: Any
    place: str


def score_together(
    passes: Passes, scorers: Sequence[SumScorer], models: Sequence[Scored]
) -> list[list[float | Exception]]:
    """Score models on parts of the rows, in one pass; return scores or errors, by model."""
    source, head = passes.source, passes.source.head()
    metrics = SumMetrics(list({one.metric.name: one.metric for one in scorers}.values()))
    at = {metric.name: j for j, metric in enumerate(metrics.metrics)}
    kernels = [
        GroupSums.about(head, one.model, source.feature_names, metrics, False) for one in models
    ]
    asked = [Asked(one.part, kernel) for one, kernel in zip(models, kernels, strict=True)]
    sums = passes.run(OfParts(asked))
    out = []
    for j, one in enumerate(models):
        found = Summed.of(kernels[j], sums_of(sums, j))
        if not found.labels:
            raise ValueError(f"there are no rows with a weight to score ({one.place})")
        values = found.values()
        out.append([_score(own, values[at[own.metric.name]], found, one) for own in scorers])
    return out


def _score(scorer: SumScorer, values: Array, found: Summed, one: Scored) -> float | Exception:
    """Return a score, or the error that names the place."""
    try:
        with fitting_at(one.place):
            score = scorer.score(values, found.labels)
            if np.isnan(score):
                raise ValueError(f"scoring must return a number, {scorer.metric.name} is nan")
            return score
    except ValueError as error:
        return error
