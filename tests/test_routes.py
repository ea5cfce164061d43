"""The table of routes: which problem is solved by what, and nowhere else is that decided."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from skfairloss._core.constraints import GroupCriterion, LinearRows
from skfairloss._core.losses import MixedLoss
from skfairloss._core.problem import Problem
from skfairloss._design import make_design
from skfairloss._solvers import routes, solve
from skfairloss._solvers.formulation import Options

TABLE = """\
an L1 penalty: columns by what follows  working sets
λ = 0, no L1 penalty                    least squares
λ > 0, many more rows than features     sign fixing
λ > 0, several outputs on fewer rows    shared steps
λ > 0 or an L1 penalty                  interior point
parities, λ > 0, many more rows         elimination
any constraints                         all outputs at once"""


def make_problem(loss_mix: float, rows: int = 300, outputs: int = 1, **options) -> Problem:
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((rows, 2)), rng.standard_normal((rows, outputs))
    return Problem(make_design(X), y, np.full(rows, 1 / rows), MixedLoss(loss_mix), **options)


def groups(rows: int) -> GroupCriterion:
    return GroupCriterion(np.arange(rows) % 2, np.full(2, 0.5), 0.5)


def parity(outputs: int = 1, tolerance: float = 0.0) -> tuple[LinearRows, ...]:
    rows, target = np.array([[1.0, 0.5]]), np.full((1, outputs), 0.1)
    return (LinearRows(rows, target, np.full(outputs, tolerance), ("a",)),)


MANY = 6000
CASES = [
    ("least squares", make_problem(0.0)),
    ("least squares", make_problem(0.0, MANY, 5, l2=0.1)),
    ("interior point", make_problem(0.0, l1=0.1)),
    ("interior point", make_problem(0.0, MANY, l1=0.1)),
    ("sign fixing", make_problem(1.0, MANY)),
    ("sign fixing", make_problem(0.5, MANY, 5, l1=0.1)),
    ("shared steps", make_problem(0.5, 300, 5)),
    ("interior point", make_problem(0.5, 300, 3)),
    ("interior point", make_problem(0.5, 300, 5, l1=0.1)),
    ("interior point", make_problem(1.0)),
    ("elimination", make_problem(1.0, MANY, linear=parity())),
    ("elimination", make_problem(0.5, MANY, 3, linear=parity(3))),
    ("all outputs at once", make_problem(0.5, MANY, 3, linear=parity(3, 0.1))),
    ("all outputs at once", make_problem(1.0, linear=parity())),
    ("all outputs at once", make_problem(0.0, MANY, linear=parity())),
    ("all outputs at once", make_problem(1.0, MANY, criterion=groups(MANY))),
]


def test_the_table_in_order():
    assert routes.table() == TABLE
    print(routes.table())


def accepting(problem: Problem) -> list[routes.Route]:
    """The routes of all columns that accept a problem."""
    return [route for route in routes.ROUTES_OF_COLUMNS if route.accepts(problem)]


@pytest.mark.parametrize(("name", "problem"), CASES)
def test_a_problem_goes_to_the_first_route_that_accepts_it(name, problem, monkeypatch):
    assert accepting(problem)[0].name == name
    first = next(route.name for route in routes.ROUTES if route.accepts(problem))
    assert first == ("working sets" if problem.l1 > 0 else name)
    taken = []

    def noted(route):
        def solve(problem, options):
            taken.append(route.name)
            return route.solve(problem, options)

        return replace(route, solve=solve)

    for table in ("ROUTES", "ROUTES_OF_COLUMNS"):
        monkeypatch.setattr(routes, table, [noted(route) for route in getattr(routes, table)])
    found = routes.solve(problem, Options(1e-8, 500))
    assert next(route for route in taken if route != "working sets") == name
    assert np.isfinite(found.coef).all()


@pytest.mark.parametrize(("name", "problem"), CASES)
def test_the_routes_further_down_that_accept_a_problem_end_at_the_same_objective(
    name, problem, monkeypatch
):
    every = accepting(problem)
    assert every[0].name == name
    attained = []
    for route in every:
        monkeypatch.setattr(routes, "ROUTES", [route, *routes.ROUTES])
        found = solve(problem, tol=1e-9)
        losses = problem.group_terms(problem.residual(found.coef, found.intercept)).objective
        attained.append(losses + problem.penalty(found.coef).sum())
        monkeypatch.undo()
    np.testing.assert_allclose(attained, attained[0], rtol=1e-7)


def test_a_route_that_leaves_a_problem_passes_it_on():
    sparse = replace(
        make_problem(0.5, 300, 5), design=make_design(sp.random(300, 2, 0.5, "csr", random_state=1))
    )
    assert next(route for route in routes.ROUTES if route.accepts(sparse)).name == "shared steps"
    assert np.isfinite(solve(sparse).coef).all()
