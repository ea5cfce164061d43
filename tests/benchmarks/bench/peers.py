"""Other implementations, each with one adapter from a `Case` to what it minimises.

An adapter takes a case and returns a function without arguments that fits and returns a `Model`, so
that bringing the data into a peer's form (a column of ones, a data frame, Fortran order) is neither
timed nor charged as memory. Each says in a comment how the peer's objective is rescaled to ours,
Σ v ℓ(r / c) + alpha/2 |w / c|² with ℓ(z) = loss_mix |z| + (1 - loss_mix) z²; peers see y as it is.
A peer runs at its default tolerance unless its adapter says otherwise: what it reaches then is in
the table. All are imported where they are used: none is needed to run the benchmarks.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import HuberRegressor, QuantileRegressor
from sklearn.multioutput import MultiOutputRegressor
from sklearn.svm import SVR

from bench.cases import Case, Mixture, Model, fit_ours, worst_share
from skfairloss import PixelLossRegressor
from skfairloss.fairness import BoundedGroupLoss, WorstGroupLoss

Fit = Callable[[], Any]
TINY_RIDGE = 1e-4  # for a peer that cannot go without a ridge, where the case has none


def plain_l1(case: Case) -> bool:
    """One output, loss_mix 1, dense, neither penalty nor groups: a linear programme."""
    return (
        case.loss_mix == 1
        and case.alpha == 0
        and case.y.ndim == 1
        and not case.sparse
        and case.fairness is None
    )


def with_ones(case: Case) -> np.ndarray:
    """X with a last column of ones."""
    return np.column_stack([case.X, np.ones(len(case.X))])


def weighted_rows(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Rows of (X, 1) and y times n v: |v r| = v |r|, for a peer without weights."""
    X, y = with_ones(case), case.y
    if case.sample_weight is not None:
        scale = case.weights * len(y)
        X, y = X * scale[:, None], y * scale
    return X, y


def split(solution: np.ndarray) -> Model:
    """Model of a solution whose last entry is the intercept."""
    solution = np.asarray(solution).ravel()
    return Model.of(solution[:-1], solution[-1])


def fitted(estimator: Any, case: Case) -> Fit:
    """Fit an estimator of scikit-learn's kind, with weights where there are any."""
    options = {} if case.sample_weight is None else {"sample_weight": case.sample_weight}

    def fit() -> Model:
        model = estimator.fit(case.X, case.y, **options)
        return Model.of(model.coef_, model.intercept_)

    return fit


def quantile_regressor(solver: str) -> Callable[[Case], Fit]:
    """Linear programme by HiGHS: the simplex ("highs" chooses it) or its interior point."""
    # Minimises Σ v_i |r_i| / 2 + alpha |w|_1 at the median: ours times c / 2, at alpha = 0.
    # (Its alpha would be half of ours under an L1 penalty.)
    return lambda case: fitted(QuantileRegressor(alpha=0.0, solver=solver), case)


def pinball(method: str) -> Callable[[Case], Fit]:
    """pinball-qr: Frisch-Newton "fn", or the same after preprocessing, "pfn"."""

    def adapt(case: Case) -> Fit:
        from pinball import QuantileRegressor as PinballRegressor

        # Minimises Σ s_i |r_i| / 2: ours times c Σ s / 2.
        return fitted(PinballRegressor(tau=0.5, method=method), case)

    return adapt


def pyqreg(preprocessing: bool) -> Callable[[Case], Fit]:
    """pyqreg2: interior point, or the same after preprocessing; its inference is left out."""

    def adapt(case: Case) -> Fit:
        from pyqreg import QuantReg

        # Minimises Σ |r_i| / 2 over rows that carry their weight: ours times c n / 2. Its
        # tolerance, 1e-6, is on that sum.
        X, y = weighted_rows(case)
        model = QuantReg(y, np.asfortranarray(X))
        if preprocessing:
            return lambda: split(model.fit_preproc_ipm(0.5, np.random.default_rng(0)))
        return lambda: split(model.fit_ipm(0.5))

    return adapt


def pyfixest(method: str) -> Callable[[Case], Fit]:
    """pyfixest's quantreg: Frisch-Newton "fn", or after preprocessing, "pfn"."""

    def adapt(case: Case) -> Fit:
        import pandas as pd
        from pyfixest import quantreg

        # Minimises Σ |r_i| / 2 over rows that carry their weight: ours times c n / 2. It always
        # computes standard errors; "iid" are the cheapest.
        X, y = weighted_rows(case)
        names = [f"x{j}" for j in range(X.shape[1])]
        table = pd.DataFrame(X, columns=names).assign(y=y)
        formula = "y ~ -1 + " + " + ".join(names)

        def fit() -> Model:
            model = quantreg(
                formula, table, vcov="iid", method=method, seed=0, copy_data=False, store_data=False
            )
            return split(model.coef().loc[names].to_numpy())

        return fit

    return adapt


