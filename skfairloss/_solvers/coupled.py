r"""A problem with group losses or linear rows as a `KinkedQuadratic` with a coupling, and back.

The rows are those of the data, if kinked, then those of the L1 penalty, which belong to no group. A
linear row with tolerance 0 leaves the directions: the start meets it, and the basis is restricted
to what keeps it so (Nocedal & Wright 2006, section 15.3). One with a tolerance becomes two
constraints for each output, without a group's loss.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skfairloss._cached import cached_property
from skfairloss._core.constraints import GroupLoss, LinearRows
from skfairloss._core.problem import Problem
from skfairloss._core.solution import Multipliers, Slopes, Solution, Start
from skfairloss._design.basis import ROUNDING, Basis
from skfairloss._design.design import Design
from skfairloss._design.design_rows import DesignRows, coefficient_rows
from skfairloss._design.factor import coefficient_basis
from skfairloss._design.rows import Membership, Rows
from skfairloss._design.sample import has_sample, proportional, sample_size
from skfairloss._rows.draws import PER_GROUP
from skfairloss._solvers.coupling import ABSOLUTE, SQUARED, Coupling
from skfairloss._solvers.crossover import particular_and_null
from skfairloss._solvers.kinked import KinkedQuadratic, KinkedSolution
from skfairloss._solvers.least_squares import better_start, ridge_fit, sample_fit
from skfairloss._solvers.tolerances import INSIDE, RANK
from skfairloss._typing import Array, Index, Mask

# Weight of the mean loss in the smallest factor's problem, so that groups without a bound do not
# vanish: far below the gap asked for.
PRESENT = 1e-9


@dataclass(frozen=True)
class Near:
    """The optimum of a problem close to another one, or a model near it.

    Parameters
    ----------
    delta : δ, (d, m).
    multipliers : (J,).
    residual : of the rows of the data with a kink, (n, m). None where it is not known.
    """

    delta: Array
    multipliers: Array
    residual: Array | None = None

    def guess(self, coupled: Coupled) -> Array | None:
        """Return the multipliers of a problem with as many constraints, (J,). None of another."""
        same = len(self.multipliers) == len(coupled.coupling.bound)
        return self.multipliers if same else None


class Setting:
    """A problem's basis, start and rows: problems that differ in their criterion share them."""

    def __init__(self, problem: Problem, start: tuple[Array, Array] | None = None) -> None:
        exact = tuple(term for term in problem.linear if term.exact)
        full = _basis(problem)
        start = _first_model(problem, full) if start is None else start
        self.problem = problem
        self.start = _on_linear_rows(problem, exact, full, *start)
        self.basis = _restricted(full, exact)
        self._built: dict[tuple[bytes, bool], Coupled] = {}

    def formulated(self, problem: Problem) -> Coupled:
        """Formulate a problem, once for the rows and squares that it needs."""
        needs = _needs(problem)
        if needs not in self._built:
            self._built[needs] = formulate_coupled(problem, self.basis, self.start)
        return self._built[needs].asked(problem)


class DataRows:
    """The rows of the data with a kink under some multipliers; what is wanted of them is read once.

    Parameters
    ----------
    problem, basis, start : of the fit.
    index : (n,), these rows.
    """

    def __init__(
        self, problem: Problem, basis: Basis, start: tuple[Array, Array], index: Index
    ) -> None:
        self._problem, self._basis, self._start, self.index = problem, basis, start, index
        self.every = len(index) == len(problem.y)

    @cached_property
    def design(self) -> Design:
        """These rows of X."""
        return self._problem.design if self.every else self._problem.design.subset(self.index)

    @cached_property
    def y(self) -> Array:
        """Their targets, (n, m)."""
        return self._problem.y if self.every else self._problem.y[self.index]

    @cached_property
    def codes(self) -> Index:
        """Their groups, (n,)."""
        codes = self._problem.groups.codes
        return codes if self.every else codes[self.index]

    @cached_property
    def share(self) -> Array:
        """Their weights within their groups, (n,)."""
        weights = self._problem.weights if self.every else self._problem.weights[self.index]
        return np.asarray(weights / self._problem.groups.shares[self.codes])

    @property
    def many(self) -> bool:
        """True where a sample stands for them."""
        return has_sample(len(self.index), self._basis.n_coordinates)

    @cached_property
    def residual(self) -> Array:
        """Residuals at the start, (n, m), in a pass over X."""
        if not len(self.index):
            return self.y
        return np.asarray(self.y - self.design.predict(*self._start))

    @cached_property
    def rows(self) -> Rows:
        """In coordinates; in memory where every iteration reads them all."""
        if self.many:
            return DesignRows(self.design, self._basis)
        return self.design.rows(self._basis)

    @cached_property
    def sample(self) -> tuple[Index, Array, Design]:
        """Some of them with shares, as many of each group as far as there are, and their design."""
        n, d = len(self.index), self._basis.n_coordinates
        size = sample_size(n, d)
        place = np.random.default_rng(0).random(max(size, PER_GROUP * self.n_groups))
        index, share = drawn(self.share, self.codes, self.n_groups, place)
        return index, share, self.design.subset(index)

    @property
    def n_groups(self) -> int:
        """G."""
        return len(self._problem.groups.shares)

    def some_residuals(self) -> Array:
        """Compute the residuals at the start of the sample, or of all where they are few."""
        if not self.many:
            return self.residual
        index, _, design = self.sample
        return np.asarray(self.y[index] - design.predict(*self._start))


