"""Fits of rows in blocks: the fit of the same rows in one array is the oracle."""

from __future__ import annotations

import tracemalloc
import warnings
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skfairloss import PixelLossRegressor
from skfairloss._rows import draws, facts, kernels
from skfairloss._rows.sums import in_tree
from skfairloss._solvers.band import BandSize
from skfairloss._solvers.row_forms import RowForm
from skfairloss.rows import from_blocks

MIXES = [0.0, 0.5, 1.0]
every_mix = pytest.mark.parametrize("loss_mix", MIXES)


def in_blocks(X, y, sample_weight=None, sensitive_features=None, *, ends=None, n_jobs=1):
    """Cut rows where ``ends`` says, by default into blocks of several sizes, none and one too."""
    n = len(X)
    ends = sorted([0, 0, 1, n // 3, n // 3, n // 2, n]) if ends is None else ends
    given = {"sample_weight": sample_weight, "sensitive_features": sensitive_features}

    def block(i):
        rows = slice(ends[i], ends[i + 1])
        own = {name: value[rows] for name, value in given.items() if value is not None}
        return {"X": X[rows], "y": y[rows], **own}

    return from_blocks(block, len(ends) - 1, n_jobs=n_jobs)


def data(n=6000, p=3, outputs=None, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    signal = X @ rng.normal(size=(p, outputs or 1))
    y = signal + 1.0 + rng.standard_t(3, size=signal.shape)
    return X, (y if outputs else y[:, 0])


@pytest.fixture
def passes(monkeypatch):
    """Return a list of the kernels of all passes made."""
    made, run = [], facts.Passes.run

    def counted(self, kernel, own=None):
        made.append(kernel)
        return run(self, kernel, own)

    monkeypatch.setattr(facts.Passes, "run", counted)
    return made


def assert_same_fit(found, expected, atol=1e-9):
    np.testing.assert_allclose(found.coef_, expected.coef_, rtol=0, atol=atol)
    np.testing.assert_allclose(found.intercept_, expected.intercept_, rtol=0, atol=atol)
    np.testing.assert_allclose(found.objective_, expected.objective_, rtol=1e-11)
    np.testing.assert_allclose(found.squared_share_, expected.squared_share_, rtol=1e-9)
    assert np.all(found.dual_gap_ <= 1e-8 * found.objective_)
    for name in ("scale_", "group_losses_", "group_weights_"):
        if hasattr(expected, name):
            np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-9)
    if hasattr(expected, "groups_"):
        np.testing.assert_array_equal(found.groups_, expected.groups_)
        for name, error in expected.group_errors_.items():
            np.testing.assert_allclose(found.group_errors_[name], error, rtol=1e-9)
    public = [name for name in vars(expected) if name.endswith("_") and not name.startswith("_")]
    assert set(public) == {name for name in vars(found) if name.endswith("_")} - {"_"}


def both(X, y, sample_weight=None, sensitive_features=None, **options):
    options.setdefault("scale", 2.0)
    extra = {"sample_weight": sample_weight, "sensitive_features": sensitive_features}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # rounding of weights keeps the oracle above 1e-12
        expected = PixelLossRegressor(tol=1e-12, **options).fit(X, y, **extra)
    return PixelLossRegressor(**options).fit(in_blocks(X, y, **extra)), expected


@every_mix
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"quantile": 0.8},
        {"alpha": 0.1},
        {"fit_intercept": False},
        {"alpha": 0.02, "quantile": 0.3, "fit_intercept": False},
    ],
    ids=str,
)
@pytest.mark.parametrize("weighted", [False, True])
def test_a_fit_is_that_of_the_rows_in_memory(loss_mix, options, weighted):
    X, y = data()
    weights = np.random.default_rng(1).exponential(size=len(X)) if weighted else None
    assert_same_fit(*both(X, y, weights, loss_mix=loss_mix, **options))


@every_mix
def test_outputs_share_their_passes(loss_mix, passes):
    X, y = data(outputs=5)
    groups = np.array(["b", "a", "c"])[np.arange(len(X)) % 3]
    found, expected = both(X, y, None, groups, loss_mix=loss_mix)
    assert_same_fit(found, expected)
    assert len(passes) <= 6


