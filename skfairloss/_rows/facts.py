"""`Facts`: all that is known of rows elsewhere after a first look, and the problem made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from skfairloss._cached import cached_property
from skfairloss._core.constraints import MIX, GroupLoss, deviations
from skfairloss._core.problem import GroupTerms, Problem
from skfairloss._core.requests import GroupedData
from skfairloss._design.basis import (
    ROUNDING,
    Basis,
    Factor,
    completed,
    diagonal_basis,
    embedded,
    orthonormal,
    orthonormal_with_ridge,
)
from skfairloss._design.dense import DenseDesign
from skfairloss._design.factor import factor_gram, is_rounding, null_direction, pivoted, refined
from skfairloss._design.moments import GroupMoments
from skfairloss._design.sample import Sample
from skfairloss._rows.draws import Draw
from skfairloss._rows.kernels import MOMENTS, Look, Moved, Triangle
from skfairloss._rows.source import Kernel, OnBlock, RowSource
from skfairloss._rows.sums import Sums
from skfairloss._typing import Array, Index

_FAR = 30.0  # distance of an origin from the means, in spreads, that costs three digits


Watch = Callable[[str, int], AbstractContextManager[OnBlock]]


class Passes:
    """Passes over a source: counts them, and notices rows that change from one to the next.

    Parameters
    ----------
    source : the rows.
    watch : entered for each pass with its name and the number of blocks; returns the function to
        call after each block. None if nobody watches.
    """

    def __init__(self, source: RowSource, watch: Watch | None = None) -> None:
        self.source, self.count, self._watch = source, 0, watch
        self._seen: Mapping[int, tuple[int, int]] = {}

    def run(self, kernel: Kernel, own: Mapping[int, Any] | None = None) -> Sums:
        """Make a pass over all rows."""
        if self._watch is None:
            sums = self.source.run(kernel, own)
        else:
            with self._watch(kernel.name, self.source.n_blocks) as on_block:
                sums = self.source.run(kernel, own, on_block)
        self.count += 1
        for block, (n, check) in self._seen.items():
            now = sums.seen.get(block)
            if now is not None and now[0] != n:
                raise RuntimeError(
                    f"the rows of block {block} changed between passes: it had {n} rows, and now "
                    f"has {now[0]}. A block must have the same rows in the same order each time"
                )
            if now is not None and now[1] != check:
                raise RuntimeError(
                    f"the rows of block {block} changed between passes: y is not the same. A block "
                    "must have the same rows in the same order each time, random numbers a seed"
                )
        self._seen = self._seen or sums.seen
        return sums


@dataclass(frozen=True)
class Facts:
    """The facts that a first look has found of rows.

    Parameters
    ----------
    n_rows : with a weight.
    labels : the groups, in their order. None without groups.
    weights : (G,), raw weights of the groups; of all rows without them.
    moments : of the groups, or of all rows as one, under weights that sum to 1; y as given.
    by_group : whether moments, extreme weights and samples are those of the groups.
    products : whether moments hold products with columns.
    lightest, heaviest : extreme raw weights of a row, (G,) or (1,).
    draws : samples, in the order of the groups, or one.
    spread : (m,), means of |y - mean y|. None where they are not known.
    """

    n_rows: int
    labels: tuple[Any, ...] | None
    weights: Array
    moments: GroupMoments
    by_group: bool
    products: bool
    lightest: Array
    heaviest: Array
    draws: tuple[Draw, ...]
    spread: Array | None = None

    @classmethod
    def of(cls, look: Look, sums: Sums, labels: tuple[Any, ...] | None) -> Facts:
        """Read the sums of a first look; ``labels`` are all groups in their order."""
        keys: tuple[Any, ...] = labels if look.by_group and labels is not None else (None,)
        moments = moments_of(look, sums, keys)
        weights = np.array([sum(float(sums.added["totals", key]) for key in keys)])
        if labels is not None:
            weights = np.array([sums.added["share", label] for label in labels])
        lightest = -np.array([sums.largest["lightest", key] for key in keys])
        heaviest = np.array([sums.largest["heaviest", key] for key in keys])
        draws = tuple(sums.drawn[key] for key in keys)
        n_rows = sum(draw.n_rows for draw in draws)
        flags = look.by_group, look.products
        return cls(n_rows, labels, weights, moments, *flags, lightest, heaviest, draws)

    @property
    def total(self) -> float:
        """The weight of all rows."""
        return float(self.weights.sum())

    @property
    def target_means(self) -> Array:
        """The means of y, (m,)."""
        return np.asarray(self.moments.origin[1] + self.moments.targets.sum(axis=0))

    @property
    def sampled_all(self) -> bool:
        """True where the samples hold all rows."""
        return all(np.isinf(draw.limit) for draw in self.draws)

    def scaled(self, columns: Index, scale: Array) -> GroupMoments:
        """Return the moments of some outputs where y is in units of a scale (m,)."""
        found, (x, y) = self.moments, self.moments.origin
        return replace(
            found,
            origin=(x, y[columns] / scale),
            cross=found.cross[:, :, columns] / scale,
            targets=found.targets[:, columns] / scale,
            squares=found.squares[:, columns] / scale**2,
        )

    def sample(self) -> tuple[Array, Array, Array, Array, Index]:
        """Return the rows drawn: X, y, weights, how many rows each stands for, and codes.

        The weights sum to the groups' shares.
        """
        parts = []
        for g, draw in enumerate(self.draws):
            own = draw.stands_for
            share = self.weights[g] / self.total if self.by_group else 1.0
            codes = np.full(len(own), g, dtype=np.intp)
            x, y, weights = draw.rows
            parts.append((x, y, own * (share / own.sum()), own / weights, codes))
        if len(parts) == 1:
            return parts[0]
        x, y, own, counts, codes = map(np.concatenate, zip(*parts, strict=True))
        return x, y, own, counts, codes


def moments_of(look: Look, sums: Sums, keys: tuple[Any, ...]) -> GroupMoments:
    """Read the moments of groups from a look, under weights that sum to 1."""
    parts = [np.array([sums.added[name, key] for key in keys]) for name in MOMENTS]
    total = float(parts[0].sum())
    return GroupMoments(look.origin, *[part / total for part in parts])


@dataclass(frozen=True)
class GroupedFacts(GroupedData):
    """Rows elsewhere as terms see them: means of groups are exact, the rows are the sample."""

    facts: Facts | None = None

    @property
    def shares(self) -> Array:
        assert self.facts is not None
        return self.facts.weights / self.facts.total

    @property
    def feature_differences(self) -> Array:
        assert self.facts is not None
        return _differences(self.facts.moments, "first")

    @property
    def target_differences(self) -> Array:
        assert self.facts is not None
        return _differences(self.facts.moments, "targets") / self.scale


def _differences(moments: GroupMoments, name: str) -> Array:
    """Return means in groups less those of all rows, (G, ...)."""
    sums = getattr(moments, name)
    return np.asarray(sums / moments.totals[:, None] - sums.sum(axis=0) / moments.totals.sum())


@dataclass(frozen=True)
class Standing(Problem):
    """The problem of all rows, its rows those of a sample, which stand for them.

    Whatever is a sum over rows comes from passes; whatever is asked of single rows, as a first
    model, is asked of the sample. Sizes that only decide what counts as small are those of the
    sample as well.

    Parameters
    ----------
    facts : of all rows.
    scale : (m,), the units of y.
    columns : (m,), the outputs among those of the facts.
    counts : (s,), how many rows each of the sample stands for.
    factor : R of all rows. None where the Gram matrix will do.
    """

    facts: Facts | None = None
    scale: Array = field(default_factory=lambda: np.ones(1))
    columns: Index = field(default_factory=lambda: np.zeros(1, dtype=np.intp))
    counts: Array = field(default_factory=lambda: np.ones(1))
    factor: Factor | None = None

    @property
    def known(self) -> Facts:
        """The facts."""
        assert self.facts is not None
        return self.facts

    def outputs(self, which: slice) -> Standing:
        parts = self.y[:, which], self.scale[which], self.columns[which]
        other = replace(self, y=parts[0], scale=parts[1], columns=parts[2])
        other.__dict__["basis"] = self.basis
        return other

    @cached_property
    def group_moments(self) -> GroupMoments | None:
        return self.moments if self.known.products else None

    @cached_property
    def moments(self) -> GroupMoments:
        """The moments of the groups, with products or without."""
        found = self.known.scaled(self.columns, self.scale)
        if len(found.totals) == len(self.groups.shares):
            return found
        names = {name: getattr(found, name).sum(axis=0, keepdims=True) for name in MOMENTS}
        return replace(found, **names)

    @cached_property
    def means(self) -> Array:
        return self.moments.of_all()[0]

    @cached_property
    def center(self) -> Array:
        """The means of the columns; zeros without an intercept."""
        return self.means if self.fit_intercept else np.zeros_like(self.means)

    @cached_property
    def basis(self) -> Basis:
        if not self.known.products and self.sample.basis is not None:
            return self.sample.basis
        factor = self.factor or factor_gram(self.moments.around(self.center), self.center)
        assert factor is not None
        if self.l2 == 0:
            return orthonormal(factor, self.center, self.fit_intercept)
        return orthonormal_with_ridge(factor, self.center, self.fit_intercept, self.l2)

    @property
    def kink_basis(self) -> Basis:
        """Coordinates for rows with kinks: a penalised coefficient needs one of its own."""
        return self.penalty_basis or self.basis

    @cached_property
    def penalty_basis(self) -> Basis | None:
        if self.l1 == 0:
            return None
        center, moments = self.center, self.moments.around(self.center)
        scale = np.sqrt(np.diag(moments).clip(min=0.0))
        columns = np.flatnonzero(scale > ROUNDING * np.abs(center))
        here, gram = center[columns], moments[np.ix_(columns, columns)]
        basis = diagonal_basis(gram, here, self.fit_intercept, self.l2)
        if self.factor is not None and factor_gram(gram, here) is None:
            if len(columns) < len(center):
                return embedded(basis, columns, center)
            basis = completed(self.factor, here, self.fit_intercept, self.l2)
        return embedded(basis, columns, center)

    @cached_property
    def exact_basis(self) -> Basis:
        return self.basis

    @cached_property
    def sample(self) -> Sample:
        n = len(self.y)
        every = (self.design, self.weights)
        return Sample(np.arange(n), *every, 1.0, every, self.fit_intercept, self.l2)

    @property
    def sample_basis(self) -> Basis | None:
        return None

    @property
    def moments_decide(self) -> bool:
        return True

    @cached_property
    def spread(self) -> Array:
        found = self.known.spread
        if found is None:
            size = self.weights @ np.abs(deviations(self.y, self.weights))
            return np.where(size > 0, size, 1.0)
        out = found[self.columns] / self.scale
        return np.where(out > 0, out, 1.0)

    def natural(self, loss: GroupLoss) -> float:
        found = self.known.spread
        if found is None:
            return Problem.natural(self, loss)
        moments = self.moments
        first, squares = moments.targets.sum(axis=0), moments.squares.sum(axis=0)
        size = np.array([found[self.columns] / self.scale, 0.5 * (squares - first * first)])
        weights = loss.weights(self.loss, self.n_outputs)[1:]
        return float((weights * size.clip(min=0.0)).sum()) / self.n_outputs

    @cached_property
    def natural_loss(self) -> float:
        return self.natural(MIX)

    def group_losses_at(self, loss: GroupLoss, coef: Array, intercept: Array) -> Array:
        weights, moments = loss.weights(self.loss, self.n_outputs), self.group_moments
        if weights[:2].any() or moments is None:
            return super().group_losses_at(loss, coef, intercept)
        squares = moments.residuals(coef, intercept, self.basis)[1].clip(min=0.0)
        return np.asarray(0.5 * squares @ weights[2] / self.groups.shares)

    def group_terms_at(self, coef: Array, intercept: Array) -> GroupTerms:
        criterion, model = self.groups, (coef, intercept)
        bounded = tuple(self.group_losses_at(one.loss, *model) for one in criterion.bounds)
        worst = self.group_losses_at(criterion.worst_loss, *model)
        return GroupTerms(self, self.group_losses_at(MIX, *model), worst, bounded)


def first_look(
    passes: Passes, by_group: bool, products: bool, fit_intercept: bool
) -> tuple[Look, Sums]:
    """Make the first pass: moments around the means of some rows, and a sample.

    Where these are far from the means, moments have lost digits, and are taken again.
    """
    head = passes.source.head()
    origin = np.zeros(head.X.shape[1]), np.zeros(head.y.shape[1])
    if fit_intercept:  # a constant is its median to the last digit
        origin = DenseDesign(head.X).origin(head.y)[0], np.median(head.y, axis=0)
    look = Look(origin, by_group, products)
    sums = passes.run(look)
    if not sums.drawn:
        raise ValueError("there are no rows with a weight")
    if not (fit_intercept and products):
        return look, sums
    moved, spread, y = _spread(sums)
    if (np.abs(moved) > _FAR * spread + 1e-8 * np.abs(origin[0])).any():
        look = replace(look, origin=(origin[0] + moved, origin[1] + y))
        sums = passes.run(look)
    return look, sums


def _spread(sums: Sums) -> tuple[Array, Array, Array]:
    """Return means and standard deviations of columns around an origin, (p,), and means of y."""

    def total(name: str) -> Any:
        return sum(value for key, value in sums.added.items() if key[0] == name)

    first, weight = total("first") / total("totals"), total("totals")
    variance = np.diag(total("second")) / weight - first * first
    return first, np.sqrt(variance.clip(min=0.0)), total("targets") / weight


def _is_rank(passes: Passes, problem: Standing, factor: Factor) -> bool:
    """Return True where null directions of a Gram matrix change no prediction."""
    null, center = null_direction(factor), problem.center
    for _ in range(2):
        moved = Moved(null, float(center @ null), 1.0 / problem.known.total)
        found = passes.run(moved).added
        mean = float(found["sum"]) if problem.fit_intercept else 0.0
        if is_rounding(max(float(found["squares"]) - mean * mean, 0.0), null, factor, center):
            return True
        null = refined(factor, null, found["pull"] - mean * problem.means)
    return False


def settled_factor(passes: Passes, problem: Standing) -> Factor | None:
    """Return a factor of all rows where the Gram matrix leaves the rank in doubt, else None.

    A null direction of a Gram matrix may be one that its rounding errors hide, and a basis without
    it would certify the wrong model: a pass tells, or two; else R takes one.
    """
    moments, center = problem.moments, problem.center
    gram = moments.around(center)
    found = factor_gram(gram, center)
    if found is not None and (len(found.r) == len(center) or _is_rank(passes, problem, found)):
        return None
    origin, shift = moments.origin[0], center - moments.origin[0]
    if problem.fit_intercept:
        shift = moments.first.sum(axis=0) / moments.totals.sum()
    scale = np.sqrt(np.diag(gram).clip(min=0.0))
    constant = scale <= ROUNDING * np.abs(center)
    scale[constant | (scale == 0)] = np.inf
    sums = passes.run(Triangle(origin, shift, scale, 1.0 / problem.known.total))
    scale[np.isinf(scale)] = 1.0
    return pivoted(sums.triangles["rows"], scale, center)
