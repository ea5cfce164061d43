"""`ModelComparison`: what a comparison of models found, as tables, words and a plot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from skfairloss._inputs.groups import counted
from skfairloss._inputs.parameters import check_parameters, one_of
from skfairloss._typing import Array, Index
from skfairloss.displays import LossMixDisplay, ModelComparisonDisplay
from skfairloss.displays._style import FEW_ROWS
from skfairloss.metrics._named import metric_title
from skfairloss.metrics._row_metrics import Metric
from skfairloss.model_selection._candidates import Candidates
from skfairloss.model_selection._evidence import Evidence
from skfairloss.model_selection._intervals import Estimate
from skfairloss.model_selection._verdict import Words
from skfairloss.report._html import page, table_html
from skfairloss.report._markdown import to_markdown
from skfairloss.report._table import Row, Table, make_cells
from skfairloss.report._text import to_text

KINDS = ("differences", "levels")


@dataclass(frozen=True, repr=False)
class ModelComparison:
    """Models compared on the same folds; made by `compare_models` and `compare_loss_mixes`.

    Parameters
    ----------
    estimates : DataFrame
        A row for each metric, model and statistic: "model" (or "loss_mix"), "metric",
        "statistic" ("overall", "by_group" or "disparity"), "group" (None for the other statistics),
        "count" (rows with a weight), "value", "lower", "upper", and of the difference from the
        reference "difference", "difference_lower", "difference_upper" (0 for itself).

    predictions : ndarray of shape (n_repeats, n_models, n_samples) or with outputs as last axis
        Out-of-fold predictions; None for rows in a source or of Dask.

    folds : ndarray of shape (n_repeats, n_samples)
        The fold in which each row was predicted; None for rows in a source or of Dask.

    reference : str or float
        The model, or the mix, that the others are compared with.

    by : str
        What tells models apart: "model" or "loss_mix".

    disparity_groups : tuple
        The disparity is the metric of the first group minus that of the second.

    metrics : dict of str to metric
        The metrics by their labels.

    confidence_level : float
        Of each interval by itself, or of those of all differences together.

    simultaneous : bool
        Whether the intervals of differences hold together.

    group_name : str
        What defines the groups: the names of the columns.

    squared_shares : ndarray of shape (n_models,)
        Share of the squared part in the attained loss, the mean over the fits; NaN for models
        that are not, and do not hold, a `PixelLossRegressor`.

    n_clusters : int or None
        Number of clusters; None where rows are independent.

    bundled : bool
        Whether ``n_clusters`` counts bundles of clusters, drawn at random: a source of rows has
        them beyond 65 536 pairs of a cluster and a group.

    n_repeats : int
        Number of times that the rows were divided into folds.

    n_samples : int
        Number of rows.

    n_folds : int
        Number of folds.

    Attributes
    ----------
    overall : DataFrame
        Of all rows: "model" (or "loss_mix"), "metric", "value", "lower", "upper".

    by_group : DataFrame
        Of each group: the same, with "group" and "count".

    disparity : DataFrame
        Of the first of ``disparity_groups`` minus the second: the columns of ``overall``.

    differences : DataFrame
        Every model minus the reference: "model" (or "loss_mix"), "metric", "statistic", "group",
        "count", "difference", "lower", "upper", and "detected", which says that the interval leaves
        out 0.

    verdict : str
        One sentence: what the change is over all rows by the first metric, and for which groups it
        is for the worse. With several models it speaks of the one with the best detected change.

    details : str
        A paragraph on all metrics, groups and models.

    Examples
    --------
    >>> from skfairloss import compare_loss_mixes
    >>> from skfairloss.datasets import make_pixel_groups
    >>> X, y, group = make_pixel_groups(400, noise=0.1, random_state=0)
    >>> found = compare_loss_mixes(
    ...     X, y, sensitive_features=group, loss_mixes=[0, 1], random_state=0
    ... )
    >>> found.overall[["loss_mix", "metric", "value"]].round(3)
       loss_mix metric  value
    0       0.0    mae  0.263
    1       1.0    mae  0.232
    >>> found.disparity_groups
    ('dark', 'bright')
    """

    estimates: pd.DataFrame
    predictions: Array | None
    folds: Index | None
    reference: Any
    by: str
    disparity_groups: tuple[Any, Any]
    metrics: Mapping[str, Metric]
    confidence_level: float
    simultaneous: bool
    group_name: str
    squared_shares: Array
    n_clusters: int | None
    bundled: bool
    n_repeats: int
    n_samples: int
    n_folds: int

    @property
    def overall(self) -> pd.DataFrame:
        """The metrics of all rows, by model."""
        return self._levels("overall").drop(columns=["group", "count"])

    @property
    def by_group(self) -> pd.DataFrame:
        """The metrics of each group, by model."""
        return self._levels("by_group")

    @property
    def disparity(self) -> pd.DataFrame:
        """The differences of the two groups of ``disparity_groups``, by model."""
        return self._levels("disparity").drop(columns=["group", "count"])

    @property
    def differences(self) -> pd.DataFrame:
        """Every model minus the reference, with intervals."""
        rows = self.estimates[self.estimates[self.by] != self.reference]
        table = rows.drop(columns=["value", "lower", "upper"]).rename(
            columns={"difference_lower": "lower", "difference_upper": "upper"}
        )
        table["detected"] = (table["lower"] > 0) | (table["upper"] < 0)
        return table.reset_index(drop=True)

    @property
    def verdict(self) -> str:
        """One sentence that follows from the intervals."""
        return Words(self).verdict()

    @property
    def details(self) -> str:
        """A paragraph that follows from the intervals."""
        return Words(self).details()

    def to_frame(self) -> pd.DataFrame:
        """Return all estimates in one tidy table.

        Returns
        -------
        pandas.DataFrame
            A copy of ``estimates``.
        """
        return self.estimates.copy()

    def to_model_card(self) -> str:
        """Return the comparison as Markdown, for a section of a model card.

        Returns
        -------
        str
            The verdict, a table for each metric, and the details. ``skops.card.Card.add`` takes it
            as the content of a section.
        """
        tables = [to_markdown(table) for table in self._tables()]
        return "\n\n".join([self.verdict, *tables, self.details])

    def plot(
        self,
        ax: Any = None,
        *,
        kind: str = "differences",
        metric: str | None = None,
        legend: bool = True,
        title: str | None = None,
    ) -> ModelComparisonDisplay | LossMixDisplay:
        """Draw differences from the reference by group, or the metric itself.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; ``None`` makes a figure.

        kind : {"differences", "levels"}, default="differences"
            "differences" is a forest plot: a point with its interval for all rows, each group and
            the disparity, beside a line at 0. "levels" draws the metric of each model over all rows
            and in each group; mixes are on the horizontal axis then.

        metric : str, default=None
            Label of the metric; ``None`` takes the first one.

        legend : bool, default=True
            Whether to name the marks, above them and inside the axes.

        title : str, default=None
            Above the axes; ``None`` leaves the title as it is.

        Returns
        -------
        display : ModelComparisonDisplay or LossMixDisplay
            After its ``plot``; a LossMixDisplay for the levels of mixes.

        Raises
        ------
        ValueError
            If there is no such kind or metric.
        """
        metric = next(iter(self.metrics)) if metric is None else metric
        checks = {"kind": one_of(KINDS), "metric": one_of(list(self.metrics))}
        check_parameters(None, {"kind": kind, "metric": metric}, checks)
        display: ModelComparisonDisplay | LossMixDisplay
        if kind == "levels" and self.by == "loss_mix":
            shares = dict(zip(self.overall["loss_mix"], self.squared_shares, strict=False))
            frame = self.estimates.assign(squared_share=self.estimates["loss_mix"].map(shares))
            display = LossMixDisplay.from_frame(frame, metric=metric, group_name=self.group_name)
        else:
            display = self._forest(metric, kind)
        return display.plot(ax, legend=legend, title=title)

    def named(self, key: Any) -> str:
        """Return a model in words.

        Parameters
        ----------
        key : str or float
            Its name, or its mix.

        Returns
        -------
        str
            The name, or "loss_mix=" with the mix.
        """
        return f"loss_mix={key:g}" if self.by == "loss_mix" else str(key)

    def __repr__(self) -> str:
        return "\n\n".join([self.verdict, *map(to_text, self._tables()), self.details])

    def _repr_html_(self) -> str:
        """Return verdict, tables and details for notebooks."""
        tables = "".join(map(table_html, self._tables()))
        return page(
            f"<p><strong>{escape(self.verdict)}</strong></p>{tables}"
            f"<details><summary>In words</summary><p>{escape(self.details)}</p></details>"
        )

    def _levels(self, statistic: str) -> pd.DataFrame:
        """Return the values of a statistic with their intervals."""
        columns = [self.by, "metric", "group", "count", "value", "lower", "upper"]
        rows = self.estimates.loc[self.estimates["statistic"] == statistic, columns]
        return rows.reset_index(drop=True)

    def _of(self, metric: str, key: Any) -> pd.DataFrame:
        """Return the rows of a metric and a model: all rows, the groups, the disparity."""
        table = self.estimates
        return table[(table["metric"] == metric) & (table[self.by] == key)]

    def _keys(self) -> list[Any]:
        """Return the models, the reference first."""
        keys = list(dict.fromkeys(self.estimates[self.by]))
        return [self.reference, *(key for key in keys if key != self.reference)]

    def _labels(self, rows: pd.DataFrame) -> list[str]:
        """Return what rows of estimates are called."""
        high, low = self.disparity_groups
        names = {"overall": "all rows", "disparity": f"{high} minus {low}"}
        return [
            str(row.group) if row.statistic == "by_group" else names[row.statistic]
            for row in rows.itertuples()
        ]

    def _forest(self, metric: str, kind: str) -> ModelComparisonDisplay:
        """Return the display of differences, or of the levels of models."""
        is_difference = kind == "differences"
        keys = self._keys()[is_difference:]
        first = self._of(metric, self.reference)
        prefix = "difference_" if is_difference else ""
        columns = ("difference" if is_difference else "value", f"{prefix}lower", f"{prefix}upper")
        value, lower, upper = (
            np.column_stack([self._of(metric, key)[column] for key in keys]) for column in columns
        )
        known = (first["statistic"] != "disparity").to_numpy()
        # a difference of groups is on another scale than their levels
        shown = np.flatnonzero(known | is_difference)
        return ModelComparisonDisplay(
            [self._labels(first)[i] for i in shown],
            [self.named(key) for key in keys],
            value[shown],
            lower=lower[shown],
            upper=upper[shown],
            counts=np.where(known, first["count"], np.nan)[shown],
            reference=self.named(self.reference) if is_difference else None,
            metric=metric,
            group_name=self.group_name,
        )

    def _tables(self) -> list[Table]:
        """Return a table for each metric: the reference, then the differences from it."""
        return [self._table(metric) for metric in self.metrics]

    def _table(self, metric: str) -> Table:
        """Return the table of one metric."""
        reference, *keys = self._keys()
        first = self._of(metric, reference)
        columns = ["statistic", "count", "value", "lower", "upper"]
        cells = [make_cells(first[columns])]
        for key in keys:
            changes = [*columns[:2], "difference", "difference_lower", "difference_upper"]
            own = self._of(metric, key)[changes]
            cells.append(make_cells(own.set_axis(columns, axis=1)))
        kinds = {"disparity": "difference"}
        rows = [
            Row(
                label=label,
                count="" if statistic == "disparity" else str(count),
                is_small=statistic == "by_group" and count < FEW_ROWS,
                statistic=kinds.get(statistic, statistic),
                cells=[column[i] for column in cells],
            )
            for i, (label, statistic, count) in enumerate(
                zip(self._labels(first), first["statistic"], first["count"], strict=True)
            )
        ]
        order = [*range(1, len(rows) - 1), 0, len(rows) - 1]  # groups first, as in reports
        names = [self.named(reference), *(f"change under {self.named(key)}" for key in keys)]
        return Table(
            f"{metric_title(metric)}, out of fold",
            names,
            [rows[i] for i in order],
            self._notes(rows),
            differences=tuple(range(1, len(names))),
        )

    def _notes(self, rows: list[Row]) -> list[str]:
        """Return what is said below a table."""
        between = "" if self.n_clusters is None else f" of {self.n_clusters} whole clusters"
        if self.bundled:
            between = f" of whole clusters in {self.n_clusters} bundles"
        notes = [
            f"{counted(self.n_samples, 'row')}, {self.n_folds} folds{between}, "
            f"{counted(self.n_repeats, 'repeat')}; "
            f"{100 * self.confidence_level:g} % intervals"
            f"{', those of differences simultaneous' if self.simultaneous else ''}"
        ]
        return notes + [f"* fewer than {FEW_ROWS} rows"] * any(row.is_small for row in rows)


def make_comparison(
    candidates: Candidates,
    metrics: Mapping[str, Metric],
    evidence: Evidence,
    tails: tuple[float, float],
    **options: Any,
) -> ModelComparison:
    """Put estimates of metrics by model, of the quantities of `Design`, into one table.

    ``tails`` are those of the intervals of levels and of differences.
    """
    names, counts = evidence.groups.texts, evidence.counts
    statistic = ["overall", *["by_group"] * len(names), "disparity"]
    of_pair = counts[list(evidence.pair)].sum()
    levels, differences = evidence.levels, evidence.differences
    n_models, n_metrics, n_quantities = len(candidates.keys), len(metrics), len(statistic)
    times = n_models * n_metrics
    numbers = np.array(
        [
            [*_with_ends(levels[t][j], tails[0]), *_with_ends(differences[t][j], tails[1])]
            for j in range(n_models)
            for t in range(n_metrics)
        ]
    )  # (models and metrics, 6, quantities)
    columns = ["value", "lower", "upper"]
    columns += ["difference", "difference_lower", "difference_upper"]
    estimates = pd.DataFrame(
        {
            candidates.by: np.repeat(candidates.keys, n_metrics * n_quantities),
            "metric": np.tile(np.repeat(list(metrics), n_quantities), n_models),
            "statistic": statistic * times,
            "group": pd.Series([None, *names, None] * times, dtype=object),
            "count": np.tile([counts.sum(), *counts, of_pair], times),
            **dict(zip(columns, numbers.transpose(1, 0, 2).reshape(6, -1), strict=True)),
        }
    )
    n_repeats, n_samples, n_folds = evidence.shape
    return ModelComparison(
        estimates,
        predictions=evidence.predictions,
        folds=evidence.folds,
        by=candidates.by,
        disparity_groups=(names[evidence.pair[0]], names[evidence.pair[1]]),
        metrics=dict(metrics),
        group_name=evidence.groups.title,
        squared_shares=evidence.squared_shares,
        n_clusters=evidence.n_clusters,
        bundled=evidence.bundled,
        n_repeats=n_repeats,
        n_samples=n_samples,
        n_folds=n_folds,
        **options,
    )


def _with_ends(found: Estimate, tail: float) -> tuple[Array, Array, Array]:
    """Return estimates (q,) with the ends of their intervals."""
    return (found.value, *found.ends(tail))
