"""Differences between the versions of scikit-learn that are supported.

Callbacks came with scikit-learn 1.9: on older versions estimators have no ``set_callbacks``, and
nothing listens to a fit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

try:
    from sklearn.callback import AutoPropagatedCallback, CallbackSupportMixin, ScoringMonitor
    from sklearn.callback import with_callbacks as _with_callbacks
except ImportError:  # scikit-learn < 1.9
    AutoPropagatedCallback = ScoringMonitor = None

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Empty: no callbacks can be set."""

    def _with_callbacks(method: Any) -> Any:
        return method


__all__ = [
    "AutoPropagatedCallback",
    "CallbackSupportMixin",
    "ScoringMonitor",
    "has_callbacks",
    "with_callbacks",
]

_Method = TypeVar("_Method", bound=Callable[..., Any])


def with_callbacks(method: _Method) -> _Method:
    """Make a method of an estimator tear its callbacks down, however it ends."""
    decorated: _Method = _with_callbacks(method)
    return decorated


def has_callbacks(estimator: Any) -> bool:
    """Tell whether callbacks are set, by the user or by an estimator around this one."""
    return bool(getattr(estimator, "_skl_callbacks", ()))
