"""From the optimum under one bound to that under the next, by the equations alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from skfairloss import PixelLossRegressor
from skfairloss._core.constraints import MIX, GroupBounds, GroupCriterion, LinearRows
from skfairloss._core.losses import MixedLoss
from skfairloss._core.problem import Problem
from skfairloss._core.solution import Start
from skfairloss._design.dense import DenseDesign
from skfairloss._solvers import solve
from skfairloss._solvers.coupled import Setting
from skfairloss._solvers.crossover import continued
from skfairloss._solvers.interior_point import interior_point
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
    criterion = GroupCriterion(code, shares, 0.0, (GroupBounds(MIX, bounds),))
    return replace(free, criterion=criterion)


def at_level(full, factor):
    """The bounded problem in the form of the solvers, its bounds times a factor."""
    bounds = GroupBounds(MIX, factor * full.criterion.bounds[0].values)
    criterion = replace(full.criterion, bounds=(bounds,))
    return Setting(full).formulated(replace(full, criterion=criterion)).kq


def solved(gq):
    return interior_point(gq, tol=1e-12, floor=0.0, max_iter=200)


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
    found, direct = continued(gq, before, 1e-10, 0.0, None), solved(gq)
    assert found is not None
    assert found.n_iter == 1
    assert found.gap <= 1e-10 * direct.objective
    assert found.objective == pytest.approx(direct.objective, rel=1e-10)
    np.testing.assert_allclose(found.delta, direct.delta, rtol=1e-6, atol=1e-6 * abs(gq.unit))


@pytest.mark.parametrize("loss_mix", [0.4, 1.0])
def test_says_nothing_where_other_rows_are_at_their_kink(loss_mix):
    full = problem(loss_mix)
    before = solved(at_level(full, 1.0))
    assert continued(at_level(full, 2.0), before, 1e-10, 0.0, None) is None


@pytest.mark.parametrize("loss_mix", [0.0, 0.4, 1.0])
def test_a_solution_comes_back_as_the_start_of_the_same_problem(loss_mix):
    full = problem(loss_mix, shift=500.0, unit=30.0)
    rows, tolerance = np.eye(4)[:1], 0.98 * abs(solve(full).coef[0])  # below what is wanted
    linear = LinearRows(rows, np.zeros((1, 1)), tolerance, ("a",), np.ones(1))
    full = replace(full, linear=(linear,))
    found = solve(full)
    assert (found.multipliers.linear[0] != 0).any()
    coupled = Setting(full).formulated(full)
    near = coupled.near(Start(found.coef, found.intercept, None, found.multipliers))
    direct = solved(coupled.kq)
    np.testing.assert_allclose(
        near.delta, direct.delta, rtol=0, atol=1e-6 * abs(direct.delta).max()
    )
    size = direct.multipliers.max()
    np.testing.assert_allclose(near.multipliers, direct.multipliers, rtol=0, atol=1e-4 * size)


def test_multipliers_of_other_constraints_are_no_start():
    full = problem(0.4)
    found = solve(full)
    start = Start(found.coef, found.intercept, None, found.multipliers)
    free = replace(full, criterion=GroupCriterion(full.groups.codes, full.groups.shares, 0.5))
    assert Setting(free).formulated(free).near(start) is None
    assert Setting(full).formulated(full).near(replace(start, multipliers=None)) is None
