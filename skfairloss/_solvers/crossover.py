r"""From a guess of what is active to the exact optimum: solve equations.

At an optimum every row is either at its kink (r_i = 0, dual anywhere in its interval) or on one
side of it (dual at that end), and every constraint either binds or has no multiplier. Given the
rows Z at their kink, an output under fixed multipliers is linear algebra, in steps s and changes e
of the duals of Z:

    Hs - A_Zᵀ e = push,   A_Z s = residual,                                                      (1)

solved by the factors of A_Z, by the range space or by the null space method (Nocedal & Wright,
section 16.2): a `KKT`, factored once for any number of right-hand sides. Directions in which none
is determined (ties) keep their position. Duals move as little as possible, relative to their
distance from the ends, so that they balance: an analytic centre stays inside.

Of the constraints that bind, B holds minus the gradients. With (1) solved for push and for B,
s = s₀ + S dμ + N z, N the directions that (1) leaves free, what remains is

    BᵀS dμ + BᵀN z + slope dt = F - bound - slope t,   NᵀB dμ = -Nᵀ push,   slopeᵀ(μ + dμ) = γ:  (2)

the Schur complement in J + 1 unknowns, and as many more as there are free directions. Where the
loss has squares (2) is a step of Newton's method, which converges quadratically (section 18.1).

`continued` uses the same equations to go from one bound to another: as long as the same rows are at
their kink and the same constraints bind, they hold along the way: parametric programming (Best
1996). Whether a guess was right, the gap of the new point tells.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import lapack, solve_triangular

from skfairloss._solvers.coupling import Coupling
from skfairloss._solvers.kinked import KinkedQuadratic, KinkedSolution
from skfairloss._solvers.tolerances import FLAT, FLOOR, INSIDE, RANK, REGULAR, TINY
from skfairloss._typing import Array, Index, Mask

NEWTON_STEPS = 20  # at most; two or three are usual, and all where bounds can hardly be met

Active = tuple[Array, Array, Array]  # δ, the duals a of all rows, and multipliers (J,)


class KKT(ABC):
    """The equations (1) of one output, factored."""

    free: Array  # directions (d, f) in which they determine nothing

    @abstractmethod
    def solve(self, push: Array, residual: Array) -> tuple[Array, Array]:
        """Return s (d, k) and e (r, k) for right-hand sides (d, k) and (r, k)."""


def factor_kkt(hessian: Array, rows: Array, room: Callable[[], Array]) -> KKT:
    """Factor (1) for H (d, d) and A_Z (r, d).

    ``room()`` (r,) is how far each dual may move: where they are not unique, changes are as small
    as possible relative to it.
    """
    square = lu_if_regular(rows)
    if square is not None:
        return _Vertex(hessian, square)
    if 0 < len(rows) < rows.shape[1] and hessian.any():
        found = _RangeSpace.of(hessian, rows)
        if found is not None:
            return found
    return _NullSpace(hessian, rows, room())


class _Vertex(KKT):
    """The equations of a vertex: d independent active rows determine δ."""

    def __init__(self, hessian: Array, factors: tuple[Array, Array]) -> None:
        self._hessian, self._factors = hessian, factors
        self.free = np.empty((len(hessian), 0))

    def solve(self, push: Array, residual: Array) -> tuple[Array, Array]:
        step = lapack.dgetrs(*self._factors, residual)[0]
        return step, lapack.dgetrs(*self._factors, self._hessian @ step - push, trans=1)[0]


@dataclass(frozen=True)
class _RangeSpace(KKT):
    """The factors of H, or of H + ρRᵀR, and of R H⁻¹ Rᵀ: singular values would be slow.

    Where H has no Cholesky factor, H + ρRᵀR, which gives the same s and e, has one if the solution
    is unique (Golub & Greif 2003).
    """

    hessian: Array
    rows: Array
    whole: Array
    across: Array
    size: float  # ρ

    @classmethod
    def of(cls, hessian: Array, rows: Array) -> _RangeSpace | None:
        """Factor the equations. None where that is delicate."""
        whole, size = factor_if_regular(hessian), 0.0
        if whole is None:
            square = rows.T @ rows
            size = float(np.trace(hessian) / max(np.trace(square), TINY))
            whole = factor_if_regular(hessian + size * square)
        if whole is None:
            return None
        half = solve_triangular(whole, rows.T, lower=True, check_finite=False)
        across = factor_if_regular(half.T @ half)
        return None if across is None else cls(hessian, rows, whole, across, size)

    @property
    def free(self) -> Array:  # type: ignore[override]
        return np.empty((len(self.hessian), 0))

    def solve(self, push: Array, residual: Array) -> tuple[Array, Array]:
        rows, step, duals = self.rows, np.zeros_like(push), np.zeros_like(residual)
        for _ in range(2):  # the second time to give back what rounding took
            rest = push + rows.T @ duals - self.hessian @ step
            left = residual - rows @ step
            rest += self.size * (rows.T @ left)
            first = lapack.dpotrs(self.whole, rest, lower=True)[0]
            change = lapack.dpotrs(self.across, left - rows @ first, lower=True)[0]
            duals += change
            step += first + lapack.dpotrs(self.whole, rows.T @ change, lower=True)[0]
        return step, duals


class _NullSpace(KKT):
    """The null space of the rows, and what H sees of it."""

    def __init__(self, hessian: Array, rows: Array, room: Array) -> None:
        self._hessian, self._room, self._rows = hessian, room[:, None], rows
        self._factors = _singular(rows, 0.0)
        null = self._factors.null
        values, vectors = np.linalg.eigh(null.T @ hessian @ null)
        seen = values > FLAT * max(float(values.max(initial=0.0)), TINY)
        self._seen, self._values = null @ vectors[:, seen], values[seen, None]
        self.free = null @ vectors[:, ~seen]

    def solve(self, push: Array, residual: Array) -> tuple[Array, Array]:
        step = self._factors.least_norm(residual)
        along = self._seen.T @ (push - self._hessian @ step)
        step = step + self._seen @ (along / self._values)
        weighted = self._room * self._rows
        defect = self._hessian @ step - push
        return step, self._room * np.linalg.lstsq(weighted.T, defect, rcond=None)[0]


def solve_active_set(
    kq: KinkedQuadratic,
    delta: Array,
    dual: Array,
    active: Mask,
    multipliers: Array | None = None,
    binding: Mask | None = None,
) -> Active | None:
    """Return (δ, a, μ) with rows ``active`` at their kink and constraints ``binding`` (J,).

    None where the equations cannot be solved.
    """
    if kq.coupling is not None and multipliers is not None and binding is not None:
        return _with_constraints(kq, kq.coupling, (delta, dual, multipliers), active, binding)
    index = np.flatnonzero(active)
    dual = np.where(active, dual, kq.ends(dual > 0.5 * (kq.upper + kq.lower)))
    rows = kq.rows.take(index)
    kkt = factor_kkt(kq.hessian, rows, lambda: _room(kq, dual)[index])
    push, residual = -kq.dual_residual(delta, dual), kq.residual[index] - rows @ delta
    step, change = kkt.solve(push[:, None], residual[:, None])
    dual[index] += change[:, 0]
    return delta + step[:, 0], dual, np.zeros(0)


def continued(
    kq: KinkedQuadratic,
    before: KinkedSolution,
    tol: float,
    floor: float,
    on_iteration: Callable[[KinkedSolution], bool] | None,
) -> KinkedSolution | None:
    """Return the optimum, from that of a problem that differs in its bounds. None where it is not.

    Parameters
    ----------
    kq : the problem.
    before : an exact optimum under other bounds on the same groups.
    tol, floor : the gap asked for is ``tol`` · max(objective, ``floor``).
    on_iteration : called with the optimum; True stops. None for nobody.
    """
    coupling, here = kq.coupling, kq.lagrangian(before.multipliers)
    active = _room(here, before.dual) > INSIDE * here.width
    if coupling is None or active.sum() > before.delta.size:  # more rows than unknowns: ties
        return None
    start, binding = before.multipliers, coupling.binding(before.multipliers)
    found = solve_active_set(kq, before.delta, before.dual, active, start, binding)
    if found is None:
        return None
    gap, objective, dual = kq.measured(*found)
    if not gap <= tol * max(abs(objective), floor) or not kq.exact_in_every_group(*found):
        return None
    out = KinkedSolution(found[0], dual, active, gap, 1, True, objective, found[2])
    if on_iteration is None:
        return out
    return replace(out, stopped=on_iteration(out))


def sensitivity(kq: KinkedQuadratic, found: KinkedSolution, rise: Array) -> Array | None:
    """Return the derivatives of the constraints' left sides, (J,), as their bounds ``rise`` (J,).

    None where the equations cannot be solved, or ties leave them open.
    """
    coupling, here = kq.coupling, kq.lagrangian(found.multipliers)
    room = _room(here, found.dual)
    active = room > INSIDE * here.width
    if coupling is None or active.sum() > found.delta.size:
        return None
    binding = coupling.binding(found.multipliers)
    pulls = coupling.pulls(kq.rows, found.delta, _slopes(here, found.dual, active))
    none = np.zeros_like(found.delta), np.zeros_like(kq.residual), room
    outputs = [
        _OutputStep.of(kq, here.hessian[k], k, np.flatnonzero(column), none, pulls[binding])
        for k, column in enumerate(active.T)
    ]
    solved = _schur(outputs, -rise[binding], coupling.slope[binding], 0.0)
    if solved is None:
        return None
    change, free, _ = solved
    steps = [output.step(change, z)[0] for output, z in zip(outputs, free, strict=True)]
    return -np.asarray(np.einsum("jdk,kd->j", pulls, np.array(steps)))


def _slopes(here: KinkedQuadratic, dual: Array, active: Mask) -> tuple[Array, Array]:
    """Return the slopes of r and of |r| in the rows, (N, m); 0 where they are active."""
    above = dual > 0.5 * (here.lower + here.upper)
    return np.where(active, 0.0, 1.0), np.where(active, 0.0, np.where(above, 1.0, -1.0))


def _room(kq: KinkedQuadratic, dual: Array) -> Array:
    """Return how far duals are inside their intervals."""
    return np.minimum(kq.upper - dual, dual - kq.lower).clip(min=0)


def _with_constraints(
    kq: KinkedQuadratic, coupling: Coupling, start: Active, active: Mask, binding: Mask
) -> Active | None:
    """Newton's method on (1) and (2): `solve_active_set` under constraints."""
    delta, dual, multipliers = start
    here = kq.lagrangian(multipliers)
    above, slopes = dual > 0.5 * (here.lower + here.upper), _slopes(here, dual, active)
    multipliers = np.where(binding, multipliers, 0.0)
    t = coupling.level(coupling.losses(delta, kq.residual_at(delta)))
    held, last = [np.flatnonzero(column) for column in active.T], np.inf
    for _ in range(NEWTON_STEPS):
        here = kq.lagrangian(multipliers)
        dual = np.where(active, dual, here.ends(above))
        residual, room = kq.residual_at(delta), _room(here, dual)
        rest = here.dual_residual(delta, dual)
        excess = coupling.losses(delta, residual) - coupling.bound - coupling.slope * t
        excess, missing = (
            excess[binding],
            coupling.worst_weight - float(coupling.slope @ multipliers),
        )
        left = float(np.linalg.norm(rest)) * kq.unit + float(np.abs(excess).sum())
        if left >= 0.5 * last:  # nothing but rounding errors are left
            break
        last = left
        pulls = coupling.pulls(kq.rows, delta, slopes)[binding]
        outputs = [
            _OutputStep.of(kq, here.hessian[k], k, index, (rest, residual, room), pulls)
            for k, index in enumerate(held)
        ]
        found = _schur(outputs, excess, coupling.slope[binding], missing)
        if found is None:
            return None
        change, free, rise = found
        t, multipliers, delta = t + rise, multipliers.copy(), delta.copy()
        multipliers[binding] += change
        for k, (output, along) in enumerate(zip(outputs, free, strict=True)):
            step, duals = output.step(change, along)
            delta[:, k] += step
            dual[held[k], k] += duals
        apart = np.abs(kq.residual_at(delta))[active].max(initial=0.0)
        if not apart <= FLOOR * kq.unit:  # these rows cannot all be at their kink
            return None
    multipliers = np.maximum(multipliers, 0.0)
    return delta, np.where(active, dual, kq.lagrangian(multipliers).ends(above)), multipliers


