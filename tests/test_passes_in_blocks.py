"""Searches by passes: their number on hard data, and where they end when iterations run out."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from skfairloss import PixelLossRegressor
from skfairloss._rows import draws
from skfairloss._rows.kernels import Smooth
from skfairloss._solvers import row_search, sign_fixing
from skfairloss.fairness import BoundedGroupLoss, PredictionParity, WorstGroupLoss
from tests.test_rows_in_blocks import both, in_blocks, passes

__all__ = ["passes"]


def independent(rng, n, p):
    """Return targets on few levels that no feature tells: a vertex with a sixth of the rows."""
    X = rng.integers(-3, 4, (n, p)).astype(float)
    y = rng.normal(size=(n, p)).sum(axis=1) + rng.standard_t(3, n)
    return X, y.round(), rng.integers(1, 4, n).astype(float)


def two_levels(rng, n, p):
    """Return dummies and two levels: every second row is at 0 at any optimum."""
    X = np.eye(p)[rng.integers(0, p, n)][:, 1:]
    return X, rng.integers(0, 2, n).astype(float), None


def dummies(rng, n, p):
    """Return all dummies, which depend on the intercept, and rounded targets, sorted by level."""
    y = np.repeat([0.0, 1.0, 5.0], n // 3 + 1)[:n] + rng.standard_t(3, n).round()
    return np.eye(p)[rng.integers(0, p, n)], y, None


@pytest.mark.parametrize("kind", [independent, two_levels, dummies])
@pytest.mark.parametrize("loss_mix", [0.5, 1.0])
@pytest.mark.parametrize("size", [(6000, 3), (40_000, 5)], ids=str)
@pytest.mark.parametrize("seed", [0, 1])
def test_residuals_piled_up_at_0_take_at_most_eight_passes(kind, loss_mix, size, seed, passes):
    X, y, weights = kind(np.random.default_rng(seed), *size)
    found, expected = both(X, y, weights, loss_mix=loss_mix)
    np.testing.assert_allclose(found.objective_, expected.objective_, rtol=1e-11)
    assert found.dual_gap_ <= 1e-8 * found.objective_
    assert len(passes) <= 8


def grouped(n=6000, p=3):
    rng = np.random.default_rng(5)
    groups = rng.choice(["a", "b", "c"], n)
    X = rng.normal(size=(n, p)) + (groups == "b")[:, None]
    noise = (1.0 + (groups == "c")) * rng.standard_t(3, n)
    return X, X @ np.ones(p) + 0.5 * (groups == "a") + noise, groups


TERMS = {
    "none": None,
    "worst": WorstGroupLoss(),
    "bounded": BoundedGroupLoss({"c": 2.9}),
    "parity": PredictionParity(),
}


@pytest.mark.parametrize("term", TERMS)
@pytest.mark.parametrize("loss_mix", [0.5, 1.0])
@pytest.mark.parametrize("alpha", [0.0, 0.1])
def test_iterations_that_run_out_leave_a_model_and_its_gap(term, loss_mix, alpha, monkeypatch):
    X, y, groups = grouped()
    options = {"scale": 1.0, "fairness": TERMS[term], "alpha": alpha, "l1_ratio": 0.5}
    best = PixelLossRegressor(loss_mix, **options).fit(X, y, sensitive_features=groups)
    allowed, solve = [], row_search.interior_point

    def watched(kq, **given):
        allowed.append(given["max_iter"])
        return solve(kq, **given)

    monkeypatch.setattr(row_search, "interior_point", watched)
    short = PixelLossRegressor(loss_mix, max_iter=1, **options)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        short.fit(in_blocks(X, y, sensitive_features=groups))
    assert set(allowed) == {1}  # all that those of the sample leave ...
    assert len(allowed) == 1 + (term == "bounded")  # ... and in the search for a bound within reach
    assert short.n_iter_ >= 2
    assert [one.category for one in caught] in ([], [ConvergenceWarning])
    assert short.objective_ - best.objective_ <= short.dual_gap_ * (1 + 1e-9) + 1e-12
    if caught:
        assert "raise max_iter" in str(caught[0].message)
    else:
        assert short.dual_gap_ <= 1e-8 * short.objective_


def test_rows_of_groups_that_do_not_decide_make_no_band_wider(monkeypatch):
    X, y, groups = grouped(60_000)
    sizes = {row_search: [], sign_fixing: []}
    for module, found in sizes.items():

        def watched(kq, solve=module.interior_point, found=found, **given):
            found.append(len(kq.residual))
            return solve(kq, **given)

        monkeypatch.setattr(module, "interior_point", watched)
    both(X, y, sensitive_features=groups, loss_mix=1.0, fairness=WorstGroupLoss())
    assert max(sizes[row_search]) <= 1.5 * max(sizes[sign_fixing])


def test_second_derivatives_of_some_near_rows_stand_for_those_of_all(passes):
    rng = np.random.default_rng(2)
    X = rng.normal(size=(40_000, 3))
    source = in_blocks(X, X @ np.ones(3) + rng.standard_t(3, 40_000))
    PixelLossRegressor(1.0, scale=2.0).fit(source)
    smooth = next(kernel for kernel in passes if isinstance(kernel, Smooth))
    every = source.run(replace(smooth, thin=np.array([1]))).added
    some = source.run(replace(smooth, thin=np.array([4]))).added
    size = np.linalg.norm(every["near"])
    assert 0 < np.linalg.norm(some["near"] - every["near"]) < 0.1 * size
    for name in ("adjoint", "total", "value", "missing"):
        np.testing.assert_array_equal(some[name], every[name])


@pytest.mark.parametrize("order", ["drawn", "ascending", "descending"])
def test_the_smallest_keys_are_those_that_sorting_finds(order):
    keys = np.random.default_rng(3).random(20_000) ** 3
    keys = {"drawn": keys, "ascending": np.sort(keys), "descending": -np.sort(-keys)}[order]
    found, limit = draws.smallest(keys, 2)
    most = draws.size_of(len(keys), 2)
    assert limit == np.sort(keys)[most]
    np.testing.assert_array_equal(found, np.sort(np.argsort(keys, kind="stable")[:most]))