def statsmodels_quantreg(case: Case) -> Fit:
    """statsmodels: iteratively re-weighted least squares."""
    from statsmodels.regression.quantile_regression import QuantReg

    # Minimises Σ |r_i| / 2 over rows that carry their weight: ours times c n / 2.
    X, y = weighted_rows(case)
    return lambda: split(QuantReg(y, X).fit(q=0.5).params)


def lad_regression(case: Case) -> Fit:
    """scikit-lego: SLSQP on the objective itself."""
    from sklego.linear_model import LADRegression

    # Minimises Σ v_i |r_i| / 2 + penalty: ours times c / 2, at alpha = 0.
    with warnings.catch_warnings():  # it recommends scikit-learn's
        warnings.simplefilter("ignore")
        return fitted(LADRegression(), case)


def huber(case: Case) -> Fit:
    """Huber's loss, a smooth approximation whose width is fitted along."""
    # Minimises Σ s_i (σ + H(r_i / σ) σ) + alpha |w|² over σ as well, with H(z) = z² for
    # |z| < epsilon, beyond 2 epsilon |z| - epsilon². At epsilon = 1, the least it accepts, a
    # row adds 2 |r_i|, or σ + r_i² / σ where |r_i| < σ, which is no less: in the limit σ → 0 it
    # is ours times 2 c Σ s.
    return fitted(HuberRegressor(epsilon=1.0, alpha=0.0, max_iter=1000, tol=1e-8), case)


def rehline(case: Case) -> Fit:
    """ReHLine: coordinate descent on the dual of piecewise linear-quadratic losses and a ridge."""
    from rehline import ReHLine

    # Minimises Σ_i Σ ReLU(u x_i w + v) + Σ ReHU(s x_i w + t) + |w|² / 2: ours times c² / alpha,
    # so that c |r| stands beside r².
    # |z| = ReLU(z) + ReLU(-z); z² = ReHU(√2 z) + ReHU(-√2 z) with an infinite knee. It needs a
    # ridge: TINY_RIDGE where the case has none; a smaller one converges no better. The ridge is
    # on the intercept as well: y is centred first, and beside a ridge of ours the column of ones
    # is one of 30s, which divides that of the intercept by 900.
    column, centre = 30.0 if case.alpha else 1.0, np.median(case.y)
    X, y = with_ones(case), case.y - centre
    X[:, -1] = column
    weights = case.weights / (case.alpha or TINY_RIDGE)
    linear, root = case.loss_mix * case.scale * weights, np.sqrt(2 * (1 - case.loss_mix) * weights)
    sides = np.array([[-1.0], [1.0]])
    model = ReHLine(C=1.0, U=sides * linear, V=-sides * linear * y, max_iter=10_000, tol=1e-8)
    if case.loss_mix < 1:
        model.set_params(S=sides * root, T=-sides * root * y, Tau=np.full((2, len(X)), np.inf))

    def fit() -> Model:
        solution = np.array(model.fit(X).coef_)
        return Model.of(solution[:-1], solution[-1] * column + centre)

    return fit


def clarabel_primal(case: Case) -> Fit:
    """Clarabel on the problem as it stands, through cvxpy."""
    import cvxpy as cp

    # The same objective, term by term. Under `WorstGroupLoss` the largest group loss is cvxpy's
    # maximum, at the weight that `worst_share` gives.
    def loss(residual: Any, weights: np.ndarray) -> Any:
        terms = []
        if case.loss_mix > 0:
            terms.append(case.loss_mix * cp.norm1(cp.multiply(weights, residual)))
        if case.loss_mix < 1:
            square = cp.sum_squares(cp.multiply(np.sqrt(weights), residual))
            terms.append((1 - case.loss_mix) * square)
        return sum(terms)

    def fit() -> Model:
        w, b = cp.Variable(case.X.shape[1]), cp.Variable()
        residual = (case.y - case.X @ w - b) / case.scale
        objective = loss(residual, case.weights)
        if isinstance(case.fairness, WorstGroupLoss):
            worst = worst_share(case.fairness)
            rows = [np.flatnonzero(case.groups == group) for group in np.unique(case.groups)]
            shares = [case.weights[i] / case.weights[i].sum() for i in rows]
            parts = [loss(residual[i], v) for i, v in zip(rows, shares, strict=True)]
            objective = (1 - worst) * objective + worst * cp.maximum(*parts)
        if case.alpha > 0:
            objective = objective + case.alpha / 2 * cp.sum_squares(w / case.scale)
        problem = cp.Problem(cp.Minimize(objective))
        problem.solve(solver=cp.CLARABEL)
        if problem.status != cp.OPTIMAL:
            raise RuntimeError(f"status {problem.status}")
        return Model.of(w.value, b.value)

    return fit


