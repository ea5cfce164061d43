"""Inputs of public bug reports and their kin: right and certified, or refused by name.

Right values are those of the judges in `hard_problems`, which know nothing of the package's
solvers, or known in closed form. Each kind has at least three members.
"""

from __future__ import annotations

import re
import threading
import warnings
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Lasso

from skfairloss import PixelLossRegressor
from skfairloss._cached import cached_property
from skfairloss._core import problem as problem_module
from skfairloss.exceptions import InfeasibleFairnessError, UnmetFairnessWarning
from skfairloss.fairness import (
    BoundedGroupLoss,
    EqualizedLoss,
    PredictionParity,
    ResidualParity,
    WorstGroupLoss,
)
from tests import fairness_oracle, hard_problems, oracles
from tests.fairness_oracle import Asked, FairProblem


def check(problem: FairProblem, status: str = "certified") -> None:
    """Fail unless the judges find the fit certified and right, or rightly refused."""
    found = hard_problems.run(hard_problems.Case(0, problem, "ordinary"))
    assert found.status == status, str(found)


def halves(n: int) -> np.ndarray:
    """Two groups in turn."""
    return np.where(np.arange(n) % 2 == 0, "a", "b")


# --------------------------------------------------------------------------------------------------
# An L1 penalty with a term, where an unpenalised fit could reach 0
# --------------------------------------------------------------------------------------------------


def interpolable(n: int = 40, p: int = 60, noise: float = 0.3, **settings) -> FairProblem:
    """y = x0 - 2 x1 + noise with p columns, under an L1 penalty."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, p))
    y = X[:, 0] - 2 * X[:, 1] + noise * rng.normal(size=n)
    settings = {"loss_mix": 0.0, "alpha": 1.0, "l1_ratio": 1.0} | settings
    return FairProblem(X, y, halves(n), **settings)


@pytest.mark.parametrize("p", [9, 10, 11])
@pytest.mark.parametrize("asked", [Asked(prediction=0.0), Asked(residual=0.0)])
def test_a_penalised_absolute_fit_meets_a_parity_with_about_as_many_columns_as_rows(p, asked):
    check(interpolable(p + 1, p, asked=asked, loss_mix=1.0, alpha=0.1))


# --------------------------------------------------------------------------------------------------
# Sums beside their parts
# --------------------------------------------------------------------------------------------------


def with_total(level: float, *, mean: bool, n: int = 60, seed: int = 0, **settings) -> FairProblem:
    """Three columns around a level with a spread of 5, their mean or sum, and y."""
    rng = np.random.default_rng(seed)
    parts = level + 5 * rng.normal(size=(n, 3))
    total = parts.mean(axis=1) if mean else parts.sum(axis=1)
    y = (parts - level) @ np.array([1.0, -0.5, 0.2]) + rng.normal(size=n)
    return FairProblem(np.column_stack([parts, total]), y, halves(n), **settings)


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
def test_a_total_beside_its_parts_is_penalised_like_any_column(l1_ratio):
    check(with_total(101_325.0, mean=True, alpha=0.1, l1_ratio=l1_ratio))


@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("mean", [True, False])
@pytest.mark.parametrize("level", [101_325.0, 1e6, 1e9])
@pytest.mark.parametrize(("n", "container"), [(60, np.asarray), (300, sp.csr_array)])
def test_a_total_beside_its_parts_changes_no_prediction(n, container, level, mean, loss_mix):
    for seed in range(3):
        problem = with_total(level, mean=mean, n=n, seed=seed, loss_mix=loss_mix)
        without = fairness_oracle.solve(replace(problem, X=problem.X[:, :3]))
        model = replace(problem, X=container(problem.X)).fit()
        reached = fairness_oracle.value(problem, model.coef_[:, None], model.intercept_)
        assert reached.mean == pytest.approx(without.mean, rel=1e-6)


@pytest.mark.parametrize("asked", [Asked(worst=0.5), Asked(prediction=0.1), Asked(bound=3.0)])
def test_a_total_beside_its_parts_changes_no_fit_with_a_term(asked):
    check(with_total(101_325.0, mean=True, asked=asked))


# --------------------------------------------------------------------------------------------------
# Requests that cannot be met, and some that can
# --------------------------------------------------------------------------------------------------


def beside(other: np.ndarray | float, asked: Asked, **settings) -> FairProblem:
    """One feature and another column, under an L1 penalty."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=50)
    y = x + rng.normal(size=50)
    column = x if np.ndim(other) else np.full(50, other)
    settings = {"loss_mix": 0.5, "alpha": 0.1, "l1_ratio": 1.0} | settings
    return FairProblem(np.column_stack([x, column]), y, halves(50), asked, **settings)


USELESS = pytest.mark.parametrize(
    "other", [0.0, 3.0, np.zeros(1)], ids=["zeros", "constant", "copy"]
)


