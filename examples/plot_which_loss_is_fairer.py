"""
Dark and bright images: L1, L2 and a mix of both, by group
==========================================================

**Neither loss is fairer by itself: one case favours L2, the other L1.** Is the absolute loss (L1)
fairer to two groups of images than the squared loss (L2)? One argument says yes, because L1 "treats
all errors equally". Another says no, because L2 weighs the large errors of a minority more. Two
cases show that neither argument settles it:

1. One grey value describes a minority of dark and a majority of bright images. The answer is known
   in closed form.
2. The visible half of a photo patch predicts its hidden half. The data decide.

"Fairer" stands for two numbers here: the mean absolute error (MAE) of the worse-off group, which
has the larger one, and the gap between the MAE of the two groups. The groups are made from pixels
alone, "dark image" and "bright image". Errors are in grey values: 0 is black, 1 is white.
"""

# %%
# The answer
# ----------
#
# Each loss is judged by the MAE, which L1 minimises, and by the root mean squared error (RMSE),
# which L2 minimises. Errors of patches are those of test images. A difference between L1 and L2
# counts only if it exceeds its resolution: 1.96 standard deviations of that difference over 1000
# bootstrap samples, drawn within the groups, the same images for both losses. Neighbouring patches
# resemble each other, so the true resolution is coarser.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skfairloss import PixelLossRegressor
from skfairloss.datasets import join_patches, load_photo_patches, make_pixel_groups

DARK, BRIGHT = 0.3, 0.9
LOSSES = {"L2": 0.0, "mix 0.5": 0.5, "L1": 1.0}

patches = load_photo_patches()
X, X_test, y, y_test, groups, groups_test = train_test_split(
    patches.data,
    patches.target,
    patches.sensitive_features,
    test_size=0.3,
    stratify=patches.sensitive_features,
    random_state=0,
)
members = {group: np.flatnonzero(groups_test == group) for group in ("dark image", "bright image")}


def fit_constant(share, loss_mix):
    X, y, _ = make_pixel_groups(200, minority="dark", minority_share=share, random_state=0)
    return PixelLossRegressor(loss_mix).fit(X, y).intercept_


def make_model(loss_mix):
    regressor = PixelLossRegressor(loss_mix)
    return Pipeline([("standardise", StandardScaler()), ("regress", regressor)])


def error_by_image(power):
    """Mean of |residual|^power over the pixels of each test image, a column for each loss."""
    residuals = {loss: y_test - y_pred for loss, y_pred in predictions.items()}
    return pd.DataFrame({loss: (np.abs(r) ** power).mean(axis=1) for loss, r in residuals.items()})


def summarise(group_means, root):
    """Worse-off group, gap and all images, from the means of the two (equally large) groups."""
    by_group = root(group_means)
    return np.stack(
        [by_group.max(axis=0), np.ptp(by_group, axis=0), root(group_means.mean(axis=0))]
    )


def verdict(l1, l2, resolution):
    return "no difference" if abs(l1 - l2) <= resolution else "L1" if l1 < l2 else "L2"


def in_words(row):
    values = photos.loc[row]
    if values["smaller"] == "no difference":
        return f"{row}: no difference at a resolution of {values['resolution']:.4f}"
    return f"{row}: {values['smaller']} smaller by {abs(values['L1 - L2']):.4f}"


predictions = {}
for loss, loss_mix in LOSSES.items():
    predictions[loss] = make_model(loss_mix).fit(X, y).predict(X_test)
absolute, squared = error_by_image(1), error_by_image(2)

rng = np.random.default_rng(0)
draws = [rng.choice(positions, (1000, len(positions))) for positions in members.values()]
lines = {}
for measure, errors, root in (("MAE", absolute, np.asarray), ("RMSE", squared, np.sqrt)):
    pair = errors[["L1", "L2"]].to_numpy()
    values = summarise(np.stack([pair[rows].mean(axis=0) for rows in members.values()]), root)
    samples = summarise(np.stack([pair[rows].mean(axis=1) for rows in draws]), root)
    resolutions = 1.96 * (samples[..., 0] - samples[..., 1]).std(axis=1)
    for what, (l1, l2), resolution in zip(
        ("of the worse-off group", "gap", "of all images"), values, resolutions, strict=True
    ):
        lines[f"{measure} {what}"] = (l1, l2, l1 - l2, resolution, verdict(l1, l2, resolution))
