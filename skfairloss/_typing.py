"""Names for the arrays that pass between the layers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
"""Floating-point numbers, float64 wherever the package makes them."""

Index = NDArray[np.intp]
"""Positions of rows or columns."""

Mask = NDArray[np.bool_]
"""A truth value for each row or column."""
