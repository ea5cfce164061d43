r"""Linear rows without group losses: the plain fit in the directions that the rows leave.

Rows that hold with equality are eliminated (Nocedal & Wright 2006, section 15.3): with w₀ where
they hold and a basis restricted to what does not change them, y - X w₀ is fitted by whatever route
a plain problem takes. Of rows with a tolerance those at one of their two ends are such rows. Which
they are is guessed: for squares in orthonormal coordinates the optimum is the point that meets the
rows and is nearest to the free one. Where free rows are violated, or multipliers have the wrong
sign, the guess is repeated with a quadratic around the point reached.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.optimize import nnls

from skfairloss._cached import cached_property
from skfairloss._core.problem import Problem
from skfairloss._core.solution import Multipliers, Solution, Start
from skfairloss._design.basis import Basis
from skfairloss._design.sample import Sample
from skfairloss._solvers.crossover import particular_and_null
from skfairloss._solvers.formulation import Iteration, Options
from skfairloss._solvers.least_squares import sample_fit
from skfairloss._solvers.tolerances import MET, NEARLY_ZERO, ROUNDS, TINY
from skfairloss._typing import Array

Plain = Callable[[Problem, Options], Solution]


@dataclass(frozen=True)
class _OnRows(Problem):
    """The plain problem of y - X w₀ in the directions that do not change ``held`` (q, p).

    ``whole`` is the problem that it comes from, ``offset`` is w₀, (p, m).
    """

    whole: Problem | None = None
    held: Array = field(default_factory=lambda: np.zeros((0, 0)))
    offset: Array = field(default_factory=lambda: np.zeros((0, 0)))

    @cached_property
    def basis(self) -> Basis:
        assert self.whole is not None
        return self._restricted(self.whole.basis)

    @cached_property
    def means(self) -> Array:
        assert self.whole is not None
        return self.whole.means

    @cached_property
    def sample(self) -> Sample | None:
        assert self.whole is not None
        if self.whole.sample is None or self.whole.sample_basis is None:
            return self.whole.sample
        sample = replace(self.whole.sample)
        sample.__dict__["basis"] = self._restricted(self.whole.sample_basis)
        return sample

    @cached_property
    def exact_basis(self) -> Basis:
        return self.basis

    def _restricted(self, basis: Basis) -> Basis:
        basis = basis.orthonormalised()
        null = particular_and_null(self.held @ basis.transform, np.zeros(len(self.held)))[1]
        gram = null.T @ basis.gram @ null
        return replace(basis, transform=basis.transform @ null, gram=gram)


@dataclass(frozen=True)
class _Rows:
    """All linear rows of a problem: rows (q, p), targets (q, m) and tolerances (q,)."""

    rows: Array
    target: Array
    tolerance: Array

    @classmethod
    def of(cls, problem: Problem) -> _Rows:
        terms = problem.linear
        return cls(
            np.vstack([term.rows for term in terms]),
            np.vstack([term.target for term in terms]),
            np.concatenate([np.full(len(term.rows), term.tolerance[0]) for term in terms]),
        )

    def settled(self, side: Array, coef: Array, pull: Array, slack: float) -> bool:
        """Return True where free rows are met and multipliers (q, m) of others have their sign.

        ``side`` (q,) is 0 where a row is free, else the sign that its multiplier is to have.
        """
        loose, free = self.tolerance > 0, side == 0
        largest = float(np.abs(pull).max(initial=0.0))
        right = side * pull[:, 0] > NEARLY_ZERO * largest
        rest = np.abs(self.target - self.rows @ coef)[:, 0]
        return bool(np.where(free, rest <= self.tolerance + slack, right)[loose].all())

    def nearest(self, seen: Array, best: Array) -> tuple[Array, Array] | None:
        """Sides and multipliers (q,) of the point nearest to t (k,) that meets all rows.

        ``seen`` (q, k) are the rows in t. Least distance programming (Lawson & Hanson 1974,
        chapter 23); None where rows contradict each other.
        """
        loose, target = self.tolerance > 0, self.target[:, 0]
        exact = seen[~loose]
        step, null = particular_and_null(exact, target[~loose] - exact @ best)
        moves, rest = seen[loose] @ null, target[loose] - seen[loose] @ (best + step)
        apart = np.concatenate([rest, -rest]) - np.tile(self.tolerance[loose], 2)
        side, pull = np.zeros((2, len(target)))
        if not (apart > 0).any():
            return side, pull
        size = float(apart.max())
        matrix = np.vstack([np.hstack([moves.T, -moves.T]), apart[None, :] / size])
        found = nnls(matrix, np.append(np.zeros(len(matrix) - 1), 1.0))[0]
        last = 1.0 - float(matrix[-1] @ found)
        if last <= MET:
            return None
        above, below = np.split(found * size / last, 2)
        pull[loose] = above - below
        return np.sign(pull), pull


def can_eliminate(problem: Problem) -> bool:
    """Return True for problems of this route: kinks in many rows, and linear rows alone.

    Ends at which rows with a tolerance hold would differ between outputs.
    """
    if problem.criterion is not None or not problem.linear or problem.l1 > 0:
        return False
    alike = problem.n_outputs == 1 or all(term.exact for term in problem.linear)
    return alike and problem.loss.loss_mix > 0 and problem.sample is not None


def solve_on_rows(
    problem: Problem,
    plain: Plain,
    options: Options,
) -> Solution | None:
    """Return the optimum of a problem with linear rows alone. None if no active set is found.

    ``plain`` solves problems without rows.
    """
    rows, basis = _Rows.of(problem), problem.sample_basis or problem.basis
    seen, slack = rows.rows @ basis.transform, MET * float(problem.spread.max())
    best = np.zeros((basis.n_directions, 1))
    if problem.sample is not None:
        best = sample_fit(problem, problem.sample, basis)[: basis.n_directions]
    guess = rows.nearest(seen, best[:, 0])
    side, spent = None, np.zeros(problem.n_outputs, dtype=np.intp)
    start: Start | None = None
    for _ in range(ROUNDS):
        if guess is None or (side is not None and (guess[0] == side).all()):
            break
        side, flat = guess
        part = _eliminated(problem, rows, basis, side)
        if part is None or spent.max() >= options.max_iter:
            break
        near = None if start is None else _nearest(part, start)
        watched = _moved_back(options.on_iteration, part)
        left = options.max_iter - int(spent.max())
        found = plain(part, replace(options, start=near, max_iter=left, on_iteration=watched))
        spent = spent + found.n_iter
        coef, intercept = found.coef + part.offset, found.intercept
        assert isinstance(found.dual, np.ndarray)  # rows have kinks
        pull = _multipliers(problem, rows, basis, side, coef, found.dual)
        if found.stopped.any() or rows.settled(side, coef, pull, slack):
            nothing, ends = np.zeros(1), np.cumsum([len(term.rows) for term in problem.linear])
            linear = tuple(np.split(pull, ends[:-1]))
            return replace(
                found, coef=coef, n_iter=spent, multipliers=Multipliers(nothing, (), linear)
            )
        # a quadratic around this point, as steep as the multipliers are to those of the guess
        steep = float(np.abs(pull).sum()) / max(float(np.abs(flat).sum()), TINY)
        at = np.linalg.lstsq(basis.transform, coef[:, 0], rcond=None)[0]
        guess = rows.nearest(seen, at - seen.T @ pull[:, 0] / max(steep, TINY))
        start = Start(coef, intercept)
    return None


def _held(rows: _Rows, side: Array) -> Array:
    """Positions of the rows that hold with equality."""
    return np.flatnonzero((rows.tolerance == 0) | (side != 0))


def _goal(rows: _Rows, side: Array) -> Array:
    """Return the right-hand sides of the rows that are held, (h, m)."""
    here = _held(rows, side)
    return rows.target[here] - (side * rows.tolerance)[here, None]


def _eliminated(problem: Problem, rows: _Rows, basis: Basis, side: Array) -> _OnRows | None:
    """Return the plain problem on the rows that are held; None where they contradict each other."""
    held, goal = rows.rows[_held(rows, side)], _goal(rows, side)
    seen = held @ basis.transform
    offset = basis.transform @ particular_and_null(seen, goal)[0]
    if (np.abs(held @ offset - goal) > MET * problem.spread).any():
        return None
    y = problem.y - problem.design.predict(offset, 0.0) if offset.any() else problem.y
    plain = {name: getattr(problem, name) for name in problem.__dataclass_fields__}
    plain.update(y=y, linear=())
    part = _OnRows(**plain, whole=problem, held=held, offset=offset)
    if problem.l2 > 0 and offset.any():  # orthogonal to all directions, so that squares add up
        directions = (part.sample_basis or part.basis).transform
        offset = offset - directions @ np.linalg.lstsq(directions, offset, rcond=None)[0]
        part = replace(part, y=problem.y - problem.design.predict(offset, 0.0), offset=offset)
    return part


def _nearest(part: _OnRows, start: Start) -> Start:
    """Return a model moved to where the held rows are met, less w₀."""
    directions = (part.sample_basis or part.basis).transform
    step = np.linalg.lstsq(directions, start.coef - part.offset, rcond=None)[0]
    return Start(directions @ step, start.intercept)


def _moved_back(
    on_iteration: Callable[[Iteration], bool] | None, part: _OnRows
) -> Callable[[Iteration], bool] | None:
    """Report models of the part as models of the problem, of all outputs at once."""
    if on_iteration is None:
        return None

    def tell(at: Iteration) -> bool:
        moved = Iteration(None, False, at.coef + part.offset, at.intercept)
        return not at.finished and on_iteration(moved)

    return tell


def _multipliers(
    problem: Problem, rows: _Rows, basis: Basis, side: Array, coef: Array, dual: Array
) -> Array:
    """η of all rows, (q, m): Xᵀu + rowsᵀη is the gradient of the penalty."""
    out, here = np.zeros_like(rows.target), _held(rows, side)
    if len(here):
        u = problem.weights[:, None] * dual
        rest = problem.design.adjoint(u) - problem.l2 * coef
        if problem.fit_intercept:
            rest -= np.multiply.outer(basis.center, u.sum(axis=0))
        seen = rows.rows[here] @ basis.transform
        out[here] = particular_and_null(seen.T, -basis.transform.T @ rest)[0]
    return out
