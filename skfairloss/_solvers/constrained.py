r"""Fits under fairness terms: from a `Problem` with a criterion or linear rows to a `Solution`.

Linear rows become rows of the last group of a `GroupedQuadratic`, whose violation costs a width
that exceeds their multipliers (an exact penalty; Fletcher 1987, section 14.3). Group losses become
its constraints. A bounded problem that cannot be solved is told from one that has no solution by
the smallest factor f with L̄_g <= f bound_g.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import floor, log10

import numpy as np
from scipy.optimize import linprog

from skfairloss._basis import Basis
from skfairloss._constraints import LIMIT, GroupCriterion
from skfairloss._factor import coefficient_basis
from skfairloss._problem import Multipliers, Problem, Solution, one_group
from skfairloss._rows import DenseRows, Rows, StackedRows
from skfairloss._solvers.formulation import Progress
from skfairloss._solvers.group_interior_point import GroupedSolution, group_interior_point
from skfairloss._solvers.grouped import GroupedQuadratic
from skfairloss._solvers.least_squares import ridge_fit
from skfairloss._typing import Array, Index, Mask
from skfairloss.exceptions import InfeasibleFairnessError

_INNER_TOL = 0.01  # the solver aims lower than the certificate asks
_FLOOR = 1e-6
_WIDTHS = (1e1, 1e4, 1e7)  # of linear rows, in units of the slope of the loss
_MET = 1e-9  # violation of a linear row, relative to the spread of y, that is rounding
_MET_LINEAR = 1e-7  # the same for HiGHS, whose feasibility tolerance this is


def solve_constrained(
    problem: Problem,
    *,
    tol: float,
    max_iter: int,
    progress: Progress | None = None,
) -> Solution:
    """The optimum of a problem with a criterion, linear rows or both.

    Parameters
    ----------
    problem : what to minimise.
    tol : relative gap aimed at.
    max_iter : iterations allowed.
    progress : who is told of every iteration and can stop.

    Raises
    ------
    InfeasibleFairnessError
        If no model meets the linear rows or the bounds.
    """
    _check_linear(problem)
    basis = _basis(problem)
    start = _on_linear_rows(problem, basis, *ridge_fit(problem))
    spent = 0
    for width in _WIDTHS:
        grouped = formulate_groups(problem, basis, start, width)
        found = group_interior_point(
            grouped.gq,
            tol=_INNER_TOL * tol,
            floor=_FLOOR * grouped.gq.size,
            max_iter=max(1, max_iter - spent),
            on_iteration=_watch(grouped, progress),
        )
        spent += found.n_iter
        if found.stopped or grouped.linear_violation(found) <= _MET or spent >= max_iter:
            break
    if found.stopped:
        return _solution(grouped, found, spent)
    met = max(grouped.excess(found), grouped.linear_violation(found)) <= tol
    if not (met and found.gap <= tol * abs(found.objective)):
        _check_bounds(problem, basis, start, tol, max_iter)
    return _solution(grouped, found, spent)


def _watch(grouped: Grouped, progress: Progress | None) -> Callable[[GroupedSolution], bool] | None:
    """What tells of the models that group_interior_point goes through."""
    if progress is None:
        return None

    def on_iteration(found: GroupedSolution) -> bool:
        return progress.report_all(*_model(grouped, found))

    return on_iteration


def _model(grouped: Grouped, found: GroupedSolution) -> tuple[Array, Array]:
    """Coefficients (p, m) and intercepts (m,) of a solution."""
    change, shift = grouped.basis.to_model(found.delta)
    return grouped.start[0] + change, grouped.start[1] + shift


def _basis(problem: Problem) -> Basis:
    """Orthonormal, or with a coordinate for each coefficient under an L1 penalty."""
    if problem.l1 == 0:
        return problem.basis
    every = np.arange(problem.design.shape[1])
    return coefficient_basis(
        problem.design, problem.weights, problem.fit_intercept, problem.ridge, every
    )


def _on_linear_rows(
    problem: Problem, basis: Basis, coef: Array, intercept: Array
) -> tuple[Array, Array]:
    """The model moved as little as possible to where the linear rows hold with equality."""
    if not problem.linear:
        return coef, intercept
    rows = np.vstack([term.rows for term in problem.linear])
    rest = np.vstack([term.target for term in problem.linear]) - rows @ coef
    step = np.linalg.lstsq(rows @ basis.transform, rest, rcond=1e-10)[0]
    zero = np.zeros((basis.n_coordinates - len(step), step.shape[1]))
    change, shift = basis.to_model(np.vstack([step, zero]))
    return coef + change, intercept + shift


# --------------------------------------------------------------------------------------------------
# To the solver's form and back
# --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Grouped:
    """A problem in the form of `grouped`, relative to a start (p, m) and (m,)."""

    problem: Problem
    basis: Basis
    start: tuple[Array, Array]
    gq: GroupedQuadratic
    n_data: int  # rows of the data among gq.rows
    n_penalty: int  # rows of the L1 penalty, next; the linear rows are last
    worst: Mask  # constraints of gq against t

    def excess(self, found: GroupedSolution) -> float:
        """Largest relative violation of a bound."""
        criterion = self.problem.criterion
        if criterion is None or not len(criterion.bounded):
            return 0.0
        losses = self.gq.losses(found.delta)[:-1]
        return float((losses / _bounds(self.problem)).max()) - 1.0

    def linear_violation(self, found: GroupedSolution) -> float:
        """Largest violation of a linear row, relative to the spread of y."""
        rows = slice(self.n_data + self.n_penalty, None)
        residual = (self.gq.residual - self.gq.rows.dot(found.delta))[rows]
        out = np.where(self.gq.lower[rows] < 0, -residual, 0.0).clip(min=0)
        out = np.maximum(out, np.where(self.gq.upper[rows] > 0, residual, 0.0))
        return float((out / self.problem.spread).max(initial=0.0))


def _bounds(problem: Problem) -> Array:
    """Bounds on the group losses summed over the outputs, (G,)."""
    return problem.group_terms(np.zeros_like(problem.y)).bounds


def formulate_groups(
    problem: Problem,
    basis: Basis,
    start: tuple[Array, Array],
    width: float,
    factor: bool = False,
) -> Grouped:
    """The problem relative to a start; ``width`` prices violations of linear rows.

    With ``factor`` it is the smallest f with L̄_g <= f bound_g instead, without the penalty.
    """
    criterion = problem.criterion or one_group(problem)
    if factor:
        problem = replace(problem, l1=0.0, l2=0.0)
    coef, _ = start
    residual = problem.residual(*start)
    share = problem.weights / criterion.shares[criterion.codes]
    n_groups = len(criterion.shares) + 1
    blocks, parts = _rows(problem, basis, coef, residual, share, criterion, width, n_groups)
    rows: Rows = StackedRows(*blocks) if blocks else DenseRows(np.zeros((0, basis.n_coordinates)))
    empty = (np.zeros((0, problem.n_outputs)),) * 3 + (np.zeros(0, dtype=np.intp),)
    r, lower, upper, codes = (
        (np.concatenate(part) for part in zip(*parts, strict=True)) if parts else empty
    )
    smooth = _smooth(problem, basis, residual, share, criterion.codes, n_groups)
    d, transform = basis.n_directions, basis.transform
    hessian = np.zeros((problem.n_outputs, basis.n_coordinates, basis.n_coordinates))
    hessian[:, :d, :d] = problem.l2 * (transform.T @ transform)
    linear = np.zeros((basis.n_coordinates, problem.n_outputs))
    linear[:d] = -problem.l2 * (transform.T @ coef)
    constrained, bound, slope, weight = _constraints(problem, criterion, factor)
    # groups without a bound must not vanish from the smallest factor's problem
    base = np.append((LIMIT if factor else 1.0 - weight) * criterion.shares, 1.0)
    gq = GroupedQuadratic(
        rows=rows,
        residual=r,
        lower=lower,
        upper=upper,
        codes=codes,
        curvature=problem.loss.curvature / problem.scale**2,
        grams=smooth[0],
        gradients=smooth[1],
        constants=smooth[2],
        hessian=hessian,
        linear=linear,
        constant=0.5 * problem.l2 * float((coef * coef).sum()),
        base=base,
        constrained=constrained,
        bound=bound,
        slope=slope,
        worst_weight=weight,
        size=max(float(np.abs(residual).mean()), 1e-6 * float(problem.spread.max())),
    )
    n_data = len(problem.y) if problem.loss.loss_mix > 0 else 0
    n_penalty = blocks[1 if n_data else 0].n_rows if problem.l1 > 0 else 0
    return Grouped(problem, basis, start, gq, n_data, n_penalty, slope > 0)


def _rows(
    problem: Problem,
    basis: Basis,
    coef: Array,
    residual: Array,
    share: Array,
    criterion: GroupCriterion,
    width: float,
    n_groups: int,
) -> tuple[list[Rows], list[tuple[Array, Array, Array, Index]]]:
    """Blocks of rows, and for each its residuals, its slopes and its groups."""
    loss, c, m = problem.loss, problem.scale, problem.n_outputs
    blocks: list[Rows] = []
    parts: list[tuple[Array, Array, Array, Index]] = []
    d = basis.n_directions

    def add(matrix: Array, r: Array, lower: Array, upper: Array) -> None:
        rows = np.zeros((len(matrix), basis.n_coordinates))
        rows[:, :d] = matrix @ basis.transform
        last = np.full(len(matrix), n_groups - 1, dtype=np.intp)
        blocks.append(DenseRows(rows))
        parts.append((r, np.broadcast_to(lower, r.shape), np.broadcast_to(upper, r.shape), last))

    if loss.loss_mix > 0:
        blocks.append(problem.design.rows(basis))
        slopes = share[:, None] / c
        parts.append((residual, loss.lower * slopes, loss.upper * slopes, criterion.codes))
    if problem.l1 > 0:
        columns = np.flatnonzero(basis.norms > 0)
        scaled = np.diag(basis.norms)[columns]
        price = np.repeat((problem.l1 / basis.norms[columns])[:, None], m, axis=1)
        add(scaled, -scaled @ coef, -price, price)
    steep = max(loss.upper, -loss.lower) / c + loss.curvature * problem.spread / c**2
    price = width * steep[None, :]
    for term in problem.linear:
        rest = term.target - term.rows @ coef
        if term.tolerance == 0:
            add(term.rows, rest, -price, price)
        else:
            add(term.rows, rest + term.tolerance, -price, np.zeros_like(price))
            add(term.rows, rest - term.tolerance, np.zeros_like(price), price)
    return blocks, parts


def _smooth(
    problem: Problem, basis: Basis, residual: Array, share: Array, codes: Index, n_groups: int
) -> tuple[Array, Array, Array]:
    """Gram matrices, gradients and constants of the squared part of each group's loss."""
    d, m = basis.n_coordinates, problem.n_outputs
    grams, gradients = np.zeros((n_groups, d, d)), np.zeros((n_groups, d, m))
    constants = np.zeros(n_groups)
    if problem.loss.curvature == 0:
        return grams, gradients, constants
    curvature = problem.loss.curvature / problem.scale**2
    order = np.argsort(codes, kind="stable")
    for g, index in enumerate(np.split(order, np.cumsum(np.bincount(codes))[:-1])):
        rows = problem.design.rows(basis, index)
        grams[g] = rows.gram(share[index])
        gradients[g] = curvature * rows.adjoint(share[index, None] * residual[index])
        constants[g] = 0.5 * share[index] @ (residual[index] ** 2 @ curvature)
    return grams, gradients, constants


