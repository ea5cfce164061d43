"""A comparison in words: one sentence first, then what each interval says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from skfairloss.metrics._mix_ends import nearly_ends
from skfairloss.metrics._named import NamedMetric, metric_title
from skfairloss.report._table import interval_text


class Words:
    """The sentences on a comparison.

    Parameters
    ----------
    comparison : ModelComparison
    """

    def __init__(self, comparison: Any) -> None:
        self.found = comparison

    def verdict(self) -> str:
        """Return one sentence: the change over all rows under the first metric, and for whom."""
        metric = next(iter(self.found.metrics))
        best = _best(self.found.metrics[metric])
        changes = _where(self.found.differences, metric=metric)
        overall = _where(changes, statistic="overall")
        row = _main(overall, best)
        models = "mixes" if self.found.by == "loss_mix" else "models"
        among = f", the most of {len(overall)} {models}" if len(overall) > 1 else ""
        title = _short_title(metric)
        name = self.found.named(row[self.found.by])
        if row["detected"]:
            verb = "lowers" if row["difference"] < 0 else "raises"
            said = f"{name} {verb} the {title} of all rows by {_size(row)}"
            if _is_better(row["difference"], best) is not False:
                said += among
            elif among:
                said = f"none of {len(overall)} {models} detectably improves the {title}: {said}"
        elif among:
            change = f"the largest change is that of {name}, {_signed(row)}"
            said = f"none of {len(overall)} {models} changes the {title} of all rows detectably: "
            said += change
        else:
            said = f"{name} does not detectably change the {title} of all rows ({_signed(row)})"
        by_group = _where(changes, statistic="by_group")
        mine = by_group[self.found.by] == row[self.found.by]
        for_whom = self._for_whom(by_group[mine], best) + self._elsewhere(by_group[~mine], best)
        reference = self.found.named(self.found.reference)
        return f"Compared with {reference}, {said}; {for_whom} ({self._of_intervals()})."

    def _for_whom(self, rows: pd.DataFrame, best: str) -> str:
        """Say which groups do worse, or have another value where no direction is worse."""
        directed, shown = best in ("smaller", "greater"), _not_better(rows, best)
        what = "is detectably worse off" if directed else "has a detectable change"
        if not len(shown):
            return f"no group {what}"
        each = [
            (row["group"], _size(row) if directed else _signed(row)) for _, row in shown.iterrows()
        ]
        if len(each) == 1:
            return f"the group {each[0][0]} {what}, {'by ' * directed}{each[0][1]}"
        what = what.replace("is ", "are ").replace("has ", "have ")
        return f"the groups {_listed([f'{name} ({size})' for name, size in each])} {what}"

    def _elsewhere(self, rows: pd.DataFrame, best: str) -> str:
        """Name the groups that do worse under other models; nothing if there are none."""
        shown = _not_better(rows, best)
        if not len(shown):
            return ""
        what = "detectably worse off" if best in ("smaller", "greater") else "detectably changed"
        each = [
            f"{_listed([str(group) for group in some['group']])} ({self.found.named(key)})"
            for key, some in shown.groupby(self.found.by, sort=False)
        ]
        models = "mixes" if self.found.by == "loss_mix" else "models"
        return f"; {what} under other {models}: {', '.join(each)}"

    def details(self) -> str:
        """Return a paragraph on all metrics, groups and models."""
        sentences: list[str] = []
        for metric in self.found.metrics:
            sentences += self._on(metric)
        if self.found.by == "loss_mix":
            mixes = self.found.overall["loss_mix"].unique()
            nearly = nearly_ends(mixes, self.found.squared_shares)
            sentences += [nearly] if nearly else []
        m = len(self.found.differences)
        percent = f"{100 * self.found.confidence_level:g} %"
        if self.found.simultaneous:
            sentences.append(
                f"The intervals of the {m} differences are simultaneous: with a probability of "
                f"{percent} none of them misses the true value."
            )
        else:
            sentences.append(
                f"The intervals are not adjusted for multiple comparisons: of {m} intervals, "
                f"expect {m * (1 - self.found.confidence_level):.2g} to miss the true value by "
                "chance."
            )
        return " ".join(sentences)

    def _on(self, metric: str) -> list[str]:
        """Return the sentences on one metric."""
        found, named = self.found, self.found.metrics[metric]
        changes = _where(found.differences, metric=metric)
        reference = _where(found.estimates, **{"metric": metric, found.by: found.reference})
        at = {name: rows.iloc[0] for name, rows in reference.groupby("statistic")}
        n = _where(reference, statistic="overall")["count"].iloc[0]
        words = named.words if isinstance(named, NamedMetric) else metric
        sentences = [
            f"Out-of-fold {words} on {n} rows, compared with {found.named(found.reference)} "
            f"({_level(at['overall'])} over all rows), {self._of_intervals()}.",
            self._sentence(_where(changes, statistic="overall"), "Over all rows"),
        ]
        by_group = _where(changes, statistic="by_group")
        sentences += [
            self._sentence(_where(by_group, group=group), f"In the group {group}")
            for group in by_group["group"].unique()
        ]
        high, low = found.disparity_groups
        name = f"The disparity ({high} minus {low}, {_level(at['disparity'])} under the reference)"
        sentences.append(self._sentence(_where(changes, statistic="disparity"), name))
        disparity = _where(found.disparity, metric=metric)
        turned = disparity.loc[disparity["value"] * at["disparity"]["value"] < 0, found.by]
        if len(turned):
            models = _listed([found.named(key) for key in turned])
            sentences.append(f"Its sign is the opposite under {models}.")
        return sentences

    def _sentence(self, rows: pd.DataFrame, subject: str) -> str:
        """State the differences that the intervals of one quantity show."""
        parts = []
        for word, chosen in (
            ("lower", rows[rows["detected"] & (rows["difference"] < 0)]),
            ("higher", rows[rows["detected"] & (rows["difference"] > 0)]),
        ):
            if len(chosen):
                each = [
                    f"{self.found.named(row[self.found.by])} ({_signed(row)})"
                    for _, row in chosen.iterrows()
                ]
                parts.append(f"{word} under {_listed(each)}")
        unclear = [self.found.named(key) for key in rows.loc[~rows["detected"], self.found.by]]
        if unclear:
            parts.append(f"no detectable difference under {_listed(unclear)}")
        return f"{subject}: {'; '.join(parts)}."

    def _of_intervals(self) -> str:
        """Say what intervals they are."""
        percent = f"{100 * self.found.confidence_level:g} % intervals"
        adjusted = "each by itself"
        if self.found.simultaneous:
            adjusted = f"simultaneous over {len(self.found.differences)} differences"
        if self.found.n_clusters is not None:
            unit = "bundles of clusters" if self.found.bundled else "clusters"
            return f"{percent} between {self.found.n_clusters} {unit}, {adjusted}"
        return f"{percent}, {adjusted}"


def _where(table: pd.DataFrame, **values: Any) -> pd.DataFrame:
    """Return the rows in which columns have values."""
    for column, value in values.items():
        table = table[table[column] == value]
    return table


def _not_better(rows: pd.DataFrame, best: str) -> pd.DataFrame:
    """Return the rows with a detected difference that is no improvement."""
    worse = [_is_better(difference, best) is not True for difference in rows["difference"]]
    return rows[rows["detected"] & np.array(worse, dtype=bool)]


def _best(metric: Any) -> str:
    """Return which values of a metric are better; smaller ones of a function of one's own."""
    return metric.best if isinstance(metric, NamedMetric) else "smaller"