@every_mix
def test_a_plain_fit_takes_few_passes(loss_mix, passes):
    X, y = data(20_000)
    both(X, y, loss_mix=loss_mix)
    assert len(passes) <= (4 if loss_mix else 2)


Y = {
    "continuous": lambda y: y,
    "an offset": lambda y: y + 1e6,
    "rounded": np.round,
    "a few values": np.sign,
    "mostly constant": lambda y: np.where(y > 1, y, 0.5),
    "constant": lambda y: np.full_like(y, 0.1),
    "heavy tails": lambda y: np.sign(y) * np.exp(3 * np.abs(y)),
}


@pytest.mark.parametrize("kind", Y)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("options", [{}, {"fit_intercept": False}], ids=str)
def test_the_scale_is_that_of_all_rows(kind, weighted, options, passes):
    X, y = data(outputs=2)
    y = np.column_stack([Y[kind](y[:, 0]), 3.0 * y[:, 1]])
    weights = np.random.default_rng(5).exponential(size=len(X)) if weighted else None
    found, expected = both(X, y, weights, loss_mix=0.0, scale="auto", **options)
    np.testing.assert_allclose(found.scale_, expected.scale_, rtol=1e-9)
    assert sum(not kernel.needs_features for kernel in passes) == 1


@every_mix
def test_a_fit_at_the_default_scale_is_that_in_memory(loss_mix):
    X, y = data()
    assert_same_fit(*both(X, 5.0 * y, loss_mix=loss_mix, scale="auto"))


@every_mix
def test_rows_without_weight_do_not_enter(loss_mix):
    X, y = data()
    weights = np.arange(len(X)) % 3.0
    dropped = weights == 0
    X[dropped], y[dropped] = 1e6, -1e6
    assert_same_fit(*both(X, y, weights, loss_mix=loss_mix))


@every_mix
@given(cuts=st.lists(st.integers(0, 6000), max_size=12))
@settings(max_examples=10, deadline=None)
def test_no_partition_changes_a_fit(loss_mix, cuts):
    X, y = data()
    whole = PixelLossRegressor(loss_mix, scale=2.0).fit(in_blocks(X, y, ends=[0, len(X)]))
    parts = PixelLossRegressor(loss_mix, scale=2.0)
    parts.fit(in_blocks(X, y, ends=[0, *sorted(cuts), len(X)]))
    np.testing.assert_allclose(parts.coef_, whole.coef_, rtol=0, atol=1e-12)


@every_mix
def test_threads_change_no_bit(loss_mix):
    X, y = data()
    ends = np.linspace(0, len(X), 12).astype(int)
    one, two = (
        PixelLossRegressor(loss_mix, scale=2.0).fit(in_blocks(X, y, ends=ends, n_jobs=n_jobs))
        for n_jobs in (1, 3)
    )
    np.testing.assert_array_equal(one.coef_, two.coef_)
    assert one.objective_ == two.objective_
    assert one.dual_gap_ == two.dual_gap_


@every_mix
def test_units_do_not_matter(loss_mix):
    X, y = data()
    weights = np.random.default_rng(2).exponential(size=len(X))
    first = PixelLossRegressor(loss_mix, scale=2.0).fit(in_blocks(X, y, weights))
    other = PixelLossRegressor(loss_mix, scale=2e3)
    other.fit(in_blocks(X * [1e-4, 1.0, 1e4] + 5.0, 1e3 * y - 7.0, 1e5 * weights))
    np.testing.assert_allclose(other.coef_ * [1e-4, 1.0, 1e4], 1e3 * first.coef_, rtol=1e-7)
    np.testing.assert_allclose(other.objective_, first.objective_, rtol=1e-10)


HARD = {
    "y rounded": lambda X, y, rng: (X, np.round(y)),
    "integers": lambda X, y, rng: (np.round(X), np.round(y)),
    "sorted": lambda X, y, rng: (X[np.argsort(y)], np.sort(y)),
    "sorted by a column": lambda X, y, rng: (X[np.argsort(X[:, 0])], y[np.argsort(X[:, 0])]),
    "cauchy": lambda X, y, rng: (X, y + rng.standard_cauchy(len(y))),
    "on a plane": lambda X, y, rng: (X, np.where(rng.random(len(y)) < 0.3, X.sum(axis=1), y)),
    "a dependent column": lambda X, y, rng: (np.column_stack([X, X[:, 0] - X[:, 1]]), y),
    "a constant column": lambda X, y, rng: (np.column_stack([X, np.full(len(X), 0.1)]), y),
    "an offset": lambda X, y, rng: (X + 1e4, y),
    "float32": lambda X, y, rng: (X.astype(np.float32), y),
}


