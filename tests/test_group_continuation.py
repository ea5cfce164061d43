"""From the optimum under one bound to that under the next, by the equations alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from skfairloss import PixelLossRegressor
from skfairloss._core.constraints import GroupCriterion
from skfairloss._core.losses import MixedLoss
from skfairloss._core.problem import Problem
from skfairloss._design.dense import DenseDesign
from skfairloss._solvers.group_continuation import continued
from skfairloss._solvers.group_formulation import Setting
from skfairloss._solvers.group_interior_point import group_interior_point
from skfairloss.fairness import WorstGroupLoss

N = 400


def problem(loss_mix, shift=0.0, unit=1.0, weighted=False):
    """Three groups with a bound each, all of which can be met."""
    rng = np.random.default_rng(3)
    code = rng.choice(3, N, p=[0.6, 0.3, 0.1])
    X = rng.normal(size=(N, 4))
    y = X[np.arange(N), code] + np.array([1.0, 0.7, 1.5])[code] * rng.standard_t(3, N)
    y = (shift + unit * y)[:, None]
    weight = rng.uniform(0.5, 2.0, N) if weighted else np.ones(N)
    weight /= weight.sum()
    shares = np.bincount(code, weight)
    loss = MixedLoss(loss_mix, 0.5)
    free = Problem(DenseDesign(X), y / unit, weight, loss)
    model = PixelLossRegressor(loss_mix, scale=unit, fairness=WorstGroupLoss())
    model.fit(X, y[:, 0], sample_weight=weight, sensitive_features=code)
    bounds = np.full(3, 1.02 * model.group_losses_.max())
    return replace(free, criterion=GroupCriterion(code, shares, 0.0, bounds))


def at_level(full, factor):
    """The bounded problem in the form of the solvers, its bounds times a factor."""
    criterion = replace(full.criterion, bounds=factor * full.criterion.bounds)
    return Setting(full).grouped(replace(full, criterion=criterion)).gq


def solved(gq):
    return group_interior_point(gq, tol=1e-12, floor=0.0, max_iter=200)


@pytest.mark.parametrize("loss_mix", [0.0, 0.4, 1.0])
@pytest.mark.parametrize(
    "kind",
    [{}, {"shift": 500.0, "unit": 30.0}, {"weighted": True}],
    ids=["plain", "moved", "weighted"],
)
def test_continues_to_a_near_bound(loss_mix, kind):
    full = problem(loss_mix, **kind)
    before, gq = solved(at_level(full, 1.0)), at_level(full, 1.0 + 1e-9)
    assert (before.multipliers > 1e-6).any()  # a bound that holds nothing would leave nothing to do
    found, direct = continued(gq, before, 1e-10, 0.0), solved(gq)
    assert found is not None
    assert found.n_iter == 1
    assert found.gap <= 1e-10 * direct.objective
    assert found.objective == pytest.approx(direct.objective, rel=1e-10)
    np.testing.assert_allclose(found.delta, direct.delta, rtol=1e-6, atol=1e-6 * abs(gq.size))


@pytest.mark.parametrize("loss_mix", [0.4, 1.0])
def test_says_nothing_where_other_rows_are_at_their_kink(loss_mix):
    full = problem(loss_mix)
    before = solved(at_level(full, 1.0))
    assert continued(at_level(full, 2.0), before, 1e-10, 0.0) is None
