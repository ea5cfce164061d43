"""Properties that are computed once, without a lock.

In Python 3.11 `functools.cached_property` holds one lock for all objects of a class while it
computes: threads wait for each other, and a process forked meanwhile may wait for ever.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or sys.version_info >= (3, 12):
    from functools import cached_property
else:

    class cached_property:  # noqa: N801, named as the one of functools
        """Keep the value of a property in the object's ``__dict__``, where it is found first.

        Two threads that ask at once may both compute it: the later value stays.
        """

        def __init__(self, func: Callable[[Any], Any]) -> None:
            self.func, self.__doc__ = func, func.__doc__

        def __set_name__(self, owner: type, name: str) -> None:
            self.name = name

        def __get__(self, instance: Any, owner: type | None = None) -> Any:
            if instance is None:
                return self
            value = instance.__dict__[self.name] = self.func(instance)
            return value


__all__ = ["cached_property"]