@dataclass(frozen=True)
class _OutputStep:
    """Solutions of (1) for one output: of its residuals first, then of each column of B."""

    pulls: Array  # B, (d, J)
    rest: Array  # -push, (d,)
    steps: Array  # (d, 1 + J)
    duals: Array  # (r, 1 + J)
    free: Array  # N, (d, f)

    @classmethod
    def of(
        cls,
        kq: KinkedQuadratic,
        hessian: Array,
        k: int,
        index: Index,
        at: tuple[Array, Array, Array],
        pulls: Array,
    ) -> _OutputStep:
        """Solve (1) for output k; ``at`` holds -push (d, m), residuals and room, (N, m)."""
        rest, residual, room = (part[:, k] for part in at)
        own = pulls[:, :, k].T
        kkt = factor_kkt(hessian, kq.rows.take(index), lambda: room[index])
        right = np.zeros((len(index), 1 + own.shape[1]))
        right[:, 0] = residual[index]
        steps, duals = kkt.solve(np.column_stack([-rest, own]), right)
        return cls(own, rest, steps, duals, kkt.free)

    def step(self, multipliers: Array, along: Array) -> tuple[Array, Array]:
        """Return changes of δ (d,) and duals (r,), given those of the multipliers and z (f,)."""
        parts = np.concatenate([[1.0], multipliers])
        return self.steps @ parts + self.free @ along, self.duals @ parts


