"""Fairness terms on rows in blocks: the fit of the same rows in one array is the oracle."""

from __future__ import annotations

import numpy as np
import pytest

from skfairloss import PixelLossRegressor
from skfairloss.exceptions import InfeasibleFairnessError
from skfairloss.fairness import (
    BoundedGroupLoss,
    EqualizedLoss,
    PredictionParity,
    ResidualParity,
    WorstGroupLoss,
)
from skfairloss.rows import from_blocks
from tests.test_rows_in_blocks import assert_same_fit, both, every_mix, in_blocks, passes

__all__ = ["passes"]  # a fixture


def data(n=9000, outputs=None, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5))
    code = rng.choice(4, n, p=[0.5, 0.3, 0.15, 0.05])
    signal = (X @ rng.normal(size=(5, outputs or 1))) + 1.0 + 0.4 * (code * X[:, 0])[:, None]
    y = signal + (1 + 0.3 * code)[:, None] * rng.standard_t(4, size=signal.shape)
    return X, (y if outputs else y[:, 0]), np.array(["d", "b", "c", "a"])[code]


TERMS = {
    "worst": WorstGroupLoss(),
    "half worst": WorstGroupLoss(0.5),
    "worst absolute": WorstGroupLoss(0.7, "absolute_error"),
    "worst squared": WorstGroupLoss(1.0, "squared_error"),
    "bounded": BoundedGroupLoss({"a": 1.97, "b": 1.97}),
    "bounded squared": BoundedGroupLoss({"a": 9.0, "c": 6.6}, loss="squared_error"),
    "bounded mix": BoundedGroupLoss({"a": 2.0}, loss=None),
    "parity": PredictionParity(),
    "parity within": PredictionParity(0.02),
    "residual parity": ResidualParity(0.01),
    "parity and worst": [PredictionParity(0.02), WorstGroupLoss(0.5)],
}


def assert_same_terms(found, expected, atol=1e-8):
    assert_same_fit(found, expected, atol=atol)
    assert found.infeasibility_ <= 1e-8
    for name, multipliers in expected.multipliers_.items():
        np.testing.assert_allclose(found.multipliers_[name], multipliers, rtol=0, atol=1e-6)


@every_mix
@pytest.mark.parametrize("term", TERMS)
@pytest.mark.parametrize("weighted", [False, True])
def test_a_term_is_met_as_in_memory(loss_mix, term, weighted, passes):
    X, y, groups = data()
    weights = np.random.default_rng(1).exponential(size=len(X)) if weighted else None
    found, expected = both(X, y, weights, groups, loss_mix=loss_mix, fairness=TERMS[term])
    assert_same_terms(found, expected)
    assert sum(kernel.needs_features for kernel in passes) <= (8 if loss_mix else 5)


@every_mix
@pytest.mark.parametrize("term", ["worst", "parity", "bounded squared"])
@pytest.mark.parametrize(
    "options",
    [{"alpha": 0.1}, {"quantile": 0.7}, {"fit_intercept": False}, {"scale": "auto"}],
    ids=str,
)
def test_terms_go_with_all_parameters(loss_mix, term, options):
    X, y, groups = data()
    found, expected = both(X, y, None, groups, loss_mix=loss_mix, fairness=TERMS[term], **options)
    assert_same_terms(found, expected)


@every_mix
@pytest.mark.parametrize("term", ["worst", "parity"])
def test_terms_couple_the_outputs(loss_mix, term):
    X, y, groups = data(outputs=2)
    found, expected = both(X, y, None, groups, loss_mix=loss_mix, fairness=TERMS[term])
    assert_same_terms(found, expected)


@every_mix
def test_labels_of_blocks_merge_by_name(loss_mix):
    """No block has all groups, and each numbers its own."""
    X, y, groups = data()
    order = np.argsort(groups, kind="stable")
    X, y, groups = X[order], y[order], groups[order]
    found, expected = both(X, y, None, groups, loss_mix=loss_mix, fairness=WorstGroupLoss())
    assert_same_terms(found, expected)


