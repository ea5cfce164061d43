"""
Simulated pixels with outliers: where L1 and L2 swap places
===========================================================

**L2 becomes the worse loss as soon as outliers move its answer out of the interval between the two
groups.** Without outliers, and with nothing that tells two groups apart, L2 is better for the
worse-off group than L1: it compromises where L1 sides with the majority. A few outliers end that.
The shift of the mean of *all* rows decides, not the group that has the outliers. Where a feature
tells the groups apart, L1 is ahead for the group with outliers from the first ones on.

All data are simulated, so it is known which rows are outliers. Errors are mean absolute errors
(MAE) of each group over its rows without outliers: an outlier stands for a fault of measurement,
which a model should not predict. Errors are in grey values; y may leave [0, 1].
"""

# %%
# Where they swap places, by hand
# -------------------------------
#
# A share p = 0.3 of the images is dark (0.3), the others are bright (0.9), and the model is a
# constant. Outliers are shifted upwards or downwards, and move the mean of all rows by d, their
# share of all rows times the shift. L2 returns the mean,
#
# .. code-block:: none
#
#     x = 0.9 - 0.6 p + d
#
# and L1 the median. That is 0.9, the level of the majority, as long as fewer than half of all rows
# lie on either side of it, and the dark images have an error of 0.6. Under L2 the larger
# of the errors is that of the group farther from x, and it exceeds 0.6 if x > 0.9 or x < 0.3:
#
# .. code-block:: none
#
#     L1 is better for the worse-off group if  d > 0.6 p  or  d < -0.6 (1 - p)

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skfairloss import PixelLossRegressor
from skfairloss.datasets import make_pixel_groups

SHARE = 0.3
LEVELS = {"dark": 0.3, "bright": 0.9}
PLACES = (-0.6 * (1 - SHARE), 0.6 * SHARE)


def worse_off_by_hand(move):
    """Error of the worse-off group under L2 where outliers move the mean by `move`."""
    constant = 0.9 - 0.6 * SHARE + move
    return max(abs(constant - level) for level in LEVELS.values())


# %%
# Fits to check it: outliers in either group, a tenth or a fifth of its rows, of many sizes. The
# default ``scale="auto"`` of the mix is twice the mean absolute deviation of y from its median, so
# that outliers make it larger.

LOSSES = {"L2": 0.0, "mix 0.5": 0.5, "L1": 1.0}
rows = []
for group in LEVELS:
    for share in (0.1, 0.2):
        for shift in (-5, -4, -2, -1, 0, 1, 2, 4, 5):
            X, y, g = make_pixel_groups(
                1000,
                minority_share=SHARE,
                outlier_group=group,
                outlier_share=share,
                outlier_shift=shift,
                random_state=0,
            )
            fits = {loss: PixelLossRegressor(mix).fit(X, y) for loss, mix in LOSSES.items()}
            move = shift * share * (g == group).mean()
            for loss, model in fits.items():
                errors = {name: abs(model.intercept_ - level) for name, level in LEVELS.items()}
                worse = max(errors, key=errors.get)
                rows.append((group, share, shift, move, loss, worse, errors[worse]))
names = ["outliers in", "share", "shift", "mean moved", "loss", "worse-off", "MAE"]
found = pd.DataFrame(rows, columns=names)

l2 = found[found["loss"] == "L2"]
difference = (l2["MAE"] - l2["mean moved"].map(worse_off_by_hand)).abs().max()
print(f"{len(l2)} cases; largest |fit - by hand| of L2: {difference:.1e}")
print(f"L1: MAE of the worse-off group {sorted(set(found['MAE'][found['loss'] == 'L1'].round(6)))}")
wide = found.pivot(index=names[:4], columns="loss", values="MAE").reset_index()
l1_better = wide["L1"] < wide["L2"]
beyond = ~wide["mean moved"].between(*PLACES)
print(f"L1 better in {l1_better.sum()}; mean moved beyond a place of change in {beyond.sum()}")
print("the same cases:", bool((l1_better == beyond).all()))
worst = wide["mix 0.5"] > wide[["L1", "L2"]].max(axis=1) + 1e-9
print(f"mix 0.5: {wide['mix 0.5'][wide['shift'] == 0].mean():.2f} without outliers")
upwards = wide[wide["shift"] > 0]
as_l1 = np.isclose(upwards["mix 0.5"], upwards["L1"])
print(f"as L1 in {as_l1.sum()} of {len(upwards)} with outliers upwards")
print(f"the worst of the three in {worst.sum()} cases")

