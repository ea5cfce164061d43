"""
Handwritten digits: calibration by group, of L2 and of boosting
===============================================================

**Both models are right on average, and too light for sixes.** The ink in the lower half of
handwritten digits is predicted from the pixels of the upper half, in percent of a black page. Under
least squares the mean residual of all training rows is 0 for any data. Within a group it need not
be: predictions for a six are too low and those for a nine too high, at small predictions and at
large ones. Boosted trees are not bound to a straight line. They leave a third of it for sixes and
two thirds for nines.

The displays take any model, and draw a line or a cloud for each group.
"""

# %%
# Two models, out of fold
# -----------------------
#
# Every prediction is of a model that did not see the image.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import KFold, cross_val_predict

from skfairloss import PixelLossRegressor, group_report

digits = load_digits()
images = digits.images / 16
X = images[:, :4].reshape(-1, 32)
y = 100 * images[:, 4:].mean(axis=(1, 2))
names = np.where(np.isin(digits.target, [6, 9]), digits.target.astype(str), "others")
digit = pd.Series(names, name="digit")
folds = KFold(5, shuffle=True, random_state=0)
MODELS = {
    "L2": PixelLossRegressor(0.0, alpha=1e-3),
    "boosting": HistGradientBoostingRegressor(random_state=0),
}
predicted = {name: cross_val_predict(model, X, y, cv=folds) for name, model in MODELS.items()}

# %%
# The mean residual, true - predicted, of all rows and by digit, with 95 % intervals.

rows = {}
for name, y_pred in predicted.items():
    table = group_report(
        y, y_pred, sensitive_features=digit, metrics="mean_residual", random_state=0
    ).to_frame()
    for _, row in table[table["statistic"].isin(["by_group", "overall"])].iterrows():
        group = "all rows" if row["group"] is None else row["group"]
        rows[f"{name}, {group}"] = row[["value", "lower", "upper"]].astype(float)
print("Mean residual, in percent of a black page")
print(pd.DataFrame(rows).T.round(2).to_string())

# %%
# Where: calibration
# ------------------
#
# Bins of equal numbers of rows within each group: mean of y against mean prediction, with an
# interval for each bin by itself. On the dashed line, means are what is predicted. Under L2 the
# sixes are above it and the nines below it all along.

from skfairloss.displays import (
    GroupCalibrationDisplay,
    GroupPredictionDisplay,
    GroupResidualDisplay,
)

figure, axes = plt.subplots(1, 2, figsize=(10, 4.6), layout="constrained")
shown = {}
for ax, (name, y_pred) in zip(axes, predicted.items(), strict=True):
    shown[name] = GroupCalibrationDisplay.from_predictions(
        y, y_pred, sensitive_features=digit, n_bins=6, ax=ax, title=name
    )
figure.savefig("calibration_by_group.png", dpi=150)

print("Bins whose interval is off the line, of six")
counts = {}
for name, display in shown.items():
    off = [
        np.sum(np.abs(actual - mean) > margin)
        for mean, actual, margin in zip(
            display.predicted, display.actual, display.margins, strict=True
        )
    ]
    counts[name] = dict(zip(display.groups, off, strict=True))
print(pd.DataFrame(counts).T.to_string())

# %%
# How: residuals and predictions
# ------------------------------
#
# Quantiles of each group's residuals against those of all rows: sixes are above the line in all of
# their residuals, not in a few. The cloud of true values against predictions says the same less
# clearly, and shows single rows.

figure, axes = plt.subplots(1, 2, figsize=(10, 4.6), layout="constrained")
options = {"sensitive_features": digit, "title": "L2"}
GroupResidualDisplay.from_predictions(y, predicted["L2"], ax=axes[0], **options)
GroupPredictionDisplay.from_predictions(
    y, predicted["L2"], ax=axes[1], subsample=150, random_state=0, **options
)
figure.savefig("calibration_by_group_residuals.png", dpi=150)
print("figure saved in the working directory: calibration_by_group.png")
print("figure saved in the working directory: calibration_by_group_residuals.png")

# %%
# Limits
# ------
#
# - The digit is no feature here, and this page has no model that knows it. A term such as
#   ``ResidualParity`` would bring the mean residuals of the groups together and leave their slopes.
# - Groups that are not named can be off within the named ones.
# - Each interval holds by itself. If the mean of a group is right in all six bins, at least one
#   interval is off the line in a quarter of cases.
