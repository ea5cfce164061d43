"""Where the optimum is not unique: loss_mix = 1 is the limit of the mix, then the smallest norm.

Plain fits first, then fits under fairness terms, then the quadratics that both minimise.
"""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

from skfairloss import PixelLossRegressor
from skfairloss._solvers.ties import Cuts, minimum_by_cuts, nearest_point
from skfairloss.fairness import (
    BoundedGroupLoss,
    EqualizedLoss,
    PredictionParity,
    ResidualParity,
    WorstGroupLoss,
)
from tests import fairness_oracle, oracles
from tests.fairness_oracle import Asked, FairProblem
from tests.problems import TWINS, RegressionProblem, twin

CASES = ("integer y", "repeated rows", "exact fit", "even median", "two groups", "few rows")


def tied_problem(case: str, seed: int = 0, **settings) -> RegressionProblem:
    """Small problem with loss_mix = 1 whose optimum is, in most cases, not unique."""
    rng = np.random.default_rng([3, seed])
    n, p = {"few rows": (3, 4), "even median": (6, 1)}.get(case, (12, 2))
    X = rng.integers(-2, 3, size=(n, p)).astype(float)
    y = rng.integers(0, 4, size=n).astype(float)
    weight = None
    if case == "repeated rows":
        X[6:], weight = X[:6], np.tile([1.0, 2.0], 6)
    if case == "exact fit":
        y = X @ np.array([2.0, -1.0]) + 1.0
    if case == "even median":
        X, y = np.zeros((n, p)), np.array([0.0, 1.0, 2.0, 4.0, 5.0, 6.0])
    if case == "two groups":
        X, y = np.zeros((n, p)), np.repeat([0.3, 0.9], n // 2)
    return RegressionProblem(X, y, weight, **{"loss_mix": 1.0, **settings})


def fit(problem: RegressionProblem, **settings) -> PixelLossRegressor:
    model = PixelLossRegressor(**problem.params, **settings)
    return model.fit(problem.X, problem.y, sample_weight=problem.sample_weight)


def check_same(model, coef, intercept, spread=1.0, atol=1e-6) -> None:
    np.testing.assert_allclose(model.coef_, coef, rtol=0, atol=atol * spread)
    assert model.intercept_ == pytest.approx(intercept, rel=0, abs=atol * spread)


@pytest.mark.parametrize("kind", TWINS)
@pytest.mark.parametrize("n", [2, 10, 400])
def test_two_equal_groups_are_met_halfway(n, kind):
    X, y = np.zeros((n, 1)), np.repeat([0.3, 0.9], n // 2)
    problem, coef, constant = twin(RegressionProblem(X, y, loss_mix=1.0), kind, np.zeros(1), 0.6)
    check_same(fit(problem), coef, constant, spread=problem.scale, atol=1e-9)


@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        ([1, 1, 2], 0.65),  # medians [0.6, 1], mean inside
        ([1, 3, 4], 0.725),
        ([5, 1, 6], 0.6),  # mean 0.55 below the medians
        ([2, 1, 3], 0.6),  # mean at the end of the medians
        ([1, 1, 1], 0.6),  # one median
    ],
)
def test_the_median_nearest_to_the_weighted_mean_is_taken(weight, expected):
    X, y = np.zeros((3, 1)), np.array([0.0, 0.6, 1.0])
    model = fit(RegressionProblem(X, y, np.array(weight, float), loss_mix=1.0))
    assert model.intercept_ == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("penalty", [(0.0, 0.0), (0.1, 1.0), (0.15, 1 / 3), (0.5, 1.0)])
@pytest.mark.parametrize("quantile", [0.5, 0.25])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_the_tie_rule_of_the_independent_programmes_is_kept(case, fit_intercept, quantile, penalty):
    alpha, l1_ratio = penalty
    for seed in range(2):
        problem = tied_problem(
            case,
            seed,
            quantile=quantile,
            alpha=alpha,
            l1_ratio=l1_ratio,
            fit_intercept=fit_intercept,
            scale=2.0,
        )
        try:
            best, model = oracles.solve_tie_rule(problem), fit(problem)
        except oracles.NoSolutionError as error:
            pytest.skip(str(error))
        assert model.objective_ == pytest.approx(best.objective, rel=1e-7, abs=1e-9)
        check_same(model, best.coef, best.intercept, atol=2e-4)


