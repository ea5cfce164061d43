"""scikit-learn's common checks of `PixelLossRegressorCV`, without a single expected failure."""

from __future__ import annotations

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from skfairloss import PixelLossRegressorCV

SETTINGS = (
    {"cv": 3},
    {"cv": 3, "loss_mixes": (0.0, 1.0), "alphas": (0.0, 0.1), "l1_ratio": 0.5},
    {"cv": 3, "loss_mixes": (0.3,), "scoring": "neg_mean_absolute_error"},
)

MARK = parametrize_with_checks([PixelLossRegressorCV(**setting) for setting in SETTINGS]).mark


# scikit-learn before 1.8 hands over a generator, which pytest 9 warns about.
@pytest.mark.parametrize(MARK.args[0], list(MARK.args[1]), **MARK.kwargs)
def test_common_checks_pass(estimator, check):
    check(estimator)
