"""
Diabetes patients: coefficients with intervals, under L2 and L1
===============================================================

**Of ten coefficients, five have a clear sign under L2 and four under L1.** Ten measurements predict
the progress of diabetes in 442 patients. ``coefficient_report`` fits the model again under random
weights of the rows, some hundred times, exactly. Five coefficients have an interval without 0 under
least squares, four under least absolute deviations. The mean errors of the two groups by the column
"sex" differ by no more than chance, also when the training is counted.

In the second part rows come in clusters. The interval of a feature that is the same in all rows of
a cluster is three times as wide as one that takes rows as independent.
"""

# %%
# Ten measurements
# ----------------
#
# Features are scaled to standard deviation 1, so that coefficients compare.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfairloss import PixelLossRegressor, coefficient_report

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
code = "code " + X["sex"].astype(int).astype(str)  # which is female, the source does not say
models = {
    name: make_pipeline(StandardScaler(), PixelLossRegressor(mix)).fit(X, y)
    for name, mix in (("L2", 0.0), ("L1", 1.0))
}
reports = {
    name: coefficient_report(model, X, y, sensitive_features=code, n_boot=500, random_state=0)
    for name, model in models.items()
}
print(reports["L1"])

# %%
# A :class:`~skfairloss.inference.CoefficientReport` has all of it as a table. "same_sign" is the
# share of the refits in which a coefficient has the sign that it has in the fit, and
# :class:`~skfairloss.displays.CoefficientDisplay` draws it.


def clear(report):
    frame = report.to_frame()
    frame = frame[frame["feature"] != "(intercept)"]
    return frame.loc[(frame["lower"] > 0) | (frame["upper"] < 0), "feature"].tolist()


for name, report in reports.items():
    print(f"interval without 0 under {name}: {', '.join(clear(report))}")

figure, axes = plt.subplots(1, 2, figsize=(10, 4.8), layout="constrained")
for ax, (name, report) in zip(axes, reports.items(), strict=True):
    report.plot(ax=ax, title=name)
figure.savefig("coefficients.png", dpi=150)

# %%
# The intervals of the groups' errors are wider than those of ``group_report``: here each refit
# trains the model again, there the model is given. They are for the patients of the training rows.

frame = reports["L1"].groups.to_frame().set_index("statistic")
low, high = frame.loc["difference", ["lower", "upper"]].astype(float)
print(f"difference of the groups' MAE under L1: interval [{low:.1f}, {high:.1f}]")

# %%
# Along the mix
# -------------
#
# A path (:class:`~skfairloss.displays.CoefficientPathDisplay`) shows the coefficients from L2 to
# L1. Those of s1, s2 and s3 offset one another: they are blood lipids that nearly determine each
# other.

from skfairloss.model_selection import loss_mix_path

scaled = pd.DataFrame(StandardScaler().fit_transform(X), columns=X.columns)
path = loss_mix_path(scaled, y, loss_mixes=np.linspace(0, 1, 11))
display = path.plot(title="coefficients along the mix")
display.figure_.savefig("coefficients_path.png", dpi=150)

# %%
# Rows that belong together
# -------------------------
#
# These simulated data have 40 persons with 30 rows each. One feature is the same in all rows of a
# person, and so is a part of the error. ``clusters=`` draws a weight for each person.

rng = np.random.default_rng(0)
person = np.repeat(np.arange(40), 30)
trait = rng.normal(size=40)[person]
daily = rng.normal(size=1200)
outcome = daily + rng.normal(size=40)[person] + rng.normal(size=1200)
features = pd.DataFrame({"trait": trait, "daily": daily})
model = PixelLossRegressor(1.0).fit(features, outcome)
found = {
    "rows": coefficient_report(model, features, outcome, random_state=0),
    "persons": coefficient_report(model, features, outcome, clusters=person, random_state=0),
}
rows = {}
for name, report in found.items():
    for _, row in report.to_frame()[:2].iterrows():
        rows[f"{row['feature']}, weights of {name}"] = row[["coefficient", "lower", "upper"]]
print("Coefficients of L1; that of trait is 0 and that of daily 1")
print(pd.DataFrame(rows).T.astype(float).round(3).to_string())

figure, axes = plt.subplots(1, 2, figsize=(10, 2.6), layout="constrained", sharex=True)
for ax, (name, report) in zip(axes, found.items(), strict=True):
    report.plot(ax=ax, title=f"weights of {name}")
figure.savefig("coefficients_clusters.png", dpi=150)
for name in ("coefficients", "coefficients_path", "coefficients_clusters"):
    print(f"figure saved in the working directory: {name}.png")

# %%
# Limits
# ------
#
# - Each interval holds by itself. Of ten coefficients that are 0, at least one has an interval
#   without 0 in two of five studies.
# - A coefficient is not an effect: another feature in or out of the model changes it.
# - The mix was given. If the same rows choose it, the intervals do not count that choice.
