"""The fitted attributes of an estimator, from a problem and its solution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skfairloss._cached import cached_property
from skfairloss._core.problem import Problem
from skfairloss._core.requests import FoundMultipliers
from skfairloss._core.solution import Multipliers, Verdict
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
    shares : (G,), the groups' shares of the weight. None where the rows of the problem tell them.
    """

    def __init__(
        self,
        problem: Problem,
        scale: Array,
        groups: Groups | None,
        single: bool,
        shares: Array | None = None,
    ) -> None:
        self._problem = problem
        self._scale = scale
        self._groups = groups
        self._single = single
        self._means: Array | None = None
        self._known_shares = shares

    def model(
        self,
        coef: Array,
        intercept: Array,
        output: int | None = None,
        residual: Array | None = None,
        means: Array | None = None,
    ) -> dict[str, Any]:
        """Return the attributes of a model, (p, m) and (m,), optimal or not.

        ``output`` is the only output that differs from the last model. If any may differ it is
        None. ``residual`` (n, m) spares a pass over X. If it is not known it is None. So are
        ``means``, each group's means of the mix, |z| and z² by output, (3, n_groups, m).
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
            if means is None:
                means = self._group_means(self._groups, coef, intercept, output, residual)
            with np.errstate(over="ignore"):
                mae, mse = means[1] @ self._scale, means[2] @ np.square(self._scale)
            out["groups_"] = self._groups.names
            out["group_losses_"] = means[0].mean(axis=1)
            out["group_errors_"] = {"mae": mae / len(self._scale), "mse": mse / len(self._scale)}
            out["group_weights_"] = self._shares.copy()
        return out

    @cached_property
    def _shares(self) -> Array:
        """The groups' shares of the weight, (G,)."""
        if self._known_shares is not None:
            return self._known_shares
        if self._problem.criterion is not None:
            return self._problem.criterion.shares
        codes = self._groups.codes if self._groups is not None else np.zeros(0, dtype=np.intp)
        return np.bincount(codes, weights=self._problem.weights)

    def constraints(
        self, problem: Problem, found: Multipliers | None, terms: Sequence[FairnessTerm]
    ) -> dict[str, Any]:
        """Return the group weights of the equivalent plain fit, and the multipliers by term."""
        if not terms:
            return {}
        criterion = problem.criterion
        nothing = np.zeros(self._groups.n_groups if self._groups is not None else 0)
        if found is None:  # terms that ask nothing
            found = Multipliers(nothing, (), ())
        asked, by_loss, level = () if criterion is None else criterion.bounds, {}, nothing
        for bounds, held in zip(asked, found.bounds, strict=True):
            own = held / bounds.loss.unit
            if criterion is not None and criterion.is_levelled(bounds):
                at_level = bounds.values >= criterion.level  # else a bound of its own holds it
                level, own = np.where(at_level, own, 0.0), np.where(at_level, 0.0, own)
            by_loss[bounds.loss.kind] = own
        by_term = FoundMultipliers(
            nothing if criterion is None else found.worst,
            by_loss,
            level,
            iter([rows / self._scale for rows in found.linear]),  # of differences in y
        )
        multipliers: dict[str, Any] = {}
        for term in terms:
            own = term.multipliers(by_term)
            alone = self._single and own.ndim == 2
            multipliers[type(term).__name__] = own[:, 0] if alone else own
        out: dict[str, Any] = {"multipliers_": multipliers}
        if criterion is not None:
            out["group_weights_"] = problem.mix_weights(found)
        return out

    def certificate(self, certificate: Verdict) -> dict[str, Any]:
        """Return objective, duality gap and infeasibility of a certificate."""
        return {
            "objective_": self._per_output(certificate.objective),
            "dual_gap_": self._per_output(certificate.gap),
            "infeasibility_": self._per_output(certificate.infeasibility),
        }

    def _per_output(self, values: Array) -> Any:
        together = len(values) < self._problem.n_outputs
        return float(values[0]) if self._single or together else values.copy()

    def _group_means(
        self,
        groups: Groups,
        coef: Array,
        intercept: Array,
        output: int | None,
        residual: Array | None,
    ) -> Array:
        """Return each group's means of the mix, |z| and z² by output, (3, n_groups, m).

        Only those of the named output are computed anew. All are where ``output`` is None.
        """
        which = slice(None) if output is None or self._means is None else slice(output, output + 1)
        problem = self._problem.outputs(which)
        if residual is None:
            residual = problem.residual(coef[:, which], intercept[which])
        if self._means is None:
            self._means = np.empty((3, groups.n_groups, len(intercept)))
        loss = problem.loss
        with np.errstate(over="ignore"):
            errors = [np.abs(residual), residual * residual]
        means = [_by_group(groups, values, problem.weights) for values in errors]
        if loss.loss_mix == 0.0:  # the mix is one of the two at its ends
            mix = means[1]
        elif loss.loss_mix == 1.0 and loss.quantile == 0.5:
            mix = means[0]
        else:
            mix = _by_group(groups, loss.value(residual), problem.weights)
        self._means[:, :, which] = [mix, *means]
        return self._means


def _by_group(groups: Groups, values: Array, weights: Array) -> Array:
    """Return the weighted means of values (n, m) by group, (n_groups, m)."""
    return np.column_stack([group_means(groups, column, weights) for column in values.T])