def _schur(
    outputs: list[_OutputStep], excess: Array, slope: Array, missing: float
) -> tuple[Array, list[Array], float] | None:
    """Solve (2) for the multipliers, along free directions of each output, and for t."""
    n, sizes = len(excess), [output.free.shape[1] for output in outputs]
    sloped = bool(slope.any())
    size = n + sum(sizes) + sloped
    matrix, rhs = np.zeros((size, size)), np.zeros(size)
    rhs[:n] = excess
    ends = n + np.cumsum([0, *sizes])
    for output, first, last in zip(outputs, ends[:-1], ends[1:], strict=True):
        matrix[:n, :n] += output.pulls.T @ output.steps[:, 1:]
        rhs[:n] -= output.pulls.T @ output.steps[:, 0]
        matrix[:n, first:last] = output.pulls.T @ output.free
        matrix[first:last, :n] = matrix[:n, first:last].T
        rhs[first:last] = output.free.T @ output.rest
    if sloped:
        matrix[:n, -1] = matrix[-1, :n] = slope
        rhs[-1] = missing
    unknown = _solve(matrix, rhs)
    if unknown is None:
        return None
    free = np.split(unknown[n : ends[-1]], ends[1:-1] - n)
    return unknown[:n], free, float(unknown[-1]) if sloped else 0.0