@pytest.mark.parametrize("case", CASES)
def test_ties_are_resolved_the_same_for_permuted_rows(case):
    problem = tied_problem(case)
    order = np.random.default_rng(4).permutation(problem.y.size)
    weight = None if problem.sample_weight is None else problem.sample_weight[order]
    model = fit(problem)
    permuted = replace(problem, X=problem.X[order], y=problem.y[order], sample_weight=weight)
    check_same(fit(permuted), model.coef_, model.intercept_)


@pytest.mark.parametrize("case", CASES)
def test_ties_are_resolved_the_same_for_weights_and_copies(case):
    problem = tied_problem(case)
    copies = np.random.default_rng(5).integers(1, 4, size=problem.y.size)
    rows = np.repeat(np.arange(problem.y.size), copies)
    weighted = fit(replace(problem, sample_weight=copies.astype(float)))
    copied = replace(problem, X=problem.X[rows], y=problem.y[rows], sample_weight=None)
    check_same(fit(copied), weighted.coef_, weighted.intercept_)


@pytest.mark.parametrize("kind", TWINS)
@pytest.mark.parametrize("case", CASES)
def test_ties_are_resolved_the_same_for_the_twins(case, kind):
    problem = tied_problem(case)
    model = fit(problem)
    other, coef, intercept = twin(problem, kind, model.coef_, model.intercept_)
    check_same(fit(other), coef, intercept, spread=other.scale)


@pytest.mark.parametrize("penalty", [(0.0, 0.0), (0.05, 1.0), (0.05, 0.0)])
@pytest.mark.parametrize("case", CASES)
def test_loss_mix_1_is_the_limit_of_the_mix(case, penalty):
    problem = tied_problem(case, 1, alpha=penalty[0], l1_ratio=penalty[1], scale=2.0)
    model = fit(problem)
    # A gap of 1e-12 leaves some sqrt(1e-12 / 1e-5) of play in the predictions.
    near = fit(replace(problem, loss_mix=1 - 1e-5), tol=1e-12)
    check_same(near, model.coef_, model.intercept_, atol=2e-3)


@pytest.mark.parametrize("penalty", [(0.0, 0.0), (0.02, 0.0), (0.02, 0.5), (0.02, 1.0)])
@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("copies", [2, 3])
def test_duplicate_columns_share_their_coefficient_equally(loss_mix, penalty, copies):
    rng = np.random.default_rng(6)
    X = rng.normal(size=(40, 2))
    y = X @ np.array([3.0, -1.0]) + 2.0 + 0.3 * rng.standard_t(3, size=40)
    wide = np.hstack([X, *[X[:, :1]] * (copies - 1)])
    problem = RegressionProblem(wide, y, loss_mix=loss_mix, alpha=penalty[0], l1_ratio=penalty[1])
    coef = fit(problem, tol=1e-12).coef_
    np.testing.assert_allclose(coef[2:], coef[0], rtol=1e-6)
    assert abs(coef[0]) * copies > 2.0


@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
def test_a_constant_column_beside_the_intercept_gets_no_coefficient(loss_mix):
    rng = np.random.default_rng(7)
    X = np.column_stack([rng.normal(size=30), np.full(30, 4.0)])
    y = 2.0 * X[:, 0] + 7.0 + rng.standard_t(3, size=30)
    model = fit(RegressionProblem(X, y, loss_mix=loss_mix))
    assert model.coef_[1] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_more_columns_than_rows_give_the_interpolation_of_smallest_norm(fit_intercept):
    rng = np.random.default_rng(8)
    X, y = rng.normal(size=(4, 9)), rng.normal(size=4)
    centre, mean = (X.mean(axis=0), y.mean()) if fit_intercept else (0.0, 0.0)
    expected = np.linalg.pinv(X - centre) @ (y - mean)
    for loss_mix in (0.0, 0.5, 1.0):
        model = fit(RegressionProblem(X, y, loss_mix=loss_mix, fit_intercept=fit_intercept))
        np.testing.assert_allclose(model.coef_, expected, atol=1e-7)


