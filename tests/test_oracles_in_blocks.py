"""Random hard problems over blocks, with samples so small that passes decide, against oracles."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy.sparse import issparse

from skfairloss import PixelLossRegressor
from skfairloss._estimator import source_fitting
from skfairloss._rows import draws
from tests import adversarial, fairness_oracle
from tests.test_rows_in_blocks import in_blocks


class BlockRegressor(PixelLossRegressor):
    """The estimator, given its rows in blocks."""

    def fit(self, X, y, *, sample_weight=None, sensitive_features=None):
        X = X.toarray() if issparse(X) else np.asarray(X)
        if sample_weight is not None:
            sample_weight = np.broadcast_to(sample_weight, len(X))
        return super().fit(in_blocks(X, np.asarray(y), sample_weight, sensitive_features))


@pytest.fixture
def by_passes(monkeypatch):
    """Cut samples down; return how many fits were solved by passes."""
    solved, solve_rows = [], source_fitting.solve_rows

    def counted(*arguments):
        solved.append(arguments)
        return solve_rows(*arguments)

    monkeypatch.setattr(draws, "size_of", lambda n, p: 2 * (p + 1))
    monkeypatch.setattr(draws, "PER_GROUP", 8)
    monkeypatch.setattr(source_fitting, "solve_rows", counted)
    return solved


def test_adversarial_problems_are_certified_or_declared(by_passes):
    found = adversarial.run_all(range(60), BlockRegressor)
    bad = [outcome for outcome in found if outcome.status not in adversarial.ACCEPTABLE]
    assert not bad, "\n".join(map(str, bad))
    status = Counter(outcome.status for outcome in found)
    assert status["certified"] >= 55
    assert len(by_passes) >= 20


@pytest.mark.parametrize("draw", [fairness_oracle.draw, fairness_oracle.draw_own])
def test_fairness_problems_agree_with_the_oracle_or_are_declared(draw, by_passes, monkeypatch):
    monkeypatch.setattr(fairness_oracle, "PixelLossRegressor", BlockRegressor)
    cases = [case for case in map(draw, range(40)) if case.problem.asked.spread is None]
    found = list(map(fairness_oracle.run, cases))
    bad = [outcome for outcome in found if outcome.status not in fairness_oracle.ACCEPTABLE]
    assert not bad, "\n".join(map(str, bad))
    status = Counter(outcome.status for outcome in found)
    assert status["certified"] >= 0.5 * len(found)
    assert len(by_passes) >= 20