def _constraints(
    problem: Problem, criterion: GroupCriterion, factor: bool
) -> tuple[Index, Array, Array, float]:
    """Groups, bounds and slopes of the constraints, and the weight of t."""
    bounded = criterion.bounded
    every = np.arange(len(criterion.shares))
    bounds = _bounds(problem)[bounded]
    if factor:
        return bounded, np.zeros(len(bounded)), bounds, 1.0
    weight = criterion.worst_weight
    if weight == 0:
        return bounded, bounds, np.zeros(len(bounded)), 0.0
    return (
        np.concatenate([every, bounded]),
        np.concatenate([np.zeros(len(every)), bounds]),
        np.concatenate([np.ones(len(every)), np.zeros(len(bounded))]),
        weight,
    )


def _solution(grouped: Grouped, found: GroupedSolution, spent: int) -> Solution:
    """The model of a solution, with the duals that `certify` reads."""
    problem, gq, n = grouped.problem, grouped.gq, grouped.n_data
    coef, intercept = _model(grouped, found)
    residual = problem.residual(coef, intercept)
    dual = problem.loss.curvature * residual / problem.scale
    weights = gq.group_weights(found.multipliers)[:-1]
    criterion = problem.criterion or one_group(problem)
    if n:
        own = criterion.row_weights(weights, problem.weights)
        dual = dual + found.dual[:n] * problem.scale / own[:, None]
    worst, bound = np.zeros(len(weights)), np.zeros(len(weights))
    worst[gq.constrained[grouped.worst]] = found.multipliers[grouped.worst]
    bound[gq.constrained[~grouped.worst]] = found.multipliers[~grouped.worst]
    linear, at = [], n + grouped.n_penalty
    for term in problem.linear:
        q = len(term.rows)
        held = found.dual[at : at + q]
        if term.tolerance > 0:
            held = held + found.dual[at + q : at + 2 * q]
        linear.append(held)
        at += q if term.tolerance == 0 else 2 * q
    m = problem.n_outputs
    return Solution(
        coef,
        intercept,
        dual,
        np.full(m, spent, dtype=np.intp),
        np.ones(m, dtype=bool),
        np.full(m, found.stopped),
        Multipliers(worst, bound, tuple(linear)),
    )


