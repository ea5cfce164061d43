"""The candidates of a search: mixes, weights of the penalty and strengths of fairness terms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from sklearn.base import clone

from skfairloss._estimator.terms import read_terms
from skfairloss._inputs.parameters import is_real
from skfairloss._typing import Array
from skfairloss.fairness import FairnessTerm
from skfairloss.model_selection._path import check_loss_mixes, walking_order


@dataclass(frozen=True)
class Strength:
    """Fairness terms with some of their parameters set.

    Parameters
    ----------
    fairness : a term or a list of them, as a regressor takes it; None without terms.
    params : the parameters set, by their names in ``cv_results_``.
    """

    fairness: Any
    params: dict[str, Any]


@dataclass(frozen=True)
class Candidate:
    """One combination of a grid."""

    alpha: float
    strength: Strength
    loss_mix: float

    @property
    def params(self) -> dict[str, Any]:
        """Its parameters, by their names in ``cv_results_``."""
        return {"alpha": self.alpha, **self.strength.params, "loss_mix": self.loss_mix}

    @property
    def parameters(self) -> dict[str, Any]:
        """Those of the `PixelLossRegressor` to be fitted."""
        fairness = self.strength.fairness
        return {"loss_mix": self.loss_mix, "alpha": self.alpha, "fairness": fairness}

    @property
    def place(self) -> str:
        """Its name in errors and warnings."""
        strength = "".join(f", {name}={value}" for name, value in self.strength.params.items())
        return f"loss_mix={self.loss_mix:g}, alpha={self.alpha:g}{strength}"


@dataclass(frozen=True)
class Grid:
    """All combinations of weights of the penalty, strengths of the terms and mixes, checked."""

    alphas: tuple[float, ...]
    strengths: tuple[Strength, ...]
    mixes: Array

    @classmethod
    def read(cls, loss_mixes: Any, alphas: Any, fairness: Any, fairness_grid: Any) -> Grid:
        """Check the parameters of a search and read them."""
        mixes = check_loss_mixes(loss_mixes)
        return cls(_read_alphas(alphas), _read_strengths(fairness, fairness_grid), mixes)

    @property
    def candidates(self) -> list[Candidate]:
        """The combinations: the mix changes first, then the strengths."""
        found = product(self.alphas, self.strengths, self.mixes.tolist())
        return [Candidate(*parts) for parts in found]

    @property
    def paths(self) -> Iterator[list[int]]:
        """Positions of the candidates of each alpha, in an order in which neighbours are alike.

        The mixes go up at one strength and down at the next: one of the two changes at a time.
        """
        up = np.array(walking_order(self.mixes))
        for i in range(len(self.alphas)):
            first = i * len(self.strengths)
            turns = [up if k % 2 == 0 else up[::-1] for k in range(len(self.strengths))]
            yield [(first + k) * len(up) + int(j) for k, turn in enumerate(turns) for j in turn]


def _read_alphas(given: Any) -> tuple[float, ...]:
    """Return the weights of the penalty, in the order given."""
    alphas = list(np.atleast_1d(np.asarray(given, dtype=object)))
    if not alphas or not all(is_real(alpha) and alpha >= 0 for alpha in alphas):
        raise ValueError(f"alphas must be numbers >= 0, at least one, got {given!r}")
    if len(set(alphas)) < len(alphas):
        raise ValueError(f"alphas must not repeat a number, got {given!r}")
    return tuple(float(alpha) for alpha in alphas)


def _read_strengths(fairness: Any, grid: Any) -> tuple[Strength, ...]:
    """Return the terms under every combination of the values in a ``fairness_grid``."""
    if grid is None:
        return (Strength(fairness, {}),)
    if fairness is None:
        raise ValueError(f"fairness_grid needs a term, fairness is None, got {grid!r}")
    several = isinstance(fairness, list | tuple)
    terms = list(fairness) if several else [fairness]
    if not terms or not all(isinstance(term, FairnessTerm) for term in terms):
        read_terms(fairness)  # says what is wrong
    axes: dict[str, list[tuple[int, str, Any]]] = {}
    for j, (term, asked) in enumerate(zip(terms, _by_term(grid, len(terms)), strict=True)):
        prefix = f"fairness__{type(term).__name__}__" if several else "fairness__"
        for name, values in asked.items():
            axes[f"{prefix}{name}"] = [(j, name, value) for value in _values(term, name, values)]
    if not axes:
        raise ValueError(f"fairness_grid must name a parameter of a term, got {grid!r}")
    found = []
    for combination in product(*(axes[name] for name in sorted(axes))):
        own = _with_values(terms, combination)
        fairness = own if several else own[0]
        read_terms(fairness)
        values = [value for *_, value in combination]
        found.append(Strength(fairness, dict(zip(sorted(axes), values, strict=True))))
    return tuple(found)


def _with_values(
    terms: list[FairnessTerm], combination: tuple[tuple[int, str, Any], ...]
) -> list[FairnessTerm]:
    """Return copies of the terms in which the parameters of some of them are set, checked."""
    own = [clone(term) for term in terms]
    for j, name, value in combination:
        own[j].set_params(**{name: value})
    try:
        for j in {j for j, *_ in combination}:
            own[j].check()
    except ValueError as error:
        raise ValueError(f"fairness_grid has a value that is refused: {error}") from error
    return own


def _by_term(grid: Any, n_terms: int) -> list[Mapping[str, Any]]:
    """Return the values by parameter of each term."""
    dicts = list(grid) if isinstance(grid, list | tuple) else [grid]
    if len(dicts) != n_terms or not all(isinstance(asked, Mapping) for asked in dicts):
        form = "a dict of values by parameter, as fairness is one term"
        if n_terms > 1:
            form = f"a list of {n_terms} dicts of values by parameter, one for each term"
        raise ValueError(f"fairness_grid must be {form}, got {grid!r}")
    return dicts


def _values(term: FairnessTerm, name: Any, values: Any) -> list[Any]:
    """Return the values of a parameter of a term: at least one, none twice."""
    known = sorted(term.get_params(deep=False))
    if name not in known:
        raise ValueError(
            f"fairness_grid names {name!r}, which is no parameter of {type(term).__name__}, "
            f"it has {known}"
        )
    if not isinstance(values, list | tuple | np.ndarray) or np.ndim(values) == 0 or not len(values):
        raise ValueError(
            f"fairness_grid must have a list of values of {name!r}, at least one, got {values!r}"
        )
    found = values.tolist() if isinstance(values, np.ndarray) else list(values)
    if any(value in found[:k] for k, value in enumerate(found)):
        raise ValueError(f"fairness_grid must not repeat a value of {name!r}, got {values!r}")
    return found
