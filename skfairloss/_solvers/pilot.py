r"""Step 1 of `sign_fixing`: a first model from a sample of rows.

The kinks come from the sample; squared loss and ridge are those of all rows, so that what is left
to correct is the error of the kinks. A large sample is treated like the whole: some of its rows are
solved by interior point, then the sample is taken into account by Newton steps on a loss whose kink
is a line within ±h (Chen 2007).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skfairloss._solvers.interior_point import interior_point
from skfairloss._solvers.smoothed_newton import (
    ROUGH_ITER,
    ROUGH_TOL,
    SIGNS_TOL,
    STEPS,
    newton_step,
    smoothed,
)
from skfairloss._solvers.tolerances import FLOOR
from skfairloss._solvers.whole import Anchor, Start, Whole, order_statistic
from skfairloss._typing import Array

# Rows that are solved first, for each coordinate and at least; 50 for each took 1.15 to 1.9 times
# as long at 60 000 x 100, on hard data and for the worst group as well ...
_PART, _PART_AT_LEAST = 25, 1000
_LARGE = 4  # ... and size of a sample, relative to them, from which it is not solved as a whole
_PILED = 0.05  # 15 % quantile of |r|, in medians, below which rows pile up at 0


@dataclass(frozen=True)
class Pilot:
    """A first model.

    Parameters
    ----------
    anchor : the model.
    h : the bandwidth that suits its error; 0 where none does.
    multipliers : (J,). None where they are not known.
    n_iter : the iterations spent.
    """

    anchor: Anchor
    h: float
    multipliers: Array | None
    n_iter: int


def pilot(whole: Whole, start: Start | None) -> Pilot:
    """Solve a sample of the rows."""
    return pilot_of(*whole.few(start))


def pilot_of(few: Whole, anchor: Anchor) -> Pilot:
    """Solve rows that stand for all, from a model."""
    d, s = few.basis.n_coordinates, len(few.y)
    part = max(_PART * d, _PART_AT_LEAST)
    small, known = (few.part(part), part) if s >= _LARGE * part else (few, s)
    kq = small.with_rows(few.smooth(anchor), small.residual(anchor))
    floor = FLOOR * kq.unit
    found = interior_point(kq, tol=ROUGH_TOL, floor=floor, max_iter=ROUGH_ITER, crossover=False)
    there = few.moved(anchor, found.delta)
    left = few.residual(there)
    if left.ndim > 1 and left.shape[1] > 1:  # second derivatives would differ between the outputs
        return Pilot(there, 0.0, found.multipliers, found.n_iter)
    if _piled(left):  # no accident: only an exact solution tells the signs of these rows
        found = interior_point(kq, tol=SIGNS_TOL, floor=floor, max_iter=ROUGH_ITER)
        there = few.moved(anchor, found.delta)
        left, known = few.residual(there), s
    multipliers, none = found.multipliers, np.zeros(0, dtype=np.intp)
    for _ in range(STEPS if known < s else 0):
        h = bandwidth(left, d, known)
        if h <= 0:
            break
        step = newton_step(smoothed(few, there, h, none, left), multipliers)
        there, multipliers = few.moved(there, step.delta), step.multipliers
        left, known = few.residual(there), s
    return Pilot(there, bandwidth(left, d, s), multipliers, found.n_iter)


def bandwidth(residual: Array, d: int, known: int) -> float:
    """Return h that covers the error of a model found from so many rows."""
    share = min(0.5, max(0.03, 3 * (d / known) ** 0.5))
    return float(order_statistic(residual, int(share * len(residual))))


def _piled(residual: Array) -> bool:
    """Return True where rows pile up at 0: a smooth density has a larger quotient of quantiles."""
    few, half = (order_statistic(residual, int(share * len(residual))) for share in (0.15, 0.5))
    return bool(few < _PILED * half)
