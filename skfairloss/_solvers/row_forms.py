"""`RowForm`: what a search over rows elsewhere knows of its problem.

Records and mathematics are those of fits in memory: a `Whole` over the rows of a sample turns sums
over all rows into a `KinkedQuadratic`, and one over the rows of a band solves for their duals.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skfairloss._cached import cached_property
from skfairloss._core.losses import GroupedLoss, MixedLoss
from skfairloss._core.solution import Verdict
from skfairloss._design.basis import unchanged
from skfairloss._design.dense import Coordinates
from skfairloss._rows.certifying import Errors, certify_outputs
from skfairloss._rows.facts import Standing
from skfairloss._rows.kernels import Measure
from skfairloss._rows.reading import SQUARED, Reading, Sides, units_of
from skfairloss._rows.searches import Request, Search
from skfairloss._rows.sums import Sums
from skfairloss._solvers.band import LIGHT, BandSize, in_units
from skfairloss._solvers.formulation import Output
from skfairloss._solvers.kinked import KinkedQuadratic, KinkedSolution
from skfairloss._solvers.least_squares import ridge_fit, sample_fit
from skfairloss._solvers.output_rows import OutputRows
from skfairloss._solvers.tolerances import INSIDE
from skfairloss._solvers.whole import Anchor, Whole, enough, rounding_of
from skfairloss._solvers.whole import Sums as LineSums
from skfairloss._typing import Array, Index, Mask

_MORE = 4  # rows that second derivatives are from, relative to a fit in memory: passes are dear


@dataclass(frozen=True)
class Gathered:
    """Rows that have come to the driver, in any order.

    Parameters
    ----------
    block, at : (K,), where each is from.
    rows : (K, d), in coordinates.
    residual : (K, m), at the model of a split.
    weights : (K,), as given.
    codes : (K,), positions of their groups.
    """

    block: Index
    at: Index
    rows: Array
    residual: Array
    weights: Array
    codes: Index

    def with_more(self, other: Gathered) -> Gathered:
        """Return both."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in self.__dataclass_fields__)
        return Gathered(*map(np.concatenate, pairs))

    def first(self, n: int) -> Gathered:
        """Return the first n rows, without a copy."""
        return Gathered(*(getattr(self, name)[:n] for name in self.__dataclass_fields__))

    def by_block(self, slope: Array) -> Mapping[int, tuple[Array, Array]]:
        """Return the rows of each block in their order, with slopes (K, m): what is sent to it."""
        order = np.lexsort((self.at, self.block))
        blocks, first = np.unique(self.block[order], return_index=True)
        at, own = (np.split(part[order], first[1:]) for part in (self.at, slope))
        return {int(i): (at[j], own[j]) for j, i in enumerate(blocks)}


@dataclass(frozen=True)
class Measured:
    """A model, and what the certificate's pass has found of it.

    Parameters
    ----------
    anchor : the model.
    multipliers : (J,).
    n_iter : iterations spent.
    errors : sums of residuals by group.
    objective : of all outputs together.
    request, sums : the pass.
    solution : of the problem that it comes from. None where there was none.
    band : the band of that problem, a `RowBand`. None where there was none.
    """

    anchor: Anchor
    multipliers: Array
    n_iter: int
    errors: Errors
    objective: float
    request: Request
    sums: Sums
    solution: KinkedSolution | None = None
    band: Any = None

    @property
    def measure(self) -> Measure:
        """The kernel of the pass."""
        assert isinstance(self.request.kernel, Measure)
        return self.request.kernel

    @property
    def penalty_duals(self) -> Array:
        """Duals of the penalty's rows, (q,) or (q, m); 0 without a solution, of one row for all."""
        if self.solution is None:
            return np.zeros((1, self.measure.coef.shape[1]))
        n = 0 if self.band is None else len(self.band.gathered.at)
        return self.solution.dual[n:]


