"""Callbacks of scikit-learn >= 1.9: what a fit tells them, and one that watches group losses."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd
import sklearn
from numpy.typing import NDArray

from skfairloss._estimator.compat import ScoringMonitor
from skfairloss._solvers import Iteration
from skfairloss._typing import Array

__all__ = ["GroupLossMonitor"]

# what a hook may ask for of a fit that has all rows in one array
_OF_ROWS = {"X", "y", "metadata", "fitted_estimator"}
_COLUMNS = ["run", "fit", "task", "output", "iteration", "group", "loss"]


class GroupLossMonitor:
    r"""Callback that records the loss of each group at every iteration of a fit.

    Set it on a `PixelLossRegressor` with ``set_callbacks``, alone, in a pipeline or in a search.
    It records every fit that gets ``sensitive_features``, in worker processes as well. It needs
    scikit-learn >= 1.9.

    The losses are `group_losses_` of the model that the fit would give if it stopped there: means
    over rows and outputs of :math:`\ell(r / c)`, before ``clip``, without a unit.

    Raises
    ------
    ImportError
        If scikit-learn is older than 1.9.

    See Also
    --------
    sklearn.callback.ScoringMonitor : Records any scorer at every iteration.
    sklearn.callback.ProgressBar : Shows how far a fit or a search is.

    Notes
    -----
    With several outputs, an output whose fit has not begun counts with the model it starts from.
    With ``n_jobs`` other than 1 outputs are fitted at the same time, so the records of iterations
    vary from run to run; those of fitted models do not. The first iterations on many rows, which
    see a subsample only, are not recorded.

    Examples
    --------
    >>> import numpy as np
    >>> from skfairloss import PixelLossRegressor
    >>> from skfairloss.callbacks import GroupLossMonitor
    >>> X, y = np.zeros((100, 1)), np.repeat([0.3, 0.9], [30, 70])
    >>> group = np.repeat(["dark", "bright"], [30, 70])
    >>> monitor = GroupLossMonitor()
    >>> model = PixelLossRegressor(loss_mix=0.25).set_callbacks(monitor)
    >>> model = model.fit(X, y, sensitive_features=group)
    >>> losses = monitor.to_frame()
    >>> losses.columns.tolist()
    ['run', 'fit', 'task', 'output', 'iteration', 'group', 'loss']
    >>> fitted = losses[losses["task"] == "fit"]
    >>> print(fitted[["group", "loss"]].round(4).to_string(index=False))
     group   loss
    bright 0.2492
      dark 1.4492
    >>> iterations = losses[losses["task"] == "iteration"]
    >>> curves = iterations.pivot(index="iteration", columns="group", values="loss")
    >>> curves.shape == (model.n_iter_, 2)
    True
    """

    def __init__(self) -> None:
        if ScoringMonitor is None:
            raise ImportError(
                f"GroupLossMonitor needs scikit-learn >= 1.9, which has callbacks; got "
                f"{sklearn.__version__}"
            )
        # keeps the records, and brings them home from worker processes
        self._monitor = ScoringMonitor(scoring=_group_losses)

    def setup(self, estimator: Any, context: Any) -> None:
        """Prepare for a fit; called by scikit-learn.

        Parameters
        ----------
        estimator : estimator instance
            The estimator to be fitted.

        context : sklearn.callback.CallbackContext
            Its place among the tasks of a run.
        """
        self._monitor.setup(estimator, context)

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Do nothing at the beginning of a task; called by scikit-learn.

        Parameters
        ----------
        estimator : estimator instance
            The estimator being fitted.

        context : sklearn.callback.CallbackContext
            The task.
        """

    def on_fit_task_end(
        self,
        estimator: Any,
        context: Any,
        *,
        X: Any = None,
        y: Any = None,
        fitted_estimator: Any = None,
    ) -> None:
        """Record the group losses after an iteration or a fit; called by scikit-learn.

        Parameters
        ----------
        estimator : estimator instance
            The estimator being fitted.

        context : sklearn.callback.CallbackContext
            The task that ends.

        X : array-like of shape (n_samples, n_features), default=None
            Features.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Targets.

        fitted_estimator : estimator instance, default=None
            The estimator as if the fit had stopped at this task.
        """
        if context.task_name != "output" and hasattr(fitted_estimator, "group_losses_"):
            self._monitor.on_fit_task_end(
                estimator, context, X=X, y=y, fitted_estimator=fitted_estimator
            )

    def teardown(self, estimator: Any, context: Any) -> None:
        """Finish a fit; called by scikit-learn.

        Parameters
        ----------
        estimator : estimator instance
            The estimator that was fitted.

        context : sklearn.callback.CallbackContext
            Its place among the tasks of a run.
        """
        self._monitor.teardown(estimator, context)

    def to_frame(self) -> pd.DataFrame:
        """Return everything recorded so far, one row for each group at each record.

        Returns
        -------
        pandas.DataFrame
            Sorted, with columns

            - ``run`` : number of the outermost fit (of a search, say), from 0 in order of time;
            - ``fit`` : tuple of the task ids that lead from the run to the fit, ``(0,)`` where
              they are the same. In a search the last one counts candidates times splits, split
              by split, and the refit comes last;
            - ``task`` : ``"iteration"``, or ``"fit"`` for the fitted model;
            - ``output`` and ``iteration`` : column of y, from 0, and iteration on it, from 1;
              missing for the fitted model;
            - ``group`` : name of the group, a tuple where there are several columns;
            - ``loss`` : mean loss of the group.

        Raises
        ------
        ValueError
            If nothing was recorded.
        """
        try:
            runs = self._monitor.get_logs(select="all")
        except ValueError as error:
            raise ValueError(
                "GroupLossMonitor recorded nothing: set it on a PixelLossRegressor, and fit that "
                "with sensitive_features"
            ) from error
        records = [
            (run, *_place(row), group, loss)
            for run, log in enumerate(runs)
            for row in sorted(log.data, key=_position)
            for group, loss in zip(row["groups"], row["losses"], strict=True)
        ]
        frame = pd.DataFrame(records, columns=_COLUMNS)
        return frame.astype({"output": "Int64", "iteration": "Int64"})


