"""Mixes that are one of their ends at the scale used: found in fitted estimators, put in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

_NEARLY = 0.01  # share of one part in the attained loss, below which the other part is the loss


def squared_share(estimator: Any) -> float:
    """Return the mean share of the squared part in the losses of the regressors in an estimator.

    NaN where it holds no fitted `PixelLossRegressor`.
    """
    found = list(_shares(estimator))
    return float(np.mean(found)) if found else np.nan


def _shares(estimator: Any) -> Iterator[float]:
    """Yield ``squared_share_`` of an estimator, or of what it holds fitted."""
    if hasattr(estimator, "squared_share_"):
        yield float(estimator.squared_share_)
        return
    for name, value in vars(estimator).items():
        if name == "steps":  # of a pipeline, fitted in place
            yield from _shares(value[-1][1])
        elif name.endswith("_") and not name.startswith("_"):
            parts = value if isinstance(value, list) else [value]
            for part in parts:
                if hasattr(part, "predict"):
                    yield from _shares(part)


def nearly_ends(mixes: Iterable[float], shares: Iterable[float]) -> str:
    """Return a sentence on the mixes inside (0, 1) that are nearly L2 or L1; empty for none."""
    inside = [(mix, share) for mix, share in zip(mixes, shares, strict=True) if 0 < mix < 1]
    ends = {
        "L2": [f"{mix:g}" for mix, share in inside if share > 1 - _NEARLY],
        "L1": [f"{mix:g}" for mix, share in inside if share < _NEARLY],
    }
    said = [
        f"loss_mix {', '.join(names)} {'is' if len(names) == 1 else 'are'} nearly {end}"
        for end, names in ends.items()
        if names
    ]
    return f"At this scale {' and '.join(said)}." if said else ""