@every_mix
@pytest.mark.parametrize("kind", HARD)
def test_hard_data_give_the_same_optimum(loss_mix, kind, passes):
    X, y = data()
    X, y = HARD[kind](X, y, np.random.default_rng(3))
    found, expected = both(X, y, loss_mix=loss_mix)
    np.testing.assert_allclose(found.objective_, expected.objective_, rtol=1e-10)
    np.testing.assert_allclose(found.coef_, expected.coef_, rtol=0, atol=1e-7)
    assert found.dual_gap_ <= 1e-8 * found.objective_
    assert len(passes) <= 8


@every_mix
def test_a_column_that_the_gram_matrix_cannot_see_is_not_dropped(loss_mix, passes):
    """Its pivot, 1e-12, is one that a Gram matrix cannot tell from 0."""
    X, y = data()
    X[:, 1] = X[:, 0] + 1e-6 * X[:, 1]
    y = y + 1e6 * (X[:, 1] - X[:, 0])
    found, expected = both(X, y, loss_mix=loss_mix)
    np.testing.assert_allclose(found.objective_, expected.objective_, rtol=1e-9)
    assert found.dual_gap_ <= 1e-8 * found.objective_
    read = any(type(kernel).__name__ == "Triangle" for kernel in passes)
    assert read or loss_mix == 1  # whose coordinates are from the rows of the sample


@every_mix
def test_y_exactly_linear_is_found_exactly(loss_mix):
    X, _ = data()
    model = PixelLossRegressor(loss_mix, scale=2.0).fit(in_blocks(X, X @ [1.0, -2.0, 0.5] + 3.0))
    np.testing.assert_allclose(model.coef_, [1.0, -2.0, 0.5], atol=1e-12)
    assert model.objective_ < 1e-14


@every_mix
@pytest.mark.parametrize("spread", [1.0, 2.0])
def test_heavy_weights_do_not_widen_the_band_beyond_reason(loss_mix, spread, passes):
    X, y = data(20_000)
    weights = np.random.default_rng(4).lognormal(0, spread, len(X))
    found, expected = both(X, y, weights, loss_mix=loss_mix)
    np.testing.assert_allclose(found.coef_, expected.coef_, rtol=0, atol=1e-9)
    assert len(passes) <= 8


@every_mix
def test_few_rows_are_fitted_in_memory(loss_mix, passes):
    X, y = data(60, outputs=2)
    assert_same_fit(*both(X, y, np.linspace(0.5, 1.5, 60), loss_mix=loss_mix))
    assert len(passes) == 1


@every_mix
def test_a_first_block_far_from_the_others_costs_no_digits(loss_mix, passes):
    X, y = data()
    X[:10] += 1e4
    found, expected = both(X, y, loss_mix=loss_mix)
    assert_same_fit(found, expected)


def test_rows_that_change_between_passes_are_named():
    X, y = data()
    seen = []

    def block(i):
        seen.append(i)
        changed = len(seen) > 6 and i == 1
        return {"X": X[i::3], "y": y[i::3] + changed}

    with pytest.raises(RuntimeError, match="rows of block 1 changed between passes: y is not"):
        PixelLossRegressor(1.0, scale=1.0).fit(from_blocks(block, 3))


def test_blocks_that_lose_rows_between_passes_are_named():
    X, y = data()
    seen = []

    def block(i):
        seen.append(i)
        some = slice(i, None, 3 if len(seen) < 7 else 6)
        return {"X": X[some], "y": y[some]}

    with pytest.raises(RuntimeError, match=r"block \d changed between passes: it had 2000 rows"):
        PixelLossRegressor(1.0, scale=1.0).fit(from_blocks(block, 3))


def test_features_that_change_between_passes_certify_nothing():
    """y is the same; the certificate's own sums tell."""
    X, y = data()
    rng = np.random.default_rng(0)

    def block(i):
        return {"X": X[i::3] + 0.5 * rng.normal(size=X[i::3].shape), "y": y[i::3]}

    model = PixelLossRegressor(1.0, scale=1.0)
    with pytest.warns(UserWarning, match="did not reach tol"):
        model.fit(from_blocks(block, 3))
    assert model.dual_gap_ > 1e-4 * model.objective_


