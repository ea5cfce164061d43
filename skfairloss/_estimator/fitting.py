"""The fit of a model to a `Training`: solve, certify, warn, set the fitted attributes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skfairloss._core.certificate import certify
from skfairloss._core.problem import Problem
from skfairloss._core.solution import Certificate, Solution, Start, Verdict
from skfairloss._design.threads import one_blas_thread, passes_in_threads
from skfairloss._estimator.attributes import Attributes
from skfairloss._estimator.compat import has_callbacks, with_callbacks
from skfairloss._estimator.training import Training
from skfairloss._inputs.place import warn_user
from skfairloss._solvers import Equalized, Iteration, solve, solve_equalized
from skfairloss.callbacks import FitTasks
from skfairloss.exceptions import InfeasibleFairnessError, UnmetFairnessWarning

_REFINEMENTS = 4  # at most


def fit_model(model: Any, training: Training, start: Start | None) -> Start:
    """Fit a `PixelLossRegressor` to a `Training`, and set its fitted attributes.

    ``start`` is a model to start from. If there is none it is None. Returns the start of a fit of
    the same data under another mix.
    """
    problem = training.problem
    attributes = Attributes(problem, training.scale, training.groups, training.single)
    shape = problem.design.shape[1], problem.design.blas_size
    with one_blas_thread(*shape), passes_in_threads(model.n_jobs, *shape):
        ended = _solve(model, training, start, attributes)
        ended = _with_more_digits(model, training, ended)
    problem, solution, certificate = ended.problem, ended.solution, ended.certificate
    if ended.equalized is not None and training.tolerance is not None:
        warn_unless_equal(ended.equalized, training.tolerance)
    warn_unless_certified(model, solution, certificate)
    model.__dict__.update(
        attributes.model(solution.coef, solution.intercept, residual=certificate.residual)
    )
    model.__dict__.update(attributes.certificate(certificate))
    model.__dict__.update(attributes.constraints(problem, solution.multipliers, training.terms))
    model.squared_share_ = problem.squared_share(certificate.residual)
    model.n_iter_ = int(solution.n_iter.max())
    measured = None if problem.constrained else solution.measured
    return Start(solution.coef, solution.intercept, measured, solution.multipliers)


@dataclass(frozen=True)
class _Ended:
    """The end of a fit: the problem that was solved, its solution, and its certificate.

    ``equalized`` is the path that it is a point of. None without an `EqualizedLoss`.
    """

    problem: Problem
    solution: Solution
    certificate: Certificate
    equalized: Equalized | None = None

    @property
    def open(self) -> bool:
        """True where a gap is left that more iterations might not close."""
        return not (self.certificate.certified.all() or self.solution.stopped.any())


@with_callbacks
def _solve(model: Any, training: Training, start: Start | None, attributes: Attributes) -> _Ended:
    """Solve the problem of a training and certify; inform callbacks, if any are set."""
    problem, tasks = training.problem, None
    if has_callbacks(model):
        n_tasks = 1 if problem.constrained else problem.n_outputs
        tasks = FitTasks(model, n_tasks, _shown(*training.given), attributes.model)
    on_iteration = None if tasks is None else tasks.on_iteration
    if training.tolerance is not None:
        ended = _equalize(model, problem, training.tolerance, on_iteration)
    else:
        solution = solve(
            problem,
            tol=model.tol,
            max_iter=model.max_iter,
            start=start,
            n_jobs=model.n_jobs,
            on_iteration=on_iteration,
        )
        ended = _Ended(problem, solution, certify(problem, solution, model.tol))
    if tasks is not None:
        tasks.end(ended.solution.coef, ended.solution.intercept)
    return ended


def _equalize(
    model: Any,
    problem: Problem,
    tolerance: float,
    on_iteration: Callable[[Iteration], bool] | None = None,
) -> _Ended:
    """Solve a problem with an `EqualizedLoss` and certify: what it is the limit of, if need be."""
    found = solve_equalized(
        problem, tolerance, tol=model.tol, max_iter=model.max_iter, on_iteration=on_iteration
    )
    certificate = certify(found.problem, found.solution, model.tol)
    if found.limit is not None and not certificate.certified.all():
        certified = certify(*found.limit, model.tol).certified
        certificate = replace(certificate, certified=certified)
    return _Ended(found.problem, found.solution, certificate, found)


def _with_more_digits(model: Any, training: Training, ended: _Ended) -> _Ended:
    """Return a better end where rounding keeps the gap open.

    The problem is solved with products of twice the digits, from where it ended, until the gap does
    not fall: iterative refinement (Higham, Accuracy and Stability of Numerical Algorithms, chapter
    12). The path of an `EqualizedLoss` is gone through again, once.
    """
    finer = training.problem.compensated(model.tol) if ended.open else None
    if finer is None:
        return ended
    with suppress(InfeasibleFairnessError):  # a bound just out of reach, once digits are right
        if training.tolerance is not None:
            return _better(ended, _equalize(model, finer, training.tolerance))
        for _ in range(_REFINEMENTS):
            left = model.max_iter - int(ended.solution.n_iter.max())
            if not ended.open or left < 1:
                break
            start = Start(ended.solution.coef, ended.solution.intercept)
            found = solve(finer, tol=model.tol, max_iter=left, start=start, n_jobs=model.n_jobs)
            found = replace(found, n_iter=found.n_iter + ended.solution.n_iter)
            better = _better(ended, _Ended(finer, found, certify(finer, found, model.tol)))
            if better is ended:
                break
            ended = better
    return ended


def _better(one: _Ended, other: _Ended) -> _Ended:
    """Return the other end where more of it is certified or its gap is smaller, else the first."""
    gain = other.certificate.certified.sum() - one.certificate.certified.sum()
    smaller = other.certificate.gap.sum() < one.certificate.gap.sum()
    return other if gain > 0 or (gain == 0 and smaller) else one


def warn_unless_equal(found: Equalized, tolerance: float) -> None:
    """State the spread of the group losses that is left, and why, where it is too large."""
    if found.within(tolerance):
        return
    level = found.problem.groups.level_loss
    unit = 1.0 if level is None else level.unit
    kind, why = UnmetFairnessWarning, "the smallest found on the path of falling largest losses"
    if found.stopped:
        kind, why = ConvergenceWarning, "a callback stopped the fit: let it go on"
    elif found.cut:
        kind = ConvergenceWarning
        why = (
            "models with a smaller largest loss have such large coefficients that the penalty "
            "outweighs the loss, and could not be found. Remedy: drop columns that are nearly equal"
        )
    elif found.lowest:
        why = (
            "the largest of the losses cannot be lowered further, and the rest could only be "
            "closed by making a group worse"
        )
    warn_user(
        f"EqualizedLoss left a spread of {found.spread * unit:.6g} between the group losses, "
        f"tolerance={tolerance * unit:.6g}: {why}",
        kind,
    )


def warn_unless_certified(model: Any, solution: Any, certificate: Verdict) -> None:
    """State the gap reached, and the remedy, where a fit is not certified."""
    name = type(model).__name__
    open_outputs = np.flatnonzero(~certificate.certified)
    if len(open_outputs):
        worst = open_outputs[np.argmax(certificate.gap[open_outputs])]
        n_outputs = len(certificate.gap)
        where = ""
        if n_outputs > 1:
            where = f" for {len(open_outputs)} of {n_outputs} outputs; in output {worst}"
        remedy = _remedy(solution, worst, model.max_iter)
        violated = certificate.infeasibility[worst]
        violation = f", and a fairness term is violated by {violated:.3g}, relative"
        warn_user(
            f"{name} did not reach tol={model.tol}{where}: the objective "
            f"{certificate.objective[worst]:.6g} is at most {certificate.gap[worst]:.3g} "
            f"above the optimum{violation if violated > model.tol else ''}. Remedy: {remedy}",
            ConvergenceWarning,
        )
    elif not solution.tie_resolved.all():
        warn_user(
            f"{name} found an optimum that is not unique, and did not "
            "resolve the tie: other coefficients have the same objective. Remedy: a small "
            "alpha, or loss_mix slightly below 1",
            ConvergenceWarning,
        )


def _remedy(solution: Any, output: int, max_iter: int) -> str:
    """Name the remedy for a gap that is left."""
    if solution.stopped[output]:
        return "a callback stopped the fit: let it go on"
    if solution.n_iter[output] >= max_iter:
        return "raise max_iter"
    return (
        "rounding limits what can be reached: raise tol, or bring the columns of X and the "
        "weights to comparable sizes"
    )


def _shown(X: Any, y: Any, sample_weight: Any) -> dict[str, Any]:
    """Return the data by which callbacks score a fit, with weights where each row has one.

    Groups are not among the metadata: scorers without such a parameter would fail.
    """
    metadata = {"sample_weight": sample_weight} if np.ndim(sample_weight) else {}
    return {"X": X, "y": y, "metadata": metadata}
