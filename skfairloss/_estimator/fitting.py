"""The fit of a model to a `Training`: solve, certify, warn, set the fitted attributes."""

from __future__ import annotations

from dataclasses import replace
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
from skfairloss._solvers import Equalized, solve, solve_equalized
from skfairloss.callbacks import FitTasks
from skfairloss.exceptions import UnmetFairnessWarning

_REFINEMENTS = 4  # at most: they end where a gap does not fall


def fit_model(model: Any, training: Training, start: Start | None) -> Start:
    """Fit a `PixelLossRegressor` to a `Training`, and set its fitted attributes.

    ``start`` is a model to start from. If there is none it is None. Returns the start of a fit of
    the same data under another mix.
    """
    problem = training.problem
    attributes = Attributes(problem, training.scale, training.groups, training.single)
    shape = problem.design.shape[1], problem.design.blas_size
    with one_blas_thread(*shape), passes_in_threads(model.n_jobs, *shape):
        problem, solution, limit = _solve(model, training, start, attributes)
        certificate = certify(problem, solution, model.tol)
        if limit is None:
            solution, certificate = _with_more_digits(model, problem, solution, certificate)
        if limit is not None and not certificate.certified.all():
            certified = certify(*limit, model.tol).certified
            certificate = replace(certificate, certified=certified)
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


@with_callbacks
def _solve(
    model: Any, training: Training, start: Start | None, attributes: Attributes
) -> tuple[Problem, Solution, tuple[Problem, Solution] | None]:
    """Return the problem that was solved and its solution; inform callbacks, if any are set.

    Those that it was the limit of come last; None where it was none.
    """
    problem, tolerance, tasks, limit = training.problem, training.tolerance, None, None
    if has_callbacks(model):
        n_tasks = 1 if problem.constrained else problem.n_outputs
        tasks = FitTasks(model, n_tasks, _shown(*training.given), attributes.model)
    on_iteration = None if tasks is None else tasks.on_iteration
    if tolerance is not None:
        found = solve_equalized(
            problem, tolerance, tol=model.tol, max_iter=model.max_iter, on_iteration=on_iteration
        )
        _warn_unless_equal(found, tolerance)
        problem, solution, limit = found.problem, found.solution, found.limit
    else:
        solution = solve(
            problem,
            tol=model.tol,
            max_iter=model.max_iter,
            start=start,
            n_jobs=model.n_jobs,
            on_iteration=on_iteration,
        )
    if tasks is not None:
        tasks.end(solution.coef, solution.intercept)
    return problem, solution, limit


def _with_more_digits(
    model: Any, problem: Problem, solution: Solution, certificate: Certificate
) -> tuple[Solution, Certificate]:
    """Return a better solution and its certificate, where rounding keeps the gap open.

    The problem is solved again from where it ended, with products of twice the digits: iterative
    refinement (Higham, Accuracy and Stability of Numerical Algorithms, chapter 12).
    """
    finer: Problem | None = None
    for _ in range(_REFINEMENTS):
        left = model.max_iter - int(solution.n_iter.max())
        if certificate.certified.all() or solution.stopped.any() or left < 1:
            break
        finer = finer or problem.compensated(model.tol)
        if finer is None:
            break
        start = Start(solution.coef, solution.intercept)
        found = solve(finer, tol=model.tol, max_iter=left, start=start, n_jobs=model.n_jobs)
        better = certify(finer, found, model.tol)
        if not better.gap.sum() < certificate.gap.sum():
            break
        solution = replace(found, n_iter=solution.n_iter + found.n_iter)
        certificate = better
    return solution, certificate


def _warn_unless_equal(found: Equalized, tolerance: float) -> None:
    """State the spread of the group losses that is left, and why, where it is too large."""
    if found.within(tolerance) or found.solution.stopped.any():
        return
    level = found.problem.groups.level_loss
    unit = 1.0 if level is None else level.unit
    why = "the smallest found on the path of falling largest losses"
    if found.lowest:
        why = (
            "the largest of the losses cannot be lowered further, and the rest could only be "
            "closed by making a group worse"
        )
    warn_user(
        f"EqualizedLoss left a spread of {found.spread * unit:.6g} between the group losses, "
        f"tolerance={tolerance * unit:.6g}: {why}",
        UnmetFairnessWarning,
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