@every_mix
def test_predictions_come_by_block(loss_mix):
    X, y = data()
    model = PixelLossRegressor(loss_mix, scale=1.0, clip=(-1.0, 2.0)).fit(in_blocks(X, y))
    parts = list(model.predict(in_blocks(X, y)))
    assert [len(part) for part in parts] == [0, 1, 1999, 0, 1000, 3000]
    np.testing.assert_allclose(np.concatenate(parts), model.predict(X), rtol=1e-12)
    unlabelled = from_blocks(lambda i: {"X": X[i::2]}, 2)
    assert [len(part) for part in model.predict(unlabelled)] == [3000, 3000]


def test_names_of_features_are_kept():
    pd = pytest.importorskip("pandas")
    X, y = data()
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    model = PixelLossRegressor(0.0, scale=1.0).fit(in_blocks(frame, y))
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    model.predict(frame)


@pytest.mark.parametrize("name", ["y", "sample_weight", "sensitive_features"])
def test_arguments_beside_a_source_are_refused_by_name(name):
    X, y = data()
    with pytest.raises(ValueError, match=f"{name} must be None beside a source"):
        PixelLossRegressor().fit(in_blocks(X, y), **{name: y})


def test_a_fit_without_y_is_refused_as_scikit_learn_does():
    with pytest.raises(ValueError, match="requires y to be passed"):
        PixelLossRegressor().fit(np.eye(3))


BAD = {
    "no mapping": (lambda X, y: (X, y), TypeError, "block 0 must be a mapping with 'X' and 'y'"),
    "no y": (lambda X, y: {"X": X}, TypeError, "block 0 must be a mapping with 'X' and 'y'"),
    "another name": (
        lambda X, y: {"X": X, "y": y, "weights": y},
        TypeError,
        r"block 0 has \['weights'\], which is none of",
    ),
    "too few targets": (lambda X, y: {"X": X, "y": y[1:]}, ValueError, "has 6000 rows, y 5999"),
    "text": (
        lambda X, y: {"X": np.full(X.shape, "a"), "y": y},
        ValueError,
        "X of block 0 must hold numbers",
    ),
    "NaN in X": (
        lambda X, y: {"X": X * np.nan, "y": y},
        ValueError,
        "X of block 0 contains NaN",
    ),
    "NaN in y": (
        lambda X, y: {"X": X, "y": y * np.nan},
        ValueError,
        "y of block 0 contains NaN",
    ),
    "NaN in a row without weight": (
        lambda X, y: {"X": np.vstack([X[1:], X[:1] * np.nan]), "y": y, "sample_weight": _last_0(y)},
        ValueError,
        "X of block 0 contains NaN",
    ),
    "negative weights": (
        lambda X, y: {"X": X, "y": y, "sample_weight": -np.ones(len(y))},
        ValueError,
        "sample_weight of block 0 must be finite and >= 0",
    ),
    "one column as a vector": (
        lambda X, y: {"X": X[:, 0], "y": y},
        ValueError,
        "two dimensions",
    ),
}


def _last_0(y):
    out = np.ones(len(y))
    out[-1] = 0
    return out


@pytest.mark.parametrize("kind", BAD)
def test_a_block_that_is_wrong_is_named(kind):
    make, error, message = BAD[kind]
    X, y = data()
    with pytest.raises(error, match=message):
        PixelLossRegressor(0.0, scale=1.0).fit(from_blocks(lambda i: make(X, y), 1))


@pytest.mark.parametrize("name", ["X", "y"])
def test_a_block_with_other_columns_is_named(name):
    X, y = data(outputs=2)

    def block(i):
        given = {"X": X[i::3], "y": y[i::3]}
        return {**given, name: given[name][:, :1]} if i == 1 else given

    with pytest.raises(ValueError, match=f"{name} of block 1 has 1 columns, but the first block"):
        PixelLossRegressor().fit(from_blocks(block, 3))


def test_sparse_blocks_are_refused():
    sp = pytest.importorskip("scipy.sparse")
    X, y = data()
    source = from_blocks(lambda i: {"X": sp.csr_array(X), "y": y}, 1)
    with pytest.raises(NotImplementedError, match="X of block 0 is sparse"):
        PixelLossRegressor().fit(source)


