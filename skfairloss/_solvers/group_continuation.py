r"""From the optimum under one set of bounds to that under others close to it, without iterations.

As long as the same rows are at their kink and the same constraints bind, the optimality conditions
are the equations of `group_crossover`, which one solve (Newton's method, where squares count) takes
from one bound to the next: parametric programming (Nocedal & Wright 2006, section 16.2, for the
equations; Best 1996 for following them in a parameter). Whether the guess was right, the gap of the
new point tells.
"""

from __future__ import annotations

import numpy as np

from skfairloss._solvers.group_crossover import group_polish
from skfairloss._solvers.group_interior_point import GroupedSolution, exact_in_every_group
from skfairloss._solvers.grouped import GroupedQuadratic
from skfairloss._solvers.ties import INSIDE


def continued(
    gq: GroupedQuadratic, before: GroupedSolution, tol: float, floor: float
) -> GroupedSolution | None:
    """The optimum of a problem from that of one that differs in its bounds; None where it is not.

    Parameters
    ----------
    gq : the problem.
    before : an exact optimum under other bounds on the same groups.
    tol, floor : the gap asked for is ``tol`` · max(objective, ``floor``).
    """
    box = gq.group_weights(before.multipliers)[gq.codes, None]
    lower, upper = box * gq.lower, box * gq.upper
    room = np.minimum(upper - before.dual, before.dual - lower)
    active = room > INSIDE * (upper - lower)
    if active.sum() > before.delta.size:  # more rows at their kink than unknowns: ties
        return None
    found = group_polish(
        gq, before.delta, before.multipliers, before.dual, active, before.multipliers > 0
    )
    if found is None:
        return None
    gap, objective = gq.gap(*found), gq.objective(found[0])
    if not gap <= tol * max(abs(objective), floor) or not exact_in_every_group(gq, *found):
        return None
    return GroupedSolution(*found, gap, objective, 1)