@pytest.mark.parametrize("seed", [4, 6, 38])
def test_a_tie_whose_rule_names_an_end_of_the_interval_is_resolved_there(seed):
    rng = np.random.default_rng(0)
    y = [rng.normal(size=200) for _ in range(seed + 1)][-1]
    low, high = np.sort(y)[99:101]
    assert not low <= y.mean() <= high
    model = PixelLossRegressor(1.0).fit(np.zeros((200, 1)), y)  # a warning would be an error
    assert model.intercept_ == pytest.approx(np.clip(y.mean(), low, high), rel=1e-12)


@pytest.mark.parametrize("kind", TWINS)
def test_rows_that_all_bind_at_once_leave_no_tie(kind):
    rng = np.random.default_rng([11, 58])
    X = (rng.random((40, 4)) < 0.4).astype(float)  # 15 distinct rows
    problem = RegressionProblem(X, rng.integers(0, 8, 40).astype(float), loss_mix=1.0)
    best = oracles.solve_tie_rule(problem)
    other, coef, intercept = twin(problem, kind, best.coef, best.intercept)
    check_same(fit(other), coef, intercept, spread=other.scale, atol=2e-4)


TERMS = {
    "none": None,
    "minimax": WorstGroupLoss(),
    "weighted": WorstGroupLoss(0.5),
    "bounded": BoundedGroupLoss(2.0, loss=None),
    "predictions": PredictionParity(0.3),
    "residuals": ResidualParity(0.2),
    "list": [WorstGroupLoss(0.3), PredictionParity(0.5)],
}


def fit_fairly(term, sample, loss_mix=1.0, **settings):
    X, y, weight, group = sample
    model = PixelLossRegressor(loss_mix, fairness=term, **settings)
    return model.fit(X, y, sample_weight=weight, sensitive_features=group)


def grid_data(seed=0, outputs=(2,)):
    """Few distinct rows and rounded targets: optima are not unique."""
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 3, (60, 2)).astype(float)
    y = np.round(X @ rng.normal(size=(2, *outputs)) + rng.normal(size=(60, *outputs)))
    return X, y, rng.integers(1, 3, 60).astype(float), rng.integers(0, 3, 60)


@pytest.mark.parametrize(("offset", "unit"), [(0.0, 1.0), (-40.0, 8.0)])
@pytest.mark.parametrize(
    ("term", "expected"),
    [
        # anything in [0.3, 0.9] is a median; the mean, 0.61, has the least squares among them
        (BoundedGroupLoss(1.0, loss=None), 0.61),
        (EqualizedLoss(0.5, loss=None), 0.61),
        (PredictionParity(), 0.61),
        # group b, whose mean is 0.62, is worst off by the outlier and weighs 1/2 + 1/4
        (WorstGroupLoss(0.5), 0.615),
    ],
)
def test_of_the_medians_of_two_levels_the_one_of_least_squares_is_taken(
    term, expected, offset, unit
):
    level = np.append(np.repeat([0.3, 0.9], [50, 49]), 1.9)
    group = np.tile(["a", "b"], 50)
    sample = np.zeros((100, 1)), offset + unit * level, None, group
    model = fit_fairly(term, sample, scale=unit)
    assert model.intercept_ == pytest.approx(offset + unit * expected, rel=1e-9)


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize("penalty", [{}, {"alpha": 0.05}, {"alpha": 0.05, "l1_ratio": 1.0}])
def test_a_tie_under_fairness_terms_is_the_limit_of_the_mix(name, penalty):
    sample = grid_data()
    model = fit_fairly(TERMS[name], sample, **penalty)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the gap asked for is close to rounding
        near = fit_fairly(TERMS[name], sample, 1 - 1e-6, tol=1e-10, **penalty)
    np.testing.assert_allclose(model.coef_, near.coef_, atol=1e-4)
    np.testing.assert_allclose(model.intercept_, near.intercept_, atol=1e-4)
    assert model.objective_ == pytest.approx(near.objective_, rel=1e-5)


