"""The one kinked form: constraints about the mix, |r| or r², against an independent solver."""

from __future__ import annotations

from dataclasses import dataclass

import cvxpy as cp
import numpy as np
import pytest

from skfairloss._design.rows import DenseRows
from skfairloss._solvers.coupling import ABSOLUTE, SIGNED, SQUARED, Coupling
from skfairloss._solvers.crossover import factor_kkt
from skfairloss._solvers.dual_newton import dual_newton
from skfairloss._solvers.interior_point import interior_point
from skfairloss._solvers.kinked import KinkedQuadratic, KinkedSolution

N, D, G = 60, 4, 3


def mix_weights(loss_mix, quantile, m):
    """Weights of Σ r, Σ |r| and ½ Σ r² in λ (|r| + (2τ - 1) r) + (1 - λ) r², (3, m)."""
    tilt = loss_mix * (2 * quantile - 1)
    return np.repeat([[tilt], [loss_mix], [2 * (1 - loss_mix)]], m, axis=1)


@dataclass(frozen=True)
class Constraint:
    """A constraint: weights (3, m) of the sums of a group, <= bound + slope t."""

    group: int
    weights: np.ndarray
    bound: float = 0.0
    slope: float = 0.0


class Data:
    """Rows in three groups with outputs of unequal units."""

    def __init__(self, seed, loss_mix, m=2, quantile=0.5, worst=0.0):
        rng = np.random.default_rng(seed)
        self.rows = np.column_stack([rng.normal(size=(N, D - 1)), np.ones(N)])
        self.codes = np.arange(N) % G
        weight = rng.uniform(0.2, 2.0, N)
        shares = np.bincount(self.codes, weight / weight.sum())
        self.share = weight / weight.sum() / shares[self.codes]
        slopes = rng.normal(size=(G, D, m))
        noise = np.array([0.5, 1.0, 2.0])[self.codes, None] * rng.standard_t(3, (N, m))
        self.residual = np.einsum("id,idk->ik", self.rows, slopes[self.codes]) + noise
        self.unit = rng.uniform(0.5, 2.0, m)
        self.mix = mix_weights(loss_mix, quantile, m)
        self.base = (1 - worst) * self.mix[:, None] * shares[:, None]
        self.worst = worst

    def own(self, kind):
        """Weights of a loss in a constraint, (3, m)."""
        out = np.zeros_like(self.mix)
        if kind == "mix":
            return self.mix
        if kind == "absolute":
            out[ABSOLUTE] = self.unit
        else:
            out[SQUARED] = 2 * self.unit**2
        return out

    def form(self, constraints):
        """The problem for our solvers: a row is there if its group's |r| counts anywhere."""
        kinked = self.base[ABSOLUTE].any(axis=1)
        for one in constraints:
            kinked[one.group] |= one.weights[ABSOLUTE].any()
        index = np.flatnonzero(kinked[self.codes])
        m = self.residual.shape[1]
        grams, gradients = np.zeros((G, D, D)), np.zeros((3, G, D, m))
        constants = np.zeros((3, G, m))
        for g in range(G):
            own = self.codes == g
            rows, r, share = self.rows[own], self.residual[own], self.share[own, None]
            grams[g] = rows.T @ (share * rows)
            gradients[SQUARED, g] = rows.T @ (share * r)
            constants[SQUARED, g] = 0.5 * (share * r * r).sum(axis=0)
        weights = np.array([one.weights for one in constraints]).reshape(-1, 3, m)
        weights = weights.transpose(1, 0, 2)
        squares = self.base[SQUARED].any() or weights[SQUARED].any()
        zero = np.zeros((len(index), m))
        return KinkedQuadratic(
            rows=DenseRows(self.rows[index]),
            residual=self.residual[index],
            lower=zero,
            upper=zero,
            hessian=np.zeros((m, D, D)),
            linear=np.zeros((D, m)),
            unit=float(np.abs(self.residual).mean()),
            coupling=Coupling(
                share=self.share[index],
                codes=self.codes[index],
                base=self.base,
                grams=grams if squares else None,
                near=None,
                gradients=gradients,
                constants=constants,
                groups=np.array([one.group for one in constraints], dtype=np.intp),
                weights=weights,
                lines=np.zeros((len(constraints), D, m)),
                bound=np.array([one.bound for one in constraints]),
                slope=np.array([one.slope for one in constraints]),
                worst_weight=self.worst,
            ),
        )

    def loss(self, delta, group, weights):
        """The loss of a group as an expression, from its definition."""
        own = self.codes == group
        r = self.residual[own] - self.rows[own] @ delta
        parts = r, cp.abs(r), 0.5 * cp.square(r)
        return sum(
            weight[k] * (self.share[own] @ part[:, k])
            for weight, part in zip(weights, parts, strict=True)
            for k in np.flatnonzero(weight)
        )

    def optimum(self, constraints, goal=None):
        """The minimum, δ and the multipliers, by Clarabel; of one constraint's loss if asked."""
        delta, t = cp.Variable((D, self.residual.shape[1])), cp.Variable()
        objective = sum(self.loss(delta, g, self.base[:, g]) for g in range(G)) + self.worst * t
        if goal is not None:
            objective = self.loss(delta, goal.group, goal.weights)
        kept = [
            self.loss(delta, one.group, one.weights) <= one.bound + one.slope * t
            for one in constraints
        ]
        problem = cp.Problem(cp.Minimize(objective), [*kept, t >= 0])
        options = {"tol_gap_abs": 1e-8, "tol_gap_rel": 1e-8, "tol_feas": 1e-8}
        problem.solve(solver=cp.CLARABEL, **options)
        return problem.value, delta.value, np.array([float(one.dual_value) for one in kept])

    def bounded(self, kinds):
        """Constraints on the groups that hold there: between the free loss and the lowest."""
        delta = self.optimum([])[1]
        out: list[Constraint] = []
        for group, kind in enumerate(kinds):
            free = Constraint(group, self.own(kind))
            now = float(self.loss(delta, group, free.weights).value)
            least = self.optimum(out, free)[0]
            out.append(Constraint(group, free.weights, least + 0.7 * (now - least)))
            delta = self.optimum(out)[1]
        return out


