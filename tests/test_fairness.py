"""Fairness terms: known answers, laws, what cannot be met, and how they live with the rest."""

from __future__ import annotations

import ast
import pickle
import re
import warnings
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from fairlearn import reductions
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skfairloss import PixelLossRegressor
from skfairloss.callbacks import GroupLossMonitor
from skfairloss.exceptions import InfeasibleFairnessError, UnmetFairnessWarning
from skfairloss.fairness import (
    BoundedGroupLoss,
    EqualizedLoss,
    FairnessTerm,
    PredictionParity,
    Request,
    ResidualParity,
    WorstGroupLoss,
)
from tests.fairness_oracle import Asked, FairProblem, Path, judge_path, solve, value

MIXES = (0.0, 0.5, 1.0)
PENALTIES = {"none": (0.0, 0.0), "ridge": (0.3, 0.0), "lasso": (0.2, 1.0), "enet": (0.3, 0.5)}
needs_callbacks = pytest.mark.skipif(
    find_spec("sklearn.callback") is None, reason="scikit-learn < 1.9"
)


def data(n=90, n_groups=3, outputs=(), seed=0, weighted=False):
    """X, y, whole weights and groups "a", "b", ... that differ in slope, level, noise and size."""
    rng = np.random.default_rng(seed)
    code = np.minimum(rng.integers(0, 2 * n_groups - 1, n), n_groups - 1)
    code[: 2 * n_groups] = np.arange(2 * n_groups) % n_groups
    X = rng.normal(size=(n, 3)) + 0.6 * code[:, None] * rng.normal(size=3) + [0.0, 4.0, -1.0]
    slopes = rng.normal(size=(n_groups, 3, *outputs)) * 0.5 + rng.normal(size=(3, *outputs))
    signal = np.einsum("ij,ij...->i...", X, slopes[code])
    noise = rng.standard_t(4, size=(*outputs, n)) * (0.4 + 0.5 * code)
    weight = rng.integers(1, 4, n).astype(float) if weighted else None
    return X, signal + noise.T, weight, np.array(list("abcdefgh"))[code]


def fit(fairness, sample, loss_mix=0.5, **params):
    """Fit to (X, y, weights, groups)."""
    X, y, weight, group = sample
    model = PixelLossRegressor(loss_mix, fairness=fairness, **{"scale": 1.0, **params})
    return model.fit(X, y, sample_weight=weight, sensitive_features=group)


def assert_same_model(one, two, rtol=1e-6):
    size = np.abs(two.coef_).max() + np.abs(two.intercept_).max()
    np.testing.assert_allclose(one.coef_, two.coef_, rtol=rtol, atol=rtol * size)
    np.testing.assert_allclose(one.intercept_, two.intercept_, rtol=rtol, atol=rtol * size)


def mean_gaps(values, weight, group):
    """The groups' means less the mean, (G,) or (G, m)."""
    overall = np.average(values, axis=0, weights=weight)
    weight = np.ones(len(values)) if weight is None else weight
    names = np.unique(group)
    means = [np.average(values[group == g], axis=0, weights=weight[group == g]) for g in names]
    return np.array(means) - overall


def bounds_in(error) -> dict:
    """The bounds that a message says can be met."""
    return ast.literal_eval(re.search(r"upper_bound=(\{.*\})", str(error.value)).group(1))


# --------------------------------------------------------------------------------------------------
# Two levels and a constant prediction: 0.3 (30 rows) and 0.9 (70 rows), moved and stretched
# --------------------------------------------------------------------------------------------------

TWINS = {"itself": (0.0, 1.0), "shifted": (-8.0, 1.0), "scaled": (0.0, 64.0), "both": (3.0, 0.25)}


def two_levels(fairness, loss_mix, twin="itself", weight=None):
    """The loss of the levels, and the constant in their unit."""
    offset, unit = TWINS[twin]
    level = np.repeat([0.3, 0.9], [30, 70])
    model = PixelLossRegressor(loss_mix, scale=unit, fairness=fairness)
    model.fit(
        np.zeros((100, 1)), offset + unit * level, sample_weight=weight, sensitive_features=level
    )
    return model.group_losses_, (model.intercept_ - offset) / unit


def ell(z, loss_mix):
    return loss_mix * abs(z) + (1 - loss_mix) * z**2


@pytest.mark.parametrize("twin", TWINS)
@pytest.mark.parametrize("loss_mix", [0.0, 0.3, 1.0])
def test_minimax_takes_the_middle_of_two_levels(loss_mix, twin):
    losses, constant = two_levels(WorstGroupLoss(), loss_mix, twin)
    assert constant == pytest.approx(0.6, abs=1e-9)
    assert losses == pytest.approx([ell(0.3, loss_mix)] * 2, rel=1e-8)


@pytest.mark.parametrize("twin", TWINS)
@pytest.mark.parametrize("loss_mix", [0.0, 0.3, 1.0])
def test_a_bound_between_two_levels_is_met_exactly(loss_mix, twin):
    bound = {0.3: ell(0.35, loss_mix)}  # keys are the names of the groups
    offset, unit = TWINS[twin]
    level = np.repeat([0.3, 0.9], [30, 70])
    model = PixelLossRegressor(loss_mix, scale=unit, fairness=BoundedGroupLoss(bound, loss=None))
    model.fit(np.zeros((100, 1)), offset + unit * level, sensitive_features=level)
    assert model.intercept_ == pytest.approx(offset + unit * 0.65, rel=1e-9)
    expected = [ell(0.35, loss_mix), ell(0.25, loss_mix)]
    assert model.group_losses_ == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("twin", TWINS)
@pytest.mark.parametrize("loss_mix", [0.0, 0.3, 1.0])
def test_losses_of_two_levels_are_equalised_to_the_tolerance(loss_mix, twin):
    tolerance = ell(0.35, loss_mix) - ell(0.25, loss_mix)
    losses, constant = two_levels(EqualizedLoss(tolerance, loss=None), loss_mix, twin)
    assert constant == pytest.approx(0.65, rel=1e-5)
    assert np.ptp(losses) <= tolerance * (1 + 1e-9)


