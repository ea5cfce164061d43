"""Several outputs that share X: what is done for all of them at once changes no optimum."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold

from skfairloss import PixelLossRegressor
from skfairloss._core.certificate import certify
from skfairloss._core.losses import MixedLoss
from skfairloss._core.problem import Problem
from skfairloss._design import make_design
from skfairloss._solvers import solve
from skfairloss._solvers.active_set import Kinks, guess_sides
from skfairloss._solvers.many_outputs import share
from skfairloss.datasets import load_photo_patches

OUTPUTS = 9


def make_outputs(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """X, Y and weights; names of twins say what differs."""
    rng = np.random.default_rng(2)
    n, p = (25, 40) if name == "wide" else (160, 5)
    X = rng.standard_normal((n, p))
    Y = X @ rng.standard_normal((p, OUTPUTS)) + rng.standard_t(2, (n, OUTPUTS))
    weights = np.ones(n)
    if name == "shifted":
        X, Y = X + 50.0, Y - 300.0
    elif name == "scaled":
        X, Y = X * np.logspace(-3, 3, p), Y * np.logspace(-4, 4, OUTPUTS)
    elif name == "weighted":
        weights = np.exp(2.0 * rng.standard_normal(n))
    elif name == "rounded y":
        Y = np.round(Y)
    elif name == "repeated rows":
        X[n // 2 :], Y[n // 2 :] = X[: n // 2], Y[: n // 2]
    elif name == "duplicate columns":
        X[:, 1] = X[:, 0]
    elif name == "outliers":
        Y[::40] += 1e6
    elif name == "constant and exact outputs":
        Y[:, 0], Y[:, 1] = 3.0, X @ np.ones(p)
    return X, Y, weights


PLAIN = ["tall", "shifted", "scaled", "weighted", "outliers", "constant and exact outputs"]
TIED = ["rounded y", "repeated rows", "duplicate columns"]


def make_problem(X, Y, weights, loss_mix=0.5, l2=0.0, quantile=0.5):
    loss = MixedLoss(loss_mix, quantile)
    return Problem(make_design(X), Y, weights / weights.sum(), loss, l2=l2)


def assert_as_one_by_one(problem: Problem, coef_too: bool = True) -> None:
    """The models of all outputs against those of each alone."""
    assert share(problem) is not None
    found = solve(problem)
    objective = problem.objective(found.coef, found.intercept)
    floor = 1e-6 * problem.loss_values(problem.y - problem.y.mean(axis=0))
    rounding = 1e-14 * np.abs(problem.y).max(axis=0)
    for k in range(problem.n_outputs):
        alone = problem.outputs(slice(k, k + 1))
        assert share(alone) is None
        one = solve(alone)
        aim = alone.objective(one.coef, one.intercept)[0]
        assert abs(objective[k] - aim) <= 1e-8 * max(aim, floor[k]) + rounding[k]
        assert found.tie_resolved[k] == one.tie_resolved[0]
        if coef_too:
            size = np.abs(one.coef).max() + 1e-9
            np.testing.assert_allclose(found.coef[:, k], one.coef[:, 0], atol=1e-6 * size)


@pytest.mark.parametrize("quantile", [0.5, 0.8])
@pytest.mark.parametrize("l2", [0.0, 0.1])
@pytest.mark.parametrize("loss_mix", [0.3, 1.0])
@pytest.mark.parametrize("name", [*PLAIN, *TIED])
def test_every_output_ends_where_it_does_alone(name, loss_mix, l2, quantile):
    assert_as_one_by_one(make_problem(*make_outputs(name), loss_mix, l2, quantile))


@pytest.mark.parametrize("l2", [1e-3, 1.0])
@pytest.mark.parametrize("loss_mix", [0.5, 1.0])
def test_so_it_does_with_more_columns_than_rows(loss_mix, l2):
    assert_as_one_by_one(make_problem(*make_outputs("wide"), loss_mix, l2))


@pytest.mark.parametrize("loss_mix", [0.5, 1.0])
def test_outputs_may_have_sizes_of_their_own(loss_mix):
    assert_as_one_by_one(make_problem(*make_outputs("scaled"), loss_mix, 0.01))


@pytest.mark.parametrize("loss_mix", [0.5, 1.0])
def test_a_first_band_that_is_too_narrow_changes_nothing(loss_mix, monkeypatch):
    monkeypatch.setattr("skfairloss._solvers.many_outputs._ADMM_STEPS", 1)
    X, Y, weights = make_outputs("outliers")
    assert_as_one_by_one(make_problem(X, Y, weights, loss_mix))


@pytest.mark.parametrize("loss_mix", [0.5, 1.0])
def test_a_weight_of_two_counts_as_two_copies_of_the_row(loss_mix):
    X, Y, _ = make_outputs("tall")
    count = np.where(np.arange(len(X)) % 3 == 0, 2, 1)
    weighted = PixelLossRegressor(loss_mix).fit(X, Y, sample_weight=count)
    copied = PixelLossRegressor(loss_mix).fit(np.repeat(X, count, 0), np.repeat(Y, count, 0))
    np.testing.assert_allclose(weighted.coef_, copied.coef_, atol=1e-8)
    np.testing.assert_allclose(weighted.objective_, copied.objective_, rtol=1e-10)


@pytest.mark.parametrize("alpha", [0.0, 0.1])
@pytest.mark.parametrize("loss_mix", [0.5, 1.0])
def test_permuted_outputs_and_threads_give_the_same_models(loss_mix, alpha):
    X, Y, _ = make_outputs("tall")
    Y = np.hstack([Y, Y[:, ::-1] + X[:, :1] ** 2, Y**2, Y[::-1], -Y])  # more than one group
    order = np.random.default_rng(5).permutation(Y.shape[1])
    model = PixelLossRegressor(loss_mix, alpha=alpha).fit(X, Y)
    permuted = PixelLossRegressor(loss_mix, alpha=alpha, n_jobs=2).fit(X, Y[:, order])
    np.testing.assert_allclose(permuted.coef_, model.coef_[order], atol=1e-8)
    np.testing.assert_allclose(permuted.intercept_, model.intercept_[order], atol=1e-8)


@pytest.mark.parametrize("alpha", [0.0, 0.1])
@pytest.mark.parametrize("loss_mix", [0.5, 1.0])
def test_watching_changes_nothing_and_stopping_stops_one_output_only(loss_mix, alpha):
    problem = make_problem(*make_outputs("tall"), loss_mix, alpha)
    seen: list[tuple[int, bool]] = []

    def watch(iteration):
        seen.append((iteration.output, iteration.finished))
        return iteration.output == 3

    plain, watched = solve(problem), solve(problem, on_iteration=watch)
    assert watched.stopped.tolist() == [k == 3 for k in range(OUTPUTS)]
    others = np.arange(OUTPUTS) != 3
    np.testing.assert_array_equal(watched.coef[:, others], plain.coef[:, others])
    for k in range(OUTPUTS):
        told = [finished for output, finished in seen if output == k]
        assert told[-1]
        assert told.count(True) == 1
        assert 1 < len(told) <= watched.n_iter[k] + 1
    assert watched.n_iter[3] == 1


@pytest.mark.parametrize("flat", [False, True])
def test_sides_that_settle_are_those_of_the_optimum(flat):
    rng = np.random.default_rng(8)
    rows = np.column_stack([rng.standard_normal((60, 3)), np.ones(60)])
    target = rng.standard_normal((60, 5))
    target -= np.median(target, axis=0)
    curvature = np.full(4, 600.0)
    curvature[-1] = 0.0 if flat else 300.0
    linear = rng.standard_normal((4, 5))
    linear[-1] = 0.0
    lower, upper = -rng.uniform(0.9, 1.1, (2, 60)) * [[1.0], [-1.0]]
    kinks = Kinks(rows, target, curvature, linear, lower, upper)
    side = np.sign(target).astype(np.int8)
    np.put_along_axis(side, np.argsort(np.abs(target), axis=0)[:1], 0, axis=0)
    found = guess_sides(kinks, side, 50)
    at = found.settled
    assert at.sum() >= 2  # from a poor guess not every column need settle
    theta, dual = found.theta[:, at], found.dual[:, at]
    residual = target[:, at] - rows @ theta
    defect = curvature[:, None] * theta - linear[:, at] - rows.T @ dual
    np.testing.assert_allclose(defect, 0.0, atol=1e-11)
    inside = (dual > lower[:, None]) & (dual < upper[:, None])
    assert inside.any()
    np.testing.assert_allclose(residual[inside], 0.0, atol=1e-12)
    assert (residual[dual == upper[:, None]] >= -1e-12).all()
    assert (residual[dual == lower[:, None]] <= 1e-12).all()


@pytest.mark.parametrize("alpha", [0.0, 1e-3])
def test_pixels_that_are_black_in_every_image_are_predicted_so(alpha):
    images = load_digits().images[:800] / 16
    X, Y = images[:, :4].reshape(800, -1), images[:, 4:].reshape(800, -1)
    black = (Y == 0).all(axis=0)
    assert black.any()
    model = PixelLossRegressor(1.0, alpha=alpha, scale=0.5).fit(X, Y)
    assert (model.objective_[black] == 0).all()
    assert (model.predict(X)[:, black] == 0).all()
    alone = PixelLossRegressor(1.0, alpha=alpha, scale=0.5).fit(X, Y[:, 10])
    assert model.objective_[10] == pytest.approx(alone.objective_, rel=1e-8)


def photo_fold(number: int, outputs: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Photo patches without those of a fold: data on which outputs once stopped short."""
    X, Y, groups = load_photo_patches(return_X_y=True)
    folds = StratifiedKFold(5, shuffle=True, random_state=398764591)
    train = list(folds.split(X, groups))[number][0]
    return X[train], Y[train][:, outputs]


