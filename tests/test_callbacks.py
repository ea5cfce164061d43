"""Callbacks: what a fit tells them, what they may ask of it, and the monitor of group losses."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings
from importlib.util import find_spec
from threading import Lock

import cloudpickle
import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfairloss import PixelLossRegressor, PixelLossRegressorCV, compare_loss_mixes
from skfairloss.callbacks import GroupLossMonitor
from skfairloss.metrics import make_group_scorer
from skfairloss.model_selection import loss_mix_path
from skfairloss.rows import from_blocks

HAS_CALLBACKS = find_spec("sklearn.callback") is not None
needs_callbacks = pytest.mark.skipif(not HAS_CALLBACKS, reason="scikit-learn < 1.9")
if HAS_CALLBACKS:
    from sklearn.callback import ProgressBar, ScoringMonitor

# one setting for each route: all rows, L1 ends, penalty rows, the band of many rows
ROUTES = {
    "mix": (200, {"loss_mix": 0.4}),
    "l1": (200, {"loss_mix": 1.0}),
    "lasso": (200, {"loss_mix": 0.0, "alpha": 12.0, "l1_ratio": 1.0, "scale": 1.0}),
    "many rows": (6000, {"loss_mix": 0.5}),
    "many rows l1": (6000, {"loss_mix": 1.0}),
}
CLOSED = {"loss_mix": 0.0}


def data(n=200, outputs=None, seed=0, shift=0.0, scale=1.0):
    """X as a frame, y, weights (some of them 0) and two groups of different noise."""
    rng = np.random.default_rng(seed)
    X = rng.normal(2.0, 3.0, size=(n, 4))
    group = rng.choice(["u", "v"], n, p=[0.7, 0.3])
    noise = rng.standard_t(3, size=(n, outputs or 1)) * np.where(group == "u", 1.0, 2.5)[:, None]
    coef = rng.normal(size=(4, outputs or 1))
    y = shift + scale * (X @ coef + noise)
    weights = rng.integers(0, 4, n).astype(float)
    return pd.DataFrame(X, columns=list("abcd")), y if outputs else y[:, 0], weights, group


def group_losses(model, X, y, weights, group):
    """The loss of each group, from its definition."""
    z = (y - model.predict(X)) / model.scale_
    loss = model.loss_mix * np.abs(z) + (1 - model.loss_mix) * z**2
    rows = loss.reshape(len(y), -1).mean(axis=1)
    return [np.average(rows[group == name], weights=weights[group == name]) for name in "uv"]


def fitted_rows(frame):
    return frame[frame["task"] == "fit"]


def path(context):
    return () if context is None else (*path(context.parent), context.task_id)


class Recorder:
    """Writes down every hook; may fail at one, and stops where told."""

    def __init__(self, stop=lambda task, place: False, fail_at=None):
        self.calls, self.models, self.metadata = [], [], []
        self.stop, self.fail_at = stop, fail_at
        self.busy = Lock()

    def note(self, hook, context):
        self.calls.append((hook, context.task_name, path(context)))
        if hook == self.fail_at:
            raise RuntimeError(f"failed at {hook}")

    def setup(self, estimator, context):
        self.note("setup", context)

    def teardown(self, estimator, context):
        self.note("teardown", context)

    def on_fit_task_begin(self, estimator, context, *, metadata=None):
        self.metadata.append(metadata)
        self.note("begin", context)

    def on_fit_task_end(self, estimator, context, *, metadata=None, fitted_estimator=None):
        assert self.busy.acquire(blocking=False), "two hooks at a time"
        try:
            self.metadata.append(metadata)
            self.models.append(fitted_estimator)
            self.note("end", context)
        finally:
            self.busy.release()
        return self.stop(context.task_name, path(context))

    def ended(self, task):
        return [place for hook, name, place in self.calls if (hook, name) == ("end", task)]


# --------------------------------------------------------------------------------------------------
# Without callbacks in scikit-learn
# --------------------------------------------------------------------------------------------------


def test_without_callbacks_in_scikit_learn_fits_work_and_the_monitor_says_what_it_needs():
    code = (
        "import sys\n"
        "import fairlearn.metrics, sklearn.model_selection, sklearn.pipeline\n"
        "sys.modules['sklearn.callback'] = None\n"
        "from skfairloss import PixelLossRegressor\n"
        "from skfairloss.callbacks import GroupLossMonitor\n"
        "model = PixelLossRegressor(1.0).fit([[0], [1], [2]], [1, 3, 5])\n"
        "assert abs(model.coef_[0] - 2) < 1e-12 and not hasattr(model, 'set_callbacks')\n"
        "try:\n"
        "    GroupLossMonitor()\n"
        "except ImportError as error:\n"
        "    print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    expected = f"needs scikit-learn >= 1.9, which has callbacks; got {sklearn.__version__}"
    assert expected in run.stdout, run.stderr


# --------------------------------------------------------------------------------------------------
# What callbacks are told
# --------------------------------------------------------------------------------------------------


@needs_callbacks
@pytest.mark.parametrize("outputs", [None, 3])
@pytest.mark.parametrize("route", ROUTES)
def test_every_iteration_of_every_output_begins_and_ends_inside_its_output_and_the_fit(
    route, outputs
):
    n, parameters = ROUTES[route]
    X, y, _, _ = data(n, outputs)
    recorder = Recorder()
    model = PixelLossRegressor(**parameters).set_callbacks(recorder).fit(X, y)
    hooks = [hook for hook, _, _ in recorder.calls]
    assert (hooks[0], hooks[-1], hooks.count("setup")) == ("setup", "teardown", 1)
    opened = []
    for hook, name, place in recorder.calls[1:-1]:
        if hook == "begin":
            assert [p for _, p in opened] == [place[:k] for k in range(1, len(place))]
            opened.append((name, place))
        else:
            assert opened.pop() == (name, place)
    assert not opened
    assert recorder.ended("output") == [(0, k) for k in range(outputs or 1)]
    per_output = [
        [p[2] for p in recorder.ended("iteration") if p[1] == k] for k in range(outputs or 1)
    ]
    assert all(ids and ids == list(range(len(ids))) for ids in per_output)
    assert max(map(len, per_output)) <= model.n_iter_


@needs_callbacks
@pytest.mark.parametrize("outputs", [None, 3])
def test_a_closed_form_is_a_fit_that_begins_and_ends(outputs):
    X, y, weights, group = data(outputs=outputs)
    recorder, monitor = Recorder(stop=lambda task, place: True), GroupLossMonitor()
    model = PixelLossRegressor(**CLOSED).set_callbacks(recorder, monitor)
    model.fit(X, y, sample_weight=weights, sensitive_features=group)
    assert [call[:2] for call in recorder.calls] == [
        ("setup", "fit"),
        ("begin", "fit"),
        ("end", "fit"),
        ("teardown", "fit"),
    ]
    frame = monitor.to_frame()
    np.testing.assert_array_equal(frame["loss"], model.group_losses_)
    assert frame["iteration"].isna().all()


@needs_callbacks
@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("parameters", [CLOSED, *(p for _, p in ROUTES.values())])
def test_the_model_shown_last_is_the_fitted_one_and_watching_does_not_change_it(parameters, n_jobs):
    X, y, weights, group = data(n=5000, outputs=2)
    model = PixelLossRegressor(**parameters, n_jobs=n_jobs, clip=(-2.0, 40.0))
    plain = clone(model).fit(X, y, sample_weight=weights, sensitive_features=group)
    recorder = Recorder()
    model.set_callbacks(recorder).fit(X, y, sample_weight=weights, sensitive_features=group)
    last = recorder.models[-1]
    for name in ("coef_", "intercept_", "scale_", "groups_", "group_losses_", "group_weights_"):
        np.testing.assert_array_equal(getattr(last, name), getattr(model, name))
        np.testing.assert_array_equal(getattr(plain, name), getattr(model, name))
    assert not hasattr(last, "dual_gap_")
    for shown in recorder.models:
        assert shown.predict(X).shape == y.shape
        expected = group_losses(shown.set_params(clip=None), X, y, weights, group)
        np.testing.assert_allclose(shown.group_losses_, expected, rtol=1e-12)


@needs_callbacks
def test_groups_are_never_among_the_metadata():
    X, y, weights, group = data()
    for sample_weight, expected in ((None, {}), (2.0, {}), (weights, {"sample_weight": weights})):
        recorder = Recorder()
        model = PixelLossRegressor().set_callbacks(recorder)
        model.fit(X, y, sample_weight=sample_weight, sensitive_features=group)
        assert all(metadata.keys() == expected.keys() for metadata in recorder.metadata)


@needs_callbacks
def test_a_fit_without_callbacks_opens_no_tasks(monkeypatch):
    X, y, _, _ = data()

    def refuse(*args, **kwargs):
        raise AssertionError("nobody listens")

    monkeypatch.setattr("skfairloss._estimator.fitting.FitTasks", refuse)
    model = PixelLossRegressor().fit(X, y)
    model.set_callbacks(Recorder())
    with pytest.raises(AssertionError, match="nobody listens"):
        model.fit(X, y)
    model.set_callbacks().fit(X, y)


@needs_callbacks
@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_outputs_in_threads_are_told_one_at_a_time_whatever_the_backend_in_force(backend):
    X, y, _, _ = data(outputs=4)
    recorder = Recorder()  # fails where two hooks run at a time
    with joblib.parallel_config(backend=backend):
        PixelLossRegressor(n_jobs=2).set_callbacks(recorder).fit(X, y)
    assert sorted(recorder.ended("output")) == [(0, k) for k in range(4)]


# --------------------------------------------------------------------------------------------------
# What callbacks may ask
# --------------------------------------------------------------------------------------------------


@needs_callbacks
@pytest.mark.parametrize("route", ROUTES)
def test_a_callback_that_stops_leaves_what_was_reached_and_the_gap_is_stated(route):
    n, parameters = ROUTES[route]
    X, y, _, group = data(n)
    best = PixelLossRegressor(**parameters).fit(X, y)
    recorder = Recorder(stop=lambda task, place: task == "iteration" and place[2] == 1)
    model = PixelLossRegressor(**parameters).set_callbacks(recorder)
    with pytest.warns(ConvergenceWarning, match="a callback stopped the fit") as caught:
        model.fit(X, y, sensitive_features=group)
    assert f"{model.dual_gap_:.3g} above the optimum" in str(caught[0].message)
    assert caught[0].filename == __file__
    assert recorder.ended("iteration") == [(0, 0, 0), (0, 0, 1)]
    excess = model.objective_ - best.objective_
    assert 0 < excess <= model.dual_gap_ < np.inf
    np.testing.assert_allclose(model.coef_, recorder.models[1].coef_, rtol=1e-10)


@needs_callbacks
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_stopping_at_an_iteration_stops_this_output_only(n_jobs):
    X, y, _, _ = data(outputs=3)
    recorder = Recorder(stop=lambda task, place: place == (0, 1, 0))
    model = PixelLossRegressor(n_jobs=n_jobs).set_callbacks(recorder)
    with pytest.warns(ConvergenceWarning, match="for 1 of 3 outputs; in output 1"):
        model.fit(X, y)
    best = PixelLossRegressor().fit(X, y)
    np.testing.assert_array_equal(model.coef_[[0, 2]], best.coef_[[0, 2]])
    assert model.dual_gap_[1] > 1e3 * model.dual_gap_[[0, 2]].max()
    assert sorted(recorder.ended("output")) == [(0, 0), (0, 1), (0, 2)]


@needs_callbacks
def test_stopping_at_the_end_of_an_output_leaves_one_iteration_to_each_of_the_others():
    X, y, _, _ = data(outputs=3)
    recorder = Recorder(stop=lambda task, place: place == (0, 0))
    model = PixelLossRegressor().set_callbacks(recorder)
    with pytest.warns(ConvergenceWarning, match="for 2 of 3 outputs; .* a callback stopped"):
        model.fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        brief = PixelLossRegressor(max_iter=1).fit(X, y)
    best = PixelLossRegressor().fit(X, y)
    np.testing.assert_array_equal(model.coef_[0], best.coef_[0])
    np.testing.assert_allclose(model.coef_[1:], brief.coef_[1:], rtol=1e-12)
    assert recorder.ended("output") == [(0, 0)]


@needs_callbacks
def test_stopping_at_the_optimum_does_not_warn():
    X, y, _, _ = data()
    counter = Recorder()
    best = PixelLossRegressor().set_callbacks(counter).fit(X, y)
    last = counter.ended("iteration")[-1]
    model = PixelLossRegressor().set_callbacks(Recorder(stop=lambda task, place: place == last))
    np.testing.assert_array_equal(model.fit(X, y).coef_, best.coef_)


@needs_callbacks
@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("fail_at", ["setup", "begin", "end", "teardown"])
def test_a_failing_callback_is_torn_down_and_leaves_the_estimator_as_it_was(fail_at, n_jobs):
    X, y, _, group = data(outputs=2)
    model = PixelLossRegressor(n_jobs=n_jobs).fit(X[:90], y[:90] + 5.0)
    recorder = Recorder(fail_at=fail_at)
    before = dict(vars(model.set_callbacks(recorder)))
    with pytest.raises(RuntimeError, match=f"failed at {fail_at}"):
        model.fit(X, y, sensitive_features=group)
    assert vars(model) == before
    assert recorder.calls[-1] == ("teardown", "fit", (0,))
    hooks = [hook for hook, _, _ in recorder.calls]
    assert hooks[-2] == fail_at or fail_at == "teardown"  # no other thread calls a hook after it


@needs_callbacks
def test_bad_input_is_refused_before_callbacks_are_set_up():
    X, y, _, _ = data()
    recorder = Recorder()
    with pytest.raises(ValueError, match="sample_weight must be >= 0"):
        PixelLossRegressor().set_callbacks(recorder).fit(X, y, sample_weight=-np.ones(len(y)))
    with pytest.raises(ValueError, match="sample_weight must hold numbers"):
        PixelLossRegressor().set_callbacks(recorder).fit(X, y, sample_weight=[1.0, [2.0, 3.0]])
    assert not recorder.calls


# --------------------------------------------------------------------------------------------------
# GroupLossMonitor
# --------------------------------------------------------------------------------------------------


@needs_callbacks
@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("outputs", [None, 3])
@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(
    "twin", [{}, {"shift": 1e3}, {"scale": 1e-3}], ids=["itself", "shifted", "scaled"]
)
def test_the_last_losses_are_those_of_the_definition(twin, loss_mix, outputs, n_jobs):
    X, y, weights, group = data(outputs=outputs, **twin)
    monitor = GroupLossMonitor()
    model = PixelLossRegressor(loss_mix, scale="auto", n_jobs=n_jobs).set_callbacks(monitor)
    model.fit(X, y, sample_weight=weights, sensitive_features=group)
    frame = monitor.to_frame()
    expected = group_losses(model, X, y, weights, group)
    np.testing.assert_allclose(frame["loss"].tail(2), expected, rtol=1e-9)
    np.testing.assert_array_equal(fitted_rows(frame)["loss"], model.group_losses_)
    assert fitted_rows(frame)["group"].tolist() == ["u", "v"]
    if loss_mix:
        final = frame[frame["output"] == (outputs or 1) - 1].tail(2)
        if n_jobs is None:  # nothing is left to refine
            np.testing.assert_allclose(final["loss"], expected, rtol=1e-6)
        first = frame.head(2)
        assert first["loss"].tolist() != frame["loss"].tail(2).tolist()


@needs_callbacks
@pytest.mark.parametrize("route", ["mix", "l1", "many rows"])
def test_each_record_is_what_the_fit_would_report_if_it_stopped_there(route):
    n, parameters = ROUTES[route]
    X, y, weights, group = data(n, outputs=2)
    monitor = GroupLossMonitor()
    PixelLossRegressor(**parameters).set_callbacks(monitor).fit(
        X, y, sample_weight=weights, sensitive_features=group
    )
    frame = monitor.to_frame()
    recorded = frame[(frame["output"] == 1) & (frame["iteration"] == 2)]
    stop = Recorder(stop=lambda task, place: place == (0, 1, 1))
    with pytest.warns(ConvergenceWarning, match="a callback stopped"):
        model = (
            PixelLossRegressor(**parameters)
            .set_callbacks(stop)
            .fit(X, y, sample_weight=weights, sensitive_features=group)
        )
    np.testing.assert_allclose(recorded["loss"], model.group_losses_, rtol=1e-10)


@needs_callbacks
def test_the_last_record_follows_the_tie_rule():
    X, y = np.zeros((10, 1)), np.repeat([0.3, 0.9], 5)
    monitor = GroupLossMonitor()
    model = PixelLossRegressor(1.0, scale=1.0).set_callbacks(monitor)
    model.fit(X, y, sensitive_features=np.repeat(["dark", "bright"], 5))
    np.testing.assert_allclose(fitted_rows(monitor.to_frame())["loss"], [0.3, 0.3], rtol=1e-9)


@needs_callbacks
def test_several_fits_are_several_runs_and_fits_without_groups_are_not_recorded():
    X, y, weights, group = data()
    monitor = GroupLossMonitor()
    model = PixelLossRegressor().set_callbacks(monitor)
    model.fit(X, y)
    with pytest.raises(ValueError, match=r"recorded nothing: .* sensitive_features"):
        monitor.to_frame()
    first = model.fit(X, y, sensitive_features=group).group_losses_
    model.fit(X, y)
    columns = np.column_stack([group, np.where(weights > 1, "x", "y")])
    second = model.fit(X, y, sensitive_features=columns).group_losses_
    fitted = fitted_rows(monitor.to_frame())
    assert fitted["run"].tolist() == [0] * 2 + [1] * 4
    np.testing.assert_array_equal(fitted["loss"], [*first, *second])
    assert fitted["group"].tolist()[:3] == ["u", "v", ("u", "x")]


@needs_callbacks
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_every_fit_of_a_search_is_recorded_in_worker_processes_too(n_jobs):
    X, y, _, group = data(n=80)
    monitor = GroupLossMonitor()
    pipe = make_pipeline(StandardScaler(), PixelLossRegressor().set_callbacks(monitor))
    grid = {"pixellossregressor__loss_mix": [0.0, 0.5, 1.0]}
    search = GridSearchCV(pipe, grid, cv=2, n_jobs=n_jobs, error_score="raise")
    search.fit(X, y, pixellossregressor__sensitive_features=group)
    frame = monitor.to_frame()
    assert (frame["run"] == 0).all()
    fitted = fitted_rows(frame)
    assert len(fitted) == 2 * (3 * 2 + 1)
    assert fitted["fit"].nunique() == 3 * 2 + 1
    best = search.best_estimator_[-1]
    np.testing.assert_array_equal(fitted["loss"].tail(2), best.group_losses_)
    alone = clone(pipe).set_params(pixellossregressor__loss_mix=0.5)
    half, _ = next(KFold(2).split(X))
    alone.fit(X.iloc[half], y[half], pixellossregressor__sensitive_features=group[half])
    second = fitted[fitted["fit"] == fitted["fit"].unique()[2]]
    np.testing.assert_allclose(second["loss"], alone[-1].group_losses_, rtol=1e-9)


# --------------------------------------------------------------------------------------------------
# scikit-learn's own callbacks
# --------------------------------------------------------------------------------------------------


@needs_callbacks
@pytest.mark.parametrize("routing", [False, True])
def test_ordinary_scorers_monitor_a_fit_with_groups_and_weights(routing):
    X, y, weights, group = data()
    monitor = ScoringMonitor(scoring=["r2", "neg_mean_absolute_error"])
    scorer = make_group_scorer("mae", sensitive_features="large")
    disparity = ScoringMonitor(scoring={"disparity": scorer})
    frame = X.assign(large=(X["a"] > 2).astype(float))
    with sklearn.config_context(enable_metadata_routing=routing):
        model = PixelLossRegressor().set_callbacks(monitor, disparity)
        model.fit(frame, y, sensitive_features=group)
        last = disparity.get_logs().data_as_pandas["disparity"].iloc[0]
        np.testing.assert_allclose(last, scorer(model, frame, y), rtol=1e-12)
    log = monitor.get_logs().data_as_pandas
    assert {"fit", "output", "iteration"} == set(log["task_name"])
    final = log[log["task_name"] == "fit"]
    np.testing.assert_allclose(final["r2"], model.score(frame, y), rtol=1e-12)
    with sklearn.config_context(enable_metadata_routing=False):
        model.fit(frame, y, sample_weight=weights)
    log = monitor.get_logs().data_as_pandas
    expected = r2_score(y, model.predict(frame), sample_weight=weights)
    np.testing.assert_allclose(log["r2"].iloc[0], expected, rtol=1e-12)


@needs_callbacks
@pytest.mark.parametrize("routing", [False, True])
def test_scores_are_monitored_inside_a_search_over_pipelines(routing):
    X, y, _, group = data(n=80)
    monitor = ScoringMonitor(scoring="neg_mean_absolute_error")
    pipe = make_pipeline(StandardScaler(), PixelLossRegressor().set_callbacks(monitor))
    grid = {"pixellossregressor__loss_mix": [0.5, 1.0]}
    name = "sensitive_features" if routing else "pixellossregressor__sensitive_features"
    with sklearn.config_context(enable_metadata_routing=routing):
        GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(X, y, **{name: group})
    log = monitor.get_logs().data_as_pandas
    assert (log["task_name"] == "fit").sum() == 2 * 2 + 1
    assert np.isfinite(log["neg_mean_absolute_error"]).all()


@needs_callbacks
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_progress_bars_nest_in_a_search_over_pipelines(n_jobs, capsys, monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setenv("COLUMNS", "200")
    X, y, _, group = data(n=80, outputs=2)
    pipe = make_pipeline(StandardScaler(), PixelLossRegressor())
    grid = {"pixellossregressor__loss_mix": [0.0, 0.5]}
    search = GridSearchCV(pipe, grid, cv=2, n_jobs=n_jobs, error_score="raise")
    search.set_callbacks(ProgressBar(max_propagation_depth=None))
    search.fit(X, y, pixellossregressor__sensitive_features=group)
    lines = capsys.readouterr().out.splitlines()
    fits = [line for line in lines if "PixelLossRegressor - fit" in line]
    outputs = [line for line in lines if "PixelLossRegressor - output" in line]
    assert len(fits) == 2 * 2 + 1
    assert len(outputs) in (4, 6)  # none for the closed form, which the refit may be
    assert all("100%" in line for line in lines)
    indent = [len(line) - len(line.lstrip()) for line in (fits[0], outputs[0])]
    assert 0 < indent[0] < indent[1]


# --------------------------------------------------------------------------------------------------
# Copies
# --------------------------------------------------------------------------------------------------


@needs_callbacks
def test_a_clone_keeps_the_monitor_and_its_fits_go_to_the_same_one():
    X, y, _, group = data()
    monitor = GroupLossMonitor()
    model = PixelLossRegressor().set_callbacks(monitor)
    other = clone(model).fit(X, y, sensitive_features=group)
    np.testing.assert_array_equal(fitted_rows(monitor.to_frame())["loss"], other.group_losses_)


@needs_callbacks
@pytest.mark.parametrize("library", [pickle, cloudpickle])
def test_a_pickled_estimator_keeps_its_records_and_goes_on_recording(library):
    X, y, _, group = data()
    model = PixelLossRegressor().set_callbacks(GroupLossMonitor())
    model.fit(X, y, sensitive_features=group)
    copy = library.loads(library.dumps(model))
    np.testing.assert_array_equal(copy.predict(X), model.predict(X))
    (monitor,) = copy._skl_callbacks
    copy.fit(X, y, sensitive_features=group)
    assert fitted_rows(monitor.to_frame())["run"].tolist() == [0, 0, 1, 1]
    assert fitted_rows(model._skl_callbacks[0].to_frame())["run"].tolist() == [0, 0]


# --------------------------------------------------------------------------------------------------
# Rows in blocks
# --------------------------------------------------------------------------------------------------


class Listener:
    """Writes down tasks by name and place, and asks for nothing; may fail at one."""

    def __init__(self, fail_at=None):
        self.calls, self.fail_at = [], fail_at

    def setup(self, estimator, context):
        self.calls.append(("setup", context.task_name, path(context), None))

    def teardown(self, estimator, context):
        self.calls.append(("teardown", context.task_name, path(context), None))

    def on_fit_task_begin(self, estimator, context):
        self.calls.append(("begin", context.task_name, path(context), context.max_subtasks))
        if context.task_name == self.fail_at:
            raise RuntimeError("failed")

    def on_fit_task_end(self, estimator, context):
        self.calls.append(("end", context.task_name, path(context), None))


def in_blocks(n=6000, n_blocks=4):
    X, y, weights, group = data(n)
    ends = np.linspace(0, n, n_blocks + 1).astype(int)
    given = {"X": X, "y": y, "sample_weight": weights, "sensitive_features": group}
    return from_blocks(
        lambda i: {name: v[ends[i] : ends[i + 1]] for name, v in given.items()}, n_blocks
    )


def fit_alone(listener, source):
    PixelLossRegressor(1.0).set_callbacks(listener).fit(source)


def fit_a_path(listener, source):
    loss_mix_path(source, loss_mixes=[0.0, 1.0], callbacks=[listener])


def search(listener, source):
    PixelLossRegressorCV([0.0, 1.0], cv=3).set_callbacks(listener).fit(source)


def compare_mixes(listener, source):
    options = {"cv": 3, "n_repeats": 1, "callbacks": [listener], "random_state": 0}
    compare_loss_mixes(source, loss_mixes=[0.0, 1.0], **options)


@needs_callbacks
@pytest.mark.parametrize("n", [300, 6000])
@pytest.mark.parametrize("fit", [fit_alone, fit_a_path, search, compare_mixes])
def test_passes_over_blocks_and_the_blocks_in_them_are_tasks(fit, n):
    listener = Listener()
    fit(listener, in_blocks(n))
    hooks = [call[0] for call in listener.calls]
    assert (hooks[0], hooks[-1], hooks.count("setup")) == ("setup", "teardown", 1)
    opened, passes = [], []
    for hook, name, place, most in listener.calls[1:-1]:
        if hook == "begin":
            opened.append((name, place))
            if len(place) == 2:
                passes.append(name)
                assert most == 4
        else:
            assert opened.pop() == (name, place)
    assert not opened
    assert passes[:2][fit is compare_mixes] == "look"  # after a count of the rows
    blocks = [place for hook, name, place, _ in listener.calls if (hook, name) == ("end", "block")]
    assert len(blocks) == 4 * len(passes)


@needs_callbacks
def test_a_callback_that_fails_leaves_the_estimator_as_it_was():
    model = PixelLossRegressor(1.0).set_callbacks(Listener(fail_at="block"))
    with pytest.raises(RuntimeError, match="failed"):
        model.fit(in_blocks())
    assert not hasattr(model, "coef_")


@needs_callbacks
@pytest.mark.parametrize("make", [GroupLossMonitor, Recorder])
def test_callbacks_that_ask_for_rows_or_models_are_refused_by_name(make):
    model = PixelLossRegressor(1.0).set_callbacks(make())
    with pytest.raises(
        NotImplementedError, match=f"need rows in one array: remove {make.__name__}"
    ):
        model.fit(in_blocks())