@USELESS
@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
def test_a_bound_within_reach_is_met_beside_a_useless_column(other, loss_mix):
    problem = beside(other, Asked(bound=0.3), loss_mix=loss_mix)
    factor = fairness_oracle.smallest_factor(problem)
    check(replace(problem, asked=Asked(bound=0.3 * factor * 1.01)))


# --------------------------------------------------------------------------------------------------
# Parities that leave no direction
# --------------------------------------------------------------------------------------------------


# --------------------------------------------------------------------------------------------------
# Sizes whose squares are no floats
# --------------------------------------------------------------------------------------------------

EXTREME = pytest.mark.parametrize("size", [1e-300, 1e-170, 1e-155, 1e150, 1e160, 1e300])


def refusal_or(fit, name: str):
    """The fit, or None where it is refused by a message that names the argument."""
    try:
        return fit()
    except ValueError as error:
        if not re.search(rf"\b{name}\b", str(error)):
            raise
        return None


def plain(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Fifty rows of two columns, and y of both."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(50, 2))
    return X, X @ np.array([1.0, 2.0]) + rng.normal(size=50)


@EXTREME
@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
def test_weights_of_extreme_size_are_their_ratios_or_refused_by_name(size, loss_mix):
    X, y = plain()
    weight = np.random.default_rng(1).uniform(0.5, 2.0, size=50)
    expected = PixelLossRegressor(loss_mix).fit(X, y, sample_weight=weight)
    model = refusal_or(
        lambda: PixelLossRegressor(loss_mix).fit(X, y, sample_weight=weight * size), "sample_weight"
    )
    if model is not None:
        np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-6)


@EXTREME
@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
def test_y_of_extreme_size_is_fitted_or_refused_by_name(size, loss_mix):
    X, y = plain()
    expected = PixelLossRegressor(loss_mix).fit(X, y)
    model = refusal_or(lambda: PixelLossRegressor(loss_mix).fit(X, y * size), "y")
    if model is not None:
        np.testing.assert_allclose(model.coef_ / size, expected.coef_, rtol=1e-6)


@EXTREME
@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
def test_a_column_of_extreme_size_is_fitted_or_refused_by_name(size, loss_mix):
    X, y = plain()
    expected = PixelLossRegressor(loss_mix).fit(X, y)
    sizes = np.array([size, 1.0])
    model = refusal_or(lambda: PixelLossRegressor(loss_mix).fit(X * sizes, y), "X")
    if model is not None:
        np.testing.assert_allclose(model.coef_ * sizes, expected.coef_, rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-320, 1e-200, 1e-160, 1e160, 1e200])
@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
def test_a_scale_of_extreme_size_gives_a_finite_objective_or_is_refused_by_name(scale, loss_mix):
    X, y = plain()
    model = refusal_or(lambda: PixelLossRegressor(loss_mix, scale=scale).fit(X, y), "scale")
    if model is not None:
        assert np.isfinite(model.objective_)
        assert np.isfinite(model.coef_).all()


@pytest.mark.parametrize("container", [pd.DataFrame, sp.csr_array, sp.csc_matrix])
@pytest.mark.parametrize("column", [[1e-170, -1e-170], [1e160, -1e160], [0.0, 1e-320]])
def test_a_column_whose_numbers_cancel_is_refused_by_name(container, column):
    X = container(np.column_stack([np.arange(50.0), np.tile(column, 25)]))
    X = X.rename(columns=str) if container is pd.DataFrame else X
    with pytest.raises(ValueError, match=r"column '?1'? of X"):
        PixelLossRegressor().fit(
            X.rename(columns=str) if container is pd.DataFrame else X, plain()[1]
        )


@pytest.mark.parametrize("smallest", [1e-110, 1e-200, 1e-320])
@pytest.mark.parametrize("largest", [1.0, 1e300])
def test_weights_out_of_proportion_are_refused_by_name(smallest, largest):
    X, y = plain()
    weight = np.full(50, largest)
    weight[3], weight[4] = smallest, 0.0
    with pytest.raises(ValueError, match="sample_weight must be 0 or at least"):
        PixelLossRegressor().fit(X, y, sample_weight=weight)


def test_outputs_out_of_proportion_are_refused_by_name():
    X, y = plain()
    with pytest.raises(ValueError, match=r"y of up to .* a smaller scale"):
        PixelLossRegressor().fit(X, np.column_stack([y, 1e-120 * y]))


# --------------------------------------------------------------------------------------------------
# Threads
# --------------------------------------------------------------------------------------------------


