"""The table of routes: which problem is solved by what. Nowhere else is that decided."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from skfairloss._core.problem import Problem
from skfairloss._core.solution import Solution
from skfairloss._solvers import constrained, linear_rows
from skfairloss._solvers.constrained import check_linear
from skfairloss._solvers.formulation import Options
from skfairloss._solvers.least_squares import least_squares
from skfairloss._solvers.linear_rows import can_eliminate
from skfairloss._solvers.many_outputs import can_share
from skfairloss._solvers.outputs import fix_signs, solve_sharing, solve_singly
from skfairloss._solvers.working_set import solve_by_working_sets


@dataclass(frozen=True)
class Route:
    """A way to solve some problems.

    Parameters
    ----------
    name : the method.
    problems : those it is for, in words.
    accepts : the same as a function.
    solve : the method; None from it leaves the problem to the next route that accepts it.
    """

    name: str
    problems: str
    accepts: Callable[[Problem], bool]
    solve: Callable[[Problem, Options], Solution | None]


def _is_smooth(problem: Problem) -> bool:
    return not problem.constrained and problem.loss.loss_mix == 0 and problem.l1 == 0


def _has_many_kinks(problem: Problem) -> bool:
    return not problem.constrained and problem.loss.loss_mix > 0 and problem.sample is not None


def _shares(problem: Problem) -> bool:
    return not problem.constrained and can_share(problem)


def _has_kinks(problem: Problem) -> bool:
    return not problem.constrained and (problem.loss.loss_mix > 0 or problem.l1 > 0)


def _is_constrained(problem: Problem) -> bool:
    return problem.constrained


def _eliminate(problem: Problem, options: Options) -> Solution | None:
    check_linear(problem)
    return linear_rows.solve_on_rows(problem, solve, options)


def _together(problem: Problem, options: Options) -> Solution:
    return constrained.solve_constrained(problem, options.reporting(problem))


def _has_penalty(problem: Problem) -> bool:
    return problem.l1 > 0


def _by_columns(problem: Problem, options: Options) -> Solution:
    return solve_by_working_sets(problem, options, partial(solve, routes=ROUTES_OF_COLUMNS))


ROUTES_OF_COLUMNS: Sequence[Route] = (
    Route("least squares", "λ = 0, no L1 penalty", _is_smooth, lambda p, _: least_squares(p)),
    Route("sign fixing", "λ > 0, many more rows than features", _has_many_kinks, fix_signs),
    Route("shared steps", "λ > 0, several outputs on fewer rows", _shares, solve_sharing),
    Route("interior point", "λ > 0 or an L1 penalty", _has_kinks, solve_singly),
    Route("elimination", "parities, λ > 0, many more rows", can_eliminate, _eliminate),
    Route("all outputs at once", "any constraints", _is_constrained, _together),
)

ROUTES: Sequence[Route] = (
    Route("working sets", "an L1 penalty: columns by what follows", _has_penalty, _by_columns),
    *ROUTES_OF_COLUMNS,
)


def solve(problem: Problem, options: Options, routes: Sequence[Route] | None = None) -> Solution:
    """Return the solution of the first route that accepts a problem and does not leave it.

    ``routes`` are tried in their order. None stands for all.
    """
    for route in ROUTES if routes is None else routes:
        if route.accepts(problem):
            found = route.solve(problem, options)
            if found is not None:
                return found
    raise AssertionError("a problem that no route accepts")


def table() -> str:
    """Return the routes in order, one a line."""
    width = max(len(route.problems) for route in ROUTES)
    return "\n".join(f"{route.problems:<{width}}  {route.name}" for route in ROUTES)
