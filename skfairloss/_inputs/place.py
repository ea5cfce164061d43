"""The place of a fit in a run of many, which its errors and warnings name.

A run checks the index of its groups before it cuts the rows, so `check_index` says nothing about
order where a place is set.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType

_PLACE: ContextVar[str] = ContextVar("place", default="")


@contextmanager
def fitting_at(place: str) -> Iterator[None]:
    """Name the place, such as "loss_mix=0.5, fold 3 of 5", in the errors and warnings inside."""
    token = _PLACE.set(place)
    try:
        yield
    except Exception as error:
        if error.args == (str(error),):
            error.args = (f"{error} ({place})",)
        else:  # a text that the exception makes itself
            error.add_note(f"({place})")
        raise
    finally:
        _PLACE.reset(token)


def in_run() -> bool:
    """Tell whether this is a fit of a run."""
    return bool(_PLACE.get())


def warn_user(text: str, category: type[Warning]) -> None:
    """Warn at the line that called into the package, with the place where there is one."""
    frame: FrameType | None = sys._getframe()
    level = outermost = 1
    while frame is not None:
        if f"{frame.f_globals.get('__name__')}.".startswith("skfairloss."):
            outermost = level
        level, frame = level + 1, frame.f_back
    text = f"{text} ({_PLACE.get()})" if in_run() else text
    warnings.warn(text, category, stacklevel=outermost + 1)