def test_two_levels_are_equalised_to_a_tolerance_of_zero_without_a_warning():
    losses, constant = two_levels(EqualizedLoss(0.0, loss=None), 0.5)
    assert constant == pytest.approx(0.6, rel=1e-6)
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_a_weight_between_0_and_1_moves_two_levels_by_the_closed_form():
    # (1 - γ)(0.3 (x - 0.3)² + 0.7 (0.9 - x)²) + γ (x - 0.3)² is least at 0.9 - 0.6 q
    gamma = 0.2
    share = (1 - gamma) * 0.3 + gamma
    _, constant = two_levels(WorstGroupLoss(gamma), 0.0)
    assert constant == pytest.approx(0.9 - 0.6 * share, rel=1e-9)


@pytest.mark.parametrize("loss_mix", MIXES)
def test_zero_weight_is_the_plain_fit(loss_mix):
    sample = data(weighted=True)
    plain, model = fit(None, sample, loss_mix), fit(WorstGroupLoss(0.0), sample, loss_mix)
    assert_same_model(model, plain, 1e-9)
    np.testing.assert_allclose(model.group_weights_, plain.group_weights_, rtol=1e-9)
    assert list(model.multipliers_) == ["WorstGroupLoss"]
    np.testing.assert_array_equal(model.multipliers_["WorstGroupLoss"], 0)


@pytest.mark.parametrize("loss_mix", MIXES)
@pytest.mark.parametrize("penalty", PENALTIES)
def test_terms_that_do_not_bind_leave_the_plain_fit_and_have_no_multipliers(loss_mix, penalty):
    sample = data(weighted=True, seed=1)
    alpha, l1_ratio = PENALTIES[penalty]
    settings = {"loss_mix": loss_mix, "alpha": alpha, "l1_ratio": l1_ratio}
    plain = fit(None, sample, **settings)
    bound = float(plain.group_losses_.max() * 1.5)
    terms = [BoundedGroupLoss(bound, loss=None), PredictionParity(1e3), ResidualParity(1e3)]
    model = fit(terms, sample, **settings)
    assert_same_model(model, plain, 1e-5)
    assert model.objective_ == pytest.approx(plain.objective_, rel=1e-8)
    np.testing.assert_allclose(model.group_weights_, plain.group_weights_, atol=1e-6)
    for multipliers in model.multipliers_.values():
        np.testing.assert_allclose(multipliers, 0, atol=1e-6)


# --------------------------------------------------------------------------------------------------
# Laws
# --------------------------------------------------------------------------------------------------

WEIGHTS = (0.0, 0.2, 0.5, 0.8, 0.95, 1.0)


def along_weights(sample, loss_mix, alpha, l1_ratio):
    """Worst loss, mean loss and penalty for each weight."""
    weight = sample[2]
    rows = []
    for gamma in WEIGHTS:
        model = fit(WorstGroupLoss(gamma), sample, loss_mix, alpha=alpha, l1_ratio=l1_ratio)
        shares = [weight[sample[3] == g].sum() / weight.sum() for g in model.groups_]
        w = np.atleast_2d(model.coef_)
        penalty = alpha * (l1_ratio * abs(w).sum() + (1 - l1_ratio) / 2 * (w**2).sum())
        rows.append((model.group_losses_.max(), shares @ model.group_losses_, penalty / len(w)))
    return np.array(rows).T


@pytest.mark.parametrize("loss_mix", MIXES)
@pytest.mark.parametrize("outputs", [(), (2,)])
def test_without_a_penalty_the_worst_loss_falls_and_the_mean_rises_with_the_weight(
    loss_mix, outputs
):
    worst, mean, _ = along_weights(data(outputs=outputs, weighted=True), loss_mix, 0.0, 0.0)
    slack = 1e-7 * worst[0]
    assert (np.diff(worst) <= slack).all()
    assert (np.diff(mean) >= -slack).all()
    assert worst[0] - worst[-1] > 0.01 * worst[0]
    assert mean[-1] - mean[0] > 1e-4 * mean[0]


@pytest.mark.parametrize("loss_mix", MIXES)
@pytest.mark.parametrize("penalty", ["ridge", "lasso", "enet"])
def test_with_a_penalty_worst_less_mean_falls_and_mean_and_penalty_rise(loss_mix, penalty):
    sample = data(weighted=True, seed=2)
    worst, mean, cost = along_weights(sample, loss_mix, *PENALTIES[penalty])
    slack = 1e-7 * worst[0]
    assert (np.diff(worst - mean) <= slack).all()
    assert (np.diff(mean + cost) >= -slack).all()
    assert (worst - mean)[0] - (worst - mean)[-1] > 0.01 * worst[0]


@pytest.mark.parametrize("loss_mix", MIXES)
def test_at_weight_1_a_group_with_columns_of_its_own_keeps_its_own_best_loss(loss_mix):
    X, y, _, group = data(n_groups=2, seed=3)
    own = np.where(group == "a", 1.0, 0.0)[:, None]
    sample = np.hstack([X * own, X * (1 - own), own]), y, None, group
    model = fit(WorstGroupLoss(), sample, loss_mix)
    for name, loss in zip(model.groups_, model.group_losses_, strict=True):
        mine = group == name
        best = PixelLossRegressor(loss_mix, scale=1.0).fit(X[mine], y[mine]).objective_
        assert loss == pytest.approx(best, rel=1e-5)


@pytest.mark.parametrize("loss_mix", MIXES)
def test_at_weight_1_the_worst_loss_is_the_least_possible_one_with_a_group_dummy_in_x(loss_mix):
    X, y, _, group = data(seed=4)
    dummy = (group == "a").astype(float)[:, None]
    sample = np.hstack([X, dummy, dummy * X]), y, None, group
    model = fit(WorstGroupLoss(), sample, loss_mix)
    problem = FairProblem(sample[0], y, group, Asked(worst=1.0), loss_mix=loss_mix)
    assert model.group_losses_.max() == pytest.approx(solve(problem).losses.max(), rel=1e-6)
    own = PixelLossRegressor(loss_mix, scale=1.0).fit(X[group == "a"], y[group == "a"])
    assert model.group_losses_[0] == pytest.approx(own.objective_, rel=1e-5)


