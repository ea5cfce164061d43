"""Tasks of a run of many fits, for callbacks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from threading import Lock
from typing import Any

from skfairloss._estimator.compat import AutoPropagatedCallback, has_callbacks


class FitsTasks:
    """The tasks of a run: one for each fit of another estimator.

    Progress bars are propagated by scikit-learn, as deep as they ask for. Other callbacks, which
    scikit-learn calls for the estimator they are set on only, go along to every fit: what they
    are to watch happens there.

    Parameters
    ----------
    owner : estimator of the run, in a method under ``with_callbacks``.
    n_fits : number of fits.
    """

    def __init__(self, owner: Any, n_fits: int) -> None:
        self._owner = owner
        self._context: Any = None
        self._lock = Lock()
        if has_callbacks(owner):
            self._context = owner._init_callback_context(
                max_subtasks=n_fits, sequential_subtasks=False
            ).call_on_fit_task_begin(estimator=owner)

    @contextmanager
    def fit(self, number: int, estimator: Any, watched: Any = None) -> Iterator[None]:
        """Open the task of one fit; ``watched`` is the step of ``estimator`` for callbacks."""
        if self._context is None:
            yield
            return
        watched = estimator if watched is None else watched
        own = [c for c in self._owner._skl_callbacks if not isinstance(c, AutoPropagatedCallback)]
        before = getattr(watched, "_skl_callbacks", [])
        if not hasattr(watched, "set_callbacks"):
            own = []  # an estimator that no callback can be set on
        if own:
            watched.set_callbacks(*before, *own)
        try:
            with self._lock:
                task = self._context.subcontext("fit-of-a-model", task_id=number)
            with self._propagated(task, estimator):
                task.call_on_fit_task_begin(estimator=self._owner)
                yield
        finally:
            task.call_on_fit_task_end(estimator=self._owner)
            if own:
                watched.set_callbacks(*before)

    @staticmethod
    def _propagated(task: Any, estimator: Any) -> Any:
        """Return the context in which callbacks reach an estimator, if it has any."""
        has_any = hasattr(estimator, "set_callbacks")
        return task.propagate_callback_context(estimator) if has_any else nullcontext()

    def end(self) -> None:
        """Report the end of the run."""
        if self._context is not None:
            self._context.call_on_fit_task_end(estimator=self._owner)
