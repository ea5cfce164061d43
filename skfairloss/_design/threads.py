"""One BLAS thread for narrow arrays: handing them to several costs more than it gains."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

_MANY = 400  # columns from which products of matrices are worth more than one thread ...
_LARGE = 4_000_000  # ... if they go through more numbers than these (32 MB)


class _Guard:
    """Counts who is inside: the first sets the limit, the last restores what was there.

    The limit holds for the whole process; without the count, fits in several threads could leave
    it behind.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside = 0
        self._controller: ThreadpoolController | None = None
        self._limit: Any = None

    def enter(self) -> None:
        with self._lock:
            if self._inside == 0:
                if self._controller is None:  # looks through all loaded libraries: once
                    self._controller = ThreadpoolController()
                self._limit = self._controller.limit(limits=1, user_api="blas")
            self._inside += 1

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._limit.restore_original_limits()


_GUARD = _Guard()


@contextmanager
def one_blas_thread(columns: int = 0, size: float = np.inf) -> Iterator[None]:
    """Run the block with one BLAS thread, unless matrices have many columns and numbers."""
    if columns > _MANY and size > _LARGE:
        yield
        return
    _GUARD.enter()
    try:
        yield
    finally:
        _GUARD.leave()
