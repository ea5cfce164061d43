"""scikit-learn's common checks of `PixelLossRegressorCV`, without a single expected failure."""

from __future__ import annotations

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from skfairloss import PixelLossRegressorCV
from skfairloss.fairness import WorstGroupLoss
from tests.test_fairness_checks import grouped_by_x

SETTINGS = (
    {"cv": 3},
    {"cv": 3, "loss_mixes": (0.0, 1.0), "alphas": (0.0, 0.1), "l1_ratio": 0.5},
    {"cv": 3, "loss_mixes": (0.3,), "scoring": "neg_mean_absolute_error"},
)


class SelfGroupedRegressorCV(PixelLossRegressorCV):
    """Takes its groups from X; without two of them among rows that count, no terms."""

    def fit(self, X, y, *, sample_weight=None, sensitive_features=None, clusters=None, **params):
        with grouped_by_x(self, X, sample_weight, ("fairness", "fairness_grid")) as groups:
            return super().fit(
                X, y, sample_weight=sample_weight, sensitive_features=groups, **params
            )


STRENGTHS = SelfGroupedRegressorCV(
    (0.0, 1.0), cv=3, fairness=WorstGroupLoss(), fairness_grid={"weight": [0.0, 0.5]}
)
ALL = [*(PixelLossRegressorCV(**setting) for setting in SETTINGS), STRENGTHS]
MARK = parametrize_with_checks(ALL).mark


# scikit-learn before 1.8 hands over a generator, which pytest 9 warns about.
@pytest.mark.parametrize(MARK.args[0], list(MARK.args[1]), **MARK.kwargs)
def test_common_checks_pass(estimator, check):
    check(estimator)