def test_blocks_without_rows_are_refused():
    empty = from_blocks(lambda i: {"X": np.zeros((0, 2)), "y": np.zeros(0)}, 2)
    with pytest.raises(ValueError, match="there are no rows"):
        PixelLossRegressor().fit(empty)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((None, 2), TypeError, "block must be a function"),
        ((len, 1.5), TypeError, "n_blocks must be an integer"),
        ((len, 0), ValueError, "n_blocks must be at least 1"),
    ],
)
def test_a_source_checks_its_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        from_blocks(*arguments)


def test_what_rows_in_blocks_do_not_have_is_refused_by_name():
    X, y = data()
    with pytest.raises(NotImplementedError, match="warm_start=True"):
        PixelLossRegressor(warm_start=True).fit(in_blocks(X, y))


def test_a_failed_fit_leaves_the_model_as_it_was():
    X, y = data()
    model = PixelLossRegressor(0.0, scale=1.0).fit(in_blocks(X, y))
    before = model.coef_
    with pytest.raises(ValueError, match="NaN"):
        model.fit(in_blocks(X, y * np.nan))
    assert model.coef_ is before


@every_mix
@pytest.mark.parametrize("l1_ratio", [0.5, 1.0])
def test_an_l1_penalty_leaves_the_same_zeros(loss_mix, l1_ratio):
    rng = np.random.default_rng(6)
    X = rng.normal(size=(5000, 6)) * [1e-3, 1.0, 1e3, 1.0, 1.0, 1.0]
    y = X @ [500.0, 1.0, 2e-3, 0.0, 0.0, 0.01] + rng.standard_t(3, size=len(X))
    found, expected = both(X, y, loss_mix=loss_mix, alpha=0.1, l1_ratio=l1_ratio)
    np.testing.assert_array_equal(found.coef_ == 0, expected.coef_ == 0)
    scale = [1e-3, 1.0, 1e3, 1.0, 1.0, 1.0]
    np.testing.assert_allclose(found.coef_ * scale, expected.coef_ * scale, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.objective_, expected.objective_, rtol=1e-11)
    assert found.dual_gap_ <= 1e-8 * found.objective_


def levels(n):
    """Return two groups of equal size under a constant model: any level between is optimal."""
    return np.zeros((n, 1)), np.where(np.arange(n) % 2, 1.0, 0.0)


TIES = {
    "two levels": lambda rng: levels(5000),
    "an even number of rows": lambda rng: (np.zeros((5000, 1)), rng.normal(size=5000)),
    "levels of dummies": lambda rng: (
        np.eye(3)[np.arange(6000) % 3],
        np.arange(6000) % 3 + np.arange(6000) // 3 % 2.0,
    ),
    "integers": lambda rng: (np.round(rng.normal(size=(5000, 2))), np.round(rng.normal(size=5000))),
}


@pytest.mark.parametrize("kind", TIES)
def test_ties_are_settled_by_the_rule(kind):
    X, y = TIES[kind](np.random.default_rng(7))
    found, expected = both(X, y, loss_mix=1.0)
    np.testing.assert_allclose(found.predict(X), expected.predict(X), rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.coef_, expected.coef_, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.objective_, expected.objective_, rtol=1e-10)


@every_mix
def test_copies_of_a_penalised_column_share_its_coefficient(loss_mix):
    X, y = data(5000)
    X = np.column_stack([X, X[:, 0]])
    found, expected = both(X, y, loss_mix=loss_mix, alpha=0.1, l1_ratio=1.0)
    np.testing.assert_allclose(found.coef_, expected.coef_, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.coef_[0], found.coef_[3], rtol=1e-9)


def test_a_group_in_every_second_row_does_not_leave_the_band(passes):
    """Of rows piled up at 0 some stay there unread: not all of a group, whatever its rhythm."""
    rng = np.random.default_rng(8)
    X = np.column_stack([np.arange(20_000) % 2, rng.normal(size=20_000)]).astype(float)
    y = X @ [1.0, 2.0] + np.where(rng.random(20_000) < 0.5, rng.normal(size=20_000), 0.0)
    found, expected = both(X, y, loss_mix=1.0)
    np.testing.assert_allclose(found.coef_, expected.coef_, rtol=0, atol=1e-9)
    thin = [kernel.sides.thin for kernel in passes if type(kernel).__name__ == "Split"]
    assert max(thin) > 1
    assert found.dual_gap_ <= 1e-8 * found.objective_


