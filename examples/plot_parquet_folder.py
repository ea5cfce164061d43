"""
Simulated wages in Parquet files: a fit that never has all rows in memory
=========================================================================

**The memory of a fit from Parquet files hardly grows with the rows, and the model is the same.**
Eight files hold a million rows. A fit of all of them reads one row group at a time, takes a
fraction of the memory of the features, and ends at the coefficients and group errors of the fit
in memory.

The data are simulated, so that the page can write them itself. Nothing is downloaded.
"""

# %%
# Eight files
# -----------
#
# Each has 125 000 rows: nine numbers of an employee as 32-bit floats, an hourly wage in dollars,
# and the sector, which names the groups. A tenth of the employees are in the small sector, where
# wages scatter three times as much. A seed for each file makes the rows.

import tempfile
import tracemalloc
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from skfairloss import PixelLossRegressor
from skfairloss.report import GroupReport
from skfairloss.rows import from_blocks, from_parquet

N_FILES, N_ROWS, N_FEATURES = 8, 125_000, 9
FEATURES = [f"x{j}" for j in range(N_FEATURES)]
folder = tempfile.TemporaryDirectory()


def draw(file):
    rng = np.random.default_rng(file)
    X = rng.standard_normal((N_ROWS, N_FEATURES), dtype=np.float32)
    small = rng.random(N_ROWS) < 0.1
    noise = np.where(small, 6.0, 2.0) * rng.standard_t(3, N_ROWS)
    table = pd.DataFrame(X, columns=FEATURES)
    return table.assign(
        wage=(15 + X.sum(axis=1) + noise).astype("float32"),
        sector=np.where(small, "small", "large"),
    )


paths = [Path(folder.name, f"part-{file}.parquet") for file in range(N_FILES)]
for file, path in enumerate(paths):
    pq.write_table(pa.Table.from_pandas(draw(file)), path, row_group_size=25_000)
size = sum(path.stat().st_size for path in paths)
print(f"{N_FILES} files, {N_FILES * N_ROWS} rows, {size / 2**20:.0f} MiB on disk")

# %%
# From one file to eight
# ----------------------
#
# ``from_parquet`` takes a folder, or files in a list. It checks names, types and nulls in the
# footers of the files, and reads no row yet. The memory is the peak of what Python, NumPy and
# Arrow allocate during the fit. X in memory would be an array of 36 bytes a row.

COLUMNS = {"features": FEATURES, "target": "wage", "sensitive_features": "sector"}
LOSSES = {"L2": 0.0, "mix": 0.5, "L1": 1.0}
pool = pa.default_memory_pool()


def peak_of(loss_mix, source):
    pool.release_unused()
    arrow = pool.bytes_allocated()
    tracemalloc.start()
    model = PixelLossRegressor(loss_mix).fit(source)
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return model, (used + max(pool.max_memory() - arrow, 0)) / 2**20


rows, models = [], {}
for n_files in (1, 2, 4, 8):
    source = from_parquet(paths[:n_files], **COLUMNS)
    row = {"rows": n_files * N_ROWS, "X in memory": n_files * N_ROWS * N_FEATURES * 4 / 2**20}
    for name, loss_mix in LOSSES.items():
        models[name], row[name] = peak_of(loss_mix, source)
    rows.append(row)
memory = pd.DataFrame(rows).set_index("rows")
print("Peak memory of a fit from files, MiB")
print(memory.round(1).to_string())

figure, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
ax.plot(memory.index, memory["X in memory"], "k--", label="X as an array in memory")
for name, marker in zip(LOSSES, "os^", strict=True):
    ax.plot(memory.index, memory[name], marker=marker, label=f"fit from files, {name}")
ax.set(
    title="Peak memory of fits from Parquet files",
    xlabel="rows",
    ylabel="MiB",
    ylim=(0, None),
)
ax.set_xticks(memory.index, [f"{n_rows:,}".replace(",", " ") for n_rows in memory.index])
ax.tick_params(axis="x", labelsize="small")
ax.legend(frameon=False)
figure.savefig("parquet_folder.png", dpi=150)
print("figure saved in the working directory: parquet_folder.png")

# %%
# The model is the same
# ---------------------
#
# All rows fit into the memory of this machine, so we can compare with fits of arrays.

table = pd.concat(map(draw, range(N_FILES)), ignore_index=True)
rows = {}
for name, loss_mix in LOSSES.items():
    model = PixelLossRegressor(loss_mix, tol=1e-12)
    model.fit(table[FEATURES].to_numpy(), table["wage"], sensitive_features=table["sector"])
    files = models[name]
    mae = files.group_errors_["mae"]
    rows[name] = [
        np.abs(files.coef_ - model.coef_).max(),
        files.dual_gap_ / files.objective_,
        np.abs(mae / model.group_errors_["mae"] - 1).max(),
        *mae,
    ]
groups = [f"MAE {group}" for group in files.groups_]
columns = ["coefficients", "gap", "errors", *groups]
found = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
print("From files against in memory: largest difference of coefficients, relative gap,")
print("largest relative difference of a group's MAE, then the MAE of each group in dollars")
print(found.to_string(float_format="%.2g"))

# %%
# Predictions come a row group at a time as well, so that a file of them can be written by parts.

predictions = models["L1"].predict(from_parquet(paths[0], features=FEATURES))
print("rows in the first predictions:", [len(part) for part in predictions][:3])

# %%
# A report by group takes one pass over the files. Its values are those of the rows in memory; its
# intervals are drawn from sums over the rows of each sector.

source = from_parquet(paths, **COLUMNS)
report = GroupReport.from_estimator(
    models["L1"], source, metrics=["mae", "mean_residual", "r2"], random_state=0
)
print(report)
folder.cleanup()

# %%
# Rows of anything else come from a function that returns a block of them. Here it draws the rows
# of a file again, which makes the files superfluous; in general it reads them from a database or
# a store.


def block(file):
    table = draw(file)
    return {"X": table[FEATURES], "y": table["wage"], "sensitive_features": table["sector"]}


drawn = PixelLossRegressor(loss_mix=1.0).fit(from_blocks(block, N_FILES))
difference = np.abs(drawn.coef_ - models["L1"].coef_).max()
print(f"L1 from a function: largest difference of coefficients {difference:.0e}")

# %%
# Conclusions and limits
# ----------------------
#
# From one file to eight X grows eightfold, and the memory of a fit does not even double. A fit
# keeps a sample of the rows, and the rows whose residual is close to zero. The number of the latter
# grows with the square root of all rows. For one file the fit takes more memory than X. Differences
# from the fit in memory are rounding errors. The certificate of the files says so without a
# comparison.
#
# A fit reads the files several times, so disks and decompression decide its time, which we did not
# measure. A million rows are not large data: the page is built on a small machine. For a
# cluster see :doc:`plot_cluster`.
