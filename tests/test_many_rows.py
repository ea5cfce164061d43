"""Many more rows than features: what a sample and fixed signs may not change."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from skfairloss import PixelLossRegressor
from skfairloss._core.certificate import certify
from skfairloss._core.losses import MixedLoss
from skfairloss._core.problem import Problem
from skfairloss._core.solution import Point
from skfairloss._design import make_design
from skfairloss._design.sample import sample_size, scattered
from skfairloss._solvers import solve
from skfairloss._solvers.band import BandSize, split
from skfairloss._solvers.formulation import Output
from skfairloss._solvers.output_rows import OutputRows
from skfairloss.model_selection import loss_mix_path

ROWS, COLUMNS = 6000, 4


def make_rows(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Shifted, scaled columns and heavy-tailed noise."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((ROWS, COLUMNS)) * [1.0, 10.0, 0.1, 3.0] + [5.0, 0.0, -1.0, 2.0]
    return X, 3.0 + X @ [1.0, -0.2, 4.0, 0.5] + rng.standard_t(2, ROWS)


def make_problem(
    X: np.ndarray,
    y: np.ndarray,
    weights: np.ndarray | None = None,
    loss_mix: float = 1.0,
    quantile: float = 0.5,
    l2: float = 0.0,
) -> Problem:
    weights = np.ones(len(y)) if weights is None else weights
    loss = MixedLoss(loss_mix, quantile)
    share = weights / weights.sum()
    return Problem(make_design(X), y[:, None], share, loss, l2=l2)


def without_sample(problem: Problem) -> Problem:
    """The same problem, of which every row is always looked at."""
    problem.__dict__["sample"] = None
    return problem


def make_hard(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    X, y = make_rows(3)
    weights = np.ones(ROWS)
    if name == "rounded y":
        y = np.round(y, 1)
    elif name == "rows on the plane":
        on = rng.random(ROWS) < 0.3
        y[on] = 3.0 + X[on] @ [1.0, -0.2, 4.0, 0.5]
    elif name == "outliers":
        y[::97] += 1e8
    elif name == "skewed weights":
        weights = np.exp(3.0 * rng.standard_normal(ROWS))
    elif name == "weights of two sizes":
        weights = np.where(rng.random(ROWS) < 0.03, 1000.0, 1.0)
    elif name == "three rows weigh most":
        weights[::2500] = 1e4
    elif name == "leverage":
        X = np.exp(1.5 * rng.standard_normal(X.shape))
        y = X @ [1.0, -0.2, 4.0, 0.5] + rng.standard_t(2, ROWS)
    elif name == "sorted rows":
        order = np.argsort(y)
        X, y = X[order], y[order]
    return X, y, weights


HARD = ["plain", "rounded y", "rows on the plane", "outliers", "leverage"]
WEIGHTED = ["skewed weights", "weights of two sizes", "three rows weigh most"]


@pytest.mark.parametrize("quantile", [0.5, 0.8])
@pytest.mark.parametrize("loss_mix", [0.5, 1.0])
@pytest.mark.parametrize("name", [*HARD, "sorted rows", *WEIGHTED])
def test_fixing_signs_ends_where_all_rows_do(name, loss_mix, quantile):
    X, y, weights = make_hard(name)
    problem = make_problem(X, y, weights, loss_mix, quantile)
    whole = without_sample(make_problem(X, y, weights, loss_mix, quantile))
    assert problem.sample is not None
    fast, slow = solve(problem), solve(whole)
    reached = certify(whole, fast)
    aim = certify(whole, slow)
    assert reached.certified.all()
    assert reached.objective == pytest.approx(aim.objective, rel=1e-8)


@pytest.mark.parametrize("loss_mix", [0.5, 1.0])
def test_a_column_that_no_sampled_row_shows_is_fitted(loss_mix):
    X, y = make_rows(5)
    rare = np.zeros(ROWS)
    taken = make_problem(X, y).sample.index
    rare[np.setdiff1d(np.arange(ROWS), taken)[:3]] = 1.0
    X = np.column_stack([X, rare])
    y = y + 50.0 * rare
    model = PixelLossRegressor(loss_mix, scale=1.0).fit(X, y)
    whole = without_sample(make_problem(X, y, loss_mix=loss_mix))
    assert model.dual_gap_ <= 1e-8 * model.objective_
    assert model.objective_ == pytest.approx(certify(whole, solve(whole)).objective[0], rel=1e-8)


@pytest.mark.parametrize("l2", [0.0, 0.1])
@pytest.mark.parametrize("skewed", [False, True])
def test_the_certificate_of_a_sample_never_understates_the_excess(l2, skewed):
    rng = np.random.default_rng(11)
    X, y = make_rows(13)
    weights = np.exp(rng.standard_normal(ROWS)) if skewed else np.ones(ROWS)
    problem = make_problem(X, y, weights, l2=l2)
    best = solve(problem)
    least = certify(problem, best).objective[0]
    assert problem.sample_basis is not None
    for size in (0.0, 1e-13, 1e-12, 1e-9, 1e-4, 1.0):
        dual = best.dual + size * rng.standard_normal(best.dual.shape)
        coef = best.coef + size * rng.standard_normal(best.coef.shape)
        found = certify(problem, Point(coef, best.intercept, dual))
        assert found.gap[0] >= found.objective[0] - least - 1e-14


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_row_outside_the_sample_that_is_not_finite_is_refused(value):
    X, y = make_rows(17)
    taken = make_problem(X, y).sample.index
    X[np.setdiff1d(np.arange(ROWS), taken)[0], 2] = value
    with pytest.raises(ValueError, match="X contains"):
        PixelLossRegressor(1.0).fit(X, y)


def test_a_sample_follows_the_weights():
    X, y = make_rows(19)
    weights = np.where(np.arange(ROWS) < ROWS // 2, 3.0, 1.0)
    sample = make_problem(X, y, weights).sample
    assert sample.weights.sum() == pytest.approx(1.0)
    assert sample.weights[sample.index < ROWS // 2].sum() == pytest.approx(0.75, abs=0.01)
    assert (np.diff(sample.index) > 0).all()


@pytest.mark.parametrize("name", WEIGHTED)
def test_rows_that_outweigh_a_draw_are_sampled_with_their_own_weight(name):
    X, y, weights = make_hard(name)
    sample = make_problem(X, y, weights).sample
    share = weights / weights.sum()
    certain = np.flatnonzero(share * sample_size(*X.shape) > 1.01)
    assert len(certain)
    place = np.searchsorted(sample.index, certain)
    np.testing.assert_array_equal(sample.index[place], certain)
    np.testing.assert_array_equal(sample.weights[place], share[certain])
    assert sample.weights.sum() == pytest.approx(1.0)
    assert (sample.weights > 0).all()


@pytest.mark.parametrize("name", ["skewed weights", "weights of two sizes"])
def test_a_band_is_smaller_with_the_heaviest_rows_in_it(name):
    X, y, weights = make_hard(name)
    X, y, weights = (np.concatenate([a] * 20) for a in (X, y, weights))
    problem = make_problem(X, y, weights)
    output = Output(problem, 0, problem.basis)
    size = BandSize.of(OutputRows.of(output), None)
    near = 1.5 * len(y) * np.sqrt((COLUMNS + 1) * (problem.weights @ problem.weights))
    rows = size.near + len(size.outstanding(problem.weights))
    assert rows < 0.7 * min(near, 0.1 * len(y))
    assert size.times(4.0).near == 4 * size.near


@pytest.mark.parametrize("period", [2, 3, 4, 7, 64])
def test_rows_picked_by_their_hash_are_of_every_group_that_takes_turns(period):
    rows = np.arange(10, 50_010)
    few = scattered(rows, 5000)
    assert len(few) == 5000
    assert (np.diff(few) > 0).all()
    expected = 5000 / period
    counts = np.bincount(few % period)
    assert np.abs(counts - expected).max() < 5 * np.sqrt(expected)
    np.testing.assert_array_equal(scattered(rows, len(rows)), rows)


@pytest.mark.parametrize("n_groups", [2, 3, 4])
def test_a_thinned_band_has_rows_of_groups_that_take_turns(n_groups):
    # 90 % of the rows are at 0, of which a twelfth is wanted
    turn, group = np.divmod(np.arange(10 * ROWS), n_groups)
    noise = np.random.default_rng(2).standard_normal(len(group))
    y = group + np.where(turn % 10 < 9, 0.0, noise)
    problem = make_problem(np.eye(n_groups)[group], y)
    whole = OutputRows.of(Output(problem, 0, problem.basis))
    wanted = int((y == group).sum()) // 12
    size = BandSize(wanted, np.inf)
    band = split(whole, whole.anchor((np.arange(n_groups) * 1.0, 0.0)), size, 0.0, None)
    assert len(band.index) == pytest.approx(wanted, abs=1)
    share = np.bincount(group[band.index], minlength=n_groups) / len(band.index)
    np.testing.assert_allclose(share, 1 / n_groups, atol=0.02)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_sweep_gives_residuals_the_adjoint_of_their_score_and_sums(order, dtype):
    X, y = make_rows(23)
    X = np.asarray(X, dtype=dtype, order=order)
    coef = np.array([0.3, -1.0, 2.0, 0.0])
    design = make_design(X)
    plane = X.astype(np.float64)
    some = np.arange(0, len(y), 3)

    for index in (None, some):
        own = slice(None) if index is None else index
        target = y[own]

        def score(rows, r, target=target):
            u = np.sign(r) * target[rows]
            return u, np.array([u.sum(), np.abs(r).sum()])

        residual, adjoint, sums = design.sweep(target, coef, 0.7, score, index)
        expected = target - plane[own] @ coef - 0.7
        pull = np.sign(expected) * target
        np.testing.assert_allclose(residual, expected, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(adjoint, plane[own].T @ pull)
        np.testing.assert_allclose(sums, [pull.sum(), np.abs(expected).sum()])


@pytest.mark.parametrize("shape", [(), (3,)])
@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_sums_over_no_rows_are_zeros_of_the_usual_shape(form, shape):
    design, none = make_design(form(make_rows(31)[0])), np.zeros(0, dtype=np.intp)
    coef = np.ones((COLUMNS, *shape))

    def score(rows, r):
        return r, np.array([r.sum(), np.abs(r).sum()])

    residual, adjoint, sums = design.sweep(np.zeros((0, *shape)), coef, 0.7, score, none)
    assert residual.shape == (0, *shape)
    np.testing.assert_array_equal(adjoint, np.zeros(coef.shape))
    np.testing.assert_array_equal(sums, [0.0, 0.0])


@pytest.mark.parametrize("sparse", [False, True])
def test_a_step_that_no_residual_is_near_to_leads_to_the_optimum(sparse):
    # half of the residuals are 0 at the start, the step is smaller than any other
    n = 412_000
    g = np.arange(n) % 4
    noise = np.random.default_rng(0).standard_normal(n)
    noise[: n // 2] = 0.0
    X = sp.csr_array(np.eye(4)[g]) if sparse else np.eye(4)[g]
    model = PixelLossRegressor(1.0).fit(X, g + noise)
    np.testing.assert_allclose(model.coef_, np.arange(4) - 1.5, atol=1e-9)
    assert model.intercept_ == pytest.approx(1.5)
    assert model.dual_gap_ <= 1e-8 * model.objective_


@pytest.mark.parametrize("loss_mix", [0.4, 1.0])
@pytest.mark.parametrize("away", [0.0, 1e-3, 30.0, 1e6])
def test_a_warm_start_however_far_ends_where_a_cold_one_does(loss_mix, away):
    X, y = make_rows(29)
    cold = PixelLossRegressor(loss_mix).fit(X, y)
    model = PixelLossRegressor(loss_mix, warm_start=True).fit(X, y + away * (1.0 + X[:, 0]))
    model.fit(X, y)
    np.testing.assert_allclose(model.coef_, cold.coef_, rtol=1e-8, atol=1e-10)
    assert model.dual_gap_ <= 1e-8 * model.objective_


@pytest.mark.parametrize("seed", [2, 3])
def test_an_optimum_of_the_absolute_loss_is_a_vertex(seed):
    """A point beside it has next to the same objective and other coefficients."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(300_000, 8))
    y = X @ rng.normal(size=8) + rng.laplace(size=300_000)
    along = loss_mix_path(X, y, loss_mixes=[0, 0.5, 1]).models[-1]
    for model in (PixelLossRegressor(1).fit(X, y), along):
        assert np.count_nonzero(np.abs(y - model.predict(X)) < 1e-9) == 9
