"""Where the time of a fit goes, seen from outside: functions are wrapped, the package is as it is.

``STAGES`` is the one place that names functions of the package. A name that is gone is an error
that says so: put the function that took its place there. A stage is charged for what runs within it
but not within another one; what no stage holds is the rest.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from skfairloss._cached import cached_property
from skfairloss._design.dense import DenseDesign

CHECKS = "checks of parameters and data"
MEANS = "column means or moments; also the check that X is finite"
COORDINATES = "coordinates"
SAMPLE = "sample and first model"
NEWTON = "smoothed Newton step"
SPLIT = "split into band and signs"
BAND = "band"
VERIFIED = "verification of the signs, with the certificate's sums"
CERTIFICATE = "certificate"
REST = "rest"
ALL = "all"  # not a stage: what a table calls all of them

SOLVERS = "skfairloss._solvers"
STAGES = (
    (CHECKS, "skfairloss._estimator.training", "read_training"),
    (MEANS, "skfairloss._core.problem", "Problem.means"),
    (MEANS, "skfairloss._core.problem", "Problem.first_moments"),
    (COORDINATES, "skfairloss._design.factor", "orthonormal_basis"),
    (SAMPLE, "skfairloss._design.sample", "draw_sample"),
    (SAMPLE, f"{SOLVERS}.pilot", "pilot"),
    ("least squares, refined in the certificate's pass", f"{SOLVERS}.least_squares", "_fit"),
    (NEWTON, f"{SOLVERS}.smoothed_newton", "smoothed"),
    (NEWTON, f"{SOLVERS}.smoothed_newton", "carried"),
    (NEWTON, f"{SOLVERS}.smoothed_newton", "newton_step"),
    (SPLIT, f"{SOLVERS}.band", "near_band"),
    (SPLIT, f"{SOLVERS}.band", "split"),
    (BAND, f"{SOLVERS}.sign_fixing", "_solve_band"),
    (VERIFIED, f"{SOLVERS}.band", "Band.verify"),
    ("group moments", f"{SOLVERS}.coupled", "formulate_coupled"),
    ("ties", f"{SOLVERS}.ties", "resolve_ties"),
    ("ties", f"{SOLVERS}.ties", "resolve_coupled_ties"),
    (CERTIFICATE, "skfairloss._core.certificate", "certify"),
)
READ_NOTHING = ("absolute", "blocks", "slices")  # of the public methods of DenseDesign


@dataclass
class Profile:
    """Seconds by stage, and rows of X that were read, by (stage, product)."""

    seconds: Counter[str] = field(default_factory=Counter)
    rows: Counter[tuple[str, str]] = field(default_factory=Counter)
    _stages: list[str] = field(default_factory=lambda: [REST])
    _last: float = 0.0
    _reading: list[int] = field(default_factory=list)
    _copies: list[DenseDesign] = field(default_factory=list)

    def enter(self, stage: str) -> None:
        """Charge the stage so far; the next one begins."""
        self._charge()
        self._stages.append(stage)

    def leave(self) -> None:
        """Charge the stage that ends."""
        self._charge()
        self._stages.pop()

    def run(self, call: Callable[[], Any]) -> None:
        """Run under the profile."""
        with ExitStack() as stack:
            for stage, module, name in STAGES:
                stack.enter_context(replaced(module, name, functools.partial(self.staged, stage)))
            for name in products():
                old = getattr(DenseDesign, name)
                stack.enter_context(set_attribute(DenseDesign, name, self.counted(name, old)))
            self._last = time.perf_counter()
            call()
            self._charge()

    def staged(self, stage: str, function: Callable) -> Callable:
        """A function whose time is that of a stage."""

        @functools.wraps(function)
        def wrapped(*args: Any, **options: Any) -> Any:
            self.enter(stage)
            try:
                return function(*args, **options)
            finally:
                self.leave()

        return wrapped

    def counted(self, product: str, method: Callable) -> Callable:
        """A product whose rows are counted: by the blocks it takes, else all of its design's.

        Products within a product count as part of it, those with copied rows as none.
        """

        @functools.wraps(method)
        def wrapped(design: DenseDesign, *args: Any, **options: Any) -> Any:
            within = bool(self._reading)
            if not within:
                self._reading.append(0)
            try:
                out = method(design, *args, **options)
            finally:
                read = 0 if within else self._reading.pop()
            if within:
                self._reading[0] += len(out) if product in ("block", "take") else 0
            else:
                direct = dict.fromkeys(("block", "take"), lambda: len(out))
                direct["subset"] = lambda: out.shape[0]
                read = read or direct.get(product, lambda: design.shape[0])()
                if product == "subset":
                    self._copies.append(out)
                if any(design is copy for copy in self._copies):  # no longer X
                    return out
                self.rows[self._stages[-1], product] += read
            return out

        return wrapped

    def _charge(self) -> None:
        now = time.perf_counter()
        self.seconds[self._stages[-1]] += now - self._last
        self._last = now


def products() -> list[str]:
    """Names of the products with X: every public method of `DenseDesign` that reads it."""
    methods = inspect.getmembers(DenseDesign, inspect.isfunction)
    return [name for name, _ in methods if name[0] != "_" and name not in READ_NOTHING]


def find(module: str, name: str) -> tuple[Any, str, Any]:
    """Who holds a function (a module or a class), its name there, and the function."""
    holder: Any = importlib.import_module(module)
    *outer, last = name.split(".")
    try:
        for part in outer:
            holder = getattr(holder, part)
        return holder, last, vars(holder)[last]
    except (AttributeError, KeyError):
        raise LookupError(
            f"{module} has no {name}: STAGES in {__name__} has to name what took its place"
        ) from None


@contextmanager
def set_attribute(holder: Any, name: str, value: Any) -> Iterator[None]:
    """Put a value in the place of an attribute, for a while."""
    own = name in vars(holder)
    before = vars(holder).get(name)
    setattr(holder, name, value)
    try:
        yield
    finally:
        if own:
            setattr(holder, name, before)
        else:
            delattr(holder, name)


@contextmanager
def replaced(module: str, name: str, wrap: Callable[[Callable], Callable]) -> Iterator[None]:
    """Wrap a function wherever the package has imported it, a method in its class."""
    holder, last, found = find(module, name)
    with ExitStack() as stack:
        if isinstance(found, cached_property):
            stack.enter_context(set_attribute(found, "func", wrap(found.func)))
        elif inspect.isclass(holder):
            stack.enter_context(set_attribute(holder, last, wrap(found)))
        else:
            wrapped = wrap(found)
            for key, other in list(sys.modules.items()):
                if key.split(".")[0] == "skfairloss":
                    for alias in [a for a, value in vars(other).items() if value is found]:
                        stack.enter_context(set_attribute(other, alias, wrapped))
        yield
