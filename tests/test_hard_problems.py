"""The estimator on fixed seeds of hard problems, and their judges on answers known or spoiled."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from tests import oracles
from tests.fairness_oracle import Asked, FairProblem
from tests.hard_kinds import KINDS, PLAIN_ONLY
from tests.hard_problems import (
    ACCEPTABLE,
    OWN_LOSS_TERMS,
    Outcome,
    OutOfTimeError,
    broken_law,
    count,
    draw,
    false_attribute,
    report,
    run_all,
    time_limit,
)
from tests.problems import RegressionProblem

PLAIN = range(60)
FAIRNESS = range(48)


def check(found: list[Outcome]) -> None:
    """Fail with the seeds that are wrong, false or raised, or if ordinary problems are declared."""
    bad = [outcome for outcome in found if outcome.status not in ACCEPTABLE]
    assert not bad, "\n".join(map(str, bad))
    assert count(found)["ordinary"]["declared"] == 0, report(found)
    assert count(found)["all"]["certified"] >= 0.6 * len(found), report(found)


def test_sixty_plain_problems_are_right_refused_or_declared():
    check(run_all(PLAIN, fairness=False))


def test_forty_problems_with_terms_are_right_refused_or_declared():
    check(run_all(FAIRNESS, fairness=True))


@pytest.mark.parametrize("fairness", [False, True])
def test_every_kind_is_drawn(fairness):
    kinds = {draw(seed, fairness).kind for seed in range(60 if not fairness else 48)}
    assert len(kinds) >= 12
    assert kinds <= {*KINDS, OWN_LOSS_TERMS} - (set(PLAIN_ONLY) if fairness else set())


def test_a_seed_draws_the_same_problem_twice():
    one, two = draw(5, True), draw(5, True)
    assert (one.kind, one.terms, one.problem.asked) == (two.kind, two.terms, two.problem.asked)
    np.testing.assert_array_equal(one.problem.y, two.problem.y)


@pytest.mark.parametrize(
    ("quantile", "alpha", "optimum"),
    [
        (0.5, 0.0, Fraction(3)),  # the half-way of 2 and 11 costs 4.5 + 4.5 in three rows
        (0.5, 2.0, Fraction(10, 3)),  # the median 2 everywhere costs 1 + 0 + 9 in three rows
    ],
)
def test_the_exact_judge_knows_the_absolute_loss_of_three_rows(quantile, alpha, optimum):
    problem = RegressionProblem(
        np.array([[0.0], [1.0], [1.0]]),
        np.array([1.0, 2.0, 11.0]),
        loss_mix=1.0,
        quantile=quantile,
        alpha=alpha,
        l1_ratio=1.0,
    )
    assert oracles.solve_exact(problem).objective == float(optimum)


def test_the_exact_judge_sees_a_difference_that_floats_lose():
    x = np.array([1.0, 2.0, 3.0, 4.0])
    X = np.column_stack([x, np.where([True, False, False, True], np.nextafter(x, 9.0), x)])
    y = x + np.array([1.0, 0.0, 0.0, 1.0])
    problem = RegressionProblem(X, y, loss_mix=0.0, fit_intercept=False)
    parts = replace(problem, X=np.column_stack([x, X[:, 1] - x]))  # the same span, exactly
    exact, other = (oracles.solve_exact(each).objective for each in (problem, parts))
    assert exact == pytest.approx(other, rel=1e-12)
    assert exact < 0.5 * oracles.solve_exact(replace(problem, X=X[:, :1])).objective


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("scale_", 2.0),
        ("group_losses_", 1.001),
        ("squared_share_", 1.001),
        ("group_weights_", 1.5),
        ("infeasibility_", None),
    ],
)
def test_the_judge_of_attributes_tells_right_from_wrong(name, fault):
    rng = np.random.default_rng(0)
    X, group = rng.normal(size=(40, 2)), np.arange(40) % 2
    y = X[:, 0] + (1 + group) * rng.normal(size=40)
    problem = FairProblem(X, y, group, Asked(worst=0.5))
    model = problem.fit()
    assert false_attribute(problem, model) == ""
    setattr(model, name, 1e-3 if fault is None else getattr(model, name) * fault)
    assert false_attribute(problem, model) != ""


def test_the_judge_of_laws_tells_an_objective_of_another_unit():
    problem = draw(0, False).problem
    model = problem.fit()
    assert broken_law(problem, model) == ""
    model.objective_ = np.asarray(model.objective_) * 1.01
    assert "away" in broken_law(problem, model)


@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_the_judge_in_orthonormal_columns_knows_the_optimum_of_nearly_equal_ones(
    loss_mix, fit_intercept
):
    rng = np.random.default_rng(0)
    x, d, noise = rng.normal(size=(3, 30))
    other = x * (1 + 1e-9 * d)
    apart = np.column_stack([x, (other - x) * 1e9])
    settings = {"loss_mix": loss_mix, "fit_intercept": fit_intercept}
    problem = RegressionProblem(np.column_stack([x, other]), x + d + noise, **settings)
    expected = oracles.solve(replace(problem, X=apart))
    found = oracles.solve_orthogonal(problem)
    assert found.objective == pytest.approx(expected.objective, rel=1e-9)
    assert found.lower_bound == pytest.approx(expected.objective, rel=1e-9)
    at = oracles.objective(problem, found.coef, found.intercept)
    assert at == pytest.approx(expected.objective, rel=1e-5)  # coefficients of 1e9 are rounded


def test_the_judge_in_orthonormal_columns_leaves_out_what_the_others_determine():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 2)), rng.normal(size=30)
    problem = RegressionProblem(X, y, loss_mix=0.5)
    twice = oracles.solve_orthogonal(replace(problem, X=np.hstack([X, np.zeros((30, 1)), X])))
    assert twice.objective == pytest.approx(oracles.solve(problem).objective, rel=1e-9)
    np.testing.assert_array_equal(twice.coef[2:], 0.0)


def for_ever() -> None:
    while True:
        pass


def test_a_time_limit_stops_what_takes_longer_and_nothing_after_it():
    with pytest.raises(OutOfTimeError, match=r"more than 0\.2 s"), time_limit(0.2):
        for_ever()
    with time_limit(1e-3):
        pass
    sum(range(10**6))  # the limit is gone