columns = ["L1", "L2", "L1 - L2", "resolution", "smaller"]
photos = pd.DataFrame.from_dict(lines, orient="index", columns=columns)
constant_l1, constant_l2 = (
    max(abs(fit_constant(0.3, loss_mix) - level) for level in (DARK, BRIGHT)) for loss_mix in (1, 0)
)
photo = photos.loc["MAE of the worse-off group"]
winners = (verdict(constant_l1, constant_l2, 1e-6), photo["smaller"])
if "no difference" in winners:
    conclusion = "only one of the two cases, or none, tells the losses apart"
elif winners[0] == winners[1]:
    conclusion = f"{winners[0]} is better for the worse-off group in both cases"
else:
    conclusion = "the two cases point in opposite directions: neither is better by itself"
print(f"By the MAE of the worse-off group, {conclusion}.")
print("\nConstant, 30 % dark images")
print(f"- MAE of the worse-off group: L1 {constant_l1:.4f}, L2 {constant_l2:.4f}: {winners[0]}")
print("Photo patches: the groups")
for row in ("MAE of the worse-off group", "MAE gap", "RMSE of the worse-off group", "RMSE gap"):
    print(f"- {in_words(row)}")
print("Photo patches: overall accuracy")
for row in ("MAE of all images", "RMSE of all images"):
    print(f"- {in_words(row)}")
print("\nPhoto patches, L1 against L2 on the test images")
print(f"{photos.round(4).to_string()}\n")

# %%
# One grey value for two groups
# -----------------------------
#
# A share p < 1/2 of the images has brightness 0.3, the others 0.9, and no feature tells them apart.
# The constant that minimises the mean of ``λ|r/c| + (1-λ)(r/c)²``, λ being ``loss_mix`` and c the
# scale of the residuals, is
#
# .. code-block:: none
#
#     x* = min(0.9, 0.9 - 0.6 p + c λ (1 - 2p) / (2 (1 - λ)))
#
# :class:`~skfairloss.PixelLossRegressor` has to find the same number. Its default,
# ``scale="auto"``, takes twice the mean absolute deviation of y from its median, here c = 1.2 p.

SHARES = (0.1, 0.3, 0.45)


def closed_form(share, loss_mix):
    scale = 2 * (BRIGHT - DARK) * share
    pull = np.inf if loss_mix == 1 else scale * loss_mix * (1 - 2 * share) / (2 * (1 - loss_mix))
    return min(0.9, 0.9 - 0.6 * share + pull)


rows = []
for share in SHARES:
    for loss_mix in (0, 0.1, 0.2, 0.4, 0.6, 0.8, 1):
        fit = fit_constant(share, loss_mix)
        rows.append((share, loss_mix, closed_form(share, loss_mix), fit))
constants = pd.DataFrame(rows, columns=["dark share", "loss_mix", "closed form", "fit"])
constants["dark MAE"] = (constants["fit"] - DARK).abs()
constants["bright MAE"] = (constants["fit"] - BRIGHT).abs()
difference = (constants["fit"] - constants["closed form"]).abs().max()
print("Best constant for two groups of brightness 0.3 and 0.9")
print(constants.round(4).to_string(index=False))
print(f"largest |fit - closed form|: {difference:.1e}")

# %%
# L2 compromises, L1 returns the brightness of the majority, and the mix moves from one to the
# other. It is at L1 before ``loss_mix`` is 1, the sooner the smaller the minority. Being
# in the minority counts, not being dark: with the shares exchanged, L1 returns 0.3. In this case L1
# has the smaller MAE over all images, and the dark minority pays for it.