def test_two_problems_find_their_coordinates_at_the_same_time(monkeypatch):
    """A lock of the class would make threads wait, and a child forked meanwhile wait for ever."""
    inside, met = threading.Barrier(2, timeout=20), []
    original = problem_module.orthonormal_basis

    def both(*arguments):
        with suppress(threading.BrokenBarrierError):  # the other one waits for this one to end
            inside.wait()
            met.append(True)
        return original(*arguments)

    def fit():
        PixelLossRegressor(0.0, alpha=0.1).fit(*plain())

    monkeypatch.setattr(problem_module, "orthonormal_basis", both)
    threads = [threading.Thread(target=fit) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(met) == 2


class Slow:
    """An object whose property waits for that of another one."""

    inside = threading.Barrier(2, timeout=20)

    @cached_property
    def value(self) -> object:
        """A new object each time it is computed."""
        self.inside.wait()
        return object()


def test_a_property_is_computed_once_and_two_of_a_class_at_the_same_time():
    slow = [Slow(), Slow()]
    threads = [threading.Thread(target=lambda one=one: one.value) for one in slow]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all("value" in vars(one) for one in slow)
    assert slow[0].value is slow[0].value is not slow[1].value
    assert "new object" in Slow.value.__doc__


# --------------------------------------------------------------------------------------------------
# All dummies of a factor
# --------------------------------------------------------------------------------------------------


def dummies(seed: int, asked: Asked) -> FairProblem:
    """33 rows of whole numbers, all dummies of a factor, an intercept, and an L1 penalty."""
    rng = np.random.default_rng(seed)
    X = np.eye(3)[rng.integers(0, 3, size=33)]
    y = rng.integers(0, 8, size=33).astype(float)
    return FairProblem(X, y, halves(33), asked, loss_mix=1.0, alpha=0.01, l1_ratio=1.0)


def test_all_dummies_of_two_levels_under_an_l1_penalty_give_a_finite_model():
    X, y = np.eye(2)[[0, 0, 0, 1, 1, 1, 0, 1]], np.array([3.0, 2, 6, 3, 7, 5, 1, 4])
    groups, asked = np.array(list("bababbaa")), Asked(worst=1.0)
    check(FairProblem(X, y, groups, asked, loss_mix=1.0, alpha=0.01, l1_ratio=1.0))


@pytest.mark.parametrize("asked", [Asked(worst=1.0), Asked(worst=0.5), Asked(prediction=0.1)])
def test_all_dummies_under_an_l1_penalty_and_a_term_give_a_finite_model(asked):
    for seed in range(8):
        check(dummies(seed, asked))


# --------------------------------------------------------------------------------------------------
# EqualizedLoss with penalties
# --------------------------------------------------------------------------------------------------


def penalised_pair(seed: int, share: float, **settings) -> FairProblem:
    """Two groups of unlike noise under a penalty, asked for a share of the plain fit's spread."""
    rng = np.random.default_rng(seed)
    n = 40
    X = rng.normal(size=(n, 3)) + (np.arange(n) % 2)[:, None] * rng.normal(size=3)
    noise = np.where(np.arange(n) % 2 == 0, 0.3, 1.5)
    slope = np.where(np.arange(n) % 2 == 0, -0.5, 1.0)
    y = slope * X[:, 0] + X[:, 1] + noise * rng.normal(size=n)
    problem = FairProblem(X, y, halves(n), **({"loss_mix": 0.5} | settings))
    losses = fairness_oracle.solve(problem).losses
    return replace(problem, asked=Asked(spread=share * float(np.ptp(losses))))


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("alpha", [0.01, 0.3, 3.0])
@pytest.mark.parametrize("share", [0.2, 0.95])
def test_an_equalised_fit_with_a_penalty_takes_the_first_level_that_is_enough(
    alpha, l1_ratio, share
):
    for seed in range(3):
        check(penalised_pair(seed, share, alpha=alpha, l1_ratio=l1_ratio))


# --------------------------------------------------------------------------------------------------
# Columns that are nearly equal
# --------------------------------------------------------------------------------------------------


def nearly_equal(off: float, container=np.asarray, n: int = 40, **settings) -> FairProblem:
    """Two columns that differ by ``off``, and a y that the difference explains."""
    rng = np.random.default_rng(3)
    x, d = rng.normal(size=(2, n))
    y = x + 2.0 * d + 0.2 * rng.normal(size=n)
    X = np.column_stack([x, x + off * d])
    if container is not np.asarray:
        X = X * (np.arange(n) % 3 > 0)[:, None]
    return FairProblem(container(X), y, halves(n), **({"loss_mix": 0.0} | settings))


@pytest.mark.parametrize("off", [1e-8, 1e-10, 1e-12, 1e-13, 1e-14])
@pytest.mark.parametrize("n", [40, 1000, 6000])
@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
def test_no_better_fit_than_claimed_exists_for_nearly_equal_columns(off, n, loss_mix):
    problem = nearly_equal(off, n=n, loss_mix=loss_mix)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = problem.fit()
    w = np.array([1.0 - 2.0 / off, 2.0 / off])[:, None]  # made y, as far as off is known
    reached = fairness_oracle.value(problem, w, np.zeros(1))
    moved, _ = fairness_oracle.rounding(problem, w.T, np.zeros(1))
    assert model.objective_ - model.dual_gap_ <= reached.objective(None) + moved.max()


@pytest.mark.parametrize("off", [1e-6, 1e-7, 1e-8])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array, sp.csc_array])
@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
def test_nearly_equal_columns_are_fitted_alike_sparse_and_dense(off, container, loss_mix):
    check(nearly_equal(off, container, loss_mix=loss_mix))