@dataclass(frozen=True)
class RowForm(ABC):
    """The problem of a search.

    Parameters
    ----------
    problem : of its outputs.
    labels : all groups, by which errors are told. None without groups.
    """

    problem: Standing
    labels: tuple[Any, ...] | None

    @property
    @abstractmethod
    def whole(self) -> Whole:
        """The rows of the sample, which stand for all."""

    @property
    @abstractmethod
    def reading(self) -> Reading:
        """The way in which passes read the rows."""

    @property
    @abstractmethod
    def few(self) -> tuple[Whole, Anchor]:
        """The rows that a first model is found from, squares of all rows, and where to start."""

    @property
    @abstractmethod
    def none(self) -> Array:
        """Multipliers of 0, (J,)."""

    @abstractmethod
    def objective(self, errors: Errors, coef: Array) -> float:
        """Return the objective of all outputs together, from what is known of a model."""

    @abstractmethod
    def mass(self, multipliers: Array | None) -> Array:
        """Return what raw weights are multiplied with to sum to 1 under the multipliers, (G,)."""

    @abstractmethod
    def on_lines(self, anchor: Anchor, sums: Sums) -> KinkedQuadratic:
        """Return the problem at a model with all rows on lines, from the sums of a pass."""

    @abstractmethod
    def rows(self, gathered: Gathered) -> Whole:
        """Return gathered rows alone, as they are or on lines."""

    @abstractmethod
    def weighing(self, multipliers: Array) -> tuple[MixedLoss | GroupedLoss, Array]:
        """Return the loss of the rows under multipliers, and what raw weights are multiplied with.

        The latter is (G,).
        """

    def mix_weights(self, multipliers: Array) -> Array:
        """Return the weights of the groups' mix in the tie rule, relative to their rows', (G,)."""
        return np.ones(1)

    @abstractmethod
    def certify(self, point: Measured, tol: float) -> Search[Verdict]:
        """Return the certificate of a model."""

    def settled(self, point: Measured) -> Search[tuple[Measured, bool]]:
        """Return the optimum that the tie rule names, from any, and whether it was reached."""
        yield from ()
        return point, True

    def flat(self, values: Array) -> Array:
        """Return (K, m) values of rows in the shape that `whole` has them in."""
        return values

    def coefficients(self, anchor: Anchor, found: KinkedSolution) -> Array:
        """Return the coefficients of a solution, with 0 where a penalty holds them."""
        return anchor.coef

    @property
    def counts(self) -> Array:
        """The number of rows that each of the sample stands for, (s,)."""
        return self.problem.counts

    @property
    def codes(self) -> Index:
        """The groups by which passes sum the rows of the sample, (s,)."""
        return np.zeros(len(self.counts), dtype=np.intp)

    @cached_property
    def rounding(self) -> float:
        """Residuals up to this are rounding errors of 0."""
        return rounding_of(self.whole.y)

    def size(self, multipliers: Array | None) -> BandSize:
        """Choose a first band."""
        weights = self.whole.weights(multipliers) / self.counts
        return BandSize.among(weights, self.counts, self.whole)

    def light(self) -> float | None:
        """Return the factor by which weights become units of residuals. None where these are 1."""
        return float(self.counts.sum()) / LIGHT if self.whole.uncertain else None

    def thinning(self, near: Mask) -> Index:
        """Return how many rows one may stand for in second derivatives, (G,), by those near 0."""
        found = np.bincount(self.codes[near], self.counts[near], self.reading.n_groups)
        wanted = _MORE * enough(self.whole.basis.n_coordinates)
        return np.maximum(1, (found / wanted).astype(np.intp))

    def units(self, multipliers: Array | None) -> Array:
        """Return what residuals of the sample's rows are compared in, (s,): 1, or less."""
        if not self.whole.uncertain:
            return np.ones(len(self.counts))
        weights = self.whole.weights(multipliers) / self.counts
        return in_units(weights, float(self.counts.sum()))

    def weighty(self, gathered: Gathered, multipliers: Array | None) -> int:
        """Return how many of gathered rows have more than next to no weight."""
        light = self.light()
        if light is None:
            return len(gathered.at)
        mass = self.mass(multipliers)[gathered.codes]
        return int((units_of(gathered.weights * mass, light) == 1.0).sum())

    def limit(self, residual: Array, multipliers: Array | None, near: float) -> Array:
        """Return how far so many rows reach, (m,), told from residuals of the sample (s, m)."""
        absolute = np.abs(residual) / self.units(multipliers)[:, None]
        out = np.empty(absolute.shape[1])
        for k, column in enumerate(absolute.T):
            order = np.argsort(column)
            rank = int(np.searchsorted(np.cumsum(self.counts[order]), near))
            out[k] = column[order[min(rank, len(order) - 1)]]
        return out

    def sides(self, anchor: Anchor, rounding: float = 0.0, thin: int = 1) -> Sides:
        """Return the sides that rows have at a model."""
        m = len(self.reading.outputs)
        coef = np.asarray(anchor.coef).reshape(-1, m)
        return Sides(coef, np.asarray(anchor.intercept).reshape(m), rounding, thin)

    def measure(
        self,
        anchor: Anchor,
        sides: Sides | None,
        multipliers: Array,
        own: Mapping[int, Any],
    ) -> Request:
        """Ask for the certificate's pass at a model."""
        there = self.sides(anchor)
        loss, factor = self.weighing(multipliers)
        kernel = Measure(
            self.reading, there.coef, there.intercept, sides, loss, factor, labels=self.labels
        )
        return Request(kernel, own)