@pytest.mark.parametrize("loss_mix", [0.0, 0.4])
@pytest.mark.parametrize("penalty", ["none", "ridge", "enet"])
@pytest.mark.parametrize("name", ["worst", "minimax", "bounded", "both"])
def test_the_plain_fit_under_the_group_weights_is_the_same_model(name, penalty, loss_mix):
    sample = X, y, weight, group = data(weighted=True, seed=5, outputs=(2,))
    alpha, l1_ratio = PENALTIES[penalty]
    settings = {"loss_mix": loss_mix, "l1_ratio": l1_ratio}
    plain = fit(None, sample, alpha=alpha, **settings)
    best = fit(WorstGroupLoss(), sample, alpha=alpha, **settings)
    middle = float((plain.group_losses_.max() + best.group_losses_.max()) / 2)
    terms = {
        "worst": WorstGroupLoss(0.7),
        "minimax": WorstGroupLoss(),
        "bounded": BoundedGroupLoss(middle, loss=None),
        "both": [WorstGroupLoss(0.4), BoundedGroupLoss({"c": middle}, loss=None)],
    }
    model = fit(terms[name], sample, alpha=alpha, **settings)
    assert abs(model.group_weights_ - plain.group_weights_).max() > 0.01
    names = model.groups_.tolist()
    total = {g: weight[group == g].sum() / weight.sum() for g in names}
    factor = {g: w / total[g] for g, w in zip(names, model.group_weights_, strict=True)}
    again = PixelLossRegressor(alpha=alpha / model.group_weights_.sum(), scale=1.0, **settings)
    again.fit(X, y, sample_weight=weight * [factor[g] for g in group])
    assert_same_model(again, model, 1e-5)


@pytest.mark.parametrize("loss_mix", MIXES)
def test_multipliers_have_names_and_shapes_and_are_zero_where_nothing_is_held(loss_mix):
    sample = data(weighted=True, outputs=(2,), seed=6)
    plain = fit(None, sample, loss_mix)
    bound = float(0.98 * plain.group_losses_.max())
    terms = [WorstGroupLoss(0.5), BoundedGroupLoss({"c": bound}, loss=None)]
    free = fit(terms, sample, loss_mix).predict(sample[0])
    limit = float(0.5 * abs(mean_gaps(free, *sample[2:])).max())
    terms.append(PredictionParity(limit))
    model = fit(terms, sample, loss_mix)
    shapes = {name: value.shape for name, value in model.multipliers_.items()}
    assert shapes == {
        "WorstGroupLoss": (3,),
        "BoundedGroupLoss": (3,),
        "PredictionParity": (3, 2),
    }
    worst, held, parity = model.multipliers_.values()
    losses = model.group_losses_
    assert worst.sum() == pytest.approx(0.5, rel=1e-7)
    assert (worst >= 0).all()
    assert worst @ (losses.max() - losses) <= 1e-7 * losses.max()
    assert (held[:2] == 0).all()
    assert (held >= 0).all()
    gaps = mean_gaps(model.predict(sample[0]), *sample[2:])
    assert abs(parity).max() > 1e-3
    assert (abs(parity * (limit - abs(gaps))) <= 1e-6).all()
    alone = fit(PredictionParity(limit), (sample[0], sample[1][:, 0], *sample[2:]), loss_mix)
    assert alone.multipliers_["PredictionParity"].shape == (3,)


def test_a_multiplier_is_what_a_looser_bound_would_save():
    sample = data(seed=7)
    worst = fit(WorstGroupLoss(), sample).group_losses_.max()
    top = fit(None, sample).group_losses_.max()
    bound, step = (worst + top) / 2, 1e-4 * top
    here = fit(BoundedGroupLoss(bound, loss=None), sample)
    looser = fit(BoundedGroupLoss(bound + step, loss=None), sample)
    tighter = fit(BoundedGroupLoss(bound - step, loss=None), sample)
    saved = (tighter.objective_ - looser.objective_) / (2 * step)
    assert here.multipliers_["BoundedGroupLoss"].sum() == pytest.approx(saved, rel=1e-2)


# --------------------------------------------------------------------------------------------------
# Parities
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss_mix", MIXES)
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("kind", [PredictionParity, ResidualParity])
def test_parities_are_attained_for_each_output_with_weights(kind, penalty, loss_mix):
    X, y, weight, group = data(outputs=(2,), weighted=True, seed=8)
    X, y = np.hstack([X, (group == "a")[:, None]]), 100.0 + 50.0 * y
    sample = X, y, weight, group
    alpha, l1_ratio = PENALTIES[penalty]
    for tolerance in (0.0, 3.0):
        model = fit(kind(tolerance), sample, loss_mix, scale=50.0, alpha=alpha, l1_ratio=l1_ratio)
        prediction = model.predict(X)
        values = prediction if kind is PredictionParity else y - prediction
        gaps = mean_gaps(values, weight, group)
        assert abs(gaps).max() <= tolerance + 1e-9 * np.abs(y).max()
        assert model.infeasibility_ <= 1e-9


def test_a_parity_binds_where_the_plain_fit_breaks_it():
    sample = data(seed=8)
    plain = fit(None, sample)
    limit = float(0.5 * abs(mean_gaps(plain.predict(sample[0]), None, sample[3])).max())
    model = fit(PredictionParity(limit), sample)
    gaps = mean_gaps(model.predict(sample[0]), None, sample[3])
    assert limit > 0.1
    assert abs(gaps).max() == pytest.approx(limit, rel=1e-9)


def test_residual_parity_without_a_feature_that_tells_the_groups_apart_names_them():
    rng = np.random.default_rng(0)
    group = np.repeat(["calm", "far", "near"], 20)
    X = np.tile(rng.normal(size=(20, 2)), (3, 1))  # the same features in each group
    y = X @ [1.0, -1.0] + np.repeat([0.0, 5.0, 1.0], 20)
    with pytest.raises(InfeasibleFairnessError, match="'far'") as error:
        fit(ResidualParity(0.5), (X, y, None, group))
    # means are 0, 5, 1, their mean 2: the largest gap is 3
    larger = float(re.search(r"larger by ([\d.]+)", str(error.value)).group(1))
    assert larger == pytest.approx(2.5, rel=1e-5)
    model = fit(ResidualParity(0.5 + larger), (X, y, None, group))
    assert abs(mean_gaps(y - model.predict(X), None, group)).max() <= 0.5 + larger + 1e-9


def test_both_parities_need_tolerances_that_add_up_to_the_gap_of_the_true_means():
    rng = np.random.default_rng(1)
    group = np.repeat(["x", "z"], [30, 10])
    X = rng.normal(size=(40, 2)) + (group == "x")[:, None]
    y = X @ [1.0, 0.5] + 2.0 * (group == "z")
    gap = abs(mean_gaps(y, None, group)).max()
    terms = [PredictionParity(0.4 * gap), ResidualParity(0.5 * gap)]
    with pytest.raises(InfeasibleFairnessError, match=r"groups? .*'z'"):
        fit(terms, (X, y, None, group))
    model = fit([PredictionParity(0.45 * gap), ResidualParity(0.56 * gap)], (X, y, None, group))
    prediction = model.predict(X)
    assert abs(mean_gaps(prediction, None, group)).max() <= 0.45 * gap * (1 + 1e-8)
    assert abs(mean_gaps(y - prediction, None, group)).max() <= 0.56 * gap * (1 + 1e-8)


