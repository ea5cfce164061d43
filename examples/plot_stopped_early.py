"""
Diabetes patients: a fit with a term, watched by a callback
===========================================================

**If a fit is stopped early, the loss of the worst-off group is not yet the smallest possible one,
and the certificate shows it.** A callback watches fits from inside. A plain L1 fit has the losses
of both groups nearly right after its first iteration. The fit that lowers the worst-off group's
loss begins there as well, and needs several more iterations. A fit that is stopped on the way looks
like a finished one: it predicts, and it has losses of groups. Only the certificate shows the
difference.

The data come with scikit-learn: 442 patients, y is the progression of their diabetes after a year.
The groups are the codes 1 and 2 of the column ``sex``, which is kept out of the features. The loss
is the absolute one with ``scale=1.0``: the loss of a group is its mean absolute error (MAE) in the
units of y.

Callbacks need scikit-learn 1.9 or later.
"""

# %%
# Every iteration, group by group
# -------------------------------
#
# :class:`~skfairloss.callbacks.GroupLossMonitor` records the loss of each group that the model
# would have if the fit stopped there.

import sklearn

if tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 9):
    print(
        "Skipped: callbacks need scikit-learn 1.9 or later. python -m pip install -U scikit-learn"
    )
    raise SystemExit

import warnings

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.datasets import load_diabetes

from skfairloss import PixelLossRegressor
from skfairloss.callbacks import GroupLossMonitor
from skfairloss.fairness import WorstGroupLoss

table, target = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
groups = table["sex"].map({1.0: "code 1", 2.0: "code 2"}).to_numpy()
X, y = table.drop(columns="sex").to_numpy(), target.to_numpy()

TERMS = {"no term": None, "worst group": WorstGroupLoss()}
watched, models = {}, {}
for name, term in TERMS.items():
    monitor = GroupLossMonitor()
    model = PixelLossRegressor(1.0, scale=1.0, fairness=term).set_callbacks(monitor)
    models[name] = model.fit(X, y, sensitive_features=groups)
    records = monitor.to_frame()
    records = records[records["task"] == "iteration"]
    watched[name] = records.pivot(index="iteration", columns="group", values="loss")
    print(f"{name}: loss of each group by iteration")
    print(watched[name].round(2).to_string())

# %%
# Stop it, and read the certificate
# ---------------------------------
#
# ``max_iter`` stops the same fit earlier. ``dual_gap_`` is an upper bound on how far the objective,
# for this term the loss of the worst-off group, is above the smallest possible one, and a fit that
# stops before its gap is small enough warns. The true excess is known here because the full fit is.

from sklearn.exceptions import ConvergenceWarning

full = models["worst group"]
rows, warned = {}, {}
for max_iter in range(1, full.n_iter_ + 1):
    stopped = PixelLossRegressor(1.0, scale=1.0, fairness=WorstGroupLoss(), max_iter=max_iter)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        stopped.fit(X, y, sensitive_features=groups)
    warned[max_iter] = [str(each.message) for each in caught if each.category == ConvergenceWarning]
    excess = stopped.objective_ - full.objective_
    rows[max_iter] = (*stopped.group_losses_, excess, stopped.dual_gap_, len(warned[max_iter]))
columns = [*full.groups_, "excess", "gap", "warnings"]
found = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
print("WorstGroupLoss by max_iter: loss of each group, excess over the full fit, dual_gap_")
print(found.round({"code 1": 2, "code 2": 2, "excess": 4, "gap": 4}).to_string())
print(f"at max_iter=3: {warned[3][0]}")

figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for group, colour in zip(full.groups_, ("C0", "C1"), strict=True):
    for name, style in (("no term", "o--"), ("worst group", "s-")):
        label = f"{group}, {name}"
        kind = {"color": colour, "fillstyle": "none", "ms": 5, "label": label}
        axes[0].plot(watched[name][group], style, **kind)
axes[0].set(title="Loss of each group", xlabel="iteration", ylabel="MAE, training rows")
axes[1].plot(found["gap"].iloc[:-1], "s-", color="0.1", label="dual_gap_: what the fit knows")
axes[1].plot(found["excess"].iloc[:-1], "o--", color="C3", label="true excess")
axes[1].set(title="Fits stopped early: objective above the optimum", xlabel="max_iter")
axes[1].set_yscale("log")
axes[0].legend(frameon=False, loc="center right", bbox_to_anchor=(1, 0.36))
axes[1].legend(frameon=False, loc="upper right")
for ax in axes:
    ax.set_xticks(range(2, full.n_iter_ + 1, 2))
figure.savefig("stopped_early.png", dpi=150)
print("figure saved in the working directory: stopped_early.png")

# %%
# Conclusions and limits
# ----------------------
#
# On the left the dashed lines are level from the start: without a term the first iteration is
# within half a percent of the end. The solid lines begin at the same place and need about half of
# the iterations to meet. On the right the gap is above the excess at every stop, as it has to be,
# and here at least twice as large. A fit can be closer to the optimum than its gap proves, never
# farther away.
#
# With this term the objective is a loss, in the units of y. So a gap of 0.1 means that no linear
# model has a mean absolute error of the worst-off group that is smaller by more than 0.1. It is a
# statement about the training rows, and about these features.
#
# The way to the optimum is that of one solver on one data set of this size. With many rows the
# first iterations see a sample only and are not recorded. Nothing here says that the term does the
# group any good on new rows: :doc:`plot_communities_crime` has a case where it does not.