grid = np.linspace(0, 1, 401)
figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for share, colour in zip(SHARES, ("C0", "C1", "C2"), strict=True):
    fitted = constants[constants["dark share"] == share]
    axes[0].plot(grid, [closed_form(share, loss_mix) for loss_mix in grid], color=colour)
    axes[0].plot("loss_mix", "fit", "o", data=fitted, color=colour, label=f"{share:.0%} dark")
axes[0].set(title="Prediction (line: formula, dots: fits)", ylabel="grey value")

share = 0.3
exact = np.array([closed_form(share, loss_mix) for loss_mix in grid])
fitted = constants[constants["dark share"] == share]
for label, level, colour in (("dark", DARK, "0.2"), ("bright", BRIGHT, "0.6")):
    axes[1].plot(grid, np.abs(exact - level), color=colour)
    axes[1].plot("loss_mix", f"{label} MAE", "o", data=fitted, color=colour, label=f"{label} image")
overall = share * np.abs(exact - DARK) + (1 - share) * np.abs(exact - BRIGHT)
axes[1].plot(grid, overall, "--", color="C1", label="all images")
for line in (np.abs(exact - DARK), np.abs(exact - BRIGHT), overall):
    for at, side in ((0, "left"), (-1, "right")):
        place = (grid[at], line[at] + 0.012)
        axes[1].annotate(f"{line[at]:.2f}", place, ha=side, va="bottom", fontsize="small")
axes[1].set(title=f"MAE by group, {share:.0%} dark", ylabel="MAE in grey values", ylim=(0, 0.66))
for ax in axes:
    ax.set_xlabel("loss_mix (0: L2, 1: L1)")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=3, frameon=False)


def save(figure, name):
    figure.savefig(name, dpi=150)
    print(f"figure saved in the working directory: {name}\n")


save(figure, "which_loss_is_fairer_closed_form.png")

# %%
# Half a photo patch from the other half
# --------------------------------------
#
# The patches are cut from the two photographs that come with scikit-learn. X is the visible half,
# y the hidden half, 32 pixels each. A patch is a dark image if its visible half is darker than the
# median, so that the model sees what defines the groups. Both groups have the same share in
# training and test set, and every error below is measured on the test set. Its patches come from
# the same photographs as the training patches: nothing is said about other photographs.
#
# L1 and L2 do not depend on the unit of y. With ``scale=1.0`` their mix would: the same 0.5 is
# closer to L1 with grey values from 0 to 1, and closer to L2 with those from 0 to 255. The default,
# ``scale="auto"``, takes the unit from y, one for all hidden pixels. The mix is then the same for
# both.

from skfairloss.metrics import group_metric_frame

COLUMNS = ["count", "mae", "rmse", "mean_residual"]
named_groups = pd.Series(groups_test, name="group")
tables = {}
for loss in LOSSES:
    frame = group_metric_frame(y_test, predictions[loss], sensitive_features=named_groups)
    tables[loss] = frame.by_group[COLUMNS].astype({"count": int}).round(4)
print(f"{len(X)} training images; errors on {len(X_test)} test images, residual = true - predicted")
print(pd.concat(tables, names=["loss"]).to_string())

# %%
# Images and their errors
# -----------------------
#
# In each group, the five patches stand at the same ranks of the error (the mean of the errors
# under L1 and L2), from the median to nearly the largest. The left half of a patch is given, the
# right half predicted. Both groups and both losses share one grey scale for the patches and one
# for the errors.

RANKS = (0.5, 0.7, 0.85, 0.95, 0.99)
GREY = {"cmap": "gray", "vmin": 0, "vmax": 1}
ERROR = {"cmap": "gray_r", "vmin": 0, "vmax": 0.5}

