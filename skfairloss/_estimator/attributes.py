"""The fitted attributes of an estimator, from a problem and its solution."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from skfairloss._core.problem import Problem
from skfairloss._core.solution import Certificate, Multipliers, Solution
from skfairloss._inputs.groups import Groups, group_means
from skfairloss._typing import Array
from skfairloss.fairness import FairnessTerm


class Attributes:
    """The fitted attributes of models of one problem.

    Parameters
    ----------
    problem : the problem.
    scale : (m,), the residual scale c: coefficients are those of the problem times c.
    groups : the groups of its rows. None where they are not known.
    single : whether y is one-dimensional, so that attributes of an output are scalars.
    """

    def __init__(self, problem: Problem, scale: Array, groups: Groups | None, single: bool) -> None:
        self._problem = problem
        self._scale = scale
        self._groups = groups
        self._single = single
        self._losses: Array | None = None

    def model(
        self,
        coef: Array,
        intercept: Array,
        output: int | None = None,
        residual: Array | None = None,
    ) -> dict[str, Any]:
        """Return the attributes of a model, (p, m) and (m,), optimal or not.

        ``output`` is the only output that differs from the last model. If any may differ it is
        None. ``residual`` (n, m) spares a pass over X. If it is not known it is None.
        """
        has_intercept = self._problem.fit_intercept
        out = {
            "coef_": self._scale[0] * coef[:, 0]
            if self._single
            else np.ascontiguousarray((self._scale * coef).T),
            "intercept_": self._per_output(self._scale * intercept) if has_intercept else 0.0,
            "scale_": self._per_output(self._scale),
        }
        if self._groups is not None:
            losses = self._group_losses(self._groups, coef, intercept, output, residual)
            out["groups_"] = self._groups.names
            out["group_losses_"] = losses.mean(axis=1)
            out["group_weights_"] = self._shares.copy()
        return out

    @cached_property
    def _shares(self) -> Array:
        """The groups' shares of the weight, (G,)."""
        if self._problem.criterion is not None:
            return self._problem.criterion.shares
        codes = self._groups.codes if self._groups is not None else np.zeros(0, dtype=np.intp)
        return np.bincount(codes, weights=self._problem.weights)

    def constraints(
        self, problem: Problem, solution: Solution, terms: Sequence[FairnessTerm]
    ) -> dict[str, Any]:
        """Return the group weights of the equivalent plain fit, and the multipliers by term."""
        if not terms:
            return {}
        found = solution.multipliers
        if found is None:  # terms that ask nothing
            nothing = np.zeros(self._groups.n_groups if self._groups is not None else 0)
            found = Multipliers(nothing, nothing, ())
        linear = iter([rows / self._scale for rows in found.linear])  # of differences in y
        multipliers: dict[str, Any] = {}
        for term in terms:
            own = term.multipliers(found, linear)
            alone = self._single and own.ndim == 2
            multipliers[type(term).__name__] = own[:, 0] if alone else own
        out: dict[str, Any] = {"multipliers_": multipliers}
        if problem.criterion is not None:
            out["group_weights_"] = problem.criterion.group_weights(found.worst, found.bound)
        return out

    def certificate(self, certificate: Certificate) -> dict[str, Any]:
        """Return objective, duality gap and infeasibility of a certificate."""
        return {
            "objective_": self._per_output(certificate.objective),
            "dual_gap_": self._per_output(certificate.gap),
            "infeasibility_": self._per_output(certificate.infeasibility),
        }

    def _per_output(self, values: Array) -> Any:
        together = len(values) < self._problem.n_outputs
        return float(values[0]) if self._single or together else values.copy()

    def _group_losses(
        self,
        groups: Groups,
        coef: Array,
        intercept: Array,
        output: int | None,
        residual: Array | None,
    ) -> Array:
        """Return the mean loss of each group and output, (n_groups, m).

        Only that of the named output is computed anew. All are where ``output`` is None.
        """
        which = slice(None) if output is None or self._losses is None else slice(output, output + 1)
        problem = self._problem.outputs(which)
        if residual is None:
            residual = problem.residual(coef[:, which], intercept[which])
        values = problem.loss.value(residual)
        means = [group_means(groups, column, problem.weights) for column in values.T]
        if self._losses is None:
            self._losses = np.empty((groups.n_groups, len(intercept)))
        self._losses[:, which] = np.column_stack(means)
        return self._losses