def solved(form: KinkedQuadratic) -> KinkedSolution:
    return interior_point(form, tol=1e-11, floor=0.0, max_iter=100)


KINDS = [
    ("absolute",),
    ("squared",),
    ("absolute", "squared"),
    ("mix", "absolute", "squared"),
    ("squared", "mix"),
    ("absolute", "absolute", "absolute"),
]


def check(data: Data, constraints, found: KinkedSolution):
    form = data.form(constraints)
    value, delta, multipliers = data.optimum(constraints)
    assert found.gap <= 1e-9 * value
    assert found.objective == pytest.approx(value, rel=1e-6)
    losses = [data.loss(found.delta, one.group, one.weights).value for one in constraints]
    np.testing.assert_allclose(
        form.coupling.losses(found.delta, form.residual_at(found.delta)), losses, rtol=1e-10
    )
    if data.base[SQUARED].any():  # else neither need be unique
        np.testing.assert_allclose(found.delta, delta, atol=1e-3)
        np.testing.assert_allclose(found.multipliers, multipliers, atol=3e-3 * multipliers.max())


@pytest.mark.parametrize("loss_mix", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("kinds", KINDS, ids=" ".join)
@pytest.mark.parametrize(("m", "quantile"), [(1, 0.5), (2, 0.5), (2, 0.8)])
def test_bounds_about_any_loss_give_the_optimum(loss_mix, kinds, m, quantile):
    data = Data(7 * len(kinds) + m, loss_mix, m, quantile)
    constraints = data.bounded(kinds)
    found = solved(data.form(constraints))
    assert (found.multipliers > 0).any()  # a bound that holds nothing would test nothing
    check(data, constraints, found)


@pytest.mark.parametrize("loss_mix", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("kind", ["mix", "absolute", "squared"])
@pytest.mark.parametrize("worst", [0.5, 1 - 1e-6])
def test_a_worst_group_in_any_loss_gives_the_optimum(loss_mix, kind, worst):
    data = Data(3, loss_mix, worst=worst)
    constraints = [Constraint(g, data.own(kind), slope=1.0) for g in range(G)]
    found = solved(data.form(constraints))
    assert found.multipliers.sum() == pytest.approx(worst)
    assert found.objective == pytest.approx(data.optimum(constraints)[0], rel=1e-6)


@pytest.mark.parametrize("loss_mix", [0.2, 0.5])
@pytest.mark.parametrize("seed", [0, 1, 4])
def test_bounds_that_can_hardly_be_met_are_met_with_a_closed_gap(seed, loss_mix):
    """As close to the smallest level as the path of an equalised loss goes: multipliers of 100s."""
    data = Data(seed, loss_mix, worst=1 - 1e-9)
    level = [Constraint(g, data.mix, slope=1.0) for g in range(G)]
    lowest = solved(data.form(level))
    losses = data.form(level).coupling.losses(
        lowest.delta, data.form(level).residual_at(lowest.delta)
    )
    near = Data(seed, loss_mix)
    bounds = [Constraint(g, near.mix, losses.max() * (1 + 1e-7)) for g in range(G)]
    found = interior_point(near.form(bounds), tol=1e-10, floor=0.0, max_iter=200)
    assert found.multipliers.max() > 50
    assert found.gap <= 1e-10 * found.objective


def test_many_outputs_under_constraints_end_at_an_exact_optimum():
    data = Data(6, 0.4, m=160)  # 640 unknowns beside the rows at their kink
    constraints = [Constraint(g, data.mix, slope=1.0) for g in range(G)]
    data.worst, data.base = 0.5, 0.5 * data.base
    found = solved(data.form(constraints))
    assert found.polished
    assert found.gap <= 1e-13 * found.objective


@pytest.mark.parametrize("loss_mix", [0.4, 1.0])
def test_groups_without_constraints_are_a_plain_fit_of_all_outputs(loss_mix):
    data = Data(8, loss_mix, quantile=0.3)
    form = data.form([])
    found, plain = solved(form), form.lagrangian(np.zeros(0))
    assert found.objective == pytest.approx(data.optimum([])[0], rel=1e-6)
    assert plain.gap(found.delta, found.dual) <= 1e-9 * found.objective


def test_a_bound_on_squares_needs_no_rows_in_a_fit_of_squares():
    data = Data(5, 0.0)
    constraints = data.bounded(["squared", "squared"])
    form = data.form(constraints)
    assert form.rows.n_rows == 0
    found = dual_newton(form, tol=1e-11, floor=0.0, max_iter=50)
    assert found is not None
    check(data, constraints, found)


def test_intervals_are_affine_in_the_multipliers():
    """Row i: share_i [tilt_g - a_g, tilt_g + a_g], a = W λ + A c_k, tilt = W λ (2τ - 1)."""
    data = Data(1, 0.4, quantile=0.7)
    constraints = [Constraint(0, data.own("mix")), Constraint(0, data.own("absolute"))]
    form = data.form([*constraints, Constraint(1, data.own("squared"))])
    multipliers = np.array([0.3, 0.7, 5.0])
    here = form.lagrangian(multipliers)
    weight = data.base[ABSOLUTE, :, 0] / 0.4 + [0.3, 0.0, 0.0]
    own = np.array([0.7, 0.0, 0.0])
    a = weight[data.codes, None] * 0.4 + own[data.codes, None] * data.unit
    tilt = weight[data.codes, None] * 0.4 * (2 * 0.7 - 1)
    np.testing.assert_allclose(here.lower, data.share[:, None] * (tilt - a), rtol=1e-12)
    np.testing.assert_allclose(here.upper, data.share[:, None] * (tilt + a), rtol=1e-12)
    assert form.coupling.base[SIGNED].any()


def test_gradients_of_the_constraints_are_those_of_their_values():
    data = Data(2, 0.4, quantile=0.7)
    kinds = ("mix", "absolute", "squared")
    form = data.form([Constraint(g, data.own(kind)) for g, kind in enumerate(kinds)])
    rng = np.random.default_rng(0)
    at, step = rng.normal(size=(D, 2)), rng.normal(size=(D, 2))
    residual = form.residual_at(at)
    pulls = form.coupling.pulls(form.rows, at, (np.ones_like(residual), np.sign(residual)))
    h = 1e-6
    up, down = (
        form.coupling.losses(at + s * h * step, form.residual_at(at + s * h * step))
        for s in (1, -1)
    )
    np.testing.assert_allclose(-(pulls * step).sum(axis=(1, 2)), (up - down) / (2 * h), rtol=1e-6)


def test_a_shifted_problem_has_the_same_values_at_the_same_points():
    data = Data(4, 0.4, quantile=0.3)
    kinds = ("mix", "absolute", "squared")
    form = data.form([Constraint(g, data.own(kind), 1.0) for g, kind in enumerate(kinds)])
    rng = np.random.default_rng(0)
    start, delta = rng.normal(size=(2, D, 2))
    moved, multipliers = form.shifted(start), np.array([0.5, 0.1, 0.2])
    assert moved.objective(delta) == pytest.approx(form.objective(start + delta), rel=1e-12)
    dual = form.lagrangian(multipliers).ends(form.residual_at(start + delta) > 0)
    gaps = [
        moved.gap(delta, dual, multipliers),
        form.gap(start + delta, dual, multipliers),
    ]
    assert gaps[0] == pytest.approx(gaps[1], rel=1e-9)


@pytest.mark.parametrize("rank", [0, 2, 5])
@pytest.mark.parametrize("n_rows", [0, 3, 6, 8])
def test_equations_are_solved_for_any_number_of_right_hand_sides(rank, n_rows):
    """Whatever method they are factored by: a vertex, the range space or the null space."""
    rng = np.random.default_rng([rank, n_rows])
    half, rows = rng.normal(size=(rank, 6)), rng.normal(size=(min(n_rows, 6), 6))
    rows = np.vstack([rows, rows[: n_rows - len(rows)]])  # more than 6 are dependent
    hessian = half.T @ half
    kkt = factor_kkt(hessian, rows, lambda: np.full(len(rows), 0.5))
    residual = rows @ rng.normal(size=(6, 3))
    push = hessian @ rng.normal(size=(6, 3)) + rows.T @ rng.normal(size=(len(rows), 3))
    step, duals = kkt.solve(push, residual)
    np.testing.assert_allclose(rows @ step, residual, atol=1e-9)
    np.testing.assert_allclose(hessian @ step - rows.T @ duals, push, atol=1e-9)
    assert kkt.free.shape[1] == 6 - np.linalg.matrix_rank(np.vstack([hessian, rows]), tol=1e-8)
    np.testing.assert_allclose(rows @ kkt.free, 0.0, atol=1e-9)
    np.testing.assert_allclose(hessian @ kkt.free, 0.0, atol=1e-9)
    for k in range(3):
        one, its_duals = kkt.solve(push[:, [k]], residual[:, [k]])
        np.testing.assert_allclose(one[:, 0], step[:, k], atol=1e-9)
        np.testing.assert_allclose(its_duals[:, 0], duals[:, k], atol=1e-9)