def _place(row: dict[str, Any]) -> tuple[tuple[int, ...], str, int | None, int | None]:
    """Return a record's fit, task, output and iteration; the tasks are those of `FitTasks`."""
    path, task = row["task_id_path"], row["task_name"]
    if task == "fit":
        return path, task, None, None
    return path[:-2], task, path[-2], path[-1] + 1


def _position(row: dict[str, Any]) -> tuple[Any, ...]:
    """Return the key by which records are sorted: the fitted model comes after its iterations."""
    fit, task, *_ = _place(row)
    return fit, task == "fit", row["task_id_path"]


def _group_losses(estimator: Any, *_data: Any) -> dict[str, list[Any]]:
    """Return the record of a fitted estimator, in the form of a scorer."""
    names: NDArray[Any] = estimator.groups_
    labels = list(pd.Index(names)) if names.ndim == 1 else list(map(tuple, names))
    return {"groups": labels, "losses": estimator.group_losses_.tolist()}


class FitTasks:
    """The tasks of a fit for callbacks: ``fit``, in it an ``output`` for each column of y.

    Outputs may be worked on at the same time, so their tasks have the column as id; the tasks
    ``iteration`` in them follow each other, and how many there will be is not known. The solver
    reports an iteration when it is over: its task begins and ends then.

    Parameters
    ----------
    estimator : the estimator, in a method under ``with_callbacks``.
    n_outputs : number of columns of y.
    data : X, y and metadata, in the form that scorers take.
    attributes : the fitted attributes of coefficients (p, m) and intercepts (m,), of which
        only the given output has changed since the last call. If any may have, it is None.
    """

    def __init__(
        self,
        estimator: Any,
        n_outputs: int,
        data: dict[str, Any],
        attributes: Callable[[Array, Array, int | None], dict[str, Any]],
    ) -> None:
        self._reported = {"estimator": estimator, **data}
        self._attributes = attributes
        self._outputs: dict[int, Any] = {}
        self._stopped = False
        self._failed = False
        self._fit = estimator._init_callback_context(
            max_subtasks=n_outputs, sequential_subtasks=False
        )
        self._fit.call_on_fit_task_begin(**self._reported)

    def on_iteration(self, state: Iteration) -> bool:
        """Report an iteration, or an output's final model; return True to stop.

        A callback that stops at an iteration ends the work on this output; one that stops at the
        end of an output leaves a single iteration, unreported, to each output that has not begun.
        """
        k = state.output or 0
        if self._failed or (self._stopped and k not in self._outputs):
            return True
        self._failed = True  # unless the hooks return: other threads must not call them then
        if k not in self._outputs:
            self._outputs[k] = self._begin(self._fit, "output", task_id=k, max_subtasks=None)
        task = self._outputs[k]
        if not state.finished:
            task = self._begin(task, "iteration")
        stop = self._end(task, state.coef, state.intercept, state.output)
        self._stopped |= state.finished and stop
        self._failed = False
        return stop or self._stopped

    def end(self, coef: Array, intercept: Array) -> None:
        """Report the end of the fit, with the model (p, m) and (m,) that it found."""
        self._end(self._fit, coef, intercept, None)

    def _begin(self, parent: Any, name: str, **options: Any) -> Any:
        return parent.subcontext(name, **options).call_on_fit_task_begin(**self._reported)

    def _end(self, task: Any, coef: Array, intercept: Array, output: int | None) -> bool:
        return bool(
            task.call_on_fit_task_end(
                reconstruction_attributes=lambda: self._attributes(coef, intercept, output),
                **self._reported,
            )
        )


class PassTasks:
    """The tasks of fits to rows in blocks: ``fit``, in it passes by name, in each its blocks.

    Nobody is told of rows or models. A callback cannot stop such a fit.

    Parameters
    ----------
    owner : estimator of the fit or run, in a method under ``with_callbacks``.

    Raises
    ------
    NotImplementedError
        If a callback asks for rows or for the fitted estimator.
    """

    def __init__(self, owner: Any) -> None:
        for callback in owner._skl_callbacks:
            asked = sorted(_OF_ROWS & {*inspect.signature(callback.on_fit_task_end).parameters})
            if asked:
                raise NotImplementedError(
                    f"callbacks that ask for {', '.join(asked)} need rows in one array: remove "
                    f"{type(callback).__name__} to fit rows in blocks"
                )
        self._owner = owner
        self._fit = owner._init_callback_context(max_subtasks=None)
        self._fit.call_on_fit_task_begin(estimator=owner)

    @contextmanager
    def of_pass(self, name: str, n_blocks: int) -> Iterator[Callable[[], None]]:
        """Open the task of a pass; the function returned reports a block."""
        task = self._fit.subcontext(name, max_subtasks=n_blocks)
        task.call_on_fit_task_begin(estimator=self._owner)

        def on_block() -> None:
            block = task.subcontext("block").call_on_fit_task_begin(estimator=self._owner)
            block.call_on_fit_task_end(estimator=self._owner)

        yield on_block
        task.call_on_fit_task_end(estimator=self._owner)

    def end(self) -> None:
        """Report the end of the fit."""
        self._fit.call_on_fit_task_end(estimator=self._owner)