@dataclass(frozen=True)
class OutputForm(RowForm):
    """One output without constraints: the weights of all rows are known."""

    @cached_property
    def whole(self) -> OutputRows:
        output = Output(self.problem, 0, self.problem.kink_basis)
        return OutputRows.of(output)

    @cached_property
    def reading(self) -> Reading:
        problem = self.problem
        return Reading(
            problem.columns,
            problem.scale,
            np.array([1.0 / problem.known.total]),
            None,
            problem.mix_sums,
            self.whole.basis,
        )

    @cached_property
    def few(self) -> tuple[Whole, Anchor]:
        problem, whole, basis = self.problem, self.whole, self.whole.basis
        coef, intercept = first_model(problem)
        anchor = whole.anchor((coef[:, 0], float(intercept[0])))
        linear = whole.output.downhill(anchor.coef, np.zeros(len(coef)), 0.0)
        constant, steep = (
            0.5 * problem.l2 * float(anchor.coef @ anchor.coef),
            problem.loss.curvature,
        )
        if steep > 0:
            pulls, squares = problem.moments.residuals(coef, intercept, basis)
            linear += steep * pulls.sum(axis=0)[:, 0]
            constant += 0.5 * steep * max(float(squares.sum()), 0.0)
        base = whole.output.quadratic(anchor.coef, basis.full_gram(), linear, constant)
        return replace(whole, base=base), anchor

    @property
    def none(self) -> Array:
        return np.zeros(0)

    def objective(self, errors: Errors, coef: Array) -> float:
        loss = errors.losses(self.problem.mix_sums).sum()
        return float(loss + self.problem.penalty(coef[:, None]).sum())

    def mass(self, multipliers: Array | None) -> Array:
        return self.reading.unit

    def on_lines(self, anchor: Anchor, sums: Sums) -> KinkedQuadratic:
        return self.whole.on_lines(anchor, line_sums(sums, flat=True))

    def rows(self, gathered: Gathered) -> OutputRows:
        own = gathered.weights * self.reading.unit[0]
        design, residual = Coordinates(gathered.rows), gathered.residual[:, 0]
        basis = unchanged(self.whole.basis.n_coordinates)
        return replace(self.whole, design=design, y=residual, basis=basis, own=own)

    def weighing(self, multipliers: Array) -> tuple[MixedLoss, Array]:
        return self.problem.loss, self.reading.unit

    def certify(self, point: Measured, tol: float) -> Search[Verdict]:
        return certify_outputs(self.problem, point.request, point.sums, point.errors, tol)

    def coefficients(self, anchor: Anchor, found: KinkedSolution) -> Array:
        columns = self.whole.output.penalised
        if not len(columns):
            return anchor.coef
        n, width = len(found.dual) - len(columns), self.whole.output.penalty_interval[1]
        inside = np.abs(found.dual[n:]) < (1.0 - INSIDE) * width
        coef = anchor.coef.copy()
        coef[columns[found.active[n:] & inside]] = 0.0
        return coef

    def smooth_at(self, point: Measured) -> KinkedQuadratic:
        """Return the problem at a model without kinks of the data, from the sums of its pass."""
        output, anchor, problem = self.whole.output, point.anchor, self.problem
        adjoint, total = point.sums.added["adjoint"][:, 0], float(point.sums.added["total"][0])
        linear = output.downhill(anchor.coef, adjoint, total)
        squares = float(point.errors.sums[SQUARED].sum())
        constant = 0.5 * (
            problem.loss.curvature * squares + problem.l2 * float(anchor.coef @ anchor.coef)
        )
        return output.quadratic(anchor.coef, self.whole.basis.full_gram(), linear, constant)

    def flat(self, values: Array) -> Array:
        return values[:, 0]


def first_model(problem: Standing) -> tuple[Array, Array]:
    """Return the models closest to the sample's rows, (p, m) and (m,).

    They are least squares of all rows, those of the sample, which lose no digits to moments, or the
    medians.
    """
    coef, intercept = problem.basis.to_model(sample_fit(problem, problem.sample, problem.basis))
    middle = len(problem.y) // 2
    flat = np.partition(problem.y, middle, axis=0)[middle] * problem.fit_intercept
    best = coef, np.zeros(problem.n_outputs) + intercept
    others = [(np.zeros_like(coef), flat)]
    if problem.known.products:
        others.append(ridge_fit(problem))
    for other in others:
        closer = _distance(problem, other) < _distance(problem, best)
        best = np.where(closer, other[0], best[0]), np.where(closer, other[1], best[1])
    return best


def _distance(problem: Standing, model: tuple[Array, Array]) -> Array:
    """Return Σ |r| of the sample's rows, (m,)."""
    return np.asarray(np.abs(problem.residual(*model)).sum(axis=0))


def line_sums(sums: Sums, flat: bool = False) -> LineSums:
    """Return the sums of lines of a pass as `Whole` reads them."""
    adjoint, total, value = (sums.added[name] for name in ("adjoint", "total", "value"))
    if flat:
        return adjoint[:, 0], np.array([total[0], value[0]])
    return adjoint, np.array([total, value])
