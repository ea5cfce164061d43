"""Solvers: functions from a `Problem` to a `Solution`. `routes.ROUTES` says which solves what."""

from __future__ import annotations

from collections.abc import Callable

from skfairloss._core.problem import Problem
from skfairloss._core.solution import Solution, Start
from skfairloss._solvers import equalized, routes
from skfairloss._solvers.equalized import Equalized
from skfairloss._solvers.formulation import Iteration, Options

__all__ = ["Equalized", "Iteration", "solve", "solve_equalized"]


def solve(
    problem: Problem,
    *,
    tol: float = 1e-8,
    max_iter: int = 500,
    start: Start | None = None,
    n_jobs: int | None = None,
    on_iteration: Callable[[Iteration], bool] | None = None,
) -> Solution:
    """Minimise a problem.

    Parameters
    ----------
    problem : what to minimise.
    tol : relative gap aimed at; `skfairloss._core.certificate.certify` says what was reached.
    max_iter : iterations allowed per output.
    start : where to start.
    n_jobs : outputs solved at a time, in threads.
    on_iteration : called, never twice at a time, after each iteration on an output, where True
        stops the work on this output, and with its final model. A closed form has no iterations.
    """
    options = Options(tol, max_iter, start, n_jobs=n_jobs, on_iteration=on_iteration)
    return routes.solve(problem, options)


def solve_equalized(
    problem: Problem,
    tolerance: float,
    *,
    tol: float = 1e-8,
    max_iter: int = 500,
    on_iteration: Callable[[Iteration], bool] | None = None,
) -> Equalized:
    """Find the point with the largest level of the losses whose spread is within a tolerance.

    Parameters
    ----------
    problem : with a criterion.
    tolerance : largest spread of the group losses.
    tol, max_iter, on_iteration : as for `solve`; iterations are counted for each point tried.
    """
    options = Options(tol, max_iter, on_iteration=on_iteration).reporting(problem)
    return equalized.solve_equalized(problem, tolerance, options)