# --------------------------------------------------------------------------------------------------
# Bounds that cannot be met
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss_mix", MIXES)
@pytest.mark.parametrize("outputs", [(), (2,)])
@pytest.mark.parametrize("asked", ["number", "dict"])
def test_the_message_names_groups_and_bounds_that_a_refit_meets(asked, outputs, loss_mix):
    sample = data(outputs=outputs, weighted=True, seed=9)
    bound = 0.05 if asked == "number" else {"a": 0.02, "c": 0.07}
    with pytest.raises(InfeasibleFairnessError, match=r"the groups? '") as error:
        fit(BoundedGroupLoss(bound, loss=None), sample, loss_mix)
    able = bounds_in(error)
    assert set(able) == ({"a", "b", "c"} if asked == "number" else {"a", "c"})
    model = fit(BoundedGroupLoss(able, loss=None), sample, loss_mix)
    losses = dict(zip(model.groups_.tolist(), model.group_losses_, strict=True))
    assert all(losses[name] <= bound * (1 + 1e-7) for name, bound in able.items())
    tight = {name: bound * (1 - 1e-4) for name, bound in able.items()}
    with pytest.raises(InfeasibleFairnessError):
        fit(BoundedGroupLoss(tight, loss=None), sample, loss_mix)


def test_names_of_several_columns_are_tuples_in_bounds_and_messages():
    X, y, _, group = data(n_groups=4, n=120, seed=10)
    columns = pd.DataFrame({"half": np.where(group < "c", "low", "high"), "name": group})
    sample = X, y, None, columns
    plain = fit(None, sample)
    assert plain.groups_.tolist()[0] == ["high", "c"]
    name = tuple(plain.groups_[plain.group_losses_.argmax()])
    bound = float(plain.group_losses_.max() * 0.97)
    model = fit(BoundedGroupLoss({name: bound}, loss=None), sample)
    assert model.group_losses_[plain.group_losses_.argmax()] == pytest.approx(bound, rel=1e-7)
    with pytest.raises(InfeasibleFairnessError) as error:
        fit(BoundedGroupLoss({name: 1e-3}, loss=None), sample)
    (key,) = bounds_in(error)
    assert key == name
    assert f"the bound of the group {name} stands against the data" in str(error.value)
    with pytest.raises(InfeasibleFairnessError) as error:
        fit(BoundedGroupLoss({("low", "a"): 1e-3, ("high", "c"): 1e-3}, loss=None), sample)
    both = "the bounds of the groups ('high', 'c') and ('low', 'a') stand against each other"
    assert both in str(error.value)


def test_means_that_no_model_brings_together_are_those_of_groups_in_words():
    X, group = np.zeros((8, 1)), np.repeat(["a", "b"], 4)
    columns = {"half": group, "all": ["z"] * 8}
    # the two contradict each other whichever of them the linear programme blames
    one = r"group \('(a|b)', 'z'\)"
    both = r"groups \('a', 'z'\) and \('b', 'z'\)"
    with pytest.raises(InfeasibleFairnessError, match=f"the means of the ({one}|{both}) as close"):
        fit(ResidualParity(), (X, np.repeat([0.0, 1.0], 4), None, columns))


@pytest.mark.parametrize("loss_mix", MIXES)
def test_a_bound_of_zero_is_met_where_a_group_can_be_fitted_exactly(loss_mix):
    X, y, _, group = data(seed=11)
    y = np.where(group == "a", X @ [1.0, 2.0, -1.0] + 3.0, y)
    model = fit(BoundedGroupLoss({"a": 0.0}, loss=None), (X, y, None, group), loss_mix)
    natural = np.mean(np.abs(y - y.mean()))
    assert model.group_losses_[0] <= 1e-8 * max(natural, natural**2)
    rows = group == "a"
    error = abs(model.predict(X[rows]) - y[rows]).max()
    assert error <= (1e-3 if loss_mix < 1 else 1e-6) * np.abs(y).max()


@pytest.mark.parametrize("loss_mix", MIXES)
def test_a_bound_of_zero_is_refused_where_it_cannot_be_met(loss_mix):
    sample = data(seed=11)
    with pytest.raises(InfeasibleFairnessError, match="'a'") as error:
        fit(BoundedGroupLoss({"a": 0.0}, loss=None), sample, loss_mix)
    able = bounds_in(error)
    assert 0 < able["a"] < fit(None, sample, loss_mix).group_losses_[0]
    fit(BoundedGroupLoss(able, loss=None), sample, loss_mix)


def test_a_fit_that_fails_leaves_the_estimator_as_it_was():
    sample = data(seed=12)
    model = fit(BoundedGroupLoss(1e3, loss=None), sample)
    before = {name: np.copy(value) for name, value in vars(model).items() if name.endswith("_")}
    model.set_params(fairness__upper_bound=1e-3)
    with pytest.raises(InfeasibleFairnessError):
        model.fit(*sample[:2], sample_weight=sample[2], sensitive_features=sample[3])
    after = {name: value for name, value in vars(model).items() if name.endswith("_")}
    assert set(after) == set(before)
    np.testing.assert_array_equal(after["coef_"], before["coef_"])


# --------------------------------------------------------------------------------------------------
# Equalised losses
# --------------------------------------------------------------------------------------------------


def equalized(tolerance, sample, **settings):
    """The problem, what is reached, the warning if any, and the model."""
    X, y, weight, group = sample
    problem = FairProblem(X, y, group, Asked(spread=tolerance), weight, **settings)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = problem.fit()
    assert {w.category for w in caught} <= {UnmetFairnessWarning}
    reached = value(problem, np.atleast_2d(model.coef_).T, model.intercept_)
    return problem, reached, str(caught[0].message) if caught else "", model


