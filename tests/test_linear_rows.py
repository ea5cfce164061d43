"""Parities on many rows: the plain fit in fewer directions, against the interior point on all."""

import numpy as np
import pytest
import scipy.sparse as sp

from skfairloss import PixelLossRegressor
from skfairloss._estimator.training import read_training
from skfairloss._solvers import linear_rows, routes, solve
from skfairloss.fairness import PredictionParity, ResidualParity

MIXES = (0.5, 1.0)
TERMS = {
    "exact": PredictionParity(),
    "residuals": ResidualParity(),
    "one end": PredictionParity(0.3),
    "two ends": ResidualParity(0.1),
    "not binding": PredictionParity(50.0),
    "both": [PredictionParity(0.4), ResidualParity(0.6)],
    "mixed": [PredictionParity(), ResidualParity(2.0)],
}


def data(outputs=()):
    """Three groups whose features, levels and noise differ."""
    rng = np.random.default_rng(0)
    n = 5000
    group = rng.choice(3, n, p=[0.2, 0.3, 0.5])
    X = rng.normal(size=(n, 4)) + 0.5 * rng.normal(size=(3, 4))[group]
    noise = rng.standard_t(3, size=(n, *outputs)).T * (1.0 + group)
    y = (X @ rng.normal(size=(4, *outputs))).T + 0.5 * group + noise
    return X, y.T, rng.integers(1, 4, n).astype(float), group


def fit(term, sample, loss_mix, **options):
    X, y, weights, group = sample
    model = PixelLossRegressor(loss_mix, fairness=term, **options)
    return model.fit(X, y, sample_weight=weights, sensitive_features=group)


def same(model, other, rel=1e-6):
    np.testing.assert_allclose(model.coef_, other.coef_, rtol=rel, atol=rel)
    np.testing.assert_allclose(model.intercept_, other.intercept_, rtol=rel, atol=rel)


@pytest.fixture
def on_all(monkeypatch):
    """Fit without the elimination of rows."""

    def other(*arguments, **options):
        with monkeypatch.context() as patch:
            others = [route for route in routes.ROUTES if route.name != "elimination"]
            patch.setattr(routes, "ROUTES", others)
            return fit(*arguments, **options)

    return other


@pytest.mark.parametrize("alpha", [0.0, 0.3])
@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize("loss_mix", MIXES)
def test_it_is_the_model_of_the_interior_point(loss_mix, name, alpha, on_all):
    sample, term = data(), TERMS[name]
    model = fit(term, sample, loss_mix, alpha=alpha)
    expected = on_all(term, sample, loss_mix, alpha=alpha)
    same(model, expected)
    assert model.objective_ == pytest.approx(expected.objective_, rel=1e-9)
    assert model.dual_gap_ <= 1e-8 * model.objective_
    assert model.infeasibility_ <= 1e-10


