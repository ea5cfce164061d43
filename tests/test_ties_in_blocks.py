"""Ties under fairness terms on rows in blocks: the tie rule of the fit in memory is the oracle."""

from __future__ import annotations

import numpy as np
import pytest

from skfairloss import PixelLossRegressor
from skfairloss._solvers.ties import CoupledFace
from skfairloss.fairness import BoundedGroupLoss, PredictionParity, ResidualParity, WorstGroupLoss
from tests.test_rows_in_blocks import both, in_blocks, passes

__all__ = ["passes"]


def levels(rng, n):
    """Return dummies, two levels and groups: any model between the levels is optimal in some."""
    X = np.eye(4)[rng.integers(0, 4, n)][:, 1:]
    y = np.where(np.arange(n) % 2, 1.0, 0.0)
    return X, y, rng.integers(0, 3, n)


def determined(rng, n):
    """Return columns that parity leaves nothing of: a median of an even number of rows is left."""
    groups = rng.integers(0, 4, n)
    X = rng.normal(size=(n, 3))
    return X, X.sum(axis=1) + groups + (1 + groups) * rng.standard_t(3, n), groups


def constant(rng, n):
    """Return a constant column: the level of all is between the medians of two halves."""
    groups = np.arange(n) % 3
    return np.zeros((n, 1)), np.where(np.arange(n) < n // 2, 0.0, 1.0), groups


CASES = {
    "levels, parity": (levels, PredictionParity(0.2)),
    "levels, residual parity": (levels, ResidualParity(0.1)),
    "levels, bounded": (levels, BoundedGroupLoss(0.51)),
    "levels, worst": (levels, WorstGroupLoss(0.5, "absolute_error")),
    "determined, parity": (determined, PredictionParity()),
    "determined, residual parity": (determined, ResidualParity(0.02)),
    "constant, bounded": (constant, BoundedGroupLoss(0.51)),
    "constant, half": (constant, WorstGroupLoss(0.5)),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("weighted", [False, True])
def test_ties_under_a_term_are_settled_by_the_rule(case, weighted, passes):
    draw, term = CASES[case]
    X, y, groups = draw(np.random.default_rng(0), 6000)
    weights = np.where(np.arange(6000) // 2 % 2, 1.0, 2.0) if weighted else None
    found, expected = both(X, y, weights, groups, loss_mix=1.0, fairness=term)
    np.testing.assert_allclose(found.predict(X), expected.predict(X), rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.objective_, expected.objective_, rtol=1e-10)
    assert found.infeasibility_ <= 1e-8
    assert len(passes) <= 8 + 1  # of these one over y alone


def test_ties_of_several_outputs_under_a_term_are_settled_by_the_rule():
    X, y, groups = levels(np.random.default_rng(1), 6000)
    outputs = np.column_stack([y, y[::-1]])
    given = X, outputs, None, groups
    found, expected = both(*given, loss_mix=1.0, fairness=PredictionParity(0.2))
    np.testing.assert_allclose(found.predict(X), expected.predict(X), rtol=0, atol=1e-9)


def test_a_tie_that_passes_do_not_settle_is_named(monkeypatch):
    monkeypatch.setattr(CoupledFace, "curved", True)
    X, y, groups = constant(None, 6000)
    model = PixelLossRegressor(1.0, scale=1.0, fairness=BoundedGroupLoss(0.51))
    with pytest.warns(UserWarning, match="not unique, and did not resolve the tie"):
        model.fit(in_blocks(X, y, sensitive_features=groups))
