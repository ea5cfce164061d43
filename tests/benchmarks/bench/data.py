"""Data of the benchmarks that are drawn; ``packages.py`` reads those that packages carry."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp


def gaussian(rows: int, features: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian X, a linear signal with an intercept, and noise with heavy tails (t, 2 df)."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, features))
    y = 1.0 + X @ rng.standard_normal(features) + rng.standard_t(2, rows)
    return X, y


def gaussian_outputs(
    rows: int, features: int, outputs: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The same with several outputs."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, features))
    W = rng.standard_normal((features, outputs)) / np.sqrt(features)
    return X, 1.0 + X @ W + rng.standard_t(2, (rows, outputs))


def grouped(
    rows: int, features: int, groups: int, seed: int, decimals: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gaussian X, t noise, and groups of unequal size, noise and coefficients.

    The share of group g is proportional to g + 1, its noise to 1 + 2 (G - 1 - g) / (G - 1): the
    smallest group is the noisiest one.
    """
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, features))
    ranks = np.arange(groups)
    codes = rng.choice(groups, rows, p=(ranks + 1) / (ranks + 1).sum())
    coef = rng.standard_normal(features) + 0.3 * rng.standard_normal((groups, features))
    noise = 1.0 + 2.0 * (groups - 1 - ranks) / max(groups - 1, 1)
    y = 1.0 + (X * coef[codes]).sum(axis=1) + noise[codes] * rng.standard_t(2, rows)
    return X, y if decimals is None else y.round(decimals), codes


HARD = (
    "gaussian",
    "y rounded to one decimal",
    "integer y",
    "30 % of rows on the plane",
    "outliers of 1e8",
    "column scales 1e-6 to 1e6",
    "correlated columns, condition 1e6",
    "skewed weights",
    "sorted rows",
    "Cauchy noise",
    "log-normal noise",
)


def hard_twin(
    kind: str, rows: int, features: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """X, y and weights of one of the ``HARD`` twins of the Gaussian problem of this seed."""
    X, y = gaussian(rows, features, seed)
    rng = np.random.default_rng(seed + 1)
    plane = 1.0 + X @ np.linspace(-1.0, 1.0, features)
    if kind == "y rounded to one decimal":
        y = y.round(1)
    elif kind == "integer y":
        y = y.round()
    elif kind == "30 % of rows on the plane":
        y = np.where(rng.random(rows) < 0.3, plane, plane + rng.standard_t(2, rows))
    elif kind == "outliers of 1e8":
        y[rng.choice(rows, max(1, rows // 1000), replace=False)] += 1e8
    elif kind == "column scales 1e-6 to 1e6":
        X = X * np.logspace(-6, 6, features)
    elif kind == "correlated columns, condition 1e6":
        turn = np.linalg.qr(rng.standard_normal((features, features)))[0]
        X = X @ (turn * np.logspace(0, -6, features)) @ turn.T
    elif kind == "skewed weights":
        return X, y, rng.lognormal(0.0, 2.0, rows)
    elif kind == "sorted rows":
        order = np.argsort(y)
        X, y = X[order], y[order]
    elif kind == "Cauchy noise":
        y = plane + rng.standard_cauchy(rows)
    elif kind == "log-normal noise":
        y = plane + rng.lognormal(0.0, 1.0, rows)
    elif kind != "gaussian":
        raise ValueError(f"kind is one of {HARD}, got {kind!r}")
    return X, y, None


def one_hot_blocks(
    rows: int, blocks: int, width: int, seed: int
) -> tuple[sp.csr_array, np.ndarray]:
    """Sparse one-hot blocks of ``width`` columns each, and t noise."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(width, size=(rows, blocks))
    columns = (codes + width * np.arange(blocks)).ravel()
    starts = np.arange(0, rows * blocks + 1, blocks)
    X = sp.csr_array((np.ones(rows * blocks), columns, starts), shape=(rows, blocks * width))
    y = 1.0 + X @ rng.standard_normal(blocks * width) + rng.standard_t(2, rows)
    return X, y