@pytest.mark.parametrize("name", ["one end", "residuals"])
@pytest.mark.parametrize("loss_mix", MIXES)
def test_shifts_scales_and_weights_move_the_model_along(loss_mix, name):
    X, y, weights, group = sample = data()
    model = fit(TERMS[name], sample, loss_mix, scale="auto")
    wider = TERMS[name].__class__(5.0 * TERMS[name].tolerance)
    twin = fit(wider, (2.0 * X - 3.0, 5.0 * y + 7.0, 4.0 * weights, group), loss_mix, scale="auto")
    np.testing.assert_allclose(twin.coef_, 2.5 * model.coef_, rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(twin.group_losses_, model.group_losses_, rtol=1e-7)


@pytest.mark.parametrize("loss_mix", MIXES)
def test_outputs_are_fitted_as_if_alone(loss_mix):
    X, y, weights, group = sample = data(outputs=(2,))
    together = fit(ResidualParity(), sample, loss_mix, scale=1.0)
    for k in range(2):
        alone = fit(ResidualParity(), (X, y[:, k], weights, group), loss_mix, scale=1.0)
        np.testing.assert_allclose(together.coef_[k], alone.coef_, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("loss_mix", MIXES)
def test_sparse_rows_and_no_intercept(loss_mix, on_all):
    X, y, weights, group = data()
    sparse = (sp.csr_array(X), y, weights, group)
    same(fit(PredictionParity(0.3), sparse, loss_mix), fit(PredictionParity(0.3), data(), loss_mix))
    free = {"fit_intercept": False}
    same(
        fit(PredictionParity(0.3), data(), loss_mix, **free),
        on_all(PredictionParity(0.3), data(), loss_mix, **free),
    )


def test_a_tie_is_resolved_among_what_meets_the_rows(on_all):
    X, _, weights, group = data()
    sample = X[:, :2].round(), (group + X[:, 0].round() > 1).astype(float), weights, group
    same(fit(PredictionParity(), sample, 1.0), on_all(PredictionParity(), sample, 1.0))


def test_a_wrong_guess_is_corrected(monkeypatch, on_all):
    sample, tries = data(), []
    eliminated = linear_rows._eliminated

    def counted(problem, rows, basis, side):
        tries.append(side)
        return eliminated(problem, rows, basis, side)

    monkeypatch.setattr(linear_rows, "_eliminated", counted)
    nothing = lambda problem, _, basis: np.zeros((basis.n_coordinates, problem.n_outputs))  # noqa: E731
    monkeypatch.setattr(linear_rows, "sample_fit", nothing)
    model = fit(PredictionParity(0.3), sample, 0.5)
    assert len(tries) == 2
    same(model, on_all(PredictionParity(0.3), sample, 0.5))


def test_a_set_of_rows_that_does_not_settle_is_left_to_the_interior_point(monkeypatch, on_all):
    monkeypatch.setattr(linear_rows._Rows, "settled", lambda *_: False)
    same(fit(TERMS["both"], data(), 1.0), on_all(TERMS["both"], data(), 1.0))


def test_iterations_tell_of_models_that_meet_the_rows():
    X, y, weights, group = data()
    model = PixelLossRegressor(fairness=ResidualParity())
    problem = read_training(model, X, y, weights, group).problem
    seen = []

    def note(at):
        seen.append(at)
        return len(seen) == 3

    found = solve(problem, on_iteration=note)
    assert [at.output for at in seen] == [None] * 3
    assert found.stopped.all()
    assert all(problem.linear_violation(at.coef) < 1e-10 for at in seen)
    assert problem.linear_violation(found.coef) < 1e-10


@pytest.mark.parametrize("offset", [0.0, 1.0, 1e5])
@pytest.mark.parametrize("loss_mix", [0.0, 0.5])
def test_large_groups_that_are_alike_lose_no_direction_to_rounding(loss_mix, offset):
    """Of three rows two are independent; the third one's rounding errors are no condition."""
    rng = np.random.default_rng(0)
    n, p = 130_000, 5
    X = rng.normal(size=(n, p)) + offset
    y = (X - offset) @ rng.normal(size=p) + rng.standard_t(2, n)
    group = rng.choice(list("abc"), n)
    model = PixelLossRegressor(loss_mix, fairness=ResidualParity(), scale=1.0)
    model.fit(X, y, sensitive_features=group)  # a certificate: warnings are errors
    centred = X - offset
    rows = np.array([centred[group == g].mean(axis=0) - centred.mean(axis=0) for g in "ab"])
    target = np.array([y[group == g].mean() - y.mean() for g in "ab"])
    _, _, vt = np.linalg.svd(rows)
    step = np.linalg.lstsq(rows, target, rcond=None)[0]
    plain = PixelLossRegressor(loss_mix, scale=1.0).fit(centred @ vt[2:].T, y - centred @ step)
    assert model.objective_ == pytest.approx(plain.objective_, rel=1e-7)
