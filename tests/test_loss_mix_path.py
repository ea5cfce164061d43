"""`loss_mix_path`: the fits of a grid are those of single fits, however they are started."""

from __future__ import annotations

import warnings
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from skfairloss import PixelLossRegressor
from skfairloss.callbacks import GroupLossMonitor
from skfairloss.exceptions import InfeasibleFairnessError
from skfairloss.fairness import BoundedGroupLoss, ResidualParity, WorstGroupLoss
from skfairloss.model_selection import loss_mix_path

HAS_CALLBACKS = find_spec("sklearn.callback") is not None
needs_callbacks = pytest.mark.skipif(not HAS_CALLBACKS, reason="scikit-learn < 1.9")
MIXES = [0.5, 0.0, 1.0, 0.2, 0.9]


def data(n=300, outputs=None, seed=0, shift=0.0, scale=1.0):
    rng = np.random.default_rng(seed)
    X = rng.normal(2.0, 3.0, size=(n, 4))
    group = rng.choice(["u", "v"], n, p=[0.7, 0.3])
    noise = rng.standard_t(3, size=(n, outputs or 1)) * np.where(group == "u", 1.0, 2.5)[:, None]
    y = shift + scale * (X @ rng.normal(size=(4, outputs or 1)) + noise)
    weights = rng.integers(0, 4, n).astype(float)
    return X, y if outputs else y[:, 0], weights, group


def assert_same_fits(path, X, y, weights, group, **parameters):
    for j, mix in enumerate(path.loss_mixes):
        alone = PixelLossRegressor(mix, **parameters).fit(
            X, y, sample_weight=weights, sensitive_features=group
        )
        size = np.abs(alone.coef_).max()
        np.testing.assert_allclose(path.coefs[j], alone.coef_, rtol=0, atol=1e-7 * size)
        np.testing.assert_allclose(path.objectives[j], alone.objective_, rtol=1e-9)
        np.testing.assert_allclose(path.group_losses[j], alone.group_losses_, rtol=1e-6)
        np.testing.assert_allclose(path.predict(X)[j], alone.predict(X), rtol=0, atol=1e-6 * size)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"scale": "auto", "quantile": 0.3},
        {"alpha": 0.1},
        {"alpha": 0.1, "l1_ratio": 1.0},
        {"fit_intercept": False},
    ],
    ids=str,
)
@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (50.0, 1e-3)])
def test_a_path_gives_the_fits_of_single_mixes_each_certified(parameters, shift, scale):
    X, y, weights, group = data(shift=shift, scale=scale)
    path = loss_mix_path(
        X, y, loss_mixes=MIXES, sample_weight=weights, sensitive_features=group, **parameters
    )
    assert path.loss_mixes.tolist() == MIXES
    assert (path.dual_gaps <= 1e-8 * path.objectives + 1e-12).all()
    assert_same_fits(path, X, y, weights, group, **parameters)


def test_many_rows_are_started_from_the_mix_next_to_them_and_end_where_cold_fits_end():
    X, y, weights, group = data(6000)
    mixes = np.linspace(0.5, 1.0, 6)
    path = loss_mix_path(
        X, y, loss_mixes=mixes, sample_weight=weights, sensitive_features=group, scale="auto"
    )
    assert_same_fits(path, X, y, weights, group, scale="auto")
    cold = [
        PixelLossRegressor(mix, scale="auto").fit(X, y, sample_weight=weights).n_iter_
        for mix in mixes
    ]
    assert path.n_iters.sum() < np.sum(cold)


def test_several_outputs_have_a_row_each_in_every_array():
    X, y, weights, group = data(outputs=3)
    path = loss_mix_path(X, y, loss_mixes=MIXES, sample_weight=weights, sensitive_features=group)
    assert path.coefs.shape == (5, 3, 4)
    assert path.intercepts.shape == path.objectives.shape == path.dual_gaps.shape == (5, 3)
    assert_same_fits(path, X, y, weights, group)
    frame = path.to_frame()
    assert len(frame) == 5 * 3 * 4
    chosen = frame[(frame["loss_mix"] == 1.0) & (frame["output"] == 2) & (frame["feature"] == 3)]
    assert chosen["coefficient"].item() == path.coefs[2, 2, 3]


