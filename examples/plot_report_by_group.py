"""
Handwritten digits: three models by group, with intervals
=========================================================

**Every table has a worse-off group; the interval shows whether that is more than chance.** Here are
the same predictions under two groupings. By the first, each of three models has a worse-off group,
not the same one, and for two of them the interval of the difference begins at 0: no difference is
detected. By the second it is far from 0 for all three.

The upper half of handwritten digits predicts the lower half. The groups are made from the images:
by the amount of ink in the upper half, and by the digit written. Errors are mean absolute errors
(MAE) of pixels, from 0 (no ink) to 1.
"""

# %%
# Images, groups and three models
# -------------------------------
#
# ``group_report`` takes predictions, so that the models may be of any kind: least squares and least
# absolute deviations of this package, and nearest neighbours of scikit-learn. Half of the 1797
# images are for testing.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsRegressor

from skfairloss import PixelLossRegressor

digits = load_digits()
images = digits.images / 16
ink = images[:, :4].mean(axis=(1, 2))
by_ink = pd.qcut(ink, [0, 0.2, 0.8, 1], labels=["light", "medium", "heavy"]).astype(str)
groups = pd.DataFrame({"ink": by_ink, "digit": digits.target})
upper, lower = images[:, :4].reshape(-1, 32), images[:, 4:].reshape(-1, 32)
X, X_test, y, y_test, _, groups_test = train_test_split(
    upper, lower, groups, test_size=0.5, stratify=groups["ink"], random_state=0
)
groups_test = groups_test.reset_index(drop=True)  # in the order of the rows of X_test
MODELS = {
    "L2": PixelLossRegressor(0.0, alpha=1e-3),
    "L1": PixelLossRegressor(1.0, alpha=1e-3),
    "neighbours": KNeighborsRegressor(),
}
predictions = {name: model.fit(X, y).predict(X_test) for name, model in MODELS.items()}

# %%
# By the amount of ink
# --------------------
#
# A :class:`~skfairloss.report.GroupReport` is fairlearn's ``MetricFrame`` with intervals from a
# bootstrap within the groups. A notebook shows it as a table, ``print`` as text; here with the MAE
# alone.

from sklearn.metrics import mean_absolute_error

from skfairloss import group_report
from skfairloss.metrics import group_metric_frame


def report(name, column):
    return group_report(
        y_test,
        predictions[name],
        sensitive_features=groups_test[column],
        metrics={"mae": mean_absolute_error},
        random_state=0,
    )


reports = {name: report(name, "ink") for name in MODELS}
print(reports["L2"])

# %%
# The worse-off group of each model, its difference from the best one, and the 95 % interval of that
# difference. An interval that begins at 0 means that no difference is detected. It does not mean
# that the groups are alike: its upper end is the difference that may have been missed.


def summarise(reports):
    rows = {}
    for name, found in reports.items():
        low, high = (limit["mae"] for limit in found.difference_ci)
        worst = found.by_group["mae"].idxmax()
        rows[name] = (found.overall["mae"], worst, found.difference["mae"], low, high)
    columns = ["MAE", "worse-off group", "difference", "lower", "upper"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).round(3)


def verdict(table):
    detected = table.index[table["lower"] > 0]
    return f"difference detected: {', '.join(detected) or 'in none of the models'}"


table = summarise(reports)
print("Groups by ink")
print(table.to_string())
print(verdict(table))

# %%
# By the digit
# ------------
#
# The same predictions. Some digits have a lower half that the upper one does not determine.

by_digit = {name: report(name, "digit") for name in MODELS}
table = summarise(by_digit)
print("Groups by digit")
print(table.to_string())
print(verdict(table))

figure, axes = plt.subplots(1, 2, figsize=(10, 5.6), layout="constrained")
for ax, found, title in zip(axes, (reports, by_digit), ("by ink", "by digit"), strict=True):
    found["L2"].plot("mae", ax=ax, title=f"L2, groups {title}")
figure.savefig("report_by_group.png", dpi=150)
print("figure saved in the working directory: report_by_group.png")

# %%
# The plot of a report is a :class:`~skfairloss.displays.GroupLossDisplay`, which can also be made
# from predictions. Nearest neighbours, by the digit:

from skfairloss.displays import GroupLossDisplay, PixelGroupDisplay, TradeoffDisplay

losses = GroupLossDisplay.from_predictions(
    y_test,
    predictions["neighbours"],
    sensitive_features=groups_test["digit"],
    random_state=0,
)

# %%
# Images and their errors
# -----------------------
#
# The median of the errors of each digit, under least squares. All truths and predictions share one
# scale, all errors another.


def whole(lower_half):
    return np.hstack([X_test, lower_half]).reshape(-1, 8, 8)


pictures = PixelGroupDisplay.from_predictions(
    whole(y_test), whole(predictions["L2"]), sensitive_features=groups_test["digit"]
)

# %%
# Three models side by side
# -------------------------
#
# Error of all images against the difference between digits; for both, smaller is better.

tradeoff = TradeoffDisplay.from_predictions(
    y_test, predictions, sensitive_features=groups_test["digit"]
)
frame = group_metric_frame(
    y_test, predictions["neighbours"], sensitive_features=groups_test["digit"]
)
print("neighbours, digits of the smallest and of the largest MAE:")
print(
    frame.by_group.sort_values("mae").iloc[[0, -1]][["count", "mae", "rmse"]].round(3).to_string()
)

# %%
# Conclusions and limits
# ----------------------
#
# The group with the largest error need not be worse off in truth. With the groups by ink,
# differences of the size found under L2 and under nearest neighbours also arise between groups
# drawn at random. With the
# digits the intervals are wider, because there are ten groups and they are smaller. Yet all are far
# from 0.
#
# With the groups by ink, the difference is detected under L1 and not under L2. That does not prove
# that it is larger under L1: the two intervals overlap nearly whole, and the lower end under L1 is
# close to 0. Of three intervals at 95 %, one excludes 0 by chance more often than once in twenty.
# Use a paired comparison to find which of two models has the smaller difference.
#
# The intervals are for these three models, and for other images like these. They do not say what a
# model from other training images would do.
