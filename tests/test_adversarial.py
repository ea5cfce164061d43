"""The estimator on random adversarial problems, and the runner on estimators known to be bad."""

from __future__ import annotations

from collections import Counter
from functools import cache, partial

import numpy as np
import pytest

from skfairloss import PixelLossRegressor
from tests.adversarial import (
    ACCEPTABLE,
    CORNERS,
    OracleRegressor,
    Outcome,
    draw,
    report,
    run_all,
)


@cache
def outcomes(start: int, n: int) -> list[Outcome]:
    """Outcomes of the estimator on a range of seeds, computed once."""
    return run_all(range(start, start + n), PixelLossRegressor)


def check_certified_or_declared(found: list[Outcome]) -> None:
    """Fail with the seeds of all cases that went wrong silently, or of too many declared ones."""
    bad = [outcome for outcome in found if outcome.status not in ACCEPTABLE]
    assert not bad, "\n".join(map(str, bad))
    declared = [outcome for outcome in found if outcome.status == "declared"]
    assert len(declared) <= len(found) / 100, "\n".join(map(str, declared))


def test_one_hundred_problems_end_with_a_certificate_or_a_declared_warning():
    check_certified_or_declared(outcomes(0, 100))


@pytest.mark.slow
def test_one_thousand_problems_end_with_a_certificate_or_a_declared_warning():
    found = outcomes(1000, 1000)
    print(report(found))
    check_certified_or_declared(found)


def test_nine_in_ten_certified_problems_were_checked_by_an_oracle_that_proved_itself():
    status = Counter(outcome.status for outcome in outcomes(0, 100))
    assert status["certified"] >= 9 * status["unchecked"]


def test_every_corner_is_in_three_percent_and_two_fifths_of_the_problems_are_hard():
    cases = [draw(seed) for seed in range(1000)]
    share = Counter(corner for case in cases for corner in case.corners)
    assert set(share) == set(CORNERS)
    assert min(share.values()) >= 30, share
    assert sum(case.hard for case in cases) >= 400


def test_a_seed_draws_the_same_problem_twice():
    one, two = draw(5), draw(5)
    assert one.corners == two.corners
    np.testing.assert_array_equal(one.problem.y, two.problem.y)


@pytest.mark.parametrize(
    ("fault", "statuses"),
    [
        ({"gap": 0.0}, ("certified", "unchecked")),
        ({"spoil": 0.5}, ("wrong",)),
        ({"spoil": 0.5, "gap": 0.0}, ("false bound",)),
        ({"claim": 0.5, "gap": 0.0}, ("false objective",)),
        ({"gap": 1e30}, ("gap open",)),
        ({"gap": np.nan}, ("not finite",)),
    ],
)
def test_the_runner_tells_good_from_bad_estimators(fault, statuses):
    found = run_all(range(2000, 2030), partial(OracleRegressor, **fault))
    share = sum(outcome.status in statuses for outcome in found) / len(found)
    # A coefficient of zero cannot be spoiled, nor an objective of zero be claimed to be less.
    assert share >= (0.8 if "spoil" in fault or "claim" in fault else 1.0), report(found)


def test_the_runner_reports_an_exception_and_a_stray_warning_with_the_seed():
    class Broken:
        def __init__(self, **params):
            pass

        def fit(self, X, y, sample_weight):
            np.log(np.zeros(1) * (1 if np.ndim(y) == 2 else -np.inf))

    found = run_all(range(3), Broken)
    assert [outcome.status for outcome in found] == ["raised"] * 3
    assert "RuntimeWarning" in found[0].detail
    assert str(found[0]).startswith("seed 0: raised")