def drawn(share: Array, codes: Index, n_groups: int, place: Array) -> tuple[Index, Array]:
    """Draw rows in proportion to their shares, which are scaled up to their groups."""
    total = np.bincount(codes, share, n_groups)
    index, own = proportional(share / share.sum(), len(place), place)
    found = np.bincount(codes[index], own, n_groups)
    factor = np.divide(total, found, out=np.ones(n_groups), where=found > 0)
    return index, own * factor[codes[index]]


@dataclass(frozen=True)
class Coupled:
    """A problem in the form of `kinked`, relative to a start (p, m) and (m,).

    Its constraints are those against t, those under bounds, and the linear ones. ``base`` is the
    problem without the rows of the data.
    """

    problem: Problem
    basis: Basis
    start: tuple[Array, Array]
    base: KinkedQuadratic
    data: DataRows

    @property
    def coupling(self) -> Coupling:
        """The groups and the constraints."""
        assert self.base.coupling is not None
        return self.base.coupling

    @cached_property
    def kq(self) -> KinkedQuadratic:
        """The problem of all rows; those of the data are the first."""
        data, coupling = self.data, self.coupling
        if not self.n_data:
            return self.base
        none = np.zeros_like(data.residual)
        with_data = coupling.with_rows(data.share, data.codes)
        return self.base.with_rows(data.rows, data.residual, none, none, with_data)

    @property
    def n_data(self) -> int:
        """Rows of the data among those of the form."""
        return len(self.data.index)

    @property
    def n_linear(self) -> int:
        """Linear constraints: the last ones."""
        return _n_linear(self.problem)

    def asked(self, problem: Problem) -> Coupled:
        """Return the same rows under the criterion of another problem."""
        if problem is self.problem:
            return self
        constraints = _constraints(problem, self.basis, self.start[0], False)
        coupling = replace(self.coupling, **constraints)
        return replace(self, problem=problem, base=replace(self.base, coupling=coupling))

    @cached_property
    def of_data(self) -> Coupling:
        """The groups of the rows of the data that are here."""
        return replace(self.coupling, share=self.data.share, codes=self.data.codes)

    def group_losses(self, loss: GroupLoss, delta: Array, residual: Array) -> Array:
        """Return losses of the groups at δ, (G,), summed over the outputs.

        ``residual`` (n_data, m) is that of the rows of the data.
        """
        return self.loss_of(loss, self.of_data.sums(delta, residual))

    def loss_of(self, loss: GroupLoss, sums: Array) -> Array:
        """Return losses of the groups, (G,), summed over the outputs, from the sums (3, G, m)."""
        weights = loss.weights(self.problem.loss, self.problem.n_outputs)
        return np.asarray((weights[:, None] * sums).sum(axis=(0, 2)))

    def mix_weights(self, multipliers: Array) -> Array:
        """Return the weights of the mix in the rows of the data that are here, (n_data,)."""
        return self.problem.row_weights(self.group_multipliers(multipliers))[self.data.index]

    def of_all(self, dual: Array) -> Array:
        """Return duals of the rows of the data that are here, 0 for the others, (n, m)."""
        if self.data.every:
            return dual[: self.n_data]
        out = np.zeros_like(self.problem.y)
        out[self.data.index] = dual[: self.n_data]
        return out

    def excess(self, found: KinkedSolution, problem: Problem) -> float:
        """Return the largest relative violation of a bound of a problem of the same rows."""
        known = found.measured
        if known is None:
            return problem.group_terms_at(*to_model(self, found)).violation
        return problem.group_terms(known.residual).violation

    def group_multipliers(self, found: Array) -> Multipliers:
        """Return those of the group losses, from all (J,)."""
        problem, n_groups, at = self.problem, self.coupling.n_groups, 0
        worst, bounds = np.zeros(n_groups), [np.zeros(n_groups) for _ in problem.groups.bounds]
        for part in _parts(problem, factor=False):
            own = worst if part.which is None else bounds[part.which]
            own[part.groups] = part.price * found[at : at + len(part.groups)]
            at += len(part.groups)
        return Multipliers(worst, tuple(bounds), ())

    def near(self, start: Start | None) -> Near | None:
        """Return the optimum of a problem under other constraints; None where it is not known."""
        if start is None or start.multipliers is None:
            return None
        given, criterion = start.multipliers, self.problem.groups
        sizes = len(criterion.shares), len(criterion.bounds), len(self.problem.linear)
        if (len(given.worst), len(given.bounds), len(given.linear)) != sizes:
            return None
        found = [np.zeros(0)]
        for part in _parts(self.problem, factor=False):
            own = given.worst if part.which is None else given.bounds[part.which]
            found.append(own[part.groups] / part.price)
        terms = zip(self.problem.linear, given.linear, _prices(self.problem), strict=True)
        for term, held, price in terms:
            if not term.exact:
                found += [np.maximum(side * held / price, 0.0).ravel() for side in (-1.0, 1.0)]
        coef, intercept = start.coef - self.start[0], start.intercept - self.start[1]
        return Near(self.basis.of_model(coef, intercept), np.concatenate(found))