# %%
# The cases with a fifth of a group. Outliers of the same size make L2 the worse loss in one group
# and not in the other, because the groups differ in size.

wide["better"] = np.where(l1_better, "L1", "L2")
shown = wide[(wide["share"] == 0.2) & wide["shift"].abs().ge(2)]
print("MAE of the worse-off group")
print(shown.round(3).to_string(index=False))

# %%
# Where a feature tells the groups apart
# --------------------------------------
#
# Now the feature names the group of every row, there is noise (standard deviation 0.1), and the
# errors are measured on new rows without outliers. A line through two groups meets both: L2 goes
# through their means, L1 through their medians. Without outliers that is the same up to noise. With
# them, L2 misses the group that has them by share times shift, while L1 hardly moves.

NOISE = {"noise": 0.1, "reveal_group": 1.0, "minority_share": SHARE}
X_new, y_new, g_new = make_pixel_groups(20_000, random_state=1, **NOISE)
SHIFTS = (0, 0.5, 1, 2, 3, 4)
rows = []
for shift in SHIFTS:
    outliers = {"outlier_group": "dark", "outlier_share": 0.1, "outlier_shift": shift}
    X, y, g = make_pixel_groups(2000, random_state=0, **NOISE, **outliers)
    for loss in ("L2", "L1"):
        residuals = y_new - PixelLossRegressor(LOSSES[loss]).fit(X, y).predict(X_new)
        rows.append((shift, loss, *(np.abs(residuals[g_new == name]).mean() for name in LEVELS)))
revealed = pd.DataFrame(rows, columns=["shift", "loss", *LEVELS]).pivot(
    index="shift", columns="loss"
)
print("MAE on new rows; a tenth of the dark images are outliers")
print(revealed.round(4).to_string())

figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
grid = np.linspace(found["mean moved"].min(), found["mean moved"].max(), 601)
axes[0].plot(grid, [worse_off_by_hand(move) for move in grid], color="C0")
axes[0].axhline(0.6, color="C1", linestyle="--")
for place in PLACES:
    axes[0].axvline(place, color="0.85", zorder=0)
STYLES = {"L2": ("C0", "o", "full"), "mix 0.5": ("0.5", "^", "none"), "L1": ("C1", "s", "none")}
for loss, (colour, marker, fill) in STYLES.items():
    each = found[found["loss"] == loss]
    style = {"color": colour, "fillstyle": fill, "ms": 5, "label": loss}
    axes[0].plot(each["mean moved"], each["MAE"], marker, **style)
axes[0].set(
    title="No feature tells the groups apart",
    xlabel="how far the outliers move the mean of all rows",
    ylabel="MAE of the worse-off group",
    xlim=(-0.72, 0.72),
    ylim=(0, 1.3),
)
axes[0].legend(frameon=False, loc="upper center", ncols=3, columnspacing=1, handletextpad=0.2)

for loss in ("L2", "L1"):
    colour, marker, fill = STYLES[loss]
    for group, line in (("dark", "-"), ("bright", ":")):
        style = {"color": colour, "marker": marker, "fillstyle": fill, "linestyle": line}
        axes[1].plot(revealed[group, loss], label=f"{loss}, {group}", **style)
axes[1].set(
    title="A feature tells the groups apart",
    xlabel="shift of an outlier",
    ylabel="MAE of the group, new rows",
    ylim=0,
)
axes[1].legend(frameon=False)
figure.savefig("minority_outliers.png", dpi=150)
print("figure saved in the working directory: minority_outliers.png")

# %%
# Conclusions and limits
# ----------------------
#
# On the left all fits of L2 lie on one line, with outliers in either group. Between the two
# grey lines L2 is better for the worse-off group, outside L1. Downward outliers first *help* the
# worse-off group: they pull the compromise towards the dark minority, until the majority is worse
# off. The mix lies on no such line. Without outliers it is between L2 and L1. Outliers upwards move
# it to L1 in most cases, since they make its scale larger, and in no case is it the worst of the
# three. On the right, where each group has a level of its own, only the group with the outliers
# pays, and only under L2.
#
# So neither loss is better for minorities in general. It depends on features that tell the groups
# apart, on the number of outliers, and on their side.
#
# If outliers are members whose large values matter, and not faults, they belong into the errors,
# and the result changes. The groups differ in nothing but level here, no group has more than a
# fifth of outliers, and a constant is the simplest of all models. With several features outliers in
# X come in addition, which L1 is not safe from.
