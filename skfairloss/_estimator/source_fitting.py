"""The fit of a model to rows in blocks: look, choose the scale, translate terms, solve, report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skfairloss._core.constraints import SQUARED_ERROR
from skfairloss._design.dense import DenseDesign
from skfairloss._design.threads import one_blas_thread
from skfairloss._estimator.attributes import Attributes
from skfairloss._estimator.compat import has_callbacks, with_callbacks
from skfairloss._estimator.fitting import fit_model, warn_unless_certified, warn_unless_equal
from skfairloss._estimator.scale import (
    RANGE,
    in_units,
    residual_scale,
    scale_of,
    without_rounding,
)
from skfairloss._estimator.terms import read_terms, translate
from skfairloss._estimator.training import Training, parameters_of, problem_of
from skfairloss._inputs.groups import Groups
from skfairloss._inputs.parameters import REGRESSOR_CHECKS, check_parameters
from skfairloss._rows.blocks import Block, merge_groups
from skfairloss._rows.deviations import Deviations, mean_deviations
from skfairloss._rows.facts import Facts, GroupedFacts, Passes, Standing, first_look, settled_factor
from skfairloss._rows.kernels import Look
from skfairloss._rows.source import RowSource
from skfairloss._rows.sums import Sums
from skfairloss._solvers.formulation import Options
from skfairloss._solvers.row_fit import RowSolution, solve_equalized_rows, solve_rows
from skfairloss._typing import Array
from skfairloss.callbacks import PassTasks
from skfairloss.fairness import EqualizedLoss, FairnessTerm

Terms = tuple[FairnessTerm, ...]


@dataclass(frozen=True)
class RowTraining:
    """The facts that fits of the same rows share, found by the first passes.

    Parameters
    ----------
    look : the first pass.
    facts : its results.
    scale : (m,), the residual scale.
    groups : a row for each group. None without groups.
    head : some rows.
    """

    look: Look
    facts: Facts
    scale: Array
    groups: Groups | None
    head: Block

    @property
    def labels(self) -> tuple[Any, ...] | None:
        """The groups in their order. None without groups."""
        return None if self.groups is None else tuple(self.groups.labels)

    def with_products(self, passes: Passes) -> RowTraining:
        """Return the same with products of columns, which may take a pass."""
        if self.look.products:
            return replace(self, facts=replace(self.facts, products=True))
        look = replace(self.look, products=True)
        facts = Facts.of(look, passes.run(look), self.labels)
        return replace(self, look=look, facts=replace(facts, spread=self.facts.spread))


@with_callbacks
def fit_source(model: Any, source: RowSource) -> None:
    """Fit a `PixelLossRegressor` to the rows of a source, and set its fitted attributes."""
    terms = check_for_rows(model)
    with watched(model, source) as passes:
        training = read_rows(model, passes, bool(terms), needs_products(model, terms))
        fit_rows(model, passes, training)


@contextmanager
def watched(owner: Any, source: RowSource) -> Iterator[Passes]:
    """Return passes over a source that the callbacks of an estimator are told of.

    It is in a method under ``with_callbacks``.
    """
    if not has_callbacks(owner):
        yield Passes(source)
        return
    tasks = PassTasks(owner)
    yield Passes(source, tasks.of_pass)
    tasks.end()


def check_for_rows(model: Any) -> Terms:
    """Check the parameters of a `PixelLossRegressor`, and return its fairness terms.

    Refuses what rows in blocks do not have.
    """
    check_parameters(type(model).__name__, vars(model), REGRESSOR_CHECKS)
    terms = read_terms(model.fairness)
    _refuse(model, terms)
    return terms


def read_rows(model: Any, passes: Passes, by_group: bool, products: bool) -> RowTraining:
    """Make the first passes of fits with the scale and the intercept of a model.

    ``by_group`` is True if any of them has fairness terms, ``products`` if any needs products of
    columns.
    """
    head = passes.source.head()
    if by_group and head.codes is None:
        raise ValueError("fairness needs the groups: give blocks 'sensitive_features'")
    _set_names(model, passes.source, head)
    with one_blas_thread():
        look, sums = first_look(passes, by_group, products, bool(model.fit_intercept))
        groups = _groups(sums, head)
        facts = Facts.of(look, sums, None if groups is None else tuple(groups.labels))
        _check_sizes(model, facts)
        deviations = None
        if (isinstance(model.scale, str) or by_group) and not facts.sampled_all:
            deviations = mean_deviations(passes, facts, bool(model.fit_intercept))
            facts = replace(facts, spread=deviations.around_mean)
        return RowTraining(look, facts, _scale(model, facts, deviations), groups, head)


def fit_rows(model: Any, passes: Passes, training: RowTraining) -> None:
    """Fit a model to rows that were read, and set its fitted attributes."""
    terms = read_terms(model.fairness)
    groups, scale, single = training.groups, training.scale, training.head.single
    _set_names(model, passes.source, training.head)
    with one_blas_thread():
        squares = needs_products(model, terms)
        facts = replace(training.facts, products=training.look.products and squares)
        if facts.sampled_all:
            _fit_in_memory(model, facts, scale, groups, terms, single)
            return
        problem, tolerance = _problem(model, facts, scale, groups, terms)
        if not squares and problem.sample.basis is None:
            facts = training.with_products(passes).facts
            problem, tolerance = _problem(model, facts, scale, groups, terms)
        if facts.products:
            problem = replace(problem, factor=settled_factor(passes, problem))
        options, labels = Options(model.tol, model.max_iter), training.labels
        if tolerance is not None and labels is not None:
            found = solve_equalized_rows(problem, tolerance, passes, labels, options)
        else:
            found = solve_rows(problem, passes, labels, options)
    _report(model, problem, found, groups, terms, tolerance, single)


def _refuse(model: Any, terms: Terms) -> None:
    """Refuse what rows in blocks do not have."""
    if model.warm_start:
        raise NotImplementedError(
            "warm_start=True needs rows in one array: a fit of rows in blocks starts from a sample"
        )
    for term in terms:
        squared = model.loss_mix == 0 and getattr(term, "loss", None) in (None, SQUARED_ERROR)
        if isinstance(term, EqualizedLoss) and not squared:
            raise NotImplementedError(
                "fairness=EqualizedLoss needs rows in one array, unless loss_mix=0 and its loss is "
                "None or 'squared_error': it solves many problems, each some passes. "
                "BoundedGroupLoss bounds the same losses of rows in blocks"
            )


def needs_products(model: Any, terms: Terms) -> bool:
    """Return True where squared residuals or single columns count."""
    own = any(getattr(term, "loss", None) == SQUARED_ERROR for term in terms)
    return model.loss_mix < 1 or model.alpha * model.l1_ratio > 0 or own


def _set_names(model: Any, source: RowSource, head: Block) -> None:
    """Set ``n_features_in_`` and ``feature_names_in_``, as scikit-learn does."""
    model.n_features_in_ = head.X.shape[1]
    names = source.feature_names
    if names is not None:
        model.feature_names_in_ = np.array(names, dtype=object)


def _groups(sums: Sums, head: Block) -> Groups | None:
    """Return the groups that occur in any block, a row for each. None without groups."""
    found = [key[1] for key in sums.added if key[0] == "share"]
    if not found:
        return None
    weight = sum(float(v) for key, v in sums.added.items() if key[0] == "totals")
    known = sum(float(sums.added["share", label]) for label in found)
    if head.codes is None or known < (1.0 - 1e-6) * weight:
        raise ValueError("blocks must all have 'sensitive_features', or none of them")
    columns: Any = sums.records["columns", None]
    return merge_groups(found, columns, sum(draw.n_rows for draw in sums.drawn.values()))


def _check_sizes(model: Any, facts: Facts) -> None:
    """Refuse weights and columns whose squares under small weights are no floats."""
    low, high = RANGE
    smallest, largest = float(facts.lightest.min()), float(facts.heaviest.max())
    if smallest < low * largest:
        raise ValueError(
            f"sample_weight must be 0 or at least {low:g} times the largest, {largest:.3g}, "
            f"got {smallest:.3g}"
        )
    around_0 = facts.moments.around(np.zeros(len(facts.moments.origin[0])))
    size = np.sqrt(np.diag(around_0).clip(min=0.0))
    for j in np.flatnonzero((size > 0) & ~((size >= low) & (size <= high))):
        names = getattr(model, "feature_names_in_", range(len(size)))
        raise ValueError(
            f"column {names[j]!r} of X has numbers of the size {size[j]:.3g}, outside of "
            f"{low:g} to {high:g}: choose another unit"
        )


def _scale(model: Any, facts: Facts, deviations: Deviations | None) -> Array:
    """Return the residual scale of each output, (m,)."""
    _, y, own, _, _ = facts.sample()
    if isinstance(model.scale, str) and deviations is not None:
        pairs = zip(deviations.around_median, deviations.median, strict=True)
        deviation = np.array([without_rounding(float(d), float(at)) for d, at in pairs])
        return np.full(y.shape[1], scale_of(deviation, float(np.abs(y).max())))
    return residual_scale(model.scale, y, own / own.sum(), bool(model.fit_intercept))


def _problem(
    model: Any, facts: Facts, scale: Array, groups: Groups | None, terms: Terms
) -> tuple[Standing, float | None]:
    """Return the problem of all rows, and the tolerance of an `EqualizedLoss`, None without one."""
    x, y, own, counts, codes = facts.sample()
    problem = Standing(
        design=DenseDesign(x),
        y=in_units(y, scale),
        weights=own,
        **parameters_of(model),
        facts=facts,
        scale=scale,
        columns=np.arange(y.shape[1]),
        counts=counts,
    )
    if not terms or groups is None:
        return problem, None
    parts = replace(groups, codes=codes), problem.design, problem.y, own, scale
    asked = translate(terms, GroupedFacts(*parts, facts=facts))
    return replace(problem, criterion=asked.criterion, linear=asked.linear), asked.spread


def _fit_in_memory(
    model: Any, facts: Facts, scale: Array, groups: Groups | None, terms: Terms, single: bool
) -> None:
    """Fit rows that are all in the sample: few enough to be one array."""
    x, y, own, _, codes = facts.sample()
    if groups is not None:
        groups = replace(groups, codes=codes)
    read = DenseDesign(x), y, own, scale, terms, groups
    problem, tolerance = problem_of(model, *read)
    training = Training(problem, scale, tolerance, groups, terms, single, (x, y, None))
    quiet = type(model)(**model.get_params(deep=False))  # callbacks are told of passes alone
    fit_model(quiet, training, None)
    vars(model).update({name: v for name, v in vars(quiet).items() if name.endswith("_")})


def _report(
    model: Any,
    problem: Standing,
    found: RowSolution,
    groups: Groups | None,
    terms: Terms,
    tolerance: float | None,
    single: bool,
) -> None:
    """Set the fitted attributes, and warn where a fit is not certified."""
    facts, errors, verdict = problem.known, found.errors, found.verdict
    shares = facts.weights / facts.total
    attributes = Attributes(problem, problem.scale, groups, single, shares)
    if found.equalized is not None and tolerance is not None:
        warn_unless_equal(found.equalized, tolerance)
    warn_unless_certified(model, found, verdict)
    means = None
    if groups is not None:
        by_group = errors.sums / shares[:, None]
        mix = errors.losses(problem.mix_sums) / shares[:, None]
        means = np.array([mix, by_group[1], by_group[2]])
    model.__dict__.update(attributes.model(found.coef, found.intercept, means=means))
    model.__dict__.update(attributes.certificate(verdict))
    solved = problem if found.equalized is None else found.equalized.problem
    model.__dict__.update(attributes.constraints(solved, found.multipliers, terms))
    squares = problem.mix_sums[2] * 0.5 * errors.sums[2].sum(axis=0)
    total = float(errors.losses(problem.mix_sums).sum())
    model.squared_share_ = float(squares.sum()) / total if total > 0 else np.nan
    if problem.loss.loss_mix in (0.0, 1.0):
        model.squared_share_ = 1.0 - problem.loss.loss_mix
    model.n_iter_ = int(found.n_iter.max())


@dataclass(frozen=True)
class Predict:
    """Predictions of a model for the features of a block."""

    coef: Array
    intercept: Array | float
    clip: tuple[float, float] | None

    @classmethod
    def of(cls, model: Any) -> Predict:
        """Take what a fitted model needs to predict."""
        return cls(model.coef_.T, model.intercept_, model.clip)

    def __call__(self, x: Array) -> Array:
        if x.shape[1] != len(self.coef):
            raise ValueError(
                f"X has {x.shape[1]} features, but PixelLossRegressor is expecting "
                f"{len(self.coef)} features as input"
            )
        out = np.asarray(x, dtype=np.float64) @ self.coef + self.intercept
        return out if self.clip is None else np.clip(out, *self.clip)


def predict_source(model: Any, source: RowSource) -> Iterable[Array]:
    """Return the predictions for a source by block, as they are asked for."""
    names = getattr(model, "feature_names_in_", None)
    known = None if names is None else names.tolist()
    return source.each(Predict.of(model), known)