def test_a_row_at_the_limit_is_in_the_band_by_its_number(monkeypatch):
    """Another machine may round its residual to the other side: that changes nothing."""
    X, y = data()
    expected = PixelLossRegressor(1.0, scale=2.0).fit(in_blocks(X, y))
    residuals = kernels.residuals

    def rounded(y, X, model):
        r = residuals(y, X, model)
        return r * (1.0 + 4e-16 * np.random.default_rng(len(r)).integers(-1, 2, r.shape))

    monkeypatch.setattr(kernels, "residuals", rounded)
    found = PixelLossRegressor(1.0, scale=2.0).fit(in_blocks(X, y))
    np.testing.assert_allclose(found.coef_, expected.coef_, rtol=0, atol=1e-12)
    assert found.dual_gap_ <= 1e-8 * found.objective_


def test_a_billion_rows_take_few_megabytes_of_the_driver(monkeypatch):
    """Fit some rows with the sample and the band of a billion: they are what there is to keep."""
    n, p = 10**9, 20
    drawn = draws.size_of(n, p)
    stub = SimpleNamespace(basis=SimpleNamespace(n_coordinates=p + 1), uncertain=False)
    size = BandSize.among(np.full(drawn, 1.0 / n), np.full(drawn, n / drawn), stub)
    monkeypatch.setattr(draws, "size_of", lambda n, p: drawn)
    monkeypatch.setattr(RowForm, "size", lambda self, multipliers: size)
    run, kept, peaks, band = facts.Passes.run, [], [], []

    def watched(self, kernel, own=None):
        now, peak = tracemalloc.get_traced_memory()
        kept.append(now / 2**20)
        peaks.append(peak / 2**20)
        sums = run(self, kernel, own)
        band.extend(len(rows[0]) for name, rows in sums.joined.items() if name == "band")
        return sums

    def block(i):
        rng = np.random.default_rng(i)
        X = rng.normal(size=(20_000, p))
        return {"X": X, "y": X.sum(axis=1) + rng.standard_t(3, len(X))}

    monkeypatch.setattr(facts.Passes, "run", watched)
    tracemalloc.start()
    try:
        PixelLossRegressor(1.0, scale=1.0).fit(from_blocks(block, 20))
    finally:
        tracemalloc.stop()
    assert 0.9 * size.near < band[0] < 1.1 * size.near
    assert max(kept) < 75  # 12 of the sample, 48 of the band
    assert max(peaks) < 115  # halves of the band and both; or the band, and 18 numbers for each row


def test_samples_of_parts_merge_to_the_sample_of_the_whole():
    rng = np.random.default_rng(9)
    weights = rng.lognormal(0, 2, 3000)
    keys = rng.random(3000) / weights
    rows = np.arange(3000.0)[:, None], np.zeros((3000, 1)), weights

    def draw(part):
        own = tuple(values[part] for values in rows)
        return {None: draws.Draw(len(part), np.inf, keys[part], own)}

    cuts = [0, 1, 900, 1000, 3000]
    parts = [draw(np.arange(a, b)) for a, b in pairwise(cuts)]
    found = in_tree(parts, draws.merge_draws)[None]
    most = draws.size_of(3000, 1)
    np.testing.assert_array_equal(found.rows[0][:, 0], np.sort(np.argsort(keys)[:most]))
    assert found.limit == np.sort(keys)[most]
    assert found.n_rows == 3000
    np.testing.assert_allclose(found.stands_for.sum(), weights.sum(), rtol=0.1)


@pytest.mark.parametrize("n", range(1, 18))
def test_sums_come_together_in_one_tree_whoever_makes_it(n):
    def level(parts):
        while len(parts) > 1:
            pairs = [parts[i : i + 2] for i in range(0, len(parts), 2)]
            parts = [f"({pair[0]}{pair[1]})" if len(pair) == 2 else pair[0] for pair in pairs]
        return parts[0]

    letters = [chr(97 + i) for i in range(n)]
    assert in_tree(iter(letters), lambda a, b: f"({a}{b})") == level(letters)
