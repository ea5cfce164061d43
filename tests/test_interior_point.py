"""The interior point by itself: starts that led it round in circles, rows that settle late."""

from __future__ import annotations

import numpy as np
import pytest

from skfairloss._rows import DenseRows
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
