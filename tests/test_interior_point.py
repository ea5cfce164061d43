"""The interior point by itself: starts that led it round in circles, rows that settle late."""

from __future__ import annotations

import numpy as np
import pytest

from skfairloss._design.rows import DenseRows
from skfairloss._solvers.active_set import diagonalised
from skfairloss._solvers.interior_point import interior_point
from skfairloss._solvers.piecewise import PiecewiseQuadratic

UNITS = (1.0, 1e-4, 1e5)


def far_problem(seed: int, slope: float, curvature: float, unit: float) -> PiecewiseQuadratic:
    """Rows of very different size, and a quadratic whose minimum is far from the start."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((20, 4)) * np.exp(1.5 * rng.standard_normal((20, 1)))
    residual, linear = rng.uniform(-1, 1, 20), slope * rng.standard_normal(4)
    return PiecewiseQuadratic(
        rows=DenseRows(rows),
        residual=unit * residual,
        lower=np.full(20, -1.0),
        upper=np.ones(20),
        hessian=curvature / unit * np.eye(4),
        linear=linear,
        constant=unit * float(linear @ linear) / (2 * curvature),
        unit=unit,
    )


def vertex_problem(seed: int, room: float, unit: float) -> tuple[PiecewiseQuadratic, np.ndarray]:
    """No quadratic, and four rows at 0, one of them with a dual close to an end; the optimum."""
    rng = np.random.default_rng(seed)
    rows, optimum = rng.standard_normal((30, 4)), rng.standard_normal(4)
    residual = rng.standard_normal(30)
    residual[:4] = 0.0
    dual = np.where(residual > 0, 0.5, -0.5)
    dual[:4] = rng.uniform(-0.4, 0.4, 4)
    dual[0] = 0.5 - room
    problem = PiecewiseQuadratic(
        rows=DenseRows(rows),
        residual=unit * (residual + rows @ optimum),
        lower=np.full(30, -0.5),
        upper=np.full(30, 0.5),
        hessian=np.zeros((4, 4)),
        linear=-rows.T @ dual,
        unit=unit,
    )
    return problem, unit * optimum


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize(
    ("seed", "slope", "curvature"), [(12, 30.0, 0.01), (12, 30.0, 0.1), (4, 100.0, 10.0)]
)
def test_a_start_far_away_leads_to_the_optimum_and_not_round_in_circles(
    seed, slope, curvature, unit
):
    problem = far_problem(seed, slope, curvature, unit)
    found = interior_point(problem, tol=1e-10, floor=1e-9 * unit, max_iter=60)
    assert found.n_iter < 60
    assert found.polished
    assert found.gap <= 1e-10 * problem.objective(found.delta)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("seed", [5, 9, 10, 41, 50])
def test_a_row_whose_dual_is_close_to_an_end_is_found_to_be_of_the_vertex(seed, unit):
    problem, optimum = vertex_problem(seed, 1e-6, unit)
    found = interior_point(problem, tol=1e-10, floor=1e-6 * unit, max_iter=60)
    assert found.polished
    np.testing.assert_array_equal(np.flatnonzero(found.active), np.arange(4))
    np.testing.assert_allclose(found.delta, optimum, atol=1e-10 * unit)


def curved_problem(seed: int, unit: float, steep: np.ndarray) -> PiecewiseQuadratic:
    """Many rows of unequal weight beside a quadratic, which need not be diagonal."""
    rng = np.random.default_rng(seed)
    rows, width = rng.standard_normal((200, 5)), rng.uniform(0.5, 2.0, 200)
    return PiecewiseQuadratic(
        rows=DenseRows(rows),
        residual=unit * (rng.standard_t(3, 200) + rows @ rng.standard_normal(5)),
        lower=-width,
        upper=0.5 * width,
        hessian=steep / unit,
        linear=rng.standard_normal(5),
        constant=1e3 * unit,
        unit=unit,
    )


def sides_of(problem: PiecewiseQuadratic, delta: np.ndarray, dual: np.ndarray) -> np.ndarray:
    at_kink = (dual > problem.lower) & (dual < problem.upper)
    residual = problem.residual - problem.rows.dot(delta)
    return np.where(at_kink, 0, np.sign(residual)).astype(np.int8)


MIXED = np.random.default_rng(1).standard_normal((7, 5))


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("steep", [50.0 * np.diag([1.0, 2, 3, 4, 5]), 20.0 * MIXED.T @ MIXED])
@pytest.mark.parametrize("wrong", [0, 2])
def test_sides_that_are_nearly_right_settle_at_the_optimum(steep, unit, wrong):
    problem = curved_problem(2, unit, steep)
    best = interior_point(problem, tol=1e-12, floor=1e-9 * unit, max_iter=60)
    assert best.gap <= 1e-12 * problem.objective(best.delta)
    side = sides_of(problem, best.delta, best.dual)
    nearest = np.argsort(np.abs(problem.residual - problem.rows.dot(best.delta)))
    side[nearest[side[nearest] != 0][:wrong]] = 0
    diagonal = diagonalised(problem)
    assert diagonal is not None
    found = diagonal.settle(side)
    assert found is not None
    delta, dual, at_kink = found
    np.testing.assert_allclose(delta, best.delta, atol=1e-9 * unit)
    np.testing.assert_allclose(dual, best.dual, atol=1e-9)
    np.testing.assert_array_equal(at_kink, best.active)
    assert problem.gap(delta, dual) <= 1e-12 * problem.objective(delta)


def test_sides_that_are_all_wrong_do_not_settle_anywhere_else():
    problem = curved_problem(3, 1.0, np.eye(5))
    diagonal = diagonalised(problem)
    assert diagonal is not None
    found = diagonal.settle(np.zeros(200, dtype=np.int8))  # more equations than unknowns
    assert found is None
    found = diagonal.settle(-np.sign(problem.residual).astype(np.int8))
    assert found is None or problem.gap(*found[:2]) <= 1e-12 * problem.objective(found[0])


def test_a_quadratic_without_an_inverse_is_left_to_the_interior_point():
    flat = np.diag([1.0, 1.0, 1.0, 1.0, 0.0])
    assert diagonalised(curved_problem(4, 1.0, flat)) is None
    assert diagonalised(curved_problem(4, 1.0, MIXED[:3].T @ MIXED[:3])) is None
    assert diagonalised(curved_problem(4, 1.0, np.zeros((5, 5)))) is None
