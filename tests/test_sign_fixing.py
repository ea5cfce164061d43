"""Fairness terms on many rows: a band of rows gives what all rows give."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning

from skfairloss import PixelLossRegressor
from skfairloss._design import make_design
from skfairloss._solvers import equalized, nearby, pilot, routes, sign_fixing, smoothed_newton
from skfairloss._solvers.coupled import DataRows
from skfairloss.exceptions import InfeasibleFairnessError
from skfairloss.fairness import (
    BoundedGroupLoss,
    EqualizedLoss,
    PredictionParity,
    ResidualParity,
    WorstGroupLoss,
)

N = 6000  # about three times the smallest subsample


def data(seed=0, outputs=(), decimals=None, groups=4, shift=0.0, unit=1.0):
    """Groups of unequal size, noise and slopes; weights that differ a hundredfold."""
    rng = np.random.default_rng([7, seed])
    share = 0.5 ** np.arange(groups)
    code = rng.choice(groups, N, p=share / share.sum())
    X = rng.normal(size=(N, 3))
    slopes = rng.normal(size=(groups, 3, *outputs)) + 2.0
    signal = np.einsum("ij,ij...->i...", X, slopes[code])
    size = np.linspace(0.5, 2.0, groups)[code].reshape(-1, *np.ones(len(outputs), int))
    y = signal + size * rng.standard_t(3, size=(N, *outputs))
    y = y if decimals is None else np.round(y, decimals)
    return X, shift + unit * y, 10 ** rng.uniform(-1, 1, N), code


def fit(term, sample, loss_mix, **settings):
    X, y, weight, code = sample
    model = PixelLossRegressor(loss_mix, fairness=term, **settings)
    return model.fit(X, y, sample_weight=weight, sensitive_features=code)


@pytest.fixture
def count(monkeypatch):
    """Rows of each problem that the interior point gets."""
    rows, solve = [], sign_fixing.interior_point

    def counted(kq, **options):
        rows.append(kq.rows.n_rows)
        return solve(kq, **options)

    for module in (nearby, pilot, sign_fixing, smoothed_newton):
        monkeypatch.setattr(module, "interior_point", counted)
    # rows that could be eliminated are in the band all the same
    others = [route for route in routes.ROUTES if route.name != "elimination"]
    monkeypatch.setattr(routes, "ROUTES", others)
    return rows


def all_rows(monkeypatch):
    monkeypatch.setattr(DataRows, "many", False)


def bound_of(sample, loss_mix, **settings):
    """A bound between the largest losses of the plain and of the minimax fit."""
    fits = [fit(term, sample, loss_mix, **settings) for term in (None, WorstGroupLoss())]
    return BoundedGroupLoss(
        float(np.mean([model.group_losses_.max() for model in fits])), loss=None
    )


TERMS = {
    "minimax": lambda *_, **__: WorstGroupLoss(),
    "weighted": lambda *_, **__: WorstGroupLoss(0.4),
    "bounded": bound_of,
    "predictions": lambda *_, **__: PredictionParity(0.02),
    "residuals": lambda *_, **__: ResidualParity(0.5),
    "both": lambda *_, **__: [WorstGroupLoss(0.7), PredictionParity(0.05)],
}
SAMPLES = {
    "plain": {},
    "moved": {"shift": 300.0, "unit": 20.0},
    "two outputs": {"outputs": (2,)},
    "rounded": {"decimals": 0},
    "many groups": {"groups": 12},
}


@pytest.mark.parametrize("loss_mix", [0.4, 1.0])
@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize("kind", SAMPLES)
def test_a_band_gives_the_optimum_of_all_rows(monkeypatch, count, kind, name, loss_mix):
    sample = data(**SAMPLES[kind])
    settings = {"scale": SAMPLES[kind].get("unit", 1.0)}
    term = TERMS[name](sample, loss_mix, **settings)
    count.clear()
    model = fit(term, sample, loss_mix, **settings)
    if kind != "rounded":
        assert max(count) < N
    all_rows(monkeypatch)
    whole = fit(term, sample, loss_mix, **settings)
    assert max(count) >= N
    assert model.objective_ == pytest.approx(whole.objective_, rel=1e-8)
    np.testing.assert_allclose(model.group_losses_, whole.group_losses_, rtol=1e-5)
    np.testing.assert_allclose(model.group_weights_, whole.group_weights_, atol=1e-4)


@pytest.mark.parametrize("loss_mix", [0.4, 1.0])
def test_rows_of_a_small_group_that_decides_are_in_the_band(monkeypatch, count, loss_mix):
    X, y, weight, code = data(seed=4)
    weight[:60], code[:60] = 1.0, 9
    y[:60] = 30.0 * np.random.default_rng(0).normal(size=60)
    sample, bands, solve = (X, y, weight, code), [], sign_fixing._solve_band

    def noted(band, *arguments):
        bands.append(band)
        return solve(band, *arguments)

    monkeypatch.setattr(sign_fixing, "_solve_band", noted)
    model = fit(WorstGroupLoss(), sample, loss_mix)
    assert model.group_weights_[-1] > 0.9
    assert max(count) < N
    assert len(bands) == 1
    assert set(range(60)) <= set(bands[0].index.tolist())
    all_rows(monkeypatch)
    whole = fit(WorstGroupLoss(), sample, loss_mix)
    assert model.objective_ == pytest.approx(whole.objective_, rel=1e-8)
    np.testing.assert_allclose(model.coef_, whole.coef_, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("loss_mix", [0.4, 1.0])
@pytest.mark.parametrize("penalty", [{"alpha": 0.1}, {"alpha": 0.3, "l1_ratio": 1.0}])
def test_a_penalty_is_part_of_every_band(monkeypatch, loss_mix, penalty):
    sample = data(seed=1)
    model = fit(WorstGroupLoss(), sample, loss_mix, **penalty)
    all_rows(monkeypatch)
    whole = fit(WorstGroupLoss(), sample, loss_mix, **penalty)
    np.testing.assert_allclose(model.coef_, whole.coef_, rtol=1e-4, atol=1e-5)
    assert model.objective_ == pytest.approx(whole.objective_, rel=1e-8)


@pytest.mark.parametrize("loss_mix", [0.0, 0.4, 1.0])
def test_sparse_float32_and_fortran_order_are_the_same(loss_mix):
    X, y, weight, code = data(seed=2)
    X = np.float32(X * (abs(X) > 0.5))
    model = fit(WorstGroupLoss(), (X.astype(float), y, weight, code), loss_mix)
    for other in (X, np.asfortranarray(X, dtype=float), sp.csr_array(X), sp.csc_matrix(X)):
        again = fit(WorstGroupLoss(), (other, y, weight, code), loss_mix)
        np.testing.assert_allclose(again.coef_, model.coef_, rtol=1e-6)


def test_an_equalised_path_of_bands_ends_where_that_of_all_rows_ends(monkeypatch):
    sample = data(seed=3)
    term = halfway(sample, 0.4)
    model = fit(term, sample, 0.4)
    all_rows(monkeypatch)
    whole = fit(term, sample, 0.4)
    np.testing.assert_allclose(model.group_losses_, whole.group_losses_, rtol=1e-5)


def halfway(sample, loss_mix):
    """Return an equal loss whose tolerance is met in the middle of the path."""
    ends = [fit(term, sample, loss_mix).group_losses_ for term in (None, WorstGroupLoss())]
    return EqualizedLoss(float(np.mean(np.ptp(ends, axis=1))), loss=None)


@pytest.mark.parametrize("loss_mix", [0.4, 1.0])
@pytest.mark.parametrize("factor", [0.995, 1.005])
def test_steps_that_mislead_cost_time_only(monkeypatch, loss_mix, factor):
    sample, step = data(seed=3), equalized.step_towards
    term = halfway(sample, loss_mix)
    model = fit(term, sample, loss_mix)

    def wrong(*arguments):
        found = step(*arguments)
        spread = np.where(found.losses == found.losses.max(), 1.0, factor)
        return replace(found, losses=spread * found.losses, error=0.0)

    monkeypatch.setattr(equalized, "step_towards", wrong)
    again = fit(term, sample, loss_mix)
    np.testing.assert_allclose(again.group_losses_, model.group_losses_, rtol=3e-6)


@pytest.mark.parametrize("loss_mix", [0.0, 0.4, 1.0])
def test_derivatives_along_a_path_are_those_of_its_points(monkeypatch, loss_mix):
    sample, paths = data(seed=3), []
    inner = equalized._Path.slopes

    def kept(path, t):
        paths.append((path, t, inner(path, t)))
        return paths[-1][2]

    monkeypatch.setattr(equalized._Path, "slopes", kept)
    fit(halfway(sample, loss_mix), sample, loss_mix)
    path, t, slopes = paths[-1]
    low, high = (path.exact(level).losses for level in (t * (1 - 1e-7), t))
    np.testing.assert_allclose(slopes, (high - low) / (1e-7 * t), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("loss_mix", [0.0, 0.4, 1.0])
def test_bounds_out_of_reach_are_refused_with_bounds_that_can_be_met(loss_mix):
    sample = data(seed=4)
    least = fit(WorstGroupLoss(), sample, loss_mix).group_losses_.max()
    with pytest.raises(InfeasibleFairnessError, match="smallest common factor") as error:
        fit(BoundedGroupLoss(float(0.9 * least), loss=None), sample, loss_mix)
    able = eval(str(error.value).split("upper_bound=")[1])
    assert max(able.values()) == pytest.approx(least, rel=2e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = fit(BoundedGroupLoss(able, loss=None), sample, loss_mix)
    assert model.group_losses_.max() <= max(able.values()) * (1 + 1e-8)


def test_few_iterations_are_declared():
    with pytest.warns(ConvergenceWarning, match="raise max_iter"):
        model = fit(WorstGroupLoss(), data(seed=5), 0.4, max_iter=2)
    assert np.isfinite(model.coef_).all()


@pytest.mark.parametrize(("shift", "unit"), [(0.0, 1.0), (300.0, 20.0)])
def test_a_small_group_that_decides_needs_a_band_only(shift, unit, count):
    rng = np.random.default_rng(0)
    X, code = rng.normal(size=(10_000, 20)), rng.choice(4, 10_000, p=[0.55, 0.25, 0.15, 0.05])
    signal = X @ rng.normal(size=20) + 0.4 * X[np.arange(10_000), code]
    y = signal + np.array([1.0, 1.3, 0.8, 2.0])[code] * rng.standard_t(3, 10_000)
    sample = X, shift + unit * y, np.ones(10_000), code
    model = fit(WorstGroupLoss(), sample, 1.0, scale=unit)
    assert model.group_weights_[3] > 0.9
    assert max(count) < 5_000
    assert model.dual_gap_ <= 1e-8 * model.objective_


@pytest.mark.parametrize("kind", ["dense", "sparse", "float32"])
@pytest.mark.parametrize("some", [False, True])
def test_one_sweep_gives_the_residuals_and_the_sums_of_each_group(kind, some):
    rng = np.random.default_rng(4)
    n = 50_000
    X = rng.normal(size=(n, 5)) + 1.0
    X = {"sparse": sp.csr_array, "float32": np.float32}.get(kind, np.asarray)(X)
    design, coef, y = make_design(X), rng.normal(size=(5, 1)), rng.normal(size=(n, 1))
    index = np.flatnonzero(rng.random(n) < 0.3) if some else None
    own = slice(None) if index is None else index
    y, codes = y[own], rng.integers(0, 3, n)[own]

    def score(rows, r):
        k = r.size
        place = codes[rows], np.arange(k + 1)
        return sp.csr_array((np.tanh(r.ravel()), *place), shape=(k, 3)), np.array([r.sum()])

    r, adjoint, sums = design.sweep(y, coef, np.array([0.5]), score, index)
    expected = y - design.predict(coef, 0.5)[own]
    np.testing.assert_allclose(r, expected, atol=1e-12)
    np.testing.assert_allclose(sums, [expected.sum()])
    by_group = np.tanh(expected) * (codes[:, None] == np.arange(3))
    plane = np.asarray(X.toarray() if kind == "sparse" else X, dtype=float)[own]
    np.testing.assert_allclose(adjoint, plane.T @ by_group, atol=1e-9 * n)


def test_a_group_that_a_sample_takes_for_another_is_found_by_a_second_step(count):
    # heavy tails: the mean loss of the worst group and that of the next are hard to tell apart
    rng, n, p = np.random.default_rng(0), 100_000, 20
    X, ranks = rng.standard_normal((n, p)), np.arange(4)
    code = rng.choice(4, n, p=(ranks + 1) / 10)
    coef = rng.standard_normal(p) + 0.3 * rng.standard_normal((4, p))
    noise = (1.0 + 2.0 * (3 - ranks) / 3)[code]
    y = 1.0 + (X * coef[code]).sum(axis=1) + noise * rng.standard_t(2, n)
    model = fit(WorstGroupLoss(), (X, y, np.ones(n), code), 1.0)
    assert max(count) < 0.05 * n
    assert model.dual_gap_ <= 1e-8 * model.objective_
