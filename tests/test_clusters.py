"""Clusters: whole in every fold, the unit of every interval, and checked everywhere alike."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, LeaveOneGroupOut
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfairloss import PixelLossRegressor, PixelLossRegressorCV
from tests.test_compare_models import clustered

SCHOOLS = {
    "codes": lambda s: s,
    "names": lambda s: [f"school {i:02d}" for i in s],
    "series": lambda s: pd.Series(s, name="school"),
    "categories": pd.Categorical,
}


def search(X, y, school, cv=3, **options):
    return PixelLossRegressorCV([0.0, 1.0], cv=cv).fit(X, y, clusters=school, **options)


@pytest.mark.parametrize("form", SCHOOLS.values(), ids=SCHOOLS)
def test_a_search_keeps_clusters_whole_as_a_grid_search_with_groups(form):
    X, y, _, school = clustered()
    own = search(X, y, form(school))
    grid = GridSearchCV(PixelLossRegressor(), {"loss_mix": [0.0, 1.0]}, cv=GroupKFold(3))
    grid.fit(X, y, groups=school)
    for key in ("split0_test_score", "split2_test_score", "mean_test_score"):
        np.testing.assert_allclose(own.cv_results_[key], grid.cv_results_[key], rtol=1e-6)
    given = search(X, y, form(school), LeaveOneGroupOut())
    assert given.n_splits_ == 12


def test_a_search_takes_a_column_of_x():
    X, y, _, school = clustered()
    frame = pd.DataFrame(X, columns=["a", "b"]).assign(school=school.astype(float))
    named = search(frame, y, "school")
    expected = search(frame, y, school)
    np.testing.assert_array_equal(
        named.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"]
    )


@pytest.mark.parametrize("routing", [False, True])
def test_clusters_reach_a_search_in_a_pipeline(routing):
    X, y, _, school = clustered()
    pipe = make_pipeline(StandardScaler(), PixelLossRegressorCV([0.0, 1.0], cv=GroupKFold(3)))
    with sklearn.config_context(enable_metadata_routing=routing):
        name = "clusters" if routing else "pixellossregressorcv__clusters"
        found = pipe.fit(X, y, **{name: school})[-1]
        if routing:  # scikit-learn's own name for them
            same = pipe.fit(X, y, groups=school)[-1]
            np.testing.assert_array_equal(
                found.cv_results_["mean_test_score"], same.cv_results_["mean_test_score"]
            )
            with pytest.raises(ValueError, match="pass one of them"):
                pipe.fit(X, y, groups=school, clusters=school)
    assert found.n_splits_ == 3


def test_folds_that_split_a_cluster_are_refused():
    X, y, _, school = clustered()
    with pytest.raises(ValueError, match="cv splits 8 clusters in fold 1 of 3, the first is 0"):
        search(X, y, np.arange(96) % 8, KFold(3))
    whole = search(X, y, school, KFold(3))  # rows in the order of whole clusters
    assert whole.n_splits_ == 3


BAD = [
    (np.zeros(96), "clusters has the single cluster 0.0"),
    (np.where(np.arange(96) == 3, np.nan, 1.0), "clusters has missing values in 1 of 96 rows"),
    ([None, *range(95)], "clusters has missing values in 1 of 96 rows, at position 0"),
    (np.arange(95), "clusters has 95 rows, expected 96"),
    ("school", "clusters='school' names columns of X"),
]


@pytest.mark.parametrize(("clusters", "words"), BAD)
def test_what_are_no_clusters_is_refused_by_a_search(clusters, words):
    X, y, *_ = clustered()
    with pytest.raises(ValueError, match=words):
        search(X, y, clusters)