def _solve(matrix: Array, rhs: Array) -> Array | None:
    """Solve equations, by least norm where they are dependent. None where it fails."""
    if not len(rhs):
        return rhs
    try:
        return np.linalg.lstsq(matrix, rhs, rcond=FLAT)[0]
    except np.linalg.LinAlgError:
        return None


def factor_if_regular(matrix: Array) -> Array | None:
    """Return the lower Cholesky factor, (d, d). None unless it is certainly positive definite."""
    if not len(matrix):  # LAPACK takes an empty matrix for a wrong argument
        return matrix
    factor, info = lapack.dpotrf(matrix, lower=True)
    if info != 0:
        return None
    size = float(np.abs(matrix).sum(axis=0).max())
    return factor if lapack.dpocon(factor, size, uplo="L")[0] > REGULAR else None


def curved_minimum(curvature: Array, slope: Array) -> Array:
    """Return argmin ½ sᵀCs - slopeᵀs, (d,); no step along directions that C hardly sees."""
    factor = factor_if_regular(curvature)
    if factor is not None:
        return np.asarray(lapack.dpotrs(factor, slope, lower=True)[0])
    return np.asarray(np.linalg.lstsq(curvature, slope, rcond=REGULAR)[0])


def lu_if_regular(rows: Array) -> tuple[Array, Array] | None:
    """LU factors of as many rows as there are columns. None where their rank could be in doubt."""
    if len(rows) != rows.shape[1] or not len(rows):
        return None
    lu, pivots, info = lapack.dgetrf(rows)
    if info != 0 or lapack.dgecon(lu, float(np.abs(rows).sum(axis=0).max()))[0] < REGULAR:
        return None
    return lu, pivots


def particular_and_null(rows: Array, residual: Array, size: float = 0.0) -> tuple[Array, Array]:
    """Least-norm solution of ``rows @ step = residual`` and a basis of the null space of rows.

    ``size`` is what the rows may be as a whole: much smaller ones are rounding errors of 0.
    """
    factors = _singular(rows, size)
    return factors.least_norm(residual), factors.null


@dataclass(frozen=True)
class _Singular:
    """Rows (r, d) of a rank k as U diag(s) Vᵀ: (r, k), (k,) and (d, k); ``null`` is (d, d - k)."""

    u: Array
    s: Array
    v: Array
    null: Array

    def least_norm(self, residual: Array) -> Array:
        """Return the least-norm solution of ``rows @ step = residual``, (r,) or (r, m)."""
        along: Array = self.u.T @ residual
        return np.asarray(self.v @ (along.T / self.s).T)


def _singular(rows: Array, size: float) -> _Singular:
    """Factor rows by singular values; ``size`` as for `particular_and_null`."""
    k = rows.shape[1]
    if not rows.any() or not k:
        return _Singular(np.zeros((len(rows), 0)), np.zeros(0), np.zeros((k, 0)), np.eye(k))
    u, s, vt = np.linalg.svd(rows, full_matrices=len(rows) < k)
    rank = int((s > RANK * max(float(s[0]), size)).sum())
    return _Singular(u[:, :rank], s[:rank], vt[:rank].T, vt[rank:].T)