def clarabel_row_space(case: Case) -> Fit:
    """Clarabel on the dual in the row space: n variables however many columns X has."""
    import clarabel

    # With K = X Xᵀ and z = a + e the dual of the residuals, |a_i| <= c loss_mix, it minimises
    # z'K z / (2 n alpha) - y'z + Σ e_i² / (4 (1 - loss_mix)) over 1'z = 0: minus ours times n c².
    # Then w = X'z / (n alpha), and b is the multiplier of 1'z = 0. K is part of the time.
    n, mix, kept = len(case.y), case.loss_mix, case.loss_mix < 1
    box = case.scale * mix
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    eye, ones = sp.identity(n, format="csc"), sp.csc_matrix(np.ones((1, n)))
    rest = sp.csc_matrix((2 * n, n)) if kept else None
    A = sp.bmat([[ones, ones if kept else None], [sp.vstack([eye, -eye]), rest]], format="csc")
    limits = np.concatenate([[0.0], np.full(2 * n, box)])
    cones = [clarabel.ZeroConeT(1), clarabel.NonnegativeConeT(2 * n)]

    def fit() -> Model:
        K = case.X @ case.X.T / (n * case.alpha)
        P = np.block([[K, K], [K, K + np.eye(n) / (2 * (1 - mix))]]) if kept else K
        q = -np.tile(case.y, 2 if kept else 1)
        quadratic = sp.triu(sp.csc_matrix(P), format="csc")
        found = clarabel.DefaultSolver(quadratic, q, A, limits, cones, settings).solve()
        if str(found.status) != "Solved":
            raise RuntimeError(f"status {found.status}")
        z = np.array(found.x).reshape(-1, n).sum(axis=0)
        return Model.of(case.X.T @ z / (n * case.alpha), found.z[0])

    return fit


def svr(case: Case) -> Fit:
    """libsvm: the dual of L1 and a ridge, by pairs of rows."""
    # Minimises |w|² / 2 + C Σ |r_i| at epsilon = 0: ours times c² / alpha, C = c / (n alpha). Its
    # tolerance is on residuals, which are small where columns outnumber rows: 1e-6, not 1e-3.
    C = case.scale / (len(case.y) * case.alpha)
    return fitted(SVR(kernel="linear", epsilon=0.0, C=C, tol=1e-6), case)


def exponentiated_gradient(case: Case) -> Fit:
    """fairlearn's reduction for a bound on all group losses; a randomised predictor."""
    from fairlearn import reductions

    # Minimises the mean loss under the same bound on each group's, with |r| for our |r / c| and r²
    # for our (r / c)²: its bound is ours times c or c². It takes the pure losses, and clips them to
    # an interval: here one that is wider than the range of y on either side. Its base learner is
    # our plain fit of that loss, which takes the weights it assigns.
    reach = np.ptp(case.y)
    limits = case.y.min() - reach, case.y.max() + reach
    loss = reductions.AbsoluteLoss if case.loss_mix == 1 else reductions.SquareLoss
    asked = case.fairness.upper_bound * case.scale ** (1 if case.loss_mix == 1 else 2)
    bound = reductions.BoundedGroupLoss(loss(*limits), upper_bound=asked)

    def fit() -> Mixture:
        found = reductions.ExponentiatedGradient(PixelLossRegressor(case.loss_mix), bound)
        found.fit(case.X, case.y, sensitive_features=case.groups)
        pairs = zip(found.weights_, found.predictors_, strict=True)
        return [(share, Model.of(m.coef_, m.intercept_)) for share, m in pairs if share > 0]

    return fit


def multiplicative_weights(case: Case, rounds: int = 100) -> Fit:
    """Hedge over the groups against exact fits; the mean of their coefficients."""
    # The same objective at worst-group weight 1: each round minimises Σ_g q_g L̄_g exactly (by our
    # plain fit at the same c, with q_g spread over the rows of group g), then multiplies q_g by
    # exp(η L̄_g / max L̄), η = √(8 log G / rounds).
    codes = np.unique(case.groups, return_inverse=True)[1]
    shares = np.bincount(codes, case.weights)
    rate = np.sqrt(8 * np.log(len(shares)) / rounds)
    plain = replace(case, fairness=None, groups=None)

    def fit() -> Model:
        q, coef, intercept = np.full(len(shares), 1 / len(shares)), 0.0, 0.0
        for _ in range(rounds):
            weights = case.weights * (q / shares)[codes]
            found = fit_ours(replace(plain, sample_weight=weights), scale=case.scale)
            model = Model.of(found.coef_, found.intercept_)
            losses = np.bincount(codes, case.weights * case.row_losses(model)[:, 0]) / shares
            q = q * np.exp(rate * losses / losses.max())
            q /= q.sum()
            coef, intercept = coef + model.coef / rounds, intercept + model.intercept / rounds
        return Model(coef, intercept)

    return fit