@pytest.mark.parametrize("loss_mix", MIXES)
@pytest.mark.parametrize("alpha", [0.0, 0.3])
@pytest.mark.parametrize("share", [0.2, 0.7])
def test_two_groups_are_equalised_as_a_brute_force_scan_says(share, alpha, loss_mix):
    sample = data(n_groups=2, n=60, seed=13, weighted=True)
    settings = {"loss_mix": loss_mix, "alpha": alpha}
    path = Path(FairProblem(sample[0], sample[1], sample[3], Asked(), sample[2], **settings))
    bottom = path.at(path.smallest() * (1 + 1e-5))
    top, low = np.ptp(path.top().losses), np.ptp(bottom.losses)
    tolerance = float(low + share * (top - low))
    problem, reached, warning, model = equalized(tolerance, sample, **settings)
    fault = judge_path(problem, reached, bool(warning), n_levels=40)
    assert fault == ""
    assert not warning
    assert np.ptp(reached.losses) == pytest.approx(tolerance, rel=1e-3)
    assert list(model.multipliers_) == ["EqualizedLoss"]


def three_groups():
    """Three groups whose spread falls along the path, and rises again near its end."""
    rng = np.random.default_rng(232)
    X, y = rng.normal(size=(18, 2)), np.round(rng.normal(size=18) * 2, 1)
    return X, y, None, np.repeat(["a", "b", "c"], [8, 6, 4])


def test_the_first_crossing_is_found_where_the_spread_is_not_monotone():
    X, y, _, group = three_groups()
    scan = Path(FairProblem(X, y, group, Asked(spread=0.62), loss_mix=0.0)).scan(100)
    assert (np.diff(scan.spread) < -1e-3).any()
    assert (np.diff(scan.spread) > 1e-3).any()
    assert scan.spread.min() < 0.62 < scan.spread[-1]
    problem, reached, warning, _ = equalized(0.62, three_groups(), loss_mix=0.0)
    assert judge_path(problem, reached, bool(warning), n_levels=100) == ""
    assert not warning
    assert np.ptp(reached.losses) == pytest.approx(0.62, rel=1e-3)


def test_the_smallest_spread_of_a_path_is_taken_where_none_is_small_enough():
    problem, reached, warning, _ = equalized(0.3, three_groups(), loss_mix=0.0)
    scan = Path(problem).scan(100)
    assert np.ptp(reached.losses) == pytest.approx(scan.spread.min(), rel=1e-2)
    left = float(re.search(r"spread of ([\d.]+)", warning).group(1))
    assert left == pytest.approx(np.ptp(reached.losses), rel=1e-5)
    assert "tolerance=0.3" in warning
    assert "making a group worse" not in warning


@pytest.mark.parametrize("loss_mix", MIXES)
def test_what_could_only_be_closed_by_making_a_group_worse_is_left_and_stated(loss_mix):
    X, y, _, group = data(n_groups=2, seed=3)
    own = np.where(group == "a", 1.0, 0.0)[:, None]  # each group has its own model
    sample = np.hstack([X * own, X * (1 - own), own]), y, None, group
    plain = fit(None, sample, loss_mix)
    _, reached, warning, _ = equalized(0.0, sample, loss_mix=loss_mix)
    assert "making a group worse" in warning
    np.testing.assert_allclose(reached.losses, plain.group_losses_, rtol=1e-4)


def test_a_wide_tolerance_is_the_plain_fit():
    sample = data(seed=14)
    assert_same_model(fit(EqualizedLoss(1e3, loss=None), sample), fit(None, sample), 1e-5)


@pytest.mark.parametrize("other", [BoundedGroupLoss({"a": 1.3}, loss=None), PredictionParity(0.4)])
def test_other_terms_hold_on_the_path(other):
    sample = X, _, _, group = data(seed=15)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnmetFairnessWarning)
        model = fit([EqualizedLoss(0.05, loss=None), other], sample)
    if isinstance(other, BoundedGroupLoss):
        assert model.group_losses_[0] <= 1.3 * (1 + 1e-7)
    else:
        assert abs(mean_gaps(model.predict(X), None, group)).max() <= 0.4 * (1 + 1e-7)


# --------------------------------------------------------------------------------------------------
# What is refused
# --------------------------------------------------------------------------------------------------

BAD = [
    (WorstGroupLoss(1.5), "weight of WorstGroupLoss must be a number in .0, 1., got 1.5"),
    (WorstGroupLoss(-0.1), "weight of WorstGroupLoss"),
    (WorstGroupLoss("1"), "weight of WorstGroupLoss must be .* got '1'"),
    (WorstGroupLoss(np.nan), "weight of WorstGroupLoss must be .* got nan"),
    (WorstGroupLoss(None), "weight of WorstGroupLoss must be .* got None"),
    (WorstGroupLoss(True), "weight of WorstGroupLoss must be .* got True"),
    (BoundedGroupLoss(-1.0, loss=None), "upper_bound of BoundedGroupLoss must be .* got -1.0"),
    (BoundedGroupLoss(np.nan, loss=None), "upper_bound of BoundedGroupLoss must be .* got nan"),
    (BoundedGroupLoss(np.inf, loss=None), "upper_bound of BoundedGroupLoss must be .* got inf"),
    (BoundedGroupLoss({}, loss=None), r"upper_bound of BoundedGroupLoss must be .* got \{\}"),
    (BoundedGroupLoss({"a": -1.0}, loss=None), r"upper_bound of BoundedGroupLoss must be .* -1.0"),
    (BoundedGroupLoss({"a": "1"}, loss=None), "upper_bound of BoundedGroupLoss must be"),
    (BoundedGroupLoss([1.0, 2.0, 3.0], loss=None), "upper_bound of BoundedGroupLoss must be"),
    (BoundedGroupLoss(None, loss=None), "upper_bound of BoundedGroupLoss must be .* got None"),
    (BoundedGroupLoss({"q": 1.0}, loss=None), "names 'q', which is none of the groups with rows"),
    (EqualizedLoss(-0.1, loss=None), "tolerance of EqualizedLoss must be a number >= 0, got -0.1"),
    (EqualizedLoss("small", loss=None), "tolerance of EqualizedLoss must be .* got 'small'"),
    (PredictionParity(-1), "tolerance of PredictionParity must be a number >= 0, got -1"),
    (ResidualParity(np.nan), "tolerance of ResidualParity must be a number >= 0, got nan"),
    (ResidualParity([0.0]), "tolerance of ResidualParity must be a number >= 0, got"),
    ("worst", "fairness of PixelLossRegressor must be None, a term or a list .* got 'worst'"),
    ([], r"fairness of PixelLossRegressor must be .* got \[\]"),
    ([WorstGroupLoss(), None], "fairness of PixelLossRegressor must be"),
    (WorstGroupLoss, r"fairness of PixelLossRegressor must be .*: write WorstGroupLoss\(\)$"),
    (BoundedGroupLoss, r"the class BoundedGroupLoss: write BoundedGroupLoss\(upper_bound=\.\.\.\)"),
    (EqualizedLoss, r"the class EqualizedLoss: write EqualizedLoss\(tolerance=\.\.\.\)"),
    (PredictionParity, r"the class PredictionParity: write PredictionParity\(\)"),
    (ResidualParity, r"the class ResidualParity: write ResidualParity\(\)"),
    ([PredictionParity(), WorstGroupLoss], r"the class WorstGroupLoss: write WorstGroupLoss\(\)"),
    ((BoundedGroupLoss, None), r"write BoundedGroupLoss\(upper_bound=\.\.\.\)"),
    ([WorstGroupLoss(), WorstGroupLoss(0.5)], "two terms of the class WorstGroupLoss"),
    ([PredictionParity(), PredictionParity()], "two terms of the class PredictionParity"),
    (
        [EqualizedLoss(1.0, loss=None), WorstGroupLoss()],
        "must not combine EqualizedLoss with WorstGroupLoss",
    ),
]