def _is_better(difference: float, best: str) -> bool | None:
    """Tell whether a difference is an improvement. None where no direction is."""
    if best not in ("smaller", "greater"):
        return None
    return bool(difference < 0) == (best == "smaller")


def _main(overall: pd.DataFrame, best: str) -> pd.Series:
    """Return the row of the model to speak of: the best improvement, else the largest change."""
    change = overall["difference"]
    better = np.array([_is_better(d, best) is True for d in change])
    for chosen in (overall[overall["detected"] & better], overall[overall["detected"]], overall):
        if len(chosen):
            break
    size = chosen["difference"].abs().fillna(-np.inf)
    return chosen.loc[size.idxmax()]


def _level(row: pd.Series) -> str:
    """Return a value with its interval."""
    return interval_text(row["value"], row["lower"], row["upper"])


def _signed(row: pd.Series) -> str:
    """Return a difference with its interval."""
    return interval_text(row["difference"], row["lower"], row["upper"], signed=True)


def _size(row: pd.Series) -> str:
    """Return the size of a detected difference with its interval."""
    ends = sorted((abs(row["lower"]), abs(row["upper"])))
    return interval_text(abs(row["difference"]), *ends)


def _short_title(metric: str) -> str:
    """Return the title of a metric without its bracket."""
    return metric_title(metric).partition(" (")[0]


def _listed(items: Sequence[str]) -> str:
    """Return items as words."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