def one_plain_output(case: Case) -> bool:
    """One output, dense, no groups: any mix and any ridge."""
    return case.y.ndim == 1 and not case.sparse and case.fairness is None and case.loss_mix > 0


def short_and_wide(case: Case) -> bool:
    """A ridge, unweighted rows, fewer of them than columns."""
    return (
        one_plain_output(case)
        and case.alpha > 0
        and case.sample_weight is None
        and case.X.shape[0] <= case.X.shape[1]
    )


def worst_group(case: Case) -> bool:
    """`WorstGroupLoss` on one dense output without a ridge."""
    return (
        isinstance(case.fairness, WorstGroupLoss)
        and case.y.ndim == 1
        and not case.sparse
        and case.alpha == 0
    )


@dataclass(frozen=True)
class Peer:
    """A peer: its adapter, the module it imports, what pip calls it, and what it can solve."""

    name: str
    module: str
    distribution: str
    adapt: Callable[[Case], Fit]
    solves: Callable[[Case], bool] = plain_l1

    @property
    def installed(self) -> bool:
        """Whether its package is there."""
        return find_spec(self.module) is not None


PEERS = {
    peer.name: peer
    for peer in (
        Peer("pyqreg2 ipm", "pyqreg", "pyqreg2", pyqreg(preprocessing=False)),
        Peer("pyqreg2 preprocessing", "pyqreg", "pyqreg2", pyqreg(preprocessing=True)),
        Peer("pinball-qr fn", "pinball", "pinball-qr", pinball("fn")),
        Peer("pinball-qr pfn", "pinball", "pinball-qr", pinball("pfn")),
        Peer("pyfixest fn", "pyfixest", "pyfixest", pyfixest("fn")),
        Peer("pyfixest pfn", "pyfixest", "pyfixest", pyfixest("pfn")),
        Peer("statsmodels QuantReg", "statsmodels", "statsmodels", statsmodels_quantreg),
        Peer("scikit-lego LADRegression", "sklego", "scikit-lego", lad_regression),
        Peer("QuantileRegressor highs", "sklearn", "scikit-learn", quantile_regressor("highs")),
        Peer(
            "QuantileRegressor highs-ipm",
            "sklearn",
            "scikit-learn",
            quantile_regressor("highs-ipm"),
        ),
        Peer("HuberRegressor epsilon=1", "sklearn", "scikit-learn", huber),
        Peer("rehline", "rehline", "rehline", rehline, one_plain_output),
        Peer(
            "cvxpy + Clarabel",
            "cvxpy",
            "cvxpy",
            clarabel_primal,
            lambda case: one_plain_output(case) or worst_group(case),
        ),
        Peer("Clarabel, dual", "clarabel", "clarabel", clarabel_row_space, short_and_wide),
        Peer(
            "SVR epsilon=0",
            "sklearn",
            "scikit-learn",
            svr,
            lambda case: short_and_wide(case) and case.loss_mix == 1,
        ),
        Peer(
            "fairlearn ExponentiatedGradient",
            "fairlearn",
            "fairlearn",
            exponentiated_gradient,
            lambda case: isinstance(case.fairness, BoundedGroupLoss) and case.loss_mix in {0, 1},
        ),
        Peer(
            "multiplicative weights",
            "skfairloss",
            "skfairloss",
            multiplicative_weights,
            lambda case: worst_group(case) and case.fairness.weight == 1,
        ),
    )
}


class OneOutput(RegressorMixin, BaseEstimator):
    """A peer as an estimator of one output, for `MultiOutputRegressor`."""

    def __init__(
        self, name: str = "", loss_mix: float = 1.0, alpha: float = 0.0, scale: float = 1.0
    ) -> None:
        self.name = name
        self.loss_mix = loss_mix
        self.alpha = alpha
        self.scale = scale

    def fit(self, X: np.ndarray, y: np.ndarray) -> OneOutput:
        """Fit the peer's adapter."""
        case = Case("", X, y, self.loss_mix, self.alpha, given=self.scale)
        self.model_ = PEERS[self.name].adapt(case)()
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Predict the one output."""
        return X @ self.model_.coef[0] + self.model_.intercept[0]


def output_by_output(name: str, case: Case, n_jobs: int) -> Fit:
    """Fit a peer to each output of a case by `MultiOutputRegressor`."""
    one = OneOutput(name, case.loss_mix, case.alpha, case.scale)  # the c of all outputs
    estimator = MultiOutputRegressor(one, n_jobs=n_jobs)

    def fit() -> Model:
        models = [found.model_ for found in estimator.fit(case.X, case.y).estimators_]
        return Model(
            np.vstack([model.coef for model in models]),
            np.concatenate([model.intercept for model in models]),
        )

    return fit
