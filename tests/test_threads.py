"""Passes over X in threads: what their number may not change."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from skfairloss import PixelLossRegressor
from skfairloss._design import make_design
from skfairloss._design.threads import passes_in_threads
from skfairloss.fairness import BoundedGroupLoss, ResidualParity, WorstGroupLoss

N, P = 130_000, 20  # three runs of a pass


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, P)) * rng.uniform(0.1, 10, P) + rng.normal(size=P)
    y = X @ rng.normal(size=P) + rng.standard_t(2, N)
    return X, y, rng.uniform(0.5, 2.0, N), rng.choice(list("abc"), N)


@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(
    "term", [None, WorstGroupLoss(0.5), BoundedGroupLoss(2.0, loss="absolute_error")], ids=repr
)
def test_the_number_of_threads_changes_no_bit(rows, loss_mix, term):
    X, y, weights, groups = rows
    options = {"sample_weight": weights, "sensitive_features": groups}
    one, *others = (
        PixelLossRegressor(loss_mix, fairness=term, n_jobs=n_jobs).fit(X, y, **options)
        for n_jobs in (None, 2, 3)
    )
    for other in others:
        np.testing.assert_array_equal(other.coef_, one.coef_)
        assert other.intercept_ == one.intercept_
        assert other.objective_ == one.objective_
        assert other.dual_gap_ == one.dual_gap_


def test_memory_order_and_precision_hold_in_threads(rows):
    X, y, _, groups = rows
    term = ResidualParity()
    options = {"sensitive_features": groups}
    best = PixelLossRegressor(0.5, fairness=term).fit(X, y, **options)
    for other in (np.asfortranarray(X), X.astype(np.float32)):
        found = PixelLossRegressor(0.5, fairness=term, n_jobs=2).fit(other, y, **options)
        np.testing.assert_allclose(found.coef_, best.coef_, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("n_threads", [2, 3])
def test_a_pass_is_worked_on_by_so_many_threads_at_a_time(rows, n_threads):
    X, y, *_ = rows
    design, meeting = make_design(X), threading.Barrier(n_threads)
    seen = set()

    def score(at: slice, residual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if threading.get_ident() not in seen:
            seen.add(threading.get_ident())
            meeting.wait(timeout=30)  # for the others: none of them comes later
        return residual, residual.sum(axis=0)

    with passes_in_threads(n_threads, *X.shape):
        residual, adjoint, total = design.sweep(y, np.zeros(P), 0.0, score)
    assert len(seen) == n_threads
    np.testing.assert_array_equal(residual, y)
    np.testing.assert_allclose(adjoint, X.T @ y, rtol=1e-9)
    np.testing.assert_allclose(total, y.sum(), rtol=1e-9)


def test_a_thread_reports_no_more_warnings_than_the_fit(rows):
    X, y, *_ = rows
    holes = X.copy()
    holes[-1, 3] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        PixelLossRegressor(0.5, n_jobs=2).fit(holes, y)


def test_an_error_in_a_thread_reaches_the_caller(rows):
    X, y, *_ = rows

    def score(at: slice, residual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        raise MemoryError("no room")

    with passes_in_threads(2, *X.shape), pytest.raises(MemoryError, match="no room"):
        make_design(X).sweep(y, np.zeros(P), 0.0, score)