@pytest.mark.parametrize(("shift", "factor"), [(0.0, 1.0), (5.0, 255.0)])
@pytest.mark.parametrize(
    ("loss_mix", "number", "outputs"), [(0.9, 3, [0, 1, 2, 3]), (1.0, 2, [27, 28, 29, 30])]
)
def test_an_output_of_photo_patches_ends_where_it_does_alone(
    loss_mix, number, outputs, shift, factor
):
    X, Y = photo_fold(number, outputs)
    model = PixelLossRegressor(loss_mix, scale=0.1 * factor)
    together = model.fit(X, shift + factor * Y)  # a warning would be an error
    coef, objective, gap = together.coef_, together.objective_, together.dual_gap_
    assert (gap <= 1e-12 * objective).all()
    for k in (0, 3):
        alone = model.fit(X, shift + factor * Y[:, k])
        assert objective[k] == pytest.approx(alone.objective_, rel=1e-12)
        np.testing.assert_allclose(coef[k], alone.coef_, atol=1e-9 * np.abs(coef[k]).max())


@pytest.mark.parametrize(("shift", "factor"), [(0.0, 1.0), (300.0, 1e4)])
@pytest.mark.parametrize(
    ("rows", "columns", "seed", "tol"),
    [(120, 3, 2, 0.1), (120, 3, 2, 0.01), (120, 3, 2, 1e-3), (200, 8, 1, 1e-4)],
)
def test_a_tolerance_that_is_loose_is_met(rows, columns, seed, tol, shift, factor):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, columns))
    Y = X @ rng.standard_normal((columns, 32)) + rng.standard_t(2, (rows, 32))
    model = PixelLossRegressor(1.0, tol=tol).fit(X, shift + factor * Y)  # no warning
    assert (model.dual_gap_ <= tol * model.objective_).all()


@pytest.mark.parametrize("name", ["tall", "shifted", "scaled", "weighted"])
@pytest.mark.parametrize("loss_mix", [0.3, 0.7])
def test_shared_steps_go_all_the_way_to_a_loose_tolerance(loss_mix, name, monkeypatch):
    X, Y, weights = make_outputs(name)
    problem = make_problem(X, Y / Y.std(axis=0), weights, loss_mix)
    exact = solve(problem)
    monkeypatch.setattr("skfairloss._solvers.many_outputs._by_active_set", None)
    monkeypatch.setattr("skfairloss._solvers.many_outputs.solve_output_near", None)
    found = solve(problem, tol=0.01)
    certificate = certify(problem, found, tol=0.01)
    assert certificate.certified.all()
    aim = problem.objective(exact.coef, exact.intercept)
    excess = problem.objective(found.coef, found.intercept) / aim - 1.0
    assert (excess <= 0.01).all()
    assert excess.max() > 1e-9  # nothing has been made exact on the way