@pytest.mark.parametrize("name", TERMS)
def test_the_order_of_rows_and_copies_do_not_decide_a_tie(name):
    X, y, weight, group = grid_data(seed=1)
    model = fit_fairly(TERMS[name], (X, y, weight, group))
    order = np.random.default_rng(0).permutation(len(y))
    shuffled = fit_fairly(TERMS[name], (X[order], y[order], weight[order], group[order]))
    np.testing.assert_allclose(shuffled.coef_, model.coef_, atol=1e-7)
    rows = np.repeat(np.arange(len(y)), weight.astype(int))
    copies = fit_fairly(TERMS[name], (X[rows], y[rows], None, group[rows]))
    np.testing.assert_allclose(copies.coef_, model.coef_, atol=1e-7)


@pytest.mark.parametrize(("offset", "unit"), [(0.0, 1.0), (-40.0, 8.0)])
@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize(
    ("term", "y", "expected"),
    [
        # t = φ_a = (20 - c) / 3 falls as fast as φ_b = c - 1 rises: 3/4 · 1/3 = 1/4 · 1
        (WorstGroupLoss(0.5), [0, 10, 10, 1, 1, 1], 0.75 * 20 / 3 + 0.25 * 1),
        # the same beside a bound that does not hold
        ([WorstGroupLoss(0.5), BoundedGroupLoss(20.0, loss=None)], [0, 10, 10, 1, 1, 1], 5.25),
        # 2/3 · 1/2 = 1/3 · 1, up to where the losses are equal: (18 - c) / 2 = c - 3 at 8
        (WorstGroupLoss(1 / 3), [0, 8, 12, 16, 3, 3, 3, 3], 2 / 3 * 9 + 1 / 3 * 3),
    ],
)
def test_the_worst_loss_may_change_along_a_tie(term, y, expected, outputs, offset, unit):
    group = np.repeat(["a", "b"], len(y) // 2)
    y = offset + unit * np.tile(np.array(y, float)[:, None], outputs)
    if isinstance(term, list):
        term = [term[0], BoundedGroupLoss(20.0 * outputs, loss=None)]
    model = fit_fairly(term, (np.zeros((len(y), 1)), y, None, group), scale=unit)
    np.testing.assert_allclose(model.intercept_, offset + unit * expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("term", "best"),  # by a linear programme, with HiGHS
    [
        (WorstGroupLoss(), 1.3925),
        (WorstGroupLoss(0.5), 1.3925),
        (BoundedGroupLoss(1.5, loss=None), 1.39),
        (BoundedGroupLoss(1.75, loss=None), 1.385),
        (PredictionParity(0.1), 1.385),
    ],
)
def test_all_dummies_and_an_intercept_have_a_model_under_a_lasso_and_any_term(term, best):
    X = np.eye(2)[[0, 0, 0, 1, 1, 1, 0, 1]]
    y = np.array([3.0, 2.0, 6.0, 3.0, 7.0, 5.0, 1.0, 4.0])
    settings = {"alpha": 0.01, "l1_ratio": 1.0, "scale": 1.0}
    model = fit_fairly(term, (X, y, None, list("bababbaa")), **settings)
    assert model.objective_ == pytest.approx(best, rel=1e-9)
    # a constant may be added to both coefficients: the smallest norm has none
    assert model.coef_.sum() == pytest.approx(0.0, abs=1e-9)


ASKED = {
    "worst": Asked(worst=0.9),  # a weight of 1 leaves 1e-6 for the mean, too little for Clarabel
    "weighted": Asked(worst=0.5),
    "bounded": Asked(bound=2.5),
    "predictions": Asked(prediction=0.3),
    "exact predictions": Asked(prediction=0.0),
    "residuals": Asked(residual=0.2),
    "list": Asked(worst=0.3, prediction=0.5),
}
DESIGNS = {"all dummies": 2, "copies": 1, "a sum of columns": 2, "full rank": 1}  # outputs


def fair_problem(design: str, asked: Asked, **settings) -> FairProblem:
    """Whole numbers of 33 rows in two groups, by a design whose columns may depend."""
    rng = np.random.default_rng([13, list(DESIGNS).index(design)])
    X = rng.integers(0, 3, (33, 2)).astype(float)
    if design == "all dummies":
        X = np.eye(3)[rng.integers(0, 3, 33)]
    if design == "copies":
        X = X[:, [0, 1, 0]]
    if design == "a sum of columns":
        X = np.column_stack([X, X.sum(axis=1)])
    y = rng.integers(0, 7, (33, DESIGNS[design])).astype(float)
    return FairProblem(X, y, rng.integers(0, 2, 33), asked, loss_mix=1.0, **settings)


@pytest.mark.parametrize("penalty", [(0.0, 0.0), (0.05, 1.0), (0.05, 0.5)])
@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("name", ASKED)
def test_the_tie_rule_under_fairness_terms_is_that_of_the_independent_programmes(
    name, design, penalty
):
    alpha, l1_ratio = penalty
    problem = fair_problem(design, ASKED[name], alpha=alpha, l1_ratio=l1_ratio)
    model = problem.fit()
    best = fairness_oracle.solve(problem)
    assert best is not None
    assert np.sum(model.objective_) == pytest.approx(best.objective(problem.asked.worst), rel=1e-7)
    coef, intercept = fairness_oracle.solve_tie_rule(problem, model.group_weights_)
    np.testing.assert_allclose(model.coef_.T, coef, atol=1e-3)
    np.testing.assert_allclose(model.intercept_, intercept, atol=1e-3)


@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("penalty", [(0.0, 0.0), (0.02, 0.0), (0.02, 0.5), (0.02, 1.0)])
@pytest.mark.parametrize("name", TERMS)
def test_copies_of_a_column_share_its_coefficient_under_fairness_terms(name, penalty, loss_mix):
    rng = np.random.default_rng(6)
    X = rng.normal(size=(40, 2))
    y = X @ np.array([3.0, -1.0]) + 2.0 + 0.3 * rng.standard_t(3, size=40)
    settings = {"alpha": penalty[0], "l1_ratio": penalty[1]}
    wide = np.hstack([X, X[:, :1], X[:, :1]]), y, None, rng.integers(0, 2, 40)
    model = fit_fairly(TERMS[name], wide, loss_mix, **settings)
    np.testing.assert_allclose(model.coef_[2:], model.coef_[0], rtol=1e-6)
    if settings["l1_ratio"] in (0.0, 1.0) and not (penalty[0] and settings["l1_ratio"] == 0.0):
        alone = fit_fairly(TERMS[name], (X, *wide[1:]), loss_mix, **settings)  # as no ridge is
        np.testing.assert_allclose(model.coef_[[0, 2, 3]].sum(), alone.coef_[0], atol=1e-4)


@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("name", TERMS)
def test_a_mean_of_columns_beside_them_gets_the_share_of_least_norm(name, loss_mix):
    rng = np.random.default_rng(8)
    X = rng.normal(size=(60, 2))
    y = X @ np.array([3.0, 2.0]) + 1.0 + 0.3 * rng.standard_t(3, size=60)
    sample = np.hstack([X, X.mean(axis=1)[:, None]]), y, None, rng.integers(0, 2, 60)
    coef = fit_fairly(TERMS[name], sample, loss_mix, alpha=0.05, l1_ratio=1.0, tol=1e-10).coef_
    assert (coef > -1e-9).all()
    assert coef[0] > 0.1
    # ‖w‖₁ is the same along (1/2, 1/2, -1) as long as all are positive
    nearest = coef @ [0.5, 0.5, -1.0] / -1.5
    assert np.clip(nearest, -2 * coef[:2].min(), coef[2]) == pytest.approx(0.0, abs=1e-9)


def inequalities(rows, room):
    """The violators of rows @ step <= room, one at a time."""

    def violators(step, at_most):
        over = rows @ step - room
        worst = np.argsort(-over)[:at_most]
        wrong = worst[over[worst] > 1e-12 * np.abs(room).max()]
        return Cuts(wrong, rows[wrong], room[wrong])

    return violators


@pytest.mark.parametrize("size", [0.0, -1e-17])
def test_without_curvature_nothing_moves(size):
    step = minimum_by_cuts(
        size * np.eye(2), np.array([1e-17, 0.0]), inequalities(np.eye(2), np.ones(2))
    )
    assert (step == 0.0).all()


def test_rows_that_come_later_are_added_until_none_is_violated():
    # a polygon of 400 edges: one row is told at a time
    angle = 2 * np.pi * np.arange(400) / 400
    rows = np.column_stack([np.cos(angle), np.sin(angle)])
    some = inequalities(rows, np.ones(400))
    asked = []

    def violators(step, at_most):
        asked.append(at_most)
        found = some(step, at_most)
        new = [i for i, position in enumerate(found.position) if position not in seen][:1]
        seen.update(found.position[new])
        return Cuts(found.position[new], found.rows[new], found.room[new])

    seen: set[int] = set()
    target = 3.0 * rows[7]
    step = minimum_by_cuts(np.eye(2), target, violators)
    np.testing.assert_allclose(step, rows[7], atol=1e-12)
    assert 2 <= len(asked) <= 50


@pytest.mark.parametrize("unit", [1.0, 1e-4, 1e5])
@pytest.mark.parametrize("angle", [-0.14, 0.6])
def test_a_direction_of_little_curvature_keeps_its_digits_beside_a_row_that_binds(angle, unit):
    # without rows both directions would go further: the nearest row of each kind stops it
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    hessian = turn @ np.diag([164.0, 2e-6]) @ turn.T
    rows = np.array([[14.0, 0.0], [14.0, 0.0], [0.0, 6.7], [0.0, 6.7]]) @ turn.T
    room = unit * np.array([0.014, 0.13, 0.00034, 0.07])
    step = minimum_by_cuts(
        hessian,
        unit * turn @ [1.7, 2.7e-8],
        inequalities(rows, room),
    )
    assert step is not None
    expected = room[[0, 2]] / [14.0, 6.7]
    np.testing.assert_allclose(turn.T @ step, expected, rtol=1e-9)


@pytest.mark.parametrize("unit", [1.0, 1e-5, 1e5])
@pytest.mark.parametrize("curvature", [2.0, 1e6, 1e-6])
def test_copies_of_the_row_that_binds_change_nothing(curvature, unit):
    room = unit * np.array([0.44, 0.44, 0.44, 0.44, 0.44, 0.9])
    step = minimum_by_cuts(
        np.array([[curvature]]),
        np.array([1.33 * unit * curvature]),
        inequalities(np.ones((6, 1)), room),
    )
    assert step == pytest.approx(0.44 * unit, rel=1e-14)


@pytest.mark.parametrize("unit", [1.0, 1e-6, 1e6])
@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ([0.5, 0.5], [0.5, 0.5]),  # inside
        ([3.0, 0.5], [1.0, 0.5]),  # beyond one row
        ([3.0, 2.0], [1.0, 1.0]),  # beyond a corner, through which three rows and a copy go
        ([2.0, 1.2], [1.0, 1.0]),
        ([-1.0, 4.0], [-1.0, 1.0]),
        ([1.5, 1.5], [1.0, 1.0]),
    ],
)
def test_the_nearest_point_of_a_polyhedron_is_found_where_more_rows_meet_than_there_are_directions(
    target, expected, unit
):
    rows = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0], [1.0, 0.0], [0.0, 0.0], [-1.0, 0.0]])
    room = unit * np.array([1.0, 2.0, 6.0, 1.0, 0.0, 5.0])
    found = nearest_point(unit * np.array(target), rows, room)
    np.testing.assert_allclose(found, unit * np.array(expected), atol=1e-14 * unit)


def test_ties_without_any_coefficient_are_the_model_itself():
    X, y = np.eye(4)[:, :2], np.array([1.0, -1.0, 1.0, 1.0])
    strong = PixelLossRegressor(0.5, alpha=10.0, l1_ratio=1.0, fit_intercept=False, scale=1.0)
    model = strong.fit(X, y)
    np.testing.assert_array_equal(model.coef_, 0.0)
    np.testing.assert_allclose(model.dual_gap_, 0.0, atol=1e-12)
