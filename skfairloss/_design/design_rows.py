"""The rows of a design in the coordinates of a basis, none of them kept."""

from __future__ import annotations

import numpy as np

from skfairloss._design.basis import EPS, Basis
from skfairloss._design.design import Design
from skfairloss._design.rows import DenseRows, IdentityRows, Membership, Rows
from skfairloss._typing import Array, Index


def coefficient_rows(basis: Basis, columns: Index) -> Rows:
    """Return the rows s_j w_j of some coefficients, s_j the size of their columns."""
    rows = np.zeros((len(columns), basis.n_coordinates))
    rows[:, : basis.n_directions] = basis.norms[columns, None] * basis.transform[columns]
    fits = len(columns) <= basis.n_coordinates
    if fits and (np.abs(rows - np.eye(*rows.shape)) <= EPS).all():  # s_j (1 / s_j) is rounded
        return IdentityRows(*rows.shape)
    return DenseRows(rows)


class DesignRows(Rows):
    """All rows of a design in the coordinates of a basis, through X itself: nothing is held."""

    def __init__(self, design: Design, basis: Basis) -> None:
        self.design, self.basis = design, basis
        self.n_rows, self.n_columns = design.shape[0], basis.n_coordinates

    def dot(self, theta: Array) -> Array:
        return self.design.predict(*self.basis.to_model(theta))

    def adjoint(self, a: Array) -> Array:
        return self.basis.pull_back(self.design.adjoint(a), a.sum(axis=0))

    def adjoint_by_group(self, a: Array, groups: Membership) -> Array:
        sums = self.design.sums_by_group(a, groups.codes, groups.n_groups)
        return self.basis.pull_back(sums.T, groups.totals(a)).T

    def gram(self, d: Array) -> Array:
        out = np.zeros((self.n_columns, self.n_columns))
        for rows, block in self.design.blocks():
            scaled = self.basis.coordinates(block) * np.sqrt(d[rows])[:, None]
            out += scaled.T @ scaled
        return out

    def take(self, index: Index) -> Array:
        return self.basis.coordinates(self.design.block(index))

    def subset(self, index: Index) -> Rows:
        return self.design.rows(self.basis, index)
