"""The certificate: what it claims at known optima, and that it never claims too much."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from skfairloss._core.certificate import certify
from skfairloss._core.losses import MixedLoss
from skfairloss._core.problem import Problem
from skfairloss._core.solution import Certificate, Point, Slopes
from skfairloss._design import make_design
from tests import oracles
from tests.problems import PENALTIES, TWINS, RegressionProblem, twin

SIGNS = np.array([-1.0, 1.0, -1.0, 1.0])


def as_problem(problem: RegressionProblem) -> Problem:
    """The package's form of a problem, in units of its scale; X may be sparse or float32."""
    Y = problem.y.reshape(len(problem.y), -1)
    return Problem(
        design=make_design(problem.X),
        y=Y / problem.scale,
        weights=np.asarray(problem.weights, float),
        loss=MixedLoss(problem.loss_mix, problem.quantile),
        l1=problem.alpha * problem.l1_ratio,
        l2=problem.alpha * (1 - problem.l1_ratio),
        fit_intercept=problem.fit_intercept,
    )


def check(problem: RegressionProblem, coef, intercept, dual, tol=1e-8) -> Certificate:
    """Certificate of one output."""
    point = Point(
        np.asarray(coef, float)[:, None] / problem.scale,
        np.array([float(intercept)]) / problem.scale,
        None if dual is None else np.asarray(dual, float)[:, None],
    )
    return certify(as_problem(problem), point, tol)


@pytest.mark.parametrize("moved", [0.0, 0.1])
def test_slopes_at_the_model_are_what_the_duals_would_be(moved):
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(40, 3)), rng.normal(size=(40, 2))
    loss = MixedLoss(0.0)
    problem = Problem(make_design(X), y, np.full(40, 1 / 40), loss)
    best = np.linalg.lstsq(np.column_stack([X, np.ones(40)]), y, rcond=None)[0]
    coef, intercept = best[:3] + moved, best[3]
    dual = loss.derivative(y - X @ coef - intercept)
    told, known = (certify(problem, Point(coef, intercept, z)) for z in (Slopes(), dual))
    np.testing.assert_allclose(told.gap, known.gap, rtol=1e-9, atol=1e-15)
    assert told.certified.all() == (moved == 0.0)


def derivative_dual(problem: RegressionProblem, coef, intercept) -> np.ndarray:
    """ℓ'(r / c) at a point: the duals that leave no gap in the rows."""
    residual = problem.y - problem.X @ np.asarray(coef, float) - intercept
    return MixedLoss(problem.loss_mix, problem.quantile).derivative(residual / problem.scale)


def known_optima() -> dict[str, tuple[RegressionProblem, list[float], float, list[float]]]:
    """Problem, coefficients, intercept and duals ℓ'(r / c), each worked out by hand."""
    flat, line, slope = np.zeros((3, 1)), np.array([[-1.0], [1.0]]), np.arange(3.0)[:, None]
    y, y_line = np.array([0.0, 1.0, 5.0]), np.array([-2.0, 4.0])

    def ridge(penalty: float, l1_ratio: float) -> RegressionProblem:
        return RegressionProblem(line, y_line, loss_mix=0.0, alpha=penalty, l1_ratio=l1_ratio)

    groups = RegressionProblem(
        np.zeros((2, 1)), np.array([0.3, 0.9]), np.array([3.0, 7.0]), loss_mix=0.25
    )
    return {
        "median": (RegressionProblem(flat, y, loss_mix=1.0), [0.0], 1.0, [-1, 0, 1]),
        "upper quartile": (
            RegressionProblem(flat, y, loss_mix=1.0, quantile=0.75),
            [0.0],
            5.0,
            [-0.5, -0.5, 1.0],
        ),
        "weighted median": (
            RegressionProblem(flat, y, np.array([3.0, 1.0, 1.0]), loss_mix=1.0),
            [0.0],
            0.0,
            [-2 / 3, 1.0, 1.0],
        ),
        "mean": (RegressionProblem(flat, y, loss_mix=0.0), [0.0], 2.0, [-4.0, -2.0, 6.0]),
        "slope of L1": (
            RegressionProblem(slope, y, loss_mix=1.0, fit_intercept=False),
            [2.5],
            0.0,
            [0.3, -1.0, 0.5],  # the row of zeros may have any dual
        ),
        # b = 1 by symmetry, and -6 + 2 w + (penalty)'(w) = 0
        "ridge": (ridge(1.0, 0.0), [2.0], 1.0, [-2.0, 2.0]),
        "lasso": (ridge(1.0, 1.0), [2.5], 1.0, [-1.0, 1.0]),
        "lasso at zero": (ridge(7.0, 1.0), [0.0], 1.0, [-6.0, 6.0]),
        "elastic net": (ridge(2.0, 0.5), [5 / 3], 1.0, [-8 / 3, 8 / 3]),
        "two groups": (groups, [0.0], 0.72 + 1 / 15, [-0.98, 0.42]),
        "exact fit": (
            RegressionProblem(slope, 2 * slope[:, 0] + 1, loss_mix=0.5),
            [2.0],
            1.0,
            [0] * 3,
        ),
    }