def formulate_coupled(
    problem: Problem, basis: Basis, start: tuple[Array, Array], factor: bool = False
) -> Coupled:
    """Formulate the problem relative to a start.

    With ``factor`` it is the smallest f with loss_g <= f bound_g instead; there is no penalty then.
    """
    criterion = problem.groups
    coef, _ = start
    asked = _constraints(problem, basis, coef, factor)
    kinked, squares = _kinks_and_squares(asked)
    index = np.flatnonzero(kinked[criterion.codes]) if kinked.any() else np.zeros(0, dtype=np.intp)
    data = DataRows(problem, basis, start, index)
    known = _from_moments(problem, basis, start) or _from_rows(problem, basis, start, squares)
    d, transform, m = basis.n_directions, basis.transform, problem.n_outputs
    n_groups, k = len(criterion.shares), basis.n_coordinates
    hessian, linear = np.zeros((m, k, k)), np.zeros((k, m))
    hessian[:, :d, :d] = problem.l2 * (transform.T @ transform)
    linear[:d] = -problem.l2 * (transform.T @ coef)
    gradients, constants = np.zeros((3, n_groups, k, m)), np.zeros((3, n_groups, m))
    gradients[SQUARED], constants[SQUARED] = known[1], 0.5 * known[2]
    rows, r, price = _penalty(problem, basis, coef)
    coupling = Coupling(
        share=np.zeros(len(r)),
        codes=np.full(len(r), n_groups, dtype=np.intp),
        grams=known[0] if squares else None,
        near=None,
        gradients=gradients,
        constants=constants,
        **asked,
    )
    base = KinkedQuadratic(
        rows=rows,
        residual=r,
        lower=-price,
        upper=price,
        hessian=hessian,
        linear=linear,
        constant=0.5 * problem.l2 * float((coef * coef).sum()),
        unit=_size(problem, data.some_residuals() if len(index) else r[:0], known[2]),
        coupling=coupling,
    )
    return Coupled(problem, basis, start, base, data)


def to_model(coupled: Coupled, found: KinkedSolution) -> tuple[Array, Array]:
    """Return coefficients (p, m) and intercepts (m,) of a solution."""
    change, shift = coupled.basis.to_model(found.delta)
    return with_zeros(coupled, found, coupled.start[0] + change), coupled.start[1] + shift


def with_zeros(coupled: Coupled, found: KinkedSolution, coef: Array) -> Array:
    """Return coefficients (p, m) of a solution, exactly 0 where the L1 penalty holds them there."""
    upper, columns = coupled.base.upper, _penalised(coupled.problem, coupled.basis)
    n = len(columns)
    held = np.zeros(coef.shape, dtype=bool)
    active, dual = found.active[len(found.active) - n :], found.dual[len(found.dual) - n :]
    held[columns] = active & (np.abs(dual) < (1.0 - INSIDE) * upper)
    return np.where(held, 0.0, coef)