figure = plt.figure(figsize=(10, 5.2), layout="constrained")
axes = figure.subplots(5, 11, width_ratios=[1] * 5 + [0.25] + [1] * 5)
for columns, (group, positions) in zip((axes[:, :5], axes[:, 6:]), members.items(), strict=True):
    by_error = positions[absolute.loc[positions, ["L1", "L2"]].mean(axis=1).argsort()]
    shown = by_error[[int(rank * len(by_error)) for rank in RANKS]]
    truth = join_patches(X_test[shown], y_test[shown])
    images = {loss: join_patches(X_test[shown], predictions[loss][shown]) for loss in ("L2", "L1")}
    panels = [("truth", truth, GREY)]
    panels += [(loss, images[loss], GREY) for loss in images]
    panels += [(f"|error|\n{loss}", np.abs(images[loss] - truth), ERROR) for loss in images]
    for line, (label, pictures, style) in zip(columns, panels, strict=True):
        for ax, picture in zip(line, pictures, strict=True):
            ax.imshow(picture, **style)
            ax.axvline(picture.shape[1] / 2 - 0.5, color="C1", linewidth=0.8)
            ax.set(xticks=[], yticks=[])
        line[0].set_ylabel(label, rotation=0, ha="right", va="center")
    for ax, rank in zip(columns[0], RANKS, strict=True):
        ax.set_title(f"rank {rank:.0%}", fontsize="small")
    errors = ", ".join(f"{loss} {absolute.loc[positions, loss].mean():.4f}" for loss in images)
    columns[-1, 2].set_xlabel(f"{group}s: MAE {errors}", labelpad=8)
for ax in axes[:, 5]:
    ax.set_axis_off()
figure.colorbar(axes[0, 0].images[0], ax=axes[:3], label="grey value", aspect=15)
figure.colorbar(axes[4, 0].images[0], ax=axes[3:], label="|error|", aspect=10, extend="max")
# sphinx_gallery_thumbnail_number = 2
save(figure, "which_loss_is_fairer.png")

# %%
# Both losses miss the same edges. The next lines say in how many images, and in which of them, the
# error under L1 is the smaller one.

closer = absolute["L1"] < absolute["L2"]
hard = absolute["L1"] + absolute["L2"] > (absolute["L1"] + absolute["L2"]).quantile(0.9)
for group, positions in members.items():
    print(f"{group}s: MAE smaller under L1 in {closer[positions].mean():.0%} of the images")
print(f"the tenth of all images with the largest errors: in {closer[hard].mean():.0%}\n")

# %%
# Choose the mix by cross-validation, and compare the groups
# ----------------------------------------------------------
#
# The search is an ordinary ``GridSearchCV``, refitted for accuracy. The gap between the groups is a
# second score: with metadata routing the groups that are passed to ``fit`` reach the scorer. The
# folds are stratified by group, and ``error_score="raise"`` lets no fold fail silently.

from sklearn import config_context
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from skfairloss.metrics import make_group_scorer

folds = StratifiedKFold(n_splits=3, shuffle=True, random_state=0).split(X, groups)
with config_context(enable_metadata_routing=True):
    search = GridSearchCV(
        make_model(0.5),
        {"regress__loss_mix": [0.0, 0.25, 0.5, 0.75, 1.0]},
        scoring={
            "MAE": "neg_mean_absolute_error",
            "gap": make_group_scorer("mae", "difference"),
        },
        refit="MAE",
        cv=list(folds),
        error_score="raise",
    ).fit(X, y, sensitive_features=groups)

found = pd.DataFrame({"loss_mix": search.cv_results_["param_regress__loss_mix"]})
for score in ("MAE", "gap"):
    found[score] = -search.cv_results_[f"mean_test_{score}"]
    found[f"sd of {score}"] = search.cv_results_[f"std_test_{score}"]
best = search.best_params_["regress__loss_mix"]
print("Cross-validation on the training images: mean and standard deviation over the folds")
print(found.round(4).to_string(index=False))
print(
    f"smallest MAE: loss_mix = {best}; smallest gap: {found['loss_mix'][found['gap'].idxmin()]}\n"
)

# %%
# With your own data
# ------------------
#
# Use :func:`~skfairloss.compare_loss_mixes` in place of most of this page. It takes a table, the
# groups and any pipeline, fits every mix on the same folds, and prints one sentence and a plot with
# intervals. The page "How do I ..." of the user guide starts from a table with text and number
# columns.

print("On your own data: skfairloss.compare_loss_mixes(X, y, sensitive_features=groups)")