KNOWN = known_optima()
every_known = pytest.mark.parametrize("name", KNOWN)


@pytest.mark.parametrize("kind", TWINS)
@every_known
def test_the_gap_is_zero_up_to_rounding_at_known_optima(name, kind):
    problem, coef, intercept, dual = KNOWN[name]
    other, coef, intercept = twin(problem, kind, coef, intercept)
    found = check(other, coef, intercept, dual, tol=1e-12)
    objective = oracles.objective(other, coef, intercept)
    assert found.objective[0] == pytest.approx(objective, rel=1e-12, abs=1e-12)
    assert 0 <= found.gap[0] <= oracles.rounding_floor(other, coef, intercept)
    assert found.certified[0]
    assert found.infeasibility[0] == 0


@every_known
def test_optima_shifted_by_a_million_are_still_certified(name):
    problem, coef, intercept, dual = KNOWN[name]
    if problem.fit_intercept:
        found = check(problem.shifted(1e6), coef, intercept + 1e6, dual)
        assert found.certified[0]


@every_known
def test_the_gap_grows_with_the_distance_from_the_optimum_and_bounds_the_excess(name):
    problem, coef, intercept, dual = KNOWN[name]
    best = oracles.objective(problem, coef, intercept)
    gaps = []
    for distance in (1e-6, 1e-4, 1e-2, 1.0):
        moved = (
            (coef, intercept + distance) if problem.fit_intercept else (np.add(coef, distance), 0.0)
        )
        found = check(problem, *moved, dual)
        excess = oracles.objective(problem, *moved) - best
        assert found.gap[0] >= excess - oracles.rounding_floor(problem, *moved)
        gaps.append(found.gap[0])
    assert (np.diff(gaps) > 0).all()
    assert not found.certified[0]


