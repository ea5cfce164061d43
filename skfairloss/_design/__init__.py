"""Products with X: everything that multiplies by it, and coordinates to do so in."""

from __future__ import annotations

from typing import Any

import scipy.sparse as sp

from skfairloss._design.dense import DenseDesign
from skfairloss._design.design import Design
from skfairloss._design.sparse import SparseDesign


def make_design(x: Any) -> Design:
    """Wrap a validated X, dense or sparse."""
    return SparseDesign(x) if sp.issparse(x) else DenseDesign(x)
