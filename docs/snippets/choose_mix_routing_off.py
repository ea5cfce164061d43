"""From a DataFrame to a chosen mix and its groups, without metadata routing."""

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes
from sklearn.model_selection import GridSearchCV, StratifiedKFold, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skfairloss import PixelLossRegressor
from skfairloss.metrics import group_metric_frame, make_group_scorer

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
X, X_test, y, y_test = train_test_split(X, y, stratify=X["sex"], random_state=0)
scale = ColumnTransformer([("drop", "drop", ["sex"])], remainder=StandardScaler())
model = Pipeline([("scale", scale), ("fit", PixelLossRegressor())])
grid = {"fit__loss_mix": [0.0, 0.25, 0.5, 0.75, 1.0]}
worst = make_group_scorer("mae", "group_max", sensitive_features="sex")
scoring = {"mae": "neg_mean_absolute_error", "worst": worst}
folds = list(StratifiedKFold(5, shuffle=True, random_state=0).split(X, X["sex"]))
search = GridSearchCV(model, grid, scoring=scoring, refit="worst", cv=folds, error_score="raise")
search.fit(X, y)
print(pd.DataFrame(search.cv_results_).filter(regex="loss_mix|mean_test").round(2))
groups = group_metric_frame(y_test, search.predict(X_test), sensitive_features=X_test["sex"])
print("chosen:", search.best_params_, groups.by_group[["count", "mae", "rmse"]].round(2), sep="\n")
