"""Products with X: everything that multiplies by it, and coordinates to do so in."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from skfairloss._design.dense import DenseDesign
from skfairloss._design.design import Design
from skfairloss._design.sparse import SparseDesign
from skfairloss._typing import Mask


def make_design(x: Any, kept: Mask | None = None) -> Design:
    """Wrap a validated X, dense or sparse; with ``kept`` the rows of it where that is True."""
    if kept is None or kept.all():
        return SparseDesign(x) if sp.issparse(x) else DenseDesign(x)
    return SparseDesign(x[kept]) if sp.issparse(x) else DenseDesign(x, kept=np.flatnonzero(kept))
