"""From a weighted design to a `Basis`: Gram matrix and Cholesky where safe, QR where not.

Where columns are nearly collinear, Cholesky factors of a first and of a corrected Gram matrix make
a QR as accurate as Householder's (CholeskyQR2, Yamamoto, Nakatsukasa, Yanagisawa & Fukaya 2015),
which takes over where the first one has no digits left.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import blas, lapack, qr, solve_triangular

from skfairloss._design.basis import (
    EPS,
    ROUNDING,
    Basis,
    Factor,
    comparable,
    completed,
    diagonal_basis,
    embedded,
    null_space,
    orthonormal,
    orthonormal_with_ridge,
    plain_basis,
)
from skfairloss._design.design import Design
from skfairloss._typing import Array, Index

# Gram matrices square the condition number: below this pivot (of columns scaled to norm 1) a QR of
# the rows decides, unless the pivots that are left are plain zeros.
_SAFE_PIVOT = 1e-8
_PLAIN_ZERO = 1e-10  # what sums over many rows may leave of a pivot that is 0
# A column whose spread is smaller, relative to its mean, may be constant up to rounding.
_SAFE_SPREAD = 1e-6
_CORRECTED = 0.5  # distance from I up to which a corrected Gram matrix can be trusted
_PLAIN_PIVOT = 1e-4  # pivots from which columns are as good as orthonormal ones
_MANY_ROWS = 20  # rows per column from which the Gram matrix is tried first


def orthonormal_basis(
    design: Design,
    weights: Array,
    fit_intercept: bool,
    ridge: float = 0.0,
    center: Array | None = None,
    moments: Array | None = None,
) -> Basis:
    """Return the orthonormal basis of the weighted design with √ridge I below it.

    From the Gram matrix where that is safe, else from a QR of the rows. ``center`` spares a pass
    where the column means, or zeros without an intercept, are known, and so do the second moments
    around it.
    """
    n, p = design.shape
    if center is None:
        center = _center(design, weights, fit_intercept)
    factor, known = None, None
    if has_many_rows(n, p):
        known = design.moments(weights, center) if moments is None else moments
        factor = factor_gram(known, center)
    if factor is None or not _truncated_rightly(design, weights, center, factor):
        twice = None if known is None else _cholesky_twice(design, weights, center, known)
        factor = twice or _factor_rows(design, weights, center, np.arange(p))
    if ridge == 0:
        return orthonormal(factor, center, fit_intercept)
    return orthonormal_with_ridge(factor, center, fit_intercept, ridge)


def column_basis(
    design: Design,
    weights: Array,
    fit_intercept: bool,
    ridge: float,
    center: Array | None = None,
    whole: tuple[Design, Array] | None = None,
) -> Basis | None:
    """Columns of a sparse design as a basis, where they are well conditioned; else None.

    ``whole`` is the design with its weights that the rows are a sample of, if they are.
    """
    if not design.sparse or not has_many_rows(*design.shape):
        return None
    if center is None:
        center = _center(design, weights, fit_intercept)
    moments = design.moments(weights, center)
    factor = factor_gram(moments, center)
    if factor is None or not len(factor.r) or not comparable(factor.scale):
        return None
    if np.diag(factor.r).min() ** 2 < _PLAIN_PIVOT:
        return None
    if not _truncated_rightly(*(whole or (design, weights)), center, factor):
        return None
    return plain_basis(factor, moments, center, fit_intercept, ridge)


def has_many_rows(n: int, p: int) -> bool:
    """Return True where the Gram matrix of n rows is tried before a QR of the rows."""
    return n > _MANY_ROWS * p


def coefficient_basis(
    design: Design,
    weights: Array,
    fit_intercept: bool,
    ridge: float,
    columns: Index,
    diagonal: bool | None = None,
) -> Basis:
    """Return a basis that reaches every coefficient of the given columns, for an L1 penalty.

    Diagonal, so that a coefficient is a coordinate, or orthonormal and completed by what
    predictions do not see; None takes the diagonal one for well-conditioned columns and p > n.
    """
    center = _center(design, weights, fit_intercept)
    here = center[columns]
    if diagonal is not False or not len(columns):
        moments = design.moments(weights, center)[np.ix_(columns, columns)]
        live = _spread(design, weights, here, columns)[1] > 0
        moments = np.where(np.logical_and.outer(live, live), moments, 0.0)
        many = len(columns) == 0 or len(columns) > design.shape[0]
        if diagonal or many or factor_gram(moments, here) is not None:
            basis = diagonal_basis(moments, here, fit_intercept, ridge)
            return embedded(basis, columns, center)
    factor = _factor_rows(design, weights, center, columns)
    return embedded(completed(factor, here, fit_intercept, ridge), columns, center)


def column_spread(design: Design, weights: Array, fit_intercept: bool) -> Array:
    """Weighted norm of each centred column, (p,); 0 for a constant one."""
    center = _center(design, weights, fit_intercept)
    return _spread(design, weights, center, np.arange(len(center)))[1]


def _center(design: Design, weights: Array, fit_intercept: bool) -> Array:
    """Weighted column means; zeros without an intercept."""
    return design.adjoint(weights) if fit_intercept else np.zeros(design.shape[1])


def factor_gram(gram: Array, center: Array) -> Factor | None:
    """Pivoted Cholesky factor of the scaled Gram matrix; None where its rank is in doubt."""
    p, scale = len(gram), _safe_scale(gram, center)
    if scale is None:
        return None
    factor, pivot, rank, _ = lapack.dpstrf(gram / np.outer(scale, scale), tol=10 * p * EPS)
    pivots = np.diag(factor)[:rank] ** 2
    safe = int((pivots >= _SAFE_PIVOT).sum())
    if safe < rank and pivots[safe] > _PLAIN_ZERO:
        return None
    rank = safe
    return Factor(np.triu(factor)[:rank], pivot.astype(np.intp) - 1, scale)


def _safe_scale(gram: Array, center: Array) -> Array | None:
    """Norms of the columns; None where one may be constant up to rounding."""
    scale = np.sqrt(np.diag(gram).clip(min=0.0))
    safe = (scale > _SAFE_SPREAD * np.abs(center)).all() and scale.all()
    return scale if safe else None


def _truncated_rightly(design: Design, weights: Array, center: Array, factor: Factor) -> bool:
    """Return True where null directions of a Gram matrix change no prediction.

    It cannot tell directions below √ε from none; a product with X can. One serves all directions:
    a combination with random coefficients vanishes only where each of them does. What the Gram
    matrix' own rounding errors leave of it is subtracted once (a step of iterative refinement).
    """
    if len(factor.r) == len(center):
        return True
    null = null_direction(factor)
    for _ in range(2):
        moved = design.predict(null, -float(center @ null))
        if center.any():  # it is rounded; what it misses would look like one more direction
            moved -= float(weights @ moved)
        if is_rounding(float(weights @ np.square(moved)), null, factor, center):
            return True
        null = refined(factor, null, design.adjoint(weights * moved))
    return False


def null_direction(factor: Factor) -> Array:
    """Return a combination of all null directions of a factor, (p,)."""
    k, p = factor.r.shape
    return null_space(factor) @ np.random.default_rng(0).uniform(1.0, 2.0, p - k)


def is_rounding(squares: float, null: Array, factor: Factor, center: Array) -> bool:
    """Return True where predictions of a direction, with such a mean square, are rounding errors.

    ``squares`` are those around their mean.
    """
    terms = float(np.hypot(factor.scale, center) @ np.abs(null))
    return bool(np.sqrt(squares) <= ROUNDING * terms)


def refined(factor: Factor, null: Array, pull: Array) -> Array:
    """Return a null direction less what its predictions, with products ``pull`` (p,), say of it."""
    k, out = len(factor.r), null.copy()
    kept, upper = factor.pivot[:k], factor.r[:, :k]
    half = solve_triangular(upper, pull[kept] / factor.scale[kept], trans="T", check_finite=False)
    out[kept] -= solve_triangular(upper, half, check_finite=False) / factor.scale[kept]
    return out


def _cholesky_twice(design: Design, weights: Array, center: Array, gram: Array) -> Factor | None:
    """QR of the rows from their Gram matrix, corrected once; None where that has too few digits.

    (1) gram = R₁ᵀR₁; (2) Q = rows R₁⁻¹, row by row, so that no digit of the rows is lost;
    (3) QᵀQ = R₂ᵀR₂; (4) R = R₂R₁.
    """
    scale = _safe_scale(gram, center)
    if scale is None:
        return None
    first, info = lapack.dpotrf(gram / np.outer(scale, scale), lower=False)
    if info != 0:
        return None
    solver, root = first * scale, np.sqrt(weights)
    second, shift, room = np.zeros_like(gram), np.zeros(len(gram)), np.empty((0, len(gram)))
    for rows, block in design.blocks():
        room = room if len(block) <= len(room) else np.empty(block.shape)
        q = np.subtract(block, center, out=room[: len(block)])
        q *= root[rows, None]
        q = blas.dtrsm(1.0, solver, q.T, lower=False, trans_a=True, overwrite_b=True).T
        second += q.T @ q
        shift += root[rows] @ q
    if center.any():  # it is rounded; what it misses would look like one more direction
        second -= np.outer(shift, shift)
    if not np.linalg.norm(second - np.eye(len(gram))) <= _CORRECTED:
        return None
    corrected, info = lapack.dpotrf(second, lower=False)
    return pivoted(corrected @ first, scale, center)


def pivoted(r: Array, scale: Array, center: Array) -> Factor:
    """Return the factor of a triangle of centred columns, cut at its rank.

    Where that is below p, columns are compared in units of their size before centring: these have
    the same rounding errors, so that what is cut comes last.
    """
    level = np.hypot(1.0, center / scale)
    for unit in (np.ones_like(level), level):
        _, upper, pivot = qr(r / unit, mode="economic", pivoting=True, check_finite=False)
        rank = _rank(upper, (level / unit)[pivot])
        if rank == len(level):
            break
    return Factor(upper[:rank] * unit[pivot], pivot.astype(np.intp), scale)


def _rank(upper: Array, level: Array) -> int:
    """Return how many directions of a triangle are more than rounding errors of its columns.

    Column i of R⁻¹ is the combination that predicts 1 in direction i: where its terms, of the size
    ``level`` (p,) before centring, have rounding errors of that size, there is no such direction.
    """
    rank = int((np.abs(np.diag(upper)) > ROUNDING).sum())
    terms = np.abs(solve_triangular(upper[:rank, :rank], np.eye(rank), check_finite=False))
    return int(np.append(ROUNDING * (level[:rank] @ terms) > 1.0, True).argmax())


def _factor_rows(design: Design, weights: Array, center: Array, columns: Index) -> Factor:
    """QR of the weighted, centred, scaled columns, a block of rows at a time, cut at its rank."""
    p, center = len(columns), center[columns]
    shift, scale = _spread(design, weights, center, columns)
    live = scale > 0
    scale[~live] = 1.0
    r = np.empty((0, p))
    for rows, block in design.blocks():
        centred = (block[:, columns] - center) - shift
        scaled = centred * (np.sqrt(weights[rows])[:, None] / scale)
        scaled[:, ~live] = 0.0
        r = qr(np.vstack([r, scaled]), mode="r", check_finite=False)[0][:p]
    return pivoted(r, scale, center)


def _spread(design: Design, weights: Array, center: Array, columns: Index) -> tuple[Array, Array]:
    """Mean left after centring, and norm of each centred column: 0 for a constant one.

    The center is rounded; what it misses would look like one more direction.
    """
    sums, shift, largest = np.zeros((3, len(columns)))
    high, low = np.full(len(columns), -np.inf), np.full(len(columns), np.inf)
    for rows, block in design.blocks():
        centred = block[:, columns] - center
        sums += weights[rows] @ (centred * centred)
        shift += weights[rows] @ centred
        np.maximum(high, centred.max(axis=0), out=high)
        np.minimum(low, centred.min(axis=0), out=low)
        np.maximum(largest, np.abs(block[:, columns]).max(axis=0), out=largest)
    if not center.any():  # no intercept: nothing is centred
        return np.zeros_like(shift), np.sqrt(sums)
    constant = high - low <= ROUNDING * largest
    return shift, np.where(constant, 0.0, np.sqrt(np.maximum(sums - shift * shift, 0.0)))