@pytest.mark.parametrize(
    "fairness",
    [WorstGroupLoss(0.5), ResidualParity(0.1), [WorstGroupLoss(), ResidualParity(0.2)]],
    ids=str,
)
def test_fairness_terms_hold_along_the_path_with_their_multipliers(fairness):
    X, y, weights, group = data()
    path = loss_mix_path(
        X,
        y,
        loss_mixes=[0.0, 0.5],
        sample_weight=weights,
        sensitive_features=group,
        fairness=fairness,
    )
    for j, mix in enumerate(path.loss_mixes):
        alone = PixelLossRegressor(mix, fairness=fairness).fit(
            X, y, sample_weight=weights, sensitive_features=group
        )
        np.testing.assert_allclose(path.coefs[j], alone.coef_, rtol=1e-6)
        for name, values in alone.multipliers_.items():
            np.testing.assert_allclose(path.multipliers[name][j], values, rtol=1e-4, atol=1e-8)
    assert (path.infeasibilities <= 1e-8).all()


def test_a_bound_that_cannot_be_met_for_some_mix_is_an_error():
    X, y, _, group = data()
    with pytest.raises(InfeasibleFairnessError):
        loss_mix_path(X, y, sensitive_features=group, fairness=BoundedGroupLoss(1e-3, loss=None))


def test_sparse_x_and_frames_are_read_as_by_fit():
    X, y, _, _ = data()
    X[np.abs(X) < 2] = 0.0
    dense = loss_mix_path(X, y, loss_mixes=[0.3, 1.0])
    sparse = loss_mix_path(csr_array(X), y, loss_mixes=[0.3, 1.0])
    np.testing.assert_allclose(sparse.coefs, dense.coefs, rtol=1e-7)
    frame = pd.DataFrame(X, columns=list("abcd"))
    named = loss_mix_path(frame, y, loss_mixes=[0.3])
    assert named.models[0].feature_names_in_.tolist() == list("abcd")
    assert named.to_frame()["feature"].tolist() == list("abcd")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        named.predict(frame)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"loss_mixes": []}, ValueError, "loss_mixes must be numbers"),
        ({"loss_mixes": [0.1, 1.1]}, ValueError, "loss_mixes must be numbers"),
        ({"loss_mixes": [0.1, 0.1]}, ValueError, "loss_mixes must not repeat"),
        ({"loss_mix": 0.1}, TypeError, "loss_mix is no parameter"),
        ({"warm_start": True}, TypeError, "warm_start is no parameter"),
        ({"alfa": 0.1}, TypeError, "alfa"),
        ({"alpha": -1.0}, ValueError, "alpha"),
        ({"fairness": WorstGroupLoss()}, ValueError, "sensitive_features"),
    ],
)
def test_bad_arguments_are_named(arguments, error, words):
    X, y, _, _ = data()
    with pytest.raises(error, match=words):
        loss_mix_path(X, y, **arguments)


def test_what_a_path_without_groups_lacks_is_said():
    X, y, _, group = data()
    path = loss_mix_path(X, y)
    for name in ("groups", "group_losses", "group_weights"):
        with pytest.raises(AttributeError, match="without sensitive_features"):
            getattr(path, name)
    with pytest.raises(AttributeError, match="without fairness"):
        _ = loss_mix_path(X, y, sensitive_features=group).multipliers


@needs_callbacks
def test_a_monitor_records_every_fit_of_a_path():
    X, y, _, group = data()
    monitor = GroupLossMonitor()
    path = loss_mix_path(X, y, loss_mixes=[0.9, 0.3], sensitive_features=group, callbacks=[monitor])
    frame = monitor.to_frame()
    assert (frame["run"] == 0).all()
    fitted = frame[frame["task"] == "fit"]
    np.testing.assert_array_equal(fitted["loss"].to_numpy().reshape(2, 2), path.group_losses)
    assert (frame["task"] == "iteration").any()
    assert not hasattr(path.models[0], "_skl_callbacks")


@needs_callbacks
def test_a_progress_bar_counts_the_fits_of_a_path(capsys, monkeypatch):
    pytest.importorskip("rich")
    from sklearn.callback import ProgressBar

    monkeypatch.setenv("COLUMNS", "200")
    X, y, _, _ = data()
    loss_mix_path(X, y, loss_mixes=[0.3, 0.9], callbacks=[ProgressBar(max_propagation_depth=None)])
    lines = capsys.readouterr().out.splitlines()
    assert sum("PixelLossRegressor - fit" in line for line in lines) == 2
    assert all("100%" in line for line in lines)