@pytest.mark.parametrize("loss_mix", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_the_gap_grows_as_the_duals_move_away(loss_mix, penalty):
    problem = draw_problem(3, loss_mix=loss_mix, penalty=penalty)
    best, dual = near_optimum(problem)
    direction = np.random.default_rng(0).normal(size=problem.y.size)
    gaps = [
        check(problem, best.coef, best.intercept, dual + distance * direction).gap[0]
        for distance in (0.0, 1e-2, 1e-1, 1.0)
    ]
    assert (np.diff(gaps) > 0).all()


def draw_problem(
    seed: int, design: str = "plain", penalty: str = "none", **options
) -> RegressionProblem:
    """A small random problem with off-centre columns, of full or deficient rank."""
    rng = np.random.default_rng([7, seed])
    n, p = (4, 6) if design == "wide" else (14, 3)
    X = rng.normal(size=(n, p)) * 10.0 ** rng.uniform(-2, 2, size=p) + rng.normal(size=p)
    if design == "duplicate":
        X[:, 2] = X[:, 0]
    if design == "constant":
        X[:, 1] = 3.0
    y = X[:, 0] + rng.standard_t(2, size=n) + 5 * rng.normal()
    weight = 10.0 ** rng.uniform(-2, 2, size=n)
    alpha, l1_ratio = PENALTIES[penalty]
    scale = 10.0 ** rng.uniform(-1, 1)
    return RegressionProblem(X, y, weight, scale=scale, alpha=alpha, l1_ratio=l1_ratio, **options)


def near_optimum(problem: RegressionProblem) -> tuple[oracles.OracleSolution, np.ndarray]:
    """The oracle's solution, and duals that a linear programme or the derivative gives there."""
    best = oracles.solve(problem)
    _, _, row_dual = oracles._clarabel_once(problem)
    return best, row_dual * problem.scale / np.asarray(problem.weights, float)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    design=st.sampled_from(["plain", "duplicate", "constant", "wide"]),
    penalty=st.sampled_from(sorted(PENALTIES)),
    loss_mix=st.sampled_from([0.0, 0.3, 1.0]),
    quantile=st.sampled_from([0.5, 0.2]),
    fit_intercept=st.booleans(),
    distance=st.sampled_from([0.0, 1e-8, 1e-4, 1.0]),
    dual_from=st.sampled_from(["optimum", "derivative", "noise", "zero"]),
    noise=st.sampled_from([0.0, 1e-8, 1e-4, 1.0]),
)
def test_the_gap_is_never_below_the_true_excess(
    seed, design, penalty, loss_mix, quantile, fit_intercept, distance, dual_from, noise
):
    problem = draw_problem(
        seed, design, penalty, loss_mix=loss_mix, quantile=quantile, fit_intercept=fit_intercept
    )
    best, optimal_dual = near_optimum(problem)
    rng = np.random.default_rng([8, seed])
    coef = best.coef + distance * rng.normal(size=best.coef.shape) * (1 + np.abs(best.coef))
    intercept = best.intercept + fit_intercept * distance * rng.normal()
    dual = {
        "optimum": optimal_dual,
        "derivative": derivative_dual(problem, coef, intercept),
        "noise": rng.normal(size=problem.y.size),
        "zero": np.zeros(problem.y.size),
    }[dual_from] + noise * rng.normal(size=problem.y.size)
    found = check(problem, coef, intercept, dual)
    excess = oracles.objective(problem, coef, intercept) - best.objective
    floor = oracles.rounding_floor(problem, coef, intercept)
    assert found.gap[0] >= excess - floor
    # Where certified, the excess is what was promised.
    natural = max(best.objective, 1e-6 * oracles.constant_loss(problem))
    assert not found.certified[0] or excess <= 1.01e-8 * natural + 2 * floor


