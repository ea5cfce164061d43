"""Rows of Parquet files: what is read, in which order, and what is refused before any row is."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skfairloss._rows.source import Kernel
from skfairloss._rows.sums import Sums
from skfairloss.rows import _parquet, from_parquet
from tests.row_kernels import Moments, assert_identical, assert_same, expected

FEATURES = ["age", "years", "union"]
N = 1000


def table(seed=0, n=N):
    rng = np.random.default_rng([11, seed])
    return pd.DataFrame(
        {
            "town": rng.choice(["a", "b", "c"], n),
            "years": rng.integers(0, 40, n).astype("int16"),
            "age": rng.normal(40, 10, n),
            "wage": rng.normal(10, 3, n),
            "hours": rng.normal(30, 3, n),
            "weight": np.where(rng.random(n) < 0.1, 0.0, rng.random(n)),
            "union": rng.random(n) < 0.3,
            "side": rng.choice(["left", "right"], n),
        }
    )


def write(folder, data, files=3, rows=90):
    """Write files of unequal length, in row groups."""
    ends = np.linspace(0, len(data), files + 1).astype(int)
    for i, (start, end) in enumerate(pairwise(ends)):
        path = folder / f"part-{i:02d}.parquet"
        pq.write_table(pa.Table.from_pandas(data.iloc[start:end]), path, row_group_size=rows)
    return folder


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path, table())


def make(files, **other):
    given = {"features": FEATURES, "target": "wage", "sample_weight": "weight"}
    return from_parquet(files, **given | {"sensitive_features": "town"} | other)


def test_sums_over_row_groups_are_those_of_the_table(folder):
    data, source = table(), make(folder)
    assert source.n_blocks == 12
    assert (source.n_features, source.n_outputs, source.single) == (3, 1, True)
    assert source.feature_names == FEATURES
    found = source.run(Moments())
    assert_same(found, expected(data[FEATURES], data["wage"], data["weight"], data["town"]))


@pytest.mark.parametrize("n_jobs", [2, 3])
def test_threads_change_no_bit_of_the_sums(folder, n_jobs):
    assert_identical(make(folder, n_jobs=n_jobs).run(Moments()), make(folder).run(Moments()))


def test_files_are_read_in_the_order_of_a_list_and_those_of_a_folder_in_that_of_their_paths(folder):
    paths = sorted(folder.iterdir())
    first = {i: np.arange(3) for i in range(12)}
    in_order = make(folder).run(Moments(), first).joined["rows"]
    listed = make(paths[::-1]).run(Moments(), first).joined["rows"]
    kept = table().query("weight > 0")
    np.testing.assert_array_equal(in_order[2][:3], kept[FEATURES].to_numpy(float)[:3])
    np.testing.assert_array_equal(listed[2][-12:], in_order[2][:12])
    np.testing.assert_array_equal(
        make(str(paths[0])).head().X[0], table()[FEATURES].to_numpy(float)[0]
    )


def test_several_targets_and_groups_of_several_columns(folder):
    data = table()
    source = make(folder, target=["wage", "hours"], sensitive_features=["town", "side"])
    assert (source.n_outputs, source.single) == (2, False)
    found = source.run(Moments())
    names = {name[1] for name in found.added if isinstance(name, tuple)}
    assert names == set(zip(data["town"], data["side"], strict=True))
    own = data[(data["town"] == "a") & (data["side"] == "left")]
    weights = own["weight"].to_numpy()
    np.testing.assert_allclose(
        found.added["group", ("a", "left")],
        [weights.sum(), weights @ own["wage"], weights @ own["hours"]],
    )


def test_folders_below_are_columns_of_their_name(tmp_path):
    data = table()
    for town, rows in data.groupby("town"):
        (tmp_path / f"town={town}").mkdir()
        rows.drop(columns="town").to_parquet(tmp_path / f"town={town}" / "rows.parquet")
    found = make(tmp_path).run(Moments())
    aim = expected(data[FEATURES], data["wage"], data["weight"], data["town"])
    assert_same(found, aim, rtol=1e-11)


def test_categories_are_groups_by_their_names(tmp_path):
    data = table()
    pieces = [data["town"] == "b", data["town"] != "b"]
    for i, rows in enumerate(pieces):  # the categories of each file are its own
        part = data[rows].assign(town=data["town"][rows].astype("category"))
        part.to_parquet(tmp_path / f"{i}.parquet")
    found = make(tmp_path).run(Moments())
    assert_same(found, expected(data[FEATURES], data["wage"], data["weight"], data["town"]))


def test_floats_of_half_and_single_precision_stay_so_until_they_are_used(tmp_path):
    data = table()[["age", "years", "wage"]].astype({"age": "float32"})
    data.to_parquet(tmp_path / "rows.parquet")
    source = from_parquet(tmp_path, features=["age", "years"], target="wage")
    assert np.asarray(source.block(0)["X"]).dtype == np.float32
    assert source.run(Moments()).added["gram"].dtype == np.float64


def nothing(self, piece, own):
    """A pass that asks nothing of pieces."""
    return Sums()


def test_a_pass_reads_the_columns_that_it_needs(folder, monkeypatch):
    read, source = [], make(folder)
    pass_over_y = type("Count", (Kernel,), {"needs_features": False, "__call__": nothing})
    to_table = _parquet._RowGroup.read
    monkeypatch.setattr(
        _parquet._RowGroup,
        "read",
        lambda self, wanted: read.append(wanted.every) or to_table(self, wanted),
    )
    found = source.run(pass_over_y())
    assert sum(n for n, _ in found.seen.values()) == N
    assert {*map(tuple, read)} == {("wage", "weight", "town")}
    read.clear()
    list(source.each(len))
    assert {*map(tuple, read)} == {tuple(FEATURES)}


def test_without_a_target_blocks_are_for_predictions(folder):
    source = from_parquet(folder, features=FEATURES)
    parts = list(source.each(lambda x: np.asarray(x, float)))
    np.testing.assert_array_equal(np.vstack(parts), table()[FEATURES].to_numpy(float))
    with pytest.raises(TypeError, match="must be a mapping with 'X' and 'y'"):
        source.run(Moments())


def test_a_pass_takes_the_memory_of_a_row_group_not_of_the_file(tmp_path):
    n = 200_000
    rng = np.random.default_rng(0)
    data = pd.DataFrame(rng.normal(size=(n, 9)), columns=[*"abcdefgh", "y"])
    pq.write_table(pa.Table.from_pandas(data), tmp_path / "f.parquet", row_group_size=n // 50)
    source = from_parquet(tmp_path, features=list("abcdefgh"), target="y")
    source.run(Moments())
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    source.run(Moments())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < data.to_numpy().nbytes / 10
    assert pa.total_allocated_bytes() - before < data.to_numpy().nbytes / 10


@pytest.mark.parametrize(
    ("change", "wanted", "message"),
    [
        (lambda t: t.drop(columns="age"), {}, r"column 'age' is not in .*part-01.parquet, which"),
        (
            lambda t: t.assign(age=t["age"].astype(str)),
            {},
            r"column 'age' \(features\) must hold numbers, got (large_)?string in .*part-01",
        ),
        (
            lambda t: t.assign(age=t["age"].where(t.index % 50 > 0)),
            {},
            r"column 'age' \(features\) has nulls in row group 0 of .*part-01.parquet: drop",
        ),
        (
            lambda t: t.assign(wage=t["wage"].where(t.index < 600)),
            {},
            r"column 'wage' \(target\) has nulls in row group \d of .*part-01.parquet",
        ),
        (
            lambda t: t.assign(town=t["town"].where(t.index != 500)),
            {},
            r"column 'town' \(sensitive_features\) has nulls in row group 1 of .*part-01",
        ),
        (
            lambda t: t.assign(town=1),
            {},
            r"column 'town' \(sensitive_features\) is string in .*part-00.parquet and "
            r"integer in .*part-01",
        ),
        (
            lambda t: t.assign(weight=pd.Timestamp("2024-01-01")),
            {},
            r"column 'weight' \(sample_weight\) must hold numbers, got timestamp",
        ),
        (lambda t: t, {"target": "pay"}, r"column 'pay' is not in .*part-00"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_before_any_row_is_read(
    tmp_path, change, wanted, message
):
    folder = write(tmp_path, table())
    second = folder / "part-01.parquet"
    changed = change(pd.read_parquet(second))
    pq.write_table(pa.Table.from_pandas(changed), second, row_group_size=90)
    with pytest.raises(ValueError, match=message):
        make(folder, **wanted)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(("column", "argument"), [("age", "features"), ("wage", "target")])
def test_numbers_that_are_not_finite_are_refused_by_column_and_row_group(
    folder, value, column, argument
):
    data = pd.read_parquet(folder / "part-02.parquet").reset_index(drop=True)
    data.loc[100, column] = value
    rows = pa.Table.from_pandas(data, preserve_index=False).to_pydict()
    rows[column] = np.array(data[column])  # a NaN, not a null
    pq.write_table(pa.table(rows), folder / "part-02.parquet", row_group_size=90)
    with pytest.raises(ValueError, match=rf"'{column}' \({argument}\) has NaN .* row group 1 of"):
        make(folder).run(Moments())


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"features": "age"}, TypeError, "features must be a list of column names"),
        ({"features": []}, TypeError, "features must be column names"),
        ({"features": ["age", 3]}, TypeError, "features must be column names"),
        ({"features": ["age", "age"]}, ValueError, "features names a column twice"),
        ({"target": "age"}, ValueError, r"features and target share the columns \['age'\]"),
        ({"target": 3}, TypeError, "target must be column names, got 3"),
        ({"sample_weight": ["a", "b"]}, TypeError, "sample_weight must be the name of a column"),
        ({"n_jobs": 0}, ValueError, "n_jobs must be at least 1"),
    ],
)
def test_bad_names_are_refused(folder, given, error, message):
    with pytest.raises(error, match=message):
        make(folder, **given)


def test_a_path_that_is_no_path_or_has_no_rows_is_refused(tmp_path):
    with pytest.raises(TypeError, match="files must be a path or a list of paths, got 3"):
        make(3)
    with pytest.raises(FileNotFoundError):
        make(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="files has no rows"):
        make(tmp_path)
    table(n=5).iloc[:0].to_parquet(tmp_path / "empty.parquet")
    with pytest.raises(ValueError, match="files has no rows"):
        make(tmp_path)


def test_without_pyarrow_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.dataset", None)
    with pytest.raises(ImportError, match=r"pip install 'skfairloss\[parquet\]'"):
        make(tmp_path)
