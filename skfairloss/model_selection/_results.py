"""Scores of candidates in the form of scikit-learn's ``cv_results_``."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import rankdata

from skfairloss._inputs.parameters import is_real
from skfairloss._typing import Array


def collect_results(
    params: list[dict[str, Any]], names: list[str], scores: Array, times: Array
) -> dict[str, Any]:
    """Return ``cv_results_`` of candidates with the same parameters each.

    ``scores`` is (splits, candidates, scorers); ``times`` is (splits, candidates, 2), the seconds
    for fitting and for scoring.
    """
    out: dict[str, Any] = {}
    for k, what in enumerate(("fit", "score")):
        out[f"mean_{what}_time"] = times[:, :, k].mean(axis=0)
        out[f"std_{what}_time"] = times[:, :, k].std(axis=0)
    for name in params[0]:
        values = [own[name] for own in params]
        numbers = all(is_real(value) for value in values)
        dtype = np.float64 if numbers else object
        out[f"param_{name}"] = np.ma.MaskedArray(values, mask=False, dtype=dtype)
    out["params"] = params
    for k, name in enumerate(names):
        for split, values in enumerate(scores):
            out[f"split{split}_test_{name}"] = values[:, k].copy()
        mean = scores[:, :, k].mean(axis=0)
        out[f"mean_test_{name}"] = mean
        out[f"std_test_{name}"] = scores[:, :, k].std(axis=0)
        out[f"rank_test_{name}"] = _ranks(mean)
    return out


def _ranks(mean: Array) -> Array:
    """Rank means, 1 for the largest; NaN come last, as in scikit-learn."""
    if np.isnan(mean).all():
        return np.ones(len(mean), dtype=np.int32)
    lowest = np.nanmin(mean) - 1
    return rankdata(-np.nan_to_num(mean, nan=lowest), method="min").astype(np.int32)
