"""From a DataFrame to a chosen mix and its groups, with metadata routing."""

import pandas as pd
from sklearn import set_config
from sklearn.datasets import load_diabetes
from sklearn.model_selection import GridSearchCV, StratifiedKFold, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skfairloss import PixelLossRegressor
from skfairloss.metrics import group_metric_frame, make_group_scorer

set_config(enable_metadata_routing=True)
X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
g = X.pop("sex")  # the data set's codes, 1 and 2
X, X_test, y, y_test, g, g_test = train_test_split(X, y, g, stratify=g, random_state=0)
model = Pipeline([("scale", StandardScaler()), ("fit", PixelLossRegressor())])
grid = {"fit__loss_mix": [0.0, 0.25, 0.5, 0.75, 1.0]}
scoring = {"mae": "neg_mean_absolute_error", "worst": make_group_scorer("mae", "group_max")}
folds = list(StratifiedKFold(5, shuffle=True, random_state=0).split(X, g))
search = GridSearchCV(model, grid, scoring=scoring, refit="worst", cv=folds, error_score="raise")
search.fit(X, y, sensitive_features=g)
print(pd.DataFrame(search.cv_results_).filter(regex="loss_mix|mean_test").round(2))
groups = group_metric_frame(y_test, search.predict(X_test), sensitive_features=g_test)
print("chosen:", search.best_params_, groups.by_group[["count", "mae", "rmse"]].round(2), sep="\n")