@pytest.mark.parametrize(("fairness", "message"), BAD)
def test_bad_terms_are_refused_by_name(fairness, message):
    with pytest.raises((TypeError, ValueError), match=message) as error:
        fit(fairness, data())
    assert not isinstance(error.value, InfeasibleFairnessError)


@pytest.mark.parametrize(
    "term", [WorstGroupLoss(0.0), PredictionParity(), [EqualizedLoss(1.0, loss=None)]]
)
def test_terms_without_groups_are_refused(term):
    X, y, _, _ = data()
    with pytest.raises(ValueError, match="needs the groups: pass sensitive_features"):
        PixelLossRegressor(fairness=term).fit(X, y)


@pytest.mark.parametrize(
    "term", [WorstGroupLoss(), BoundedGroupLoss(1e9, loss=None), PredictionParity()]
)
def test_a_single_group_is_refused_by_name(term):
    X, y, _, group = data()
    with pytest.raises(ValueError, match=r"at least two groups .* got 'only'"):
        fit(term, (X, y, None, np.full(len(y), "only")))
    with pytest.raises(ValueError, match=r"at least two groups .* got 'a'"):
        fit(term, (X, y, (group == "a").astype(float), group))


# --------------------------------------------------------------------------------------------------
# Every term, in every setting
# --------------------------------------------------------------------------------------------------

EVERY = {
    "worst": WorstGroupLoss(0.6),
    "minimax": WorstGroupLoss(),
    "bounded": None,  # depends on the sample
    "equalized": None,
    "predictions": PredictionParity(0.2),
    "residuals": ResidualParity(0.02),
    "list": [WorstGroupLoss(0.5), PredictionParity(0.2), ResidualParity(3.0)],
}
every_term = pytest.mark.parametrize("name", EVERY)
every_mix = pytest.mark.parametrize("loss_mix", MIXES)


def term_of(name, sample, loss_mix):
    """The term, with a bound or a tolerance that binds in the sample and can be met."""
    if EVERY[name] is not None:
        return EVERY[name]
    plain = fit(None, sample, loss_mix).group_losses_
    if name == "bounded":
        return BoundedGroupLoss({"c": float(0.97 * plain[2])}, loss=None)
    best = fit(WorstGroupLoss(), sample, loss_mix).group_losses_
    return EqualizedLoss(float(0.3 * np.ptp(best) + 0.7 * np.ptp(plain)), loss=None)


@every_term
@every_mix
def test_every_term_changes_the_model_of_the_sample(name, loss_mix):
    sample = data(seed=16)
    model = fit(term_of(name, sample, loss_mix), sample, loss_mix)
    plain = fit(None, sample, loss_mix)
    assert abs(model.coef_ - plain.coef_).max() > 1e-4
    assert model.dual_gap_ <= 1e-7 * model.objective_
    assert model.infeasibility_ <= 1e-8


@every_term
@every_mix
def test_a_weight_is_the_same_as_copies_under_every_term(name, loss_mix):
    sample = X, y, weight, group = data(seed=16, weighted=True)
    term = term_of(name, sample, loss_mix)
    times = weight.astype(int)
    copies = tuple(np.repeat(part, times, axis=0) for part in (X, y)), np.repeat(group, times)
    repeated = fit(term, (*copies[0], None, copies[1]), loss_mix)
    assert_same_model(fit(term, sample, loss_mix), repeated, 1e-5)


@every_term
@every_mix
def test_the_order_and_the_names_of_rows_and_groups_do_not_matter(name, loss_mix):
    sample = X, y, weight, group = data(seed=16, weighted=True)
    term = term_of(name, sample, loss_mix)
    order = np.random.default_rng(0).permutation(len(y))
    shuffled = X[order], y[order], weight[order], group[order]
    model = fit(term, sample, loss_mix)
    assert_same_model(fit(term, shuffled, loss_mix), model, 1e-5)


@every_term
@every_mix
def test_terms_follow_a_shift_and_a_scale_of_y(name, loss_mix):
    X, y, weight, group = data(seed=16, weighted=True)
    term = term_of(name, (X, y, weight, group), loss_mix)
    factor, offset = 32.0, 500.0
    moved = clone(term)
    for part in moved if isinstance(moved, list) else [moved]:
        if isinstance(part, PredictionParity | ResidualParity):
            part.tolerance *= factor
    one = fit(term, (X, y, weight, group), loss_mix)
    two = fit(moved, (X, offset + factor * y, weight, group), loss_mix, scale=factor)
    size = abs(one.coef_).max()
    np.testing.assert_allclose(two.coef_ / factor, one.coef_, rtol=1e-5, atol=1e-5 * size)
    assert two.objective_ == pytest.approx(one.objective_, rel=1e-7)
    np.testing.assert_allclose(two.group_losses_, one.group_losses_, rtol=1e-5)


