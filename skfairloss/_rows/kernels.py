r"""The passes of a fit, as kernels: what each asks of the rows, and the sums that it brings back.

    look       moments by group around an origin, sizes of weights, a sample of the rows
    factor     R of the centred rows, where the Gram matrix leaves its rank in doubt
    smooth     lines of slope r/h, and second derivatives of the rows within ±h
    split      lines of slope ±1, and the rows near 0 themselves
    measure    losses, Fenchel-Young gaps, Xᵀu: the certificate; and the rows whose sign is wrong

No state of a row is kept between passes. The dual of a row follows from two models (`Sides`), or,
for the few rows of a band, is sent to their block. Sums of the certificate are those of whatever
duals its pass has used: rows that have changed, or rounded differently, can only widen the gap.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skfairloss._core.losses import GroupedLoss, MixedLoss
from skfairloss._design.basis import ROUNDING
from skfairloss._design.dense import DenseDesign
from skfairloss._design.rows import sorted_by_group, take_rows
from skfairloss._rows.blocks import Block
from skfairloss._rows.draws import Draw, row_keys, smallest
from skfairloss._rows.reading import (
    Reading,
    Sides,
    in_any,
    is_heavy,
    is_picked,
    residuals,
    units_of,
    weights_of,
    without_rounding,
)
from skfairloss._rows.source import Kernel, Piece
from skfairloss._rows.sums import Sums, held
from skfairloss._typing import Array, Index

_RUN = 64  # rows folded into one: maxima along them are vectorised

MOMENTS = ("totals", "first", "second", "cross", "targets", "squares")


@dataclass(frozen=True)
class Look(Kernel):
    """Moments by group around an origin, extreme weights, and a sample, of a block at a time.

    Parameters
    ----------
    origin : (p,) and (m,), near the means of X and y.
    by_group : whether moments and samples are those of the groups, or of all rows.
    products : whether moments hold products with columns, as squares need them.
    """

    origin: tuple[Array, Array]
    by_group: bool
    products: bool
    needs_pieces = False

    def __call__(self, piece: Piece, own: Any) -> Sums:
        return Sums()

    def of_block(self, number: int, block: Block) -> Sums:
        kept, weights = None, block.weights
        if weights is not None and not weights.all():
            kept = np.flatnonzero(weights)
            block, weights = block.without_y(kept), weights[kept]
        if not len(block.y):
            return Sums()
        self._check_shapes(number, block)
        labels: tuple[Any, ...] = (None,)
        codes = np.zeros(len(block.y), dtype=np.intp)
        added: dict[Any, Any] = {}
        records: dict[Any, Any] = {}
        if block.codes is not None:
            records["columns", None] = block.columns
            totals = np.bincount(block.codes, weights, len(block.labels))
            added.update({("share", g): v for g, v in zip(block.labels, totals, strict=True) if v})
            if self.by_group:
                labels, codes = block.labels, block.codes
        added.update(self._moments(number, block, kept, labels, codes))
        largest, drawn = {}, {}
        keys = row_keys(number, len(codes), weights)
        parts: list[Any] = [None]
        if len(labels) > 1:
            order, ends = sorted_by_group(codes, len(labels))
            parts = np.split(order, ends[:-1])
        for label, rows in zip(labels, parts, strict=True):
            if rows is not None and not len(rows):
                continue
            own = weights if weights is None or rows is None else weights[rows]
            largest["lightest", label] = -1.0 if own is None else -own.min()
            largest["heaviest", label] = 1.0 if own is None else own.max()
            drawn[label] = self._draw(block, kept, keys, weights, rows)
        return Sums(added, largest, drawn=drawn, records=records)

    def _check_shapes(self, number: int, block: Block) -> None:
        """Refuse a block that has not as many columns as the first one."""
        widths = zip("Xy", self.origin, (block.X, block.y), strict=True)
        for name, origin, values in widths:
            if values.shape[1] != len(origin):
                raise ValueError(
                    f"{name} of block {number} has {values.shape[1]} columns, but the first block "
                    f"with rows has {len(origin)}"
                )

    def _moments(
        self, number: int, block: Block, kept: Index | None, labels: tuple[Any, ...], codes: Index
    ) -> dict[Any, Array]:
        """Return the moments of each group that occurs, by name and label."""
        weights = np.ones(len(codes)) if block.weights is None else block.weights
        design = DenseDesign(block.X, kept=kept)
        with np.errstate(invalid="ignore", over="ignore"):
            given = block.y, weights, codes, len(labels), self.origin, self.products
            found = design.group_moments(*given)
        if not (np.isfinite(found.first).all() and np.isfinite(found.second).all()):
            raise ValueError(f"X of block {number} contains NaN or infinity")
        present = [g for g in range(len(labels)) if found.totals[g] > 0]
        return {(name, labels[g]): getattr(found, name)[g] for g in present for name in MOMENTS}

    @staticmethod
    def _draw(
        block: Block, kept: Index | None, keys: Array, weights: Array | None, rows: Index | None
    ) -> Draw:
        """Draw a sample of some rows of a block, of all where ``rows`` is None."""
        own = keys if rows is None else keys[rows]
        some, limit = smallest(own, block.X.shape[1])
        found = own[some]
        some = some if rows is None else rows[some]
        x = take_rows(block.X, some if kept is None else kept[some]).astype(np.float64, copy=False)
        weight = np.ones(len(some)) if weights is None else weights[some]
        return Draw(len(own), limit, found, (x, block.y[some], weight))


@dataclass(frozen=True)
class Triangle(Kernel):
    """R of the weighted, centred and scaled rows, (p, p), Householder's.

    Parameters
    ----------
    origin, shift : (p,), the means as a sum: rounded, they would look like one more direction.
    scale : (p,), infinite for constant columns.
    unit : what weights are multiplied with.
    """

    origin: Array
    shift: Array
    scale: Array
    unit: float

    def __call__(self, piece: Piece, own: Any) -> Sums:
        z = ((piece.X - self.origin) - self.shift) / self.scale
        share = self.unit * (np.ones(len(z)) if piece.weights is None else piece.weights)
        r = np.linalg.qr(z * np.sqrt(share)[:, None], mode="r")
        return Sums(triangles={"rows": np.asarray(r)})


@dataclass(frozen=True)
class Moved(Kernel):
    """Predictions m of a combination of columns (p,) that may be none: sums of v m, v m², v m x.

    Parameters
    ----------
    null : (p,), the combination.
    shift : subtracted from predictions.
    unit : what weights are multiplied with.
    """

    null: Array
    shift: float
    unit: float

    def __call__(self, piece: Piece, own: Any) -> Sums:
        moved = piece.X @ self.null - self.shift
        share = self.unit * (np.ones(len(moved)) if piece.weights is None else piece.weights)
        u = share * moved
        return Sums({"sum": u.sum(), "squares": u @ moved, "pull": u @ piece.X})


@dataclass(frozen=True)
class Extent(Kernel):
    """The largest |x_j - c_j| of each column, (p,), around a center."""

    center: Array

    def __call__(self, piece: Piece, own: Any) -> Sums:
        x, p = piece.X, piece.X.shape[1]
        whole = len(x) - len(x) % _RUN
        high, low = x[whole:].max(axis=0, initial=-np.inf), x[whole:].min(axis=0, initial=np.inf)
        if whole:
            folded = np.ascontiguousarray(x[:whole]).reshape(-1, _RUN * p)
            high = np.maximum(high, folded.max(axis=0).reshape(_RUN, p).max(axis=0))
            low = np.minimum(low, folded.min(axis=0).reshape(_RUN, p).min(axis=0))
        return Sums(largest={"extent": np.maximum(high - self.center, self.center - low)})


@dataclass(frozen=True)
class Smooth(Kernel):
    """Lines of slope r/h at a model, and second derivatives of the rows within ±h.

    Parameters
    ----------
    reading : how rows are read.
    coef, intercept : (p, m) and (m,), the model.
    h : the bandwidth.
    mass : (G,), what weights are multiplied with to sum to 1 over all rows.
    heavy : weight from which a row keeps its kink and comes itself.
    thin : (G,), one of so many near rows settles second derivatives.
    """

    reading: Reading
    coef: Array
    intercept: Array
    h: float
    mass: Array
    heavy: float
    thin: Index

    def __call__(self, piece: Piece, own: Any) -> Sums:
        reading, codes = self.reading, self.reading.codes(piece)
        share, r = reading.share(piece, codes), residuals(reading.targets(piece), piece.X, self)
        slope = np.clip(r / self.h, -1.0, 1.0)
        signed: Any = 1.0
        kept = is_heavy(piece, codes, self.mass, self.heavy)
        joined = {}
        near = np.abs(r[:, 0]) < self.h
        if kept is not None:
            slope[kept], signed = 0.0, (~kept)[:, None]
            near &= ~kept
            joined["kinks"] = reading.taken(piece, np.flatnonzero(kept), r, codes)
        added = reading.lines(piece.X, share, codes, slope, signed, r)
        index = np.flatnonzero(near)
        added["missing"] = self._missing(r[index, 0], share[index], codes, index)
        if (self.thin > 1).any():
            thin = self.thin[0] if codes is None else self.thin[codes[index]]
            index = index[is_picked(piece, index, thin)]
        added["near"] = self._curvature(take_rows(piece.X, index), share[index], codes, index)
        return Sums(added, joined=joined)

    def _missing(self, r: Array, share: Array, codes: Index | None, index: Index) -> Array:
        """Return what r²/2h + h/2 adds to the lines of some rows, (G,)."""
        missing = 0.5 * share * (self.h - r * r / self.h)
        if codes is None:
            return np.asarray(missing.sum(keepdims=True))
        return np.bincount(codes[index], missing, self.reading.n_groups)

    def _curvature(self, x: Array, share: Array, codes: Index | None, index: Index) -> Array:
        """Σ share A_i A_iᵀ / h by group, (G, d, d), from rows that stand for ``thin`` each."""
        assert self.reading.basis is not None
        z = self.reading.basis.coordinates(x)
        z *= np.sqrt(share / self.h)[:, None]
        if codes is None:
            return np.asarray(self.thin[0] * (z.T @ z)[None])
        order, ends = sorted_by_group(codes[index], self.reading.n_groups)
        parts = np.split(z[order], ends[:-1])
        return np.array([n * (part.T @ part) for n, part in zip(self.thin, parts, strict=True)])


@dataclass(frozen=True)
class Lines(Kernel):
    """Lines of slope 0 at a model, (p, m) and (m,): the squares of rows without kinks."""

    reading: Reading
    coef: Array
    intercept: Array

    def __call__(self, piece: Piece, own: Any) -> Sums:
        reading, codes = self.reading, self.reading.codes(piece)
        share, r = reading.share(piece, codes), residuals(reading.targets(piece), piece.X, self)
        return Sums(reading.lines(piece.X, share, codes, np.zeros_like(r), 0.0, r))


@dataclass(frozen=True)
class Split(Kernel):
    """Lines of the sides at a model, and the rows near 0 themselves.

    Parameters
    ----------
    reading : how rows are read.
    sides : the model.
    limit : float or (m,), how far the band reaches.
    light : what weights are multiplied with to be units of the residual, at most 1. None where the
        unit is 1.
    mass, heavy : as in `Smooth`.
    """

    reading: Reading
    sides: Sides
    limit: Array | float
    light: float | None
    mass: Array
    heavy: float

    def __call__(self, piece: Piece, own: Any) -> Sums:
        reading, codes = self.reading, self.reading.codes(piece)
        y, share = reading.targets(piece), reading.share(piece, codes)
        r = residuals(y, piece.X, self.sides)
        slope = self.sides.slopes(r)
        limit = self.limit
        if self.light is not None:
            limit = limit * units_of(weights_of(piece, codes, self.mass), self.light)[:, None]
        inside = in_any(np.abs(r) <= limit)
        idle = self.sides.idle(piece, r)
        if idle is not None:
            slope[idle] = 0.0
            inside &= ~idle
        heavy = is_heavy(piece, codes, self.mass, self.heavy)
        if heavy is not None:
            inside |= heavy
        index = np.flatnonzero(inside)
        slope[index] = 0.0
        added = reading.lines(piece.X, share, codes, slope, (~inside)[:, None], r)
        return Sums(added, joined={"band": reading.taken(piece, index, r, codes)})


@dataclass(frozen=True)
class Measure(Kernel):
    """The certificate's sums at a model, and the rows whose dual does not go with its sign.

    What is sent to a block are positions of rows, ascending, and their slopes s, (k,) and (k, m).

    Parameters
    ----------
    reading : how rows are read.
    coef, intercept : (p, m) and (m,), the model.
    sides : where the slopes of all other rows come from. None where no row has a kink.
    loss : that of the rows, by group where terms have a loss of their own; its codes are not read.
    factor : (G,), what weights are multiplied with.
    shift : (p, m) and (m,), a model whose predictions are subtracted from the duals. None for none.
    labels : groups by which errors are summed. None without groups.
    """

    reading: Reading
    coef: Array
    intercept: Array
    sides: Sides | None
    loss: MixedLoss | GroupedLoss
    factor: Array
    shift: tuple[Array, Array] | None = None
    labels: tuple[Any, ...] | None = None

    def __call__(self, piece: Piece, own: Any) -> Sums:
        reading, codes = self.reading, self.reading.codes(piece)
        y = reading.targets(piece)
        r = residuals(y, piece.X, self)
        loss, joined = self._loss(codes), {}
        z = loss.squared_slope(r)
        if self.sides is not None:
            before = residuals(y, piece.X, self.sides)
            slope, wrong = self._slopes(piece, before, r, own)
            z += self._kinked(codes, slope)
            now = without_rounding(r[wrong], take_rows(piece.X, wrong), self)
            rows = reading.taken(piece, wrong, before, codes)
            joined["wrong"] = (*rows, slope[wrong], now)
        if self.shift is not None:
            z -= piece.X @ self.shift[0] + self.shift[1]
        u = loss.into_domain(z)
        factor = self.factor[0] if codes is None else self.factor[codes]
        weights = factor if piece.weights is None else factor * piece.weights
        weights = np.broadcast_to(weights, len(r))
        gaps = weights @ loss.fenchel_young_gap(r, u, loss.value(r))
        u = u * weights[:, None]
        added = {"adjoint": piece.X.T @ u, "total": u.sum(axis=0), "rows": gaps}
        added.update(self._errors(piece, r))
        return Sums(added, joined=joined)

    def _slopes(self, piece: Piece, before: Array, r: Array, own: Any) -> tuple[Array, Index]:
        """Return the slopes s of a piece's rows, and those that do not go with their residuals."""
        assert self.sides is not None
        slope = self.sides.slopes(before)
        idle = self.sides.idle(piece, before)
        if idle is not None:
            slope[idle] = 0.0
        wrong = in_any((slope * r < 0) & self._kinks(piece))
        if idle is not None:
            wrong |= idle & in_any(np.abs(r) > self.sides.rounding)
        if own is not None:
            first, last = np.searchsorted(own[0], [piece.start, piece.start + len(r)])
            here = own[0][first:last] - piece.start
            slope[here], wrong[here] = own[1][first:last], False
        return slope, np.flatnonzero(wrong)

    def _kinks(self, piece: Piece) -> Any:
        """Return which rows and outputs have a kink."""
        if isinstance(self.loss, MixedLoss):
            return True
        codes = self.reading.codes(piece)
        assert codes is not None
        return (self.loss.upper > self.loss.lower)[codes]

    def _loss(self, codes: Index | None) -> MixedLoss | GroupedLoss:
        """Return the loss of the rows of some groups."""
        if isinstance(self.loss, MixedLoss):
            return self.loss
        assert codes is not None
        return replace(self.loss, codes=codes)

    def _kinked(self, codes: Index | None, slope: Array) -> Array:
        """Return the duals of kinks at slopes s, (k, m)."""
        lower, upper = self.loss.lower, self.loss.upper
        middle: Any = 0.5 * (upper + lower)
        half: Any = 0.5 * (upper - lower)
        if isinstance(self.loss, GroupedLoss):
            middle, half = middle[codes], half[codes]
        return np.asarray(middle + half * slope)

    def _errors(self, piece: Piece, r: Array) -> dict[Any, Array]:
        """Return sums of the weights, and of r, |r| and r² under them, by label: (m,)."""
        weights = np.ones(len(r)) if piece.weights is None else piece.weights
        parts = r, np.abs(r), r * r
        if self.labels is None or piece.codes is None:
            return {("errors", None): np.array([weights @ part for part in parts])}
        found: dict[Any, Array] = {}
        n = len(piece.labels)
        sums = np.array(
            [[np.bincount(piece.codes, weights * c, n) for c in part.T] for part in parts]
        )
        for g, label in enumerate(piece.labels):
            found["errors", label] = sums[:, :, g]
        return found


