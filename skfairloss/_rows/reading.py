"""`Reading`: how a search reads the rows of a piece: targets, weights, groups, lines and sides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from skfairloss._design.basis import ROUNDING, Basis
from skfairloss._design.rows import take_rows
from skfairloss._rows.source import Piece
from skfairloss._typing import Array, Index, Mask

_HASH = np.uint64(0x9E3779B97F4A7C15)  # 2⁶⁴ / golden ratio (Knuth, volume 3, section 6.4)
SIGNED, ABSOLUTE, SQUARED = range(3)  # sums over rows, as `Coupling` orders them


@dataclass(frozen=True)
class Reading:
    """The way in which a search reads the rows.

    Parameters
    ----------
    outputs : (m,), the columns of y that it is about.
    scale : (m,), y is read in units of it.
    unit : (G,), what weights are multiplied with: the inverse weight of all rows, or of each group.
    labels : the groups, in the order of the sums. None where all rows are one.
    kinds : (3, K), weights of the signed, absolute and squared sums in each of K lines of a row.
    basis : the coordinates, d of them, in which rows are brought back. None where no row is.
    """

    outputs: Index
    scale: Array
    unit: Array
    labels: tuple[Any, ...] | None
    kinds: Array
    basis: Basis | None = None

    @property
    def n_groups(self) -> int:
        """G."""
        return len(self.unit)

    def codes(self, piece: Piece) -> Index | None:
        """Return the groups of a piece's rows, (k,). None where all are one."""
        return None if self.labels is None else codes_of(piece, self.labels)

    def share(self, piece: Piece, codes: Index | None) -> Array:
        """Return the weights of a piece's rows, (k,)."""
        unit = self.unit[0] if codes is None else self.unit[codes]
        if piece.weights is None:
            return np.broadcast_to(unit, len(piece.X))
        return piece.weights * unit

    def targets(self, piece: Piece) -> Array:
        """Return the targets of a piece's rows, (k, m)."""
        y = piece.y
        if len(self.outputs) < y.shape[1]:
            y = y[:, self.outputs]
        return y if (self.scale == 1.0).all() else y / self.scale

    def lines(
        self, X: Array, share: Array, codes: Index | None, slope: Array, signed: Any, r: Array
    ) -> dict[str, Array]:
        """Sum lines over rows: Xᵀu (p, C), 1ᵀu and values (C,), for kinds, outputs and groups.

        A line of kind c has u = share (c₀ e + c₁ s + c₂ r) for slopes s (k, m) and e, ``signed``,
        and the value u r, half of that of a square.
        """
        u, values = [], []
        for tilt, steep, curvature in self.kinds.T:
            one = steep * slope if steep != 0 else np.zeros_like(slope)
            if tilt != 0:
                one = one + tilt * signed
            one *= share[:, None]
            values.append(one * r)
            if curvature != 0:
                square = (curvature * share)[:, None] * r
                values[-1] += 0.5 * square * r
                one += square
            u.append(one)
        every, value = (parts[0] if len(parts) == 1 else np.hstack(parts) for parts in (u, values))
        if codes is None:
            return {"adjoint": X.T @ every, "total": every.sum(0), "value": value.sum(0)}
        width, n_sums = every.shape[1], every.shape[1] * self.n_groups
        place = codes[:, None] + self.n_groups * np.arange(width)
        place = place.ravel().astype(np.int32)
        starts = np.arange(0, every.size + 1, width, dtype=np.int32)
        by_group = sp.csc_array((every.ravel(), place, starts), shape=(n_sums, len(every)))
        return {
            "adjoint": np.asarray((by_group @ X).T),
            "total": np.bincount(place, every.ravel(), n_sums),
            "value": np.bincount(place, value.ravel(), n_sums),
        }

    def taken(self, piece: Piece, index: Index, r: Array, codes: Index | None) -> tuple[Array, ...]:
        """Return some rows themselves.

        They are block, position, row in coordinates (d,), residual, weight and group of each.
        """
        assert self.basis is not None
        weights = np.ones(len(index)) if piece.weights is None else piece.weights[index]
        own = np.zeros(len(index)) if codes is None else codes[index]
        block = np.full(len(index), piece.block, dtype=np.int32)
        at = (piece.start + index).astype(np.int32)
        rows = self.basis.coordinates(take_rows(piece.X, index))
        return block, at, rows, r[index], weights, own.astype(np.int32)


