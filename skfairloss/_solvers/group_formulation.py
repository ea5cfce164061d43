r"""A problem with group losses or linear rows as a `GroupedQuadratic`, and back.

The rows are those of the data, if kinked, then those of the L1 penalty, which belong to the last
group, the one without constraint. A linear row with tolerance 0 leaves the directions: the start
meets it, and the basis is restricted to what keeps it so (Nocedal & Wright 2006, section 15.3). One
with a tolerance becomes two constraints for each output, each against the linear "loss" of a group
without rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from skfairloss._core.certificate import measure
from skfairloss._core.constraints import GroupCriterion, LinearRows
from skfairloss._core.problem import Problem
from skfairloss._core.solution import Measured, Multipliers, Slopes, Solution
from skfairloss._design.basis import Basis
from skfairloss._design.design_rows import DesignRows
from skfairloss._design.factor import coefficient_basis
from skfairloss._design.rows import DenseRows, Membership, Rows, StackedRows
from skfairloss._solvers.crossover import particular_and_null
from skfairloss._solvers.group_interior_point import GroupedSolution
from skfairloss._solvers.group_sign_fixing import has_many_rows
from skfairloss._solvers.grouped import GroupedQuadratic
from skfairloss._solvers.least_squares import ridge_fit, sample_fit
from skfairloss._typing import Array, Index

# share of the mean loss in the smallest factor's problem: groups without a bound must not vanish
_PRESENT = 1e-9


class Setting:
    """A problem's basis, start and rows: problems that differ in their criterion share them.

    ``latest`` is where the last of them ended, for the next one to begin with; ``exact`` the last
    one that was solved to the end.
    """

    def __init__(self, problem: Problem) -> None:
        exact = tuple(term for term in problem.linear if term.exact)
        full = _basis(problem)
        self.problem = problem
        self.start = _on_linear_rows(problem, exact, full, *_first_model(problem, full))
        self.basis = _restricted(full, exact)
        self.latest: GroupedSolution | None = None
        self.exact: GroupedSolution | None = None
        self._built: Grouped | None = None

    def grouped(self, problem: Problem) -> Grouped:
        """The form of a problem."""
        if self._built is None:
            self._built = formulate_groups(problem, self.basis, self.start)
        return self._built.asked(problem)


@dataclass(frozen=True)
class Grouped:
    """A problem in the form of `grouped`, relative to a start (p, m) and (m,).

    The groups of ``gq`` are the problem's, then the linear constraints, then the one without
    constraint. Its constraints are those against t, those under bounds, and the linear ones.
    """

    problem: Problem
    basis: Basis
    start: tuple[Array, Array]
    gq: GroupedQuadratic
    n_data: int  # rows of the data among gq.rows

    @property
    def n_groups(self) -> int:
        """Groups of the problem."""
        return len(self.problem.groups.shares)

    def asked(self, problem: Problem) -> Grouped:
        """The same rows under the criterion of another problem."""
        if problem is self.problem:
            return self
        criterion = problem.groups
        base, constrained, bound, slope, weight = _constraints(problem, criterion, False)
        gq = replace(
            self.gq,
            base=base,
            constrained=constrained,
            bound=bound,
            slope=slope,
            worst_weight=weight,
        )
        return replace(self, problem=problem, gq=gq)

    def excess(self, found: GroupedSolution) -> float:
        """Largest relative violation of a bound."""
        return self.problem.group_terms(self.problem.residual(*to_model(self, found))).violation


def group_bounds(problem: Problem) -> Array:
    """Bounds on the group losses summed over the outputs, (G,)."""
    return problem.group_terms(np.zeros_like(problem.y)).bounds


def formulate_groups(
    problem: Problem, basis: Basis, start: tuple[Array, Array], factor: bool = False
) -> Grouped:
    """The problem relative to a start.

    With ``factor`` it is the smallest f with L̄_g <= f bound_g instead, without the penalty.
    """
    criterion = problem.groups
    if factor:
        problem = replace(problem, l1=0.0, l2=0.0)
    coef, _ = start
    known = _from_moments(problem, basis, start)
    needed = problem.loss.loss_mix > 0 or known is None
    residual = problem.residual(*start) if needed else np.zeros((0, problem.n_outputs))
    share = problem.weights / criterion.shares[criterion.codes] if needed else problem.weights
    base, constrained, bound, slope, weight = _constraints(problem, criterion, factor)
    rows, r, lower, upper, codes = _rows(problem, basis, coef, residual, share, len(base))
    if known is None:
        known = _from_rows(problem, basis, residual, share)
    grams, gradients, constants = _smooth(problem, basis, coef, known, len(base))
    d, transform, m = basis.n_directions, basis.transform, problem.n_outputs
    hessian = np.zeros((m, basis.n_coordinates, basis.n_coordinates))
    hessian[:, :d, :d] = problem.l2 * (transform.T @ transform)
    linear = np.zeros((basis.n_coordinates, m))
    linear[:d] = -problem.l2 * (transform.T @ coef)
    gq = GroupedQuadratic(
        rows=rows,
        residual=r,
        lower=lower,
        upper=upper,
        codes=codes,
        curvature=np.full(m, problem.loss.curvature),
        grams=grams,
        gradients=gradients,
        constants=constants,
        hessian=hessian,
        linear=linear,
        constant=0.5 * problem.l2 * float((coef * coef).sum()),
        base=base,
        constrained=constrained,
        bound=bound,
        slope=slope,
        worst_weight=weight,
        size=_size(problem, residual, constants),
    )
    return Grouped(problem, basis, start, gq, len(problem.y) if problem.loss.loss_mix > 0 else 0)


def to_model(grouped: Grouped, found: GroupedSolution) -> tuple[Array, Array]:
    """Return coefficients (p, m) and intercepts (m,) of a solution."""
    return _model_at(grouped, found.delta)


def _model_at(grouped: Grouped, delta: Array) -> tuple[Array, Array]:
    """Return coefficients (p, m) and intercepts (m,) at δ."""
    change, shift = grouped.basis.to_model(delta)
    return grouped.start[0] + change, grouped.start[1] + shift


def measuring(grouped: Grouped) -> Callable[[Array, Array, Array], Measured] | None:
    """Return the certificate's pass for δ, multipliers and duals (n, m).

    None where the rows of the data are not all rows, or have no kink.
    """
    problem, n = grouped.problem, grouped.n_data
    if n == 0 or n < grouped.gq.rows.n_rows:
        return None

    def measured(delta: Array, multipliers: Array, dual: Array) -> Measured:
        coef, intercept = _model_at(grouped, delta)
        fit = problem.plain(_group_multipliers(grouped, multipliers))
        z, steep = np.empty_like(dual), problem.loss.curvature

        def duals_at(rows: slice, residual: Array) -> Array:
            here = np.divide(dual[rows], fit.weights[rows, None], out=z[rows])
            if steep > 0:
                here += steep * residual
            return here

        return measure(fit, coef, intercept, z, duals_at)

    return measured


def to_solution(
    grouped: Grouped, found: GroupedSolution, spent: int, tie_resolved: bool = True
) -> Solution:
    """The model of a solution, with the duals that `certify` reads."""
    problem, n = grouped.problem, grouped.n_data
    coef, intercept = to_model(grouped, found)
    multipliers = _group_multipliers(grouped, found.multipliers)
    dual: Array | Slopes = Slopes()
    known = found.measured
    if known is not None and known.is_of(coef, intercept, known.dual):
        dual = known.dual
    elif n or any(term.exact for term in problem.linear):
        dual = np.zeros_like(problem.y)
        if problem.loss.curvature > 0:
            dual = problem.residual(coef, intercept)
            dual *= problem.loss.curvature
        if n:
            dual += found.dual[:n] / problem.row_weights(multipliers)[:, None]
    linear = _linear_multipliers(grouped, found, coef, dual, multipliers)
    m = problem.n_outputs
    return Solution(
        coef,
        intercept,
        dual,
        replace(multipliers, linear=linear),
        known,
        n_iter=np.full(m, spent, dtype=np.intp),
        tie_resolved=np.full(m, tie_resolved),
        stopped=np.full(m, found.stopped),
    )


def _group_multipliers(grouped: Grouped, found: Array) -> Multipliers:
    """Return those of the group losses, from all (J,)."""
    gq, n_groups = grouped.gq, grouped.n_groups
    worst, bound = np.zeros(n_groups), np.zeros(n_groups)
    against_t, real = gq.slope > 0, gq.constrained < n_groups
    worst[gq.constrained[against_t]] = found[against_t]
    bound[gq.constrained[real & ~against_t]] = found[real & ~against_t]
    return Multipliers(worst, bound, ())


def _linear_multipliers(
    grouped: Grouped,
    found: GroupedSolution,
    coef: Array,
    dual: Array | Slopes,
    multipliers: Multipliers,
) -> tuple[Array, ...]:
    """η of each term: Xᵀu + Σ rowsᵀη is the gradient of the penalty."""
    problem, gq = grouped.problem, grouped.gq
    if not problem.linear:
        return ()
    prices = found.multipliers[gq.constrained >= grouped.n_groups]
    at, out = 0, []
    for term, price in zip(problem.linear, _prices(problem), strict=True):
        held = np.zeros_like(term.target)
        if not term.exact:
            size = 2 * held.size
            above, below = prices[at : at + size].reshape(2, *held.shape) * price
            held, at = below - above, at + size
        out.append(held)
    full = _basis(problem)
    exact = [j for j, term in enumerate(problem.linear) if term.exact]
    if exact and not isinstance(dual, Slopes):
        u = problem.row_weights(multipliers)[:, None] * dual
        center = full.center if problem.fit_intercept else np.zeros_like(full.center)
        rest = problem.design.adjoint(u) - np.multiply.outer(center, u.sum(axis=0))
        rest += sum(term.rows.T @ held for term, held in zip(problem.linear, out, strict=True))
        rest -= problem.l2 * coef
        if problem.l1 > 0:
            columns = full.norms > 0
            slopes = found.dual[grouped.n_data :]
            rest[columns] += full.norms[columns, None] * slopes
        rows = np.vstack([problem.linear[j].rows for j in exact])
        left = np.linalg.lstsq((rows @ full.transform).T, -full.transform.T @ rest, rcond=1e-10)[0]
        ends = np.cumsum([len(problem.linear[j].rows) for j in exact])[:-1]
        for j, part in zip(exact, np.split(left, ends), strict=True):
            out[j] = part
    return tuple(out)


def _first_model(problem: Problem, basis: Basis) -> tuple[Array, Array]:
    """Return least squares, of the sample where no squares have to be exact, else of all rows."""
    if problem.sample_basis is None or problem.sample is None:
        return ridge_fit(problem)
    coef, intercept = basis.to_model(sample_fit(problem, problem.sample, basis))
    return coef, np.zeros(problem.n_outputs) + intercept


def _basis(problem: Problem) -> Basis:
    """Return an orthonormal basis, or one with a coordinate for each coefficient under l1 > 0."""
    if problem.l1 == 0:
        return problem.sample_basis or problem.basis
    every = np.arange(problem.design.shape[1])
    return coefficient_basis(
        problem.design, problem.weights, problem.fit_intercept, problem.l2, every
    )


def _restricted(basis: Basis, terms: tuple[LinearRows, ...]) -> Basis:
    """The directions along which the rows of the terms do not change."""
    if not terms:
        return basis
    rows = np.vstack([term.rows for term in terms]) @ basis.transform
    null = particular_and_null(rows, np.zeros(len(rows)))[1]
    return replace(basis, transform=basis.transform @ null, gram=null.T @ basis.gram @ null)


def _on_linear_rows(
    problem: Problem, terms: tuple[LinearRows, ...], basis: Basis, coef: Array, intercept: Array
) -> tuple[Array, Array]:
    """The model moved as little as possible to where the rows of the terms hold with equality."""
    if not terms:
        return coef, intercept
    rows = np.vstack([term.rows for term in terms])
    rest = np.vstack([term.target for term in terms]) - rows @ coef
    step = np.linalg.lstsq(rows @ basis.transform, rest, rcond=1e-10)[0]
    zero = np.zeros((basis.n_coordinates - len(step), problem.n_outputs))
    change, shift = basis.to_model(np.vstack([step, zero]))
    return coef + change, intercept + shift


def _prices(problem: Problem) -> list[Array]:
    """Scale factor that turns a violation into units of loss, (q, m) for each term."""
    if not problem.linear:
        return []
    loss = problem.loss
    steep = max(loss.upper, -loss.lower) + loss.curvature * problem.spread
    return [np.broadcast_to(steep, term.target.shape) for term in problem.linear]


def _data_rows(problem: Problem, basis: Basis) -> Rows:
    """The rows of the data: in memory where every iteration reads them all."""
    if has_many_rows(problem.design.shape[0], basis.n_coordinates):
        return DesignRows(problem.design, basis)
    return problem.design.rows(basis)


def _rows(
    problem: Problem, basis: Basis, coef: Array, residual: Array, share: Array, n_groups: int
) -> tuple[Rows, Array, Array, Array, Index]:
    """The rows with their residuals, slopes and groups."""
    loss, m = problem.loss, problem.n_outputs
    criterion = problem.groups
    blocks: list[Rows] = []
    nothing = np.zeros((0, m))
    parts: list[tuple[Array, Array, Array, Index]] = []
    if loss.loss_mix > 0:
        blocks.append(_data_rows(problem, basis))
        slopes = np.repeat(share[:, None], m, axis=1)
        parts.append((residual, loss.lower * slopes, loss.upper * slopes, criterion.codes))
    if problem.l1 > 0:
        columns = np.flatnonzero(basis.norms > 0)
        norms = basis.norms[columns, None]
        rows = np.zeros((len(columns), basis.n_coordinates))
        rows[:, : basis.n_directions] = norms * basis.transform[columns]
        price = np.repeat(problem.l1 / norms, m, axis=1)
        last = np.full(len(columns), n_groups - 1, dtype=np.intp)
        blocks.append(DenseRows(rows))
        parts.append((-norms * coef[columns], -price, price, last))
    if not blocks:
        none = np.zeros(0, dtype=np.intp)
        return DenseRows(np.zeros((0, basis.n_coordinates))), nothing, nothing, nothing, none
    r, lower, upper, codes = (
        np.concatenate(part) if len(part) > 1 else part[0] for part in zip(*parts, strict=True)
    )
    return StackedRows(*blocks) if len(blocks) > 1 else blocks[0], r, lower, upper, codes


def _from_moments(
    problem: Problem, basis: Basis, start: tuple[Array, Array]
) -> tuple[Array, Array, Array] | None:
    """Means over each group of A_i A_iᵀ (G, d, d), r A_i (G, d, m) and r² (G, m) at the start.

    None where they have to be taken from the rows themselves.
    """
    moments = problem.group_moments
    if moments is None or not moments.serves(basis):
        return None
    pulls, squares = moments.residuals(*start, basis)
    if not moments.tell(squares):
        return None
    shares = problem.groups.shares[:, None, None]
    return moments.grams(basis) / shares, pulls / shares, squares / shares[:, 0]


def _from_rows(
    problem: Problem, basis: Basis, residual: Array, share: Array
) -> tuple[Array, Array, Array]:
    """The same in two passes over X."""
    criterion = problem.groups
    codes, n_groups = criterion.codes, len(criterion.shares)
    d, m = basis.n_coordinates, problem.n_outputs
    if problem.loss.curvature == 0:
        return np.zeros((n_groups, d, d)), np.zeros((n_groups, d, m)), np.zeros((n_groups, m))
    rows, groups = DesignRows(problem.design, basis), Membership(codes, n_groups)
    weighted = share[:, None] * residual
    pulls = [rows.adjoint_by_group(column, groups) for column in weighted.T]
    squares = [groups.totals(column) for column in (weighted * residual).T]
    grams = problem.design.grams_by_group(basis, share, codes, n_groups)
    return grams, np.stack(pulls, axis=2), np.column_stack(squares)


def _size(problem: Problem, residual: Array, constants: Array) -> float:
    """The size that residuals have: their mean, or from the squared losses where not at hand."""
    if len(residual):
        size = float(np.abs(residual).mean())
    else:
        size = float(np.sqrt(2 * constants.max() / problem.loss.curvature))
    return max(size, 1e-2 * float(problem.spread.max()))


def _smooth(
    problem: Problem,
    basis: Basis,
    coef: Array,
    known: tuple[Array, Array, Array],
    n_groups: int,
) -> tuple[Array, Array, Array]:
    """Gram matrices, gradients and constants of each group's loss without kinks.

    Those of a linear constraint are (±(rows w - target) - tolerance) · price: no Gram matrix.
    """
    at, d, m = len(known[0]), basis.n_coordinates, problem.n_outputs
    grams, gradients = np.zeros((n_groups, d, d)), np.zeros((n_groups, d, m))
    constants = np.zeros(n_groups)
    curvature = problem.loss.curvature
    grams[:at], gradients[:at] = known[0], curvature * known[1]
    constants[:at] = 0.5 * curvature * known[2].sum(axis=1)
    for term, price in zip(problem.linear, _prices(problem), strict=True):
        if term.exact:
            continue
        above = term.rows @ coef - term.target
        moves = term.rows @ basis.transform
        for side in (1.0, -1.0):
            for (j, k), worth in np.ndenumerate(price):
                gradients[at, : basis.n_directions, k] = -side * worth * moves[j]
                constants[at] = worth * (side * above[j, k] - term.tolerance[k])
                at += 1
    return grams, gradients, constants


def _constraints(
    problem: Problem, criterion: GroupCriterion, factor: bool
) -> tuple[Array, Index, Array, Array, float]:
    """Weights of all groups in the objective; groups, bounds and slopes of the constraints; γ."""
    bounded, every = criterion.bounded, np.arange(len(criterion.shares))
    n_linear = sum(2 * term.target.size for term in problem.linear if not term.exact)
    lines = len(every) + np.arange(n_linear)
    bounds = group_bounds(problem)[bounded] if len(bounded) else np.zeros(0)
    weight = 1.0 if factor else criterion.worst_weight
    if factor:
        parts = [(bounded, 0.0 * bounds, bounds / bounds.max())]
    elif weight > 0:
        parts = [(every, np.zeros(len(every)), np.ones(len(every)))]
        parts += [(bounded, bounds, 0.0 * bounds)]
    else:
        parts = [(bounded, bounds, 0.0 * bounds)]
    parts.append((lines, np.zeros(n_linear), np.zeros(n_linear)))
    constrained, bound, slope = (np.concatenate(part) for part in zip(*parts, strict=True))
    own = (_PRESENT if factor else 1.0 - weight) * criterion.shares
    return np.concatenate([own, np.zeros(n_linear), [1.0]]), constrained, bound, slope, weight