@pytest.mark.parametrize("off", [1e-6, 1e-7, 1e-8])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
def test_nearly_equal_columns_are_penalised_alike_sparse_and_dense(off, container, l1_ratio):
    check(nearly_equal(off, container, alpha=0.01, l1_ratio=l1_ratio, loss_mix=0.5))


@pytest.mark.parametrize("off", [1e-6, 1e-7, 1e-8])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("n_groups", [2, 3])
@pytest.mark.parametrize("parity", [PredictionParity, ResidualParity])
def test_parities_of_nearly_equal_columns_are_those_of_one_and_their_difference(
    off, container, loss_mix, n_groups, parity
):
    rng = np.random.default_rng(5)
    x, d, noise = rng.normal(size=(3, 60))
    groups = np.arange(60) % n_groups
    other = x + off * (d + groups)
    Z = rng.normal(size=(60, 3)) + rng.normal(size=(n_groups, 3))[groups]
    X, apart = (np.column_stack([Z, x, last]) for last in (other, (other - x) / off))
    y = x + d + Z.sum(axis=1) + 0.3 * noise
    model = PixelLossRegressor(loss_mix, scale=1.0, fairness=parity())
    objective = model.fit(container(X), y, sensitive_features=groups).objective_
    expected = model.fit(apart, y, sensitive_features=groups).objective_
    assert objective == pytest.approx(expected, rel=3e-6)


@pytest.mark.parametrize("loss", ["absolute_error", "squared_error"])
@pytest.mark.parametrize("off", [2.0**-24, 2.0**-31, 2.0**-37])
def test_an_equalised_fit_of_nearly_equal_columns_is_the_exact_plain_fit_where_that_is_enough(
    off, loss
):
    """Least squares, in exact fractions: the difference of two columns explains y."""
    rng = np.random.default_rng(4)
    groups = np.arange(30) % 3
    x, d, noise = rng.normal(size=(3, 30))
    other = x + off * d
    y = x + 2.0 * d + (0.3 + groups) * noise
    apart = FairProblem(np.column_stack([x, (other - x) / off]), y, groups, loss_mix=0.0)
    plain = fairness_oracle.solve(replace(apart, asked=Asked(spread_loss=loss)))
    asked = Asked(spread=1.01 * float(np.ptp(plain.level)), spread_loss=loss)
    problem = replace(apart, X=np.column_stack([x, other]), asked=asked)
    exact = oracles.solve_exact(*problem.outputs()).objective
    model = problem.fit()
    assert model.objective_ == pytest.approx(exact, rel=1e-7)
    largest = model.group_errors_["mae" if loss == "absolute_error" else "mse"].max()
    assert largest == pytest.approx(plain.level.max(), rel=1e-4)


def penalised_copies(off: float, share: float, loss: str | None, **settings) -> FairProblem:
    """A small difference of two columns explains y, at coefficients that the penalty rules out.

    It asks for a share of the plain fit's spread.
    """
    rng = np.random.default_rng(6)
    groups = np.arange(40) % 2
    X, d, noise = rng.normal(size=(40, 2)), rng.normal(size=40), rng.normal(size=40)
    y = X[:, 0] + X[:, 1] * (1 - 1.5 * groups) + d + (0.5 + groups) * noise
    X = np.column_stack([X, X[:, 0] + off * d])
    problem = FairProblem(X, y, groups, Asked(spread_loss=loss), loss_mix=0.5, **settings)
    spread = float(np.ptp(fairness_oracle.solve(problem).level))
    return replace(problem, asked=Asked(spread=share * spread, spread_loss=loss))


@pytest.mark.parametrize("off", [1e-7, 1e-9, 1e-11])
@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
@pytest.mark.parametrize("loss", [None, "absolute_error", "squared_error"])
def test_a_penalised_path_goes_on_where_nearly_equal_columns_put_its_end_out_of_reach(
    off, l1_ratio, loss
):
    check(penalised_copies(off, 0.3, loss, alpha=0.01, l1_ratio=l1_ratio))