# --------------------------------------------------------------------------------------------------
# What cannot be met
# --------------------------------------------------------------------------------------------------


def _check_bounds(
    problem: Problem, basis: Basis, start: tuple[Array, Array], tol: float, max_iter: int
) -> None:
    """Raise InfeasibleFairnessError where the smallest factor f is above 1 for certain."""
    criterion = problem.criterion
    if criterion is None or not len(criterion.bounded):
        return
    bounds = _bounds(problem) / problem.n_outputs
    for width in _WIDTHS:
        price = width / float(problem.n_outputs * bounds[criterion.bounded].min())
        grouped = formulate_groups(problem, basis, start, price, factor=True)
        found = group_interior_point(grouped.gq, tol=_INNER_TOL * tol, floor=1.0, max_iter=max_iter)
        if grouped.linear_violation(found) <= _MET:
            break
    if not found.objective - found.gap > 1.0 + tol:
        return
    factor = 1.0 + grouped.excess(found)
    held = criterion.bounded[found.multipliers > 1e-6 * found.multipliers.max()]
    names = ", ".join(repr(criterion.labels[g]) for g in held)
    able = {criterion.labels[g]: _rounded_up(factor * bounds[g]) for g in criterion.bounded}
    raise InfeasibleFairnessError(
        f"BoundedGroupLoss cannot be met: the bounds of the groups {names} stand against each "
        f"other or against the data. The smallest common factor that can be met is "
        f"{_rounded_up(factor):.6g}: upper_bound={able}"
    )


