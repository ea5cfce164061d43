"""scikit-learn's common checks, without a single expected failure."""

from __future__ import annotations

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from skfairloss import PixelLossRegressor

SETTINGS = (
    {"loss_mix": 0.0},
    {"loss_mix": 0.3},
    {"loss_mix": 0.5},
    {"loss_mix": 1.0},
    {"loss_mix": 0.5, "quantile": 0.2},
    {"loss_mix": 1.0, "quantile": 0.2},
    {"loss_mix": 0.0, "alpha": 0.1},
    {"loss_mix": 0.5, "alpha": 0.1},
    {"loss_mix": 1.0, "alpha": 0.1},
    {"loss_mix": 0.0, "alpha": 0.1, "l1_ratio": 1.0},
    {"loss_mix": 0.5, "alpha": 0.1, "l1_ratio": 0.5},
    {"loss_mix": 1.0, "alpha": 0.1, "l1_ratio": 1.0},
    {"loss_mix": 0.5, "fit_intercept": False},
    {"loss_mix": 1.0, "fit_intercept": False},
    {"loss_mix": 0.5, "clip": (-3.0, 3.0)},
    {"loss_mix": 0.5, "scale": "auto"},
    {"loss_mix": 1.0, "scale": "auto"},
    {"loss_mix": 0.5, "warm_start": True},
)


MARK = parametrize_with_checks([PixelLossRegressor(**setting) for setting in SETTINGS]).mark


# scikit-learn before 1.8 hands over a generator, which pytest 9 warns about.
@pytest.mark.parametrize(MARK.args[0], list(MARK.args[1]), **MARK.kwargs)
def test_common_checks_pass(estimator, check):
    check(estimator)
