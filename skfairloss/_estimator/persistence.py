"""The version that an estimator was saved under; scikit-learn stamps its own classes only."""

from __future__ import annotations

import warnings
from typing import Any

from sklearn.exceptions import InconsistentVersionWarning

from skfairloss._version import __version__

_STAMP = "_skfairloss_version"


class InconsistentSkfairlossVersionWarning(InconsistentVersionWarning):
    """An estimator was saved under another version of skfairloss.

    A filter for scikit-learn's warning catches it. ``original_sklearn_version`` and
    ``current_sklearn_version`` are None: nothing is said of scikit-learn.
    """

    def __init__(self, *, estimator_name: str, original_version: str) -> None:
        super().__init__(
            estimator_name=estimator_name,
            current_sklearn_version=None,
            original_sklearn_version=None,
        )
        self.original_skfairloss_version = original_version
        self.current_skfairloss_version = __version__

    def __str__(self) -> str:
        return (
            f"{self.estimator_name} was saved under skfairloss {self.original_skfairloss_version} "
            f"and is loaded under skfairloss {self.current_skfairloss_version}: it may fail, or "
            "predict otherwise than before. Remedy: load it under the version it was saved with, "
            "or fit it again"
        )


class VersionStampMixin:
    """Write the version of skfairloss into the state of an estimator, and compare it on loading.

    The stamp is in what pickle, joblib, cloudpickle, skops and copy store, never an attribute.
    """

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), _STAMP: __version__}  # type: ignore[dict-item]

    def __setstate__(self, state: dict[str, Any]) -> None:
        kept = {name: value for name, value in state.items() if name != _STAMP}
        original = state.get(_STAMP, "unknown")
        if original != __version__:
            warnings.warn(
                InconsistentSkfairlossVersionWarning(
                    estimator_name=type(self).__name__, original_version=original
                ),
                stacklevel=2,
            )
        super().__setstate__(kept)  # type: ignore[misc]