def codes_of(piece: Piece, labels: tuple[Any, ...]) -> Index:
    """Return the groups of a piece's rows as positions among labels, (k,)."""
    assert piece.codes is not None
    if piece.labels == labels:
        return piece.codes
    position = {label: code for code, label in enumerate(labels)}
    table = np.array([position[label] for label in piece.labels], dtype=np.intp)
    return table[piece.codes]


@dataclass(frozen=True)
class Sides:
    """The side of 0 of each row at a base model, (p, m) and (m,).

    Where more rows lie at 0 than a band needs, up to ``rounding``, one of ``thin`` is in the band;
    the rest are idle: they are to stay at 0, with the middle of their interval for a dual.
    """

    coef: Array
    intercept: Array
    rounding: float = 0.0
    thin: int = 1

    def slopes(self, r: Array) -> Array:
        """Return s, 1 or -1, of rows with residuals r at the base model, (k, m)."""
        return np.copysign(1.0, r)

    def idle(self, piece: Piece, r: Array) -> Mask | None:
        """Return which rows are idle, unless they are in the band, (k,). None where none is."""
        if self.thin == 1:
            return None
        low = ~in_any(np.abs(r) > self.rounding)
        return low & ~is_picked(piece, np.arange(len(r)), self.thin)


def is_picked(piece: Piece, index: Index, thin: Index | int) -> Mask:
    """Return which rows of a piece, (k,), are one of ``thin``, by a hash of their number.

    Every thin-th row may be all of a group.
    """
    at = (piece.start + index).astype(np.uint64)
    number = (at + np.uint64(piece.block << 40)) * _HASH >> np.uint64(33)
    return np.asarray(number % np.asarray(thin, dtype=np.uint64) == 0)


def residuals(y: Array, X: Array, model: Any) -> Array:
    """Return y - predictions of rows, (k, m)."""
    r = X @ model.coef
    r += model.intercept
    return np.subtract(y, r, out=r)


def without_rounding(r: Array, X: Array, model: Any) -> Array:
    """Return the residuals of rows at a model, (k, m), 0 for those that rounding alone can make."""
    size = np.abs(X) @ np.abs(model.coef) + np.abs(model.intercept)
    return np.where(np.abs(r) <= ROUNDING * size, 0.0, r)


def weights_of(piece: Piece, codes: Index | None, mass: Array) -> Array:
    """Return the weights of a piece's rows, summing to 1 over all rows, (k,)."""
    own = mass[0] if codes is None else mass[codes]
    weights = own if piece.weights is None else piece.weights * own
    return np.broadcast_to(weights, len(piece.X))


def in_any(mask: Mask) -> Mask:
    """Return which rows are marked in any output, (k,), from (k, m)."""
    return mask[:, 0] if mask.shape[1] == 1 else np.asarray(mask.any(axis=1))


def is_heavy(piece: Piece, codes: Index | None, mass: Array, heavy: float) -> Mask | None:
    """Return which rows are in the band by their weight, (k,). None where none is."""
    largest = mass.max() if piece.weights is None else mass.max() * piece.weights.max()
    if largest <= heavy:
        return None
    out = weights_of(piece, codes, mass) > heavy
    return out if out.any() else None


def units_of(weights: Array, light: float) -> Array:
    """Return what residuals are compared in: 1, or less for rows of next to no weight, (k,)."""
    return np.clip(weights * light, 1e-300, 1.0)