@pytest.mark.parametrize("kind", [list, np.asarray])
@pytest.mark.parametrize(
    "labels", [[3, 1, 2], ["x", "y", "z"], [True, False, True], [1.5, 2.5, 0.5]]
)
def test_groups_keep_their_names(labels, kind):
    X, y, _ = data(3000)
    groups = np.array(labels)[np.arange(len(X)) % 3]
    expected = PixelLossRegressor(0.0, scale=1.0).fit(X, y, sensitive_features=groups)
    ends = [0, 1, 1000, 3000]

    def block(i):
        rows = slice(ends[i], ends[i + 1])
        return {"X": X[rows], "y": y[rows], "sensitive_features": kind(groups[rows])}

    found = PixelLossRegressor(0.0, scale=1.0).fit(from_blocks(block, 3))
    np.testing.assert_array_equal(found.groups_, expected.groups_)
    np.testing.assert_allclose(found.group_losses_, expected.group_losses_)


def test_combinations_of_columns_are_groups():
    pd = pytest.importorskip("pandas")
    X, y, groups = data(3000)
    frame = pd.DataFrame({"g": groups, "h": np.arange(3000) % 2})
    expected = PixelLossRegressor(0.0, scale=1.0).fit(X, y, sensitive_features=frame)
    found = PixelLossRegressor(0.0, scale=1.0).fit(in_blocks(X, y, None, frame))
    np.testing.assert_array_equal(found.groups_, expected.groups_)
    np.testing.assert_allclose(found.group_losses_, expected.group_losses_)


@every_mix
@pytest.mark.parametrize("loss", ["absolute_error", "squared_error"])
def test_bounds_that_no_model_meets_are_refused_with_those_that_can_be(loss_mix, loss):
    X, y, groups = data()
    term = BoundedGroupLoss({"a": 0.5, "b": 0.5}, loss=loss)
    model = PixelLossRegressor(loss_mix, scale=2.0, fairness=term)
    with pytest.raises(InfeasibleFairnessError) as expected:
        model.fit(X, y, sensitive_features=groups)
    with pytest.raises(InfeasibleFairnessError) as found:
        model.fit(in_blocks(X, y, None, groups))
    assert str(found.value) == str(expected.value)


def test_terms_need_the_groups():
    X, y, _ = data()
    with pytest.raises(ValueError, match="needs the groups: give blocks 'sensitive_features'"):
        PixelLossRegressor(fairness=WorstGroupLoss()).fit(in_blocks(X, y))


def test_terms_need_two_groups():
    X, y, _ = data()
    with pytest.raises(ValueError, match="at least two groups"):
        PixelLossRegressor(fairness=WorstGroupLoss()).fit(in_blocks(X, y, None, np.ones(len(X))))


def test_groups_that_look_continuous_are_refused():
    X, y, _ = data()
    with pytest.raises(ValueError, match="groups: the values look continuous"):
        PixelLossRegressor().fit(in_blocks(X, y, None, X[:, 0]))


def test_an_equalized_loss_is_refused_by_name():
    X, y, groups = data()
    with pytest.raises(NotImplementedError, match="EqualizedLoss needs rows in one array"):
        PixelLossRegressor(fairness=EqualizedLoss(0.1)).fit(in_blocks(X, y, None, groups))


@every_mix
def test_an_l1_penalty_leaves_the_same_zeros_under_a_term(loss_mix):
    X, y, groups = data()
    options = {"alpha": 0.1, "l1_ratio": 0.8, "fairness": WorstGroupLoss()}
    found, expected = both(X, y, None, groups, loss_mix=loss_mix, **options)
    np.testing.assert_array_equal(found.coef_ == 0, expected.coef_ == 0)
    assert_same_terms(found, expected)