@pytest.mark.parametrize("off", [1e-7, 1e-9, 1e-11])
@pytest.mark.parametrize("alpha", [0.01, 1.0])
@pytest.mark.parametrize("loss", [None, "squared_error"])
def test_a_penalised_path_that_ends_early_says_so_at_a_point_of_the_path(off, alpha, loss):
    problem = penalised_copies(off, 0.01, loss, alpha=alpha)
    with pytest.warns(ConvergenceWarning, match="left a spread of .* drop columns"):
        model = problem.fit()
    reached = fairness_oracle.value(problem, model.coef_[:, None], model.intercept_)
    there = fairness_oracle.Path(problem).at(float(reached.level.max()) * (1 + 1e-8))
    assert model.objective_ == pytest.approx(there.objective(None), rel=1e-5)
    assert np.ptp(reached.level) < 10 * problem.asked.spread  # a tenth of the plain fit's


@pytest.mark.parametrize("off", [2.0**-24, 2.0**-27, 2.0**-30])
@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
def test_a_tolerance_is_not_refused_that_the_difference_of_nearly_equal_columns_meets(
    off, loss_mix
):
    """Floats hold the difference exactly: both sets of columns have the same models."""
    rng = np.random.default_rng(7)
    groups, (x, d, noise) = np.arange(60) % 4, rng.normal(size=(3, 60))
    other = x + off * (groups + d)
    y = x + np.array([0.0, 2.0, 5.0, 4.0])[groups] + 0.3 * noise
    apart = FairProblem(np.column_stack([x, (other - x) / off]), y, groups, loss_mix=loss_mix)
    size = float(abs(y - y.mean()).mean())
    least = fairness_oracle.smallest_slack(replace(apart, asked=Asked(residual=0.0))) * size
    apart = replace(apart, asked=Asked(residual=1.05 * least))
    found = replace(apart, X=np.column_stack([x, other])).fit()
    assert found.objective_ == pytest.approx(fairness_oracle.solve(apart).objective(None), rel=1e-6)
    with pytest.raises(InfeasibleFairnessError):
        replace(apart, X=np.column_stack([x, other]), asked=Asked(residual=0.95 * least)).fit()


def test_an_equalised_fit_beside_columns_equal_to_1e_11_is_the_exact_plain_fit():
    problem = hard_problems.draw(1848, fairness=True).problem
    exact = sum(oracles.solve_exact(part).objective for part in problem.outputs())
    model = problem.fit()
    assert model.objective_ == pytest.approx(exact, rel=1e-7)
    assert np.ptp(model.group_errors_["mae"]) < problem.asked.spread


# --------------------------------------------------------------------------------------------------
# Nothing left to fit
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("constants", [[0], [1], [0, 2], [0, 1, 2]])
@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("penalty", [{}, {"alpha": 0.1}, {"alpha": 0.1, "l1_ratio": 1.0}])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_constant_outputs_among_others_are_fitted_by_themselves(
    constants, loss_mix, penalty, fit_intercept
):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3))
    Y = X @ rng.normal(size=(3, 3)) + rng.normal(size=(40, 3))
    Y[:, constants] = 0.1
    settings = {"loss_mix": loss_mix, "fit_intercept": fit_intercept, **penalty}
    check(FairProblem(X, Y, halves(40), **settings))


@pytest.mark.parametrize("constants", [[0], [0, 1]])
@pytest.mark.parametrize("asked", [Asked(worst=0.5), Asked(bound=3.0), Asked(prediction=0.1)])
@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
def test_constant_outputs_among_others_are_fitted_under_terms(constants, asked, loss_mix):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3))
    Y = X @ rng.normal(size=(3, 2)) + rng.normal(size=(40, 2))
    Y[:, constants] = 0.1
    check(FairProblem(X, Y, halves(40), asked, loss_mix=loss_mix))


# --------------------------------------------------------------------------------------------------
# Words
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("container", [sp.csr_array, sp.csr_matrix, sp.csc_array])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_read_only_sparse_data_with_duplicate_entries_are_their_sums(loss_mix, container, dtype):
    X, y = plain()
    X = np.round(X, 1).astype(dtype)
    major = X if container is not sp.csc_array else X.T
    n, k = major.shape
    parts = np.stack([major, np.ones_like(major), -np.ones_like(major)], axis=-1)
    data, indices = parts.ravel(), np.tile(np.repeat(np.arange(k), 3), n)
    sparse = container((data, indices, 3 * k * np.arange(n + 1)), shape=X.shape)
    for array in (sparse.data, sparse.indices, sparse.indptr, y):
        array.flags.writeable = False
    expected = PixelLossRegressor(loss_mix).fit(X, y)
    model = PixelLossRegressor(loss_mix).fit(sparse, y)
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-5)
    assert sparse.nnz == 6 * 50


