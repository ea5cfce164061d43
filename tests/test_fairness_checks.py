"""scikit-learn's common checks with fairness terms, on groups that are derived from X."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.utils import check_array
from sklearn.utils.estimator_checks import parametrize_with_checks

from skfairloss import PixelLossRegressor
from skfairloss.fairness import (
    BoundedGroupLoss,
    EqualizedLoss,
    PredictionParity,
    ResidualParity,
    WorstGroupLoss,
)

UNREACHED = 1e12  # a bound that no check's data exceed

TERMS = {
    "worst": WorstGroupLoss(),
    "some worst": WorstGroupLoss(0.5),
    "bounded": BoundedGroupLoss(UNREACHED),
    "equalized": EqualizedLoss(UNREACHED),
    "predictions": PredictionParity(),
    "residuals": ResidualParity(UNREACHED),
    "list": [WorstGroupLoss(0.5), PredictionParity(0.1)],
}
# every term, every mix, and one term of losses and one of means under each mix
SETTINGS = [
    {"fairness": term, "loss_mix": loss_mix}
    for k, (name, term) in enumerate(TERMS.items())
    for loss_mix in ((0, 0.5, 1) if name in {"some worst", "list"} else ((0, 0.5, 1)[k % 3],))
]
SETTINGS += [
    {"fairness": WorstGroupLoss(0.5), "loss_mix": 0.5, "alpha": 0.1, "l1_ratio": 0.5},
    {"fairness": PredictionParity(), "loss_mix": 0, "alpha": 0.1},
]


def groups_of(X):
    """Two groups by the sign of the first column, row by row; None where X cannot be read."""
    try:
        X = check_array(X, accept_sparse=["csr", "csc"])
    except (TypeError, ValueError):
        return None  # whatever is wrong with X is the estimator's to say
    first = X[:, [0]].toarray().ravel() if sp.issparse(X) else X[:, 0]
    return np.where(first > 0, "positive", "not positive")


@contextmanager
def grouped_by_x(estimator, X, sample_weight, terms):
    """The groups of X; without two of them among rows that count None, and no terms meanwhile."""
    groups = counted = groups_of(X)
    if groups is not None and sample_weight is not None:
        weight = np.asarray(sample_weight)
        if weight.shape == groups.shape and (weight > 0).any():
            counted = groups[weight > 0]
    if counted is not None and len(np.unique(counted)) == 2:
        yield groups
        return
    before = {name: getattr(estimator, name) for name in terms}
    estimator.set_params(**dict.fromkeys(terms))
    try:
        yield None
    finally:
        estimator.set_params(**before)


class SelfGroupedRegressor(PixelLossRegressor):
    """Takes its groups from X; without two of them among rows that count, the plain fit."""

    def fit(self, X, y, *, sample_weight=None, sensitive_features=None):
        with grouped_by_x(self, X, sample_weight, ("fairness",)) as groups:
            return super().fit(X, y, sample_weight=sample_weight, sensitive_features=groups)


MARK = parametrize_with_checks([SelfGroupedRegressor(**setting) for setting in SETTINGS]).mark


# scikit-learn before 1.8 hands over a generator, which pytest 9 warns about.
@pytest.mark.parametrize(MARK.args[0], list(MARK.args[1]), **MARK.kwargs)
def test_common_checks_pass_under_fairness_terms(estimator, check):
    check(estimator)


@pytest.mark.parametrize("name", TERMS)
def test_the_groups_of_the_checks_are_at_work(name):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 2))
    y = X @ [1.0, 2.0] + (X[:, 0] > 0) * rng.normal(3.0, 2.0, 40)
    model = SelfGroupedRegressor(fairness=TERMS[name]).fit(X, y)
    assert model.groups_.tolist() == ["not positive", "positive"]
    assert model.multipliers_
