"""`LossMixComparison`: what a comparison of mixes found, as tables, words and a plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from skfairloss._inputs.groups import Groups
from skfairloss._typing import Array, Index
from skfairloss.displays import LossMixDisplay
from skfairloss.metrics._mix_ends import nearly_ends
from skfairloss.model_selection._intervals import Estimate


@dataclass(frozen=True, repr=False)
class LossMixComparison:
    """Mixes compared on the same folds; made by `compare_loss_mixes`.

    Parameters
    ----------
    overall : DataFrame
        A row for each mix: ``loss_mix``, ``loss``, ``low``, ``high``, ``disparity``,
        ``disparity_low``, ``disparity_high``, and ``squared_share``, the mean over the fits of the
        share of the squared part in the attained loss.

    by_group : DataFrame
        A row for each mix and group: ``loss_mix``, ``group``, ``count``, ``loss``, ``low``,
        ``high``.

    differences : DataFrame
        A row for each mix but the reference and each quantity ("loss", "loss of <group>",
        "disparity"): ``loss_mix``, ``quantity``, ``group``, ``difference`` (mix minus reference),
        ``low``, ``high``, and ``detected``, whether the interval leaves out 0.

    predictions : ndarray of shape (n_repeats, n_mixes, n_samples) or with outputs as last axis
        Out-of-fold predictions.

    folds : ndarray of shape (n_repeats, n_samples)
        The fold in which each row was predicted.

    reference : float
        The mix that the others are compared with.

    disparity_groups : tuple
        The disparity is the loss of the first minus that of the second.

    metric : str
        What the loss of a row is called.

    confidence_level : float
        Of each interval by itself.

    group_name : str
        What defines the groups: the names of the columns.

    Examples
    --------
    >>> from skfairloss import compare_loss_mixes
    >>> from skfairloss.datasets import make_pixel_groups
    >>> X, y, group = make_pixel_groups(400, noise=0.1, random_state=0)
    >>> found = compare_loss_mixes(
    ...     X, y, sensitive_features=group, loss_mixes=[0, 1], random_state=0
    ... )
    >>> found.overall[["loss_mix", "loss", "disparity"]].round(3)
       loss_mix   loss  disparity
    0       0.0  0.263      0.244
    1       1.0  0.232      0.475
    >>> found.disparity_groups
    ('dark', 'bright')
    """

    overall: pd.DataFrame
    by_group: pd.DataFrame
    differences: pd.DataFrame
    predictions: Array = field(repr=False)
    folds: Index = field(repr=False)
    reference: float
    disparity_groups: tuple[Any, Any]
    metric: str
    confidence_level: float
    group_name: str

    @property
    def verdict(self) -> str:
        """One paragraph in words that follows from the intervals."""
        high, low = self.disparity_groups
        n = int(self.by_group.loc[self.by_group["loss_mix"] == self.reference, "count"].sum())
        at = self.overall.loc[self.overall["loss_mix"] == self.reference].iloc[0]
        sentences = [
            f"Out-of-fold {self.metric} on {n} rows, compared with loss_mix={self.reference:g} "
            f"({at['loss']:.4g} over all rows), {self._percent} confidence intervals.",
            self._sentence("loss", "Over all rows", "a smaller loss", "a larger loss"),
        ]
        sentences += [
            self._sentence(
                f"loss of {group}", f"For the group {group}", "a smaller loss", "a larger loss"
            )
            for group in self.by_group["group"].unique()
        ]
        name = f"The disparity ({high} minus {low}, {at['disparity']:.4g} under the reference)"
        sentences.append(self._sentence("disparity", name, "a decrease", "an increase"))
        turned = self.overall["disparity"] * at["disparity"] < 0
        if turned.any():
            mixes = _listed([f"{mix:g}" for mix in self.overall.loc[turned, "loss_mix"]])
            sentences.append(f"Its sign is the opposite at loss_mix {mixes}.")
        nearly = nearly_ends(self.overall["loss_mix"], self.overall["squared_share"])
        sentences += [nearly] if nearly else []
        m = len(self.differences)
        sentences.append(
            f"The intervals are not adjusted for multiple comparisons: of {m} intervals, expect "
            f"{m * (1 - self.confidence_level):.2g} to miss the true value by chance."
        )
        return " ".join(sentences)

    def to_frame(self) -> pd.DataFrame:
        """Return all estimates in one tidy table.

        Returns
        -------
        pandas.DataFrame
            A row for each mix and quantity ("loss", "disparity"; for "loss" over all rows the
            group is missing), with ``estimate``, ``low``, ``high`` and the difference from the
            reference, ``difference``, ``difference_low``, ``difference_high`` (0 for itself).
        """
        levels = [
            self.overall[["loss_mix", "loss", "low", "high"]].assign(quantity="loss"),
            self.by_group[["loss_mix", "group", "loss", "low", "high"]].assign(
                quantity=[f"loss of {group}" for group in self.by_group["group"]]
            ),
            self.overall[["loss_mix"]].assign(
                quantity="disparity",
                loss=self.overall["disparity"],
                low=self.overall["disparity_low"],
                high=self.overall["disparity_high"],
            ),
        ]
        frame = pd.concat(levels, ignore_index=True).rename(columns={"loss": "estimate"})
        changes = self.differences.rename(
            columns={"low": "difference_low", "high": "difference_high"}
        )
        columns = ["difference", "difference_low", "difference_high"]
        frame = frame.merge(
            changes[["loss_mix", "quantity", *columns]], on=["loss_mix", "quantity"], how="left"
        )
        frame[columns] = frame[columns].fillna(0.0)
        frame["quantity"] = frame["quantity"].where(frame["group"].isna(), "loss")
        order = ["loss_mix", "quantity", "group", "estimate", "low", "high", *columns]
        return frame[order].sort_values("loss_mix", kind="stable", ignore_index=True)

    def plot(
        self, ax: Any = None, *, legend: bool = True, title: str | None = None
    ) -> LossMixDisplay:
        """Draw losses, over all rows and of each group, against the mix, with their intervals.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; ``None`` makes a figure.

        legend : bool, default=True
            Whether to name the lines, above them and inside the axes.

        title : str, default=None
            Above the axes; ``None`` leaves the title as it is.

        Returns
        -------
        display : LossMixDisplay
            After its `plot`.
        """
        overall = self.overall.sort_values("loss_mix")
        # by position: names of groups may be tuples, which pandas would take for several columns
        names = list(dict.fromkeys(self.by_group["group"]))
        number = self.by_group["group"].map({name: i for i, name in enumerate(names)})
        rows = self.by_group.assign(number=number)

        def table(column: str) -> pd.DataFrame:
            by_mix = rows.pivot(index="loss_mix", columns="number", values=column).sort_index()
            return by_mix.set_axis(pd.Index(names, tupleize_cols=False), axis=1)

        return LossMixDisplay(
            table("loss"),
            overall=overall["loss"],
            by_group_ci=(table("low"), table("high")),
            overall_ci=(overall["low"], overall["high"]),
            metric=f"{self.metric}, out of fold",
            squared_share=overall["squared_share"],
            group_name=self.group_name,
        ).plot(ax, legend=legend, title=title)

    def __repr__(self) -> str:
        shown = {"float_format": "{:.4g}".format, "index": False}
        parts = [
            f"LossMixComparison: {self.metric}, out of fold",
            self._wide().to_string(**shown),
            f"Differences from loss_mix={self.reference:g}, {self._percent} confidence intervals",
            self.differences.drop(columns="group").to_string(**shown),
            self.verdict,
        ]
        return "\n\n".join(parts)

    def _repr_html_(self) -> str:
        """Return tables and verdict for notebooks."""
        shown = {"float_format": "{:.4g}".format, "index": False, "border": 0}
        caption = f"Differences from loss_mix={self.reference:g}, {self._percent} intervals"
        return (
            '<div class="skfairloss-comparison">'
            f"<p><strong>LossMixComparison</strong>: {escape(self.metric)}, out of fold</p>"
            f"{self._wide().to_html(**shown)}"
            f"<details open><summary>{escape(caption)}</summary>"
            f"{self.differences.drop(columns='group').to_html(**shown)}</details>"
            f"<p>{escape(self.verdict)}</p></div>"
        )

    @property
    def _percent(self) -> str:
        return f"{100 * self.confidence_level:g} %"

    def _wide(self) -> pd.DataFrame:
        """Return a row for each mix: loss overall, of each group, and the disparity."""
        wide = self.by_group.pivot(index="loss_mix", columns="group", values="loss")
        wide = wide[list(self.by_group["group"].unique())]  # pivot sorts them
        wide.columns.name = None
        rows = self.overall.set_index("loss_mix")
        wide.insert(0, "all rows", rows["loss"])
        wide["disparity"] = rows["disparity"]
        return wide.reset_index()

    def _sentence(self, quantity: str, subject: str, less: str, more: str) -> str:
        """State the differences that the intervals of one quantity show."""
        rows = self.differences[self.differences["quantity"] == quantity]
        parts = []
        for word, chosen in (
            (less, rows[rows["detected"] & (rows["difference"] < 0)]),
            (more, rows[rows["detected"] & (rows["difference"] > 0)]),
        ):
            if len(chosen):
                each = [
                    f"{row.loss_mix:g} ({row.difference:+.3g}, {row.low:+.3g} to {row.high:+.3g})"
                    for row in chosen.itertuples()
                ]
                parts.append(f"{word} at loss_mix {_listed(each)}")
        unclear = [f"{mix:g}" for mix in rows.loc[~rows["detected"], "loss_mix"]]
        if unclear:
            parts.append(f"no detectable difference at loss_mix {_listed(unclear)}")
        return f"{subject}: {'; '.join(parts)}."


def _listed(items: list[str]) -> str:
    """Return items as words."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def make_comparison(
    *,
    mixes: Array,
    reference: int,
    groups: Groups,
    pair: tuple[int, int],
    metric: str,
    level: float,
    levels: Sequence[Estimate],
    differences: Sequence[Estimate],
    counts: Index,
    predictions: Array,
    folds: Index,
    squared_shares: Array,
) -> LossMixComparison:
    """Put estimates for each mix, of the quantities of `Quantities`, into tables."""
    names = groups.texts
    overall = pd.DataFrame(
        {
            "loss_mix": mixes,
            **_columns(levels, 0, "loss", ""),
            **_columns(levels, -1, "disparity", "disparity_"),
            "squared_share": squared_shares,
        }
    )
    by_group = pd.concat(
        [
            pd.DataFrame({"loss_mix": mixes, "group": name, "count": count}).assign(
                **_columns(levels, 1 + g, "loss", "")
            )
            for g, (name, count) in enumerate(zip(names, counts, strict=True))
        ]
    ).sort_values("loss_mix", kind="stable", ignore_index=True)
    quantities = ["loss", *(f"loss of {name}" for name in names), "disparity"]
    records = [
        (
            mixes[j],
            quantity,
            None if q in (0, len(names) + 1) else names[q - 1],
            found.value[q],
            found.low[q],
            found.high[q],
        )
        for j, found in enumerate(differences)
        if j != reference
        for q, quantity in enumerate(quantities)
    ]
    columns = ["loss_mix", "quantity", "group", "difference", "low", "high"]
    table = pd.DataFrame(records, columns=columns)
    table["detected"] = (table["low"] > 0) | (table["high"] < 0)
    return LossMixComparison(
        overall=overall,
        by_group=by_group,
        differences=table,
        predictions=predictions,
        folds=folds,
        reference=float(mixes[reference]),
        disparity_groups=(names[pair[0]], names[pair[1]]),
        metric=metric,
        confidence_level=level,
        group_name=groups.title,
    )


def _columns(found: Sequence[Estimate], q: int, name: str, prefix: str) -> dict[str, Array]:
    """Return a quantity under every mix, with the ends of its intervals."""
    return {
        name: np.array([e.value[q] for e in found]),
        f"{prefix}low": np.array([e.low[q] for e in found]),
        f"{prefix}high": np.array([e.high[q] for e in found]),
    }