def _rounded_up(value: float) -> float:
    """Six significant digits, rounded up."""
    digits = 5 - floor(log10(value))
    return float(np.ceil(value * 10.0**digits * (1 + 1e-9)) / 10.0**digits)


def _check_linear(problem: Problem) -> None:
    """Raise InfeasibleFairnessError where no coefficients meet all linear rows."""
    terms = problem.linear
    if not any(term.target.any() for term in terms):  # 0 meets them
        return
    scale = np.maximum(np.abs(np.vstack([term.rows for term in terms])).max(axis=0), 1e-300)
    rows = np.vstack([term.rows / scale for term in terms])
    size = problem.spread
    for k in range(problem.n_outputs):
        target = np.concatenate([term.target[:, k] for term in terms]) / size[k]
        slack = np.concatenate([np.full(len(t.rows), t.tolerance / size[k]) for t in terms])
        # minimise s subject to |target - rows w| <= slack + s
        ones = np.ones((len(rows), 1))
        found = linprog(
            np.append(np.zeros(rows.shape[1]), 1.0),
            A_ub=np.vstack([np.hstack([-rows, -ones]), np.hstack([rows, -ones])]),
            b_ub=np.concatenate([slack - target, slack + target]),
            bounds=[(None, None)] * rows.shape[1] + [(0, None)],
            method="highs",
        )
        if found.status == 0 and found.fun > _MET_LINEAR:
            price = np.abs(found.ineqlin.marginals).reshape(2, len(terms), -1).sum(axis=(0, 1))
            labels = terms[0].labels
            held = [labels[g] for g in np.flatnonzero(price > 1e-9)]
            raise InfeasibleFairnessError(
                f"no linear model brings the means of the groups {held} of output {k} as close as "
                f"the tolerance asks: it would have to be larger by "
                f"{_rounded_up(float(found.fun) * size[k]):.6g}, in units of y"
            )
