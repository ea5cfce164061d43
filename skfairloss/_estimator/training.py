"""`Training`: the parameters and data of a fit, checked once and read into a `Problem`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import assert_all_finite, validate_data

from skfairloss._core.losses import MixedLoss
from skfairloss._core.problem import Problem
from skfairloss._core.requests import GroupedData
from skfairloss._core.solution import Multipliers, Start
from skfairloss._design import make_design
from skfairloss._design.design import Design
from skfairloss._design.sparse import SparseDesign
from skfairloss._design.threads import one_blas_thread, passes_in_threads
from skfairloss._estimator.scale import RANGE, in_units, residual_scale
from skfairloss._estimator.terms import read_terms, translate
from skfairloss._inputs.columns import named_columns
from skfairloss._inputs.groups import Groups, check_index, encode_groups
from skfairloss._inputs.parameters import REGRESSOR_CHECKS, check_parameters
from skfairloss._inputs.validation import check_dimensions, check_numbers, check_weights, normalized
from skfairloss._typing import Array
from skfairloss.fairness import FairnessTerm

_FLOATS = [np.float64, np.float32]
_REAL = [*_FLOATS, np.float16, np.bool_, *map(np.dtype, "bhilqBHILQ")]


@dataclass(frozen=True)
class Training:
    """Parameters and data of a fit. Its data are the same for every mix and all terms.

    Parameters
    ----------
    problem : the optimisation problem, in units of the residual scale.
    scale : (m,), the residual scale c of each output.
    tolerance : that of an `EqualizedLoss`. None without one.
    groups : the groups of the rows. None without ``sensitive_features``.
    terms : the fairness terms.
    single : True if y is one-dimensional.
    given : X, y and sample_weight as the user gave them, for callbacks.
    """

    problem: Problem
    scale: Array
    tolerance: float | None
    groups: Groups | None
    terms: tuple[FairnessTerm, ...]
    single: bool
    given: tuple[Any, Any, Any]

    def start(
        self, models: tuple[Array, Array] | None, multipliers: Multipliers | None = None
    ) -> Start | None:
        """Return models in units of y, (p, m) and (m,), as a start. None if their shape differs.

        ``multipliers`` are those of a fit close to this one. None where there were none.
        """
        shape = self.problem.design.shape[1], self.problem.n_outputs
        if models is None or models[0].shape != shape:
            return None
        return Start(models[0] / self.scale, models[1] / self.scale, multipliers=multipliers)

    def reweighted(self, model: Any, weights: Array) -> Training:
        """Return the same rows under other weights (n,), > 0, as `read_training` would read them.

        The sample of rows is the same: it decides how fast a fit is, not where it ends.
        """
        weights, before = normalized(weights), self.problem
        targets, scale = before.y * self.scale, self.scale
        if isinstance(model.scale, str) and not self._scale_cancels:
            scale = residual_scale(model.scale, targets, weights, before.fit_intercept)
        read = before.design, targets, weights, scale, self.terms, self.groups
        problem, tolerance = problem_of(model, *read)
        if before.sample is not None:
            problem.__dict__["sample"] = before.sample.under(weights)
        return replace(self, problem=problem, scale=scale, tolerance=tolerance)

    @property
    def _scale_cancels(self) -> bool:
        """True if the fit is the same at every residual scale: one loss, no penalty, no term."""
        problem = self.problem
        plain = problem.l1 == problem.l2 == 0 and not self.terms
        return plain and problem.loss.loss_mix in (0.0, 1.0)

    def under(self, model: Any) -> Training:
        """Return the same data and penalty under the mix and the terms of a model."""
        loss = replace(self.problem.loss, loss_mix=float(model.loss_mix))
        problem, terms = self.problem.under(loss=loss), read_terms(model.fairness)
        if all(one is other for one, other in zip_longest(terms, self.terms)):
            return replace(self, problem=problem)
        problem, tolerance = _constrained(problem, terms, self.groups, self.scale)
        return replace(self, problem=problem, terms=terms, tolerance=tolerance)


def read_training(
    model: Any, X: Any, y: Any, sample_weight: Any, sensitive_features: Any
) -> Training:
    """Check the parameters of a `PixelLossRegressor` and its data, and put them into records.

    Sets ``n_features_in_`` and ``feature_names_in_`` of the model, as scikit-learn does.
    """
    check_parameters(type(model).__name__, vars(model), REGRESSOR_CHECKS)
    terms = read_terms(model.fairness)
    if terms and sensitive_features is None:
        raise ValueError(
            f"fairness={model.fairness!r} needs the groups: pass sensitive_features to fit"
        )
    sensitive_features = named_columns(sensitive_features, X)
    check_index(sensitive_features, X=X, y=y, sample_weight=sample_weight)
    given = X, y, sample_weight
    X, y = _validated(model, X, y)
    weights = _weights(sample_weight, len(y))
    groups = None
    if sensitive_features is not None:
        groups = encode_groups(sensitive_features, len(y))
    kept = weights > 0
    if not kept.all():
        check_finite(model, make_design(X))
        y, weights = y[kept], weights[kept]
        groups = groups.subset(kept) if groups is not None else None
    targets = y.reshape(len(y), -1)
    scale = residual_scale(model.scale, targets, weights, bool(model.fit_intercept))
    design = make_design(X, kept)
    problem, tolerance = problem_of(model, design, targets, weights, scale, terms, groups)
    shape = design.shape[1], design.blas_size
    with one_blas_thread(X.shape[1]), passes_in_threads(model.n_jobs, *shape):
        # sums of all of X with positive weights show what is not finite
        if not np.isfinite(problem.means).all():
            check_finite(model, design)
    _check_sizes(model, design, problem.means)
    return Training(problem, scale, tolerance, groups, terms, y.ndim == 1, given)


def _validated(model: Any, X: Any, y: Any) -> tuple[Any, Array]:
    """Return X as `read_features` does, and y as float64, (n,) or (n, m)."""
    for name, value in (("X", X), ("y", y)):
        check_dimensions(name, value)
        check_numbers(name, value)
    X, y = read_features(model, X, reset=True, y=y, y_numeric=True, multi_output=True)
    assert_all_finite(y, input_name="y", estimator_name=type(model).__name__)
    return X, np.asarray(y, dtype=np.float64)


def read_features(model: Any, X: Any, reset: bool, **others: Any) -> Any:
    """Return X as an array of real numbers or a CSR or CSC matrix, by scikit-learn's checks.

    Dense numbers keep their dtype: designs read them as float64 a block at a time. Numbers that are
    not finite pass. With y among ``others`` both are returned.
    """
    return validate_data(
        model,
        X,
        reset=reset,
        accept_sparse=["csr", "csc"],
        dtype=_FLOATS if issparse(X) else _REAL,
        ensure_all_finite=False,  # a pass over X that sums of it spare
        **others,
    )


def check_finite(model: Any, design: Design) -> None:
    """Refuse NaN and infinite features, a block of rows at a time."""
    name = type(model).__name__
    if isinstance(design, SparseDesign):
        assert_all_finite(design.x.data, input_name="X", estimator_name=name)
    else:
        for _, block in design.blocks():
            assert_all_finite(block, input_name="X", estimator_name=name)


def _check_sizes(model: Any, design: Design, means: Array) -> None:
    """Refuse columns whose squares under small weights are no floats, which their means show."""
    low, high = RANGE
    suspects = np.flatnonzero(~((np.abs(means) >= low) & (np.abs(means) <= high)))
    if not len(suspects):
        return
    sparse, largest = design.sparse, np.zeros(len(suspects))
    for _, block in (design.columns(suspects) if sparse else design).blocks():
        some = block if sparse else block[:, suspects]
        np.maximum(largest, np.abs(some).max(axis=0), out=largest)
    for j, size in zip(suspects, largest, strict=True):
        if size > 0 and not low <= size <= high:
            names = getattr(model, "feature_names_in_", range(design.shape[1]))
            raise ValueError(
                f"column {names[j]!r} of X has numbers of up to {size:.3g} in size, outside of "
                f"{low:g} to {high:g}: choose another unit"
            )


def _weights(sample_weight: Any, n: int) -> Array:
    """Return weights that sum to 1, (n,), unless the ratio of two of them is out of range."""
    given = check_weights(sample_weight, n)
    out, low = normalized(given), RANGE[0]
    if sample_weight is not None and out.min() < low * out.max():
        smallest, largest = given[given > 0].min(), given.max()
        if smallest < low * largest:
            raise ValueError(
                f"sample_weight must be 0 or at least {low:g} times the largest, {largest:.3g}, "
                f"got {smallest:.3g}"
            )
    return out


def parameters_of(model: Any) -> dict[str, Any]:
    """Return what of a `Problem` a model's parameters say."""
    return {
        "loss": MixedLoss(float(model.loss_mix), float(model.quantile)),
        "l1": float(model.alpha * model.l1_ratio),
        "l2": float(model.alpha * (1.0 - model.l1_ratio)),
        "fit_intercept": bool(model.fit_intercept),
    }


def problem_of(
    model: Any,
    design: Design,
    targets: Array,
    weights: Array,
    scale: Array,
    terms: tuple[FairnessTerm, ...],
    groups: Groups | None,
) -> tuple[Problem, float | None]:
    """Return the problem of validated data, and the tolerance of an `EqualizedLoss`.

    The tolerance is None without such a term.
    """
    y = in_units(targets, scale)
    problem = Problem(
        design=design,
        y=y,
        weights=weights,
        **parameters_of(model),
    )
    return _constrained(problem, terms, groups, scale)


def _constrained(
    problem: Problem, terms: tuple[FairnessTerm, ...], groups: Groups | None, scale: Array
) -> tuple[Problem, float | None]:
    """Return a problem under the terms, and the tolerance of an `EqualizedLoss`."""
    if not terms or groups is None:
        return problem.under(criterion=None, linear=()), None
    data = GroupedData(groups, problem.design, problem.y, problem.weights, scale)
    asked = translate(terms, data)
    return problem.under(criterion=asked.criterion, linear=asked.linear), asked.spread
