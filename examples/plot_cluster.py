"""
Simulated prices on a Dask cluster: partitions do not change the fit
====================================================================

**A fit on a cluster ends at the model of a fit in memory, however the rows are divided.**
Coefficients agree to rounding errors for 1 partition and for 40, under L2, L1 and their mix, and
so do the errors of each group.

The data are simulated. The cluster of this page is two workers in one process; the same code runs
on any cluster of Dask that a ``Client`` is connected to.
"""

# %%
# Prices in two regions
# ---------------------
#
# 120 000 sales with six features. Prices scatter more in the south, and in each region a few are
# far off.

import dask
import dask.dataframe as dd
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from dask.distributed import Client, LocalCluster

from skfairloss import PixelLossRegressor, group_report

N_ROWS = 120_000
FEATURES = ["area", "rooms", "age", "garden", "floor", "distance"]
rng = np.random.default_rng(0)
X = rng.standard_normal((N_ROWS, len(FEATURES)))
region = rng.choice(["north", "south"], N_ROWS, p=[0.7, 0.3])
noise = np.where(region == "south", 30.0, 15.0) * rng.standard_t(2.5, N_ROWS)
table = pd.DataFrame(X, columns=FEATURES)
table["price"] = 200 + X @ np.array([40.0, 15.0, -10.0, 8.0, 3.0, -20.0]) + noise
table["region"] = region

# %%
# One cluster, four divisions
# ---------------------------
#
# ``fit`` takes Dask DataFrames and Series, and runs on the current cluster. The data are persisted,
# because a fit goes through the rows several times.

cluster = LocalCluster(
    n_workers=2, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0"
)
client = Client(cluster)

LOSSES = {"L2": 0.0, "mix": 0.5, "L1": 1.0}
PARTITIONS = (1, 3, 10, 40)
in_memory = {
    name: PixelLossRegressor(loss_mix, tol=1e-12).fit(
        table[FEATURES], table["price"], sensitive_features=table["region"]
    )
    for name, loss_mix in LOSSES.items()
}
rows, models = [], {}
for n_partitions in PARTITIONS:
    frame = dd.from_pandas(table, npartitions=n_partitions).persist()
    for name, loss_mix in LOSSES.items():
        model = PixelLossRegressor(loss_mix).fit(
            frame[FEATURES], frame["price"], sensitive_features=frame["region"]
        )
        aim = in_memory[name]
        rows.append(
            {
                "partitions": n_partitions,
                "loss": name,
                "difference": np.abs(model.coef_ / aim.coef_ - 1).max(),
                "gap": model.dual_gap_ / model.objective_,
                "errors": np.abs(model.group_errors_["mae"] / aim.group_errors_["mae"] - 1).max(),
            }
        )
        models[name] = model
found = pd.DataFrame(rows)
print("Cluster against memory: largest relative difference of a coefficient, relative gap,")
print("largest relative difference of a group's MAE")
print(found.to_string(index=False, float_format="%.1e"))

figure, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
for name, marker in zip(LOSSES, "os^", strict=True):
    each = found[found["loss"] == name]
    ax.plot(each["partitions"], each["difference"].clip(lower=1e-17), marker, ls="-", label=name)
ax.axhline(1e-8, color="0.5", linewidth=0.8)
ax.annotate("tol of a fit", (1, 1e-8), xytext=(0, 3), textcoords="offset points", color="0.3")
ax.set(
    title="Coefficients from a cluster against those in memory",
    xlabel="partitions",
    ylabel="largest relative difference",
    xscale="log",
    yscale="log",
    ylim=(1e-17, 1e-6),
    xticks=PARTITIONS,
    xticklabels=PARTITIONS,
)
ax.minorticks_off()
ax.legend(frameon=False)
figure.savefig("cluster.png", dpi=150)
print("figure saved in the working directory: cluster.png")

# %%
# Predictions stay on the cluster
# -------------------------------
#
# ``predict`` of a DataFrame is a lazy Series with its index. Sums, means and joins then run on the
# workers; what fits into memory can be computed, and reported by group like any prediction.

prediction = models["L1"].predict(frame[FEATURES])
print(type(prediction).__name__, "of", prediction.npartitions, "partitions")
error = (frame["price"] - prediction).abs()
mae = {name: error[frame["region"] == name].mean() for name in ("north", "south")}
print("MAE by region, on the workers:", pd.Series(dask.compute(mae)[0]).round(2).to_dict())
some = frame.get_partition(0).compute()
report = group_report(
    some["price"],
    prediction.get_partition(0).compute(),
    sensitive_features=some["region"],
    random_state=0,
)
print(report)

# %%
# The fitted model is an ordinary one: its attributes are small arrays, and it outlives the
# cluster.

client.close()
cluster.close()
print("prediction of the first sale:", models["L1"].predict(table[FEATURES].iloc[:1]).round(1))

# %%
# Conclusions and limits
# ----------------------
#
# The number of partitions changes the order of sums, and with it the last bits. Everything else is
# the same fit, with the same certificate: the gap is computed from all rows on the workers.
#
# Two workers in one process gain nothing in time, and no time is reported. A cluster pays where
# rows do not fit into one memory, or are there already. The report is one of a single partition,
# 3000 sales. :doc:`plot_parquet_folder` needs no cluster.
