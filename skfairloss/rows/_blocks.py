"""Rows that a function gives block by block."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Integral
from typing import Any

from skfairloss._rows.source import BlockRows


def from_blocks(
    block: Callable[[int], Mapping[str, Any]], n_blocks: int, *, n_jobs: int = 1
) -> BlockRows:
    """Return a source of rows that a function gives block by block.

    A fit reads all blocks a few times: 2 for the squared loss, some 4 for a mix or the absolute
    loss. It keeps matrices of the size of the features, a sample of at most 65 536 rows, and the
    rows near residual zero, never all of them.

    Parameters
    ----------
    block : callable
        ``block(i)`` returns the rows of block i = 0, ..., n_blocks - 1 as a mapping: "X", an array
        or DataFrame of shape (n_rows, n_features), "y", of shape (n_rows,) or (n_rows, n_outputs),
        and, where there are any, "sample_weight" and "sensitive_features", as
        `PixelLossRegressor.fit` takes them, and "clusters", whose rows belong together in the folds
        of a search or a comparison. The same rows in the same order each time; a block may have
        none.

    n_blocks : int
        Number of blocks.

    n_jobs : int, default=1
        Threads that call ``block`` and go through its rows, each with one block in memory. The
        results do not depend on it.

    Returns
    -------
    source : BlockRows
        What `PixelLossRegressor.fit` and ``predict`` take in the place of X.

    Raises
    ------
    TypeError
        If ``block`` cannot be called, or a number is no integer.

    ValueError
        If a number is below 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skfairloss import PixelLossRegressor
    >>> from skfairloss.rows import from_blocks
    >>> def block(i):
    ...     rng = np.random.default_rng(i)
    ...     X = rng.normal(size=(100, 2))
    ...     return {"X": X, "y": X @ [1.0, 2.0] + rng.laplace(size=100)}
    >>> model = PixelLossRegressor(loss_mix=1).fit(from_blocks(block, 5))
    >>> model.coef_.round()
    array([1., 2.])
    """
    if not callable(block):
        raise TypeError(f"block must be a function of the number of a block, got {block!r}")
    return BlockRows(block, check_count("n_blocks", n_blocks), check_count("n_jobs", n_jobs))


def check_count(name: str, value: Any) -> int:
    """Return a number of blocks or threads, an integer of at least 1."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")
    return int(value)