@pytest.mark.parametrize("loss_mix", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("design", ["plain", "duplicate", "constant", "wide"])
def test_the_gap_at_the_optimum_is_small_and_certifies_it(design, penalty, loss_mix):
    problem = draw_problem(5, design, penalty, loss_mix=loss_mix)
    best, dual = near_optimum(problem)
    natural = max(best.objective, oracles.constant_loss(problem))
    assert check(problem, best.coef, best.intercept, dual).gap[0] <= 1e-5 * natural
    assert check(problem, best.coef, best.intercept, dual, tol=1e-4).certified[0]


@pytest.mark.parametrize("distance", [1e-3, 0.1, 10.0])
@pytest.mark.parametrize("where", ["coefficient", "intercept"])
@pytest.mark.parametrize("loss_mix", [0.0, 0.4, 1.0])
def test_duals_that_are_not_orthogonal_to_the_columns_are_charged(loss_mix, where, distance):
    problem = draw_problem(9, loss_mix=loss_mix)
    best, _ = near_optimum(problem)
    coef, intercept = best.coef.copy(), best.intercept
    if where == "coefficient":
        coef[0] += distance
    else:
        intercept += distance
    # These duals leave no gap in any row: the point looks perfect to who forgets Xᵀu = 0, 1ᵀu = 0.
    found = check(problem, coef, intercept, derivative_dual(problem, coef, intercept))
    excess = oracles.objective(problem, coef, intercept) - best.objective
    assert excess > 1e-7 * best.objective
    assert found.gap[0] >= excess * (1 - 1e-6)
    assert not found.certified[0]


@pytest.mark.parametrize("intercept", ["optimal", "shifted"])
@pytest.mark.parametrize("loss_mix", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_zero_coefficients_are_not_taken_for_optimal(penalty, loss_mix, intercept):
    problem = draw_problem(10, penalty=penalty, loss_mix=loss_mix)
    constant, dual = near_optimum(replace(problem, X=np.zeros_like(problem.X)))
    shift = 0.5 if intercept == "shifted" else 0.0
    found = check(problem, np.zeros(3), constant.intercept + shift, dual)
    excess = found.objective[0] - oracles.solve(problem).objective
    assert excess > 0.1 * found.objective[0]
    assert found.gap[0] >= excess
    assert not found.certified[0]


def test_missing_duals_certify_nothing():
    problem, coef, intercept, _ = KNOWN["mean"]
    found = check(problem, coef, intercept, None)
    assert found.gap[0] == np.inf
    assert not found.certified[0]
    assert found.objective[0] == pytest.approx(14 / 3)


@pytest.mark.parametrize(
    ("name", "value"),
    [("median", np.nan), ("mean", np.nan), ("lasso", np.nan), ("mean", np.inf), ("lasso", -np.inf)],
)
def test_duals_that_are_no_numbers_certify_nothing(name, value):
    problem, coef, intercept, dual = KNOWN[name]
    dual = np.array(dual, float)
    dual[1] = value
    with np.errstate(invalid="ignore"):
        found = check(problem, coef, intercept, dual)
    assert found.gap[0] == np.inf
    assert not found.certified[0]


@pytest.mark.parametrize("loss_mix", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_several_outputs_are_certified_one_by_one(loss_mix, penalty):
    problem = draw_problem(4, penalty=penalty, loss_mix=loss_mix)
    targets = np.column_stack([problem.y, problem.X[:, 1] - problem.y, problem.y**2])
    parts = [replace(problem, y=column) for column in targets.T]
    found = [near_optimum(part) for part in parts]
    coef = np.column_stack([best.coef for best, _ in found])
    intercept = np.array([best.intercept for best, _ in found])
    dual = np.column_stack([z for _, z in found])
    coef[:, 1] += 1.0  # the second output is not optimal
    c = problem.scale
    whole = as_problem(replace(problem, y=targets))
    together = certify(whole, Point(coef / c, intercept / c, dual), 1e-5)
    for k, part in enumerate(parts):
        alone = check(part, coef[:, k], intercept[k], dual[:, k], 1e-5)
        assert together.objective[k] == pytest.approx(alone.objective[0], rel=1e-12)
        assert together.gap[k] == pytest.approx(
            alone.gap[0], rel=1e-3, abs=1e-8 * alone.objective[0]
        )
    assert together.certified.tolist() == [True, False, True]


@pytest.mark.parametrize("kind", [sp.csr_array, sp.csc_matrix, np.asfortranarray])
@pytest.mark.parametrize("loss_mix", [0.0, 0.3, 1.0])
def test_another_storage_of_the_same_numbers_has_the_same_gap(loss_mix, kind):
    problem = draw_problem(6, penalty="enet", loss_mix=loss_mix)
    best, dual = near_optimum(problem)
    coef = best.coef + 0.1
    dense = check(problem, coef, best.intercept, dual)
    other = check(replace(problem, X=kind(problem.X)), coef, best.intercept, dual)
    assert other.objective[0] == pytest.approx(dense.objective[0], rel=1e-12)
    assert other.gap[0] == pytest.approx(dense.gap[0], rel=1e-9)


def test_small_objectives_are_measured_against_the_loss_of_the_best_constant():
    # L2; the best constant has loss 1, the optimum 1e-18: 1e-4 · 1e-6 is the gap allowed.
    noise = 1e-9 * np.array([1.0, 1.0, -1.0, -1.0])
    problem = RegressionProblem(SIGNS[:, None], SIGNS + noise, loss_mix=0.0)
    for distance, certified in ((5e-6, True), (2e-5, False)):
        coef = [1.0 + distance]
        found = check(problem, coef, 0.0, derivative_dual(problem, coef, 0.0), tol=1e-4)
        assert found.gap[0] > 1e-4 * found.objective[0]
        assert found.certified[0] == certified


def exploding(null_size: float, **options) -> tuple[RegressionProblem, np.ndarray, float]:
    """Least squares with two equal columns, and a point with a huge null-space component."""
    rng = np.random.default_rng(2)
    x, e = rng.normal(size=40), rng.normal(size=40)
    problem = RegressionProblem(np.column_stack([x, x]), x + e, **options)
    best = oracles.solve(problem)
    return problem, best.coef + null_size * np.array([1.0, -1.0]), best.intercept


@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("offset", [0.0, 0.3])
def test_rounding_of_exploding_coefficients_excuses_nothing(loss_mix, offset):
    problem, coef, intercept = exploding(2e16, loss_mix=loss_mix)
    optimum = oracles.solve(problem).objective
    assert oracles.rounding_floor(problem, coef, intercept) > optimum
    coef[0] += offset
    excess = oracles.objective(problem, coef, intercept) - optimum
    found = check(problem, coef, intercept, derivative_dual(problem, coef, intercept))
    assert not found.certified[0], f"certified at {excess / optimum} above the optimum"


@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("null_size", [1e10, 1e13, 1e15])
def test_rounding_excuses_no_bad_model_with_large_coefficients(loss_mix, null_size):
    problem, coef, intercept = exploding(null_size, loss_mix=loss_mix)
    optimum = oracles.solve(problem).objective
    coef[0] += 1.0  # 1 + 1e13 is still told from 1e13
    excess = oracles.objective(problem, coef, intercept) - optimum
    found = check(problem, coef, intercept, derivative_dual(problem, coef, intercept))
    assert excess > 0.1 * optimum
    assert not found.certified[0]


@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
def test_rounding_of_nearly_collinear_columns_excuses_no_bad_model(loss_mix):
    rng = np.random.default_rng(3)
    x, e, noise = rng.normal(size=(3, 40))
    X = np.column_stack([x, x + 1e-9 * e])
    problem = RegressionProblem(X, 1e-12 * noise, loss_mix=loss_mix)
    # The coefficients (-w, w) predict w · 1e-9 e, which has nothing to do with y.
    coef = 1e3 * np.array([-1.0, 1.0])
    optimum = oracles.solve(problem).objective
    assert oracles.objective(problem, coef, 0.0) > 100 * optimum
    assert oracles.rounding_floor(problem, coef, 0.0) > optimum
    assert not check(problem, coef, 0.0, derivative_dual(problem, coef, 0.0)).certified[0]


@pytest.mark.parametrize("n", [30, 300])
@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
def test_a_direction_between_nearly_equal_columns_is_not_overlooked(loss_mix, n):
    rng = np.random.default_rng(4)
    x, e, noise = rng.normal(size=(3, n))
    X = np.column_stack([x, x + 1e-8 * e])  # still eight digits apart
    problem = RegressionProblem(X, x + e + 0.01 * noise, loss_mix=loss_mix)
    # Optimal among the models that take the two columns for one.
    best, dual = near_optimum(replace(problem, X=X[:, :1]))
    coef = np.full(2, best.coef[0] / 2)
    better = oracles.objective(problem, np.array([1 - 1e8, 1e8]), 0.0)
    assert better < 0.1 * oracles.objective(problem, coef, best.intercept)
    found = check(problem, coef, best.intercept, dual, tol=1e-4)
    assert found.gap[0] >= 0.9 * (found.objective[0] - better)
    assert not found.certified[0]
