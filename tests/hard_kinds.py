"""Kinds of data and settings that public bug reports are about, for `hard_problems`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

Rng = np.random.Generator


@dataclass(frozen=True)
class Rows:
    """Data of a kind: X, dense or sparse, y (n, m), sample weights or None."""

    X: Any
    y: np.ndarray
    weight: np.ndarray | None = None


def _answer(rng: Rng, X: np.ndarray) -> np.ndarray:
    """Draw one to three outputs: a signal of the columns in units of their spread, and noise."""
    spread = X.std(axis=0)
    Z = (X - X.mean(axis=0)) / np.where(spread > 1e-12 * abs(X).max(axis=0), spread, np.inf)
    m = int(rng.choice([1, 1, 1, 2, 3]))
    return (
        Z @ rng.normal(size=(X.shape[1], m))
        + rng.normal(size=m)
        + rng.choice([0.1, 1.0]) * rng.standard_t(3, size=(len(X), m))
    )


def _columns(rng: Rng, n: int | None = None) -> np.ndarray:
    """Draw correlated columns off their origin, of units within a factor of 100 or so."""
    n, p = n or int(rng.choice([20, 40, 80, 150])), int(rng.integers(1, 8))
    X = rng.normal(size=(n, p)) @ (np.eye(p) + 0.4 * rng.normal(size=(p, p))) + rng.normal(size=p)
    return X * 10.0 ** rng.uniform(-1, 1, size=p)


def ordinary(rng: Rng) -> Rows:
    X = _columns(rng)
    weight = rng.uniform(0.2, 3.0, size=len(X)) if rng.random() < 0.3 else None
    return Rows(sp.csr_array(X * (rng.random(X.shape) < 0.4)) if rng.random() < 0.2 else X,
                _answer(rng, X), weight)  # fmt: skip


def many(rng: Rng) -> Rows:
    """Enough rows for the routes that read only some of them, exact or rounded, weighted or not."""
    X = _columns(rng, int(rng.choice([1500, 4000])))
    y = np.round(_answer(rng, X), int(rng.choice([0, 1, 12])))
    return Rows(X, y, rng.uniform(0.2, 3.0, size=len(X)) if rng.random() < 0.3 else None)


def rounded(rng: Rng) -> Rows:
    """Whole numbers or one decimal, and rows that occur twice."""
    X = np.round(_columns(rng), int(rng.integers(0, 2)))
    y = np.round(_answer(rng, X), int(rng.integers(0, 2)))
    half = len(X) // 2
    X[half : 2 * half] = X[:half]
    if rng.random() < 0.5:
        y[half : 2 * half] = y[:half]
    return Rows(X, y)


def far(rng: Rng) -> Rows:
    """Years, timestamps, pressures, 1e9 and a little."""
    X = _columns(rng)
    n = len(X)
    places = [
        rng.integers(1950, 2025, size=n).astype(float),
        1.7e9 + np.round(rng.uniform(0, 3e7, size=n)),
        101325 + 5 * rng.normal(size=n),
        1e9 + rng.normal(size=n),
    ]
    for j in range(X.shape[1]):
        if rng.random() < 0.6:
            X[:, j] = places[rng.integers(len(places))]
    y = _answer(rng, X)
    return Rows(X, y + rng.choice([0.0, 2000.0, 1e9]) if rng.random() < 0.6 else y)


def sums(rng: Rng) -> Rows:
    """Parts beside their sum or mean, from near 0 to far from it."""
    n, k = int(rng.choice([20, 40, 80])), int(rng.integers(2, 5))
    parts = rng.normal(size=(n, k)) + 10.0 ** rng.uniform(0, 5)
    total = parts.sum(axis=1) if rng.random() < 0.5 else parts.mean(axis=1)
    X = np.column_stack([parts, total, _columns(rng, n)])
    return Rows(X, _answer(rng, X) + rng.choice([0.0, 1e5]))


def copies(rng: Rng, density: float = 1.0) -> Rows:
    """Columns that differ from others by 1e-7 to 1e-13, and y that may depend on the difference."""
    X = _columns(rng)
    X = X * (rng.random(X.shape) < density)
    off = rng.normal(size=len(X)) * (X[:, 0] != 0)
    y = _answer(rng, X) + rng.choice([0.0, 2.0]) * off[:, None]
    copy = X[:, 0] * (1 + 10.0 ** rng.uniform(-13, -7) * off)
    return Rows(np.column_stack([X, copy]), y)


def sparse_copies(rng: Rng) -> Rows:
    """The same in sparse X."""
    rows = copies(rng, 0.4)
    return replace(rows, X=(sp.csr_array, sp.csc_array)[rng.integers(2)](rows.X))


def powers(rng: Rng) -> Rows:
    """Powers of calendar years, not centred."""
    n = int(rng.integers(25, 75))
    year = 2024.0 - np.arange(n)
    X = np.column_stack([year**k for k in range(1, int(rng.integers(3, 8)))])
    return Rows(X, _answer(rng, X[:, :1]) + rng.choice([0.0, 100.0]))


def dummies(rng: Rng) -> Rows:
    """All dummies of a factor beside an intercept, some of its levels rare."""
    X = _columns(rng)
    n, n_levels = len(X), int(rng.integers(2, 8))
    share = 3.0 ** -np.arange(n_levels)
    level = rng.choice(n_levels, n, p=share / share.sum())
    others = X if rng.random() < 0.6 else X[:, :0]
    X = np.column_stack([others, np.eye(n_levels)[level]])
    y = _answer(rng, X)
    y = np.round(y) if rng.random() < 0.4 else y
    return Rows(sp.csr_array(X) if rng.random() < 0.5 else X, y)


def useless(rng: Rng) -> Rows:
    """A column of zeros, a constant one, a copy, or a single column."""
    X = _columns(rng)
    y = _answer(rng, X)
    other = (np.zeros(len(X)), np.full(len(X), 3.0), X[:, 0], None)[rng.integers(4)]
    return Rows(X[:, :1] if other is None else np.column_stack([X, other]), y)


def extreme(rng: Rng) -> Rows:
    """A column, y or weights whose squares leave the range of floats."""
    X, size = _columns(rng), 10.0 ** (rng.choice([-1, 1]) * rng.uniform(140, 165))
    y, weight = _answer(rng, X), rng.uniform(0.2, 3.0, size=len(X))
    which = rng.integers(3)
    X[:, 0] *= size if which == 0 else 1.0
    return Rows(X, y * size if which == 1 else y, weight * size if which == 2 else weight)


def weights(rng: Rng) -> Rows:
    """Weights over 24 orders of magnitude, with rows of other kinds."""
    rows = (ordinary, rounded, dummies, far, wide, useless)[rng.integers(6)](rng)
    return replace(rows, weight=10.0 ** rng.uniform(-12, 12, size=len(rows.y)))


def wide(rng: Rng) -> Rows:
    """About as many columns as rows, or more."""
    n = int(rng.integers(8, 30))
    p = n + int(rng.integers(-3, 4)) if rng.random() < 0.6 else int(1.5 * n)
    X = rng.normal(size=(n, p))
    y = X[:, :2] @ np.array([1.0, -2.0]) + rng.choice([0.0, 0.3]) * rng.normal(size=n)
    return Rows(X, y[:, None])


def constant(rng: Rng) -> Rows:
    """An output without variation, alone or beside others."""
    X = _columns(rng)
    y = _answer(rng, X)
    y[:, 0] = rng.choice([0.0, 1.0, 0.1, 1e6 + 0.1])
    return Rows(X, y)


def tiny(rng: Rng) -> Rows:
    """A handful of rows of whole numbers, and of the other kinds in small."""
    n, p = int(rng.integers(2, 8)), int(rng.integers(1, 3))
    X = rng.integers(-3, 4, size=(n, p)).astype(float)
    if p == 2 and rng.random() < 0.4:
        X[:, 1] = X[:, 0] * (1 + 10.0 ** rng.uniform(-13, -7) * rng.normal(size=n))
    X += rng.choice([0.0, 2000.0, 1e9], p=[0.6, 0.2, 0.2])
    return Rows(X, rng.integers(0, 6, size=(n, 1)).astype(float))


def usual_settings(rng: Rng, spread: float) -> dict[str, Any]:
    """Draw every mix with every penalty."""
    ratio = float(rng.choice([0.0, 1.0, rng.uniform(0.1, 0.9)]))
    return {
        "loss_mix": float(rng.choice([0.0, 1.0, 0.5, rng.uniform(0.02, 0.98)])),
        "quantile": float(rng.choice([0.5, 0.5, 0.1, 0.8])),
        "scale": "auto" if rng.random() < 0.5 else float(rng.choice([1.0, spread])),
        "alpha": float(rng.choice([0.0, 10.0 ** rng.uniform(-4, 0.5)], p=[0.4, 0.6])),
        "l1_ratio": ratio,
        "fit_intercept": bool(rng.random() < 0.85),
    }


def ends(rng: Rng, spread: float) -> dict[str, Any]:
    """A mix within 1e-12 to 1e-9 of an end."""
    mix = 10.0 ** rng.uniform(-12, -9)
    return {"loss_mix": float(rng.choice([mix, 1 - mix]))}


def ten_orders(rng: Rng, spread: float) -> dict[str, Any]:
    """Scale and alpha over ten orders of magnitude."""
    scale = float(spread * 10.0 ** rng.uniform(-5, 5))
    return {"scale": scale, "alpha": float(10.0 ** rng.uniform(-6, 4))}


def exact(rng: Rng, spread: float) -> dict[str, Any]:
    """Settings whose optimum is rational."""
    mix, penalised = float(rng.integers(2)), rng.random() < 0.5
    alpha = float(rng.choice([0.01, 0.125, 1.0])) if penalised else 0.0
    return {"loss_mix": mix, "scale": 1.0, "alpha": alpha, "l1_ratio": mix}


def auto(rng: Rng, spread: float) -> dict[str, Any]:
    """A scale in units of y."""
    return {"scale": "auto"}


def no_others(rng: Rng, spread: float) -> dict[str, Any]:
    """No other settings than usual."""
    return {}


# name -> share in the mixture, rows, settings
KINDS: dict[str, tuple[float, Callable[[Rng], Rows], Callable[[Rng, float], dict[str, Any]]]] = {
    "ordinary": (10, ordinary, no_others),
    "rounded": (1, rounded, no_others),
    "far from 0": (1, far, no_others),
    "sums beside parts": (1, sums, no_others),
    "near copies": (1, copies, no_others),
    "near-collinear sparse": (1, sparse_copies, no_others),
    "calendar-year powers": (1, powers, no_others),
    "full dummies": (1, dummies, no_others),
    "weights over 24 orders": (1, weights, no_others),
    "p around n": (1, wide, no_others),
    "constant outputs": (1, constant, no_others),
    "ends of the mix": (1, ordinary, ends),
    "ten orders": (1, ordinary, ten_orders),
    "useless columns": (1, useless, no_others),
    "many rows": (0.3, many, no_others),
    "extreme units": (0.5, extreme, auto),
    "tiny": (1, tiny, exact),
}
PLAIN_ONLY = ("extreme units", "tiny")