def to_solution(
    coupled: Coupled, found: KinkedSolution, spent: int, tie_resolved: bool = True
) -> Solution:
    """Return the model of a solution, with the duals that `certify` reads."""
    problem, n = coupled.problem, coupled.n_data
    known = found.measured
    coef, intercept = to_model(coupled, found) if known is None else (known.coef, known.intercept)
    multipliers = coupled.group_multipliers(found.multipliers)
    dual: Array | Slopes = Slopes()
    if known is not None:
        dual = known.dual
    elif n or any(term.exact for term in problem.linear):
        dual, fit = np.zeros_like(problem.y), problem.plain(multipliers)
        if problem.has_squares:
            dual = fit.row_loss.squared_slope(problem.residual(coef, intercept))
        if n:
            dual += coupled.of_all(found.dual) / fit.weights[:, None]
    adjoint = None
    if not isinstance(dual, Slopes) and any(term.exact for term in problem.linear):
        u = problem.plain(multipliers).weights[:, None] * dual
        adjoint = problem.design.adjoint(u), u.sum(axis=0)
    slopes = found.dual[coupled.n_data :]
    linear = linear_multipliers(coupled, found.multipliers, coef, adjoint, slopes)
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


def linear_multipliers(
    coupled: Coupled,
    found: Array,
    coef: Array,
    adjoint: tuple[Array, Array] | None,
    slopes: Array,
) -> tuple[Array, ...]:
    """η of each term: Xᵀu + Σ rowsᵀη is the gradient of the penalty.

    Parameters
    ----------
    coupled : the fit.
    found : (J,), multipliers of the constraints.
    coef : (p, m).
    adjoint : Xᵀu (p, m) and 1ᵀu (m,). None where no term holds with equality.
    slopes : duals of the penalty's rows.
    """
    problem = coupled.problem
    if not problem.linear:
        return ()
    prices = found[len(found) - coupled.n_linear :]
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
    if exact and adjoint is not None:
        gradient, total = adjoint
        center = full.center if problem.fit_intercept else np.zeros_like(full.center)
        rest = gradient - np.multiply.outer(center, total)
        rest += sum(term.rows.T @ held for term, held in zip(problem.linear, out, strict=True))
        rest -= problem.l2 * coef
        if problem.l1 > 0:
            columns = full.norms > 0
            rest[columns] += full.norms[columns, None] * slopes
        rows = np.vstack([problem.linear[j].rows for j in exact])
        seen, whole = _seen(rows, full)
        left = particular_and_null(seen.T, -full.transform.T @ rest, whole)[0]
        ends = np.cumsum([len(problem.linear[j].rows) for j in exact])[:-1]
        for j, part in zip(exact, np.split(left, ends), strict=True):
            out[j] = part
    return tuple(out)


def _first_model(problem: Problem, basis: Basis) -> tuple[Array, Array]:
    """Return least squares, of the sample where no squares have to be exact, else of all rows.

    Under an L1 penalty the mean of y may be the better model by far.
    """
    if problem.l1 > 0:
        return better_start(problem, *ridge_fit(problem))
    if problem.sample_basis is None or problem.sample is None:
        return ridge_fit(problem)
    coef, intercept = basis.to_model(sample_fit(problem, problem.sample, basis))
    return coef, np.zeros(problem.n_outputs) + intercept


def _basis(problem: Problem) -> Basis:
    """Return an orthonormal basis, or one with a coordinate for each coefficient under l1 > 0."""
    if problem.l1 == 0:
        return problem.sample_basis or problem.basis
    if problem.penalty_basis is not None:
        return problem.penalty_basis
    every = np.arange(problem.design.shape[1])
    return coefficient_basis(
        problem.design, problem.weights, problem.fit_intercept, problem.l2, every
    )


def _restricted(basis: Basis, terms: tuple[LinearRows, ...]) -> Basis:
    """Return the directions along which the rows of the terms do not change."""
    if not terms:
        return basis
    rows, whole = _seen(np.vstack([term.rows for term in terms]), basis)
    null = particular_and_null(rows, np.zeros(len(rows)), whole)[1]
    return replace(basis, transform=basis.transform @ null, gram=null.T @ basis.gram @ null)


