"""
Simulated noise: L1 against L2 without outliers
===============================================

**With Gaussian noise L2 is better, unless the groups differ in noise.** Where the noise is
Gaussian, least squares needs about two thirds of the rows to be as close to the truth as least
absolute deviations: the mean is a better estimate than the median. With Laplace noise L1 is better.
Gaussian noise of *different size in two groups* is not Gaussian noise for a model of both: L1 is
better again, in both groups.

All noise is simulated, so the noise-free value is known. The error is the mean squared distance of
predictions from it, on new rows: the *excess* error, which a fit adds to the noise that no model
can predict.
"""

# %%
# Mean against median
# -------------------
#
# A constant is fitted to 201 values, five hundred times. Each repetition is an output of one fit:
# without fairness terms the outputs are separate problems. Large samples have an old result
# (Laplace): the variance of the median over that of the mean is π/2 for Gaussian noise, and 1/2 for
# Laplace noise.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skfairloss import PixelLossRegressor

N_ROWS, N_REPEATS = 201, 500
rng = np.random.default_rng(0)
small = np.arange(N_ROWS) >= N_ROWS // 5  # the group with the smaller noise, 80 % of the rows


def gaussian(shape):
    return rng.standard_normal(shape)


def laplace(shape):
    return rng.laplace(scale=np.sqrt(0.5), size=shape)


def two_sizes(shape):
    """Gaussian in each of two groups, with standard deviations 0.5 and 2 (variance 1 overall)."""
    size = np.where(small, 0.5, 2.0)
    return size[:, None] * rng.standard_normal(shape) / np.sqrt(np.mean(size**2))


NOISES = {"Gaussian": gaussian, "Laplace": laplace, "two sizes": two_sizes}
noises = {name: draw((N_ROWS, N_REPEATS)) for name, draw in NOISES.items()}
nothing = np.zeros((N_ROWS, 1))
rows = {}
for name, noise in noises.items():
    mean, median = (PixelLossRegressor(mix).fit(nothing, noise).intercept_ for mix in (0, 1))
    errors = np.mean(mean**2), np.mean(median**2)
    rows[name] = (*errors, errors[1] / errors[0])
density = np.mean(1 / np.where(small, 0.5, 2.0)) * np.sqrt(np.mean(np.where(small, 0.25, 4.0)))
rows_at_infinity = {"Gaussian": np.pi / 2, "Laplace": 0.5, "two sizes": np.pi / 2 / density**2}
constants = pd.DataFrame.from_dict(rows, orient="index", columns=["mean", "median", "ratio"])
constants["many rows"] = rows_at_infinity
print("Mean squared error of a constant, median / mean, and that ratio for infinitely many rows")
print(constants.round(4).to_string())

# %%
# The third noise is Gaussian in each of two groups, four times as large in a fifth of the rows.
# The variance of all rows is 1 in each of the three cases.
#
# Regression, and all mixes between
# ---------------------------------
#
# Now with ten features, the first of which is larger by 1 in the group with the larger noise. The
# default ``scale="auto"`` measures residuals in a unit that is taken from y. The excess error is
# computed on 2000 new rows. Differences between L1 and L2 are paired: both losses see the same rows
# and the same noise, and the resolution is 1.96 standard errors over the repetitions.

N_FEATURES, N_FITTED = 10, 200
MIXES = (0.0, 0.25, 0.5, 0.75, 1.0)
small_new = np.arange(2000) >= 400
X, X_new = (rng.standard_normal((rows, N_FEATURES)) for rows in (N_ROWS, 2000))
X[~small, 0] += 1
X_new[~small_new, 0] += 1
truth = np.linspace(-1, 1, N_FEATURES)

excess = {}
for name, noise in noises.items():
    y = (X @ truth)[:, None] + noise[:, :N_FITTED]
    for mix in MIXES:
        model = PixelLossRegressor(mix).fit(X, y)
        squared = (model.predict(X_new) - (X_new @ truth)[:, None]) ** 2
        excess[name, mix] = pd.DataFrame(
            {
                "all rows": squared.mean(axis=0),
                "smaller noise": squared[small_new].mean(axis=0),
                "larger noise": squared[~small_new].mean(axis=0),
            }
        )
table = pd.DataFrame({key: values["all rows"].mean() for key, values in excess.items()}, index=[0])
table = table.T[0].unstack()
print("Excess error on new rows by loss_mix, mean over the repetitions")
print(table.loc[list(NOISES)].round(4).to_string())

rows = {}
for name in NOISES:
    change = excess[name, 1.0]["all rows"] - excess[name, 0.0]["all rows"]
    resolution = 1.96 * change.std(ddof=1) / np.sqrt(N_FITTED)
    smaller = "L1" if change.mean() < 0 else "L2"
    if abs(change.mean()) <= resolution:
        smaller = "no difference"
    rows[name] = (change.mean(), resolution, smaller, (change < 0).mean())
columns = ["L1 - L2", "resolution", "smaller", "share L1 smaller"]
verdicts = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
print("L1 against L2, paired")
print(verdicts.round(4).to_string())

# %%
# By group, where the two have noise of different size. Both groups are predicted with the same
# coefficients, so that both gain from coefficients closer to the truth.

groups = pd.DataFrame({mix: excess["two sizes", mix].mean() for mix in MIXES}).T
print("Noise of two sizes: excess error by group and loss_mix")
print(groups.round(4).to_string())

figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
STYLES = {"Gaussian": ("C0", "o-"), "Laplace": ("C1", "s--"), "two sizes": ("0.4", "^:")}
for name, (colour, style) in STYLES.items():
    means = np.array([excess[name, mix]["all rows"].mean() for mix in MIXES])
    errors = np.array([excess[name, mix]["all rows"].sem() for mix in MIXES])
    axes[0].fill_between(
        MIXES, means - 1.96 * errors, means + 1.96 * errors, color=colour, alpha=0.15, lw=0
    )
    axes[0].plot(MIXES, means, style, color=colour, label=name)
axes[0].set(title="All rows, three noises of variance 1", ylabel="excess error on new rows", ylim=0)
for group, (colour, style) in {
    "larger noise": ("0.1", "v-"),
    "smaller noise": ("0.6", "o--"),
}.items():
    axes[1].plot(groups[group], style, color=colour, label=group)
axes[1].set(title="Noise of two sizes, by group")
for ax in axes:
    ax.set_xlabel("loss_mix (0: L2, 1: L1)")
    ax.legend(frameon=False)
figure.savefig("gaussian_noise.png", dpi=150)
print("figure saved in the working directory: gaussian_noise.png")

# %%
# Conclusions and limits
# ----------------------
#
# With Gaussian noise the excess error grows from L2 to L1. With Gaussian noise of two sizes it
# falls. With Laplace noise it falls to a mix of 0.5 and hardly changes from there to L1. The shape
# of the noise of all rows together decides, and two sizes of a bell curve give heavy tails. So "our
# noise is Gaussian" is an argument for L2 only if the noise has one size in all groups. Bands are
# 95 % intervals of the mean over the repetitions.
#
# Excess errors are small beside the noise: they are hundredths, while the variance of y around the
# truth is 1. On real data, where the truth is unknown, only a large test set shows them. By the
# theory of large samples they fall as rows are added, and their ratio stays.
#
# The same coefficients are true for both groups here, so that both losses aim at the same model.
# Where they are not, the mean and the median of y differ, or a line fits neither group, L1 and L2
# aim at different models, and a comparison of this kind has no answer.
