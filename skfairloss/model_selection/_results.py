"""Scores of candidates in the form of scikit-learn's ``cv_results_``, and rules that read it."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import rankdata

from skfairloss._typing import Array


def collect_results(
    candidates: list[tuple[float, float]], names: list[str], scores: Array, seconds: list[Array]
) -> dict[str, Any]:
    """Return ``cv_results_`` of candidates (alpha, loss_mix).

    ``scores`` is (splits, candidates, scorers); ``seconds`` holds (candidates, 2), for fitting and
    scoring, for each split.
    """
    out: dict[str, Any] = {}
    times = np.array(seconds)
    for k, what in enumerate(("fit", "score")):
        out[f"mean_{what}_time"] = times[:, :, k].mean(axis=0)
        out[f"std_{what}_time"] = times[:, :, k].std(axis=0)
    for k, parameter in enumerate(("alpha", "loss_mix")):
        out[f"param_{parameter}"] = np.ma.MaskedArray([c[k] for c in candidates], mask=False)
    out["params"] = [{"alpha": float(a), "loss_mix": float(m)} for a, m in candidates]
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