@every_term
@every_mix
def test_sparse_and_dense_and_float32_and_objects_of_pandas_are_the_same(name, loss_mix):
    X, y, weight, group = data(seed=16, weighted=True)
    X = np.float32(X)
    X[abs(X) < 0.4] = 0
    dense = X.astype(float)
    term = term_of(name, (dense, y, weight, group), loss_mix)
    model = fit(term, (dense, y, weight, group), loss_mix)
    index = np.arange(len(y)) + 1000
    frames = [pd.Series(part, index) for part in (y, weight, group)]
    for other in (
        fit(term, (sp.csr_array(dense), y, weight, group), loss_mix),
        fit(term, (sp.csc_matrix(X), y, weight, group), loss_mix),
        fit(term, (X, y, weight, group), loss_mix),
        fit(term, (pd.DataFrame(dense, index, list("pqr")), *frames), loss_mix),
    ):
        assert_same_model(other, model, 1e-5)


@every_term
def test_group_losses_do_not_depend_on_clip_and_predictions_do(name):
    sample = data(seed=16)
    term = term_of(name, sample, 0.5)
    model, clipped = fit(term, sample), fit(term, sample, clip=(-1.0, 1.0))
    np.testing.assert_array_equal(clipped.group_losses_, model.group_losses_)
    np.testing.assert_array_equal(clipped.predict(sample[0]), model.predict(sample[0]).clip(-1, 1))


@every_term
def test_prediction_depends_on_x_alone(name):
    sample = data(seed=16)
    model = fit(term_of(name, sample, 0.5), sample)
    X = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_allclose(model.predict(X), X @ model.coef_ + model.intercept_, rtol=1e-12)


@every_term
def test_pickles_and_clones_keep_the_terms(name):
    sample = data(seed=16)
    model = fit(term_of(name, sample, 0.5), sample)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict(sample[0]), model.predict(sample[0]))
    assert copy.multipliers_.keys() == model.multipliers_.keys()
    fresh = clone(model)
    assert not hasattr(fresh, "coef_")
    assert repr(fresh.fairness) == repr(model.fairness)
    fresh.fit(*sample[:2], sample_weight=sample[2], sensitive_features=sample[3])
    np.testing.assert_array_equal(fresh.coef_, model.coef_)
    assert repr(fresh) == repr(model)


def test_the_parameters_of_a_term_are_nested_parameters_of_the_estimator():
    model = PixelLossRegressor(fairness=BoundedGroupLoss(2.0, loss=None))
    assert model.get_params()["fairness__upper_bound"] == 2.0
    other = clone(model).set_params(fairness__upper_bound={"a": 1.0})
    assert other.fairness.upper_bound == {"a": 1.0}
    assert model.fairness.upper_bound == 2.0
    with pytest.raises(ValueError, match="Invalid parameter 'bound'"):
        model.set_params(fairness__bound=1.0)


def test_a_plain_refit_forgets_the_multipliers():
    X, y, _, group = data()
    model = fit(WorstGroupLoss(), (X, y, None, group)).set_params(fairness=None)
    model.fit(X, y, sensitive_features=group)
    assert not hasattr(model, "multipliers_")
    model.fit(X, y)
    assert not hasattr(model, "group_losses_")


def test_a_warm_start_gives_the_same_model():
    sample = data(seed=17)
    cold = fit(WorstGroupLoss(), sample)
    warm = PixelLossRegressor(fairness=WorstGroupLoss(0.1), scale=1.0, warm_start=True)
    warm.fit(*sample[:2], sample_weight=sample[2], sensitive_features=sample[3]).set_params(
        fairness__weight=1.0
    )
    assert_same_model(
        warm.fit(*sample[:2], sample_weight=sample[2], sensitive_features=sample[3]), cold
    )


@every_term
@every_mix
def test_a_single_iteration_is_declared(name, loss_mix):
    sample = data(seed=16)
    term = term_of(name, sample, loss_mix)
    with pytest.warns() as caught:
        model = fit(term, sample, loss_mix, max_iter=1)
    kinds = {warning.category for warning in caught}
    assert ConvergenceWarning in kinds
    assert kinds <= {ConvergenceWarning, UnmetFairnessWarning}
    text = next(str(w.message) for w in caught if w.category is ConvergenceWarning)
    assert "raise max_iter" in text
    best = fit(term, sample, loss_mix)
    if name not in ("bounded", "equalized") and model.infeasibility_ <= 1e-8:
        assert model.objective_ - model.dual_gap_ <= best.objective_ * (1 + 1e-8)


@pytest.mark.parametrize("loss_mix", MIXES)
def test_hundreds_of_groups_from_three_columns_are_certified(loss_mix):
    rng = np.random.default_rng(18)
    n = 1500
    columns = np.column_stack([rng.integers(0, size, n) for size in (6, 6, 6)])
    X = rng.normal(size=(n, 3))
    y = X @ [1.0, -1.0, 0.5] + rng.normal(size=n) * (1 + columns[:, 0]) * 0.3
    model = fit(WorstGroupLoss(0.5), (X, y, None, columns), loss_mix)
    assert len(model.groups_) > 200
    problem = FairProblem(X, y, columns, Asked(worst=0.5), loss_mix=loss_mix)
    expected = solve(problem).objective(0.5)
    assert model.objective_ == pytest.approx(expected, rel=1e-6)


class BoundedByTheBest(FairnessTerm):
    """A term of one's own: no group loses more than ``factor`` times a level."""

    def __init__(self, level=1.0, factor=1.0):
        self.level = level
        self.factor = factor

    def check(self):
        self._check(factor=(lambda value: value >= 1, "a number >= 1"))

    def translate(self, data):
        return Request(bounds=np.full(data.groups.n_groups, self.factor * self.level))

    def multipliers(self, found):
        return found.bounds[None]


@every_mix
def test_a_term_of_ones_own_needs_no_other_file(loss_mix):
    sample = data(seed=6)
    level = float(fit(WorstGroupLoss(), sample, loss_mix).group_losses_.max())
    model = fit([BoundedByTheBest(level, 1.05), PredictionParity(0.5)], sample, loss_mix)
    same = fit([BoundedGroupLoss(1.05 * level, loss=None), PredictionParity(0.5)], sample, loss_mix)
    assert_same_model(model, same)
    np.testing.assert_allclose(
        model.multipliers_["BoundedByTheBest"], same.multipliers_["BoundedGroupLoss"], rtol=1e-6
    )
    with pytest.raises(ValueError, match="factor of BoundedByTheBest must be a number >= 1, got 0"):
        fit(BoundedByTheBest(level, 0), sample, loss_mix)


# --------------------------------------------------------------------------------------------------
# Callbacks
# --------------------------------------------------------------------------------------------------


