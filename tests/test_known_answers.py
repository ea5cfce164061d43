"""Problems with exactly known answers, each with a shifted, a scaled and a re-weighted twin."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

from skfairloss import PixelLossRegressor
from tests import oracles
from tests.problems import TWINS, RegressionProblem, certified_problems, twin


def fit(problem: RegressionProblem, **settings) -> PixelLossRegressor:
    return PixelLossRegressor(**problem.params, **settings).fit(
        problem.X, problem.y, sample_weight=problem.sample_weight
    )


def correct_digits(found: np.ndarray, exact: np.ndarray) -> float:
    """Smallest -log10 of the relative error (of the error itself where the answer is zero)."""
    error = np.abs(np.asarray(found) - exact) / np.where(exact == 0, 1.0, np.abs(exact))
    return float(np.min(-np.log10(np.maximum(error, 1e-15))))


def centred_and_scaled_lstsq(problem: RegressionProblem) -> np.ndarray:
    """Coefficients, then the intercept if there is one, by ``scipy.linalg.lstsq``."""
    X, y = problem.X, problem.y
    x_mean = X.mean(axis=0) if problem.fit_intercept else np.zeros(X.shape[1])
    y_mean = y.mean() if problem.fit_intercept else 0.0
    size = np.linalg.norm(X - x_mean, axis=0)
    coef = scipy.linalg.lstsq((X - x_mean) / size, y - y_mean)[0] / size
    return np.append(coef, y_mean - x_mean @ coef)[: X.shape[1] + problem.fit_intercept]


@pytest.mark.parametrize("kind", TWINS)
@pytest.mark.parametrize("name", sorted(certified_problems("l1")))
def test_l1_fit_reaches_the_certified_objective_and_coefficients(name, kind):
    data = certified_problems("l1")[name]
    X, y = np.array(data["X"]), np.array(data["y"])
    assert data["sample_weight"] is None
    base = RegressionProblem(X, y, loss_mix=1.0, quantile=data["quantile"])
    problem, coef, intercept = twin(base, kind, data["coef"], data["intercept"])
    model = fit(problem)
    # |r| + (2 tau - 1) r is twice the pinball loss; the twins leave the mean of r / c as it is.
    certified = 2 * data["sum_pinball"] / y.size
    floor = oracles.rounding_floor(problem, model.coef_, model.intercept_)
    reached = oracles.objective(problem, model.coef_, model.intercept_)
    assert reached == pytest.approx(certified, rel=1e-9, abs=floor)
    assert model.objective_ == pytest.approx(certified, rel=1e-9, abs=floor)
    if data["unique"]:
        np.testing.assert_allclose(model.coef_, coef, rtol=1e-7, atol=1e-9 * np.abs(coef).max())
        assert model.intercept_ == pytest.approx(intercept, rel=1e-7)


@pytest.mark.parametrize("kind", TWINS)
@pytest.mark.parametrize("name", sorted(certified_problems("l2")))
def test_l2_fit_keeps_the_digits_of_a_centred_and_scaled_lstsq(name, kind):
    data = certified_problems("l2")[name]
    base = RegressionProblem(
        np.array(data["X"]), np.array(data["y"]), loss_mix=0.0, fit_intercept=data["fit_intercept"]
    )
    problem, coef, intercept = twin(base, kind, data["coef"], data["intercept"])
    exact = np.append(coef, intercept)[: coef.size + problem.fit_intercept]
    required = 8 if correct_digits(centred_and_scaled_lstsq(problem), exact) >= 8 else 7
    model = fit(problem)
    found = np.append(model.coef_, model.intercept_)[: exact.size]
    assert correct_digits(found, exact) >= required
    assert problem.fit_intercept or model.intercept_ == 0.0


def minority_optimum(share: float, loss_mix: float) -> float:
    """Best constant for a dark minority at 0.3 and a bright majority at 0.9."""
    if loss_mix == 1:
        return 0.9
    pull = loss_mix * (1 - 2 * share) / (2 * (1 - loss_mix))
    return min(0.9, 0.9 - 0.6 * share + pull)


@pytest.mark.parametrize("kind", TWINS)
@pytest.mark.parametrize("column", ["zeros", "uninformative", "weights"])
@pytest.mark.parametrize("loss_mix", [0.0, 0.1, 0.25, 0.4, 0.6, 1.0])
@pytest.mark.parametrize("share", [0.1, 0.3, 0.45])
def test_two_brightness_groups_have_the_constant_optimum_of_the_closed_form(
    share, loss_mix, column, kind
):
    if column == "weights":
        X, y, weight = np.zeros((2, 1)), np.array([0.3, 0.9]), np.array([share, 1 - share])
    else:
        dark = round(200 * share)
        y, weight = np.repeat([0.3, 0.9], [dark, 200 - dark]), None
        X = np.zeros((200, 1)) if column == "zeros" else np.tile([[-1.0], [1.0]], (100, 1))
    base = RegressionProblem(X, y, weight, loss_mix=loss_mix)
    optimum = minority_optimum(share, loss_mix)
    problem, coef, constant = twin(base, kind, np.zeros(1), optimum)
    model = fit(problem, tol=1e-12)
    np.testing.assert_allclose(model.coef_, coef, atol=1e-7 * problem.scale)
    assert model.intercept_ == pytest.approx(constant, abs=1e-7 * problem.scale, rel=1e-12)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.45])
def test_the_mix_gives_the_l1_answer_from_the_stated_ratio_on(share):
    ratio = 1.2 * share / (1 - 2 * share)
    y, weight = np.array([0.3, 0.9]), np.array([share, 1 - share])
    for factor, reached in [(1.001, True), (0.95, False)]:
        loss_mix = factor * ratio / (1 + factor * ratio)
        problem = RegressionProblem(np.zeros((2, 1)), y, weight, loss_mix=loss_mix)
        assert (abs(fit(problem, tol=1e-12).intercept_ - 0.9) < 1e-9) == reached


@pytest.mark.parametrize(
    ("loss_mix", "y", "expected"),
    [
        (1.0, [-2.0, 2.0], 2.0),
        (0.0, [-2.0, 2.0], 4.0),
        (1.0, [-0.1, 0.2], 0.15),
        (0.0, [-0.1, 0.2], 0.025),
    ],
)
def test_objective_is_the_plain_mean_of_the_losses(loss_mix, y, expected):
    model = PixelLossRegressor(loss_mix, scale=1.0, fit_intercept=False)
    model.fit(np.zeros((2, 1)), np.array(y))
    assert model.objective_ == pytest.approx(expected, rel=1e-12)