def _seen(rows: Array, basis: Basis) -> tuple[Array, float]:
    """Return rows in coordinates, (q, k), and the size of which `RANK` is their rounding error.

    The rows of a parity depend on each other; where columns are nearly collinear, rounding errors
    would else be a condition of their own.
    """
    terms = float((np.abs(rows) @ np.abs(basis.transform)).max(initial=0.0))
    return rows @ basis.transform, ROUNDING / RANK * terms


def _on_linear_rows(
    problem: Problem, terms: tuple[LinearRows, ...], basis: Basis, coef: Array, intercept: Array
) -> tuple[Array, Array]:
    """Move the model as little as possible to where the rows of the terms hold with equality."""
    if not terms:
        return coef, intercept
    rows = np.vstack([term.rows for term in terms])
    rest = np.vstack([term.target for term in terms]) - rows @ coef
    seen, whole = _seen(rows, basis)
    step = particular_and_null(seen, rest, whole)[0]
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


def _penalised(problem: Problem, basis: Basis) -> Index:
    """Return the columns with a row of the L1 penalty."""
    return np.flatnonzero(basis.norms > 0) if problem.l1 > 0 else np.zeros(0, dtype=np.intp)


def _penalty(problem: Problem, basis: Basis, coef: Array) -> tuple[Rows, Array, Array]:
    """Return the rows of the L1 penalty with their residuals and prices, (N, m)."""
    m, columns = problem.n_outputs, _penalised(problem, basis)
    norms = basis.norms[columns, None]
    rows = coefficient_rows(basis, columns)
    return rows, -norms * coef[columns], np.repeat(problem.l1 / norms, m, axis=1)


def _from_moments(
    problem: Problem, basis: Basis, start: tuple[Array, Array]
) -> tuple[Array, Array, Array] | None:
    """Means over each group of A_i A_iᵀ (G, d, d), r A_i (G, d, m) and r² (G, m) at the start.

    None where they have to be taken from the rows themselves.
    """
    moments = problem.group_moments
    if moments is None or not (problem.moments_decide or moments.accurate_in(basis)):
        return None
    pulls, squares = moments.residuals(*start, basis)
    if not (problem.moments_decide or moments.accurate_at(squares)):
        return None
    shares = problem.groups.shares[:, None, None]
    return moments.grams(basis) / shares, pulls / shares, squares / shares[:, 0]


def _from_rows(
    problem: Problem, basis: Basis, start: tuple[Array, Array], wanted: bool
) -> tuple[Array, Array, Array]:
    """Return the same in three passes over X; zeros where no squares count."""
    criterion = problem.groups
    codes, n_groups = criterion.codes, len(criterion.shares)
    d, m = basis.n_coordinates, problem.n_outputs
    if not wanted:
        return np.zeros((n_groups, d, d)), np.zeros((n_groups, d, m)), np.zeros((n_groups, m))
    residual, share = problem.residual(*start), problem.weights / criterion.shares[codes]
    rows, groups = DesignRows(problem.design, basis), Membership(codes, n_groups)
    weighted = share[:, None] * residual
    pulls = [rows.adjoint_by_group(column, groups) for column in weighted.T]
    squares = [groups.totals(column) for column in (weighted * residual).T]
    grams = problem.design.grams_by_group(basis, share, codes, n_groups)
    return grams, np.stack(pulls, axis=2), np.column_stack(squares)


def _size(problem: Problem, residual: Array, squares: Array) -> float:
    """Return the mean size of residuals, from the squared losses where they are not at hand."""
    if len(residual):
        size = float(np.abs(residual).mean())
    else:
        size = float(np.sqrt(squares.sum(axis=1).max()))
    return max(size, 1e-2 * float(problem.spread.max()))


def _n_linear(problem: Problem) -> int:
    """Constraints that linear rows with a tolerance make."""
    return sum(2 * term.target.size for term in problem.linear if not term.exact)


def _lines(problem: Problem, basis: Basis, coef: Array) -> tuple[Array, Array]:
    """Minus the gradients (J, d, m) and the bounds (J,) of linear rows with a tolerance.

    Each is ±(rows w - target) - tolerance <= 0, times a price.
    """
    n = _n_linear(problem)
    gradients, bound = np.zeros((n, basis.n_coordinates, problem.n_outputs)), np.zeros(n)
    at = 0
    for term, price in zip(problem.linear, _prices(problem), strict=True):
        if term.exact:
            continue
        above = term.rows @ coef - term.target
        moves = term.rows @ basis.transform
        for side in (1.0, -1.0):
            for (j, k), worth in np.ndenumerate(price):
                gradients[at, : basis.n_directions, k] = -side * worth * moves[j]
                bound[at] = -worth * (side * above[j, k] - term.tolerance[k])
                at += 1
    return gradients, bound