@needs_callbacks
@every_term
@every_mix
def test_progress_and_group_losses_are_told_under_every_term(name, loss_mix, capsys):
    from sklearn.callback import ProgressBar

    pytest.importorskip("rich")
    sample = X, y, _, group = data(seed=16, outputs=(2,))
    term = term_of(name, sample, loss_mix)
    monitor = GroupLossMonitor()
    model = PixelLossRegressor(loss_mix, scale=1.0, fairness=term)
    model.set_callbacks(monitor, ProgressBar()).fit(X, y, sensitive_features=group)
    bare = fit(term, sample, loss_mix)
    np.testing.assert_array_equal(model.coef_, bare.coef_)
    assert "PixelLossRegressor" in capsys.readouterr().out
    log = monitor.to_frame()
    fitted, steps = log[log["task"] == "fit"], log[log["task"] == "iteration"]
    np.testing.assert_array_equal(fitted["loss"], model.group_losses_)
    assert len(steps) >= 3 * model.n_iter_
    assert np.isfinite(steps["loss"]).all()


@needs_callbacks
@pytest.mark.parametrize("name", ["minimax", "bounded", "equalized", "predictions"])
def test_a_callback_that_stops_leaves_a_model_and_a_stated_gap(name):
    class Stop:
        def setup(self, estimator, context):
            """Nothing to prepare."""

        def teardown(self, estimator, context):
            """Nothing to put away."""

        def on_fit_task_begin(self, estimator, context):
            """Nothing to note."""

        def on_fit_task_end(self, estimator, context):
            return context.task_name == "iteration" and context.task_id == 2

    X, y, _, group = sample = data(seed=16)
    model = PixelLossRegressor(scale=1.0, fairness=term_of(name, sample, 0.5))
    model.set_callbacks(Stop())
    with pytest.warns(ConvergenceWarning, match="a callback stopped the fit: let it go on"):
        model.fit(X, y, sensitive_features=group)
    assert np.isfinite(model.coef_).all()
    assert model.group_losses_.shape == (3,)


# --------------------------------------------------------------------------------------------------
# Beside fairlearn's reductions
# --------------------------------------------------------------------------------------------------

MOMENTS = {0.0: reductions.SquareLoss, 1.0: reductions.AbsoluteLoss}


def reduction(loss_mix, share):
    """Data, and fairlearn's moment for a bound between those of the plain and the minimax fit."""
    X, y, _, group = data(n=120, seed=19)
    sample = pd.DataFrame(X, columns=list("pqr")), pd.Series(y), None, pd.Series(group)
    plain, best = fit(None, sample, loss_mix), fit(WorstGroupLoss(), sample, loss_mix)
    top, low = plain.group_losses_.max(), best.group_losses_.max()
    wide = MOMENTS[loss_mix](y.min() - 100.0, y.max() + 100.0)  # clips no prediction
    bound = float(low + share * (top - low))
    return sample, reductions.BoundedGroupLoss(wide, upper_bound=bound), bound


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("loss_mix", MOMENTS)
def test_the_randomised_predictor_of_fairlearn_is_no_better_for_any_group(loss_mix):
    sample, moment, _ = reduction(loss_mix, 0.1)
    X, y, _, group = sample
    base = PixelLossRegressor(loss_mix)
    mixture = reductions.ExponentiatedGradient(base, moment, eps=0.05, max_iter=15)
    mixture.fit(X, y, sensitive_features=group)
    used = [(w, mixture.predictors_[i]) for i, w in mixture.weights_.items() if w > 0]
    assert len(used) > 1
    assert all(isinstance(predictor, PixelLossRegressor) for _, predictor in used)

    def losses(prediction):
        return ell(y - prediction, loss_mix).groupby(group).mean().to_numpy()

    randomised = sum(w * losses(predictor.predict(X)) for w, predictor in used)
    averaged = losses(sum(w * predictor.predict(X) for w, predictor in used))
    assert (averaged <= randomised * (1 + 1e-9)).all()
    assert (averaged < randomised * (1 - 1e-6)).any()
    # one model of ours is within the mixture's group losses, and its overall loss is no larger
    bounds = dict(zip(np.unique(group).tolist(), map(float, randomised), strict=True))
    model = fit(BoundedGroupLoss(bounds, loss=None), sample, loss_mix)
    share = group.value_counts(normalize=True).sort_index().to_numpy()
    assert (model.group_losses_ <= randomised * (1 + 1e-8)).all()
    assert share @ model.group_losses_ <= share @ randomised * (1 + 1e-9)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("loss_mix", MOMENTS)
def test_every_model_of_a_fairlearn_grid_is_the_fit_under_its_group_weights(loss_mix):
    sample, moment, bound = reduction(loss_mix, 0.5)
    X, y, _, group = sample
    search = reductions.GridSearch(PixelLossRegressor(loss_mix), moment, grid_size=6)
    search.fit(X, y, sensitive_features=group)
    assert len(search.predictors_) == 6
    worst = [
        ell(y - predictor.predict(X), loss_mix).groupby(group).mean().max()
        for predictor in search.predictors_
    ]
    lowest = fit(WorstGroupLoss(), sample, loss_mix).group_losses_.max()
    assert min(worst) >= lowest * (1 - 1e-8)
    assert min(worst) < max(worst)
    assert np.isfinite(search.predict(X)).all()
    assert bound > lowest


# --------------------------------------------------------------------------------------------------
# Ten thousand rows
# --------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("loss_mix", MIXES)
def test_the_worst_loss_of_ten_thousand_rows_is_the_convex_optimum(loss_mix):
    rng = np.random.default_rng(20)
    n, p = 10_000, 20
    code = rng.choice(4, n, p=[0.5, 0.3, 0.15, 0.05])
    X = rng.normal(size=(n, p))
    slopes = rng.normal(size=p) + 0.3 * rng.normal(size=(4, p))
    y = (X * slopes[code]).sum(axis=1) + rng.standard_t(3, n) * (0.5 + 0.3 * code)
    problem = FairProblem(X, y, code, Asked(worst=1.0), loss_mix=loss_mix)
    model = problem.fit()
    assert model.group_losses_.max() == pytest.approx(solve(problem).losses.max(), rel=1e-6)
    twin = replace(problem, y=40.0 + 8.0 * y, scale=8.0).fit()
    np.testing.assert_allclose(twin.group_losses_, model.group_losses_, rtol=1e-6)
