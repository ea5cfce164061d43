"""Fairness terms on many rows: a band of rows gives what all rows give."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning

from skfairloss import PixelLossRegressor
from skfairloss._design import make_design
from skfairloss._design.design_rows import DesignRows
from skfairloss._design.factor import orthonormal_basis
from skfairloss._design.rows import DenseRows, Membership, Rows, StackedRows
from skfairloss._solvers import group_sign_fixing, routes
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
    rows, solve = [], group_sign_fixing.group_interior_point

    def counted(gq, **options):
        rows.append(gq.rows.n_rows)
        return solve(gq, **options)

    monkeypatch.setattr(group_sign_fixing, "group_interior_point", counted)
    # rows that could be eliminated are in the band all the same
    others = [route for route in routes.ROUTES if route.name != "elimination"]
    monkeypatch.setattr(routes, "ROUTES", others)
    return rows


def all_rows(monkeypatch):
    monkeypatch.setattr(group_sign_fixing, "has_many_rows", lambda n, d: False)


def bound_of(sample, loss_mix, **settings):
    """A bound between the largest losses of the plain and of the minimax fit."""
    fits = [fit(term, sample, loss_mix, **settings) for term in (None, WorstGroupLoss())]
    return BoundedGroupLoss(float(np.mean([model.group_losses_.max() for model in fits])))


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
    sample, bands, split = (X, y, weight, code), [], group_sign_fixing._split

    def noted(*arguments):
        bands.append(split(*arguments))
        return bands[-1]

    monkeypatch.setattr(group_sign_fixing, "_split", noted)
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
    plain = fit(None, sample, 0.4).group_losses_
    low = fit(WorstGroupLoss(), sample, 0.4).group_losses_
    term = EqualizedLoss(float(0.5 * (np.ptp(plain) + np.ptp(low))))
    model = fit(term, sample, 0.4)
    all_rows(monkeypatch)
    whole = fit(term, sample, 0.4)
    np.testing.assert_allclose(model.group_losses_, whole.group_losses_, rtol=1e-5)


@pytest.mark.parametrize("loss_mix", [0.0, 0.4, 1.0])
def test_bounds_out_of_reach_are_refused_with_bounds_that_can_be_met(loss_mix):
    sample = data(seed=4)
    least = fit(WorstGroupLoss(), sample, loss_mix).group_losses_.max()
    with pytest.raises(InfeasibleFairnessError, match="smallest common factor") as error:
        fit(BoundedGroupLoss(float(0.9 * least)), sample, loss_mix)
    able = eval(str(error.value).split("upper_bound=")[1])
    assert max(able.values()) == pytest.approx(least, rel=2e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = fit(BoundedGroupLoss(able), sample, loss_mix)
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


@pytest.mark.parametrize("kind", ["dense", "sparse", "float32", "with penalty rows"])
def test_one_sweep_gives_the_residuals_and_the_sums_of_each_group(kind):
    rng = np.random.default_rng(4)
    n = 50_000
    X = rng.normal(size=(n, 5)) + 1.0
    X = {"sparse": sp.csr_array, "float32": np.float32}.get(kind, np.asarray)(X)
    weights = rng.uniform(0.5, 1.5, n)
    design = make_design(X)
    basis = orthonormal_basis(design, weights / weights.sum(), True)
    rows: Rows = DesignRows(design, basis)
    codes = rng.integers(0, 3, n)
    if kind == "with penalty rows":
        rows = StackedRows(rows, DenseRows(rng.normal(size=(4, 6))))
        codes = np.append(codes, [3] * 4)
    groups = Membership(codes, 4)
    residual, theta = rng.normal(size=(rows.n_rows, 1)), rng.normal(size=(6, 1))
    seen = []

    def slopes(at, r):
        seen.append((at.start, at.stop))
        return np.tanh(r)

    r, sums = rows.sweep_by_group(residual, theta, slopes, groups)
    np.testing.assert_allclose(r, residual - rows.dot(theta), atol=1e-12)
    expected = rows.adjoint_by_group(np.tanh(r[:, 0]), groups)
    np.testing.assert_allclose(sums, expected, atol=1e-9 * np.abs(expected).max())
    assert seen[0][0] == 0
    assert seen[-1][1] == rows.n_rows
    assert all(end == start for (_, end), (start, _) in itertools.pairwise(seen))
