"""The design's products, and the coordinates in which it is orthonormal or reaches every column."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse._compressed import _cs_matrix
from scipy.sparse._coo import _coo_base

import skfairloss._design.design as design_module
import skfairloss._design.factor as factor_module
from skfairloss import PixelLossRegressor
from skfairloss._core.certificate import certify
from skfairloss._core.losses import MixedLoss
from skfairloss._core.problem import Problem
from skfairloss._core.solution import Point
from skfairloss._design import make_design
from skfairloss._design.basis import Basis
from skfairloss._design.dense import DenseDesign
from skfairloss._design.factor import (
    coefficient_basis,
    column_basis,
    column_spread,
    orthonormal_basis,
)
from skfairloss._design.sparse_rows import SparseGrams
from skfairloss._solvers import solve

KINDS = ("tall", "long", "wide", "duplicate", "constant", "zero", "scales", "one hot", "near")
every_design = pytest.mark.parametrize("kind", KINDS)
every_intercept = pytest.mark.parametrize("fit_intercept", [True, False])
every_ridge = pytest.mark.parametrize("ridge", [0.0, 0.3])
STORAGES = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "strided": lambda X: np.repeat(X, 2, axis=0)[::2],
    "csr": sp.csr_array,
    "csc": sp.csc_matrix,
}


def make(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """A design, off-centre and of the named trouble, and weights that sum to one."""
    rng = np.random.default_rng(KINDS.index(kind))
    n, p = {"wide": (7, 12), "long": (400, 5)}.get(kind, (60, 5))
    X = rng.normal(size=(n, p)) + rng.normal(size=p)
    if kind == "duplicate":
        X[:, 3] = X[:, 1] - 2 * X[:, 0]
    if kind == "constant":
        X[:, 2] = 0.1
    if kind == "zero":
        X[:, 2] = 0.0
    if kind == "scales":
        X *= 10.0 ** np.array([-12, -6, 0, 6, 12])
    if kind == "one hot":
        X = np.eye(p)[rng.integers(0, p, size=n)]
    if kind == "near":
        X[:, 4] = X[:, 0] + 1e-7 * X[:, 4]
    weights = 10.0 ** rng.uniform(-1, 1, size=n)
    return X, weights / weights.sum()


def augmented_gram(X: np.ndarray, weights: np.ndarray, basis: Basis, ridge: float) -> np.ndarray:
    """AᵀVA + ridge TᵀT from the rows of A, which the basis itself does not get to see."""
    root = np.sqrt(weights)[:, None]
    A = root * basis.coordinates(X)
    T = np.zeros((X.shape[1], basis.n_coordinates))
    T[:, : basis.n_directions] = basis.transform
    return A.T @ A + ridge * (T.T @ T)


def centred(X: np.ndarray, weights: np.ndarray, fit_intercept: bool) -> np.ndarray:
    return X - weights @ X if fit_intercept else X


def expected_rank(kind: str, fit_intercept: bool) -> int:
    """Rank of the centred columns."""
    less = {"duplicate": 1, "zero": 1, "constant": fit_intercept, "one hot": fit_intercept}
    return 7 - fit_intercept if kind == "wide" else 5 - less.get(kind, 0)


@every_ridge
@every_intercept
@every_design
def test_the_basis_is_orthonormal_under_the_weights(kind, fit_intercept, ridge):
    X, weights = make(kind)
    basis = orthonormal_basis(make_design(X), weights, fit_intercept, ridge)
    gram = augmented_gram(X, weights, basis, ridge)
    atol = 1e-7 if kind == "near" else 1e-11
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=atol)
    rank = expected_rank(kind, fit_intercept)
    if ridge == 0:
        assert basis.n_directions == rank
    assert rank <= basis.n_directions <= min(X.shape[1], len(X))
    stored = basis.full_gram() + 0.0
    stored[: basis.n_directions, : basis.n_directions] += ridge * (
        basis.transform.T @ basis.transform
    )
    np.testing.assert_allclose(stored, np.eye(len(gram)), atol=atol)


@every_intercept
@every_design
def test_any_prediction_of_the_design_is_one_of_the_basis_with_the_smallest_coefficients(
    kind, fit_intercept
):
    X, weights = make(kind)
    rng = np.random.default_rng(5)
    size = np.abs(X).max(axis=0)
    coef = rng.normal(size=X.shape[1]) / np.where(size > 0, size, 1.0)
    basis = orthonormal_basis(make_design(X), weights, fit_intercept)
    prediction = X @ coef + 2.0 * fit_intercept
    theta = basis.coordinates(X).T @ (weights * prediction)
    found, intercept = basis.to_model(theta)
    spread = np.abs(prediction).max()
    np.testing.assert_allclose(X @ found + intercept, prediction, atol=1e-8 * spread)
    if kind not in ("scales", "near"):
        Xc = centred(X, weights, fit_intercept)
        smallest = np.linalg.pinv(Xc, rcond=1e-12) @ (Xc @ coef)
        np.testing.assert_allclose(found, smallest, atol=1e-10)
        assert np.linalg.norm(found) <= np.linalg.norm(coef) * (1 + 1e-10)


@every_intercept
@every_design
def test_pull_back_is_the_adjoint_of_the_coordinates(kind, fit_intercept):
    X, weights = make(kind)
    basis = orthonormal_basis(make_design(X), weights, fit_intercept)
    u = weights[:, None] * np.random.default_rng(6).normal(size=(len(X), 3))
    expected = basis.coordinates(X).T @ u
    np.testing.assert_allclose(basis.pull_back(X.T @ u, u.sum(axis=0)), expected, atol=1e-9)
    one = basis.pull_back(X.T @ u[:, 0], u[:, 0].sum())
    np.testing.assert_allclose(one, expected[:, 0], atol=1e-9)


@every_ridge
@every_intercept
@pytest.mark.parametrize("storage", STORAGES)
@every_design
def test_every_storage_gives_the_same_space_of_models(kind, storage, fit_intercept, ridge):
    X, weights = make(kind)
    plain = orthonormal_basis(make_design(X), weights, fit_intercept, ridge)
    other = orthonormal_basis(make_design(STORAGES[storage](X)), weights, fit_intercept, ridge)
    assert other.n_directions == plain.n_directions
    # Two orthonormal bases may differ by a rotation: T Tᵀ, scaled, does not.
    size = np.where(plain.norms > 0, plain.norms, 1.0)
    one, two = (size[:, None] * basis.transform for basis in (plain, other))
    atol = 1e-6 if kind == "near" else 1e-10
    np.testing.assert_allclose(
        two @ two.T, one @ one.T, rtol=0, atol=atol * max(1, np.abs(one @ one.T).max())
    )


@every_intercept
def test_float32_gives_the_basis_of_the_same_numbers_in_float64(fit_intercept):
    X, weights = make("long")
    single = X.astype(np.float32)
    basis = orthonormal_basis(make_design(single), weights, fit_intercept)
    double = orthonormal_basis(make_design(single.astype(float)), weights, fit_intercept)
    np.testing.assert_allclose(basis.transform, double.transform, rtol=1e-12)
    gram = augmented_gram(single.astype(float), weights, basis, 0.0)
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-12)


@every_ridge
@every_intercept
@pytest.mark.parametrize("kind", ["long", "many one hot"])
def test_the_gram_route_and_the_qr_route_span_the_same_models(
    monkeypatch, kind, fit_intercept, ridge
):
    if kind == "long":
        X, weights = make("long")
    else:
        rng = np.random.default_rng(3)
        X = np.eye(4)[rng.integers(0, 4, size=300)]
        weights = np.full(300, 1 / 300)
    calls = []
    moments = DenseDesign.moments
    monkeypatch.setattr(
        DenseDesign, "moments", lambda self, *a: calls.append(1) or moments(self, *a)
    )
    by_gram = orthonormal_basis(make_design(X), weights, fit_intercept, ridge)
    assert calls
    calls.clear()
    monkeypatch.setattr(factor_module, "_MANY_ROWS", 10**9)
    by_qr = orthonormal_basis(make_design(X), weights, fit_intercept, ridge)
    assert not calls
    assert by_gram.n_directions == by_qr.n_directions
    np.testing.assert_allclose(
        by_gram.transform @ by_gram.transform.T, by_qr.transform @ by_qr.transform.T, rtol=1e-9
    )


@pytest.mark.parametrize("distance", [1e-6, 1e-8, 1e-9])
@every_intercept
def test_nearly_equal_columns_of_many_rows_keep_the_accuracy_of_qr(fit_intercept, distance):
    rng = np.random.default_rng(8)
    X = rng.normal(size=(300, 3))
    X[:, 2] = X[:, 0] + distance * X[:, 2]  # a Gram matrix squares this
    weights = np.full(300, 1 / 300)
    basis = orthonormal_basis(make_design(X), weights, fit_intercept)
    assert basis.n_directions == 3
    gram = augmented_gram(X, weights, basis, 0.0)
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-14 / distance)


def make_collinear(condition: float, shift: float, unit: float) -> tuple[np.ndarray, np.ndarray]:
    """Many rows of nearly collinear columns of unequal size, and weights that sum to one."""
    rng = np.random.default_rng(11)
    turn = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    X = rng.standard_normal((3000, 6)) @ (turn * np.logspace(0, -np.log10(condition), 6)) @ turn.T
    weights = rng.uniform(0.2, 1.8, size=3000)
    return unit * (X * [1, 3, 10, 0.1, 1, 1] + shift), weights / weights.sum()


@every_intercept
@pytest.mark.parametrize(("shift", "unit"), [(0.0, 1.0), (3.0, 1.0), (0.0, 1e-7)])
@pytest.mark.parametrize("storage", ["C", "F", "csr"])
def test_two_cholesky_factors_are_as_good_as_a_qr_of_the_rows(
    monkeypatch, storage, shift, unit, fit_intercept
):
    X, weights = make_collinear(1e5, shift, unit)
    design, rows = make_design(STORAGES[storage](X)), []
    qr_of_rows = factor_module._factor_rows
    monkeypatch.setattr(factor_module, "_factor_rows", lambda *a: rows.append(a) or qr_of_rows(*a))
    basis = orthonormal_basis(design, weights, fit_intercept)
    assert not rows
    assert basis.n_directions == 6
    monkeypatch.setattr(factor_module, "_cholesky_twice", lambda *a: None)
    by_rows = orthonormal_basis(design, weights, fit_intercept)
    assert len(rows) == 1
    for found in (basis, by_rows):
        A = centred(X, weights, fit_intercept) @ found.transform
        np.testing.assert_allclose(A.T @ (weights[:, None] * A), np.eye(6), atol=1e-10)


@pytest.mark.parametrize(
    ("trouble", "fit_intercept"),
    [("condition", True), ("condition", False), ("constant", True), ("duplicate", True)],
)
def test_where_a_gram_matrix_has_no_digits_a_qr_of_the_rows_decides(
    monkeypatch, trouble, fit_intercept
):
    X, weights = make_collinear(1e9 if trouble == "condition" else 1e6, 0.0, 1.0)
    if trouble == "constant":
        X[:, 2] = 0.1
    elif trouble == "duplicate":
        X[:, 2] = X[:, 1] + 1e-9 * X[:, 0]
    rows, qr_of_rows = [], factor_module._factor_rows
    monkeypatch.setattr(factor_module, "_factor_rows", lambda *a: rows.append(a) or qr_of_rows(*a))
    orthonormal_basis(make_design(X), weights, fit_intercept)
    assert len(rows) == 1


@every_intercept
@pytest.mark.parametrize("offset", [1e3, 1e8])
def test_a_large_mean_of_the_columns_hides_no_direction(fit_intercept, offset):
    X, weights = make("long")
    basis = orthonormal_basis(make_design(X + offset), weights, fit_intercept)
    gram = augmented_gram(X + offset, weights, basis, 0.0)
    assert basis.n_directions == 5
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-7)


@pytest.mark.parametrize("diagonal", [None, True, False])
@every_ridge
@every_intercept
@every_design
def test_the_coefficient_basis_reaches_every_named_coefficient_and_no_other(
    kind, fit_intercept, ridge, diagonal
):
    X, weights = make(kind)
    size = np.sqrt(weights @ centred(X, weights, fit_intercept) ** 2)
    size[size < 1e-14] = 1.0
    for columns in (np.arange(X.shape[1]), np.array([0, 2, 4])):
        basis = coefficient_basis(make_design(X), weights, fit_intercept, ridge, columns, diagonal)
        assert basis.n_directions == len(columns)
        scaled = basis.transform[columns] * size[columns, None]
        scaled /= np.linalg.norm(scaled, axis=0)
        assert np.linalg.cond(scaled) < (1e9 if kind == "near" else 1e4)
        others = np.setdiff1d(np.arange(X.shape[1]), columns)
        assert not basis.transform[others].any()
        A = np.sqrt(weights)[:, None] * basis.coordinates(X)
        np.testing.assert_allclose(
            A.T @ A, basis.full_gram(), atol=1e-7 if kind == "near" else 1e-10
        )
        if diagonal:
            np.testing.assert_allclose(scaled, np.eye(len(columns)), atol=1e-15)


@every_intercept
def test_a_coefficient_basis_of_no_column_leaves_the_intercept(fit_intercept):
    X, weights = make("tall")
    basis = coefficient_basis(
        make_design(X), weights, fit_intercept, 0.0, np.array([], dtype=np.intp)
    )
    assert basis.n_coordinates == fit_intercept
    coef, intercept = basis.to_model(np.full(basis.n_coordinates, 3.0))
    assert not coef.any()
    assert intercept == 3.0 * fit_intercept


@pytest.mark.parametrize("storage", STORAGES)
@every_design
def test_predictions_and_adjoints_of_every_storage_are_the_matrix_products(kind, storage):
    X, weights = make(kind)
    rng = np.random.default_rng(9)
    design = make_design(STORAGES[storage](X))
    absolute = design.absolute()
    coef, u = rng.normal(size=(X.shape[1], 2)), rng.normal(size=(len(X), 2))
    intercept = np.array([1.0, -2.0])
    for B, D in ((X, design), (np.abs(X), absolute)):
        np.testing.assert_allclose(D.predict(coef, intercept), B @ coef + intercept, rtol=1e-10)
        np.testing.assert_allclose(D.predict(coef[:, 0], 1.0), B @ coef[:, 0] + 1, rtol=1e-10)
        size = np.abs(X).sum(axis=0)[:, None] + 1e-300
        np.testing.assert_allclose(D.adjoint(u) / size, B.T @ u / size, atol=1e-13)
        np.testing.assert_allclose(
            D.adjoint(u[:, 0]) / size[:, 0], (B.T @ u[:, 0]) / size[:, 0], atol=1e-13
        )
    centre = weights @ X
    moments = (X - centre).T @ (weights[:, None] * (X - centre))
    size = np.sqrt(np.outer(weights @ X**2, weights @ X**2)) + 1e-300
    np.testing.assert_allclose(design.moments(weights, centre) / size, moments / size, atol=1e-13)
    np.testing.assert_array_equal(design.block(slice(2, 6)), X[2:6])
    np.testing.assert_array_equal(design.block(np.array([3, 0])), X[[3, 0]])


def test_products_of_float32_are_taken_in_float64():
    X = make("tall")[0].astype(np.float32)
    rng = np.random.default_rng(10)
    coef, u = rng.normal(size=(5, 2)), rng.normal(size=(60, 2))
    single, double = make_design(X), make_design(X.astype(float))
    np.testing.assert_allclose(single.predict(coef, 1.0), double.predict(coef, 1.0), rtol=1e-13)
    np.testing.assert_allclose(single.adjoint(u), double.adjoint(u), rtol=1e-12)
    sparse = make_design(sp.csr_array(X))
    np.testing.assert_allclose(sparse.predict(coef, 1.0), double.predict(coef, 1.0), rtol=1e-12)


@pytest.mark.parametrize("storage", STORAGES)
@every_intercept
def test_rows_are_the_coordinates_of_the_design(storage, fit_intercept):
    X, weights = make("tall")
    rng = np.random.default_rng(11)
    design = make_design(STORAGES[storage](X))
    basis = orthonormal_basis(design, weights, fit_intercept)
    A, index = basis.coordinates(X), np.array([7, 3, 50])
    for rows, expected in ((design.rows(basis), A), (design.rows(basis, index), A[index])):
        assert (rows.n_rows, rows.n_columns) == expected.shape
        theta, a = rng.normal(size=expected.shape[1]), rng.normal(size=len(expected))
        np.testing.assert_allclose(rows.dot(theta), expected @ theta, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(rows.adjoint(a), expected.T @ a, rtol=1e-10, atol=1e-12)
        gram = expected.T @ (a[:, None] ** 2 * expected)
        np.testing.assert_allclose(rows.gram(a**2), gram, rtol=1e-10, atol=1e-11)
        np.testing.assert_allclose(rows.take(np.array([1, 0])), expected[[1, 0]], atol=1e-13)


@every_intercept
@pytest.mark.parametrize("storage", STORAGES)
def test_the_block_size_changes_nothing(monkeypatch, storage, fit_intercept):
    X, weights = make("long")
    X = np.float32(X) if storage == "F" else X
    rng = np.random.default_rng(12)
    u, coef = rng.normal(size=(len(X), 2)), rng.normal(size=(5, 2))

    def results():
        design = make_design(STORAGES[storage](X))
        basis = orthonormal_basis(design, weights, fit_intercept, 0.1)
        completed = coefficient_basis(design, weights, fit_intercept, 0.0, np.arange(5), False)
        return (
            sum(1 for _ in design.blocks()),
            np.vstack([block for _, block in design.blocks()]),
            design.predict(coef, 1.0),
            design.absolute().predict(coef, 1.0),
            design.moments(weights, weights @ X),
            design.adjoint(u),
            column_spread(design, weights, fit_intercept),
            basis.transform @ basis.transform.T,
            completed.transform @ completed.transform.T,
            design.rows(basis).dot(basis.coordinates(X).T @ (weights * u[:, 0])),
        )

    whole = results()
    for kind in (design_module.DenseDesign, design_module.SparseDesign):
        monkeypatch.setattr(kind, "block_size", 1)
    cut = results()
    assert whole[0] == 1
    assert cut[0] > 5
    for one, other in zip(whole[1:], cut[1:], strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-10, atol=1e-12)


@every_intercept
def test_the_spread_of_a_column_is_its_weighted_standard_deviation(fit_intercept):
    X, weights = make("scales")
    mean = np.average(X, axis=0, weights=weights) if fit_intercept else 0.0
    expected = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=weights))
    np.testing.assert_allclose(
        column_spread(make_design(X), weights, fit_intercept), expected, rtol=1e-12
    )


@pytest.mark.parametrize("penalty", [{}, {"alpha": 1e-3}, {"alpha": 1e-3, "l1_ratio": 0.5}])
@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
def test_a_fit_of_a_sparse_design_never_makes_a_dense_copy(monkeypatch, loss_mix, penalty):
    rng = np.random.default_rng(13)
    n, p = 20_000, 50
    codes = rng.integers(0, p, size=n)
    X = sp.csr_array((np.ones(n), (np.arange(n), codes)), shape=(n, p))
    y = rng.normal(size=p)[codes] + rng.standard_t(3, size=n)
    made = []

    def watched(toarray):
        return lambda self, *a, **k: made.append(np.prod(self.shape)) or toarray(self, *a, **k)

    for kind in (_cs_matrix, _coo_base):
        monkeypatch.setattr(kind, "toarray", watched(kind.toarray))
    model = PixelLossRegressor(loss_mix, **penalty, tol=1e-6)
    tracemalloc.start()
    model.fit(X, y)
    model.predict(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert made, "the largest dense array was not seen"
    assert max(made) <= n * p / 4
    assert peak < 8 * n * p  # bytes of a dense copy


@pytest.mark.parametrize("n_columns", [1, 5, 60, 1100])
@pytest.mark.parametrize("kind", ["uniform", "mixed", "repeated"])
def test_products_of_sparse_columns_are_those_of_dense_ones(kind, n_columns):
    rng = np.random.default_rng(n_columns)
    n = 700
    counts = np.full(n, min(3, n_columns)) if kind == "uniform" else rng.integers(0, 40, size=n)
    starts = np.concatenate([[0], np.cumsum(counts)])
    columns = rng.integers(n_columns, size=starts[-1])  # not sorted, some of them twice in a row
    X = sp.csr_array((rng.normal(size=starts[-1]), columns, starts), shape=(n, n_columns))
    if kind == "mixed":
        X.sum_duplicates()
    d = 10.0 ** rng.uniform(-3, 3, size=n)
    dense = X.toarray()
    expected = dense.T @ (d[:, None] * dense)
    size = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    grams = SparseGrams(X)
    for scale in (1.0, 3.0, 5.0):  # products are kept from the second time on
        assert (np.abs(grams.gram(scale * d) - scale * expected) <= 1e-12 * size).all()


def make_blocks(n: int, seed: int) -> tuple[sp.csr_array, np.ndarray]:
    """Two one-hot blocks beside a scaled numeric column, and weights that sum to one."""
    rng = np.random.default_rng(seed)
    first, second = (np.eye(k)[rng.integers(k, size=n)] for k in (4, 6))
    numbers = np.where(rng.random(n) < 0.3, 7.0 + 50.0 * rng.normal(size=n), 0.0)
    weights = rng.lognormal(size=n)
    return sp.csr_array(np.column_stack([first, second, numbers])), weights / weights.sum()


@every_ridge
@every_intercept
def test_plain_coordinates_are_columns_and_reach_every_prediction(fit_intercept, ridge):
    X, weights = make_blocks(400, 3)
    dense = X.toarray()
    basis = column_basis(make_design(X), weights, fit_intercept, ridge)
    assert basis.n_directions == (9 if fit_intercept else 10)
    columns, scale = basis.plain
    Xc = centred(dense, weights, fit_intercept)
    A = basis.coordinates(dense)
    np.testing.assert_allclose(A[:, : len(columns)], Xc[:, columns] / scale, atol=1e-13)
    gram = augmented_gram(dense, weights, basis, ridge)
    d = basis.n_directions
    np.testing.assert_allclose(gram[:d, :d], basis.factor @ basis.factor.T, atol=1e-12)
    np.testing.assert_allclose(gram[d:, :d], 0.0, atol=1e-12)
    theta = np.random.default_rng(4).normal(size=(basis.n_coordinates, 2))
    coef, intercept = basis.to_model(theta)
    np.testing.assert_allclose(dense @ coef + intercept, A @ theta, atol=1e-10)
    np.testing.assert_allclose(np.linalg.pinv(Xc, rcond=1e-12) @ (Xc @ coef), coef, atol=1e-10)
    d, size = basis.resolved(theta)
    np.testing.assert_allclose(gram @ d, theta, atol=1e-10)
    np.testing.assert_allclose(size**2, (theta * d).sum(axis=0), rtol=1e-10)


@every_intercept
def test_rows_in_plain_coordinates_have_the_products_of_their_array(fit_intercept):
    X, weights = make_blocks(300, 5)
    design = make_design(X)
    rows = design.rows(column_basis(design, weights, fit_intercept, 0.1), np.arange(20, 200))
    array = rows.take(np.arange(rows.n_rows))
    rng = np.random.default_rng(6)
    theta, a, d = rng.normal(size=rows.n_columns), rng.normal(size=180), rng.random(180)
    np.testing.assert_allclose(rows.dot(theta), array @ theta, atol=1e-12)
    np.testing.assert_allclose(rows.adjoint(a), array.T @ a, atol=1e-12)
    np.testing.assert_allclose(rows.gram(d), array.T @ (d[:, None] * array), atol=1e-12)


def test_nearly_collinear_or_dense_columns_are_no_plain_coordinates():
    X, weights = make_blocks(400, 7)
    assert column_basis(make_design(X.toarray()), weights, True, 0.0) is None
    near = X[:, [10]] + 1e-3 * sp.csr_array(np.random.default_rng(8).normal(size=(400, 1)))
    assert column_basis(make_design(sp.hstack([X, near])), weights, True, 0.0) is None


@pytest.mark.parametrize("alpha", [0.0, 1e-3])
@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("n", [500, 20_000])
def test_a_fit_in_plain_coordinates_is_the_fit_of_dense_x(loss_mix, alpha, n):
    X, weights = make_blocks(n, 9)
    y = X @ np.linspace(-2.0, 3.0, X.shape[1]) + np.random.default_rng(10).standard_t(2, size=n)
    models = [
        PixelLossRegressor(loss_mix, alpha=alpha).fit(x, y, sample_weight=weights)
        for x in (X, X.toarray())
    ]
    for model in models:
        assert model.dual_gap_ <= 1e-8 * model.objective_
    one, two = models
    np.testing.assert_allclose(one.objective_, two.objective_, rtol=1e-9)
    np.testing.assert_allclose(one.coef_, two.coef_, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(one.intercept_, two.intercept_, rtol=1e-6)


@pytest.mark.parametrize("l2", [0.0, 1e-2])
@pytest.mark.parametrize("loss_mix", [0.0, 0.5, 1.0])
def test_the_certificate_in_plain_coordinates_never_understates_the_excess(loss_mix, l2):
    X, weights = make_blocks(500, 11)
    rng = np.random.default_rng(12)
    y = (X @ rng.normal(size=X.shape[1]) + rng.standard_t(2, size=500))[:, None]
    loss = MixedLoss(loss_mix, 0.5)
    sparse = Problem(make_design(X), y, weights, loss, l2=l2)
    dense = replace(sparse, design=make_design(X.toarray()))
    assert sparse.exact_basis.plain is not None
    assert dense.exact_basis.plain is None
    best = solve(dense, tol=1e-12)
    least = dense.objective(best.coef, best.intercept)
    known = best.dual  # without a kink they are the model's own slopes
    if loss_mix == 0:
        known = loss.derivative(dense.residual(best.coef, best.intercept))
    for size in (1e-6, 1e-3, 1.0):
        coef = best.coef + size * rng.normal(size=best.coef.shape)
        dual = known + size * rng.normal(size=y.shape)
        found = [certify(one, Point(coef, best.intercept, dual)) for one in (sparse, dense)]
        assert found[0].gap >= dense.objective(coef, best.intercept) - least - 1e-12
        assert found[0].gap == pytest.approx(found[1].gap, rel=0.5)