@dataclass(frozen=True)
class _Part:
    """Constraints on one loss of some groups: price · loss_g <= bound_g + slope_g t.

    Parameters
    ----------
    which : the position among the criterion's bounds. None for the losses against t.
    loss : (3, m), weights of the sums in it.
    groups, bound, slope : (K,).
    price : brings losses in other units to the size of the mix, so that slacks compare.
    """

    which: int | None
    loss: Array
    groups: Index
    bound: Array
    slope: Array
    price: float = 1.0


def _parts(problem: Problem, factor: bool) -> list[_Part]:
    """Return the constraints on group losses in their order; for the smallest factor if asked."""
    criterion, out = problem.groups, []
    every, none = np.arange(len(criterion.shares)), np.zeros(len(criterion.shares))
    if criterion.worst_weight > 0 and not factor:
        worst = criterion.worst_loss.weights(problem.loss, problem.n_outputs)
        out.append(_Part(None, worst, every, none, none + 1.0))
    for which, bounds in enumerate(criterion.bounds):
        loss, groups, price = bounds.loss, bounds.groups, 1.0
        natural = problem.bounded_sizes[which]
        if loss.kind is not None and natural > 0 and problem.natural_loss > 0:
            price = problem.natural_loss / natural
        bound = price * problem.group_bounds[which][groups]
        weights = loss.weights(problem.loss, problem.n_outputs)
        out.append(_Part(which, weights, groups, bound, none[groups], price))
    if factor:
        largest = largest_bound(problem)
        out = [replace(part, bound=0.0 * part.bound, slope=part.bound / largest) for part in out]
    return out


def largest_bound(problem: Problem) -> float:
    """Return the largest bound on a loss, in units of the mix: t is this for the factor 1."""
    parts = _parts(problem, factor=False)
    return max(float(part.bound.max(initial=0.0)) for part in parts if part.which is not None)


def _constraints(problem: Problem, basis: Basis, coef: Array, factor: bool) -> dict[str, Any]:
    """Return what of a `Coupling` depends on the criterion and the linear rows."""
    criterion, parts, m = problem.groups, _parts(problem, factor), problem.n_outputs
    lines, ends = _lines(problem, basis, coef)
    none, no_loss = np.zeros(len(lines)), np.zeros((3, len(lines), m))
    losses = [
        np.repeat(part.price * part.loss[:, None], len(part.groups), axis=1) for part in parts
    ]
    groups = np.concatenate([*(part.groups for part in parts), none.astype(np.intp)])
    mean_weight = PRESENT if factor else problem.mean_weight
    return {
        "base": problem.mix_sums[:, None] * (mean_weight * criterion.shares)[:, None],
        "groups": groups,
        "weights": np.concatenate([*losses, no_loss], axis=1),
        "lines": np.concatenate([np.zeros((len(groups) - len(lines), *lines.shape[1:])), lines]),
        "bound": np.concatenate([*(part.bound for part in parts), ends]),
        "slope": np.concatenate([*(part.slope for part in parts), none]),
        "worst_weight": 1.0 if factor else criterion.worst_weight,
    }


def _kinks_and_squares(asked: dict[str, Any]) -> tuple[Mask, bool]:
    """Return which groups' rows may have a kink, (G,), and whether squared residuals count."""
    base, weights = asked["base"], asked["weights"]
    kinked = base[ABSOLUTE].any(axis=1)
    kinked[asked["groups"][weights[ABSOLUTE].any(axis=1)]] = True
    return kinked, bool(base[SQUARED].any() or weights[SQUARED].any())


def _needs(problem: Problem) -> tuple[bytes, bool]:
    """Return what decides which rows and sums a problem's form has."""
    loss, kinked = problem.loss, np.zeros(len(problem.groups.shares), dtype=bool)
    kinked[:] = loss.loss_mix > 0
    squares = loss.curvature > 0
    for part in _parts(problem, factor=False):
        kinked[part.groups] |= part.loss[ABSOLUTE].any()
        squares |= bool(len(part.groups) and part.loss[SQUARED].any())
    return kinked.tobytes(), squares
