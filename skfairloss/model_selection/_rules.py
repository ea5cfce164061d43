"""Rules that read the ``cv_results_`` of a search: a choice under a bound, and the front."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from skfairloss._inputs.parameters import check_parameters, is_real, one_of
from skfairloss._inputs.place import warn_user
from skfairloss._typing import Array, Index
from skfairloss.metrics._pareto import undominated


def best_within_disparity(
    accuracy: str, disparity: str, max_disparity: float, *, if_none: str = "raise"
) -> WithinDisparity:
    """Choose the most accurate candidate whose disparity between groups is within a bound.

    For ``GridSearchCV(refit=...)`` and ``PixelLossRegressorCV(refit=...)`` with several scorers.
    Both numbers are means over the folds; of candidates with equal accuracy the one with the
    smaller disparity is taken, then the first.

    Parameters
    ----------
    accuracy : str
        Name of the scorer that measures accuracy; greater is better.

    disparity : str
        Name of the scorer that measures disparity. It must be a negated loss, as
        ``make_group_scorer(metric, "difference")`` and ``"group_max"`` are.

    max_disparity : float
        Largest disparity allowed, > 0 and without the minus sign of the scorer.

    if_none : {"raise", "closest"}, default="raise"
        If no candidate is within the bound, raise an error that states the smallest disparity, or
        take the candidate that has it, with a warning. It may be far less accurate than one just
        above it.

    Returns
    -------
    rule : callable
        ``rule(cv_results)`` returns the position of the candidate chosen. It can be pickled.

    Raises
    ------
    ValueError
        If an argument is not as described above. A call of the rule raises it if a scorer is
        missing, no candidate has a mean score, or a disparity is positive; and if no candidate is
        within the bound, unless ``if_none="closest"``.

    Warns
    -----
    UserWarning
        If no candidate is within the bound and the closest is taken. If the mean score of a
        candidate is NaN, as where a fit or a scorer failed in some fold: it is never chosen.

    Notes
    -----
    With several scorers and a callable ``refit``, ``GridSearchCV.score`` raises a ``KeyError``.
    Score with one of ``scorer_``, as below.

    Means over folds are estimates. A candidate that is within the bound on the folds can exceed it
    on new rows, above all because it was chosen by these folds.

    Examples
    --------
    >>> from skfairloss.model_selection import best_within_disparity
    >>> rule = best_within_disparity("mae", "gap", max_disparity=0.1)
    >>> rule
    best_within_disparity('mae', 'gap', 0.1)
    >>> scores = {"mean_test_mae": [-0.30, -0.35, -0.40], "mean_test_gap": [-0.20, -0.10, -0.05]}
    >>> rule(scores)
    1

    A search with the rule, and the score of its choice on new rows:

    >>> import pandas as pd
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skfairloss import PixelLossRegressor
    >>> from skfairloss.datasets import make_pixel_groups
    >>> from skfairloss.metrics import make_group_scorer
    >>> X, y, group = make_pixel_groups(300, noise=0.1, random_state=0)
    >>> X = pd.DataFrame(X).rename(columns=str).assign(dark=(group == "dark").astype(float))
    >>> scoring = {
    ...     "mae": "neg_mean_absolute_error",
    ...     "gap": make_group_scorer("mae", "difference", sensitive_features="dark"),
    ... }
    >>> rule = best_within_disparity("mae", "gap", max_disparity=0.5)
    >>> grid = GridSearchCV(PixelLossRegressor(), {"loss_mix": [0, 1]}, scoring=scoring, refit=rule)
    >>> grid = grid.fit(X[:200], y[:200])
    >>> error = -grid.scorer_["mae"](grid, X[200:], y[200:])
    >>> bool(abs(error - abs(y[200:] - grid.predict(X[200:])).mean()) < 1e-12)
    True
    """
    for name, value in (("accuracy", accuracy), ("disparity", disparity)):
        if not isinstance(value, str):
            raise ValueError(f"{name} must be the name of a scorer, got {value!r}")
    if not (is_real(max_disparity) and max_disparity > 0):
        raise ValueError(
            f"max_disparity must be a number > 0, without the sign of the scorer, got "
            f"{max_disparity!r}"
        )
    check_parameters(None, {"if_none": if_none}, {"if_none": one_of(("raise", "closest"))})
    return WithinDisparity(accuracy, disparity, float(max_disparity), if_none)


class WithinDisparity:
    """The rule of `best_within_disparity`, which checks the arguments."""

    def __init__(self, accuracy: str, disparity: str, max_disparity: float, if_none: str) -> None:
        self.accuracy = accuracy
        self.disparity = disparity
        self.max_disparity = max_disparity
        self.if_none = if_none

    def __call__(self, cv_results: Mapping[str, Any]) -> int:
        """Return the position of the candidate chosen."""
        known, scores, disparities = _read(cv_results, self.accuracy, self.disparity)
        within = np.flatnonzero(disparities <= self.max_disparity)
        if not len(within):
            closest = np.lexsort((-scores, disparities))[0]
            candidate = int(known[closest])
            text = (
                f"no candidate has a {self.disparity} within {self.max_disparity:g}: the smallest "
                f"is {disparities[closest]:.6g}, with {self.accuracy} {scores[closest]:.6g}, of "
                f"candidate {candidate}{_shown(cv_results, candidate)}"
            )
            if self.if_none == "raise":
                raise ValueError(f"{text}. Raise max_disparity, or take it by if_none='closest'")
            warn_user(f"{text}, which is taken", UserWarning)
            return candidate
        return int(known[within[np.lexsort((disparities[within], -scores[within]))[0]]])

    def __repr__(self) -> str:
        option = "" if self.if_none == "raise" else f", if_none={self.if_none!r}"
        return (
            f"best_within_disparity({self.accuracy!r}, {self.disparity!r}, "
            f"{self.max_disparity:g}{option})"
        )


def pareto_front(cv_results: Mapping[str, Any], *, accuracy: str, disparity: str) -> pd.DataFrame:
    """List the candidates of a search that no other one dominates.

    A candidate is dominated if another one is at least as accurate with at most its disparity, and
    better in one of them, by their means over the folds.

    Parameters
    ----------
    cv_results : dict
        ``cv_results_`` of a search with several scorers.

    accuracy : str
        Name of the scorer that measures accuracy; greater is better.

    disparity : str
        Name of the scorer that measures disparity, a negated loss.

    Returns
    -------
    front : pandas.DataFrame
        A row for each undominated candidate, from the smallest disparity up, with columns

        - ``candidate`` : position in ``cv_results``;
        - one for each parameter of the grid;
        - ``accuracy`` and ``accuracy_std`` : mean score, greater is better, and its standard
          deviation over the folds;
        - ``disparity`` and ``disparity_std`` : the same of the disparity, without the minus sign.

    Raises
    ------
    ValueError
        If a scorer is missing, no candidate has a mean score, or a disparity is positive.

    Warns
    -----
    UserWarning
        If the mean score of a candidate is NaN: it is left out.

    Notes
    -----
    Means over folds are estimates, and so is the front. Standard deviations over folds are not
    those of the means, because folds share training rows; `compare_loss_mixes` has confidence
    intervals.

    Examples
    --------
    >>> from skfairloss.model_selection import pareto_front
    >>> results = {
    ...     "params": [{"loss_mix": 0.0}, {"loss_mix": 0.5}, {"loss_mix": 1.0}],
    ...     "mean_test_mae": [-0.30, -0.35, -0.33],
    ...     "std_test_mae": [0.01, 0.01, 0.01],
    ...     "mean_test_gap": [-0.20, -0.12, -0.10],
    ...     "std_test_gap": [0.02, 0.02, 0.02],
    ... }
    >>> front = pareto_front(results, accuracy="mae", disparity="gap")
    >>> print(front[["loss_mix", "accuracy", "disparity"]].to_string(index=False))
     loss_mix  accuracy  disparity
          1.0     -0.33        0.1
          0.0     -0.30        0.2
    """
    known, scores, disparities = _read(cv_results, accuracy, disparity)
    order = np.lexsort((-scores, disparities))
    rows = order[undominated(-scores, disparities)[order]]
    kept = known[rows]
    front = pd.DataFrame({"candidate": kept})
    for name in cv_results["params"][0]:
        front[name] = [cv_results["params"][i][name] for i in kept]
    front["accuracy"] = scores[rows]
    front["accuracy_std"] = np.asarray(cv_results[f"std_test_{accuracy}"])[kept]
    front["disparity"] = disparities[rows]
    front["disparity_std"] = np.asarray(cv_results[f"std_test_{disparity}"])[kept]
    return front


def _read(
    cv_results: Mapping[str, Any], accuracy: str, disparity: str
) -> tuple[Index, Array, Array]:
    """Return the positions of candidates with both scores, their accuracies and disparities."""
    scores = _mean_scores(cv_results, accuracy)
    disparities = -_mean_scores(cv_results, disparity)
    known = np.flatnonzero(np.isfinite(scores) & np.isfinite(disparities))
    unknown = np.setdiff1d(np.arange(len(scores)), known)
    if len(unknown):
        bad = disparity if np.isfinite(scores[unknown[0]]) else accuracy
        text = (
            f"{len(unknown)} of {len(scores)} candidates have no finite mean score, the first is "
            f"{unknown[0]}{_shown(cv_results, int(unknown[0]))} with {bad!r}: a fit or a scorer "
            "failed in some fold, error_score='raise' shows why"
        )
        if not len(known):
            raise ValueError(text)
        warn_user(f"{text}. They are left out", UserWarning)
    if disparities[known].min() < 0:
        raise ValueError(
            f"the disparity {disparity!r} has positive scores, up to "
            f"{-disparities[known].min():.6g}: it must be a negated loss, as "
            "make_group_scorer(metric, 'difference') is"
        )
    return known, scores[known], disparities[known] + 0.0  # no negative zero


def _mean_scores(cv_results: Mapping[str, Any], name: str) -> Array:
    """Return the mean scores of the candidates under a scorer, (n_candidates,)."""
    key = f"mean_test_{name}"
    if key not in cv_results:
        known = sorted(
            k.removeprefix("mean_test_") for k in cv_results if k.startswith("mean_test_")
        )
        raise ValueError(f"cv_results has no scorer {name!r}, it has {known}")
    return np.asarray(cv_results[key], dtype=np.float64)


def _shown(cv_results: Mapping[str, Any], i: int) -> str:
    """Return the parameters of a candidate as text; empty if they are not known."""
    return f" {cv_results['params'][i]}" if "params" in cv_results else ""