@dataclass(frozen=True)
class Rounding(Kernel):
    """The loss that rounding alone can make, (2, m): beside a model, and of y alone.

    It is ℓ at r = 8 ε (|y| + |x|ᵀ|w| + |b|), and at 8 ε |y|; ``unit`` is what weights are
    multiplied with.
    """

    reading: Reading
    coef: Array
    intercept: Array
    loss: MixedLoss
    unit: float

    def __call__(self, piece: Piece, own: Any) -> Sums:
        loss = self.loss
        share = (
            np.full(len(piece.X), self.unit) if piece.weights is None else self.unit * piece.weights
        )
        steep = max(loss.upper, -loss.lower)
        y = self.reading.targets(piece)
        slope = steep + loss.curvature * np.abs(residuals(y, piece.X, self))
        y = np.abs(y)
        sizes = y + np.abs(piece.X) @ np.abs(self.coef) + np.abs(self.intercept), y
        errors = [ROUNDING * size for size in sizes]
        out = [share @ (slope * e + 0.5 * loss.curvature * e * e) for e in errors]
        return Sums(added={"rounding": np.array(out)})


@dataclass(frozen=True)
class Together(Kernel):
    """Several kernels in one pass: each piece of the rows is read once for all of them."""

    kernels: tuple[Kernel, ...]

    @property
    def name(self) -> str:
        return self.kernels[0].name

    @property
    def needs_pieces(self) -> bool:
        return any(kernel.needs_pieces for kernel in self.kernels)

    @property
    def needs_features(self) -> bool:
        return any(kernel.needs_features for kernel in self.kernels)

    def __call__(self, piece: Piece, own: Any) -> Sums:
        sent = own or [None] * len(self.kernels)
        pairs = enumerate(zip(self.kernels, sent, strict=True))
        return held({j: kernel(piece, mine) for j, (kernel, mine) in pairs if kernel.needs_pieces})

    def of_block(self, number: int, block: Block) -> Sums:
        return held({j: one.of_block(number, block) for j, one in enumerate(self.kernels)})