def bounded_to(bound: float, loss_mix: float) -> FairProblem:
    """A bound on a group that can be fitted exactly."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3))
    y = X @ np.array([1.0, 2.0, 3.0])
    y[1::2] += rng.normal(size=20)
    return FairProblem(X, y, halves(40), Asked(bound={"a": bound}), loss_mix=loss_mix)


@pytest.mark.parametrize("bound", [1e-4, 1e-6, 1e-7])
@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
def test_a_very_small_bound_is_met_relative_to_itself(bound, loss_mix):
    check(bounded_to(bound, loss_mix))


@pytest.mark.parametrize(
    "asked", [Asked(worst=0.5), Asked(worst=1.0), Asked(bound=4.0), Asked(prediction=0.1)]
)
@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
def test_a_penalised_fit_with_a_term_does_not_interpolate_wide_data(asked, loss_mix):
    check(interpolable(asked=asked, loss_mix=loss_mix))


def test_a_worst_group_fit_of_wide_data_is_no_worse_than_lasso():
    problem = interpolable(asked=Asked(worst=0.5))
    lasso = Lasso(alpha=0.5, tol=1e-10).fit(problem.X, problem.y)
    value = fairness_oracle.value(problem, lasso.coef_[:, None], lasso.intercept_)
    assert problem.fit().objective_ <= value.objective(0.5)


@pytest.mark.parametrize("shape", [(40, 60), (30, 3), (12, 11)])
@pytest.mark.parametrize("asked", [Asked(worst=0.5), Asked(bound=4.0)])
@pytest.mark.parametrize("loss_mix", [0.0, 1.0])
def test_a_penalised_fit_with_a_term_does_not_interpolate_noiseless_y(shape, asked, loss_mix):
    check(interpolable(*shape, noise=0.0, asked=asked, loss_mix=loss_mix))


@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
def test_duplicate_columns_and_a_noiseless_y_leave_the_coefficients_finite(loss_mix):
    problem = interpolable(30, 3, noise=0.0, asked=Asked(worst=0.5), loss_mix=loss_mix)
    check(replace(problem, X=np.hstack([problem.X, problem.X])))


@USELESS
@pytest.mark.parametrize("unit", [1.0, 100.0])
def test_the_bounds_that_a_refusal_names_can_be_met_and_no_smaller_ones(other, unit):
    problem = beside(other, Asked(bound=0.3))
    problem = replace(problem, y=problem.y * unit)
    with pytest.raises(InfeasibleFairnessError) as error:
        problem.fit()
    named = float(str(error.value).split("can be met is ")[1].split(":")[0])
    assert named == pytest.approx(fairness_oracle.smallest_factor(problem), rel=1e-4)


@USELESS
@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
def test_a_bound_out_of_reach_is_refused_beside_a_useless_column(other, loss_mix):
    check(beside(other, Asked(bound=0.3), loss_mix=loss_mix), "refused")


@pytest.mark.parametrize("level", [0.0, 0.1, 7.0, 1e6 + 0.1])
@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
def test_a_constant_output_meets_residual_parity(level, loss_mix):
    X = np.random.default_rng(0).normal(size=(30, 3))
    model = PixelLossRegressor(loss_mix, fairness=ResidualParity())
    model.fit(X, np.full(30, level), sensitive_features=halves(30))
    np.testing.assert_allclose(model.coef_, 0, atol=1e-12 * max(level, 1.0))
    assert model.intercept_ == pytest.approx(level)


@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize("asked", [Asked(residual=0.02), Asked(prediction=0.02)])
def test_a_tolerance_counts_for_constant_outputs_without_an_intercept(loss_mix, n_outputs, asked):
    X = np.random.default_rng(0).normal(size=(30, 3)) + np.arange(30)[:, None] % 2
    Y = np.full((30, n_outputs), 0.1)
    check(FairProblem(X, Y, halves(30), asked, loss_mix=loss_mix, fit_intercept=False))


@pytest.mark.parametrize("level", [0.0, 0.1, 1e6 + 0.1])
def test_a_constant_output_beside_others_meets_residual_parity(level):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 3))
    Y = np.column_stack([X[:, 0] + rng.normal(size=30), np.full(30, level)])
    check(FairProblem(X, Y, halves(30), Asked(residual=0.0)))


@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
@pytest.mark.parametrize("alpha", [0.0, 0.1])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_a_parity_that_takes_the_only_column_leaves_a_coefficient_of_0(
    loss_mix, l1_ratio, alpha, fit_intercept
):
    x, y = np.arange(12.0)[:, None], np.arange(12.0) ** 2
    settings = {"alpha": alpha, "l1_ratio": l1_ratio, "fit_intercept": fit_intercept}
    model = PixelLossRegressor(loss_mix, scale=1.0, fairness=PredictionParity(), **settings)
    model.fit(x, y, sensitive_features=halves(12))
    np.testing.assert_allclose(model.coef_, 0, atol=1e-12)


@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("asked", [Asked(worst=0.5), Asked(bound=100.0)])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_parities_that_take_all_columns_leave_a_constant(loss_mix, asked, fit_intercept):
    rng = np.random.default_rng(2)
    X, group = rng.normal(size=(30, 2)), np.arange(30) % 3
    y = rng.normal(size=30)
    asked = replace(asked, prediction=0.0)
    check(FairProblem(X, y, group, asked, loss_mix=loss_mix, fit_intercept=fit_intercept))


@pytest.mark.parametrize("seed", [113, 132, 162, 241])
def test_losses_are_compared_where_a_parity_has_taken_every_direction(seed):
    rng = np.random.default_rng(seed)
    n_groups, n_outputs = int(rng.integers(2, 6)), int(rng.integers(1, 4))
    groups, X = np.arange(40) % n_groups, rng.normal(size=(40, 1))
    y = rng.normal(size=(40, n_outputs)) * (1 + groups)[:, None] + rng.choice([0, 3.0])
    terms = [PredictionParity(), EqualizedLoss(0.01, loss="squared_error")]
    model = PixelLossRegressor(0.0, fit_intercept=False, fairness=terms)
    with pytest.warns(UnmetFairnessWarning):
        model.fit(X, y, sensitive_features=groups)
    np.testing.assert_allclose(model.coef_, 0.0, atol=1e-15)
    losses = [(y[groups == g] ** 2).mean() for g in range(n_groups)]
    np.testing.assert_allclose(model.group_errors_["mse"], losses, rtol=1e-12)


def test_a_plain_fit_at_the_smallest_level_keeps_its_penalty():
    X = np.array([0.0, 0, 0, 0, -1, 1, -1, 1])[:, None]
    y, groups = np.array([0.0, 10, 0, 10, 3, 7, 3, 7]), np.array(list("aaaabbbb"))
    problem = FairProblem(X, y, groups, Asked(spread=0.1), loss_mix=1.0, alpha=100.0, l1_ratio=1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = problem.fit()
    assert model.coef_[0] == pytest.approx(0.0, abs=1e-9)
    reached = fairness_oracle.value(problem, model.coef_[:, None], model.intercept_)
    assert model.objective_ == pytest.approx(reached.objective(None), rel=1e-6)


@pytest.mark.parametrize(
    ("seed", "l1_ratio", "alpha"),
    [(1, 1.0, 3.0), (4, 1.0, 3.0), (5, 0.0, 10.0), (15, 1.0, 10.0), (23, 1.0, 3.0), (26, 0.0, 3.0)],
)
@pytest.mark.parametrize("tolerance", [1e-6, 1e-4])
def test_an_equalised_fit_takes_the_largest_level_where_losses_cross_twice(
    seed, l1_ratio, alpha, tolerance
):
    rng, n = np.random.default_rng(seed), 24
    X = rng.normal(size=(n, 2)) * [1, 3]
    X[1::2] += rng.normal(size=2)
    second = np.arange(n) % 2 == 1
    y = np.where(second, 1.0, -0.5) * X[:, 0] + X[:, 1] + 2 * second
    y += np.where(second, 1.5, 0.3) * rng.normal(size=n)
    settings = {"loss_mix": 0.0, "alpha": alpha, "l1_ratio": l1_ratio}
    check(FairProblem(X, y, halves(n), Asked(spread=tolerance), **settings))


@pytest.mark.parametrize("seed", [1083, 1867])
def test_an_equalised_fit_goes_on_where_a_far_bound_has_been_left_out(seed):
    """Weights over 24 orders of magnitude, by which the losses of groups are far apart."""
    found = hard_problems.run_seed(seed, True)
    assert found.status in hard_problems.ACCEPTABLE, str(found)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_multipliers_of_an_equalised_fit_are_those_of_its_level(share):
    for seed in range(3):
        check(penalised_pair(seed, share))


@pytest.mark.parametrize("factor", [1.5, 3.0, 10.0])
def test_a_slack_bound_has_no_multiplier_beside_an_equalised_loss(factor):
    problem = penalised_pair(0, 0.5)
    largest = float(fairness_oracle.solve(replace(problem, asked=Asked())).losses.max())
    asked = replace(problem.asked, bound=factor * largest)
    model = replace(problem, asked=asked).fit()
    np.testing.assert_allclose(model.multipliers_["BoundedGroupLoss"], 0, atol=1e-9)


@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("asked", [None, WorstGroupLoss(0.5), PredictionParity(0.1)])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_a_penalty_that_kills_all_columns_leaves_zeros(loss_mix, asked, fit_intercept):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(6000, 3)), rng.normal(size=6000)
    settings = {"alpha": 100.0, "l1_ratio": 1.0, "fit_intercept": fit_intercept}
    model = PixelLossRegressor(loss_mix, scale=1.0, fairness=asked, **settings)
    model.fit(X, y, sensitive_features=halves(6000))
    np.testing.assert_array_equal(model.coef_, 0)


@pytest.mark.parametrize("loss_mix", [0.25, 0.5, 0.75])
def test_a_warning_that_a_fit_did_not_converge_states_the_violation_too(loss_mix):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 5))
    y, group = X @ rng.normal(size=5) + rng.normal(size=200), halves(200)
    y[::2] += 3 * X[::2, 0]
    plain_fit = PixelLossRegressor(loss_mix, scale=1.0).fit(X, y, sensitive_features=group)
    bound = {"a": 0.8 * plain_fit.group_losses_[0]}
    model = PixelLossRegressor(
        loss_mix, scale=1.0, max_iter=1, fairness=BoundedGroupLoss(bound, loss=None)
    )
    with pytest.warns(ConvergenceWarning) as caught:
        model.fit(X, y, sensitive_features=group)
    assert model.infeasibility_ > 1e-3
    assert f"{model.infeasibility_:.3g}" in str(caught[0].message)


@pytest.mark.parametrize("needed", [(1.0, 5.0), (5.0, 1.0), (2.0, 3.0)])
def test_a_refusal_of_a_parity_names_what_every_output_needs(needed):
    x, group = np.tile([0.0, 1.0], 10)[:, None], np.repeat(["a", "b"], 10)
    Y = (group == "b")[:, None] * np.array(needed)
    with pytest.raises(InfeasibleFairnessError) as error:
        PixelLossRegressor(0.0, scale=1.0, fairness=ResidualParity(0.1)).fit(
            x, Y, sensitive_features=group
        )
    larger = (f"{value / 2 - 0.1:g}" for value in needed)  # the two means are this far from theirs
    assert all(number in str(error.value) for number in larger), error.value


@pytest.mark.parametrize("bound", [{"c": 1.0}, {"a": 50.0, "c": 1.0}, {"b": 50.0, "c": 0.0}])
def test_a_bound_on_a_group_of_weight_0_names_the_weights(bound):
    X, y = plain()
    group, weight = np.array(["a", "b", "c"])[np.arange(50) % 3], np.ones(50)
    weight[group == "c"] = 0.0
    model = PixelLossRegressor(0.0, scale=1.0, fairness=BoundedGroupLoss(bound))
    with pytest.raises(ValueError, match="weight"):
        model.fit(X, y, sample_weight=weight, sensitive_features=group)


@pytest.mark.parametrize("bound", [1e-4, 1e-6, 1e-7])
@pytest.mark.parametrize("loss_mix", [0.5, 1.0])
def test_a_violation_of_a_very_small_bound_is_relative_to_it(bound, loss_mix):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = bounded_to(bound, loss_mix).fit(max_iter=1)
    excess = model.group_losses_[0] / bound - 1
    assert excess > 1e-3
    assert model.infeasibility_ == pytest.approx(excess, rel=1e-6)


@pytest.mark.parametrize("tolerance", [1e-300, 1e-16, 1e-12])
@pytest.mark.parametrize("asked", [Asked(worst=0.5), Asked(spread=0.3), Asked(bound=3.0)])
@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
def test_a_parity_to_the_last_digit_is_one_to_none(tolerance, asked, loss_mix):
    problem = replace(penalised_pair(0, 0.5), asked=asked, loss_mix=loss_mix, alpha=0.01)
    exact = replace(problem, asked=replace(asked, prediction=0.0)).fit()
    found = replace(problem, asked=replace(asked, prediction=tolerance)).fit()
    np.testing.assert_array_equal(found.coef_, exact.coef_)


@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("asked", [Asked(worst=0.5), Asked(worst=1.0), Asked(bound=2.5)])
def test_more_groups_than_coefficients_are_held_to_their_terms(asked, loss_mix):
    rng = np.random.default_rng(0)
    X, groups = rng.normal(size=(600, 3)), np.arange(600) % 150
    y = X @ np.array([1.0, 2.0, -1.0]) + rng.normal(size=600)
    problem = FairProblem(X, y, groups, asked, loss_mix=loss_mix)
    if asked.bound is not None:
        factor = fairness_oracle.smallest_factor(problem)
        problem = replace(problem, asked=Asked(bound=asked.bound * factor * 1.05))
    check(problem)


@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("term", [None, WorstGroupLoss(), ResidualParity()])
def test_a_difference_of_columns_that_is_rounding_is_not_used(loss_mix, term):
    rng = np.random.default_rng(0)
    x, d, noise = rng.normal(3.0, size=60), rng.integers(-3, 4, 60), rng.normal(size=60)
    y, groups = d + 0.01 * noise, np.arange(60) % 2
    model = PixelLossRegressor(loss_mix, fairness=term)
    told = {"sensitive_features": groups} if term else {}
    both = model.fit(np.column_stack([x, x + np.spacing(x) * d]), y, **told)
    found, gap, coef = both.objective_, both.dual_gap_, both.coef_
    assert np.max(gap) <= 1e-8 * np.sum(found)
    assert np.abs(coef).max() < 1.0
    assert found == pytest.approx(model.fit(x[:, None], y, **told).objective_, rel=1e-9)
