"""Rows that are not in one array, as sources to fit and predict from.

`PixelLossRegressor.fit` and ``predict`` take the sources made here in the place of X: rows in
blocks, which need not fit into memory together.
"""

from skfairloss.rows._blocks import from_blocks
from skfairloss.rows._parquet import from_parquet

__all__ = ["from_blocks", "from_parquet"]
