"""`CoefficientReport`: coefficients and group losses with intervals, as tables and plots."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from skfairloss._inputs.groups import counted
from skfairloss._inputs.parameters import is_integer
from skfairloss._typing import Array
from skfairloss.displays import CoefficientDisplay
from skfairloss.inference._refits import Refits
from skfairloss.inference._units import Units
from skfairloss.metrics._intervals import Sampled, percentile_limits
from skfairloss.report import GroupReport
from skfairloss.report._html import page, table_html
from skfairloss.report._table import Row, Table, interval_text, own_cell
from skfairloss.report._text import to_text

INTERCEPT = "(intercept)"


class CoefficientReport:
    """Coefficients with confidence intervals; made by `coefficient_report`.

    Parameters
    ----------
    coef : ndarray of shape (n_outputs, n_features)
        Coefficients.

    intercept : ndarray of shape (n_outputs,)
        Intercepts.

    names : list of str
        Names of the features.

    refits : Refits
        Models of the replicates.

    units : Units
        Number of rows or clusters, and degrees of freedom.

    groups : GroupReport or None
        Metrics by group.

    n_boot : int
        Number of replicates.

    confidence_level : float
        Of the intervals.

    Attributes
    ----------
    groups : GroupReport or None
        Metrics of the training rows by group, with intervals for rows and model together. None
        without ``sensitive_features``.

    coef_replicates : ndarray of shape (n_fitted, n_outputs, n_features)
        Coefficients of the replicates that have a model.

    intercept_replicates : ndarray of shape (n_fitted, n_outputs)
        Their intercepts.

    infeasible_share : float
        Share of the replicates in which no model meets the fairness terms.

    unmet_share : float
        Share of the replicates in which an `EqualizedLoss` is not met to its tolerance.

    n_clusters : int or None
        Number of clusters; None where rows are independent.

    Examples
    --------
    >>> import numpy as np
    >>> from skfairloss import PixelLossRegressor, coefficient_report
    >>> rng = np.random.default_rng(1)
    >>> X, group = rng.normal(size=(120, 1)), np.repeat(["a", "b"], 60)
    >>> y = X[:, 0] + rng.normal(size=120)
    >>> model = PixelLossRegressor().fit(X, y)
    >>> report = coefficient_report(
    ...     model, X, y, sensitive_features=group, n_boot=100, random_state=0
    ... )
    >>> report
    CoefficientReport: 95 % confidence intervals from 100 refits under random weights of rows
    <BLANKLINE>
                    same sign   coefficient
    x0                  100 %          0.91
                               [0.69, 1.11]
    <BLANKLINE>
    same sign: of how many refits; each interval holds by itself
    (intercept) -0.16 [-0.35, 0.02]
    <BLANKLINE>
    GroupReport: 120 rows, 2 groups; 95 % confidence intervals from 100 bootstrap samples
    <BLANKLINE>
                      n           MAE
    a                60          0.74
                         [0.59, 0.92]
    b                60          0.78
                         [0.64, 0.99]
    all rows        120          0.76
                         [0.65, 0.89]
    difference                   0.04
                         [0.00, 0.30]
    ratio                        0.95
                         [0.68, 1.00]
    <BLANKLINE>
    residual = true - predicted; difference and ratio: between groups
    >>> report.infeasible_share
    0.0
    """

    def __init__(
        self,
        coef: Array,
        intercept: Array,
        names: list[str],
        *,
        refits: Refits,
        units: Units,
        groups: GroupReport | None,
        n_boot: int,
        confidence_level: float,
    ) -> None:
        self.coef = coef
        self.intercept = intercept
        self.names = names
        self.refits = refits
        self.units = units
        self.groups = groups
        self.n_boot = n_boot
        self.confidence_level = confidence_level

    @property
    def coef_replicates(self) -> Array:
        """Coefficients of the replicates that have a model, (n_fitted, n_outputs, n_features)."""
        return self.refits.coef

    @property
    def intercept_replicates(self) -> Array:
        """Intercepts of the replicates that have a model, (n_fitted, n_outputs)."""
        return self.refits.intercept

    @property
    def infeasible_share(self) -> float:
        """Share of the replicates in which no model meets the fairness terms."""
        return self.refits.infeasible / self.n_boot

    @property
    def unmet_share(self) -> float:
        """Share of the replicates in which an `EqualizedLoss` is not met to its tolerance."""
        return self.refits.unmet / self.n_boot

    @property
    def n_clusters(self) -> int | None:
        """Number of clusters; None where rows are independent."""
        return self.units.n_clusters

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each output and feature, the intercept last.

        Returns
        -------
        table : DataFrame
            With the columns "output" (from 0), "feature" ("(intercept)" for the intercept),
            "coefficient", "lower", "upper" and "same_sign", the share of replicates.
        """
        values = np.column_stack([self.coef, self.intercept])
        replicates = np.concatenate([self.refits.coef, self.refits.intercept[..., None]], axis=-1)
        flat = replicates.reshape(len(replicates), -1)
        z = float(ndtri(0.5 + 0.5 * self.confidence_level))
        size = np.full(flat.shape[1], self.units.size)
        freedom = np.full(flat.shape[1], self.units.freedom)
        lower, upper = percentile_limits(Sampled(values.ravel(), flat, size, freedom), z)
        names = [*self.names, INTERCEPT]
        return pd.DataFrame(
            {
                "output": np.repeat(np.arange(len(values)), len(names)),
                "feature": names * len(values),
                "coefficient": values.ravel(),
                "lower": lower,
                "upper": upper,
                "same_sign": np.mean(np.sign(flat) == np.sign(values.ravel()), axis=0),
            }
        )

    def plot(
        self, output: int = 0, *, ax: Any = None, legend: bool = True, title: str | None = None
    ) -> CoefficientDisplay:
        """Draw the coefficients of one output with their intervals, without the intercept.

        Parameters
        ----------
        output : int, default=0
            Number of the output.

        ax : matplotlib.axes.Axes, default=None
            Where to draw; ``None`` makes a figure.

        legend : bool, default=True
            Whether to explain the marks.

        title : str, default=None
            Above the axes; ``None`` leaves the title as it is.

        Returns
        -------
        display : CoefficientDisplay
            After its `plot`.

        Raises
        ------
        ValueError
            If there is no such output.
        """
        if not is_integer(output) or not 0 <= output < len(self.coef):
            raise ValueError(f"output must be from 0 to {len(self.coef) - 1}, got {output!r}")
        frame = self.to_frame()
        own = frame[frame["output"] == output].iloc[:-1]  # the intercept is last, whatever its name
        display = CoefficientDisplay(
            own["feature"].tolist(), own["coefficient"], lower=own["lower"], upper=own["upper"]
        )
        return display.plot(ax, legend=legend, title=title)

    def __repr__(self) -> str:
        parts = [to_text(self._table())]
        if self.groups is not None:
            parts.append(repr(self.groups))
        return "\n\n".join(parts)

    def _repr_html_(self) -> str:
        groups = "" if self.groups is None else table_html(self.groups._table())
        return page(table_html(self._table()) + groups)

    def _table(self) -> Table:
        """Return the table of the coefficients that text and HTML show."""
        rows, notes = [], ["same sign: of how many refits; each interval holds by itself"]
        for output, name, value, lower, upper, share in self.to_frame().itertuples(index=False):
            label = name if len(self.coef) == 1 else f"{output}: {name}"
            if name == INTERCEPT:  # its size is of another kind: no drawing on the same scale
                notes.append(f"{label} {interval_text(value, lower, upper)}")
                continue
            cell = own_cell(value, lower, upper)
            rows.append(Row(label, f"{100 * share:.3g} %", False, "coefficient", [cell]))
        what = "rows" if self.n_clusters is None else counted(self.n_clusters, "cluster")
        level = f"{100 * self.confidence_level:.6g} %"
        title = f"CoefficientReport: {level} confidence intervals from {self.n_boot} refits "
        title += f"under random weights of {what}"
        if self.refits.infeasible:
            share = f"{100 * self.infeasible_share:.3g} %"
            notes.append(f"no model meets the fairness terms in {share} of the refits")
        if self.refits.unmet:
            share = f"{100 * self.unmet_share:.3g} %"
            notes.append(f"EqualizedLoss is not met to its tolerance in {share} of the refits")
        return Table(title, ["coefficient"], rows, notes, differences=(0,), count_title="same sign")
